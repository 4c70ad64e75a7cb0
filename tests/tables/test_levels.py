"""The interrupt levels as the tree has them, and what levels.py sees when they are wrong."""
import levels
import graph
from test_stacks import edge, graph_of, no_declarations, node  # noqa: F401, used by name

CALLS = graph.public_docstrings(levels.HOSTED)
OF_CORE = {name: levels.level_of(comment) for header, name, comment in CALLS
           if header not in graph.PLATFORM_HEADERS}


def test_each_public_call_has_a_level_and_the_table_says_so():
    assert [name for _, name, comment in CALLS if levels.level_of(comment) is None] == []
    with open(levels.TABLE, encoding="utf-8") as file:
        assert file.read() == levels.table_of(CALLS)


def test_each_call_of_level_apc_is_checked_at_its_door():
    assert levels.check_doors(OF_CORE, levels.services()) == []


def door(name, line, signature="NTMM_API ntmm_status"):
    return f"{signature}\n{name}(struct ntmm_system *system)\n{{\n    {line}\n}}\n\n"


def test_a_door_that_is_missing_or_too_much_is_seen():
    checked, plain = "struct call c = call_begin_to_wait(system);", "struct call c = call_begin(s);"
    files = {"a.c": door("ntmm_a", checked) + door("ntmm_b", plain)}
    assert levels.check_doors({"ntmm_a": "APC", "ntmm_b": "DISPATCH"}, files) == []
    assert len(levels.check_doors({"ntmm_a": "DISPATCH", "ntmm_b": "DISPATCH"}, files)) == 1
    assert len(levels.check_doors({"ntmm_a": "APC", "ntmm_b": "APC"}, files)) == 1
    files = {"a.c": door("change", checked, "static ntmm_status") + door("ntmm_a", "change(s);")}
    assert levels.check_doors({"ntmm_a": "APC"}, files) == []
    files = {"a.c": door("ntmm_a", "return ntmm_b(system);")}
    assert levels.check_doors({"ntmm_a": "APC", "ntmm_b": "APC"}, files) == []
    assert len(levels.check_doors({"ntmm_a": "APC", "ntmm_b": "DISPATCH"}, files)) == 1


def test_a_docstring_has_one_level():
    assert levels.level_of("/**\n * What.\n * Level: APC.\n * Locks: none.\n */") == "APC"
    assert levels.level_of("/**\n * What.\n */") is None
    assert levels.level_of("/**\n * Level: APC.\n * Level: any.\n */") is None
    assert levels.level_of("/**\n * Level: ACP.\n */") is None


def test_locks_are_told_on_one_line_without_their_source():
    assert levels.locks_of("/**\n * A.\n * Locks: takes (A),\n * (W). Source: ours.\n */") == \
        "takes (A), (W)."
    assert levels.locks_of("/**\n * A.\n */") == ""


def test_levels_follow_from_what_is_called():
    waits = edge("wait", "__indirect_call", "core/base/a.c:1:11")
    text = node("a", 8) + node("wait", 8) + node("lock_wait", 8) + waits
    text += node("b", 8) + edge("a", "wait") + edge("b", "lock_wait")
    the_graph = graph_of(text)
    assert levels.level_in(the_graph, the_graph.root("b")) == "DISPATCH"
    assert levels.level_in(the_graph, the_graph.root("lock_wait")) == "DISPATCH"
    assert levels.level_in(the_graph, the_graph.root("a")) == "any"  # its operation is zero
    levels.WAITS.add("zero")
    assert levels.level_in(the_graph, the_graph.root("a")) == "APC"
    levels.WAITS.remove("zero")
