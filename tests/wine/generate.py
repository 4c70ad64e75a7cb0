#!/usr/bin/env python3
"""Turns tests/conformance/*.cases into the tables of case_table.h.

usage: generate.py OUTPUT.c

Words become numbers by the tables of tests/model/words.c. skips.txt says which cases and which
steps a real process cannot run, and why. A step that the program does not have skips its case.
"""
import fnmatch
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests/conformance"))
from case_files import all_cases  # noqa: E402

WINDOW = range(0x40000000, 0x7F000000)
SLOT = 0x10000
CALLERS = ["live", "other", "null", "stale", "wrong-kind"]

# What the words of a step are: A address, P pointer to an address, N number, S pointer to a
# number, T type, R protection, W caller, B bytes, C count of bytes to read, O "NULL" or nothing,
# X extended parameters to the end, K kind of access, H handle, D handle that is made, F and Z
# rights of a file and a section, G attributes, M access of MapViewOfFile, E status, U flags of
# unmapping or nothing, Y type, zero bits, size to commit and disposition of a view, as options to
# the end.
VERBS = {
    "as": "W",
    "allocate": "PNSTR",
    "allocate-ex": "PSTRX",
    "free": "PST",
    "protect": "PSRO",
    "query": "P",
    "query-class": "NANO",
    "read": "AC",
    "read-number": "A",
    "write": "AB",
    "execute": "AC",
    "fault": "AK",
    "read-memory": "ANO",
    "write-memory": "ANNO",
    "lock": "PSN",
    "unlock": "PSN",
    "get-watch": "ANNNO",
    "reset-watch": "AN",
    "create-file": "DFN",
    "create-image": "DF",
    "open-file": "DHF",
    "close-file": "H",
    "file-size": "H",
    "set-file-size": "HN",
    "read-file": "HNNO",
    "write-file": "HNB",
    "flush-file": "HNN",
    "create-section": "DZSRGH",
    "duplicate-section": "DHZ",
    "close-section": "H",
    "query-section": "HNNO",
    "extend-section": "HS",
    "map-view": "HPSSRY",
    "map-view-ex": "HPSSTRX",
    "unmap-view": "AU",
    "flush": "PS",
    "same-file": "AA",
    "virtual-free": "ANT",
    "write-process-memory": "ANN",
    "map-view-of-file": "HMNNA",
    "error-of": "E",
}
# Words behind those, of which the program knows nothing: option or its beginning to reason.
OPTIONS = {
    "name:": "names of sections live in directories of objects",
    "valid:": "valid data needs a privilege",
    "no-sections": "a file of its own kind",
}
DEFAULTS = {"get-watch": ["0", "32", "-"]}  # of the words that may be missing at the end
PARAMETERS = ["", "requirements", "node", "partition", "physical", "attributes"]
UNKNOWN = "the Windows program does not have the step {}"
# Verbs with which the system chooses a place, and which word is 0 for it.
PLACED = {"allocate": 1, "allocate-ex": 1, "map-view": 2, "map-view-ex": 2}


def constants():
    """NT's names to values, from the headers that the model and the cases use."""
    found = {}
    for path in (ROOT / "tests/model/nt.h", ROOT / "core/include/ntmm/status.h"):
        for name, value in re.findall(r"#define (\w+) (0x[0-9A-Fa-f]+)u", path.read_text()):
            found[name] = int(value, 16)
    return found


def names_of(table):
    """[(text, value)] of a table of words.c."""
    text = (ROOT / "tests/model/words.c").read_text()
    body = re.search(rf"static const struct name {table}\[\] = \{{(.*?)\n\}};", text, re.S).group(1)
    values = constants()
    return [(word, values[name]) for name, word in re.findall(r'\{(\w+), "(\w+)"\}', body)]


STATUSES, PROTECTIONS, TYPES = map(names_of, ("STATUSES", "PROTECTIONS", "TYPES"))
KINDS, ATTRIBUTES = map(names_of, ("KINDS", "ATTRIBUTES"))
FILE_RIGHTS, SECTION_RIGHTS = map(names_of, ("FILE_RIGHTS", "SECTION_RIGHTS"))
MAP_ACCESSES, ERRORS = map(names_of, ("MAP_ACCESSES", "ERRORS"))
NAMES = {"T": TYPES, "R": PROTECTIONS, "F": FILE_RIGHTS, "Z": SECTION_RIGHTS, "G": ATTRIBUTES,
         "U": TYPES, "M": MAP_ACCESSES, "E": STATUSES}


def number(word):
    return int(word, 0)


def bits(word, names):
    values = dict(names)
    total = 0
    for part in word.split("|"):
        total |= values[part] if part in values else number(part)
    return total


