"""ci/amalgamate: small trees whose files collide are one unit that means the same, or refused."""
import os
import subprocess

import pytest

ROOT = os.path.normpath(os.path.join(os.path.dirname(__file__), "..", ".."))
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
PUBLIC = """/** @file */
#ifndef NTMM_H
#define NTMM_H
#define NTMM_API
NTMM_API int ntmm_first(int x);
NTMM_API int ntmm_second(int x);
#endif
"""
FIRST = """/* First. */
#include "base/part.h"
#include <ntmm.h>
#define FACTOR 2
struct round { int count; };
enum { LIMIT = 3 };
static int complete(struct round *round) { return round->count * FACTOR + LIMIT; }
int part_sum(int a, int b) { return a + b; }
int ntmm_first(int x)
{
    struct round round = {.count = x};
    return part_sum(complete(&round), 100);
}
"""
SECOND = """/* Second. */
#include "base/part.h"
#include <ntmm.h>
#define FACTOR 7
struct round { long complete, other; int (*link)(int link); };
enum { LIMIT = 5 };
static const int table[] = {1, 2};
static int link(int x) { return x + LIMIT; }
static int complete(struct round *r) { return (int)r->complete * FACTOR + r->link(table[1]); }
int ntmm_second(int x)
{
    struct round r = {.complete = x, .link = link};
    return part_sum(complete(&r), (int)__builtin_offsetof(struct round, complete));
}
"""
PART = """/* Part. */
#ifndef PART_H
#define PART_H
int part_sum(int a, int b);
static inline int part_unused(void) { return 1; }
#endif
"""
FILES = {"core/include/ntmm.h": PUBLIC, "core/base/part.h": PART, "core/base/first.c": FIRST,
         "core/base/second.c": SECOND, "LICENSE": "MIT License\n",
         "CMakeLists.txt": "project(ntmm VERSION 9.8.7 LANGUAGES C)\n"}
MAIN = """#include "ntmm.h"
#include <stdio.h>
int main(void) { printf("%d %d\\n", ntmm_first(1), ntmm_second(1)); }
"""


def amalgamate(tmp_path, changes=()):
    for path, text in {**FILES, **dict(changes)}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return subprocess.run([os.path.join(ROOT, "ci", "amalgamate"), "--root", str(tmp_path),
                           str(tmp_path / "out")], capture_output=True, text=True, timeout=50)


def build(tmp_path, *arguments):
    return subprocess.run(["gcc", "-std=c11", *WARNINGS, *arguments], cwd=tmp_path / "out",
                          capture_output=True, text=True, timeout=50)


def test_names_that_collide_mean_what_they_meant(tmp_path):
    assert amalgamate(tmp_path).returncode == 0
    (tmp_path / "out" / "main.c").write_text(MAIN)
    built = build(tmp_path, "main.c", "ntmm.c", "-o", "main")
    assert built.returncode == 0, built.stderr
    said = subprocess.run([tmp_path / "out" / "main"], capture_output=True, text=True)
    assert said.stdout == f"{1 * 2 + 3 + 100} {1 * 7 + 2 + 5 + 0}\n"


def test_only_public_functions_are_seen(tmp_path):
    amalgamate(tmp_path)
    assert build(tmp_path, "-c", "ntmm.c").returncode == 0
    names = subprocess.run(["nm", "--defined-only", "-g", "-P", tmp_path / "out" / "ntmm.o"],
                           capture_output=True, text=True).stdout
    assert [line.split()[0] for line in names.splitlines()] == ["ntmm_first", "ntmm_second"]


def test_it_repeats_to_the_byte_and_says_what_it_is(tmp_path):
    amalgamate(tmp_path)
    first = {name: (tmp_path / "out" / name).read_text() for name in ("ntmm.c", "ntmm.h")}
    amalgamate(tmp_path)
    for name, text in first.items():
        assert (tmp_path / "out" / name).read_text() == text
        assert "ntmm 9.8.7" in text and "MIT License" in text and "#line" not in text
    for path in ("core/base/part.h", "core/base/first.c", "core/base/second.c"):
        assert first["ntmm.c"].count(f"/* ---- {path} begins ---- */") == 1
        assert first["ntmm.c"].count(f"/* ---- {path} ends ---- */") == 1


