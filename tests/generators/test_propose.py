"""Propose: one prompt, one thought a line."""

from __future__ import annotations

import pytest

import thoughtgraph as tg
from thoughtgraph.errors import Unparsable
from thoughtgraph.generators import Propose
from thoughtgraph.generators.propose import confidence, proposals
from thoughtgraph.models import Scripted

TWO = ["add 4 and 9", "take 4 from 9"]


@pytest.mark.parametrize(
    "reply",
    [
        "add 4 and 9\ntake 4 from 9",
        "1. add 4 and 9\n2. take 4 from 9",
        "1) add 4 and 9\r\n\r\n2) take 4 from 9\r\n",
        "- add 4 and 9\n- take 4 from 9",
        "– add 4 and 9\n— take 4 from 9",
        "* **add 4 and 9**\n* **take 4 from 9**",
        "**1.** add 4 and 9\n**2.** take 4 from 9",
        "Sure! Here are two different next steps:\n\n1. add 4 and 9\n2. take 4 from 9\n\nLet me know if you need more!",
        "Sure! Here are two:\nadd 4 and 9\ntake 4 from 9",
        "Possible next steps:\nadd 4 and 9\ntake 4 from 9\nI hope this helps!",
        "```\nadd 4 and 9\ntake 4 from 9\n```",
        "Here you go:\n```text\n1. add 4 and 9\n2. take 4 from 9\n```",
        "Step 1: add 4 and 9\nStep 2: take 4 from 9",
        "**Step 1:** add 4 and 9\n**Step 2:** take 4 from 9",
        "1. Option 1: add 4 and 9\n2. Option 2: take 4 from 9",
        "1️⃣ add 4 and 9\n2️⃣ take 4 from 9",
        '["add 4 and 9", "take 4 from 9"]',
        '```json\n{"steps": ["add 4 and 9", "take 4 from 9"]}\n```',
        '[{"step": "add 4 and 9"}, {"step": "take 4 from 9"}]',
        '"add 4 and 9"\n"take 4 from 9"',
        "<think>1. what about 13?\n2. or 5?</think>\n\nadd 4 and 9\ntake 4 from 9",
        "add 4 and 9\nAdd 4 and  9.\ntake 4 from 9\nadd 4 and 9",
        "1. add 4 and 9\n2.\n3. take 4 from 9\n4.",
        "1. add 4 and 9\n\n\n---\n***\n2. take 4 from 9",
        "\ufeffadd 4 and 9\x00\n\u200b\ntake 4 from 9",
        "# Next steps\n- add 4 and 9\n- take 4 from 9".replace("# Next steps\n", "Next steps\n"),
    ],
)
def test_the_lines_of_ugly_replies(reply: str):
    assert proposals(reply) == TWO


def test_what_is_indented_below_an_item_belongs_to_it():
    assert proposals("1. **Add** 4 and 9\n   - it gives 13\n   which is odd\n2. Take 4") == [
        "Add 4 and 9 it gives 13 which is odd",
        "Take 4",
    ]


def test_numbers_that_are_content_stay():
    assert proposals("4 + 9 = 13 (left: 10 13 13)\n10 - 4 = 6 (left: 6 9 13)\n-4 + 9 = 5") == [
        "4 + 9 = 13 (left: 10 13 13)",
        "10 - 4 = 6 (left: 6 9 13)",
        "-4 + 9 = 5",
    ]


def test_one_proposal_is_no_pleasantry():
    assert proposals("Sure, add 4 and 9") == ["Sure, add 4 and 9"]


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "\n\n",
        "1.\n2.\n",
        "- \n---\n***",
        "...",
        "```\n```",
        "[]",
        "{}",
        '["add 4 and 9", "ta',
        "🤷",
        "<think>1. add",
    ],
)
def test_a_reply_that_proposes_nothing_is_unparsable(reply: str):
    with pytest.raises(Unparsable):
        proposals(reply)


async def expand(search: tg.Search) -> None:
    await search.expand(search.root, action="step")


