"""When a request is late, and how many late ones may be sent again."""

import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from thoughtgraph.deadline import COLD, MARGIN, Latency, latency_of


def after(*seconds: float) -> Latency:
    latency = Latency()
    for each in seconds:
        latency.saw(each)
    return latency


# -- the deadline ------------------------------------------------------------------------------------------------------


def test_where_nothing_was_seen_the_deadline_is_far_off():
    assert Latency().deadline() == COLD == 10.0


def test_a_steady_latency_soon_has_a_narrow_deadline():
    assert after(0.3).deadline() == pytest.approx(0.3 * 4.45)
    assert after(*[0.3] * 3).deadline() == pytest.approx(0.3 * (1.45 + 1 / 3))
    assert 0.39 < after(*[0.3] * 8).deadline() <= 0.45
    assert after(*[0.3] * 200).deadline() == pytest.approx(0.435, abs=0.001)


def test_a_quick_server_is_not_late_for_the_noise_of_a_busy_loop():
    assert after(*[0.005] * 50).deadline() == pytest.approx(0.005 + MARGIN)
    assert after(*[0.05] * 50).deadline() > 0.08


def test_one_in_fifty_of_a_long_tail_is_late():
    rng = random.Random(0)
    latency = Latency()
    late = 0
    for _ in range(5000):
        seconds = 0.3 * rng.lognormvariate(0, 0.5)
        late += seconds > latency.deadline()
        latency.saw(seconds)
    assert late < 0.03 * 5000


def test_some_that_hung_do_not_hide_the_next():
    assert after(*[0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 60.0] * 10).deadline() < 0.45


def test_a_server_that_has_become_slow_is_believed():
    assert after(*[0.3] * 500, *[0.9] * 32).deadline() > 1.2
    assert after(*[0.9] * 500, *[0.3] * 200).deadline() < 0.45


def test_what_is_left_to_wait():
    known = after(*[0.3] * 200)
    assert known.left(0.0) == pytest.approx(0.435, abs=0.001)
    assert known.left(0.4) == pytest.approx(0.035, abs=0.001)
    assert known.left(0.5) == 0
    assert known.left(known.deadline() - 1e-9) == 0


def test_where_little_was_seen_one_asks_again_soon_as_others_teach():
    unknown = Latency()
    assert unknown.left(0.0) == 0.25
    assert unknown.left(1.0) == 1.0
    assert unknown.left(9.0) == 1.0
    assert unknown.left(10.0) == 0
    for _ in range(8):
        unknown.saw(0.3)
    assert unknown.left(0.5) == 0


# -- the allowance -----------------------------------------------------------------------------------------------------


def hedges(latency: Latency) -> int:
    return sum(latency.hedge() for _ in range(1000))


def test_three_hedges_and_one_for_ten_requests():
    latency = Latency()
    assert hedges(latency) == 3
    for _ in range(101):
        latency.went()
    assert hedges(latency) == 10


def test_a_long_life_does_not_save_up_a_flood_of_hedges():
    latency = Latency()
    for _ in range(100_000):
        latency.went()
    assert hedges(latency) == 50


# -- waves -------------------------------------------------------------------------------------------------------------


@dataclass
class Waves:
    """Waves of 25 requests, one wave after the other; four attempts at most for each request."""

    latency: Latency
    draw: Callable[[], float]
    sent: int = 0
    hedged: int = 0

    def wave(self) -> float:
        """How long the slowest of 25 takes."""
        return max(self.call() for _ in range(25))

    def call(self) -> float:
        self.latency.went()
        self.sent += 1
        waited = 0.0
        for last in (False, False, False, True):
            seconds, deadline = self.draw(), self.latency.deadline()
            if seconds <= deadline or last or not self.latency.hedge():
                break
            self.hedged += 1
            waited += deadline
        self.latency.saw(seconds)
        return waited + seconds


def test_waves_in_which_one_in_twenty_hangs_are_not_held_up():
    rng = random.Random(0)
    waves = Waves(after(*[0.3] * 8), lambda: 60.0 if rng.random() < 0.05 else 0.3)
    walls = [waves.wave() for _ in range(100)]
    assert sum(walls) / 100 < 1.0
    assert waves.hedged < 0.08 * waves.sent


def test_a_server_that_never_hangs_is_asked_once():
    rng = random.Random(0)
    waves = Waves(Latency(), lambda: 0.05 + rng.expovariate(100))
    for _ in range(40):
        waves.wave()
    assert waves.hedged == 0


def test_a_server_on_which_all_hangs_costs_no_more_than_the_allowance():
    waves = Waves(after(*[0.3] * 200), lambda: 60.0)
    for _ in range(4):
        waves.wave()
    assert waves.hedged <= 3 + 0.1 * waves.sent


# -- one for a kind of request -----------------------------------------------------------------------------------------


def test_all_runs_share_what_they_saw():
    assert latency_of("http://a.example m propose") is latency_of("http://a.example m propose")
    assert latency_of("http://a.example m propose") is not latency_of("http://a.example m value")
