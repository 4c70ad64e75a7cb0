#!/usr/bin/env python3
"""Every status that the docstring of a memory service lists is produced by a test that is named.

usage: statuses.py                 compares statuses.txt with the docstrings and the cases
       statuses.py --logs FOLDER   compares it with what the tests of a build returned, which
                                   status_log.py has them note
       statuses.py --write FOLDER  writes it anew from cases and logs; reasons stay
       statuses.py --sweep FILE    writes for run_cases --sweep which statuses each step's function
                                   lists, and "device" when it passes on those of devices

statuses.txt has one line a function and status: the case that produces it, "case NAME", the test
that does, "test NAME", or "none REASON". Status 1 when a line is missing, wrong or too much.
"""
import pathlib
import re
import sys

from case_files import FOLDER, ROOT, all_cases

INCLUDE = ROOT / "core/include/ntmm"
LIST = FOLDER / "statuses.txt"

# The services of memory. The other headers are the machine, the platform and the system itself.
HEADERS = ["access.h", "borrow.h", "call_target.h", "file.h", "frames.h", "job.h", "memory.h",
           "offer.h", "physical.h", "process.h", "query.h", "section.h", "secure.h", "snapshot.h",
           "stack.h", "statistics.h", "virtual.h", "working_set.h", "write_watch.h"]

# Which function a step of a case calls.
FUNCTIONS = {
    "allocate": "ntmm_allocate_virtual_memory",
    "allocate-ex": "ntmm_allocate_virtual_memory_ex",
    "free": "ntmm_free_virtual_memory",
    "protect": "ntmm_protect_virtual_memory",
    "query": "ntmm_query_virtual_memory",
    "query-class": "ntmm_query_virtual_memory_class",
    "read-memory": "ntmm_read_virtual_memory",
    "write-memory": "ntmm_write_virtual_memory",
    "probe": "ntmm_probe_virtual_memory",
    "lock": "ntmm_lock_virtual_memory",
    "unlock": "ntmm_unlock_virtual_memory",
    "get-watch": "ntmm_get_write_watch",
    "reset-watch": "ntmm_reset_write_watch",
    "clone": "ntmm_clone_process",
    "secure": "ntmm_secure_virtual_memory",
    "unsecure": "ntmm_unsecure_virtual_memory",
    "create-file": "ntmm_create_file",
    "create-image": "ntmm_create_file",
    "open-file": "ntmm_open_file",
    "close-file": "ntmm_close_file",
    "file-size": "ntmm_query_file",
    "set-file-size": "ntmm_set_file_size",
    "can-delete": "ntmm_can_delete_file",
    "read-file": "ntmm_read_file",
    "write-file": "ntmm_write_file",
    "flush-file": "ntmm_flush_file",
    "purge-file": "ntmm_purge_file",
    "lock-file": "ntmm_lock_file",
    "unlock-file": "ntmm_unlock_file",
    "create-section": "ntmm_create_section",
    "open-section": "ntmm_open_section",
    "duplicate-section": "ntmm_duplicate_section",
    "close-section": "ntmm_close_section",
    "query-section": "ntmm_query_section",
    "extend-section": "ntmm_extend_section",
    "map-view": "ntmm_map_view_of_section",
    "map-view-ex": "ntmm_map_view_of_section_ex",
    "unmap-view": "ntmm_unmap_view_of_section",
    "same-file": "ntmm_are_mapped_files_the_same",
    "flush": "ntmm_flush_virtual_memory",
}
# The same for steps whose statuses cases need not show; an access is a page fault at most.
MORE_FUNCTIONS = {
    "offer": "ntmm_offer_virtual_memory",
    "reclaim": "ntmm_reclaim_virtual_memory",
    "discard": "ntmm_discard_virtual_memory",
    "read": "ntmm_page_fault",
    "read-number": "ntmm_page_fault",
    "write": "ntmm_page_fault",
    "execute": "ntmm_page_fault",
    "fault": "ntmm_page_fault",
}
HEAD = """# Which test produces which status of which function; by statuses.py --write FOLDER.
# "case NAME" is a case of this folder, "test NAME" a test of ctest, "none REASON" says why not.
"""


def values():
    """Status name to value."""
    text = (INCLUDE / "status.h").read_text()
    return {name: int(value, 16)
            for name, value in re.findall(r"#define NTMM_STATUS_(\w+) (0x[0-9A-F]+)u", text)}


def docstrings(headers):
    """Yields each function and its docstring."""
    for header in headers:
        path = INCLUDE / header
        if not path.exists():
            continue
        for comment, name in re.findall(
                r"/\*\*((?:(?!\*/).)*)\*/\s*NTMM_API\s[^;(]*?(ntmm_\w+)\(", path.read_text(), re.S):
            yield name, comment


def documented():
    """[(function, status)] in the order of the headers."""
    return [(name, status) for name, comment in docstrings(HEADERS)
            for status in dict.fromkeys(statuses_of(comment))]


