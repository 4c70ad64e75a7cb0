"""Tests of graph.py and stacks.py: what they sum up, and what they refuse."""
import pytest

import graph
import stacks


def node(title, size, kind="static", file="core/base/a.c"):
    return (f'node: {{ title: "{title}" label: "{title}\\n{file}:1:1\\n{size} bytes ({kind})\\n'
            '0 dynamic objects" }\n')


def edge(source, target, place="core/base/a.c:1:1"):
    return f'edge: {{ sourcename: "{source}" targetname: "{target}" label: "{place}" }}\n'


def read_source(file):
    return "    (void)platform->zero(context);\n    if (NTMM_SUCCEEDED(hook(context)))\n"


def graph_of(text, taken=()):
    return graph.Graph(graph.parse(text, read_source), set(taken))


@pytest.fixture(autouse=True)
def no_declarations(monkeypatch):
    for name in ("CALLS", "BINDS", "FIRST"):
        monkeypatch.setattr(graph, name, {})


def deepest(the_graph, name, recursions=None):
    root = the_graph.root(name)
    return stacks.Condensed(the_graph, [root], recursions or {}).below()[root]


def test_the_deepest_of_two_paths_counts():
    text = (node("a", 16) + node("b", 100) + node("c", 24) + node("d", 80) + edge("a", "b") +
            edge("a", "c") + edge("c", "d") + edge("c", "memcpy"))
    assert deepest(graph_of(text), "a") == (120, ("a", "c", "d"))


def test_a_copy_that_gcc_made_has_its_source_name():
    text = node("a", 16) + node("core/base/a.c:b.isra.0", 8) + edge("a", "core/base/a.c:b.isra.0")
    assert deepest(graph_of(text), "a") == (24, ("a", "b"))


def test_a_stack_without_bound_is_refused():
    with pytest.raises(graph.Undeclared, match="no bound"):
        graph_of(node("a", 16, "dynamic"))


def test_a_call_out_of_the_core_is_refused():
    with pytest.raises(graph.Undeclared, match="calls malloc"):
        deepest(graph_of(node("a", 16) + edge("a", "malloc")), "a")


def test_recursion_needs_a_bound_and_counts_that_often():
    text = node("a", 16) + node("b", 10) + edge("a", "b") + edge("b", "b")
    with pytest.raises(graph.Undeclared, match="b calls itself"):
        deepest(graph_of(text), "a")
    assert deepest(graph_of(text), "a", {"b": (5, "why")}) == (66, ("a", "b x 5"))
    with pytest.raises(graph.Undeclared, match="a does not call itself"):
        deepest(graph_of(text), "a", {"b": (5, "why"), "a": (2, "why")})


def test_what_the_platform_does_is_not_counted_but_where_it_is_called():
    text = node("a", 16) + node("b", 32) + edge("a", "b") + edge("b", "__indirect_call",
                                                                "core/base/a.c:1:11")
    the_graph = graph_of(text)
    assert deepest(the_graph, "a") == (48, ("a", "b"))
    roots = [("a", the_graph.root("a")), ("b", the_graph.root("b"))]
    condensed = stacks.Condensed(the_graph, [root for _, root in roots], {})
    assert condensed.above(roots) == {"zero": (48, "a")}


HOOK = (node("a", 16) + node("core/base/a.c:target", 100) +
        edge("a", "__indirect_call", "core/base/a.c:2:9"))


def test_a_call_through_a_pointer_is_declared(monkeypatch):
    with pytest.raises(graph.Undeclared, match=r"hook\(...\) is called and not declared"):
        graph_of(HOOK)
    monkeypatch.setattr(graph, "CALLS", {("core/base/a.c", "hook"): ("core/base/a.c:target",)})
    assert deepest(graph_of(HOOK), "a") == (116, ("a", "target"))
    with pytest.raises(graph.Undeclared, match="declared and not called"):
        graph_of(node("a", 16))


def test_each_function_whose_address_is_taken_is_declared():
    with pytest.raises(graph.Undeclared, match="address of core/base/a.c:b is taken"):
        graph_of(node("a", 16), {"core/base/a.c:b"})


def test_a_slot_holds_what_the_file_on_the_stack_put_there(monkeypatch):
    text = (HOOK + node("core/base/a.c:other", 200) + node("low", 8, file="core/base/low.c") +
            node("high", 8, file="core/base/high.c") + edge("low", "a") + edge("high", "a"))
    monkeypatch.setattr(graph, "CALLS", {("core/base/a.c", "hook"): "slot"})
    monkeypatch.setattr(graph, "BINDS", {"core/base/low.c": {"slot": ("core/base/a.c:target",)},
                                         "high": {"slot": ("core/base/a.c:other",)}})
    assert deepest(graph_of(text), "low") == (124, ("low", "a", "target"))
    assert deepest(graph_of(text), "high") == (224, ("high", "a", "other"))
    with pytest.raises(graph.Undeclared, match="nothing is bound"):
        deepest(graph_of(text), "a")


def test_growth_fails_and_so_does_a_call_without_a_row():
    assert stacks.judge({"a": 1000, "b": 1000, "c": 100}, {"a": 1101, "b": 1100, "c": 164}) == ["a"]
    assert stacks.judge({"a": 1}, {"b": 1}) == ["a", "b"]


def test_shrinking_is_reported_and_no_failure(capsys):
    assert stacks.judge({"a": 1000}, {"a": 899}) == []
    assert "--update" in capsys.readouterr().out


def test_nothing_is_deeper_than_the_ceiling():
    assert stacks.judge_ceiling({"a": stacks.CEILING_BYTES}) == []
    assert stacks.judge_ceiling({"a": stacks.CEILING_BYTES + 1}) == ["a"]


def test_a_table_is_read_as_it_is_written():
    text = stacks.table_of({"ntmm_a": (96, ("ntmm_a", "b")), "ntmm_c": (8, ("ntmm_c",))},
                           {"x.c:end": (40, ("end",))}, {"zero": (96, "ntmm_a")}, "GNU 1.2 z80")
    assert stacks.rows_of(text) == ({"ntmm_a": 96, "ntmm_c": 8, "x.c:end": 40}, "GNU 1.2 z80")


def test_the_public_calls_are_those_of_the_headers():
    calls = dict((name, header) for header, name in graph.public_calls())
    assert calls["ntmm_page_fault"] == "fault.h" and len(calls) > 100
    assert "ntmm_emulated_create" not in calls and "ntmm_freestanding_init" not in calls
