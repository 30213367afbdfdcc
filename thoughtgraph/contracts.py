"""The contracts of policies, generators and critics, checked where results come in: what is wrong, and what to do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from numbers import Real
from typing import Any, cast

from thoughtgraph.budget import Budget
from thoughtgraph.errors import TaskError
from thoughtgraph.marks import mark, short
from thoughtgraph.model import Model, capabilities
from thoughtgraph.task import Task
from thoughtgraph.thought import Draft, Score, as_json, clean
from thoughtgraph.verbs import Policy, family, roles

LONG = 200
"""A mark of more characters is cut and hashed: what is private is not written down again."""


def marks_of(
    task: Task, policy: Policy, model: Model | None, seed: int, models: Mapping[str, Model] | None = None
) -> dict[str, str]:
    """What a run is made with, by name: a run is resumed only where all of it is the same."""
    named = {"policy": mark(policy), "task": task.name, "problem": mark(task.problem), "seed": str(seed)}
    parts = {"claim": task.claim, "goal": task.goal, "key": task.key, "merge": task.merge}
    told = {"x": task.x, "passages": tuple(task.passages), "start": task.start}
    actions = {f"action {name}": mark(action) for name, action in task.actions.items()}
    critics = {f"critic {name}": mark(critic) for name, critic in task.critics.items()}
    others = {f"model of {role}": other.name for role, other in (models or {}).items()}
    used = {"model": model.name if model else "none"} | others
    whole = named | {key: mark(part) for key, part in (parts | told).items()} | actions | critics | used
    return {name: text if len(text) <= LONG else f"{text[:LONG]}#{short(text)}" for name, text in whole.items()}


def check_request(
    task: Task, policy: Policy, model: Model | None, budget: Budget, models: Mapping[str, Model] | None = None
) -> None:
    """What can be known to fail before anything is spent; `TaskError` says what."""
    _check_roles(task, models or {})
    for one in family(policy):
        _check_policy(task, one, model, models or {})
    for one in (*((model,) if model else ()), *(models or {}).values()):
        check_price(one, budget)


def _check_policy(task: Task, policy: object, model: Model | None, models: Mapping[str, Model]) -> None:
    """The task has the actions and critics that the policy names, and there is a model for each that asks one."""
    actions, critics = roles(policy)
    used = [(task.action(name), task.actions[task.action(name)]) for name in actions]
    judging = [(task.critic(name), task.critics[task.critic(name)]) for name in critics]
    if getattr(policy, "absolute", False):
        _check_values(judging)
    for role, thing in [*used, *judging]:
        _check_model(role, thing, model, models)


def check_price(model: Model, budget: Budget) -> None:
    """A budget in dollars can hold only where the price is known; `TaskError` says how to give it."""
    if budget.usd is not None and model.price is None:
        raise TaskError(
            f"the price of {model.name} is not known, so a budget in dollars cannot hold: give it, as in "
            "price=tg.Price(prompt=0.25, completion=2.0) in dollars per million tokens (--price 0.25,2 on the command "
            "line), or limit calls or tokens"
        )


def _check_roles(task: Task, models: Mapping[str, Model]) -> None:
    """A model is named for an action or a critic that the task has."""
    roles = (*task.actions, *task.critics)
    for role in models:
        if role not in roles:
            near = get_close_matches(role, roles, 1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise TaskError(f"a model is named for {role!r}: {hint}expected one of {', '.join(map(repr, roles))}")


def _check_model(role: str, thing: object, model: Model | None, models: Mapping[str, Model]) -> None:
    """An action or critic with an open `model` field speaks to the run's model; one that says `logprobs` needs them."""
    own: Model | None = getattr(thing, "model", None)
    speaks = own or models.get(role) or model
    if speaks is None and getattr(thing, "model", "its own") is None:
        raise no_model(role)
    if speaks is not None and getattr(thing, "logprobs", False) is True and not capabilities(speaks).logprobs:
        raise TaskError(
            f"{role!r} reads log-probabilities and {speaks.name} gives none: name another model for it, as in "
            f"models={{{role!r}: ...}}, or use a critic or action that needs none"
        )


def no_model(role: str) -> TaskError:
    """The error of a run that needs a model and has none: the three ways to name one."""
    return TaskError(
        f"{role!r} asks a model and the run has none: name one in one of three ways, "
        'model="openai:gpt-5-mini" in Python, TG_MODEL=openai:gpt-5-mini in the environment, '
        "or --model openai:gpt-5-mini on the command line"
    )


def _check_values(judging: Sequence[tuple[str, object]]) -> None:
    """A policy that ranks thoughts across the tree needs values that stand by themselves."""
    for name, critic in judging:
        if getattr(critic, "comparative", False):
            raise TaskError(
                f"the policy ranks thoughts of different sets, and critic {name!r} only compares within one: "
                "use a critic that values each thought alone, or a policy such as tot or best_of_n"
            )


def checked_drafts(drafts: object, action: str, n: int) -> list[Draft]:
    """Drafts that keep the generator's contract, their contents as plain JSON; `TaskError` says how they do not."""
    if not isinstance(drafts, Sequence) or not all(isinstance(draft, Draft) for draft in cast("Sequence[Any]", drafts)):
        raise TaskError(f"action {action!r} returned {drafts!r:.80}: expected a list of Draft")
    made = list(cast("Sequence[Draft]", drafts))
    if len(made) > n:
        raise TaskError(f"action {action!r} returned {len(made)} drafts: expected at most the n={n} that was asked for")
    return [_checked(draft, action) for draft in made]


def _checked(draft: Draft, action: str) -> Draft:
    if not (math.isfinite(draft.prior) and draft.prior > 0):
        raise TaskError(f"action {action!r} gave a draft the prior {draft.prior!r}: expected a finite number above 0")
    content = as_json(draft.content, f"what action {action!r} returned as a content")
    return draft if content is draft.content else Draft(content, draft.prior, draft.done)


def checked_scores(scores: object, critic: str, n: int) -> list[Score]:
    """Scores that keep the critic's contract; `TaskError` says how they do not."""
    if not isinstance(scores, Sequence) or not all(isinstance(score, Score) for score in cast("Sequence[Any]", scores)):
        raise TaskError(f"critic {critic!r} returned {scores!r:.80}: expected a list of Score")
    judged = list(cast("Sequence[Score]", scores))
    if len(judged) != n:
        raise TaskError(
            f"critic {critic!r} returned {len(judged)} scores for {n} thoughts: expected one each, in order"
        )
    return [_signed(score, critic) for score in judged]


def _signed(s: Score, critic: str) -> Score:
    """The score with its critic's name, fit to be stored; spelled out, because `replace` takes three times as long."""
    if s.value is not None and not (isinstance(s.value, Real) and math.isfinite(s.value)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TaskError(
            f"critic {critic!r} returned the value {s.value!r}: expected a finite number, "
            "or None where it cannot judge (Score(None) is counted and never ranked)"
        )
    for number in (s.spread, s.cost, *(s.parts or {}).values()):
        if number is not None and not math.isfinite(number):
            raise TaskError(f"critic {critic!r} returned {s!r:.200}: expected finite numbers as spread, cost and parts")
    if s.value is not None and s.samples < 1:
        raise TaskError(f"critic {critic!r} returned a value of {s.samples} samples: expected at least one")
    details = as_json(s.details, f"what critic {critic!r} returned as details")
    value = None if s.value is None else float(s.value)
    return Score(value, clean(s.feedback), s.parts, s.spread, s.samples, s.status, s.cost, details, critic)
