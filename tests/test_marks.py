"""Marks: what something is, in words that two processes agree on."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false
# pyright: reportCallIssue=false

import functools
import os
import re
import subprocess
import sys
import types
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import pytest

from thoughtgraph.marks import mark, short
from thoughtgraph.model import Price
from thoughtgraph.models import OpenAI
from thoughtgraph.prompt import Prompt
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
        f"{__name__}.Settings(number=2, inside=MCTS(simulations=1000, workers=1, c=2.0"
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
    assert mark(Named()) == f"{__name__}.Named local:model"
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


# -- what a function says beyond its own lines ------------------------------------------------------


def made(text: str, name: str = "act", module: str = "made") -> object:
    """What `text` defines under `name`; nobody has its source, as where it was typed into a prompt."""
    space = {"__name__": module}
    exec(text, space)
    return space[name]


def test_functions_without_source_differ_by_their_constants():
    assert mark(made("def act(): return 'Be brief'")) == mark(made("def act(): return 'Be brief'"))
    assert mark(made("def act(): return 'Be brief'")) != mark(made("def act(): return 'Be rude'"))


def test_functions_without_source_differ_by_the_constants_of_the_code_inside_them():
    inner = "def act():\n    def psi():\n        return 'Be {}'\n    return psi"
    assert mark(made(inner.format("brief"))) == mark(made(inner.format("brief")))
    assert mark(made(inner.format("brief"))) != mark(made(inner.format("rude")))


def test_a_helper_of_the_same_module_is_part_of_the_function_that_names_it():
    text = "def psi(): return 'Be {}'\ndef act(): return psi()"
    assert mark(made(text.format("brief"))) == mark(made(text.format("brief")))
    assert mark(made(text.format("brief"))) != mark(made(text.format("rude")))


def test_helpers_are_followed_through_helpers_nested_code_and_caches():
    text = (
        "import functools\ndef last(): return 'Be {}'\n@functools.lru_cache\ndef psi(): return last()\n"
        "def act(): return [(lambda: psi())() for _ in '1']"
    )
    assert mark(made(text.format("brief"))) != mark(made(text.format("rude")))


def test_helpers_that_call_each_other_come_to_an_end():
    text = "def one(): return act(), two()\ndef two(): return one(), {}\ndef act(): return one()\nALL = (act, one)"
    assert mark(made(text.format(1))) == mark(made(text.format(1)))
    assert mark(made(text.format(1))) != mark(made(text.format(2)))
    assert mark(made(text.format(1) + "\ndef act(): return ALL"))


def test_a_function_of_another_module_is_known_by_where_it_is_named():
    space = {"__name__": "made", "psi": made("def psi(): return 1", "psi", "other")}
    exec("def act(): return psi()", space)
    before = mark(space["act"])
    space["psi"] = made("def psi(): return 2", "psi", "other")
    assert mark(space["act"]) == before


@pytest.mark.parametrize("constant", ["'Be {}'", "('Be {}', 1)", "frozenset(['Be {}'])"])
def test_a_constant_of_the_module_is_part_of_the_function_that_names_it(constant: str):
    text = f"TONE = {constant}\ndef act(): return TONE"
    assert mark(made(text.format("brief"))) == mark(made(text.format("brief")))
    assert mark(made(text.format("brief"))) != mark(made(text.format("rude")))


def test_a_cache_a_counter_and_the_place_of_a_module_are_no_settings():
    text = "N = 0\nKNOWN = {}\ndef act():\n    global N\n    N += 1\n    KNOWN[N] = N\n    return __file__"
    act = made("__file__ = '/a'\n" + text)
    before = mark(act)
    act()
    assert mark(act) == before == mark(made("__file__ = '/b'\n" + text))

    def counting(n):
        def act():
            nonlocal n
            n += 1

        return act

    act = counting(0)
    before = mark(act)
    act()
    assert mark(act) == before


def test_a_prompter_that_closes_over_another_tells_them_apart():
    def told(inner):
        return lambda: inner() or 1

    assert mark(told(outer(1))) == mark(told(outer(1)))
    assert mark(told(outer(1))) != mark(told(outer(2)))


def test_a_cached_function_is_the_function_in_the_cache():
    one, two = functools.cache(outer(1)), functools.lru_cache(maxsize=7)(outer(2))
    assert mark(one) == f"cached {mark(outer(1))}"
    assert mark(one) != mark(two)


def test_a_method_is_its_object_and_its_own_lines():
    one, two = (made(f"class Pol:\n    def psi(self): return {n}\nact = Pol().psi") for n in (1, 2))
    assert mark(one).startswith("made.Pol.psi#")
    assert mark(one) != mark(two)
    assert mark("a".join) != mark("b".join)


# -- objects ---------------------------------------------------------------------------------------


class Pol:
    def __init__(self, c, **more):
        self.c, self.calls = c, 0
        self.seen, self._drawn = [], {}
        vars(self).update(more)

    def __call__(self):
        self.calls += 1
        self.seen.append(self.calls)
        self._drawn[self.calls] = 1


class Slotted:
    __slots__ = ("_hidden", "c")

    def __init__(self, c, hidden):
        self.c, self._hidden = c, hidden


class Talker:
    """A model of one's own, or a wrapper of one."""

    name = "local:talker"
    price = None
    defaults = types.MappingProxyType({"max_tokens": 16, "timeout": 1.0})

    def __init__(self, connections):
        self.connections = connections


