/*
 * Reading, writing and copying memory of processes, from nt_semantics 3.4 and 6.3.
 *
 *   read   | 16 pages | 16 pages |      a chunk that has a page that cannot be read moves nothing
 *   write  w w r                        two pages are written, the third is not
 */
#include "paging/page_out.h"
#include "unit/storage.h"

#include <ntmm/memory.h>

#define CHUNK (16 * PAGE)
#define UNTOUCHED 0x77u

static uint8_t buffer[64 * 4096];

/* The bytes that address `i` of a pattern has. */
static uint8_t pattern(uint64_t i) { return (uint8_t)(i * 7 + (i >> 12) + 1); }

static void fill_pattern(uint64_t size)
{
    for (uint64_t i = 0; i < size; i++)
        buffer[i] = pattern(i);
}

static void expect_pattern(uint64_t size)
{
    for (uint64_t i = 0; i < size; i++) {
        if (buffer[i] != pattern(i))
            fail_msg("byte %llu", (unsigned long long)i);
    }
}

static void expect_untouched(uint64_t from, uint64_t size)
{
    for (uint64_t i = from; i < size; i++)
        assert_int_equal(buffer[i], UNTOUCHED);
}

static ntmm_handle without(ntmm_handle handle, uint32_t right)
{
    return handle | (ntmm_handle)right << HANDLE_LACKS_SHIFT;
}

static void expect_read(struct machine *m, uint64_t address, uint64_t size, ntmm_status expected,
                        uint64_t count)
{
    uint64_t copied = 12345;
    memset(buffer, UNTOUCHED, sizeof buffer);
    assert_int_equal(
        ntmm_read_virtual_memory(m->system, m->process, address, buffer, size, &copied), expected);
    assert_int_equal(copied, count);
    expect_untouched(size, sizeof buffer);
}

static void expect_write(struct machine *m, uint64_t address, uint64_t size, ntmm_status expected,
                         uint64_t count)
{
    uint64_t copied = 12345;
    fill_pattern(size);
    assert_int_equal(
        ntmm_write_virtual_memory(m->system, m->process, address, buffer, size, &copied), expected);
    assert_int_equal(copied, count);
}

static void what_is_written_is_read_again(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_allocate(m, BASE, 40 * PAGE, NTMM_PAGE_READWRITE);
    expect_write(m, BASE + 100, 33 * PAGE, NTMM_STATUS_SUCCESS, 33 * PAGE);
    expect_read(m, BASE + 100, 33 * PAGE, NTMM_STATUS_SUCCESS, 33 * PAGE);
    expect_pattern(33 * PAGE);
    assert_int_equal(must_read(m, BASE + 34 * PAGE), 0);
    /* on the processor too */
    uint8_t word[8];
    assert_int_equal(ntmm_emulated_load(m->emu, 0, BASE + 100 + 3 * PAGE, word, 8, NULL, &m->fault),
                     NTMM_STATUS_SUCCESS);
    for (uint64_t i = 0; i < 8; i++)
        assert_int_equal(word[i], pattern(3 * PAGE + i));
    machine_assert_sound(m);
    machine_close(m);
}

static void a_write_makes_a_clean_page_modified(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_add_file(m, MIB, 0, NULL);
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 1);
    page_out_everything(m->emu);
    assert_int_equal(must_read(m, BASE), 1);
    assert_false(pfn_is_modified(machine_row(m, machine_frame(m, BASE))));
    expect_write(m, BASE, 8, NTMM_STATUS_SUCCESS, 8);
    assert_true(pfn_is_modified(machine_row(m, machine_frame(m, BASE))));
    machine_assert_sound(m);
    page_out_everything(m->emu);
    expect_read(m, BASE, 8, NTMM_STATUS_SUCCESS, 8);
    expect_pattern(8);
    machine_assert_sound(m);
    machine_close(m);
}

