"""Counters, lists and conditions as records, in NT's layouts."""

import importlib.util

import pytest

import ntmm
from ntmm import Condition, ListCommand, _core, _records

PAGE = ntmm.PAGE_SIZE


@pytest.mark.parametrize(
    ("layout", "size"),
    [("BASIC", 48), ("REGION", 48), ("PAGE", 16), ("IMAGE", 24), ("QUOTA_LIMITS", 88),
     ("VM_COUNTERS", 112), ("SYSTEM_BASIC", 64), ("SYSTEM_PERFORMANCE", 344), ("FILE_CACHE", 64),
     ("MEMORY_LISTS", 176), ("PAGE_FILE", 40)],
)
def test_layouts_have_nt_s_sizes(layout, size):
    assert getattr(_records, layout).size == size


@pytest.mark.parametrize(
    ("record", "struct"),
    [(ntmm.VmCounters, "ntmm_vm_counters"), (ntmm.SystemBasic, "ntmm_system_basic_information"),
     (ntmm.FileCache, "ntmm_system_file_cache_information"),
     (ntmm.MemoryLists, "ntmm_system_memory_lists"),
     (ntmm.SystemPerformance, "ntmm_system_performance_information"),
     (ntmm.RegionInformation, "ntmm_memory_region_information"),
     (ntmm.ImageInformation, "ntmm_memory_image_information")],
)
def test_fields_have_the_names_of_the_c_structs(record, struct):
    assert set(record._fields) <= set(dir(getattr(_core, struct)))


def test_counters_of_a_process(process):
    block = process.allocate(10 * PAGE)
    process.write(block, bytes(3 * PAGE))
    process.reserve(0x20000)
    counters = process.vm_counters()
    assert counters.virtual_size == counters.peak_virtual_size == 10 * PAGE + 0x20000
    assert counters.working_set_size == counters.private_working_set_size == 3 * PAGE
    assert counters.pagefile_usage == counters.private_usage == 10 * PAGE
    assert counters.page_fault_count == 3
    process.release(block)
    assert process.vm_counters().peak_pagefile_usage == 10 * PAGE


def test_what_the_system_says_of_itself(system, process):
    process.write(process.allocate(4 * PAGE), bytes(4 * PAGE))
    memory, lists = system.memory(), system.memory_lists()
    assert lists.zero_page_count == memory.zeroed_pages
    assert lists.free_page_count == memory.free_pages
    assert list(lists.page_count_by_priority) == list(memory.standby_pages)
    basic = system.basic_information()
    assert (basic.page_size, basic.allocation_granularity) == (4096, 65536)
    assert (basic.minimum_user_mode_address, basic.maximum_user_mode_address) == (
        0x10000, 0x7FFFFFFEFFFF)
    assert basic.number_of_physical_pages == memory.total_pages
    performance = system.performance()
    assert performance.committed_pages == memory.commit_pages
    assert performance.commit_limit == memory.commit_limit_pages
    assert performance.demand_zero_count == 4
    assert performance.available_pages == (
        memory.zeroed_pages + memory.free_pages + sum(memory.standby_pages))
    assert system.file_cache().current_size == 0
    with pytest.raises(ntmm.NtStatusError) as caught:
        system.query_information(_core.NTMM_SYSTEM_BASIC_INFORMATION, 63)
    assert caught.value.name == "INFO_LENGTH_MISMATCH"


def test_page_files_have_names(system):
    assert system.page_files() == []
    system.add_page_file(1 << 20, 2 << 20)
    system.add_page_file(1 << 20)
    one, two = system.page_files()
    assert (one.name, two.name) == ("\\Device\\PageFile0", "\\Device\\PageFile1")
    assert (one.total_size, one.minimum_size, one.maximum_size) == (256, 256, 512)


def test_commands_to_the_lists(system, process):
    block = process.allocate(8 * PAGE)
    process.write(block, bytes(8 * PAGE))
    system.add_page_file(1 << 20)
    system.command_lists(ListCommand.EMPTY_WORKING_SETS, caller=process)
    assert system.memory_lists().modified_page_count == 8
    system.command_lists(ListCommand.FLUSH_MODIFIED_LIST, caller=process)
    assert sum(system.memory_lists().page_count_by_priority) == 8
    system.command_lists(ListCommand.PURGE_STANDBY_LIST, caller=process)
    assert sum(system.memory_lists().page_count_by_priority) == 0
    process.read(block, 1)
    assert system.performance().page_read_count >= 1


def test_conditions_of_memory():
    with ntmm.System(ram=4 << 20, low_memory_pages=300, high_memory_pages=600) as system:
        assert system.conditions() == {
            Condition.LOW_MEMORY: False, Condition.HIGH_MEMORY: True, Condition.LOW_COMMIT: True,
            Condition.HIGH_COMMIT: False, Condition.MAXIMUM_COMMIT: False}
        process = system.create_process()
        block = process.allocate(900 * PAGE)
        process.write(block, bytes(500 * PAGE))
        assert not system.condition(Condition.HIGH_MEMORY)
        assert not system.condition(Condition.LOW_COMMIT)
        process.write(block + 500 * PAGE, bytes(300 * PAGE))
        assert system.condition(Condition.LOW_MEMORY)
        with pytest.raises(ntmm.InvalidParameter):
            system.condition(5)


@pytest.mark.skipif(importlib.util.find_spec("pandas") is None, reason="pandas is not installed")
def test_records_are_tables(system, process):
    pandas = pytest.importorskip("pandas")
    process.write(process.allocate(4 * PAGE), bytes(4 * PAGE))
    runs = pandas.DataFrame(process.scan())
    assert list(runs.columns) == list(ntmm.MemoryInformation._fields)
    assert runs.region_size.sum() == 4 * PAGE + 0x10000
    assert len(pandas.DataFrame(process.working_set())) == 4
    assert pandas.DataFrame([process.vm_counters()]).page_fault_count[0] == 4


def test_numpy_reads_a_scan(process):
    numpy = pytest.importorskip("numpy")
    process.allocate(4 * PAGE, base=0x50000000)
    words = numpy.frombuffer(process.scan_bytes(0, 0x60000000), dtype="u8").reshape(-1, 6)
    assert words[0, 0] == 0x50000000 and words[0, 3] == 4 * PAGE
