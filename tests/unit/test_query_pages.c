/*
 * The working-set classes: where pages are, one by one, and the list of what is valid.
 *
 *   never touched   valid   trimmed, modified   trimmed, clean   in the page file   table out too
 *        0           1           resident          resident         page file         page file
 *
 * Expectations are written from the fact sheet, 3.3; bits as numbers from the public SDK headers.
 */
#include "paging/page_out.h"
#include "unit/storage.h"

#include <ntmm/query.h>

#define LIST_WORDS 64u
#define LACKS_PROFILE ((ntmm_handle)HELD_PROFILE << HANDLE_LACKS_SHIFT)

static uint64_t attributes(struct machine *m, uint64_t address)
{
    struct ntmm_memory_page_information page = {.virtual_address = address, .attributes = 5};
    uint64_t returned = 0;
    assert_int_equal(
        ntmm_query_virtual_memory_class(m->system, m->process, 0, 4, &page, sizeof page, &returned),
        NTMM_STATUS_SUCCESS);
    assert_int_equal(returned, 16);
    assert_int_equal(page.virtual_address, address);
    return page.attributes;
}

/* Valid, Win32 protection, priority 5. */
static uint64_t valid(uint64_t protect) { return 1 | protect << 4 | 5ull << 24; }

#define RESIDENT (1ull << 22 | 5ull << 24)
#define RESIDENT_MODIFIED (RESIDENT | 1ull << 27)
#define IN_PAGE_FILE (2ull << 22)

static void a_page_is_valid_once_it_is_touched(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_reserve(m, BASE, 4 * PAGE, NTMM_PAGE_READWRITE);
    assert_int_equal(attributes(m, BASE), 0);
    must_commit(m, BASE, 3 * PAGE, NTMM_PAGE_READWRITE);
    assert_int_equal(attributes(m, BASE), 0);
    assert_int_equal(must_read(m, BASE), 0);
    assert_int_equal(attributes(m, BASE + 0x123), valid(4));
    must_write(m, BASE + PAGE, 1);
    assert_int_equal(attributes(m, BASE + PAGE), valid(4));
    assert_int_equal(attributes(m, BASE + 2 * PAGE), 0);
    assert_int_equal(attributes(m, BASE + 3 * PAGE), 0);
    machine_close(m);
}

static void no_access_drops_the_page_until_the_next_touch(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 1);
    must_protect(m, BASE, PAGE, NTMM_PAGE_NOACCESS);
    assert_int_equal(attributes(m, BASE), RESIDENT_MODIFIED);
    must_protect(m, BASE, PAGE, NTMM_PAGE_READONLY);
    assert_int_equal(attributes(m, BASE), RESIDENT_MODIFIED);
    assert_int_equal(must_read(m, BASE), 1);
    assert_int_equal(attributes(m, BASE), valid(2));
    machine_close(m);
}

static void the_class_never_fails_for_an_address(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 1);
    must_release(m, BASE, PAGE);
    assert_int_equal(attributes(m, BASE), 0);
    assert_int_equal(attributes(m, 0), 0);
    assert_int_equal(attributes(m, NTMM_HIGHEST_USER_ADDRESS), 0);
    assert_int_equal(attributes(m, NTMM_SYSTEM_RANGE_START), 0);
    assert_int_equal(attributes(m, UINT64_MAX), 0);
    machine_close(m);
}

static void a_system_address_needs_the_profile_privilege(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    struct ntmm_memory_page_information pages[2] = {{BASE, 5}, {NTMM_HIGHEST_USER_ADDRESS + 1, 5}};
    uint64_t returned = 7;
    assert_int_equal(ntmm_query_virtual_memory_class(m->system, m->process | LACKS_PROFILE, 0, 4,
                                                     pages, sizeof pages, &returned),
                     NTMM_STATUS_PRIVILEGE_NOT_HELD);
    assert_int_equal(pages[0].attributes, 5);
    assert_int_equal(returned, 7);
    assert_int_equal(ntmm_query_virtual_memory_class(m->system, m->process | LACKS_PROFILE, 0, 4,
                                                     pages, 16, &returned),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(pages[0].attributes, 0);
    machine_close(m);
}

/* A page's way out of memory, as the invalid form tells it. */
static void the_invalid_form_says_where_a_page_is(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_add_file(m, MIB, 0, NULL);
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 1);
    must_trim(m, BASE, PAGE);
    assert_int_equal(attributes(m, BASE), RESIDENT_MODIFIED);
    must_write_modified(m, 1);
    assert_int_equal(attributes(m, BASE), RESIDENT); /* being written: on no list */
    must_finish_transfers(m);
    assert_int_equal(attributes(m, BASE), RESIDENT);
    page_out_everything(m->emu);
    assert_int_equal(attributes(m, BASE), IN_PAGE_FILE);
    assert_int_equal(must_read(m, BASE), 1);
    assert_int_equal(attributes(m, BASE), valid(4));
    machine_close(m);
}

#define FAR_PAGES 6u

