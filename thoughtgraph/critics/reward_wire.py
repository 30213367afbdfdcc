"""What goes over the wire to a reward model's server, and what its replies say: vLLM's addresses, 0.10 and later.

Nothing else knows them (Kwon et al., 2023, is the paper of vLLM): another server is another file like this one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from math import exp, fsum
from typing import Any, TypeVar, cast

from thoughtgraph.critics.reward_formats import Class, Row, Scalar, Turn, Verdict
from thoughtgraph.critics.reward_models import Family
from thoughtgraph.errors import ModelError
from thoughtgraph.thought import Json

T = TypeVar("T")

# -- what is asked -------------------------------------------------------------------------------------------------

TOP = 20
"""So many of the likeliest tokens are asked for at each place: vLLM's own limit, unless --max-logprobs says more."""


TOKENS, NEXT = "/tokenize", "/v1/completions"


def spelt(model: str, text: str, *, special: bool = False) -> dict[str, Json]:
    """POST /tokenize: the ids of a text, `special` with those that stand before and behind any."""
    return {"model": model, "prompt": text, "add_special_tokens": special}


def said(model: str, turns: Sequence[Turn], *, opened: bool) -> dict[str, Json]:
    """POST /tokenize: the ids of a chat."""
    messages = [{"role": role, "content": content} for role, content in turns]
    return {"model": model, "messages": messages, "add_generation_prompt": opened, "add_special_tokens": False}


def pooled(model: str, row: Row, family: Family) -> dict[str, Json]:
    """POST /pooling: the classes of each token, or of each mark."""
    asked = {"task": "token_classify", "encoding_format": "float"}
    return {"model": model, "input": list(row.ids), **asked, **_activated(family)}


def classified(model: str, row: Row, family: Family) -> dict[str, Json]:
    """POST /classify: the classes of the whole."""
    return {"model": model, "input": list(row.ids), **_activated(family)}


def _activated(family: Family) -> dict[str, Json]:
    """Probabilities, but for a reward that is read as it stands.

    `activation` is what `use_activation` was called before vLLM 0.12; a server leaves out what it does not know.
    """
    wanted = not isinstance(family.reading, Scalar) or family.reading.squash
    return {"use_activation": wanted, "activation": wanted, "add_special_tokens": False}


def followed(row: Row) -> list[int]:
    """The ids, with yes behind them where the last place is the last: so there is a token to be told of."""
    return [*row.ids, *row.labels[:1]] if row.places[-1] == len(row.ids) - 1 else list(row.ids)


def verdicts(model: str, ids: Sequence[int]) -> dict[str, Json]:
    """POST /v1/completions: the likeliest tokens at each place of the prompt, of which one token is drawn at least."""
    return {"model": model, "prompt": list(ids), "max_tokens": 1, "temperature": 0, "prompt_logprobs": TOP}


# -- what is answered ----------------------------------------------------------------------------------------------


def understood(read: Callable[..., T], *told: Any) -> T:
    """What `read` finds in a reply; `ModelError` where the reply is of another shape."""
    try:
        return read(*told)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        found = f"{json.dumps(told[0]):.200} ({type(error).__name__}: {error})"
        raise ModelError(f"the server replied {found}: expected what vLLM answers", cause="reply") from error


def read_ids(reply: Any) -> tuple[list[int], int | None]:
    """The ids, and how many of them the model reads."""
    limit = reply.get("max_model_len")
    return [int(token) for token in reply["tokens"]], None if limit is None else int(limit)


def read_rows(reply: Any, length: int) -> list[list[float]]:
    """The numbers of each token, or of each mark."""
    rows: list[Any] = _all_read(reply, length)["data"][0]["data"]
    return [_floats(row) for row in rows]


def read_whole(reply: Any, length: int) -> list[list[float]]:
    """The numbers of the whole, as its last token's."""
    before: list[list[float]] = [[]] * (length - 1)
    return [*before, _floats(_all_read(reply, length)["data"][0]["probs"])]


