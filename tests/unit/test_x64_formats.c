/*
 * Entry formats: X1..X3 of core/x64/formats.h, decoding order, swizzle, self map, walk. Expected
 * values are literals worked out from the format listings, or printed by a debugger on Windows 10
 * 1909 (the golden vector); none is computed by the code under test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "x64/formats.h"
#include "x64/walk.h"

static void x1_fields_partition_every_format(void **state)
{
    (void)state;
    uint64_t covered[X64_FORMAT_COUNT] = {0};
    unsigned width_sum[X64_FORMAT_COUNT] = {0};
    for (size_t i = 0; i < X64_FIELD_COUNT; i++) {
        const struct x64_field *f = &x64_fields[i];
        uint64_t mask = field_mask(f->shift | f->width << 8);
        assert_int_equal(covered[f->format] & mask, 0);
        assert_int_equal(f->shift, width_sum[f->format]);
        covered[f->format] |= mask;
        width_sum[f->format] += f->width;
    }
    for (unsigned f = 0; f < X64_FORMAT_COUNT; f++) {
        assert_true(covered[f] == UINT64_MAX);
        assert_int_equal(width_sum[f], 64);
        assert_non_null(x64_format_names[f]);
    }
}

/* Every field holds every one-bit value and all ones, over all-zero and all-one surroundings. */
static void fields_round_trip(void **state)
{
    (void)state;
    for (size_t i = 0; i < X64_FIELD_COUNT; i++) {
        unsigned field = x64_fields[i].shift | x64_fields[i].width << 8;
        uint64_t mask = field_mask(field);
        for (unsigned bit = 0; bit <= x64_fields[i].width; bit++) {
            bool all = bit == x64_fields[i].width;
            uint64_t value = all ? mask >> x64_fields[i].shift : 1ull << bit;
            uint64_t low = field_set(0, field, value), high = field_set(UINT64_MAX, field, value);
            assert_true(field_get(low, field) == value && field_get(high, field) == value);
            assert_true((low & ~mask) == 0 && (high | mask) == UINT64_MAX);
        }
        assert_true(field_set(0, field, UINT64_MAX) == mask);
    }
}

static void fields_lie_where_windows_has_them(void **state)
{
    (void)state;
    assert_true(FIELD_MASK(HW_FRAME) == 0x000FFFFFFFFFF000ull);
    assert_true(FIELD_MASK(HW_WRITE) == 0x800);
    assert_true(FIELD_MASK(HW_DIRTY1) == 0x2);
    assert_true(FIELD_MASK(HW_COPY_ON_WRITE) == 0x200);
    assert_true(FIELD_MASK(HW_SOFTWARE) == 0x00F0000000000000ull);
    assert_true(FIELD_MASK(HW_AGE) == 0x0F00000000000000ull);
    assert_true(FIELD_MASK(HW_WS_PROTECTION) == 0x7000000000000000ull);
    assert_true(FIELD_MASK(HW_NO_EXECUTE) == 0x8000000000000000ull);
    assert_true(FIELD_MASK(HWL_FRAME) == 0x000FFFFFFFE00000ull);
    assert_true(FIELD_MASK(HWL_PAT) == 0x1000);
    assert_true(FIELD_MASK(HWL_RESERVED) == 0x1FE000);
    assert_true(FIELD_MASK(SW_PROTECTION) == 0x3E0);
    assert_true(FIELD_MASK(SW_PAGEFILE_LOW) == 0xF000);
    assert_true(FIELD_MASK(SW_USED) == 0x3FF0000);
    assert_true(FIELD_MASK(SW_PAGEFILE_HIGH) == 0xFFFFFFFF00000000ull);
    assert_true(FIELD_MASK(TR_FRAME) == 0x000FFFFFFFFFF000ull);
    assert_true(FIELD_MASK(TR_TRANSITION) == 0x800);
    assert_true(FIELD_MASK(PROTO_PROTOTYPE) == 0x400);
    assert_true(FIELD_MASK(PROTO_ADDRESS) == 0xFFFFFFFFFFFF0000ull);
    assert_true(FIELD_MASK(SUBSECTION_EXECUTE_PRIVILEGE) == 0x8000);
    assert_true(FIELD_MASK(LIST_NEXT_ENTRY) == 0xFFFFFFFFFE000000ull);
}

