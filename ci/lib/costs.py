#!/usr/bin/env python3
"""Prints what the tests of each part of the project cost, over all builds below build/.

The parts stand in ci/costs.txt; the costs are what ctest notes of each test's last run.
"""
import collections
import glob
import os
import re
import sys


def read_parts(path):
    parts = []
    with open(path) as file:
        for number, line in enumerate(file, 1):
            if line.startswith("#") or not line.strip():
                continue
            fields = line.split()
            if len(fields) != 2:
                sys.exit(f"{path}:{number}: expected PART REGEX")
            parts.append((fields[0], re.compile(fields[1])))
    return parts


def read_costs(path):
    """Name and seconds of each test; the file ends with "---" and the names that failed."""
    with open(path) as file:
        for line in file:
            if line.startswith("---"):
                return
            name, _, seconds = line.split()
            yield name, float(seconds)


def main():
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    parts = read_parts(os.path.join(root, "ci", "costs.txt"))
    counts = collections.Counter()
    seconds = collections.Counter()
    pattern = os.path.join(root, "build", "*", "Testing", "Temporary", "CTestCostData.txt")
    for path in glob.glob(pattern):
        for name, cost in read_costs(path):
            part = next((part for part, regex in parts if regex.search(name)), "none")
            counts[part] += 1
            seconds[part] += cost
    for part in counts:
        print(f"part {part:14} {counts[part]:5} tests {seconds[part]:8.1f} s")


if __name__ == "__main__":
    main()
