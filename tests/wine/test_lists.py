"""What can be said of the comparison with Wine without running it."""
import differences as d
import generate


def test_every_listed_difference_has_a_reason():
    assert [x.line() for x, key in d.with_reasons(d.read_listed()) if key is None] == []


def test_every_reason_is_needed():
    used = {key for _, key in d.with_reasons(d.read_listed())}
    assert [key for key, _, _ in d.read_reasons() if key not in used] == []


def test_the_section_of_the_fidelity_page_is_current():
    assert d.is_section_current(), "run tests/wine/compare.py --update"


def test_every_case_becomes_a_table_or_is_skipped_with_a_reason():
    skips = generate.Skips()
    text = generate.source(generate.all_cases(), skips)
    assert text.count("static const struct step steps_") > 50
    assert skips.unused() == []


def test_names_are_those_of_the_model():
    assert ("RESERVE", 0x2000) in generate.TYPES
    assert ("CONFLICTING_ADDRESSES", 0xC0000018) in generate.STATUSES
    assert generate.bits("READWRITE|GUARD", generate.PROTECTIONS) == 0x104


def output(*lines):
    return d.read_output("\n".join(lines) + "\n")


def test_a_difference_is_found_and_named():
    ours = output("case a", "  free 0 0 RELEASE = MEMORY_NOT_ALLOCATED", "map none")
    theirs = output("case a", "  free 0 0 RELEASE = INVALID_PARAMETER", "map none")
    found, lines, skipped = d.compare(ours, theirs)
    assert [x.line() for x in found] == [
        "a | free 0 0 RELEASE | MEMORY_NOT_ALLOCATED | INVALID_PARAMETER"]
    assert (lines, skipped) == (2, 0)


def test_a_skipped_case_is_counted_and_not_compared():
    ours = output("case a", "  restart", "case b", "  free 0 0 RELEASE = SUCCESS 0 0")
    theirs = output("case a", "  skipped: the end of the process", "case b",
                    "  free 0 0 RELEASE = SUCCESS 0 0")
    assert d.compare(ours, theirs) == ([], 1, 1)


def test_a_later_difference_follows_from_an_earlier_one():
    first = d.Difference("a", "free 0x50000000 0x1000 RELEASE", "SUCCESS 0x50000000 0x1000",
                         "INVALID_PARAMETER")
    later = d.Difference("a", "read 0x50000000 1", "ACCESS_VIOLATION 0 0x50000000", "SUCCESS 00")
    alone = d.Difference("b", "read 0x50000000 1", "ACCESS_VIOLATION 0 0x50000000", "SUCCESS 00")
    assert [key for _, key in d.with_reasons([first, later, alone])] == [
        "partial-release", d.FOLLOWS, None]


def test_the_end_of_an_empty_address_space_is_not_compared():
    result = "SUCCESS 0x50001000 0 0 0x7FFFAFFDF000 FREE NOACCESS 0"
    found = d.comparable("query 0x50001000", result, result.replace("0x7FFFAFFDF000", "0x2000"))
    assert found[0] == found[1]
