#!/usr/bin/env python3
"""What the docstrings of the public headers say each call may return, as C for fuzz_calls.

usage: documented.py OUTPUT.h      writes the table: one entry a call that returns a status
       documented.py --calls FILE...  says which calls no file makes, and fails if there are any

A docstring lists statuses by name. "As ntmm_x", "what ntmm_x returns" and "those of ntmm_x" stand
for all of x's; "see ntmm_x" for none. One that speaks of the status of a read, of the device or of
a content operation may return what the platform returned.
"""
import pathlib
import re
import sys

INCLUDE = pathlib.Path(__file__).resolve().parents[2] / "core/include/ntmm"
SAME = re.compile(r"\b(?:[Aa]s|what|(?:those|status) of) (ntmm_\w+)")
PLATFORM = re.compile(r"status of (?:a|the) (?:read|write|platform|page)|that of a page table|"
                      r"what the device answer(?:ed|s)")
# What a docstring says by "as there" alone.
ALSO = {
    "allocate_virtual_memory_ex": ["UNSUCCESSFUL"],
    "emulated_load": ["page_fault"],
    "emulated_store": ["emulated_load"],
    "emulated_fetch": ["emulated_load"],
    "emulated_update": ["emulated_load"],
    "emulated_map_io": ["emulated_lend"],
}
# What makes and takes over whole machines; the checks, which are always made; pure accesses; what
# asks the host.
NOT_FUZZED = {"create_system", "attach_system", "emulated_create", "emulated_create_system",
              "emulated_attach_system", "emulated_restore", "emulated_save", "emulated_spawn",
              "emulated_run", "emulated_load_snapshot", "emulated_save_snapshot", "check",
              "check_with_storage", "emulated_read_disk", "emulated_query_host_file",
              "freestanding_init"}


def numbers():
    text = (INCLUDE / "status.h").read_text()
    return set(re.findall(r"#define NTMM_STATUS_(\w+) ", text))


def docstrings():
    """Call, without its prefix, to the text of its @return."""
    found = {}
    for path in sorted(INCLUDE.glob("*.h")):
        for comment, name in re.findall(
                r"/\*\*((?:(?!\*/).)*)\*/\s*NTMM_API\s+(?:NTMM_MUST_USE\s+)?ntmm_status\s+"
                r"ntmm_(\w+)\(", path.read_text(), re.S):
            after = re.search(r"@return\b(.*)", comment, re.S)
            text = re.split(r"\n \* (?:@|Locks:|Source:|Cost:)", after.group(1))[0] if after else ""
            found[name] = re.sub(r"\s*\n \*\s*", " ", text)
    return found


def closed(texts):
    """Call to (statuses, whether the platform's too), references followed."""
    table = {name: set(re.findall(r"NTMM_STATUS_(\w+)", text)) for name, text in texts.items()}
    platform = {name: bool(PLATFORM.search(text)) for name, text in texts.items()}
    links = {name: {other[5:] for other in SAME.findall(text)} for name, text in texts.items()}
    for name, others in ALSO.items():
        if name in table:
            table[name] |= {other for other in others if other.isupper()}
            links[name] |= {other for other in others if not other.isupper()}
    for _ in texts:
        for name in texts:
            for other in links[name] & table.keys():
                table[name] |= table[other]
                platform[name] |= platform[other]
    return table, platform


def write(path):
    table, platform = closed(docstrings())
    known = numbers()
    lines = ["/* Made by documented.py. */", "enum documented_call {"]
    lines += [f"    CALL_{name}," for name in table] + ["    CALL_COUNT,", "};", ""]
    lines += ["static const struct documented DOCUMENTED[] = {"]
    for name, statuses in table.items():
        unknown = statuses - known
        if unknown or not statuses:
            sys.exit(f"documented.py: ntmm_{name}: {sorted(unknown) or 'no status'}")
        values = ", ".join("NTMM_STATUS_" + status for status in sorted(statuses))
        lines.append(f'    [CALL_{name}] = {{"ntmm_{name}", {str(platform[name]).lower()}, '
                     f"{len(statuses)}u, (const ntmm_status[]){{{values}}}}},")
    pathlib.Path(path).write_text("\n".join(lines + ["};"]) + "\n")


def missing(paths):
    text = "".join(pathlib.Path(path).read_text() for path in paths)
    made = set(re.findall(r"\bCALL\(w, (\w+),", text))
    return sorted(docstrings().keys() - made - {name for name in NOT_FUZZED})


def main(arguments):
    if arguments[:1] == ["--calls"]:
        found = missing(arguments[1:])
        print("\n".join(f"no fuzz target calls ntmm_{name}" for name in found) or "all are called")
        return 1 if found else 0
    write(arguments[0])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
