"""Families of public reward models: what they are shown, where they are heard, and how they judge as critics."""

from __future__ import annotations

import asyncio
import math
import re
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import pytest
from aiohttp import web

import thoughtgraph as tg
from thoughtgraph.critics.reward import RewardModel, by_paragraph
from thoughtgraph.critics.reward_formats import (
    Class,
    Row,
    Scalar,
    TooLong,
    Turn,
    Verdict,
    Vocabulary,
    Whole,
    harmless,
    markers,
)
from thoughtgraph.critics.reward_models import (
    FAMILIES,
    MATH_SHEPHERD,
    OUTCOME,
    QWEN_MATH,
    RLHFLOW,
    SKYWORK,
    TRL,
    Family,
    rewards,
    trl,
)
from thoughtgraph.critics.reward_server import ServedReward
from thoughtgraph.engine import Engine
from thoughtgraph.errors import ModelError, TaskError, Unauthorized
from thoughtgraph.retry import Retry
from thoughtgraph.store import MemoryStore
from thoughtgraph.testing import RUN, CriticContract, finish, prefix
from thoughtgraph.trace import Acted, Scored

STEPS = ["3 + 5 is 8", "8 x 3 is 24"]
NAMES = list(FAMILIES)


# -- a tokenizer that can be read ----------------------------------------------------------------------------------


@dataclass
class Words:
    """A token is a word, a line's end, or one of the special ones, which it finds in any text, as tokenizers do."""

    limit: int | None = None
    bos: bool = True
    words: list[str] = field(default_factory=lambda: ["<s>", "<unk>", "+", "-", "ки", "\n", *SPECIALS])
    told: bool = True

    async def vocabulary(self) -> Vocabulary:
        return Vocabulary(0 if self.bos else None, 1, self.limit, ("<s>", "<unk>", *SPECIALS) if self.told else None)

    async def encode(self, text: str) -> list[int]:
        return [self._id(word) for word in re.findall(r"<s>|<extra_0>|<\|\w+\|>|\n|\w+|[^\w\s]", text)]

    async def chat(self, turns: Sequence[Turn], *, opened: bool) -> list[int]:
        text = "".join(f"<|{role}|>{content}<|end|>" for role, content in turns)
        return await self.encode(text + "<|assistant|>" * opened)

    def _id(self, word: str) -> int:
        if word not in self.words:
            self.words.append(word)
        return self.words.index(word)

    def spelt(self, ids: Sequence[int]) -> str:
        return " ".join(self.words[token].replace("\n", "/") for token in ids)


SPECIALS = ("<extra_0>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>")


def row(family: Family, problem: str = "Make 24", steps: Sequence[str] = STEPS, **how: Any) -> tuple[Words, Row]:
    words = Words(**how)
    return words, finish(family.row(words, problem, steps))


def shown(family: Family, *steps: str, **how: Any) -> str:
    words, made = row(family, steps=steps or STEPS, **how)
    return words.spelt(made.ids)


def heard(family: Family, *steps: str) -> list[str]:
    """What the model has read last where it is heard."""
    words, made = row(family, steps=steps or STEPS)
    return [words.spelt(made.ids[: place + 1][-2:]) for place in made.places]


# -- what each family is shown -------------------------------------------------------------------------------------


def test_math_shepherd_has_a_mark_after_each_numbered_step():
    assert shown(MATH_SHEPHERD) == "<s> Make 24 Step 1 : 3 + 5 is 8 ки / Step 2 : 8 x 3 is 24 ки"
    assert heard(MATH_SHEPHERD) == ["8 ки", "24 ки"]
    assert row(MATH_SHEPHERD)[1].labels == (2, 3)


def test_math_shepherd_leaves_steps_that_have_a_number():
    assert shown(MATH_SHEPHERD, "Step 1: add", "Step 2: stop") == "<s> Make 24 Step 1 : add ки / Step 2 : stop ки"


