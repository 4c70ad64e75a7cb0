/*
 * Page-table entries as data.
 *
 * Each format is one table of (field, NT's name, shift, width). From it come the enumerators that
 * the accessors take (HW_FRAME, SW_PROTECTION, ...; shift in bits 7:0, width in 15:8), a table for
 * printing (formats.c), and the proof that the widths sum to 64 and no bit has two owners.
 *
 *   valid (bit 0 = 1)      HW a 4 KiB leaf or a table, HWL a 2 MiB leaf
 *   not valid (bit 0 = 0)  SW software, TR transition, PROTO prototype, SUBSECTION, LIST
 *
 * Invariants
 *   X1  every bit of an entry belongs to exactly one field of each format (proved at compile time);
 *   X2  a not-valid entry reaches memory only through invalid_encode and is looked at only after
 *       invalid_decode; the two are inverse for every value whose SwizzleBit is 0;
 *   X3  an empty entry is zero whatever the swizzle mask, so a zeroed frame is an empty table.
 *
 * It holds no state and knows nothing of frames, locks or address spaces.
 * Sources: processor manuals; symbol-derived listings of MMPTE_* (Windows 10 2004 .. 11, 40-bit
 * frame numbers); the swizzle rule as memory-forensics tools read it.
 */
#ifndef NTMM_X64_FORMATS_H
#define NTMM_X64_FORMATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(format, FIELD, "Windows' name", shift, width); lowest bit first. */

/* A valid entry: a 4 KiB leaf (LargePage is its PAT bit, never set here) or a table above one. */
#define X64_FIELDS_HW(X)                                                                           \
    X(HW, VALID, "Valid", 0, 1)                                                                    \
    X(HW, DIRTY1, "Dirty1", 1, 1)                                                                  \
    X(HW, OWNER, "Owner", 2, 1)                                                                    \
    X(HW, WRITE_THROUGH, "WriteThrough", 3, 1)                                                     \
    X(HW, CACHE_DISABLE, "CacheDisable", 4, 1)                                                     \
    X(HW, ACCESSED, "Accessed", 5, 1)                                                              \
    X(HW, DIRTY, "Dirty", 6, 1)                                                                    \
    X(HW, LARGE_PAGE, "LargePage", 7, 1)                                                           \
    X(HW, GLOBAL, "Global", 8, 1)                                                                  \
    X(HW, COPY_ON_WRITE, "CopyOnWrite", 9, 1)                                                      \
    X(HW, UNUSED10, "Unused", 10, 1)                                                               \
    X(HW, WRITE, "Write", 11, 1)                                                                   \
    X(HW, FRAME, "PageFrameNumber", 12, 40)                                                        \
    X(HW, SOFTWARE, "ReservedForSoftware", 52, 4)                                                  \
    X(HW, AGE, "WsleAge", 56, 4)                                                                   \
    X(HW, WS_PROTECTION, "WsleProtection", 60, 3)                                                  \
    X(HW, NO_EXECUTE, "NoExecute", 63, 1)

/* A valid 2 MiB leaf. FRAME counts units of 2 MiB. */
#define X64_FIELDS_HWL(X)                                                                          \
    X(HWL, VALID, "Valid", 0, 1)                                                                   \
    X(HWL, DIRTY1, "Dirty1", 1, 1)                                                                 \
    X(HWL, OWNER, "Owner", 2, 1)                                                                   \
    X(HWL, WRITE_THROUGH, "WriteThrough", 3, 1)                                                    \
    X(HWL, CACHE_DISABLE, "CacheDisable", 4, 1)                                                    \
    X(HWL, ACCESSED, "Accessed", 5, 1)                                                             \
    X(HWL, DIRTY, "Dirty", 6, 1)                                                                   \
    X(HWL, LARGE_PAGE, "LargePage", 7, 1)                                                          \
    X(HWL, GLOBAL, "Global", 8, 1)                                                                 \
    X(HWL, COPY_ON_WRITE, "CopyOnWrite", 9, 1)                                                     \
    X(HWL, UNUSED10, "Unused", 10, 1)                                                              \
    X(HWL, WRITE, "Write", 11, 1)                                                                  \
    X(HWL, PAT, "PAT", 12, 1)                                                                      \
    X(HWL, RESERVED, "Reserved", 13, 8)                                                            \
    X(HWL, FRAME, "PageFrameNumber", 21, 31)                                                       \
    X(HWL, SOFTWARE, "ReservedForSoftware", 52, 4)                                                 \
    X(HWL, AGE, "WsleAge", 56, 4)                                                                  \
    X(HWL, WS_PROTECTION, "WsleProtection", 60, 3)                                                 \
    X(HWL, NO_EXECUTE, "NoExecute", 63, 1)

