/*
 * Frames of sections that are taken out of use (frames.h): in no process is anything left of them,
 * and every process sees the same afterwards. Expectations: nt_semantics 8, 6.6, docs/fidelity.md.
 */
#include "section_world.h"

#include <ntmm/fault.h>
#include <ntmm/frames.h>
#include <ntmm/inspect.h>

struct fixture {
    struct world w;
    ntmm_handle first, second;
    uint64_t a, b; /* the view in each */
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    make_pair_world(&f->w, &f->first, &f->second);
    (void)add_page_file(&f->w, 4 * MIB);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    end_pair_world(&f->w, f->first, f->second);
    free(f);
    return 0;
}

static void map_both(struct fixture *f, ntmm_handle section)
{
    f->a = map(&f->w, section, f->first, NTMM_PAGE_READWRITE);
    f->b = map(&f->w, section, f->second, NTMM_PAGE_READWRITE);
}

static uint64_t must_load(struct fixture *f, uint32_t cpu, uint64_t va)
{
    uint64_t value = 0;
    check_ok(load64(&f->w, cpu, va, &value));
    return value;
}

static uint64_t frame_of(struct fixture *f, ntmm_handle process, uint64_t va)
{
    struct ntmm_explanation x;
    check_ok(ntmm_explain(f->w.system, process, va, &x));
    assert_true(x.has_frame);
    return x.frame.frame;
}

static uint64_t valid_frame(struct fixture *f, uint64_t va)
{
    (void)must_load(f, 0, va);
    return frame_of(f, f->first, va);
}

static void must_mark(struct fixture *f, uint64_t frame, uint32_t flags, uint32_t expected)
{
    uint32_t outcome = 77;
    check_ok(ntmm_mark_frame_bad(f->w.system, frame, flags, &outcome));
    assert_int_equal(outcome, expected);
    check_world(&f->w);
    struct ntmm_frame_information row;
    check_ok(ntmm_query_frame(f->w.system, frame, &row));
    assert_int_equal(row.location, NTMM_FRAME_BAD);
}

static uint64_t pattern64(uint64_t at)
{
    uint64_t value;
    uint8_t *bytes = (uint8_t *)&value;
    for (uint64_t i = 0; i < 8; i++)
        bytes[i] = pattern(at + i);
    return value;
}

static void expect_lost(struct fixture *f, uint32_t cpu, ntmm_handle process, uint64_t va)
{
    struct ntmm_fault_result result;
    uint64_t value;
    assert_int_equal(ntmm_emulated_load(f->w.emu, cpu, va, &value, sizeof value, NULL, &result),
                     NTMM_STATUS_IN_PAGE_ERROR);
    assert_int_equal(result.parameter_count, 3);
    assert_int_equal(result.parameters[1], va);
    assert_int_equal(result.parameters[2], NTMM_STATUS_HARDWARE_MEMORY_ERROR);
    struct ntmm_memory_basic_information about_page = query(&f->w, process, va);
    assert_int_equal(about_page.state, NTMM_MEM_COMMIT);
}

/* A page of a file that both map is read again, in another frame that both share. */
static void a_clean_page_of_a_file_is_read_again(void **state)
{
    struct fixture *f = *state;
    ntmm_handle file = make_file(&f->w, 8 * PAGE);
    ntmm_handle section = make_section(&f->w, 0, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, file);
    map_both(f, section);
    assert_int_equal(must_load(f, 1, f->b + PAGE), pattern64(PAGE));
    uint64_t frame = valid_frame(f, f->a + PAGE);
    assert_int_equal(frame_of(f, f->second, f->b + PAGE), frame);
    must_mark(f, frame, 0, NTMM_BAD_FRAME_DROPPED);
    assert_int_equal(must_load(f, 0, f->a + PAGE), pattern64(PAGE));
    assert_int_equal(must_load(f, 1, f->b + PAGE), pattern64(PAGE));
    assert_int_not_equal(frame_of(f, f->first, f->a + PAGE), frame);
    assert_int_equal(frame_of(f, f->first, f->a + PAGE), frame_of(f, f->second, f->b + PAGE));
    close_section(&f->w, section);
    close_file(&f->w, file);
}

