"""What calls report, as named tuples, and NT's binary layouts that they are unpacked from.

A list of any of these is a table: pandas.DataFrame(records) has a column a field.
"""

from __future__ import annotations

from struct import Struct
from typing import Iterator, NamedTuple, Sequence, Union

from . import _core
from ._constants import (
    EventKind,
    FrameLocation,
    Location,
    Mem,
    Protect,
    Reason,
    RegionType,
    Sec,
    Translate,
)

#: What has the bytes of a buffer.
Bytes = Union[bytes, bytearray, memoryview]

# Layouts of a 64-bit caller, in the host's byte order.
BASIC = Struct("=QQIHHQIIII")
REGION = Struct("=QIIQQQQ")
PAGE = Struct("=QQ")
IMAGE = Struct("=QQII")
QUOTA_LIMITS = Struct("=6QQ3QII")
VM_COUNTERS = Struct("=QQI4x11Q")
SYSTEM_BASIC = Struct("=8I3QB7x")
SYSTEM_PERFORMANCE = Struct("=4Q70I4Q")
FILE_CACHE = Struct("=QQI4xQQQQII")
MEMORY_LISTS = Struct("=22Q")
PAGE_FILE = Struct("=IIIIHHIQII")
SECTION_BASIC = Struct("=QI4xQ")
SECTION_IMAGE = Struct("=QI4xQQI7H2BIII")
SUBSECTION = Struct("=5Q2I")


class Block(int):
    """The base address of a range: an int, with the size NT rounded to in ``size``.

    ``status`` is the success that the call returned: 0, or what STATUS_NAMES has a name of, such as
    WAS_LOCKED.
    """

    size: int
    status: int

    def __new__(cls, base: int, size: int, status: int = 0) -> Block:
        block = super().__new__(cls, base)
        block.size = size
        block.status = status
        return block

    def __repr__(self) -> str:
        return f"Block(0x{int(self):X}, size=0x{self.size:X})"

    @property
    def end(self) -> int:
        """The byte after the range."""
        return int(self) + self.size


class MemoryInformation(NamedTuple):
    """A run of like pages: what NtQueryVirtualMemory's basic class reports."""

    base_address: int
    allocation_base: int
    allocation_protect: Protect
    region_size: int
    state: Mem
    protect: Protect
    type: Mem

    @property
    def end(self) -> int:
        """The byte after the run."""
        return self.base_address + self.region_size


def memory_information(found: _core.ntmm_memory_basic_information) -> MemoryInformation:
    """The record of a struct."""
    return MemoryInformation(
        found.base_address,
        found.allocation_base,
        Protect(found.allocation_protect),
        found.region_size,
        Mem(found.state),
        Protect(found.protect),
        Mem(found.type),
    )


def memory_informations(data: Bytes) -> Iterator[MemoryInformation]:
    """The records of structs one behind the other."""
    for base, allocation, first, _, _, size, state, protect, kind, _ in BASIC.iter_unpack(data):
        yield MemoryInformation(
            base, allocation, Protect(first), size, Mem(state), Protect(protect), Mem(kind)
        )


class RegionInformation(NamedTuple):
    """A whole region, sizes in bytes; ``node_preference`` is all ones when it has none."""

    allocation_base: int
    allocation_protect: Protect
    region_type: RegionType
    region_size: int
    commit_size: int
    partition_id: int
    node_preference: int


def region_information(data: Bytes) -> RegionInformation:
    """The record of a struct."""
    base, protect, kind, size, commit, partition, node = REGION.unpack(data)
    return RegionInformation(
        base, Protect(protect), RegionType(kind), size, commit, partition, node
    )


class PageInformation(NamedTuple):
    """One page: in the working set (``valid``) with its protection, or where else it is."""

    virtual_address: int
    valid: bool
    protect: Protect
    share_count: int
    shared: bool
    node: int
    locked: bool
    large: bool
    location: Location
    priority: int
    is_on_modified_list: bool


