"""PrOntoQA (Saparov & He, 2023): what is it by the rules of a made-up world, step by step; true or false? All exact."""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, cast

from thoughtgraph.critics.value import Value, labelled
from thoughtgraph.errors import TaskError, Unparsable
from thoughtgraph.prompt import Prompt, Prompter, narrate
from thoughtgraph.replies import lines, plain, spoken
from thoughtgraph.state import State
from thoughtgraph.task import Task
from thoughtgraph.tasks.fallible import Doubtful, Fallible, Steps, Whole
from thoughtgraph.thought import Draft, Json, Passage, Score, Thought
from thoughtgraph.verbs import ALL

EXAMPLE = '"Each cat is a feline. Felines are not bony. Fae is a cat. True or false: Fae is bony."'


def prontoqa(problem: str, local: bool = True, fallible: Fallible | None = None) -> Task:
    """Rules, facts and a query: "Each cat is a feline. Felines are not bony. Fae is a cat. True or false: Fae is bony."

    A thought applies one rule to what is known: {"text": "Each cat is a feline. Fae is a feline.", "proof": [...]},
    with the texts of all steps so far; once the query or its contrary is reached it is done and has an "answer",
    "True" or "False", which is the claim. There is no goal test: that a proof arrives is no sign that its steps
    follow, and the search learns of wrong ones only as far as its critic notices. `check` and `proves` know.
    "step" makes every deduction that follows, judged by how many rules are missing. A `fallible` thinker proposes
    some, with wrong ones among them, writes whole proofs as "reason", and judges, now and then wrongly. Or a model
    proposes, reasons, answers and judges, if not `local`. `TaskError` for what is no such problem.
    """
    world = read(problem)
    play = Play(world)
    if not local and fallible:
        raise TaskError("a fallible thinker takes the place of a model: expected local=True with it, or fallible=None")
    thinking = {"step": Steps(play, fallible), "reason": Whole(play, fallible)} if fallible else {}
    asking = {"step": Propose(world), "reason": Chain(world, at_length), "answer": Chain(world, at_once)}
    near = Nearness(world)
    judging = Doubtful(near, play, fallible, len(world.rules)) if fallible else near
    return Task(
        problem=problem,
        actions=thinking or ({"step": Deductions(world)} if local else asking),
        critics={"value": judging if local else Value(judged, samples=3)},
        x=" ".join(problem.split()),
        start={"text": " ".join(map(str, world.facts)), "proof": []},
        claim=claim,
        key=key,
        name="prontoqa",
        policy="best_first" if local else "tot(breadth=3)",
        recipe=None if fallible else {"name": "prontoqa", "problem": problem, "local": local},
        imagine={} if local else {"step": Deductions(world, most=3)},
    )


# -- the English that is spoken here -----------------------------------------------------------------------------


class Fact(NamedTuple):
    """Somebody is, or is not, of a kind (`noun`) or of a quality."""

    who: str
    what: str
    noun: bool
    true: bool

    def __str__(self) -> str:
        return f"{self.who} is {'' if self.true else 'not '}{_article(self.what) if self.noun else ''}{self.what}."

    @property
    def contrary(self) -> Fact:
        """The fact that cannot be true together with this one."""
        return self._replace(true=not self.true)


class Rule(NamedTuple):
    """All that are of the kind `of` are, or are not, `what`; with the sentence that says so."""

    of: str
    what: str
    noun: bool
    true: bool
    text: str

    def about(self, who: str) -> Fact:
        """What it says of somebody to whom it applies."""
        return Fact(who, self.what, self.noun, self.true)

    def applies(self, fact: Fact) -> bool:
        """Whether a fact puts somebody under the rule."""
        return fact.noun and fact.true and fact.what.casefold() == self.of


class World(NamedTuple):
    """A problem: what holds of kinds, what is known of somebody, and what is asked."""

    rules: tuple[Rule, ...]
    facts: tuple[Fact, ...]
    query: Fact


_WORDS = r"[\w'-]+(?: [\w'-]+)*?"
_ONE = re.compile(rf"(?:each|every) (?P<of>{_WORDS}) is (?P<no>not )?(?P<a>an? )?(?P<what>{_WORDS})", re.IGNORECASE)
_ALL = re.compile(rf"(?:all )?(?P<of>{_WORDS}) are (?P<no>not )?(?P<what>{_WORDS})", re.IGNORECASE)
_HISSING = re.compile(r"(?:[^aeiou]us|ss|x|ch|sh)es\Z")
_FACT = re.compile(rf"(?P<who>[\w'-]+) is (?P<no>not )?(?P<a>an? )?(?P<what>{_WORDS})", re.IGNORECASE)


