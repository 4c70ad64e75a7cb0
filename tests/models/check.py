"""Runs the models through spin: those of the core must hold, and those with a plant must not.

    check.py [--only TEXT] [--plant]

Each run is exhaustive: spin's verifier must say that it saw every state, without a bound reached.
--plant runs the models with one wrong step each, which spin must find. Exit status: 0, 1,
or 77 skipped because spin or the compiler is missing.
"""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import protocol
import steps

HERE = pathlib.Path(__file__).resolve().parent
LIMIT_SECONDS = 300
MEMORY_MEBIBYTES = 4096
# Of frames it takes a compiler longer to optimize than spin to search.
OPTIMIZATION = {"collided": "-O2", "frames": "-O0"}

ALL = "-DFAILURES=1 -DTRIMS -DTAKES -DDELETES"
PAGE = "-DTOUCHES=1 -DTRIMS -DWRITES"
ONE = f"{PAGE} -DONE_FRAME"
TWO = "-DTOUCHES=2 -DPAGES=2 -DSLOTS=2 -DACCESSES=1 -DTRIMS -DWRITES"
VIEWS = "-DTOUCHES=2 -DSHARED -DACCESSES=1 -DWRITES"
# model, options. LIVENESS: with the formula of the model, and every process fair.
RUNS = [
    ("collided", f"{ALL}"),
    ("collided", "-DFAULTERS=3 -DFAILURES=1 -DTAKES"),
    ("collided", "-DFAILURES=1 -DTAKES -DDELETES -DCANCELS=1"),
    ("collided", "-DFAILURES=1 -DTAKES -DPROTOTYPE"),
    ("collided", "-DFAULTERS=3 -DTAKES -DPROTOTYPE"),
    ("collided", "-DFAILURES=1 -DTAKES -DLIVENESS"),
    ("frames", f"{PAGE} -DTAKES -DREAD_FAILURES=1"),
    ("frames", f"{ONE} -DTAKES -DZEROES"),
    ("frames", f"{ONE} -DTAKES -DROWS -DACCESSES=1"),
    ("frames", f"{ONE} -DROWS -DFREES -DWRITE_FAILURES=1"),
    ("frames", f"{ONE} -DTAKES -DHOLDS"),
    ("frames", f"{ONE} -DTAKES -DOFFERS -DACCESSES=1"),
    ("frames", f"{ONE} -DROWS -DFLUSHES -DACCESSES=1"),
    ("frames", f"{VIEWS} -DONE_FRAME -DTAKES -DFLUSHES"),
    ("frames", f"{TWO} -DONE_FRAME"),
    ("frames", f"{TWO} -DONE_FRAME -DLIVENESS"),
]
# model, options, plant, what is broken by it.
PLANTS = [
    ("collided", ALL, "FAULT_WITHOUT_OWNER_LOCK", "assertion violated"),
    ("collided", ALL, "SEEN_READ_TOO_EARLY", "assertion violated"),
    ("collided", ALL, "FAILED_READ_STAYS", "assertion violated"),
    ("collided", ALL, "WAKE_BEFORE_DONE", "invalid end state"),
    ("collided", ALL, "NO_SECOND_LOOK", "assertion violated"),
    ("collided", ALL, "MAP_WHILE_READ", "assertion violated"),
    ("collided", ALL, "QUEUE_WITHOUT_LOOKING", "invalid end state"),
    ("collided", ALL, "DELETE_WHILE_READ", "assertion violated"),
    ("collided", "-DTAKES -DTRIMS", "TAKE_WITHOUT_FRAME_LOCK", "assertion violated"),
    ("collided", "-DTAKES", "LEAVE_BEFORE_LOOKING", "assertion violated .*had_page"),
    ("collided", "-DTAKES -DPROTOTYPE", "SHARE_WITHOUT_LOOKING", "assertion violated"),
    ("collided", "-DLIVENESS", "QUEUE_WITHOUT_LOOKING", "acceptance cycle"),
    ("frames", f"{PAGE} -DROWS", "STANDBY_NOT_LOOKED_AT_AGAIN", "assertion violated"),
    ("frames", f"{ONE} -DTAKES", "BUSY_NOT_LOOKED_AT_AGAIN", "assertion violated"),
    ("frames", f"{ONE} -DTAKES", "ENTRY_NOT_LOOKED_AT_AGAIN", "assertion violated"),
    ("frames", f"{ONE} -DTAKES", "NOT_ZEROED", "assertion violated .*wanted"),
    ("frames", f"{ONE} -DTAKES -DSLOTS=2", "STALE_SLOT_KEPT", "assertion violated"),
    ("frames", f"{ONE} -DTAKES", "CHANGED_PAGE_CLEAN", "assertion violated .*disk"),
    ("frames", f"{ONE} -DTAKES -DWRITE_FAILURES=1", "FAILURE_BELIEVED",
     "assertion violated .*disk"),
    ("frames", f"{ONE} -DROWS -DFLUSHES", "FLUSHED_ENTRY_DIRTY", "assertion violated"),
    ("frames", f"{ONE} -DFREES", "FREED_WHILE_WRITTEN", "assertion violated"),
    ("frames", f"{ONE} -DHOLDS", "HELD_PAGE_LISTED", "assertion violated"),
    ("frames", f"{ONE} -DOFFERS", "SLOT_FREED_WHILE_WRITTEN", "assertion violated"),
    ("frames", f"{ONE} -DTAKES -DOFFERS", "UNDONE_STAYS_CLEAN", "assertion violated"),
    ("frames", "-DTOUCHES=1 -DTAKES -DONE_FRAME", "WAKE_BEFORE_LISTED", "invalid end state"),
    ("frames", "-DTOUCHES=1 -DTAKES -DONE_FRAME", "LOOK_BEFORE_QUEUED", "invalid end state"),
]