def page_information(address: int, attributes: int) -> PageInformation:
    """The record of a page's attributes."""
    valid = bool(attributes & _core.NTMM_PAGE_STATE_VALID)
    seen = attributes if valid else 0
    return PageInformation(
        virtual_address=address,
        valid=valid,
        protect=Protect(seen >> _core.NTMM_PAGE_STATE_PROTECTION_SHIFT & 0x7FF),
        share_count=seen >> _core.NTMM_PAGE_STATE_SHARE_COUNT_SHIFT & 7,
        shared=bool(attributes & _core.NTMM_PAGE_STATE_SHARED),
        node=seen >> _core.NTMM_PAGE_STATE_NODE_SHIFT & 0x3F,
        locked=bool(seen & _core.NTMM_PAGE_STATE_LOCKED),
        large=bool(seen & _core.NTMM_PAGE_STATE_LARGE),
        location=Location(
            0 if valid else attributes >> _core.NTMM_PAGE_STATE_LOCATION_SHIFT & 3
        ),
        priority=attributes >> _core.NTMM_PAGE_STATE_PRIORITY_SHIFT & 7,
        is_on_modified_list=not valid and bool(attributes & _core.NTMM_PAGE_STATE_MODIFIED_LIST),
    )


class WorkingSetPage(NamedTuple):
    """A page of a working set."""

    virtual_address: int
    protect: Protect
    share_count: int
    shared: bool
    node: int


# A protection of five bits: three of access, and 8, 16 or 24 for a modifier.
_ACCESSES = (
    Protect(0),
    Protect.READONLY,
    Protect.EXECUTE,
    Protect.EXECUTE_READ,
    Protect.READWRITE,
    Protect.WRITECOPY,
    Protect.EXECUTE_READWRITE,
    Protect.EXECUTE_WRITECOPY,
)
_MODIFIERS = (Protect(0), Protect.NOCACHE, Protect.GUARD, Protect.WRITECOMBINE)


def working_set_page(word: int) -> WorkingSetPage:
    """The record of a word of the working-set class."""
    code = word & _core.NTMM_WORKING_SET_PROTECTION
    return WorkingSetPage(
        word >> _core.NTMM_WORKING_SET_PAGE_SHIFT << _core.NTMM_PAGE_SHIFT,
        _ACCESSES[code & 7] | _MODIFIERS[code >> 3],
        word >> _core.NTMM_WORKING_SET_SHARE_COUNT_SHIFT & 7,
        bool(word & _core.NTMM_WORKING_SET_SHARED),
        word >> _core.NTMM_WORKING_SET_NODE_SHIFT & 7,
    )


class ImageInformation(NamedTuple):
    """The image behind a view."""

    image_base: int
    size_of_image: int
    flags: int


class FileInformation(NamedTuple):
    """A file: the end of it, up to where the device holds it, and who uses it."""

    device: int
    size_bytes: int
    valid_bytes: int
    handle_count: int
    data_views: int
    image_views: int
    data_sections: int
    image_sections: int
    is_write_failed: bool


class SectionInformation(NamedTuple):
    """SECTION_BASIC_INFORMATION; ``base_address`` is that of Sec.BASED, otherwise 0."""

    base_address: int
    allocation_attributes: Sec
    maximum_size: int


class SectionImageInformation(NamedTuple):
    """SECTION_IMAGE_INFORMATION: what the headers of an image say, sizes in bytes."""

    transfer_address: int
    zero_bits: int
    maximum_stack_size: int
    committed_stack_size: int
    subsystem: int
    subsystem_minor_version: int
    subsystem_major_version: int
    major_operating_system_version: int
    minor_operating_system_version: int
    image_characteristics: int
    dll_characteristics: int
    machine: int
    contains_code: bool
    image_flags: int
    loader_flags: int
    image_file_size: int
    checksum: int


def section_image_information(data: Bytes) -> SectionImageInformation:
    """The record of a struct."""
    values = SECTION_IMAGE.unpack(data)
    return SectionImageInformation(*(values[:12] + (bool(values[12]),) + values[13:]))


