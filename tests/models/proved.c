/*
 * What tests/models/formats.py proves: the functions of the core that pack and unpack words, each
 * under a name of its own and without memory. The script compiles this file to LLVM's intermediate
 * form, reads it into z3, and compares it with a description made from documents. So the proof is
 * of the compiled code, whatever its tables say.
 */
#include "base/bits.h"
#include "space/entry.c"
#include "space/protection.c"
#include "x64/formats.c"

/* Declared where they are defined: nobody calls them. */
#define PROVE(type, name, ...)                                                                     \
    type prove_##name(__VA_ARGS__);                                                                \
    type prove_##name(__VA_ARGS__)

/* --- fields --- */

#define PROVE_FIELD(format, field, windows, shift, width)                                          \
    PROVE(uint64_t, get_##format##_##field, uint64_t entry)                                        \
    {                                                                                              \
        return field_get(entry, format##_##field);                                                 \
    }                                                                                              \
    PROVE(uint64_t, set_##format##_##field, uint64_t entry, uint64_t value)                        \
    {                                                                                              \
        return field_set(entry, format##_##field, value);                                          \
    }
#define PROVE_FORMAT(format, windows) X64_FIELDS_##format(PROVE_FIELD)
X64_FORMATS(PROVE_FORMAT)

PROVE(uint64_t, proto_address, uint64_t entry) { return field_get_address(entry, PROTO_ADDRESS); }
PROVE(uint64_t, subsection_address, uint64_t entry)
{
    return field_get_address(entry, SUBSECTION_ADDRESS);
}
PROVE(uint64_t, lookup_needed, void) { return PROTO_LOOKUP_NEEDED; }
PROVE(bool, is_lookup_needed, uint64_t value) { return proto_is_lookup_needed(value); }

/* --- entries that are not valid --- */

PROVE(uint64_t, encode, uint64_t value, uint64_t mask) { return invalid_encode(value, mask); }
PROVE(uint64_t, decode, uint64_t entry, uint64_t mask) { return invalid_decode(entry, mask); }
PROVE(uint32_t, kind, uint64_t entry, uint32_t level, uint64_t mask)
{
    return pte_kind(entry, level, mask);
}
PROVE(uint64_t, software, uint32_t protection) { return entry_software(protection); }
PROVE(uint64_t, transition, uint32_t protection, uint64_t frame)
{
    return entry_transition(protection, frame);
}
PROVE(uint64_t, prototype, uint32_t protection) { return entry_prototype(protection); }
PROVE(uint64_t, slot_of, uint64_t value) { return slot_of(value); }
PROVE(uint32_t, slot_file, uint64_t value) { return slot_file(value); }
PROVE(uint64_t, slot_set, uint64_t value, uint32_t file, uint64_t slot)
{
    return slot_set(value, file, slot);
}
PROVE(bool, is_of_file, uint64_t value) { return entry_is_of_file(value); }
PROVE(bool, is_disposable, uint64_t value) { return entry_is_disposable(value); }

/* --- valid entries --- */

PROVE(uint64_t, protection_bits, uint32_t protection)
{
    return x64_protection_bits[protection & 31];
}
PROVE(uint64_t, hardware, uint64_t frame, uint32_t protection, bool is_dirty)
{
    return entry_hardware(frame, protection & 31, is_dirty);
}
PROVE(uint64_t, shared, uint64_t frame, uint32_t protection, bool is_dirty)
{
    return entry_with_protection(frame, protection & 31, is_dirty, ENTRY_SHARED);
}
PROVE(uint32_t, own_protection, uint64_t entry) { return entry_own_protection(entry); }
PROVE(uint64_t, entry_address, uint64_t entry) { return x64_entry_address(entry); }

/* --- protections --- */

PROVE(bool, is_private, uint32_t win32)
{
    uint32_t code;
    return protection_of_private(win32, &code);
}
PROVE(uint32_t, private_code, uint32_t win32)
{
    uint32_t code = 0;
    return protection_of_private(win32, &code) ? code : 0;
}
PROVE(bool, is_view, uint32_t win32)
{
    uint32_t code;
    return protection_of_view(win32, &code);
}
PROVE(uint32_t, view_code, uint32_t win32)
{
    uint32_t code = 0;
    return protection_of_view(win32, &code) ? code : 0;
}
PROVE(uint32_t, to_win32, uint32_t code) { return protection_to_win32(code & 31); }
PROVE(uint32_t, in_region, uint32_t wanted, uint32_t region)
{
    return protection_in_region(wanted & 31, region & 31);
}

/* --- addresses --- */

#define PROVE_LEVELS(levels)                                                                       \
    PROVE(uint64_t, extend_##levels, uint64_t va) { return x64_sign_extend(va, levels); }          \
    PROVE(bool, canonical_##levels, uint64_t va) { return x64_is_canonical(va, levels); }
PROVE_LEVELS(4)
PROVE_LEVELS(5)

#define PROVE_LEVEL(level)                                                                         \
    PROVE(uint32_t, index_##level, uint64_t va) { return x64_index(va, level); }
PROVE_LEVEL(1)
PROVE_LEVEL(2)
PROVE_LEVEL(3)
PROVE_LEVEL(4)
PROVE_LEVEL(5)

#define PROVE_SELFMAP(levels, level)                                                               \
    PROVE(uint64_t, seen_##levels##_##level, uint32_t slot, uint64_t va)                           \
    {                                                                                              \
        return selfmap_entry_address(slot, levels, level, va);                                     \
    }                                                                                              \
    PROVE(uint64_t, unseen_##levels##_##level, uint64_t entry)                                     \
    {                                                                                              \
        return selfmap_va_of_entry(levels, level, entry);                                          \
    }
PROVE_SELFMAP(4, 1)
PROVE_SELFMAP(4, 2)
PROVE_SELFMAP(4, 3)
PROVE_SELFMAP(4, 4)
PROVE_SELFMAP(5, 1)
PROVE_SELFMAP(5, 2)
PROVE_SELFMAP(5, 3)
PROVE_SELFMAP(5, 4)
PROVE_SELFMAP(5, 5)

PROVE(uint64_t, reserved_bits, uint32_t bits) { return x64_reserved_address_bits(bits); }

/* --- checked arithmetic --- */

PROVE(uint64_t, sum, uint64_t a, uint64_t b)
{
    uint64_t sum;
    (void)add_overflows(a, b, &sum);
    return sum;
}
PROVE(bool, sum_overflows, uint64_t a, uint64_t b)
{
    uint64_t sum;
    return add_overflows(a, b, &sum);
}
PROVE(uint64_t, product, uint64_t a, uint64_t b)
{
    uint64_t product;
    (void)mul_overflows(a, b, &product);
    return product;
}
PROVE(bool, product_overflows, uint64_t a, uint64_t b)
{
    uint64_t product;
    return mul_overflows(a, b, &product);
}
PROVE(bool, power_of_two, uint64_t value) { return is_power_of_two(value); }
PROVE(uint64_t, round_down, uint64_t value, uint64_t unit) { return round_down(value, unit); }
PROVE(uint64_t, round_up, uint64_t value, uint64_t unit) { return round_up(value, unit); }
PROVE(uint64_t, rounded, uint64_t value, uint64_t unit)
{
    uint64_t rounded;
    (void)round_up_overflows(value, unit, &rounded);
    return rounded;
}
PROVE(bool, rounded_overflows, uint64_t value, uint64_t unit)
{
    uint64_t rounded;
    return round_up_overflows(value, unit, &rounded);
}
PROVE(bool, multiple, uint64_t value, uint64_t unit) { return is_multiple(value, unit); }
PROVE(uint64_t, min, uint64_t a, uint64_t b) { return min_u64(a, b); }
PROVE(uint64_t, max, uint64_t a, uint64_t b) { return max_u64(a, b); }
PROVE(uint32_t, floor_log2, uint64_t value) { return floor_log2(value); }
PROVE(uint32_t, ceil_log2, uint64_t value) { return ceil_log2(value); }
