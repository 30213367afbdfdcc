"""The graph: paths, merges, values, and exports of hostile texts."""

# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false
# pyright: reportCallIssue=false

import io
import json
import re

import networkx
import pytest

from thoughtgraph.errors import TaskError
from thoughtgraph.graph import ThoughtGraph
from thoughtgraph.thought import ROOT, Score, Thought


def thought(id, *parents, depth=1, content=None, done=False):
    return Thought(id, parents or (ROOT,), "step", id if content is None else content, depth=depth, done=done)


def diamond() -> ThoughtGraph:
    """root -> a, b; a -> c; later c is found again from b."""
    graph = ThoughtGraph(Thought(ROOT, (), "", None), key=str)
    for one in (thought("a"), thought("b"), thought("c", "a", depth=2, done=True)):
        graph.add(one)
    graph.link(["b"], "c")
    return graph


# -- structure -------------------------------------------------------------------------------------


def test_thoughts_stand_in_the_order_in_which_they_came():
    graph = diamond()
    assert [one.id for one in graph] == [ROOT, "a", "b", "c"]
    assert len(graph) == 4
    assert "a" in graph
    assert graph["a"] in graph
    assert "z" not in graph
    with pytest.raises(KeyError):
        graph["z"]


def test_after_a_merge_a_thought_has_all_its_parents_and_the_path_of_the_first():
    graph = diamond()
    c = graph["c"]
    assert [one.id for one in graph.parents(c)] == ["a", "b"]
    assert c.parents == ("a",)
    assert [one.id for one in graph.path(c)] == [ROOT, "a", "c"]
    assert [one.id for one in graph.children(graph["b"])] == ["c"]
    assert graph.edges == [(ROOT, "a"), (ROOT, "b"), ("a", "c"), ("b", "c")]


def test_leaves_and_finals():
    graph = diamond()
    graph.add(thought("d"))
    assert [one.id for one in graph.leaves()] == ["c", "d"]
    assert [one.id for one in graph.finals] == ["c"]


def test_equal_contents_at_equal_depth_are_twins_and_the_root_is_nobodys():
    graph = diamond()
    assert graph.twin(graph.form("a", 1)) == "a"
    assert graph.twin(graph.form("a", 2)) is None
    assert graph.twin(graph.form(None, 0)) is None
    unmerged = ThoughtGraph(Thought(ROOT, (), "", None))
    assert unmerged.form("a", 1) is None


def test_the_view_is_live_and_cannot_be_written():
    graph = diamond()
    view = graph.nx
    assert networkx.is_directed_acyclic_graph(view)
    graph.add(thought("d"))
    assert view.nodes["d"]["thought"].id == "d"
    with pytest.raises(networkx.NetworkXError):
        view.add_node("e")
    with pytest.raises(networkx.NetworkXError):
        view.remove_edge(ROOT, "a")


def test_a_path_of_ten_thousand_thoughts_is_walked():
    graph = ThoughtGraph(Thought(ROOT, (), "", None))
    parent = ROOT
    for depth in range(1, 10_001):
        graph.add(Thought(str(depth), (parent,), "step", None, depth=depth))
        parent = str(depth)
    assert len(graph.path(graph[parent])) == 10_001


# -- values ----------------------------------------------------------------------------------------


def judged(*scores: Score) -> tuple[ThoughtGraph, Thought]:
    graph = diamond()
    for score in scores:
        graph.judge("a", score)
    return graph, graph["a"]


def test_the_value_of_several_scores_is_the_mean_over_their_samples():
    # 2 samples of mean 1 and 6 of mean 2: (2 * 1 + 6 * 2) / 8
    graph, a = judged(Score(1.0, samples=2, critic="v"), Score(2.0, samples=6, critic="v"))
    assert graph.value(a) == 14 / 8
    assert graph.score(a).samples == 8


def test_the_spread_of_pooled_scores_is_that_of_all_their_samples_together():
    # 1, 3 and 2, 4, 6 pooled are 1, 3, 2, 4, 6: mean 3.2, variance 14.8 / 4, standard error sqrt(3.7 / 5)
    graph, a = judged(Score.of([1, 3]), Score.of([2, 4, 6]))
    assert graph.value(a) == pytest.approx(3.2)
    assert graph.score(a).spread == pytest.approx((3.7 / 5) ** 0.5)
    assert graph.score(a).spread == pytest.approx(Score.of([1, 3, 2, 4, 6]).spread)


def test_an_abstention_changes_no_value_and_stays_in_the_list():
    graph, a = judged(Score(0.5, critic="v"), Score(None, "cannot say", status="abstained", critic="v"))
    assert graph.value(a) == 0.5
    assert len(graph.scores(a)) == 2
    assert graph.score(a).feedback == "cannot say"


def test_nobody_spoke_or_all_abstained_is_no_value():
    graph, a = judged(Score(None, critic="v"), Score(None, critic="v"))
    assert graph.value(a) is None
    assert graph.score(a) is not None
    assert graph.score(graph["b"]) is None
    assert graph.value(graph["b"]) is None


