"""Labels: what nobody allowed is forbidden."""

import pytest

from thoughtgraph.errors import TaskError
from thoughtgraph.labels import Labels, names, principal


def test_a_document_is_its_owners_unless_somebody_says_otherwise():
    assert Labels().readable(("owner",))
    assert not Labels().readable(("ada",))


def test_a_principal_reads_what_names_them_or_a_group_that_they_are_in():
    labels = Labels(("cardiology", "ada"))
    assert labels.readable(("ada",))
    assert labels.readable(("bob", "cardiology"))
    assert not labels.readable(("bob",))
    assert not labels.readable(())


def test_a_star_among_the_readers_is_everybody():
    assert Labels(("*",)).readable(("anybody",))


def test_no_reader_is_nobody():
    assert not Labels(()).readable(("owner",))


def test_models_are_allowed_by_patterns_of_their_names():
    labels = Labels(models=("local:*", "openai:gpt-5*"))
    assert labels.sendable("local:mine")
    assert labels.sendable("openai:gpt-5-mini")
    assert not labels.sendable("openai:gpt-4o")
    assert not labels.sendable("OPENAI:GPT-5")


def test_no_pattern_allows_no_model():
    assert not Labels(models=()).sendable("local:mine")


def test_training_has_to_be_allowed():
    assert Labels().train is False


def test_the_order_of_names_makes_no_difference():
    assert Labels(("b", "a", "b")) == Labels(["a", "b"])  # pyright: ignore[reportArgumentType]


def test_a_single_name_is_one_name_and_not_its_letters():
    assert names("ada") == ("ada",)
    assert Labels("ada").readers == ("ada",)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("odd", ["", " ", ["ada", ""], [3], 5, None])
def test_an_empty_name_is_an_error(odd):
    with pytest.raises(TaskError, match="expected names"):
        names(odd)


@pytest.mark.parametrize("odd", [[], ["*"], ["ada", "*"]])
def test_nobody_is_everybody_and_somebody_has_to_be_named(odd):
    with pytest.raises(TaskError, match="the principal is"):
        principal(odd)


def test_training_is_allowed_or_not_and_nothing_else():
    with pytest.raises(TaskError, match="train is 'no'"):
        Labels(train="no")  # pyright: ignore[reportArgumentType]
