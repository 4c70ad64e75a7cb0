"""Proofs, of every value at once, about the words that the core packs and unpacks.

    formats.py --clang CLANG [--plant]

proved.c is compiled to LLVM's intermediate form, read into z3 (ir.py), and compared with what
stands here: the layouts of Windows' entries, the decode order, the swizzle, protections, canonical
addresses, the self map and checked arithmetic, written from the processor's manuals and from the
listings of Windows' symbols, and not from the core. --plant spoils a copy of the core's sources in
one place after another, and each must be refused. Exit status: 0 all proved, 1 not, 77
skipped because z3 or clang is missing.
"""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

try:
    import z3
except ImportError:
    print("skipped: python3-z3 is missing")
    sys.exit(77)

import ir

HERE = pathlib.Path(__file__).resolve().parent
CORE = HERE.parents[1] / "core"
FLAGS = ["-std=c11", "-O2", "-fno-vectorize", "-fno-slp-vectorize",
         "-fno-discard-value-names", "-mllvm", "-inline-threshold=100000", "-S", "-emit-llvm",
         "-o", "-"]

# Bits of each field, highest and lowest, as Windows 10 2004 .. 11 has them with 40-bit frame
# numbers; names as the public symbols spell them.
DOCUMENTED = {
    "MMPTE_HARDWARE": """Valid 0, Dirty1 1, Owner 2, WriteThrough 3, CacheDisable 4, Accessed 5,
        Dirty 6, LargePage 7, Global 8, CopyOnWrite 9, Unused 10, Write 11, PageFrameNumber 51:12,
        ReservedForSoftware 55:52, WsleAge 59:56, WsleProtection 62:60, NoExecute 63""",
    "MMPTE_HARDWARE_LARGEPAGE": """Valid 0, Dirty1 1, Owner 2, WriteThrough 3, CacheDisable 4,
        Accessed 5, Dirty 6, LargePage 7, Global 8, CopyOnWrite 9, Unused 10, Write 11, PAT 12,
        Reserved 20:13, PageFrameNumber 51:21, ReservedForSoftware 55:52, WsleAge 59:56,
        WsleProtection 62:60, NoExecute 63""",
    "MMPTE_SOFTWARE": """Valid 0, PageFileReserved 1, PageFileAllocated 2, ColdPage 3, SwizzleBit 4,
        Protection 9:5, Prototype 10, Transition 11, PageFileLow 15:12, UsedPageTableEntries 25:16,
        ShadowStack 26, OnStandbyLookaside 27, Unused 31:28, PageFileHigh 63:32""",
    "MMPTE_TRANSITION": """Valid 0, Write 1, OnStandbyLookaside 2, IoTracker 3, SwizzleBit 4,
        Protection 9:5, Prototype 10, Transition 11, PageFrameNumber 51:12, Unused 63:52""",
    "MMPTE_PROTOTYPE": """Valid 0, DemandFillProto 1, HiberVerifyConverted 2, ReadOnly 3,
        SwizzleBit 4, Protection 9:5, Prototype 10, Combined 11, Unused 15:12,
        ProtoAddress 63:16""",
    "MMPTE_SUBSECTION": """Valid 0, Unused 2:1, OnStandbyLookaside 3, SwizzleBit 4, Protection 9:5,
        Prototype 10, ColdPage 11, Unused 14:12, ExecutePrivilege 15, SubsectionAddress 63:16""",
    "MMPTE_LIST": """Valid 0, OneEntry 1, filler0 3:2, SwizzleBit 4, Protection 9:5, Prototype 10,
        Transition 11, filler1 24:12, NextEntry 63:25""",
}
PREFIXES = ["HW", "HWL", "SW", "TR", "PROTO", "SUBSECTION", "LIST"]  # in the order of DOCUMENTED

# Kinds of an entry, in the order in which they are decided.
ZERO, VALID, LARGE, DEMAND_ZERO, DECOMMITTED, NO_ACCESS, PAGE_FILE, TRANSITION, PROTOTYPE = range(9)

# Win32 protection of each access code; modifiers of bits 4:3.
WIN32 = [1, 2, 0x10, 0x20, 4, 8, 0x40, 0x80]
MODIFIERS = {0: 0, 8: 0x200, 0x10: 0x100, 0x18: 0x400}


