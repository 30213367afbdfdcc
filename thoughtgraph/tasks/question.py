r"""Any question in text, for any policy: answer it, reason about it, or go on by a step.

>>> claimed("So 6 x 7 = 42.\n\nThe final answer is **42**.")
'42'
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from thoughtgraph.critics.agreement import Agreement, consistent
from thoughtgraph.critics.value import LABELS, Value, labelled
from thoughtgraph.critics.vote import Vote, compare
from thoughtgraph.errors import TaskError, Unparsable
from thoughtgraph.generators.fill import Fill
from thoughtgraph.generators.propose import Propose, unfinished
from thoughtgraph.generators.sample import Sample
from thoughtgraph.prompt import Image, Prompt, Prompter, narrate, quote
from thoughtgraph.protocols import Generator
from thoughtgraph.replies import spoken
from thoughtgraph.task import Task, same_json
from thoughtgraph.thought import Json, Passage, Score, Thought

if TYPE_CHECKING:
    from pydantic import BaseModel


def question(
    text: str,
    *,
    local: bool = False,
    passages: Sequence[Passage] = (),
    images: Sequence[Image] = (),
    returns: type[BaseModel] | None = None,
) -> Task:
    """A question as a task: what `solve` makes of a text.

    Actions: "answer" sends the question and nothing else, and the reply is the answer; "reason" is zero-shot chain of
    thought (Kojima et al., 2022), a whole solution; "step" draws next steps of one, and "propose" asks for several
    different ones at once; "refine" writes a better solution than the one it goes on from, "combine" one out of
    several, and "reflect" says what went wrong; "subquestion", "reanswer", "rephrase" and "complete" are those of
    rStar. Critics: "value" judges each line of thought alone, "vote" compares
    them, and "agree" names the one that most others bear out. `passages` are knowledge that every prompt quotes, that
    of "answer" too, and `images` are shown with every prompt. With `returns`, a pydantic model, answers are its data,
    and there are only "answer" and "reason". A model is always asked, so `local` has no effect: it is there for
    `build`. Raises `TaskError` for an empty question.
    """
    if not isinstance(text, str) or not text.strip():  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TaskError(f"the question is {text!r:.80}: expected a text that asks something")
    shown = tuple(images)
    return Task(
        text,
        actions=_forms(returns, shown) if returns else _words(shown),
        critics={
            "value": Value(_shown(labelled(*LABELS), shown)),
            "vote": Vote(_shown(compare, shown)),
            "agree": Agreement(_shown(consistent, shown)),
        },
        claim=_given if returns else claim,
        same=same,
        passages=tuple(passages),
        name="question",
        recipe=None if passages or images else {"name": "question", "problem": text, "local": False},
    )


def _words(images: Sequence[Image]) -> dict[str, Generator]:
    """The actions of a question whose answer is text."""
    return {
        "answer": Sample(_shown(as_it_stands, images), width=1),
        "reason": Sample(_shown(step_by_step, images), parse=solution),
        "step": Sample(_shown(next_step, images), width=3, parse=step, done=concludes),
        "propose": Propose(_shown(different_steps, images), k=5, done=concludes),
        "refine": Sample(_shown(better, images), width=1, parse=solution),
        "combine": Sample(_shown(combined, images), width=1, parse=solution),
        "reflect": Sample(_shown(lesson, images), width=1, done=unfinished),
        "subquestion": Sample(_shown(part_of_it, images), done=unfinished),
        "reanswer": Sample(_shown(once_more, images), done=unfinished),
        "rephrase": Sample(_shown(other_words, images), done=unfinished),
        "complete": Sample(_shown(to_the_end, images), parse=solution),
    }


def _forms(form: type[BaseModel], images: Sequence[Image]) -> dict[str, Generator]:
    """The actions of a question whose answer is a pydantic model."""
    return {
        "answer": Fill(form, _shown(as_it_stands, images)),
        "reason": Fill(form, _shown(think_first, images), reasoned=True, width=5),
    }


def _given(path: Sequence[Thought]) -> Json | None:
    """The data that the last thought answers with."""
    content: Json = path[-1].content
    return cast("dict[str, Json]", content).get("answer") if isinstance(content, dict) else None


# -- what is claimed ---------------------------------------------------------------------------------------------


def claim(path: Sequence[Thought]) -> Json | None:
    """The answer that the last thought gives; of a direct answer, which has no set form, the reply if it gives none."""
    last = path[-1]
    if last.action != "answer":
        return claimed(last.text)
    ends = list(_MARKER.finditer(last.text))
    closing = last.text.rstrip().rsplit("\n\n", 1)[-1]
    return (claimed(closing) if len(ends) <= 1 and concludes(closing) else None) or last.text.strip() or None


def claimed(text: str) -> str | None:
    r"""The answer in a solution: what follows its last "Answer:", else its last \boxed{}, else "the answer is ...".

    An answer may be longer than a line; None where nothing is claimed.
    """
    if markers := list(_MARKER.finditer(text)):
        return _bare(_whole(text[markers[-1].end() :]))
    if (inside := boxed(text)) is not None:
        return _bare(inside)
    told = list(_TOLD.finditer(text))
    return _bare(re.split(r"[.!](?:\s|\Z)", told[-1][1])[0]) if told else None


def concludes(text: str) -> bool:
    """Whether a step of reasoning gives the final answer, so that nothing follows."""
    return (bool(_MARKER.search(text)) or boxed(text) is not None) and claimed(text) is not None


def same(answer: Json) -> Hashable | None:
    """The form under which answers are one: without case, closing punctuation, quotes, markdown and thousands marks.

    "42", "42.0", "$42$" and "**42.**" are the same. None for what has more than a line or 100 characters: such answers
    cannot be compared, and nobody votes on them.
    """
    form = same_json(answer)
    if not isinstance(answer, str) or form is None:
        return form
    text = (_bare(answer) or "").casefold().replace("\u2212", "-")
    text = (
        " ".join(text.strip(" \t\"'\u201c\u201d\u2018\u2019\u00ab\u00bb").split())
        .rstrip(" .,;:!")
        .lstrip("$\u20ac\u00a3 ")
    )
    return _number(text) or text or None


def boxed(text: str) -> str | None:
    r"""What stands in the last \boxed{...}, braces within it counted; None where there is none."""
    start = text.rfind("\\boxed{")
    depth, first = 0, start + len("\\boxed")
    for at in range(first, len(text)) if start >= 0 else ():
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return text[first + 1 : at].strip() or None
    return None


_MARKER = re.compile(
    r"^[ \t>#*_\u2022-]*(?:(?:so|thus|hence|therefore|finally),?[ \t]+)?(?:(?:the|my)[ \t]+)?(?:"
    # Answer: x
    r"(?:final[ \t]+|correct[ \t]+)?answer[*_]*[ \t]*(?:is[ \t]*)?(?:[:=\uff1a]|[ \t][\u2013\u2014-][ \t])[*_]*"
    r"|final[ \t]+answer[*_]*[ \t]+is\b:?"  # the final answer is x
    r"|final[ \t]+answer[*_]*[ \t]*$|(?<=[#*])[ \t]*answer[*_]*[ \t]*$"  # a heading
    r")",
    re.IGNORECASE | re.MULTILINE,
)
_TOLD = re.compile(
    r"\banswer(?:\s+is|\s*:|\s+must\s+be|\s+would\s+be)(?!\s+not\b)[ \t]*:?[ \t]*([^\n]+)", re.IGNORECASE
)
_NUMERAL = re.compile(r"([-+]?)(\d+|\d{1,3}(?:[,_\u00a0\u202f '\u2019]\d{3})+)?(?:\.(\d*))?(\s*%)?")
_STOP = re.compile(r"[^.\s]*(?:[ \t][^.\s]+){0,7}\.|[-+]?[\d.,]*\d\.|\S*[*`$}]\.")  # no "U.S.", and no sentences
_AGAIN = re.compile(r"\A(?:the\s+)?(?:final\s+)?answer(?:\s+is\b|\s*:)\s*:?\s*", re.IGNORECASE)
_BLANK = re.compile(r"[<\[](?:the |your )?(?:final )?answer[>\]]", re.IGNORECASE)
_FENCED = re.compile(r"```[\w+#.-]*\n(.*)\n```", re.DOTALL)
_WRAPS = (
    ("**", "**"), ("*", "*"), ("`", "`"), ("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"),
    ("\\text{", "}"), ("\\textbf{", "}"), ("\\mathrm{", "}"),
)  # fmt: skip


def _whole(rest: str) -> str:
    """An answer as long as it is: its line, where that stands apart from what follows, else all that follows."""
    first, _, below = rest.partition("\n")
    if not first.strip():
        line = below.strip().split("\n\n", 1)[0]
        return line if _number(_bare(line) or "") else below
    apart = not below.split("\n", 1)[0].strip() and not first.rstrip(" *_").endswith(":")
    return first if apart or _number(_bare(first) or "") else f"{first}\n{below}"


def _bare(text: str) -> str | None:
    """An answer without what is wrapped around all of it; None where nothing is left, or only a blank to fill in."""
    text = text.strip()
    for _ in range(8):  # layers, as in **$\boxed{42}$.**
        text = _unwrapped(text)
    fenced = _FENCED.fullmatch(text)
    text = fenced[1].strip("\n") if fenced else text
    return text if re.search(r"\w", text) and not _BLANK.fullmatch(text) else None


def _unwrapped(text: str) -> str:
    """One layer off: a closing full stop, markdown, LaTeX, or "the answer is"."""
    if _STOP.fullmatch(text):
        text = text[:-1].rstrip()
    for left, right in _WRAPS:
        inner = text[len(left) : -len(right)]
        if text.startswith(left) and text.endswith(right) and len(text) > len(left + right) and right not in inner:
            text = inner.strip()
    if (inside := boxed(text)) is not None and text == f"\\boxed{{{inside}}}":
        text = inside
    if text.count("**") == 1:
        text = text.removeprefix("**").removesuffix("**").strip()
    return _AGAIN.sub("", text)


def _number(text: str) -> str | None:
    """The one form of a decimal numeral, by its digits alone so that long ones stay exact; None for other texts."""
    found = _NUMERAL.fullmatch(text)
    if not found or not (found[2] or found[3]):
        return None
    whole = re.sub(r"\D", "", found[2] or "").lstrip("0") or "0"
    part = (found[3] or "").rstrip("0")
    sign = "-" if found[1] == "-" and (whole != "0" or part) else ""
    return f"{sign}{whole}{'.' + part if part else ''}{'%' if found[4] else ''}"


def solution(reply: str) -> str:
    """A whole solution; `Unparsable` where it gives no answer."""
    text = spoken(reply)
    if claimed(text) is None:
        raise Unparsable('the reply gives no answer: expected a line "Answer: ..."')
    return text


def step(reply: str) -> str:
    """One step, without the number that the model gave it."""
    text = re.sub(
        r"\A[\W_]*(?:next\s+)?step(?:\s*\d+)?[*_]*\s*[:.)\u2013\u2014-][*_]*\s*", "", spoken(reply), flags=re.IGNORECASE
    )
    if not text.strip():
        raise Unparsable("the reply is no step")
    return text.strip()


@dataclass(frozen=True)
class Shown:
    """A prompter whose every prompt shows these pictures."""

    prompter: Prompter
    images: tuple[Image, ...]

    def __call__(
        self, x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
    ) -> Prompt:
        """The prompt with the pictures."""
        pictures = {f"picture{number}": image for number, image in enumerate(self.images, 1)}
        return self.prompter(x, passages, thoughts, scores).but(**pictures)


def _shown(prompter: Prompter, images: Sequence[Image]) -> Prompter:
    return Shown(prompter, tuple(images)) if images else prompter


# -- prompts -----------------------------------------------------------------------------------------------------

FORM = (  # of an answer that can be found again
    'a line "Answer: ..." that holds the answer and nothing else. Where the answer is longer than a line, '
    'write "Answer:" alone on a line and the answer below it, up to the end.'
)


def asking(ask: str) -> Prompter:
    """The prompter that tells the question and what was thought of it so far, and closes with `ask`."""

    def asked(
        x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
    ) -> Prompt:
        return Prompt(passages=quote(passages), problem=x, thoughts=narrate(thoughts, scores), ask=ask)

    return asked


think_first = asking("Think it through step by step in `reasoning`, and only then give the `answer`.")
"""Chain of thought where the form has a place for it."""


def as_it_stands(
    x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
) -> Prompt:
    """P(x) = x: the question, behind the knowledge if there is any."""
    return Prompt(passages=quote(passages), problem=x)


step_by_step = asking(f"Let's think step by step. End with {FORM}")
"""Zero-shot chain of thought, with the answer in a place where it is found."""


next_step = asking(
    "Write the one next step of the reasoning, and stop there. Where the scores or remarks above find a fault, "
    f"mend it. Only when nothing is left to work out, end with {FORM}"
)
"""One step further, in the light of what was said about the steps so far."""


different_steps = asking(
    "Propose up to 5 different next steps of the reasoning: other ways to go on, not the same in other words. "
    "Write each on one line of its own, and nothing else. Where a step gives the final answer, its line is "
    '"Answer: ..." with the answer and nothing else.'
)
"""Several ways to go on, each on its line."""


better = asking(
    "The solution above may be wrong, and the scores and remarks may say where. Check it, then write a better "
    f"one, complete in itself, or confirm it if nothing is wrong. End with {FORM}"
)
"""A better solution than those that stand there, in the light of what was said about them."""


combined = asking(
    "Combine what is right in the thoughts above, and in the passages if there are any, into one solution that "
    f"is complete in itself. Where they contradict each other, decide, and say why. End with {FORM}"
)
"""One solution out of several thoughts."""


lesson = asking(
    "This attempt failed, or was judged to be weak. Say in two or three sentences what went wrong, and what to "
    "do otherwise in the next attempt. Do not solve the problem."
)
"""What is to be learned from an attempt that failed (Reflexion; Shinn et al., 2023)."""


part_of_it = asking(
    "Ask the one sub-question whose answer helps most to go on from here, and answer it, in a few sentences. "
    "Do not answer the whole question yet."
)
"""A sub-question and its answer (A3 of rStar; Qi et al., 2024)."""


once_more = asking(
    "Answer the last sub-question above again, from the beginning and with more care: repeat the sub-question, "
    "work it out step by step, and say what it comes to. Do not answer the whole question yet."
)
"""The last sub-question, answered again (A4 of rStar)."""


other_words = asking(
    "Say the question in other words: list every condition that it gives, one a line, and then what is asked. "
    "Leave nothing out, add nothing, and do not answer it."
)
"""The question in other words (A5 of rStar)."""


def to_the_end(
    x: str, passages: Sequence[Passage], thoughts: Sequence[Thought], scores: Sequence[Sequence[Score]]
) -> Prompt:
    """The rest of a solution that somebody else began (the discriminator of rStar)."""
    return Prompt(
        passages=quote(passages),
        problem=x,
        thoughts=narrate(thoughts, [()] * len(thoughts)),
        ask=f"Go on from the steps above, which somebody else began, to the end, step by step. End with {FORM}",
    )
