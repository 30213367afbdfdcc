"""`Routed`: exact where little is visible, the index where much is, and an eye on what the index misses."""

from __future__ import annotations

import numpy as np
import pytest

from thoughtgraph.retrieval.index import Rows
from thoughtgraph.retrieval.reader import Visible
from thoughtgraph.retrieval.routed import Routed, found_share

N = 1000
PLACES = np.arange(N)


def visible(n: int) -> Visible:
    """The first n of a thousand passages."""
    numbers = PLACES.astype(np.int32)
    rows = Rows(1, PLACES + 1, numbers, numbers, numbers, numbers)
    return Visible(rows, n > PLACES, PLACES[:n])


class Line:
    """Passage i has the cosine 1 - i/N; some are never found."""

    def __init__(self, missing=()) -> None:
        self.missing, self.asked = set(missing), []

    def nearest(self, query, k, among):
        self.asked.append(len(among))
        found = np.array([p for p in among.positions.tolist() if p not in self.missing][:k], np.int64)
        return found, 1 - found / N


def routed(missing=(), **how) -> Routed:
    return Routed(Line(), Line(missing), **{"few": 100, "share": 0.2, "sample": 1000, **how})


@pytest.mark.parametrize(("n", "exactly"), [(0, True), (100, True), (200, True), (201, False), (1000, False)])
def test_what_is_left_by_the_filter_decides(n, exactly):
    router = routed(few=100, share=0.2)
    positions, _ = router.nearest(None, 3, visible(n))
    assert positions.tolist() == list(range(min(n, 3)))
    assert (router.approximate.asked == []) is exactly
    assert routed(few=300, share=0).nearest(None, 3, visible(300))[0].tolist() == [0, 1, 2]


def test_recall_is_what_a_sample_tells_and_none_before():
    router = routed(missing=[1, 5])
    router.nearest(None, 10, visible(100))
    assert router.recall is None
    found, _ = router.nearest(None, 10, visible(1000))
    assert found.tolist() == [0, 2, 3, 4, 6, 7, 8, 9, 10, 11]
    assert router.recall == 0.8


def test_a_part_of_the_view_tells_it_on_average():
    shares = []
    for shift in range(0, 900, 3):
        exact, missing = (PLACES[shift : shift + 10], 1 - PLACES[shift : shift + 10] / N), {shift + 2}
        near = Line(missing).nearest(None, 10, Visible(visible(N).rows, shift <= PLACES, PLACES[shift:]))
        drawn = np.random.default_rng(shift).random(10) < 0.1
        shares.append(found_share(near, (exact[0][drawn], exact[1][drawn]), 10, 10))
    assert np.mean(shares) == pytest.approx(0.9, abs=0.06)


def test_when_recall_falls_it_says_so_once():
    router = routed(missing=range(0, 20, 2))
    for _ in range(19):
        router.nearest(None, 10, visible(1000))
    with pytest.warns(RuntimeWarning, match=r"finds about 0\.50 of the nearest passages \(expected 0\.9\)"):
        router.nearest(None, 10, visible(1000))
    router.nearest(None, 10, visible(1000))
    assert router.recall == 0.5


def test_a_good_index_is_not_remarked_upon():
    router = routed()
    for _ in range(50):
        router.nearest(None, 10, visible(1000))
    assert router.recall == 1.0


def test_the_sample_is_a_part_of_what_is_visible_and_the_same_each_time():
    router = routed(sample=50)
    view = visible(900)
    for _ in range(3):
        router.nearest(None, 10, view)
    assert router.exact.asked == [50, 50, 50]
    part = router._sampled(view)
    assert set(part.positions.tolist()) <= set(range(900))
    assert part.mask.sum() == 50


def test_settings_out_of_range_are_errors():
    with pytest.raises(ValueError, match="expected a number"):
        routed(few=-1)
