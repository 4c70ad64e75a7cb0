/*
 * A paging scenario in which the 1st, 2nd, 3rd ... transfer or frame allocation fails, once and
 * from there on: each step gives NT's status or succeeds, and once the failures end every page
 * holds what was last written to it.
 *
 *   RAM    |frames|                     PAGES of a region, more than there are frames
 *   REGION |w w w w w w w w w w w w|    written, read, rewritten, protected, decommitted, released
 *
 * The scenario keeps its own record of each page; a write that fails leaves the record as it was.
 */
#include "unit/machine.h"

#include <ntmm/paging.h>

#define RAM_BYTES (384 * 1024)
#define PAGES 200u
#define FILE_BYTES (2 * MIB)
#define FAILURE NTMM_STATUS_DEVICE_DATA_ERROR
#define FROM_THERE_ON UINT64_MAX
/* A fault that finds no frame looks again after a second, and then fails: each time it sweeps all
 * working sets, which is most of what this test costs. */
#define FAULT_WAIT_100NS 15000000u
/* After so many failures in a row nothing changes any more: every eighth page is asked then. */
#define ROW_LIMIT 16u

enum victim { VICTIM_READ, VICTIM_READ_REFUSED, VICTIM_WRITE, VICTIM_WRITE_REFUSED, VICTIM_FRAME };

struct paging_world {
    struct machine *m;
    uint64_t device;
    enum victim victim;
    uint64_t written[PAGES]; /* what each page holds */
    uint32_t failures;       /* steps that failed */
    uint32_t row;            /* the last ones, in a row */
};

static void inject(struct paging_world *w, uint64_t after, uint64_t count)
{
    bool is_read = w->victim == VICTIM_READ || w->victim == VICTIM_READ_REFUSED;
    struct ntmm_emulated_disk_errors errors = {
        .operations = 1u << (is_read ? NTMM_IO_READ : NTMM_IO_WRITE),
        .is_refused = w->victim == VICTIM_READ_REFUSED || w->victim == VICTIM_WRITE_REFUSED,
        .after = after,
        .count = count,
        .status = FAILURE,
    };
    if (w->victim == VICTIM_FRAME)
        w->m->system->failures = (struct allocation_failures){.after = after, .count = count};
    else
        assert_int_equal(
            ntmm_emulated_inject_disk(w->m->emu, w->device, count != 0 ? &errors : NULL),
            NTMM_STATUS_SUCCESS);
}

/* How many failures were given so far. */
static uint64_t failures_given(struct paging_world *w, uint64_t count)
{
    struct ntmm_emulated_statistics statistics;
    ntmm_emulated_query(w->m->emu, &statistics);
    if (w->victim == VICTIM_FRAME)
        return count - w->m->system->failures.count;
    return statistics.injected_errors;
}

static void open_world(struct paging_world *w)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = RAM_BYTES},
                                        .core = {.fault_wait_100ns = FAULT_WAIT_100NS}};
    const struct ntmm_emulated_disk_config disk = {
        .size = sizeof disk, .version = NTMM_EMULATED_DISK_VERSION, .size_bytes = FILE_BYTES};
    struct ntmm_paging_file_config file = {
        .size = sizeof file, .version = NTMM_PAGING_FILE_VERSION, .initial_bytes = FILE_BYTES};
    w->m = machine_open(&setup);
    assert_int_equal(ntmm_emulated_add_disk(w->m->emu, &disk, &w->device), NTMM_STATUS_SUCCESS);
    file.device = w->device;
    assert_int_equal(ntmm_create_paging_file(w->m->system, &file, NULL), NTMM_STATUS_SUCCESS);
}

/* A step failed: only like this. */
static void expect_failure(struct paging_world *w, ntmm_status status)
{
    bool is_io = w->victim == VICTIM_READ || w->victim == VICTIM_READ_REFUSED;
    w->failures++;
    w->row++;
    if (status == NTMM_STATUS_IN_PAGE_ERROR) {
        assert_true(is_io);
        assert_int_equal(w->m->fault.parameter_count, 3);
        assert_int_equal(w->m->fault.parameters[2], FAILURE);
    } else if (status == FAILURE) {
        assert_true(is_io); /* of a table, for a service */
    } else {
        assert_int_equal(status, NTMM_STATUS_NO_MEMORY);
        assert_false(is_io);
    }
}

static void serve(struct paging_world *w, ntmm_status status)
{
    if (status != NTMM_STATUS_SUCCESS)
        expect_failure(w, status);
    else
        w->row = 0;
}

static void write_page(struct paging_world *w, uint32_t page, uint64_t value)
{
    ntmm_status status = try_write(w->m, BASE + page * PAGE, value);
    serve(w, status);
    if (status == NTMM_STATUS_SUCCESS)
        w->written[page] = value;
}

