#!/usr/bin/env python3
"""Says how much of core/ the tests have taken, from what llvm-cov exports, and compares thresholds.

usage: llvm-cov export ... | coverage.py THRESHOLDS [--raise] [--missing FILE]...

A function of a header is compiled in many units. It counts once: a branch is taken if any of its
copies took it, a condition has shown its independent effect if it did so in any copy. A branch
in a macro counts at each place where the macro stands.

THRESHOLDS holds lines "branches PERCENT" and "mcdc PERCENT"; below one of them the status is 1.
--raise writes figures that are higher, rounded down to a half,
as what threads do differs from run to run. --missing FILE prints the branches
of that file which no test took, and the conditions without an independent effect.
"""
import collections
import json
import os
import sys

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
LOWEST = 25
EXPANSION = 1


def relative(path):
    return os.path.relpath(path, ROOT)


class File:
    """Counts of a file of core/, by place: a chain of spans from the file into macros."""

    def __init__(self):
        self.branches = {}  # place: [times true, times false]
        self.conditions = {}  # place of a decision: whether each condition has shown its effect

    def add_branch(self, place, true, false):
        counts = self.branches.setdefault(place, [0, 0])
        counts[0] += true
        counts[1] += false

    def add_decision(self, place, shown):
        old = self.conditions.setdefault(place, shown)
        self.conditions[place] = [a or b for a, b in zip(old, shown)]

    def branch_figures(self):
        return (sum((true > 0) + (false > 0) for true, false in self.branches.values()),
                2 * len(self.branches))

    def condition_figures(self):
        return (sum(map(sum, self.conditions.values())),
                sum(map(len, self.conditions.values())))


def place_of(function, expansions, number, span):
    """File and chain of spans, the outermost first."""
    chain = [tuple(span)]
    while number in expansions:
        number, outer = expansions[number]
        chain.insert(0, outer)
    return relative(function["filenames"][number]), tuple(chain)


def read_functions(functions):
    files = collections.defaultdict(File)
    for function in functions:
        expansions = {region[6]: (region[5], tuple(region[:4]))
                      for region in function["regions"] if region[7] == EXPANSION}
        for branch in function["branches"]:
            name, place = place_of(function, expansions, branch[6], branch[:4])
            files[name].add_branch(place, branch[4], branch[5])
        for record in function.get("mcdc_records", []):
            name, place = place_of(function, expansions, record[4], record[:4])
            files[name].add_decision(place, record[-1])
    return {name: file for name, file in files.items() if name.startswith("core/")}


def total(files, figures):
    pairs = [figures(file) for file in files]
    return sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)


def percent(covered, count):
    return 100.0 * covered / count if count else 100.0


def print_lowest(files):
    def missing(item):
        covered, count = item[1].branch_figures()
        return covered - count

    print(f"\nfiles with the most branches that no test takes, {LOWEST} at most:")
    print("missing  branches             mcdc  file")
    for name, file in sorted(files.items(), key=missing)[:LOWEST]:
        taken, branches = file.branch_figures()
        shown, conditions = file.condition_figures()
        if taken == branches:
            break
        print(f"{branches - taken:7}  {taken:4}/{branches:4} {percent(taken, branches):5.1f} %"
              f"  {shown:4}/{conditions:4}  {name}")


def print_missing(name, file):
    with open(os.path.join(ROOT, name)) as source:
        lines = source.read().splitlines()
    for place, (true, false) in sorted(file.branches.items()):
        line, column = place[0][:2]
        sides = [side for side, times in (("true", true), ("false", false)) if times == 0]
        if sides:
            print(f"{name}:{line}:{column}: never {' nor '.join(sides)}: {lines[line - 1].strip()}")
    for place, shown in sorted(file.conditions.items()):
        if not all(shown):
            line, column = place[0][:2]
            which = ", ".join(str(i + 1) for i, yes in enumerate(shown) if not yes)
            print(f"{name}:{line}:{column}: no effect of condition {which} of {len(shown)}")


def compare(path, figures, up):
    """The thresholds of path with figures; with up they rise to them."""
    with open(path) as file:
        lines = file.read().splitlines()
    status = 0
    for number, line in enumerate(lines):
        if not line or line.startswith("#"):
            continue
        name, threshold = line.split()
        figure, threshold = figures[name], float(threshold)
        if figure < threshold:
            print(f"{name}: {figure:.2f} % is below {threshold} %, the threshold of {path}")
            status = 1
        elif up and int(figure * 2) / 2 > threshold:
            lines[number] = f"{name} {int(figure * 2) / 2}"
    if up:
        with open(path, "w") as file:
            file.write("\n".join(lines) + "\n")
    return status


def main(arguments):
    thresholds, *rest = arguments
    wanted = [name for option, name in zip(rest, rest[1:]) if option == "--missing"]
    files = read_functions(json.load(sys.stdin)["data"][0]["functions"])
    for name in wanted:
        if name not in files:
            sys.exit(f"{name}: no file of core/ with branches")
        print_missing(name, files[name])
    if not wanted:
        print_lowest(files)
    branches = total(files.values(), File.branch_figures)
    conditions = total(files.values(), File.condition_figures)
    print(f"\ncore/, {len(files)} files: branches {branches[0]} of {branches[1]},"
          f" {percent(*branches):.2f} %; MC/DC {conditions[0]} of {conditions[1]},"
          f" {percent(*conditions):.2f} %")
    figures = {"branches": percent(*branches), "mcdc": percent(*conditions)}
    return compare(thresholds, figures, "--raise" in rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
