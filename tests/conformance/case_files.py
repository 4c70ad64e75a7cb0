"""Reads files of cases (format: docs/conformance.md) and rows.txt for the scripts beside it."""
import pathlib
import re
from dataclasses import dataclass, field

FOLDER = pathlib.Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
SETTINGS = ("commit-limit", "build", "policy", "needs")
ROW = re.compile(r"\d+\.\d+#\w+")


@dataclass
class Step:
    """A line that calls something: its words, and what is expected as one text, or None."""
    line: int
    words: list
    expected: str | None

    @property
    def text(self):
        return " ".join(self.words)


@dataclass
class Case:
    file: str
    line: int
    name: str
    mark: str = ""
    sources: list = field(default_factory=list)
    covers: list = field(default_factory=list)
    settings: list = field(default_factory=list)
    steps: list = field(default_factory=list)
    map: list = field(default_factory=list)

    def rows(self):
        """Every row that the case names, and both rows of every pair."""
        found = set()
        for name in self.covers + [s for s in self.sources if ROW.fullmatch(s)]:
            chapter, _, rest = name.partition("#")
            found |= {f"{chapter}#{part}" for part in rest.split("<")}
        return found

    def pairs(self):
        return {name for name in self.covers if "<" in name}


UNIT_TEST = re.compile(
    r"/\*((?:(?!\*/).)*?\bcovers [^*]*)\*/\s*static void (\w+)\(void \*\*state\)", re.S)


def read_unit_tests(path):
    """Tests that name rows in the comment above them: "covers ROW...", as cases without steps."""
    tests = []
    for comment, name in UNIT_TEST.findall(path.read_text()):
        rows = comment.partition("covers ")[2].replace("*", " ").split()
        tests.append(Case(path.name, 0, f"{path.stem}: {name}", mark="T", covers=rows))
    return tests


def all_unit_tests():
    return [test for path in sorted((ROOT / "tests/unit").glob("test_*.c"))
            for test in read_unit_tests(path)]


def case_paths():
    return sorted(FOLDER.glob("*.cases"))


def read_cases(path):
    """The cases of a file, in its order."""
    cases = []
    for number, raw in enumerate(path.read_text().splitlines(), 1):
        words = raw.split("#", 1)[0].split() if not raw.split()[:1] in (["covers"], ["source"]) \
            else raw.split()
        if not words:
            continue
        verb, rest = words[0], words[1:]
        if verb == "case":
            cases.append(Case(path.name, number, rest[0]))
        elif verb == "source":
            cases[-1].mark, cases[-1].sources = rest[0], rest[1:]
        elif verb == "covers":
            cases[-1].covers += rest
        elif verb in SETTINGS:
            cases[-1].settings.append(words)
        elif verb == "map":
            cases[-1].map.append(" ".join(rest))
        else:
            cases[-1].steps.append(step_of(number, words))
    return cases


def step_of(number, words):
    if "=" not in words:
        return Step(number, words, None)
    at = words.index("=")
    return Step(number, words[:at], " ".join(words[at + 1:]))


def all_cases():
    return [case for path in case_paths() for case in read_cases(path)]


@dataclass
class Row:
    name: str
    mark: str
    words: str


def read_rows():
    """The rows in order, and the pairs "CHAPTER#A<B" that orders of checks ask for."""
    rows, pairs = [], []
    for raw in (FOLDER / "rows.txt").read_text().splitlines():
        if not raw or raw.startswith("# ") or raw == "#":
            continue
        first, second, rest = (raw.split(None, 2) + [""])[:3]
        if first == "order":
            numbers = rest.split()
            pairs += [f"{second}#{a}<{b}" for a, b in zip(numbers, numbers[1:])]
        else:
            rows.append(Row(first, second, rest))
    return rows, pairs


def read_reasons(name):
    """A file of lines "SUBJECT | REASON", as a dictionary."""
    found = {}
    for raw in (FOLDER / name).read_text().splitlines():
        if raw and not raw.startswith("# "):
            subject, _, reason = (part.strip() for part in raw.partition("|"))
            assert subject not in found and reason, f"{name}: {raw}"
            found[subject] = reason
    return found