def documented_fields():
    """(format, Windows' name, highest bit, lowest bit) of every field."""
    for form, text in DOCUMENTED.items():
        for field in text.split(","):
            name, bits = field.split()
            high, _, low = bits.partition(":")
            yield form, name, int(high), int(low or high)


def v64(number):
    """A number as 64 bits."""
    return z3.BitVecVal(number, 64)


def v32(number):
    """A number as 32 bits."""
    return z3.BitVecVal(number, 32)


def bits(value, high, low=None):
    """Bits high:low of a value, as 64 bits."""
    low = high if low is None else low
    return z3.ZeroExt(63 - high + low, z3.Extract(high, low, value))


def bit(value, number):
    """Whether a bit is set."""
    return z3.Extract(number, number, value) == 1


def pick(index, values, width):
    """values[index], of numbers."""
    result = z3.BitVecVal(values[-1], width)
    for i, number in enumerate(values[:-1]):
        result = z3.If(index == i, z3.BitVecVal(number, width), result)
    return result


class Proof:
    """A module under proof, and what it was found to do otherwise."""

    def __init__(self, module):
        self.module = module
        self.proved = 0
        self.refuted = []

    def call(self, name, *arguments):
        """A function of proved.c."""
        return self.module.call("prove_" + name, *arguments)

    def equal(self, what, found, expected, *when):
        """found is expected for all values for which `when` holds."""
        found, expected = (ir.word(e) if z3.is_bool(e) else e for e in (found, expected))
        solver = z3.Solver()
        solver.set("timeout", 120000)
        solver.add(*when)
        if solver.check() != z3.sat:
            self.refuted.append(f"{what}: the condition of the proof is never met")
        solver.add(found != expected)
        result = solver.check()
        if result == z3.unsat:
            self.proved += 1
        elif result == z3.sat:
            self.refuted.append(f"{what}: {solver.model()}")
        else:
            self.refuted.append(f"{what}: not decided")


def prove_fields(proof):
    """Every field of every format lies where Windows has it, and is read and replaced alone."""
    rows = re.search(r"@x64_fields = .*", proof.text)[0]
    listed = [(int(form), proof.module.strings[name], int(shift), int(width))
              for form, name, shift, width in
              re.findall(r"\{ i32 (\d+), ptr @([\w.]+), i32 (\d+), i32 (\d+) \}", rows)]
    forms = list(DOCUMENTED)
    expected = [(forms.index(form), name, low, high - low + 1)
                for form, name, high, low in documented_fields()]
    if listed != expected:
        proof.refuted.append(f"the table of fields: {set(listed) ^ set(expected)}")
    entry, value = z3.BitVecs("entry value", 64)
    enumerated = re.findall(r"define [^@]*@prove_get_(\w+)\(", proof.text)
    for name, (form, windows, high, low) in zip(enumerated, documented_fields()):
        if not name.startswith(PREFIXES[forms.index(form)] + "_"):
            proof.refuted.append(f"{name} stands where {form} has {windows}")
        mask = v64((1 << high + 1) - (1 << low))
        proof.equal(f"get {name}", proof.call(f"get_{name}", entry), bits(entry, high, low))
        proof.equal(f"set {name}", proof.call(f"set_{name}", entry, value),
                    (entry & ~mask) | (value << low & mask))
    for name in ("proto_address", "subsection_address"):
        proof.equal(name, proof.call(name, entry),
                    z3.SignExt(16, z3.Extract(63, 16, entry)))


def is_mask(mask):
    """A swizzle mask: no bit, or one address bit above bit 31 and below bit 52."""
    return z3.Or(mask == 0, *[mask == v64(1 << i) for i in range(32, 52)])


def documented_decode(entry, mask):
    """The value of a stored entry that is not valid."""
    return z3.If(mask == 0, entry,
                 z3.If(bit(entry, 4), entry & v64(~(1 << 4) % 2**64), entry & ~mask))


