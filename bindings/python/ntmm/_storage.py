"""What sections are made of: files of the machine, and sections themselves."""

from __future__ import annotations

import os
from operator import index
from typing import Any, Optional, Union

from . import _core
from ._constants import FileAccess, FileFlag, Protect, Sec, SectionAccess
from ._errors import NtStatusError
from ._file import File
from ._records import Bytes
from ._section import Section


class Storage:
    """Make and open files and sections."""

    @property
    def machine(self) -> Any:
        """The machine, for ntmm._core."""
        raise NotImplementedError

    @property
    def raw(self) -> Any:
        """The memory manager, for ntmm._core."""
        raise NotImplementedError

    @property
    def is_closed(self) -> bool:
        """Whether the system was closed."""
        raise NotImplementedError

    # Files

    def create_file(
        self,
        contents: Union[Bytes, int] = b"",
        *,
        path: Union[str, "os.PathLike[str]", None] = None,
        device: Optional[int] = None,
        maximum: int = 0,
        flags: int = 0,
        latency: tuple[int, int] = (0, 0),
        valid: Optional[int] = None,
        name: Optional[str] = None,
        access: Optional[int] = None,
        has_sections: bool = True,
    ) -> File:
        """Make a file known, and open it.

        Its bytes are in memory, ``contents`` or so many zeros, and may grow to ``maximum``; or they
        are the host file at ``path``; or those of a ``device`` that the machine has: a disk, or a
        file that was closed. ``flags`` are FileFlag, ``latency`` the least and the most pumps of a
        transfer. ``valid`` bytes were ever written, all unless given. ``name`` is an NT path;
        ``access`` what the handle grants, all that the device allows unless given.

        A device stays with the machine until ``remove_device``.
        """
        if access is None:
            is_read_only = bool(flags & FileFlag.READ_ONLY)
            access = FileAccess.ALL & ~FileAccess.WRITE_DATA if is_read_only else FileAccess.ALL
        number, size = device, 0
        if number is None:
            is_number = isinstance(contents, int)
            _, number, size = _core.add_file(
                self.machine,
                None if path is None else os.fspath(path),
                b"" if is_number else contents,
                contents if is_number else 0,
                index(maximum),
                flags,
                *latency,
            )
        else:
            size = _core.ntmm_emulated_file_size(self.machine, number)
        config = (
            number,
            size,
            size if valid is None else index(valid),
            0 if has_sections else _core.NTMM_FILE_NO_SECTIONS,
            name,
        )
        try:
            _, handle = _core.ntmm_create_file(self.raw, config, index(access))
        except Exception:
            if device is None:
                _core.ntmm_emulated_remove_device(self.machine, number)
            raise
        return File(self, handle)

    def file(self, which: Union[File, int]) -> File:
        """A File of this system for a handle, such as that of a file of its parent."""
        return File(self, which.handle if isinstance(which, File) else index(which))

    def remove_device(self, device: int) -> None:
        """Take a device away from the machine: of a file that no handle, section or view uses."""
        _core.settle(self.machine)
        _core.ntmm_emulated_remove_device(self.machine, index(device))

    def write_mapped_pages(self, budget: int) -> int:
        """Write at most ``budget`` modified pages of files to them; returns how many were."""
        started = int(_core.ntmm_write_mapped_pages(self.raw, budget))
        _core.settle(self.machine)
        return started

    # Sections

    def create_section(
        self,
        size: int = 0,
        *,
        file: Optional[File] = None,
        attributes: int = Sec.COMMIT,
        protect: Optional[int] = None,
        access: int = SectionAccess.ALL,
        name: Optional[str] = None,
        open_if: bool = False,
    ) -> Section:
        """Make a section of bytes backed by page files, or of a file; size 0: the file's.

        Sec.IMAGE: of an executable image. ``protect`` is the most that views may have, READWRITE
        unless given, for an image READONLY. ``name``: others may open it by that, and with
        ``open_if`` so does this call when one has it; ``.status`` says so.
        """
        if file is not None and file.system is not self:
            raise ValueError("the file belongs to another system")
        if protect is None:
            protect = Protect.READONLY if attributes & Sec.IMAGE else Protect.READWRITE
        status, handle = _core.ntmm_create_section(
            self.raw,
            index(access),
            None if name is None and not open_if else (name, open_if),
            index(size),
            protect,
            attributes,
            0 if file is None else file.handle,
        )
        return Section(self, handle, protect=protect, status=status)

    def open_section(
        self,
        name: str,
        access: int = SectionAccess.ALL,
        *,
        protect: int = Protect.READWRITE,
    ) -> Section:
        """Open a section by its name; ``protect``: what views get unless they ask for another."""
        _, handle = _core.ntmm_open_section(self.raw, index(access), name)
        return Section(self, handle, protect=protect)

    def section(self, which: Union[Section, int]) -> Section:
        """A Section of this system for a handle, such as that of a section of its parent."""
        if isinstance(which, Section):
            return Section(self, which.handle, protect=which.protect)
        return Section(self, index(which))
