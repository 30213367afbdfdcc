"""Weights of particles: odds, effective sample size, tempering and the draws, by hand."""

import random
from collections import Counter

import pytest

from thoughtgraph.search.weights import ess, logit, multinomial, systematic, temper, weigh


class Comb(random.Random):
    """Random numbers that are all the same."""

    def __init__(self, value: float) -> None:
        super().__init__(0)
        self.value = value

    def random(self) -> float:
        return self.value


def test_the_weights_are_the_odds_of_the_values():
    # .5 : 1 to 1, .75 : 3 to 1, .8 : 4 to 1.
    assert weigh([0.5, 0.75, 0.8]) == pytest.approx([1 / 8, 3 / 8, 4 / 8])


def test_equal_values_weigh_the_same_whatever_they_are():
    for value in (0.0, 0.3, 1.0, -7.0, 50.0):
        assert weigh([value] * 4) == pytest.approx([0.25] * 4)


def test_a_value_of_0_or_1_has_a_finite_logit():
    assert logit(1.0) == pytest.approx(13.8155, abs=1e-3)
    assert logit(0.0) == pytest.approx(-logit(1.0))
    assert weigh([1.0, 0.5]) == pytest.approx([1.0, 1e-6], rel=1e-5)


def test_an_abstained_particle_weighs_as_much_as_the_others_on_average():
    # Odds 1 and 3, and 2 for the one that nobody could judge.
    assert weigh([0.5, None, 0.75]) == pytest.approx([1 / 6, 2 / 6, 3 / 6])
    assert weigh([None, None]) == [0.5, 0.5]


def test_the_effective_sample_size_counts_particles_that_matter():
    assert ess([0.25] * 4) == 4
    assert ess([1.0, 0.0, 0.0, 0.0]) == 1
    assert ess([0.5, 0.25, 0.25]) == pytest.approx(8 / 3)


def test_tempering_takes_the_root_of_the_odds_until_half_of_the_particles_count():
    # Odds 81, 1, 1, 1: ESS 84^2 / 6564 = 1.07. Roots 9, 1, 1, 1: 144 / 84 = 1.71. Fourth roots 3, 1, 1, 1: 36 / 12 = 3.
    assert temper([81 / 82, 0.5, 0.5, 0.5]) == pytest.approx([3 / 6, 1 / 6, 1 / 6, 1 / 6])


def test_what_has_enough_effect_is_not_tempered():
    assert temper([0.5, 0.75]) == weigh([0.5, 0.75])


def test_systematic_draws_give_each_its_share_rounded_down_or_up():
    weights = [0.5, 0.3, 0.2]
    # Teeth at .05, .15, .25, ... .95: five below .5, three below .8, two below 1.
    assert Counter(systematic("abc", weights, 10, Comb(0.5))) == {"a": 5, "b": 3, "c": 2}
    # Teeth at .125, .375, .625, .875.
    assert systematic("abc", weights, 4, Comb(0.5)) == ["a", "a", "b", "c"]
    for start in (0.0, 0.2, 0.4, 0.6, 0.8, 0.999999):
        counts = Counter(systematic("abc", weights, 4, Comb(start)))
        assert 2 <= counts["a"] <= 2
        assert 1 <= counts["b"] <= 2
        assert 0 <= counts["c"] <= 1


def test_a_weight_of_0_is_never_drawn():
    for start in (0.0, 0.5, 0.999999):
        assert set(systematic("abcd", [0.0, 0.5, 0.0, 0.5], 8, Comb(start))) == {"b", "d"}


def test_weights_need_not_sum_up_to_1_and_fewer_draws_than_items_are_different_items():
    assert len(set(systematic("abcdefgh", [1.0] * 8, 4, random.Random(3)))) == 4


def test_multinomial_draws_are_right_on_average():
    drawn = Counter(multinomial("ab", [0.75, 0.25], 4000, random.Random(7)))
    assert 2850 < drawn["a"] < 3150


@pytest.mark.parametrize("draw", [systematic, multinomial])
def test_every_draw_has_the_expectation_n_w(draw):
    rng, counts = random.Random(1), Counter[str]()
    for _ in range(2000):
        counts.update(draw("abc", [0.5, 0.3, 0.2], 3, rng))
    assert [counts[item] / 6000 for item in "abc"] == pytest.approx([0.5, 0.3, 0.2], abs=0.02)
