/*
 * Handles of files and sections when there is no room for one more: as many as slots go, and
 * without commit or a frame for more slots. What fails opens nothing, and does so no longer when a
 * handle was closed. Expectations: the contracts of ntmm/file.h and ntmm/section.h.
 */
#include "section_world.h"

#include "base/instance.h"

#define HANDLES_MAX 131072u /* documented: ntmm/section.h */

static const uint16_t NAME[] = {'s'};

struct fixture {
    struct world w;
    ntmm_handle process, file, section;
    ntmm_handle opened[HANDLES_MAX];
    uint32_t count;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const struct ntmm_section_config config = {
        .size = sizeof config,
        .version = NTMM_SECTION_CONFIG_VERSION,
        .name = NAME,
        .name_units = 1,
    };
    assert_non_null(f);
    make_section_world(&f->w, 8 * MIB);
    f->process = make_process(&f->w);
    f->file = make_file(&f->w, PAGE);
    check_ok(ntmm_create_section(f->w.system, &f->section, NTMM_SECTION_ALL_ACCESS, &config, NULL,
                                 NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, f->file));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    while (f->count != 0)
        close_section(&f->w, f->opened[--f->count]);
    check_world(&f->w);
    close_section(&f->w, f->section);
    check_ok(ntmm_close_file(f->w.system, f->file));
    check_ok(ntmm_end_process(f->w.system, f->process));
    end_world(&f->w);
    free(f);
    return 0;
}

static ntmm_status duplicate(struct fixture *f, ntmm_handle *handle)
{
    return ntmm_duplicate_section(f->w.system, f->section, NTMM_SECTION_QUERY, handle);
}

/* As many handles as there can be now; what ended them. */
static ntmm_status fill(struct fixture *f)
{
    ntmm_status status;
    do {
        assert_true(f->count < HANDLES_MAX);
        status = duplicate(f, &f->opened[f->count]);
        if (status == NTMM_STATUS_SUCCESS)
            f->count++;
    } while (status == NTMM_STATUS_SUCCESS);
    return status;
}

/* Whichever way a handle is asked for. */
static void expect_of_all(struct fixture *f, ntmm_status status)
{
    ntmm_handle handle = 7;
    assert_int_equal(duplicate(f, &handle), status);
    assert_int_equal(ntmm_open_section(f->w.system, &handle, NTMM_SECTION_QUERY, NAME, 1), status);
    assert_int_equal(ntmm_open_file(f->w.system, f->file, NTMM_FILE_READ_DATA, &handle), status);
    assert_int_equal(handle, 7);
}

static void expect_room_for_one(struct fixture *f)
{
    ntmm_handle handle;
    check_ok(ntmm_open_file(f->w.system, f->file, NTMM_FILE_READ_DATA, &handle));
    check_ok(ntmm_close_file(f->w.system, handle));
}

static void test_no_more_slots(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fill(f), NTMM_STATUS_INSUFFICIENT_RESOURCES);
    assert_int_equal(f->count, HANDLES_MAX - 2);
    expect_of_all(f, NTMM_STATUS_INSUFFICIENT_RESOURCES);
    close_section(&f->w, f->opened[--f->count]);
    expect_room_for_one(f);
}

/* A region takes the commit that is left, to the last page. */
static void test_no_commit_for_slots(void **state)
{
    struct fixture *f = *state;
    for (uint64_t size = 4 * MIB; size >= PAGE; size /= 2) {
        uint64_t base = 0;
        while (ntmm_allocate_virtual_memory(f->w.system, f->process, &base, 0, &size,
                                            NTMM_MEM_RESERVE | NTMM_MEM_COMMIT,
                                            NTMM_PAGE_READWRITE) == NTMM_STATUS_SUCCESS)
            base = 0;
    }
    assert_int_equal(fill(f), NTMM_STATUS_COMMITMENT_LIMIT);
    expect_of_all(f, NTMM_STATUS_COMMITMENT_LIMIT);
    close_section(&f->w, f->opened[--f->count]);
    expect_room_for_one(f);
}

static void test_no_frame_for_slots(void **state)
{
    struct fixture *f = *state;
    f->w.system->failures = (struct allocation_failures){.after = 0, .count = UINT64_MAX};
    assert_int_equal(fill(f), NTMM_STATUS_NO_MEMORY);
    expect_of_all(f, NTMM_STATUS_NO_MEMORY);
    f->w.system->failures = (struct allocation_failures){0};
    expect_room_for_one(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_more_slots, setup, tear_down),
        cmocka_unit_test_setup_teardown(test_no_commit_for_slots, setup, tear_down),
        cmocka_unit_test_setup_teardown(test_no_frame_for_slots, setup, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
