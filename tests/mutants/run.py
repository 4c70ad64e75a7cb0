#!/usr/bin/env python3
"""Plants the mistakes of planted.txt one by one and sees that the named tests catch each.

usage: tests/mutants/run.py [--build FOLDER] [NAME...]

The tree is copied to FOLDER (build/mutants), where each mistake replaces the lines marked "-" by
those marked "+", the tests that it names are built and run, and the lines are put back. A mistake
is caught when one of its tests fails or takes more than 60 seconds. First all tests are run without
a mistake, and must pass. Ends with status 1 when one is not caught, does not fit its file, or does
not compile.
"""
import argparse
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECONDS = 60


class Mistake:
    def __init__(self, name):
        self.name, self.file, self.tests = name, None, []
        self.old, self.new = [], []

    def text(self, lines):
        return "".join(line + "\n" for line in lines)


def read_mistakes(path):
    """The blocks of planted.txt: "== name", "file:", "test:" (one or more), then lines - and +."""
    mistakes = []
    for number, line in enumerate(path.read_text().split("\n"), 1):
        if line.startswith("== "):
            mistakes.append(Mistake(line[3:]))
        elif line.startswith("file: "):
            mistakes[-1].file = line[6:]
        elif line.startswith("test: "):
            mistakes[-1].tests.append(line[6:].split())
        elif line[:1] == "-":
            mistakes[-1].old.append(line[1:])
        elif line[:1] == "+":
            mistakes[-1].new.append(line[1:])
        elif line and line[0] != "#":
            sys.exit(f"{path}:{number}: not understood: {line}")
    names = [mistake.name for mistake in mistakes]
    for mistake in mistakes:
        if not (mistake.file and mistake.tests and mistake.old) or names.count(mistake.name) > 1:
            sys.exit(f"{path}: {mistake.name}: needs a name of its own, a file, a test and lines")
    return mistakes


def copy_tree(folder, edits={}):
    """The files of the repository, those alone that differ, so that a second run builds little.
    `edits` has functions that make of the bytes of a file those of its copy."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        source, target = ROOT / name, folder / name
        if not source.is_file():
            continue
        data = edits.get(name, bytes)(source.read_bytes())
        if not target.is_file() or target.read_bytes() != data:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            target.chmod(source.stat().st_mode)


def configure(folder):
    subprocess.run(["cmake", "-S", folder, "-B", folder / "build", "-G", "Ninja",
                    "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_C_FLAGS_DEBUG=-O1 -g"],
                   check=True, stdout=subprocess.DEVNULL)


def build(folder, tests):
    targets = sorted({words[0] for words in tests})
    done = subprocess.run(["ninja", "-C", folder / "build", *targets], capture_output=True,
                          text=True)
    return done.returncode == 0, done.stdout[-2000:]


def fails(folder, words):
    command = [folder / "build" / "bin" / words[0], *words[1:]]
    try:
        done = subprocess.run(command, cwd=folder / "build", timeout=SECONDS,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return "hangs"
    if done.returncode < 0:
        return f"dies of signal {-done.returncode}"
    return "fails" if done.returncode else None


def judge(folder, mistake):
    """(whether it was caught, what happened)."""
    path = folder / mistake.file
    original = path.read_text()
    if original.count(mistake.text(mistake.old)) != 1:
        return False, f"its lines do not stand once in {mistake.file}"
    path.write_text(original.replace(mistake.text(mistake.old), mistake.text(mistake.new)))
    try:
        is_built, said = build(folder, mistake.tests)
        if not is_built:
            return False, "does not compile\n" + said
        for words in mistake.tests:
            how = fails(folder, words)
            if how:
                return True, f"{' '.join(words)} {how}"
        return False, "SURVIVES " + ", ".join(words[0] for words in mistake.tests)
    finally:
        path.write_text(original)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "mutants")
    parser.add_argument("name", nargs="*", help="of mistakes; all by default")
    arguments = parser.parse_args()
    mistakes = read_mistakes(ROOT / "tests" / "mutants" / "planted.txt")
    unknown = set(arguments.name) - {mistake.name for mistake in mistakes}
    if unknown:
        sys.exit(f"no such mistake: {', '.join(sorted(unknown))}")
    if arguments.name:
        mistakes = [mistake for mistake in mistakes if mistake.name in arguments.name]
    copy_tree(arguments.build)
    configure(arguments.build)
    tests = sorted({tuple(words) for mistake in mistakes for words in mistake.tests})
    is_built, said = build(arguments.build, tests)
    if not is_built:
        sys.exit("the tests do not build\n" + said)
    for words in tests:
        how = fails(arguments.build, words)
        if how:
            sys.exit(f"without a mistake {' '.join(words)} {how}")
    caught = 0
    for mistake in mistakes:
        begin = time.monotonic()
        is_caught, what = judge(arguments.build, mistake)
        caught += is_caught
        print(f"{'caught' if is_caught else 'NOT CAUGHT':10} {mistake.name:34} "
              f"{time.monotonic() - begin:5.1f} s  {what}", flush=True)
    print(f"{caught} of {len(mistakes)} mistakes caught")
    return 0 if caught == len(mistakes) else 1


if __name__ == "__main__":
    sys.exit(main())
