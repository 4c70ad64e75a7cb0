"""Physical memory that is not RAM: buffers of Python's, and devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional, Union

from . import _core

if TYPE_CHECKING:
    from ._system import System


class Device:
    """The C side of a device's functions; it ends with its last owner."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw

    def __del__(self) -> None:
        if _core is not None and _core.destroy_device is not None:
            _core.destroy_device(self.raw)


#: What a machine must keep while its frames are lent.
Held = Union[memoryview, Device]


class Lent:
    """Frames beside RAM; made by System.lend or System.map_device.

    Process.map_borrowed shows them at an address. The machine keeps a buffer alive until
    ``take_back`` or its end; what still maps the frames afterwards is a bus error.
    """

    def __init__(self, system: System, first_frame: int, size: int, buffer: Optional[Any]) -> None:
        self.system = system
        self.first_frame = first_frame
        #: Bytes.
        self.size = size
        #: The buffer that was lent; None for a device, and once it was taken back.
        self.buffer = buffer

    def __repr__(self) -> str:
        return f"<ntmm.Lent frame 0x{self.first_frame:X}, size=0x{self.size:X}>"

    def take_back(self) -> None:
        """Take the frames away from the machine again."""
        self.system.take_back(self.first_frame)
        self.buffer = None