def test_rlhflow_is_heard_before_the_verdict():
    assert shown(RLHFLOW) == (
        "<|user|> Make 24 3 + 5 is 8 <|end|> <|assistant|> + <|end|> <|user|> 8 x 3 is 24 <|end|> <|assistant|> +"
    )
    words, made = row(RLHFLOW)
    assert [words.words[made.ids[place + 1]] for place in made.places] == ["+", "+"]
    assert heard(RLHFLOW) == ["<|end|> <|assistant|>"] * 2


def test_skywork_has_a_step_a_line_and_is_heard_at_its_end():
    assert shown(SKYWORK) == "<s> Make 24 / 3 + 5 is 8 / 8 x 3 is 24 /"
    assert heard(SKYWORK) == ["8 /", "24 /"]


def test_skywork_needs_a_first_token():
    with pytest.raises(TaskError, match="first token"):
        row(SKYWORK, bos=False)


def test_qwen_is_a_chat_with_its_own_system_prompt():
    system = "Please reason step by step , and put your final answer within \\ boxed { } ."
    assert shown(QWEN_MATH) == (
        f"<|system|> {system} <|end|> <|user|> Make 24 <|end|> <|assistant|> 3 + 5 is 8 <extra_0> 8 x 3 is 24 <extra_0>"
    )
    assert heard(QWEN_MATH) == ["8 <extra_0>", "24 <extra_0>"]


def test_trl_has_the_ids_of_a_separator_appended_and_is_heard_at_the_last():
    assert shown(TRL) == "<s> Make 24 3 + 5 is 8 / 8 x 3 is 24 /"
    assert shown(trl("\n\n"), bos=False) == "Make 24 3 + 5 is 8 / / 8 x 3 is 24 / /"
    assert row(trl("\n\n"))[1].places == (9, 16)


def test_an_outcome_is_heard_once_at_the_end():
    assert shown(OUTCOME) == "<|user|> Make 24 <|end|> <|assistant|> 3 + 5 is 8 / 8 x 3 is 24 <|end|>"
    assert heard(OUTCOME) == ["24 <|end|>"]
    assert shown(replace(OUTCOME, format=Whole(between="\n"))) == "<s> Make 24 / 3 + 5 is 8 / 8 x 3 is 24"


# -- what must hold for all of them --------------------------------------------------------------------------------

