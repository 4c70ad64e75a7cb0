#!/usr/bin/env python3
"""The deepest stack of each public call, compared with the table docs/stacks.md.

usage: stacks.py [--update] [--gcc FILE]

Fails when a public call has no row, when one is more than 10 % (and more than 64 bytes) deeper than
its row, or deeper than CEILING_BYTES. Shallower ones are reported, so that the table is made again
with --update. Depths of another compiler say nothing: then the test is skipped (status 77), after
the declarations and the ceiling have been checked.
"""
import argparse
import os
import re
import sys

import graph

TABLE = os.path.join(graph.ROOT, "docs", "stacks.md")
SKIPPED = 77
TOLERANCE, SLACK_BYTES = 0.10, 64
# Half of the 24 KiB that NT gives a thread's kernel stack on x64: the rest is for who calls the
# core, for the platform's operations, and for interrupts on top of them.
CEILING_BYTES = 12288
# Functions that call themselves or each other: how often each of them is on the stack at most.
RECURSIONS = {
    "core/section/prototype.c:free_below": (4, "PROTOTYPE_LEVELS_MAX"),
    "core/inspect/check_prototypes.c:check_table": (4, "PROTOTYPE_LEVELS_MAX"),
    "core/inspect/check_prototypes.c:check_table_out": (4, "PROTOTYPE_LEVELS_MAX"),
    "core/inspect/check_prototypes.c:count_entries": (4, "PROTOTYPE_LEVELS_MAX"),
    "core/inspect/check_tables.c:check_table": (5, "CHECK_LEVELS_MAX"),
    "core/inspect/check_tables.c:check_table_out": (5, "CHECK_LEVELS_MAX"),
    "core/inspect/check_tables.c:count_entries": (5, "CHECK_LEVELS_MAX"),
    "core/inspect/check_watch.c:check_node": (5, "WATCH_LEVELS"),
}
# Most paths end as this call's does.
TAIL = "ntmm_write_mapped_pages"

HEADING = """\
# The deepest stack of each public call

Made by `tests/tables/stacks.py --update`; the test `tables.stacks` (`ci/judges`) makes it again and
compares. Compiler: {compiler}.

The core is compiled with a kernel's flags and -O2, as the target ntmm_freestanding is. gcc writes
down the stack of each function after inlining and what it calls (`-fcallgraph-info=su`); the depth
of a call is the largest sum along any path, return addresses included. It is a bound, not a
measurement: some paths may never be taken, and a call in tail position counts as one that returns.
What pointers lead to, and how deep the few recursions go, is declared in `tests/tables/graph.py`
and `stacks.py`, and the declarations are checked against the objects.

Not counted: the platform's operations and the embedder's callbacks, memcpy and its three like, and
what an interrupt puts on top. The deepest place at which each platform operation is called is
below, for whoever writes one.

Bar: no call is deeper than {ceiling} bytes, half of what NT gives a thread's kernel stack on x64,
and none grows by more than 10 % without this table being made anew.

A path that goes on as another call's does ends in "...": after the name of that call, or after
mapped_writer_run as `{tail}` does.
"""


def callees_in_core(the_graph, state):
    return [c for c in the_graph.callees(state) if c[0] not in ("platform", graph.EMBEDDER)]


def components(the_graph, roots):
    """Strongly connected states, what they call before them (Tarjan's algorithm)."""
    index, low, stack, waiting, found = {}, {}, [], set(), []

    def visit(state):
        index[state] = low[state] = len(index)
        stack.append(state)
        waiting.add(state)
        for callee in callees_in_core(the_graph, state):
            if callee not in index:
                visit(callee)
                low[state] = min(low[state], low[callee])
            elif callee in waiting:
                low[state] = min(low[state], index[callee])
        if low[state] == index[state]:
            component = []
            while not component or component[-1] != state:
                component.append(stack.pop())
                waiting.discard(component[-1])
            found.append(component)

    for root in roots:
        if root not in index:
            visit(root)
    return found


class Condensed:
    """The components in an order in which each stands after what it calls, with their stacks."""

    def __init__(self, the_graph, roots, recursions):
        self.graph = the_graph
        self.components = components(the_graph, roots)
        self.number = {state: n for n, component in enumerate(self.components)
                       for state in component}
        used = set()
        self.own = [self.weigh(component, recursions, used) for component in self.components]
        for name in sorted(set(recursions) - used):
            raise graph.Undeclared(f"{name} does not call itself, but is declared to")

    def weigh(self, component, recursions, used):
        """(bytes, names): a function of a cycle counts as often as it may be on the stack."""
        is_cycle = len(component) > 1 or component[0] in callees_in_core(self.graph, component[0])
        size, names = 0, []
        for title, _ in reversed(component):
            name, times = graph.plain(title), 1
            if is_cycle:
                if name not in recursions:
                    raise graph.Undeclared(f"{name} calls itself, and nothing says how often")
                times = recursions[name][0]
                used.add(name)
            size += times * self.graph.functions[title].stack_bytes
            names.append(name.split(":")[-1] + (f" x {times}" if is_cycle else ""))
        return size, tuple(names)

    def callees(self, n):
        found = {self.number[callee] for state in self.components[n]
                 for callee in callees_in_core(self.graph, state)}
        return sorted(found - {n})

    def below(self):
        """{state: (bytes, path)}: the deepest stack of each, its own included."""
        deepest = []
        for n, (size, names) in enumerate(self.own):
            most = max((deepest[callee] for callee in self.callees(n)), default=(0, ()))
            deepest.append((size + most[0], names + most[1]))
        return {state: deepest[n] for state, n in self.number.items()}

    def above(self, roots):
        """{operation of the platform: (bytes, root)}: the deepest place at which it is called."""
        total = {}
        for name, root in roots:
            n = self.number[root]
            total[n] = max(total.get(n, (0, "")), (self.own[n][0], name))
        operations = {}
        for n in reversed(range(len(self.components))):
            if n not in total:
                continue
            size, name = total[n]
            for callee in self.callees(n):
                total[callee] = max(total.get(callee, (0, "")), (size + self.own[callee][0], name))
            for state in self.components[n]:
                for kind, what in self.graph.callees(state):
                    if kind == "platform":
                        operations[what] = max(operations.get(what, (0, "")), total[n])
        return operations


