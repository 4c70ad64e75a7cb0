"""Sections: memory that processes share, files mapped as data and as images."""

from __future__ import annotations

from operator import index
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Optional, Type

from . import _core
from ._constants import Protect, Sec
from ._records import (
    SECTION_BASIC,
    SECTION_IMAGE,
    SectionImageInformation,
    SectionInformation,
    Subsection,
    section_image_information,
    subsections,
)

if TYPE_CHECKING:
    from ._storage import Storage

_SUBSECTIONS = 32


class Section:
    """A handle of a section; made by System.create_section, closed by ``close`` or its ``with``.

    Process.map_view shows it in a process; views stay when handles are closed.

    >>> import ntmm
    >>> with ntmm.System() as system, system.create_section(0x3452) as section:
    ...     one, other = system.create_process(), system.create_process()
    ...     one.write(one.map_view(section), b"hello")
    ...     other.read(other.map_view(section), 5), section.information().maximum_size
    (b'hello', 16384)
    """

    def __init__(
        self,
        system: Storage,
        handle: int,
        *,
        protect: int = Protect.READWRITE,
        status: int = 0,
    ) -> None:
        self.system = system
        #: The handle; 0 once closed.
        self.handle = handle
        #: What a view gets unless it asks for something else.
        self.protect = Protect(protect)
        #: The success that the call returned: 0, or OBJECT_NAME_EXISTS.
        self.status = status

    def __enter__(self) -> Section:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ntmm.Section 0x{self.handle:X}>"

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(self.system.raw, self.handle, *arguments)

    def close(self) -> None:
        """Close the handle. Once it, or its system, is closed: nothing."""
        handle, self.handle = self.handle, 0
        if handle and not self.system.is_closed:
            _core.ntmm_close_section(self.system.raw, handle)

    def duplicate(self, access: int) -> Section:
        """Another handle, with some of the rights of this one: SectionAccess flags."""
        _, handle = self._call(_core.ntmm_duplicate_section, index(access))
        return Section(self.system, handle, protect=self.protect)

    def extend(self, size: int) -> int:
        """Make a section of a file's data longer, and the file with it; returns its size now."""
        _, extended = self._call(_core.ntmm_extend_section, index(size))
        return int(extended)

    # What it is

    def query_class(self, information_class: int, buffer: bytearray) -> int:
        """NtQuerySection with a class of NT's number, into a buffer; returns bytes written."""
        written: int = self._call(_core.ntmm_query_section, index(information_class), buffer)[1]
        return written

    def information(self) -> SectionInformation:
        """Attributes, and the size in bytes."""
        buffer = bytearray(SECTION_BASIC.size)
        self.query_class(_core.NTMM_SECTION_BASIC_INFORMATION, buffer)
        base, attributes, size = SECTION_BASIC.unpack(buffer)
        return SectionInformation(base, Sec(attributes), size)

    def image_information(self) -> SectionImageInformation:
        """What the headers of the image say; InvalidImage when it is none."""
        buffer = bytearray(SECTION_IMAGE.size)
        self.query_class(_core.NTMM_SECTION_IMAGE_INFORMATION, buffer)
        return section_image_information(buffer)

    def subsections(self) -> list[Subsection]:
        """What the section is made of, by rising page and without a hole."""
        room = _SUBSECTIONS
        while True:
            _, data, count = self._call(_core.ntmm_query_subsections, room)
            if count <= room:
                return list(subsections(data))
            room = count
