"""Two processes share memory, and map a DLL: what is one page for both, and what is copied.

    PYTHONPATH=build/python python3 examples/share_and_map.py [FILE.dll]

Without a file it maps a small DLL that it makes. Tables are pandas'.
"""

from __future__ import annotations

import struct
import sys
from typing import NamedTuple, Sequence

import ntmm
from ntmm import FileFlag, Sec

#: The parts of the DLL: name, bytes of memory, contents, and what Sec.IMAGE makes of them.
PARTS = (
    (".text", 0x1800, b"\x31\xc0\xc3", 0x60000020),  # read, execute
    (".data", 0x2000, b"data", 0xC0000040),  # read, write: copied
    (".share", 0x1000, b"mine", 0xD0000040),  # read, write, shared
)


def make_dll(
    parts: Sequence[tuple[str, int, bytes, int]] = PARTS,
    *,
    base: int = 0x180000000,
    dll_characteristics: int = 0,
    machine: int = 0x8664,
) -> bytes:
    """A PE32+ file of parts (name, bytes of memory, contents, characteristics)."""
    page, sector = ntmm.PAGE_SIZE, 512
    headers, body, address = b"", b"", page
    for name, size, contents, flags in parts:
        raw = -(-len(contents) // sector) * sector
        place = page + len(body) if raw else 0
        headers += struct.pack(
            "<8s6I2HI", name.encode(), size, address, raw, place, 0, 0, 0, 0, flags
        )
        body += contents.ljust(raw, b"\0")
        address += -(-size // page) * page
    file_header = struct.pack("<4s2H3I2H", b"PE", machine, len(parts), 0, 0, 0, 240, 0x2022)
    optional = struct.pack(
        "<H2B5IQ2I6H4I2H4Q2I", 0x20B, 14, 0, 0, 0, 0, page, page, base, page, sector,
        6, 0, 0, 0, 6, 0, 0, address, page, 0, 3, dll_characteristics,
        1 << 20, page, 1 << 20, page, 0, 16,
    )
    dos = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64)
    return (dos + file_header + optional + bytes(128) + headers).ljust(page, b"\0") + body


class Row(NamedTuple):
    """A page as one process has it; how many processes share it; its first bytes."""

    what: str
    process: str
    valid: bool
    shares: int
    protect: str
    contents: bytes


def look(what: str, processes: dict[str, ntmm.Process], addresses: Sequence[int]) -> list[Row]:
    """The rows of pages, one of each process."""
    rows = []
    for (name, process), address in zip(processes.items(), addresses):
        page = process.page(address)
        contents = process.read(address, 4) if page.valid else b""
        protect = process.query(address).protect.name or ""
        rows.append(Row(what, name, page.valid, page.share_count, protect, contents))
    return rows


def show(title: str, records: Sequence[NamedTuple]) -> None:
    """Print records as a table."""
    import pandas

    print(title)
    lines = pandas.DataFrame(records).to_string(index=False).splitlines()
    print("\n".join(line.rstrip() for line in lines))


def main(path: str = "") -> None:
    """Share, then map."""
    with ntmm.System(ram=16 << 20, seed=1) as system:
        processes = {"one": system.create_process(), "other": system.create_process()}
        one, other = processes.values()

        with system.create_section(0x10000, name="notes") as section:
            opened = system.open_section("notes")
            views = [one.map_view(section), other.map_view(opened)]
            opened.close()
        one.write(views[0], b"note")
        rows = look("one wrote", processes, views)
        other.read(views[1], 1)
        rows += look("other read", processes, views)
        show("a page of a section", rows)

        if path:
            file = system.create_file(path=path, flags=FileFlag.READ_ONLY)
        else:
            file = system.create_file(make_dll())
        with file, system.create_section(file=file, attributes=Sec.IMAGE) as image:
            views = [one.map_view(image), other.map_view(image)]
            parts = image.subsections()
        show("the DLL", [part._replace(protect=part.protect.name) for part in parts])
        rows = []
        for part in parts:
            if not part.protect & (ntmm.Protect.WRITECOPY | ntmm.Protect.READWRITE):
                continue
            addresses = [view + part.first_page * ntmm.PAGE_SIZE for view in views]
            for process, address in zip(processes.values(), addresses):
                process.read(address, 1)
            rows += look("read", processes, addresses)
            one.write(addresses[0], b"ONE!")
            rows += look("one wrote", processes, addresses)
        show("its pages that can be written", rows)


if __name__ == "__main__":
    main(*sys.argv[1:2])