class Skips:
    """skips.txt: "case PATTERN | REASON", "verb NAME | REASON", "set NAME | REASON"."""

    def __init__(self):
        self.lines = []
        for raw in (HERE / "skips.txt").read_text().splitlines():
            if raw and not raw.startswith("#"):
                subject, _, reason = raw.partition("|")
                kind, name = subject.split()
                self.lines.append((kind, name, reason.strip()))
        self.used = set()

    def find(self, kind, name):
        for line in self.lines:
            if line[0] == kind and fnmatch.fnmatchcase(name, line[1]):
                self.used.add(line)
                return line[2]
        return None

    def unused(self):
        return [line for line in self.lines if line not in self.used]


def is_named(word):
    """Whether a word is what a name stands for, which nobody knows before the case runs."""
    return word.startswith("@")


def span(step):
    """[base, size] of memory that a step is expected to allocate or to change, or None."""
    words = (step.expected or "").split()
    if any(is_named(word) for word in words[1:2] + step.words[1:2]):
        return None
    if step.words[0] in ("allocate", "allocate-ex", "free", "protect") and words[:1] == ["SUCCESS"]:
        return number(words[1]), max(number(words[2]), 1)
    if step.words[0] in ("map-view", "map-view-ex") and words[:1] == ["SUCCESS"]:
        return number(words[1]), max(number(words[3]), 1)
    if step.words[0] in ("read", "write", "execute") and words[:1] != ["ACCESS_VIOLATION"]:
        return number(step.words[1]), 1
    return None


def floats(case):
    """[(expected base, size)] of what the system places in a case."""
    return [span(step) for step in case.steps if is_placed(step)]


def is_placed(step):
    return (step.words[0] in PLACED and step.words[PLACED[step.words[0]]] == "0" and
            (step.expected or "").startswith("SUCCESS") and span(step) is not None)


