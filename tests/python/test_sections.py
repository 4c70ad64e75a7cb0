"""Sections of page files and their views; expectations from nt_semantics 4."""

import ast
import pathlib
import re
import runpy
import sys

import pytest

import ntmm
from ntmm import Inherit, Mem, Protect, Sec, SectionAccess

PAGE = ntmm.PAGE_SIZE
GRANULARITY = ntmm.ALLOCATION_GRANULARITY
ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def other(system):
    with system.create_process() as made:
        yield made


@pytest.fixture
def section(system):
    with system.create_section(4 * PAGE) as made:
        yield made


def status_of(call):
    with pytest.raises(ntmm.NtStatusError) as caught:
        call()
    return caught.value.name


def test_every_call_of_sections_and_files_is_used_by_the_package():
    """Each is reached by a method, not only as a function of ntmm._core; but the verifier, which
    the core calls back while it makes an image, has no binding."""
    used = set()
    for source in (ROOT / "bindings" / "python" / "ntmm").glob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "_core":
                used.add(node.attr)
    declared = {"ntmm_query_subsections"}
    for header in ("section.h", "file.h"):
        text = (ROOT / "core" / "include" / "ntmm" / header).read_text()
        declared |= set(re.findall(r"^NTMM_API[^;(]*?\b(ntmm_\w+)\(", text, re.MULTILINE))
    assert len(declared) > 20
    assert declared - used == {"ntmm_set_image_verifier"}


# Create, open, query


def test_two_processes_see_one_page(process, other, section):
    mine, theirs = process.map_view(section), other.map_view(section)
    process.write(mine + PAGE, b"hello")
    assert other.read(theirs + PAGE, 5) == b"hello"
    other.write(theirs + PAGE, b"J")
    assert process.read(mine + PAGE, 5) == b"Jello"
    assert process.page(mine + PAGE).share_count == 2
    assert process.page(mine + PAGE).shared


def test_sizes_are_rounded_up_to_pages(system):
    with system.create_section(0x3452) as section:
        assert section.information() == (0, Sec.COMMIT, 0x4000)
        (only,) = section.subsections()
        assert (only.first_page, only.page_count, only.file_bytes) == (0, 4, 0)
        assert only.is_shared


def test_commit_is_charged_once(system, process):
    before = system.memory().commit_pages
    with system.create_section(512 * PAGE) as section:
        charged = system.memory().commit_pages - before
        assert charged >= 512
        process.map_view(section)
        process.map_view(section)
        assert system.memory().commit_pages - before < charged + 512
        assert process.information().commit_pages < 512


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"attributes": 0}, "INVALID_PARAMETER_6"),
        ({"attributes": Sec.COMMIT | Sec.RESERVE}, "INVALID_PARAMETER_6"),
        ({"attributes": Sec.COMMIT | Sec.FILE}, "INVALID_PARAMETER_6"),
        ({"attributes": Sec.COMMIT | Sec.NOCACHE | Sec.WRITECOMBINE}, "INVALID_PARAMETER_6"),
        ({"attributes": Sec.RESERVE | Sec.LARGE_PAGES}, "INVALID_PARAMETER_6"),
        ({"protect": 0}, "INVALID_PAGE_PROTECTION"),
        ({"protect": Protect.NOACCESS}, "INVALID_PAGE_PROTECTION"),
        ({"protect": Protect.READWRITE | Protect.GUARD}, "INVALID_PAGE_PROTECTION"),
        ({"protect": Protect.READONLY | Protect.READWRITE}, "INVALID_PAGE_PROTECTION"),
        ({"attributes": Sec.IMAGE}, "INVALID_FILE_FOR_SECTION"),
        ({"size": 0}, "INVALID_PARAMETER_4"),
        ({"size": 0x800000000000}, "SECTION_TOO_BIG"),
        ({"size": 2**64 - 1}, "SECTION_TOO_BIG"),
        ({"size": 1 << 43, "attributes": Sec.RESERVE}, "INSUFFICIENT_RESOURCES"),
        ({"size": 1 << 39}, "COMMITMENT_LIMIT"),
        ({"name": "n" * 300}, "INVALID_PARAMETER_3"),
    ],
)
def test_refusals_of_create(system, arguments, name):
    assert status_of(lambda: system.create_section(**{"size": PAGE, **arguments})) == name


