"""Game of 24 (Yao et al., 2023): four numbers, each used once, + - * / and brackets, must make 24. All exact."""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import combinations
from operator import add, mul, sub
from typing import NamedTuple

from thoughtgraph.critics.value import Value
from thoughtgraph.errors import TaskError, Unparsable
from thoughtgraph.prompt import Prompt, Prompter
from thoughtgraph.replies import lines, plain, spoken
from thoughtgraph.state import State
from thoughtgraph.task import Task
from thoughtgraph.tasks.fallible import Fallible, Steps, Whole
from thoughtgraph.thought import Draft, Json, Passage, Score, Thought
from thoughtgraph.verbs import ALL

TARGET = Fraction(24)
LARGEST = 99
"""The largest number that a puzzle may hold; the card game goes to 13."""

OPERATORS: dict[str, Callable[[Fraction, Fraction], Fraction]] = {"+": add, "-": sub, "*": mul, "/": Fraction}
FACTORS = {1, 2, 3, 4, 6, 8, 12, 24}
"""The whole numbers that divide 24."""


def game24(problem: str, local: bool = True, fallible: Fallible | None = None) -> Task:
    """The puzzle `problem`, as in "4 9 10 13".

    A thought is one step, {"text": "10 - 4 = 6 (left: 6 9 13)", "steps": [["10", "-", "4"]], "left": ["6", "9",
    "13"]}, numbers as exact fractions; a whole answer brings all its steps at once. Steps that leave the same numbers
    are equal. "step" makes every legal move, "reason" and "answer" play at random to the end, "refine" plays on from
    the first steps of an answer that is there, and takes its place; or a model proposes, reasons, answers and refines,
    if not `local`. A `fallible` thinker proposes some steps and writes whole answers, by preference and with slips of
    arithmetic: a slip is no thought, and the end of an answer that it stands in. "cut" takes a place and an answer
    that was written from there, and gives the places on the way. `TaskError` for what is no puzzle.
    """
    numbers = read(problem)
    if fallible and not local:
        raise TaskError("a fallible thinker takes the place of a model: expected local=True with it, or fallible=None")
    x, play = " ".join(map(str, numbers)), Play()
    stepping = Steps(play, fallible) if fallible else legal_moves if local else Propose(proposing)
    reasoning = Whole(play, fallible) if fallible else Rollout() if local else Chain(chaining)
    refining = Replay() if local else Refine(mending)
    judging = promise if local else Judge(Value(valuing, samples=3))
    return Task(
        problem=x,
        actions={
            "step": stepping,
            "reason": reasoning,
            "answer": reasoning if fallible else Rollout() if local else Chain(asking),
            "refine": refining,
        }
        | ({"cut": cut} if fallible else {}),
        critics={"value": judging},
        start={"text": x, "steps": [], "left": list(map(str, numbers))},
        claim=claim,
        goal=goal,
        key=key,
        name="game24",
        policy="dfs" if local else "tot",
        recipe=None if fallible else {"name": "game24", "problem": x, "local": local},
        imagine={} if local else {"step": Glimpse()},
    )


def read(problem: str) -> list[int]:
    """The four numbers of a puzzle; `TaskError` says why it is none."""
    words = re.split(r"[\s,]+", str(problem).strip())
    if not all(re.fullmatch(r"[0-9]{1,2}", word) and int(word) for word in words) or len(words) != 4:
        raise TaskError(
            f"the puzzle is {problem!r:.80}: expected four whole numbers from 1 to {LARGEST} with spaces between them, "
            'as in "4 9 10 13"'
        )
    return [int(word) for word in words]


# -- what the problem's statement says ---------------------------------------------------------------------------


def claim(path: Sequence[Thought]) -> str | None:
    """The steps of a finished path as one expression, "(10 - 4) * (13 - 9) = 24"; an illegal one as it was given."""
    made = composed(path)
    return f"{made.text} = {made.value}" if made else path[-1].content.get("answer")


def goal(path: Sequence[Thought]) -> bool:
    """Whether the steps are legal, use every number once, and make 24: worked out again from the first step on."""
    if path[-1].content["left"] != [str(TARGET)]:
        return False
    made = composed(path)
    return made is not None and made.value == TARGET


