#!/usr/bin/env python3
"""The interrupt level of each public call: docs/levels.md, made from the docstrings.

usage: levels.py [--update] [--graph] [--gcc FILE]

Fails when a public call's docstring has no "Level:" line or the table is not what the docstrings
say; when a call of level APC does not begin with call_begin_to_wait (or call_may_wait), by which
debug builds know it, or another one does. With --graph the levels are compared with the call graph
of the core, too: who may reach the platform's wait, pump or submit is APC, who else may reach a
lock is DISPATCH, and nobody else is either but for CAUTIOUS.
"""
import argparse
import glob
import os
import re
import sys

import graph

TABLE = os.path.join(graph.ROOT, "docs", "levels.md")
HOSTED = ("cpu.h", "cpu_inline.h", "emulated.h", "snapshot.h")
LEVELS = ("APC", "DISPATCH", "any", "HIGH")
# Where a lock is waited for: whoever takes one calls it, or one of those that wait for (W).
LOCK_WAITS = {"lock_wait", "working_set_wait", "readers_wait"}
WAITS = {"wait", "pump", "submit"}
# Calls whose level is lower than the graph asks for.
CAUTIOUS = {
    "ntmm_check": "the embedder's reader may wait",
    "ntmm_check_with_storage": "the embedder's reader may wait",
}
HEADING = """\
# The interrupt level of each public call

Made from the docstrings in `core/include/ntmm` by `tests/tables/levels.py --update`.

Levels have NT's names (`enum ntmm_level` in `ntmm/platform.h`); a call may be made up to its level.

- **APC**: it may wait, in the platform's `wait` and `pump`, or for what its `submit` does, with no
  lock of the core's held. {APC} calls. Debug builds trap at the door of each when the port has
  `level` and says DISPATCH or above, whether the call would have waited or not (one that its
  arguments alone refuse may return first).
- **DISPATCH**: it never waits. It spins, for locks whose owners are at DISPATCH themselves, and for
  the shootdowns that they or it began; so the port's shootdown must reach a processor that spins at
  DISPATCH (`relax`). {DISPATCH} calls.
- **any**: it takes no lock. {any} calls.
- **HIGH**: it is made with interrupts off. {HIGH} calls.

All spin locks of the core are taken at the level that the port's `raise_level` raises to, DISPATCH.
What runs at that level because of the core: the platform's `zero`, `copy`, `compare`, `read`,
`write`, `invalidate`, `relax`, `wake`, `now`, `entropy`, `foreign_range`, `log`, `event`, and the
invalidation sink; none of them may wait. `wait`, `pump` and `submit` are called at the caller's
level, which is APC at most.

A completion (`ntmm_io.complete`) may be run up to DISPATCH: in a device's interrupt if
`raise_level` turns interrupts off. It takes (I), (F), (G), (L), (N) and (Q), never waits, and
begins no shootdown. An interrupt, the timer's for example, makes no call of level APC:
`ntmm_balance_set_manager` and `ntmm_write_modified_pages`, which submit transfers, belong to a
thread that it wakes; `ntmm_zero_free_pages` and the queries of level DISPATCH it may call itself.

What the levels say is checked three times: against the call graph of the core (`tables.levels` in
`ci/judges`), at the door of each call in debug builds (`test_levels`), and on the emulated machine
with NTMM_EMULATED_CHECK_LEVEL, which runs completions at DISPATCH and counts who waits there.

The calls of the emulated platform belong to threads of a hosted program; levels mean nothing there.
"""


def level_of(comment):
    found = re.findall(r"^ \* Level: (\w+)\.$", comment, flags=re.M)
    return found[0] if len(found) == 1 and found[0] in LEVELS else None


def locks_of(comment):
    """What a docstring says after "Locks:", on one line, without its source."""
    text = " ".join(line.strip().removeprefix("*").strip() for line in comment.split("\n"))
    match = re.search(r"\bLocks: (.*?)(?: Source: .*| Cost: .*)?\s*/?$", text)
    return match[1].strip() if match else ""


