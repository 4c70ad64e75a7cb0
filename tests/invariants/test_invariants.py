"""docs/INVARIANTS.md agrees with the tree: with what headers define, what the checker reports, and
what tests break."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
NUMBER = r"(?:PR|GT|JB|OB|CA|PT|CL|RD|[A-Z])\d{1,2}"


def numbers_in(files, pattern):
    found = set()
    for file in files:
        found |= set(re.findall(pattern, file.read_text(), re.MULTILINE))
    return found


def rows():
    """Number to (text, kept by), from the document's tables."""
    text = (ROOT / "docs/INVARIANTS.md").read_text()
    found = re.findall(rf"^\| ({NUMBER}) \| (.+?) \| (.+?) \|", text, re.MULTILINE)
    numbers = [number for number, _, _ in found]
    assert len(numbers) == len(set(numbers)), "a number stands in the document twice"
    return {number: (text, kept) for number, text, kept in found}


def reported():
    return numbers_in((ROOT / "core/inspect").glob("*.c"), rf'"({NUMBER})"')


def defined():
    """Numbers that open a line of a comment, or follow the end of another's sentence."""
    return numbers_in((ROOT / "core").rglob("*.[ch]"), rf"^ \* +({NUMBER}) +[A-Za-z`]")


def kept_by_checker():
    return {number for number, (_, kept) in rows().items() if "checker" in kept}


def test_what_the_checker_reports_is_documented():
    assert reported(), "core/inspect reports nothing?"
    assert reported() == kept_by_checker()


def test_what_the_sources_define_is_documented():
    assert defined() - rows().keys() == set()
    assert rows().keys() - defined() == set()


def test_every_number_of_the_checker_is_broken_by_a_test():
    tests = (ROOT / "tests/unit").glob("test_check_*.c")
    broken = numbers_in(tests, rf'"({NUMBER})",')
    assert reported() - broken == set()


def test_tests_that_the_document_names_exist():
    missing = []
    for number, (_, kept) in rows().items():
        for name in re.findall(r"\btest_\w+", kept):
            if not list((ROOT / "tests").glob(f"*/{name}*.c")):
                missing.append((number, name))
    assert missing == []