static void a_read_leaves_a_page_clean_and_accessed(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_add_file(m, MIB, 0, NULL);
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 1);
    page_out_everything(m->emu);
    expect_read(m, BASE, 8, NTMM_STATUS_SUCCESS, 8);
    uint64_t raw = get64(machine_entry(m, BASE, 1));
    assert_true(raw & FIELD_MASK(HW_VALID));
    assert_true(raw & FIELD_MASK(HW_ACCESSED));
    assert_false(raw & FIELD_MASK(HW_DIRTY));
    set64(machine_entry(m, BASE, 1), raw & ~FIELD_MASK(HW_ACCESSED));
    expect_read(m, BASE, 8, NTMM_STATUS_SUCCESS, 8);
    assert_true(get64(machine_entry(m, BASE, 1)) & FIELD_MASK(HW_ACCESSED));
    assert_int_equal(machine_counter(m, NTMM_COUNTER_SPURIOUS_FAULTS), 0);
    machine_close(m);
}

static void a_read_counts_whole_chunks(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_allocate(m, BASE, 40 * PAGE, NTMM_PAGE_READWRITE);
    must_protect(m, BASE + PAGE, PAGE, NTMM_PAGE_NOACCESS);
    expect_read(m, BASE, 2 * PAGE, NTMM_STATUS_PARTIAL_COPY, 0);
    expect_untouched(0, sizeof buffer);
    must_protect(m, BASE + PAGE, PAGE, NTMM_PAGE_READONLY);
    must_protect(m, BASE + 30 * PAGE, PAGE, NTMM_PAGE_NOACCESS);
    expect_read(m, BASE, 35 * PAGE, NTMM_STATUS_PARTIAL_COPY, CHUNK);
    expect_untouched(CHUNK, sizeof buffer);
    expect_read(m, BASE + 20 * PAGE, 20 * PAGE, NTMM_STATUS_PARTIAL_COPY, 0);
    must_decommit(m, BASE + 39 * PAGE, PAGE);
    expect_read(m, BASE + 39 * PAGE - 1, 2, NTMM_STATUS_PARTIAL_COPY, 0);
    machine_close(m);
}

static void a_write_counts_pages(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_allocate(m, BASE, 8 * PAGE, NTMM_PAGE_READWRITE);
    must_protect(m, BASE + 2 * PAGE, PAGE, NTMM_PAGE_READONLY);
    expect_write(m, BASE, 8 * PAGE, NTMM_STATUS_PARTIAL_COPY, 2 * PAGE);
    expect_write(m, BASE + 5, 8 * PAGE, NTMM_STATUS_PARTIAL_COPY, 2 * PAGE - 5);
    expect_write(m, BASE + 2 * PAGE, 8, NTMM_STATUS_PARTIAL_COPY, 0);
    must_protect(m, BASE + 2 * PAGE, PAGE, NTMM_PAGE_EXECUTE_READ);
    expect_write(m, BASE + 2 * PAGE, 8, NTMM_STATUS_PARTIAL_COPY, 0);
    expect_read(m, BASE + 5, 2 * PAGE - 5, NTMM_STATUS_SUCCESS, 2 * PAGE - 5);
    expect_pattern(2 * PAGE - 5);
    machine_assert_sound(m);
    machine_close(m);
}

static void a_guard_is_consumed(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_allocate(m, BASE, 2 * PAGE, NTMM_PAGE_READWRITE);
    must_protect(m, BASE + PAGE, PAGE, NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD);
    expect_read(m, BASE, 2 * PAGE, NTMM_STATUS_PARTIAL_COPY, 0);
    assert_int_equal(must_query(m, BASE + PAGE).protect, NTMM_PAGE_READWRITE);
    expect_read(m, BASE, 2 * PAGE, NTMM_STATUS_SUCCESS, 2 * PAGE);
    must_protect(m, BASE + PAGE, PAGE, NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD);
    expect_write(m, BASE, 2 * PAGE, NTMM_STATUS_PARTIAL_COPY, PAGE);
    expect_write(m, BASE, 2 * PAGE, NTMM_STATUS_SUCCESS, 2 * PAGE);
    machine_assert_sound(m);
    machine_close(m);
}

