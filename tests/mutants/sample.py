#!/usr/bin/env python3
"""Draws mutants of core/ by seed and sees how many the tests kill: a score with its interval.

usage: tests/mutants/sample.py [--seed N] [--count N] [--jobs N] [--seconds N] [--anew] [--retry]
       tests/mutants/sample.py --report

Each function of core/*/*.c (not of headers, nor of the freestanding platform) gives places at which
one thing can be changed (tests/mutants/sites.py). Of all of them --count are drawn, as many of each
floor and kind of change as it has of the whole, in an order that is random too: so a part of the
results is a sample as well. A mutant is killed when one of the quick C tests that reach its line
(tests/mutants/reach.py) fails or hangs within 60 seconds of processor time; one whose line no test
reaches has survived. For one that does not compile, or compiles to the same object with -O1 or
-O2, another of the same floor and kind is drawn.

Results are added to --results (tests/mutants/sample.txt) one by one, and a second run goes on after
the last. Builds and what tests reach are kept in --build (build/mutants-sample, build/coverage).
"""
import argparse
import collections
import concurrent.futures
import hashlib
import json
import pathlib
import random
import re
import shutil
import subprocess
import sys
import threading
import time

import reach
import results
import run
import sites
import world

BUDGET = 60  # seconds of processor time for the tests of one mutant
CLANG = ["-std=c11", "-Icore", "-Icore/include", "-D_GNU_SOURCE", "-DNTMM_DEBUG=1",
         "-DNTMM_BUILDING=1", "-w", "-fsyntax-only", "-Xclang", "-ast-dump=json"]


def sources():
    paths = [*run.ROOT.glob("core/*/*.c"), *run.ROOT.glob("core/platform/emulated/*.c")]
    return sorted(str(path.relative_to(run.ROOT)) for path in paths)


def digest_of_core():
    digest = hashlib.sha256()
    for path in sorted(run.ROOT.glob("core/**/*.[ch]")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def read_file(name):
    tree = subprocess.run([reach.tool("clang"), *CLANG, name], cwd=run.ROOT, check=True,
                          capture_output=True).stdout
    return sites.sites_of(name, json.loads(tree), (run.ROOT / name).read_bytes())


def all_sites(folder):
    """Every site of core/, from folder/sites.json if it is of this core."""
    path, digest = folder / "sites.json", digest_of_core()
    known = json.loads(path.read_text()) if path.exists() else {}
    if known.get("digest") != digest:
        found, calls = [], collections.defaultdict(set)
        for name in sources():
            of_file, names = read_file(name)
            found += of_file
            for function, callers in names.items():
                calls[function] |= callers
        left_out = sites.called_by_assertions_alone(calls)
        known = {"digest": digest,
                 "sites": [site for site in found if site.function not in left_out]}
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(known))
    return [sites.Site(*site) for site in known["sites"]]


def shares(sizes, count):
    """How many of `count` each stratum gives, in proportion, by the largest remainders."""
    total = sum(sizes.values())
    count = min(count, total)
    exact = {key: count * size / total for key, size in sizes.items()}
    given = {key: int(value) for key, value in exact.items()}
    rest = sorted(exact, key=lambda key: (given[key] - exact[key], key))
    for key in rest[:count - sum(given.values())]:
        given[key] += 1
    return given


def draw(found, seed, count):
    """A list of slots in random order; each is a list of sites to try, one after another."""
    strata = collections.defaultdict(list)
    for site in sorted(found):
        strata[results.floor_of(site.file), site.operator].append(site)
    slots = []
    given = shares({key: len(members) for key, members in strata.items()}, count)
    for key, members in sorted(strata.items()):
        random.Random(f"{seed} {key}").shuffle(members)
        slots += [members[first::given[key]] for first in range(given[key])]
    random.Random(f"{seed} order").shuffle(slots)
    return slots


def is_near(test, name):
    """Whether a test's name says that it is about the file, or its floor."""
    path = pathlib.PurePath(name)
    words = set(re.split(r"[_.]", test))
    return bool(words & {path.parent.name, *path.stem.split("_")})


