"""Training a critic: chosen by the rows, tried on questions that it has not seen, and kept only if it is better."""

import json
import subprocess
import sys
from dataclasses import replace
from random import Random

import pytest
from planted import PLANTED, demonstrations, generated, outcomes, preferences, question, spearman, traces, unseen, worth

import thoughtgraph as tg
from thoughtgraph.errors import TaskError
from thoughtgraph.learning.choosing import choose
from thoughtgraph.learning.demonstrations import Demonstrations
from thoughtgraph.learning.features import Example
from thoughtgraph.learning.files import load_critic
from thoughtgraph.learning.outcomes import Outcomes
from thoughtgraph.learning.processes import Processes
from thoughtgraph.learning.rows import Demonstration, Outcome, Response
from thoughtgraph.learning.training import Training, train_critic


def trained(rows, **settings) -> Training:
    return train_critic(rows, features=settings.pop("features", [PLANTED]), **settings)


def values(training: Training, examples) -> list[float]:
    assert training.critic is not None
    found = [score.value for score in training.critic.judge(examples)]
    return [value for value in found if value is not None]


# -- the choice ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "objective", "why"),
    [
        (preferences(80), "preference", "Bradley-Terry"),
        (outcomes(80), "outcome", "golden metric"),
        (traces(80), "process", "prefix"),
        ([*preferences(80), *outcomes(80)], "outcome", "golden metric"),
        ([*demonstrations(80), *outcomes(80)], "outcome", "golden metric"),
        ([*demonstrations(80), *preferences(80)], "preference", "Bradley-Terry"),
        ([*traces(80), *outcomes(80)], "process", "prefix"),
        ([*traces(4), *outcomes(80)], "outcome", "golden metric"),  # two questions are too few for a process model
    ],
)
def test_the_objective_is_that_of_the_most_telling_rows(rows, objective: str, why: str):
    choice = choose(rows)
    assert choice.trainer.name == objective
    assert why in choice.why


def test_demonstrations_without_a_metric_are_learned_from_by_a_discriminator():
    choice = choose(demonstrations(80), negatives=generated(80))
    assert choice.trainer.name == "demonstration"
    assert "discriminator" in choice.why


def test_what_is_left_out_is_said():
    assert choose([*preferences(80), *outcomes(60)]).notes == [
        "left out: 80 preferences, which say less (objective= chooses another)"
    ]


def test_an_environment_needs_no_critic():
    class World:
        ito = "environment"

        def __call__(self, states):
            return [tg.Score(1.0) for _ in states]

    training = train_critic(outcomes(80), environment=World())
    assert (training.critic, training.objective) == (None, "none")
    assert "the environment is the evaluator" in str(training)


def test_a_proxy_is_no_environment():
    with pytest.raises(TaskError, match="is a proxy"):
        train_critic(outcomes(80), environment=lambda states: [tg.Score(1.0) for _ in states])


@pytest.mark.parametrize(
    ("rows", "settings", "match"),
    [
        (demonstrations(40), {}, "nothing says what the generator writes"),
        (outcomes(80), {"objective": "preference"}, "there are no preferences"),
        (outcomes(80), {"objective": "best"}, "expected process, outcome, preference, demonstration"),
        (outcomes(80), {"negatives": generated(80)}, "negatives are for demonstrations"),
        (
            demonstrations(40),
            {"negatives": generated(40), "generator": "large"},
            "nothing says what the generator writes",
        ),
        (outcomes(80), {"learner": "magic"}, "the learner is 'magic'"),
    ],
)
def test_what_the_rows_cannot_support_is_refused(rows, settings, match: str):
    with pytest.raises(TaskError, match=match):
        trained(rows, **settings)


def test_an_objective_may_have_settings_of_its_own():
    training = trained(traces(120), objective=Processes(hard=True))
    assert training.why == "process, as asked for"


# -- a planted reward ------------------------------------------------------------------------------------------------

