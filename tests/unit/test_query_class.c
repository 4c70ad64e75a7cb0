/*
 * NtQueryVirtualMemory by class: lengths, pointers, the order of checks, and what each class gives.
 *
 * Expectations are written from the fact sheet, 3.3, and docs/fidelity.md; layouts from the public
 * SDK headers, as offsets into bytes.
 */
#include "unit/storage.h"

#include <ntmm/access.h>
#include <ntmm/query.h>

#define UNTOUCHED UINT64_C(0xA5A5A5A5A5A5A5A5)
#define BUFFER_BYTES 256u
#define LACKS_QUERY ((ntmm_handle)NTMM_PROCESS_QUERY_INFORMATION << HANDLE_LACKS_SHIFT)

static char buffer[BUFFER_BYTES];
static uint64_t returned;

static ntmm_status query_as(struct machine *m, ntmm_handle process, uint64_t address,
                            uint32_t information_class, uint64_t length)
{
    memset(buffer, 0xA5, sizeof buffer);
    returned = UNTOUCHED;
    return ntmm_query_virtual_memory_class(m->system, process, address, information_class, buffer,
                                           length, &returned);
}

static ntmm_status query(struct machine *m, uint64_t address, uint32_t information_class,
                         uint64_t length)
{
    return query_as(m, m->process, address, information_class, length);
}

static uint64_t word(uint32_t offset)
{
    uint64_t value;
    memcpy(&value, buffer + offset, sizeof value);
    return value;
}

static uint32_t half(uint32_t offset)
{
    uint32_t value;
    memcpy(&value, buffer + offset, sizeof value);
    return value;
}

static void assert_untouched(void)
{
    assert_int_equal(returned, UNTOUCHED);
    for (uint32_t i = 0; i < BUFFER_BYTES; i += 8)
        assert_int_equal(word(i), UNTOUCHED);
}

static void expect_refused(struct machine *m, uint64_t address, uint32_t information_class,
                           uint64_t length, ntmm_status status)
{
    assert_int_equal(query(m, address, information_class, length), status);
    assert_untouched();
}

static void the_basic_class_is_48_bytes_in_nts_layout(void **state)
{
    static const uint32_t classes[] = {0, 8, 0xA};
    (void)state;
    struct machine *m = machine_open(NULL);
    must_reserve(m, BASE, 4 * PAGE, NTMM_PAGE_READONLY);
    must_commit(m, BASE + PAGE, 2 * PAGE, NTMM_PAGE_READWRITE);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(query(m, BASE + PAGE + 5, classes[i], BUFFER_BYTES), NTMM_STATUS_SUCCESS);
        assert_int_equal(returned, 48);
        assert_int_equal(word(0), BASE + PAGE);
        assert_int_equal(word(8), BASE);
        assert_int_equal(half(16), 2); /* PAGE_READONLY */
        assert_int_equal(half(20), 0); /* partition */
        assert_int_equal(word(24), 2 * PAGE);
        assert_int_equal(half(32), 0x1000);  /* MEM_COMMIT */
        assert_int_equal(half(36), 4);       /* PAGE_READWRITE */
        assert_int_equal(half(40), 0x20000); /* MEM_PRIVATE */
        assert_int_equal(word(48), UNTOUCHED);
    }
    machine_close(m);
}

static void the_returned_length_may_be_left_out(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    assert_int_equal(ntmm_query_virtual_memory_class(m->system, m->process, 0, 0, buffer, 48, NULL),
                     NTMM_STATUS_SUCCESS);
    machine_close(m);
}

static void a_class_that_does_not_exist_is_refused_before_all_else(void **state)
{
    static const uint32_t classes[] = {9, 0xB, 0xC, 0xD, 0xE, 0xF, 0x100, UINT32_MAX};
    (void)state;
    struct machine *m = machine_open(NULL);
    for (uint32_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        expect_refused(m, 0, classes[i], BUFFER_BYTES, NTMM_STATUS_INVALID_INFO_CLASS);
        assert_int_equal(
            ntmm_query_virtual_memory_class(m->system, 0, UINT64_MAX, classes[i], NULL, 0, NULL),
            NTMM_STATUS_INVALID_INFO_CLASS);
    }
    machine_close(m);
}

/* Least length of each class; 0: it has none. */
static const uint64_t least[] = {48, 8, 0, 24, 16, 8, 24, 24, 48, 0, 48};
#define CLASS_COUNT 11u
#define NO_CLASS 9u

