#!/usr/bin/env python3
"""Instruction counts of single operations, compared with the table expected.json.

usage: compare.py --faults
       compare.py [--update] [--valgrind FILE] --compiler ID SCENARIOS

Each scenario of the program SCENARIOS runs under callgrind; what is counted are the instructions
of the program and the library for one operation, libc's left out, since it chooses its code by the
processor. A count that is more than 5 % above the table's fails; one that is more than 5 % below
is reported, so that the table is made again with --update. Counts of another compiler say nothing:
then the test is skipped (status 77). Independent of the table, an operation among many regions
takes at most so many times the instructions of one among 10 (GROWTHS), and one of BARS at most
what the project asks for. --faults prints the table's kinds of fault as docs/performance.md shows
them; a test compares the two.
"""
import argparse
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "expected.json")
TOLERANCE = 0.05
SKIPPED = 77
GROWTHS = (
    ("allocate_free_10", "allocate_free_1000000", 3),
    ("query_10", "query_50000", 2.5),
    ("reserve_release_10", "reserve_release_50000", 4.7),
    ("reserve_release_anywhere_10", "reserve_release_anywhere_50000", 4.7),
    ("section_life_10", "section_life_1000", 2),
)
BARS = {
    "query_10": 250,
    "reserve_release_10": 900,
    "reserve_release_anywhere_10": 900,
    "protect_toggle": 900,
    "section_life_10": 4000,
    "copy_on_write_bare": 900,
}
# Kinds of fault, as docs/performance.md shows them: what it is, its scenario, among how many pages
# its instructions are shared. Where there is no fault, the call that takes its place.
FAULTS = (
    ("demand zero, a zeroed frame", "demand_zero_zeroed"),
    ("demand zero, a free frame", "demand_zero_free"),
    ("demand zero of a section of page files", "section_demand_zero"),
    ("demand zero, a write that is watched", "write_watch_fault"),
    ("transition, from the modified list", "soft_fault_modified"),
    ("transition, from standby", "soft_fault_standby"),
    ("hard, page file, a frame from standby", "hard_fault_standby"),
    ("hard, page file, a free frame", "hard_fault_free"),
    ("hard, a mapped file, one page", "file_read"),
    ("hard, a mapped file, a cluster of 8 pages", "file_read_cluster"),
    ("... of it, each page", "file_read_cluster", 8),
    ("hard, an image's page at its preferred address", "image_read"),
    ("hard, an image's page with an address to correct", "image_relocate"),
    ("prototype in memory", "view_fault_shared"),
    ("copy on write", "copy_on_write"),
    ("a clone's store to what its parent wrote", "clone_store"),
    ("make dirty", "make_dirty"),
    ("make dirty, with a slot", "make_dirty_with_slot"),
    ("make dirty, a page of a mapped file", "file_make_dirty"),
    ("guard page", "guard_fault"),
    ("guard page of a stack, which grows", "stack_growth"),
    ("access violation", "access_violation"),
    ("no fault: a frame mapped in a window of user physical pages", "window_map"),
    ("no fault: a large page allocated and released", "large_page_life"),
)


def faults_table(instructions):
    rows = [f"| {what} | `{name}` | {instructions[name] / (pages or [1])[0]:,.0f} |"
            for what, name, *pages in FAULTS]
    return "\n".join(["| fault | scenario | instructions |", "| --- | --- | --- |", *rows]) + "\n"


def own_instructions(text, program):
    """Instructions of `program` itself in a callgrind profile: its functions' self cost."""
    names, total, is_ours, is_call = {}, 0, False, False
    for line in text.splitlines():
        match = re.match(r"ob=\((\d+)\)(?: (.*))?$", line)
        if match:
            names.setdefault(match[1], match[2])
            is_ours = os.path.basename(names[match[1]] or "") == os.path.basename(program)
        elif line.startswith("calls="):
            is_call = True
        elif re.match(r"[+\-*\d]", line):
            if is_ours and not is_call:
                total += int(line.split()[1])
            is_call = False
    return total


def count(valgrind, program, name, operations):
    """Instructions an operation."""
    with tempfile.TemporaryDirectory() as folder:
        profile = os.path.join(folder, "profile")
        run = subprocess.run(
            [valgrind, "--tool=callgrind", "--instr-atstart=no", "--compress-pos=no",
             f"--callgrind-out-file={profile}", program, name],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if run.returncode != 0:
            sys.exit(f"{name} failed:\n{run.stdout}")
        with open(profile) as file:
            return round(own_instructions(file.read(), program) / operations, 1)


def count_all(valgrind, program):
    listed = subprocess.run([program, "--list"], stdout=subprocess.PIPE, text=True, check=True)
    scenarios = [line.split() for line in listed.stdout.splitlines()]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = pool.map(lambda s: count(valgrind, program, s[0], int(s[1])), scenarios)
        return dict(zip([name for name, _ in scenarios], counts))


def judge(expected, counts):
    """Prints the comparison; returns the names that fail."""
    failed = []
    for name in sorted(set(expected) | set(counts)):
        before, now = expected.get(name), counts.get(name)
        verdict = ""
        if before is None or now is None:
            verdict = "only in the table" if now is None else "not in the table"
            failed.append(name)
        elif now > before * (1 + TOLERANCE):
            verdict = f"grew by {100 * (now / before - 1):.1f} %"
            failed.append(name)
        elif now < before * (1 - TOLERANCE):
            verdict = f"shrank by {100 * (1 - now / before):.1f} %: run compare.py --update"
        print(f"{name:24} {before or '-':>10} {now or '-':>10}  {verdict}")
    return failed


def judge_growth(counts):
    """Prints what grows too much with the number of regions; returns the names."""
    failed = []
    for few, many, factor in GROWTHS:
        growth = counts[many] / counts[few]
        print(f"{many}: {growth:.2f} times {few}, {factor} are allowed")
        if growth > factor:
            failed.append(many)
    return failed


def judge_bars(counts):
    """Prints what the project asks for; returns the names that need more."""
    failed = []
    for name, bar in BARS.items():
        is_met = counts[name] <= bar
        print(f"{name}: {counts[name]:.0f} of {bar}: {'PASS' if is_met else 'MISS'}")
        if not is_met:
            failed.append(name)
    return failed


def main():
    if sys.argv[1:] == ["--faults"]:
        with open(TABLE) as file:
            print(faults_table(json.load(file)["instructions"]), end="")
        return 0
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--update", action="store_true", help="write the table anew")
    parser.add_argument("--valgrind", default="valgrind")
    parser.add_argument("--compiler", required=True, help="name, version and processor")
    parser.add_argument("program")
    options = parser.parse_args()

    table = {"compiler": None, "instructions": {}}
    if os.path.exists(TABLE):
        with open(TABLE) as file:
            table = json.load(file)
    if not options.update and table["compiler"] != options.compiler:
        print(f"skipped: the table is of {table['compiler']}, this is {options.compiler}")
        return SKIPPED

    if not os.access(options.program, os.X_OK):
        parser.error(f"{options.program}: no such program; build the target callgrind_scenarios")
    counts = count_all(options.valgrind, options.program)
    if options.update:
        with open(TABLE, "w") as file:
            json.dump({"compiler": options.compiler, "instructions": counts}, file, indent=2)
            file.write("\n")
    failed = judge(counts if options.update else table["instructions"], counts)
    failed += judge_growth(counts)
    failed += judge_bars(counts)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