static void the_range_comes_before_the_size_and_that_before_the_handle(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    ntmm_handle process = m->process;
    uint64_t copied = 9;
    expect_read(m, NTMM_HIGHEST_USER_ADDRESS, 2, NTMM_STATUS_ACCESS_VIOLATION, 0);
    expect_read(m, NTMM_USER_PROBE_ADDRESS, 0, NTMM_STATUS_ACCESS_VIOLATION, 0);
    expect_read(m, BASE, 0, NTMM_STATUS_SUCCESS, 0);
    assert_int_equal(ntmm_read_virtual_memory(m->system, process, BASE, NULL, 1, &copied),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(copied, 0);
    assert_int_equal(ntmm_write_virtual_memory(m->system, process, UINT64_MAX, buffer, 2, &copied),
                     NTMM_STATUS_ACCESS_VIOLATION);
    m->process = 0;
    expect_read(m, NTMM_HIGHEST_USER_ADDRESS, 2, NTMM_STATUS_ACCESS_VIOLATION, 0);
    expect_read(m, BASE, 0, NTMM_STATUS_SUCCESS, 0);
    expect_read(m, BASE, 1, NTMM_STATUS_INVALID_HANDLE, 0);
    expect_write(m, BASE, 1, NTMM_STATUS_INVALID_HANDLE, 0);
    m->process = process;
    assert_int_equal(ntmm_read_virtual_memory(m->system, process, BASE, buffer, 1, NULL),
                     NTMM_STATUS_PARTIAL_COPY);
    machine_close(m);
}

static void expect_probe(struct machine *m, uint64_t address, uint64_t size, uint32_t access,
                         ntmm_status expected)
{
    assert_int_equal(ntmm_probe_virtual_memory(m->system, m->process, address, size, access),
                     expected);
}

static void each_needs_its_right(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    ntmm_handle process = m->process;
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    m->process = without(process, NTMM_PROCESS_VM_READ);
    expect_read(m, BASE, 1, NTMM_STATUS_ACCESS_DENIED, 0);
    expect_write(m, BASE, 1, NTMM_STATUS_SUCCESS, 1);
    expect_probe(m, BASE, 1, NTMM_PROBE_READ, NTMM_STATUS_ACCESS_DENIED);
    expect_probe(m, BASE, 1, NTMM_PROBE_WRITE, NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_copy_virtual_memory(m->system, m->process, BASE, process, BASE, 1, NULL),
                     NTMM_STATUS_ACCESS_DENIED);
    m->process = without(process, NTMM_PROCESS_VM_WRITE);
    expect_read(m, BASE, 1, NTMM_STATUS_SUCCESS, 1);
    expect_write(m, BASE, 1, NTMM_STATUS_ACCESS_DENIED, 0);
    expect_probe(m, BASE, 1, NTMM_PROBE_READ, NTMM_STATUS_SUCCESS);
    expect_probe(m, BASE, 1, NTMM_PROBE_WRITE, NTMM_STATUS_ACCESS_DENIED);
    expect_probe(m, BASE, 1, NTMM_PROBE_WRITE + 1, NTMM_STATUS_INVALID_PARAMETER_5);
    assert_int_equal(ntmm_copy_virtual_memory(m->system, process, BASE, m->process, BASE, 1, NULL),
                     NTMM_STATUS_ACCESS_DENIED);
    m->process = process;
    machine_close(m);
}

/* 64 pages through 40 frames. */
static void a_range_larger_than_memory_goes_through(void **state)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = 60 * PAGE}};
    (void)state;
    struct machine *m = machine_open(&setup);
    must_add_file(m, MIB, 0, NULL);
    must_allocate(m, BASE, 64 * PAGE, NTMM_PAGE_READWRITE);
    expect_write(m, BASE, 64 * PAGE, NTMM_STATUS_SUCCESS, 64 * PAGE);
    for (uint32_t i = 0; i < 3; i++) {
        expect_read(m, BASE, 64 * PAGE, NTMM_STATUS_SUCCESS, 64 * PAGE);
        expect_pattern(64 * PAGE);
    }
    must_finish_transfers(m);
    machine_assert_sound(m);
    machine_close(m);
}

