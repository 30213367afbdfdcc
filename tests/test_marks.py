"""Marks: what something is, in words that two processes agree on."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false
# pyright: reportCallIssue=false

import functools
import os
import subprocess
import sys
from dataclasses import dataclass, field

from thoughtgraph.marks import mark, short
from thoughtgraph.search import MCTS


@dataclass(frozen=True)
class Settings:
    number: int = 1
    inside: object = None
    hidden: list = field(default_factory=list, repr=False)


class Named:
    name = "local:model"


class Plain:
    pass


def outer(n):
    def inner(x):
        return x + n

    return inner


def test_settings_are_shown_by_value_and_hidden_fields_are_not():
    assert mark(Settings(2, MCTS(c=2.0))).startswith(
        "Settings(number=2, inside=MCTS(simulations=1000, workers=1, c=2.0"
    )
    assert mark(Settings(hidden=[1])) == mark(Settings(hidden=[2]))


def test_functions_are_known_by_their_name_source_defaults_and_what_they_enclose():
    assert mark(outer(1)) == mark(outer(1))
    assert mark(outer(1)) != mark(outer(2))
    one, two = (lambda x: x + 1), (lambda x: x + 2)
    assert mark(one) != mark(two)

    def defaults(n):
        def with_default(x, y=n):
            return x

        return with_default

    assert mark(defaults(1)) != mark(defaults(2))


def test_partials_methods_and_classes_have_their_marks():
    assert mark(functools.partial(outer, 1)) != mark(functools.partial(outer, 2))
    assert mark(Settings(3).__hash__).endswith("__hash__") or mark(Settings(3).__hash__)
    assert mark(Plain).endswith("test_marks.Plain") or "Plain" in mark(Plain)


def test_a_function_that_calls_itself_has_a_mark():
    def again(n):
        return again(n - 1) if n else 0

    assert mark(again) == mark(again)


def test_an_object_is_its_name_or_its_type_and_never_its_address():
    assert mark(Named()) == "Named local:model"
    assert "0x" not in mark(Plain())
    assert "0x" not in mark([Plain(), {"a": Plain()}, (Plain(),)])
    assert "0x" not in mark(functools.partial(Plain, Plain()))
    assert "0x" not in mark(outer(Plain()))


def test_sets_are_sorted():
    assert mark({"b", "a"}) == mark({"a", "b"}) == "{'a', 'b'}"


def test_two_processes_agree_whatever_their_hash_seed():
    code = (
        "from thoughtgraph.marks import mark; print(mark({'policy': {'b', 'a', 'c'}, 1: frozenset('xyz'), 'f': mark}))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(said) == 1


def test_a_short_hash_has_eight_characters_and_takes_any_text():
    assert short("a") == short("a") != short("b")
    assert len(short("\ud800")) == 8