def read(problem: str) -> World:
    """The problem that a text tells; `TaskError` names the sentence that is none of this English."""
    told, asked, query = re.sub(r"\s+", " ", problem).partition("True or false:")
    said = [sentence for part in told.split(".") if (sentence := part.strip())]
    facts = [fact for sentence in said if (fact := fact_of(sentence))]
    rules = [rule for sentence in said if not fact_of(sentence) and (rule := rule_of(sentence))]
    wished = fact_of(query)
    if strange := [sentence for sentence in said if not (fact_of(sentence) or rule_of(sentence))]:
        raise TaskError(f"{strange[0]!r:.80} is neither a rule nor a fact: expected sentences as in {EXAMPLE}")
    if not (asked and wished and facts and rules):
        raise TaskError(f"the problem {problem!r:.80} lacks a rule, a fact or a query: expected all three, {EXAMPLE}")
    alike = {rule.of for rule in rules if rule.text.casefold().removeprefix("all ").startswith(f"{rule.of} are ")}
    return World(tuple(_settled(rule, alike) for rule in rules), tuple(facts), wished)


def fact_of(sentence: str) -> Fact | None:
    """What "Fae is not a cat" says; None for what is no such sentence."""
    found = _FACT.fullmatch(sentence.strip(" ."))
    return Fact(found["who"], found["what"], bool(found["a"]), not found["no"]) if found else None


def rule_of(sentence: str) -> Rule | None:
    """What "Each cat is a feline" or "Cats are felines" says; None for what is no such sentence."""
    text = sentence.strip(" .")
    if found := _ONE.fullmatch(text):
        return Rule(found["of"].casefold(), found["what"], bool(found["a"]), not found["no"], f"{text}.")
    if found := _ALL.fullmatch(text):
        what = singular(found["what"])
        return Rule(singular(found["of"]).casefold(), what, what != found["what"], not found["no"], f"{text}.")
    return None


def _settled(rule: Rule, alike: Collection[str]) -> Rule:
    """A kind whose plural is spelled as its singular ("Cats are sheep. Sheep are white.") is no quality."""
    return rule._replace(noun=True) if rule.what in alike and rule.text.endswith(f"are {rule.what}.") else rule


def singular(words: str) -> str:
    """One of these: "painted ladies" is "painted lady"; a word that does not end as plurals do stays.

    "Wumpuses", of which the authors' own worlds are full, are each a "wumpus".
    """
    if words.endswith("ies"):
        return f"{words[:-3]}y"
    if _HISSING.search(words):
        return words[:-2]
    return words[:-1] if words.endswith("s") and not words.endswith(("ss", "us")) else words


def _article(what: str) -> str:
    return "an " if what[0].casefold() in "aeiou" else "a "


# -- the simulator -----------------------------------------------------------------------------------------------


class Step(NamedTuple):
    """A rule, and what is concluded from it, rightly or not."""

    rule: Rule
    fact: Fact

    def __str__(self) -> str:
        return f"{self.rule.text} {self.fact}"


def step_of(text: str, world: World) -> Step | None:
    """The step that "Each cat is a feline. Fae is a feline." makes; None unless the rule is one of this world's."""
    first, _, second = text.strip().partition(". ")
    said, fact = _ruled(world).get(" ".join(first.casefold().split())), fact_of(second)
    return Step(said, fact) if said and fact else None


@lru_cache(maxsize=256)
def _ruled(world: World) -> dict[str, Rule]:
    return {rule.text.casefold().strip("."): rule for rule in world.rules}


def known(world: World, steps: Sequence[Step]) -> dict[Fact, None]:
    """What was given and what was concluded, in that order."""
    return dict.fromkeys((*world.facts, *(step.fact for step in steps)))


def deductions(world: World, facts: Collection[Fact]) -> list[Step]:
    """Every step that follows from these facts and says something new, in the order of the rules."""
    follow = (Step(rule, rule.about(fact.who)) for rule in world.rules for fact in facts if rule.applies(fact))
    return list({step.fact: step for step in follow if step.fact not in facts}.values())


def follows(step: Step, facts: Collection[Fact]) -> bool:
    """Whether the rule applies to somebody of whom these facts speak, and says this of them."""
    return any(step.rule.applies(fact) and step.rule.about(fact.who) == step.fact for fact in facts)


def sound(world: World, steps: Sequence[Step]) -> bool:
    """Whether each step follows from what stands before it."""
    return all(follows(step, known(world, steps[:i])) for i, step in enumerate(steps))


def distance(world: World, facts: Collection[Fact]) -> int | None:
    """How many rules away the query or its contrary is; None where no rules lead there."""
    reached, away = set(facts), 0
    while not reached & {world.query, world.query.contrary}:
        new = {step.fact for step in deductions(world, reached)}
        if not new:
            return None
        reached |= new
        away += 1
    return away


