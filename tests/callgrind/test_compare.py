"""Tests of compare.py: what it counts in a profile, and what it says of two tables."""
import json
import os

import compare

PROFILE = """\
# callgrind format
events: Ir

ob=(1) /somewhere/scenarios
fl=(1) file.c
fn=(1) run
10 100
11 20
cob=(2) /lib/libc.so.6
cfn=(2) memset
calls=3 0
12 5000
13 7
fi=(3) header.h
14 3
ob=(2)
fn=(2)
20 5000
ob=(1)
fn=(3) other
+3 70
totals: 5200
"""


def test_only_self_cost_of_the_program_counts():
    assert compare.own_instructions(PROFILE, "/elsewhere/scenarios") == 100 + 20 + 7 + 3 + 70


def test_growth_above_five_percent_fails():
    assert compare.judge({"a": 1000, "b": 1000}, {"a": 1051, "b": 1050}) == ["a"]


def test_shrinking_is_reported_and_no_failure(capsys):
    assert compare.judge({"a": 1000, "b": 1000}, {"a": 949, "b": 951}) == []
    said = capsys.readouterr().out.splitlines()
    assert "--update" in said[0] and "--update" not in said[1]


def test_table_and_scenarios_have_the_same_names():
    assert compare.judge({"a": 1}, {"b": 1}) == ["a", "b"]


def test_growth_with_regions_fails_beyond_its_factor():
    counts = {name: 100 for few, many, _ in compare.GROWTHS for name in (few, many)}
    assert compare.judge_growth(counts) == []
    few, many, factor = compare.GROWTHS[0]
    assert compare.judge_growth({**counts, many: 100 * factor + 1}) == [many]


def test_more_than_a_bar_fails():
    counts = dict(compare.BARS)
    assert compare.judge_bars(counts) == []
    name = "reserve_release_10"
    assert compare.judge_bars({**counts, name: counts[name] + 0.1}) == [name]


def test_another_compiler_is_skipped(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["compare.py", "--compiler", "none 0.0", "no-program"])
    assert compare.main() == compare.SKIPPED
    assert "skipped" in capsys.readouterr().out


def test_the_documentation_shows_the_table():
    with open(compare.TABLE) as file:
        table = compare.faults_table(json.load(file)["instructions"])
    docs = os.path.join(os.path.dirname(compare.TABLE), "..", "..", "docs", "performance.md")
    with open(docs) as file:
        assert table in file.read()