/* Five allocations are needed for the first byte: a frame and, in a new span, three tables. */
static void frames_that_are_lacking_are_a_status(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_allocate(m, BASE, 4 * PAGE, NTMM_PAGE_READWRITE);
    for (uint64_t after = 0; after < 4; after++) {
        m->system->failures = (struct allocation_failures){.after = after, .count = UINT64_MAX};
        expect_write(m, BASE, PAGE, NTMM_STATUS_NO_MEMORY, 0);
        expect_probe(m, BASE, PAGE, NTMM_PROBE_READ, NTMM_STATUS_NO_MEMORY);
        m->system->failures = (struct allocation_failures){0};
        machine_assert_sound(m);
        assert_int_equal(machine_process(m).working_set_pages, 0);
    }
    m->system->failures = (struct allocation_failures){.after = 6, .count = UINT64_MAX};
    expect_write(m, BASE, 4 * PAGE, NTMM_STATUS_NO_MEMORY, 3 * PAGE);
    m->system->failures = (struct allocation_failures){0};
    machine_assert_sound(m);
    machine_close(m);
}

static void a_page_that_cannot_be_read_ends_the_copy(void **state)
{
    uint64_t device;
    (void)state;
    struct machine *m = machine_open(NULL);
    must_add_file(m, MIB, 0, &device);
    must_allocate(m, BASE, 4 * PAGE, NTMM_PAGE_READWRITE);
    expect_write(m, BASE, 4 * PAGE, NTMM_STATUS_SUCCESS, 4 * PAGE);
    must_trim(m, BASE, 4 * PAGE);
    while (get64(&machine_partition(m)->modified.count) != 0) {
        (void)must_write_modified(m, 4);
        must_finish_transfers(m);
    }
    struct call c = machine_call(m);
    uint64_t frames[2048];
    uint32_t count = 0;
    while (load64_relaxed(&machine_partition(m)->standby_pages) != 0)
        assert_true(frame_allocate(&c, NTMM_USE_FREE, &frames[count++]));
    while (count > 0)
        frame_free(&c, frames[--count]);
    must_fail_disk(m, device, NTMM_IO_READ, UINT64_MAX, NTMM_STATUS_DEVICE_DATA_ERROR, 0, 0);
    expect_read(m, BASE, 4 * PAGE, NTMM_STATUS_PARTIAL_COPY, 0);
    expect_write(m, BASE, 8, NTMM_STATUS_PARTIAL_COPY, 0);
    expect_probe(m, BASE, 4 * PAGE, NTMM_PROBE_WRITE, NTMM_STATUS_IN_PAGE_ERROR);
    must_fail_disk(m, device, NTMM_IO_READ, 0, 0, 0, 0);
    expect_read(m, BASE, 4 * PAGE, NTMM_STATUS_SUCCESS, 4 * PAGE);
    expect_pattern(4 * PAGE);
    must_finish_transfers(m);
    machine_assert_sound(m);
    machine_close(m);
}

/* --- between two processes --- */

struct pair {
    struct machine *m;
    ntmm_handle other;
};

static void allocate_in(struct machine *m, ntmm_handle process, uint64_t base, uint64_t size)
{
    assert_int_equal(ntmm_allocate_virtual_memory(m->system, process, &base, 0, &size,
                                                  NTMM_MEM_RESERVE | NTMM_MEM_COMMIT,
                                                  NTMM_PAGE_READWRITE),
                     NTMM_STATUS_SUCCESS);
}

static struct pair open_pair(void)
{
    struct pair p = {.m = machine_open(NULL)};
    must_add_file(p.m, MIB, 0, NULL);
    p.other = machine_add_process(p.m);
    must_allocate(p.m, BASE, 16 * PAGE, NTMM_PAGE_READWRITE);
    allocate_in(p.m, p.other, 2 * BASE, 16 * PAGE);
    expect_write(p.m, BASE, 16 * PAGE, NTMM_STATUS_SUCCESS, 16 * PAGE);
    return p;
}

