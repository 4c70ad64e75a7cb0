#!/usr/bin/env python3
"""Seeds of fuzz_calls: what they reach, and how to choose them.

usage: seeds.py --check PROGRAM FILE...           fails when a call that a verb makes is made by no
                                                  input, or never succeeds though it can
       seeds.py --choose PROGRAM FOLDER CORPUS    of the inputs in FOLDER keeps in CORPUS, cut to
                                                  what they need, those that reach a call, a status
                                                  of a call, or a verb that no input there reaches

PROGRAM is fuzz_calls with the plain driver, which makes inputs too:

    fuzz_calls --runs 3000 --seed 1 --size 600 --write FOLDER
"""
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import documented

NEVER_SUCCEED = set()
STATUS = re.compile(r"^# ntmm_(\w+) = 0x(\w+)$", re.M)
VERB = re.compile(r"^# (\d+) (\S+), byte (\d+)$", re.M)


def trace(program, *paths):
    done = subprocess.run([program, *paths], capture_output=True, text=True,
                          env=dict(os.environ, NTMM_FUZZ_TRACE="1"))
    if done.returncode:
        sys.exit(f"{program} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def reached(program, *paths):
    """Pairs (call, status), and (verb, None), that inputs reach."""
    text = trace(program, *paths)
    return ({(call, int(status, 16)) for call, status in STATUS.findall(text)} |
            {(verb, None) for _, verb, _ in VERB.findall(text)})


def settled(program, path):
    """An input with the first byte of each verb, which it keeps when verbs are added behind."""
    data = bytearray(path.read_bytes())
    for behind, _, byte in VERB.findall(trace(program, str(path))):
        data[int(behind) - 1] = int(byte)
    return bytes(data)


def check(program, paths):
    sources = pathlib.Path(__file__).resolve().parent.glob("*.c")
    made_at_all = documented.docstrings().keys() - set(documented.missing(sources))
    wanted = made_at_all - documented.NOT_FUZZED
    found = {(call, status) for call, status in reached(program, *paths) if status is not None}
    made = {call for call, _ in found}
    successes = {call for call, status in found if status < 0x80000000}
    wrong = [f"no seed makes ntmm_{call}" for call in sorted(wanted - made)]
    wrong += [f"ntmm_{call} never succeeds" for call in sorted(
        (wanted & made) - successes - NEVER_SUCCEED)]
    print("\n".join(wrong) or f"{len(wanted)} calls, {len(found)} statuses of them")
    if wrong:
        print("A verb in the middle of a table gives bytes another meaning: choose seeds anew.")
    return 1 if wrong else 0


def shortest(program, data, needed):
    """The shortest beginning of an input that reaches what is needed of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "input")

        def is_enough(size):
            pathlib.Path(path).write_bytes(data[:size])
            return needed <= reached(program, path)

        low, high = 1, len(data)
        while low < high:
            middle = (low + high) // 2
            if is_enough(middle):
                high = middle
            else:
                low = middle + 1
        return data[:high] if is_enough(high) else data


def choose(program, folder, corpus):
    there = [str(path) for path in sorted(pathlib.Path(corpus).iterdir())]
    have = reached(program, *there) if there else set()
    found = {path: reached(program, str(path)) for path in sorted(pathlib.Path(folder).iterdir())}
    missing = set().union(*found.values()) - have if found else set()
    while missing:
        path = max(found, key=lambda path: len(found[path] & missing))
        data = shortest(program, settled(program, path), found[path] & missing)
        missing -= found[path]
        (pathlib.Path(corpus) / hashlib.sha1(data).hexdigest()).write_bytes(data)
        print(f"{path.name}: {len(data)} bytes")
    return 0


def main(arguments):
    if len(arguments) >= 3 and arguments[0] == "--check":
        return check(arguments[1], arguments[2:])
    if len(arguments) == 4 and arguments[0] == "--choose":
        return choose(*arguments[1:])
    sys.exit(__doc__)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
