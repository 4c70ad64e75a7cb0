"""NT's constants as flags."""

from __future__ import annotations

from enum import IntEnum, IntFlag

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
    """What to allocate or free, and what a query says: states and types.

    As in NT some values have two names, one of what to allocate and one of what is found; a value
    prints under the first.
    """

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
    RESET_UNDO = _core.NTMM_MEM_RESET_UNDO
    RESERVE_PLACEHOLDER = _core.NTMM_MEM_RESERVE_PLACEHOLDER
    REPLACE_PLACEHOLDER = _core.NTMM_MEM_REPLACE_PLACEHOLDER
    PRESERVE_PLACEHOLDER = _core.NTMM_MEM_PRESERVE_PLACEHOLDER
    COALESCE_PLACEHOLDERS = _core.NTMM_MEM_COALESCE_PLACEHOLDERS
    DIFFERENT_IMAGE_BASE_OK = _core.NTMM_MEM_DIFFERENT_IMAGE_BASE_OK
    UNMAP_WITH_TRANSIENT_BOOST = _core.NTMM_MEM_UNMAP_WITH_TRANSIENT_BOOST


class Sec(IntFlag):
    """Attributes of a section; of a view NO_CHANGE alone."""

    BASED = _core.NTMM_SEC_BASED
    NO_CHANGE = _core.NTMM_SEC_NO_CHANGE
    FILE = _core.NTMM_SEC_FILE
    IMAGE = _core.NTMM_SEC_IMAGE
    RESERVE = _core.NTMM_SEC_RESERVE
    COMMIT = _core.NTMM_SEC_COMMIT
    NOCACHE = _core.NTMM_SEC_NOCACHE
    WRITECOMBINE = _core.NTMM_SEC_WRITECOMBINE
    LARGE_PAGES = _core.NTMM_SEC_LARGE_PAGES
    IMAGE_NO_EXECUTE = _core.NTMM_SEC_IMAGE_NO_EXECUTE


class SectionAccess(IntFlag):
    """Access rights of a section, which a handle carries."""

    QUERY = _core.NTMM_SECTION_QUERY
    MAP_WRITE = _core.NTMM_SECTION_MAP_WRITE
    MAP_READ = _core.NTMM_SECTION_MAP_READ
    MAP_EXECUTE = _core.NTMM_SECTION_MAP_EXECUTE
    EXTEND_SIZE = _core.NTMM_SECTION_EXTEND_SIZE
    MAP_EXECUTE_EXPLICIT = _core.NTMM_SECTION_MAP_EXECUTE_EXPLICIT
    ALL = _core.NTMM_SECTION_ALL_ACCESS


class Inherit(IntEnum):
    """Whether clones of a process have a view."""

    SHARE = _core.NTMM_VIEW_SHARE
    UNMAP = _core.NTMM_VIEW_UNMAP


class FileAccess(IntFlag):
    """Access rights of a file, which a handle carries."""

    READ_DATA = _core.NTMM_FILE_READ_DATA
    WRITE_DATA = _core.NTMM_FILE_WRITE_DATA
    EXECUTE = _core.NTMM_FILE_EXECUTE
    ALL = READ_DATA | WRITE_DATA | EXECUTE


class FileFlag(IntFlag):
    """What the device of a file does; what it means stands in ntmm/emulated.h."""

    INLINE = _core.NTMM_EMULATED_FILE_INLINE
    WRITE_CACHE = _core.NTMM_EMULATED_FILE_WRITE_CACHE
    READ_ONLY = _core.NTMM_EMULATED_FILE_READ_ONLY
    CREATE = _core.NTMM_EMULATED_FILE_CREATE
    STALE = _core.NTMM_EMULATED_FILE_STALE


class Attribute(IntFlag):
    """Attributes of an allocation."""

    GRAPHICS = _core.NTMM_MEM_ATTRIBUTE_GRAPHICS
    NONPAGED = _core.NTMM_MEM_ATTRIBUTE_NONPAGED
    ZERO_PAGES_OPTIONAL = _core.NTMM_MEM_ATTRIBUTE_ZERO_PAGES_OPTIONAL
    NONPAGED_LARGE = _core.NTMM_MEM_ATTRIBUTE_NONPAGED_LARGE
    NONPAGED_HUGE = _core.NTMM_MEM_ATTRIBUTE_NONPAGED_HUGE
    SOFT_FAULT_PAGES = _core.NTMM_MEM_ATTRIBUTE_SOFT_FAULT_PAGES
    EC_CODE = _core.NTMM_MEM_ATTRIBUTE_EC_CODE


