"""Usage, budgets, and the purse that reserves before it spends."""

import asyncio

import pytest

from thoughtgraph.budget import Budget, Purse, Usage, times

CALL = Usage(calls=1)
NOTHING = Usage()


def counted(purse: Purse) -> Usage:
    return purse.spent + purse.lost + purse.held


async def settle_down():
    for _ in range(20):
        await asyncio.sleep(0)


# -- usage and budget ------------------------------------------------------------------------------


def test_usages_add_and_subtract_field_by_field():
    a = Usage(1, 2, 3, 4, 0.5, 1.5, 6, 7)
    b = Usage(10, 20, 30, 40, 0.25, 0.5, 60, 70)
    assert a + b == Usage(11, 22, 33, 44, 0.75, 2.0, 66, 77)
    assert a + b - b == a
    assert times(a, 3) == a + a + a
    assert a.tokens == 7


def test_an_unknown_price_makes_the_sum_unknown_and_never_zero():
    assert (Usage(usd=None) + Usage(usd=1.0)).usd is None
    assert (Usage(usd=1.0) - Usage(usd=None)).usd is None
    assert times(Usage(usd=None), 2).usd is None


@pytest.mark.parametrize("name", ["usd", "calls", "requests", "tokens", "seconds", "expansions", "evaluations"])
@pytest.mark.parametrize("value", [-1, -0.001, float("nan")])
def test_a_budget_below_nothing_is_an_error_that_names_the_limit(name, value):
    with pytest.raises(ValueError, match=f"{name} is .* expected a number of at least 0"):
        Budget(**{name: value})


@pytest.mark.parametrize("name", ["calls", "requests", "expansions", "evaluations"])
def test_a_budget_holds_exactly_what_it_says(name):
    purse = Purse(Budget(**{name: 3}))
    assert purse.fits(Usage(**{name: 3})) is None
    assert purse.fits(Usage(**{name: 4})) == name


def test_tokens_count_prompt_and_completion_together():
    assert Purse(Budget(tokens=10)).fits(Usage(prompt_tokens=6, completion_tokens=4)) is None
    assert Purse(Budget(tokens=10)).fits(Usage(prompt_tokens=6, completion_tokens=5)) == "tokens"


def test_dollars_that_nobody_knows_do_not_fit_a_budget_in_dollars():
    assert Purse(Budget(usd=1.0)).fits(Usage(usd=None)) == "usd"
    assert Purse(Budget(calls=1)).fits(Usage(usd=None)) is None


def test_ten_dimes_are_a_dollar():
    usage = times(Usage(usd=0.1), 3) + times(Usage(usd=0.1), 7)
    assert Purse(Budget(usd=1.0)).fits(usage) is None
    assert Purse(Budget(usd=1.0)).fits(usage + Usage(usd=0.0001)) == "usd"


def test_a_budget_reads_as_words():
    assert str(Budget()) == "no limit"
    assert str(Budget(usd=0.1, calls=200)) == "0.1 usd, 200 calls"


# -- the purse -------------------------------------------------------------------------------------


async def test_what_fits_is_held_and_settled_for_what_it_came_to():
    purse = Purse(Budget(tokens=100))
    held = Usage(prompt_tokens=40)
    assert await purse.reserve(held, NOTHING, 1) == (1, None)
    assert counted(purse).tokens == 40
    purse.settle(held, Usage(prompt_tokens=7))
    assert (purse.spent.tokens, purse.held.tokens, purse.holders) == (7, 0, 0)


async def test_what_was_lost_counts_in_full():
    purse = Purse(Budget(tokens=100))
    held = Usage(prompt_tokens=60)
    await purse.reserve(held, NOTHING, 1)
    purse.lose(held)
    assert (purse.lost.tokens, purse.spent.tokens) == (60, 0)
    assert await purse.reserve(held, NOTHING, 1) == (0, "tokens")


async def test_a_part_of_many_is_granted_where_the_whole_does_not_fit():
    purse = Purse(Budget(calls=3))
    assert await purse.reserve(NOTHING, CALL, 5) == (3, "calls")
    assert counted(purse).calls == 3


async def test_the_part_that_is_granted_leaves_room_for_what_each_request_costs_anyway():
    purse = Purse(Budget(tokens=100))
    base, each = Usage(prompt_tokens=40), Usage(completion_tokens=25)
    assert await purse.reserve(base, each, 4) == (2, "tokens")  # 40 + 2 * 25 = 90
    assert purse.held.tokens == 90


async def test_nothing_that_fits_is_a_refusal_that_holds_nothing():
    purse = Purse(Budget(calls=0))
    assert await purse.reserve(NOTHING, CALL, 5) == (0, "calls")
    assert (purse.holders, purse.held) == (0, NOTHING)


async def test_who_finds_no_room_waits_while_others_may_settle_for_less():
    purse = Purse(Budget(tokens=100))
    large = Usage(completion_tokens=80)
    await purse.reserve(large, NOTHING, 1)
    waiting = asyncio.ensure_future(purse.reserve(large, NOTHING, 1))
    await settle_down()
    assert not waiting.done()
    purse.settle(large, Usage(completion_tokens=20))
    assert await waiting == (1, None)
    assert counted(purse).tokens == 100