# -- what is claimed ---------------------------------------------------------------------------------------------


def claim(path: Sequence[Thought]) -> str | None:
    """Whether the query is "True" or "False"; None for a path that has not come to it."""
    return path[-1].content.get("answer")


def key(content: Json) -> tuple[str, ...] | None:
    """Proofs of the same steps, in whatever order, are equal. Whole ones are votes, and votes are never merged."""
    return None if content.get("whole") else tuple(sorted(content["proof"]))


def concluded(world: World, steps: Sequence[Step], whole: bool = False) -> Draft:
    """The thought whose last step is the last of `steps`, or that has all of them if it is `whole`."""
    texts, answer = [str(step) for step in steps], decided(world, steps[-1].fact)
    content = {"text": "\n".join(texts) if whole else texts[-1], "proof": texts}
    content |= {"answer": answer} if answer else {}
    return Draft(content | ({"whole": True} if whole else {}), done=whole or answer is not None)


def decided(world: World, fact: Fact) -> str | None:
    """What a fact answers to the query."""
    return {world.query: "True", world.query.contrary: "False"}.get(fact)


def steps_of(world: World, thought: Thought) -> list[Step]:
    """The steps of a thought's proof."""
    return [step for text in thought.content["proof"] if (step := step_of(text, world))]


# -- thinking without a model ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Deductions:
    """Every deduction that follows from what is known; some of them at random where there are more than `most`."""

    world: World
    most: int = ALL

    def __call__(self, state: State, n: int) -> list[Draft]:
        """At most `n`."""
        steps = steps_of(self.world, state.thought)
        found = deductions(self.world, known(self.world, steps))
        chosen = state.rng.sample(found, self.most) if len(found) > self.most else found
        return [concluded(self.world, [*steps, step]) for step in chosen[:n]]


@dataclass(frozen=True)
class Nearness:
    """1 / (1 + rules to go), without looking which; 0 for a proof with a wrong step, or where no rules lead on."""

    world: World

    def __call__(self, states: Sequence[State]) -> list[Score]:
        """One score each."""
        return [Score(self._near(steps_of(self.world, state.thought))) for state in states]

    def _near(self, steps: Sequence[Step]) -> float:
        away = distance(self.world, known(self.world, steps)) if sound(self.world, steps) else None
        return 0.0 if away is None else 1 / (1 + away)


@dataclass(frozen=True)
class Play:
    """The problem as a fallible thinker sees it: a position is the proof so far, with its wrong steps."""

    world: World

    def position(self, state: State) -> tuple[Step, ...]:
        """The steps so far."""
        return tuple(steps_of(self.world, state.thought))

    def name(self, position: tuple[Step, ...]) -> str:
        """The steps, in no order."""
        return " ".join(sorted(map(str, position)))

    def moves(self, position: tuple[Step, ...]) -> list[tuple[Step, float]]:
        """What follows; the gain is how many rules fewer there are to go. None once the query is reached."""
        facts = known(self.world, position)
        before = distance(self.world, facts)
        return [] if before == 0 else [(s, self._gain(before, facts, s)) for s in deductions(self.world, facts)]

    def _gain(self, before: int | None, facts: Collection[Fact], step: Step) -> float:
        after = distance(self.world, [*facts, step.fact])
        return 0.0 if before is None or after is None else before - after

    def slip(self, position: tuple[Step, ...], rng: random.Random) -> Step | None:
        """A rule that does not apply, applied; or one that does, with "not" where there is none, or the reverse."""
        facts = known(self.world, position)
        who = self.world.facts[0].who
        made = [Step(rule, fact) for rule in self.world.rules for fact in _said(rule, who)]
        wrong = [step for step in made if step.fact not in facts and not follows(step, facts)]
        return rng.choice(wrong) if wrong else None

    def play(self, position: tuple[Step, ...], move: Step) -> tuple[Step, ...] | None:
        """Wrong steps are taken like right ones: nobody looks."""
        return (*position, move)

    def draft(self, position: tuple[Step, ...], moves: Sequence[Step], whole: bool) -> Draft:
        """The last step, or the whole proof."""
        return concluded(self.world, position, whole)


def _said(rule: Rule, who: str) -> tuple[Fact, Fact]:
    return rule.about(who), rule.about(who).contrary


# -- thinking with a model ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Propose:
    """Up to `k` next steps that a model proposes, one a line, whether they follow or not; one call."""

    world: World
    prompter: Prompter = field(default_factory=lambda: proposing)
    k: int = 3

    async def __call__(self, state: State, n: int) -> list[Draft]:
        """At most `n`."""
        steps = steps_of(self.world, state.thought)
        replies = await state.ask(self.prompter, 1, lambda text: proposed(text, self.world))
        return [concluded(self.world, [*steps, step]) for reply in replies for step in reply[: min(n, self.k)]]