class Regions(IntFlag):
    """States of runs of pages that a walk or a scan reports."""

    FREE = _core.NTMM_REGIONS_FREE
    RESERVED = _core.NTMM_REGIONS_RESERVED
    COMMITTED = _core.NTMM_REGIONS_COMMITTED
    ALL = _core.NTMM_REGIONS_ALL


class RegionType(IntFlag):
    """What a region is, as the region classes of a query say."""

    PRIVATE = _core.NTMM_REGION_PRIVATE
    MAPPED_DATA_FILE = _core.NTMM_REGION_MAPPED_DATA_FILE
    MAPPED_IMAGE = _core.NTMM_REGION_MAPPED_IMAGE
    MAPPED_PAGE_FILE = _core.NTMM_REGION_MAPPED_PAGE_FILE
    MAPPED_PHYSICAL = _core.NTMM_REGION_MAPPED_PHYSICAL
    DIRECT_MAPPED = _core.NTMM_REGION_DIRECT_MAPPED
    SOFTWARE_ENCLAVE = _core.NTMM_REGION_SOFTWARE_ENCLAVE
    PAGE_SIZE_64K = _core.NTMM_REGION_PAGE_SIZE_64K
    PLACEHOLDER = _core.NTMM_REGION_PLACEHOLDER
    MAPPED_AWE = _core.NTMM_REGION_MAPPED_AWE
    WRITE_WATCH = _core.NTMM_REGION_WRITE_WATCH
    PAGE_SIZE_LARGE = _core.NTMM_REGION_PAGE_SIZE_LARGE
    PAGE_SIZE_HUGE = _core.NTMM_REGION_PAGE_SIZE_HUGE


class Location(IntEnum):
    """Where the contents of a page are that is not in the working set."""

    NONE = _core.NTMM_PAGE_LOCATION_NONE
    RESIDENT = _core.NTMM_PAGE_LOCATION_RESIDENT
    PAGE_FILE = _core.NTMM_PAGE_LOCATION_PAGE_FILE


class MapType(IntFlag):
    """What a page is locked in: the working set, or memory."""

    PROCESS = _core.NTMM_MAP_PROCESS
    SYSTEM = _core.NTMM_MAP_SYSTEM


class Offer(IntEnum):
    """How soon offered pages are taken, first to last."""

    VERY_LOW = _core.NTMM_OFFER_VERY_LOW
    LOW = _core.NTMM_OFFER_LOW
    BELOW_NORMAL = _core.NTMM_OFFER_BELOW_NORMAL
    NORMAL = _core.NTMM_OFFER_NORMAL


class Access(IntFlag):
    """Access rights of a process, which a handle carries."""

    TERMINATE = _core.NTMM_PROCESS_TERMINATE
    CREATE_THREAD = _core.NTMM_PROCESS_CREATE_THREAD
    VM_OPERATION = _core.NTMM_PROCESS_VM_OPERATION
    VM_READ = _core.NTMM_PROCESS_VM_READ
    VM_WRITE = _core.NTMM_PROCESS_VM_WRITE
    DUP_HANDLE = _core.NTMM_PROCESS_DUP_HANDLE
    CREATE_PROCESS = _core.NTMM_PROCESS_CREATE_PROCESS
    SET_QUOTA = _core.NTMM_PROCESS_SET_QUOTA
    SET_INFORMATION = _core.NTMM_PROCESS_SET_INFORMATION
    QUERY_INFORMATION = _core.NTMM_PROCESS_QUERY_INFORMATION
    SUSPEND_RESUME = _core.NTMM_PROCESS_SUSPEND_RESUME
    QUERY_LIMITED_INFORMATION = _core.NTMM_PROCESS_QUERY_LIMITED_INFORMATION
    SET_LIMITED_INFORMATION = _core.NTMM_PROCESS_SET_LIMITED_INFORMATION
    ALL = _core.NTMM_PROCESS_ALL
    MAXIMUM_ALLOWED = _core.NTMM_MAXIMUM_ALLOWED


