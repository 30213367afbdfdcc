"""Blocksworld with four operators (Gupta & Nau, 1992), as in the planning competitions: blocks where they belong."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from typing import NamedTuple, TypeAlias, cast

from thoughtgraph.errors import TaskError
from thoughtgraph.state import State
from thoughtgraph.task import Task
from thoughtgraph.tasks.fallible import Doubtful, Fallible, Steps, Whole
from thoughtgraph.thought import Draft, Json, Score, Thought

Fact: TypeAlias = tuple[str, ...]
"""("on", "a", "b"), ("ontable", "a"), ("clear", "a"), ("holding", "a") or ("handempty",), as in PDDL."""

Facts: TypeAlias = frozenset[Fact]

ARITY = {"on": 2, "ontable": 1, "clear": 1, "holding": 1, "handempty": 0}


def blocksworld(problem: str, local: bool = True, fallible: Fallible | None = None) -> Task:
    """A problem in PDDL, or on one line: "B on A, C on table; goal: A on B, B on C".

    On one line a fact is "X on Y", "X on table", "X clear" or "X in hand"; a block that stands nowhere stands on the
    table. A thought is one move, {"text": "(unstack b a)", "facts": [...]}, with all that is true after it; the answer
    is the plan, a move a line. Every legal move is a next "step". Or a `fallible` thinker proposes some, writes whole
    plans as "reason", and judges positions, now and then wrongly. A proposal that is not legal is no thought, and the
    end of a plan that it stands in; the goal test plays every plan again, and is never wrong. `TaskError` for what is
    no problem, contradicts itself, or is solved as it stands; and if not `local`: this task thinks without a model.
    """
    if not local:
        raise TaskError("blocksworld has local generators only: leave the model out, or choose another task, as game24")
    world = read(problem)
    if world.goal <= world.start:
        raise TaskError("the goal holds at the start: expected a problem with something to do")
    told = described(world.start - _free(world.start))
    order, guesses = Order(world.goal), 2 * len(_places(world.start))
    play = Play(world.goal)
    return Task(
        problem=problem,
        actions={"step": Steps(play, fallible), "reason": Whole(play, fallible)}
        if fallible
        else {"step": Moves(world.goal)},
        critics={"value": Doubtful(order, play, fallible, guesses) if fallible else order},
        x=f"Start: {told}. Goal: {described(world.goal)}.",
        start={"text": told, "facts": as_content(world.start)},
        claim=claim,
        goal=Goal(world.goal),
        key=key,
        name="blocksworld",
        policy="best_first",
        recipe=None if fallible else {"name": "blocksworld", "problem": problem, "local": True},
    )


# -- the simulator -----------------------------------------------------------------------------------------------


class Operator(NamedTuple):
    """What an operator needs and takes away, and what it makes true: here all that it needs, it takes away."""

    takes: Facts
    gives: Facts


def operator(name: str, *blocks: str) -> Operator:
    """The operator `name` on its blocks; `ValueError` where there is none of that name and number."""
    match name, blocks:
        case "pick-up", (x,):
            return Operator(_on_table(x), frozenset({("holding", x)}))
        case "put-down", (x,):
            return Operator(frozenset({("holding", x)}), _on_table(x))
        case "unstack", (x, y) if x != y:
            return Operator(_on_block(x, y), _in_hand(x, y))
        case "stack", (x, y) if x != y:
            return Operator(_in_hand(x, y), _on_block(x, y))
        case _:
            raise ValueError(f"no operator ({' '.join((name, *blocks))})")


def _on_table(x: str) -> Facts:
    return frozenset({("clear", x), ("ontable", x), ("handempty",)})


def _on_block(x: str, y: str) -> Facts:
    return frozenset({("on", x, y), ("clear", x), ("handempty",)})


def _in_hand(x: str, y: str) -> Facts:
    return frozenset({("holding", x), ("clear", y)})


def after(facts: Facts, move: Sequence[str]) -> Facts | None:
    """What is true after a move; None where it is not legal."""
    try:
        takes, gives = operator(*move)
    except (TypeError, ValueError):
        return None
    return (facts - takes) | gives if takes <= facts else None


@lru_cache(maxsize=4096)
def legal(facts: Facts) -> tuple[tuple[str, ...], ...]:
    """Every legal move, in the order of the alphabet."""
    clear = sorted(fact[1] for fact in facts if fact[0] == "clear")
    held = [fact[1] for fact in facts if fact[0] == "holding"]
    if held:
        return (("put-down", held[0]), *(("stack", held[0], block) for block in clear))
    below = {fact[1]: fact[2] for fact in facts if fact[0] == "on"}
    return tuple(("unstack", block, below[block]) if block in below else ("pick-up", block) for block in clear)


# -- what the problem's statement says ---------------------------------------------------------------------------


def claim(path: Sequence[Thought]) -> str | None:
    """The plan, a move a line; None for a path that is not done."""
    return "\n".join(thought.text for thought in path[1:]) if path[-1].done else None


@dataclass(frozen=True)
class Goal:
    """Whether the moves of a path are legal and end where the goal holds: played again from the start."""

    facts: Facts

    def __call__(self, path: Sequence[Thought]) -> bool:
        """Play the path."""
        moves = [move_of(line) for thought in path[1:] for line in thought.text.splitlines()]
        return reaches(facts_of(path[0].content), moves, self.facts)


def reaches(start: Facts, plan: Iterable[Sequence[str]], goal: Facts) -> bool:
    """Whether `plan` is legal from `start` and ends where `goal` holds."""
    facts: Facts | None = start
    for move in plan:
        facts = after(facts, move) if facts is not None else None
    return facts is not None and goal <= facts


def key(content: Json) -> tuple[str, ...] | None:
    """Positions are equal where the same is true. Whole plans are votes, and votes are never merged."""
    return None if content.get("whole") else tuple(content["facts"])


def as_content(facts: Facts) -> list[str]:
    """Facts as JSON, sorted."""
    return sorted(" ".join(fact) for fact in facts)


def facts_of(content: Json) -> Facts:
    """The facts of a thought's content."""
    return frozenset(tuple(fact.split()) for fact in cast("list[str]", content["facts"]))