def test_a_platform_is_there_when_it_is_asked_for(tmp_path):
    platform = {"core/platform/emulated/machine.c":
                '/* Machine. */\n#define _GNU_SOURCE 1\n#include "base/part.h"\n'
                "#include <ntmm.h>\n#include <unistd.h>\n#include <sched.h>\n"
                "static int complete(void) { return link == 0 || !CPU_SETSIZE; }\n"
                "int ntmm_platform(void);\nint ntmm_platform(void) { return complete(); }\n",
                "core/include/ntmm.h": PUBLIC.replace("#endif", "int ntmm_platform(void);\n#endif")}
    assert amalgamate(tmp_path, platform).returncode == 0
    (tmp_path / "out" / "main.c").write_text(
        '#include "ntmm.h"\nint main(void) { return ntmm_platform(); }\n')
    switch = "-DNTMM_PLATFORM_EMULATED"
    assert "ntmm_platform" in build(tmp_path, "main.c", "ntmm.c", "-o", "main").stderr
    built = build(tmp_path, "-Wno-address", switch, "main.c", "ntmm.c", "-o", "main")
    assert built.returncode == 0, built.stderr


OTHER = "core/base/other.h"
REFUSED = {
    "a macro of a header": (
        {OTHER: "/* Other. */\n#define LIMIT 9\n"},
        "core/base/first.c: LIMIT would be the macro of core/base/other.h"),
    "a name of two headers": (
        {OTHER: "/* Other. */\nstatic inline int part_unused(void) { return 2; }\n"},
        "core/base/part.h: part_unused is declared by core/base/other.h too"),
    "a member by a macro": (
        {"core/base/second.c": SECOND.replace("#define FACTOR 7", "#define FACTOR 7\n"
                                              "#define OF(r, name) ((r)->name)")
         .replace("(int)r->complete *", "(int)OF(r, complete) *")},
        "core/base/second.c:10: complete meets another complete, and the macro OF may make a "
        "member of it"),
    "a name that is taken": (
        {"core/base/first.c": FIRST + "int first_complete(int);\nint base_first_complete(int);\n"},
        "core/base/first.c: complete meets another complete, and base_first_complete is taken"),
    "a macro before an include": (
        {"core/base/first.c": FIRST.replace("#include <ntmm", "#define WIDE 1\n#include <ntmm")},
        "core/base/first.c:3: WIDE is defined before an include"),
    "an include after code": (
        {"core/base/first.c": FIRST + '#include "base/part.h"\n'},
        'core/base/first.c:14: "base/part.h": an include after code'),
    "an include that depends": (
        {"core/base/first.c": FIRST.replace('#include "base/part.h"',
                                            '#if 1\n#include "base/part.h"\n#endif')},
        'core/base/first.c:3: "base/part.h": an include under a condition'),
    "a pragma": (
        {"core/base/first.c": FIRST + "#pragma pack(1)\n"},
        "core/base/first.c:14: #pragma would hold for what follows too"),
    "a function by a macro": (
        {"core/base/first.c": FIRST + "#define MAKE(n) static int n;\nMAKE(x)\n"},
        "core/base/first.c:15: MAKE declares at file scope what cannot be seen"),
    "enumerators by a macro": (
        {"core/base/first.c": FIRST + "#define ROWS(X) X(A)\nenum { ROWS(FACTOR) };\n"},
        "core/base/first.c:15: ROWS declares enumerators that cannot be seen"),
    "an array of no length": (
        {"core/base/part.h": PART.replace("int part_sum", "extern int part_rows[];\nint part_sum"),
         "core/base/first.c": FIRST + "int part_rows[] = {1};\n"},
        "core/base/part.h:4: part_rows is declared without its length"),
    "a brace too many": (
        {"core/base/first.c": FIRST + "}\n"}, "core/base/first.c:14: } closes nothing"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_resolved_is_refused(tmp_path, name):
    changes, said = REFUSED[name]
    answer = amalgamate(tmp_path, changes)
    assert answer.returncode == 1
    assert said in answer.stderr
    assert not (tmp_path / "out").exists()
