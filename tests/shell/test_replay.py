"""Replay: faults, verification, reports."""
import json
import os
import platform
import pty
import re
import shutil
import subprocess

import pytest
from conftest import NTMM, STORED, count_pages, refusal, replay, run, run_well

COUNTERS = {
    "page_faults", "demand_zero_faults", "make_dirty_faults", "guard_faults", "stack_growths",
    "spurious_faults", "access_violations", "fault_waits", "tables_created", "tables_freed"}
SHORTEST = min(STORED, key=lambda path: path.stat().st_size)
TIMES = {"seconds", "processor_seconds", "references_per_second",
         "references_per_processor_second"}


def faults(report, index=0):
    return report["traces"][index]["counters"]


def test_three_programs_are_stored():
    assert len(STORED) >= 3
    assert sum(path.stat().st_size for path in STORED) <= 8 << 20
    assert max(count_pages(path)[0] for path in STORED) >= 4096


@pytest.mark.parametrize("path",
                         [path if path == SHORTEST else pytest.param(path, marks=pytest.mark.full)
                          for path in STORED], ids=lambda path: path.stem)
def test_stored_trace_faults_once_a_page(path):
    pages, references = count_pages(path)
    report = replay(path)
    assert report["references"] == references
    assert faults(report)["demand_zero_faults"] == pages == report["traces"][0]["pages"]
    assert faults(report)["access_violations"] == 0
    assert report["memory"]["metadata_percent"] <= 1.5


@pytest.mark.full
def test_stored_traces_verified_together():
    report = replay("--verify", *STORED)
    assert report["verified"]
    for index, path in enumerate(STORED):
        assert faults(report, index)["demand_zero_faults"] == count_pages(path)[0]


@pytest.mark.full
@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_stored_trace_folded_faults_alike(path, tmp_path):
    run_well("trace", "convert", "--fold", path, tmp_path / "t.ntt")
    exact, fold = replay(path), replay("--verify", tmp_path / "t.ntt")
    assert faults(exact)["demand_zero_faults"] == faults(fold)["demand_zero_faults"]
    assert faults(exact)["make_dirty_faults"] == faults(fold)["make_dirty_faults"]


@pytest.mark.parametrize("option", [[], ["--verify"]])
def test_text_faults_once_a_page(text, option):
    pages, references = count_pages(text)
    report = replay(*option, text)
    assert (report["references"], faults(report)["demand_zero_faults"]) == (references, pages)


def test_recorded_on_the_spot(tmp_path):
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed")
    done = run("record", "-o", tmp_path / "t.ntt", "--", "/bin/echo", "spoken")
    assert done.returncode == 0 and done.stdout == b"spoken\n"
    lackey = subprocess.run(
        ["valgrind", "--tool=lackey", "--trace-mem=yes", "--log-file=" + str(tmp_path / "t.txt"),
         "/bin/echo", "spoken"], stdout=subprocess.DEVNULL, check=True)
    assert lackey.returncode == 0
    subprocess.run(["zstd", "-q", tmp_path / "t.txt"], check=True)
    pages = {}
    for path in (tmp_path / "t.txt", tmp_path / "t.ntt"):
        pages[path] = count_pages(path)[0]
        assert faults(replay("--verify", path))["demand_zero_faults"] == pages[path]
    packed = replay("--verify", tmp_path / "t.txt.zst")
    assert faults(packed)["demand_zero_faults"] == pages[tmp_path / "t.txt"]


LOOP = """
    .globl _start
_start:
    mov $1000, %ecx
    mov $1, %eax
again:
    cmp $2, %eax
    jne over
    test %edi, %edi
    jne over
    inc %ebx
over:
    dec %ecx
    jnz again
    mov $60, %eax
    xor %edi, %edi
    syscall
"""


