"""Learned critics: judged as a set, saved as one JSON file, and loaded only where nothing is odd."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

import thoughtgraph as tg
from thoughtgraph.errors import TaskError
from thoughtgraph.learning import learned
from thoughtgraph.learning.calibration import Calibration
from thoughtgraph.learning.columns import Columns
from thoughtgraph.learning.embeddings import embedding
from thoughtgraph.learning.features import Each, Example, Feature
from thoughtgraph.learning.files import load_critic
from thoughtgraph.learning.fitted import Ensemble, fit
from thoughtgraph.learning.learned import Learned, Trained, body_of, carried, response_of
from thoughtgraph.learning.linear import Linear
from thoughtgraph.learning.registry import DEFAULT, features_of
from thoughtgraph.learning.rows import Outcome, Response
from thoughtgraph.marks import mark
from thoughtgraph.testing import CriticContract
from thoughtgraph.thought import ROOT, Score, Thought


def letters(example: Example) -> tuple[float]:
    return (float(len(example.response.text)),)


LETTERS = Feature("letters", ("count",), Each(letters), "surface")
TEN = Columns((0.0,), (10.0,), (0.0,), (1.0,))
LINE = Linear(TEN, (1.0,), -2.0)
CRITIC = Learned("outcome", (LETTERS,), LINE)


def said(*texts: str, generator: str = "") -> list[Example]:
    return [Example("q", Response(text=text, generator=generator)) for text in texts]


# -- judging ---------------------------------------------------------------------------------------------------------


def test_a_probability_is_the_calibrated_logit_and_a_reward_the_logit_itself():
    calibrated = replace(CRITIC, calibration=Calibration("platt", 2.0, 0.0))
    reward = replace(CRITIC, kind="reward")
    texts = said("ab", "abc")
    assert [score.value for score in CRITIC.judge(texts)] == pytest.approx([0.5, 0.7310585786])
    assert [score.value for score in calibrated.judge(texts)] == pytest.approx([0.5, 0.8807970780])
    assert [score.value for score in reward.judge(texts)] == [0.0, 1.0]
    assert CRITIC.judge([]) == []


def test_the_members_of_an_ensemble_give_a_spread():
    two = replace(CRITIC, fitted=Ensemble((LINE, Linear(TEN, (3.0,), -2.0)), "min"), kind="reward")
    (score,) = two.judge(said("ab"))
    assert (score.value, score.spread) == (0.0, pytest.approx(8**0.5))
    assert CRITIC.judge(said("ab"))[0].spread is None


def test_it_abstains_where_no_feature_has_anything_to_say():
    mute = replace(CRITIC, features=(replace(LETTERS, compute=lambda some: [(None,) for _ in some]),))
    assert mute.judge(said("a")) == [Score(None, samples=0, status="abstained")]


def test_it_says_so_where_it_judges_another_generator_than_it_was_fitted_for():
    fitted = replace(CRITIC, generators=("small", "large"))
    (known,), (other,), (unnamed,) = (fitted.judge(said("a", generator=name)) for name in ("small", "new", ""))
    assert known.details is None
    assert unnamed.details is None
    assert other.details == {"fitted for": ["small", "large"], "judges": "new"}
    assert other.value == known.value


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"objective": "hope"}, "objective"),
        ({"kind": "rank"}, "kind"),
        ({"features": (LETTERS, LETTERS)}, "each once"),
        ({"features": ()}, "takes 1 columns, its features give 0"),
    ],
)
def test_parts_that_do_not_fit_each_other_are_refused(changes: dict[str, object], fault: str):
    with pytest.raises(TaskError, match=fault):
        replace(CRITIC, **changes)


# -- in a search -----------------------------------------------------------------------------------------------------


def path(*contents: object, done: bool = True) -> list[Thought]:
    last = len(contents)
    steps = [
        Thought(str(n), (str(n - 1),), "step", content, depth=n, done=done and n == last)
        for n, content in enumerate(contents, 1)
    ]
    return [Thought(ROOT, (), "", "q"), *steps]


def test_a_path_of_thoughts_becomes_a_response():
    found = response_of(
        path("first", {"passage": "Paris is a city.", "source": "atlas"}, {"text": "so 4", "answer": 4})
    )
    assert (found.text, found.steps, found.answer) == ("first\nso 4", ("first", "so 4"), 4)
    assert found.contents == ("first", {"text": "so 4", "answer": 4})
    assert found.thought == "3"


def test_a_thought_that_is_not_done_claims_nothing():
    assert response_of(path("so 4", done=False)).answer is None
    assert response_of(path("so 4")).answer == "so 4"
    assert response_of(path("so 4"), len).answer == 2
    assert carried(path({"left": ["4"]})) == '{"left": ["4"]}'


class TestLearned(CriticContract):
    critic = replace(CRITIC, features=(LETTERS, *DEFAULT), fitted=Linear(
        Columns(*((v,) * (1 + sum(len(f.columns) for f in DEFAULT)) for v in (0.0, 10.0, 0.0, 1.0))),
        (1.0,) * (1 + sum(len(f.columns) for f in DEFAULT)), -2.0,
    ))  # fmt: skip
    thoughts: ClassVar = ("4", "5", "twenty-two")


def test_a_search_hands_over_earlier_scores_prior_and_depth_as_signals():
    seen = list[Response]()

    def look(some):
        seen.extend(example.response for example in some)
        return [(1.0,) for _ in some]

    looking = replace(CRITIC, features=(Feature("look", ("it",), look, "search"),))
    task = tg.Task(
        "q",
        {"step": lambda state, n: [tg.Draft("a", prior=0.5, done=True)]},
        {"judge": lambda states: [Score(0.25) for _ in states], "learned": looking},
    )

    async def policy(search):
        thoughts = await search.expand(search.root)
        await search.score(thoughts, "judge")
        await search.score(thoughts, "learned")
        return thoughts[0]

    result = tg.solve(task, policy=policy)
    assert result.answer == "a"
    assert [response.signals for response in seen] == [{"judge": 0.25, "prior": 0.5, "depth": 1.0}]


# -- its mark --------------------------------------------------------------------------------------------------------


def test_its_mark_changes_with_its_weights_and_stays_small():
    other = replace(CRITIC, fitted=Linear(TEN, (1.0,), -2.5))
    assert mark(CRITIC) == mark(replace(CRITIC))
    assert mark(other) != mark(CRITIC)
    assert mark(replace(CRITIC, calibration=Calibration("platt", 2.0))) != mark(CRITIC)
    wide = replace(CRITIC, features=DEFAULT, fitted=fit([[float(k)] * 61 for k in range(20)], [0, 1] * 10))
    assert len(mark(wide)) < 20_000


def test_another_process_gives_it_the_same_mark(tmp_path: Path):
    critic = replace(CRITIC, features=features_of(["length", "signal:judge"]), fitted=wide_line(5))
    critic.save(tmp_path / "critic.json")
    code = (
        "import sys; from thoughtgraph.learning.files import load_critic; from thoughtgraph.marks import mark; "
        "print(mark(load_critic(sys.argv[1])))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "critic.json"], capture_output=True, text=True, check=True,
        env={"PYTHONHASHSEED": "77", "PATH": ""},
    )  # fmt: skip
    assert told.stdout.strip() == mark(critic)


@pytest.mark.parametrize("kind", ["prob", "reward"])
def test_numbers_of_a_file_that_overflow_are_an_abstention(kind):
    huge = Linear(replace(TEN, scale=(1e-300,), middle=(5.0,)), (1e308,))
    told = replace(CRITIC, fitted=Ensemble((huge, replace(huge, weights=(-1e308,)))), kind=kind).judge(said("a"))
    assert (told[0].value, told[0].status) == (None, "abstained")


# -- files -----------------------------------------------------------------------------------------------------------


def wide_line(d: int) -> Linear:
    return Linear(Columns((0.0,) * d, (9.0,) * d, (0.0,) * d, (1.0,) * d), (0.5,) * d, 0.25)


SAVED = replace(
    CRITIC, features=features_of(["length", "signal:judge"]), fitted=wide_line(5), name="tutor", generators=("small",),
    trained=Trained("abc", 12, 3, ("hr",)), calibration=Calibration("isotonic", at=(0.0, 1.0), gives=(0.25, 0.75)),
)  # fmt: skip


def test_a_critic_that_is_loaded_is_the_one_that_was_saved(tmp_path: Path):
    SAVED.save(tmp_path / "critic.json")
    again = load_critic(tmp_path / "critic.json")
    assert again == SAVED
    assert again.judge(said("ab cd")) == SAVED.judge(said("ab cd"))
    assert [file.name for file in tmp_path.iterdir()] == ["critic.json"]


def test_features_of_your_own_are_passed_again(tmp_path: Path):
    CRITIC.save(tmp_path / "critic.json")
    assert load_critic(tmp_path / "critic.json", features=[LETTERS]) == CRITIC
    with pytest.raises(TaskError, match=r"'letters'.*features=\["):
        load_critic(tmp_path / "critic.json")
    with pytest.raises(TaskError, match=r"version 1 of the feature 'letters'.*here is version 2"):
        load_critic(tmp_path / "critic.json", features=[replace(LETTERS, version=2)])
    with pytest.raises(TaskError, match=r"\(1 columns\).*\(2 columns\)"):
        load_critic(tmp_path / "critic.json", features=[replace(LETTERS, columns=("count", "more"))])


def test_embeddings_of_another_model_are_refused_at_load(tmp_path: Path):
    def embed(d: int):
        return lambda texts: [[1.0] * d for _ in texts]

    trained = replace(CRITIC, features=(embedding(embed(2), "mini"),), fitted=wide_line(5))
    trained.save(tmp_path / "critic.json")
    assert load_critic(tmp_path / "critic.json", features=[embedding(embed(2), "mini")]).judge(said("a"))
    for other in (embedding(embed(2), "maxi"), embedding(embed(3), "mini")):
        with pytest.raises(TaskError, match="'embedding:mini:2', which is not known"):
            load_critic(tmp_path / "critic.json", features=[other])


def test_what_it_was_trained_on_is_noted_whatever_the_order():
    rows = [Outcome(question=q, response=Response(text="a"), value=1, labels=(q,)) for q in ("one", "two")]
    assert Trained.on(rows) == Trained.on(rows[::-1])
    assert (Trained.on(rows).rows, Trained.on(rows).questions, Trained.on(rows).labels) == (2, 2, ("one", "two"))
    assert Trained.on(rows[:1]).digest != Trained.on(rows).digest


class Bomb:
    """What would leave a trace if it were ever unpickled."""

    def __reduce__(self):
        return exec, ("raise SystemExit('executed')",)


def body(**changes: object) -> bytes:
    told = {"schema": 1, **body_of(SAVED), "thoughtgraph": "0.1", "digest": SAVED.digest}
    return json.dumps({name: value for name, value in {**told, **changes}.items() if value is not ...}).encode()


def feature(**changes: object) -> list[object]:
    told = body_of(SAVED)["features"]
    return [{**told[0], **changes}, told[1]]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "no critic's file"),
        (b"null", "no critic of schema"),
        (b"[1]", "no critic of schema"),
        (b"{}", "no critic of schema"),
        (pickle.dumps(Bomb()), "no critic's file"),
        (body()[:-40], "no critic's file"),
        (body() + b"}", "no critic's file"),
        (b"[" * 1_000_000, "no critic's file"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "no critic's file"),
        (b"\xff\xfe" + body(), "no critic's file"),
        (body()[:-1] + b', "kind": "prob"}', "'kind' stands there twice"),
        (b'{"schema": 1, "fitted": NaN}', "no critic's file"),
        (b'{"schema": 1, "fitted": ' + b"9" * 5000 + b"}", "no critic's file"),
        (body(schema=2), "no critic of schema 1"),
        (body(schema=True), "no critic of schema 1"),
        (body(schema=1.0), "no critic of schema 1"),
        (body(name="\x1b[31mred\n"), "can be printed"),
        (body(features=[feature()[0], {**body_of(SAVED)["features"][1], "name": "signal:\x07"}]), "can be printed"),
        (body(objective="x" * 100_000), "objective"),
        (body(more=1), "more"),
        (body(name=...), "name"),
        (body(name=3), "name"),
        (body(fitted=...), "fitted model"),
        (body(fitted={"kind": "linear"}), "fitted model"),
        (body(objective="hope"), "objective"),
        (body(kind="rank"), "kind"),
        (body(trained={"rows": "many"}), "trained"),
        (body(calibration={"method": "magic"}), "calibration"),
        (body(calibration={"method": "platt", "slope": -1.0}), "slope"),
        (body(calibration={"method": "platt", "more": 1}), "more"),
        (body(features=feature(version=2)), "version 2 of the feature 'length'"),
        (body(features=feature(version="1")), "version"),
        (body(features=feature(columns=["words"])), "1 columns"),
        (body(features=feature(name="os.system")), "'os.system', which is not known"),
        (body(features=feature(name="signal:")), "not known"),
        (body(features=[]), "features give 0"),
        (body(generators=["other"]), "was altered"),
        (body(digest="0" * 16), "was altered"),
    ],
)
def test_files_from_strangers_are_refused_with_a_reason(content: bytes, fault: str, tmp_path: Path):
    (tmp_path / "critic.json").write_bytes(content)
    with pytest.raises(TaskError, match=fault) as refused:
        load_critic(tmp_path / "critic.json")
    assert len(str(refused.value)) < 600 + len(str(tmp_path))


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path):
    with (tmp_path / "critic.json").open("wb") as file:
        file.truncate(2**30)  # a gigabyte of nothing, which takes no room
    with pytest.raises(TaskError, match="larger than 16777216 bytes"):
        load_critic(tmp_path / "critic.json")


def test_a_file_that_is_not_there_is_said(tmp_path: Path):
    with pytest.raises(TaskError, match="cannot be read"):
        load_critic(tmp_path / "none.json")
    with pytest.raises(TaskError, match="cannot be read"):
        load_critic(tmp_path)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    SAVED.save(tmp_path / "critic.json")

    def full(path: Path, target: Path) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as disk, pytest.raises(TaskError, match="no space left"):
        disk.setattr(Path, "replace", full)
        CRITIC.save(tmp_path / "critic.json")
    assert load_critic(tmp_path / "critic.json") == SAVED
    assert len(list(tmp_path.iterdir())) == 1


def test_a_critic_that_could_not_be_read_again_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(learned, "LARGEST", 100)
    with pytest.raises(TaskError, match="more than 100 bytes"):
        SAVED.save(tmp_path / "critic.json")
