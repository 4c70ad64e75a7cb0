#!/usr/bin/env python3
"""The longest hold of each spin lock in instructions, compared with the table docs/locks.md.

usage: locks.py [--update] [--gcc FILE] [--keep FOLDER]

The core is compiled to assembly with r15 reserved, and each of its basic blocks begins with an
addition of the block's length to r15 (LEA, which leaves the flags alone). holds/scenario.c runs
public calls, on PAGES pages, on four times as many, and with four times the RAM; holds/trace.c
keeps the longest hold for each kind of lock and each label of the scenario.

Fails when a lock has no row, when its longest hold, or that of a row of the table of what grows, is
more than 25 % longer than its row, when something grows that the table does not list, and when a
lock that is everybody's grows at all. The counts of another compiler say nothing: then the test is
skipped (status 77), after that last.
"""
import argparse
import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import tempfile

import graph

TABLE = os.path.join(graph.ROOT, "docs", "locks.md")
HOLDS = os.path.join("tests", "tables", "holds")
SKIPPED = 77
TOLERANCE, SLACK = 0.25, 50
GROWS = 1.5
PAGES, RAM_MEBIBYTES, FACTOR = 1024, 64, 4
FLAGS = ("-std=gnu11 -O2 -g1 -ffixed-r15 -fno-pie -fno-stack-protector -fcf-protection=none "
         "-fno-asynchronous-unwind-tables -U_FORTIFY_SOURCE -Icore -Icore/include -Itests "
         "-DNTMM_BUILDING=1 -DNDEBUG -DNTMM_TRACE_LOCKS").split()
LOCKS = ["(A) regions of a process", "(W) working set", "(O) objects", "(X) a control area",
         "(I) a page of relocations", "(D) process table", "(S) a slab class", "(F) a frame",
         "(G) a page file", "(L) a page list", "(P) a processor's frames", "(N) a node",
         "(Q) waits and blocks"]
JUMPS = re.compile(r"\t(?:j\w+|ret|call|jmp|ud2|syscall)\b")


def blocks_of(assembly):
    """The assembly with a count at the beginning of each basic block."""
    out, block, counted, is_code = [], None, 0, True

    def close():
        nonlocal block, counted
        if block is not None and counted:
            out[block] = f"\tleaq\t{counted}(%r15), %r15"
        block, counted = None, 0

    for line in assembly.split("\n"):
        if re.match(r"\t\.(?:text|section)\b", line):
            close()
            is_code = line.startswith("\t.text") or ".text" in line
        elif re.match(r"[\w.$]+:", line):
            close()
        elif is_code and re.match(r"\t[a-z]", line):
            if block is None:
                block = len(out)
                out.append("")
            counted += 1
            line = re.sub(r"^(\t(?:call|jmp)\t)(mem(?:cpy|move|set|cmp))$", r"\1counted_\2", line)
            if JUMPS.match(line):
                out.append(line)
                close()
                continue
        out.append(line)
    close()
    return "\n".join(out)