def test_record_has_only_what_ran(tmp_path):
    """What is jumped over is not fetched, though valgrind would translate it with the rest."""
    if shutil.which("valgrind") is None or shutil.which("cc") is None:
        pytest.skip("valgrind or a compiler is not installed")
    if platform.machine() != "x86_64":
        pytest.skip("the program is for x86-64")
    subprocess.run(["cc", "-nostdlib", "-static", "-x", "assembler", "-", "-o", tmp_path / "loop"],
                   input=LOOP.encode(), check=True)
    done = run("record", "-o", tmp_path / "t.ntt", "--", tmp_path / "loop")
    assert done.returncode == 0
    assert count_pages(tmp_path / "t.ntt") == (1, 2 + 1000 * 4 + 3)


def test_record_limit_and_status(tmp_path):
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed")
    done = run("record", "--limit", "1000", "-o", tmp_path / "t.ntt", "--", "sleep", "1000")
    assert done.returncode == 0
    assert count_pages(tmp_path / "t.ntt")[1] == 1000
    done = run("record", "-o", tmp_path / "f.ntt", "--", "false")
    assert done.returncode == 0 and b"false: exit status 1" in done.stderr


def test_standard_input(text, tmp_path):
    expected = faults(replay(text))
    data = text.read_bytes()
    packed = subprocess.run(["zstd", "-qc", text], capture_output=True, check=True).stdout
    run_well("trace", "convert", text, tmp_path / "t.ntt")
    for given in (data, packed):
        assert faults(replay("-", input=given)) == expected
    binary = replay("-", input=(tmp_path / "t.ntt").read_bytes())
    assert faults(binary)["demand_zero_faults"] == expected["demand_zero_faults"]


def test_first_touch_decides_the_faults(tmp_path):
    """Read first: demand-zero then make-dirty. Written or modified first: dirty at once."""
    text = (" L 10000,8\n L 10008,8\n S 10000,8\n S 10010,8\n"
            " S 20000,8\n L 20000,8\n M 30000,4\n S 30000,4\nI  40000,3\nI  40003,3\n")
    run_well("trace", "convert", "-", tmp_path / "t.ntt", input=text.encode())
    for path in (tmp_path / "t.ntt",):
        counters = faults(replay("--verify", path))
        assert counters["demand_zero_faults"] == 4
        assert counters["make_dirty_faults"] == 1
        assert counters["page_faults"] == 5


@pytest.mark.parametrize("line", [" L 10ffc,8", " S 10ffe,4", " M 10fff,2", "I  10ffd,6",
                                  " S 10001,4096", " L 10800,4096", " M 10fc8,64"])
def test_crossing_touches_both_pages(tmp_path, line):
    run_well("trace", "convert", "-", tmp_path / "t.ntt", input=(line + "\n").encode())
    assert faults(replay("--verify", tmp_path / "t.ntt"))["demand_zero_faults"] == 2
    assert faults(replay("--verify", "-", input=(line + "\n").encode()))["demand_zero_faults"] == 2


@pytest.mark.parametrize("size", [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 16, 17, 31, 32, 64, 65, 512])
def test_planted_error_is_found_in_every_size(tmp_path, size):
    """The load after the store reads the flipped bit of its first byte."""
    path = tmp_path / "t.lackey"
    for kind in ("L", "M"):
        path.write_text(f" S 10ff0,{size}\n {kind} 10ff0,{size}\n")
        done = run("replay", "--verify", "--corrupt-reference", "1", path)
        assert done.returncode == 1
        assert f"{path}: reference 2: ".encode() in done.stderr
        assert b"at 0x10ff0 is 0x" in done.stderr and b"expected 0x" in done.stderr
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("number", [0, 1, 12345, 1000000])
def test_planted_error_is_found_in_a_stored_trace(number):
    done = run("replay", "--verify", "--corrupt-reference", number, STORED[-1])
    assert done.returncode == 1
    found = int(re.search(rb"reference (\d+): ", done.stderr)[1])
    assert number < found <= number + 1000


def test_planted_error_after_the_end(text):
    assert "--corrupt-reference" in refusal("replay", "--verify", "--corrupt-reference", "99", text)


