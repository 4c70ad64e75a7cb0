"""Statuses as exceptions.

Every call that fails raises NtStatusError or one of its subclasses, with the NTSTATUS in ``status``
and its name in ``name``. Those that a Python programmer knows under another name are that too: a
commit limit is a MemoryError, an invalid parameter a ValueError.
"""

from __future__ import annotations

from typing import Optional, Type

from . import _core

_PREFIX = "NTMM_STATUS_"

#: Names of the statuses, by value.
STATUS_NAMES = {
    getattr(_core, constant): constant[len(_PREFIX):]
    for constant in dir(_core)
    if constant.startswith(_PREFIX)
}


class Closed(ValueError):
    """The system was closed: no call can be made on it."""


class NtStatusError(Exception):
    """A call was refused or an access raised; ``status`` is the NTSTATUS, ``name`` its name."""

    #: Frames that were freed before free_physical_pages stopped.
    freed: int = 0
    #: Bytes of a file that were read or written before the call stopped.
    moved: int = 0

    def __init__(self, status: int, detail: str = "") -> None:
        self.status = status
        self.name = STATUS_NAMES.get(status, "unknown status")
        super().__init__(f"STATUS_{self.name} (0x{status:08X}){': ' if detail else ''}{detail}")


class FaultError(NtStatusError):
    """An exception that an access raises in the program.

    ``address`` is the faulting address and ``access`` "read", "write" or "execute"; both are None
    when a service returned the status and no access was made.
    """

    def __init__(
        self, status: int, address: Optional[int] = None, access: Optional[str] = None
    ) -> None:
        detail = "" if address is None else f"{access} of 0x{address:X}"
        super().__init__(status, detail)
        self.address = address
        self.access = access


class AccessViolation(FaultError):
    """The page is not there, or its protection forbids the access."""


class GuardPage(FaultError):
    """The first access to a guard page. The guard is gone: a second access succeeds."""


class StackOverflow(FaultError):
    """The stack cannot grow."""


class InPageError(FaultError):
    """The page, or a page table, could not be read; ``io_status`` is why, if known."""

    io_status: Optional[int] = None


class InvalidParameter(NtStatusError, ValueError):
    """An argument is out of its range; ``parameter`` counts from 1, 0 when NT does not say."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        first = _core.NTMM_STATUS_INVALID_PARAMETER_1
        self.parameter = status - first + 1 if first <= status < first + 12 else 0


class InvalidPageProtection(NtStatusError, ValueError):
    """No such protection, or not for this kind of memory."""


class InvalidHandle(NtStatusError):
    """The process has ended, or the handle never named one."""


class ProcessIsTerminating(NtStatusError):
    """The process is ending."""


class AccessDenied(NtStatusError, PermissionError):
    """The handle lacks a right, or the target's protection or a job forbids it."""


class PrivilegeNotHeld(NtStatusError, PermissionError):
    """The handle's holder lacks a privilege."""


class ConflictingAddresses(NtStatusError):
    """The range meets another region, or is not inside one."""


class MemoryNotAllocated(NtStatusError):
    """The address is in no region."""


class UnableToFree(NtStatusError):
    """The range leaves its region, is not its beginning, or cannot be freed in part."""


class NotMappedView(NtStatusError):
    """No view, or nothing borrowed, is at the address."""


class InvalidFile(NtStatusError, ValueError):
    """No section can be made of the file: it has none, or is empty."""


class InvalidImage(NtStatusError, ValueError):
    """The file is no image, or none for this machine; ``name`` says what it is."""


class SectionProtectionError(NtStatusError, PermissionError):
    """The section does not allow the view's protection."""


class InvalidViewSize(NtStatusError, ValueError):
    """The view reaches past the section's end."""


class MappedAlignment(NtStatusError, ValueError):
    """The base or the offset of a view is not a multiple of 64 KiB."""


class SectionTooBig(NtStatusError, ValueError):
    """The section would be larger than anything, its image, or a file that cannot be written."""


class SectionNotExtended(NtStatusError):
    """The section is no file's data, or cannot be written."""


class NameNotFound(NtStatusError, FileNotFoundError):
    """No section has the name, or no host file."""


class NameCollision(NtStatusError, FileExistsError):
    """A section has the name."""


class FileInUse(NtStatusError):
    """A section or view of the file is in the way, or its device is a file already."""


class EndOfFile(NtStatusError, EOFError):
    """The file ends before the offset."""


class DiskFull(NtStatusError, OSError):
    """The file cannot grow."""


class NotLocked(NtStatusError):
    """A page of the range lacks a lock."""


class WorkingSetQuota(NtStatusError):
    """More pages would be locked than the minimum of the working set allows."""


class BadWorkingSetLimit(NtStatusError, ValueError):
    """The minimum is above the maximum, or a limit is too small."""


class PartialCopy(NtStatusError):
    """A copy ended early: ``copied`` bytes were, and for a read ``data`` has them."""

    copied: int = 0
    data: bytes = b""


class NotCommitted(NtStatusError):
    """A page of the range is not committed."""


class NotSupported(NtStatusError, NotImplementedError):
    """NT can do it; this version cannot."""


