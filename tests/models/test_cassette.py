"""`Cassette`: what a model said once, it says again for nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from thoughtgraph.errors import ModelError, Unavailable
from thoughtgraph.model import Capabilities, Completion, Model, Price, Reply, Request, capabilities
from thoughtgraph.models import Cassette, Scripted
from thoughtgraph.prompt import Image, Message


def ask(text: str, **settings) -> Request:
    return Request((Message("user", text),), **settings)


async def texts(model: Model, request: Request, n: int = 1) -> list[str]:
    return [reply.text for reply in (await model(request, n)).replies]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "replies.jsonl"


@pytest.fixture
async def recorded(path: Path) -> Path:
    """A file with draws 0, 1 and 2 of one prompt, and one draw of another."""
    model = Cassette(path, Scripted(lambda prompt, draw: f"{prompt} é{draw}", price=Price(1, 2)), "record")
    await model(ask("a"), 2)
    await model(ask("a"), 1)
    await model(ask("b\nc"), 1)
    return path


async def test_a_replay_says_the_same_in_the_same_order(recorded):
    model = Cassette(recorded, mode="replay")
    assert await texts(model, ask("a"), 2) == ["a é0", "a é1"]
    assert await texts(model, ask("b\nc")) == ["b\nc é0"]
    assert await texts(model, ask("a")) == ["a é2"]


async def test_draws_can_be_grouped_otherwise(recorded):
    model = Cassette(recorded, mode="replay")
    assert [await texts(model, ask("a")) for _ in range(3)] == [["a é0"], ["a é1"], ["a é2"]]
    assert await texts(Cassette(recorded, mode="replay"), ask("a"), 9) == ["a é0", "a é1", "a é2"]


async def test_a_replay_is_taken_for_the_model_that_was_recorded(recorded):
    """The same name, defaults and price: the same marks, and the same dollars in the result."""
    model = Cassette(recorded, mode="replay")
    assert (model.name, model.price) == ("local:scripted", Price(1, 2))
    assert model.defaults == {"max_tokens": 1024, "timeout": 120.0}
    assert Cassette(recorded, mode="replay", price=Price(0, 0)).price == Price(0, 0)


async def test_tokens_add_up_to_what_was_billed(path):
    request, price = ask("12345678"), ["1234", "1234", "1234567"]
    first = await Cassette(path, Scripted(price))(request, 3)
    assert first == Completion((Reply("1234"), Reply("1234"), Reply("1234567")), 2, 4)
    assert await Cassette(path)(request, 3) == first
    one_by_one = Cassette(path)
    parts = [await one_by_one(request, 1) for _ in range(3)]
    assert (sum(p.prompt_tokens or 0 for p in parts), sum(p.completion_tokens or 0 for p in parts)) == (2, 4)


class Told:
    """A model that says more of its replies than others do."""

    name, price, defaults = "local:told", None, {"max_tokens": 9, "timeout": 1}
    capabilities = Capabilities(n=False, temperature=False, source="said")

    async def __call__(self, request: Request, n: int) -> Completion:
        replies = tuple(Reply(f"{i}", logprobs=((f"{i}", -0.5),)) for i in range(2))
        return Completion(replies, 10, 7, cached_tokens=4, written_tokens=3, reasoning_tokens=5)

    async def close(self) -> None:
        """Nothing is held open."""


async def test_logprobs_and_all_kinds_of_tokens_are_recorded(path):
    first = await Cassette(path, Told())(ask("x", logprobs=True), 2)
    assert await Cassette(path)(ask("x", logprobs=True), 2) == first
    one_by_one = Cassette(path)
    parts = [await one_by_one(ask("x", logprobs=True), 1) for _ in range(2)]
    assert [part.cached_tokens for part in parts] == [4, 0]
    assert sum(part.reasoning_tokens for part in parts) == 5


async def test_a_replay_can_do_what_the_model_could(path):
    """The engine asks by it: with other settings it would not find what was recorded."""
    await Cassette(path, Told())(ask("x"), 1)
    assert capabilities(Cassette(path)) == Told.capabilities


async def test_a_recording_of_an_earlier_version_is_played(path):
    mark = ask("a").mark("local:old")
    label = {"cassette": 1, "model": "local:old", "defaults": {"max_tokens": 1024, "timeout": 120.0}, "price": None}
    draw = {"mark": mark, "draw": 0, "prompt": "a", "text": "b", "finish": "stop", "prompt_tokens": 1}
    path.write_text(f"{json.dumps(label)}\n{json.dumps(draw)}\n")
    assert await texts(Cassette(path), ask("a")) == ["b"]


async def test_rare_settings_and_pictures_are_shown_in_the_difference(recorded):
    request = Request((Message("user", "a", (Image("https://h/cat.png"),)),), seed=3)
    with pytest.raises(ModelError) as caught:
        await Cassette(recorded, mode="replay")(request, 1)
    assert "stop=[] seed=3" in str(caught.value)
    assert "+[image] https://h/cat.png" in str(caught.value)


async def test_auto_records_only_what_is_missing(recorded):
    live = Scripted(lambda prompt, draw: "new")
    model = Cassette(recorded, live)
    assert await texts(model, ask("a"), 3) == ["a é0", "a é1", "a é2"]
    assert live.seen == []
    assert await texts(model, ask("a"), 2) == ["new", "new"]
    assert await texts(Cassette(recorded), ask("a"), 9) == ["a é0", "a é1", "a é2", "new", "new"]


async def test_each_draw_is_on_disk_when_it_is_returned(path):
    model = Cassette(path, Scripted(["a", "b"]))
    for count in (1, 2):
        await model(ask("x"), 1)
        assert path.read_text().count("\n") == 1 + count


async def test_an_error_is_not_recorded(path):
    model = Cassette(path, Scripted([Unavailable("busy", cause="503"), "fine"]))
    with pytest.raises(Unavailable):
        await model(ask("x"), 1)
    assert await texts(model, ask("x")) == ["fine"]
    assert await texts(Cassette(path), ask("x")) == ["fine"]


async def test_a_request_that_is_missing_is_shown_against_the_nearest(recorded):
    with pytest.raises(ModelError) as caught:
        await Cassette(recorded, mode="replay")(ask("b\nd"), 1)
    assert "\n b\n-c\n+d\n" in str(caught.value)
    assert caught.value.cause == "not recorded"


async def test_settings_are_part_of_a_request(recorded):
    with pytest.raises(ModelError) as caught:
        await Cassette(recorded, mode="replay")(ask("a", max_tokens=5), 1)
    assert "+max_tokens=5 temperature=None" in str(caught.value)


async def test_a_request_that_is_used_up_says_how_many_there_were(recorded):
    model = Cassette(recorded, mode="replay")
    await model(ask("a"), 3)
    with pytest.raises(ModelError, match=r"holds 3 draw\(s\) of this request and one more"):
        await model(ask("a"), 1)


async def test_replay_never_calls_a_model(recorded):
    live = Scripted(["new"])
    with pytest.raises(ModelError, match="does not hold"):
        await Cassette(recorded, live, "replay")(ask("z"), 1)
    assert live.seen == []


@pytest.mark.parametrize("damage", ["not json", "{}", "", '{"mark": "m", "draw": "x"}'])
def test_a_damaged_line_is_named_by_its_number(recorded, damage):
    lines = recorded.read_text().split("\n")
    recorded.write_text("\n".join([*lines[:2], damage, *lines[2:]]))
    with pytest.raises(ModelError, match="line 3 is damaged"):
        Cassette(recorded)


def test_a_line_that_was_cut_off_is_named_by_its_number(recorded):
    """A kill in the middle of a write leaves one."""
    recorded.write_text(recorded.read_text()[:-9])
    with pytest.raises(ModelError, match="line 5 is damaged: it is cut off"):
        Cassette(recorded)


def test_a_line_that_was_removed_is_missed(recorded):
    lines = recorded.read_text().split("\n")
    recorded.write_text("\n".join([lines[0], *lines[2:]]))
    with pytest.raises(ModelError, match="line 2 is damaged: it is draw 1 of its request where draw 0"):
        Cassette(recorded)


def test_a_recording_is_never_overwritten(recorded):
    with pytest.raises(ModelError, match="delete it to record it anew"):
        Cassette(recorded, Scripted(["new"]), "record")


def test_one_cassette_is_of_one_model(recorded):
    with pytest.raises(ModelError, match="holds local:scripted, not local:other"):
        Cassette(recorded, Scripted(["new"], model="other"))


@pytest.mark.parametrize("mode", ["auto", "replay"])
def test_no_file_and_no_model_says_how_to_record(path, mode):
    with pytest.raises(ModelError, match="record one with Cassette"):
        Cassette(path, mode=mode)
    assert not path.exists()


async def test_every_text_can_be_recorded(path):
    """But half of a surrogate pair, which no file can hold: it becomes a "?"."""
    odd = "\ud83d\u2028\r\n\0 é"
    await Cassette(path, Scripted([odd]))(ask(odd), 1)
    assert await texts(Cassette(path), ask(odd)) == ["?\u2028\r\n\0 é"]


async def test_a_cassette_is_json_lines(recorded):
    label, *draws = [json.loads(line) for line in recorded.read_text().splitlines()]
    assert label["model"] == "local:scripted"
    assert [draw["draw"] for draw in draws] == [0, 1, 2, 0]