def key(content: Json) -> tuple[str, ...] | None:
    """Steps are equal where they leave the same numbers. Whole answers are votes, and votes are never merged."""
    one = len(content["steps"]) == 1 and "answer" not in content
    return tuple(content["left"]) if one else None


class Term(NamedTuple):
    """A number that is left, and how it was made; `rank` is 1 for a sum, 2 for a product, 3 for a plain number."""

    value: Fraction
    text: str
    rank: int = 3


def composed(path: Sequence[Thought]) -> Term | None:
    """The one number that the steps of a path leave; None where a step is illegal or more than one number is left."""
    pool = [Term(Fraction(number), number) for number in path[0].content["left"]]
    try:
        for a, op, b in steps_of(path[1:]):
            x, y = (pool.pop([term.value for term in pool].index(Fraction(number))) for number in (a, b))
            pool.append(Term(OPERATORS[op](x.value, y.value), *_written(x, op, y)))
    except (ValueError, ZeroDivisionError):
        return None
    return pool[0] if len(pool) == 1 else None


def steps_of(thoughts: Sequence[Thought]) -> list[tuple[str, str, str]]:
    """The steps of all thoughts, one after the other; an answer made "anew" takes the place of what was before it."""
    steps = list[tuple[str, str, str]]()
    for thought in thoughts:
        before = () if thought.content.get("anew") else steps
        steps = [*before, *((a, op, b) for a, op, b in thought.content["steps"])]
    return steps


def _written(x: Term, op: str, y: Term) -> tuple[str, int]:
    """`x op y` with the brackets that it needs and no others."""
    rank = 1 if op in "+-" else 2
    left = x.text if x.rank >= rank else f"({x.text})"
    right = y.text if y.rank > rank or (y.rank == rank and op in "+*") else f"({y.text})"
    return f"{left} {op} {right}", rank


# -- legal moves -------------------------------------------------------------------------------------------------


class Move(NamedTuple):
    """One step: the operation, and the numbers that it leaves, sorted."""

    a: str
    op: str
    b: str
    result: str
    left: tuple[str, ...]

    @property
    def content(self) -> dict[str, Json]:
        """The thought's content."""
        a, b = (f"({number})" if "/" in number else number for number in (self.a, self.b))
        text = f"{a} {self.op} {b} = {self.result} (left: {' '.join(self.left)})"
        return {"text": text, "steps": [[self.a, self.op, self.b]], "left": list(self.left)}

    @property
    def draft(self) -> Draft:
        """The thought; with one number left it is done."""
        return Draft(self.content, done=len(self.left) == 1)


@lru_cache(maxsize=8192)
def moves(left: tuple[str, ...]) -> tuple[Move, ...]:
    """Every legal step from these numbers, one for each set of numbers that can be left.

    The smaller number is never subtracted from: a minus sign can be carried on to the step that takes it away again,
    so that nothing is lost by it, and half the positions are saved.
    """
    numbers = [Fraction(number) for number in left]
    made = dict[tuple[str, ...], Move]()
    for i, j in combinations(range(len(numbers)), 2):
        rest = numbers[:i] + numbers[i + 1 : j] + numbers[j + 1 :]
        low, high = sorted((numbers[i], numbers[j]))
        for move in _operations(high, low, rest):
            made.setdefault(move.left, move)
    return tuple(made.values())


def _operations(a: Fraction, b: Fraction, rest: Sequence[Fraction]) -> Iterable[Move]:
    """What two numbers, the larger first, come to."""
    yield step(a, "+", b, rest)
    yield step(a, "-", b, rest)
    yield step(a, "*", b, rest)
    if b:
        yield step(a, "/", b, rest)
    if a:
        yield step(b, "/", a, rest)


def step(a: Fraction, op: str, b: Fraction, rest: Sequence[Fraction]) -> Move:
    """The move `a op b` where `rest` stays; `ZeroDivisionError` for a division by 0."""
    result = OPERATORS[op](a, b)
    return Move(str(a), op, str(b), str(result), tuple(str(number) for number in sorted([*rest, result])))


