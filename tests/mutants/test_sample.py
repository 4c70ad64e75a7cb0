"""tests/mutants/sample.py: what it changes, what it draws, what it counts, and how it goes on."""
import collections
import json
import pathlib
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import results  # noqa: E402
import sample  # noqa: E402
import sites  # noqa: E402
import world  # noqa: E402

CLANG = shutil.which("clang-19") or shutil.which("clang")

SOURCE = r"""#define NTMM_ASSERT(cond) ((cond) ? (void)0 : __builtin_trap())
#define NTMM_STATUS_SUCCESS 0x00000000u
#define NTMM_STATUS_NO_MEMORY 0xC0000017u
#define SIZE 4096
#define true 1
unsigned g(unsigned a);
static int holds(unsigned a) { return a < 7; }
static void note(void) {}
static void lock_note_held(void) {}
#if defined(NTMM_DEBUG)
static void debug(void) { note(); }
#endif
unsigned f(unsigned a, unsigned *b)
{
    NTMM_ASSERT(a > 1 && holds(a));
    lock_note_held();
    if (a <= SIZE && !b) /* && */
        return NTMM_STATUS_NO_MEMORY;
    (void)g(SIZE + 3);
    *b |= ~a;
    while (a == 5)
        note();
    return NTMM_STATUS_SUCCESS;
}
"""
CHANGES = [
    "relational `<=` to `<`", "logical `a <= SIZE && !b` to `!(a <= SIZE && !b)`",
    "logical `&&` to `||`", "return `NTMM_STATUS_NO_MEMORY` to `NTMM_STATUS_INVALID_PARAMETER`",
    "deletion `(void)g(SIZE + 3)` to ``", "arithmetic `+` to `-`", "constant `3` to `(3 + 1)`",
    "constant `3` to `(3 - 1)`", "deletion `*b |= ~a` to ``", "bits `|=` to `&=`",
    "bits `~` to ``", "relational `==` to `!=`", "constant `5` to `(5 + 1)`",
    "constant `5` to `(5 - 1)`", "deletion `note()` to ``",
    "return `NTMM_STATUS_SUCCESS` to `NTMM_STATUS_UNSUCCESSFUL`",
]


@pytest.mark.skipif(CLANG is None, reason="clang is not installed")
def test_what_a_function_gives(tmp_path):
    (tmp_path / "a.c").write_text(SOURCE)
    tree = subprocess.run([CLANG, *sample.CLANG, "a.c"], cwd=tmp_path, check=True,
                          capture_output=True).stdout
    found, calls = sites.sites_of("a.c", json.loads(tree), SOURCE.encode())
    assert {site.function for site in found} == {"f", "holds"}  # neither debug() nor macros
    assert sites.called_by_assertions_alone(calls) - {"__builtin_trap"} == {"holds"}
    said = [f"{site.operator} `{site.old}` to `{site.new}`" for site in found
            if site.function == "f"]
    assert sorted(said) == sorted(CHANGES)
    for site in found:
        assert SOURCE[:site.begin].count("\n") + 1 == site.line
        assert SOURCE[site.begin:site.end] == site.old


def made_site(number, floor="phys", operator="return"):
    return sites.Site(f"core/{floor}/a.c", number, "f", operator, number, number + 1, "|; `", "1")


def test_what_is_drawn_is_in_proportion_random_and_the_same_for_a_seed():
    found = [made_site(i) for i in range(300)]
    found += [made_site(i, "space", "bits") for i in range(90)]
    found += [made_site(i, "space", "return") for i in range(10)]
    slots = sample.draw(found, 3, 40)
    strata = [(results.floor_of(slot[0].file), slot[0].operator) for slot in slots]
    assert collections.Counter(strata) == {("phys", "return"): 30, ("space", "bits"): 9,
                                           ("space", "return"): 1}
    assert len(set(strata[:15])) > 1 and strata != sorted(strata)
    tried = [site for slot in slots for site in slot]
    assert sorted(tried) == sorted(found)  # each place belongs to one slot
    assert slots == sample.draw(list(reversed(found)), 3, 40)
    assert slots != sample.draw(found, 4, 40)


