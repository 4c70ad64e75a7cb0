"""Information classes, the walk over an address space, scans and translations."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ntmm
from ntmm import Mem, Protect, Regions, RegionType

PAGE = ntmm.PAGE_SIZE
END = ntmm.HIGHEST_USER_ADDRESS + 1


def status_of(call, *arguments, **options):
    with pytest.raises(ntmm.NtStatusError) as caught:
        call(*arguments, **options)
    return caught.value.name


def test_a_region_is_whole(process):
    block = process.reserve(0x30000, base=0x50000000, protect=Protect.READONLY)
    process.commit(block + PAGE, 2 * PAGE)
    assert process.region(block + 0x1234) == ntmm.RegionInformation(
        allocation_base=block,
        allocation_protect=Protect.READONLY,
        region_type=RegionType.PRIVATE,
        region_size=0x30000,
        commit_size=2 * PAGE,
        partition_id=0,
        node_preference=(1 << 64) - 1,
    )
    assert status_of(process.region, 0x40000000) == "INVALID_ADDRESS"


def test_the_class_of_regions_that_is_not_extended(process):
    block = process.reserve(PAGE)
    assert process.query_class(3, block, bytearray(24)) == 24
    assert status_of(process.query_class, 3, block, bytearray(16)) == "INFO_LENGTH_MISMATCH"


def test_pages_as_the_working_set_sees_them(process):
    block = process.allocate(4 * PAGE)
    process.read(block, 1)
    process.write(block + PAGE, b"x")
    process.lock(block + PAGE, PAGE)
    read, locked, untouched, free = process.pages(
        [block + 7, block + PAGE, block + 2 * PAGE, 0x40000000])
    assert (read.virtual_address, read.valid, read.protect) == (block + 7, True, Protect.READWRITE)
    assert (read.shared, read.share_count, read.locked, read.large) == (False, 0, False, False)
    assert locked.locked
    assert untouched[1:] == (False, Protect(0), 0, False, 0, False, False, ntmm.Location.NONE, 0,
                             False)
    assert free[1:] == untouched[1:]
    process.protect(block, PAGE, Protect.NOACCESS)
    assert process.page(block)[1:3] == (False, Protect(0))
    process.protect(block, PAGE, Protect.READONLY)
    assert not process.page(block).valid
    assert process.page(block).location == ntmm.Location.RESIDENT
    process.read(block, 1)
    assert process.page(block)[1:3] == (True, Protect.READONLY)
    assert process.pages([]) == []


def test_the_working_set_is_the_touched_pages(process):
    block = process.allocate(64 * PAGE)
    touched = {block + page * PAGE for page in range(0, 64, 3)}
    for address in touched:
        process.write(address, b"x")
    process.protect(block, PAGE, Protect.EXECUTE_READ)
    found = process.working_set()
    assert {page.virtual_address for page in found} == touched - {block} | (
        {block} if process.page(block).valid else set())
    assert {page.protect for page in found} <= {Protect.READWRITE, Protect.EXECUTE_READ}
    process.empty_working_set()
    assert process.working_set() == []


def test_classes_of_what_is_not_there(process):
    block = process.allocate(PAGE)
    assert status_of(process.image, block) == "INVALID_ADDRESS"
    assert status_of(process.mapped_filename, block) == "INVALID_ADDRESS"
    assert process.shared_commit() == 0
    assert status_of(process.query_class, 77, block, bytearray(64)) == "INVALID_INFO_CLASS"
    assert status_of(process.query_class, 0, block, bytearray(47)) == "INFO_LENGTH_MISMATCH"
    assert status_of(process.query_class, 0, END, bytearray(48)) == "INVALID_PARAMETER"
    assert process.query_class(0, END - 1, bytearray(48)) == 48


@pytest.mark.parametrize("wrong", [b"48 bytes, but they cannot be written" * 2, 48, None, "text"])
def test_a_buffer_that_cannot_be_written_is_python_s_own_error(process, wrong):
    with pytest.raises((TypeError, BufferError)):
        process.query_class(0, 0, wrong)


regions = st.lists(
    st.tuples(
        st.integers(1, 400), st.integers(1, 12), st.integers(0, 11), st.integers(1, 12),
        st.sampled_from([Protect.READONLY, Protect.READWRITE, Protect.EXECUTE_READ]),
    ),
    max_size=12,
)


@given(made=regions)
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_walk_scan_and_queries_agree(made):
    with ntmm.System(ram=4 << 20) as system, system.create_process() as process:
        for slot, pages, first, count, protect in made:
            try:
                block = process.reserve(pages * PAGE, base=slot << 16)
            except ntmm.ConflictingAddresses:
                continue
            if first < pages:
                process.commit(block + first * PAGE, min(count, pages - first) * PAGE, protect)
        walked = list(process.regions(states=Regions.ALL))
        assert walked[0].base_address == 0 and walked[-1].end == END
        assert all(one.end == two.base_address for one, two in zip(walked, walked[1:]))
        assert walked == [process.query(run.base_address) for run in walked]
        assert walked == process.scan(states=Regions.ALL)
        assert list(process.regions()) == [run for run in walked if run.state != Mem.FREE]
        assert process.scan(states=Regions.COMMITTED) == [
            run for run in walked if run.state == Mem.COMMIT]


def test_a_scan_goes_on_where_its_buffer_ended(process):
    for slot in range(1, 2100):
        process.reserve(PAGE, base=slot << 16)
    runs = process.scan(0, 2100 << 16)
    assert [run.base_address for run in runs] == [slot << 16 for slot in range(1, 2100)]
    assert len(process.scan_bytes(0, 2100 << 16)) == 48 * len(runs)
    assert process.scan(0x10000, 0x10000) == []
    assert status_of(process.scan, 0, END + 0x10000) == "INVALID_PARAMETER"


def test_a_walk_sees_every_address_once_while_regions_come_and_go(process):
    process.allocate(4 * PAGE, base=0x10000)
    process.allocate(4 * PAGE, base=0x50000)
    walk = process.regions(free=True)
    first = next(walk)
    process.release(0x50000)
    process.allocate(PAGE, base=0x30000)
    rest = list(walk)
    assert first.end == rest[0].base_address
    assert all(one.end == two.base_address for one, two in zip(rest, rest[1:]))
    assert rest[-1].end == END


def test_translations(process):
    block = process.allocate(2 * PAGE, protect=Protect.READONLY)
    with pytest.raises(ntmm.AccessViolation):
        process.translate(block)
    process.read(block, 1)
    found = process.translate(block + 5)
    assert found.physical_address % PAGE == 5
    assert found.leaf_bytes == PAGE and found.run_base == block
    assert found.rights & ntmm.Translate.READ and not found.rights & ntmm.Translate.WRITE
    assert status_of(process.translate, block, ntmm.Translate.WRITE) == "ACCESS_VIOLATION"
    assert status_of(process.translate, block, 0) == "INVALID_PARAMETER_4"
    frame = process.system.frame(found.physical_address // PAGE)
    assert frame.location == ntmm.FrameLocation.ACTIVE and frame.share_count == 1
