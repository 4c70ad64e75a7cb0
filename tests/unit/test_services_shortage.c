/*
 * What services say when there is no commit, no frame, no slot or no page: the statuses that only
 * shortage produces. Nothing is left behind.
 */
#include "paging/page_out.h"
#include "unit/machine.h"
#include "unit/storage.h"

#include <ntmm/access.h>
#include <ntmm/borrow.h>
#include <ntmm/job.h>
#include <ntmm/memory.h>
#include <ntmm/physical.h>
#include <ntmm/stack.h>

#define PAGES_LIMIT 4096u
#define SPREAD (UINT64_C(1) << 30) /* so far apart that each page has a table of its own */
#define EXTRA_COMMIT 0x100000u

static struct machine *open_with(uint64_t extra_commit_pages)
{
    struct machine_setup setup = {.core = {.extra_commit_pages = extra_commit_pages}};
    return machine_open(&setup);
}

/* Single committed pages, far apart, until nothing more can be promised or the limit is reached. */
static uint64_t commit_spread(struct machine *m, uint64_t limit)
{
    uint64_t pages = 0;
    while (pages < limit &&
           try_allocate(m, BASE + pages * SPREAD, PAGE, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT,
                        NTMM_PAGE_READWRITE) == NTMM_STATUS_SUCCESS)
        pages++;
    return pages;
}

typedef ntmm_status (*touch)(struct machine *m, uint64_t va);

static ntmm_status touch_by_read(struct machine *m, uint64_t va)
{
    uint8_t byte = 0;
    uint64_t copied = 0;
    return ntmm_read_virtual_memory(m->system, m->process, va, &byte, 1, &copied);
}

static ntmm_status touch_by_write(struct machine *m, uint64_t va)
{
    uint8_t byte = 1;
    uint64_t copied = 0;
    return ntmm_write_virtual_memory(m->system, m->process, va, &byte, 1, &copied);
}

static ntmm_status touch_by_probe(struct machine *m, uint64_t va)
{
    return ntmm_probe_virtual_memory(m->system, m->process, va, 1, NTMM_PROBE_WRITE);
}

static ntmm_status touch_by_lock(struct machine *m, uint64_t va)
{
    uint64_t base = va;
    uint64_t size = PAGE;
    ntmm_status status =
        ntmm_lock_virtual_memory(m->system, m->process, &base, &size, NTMM_MAP_PROCESS);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    return ntmm_unlock_virtual_memory(m->system, m->process, &base, &size, NTMM_MAP_PROCESS);
}

/* The status of the first touch that fails; SUCCESS when none does. */
static ntmm_status touch_until_short(struct machine *m, touch how, uint64_t pages)
{
    for (uint64_t i = 0; i < pages; i++) {
        ntmm_status status = how(m, BASE + i * SPREAD);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
    }
    return NTMM_STATUS_SUCCESS;
}

static void a_page_table_that_cannot_be_promised_is_the_commit_limit(void **state)
{
    static const touch ways[] = {touch_by_read, touch_by_write, touch_by_probe, touch_by_lock};
    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        struct machine *m = open_with(0);
        uint64_t pages = commit_spread(m, PAGES_LIMIT);
        assert_int_equal(touch_until_short(m, ways[i], pages), NTMM_STATUS_COMMITMENT_LIMIT);
        machine_close(m);
    }
}

static void a_page_without_a_frame_is_no_memory(void **state)
{
    static const touch ways[] = {touch_by_read, touch_by_write, touch_by_lock};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct machine *m = open_with(EXTRA_COMMIT);
        uint64_t pages = commit_spread(m, PAGES_LIMIT);
        assert_int_equal(touch_until_short(m, ways[i], pages), NTMM_STATUS_NO_MEMORY);
        machine_close(m);
    }
}

