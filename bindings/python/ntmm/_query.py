"""What an address space holds: NT's information classes, walks, scans, translations."""

from __future__ import annotations

from operator import index
from typing import Iterable, Iterator, Optional

from . import _core
from ._constants import Regions, Translate
from ._errors import NtStatusError
from ._records import (
    IMAGE,
    PAGE,
    REGION,
    CallTarget,
    ImageInformation,
    MemoryInformation,
    PageInformation,
    RegionInformation,
    Translation,
    WorkingSetPage,
    memory_information,
    memory_informations,
    page_information,
    region_information,
    working_set_page,
)
from ._target import Target

_SCAN_RECORDS = 1024


class Queries(Target):
    """Ask about addresses, regions and pages."""

    def query(self, address: int) -> MemoryInformation:
        """The run of like pages that begins with the page of an address."""
        found = _core.ntmm_memory_basic_information()
        self._call(_core.ntmm_query_virtual_memory, address, found)
        return memory_information(found)

    def query_class(self, information_class: int, address: int, buffer: bytearray) -> int:
        """NtQueryVirtualMemory with a class of NT's number, into a buffer; returns bytes written.

        A buffer that is too small can be written too, as in NT.
        """
        written: int = self._call(
            _core.ntmm_query_virtual_memory_class, index(address), information_class, buffer
        )[1]
        return written

    def region(self, address: int) -> RegionInformation:
        """The whole region of an address; free addresses raise INVALID_ADDRESS."""
        buffer = bytearray(REGION.size)
        self.query_class(_core.NTMM_MEMORY_REGION_INFORMATION_EX, address, buffer)
        return region_information(buffer)

    def pages(self, addresses: Iterable[int]) -> list[PageInformation]:
        """The page of each address, as the extended working-set class has it."""
        wanted = list(addresses)
        buffer = bytearray(PAGE.size * len(wanted))
        for number, address in enumerate(wanted):
            PAGE.pack_into(buffer, PAGE.size * number, index(address), 0)
        if wanted:
            self.query_class(_core.NTMM_MEMORY_WORKING_SET_EX_INFORMATION, 0, buffer)
        return [page_information(*found) for found in PAGE.iter_unpack(buffer)]

    def page(self, address: int) -> PageInformation:
        """The page of an address."""
        return self.pages([address])[0]

    def working_set(self) -> list[WorkingSetPage]:
        """The pages of the working set."""
        buffer = bytearray(8)
        while True:
            try:
                self.query_class(_core.NTMM_MEMORY_WORKING_SET_INFORMATION, 0, buffer)
            except NtStatusError as error:
                if error.status != _core.NTMM_STATUS_INFO_LENGTH_MISMATCH:
                    raise
                buffer = bytearray(8 * (1 + memoryview(buffer)[:8].cast("Q")[0]))
                continue
            words = memoryview(buffer).cast("Q")
            return [working_set_page(word) for word in words[1:1 + words[0]]]

    def image(self, address: int) -> ImageInformation:
        """The image that is mapped at an address; INVALID_ADDRESS where none is."""
        buffer = bytearray(IMAGE.size)
        self.query_class(_core.NTMM_MEMORY_IMAGE_INFORMATION, address, buffer)
        return ImageInformation(*IMAGE.unpack(buffer)[:3])

    def mapped_filename(self, address: int) -> str:
        """The name of the file that is mapped at an address; INVALID_ADDRESS where none is."""
        buffer = bytearray(16 + 0x10000)
        self.query_class(_core.NTMM_MEMORY_MAPPED_FILENAME_INFORMATION, address, buffer)
        length = int(memoryview(buffer)[:2].cast("H")[0])
        return buffer[16:16 + length].decode("utf-16-le")

    def shared_commit(self) -> int:
        """Bytes of shared commit."""
        buffer = bytearray(8)
        self.query_class(_core.NTMM_MEMORY_SHARED_COMMIT_INFORMATION, 0, buffer)
        return int(memoryview(buffer).cast("Q")[0])

    def regions(
        self, *, free: bool = False, states: Optional[int] = None
    ) -> Iterator[MemoryInformation]:
        """A walk over all runs of like pages by rising address, free space only when asked for.

        ``states`` are the Regions to report, instead. Each address is looked at exactly once,
        whatever happens between two steps.
        """
        if states is None:
            states = Regions.ALL if free else Regions.RESERVED | Regions.COMMITTED
        iterator = _core.ntmm_region_iterator()
        _core.ntmm_begin_regions(iterator, self.handle, states)
        found = _core.ntmm_memory_basic_information()
        while True:
            try:
                _core.ntmm_next_region(self.system.raw, iterator, found)
            except NtStatusError as error:
                if error.status != _core.NTMM_STATUS_NO_MORE_ENTRIES:
                    raise
                return
            yield memory_information(found)

    def scan(
        self,
        start: int = 0,
        end: int = _core.NTMM_USER_PROBE_ADDRESS,
        *,
        states: int = Regions.RESERVED | Regions.COMMITTED,
    ) -> list[MemoryInformation]:
        """The runs of a range, many at a time: what a walk gives, faster."""
        return list(memory_informations(self.scan_bytes(start, end, states=states)))

    def scan_bytes(
        self,
        start: int = 0,
        end: int = _core.NTMM_USER_PROBE_ADDRESS,
        *,
        states: int = Regions.RESERVED | Regions.COMMITTED,
    ) -> bytes:
        """The same as MEMORY_BASIC_INFORMATION structs, 48 bytes each, for numpy."""
        pieces: list[bytes] = []
        at, limit = index(start), index(end)
        while at < limit:
            _, data, following = self._call(
                _core.ntmm_scan_regions, at, limit, states, _SCAN_RECORDS
            )
            pieces.append(data)
            at = following
        return b"".join(pieces)

    def translate(self, address: int, access: int = Translate.READ) -> Translation:
        """Look an address up in the page tables as a processor does; AccessViolation: a fault."""
        found = _core.ntmm_translation()
        found.size = _core.sizeof_translation()
        self._call(_core.ntmm_translate, index(address), access, found)
        return Translation(
            found.physical_address,
            Translate(found.rights),
            found.cache,
            found.leaf_bytes,
            found.run_base,
            found.run_bytes,
        )

    def query_call_target(self, address: int) -> CallTarget:
        """Whether control flow guard lets an address be called; without it all may be."""
        found = _core.ntmm_call_target()
        self._call(_core.ntmm_query_call_target, index(address), found)
        return CallTarget(bool(found.is_valid), found.bitmap_base, found.bitmap_size_bytes)

    def explain(self, address: int) -> str:
        """Everything known of an address in a few lines: region, entry at each level, frame."""
        found = _core.ntmm_explanation()
        self._call(_core.ntmm_explain, address, found)
        lines = ["free"]
        if found.vad_address:
            lines = [f"region 0x{found.vad_base:X}..0x{found.vad_end:X}"]
        for level in range(found.levels, found.stopped_level - 1, -1):
            _, text = _core.ntmm_format_entry(found.entry[level - 1], level)
            lines.append(f"level {level} 0x{found.entry[level - 1]:016X} {text}")
        if found.has_frame:
            frame = found.frame
            lines.append(f"frame 0x{frame.frame:X} referenced {frame.reference_count} times")
        return "\n".join(lines)
