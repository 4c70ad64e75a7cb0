"""LRU's misses against valgrind's cachegrind, whose cache of one set is exact LRU.

--D1=n*4096,n,4096 makes the first-level data cache one set of n lines, each a page: n frames under
LRU. Its misses are counted once for a reference that crosses into another page, even if both miss,
so they are compared with the references of which a page misses. A modify is one reference for
lackey and a read for cachegrind. Both tools see the same instructions of the same run, and agree to
the last reference:

- valgrind lays out the program's memory itself; what the kernel lays out for it (vdso) stays in
  place without address randomisation;
- the environment is given, because it lies on the stack, and makes perl's hashes the same each run;
- output files are removed before each run;
- valgrind's translator does not follow branches (--vex-guest-chase=no): it would run both sides of
  some `a && b` and undo one, and the two tools count such loads differently: cachegrind had 39 of
  perl's 5,106,033 data references less;
- no program looks at the clock, its process or the processor. (zstd reads /proc/cpuinfo, whose MHz
  vary, and so do its references.)
"""
import os
import re
import shutil
import subprocess

import pytest
from conftest import NTMM, PROGRAMS, judge

SIZES = ["1/2", "1/8", 24, 3]
ENVIRONMENT = {"PATH": os.environ["PATH"], "LC_ALL": "C", "PERL_HASH_SEED": "0",
               "VALGRIND_OPTS": "--vex-guest-chase=no"}


def compiler():
    cc1 = subprocess.run(["gcc", "-print-prog-name=cc1"], capture_output=True, text=True).stdout
    return [cc1.strip(), "-quiet", "-O0", "tree.c", "-o", "out"]


COMMANDS = {
    "compiler": compiler,
    "interpreter": lambda: ["perl", "words.pl"],
    "compressor": lambda: ["gzip", "-nc", "tree.c", "words.pl", "orders.sql"],
    "database": lambda: ["sqlite3", ":memory:", ".read orders.sql"],
}


def may_stop_randomisation():
    try:
        return subprocess.run(["setarch", "-R", "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def run_still(command, folder):
    """Without address randomisation, if allowed, and where no earlier run left a trace."""
    (folder / "out").unlink(missing_ok=True)
    still = ["setarch", "-R"] if may_stop_randomisation() else []
    done = subprocess.run([*still, *map(str, command)], cwd=folder, env=ENVIRONMENT,
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


def cachegrind(command, folder, frames):
    """Data references and misses of a first-level cache of so many pages."""
    said = run_still(
        ["valgrind", "--tool=cachegrind", "--cachegrind-out-file=/dev/null",
         f"--D1={frames * 4096},{frames},4096", *command], folder)
    return tuple(int(re.search(rf"== {what}: +([\d,]+)", said)[1].replace(",", ""))
                 for what in ("D   refs", "D1  misses"))


@pytest.mark.judges
@pytest.mark.parametrize("name", COMMANDS)
def test_lru_is_that_of_cachegrind(name, tmp_path):
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed")
    command = COMMANDS[name]()
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not there")
    for path in PROGRAMS.iterdir():
        shutil.copy(path, tmp_path)
    trace = tmp_path / "trace.ntt"
    run_still([NTMM, "record", "-o", trace, "--", *command], tmp_path)
    report = judge([trace], SIZES, "--data")
    assert len(report["sizes"]) == len(SIZES)
    for frames, size in report["sizes"].items():
        found = cachegrind(command, tmp_path, frames)
        print(f"{name}: {report['pages']} pages, {frames} frames: page_policies "
              f"{report['references']} references, {size['lru_missing_references']} missing "
              f"({size['lru_misses']} pages), cachegrind {found[0]}, {found[1]}")
        assert found == (report["references"], size["lru_missing_references"])