async def test_who_waits_is_refused_when_nothing_is_held_any_more():
    purse = Purse(Budget(tokens=100))
    large = Usage(completion_tokens=80)
    await purse.reserve(large, NOTHING, 1)
    waiting = asyncio.ensure_future(purse.reserve(large, NOTHING, 1))
    await settle_down()
    purse.settle(large, Usage(completion_tokens=30))
    assert await waiting == (0, "tokens")
    assert purse.holders == 0


async def test_those_who_wait_are_served_in_the_order_in_which_they_came():
    purse, served = Purse(Budget(calls=1)), []

    async def one(name):
        got, _ = await purse.reserve(NOTHING, CALL, 1)
        served.append((name, got))
        await settle_down()
        purse.settle(CALL, NOTHING)  # it was not paid after all, and makes room for the next

    await asyncio.gather(*(one(name) for name in "abcdef"))
    assert served == [(name, 1) for name in "abcdef"]


async def test_a_newcomer_does_not_overtake_those_who_wait():
    purse, served = Purse(Budget(tokens=100)), []

    async def one(name, tokens):
        held = Usage(completion_tokens=tokens)
        await purse.reserve(held, NOTHING, 1)
        served.append(name)
        await settle_down()
        purse.settle(held, NOTHING)

    first = asyncio.ensure_future(one("first", 60))
    await asyncio.sleep(0)
    large = asyncio.ensure_future(one("large", 80))
    await asyncio.sleep(0)
    small = asyncio.ensure_future(one("small", 10))
    await asyncio.gather(first, large, small)
    assert served == ["first", "large", "small"]


async def test_one_settlement_can_make_room_for_many():
    purse = Purse(Budget(tokens=100))
    all_of_it = Usage(completion_tokens=100)
    await purse.reserve(all_of_it, NOTHING, 1)
    waiting = [asyncio.ensure_future(purse.reserve(Usage(completion_tokens=25), NOTHING, 1)) for _ in range(5)]
    await settle_down()
    purse.settle(all_of_it, NOTHING)
    await settle_down()
    assert [w.done() for w in waiting] == [True, True, True, True, False]
    purse.settle(Usage(completion_tokens=25), Usage(completion_tokens=5))
    await settle_down()
    assert not waiting[4].done()  # 5 spent and 75 held
    purse.settle(Usage(completion_tokens=25), Usage(completion_tokens=20))
    assert await waiting[4] == (1, None)  # 25 spent, 50 held, and 25 more: 100


async def test_one_who_waits_and_is_cancelled_lets_the_next_one_through():
    purse = Purse(Budget(calls=1))
    await purse.reserve(NOTHING, CALL, 1)
    gone = asyncio.ensure_future(purse.reserve(NOTHING, CALL, 1))
    next_ = asyncio.ensure_future(purse.reserve(NOTHING, CALL, 1))
    await settle_down()
    gone.cancel()
    await settle_down()
    purse.settle(CALL, NOTHING)
    assert await next_ == (1, None)
    assert gone.cancelled()


async def test_one_who_is_cancelled_at_the_moment_of_waking_wakes_the_next_one():
    purse = Purse(Budget(calls=1))
    await purse.reserve(NOTHING, CALL, 1)
    gone = asyncio.ensure_future(purse.reserve(NOTHING, CALL, 1))
    next_ = asyncio.ensure_future(purse.reserve(NOTHING, CALL, 1))
    await settle_down()
    purse.settle(CALL, NOTHING)
    gone.cancel()  # it was woken, and has not run yet
    assert await asyncio.wait_for(next_, 1) == (1, None)


async def test_nobody_waits_for_ever_under_any_mix_of_sizes_and_endings():
    import random

    rng, purse, most = random.Random(1), Purse(Budget(tokens=1000)), 0

    async def one():
        nonlocal most
        each = Usage(completion_tokens=rng.randrange(1, 300))
        n, _ = await purse.reserve(NOTHING, each, rng.randrange(1, 4))
        most = max(most, counted(purse).tokens)
        if not n:
            return 0
        for _ in range(rng.randrange(5)):
            await asyncio.sleep(0)
        held = times(each, n)
        if rng.random() < 0.2:
            purse.lose(held)
        else:
            purse.settle(held, Usage(completion_tokens=rng.randrange(held.tokens // 4 + 1)))
        return n

    tasks = [asyncio.ensure_future(one()) for _ in range(300)]
    for task in rng.sample(tasks, 60):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
    assert most <= 1000
    assert counted(purse).tokens <= 1000


def test_what_is_known_beforehand_is_spent_at_once_or_refused():
    purse = Purse(Budget(expansions=1))
    assert purse.spend(Usage(expansions=1)) is None
    assert purse.spend(Usage(expansions=1)) == "expansions"
    assert purse.spent.expansions == 1
