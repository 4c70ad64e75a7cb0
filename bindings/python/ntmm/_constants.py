"""NT's constants as flags."""

from __future__ import annotations

from enum import IntFlag

from . import _core


class Protect(IntFlag):
    """Page protections: one base value, and a modifier that goes with it."""

    NOACCESS = _core.NTMM_PAGE_NOACCESS
    READONLY = _core.NTMM_PAGE_READONLY
    READWRITE = _core.NTMM_PAGE_READWRITE
    WRITECOPY = _core.NTMM_PAGE_WRITECOPY
    EXECUTE = _core.NTMM_PAGE_EXECUTE
    EXECUTE_READ = _core.NTMM_PAGE_EXECUTE_READ
    EXECUTE_READWRITE = _core.NTMM_PAGE_EXECUTE_READWRITE
    EXECUTE_WRITECOPY = _core.NTMM_PAGE_EXECUTE_WRITECOPY
    GUARD = _core.NTMM_PAGE_GUARD
    NOCACHE = _core.NTMM_PAGE_NOCACHE
    WRITECOMBINE = _core.NTMM_PAGE_WRITECOMBINE


class Mem(IntFlag):
    """What to allocate or free, and what a query says: states and types."""

    COMMIT = _core.NTMM_MEM_COMMIT
    RESERVE = _core.NTMM_MEM_RESERVE
    DECOMMIT = _core.NTMM_MEM_DECOMMIT
    RELEASE = _core.NTMM_MEM_RELEASE
    FREE = _core.NTMM_MEM_FREE
    PRIVATE = _core.NTMM_MEM_PRIVATE
    MAPPED = _core.NTMM_MEM_MAPPED
    RESET = _core.NTMM_MEM_RESET
    TOP_DOWN = _core.NTMM_MEM_TOP_DOWN
    WRITE_WATCH = _core.NTMM_MEM_WRITE_WATCH
    PHYSICAL = _core.NTMM_MEM_PHYSICAL
    IMAGE = _core.NTMM_MEM_IMAGE
    LARGE_PAGES = _core.NTMM_MEM_LARGE_PAGES


#: Bytes of a page.
PAGE_SIZE: int = _core.NTMM_PAGE_SIZE
#: Bytes at which address space is reserved.
ALLOCATION_GRANULARITY: int = _core.NTMM_ALLOCATION_GRANULARITY
#: Highest user byte.
HIGHEST_USER_ADDRESS: int = _core.NTMM_HIGHEST_USER_ADDRESS