def table_of(calls):
    """The text of the table; calls: header, name, comment."""
    counts = {level: 0 for level in LEVELS}
    rows = []
    for header, name, comment in calls:
        level = level_of(comment)
        counts[level] += 1
        rows.append(f"| `{name}` | {header} | {level} | {locks_of(comment)} |")
    lines = [HEADING.format(**counts), "| call | header | level | locks and waits |",
             "| --- | --- | --- | --- |", *rows]
    return "\n".join(lines) + "\n"


def functions_of(text):
    """{name: body} of a C file laid out as this repository's are."""
    found = {}
    for match in re.finditer(r"^((?:\w[^\n;{}]*\n)+)\{\n(.*?)^\}", text, flags=re.S | re.M):
        signature = re.sub(r"__attribute__\(\(.*?\)\)", "", match[1])
        found[re.search(r"(\w+)\s*\(", signature)[1]] = match[2]
    return found


def check_doors(levels, files):
    """Calls whose door is not that of their level. files: {path: text} of the services."""
    wrong = []
    for path, text in files.items():
        functions = functions_of(text)
        doors = {name for name, body in functions.items()
                 if re.search(r"\bcall_(?:begin_to|may)_wait\(", body)}
        for name, body in functions.items():
            if name not in levels:
                continue
            called = set(re.findall(r"\b(\w+)\(", body))
            is_checked = name in doors or bool(called & doors - set(levels)) or any(
                levels.get(other) == "APC" for other in called)
            if is_checked != (levels[name] == "APC"):
                wrong.append(f"{path}: {name} is {levels[name]} and "
                             f"{'is' if is_checked else 'is not'} checked as APC")
    return wrong


def services():
    files = {}
    for floor in ("services", "user"):
        for path in sorted(glob.glob(os.path.join(graph.ROOT, "core", floor, "*.c"))):
            with open(path, encoding="utf-8") as opened:
                files[os.path.relpath(path, graph.ROOT)] = opened.read()
    return files


def reach(the_graph, root):
    """States below the root, and the platform's operations that they call."""
    seen, waiting, reached = {root}, [root], set()
    while waiting:
        for callee in the_graph.callees(waiting.pop()):
            if callee[0] == "platform":
                reached.add(callee[1])
            elif callee[0] != graph.EMBEDDER and callee not in seen:
                seen.add(callee)
                waiting.append(callee)
    return seen, reached


def level_in(the_graph, root):
    """The level that the graph allows."""
    seen, reached = reach(the_graph, root)
    if reached & WAITS:
        return "APC"
    return "DISPATCH" if any(title in LOCK_WAITS for title, _ in seen) else "any"


def check_graph(the_graph, levels):
    wrong = []
    for name, level in levels.items():
        allowed = level_in(the_graph, the_graph.root(name))
        if name in CAUTIOUS:
            allowed = "APC"
        if level != allowed:
            wrong.append(f"{name} is {level} by its docstring, {allowed} by what it calls")
    for name in graph.COMPLETIONS:
        for operation in reach(the_graph, the_graph.root(name))[1] & (WAITS | {"invalidate"}):
            wrong.append(f"{name}: a completion may reach the platform's {operation}")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--update", action="store_true", help="write the table anew")
    parser.add_argument("--graph", action="store_true", help="compare with the call graph")
    parser.add_argument("--gcc", default="gcc")
    options = parser.parse_args()
    calls = graph.public_docstrings(HOSTED)
    wrong = [f"{header}: {name} has no level" for header, name, comment in calls
             if level_of(comment) is None]
    if not wrong:
        text = table_of(calls)
        if options.update:
            with open(TABLE, "w", encoding="utf-8") as file:
                file.write(text)
        with open(TABLE, encoding="utf-8") as file:
            if file.read() != text:
                wrong.append("docs/levels.md is not what the docstrings say: levels.py --update")
        levels = {name: level_of(comment) for header, name, comment in calls
                  if header not in graph.PLATFORM_HEADERS}
        wrong += check_doors(levels, services())
        if options.graph:
            try:
                wrong += check_graph(graph.build(options.gcc), levels)
            except graph.Undeclared as error:
                wrong.append(str(error))
    print("\n".join(wrong) if wrong else f"{len(calls)} calls")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