/* MMPTE_SOFTWARE: demand zero, decommitted, no access, or a page-file slot. USED is meaningful in
 * an entry that stands for a page table which is not in memory: its count of used entries. */
#define X64_FIELDS_SW(X)                                                                           \
    X(SW, VALID, "Valid", 0, 1)                                                                    \
    X(SW, PAGEFILE_RESERVED, "PageFileReserved", 1, 1)                                             \
    X(SW, PAGEFILE_ALLOCATED, "PageFileAllocated", 2, 1)                                           \
    X(SW, COLD_PAGE, "ColdPage", 3, 1)                                                             \
    X(SW, SWIZZLE, "SwizzleBit", 4, 1)                                                             \
    X(SW, PROTECTION, "Protection", 5, 5)                                                          \
    X(SW, PROTOTYPE, "Prototype", 10, 1)                                                           \
    X(SW, TRANSITION, "Transition", 11, 1)                                                         \
    X(SW, PAGEFILE_LOW, "PageFileLow", 12, 4)                                                      \
    X(SW, USED, "UsedPageTableEntries", 16, 10)                                                    \
    X(SW, SHADOW_STACK, "ShadowStack", 26, 1)                                                      \
    X(SW, STANDBY_LOOKASIDE, "OnStandbyLookaside", 27, 1)                                          \
    X(SW, UNUSED28, "Unused", 28, 4)                                                               \
    X(SW, PAGEFILE_HIGH, "PageFileHigh", 32, 32)

/* MMPTE_TRANSITION: the page is still in memory, at FRAME. */
#define X64_FIELDS_TR(X)                                                                           \
    X(TR, VALID, "Valid", 0, 1)                                                                    \
    X(TR, WRITE, "Write", 1, 1)                                                                    \
    X(TR, STANDBY_LOOKASIDE, "OnStandbyLookaside", 2, 1)                                           \
    X(TR, IO_TRACKER, "IoTracker", 3, 1)                                                           \
    X(TR, SWIZZLE, "SwizzleBit", 4, 1)                                                             \
    X(TR, PROTECTION, "Protection", 5, 5)                                                          \
    X(TR, PROTOTYPE, "Prototype", 10, 1)                                                           \
    X(TR, TRANSITION, "Transition", 11, 1)                                                         \
    X(TR, FRAME, "PageFrameNumber", 12, 40)                                                        \
    X(TR, UNUSED52, "Unused", 52, 12)

/* MMPTE_PROTOTYPE: see the shared master entry at ADDRESS (48 bits, signed). */
#define X64_FIELDS_PROTO(X)                                                                        \
    X(PROTO, VALID, "Valid", 0, 1)                                                                 \
    X(PROTO, DEMAND_FILL, "DemandFillProto", 1, 1)                                                 \
    X(PROTO, HIBER_CONVERTED, "HiberVerifyConverted", 2, 1)                                        \
    X(PROTO, READ_ONLY, "ReadOnly", 3, 1)                                                          \
    X(PROTO, SWIZZLE, "SwizzleBit", 4, 1)                                                          \
    X(PROTO, PROTECTION, "Protection", 5, 5)                                                       \
    X(PROTO, PROTOTYPE, "Prototype", 10, 1)                                                        \
    X(PROTO, COMBINED, "Combined", 11, 1)                                                          \
    X(PROTO, UNUSED12, "Unused", 12, 4)                                                            \
    X(PROTO, ADDRESS, "ProtoAddress", 16, 48)