class CommitmentLimit(NtStatusError, MemoryError):
    """More than the system, or the process, may promise."""


class NoMemory(NtStatusError, MemoryError):
    """No gap in the address space, or no frame."""


_CLASSES: dict[int, Type[NtStatusError]] = {
    _core.NTMM_STATUS_ACCESS_VIOLATION: AccessViolation,
    _core.NTMM_STATUS_GUARD_PAGE_VIOLATION: GuardPage,
    _core.NTMM_STATUS_STACK_OVERFLOW: StackOverflow,
    _core.NTMM_STATUS_IN_PAGE_ERROR: InPageError,
    _core.NTMM_STATUS_INVALID_PARAMETER: InvalidParameter,
    _core.NTMM_STATUS_INVALID_PAGE_PROTECTION: InvalidPageProtection,
    _core.NTMM_STATUS_INVALID_HANDLE: InvalidHandle,
    _core.NTMM_STATUS_CONFLICTING_ADDRESSES: ConflictingAddresses,
    _core.NTMM_STATUS_MEMORY_NOT_ALLOCATED: MemoryNotAllocated,
    _core.NTMM_STATUS_NOT_COMMITTED: NotCommitted,
    _core.NTMM_STATUS_PROCESS_IS_TERMINATING: ProcessIsTerminating,
    _core.NTMM_STATUS_ACCESS_DENIED: AccessDenied,
    _core.NTMM_STATUS_PRIVILEGE_NOT_HELD: PrivilegeNotHeld,
    _core.NTMM_STATUS_UNABLE_TO_FREE_VM: UnableToFree,
    _core.NTMM_STATUS_FREE_VM_NOT_AT_BASE: UnableToFree,
    _core.NTMM_STATUS_UNABLE_TO_DECOMMIT_VM: UnableToFree,
    _core.NTMM_STATUS_UNABLE_TO_DELETE_SECTION: UnableToFree,
    _core.NTMM_STATUS_NOT_MAPPED_VIEW: NotMappedView,
    _core.NTMM_STATUS_INVALID_FILE_FOR_SECTION: InvalidFile,
    _core.NTMM_STATUS_MAPPED_FILE_SIZE_ZERO: InvalidFile,
    _core.NTMM_STATUS_SECTION_NOT_IMAGE: InvalidImage,
    _core.NTMM_STATUS_SECTION_PROTECTION: SectionProtectionError,
    _core.NTMM_STATUS_INVALID_VIEW_SIZE: InvalidViewSize,
    _core.NTMM_STATUS_MAPPED_ALIGNMENT: MappedAlignment,
    _core.NTMM_STATUS_SECTION_TOO_BIG: SectionTooBig,
    _core.NTMM_STATUS_SECTION_NOT_EXTENDED: SectionNotExtended,
    _core.NTMM_STATUS_OBJECT_NAME_NOT_FOUND: NameNotFound,
    _core.NTMM_STATUS_OBJECT_NAME_COLLISION: NameCollision,
    _core.NTMM_STATUS_USER_MAPPED_FILE: FileInUse,
    _core.NTMM_STATUS_SHARING_VIOLATION: FileInUse,
    _core.NTMM_STATUS_PURGE_FAILED: FileInUse,
    _core.NTMM_STATUS_END_OF_FILE: EndOfFile,
    _core.NTMM_STATUS_DISK_FULL: DiskFull,
    _core.NTMM_STATUS_NOT_LOCKED: NotLocked,
    _core.NTMM_STATUS_WORKING_SET_QUOTA: WorkingSetQuota,
    _core.NTMM_STATUS_BAD_WORKING_SET_LIMIT: BadWorkingSetLimit,
    _core.NTMM_STATUS_PARTIAL_COPY: PartialCopy,
    _core.NTMM_STATUS_NOT_SUPPORTED: NotSupported,
    _core.NTMM_STATUS_COMMITMENT_LIMIT: CommitmentLimit,
    _core.NTMM_STATUS_PAGEFILE_QUOTA_EXCEEDED: CommitmentLimit,
    _core.NTMM_STATUS_NO_MEMORY: NoMemory,
    _core.NTMM_STATUS_INSUFFICIENT_RESOURCES: NoMemory,
}
for _constant in dir(_core):
    if _constant.startswith(_PREFIX + "INVALID_IMAGE_"):
        _CLASSES[getattr(_core, _constant)] = InvalidImage
for _number in range(12):
    _CLASSES[_core.NTMM_STATUS_INVALID_PARAMETER_1 + _number] = InvalidParameter

_ACCESSES = {0: "read", 1: "write", 8: "execute"}


def error_of(status: int) -> NtStatusError:
    """The exception for a status; called by the extension module."""
    return _CLASSES.get(status, NtStatusError)(status)


def fault_of(error: FaultError, result: _core.ntmm_fault_result) -> FaultError:
    """The same exception with the parameters of the exception record."""
    kind, address, io_status = result.parameters
    raised = type(error)(error.status, address, _ACCESSES.get(kind, str(kind)))
    if isinstance(raised, InPageError):
        raised.io_status = io_status
    return raised
