#!/usr/bin/env python3
"""Every test of a build has a watchdog: ctest ends it when its TIMEOUT is over.

usage: watchdog.py --ctest FILE BUILD

Fails when a test has no TIMEOUT, or one that says nothing (0, or more than LONGEST_S), or not
exactly one label of KINDS, by which ci/ runs it.
"""
import argparse
import json
import subprocess
import sys

LONGEST_S = 1200
KINDS = {"quick", "full", "judges", "counts"}


def breaches(tests):
    """What is wrong, a line each. tests: as ctest --show-only=json-v1 lists them."""
    found = []
    for test in tests:
        properties = {p["name"]: p["value"] for p in test.get("properties", [])}
        limit = properties.get("TIMEOUT", 0)
        if not 0 < limit <= LONGEST_S:
            found.append(f"{test['name']}: TIMEOUT {limit:g} s, which is no watchdog")
        if len(KINDS & set(properties.get("LABELS", []))) != 1:
            found.append(f"{test['name']}: not exactly one label of {', '.join(sorted(KINDS))}")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--ctest", default="ctest")
    parser.add_argument("build")
    options = parser.parse_args()
    listed = subprocess.run([options.ctest, "--show-only=json-v1"], cwd=options.build,
                            stdout=subprocess.PIPE, text=True, check=True)
    tests = json.loads(listed.stdout)["tests"]
    found = breaches(tests)
    print("\n".join(found) if found else f"{len(tests)} tests")
    return 1 if found or not tests else 0


if __name__ == "__main__":
    sys.exit(main())