def documented_kind(entry, level, mask):
    """What an entry is, by the documented order."""
    value = documented_decode(entry, mask)
    code = bits(value, 9, 5)
    software = z3.If(code == 0x10, v32(DECOMMITTED),
                     z3.If(code == 0x18, v32(NO_ACCESS), v32(DEMAND_ZERO)))
    not_valid = z3.If(value == 0, v32(ZERO),
                      z3.If(bit(value, 10), v32(PROTOTYPE),
                            z3.If(bit(value, 11), v32(TRANSITION),
                                  z3.If(bits(value, 63, 32) != 0, v32(PAGE_FILE), software))))
    is_large = z3.And(z3.Or(level == 2, level == 3), bit(entry, 7))
    return z3.If(bit(entry, 0), z3.If(is_large, v32(LARGE), v32(VALID)), not_valid)


def prove_invalid(proof):
    """Swizzle, decode order, and the entries that are made."""
    value, mask, slot, frame = z3.BitVecs("value mask slot frame", 64)
    level, code, file = z3.BitVecs("level code file", 32)
    plain = z3.And(is_mask(mask), z3.Not(bit(value, 0)), z3.Not(bit(value, 4)))
    stored = proof.call("encode", value, mask)
    hidden = z3.If(value & mask == 0, value | mask, value | v64(1 << 4))
    proof.equal("encode", stored, z3.If(z3.Or(mask == 0, value == 0), value, hidden), is_mask(mask))
    proof.equal("decode of any", proof.call("decode", value, mask), documented_decode(value, mask),
                is_mask(mask), z3.Not(bit(value, 0)))
    proof.equal("X2, decode of encode", proof.call("decode", stored, mask), value, plain)
    proof.equal("X3, an empty entry", proof.call("encode", v64(0), mask), v64(0), is_mask(mask))
    proof.equal("a stored entry is not valid", z3.Extract(0, 0, stored), z3.BitVecVal(0, 1), plain)
    proof.equal("kind", proof.call("kind", value, level, mask),
                documented_kind(value, level, mask), is_mask(mask), z3.UGE(level, 1),
                z3.ULE(level, 5))
    proof.equal("kind survives the swizzle", proof.call("kind", stored, v32(1), mask),
                documented_kind(value, v32(1), v64(0)), plain)
    code64 = z3.ZeroExt(32, code)
    is_code = z3.ULT(code, 32)
    proof.equal("software", proof.call("software", code), code64 << 5, is_code)
    made = proof.call("transition", code, frame)
    proof.equal("transition", made, code64 << 5 | v64(1 << 11) | frame << 12, is_code,
                z3.ULT(frame, 1 << 40))
    proof.equal("prototype", proof.call("prototype", code),
                v64(0xFFFFFFFF00000400) | code64 << 5, is_code)
    proof.equal("lookup needed", proof.call("lookup_needed"), v64(0xFFFFFFFF00000400))
    proof.equal("is lookup needed", proof.call("is_lookup_needed", value),
                bits(value, 63, 32) == 0xFFFFFFFF)
    prove_slots(proof, value, slot, file)


def prove_slots(proof, value, slot, file):
    """Slots of page files in software entries, and the marks of other values."""
    made = proof.call("slot_set", value, file, slot)
    legal = [z3.Not(bit(value, 10)), z3.ULT(slot, 1 << 32), z3.ULT(file, 16)]
    kept = v64(0x0FFF0FFB)  # all but PageFileAllocated, PageFileLow and PageFileHigh, below bit 28
    file64 = z3.ZeroExt(32, file)
    named = z3.If(slot == 0, v64(0), slot << 32 | file64 << 12 | v64(4))
    proof.equal("slot_set", made, (value & v64(0xFFFF0FFB)) | named, *legal)
    proof.equal("slot_set leaves what is no slot's", made & kept, value & kept, *legal)
    proof.equal("slot_of", proof.call("slot_of", made), slot, z3.Not(bit(value, 30)), *legal)
    proof.equal("a damaged page has no slot", proof.call("slot_of", value), v64(0), bit(value, 30))
    proof.equal("slot_file", proof.call("slot_file", made), z3.If(slot == 0, v32(0), file), *legal)
    proof.equal("a file's page has no slot", proof.call("slot_of", value), v64(0), bit(value, 10))
    proof.equal("is of file", proof.call("is_of_file", value), bit(value, 10))
    proof.equal("is disposable", proof.call("is_disposable", value),
                z3.And(bit(value, 28), z3.Not(bit(value, 10))))


