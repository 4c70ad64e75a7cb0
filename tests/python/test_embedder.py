"""For embedders: stacks, lent buffers, devices, events, withdrawn translations."""

import mmap

import pytest

import ntmm
from ntmm import EventKind, Mem, Protect, Reason

PAGE = ntmm.PAGE_SIZE


def status_of(call, *arguments, **options):
    with pytest.raises(ntmm.NtStatusError) as caught:
        call(*arguments, **options)
    return caught.value.name


# Stacks


def test_a_stack_grows_until_it_cannot(process):
    stack = process.create_stack(commit=0x3F00, reserve=0x20000)
    assert stack.base - stack.allocation_base == 0x20000
    assert stack.base - stack.limit == 0x4000
    guard = process.query(stack.limit - PAGE)
    assert guard.protect == Protect.READWRITE | Protect.GUARD
    assert process.query(stack.allocation_base).state == Mem.RESERVE
    address = stack.limit - PAGE
    with pytest.raises(ntmm.StackOverflow) as caught:
        while True:
            process.write(address, b"frame", stack=stack)
            assert stack.limit <= address
            address -= PAGE
    assert caught.value.address == address
    assert address < stack.allocation_base + 4 * PAGE
    with pytest.raises(ntmm.AccessViolation):
        process.read(stack.allocation_base, 1, stack=stack)
    stack.free()
    assert process.query(stack.allocation_base).state == Mem.FREE


def test_sizes_of_stacks(process):
    default = process.create_stack()
    assert default.base - default.allocation_base == 0x100000
    large = process.create_stack(commit=0x20000, reserve=0x20000)
    assert large.base - large.allocation_base == 0x100000
    kept = process.create_stack(commit=0x20000, reserve=0x110000)
    assert kept.base - kept.allocation_base == 0x110000
    assert status_of(process.create_stack, commit_alignment=0) == "INVALID_PARAMETER"
    bare = process.reserve_stack(0x100000)
    assert process.query(bare).state == Mem.RESERVE
    process.release(bare)
    assert status_of(process.reserve_stack, 0x100000, zero_bits=13) == "INVALID_PARAMETER"


def test_the_limit_follows_a_guard(process):
    stack = process.create_stack(commit=0x8000)
    page = stack.base - 2 * PAGE
    process.protect(page, PAGE, Protect.READWRITE | Protect.GUARD)
    stack.follow_guard(page, PAGE, Protect.READWRITE | Protect.GUARD)
    assert stack.limit == page + PAGE


# Lent buffers


def test_a_buffer_is_memory_of_all_who_map_it(system):
    one, two = system.create_process(), system.create_process()
    shared = mmap.mmap(-1, 2 * PAGE)
    lent = system.lend(shared)
    here = one.map_borrowed(lent)
    there = two.map_borrowed(lent, base=0x50000000, protect=Protect.READONLY)
    assert (here.size, there) == (2 * PAGE, 0x50000000)
    one.write(here + PAGE, b"through")
    assert shared[PAGE:PAGE + 7] == b"through" == two.read(there + PAGE, 7)
    shared[0:4] = b"host"
    assert one.read_memory(here, 4) == b"host"
    assert one.query(here).type == Mem.MAPPED
    assert status_of(one.release, here) == "UNABLE_TO_DELETE_SECTION"
    assert status_of(two.protect, there, PAGE, Protect.READWRITE) == "SECTION_PROTECTION"
    with pytest.raises(BufferError):
        shared.close()
    one.unmap_borrowed(here)
    with pytest.raises(ntmm.NotMappedView):
        one.unmap_borrowed(here)
    two.end()
    lent.take_back()
    assert lent.buffer is None
    shared.close()
    with pytest.raises(ntmm.NtStatusError):
        lent.take_back()
    one.end()