class Subsection(NamedTuple):
    """Pages of a section in a row with one place in the file and one protection.

    What a page has more than the file is zeros; what is written to a part of an image is copied
    unless it is shared.
    """

    first_page: int
    page_count: int
    file_offset: int
    file_bytes: int
    backed_pages: int
    protect: Protect
    is_shared: bool


def subsections(data: Bytes) -> Iterator[Subsection]:
    """The records of structs one behind the other."""
    for values in SUBSECTION.iter_unpack(data):
        yield Subsection(*(values[:5] + (Protect(values[5]), bool(values[6]))))


class Translation(NamedTuple):
    """A translation that the page tables grant: of the byte asked for, and how far it goes on."""

    physical_address: int
    rights: Translate
    cache: int
    leaf_bytes: int
    run_base: int
    run_bytes: int


class CallTarget(NamedTuple):
    """Whether control flow guard lets an address be called, and where its bitmap is."""

    is_valid: bool
    bitmap_base: int
    bitmap_size_bytes: int


class ProcessInformation(NamedTuple):
    """Accounting of a process, as ntmm_process_information."""

    virtual_size_bytes: int
    peak_virtual_size_bytes: int
    region_count: int
    commit_pages: int
    peak_commit_pages: int
    working_set_pages: int
    peak_working_set_pages: int
    table_pages: int


class VmCounters(NamedTuple):
    """Counters of a process, as VM_COUNTERS_EX2: bytes, and a count of faults."""

    peak_virtual_size: int
    virtual_size: int
    page_fault_count: int
    peak_working_set_size: int
    working_set_size: int
    quota_peak_paged_pool_usage: int
    quota_paged_pool_usage: int
    quota_peak_nonpaged_pool_usage: int
    quota_nonpaged_pool_usage: int
    pagefile_usage: int
    peak_pagefile_usage: int
    private_usage: int
    private_working_set_size: int
    shared_commit_usage: int


class QuotaLimits(NamedTuple):
    """Limits of a process, in bytes; ``hard_minimum`` and ``hard_maximum``: of the working set."""

    paged_pool_limit: int
    nonpaged_pool_limit: int
    minimum_working_set_size: int
    maximum_working_set_size: int
    pagefile_limit: int
    time_limit: int
    hard_minimum: bool
    hard_maximum: bool


def quota_limits(data: Bytes) -> QuotaLimits:
    """The record of a struct."""
    values = QUOTA_LIMITS.unpack(data)
    hard = (
        bool(values[10] & _core.NTMM_QUOTA_LIMITS_HARDWS_MIN_ENABLE),
        bool(values[10] & _core.NTMM_QUOTA_LIMITS_HARDWS_MAX_ENABLE),
    )
    return QuotaLimits(*(values[:6] + hard))


class MemoryReport(NamedTuple):
    """Frames by state, and commit, in pages; as ntmm_memory_information."""

    total_pages: int
    metadata_pages: int
    zeroed_pages: int
    free_pages: int
    standby_pages: Sequence[int]
    modified_pages: int
    active_pages: int
    transition_pages: int
    user_pages: int
    user_peak_pages: int
    table_pages: int
    slab_pages: int
    commit_pages: int
    commit_limit_pages: int
    commit_peak_pages: int
    bad_pages: int


class SystemBasic(NamedTuple):
    """SYSTEM_BASIC_INFORMATION; what is the embedder's to fill in is 0."""

    reserved: int
    timer_resolution: int
    page_size: int
    number_of_physical_pages: int
    lowest_physical_page_number: int
    highest_physical_page_number: int
    allocation_granularity: int
    padding: int
    minimum_user_mode_address: int
    maximum_user_mode_address: int
    active_processors_affinity: int
    number_of_processors: int


class SystemPerformance(NamedTuple):
    """What SYSTEM_PERFORMANCE_INFORMATION says of memory: pages, and counts."""

    available_pages: int
    committed_pages: int
    commit_limit: int
    peak_commitment: int
    page_fault_count: int
    copy_on_write_count: int
    transition_count: int
    cache_transition_count: int
    demand_zero_count: int
    page_read_count: int
    page_read_io_count: int
    cache_read_count: int
    cache_io_count: int
    dirty_pages_write_count: int
    dirty_write_io_count: int
    mapped_pages_write_count: int
    mapped_write_io_count: int
    paged_pool_pages: int
    nonpaged_pool_pages: int
    resident_available_pages: int