static void read_page(struct paging_world *w, uint32_t page)
{
    uint64_t value = 0;
    ntmm_status status = try_read(w->m, BASE + page * PAGE, &value);
    serve(w, status);
    if (status == NTMM_STATUS_SUCCESS)
        assert_int_equal(value, w->written[page]);
}

static void decommit(struct paging_world *w, uint32_t first, uint32_t count)
{
    ntmm_status status = try_free(w->m, BASE + first * PAGE, count * PAGE, NTMM_MEM_DECOMMIT);
    serve(w, status);
    if (status != NTMM_STATUS_SUCCESS)
        return;
    for (uint32_t page = first; page < first + count; page++)
        w->written[page] = 0;
    do { /* so that the scenario can go on */
        status = try_allocate(w->m, BASE + first * PAGE, count * PAGE, NTMM_MEM_COMMIT,
                              NTMM_PAGE_READWRITE);
        serve(w, status);
    } while (status == NTMM_STATUS_NO_MEMORY && w->failures < 4);
    if (status != NTMM_STATUS_SUCCESS)
        inject(w, 0, 0);
    if (status != NTMM_STATUS_SUCCESS)
        must_commit(w->m, BASE + first * PAGE, count * PAGE, NTMM_PAGE_READWRITE);
}

/* From one page that is asked to the next. */
static uint32_t stride(const struct paging_world *w) { return w->row < ROW_LIMIT ? 1 : 8; }

static void write_pages(struct paging_world *w, uint32_t step, uint64_t value)
{
    w->row = 0;
    for (uint32_t page = 0; page < PAGES; page += step * stride(w))
        write_page(w, page, value + page);
}

static void read_pages(struct paging_world *w, uint32_t step)
{
    w->row = 0;
    for (uint32_t page = 0; page < PAGES; page += step * stride(w))
        read_page(w, page);
}

static void read_pages_backward(struct paging_world *w)
{
    w->row = 0;
    for (uint32_t left = PAGES; left > 0; left -= left < stride(w) ? left : stride(w))
        read_page(w, left - 1);
}

static void run_scenario(struct paging_world *w)
{
    write_pages(w, 1, 0x1000);
    read_pages(w, 1);
    write_pages(w, 3, 0x2000);
    serve(w, try_protect(w->m, BASE, 40 * PAGE, NTMM_PAGE_READONLY));
    read_pages_backward(w);
    serve(w, try_protect(w->m, BASE, 40 * PAGE, NTMM_PAGE_READWRITE));
    decommit(w, 20, 40);
    read_pages(w, 2);
}

/* The failures are over: nothing was lost. */
static void expect_everything(struct paging_world *w)
{
    for (uint32_t page = 0; page < PAGES; page++)
        assert_int_equal(must_read(w->m, BASE + page * PAGE), w->written[page]);
    machine_assert_sound(w->m);
}

/* Returns whether a failure was given. */
static bool run_with(enum victim victim, uint64_t after, uint64_t count)
{
    struct paging_world w = {.victim = victim};
    open_world(&w);
    must_allocate(w.m, BASE, PAGES * PAGE, NTMM_PAGE_READWRITE);
    inject(&w, after, count);
    run_scenario(&w);
    bool is_given = failures_given(&w, count) != 0;
    bool is_read = victim == VICTIM_READ || victim == VICTIM_READ_REFUSED;
    if (count == 1) /* only who waits for this one read can fail by it */
        assert_in_range(w.failures, 0, is_read);
    machine_assert_sound(w.m);
    inject(&w, 0, 0);
    expect_everything(&w);
    must_release(w.m, BASE, PAGES * PAGE);
    machine_close(w.m);
    return is_given;
}

/* The next place of a failure: each of the first ones, then fewer. */
static uint64_t next_place(uint64_t after) { return after + 1 + after / 6; }

static void sweep(enum victim victim)
{
    uint64_t runs = 0;
    for (uint64_t after = 0; run_with(victim, after, 1); after = next_place(after))
        runs++;
    assert_true(runs > 8);
    for (uint64_t after = 0; run_with(victim, after, FROM_THERE_ON); after = next_place(after))
        runs++;
    print_message("%u runs\n", (unsigned)runs);
}

static void reads_fail(void **state)
{
    (void)state;
    sweep(VICTIM_READ);
}

static void reads_are_refused(void **state)
{
    (void)state;
    sweep(VICTIM_READ_REFUSED);
}

static void writes_fail(void **state)
{
    (void)state;
    sweep(VICTIM_WRITE);
}

static void writes_are_refused(void **state)
{
    (void)state;
    sweep(VICTIM_WRITE_REFUSED);
}

static void frames_fail(void **state)
{
    (void)state;
    sweep(VICTIM_FRAME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_fail),  cmocka_unit_test(reads_are_refused),
        cmocka_unit_test(writes_fail), cmocka_unit_test(writes_are_refused),
        cmocka_unit_test(frames_fail),
    };
    return cmocka_run_group_tests_name("sweep_paging", tests, NULL, NULL);
}
