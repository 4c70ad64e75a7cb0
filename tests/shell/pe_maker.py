"""Small PE files, from the published format: what the tests of `map` and `run-image` map."""
import struct

PAGE, SECTOR = 4096, 512
READ, WRITE, EXECUTE, SHARED = 0x40000000, 0x80000000, 0x20000000, 0x10000000
AMD64, I386 = 0x8664, 0x14C
DLL, LARGE_ADDRESS_AWARE, EXECUTABLE = 0x2000, 0x20, 0x2
HIGH_ENTROPY_VA, DYNAMIC_BASE, NX_COMPAT = 0x20, 0x40, 0x100
HEADERS = 0x400


def up(value, unit):
    return (value + unit - 1) // unit * unit


def import_section(rva, names):
    """A directory of DLLs; the thunks of each are empty."""
    directory_bytes = (len(names) + 1) * 20
    thunk = rva + directory_bytes
    at = directory_bytes + 8
    rows, texts = b"", b""
    for name in names:
        rows += struct.pack("<5I", 0, 0, 0, rva + at, thunk)
        text = name.encode() + b"\0"
        texts += text
        at += len(text)
    return rows + bytes(20) + bytes(8) + texts


def relocation_section(page):
    """One block with one padding entry: the image can be moved, and nothing in it changes."""
    return struct.pack("<IIHH", page, 12, 0, 0)


class Image:
    """Sections are (name, bytes, virtual size, characteristics), each at the next page."""

    def __init__(self, machine=AMD64, base=0x180000000, characteristics=EXECUTABLE | DLL | 0x20,
                 flags=NX_COMPAT, imports=(), can_move=False):
        self.is_64 = machine == AMD64
        self.machine, self.base, self.flags = machine, base, flags
        self.characteristics = characteristics | (0 if can_move else 1)
        self.sections, self.directories = [], {}
        self.next_rva = PAGE
        self.add(".text", bytes(range(256)) * 20, 0x1400, READ | EXECUTE)
        if imports:
            rva = self.next_rva
            self.add(".idata", import_section(rva, list(imports)), None, READ | WRITE)
            self.directories[1] = (rva, (len(imports) + 1) * 20)
        if can_move:
            rva = self.next_rva
            self.add(".reloc", relocation_section(PAGE), None, READ)
            self.directories[5] = (rva, 12)

    def add(self, name, contents, virtual_bytes, characteristics):
        virtual_bytes = virtual_bytes or len(contents)
        self.sections.append((name, contents, virtual_bytes, characteristics, self.next_rva))
        self.next_rva = up(self.next_rva + virtual_bytes, PAGE)
        return self

    def optional(self):
        head = struct.pack("<HBBIIIII", 0x20B if self.is_64 else 0x10B, 2, 0, 0x1400, 0, 0, 0x1010,
                           PAGE)
        head += struct.pack("<Q", self.base) if self.is_64 else struct.pack("<II", 0, self.base)
        head += struct.pack("<IIHHHHHHIIIIHH", PAGE, SECTOR, 6, 0, 0, 0, 6, 0, 0, self.next_rva,
                            HEADERS, 0, 3, self.flags)
        sizes = (0x100000, 0x2000, 0x100000, 0x1000)
        head += struct.pack("<4Q" if self.is_64 else "<4I", *sizes)
        head += struct.pack("<II", 0, 16)
        for index in range(16):
            head += struct.pack("<II", *self.directories.get(index, (0, 0)))
        return head

    def bytes(self):
        optional = self.optional()
        out = b"MZ" + bytes(58) + struct.pack("<I", 0x80)
        out = out.ljust(0x80, b"\0") + b"PE\0\0"
        out += struct.pack("<HHIIIHH", self.machine, len(self.sections), 0, 0, 0, len(optional),
                           self.characteristics)
        out += optional
        offset = HEADERS
        raws = b""
        for name, contents, virtual_bytes, characteristics, rva in self.sections:
            raw = contents.ljust(up(len(contents), SECTOR), b"\0")
            out += struct.pack("<8sIIIIIIHHI", name.encode(), virtual_bytes, rva, len(raw),
                               offset if raw else 0, 0, 0, 0, 0, characteristics)
            raws += raw
            offset += len(raw)
        assert len(out) <= HEADERS
        return out.ljust(HEADERS, b"\0") + raws

    def write(self, path):
        path.write_bytes(self.bytes())
        return path