def move_of(text: str) -> list[str]:
    """The words of "(unstack b a)"."""
    return text.strip().removeprefix("(").removesuffix(")").split()


# -- thinking without a model ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Moves:
    """Every legal move, but for those that lead back to where this path has been."""

    goal: Facts

    def __call__(self, state: State, n: int) -> list[Draft]:
        """A thought is done where the goal holds."""
        been = {facts_of(thought.content) for thought in state.path}
        facts = facts_of(state.content)
        follow = ((move, after(facts, move)) for move in legal(facts))
        return [self._draft(move, then) for move, then in follow if then is not None and then not in been][:n]

    def _draft(self, move: Sequence[str], facts: Facts) -> Draft:
        return Draft({"text": f"({' '.join(move)})", "facts": as_content(facts)}, done=self.goal <= facts)


@dataclass(frozen=True)
class Order:
    """How far the blocks are in order, in (0, 1]: 1 / (1 + moves that the blocks in the wrong place need at least).

    A block is in the wrong place if the goal wants it elsewhere, wants another block where it stands, or if it stands
    above such a block. It takes two moves, one if it is in the hand. Blocks that must move twice are overlooked, so
    the value is too high at times.
    """

    goal: Facts

    def __call__(self, states: Sequence[State]) -> list[Score]:
        """One score each, without looking ahead."""
        return [Score(1 / (1 + misplaced(facts_of(state.content), self.goal))) for state in states]


def misplaced(facts: Facts, goal: Facts) -> int:
    """The moves that the blocks in the wrong place need at least, if none of them had to move twice."""
    place = _places(facts)
    above = {below: block for block, below in place.items()}
    wrong, work = set[str](), _astray(place, goal)
    while work:
        wrong.add(block := work.pop())
        if block in above and above[block] not in wrong:
            work.append(above[block])
    return sum(1 if place[block] == "hand" else 2 for block in wrong)


def _astray(place: dict[str, str], goal: Facts) -> list[str]:
    """Blocks that the goal wants elsewhere, that stand where it wants another, or nothing."""
    wanted = _places(goal)
    meant = {below: block for block, below in wanted.items() if below not in ("table", "hand")}
    bare = {fact[1] for fact in goal if fact[0] == "clear"}
    return [
        block
        for block, below in place.items()
        if wanted.get(block, below) != below or meant.get(below, block) != block or below in bare
    ]


def _places(facts: Facts) -> dict[str, str]:
    """Where each block is: on "table", in "hand", or on another block."""
    where = {"ontable": "table", "holding": "hand"}
    return {fact[1]: fact[2] if fact[0] == "on" else where[fact[0]] for fact in facts if fact[0] in ("on", *where)}