class Privilege(IntFlag):
    """Privileges of a caller; bit n stands for the one that NT numbers n."""

    LOCK_MEMORY = _core.NTMM_PRIVILEGE_LOCK_MEMORY
    INCREASE_QUOTA = _core.NTMM_PRIVILEGE_INCREASE_QUOTA
    PROFILE_SINGLE_PROCESS = _core.NTMM_PRIVILEGE_PROFILE_SINGLE_PROCESS
    INCREASE_WORKING_SET = _core.NTMM_PRIVILEGE_INCREASE_WORKING_SET


class Protection(IntEnum):
    """Whether a process is protected: lightly, or fully."""

    NONE = _core.NTMM_PROTECTION_NONE
    LIGHT = _core.NTMM_PROTECTION_LIGHT
    FULL = _core.NTMM_PROTECTION_FULL


class Signer(IntEnum):
    """Who signed the image of a protected process."""

    NONE = _core.NTMM_SIGNER_NONE
    AUTHENTICODE = _core.NTMM_SIGNER_AUTHENTICODE
    CODEGEN = _core.NTMM_SIGNER_CODEGEN
    ANTIMALWARE = _core.NTMM_SIGNER_ANTIMALWARE
    LSA = _core.NTMM_SIGNER_LSA
    WINDOWS = _core.NTMM_SIGNER_WINDOWS
    WINTCB = _core.NTMM_SIGNER_WINTCB
    WINSYSTEM = _core.NTMM_SIGNER_WINSYSTEM
    APP = _core.NTMM_SIGNER_APP


class Layout(IntFlag):
    """How the address space of a process is laid out."""

    RANDOM = _core.NTMM_PROCESS_RANDOM_LAYOUT
    HIGH_ENTROPY = _core.NTMM_PROCESS_HIGH_ENTROPY
    WOW64 = _core.NTMM_PROCESS_WOW64
    LARGE_ADDRESS_AWARE = _core.NTMM_PROCESS_LARGE_ADDRESS_AWARE
    NOT_LARGE_ADDRESS_AWARE = _core.NTMM_PROCESS_NOT_LARGE_ADDRESS_AWARE
    CONTROL_FLOW_GUARD = _core.NTMM_PROCESS_CONTROL_FLOW_GUARD
    FORCE_RELOCATE_IMAGES = _core.NTMM_PROCESS_FORCE_RELOCATE_IMAGES
    DISALLOW_STRIPPED_IMAGES = _core.NTMM_PROCESS_DISALLOW_STRIPPED_IMAGES


class Condition(IntEnum):
    """Conditions of memory, NT's objects of these names."""

    LOW_MEMORY = _core.NTMM_LOW_MEMORY_CONDITION
    HIGH_MEMORY = _core.NTMM_HIGH_MEMORY_CONDITION
    LOW_COMMIT = _core.NTMM_LOW_COMMIT_CONDITION
    HIGH_COMMIT = _core.NTMM_HIGH_COMMIT_CONDITION
    MAXIMUM_COMMIT = _core.NTMM_MAXIMUM_COMMIT_CONDITION


class ListCommand(IntEnum):
    """What can be done to the page lists as wholes."""

    CAPTURE_ACCESSED_BITS = _core.NTMM_MEMORY_CAPTURE_ACCESSED_BITS
    CAPTURE_AND_RESET_ACCESSED_BITS = _core.NTMM_MEMORY_CAPTURE_AND_RESET_ACCESSED_BITS
    EMPTY_WORKING_SETS = _core.NTMM_MEMORY_EMPTY_WORKING_SETS
    FLUSH_MODIFIED_LIST = _core.NTMM_MEMORY_FLUSH_MODIFIED_LIST
    PURGE_STANDBY_LIST = _core.NTMM_MEMORY_PURGE_STANDBY_LIST
    PURGE_LOW_PRIORITY_STANDBY_LIST = _core.NTMM_MEMORY_PURGE_LOW_PRIORITY_STANDBY_LIST