def replayed(numbers: Sequence[str], thoughts: Sequence[Thought]) -> list[Move]:
    """The moves of some thoughts from the puzzle's numbers on, up to the first illegal one."""
    played, pool = list[Move](), [Fraction(number) for number in numbers]
    try:
        for a, op, b in steps_of(thoughts):
            x, y = (pool.pop(pool.index(Fraction(number))) for number in (a, b))
            played.append(step(x, op, y, pool))
            pool = [Fraction(number) for number in played[-1].left]
    except (ValueError, ZeroDivisionError):
        pass
    return played


def left_of(thought: Thought) -> tuple[str, ...]:
    """The numbers that a thought leaves."""
    return tuple(thought.content["left"])


# -- thinking without a model ------------------------------------------------------------------------------------


def legal_moves(state: State, n: int) -> list[Draft]:
    """Every legal step from the numbers left; none from a single number."""
    return [move.draft for move in moves(left_of(state.thought))[:n]]


@dataclass(frozen=True)
class Rollout:
    """Whole answers by legal steps drawn at random; `width` of them where nobody says how many."""

    width: int = 8

    def __call__(self, state: State, n: int) -> list[Draft]:
        """Play to the end `n` times."""
        rng, left = state.rng, left_of(state.thought)
        drawn = range(self.width if n == ALL else n)
        return [Draft(_told(_played([], left, rng)), done=True) for _ in drawn if len(left) > 1]


@dataclass(frozen=True)
class Replay:
    """Whole answers in the place of a finished one: some of its first steps, and then others, drawn at random."""

    width: int = 8

    def __call__(self, state: State, n: int) -> list[Draft]:
        """Play again `n` times; nothing comes of what is not finished."""
        rng, path = state.rng, state.path
        start = left_of(path[0])
        before = replayed(start, path[1:])
        drawn = range((self.width if n == ALL else n) if state.thought.done else 0)
        again = (_played(before[: rng.randrange(len(start) - 1)], start, rng) for _ in drawn)
        return [Draft({**_told(played), "anew": True}, done=True) for played in again]


def _played(played: list[Move], start: tuple[str, ...], rng: random.Random) -> list[Move]:
    """These moves, and then others at random until one number is left."""
    while len(left := played[-1].left if played else start) > 1:
        played.append(rng.choice(moves(left)))
    return played


def _told(played: Sequence[Move]) -> dict[str, Json]:
    """Moves as the content of one thought."""
    contents = [move.content for move in played]
    steps = [content["steps"][0] for content in contents]
    return {"text": "\n".join(c["text"] for c in contents), "steps": steps, "left": list(played[-1].left)}


def promise(states: Sequence[State]) -> list[Score]:
    """How near to 24 the numbers left look, in [0, 1].

    One operation is looked ahead where two numbers are left, and that is right; more numbers are judged by how many
    divide 24 or are at least whole, and that is often wrong.
    """
    finished = (float(goal(state.path)) if state.thought.done else None for state in states)
    return [
        Score(_promise(left_of(state.thought)) if value is None else value)
        for state, value in zip(states, finished, strict=True)
    ]


@lru_cache(maxsize=8192)
def _promise(left: tuple[str, ...]) -> float:
    if len(left) == 2:
        return float(any(move.result == str(TARGET) for move in moves(left)))
    numbers = [Fraction(number) for number in left]
    return sum(1.0 if number in FACTORS else (number.denominator == 1) / 3 for number in numbers) / len(numbers)


