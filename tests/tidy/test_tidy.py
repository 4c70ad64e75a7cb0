"""Every rule of ci/tidy: a snippet that it must refuse and one that it must let pass."""
import importlib.machinery
import importlib.util
import os
import subprocess
import sys

import pytest

ROOT = os.path.normpath(os.path.join(os.path.dirname(__file__), "..", ".."))
TIDY = os.path.join(ROOT, "ci", "tidy")


def load_tidy():
    sys.dont_write_bytecode = True
    loader = importlib.machinery.SourceFileLoader("tidy", TIDY)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("tidy", loader))
    loader.exec_module(module)
    return module


TIDY_MODULE = load_tidy()
HEAD = "/* Says what it is for. */\n"


def breaches(tmp_path, files):
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return {(rule, path) for path, _, rule, _ in TIDY_MODULE.Tidy(str(tmp_path)).run()}


def body(lines, text="    x++;\n"):
    return HEAD + "int f(int x)\n{\n" + text * (lines - 3) + "}\n"


def model(include):
    return HEAD + include + "\n"


CORE = "core/space/vad.c"
PUBLIC = "core/include/ntmm/thing.h"
PLATFORM = "core/platform/emulated/disk.c"

# rule, path, refused, let pass
CASES = [
    ("include", CORE, HEAD + '#include "fault/door.h"\n', HEAD + '#include "phys/pfn.h"\n'),
    ("include", CORE, HEAD + '#include "inspect/check.h"\n', HEAD + '#include "space/vad.h"\n'),
    ("include", CORE, HEAD + '#include "platform/emulated/mmu.h"\n', HEAD + "#include <ntmm.h>\n"),
    ("include", CORE, HEAD + '#include "../phys/pfn.h"\n', HEAD + '#include "base/le.h"\n'),
    ("include", CORE, HEAD + '#include "nowhere.h"\n', HEAD + '#include "x64/walk.h"\n'),
    ("include", PLATFORM, HEAD + '#include "phys/pfn.h"\n', HEAD + '#include "x64/walk.h"\n'),
    ("include", PLATFORM, HEAD + '#include "platform/hosted/a.h"\n',
     HEAD + '#include "platform/emulated/a.h"\n'),
    ("include", PUBLIC, HEAD + '#include "base/le.h"\n', HEAD + "#include <ntmm/types.h>\n"),
    ("libc", CORE, HEAD + "#include <string.h>\n", HEAD + "#include <stdint.h>\n"),
    ("libc", PUBLIC, HEAD + "#include <stdio.h>\n", HEAD + "#include <stddef.h>\n"),
    ("banned-call", CORE, HEAD + "void f(void)\n{\n    free(p);\n}\n",
     HEAD + "/* free(p) */\nvoid f(void)\n{\n    vad_free(p);\n    s->free(p);\n}\n"),
    ("banned-call", CORE, HEAD + "int f(void)\n{\n    return (int)strlen (s);\n}\n",
     HEAD + "void f(void)\n{\n    memcpy(a, b, n);\n}\n"),
    ("banned-call", PLATFORM, HEAD + "void f(void)\n{\n    abort();\n}\n",
     HEAD + "void f(void)\n{\n    free(p);\n}\n"),
    ("pointer", CORE, HEAD + "void *f(uint64_t a)\n{\n    return (void *)(uintptr_t)a;\n}\n",
     HEAD + "void *f(uintptr_t bias, uint64_t a)\n{\n    return core_at(bias, a);\n}\n"),
    ("pointer", CORE, HEAD + "char *f(void)\n{\n    return (char *)(bias + a);\n}\n",
     HEAD + "char *f(void *p)\n{\n    return (char *)p;\n}\n"),
    ("pointer", CORE,
     HEAD + "void f(void)\n{\n    g((const struct vad *)((uintptr_t)a + 8));\n}\n",
     HEAD + "uintptr_t f(void *p)\n{\n    return (uintptr_t)p;\n}\n"),
    ("frame", CORE, HEAD + "void *f(void)\n{\n    return core_at(bias, frame << 12);\n}\n",
     HEAD + "void *f(void)\n{\n    return table_at(call, frame);\n}\n"),
    ("frame", CORE, HEAD + "void *f(void)\n{\n    return core_at(b, frame_ref(c, n));\n}\n",
     HEAD + "void *f(void)\n{\n    return core_at(b, vad_ref + 8);\n}\n"),
    ("frame", "core/services/query.c", HEAD + "void *f(void)\n{\n    return table_at(c, 1);\n}\n",
     HEAD + "void *f(void)\n{\n    return core_at(bias, vad_ref);\n}\n"),
    ("global", CORE, HEAD + "int count = 0;\n", HEAD + "static const int limits[2] = {1, 2};\n"),
    ("global", CORE, HEAD + "void f(void)\n{\n    static uint32_t calls;\n}\n",
     HEAD + "static void f(void);\nstruct a {\n    int b;\n};\n"),
    ("model", "tests/model/model.c", model("#include <ntmm/virtual.h>"),
     model("#include <ntmm/status.h>")),
    ("model", "tests/model/model.c", model('#include "phys/pfn.h"'), model("#include <stdlib.h>")),
    ("docs", PUBLIC, HEAD + "NTMM_API int ntmm_f(void);\n",
     HEAD + "/** Does f. */\nNTMM_API int ntmm_f(void);\n"),
    ("docs", PUBLIC, HEAD + "/** A. */\nNTMM_API int ntmm_a(void);\nNTMM_API int ntmm_b(void);\n",
     HEAD + "/** A. */\nNTMM_API int ntmm_a(int x,\n                    int y);\n"),
    ("docs", PUBLIC, HEAD + "#define NTMM_A 1\n", HEAD + "#define NTMM_A 1 /**< A. */\n"),
    ("docs", PUBLIC, HEAD + "struct ntmm_a {\n    int b; /**< B. */\n};\n",
     HEAD + "#ifndef NTMM_THING_H\n#define NTMM_THING_H\n"
     "/** A. */\nstruct ntmm_a {\n    int b;\n};\n#endif\n"),
    ("theory", CORE, "int f(void);\n", HEAD + "int f(void);\n"),
    ("theory", CORE, "/*\n" + " * line\n" * 26 + " */\n", "/*\n" + " * line\n" * 25 + " */\n"),
    ("preprocessor", CORE, HEAD + "int f(void)\n{\n#if X\n    return 1;\n#endif\n}\n",
     HEAD + "#if X\nint f(void)\n{\n    return 1;\n}\n#endif\n"),
    ("goto", CORE, HEAD + "int f(void)\n{\n    goto again;\n}\n",
     HEAD + "int f(void)\n{\n    goto out;\n}\n"),
    ("line", CORE, HEAD + "/* " + "x" * 95 + " */\n", HEAD + "/* " + "x" * 94 + " */\n"),
    ("function", CORE, body(61), body(60)),
    ("file", CORE, HEAD + "int f(void);\n" * 800, HEAD + "int f(void);\n" * 799),
    ("name", "core/space/util.c", HEAD, None),
    ("name", "tests/unit/helpers.h", HEAD, None),
    ("mark", CORE, HEAD + "/* TO" "DO: finish */\n", HEAD + "/* to do this is right */\n"),
    ("mark", "ci/run.sh", "# good for " "now\n", "# good, now\n"),
    ("path", "docs/a.md", "see /ho" "me/someone/x\n", "see ~/x and core/home/x\n"),
    ("path", "ci/run.sh", "cd /tm" "p/x\n", 'cd "${TMPDIR:-/tmp}"\n'),
    ("space", CORE, HEAD + "int f(void); \n", HEAD + "int f(void);\n"),
    ("space", CORE, HEAD + "\tint x;\n", None),
    ("space", CORE, HEAD + "int f(void);", None),
]


