"""Replay with less memory than the programs need: page files, processors, parts of RAM."""
import json
import os
import re
import struct

import pytest
from conftest import STORED, count_pages, refusal, replay, run, run_well

PAGE = 4096
FILES = ["--pagefile", "memory:16M:64M", "--pagefile", "memory:16M:64M"]
PARTS = ["1/4", "1/8"]
# Without coroutines, then 1, 2 and 4 processors with transfers that end at a later moment.
INTERLEAVINGS = [[], *(["--cpus", n, "--latency", "1:8"] for n in (1, 2, 4))]
SQLITE = next(path for path in STORED if path.stem == "sqlite3")


def name_of(value):
    return "-".join(str(part).strip("-") for part in value) or "plain" \
        if isinstance(value, list) else str(value).replace("/", "_")


def faults(report, index=0):
    return report["traces"][index]["counters"]


def write_trace(folder, lines):
    """A binary trace made of lackey lines."""
    path = folder / "t.ntt"
    run_well("trace", "convert", "-", path, input="".join(lines).encode())
    return path


def sweep(pages, rounds, kind="S"):
    """Each page in turn, from 0x100000 up, again and again."""
    return [f" {kind} {0x100000 + page * PAGE + page % 500 * 8:x},8\n"
            for _ in range(rounds) for page in range(pages)]


@pytest.fixture(scope="session")
def prefixes(tmp_path_factory):
    """The first 3.4 million references of each stored trace: 10^7 together."""
    folder = tmp_path_factory.mktemp("prefixes")
    for path in STORED:
        run_well("trace", "convert", "--limit", 3400000, path, folder / path.name)
    return sorted(folder.iterdir())


# --- every byte


@pytest.mark.parametrize("how", INTERLEAVINGS, ids=name_of)
@pytest.mark.parametrize("part", PARTS, ids=name_of)
def test_no_byte_is_lost_by_one_program(part, how):
    pages, references = count_pages(SQLITE)
    report = replay("--verify", "--ram", part, *how, *FILES, SQLITE)
    assert report["references"] == references >= 10**7
    assert faults(report)["demand_zero_faults"] == pages
    assert faults(report)["hard_faults"] > pages
    assert report["memory"]["user_peak_pages"] < pages / 2


@pytest.mark.full
@pytest.mark.parametrize("how", INTERLEAVINGS, ids=name_of)
@pytest.mark.parametrize("part", PARTS, ids=name_of)
def test_no_byte_is_lost_by_programs_together(prefixes, part, how):
    report = replay("--verify", "--ram", part, "--seed", 5, *how, *FILES, *prefixes)
    assert report["references"] == 3400000 * len(STORED) >= 10**7
    for index, path in enumerate(prefixes):
        assert faults(report, index)["demand_zero_faults"] == count_pages(path)[0]
    assert report["counters"]["hard_faults"] > 0
    assert report["processors"] == (how[1] if how else 1)


@pytest.mark.full
@pytest.mark.parametrize("option", [
    ["--read-ahead", "off"], ["--read-ahead", 16], ["--zeros-need-no-slot"],
    ["--minimum", 20, "--maximum", 100], ["--latency", "20:200"], ["--processes", 3]], ids=name_of)
@pytest.mark.parametrize("part", PARTS, ids=name_of)
def test_no_byte_is_lost_whatever_the_options(prefixes, part, option):
    for cpus in ([], ["--cpus", 3]):
        replay("--verify", "--ram", part, "--seed", 9, *cpus, *option, *FILES, *prefixes)


@pytest.mark.full
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("part", PARTS, ids=name_of)
def test_no_byte_is_lost_in_whole_traces(part, seed):
    report = replay("--verify", "--ram", part, "--seed", seed, "--cpus", 1 << seed - 1, *FILES,
                    *STORED)
    assert report["references"] >= 10**8


@pytest.mark.parametrize("how", [[], *(["--cpus", 4, "--seed", n] for n in (1, 2, 3))],
                         ids=name_of)
def test_planted_error_is_found(how):
    """At once, also where another processor could go on with the program meanwhile."""
    done = run("replay", "--verify", "--ram", "1/8", *FILES, *how, "--corrupt-reference", 5000000,
               SQLITE)
    assert done.returncode == 1
    found = int(re.search(rb"reference (\d+): ", done.stderr)[1])
    assert 5000000 < found <= 5001000


@pytest.mark.full
def test_same_seed_same_run(prefixes):
    def what_happened(seed):
        report = replay("--ram", "1/4", "--cpus", 4, "--seed", seed, *FILES, *prefixes)
        return [trace["counters"] for trace in report["traces"]], report["page_files"]
    first = what_happened(3)
    assert first == what_happened(3)
    assert first != what_happened(4)