def up(size):
    return -(-size // SLOT) * SLOT


def float_of(address, places):
    return next((base for base, size in places if base <= address < base + up(size)), None)


def why_skipped(case, skips):
    """The reason, or None."""
    reason = skips.find("case", case.name)
    for words in case.settings:
        found = skips.find("set", words[0])
        reason = reason or found
    places = floats(case)
    who = "live"
    for step in case.steps:
        verb = step.words[0]
        if verb == "as":
            who = step.words[1]
            found = skips.find("as", who)
            reason = reason or found
        elif verb not in VERBS:
            found = skips.find("verb", verb) or UNKNOWN.format(verb)
            reason = reason or found
        else:
            reason = reason or unknown_option(step)
        if who != "live" and verb in ("read", "write", "execute", "fault"):
            reason = reason or "an instruction of another process"
        where = span(step)
        if where and who != "other" and not is_placed(step) and not is_reachable(*where, places):
            reason = reason or "needs an address that a process of Windows has in use"
    return reason


def unknown_option(step):
    if step.words[0] not in ("create-file", "create-section"):
        return None
    return next((why for word in step.words[4:] for option, why in OPTIONS.items()
                 if word.startswith(option)), None)


def is_reachable(base, size, places):
    return (base in WINDOW and base + size in WINDOW) or float_of(base, places) is not None


def argument(kind, word):
    """(value, is NULL) of a word."""
    if word == "NULL" or kind == "X":
        return 0, True
    if is_named(word):
        return 0, False
    if kind in "APNSC":
        return number(word), False
    if kind in NAMES:
        return bits(word, NAMES[kind]), False
    if kind == "K":
        return ["read", "write", "execute"].index(word), False
    return (CALLERS.index(word) if kind == "W" else 0), False


def handle(word, names):
    """The number of a handle's name; it gets one when it is first made."""
    if word in ("none", "process"):
        return ["none", "process"].index(word)
    return names.setdefault(word, len(names) + 2)


def view_options(words):
    """Type, zero bits, size to commit and disposition of map-view."""
    options = dict(word.split(":", 1) for word in words)
    return [(bits(options.get("type", "0"), TYPES), False)] + [
        (number(options.get(name, default)), False)
        for name, default in (("zero-bits", "0"), ("commit", "0"), ("inherit", "1"))]


def pairs_of(step, kinds, names):
    """[(value, is NULL)] of all words."""
    pairs = []
    for kind, word in zip(kinds, words_of(step, kinds)):
        if kind == "H" or (kind == "D" and word != "NULL"):
            pairs.append((handle(word, names), False))
        elif kind != "Y":
            pairs.append(argument(kind, word))
    return pairs + (view_options(step.words[6:]) if "Y" in kinds else [])


def bytes_of(step, kinds):
    """(bytes to write, how many to write or read)."""
    if "B" in kinds:
        word = step.words[1 + kinds.index("B")]
        data = bytes.fromhex("" if word == "NULL" else word)
        return data, len(data)
    if "C" in kinds:
        expected = (step.expected or "").split()
        said = number(step.words[2]) if len(step.words) > 2 else None
        return b"", said or (len(expected[1]) // 2 if len(expected) > 1 else 1) or 1
    return b"", 0


def parameter(word):
    """A row of struct parameter for "NAME:VALUE..." or "TYPE:VALUE"."""
    name, _, rest = word.partition(":")
    kind = PARAMETERS.index(name) if name in PARAMETERS else number(name)
    values = [0, 0, 0] if rest in ("NULL", "") else ([number(x) for x in rest.split(":")] + [0] * 3)
    fields = ", ".join(f"{value:#x}u" for value in [kind] + values[:3])
    return f"{{{fields}, {int(rest == 'NULL')}}}"


def parameters_of(step, kinds):
    """(the C array or 0, how many)."""
    if "X" not in kinds:
        return "0", 0
    words = step.words[1 + kinds.index("X"):]
    if words and words[0].startswith("NULL:"):
        return "0", number(words[0][5:])
    rows = ", ".join(map(parameter, words)) or "{0}"
    return f"(const struct parameter[]){{{rows}}}", len(words)


def words_of(step, kinds):
    """The words with those that the file leaves out."""
    words = step.words[1:]
    missing = len(kinds) - len(words)
    return words + DEFAULTS[step.words[0]][-missing:] if step.words[0] in DEFAULTS and missing > 0 \
        else words


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def step_row(step, places, names):
    kinds = VERBS[step.words[0]]
    pairs = pairs_of(step, kinds, names)
    values = ", ".join(f"{value:#x}u" for value, _ in pairs)
    nulls = sum(1 << at for at, (_, is_null) in enumerate(pairs) if is_null)
    named = sum(1 << at for at, word in enumerate(step.words[1:]) if is_named(word))
    data, size = bytes_of(step, kinds)
    at, room = floats_of(step, kinds, pairs, places)
    array, count = parameters_of(step, kinds)
    fields = [f"VERB_{step.words[0].upper().replace('-', '_')}", quoted(step.text),
              quoted(step.expected or ""), f"{{{values}}}", f"{nulls:#x}u", f"{named:#x}u",
              f"{at:#x}u", f"{room:#x}u", "{" + (", ".join(map(str, data)) or "0") + "}",
              str(size), array, str(count)]
    return "    {" + ", ".join(fields) + "},"


def floats_of(step, kinds, pairs, places):
    """Where the file expects what the system places, or in which such place the step acts."""
    if is_placed(step):
        return span(step)
    for kind, (value, _) in zip(kinds, pairs):
        if kind in "AP" and float_of(value, places) is not None:
            return value, 0
    return 0, 0


def name_table(name, rows):
    lines = [f"    {{{value:#x}u, {quoted(word)}}}," for word, value in rows]
    return [f"const struct name {name}[] = {{"] + lines + ["    {0, 0},", "};", ""]


def source(cases, skips):
    lines = ["/* Made by generate.py from tests/conformance. */", '#include "case_table.h"', ""]
    lines += name_table("status_names", STATUSES)
    lines += name_table("error_names", ERRORS)
    lines += name_table("protect_names", PROTECTIONS)
    lines += name_table("type_names", TYPES)
    lines += name_table("kind_names", KINDS)
    lines += name_table("attribute_names", ATTRIBUTES)
    rows = []
    for index, case in enumerate(cases):
        reason = why_skipped(case, skips)
        names = {}
        steps = [] if reason else [step_row(step, floats(case), names) for step in case.steps]
        if steps:
            lines += [f"static const struct step steps_{index}[] = {{"] + steps + ["};", ""]
        drawn = "".join(f"map {line}\n" for line in case.map)
        rows.append(f"    {{{quoted(case.name)}, {quoted(reason) if reason else 0}, "
                    f"{f'steps_{index}' if steps else 0}, {len(steps)}, "
                    f"{quoted(drawn) if drawn else 0}}},")
    lines += ["const struct case_data case_table[] = {"] + rows + ["};", ""]
    lines.append(f"const uint32_t case_count = {len(rows)};")
    return "\n".join(lines) + "\n"


def main(arguments):
    skips = Skips()
    text = source(all_cases(), skips)
    if len(arguments) != 1:
        print(__doc__)
        return 2
    pathlib.Path(arguments[0]).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