static void extended_allocation_has_the_same_limits(void **state)
{
    struct machine *m = machine_open(NULL);
    struct ntmm_caller nobody = {.size = sizeof nobody, .version = NTMM_CALLER_VERSION};
    uint64_t base = 0;
    uint64_t size = 64 * GIB;
    ntmm_handle handle = 0;
    (void)state;
    assert_int_equal(ntmm_allocate_virtual_memory_ex(m->system, m->process, &base, &size,
                                                     NTMM_MEM_RESERVE | NTMM_MEM_COMMIT,
                                                     NTMM_PAGE_READWRITE, NULL, 0),
                     NTMM_STATUS_COMMITMENT_LIMIT);
    assert_int_equal(
        ntmm_open_process(m->system, &nobody, m->process, NTMM_PROCESS_VM_OPERATION, &handle),
        NTMM_STATUS_SUCCESS);
    size = 2 * MIB;
    assert_int_equal(
        ntmm_allocate_virtual_memory_ex(m->system, handle, &base, &size,
                                        NTMM_MEM_RESERVE | NTMM_MEM_COMMIT | NTMM_MEM_LARGE_PAGES,
                                        NTMM_PAGE_READWRITE, NULL, 0),
        NTMM_STATUS_PRIVILEGE_NOT_HELD);
    machine_close(m);
}

static void a_window_whose_table_cannot_be_promised(void **state)
{
    struct machine *m = open_with(0);
    uint64_t window = BASE + PAGES_LIMIT * SPREAD;
    uint64_t frame = 0;
    uint64_t count = 1;
    (void)state;
    assert_int_equal(
        try_allocate(m, window, PAGE, NTMM_MEM_RESERVE | NTMM_MEM_PHYSICAL, NTMM_PAGE_READWRITE),
        NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_allocate_user_physical_pages(m->system, m->process, &count, &frame),
                     NTMM_STATUS_SUCCESS);
    (void)commit_spread(m, PAGES_LIMIT);
    assert_int_equal(ntmm_map_user_physical_pages(m->system, m->process, window, 1, &frame),
                     NTMM_STATUS_COMMITMENT_LIMIT);
    machine_close(m);
}

static void a_stack_without_room_is_no_memory(void **state)
{
    struct machine *m = machine_open(NULL);
    struct ntmm_stack_request request = {
        .zero_bits = 16, .commit_alignment = PAGE, .reserve_alignment = KIB64};
    struct ntmm_thread_stack stack;
    (void)state;
    assert_int_equal(ntmm_create_user_stack(m->system, m->process, &request, &stack),
                     NTMM_STATUS_NO_MEMORY);
    machine_close(m);
}

/* Jobs until one cannot be made; its status. */
static ntmm_status make_jobs_until_short(struct machine *m)
{
    static ntmm_handle jobs[1u << 18];
    uint32_t count = 0;
    ntmm_status status = NTMM_STATUS_SUCCESS;
    while (status == NTMM_STATUS_SUCCESS) {
        assert_true(count < sizeof jobs / sizeof jobs[0]);
        status = ntmm_create_job(m->system, &jobs[count]);
        count += status == NTMM_STATUS_SUCCESS;
    }
    while (count)
        assert_int_equal(ntmm_close_job(m->system, jobs[--count]), NTMM_STATUS_SUCCESS);
    return status;
}

static void jobs_end_where_memory_does(void **state)
{
    struct machine *m = open_with(0);
    (void)state;
    assert_int_equal(make_jobs_until_short(m), NTMM_STATUS_COMMITMENT_LIMIT);
    machine_close(m);
    m = open_with(EXTRA_COMMIT);
    assert_int_equal(make_jobs_until_short(m), NTMM_STATUS_NO_MEMORY);
    machine_close(m);
}

static void the_process_table_has_2048_places(void **state)
{
    static ntmm_handle handles[2048];
    struct machine_setup setup = {.hardware = {.ram_bytes = 64 * MIB}};
    struct machine *m = machine_open(&setup);
    uint32_t count = 0;
    ntmm_handle clone = 0;
    ntmm_status status = NTMM_STATUS_SUCCESS;
    (void)state;
    while (status == NTMM_STATUS_SUCCESS && count < 2048) {
        status = ntmm_create_process(m->system, NULL, &handles[count]);
        count += status == NTMM_STATUS_SUCCESS;
    }
    assert_int_equal(status, NTMM_STATUS_INSUFFICIENT_RESOURCES);
    assert_int_equal(count, 2047); /* one was there */
    assert_int_equal(ntmm_clone_process(m->system, m->process, NULL, &clone),
                     NTMM_STATUS_INSUFFICIENT_RESOURCES);
    while (count)
        assert_int_equal(ntmm_end_process(m->system, handles[--count]), NTMM_STATUS_SUCCESS);
    machine_close(m);
}

