"""What private worlds are made of (after Ho et al., 2020): kinds of things, relations, and ways to say them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from string import Formatter

from thoughtgraph.errors import TaskError, at_least

_PLACES = {
    "pattern": {"a", "b", "n"},
    "said": {"s", "o"},
    "named": {"s"},
    "asked": {"s"},
    "dated": {"date", "fact"},
    "withdrawn": {"date", "fact"},
    "filler": {"x"},
}
"""What may stand in braces in which text."""

_NEEDED = {"said": {"s", "o"}, "named": {"s"}, "asked": {"s"}, "dated": {"date", "fact"}, "withdrawn": {"date", "fact"}}
"""And what must."""


@dataclass(frozen=True)
class Kind:
    """A kind of thing, as persons or sites. `pattern` makes names: {a} and {b} are made-up words, {n} is a number.

    Names that have both words share one with many others. `share` is how many there are, against the other kinds.
    """

    name: str
    pattern: str
    share: float = 1.0

    def __post_init__(self) -> None:
        _check("pattern", self.pattern)
        at_least(0, share=self.share)
        if not re.search(r"\{[ab]\}", self.pattern) or re.search(r"[.!?;]", self.pattern):
            raise TaskError(
                f"the pattern of {self.name!r} is {self.pattern!r}: expected {{a}} or {{b}} in it, and no full stop, "
                "at which sentences are cut"
            )


@dataclass(frozen=True)
class Relation:
    """What a thing of the kind `subject` has to do with one of the kind `object`.

    `said` are the ways to say it, with {s} and {o}: clauses without a capital and a full stop, as in "{o} leads {s}".
    `named` is the phrase for the object that a longer question holds ("the lead of {s}"), `asked` the whole question.
    Of relations that are `many`, a subject has several objects: nothing is asked about these, they stand in the way,
    and need neither.
    """

    name: str
    subject: str
    object: str
    said: tuple[str, ...]
    named: str = ""
    asked: str = ""
    many: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.said, str) or not self.said:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TaskError(f"the relation {self.name!r} is said as {self.said!r:.60}: expected a tuple of clauses")
        for said in self.said:
            _check("said", said)
        if not self.many:
            _check("named", self.named)
            _check("asked", self.asked)


@dataclass(frozen=True)
class Template:
    """A language for worlds: its kinds, its relations, and the sentences around facts.

    `dated` says a fact with the day of its record, `withdrawn` that a record does not count. `filler` says nothing of
    any relation; an {x} in it is a name of the world. Where two records contradict each other, the newest that was not
    withdrawn counts: `rule` says so to whoever reads. `TaskError` for what does not fit together.
    """

    name: str
    kinds: tuple[Kind, ...]
    relations: tuple[Relation, ...]
    filler: tuple[str, ...]
    dated: tuple[str, ...] = ("as of {date}, {fact}", "{fact}, according to the record of {date}")
    withdrawn: tuple[str, ...] = (
        "an entry of {date}, since withdrawn, had it that {fact}",
        "it was noted on {date}, and withdrawn later, that {fact}",
    )

    def __post_init__(self) -> None:
        for name in ("dated", "withdrawn", "filler"):
            for text in getattr(self, name):
                _check(name, text)
        kinds = [kind.name for kind in self.kinds]
        for relation in self.relations:
            if odd := {relation.subject, relation.object} - set(kinds):
                raise TaskError(
                    f"the relation {relation.name!r} is of {min(odd)!r}: expected one of {', '.join(kinds)}"
                )
        names = [relation.name for relation in self.relations]
        if len(set(names)) < len(names) or len(set(kinds)) < len(kinds):
            raise TaskError(f"the template {self.name!r} has two kinds or relations of one name: expected each once")
        if not self.filler or not self.paths(2):
            raise TaskError(f"the template {self.name!r} has no filler, or no two relations that follow each other")

    def kind(self, name: str) -> Kind:
        """The kind of this name."""
        return next(kind for kind in self.kinds if kind.name == name)

    def relation(self, name: str) -> Relation:
        """The relation of this name."""
        return next(relation for relation in self.relations if relation.name == name)

    def paths(self, hops: int) -> list[tuple[Relation, ...]]:
        """All ways to go on from one relation to the next, `hops` long: what can be asked about."""
        known = [relation for relation in self.relations if not relation.many]
        found = [(relation,) for relation in known]
        for _ in range(hops - 1):
            found = [(*path, then) for path in found for then in known if then.subject == path[-1].object]
        return found


def question(path: Sequence[Relation], start: str) -> str:
    """The question that follows relations from a name: what is the last one's object?"""
    phrase = start
    for relation in path[:-1]:
        phrase = relation.named.format(s=phrase)
    return path[-1].asked.format(s=phrase)