static void a_changed_page_of_a_file_moves_or_is_the_files(void **state)
{
    struct fixture *f = *state;
    ntmm_handle file = make_file(&f->w, 8 * PAGE);
    ntmm_handle section = make_section(&f->w, 0, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, file);
    map_both(f, section);
    check_ok(store64(&f->w, 0, f->a, 0x1234));
    assert_int_equal(must_load(f, 1, f->b), 0x1234);
    must_mark(f, valid_frame(f, f->a), NTMM_BAD_FRAME_READABLE, NTMM_BAD_FRAME_MOVED);
    assert_int_equal(must_load(f, 0, f->a), 0x1234);
    assert_int_equal(must_load(f, 1, f->b), 0x1234);
    must_mark(f, valid_frame(f, f->a), 0, NTMM_BAD_FRAME_LOST);
    assert_int_equal(must_load(f, 1, f->b), pattern64(0));
    assert_int_equal(must_load(f, 0, f->a), pattern64(0));
    check_ok(store64(&f->w, 1, f->b, 0x55));
    assert_int_equal(must_load(f, 0, f->a), 0x55);
    close_section(&f->w, section);
    close_file(&f->w, file);
}

/* Memory that only page files back: both lose it, until the section ends. */
static void a_page_of_page_files_is_lost_for_all(void **state)
{
    struct fixture *f = *state;
    ntmm_handle section = make_section(&f->w, 4 * PAGE, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, 0);
    map_both(f, section);
    for (uint64_t i = 0; i < 4; i++)
        check_ok(store64(&f->w, 0, f->a + i * PAGE, 100 + i));
    assert_int_equal(must_load(f, 1, f->b + PAGE), 101);
    must_mark(f, valid_frame(f, f->a + PAGE), NTMM_BAD_FRAME_READABLE, NTMM_BAD_FRAME_MOVED);
    assert_int_equal(must_load(f, 1, f->b + PAGE), 101);
    must_mark(f, valid_frame(f, f->a + PAGE), 0, NTMM_BAD_FRAME_LOST);
    expect_lost(f, 0, f->first, f->a + PAGE);
    expect_lost(f, 1, f->second, f->b + PAGE);
    check_world(&f->w);
    assert_int_equal(store64(&f->w, 1, f->b + PAGE, 1), NTMM_STATUS_IN_PAGE_ERROR);
    for (uint64_t i = 0; i < 4; i += 2)
        assert_int_equal(must_load(f, 1, f->b + i * PAGE), 100 + i);
    unmap(&f->w, f->first, f->a);
    uint64_t again = map(&f->w, section, f->first, NTMM_PAGE_READWRITE);
    expect_lost(f, 0, f->first, again + PAGE);
    close_section(&f->w, section);
}

/* A private copy is the process's alone; the page that it was copied from is as it was. */
static void a_private_copy_is_lost_alone(void **state)
{
    struct fixture *f = *state;
    ntmm_handle file = make_file(&f->w, 8 * PAGE);
    ntmm_handle section = make_section(&f->w, 0, NTMM_PAGE_WRITECOPY, NTMM_SEC_COMMIT, file);
    f->a = map(&f->w, section, f->first, NTMM_PAGE_WRITECOPY);
    f->b = map(&f->w, section, f->second, NTMM_PAGE_WRITECOPY);
    check_ok(store64(&f->w, 0, f->a, 0x1234));
    assert_int_equal(must_load(f, 1, f->b), pattern64(0));
    must_mark(f, valid_frame(f, f->a), NTMM_BAD_FRAME_READABLE, NTMM_BAD_FRAME_MOVED);
    assert_int_equal(must_load(f, 0, f->a), 0x1234);
    must_mark(f, valid_frame(f, f->a), 0, NTMM_BAD_FRAME_LOST);
    expect_lost(f, 0, f->first, f->a);
    assert_int_equal(must_load(f, 1, f->b), pattern64(0));
    close_section(&f->w, section);
    close_file(&f->w, file);
}

/* A table of prototypes, and a frame that a processor's view of large pages shows, stay. */
static void what_does_not_leave_is_refused(void **state)
{
    struct fixture *f = *state;
    ntmm_handle section = make_section(&f->w, 4 * PAGE, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, 0);
    map_both(f, section);
    uint64_t frame = valid_frame(f, f->a);
    struct ntmm_frame_information row;
    check_ok(ntmm_query_frame(f->w.system, frame, &row));
    assert_int_equal(ntmm_mark_frame_bad(f->w.system, row.table_frame, 0, NULL),
                     NTMM_STATUS_NOT_SUPPORTED);
    check_world(&f->w);
    close_section(&f->w, section);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_clean_page_of_a_file_is_read_again),
        TEST(a_changed_page_of_a_file_moves_or_is_the_files),
        TEST(a_page_of_page_files_is_lost_for_all),
        TEST(a_private_copy_is_lost_alone),
        TEST(what_does_not_leave_is_refused),
    };
    return cmocka_run_group_tests_name("bad_frames_shared", tests, NULL, NULL);
}
