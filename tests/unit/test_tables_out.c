/*
 * Tables that are made where those above are out, and the upper half of a root. Expectations:
 * DESIGN, principle 9 (any service may meet a table that is out, and restarts); platform.h,
 * root_template.
 */
#include "paging/page_out.h"
#include "unit/machine.h"

#include <ntmm/borrow.h>

#define RW NTMM_PAGE_READWRITE
#define PAGES 8u
#define HIGH (BASE + 700 * GIB) /* all tables but the root are its own */
#define FOREIGN_FRAME (UINT64_C(1) << 30)
#define LONG_TABLES 8u

/* Pages whose tables are out, up to the one below the root. */
static struct machine *open_out(void)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = 12 * MIB}};
    struct machine *m = machine_open(&setup);
    assert_int_equal(page_out_add_file(m->emu), NTMM_STATUS_SUCCESS);
    must_allocate(m, HIGH, PAGES * PAGE, RW);
    must_fill(m, HIGH, PAGES * PAGE);
    page_out_everything(m->emu);
    assert_int_equal(machine_process(m).working_set_pages, 0);
    assert_int_equal(get64(machine_entry(m, HIGH, 4)) & FIELD_MASK(HW_VALID), 0);
    return m;
}

static void must_be_whole(struct machine *m)
{
    machine_assert_sound(m);
    must_hold(m, HIGH, PAGES * PAGE);
    machine_close(m);
}

static void large_pages_beside_tables_that_are_out(void **state)
{
    (void)state;
    struct machine *m = open_out();
    uint64_t large = HIGH + 64 * MIB;
    assert_int_equal(try_allocate(m, large, 2 * MIB,
                                  NTMM_MEM_RESERVE | NTMM_MEM_COMMIT | NTMM_MEM_LARGE_PAGES, RW),
                     NTMM_STATUS_SUCCESS);
    must_write(m, large, 5);
    assert_int_equal(must_read(m, large), 5);
    must_be_whole(m);
}

/* The one above them comes in, then all are made. */
static void a_long_range_beside_tables_that_are_out(void **state)
{
    (void)state;
    struct machine *m = open_out();
    uint64_t base = HIGH + 2 * MIB, size = LONG_TABLES * 2 * MIB;
    assert_int_equal(ntmm_map_borrowed(m->system, m->process, &base, &size, RW, FOREIGN_FRAME),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(machine_process(m).table_pages, 4 + LONG_TABLES);
    must_be_whole(m);
}

static void roots_have_the_upper_half_of_the_template(void **state)
{
    static uint64_t upper[256];
    (void)state;
    struct machine *m = machine_open(NULL);
    struct call c = machine_call(m);
    for (uint32_t i = 0; i < 256; i++)
        upper[i] = (UINT64_C(0x1000) + i) << NTMM_PAGE_SHIFT | FIELD_MASK(HW_VALID);
    m->system->platform.root_template = upper;
    ntmm_handle process = machine_add_process(m);
    struct process *object = process_in_slot(&c, (uint32_t)process);
    const le64 *root = table_at(&c, get64(&object->root_frame));
    for (uint32_t i = 0; i < 256; i++) {
        assert_int_equal(get64(&root[i]), 0);
        assert_int_equal(get64(&root[256 + i]), upper[i]);
    }
    assert_int_equal(ntmm_end_process(m->system, process), NTMM_STATUS_SUCCESS);
    machine_close(m);
}

typedef ntmm_status (*use_of_page)(struct machine *m, uint64_t va);

static ntmm_status read_page(struct machine *m, uint64_t va)
{
    uint64_t value;
    return try_read(m, va, &value);
}

static ntmm_status protect_page(struct machine *m, uint64_t va)
{
    uint64_t base = va, size = PAGE;
    uint32_t old;
    return ntmm_protect_virtual_memory(m->system, m->process, &base, &size, RW, &old);
}

/* Use a page when so many frames are left and nothing else can go. */
static ntmm_status use_with(struct machine *m, uint64_t left, use_of_page use)
{
    struct call c = machine_call(m);
    struct frame_chain hog = chain_empty(), rest = chain_empty();
    for (uint64_t frame, i = 0; frame_allocate(&c, NTMM_USE_FREE, &frame); i++)
        chain_add(&c, i < left ? &rest : &hog, frame);
    chain_free(&c, &rest);
    ntmm_status status = use(m, HIGH);
    chain_free(&c, &hog);
    return status;
}

/* A table that came back is not trimmed and brought back for ever, where the one below it, or the
 * page, finds no frame. */
static void tables_that_find_no_frame_for_what_is_below(void **state)
{
    static const struct {
        use_of_page use;
        uint64_t frames; /* three tables, and the page */
    } USES[] = {{read_page, 4}, {protect_page, 3}};
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        for (uint64_t left = 0; left <= USES[i].frames; left++) {
            struct machine *m = open_out();
            bool is_enough = left == USES[i].frames;
            assert_int_equal(use_with(m, left, USES[i].use),
                             is_enough ? NTMM_STATUS_SUCCESS : NTMM_STATUS_NO_MEMORY);
            must_be_whole(m);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_pages_beside_tables_that_are_out),
        cmocka_unit_test(a_long_range_beside_tables_that_are_out),
        cmocka_unit_test(tables_that_find_no_frame_for_what_is_below),
        cmocka_unit_test(roots_have_the_upper_half_of_the_template),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