def test_names(system, process):
    section = system.create_section(PAGE, name="Größe \U0001F600")
    view = process.map_view(section)
    process.write(view, b"named")
    with system.open_section("Größe \U0001F600") as opened:
        assert process.read(process.map_view(opened), 5) == b"named"
    with pytest.raises(FileNotFoundError):
        system.open_section("größe \U0001F600")
    with pytest.raises(ntmm.NameCollision):
        system.create_section(PAGE, name="Größe \U0001F600")
    with system.create_section(9 * PAGE, name="Größe \U0001F600", open_if=True) as again:
        assert ntmm.STATUS_NAMES[again.status] == "OBJECT_NAME_EXISTS"
        assert again.information().maximum_size == PAGE
    section.close()
    with pytest.raises(ntmm.NameNotFound):
        system.open_section("Größe \U0001F600")
    with system.create_section(PAGE, name="Größe \U0001F600") as anew:
        assert process.read(process.map_view(anew), 5) == bytes(5)
    assert process.read(view, 5) == b"named"


def test_handles_have_rights(system, process):
    with system.create_section(PAGE, access=SectionAccess.MAP_READ) as section:
        assert status_of(section.information) == "ACCESS_DENIED"
        assert status_of(section.subsections) == "ACCESS_DENIED"
        assert status_of(lambda: process.map_view(section)) == "ACCESS_DENIED"
        assert status_of(lambda: section.extend(2 * PAGE)) == "ACCESS_DENIED"
        with pytest.raises(PermissionError):
            section.duplicate(SectionAccess.MAP_WRITE)
        with section.duplicate(SectionAccess.MAP_READ) as duplicate:
            for protect in (Protect.NOACCESS, Protect.READONLY, Protect.WRITECOPY):
                process.map_view(duplicate, protect=protect)


def test_classes_of_a_query(section):
    assert status_of(section.image_information) == "SECTION_NOT_IMAGE"
    assert status_of(lambda: section.query_class(0, bytearray(23))) == "INFO_LENGTH_MISMATCH"
    assert status_of(lambda: section.query_class(77, bytearray(64))) == "INVALID_INFO_CLASS"
    assert section.query_class(0, bytearray(64)) == 24


def test_page_file_sections_cannot_be_extended(section):
    assert status_of(lambda: section.extend(8 * PAGE)) == "SECTION_NOT_EXTENDED"


def test_based_sections_lie_one_below_the_other(system, process):
    with system.create_section(PAGE, attributes=Sec.COMMIT | Sec.BASED) as first:
        with system.create_section(PAGE, attributes=Sec.COMMIT | Sec.BASED) as second:
            bases = [made.information().base_address for made in (first, second)]
            assert bases[1] == bases[0] - GRANULARITY
            assert process.map_view(second) == bases[1]


# Map and unmap


def test_a_view_goes_with_its_with(process, section):
    with process.map_view(section, PAGE) as view:
        found = process.query(view)
        assert (found.type, found.region_size) == (Mem.MAPPED, PAGE)
        assert (view.size, view.offset, view.status, view.end) == (PAGE, 0, 0, view + PAGE)
    assert process.query(view).state == Mem.FREE
    view.unmap()
    assert repr(view) == f"View(0x{int(view):X}, size=0x1000)"


@pytest.mark.parametrize("inside", [0, 100, PAGE, 0x1050])
def test_any_address_of_a_view_unmaps_it(process, section, inside):
    view = process.map_view(section)
    process.unmap_view(view + inside, flags=Mem.UNMAP_WITH_TRANSIENT_BOOST)
    assert process.query(view).state == Mem.FREE
    with pytest.raises(ntmm.NotMappedView):
        process.unmap_view(view)


