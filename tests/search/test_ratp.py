"""RATP: the contract, a golden trace, and which thoughts it combines with which passages and thoughts, by hand."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false

from collections.abc import Sequence
from dataclasses import replace

import pytest
from golden import same_as_golden

import thoughtgraph as tg
from thoughtgraph.generators import Sample
from thoughtgraph.models import Scripted
from thoughtgraph.retrieval import Retrieve
from thoughtgraph.search.ratp import RATP, _Graph
from thoughtgraph.testing import PolicyContract
from thoughtgraph.thought import as_passage
from thoughtgraph.verbs import Search


class TestRATP(PolicyContract):
    policy = RATP(simulations=8)


class TestRATPWithWorkersWhereThoughtsAreAnswers(PolicyContract):
    policy = RATP(simulations=8, workers=3, share=0.7, conclude=None, threshold=None)


def test_its_trace_is_the_golden_one():
    same_as_golden("ratp", RATP(simulations=4))


# -- a small library -------------------------------------------------------------------------------

PLAIN = {"c": 1.0, "share": 0.5, "passages": 2, "together": False, "threshold": 1.0, "confirm": 1, "ends": 1}


def plain(**how) -> RATP:
    """Each passage by itself, one judgement, one answer: what can be followed by hand."""
    return RATP(**{**PLAIN, **how})


LIBRARY = [tg.Passage(text, f"page {page}") for page, text in enumerate(("one", "two", "three", "four"), 1)]


async def library(query: str, k: int) -> Sequence[tg.Passage]:
    return LIBRARY[:k]


class Notes:
    """A thought is its passage's or its partner's words behind its own: "one", "one two", "one+one two"."""

    def __init__(
        self,
        values: dict[str, float],
        knowledge=library,
        goal: str | None = None,
        k: int = 1,
        default: float | None = None,
    ) -> None:
        self.values, self.default = values, default
        self.asked = list[tuple[str, str]]()
        actions = {"retrieve": Retrieve(knowledge, k=k), "combine": self.combine, "answer": self.answer}
        test = None if goal is None else (lambda path: path[-1].content == goal)
        self.task = tg.Task("What?", actions, {"value": self.value}, start="", goal=test)
        self.goal = goal

    def combine(self, state: tg.State, n: int) -> list[tg.Draft]:
        mine, other = state.thoughts
        passage = as_passage(other)
        self.asked.append((mine.text, other.text))
        text = f"{mine.text} {passage.text}".strip() if passage else f"{mine.text}+{other.text}"
        return [tg.Draft(text, done=text == self.goal)]

    def answer(self, state: tg.State, n: int) -> list[tg.Draft]:
        return [tg.Draft(f"it is {state.content}", done=True)]

    def value(self, states: Sequence[tg.State]) -> list[tg.Score]:
        return [tg.Score(self.values.get(state.content, self.default)) for state in states]

    def run(self, policy: RATP, **how) -> tg.Result:
        return tg.solve(self.task, policy=policy, budget=tg.Budget(), **how)


def test_a_thought_is_combined_with_each_passage_that_it_leads_to_and_both_are_its_parents():
    notes = Notes({"one": 0.3, "two": 0.6}, k=2)
    result = notes.run(plain(simulations=1, passages=2))
    assert notes.asked == [("", "one"), ("", "two")]
    two = next(thought for thought in result.graph if thought.content == "two")
    parents = result.graph.parents(two)
    assert [as_passage(parent) for parent in parents] == [None, tg.Passage("two", "page 2")]
    assert parents[0] == result.graph.root


def test_a_passage_used_on_the_way_is_not_found_again():
    notes = Notes({"one": 0.5, "one two": 0.6, "one two three": 0.7})
    notes.run(plain(simulations=9, share=1.0, passages=1))
    assert notes.asked[:3] == [("", "one"), ("one", "two"), ("one two", "three")]
    assert not [passage for mine, passage in notes.asked if passage in mine.split()]


def test_the_best_thought_is_what_the_answer_is_made_of():
    notes = Notes({"one": 0.3, "two": 0.6}, k=2)
    assert notes.run(plain(simulations=1)).answer == "it is two"
    assert notes.run(plain(simulations=1, conclude=None)).answer is None


def test_it_ends_as_soon_as_a_thought_is_good_enough():
    values = {"one": 0.5, "one two": 0.9, "one two three": 0.2}
    notes = Notes(values)
    assert notes.run(plain(share=1.0, threshold=0.9)).answer == "it is one two"
    assert len(notes.asked) == 2
    notes = Notes(values)
    assert notes.run(plain(share=1.0, threshold=None)).answer == "it is one two"
    assert len(notes.asked) > 2


def test_a_combination_that_passes_the_goal_test_ends_it():
    notes = Notes({"one": 0.5}, goal="one two")
    assert notes.run(plain(share=1.0)).answer == "one two"
    assert len(notes.asked) == 2


def test_an_answer_that_fails_the_goal_test_is_none():
    notes = Notes({"one": 0.5}, goal="never")
    result = notes.run(plain(simulations=2))
    assert result.answer is None
    assert result.reason == "exhausted"


@pytest.mark.parametrize("goal", [True, False])
def test_an_end_that_cannot_be_an_answer_is_not_what_the_answer_is_made_of(goal):
    """Of the two, the second is final and worth more, or as little known: the answer is made of the first."""
    notes = Notes({} if goal else {"one": 0.5, "two": 0.9}, k=2)

    def combine(state: tg.State, n: int) -> list[tg.Draft]:
        return [replace(draft, done=draft.content == "two") for draft in notes.combine(state, n)]

    said = lambda path: path[-1].content if path[-1].content.startswith("it is") else None
    passes = (lambda path: path[-1].content == "it is one") if goal else None
    notes.task = replace(notes.task, actions={**notes.task.actions, "combine": combine}, claim=said, goal=passes)
    assert notes.run(plain(simulations=1, share=1.0)).answer == "it is one"


# -- UCT, and thoughts with thoughts, by hand ------------------------------------------------------


def grown(notes: Notes, policy: RATP) -> dict[str, tuple[int, float]]:
    """(visits, mean) of each thought when the search is over."""
    kept = {}

    async def watched(search: Search):
        kept["graph"] = _Graph(policy, search)
        return await kept["graph"].grow(policy.workers)

    tg.solve(notes.task, policy=watched, budget=tg.Budget())
    nodes = (node for node in kept["graph"].nodes.values() if node.visits)
    return {node.thought.content: (node.visits, round(node.total / node.visits, 6)) for node in nodes}


def test_the_critics_values_stand_for_rollouts_and_uct_selects():
    # 1. one .2, two .8.  2. Q(two) = 1, Q(one) = .25, the root's own arm (0 + .8) / 2: two, with what nobody read yet.
    notes = Notes({"one": 0.2, "two": 0.8, "two three": 0.5, "two four": 0.5}, k=2)
    after = grown(notes, plain(simulations=2, share=1.0, passages=2))
    assert notes.asked == [("", "one"), ("", "two"), ("two", "three"), ("two", "four")]
    assert after["two"] == (3, 0.6)
    assert after[""] == (4, 0.5)
    assert after["one"] == (1, 0.2)


def test_thoughts_are_combined_with_the_best_of_those_that_are_not_in_them_and_no_two_twice():
    # No share of retrieval, but the root has no partner: one .2, two .8, three .5.
    values = {"one": 0.2, "two": 0.8, "three": 0.5, "two+three": 0.9, "two+three+one": 0.0, "three+one": 0.4}
    notes = Notes(values, k=3)
    result = notes.run(plain(simulations=4, share=0.0, passages=3, partners=1, threshold=None))
    # 2. two leads: with three, .9.  3. two has .93 + sqrt(ln 4 / 2) = 1.76 and three .43 + sqrt(ln 4) = 1.61: below two
    # stands what is made of both; with one: 0.  4. three has .56 + sqrt(ln 5) = 1.82 and two .63 + sqrt(ln 5 / 3)
    # = 1.36: three is combined not with two, nor with what is made of it and two, but with one.
    assert notes.asked[3:] == [("two", "three"), ("two+three", "one"), ("three", "one")]
    joined = next(thought for thought in result.graph if thought.content == "two+three")
    assert [parent.content for parent in result.graph.parents(joined)] == ["two", "three"]
    assert result.answer == "it is two+three"


def test_the_share_of_retrieval_is_drawn_from_the_dice_of_the_search():
    def retrievals(share: float, seed: int = 0) -> int:
        result = Notes({}, default=0.5, k=2).run(plain(simulations=2, share=share), seed=seed)
        return len([thought for thought in result.graph if thought.action == "retrieve"])

    assert (retrievals(0.0), retrievals(1.0)) == (2, 4)  # the root has no partner
    assert {retrievals(0.5, seed) for seed in range(20)} == {2, 4}


# -- reading on, and backing up ---------------------------------------------------------------------


def test_passages_that_are_read_together_stand_in_one_prompt_and_are_parents_of_what_came():
    notes, seen = Notes({"so": 1.0}, k=3), []

    def combine(state: tg.State, n: int) -> list[tg.Draft]:
        seen.append([passage.text for passage in state.passages])
        return [tg.Draft("so")]

    notes.task = replace(notes.task, actions={**notes.task.actions, "combine": combine})
    result = notes.run(plain(together=True, passages=3))
    assert seen == [["one", "two", "three"]]
    so = next(thought for thought in result.graph if thought.content == "so")
    assert [as_passage(parent).source for parent in result.graph.parents(so)[1:]] == ["page 1", "page 2", "page 3"]


class Barren(Notes):
    """Some passages bring nothing, and some thoughts do not lead on."""

    def combine(self, state: tg.State, n: int) -> list[tg.Draft]:
        made = super().combine(state, n)
        return [] if made[0].content in self.values and self.values[made[0].content] < 0 else made


def test_where_a_branch_brings_nothing_the_search_backs_up_and_reads_on_above_it():
    pages = [tg.Passage(name) for name in ("Ada", "Bob", "Cyd")]

    async def shelf(query: str, k: int) -> Sequence[tg.Passage]:
        return pages[:k]

    # Below "Ada" nothing is made of any passage: its arm sinks, and the root reads "Bob", which leads on.
    notes = Barren({"Ada": 0.4, "Ada Bob": -1, "Ada Cyd": -1, "Bob": 0.5, "Cyd": -1, "Bob Cyd": 1.0}, knowledge=shelf)
    assert notes.run(plain(share=1.0, passages=1, c=0.3)).answer == "it is Bob Cyd"
    assert ("Ada", "Bob") in notes.asked


def test_a_passage_that_brought_nothing_to_the_question_is_not_looked_at_again_on_any_branch():
    values = {"one": -1, "two": 0.5, "three": 0.4, "two three": 0.3}
    notes = Barren(values, default=0.1)
    notes.run(plain(share=1.0, passages=1, simulations=12))
    assert [mine for mine, passage in notes.asked if passage == "one"] == [""]


def test_unless_a_thought_names_something_in_it_that_was_not_known_then():
    pages = [tg.Passage("Ely is a town."), tg.Passage("She is from Ely."), tg.Passage("so much")]

    async def shelf(query: str, k: int) -> Sequence[tg.Passage]:
        return pages[:k]

    notes = Notes({"from Ely": 0.5, "from Ely, a town": 1.0}, knowledge=shelf)

    def combine(state: tg.State, n: int) -> list[tg.Draft]:
        made = {("", "She is from Ely."): "from Ely", ("from Ely", "Ely is a town."): "from Ely, a town"}
        mine, passage = state.thoughts
        notes.asked.append((mine.text, passage.text))
        return [tg.Draft(made[notes.asked[-1]])] if notes.asked[-1] in made else []

    notes.task = replace(notes.task, actions={**notes.task.actions, "combine": combine})
    assert notes.run(plain(share=1.0, passages=1)).answer == "it is from Ely, a town"
    assert notes.asked == [("", "Ely is a town."), ("", "She is from Ely."), ("from Ely", "Ely is a town.")]


# -- what ends it ----------------------------------------------------------------------------------


def test_a_thought_that_is_over_rated_once_does_not_end_it():
    said = iter([1.0, 0.1, 0.1])
    notes = Notes({"one two": 1.0})
    value = lambda states: [tg.Score(next(said) if s.content == "one" else notes.values.get(s.content)) for s in states]
    notes.task = replace(notes.task, critics={"value": value})
    result = notes.run(plain(share=1.0, passages=1, confirm=3))
    assert result.answer == "it is one two"
    one = next(thought for thought in result.graph if thought.content == "one")
    assert [score.value for score in result.graph.scores(one)] == [1.0, 0.1, 0.1]


def test_an_answer_that_is_not_accepted_is_kept_and_the_search_goes_on():
    notes = Notes({"one": 1.0, "one two": 1.0})
    right = lambda states: [tg.Score(float("two" in state.content)) for state in states]
    notes.task = replace(notes.task, critics={**notes.task.critics, "good": right})
    result = notes.run(plain(share=1.0, passages=1, accept="good"))
    assert result.answer == "it is one two"
    assert [end.content for end in result.graph.finals] == ["it is one", "it is one two"]


def test_at_the_end_the_best_thoughts_are_tried_until_an_answer_is_accepted():
    notes = Notes({"one": 0.3, "two": 0.6, "three": 0.5}, k=3)
    right = lambda states: [tg.Score(1.0 if "three" in state.content else None) for state in states]
    notes.task = replace(notes.task, critics={**notes.task.critics, "good": right})
    assert notes.run(plain(simulations=1, passages=3, accept="good", ends=2)).answer == "it is three"


# -- where nothing comes ---------------------------------------------------------------------------


def test_without_any_passage_the_answer_is_made_of_the_question_alone():
    async def empty(query: str, k: int) -> Sequence[tg.Passage]:
        return []

    notes = Notes({}, knowledge=empty)
    assert notes.run(RATP()).answer == "it is "
    assert notes.asked == []


def test_knowledge_that_fails_is_asked_once_more():
    queries = list[str]()

    async def unsteady(query: str, k: int) -> Sequence[tg.Passage]:
        queries.append(query)
        if len(queries) == 1:
            raise ConnectionError("the line was bad")
        return await library(query, k)

    notes = Notes({"one": 1.0}, knowledge=unsteady)
    assert notes.run(RATP()).answer == "it is one"
    assert len(queries) == 2


@pytest.mark.parametrize("missing", ["retrieve", "combine", "answer"])
def test_a_task_without_one_of_the_actions_is_refused_before_anything_is_spent(missing: str):
    notes = Notes({})
    task = replace(notes.task, actions={name: by for name, by in notes.task.actions.items() if name != missing})
    with pytest.raises(tg.TaskError, match=f"no action {missing!r}"):
        tg.solve(task, policy=RATP(), budget=tg.Budget())
    assert notes.asked == []


@pytest.mark.parametrize(
    "wrong",
    [{"simulations": 0}, {"workers": 0}, {"c": -1}, {"share": -0.1}, {"share": 1.1}, {"passages": 0},
     {"partners": -1}, {"threshold": "high"}, {"confirm": 0}, {"ends": 0}, {"support": "much"}],
)  # fmt: skip
def test_settings_that_make_no_sense_are_errors(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RATP(**wrong)


# -- with a model ----------------------------------------------------------------------------------


def test_the_prompts_tell_the_passage_the_thought_and_its_partner():
    def reply(prompt: str, draw: int) -> str:
        if "three" in prompt and "Thought of two" in prompt:
            return "Thought of two and three"
        return "Thought of two" if "two" in prompt else "Thought of one"

    def think(x, passages, thoughts, scores) -> tg.Prompt:
        return tg.Prompt(passages=tg.quote(passages), problem=x, thoughts=tg.narrate(thoughts, scores), ask="Think.")

    value = lambda states: [tg.Score(len(state.thought.text) / 100) for state in states]
    task = tg.Task(
        "What follows?",
        {
            "retrieve": Retrieve(library, k=2),
            "combine": Sample(prompter=think, done=lambda text: False),
            "answer": Sample(prompter=lambda x, K, phi, r: tg.Prompt(ask=f"So? {phi[-1].text}")),
        },
        {"value": value},
    )
    model = Scripted(lambda prompt, draw: "So it is." if "So?" in prompt else reply(prompt, draw))
    result = tg.solve(task, policy=RATP(simulations=2, share=1.0), model=model, budget=tg.Budget(calls=9))
    assert result.answer == "So it is."
    prompts = [request.messages[-1].content for request in model.seen]
    assert "<passage source='page 1'>\none\n</passage>" in prompts[0]
    assert "Step 1: " not in prompts[0]
    later = [prompt for prompt in prompts[2:] if "<passage" in prompt]
    assert all("Step 1: Thought of " in prompt and prompt.count("<passage ") == 1 for prompt in later)
