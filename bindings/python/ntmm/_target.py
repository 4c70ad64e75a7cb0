"""What every call on a process needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from ._system import System


class Target:
    """A handle of a process of a system."""

    system: System
    #: The handle; 0 once the process has ended.
    handle: int

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """A call on this process; raises Closed when the system was closed."""
        return function(self.system.raw, self.handle, *arguments)