# -- thinking fallibly -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Play:
    """The puzzle as a fallible thinker sees it: a position is the numbers left, a move what is written on one line."""

    def position(self, state: State) -> tuple[str, ...]:
        """The numbers left."""
        return left_of(state.thought)

    def name(self, position: tuple[str, ...]) -> str:
        """The same on a line."""
        return " ".join(position)

    def moves(self, position: tuple[str, ...]) -> list[tuple[Move, float]]:
        """Every legal step; a gain is how many steps fewer the numbers seem to need, by their looks alone."""
        before = _to_go(position)
        return [(move, before - _to_go(move.left)) for move in moves(position)] if len(position) > 1 else []

    def slip(self, position: tuple[str, ...], rng: random.Random) -> Move:
        """A legal step with a wrong result: one, two or three beside the right one."""
        right = rng.choice(moves(position))
        result = Fraction(right.result) + rng.choice((-3, -2, -1, 1, 2, 3))
        rest = list(right.left)
        rest.remove(right.result)
        left = sorted([*map(Fraction, rest), result])
        return right._replace(result=str(result), left=tuple(map(str, left)))

    def play(self, position: tuple[str, ...], move: Move) -> tuple[str, ...] | None:
        """The numbers that a move leaves; None where its arithmetic is wrong."""
        return move.left if Fraction(move.result) == OPERATORS[move.op](Fraction(move.a), Fraction(move.b)) else None

    def draft(self, position: tuple[str, ...], moves: Sequence[Move], whole: bool) -> Draft:
        """A step, or a whole answer; of one that ends in a slip, the steps are those before it."""
        if not whole:
            return moves[-1].draft
        if moves[-1].left == position:
            return Draft(_told(moves), done=True)
        lines, slip = [move.content["text"] for move in moves], moves[-1]
        steps = [[move.a, move.op, move.b] for move in moves[:-1]]
        said = f"{slip.a} {slip.op} {slip.b} = {slip.result}"
        return Draft({"text": "\n".join(lines), "steps": steps, "left": list(position), "answer": said}, done=True)


@lru_cache(maxsize=8192)
def _to_go(left: tuple[str, ...]) -> float:
    """How many steps numbers seem to need: one for each that does not divide 24, two for a fraction or a wrong end."""
    if len(left) == 1:
        return 0.0 if left[0] == str(TARGET) else 2.0
    numbers = [Fraction(number) for number in left]
    return sum(2.0 if number.denominator > 1 else float(number not in FACTORS) for number in numbers)


def cut(state: State, n: int) -> list[Draft]:
    """The places on the way from the first of two thoughts to the second, an answer that was written from there.

    Each is a thought of its own, with the lines of the answer as far as they go; none of what is no legal answer.
    """
    if len(state.thoughts) != 2:
        raise TaskError(f"cut was given {len(state.thoughts)} thoughts: expected a place, and an answer from there")
    place, answer = state.thoughts
    passed = replayed(left_of(place), [answer])
    return [Draft(_told(passed[:end])) for end, move in enumerate(passed, 1) if len(move.left) > 1][:n]


# -- thinking with a model ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Propose:
    """The legal ones of the steps that a model proposes, one a line; nothing is asked where nothing can follow."""

    prompter: Prompter

    async def __call__(self, state: State, n: int) -> list[Draft]:
        """One call, drawn once more where it brings no legal step, or breaks off; a second one counts as it is."""
        left, first = left_of(state.thought), iter((True,))
        replies = (
            await state.ask(self.prompter, 1, lambda text: proposed(text, left, whole=next(first, False)))
            if len(left) > 1
            else []
        )
        return [move.draft for reply in replies for move in reply[:n]]


@dataclass(frozen=True)
class Glimpse:
    """Some legal moves, drawn at random: what an estimate takes for a model's proposals."""

    k: int = 8

    def __call__(self, state: State, n: int) -> list[Draft]:
        """At most `n`; `k` is how many a reply is likely to bring."""
        legal = moves(left_of(state.thought))
        return [move.draft for move in state.rng.sample(legal, min(n, len(legal)))]


@dataclass(frozen=True)
class Chain:
    """Chain of thought: whole answers from the numbers left, as a model writes them, right or wrong; one call each."""

    prompter: Prompter
    width: int = 5

    async def __call__(self, state: State, n: int) -> list[Draft]:
        """`n` answers; `width` of them where nobody says how many."""
        wanted = self.width if n == ALL else n
        return await state.ask(self.prompter, wanted, answered) if len(left_of(state.thought)) > 1 else []


