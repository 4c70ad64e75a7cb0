#!/usr/bin/env python3
"""The conformance program under the emulator against the cases themselves, line by line.

usage: compare.py RUN_CASES EMULATOR PROGRAM.exe

RUN_CASES prints what the library finds in its own process; PROGRAM.exe, the same that Wine runs,
what it finds as guest code. Every line must be the same, but for what a process that runs a program
cannot repeat of an empty one: tests/wine/differences.py says what (where free space ends), and
working sets, in which the program itself is, are not compared.
"""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/wine"))
import compare as wine  # noqa: E402
import differences as d  # noqa: E402

LEAST_LINES = 3100


def comparable(step, ours, theirs, plain=d.comparable):
    if step.startswith("query-class 2 "):
        return ours, theirs  # names of files have the same length here
    if step.startswith("query-class 1 "):
        return "-", "-"
    return plain(step, ours, theirs)


def main(arguments):
    if len(arguments) != 3:
        print(__doc__)
        return 2
    runner, emulator, program = arguments
    done = subprocess.run([emulator, program], capture_output=True, text=True, timeout=600)
    if done.returncode:
        print(f"{emulator} ended with {done.returncode}\n{done.stderr}")
        return 1
    d.comparable = comparable
    found, lines, skipped = d.compare(d.read_output(wine.run_ours(runner)),
                                      d.read_output(done.stdout), wine.alternatives())
    print("\n".join(difference.line() for difference in found))
    print(f"{lines} lines compared, {len(found)} differ; {skipped} cases cannot run in a process")
    return 1 if found or done.stderr or lines < LEAST_LINES else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
