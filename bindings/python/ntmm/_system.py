"""A machine and the memory manager that runs on it."""

from __future__ import annotations

import mmap
import os
from operator import index
from types import TracebackType
from typing import Any, Callable, Iterable, Optional, Sequence, Type, Union

from . import _core
from ._constants import (
    PAGE_SIZE,
    BadFrame,
    Condition,
    EventKind,
    FrameLocation,
    ListCommand,
    Protection,
    Reason,
    Signer,
)
from ._errors import Closed, NtStatusError, error_of
from ._job import Job
from ._lent import Device, Held, Lent
from ._process import Process
from ._records import (
    FILE_CACHE,
    MEMORY_LISTS,
    SYSTEM_BASIC,
    SYSTEM_PERFORMANCE,
    Event,
    FileCache,
    FrameInformation,
    MemoryLists,
    MemoryReport,
    PageFile,
    PageFileEntry,
    SnapshotInformation,
    SystemBasic,
    SystemPerformance,
    Teardown,
    Withdrawal,
    memory_lists,
    page_file_entries,
    system_performance,
)
from ._storage import Storage

# Bytes that the entries and names of all page files fit into.
_PAGE_FILE_BYTES = 4096


class InvariantBroken(AssertionError):
    """The checker found a contradiction in the system: a defect of ntmm."""

    def __init__(self, report: _core.ntmm_check_report) -> None:
        self.invariant: str = report.invariant
        self.object: int = report.object
        super().__init__(
            f"{report.invariant}: object 0x{report.object:X}, "
            f"expected {report.expected}, found {report.found}"
        )


def _finish(status: int) -> None:
    """What is no error to NT, but not done either, is one here."""
    if status != _core.NTMM_STATUS_SUCCESS:
        raise error_of(status)


def _machine_config(ram: int, seed: int, processors: int) -> _core.ntmm_emulated_config:
    machine = _core.ntmm_emulated_config()
    machine.size = _core.sizeof_emulated_config()
    machine.version = _core.NTMM_EMULATED_CONFIG_VERSION
    machine.ram_bytes = ram
    machine.seed = seed
    machine.cpu_count = processors
    return machine