# -- thinking fallibly -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Play:
    """The problem as a fallible thinker sees it: a position is all that was true on the way, the last one now."""

    goal: Facts

    def position(self, state: State) -> tuple[Facts, ...]:
        """The facts along the path."""
        return tuple(facts_of(thought.content) for thought in state.path)

    def name(self, position: tuple[Facts, ...]) -> str:
        """What is true now."""
        return ", ".join(as_content(position[-1]))

    def moves(self, position: tuple[Facts, ...]) -> list[tuple[Sequence[str], float]]:
        """The legal moves but for those back to where it has been; a gain is a move fewer for blocks out of place."""
        now = position[-1]
        if self.goal <= now:
            return []
        follow = [(move, then) for move in legal(now) if (then := after(now, move)) is not None]
        before = misplaced(now, self.goal)
        return [(move, before - misplaced(then, self.goal)) for move, then in follow if then not in position]

    def slip(self, position: tuple[Facts, ...], rng: random.Random) -> Sequence[str] | None:
        """An operator on blocks that is not legal here."""
        blocks = sorted(_places(position[-1]))
        ones = [(name, x) for name in ("pick-up", "put-down") for x in blocks]
        twos = [(name, x, y) for name in ("unstack", "stack") for x, y in permutations(blocks, 2)]
        return rng.choice([move for move in (*ones, *twos) if after(position[-1], move) is None])

    def play(self, position: tuple[Facts, ...], move: Sequence[str]) -> tuple[Facts, ...] | None:
        """None where the move is not legal."""
        then = after(position[-1], move)
        return None if then is None else (*position, then)

    def draft(self, position: tuple[Facts, ...], moves: Sequence[Sequence[str]], whole: bool) -> Draft:
        """A move, or a plan, a move a line."""
        text = "\n".join(f"({' '.join(move)})" for move in moves)
        content = {"text": text, "facts": as_content(position[-1]), **({"whole": True} if whole else {})}
        return Draft(content, done=whole or self.goal <= position[-1])


# -- reading a problem -------------------------------------------------------------------------------------------


class World(NamedTuple):
    """A problem: what is true, and what shall be."""

    start: Facts
    goal: Facts


def read(problem: str) -> World:
    """The problem that a text tells, in PDDL if it begins with a bracket; `TaskError` says what is wrong with it."""
    world = _pddl(problem) if problem.lstrip().startswith(("(", ";")) else _line(problem)
    if not world.start or not world.goal:
        raise TaskError(f"the problem {problem!r:.80} lacks a start or a goal: expected both, as in {EXAMPLE}")
    if wrong := _impossible(world.start):
        raise TaskError(f"the start cannot be: {wrong}. It says: {described(world.start)}")
    blocks = _places(world.start).keys()
    if strange := sorted({block for fact in world.goal for block in fact[1:]} - blocks):
        raise TaskError(
            f"the goal names {', '.join(strange)}: expected the blocks of the start, {', '.join(sorted(blocks))}"
        )
    return world


EXAMPLE = '"B on A, C on table; goal: A on B, B on C"'

SAYINGS = {
    r"(\S+) on (?:the )?table": "ontable",
    r"(\S+) on (\S+)": "on",
    r"(\S+) (?:is )?clear": "clear",
    r"(\S+) in (?:the )?hand": "holding",
    r"(?:the )?hand (?:is )?empty": "handempty",
}

WORDS = {
    "on": "{} on {}",
    "ontable": "{} on table",
    "clear": "{} clear",
    "holding": "{} in hand",
    "handempty": "hand empty",
}


def described(facts: Facts) -> str:
    """Facts in the notation on one line."""
    return ", ".join(sorted(WORDS[name].format(*blocks) for name, *blocks in facts))


def _line(problem: str) -> World:
    """The notation on one line: blocks that stand nowhere stand on the table, and what is clear follows."""
    told, _, wished = " ".join(problem.split()).partition(";")
    said, goal = _said(told, "start"), _said(wished, "goal")
    lying = {block for fact in said for block in fact[1:]} - _places(said).keys()
    placed = said | {("ontable", block) for block in lying}
    return World(placed | _free(placed) if said else said, goal)


def _said(text: str, title: str) -> Facts:
    text = re.sub(rf"\A\s*{title}\b\s*:?", "", text, flags=re.IGNORECASE)
    return frozenset(_saying(part.strip(" .")) for part in text.split(",") if part.strip(" ."))


def _saying(part: str) -> Fact:
    for saying, name in SAYINGS.items():
        if found := re.fullmatch(saying, part, re.IGNORECASE):
            return (name, *found.groups())
    raise TaskError(
        f"{part!r:.80} is no fact: expected X on Y, X on table, X clear or X in hand, as in {EXAMPLE}, or else PDDL"
    )