def documented_hardware(code):
    """Bits of a clean valid entry of a protection code: NoExecute, Write, CopyOnWrite, cache."""
    access, how = code & 7, code & 0x18
    if access == 0:
        return 0
    executable = access in (2, 3, 6, 7)
    found = 0 if executable else 1 << 63
    found |= {4: 1 << 11, 6: 1 << 11, 5: 1 << 9, 7: 1 << 9}.get(access, 0)
    return found | {8: 1 << 4, 0x18: 1 << 3}.get(how, 0)


def prove_valid(proof):
    """Valid entries: what a protection becomes, and when the processor may write."""
    entry, frame = z3.BitVecs("entry frame", 64)
    code = z3.BitVec("code", 32)
    is_dirty = z3.BitVec("is_dirty", 1)
    table = pick(code, [documented_hardware(i) for i in range(32)], 64)
    is_legal = z3.And(z3.ULT(code, 32), z3.ULT(frame, 1 << 40), (code & 7) != 0)
    is_plain = z3.And(is_legal, (code & 0x18) != 0x10)
    made = proof.call("hardware", frame, code, is_dirty)
    dirty = z3.If(z3.And(is_dirty == 1, bit(table, 11)), v64(0x42), v64(0))
    proof.equal("protection bits", proof.call("protection_bits", code), table, z3.ULT(code, 32))
    proof.equal("hardware", made, table | v64(0x25) | frame << 12 | dirty, is_legal)
    shared = proof.call("shared", frame, code, is_dirty)
    code64 = z3.ZeroExt(32, code)
    proof.equal("shared", shared, made | v64(1 << 55) | (code64 & 7) << 60, is_legal)
    proof.equal("its own protection", proof.call("own_protection", shared), code, is_plain)
    proof.equal("the frame of it", proof.call("get_HW_FRAME", made), frame, is_legal)
    proof.equal("entry address", proof.call("entry_address", entry), bits(entry, 51, 12) << 12)


def prove_protections(proof):
    """Win32's protections and the codes, both ways, for every 32-bit number."""
    win32, code, region = z3.BitVecs("win32 code region", 32)
    legal = {}
    for number in range(32):
        access, how = number & 7, number & 0x18
        if access != 0:
            legal[WIN32[access] | MODIFIERS[how]] = number
    legal[1] = 0x18
    private = {w: c for w, c in legal.items() if not w & 0x88}
    for name, codes in (("view", legal), ("private", private)):
        is_in = z3.Or([win32 == w for w in codes])
        expected = v32(0)
        for w, c in codes.items():
            expected = z3.If(win32 == w, v32(c), expected)
        proof.equal(f"legal for {name}", proof.call(f"is_{name}", win32), is_in)
        proof.equal(f"code for {name}", proof.call(f"{name}_code", win32), expected)
    names = [1 if number & 7 == 0 else WIN32[number & 7] | MODIFIERS[number & 0x18]
             for number in range(32)]
    proof.equal("to Win32", proof.call("to_win32", code), pick(code, names, 32), z3.ULT(code, 32))
    is_mappable = z3.And((code & 7) != 0, (code & 0x18) != 0x10)
    has_cache = z3.And((region & 7) != 0, (region & 0x18) != 0x10)
    expected = z3.If(is_mappable, code & 7 | z3.If(has_cache, region & 0x18, v32(0)), code)
    proof.equal("in a region", proof.call("in_region", code, region), expected,
                z3.ULT(code, 32), z3.ULT(region, 32))


def extended(address, top):
    """An address whose bits above `top` are copies of it."""
    return z3.SignExt(63 - top, z3.Extract(top, 0, address))


def prove_addresses(proof):
    """Canonical addresses, indices, reserved bits, and the self map."""
    address = z3.BitVec("address", 64)
    slot, width = z3.BitVecs("slot width", 32)
    for levels, top in ((4, 47), (5, 56)):
        above = z3.Extract(63, top, address)
        is_canonical = z3.Or(above == 0, ~above == 0)
        proof.equal(f"canonical {levels}", proof.call(f"canonical_{levels}", address), is_canonical)
        proof.equal(f"extended {levels}", proof.call(f"extend_{levels}", address),
                    extended(address, top))
    for level in range(1, 6):
        low = 3 + 9 * level
        proof.equal(f"index {level}", proof.call(f"index_{level}", address),
                    z3.ZeroExt(23, z3.Extract(low + 8, low, address)))
    proof.equal("reserved bits", proof.call("reserved_bits", width),
                v64(2**52 - 1) & ~((v64(1) << z3.ZeroExt(32, width)) - 1),
                z3.UGE(width, 32), z3.ULE(width, 52))
    for levels, top in ((4, 47), (5, 56)):
        prove_selfmap(proof, levels, top, address, slot)


