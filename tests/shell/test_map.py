"""`ntmm map`. Expectations are written from docs/images.md and the published PE format."""
import json
import pathlib

import pytest
from conftest import refusal, run, run_well
from pe_maker import (DYNAMIC_BASE, EXECUTE, HIGH_ENTROPY_VA, I386, NX_COMPAT, PAGE, READ, SHARED,
                      WRITE, Image)

REAL = [path for folder in ("/usr/x86_64-w64-mingw32/lib", "/usr/i686-w64-mingw32/lib",
                            "/usr/lib/gcc/x86_64-w64-mingw32/12-posix",
                            "/usr/lib/x86_64-linux-gnu/wine/x86_64-windows")
        for path in sorted(pathlib.Path(folder).glob("*.dll"))[:3]]


def report(*arguments):
    done = run("map", "--json", "-", *arguments)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.fixture
def image(tmp_path):
    """Code, data that ends in zeros, a section that is written in place, one without contents."""
    made = Image()
    made.add(".data", b"d" * 700, 0x2100, READ | WRITE)
    made.add(".both", b"s" * 4096, None, READ | WRITE | SHARED)
    made.add(".bss", b"", 0x1800, READ | WRITE)
    return made.write(tmp_path / "small.dll")


def test_a_text_is_data_alone(tmp_path):
    path = tmp_path / "text"
    path.write_bytes(b"x" * 5000)
    found = report("--pages", path)
    assert found["image"] is None
    assert found["image_status"] == "STATUS_INVALID_IMAGE_NOT_MZ"
    assert found["file_bytes"] == 5000
    data = found["data"]
    assert data["size_bytes"] == 2 * PAGE
    assert [(s["pages"], s["file_offset"], s["file_bytes"], s["zero_pages"], s["protection"])
            for s in data["subsections"]] == [(2, 0, 5000, 0, "READONLY")]
    assert [(p["file_offset"], p["file_bytes"], p["where"], p["is_shared"], p["share_count"])
            for p in data["pages"]] == [(0, 4096, "working set", True, 1),
                                        (4096, 904, "working set", True, 1)]
    assert found["process"]["working_set_pages"] == 2
    assert "image: none, STATUS_INVALID_IMAGE_NOT_MZ" in run_well("map", path)


def test_subsections_of_an_image(image):
    found = report(image)["image"]
    rows = [(s["part"], s["pages"], s["protection"], s["file_offset"], s["file_bytes"],
             s["zero_pages"], s["writes"]) for s in found["subsections"]]
    assert rows == [
        ("headers", 1, "READONLY", 0, 0x400, 0, "shared"),
        (".text", 2, "EXECUTE_READ", 0x400, 5120, 0, "shared"),
        (".data", 3, "WRITECOPY", 0x1800, 1024, 2, "copy on write"),
        (".both", 1, "READWRITE", 0x1C00, 4096, 0, "shared, written in place"),
        (".bss", 2, "WRITECOPY", 0, 0, 2, "copy on write"),
    ]
    assert found["machine"] == "AMD64" and found["is_dll"]
    assert found["flags"] == "NX_COMPAT"
    assert found["base"] == found["preferred_base"] == found["header_base"] == 0x180000000
    assert found["entry"] == 0x180001010
    assert found["size_bytes"] == 9 * PAGE
    assert found["status"] == "STATUS_SUCCESS"


def test_a_hole_between_sections_is_no_image(tmp_path):
    made = Image()
    made.next_rva += 3 * PAGE
    path = made.add(".far", b"f", None, READ).write(tmp_path / "gap.dll")
    assert refusal("map", path).endswith("as an image: STATUS_INVALID_IMAGE_FORMAT")


def test_touches(image):
    none = report("--touch", "none", "--pages", image)
    read = report("--pages", image)
    write = report("--touch", "write", "--pages", image)
    assert {p["where"] for p in none["image"]["pages"][3:]} == {"nowhere"}
    assert {p["where"] for p in read["image"]["pages"]} == {"working set"}
    assert all(p["is_shared"] for p in read["image"]["pages"])
    private = [not p["is_shared"] for p in write["image"]["pages"]]
    assert private == [False] * 3 + [True] * 3 + [False] + [True] * 2
    protections = [p["protection"] for p in write["image"]["pages"]]
    assert protections == (["READONLY"] + ["EXECUTE_READ"] * 2 + ["READWRITE"] * 6)
    # copies are promised when the view is made, and that is all that a write costs
    assert len({r["process"]["commit_pages"] for r in (none, read, write)}) == 1


