"""page_policies on the stored traces: what must hold whatever the figures are."""
import subprocess

import pytest
from conftest import COUNT_PAGES, STORED, judge

TOGETHER = [[path] for path in STORED] + [STORED]


@pytest.mark.full
@pytest.mark.parametrize("traces", TOGETHER, ids=lambda traces: "+".join(p.stem for p in traces))
def test_stored_traces(traces):
    pages = references = 0
    for path in traces:
        counted = subprocess.run([COUNT_PAGES, path], capture_output=True, check=True).stdout
        pages += int(counted.split()[0])
        references += int(counted.split()[1])
    shares = ["1/1", "1/2", "1/4", "1/8", "1/16"]
    report = judge(traces, shares)
    assert (report["pages"], report["references"]) == (pages, references)
    sizes = list(report["sizes"].values())
    assert list(report["sizes"]) == [pages // 2**i for i in range(5)]
    assert sizes[0]["lru_misses"] == sizes[0]["min_misses"] == pages
    for larger, smaller in zip(sizes, sizes[1:]):
        assert larger["lru_misses"] <= smaller["lru_misses"]
        assert larger["min_misses"] <= smaller["min_misses"]
    for size in sizes:
        assert pages <= size["min_misses"] <= size["lru_misses"]
        assert size["lru_missing_references"] <= size["lru_misses"]


@pytest.mark.full
def test_seed_changes_turns_and_not_pages():
    first, second = (judge(STORED, ["1/16"], "--seed", seed) for seed in (1, 2))
    assert first["pages"] == second["pages"]
    assert first["sizes"] != second["sizes"]