static void field_list_names_what_windows_names(void **state)
{
    (void)state;
    unsigned seen = 0;
    for (size_t i = 0; i < X64_FIELD_COUNT; i++) {
        const struct x64_field *f = &x64_fields[i];
        seen += f->format == X64_FORMAT_SW && strcmp(f->name, "PageFileHigh") == 0 &&
                f->shift == 32 && f->width == 32;
        seen += f->format == X64_FORMAT_HW && strcmp(f->name, "PageFrameNumber") == 0 &&
                f->shift == 12 && f->width == 40;
    }
    assert_int_equal(seen, 2);
    assert_string_equal(x64_format_names[X64_FORMAT_TR], "MMPTE_TRANSITION");
}

static void kinds_follow_the_decode_order(void **state)
{
    (void)state;
    assert_int_equal(pte_kind(0, 1, 0), PTE_ZERO);
    assert_int_equal(pte_kind(0x8A00000059B75867, 4, 0), PTE_VALID);
    assert_int_equal(pte_kind(0x000000001FE000E7, 2, 0), PTE_LARGE);
    assert_int_equal(pte_kind(0x00000000400000E7, 3, 0), PTE_LARGE);
    assert_int_equal(pte_kind(0x000000001FE000E7, 1, 0), PTE_VALID); /* bit 7 is PAT here */
    assert_int_equal(pte_kind(0x000000001FE000E7, 4, 0), PTE_VALID);
    assert_int_equal(pte_kind(0x80, 1, 0), PTE_DEMAND_ZERO);
    assert_int_equal(pte_kind(0x80, 2, 0), PTE_DEMAND_ZERO); /* protection 4 is not LargePage */
    assert_int_equal(pte_kind(0x200, 1, 0), PTE_DECOMMITTED);
    assert_int_equal(pte_kind(0x300, 1, 0), PTE_NO_ACCESS);
    assert_int_equal(pte_kind(0x280, 1, 0), PTE_DEMAND_ZERO); /* guard + read-write */
    assert_int_equal(pte_kind(0x0000001700002084, 1, 0), PTE_PAGEFILE);
    assert_int_equal(pte_kind(0x0000001700002204, 1, 0), PTE_PAGEFILE); /* a slot goes first */
    assert_int_equal(pte_kind(0x0000000060533860, 1, 0), PTE_TRANSITION);
    assert_int_equal(pte_kind(0x0000000060533880, 2, 0), PTE_TRANSITION);
    assert_int_equal(pte_kind(0xF8A0012345670420, 1, 0), PTE_PROTOTYPE);
    assert_int_equal(pte_kind(0xF8A0012345670C20, 1, 0), PTE_PROTOTYPE); /* 11 is Combined */
    assert_int_equal(pte_kind(0xFFFFFFFF00000480, 1, 0), PTE_PROTOTYPE);
    assert_true(proto_is_lookup_needed(0xFFFFFFFF00000480));
    assert_false(proto_is_lookup_needed(0xF8A0012345670420));
    assert_true(PROTO_LOOKUP_NEEDED == 0xFFFFFFFF00000400ull);
}

static void proto_addresses_are_signed(void **state)
{
    (void)state;
    assert_true(field_get_address(0xF8A0012345670420, PROTO_ADDRESS) == 0xFFFFF8A001234567ull);
    assert_true(field_get_address(0x00A0012345670420, SUBSECTION_ADDRESS) == 0xA001234567ull);
}

