#!/usr/bin/env python3
"""Run the unit tests of one port and count them.

usage: run.py TARGET BUILD [EMULATOR...]    run what ci/ports built below BUILD
       run.py --left-out TARGET             the programs that the target leaves out

With NTMM_PORTS_LONG, a number of seconds, in the environment nothing is left out for being too
long, and only what is else left out for that runs, until those seconds are over; what has not
ended then is counted and has not failed.

Each program ends with the line that tests/ports/cmocka prints, "NAME: N passed, N failed, N
skipped", and with status 0; one without that line has failed. Before any of them runs, self_test
shows that a failed assertion is seen through the emulator.

skips.txt says what a target leaves out: "TARGETS | TEST | REASON", a line each; TARGETS are names
with commas between them, TEST is a program, or one test of it: PROGRAM.NAME.
"""
import concurrent.futures
import os
import pathlib
import re
import resource
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
SECONDS_OF_PROGRAM = 300
SECONDS_OF_LONG = int(os.environ.get("NTMM_PORTS_LONG", "0"))
BEGAN = time.monotonic()
COUNTS = re.compile(r"^.*: (\d+) passed, (\d+) failed, (\d+) skipped\s*$", re.MULTILINE)


def is_long(reason):
    return reason.startswith("too long")


def listed(target):
    """What skips.txt has of the target: program, or program and test, to reason."""
    reasons = {}
    for line in (HERE / "skips.txt").read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        targets, what, reason = (part.strip() for part in line.split("|", 2))
        program, _, test = what.partition(".")
        source = HERE.parent / "unit" / f"{program}.c"
        if not source.exists() or not re.search(rf"\b{test}\b", source.read_text()):
            sys.exit(f"skips.txt: there is no {what}")
        if target in targets.split(","):
            reasons[what] = reason
    return reasons


def left_out(target):
    """What the target does not run."""
    return {what: reason for what, reason in listed(target).items()
            if not (SECONDS_OF_LONG and is_long(reason))}


def limit():
    """How long a program may take that begins now."""
    if SECONDS_OF_LONG:
        return max(BEGAN + SECONDS_OF_LONG - time.monotonic(), 0.1)
    return SECONDS_OF_PROGRAM


def chosen(target, programs):
    """Those of the programs that are to run."""
    long = {what.split(".")[0] for what, reason in listed(target).items() if is_long(reason)}
    return [program for program in programs if not SECONDS_OF_LONG or program.stem in long]


def run(emulator, program, *arguments, skip=()):
    """The exit status and the output; status None: it did not come to an end."""
    environment = {**os.environ, "NTMM_PORTS_SKIP": ",".join(skip)}
    try:
        done = subprocess.run([*emulator, program, *arguments], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment,
                              timeout=limit(), check=False, cwd=program.parent)
        return done.returncode, done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as late:
        return None, (late.stdout or b"").decode(errors="replace")


def counts(output):
    """Tests passed, failed, skipped; None without a closing line."""
    found = COUNTS.findall(output)
    return [sum(map(int, column)) for column in zip(*found)] if found else None


def check_self_test(emulator, program):
    """End the script unless every assertion that must fail does, and its program with it."""
    status, output = run(emulator, program, skip=["nothing_so", "named"])
    number = re.match(r"(\d+) assertions fail", output)
    if status != 0 or not number or counts(output) != [1, 0, 2]:
        sys.exit(f"self_test: status {status}\n{output}")
    for index in range(int(number[1])):
        status, output = run(emulator, program, str(index))
        if status in (0, None) or "[  FAILED  ]" not in output:
            sys.exit(f"self_test {index}: status {status}, where an assertion must fail\n{output}")
    return int(number[1])


def run_program(emulator, program, skip):
    """Name, counts, tests that skipped themselves, seconds, what there is to say of a failure."""
    began = time.monotonic()
    status, output = run(emulator, program, skip=skip)
    seconds = time.monotonic() - began
    found = counts(output) or [0, 0, 0]
    own = [name for name in re.findall(r"^\[  SKIPPED \] (\w+)", output, re.MULTILINE)
           if name not in skip]
    if status == 0 and found[0] + found[2] > 0 and found[1] == 0:
        return program.stem, found, own, seconds, None
    if SECONDS_OF_LONG and status is None:
        return program.stem, found, own, seconds, "has not ended"
    why = "did not end" if status is None else f"status {status}"
    return (program.stem, [found[0], max(found[1], 1), found[2]], own, seconds,
            f"{why}\n{output[-4000:]}")


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--left-out":
        print(";".join(what for what in left_out(sys.argv[2]) if "." not in what))
        return 0
    if len(sys.argv) < 3 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    target, build, emulator = sys.argv[1], pathlib.Path(sys.argv[2]).resolve(), sys.argv[3:]
    began = time.monotonic()
    suffix = ".exe" if (build / "self_test.exe").exists() else ""
    refused = check_self_test(emulator, build / f"self_test{suffix}")
    reasons = left_out(target)
    skips = {what.split(".")[0]: [] for what in reasons}
    for what in reasons:
        skips[what.split(".")[0]] += what.split(".")[1:]
    programs = chosen(target, sorted(
        path for path in (build / "tests").glob(f"test_*{suffix}")
        if path.suffix == suffix and path.stem not in reasons and
        (HERE.parent / "unit" / f"{path.stem}.c").exists()))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = []
        for result in pool.map(lambda program: run_program(emulator, program,
                                                           skips.get(program.stem, [])), programs):
            results.append(result)
            if result[4] is not None:
                print(f"{target}: {result[0]}: {result[4]}", flush=True)
    for what, reason in reasons.items():
        print(f"{target}: {what} is left out: {reason}")
    for name, _, own, _, _ in results:
        for test in own:
            print(f"{target}: {name}.{test} skips itself on this machine")
    slow = [f"{name} {seconds:.0f} s" for name, _, _, seconds, _ in
            sorted(results, key=lambda result: -result[3])[:3]]
    print(f"{target}: slowest: {', '.join(slow)}")
    passed, failed, skipped = (sum(result[1][i] for result in results) for i in range(3))
    print(f"{target}: {len(programs)} programs of tests/unit, {len(reasons)} entries of skips.txt, "
          f"{refused} assertions fail as they must, {time.monotonic() - began:.0f} s, "
          f"{resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime:.0f} s of a processor")
    print(f"{target}: {passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return 1 if failed or not passed and not SECONDS_OF_LONG else 0


if __name__ == "__main__":
    sys.exit(main())
