"""A process: its address space and its accesses."""

from __future__ import annotations

from operator import index
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Iterator, NamedTuple, Optional, Type, Union

from . import _core
from ._constants import HIGHEST_USER_ADDRESS, Mem, Protect
from ._errors import FaultError, fault_of

if TYPE_CHECKING:
    from ._system import System

_Buffer = Union[bytes, bytearray, memoryview]


class Block(int):
    """The base address of a range of memory: an int, with the size NT rounded to in ``size``."""

    size: int

    def __new__(cls, base: int, size: int) -> Block:
        block = super().__new__(cls, base)
        block.size = size
        return block

    def __repr__(self) -> str:
        return f"Block(0x{int(self):X}, size=0x{self.size:X})"


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


class Process:
    """A private address space. Made by System.create_process; ends with ``end`` or its ``with``.

    >>> import ntmm
    >>> with ntmm.System() as system, system.create_process() as process:
    ...     block = process.allocate(10_000)
    ...     process.write(block, b"hello")
    ...     process.read(block, 5), block.size
    (b'hello', 12288)
    """

    def __init__(self, system: System, handle: int) -> None:
        self.system = system
        #: The handle; 0 once the process has ended.
        self.handle = handle

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.end()

    def __repr__(self) -> str:
        return f"<ntmm.Process 0x{self.handle:X}>"

    def end(self) -> None:
        """End the process and free all it has. Once it, or its system, has ended: nothing."""
        if self.handle and not self.system.is_closed:
            _core.ntmm_end_process(self.system.raw, self.handle)
        self.handle = 0

    def allocate(
        self,
        size: int,
        *,
        base: int = 0,
        type: int = Mem.RESERVE | Mem.COMMIT,
        protect: int = Protect.READWRITE,
        zero_bits: int = 0,
    ) -> Block:
        """Reserve, commit or both, as NtAllocateVirtualMemory; base 0: the lowest free address.

        Returns the base address as NT rounded it, with the size as NT rounded it in ``.size``.
        """
        _, start, rounded = _core.ntmm_allocate_virtual_memory(
            self.system.raw, self.handle, index(base), zero_bits, index(size), type, protect
        )
        return Block(start, rounded)

    def free(self, base: int, size: int = 0, *, type: int = Mem.RELEASE) -> Block:
        """Release or decommit, as NtFreeVirtualMemory; size 0: the region that begins at base."""
        _, start, freed = _core.ntmm_free_virtual_memory(
            self.system.raw, self.handle, index(base), index(size), type
        )
        return Block(start, freed)

    def protect(self, base: int, size: int, protect: int) -> Protect:
        """Change the protection of committed pages; returns the first page's old one."""
        old = _core.ntmm_protect_virtual_memory(
            self.system.raw, self.handle, index(base), index(size), protect
        )[-1]
        return Protect(old)

    def query(self, address: int) -> MemoryInformation:
        """The run of like pages that begins with the page of an address."""
        found = _core.ntmm_memory_basic_information()
        _core.ntmm_query_virtual_memory(self.system.raw, self.handle, address, found)
        return MemoryInformation(
            found.base_address,
            found.allocation_base,
            Protect(found.allocation_protect),
            found.region_size,
            Mem(found.state),
            Protect(found.protect),
            Mem(found.type),
        )

    def regions(self, *, free: bool = False) -> Iterator[MemoryInformation]:
        """All runs of like pages by rising address, free space only when asked for."""
        address = 0
        while address <= HIGHEST_USER_ADDRESS:
            run = self.query(address)
            if free or run.state != Mem.FREE:
                yield run
            address = run.end

    def read(self, address: int, size: int) -> bytes:
        """Load bytes as the program would; raises AccessViolation or GuardPage."""
        if size == 0:
            return b""
        data: bytes = self._access(_core.ntmm_emulated_load, address, size)[-1]
        return data

    def write(self, address: int, data: _Buffer) -> None:
        """Store bytes as the program would; raises AccessViolation or GuardPage."""
        if len(data) == 0:
            return
        self._access(_core.ntmm_emulated_store, address, data)

    def fetch(self, address: int, size: int = 1) -> bytes:
        """Fetch bytes as instructions; raises AccessViolation or GuardPage."""
        if size == 0:
            return b""
        data: bytes = self._access(_core.ntmm_emulated_fetch, address, size)[-1]
        return data

    def _access(self, access: Callable[..., Any], address: int, operand: Any) -> Any:
        result = _core.ntmm_fault_result()
        _core.ntmm_emulated_attach(self.system.machine, 0, self.handle)
        try:
            return access(self.system.machine, 0, address, operand, None, result)
        except FaultError as error:
            raise fault_of(error, result) from None

    def information(self) -> ProcessInformation:
        """Sizes, commit, working set and page tables."""
        found = self._query()
        return ProcessInformation(*(getattr(found, name) for name in ProcessInformation._fields))

    def counters(self) -> dict[str, int]:
        """The counters that the process owns, by name."""
        return self.system.name_counters(self._query().counters, process_only=True)

    def _query(self) -> _core.ntmm_process_information:
        found = _core.ntmm_process_information()
        _core.ntmm_query_process(self.system.raw, self.handle, found)
        return found

    def explain(self, address: int) -> str:
        """Everything known of an address in a few lines: region, entry at each level, frame."""
        found = _core.ntmm_explanation()
        _core.ntmm_explain(self.system.raw, self.handle, address, found)
        lines = ["free"]
        if found.vad_address:
            lines = [f"region 0x{found.vad_base:X}..0x{found.vad_end:X}"]
        for level in range(found.levels, found.stopped_level - 1, -1):
            _, text = _core.ntmm_format_entry(found.entry[level - 1], level)
            lines.append(f"level {level} 0x{found.entry[level - 1]:016X} {text}")
        if found.has_frame:
            frame = found.frame
            lines.append(f"frame 0x{frame.frame:X} referenced {frame.reference_count} times")
        return "\n".join(lines)


