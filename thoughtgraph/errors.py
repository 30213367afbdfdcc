"""What can go wrong, each with one meaning; every message says what was found, what was expected and what to do."""

from __future__ import annotations


class ThoughtgraphError(Exception):
    """The root of every error that thoughtgraph raises on purpose."""


class TaskError(ThoughtgraphError, ValueError):
    """A task, policy, generator or critic breaks its contract: the plumbing is wrong, not the model's text."""


class BudgetExhausted(ThoughtgraphError):
    """The next effect does not fit the budget. Raised at a policy's await; the run answers with its best so far."""

    def __init__(self, limit: str) -> None:
        super().__init__(f"the budget's {limit} are spent: resume the run with a larger budget to go on")
        self.limit = limit


class Unparsable(ThoughtgraphError, ValueError):
    """A reply holds nothing usable. Raised by a parser, it becomes a counted outcome of that draw, never a failure."""


class ModelError(ThoughtgraphError):
    """A model's endpoint said no. It is not tried again: the same request would meet the same answer."""

    def __init__(self, message: str, *, cause: str = "rejected") -> None:
        super().__init__(message)
        self.cause = cause


class Unavailable(ModelError):
    """A transport attempt failed in a way that another may not: time-out, 408, 409, 429, 5xx, reset, cut-off body.

    `retry_after` is the provider's own wish in seconds. `maybe_billed` says that the provider may have done the
    work all the same, so the attempt is booked as unsettled at its reservation.
    """

    def __init__(
        self, message: str, *, cause: str, retry_after: float | None = None, maybe_billed: bool = False
    ) -> None:
        super().__init__(message, cause=cause)
        self.retry_after = retry_after
        self.maybe_billed = maybe_billed


class Unsupported(ModelError):
    """The endpoint refuses one setting of a request, and may serve it without: the engine does so, and says it.

    `parameter` is the name that `Request` has for it: "temperature", "schema", "logprobs", "seed", "stop" or "n".
    """

    def __init__(self, message: str, *, parameter: str) -> None:
        super().__init__(message, cause=f"no {parameter}")
        self.parameter = parameter


class Unauthorized(ModelError):
    """The endpoint refuses the key (401, 403) or does not know the model (404): no later call fares better."""

    def __init__(self, message: str) -> None:
        super().__init__(message, cause="unauthorized")


class EffectError(ThoughtgraphError):
    """A generator or critic raised, again and again: its last error. One that raises now and then is an event."""


class Forbidden(ThoughtgraphError):
    """A prompt rests on knowledge that its model may not see, by the knowledge's labels: it was not sent."""


class Unsure(ThoughtgraphError):
    """An act that must not be done twice was begun, and the run was killed before it ended: it is not done again.

    Look outside whether it happened; the run goes on without its result.
    """

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name!r} was begun before the run was stopped, and whether it happened is not known: it is not done "
            "again, so look there"
        )
        self.name = name


class StoreError(ThoughtgraphError):
    """The file of runs cannot be used: read-only, full, damaged, of an unknown version, or the run has an owner."""


class InUse(StoreError):
    """A run has another owner at this moment: wait for it to end, or stop that process."""


class ReplayMismatch(ThoughtgraphError):
    """A run is resumed with something other than what it was recorded with. Nothing was written."""


def at_least(low: float, **values: float | None) -> None:
    """Raise `ValueError` for the first of `values` under `low` (None passes): how settings check themselves.

    What must be at least 1 is a count, and whole.
    """
    for name, value in values.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (number and value >= low):
            raise ValueError(f"{name} is {value!r}: expected a number of at least {low}")
        if value is not None and low == 1 and value % 1:
            raise ValueError(f"{name} is {value!r}: expected a whole number")