def prove_selfmap(proof, levels, top, address, slot):
    """Where the entry of an address is seen, and of what address an entry seen is."""
    when = [z3.UGE(slot, 256), z3.ULT(slot, 512)]
    nine = z3.Extract(8, 0, slot)
    for level in range(1, levels + 1):
        # the walk from the root: `level` times the slot, then the highest indices of the address
        rest = z3.Extract(top, 3 + 9 * level, address)
        seen = z3.Concat(*([nine] * level + [rest]), z3.BitVecVal(0, 3))
        seen = extended(z3.ZeroExt(64 - seen.size(), seen), top)
        name = f"{levels}_{level}"
        found = proof.call(f"seen_{name}", slot, address)
        proof.equal(f"self map {name}", found, seen, *when)
        low = 3 + 9 * level
        proof.equal(f"self map back {name}", proof.call(f"unseen_{name}", found),
                    extended(address & v64(~((1 << low) - 1) % 2**64), top), *when)


def prove_arithmetic(proof):
    """Checked arithmetic, against numbers of 128 bits."""
    a, b = z3.BitVecs("a b", 64)
    wide_a, wide_b = z3.ZeroExt(64, a), z3.ZeroExt(64, b)
    is_power = z3.Or([b == v64(1 << i) for i in range(64)])
    for name, wide in (("sum", wide_a + wide_b), ("product", wide_a * wide_b)):
        proof.equal(name, proof.call(name, a, b), z3.Extract(63, 0, wide))
        proof.equal(f"{name} overflows", proof.call(f"{name}_overflows", a, b),
                    z3.Extract(127, 64, wide) != 0)
    proof.equal("power of two", proof.call("power_of_two", b), is_power)
    down = proof.call("round_down", a, b)
    # the largest multiple: one below which a lies by less than a unit
    proof.equal("round down is a multiple", down & (b - 1), v64(0), is_power)
    proof.equal("round down is the last", z3.And(z3.ULE(down, a), z3.ULT(a - down, b)),
                z3.BoolVal(True), is_power)
    up = (wide_a + wide_b - 1) & ~(wide_b - 1)
    for name in ("round_up", "rounded"):
        proof.equal(name, proof.call(name, a, b), z3.Extract(63, 0, up), is_power)
    proof.equal("rounded overflows", proof.call("rounded_overflows", a, b),
                z3.Extract(127, 64, up) != 0, is_power)
    proof.equal("multiple", proof.call("multiple", a, b), a & (b - 1) == 0, is_power)
    proof.equal("min", proof.call("min", a, b), z3.If(z3.ULT(a, b), a, b))
    proof.equal("max", proof.call("max", a, b), z3.If(z3.ULT(a, b), b, a))


def prove_logarithms(proof):
    """The exponents of the powers of two around a number."""
    a = z3.BitVec("a", 64)
    floor, ceiling = proof.call("floor_log2", a), proof.call("ceil_log2", a)
    for i in range(64):
        proof.equal(f"floor log2 {i}", floor, v32(i), z3.LShR(a, i) == 1)
        proof.equal(f"ceil log2 {i + 1}", ceiling, v32(i + 1), z3.LShR(a - 1, i) == 1, a != 0)
    proof.equal("ceil log2 0", ceiling, v32(0), a == 1)


PARTS = [prove_fields, prove_invalid, prove_valid, prove_protections, prove_addresses,
         prove_arithmetic, prove_logarithms]


def prove(clang, core, parts):
    """Compile, and prove some parts of it; the proof."""
    command = [clang, *FLAGS, f"-I{core}", f"-I{core / 'include'}", str(HERE / "proved.c")]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    proof = Proof(ir.Module(text))
    proof.text = text
    for part in parts:
        part(proof)
    return proof