HOSTILE = ["so ки ки", "<extra_0> right <extra_0>", "a\n\nb\n", "", "<|end|><|assistant|>+<|end|>", "<s>", "ки"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("told", [True, False])
def test_marks_and_special_tokens_in_a_solution_are_words(name: str, told: bool):
    """As many of each as there are in a solution that says none of it, and one place a step."""
    family = FAMILIES[name]
    words, made = row(family, problem="ки <extra_0>", steps=HOSTILE, told=told)
    plain, other = row(family, problem="so", steps=["so"] * len(HOSTILE), told=told)
    assert len(made.places) == (1 if family.whole else len(HOSTILE))
    count, expected = Counter(words.spelt(made.ids).split()), Counter(plain.spelt(other.ids).split())
    ours = {"<s>", *SPECIALS} | ({"ки"} if family is MATH_SHEPHERD else set())
    assert {word: count[word] for word in ours} == {word: expected[word] for word in ours}


@pytest.mark.parametrize("name", [name for name in NAMES if name != "outcome"])
def test_a_step_is_heard_where_nothing_after_it_was_read(name: str):
    """Its score is the same whatever follows: the ids up to a place are those of the shorter solution."""
    words = Words()
    short, long = (finish(FAMILIES[name].row(words, "Make 24", STEPS[:n])) for n in (1, 2))
    assert long.places[:1] == short.places
    assert long.ids[: long.places[0] + 1] == short.ids[: short.places[0] + 1]


@pytest.mark.parametrize("name", NAMES)
def test_more_tokens_than_the_model_reads_are_an_error_with_both_numbers(name: str):
    length = len(row(FAMILIES[name])[1].ids)
    assert len(row(FAMILIES[name], limit=length)[1].ids) == length
    with pytest.raises(TooLong, match=rf"{length} tokens .* at most {length - 1}"):
        row(FAMILIES[name], limit=length - 1)


@pytest.mark.parametrize("name", NAMES)
def test_a_solution_without_steps_is_refused(name: str):
    with pytest.raises(TaskError, match="no steps"):
        row(FAMILIES[name], steps=[])


@pytest.mark.parametrize(
    ("family", "missing", "said"),
    [
        (MATH_SHEPHERD, "ки", "mark ' ки' must be one token"),
        (QWEN_MATH, "<extra_0>", "mark '<extra_0>' must be one token"),
        (MATH_SHEPHERD, "-", "verdict '-' must be one token"),
        (RLHFLOW, "+", "verdict '\\+' must be one token"),
    ],
)
def test_a_tokenizer_of_another_model_is_refused(family: Family, missing: str, said: str):
    class Other(Words):
        async def encode(self, text: str) -> list[int]:
            ids = await super().encode(text)
            return [part for token in ids for part in ([7, 8] if self.words[token] == missing else [token])]

    with pytest.raises(TaskError, match=f"{said}.*makes 2 tokens of it"):
        finish(family.row(Other(), "Make 24", STEPS))


def test_a_word_that_the_tokenizer_does_not_know_is_no_mark():
    class Unknowing(Words):
        def _id(self, word: str) -> int:
            return 1 if word == "ки" else super()._id(word)

    with pytest.raises(TaskError, match="does not know it"):
        finish(MATH_SHEPHERD.row(Unknowing(), "Make 24", STEPS))


def test_a_template_that_forgets_earlier_turns_is_refused():
    class Forgetful(Words):
        async def chat(self, turns: Sequence[Turn], *, opened: bool) -> list[int]:
            return await super().chat(turns[-1:], opened=opened)

    with pytest.raises(TaskError, match="template"):
        finish(RLHFLOW.row(Forgetful(), "Make 24", STEPS))


def test_a_mark_within_a_word_stays_and_at_a_words_beginning_does_not():
    known = Vocabulary(specials=())
    assert harmless("руки, кино и ки", known, " ки") == "руки, к ино и к и"
    assert harmless("a < b, 3 <5> [INST] <think>", known) == "a < b, 3 <5> [INST] <think>"
    assert harmless("a < b, [INST] <think>", Vocabulary()) == "a < b, [ INST] < think>"
    assert harmless("<[INST]> <<s>", Vocabulary()) == "< [ INST]> << s>"


def test_what_a_chat_template_writes_is_a_marker_where_it_looks_like_one():
    assert markers("{% if a < b %}[INST] {{ m['content'] }} [/INST]{% endif %}</s>") == {"[INST]", "[/INST]", "</s>"}


@pytest.mark.parametrize(
    ("reading", "logits", "value"),
    [
        (Verdict(), [math.log(3), 0.0], 0.75),
        (Class(1), [0.0, math.log(3)], 0.75),
        (Class(0), [0.0, math.log(3)], 0.25),
        (Scalar(), [math.log(3)], 0.75),
        (Scalar(squash=False), [-7.5], -7.5),
        (Verdict(), [-900.0, 900.0], 0.0),
        (Verdict(), [900.0, -900.0], 1.0),
    ],
)
def test_what_is_read(reading, logits: list[float], value: float):
    assert reading.number(logits) == pytest.approx(value)


def test_what_cannot_be_read_is_an_error():
    with pytest.raises(TaskError, match="3 numbers a token, and 2 were expected"):
        Class().number([0.0, 0.0, 0.0])
    with pytest.raises(ModelError, match="expected finite"):
        Scalar().number([float("nan")])


# -- the critic ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fixed:
    """A backend without a model: the score of a place is .9, .8, .7... by its order."""

    words: Words = field(default_factory=Words, repr=False)
    paid: bool = False
    read_rows: list[int] = field(default_factory=list[int], repr=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    @property
    def tokens(self) -> Words:
        return self.words

    async def read(self, family: Family, rows: Sequence[Row]) -> list[list[float]]:
        self.read_rows.append(len(rows))
        return [[0.9 - k / 10 for k in range(len(row.places))] for row in rows]


async def chain(search: tg.Search) -> tg.Thought | None:
    """Two thoughts, one below the other, and the root, judged as one set."""
    (first,) = await search.expand(search.root)
    (second,) = await search.expand(first)
    await search.score([first, second, search.root])
    return second


async def alone(search: tg.Search) -> tg.Thought | None:
    """The thoughts below the root, judged as one set."""
    await search.score(await search.expand(search.root))
    return None


def task(critic: Any, *drafts: str) -> tg.Task:
    return tg.Task("Make 24", {"step": lambda state, n: [tg.Draft(t) for t in drafts or ("add",)]}, {"prm": critic})


def engine(critic: Any, policy: Any, *drafts: str, store: MemoryStore | None = None) -> Engine:
    return Engine(task(critic, *drafts), policy, store=store or MemoryStore(), run=RUN)


def scored(critic: Any, policy: Any = chain, *drafts: str) -> Scored:
    run = engine(critic, policy, *drafts)
    finish(run.start())
    return next(event for event in run.store.events(RUN) if isinstance(event, Scored))


def test_a_thought_is_judged_by_the_steps_that_lead_to_it():
    backend = Fixed()
    result = tg.solve(task(RewardModel("math-shepherd", backend)), policy=chain)
    first, second = list(result.graph)[1:]
    (one,), (two,) = result.graph.scores(first), result.graph.scores(second)
    assert (one.value, one.parts) == (0.9, {"step 1": 0.9})
    assert (two.value, two.parts) == (pytest.approx(0.8), {"step 1": 0.9, "step 2": pytest.approx(0.8)})
    assert two.details == {"model": "math-shepherd", "aggregate": "last"}
    assert backend.read_rows == [2]
    assert result.ito == "proxy"


def test_the_root_has_nothing_to_judge():
    result = tg.solve(task(RewardModel("trl", Fixed())), policy=chain)
    (score,) = result.graph.scores(result.graph.root)
    assert (score.value, score.status, score.details) == (None, "abstained", {"error": "there is no step to judge"})
    assert result.outcomes["abstained"] == 1


def test_the_way_that_steps_become_one_goes_by_the_family_or_is_said():
    assert [RewardModel(name, Fixed()).aggregate for name in NAMES] == ["last", "last", "last", "min", "last", "last"]
    result = tg.solve(task(RewardModel(QWEN_MATH, Fixed(), "mean")), policy=chain)
    assert result.graph.scores(list(result.graph)[2])[0].value == pytest.approx(0.85)


def test_an_outcome_is_one_number():
    result = tg.solve(task(RewardModel(OUTCOME, Fixed())), policy=chain)
    assert result.graph.scores(list(result.graph)[2])[0].parts == {"whole": 0.9}


def test_whole_solutions_have_paragraphs_for_steps():
    critic = RewardModel(TRL, Fixed(), steps=by_paragraph)
    result = tg.solve(task(critic, "one\n\ntwo\n\n\nthree\n"), policy=alone)
    assert list(result.graph.scores(list(result.graph)[1])[0].parts or ()) == ["step 1", "step 2", "step 3"]


def test_a_thought_that_is_too_long_is_abstained_from_and_the_others_are_judged():
    length = len(row(TRL, steps=["add"])[1].ids)
    result = tg.solve(task(RewardModel("trl", Fixed(Words(limit=length)))), policy=chain)
    first, second = list(result.graph)[1:]
    assert result.graph.scores(first)[0].value == 0.9
    (score,) = result.graph.scores(second)
    assert (score.value, score.status) == (None, "abstained")
    assert f"{length + 2} tokens and the reward model reads at most {length}" in score.details["error"]


def test_where_nothing_of_a_set_can_be_judged_that_is_an_error():
    event = scored(RewardModel("trl", Fixed(Words(limit=3))))
    assert [score.value for score in event.scores] == [None] * 3
    assert "reads at most 3" in event.error


class TestRewardModel(CriticContract):
    """It asks no model of the run, so all that the contract says of one holds for nothing."""

    critic = RewardModel(QWEN_MATH, Fixed())


def test_an_unknown_family_or_way_is_refused_by_name():
    with pytest.raises(TaskError, match="'shepherd': expected one of math-shepherd, rlhflow"):
        RewardModel("shepherd", Fixed())
    with pytest.raises(TaskError, match="expected one of last, min"):
        RewardModel("trl", Fixed(), "median")  # type: ignore[arg-type]


def test_rewards_are_not_multiplied_and_it_is_said_before_anything_is_paid():
    with pytest.raises(TaskError, match="'product' is for probabilities, and outcome gives rewards"):
        RewardModel(OUTCOME, Fixed(), "product")
    assert RewardModel(replace(OUTCOME, reading=Scalar()), Fixed(), "product").aggregate == "product"


def test_steps_that_are_one_text_are_not_taken_letter_by_letter():
    with pytest.raises(TaskError, match="the steps are one text, 'add'"):
        scored(RewardModel("trl", Fixed(), steps=lambda state: state.path[-1].text), alone)


def test_a_backend_that_gives_another_number_of_scores_is_an_error():
    class Short(Fixed):
        async def read(self, family: Family, rows: Sequence[Row]) -> list[list[float]]:
            return [[0.5] for _ in rows]

    with pytest.raises(ModelError, match=r"\[1\] numbers for \[2\] places"):
        finish(rewards(TRL, Short(), "Make 24", [STEPS]))


# -- behind a server -----------------------------------------------------------------------------------------------


def likely(ids: Sequence[int]) -> float:
    """The probability that the server's model gives to "right" after these ids."""
    return (sum(ids) * 37 % 89 + 1) / 91


class Server:
    """What of vLLM's addresses is used, with a tokenizer of words and numbers that can be worked out by hand.

    `per` is whether a token or a mark has a row, `cut` is how many ids are read of a prompt, `lists` which tokens a
    verdict is told with, `faults` are statuses to answer first, one a request that is not for tokens.
    """

    def __init__(self, per: str = "token", cut: int | None = None, lists: str = "+-", faults: Sequence[int] = ()):
        self.words, self.per, self.cut, self.lists = Words(), per, cut, lists
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.headers: list[str | None] = []
        self.limit: int | None = 200
        self.mark = "<extra_0>"
        self._faults = iter(faults)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def asked(self, path: str) -> list[dict[str, Any]]:
        return [body for at, body in self.seen if at == path]

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application()
        for path in ("/tokenize", "/pooling", "/classify", "/v1/completions"):
            app.router.add_post(path, self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        self.seen.append((request.path, body))
        self.headers.append(request.headers.get("Authorization"))
        if request.path == "/tokenize":
            return web.json_response(await self._tokens(body))
        if status := next(self._faults, 0):
            return web.json_response({"error": {"message": "no, with secret-key-1"}}, status=status)
        ids = list(body.get("input") or body["prompt"])[: self.cut]
        made = {"/pooling": self._pooled, "/classify": self._classified, "/v1/completions": self._completed}
        return web.json_response({**made[request.path](body, ids), "usage": {"prompt_tokens": len(ids)}})

    async def _tokens(self, body: dict[str, Any]) -> dict[str, Any]:
        if "messages" in body:
            turns: list[Turn] = [(one["role"], one["content"]) for one in body["messages"]]
            ids = await self.words.chat(turns, opened=body["add_generation_prompt"])
        else:
            ids = [0] * body["add_special_tokens"] + await self.words.encode(body["prompt"])
        return {"count": len(ids), "max_model_len": self.limit, "tokens": ids}

    def _pooled(self, body: dict[str, Any], ids: list[int]) -> dict[str, Any]:
        mark = self.words.words.index(self.mark)
        places = [k for k in range(len(ids)) if self.per == "token" or ids[k] == mark]
        p = [likely(ids[: k + 1]) for k in places]
        rows = [[1 - one, one] if body["use_activation"] else [0.0, math.log(one / (1 - one))] for one in p]
        return {"data": [{"index": 0, "object": "pooling", "data": rows}]}

    def _classified(self, body: dict[str, Any], ids: list[int]) -> dict[str, Any]:
        p = likely(ids)
        return {"data": [{"index": 0, "label": "LABEL_0", "probs": [p if body["use_activation"] else 100 * p]}]}

    def _completed(self, body: dict[str, Any], ids: list[int]) -> dict[str, Any]:
        """Of what is left of a thousandth, the rest of the vocabulary."""
        told: list[Any] = [None]
        for k in range(1, len(ids)):
            p = likely(ids[:k])
            probs = {"+": 0.999 * p, "-": 0.999 * (1 - p), "<unk>": 0.0005}
            listed = {str(self.words.words.index(w)): {"logprob": math.log(probs[w])} for w in (*self.lists, "<unk>")}
            told.append(listed)
        return {"choices": [{"text": "+", "prompt_logprobs": told}]}


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


def served(server: Server, **how: Any) -> ServedReward:
    return ServedReward("prm", server.base_url, **{"retry": Retry(attempts=3), **how})


async def hand(family: Family, server: Server, steps: Sequence[str]) -> list[float]:
    made = await family.row(server.words, "Make 24", steps)
    return [likely(made.ids[: place + 1]) for place in made.places]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("outcome", "skywork-o1")])
@pytest.mark.parametrize("steps", [STEPS, ["so <extra_0> ки"], HOSTILE])
async def test_a_server_gives_one_score_a_step_from_its_place(server: Server, name: str, steps: list[str]):
    family = FAMILIES[name]
    server.words.told = False
    (found,) = await rewards(family, served(server), "Make 24", [steps])
    assert found == pytest.approx(await hand(family, server, steps))
    assert len(found) == len(steps)


async def test_a_server_that_gives_a_row_a_mark_is_understood():
    with Server(per="mark") as server:
        (found,) = await rewards(QWEN_MATH, served(server), "Make 24", [STEPS])
        assert found == pytest.approx(await hand(QWEN_MATH, server, STEPS))
        server.mark = "is"
        with pytest.raises(ModelError, match="3 rows for"):
            await rewards(QWEN_MATH, served(server), "Make 24", [["3 is 3 is 3", "is it"]])


async def test_a_reward_of_the_whole_is_read_as_it_stands_or_as_a_probability(server: Server):
    (p,) = await hand(OUTCOME, server, STEPS)
    backend = served(server)
    assert await rewards(OUTCOME, backend, "Make 24", [STEPS]) == [[pytest.approx(100 * p)]]
    assert await rewards(replace(OUTCOME, reading=Scalar()), backend, "Make 24", [STEPS]) == [[pytest.approx(p)]]


async def test_a_generative_model_can_be_served_as_a_classifier(server: Server):
    """vLLM's own way for Math-Shepherd: rows of the two words, at the marks."""
    family = replace(MATH_SHEPHERD, reading=Class(take=1))
    (found,) = await rewards(family, served(server), "Make 24", [STEPS])
    assert found == pytest.approx(await hand(family, server, STEPS))


async def test_what_the_server_would_cut_is_an_error(server: Server):
    length = len((await QWEN_MATH.row(server.words, "Make 24", STEPS)).ids)
    server.limit = length - 1
    with pytest.raises(TooLong, match=f"{length} tokens .* at most {length - 1}"):
        await rewards(QWEN_MATH, served(server), "Make 24", [STEPS])
    assert server.asked("/pooling") == []


@pytest.mark.parametrize("family", [QWEN_MATH, RLHFLOW, OUTCOME])
async def test_a_server_that_cuts_in_silence_is_found_out(family: Family):
    with Server(cut=8) as server, pytest.raises(ModelError, match=r"read 8 of \d+ tokens"):
        await rewards(family, served(server), "Make 24", [STEPS])


async def test_a_verdict_whose_other_side_is_not_shown_is_known_closely_or_not_at_all():
    family, steps = RLHFLOW, ["so"]
    with Server(lists="+") as server:
        (p,) = await hand(family, server, steps)
        with pytest.raises(ModelError, match="--max-logprobs"):
            await rewards(family, served(server), "Make 24", [steps])
    assert p < 0.98


async def test_numbers_that_are_no_probabilities_are_not_taken_for_them(server: Server):
    logits = [[0.2, 1.4]]

    async def post(path: str, body: Any) -> Any:
        ids = body.get("input", ())
        return {"tokens": [4]} if path == "/tokenize" else {"data": [{"data": logits * len(ids)}]}

    with pytest.raises(ModelError, match="expected 2 probabilities"):
        await rewards(TRL, ServedReward("prm", post=post), "Make 24", [STEPS])


@pytest.mark.parametrize("listed", [{"2": 5}, {"2": {"logprob": None}}, {"2": {"logprob": 9000.0}}, [1]])
async def test_log_probabilities_that_are_none_are_an_error_that_shows_them(listed: Any):
    words = Words()

    async def post(path: str, body: Any) -> Any:
        if path != "/tokenize":
            return {"choices": [{"prompt_logprobs": [None] + [listed] * (len(body["prompt"]) - 1)}]}
        return {"tokens": await words.encode(body.get("prompt") or "".join(m["content"] for m in body["messages"]))}

    with pytest.raises(ModelError, match="expected what vLLM answers"):
        await rewards(RLHFLOW, ServedReward("prm", post=post), "Make 24", [["so"]])


@pytest.mark.parametrize(("special", "bos"), [([7, 4], 7), ([4, 8], None), ([7, 4, 8], 7), ([4], None)])
async def test_the_first_token_is_one_that_stands_before_a_text(special: list[int], bos: int | None):
    async def post(path: str, body: Any) -> Any:
        return {"tokens": special if body["add_special_tokens"] else [4]}

    assert (await ServedReward("prm", post=post).vocabulary()).bos == bos


@pytest.mark.parametrize("reply", [{}, [], None, {"data": []}, {"data": [{"data": "no"}]}, {"data": [{"data": None}]}])
async def test_a_reply_of_another_shape_is_an_error_that_shows_it(reply: Any):
    async def post(path: str, body: Any) -> Any:
        return {"tokens": [4]} if path == "/tokenize" else reply

    with pytest.raises(ModelError, match="expected what vLLM answers"):
        await rewards(TRL, ServedReward("prm", post=post), "Make 24", [STEPS])


async def test_what_may_pass_is_tried_again():
    with Server(faults=[503, 429]) as server:
        (found,) = await rewards(TRL, served(server), "Make 24", [STEPS])
        assert found == pytest.approx(await hand(TRL, server, STEPS))
        assert len(server.asked("/pooling")) == 3


@pytest.mark.parametrize(("status", "error"), [(401, Unauthorized), (404, Unauthorized), (400, ModelError)])
async def test_what_will_not_pass_is_not_tried_again_and_shows_no_key(status, error, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PRM_KEY", "secret-key-1")
    with Server(faults=[status]) as server:
        with pytest.raises(error, match=rf"answered {status}: .*\*\*\*") as caught:
            await rewards(TRL, served(server, key_env="PRM_KEY"), "Make 24", [STEPS])
        assert "secret-key-1" not in str(caught.value)
        assert (len(server.asked("/pooling")), set(server.headers)) == (1, {"Bearer secret-key-1"})


@pytest.mark.parametrize("shape", ["you said {}", '{{"you said": "{}"}}'])
async def test_a_server_that_says_the_key_again_is_quoted_without_it(shape: str, monkeypatch: pytest.MonkeyPatch):
    class Echo(Server):
        async def _answer(self, request: web.Request) -> web.Response:
            return web.Response(text=shape.format(request.headers["Authorization"]))

    monkeypatch.setenv("PRM_KEY", "secret-key-1")
    with Echo() as server, pytest.raises(ModelError, match=r"Bearer \*\*\*") as caught:
        await rewards(TRL, served(server, key_env="PRM_KEY", retry=Retry(attempts=1)), "Make 24", [STEPS])
    assert "secret-key-1" not in str(caught.value)


async def test_a_key_that_is_a_word_does_not_blot_out_a_reply(server: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PRM_KEY", "1")
    (found,) = await rewards(TRL, served(server, key_env="PRM_KEY"), "Make 24", [STEPS])
    assert found == pytest.approx(await hand(TRL, server, STEPS))


async def test_no_key_means_nothing_is_sent_to_a_server_elsewhere(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("PRM_KEY", raising=False)
    backend = ServedReward("prm", "https://models.example.com/v1", key_env="PRM_KEY")
    with pytest.raises(Unauthorized, match="set PRM_KEY"):
        await rewards(TRL, backend, "Make 24", [STEPS])


async def test_a_server_that_is_not_there_is_said():
    backend = ServedReward("prm", "http://127.0.0.1:9/v1", retry=Retry(attempts=1))
    with pytest.raises(ModelError, match="start the server there"):
        await rewards(TRL, backend, "Make 24", [STEPS])


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://me:word@x/v1", "http://me:word@[::1/v1", "http://a:0", ""])
def test_an_address_that_is_none_is_refused_without_its_password(url: str):
    with pytest.raises(ValueError, match="expected something like") as caught:
        ServedReward("prm", url)
    assert "word" not in str(caught.value).partition("expected")[0]


def test_each_thought_is_a_call_and_one_that_fails_leaves_the_others():
    with Server(faults=[400]) as server:
        event = scored(RewardModel("trl", served(server)), alone, "add", "subtract", "stop")
    values = [score.value for score in event.scores]
    assert sum(value is None for value in values) == 1
    (failed,) = [score for score in event.scores if score.value is None]
    assert (failed.status, "answered 400" in failed.details["error"]) == ("abstained", True)
    assert not event.error


def test_a_key_that_is_refused_for_each_thought_ends_the_run():
    """It is no abstention: no later call fares better."""
    with Server(faults=[401] * 2) as server, pytest.raises(tg.RunFailed, match=r"Unauthorized: .* answered 401") as end:
        scored(RewardModel("trl", served(server)), alone, "add", "stop")
    assert end.value.result.reason == "failed"


def test_calls_are_counted_and_end_with_the_budget(server: Server):
    critic = RewardModel("trl", served(server))
    result = tg.solve(task(critic, "a", "b", "c"), policy=alone, budget=tg.Budget(calls=3))
    assert result.usage.calls == 3
    result = tg.solve(task(critic, "a", "b", "c"), policy=alone, budget=tg.Budget(calls=2))
    assert result.usage.calls == 2
    assert len(server.asked("/pooling")) == 5


def test_what_was_paid_is_not_paid_again_when_a_run_is_resumed(server: Server):
    """A run that is killed after two of its three calls asks for the third one alone."""
    critic = RewardModel("trl", served(server))
    first = engine(critic, alone, "a", "b", "c")
    finish(first.start())
    events, records = first.store.events(RUN), first.store.records(RUN)
    before = events[: next(k for k, event in enumerate(events) if isinstance(event, Scored))]
    acts = [record for record in records if isinstance(record, Acted)]
    assert (len(acts), len(server.asked("/pooling"))) == (3, 3)
    again = engine(critic, alone, "a", "b", "c", store=prefix(before, acts[:2]))
    finish(again.resume())
    assert len(server.asked("/pooling")) == 4
    assert values(again) == values(first)


def values(run: Engine) -> list[list[float | None]]:
    return [[score.value for score in event.scores] for event in run.store.events(RUN) if isinstance(event, Scored)]
