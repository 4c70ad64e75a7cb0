"""Paging, against figures that no part of it computes: LRU and MIN over the same references.

F is the most frames that held pages of the programs, on any list, as the replay reports it. Page
loads are demand-zero faults and pages read.
"""
import json
import subprocess

import pytest

from conftest import NTMM, STORED, judge

QUICK = "sqlite3.ntt"
PARTS = ["1/2", "1/4", "1/8"]
CASES = [pytest.param([trace], part, id=f"{trace.stem}-{part}",
                      marks=[] if trace.name == QUICK else [pytest.mark.full])
         for trace in STORED for part in PARTS]
CASES += [pytest.param(STORED, part, id=f"all-{part}", marks=[pytest.mark.full]) for part in PARTS]


def replay(traces, part, read_ahead):
    done = subprocess.run([NTMM, "replay", "--ram", part, "--pagefile", "memory:64M",
                           "--read-ahead", read_ahead, "--json", "-", *map(str, traces)],
                          capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.mark.parametrize("traces,part", CASES)
def test_one_page_at_a_time_is_close_to_lru(traces, part):
    report = replay(traces, part, "off")
    counters = report["counters"]
    frames = report["memory"]["user_peak_pages"]
    size = judge(traces, [frames], "--seed", "1")["sizes"][frames]
    faults = counters["demand_zero_faults"] + counters["hard_faults"]
    print(f"F {frames}: {faults} faults, LRU {size['lru_misses']}, MIN {size['min_misses']}")
    assert counters["hard_faults"] > 0
    assert counters["demand_zero_faults"] + counters["pages_read"] >= size["min_misses"]
    assert faults <= 1.25 * size["lru_misses"]


@pytest.mark.parametrize("traces,part", CASES)
def test_read_ahead_saves_faults_and_reads_at_most_double(traces, part):
    alone, ahead = (replay(traces, part, pages)["counters"] for pages in ("off", "8"))
    print(f"hard {alone['hard_faults']} -> {ahead['hard_faults']}, "
          f"pages {alone['pages_read']} -> {ahead['pages_read']}")
    assert ahead["hard_faults"] < alone["hard_faults"]
    assert ahead["pages_read"] <= 2 * alone["pages_read"]