static void expect_copy(struct pair *p, uint64_t from, uint64_t to, uint64_t size,
                        ntmm_status expected, uint64_t count)
{
    uint64_t copied = 12345;
    assert_int_equal(
        ntmm_copy_virtual_memory(p->m->system, p->m->process, from, p->other, to, size, &copied),
        expected);
    assert_int_equal(copied, count);
    machine_assert_sound(p->m);
}

/* The bytes that the other process has at `to` are those of the pattern at `from`. */
static void expect_there(struct pair *p, uint64_t to, uint64_t from, uint64_t size)
{
    assert_int_equal(ntmm_read_virtual_memory(p->m->system, p->other, to, buffer, size, NULL),
                     NTMM_STATUS_SUCCESS);
    for (uint64_t i = 0; i < size; i++) {
        if (buffer[i] != pattern(from + i))
            fail_msg("byte %llu", (unsigned long long)i);
    }
}

static void bytes_go_from_process_to_process(void **state)
{
    (void)state;
    struct pair p = open_pair();
    expect_copy(&p, BASE, 2 * BASE, 5 * PAGE, NTMM_STATUS_SUCCESS, 5 * PAGE);
    expect_there(&p, 2 * BASE, 0, 5 * PAGE);
    expect_copy(&p, BASE + 300, 2 * BASE + 7, 3 * PAGE + 11, NTMM_STATUS_SUCCESS, 3 * PAGE + 11);
    expect_there(&p, 2 * BASE + 7, 300, 3 * PAGE + 11);
    expect_copy(&p, BASE + 5, 2 * BASE + 5, 4 * PAGE, NTMM_STATUS_SUCCESS, 4 * PAGE);
    expect_there(&p, 2 * BASE + 5, 5, 4 * PAGE);
    page_out_everything(p.m->emu);
    expect_copy(&p, BASE, 2 * BASE, 16 * PAGE, NTMM_STATUS_SUCCESS, 16 * PAGE);
    page_out_everything(p.m->emu);
    expect_there(&p, 2 * BASE, 0, 16 * PAGE);
    machine_close(p.m);
}

static void a_copy_ends_where_either_side_does(void **state)
{
    (void)state;
    struct pair p = open_pair();
    must_protect(p.m, BASE + 3 * PAGE, PAGE, NTMM_PAGE_NOACCESS);
    expect_copy(&p, BASE, 2 * BASE, 8 * PAGE, NTMM_STATUS_PARTIAL_COPY, 3 * PAGE);
    expect_copy(&p, BASE, 2 * BASE + 100, 8 * PAGE, NTMM_STATUS_PARTIAL_COPY, 3 * PAGE);
    expect_copy(&p, BASE, 2 * BASE + 14 * PAGE, 3 * PAGE, NTMM_STATUS_PARTIAL_COPY, 2 * PAGE);
    expect_copy(&p, BASE, BASE, PAGE, NTMM_STATUS_PARTIAL_COPY, 0);
    expect_copy(&p, NTMM_HIGHEST_USER_ADDRESS, 2 * BASE, 2, NTMM_STATUS_ACCESS_VIOLATION, 0);
    expect_copy(&p, BASE, NTMM_HIGHEST_USER_ADDRESS, 2, NTMM_STATUS_ACCESS_VIOLATION, 0);
    p.other = 0;
    expect_copy(&p, BASE, 2 * BASE, 0, NTMM_STATUS_SUCCESS, 0);
    expect_copy(&p, BASE, 2 * BASE, 1, NTMM_STATUS_INVALID_HANDLE, 0);
    machine_close(p.m);
}

