"""The stack of a thread."""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING

from . import _core

if TYPE_CHECKING:
    from ._process import Process


class Stack:
    """A stack with reserve, commit and guard; made by Process.create_stack.

    Accesses that name it (``process.write(address, data, stack=stack)``) are those of its thread:
    it grows when they hit the guard.
    """

    def __init__(self, process: Process, raw: _core.ntmm_thread_stack) -> None:
        self.process = process
        #: The struct, for ntmm._core.
        self.raw = raw

    def __repr__(self) -> str:
        return f"<ntmm.Stack 0x{self.limit:X}..0x{self.base:X}>"

    @property
    def base(self) -> int:
        """The byte after the highest."""
        return int(self.raw.stack_base)

    @property
    def limit(self) -> int:
        """The lowest accessible byte; it moves down as the stack grows."""
        return int(self.raw.stack_limit)

    @property
    def allocation_base(self) -> int:
        """The lowest byte that is reserved."""
        return int(self.raw.deallocation_stack)

    @property
    def guaranteed_bytes(self) -> int:
        """Kept for handling an overflow."""
        return int(self.raw.guaranteed_bytes)

    def follow_guard(self, base: int, size: int, protect: int) -> None:
        """Follow a change of protection that the thread made within its own stack."""
        _core.ntmm_follow_stack_guard(self.raw, index(base), index(size), protect)

    def free(self) -> None:
        """Release the whole region."""
        _core.ntmm_free_user_stack(self.process.system.raw, self.process.handle, self.raw)