@dataclass(frozen=True)
class Refine:
    """Whole answers in the place of a finished one, which a model sees with what it really comes to; one call each."""

    prompter: Prompter
    width: int = 5

    async def __call__(self, state: State, n: int) -> list[Draft]:
        """`n` answers; `width` of them where nobody says how many; nothing comes of what is not finished."""
        wanted = self.width if n == ALL else n
        made = await state.ask(self.prompter, wanted, answered) if state.thought.done else []
        return [replace(draft, content={**draft.content, "anew": True}) for draft in made]


@dataclass(frozen=True)
class Judge:
    """A model's judgement of open positions; of finished ones the goal test is sure, and costs nothing."""

    opinion: Value

    async def __call__(self, states: Sequence[State]) -> list[Score]:
        """One score each."""
        unsettled = [state for state in states if not state.thought.done]
        judged = iter(await self.opinion(unsettled) if unsettled else [])
        return [Score(float(goal(state.path))) if state.thought.done else next(judged) for state in states]


NUMBER = r"-?\d+(?:\.\d+)?(?:/\d+)?"
EXPRESSION = re.compile(r"[\d(][\d\s+\-*/()]*[\d)]")
STEP = re.compile(rf"\(?({NUMBER})\)?\s*([-+*/])\s*\(?({NUMBER})\)?\s*=\s*(?:approx\.?\s*)?({NUMBER})")
_LEFT = re.compile(r"\([^()]*\)\W*\Z")
_BROKEN = re.compile(rf"\(?{NUMBER}\)?\s*(?:[-+*/=]\s*(?:\(?{NUMBER}\)?\s*)?){{0,2}}(?:\([^()]*)?")
"""A step that ends before it has told, in brackets, what it leaves."""

SIGNS = str.maketrans("×·∗⋅÷−–≈", "****/--=", "$~")
LATEX = {r"\times": "*", r"\cdot": "*", r"\div": "/"}


def proposed(text: str, left: Sequence[str], *, whole: bool = False) -> list[Move]:
    """The legal steps in a reply, worked out anew; `Unparsable` where there is none, or a `whole` one breaks off."""
    said = lines(ascii_signs(spoken(text)))
    if whole and len(said) > 1 and all(map(_LEFT.search, said[:-1])) and _BROKEN.fullmatch(plain(said[-1])):
        raise Unparsable("the last line breaks off, so there were more")
    found = (_proposal(plain(line), left) for line in said)
    legal = {move.left: move for move in reversed([move for move in found if move])}
    if not legal:
        raise Unparsable(f"no line is a legal step from {' '.join(left)}")
    return list(legal.values())[::-1]


def _proposal(line: str, left: Sequence[str]) -> Move | None:
    """The step that a line makes; None unless its numbers are among those left and its arithmetic is right."""
    found = STEP.search(line)
    if not found or re.search(r"[\d)]\s*[-+*/]\s*\(?$", line[: found.start()]):
        return None
    pool = list(left)
    try:
        a, b = (pool.pop(_place(number, pool)) for number in found.group(1, 3))
        move = _move(a, found[2], b, tuple(pool))
        return move if found[4] == move.result or means(found[4], Fraction(move.result)) else None
    except (ValueError, ZeroDivisionError):
        return None


def _place(written: str, pool: Sequence[str]) -> int:
    """Where the number that is written so stands; the nearest for a rounded decimal; `ValueError` if nowhere."""
    if written in pool:
        return pool.index(written)
    near = [i for i, number in enumerate(pool) if means(written, Fraction(number))]
    return min(near, key=lambda i: abs(Fraction(pool[i]) - Fraction(written)))


@lru_cache(maxsize=8192)
def _move(a: str, op: str, b: str, rest: tuple[str, ...]) -> Move:
    """`step` of numbers as they are written: a model proposes the same again and again."""
    return step(Fraction(a), op, Fraction(b), [Fraction(number) for number in rest])


def means(written: str, number: Fraction) -> bool:
    """Whether `written` is this number, or a decimal of it, rounded or cut off: 2.67, 2.66 and 2.6667 mean 8/3."""
    if "/" in written:
        top, bottom = written.split("/")
        return Fraction(bottom) != 0 and Fraction(top) / Fraction(bottom) == number
    places = len(written.partition(".")[2])
    return Fraction(written) == number or (places > 0 and abs(Fraction(written) - number) < Fraction(1, 10**places))