def test_unmapping_what_is_no_view(process):
    block = process.allocate(PAGE)
    for address in (block, 0, ntmm.HIGHEST_USER_ADDRESS + 1):
        assert status_of(lambda: process.unmap_view(address)) == "NOT_MAPPED_VIEW"


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"inherit": 3}, "INVALID_PARAMETER_8"),
        ({"inherit": 0}, "INVALID_PARAMETER_8"),
        ({"zero_bits": 22}, "INVALID_PARAMETER_4"),
        ({"type": Mem.COMMIT}, "INVALID_PARAMETER_9"),
        ({"type": Mem.RESERVE}, "INVALID_PARAMETER_9"),
        ({"type": Mem.LARGE_PAGES}, "INVALID_PARAMETER"),
        ({"protect": 0}, "INVALID_PAGE_PROTECTION"),
        ({"base": 1 << 50}, "INVALID_PARAMETER_3"),
        ({"size": 2**64 - 1}, "INVALID_PARAMETER_3"),
        ({"base": GRANULARITY * 9 + PAGE}, "MAPPED_ALIGNMENT"),
        ({"offset": PAGE}, "MAPPED_ALIGNMENT"),
        ({"protect": Protect.EXECUTE_READ}, "SECTION_PROTECTION"),
        ({"size": 4 * PAGE + 1}, "INVALID_VIEW_SIZE"),
        ({"offset": GRANULARITY}, "INVALID_VIEW_SIZE"),
        ({"size": PAGE, "commit": 2 * PAGE}, "INVALID_PARAMETER_5"),
        ({"lowest": 1 << 50, "highest": (1 << 51) - 1}, "INVALID_PARAMETER"),
    ],
)
def test_refusals_of_map(process, section, arguments, name):
    regions = process.scan()
    assert status_of(lambda: process.map_view(section, **arguments)) == name
    assert process.scan() == regions


def test_handles_come_before_alignment(process, section):
    gone = section.duplicate(SectionAccess.ALL)
    stale = gone.handle
    gone.close()
    gone.close()
    assert status_of(gone.information) in ("INVALID_HANDLE", "OBJECT_TYPE_MISMATCH")
    gone.handle = stale
    assert status_of(lambda: process.map_view(gone, offset=PAGE)) == "INVALID_HANDLE"
    gone.handle = process.handle
    assert status_of(lambda: process.map_view(gone, offset=PAGE)) == "OBJECT_TYPE_MISMATCH"
    gone.handle = 0


# Rows of 4.5: which views a section allows.
VIEWS = [Protect.NOACCESS, Protect.READONLY, Protect.READWRITE, Protect.WRITECOPY,
         Protect.EXECUTE, Protect.EXECUTE_READ, Protect.EXECUTE_READWRITE,
         Protect.EXECUTE_WRITECOPY]


@pytest.mark.parametrize(
    ("protect", "row"),
    [
        (Protect.READONLY, "yy-y----"),
        (Protect.READWRITE, "yyyy----"),
        (Protect.WRITECOPY, "yy-y----"),
        (Protect.EXECUTE, "y---y---"),
        (Protect.EXECUTE_READ, "yy-yyy-y"),
        (Protect.EXECUTE_READWRITE, "yyyyyyyy"),
        (Protect.EXECUTE_WRITECOPY, "yy-yyy-y"),
    ],
)
def test_protections_of_sections_and_views(system, process, protect, row):
    with system.create_section(PAGE, protect=protect) as section:
        found = ""
        for view in VIEWS:
            try:
                with process.map_view(section, protect=view) as mapped:
                    assert process.query(mapped).protect == view
                found += "y"
            except ntmm.SectionProtectionError:
                found += "-"
        assert found == row