def test_memory_that_the_module_brings(system, process):
    lent = system.lend(PAGE)
    process.map_shared_user_data(lent)
    lent.buffer[0:3] = b"now"
    assert process.read(0x7FFE0000, 3) == b"now"
    found = process.query(0x7FFE0000)
    assert (found.region_size, found.protect, found.type) == (PAGE, Protect.READONLY, Mem.PRIVATE)
    with pytest.raises(TypeError):
        process.map_borrowed(lent.first_frame)
    assert process.map_borrowed(lent.first_frame, PAGE).size == PAGE


@pytest.mark.parametrize("wrong", [b"read only", "text", 5000, bytearray(5000)])
def test_what_cannot_be_lent(system, wrong):
    with pytest.raises((TypeError, ntmm.InvalidParameter, BufferError)):
        system.lend(wrong)


# Devices


def test_a_device_is_asked(system, process):
    registers = {}
    lent = system.map_device(
        lambda offset, size: registers.get(offset, size),
        lambda offset, size, value: registers.__setitem__(offset, value),
    )
    block = process.map_borrowed(lent, protect=Protect.READWRITE | Protect.NOCACHE)
    process.write(block + 8, (0x1122334455667788).to_bytes(8, "little"))
    assert registers == {8: 0x1122334455667788}
    assert process.read(block + 8, 8) == bytes.fromhex("8877665544332211")
    assert process.read(block + 0x10, 4) == b"\x04\0\0\0"
    process.unmap_borrowed(block)
    lent.take_back()


def test_what_a_device_raises_the_access_raises(system, process):
    def broken(*arguments):
        raise LookupError(arguments)

    lent = system.map_device(broken, broken)
    block = process.map_borrowed(lent)
    with pytest.raises(LookupError, match=r"\(4, 4\)"):
        process.read(block + 4, 4)
    with pytest.raises(LookupError):
        process.write(block, b"x")
    strange = system.map_device(lambda offset, size: "text", broken)
    with pytest.raises(TypeError):
        process.read(process.map_borrowed(strange), 1)
    with pytest.raises(TypeError):
        system.map_device(5, broken)


# Events and withdrawals


def test_events_are_recorded(system):
    system.record_events([EventKind.PROCESS_CREATED, EventKind.RESERVE, EventKind.FAULT,
                          EventKind.PROCESS_ENDED])
    with system.create_process() as process:
        handle = process.handle
        block = process.allocate(2 * PAGE)
        process.write(block, b"x")
    events = system.take_events()
    assert [event.kind for event in events] == [
        EventKind.PROCESS_CREATED, EventKind.RESERVE, EventKind.FAULT, EventKind.PROCESS_ENDED]
    assert (events[0].a, events[1].a, events[1].b, events[2].a) == (
        handle, block, 2 * PAGE, block)
    assert system.take_events() == []
    system.record_events([])
    system.create_process().end()
    assert system.take_events() == []


def test_what_a_cache_of_translations_must_forget(system, process):
    block = process.allocate(4 * PAGE)
    process.write(block, bytes(4 * PAGE))
    assert system.take_withdrawals() == []
    system.record_withdrawals()
    process.protect(block, PAGE, Protect.READONLY)
    process.decommit(block + 2 * PAGE, PAGE)
    found = system.take_withdrawals()
    assert [(row.base <= block < row.end, row.reason) for row in found[:1]] == [
        (True, Reason.PROTECT)]
    assert any(row.base <= block + 2 * PAGE < row.end and row.reason == Reason.UNMAP
               for row in found)
    assert {row.process for row in found} == {process.handle}
    system.record_withdrawals(False)
    process.decommit(block, PAGE)
    assert system.take_withdrawals() == []


def test_processors_have_caches_of_their_own():
    with ntmm.System(ram=4 << 20, processors=2) as system, system.create_process() as process:
        block = process.allocate(PAGE)
        process.write(block, b"x", processor=0)
        assert process.read(block, 1, processor=1) == b"x"
        process.protect(block, PAGE, Protect.NOACCESS)
        for processor in (0, 1):
            with pytest.raises(ntmm.AccessViolation):
                process.read(block, 1, processor=processor)
        assert status_of(process.read, block, 1, processor=2) == "INVALID_PARAMETER_2"
