"""Images: PE files made by the example's maker, and one by mingw; nt_semantics 5."""

import shutil
import struct
import subprocess

import pytest

import ntmm
from ntmm import FileFlag, Layout, Mem, Protect, Sec
from pe import make_dll

PAGE = ntmm.PAGE_SIZE
BASE = 0x180000000
R, W, X, SHARED = 1 << 30, 1 << 31, 1 << 29, 1 << 28
# Offsets in a file of make_dll.
PE, OPTIONAL = 64, 64 + 24
SIZE_OF_IMAGE, SECTION_ALIGNMENT, FILE_ALIGNMENT = OPTIONAL + 56, OPTIONAL + 32, OPTIONAL + 36


@pytest.fixture
def open_image(system):
    """Makes the image section of a file's bytes."""
    files = []

    def opened(data, **options):
        files.append(system.create_file(data))
        return system.create_section(file=files[-1], **{"attributes": Sec.IMAGE, **options})

    yield opened
    for file in files:
        file.close()


@pytest.fixture
def image(open_image):
    with open_image(make_dll()) as made:
        yield made


def spoil(offset, value):
    """A DLL with bytes replaced."""
    data = make_dll()
    return data[:offset] + value + data[offset + len(value):]


# 5.3: what a part's characteristics make of its pages, before and after a write to the first.
@pytest.mark.parametrize(
    ("flags", "before", "after"),
    [
        (0, Protect.NOACCESS, None),
        (R, Protect.READONLY, None),
        (X, Protect.EXECUTE, None),
        (X | R, Protect.EXECUTE_READ, None),
        (W, Protect.WRITECOPY, Protect.READWRITE),
        (W | R, Protect.WRITECOPY, Protect.READWRITE),
        (X | W, Protect.EXECUTE_WRITECOPY, Protect.EXECUTE_READWRITE),
        (X | W | R, Protect.EXECUTE_WRITECOPY, Protect.EXECUTE_READWRITE),
        (SHARED | R, Protect.READONLY, None),
        (SHARED | X | R, Protect.EXECUTE_READ, None),
        (SHARED | W | R, Protect.READWRITE, Protect.READWRITE),
        (SHARED | X | W | R, Protect.EXECUTE_READWRITE, Protect.EXECUTE_READWRITE),
    ],
)
def test_protections_of_parts(system, process, open_image, flags, before, after):
    parts = [("part", 2 * PAGE, b"p" * (2 * PAGE), flags)]
    with open_image(make_dll(parts)) as image, system.create_process() as other:
        assert [part.protect for part in image.subsections()] == [Protect.READONLY, before]
        view, theirs = process.map_view(image), other.map_view(image)
        assert view == theirs == BASE
        headers, part = process.query(view), process.query(view + PAGE)
        assert (headers.protect, headers.allocation_protect, headers.type) == (
            Protect.READONLY, Protect.EXECUTE_WRITECOPY, Mem.IMAGE)
        assert (part.protect, part.region_size, part.type) == (before, 2 * PAGE, Mem.IMAGE)
        if after is None:
            with pytest.raises(ntmm.AccessViolation):
                process.write(view + PAGE, b"w")
            return
        process.write(view + PAGE, b"w")
        assert process.query(view + PAGE).protect == after
        assert process.query(view + 2 * PAGE).protect == before
        assert other.read(theirs + PAGE, 1) == (b"w" if flags & SHARED else b"p")
        assert process.query(view + PAGE).type == Mem.IMAGE


def test_contents_of_parts(process, open_image):
    parts = [
        (".a", 3 * PAGE, b"a" * 700, R),
        (".bss", PAGE, b"", R | W),
        (".b", PAGE, b"b" * 100, R),
    ]
    with open_image(make_dll(parts)) as image:
        assert [part[:5] for part in image.subsections()] == [
            (0, 1, 0, PAGE, 1), (1, 3, PAGE, 1024, 1), (4, 1, 0, 0, 0), (5, 1, PAGE + 1024, 512, 1)]
        assert image.information() == (0, Sec.FILE | Sec.IMAGE, 6 * PAGE)
        view = process.map_view(image)
        assert view.size == 6 * PAGE
        assert process.read(view, 2) == b"MZ"
        assert process.read(view + PAGE, 3 * PAGE) == b"a" * 700 + bytes(3 * PAGE - 700)
        assert process.read(view + 4 * PAGE, PAGE) == bytes(PAGE)
        assert process.read(view + 5 * PAGE, 200) == b"b" * 100 + bytes(100)
        assert process.image(view + PAGE)[:2] == (BASE, 6 * PAGE)