# Newcombe 1998, table I: intervals by Wilson's method without a correction.
@pytest.mark.parametrize("killed, count, low, high", [
    (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611),
    (1, 29, 0.0061, 0.1718)])
def test_interval(killed, count, low, high):
    assert results.wilson(killed, count) == pytest.approx((low, high), abs=5e-5)
    assert results.wilson(count - killed, count) == pytest.approx((1 - high, 1 - low), abs=5e-5)


class Judged:
    """Stands for sample.Judge: the verdict of a site is a matter of its line."""

    def __init__(self, verdicts):
        self.verdicts, self.asked = verdicts, []

    def judge(self, site, folder):
        self.asked.append(site.line)
        return self.verdicts.get(site.line, "killed"), "for a reason"


def test_a_second_run_goes_on_and_another_is_drawn_for_what_does_not_count(tmp_path):
    path, slots = tmp_path / "sample.txt", [[made_site(i), made_site(i + 10)] for i in range(4)]
    sample.begin_file(path, 1, 4)
    first = Judged({1: "equivalent", 2: "survived", 11: "survived"})
    sample.Run(first, slots[:3], path, tmp_path).all(1, 1e18)
    assert first.asked == [0, 1, 11, 2]
    path.write_text(path.read_text() + "  a remark\n")
    sample.begin_file(path, 1, 4)
    second = Judged({})
    sample.Run(second, slots, path, tmp_path).all(1, 1e18)
    assert second.asked == [3]
    said = "\n".join(results.report(path))
    assert "all               2 of    4   50.0 %  (15.0 to 85.0)" in said
    assert "1 equivalent, 0 that do not compile" in said
    assert said.endswith("2.0 core/phys/a.c:2 return f: `|; `` to `1`; for a reason")

    third = Judged({11: "survived"})
    sample.Run(third, slots, path, tmp_path).retry(1e18)
    assert third.asked == [11, 2]
    assert "all               3 of    4" in "\n".join(results.report(path))
    assert "a remark" not in path.read_text()
    with pytest.raises(SystemExit, match="another --results"):
        sample.begin_file(path, 2, 4)
    sample.begin_file(path, 2, 4, is_anew=True)
    assert results.read(path) == {}


@pytest.mark.parametrize("code, reason", [
    ("pass", None), ("raise SystemExit(3)", "fails"), ("while True: pass", "hangs"),
    ("import os; os.kill(os.getpid(), 4)", "traps"),
    ("import os; os.kill(os.getpid(), 11)", "dies of signal 11")])
def test_how_a_test_ends(code, reason, tmp_path):
    assert world.measure([sys.executable, "-Sc", code], {}, tmp_path, 0.3)[0] == reason


def test_a_test_whose_threads_all_sleep_hangs(tmp_path, monkeypatch):
    monkeypatch.setattr(world, "SLEEP", 0.1)
    code = "import time; time.sleep(50)"
    assert world.measure([sys.executable, "-Sc", code], {}, tmp_path, 9)[0] == "hangs"


def test_tests_of_a_folder_that_was_never_built_are_found(tmp_path):
    (tmp_path / "CMakeLists.txt").write_text("""
cmake_minimum_required(VERSION 3.20)
project(one C)
enable_testing()
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
add_executable(test_one one.c)
add_test(NAME test_one COMMAND test_one 7)
set_tests_properties(test_one PROPERTIES LABELS quick ENVIRONMENT A=b)
""")
    (tmp_path / "one.c").write_text("int main(void) { return 0; }\n")
    build = tmp_path / "build"
    subprocess.run(["cmake", "-S", tmp_path, "-B", build, "-G", "Ninja"], check=True,
                   stdout=subprocess.DEVNULL)
    assert world.build_tests(str(build)) == {
        "test_one": ([f"{build}/bin/test_one", "7"], {"A": "b"}, str(build))}


def test_a_folder_without_tests_is_refused(tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.20)\nproject(none NONE)\nenable_testing()\n")
    build = tmp_path / "build"
    subprocess.run(["cmake", "-S", tmp_path, "-B", build, "-G", "Ninja"], check=True,
                   stdout=subprocess.DEVNULL)
    with pytest.raises(ValueError, match="has no quick C tests"):
        world.build_tests(str(build))