def answered(text: str) -> Draft:
    """The whole answer that a reply ends in, with what it really comes to; `Unparsable` where there is none."""
    text = ascii_signs(spoken(text))
    written = EXPRESSION.search(max(_answer_line(text).split("="), key=len))
    made = worked_out(written[0]) if written else None
    if written is None or made is None:
        raise Unparsable('no arithmetic expression follows "Answer:"')
    said = f"{written[0]} = {made.value}"
    return Draft({"text": text, "steps": made.steps, "left": [str(made.value)], "answer": said}, done=True)


def _answer_line(text: str) -> str:
    """The first line with a number behind the last "answer"; where nothing is called so, the last equation."""
    head, *tails = re.split("answer", text, flags=re.IGNORECASE)
    said = [line for line in lines(tails[-1]) if re.search(r"\d", line)] if tails else []
    equations = [line for line in lines(head) if "=" in line]
    return said[0] if said else equations[-1] if equations else ""


def ascii_signs(text: str) -> str:
    """Arithmetic in ASCII: its signs as `*`, `/`, `-` and `=`."""
    for command, sign in LATEX.items():
        text = text.replace(command, sign)
    return text.translate(SIGNS)


# -- the evaluator -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Evaluator:
    """E: whether a claim solves the puzzle. It stands outside of every task."""

    puzzle: str

    def __call__(self, claimed: object) -> bool:
        """True or False, whatever the claim is."""
        return check(self.puzzle, claimed)


def check(puzzle: str, claimed: object) -> bool:
    """Whether `claimed` is an expression, "= 24" behind it or not, of the puzzle's numbers, each once, of value 24."""
    if not isinstance(claimed, str):
        return False
    left, equals, right = claimed.partition("=")
    made = worked_out(left)
    return (
        made is not None
        and sorted(made.numbers) == sorted(read(puzzle))
        and made.value == TARGET
        and (not equals or right.strip() == str(TARGET))
    )


@dataclass(frozen=True)
class Worked:
    """An expression worked out: its value, the numbers in it, and its steps from the inside out."""

    value: Fraction
    numbers: list[int]
    steps: list[list[str]]


def worked_out(expression: str) -> Worked | None:
    """The value of whole numbers under + - * / and brackets, read without running anything; None for all else."""
    if not re.fullmatch(r"[\d\s+\-*/()]{1,200}", expression, re.ASCII):
        return None
    made = Worked(Fraction(0), [], [])
    try:
        value = _value(ast.parse(expression.strip(), mode="eval").body, made)
    except (SyntaxError, ValueError, ZeroDivisionError, MemoryError, RecursionError):
        return None
    return Worked(value, made.numbers, made.steps)


SIGN: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}


def _value(node: ast.expr, made: Worked) -> Fraction:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        made.numbers.append(node.value)
        return Fraction(node.value)
    if not isinstance(node, ast.BinOp) or (op := SIGN.get(type(node.op))) is None:
        raise ValueError("neither a whole number nor + - * /")
    a, b = _value(node.left, made), _value(node.right, made)
    made.steps.append([str(a), op, str(b)])
    return OPERATORS[op](a, b)


# -- the prompts of Yao et al. (2023) ----------------------------------------------------------------------------


def numbers_left(x: str, thoughts: Sequence[Thought]) -> str:
    """All that a prompt here needs to know: the numbers that the last thought left, or else the puzzle's."""
    return " ".join(left_of(thoughts[-1])) if thoughts else x


def proposing(
    x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
) -> Prompt:
    """One prompt, one step a line."""
    return Prompt(
        example="""\
Input: 2 8 8 14
Possible next steps:
2 + 8 = 10 (left: 8 10 14)
8 / 2 = 4 (left: 4 8 14)
14 + 2 = 16 (left: 8 8 16)
2 * 8 = 16 (left: 8 14 16)
8 - 2 = 6 (left: 6 8 14)
14 - 8 = 6 (left: 2 6 8)
14 / 2 = 7 (left: 7 8 8)
14 - 2 = 12 (left: 8 8 12)""",
        problem=f"Input: {numbers_left(x, thoughts)}\nPossible next steps:",
    )


