"""The Pythonic layer over the services: values from the specification's vectors."""

import pytest

import ntmm
from ntmm import Mem, Protect


def test_allocate_rounds_as_nt_does(process):
    block = process.allocate(0x1000, base=0x50004080)
    assert block == 0x50000000
    assert block.size == 0x6000
    assert repr(block) == "Block(0x50000000, size=0x6000)"


def test_the_lowest_and_the_highest_gap(process):
    assert process.allocate(1) == 0x10000
    assert process.allocate(1, type=Mem.RESERVE | Mem.TOP_DOWN) == 0x7FFFFFFD0000


def test_query_reports_the_run_forward(process):
    process.allocate(0x8000, base=0x50000000, type=Mem.RESERVE)
    process.allocate(0x3000, base=0x50002000, type=Mem.COMMIT, protect=Protect.READONLY)
    assert process.query(0x50003ABC) == ntmm.MemoryInformation(
        base_address=0x50003000,
        allocation_base=0x50000000,
        allocation_protect=Protect.READWRITE,
        region_size=0x2000,
        state=Mem.COMMIT,
        protect=Protect.READONLY,
        type=Mem.PRIVATE,
    )


def test_regions_end_and_tile_the_user_space(process):
    process.allocate(0x3000, base=0x50000000)
    runs = list(process.regions(free=True))
    assert runs[0].base_address == 0
    assert all(one.end == two.base_address for one, two in zip(runs, runs[1:]))
    assert runs[-1].end == ntmm.HIGHEST_USER_ADDRESS + 1
    private = [run.base_address for run in process.regions()]
    assert private == [0x50000000, 0x7FFFFFFE0000]


def test_protect_returns_the_old_protection(process):
    block = process.allocate(0x2000)
    assert process.protect(block, 0x1000, Protect.READONLY) == Protect.READWRITE
    assert process.protect(block, 0x2000, Protect.EXECUTE_READ | Protect.GUARD) == Protect.READONLY


def test_decommit_of_a_whole_region_reports_no_size(process):
    block = process.allocate(0x3000)
    assert process.free(block, type=Mem.DECOMMIT).size == 0
    assert process.query(block).state == Mem.RESERVE
    assert process.free(block).size == 0x3000
    assert process.query(block).state == Mem.FREE


def test_the_size_until_build_16299():
    with ntmm.System(ram=8 << 20, windows_build=16299) as system:
        process = system.create_process()
        block = process.allocate(0x3000)
        assert process.free(block, type=Mem.DECOMMIT).size == 0x3000


def test_contents_survive_and_a_decommit_loses_them(process):
    block = process.allocate(0x3000)
    process.write(block + 0xFFE, b"across pages")
    assert process.read(block + 0xFFE, 12) == b"across pages"
    process.free(block, 0x3000, type=Mem.DECOMMIT)
    process.allocate(0x3000, base=block, type=Mem.COMMIT)
    assert process.read(block + 0xFFE, 12) == bytes(12)


def test_any_buffer_can_be_written(process):
    block = process.allocate(0x1000)
    process.write(block, bytearray(b"ab"))
    process.write(block + 2, memoryview(b"cd"))
    process.write(block + 4, b"")
    assert process.read(block, 4) == b"abcd"
    assert process.read(block, 0) == b""


def test_two_processes_share_nothing(system):
    one, two = system.create_process(), system.create_process()
    assert one.allocate(0x1000, base=0x50000000) == two.allocate(0x1000, base=0x50000000)
    one.write(0x50000000, b"one")
    assert two.read(0x50000000, 3) == bytes(3)
    one.end()
    two.end()


def test_counters_and_accounting(system, process):
    block = process.allocate(0x10000)
    process.write(block, bytes(0x5000))
    counters = process.counters()
    assert counters["demand_zero_faults"] == 5
    assert "frames_zeroed_background" not in counters
    assert system.counters()["demand_zero_faults"] == 5
    assert system.counters()["processes_created"] == 1
    information = process.information()
    assert (information.commit_pages, information.working_set_pages) == (16, 5)
    assert information.virtual_size_bytes == 0x10000
    assert information.region_count == 1


def test_memory_accounts_for_every_frame(system, process):
    process.write(process.allocate(0x4000), b"x")
    memory = system.memory()
    assert memory.total_pages == (8 << 20) // ntmm.PAGE_SIZE
    assert memory.commit_pages <= memory.commit_limit_pages
    assert len(memory.standby_pages) == 8
    assert (
        memory.metadata_pages
        + memory.zeroed_pages
        + memory.free_pages
        + sum(memory.standby_pages)
        + memory.modified_pages
        + memory.active_pages
        + memory.transition_pages
        == memory.total_pages
    )


def test_explain_names_region_levels_and_frame(process):
    block = process.allocate(0x1000)
    process.write(block, b"x")
    text = process.explain(block).splitlines()
    assert text[0] == f"region 0x{block:X}..0x{block + 0x1000:X}"
    assert [line.split()[1] for line in text[1:5]] == ["4", "3", "2", "1"]
    assert text[5].startswith("frame ")
    assert process.explain(0x7F0000000000).startswith("free")


def test_same_seed_same_run():
    hashes = []
    for _ in range(2):
        with ntmm.System(ram=8 << 20, seed=5) as system:
            process = system.create_process()
            process.write(process.allocate(0x10000), b"same" * 1000)
            hashes.append(system.hash())
    assert hashes[0] == hashes[1]


def test_nothing_is_left_after_close():
    system = ntmm.System(ram=8 << 20)
    process = system.create_process()
    process.write(process.allocate(0x10000), b"x")
    system.check()
    assert system.close() == ntmm.Teardown(0, 0, 0, 0)
    assert system.close() is None
    process.end()


def test_freed_frames_can_be_zeroed(system):
    with system.create_process() as process:
        process.write(process.allocate(0x40000), bytes(0x40000))
    before = system.memory()
    assert before.free_pages > 0
    assert system.zero_free_pages(1) == 1
    assert system.memory().free_pages == before.free_pages - 1


@pytest.mark.parametrize("ram", [0, 4095, 1 << 60])
def test_impossible_machines_are_refused(ram):
    with pytest.raises(ntmm.NtStatusError):
        ntmm.System(ram=ram)