@pytest.mark.parametrize("rule, path, refused, passed", CASES)
def test_rule(tmp_path, rule, path, refused, passed):
    assert (rule, path) in breaches(tmp_path / "refused", {path: refused})
    if passed is not None:
        assert breaches(tmp_path / "passed", {path: passed}) == set()


def test_every_rule_has_a_case():
    stated = {line.split()[0] for line in TIDY_MODULE.__doc__.split("\n")
              if line.startswith("  ") and not line.startswith("   ")}
    assert stated == {case[0] for case in CASES}


def test_an_allowed_breach_is_silent(tmp_path):
    files = {CORE: body(61), "ci/tidy-allow.txt": f"function {CORE} f one table\n"}
    assert breaches(tmp_path, files) == set()


def test_an_exception_for_one_function_leaves_the_others(tmp_path):
    files = {CORE: body(61) + body(61)[len(HEAD):].replace("int f", "int g"),
             "ci/tidy-allow.txt": f"function {CORE} f one table\n"}
    assert breaches(tmp_path, files) == {("function", CORE)}


def test_an_exception_that_nothing_needs_is_a_breach(tmp_path):
    files = {CORE: body(10), "ci/tidy-allow.txt": f"function {CORE} f gone\n"}
    assert breaches(tmp_path, files) == {("allow", "ci/tidy-allow.txt")}


def test_status_and_place(tmp_path):
    (tmp_path / "core" / "space").mkdir(parents=True)
    (tmp_path / CORE).write_text(HEAD + "int count = 0;\n")
    run = subprocess.run([sys.executable, TIDY, str(tmp_path)], capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stdout.startswith(f"{CORE}:2: [global] ")
    (tmp_path / CORE).write_text(HEAD)
    run = subprocess.run([sys.executable, TIDY, str(tmp_path)], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "ci/tidy: clean\n")
