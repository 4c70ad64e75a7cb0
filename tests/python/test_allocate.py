"""Allocation with all its options: values and statuses from the specification."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ntmm
from ntmm import Attribute, Mem, Protect

PAGE = ntmm.PAGE_SIZE
GRANULE = ntmm.ALLOCATION_GRANULARITY
PLACEHOLDER = Mem.RESERVE | Mem.RESERVE_PLACEHOLDER


def status_of(call, *arguments, **options):
    """The name of the status that a call raises."""
    with pytest.raises(ntmm.NtStatusError) as caught:
        call(*arguments, **options)
    return caught.value.name


@pytest.mark.parametrize(
    ("base", "size", "rounded"),
    [
        (0x50000000, 1, (0x50000000, 0x1000)),
        (0x50008000, 1, (0x50000000, 0x9000)),
        (0x50000010, 0x1000, (0x50000000, 0x2000)),
        (0x50010000, 0x2000, (0x50010000, 0x2000)),
        (0x5000FFFF, 0x3000, (0x50000000, 0x13000)),
        (0x50001010, 0x7000, (0x50000000, 0x9000)),
        (0x50001010, 0xC000, (0x50000000, 0xE000)),
    ],
)
def test_a_reservation_is_rounded(process, base, size, rounded):
    block = process.reserve(size, base=base)
    assert (block, block.size) == rounded
    assert block.end == block + block.size
    assert process.query(block).state == Mem.RESERVE


@pytest.mark.parametrize(
    ("zero_bits", "limit"), [(1, 1 << 31), (2, 1 << 30), (12, 1 << 20), (0x1AAAAAAA, 1 << 29)]
)
def test_zero_bits_bound_the_address(process, zero_bits, limit):
    block = process.allocate(GRANULE, zero_bits=zero_bits, type=Mem.RESERVE | Mem.TOP_DOWN)
    assert block.end <= limit
    assert block.end > limit - 2 * GRANULE


@pytest.mark.parametrize("zero_bits", [22, 31])
def test_zero_bits_that_mean_nothing(process, zero_bits):
    assert status_of(process.reserve, 1, zero_bits=zero_bits) == "INVALID_PARAMETER_3"


@pytest.mark.parametrize(
    "type",
    [0, Mem.TOP_DOWN, Mem.PHYSICAL, Mem.WRITE_WATCH, Mem.COMMIT | Mem.RESET,
     Mem.TOP_DOWN | Mem.RESET, Mem.LARGE_PAGES | Mem.RESERVE, Mem.PHYSICAL | Mem.RESERVE
     | Mem.COMMIT],
)
def test_types_that_nt_refuses(process, type):
    assert status_of(process.allocate, PAGE, type=type) == "INVALID_PARAMETER_5"


def test_a_recommit_is_a_protect(process):
    block = process.allocate(2 * PAGE)
    process.write(block, b"kept")
    process.commit(block, PAGE, Protect.READONLY)
    assert process.query(block).protect == Protect.READONLY
    assert process.read(block, 4) == b"kept"


def test_free_variants(process):
    block = process.allocate(5 * PAGE)
    middle = process.release(block + 2 * PAGE, PAGE)
    assert (middle, middle.size) == (block + 2 * PAGE, PAGE)
    assert [process.query(block + i * PAGE).allocation_base for i in (0, 3)] == [
        block, block + 3 * PAGE]
    assert process.decommit(block, PAGE).size == PAGE
    assert process.query(block).state == Mem.RESERVE
    assert status_of(process.release, block + PAGE) == "FREE_VM_NOT_AT_BASE"
    assert status_of(process.free, block, type=Mem.FREE) == "INVALID_PARAMETER_4"
    with pytest.raises(ntmm.UnableToFree):
        process.release(block, 3 * PAGE)


# Address requirements


@pytest.mark.parametrize(
    ("requirement", "status"),
    [
        ({"highest": 0x20001001}, "INVALID_PARAMETER"),
        ({"highest": 0x20000FFE}, "INVALID_PARAMETER"),
        ({"highest": 0x200007FF}, "INVALID_PARAMETER"),
        ({"highest": ntmm.HIGHEST_USER_ADDRESS + 0x1000}, "INVALID_PARAMETER"),
        ({"lowest": 0x1000}, "INVALID_PARAMETER"),
        ({"alignment": 0x8000}, "INVALID_PARAMETER"),
        ({"alignment": 0x30000}, "INVALID_PARAMETER"),
        ({"alignment": 0x20000000, "highest": 0x20000FFF, "size": 0x10000}, "NO_MEMORY"),
        ({"alignment": 0x10000, "base": 0x50000000}, "INVALID_PARAMETER"),
        ({"alignment": 0x10000, "type": Mem.COMMIT}, "INVALID_PARAMETER"),
        ({"node": 1}, "INVALID_PARAMETER"),
        ({"partition": 7}, "INVALID_HANDLE"),
        ({"attributes": Attribute.EC_CODE}, "INVALID_PARAMETER"),
        ({"attributes": Attribute.NONPAGED_LARGE}, "INVALID_PARAMETER"),
    ],
)
def test_requirements_that_nt_refuses(process, requirement, status):
    assert status_of(process.allocate, **{"size": PAGE, **requirement}) == status


@given(
    low=st.integers(1, 0x3000),
    span=st.integers(0, 64),
    size=st.integers(1, 40 * PAGE),
    shift=st.integers(16, 24),
    top_down=st.booleans(),
)
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
def test_requirements_are_met(low, span, size, shift, top_down):
    lowest, alignment = low * GRANULE, 1 << shift
    highest = lowest + span * GRANULE + PAGE - 1
    pages = -(-size // PAGE) * PAGE
    starts = [
        start for start in range(-(-lowest // alignment) * alignment, highest + 1, alignment)
        if start + pages - 1 <= highest
    ]
    type = Mem.RESERVE | (Mem.TOP_DOWN if top_down else Mem.RESERVE)
    with ntmm.System(ram=4 << 20) as system, system.create_process() as process:
        if not starts:
            with pytest.raises(ntmm.NoMemory):
                process.allocate(
                    size, type=type, lowest=lowest, highest=highest, alignment=alignment)
            return
        block = process.allocate(
            size, type=type, lowest=lowest, highest=highest, alignment=alignment)
        assert (block, block.size) == (starts[-1 if top_down else 0], pages)


def test_extended_parameters_as_they_are(process):
    requirements = (1, (0, 0, 0))
    block = process.allocate_extended(PAGE, Mem.RESERVE, Protect.READWRITE, [requirements],
                                      base=0x50000000)
    assert (block, block.size) == (0x50000000, PAGE)
    for parameters in ([(0, 0)], [(7, 0)], [(2, 0), (2, 0)], [(0x102, 0)]):
        assert status_of(process.allocate_extended, PAGE, Mem.RESERVE, Protect.READWRITE,
                         parameters) == "INVALID_PARAMETER"
    for wrong in (7, [5], [(1, 2, 3)], [(2, "x")], [(1, (1, 2))]):
        with pytest.raises((TypeError, ValueError)):
            process.allocate_extended(PAGE, Mem.RESERVE, Protect.READWRITE, wrong)


def test_nodes_and_partitions_that_exist(process):
    for option in ({"node": 0}, {"node": 0, "is_node_mandatory": True},
                   {"partition": (1 << 64) - 1},
                   {"attributes": Attribute.ZERO_PAGES_OPTIONAL}):
        assert process.allocate(PAGE, **option).size == PAGE
    with pytest.raises(ValueError):
        process.allocate(PAGE, node=0, zero_bits=1)


# Placeholders


def test_the_life_of_a_placeholder(process):
    whole = process.create_placeholder(0x30000, base=0x50000000)
    found = process.query(whole)
    assert (found.state, found.protect, found.allocation_protect, found.type) == (
        Mem.RESERVE, Protect(0), Protect.NOACCESS, Mem.PRIVATE)
    assert process.region(whole).region_type & ntmm.RegionType.PLACEHOLDER
    part = process.split_placeholder(whole + 0x10000, 0x10000)
    assert [process.region(whole + i * 0x10000).allocation_base for i in range(3)] == [
        whole, whole + 0x10000, whole + 0x20000]
    memory = process.replace_placeholder(part, 0x10000)
    assert (memory, memory.size) == (part, 0x10000)
    process.write(memory, b"gone soon")
    process.revert_to_placeholder(memory, 0x10000)
    process.replace_placeholder(part, 0x10000)
    assert process.read(part, 9) == bytes(9)
    process.revert_to_placeholder(part, 0x10000)
    process.coalesce_placeholders(whole, 0x30000)
    assert process.region(whole + 0x2FFFF).allocation_base == whole
    process.release(whole)
    assert process.query(whole).state == Mem.FREE


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (lambda p, b: p.commit(b, PAGE), "CONFLICTING_ADDRESSES"),
        (lambda p, b: p.reserve(PAGE, base=b), "CONFLICTING_ADDRESSES"),
        (lambda p, b: p.split_placeholder(b, 0x20000), "CONFLICTING_ADDRESSES"),
        (lambda p, b: p.split_placeholder(b, 0), "INVALID_PARAMETER_3"),
        (lambda p, b: p.replace_placeholder(b, 0x10000), "CONFLICTING_ADDRESSES"),
        (lambda p, b: p.allocate(0x20000, base=b, type=Mem.REPLACE_PLACEHOLDER | Mem.COMMIT),
         "INVALID_PARAMETER"),
        (lambda p, b: p.coalesce_placeholders(b, 0x20000), "CONFLICTING_ADDRESSES"),
        (lambda p, b: p.coalesce_placeholders(b, 0), "INVALID_PARAMETER_3"),
        (lambda p, b: p.free(b, 0x20000, type=Mem.COALESCE_PLACEHOLDERS), "INVALID_PARAMETER_4"),
        (lambda p, b: p.allocate(PAGE, type=PLACEHOLDER), "INVALID_PARAMETER"),
        (lambda p, b: p.allocate(PAGE, type=PLACEHOLDER | Mem.COMMIT, protect=Protect.NOACCESS),
         "INVALID_PARAMETER"),
    ],
)
def test_what_a_placeholder_refuses(process, call, status):
    block = process.create_placeholder(0x20000)
    assert status_of(call, process, block) == status
    assert process.region(block).region_size == 0x20000


@given(cuts=st.sets(st.integers(1, 15), min_size=1), joins=st.lists(st.tuples(
    st.integers(0, 15), st.integers(1, 16)), max_size=12))
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_placeholders_tile_what_they_were_cut_from(cuts, joins):
    base = 0x50000000
    with ntmm.System(ram=4 << 20) as system, system.create_process() as process:
        process.create_placeholder(16 * PAGE, base=base)
        for cut in sorted(cuts):
            process.split_placeholder(base + cut * PAGE, (16 - cut) * PAGE)
        edges = {0, 16} | cuts
        for first, count in joins:
            end = min(first + count, 16)
            inside = {edge for edge in edges if first < edge < end}
            if {first, end} <= edges and inside:
                process.coalesce_placeholders(base + first * PAGE, (end - first) * PAGE)
                edges -= inside
            else:
                assert status_of(process.coalesce_placeholders, base + first * PAGE,
                                 (end - first) * PAGE) == "CONFLICTING_ADDRESSES"
            runs = {run.base_address for run in process.scan(base, base + 16 * PAGE)}
            assert runs == {base + edge * PAGE for edge in edges - {16}}
        system.check()


# Write watch


@given(writes=st.lists(st.integers(0, 31), max_size=20), resets=st.lists(
    st.tuples(st.integers(0, 31), st.integers(1, 32)), max_size=4))
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_written_pages_are_reported(writes, resets):
    with ntmm.System(ram=4 << 20) as system, system.create_process() as process:
        block = process.allocate(32 * PAGE, type=Mem.RESERVE | Mem.COMMIT | Mem.WRITE_WATCH)
        written = set()
        for number, page in enumerate(writes):
            process.write(block + page * PAGE + number, b"x")
            written.add(page)
        for first, count in resets:
            count = min(count, 32 - first)
            process.reset_write_watch(block + first * PAGE, count * PAGE)
            written -= set(range(first, first + count))
        expected = [block + page * PAGE for page in sorted(written)]
        assert process.get_write_watch(block, 32 * PAGE) == expected
        assert process.get_write_watch_bitmap(block, 32 * PAGE) == sum(1 << p for p in written)
        if expected:
            assert process.get_write_watch(block, 32 * PAGE, reset=True, limit=1) == expected[:1]
        assert process.get_write_watch(block, 32 * PAGE) == expected[1:]


def test_write_watch_refusals(process):
    block = process.allocate(PAGE)
    assert status_of(process.get_write_watch, block, PAGE) == "INVALID_PARAMETER_1"
    assert status_of(process.reset_write_watch, block, PAGE) == "INVALID_PARAMETER_1"
    watched = process.allocate(PAGE, type=Mem.RESERVE | Mem.WRITE_WATCH)
    assert status_of(process.get_write_watch, watched, 0) == "INVALID_PARAMETER_3"
    assert status_of(process.get_write_watch, watched, 2 * PAGE) == "INVALID_PARAMETER_3"
    process.commit(watched, PAGE)
    process.write(watched, b"x")
    process.decommit(watched, PAGE)
    assert process.get_write_watch(watched, PAGE) == []


# Reset


def test_a_reset_that_nothing_took_can_be_undone(process):
    block = process.allocate(4 * PAGE)
    process.write(block, b"still here")
    done = process.reset(block + 1, 3 * PAGE)
    assert (done, done.size) == (block + PAGE, 2 * PAGE)
    process.reset(block, 4 * PAGE)
    assert process.undo_reset(block, 4 * PAGE)
    assert process.read(block, 10) == b"still here"
    assert status_of(process.reset, 0x60000000, PAGE) == "CONFLICTING_ADDRESSES"


def test_a_reset_may_lose_contents():
    with ntmm.System(ram=2 << 20) as system, system.create_process() as process:
        block = process.allocate(PAGE)
        process.write(block, b"going")
        process.reset(block, PAGE)
        process.empty_working_set()
        caller = process.open(privileges=ntmm.Privilege.PROFILE_SINGLE_PROCESS)
        system.command_lists(ntmm.ListCommand.PURGE_STANDBY_LIST, caller=caller)
        assert not process.undo_reset(block, PAGE)
        assert process.read(block, 5) == bytes(5)


# Large pages and user physical pages


def test_large_pages():
    large = ntmm.LARGE_PAGE_SIZE
    with ntmm.System(ram=16 << 20) as system, system.create_process() as process:
        before = process.information()
        type = Mem.RESERVE | Mem.COMMIT | Mem.LARGE_PAGES
        block = process.allocate(large, type=type)
        assert block % large == 0
        page = process.page(block + 0x12345)
        assert (page.valid, page.large) == (True, True)
        assert process.information().commit_pages >= before.commit_pages + 512
        assert process.translate(block).leaf_bytes == large
        assert status_of(process.allocate, PAGE, type=type) == "INVALID_PARAMETER_4"
        assert status_of(process.decommit, block, large) == "UNABLE_TO_DECOMMIT_VM"
        poor = process.open(privileges=0)
        assert status_of(poor.allocate, large, type=type) == "PRIVILEGE_NOT_HELD"
        assert status_of(process.allocate, 64 * large, type=type) in (
            "INSUFFICIENT_RESOURCES", "COMMITMENT_LIMIT")
        process.release(block)


def test_windows_show_the_frames_that_they_are_given(process):
    frames = process.allocate_physical_pages(3)
    assert len(frames) == len(set(frames)) == 3
    window = process.allocate(4 * PAGE, type=Mem.RESERVE | Mem.PHYSICAL)
    process.map_physical_pages(window, frames)
    process.write(window + PAGE, b"second")
    process.unmap_physical_pages(window, 3)
    with pytest.raises(ntmm.AccessViolation):
        process.read(window, 1)
    process.scatter_physical_pages([window + 3 * PAGE, window], [frames[1], frames[0]])
    assert process.read(window + 3 * PAGE, 6) == b"second"
    assert process.read(window, 6) == bytes(6)
    assert status_of(process.map_physical_pages, window + PAGE, [frames[1]]) == (
        "INVALID_PARAMETER_3")
    process.scatter_physical_pages([window], None)
    with pytest.raises(ValueError):
        process.scatter_physical_pages([window], [])
    with pytest.raises(ntmm.InvalidParameter) as caught:
        process.free_physical_pages([frames[0], 1 << 40, frames[1]])
    assert caught.value.freed == 1
    assert process.free_physical_pages(frames[1:]) == 2
    assert status_of(process.open(privileges=0).allocate_physical_pages, 1) == (
        "PRIVILEGE_NOT_HELD")
