"""A machine and the memory manager that runs on it."""

from __future__ import annotations

from types import TracebackType
from typing import NamedTuple, Optional, Sequence, Type

from . import _core
from ._errors import NtStatusError
from ._process import Process


class InvariantBroken(AssertionError):
    """The checker found a contradiction in the system: a defect of ntmm."""

    def __init__(self, report: _core.ntmm_check_report) -> None:
        self.invariant: str = report.invariant
        self.object: int = report.object
        super().__init__(
            f"{report.invariant}: object 0x{report.object:X}, "
            f"expected {report.expected}, found {report.found}"
        )


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


class Teardown(NamedTuple):
    """What was still in use when the system ended; all 0 when nothing leaked."""

    lost_pages: int
    outstanding_commit: int
    live_objects: int
    waiters: int
    transfers: int = 0


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


class System:
    """An emulated x86-64 machine with ``ram`` bytes, and one memory manager on it.

    Same seed, same run: nothing depends on the host but speed. Use it in a ``with``, or close it.

    >>> import ntmm
    >>> with ntmm.System(ram=16 << 20) as system:
    ...     process = system.create_process()
    ...     block = process.allocate(4096, protect=ntmm.Protect.READONLY)
    ...     try:
    ...         process.write(block, b"x")
    ...     except ntmm.AccessViolation as violation:
    ...         print(violation.access, violation.address == block)
    write True
    """

    def __init__(
        self,
        ram: int = 64 << 20,
        *,
        seed: int = 0,
        windows_build: int = 0,
        extra_commit_pages: int = 0,
        self_map_slot: int = 0,
        read_cluster_pages: int = 0,
        zeros_need_no_slot: bool = False,
    ) -> None:
        machine = _core.ntmm_emulated_config()
        machine.size = _core.sizeof_emulated_config()
        machine.version = _core.NTMM_EMULATED_CONFIG_VERSION
        machine.ram_bytes = ram
        machine.seed = seed
        config = _core.ntmm_config()
        config.size = _core.sizeof_config()
        config.version = _core.NTMM_CONFIG_VERSION
        config.windows_build = windows_build
        config.extra_commit_pages = extra_commit_pages
        config.self_map_slot = self_map_slot
        config.read_cluster_pages = read_cluster_pages
        config.paging_flags = _core.NTMM_PAGING_ZEROS_NEED_NO_SLOT if zeros_need_no_slot else 0
        #: The machine, for ntmm._core; None once closed.
        _, self.machine = _core.ntmm_emulated_create(machine)
        try:
            _, self.raw = _core.ntmm_emulated_create_system(self.machine, config)
        except NtStatusError:
            _core.ntmm_emulated_destroy(self.machine, None)
            self.machine = None
            raise

    @property
    def is_closed(self) -> bool:
        """Whether close was called."""
        return self.machine is None

    def __enter__(self) -> System:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "machine", None) is not None:
            self.close()

    def close(self) -> Optional[Teardown]:
        """End every process and the machine; returns what was left. A second time: nothing."""
        if self.machine is None:
            return None
        left = _core.ntmm_teardown()
        _core.settle(self.machine)
        _core.ntmm_emulated_destroy(self.machine, left)
        self.machine = None
        self.raw = None
        return Teardown(*(getattr(left, name) for name in Teardown._fields))

    def create_process(
        self,
        *,
        commit_limit_pages: int = 0,
        bottom_up_start: int = 0,
        highest_address: int = 0,
        working_set_minimum_pages: int = 0,
        working_set_maximum_pages: int = 0,
    ) -> Process:
        """A process with an empty address space; 0: the default."""
        config = _core.ntmm_process_config()
        config.size = _core.sizeof_process_config()
        config.version = _core.NTMM_PROCESS_CONFIG_VERSION
        config.commit_limit_pages = commit_limit_pages
        config.bottom_up_start = bottom_up_start
        config.highest_address = highest_address
        config.working_set_minimum_pages = working_set_minimum_pages
        config.working_set_maximum_pages = working_set_maximum_pages
        _, handle = _core.ntmm_create_process(self.raw, config)
        return Process(self, handle)

    def add_page_file(
        self, initial: int, maximum: int = 0, *, path: Optional[str] = None
    ) -> int:
        """Add a page file of bytes that may grow to ``maximum``; returns its number.

        ``path`` is a host file, made or overwritten; without one it is a disk in memory.
        """
        config = _core.ntmm_paging_file_config()
        config.size = _core.sizeof_paging_file_config()
        config.version = _core.NTMM_PAGING_FILE_VERSION
        config.initial_bytes = initial
        config.maximum_bytes = maximum
        _, config.device = _core.add_disk(self.machine, path, initial, maximum)
        _, number = _core.ntmm_create_paging_file(self.raw, config)
        return int(number)

    def page_file(self, number: int) -> PageFile:
        """Size, use and transfers of a page file."""
        found = _core.ntmm_paging_file_information()
        _core.ntmm_query_paging_file(self.raw, number, found)
        return PageFile(*(getattr(found, name) for name in PageFile._fields))

    def write_modified_pages(self, budget: int) -> int:
        """Write at most ``budget`` modified pages to page files; returns how many were."""
        started = int(_core.ntmm_write_modified_pages(self.raw, budget))
        _core.settle(self.machine)
        return started

    def balance(self) -> None:
        """A tick of the balance set manager: age working sets, trim and write when needed."""
        _core.ntmm_balance_set_manager(self.raw)

    def memory(self) -> MemoryReport:
        """Frames by state, and commit."""
        found = _core.ntmm_memory_information()
        _core.ntmm_query_memory(self.raw, found)
        return MemoryReport(*(getattr(found, name) for name in MemoryReport._fields))

    def counters(self) -> dict[str, int]:
        """All counters by name; those that processes own are summed."""
        return self.name_counters(
            _core.ntmm_query_counters(self.raw, _core.NTMM_COUNTER_COUNT), process_only=False
        )

    @staticmethod
    def name_counters(values: Sequence[int], *, process_only: bool) -> dict[str, int]:
        """A dict of values in the order of the table of counters."""
        described = [_core.ntmm_describe_counter(i) for i in range(_core.NTMM_COUNTER_COUNT)]
        return {
            row.name: value
            for row, value in zip(described, values)
            if not process_only or row.owner == _core.NTMM_OWNER_PROCESS
        }

    def zero_free_pages(self, budget: int) -> int:
        """Zero at most ``budget`` free frames, as an idle processor does; returns how many were."""
        return int(_core.ntmm_zero_free_pages(self.raw, budget))

    def check(self) -> None:
        """Recount everything; raises InvariantBroken when the system contradicts itself."""
        report = _core.ntmm_check_report()
        _core.settle(self.machine)
        try:
            _core.check_with_disks(self.machine, report)
        except NtStatusError as error:
            if error.status != _core.NTMM_STATUS_INTERNAL_ERROR:
                raise
            raise InvariantBroken(report) from None

    def hash(self) -> int:
        """A hash of RAM: equal for equal runs, on every host."""
        return int(_core.ntmm_emulated_hash(self.machine))