def compile_counted(gcc, source, target):
    run = subprocess.run([gcc, *FLAGS, "-S", source, "-o", target + ".s"], cwd=graph.ROOT,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if run.returncode == 0:
        with open(target + ".s", encoding="utf-8") as file:
            text = blocks_of(file.read())
        with open(target + ".s", "w", encoding="utf-8") as file:
            file.write(text)
        run = subprocess.run([gcc, "-c", target + ".s", "-o", target + ".o"],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if run.returncode != 0:
        sys.exit(f"{source} does not compile:\n{run.stdout}")


def compile_plain(gcc, source, target):
    run = subprocess.run([gcc, *FLAGS, "-c", source, "-o", target + ".o"], cwd=graph.ROOT,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if run.returncode != 0:
        sys.exit(f"{source} does not compile:\n{run.stdout}")


def build(gcc, folder):
    """The program in the folder: its path."""
    plain = [os.path.relpath(path, graph.ROOT) for pattern in
             ("core/platform/emulated/*.c", "tests/unit/machine.c",
              "tests/unit/pe_write.c", HOLDS + "/*.c")
             for path in sorted(glob.glob(os.path.join(graph.ROOT, pattern)))]
    jobs = [(compile_counted, source) for source in graph.sources()]
    jobs += [(compile_plain, source) for source in plain]

    def run(job):
        compile_one, source = job
        target = os.path.join(folder, source.replace("/", "_")[:-2])
        is_done = os.path.exists(target + ".o") and os.path.getmtime(target + ".o") > \
            os.path.getmtime(os.path.join(graph.ROOT, source))
        if not is_done:
            compile_one(gcc, source, target)
        return target + ".o"
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(run, jobs))
    program = os.path.join(folder, "holds")
    subprocess.run([gcc, "-no-pie", *objects, "-o", program, "-lcmocka", "-pthread"], check=True)
    return program


def measure(program, pages, ram_mebibytes):
    """{(lock, label): (instructions, address of taking, address of releasing)}"""
    run = subprocess.run([program, str(pages), str(ram_mebibytes)], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True)
    if run.returncode != 0:
        sys.exit(f"the scenario failed:\n{run.stdout}")
    found = {}
    for match in re.finditer(r"^hold (\d+) (\d+) (\d+) (\S+) (\S+) (.*)$", run.stdout, flags=re.M):
        if match[6] != "set-up":
            places = [f"{int(place, 16) - 1:#x}" for place in match.group(4, 5)]  # in the calls
            found[LOCKS[int(match[1])], match[6]] = (int(match[2]), *places)
    return found


def functions_at(program, addresses):
    """{address: the function that takes or releases, past the wrappers of locks}"""
    addresses = sorted(addresses)
    lines = subprocess.run(["addr2line", "-fia", "-e", program, *addresses], check=True,
                           stdout=subprocess.PIPE, text=True).stdout.split("\n")
    found, key = {}, None
    for line in lines:
        if line.startswith("0x"):
            key = addresses[len(found)]
            found[key] = []
        elif re.fullmatch(r"\w+(?:\.\w+)*", line):
            found[key].append(graph.plain(line))
    wrapper = re.compile(r"(?:.*_)?(?:un)?lock(?:_\w+)?$|lock_\w+$|leave_and_unlock$")
    return {key: next((name for name in names if not wrapper.match(name)), names[-1])
            for key, names in found.items()}


HEADING = """\
# The longest hold of each spin lock

Made by `tests/tables/locks.py --update`; the test `tables.locks` (`ci/judges`) measures again and
compares. Compiler: {compiler}.

What is counted: instructions of the core between taking a lock and releasing it, compiled with -O2,
where one register (r15) holds the count and belongs to nobody else. Each basic block adds its
length, so a hold is exact to within the blocks at its ends. callgrind, run over the same program,
counts less than 0.4 % more in the whole core, mostly what REP repeats. memset and its like count
one for each 8 bytes. Not counted: what the platform does meanwhile, a shootdown under (W) or the
bytes of a page; that is the port's. One thread, so nobody waits.

The scenario (`tests/tables/holds/scenario.c`) makes public calls on {pages} pages with {ram} MiB
of RAM, on {factor} times as many, and with {factor} times the RAM; the longest of the three counts.
Not varied: how many processes there are (D), objects and names (O), and waits (Q).

Bar: no hold becomes more than 25 % longer, and nothing else grows, without this table being made
anew. (A) and (W) belong to a process, (X), (I) and (G) to an object; the others are everybody's,
so all processors may wait for what they are held for, and none of them may grow. Commit (C) is
words without a lock.

"""
OWNED = ("(A)", "(W)", "(X)", "(I)", "(G)")  # held against one process, or one object
BOUNDS = {
    "(A)": "nothing: the pages of the call",
    "(W)": "nothing: the pages of the call",
    "(X)": "nothing: the pages of the area that are purged, flushed or ended",
    "(I)": "the fixups of a page: 500 here",
    "(S)": "the objects of a slab's page",
    "(F)": "one frame",
    "(G)": "the pages of one write",
    "(L)": "one frame",
    "(P)": "128 frames",
    "(N)": "a large page, 512 frames; 64 frames that are freed",
}
GROWTH = """\

## What grows

Holds that are more than {times} times as long on {factor} times the pages, or with {factor} times
the RAM. They are known faults: a processor that waits for such a lock spins at DISPATCH for as
long, and the one that holds it is not interrupted by what the port keeps out there. A call over a
range keeps (A) and (W) from its first page to its last, so that it happens as a whole and with one
shootdown. Who needs short holds makes calls of few pages: the counts are linear in them.
"""


def grown(before, after):
    """Keys whose hold is more than GROWS times as long."""
    return {key for key in before if key in after
            and after[key][0] > before[key][0] * GROWS + SLACK}


def rows(program, base, large, wide):
    """Rows of the two tables: [lock, longest, label, taken in], [lock, label, base, large, wide]"""
    every = {}
    for run in (base, large, wide):
        for key, hold in run.items():
            if hold[0] >= every.get(key, (-1,))[0]:
                every[key] = hold
    names = functions_at(program, {address for hold in every.values() for address in hold[1:]})
    longest = []
    for lock in LOCKS:
        holds = [(hold, label) for (of, label), hold in every.items() if of == lock]
        if holds:
            hold, label = max(holds)
            longest.append((lock, hold[0], label, names[hold[1]], names[hold[2]]))
    growing = [(lock, label, base[lock, label][0], large[lock, label][0],
                wide.get((lock, label), (0,))[0])
               for lock, label in sorted(grown(base, large) | grown(base, wide),
                                         key=lambda key: (LOCKS.index(key[0]), key[1]))]
    return longest, growing


def table_of(longest, growing, compiler):
    text = HEADING.format(compiler=compiler, pages=PAGES, ram=RAM_MEBIBYTES, factor=FACTOR)
    lines = ["| lock | longest hold | in | taken in | released in | bounded by |",
             "| --- | --- | --- | --- | --- | --- |"]
    lines += [f"| {lock} | {most} | {label} | `{taken}` | `{released}` | "
              f"{BOUNDS.get(lock[:3], 'does not grow here')} |"
              for lock, most, label, taken, released in longest]
    text += "\n".join(lines) + "\n" + GROWTH.format(times=GROWS, factor=FACTOR)
    lines = ["", f"| lock | in | {PAGES} pages | {PAGES * FACTOR} pages | {FACTOR} times the RAM |",
             "| --- | --- | --- | --- | --- |"]
    lines += [f"| {lock} | {label} | {small} | {large} | {wide} |"
              for lock, label, small, large, wide in growing]
    return text + "\n".join(lines) + "\n"


def read_table(text):
    """{lock: longest}, {(lock, label): most}, the compiler."""
    first, second = text.split("## What grows")
    compiler = re.search(r"^compares\. Compiler: (.*)\.$", first, flags=re.M)
    longest = {row[0]: int(row[1]) for row in re.findall(r"^\| (\(.*?) \| (\d+) \|", first,
                                                         flags=re.M)}
    growing = {(row[0], row[1]): max(map(int, row[2:])) for row in re.findall(
        r"^\| (\(.*?) \| (.*?) \| (\d+) \| (\d+) \| (\d+) \|$", second, flags=re.M)}
    return longest, growing, compiler and compiler[1]


def judge_shared(longest, growing):
    """Prints locks that are never taken, and those of everybody that grow; returns how many."""
    missing = [lock for lock in LOCKS if lock not in {row[0] for row in longest}]
    shared = [row for row in growing if not row[0].startswith(OWNED)]
    for lock in missing:
        print(f"{lock}: the scenario never takes it")
    for row in shared:
        print(f"{row[0]}, {row[1]}: everybody's lock is held longer for more: {row[2:]}")
    return len(missing) + len(shared)


def judge(expected, found, what):
    """Prints what is longer or has no row; returns how many."""
    failed = 0
    for key in sorted(found):
        name = key if isinstance(key, str) else ", ".join(key)
        if key not in expected:
            print(f"{what}: {name}: {found[key]} instructions, and no row")
            failed += 1
        elif found[key] > expected[key] * (1 + TOLERANCE) + SLACK:
            print(f"{what}: {name}: {found[key]} instructions, {expected[key]} in the table")
            failed += 1
    for key in sorted(set(expected) - set(found)):
        name = key if isinstance(key, str) else ", ".join(key)
        print(f"{what}: {name}: only in the table: run locks.py --update")
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--update", action="store_true", help="write the table anew")
    parser.add_argument("--gcc", default="gcc")
    parser.add_argument("--keep", help="a folder for the objects; what is newer than its "
                        "source, headers apart, is not compiled again")
    options = parser.parse_args()
    compiler = graph.compiler_of(options.gcc)
    with tempfile.TemporaryDirectory() as folder:
        program = build(options.gcc, options.keep or folder)
        base = measure(program, PAGES, RAM_MEBIBYTES)
        large = measure(program, PAGES * FACTOR, RAM_MEBIBYTES)
        wide = measure(program, PAGES, RAM_MEBIBYTES * FACTOR)
        longest, growing = rows(program, base, large, wide)
    failed = judge_shared(longest, growing)
    if options.update:
        with open(TABLE, "w", encoding="utf-8") as file:
            file.write(table_of(longest, growing, compiler))
        return 1 if failed else 0
    with open(TABLE, encoding="utf-8") as file:
        of_locks, of_growth, of_compiler = read_table(file.read())
    if of_compiler != compiler:
        print(f"skipped: the table is of {of_compiler}, this is {compiler}")
        return 1 if failed else SKIPPED
    failed += judge(of_locks, {row[0]: row[1] for row in longest}, "longest")
    failed += judge(of_growth, {row[:2]: max(row[2:]) for row in growing}, "grows")
    print(f"{len(longest)} locks, {len(growing)} growing holds")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