def test_where_views_are_mapped(process, section):
    at = process.map_view(section, base=0x50000000)
    assert at == 0x50000000
    with pytest.raises(ntmm.ConflictingAddresses):
        process.map_view(section, base=0x50000000)
    assert process.map_view(section, type=Mem.TOP_DOWN) > 1 << 40
    low = process.map_view(section, lowest=0x60000000, highest=0x6000FFFF)
    assert low == 0x60000000
    assert process.map_view(section, zero_bits=0x7FFFFFFF, inherit=Inherit.UNMAP) < 1 << 31
    with pytest.raises(ValueError):
        process.map_view(section, lowest=0x60000000, highest=0x6FFFFFFF, zero_bits=1)
    requirements = [(1, (0, 0, GRANULARITY))]
    assert status_of(
        lambda: process.map_view_extended(section, 0, 0, Protect.READWRITE, requirements)
    ) == "INVALID_PARAMETER"


def test_offsets(system, process):
    with system.create_section(2 * GRANULARITY + PAGE) as section:
        whole = process.map_view(section)
        process.write(whole + 2 * GRANULARITY, b"end")
        tail = process.map_view(section, offset=2 * GRANULARITY)
        assert (tail.offset, tail.size) == (2 * GRANULARITY, PAGE)
        assert process.read(tail, 3) == b"end"


def test_views_replace_placeholders(process, section):
    hole = process.create_placeholder(4 * PAGE)
    view = process.map_view(section, 4 * PAGE, base=hole, type=Mem.REPLACE_PLACEHOLDER)
    process.write(view, b"x")
    process.unmap_view(view, flags=Mem.PRESERVE_PLACEHOLDER)
    assert process.query(hole).state == Mem.RESERVE
    process.release(hole)
    plain = process.map_view(section)
    assert status_of(lambda: process.unmap_view(plain, flags=Mem.PRESERVE_PLACEHOLDER)) == (
        "CONFLICTING_ADDRESSES")
    assert status_of(lambda: process.unmap_view(plain, flags=64)) == "INVALID_PARAMETER_3"


def test_views_live_longer_than_handles(system, process):
    with system.create_section(PAGE) as section:
        view = process.map_view(section)
    process.write(view, b"still")
    process.empty_working_set()
    assert process.read(view, 5) == b"still"


# Copy on write, reserve, no change


def test_copies_belong_to_the_process_that_writes(process, other, section):
    shared = process.map_view(section)
    process.write(shared, b"first")
    copy = other.map_view(section, protect=Protect.WRITECOPY)
    before = other.information().commit_pages
    assert before >= 4  # pages of the view are charged when it is mapped
    other.write(copy, b"F")
    assert other.query(copy).protect == Protect.READWRITE
    assert other.query(copy + PAGE).protect == Protect.WRITECOPY
    assert process.read(shared, 5) == b"first"
    process.write(shared + 1, b"IRST")
    assert other.read(copy, 5) == b"First"
    assert other.information().commit_pages == before


def test_a_reserved_section_is_committed_through_any_view(system, process, other):
    with system.create_section(4 * PAGE, attributes=Sec.RESERVE) as section:
        mine, theirs = process.map_view(section), other.map_view(section, protect=Protect.READONLY)
        assert process.query(mine).state == Mem.RESERVE
        with pytest.raises(ntmm.AccessViolation):
            process.write(mine, b"x")
        process.commit(mine, PAGE)
        process.write(mine, b"x")
        assert other.query(theirs).state == Mem.COMMIT
        assert other.query(theirs).protect == Protect.READONLY
        assert other.read(theirs, 1) == b"x"
        with pytest.raises(ntmm.UnableToFree) as caught:
            process.decommit(mine, PAGE)
        assert caught.value.name == "UNABLE_TO_DELETE_SECTION"


def test_commit_size_commits_the_first_pages(system, process):
    with system.create_section(2 * PAGE, attributes=Sec.RESERVE) as section:
        view = process.map_view(section, commit=PAGE)
        process.write(view, b"x")
        with pytest.raises(ntmm.AccessViolation):
            process.read(view + PAGE, 1)


def test_no_change(process, section):
    view = process.map_view(section, type=Sec.NO_CHANGE)
    with pytest.raises(ntmm.InvalidPageProtection):
        process.protect(view, PAGE, Protect.READONLY)
    assert process.query(view).protect == Protect.READWRITE


