"""A process's address space: what is reserved and committed, how, and what was written."""

from __future__ import annotations

from operator import index
from typing import Any, Iterable, Optional, Sequence

from . import _core
from ._constants import Mem, Protect
from ._errors import FaultError, NtStatusError
from ._records import Block
from ._target import Target

_PLACEHOLDERS = Mem.RESERVE_PLACEHOLDER | Mem.REPLACE_PLACEHOLDER


def is_intact(call: Any, *arguments: Any) -> bool:
    """Whether a call that gives contents back found them all: not STATUS_UNSUCCESSFUL."""
    try:
        call(*arguments)
    except NtStatusError as error:
        if error.status != _core.NTMM_STATUS_UNSUCCESSFUL or isinstance(error, FaultError):
            raise
        return False
    return True


class Virtual(Target):
    """Allocate, free, protect; placeholders, write watch, user physical pages."""

    def allocate(
        self,
        size: int,
        *,
        base: int = 0,
        type: int = Mem.RESERVE | Mem.COMMIT,
        protect: int = Protect.READWRITE,
        zero_bits: int = 0,
        lowest: int = 0,
        highest: int = 0,
        alignment: int = 0,
        node: Optional[int] = None,
        is_node_mandatory: bool = False,
        attributes: int = 0,
        partition: Optional[int] = None,
    ) -> Block:
        """Reserve, commit or both; base 0: the lowest free address.

        As NtAllocateVirtualMemory, with ``zero_bits``; or, with any of the arguments behind it or
        with placeholders, as NtAllocateVirtualMemoryEx: ``lowest`` start, ``highest`` last byte and
        ``alignment`` of the range, NUMA ``node``, Attribute flags, a ``partition``'s handle.

        Returns the base address as NT rounded it, with the size as NT rounded it in ``.size``.
        """
        parameters: list[tuple[int, Any]] = []
        if lowest or highest or alignment:
            requirements = (index(lowest), index(highest), index(alignment))
            parameters.append((_core.NTMM_MEM_PARAMETER_ADDRESS_REQUIREMENTS, requirements))
        if node is not None:
            mandatory = _core.NTMM_NUMA_NODE_MANDATORY if is_node_mandatory else 0
            parameters.append((_core.NTMM_MEM_PARAMETER_NUMA_NODE, index(node) | mandatory))
        if partition is not None:
            parameters.append((_core.NTMM_MEM_PARAMETER_PARTITION_HANDLE, index(partition)))
        if attributes:
            parameters.append((_core.NTMM_MEM_PARAMETER_ATTRIBUTE_FLAGS, index(attributes)))
        is_extended = bool(parameters) or bool(type & _PLACEHOLDERS)
        if is_extended and zero_bits:
            raise ValueError("zero_bits does not go with extended parameters or placeholders")
        if is_extended:
            return self.allocate_extended(size, type, protect, parameters, base=base)
        status, start, rounded = self._call(
            _core.ntmm_allocate_virtual_memory, index(base), zero_bits, index(size), type, protect
        )
        return Block(start, rounded, status)

    def allocate_extended(
        self,
        size: int,
        type: int,
        protect: int,
        parameters: Sequence[tuple[int, Any]],
        *,
        base: int = 0,
    ) -> Block:
        """NtAllocateVirtualMemoryEx with parameters (type, value) as they are.

        The value of address requirements is a tuple (lowest, highest, alignment).
        """
        status, start, rounded = self._call(
            _core.ntmm_allocate_virtual_memory_ex,
            index(base),
            index(size),
            type,
            protect,
            parameters,
        )
        return Block(start, rounded, status)

    def reserve(self, size: int, **options: Any) -> Block:
        """Reserve only; options as of ``allocate``."""
        return self.allocate(size, type=Mem.RESERVE, **options)

    def commit(self, base: int, size: int, protect: int = Protect.READWRITE) -> Block:
        """Commit pages of a region. Those that are committed get the protection."""
        return self.allocate(size, base=base, type=Mem.COMMIT, protect=protect)

    def free(self, base: int, size: int = 0, *, type: int = Mem.RELEASE) -> Block:
        """Release or decommit, as NtFreeVirtualMemory; size 0: the region that begins at base."""
        status, start, freed = self._call(
            _core.ntmm_free_virtual_memory, index(base), index(size), type
        )
        return Block(start, freed, status)

    def release(self, base: int, size: int = 0) -> Block:
        """Free pages and their addresses; a part of a region leaves the others."""
        return self.free(base, size)

    def decommit(self, base: int, size: int = 0) -> Block:
        """Free pages and keep their addresses reserved."""
        return self.free(base, size, type=Mem.DECOMMIT)

    def protect(self, base: int, size: int, protect: int) -> Protect:
        """Change the protection of committed pages; returns the first page's old one."""
        old = self._call(
            _core.ntmm_protect_virtual_memory, index(base), index(size), protect
        )[-1]
        return Protect(old)

    def reset(self, base: int, size: int) -> Block:
        """Say that the contents of the whole pages of a range do not matter any more."""
        return self.allocate(size, base=base, type=Mem.RESET)

    def undo_reset(self, base: int, size: int) -> bool:
        """Say that contents matter again; returns whether they are all still there."""

        def undo() -> Block:
            return self.allocate(size, base=base, type=Mem.RESET_UNDO)

        return is_intact(undo)

    # Placeholders

    def create_placeholder(self, size: int, *, base: int = 0, **options: Any) -> Block:
        """Hold addresses for something else; options as of ``allocate``."""
        return self.allocate(
            size,
            base=base,
            type=Mem.RESERVE | Mem.RESERVE_PLACEHOLDER,
            protect=Protect.NOACCESS,
            **options,
        )

    def split_placeholder(self, base: int, size: int) -> Block:
        """Make a part of a placeholder one of its own."""
        return self.free(base, size, type=Mem.RELEASE | Mem.PRESERVE_PLACEHOLDER)

    def replace_placeholder(
        self, base: int, size: int, protect: int = Protect.READWRITE, *, type: int = Mem.COMMIT
    ) -> Block:
        """Put private memory in the place of exactly one placeholder."""
        return self.allocate(
            size,
            base=base,
            type=Mem.RESERVE | Mem.REPLACE_PLACEHOLDER | type,
            protect=protect,
        )

    def revert_to_placeholder(self, base: int, size: int) -> Block:
        """Make what replaced a placeholder one again; its contents are lost."""
        return self.free(base, size, type=Mem.RELEASE | Mem.PRESERVE_PLACEHOLDER)

    def coalesce_placeholders(self, base: int, size: int) -> Block:
        """Join the placeholders that tile a range."""
        return self.free(base, size, type=Mem.RELEASE | Mem.COALESCE_PLACEHOLDERS)

    # Secured memory

    def secure(self, base: int, size: int, protect: int = Protect.READWRITE) -> int:
        """Promise that pages stay accessible, READONLY or READWRITE; returns what ends it.

        Until then whoever would take the access away gets INVALID_PAGE_PROTECTION.
        """
        _, name = self._call(
            _core.ntmm_secure_virtual_memory, index(base), index(size), index(protect)
        )
        return int(name)

    def unsecure(self, name: int) -> None:
        """End one promise of ``secure``."""
        self._call(_core.ntmm_unsecure_virtual_memory, index(name))

    # Write watch

    def get_write_watch(
        self, base: int, size: int, *, reset: bool = False, limit: int = 0
    ) -> list[int]:
        """Addresses of pages of a watched region that were written, at most ``limit`` of them.

        With ``reset`` those that are returned count as not written any more. Without a limit all
        are returned.
        """
        flags = _core.NTMM_WRITE_WATCH_FLAG_RESET if reset else 0
        room = limit if limit else index(size) // _core.NTMM_PAGE_SIZE + 2
        found: list[int] = self._call(
            _core.ntmm_get_write_watch, flags, index(base), index(size), room
        )[1]
        return found

    def get_write_watch_bitmap(self, base: int, size: int, *, reset: bool = False) -> int:
        """The same as an integer: bit i is page i of the range."""
        flags = _core.NTMM_WRITE_WATCH_FLAG_RESET if reset else 0
        words = index(size) // (_core.NTMM_PAGE_SIZE * 64) + 2
        found = self._call(
            _core.ntmm_get_write_watch_bitmap, flags, index(base), index(size), words
        )[1]
        return sum(word << 64 * number for number, word in enumerate(found))

    def reset_write_watch(self, base: int, size: int) -> None:
        """Forget what was written."""
        self._call(_core.ntmm_reset_write_watch, index(base), index(size))

    # User physical pages

    def allocate_physical_pages(self, count: int) -> list[int]:
        """Get frames, perhaps fewer than wanted; returns their numbers."""
        found: list[int] = self._call(_core.ntmm_allocate_user_physical_pages, index(count))[1]
        return found

    def free_physical_pages(self, frames: Iterable[int]) -> int:
        """Free frames; returns how many were.

        The exception of a call that stopped half-way has that number in ``freed``.
        """
        freed = _core.uint64_cell()
        try:
            self._call(_core.free_user_physical_pages, list(frames), freed.cast())
        except NtStatusError as error:
            error.freed = freed.value()
            raise
        return int(freed.value())

    def map_physical_pages(self, base: int, frames: Iterable[int]) -> None:
        """Show frames at pages in a row of a window, which was reserved with Mem.PHYSICAL."""
        self._call(_core.ntmm_map_user_physical_pages, index(base), list(frames))

    def unmap_physical_pages(self, base: int, count: int) -> None:
        """Show nothing at so many pages of a window."""
        self._call(_core.ntmm_map_user_physical_pages, index(base), index(count))

    def scatter_physical_pages(
        self, addresses: Iterable[int], frames: Optional[Iterable[int]]
    ) -> None:
        """Show frames at any pages of any windows; None: show nothing there."""
        self._call(
            _core.map_user_physical_pages_scatter,
            list(addresses),
            None if frames is None else list(frames),
        )
