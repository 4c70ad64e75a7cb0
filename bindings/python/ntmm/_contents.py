"""The bytes of a process: accesses of the program, copies from outside, and where pages stay."""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Any, Callable, Iterable, Optional

from . import _core
from ._constants import MapType, Offer
from ._errors import FaultError, PartialCopy, fault_of
from ._records import Block, Bytes
from ._target import Target
from ._virtual import is_intact

if TYPE_CHECKING:
    from ._stack import Stack

#: First bytes and sizes of ranges.
Ranges = Iterable[tuple[int, int]]


class Contents(Target):
    """Load and store, read and write, lock, offer, prefetch."""

    # What the program does

    def read(
        self, address: int, size: int, *, processor: int = 0, stack: Optional[Stack] = None
    ) -> bytes:
        """Load bytes as the program would; raises AccessViolation or GuardPage.

        ``stack`` is the stack of the thread that does it, which grows when its guard is hit.
        """
        if size == 0:
            return b""
        data: bytes = self._access(_core.ntmm_emulated_load, address, size, processor, stack)[-1]
        return data

    def write(
        self, address: int, data: Bytes, *, processor: int = 0, stack: Optional[Stack] = None
    ) -> None:
        """Store bytes as the program would; raises AccessViolation or GuardPage."""
        if len(data) == 0:
            return
        self._access(_core.ntmm_emulated_store, address, data, processor, stack)

    def fetch(
        self, address: int, size: int = 1, *, processor: int = 0, stack: Optional[Stack] = None
    ) -> bytes:
        """Fetch bytes as instructions; raises AccessViolation or GuardPage."""
        if size == 0:
            return b""
        data: bytes = self._access(_core.ntmm_emulated_fetch, address, size, processor, stack)[-1]
        return data

    def _access(
        self,
        access: Callable[..., Any],
        address: int,
        operand: Any,
        processor: int,
        stack: Optional[Stack],
    ) -> Any:
        result = _core.ntmm_fault_result()
        machine = self.system.machine
        _core.ntmm_emulated_attach(machine, processor, self.handle)
        raw = None if stack is None else stack.raw
        try:
            return access(machine, processor, address, operand, raw, result)
        except FaultError as error:
            raise fault_of(error, result) from None

    # What others do

    def read_memory(self, address: int, size: int) -> bytes:
        """Read as NtReadVirtualMemory; PartialCopy has what could be."""
        buffer, copied = bytearray(index(size)), _core.uint64_cell()
        try:
            self._call(_core.ntmm_read_virtual_memory, index(address), buffer, copied.cast())
        except PartialCopy as error:
            error.copied = copied.value()
            error.data = bytes(buffer[:error.copied])
            raise
        return bytes(buffer)

    def write_memory(self, address: int, data: Bytes) -> int:
        """Write as NtWriteVirtualMemory; PartialCopy says how far. Returns bytes written."""
        return self._copy(_core.ntmm_write_virtual_memory, index(address), data)

    def probe_memory(self, address: int, size: int, write: bool = False) -> None:
        """Access each page once, as system services do before they move bytes: a probe for
        writing marks every page for a write watch."""
        access = _core.NTMM_PROBE_WRITE if write else _core.NTMM_PROBE_READ
        self._call(_core.ntmm_probe_virtual_memory, index(address), index(size), access)

    def copy_memory(self, address: int, to: Contents, to_address: int, size: int) -> int:
        """Copy to another process, or within one. Returns bytes copied."""
        if to.system is not self.system:
            raise ValueError("the processes belong to two systems")
        return self._copy(
            _core.ntmm_copy_virtual_memory,
            index(address),
            to.handle,
            index(to_address),
            index(size),
        )

    def _copy(self, function: Callable[..., Any], *arguments: Any) -> int:
        copied = _core.uint64_cell()
        try:
            self._call(function, *arguments, copied.cast())
        except PartialCopy as error:
            error.copied = copied.value()
            raise
        return int(copied.value())

    # Where pages stay

    def lock(self, base: int, size: int, map_type: int = MapType.PROCESS) -> Block:
        """Keep pages in the working set, or in memory; ``.status`` says WAS_LOCKED if one was."""
        status, start, rounded = self._call(
            _core.ntmm_lock_virtual_memory, index(base), index(size), map_type
        )
        return Block(start, rounded, status)

    def unlock(self, base: int, size: int, map_type: int = MapType.PROCESS) -> Block:
        """Unlock pages. Of a range of which a page is not locked, those leave the working set."""
        status, start, rounded = self._call(
            _core.ntmm_unlock_virtual_memory, index(base), index(size), map_type
        )
        return Block(start, rounded, status)

    def flush(self, base: int, size: int = 0) -> Block:
        """Write the modified pages of a view of a file."""
        status, start, rounded = self._call(
            _core.ntmm_flush_virtual_memory, index(base), index(size), _core.ntmm_io_status()
        )
        return Block(start, rounded, status)

    def offer(self, base: int, size: int, priority: int = Offer.NORMAL) -> None:
        """Offer contents that can be made again: they are taken before anything is written."""
        self._call(_core.ntmm_offer_virtual_memory, index(base), index(size), priority)

    def reclaim(self, base: int, size: int) -> bool:
        """Take an offer back; returns whether all contents are still there."""
        return is_intact(self._call, _core.ntmm_reclaim_virtual_memory, index(base), index(size))

    def discard(self, base: int, size: int) -> None:
        """Give contents up at once: the pages are zeros."""
        self._call(_core.ntmm_discard_virtual_memory, index(base), index(size))

    def prefetch(self, ranges: Ranges, *, to_working_set: bool = False) -> None:
        """Bring what lies in page files back to memory, in large transfers."""
        flags = _core.NTMM_PREFETCH_TO_WORKING_SET if to_working_set else 0
        self._inform(_core.NTMM_VM_PREFETCH_INFORMATION, ranges, flags)
        _core.settle(self.system.machine)

    def set_page_priority(self, ranges: Ranges, priority: int) -> None:
        """The priority, 0 to 5, of pages that are in memory now."""
        self._inform(_core.NTMM_VM_PAGE_PRIORITY_INFORMATION, ranges, priority)

    def remove_from_working_set(self, ranges: Ranges, *, force: bool = True) -> None:
        """Trim pages: every one, or without ``force`` those that were idle."""
        flags = _core.NTMM_REMOVE_FORCE_TRIM if force else 0
        self._inform(_core.NTMM_VM_REMOVE_FROM_WORKING_SET_INFORMATION, ranges, flags)

    def _inform(self, information_class: int, ranges: Ranges, value: int) -> None:
        buffer = bytearray(4)
        memoryview(buffer).cast("I")[0] = index(value)
        entries = [(index(address), index(size)) for address, size in ranges]
        self._call(
            _core.ntmm_set_information_virtual_memory, information_class, entries, buffer
        )

    def set_call_targets(self, address: int, size: int, targets: Iterable[tuple[int, int]]) -> int:
        """Name call targets (offset, flags) of an executable range; they are only checked.

        Returns how many were looked at.
        """
        pairs = list(targets)
        processed: int = self._call(
            _core.set_call_targets,
            index(address),
            index(size),
            [index(offset) for offset, _ in pairs],
            [index(flags) for _, flags in pairs],
        )[1]
        return processed