async def expand_one(search: tg.Search) -> None:
    await search.expand(search.root, action="step", n=1)


def solve(propose: Propose, model: Scripted, policy=expand) -> tg.Result:
    return tg.solve(
        tg.Task("4 4 6 8", actions={"step": propose}), policy=policy, model=model, budget=tg.Budget(calls=9)
    )


def steps(result: tg.Result) -> list[str]:
    return [thought.text for thought in result.graph][1:]


def test_one_call_gives_many_thoughts():
    result = solve(Propose(), Scripted(["a first\na second\na third"]))
    assert steps(result) == ["a first", "a second", "a third"]
    assert result.usage.calls == 1
    assert not any(thought.done for thought in result.graph)


def test_no_more_come_than_were_asked_for():
    reply = "a first\na second\na third"
    assert steps(solve(Propose(), Scripted([reply]), expand_one)) == ["a first"]
    assert steps(solve(Propose(k=2), Scripted([reply]))) == ["a first", "a second"]


def test_the_prompt_asks_for_k_different_ones():
    model = Scripted(["a"])
    solve(Propose(k=7), model)
    assert "up to 7 next steps" in model.seen[0].messages[-1].content
    assert "differ clearly" in model.seen[0].messages[-1].content
    assert Propose(k=7) == Propose(k=7) != Propose(k=6)


def test_a_reply_that_was_cut_off_is_drawn_again_and_its_half_line_is_no_thought():
    result = solve(Propose(), Scripted([tg.Reply("add 4 and 9\ntake 4 fr", "length"), "add 4 and 9"]))
    assert steps(result) == ["add 4 and 9"]
    assert result.outcomes == {"truncated": 1, "ok": 1}


def test_nothing_but_a_refusal_is_no_thought():
    result = solve(Propose(), Scripted(lambda prompt, draw: "I'm sorry, but I can't help with that."))
    assert steps(result) == []
    assert result.outcomes["refused"] == 2


def test_a_line_can_be_final():
    result = solve(Propose(done=lambda text: text.startswith("Answer")), Scripted(["go on\nAnswer: 24"]))
    assert [thought.done for thought in result.graph] == [False, False, True]


# -- confidence as a prior -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "text", "prior"),
    [
        ("Take 4 from 13 (certain)", "Take 4 from 13", 1.0),
        ("Take 4 from 13 [High]", "Take 4 from 13", 0.5),
        ("Take 4 from 13 - medium.", "Take 4 from 13", 0.2),
        ("Take 4 from 13 (confidence: low)", "Take 4 from 13", 0.1),
        ("Take 4 from 13", "Take 4 from 13", 0.2),
        ("Look at the high tide", "Look at the high tide", 0.2),
    ],
)
def test_the_word_that_closes_a_proposal_is_its_weight(line, text, prior):
    assert confidence(line) == (text, prior)


def test_a_confident_proposer_gives_priors_and_asks_for_them():
    model = Scripted(["1. Add 4 and 9 (low)\n2. Take 4 from 13 (certain)\n3. (high)"])
    seen = tg.solve(tg.Task("?", {"step": Propose(confident=True)}), policy=only_expand, model=model)
    assert [(t.content, t.prior) for t in list(seen.graph)[1:]] == [("Add 4 and 9", 0.1), ("Take 4 from 13", 1.0)]
    assert "in brackets: certain, high, medium or low" in model.seen[0].messages[-1].content


def test_a_repetition_with_another_confidence_is_a_repetition_and_takes_nobodys_place():
    model = Scripted(["1. Add 4 and 9 (low)\n2. Add 4 and 9. (high)\n3. Take 4 from 13"])
    seen = tg.solve(tg.Task("?", {"step": Propose(k=2, confident=True)}), policy=only_expand, model=model)
    assert [(t.content, t.prior) for t in list(seen.graph)[1:]] == [("Add 4 and 9", 0.1), ("Take 4 from 13", 0.2)]


async def only_expand(search):
    await search.expand(search.root, action="step")