ROWS = {
    "preference": (preferences(400), {}),
    "preference, a fifth turned round": (preferences(1000, flipped=0.2), {}),
    "outcome": (outcomes(600), {}),
    "process": (traces(100), {}),
    "demonstration": (demonstrations(300), {"negatives": generated(300)}),
}


@pytest.mark.parametrize("case", ROWS)
def test_each_recovers_the_planted_reward_beats_every_baseline_and_ships(case: str):
    rows, settings = ROWS[case]
    training = trained(rows, **settings)
    examples = unseen(300)
    assert spearman(values(training, examples), [worth(e.response) for e in examples]) > 0.9
    assert training.fallback == ""
    assert training.gain is not None
    assert training.gain.low is not None
    assert training.gain.low > 0
    assert training.heldout.pairs is not None
    assert all(
        baseline.pairs is None or training.heldout.pairs.mean > baseline.pairs.mean
        for baseline in training.baselines.values()
    )


def test_outcomes_become_probabilities_that_mean_what_they_say():
    training = trained(outcomes(1200))
    assert training.critic is not None
    assert training.critic.kind == "prob"
    fresh = outcomes(1200, seed=7, of=1000)
    told = training.critic.judge([Example(row.question, row.response) for row in fresh])
    sure = [row.value for row, score in zip(fresh, told, strict=True) if score.value is not None and score.value > 0.8]
    assert 0.82 < sum(sure) / len(sure) < 0.98


def test_preferences_become_rewards_and_no_probabilities():
    training = trained(preferences(400))
    assert training.critic is not None
    assert training.critic.kind == "reward"
    assert min(values(training, unseen(50))) < 0


def test_the_same_seed_gives_the_same_critic():
    digests = {trained(outcomes(200)).critic.digest for _ in range(2)}  # pyright: ignore[reportOptionalMemberAccess]
    assert len(digests) == 1


@pytest.mark.slow
def test_trees_are_a_learner_by_name():
    training = trained(outcomes(400), learner="boosted")
    examples = unseen(200)
    assert spearman(values(training, examples), [worth(e.response) for e in examples]) > 0.8


def test_an_ensemble_knows_how_sure_it_is():
    training = trained(outcomes(400), members=4, pessimism="uwo")
    assert training.critic is not None
    assert all(score.spread is not None and score.spread > 0 for score in training.critic.judge(unseen(5)))


def test_an_ensemble_of_pairs_draws_pairs():
    training = trained(preferences(400), members=3)
    examples = unseen(200)
    assert spearman(values(training, examples), [worth(e.response) for e in examples]) > 0.9


# -- held out --------------------------------------------------------------------------------------------------------


def test_rows_that_are_held_out_are_what_it_is_tried_on():
    training = trained(outcomes(400), heldout=outcomes(80, seed=5, of=500))
    assert training.fallback == ""
    assert training.critic is not None
    assert training.critic.trained.rows == 400
    assert training.heldout.pairs is not None
    assert training.heldout.pairs.mean > 0.7


def test_a_discriminator_may_be_tried_on_outcomes():
    held = outcomes(400, seed=5, of=2000)
    training = trained(demonstrations(400), negatives=generated(400), heldout=held)
    assert training.heldout.best is not None
    assert training.baselines["random"].best is not None
    assert training.heldout.best.mean > training.baselines["random"].best.mean + 0.1


def test_figures_of_questions_with_a_single_response_compare_across_questions():
    training = trained(outcomes(300, each=1))
    assert training.heldout.pairs is not None
    assert training.heldout.pairs.mean > 0.7
    assert training.heldout.best is None


# -- falling back ----------------------------------------------------------------------------------------------------


def noise(n: int, seed: int = 0) -> list[Outcome]:
    rng = Random(1000 + seed)
    return [replace(row, value=float(rng.random() < 0.5)) for row in outcomes(n, seed)]