def _check(name: str, text: str) -> None:
    """Raise `TaskError` where a text has other places than it may have."""
    try:
        found = {place for _, place, _, _ in Formatter().parse(text) if place is not None}
    except ValueError as error:
        raise TaskError(f"{text!r} does not read ({error}): expected places in braces, as in {{s}}") from None
    if not _NEEDED.get(name, set()) <= found <= _PLACES[name]:
        expected = ", ".join(f"{{{place}}}" for place in sorted(_PLACES[name]))
        raise TaskError(f"{name} has {text!r}: expected the places {expected}")


# -- two that ship with the package ------------------------------------------------------------------------------

COMPANY = Template(
    name="company",
    kinds=(
        Kind("project", "Project {a} {b}", 1.0),
        Kind("person", "{a} {b}", 2.0),
        Kind("team", "team {a}-{n}", 0.5),
        Kind("site", "{a} Works", 0.12),
        Kind("city", "{a}", 0.06),
        Kind("device", "{a} {n}", 0.8),
        Kind("supplier", "{a} & {b}", 0.4),
    ),
    relations=(
        Relation(
            "lead", "project", "person",
            ("{s} is led by {o}", "the lead of {s} is {o}", "{o} has charge of {s}"),
            "the lead of {s}", "Who is the lead of {s}?",
        ),
        Relation(
            "instrument", "project", "device",
            ("{s} takes its measurements with {o}", "the main instrument of {s} is {o}", "{o} is reserved for {s}"),
            "the main instrument of {s}", "What is the main instrument of {s}?",
        ),
        Relation(
            "sponsor", "project", "supplier",
            ("{s} is paid for by {o}", "{o} sponsors {s}", "the bills of {s} go to {o}"),
            "the sponsor of {s}", "Who is the sponsor of {s}?",
        ),
        Relation(
            "team", "person", "team",
            ("{s} belongs to {o}", "{s} sits with {o}", "{o} counts {s} among its members"),
            "the team of {s}", "In which team is {s}?",
        ),
        Relation(
            "mentor", "person", "person",
            ("{s} was trained by {o}", "the mentor of {s} is {o}", "{o} took {s} through the first year"),
            "the mentor of {s}", "Who is the mentor of {s}?",
        ),
        Relation(
            "site", "team", "site",
            ("{s} is housed at {o}", "the desks of {s} stand at {o}", "{o} is home to {s}"),
            "the site where {s} is housed", "At which site is {s} housed?",
        ),
        Relation(
            "head", "team", "person",
            ("{s} reports to {o}", "the head of {s} is {o}", "{o} runs {s}"),
            "the head of {s}", "Who is the head of {s}?",
        ),
        Relation(
            "city", "site", "city",
            ("{s} lies in {o}", "{s} was built in {o}", "the gates of {s} open on a street in {o}"),
            "the city of {s}", "In which city is {s}?",
        ),
        Relation(
            "warden", "site", "person",
            ("the keys of {s} are kept by {o}", "{o} is the warden of {s}", "whoever is locked out of {s} calls {o}"),
            "the warden of {s}", "Who is the warden of {s}?",
        ),
        Relation(
            "keeper", "device", "person",
            ("{s} is looked after by {o}", "the keeper of {s} is {o}", "{o} calibrates {s} every month"),
            "the keeper of {s}", "Who is the keeper of {s}?",
        ),
        Relation(
            "maker", "device", "supplier",
            ("{s} was made by {o}", "{o} delivered {s}", "the plate on {s} names {o} as its maker"),
            "the maker of {s}", "Who made {s}?",
        ),
        Relation(
            "seat", "supplier", "city",
            ("{s} has its seat in {o}", "letters to {s} go to {o}", "{s} is registered in {o}"),
            "the city where {s} is registered", "In which city is {s} registered?",
        ),
        Relation(
            "contact", "supplier", "person",
            ("{o} speaks with {s} for us", "our contact for {s} is {o}", "calls from {s} are put through to {o}"),
            "our contact for {s}", "Who is our contact for {s}?",
        ),
        Relation(
            "uses", "project", "device",
            ("{s} has borrowed {o}", "{o} was lent to {s} for a week"),
            many=True,
        ),
        Relation(
            "met", "person", "person",
            ("{s} gave a talk together with {o}", "{s} shared a table with {o} at the summer party"),
            many=True,
        ),
    ),
    filler=(
        "The minutes were sent round on Friday",
        "Nobody raised an objection",
        "The coffee machine on the second floor is out of order again",
        "Further questions go to the front desk",
        "{x} was mentioned in the newsletter",
        "A photograph of {x} hangs in the corridor",
        "The list was checked twice and found to be complete",
        "There was a longer discussion about parking",
        "The invoice that concerns {x} is still open",
        "The next review takes place after the holidays",
        "Two copies of this sheet were printed",
        "The lead, the team and the site of each project are found in the register",
        "Visitors are asked to sign in",
        "The file on {x} was moved to another shelf",
    ),
)  # fmt: skip
"""Projects, people, teams, sites, devices and suppliers of a company."""