# --- page files


def slot_of(explained):
    """File and slot that the entry of a page names."""
    entry = re.search(r"level 1 .*: page file (\d+) slot (0x[0-9a-f]+)", explained)
    assert entry, explained
    return int(entry[1]), int(entry[2], 16)


def test_page_written_out_is_in_the_file(tmp_path):
    """Without --verify a store to a page that is mapped leaves the low bytes of its address.
    All pages are of one table, which the last ones keep in memory."""
    trace = write_trace(tmp_path, [line for line in sweep(250, 1) for _ in range(2)])
    files = [tmp_path / "one", tmp_path / "two"]
    addresses = [0x100000 + page * PAGE for page in range(16)]
    out = run_well("replay", "--ram", "1/4", *(f"--pagefile={path}:1M:8M" for path in files),
                   *(f"--explain={address:x}" for address in addresses), trace)
    explained = out.split(f"{trace} 0x")[1:]
    assert len(explained) == len(addresses)
    slots = [slot_of(text) for text in explained]
    assert len(set(slots)) == len(slots)
    for page, (address, (number, slot)) in enumerate(zip(addresses, slots)):
        data = files[number].read_bytes()[slot * PAGE:][:PAGE]
        expected = bytearray(PAGE)
        struct.pack_into("<Q", expected, page * 8, address + page * 8)
        assert data == bytes(expected), hex(address)


def test_page_whose_table_is_out(tmp_path):
    """Pages 8 to 11 of two leaf tables, the second alone under its directory, are used first and
    never again: all of them go, and the tables. Explained, a page's table is out; what is known
    without it is said; and in the slot that is named lies the table, with entries for its pages."""
    near, far = 0x400000, 0x400000 + (1 << 30)
    pages = [base + page * PAGE for base in (near, far) for page in range(8, 12)]
    trace = write_trace(tmp_path, [f" S {va:x},8\n" for va in pages] +
                        [f" S {0x8000000 + page * PAGE:x},8\n" for page in range(1000)] * 2)
    path = tmp_path / "file"
    out = run_well("replay", "--ram", "1/8", "--pagefile", f"{path}:8M",
                   *(f"--explain={va:x}" for va in pages), trace)
    for va, text in zip(pages, out.split(f"{trace} 0x")[1:], strict=True):
        text = text.split("\n\n")[0]
        assert re.search(r"^  region .*, 4 of \d+ pages committed, .*, made read-write \(0x04\)$",
                         text, re.M), text
        assert f"\n  page      0x{va:x}, committed or reserved, its protection is in a table " \
            "that is out\n" in text
        table = re.search(r"^  table     of level (\d) is out, in page file 0, slot (0x\w+)$", text,
                          re.M)
        assert table and "free" not in text and text.endswith("frame     none"), text
        level = int(table[1])
        assert f"\n  level {level + 1} " in text and f"\n  level {level} " not in text
        data = path.read_bytes()[int(table[2], 16) * PAGE:][:PAGE]
        entries = [at for at, (entry,) in enumerate(struct.iter_unpack("<Q", data)) if entry]
        assert entries == ([8, 9, 10, 11] if level == 1 else [va >> 21 & 511])


def test_page_file_grows_up_to_its_maximum(tmp_path):
    trace = write_trace(tmp_path, sweep(1500, 2))
    path = tmp_path / "file"
    report = replay("--ram", "1/8", "--pagefile", f"{path}:1M:8M", trace)
    file, = report["page_files"]
    assert file["path"] == str(path)
    assert file["initial_pages"] == 256 < file["size_pages"] <= file["maximum_pages"] == 2048
    assert path.stat().st_size == file["size_pages"] * PAGE
    assert 1000 < file["peak_pages"] < file["size_pages"]
    assert file["used_pages"] <= file["peak_pages"]
    assert file["bad_pages"] == file["failed_reads"] == file["failed_writes"] == 0


def test_two_page_files_are_both_used(tmp_path):
    trace = write_trace(tmp_path, sweep(1500, 2))
    report = replay("--ram", "1/4", *FILES, trace)
    assert all(file["writes"] > 0 and file["reads"] > 0 for file in report["page_files"])
    for name in ("reads", "pages_read", "writes", "pages_written"):
        assert report["paging"][name] == sum(file[name] for file in report["page_files"])
    counters = report["counters"]
    assert counters["pages_read"] + counters["table_reads"] == report["paging"]["pages_read"]
    assert counters["pages_written"] == report["paging"]["pages_written"]
    assert counters["page_writes"] == report["paging"]["writes"]
    assert counters["page_reads"] == report["paging"]["reads"]


