"""The shared pace, against servers of all kinds, in a time of its own: hours pass in a second, and none is slept."""

import asyncio
import gc
import random
import selectors
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from thoughtgraph.pace import START, Pace, pace_of

# -- a time that passes at once ----------------------------------------------------------------------------------------


class Clockwork(selectors.SelectSelector):
    """Where a loop would wait for something, the time moves on instead."""

    now = 0.0

    def select(self, timeout=None):
        assert timeout is not None, "all wait, and nothing will happen"
        self.now += max(0.0, timeout)
        return []


class Dream(asyncio.SelectorEventLoop):
    """An event loop in which nothing takes real time."""

    def __init__(self):
        self.clockwork = Clockwork()
        super().__init__(self.clockwork)

    def time(self):
        return self.clockwork.now


def dream(scene: Callable[[], object]):
    loop = Dream()
    try:
        return loop.run_until_complete(scene())
    finally:
        loop.close()


def now():
    return asyncio.get_running_loop().time()


# -- servers: whether a request that comes now is accepted -------------------------------------------------------------


@dataclass
class Bucket:
    """`rate` a second flow in, up to `burst`. `plan` changes the rate at a time; a rate of None is no limit."""

    rate: float | None
    burst: float
    plan: dict[float, float | None] = field(default_factory=dict)
    seen: float = 0.0

    def __post_init__(self):
        self.level = self.burst

    def accepts(self):
        for at in [at for at in self.plan if at <= now()]:
            self.rate = self.plan.pop(at)
            self.burst = self.rate
        if self.rate is None:
            return True
        self.level = min(self.burst, self.level + (now() - self.seen) * self.rate)
        self.seen = now()
        self.level -= (accepted := self.level >= 1)
        return accepted