# -- what can be true at a time ----------------------------------------------------------------------------------


def _free(facts: Facts) -> Facts:
    """What follows from where the blocks are: which are clear, and whether the hand is empty."""
    place = _places(facts)
    covered = set(place.values())
    clear = {("clear", block) for block, below in place.items() if block not in covered and below != "hand"}
    return frozenset(clear) if "hand" in covered else frozenset({*clear, ("handempty",)})


def _impossible(facts: Facts) -> str:
    """Why the facts cannot all be true, or do not say everything; "" where they can."""
    place = _places(facts)
    spots = frozenset(fact for fact in facts if fact[0] in ("on", "ontable", "holding"))
    shared = [below for below in place.values() if below != "table"]
    if lost := {block for fact in facts for block in fact[1:]} - place.keys():
        return f"{', '.join(sorted(lost))} stands nowhere"
    if {"table", "hand"} & place.keys():
        return "a block is called table or hand"
    if len(spots) != len(place) or len(set(shared)) != len(shared):
        return "a block is in two places, or two blocks in one"
    if not _grounded(place):
        return "blocks stand in a ring, or on a block in the hand"
    return "" if _free(facts) == facts - spots else "what is said to be clear does not follow from where the blocks are"


def _grounded(place: dict[str, str]) -> bool:
    """Whether every block stands on the table at last, but for one in the hand that carries nothing."""
    above = {below: block for block, below in place.items() if below in place}
    reached = set[str]()
    work = [block for block, below in place.items() if below == "table"]
    while work:
        reached.add(block := work.pop())
        work += [above[block]] if block in above else []
    return reached == {block for block, below in place.items() if below != "hand"}


# -- PDDL --------------------------------------------------------------------------------------------------------

Tree: TypeAlias = "list[Tree | str]"


def _pddl(problem: str) -> World:
    """A problem in PDDL; `TaskError` for what is none, or speaks of more than this domain has."""
    sections = {str(part[0]): part[1:] for part in _tree(problem) if isinstance(part, list) and part}
    facts = frozenset(map(_fact, sections.get(":init", ())))
    wished = sections.get(":goal", [])
    joined = wished[0][1:] if wished and isinstance(wished[0], list) and wished[0][:1] == ["and"] else wished
    objects = [name for name in sections.get(":objects", ()) if isinstance(name, str)]
    typed = {i for i, name in enumerate(objects) if name == "-" or objects[i - 1] == "-"}
    named = {name for i, name in enumerate(objects) if i not in typed}
    if lost := named - {block for fact in facts for block in fact[1:]}:
        raise TaskError(
            f"the problem names {', '.join(sorted(lost))} and :init does not say where: expected a place for each"
        )
    return World(facts, frozenset(map(_fact, joined)))


def _tree(text: str) -> Tree:
    """Brackets as lists: what stands in (define ...)."""
    stack: list[Tree] = [[]]
    for word in re.findall(r"[()]|[^\s()]+", re.sub(r";.*", "", text).lower()):
        if word == "(":
            stack.append([])
        elif word == ")" and len(stack) > 1:
            inner = stack.pop()
            stack[-1].append(inner)
        else:
            stack[-1].append(word)
    if len(stack) != 1 or len(stack[0]) != 1 or stack[0][0][:1] != ["define"]:
        raise TaskError(
            f"{text.strip()!r:.80} is no problem in PDDL: expected one (define (problem ...) ...), brackets closed"
        )
    return [part for part in stack[0][0] if isinstance(part, list)]


def _fact(written: Tree | str) -> Fact:
    words = tuple(word for word in written if isinstance(word, str)) if isinstance(written, list) else ()
    if not words or len(words) != len(written) or ARITY.get(words[0]) != len(words) - 1:
        raise TaskError(
            f"{written!r:.80} is no fact of this domain: expected (on x y), (ontable x), (clear x), (holding x) or "
            "(handempty)"
        )
    return words


# -- the evaluator -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Evaluator:
    """E: whether a plan solves the problem. It stands outside of every task."""

    problem: str

    def __call__(self, claimed: object) -> bool:
        """True or False, whatever the claim is."""
        return check(self.problem, claimed)


def check(problem: str, claimed: object) -> bool:
    """Whether `claimed` is a plan, "(unstack b a)" on each line, that is legal and ends where the goal holds."""
    if not isinstance(claimed, str):
        return False
    world = read(problem)
    return reaches(world.start, [move_of(line) for line in claimed.splitlines() if line.strip()], world.goal)