class Verdict:
    """What the verifier of one model said."""

    def __init__(self, text, seconds):
        self.text = text
        self.seconds = seconds
        self.errors = int(re.search(r"errors: (\d+)", text)[1])
        self.states = int(re.search(r"(\d+) states, stored", text)[1])
        self.is_whole = not re.search(r"max search depth too small|out of memory|Search not compl",
                                      text)
        self.wrong = re.findall(r"^pan:\d+: (.*)$", text, re.MULTILINE)


def compile_and_run(folder, model, options):
    """The verdict of one model."""
    is_live = "-DLIVENESS" in options
    shutil.copy(HERE / f"{model}.pml", folder)
    (pathlib.Path(folder) / "frames.steps.h").write_text(steps.promela(steps.read()))
    (pathlib.Path(folder) / "collided.steps.h").write_text(protocol.promela(protocol.read()))
    began = time.monotonic()
    subprocess.run(["spin", "-a", *options, f"{model}.pml"], cwd=folder, check=True,
                   capture_output=True)
    flags = ["-DNFAIR=3"] if is_live else ["-DSAFETY", "-DNOCLAIM"]
    subprocess.run(["cc", OPTIMIZATION[model], "-w", "-DCOLLAPSE", f"-DMEMLIM={MEMORY_MEBIBYTES}",
                    *flags, "-o", "pan", "pan.c"], cwd=folder, check=True)
    run = ["./pan", "-m500000", *(["-a", "-f"] if is_live else [])]
    text = subprocess.run(run, cwd=folder, check=False, capture_output=True, text=True,
                          timeout=LIMIT_SECONDS).stdout
    return Verdict(text, time.monotonic() - began)


def verdict_of(model, options):
    """The same, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return compile_and_run(folder, model, options.split())


def check_runs(only):
    """Run what must hold; how many do not."""
    failures = 0
    for model, options in RUNS:
        if only not in model:
            continue
        verdict = verdict_of(model, options)
        holds = verdict.errors == 0 and verdict.is_whole
        print(f"{'holds ' if holds else 'BROKEN'} {model} {options}: {verdict.states} states, "
              f"{verdict.seconds:.1f} s", *verdict.wrong, flush=True)
        failures += not holds
    return failures


def check_plants(only):
    """Run what must be found; how many plants are missed."""
    failures = 0
    for model, options, plant, expected in PLANTS:
        if only not in model:
            continue
        verdict = verdict_of(model, f"{options} -DPLANT_{plant}")
        found = any(re.search(expected, line) for line in verdict.wrong)
        print(f"{'found ' if found else 'MISSED'} {model} {plant}: {verdict.seconds:.1f} s",
              *(line[:100] for line in verdict.wrong[:1]), flush=True)
        failures += not found
    return failures


def main():
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="models whose names hold this")
    parser.add_argument("--plant", action="store_true", help="plants, each of which is found")
    arguments = parser.parse_args()
    for tool in ("spin", "cc"):
        if not shutil.which(tool):
            print(f"skipped: {tool} is missing")
            return 77
    check = check_plants if arguments.plant else check_runs
    return 1 if check(arguments.only) else 0


if __name__ == "__main__":
    sys.exit(main())
