"""Files: what sections map, and what is read and written beside them."""

from __future__ import annotations

from operator import index
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Optional, Type

from . import _core
from ._constants import FileAccess
from ._errors import NtStatusError
from ._records import Bytes, FileInformation

if TYPE_CHECKING:
    from ._storage import Storage


class File:
    """A handle of a file; made by System.create_file, closed by ``close`` or its ``with``.

    Reads, writes and every view of the file's data go through the same pages. Sections and views
    keep the file when its handles are closed.

    >>> import ntmm
    >>> with ntmm.System() as system, system.create_file(b"abc", maximum=4096) as file:
    ...     file.write(2, b"defg"), file.read(0, 100)
    (4, b'abdefg')
    """

    def __init__(self, system: Storage, handle: int) -> None:
        self.system = system
        #: The handle; 0 once closed.
        self.handle = handle
        #: The number of the machine's device that has the bytes.
        self.device: int = self.information().device

    def __enter__(self) -> File:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ntmm.File 0x{self.handle:X}>"

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(self.system.raw, self.handle, *arguments)

    def close(self) -> None:
        """Close the handle. Once it, or its system, is closed: nothing.

        With the last use of the file its modified pages are written. What is raised then is the
        status of the write: the handle is closed, and the pages are kept.
        """
        handle, self.handle = self.handle, 0
        if handle and not self.system.is_closed:
            _core.ntmm_close_file(self.system.raw, handle)

    def open(self, access: int = FileAccess.ALL) -> File:
        """Another handle of this file, with other rights."""
        _, handle = self._call(_core.ntmm_open_file, index(access))
        return File(self.system, handle)

    def information(self) -> FileInformation:
        """Sizes, and who uses the file."""
        found = _core.ntmm_file_information()
        self._call(_core.ntmm_query_file, found)
        values = {name: getattr(found, name) for name in FileInformation._fields}
        values["is_write_failed"] = bool(found.is_write_failed)
        return FileInformation(**values)

    # Bytes

    def read(self, offset: int, size: int) -> bytes:
        """Read bytes, fewer at the end of the file; EndOfFile behind it.

        The exception of a read that failed says in ``moved`` how many bytes came before.
        """
        buffer, moved = bytearray(index(size)), _core.uint64_cell()
        self._move(_core.ntmm_read_file, offset, buffer, moved)
        return bytes(buffer[:moved.value()])

    def write(self, offset: int, data: Bytes) -> int:
        """Write bytes; the file grows when it must. Returns how many were written."""
        moved = _core.uint64_cell()
        self._move(_core.ntmm_write_file, offset, data, moved)
        return int(moved.value())

    def _move(self, function: Callable[..., Any], offset: int, data: Bytes, moved: Any) -> None:
        try:
            self._call(function, index(offset), data, moved.cast())
        except NtStatusError as error:
            error.moved = moved.value()
            raise

    def lock(
        self, offset: int, size: int, *, exclusive: bool = True, key: int = 0, wait: bool = False
    ) -> None:
        """Lock bytes against other handles and keys, as NtLockFile; LOCK_NOT_GRANTED if they are.

        Reads, writes and new sections look at locks; views do not. Locks go with the handle.
        """
        flags = 0 if wait else _core.NTMM_LOCK_FAIL_IMMEDIATELY
        flags |= _core.NTMM_LOCK_EXCLUSIVE if exclusive else 0
        self._call(_core.ntmm_lock_file, index(offset), index(size), index(key), flags)

    def unlock(self, offset: int, size: int, *, key: int = 0) -> None:
        """Unlock exactly the bytes of one lock."""
        self._call(_core.ntmm_unlock_file, index(offset), index(size), index(key))

    def set_size(self, size: int) -> None:
        """Set the end of the file. What is new reads as zeros; FileInUse when it cannot shrink."""
        self._call(_core.ntmm_set_file_size, index(size))

    def flush(self, offset: int = 0, size: int = 0) -> None:
        """Write the modified pages of a range, and make them durable; size 0: to the end."""
        self._call(_core.ntmm_flush_file, index(offset), index(size))

    def purge(self) -> None:
        """Drop the pages in memory, modified ones unwritten; FileInUse when a view maps them."""
        self._call(_core.ntmm_purge_file)

    def can_delete(self) -> bool:
        """Whether the file may be deleted now: not while an image of it is in use."""
        try:
            self._call(_core.ntmm_can_delete_file)
        except NtStatusError as error:
            if error.status != _core.NTMM_STATUS_CANNOT_DELETE:
                raise
            return False
        return True