def read_listed(reply: Any, length: int) -> list[dict[str, float]]:
    """For each token, the log-probabilities of the likeliest ones in its place, by their ids; none for the first."""
    listed: list[dict[str, Any] | None] = _all_read(reply, length)["choices"][0]["prompt_logprobs"]
    if len(listed) != length:
        raise ValueError(f"it lists {len(listed)} of {length} tokens")
    return [{token: _logprob(told["logprob"]) for token, told in (one or {}).items()} for one in listed]


def _logprob(told: Any) -> float:
    if not (value := float(told)) <= OPEN:
        raise ValueError(f"{value} is no log-probability")
    return value


def _floats(row: Any) -> list[float]:
    many = cast("list[Any]", row) if isinstance(row, list) else [row]
    return [float(one) for one in many]


def _all_read(reply: Any, length: int) -> Any:
    """The reply itself, of a server that says it read all of the ids, or says nothing of it."""
    usage: Any = reply.get("usage") or {}
    count = usage.get("prompt_tokens", length)
    if count != length:
        said = f"the server read {count} of {length} tokens: it cuts what is too long, and a cut solution has another"
        raise ModelError(f"{said} score; let the server cut nothing, or judge shorter solutions", cause="cut")
    return reply


EACH = "/pooling", pooled, read_rows
WHOLE = "/classify", classified, read_whole
"""Where each token, and where the whole is asked for: the path, the request, the reply."""


# -- what that says ------------------------------------------------------------------------------------------------

OPEN = 0.01
"""So far apart may the least and the greatest score be that go with what a server shows."""


def share(listed: Mapping[str, float], row: Row, reading: Verdict) -> float:
    """The share of yes, of the log-probabilities of the likeliest tokens that the server lists.

    One of the two that is not listed has at most the probability that the listed ones leave.
    """
    yes, no = (listed.get(str(label)) for label in row.labels)
    if yes is not None and no is not None:
        return reading.number([yes, no])
    rest = max(0.0, 1 - fsum(map(exp, listed.values())))
    there = 0.0 if (one := yes if no is None else no) is None else exp(one)
    if not there or rest / (there + rest) > OPEN:
        raise ModelError(
            f"the server lists {len(listed)} tokens, and {reading.yes!r} and {reading.no!r} are not both among them: "
            f"serve the model with --max-logprobs {TOP} or more; if it is, the model is of another family"
        )
    half = rest / 2 / (there + rest / 2)
    return 1 - half if no is None else half


def number(probs: Sequence[float], family: Family) -> float:
    """The score, of what the server has made probabilities of where the family has them."""
    reading = family.reading
    if isinstance(reading, Scalar) and not reading.squash:
        return reading.number(probs)
    many = 2 if isinstance(reading, Class) else 1
    sound = len(probs) == many and all(0 <= p <= 1 for p in probs) and (many == 1 or abs(fsum(probs) - 1) < 1e-2)
    if not sound:
        raise ModelError(
            f"the server gave {list(probs)!r:.80} for a token: expected {many} probabilities. Serve the model with "
            "--pooler-config '{\"use_activation\": true}', or it is of another family"
        )
    return probs[reading.take] if isinstance(reading, Class) else probs[0]


def at_places(rows: Sequence[Sequence[float]], row: Row) -> list[Sequence[float]]:
    """The rows of the places, of a server that gives one for each id, or one for each mark.

    Marks are counted by their id, so that one in somebody's own text has a row, and is not taken for ours.
    """
    if len(rows) == len(row.ids):
        return [rows[place] for place in row.places]
    mark = row.ids[row.places[0]]
    marks = [place for place, token in enumerate(row.ids) if token == mark]
    if len(rows) != len(marks):
        raise ModelError(
            f"the server gave {len(rows)} rows for {len(row.ids)} tokens with {len(marks)} marks: expected as many as "
            "there are of either; is its step_tag_id the family's mark?"
        )
    return [one for place, one in zip(marks, rows, strict=True) if place in row.places]
