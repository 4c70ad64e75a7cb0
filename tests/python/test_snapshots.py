"""Snapshots: back to a point, forks, files."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import ntmm
from ntmm import Mem

PAGE = ntmm.PAGE_SIZE
NOTHING = ntmm.Teardown(0, 0, 0, 0)


def test_back_and_forth(system):
    process = system.create_process()
    block = process.allocate(4 * PAGE)
    process.write(block, b"before")
    assert not system.snapshot_information().has_base
    system.snapshot()
    hash = system.hash()
    for _ in range(3):
        process.write(block, b"after!")
        process.allocate(PAGE, base=0x50000000)
        gone = system.create_process()
        assert system.hash() != hash
        system.restore()
        assert system.hash() == hash
        assert process.read(block, 6) == b"before"
        assert process.query(0x50000000).state == Mem.FREE
        with pytest.raises(ntmm.InvalidHandle):
            gone.allocate(PAGE)
    handle = process.handle
    process.end()
    system.restore()
    assert system.process(handle).read(block, 6) == b"before"
    information = system.snapshot_information()
    assert (information.has_base, information.sharers) == (True, 1)


def test_a_restore_needs_a_snapshot(system):
    with pytest.raises(ntmm.InvalidParameter):
        system.restore()


def test_a_fork_goes_its_own_way(system, process):
    block = process.allocate(PAGE)
    process.write(block, b"both")
    with system.fork() as fork:
        assert fork.hash() == system.hash()
        double = fork.process(process)
        double.write(block, b"fork")
        process.write(block, b"this")
        assert (process.read(block, 4), double.read(block, 4)) == (b"this", b"fork")
        with fork.fork() as third:
            assert third.process(process).read(block, 4) == b"fork"
        fork.restore()
        assert double.read(block, 4) == b"both"
        fork.check()
        assert fork.close() == ntmm.Teardown(0, 0, 0, 0)
    assert process.read(block, 4) == b"this"


def test_a_fork_outlives_its_parent():
    parent = ntmm.System(ram=4 << 20)
    process = parent.create_process()
    block = process.allocate(PAGE)
    process.write(block, b"kept")
    fork = parent.fork()
    parent.close()
    assert fork.process(process).read(block, 4) == b"kept"
    fork.check()
    fork.close()
    with pytest.raises(ntmm.Closed):
        process.read(block, 4)


def test_a_file_holds_memory_and_page_files(tmp_path):
    with ntmm.System(ram=1 << 20, seed=4) as system:
        system.add_page_file(4 << 20)
        process = system.create_process()
        block = process.allocate(400 * PAGE)
        for page in range(400):
            process.write(block + page * PAGE, page.to_bytes(2, "little"))
        system.save(tmp_path / "machine")
        hash = system.hash()
    with ntmm.System.load(tmp_path / "machine") as loaded:
        assert loaded.hash() == hash
        double = loaded.process(process.handle)
        for page in range(400):
            assert double.read(block + page * PAGE, 2) == page.to_bytes(2, "little")
        loaded.check()
        double.end()
        assert loaded.close() == NOTHING


def test_files_that_are_none(tmp_path):
    with pytest.raises(ntmm.NtStatusError) as caught:
        ntmm.System.load(tmp_path / "missing")
    assert caught.value.name == "OBJECT_NAME_NOT_FOUND"
    (tmp_path / "other").write_bytes(b"no machine" * 1000)
    with pytest.raises(ntmm.NtStatusError) as caught:
        ntmm.System.load(tmp_path / "other")
    assert caught.value.name == "FILE_INVALID"
    with ntmm.System(ram=4 << 20) as system, pytest.raises(ntmm.NtStatusError) as caught:
        system.save(tmp_path / "no" / "folder")
    assert caught.value.name == "UNSUCCESSFUL"


class Snapshots(RuleBasedStateMachine):
    """A machine with snapshot and restore beside a copy of what its bytes were."""

    def __init__(self):
        super().__init__()
        self.system = ntmm.System(ram=4 << 20)
        self.process = self.system.create_process()
        self.block = self.process.allocate(16 * PAGE)
        self.bytes = bytearray(16 * PAGE)
        self.base = None

    def teardown(self):
        self.system.check()
        assert self.system.close().lost_pages == 0

    @rule(page=st.integers(0, 15), byte=st.integers(0, 255))
    def store(self, page, byte):
        self.process.write(self.block + page * PAGE, bytes([byte]))
        self.bytes[page * PAGE] = byte

    @rule(page=st.integers(0, 15))
    def lose(self, page):
        self.process.decommit(self.block + page * PAGE, PAGE)
        self.process.commit(self.block + page * PAGE, PAGE)
        self.bytes[page * PAGE:(page + 1) * PAGE] = bytes(PAGE)

    @rule()
    def snapshot(self):
        self.system.snapshot()
        self.base = bytes(self.bytes)

    @rule()
    def restore(self):
        if self.base is not None:
            self.system.restore()
            self.bytes = bytearray(self.base)

    @rule()
    def go_on_as_a_fork(self):
        fork = self.system.fork()
        self.process = fork.process(self.process)
        if self.base is None:
            self.base = bytes(self.bytes)
        self.system.close()
        self.system = fork

    @invariant()
    def bytes_are_right(self):
        assert self.process.read(self.block, 16 * PAGE) == self.bytes


TestSnapshots = Snapshots.TestCase
TestSnapshots.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, derandomize=True, database=None
)