def test_image_information(image):
    found = image.image_information()
    assert found.transfer_address == BASE + PAGE
    assert (found.machine, found.image_characteristics) == (0x8664, 0x2022)
    assert (found.maximum_stack_size, found.committed_stack_size) == (1 << 20, PAGE)
    assert (found.subsystem, found.subsystem_major_version, found.subsystem_minor_version) == (
        3, 6, 0)
    assert found.contains_code
    assert found.image_file_size == len(make_dll())


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", "INVALID_FILE_FOR_SECTION"),
        (spoil(0, b"ZM"), "INVALID_IMAGE_NOT_MZ"),
        (spoil(PE, b"NE"), "INVALID_IMAGE_NE_FORMAT"),
        (spoil(PE, b"LE"), "INVALID_IMAGE_LE_FORMAT"),
        (spoil(PE, b"XX"), "INVALID_IMAGE_PROTECT"),
        (spoil(OPTIONAL, b"\x33\x33"), "INVALID_IMAGE_FORMAT"),
        (make_dll(machine=0), "INVALID_IMAGE_FORMAT"),
        (make_dll(machine=0x1C4), "INVALID_IMAGE_FORMAT"),
        (make_dll(base=BASE + PAGE), "INVALID_IMAGE_FORMAT"),
        (spoil(SIZE_OF_IMAGE, bytes(4)), "INVALID_IMAGE_FORMAT"),
        (spoil(SECTION_ALIGNMENT, struct.pack("<I", 0x1800)), "INVALID_IMAGE_FORMAT"),
        (spoil(FILE_ALIGNMENT, struct.pack("<I", 0x2000)), "INVALID_IMAGE_FORMAT"),
        (make_dll()[:200], "INVALID_IMAGE_FORMAT"),
    ],
)
def test_what_is_no_image(open_image, data, name):
    with pytest.raises(ntmm.NtStatusError) as caught:
        open_image(data)
    assert caught.value.name == name
    assert isinstance(caught.value, ValueError)


def test_a_section_cannot_be_larger_than_its_image(open_image, image):
    size = image.information().maximum_size
    with pytest.raises(ntmm.SectionTooBig):
        open_image(make_dll(), size=size + 1)
    with open_image(make_dll(), size=size - 1) as smaller:
        assert smaller.information().maximum_size == size - 1
    with pytest.raises(ntmm.SectionNotExtended):
        image.extend(2 * size)


def test_no_execute(process, open_image):
    with open_image(make_dll(), attributes=Sec.IMAGE_NO_EXECUTE) as image:
        assert image.information().allocation_attributes == Sec.FILE | Sec.IMAGE
        view = process.map_view(image)
        with pytest.raises(ntmm.AccessViolation):
            process.fetch(view + PAGE)
        assert process.read(view + PAGE, 3) == b"\x31\xc0\xc3"


def test_another_base_is_said(process, image):
    process.allocate(PAGE, base=BASE)
    first = process.map_view(image)
    assert first != BASE
    assert ntmm.STATUS_NAMES[first.status] == "IMAGE_NOT_AT_BASE"
    quiet = process.map_view(image, base=0x7000000, type=Mem.DIFFERENT_IMAGE_BASE_OK)
    assert (quiet, quiet.status) == (0x7000000, 0)


def test_machines(system, open_image, image):
    with system.create_process(layout=Layout.WOW64) as small:
        view = small.map_view(image)
        assert view.status != 0
    with system.create_process() as process:
        assert process.map_view(image, machine=0x8664) == BASE
        with pytest.raises(ntmm.NotSupported):
            process.map_view(image, machine=0x1234)


def test_a_dynamic_base_is_one_for_all_processes(system, process, open_image):
    with open_image(make_dll(dll_characteristics=0x160)) as image:
        with system.create_process() as other:
            assert process.map_view(image) == other.map_view(image)


# 5.4, 5.5: what is not told to move is kept from its base, and stays as that base has it.
def test_mandatory_relocation(system, process, open_image):
    with open_image(make_dll()) as image, system.create_process(
            layout=Layout.FORCE_RELOCATE_IMAGES) as strict:
        view = strict.map_view(image)
        assert view == 0x10000
        assert ntmm.STATUS_NAMES[view.status] == "IMAGE_NOT_AT_BASE"
        assert struct.unpack("<Q", strict.read(view + OPTIONAL + 24, 8)) == (BASE,)
        assert process.map_view(image) == BASE
    with open_image(make_dll(dll_characteristics=0x40)) as image, system.create_process(
            layout=Layout.FORCE_RELOCATE_IMAGES) as strict:
        assert strict.map_view(image) == BASE  # without relocations


