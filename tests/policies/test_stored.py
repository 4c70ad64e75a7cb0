"""page_policies on the stored traces: what must hold whatever the figures are."""
import subprocess

import pytest
from conftest import COUNT_PAGES, STORED, judge

# Distinct pages; frames, misses of LRU and of MIN at a half, a quarter, an eighth of them; turns of
# seed 1. Computed once by naive.py's way as well, which takes minutes.
FIGURES = {
    "cc1": (3225, (1612, 3572, 3225), (806, 5668, 3971), (403, 8711, 5929)),
    "perl": (4347, (2173, 4563, 4347), (1086, 4563, 4347), (543, 4563, 4347)),
    "sqlite3": (626, (313, 663, 626), (156, 1859, 1085), (78, 4470, 2760)),
    "cc1+perl+sqlite3": (8198, (4099, 9066, 8198), (2049, 9288, 8198), (1024, 11264, 8909)),
}
TOGETHER = [[path] for path in STORED] + [STORED]


def name_of(traces):
    return "+".join(path.stem for path in traces)


@pytest.mark.full
@pytest.mark.parametrize("traces", TOGETHER, ids=name_of)
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
    assert FIGURES[name_of(traces)] == (
        report["pages"], *((frames, size["lru_misses"], size["min_misses"])
                           for frames, size in list(report["sizes"].items())[1:4]))


@pytest.mark.full
def test_seed_changes_turns_and_not_pages():
    first, second = (judge(STORED, ["1/16"], "--seed", seed) for seed in (1, 2))
    assert first["pages"] == second["pages"]
    assert first["sizes"] != second["sizes"]
