/*
 * Queries whose page tables are out while frames lack or reads fail: at the 1st, 2nd, ... of them a
 * query gives NT's status or succeeds, writes nothing when it fails, and when the shortage is over
 * it says what it said before.
 */
#include "paging/page_out.h"
#include "unit/storage.h"

#include <ntmm/query.h>

#define RUN_PAGES 1536u /* one run over four leaf tables: all of them decide */
#define FIRST (BASE + 256 * PAGE)
#define ANSWERS_BYTES 256u

static const struct machine_setup setup = {.core = {.fault_wait_100ns = 1000}};

/* A query into zeroed bytes; what it must give when nothing lacks is its own first answer. */
typedef ntmm_status question(struct machine *m, void *answers);

static ntmm_status ask_basic(struct machine *m, void *answers)
{
    return ntmm_query_virtual_memory(m->system, m->process, FIRST, answers);
}

static ntmm_status ask_class(struct machine *m, void *answers)
{
    return ntmm_query_virtual_memory_class(m->system, m->process, FIRST, 0, answers, 48, NULL);
}

static ntmm_status ask_scan(struct machine *m, void *answers)
{
    uint32_t count = 0;
    uint64_t next = 0;
    struct ntmm_memory_basic_information record;
    ntmm_status status = ntmm_scan_regions(m->system, m->process, FIRST, FIRST + RUN_PAGES * PAGE,
                                           NTMM_REGIONS_COMMITTED, &record, 1, &count, &next);
    if (status == NTMM_STATUS_SUCCESS) {
        assert_int_equal(count, 1);
        memcpy(answers, &record, sizeof record);
    } else {
        assert_int_equal(count, 0);
        assert_int_equal(next, 0);
    }
    return status;
}

static ntmm_status ask_iterator(struct machine *m, void *answers)
{
    struct ntmm_region_iterator iterator;
    ntmm_begin_regions(&iterator, m->process, NTMM_REGIONS_COMMITTED);
    ntmm_status status = ntmm_next_region(m->system, &iterator, answers);
    assert_int_equal(iterator.next, status == NTMM_STATUS_SUCCESS ? FIRST + RUN_PAGES * PAGE : 0);
    return status;
}

static ntmm_status ask_page(struct machine *m, void *answers)
{
    struct ntmm_memory_page_information page = {.virtual_address = FIRST + PAGE};
    ntmm_status status =
        ntmm_query_virtual_memory_class(m->system, m->process, 0, 4, &page, sizeof page, NULL);
    memcpy(answers, &page.attributes, sizeof page.attributes);
    return status;
}

static question *const questions[] = {ask_basic, ask_class, ask_scan, ask_iterator, ask_page};
#define QUESTIONS (sizeof questions / sizeof questions[0])

static struct machine *open_run(uint64_t *device)
{
    struct machine *m = machine_open(&setup);
    must_add_file(m, 4 * MIB, 0, device);
    must_reserve(m, BASE, 2048 * PAGE, NTMM_PAGE_READWRITE);
    must_commit(m, FIRST, RUN_PAGES * PAGE, NTMM_PAGE_READWRITE);
    for (uint64_t page = 0; page < RUN_PAGES; page += 256)
        must_write(m, FIRST + page * PAGE + PAGE, page);
    page_out_everything(m->emu);
    return m;
}

static void assert_zero(const char *answers)
{
    for (uint32_t i = 0; i < ANSWERS_BYTES; i++)
        assert_int_equal(answers[i], 0);
}

static void lacking_frames_are_a_status(void **state)
{
    (void)state;
    struct machine *m = open_run(NULL);
    for (uint32_t i = 0; i < QUESTIONS; i++) {
        char before[ANSWERS_BYTES] = {0}, after_all[ANSWERS_BYTES] = {0};
        uint32_t failed = 0;
        assert_int_equal(questions[i](m, before), NTMM_STATUS_SUCCESS);
        for (uint64_t after = 0; after < 16; after++) {
            char answers[ANSWERS_BYTES] = {0};
            page_out_everything(m->emu);
            m->system->failures = (struct allocation_failures){.after = after, .count = UINT64_MAX};
            ntmm_status status = questions[i](m, answers);
            m->system->failures = (struct allocation_failures){0};
            must_finish_transfers(m);
            machine_assert_sound(m);
            if (status == NTMM_STATUS_SUCCESS) {
                assert_memory_equal(answers, before, ANSWERS_BYTES);
                continue;
            }
            assert_int_equal(status, NTMM_STATUS_NO_MEMORY);
            assert_zero(answers);
            failed++;
        }
        assert_true(failed >= 1 && failed < 16);
        assert_int_equal(questions[i](m, after_all), NTMM_STATUS_SUCCESS);
        assert_memory_equal(after_all, before, ANSWERS_BYTES);
    }
    machine_close(m);
}

