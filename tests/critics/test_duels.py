"""Duels: what two orders say of a judge, and a tournament that finds the best."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from math import log2

import pytest

from thoughtgraph.critics.bradley_terry import Verdict, fit
from thoughtgraph.critics.duels import Duel, conduct, longer, tournament

AGREED, FIRST, SECOND, TIE = (1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.5, 0.5)


def duels(*said: tuple[float | None, float | None]) -> list[Duel]:
    return [Duel("", 0, 1, *both) for both in said]


@pytest.mark.parametrize(
    ("there", "back", "share", "flip"),
    [
        (1, 1, 1, 0), (0, 0, 0, 0), (1, 0, 0.5, 1), (0, 1, 0.5, -1), (0.5, 0.5, 0.5, 0), (1, 0.5, 0.75, 0),
        (None, 1, None, 0), (1, None, None, 0),
    ],
)  # fmt: skip
def test_agreement_is_a_win_and_disagreement_a_tie(there, back, share, flip):
    [duel] = duels((there, back))
    assert (duel.share, duel.flip) == (share, flip)


@pytest.mark.parametrize(
    ("said", "consistency", "fault"),
    [
        ([AGREED] * 5, 1.0, ""),
        ([FIRST] * 5, 0.0, "position"),
        ([SECOND], 0.0, "position"),
        ([AGREED, AGREED, FIRST, SECOND], 0.0, "chance"),  # a coin
        ([AGREED] * 3 + [FIRST], 1 - 0.25 / (1 - 2 * 5 / 8 * 3 / 8), ""),
        ([AGREED] * 18 + [FIRST] * 81 + [SECOND], 0.0, "position"),  # names the first nine times of ten, whatever it is
        ([FIRST, SECOND], -1.0, "chance"),
        ([TIE] * 3, None, ""),
        ([(None, 1.0)], None, ""),
        ([], None, ""),
    ],
)
def test_a_judge_is_told_by_how_it_agrees_with_itself(said, consistency, fault):
    found = conduct(duels(*said))
    assert found.consistency == (None if consistency is None else pytest.approx(consistency, abs=1e-12))
    assert found.fault(0.2) == fault


def test_what_was_not_judged_twice_is_counted_as_abstained():
    found = conduct(duels(AGREED, (None, 1.0), (0.0, None), (None, None), FIRST, TIE))
    assert (found.judged, found.abstained, found.agreed, found.flips) == (3, 3, 1, 1)


def test_the_wins_of_the_longer_are_counted():
    said = [Duel("", 0, 1, 1, 1), Duel("", 1, 2, 0, 0), Duel("", 0, 2, 1, 0), Duel("", 2, 3, 1, 1)]
    assert longer(said, [9, 5, 7, 7]) == pytest.approx((1 + 1 + 0.5) / 3)
    assert longer(said[3:], [9, 5, 7, 7]) is None


# -- the tournament ------------------------------------------------------------------------------------------------


def held(worth: Sequence[float], seed: int = 0, **how) -> list[tuple[int, int]]:
    """The pairs of a tournament with a judge that makes no mistake."""
    met: list[tuple[int, int]] = []

    async def hold(pairs):
        met.extend(pairs)
        return [(worth[i] > worth[j]) + (worth[i] == worth[j]) / 2 for i, j in pairs]

    asyncio.run(tournament(len(worth), hold, random.Random(seed), **how))
    return met


@pytest.mark.parametrize("n", [2, 3, 5, 6, 7, 8, 9, 16, 17, 31, 50])
def test_the_best_is_found_within_n_log_n_comparisons(n):
    for seed in range(4):
        worth = random.Random(seed).sample(range(n), n)
        met = held(worth, seed)
        assert len({frozenset(pair) for pair in met}) == len(met), "a pair met twice"
        assert len(met) <= n * log2(n)
        s = fit([Verdict(i, j, float(worth[i] > worth[j])) for i, j in met], n, bias=False).strengths
        assert worth[s.index(max(s))] == n - 1


def test_up_to_full_all_meet():
    assert len(held(range(6))) == 15
    assert len(held(range(6), full=5, rounds=2)) == 6


def test_the_tournament_is_the_same_for_the_same_seed():
    assert held(range(20), 3) == held(range(20), 3) != held(range(20), 4)


def test_equals_and_the_speechless_meet_others_all_the_same():
    async def hold(pairs):
        rounds.append(pairs)
        return [None] * len(pairs)

    rounds: list[object] = []
    asyncio.run(tournament(9, hold, random.Random(0)))
    assert [len(pairs) for pairs in rounds] == [4] * 6  # floor(2 log2 9) rounds
    assert 20 <= len(held([1.0] * 9)) <= 24


def test_more_rounds_than_there_are_pairs_end():
    assert len(held(range(9), full=1, rounds=50)) == 36