def test_stripped_images_can_be_disallowed(system, open_image):
    stripped = Layout.DISALLOW_STRIPPED_IMAGES
    with open_image(spoil(PE + 22, b"\x03\x20")) as image:
        for layout in (stripped, Layout.FORCE_RELOCATE_IMAGES):
            with system.create_process(layout=layout) as process:
                assert process.map_view(image) == BASE
        with system.create_process(layout=stripped | Layout.FORCE_RELOCATE_IMAGES) as strict:
            with pytest.raises(ntmm.NtStatusError) as caught:
                strict.map_view(image)
            assert caught.value.name == "CONFLICTING_ADDRESSES"


def test_the_file_of_an_image(system, process):
    """4.9: not written, not cut, not deleted, while its image is in use."""
    with system.create_file(make_dll(), access=ntmm.FileAccess.READ_DATA) as file:
        assert file.can_delete()
        with system.create_section(file=file, attributes=Sec.IMAGE) as image:
            view = process.map_view(image)
        assert not file.can_delete()
        with pytest.raises(ntmm.FileInUse) as caught:
            file.open(ntmm.FileAccess.WRITE_DATA)
        assert caught.value.name == "SHARING_VIOLATION"
        with system.create_section(file=file, protect=Protect.READONLY) as data:
            other = process.map_view(data)
        assert process.is_same_file(view, view)
        assert process.is_same_file(view, other)
        assert not process.is_same_file(other, view)
        private = process.allocate(PAGE)
        with pytest.raises(ntmm.ConflictingAddresses):
            process.is_same_file(private, view)
        with pytest.raises(ntmm.NtStatusError, match="INVALID_ADDRESS"):
            process.is_same_file(0, view)
        view.unmap()
        assert file.can_delete()


def test_later_writes_to_the_file_are_not_in_its_image(system, process):
    with system.create_file(make_dll()) as file:
        file.write(PAGE, b"data")
        with system.create_section(file=file, attributes=Sec.IMAGE) as image:
            view = process.map_view(image)
            assert process.read(view + PAGE, 4) == b"data"
            file.write(PAGE, b"more")
            assert process.read(view + PAGE, 4) == b"data"


COMPILER = shutil.which("x86_64-w64-mingw32-gcc")
SOURCE = """
static int counter = 5;
int shared_counter __attribute__((section(".shr,\\"dws\\"#"))) = 7;
__declspec(dllexport) int *next(void) { counter++; shared_counter++; return &counter; }
"""


@pytest.mark.skipif(COMPILER is None, reason="mingw-w64 is not installed")
def test_a_dll_of_mingw(system, process, tmp_path):
    """Parts, their protections and contents, read independently by this test from the file."""
    (tmp_path / "small.c").write_text(SOURCE)
    path = tmp_path / "small.dll"
    subprocess.run([COMPILER, "-shared", "-nostdlib", "-Wl,--entry=0", "-o", path,
                    tmp_path / "small.c"], check=True, capture_output=True)
    data = path.read_bytes()
    at = struct.unpack_from("<I", data, 60)[0]
    count, = struct.unpack_from("<H", data, at + 6)
    table = at + 24 + struct.unpack_from("<H", data, at + 20)[0]
    expected = {}
    for number in range(count):
        size, address, raw, place = struct.unpack_from("<4I", data, table + 40 * number + 8)
        flags, = struct.unpack_from("<I", data, table + 40 * number + 36)
        expected[address] = (size, data[place:place + min(raw, size)], flags)
    with system.create_file(path=path, flags=FileFlag.READ_ONLY) as file:
        with system.create_section(file=file, attributes=Sec.IMAGE) as image:
            view = process.map_view(image)
            parts = {part.first_page * PAGE: part for part in image.subsections()}
    for address, (size, contents, flags) in expected.items():
        protect = Protect.EXECUTE_READ if flags & X else Protect.READONLY
        if flags & W:
            protect = Protect.READWRITE if flags & SHARED else Protect.WRITECOPY
        assert parts[address].protect == protect
        assert process.query(view + address).protect == protect
        assert parts[address].page_count == -(-size // PAGE)
        assert process.read(view + address, len(contents)) == contents
    assert any(flags & SHARED for _, _, flags in expected.values())
    assert path.read_bytes() == data
