"""The line-up of a comparison: from what is named on each axis to its arms, checked before they cost anything."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from difflib import get_close_matches
from itertools import product
from typing import Any, TypeAlias, cast

from thoughtgraph.api import as_model, as_models, as_policy, thinks_alone
from thoughtgraph.api import estimate as foreseen
from thoughtgraph.budget import Budget
from thoughtgraph.comparison import Place
from thoughtgraph.contracts import check_request
from thoughtgraph.errors import TaskError
from thoughtgraph.expressions import expression
from thoughtgraph.marks import mark
from thoughtgraph.model import Model, Price
from thoughtgraph.prompt import Prompter
from thoughtgraph.store import digest
from thoughtgraph.task import Task
from thoughtgraph.verbs import Policy

Dress: TypeAlias = Callable[[Task], Task]
"""What a prompter does to a task."""

Over: TypeAlias = Mapping[str, Any]
"""What is compared, by axis: "policy", "model", "prompter", "L"."""

DRAWN = ("n", "branch", "breadth", "width")
"""What L means for a policy: the first of these settings that it has."""

PROBES: Mapping[str, tuple[str, int]] = {"best_of_n": ("best_of_n(n=8)", 8), "self_consistency": ("cot", 1)}
"""For a baseline that draws: the policy by whose estimate it is sized, and how many draws that makes."""

SAMPLING = ("direct", "best_of_n", "self_consistency")
"""The baselines of every comparison, the cheapest first."""


@dataclass(frozen=True)
class Arm:
    """A cell before it is run: its policy, its models, and its tasks as its prompter has them.

    `named` is its model as it was named, `speakers` the model behind that and those of single roles. It is `asked`
    for, or a `baseline`, or both.
    """

    place: Place
    policy: Policy
    named: Model | str | None
    price: Price | None
    speakers: tuple[Model | None, Mapping[str, Model]]
    tasks: tuple[Task, ...]
    asked: bool = False
    baseline: bool = False


@dataclass(frozen=True)
class Stage:
    """What all arms share: the puzzles, the budget, and where their models are."""

    tasks: tuple[Task, ...]
    budget: Budget
    models: Mapping[str, Model | str] | None = None
    base_url: str | None = None
    price: Price | Mapping[str, Price] | None = None

    def priced(self, label: str) -> Price | None:
        """What a model costs that is named by a text."""
        return self.price.get(label) if isinstance(self.price, Mapping) else self.price

    def speakers(self, model: Model | str | None, price: Price | None) -> tuple[Model | None, Mapping[str, Model]]:
        """The model of a cell, made once for all its runs, and those of single roles."""
        used = None if model is None and all(map(thinks_alone, self.tasks)) else as_model(model, self.base_url, price)
        return used, as_models(self.models, used, self.base_url)

    def check(self, arm: Arm) -> None:
        """`TaskError` for what cannot work, before anything is spent."""
        for task in arm.tasks:
            model, others = arm.speakers
            check_request(task, arm.policy, model, self.budget, others)

    @property
    def first(self) -> int:
        """The number of one task, the same whatever their order."""
        return min(range(len(self.tasks)), key=lambda number: known(self.tasks[number]))


def known(task: Task) -> str:
    """What tells a task from others, in a few characters."""
    return digest(mark((task.name, task.problem, task.x)))


@dataclass(frozen=True)
class Lineup:
    """All arms, those that were asked for first, and the levels of the axes along which there are several."""

    arms: tuple[Arm, ...]
    axes: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, "tuple[str, ...]"])
    left_out: tuple[str, ...] = ()


def lineup(stage: Stage, over: Over, baselines: bool | Sequence[Policy | str]) -> Lineup:
    """Every combination of what is named on the axes, and the baselines beside it.

    `TaskError` where a combination cannot work; a baseline that is there by itself and cannot is left out, with the
    reason.
    """
    axes = _axes(stage, over)
    grounds = list(_grounds(stage, axes))
    wished = _wished(baselines)
    beside, left_out = list[Arm](), dict[str, None]()
    for policy, ground in product(wished, grounds):
        try:
            arm = _baseline(stage, policy, ground, fit=baselines is True)
            stage.check(arm)
            beside.append(arm)
        except TaskError as error:
            if baselines is not True:
                raise TaskError(f"the baseline {_named(policy)} cannot run, and nothing was spent: {error}") from error
            left_out[f"{_named(policy)}: {error}"] = None
    places = {arm.place: arm.policy for arm in beside}
    asked = [replace(arm, baseline=arm.place in places) for arm in _asked(stage, axes, grounds)]
    own = {arm.place: arm.policy for arm in asked}
    for place in own.keys() & places.keys():
        if own[place] != places[place]:
            raise TaskError(f"{place.policy!r} is a baseline, and another policy has its name: give that another one")
    several = {axis: tuple(map(str, levels)) for axis, levels in axes.items() if len(levels) > 1}
    return Lineup((*asked, *(arm for arm in beside if arm.place not in own)), several, tuple(left_out))


def _wished(baselines: bool | Sequence[Policy | str]) -> Sequence[Policy | str]:
    """The baselines that are wanted, each once."""
    if isinstance(baselines, bool):
        return SAMPLING if baselines else ()
    wished = [baselines] if isinstance(baselines, str) else list(baselines)
    names = [_named(policy) for policy in wished]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise TaskError(f"{twice!r} stands twice among the baselines: name each once")
    return wished


def _asked(stage: Stage, axes: Mapping[str, Mapping[Any, Any]], grounds: Sequence[Arm]) -> Iterator[Arm]:
    for (label, named), ground, L in product(axes["policy"].items(), grounds, axes["L"]):
        place, policy = ground.place._replace(policy=label, L=L), as_policy(named, ground.tasks[0])
        try:
            drawn = policy if L is None else drawing(policy, L, label)
            arm = replace(ground, place=place, policy=drawn, asked=True)
            stage.check(arm)
        except ValueError as error:  # a setting that does not go with this L is one, too
            raise TaskError(f"the cell {place} cannot run, and nothing was spent: {error}") from error
        yield arm


def _grounds(stage: Stage, axes: Mapping[str, Mapping[Any, Any]]) -> Iterator[Arm]:
    """Every model with every prompter: what policies stand on."""
    dressed = {label: tuple(map(_dress(label, psi), stage.tasks)) for label, psi in axes["prompter"].items()}
    nothing = as_policy("direct", stage.tasks[0])
    for label, model in axes["model"].items():
        price = stage.priced(label)
        speakers = stage.speakers(model, price)
        name = label or (speakers[0].name if speakers[0] else "")
        for psi, tasks in dressed.items():
            yield Arm(Place("", name, psi), nothing, model, price, speakers, tasks)


# -- the axes ------------------------------------------------------------------------------------------------------


def _axes(stage: Stage, over: Over) -> dict[str, Mapping[Any, Any]]:
    """What is named on each axis, by its label; on one that nobody named, what there is anyway."""
    for axis in over:
        if axis not in Place._fields:
            near = get_close_matches(axis, Place._fields, 1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise TaskError(f"there is no axis {axis!r}: {hint}expected {', '.join(map(repr, Place._fields))}")
    found = {axis: _labelled(axis, over[axis]) for axis in over}
    texts = [model for model in found.get("model", {}).values() if isinstance(model, str)]
    if isinstance(stage.price, Price) and len(texts) > 1:
        raise TaskError(
            f"one price is given for {len(texts)} models: give each its own, as in "
            f"price={{{texts[0]!r}: tg.Price(...)}}"
        )
    if isinstance(stage.price, Mapping) and (odd := stage.price.keys() - found.get("model", {}).keys()):
        models = ", ".join(map(repr, found.get("model", {}))) or "none"
        raise TaskError(f"a price is given for {min(odd)!r}: expected one of the models that over= names ({models})")
    usual = {task.policy for task in stage.tasks}
    if "policy" not in found and len(usual) > 1:
        raise TaskError(f"the tasks have policies of their own ({', '.join(sorted(usual))}): name one in over=")
    rest: dict[str, Mapping[Any, Any]] = {"model": {"": None}, "prompter": {"": None}, "L": {None: None}}
    return {"policy": {policy: policy for policy in usual}, **rest, **found}


def _labelled(axis: str, named: Any) -> Mapping[Any, Any]:
    """Things by their labels: given as a mapping, or each by what it is."""
    if isinstance(named, Mapping):
        found = {str(label): thing for label, thing in cast("Mapping[Any, Any]", named).items()}
    elif axis == "prompter":
        raise TaskError(f'the prompters are {named!r:.80}: expected them by name, as in {{"terse": my_prompter}}')
    else:
        things = list(cast("Sequence[Any]", named)) if isinstance(named, list | tuple | range) else [named]
        labels = [_named(thing) if axis != "L" else thing for thing in things]
        found = dict(zip(labels, things, strict=True))
        if len(found) < len(labels):
            twice = next(label for label in labels if labels.count(label) > 1)
            raise TaskError(f"{twice!r} stands twice on the axis {axis!r}: give different names, as in {{'mine': ...}}")
    if axis in ("policy", "model") and None in found.values():
        raise TaskError(f"None stands on the axis {axis!r}: expected a {axis}")
    if not found:
        raise TaskError(f"nothing is named on the axis {axis!r}: expected at least one, or no such axis")
    if axis == "L":
        return {_number(L): None for L in found.values()}
    return found


def _number(L: Any) -> int:
    if not isinstance(L, int) or isinstance(L, bool) or L < 1:
        raise TaskError(f"L is {L!r:.80}: expected how many thoughts are drawn a round, a whole number of at least 1")
    return L


def _named(thing: Any) -> str:
    """What something is called: its text, a model's name, a policy's expression, a function's or a class's name."""
    if isinstance(thing, str):
        return thing.strip()
    name = getattr(thing, "name", None) or expression(thing) or getattr(thing, "__name__", type(thing).__name__)
    return str(name)


def drawing(policy: Policy, L: int, label: str) -> Policy:
    """The policy, drawing L thoughts a round: in its `n`, else its `branch`, `breadth` or `width`."""
    known = {one.name for one in fields(policy)} if is_dataclass(policy) else set[str]()
    name = next((name for name in DRAWN if name in known), None)
    if name is None:
        raise TaskError(
            f"{label} draws no number of thoughts that L could be (it has no {', '.join(DRAWN)}): compare it apart, "
            "or leave L out"
        )
    if re.search(rf"\b{name}\s*=", label):
        raise TaskError(f"{label} says its {name} already, and L is the same: leave one of them out")
    return replace(cast("Any", policy), **{name: L})


def _dress(label: str, psi: Any) -> Dress:
    """None leaves a task as it is; a function of one thing makes it anew; a prompter speaks for all its generators."""
    if psi is None:
        return lambda task: task
    if not callable(psi):
        raise TaskError(f"the prompter {label!r} is {psi!r:.80}: expected a tg Prompter, or a function of a task")
    taken = inspect.signature(psi).parameters.values()
    needed = [one for one in taken if one.default is one.empty and one.kind < one.VAR_POSITIONAL]
    if len(needed) == 1:
        return _made(label, cast("Dress", psi))
    return lambda task: _prompted(task, label, cast("Prompter", psi))


def _made(label: str, psi: Dress) -> Dress:
    def dress(task: Task) -> Task:
        made = cast("object", psi(task))
        if not isinstance(made, Task):
            raise TaskError(f"the prompter {label!r} made {made!r:.80} of a task: expected a tg.Task")
        return made

    return dress


def _prompted(task: Task, label: str, psi: Prompter) -> Task:
    """The task with one prompter in all its generators; its recipe would build another."""
    able = {name: action for name, action in task.actions.items() if _prompts(action)}
    if not able:
        raise TaskError(
            f"the prompter {label!r} has no place in the task {task.name!r}: none of its actions has a prompter. Give "
            "a function that makes a task of a task, or ask a model"
        )
    changed = {name: replace(cast("Any", action), prompter=psi) for name, action in able.items()}
    return replace(task, actions={**task.actions, **changed}, recipe=None)


def _prompts(action: object) -> bool:
    return is_dataclass(action) and any(one.name == "prompter" for one in fields(action))


# -- baselines -----------------------------------------------------------------------------------------------------


def _baseline(stage: Stage, policy: Policy | str, ground: Arm, *, fit: bool) -> Arm:
    """A baseline on one ground; of those that are there by themselves, with as many draws as the budget has room for.

    A baseline of fewer draws than could be paid would be no comparison at equal cost.
    """
    if fit and (n := _room(stage, policy, ground)):
        policy = f"{policy}(n={n})"
    place = ground.place._replace(policy=_named(policy))
    return replace(ground, place=place, policy=as_policy(policy, ground.tasks[0]), baseline=True)


def _room(stage: Stage, policy: Policy | str, ground: Arm) -> int:
    """How many draws fit the budget, by an estimate of what one costs; 0 where nothing limits them."""
    if not isinstance(policy, str) or policy not in PROBES:
        return 0
    probe, draws = PROBES[policy]
    limits = dict(stage.budget.limits)
    counted = [int(limits.pop(name)) for name in ("expansions", "evaluations") if name in limits]
    if limits:
        model, roles = ground.speakers
        task = ground.tasks[stage.first]
        told = foreseen(task, policy=probe, model=model, models=roles, budget=Budget(), simulations=3).expected
        each = {name: (getattr(told, name) or 0) / draws for name in limits}
        counted += [int(most / each[name]) for name, most in limits.items() if each[name]]
    return max(1, min(counted)) if counted else 0