class Translate(IntFlag):
    """Accesses and rights of a translation."""

    READ = _core.NTMM_TRANSLATE_READ
    WRITE = _core.NTMM_TRANSLATE_WRITE
    EXECUTE = _core.NTMM_TRANSLATE_EXECUTE
    USER = _core.NTMM_TRANSLATE_USER
    SUPERVISOR = _core.NTMM_TRANSLATE_SUPERVISOR
    MARK = _core.NTMM_TRANSLATE_MARK


class EventKind(IntEnum):
    """Kinds of event; what ``a``, ``b`` and ``detail`` of one are stands in ntmm/event.h."""

    FAULT = _core.NTMM_EVENT_FAULT
    FAULT_WAIT = _core.NTMM_EVENT_FAULT_WAIT
    FRAME_STATE = _core.NTMM_EVENT_FRAME_STATE
    TABLE_CREATED = _core.NTMM_EVENT_TABLE_CREATED
    TABLE_FREED = _core.NTMM_EVENT_TABLE_FREED
    RESERVE = _core.NTMM_EVENT_RESERVE
    COMMIT = _core.NTMM_EVENT_COMMIT
    DECOMMIT = _core.NTMM_EVENT_DECOMMIT
    RELEASE = _core.NTMM_EVENT_RELEASE
    PROTECT = _core.NTMM_EVENT_PROTECT
    SHOOTDOWN = _core.NTMM_EVENT_SHOOTDOWN
    PROCESS_CREATED = _core.NTMM_EVENT_PROCESS_CREATED
    PROCESS_ENDED = _core.NTMM_EVENT_PROCESS_ENDED
    PAGE_READ = _core.NTMM_EVENT_PAGE_READ
    PAGE_WRITE = _core.NTMM_EVENT_PAGE_WRITE
    TRIM = _core.NTMM_EVENT_TRIM
    PAGE_FILE = _core.NTMM_EVENT_PAGE_FILE
    MEMORY_CONDITION = _core.NTMM_EVENT_MEMORY_CONDITION
    JOB_LIMIT = _core.NTMM_EVENT_JOB_LIMIT
    MAP = _core.NTMM_EVENT_MAP
    UNMAP = _core.NTMM_EVENT_UNMAP


class Reason(IntEnum):
    """Why translations were withdrawn."""

    PROTECT = _core.NTMM_SHOOTDOWN_PROTECT
    UNMAP = _core.NTMM_SHOOTDOWN_UNMAP
    TRIM = _core.NTMM_SHOOTDOWN_TRIM
    ACCESSED = _core.NTMM_SHOOTDOWN_ACCESSED
    PROCESS = _core.NTMM_SHOOTDOWN_PROCESS


class BadFrame(IntEnum):
    """What became of the page in a frame that is out of use."""

    UNUSED = _core.NTMM_BAD_FRAME_UNUSED
    DROPPED = _core.NTMM_BAD_FRAME_DROPPED
    MOVED = _core.NTMM_BAD_FRAME_MOVED
    LOST = _core.NTMM_BAD_FRAME_LOST


class FrameLocation(IntEnum):
    """State of a frame, NT's numbers."""

    ZEROED = _core.NTMM_FRAME_ZEROED
    FREE = _core.NTMM_FRAME_FREE
    STANDBY = _core.NTMM_FRAME_STANDBY
    MODIFIED = _core.NTMM_FRAME_MODIFIED
    MODIFIED_NO_WRITE = _core.NTMM_FRAME_MODIFIED_NO_WRITE
    BAD = _core.NTMM_FRAME_BAD
    ACTIVE = _core.NTMM_FRAME_ACTIVE
    TRANSITION = _core.NTMM_FRAME_TRANSITION


#: Bytes of a page.
PAGE_SIZE: int = _core.NTMM_PAGE_SIZE
#: Bytes of a large page.
LARGE_PAGE_SIZE: int = _core.NTMM_LARGE_PAGE_SIZE
#: Bytes at which address space is reserved.
ALLOCATION_GRANULARITY: int = _core.NTMM_ALLOCATION_GRANULARITY
#: Highest user byte.
HIGHEST_USER_ADDRESS: int = _core.NTMM_HIGHEST_USER_ADDRESS