/* MMPTE_SUBSECTION: in a prototype entry only; the page lies in the file of a subsection. */
#define X64_FIELDS_SUBSECTION(X)                                                                   \
    X(SUBSECTION, VALID, "Valid", 0, 1)                                                            \
    X(SUBSECTION, UNUSED1, "Unused", 1, 2)                                                         \
    X(SUBSECTION, STANDBY_LOOKASIDE, "OnStandbyLookaside", 3, 1)                                   \
    X(SUBSECTION, SWIZZLE, "SwizzleBit", 4, 1)                                                     \
    X(SUBSECTION, PROTECTION, "Protection", 5, 5)                                                  \
    X(SUBSECTION, PROTOTYPE, "Prototype", 10, 1)                                                   \
    X(SUBSECTION, COLD_PAGE, "ColdPage", 11, 1)                                                    \
    X(SUBSECTION, UNUSED12, "Unused", 12, 3)                                                       \
    X(SUBSECTION, EXECUTE_PRIVILEGE, "ExecutePrivilege", 15, 1)                                    \
    X(SUBSECTION, ADDRESS, "SubsectionAddress", 16, 48)

/* MMPTE_LIST: a free entry in a list of free entries. */
#define X64_FIELDS_LIST(X)                                                                         \
    X(LIST, VALID, "Valid", 0, 1)                                                                  \
    X(LIST, ONE_ENTRY, "OneEntry", 1, 1)                                                           \
    X(LIST, FILLER2, "filler0", 2, 2)                                                              \
    X(LIST, SWIZZLE, "SwizzleBit", 4, 1)                                                           \
    X(LIST, PROTECTION, "Protection", 5, 5)                                                        \
    X(LIST, PROTOTYPE, "Prototype", 10, 1)                                                         \
    X(LIST, TRANSITION, "Transition", 11, 1)                                                       \
    X(LIST, FILLER12, "filler1", 12, 13)                                                           \
    X(LIST, NEXT_ENTRY, "NextEntry", 25, 39)

/* Y(format, NT's name) */
#define X64_FORMATS(Y)                                                                             \
    Y(HW, "MMPTE_HARDWARE")                                                                        \
    Y(HWL, "MMPTE_HARDWARE_LARGEPAGE")                                                             \
    Y(SW, "MMPTE_SOFTWARE")                                                                        \
    Y(TR, "MMPTE_TRANSITION")                                                                      \
    Y(PROTO, "MMPTE_PROTOTYPE")                                                                    \
    Y(SUBSECTION, "MMPTE_SUBSECTION")                                                              \
    Y(LIST, "MMPTE_LIST")

#define X64_FIELD_ENUM(format, field, name, shift, width) format##_##field = (shift) | (width) << 8,
#define X64_FORMAT_ENUM(format, name) X64_FORMAT_##format,
#define X64_FIELD_ONE(format, field, name, shift, width) +1
#define X64_FORMAT_ONES(format, name) X64_FIELDS_##format(X64_FIELD_ONE)

enum x64_format { X64_FORMATS(X64_FORMAT_ENUM) X64_FORMAT_COUNT };
enum { X64_FIELDS_HW(X64_FIELD_ENUM) };
enum { X64_FIELDS_HWL(X64_FIELD_ENUM) };
enum { X64_FIELDS_SW(X64_FIELD_ENUM) };
enum { X64_FIELDS_TR(X64_FIELD_ENUM) };
enum { X64_FIELDS_PROTO(X64_FIELD_ENUM) };
enum { X64_FIELDS_SUBSECTION(X64_FIELD_ENUM) };
enum { X64_FIELDS_LIST(X64_FIELD_ENUM) };
enum { X64_FIELD_COUNT = 0 X64_FORMATS(X64_FORMAT_ONES) };