class Judge:
    """Judges sites; several threads may."""

    def __init__(self, place, reached, budget):
        self.world, self.budget = place, budget
        self.by_line = reach.tests_by_line(reached)
        self.seconds = {name: known["seconds"] for name, known in reached.items()}
        self.lock = threading.Lock()

    def tests_for(self, site):
        names = self.by_line.get((site.file, site.line), [])
        if names:
            names = {*names, *world.EVERYWHERE} & set(self.world.tests)
        return sorted(names, key=lambda name: (
            self.seconds[name] / (10 if is_near(name, site.file) else 1), name))

    def judge(self, site, folder):
        """(verdict, what happened)."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        mutant = world.Mutant(self.world, site, folder)
        verdict = mutant.make()
        if verdict == "broken":
            return verdict, "does not compile"
        if verdict == "equivalent":
            return verdict, "the same object with -O1"
        names = self.tests_for(site)
        verdict, what = self.run_tests(mutant, names)
        if verdict == "survived" and mutant.is_same_optimized():
            return "equivalent", "the same object with -O2"
        return verdict, what

    def run_tests(self, mutant, names):
        spent, ran = 0.0, 0
        for name in names:
            if spent > self.budget:
                return "survived", f"{ran} of {len(names)} tests in {self.budget:.0f} s"
            reason, seconds = mutant.try_test(name, self.seconds[name])
            spent += seconds
            ran += 1
            if reason and self.is_sound(name):
                return "killed", f"{name} {reason}"
        return "survived", f"{ran} tests" if names else "no test reaches it"

    def is_sound(self, name):
        """Whether the test passes without a mutant, which is seen when it first fails with one."""
        with self.lock:
            return self.world.is_sound(name)


class Run:
    def __init__(self, judge, slots, path, folder):
        self.judge, self.slots, self.path, self.folder = judge, slots, path, folder
        self.lock = threading.Lock()
        self.known = results.read(path)

    def note(self, line):
        with self.lock:
            with open(self.path, "a") as file:
                file.write(line + "\n")
            print(line, flush=True)

    def is_open(self, number):
        return number not in self.known or self.known[number].verdict not in results.COUNTED

    def slot(self, number, until):
        """Tries the sites of a slot until one counts; leaves when the time is up."""
        known = self.known.get(number)
        for attempt in range(known.attempt + 1 if known else 0, len(self.slots[number])):
            if time.monotonic() > until:
                return
            site = self.slots[number][attempt]
            verdict, what = self.judge.judge(site, self.folder / f"slot{number}")
            shutil.rmtree(self.folder / f"slot{number}", ignore_errors=True)
            self.note(results.format_result(number, attempt, verdict, site, what))
            if verdict in results.COUNTED:
                return

    def all(self, jobs, until):
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            numbers = [n for n in range(len(self.slots)) if self.is_open(n)]
            list(pool.map(lambda number: self.slot(number, until), numbers))

    def retry(self, until):
        """Those that survived once more, with the tests of today."""
        for number, known in sorted(self.known.items()):
            if known.verdict != "survived" or time.monotonic() > until:
                continue
            site = self.slots[number][known.attempt]
            verdict, what = self.judge.judge(site, self.folder / f"slot{number}")
            line = results.format_result(number, known.attempt, verdict, site, what)
            results.replace(self.path, known, line)
            print(line, flush=True)


def begin_file(path, seed, count, is_anew=False):
    """The first line says what was drawn; a file of another draw is refused, or begun anew."""
    first = f"# seed {seed}, {count} mutants, core {digest_of_core()}"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or is_anew and path.read_text().split("\n")[0] != first:
        path.write_text(first + "\n")
    if path.read_text().split("\n")[0] != first:
        sys.exit(f"{path} does not begin with: {first}\nGive another --results, or delete it.")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--jobs", type=int, default=1, help="mutants at once")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no mutant after these")
    parser.add_argument("--budget", type=float, default=BUDGET,
                        help="seconds of processor time for the tests of one mutant")
    parser.add_argument("--anew", action="store_true",
                        help="replace results of another draw or another core")
    parser.add_argument("--retry", action="store_true", help="judge survivors again")
    parser.add_argument("--report", action="store_true", help="print figures and survivors")
    parser.add_argument("--build", type=pathlib.Path,
                        default=run.ROOT / "build/mutants-sample")
    parser.add_argument("--results", type=pathlib.Path,
                        default=run.ROOT / "tests/mutants/sample.txt")
    arguments = parser.parse_args()
    arguments.build = arguments.build.resolve()
    until = time.monotonic() + arguments.seconds
    if not arguments.report:
        begin_file(arguments.results, arguments.seed, arguments.count, arguments.anew)
        slots = draw(all_sites(arguments.build), arguments.seed, arguments.count)
        place = world.World(arguments.build)
        place.prepare()
        judge = Judge(place, reach.table(arguments.build),
                      arguments.budget)
        job = Run(judge, slots, arguments.results, arguments.build)
        if arguments.retry:
            job.retry(until)
        else:
            job.all(arguments.jobs, until)
    print("\n".join(results.report(arguments.results)))


if __name__ == "__main__":
    main()
