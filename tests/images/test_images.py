"""PE files that others made: image_dump says of them what python3-pefile says, and a processor
reads the same through image_map's views.

Sections as pefile reads them, laid out by the rules of nt_semantics 5.2 and 5.3; every page, and
every page at two other bases, to which pefile relocated the file; then the pages of views, at the
base that the library chose, in less memory than a large image has pages. At last files are spoiled.
"""
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import zlib

import pytest

pefile = pytest.importorskip("pefile", reason="python3-pefile is not installed")

PAGE = 4096
SECTOR = 512
FOLDERS = ("/usr/lib/gcc/x86_64-w64-mingw32", "/usr/x86_64-w64-mingw32",
           "/usr/lib/x86_64-linux-gnu/wine/x86_64-windows", "/usr/lib/wine")
BASES = (0x7FF812340000, 0x10000)
BASES_OF_32_BITS = (0x76540000, 0x10000)
RELOCATION_DIRECTORY = pefile.DIRECTORY_ENTRY["IMAGE_DIRECTORY_ENTRY_BASERELOC"]

# By execute, write, read; writable and shared.
PROTECTIONS = {(0, 0, 0): 0x18, (0, 0, 1): 1, (1, 0, 0): 2, (1, 0, 1): 3,
               (0, 1, 0): 5, (0, 1, 1): 5, (1, 1, 0): 7, (1, 1, 1): 7}
SHARED = {5: 4, 7: 6}
NO_ACCESS = 0x18
MISMATCH = 0x4000000E
SMALL_BYTES = 0x100000


def is_image(path):
    with open(path, "rb") as file:
        return file.read(2) == b"MZ"


def all_files():
    found = {path.resolve() for folder in FOLDERS for path in pathlib.Path(folder).rglob("*")
             if path.is_file() and path.suffix not in (".a", ".o", ".h", ".py", ".so")}
    return sorted(str(path) for path in found if is_image(path))


def drawn_files():
    files = all_files()
    wanted = os.environ.get("NTMM_IMAGES", "40")
    if wanted == "all":
        return files
    chooser = random.Random(int(os.environ.get("NTMM_IMAGES_SEED", "1")))
    return sorted(chooser.sample(files, min(int(wanted), len(files))))


def up(value, unit):
    return (value + unit - 1) // unit * unit


def pages_of(size):
    return up(size, PAGE) // PAGE


def expected_subsections(pe, file_bytes):
    """(first page, pages of its own, pages with content, place, bytes, protection) of each."""
    headers = pe.OPTIONAL_HEADER.SizeOfHeaders
    yield 0, pages_of(headers), pages_of(headers), 0, headers, 1
    for section in pe.sections:
        flags = section.Characteristics
        own = pages_of(section.Misc_VirtualSize or section.SizeOfRawData)
        raw = section.SizeOfRawData if section.PointerToRawData else 0
        backed = min(pages_of(raw), own)
        content = min(up(raw, SECTOR), backed * PAGE, file_bytes - section.PointerToRawData)
        protection = PROTECTIONS[flags >> 29 & 1, flags >> 31, flags >> 30 & 1]
        if flags >> 28 & 1:
            protection = SHARED.get(protection, protection)
        place = section.PointerToRawData if backed else 0
        yield (section.VirtualAddress // PAGE, own, backed, place, content if backed else 0,
               protection)


def expected_pages(pe, subsections, pages, data):
    """The CRC of each page of an image whose file has these bytes."""
    memory = bytearray(pages * PAGE)
    for first, _, _, place, size, _ in subsections:
        memory[first * PAGE:first * PAGE + size] = data[place:place + size]
    field = pe.OPTIONAL_HEADER.get_field_absolute_offset("ImageBase")
    is_64 = pe.PE_TYPE == pefile.OPTIONAL_HEADER_MAGIC_PE_PLUS
    struct.pack_into("<Q" if is_64 else "<I", memory, field, pe.OPTIONAL_HEADER.ImageBase)
    return [zlib.crc32(memory[at:at + PAGE]) for at in range(0, len(memory), PAGE)]


