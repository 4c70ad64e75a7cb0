"""The Windows NT memory manager as a library.

A System is an emulated machine with a memory manager; its processes have private address spaces
that behave as NT's do: reserve and commit, page protections, guard pages, NT's statuses as
exceptions.

>>> import ntmm
>>> with ntmm.System() as system, system.create_process() as process:
...     block = process.allocate(4096)
...     process.write(block, b"hello")
...     process.query(block).state
<Mem.COMMIT: 4096>

The C interface is in ntmm._core, function for function.
"""

from ._constants import ALLOCATION_GRANULARITY, HIGHEST_USER_ADDRESS, PAGE_SIZE, Mem, Protect
from ._errors import (
    STATUS_NAMES,
    AccessViolation,
    CommitmentLimit,
    ConflictingAddresses,
    FaultError,
    GuardPage,
    InPageError,
    InvalidHandle,
    InvalidPageProtection,
    InvalidParameter,
    MemoryNotAllocated,
    NoMemory,
    NotCommitted,
    NotSupported,
    NtStatusError,
    StackOverflow,
)
from ._process import Block, MemoryInformation, Process, ProcessInformation
from ._system import InvariantBroken, MemoryReport, PageFile, System, Teardown

__all__ = [
    "ALLOCATION_GRANULARITY",
    "HIGHEST_USER_ADDRESS",
    "PAGE_SIZE",
    "STATUS_NAMES",
    "AccessViolation",
    "Block",
    "CommitmentLimit",
    "ConflictingAddresses",
    "FaultError",
    "GuardPage",
    "InPageError",
    "InvalidHandle",
    "InvalidPageProtection",
    "InvalidParameter",
    "InvariantBroken",
    "Mem",
    "MemoryInformation",
    "MemoryNotAllocated",
    "MemoryReport",
    "NoMemory",
    "NotCommitted",
    "NotSupported",
    "NtStatusError",
    "PageFile",
    "Process",
    "ProcessInformation",
    "Protect",
    "StackOverflow",
    "System",
    "Teardown",
]
