"""`ntmm run-image`. Expectations are written from docs/images.md; of real files, pefile judges."""
import json
import pathlib

import pytest
from conftest import refusal, run, run_well
from pe_maker import (DYNAMIC_BASE, EXECUTABLE, HIGH_ENTROPY_VA, I386, LARGE_ADDRESS_AWARE,
                      NX_COMPAT, PAGE, Image)

MINGW = pathlib.Path("/usr/lib/gcc/x86_64-w64-mingw32/12-posix/libstdc++-6.dll")
MINGW_FOLDER = pathlib.Path("/usr/x86_64-w64-mingw32/lib")
WINE = pathlib.Path("/usr/lib/x86_64-linux-gnu/wine/x86_64-windows")
PROGRAM = EXECUTABLE | LARGE_ADDRESS_AWARE
ASLR = DYNAMIC_BASE | HIGH_ENTROPY_VA | NX_COMPAT


def report(*arguments):
    done = run("run-image", "--json", "-", *arguments)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def program(path, imports=(), **how):
    how.setdefault("base", 0x140000000)
    how.setdefault("characteristics", PROGRAM)
    how.setdefault("can_move", True)
    how.setdefault("flags", ASLR)
    return Image(imports=imports, **how).write(path)


def library(path, imports=(), **how):
    how.setdefault("can_move", True)
    how.setdefault("flags", ASLR)
    return Image(imports=imports, **how).write(path)


def names(found):
    return [module["name"] for module in found["modules"]]


def check_space(found):
    """What must hold of any report."""
    rows = found["regions"]
    for row, after in zip(rows, rows[1:]):
        assert row["base"] + row["bytes"] <= after["base"]
    for row in rows:
        assert row["private_pages"] + row["shared_pages"] == row["in_set_pages"]
        assert row["in_set_pages"] * PAGE <= row["bytes"]
    assert sum(row["in_set_pages"] for row in rows) == found["process"]["working_set_pages"]
    for module in found["modules"]:
        own = [row for row in rows if row["allocation_base"] == module["base"]]
        assert sum(row["bytes"] for row in own) == module["size_bytes"]
        assert {row["type"] for row in own} == {"image"}
        assert {row["module"] for row in own} == {module["name"]}
        assert own[0]["part"] == "headers"
        is_at_base = module["header_base"] == module["base"]
        assert is_at_base == (module["status"] == "STATUS_SUCCESS")


def test_a_program_and_what_it_imports(tmp_path):
    path = program(tmp_path / "p.exe", ["ONE.dll", "gone.dll"])
    library(tmp_path / "one.DLL", ["two.dll", "Gone.DLL"])
    library(tmp_path / "two.dll", ["one.dll", "P.EXE"])
    found = report(path)
    check_space(found)
    assert names(found) == ["p.exe", "ONE.dll", "two.dll"]
    assert [(m["name"], m["importer"], m["importers"], m["why"]) for m in found["missing"]] == [
        ("gone.dll", "p.exe", 2, "not found")]
    assert [m["imports"] for m in found["modules"]] == [2, 2, 2]
    text = run_well("run-image", path)
    assert "3 mapped, 1 not; nothing was executed" in text
    assert "gone.dll" in text and "p.exe and 1 more" in text
    assert "headers show the base at which the module lies: 3 of 3" in text
    assert "ONE.dll .text" in text
    assert text == run_well("run-image", path)
    assert all(line == line.rstrip() for line in text.splitlines())


def test_the_first_thread_has_a_stack(tmp_path):
    found = report(program(tmp_path / "p.exe"))
    rows = [(r["state"], r["protection"], r["bytes"]) for r in found["regions"]
            if r["type"] == "stack"]
    assert rows == [("reserve", "-", 0x100000 - 3 * PAGE), ("commit", "READWRITE+GUARD", PAGE),
                    ("commit", "READWRITE", 2 * PAGE)]
    assert "stack" not in {r["type"] for r in report(library(tmp_path / "d.dll"))["regions"]}


def test_folders_in_their_order(tmp_path):
    path = program(tmp_path / "p.exe", ["a.dll", "b.dll"])
    folders = [tmp_path / "x", tmp_path / "y"]
    for folder in folders:
        folder.mkdir()
        library(folder / "a.dll")
        library(folder / "b.dll")
    library(tmp_path / "b.dll")
    found = report("--dll-path", folders[1], "--dll-path", folders[0], path)
    assert [m["file"] for m in found["modules"][1:]] == [str(folders[1] / "a.dll"),
                                                         str(tmp_path / "b.dll")]
    assert len(report("--dll-path", tmp_path / "none", path)["missing"]) == 1


def test_a_dll_of_another_machine_is_passed_over(tmp_path):
    path = program(tmp_path / "p.exe", ["a.dll", "b.dll", "c.dll"])
    other = tmp_path / "other"
    other.mkdir()
    library(tmp_path / "a.dll", machine=I386, base=0x10000000)
    library(other / "a.dll")
    library(tmp_path / "b.dll", machine=I386, base=0x10000000)
    (tmp_path / "c.dll").write_text("no image")
    found = report("--dll-path", other, path)
    assert [m["file"] for m in found["modules"]] == [str(path), str(other / "a.dll")]
    assert {m["name"]: m["why"] for m in found["missing"]} == {
        "b.dll": "STATUS_IMAGE_MACHINE_TYPE_MISMATCH", "c.dll": "STATUS_INVALID_IMAGE_NOT_MZ"}


