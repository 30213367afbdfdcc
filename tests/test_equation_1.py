"""Equation 1 on the wire: what a server sees in round t+1 is x, K, and the thoughts and rewards of round t."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from loopback import Loopback

import thoughtgraph as tg
from thoughtgraph.generators import Propose, Sample

QUESTION = "What is heavier, the red box or the blue one?"
PASSAGE = tg.Passage("The blue box weighs nine kilos.", "notes.txt")


def reply(prompt: str, draw: int) -> str:
    """A step, then an answer; and a verdict with a reason."""
    if "verdict" in prompt:
        return "The weight of the red box is missing.\nlikely"
    return "Answer: the blue one" if "Step 1" in prompt else "Weigh the red box first."


def shouting(x: str, passages, thoughts: Sequence[tg.Thought], scores) -> tg.Prompt:
    """Another psi."""
    return tg.Prompt(problem=x.upper(), thoughts=tg.narrate(thoughts, scores), ask="GO ON.")


def solve(task: tg.Task, server: Loopback, **how) -> tg.Result:
    model = tg.models.Compatible("small", server.base_url)
    policy = tg.search.ToT(breadth=1, steps=2, branch=1)
    return tg.solve(task, policy=policy, model=model, budget=tg.Budget(calls=50), **how)


def words(body: dict) -> str:
    return "\n".join(message["content"] for message in body["messages"])


def test_round_two_is_asked_with_the_parents_text_its_score_its_feedback_and_the_passages():
    with Loopback(reply) as server:
        result = solve(tg.question(QUESTION, passages=[PASSAGE]), server)
    steps = [words(body) for body in server.bodies if "verdict" not in words(body)]
    first, second = steps[0], steps[-1]
    assert QUESTION in first
    assert PASSAGE.text in first
    assert "Step 1" not in first
    assert "Weigh the red box first." in second
    assert "0.05" in second
    assert "The weight of the red box is missing." in second
    assert PASSAGE.text in second
    assert PASSAGE.source in second
    assert result.answer == "the blue one"


def test_a_swapped_prompter_changes_exactly_the_prompts():
    """The same task, its step asked in other words: the critic's requests, and all else in a request, are the same."""
    task = tg.question(QUESTION)
    step = task.actions["step"]
    assert isinstance(step, Sample)
    other = replace(task, actions={**task.actions, "step": replace(step, prompter=shouting)})
    seen = []
    for each in (task, other):
        with Loopback(reply) as server:
            solve(each, server)
        seen.append(server.bodies)
    mine, theirs = seen
    assert len(mine) == len(theirs)
    assert [{**body, "messages": None} for body in mine] == [{**body, "messages": None} for body in theirs]
    changed = [words(b) for a, b in zip(mine, theirs, strict=True) if words(a) != words(b)]
    assert all(text.startswith(QUESTION.upper()) for text in changed)
    assert len(changed) == sum("verdict" not in words(body) for body in mine)


@pytest.mark.parametrize("swap", ["field", "source"])
def test_a_run_is_not_resumed_with_another_prompter(swap: str, tmp_path: Path):
    def polite(x: str, passages, thoughts, scores) -> tg.Prompt:
        return tg.Prompt(problem=x, ask="Go on, please.")

    def rude(x: str, passages, thoughts, scores) -> tg.Prompt:
        return tg.Prompt(problem=x, ask="Go on.")

    rude.__name__, rude.__qualname__ = polite.__name__, polite.__qualname__
    prompters = (polite, shouting) if swap == "field" else (polite, rude)
    first, second = (tg.Task("x", actions={"step": Propose(prompter=psi)}) for psi in prompters)
    with Loopback(reply) as server:
        model = tg.models.Compatible("small", server.base_url)
        run = tg.solve(first, policy="cot(steps=3)", model=model, store=tmp_path / "runs.db").run
        content = (tmp_path / "runs.db").read_bytes()
        with pytest.raises(tg.ReplayMismatch, match="another action step"):
            tg.resume(run, store=tmp_path / "runs.db", task=second, model=model)
    assert (tmp_path / "runs.db").read_bytes() == content


def test_the_mark_of_the_prompter_stands_in_each_event():
    store = tg.MemoryStore()
    with Loopback(reply) as server:
        run = solve(tg.question(QUESTION), server, store=store).run
    effects = [event for event in store.events(run) if event.kind in ("expanded", "scored")]
    assert all(len(event.prompters) == 1 for event in effects)
    assert len({event.prompters for event in effects}) == 2