def test_same_seed_same_run(text, tmp_path):
    def timeless(*arguments):
        report = replay(*arguments, SHORTEST, text)
        return {key: value for key, value in report.items() if key not in TIMES}
    first = timeless("--seed", "7")
    assert first == timeless("--seed", "7")
    other = timeless("--seed", "8")
    assert [trace["counters"] for trace in first["traces"]] == \
        [trace["counters"] for trace in other["traces"]]


def test_json_has_what_the_text_has(text, tmp_path):
    path = tmp_path / "report.json"
    out = run_well("replay", "--json", path, text, text)
    report = json.loads(path.read_text())
    assert set(report) == TIMES | {
        "version", "seed", "verified", "processors", "ram_bytes", "footprint_pages", "references",
        "counters", "memory", "paging", "page_files", "working_set_interval", "check", "teardown",
        "traces"}
    assert report["references"] == 28 and len(report["traces"]) == 2
    assert COUNTERS <= set(report["counters"])
    assert report["counters"]["processes_created"] == 2
    for trace in report["traces"]:
        assert set(trace) == {
            "name", "references", "records", "fetches", "loads", "stores", "modifies", "pages",
            "peak_pages", "minimum_pages", "maximum_pages", "tables", "commit_pages",
            "peak_commit_pages", "regions", "working_set", "counters"}
        assert COUNTERS <= set(trace["counters"])
        assert trace["fetches"] + trace["loads"] + trace["stores"] + trace["modifies"] == 14
    for name, value in report["counters"].items():
        assert re.search(rf"^  {name} +{value:,} ", out, re.M), name
    assert "check      every invariant holds\n" in out
    assert "tear-down  every frame and every charge came back\n" in out


def test_name_that_is_not_utf8(text, tmp_path):
    odd = os.fsencode(tmp_path) + b"/odd\xff.lackey"
    with open(odd, "wb") as file:
        file.write(text.read_bytes())
    done = subprocess.run([NTMM, "replay", "--json", "-", odd], capture_output=True, check=True)
    assert json.loads(done.stdout)["traces"][0]["name"].endswith("odd?.lackey")


def test_explain(tmp_path):
    lines = " S 1fff000ff8,8\n L 00403000,8\n S 00405008,4\nI  00401000,3\n"
    run_well("trace", "convert", "-", tmp_path / "t.ntt", input=lines.encode())
    addresses = ["405008", "0:0x403010", "404000", "0:500000"]
    out = run_well("replay", *(f"--explain={address}" for address in addresses),
                   tmp_path / "t.ntt")
    written, read, untouched, free = out.split(f"{tmp_path}/t.ntt 0x")[1:5]
    assert "region    0x400000-0x410000, 5 of 16 pages committed, VAD at 0x" in written
    assert "committed, read-write (0x04)" in written
    assert all(f"  level {level} " in written for level in (4, 3, 2, 1))
    assert "active, private page, share count 1" in written and "modified" in written
    assert "t.ntt, process index" in written
    assert "committed, read-only (0x02)" in read and "frame     0x" in read
    assert "committed, read-only (0x02)" in untouched and "frame     none" in untouched
    assert "region    none" in free and "free, no access (0x01)" in free


def test_stack_is_reserved_a_mebibyte_deep(tmp_path):
    run_well("trace", "convert", "-", tmp_path / "t.ntt", input=b" S 1fff000ff8,8\n")
    out = run_well("replay", "--explain", "1fff000000", tmp_path / "t.ntt")
    assert "region    0x1ffef10000-0x1fff010000, 1 of 256 pages committed" in out


def test_progress_on_a_terminal_only(tmp_path):
    assert run("replay", SHORTEST).stderr == b""
    leader, follower = pty.openpty()
    with subprocess.Popen([NTMM, "replay", SHORTEST], stdout=subprocess.DEVNULL,
                          stderr=follower) as child:
        os.close(follower)
        shown = b""
        try:
            while chunk := os.read(leader, 4096):
                shown += chunk
        except OSError:
            pass
    os.close(leader)
    assert child.returncode == 0
    assert re.search(rb"\[#*\.*\] +\d+ %", shown) and shown.endswith(b"\r\x1b[K")