def test_not_at_base(tmp_path):
    """Two that want the same place: the second is moved, and its headers are those of its base."""
    path = program(tmp_path / "p.exe", ["a.dll", "b.dll", "c.dll"])
    library(tmp_path / "a.dll", flags=NX_COMPAT)
    library(tmp_path / "b.dll", flags=NX_COMPAT)
    library(tmp_path / "c.dll", flags=NX_COMPAT, can_move=False)
    found = report(path)
    check_space(found)
    a, b = found["modules"][1:]
    assert a["base"] == a["header_base"] == 0x180000000 and a["status"] == "STATUS_SUCCESS"
    assert b["base"] != 0x180000000 and b["header_base"] == 0x180000000
    assert b["status"] == "STATUS_IMAGE_NOT_AT_BASE"
    assert [(m["name"], m["why"]) for m in found["missing"]] == [
        ("c.dll", "STATUS_CONFLICTING_ADDRESSES")]
    text = run_well("run-image", path)
    assert "IMAGE_NOT_AT_BASE: its headers show another base" in text
    assert "lies: 2 of 3" in text


@pytest.mark.parametrize("aware, end", [(0, 1 << 31), (LARGE_ADDRESS_AWARE, 1 << 32)])
def test_wow64(tmp_path, aware, end):
    path = program(tmp_path / "p.exe", ["a.dll"], machine=I386, base=0x400000, flags=DYNAMIC_BASE,
                   characteristics=EXECUTABLE | 0x100 | aware)
    library(tmp_path / "a.dll", machine=I386, base=0x10000000)
    found = report(path)
    check_space(found)
    assert names(found) == ["p.exe", "a.dll"]
    assert all(m["base"] + m["size_bytes"] <= end for m in found["modules"])
    assert all(r["base"] + r["bytes"] <= end for r in found["regions"] if r["type"] == "stack")
    assert "WoW64" in run_well("run-image", path)


def test_seeds(tmp_path):
    path = program(tmp_path / "p.exe")
    assert len({report("--seed", n, path)["modules"][0]["base"] for n in range(1, 6)}) == 5


def test_imports_that_lead_nowhere(tmp_path):
    made = Image(imports=["a.dll"], base=0x140000000, characteristics=PROGRAM)
    made.directories[1] = (0x700000, 40)
    found = report(made.write(tmp_path / "p.exe"))
    assert found["modules"][0]["imports"] == 0
    assert found["modules"][0]["import_status"] == "STATUS_PARTIAL_COPY"
    path = program(tmp_path / "q.exe", ["../p.exe", "x" * 300])
    found = report(path)
    assert [(m["name"], m["why"]) for m in found["missing"]] == [
        ("../p.exe", "not a name of a file")]
    assert found["modules"][0]["import_status"] == "STATUS_INVALID_IMAGE_FORMAT"


def test_refusals(tmp_path):
    text = tmp_path / "text.exe"
    text.write_text("hello")
    assert refusal("run-image", text) == f"{text}: cannot be mapped as an image: " \
                                         "STATUS_INVALID_IMAGE_NOT_MZ"
    assert "STATUS_OBJECT_NAME_NOT_FOUND" in refusal("run-image", tmp_path / "none.exe")
    for arguments in ([], ["a", "b"], ["--ram", "1", "a"], ["--seed", "?", "a"],
                      ["--dll-path", "x"] * 65 + ["a"]):
        assert refusal("run-image", *arguments).startswith("ntmm: ")


def closure(path, folders, pefile):
    """Names, in small letters, of what is loaded and of what is not found."""
    loaded, missing, todo = {path.name.lower()}, set(), [path]
    while todo:
        pe = pefile.PE(str(todo.pop()), fast_load=True)
        pe.parse_data_directories([pefile.DIRECTORY_ENTRY["IMAGE_DIRECTORY_ENTRY_IMPORT"]])
        for entry in getattr(pe, "DIRECTORY_ENTRY_IMPORT", []):
            name = entry.dll.decode().lower()
            if name in loaded or name in missing:
                continue
            found = [folder / name for folder in folders if (folder / name).exists()]
            (loaded if found else missing).add(name)
            todo += found[:1]
    return loaded, missing


def compare_with_pefile(path, folders):
    pefile = pytest.importorskip("pefile", reason="python3-pefile is not installed")
    options = [word for folder in folders[1:] for word in ("--dll-path", folder)]
    found = report(*options, path)
    check_space(found)
    loaded, missing = closure(path, folders, pefile)
    assert {name.lower() for name in names(found)} == loaded
    assert {row["name"].lower() for row in found["missing"]} == missing


@pytest.mark.skipif(not MINGW.exists(), reason="no DLLs of mingw-w64 are installed")
def test_a_dll_of_mingw():
    compare_with_pefile(MINGW, [MINGW.parent, MINGW_FOLDER])


@pytest.mark.skipif(not WINE.exists(), reason="no DLLs of Wine are installed")
@pytest.mark.parametrize("name", ["cmd.exe", "notepad.exe", "shell32.dll", "ntdll.dll"])
def test_programs_of_wine(name):
    if not (WINE / name).exists():
        pytest.skip(f"{name} is not installed")
    compare_with_pefile(WINE / name, [WINE])