def system_performance(data: Bytes) -> SystemPerformance:
    """The record of a struct."""
    values = SYSTEM_PERFORMANCE.unpack(data)
    return SystemPerformance(*(values[7:26] + values[76:77]))


class FileCache(NamedTuple):
    """SYSTEM_FILECACHE_INFORMATION: there is no file cache yet, so most is 0."""

    current_size: int
    peak_size: int
    page_fault_count: int
    minimum_working_set: int
    maximum_working_set: int
    current_size_with_transition: int
    peak_size_with_transition: int
    transition_repurpose_count: int
    flags: int


class MemoryLists(NamedTuple):
    """SYSTEM_MEMORY_LIST_INFORMATION, in pages; standby lists by priority."""

    zero_page_count: int
    free_page_count: int
    modified_page_count: int
    modified_no_write_page_count: int
    bad_page_count: int
    page_count_by_priority: Sequence[int]
    repurposed_pages_by_priority: Sequence[int]
    modified_page_count_page_file: int


def memory_lists(data: Bytes) -> MemoryLists:
    """The record of a struct."""
    values = MEMORY_LISTS.unpack(data)
    return MemoryLists(*(values[:5] + (values[5:13], values[13:21], values[21])))


class PageFileEntry(NamedTuple):
    """A page file as SYSTEM_PAGEFILE_INFORMATION_EX has it, in pages."""

    name: str
    total_size: int
    total_in_use: int
    peak_usage: int
    minimum_size: int
    maximum_size: int


def page_file_entries(data: Bytes) -> Iterator[PageFileEntry]:
    """The records of entries linked by offsets."""
    at = 0
    while at + PAGE_FILE.size <= len(data):
        entry = PAGE_FILE.unpack_from(data, at)
        following, total, in_use, peak, name_bytes = entry[:5]
        name = bytes(data[at + PAGE_FILE.size:at + PAGE_FILE.size + name_bytes])
        yield PageFileEntry(name.decode("utf-16-le"), total, in_use, peak, *entry[8:])
        if not following:
            return
        at += following


class PageFile(NamedTuple):
    """A page file, in pages and transfers, as ntmm_paging_file_information."""

    number: int
    size_pages: int
    initial_pages: int
    maximum_pages: int
    used_pages: int
    peak_pages: int
    bad_pages: int
    reads: int
    pages_read: int
    writes: int
    pages_written: int
    failed_reads: int
    failed_writes: int


class JobInformation(NamedTuple):
    """What a job has, and its limits that are in force, in pages; None: no such limit."""

    process_count: int
    commit_pages: int
    peak_commit_pages: int
    process_memory_pages: Union[int, None]
    job_memory_pages: Union[int, None]
    working_set_minimum_pages: Union[int, None]
    working_set_maximum_pages: Union[int, None]


class FrameInformation(NamedTuple):
    """A row of the PFN database."""

    frame: int
    location: FrameLocation
    use: int
    share_count: int
    reference_count: int
    priority: int
    is_modified: bool
    slot: int
    page_file: int
    owner: int


class SnapshotInformation(NamedTuple):
    """The point that a machine can go back to."""

    has_base: bool
    sharers: int
    is_compared: bool
    changed_pages: int


class Event(NamedTuple):
    """A record of the event stream; ``process`` is the low half of its handle."""

    time_100ns: int
    kind: EventKind
    process: int
    a: int
    b: int
    detail: int


class Withdrawal(NamedTuple):
    """A range of translations that were withdrawn; base 0 and end 2**64 - 1: all of them."""

    process: int
    base: int
    end: int
    reason: Reason


class Teardown(NamedTuple):
    """What was still in use when the system ended; all 0 when nothing leaked."""

    lost_pages: int
    outstanding_commit: int
    live_objects: int
    waiters: int
    transfers: int = 0