def test_read_ahead(tmp_path):
    """A sweep that never fits: each page is read in each round, alone or in clusters."""
    trace = write_trace(tmp_path, sweep(2000, 3))
    alone, ahead = (replay("--ram", "1/4", "--read-ahead", n, *FILES, trace) for n in ("off", 8))
    assert alone["paging"]["mean_read_pages"] == 1
    assert faults(alone)["hard_faults"] == faults(alone)["pages_read"] == 4000
    assert 1.5 < ahead["paging"]["mean_read_pages"] <= 8
    assert faults(ahead)["hard_faults"] < 0.7 * faults(alone)["hard_faults"]
    assert 4000 <= faults(ahead)["pages_read"] <= 8000


def test_zero_pages_need_no_slot(tmp_path):
    """Pages that are only read hold zeros; each is demand-zero again in the second round."""
    trace = write_trace(tmp_path, sweep(1000, 2, "L"))
    stored, spared = (replay("--ram", "1/4", *option, *FILES, trace)
                      for option in ([], ["--zeros-need-no-slot"]))
    assert faults(stored)["demand_zero_faults"] == 1000
    assert stored["counters"]["zero_pages_not_written"] == 0
    assert stored["counters"]["pages_written"] >= 750
    assert faults(spared)["demand_zero_faults"] == 2000
    assert spared["counters"]["zero_pages_not_written"] >= 1500
    assert spared["counters"]["pages_written"] < 20  # tables


# --- memory, processes, processors


def test_part_of_the_footprint(tmp_path):
    """Three pages under two tables, of one directory of each higher level: 3 + 2 + 1 + 1 + 1."""
    trace = write_trace(tmp_path, [" S 10000,8\n", " S 11000,8\n", " S 400000,8\n"])
    assert replay(trace)["footprint_pages"] == 8
    assert replay("--processes", 3, trace)["footprint_pages"] == 24


