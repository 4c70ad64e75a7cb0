"""Jobs: limits that several processes share."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Optional, Type

from . import _core
from ._records import JobInformation

if TYPE_CHECKING:
    from ._process import Process
    from ._system import System


class Job:
    """Limits of several processes; made by System.create_job, closed by ``close`` or its ``with``.

    Processes that are in it stay limited when it is closed.
    """

    def __init__(self, system: System, handle: int) -> None:
        self.system = system
        #: The handle; 0 once closed.
        self.handle = handle

    def __enter__(self) -> Job:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ntmm.Job 0x{self.handle:X}>"

    def close(self) -> None:
        """Close the handle. Once it, or its system, is closed: nothing."""
        if self.handle and not self.system.is_closed:
            _core.ntmm_close_job(self.system.raw, self.handle)
        self.handle = 0

    def set_limits(
        self,
        *,
        process_memory_pages: Optional[int] = None,
        job_memory_pages: Optional[int] = None,
        working_set_pages: Optional[tuple[int, int]] = None,
    ) -> None:
        """Set all limits anew: commit of each process and of all, working set (minimum, maximum).

        None: no such limit.
        """
        limits = _core.ntmm_job_limits()
        limits.size = _core.sizeof_job_limits()
        limits.version = _core.NTMM_JOB_LIMITS_VERSION
        flags = 0
        if process_memory_pages is not None:
            flags |= _core.NTMM_JOB_LIMIT_PROCESS_MEMORY
            limits.process_memory_pages = process_memory_pages
        if job_memory_pages is not None:
            flags |= _core.NTMM_JOB_LIMIT_JOB_MEMORY
            limits.job_memory_pages = job_memory_pages
        if working_set_pages is not None:
            flags |= _core.NTMM_JOB_LIMIT_WORKING_SET
            minimum, maximum = working_set_pages
            limits.working_set_minimum_pages = minimum
            limits.working_set_maximum_pages = maximum
        limits.flags = flags
        _core.ntmm_set_job_limits(self.system.raw, self.handle, limits)

    def assign(self, process: Process) -> None:
        """Put a process into the job, for good."""
        if process.system is not self.system:
            raise ValueError("the process belongs to another system")
        _core.ntmm_assign_process_to_job(self.system.raw, self.handle, process.handle)

    def information(self) -> JobInformation:
        """Processes, commit, and the limits that are in force."""
        found = _core.ntmm_job_information()
        _core.ntmm_query_job(self.system.raw, self.handle, found)
        limits = found.limits

        def in_force(flag: int, pages: int) -> Optional[int]:
            return pages if limits.flags & flag else None

        return JobInformation(
            found.process_count,
            found.commit_pages,
            found.peak_commit_pages,
            in_force(_core.NTMM_JOB_LIMIT_PROCESS_MEMORY, limits.process_memory_pages),
            in_force(_core.NTMM_JOB_LIMIT_JOB_MEMORY, limits.job_memory_pages),
            in_force(_core.NTMM_JOB_LIMIT_WORKING_SET, limits.working_set_minimum_pages),
            in_force(_core.NTMM_JOB_LIMIT_WORKING_SET, limits.working_set_maximum_pages),
        )