def test_guards_of_views_are_each_process_s_own(process, other, section):
    guard = Protect.READWRITE | Protect.GUARD
    views = [one.map_view(section, protect=guard) for one in (process, other)]
    for one, view in zip((process, other), views):
        with pytest.raises(ntmm.GuardPage):
            one.read(view, 1)
        assert one.read(view, 1) == b"\0"


# Paging, events, machines


def test_pages_go_to_the_page_file_and_come_back(system, process, other, section):
    system.add_page_file(1 << 20)
    mine, theirs = process.map_view(section), other.map_view(section)
    process.write(mine, b"remember")
    process.empty_working_set()
    system.write_modified_pages(16)
    system.command_lists(ntmm.ListCommand.PURGE_STANDBY_LIST, caller=process)
    before = other.counters()["hard_faults"]
    assert other.read(theirs, 8) == b"remember"
    assert other.counters()["hard_faults"] == before + 1


def test_views_are_notified(system, process, section):
    system.record_events([ntmm.EventKind.MAP, ntmm.EventKind.UNMAP])
    system.record_withdrawals()
    with process.map_view(section) as view:
        process.write(view, b"x")
    mapped, unmapped = system.take_events()
    assert (mapped.kind, mapped.a, mapped.b, mapped.detail) == (
        ntmm.EventKind.MAP, view, view.size, Protect.READWRITE)
    assert (unmapped.kind, unmapped.a, unmapped.b) == (ntmm.EventKind.UNMAP, view, view.size)
    assert any(
        gone.reason == ntmm.Reason.UNMAP and gone.base <= view < gone.end
        for gone in system.take_withdrawals()
    )


def test_a_fork_has_sections_of_its_own(system, process, section):
    view = process.map_view(section)
    process.write(view, b"both")
    with system.fork() as fork:
        double = fork.process(process)
        again = double.map_view(fork.section(section))
        double.write(again, b"fork")
        assert double.read(view, 4) == b"fork"
        assert fork.section(section.handle).information() == section.information()
        with pytest.raises(ValueError):
            double.map_view(section)
    assert process.read(view, 4) == b"both"


def test_the_example_shows_what_is_shared_and_what_is_copied(capsys, monkeypatch):
    pytest.importorskip("pandas")
    monkeypatch.setattr(sys, "argv", ["share_and_map.py"])
    runpy.run_path(str(ROOT / "examples" / "share_and_map.py"), run_name="__main__")
    shared, parts, written = re.split(r"(?m)^the DLL$|^its pages.*$", capsys.readouterr().out)
    rows = [line.split() for line in shared.splitlines()[2:]]
    assert [row[-5:] for row in rows] == [
        ["one", "True", "1", "READWRITE", "b'note'"],
        ["other", "False", "0", "READWRITE", "b''"],
        ["one", "True", "2", "READWRITE", "b'note'"],
        ["other", "True", "2", "READWRITE", "b'note'"],
    ]
    assert [line.split()[-2:] for line in parts.splitlines()[2:]] == [
        ["READONLY", "False"], ["EXECUTE_READ", "False"], ["WRITECOPY", "False"],
        ["READWRITE", "True"],
    ]
    assert [line.split()[-2:] for line in written.splitlines()[2:]] == [
        ["WRITECOPY", "b'data'"], ["WRITECOPY", "b'data'"],
        ["READWRITE", "b'ONE!'"], ["WRITECOPY", "b'data'"],
        ["READWRITE", "b'mine'"], ["READWRITE", "b'mine'"],
        ["READWRITE", "b'ONE!'"], ["READWRITE", "b'ONE!'"],
    ]


def test_pandas_takes_subsections(section):
    pandas = pytest.importorskip("pandas")
    assert pandas.DataFrame(section.subsections()).page_count.sum() == 4
    assert pandas.DataFrame([section.information()]).maximum_size[0] == 4 * PAGE