def test_pages_say_where_they_come_from(image):
    pages = report("--pages", image)["image"]["pages"]
    assert [(p["file_offset"], p["file_bytes"]) for p in pages] == [
        (0, 0x400), (0x400, 4096), (0x1400, 1024), (0x1800, 1024), (0, 0), (0, 0), (0x1C00, 4096),
        (0, 0), (0, 0)]
    assert len({p["frame"] for p in pages}) == len(pages)
    assert "prototype at 0x" in run_well("map", "--pages", image)


def test_bases_come_from_the_seed(tmp_path):
    path = Image(can_move=True, flags=DYNAMIC_BASE | HIGH_ENTROPY_VA | NX_COMPAT).write(
        tmp_path / "moves.dll")
    bases = set()
    for seed in range(1, 6):
        found = report("--seed", seed, path)["image"]
        assert found["status"] == "STATUS_SUCCESS"
        assert found["base"] == found["header_base"] and found["base"] % 65536 == 0
        assert found["preferred_base"] == 0x180000000
        bases.add(found["base"])
    assert len(bases) == 5
    assert run_well("map", "--seed", 3, path) == run_well("map", "--seed", 3, path)
    text = run_well("map", path)
    assert "flags           DYNAMIC_BASE HIGH_ENTROPY_VA NX_COMPAT" in text
    assert "relocated, STATUS_SUCCESS" in text
    assert "its headers show the base at which it lies" in text


def test_32_bits(tmp_path):
    path = Image(machine=I386, base=0x10000000).write(tmp_path / "old.dll")
    found = report(path)
    assert found["image"]["machine"] == "I386"
    assert found["image"]["base"] == 0x10000000
    assert found["data"]["base"] < 1 << 31


def test_files_that_cannot_be_mapped(tmp_path):
    empty = tmp_path / "empty"
    empty.touch()
    assert refusal("map", empty) == f"{empty}: cannot be mapped as data: " \
                                    "STATUS_MAPPED_FILE_SIZE_ZERO"
    assert refusal("map", tmp_path) == f"{tmp_path}: cannot open: " \
                                       "STATUS_INVALID_FILE_FOR_SECTION"
    missing = tmp_path / "missing"
    assert refusal("map", missing).endswith("STATUS_OBJECT_NAME_NOT_FOUND")
    broken = tmp_path / "broken.dll"
    contents = bytearray(Image().bytes())
    contents[0x98] = 0x77  # of the optional header's magic
    broken.write_bytes(contents)
    assert refusal("map", broken).startswith(f"{broken}: cannot be mapped as an image: STATUS_")


@pytest.mark.parametrize("arguments", [
    [], ["a", "b"], ["--touch", "much", "a"], ["--ram", "x", "a"], ["--ram", "5000", "a"],
    ["--seed", "x", "a"], ["--ram", "4K", __file__]])
def test_wrong_usage(arguments):
    assert refusal("map", *arguments).startswith("ntmm: ")


def test_unwritable_json(image, tmp_path):
    assert "cannot write" in refusal("map", "--json", tmp_path / "no" / "x.json", image)


@pytest.mark.skipif(not REAL, reason="no DLLs of mingw-w64 or Wine are installed")
def test_real_dlls():
    """Sections as pefile reads them."""
    pefile = pytest.importorskip("pefile", reason="python3-pefile is not installed")
    for path in REAL:
        if path.read_bytes()[:2] != b"MZ":
            continue
        found = report("--ram", "256M", path)["image"]
        pe = pefile.PE(str(path), fast_load=True)
        assert found["preferred_base"] == pe.OPTIONAL_HEADER.ImageBase
        assert found["header_base"] == found["base"], path
        assert sum(s["pages"] for s in found["subsections"]) * PAGE == found["size_bytes"]
        parts = {s["base"] - found["base"]: s for s in found["subsections"]}
        for section in pe.sections:
            part = parts[section.VirtualAddress]
            assert part["part"] == section.Name.rstrip(b"\0").decode()
            if part["file_bytes"]:
                assert part["file_offset"] == section.PointerToRawData
            if section.Characteristics & EXECUTE:
                assert part["protection"].startswith("EXECUTE")