@dataclass
class Window:
    """`most` in each `seconds`, counted from 0."""

    most: int
    seconds: float
    window: int = -1
    count: int = 0

    def accepts(self):
        if self.window != (window := int(now() // self.seconds)):
            self.window, self.count = window, 0
        self.count += 1
        return self.count <= self.most


@dataclass
class Moody:
    """No limit, but a refusal with this probability."""

    p: float
    rng: random.Random

    def accepts(self):
        return self.rng.random() >= self.p


@dataclass
class Crowded:
    """At most `most` in flight, each for `seconds`."""

    most: int
    seconds: float
    busy: int = 0

    def accepts(self):
        if self.busy >= self.most:
            return False
        self.busy += 1
        asyncio.get_running_loop().call_later(0.95 * self.seconds, self.leave)
        return True

    def leave(self):
        self.busy -= 1


# -- callers -----------------------------------------------------------------------------------------------------------


@dataclass
class World:
    """Callers of one server: six attempts each, as the engine makes them."""

    server: object
    latency: float = 0.3
    retry_after: float | None = 1.0
    paced: bool = True
    seed: int = 0
    log: list[tuple[float, bool]] = field(default_factory=list)
    worst: int = 0
    gave_up: int = 0

    def __post_init__(self):
        self.rng = random.Random(self.seed)
        self.pace = Pace(now)

    async def call(self):
        for refusals in range(1, 7):
            if await self.sent():
                return
            self.worst = max(self.worst, refusals)
            backoff = min(30, 0.25 * 2**refusals)
            wish = self.retry_after
            jitter = backoff if wish is None else min(backoff, 0.25 * wish + 0.05)
            await asyncio.sleep((wish or 0.0) + self.rng.uniform(0, jitter))
        self.gave_up += 1

    async def sent(self):
        if self.paced and not self.pace.free:
            await self.pace.turn()
        ticket, left = self.pace.went(), now()
        way = min(0.01, 0.05 * self.latency) * self.rng.uniform(0.5, 1.5)
        await asyncio.sleep(way)
        accepted = self.server.accepts()
        self.log.append((left, accepted))
        await asyncio.sleep(self.latency * self.rng.uniform(0.9, 1.1) - way if accepted else way)
        if self.paced:
            self.pace.ok() if accepted else self.pace.limited(ticket, self.retry_after)
        return accepted

    async def crowd(self, total: int, flight: int):
        """`total` requests, `flight` at a time. How long they took."""
        began, left = now(), iter(range(total))

        async def worker():
            for _ in left:
                await self.call()

        await asyncio.gather(*(worker() for _ in range(flight)))
        return now() - began

    def refused(self, start: float = 0.0, end: float = float("inf")):
        return sum(not accepted for at, accepted in self.log if start <= at < end)

    def accepted(self, start: float, end: float = float("inf")):
        return sum(accepted for at, accepted in self.log if start <= at < end)

    def share_refused(self, start: float):
        return self.refused(start) / sum(at >= start for at, _ in self.log)


# -- a limit -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("latency", [0.05, 0.3])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_six_hundred_at_once_keep_to_twenty_a_second_and_lose_no_time(latency: float, seed: int):
    async def scene():
        world = World(Bucket(20, 20), latency, seed=seed)
        return world, await world.crowd(600, 600)

    world, seconds = dream(scene)
    assert seconds <= 1.1 * (600 - 20) / 20
    assert world.share_refused(2.0) < 0.03
    assert world.refused(0.0, 2.0) < START
    assert world.worst <= 3


@pytest.mark.parametrize(("rate", "burst"), [(5, 5), (5, 25), (20, 100), (50, 50), (50, 250), (200, 200), (200, 1000)])
@pytest.mark.parametrize("retry_after", [0.1, 1.0, None])
def test_any_bucket_is_found_and_used(rate: float, burst: float, retry_after: float | None):
    async def scene():
        world = World(Bucket(rate, burst), retry_after=retry_after)
        return world, await world.crowd(40 * rate + burst, 600)

    world, seconds = dream(scene)
    assert seconds <= 1.15 * 40
    assert world.share_refused(15.0) < 0.03
    assert world.gave_up == 0


def test_a_bucket_without_room_is_approached_from_below():
    async def scene():
        world = World(Bucket(20, 1))
        return world, await world.crowd(1200, 200)

    world, seconds = dream(scene)
    assert seconds < 1.5 * 60
    assert world.share_refused(5.0) < 0.05


@pytest.mark.parametrize(("most", "seconds"), [(20, 1.0), (60, 60.0), (300, 60.0)])
def test_a_count_in_a_window_is_endured(most: int, seconds: float):
    async def scene():
        world = World(Window(most, seconds))
        return world, await world.crowd(max(3 * most, 600), 200)

    world, took = dream(scene)
    assert took < 1.35 * max(2 * seconds, seconds * 600 / most)
    assert world.gave_up == 0


def test_a_server_that_refuses_a_crowd_is_not_crowded():
    async def scene(*, paced: bool):
        world = World(Crowded(10, 0.3), paced=paced)
        return world, await world.crowd(1000, 100)

    paced, seconds = dream(lambda: scene(paced=True))
    hasty, _ = dream(lambda: scene(paced=False))
    assert hasty.gave_up > 50
    assert paced.gave_up == 0
    assert seconds < 1.25 * 1000 / 10 * 0.3


def test_a_retry_after_of_an_hour_is_not_waited_for_in_the_line():
    async def scene():
        pace = Pace(now)
        tickets = [pace.went() for _ in range(40)]
        for ticket in tickets:
            pace.limited(ticket, 3600.0)
        await pace.turn()
        return now()

    assert dream(scene) == pytest.approx(60, abs=1)


# -- no limit ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.002, 0.1])
@pytest.mark.parametrize("retry_after", [0.1, 1.0])
def test_refusals_at_random_slow_nobody_else(p: float, retry_after: float):
    async def scene(*, paced: bool, seed: int):
        world = World(Moody(p, random.Random(seed)), retry_after=retry_after, paced=paced, seed=seed)
        return await world.crowd(2000, 50)

    for seed in range(5):
        paced = dream(lambda seed=seed: scene(paced=True, seed=seed))
        assert paced == dream(lambda seed=seed: scene(paced=False, seed=seed))


def test_refusals_at_random_do_not_slow_waves():
    async def scene(*, paced: bool, seed: int):
        world = World(Moody(0.1, random.Random(seed)), retry_after=0.1, paced=paced, seed=seed)
        return sum([await world.crowd(width, width) for width in (25, 40, 33, 28) * 15])

    for seed in range(5):
        paced = dream(lambda seed=seed: scene(paced=True, seed=seed))
        assert paced <= 1.1 * dream(lambda seed=seed: scene(paced=False, seed=seed))


def test_refusals_at_random_that_look_like_a_limit_are_found_out():
    async def scene(*, paced: bool, seed: int):
        world = World(Moody(0.2, random.Random(seed)), retry_after=0.1, paced=paced, seed=seed)
        return await world.crowd(6000, 50)

    for seed in range(3):
        paced = dream(lambda seed=seed: scene(paced=True, seed=seed))
        assert paced < 1.5 * dream(lambda seed=seed: scene(paced=False, seed=seed))


def test_a_wave_for_an_unknown_endpoint_leaves_at_once_and_a_flood_does_not():
    async def scene(width: int):
        world = World(Bucket(None, 1))
        return world, await world.crowd(width, width)

    wave, seconds = dream(lambda: scene(40))
    assert {at for at, _ in wave.log} == {0.0}
    assert seconds < 0.35
    flood, seconds = dream(lambda: scene(600))
    assert sum(at == 0.0 for at, _ in flood.log) <= START + 1
    assert seconds < 1.5


def test_an_endpoint_that_answers_nothing_does_not_hold_up_those_that_have_not_asked():
    async def scene():
        pace = Pace(now)
        for _ in range(2 * START):
            if not pace.free:
                await pace.turn()
            pace.went()
        return now()

    assert dream(scene) == pytest.approx(1.0, abs=0.1)


# -- a limit that changes ----------------------------------------------------------------------------------------------


def test_a_limit_that_rises_is_followed():
    async def scene():
        world = World(Bucket(20, 20, {10.0: 100}))
        await world.crowd(3000, 200)
        return world

    world = dream(scene)
    assert world.accepted(18.0, 28.0) > 900


def test_a_limit_that_falls_is_followed():
    async def scene():
        world = World(Bucket(100, 100, {10.0: 20}))
        await world.crowd(1800, 200)
        return world

    world = dream(scene)
    assert world.refused(10.0, 20.0) < 60
    assert 170 < world.accepted(20.0, 30.0) < 210


def test_a_limit_that_is_gone_is_forgotten():
    async def scene():
        world = World(Bucket(20, 20, {10.0: None}))
        await world.crowd(5000, 200)
        return world

    world = dream(scene)
    assert world.pace.free
    assert world.accepted(18.0, 19.0) > 500


def test_an_outage_is_forgotten():
    async def scene():
        world = World(Bucket(0.001, 1, {5.0: None}))
        await world.crowd(3000, 50)
        return world

    world = dream(scene)
    assert world.pace.free
    assert world.accepted(20.0) > 1000


# -- the line ----------------------------------------------------------------------------------------------------------


def limited_pace():
    """A pace that has just met a limit: it holds all for a second, and then feels its way."""
    pace = Pace(now)
    for ticket in [pace.went() for _ in range(40)]:
        pace.limited(ticket, 1.0)
    assert not pace.free
    return pace


def test_who_comes_first_goes_first():
    order = []

    async def stand(pace: Pace, name: int):
        await pace.turn()
        order.append(name)

    async def scene():
        pace = limited_pace()
        await asyncio.gather(*(stand(pace, name) for name in range(20)))

    dream(scene)
    assert order == list(range(20))


def test_who_is_cancelled_leaves_the_line_to_the_others():
    async def scene():
        pace = limited_pace()
        line = [asyncio.ensure_future(pace.turn()) for _ in range(10)]
        await asyncio.sleep(0)
        for place in line[:9]:
            place.cancel()
        await line[9]
        return now()

    assert dream(scene) == pytest.approx(1.0, abs=0.01)


def test_a_line_has_one_timer():
    async def scene():
        pace = limited_pace()
        line = [asyncio.ensure_future(pace.turn()) for _ in range(500)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        timers = len(asyncio.get_running_loop()._scheduled)
        for place in line:
            place.cancel()
        return timers

    assert dream(scene) == 1


def test_nobody_waits_while_nothing_is_known_against_it():
    pace = Pace()
    assert pace.free
    for _ in range(1000):
        ticket = pace.went()
        pace.ok()
    assert pace.free
    pace.limited(ticket, 1.0)
    assert pace.free


# -- one for an endpoint -----------------------------------------------------------------------------------------------


async def test_all_who_call_an_endpoint_share_its_pace():
    assert pace_of("http://a.example") is pace_of("http://a.example")
    assert pace_of("http://a.example") is not pace_of("http://b.example")


def test_a_pace_goes_with_its_loop():
    async def scene():
        return weakref.ref(pace_of("http://a.example"))

    old = asyncio.run(scene())
    new = asyncio.run(scene())
    gc.collect()
    assert old() is None
    assert new() is not None
