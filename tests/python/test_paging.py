"""Page files: what is written to them, and that it comes back."""

import pytest

import ntmm

PAGE = ntmm.PAGE_SIZE
MIB = 1 << 20


def contents(page):
    return bytes((page * 37 + i * 11) & 0xFF for i in range(64)) * (PAGE // 64)


def test_more_than_memory(tmp_path):
    path = tmp_path / "pages"
    with ntmm.System(ram=MIB, seed=3) as system:
        assert [system.add_page_file(MIB, 2 * MIB), system.add_page_file(MIB, path=str(path))] == [
            0, 1]
        with system.create_process(working_set_minimum_pages=20) as process:
            block = process.allocate(500 * PAGE)
            for page in range(500):
                process.write(block + page * PAGE, contents(page))
            files = [system.page_file(number) for number in (0, 1)]
            assert all(0 < file.used_pages <= file.size_pages for file in files)
            written = {contents(page) for page in range(500)}
            host = path.read_bytes()
            assert any(host[at:at + PAGE] in written for at in range(0, len(host), PAGE))
            for page in range(500):
                assert process.read(block + page * PAGE, PAGE) == contents(page)
            counters = process.counters()
            assert counters["demand_zero_faults"] == 500
            assert counters["hard_faults"] > 0
            system.balance()
            system.check()
            assert system.memory().user_peak_pages < 256
        assert system.close() == ntmm.Teardown(0, 0, 0, 0)


def test_a_page_that_cannot_be_read():
    with ntmm.System(ram=MIB) as system, system.create_process() as process:
        system.add_page_file(2 * MIB)
        block = process.allocate(500 * PAGE)
        for page in range(500):
            process.write(block + page * PAGE, b"x")
        system.write_modified_pages(500)
        errors = ntmm._core.ntmm_emulated_disk_errors()
        errors.operations = 1 << ntmm._core.NTMM_IO_READ
        errors.count = (1 << 64) - 1
        errors.status = ntmm._core.NTMM_STATUS_DEVICE_DATA_ERROR
        ntmm._core.ntmm_emulated_inject_disk(system.machine, 0, errors)
        with pytest.raises(ntmm.InPageError) as raised:
            process.read(block, 1)
        assert raised.value.io_status == ntmm._core.NTMM_STATUS_DEVICE_DATA_ERROR
        assert (raised.value.address, raised.value.access) == (block, "read")
        ntmm._core.ntmm_emulated_inject_disk(system.machine, 0, None)
        assert process.read(block, 1) == b"x"


def test_a_page_in_a_bad_frame_moves_or_is_lost(system, process):
    block = process.allocate(2 * PAGE)
    process.write(block, b"a")
    process.write(block + PAGE, b"b")
    before = system.memory()

    def frame(address):
        return process.translate(address).physical_address // PAGE

    moved = frame(block)
    assert system.mark_frame_bad(moved, readable=True) == ntmm.BadFrame.MOVED
    assert process.read(block, 1) == b"a" and frame(block) != moved
    assert system.mark_frame_bad(frame(block + PAGE)) == ntmm.BadFrame.LOST
    with pytest.raises(ntmm.InPageError) as raised:
        process.read(block + PAGE, 1)
    assert raised.value.io_status == ntmm._core.NTMM_STATUS_HARDWARE_MEMORY_ERROR
    memory = system.memory()
    assert memory.bad_pages == before.bad_pages + 2
    assert memory.commit_limit_pages == before.commit_limit_pages - 2
    assert system.frame(moved).location == ntmm.FrameLocation.BAD
    system.mark_frame_good(moved)
    assert system.memory().bad_pages == before.bad_pages + 1
    with pytest.raises(ntmm.InvalidParameter):
        system.mark_frame_good(moved)


def test_frames_go_and_come():
    with ntmm.System(ram=MIB) as system, system.create_process() as process:
        block = process.allocate(4 * PAGE)
        process.write(block, b"a")
        before = system.memory()
        number = process.translate(block).physical_address // PAGE
        system.remove_frames(number, 1)
        assert process.read(block, 1) == b"a"
        memory = system.memory()
        assert memory.total_pages == before.total_pages - 1
        assert memory.commit_limit_pages == before.commit_limit_pages - 1
        with pytest.raises(ntmm.InvalidParameter):
            system.remove_frames(number, 1)
        with pytest.raises(ntmm.NtStatusError):
            system.remove_frames(0, 1)
        system.add_frames(number, 1)
        assert system.memory().total_pages == before.total_pages
        with pytest.raises(ntmm.NtStatusError):
            system.add_frames(number, 1)


def test_zero_pages_need_no_slot():
    with ntmm.System(ram=MIB, zeros_need_no_slot=True) as system:
        system.add_page_file(2 * MIB)
        with system.create_process() as process:
            block = process.allocate(500 * PAGE)
            for page in range(500):
                assert process.read(block + page * PAGE, 1) == b"\0"
            assert system.counters()["zero_pages_not_written"] >= 244


def test_wrong_sizes_are_refused(system):
    with pytest.raises(ntmm.InvalidParameter):
        system.add_page_file(MIB // 2)
    with pytest.raises(ntmm.NtStatusError):
        system.page_file(0)