# One wrong place each: what is proved of it, file, a pattern that stands there once, what stands
# there instead, and what must be refuted by it.
PLANTS = [
    (prove_fields, "x64/formats.h", r'"PageFileLow", 12, 4\)(\s*\\\n.*)16, 10\)',
     r'"PageFileLow", 12, 5)\g<1>17, 9)', "get SW_PAGEFILE_LOW"),
    (prove_fields, "x64/formats.h", r'TR, FRAME, "PageFrameNumber", 12, 40\)(\s*\\\n.*)52, 12\)',
     r'TR, FRAME, "PageFrameNumber", 12, 36)\g<1>48, 16)', "get TR_FRAME"),
    (prove_fields, "x64/formats.h", r"\(address \^ 1ull << 47\) - \(1ull << 47\)", "address",
     "proto_address"),
    (prove_invalid, "x64/formats.h", r"\(value & mask\) == 0 \? value \| mask :",
     "mask ? value ^ mask :", "X2"),
    (prove_invalid, "x64/formats.h", r"if \(value & FIELD_MASK\(SW_PROTOTYPE\)\)",
     "if (value == 1)", "kind"),
    (prove_invalid, "x64/formats.h", r"\(level == 2 \|\| level == 3\)", "(level >= 2)", "kind"),
    (prove_invalid, "x64/formats.h", "0xFFFFFFFF00000400ull", "0xFFFFFFFF00000800ull", "prototype"),
    (prove_invalid, "phys/slots.h", r"slot \? file : 0", "file", "slot_set"),
    (prove_valid, "x64/formats.c", r"PROT_EXECUTE_WRITECOPY\] = COPY",
     "PROT_EXECUTE_WRITECOPY] = WRITE", "protection bits"),
    (prove_valid, "space/entry.c", r"if \(is_dirty && .*HW_WRITE\)\)\)", "if (is_dirty)",
     "hardware"),
    (prove_protections, "space/protection.c", r"PROT_GUARD;\n        return access != 0;",
     "PROT_GUARD;\n        return true;", "legal for view"),
    (prove_addresses, "x64/formats.h", r"return 12 \+ 9 \* levels;", "return 11 + 9 * levels;",
     "canonical"),
    (prove_addresses, "x64/formats.h", r"<< x64_level_shift\(levels\)\) - 8",
     "<< x64_level_shift(levels)) - 1", "self map"),
    (prove_arithmetic, "base/bits.h", r"return \*sum < a;", "return *sum <= a;", "sum overflows"),
    (prove_arithmetic, "base/bits.h", r"return \*rounded < value;", "return *rounded < unit;",
     "rounded overflows"),
    (prove_logarithms, "base/bits.h", r"\(is_power_of_two\(value\) \? 0u : 1u\)", "1u",
     "ceil log2"),
]


def is_found(clang, plant):
    """Whether the proof of a copy of the core with one plant is refuted for what it is."""
    part, path, pattern, instead, expected = plant
    with tempfile.TemporaryDirectory() as folder:
        core = pathlib.Path(folder) / "core"
        shutil.copytree(CORE, core)
        spoiled, count = re.subn(pattern, instead, (core / path).read_text())
        if count != 1:
            print(f"{path}: {pattern} stands there {count} times")
            return False
        (core / path).write_text(spoiled)
        return any(expected in line for line in prove(clang, core, [part]).refuted)


def run_plants(clang):
    """How many plants are missed."""
    missed = 0
    for plant in PLANTS:
        found = is_found(clang, plant)
        print("found: " if found else "MISSED:", plant[1] + ":", plant[4], flush=True)
        missed += not found
    return missed


def main():
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clang", default="clang-19")
    parser.add_argument("--plant", action="store_true", help="spoil the sources, and find it")
    arguments = parser.parse_args()
    if not shutil.which(arguments.clang):
        print(f"skipped: {arguments.clang} is missing")
        return 77
    if arguments.plant:
        return 1 if run_plants(arguments.clang) else 0
    proof = prove(arguments.clang, CORE, PARTS)
    for line in proof.refuted:
        print("refuted:", line)
    print(f"{proof.proved} proved, {len(proof.refuted)} not")
    return 1 if proof.refuted else 0


if __name__ == "__main__":
    sys.exit(main())