class Liar:
    """Its repr says less than it is, and never the same twice."""

    def __init__(self, c):
        self.c = c

    def __repr__(self):
        return f"Liar({os.urandom(4).hex()})"


class Tone(StrEnum):
    BRIEF = "brief"
    RUDE = "rude"


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (Pol(1), Pol(99)),
        (Pol("a"), Pol(None)),
        (Pol(outer(1)), Pol(outer(2))),
        (Pol(functools.partial(outer, 1)), Pol(functools.partial(outer, 2))),
        (Pol(functools.cache(outer(1))), Pol(functools.cache(outer(2)))),
        (Pol(Settings(1)), Pol(Settings(2))),
        (Pol((1, 2)), Pol((1, 3))),
        (Pol(frozenset("ab")), Pol(frozenset("ac"))),
        (Pol(Tone.BRIEF), Pol(Tone.RUDE)),
        (Pol(MCTS), Pol(Settings)),
        (Pol(OpenAI("a")), Pol(OpenAI("b"))),
        (Pol(1, name="pol"), Pol(2, name="pol")),
        (Slotted(1, 0), Slotted(2, 0)),
        (Liar(1), Liar(2)),
        (Prompt(a="1"), Prompt(a="2")),
        (Path("a"), Path("b")),
        (re.compile("a"), re.compile("b")),
    ],
)
def test_an_object_is_its_type_and_its_settings(one, two):
    assert mark(one) != mark(two)


def test_an_objects_settings_are_shown_by_name():
    assert mark(Pol(1, name="pol")) == f"{__name__}.Pol(c=1, name='pol')"
    assert mark(Tone.BRIEF) == f"{__name__}.Tone.BRIEF"
    assert mark(Price(1, 2)) == "Price(prompt=1, completion=2, cached=None, written=None)"


def test_a_cache_a_counter_and_a_private_attribute_are_no_settings():
    pol = Pol(1)
    before = mark(pol)
    pol()
    assert mark(pol) == before
    assert mark(Slotted(1, 0)) == mark(Slotted(1, 1))
    assert mark(Liar(1)) == mark(Liar(1))
    assert mark(deque([1])) == mark(deque([2])) == "collections.deque"


def test_a_model_is_its_name_whatever_else_it_holds():
    assert mark(Talker(1)) == mark(Talker(2)) == f"{__name__}.Talker local:talker"


def test_two_classes_of_one_name_are_not_the_same():
    one, two = (made("class Pol: pass\nact = Pol()", module=module) for module in "ab")
    assert (mark(one), mark(two)) == ("a.Pol", "b.Pol")


def test_what_holds_itself_has_a_mark():
    pol, box = Pol(1), []
    pol.c = Settings(inside=pol)
    box.append(box)
    assert mark(pol) == f"{__name__}.Pol(c={__name__}.Settings(number=1, inside=this {__name__}.Pol))"
    assert mark(box) == "[this builtins.list]"


def test_no_mark_hangs_on_the_order_of_a_set():
    code = (
        "from thoughtgraph.marks import mark\n"
        "def one(): return two() in {'a', 'b', 'c'}\n"
        "def two(): return one() in ALL\n"
        "ALL = frozenset([one, two])\n"
        "class Pol: pass\n"
        "pol = Pol()\n"
        "pol.words, pol.acts = frozenset('abcdef'), frozenset([one, two])\n"
        "print(mark([pol, ALL, one, {frozenset('xyz'): 1}]))"
    )
    said = set()
    for seed in "123456":
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        call = [sys.executable, "-c", code]
        said.add(subprocess.run(call, env=env, capture_output=True, text=True, check=True).stdout)
    assert len(said) == 1
