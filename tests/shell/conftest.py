"""What the tests of the command share: running it, traces to run it on.

NTMM and COUNT_PAGES name the binaries. Expectations are written from docs/traces.md and the help of
the command; the judge of page counts is tests/tools/count_pages.c, which shares no code with it.
"""
import json
import os
import pathlib
import subprocess

import pytest

NTMM = os.environ["NTMM"]
COUNT_PAGES = os.environ["COUNT_PAGES"]
TRACES = pathlib.Path(__file__).parent.parent / "traces"
STORED = sorted(TRACES.glob("*.ntt"))


def pytest_configure(config):
    config.addinivalue_line("markers", "full: takes long")


def run(*arguments, **options):
    options.setdefault("timeout", 300)  # seconds
    return subprocess.run([NTMM, *map(str, arguments)], capture_output=True, **options)


def run_well(*arguments, **options):
    done = run(*arguments, **options)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    return done.stdout.decode()


def replay(*arguments, **options):
    """The JSON report of a replay that went well."""
    done = run("replay", "--json", "-", *arguments, **options)
    assert done.returncode == 0, done.stderr.decode()
    report = json.loads(done.stdout)
    assert report["check"]["broken"] is None
    assert set(report["teardown"].values()) == {0}
    return report


def count_pages(path):
    """Distinct pages and references, as the independent program counts them."""
    done = subprocess.run([COUNT_PAGES, str(path)], capture_output=True, check=True)
    return tuple(map(int, done.stdout.split()))


def refusal(*arguments, **options):
    """The one line with which the command refuses."""
    done = run(*arguments, **options)
    lines = done.stderr.decode().splitlines()
    assert done.returncode == 2, (done.returncode, lines)
    assert len(lines) == 1, lines
    assert done.stdout == b""
    return lines[0]


@pytest.fixture
def text(tmp_path):
    """A lackey text with each kind, several sizes, a crossing of pages and of 64 KiB."""
    path = tmp_path / "small.lackey"
    path.write_text(
        "==7== Lackey, an example Valgrind tool\n"
        "I  00401000,3\n L 1ffefff8,8\n S 1ffefff0,8\n L 1ffefff0,4\n"
        "I  00401ffe,5\n M 00520004,4\n L 00520004,4\n S 0052fffc,16\n L 0052fff8,32\n"
        " S 00530ff0,10\n L 00530ff0,10\n S 00620000,512\n M 006200c8,64\n L 00620000,512\n"
        "--7-- a warning of valgrind\n")
    return path
