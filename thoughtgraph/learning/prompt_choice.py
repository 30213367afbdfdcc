"""Choosing a prompt without labels (Sorensen et al., 2022; Yang et al., 2024): by what it makes of unlabelled inputs.

A good prompt says different things of different inputs, and is sure of each: its answers tell the most about the
input. Nothing here sees a right answer; whoever has some uses them afterwards, to see how well the choice was made.

Everywhere `p` holds p(y | x, t), shape (prompts t, inputs x, labels y): numbers of at least 0 that sum to 1 over the
labels. Entropies are in nats.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from thoughtgraph.errors import TaskError
from thoughtgraph.learning.columns import arrays

Criterion: TypeAlias = Literal["mi", "mi_g", "ge", "le", "mdl"]
"""What a prompt is chosen by; see `CRITERIA`."""

SLACK = 1e-3
"""So far from 1 may probabilities sum, and so far above 0 may a log-probability be: half floats round that much."""


# -- the quantities --------------------------------------------------------------------------------------------------


def entropy(p: Any) -> Any:
    """H(p) over the last axis, where 0 log 0 = 0."""
    np = arrays()

    return -(p * np.log(np.where(p > 0, p, 1))).sum(-1)


def mutual_information(p: Any) -> Any:
    """MI = H(mean_x p) - mean_x H(p), one for each prompt: what its answer tells of the input (Sorensen et al., 2022).

    From 0 to log(labels), higher is better. `TaskError` where p is not what it must be.
    """
    p = _checked(p)
    return entropy(p.mean(1)) - local_entropy(p)


def global_entropy(p: Any) -> Any:
    """GE = H(mean_x onehot(argmax_y p)): does it give all of the labels? (Lu et al., 2022.) Higher is better."""
    np = arrays()

    p = _checked(p)
    return entropy(np.eye(p.shape[-1])[p.argmax(-1)].mean(1))


def local_entropy(p: Any) -> Any:
    """LE = mean_x H(p): how unsure is it of one input? Lu et al. (2022) want it high, MDL (Wu et al., 2023) low."""
    return entropy(_checked(p)).mean(-1)


def calibrated(p: Any) -> Any:
    """Calibration by marginalisation, CBM (Yang et al., 2024): p / mean_x p, made to sum to 1 again.

    It takes away what a prompt says of any input, and so presumes that all labels are about equally common among the
    inputs. A label that a prompt never gives keeps the probability 0.
    """
    ratio = _ratio(_checked(p))
    return ratio / ratio.sum(-1, keepdims=True)


def _ratio(p: Any) -> Any:
    np = arrays()

    marginal = p.mean(1, keepdims=True)
    return p / np.where(marginal > 0, marginal, 1)


CRITERIA: Mapping[Criterion, Callable[[Any, Any], Any]] = {
    "mi": lambda p, unsure: entropy(p.mean(1)) - unsure,
    "mi_g": lambda p, unsure: global_entropy(p) - unsure,
    "ge": lambda p, unsure: global_entropy(p),
    "le": lambda p, unsure: unsure,
    "mdl": lambda p, unsure: -unsure,
}
"""The criteria, of p and the local entropy, each higher where the prompt is better.

