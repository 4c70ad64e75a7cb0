"""A process: its address space and its accesses."""

from __future__ import annotations

from operator import index
from types import TracebackType
from typing import TYPE_CHECKING, Optional, Type, Union

from . import _core
from ._constants import Access, Privilege, Protect
from ._contents import Contents
from ._lent import Lent
from ._query import Queries
from ._records import (
    QUOTA_LIMITS,
    VM_COUNTERS,
    Block,
    ProcessInformation,
    QuotaLimits,
    VmCounters,
    quota_limits,
)
from ._stack import Stack
from ._view import Views
from ._virtual import Virtual

if TYPE_CHECKING:
    from ._system import System


class Process(Virtual, Views, Queries, Contents):
    """A private address space. Made by System.create_process; ends with ``end`` or its ``with``.

    >>> import ntmm
    >>> with ntmm.System() as system, system.create_process() as process:
    ...     block = process.allocate(10_000)
    ...     process.write(block, b"hello")
    ...     process.read(block, 5), block.size
    (b'hello', 12288)

    It is a handle with rights: ``open`` makes another one with fewer, of the same process. The
    ``with`` of such a handle ends nothing.
    """

    def __init__(self, system: System, handle: int, *, is_owner: bool = True) -> None:
        self.system = system
        self.handle = handle
        self._is_owner = is_owner

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        if self._is_owner:
            self.end()

    def __repr__(self) -> str:
        return f"<ntmm.Process 0x{self.handle:X}>"

    def end(self) -> None:
        """End the process and free all it has. Once it, or its system, has ended: nothing."""
        if self.handle and not self.system.is_closed:
            _core.ntmm_end_process(self.system.raw, self.handle)
        self.handle = 0

    def clone(
        self,
        *,
        commit_limit_pages: int = 0,
        working_set_minimum_pages: int = 0,
        working_set_maximum_pages: int = 0,
    ) -> Process:
        """A process with a copy of this one's address space, as NT's fork makes; 0: as this one.

        >>> import ntmm
        >>> with ntmm.System() as system, system.create_process() as parent:
        ...     block = parent.allocate(4096)
        ...     parent.write(block, b"one")
        ...     with parent.clone() as child:
        ...         child.write(block, b"two")
        ...         parent.read(block, 3), child.read(block, 3)
        (b'one', b'two')
        """
        config = _core.ntmm_process_config()
        config.size = _core.sizeof_process_config()
        config.version = _core.NTMM_PROCESS_CONFIG_VERSION
        config.commit_limit_pages = commit_limit_pages
        config.working_set_minimum_pages = working_set_minimum_pages
        config.working_set_maximum_pages = working_set_maximum_pages
        _, handle = _core.ntmm_clone_process(self.system.raw, self.handle, config)
        return Process(self.system, handle)

    # Rights

    def open(
        self,
        access: int = Access.MAXIMUM_ALLOWED,
        *,
        caller: Optional[Process] = None,
        privileges: Optional[int] = None,
    ) -> Process:
        """Another handle of this process, with the rights that its protection leaves to a caller.

        The caller's protection counts, and its privileges (none unless given) are carried. Without
        a caller it is kernel mode, which is never denied anything.
        """
        asks = None
        if caller is not None or privileges is not None:
            asks = _core.ntmm_caller()
            asks.size = _core.sizeof_caller()
            asks.version = _core.NTMM_CALLER_VERSION
            asks.process = caller.handle if caller is not None else 0
            asks.privileges = privileges or 0
        _, handle = _core.ntmm_open_process(self.system.raw, asks, self.handle, index(access))
        return Process(self.system, handle, is_owner=False)

    @property
    def access(self) -> Access:
        """The rights that the handle carries."""
        return Access(_core.ntmm_granted_access(self.handle))

    @property
    def privileges(self) -> Privilege:
        """The privileges that the handle carries."""
        return Privilege(_core.ntmm_held_privileges(self.handle))

    # Accounting and limits

    def information(self) -> ProcessInformation:
        """Sizes, commit, working set and page tables."""
        found = self._query()
        return ProcessInformation(*(getattr(found, name) for name in ProcessInformation._fields))

    def counters(self) -> dict[str, int]:
        """The counters that the process owns, by name."""
        return self.system.name_counters(self._query().counters, process_only=True)

    def _query(self) -> _core.ntmm_process_information:
        found = _core.ntmm_process_information()
        self._call(_core.ntmm_query_process, found)
        return found

    def vm_counters(self) -> VmCounters:
        """Counters as NtQueryInformationProcess has them."""
        buffer = bytearray(VM_COUNTERS.size)
        self._call(_core.ntmm_query_information_process, _core.NTMM_PROCESS_VM_COUNTERS, buffer)
        return VmCounters(*VM_COUNTERS.unpack(buffer))

    def quota_limits(self) -> QuotaLimits:
        """Limits of the working set, and those that are not kept."""
        buffer = bytearray(QUOTA_LIMITS.size)
        self._call(_core.ntmm_query_quota_limits, buffer)
        return quota_limits(buffer)

    def set_working_set_limits(
        self,
        minimum: int,
        maximum: int,
        *,
        hard_minimum: Optional[bool] = None,
        hard_maximum: Optional[bool] = None,
    ) -> bool:
        """Set the limits of the working set, in bytes; None: hard or soft as it is.

        Returns whether they are just what was given.
        """
        flags = 0
        if hard_minimum is not None:
            flags |= (
                _core.NTMM_QUOTA_LIMITS_HARDWS_MIN_ENABLE
                if hard_minimum
                else _core.NTMM_QUOTA_LIMITS_HARDWS_MIN_DISABLE
            )
        if hard_maximum is not None:
            flags |= (
                _core.NTMM_QUOTA_LIMITS_HARDWS_MAX_ENABLE
                if hard_maximum
                else _core.NTMM_QUOTA_LIMITS_HARDWS_MAX_DISABLE
            )
        status = self._call(
            _core.ntmm_set_working_set_limits, index(minimum), index(maximum), flags
        )
        return bool(status == _core.NTMM_STATUS_SUCCESS)

    def empty_working_set(self) -> None:
        """Trim every page that is not locked."""
        self._call(_core.ntmm_empty_working_set)

    # Stacks

    def create_stack(
        self,
        *,
        reserve: int = 0,
        commit: int = 0,
        guaranteed: int = 0,
        zero_bits: int = 0,
        reserve_alignment: int = _core.NTMM_ALLOCATION_GRANULARITY,
        commit_alignment: int = _core.NTMM_PAGE_SIZE,
    ) -> Stack:
        """The stack of a thread, in bytes; 0: the default."""
        request = _core.ntmm_stack_request()
        request.reserve = reserve
        request.commit = commit
        request.guaranteed_bytes = guaranteed
        request.zero_bits = zero_bits
        request.reserve_alignment = reserve_alignment
        request.commit_alignment = commit_alignment
        made = _core.ntmm_thread_stack()
        self._call(_core.ntmm_create_user_stack, request, made)
        return Stack(self, made)

    def reserve_stack(self, size: int, *, zero_bits: int = 0) -> int:
        """Reserve the region of a stack and nothing more; ``release`` frees it."""
        _, base = self._call(_core.ntmm_allocate_thread_stack, index(size), zero_bits, 0)
        return int(base)

    # The embedder's frames

    def map_borrowed(
        self,
        frames: Union[Lent, int],
        size: Optional[int] = None,
        *,
        base: int = 0,
        protect: int = Protect.READWRITE,
    ) -> Block:
        """Show frames that are not the system's: what was lent, or so many bytes from a frame."""
        first = frames.first_frame if isinstance(frames, Lent) else index(frames)
        if size is None:
            if not isinstance(frames, Lent):
                raise TypeError("the size of frames that are given by number is missing")
            size = frames.size
        status, start, rounded = self._call(
            _core.ntmm_map_borrowed, index(base), index(size), protect, first
        )
        return Block(start, rounded, status)

    def unmap_borrowed(self, address: int) -> None:
        """Unmap what ``map_borrowed`` mapped, whole."""
        self._call(_core.ntmm_unmap_borrowed, index(address))

    def map_shared_user_data(self, frame: Union[Lent, int]) -> None:
        """Show a frame of the embedder's as the page of KUSER_SHARED_DATA."""
        first = frame.first_frame if isinstance(frame, Lent) else index(frame)
        self._call(_core.ntmm_map_shared_user_data, first)
