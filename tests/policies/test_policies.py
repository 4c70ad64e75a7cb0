"""page_policies against answers known from textbooks and against naive.py."""
import json
import random
import subprocess

import naive
import pytest
from conftest import NTMM, PAGE, PAGE_POLICIES, STORED, judge, page_policies, write_lackey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

KINDS = "ILSM"


def string_of_pages(pages):
    return [("L", page * PAGE, 1) for page in pages]


# Reference string, frames, LRU's misses, MIN's. The first is Belady's, with which FIFO grows worse
# by a frame (9, then 10 misses); the second is that of Silberschatz, Galvin and Gagne, "Operating
# System Concepts", chapter on virtual memory: LRU 12, optimal 9.
BELADY = [1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5]
SILBERSCHATZ = [7, 0, 1, 2, 0, 3, 0, 4, 2, 3, 0, 3, 2, 1, 2, 0, 1, 7, 0, 1]
KNOWN = [
    (BELADY, 1, 12, 12), (BELADY, 3, 10, 7), (BELADY, 4, 8, 6), (BELADY, 5, 5, 5),
    (BELADY, 9, 5, 5),
    (SILBERSCHATZ, 3, 12, 9),
    ([1, 1, 1, 1], 1, 1, 1),
    ([1, 2, 1, 2, 1, 2], 1, 6, 6), ([1, 2, 1, 2, 1, 2], 2, 2, 2),
    # A loop over one page more than fits: LRU misses always; MIN keeps two of the three that fit.
    ([1, 2, 3, 4] * 3, 3, 12, 6),
]


@pytest.mark.parametrize("pages, frames, lru, least", KNOWN)
def test_known_answers(tmp_path, pages, frames, lru, least):
    path = write_lackey(tmp_path / "t", string_of_pages(pages))
    size = judge([path], [frames])["sizes"][frames]
    assert size == {"lru_misses": lru, "lru_missing_references": lru, "min_misses": least}


def test_crossing_uses_both_pages_low_one_first(tmp_path):
    """1, 2 by one reference, 1, 2 again: with one frame all four miss, in three references."""
    path = write_lackey(tmp_path / "t", [("S", 0x1ffe, 4), ("L", 0x1000, 1), ("L", 0x2000, 1)])
    report = judge([path], [1, 2])
    assert (report["pages"], report["references"]) == (2, 3)
    assert report["sizes"][1] == {
        "lru_misses": 4, "lru_missing_references": 3, "min_misses": 4}
    assert report["sizes"][2] == {
        "lru_misses": 2, "lru_missing_references": 1, "min_misses": 2}
    path = write_lackey(tmp_path / "t", [("S", 0x1ffe, 4), ("L", 0x2000, 1), ("L", 0x1000, 1)])
    assert judge([path], [1])["sizes"][1]["lru_misses"] == 3


def test_data_leaves_fetches_out(tmp_path):
    path = write_lackey(tmp_path / "t", [
        ("I", 0x1000, 4), ("L", 0x2000, 4), ("I", 0x1004, 4), ("S", 0x2000, 4), ("M", 0x3000, 4)])
    report = judge([path], [1], "--data")
    assert (report["pages"], report["references"], report["sizes"][1]["lru_misses"]) == (2, 3, 2)
    assert judge([path], [1])["sizes"][1]["lru_misses"] == 5


def test_same_page_of_two_programs_is_two_pages(tmp_path):
    path = write_lackey(tmp_path / "t", string_of_pages([1, 2, 3]))
    report = judge([path, path], [6])
    assert (report["pages"], report["sizes"][6]["lru_misses"]) == (6, 6)
    assert [trace["pages"] for trace in report["traces"]] == [3, 3]


def test_many_pages_of_many_programs(tmp_path):
    paths = [write_lackey(tmp_path / str(index), string_of_pages([*range(5000), *range(5000)]))
             for index in range(4)]
    report = judge(paths, [4999, 20000])
    assert [trace["pages"] for trace in report["traces"]] == [5000] * 4
    assert report["sizes"][20000]["lru_misses"] == report["sizes"][20000]["min_misses"] == 20000
    # Each program is done in one turn: a loop over 5,000 pages, twice, always misses with 4,999.
    assert report["sizes"][4999]["lru_misses"] == 40000