"mi" is the one to begin with. "mi_g" counts answers where "mi" averages probabilities, and is the better one where the
answers are not calibrated afterwards. "ge", "le" and "mdl" are their parts, to compare with.
"""


# -- the choice ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Choice:
    """The place of the chosen prompt, and the criterion's value of each; of equal ones the first is chosen.

    `source` says what the probabilities were: the model's own, or frequencies of samples in their place.
    """

    prompt: int
    values: tuple[float, ...]
    by: Criterion
    source: str


@dataclass(frozen=True, eq=False, slots=True)
class Predictions:
    """What each prompt makes of each input; choose a prompt by it, then answer with that prompt.

    `samples` is None where p are a model's own probabilities, and how many samples stand behind each frequency,
    shape (prompts, inputs), where they are counted.
    """

    p: Any
    samples: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "p", _checked(self.p))

    @classmethod
    def of_log_probs(cls, log_prob: Any) -> Predictions:
        """From log p(y | x, t), shape (prompts, inputs, labels), made to sum to 1 over the labels; -inf is none."""
        np = arrays()

        given = _table(log_prob, "log-probabilities")
        if (given > SLACK).any():
            raise TaskError(f"a log-probability is {given.max():.4g}: expected none above 0; is it the loss, -log p?")
        highest = given.max(-1, keepdims=True)
        _none_at(~np.isfinite(highest[..., 0]), "gives none of the labels any probability")
        p = np.exp(given - highest)
        return cls(p / p.sum(-1, keepdims=True))

    @classmethod
    def of_counts(cls, counts: Any) -> Predictions:
        """From how often each label came, shape (prompts, inputs, labels), where a model tells no probabilities.

        The frequencies of L samples are an empirical substitute: with few of them every prompt looks surer than it
        is, by about (labels seen - 1) / 2L nats (Miller, 1955), and that is added to the local entropy again.
        """
        given = _table(counts, "counts")
        if (given < 0).any() or (given % 1).any():
            raise TaskError("a count is no whole number of at least 0: expected how often each label came")
        samples = given.sum(-1)
        _none_at(samples == 0, "has no readable sample: draw more, or leave that input out for every prompt")
        return cls(given / samples[..., None], samples)

    def choose(self, by: Criterion = "mi", *, calibrate: bool = False) -> Choice:
        """The prompt with the highest value of a criterion.

        With `calibrate` the criterion is taken of softmax(p / mean_x p), as in Yang et al. (2024): it and calibrated
        answers are two switches, and answers gain by it more than the choice does.
        """
        if by not in CRITERIA:
            raise TaskError(f"the criterion is {by!r}: expected one of {', '.join(get_args(Criterion))}")
        p = _softmax(_ratio(self.p)) if calibrate else self.p
        values = CRITERIA[by](p, local_entropy(p) + self._bias())
        return Choice(int(values.argmax()), tuple(values.tolist()), by, self.source)

    def answers(self, prompt: int, *, calibrate: bool = True) -> list[int]:
        """The label, by its place, that one prompt gives each input; calibrated by marginalisation unless told not."""
        if not 0 <= prompt < len(self.p):
            raise TaskError(f"the prompt is {prompt}: expected 0 to {len(self.p) - 1}")
        one = self.p[prompt : prompt + 1]
        return (calibrated(one) if calibrate else one)[0].argmax(-1).tolist()

    @property
    def source(self) -> str:
        """What p is, in words."""
        counted = "" if self.samples is None else f"frequencies of {int(self.samples.min())} or more samples"
        return counted or "the model's probabilities"

    def _bias(self) -> Any:
        """By how much samples make a prompt look surer than it is (Miller-Madow); 0 of a model's probabilities."""
        return 0 if self.samples is None else (((self.p > 0).sum(-1) - 1) / (2 * self.samples)).mean(-1)


def tally(samples: Sequence[Sequence[Sequence[Hashable | None]]], labels: Sequence[Hashable]) -> Any:
    """Counts for `Predictions.of_counts` from what was drawn: samples[prompt][input] are labels.

    None is a reply that could not be read, and counts for no label.
    """
    np = arrays()

    place = {label: i for i, label in enumerate(labels)}
    counts = np.zeros((len(samples), max(map(len, samples), default=0), len(labels)))
    for t, inputs in enumerate(samples):
        if len(inputs) != counts.shape[1]:
            raise TaskError(f"prompt {t} has {len(inputs)} inputs, another {counts.shape[1]}: expected the same")
        for x, drawn in enumerate(inputs):
            for label in drawn:
                if label is not None:
                    counts[t, x, _place(place, label)] += 1
    return counts


def _place(place: Mapping[Hashable, int], label: Hashable) -> int:
    if label not in place:
        raise TaskError(f"a sample is {label!r}: expected one of {', '.join(map(repr, place))}, or None if unreadable")
    return place[label]


# -- checks ----------------------------------------------------------------------------------------------------------


def _checked(p: Any) -> Any:
    """The probabilities as an array, or `TaskError` for what is none."""
    p = _table(p, "probabilities")
    if (p < 0).any():
        raise TaskError(f"a probability is {p.min():.4g}: expected 0 to 1 (for log-probabilities, use of_log_probs)")
    total = p.sum(-1)
    if (abs(total - 1) > SLACK).any():
        worst = total.flat[int(abs(total - 1).argmax())]
        raise TaskError(f"the labels' probabilities sum to {worst:.4g} for an input: expected 1; divide by the sum")
    return p / total[..., None]


def _table(values: Any, what: str) -> Any:
    """An array of shape (prompts, inputs, labels) without NaN, or `TaskError`."""
    np = arrays()

    try:
        table: Any = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TaskError(f"the {what} are no table of numbers ({error}): expected (prompts, inputs, labels)") from None
    if table.ndim != 3 or not table.size:
        raise TaskError(f"the {what} have the shape {table.shape}: expected (prompts, inputs, labels), none of them 0")
    if table.shape[1] < 2 or table.shape[2] < 2:
        raise TaskError(f"{table.shape[1]} inputs and {table.shape[2]} labels: expected two or more of both to compare")
    _none_at(np.isnan(table).any(-1), f"has NaN among its {what}: leave that input out for every prompt")
    _none_at((table == np.inf).any(-1), f"has infinite {what}: expected finite numbers")
    return table


def _none_at(faults: Any, what: str) -> None:
    """`TaskError` naming the first (prompt, input) where there is a fault."""
    if faults.any():
        t, x = divmod(int(faults.argmax()), faults.shape[1])
        raise TaskError(f"input {x} of prompt {t} {what}")


def _softmax(z: Any) -> Any:
    np = arrays()

    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)
