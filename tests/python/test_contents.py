"""Bytes from outside, and where pages stay: locks, offers, prefetch, working sets."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ntmm
from ntmm import Mem, Protect

PAGE = ntmm.PAGE_SIZE


def status_of(call, *arguments, **options):
    with pytest.raises(ntmm.NtStatusError) as caught:
        call(*arguments, **options)
    return caught.value.name


def test_read_and_write_from_outside(process):
    block = process.allocate(3 * PAGE)
    assert process.write_memory(block + PAGE - 2, b"four") == 4
    assert process.read_memory(block + PAGE - 2, 4) == b"four" == process.read(block + PAGE - 2, 4)
    assert process.read_memory(0x1234, 0) == b""
    assert status_of(process.read_memory, 0x1234, 1) == "PARTIAL_COPY"
    assert status_of(process.read_memory, ntmm.HIGHEST_USER_ADDRESS, 2) == "ACCESS_VIOLATION"


def test_a_probe_for_writing_marks_every_page(process):
    block = process.allocate(4 * PAGE, type=Mem.RESERVE | Mem.COMMIT | Mem.WRITE_WATCH)
    process.probe_memory(block, 4 * PAGE)
    assert list(process.get_write_watch(block, 4 * PAGE)) == []
    process.probe_memory(block + PAGE - 1, 2, write=True)
    assert list(process.get_write_watch(block, 4 * PAGE)) == [block, block + PAGE]
    process.protect(block, PAGE, Protect.READONLY)
    assert status_of(process.probe_memory, block, 1, write=True) == "ACCESS_VIOLATION"


def test_secured_pages_keep_their_access(process):
    block = process.allocate(4 * PAGE)
    name = process.secure(block + PAGE, PAGE)
    assert status_of(process.free, block) == "INVALID_PAGE_PROTECTION"
    assert status_of(process.protect, block, 4 * PAGE, Protect.READONLY) == (
        "INVALID_PAGE_PROTECTION")
    process.protect(block, PAGE, Protect.NOACCESS)
    process.unsecure(name)
    assert status_of(process.unsecure, name) == "INVALID_PARAMETER_2"
    process.free(block)
    assert status_of(process.secure, block, 1) == "CONFLICTING_ADDRESSES"


def test_call_targets_of_a_guarded_process(system):
    with system.create_process(layout=ntmm.Layout.CONTROL_FLOW_GUARD) as guarded:
        code = guarded.allocate(PAGE, protect=Protect.EXECUTE_READ)
        found = guarded.query_call_target(code)
        assert found.is_valid and found.bitmap_size_bytes == 1 << 41
        word = guarded.read_memory(found.bitmap_base + (code >> 9) * 8, 8)
        assert word == b"\xff" * 8
        assert not guarded.query_call_target(code + PAGE).is_valid
    with system.create_process() as plain:
        assert plain.query_call_target(0x10000) == (True, 0, 0)


def test_a_copy_that_ends_early_says_where(process):
    block = process.allocate(8 * PAGE)
    process.protect(block + 2 * PAGE, PAGE, Protect.NOACCESS)
    with pytest.raises(ntmm.PartialCopy) as caught:
        process.write_memory(block, bytes(8 * PAGE))
    assert caught.value.copied == 0x2000
    with pytest.raises(ntmm.PartialCopy) as caught:
        process.read_memory(block + PAGE, 2 * PAGE)
    assert (caught.value.copied, caught.value.data) == (0, b"")
    process.protect(block, PAGE, Protect.READONLY)
    with pytest.raises(ntmm.PartialCopy) as caught:
        process.write_memory(block, b"x")
    assert caught.value.copied == 0


def test_a_read_of_more_than_a_chunk_keeps_what_came(process):
    block = process.allocate(0x18000)
    process.write(block, b"begin")
    process.protect(block + 0x17000, PAGE, Protect.NOACCESS)
    with pytest.raises(ntmm.PartialCopy) as caught:
        process.read_memory(block, 0x18000)
    assert caught.value.copied == len(caught.value.data) == 0x10000
    assert caught.value.data[:5] == b"begin"


def test_a_guard_is_consumed_from_outside_too(process):
    block = process.allocate(PAGE, protect=Protect.READWRITE | Protect.GUARD)
    assert status_of(process.read_memory, block, 1) == "PARTIAL_COPY"
    assert process.read_memory(block, 1) == b"\0"


@given(data=st.binary(min_size=1, max_size=3 * PAGE), start=st.integers(0, PAGE),
       to=st.integers(0, PAGE))
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_a_copy_between_processes(data, start, to):
    with ntmm.System(ram=4 << 20) as system:
        one, two = system.create_process(), system.create_process()
        source, target = one.allocate(4 * PAGE), two.allocate(4 * PAGE)
        one.write(source + start, data)
        assert one.copy_memory(source + start, two, target + to, len(data)) == len(data)
        assert two.read(target + to, len(data)) == data
        assert two.read(target, to) == bytes(to)
        one.end()
        two.end()
        assert system.close() == ntmm.Teardown(0, 0, 0, 0)


def test_systems_do_not_mix(process):
    with ntmm.System(ram=4 << 20) as other, other.create_process() as stranger:
        with pytest.raises(ValueError):
            process.copy_memory(0, stranger, 0, 1)
        with other.create_job() as job, pytest.raises(ValueError):
            job.assign(process)


# Locks


def test_locks_do_not_nest(process):
    block = process.allocate(4 * PAGE)
    locked = process.lock(block + 5, PAGE)
    assert (locked, locked.size, locked.status) == (block, 2 * PAGE, 0)
    again = process.lock(block, PAGE)
    assert ntmm.STATUS_NAMES[again.status] == "WAS_LOCKED"
    process.empty_working_set()
    assert process.page(block).valid
    process.unlock(block, 2 * PAGE)
    with pytest.raises(ntmm.NotLocked):
        process.unlock(block, PAGE)
    assert not process.page(block).valid


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (lambda p, b: p.lock(b, PAGE, 0), "INVALID_PARAMETER"),
        (lambda p, b: p.lock(b, PAGE, 4), "INVALID_PARAMETER"),
        (lambda p, b: p.lock(b, 0), "INVALID_PARAMETER_3"),
        (lambda p, b: p.lock(b, 60 * PAGE), "WORKING_SET_QUOTA"),
        (lambda p, b: p.lock(b + 60 * PAGE, PAGE), "ACCESS_VIOLATION"),
        (lambda p, b: p.open(privileges=0).lock(b, PAGE, ntmm.MapType.SYSTEM),
         "PRIVILEGE_NOT_HELD"),
        (lambda p, b: p.flush(b), "NOT_MAPPED_VIEW"),
    ],
)
def test_what_cannot_be_locked(process, call, status):
    block = process.reserve(64 * PAGE)
    process.commit(block, 60 * PAGE)
    assert status_of(call, process, block) == status


def test_a_guard_page_is_locked_the_second_time(process):
    block = process.allocate(PAGE, protect=Protect.READWRITE | Protect.GUARD)
    with pytest.raises(ntmm.GuardPage):
        process.lock(block, PAGE)
    assert process.lock(block, PAGE).size == PAGE


# Offers


def test_an_offer_is_taken_back(process):
    block = process.allocate(2 * PAGE)
    process.write(block, b"cache")
    process.offer(block, 2 * PAGE, ntmm.Offer.LOW)
    page = process.page(block)
    assert (page.valid, page.location, page.priority) == (
        False, ntmm.Location.RESIDENT, ntmm.Offer.LOW)
    assert process.reclaim(block, 2 * PAGE)
    assert process.read(block, 5) == b"cache"
    assert status_of(process.offer, block + 1, PAGE) == "INVALID_PARAMETER"
    assert status_of(process.offer, block, PAGE, 5) == "INVALID_PARAMETER"


def test_an_offer_that_was_lost(system, process):
    block = process.allocate(PAGE)
    process.write(block, b"cache")
    process.offer(block, PAGE)
    system.command_lists(ntmm.ListCommand.PURGE_STANDBY_LIST, caller=process)
    assert not process.reclaim(block, PAGE)
    assert process.read(block, 5) == bytes(5)
    process.write(block, b"again")
    process.discard(block, PAGE)
    assert process.read(block, 5) == bytes(5)


# What is told of ranges


def test_prefetch_and_priority(tmp_path):
    with ntmm.System(ram=2 << 20) as system, system.create_process() as process:
        system.add_page_file(4 << 20)
        block = process.allocate(32 * PAGE)
        for page in range(32):
            process.write(block + page * PAGE, bytes([page + 1]))
        process.empty_working_set()
        system.write_modified_pages(32)
        system.command_lists(ntmm.ListCommand.PURGE_STANDBY_LIST, caller=process)
        assert process.page(block).location == ntmm.Location.PAGE_FILE
        process.prefetch([(block, 8 * PAGE), (0x40000000, PAGE)])
        pages = process.pages([block, block + 7 * PAGE])
        assert [page.location for page in pages] == [ntmm.Location.RESIDENT] * 2
        assert not any(page.valid for page in pages)
        process.set_page_priority([(block, PAGE)], 2)
        assert process.page(block).priority == 2
        assert process.read(block + 7 * PAGE, 1) == b"\x08"
        process.remove_from_working_set([(block, 32 * PAGE)])
        assert process.working_set() == []
        system.check()


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (lambda p, b: p.prefetch([]), "INVALID_PARAMETER_3"),
        (lambda p, b: p.prefetch([(b, 0)]), "INVALID_PARAMETER_4"),
        (lambda p, b: p.set_page_priority([(b, PAGE)], 6), "INVALID_PARAMETER_5"),
        (lambda p, b: p.set_call_targets(b, PAGE, [(8, 1)]), "INVALID_PARAMETER"),
    ],
)
def test_what_cannot_be_told(process, call, status):
    block = process.allocate(PAGE, protect=Protect.EXECUTE_READ)
    assert status_of(call, process, block) == status
    assert process.set_call_targets(block, PAGE, [(16, 1), (32, 1)]) == 2


@pytest.mark.parametrize("wrong", [[5], [(1,)], [(1, -1)], [(1, 1 << 64)], 7])
def test_ranges_that_are_none(process, wrong):
    with pytest.raises((TypeError, OverflowError, ValueError)):
        process.prefetch(wrong)


# Working sets


def test_limits_of_a_working_set(process):
    limits = process.quota_limits()
    assert (limits.minimum_working_set_size, limits.maximum_working_set_size) == (204800, 1413120)
    assert limits.pagefile_limit == limits.time_limit == (1 << 64) - 1
    assert process.set_working_set_limits(60 * PAGE, 100 * PAGE, hard_maximum=True)
    limits = process.quota_limits()
    assert (limits.minimum_working_set_size, limits.hard_minimum, limits.hard_maximum) == (
        60 * PAGE, False, True)
    assert not process.set_working_set_limits(PAGE, 100 * PAGE)
    assert process.quota_limits().minimum_working_set_size == 20 * PAGE
    with pytest.raises(ntmm.BadWorkingSetLimit):
        process.set_working_set_limits(50 * PAGE, 40 * PAGE)
    block = process.allocate(150 * PAGE)
    process.write(block, bytes(150 * PAGE))
    assert process.information().working_set_pages <= 100
    everything = (1 << 64) - 1
    process.set_working_set_limits(everything, everything)
    assert process.information().working_set_pages == 0


def test_the_accounting_of_the_specification(process):
    """The first rows of its table of worked examples."""

    def changes(action):
        before = process.vm_counters()
        action()
        after = process.vm_counters()
        return tuple(
            (new - old) // scale for new, old, scale in (
                (after.virtual_size, before.virtual_size, PAGE),
                (after.pagefile_usage, before.pagefile_usage, PAGE),
                (after.working_set_size, before.working_set_size, PAGE),
                (after.private_working_set_size, before.private_working_set_size, PAGE),
                (after.page_fault_count, before.page_fault_count, 1),
            )
        )

    base = 0x50000000
    assert changes(lambda: process.reserve(1 << 20, base=base)) == (256, 0, 0, 0, 0)
    assert changes(lambda: process.commit(base, 0x10000)) == (0, 16, 0, 0, 0)
    assert changes(lambda: process.read(base, 1)) == (0, 0, 1, 1, 1)
    assert changes(lambda: process.write(base, b"x"))[:4] == (0, 0, 0, 0)
    assert changes(process.empty_working_set) == (0, 0, -1, -1, 0)
    assert changes(lambda: process.read(base, 1)) == (0, 0, 1, 1, 1)
    assert process.counters()["transition_faults"] == 1
    assert changes(lambda: process.decommit(base, 0x10000)) == (0, -16, -1, -1, 0)
    assert changes(lambda: process.release(base)) == (-256, 0, 0, 0, 0)