class System(Storage):
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
        processors: int = 1,
        windows_build: int = 0,
        extra_commit_pages: int = 0,
        self_map_slot: int = 0,
        read_cluster_pages: int = 0,
        write_cluster_pages: int = 0,
        zeros_need_no_slot: bool = False,
        low_memory_pages: int = 0,
        high_memory_pages: int = 0,
        modified_page_life_100ns: int = 0,
    ) -> None:
        config = _core.ntmm_config()
        config.size = _core.sizeof_config()
        config.version = _core.NTMM_CONFIG_VERSION
        config.windows_build = windows_build
        config.extra_commit_pages = extra_commit_pages
        config.self_map_slot = self_map_slot
        config.read_cluster_pages = read_cluster_pages
        config.write_cluster_pages = write_cluster_pages
        config.low_memory_pages = low_memory_pages
        config.high_memory_pages = high_memory_pages
        config.modified_page_life_100ns = modified_page_life_100ns
        config.paging_flags = _core.NTMM_PAGING_ZEROS_NEED_NO_SLOT if zeros_need_no_slot else 0
        _, machine = _core.ntmm_emulated_create(_machine_config(ram, seed, processors))
        try:
            _core.ntmm_emulated_create_system(machine, config)
        except NtStatusError:
            _core.ntmm_emulated_destroy(machine, None)
            raise
        self._begin(machine, {})

    def _begin(self, machine: Any, held: dict[int, Held]) -> None:
        self._machine = machine
        self._raw = _core.ntmm_emulated_system(machine)
        self._recorder: Any = None
        self._held = held

    @classmethod
    def _of(cls, machine: Any, held: dict[int, Held]) -> System:
        made = cls.__new__(cls)
        made._begin(machine, held)
        return made

    @property
    def machine(self) -> Any:
        """The machine, for ntmm._core; raises Closed once closed."""
        if self._machine is None:
            raise Closed("the system is closed")
        return self._machine

    @property
    def raw(self) -> Any:
        """The memory manager, for ntmm._core; raises Closed once closed."""
        if self._machine is None:
            raise Closed("the system is closed")
        return self._raw

    @property
    def is_closed(self) -> bool:
        """Whether close was called."""
        return self._machine is None

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
        if getattr(self, "_machine", None) is not None:
            self.close()

    def close(self) -> Optional[Teardown]:
        """End every process and the machine; returns what was left. A second time: nothing."""
        if self._machine is None:
            return None
        left = _core.ntmm_teardown()
        _core.settle(self._machine)
        _core.ntmm_emulated_destroy(self._machine, left)
        self._machine = None
        self._raw = None
        if self._recorder is not None:
            _core.destroy_recorder(self._recorder)
            self._recorder = None
        self._held.clear()
        return Teardown(*(getattr(left, name) for name in Teardown._fields))

    # Processes and jobs

    def create_process(
        self,
        *,
        commit_limit_pages: int = 0,
        bottom_up_start: int = 0,
        highest_address: int = 0,
        working_set_minimum_pages: int = 0,
        working_set_maximum_pages: int = 0,
        layout: int = 0,
        protection: int = Protection.NONE,
        signer: int = Signer.NONE,
    ) -> Process:
        """A process with an empty address space; 0: the default. ``layout``: Layout flags."""
        config = _core.ntmm_process_config()
        config.size = _core.sizeof_process_config()
        config.version = _core.NTMM_PROCESS_CONFIG_VERSION
        config.commit_limit_pages = commit_limit_pages
        config.bottom_up_start = bottom_up_start
        config.highest_address = highest_address
        config.working_set_minimum_pages = working_set_minimum_pages
        config.working_set_maximum_pages = working_set_maximum_pages
        config.flags = layout
        config.protection = protection | signer << 4
        _, handle = _core.ntmm_create_process(self.raw, config)
        return Process(self, handle)

    def process(self, which: Union[Process, int]) -> Process:
        """A Process of this system for a handle, such as that of a process of its parent."""
        return Process(self, which.handle if isinstance(which, Process) else index(which))

    def create_job(self) -> Job:
        """A job without limits."""
        _, handle = _core.ntmm_create_job(self.raw)
        return Job(self, handle)

    # Paging

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

    def command_lists(self, command: int, *, caller: Process) -> None:
        """Do a ListCommand to all page lists; the caller needs the privilege to profile."""
        _core.ntmm_memory_list_command(self.raw, caller.handle, ListCommand(command))
        _core.settle(self.machine)

    def zero_free_pages(self, budget: int) -> int:
        """Zero at most ``budget`` free frames, as an idle processor does; returns how many were."""
        return int(_core.ntmm_zero_free_pages(self.raw, budget))

    # Numbers

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

    def query_information(self, information_class: int, size: int) -> bytes:
        """NtQuerySystemInformation with a class of NT's number, into at most ``size`` bytes."""
        buffer = bytearray(size)
        _, written = _core.ntmm_query_system_information(self.raw, information_class, buffer)
        return bytes(buffer[:written])

    def basic_information(self) -> SystemBasic:
        """Frames, granularity, the range of user addresses."""
        data = self.query_information(_core.NTMM_SYSTEM_BASIC_INFORMATION, SYSTEM_BASIC.size)
        return SystemBasic(*SYSTEM_BASIC.unpack(data))

    def performance(self) -> SystemPerformance:
        """Commit, faults and transfers since the system was made."""
        return system_performance(
            self.query_information(
                _core.NTMM_SYSTEM_PERFORMANCE_INFORMATION, SYSTEM_PERFORMANCE.size
            )
        )

    def file_cache(self) -> FileCache:
        """The file cache."""
        data = self.query_information(_core.NTMM_SYSTEM_FILE_CACHE_INFORMATION, FILE_CACHE.size)
        return FileCache(*FILE_CACHE.unpack(data))

    def memory_lists(self) -> MemoryLists:
        """The page lists, standby by priority."""
        return memory_lists(
            self.query_information(_core.NTMM_SYSTEM_MEMORY_LIST_INFORMATION, MEMORY_LISTS.size)
        )

    def page_files(self) -> list[PageFileEntry]:
        """The page files, with their names."""
        return list(
            page_file_entries(
                self.query_information(
                    _core.NTMM_SYSTEM_PAGE_FILE_INFORMATION_EX, _PAGE_FILE_BYTES
                )
            )
        )

    def condition(self, condition: int) -> bool:
        """Whether a Condition of memory holds at this moment."""
        _, is_signalled = _core.ntmm_query_memory_condition(self.raw, index(condition))
        return bool(is_signalled)

    def conditions(self) -> dict[Condition, bool]:
        """All conditions of memory."""
        return {condition: self.condition(condition) for condition in Condition}

    def frame(self, number: int) -> FrameInformation:
        """A row of the PFN database."""
        found = _core.ntmm_frame_information()
        _core.ntmm_query_frame(self.raw, index(number), found)
        values = {name: getattr(found, name) for name in FrameInformation._fields}
        values["location"] = FrameLocation(found.location)
        values["is_modified"] = bool(found.is_modified)
        return FrameInformation(**values)

    def mark_frame_bad(self, number: int, *, readable: bool = False) -> BadFrame:
        """Take a frame out of use; says what became of its page.

        ``readable``: the frame still reads as it was written, so that the page may move.
        """
        flags = _core.NTMM_BAD_FRAME_READABLE if readable else 0
        status, outcome = _core.ntmm_mark_frame_bad(self.raw, index(number), flags)
        _finish(status)
        return BadFrame(outcome)

    def mark_frame_good(self, number: int) -> None:
        """Put a bad frame back into use."""
        _core.ntmm_mark_frame_good(self.raw, index(number))

    def add_frames(self, first: int, count: int, *, zeroed: bool = False) -> None:
        """Frames are there that were not: removed ones, or RAM that was not there at first."""
        flags = _core.NTMM_FRAMES_ZEROED if zeroed else 0
        _finish(_core.ntmm_add_frames(self.raw, index(first), index(count), flags))

    def remove_frames(self, first: int, count: int) -> None:
        """Take frames away; the pages in them move. An error with STATUS_RETRY: try again."""
        _finish(_core.ntmm_remove_frames(self.raw, index(first), index(count)))

    # What happens

    def _record(self) -> Any:
        if self._recorder is None:
            self._recorder = _core.create_recorder()
            if self._recorder is None:
                raise MemoryError
        return self._recorder

    def record_events(self, kinds: Iterable[int] = tuple(EventKind)) -> None:
        """Record events of some kinds from now on, for ``take_events``; none: no more."""
        mask = 0
        for kind in kinds:
            mask |= 1 << EventKind(kind)
        _core.record_events(self.machine, self._record(), mask)

    def take_events(self) -> list[Event]:
        """The events recorded since they were taken last."""
        return [
            Event(time, EventKind(kind), *others)
            for time, kind, *others in _core.take_events(self._record())
        ]

    def record_withdrawals(self, is_on: bool = True) -> None:
        """Record withdrawn translations from now on, for ``take_withdrawals``; or no more.

        They are what a cache of ``translate`` must forget.
        """
        _core.record_withdrawals(self.machine, self._record(), is_on)

    def take_withdrawals(self) -> list[Withdrawal]:
        """The ranges recorded since they were taken last."""
        return [
            Withdrawal(process, base, end, Reason(reason))
            for process, base, end, reason in _core.take_withdrawals(self._record())
        ]

    # Memory beside RAM

    def lend(self, buffer: Any, *, first_frame: int = 0) -> Lent:
        """Make a buffer physical memory: a number of bytes, or a writable object at a page.

        An mmap is at a page; numpy arrays and bytearrays are not always. Every process that maps
        the frames, and who has the buffer, sees the same bytes.
        """
        if isinstance(buffer, int):
            buffer = mmap.mmap(-1, buffer)
        view = memoryview(buffer).cast("B")
        _, frame = _core.ntmm_emulated_lend(self.machine, view, first_frame)
        self._held[frame] = view
        return Lent(self, frame, len(view), buffer)

    def map_device(
        self,
        read: Callable[[int, int], int],
        write: Callable[[int, int, int], Any],
        size: int = PAGE_SIZE,
        *,
        first_frame: int = 0,
    ) -> Lent:
        """Put a device behind frames: ``read(offset, size)``, ``write(offset, size, value)``.

        Sizes are 1, 2, 4 and 8 bytes. The functions must not use the system; what they raise is
        raised by the access.
        """
        _, frame, raw = _core.map_device(self.machine, read, write, index(size), first_frame)
        self._held[frame] = Device(raw)
        return Lent(self, frame, index(size), None)

    def take_back(self, first_frame: int) -> None:
        """Take back what was lent, or a device."""
        _core.ntmm_emulated_take_back(self.machine, index(first_frame))
        del self._held[first_frame]

    # Snapshots

    def snapshot(self) -> None:
        """Make the machine as it is now the point that ``restore`` goes back to."""
        _core.settle(self.machine)
        _core.ntmm_emulated_snapshot(self.machine)

    def restore(self) -> None:
        """Go back to the snapshot, any number of times. Handles are those of then."""
        _core.settle(self.machine)
        _core.ntmm_emulated_restore_snapshot(self.machine)

    def fork(self) -> System:
        """A second machine that is as this one is now and goes its own way.

        Handles are the same: ``fork.process(process)`` is a process's double. Lent buffers are
        shared.
        """
        _core.settle(self.machine)
        _, machine = _core.ntmm_emulated_fork(self.machine)
        return System._of(machine, dict(self._held))

    def save(self, path: Union[str, "os.PathLike[str]"]) -> None:
        """Write the machine, disks included, to a file."""
        _core.settle(self.machine)
        _core.ntmm_emulated_save_snapshot(self.machine, os.fspath(path))

    @classmethod
    def load(cls, path: Union[str, "os.PathLike[str]"]) -> System:
        """The machine that ``save`` wrote."""
        _, machine = _core.ntmm_emulated_load_snapshot(_machine_config(0, 0, 0), os.fspath(path))
        return cls._of(machine, {})

    def snapshot_information(self) -> SnapshotInformation:
        """What the machine can go back to."""
        found = _core.ntmm_snapshot_information()
        found.size = _core.sizeof_snapshot_information()
        _core.ntmm_emulated_query_snapshot(self.machine, found)
        return SnapshotInformation(
            bool(found.has_base), found.sharers, bool(found.is_compared), found.changed_pages
        )

    # Judging

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