def compare(path, seen, bases=BASES):
    """What differs, or nothing."""
    pe = pefile.PE(path, fast_load=True)
    optional = pe.OPTIONAL_HEADER
    size = os.path.getsize(path)
    if seen["status"] != 0:
        return f"status {seen['status']:#x}"
    fields = {"base": optional.ImageBase, "image_bytes": optional.SizeOfImage,
              "pages": pages_of(optional.SizeOfImage), "header_bytes": optional.SizeOfHeaders,
              "entry": optional.AddressOfEntryPoint, "machine": pe.FILE_HEADER.Machine,
              "characteristics": pe.FILE_HEADER.Characteristics,
              "dll_characteristics": optional.DllCharacteristics}
    for name, value in fields.items():
        if seen[name] != value:
            return f"{name}: {seen[name]}, not {value}"
    expected = list(expected_subsections(pe, size))
    got = [tuple(s[key] for key in ("first", "section", "backed", "offset", "bytes", "protection"))
           for s in seen["subsections"]]
    if got != expected:
        return f"subsections {got}, not {expected}"
    return compare_pages(pe, expected, seen, bases)


def compare_pages(pe, subsections, seen, bases):
    own_base = pe.OPTIONAL_HEADER.ImageBase
    directory = pe.OPTIONAL_HEADER.DATA_DIRECTORY[RELOCATION_DIRECTORY]
    has_relocations = directory.Size > 0 and not pe.FILE_HEADER.IMAGE_FILE_RELOCS_STRIPPED
    all_bases = [own_base]
    if has_relocations:
        if seen["relocation"]["status"] != 0:
            return f"relocation {seen['relocation']['status']:#x}"
        pe.parse_data_directories(directories=[RELOCATION_DIRECTORY])
        all_bases += bases
    for base in all_bases:
        if base != own_base:
            pe.relocate_image(base)
        expected = expected_pages(pe, subsections, seen["pages"], pe.__data__)
        got = seen["crc"][str(base)]
        wrong = [page for page, pair in enumerate(zip(got, expected)) if pair[0] != pair[1]]
        if wrong or len(got) != len(expected):
            return f"pages {wrong} at {base:#x}"
    if set(seen["crc"]) != {str(base) for base in all_bases}:
        return "relocated though it cannot be"
    return None


def dump(files, bases=BASES):
    options = [word for base in bases for word in ("--base", hex(base))]
    lines = subprocess.run([os.environ["IMAGE_DUMP"], *options, *map(str, files)],
                           capture_output=True, check=True, text=True).stdout.splitlines()
    assert len(lines) == len(files)
    return [json.loads(line) for line in lines]


def test_files_are_as_pefile_reads_them(capsys):
    files = drawn_files()
    if not files:
        pytest.skip("no PE file of gcc-mingw-w64-x86-64 or wine64 is installed")
    differences = {}
    relocated = blocks = straddles = pages = 0
    for path, seen in zip(files, dump(files)):
        difference = compare(path, seen)
        if difference:
            differences[path] = difference
            continue
        relocated += len(seen["crc"]) == 1 + len(BASES)
        blocks += seen["relocation"]["blocks"]
        straddles += seen["relocation"]["straddles"]
        pages += seen["pages"] * len(seen["crc"])
    with capsys.disabled():
        print(f"\n{len(files)} files, {relocated} of them relocated to {len(BASES)} bases: "
              f"{pages} pages, {blocks} blocks, {straddles} fixups that straddle pages")
    assert differences == {}


def run_image_map(*words):
    run = subprocess.run([os.environ["IMAGE_MAP"], *map(str, words)], capture_output=True,
                         text=True)
    assert run.returncode == 0, run.stderr[-300:]
    return [json.loads(line) for line in run.stdout.splitlines()]


