"""What the tests of tests/tools/page_policies share.

NTMM and PAGE_POLICIES name the binaries; where NTMM is absent nothing that needs the command runs.
"""
import json
import os
import pathlib
import subprocess

PAGE_POLICIES = os.environ["PAGE_POLICIES"]
COUNT_PAGES = os.environ["COUNT_PAGES"]
NTMM = os.environ["NTMM"]
PROGRAMS = pathlib.Path(__file__).parent.parent / "traces" / "programs"
STORED = sorted(PROGRAMS.parent.glob("*.ntt"))
PAGE = 4096


def pytest_configure(config):
    config.addinivalue_line("markers", "full: takes long")
    config.addinivalue_line("markers", "judges: compares with a program that nobody here wrote")


def page_policies(*arguments):
    done = subprocess.run([PAGE_POLICIES, *map(str, arguments)], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def judge(traces, frames, *options):
    """The JSON object, its sizes by number of frames."""
    frames = ",".join(map(str, frames))
    report = json.loads(page_policies("--json", "--frames", frames, *options, *traces))
    report["sizes"] = {size.pop("frames"): size for size in report["sizes"]}
    return report


def write_lackey(path, records):
    """records: (kind, address, size) with kind one of I, L, S, M."""
    path.write_text("".join(
        f"{'I ' if kind == 'I' else ' ' + kind} {address:08x},{size}\n"
        for kind, address, size in records))
    return path