@dataclass(frozen=True)
class Chain:
    """Whole answers from where the proof stands, as a model writes them; one call each, `width` if nobody says."""

    world: World
    prompter: Prompter
    width: int = 5

    async def __call__(self, state: State, n: int) -> list[Draft]:
        """`n` answers."""
        before: list[str] = state.content["proof"]
        wanted = self.width if n == ALL else n
        return await state.ask(self.prompter, wanted, lambda text: answered(text, self.world, before))


def proposed(text: str, world: World) -> list[Step]:
    """The steps in a reply: a rule as the problem has it, and a conclusion. `Unparsable` where no line is one."""
    found = [step for line in lines(spoken(text)) if (step := step_of(_bare(line), world))]
    if not found:
        raise Unparsable("no line is a statement of the problem and what follows from it")
    return list(dict.fromkeys(found))


def answered(text: str, world: World, before: Sequence[str] = ()) -> Draft:
    """The answer that stands alone behind the last "Answer:", with the lines before it that are steps."""
    text = spoken(text)
    found = re.split(r"answer\W*:", text, flags=re.IGNORECASE)
    said = re.fullmatch(r"\W*(true|false)\W*", found[-1].strip(), re.IGNORECASE) if len(found) > 1 else None
    if not said:
        raise Unparsable('neither True nor False follows a last "Answer:"')
    steps = [str(step) for line in lines(text) if (step := step_of(_bare(line), world))]
    content = {"text": text, "proof": [*before, *steps], "answer": said[1].capitalize(), "whole": True}
    return Draft(content, done=True)


_SO = re.compile(
    r"(?:\.|\s*(?:->|=>|[;→⇒])|,(?= so\b| thus\b| therefore\b))\s*(?:(?:so|thus|hence|therefore|then)\b,?\s*)?",
    re.IGNORECASE,
)


def _bare(line: str) -> str:
    """A line in the form of a step: without marks and quotes, with a full stop between rule and conclusion."""
    said = re.sub(r"\A(?:step \d+\s*:\s*)", "", plain(line).strip("\"'`“”"), flags=re.IGNORECASE)
    return _SO.sub(". ", said, count=1)


# -- the evaluator -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Evaluator:
    """E: whether a claim is what follows. It stands outside of every task."""

    problem: str

    def __call__(self, claimed: object) -> bool:
        """True or False, whatever the claim is."""
        return check(self.problem, claimed)


def check(problem: str, claimed: object) -> bool:
    """Whether `claimed` is "True" where the query follows, or "False" where its contrary does."""
    return claimed is not None and claimed == truth(problem)


def truth(problem: str) -> str | None:
    """What follows from everything that is said; None where the query stays open, or both of it follow."""
    world = read(problem)
    facts = set(world.facts)
    while new := {step.fact for step in deductions(world, facts)}:
        facts |= new
    answers = [answer for fact in facts if (answer := decided(world, fact))]
    return answers[0] if len(answers) == 1 else None


def proves(problem: str, proof: object) -> bool:
    """Whether `proof`, a list of texts of steps, is sound, and its last step decides the query."""
    if not isinstance(proof, list):
        return False
    world, texts = read(problem), cast("list[object]", proof)
    steps = [step for text in texts if isinstance(text, str) and (step := step_of(text, world))]
    return (
        bool(steps) and len(steps) == len(texts) and sound(world, steps) and decided(world, steps[-1].fact) is not None
    )


# -- the prompts -------------------------------------------------------------------------------------------------

TASK = "Use the statements below and nothing else: the kinds and their qualities are made up."


def proposing(
    x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
) -> Prompt:
    """Next steps, one a line."""
    return Prompt(
        task=TASK,
        problem=x,
        thoughts=narrate(thoughts, scores),
        ask="Propose up to three different next steps towards deciding it. Write each on one line of its own: a "
        "statement from above, word for word, then what it says of the one who is asked about, as in\n"
        "Every cat is a feline. Fae is a feline.",
    )


def at_length(
    x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
) -> Prompt:
    """Chain of thought."""
    return Prompt(
        task=TASK,
        problem=x,
        thoughts=narrate(thoughts, scores),
        ask="Reason step by step. Write each step on one line of its own: a statement from above, word for word, then "
        "what it says of the one who is asked about, as in\nEvery cat is a feline. Fae is a feline.\n"
        'End with a line "Answer: True" or "Answer: False".',
    )


def at_once(
    x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
) -> Prompt:
    """The question, and nothing else."""
    return Prompt(task=TASK, problem=x, ask='Write one line, and nothing else: "Answer: True" or "Answer: False".')


judged = labelled("sure", "likely", "impossible")
"""Whether the steps follow, and lead to the query."""