def test_shares_of_the_pages(tmp_path):
    path = write_lackey(tmp_path / "t", string_of_pages(range(11)))
    assert list(judge([path], ["1/2", "3", "1/11", "1/100"])["sizes"]) == [5, 3, 1]
    assert "          5             11             11             11\n" in \
        page_policies("--frames", "1/2", path)


def records(pages):
    return st.tuples(
        st.sampled_from(KINDS), st.integers(0, pages * PAGE - 1),
        st.sampled_from([1, 4, 8, 64, 512, 4096]))


def compare(directory, traces, seed, frames, *options):
    paths = [write_lackey(directory / f"{index}.lackey", trace)
             for index, trace in enumerate(traces)]
    order = naive.references(traces, seed, "--data" in options)
    report = judge(paths, frames, "--seed", seed, *options)
    assert report["references"] == len(order)
    assert report["pages"] == len({page for pages in order for page in pages})
    for count in frames:
        misses, missing_references = naive.lru(order, count)
        assert report["sizes"][count] == {
            "lru_misses": misses, "lru_missing_references": missing_references,
            "min_misses": naive.belady(order, count)}
    return order


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(traces=st.lists(st.lists(records(9), max_size=60), min_size=1, max_size=4),
       seed=st.integers(0, 2**64 - 1), options=st.sampled_from([[], ["--data"]]))
def test_small_traces_against_naive(tmp_path_factory, traces, seed, options):
    compare(tmp_path_factory.mktemp("t"), traces, seed, range(1, 12), *options)


@settings(max_examples=60, deadline=None)
@given(pages=st.lists(st.integers(0, 5), max_size=16), frames=st.integers(1, 5))
def test_min_is_the_least(tmp_path_factory, pages, frames):
    path = write_lackey(tmp_path_factory.mktemp("t") / "t", string_of_pages(pages))
    least = naive.fewest_misses([[page] for page in pages], frames)
    assert judge([path], [frames])["sizes"][frames]["min_misses"] == least


def walk(source, length, pages):
    """Records with locality: near the last page as a rule, at times anywhere."""
    trace = []
    page = 0
    for _ in range(length):
        page = source.choice([page, page, (page + 1) % pages, source.randrange(pages)])
        trace.append((source.choice(KINDS), page * PAGE + source.randrange(PAGE), 8))
    return trace


@pytest.mark.parametrize("seed, lengths, pages", [
    (1, [20000], 2500), (2, [60000, 20000], 40), (3, [40000, 1, 50000], 300)])