@pytest.mark.full
@pytest.mark.parametrize("part,share", [("1/1", 1), ("1/2", 2), ("1/4", 4), ("1/8", 8)])
def test_part_is_what_is_left_for_programs(part, share):
    report = replay("--ram", part, *FILES, *STORED)
    memory = report["memory"]
    own = sum(memory[f"{name}_pages"] for name in ("metadata", "slab", "process", "paging"))
    wanted = -(-report["footprint_pages"] // share)
    assert abs(memory["total_pages"] - own - wanted) <= 2
    assert memory["user_peak_pages"] <= wanted


def test_processes_of_one_trace(tmp_path):
    trace = write_trace(tmp_path, sweep(300, 2))
    out = run_well("replay", "--processes", 3, "--json", tmp_path / "r.json", "--verify",
                   "--explain", "2:100000", trace)
    report = json.loads((tmp_path / "r.json").read_text())
    assert [one["references"] for one in report["traces"]] == [600] * 3
    assert [faults(report, index)["demand_zero_faults"] for index in range(3)] == [300] * 3
    assert all(f"\nt.ntt #{number} " in out for number in (1, 2, 3))
    assert "t.ntt #3, process index" in out


def test_working_set_limits_are_passed_on(tmp_path):
    trace = write_trace(tmp_path, sweep(300, 2))
    report = replay("--minimum", 70, "--maximum", 90, *FILES, trace)
    assert (report["traces"][0]["minimum_pages"], report["traces"][0]["maximum_pages"]) == (70, 90)


def test_pages_of_one_program_come_and_go(tmp_path):
    """The chart's samples and the report of working sets."""
    report = replay("--ram", "1/4", *FILES, SQLITE)
    trace = report["traces"][0]
    assert 64 <= len(trace["working_set"]) <= 128
    assert abs(len(trace["working_set"]) * report["working_set_interval"] -
               report["references"]) <= 2 * report["working_set_interval"]
    assert max(trace["working_set"]) <= trace["peak_pages"] <= report["memory"]["user_peak_pages"]
    counters = trace["counters"]
    assert counters["pages_trimmed"] > 0 and counters["pages_aged"] > 0


@pytest.mark.parametrize("locale,levels", [("C.UTF-8", "▁▂▃▄▅▆▇█"), ("C", ".:-=+*%#")])
def test_chart(locale, levels):
    out = run_well("replay", "--ram", "1/4", *FILES, SQLITE, SQLITE,
                   env={**os.environ, "LC_ALL": locale})
    rows = re.findall(r"^sqlite3\.ntt \|(.*)\| peak [\d,]+$", out, re.M)
    assert len(rows) == 2 and all(len(row) == 60 for row in rows)
    assert set("".join(rows)) <= set(levels + " ")
    assert levels[-1] in "".join(rows)


def test_text_has_the_figures(tmp_path):
    trace = write_trace(tmp_path, sweep(600, 2))
    path = tmp_path / "r.json"
    out = run_well("replay", "--ram", "1/4", "--json", path, "--pagefile", f"{tmp_path}/file:4M",
                   trace)
    report = json.loads(path.read_text())
    counters, paging = report["counters"], report["paging"]
    row = re.search(r"^paging .*\nt\.ntt +(.*)$", out, re.M)[1].split()
    assert row[:8] == [f"{counters[name]:,}" for name in (
        "page_faults", "demand_zero_faults", "transition_faults", "hard_faults", "collided_faults",
        "in_page_errors", "pages_read", "table_reads")]
    for verb, name, mean in (("read", "reads", "read"), ("written", "writes", "write")):
        assert re.search(rf"^  {verb} +{paging['pages_' + verb]:,} pages in +{paging[name]:,} "
                         rf"transfers, +{paging[f'mean_{mean}_pages']:.2f} pages each$", out, re.M)
    assert re.search(rf"^{tmp_path}/file +4\.0 +4\.0 ", out, re.M)


# --- wrong input


@pytest.mark.parametrize("option,value", [
    ("--pagefile", ""), ("--pagefile", "file"), ("--pagefile", "file:"), ("--pagefile", "file:x"),
    ("--pagefile", ":64M"), ("--pagefile", ":1M:2M"), ("--pagefile", "file:1000K"),
    ("--pagefile", "file:0"), ("--pagefile", "file:2M:1M"), ("--pagefile", "file:1M:9999999"),
    ("--pagefile", "file:1M:99999T"), ("--pagefile", "file:17T"),
    ("--ram", "1/0"), ("--ram", "0/1"), ("--ram", "/4"), ("--ram", "1/"), ("--ram", "1/4/8"),
    ("--ram", "-1/4"), ("--ram", "1/9999999"), ("--ram", "x/y"),
    ("--read-ahead", "0"), ("--read-ahead", "17"), ("--read-ahead", "on"), ("--read-ahead", ""),
    ("--latency", "0"), ("--latency", "8:1"), ("--latency", "1:"), ("--latency", ":8"),
    ("--latency", "1:9999999"), ("--latency", "x"),
    ("--processes", "0"), ("--processes", "257"), ("--processes", "x"),
    ("--cpus", "0"), ("--cpus", "65"), ("--cpus", "-1"),
    ("--minimum", "0"), ("--minimum", "x"), ("--maximum", "99999999999"),
])
def test_wrong_value(text, option, value):
    assert refusal("replay", option, value, text).startswith(f"ntmm: {option} {value}: ")


def test_wrong_combinations(text, tmp_path):
    assert "--minimum" in refusal("replay", "--minimum", "100", "--maximum", "99", text)
    assert refusal("replay", "--processes", "2", "-", input=b"").startswith("ntmm: -: ")
    assert "2 processes" in refusal("replay", "--processes", "2", "--explain", "2:1000", text)
    assert "text" in refusal("replay", "--ram", "1/4", text)
    files = ["--pagefile=memory:1M"] * 17
    assert "more than 16" in refusal("replay", *files, text)


def test_page_files_that_cannot_be(text, tmp_path):
    assert refusal("replay", "--pagefile", f"{tmp_path}/no/file:1M", text) == \
        f"ntmm: --pagefile {tmp_path}/no/file: No such file or directory"
    assert refusal("replay", "--pagefile", f"{tmp_path}:1M", text) == \
        f"ntmm: --pagefile {tmp_path}: Is a directory"
    (tmp_path / "link").symlink_to(tmp_path / "file")
    twice = [f"--pagefile={tmp_path}/{name}:1M" for name in ("file", "link")]
    assert "is a page file already" in refusal("replay", *twice, text)


def test_shortage_says_what_to_add(tmp_path):
    trace = write_trace(tmp_path, sweep(3000, 1))
    message = refusal("replay", "--ram", "1/4", trace)
    assert message.startswith("ntmm: --ram: ")
    needed = re.search(r"add memory, or --pagefile PATH:(\d+M)$", message)
    assert needed, message
    replay("--ram", "1/4", "--pagefile", f"memory:{needed[1]}", trace)
    message = refusal("replay", "--ram", "1/4", "--pagefile", "memory:1M", trace)
    assert re.search(r" KiB and 1024 KiB of page files .*--pagefile PATH:\d+M$", message)