/* X1: 64 bits of width in all, and together every bit: then no two fields overlap. */
#define X64_FIELD_WIDTH(format, field, name, shift, width) +(width)
#define X64_FIELD_BITS(format, field, name, shift, width) | (~0ull >> (64 - (width)) << (shift))
#define X64_FORMAT_PROOF(format, name)                                                             \
    _Static_assert(0 X64_FIELDS_##format(X64_FIELD_WIDTH) == 64, name ": widths");                 \
    _Static_assert((0ull X64_FIELDS_##format(X64_FIELD_BITS)) == ~0ull, name ": cover");
X64_FORMATS(X64_FORMAT_PROOF)
#undef X64_FORMAT_PROOF
#undef X64_FIELD_WIDTH
#undef X64_FIELD_BITS
#undef X64_FORMAT_ONES
#undef X64_FIELD_ONE
#undef X64_FORMAT_ENUM
#undef X64_FIELD_ENUM

/* The bits of a field in place. A constant expression where field is an enumerator. */
#define FIELD_MASK(field) (~0ull >> (64u - ((unsigned)(field) >> 8)) << ((unsigned)(field) & 0xFFu))

static inline uint64_t field_mask(unsigned field) { return FIELD_MASK(field); }

static inline uint64_t field_get(uint64_t entry, unsigned field)
{
    return entry >> (field & 0xFF) & (~0ull >> (64 - (field >> 8)));
}

/* The entry with a field replaced; bits of value above the field's width are dropped. */
static inline uint64_t field_set(uint64_t entry, unsigned field, uint64_t value)
{
    uint64_t mask = field_mask(field);
    return (entry & ~mask) | (value << (field & 0xFF) & mask);
}

/* A 48-bit signed address field (PROTO_ADDRESS, SUBSECTION_ADDRESS) as the address it names. */
static inline uint64_t field_get_address(uint64_t entry, unsigned field)
{
    uint64_t address = field_get(entry, field);
    return (address ^ 1ull << 47) - (1ull << 47);
}

/* For printing and round-trip tests. */
struct x64_field {
    enum x64_format format;
    const char *name; /* as Windows' symbols spell it */
    unsigned shift;   /* lowest bit */
    unsigned width;   /* bits */
};

/* Grouped by format, lowest bit first. */
extern const struct x64_field x64_fields[X64_FIELD_COUNT];
extern const char *const x64_format_names[X64_FORMAT_COUNT];

/* Protection codes: SW_PROTECTION and its like, and of VADs. Bits 2:0 say what, 4:3 how. */
enum {
    PROT_ZERO_ACCESS = 0,
    PROT_READONLY = 1,
    PROT_EXECUTE = 2, /* readable on x64 */
    PROT_EXECUTE_READ = 3,
    PROT_READWRITE = 4,
    PROT_WRITECOPY = 5,
    PROT_EXECUTE_READWRITE = 6,
    PROT_EXECUTE_WRITECOPY = 7,
    PROT_ACCESS_MASK = 7,
    PROT_NOCACHE = 0x08,
    PROT_GUARD = 0x10,
    PROT_WRITECOMBINE = 0x18,
    PROT_MODIFIER_MASK = 0x18,
    PROT_DECOMMITTED = 0x10, /* PROT_GUARD of nothing */
    PROT_NOACCESS = 0x18,    /* PROT_WRITECOMBINE of nothing */
    PROT_KSTACK_OUTSWAPPED = 0x1F,
    PROT_COUNT = 32,
};

/* Hardware bits of a valid, clean entry of each protection code: Write for what may be written
 * (Dirty1, the processor's own write bit, comes with the first write), CopyOnWrite, NoExecute, and
 * the cache bits. Valid, Owner, Accessed and the frame are the caller's. 0 for codes that no valid
 * entry carries (nothing accessible). Guard codes give what follows the guard. */
extern const uint64_t x64_protection_bits[PROT_COUNT];

/* What an entry is; also the order in which it is decided. */
enum pte_kind {
    PTE_ZERO,        /* nothing known here: ask the VAD */
    PTE_VALID,       /* a table, or a 4 KiB leaf at level 1 */
    PTE_LARGE,       /* a leaf at level 2 or 3 */
    PTE_DEMAND_ZERO, /* SW, no slot */
    PTE_DECOMMITTED, /* SW, PROT_DECOMMITTED */
    PTE_NO_ACCESS,   /* SW, PROT_NOACCESS */
    PTE_PAGEFILE,    /* SW, slot PAGEFILE_HIGH of file PAGEFILE_LOW */
    PTE_TRANSITION,  /* TR */
    PTE_PROTOTYPE,   /* PROTO; SUBSECTION if the entry is itself a prototype entry */
};

/* PROTO with this upper half: the master entry is found through the VAD, PROTECTION holds here. */
#define PROTO_LOOKUP_NEEDED 0xFFFFFFFF00000400ull

static inline bool proto_is_lookup_needed(uint64_t value) { return value >> 32 == 0xFFFFFFFF; }

/* The stored form of a not-valid value (X2, X3). mask: one address bit above all memory, or 0. */
static inline uint64_t invalid_encode(uint64_t value, uint64_t mask)
{
    if (mask == 0 || value == 0)
        return value;
    return (value & mask) == 0 ? value | mask : value | FIELD_MASK(SW_SWIZZLE);
}

/* The value of a stored not-valid entry. */
static inline uint64_t invalid_decode(uint64_t entry, uint64_t mask)
{
    if (mask == 0)
        return entry;
    if ((entry & FIELD_MASK(SW_SWIZZLE)) == 0)
        return entry & ~mask;
    return entry & ~FIELD_MASK(SW_SWIZZLE);
}

/* level: 1 a PTE, 2 PDE, 3 PPE, 4 PXE, 5. LargePage counts only in a valid entry of level 2 or 3:
 * in a not-valid one its bit is part of the protection. */
static inline enum pte_kind pte_kind(uint64_t entry, unsigned level, uint64_t swizzle_mask)
{
    if (entry & FIELD_MASK(HW_VALID)) {
        bool leaf_above = (level == 2 || level == 3) && (entry & FIELD_MASK(HW_LARGE_PAGE));
        return leaf_above ? PTE_LARGE : PTE_VALID;
    }
    uint64_t value = invalid_decode(entry, swizzle_mask);
    if (value == 0)
        return PTE_ZERO;
    if (value & FIELD_MASK(SW_PROTOTYPE))
        return PTE_PROTOTYPE;
    if (value & FIELD_MASK(SW_TRANSITION))
        return PTE_TRANSITION;
    if (value & FIELD_MASK(SW_PAGEFILE_HIGH))
        return PTE_PAGEFILE;
    uint64_t protection = field_get(value, SW_PROTECTION);
    if (protection == PROT_DECOMMITTED)
        return PTE_DECOMMITTED;
    return protection == PROT_NOACCESS ? PTE_NO_ACCESS : PTE_DEMAND_ZERO;
}

/* Page-fault error code. */
enum {
    PF_PRESENT = 1 << 0, /* 0: some entry not present; 1: rights or reserved bits */
    PF_WRITE = 1 << 1,
    PF_USER = 1 << 2, /* at CPL 3, and not an implicit supervisor access */
    PF_RESERVED = 1 << 3,
    PF_FETCH = 1 << 4, /* only with EFER.NXE or CR4.SMEP */
    PF_KEY = 1 << 5,
    PF_SHADOW_STACK = 1 << 6,
};

enum { X64_PTE_LEVEL = 1, X64_PDE_LEVEL = 2, X64_PPE_LEVEL = 3, X64_PXE_LEVEL = 4 };

/* Lowest address bit that an entry of this level decides. */
static inline unsigned x64_level_shift(unsigned level) { return 12 + 9 * (level - 1); }

static inline unsigned x64_index(uint64_t va, unsigned level)
{
    return (unsigned)(va >> x64_level_shift(level)) & 511u;
}

/* Bits of a linear address that are translated: 48 or 57. */
static inline unsigned x64_va_bits(unsigned levels) { return 12 + 9 * levels; }

static inline uint64_t x64_sign_extend(uint64_t va, unsigned levels)
{
    uint64_t sign = 1ull << (x64_va_bits(levels) - 1);
    return ((va & (sign | (sign - 1))) ^ sign) - sign;
}

static inline bool x64_is_canonical(uint64_t va, unsigned levels)
{
    return x64_sign_extend(va, levels) == va;
}

/* Address bits 51:M, which must be zero in every present entry. max_phys_bits: 32..52. */
static inline uint64_t x64_reserved_address_bits(unsigned max_phys_bits)
{
    return (1ull << 52) - (1ull << max_phys_bits);
}

/* Physical address of the table or 4 KiB page that a valid entry names. */
static inline uint64_t x64_entry_address(uint64_t entry) { return entry & FIELD_MASK(HW_FRAME); }

/* The self map: slot of the root points to the root. The address at which the entry of va at a
 * level is seen. slot: 256..511 in NT; levels: of the walk. */
static inline uint64_t selfmap_entry_address(unsigned slot, unsigned levels, unsigned level,
                                             uint64_t va)
{
    uint64_t base = (uint64_t)slot << x64_level_shift(levels);
    uint64_t offset_mask = (1ull << x64_level_shift(levels)) - 8;
    for (; level > 0; level--)
        va = x64_sign_extend(base + (va >> 9 & offset_mask), levels);
    return va;
}

/* The lowest address that the entry seen at entry_va decides; inverse of selfmap_entry_address. */
static inline uint64_t selfmap_va_of_entry(unsigned levels, unsigned level, uint64_t entry_va)
{
    for (; level > 0; level--)
        entry_va = x64_sign_extend(entry_va << 9, levels);
    return entry_va;
}

#endif