def compare_view(path, seen):
    """What differs between a view's pages and the file relocated to its base, or nothing."""
    pe = pefile.PE(path, fast_load=True)
    is_native = pe.FILE_HEADER.Machine == pefile.MACHINE_TYPE["IMAGE_FILE_MACHINE_AMD64"]
    if seen["status"] != 0 or seen["map_status"] not in ((0,) if is_native else (MISMATCH,)):
        return f"statuses {seen['status']:#x} {seen['map_status']:#x}"
    subsections = list(expected_subsections(pe, os.path.getsize(path)))
    if seen["base"] != pe.OPTIONAL_HEADER.ImageBase:
        pe.parse_data_directories(directories=[RELOCATION_DIRECTORY])
        pe.relocate_image(seen["base"])
    pages = pages_of(pe.OPTIONAL_HEADER.SizeOfImage)
    expected = expected_pages(pe, subsections, pages, pe.__data__)
    readable = set()
    for first, own, _, _, _, protection in subsections:
        if protection != NO_ACCESS:
            readable.update(range(first, first + own))
    wrong = [page for page in range(pages)
             if seen["crc"][page] != (expected[page] if page in readable else None)]
    return f"pages {wrong} at {seen['base']:#x}" if wrong or len(seen["crc"]) != pages else None


def test_views_show_what_pefile_reads(capsys):
    files = drawn_files()
    if not files:
        pytest.skip("no PE file of gcc-mingw-w64-x86-64 or wine64 is installed")
    differences = {}
    moved = pages = repurposed = 0
    for path, seen in zip(files, run_image_map(*files)):
        difference = compare_view(path, seen)
        if difference:
            differences[path] = difference
            continue
        moved += seen["base"] != pefile.PE(path, fast_load=True).OPTIONAL_HEADER.ImageBase
        pages += len(seen["crc"])
        repurposed += seen["repurposed"]
    with capsys.disabled():
        print(f"\n{len(files)} views, {moved} of them relocated: {pages} pages read twice, "
              f"{repurposed} repurposed while they were")
    assert differences == {}


def test_ten_processes_share_twenty_libraries(capsys):
    files = [path for path in all_files()
             if path.endswith(".dll") and os.path.getsize(path) <= SMALL_BYTES]
    if len(files) < 20:
        pytest.skip("no PE file of gcc-mingw-w64-x86-64 or wine64 is installed")
    chooser = random.Random(int(os.environ.get("NTMM_IMAGES_SEED", "1")))
    seen, = run_image_map("--ram", 64, "--share", 10, *chooser.sample(files, 20))
    with capsys.disabled():
        print(f"\n{seen['files']} libraries in {seen['processes']} processes: "
              f"{seen['pages']} pages, a frame each")
    assert seen["pages"] >= 20


def test_spoiled_files(capsys):
    files = [path for path in drawn_files() if os.path.getsize(path) <= SMALL_BYTES]
    if not files:
        pytest.skip("no PE file of gcc-mingw-w64-x86-64 or wine64 is installed")
    seed = int(os.environ.get("NTMM_IMAGES_SEED", "1")) * 1000
    seen, = run_image_map("--mutate", 1000, "--seed", seed, *files)
    with capsys.disabled():
        print(f"\n1000 spoiled files: {seen}")
    assert sum(seen["sections"].values()) == 1000
    assert 0 < sum(seen["views"].values()) < 1000


@pytest.mark.parametrize("bits", [64, 32])
def test_pointers_at_odd_places(tmp_path, bits):
    """No compiler puts them there by itself: of the files above hardly one has a fixup that
    straddles."""
    if not shutil.which("x86_64-w64-mingw32-gcc"):
        pytest.skip("gcc-mingw-w64-x86-64 is not installed")
    made, here = tmp_path / "straddle.dll", pathlib.Path(__file__).parent
    emulation, script = {64: ("i386pep", []), 32: ("i386pe", ["-T", here / "straddle.ld"])}[bits]
    subprocess.run(["x86_64-w64-mingw32-gcc", f"-m{bits}", "-O1", "-c", "-o", tmp_path / "object",
                    here / "straddle.c"], check=True)
    subprocess.run(["x86_64-w64-mingw32-ld", "-m", emulation, *script, "-shared", "-e", "0",
                    "--dynamicbase", "-o", made, tmp_path / "object"], check=True)
    bases = BASES if bits == 64 else BASES_OF_32_BITS
    seen, = dump([made], bases)
    assert compare(str(made), seen, bases) is None
    assert seen["is_64"] == (bits == 64)
    assert seen["can_move"] == 1
    assert seen["relocation"]["straddles"] >= 3