static void x2_swizzle_hides_and_restores(void **state)
{
    (void)state;
    const uint64_t mask = 1ull << 45;
    assert_true(invalid_encode(0x60533860, mask) == 0x0000200060533860);
    assert_true(invalid_decode(0x0000200060533860, mask) == 0x60533860);
    assert_true(invalid_encode(0x0000200060533860, mask) == 0x0000200060533870);
    assert_true(invalid_decode(0x0000200060533870, mask) == 0x0000200060533860);
    assert_true(invalid_encode(0x60533860, 0) == 0x60533860);
    assert_true(invalid_decode(0x0000200060533870, 0) == 0x0000200060533870);
    uint64_t x = 0x9E3779B97F4A7C15;
    for (int i = 0; i < 100000; i++) {
        x = x * 6364136223846793005ull + 1442695040888963407ull;
        uint64_t value = x & ~0x11ull; /* not valid, SwizzleBit 0 */
        for (unsigned bit = 36; bit < 52; bit++)
            assert_true(invalid_decode(invalid_encode(value, 1ull << bit), 1ull << bit) == value);
    }
    assert_int_equal(pte_kind(0x0000200000000080, 1, mask), PTE_DEMAND_ZERO);
    assert_int_equal(pte_kind(0x0000200000000080, 1, 0), PTE_PAGEFILE);
}

static void x3_empty_is_zero_under_any_mask(void **state)
{
    (void)state;
    assert_true(invalid_encode(0, 1ull << 45) == 0 && invalid_decode(0, 1ull << 45) == 0);
    assert_int_equal(pte_kind(0, 1, 1ull << 45), PTE_ZERO);
}

static void protections_as_hardware_bits(void **state)
{
    (void)state;
    static const uint64_t base[8] = {
        0, 0x8000000000000000, 0, 0, 0x8000000000000800, 0x8000000000000200, 0x800, 0x200};
    for (unsigned p = 1; p < 8; p++) {
        assert_true(x64_protection_bits[p] == base[p]);
        assert_true(x64_protection_bits[0x08 + p] == (base[p] | 0x10));
        assert_true(x64_protection_bits[0x10 + p] == base[p]);
        assert_true(x64_protection_bits[0x18 + p] == (base[p] | 0x08));
    }
    for (unsigned p = 0; p < 32; p++) /* clean: the processor's write bit comes later */
        assert_int_equal(x64_protection_bits[p] & 2, 0);
    assert_int_equal(x64_protection_bits[0x10] | x64_protection_bits[0x18], 0);
}

/* Windows 10 1909 under a debugger: VA 00000246`AF810000, self-map slot 0x1C7. */
static void golden_vector(void **state)
{
    (void)state;
    const uint64_t va = 0x00000246AF810000;
    static const uint64_t entry_va[5] = {0, 0xFFFFE3812357C080, 0xFFFFE3F1C091ABE0,
                                         0xFFFFE3F1F8E048D0, 0xFFFFE3F1F8FC7020};
    for (unsigned level = 1; level <= 4; level++)
        assert_true(selfmap_entry_address(0x1C7, 4, level, va) == entry_va[level]);
    assert_true(selfmap_va_of_entry(4, 1, entry_va[1]) == va);
    assert_true(selfmap_va_of_entry(4, 4, entry_va[4]) == 0x0000020000000000);
    const uint64_t pte = 0x0000200060533860, mask = 1ull << 45;
    assert_int_equal(pte_kind(pte, 1, mask), PTE_TRANSITION);
    uint64_t value = invalid_decode(pte, mask);
    assert_true(field_get(value, TR_FRAME) == 0x60533);
    assert_int_equal(field_get(value, TR_PROTECTION), PROT_EXECUTE_READ);
    const uint64_t pxe = 0x8A00000059B75867;
    assert_true(field_get(pxe, HW_FRAME) == 0x59B75);
    assert_int_equal(field_get(pxe, HW_AGE), 10);
    assert_int_equal(field_get(pxe, HW_NO_EXECUTE), 1);
    assert_int_equal(field_get(pxe, HW_WRITE), 1);
}

static void self_map_bases(void **state)
{
    (void)state;
    assert_true(selfmap_entry_address(0x1ED, 4, 1, 0) == 0xFFFFF68000000000);
    assert_true(selfmap_entry_address(0x1ED, 4, 2, 0) == 0xFFFFF6FB40000000);
    assert_true(selfmap_entry_address(0x1ED, 4, 3, 0) == 0xFFFFF6FB7DA00000);
    assert_true(selfmap_entry_address(0x1ED, 4, 4, 0) == 0xFFFFF6FB7DBED000);
    assert_true(selfmap_entry_address(0x1ED, 4, 4, 0xFFFFF6FB7DBED000) == 0xFFFFF6FB7DBEDF68);
    assert_true(selfmap_entry_address(0x1ED, 4, 1, 0xFFFFFFFFFFFFF000) == 0xFFFFF6FFFFFFFFF8);
    assert_true(selfmap_entry_address(0x1ED, 5, 1, 0) == 0xFFED000000000000);
    assert_true(selfmap_va_of_entry(5, 1, 0xFFED000000000008) == 0x1000);
}

