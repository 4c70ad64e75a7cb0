"""Conversion: the same references come back; folding keeps what can fault."""
import re

import pytest
from conftest import count_pages, refusal, replay, run, run_well
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# A few pages with neighbours, near and far, so that runs, crossings and all deltas occur.
ADDRESSES = st.one_of(
    st.integers(0x400000, 0x403FFF), st.integers(0x1FFEFFE000, 0x1FFF000FFF),
    st.integers(0x10000, 0x7FFFFFF00000))
SIZES = st.one_of(st.integers(1, 16), st.sampled_from([32, 64, 108, 512, 4096]))
REFERENCES = st.lists(st.tuples(st.sampled_from(["I ", " L", " S", " M"]), ADDRESSES, SIZES),
                      min_size=1, max_size=300)
SETTINGS = settings(max_examples=60, deadline=None,
                    suppress_health_check=[HealthCheck.function_scoped_fixture])


def as_text(references):
    return "".join(f"{kind} {address:08x},{size}\n" for kind, address, size in references)


def need(kind):
    return {"I ": {"x"}, " L": {"r"}, " S": {"r", "w"}, " M": {"r", "w"}}[kind]


def folded(references):
    """The rule of docs/traces.md: (reference kept, number folded into it)."""
    kept = []
    page = None
    granted = set()
    for kind, address, size in references:
        pages = (address // 4096, (address + size - 1) // 4096)
        asks = {"w"} if "w" in need(kind) else need(kind)
        is_same = page is not None and pages == (page, page)
        if is_same and asks <= granted:
            kept[-1][1] += 1
            continue
        granted = (granted if is_same else set()) | need(kind)
        page = pages[0] if pages[0] == pages[1] else None
        kept.append([(kind, address, size), 0])
    return kept


@SETTINGS
@given(REFERENCES)
def test_round_trip(tmp_path, references):
    text = as_text(references)
    run_well("trace", "convert", "-", tmp_path / "t.ntt", input=text.encode())
    assert run_well("trace", "print", tmp_path / "t.ntt") == text


@SETTINGS
@given(REFERENCES)
def test_folding_follows_the_rule(tmp_path, references):
    run_well("trace", "convert", "--fold", "-", tmp_path / "t.ntt",
             input=as_text(references).encode())
    expected = "".join(as_text([reference]) + (f"==fold== {count}\n" if count else "")
                       for reference, count in folded(references))
    assert run_well("trace", "print", tmp_path / "t.ntt") == expected
    assert count_pages(tmp_path / "t.ntt")[1] == len(references)


@SETTINGS
@given(REFERENCES)
def test_folding_changes_no_fault(tmp_path, references):
    exact, fold = tmp_path / "exact.ntt", tmp_path / "fold.ntt"
    run_well("trace", "convert", "-", exact, input=as_text(references).encode())
    run_well("trace", "convert", "--fold", exact, fold)
    a, b = replay("--verify", exact), replay("--verify", fold)
    assert a["counters"] == b["counters"]
    assert a["memory"] == b["memory"]
    for field in ("references", "fetches", "loads", "stores", "modifies", "pages", "counters"):
        assert a["traces"][0][field] == b["traces"][0][field], field


def test_all_folded_into_one(tmp_path):
    run_well("trace", "convert", "--fold", "-", tmp_path / "t.ntt", input=b" S 10000,8\n" * 5000)
    assert run_well("trace", "print", tmp_path / "t.ntt") == " S 00010000,8\n==fold== 4999\n"
    report = replay("--verify", tmp_path / "t.ntt")
    assert (report["references"], report["traces"][0]["records"]) == (5000, 1)
    assert report["traces"][0]["stores"] == 5000


def test_info_counts(text, tmp_path):
    run_well("trace", "convert", text, tmp_path / "t.ntt")
    for path in (text, tmp_path / "t.ntt"):
        found = dict(re.findall(r"(\w+) +([\d,]+)$", run_well("trace", "info", path), re.M))
        assert found == {"references": "14", "records": "14", "fetches": "2", "loads": "6",
                         "stores": "4", "modifies": "2", "pages": "7", "KiB": "28"}


def test_runs_have_rights_and_stack(tmp_path):
    lines = (" S 1fff000ff8,8\nI  00401000,3\nI  00402000,3\n L 00403000,8\n M 00405000,8\n"
             "I  00406000,1\n S 00406000,1\n L 1ffeffff00,8\n")
    run_well("trace", "convert", "-", tmp_path / "t.ntt", input=lines.encode())
    out = run_well("trace", "info", "--runs", tmp_path / "t.ntt").splitlines()[-6:]
    assert [line.split() for line in out] == [
        ["0000000000401000", "2", "pages", "--x"],
        ["0000000000403000", "1", "pages", "r--"],
        ["0000000000405000", "1", "pages", "rw-"],
        ["0000000000406000", "1", "pages", "rwx"],
        ["0000001ffefff000", "1", "pages", "r--", "stack"],
        ["0000001fff000000", "1", "pages", "rw-", "stack"]]


def test_limit(text, tmp_path):
    run_well("trace", "convert", "--limit", "3", text, tmp_path / "t.ntt")
    assert run_well("trace", "print", tmp_path / "t.ntt") == (
        "I  00401000,3\n L 1ffefff8,8\n S 1ffefff0,8\n")


def test_folded_cannot_be_unfolded_or_cut(text, tmp_path):
    run_well("trace", "convert", "--fold", text, tmp_path / "t.ntt")
    for option in (["--exact"], ["--limit", "3"]):
        assert "is folded" in refusal("trace", "convert", *option, tmp_path / "t.ntt",
                                      tmp_path / "u.ntt")
    run_well("trace", "convert", tmp_path / "t.ntt", tmp_path / "u.ntt")
    assert (tmp_path / "t.ntt").read_bytes() == (tmp_path / "u.ntt").read_bytes()


@pytest.mark.full
def test_many_blocks(tmp_path):
    """More records than a block holds; prediction runs on."""
    text = "".join(f"I  {0x400000 + 3 * (i % 5000):08x},3\n L {0x800000 + 8 * i % 999983:08x},8\n"
                   for i in range(700000))
    run_well("trace", "convert", "-", tmp_path / "t.ntt", input=text.encode())
    assert run_well("trace", "print", tmp_path / "t.ntt") == text


def test_help_and_version():
    for command in ("replay", "record", "trace"):
        assert run_well("help", command).startswith("usage: ntmm " + command)
    assert run_well("--version").startswith("ntmm ")
    assert run().returncode == 2