static void a_table_that_cannot_be_read_is_a_status(void **state)
{
    uint64_t device;
    (void)state;
    struct machine *m = open_run(&device);
    for (uint32_t i = 0; i < QUESTIONS; i++) {
        char answers[ANSWERS_BYTES] = {0};
        page_out_everything(m->emu);
        must_fail_disk(m, device, NTMM_IO_READ, UINT64_MAX, NTMM_STATUS_DEVICE_DATA_ERROR, 0, 0);
        assert_int_equal(questions[i](m, answers), NTMM_STATUS_DEVICE_DATA_ERROR);
        assert_zero(answers);
        must_fail_disk(m, device, NTMM_IO_READ, 0, 0, 0, 0);
        assert_int_equal(questions[i](m, answers), NTMM_STATUS_SUCCESS);
    }
    machine_close(m);
}

/* Single pages that come before the one that fails are answered; the length is not. */
static void pages_before_the_failure_stay_answered(void **state)
{
    struct ntmm_memory_page_information pages[2] = {{.virtual_address = FIRST + GIB},
                                                    {.virtual_address = FIRST + PAGE}};
    uint64_t device, returned = 7;
    (void)state;
    struct machine *m = open_run(&device);
    pages[0].attributes = pages[1].attributes = 5;
    must_fail_disk(m, device, NTMM_IO_READ, UINT64_MAX, NTMM_STATUS_DEVICE_DATA_ERROR, 0, 0);
    assert_int_equal(ntmm_query_virtual_memory_class(m->system, m->process, 0, 4, pages,
                                                     sizeof pages, &returned),
                     NTMM_STATUS_DEVICE_DATA_ERROR);
    assert_int_equal(pages[0].attributes, 0);
    assert_int_equal(pages[1].attributes, 5);
    assert_int_equal(returned, 7);
    must_fail_disk(m, device, NTMM_IO_READ, 0, 0, 0, 0);
    machine_close(m);
}

/* The working-set list needs no table that is out, so it never fails for one. */
static void a_list_needs_nothing(void **state)
{
    uint64_t list[4] = {0}, device;
    (void)state;
    struct machine *m = open_run(&device);
    must_fail_disk(m, device, NTMM_IO_READ, UINT64_MAX, NTMM_STATUS_DEVICE_DATA_ERROR, 0, 0);
    m->system->failures = (struct allocation_failures){.count = UINT64_MAX};
    assert_int_equal(
        ntmm_query_virtual_memory_class(m->system, m->process, 0, 1, list, sizeof list, NULL),
        NTMM_STATUS_SUCCESS);
    assert_int_equal(list[0], 0);
    m->system->failures = (struct allocation_failures){0};
    must_fail_disk(m, device, NTMM_IO_READ, 0, 0, 0, 0);
    machine_close(m);
}

/* Where nothing is committed the region knows, whatever its tables, which may be out, hold. */
static void a_reserved_region_needs_no_table(void **state)
{
    uint64_t device;
    (void)state;
    struct machine *m = machine_open(&setup);
    must_add_file(m, 4 * MIB, 0, &device);
    must_allocate(m, BASE, 1536 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, 4 * PAGE);
    must_decommit(m, BASE, 1536 * PAGE);
    page_out_everything(m->emu);
    must_fail_disk(m, device, NTMM_IO_READ, UINT64_MAX, NTMM_STATUS_DEVICE_DATA_ERROR, 0, 0);
    struct ntmm_memory_basic_information found = must_query(m, BASE + PAGE);
    assert_int_equal(found.state, NTMM_MEM_RESERVE);
    assert_int_equal(found.protect, 0);
    assert_int_equal(found.region_size, 1535 * PAGE);
    must_fail_disk(m, device, NTMM_IO_READ, 0, 0, 0, 0);
    machine_close(m);
}

/* What one process holds, another's queries do not see. */
static void two_processes_answer_for_themselves(void **state)
{
    uint64_t list[4] = {0};
    struct ntmm_memory_page_information page = {.virtual_address = BASE, .attributes = 5};
    struct ntmm_memory_basic_information found;
    (void)state;
    struct machine *m = machine_open(NULL);
    ntmm_handle other = machine_add_process(m);
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 1);
    assert_int_equal(ntmm_query_virtual_memory(m->system, other, BASE, &found),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(found.state, NTMM_MEM_FREE);
    assert_int_equal(
        ntmm_query_virtual_memory_class(m->system, other, 0, 1, list, sizeof list, NULL),
        NTMM_STATUS_SUCCESS);
    assert_int_equal(list[0], 0);
    assert_int_equal(
        ntmm_query_virtual_memory_class(m->system, other, 0, 4, &page, sizeof page, NULL),
        NTMM_STATUS_SUCCESS);
    assert_int_equal(page.attributes, 0);
    assert_int_equal(
        ntmm_query_virtual_memory_class(m->system, m->process, 0, 1, list, sizeof list, NULL),
        NTMM_STATUS_SUCCESS);
    assert_int_equal(list[0], 1);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lacking_frames_are_a_status),
        cmocka_unit_test(a_table_that_cannot_be_read_is_a_status),
        cmocka_unit_test(pages_before_the_failure_stay_answered),
        cmocka_unit_test(a_list_needs_nothing),
        cmocka_unit_test(a_reserved_region_needs_no_table),
        cmocka_unit_test(two_processes_answer_for_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