def test_larger_traces_against_naive(tmp_path, seed, lengths, pages):
    """More pages than the front of the stack, more slots than the first; turns in earnest."""
    source = random.Random(seed)
    traces = [walk(source, length, pages) for length in lengths]
    compare(tmp_path, traces, seed, [1, 2, 33, pages // 2, pages])


def turns_of(seed, *paths):
    return [tuple(map(int, line.split()))
            for line in page_policies("--turns", "--seed", seed, *paths).splitlines()]


def test_turns_are_those_of_naive(tmp_path):
    lengths = [70000, 5, 33000]
    paths = [write_lackey(tmp_path / str(index), [("L", 0x10000, 8)] * length)
             for index, length in enumerate(lengths)]
    for seed in (0, 1, 2**64 - 1):
        assert [(program, first, count) for _, program, first, count in turns_of(seed, *paths)] \
            == list(naive.turns(lengths, seed))


def replayed_at(number, seed, paths):
    """Which reference a replay has reached after so many: the one that sees a planted error."""
    done = subprocess.run(
        [NTMM, "replay", "--verify", "--seed", str(seed), "--corrupt-reference", str(number),
         *map(str, paths)], capture_output=True)
    assert done.returncode == 1, done.stderr
    name, where = done.stderr.decode().split(": reference ")
    return [str(path) for path in paths].index(name), int(where.split(":")[0])


def first_turn_of_first(programs, seed):
    """Records that the first program's first turn takes, if it has enough."""
    for program, _, count in naive.turns([1 << 40] * programs, seed):
        if program == 0:
            return count


@pytest.mark.parametrize("seed, others", [(1, [150000]), (7, [70001, 50000]), (2**63, [50000] * 3)])
def test_turns_are_those_of_the_replay(tmp_path, seed, others):
    """Each trace reads one page again and again, so that an error is seen by the very next load.

    The first trace ends with a turn, so it is drawn once more, for a turn without a reference.
    """
    lengths = [first_turn_of_first(1 + len(others), seed), *others]
    paths = [write_lackey(tmp_path / f"{index}.lackey", [("L", 0x10000, 8)] * length)
             for index, length in enumerate(lengths)]
    turns = turns_of(seed, *paths)
    assert (0, lengths[0], 0) in [turn[1:] for turn in turns]
    turns = [turn for turn in turns if turn[3] != 0]
    assert len(turns) >= 6
    for before, program, first, count in turns:
        for step in {min(1, count - 1), count - 1}:
            if first + step != 0:  # the page of a first reference is not in RAM yet
                assert replayed_at(before + step, seed, paths) == (program, first + step + 1)


@pytest.mark.parametrize("arguments", [
    [], ["--frames"], ["--frames", "0"], ["--frames", "3,"], ["--frames", "1/0"],
    ["--frames", "-1"], ["--seed", "x"], ["--seed", "1x"], ["--nonsense"], ["/nowhere"]])
def test_nonsense_is_refused(tmp_path, arguments):
    path = write_lackey(tmp_path / "t", string_of_pages([1]))
    names = [] if arguments in ([], ["/nowhere"]) else [str(path)]
    done = subprocess.run([PAGE_POLICIES, *arguments, *names], capture_output=True)
    assert done.returncode == 2 and done.stdout == b"" and done.stderr != b""


@pytest.mark.parametrize("text", [" X 1000,4\n", " L zz,4\n", " L 1000,0\n", "\n", "I\n"])
def test_damaged_text_is_refused(tmp_path, text):
    (tmp_path / "t").write_text(text)
    assert subprocess.run([PAGE_POLICIES, tmp_path / "t"], capture_output=True).returncode == 2


def test_damaged_binary_is_refused(tmp_path):
    whole = min(STORED, key=lambda path: path.stat().st_size).read_bytes()
    (tmp_path / "t").write_bytes(whole[:len(whole) // 2])
    assert subprocess.run([PAGE_POLICIES, tmp_path / "t"], capture_output=True).returncode == 2


def test_folding_changes_no_misses(tmp_path):
    """A folded trace keeps the first reference of each run of references to a page."""
    runs = [("L", page * PAGE, 8) for page in range(200, 320) for _ in range(page)]
    walked = walk(random.Random(4), 50000, 100)
    path = write_lackey(tmp_path / "t", runs + walked)
    exact, fold = tmp_path / "e.ntt", tmp_path / "f.ntt"
    for option, out in (("--exact", exact), ("--fold", fold)):
        subprocess.run([NTMM, "trace", "convert", option, path, out], check=True)
    expected = judge([path], [3, 10, 50])
    for out in (exact, fold):
        report = judge([out], [3, 10, 50])
        assert report["sizes"] == expected["sizes"]
        assert report["references"] == expected["references"] == len(runs) + len(walked)
    done = subprocess.run([PAGE_POLICIES, "--data", fold], capture_output=True)
    assert done.returncode == 2


def test_name_in_json(tmp_path):
    path = write_lackey(tmp_path / 'a"b\\c\u00e9', string_of_pages([1]))
    report = json.loads(page_policies("--json", path))
    assert report["traces"][0]["name"].endswith("/a?b?c??")
