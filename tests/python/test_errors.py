"""Statuses as exceptions: which class, which attributes, and which of Python's own they are."""

import pytest

import ntmm
from ntmm import Mem, Protect


def test_a_fault_has_address_and_access(process):
    with pytest.raises(ntmm.AccessViolation) as caught:
        process.read(0x1234, 4)
    error = caught.value
    assert (error.status, error.name) == (0xC0000005, "ACCESS_VIOLATION")
    assert (error.address, error.access) == (0x1234, "read")
    assert str(error) == "STATUS_ACCESS_VIOLATION (0xC0000005): read of 0x1234"


def test_the_three_kinds_of_access(process):
    block = process.allocate(0x1000, protect=Protect.READONLY)
    for call, access in (
        (lambda: process.write(block + 5, b"x"), "write"),
        (lambda: process.fetch(block + 5), "execute"),
    ):
        with pytest.raises(ntmm.AccessViolation) as caught:
            call()
        assert (caught.value.address, caught.value.access) == (block + 5, access)
    assert process.read(block + 5, 1) == b"\0"


def test_the_second_page_of_an_access_is_the_one_reported(process):
    block = process.allocate(0x2000, type=Mem.RESERVE)
    process.allocate(0x1000, base=block, type=Mem.COMMIT)
    with pytest.raises(ntmm.AccessViolation) as caught:
        process.read(block + 0xFFC, 8)
    assert caught.value.address == block + 0x1000


def test_a_guard_page_raises_once(process):
    block = process.allocate(0x1000, protect=Protect.READWRITE | Protect.GUARD)
    with pytest.raises(ntmm.GuardPage) as caught:
        process.write(block, b"x")
    assert (caught.value.address, caught.value.access) == (block, "write")
    process.write(block, b"x")
    assert process.read(block, 1) == b"x"


def test_invalid_parameters_know_their_number(process):
    with pytest.raises(ntmm.InvalidParameter) as caught:
        process.allocate(0)
    assert caught.value.parameter == 4
    assert isinstance(caught.value, ValueError)
    with pytest.raises(ntmm.InvalidParameter) as caught:
        process.query(1 << 63)
    assert caught.value.parameter == 0


def test_limits_are_memory_errors(system):
    with system.create_process(commit_limit_pages=4) as process:
        with pytest.raises(MemoryError) as caught:
            process.allocate(0x5000)
        assert caught.value.name == "PAGEFILE_QUOTA_EXCEEDED"
        process.allocate(0x4000)
    with system.create_process() as process:
        with pytest.raises(ntmm.CommitmentLimit) as caught:
            process.allocate(1 << 40)
        assert caught.value.status == 0xC000012D
        with pytest.raises(ntmm.NoMemory):
            process.allocate(0x1000, zero_bits=16)


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda p: p.free(0x50000000), ntmm.MemoryNotAllocated),
        (lambda p: p.protect(0x50000000, 1, Protect.READONLY), ntmm.ConflictingAddresses),
        (lambda p: p.allocate(1, protect=Protect.WRITECOPY), ntmm.InvalidPageProtection),
    ],
)
def test_refusals_have_classes(process, call, kind):
    with pytest.raises(kind):
        call(process)


def test_reserved_pages_cannot_be_protected(process):
    block = process.allocate(0x1000, type=Mem.RESERVE)
    with pytest.raises(ntmm.NotCommitted):
        process.protect(block, 1, Protect.READONLY)


def test_an_ended_process_is_gone(system):
    process = system.create_process()
    handle = process.handle
    process.end()
    process.end()
    with pytest.raises(ntmm.InvalidHandle):
        process.allocate(1)
    process.handle = handle
    with pytest.raises(ntmm.InvalidHandle):
        process.read(0x10000, 1)
    process.handle = 0


@pytest.mark.parametrize("bad", ["x", None, 1.5, -1, 1 << 64])
def test_what_is_not_a_number_is_python_s_own_error(process, bad):
    with pytest.raises((TypeError, OverflowError, ValueError)):
        process.allocate(bad)
    with pytest.raises((TypeError, OverflowError, ValueError)):
        process.read(0x10000, bad if bad != 1 << 64 else -1)


def test_unknown_statuses_still_have_a_value():
    error = ntmm.NtStatusError(0xC0001234)
    assert error.name == "unknown status"
    assert "0xC0001234" in str(error)