def test_each_critic_has_its_own_value_and_unnamed_is_the_last_that_spoke():
    graph, a = judged(Score(1.0, critic="u"), Score(2.0, critic="v"), Score(4.0, critic="u"))
    assert (graph.value(a, "u"), graph.value(a, "v"), graph.value(a), graph.value(a, "w")) == (2.5, 2.0, 2.5, None)


def test_scores_are_seen_as_they_stood_at_a_tick():
    graph, a = judged(Score(1.0, critic="v"))
    tick = graph.tick
    graph.judge("a", Score(3.0, critic="v"))
    assert graph.score(a, at=tick).value == 1.0
    assert graph.score(a).value == 2.0
    assert graph.score(a, at=0) is None


def test_the_best_is_the_first_of_the_highest_value():
    graph = diamond()
    assert graph.best() is None
    for id, value in (("a", 0.5), ("b", 0.7), ("c", 0.7)):
        graph.judge(id, Score(value, critic="v"))
    assert graph.best().id == "b"
    assert graph.best(among=[graph["a"], graph["c"]]).id == "c"
    assert graph.best(among=[]) is None
    assert graph.best("other") is None


def test_values_of_different_comparisons_are_not_ranked():
    graph = diamond()
    graph.judge("a", Score(0.9, critic="duel", details={"compared": ["a", "b"]}))
    graph.judge("b", Score(0.1, critic="duel", details={"compared": ["a", "b"]}))
    assert graph.best("duel", among=[graph["a"], graph["b"]]).id == "a"
    graph.judge("c", Score(0.5, critic="duel", details={"compared": ["c", "d"]}))
    with pytest.raises(TaskError, match="different sets"):
        graph.best("duel")


# -- exports ---------------------------------------------------------------------------------------

HOSTILE = [
    '"] --> x["',
    "</text><script>alert(1)</script>",
    'quo"te \\ back',
    "new\nline\ttab",
    "\x00\x01\x1b[31mred",
    "half \ud83e pair",
    "emoji \N{DUCK} \N{PILE OF POO}",
    "]]> <![CDATA[ & &amp;",
    "#quot; click a href",
    "\ufffe\uffff \u202e",
    "",
]


def hostile() -> ThoughtGraph:
    graph = ThoughtGraph(Thought(ROOT, (), "", None))
    for number, text in enumerate(HOSTILE):
        graph.add(thought(f"t{number}", content=text))
        graph.judge(f"t{number}", Score(number / 2, text, critic="v"))
    graph.add(thought("dict", "t0", "t1", depth=2, content={"a": [1, {"b": None}]}, done=True))
    return graph


def test_node_link_json_reads_back_with_networkx():
    graph = hostile()
    read = networkx.node_link_graph(json.loads(json.dumps(graph.to_json())), edges="edges")
    assert list(read.nodes) == [one.id for one in graph]
    assert sorted(read.edges) == sorted(graph.edges)
    assert [read.nodes[f"t{i}"]["content"] for i in range(len(HOSTILE))] == HOSTILE
    assert read.nodes["dict"]["content"] == {"a": [1, {"b": None}]}
    assert read.nodes["t2"]["scores"] == [{"critic": "v", "value": 1.0, "feedback": HOSTILE[2]}]


def test_graphml_reads_back_with_networkx():
    graph = hostile()
    read = networkx.read_graphml(io.BytesIO(graph.to_graphml().encode("utf-8")))
    assert sorted(read.edges) == sorted(graph.edges)
    assert read.nodes["t6"]["text"] == HOSTILE[6]
    assert read.nodes["t1"]["text"] == HOSTILE[1]
    assert read.nodes["t4"]["text"] == "[31mred"
    assert read.nodes["t5"]["text"] == "half  pair"
    assert (read.nodes["t3"]["value"], read.nodes["dict"]["done"], read.nodes["dict"]["depth"]) == (1.5, True, 2)


def test_mermaid_holds_no_character_of_a_thought_as_markup():
    lines = hostile().to_mermaid().splitlines()
    assert lines[0] == "flowchart TD"
    boxes = [line for line in lines if "[" in line]
    assert len(boxes) == len(HOSTILE) + 2
    assert all(re.fullmatch(r'  t\d+\["[^"<>\[\]`]*"\]', box) for box in boxes)
    assert all(re.fullmatch(r"  t\d+ --> t\d+", line) for line in lines[1:] if line not in boxes)


def test_dot_keeps_every_label_within_its_quotes():
    lines = hostile().to_dot().splitlines()
    assert (lines[0], lines[-1]) == ("digraph thoughts {", "}")
    text = r'"(?:[^"\\]|\\.)*"'
    assert all(re.fullmatch(rf"  {text} (\[label={text}(, style=bold)?\]|-> {text});", line) for line in lines[1:-1])
    assert '"dict" [label="{\\"a\\": [1, {\\"b\\": null}]}", style=bold];' in hostile().to_dot()
