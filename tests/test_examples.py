"""What the examples claim, beside that they run."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false

import importlib.util
import sys
from pathlib import Path

import pytest

from thoughtgraph.comparison import verdict
from thoughtgraph.statistics import difference

EXAMPLES = Path(__file__).parent.parent / "examples"


def example(name: str):
    """The example as a module."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_a_plan_with_trees_beats_the_tree_and_the_plan_at_equal_cost():
    found = example("parts_and_trees").compared()
    tree, plan, both = ([[t.evaluation] for t in found.trials if t.place.policy == way] for way in WAYS)
    assert verdict(difference(both, tree)) == "better"
    assert verdict(difference(both, plan)) == "better"


def test_notes_are_answered_to_who_may_read_them_with_sources_and_forgotten_to_the_last_byte(tmp_path):
    found = example("private_notes").main(tmp_path)
    assert found["ada"].answer == "Linde Osmo Pharma"
    used = {source.passage.document for source in found["ada"].sources}
    assert {"charts/halvor", "pharmacy/tarvin"} <= used
    assert found["ben"].answer == found["after"].answer == "Not in the knowledge."
    assert not found["ben"].sources
    assert {entry.name for entry in found["elsewhere"]} == {"pharmacy/tarvin", "pharmacy/belorin"}
    assert found["gone"].passages == 1
    assert found["left"] == []


WAYS = ("a tree", "a plan", "a plan with trees")