static void a_lock_of_a_page_that_cannot_be_read(void **state)
{
    struct machine *m = machine_open(NULL);
    uint64_t base = BASE;
    uint64_t size = PAGE;
    uint64_t device = 0;
    (void)state;
    (void)must_add_file(m, 4 * MIB, 4 * MIB, &device);
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 1);
    page_out_everything(m->emu);
    must_fail_disk(m, device, NTMM_IO_READ, ~0ull, NTMM_STATUS_DEVICE_DATA_ERROR, 0, 0);
    assert_int_equal(
        ntmm_lock_virtual_memory(m->system, m->process, &base, &size, NTMM_MAP_PROCESS),
        NTMM_STATUS_IN_PAGE_ERROR);
    must_fail_disk(m, device, NTMM_IO_READ, 0, NTMM_STATUS_SUCCESS, 0, 0);
    assert_int_equal(must_read(m, BASE), 1);
    machine_close(m);
}

/* --- tables of a long range, many at once --- */

#define FILLED_PAGES 1400u
#define FOREIGN_FRAME (UINT64_C(1) << 30) /* far above RAM: the embedder's */
#define PAGES_OF_TABLE 512u

/* Most of RAM holds pages that can go. */
static struct machine *open_filled(void)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = 8 * MIB},
                                        .core = {.extra_commit_pages = EXTRA_COMMIT}};
    struct machine *m = machine_open(&setup);
    must_add_file(m, 16 * MIB, 0, NULL);
    must_allocate(m, BASE, FILLED_PAGES * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, FILLED_PAGES * PAGE);
    return m;
}

static ntmm_status map_tables(struct machine *m, uint64_t tables)
{
    uint64_t base = BASE + SPREAD, size = tables * PAGES_OF_TABLE * PAGE;
    return ntmm_map_borrowed(m->system, m->process, &base, &size, NTMM_PAGE_READWRITE,
                             FOREIGN_FRAME);
}

/* None is made and given back before there are frames for all of them. */
static void tables_are_made_when_all_fit(void **state)
{
    (void)state;
    struct machine *m = open_filled();
    uint64_t made = machine_counter(m, NTMM_COUNTER_TABLES_CREATED);
    uint64_t tables = machine_process(m).table_pages;
    assert_int_equal(map_tables(m, 1024), NTMM_STATUS_SUCCESS);
    made = machine_counter(m, NTMM_COUNTER_TABLES_CREATED) - made;
    assert_in_range(machine_process(m).table_pages - tables, 1024, 1024 + 4);
    assert_int_equal(made, machine_process(m).table_pages - tables);
    machine_assert_sound(m);
    machine_close(m);
}

/* With more of them than frames, none is made. */
static void tables_that_never_fit(void **state)
{
    (void)state;
    struct machine *m = open_filled();
    uint64_t made = machine_counter(m, NTMM_COUNTER_TABLES_CREATED);
    uint64_t tables = machine_process(m).table_pages;
    assert_int_equal(map_tables(m, 4096), NTMM_STATUS_NO_MEMORY);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_TABLES_CREATED), made);
    assert_int_equal(machine_process(m).table_pages, tables);
    machine_assert_sound(m);
    must_hold(m, BASE, FILLED_PAGES * PAGE);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_table_that_cannot_be_promised_is_the_commit_limit),
        cmocka_unit_test(a_page_without_a_frame_is_no_memory),
        cmocka_unit_test(extended_allocation_has_the_same_limits),
        cmocka_unit_test(a_stack_without_room_is_no_memory),
        cmocka_unit_test(a_window_whose_table_cannot_be_promised),
        cmocka_unit_test(jobs_end_where_memory_does),
        cmocka_unit_test(the_process_table_has_2048_places),
        cmocka_unit_test(a_lock_of_a_page_that_cannot_be_read),
        cmocka_unit_test(tables_are_made_when_all_fit),
        cmocka_unit_test(tables_that_never_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
