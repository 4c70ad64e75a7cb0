"""The scripts of ci/: they explain themselves, refuse the unknown, see what they check."""
import os
import shutil
import subprocess
import time

import pytest

ROOT = os.path.normpath(os.path.join(os.path.dirname(__file__), "..", ".."))
SCRIPTS = ["ci/demo", "ci/test", "ci/judges", "ci/bench", "ci/fuzz", "ci/soak", "ci/legs",
           "ci/amalgamate", "ci/format", "ci/clean-room", "ci/tidy", ".ci/run"]


def run(*arguments, cwd=ROOT):
    return subprocess.run(arguments, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=50)


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_from_any_directory(script, tmp_path):
    answer = run(os.path.join(ROOT, script), "--help", cwd=tmp_path)
    assert answer.returncode == 0
    assert f"usage: {script}" in answer.stdout


@pytest.mark.parametrize("command", [
    ["ci/test", "swift"], ["ci/fuzz", "long"], ["ci/soak", "1", "x"], ["ci/legs", "pdp11"],
    ["ci/amalgamate", "--maybe"], ["ci/format", "--maybe"]])
def test_what_is_not_known_is_refused(command):
    answer = run(*command)
    assert answer.returncode == 2
    assert "usage: " + command[0] in answer.stderr


def tree_with(tmp_path, text):
    shutil.copytree(os.path.join(ROOT, "ci"), tmp_path / "ci")
    (tmp_path / "core" / "base").mkdir(parents=True)
    (tmp_path / "core" / "base" / "a.c").write_text(text)
    return tmp_path


@pytest.mark.parametrize("text, status, said", [
    ("void *memcpy(void *, const void *, unsigned long);\n"
     "void f(void *a, void *b);\nvoid f(void *a, void *b) { memcpy(a, b, 999); }\n",
     0, "1 objects"),
    ("int outside(void);\nint f(void);\nint f(void) { return outside(); }\n", 1, "outside"),
    ("int f(void)\n", 1, "does not compile"),
])
def test_legs_sees_what_the_core_needs(tmp_path, text, status, said):
    answer = run("ci/legs", "x86_64-gcc", cwd=tree_with(tmp_path, text))
    assert answer.returncode == status
    assert said in answer.stdout


def test_a_leg_that_runs_too_long_is_ended_and_named(tmp_path):
    script = tmp_path / "job"
    script.write_text("unset LEG_NAMES\n. ci/lib/legs.sh\n"
                      "run_leg slow 1 sleep 30\nrun_leg next 9 true\nfinish_legs\n")
    answer = run("bash", str(script), cwd=tree_with(tmp_path / "tree", ""))
    assert answer.returncode == 1
    assert "stopped after 1 s" in answer.stdout
    assert "1 of 2 legs failed" in answer.stdout


def test_what_failed_stands_at_the_end_of_the_outermost_job(tmp_path):
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "CTestTestfile.cmake").write_text("add_test(good true)\nadd_test(bad false)\n")
    (tmp_path / "leg").write_text('set -euo pipefail\n. ci/lib/legs.sh\n"$@"\n')
    inner, outer, leg = tmp_path / "inner", tmp_path / "outer", f"bash {tmp_path}/leg"
    inner.write_text(f". ci/lib/legs.sh\nrun_leg cases 9 {leg} ctest_in {folder}\n"
                     f"run_leg made 9 {leg} quietly make-it false\nfinish_legs\n")
    outer.write_text(f"unset LEG_NAMES\n. ci/lib/legs.sh\nrun_leg before 9 true\n"
                     f"run_leg test 9 bash {inner}\nfinish_legs\n")
    answer = run("bash", str(outer), cwd=tree_with(tmp_path / "tree", ""))
    assert answer.returncode == 1
    said = answer.stdout[answer.stdout.rindex("1 of 2 legs failed:"):]
    assert said.splitlines()[1:] == [f"{folder}: 2:bad", "cases: failed (8)", "false",
                                     "made: failed (1)", "test: failed (1)"]


def test_ending_a_job_ends_its_leg(tmp_path):
    script = tmp_path / "job"
    mark = tmp_path / "mark"
    script.write_text("unset LEG_NAMES\n. ci/lib/legs.sh\n"
                      f"run_leg slow 40 bash -c 'sleep 3; touch {mark}'\n")
    answer = run("timeout", "1", "bash", str(script), cwd=tree_with(tmp_path / "tree", ""))
    assert answer.returncode == 124
    time.sleep(3)
    assert not mark.exists()


def test_what_is_missing_is_named_without_root(tmp_path):
    script = tmp_path / "job"
    script.write_text(". ci/lib/install.sh\nPACKAGES='x no-such-package cmd:no-such-command'\n"
                      "is_debian() { false; }\ninstall_for x\necho went on\n")
    answer = run("bash", str(script))
    assert answer.returncode == 2
    assert "no-such-package" in answer.stderr
    assert "went on" not in answer.stdout