def asking(
    x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
) -> Prompt:
    """The puzzle in words, and nothing else."""
    return Prompt(
        task="Use numbers and basic arithmetic operations (+ - * /) to obtain 24.",
        problem=f"Input: {numbers_left(x, thoughts)}\nAnswer:",
    )


def chaining(
    x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
) -> Prompt:
    """Chain of thought, with examples."""
    return Prompt(task=RULES, examples=EXAMPLES, problem=f"Input: {numbers_left(x, thoughts)}\nSteps:")


def mending(
    x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
) -> Prompt:
    """Chain of thought once more: a wrong answer with what it really comes to, and its first step to begin with.

    A first step from which two answers went wrong, one after the other, is given up.
    """
    tried, before = (steps_of(those)[:1] for those in (thoughts, thoughts[:-1]))
    lines = [move.content["text"] for move in replayed(x.split(), thoughts)]
    kept = lines[:1] if tried != before else []
    ask = f"Give another answer that begins with {'the same' if kept else 'another'} first step."
    wrong = "\n".join(["This answer is wrong:", f"Input: {x}", "Steps:", *lines, f"Answer: {_comes_to(x, thoughts)}"])
    return Prompt(task=RULES, examples=EXAMPLES, wrong=wrong, problem="\n".join([ask, f"Input: {x}", "Steps:", *kept]))


def _comes_to(x: str, thoughts: Sequence[Thought]) -> str:
    """What is claimed at the end of these thoughts; a puzzle's own numbers stand at its root."""
    return claim([Thought("", (), "", {"left": x.split()}), *thoughts]) or ""


RULES = (
    "Use numbers and basic arithmetic operations (+ - * /) to obtain 24. Each step, you are only allowed to choose two "
    "of the remaining numbers to obtain a new number."
)
EXAMPLES = """\
Input: 4 4 6 8
Steps:
4 + 8 = 12 (left: 4 6 12)
6 - 4 = 2 (left: 2 12)
2 * 12 = 24 (left: 24)
Answer: (6 - 4) * (4 + 8) = 24

Input: 2 9 10 12
Steps:
12 * 2 = 24 (left: 9 10 24)
10 - 9 = 1 (left: 1 24)
24 * 1 = 24 (left: 24)
Answer: (12 * 2) * (10 - 9) = 24

Input: 1 4 8 8
Steps:
8 / 4 = 2 (left: 1 2 8)
1 + 2 = 3 (left: 3 8)
3 * 8 = 24 (left: 24)
Answer: (1 + 8 / 4) * 8 = 24"""


def valuing(
    x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
) -> Prompt:
    """Can 24 still be reached: sure, likely or impossible."""
    return Prompt(
        task="""\
Evaluate if given numbers can reach 24 (sure/likely/impossible)
10 14
10 + 14 = 24
sure
11 12
11 + 12 = 23
12 - 11 = 1
11 * 12 = 132
11 / 12 = 0.91
impossible
4 4 10
4 + 4 + 10 = 8 + 10 = 18
4 * 10 - 4 = 40 - 4 = 36
(10 - 4) * 4 = 6 * 4 = 24
sure
4 9 11
9 + 11 + 4 = 20 + 4 = 24
sure
5 7 8
5 + 7 + 8 = 12 + 8 = 20
(8 - 5) * 7 = 3 * 7 = 21
I cannot obtain 24 now, but numbers are within a reasonable range
likely
5 6 6
5 + 6 + 6 = 17
(6 - 5) * 6 = 1 * 6 = 6
I cannot obtain 24 now, but numbers are within a reasonable range
likely
10 10 11
10 + 10 + 11 = 31
(11 - 10) * 10 = 10
10 10 10 are all too big
impossible
1 3 3
1 * 3 * 3 = 9
(1 + 3) * 3 = 12
1 3 3 are all too small
impossible""",
        problem=numbers_left(x, thoughts),
    )
