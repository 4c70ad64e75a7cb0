/*
 * The end of a process when memory is short: tables that are out come back to give up their slots,
 * and the frames for that are there, because what the process has in memory goes first.
 *
 *   SPARSE   one page in each of many tables: they and their tables are in the page file
 *   DENSE    in memory, modified, and the page file is full: trimming it frees no frame
 */
#include "unit/storage.h"

#define SPAN (2 * MIB)
#define SPARSE_TABLES 24u
#define SPARSE BASE
#define DENSE (BASE + GIB)
#define DENSE_SIZE (4 * MIB)
#define SMALL_RAM (512 * 1024)

static struct machine *open_small(uint64_t ram, uint64_t file)
{
    const struct machine_setup setup = {
        .hardware = {.ram_bytes = ram},
        .core = {.read_cluster_pages = 1, .extra_commit_pages = 65536},
    };
    struct machine *m = machine_open(&setup);
    (void)must_add_file(m, file, 0, NULL);
    return m;
}

static void fill_sparse(struct machine *m)
{
    must_allocate(m, SPARSE, SPARSE_TABLES * SPAN, NTMM_PAGE_READWRITE);
    for (uint64_t i = 0; i < SPARSE_TABLES; i++)
        must_write(m, SPARSE + i * SPAN, i);
}

static uint64_t tables_out(struct machine *m) { return get64(&machine_object(m)->tables_out); }

/* Write to pages in order until there is no frame for the next, whose address it returns. */
static uint64_t fill_until_full(struct machine *m)
{
    uint64_t va = DENSE;
    must_allocate(m, DENSE, DENSE_SIZE, NTMM_PAGE_READWRITE);
    while (try_write(m, va, va) == NTMM_STATUS_SUCCESS)
        va += PAGE;
    assert_true(va < DENSE + DENSE_SIZE);
    return va;
}

static void must_end(struct machine *m)
{
    assert_int_equal(ntmm_end_process(m->system, m->process), NTMM_STATUS_SUCCESS);
    must_finish_transfers(m);
    m->process = 0;
}

static void with_memory_and_page_file_full(void **state)
{
    (void)state;
    struct machine *m = open_small(SMALL_RAM, MIB);
    fill_sparse(m);
    (void)fill_until_full(m);
    assert_true(tables_out(m) > SPARSE_TABLES / 2);
    must_end(m);
    machine_close(m);
}

/* Nothing can be read: what was in memory has gone, the rest is there to be ended again. */
static void a_failed_end_leaves_a_sound_process(void **state)
{
    (void)state;
    struct machine *m = open_small(SMALL_RAM, MIB);
    fill_sparse(m);
    uint64_t last = fill_until_full(m) - PAGE;
    must_decommit(m, last, PAGE);
    (void)must_protect(m, last - PAGE, PAGE, NTMM_PAGE_READONLY);
    must_fail_disk(m, 0, NTMM_IO_READ, UINT64_MAX, NTMM_STATUS_DEVICE_DATA_ERROR, 0, 0);
    uint64_t before = machine_memory(m).free_pages;
    assert_int_equal(ntmm_end_process(m->system, m->process), NTMM_STATUS_DEVICE_DATA_ERROR);
    assert_true(machine_memory(m).free_pages > before + SMALL_RAM / PAGE / 2);
    machine_assert_sound(m);
    must_fail_disk(m, 0, NTMM_IO_READ, 0, 0, 0, 0);
    must_end(m);
    machine_close(m);
}

/* So little that all tables of a leaf, and one page, only just fit. */
static void on_ever_smaller_machines(void **state)
{
    (void)state;
    for (uint64_t frames = 96; frames >= 48; frames -= 4) {
        struct machine *m = open_small(frames * PAGE, 4 * MIB);
        fill_sparse(m);
        must_allocate(m, DENSE, MIB, NTMM_PAGE_READWRITE);
        must_fill(m, DENSE, MIB);
        assert_true(tables_out(m) != 0);
        must_end(m);
        machine_close(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_memory_and_page_file_full),
        cmocka_unit_test(a_failed_end_leaves_a_sound_process),
        cmocka_unit_test(on_ever_smaller_machines),
    };
    return cmocka_run_group_tests_name("process_end", tests, NULL, NULL);
}