static void lengths_are_checked_before_pointers(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_reserve(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    for (uint32_t i = 0; i < CLASS_COUNT; i++) {
        if (!least[i])
            continue;
        expect_refused(m, BASE, i, least[i] - 1, NTMM_STATUS_INFO_LENGTH_MISMATCH);
        expect_refused(m, BASE, i, 0, NTMM_STATUS_INFO_LENGTH_MISMATCH);
        assert_int_equal(ntmm_query_virtual_memory_class(m->system, m->process, BASE, i, NULL,
                                                         least[i] - 1, NULL),
                         NTMM_STATUS_INFO_LENGTH_MISMATCH);
    }
    expect_refused(m, BASE, 4, 17, NTMM_STATUS_INFO_LENGTH_MISMATCH);
    machine_close(m);
}

static void pointers_are_checked_before_addresses_and_handles(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    for (uint32_t i = 0; i < CLASS_COUNT; i++) {
        if (least[i])
            assert_int_equal(
                ntmm_query_virtual_memory_class(m->system, 0, UINT64_MAX, i, NULL, least[i], NULL),
                NTMM_STATUS_ACCESS_VIOLATION);
    }
    machine_close(m);
}

static void addresses_are_checked_before_handles(void **state)
{
    static const uint32_t classes[] = {0, 2, 3, 6, 7, 8, 0xA};
    (void)state;
    struct machine *m = machine_open(NULL);
    for (uint32_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        expect_refused(m, NTMM_HIGHEST_USER_ADDRESS + 1, classes[i], 48,
                       NTMM_STATUS_INVALID_PARAMETER);
        expect_refused(m, UINT64_MAX, classes[i], 48, NTMM_STATUS_INVALID_PARAMETER);
        assert_int_equal(query_as(m, 0, UINT64_MAX, classes[i], 48), NTMM_STATUS_INVALID_PARAMETER);
    }
    assert_int_equal(query(m, NTMM_HIGHEST_USER_ADDRESS, 0, 48), NTMM_STATUS_SUCCESS);
    assert_int_equal(query(m, 0xFFFF, 0, 48), NTMM_STATUS_SUCCESS);
    assert_int_equal(query(m, 0x10000, 0, 48), NTMM_STATUS_SUCCESS);
    machine_close(m);
}

static void handles_are_checked_before_what_is_there(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    ntmm_handle other_kind = m->process ^ (0x80ull << 56);
    for (uint32_t i = 0; i < CLASS_COUNT; i++) {
        uint64_t length = i == NO_CLASS ? 0 : 48;
        if (i == NO_CLASS)
            continue;
        assert_int_equal(query_as(m, 0, BASE, i, length), NTMM_STATUS_INVALID_HANDLE);
        assert_untouched();
        assert_int_equal(query_as(m, other_kind, BASE, i, length),
                         NTMM_STATUS_OBJECT_TYPE_MISMATCH);
        assert_int_equal(query_as(m, m->process | LACKS_QUERY, BASE, i, length),
                         NTMM_STATUS_ACCESS_DENIED);
        assert_untouched();
    }
    machine_close(m);
}

static void a_mapped_filename_is_looked_for_before_length_and_pointer(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    expect_refused(m, BASE, 2, 0, NTMM_STATUS_INVALID_ADDRESS);
    expect_refused(m, BASE, 2, 48, NTMM_STATUS_INVALID_ADDRESS);
    expect_refused(m, BASE + KIB64, 2, 48, NTMM_STATUS_INVALID_ADDRESS);
    expect_refused(m, 0x1234, 2, 48, NTMM_STATUS_INVALID_ADDRESS);
    assert_int_equal(
        ntmm_query_virtual_memory_class(m->system, m->process, BASE, 2, NULL, 48, NULL),
        NTMM_STATUS_INVALID_ADDRESS);
    assert_int_equal(query_as(m, 0, BASE, 2, 0), NTMM_STATUS_INVALID_HANDLE);
    machine_close(m);
}

static void a_region_is_the_whole_vad(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_reserve(m, BASE, 16 * PAGE, NTMM_PAGE_EXECUTE_READ);
    must_commit(m, BASE + PAGE, 3 * PAGE, NTMM_PAGE_READWRITE);
    assert_int_equal(query(m, BASE + 9 * PAGE + 7, 3, 32), NTMM_STATUS_SUCCESS);
    assert_int_equal(returned, 32);
    assert_int_equal(word(0), BASE);
    assert_int_equal(half(8), 0x20); /* PAGE_EXECUTE_READ */
    assert_int_equal(half(12), 0);   /* the bits of a private region are not shown by class 3 */
    assert_int_equal(word(16), 16 * PAGE);
    assert_int_equal(word(24), 3 * PAGE);
    assert_int_equal(word(32), UNTOUCHED);
    machine_close(m);
}

static void a_region_takes_what_fits_from_24_bytes(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_allocate(m, BASE, 2 * PAGE, NTMM_PAGE_READWRITE);
    expect_refused(m, BASE, 3, 16, NTMM_STATUS_INFO_LENGTH_MISMATCH);
    assert_int_equal(query(m, BASE, 3, 24), NTMM_STATUS_SUCCESS);
    assert_int_equal(returned, 24);
    assert_int_equal(word(16), 2 * PAGE);
    assert_int_equal(word(24), UNTOUCHED);
    assert_int_equal(query(m, BASE, 3, BUFFER_BYTES), NTMM_STATUS_SUCCESS);
    assert_int_equal(returned, 32);
    assert_int_equal(query(m, BASE, 7, 31), NTMM_STATUS_SUCCESS);
    assert_int_equal(returned, 24);
    assert_int_equal(query(m, BASE, 7, BUFFER_BYTES), NTMM_STATUS_SUCCESS);
    assert_int_equal(returned, 48);
    assert_int_equal(half(12), 1); /* private */
    assert_int_equal(word(32), 0); /* partition */
    assert_int_equal(word(40), UINT64_MAX);
    assert_int_equal(word(48), UNTOUCHED);
    machine_close(m);
}

static void no_region_is_an_invalid_address(void **state)
{
    static const uint64_t free_places[] = {0, 0x10000, BASE - 1, BASE + PAGE, 0x7FFFFFFEFFFF};
    (void)state;
    struct machine *m = machine_open(NULL);
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    for (uint32_t i = 0; i < 5; i++) {
        expect_refused(m, free_places[i], 3, 32, NTMM_STATUS_INVALID_ADDRESS);
        expect_refused(m, free_places[i], 7, 48, NTMM_STATUS_INVALID_ADDRESS);
    }
    machine_close(m);
}

/* The type bits of region-ex for each kind of region there is. */
static void a_regions_kind_is_in_its_type_bits(void **state)
{
    static const struct {
        uint32_t type, flags, bits;
    } kinds[] = {{VAD_PRIVATE, 0, 1 << 0},
                 {VAD_PRIVATE, VAD_PLACEHOLDER, 1 << 0 | 1 << 8},
                 {VAD_DEVICE_PHYSICAL, 0, 1 << 4},
                 {VAD_AWE, 0, 1 << 0 | 1 << 9},
                 {VAD_WRITE_WATCH, 0, 1 << 0 | 1 << 10},
                 {VAD_LARGE_PAGES, 0, 1 << 0 | 1 << 11}};
    (void)state;
    struct machine *m = machine_open(NULL);
    must_reserve(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    struct vad *vad = machine_vad(m, BASE);
    for (uint32_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        set32(&vad->type, kinds[i].type);
        set32(&vad->flags, kinds[i].flags);
        assert_int_equal(query(m, BASE, 7, 48), NTMM_STATUS_SUCCESS);
        assert_int_equal(half(12), kinds[i].bits);
        assert_int_equal(query(m, BASE, 3, 48), NTMM_STATUS_SUCCESS);
        assert_int_equal(half(12), kinds[i].bits & ~0x3Fu);
    }
    set32(&vad->type, VAD_PRIVATE);
    set32(&vad->flags, 0);
    machine_close(m);
}

static void nothing_is_an_image_or_shared(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    expect_refused(m, BASE, 6, 24, NTMM_STATUS_INVALID_ADDRESS);
    expect_refused(m, BASE + PAGE, 6, 24, NTMM_STATUS_INVALID_ADDRESS);
    assert_int_equal(query(m, UINT64_MAX, 5, 8), NTMM_STATUS_SUCCESS);
    assert_int_equal(returned, 8);
    assert_int_equal(word(0), 0);
    machine_close(m);
}

static void a_buffer_needs_no_alignment(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    memset(buffer, 0xA5, sizeof buffer);
    assert_int_equal(
        ntmm_query_virtual_memory_class(m->system, m->process, BASE, 0, buffer + 3, 48, NULL),
        NTMM_STATUS_SUCCESS);
    assert_int_equal(word(3), BASE);
    assert_int_equal((unsigned char)buffer[2], 0xA5);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_basic_class_is_48_bytes_in_nts_layout),
        cmocka_unit_test(the_returned_length_may_be_left_out),
        cmocka_unit_test(a_class_that_does_not_exist_is_refused_before_all_else),
        cmocka_unit_test(lengths_are_checked_before_pointers),
        cmocka_unit_test(pointers_are_checked_before_addresses_and_handles),
        cmocka_unit_test(addresses_are_checked_before_handles),
        cmocka_unit_test(handles_are_checked_before_what_is_there),
        cmocka_unit_test(a_mapped_filename_is_looked_for_before_length_and_pointer),
        cmocka_unit_test(a_region_is_the_whole_vad),
        cmocka_unit_test(a_region_takes_what_fits_from_24_bytes),
        cmocka_unit_test(no_region_is_an_invalid_address),
        cmocka_unit_test(a_regions_kind_is_in_its_type_bits),
        cmocka_unit_test(nothing_is_an_image_or_shared),
        cmocka_unit_test(a_buffer_needs_no_alignment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