def measure(the_graph):
    """{name: (bytes, path)} of the public calls and completions; {operation: (bytes, name)}."""
    missing = [name for _, name in graph.public_calls() if not the_graph.titles(name)]
    if missing:
        raise graph.Undeclared("declared and defined nowhere: " + ", ".join(missing))
    calls = [(name, the_graph.root(name)) for _, name in graph.public_calls()]
    ends = [(name.removeprefix("core/"), the_graph.root(name)) for name in graph.COMPLETIONS]
    condensed = Condensed(the_graph, [root for _, root in calls + ends], RECURSIONS)
    deepest = condensed.below()
    return ({name: deepest[root] for name, root in calls},
            {name: deepest[root] for name, root in ends}, condensed.above(calls + ends))


def row_of(name, size, path):
    """A path that leads to a call's or to the mapped writer's is not repeated."""
    for n, step in enumerate(path[1:-1], 1):
        if step.startswith("ntmm_") or (step == "mapped_writer_run" and name != TAIL):
            return f"| `{name}` | {size} | {', '.join(path[1:n + 1])} ... |"
    return f"| `{name}` | {size} | {', '.join(path[1:])} |"


def table_of(calls, ends, operations, compiler):
    def deepest_first(rows):
        return [row_of(name, size, path)
                for name, (size, path) in
                sorted(rows.items(), key=lambda row: (-row[1][0], row[0]))]

    lines = [HEADING.format(compiler=compiler, ceiling=CEILING_BYTES, tail=TAIL)]
    lines += ["| call | bytes | deepest path |", "| --- | --- | --- |", *deepest_first(calls)]
    lines += ["", "## Completions", "", "What the platform calls when a transfer has ended "
              "(`ntmm_io.complete`), from any context.", "",
              "| completion | bytes | deepest path |", "| --- | --- | --- |", *deepest_first(ends)]
    lines += ["", "## Above the platform's operations", "",
              "Bytes of the core's stack when the operation is entered, at the deepest place that "
              "calls it.", "", "| operation | bytes | under |", "| --- | --- | --- |"]
    lines += [f"| `{name}` | {size} | `{call}` |"
              for name, (size, call) in sorted(operations.items())]
    return "\n".join(lines) + "\n"


def rows_of(text):
    """{name: bytes} of a table, and its compiler."""
    compiler = re.search(r"^compares\. Compiler: (.*)\.$", text, flags=re.M)
    rows = re.findall(r"^\| `(\S+)` \| (\d+) \|", text.split("## Above")[0], flags=re.M)
    return {name: int(size) for name, size in rows}, compiler and compiler[1]


def judge(expected, found):
    """Prints what differs; returns the names that fail."""
    failed = []
    for name in sorted(set(expected) | set(found)):
        before, now = expected.get(name), found.get(name)
        if before is None or now is None:
            print(f"{name}: {'only in the table' if now is None else 'not in the table'}")
            failed.append(name)
        elif now > before + max(SLACK_BYTES, before * TOLERANCE):
            print(f"{name}: {now} bytes deep, {before} in the table")
            failed.append(name)
        elif now < before - max(SLACK_BYTES, before * TOLERANCE):
            print(f"{name}: {now} bytes deep, {before} in the table: run stacks.py --update")
    return failed


def judge_ceiling(found):
    failed = sorted(name for name, size in found.items() if size > CEILING_BYTES)
    for name in failed:
        print(f"{name}: {found[name]} bytes deep, at most {CEILING_BYTES} are allowed")
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--update", action="store_true", help="write the table anew")
    parser.add_argument("--gcc", default="gcc")
    options = parser.parse_args()
    sys.setrecursionlimit(10000)
    compiler = graph.compiler_of(options.gcc)
    try:
        calls, ends, operations = measure(graph.build(options.gcc))
    except graph.Undeclared as error:
        print(error)
        return 1
    found = {name: size for name, (size, _) in {**calls, **ends}.items()}
    failed = judge_ceiling(found)
    if options.update:
        with open(TABLE, "w", encoding="utf-8") as file:
            file.write(table_of(calls, ends, operations, compiler))
        return 1 if failed else 0
    with open(TABLE, encoding="utf-8") as file:
        expected, of_compiler = rows_of(file.read())
    if of_compiler != compiler:
        print(f"skipped: the table is of {of_compiler}, this is {compiler}")
        return 1 if failed else SKIPPED
    failed += judge(expected, found)
    print(f"{len(found)} calls, the deepest {max(found.values())} bytes")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