static void addresses(void **state)
{
    (void)state;
    assert_true(x64_is_canonical(0x00007FFFFFFFFFFF, 4));
    assert_false(x64_is_canonical(0x0000800000000000, 4));
    assert_false(x64_is_canonical(0xFFFF7FFFFFFFFFFF, 4));
    assert_true(x64_is_canonical(0xFFFF800000000000, 4));
    assert_true(x64_is_canonical(0x00FFFFFFFFFFFFFF, 5));
    assert_false(x64_is_canonical(0x0100000000000000, 5));
    assert_false(x64_is_canonical(0xFEFFFFFFFFFFFFFF, 5));
    assert_true(x64_is_canonical(0xFF00000000000000, 5));
    const uint64_t va = 5ull << 48 | 4ull << 39 | 3ull << 30 | 2ull << 21 | 1ull << 12 | 0xABC;
    for (unsigned level = 1; level <= 5; level++)
        assert_int_equal(x64_index(va, level), level);
    assert_int_equal(x64_index(UINT64_MAX, 4), 511);
    assert_true(x64_reserved_address_bits(40) == 0x000FFF0000000000);
    assert_true(x64_reserved_address_bits(52) == 0);
}

static _Alignas(4096) le64 frames[5][512];

static void walk_stops_where_the_tables_do(void **state)
{
    (void)state;
    const uint64_t core_base = 0xFFFF900000000000, first = 0x100; /* frames[i] is frame 0x100 + i */
    const uintptr_t bias = (uintptr_t)frames - (uintptr_t)(core_base + first * 4096);
    const uint64_t va = 4ull << 39 | 3ull << 30 | 2ull << 21 | 1ull << 12;
    struct x64_walk w;
    memset(frames, 0, sizeof frames);
    set64(&frames[0][4], 0x101867);
    set64(&frames[1][3], 0x102867);
    x64_walk(bias, core_base, first, 4, va, &w);
    assert_int_equal(w.level, 2);
    assert_true(w.entry == 0 && w.entry_ref == core_base + 0x102010);
    set64(&frames[2][2], 0x103867);
    set64(&frames[3][1], 0x80);
    x64_walk(bias, core_base, first, 4, va, &w);
    assert_int_equal(w.level, 1);
    assert_true(w.entry == 0x80 && w.entry_ref == core_base + 0x103008);
    set64(&frames[2][2], 0x2000E7);
    x64_walk(bias, core_base, first, 4, va, &w);
    assert_int_equal(w.level, 2);
    assert_true(w.entry == 0x2000E7);
    set64(&frames[2][2], 0x1880); /* a transition table with protection 4: not a large leaf */
    x64_walk(bias, core_base, first, 4, va, &w);
    assert_int_equal(w.level, 2);
    set64(&frames[4][7], 0x100867);
    x64_walk(bias, core_base, first + 4, 5, va | 7ull << 48, &w);
    assert_int_equal(w.level, 2);
    assert_true(w.entry == 0x1880);
    x64_walk(bias, core_base, first + 4, 5, va | 6ull << 48, &w);
    assert_int_equal(w.level, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(x1_fields_partition_every_format),
        cmocka_unit_test(fields_round_trip),
        cmocka_unit_test(fields_lie_where_windows_has_them),
        cmocka_unit_test(field_list_names_what_windows_names),
        cmocka_unit_test(kinds_follow_the_decode_order),
        cmocka_unit_test(proto_addresses_are_signed),
        cmocka_unit_test(x2_swizzle_hides_and_restores),
        cmocka_unit_test(x3_empty_is_zero_under_any_mask),
        cmocka_unit_test(protections_as_hardware_bits),
        cmocka_unit_test(golden_vector),
        cmocka_unit_test(self_map_bases),
        cmocka_unit_test(addresses),
        cmocka_unit_test(walk_stops_where_the_tables_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
