"""Views: sections as a process sees them."""

from __future__ import annotations

from operator import index
from types import TracebackType
from typing import TYPE_CHECKING, Any, Optional, Sequence, Type

from . import _core
from ._constants import Inherit, Mem
from ._errors import NtStatusError
from ._records import Block
from ._target import Target

if TYPE_CHECKING:
    from ._section import Section


class View(Block):
    """The base address of a view, with its ``size``; made by Process.map_view.

    It goes with ``unmap``, its ``with``, or its process. ``offset`` is its first byte in the
    section; ``status`` the success that the call returned: 0, IMAGE_NOT_AT_BASE or
    IMAGE_MACHINE_TYPE_MISMATCH.

    >>> import ntmm
    >>> with ntmm.System() as system, system.create_process() as process:
    ...     section = system.create_section(4096)
    ...     with process.map_view(section) as view:
    ...         process.write(view + 10, b"x")
    ...     process.query(view).state
    <Mem.FREE: 65536>
    """

    process: Views
    offset: int
    #: Whether ``unmap`` was not called.
    is_mapped: bool

    @classmethod
    def of(cls, process: Views, base: int, size: int, status: int, offset: int) -> View:
        """The view of a process at a base."""
        view = cls(base, size, status)
        view.process = process
        view.offset = offset
        view.is_mapped = True
        return view

    def __enter__(self) -> View:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.unmap()

    def __repr__(self) -> str:
        return f"View(0x{int(self):X}, size=0x{self.size:X})"

    def unmap(self) -> None:
        """Unmap it. Once that is done, or its process or system has ended: nothing."""
        if self.is_mapped and self.process.handle and not self.process.system.is_closed:
            self.process.unmap_view(self)
        self.is_mapped = False


class Views(Target):
    """Map and unmap views of sections."""

    def map_view(
        self,
        section: Section,
        size: int = 0,
        *,
        base: int = 0,
        offset: int = 0,
        protect: Optional[int] = None,
        type: int = 0,
        inherit: int = Inherit.SHARE,
        zero_bits: int = 0,
        commit: int = 0,
        lowest: int = 0,
        highest: int = 0,
        machine: Optional[int] = None,
    ) -> View:
        """Map a view of a section; size 0: to its end, base 0: where there is room.

        As NtMapViewOfSection, with ``inherit``, ``zero_bits`` and ``commit``, the bytes of a
        Sec.RESERVE section that are committed at once; or, with any of the arguments behind them or
        with Mem.REPLACE_PLACEHOLDER, as NtMapViewOfSectionEx: ``lowest`` start and ``highest`` last
        byte, the ``machine`` that an image must be for. ``type`` has Mem flags and Sec.NO_CHANGE;
        ``protect`` is that of the section unless given.
        """
        wanted = section.protect if protect is None else protect
        parameters: list[tuple[int, Any]] = []
        if lowest or highest:
            requirements = (index(lowest), index(highest), 0)
            parameters.append((_core.NTMM_MEM_PARAMETER_ADDRESS_REQUIREMENTS, requirements))
        if machine is not None:
            parameters.append((_core.NTMM_MEM_PARAMETER_IMAGE_MACHINE, index(machine)))
        if parameters or type & Mem.REPLACE_PLACEHOLDER:
            if zero_bits or commit or inherit != Inherit.SHARE:
                raise ValueError(
                    "zero_bits, commit and inherit do not go with extended parameters "
                    "or placeholders"
                )
            return self.map_view_extended(
                section, size, type, wanted, parameters, base=base, offset=offset
            )
        self._is_of_one_system(section)
        status, start, at, rounded = _core.ntmm_map_view_of_section(
            self.system.raw,
            section.handle,
            self.handle,
            index(base),
            zero_bits,
            index(commit),
            index(offset),
            index(size),
            inherit,
            type,
            wanted,
        )
        return View.of(self, start, rounded, status, at)

    def map_view_extended(
        self,
        section: Section,
        size: int,
        type: int,
        protect: int,
        parameters: Sequence[tuple[int, Any]],
        *,
        base: int = 0,
        offset: int = 0,
    ) -> View:
        """NtMapViewOfSectionEx with parameters (type, value) as they are.

        The value of address requirements is a tuple (lowest, highest, alignment).
        """
        self._is_of_one_system(section)
        status, start, at, rounded = _core.ntmm_map_view_of_section_ex(
            self.system.raw,
            section.handle,
            self.handle,
            index(base),
            index(offset),
            index(size),
            type,
            protect,
            parameters,
        )
        return View.of(self, start, rounded, status, at)

    def _is_of_one_system(self, section: Section) -> None:
        if section.system is not self.system:
            raise ValueError("the section belongs to another system")

    def unmap_view(self, address: int, *, flags: int = 0) -> None:
        """Unmap the view that an address is in.

        Flags: Mem.PRESERVE_PLACEHOLDER leaves the placeholder that the view replaced;
        Mem.UNMAP_WITH_TRANSIENT_BOOST keeps its pages in memory for longer.
        """
        self._call(_core.ntmm_unmap_view_of_section, index(address), flags)

    def is_same_file(self, image: int, other: int) -> bool:
        """Whether addresses, one in a view of an image, are in views of the same file."""
        try:
            self._call(_core.ntmm_are_mapped_files_the_same, index(image), index(other))
        except NtStatusError as error:
            if error.status != _core.NTMM_STATUS_NOT_SAME_DEVICE:
                raise
            return False
        return True