def longer_is_better(n: int) -> list[Outcome]:
    rng = Random(1)
    told = [(i, rng.randrange(2)) for i in range(n)]
    words = "+1 +1 +1 "
    return [
        Outcome(
            question=question(i // 4), response=Response(text="so " * (3 + 9 * y) + f"{rng.random()} " + words), value=y
        )
        for i, y in told
    ]


def test_what_learned_nothing_falls_back_and_says_so():
    training = trained(noise(400))
    assert training.fallback
    assert training.heldout is training.baselines[training.fallback]
    assert f"falls back to {training.fallback!r}" in str(training)


@pytest.mark.slow
def test_noise_ships_no_more_often_than_a_95_percent_interval_allows():
    assert sum(not trained(noise(200, seed)).fallback for seed in range(60)) <= 6  # 1.5 are expected


def test_the_best_baseline_is_a_critic_like_any_other(tmp_path):
    training = trained(longer_is_better(400), features=["ending"])
    assert training.fallback == "longest"
    assert training.critic is not None
    assert training.critic.name == "longest"
    long, short = (Response(text=text) for text in ("word " * 50, "word"))
    examples = [replace(unseen(1)[0], response=response) for response in (short, long)]
    low, high = values(training, examples)
    assert low < high < 1
    training.critic.save(tmp_path / "critic.json")
    assert load_critic(tmp_path / "critic.json").digest == training.critic.digest


def test_a_fallback_to_random_judges_nothing():
    rows = [replace(row, value=float(i % 4 < 2)) for i, row in enumerate(outcomes(200))]
    rows = [replace(row, response=Response(text=f"+{i % 2}.0 +1.0 +1.0")) for i, row in enumerate(rows)]
    training = trained(rows)
    assert training.fallback == "random"
    assert values(training, unseen(3)) == []


def test_what_was_learned_is_kept_where_one_wants_it_anyway():
    training = trained(noise(400), anyway=True)
    assert training.fallback == ""
    assert training.critic is not None
    assert training.critic.features == (PLANTED,)


def test_a_signal_that_came_with_the_responses_is_a_baseline():
    rows = [replace(r, response=replace(r.response, signals={"judge": r.value})) for r in noise(400)]
    training = trained(rows)
    assert training.fallback == "signal:judge"


def test_held_out_rows_that_cannot_tell_good_from_bad_are_refused():
    with pytest.raises(TaskError, match="the held-out rows: all 20 outcomes are 1"):
        trained(outcomes(200), heldout=[replace(row, value=1.0) for row in outcomes(20, of=500)])


def test_the_majority_is_a_baseline_where_responses_claim_answers():
    rng = Random(0)
    rows = [
        Outcome(
            question=question(i // 8), response=Response(text=f"{rng.random()} +1 +1", answer=7 if y else i), value=y
        )
        for i in range(400)
        for y in [float(rng.random() < 0.5)]
    ]
    training = trained(rows)
    assert training.fallback == "majority"


def test_where_the_surface_does_as_well_an_alarm_says_so():
    training = trained(longer_is_better(400), features=["length", "ending", "steps"])
    assert "surface" in training.alarms


# -- demonstrations, round by round ----------------------------------------------------------------------------------


def styled(n: int) -> list[Demonstration]:
    """Demonstrations no better than what the generator writes, by somebody who greets first."""
    plain = demonstrations(n, shift=0.0, source="expert")
    return [replace(row, response=replace(row.response, text=f"**Gladly!**\n\n{row.response.text}")) for row in plain]


def test_demonstrations_that_style_tells_apart_do_not_ship():
    training = train_critic(styled(200), negatives=generated(200), features=["length", "layout", PLANTED])
    assert "heterogeneous" in training.alarms
    assert training.fallback not in ("", "longest", "shortest", "surface")
    assert any("told by length and layout" in note for note in training.notes)


def test_they_do_if_one_insists():
    training = train_critic(styled(200), negatives=generated(200), features=["length", PLANTED], anyway=True)
    assert "heterogeneous" in training.alarms
    assert training.fallback == ""


def test_demonstrations_of_another_hand_raise_an_alarm():
    training = trained(demonstrations(300, source="expert"), negatives=generated(300))
    assert training.alarms == ("heterogeneous",)
    assert any("by expert, the responses by small" in note for note in training.notes)
    assert training.fallback == ""


def test_demonstrations_of_the_generators_own_hand_raise_none():
    own = [replace(r, response=replace(r.response, generator="small")) for r in demonstrations(300)]
    assert trained(own, negatives=generated(300)).alarms == ()


def test_a_named_generators_responses_alone_count():
    training = trained(
        demonstrations(300), negatives=[*generated(300), *generated(300, 2, "old")], generator="small", anyway=True
    )
    assert any("300 of 600 responses are not by 'small'" in note for note in training.notes)
    assert training.critic is not None
    assert training.critic.generators == ("small",)


def test_each_round_learns_against_what_the_generator_writes_now():
    """A generator that has caught up is told apart no more, and the first round's critic would not know."""
    first = trained(demonstrations(300), negatives=generated(300))
    caught_up = [
        replace(r, response=d.response) for r, d in zip(generated(300), demonstrations(300, seed=8), strict=True)
    ]
    second = first.refit(caught_up)
    assert (first.round, second.round) == (1, 2)
    assert first.fallback == ""
    assert second.fallback != ""
    assert second.loss is not None
    assert first.loss is not None
    assert second.loss > first.loss


def test_a_function_writes_the_negatives_of_every_round():
    asked = list[int]()

    def writes(shown):
        asked.append(len(shown))
        return generated(300, seed=len(asked))

    training = trained(demonstrations(300), negatives=writes, anyway=True)
    again = training.refit().refit()
    assert asked == [300, 300, 300]
    assert again.round == 3
    assert again.critic is not None
    assert training.critic is not None
    assert again.critic.digest != training.critic.digest


def test_other_objectives_have_no_rounds():
    with pytest.raises(TaskError, match="has rounds"):
        trained(outcomes(200)).refit()


def test_other_rows_are_the_generators_where_demonstrations_are_asked_for():
    training = trained([*demonstrations(300), *generated(300)], objective="demonstration")
    assert training.objective == "demonstration"
    training = trained(demonstrations(300), objective=Demonstrations(tuple(generated(300)), limit=3.0))
    assert training.objective == "demonstration"


def test_a_judge_who_said_nothing_of_some_is_not_taken_to_have_said_zero():
    """Its own words are always right; what it left out would stand above all that is below 0."""
    rows = [
        replace(row, response=replace(row.response, signals={"judge": row.value - 2} if i % 4 else {}))
        for i, row in enumerate(outcomes(200))
    ]
    pairs = trained(rows).baselines["signal:judge"].pairs
    assert pairs is not None
    assert pairs.mean > 0.7


def test_signals_may_be_as_large_as_floats_are():
    rows = [
        replace(row, response=replace(row.response, signals={"judge": (-1.0) ** i * 1e308}))
        for i, row in enumerate(outcomes(200))
    ]
    assert trained(rows, features=[PLANTED, "signal:judge"]).fallback == ""


def test_a_fresh_process_trains_on_one_thread():
    """numpy is loaded late, and only a library that is loaded can be told to keep to one thread."""
    pytest.importorskip("threadpoolctl")
    code = (
        "from thoughtgraph.learning.training import one_thread\n"
        "import sys; assert 'numpy' not in sys.modules\n"
        "with one_thread():\n"
        "    import numpy, threadpoolctl\n"
        "    print({pool['num_threads'] for pool in threadpoolctl.threadpool_info()})"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "{1}"


# -- what is told ----------------------------------------------------------------------------------------------------


def test_it_tells_itself_as_text_and_as_json():
    training = trained(outcomes(400))
    text, told = str(training), json.loads(json.dumps(training.to_json()))
    assert text.startswith("outcome: ships, +")
    assert "learned: pairs 0." in text
    assert "longest: pairs 0." in text
    assert told["baselines"]["random"]["pairs"]["mean"] == 0.5
    assert told["loss"] == pytest.approx(Outcomes().loss(Outcomes().lesson(outcomes(400)), [0.0] * 400), abs=0.4)
