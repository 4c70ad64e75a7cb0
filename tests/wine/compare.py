#!/usr/bin/env python3
"""Runs the cases here and under Wine, and compares what is found, line by line.

usage: compare.py [--update] RUN_CASES WINE PROGRAM.exe PREFIX
       compare.py --texts OURS THEIRS

RUN_CASES is this project's runner, PROGRAM.exe the Windows program, PREFIX a folder for Wine's
files, made when it is missing. Status 0 when the differences are those of differences.txt, each
with a reason; 1 when one is new, has vanished or has no reason; 77 when WINE is not there, or is
not version 8, of which differences.txt tells. --update writes differences.txt and the section of
docs/fidelity.md instead. --texts shows the differences of two outputs and compares them with
nothing.
"""
import os
import pathlib
import subprocess
import sys

import differences as d

sys.path.insert(0, str(d.ROOT / "tests/conformance"))
from case_files import all_cases, case_paths  # noqa: E402


def alternatives():
    """Case to the results that its steps allow, those with one result too."""
    return {case.name: [set((step.expected or "").split(" or ")) for step in case.steps]
            for case in all_cases()}


def run_ours(runner):
    """A runner that finds a case wrong ends with 1; what it found is compared all the same."""
    done = subprocess.run([runner, "--print", "core", *map(str, case_paths())], capture_output=True,
                          text=True, timeout=120)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def run_wine(wine, program, prefix):
    """Wine wants a home, a prefix of its own, no display, and silence."""
    home = pathlib.Path(prefix).resolve()
    home.mkdir(parents=True, exist_ok=True)
    environment = dict(os.environ, HOME=str(home), WINEPREFIX=str(home / "wine"), WINEDEBUG="-all",
                       WINEDLLOVERRIDES="mscoree=;mshtml=")
    environment.pop("DISPLAY", None)
    subprocess.run([wine, "cmd", "/c", "exit"], env=environment, timeout=300,
                   stdin=subprocess.DEVNULL, capture_output=True)
    done = subprocess.run([wine, program], env=environment, timeout=300, capture_output=True,
                          text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{program} ended with {done.returncode}: {done.stderr}"
    return done.stdout


def why_not(wine):
    """Why this Wine cannot be compared with differences.txt, or nothing."""
    if not os.path.exists(wine):
        return "there is no Wine; apt-get install wine64"
    version = subprocess.run([wine, "--version"], capture_output=True, text=True).stdout.strip()
    return "" if version.startswith("wine-8.") else f"differences.txt is of Wine 8, not {version}"


def report(found, lines, skipped):
    print(f"{lines} lines compared, {lines - len(found)} agree, {len(found)} differ; "
          f"{skipped} cases cannot run in a process of Windows")
    return [f"no reason in reasons.txt: {difference.line()}"
            for difference, key in d.with_reasons(found) if key is None]


def against_list(found):
    listed, now = set(d.read_listed()), set(found)
    return ([f"new: {x.line()}" for x in found if x not in listed] +
            [f"vanished: {x.line()}" for x in d.read_listed() if x not in now])


def judge(ours, theirs, is_update):
    found, lines, skipped = d.compare(ours, theirs, alternatives())
    faults = report(found, lines, skipped)
    if is_update:
        d.write_listed(found)
        d.write_section()
    else:
        faults += against_list(found)
    print("\n".join(faults))
    return 1 if faults else 0


def main(arguments):
    is_update = "--update" in arguments
    paths = [word for word in arguments if not word.startswith("--")]
    if "--texts" in arguments and len(paths) == 2:
        ours, theirs = (d.read_output(pathlib.Path(path).read_text()) for path in paths)
        found, lines, skipped = d.compare(ours, theirs, alternatives())
        print("\n".join(difference.line() for difference in found))
        report(found, lines, skipped)
        return 1 if found else 0
    if len(paths) != 4:
        print(__doc__)
        return 2
    runner, wine, program, prefix = paths
    if why_not(wine):
        print(f"skipped: {why_not(wine)}")
        return 77
    return judge(d.read_output(run_ours(runner)), d.read_output(run_wine(wine, program, prefix)),
                 is_update)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