CLINIC = Template(
    name="clinic",
    kinds=(
        Kind("patient", "{b}, {a}", 2.0),
        Kind("physician", "Doctor {a} {b}", 0.8),
        Kind("nurse", "Sister {a} {b}", 0.5),
        Kind("ward", "ward {a}", 0.15),
        Kind("building", "{a} House", 0.08),
        Kind("drug", "{a}in-{n}", 0.6),
        Kind("trial", "{a}-{b} trial", 0.5),
        Kind("firm", "{a} {b} Pharma", 0.3),
        Kind("hospital", "{a} Infirmary", 0.12),
        Kind("town", "{a}ham", 0.08),
    ),
    relations=(
        Relation(
            "attending", "patient", "physician",
            ("{s} is under the care of {o}", "{o} attends to {s}", "the chart of {s} is signed by {o}"),
            "the physician who attends to {s}", "Which physician attends to {s}?",
        ),
        Relation(
            "bed", "patient", "ward",
            ("{s} was admitted to {o}", "{s} has a bed on {o}", "visitors find {s} on {o}"),
            "the ward of {s}", "On which ward is {s}?",
        ),
        Relation(
            "medication", "patient", "drug",
            ("{s} takes {o} twice a day", "{o} was prescribed for {s}", "{s} is on {o}"),
            "the drug prescribed for {s}", "Which drug was prescribed for {s}?",
        ),
        Relation(
            "place", "ward", "building",
            ("{s} is on an upper floor of {o}", "{s} can be reached through {o}", "{o} holds {s}"),
            "the building of {s}", "In which building is {s}?",
        ),
        Relation(
            "charge", "ward", "nurse",
            ("{o} is in charge of {s}", "{s} is run by {o}", "the rota of {s} is drawn up by {o}"),
            "the nurse in charge of {s}", "Which nurse is in charge of {s}?",
        ),
        Relation(
            "trained", "physician", "hospital",
            ("{s} qualified at {o}", "{s} came to us from {o}", "{o} trained {s}"),
            "the hospital that trained {s}", "Which hospital trained {s}?",
        ),
        Relation(
            "deputy", "physician", "physician",
            ("{o} stands in for {s}", "when {s} is away, ask {o}", "{s} is covered by {o}"),
            "the deputy of {s}", "Who is the deputy of {s}?",
        ),
        Relation(
            "school", "nurse", "hospital",
            ("{s} learned nursing at {o}", "{s} holds a certificate of {o}"),
            "the hospital that certified {s}", "Which hospital certified {s}?",
        ),
        Relation(
            "town", "hospital", "town",
            ("{s} serves the people of {o}", "{s} is the largest employer of {o}", "the town of {s} is {o}"),
            "the town of {s}", "In which town is {s}?",
        ),
        Relation(
            "maker", "drug", "firm",
            ("{s} is a product of {o}", "{o} manufactures {s}", "packets of {s} bear the mark of {o}"),
            "the manufacturer of {s}", "Which firm manufactures {s}?",
        ),
        Relation(
            "trial", "drug", "trial",
            ("{s} was approved after the {o}", "the evidence for {s} comes from the {o}"),
            "the trial behind {s}", "Which trial stands behind {s}?",
        ),
        Relation(
            "investigator", "trial", "physician",
            ("the {s} was conducted by {o}", "{o} was the principal investigator of the {s}"),
            "the principal investigator of {s}", "Who was the principal investigator of {s}?",
        ),
        Relation(
            "seat", "firm", "town",
            ("{s} has its plant in {o}", "{s} ships from {o}", "the offices of {s} are in {o}"),
            "the town where {s} has its offices", "In which town does {s} have its offices?",
        ),
        Relation(
            "allergy", "patient", "drug",
            ("{s} does not tolerate {o}", "{o} gave {s} a rash"),
            many=True,
        ),
        Relation(
            "seen", "patient", "physician",
            ("{s} was seen once by {o}", "{o} was consulted about {s} by telephone"),
            many=True,
        ),
    ),
    filler=(
        "The night was quiet",
        "Blood pressure and temperature were taken at six",
        "The relatives have been told",
        "The lift is under repair, please use the stairs",
        "A letter about {x} is still missing",
        "The note on {x} was typed by the secretary",
        "Lunch was served late",
        "The round begins at eight",
        "Somebody asked after {x} at the desk",
        "The physician, the ward and the drug of each patient are on the chart",
        "The folder was handed over complete",
        "The telephone list was corrected where {x} is concerned",
        "There is nothing else to report",
        "The form has to be signed in two places",
    ),
)  # fmt: skip
"""Patients, physicians, wards, drugs, trials, firms and hospitals of a clinic."""

TEMPLATES = {template.name: template for template in (COMPANY, CLINIC)}
"""The templates that come with the package, by name."""