/* Tables of every page of an array are out: each is brought in, one after another. */
static void tables_that_are_out_are_brought_in(void **state)
{
    struct ntmm_memory_page_information pages[FAR_PAGES];
    (void)state;
    struct machine *m = machine_open(NULL);
    must_add_file(m, MIB, 0, NULL);
    for (uint32_t i = 0; i < FAR_PAGES; i++) {
        must_allocate(m, BASE + i * GIB, PAGE, NTMM_PAGE_READWRITE);
        must_write(m, BASE + i * GIB, i);
        pages[i] = (struct ntmm_memory_page_information){.virtual_address = BASE + i * GIB};
    }
    page_out_everything(m->emu);
    assert_int_equal(
        ntmm_query_virtual_memory_class(m->system, m->process, 0, 4, pages, sizeof pages, NULL),
        NTMM_STATUS_SUCCESS);
    for (uint32_t i = 0; i < FAR_PAGES; i++)
        assert_int_equal(pages[i].attributes, IN_PAGE_FILE);
    assert_int_equal(machine_process(m).working_set_pages, 0); /* no page was touched */
    machine_close(m);
}

static uint64_t list[LIST_WORDS];
static uint64_t returned;

static ntmm_status query_list(struct machine *m, uint64_t length)
{
    memset(list, 0xA5, sizeof list);
    returned = 7;
    return ntmm_query_virtual_memory_class(m->system, m->process, UINT64_MAX, 1, list, length,
                                           &returned);
}

static void a_working_set_is_listed_with_protections(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_allocate(m, BASE, 8 * PAGE, NTMM_PAGE_READWRITE);
    must_allocate(m, BASE + GIB, 2 * PAGE, NTMM_PAGE_EXECUTE_READ);
    must_allocate(m, BASE + 2 * GIB, PAGE, NTMM_PAGE_READWRITE | NTMM_PAGE_NOCACHE);
    must_write(m, BASE + 5 * PAGE, 1);
    must_read(m, BASE + 2 * PAGE);
    must_read(m, BASE + GIB + PAGE);
    must_read(m, BASE + 2 * GIB);
    assert_int_equal(query_list(m, sizeof list), NTMM_STATUS_SUCCESS);
    assert_int_equal(returned, 8 * 5);
    assert_int_equal(list[0], 4);
    assert_int_equal(list[1], (BASE + 2 * PAGE) | 4);
    assert_int_equal(list[2], (BASE + 5 * PAGE) | 4);
    assert_int_equal(list[3], (BASE + GIB + PAGE) | 3);
    assert_int_equal(list[4], (BASE + 2 * GIB) | (4 + 8));
    assert_int_equal(list[5], UINT64_C(0xA5A5A5A5A5A5A5A5));
    machine_close(m);
}

static void a_short_list_says_how_many_there_are(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    assert_int_equal(query_list(m, 8), NTMM_STATUS_SUCCESS);
    assert_int_equal(list[0], 0);
    assert_int_equal(returned, 8);
    must_allocate(m, BASE, 3 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, 3 * PAGE);
    assert_int_equal(query_list(m, 8 * 4 - 1), NTMM_STATUS_INFO_LENGTH_MISMATCH);
    assert_int_equal(list[0], 3);
    assert_int_equal(list[1], UINT64_C(0xA5A5A5A5A5A5A5A5));
    assert_int_equal(returned, 7);
    assert_int_equal(query_list(m, 8 * 4), NTMM_STATUS_SUCCESS);
    assert_int_equal(query_list(m, 7), NTMM_STATUS_INFO_LENGTH_MISMATCH);
    assert_int_equal(list[0], UINT64_C(0xA5A5A5A5A5A5A5A5));
    machine_close(m);
}

/* The list, the count and single pages agree, with pages and tables in every state. */
static void the_list_is_what_the_count_counts(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_add_file(m, MIB, 0, NULL);
    for (uint32_t i = 0; i < 3; i++) {
        must_allocate(m, BASE + i * GIB, 16 * PAGE, NTMM_PAGE_READWRITE);
        must_fill(m, BASE + i * GIB, 16 * PAGE);
        if (i == 0)
            page_out_everything(m->emu);
    }
    must_protect(m, BASE + GIB, 4 * PAGE, NTMM_PAGE_NOACCESS);
    must_trim(m, BASE + GIB + 8 * PAGE, 2 * PAGE);
    assert_int_equal(query_list(m, sizeof list), NTMM_STATUS_SUCCESS);
    assert_int_equal(list[0], machine_process(m).working_set_pages);
    assert_int_equal(list[0], 32 - 4 - 2);
    for (uint64_t i = 1; i <= list[0]; i++)
        assert_int_equal(attributes(m, list[i] & ~0xFFFull), valid(4));
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_is_valid_once_it_is_touched),
        cmocka_unit_test(no_access_drops_the_page_until_the_next_touch),
        cmocka_unit_test(the_class_never_fails_for_an_address),
        cmocka_unit_test(a_system_address_needs_the_profile_privilege),
        cmocka_unit_test(the_invalid_form_says_where_a_page_is),
        cmocka_unit_test(tables_that_are_out_are_brought_in),
        cmocka_unit_test(a_working_set_is_listed_with_protections),
        cmocka_unit_test(a_short_list_says_how_many_there_are),
        cmocka_unit_test(the_list_is_what_the_count_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
