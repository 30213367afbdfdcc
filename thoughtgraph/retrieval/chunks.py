"""Passages of a document: cut where its structure says so, none too long (as in Lewis et al., 2020, at 100 words).

A passage is what is found, shown to a model and named as a source, so it should be about one thing, and fit. The cuts
tile the document: nothing is said twice, nothing is lost, and a passage is its document's `text[start:end]`.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from thoughtgraph.errors import TaskError, at_least
from thoughtgraph.retrieval.documents import Document, Kind, Section


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage to be: characters `start` to `end` of its document; `section` are the headings, a "/" between them."""

    start: int
    end: int
    section: str
    text: str


TOKENS = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]"
    r"|[^\W\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]{1,16}"
    r"|[^\w\s]|\s{64}"
)


def count(text: str) -> int:
    """Tokens as a person would count them: words, punctuation marks, and each sign of Chinese, Japanese and Korean.

    A word counts once for each 16 letters that it begins, and white space once for each 64, so that a blob of either
    is no single token. Models' own tokenizers count a quarter to a half more on English prose, and more on others.
    """
    return len(TOKENS.findall(text))


def chunks(document: Document, size: int = 200, tokens: Callable[[str], int] = count) -> list[Chunk]:
    """The whole document as passages of at most `size` tokens, as `tokens` counts them, in their order.

    Under one path of headings a passage is as long as fits, cut between blocks, then paragraphs, sentences, lines and
    words, whichever comes first in that order; what has none of these is cut where it must be. Passages never reach
    over a heading. Only a single character that counts for more than `size` is longer.
    """
    at_least(1, size=size)
    text, sections = document.text, document.sections or _one(document)
    found = list[Chunk]()
    for path, run in groupby(sections, key=lambda section: section.path):
        name = " / ".join(path)
        found += [Chunk(start, end, name, text[start:end]) for start, end in _Cutting(text, list(run), size, tokens)]
    return found


def _one(document: Document) -> list[Section]:
    kind: Kind = "code" if document.kind == "code" else "prose"
    return [Section(0, len(document.text), (), kind)] if document.text else []


# Where a text may be cut, the best first. White space belongs to what stands before it; an indent to its line.
PARAGRAPH, LINE, WORD = r"\n[ \t]*\n(?:[ \t]*\n)*", r"\n", r"\s+"
SENTENCE = "[.!?…][\"'”’)\\]]*\\s+(?=[^a-z\\s])|[。！？]"
CUTS: dict[Kind, list[re.Pattern[str]]] = {
    "prose": [re.compile(cut) for cut in (PARAGRAPH, SENTENCE, LINE, WORD)],
    "list": [re.compile(cut) for cut in (PARAGRAPH, r"\n(?=[ \t]*(?:[-*+•]|\d+[.)])[ \t])", LINE, SENTENCE, WORD)],
    "code": [re.compile(cut) for cut in (PARAGRAPH, r"\n(?=\S)", LINE, WORD)],
    "table": [re.compile(cut) for cut in (LINE, WORD)],
}

REST = re.compile(r"\w{0,16}\s{0,8}")


@dataclass(frozen=True)
class _Cutting:
    """The passages of one run of sections under the same headings, as pairs of offsets."""

    text: str
    run: Sequence[Section]
    size: int
    tokens: Callable[[str], int]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        start, stop = self.run[0].start, self.run[-1].end
        pace = 6.0  # characters a token, learnt as it goes
        while start < stop:
            reach = self._reach(start, stop, pace)
            end = stop if reach == stop else self._fitting(start, self._cut(start, reach, stop))
            pace = max((reach - start) / self.size, 0.1)
            yield start, end
            start = end

    def _counted(self, start: int, end: int) -> int:
        found = self.tokens(self.text[start:end])
        if not isinstance(found, int) or found < 0:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TaskError(f"tokens counted {found!r:.80}: expected a whole number of tokens, as len(tokenize(text))")
        return found

    def _reach(self, start: int, stop: int, pace: float) -> int:
        """How far a passage from `start` may go: as far as fits, or nearly, found in a few counts."""
        fits, over = start, stop + 1
        guess = min(stop, start + max(1, int(1.05 * self.size * pace)))
        for n in range(64):
            found = self._counted(start, guess)
            fits, over = (guess, over) if found <= self.size else (fits, guess)
            if over - fits <= 1 or 0.9 * self.size <= found <= self.size:
                break
            even = start + int((guess - start) * 0.97 * self.size / max(found, 0.25 * self.size))
            guess = min(max(even, fits + 1), over - 1) if n < 4 else (fits + over) // 2
        return self._to_the_word(start, max(fits, start + 1), stop)

    def _to_the_word(self, start: int, reach: int, stop: int) -> int:
        """To the end of a word that was begun and the white space behind it, if that fits too."""
        rest = REST.match(self.text, reach, stop)
        end = rest.end() if rest else reach
        return end if end == reach or self._counted(start, end) <= self.size else reach

    def _cut(self, start: int, reach: int, stop: int) -> int:
        """The best place to end what starts at `start`: not too short, and the rest in halves where it is short."""
        low, aim = start + max(1, (reach - start) // 3), min(reach, (start + stop) // 2)
        if aim < reach:
            low = max(low, stop - (reach - start))
        for places in self._places(low, reach, min(reach + 1, stop)):
            if places:
                return min(places, key=lambda place: (abs(place - aim), place))
        return aim

    def _places(self, low: int, reach: int, look: int) -> Iterator[list[int]]:
        """Where it may be cut from `low` to `reach`, the best kind of cut first."""
        edges = [section.end for section in self.run]
        first = bisect_left(edges, low)
        yield edges[first : bisect_right(edges, reach)]
        for cut in CUTS[self.run[min(first, len(edges) - 1)].kind]:
            ends = (match.end() for match in cut.finditer(self.text, low, look))
            yield [end for end in ends if low <= end <= reach]

    def _fitting(self, start: int, end: int) -> int:
        """Where a count is not the sum of its parts' counts, a part may count for more than the whole."""
        while end - start > 1 and self._counted(start, end) > self.size:
            end = (start + end) // 2
        return end
