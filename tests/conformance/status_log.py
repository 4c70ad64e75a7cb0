#!/usr/bin/env python3
"""Writes what wraps the public calls of the memory services, so that a test notes what they return.

usage: status_log.py OUTPUT.c OUTPUT.rsp LIBRARY NM

For every function of the headers of statuses.py that the library defines: a wrapper that calls it
and notes its status, and the linker's --wrap. A test program linked with both adds a line
"FUNCTION STATUS" for each pair, once, to the file of its name in the folder NTMM_STATUS_LOG.
"""
import pathlib
import re
import subprocess
import sys

from statuses import HEADERS, INCLUDE

PROTOTYPE = re.compile(
    r"NTMM_API\s+(?:NTMM_MUST_USE\s+)?ntmm_status\s+(ntmm_\w+)\(([^;]*)\);")
HEAD = """/* Made by status_log.py. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

{}
#define PAIR_LIMIT 4096

static struct {{ const char *name; ntmm_status status; }} pairs[PAIR_LIMIT];
static unsigned pair_count;
static int is_busy;

static void note(const char *name, ntmm_status status)
{{
    const char *folder = getenv("NTMM_STATUS_LOG");
    char path[1024];
    FILE *file;

    if (!folder) {{
        return;
    }}
    while (__atomic_exchange_n(&is_busy, 1, __ATOMIC_ACQUIRE)) {{
    }}
    for (unsigned i = 0; i < pair_count; i++) {{
        if (pairs[i].name == name && pairs[i].status == status) {{
            goto out;
        }}
    }}
    snprintf(path, sizeof(path), "%s/%s", folder, program_invocation_short_name);
    file = pair_count < PAIR_LIMIT ? fopen(path, "a") : NULL;
    if (file) {{
        pairs[pair_count].name = name;
        pairs[pair_count++].status = status;
        fprintf(file, "%s %08X\\n", name, (unsigned)status);
        fclose(file);
    }}
out:
    __atomic_store_n(&is_busy, 0, __ATOMIC_RELEASE);
}}
"""


def prototypes():
    """[(name, parameters)] of the calls that return a status."""
    found = []
    for header in HEADERS:
        path = INCLUDE / header
        if path.exists():
            text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
            found += PROTOTYPE.findall(text)
    return found


def wrapper(name, parameters):
    flat = " ".join(parameters.split())
    names = [re.search(r"(\w+)(\[\d*\])?$", part.strip()).group(1) for part in flat.split(",")]
    return (f"\nntmm_status __real_{name}({flat});\nntmm_status __wrap_{name}({flat});\n"
            f"ntmm_status __wrap_{name}({flat})\n{{\n"
            f"    static const char NAME[] = \"{name}\";\n"
            f"    ntmm_status status = __real_{name}({', '.join(names)});\n\n"
            f"    note(NAME, status);\n    return status;\n}}\n")


def main(arguments):
    source, response, library, nm = arguments
    symbols = subprocess.run([nm, "--defined-only", library], capture_output=True, text=True).stdout
    defined = set(re.findall(r" T (ntmm_\w+)", symbols))
    wanted = [(name, rest) for name, rest in prototypes() if name in defined and "(" not in rest]
    includes = "".join(f"#include <ntmm/{name}>\n" for name in ["emulated.h", *HEADERS]
                       if (INCLUDE / name).exists())
    wrappers = "".join(wrapper(*pair) for pair in wanted)
    pathlib.Path(source).write_text(HEAD.format(includes) + wrappers)
    pathlib.Path(response).write_text("".join(f"--wrap={name}\n" for name, _ in wanted))


if __name__ == "__main__":
    main(sys.argv[1:])