def returned(comment):
    """A docstring's @return, up to the paragraph of locks or the next tag."""
    after = re.search(r"@returns?\b(.*)", comment, re.S)
    return re.split(r"\n \* (?:@|Locks:|Source:)", after.group(1))[0] if after else ""


def statuses_of(comment):
    return re.findall(r"NTMM_STATUS_(\w+)", returned(comment))


def produced_by_cases():
    """(function, status) to the first case that expects just it."""
    found = {}
    for case in all_cases():
        for step in case.steps:
            words = (step.expected or "").split()
            if step.words[0] in FUNCTIONS and words and " or " not in step.expected:
                found.setdefault((FUNCTIONS[step.words[0]], words[0]), case.name)
    return found


def produced_by_tests(folder):
    """test name to {(function, status)}, by the logs of a build."""
    names = {value: name for name, value in values().items()}
    found = {}
    for path in sorted(pathlib.Path(folder).glob("*")):
        pairs = (line.split() for line in path.read_text().splitlines())
        found[path.name] = {(pair[0], names.get(int(pair[1], 16), pair[1])) for pair in pairs}
    return found


def read_list():
    """(function, status) to [kind, rest]."""
    found = {}
    for raw in LIST.read_text().splitlines():
        if raw and not raw.startswith("# "):
            function, status, kind, rest = raw.split(None, 3)
            found[function, status] = (kind, rest)
    return found


def faults():
    listed, wanted, cases = read_list(), documented(), produced_by_cases()
    tests = {path.stem for path in (ROOT / "tests/unit").glob("test_*.c")}
    found = [f"statuses.txt: no line for {name} {status}"
             for name, status in wanted if (name, status) not in listed]
    for pair in listed.keys() - set(wanted):
        found.append(f"statuses.txt: {pair[0]} does not list {pair[1]}")
    for pair, (kind, rest) in listed.items():
        told = " ".join(pair)
        if kind == "case" and pair not in cases:
            found.append(f"statuses.txt: no case produces {told}")
        if kind == "test" and rest not in tests | {"run_cases"}:
            found.append(f"statuses.txt: {told}: there is no test {rest}")
        if kind not in ("case", "test", "none"):
            found.append(f"statuses.txt: {told}: {kind}?")
    return found


def faults_of_logs(folder):
    """Only tests that ran in this build can contradict the list."""
    logs = produced_by_tests(folder)
    return [f"{rest} did not produce {' '.join(pair)}"
            for pair, (kind, rest) in read_list().items()
            if kind == "test" and rest in logs and pair not in logs[rest]]


def line_of(pair, cases, logs, before):
    if pair in cases:
        return "case " + cases[pair]
    kind, rest = before.get(pair, ("none", "?"))
    if kind == "test" and pair in logs.get(rest, ()):
        return f"test {rest}"
    tests = [name for name, pairs in logs.items() if pair in pairs]
    if tests:
        return "test " + tests[0]
    return f"{kind} {rest}"


def write(folder):
    cases, logs = produced_by_cases(), produced_by_tests(folder)
    before = read_list() if LIST.exists() else {}
    LIST.write_text(HEAD + "".join(f"{' '.join(pair)} {line_of(pair, cases, logs, before)}\n"
                                   for pair in dict.fromkeys(documented())))


def passed_on(text):
    """"device" when statuses of devices or of the platform are passed on; of a page table that
    could not be read, because there was no frame for it, the status is NO_MEMORY."""
    found = re.findall(r"status of (?:a|the) (read|write|page table|platform)|the (device) answers",
                       text) + re.findall(r"(that) of a (page table)'s read", text)
    tables = any("page table" in match for match in found)
    return ["device"] * bool(found) + ["NO_MEMORY"] * tables


def write_sweep(path):
    texts = dict(docstrings(HEADERS + ["fault.h"]))
    def told(name, seen):
        """Those of the functions that it refers to included."""
        comment = texts.get(name, "")
        text = re.sub(r"\s*\n \*\s*", " ", returned(comment))
        others = re.findall(r"\b(?:as|of) (ntmm_\w+)", text)
        more = [told(other, seen | {other}) for other in others if other in texts.keys() - seen]
        return set(statuses_of(comment)).union(passed_on(text), *more)

    functions = FUNCTIONS | MORE_FUNCTIONS
    pathlib.Path(path).write_text("".join(
        f" {verb} {' '.join(sorted(told(name, {name})))} \n" for verb, name in functions.items()))


def main(arguments):
    if arguments[:1] == ["--write"]:
        write(arguments[1])
        found = []
    elif arguments[:1] == ["--sweep"]:
        write_sweep(arguments[1])
        return 0
    elif arguments[:1] == ["--logs"]:
        found = faults_of_logs(arguments[1])
    else:
        found = faults()
    print("\n".join(found) if found else f"{len(read_list())} statuses are accounted for")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