/* Nothing holds a frame of a large page but its region: its bytes go through the stack. */
static void large_pages_are_copied_too(void **state)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = 8 * MIB}};
    (void)state;
    struct pair p = {.m = machine_open(&setup)};
    p.other = machine_add_process(p.m);
    assert_int_equal(try_allocate(p.m, 16 * BASE, 2 * MIB,
                                  NTMM_MEM_RESERVE | NTMM_MEM_COMMIT | NTMM_MEM_LARGE_PAGES,
                                  NTMM_PAGE_READWRITE),
                     NTMM_STATUS_SUCCESS);
    allocate_in(p.m, p.other, 2 * BASE, 16 * PAGE);
    expect_write(p.m, 16 * BASE, 16 * PAGE, NTMM_STATUS_SUCCESS, 16 * PAGE);
    expect_copy(&p, 16 * BASE, 2 * BASE, 5 * PAGE, NTMM_STATUS_SUCCESS, 5 * PAGE);
    expect_there(&p, 2 * BASE, 0, 5 * PAGE);
    expect_copy(&p, 16 * BASE + 9, 2 * BASE + 5, 3 * PAGE, NTMM_STATUS_SUCCESS, 3 * PAGE);
    expect_there(&p, 2 * BASE + 5, 9, 3 * PAGE);
    expect_read(p.m, 16 * BASE, 16 * PAGE, NTMM_STATUS_SUCCESS, 16 * PAGE);
    expect_pattern(16 * PAGE);
    machine_close(p.m);
}

/* The source page is held while the target is touched: what takes its frame then? Nothing. */
static void a_source_survives_shortage_at_the_target(void **state)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = 48 * PAGE}};
    (void)state;
    struct pair p = {.m = machine_open(&setup)};
    must_add_file(p.m, MIB, 0, NULL);
    p.other = machine_add_process(p.m);
    must_allocate(p.m, BASE, 48 * PAGE, NTMM_PAGE_READWRITE);
    allocate_in(p.m, p.other, 2 * BASE, 48 * PAGE);
    expect_write(p.m, BASE, 48 * PAGE, NTMM_STATUS_SUCCESS, 48 * PAGE);
    for (uint32_t i = 0; i < 2; i++) {
        expect_copy(&p, BASE, 2 * BASE, 48 * PAGE, NTMM_STATUS_SUCCESS, 48 * PAGE);
        expect_there(&p, 2 * BASE, 0, 48 * PAGE);
    }
    must_finish_transfers(p.m);
    machine_assert_sound(p.m);
    machine_close(p.m);
}

/* A platform that cannot wait: the call gives up the read, which ends without it. */
static void a_read_that_is_not_waited_for_ends(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    struct call c = machine_call(m);
    uint64_t value, moved;
    (void)must_add_file(m, MIB, 0, NULL);
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 5);
    page_out_everything(m->emu);
    ntmm_status (*wait)(void *, struct ntmm_wait *, uint64_t) = m->system->platform.wait;
    m->system->platform.wait = NULL;
    assert_int_equal(ntmm_read_virtual_memory(m->system, m->process, BASE, &value, 8, &moved),
                     NTMM_STATUS_NO_MEMORY);
    assert_int_equal(moved, 0);
    m->system->platform.wait = wait;
    must_finish_transfers(m);
    assert_int_equal(transfers_in_use(&c), 0);
    machine_assert_sound(m);
    assert_int_equal(must_read(m, BASE), 5);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_read_that_is_not_waited_for_ends),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(a_write_makes_a_clean_page_modified),
        cmocka_unit_test(a_read_leaves_a_page_clean_and_accessed),
        cmocka_unit_test(a_read_counts_whole_chunks),
        cmocka_unit_test(a_write_counts_pages),
        cmocka_unit_test(a_guard_is_consumed),
        cmocka_unit_test(the_range_comes_before_the_size_and_that_before_the_handle),
        cmocka_unit_test(each_needs_its_right),
        cmocka_unit_test(a_range_larger_than_memory_goes_through),
        cmocka_unit_test(frames_that_are_lacking_are_a_status),
        cmocka_unit_test(a_page_that_cannot_be_read_ends_the_copy),
        cmocka_unit_test(bytes_go_from_process_to_process),
        cmocka_unit_test(a_copy_ends_where_either_side_does),
        cmocka_unit_test(large_pages_are_copied_too),
        cmocka_unit_test(a_source_survives_shortage_at_the_target),
    };
    return cmocka_run_group_tests_name("copy", tests, NULL, NULL);
}
