/*
 * Byte-range locks of files: who gets one, who reads and writes past it, what of sections, and when
 * they go. Expectations: public documentation of LockFileEx, UnlockFileEx, NtLockFile; for sections
 * nt_semantics 4.2, 10.
 */
#include "section_world.h"

#include "base/instance.h"

#define NOW NTMM_LOCK_FAIL_IMMEDIATELY
#define EXCLUSIVE (NTMM_LOCK_FAIL_IMMEDIATELY | NTMM_LOCK_EXCLUSIVE)

struct fixture {
    struct world w;
    ntmm_handle process, file, other;
    ntmm_status status; /* of a call that waited */
    uint32_t order;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    make_section_world(&f->w, 8 * MIB);
    f->process = make_process(&f->w);
    attach(&f->w, 0, f->process);
    f->file = make_file(&f->w, 4 * PAGE);
    check_ok(ntmm_open_file(f->w.system, f->file, ALL_FILE, &f->other));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    check_world(&f->w);
    close_file(&f->w, f->other);
    close_file(&f->w, f->file);
    check_ok(ntmm_end_process(f->w.system, f->process));
    end_world(&f->w);
    free(f);
    return 0;
}

static void expect_lock(struct fixture *f, ntmm_handle file, uint64_t offset, uint64_t length,
                        uint32_t flags, ntmm_status expected)
{
    assert_int_equal(ntmm_lock_file(f->w.system, file, offset, length, 0, flags), expected);
    check_world(&f->w);
}

static void expect_unlock(struct fixture *f, ntmm_handle file, uint64_t offset, uint64_t length,
                          ntmm_status expected)
{
    assert_int_equal(ntmm_unlock_file(f->w.system, file, offset, length, 0), expected);
    check_world(&f->w);
}

static void expect_read(struct fixture *f, ntmm_handle file, uint64_t offset, uint64_t size,
                        ntmm_status expected)
{
    uint8_t bytes[64];
    uint64_t moved = 77;
    assert_int_equal(ntmm_read_file(f->w.system, file, offset, bytes, size, &moved), expected);
    assert_int_equal(moved, expected == NTMM_STATUS_SUCCESS ? size : 0);
}

static void expect_write(struct fixture *f, ntmm_handle file, uint64_t offset, uint64_t size,
                         ntmm_status expected)
{
    const uint8_t bytes[64] = {1};
    uint64_t moved = 77;
    assert_int_equal(ntmm_write_file(f->w.system, file, offset, bytes, size, &moved), expected);
    assert_int_equal(moved, expected == NTMM_STATUS_SUCCESS ? size : 0);
}

/* Of two owners, and of one. */
static void exclusive_locks_meet_no_other(void **state)
{
    struct fixture *f = *state;
    expect_lock(f, f->file, 100, 10, EXCLUSIVE, NTMM_STATUS_SUCCESS);
    expect_lock(f, f->other, 109, 1, EXCLUSIVE, NTMM_STATUS_LOCK_NOT_GRANTED);
    expect_lock(f, f->other, 0, 101, NOW, NTMM_STATUS_LOCK_NOT_GRANTED);
    expect_lock(f, f->file, 105, 1, EXCLUSIVE, NTMM_STATUS_LOCK_NOT_GRANTED);
    expect_lock(f, f->other, 110, 10, EXCLUSIVE, NTMM_STATUS_SUCCESS);
    expect_lock(f, f->other, 0, 100, EXCLUSIVE, NTMM_STATUS_SUCCESS);
    expect_lock(f, f->file, 100, 10, NOW, NTMM_STATUS_SUCCESS); /* shared, over its own */
    expect_unlock(f, f->file, 100, 9, NTMM_STATUS_RANGE_NOT_LOCKED);
    expect_unlock(f, f->other, 100, 10, NTMM_STATUS_RANGE_NOT_LOCKED);
    expect_unlock(f, f->file, 100, 10, NTMM_STATUS_SUCCESS); /* the exclusive one */
    expect_read(f, f->other, 100, 10, NTMM_STATUS_SUCCESS);
    expect_write(f, f->file, 100, 10, NTMM_STATUS_FILE_LOCK_CONFLICT);
    expect_unlock(f, f->file, 100, 10, NTMM_STATUS_SUCCESS);
    expect_unlock(f, f->file, 100, 10, NTMM_STATUS_RANGE_NOT_LOCKED);
}

static void shared_locks_meet(void **state)
{
    struct fixture *f = *state;
    expect_lock(f, f->file, 0, 100, NOW, NTMM_STATUS_SUCCESS);
    expect_lock(f, f->other, 50, 100, NOW, NTMM_STATUS_SUCCESS);
    expect_lock(f, f->other, 50, 100, NOW, NTMM_STATUS_SUCCESS);
    expect_lock(f, f->file, 149, 1, EXCLUSIVE, NTMM_STATUS_LOCK_NOT_GRANTED);
    expect_unlock(f, f->other, 50, 100, NTMM_STATUS_SUCCESS);
    expect_unlock(f, f->other, 50, 100, NTMM_STATUS_SUCCESS);
    expect_lock(f, f->file, 149, 1, EXCLUSIVE, NTMM_STATUS_SUCCESS);
}

static void reads_and_writes_look_at_locks(void **state)
{
    struct fixture *f = *state;
    struct ntmm_file_information information;
    expect_lock(f, f->file, 100, 10, EXCLUSIVE, NTMM_STATUS_SUCCESS);
    expect_read(f, f->file, 95, 10, NTMM_STATUS_SUCCESS);
    expect_write(f, f->file, 95, 10, NTMM_STATUS_SUCCESS);
    expect_read(f, f->other, 95, 10, NTMM_STATUS_FILE_LOCK_CONFLICT);
    expect_write(f, f->other, 109, 1, NTMM_STATUS_FILE_LOCK_CONFLICT);
    expect_read(f, f->other, 95, 5, NTMM_STATUS_SUCCESS);
    expect_read(f, f->other, 110, 5, NTMM_STATUS_SUCCESS);
    expect_read(f, f->other, 105, 0, NTMM_STATUS_SUCCESS);
    expect_unlock(f, f->file, 100, 10, NTMM_STATUS_SUCCESS);
    expect_lock(f, f->file, 100, 10, NOW, NTMM_STATUS_SUCCESS);
    expect_read(f, f->other, 95, 10, NTMM_STATUS_SUCCESS);
    expect_write(f, f->other, 95, 10, NTMM_STATUS_FILE_LOCK_CONFLICT);
    expect_write(f, f->file, 95, 10, NTMM_STATUS_FILE_LOCK_CONFLICT);
    /* past the end, where a write would make the file grow */
    expect_lock(f, f->file, 5 * PAGE, UINT64_MAX - 5 * PAGE, EXCLUSIVE, NTMM_STATUS_SUCCESS);
    expect_write(f, f->other, 5 * PAGE - 1, 2, NTMM_STATUS_FILE_LOCK_CONFLICT);
    expect_read(f, f->other, 6 * PAGE, 2, NTMM_STATUS_FILE_LOCK_CONFLICT);
    check_ok(ntmm_query_file(f->w.system, f->file, &information));
    assert_int_equal(information.size_bytes, 4 * PAGE);
}

/* The key belongs to the owner, and reads have the key 0. */
static void keys_tell_owners_apart(void **state)
{
    struct fixture *f = *state;
    check_ok(ntmm_lock_file(f->w.system, f->file, 0, 10, 7, EXCLUSIVE));
    expect_read(f, f->file, 0, 10, NTMM_STATUS_FILE_LOCK_CONFLICT);
    expect_lock(f, f->file, 0, 10, NOW, NTMM_STATUS_LOCK_NOT_GRANTED);
    expect_unlock(f, f->file, 0, 10, NTMM_STATUS_RANGE_NOT_LOCKED);
    check_ok(ntmm_unlock_file(f->w.system, f->file, 0, 10, 7));
    expect_read(f, f->file, 0, 10, NTMM_STATUS_SUCCESS);
}

static void arguments_are_checked(void **state)
{
    struct fixture *f = *state;
    ntmm_handle executes, section;
    section = make_section(&f->w, PAGE, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, 0);
    check_ok(ntmm_open_file(f->w.system, f->file, NTMM_FILE_EXECUTE, &executes));
    expect_lock(f, 0, 0, 1, 4, NTMM_STATUS_INVALID_PARAMETER_6);
    expect_lock(f, 0, 0, 1, NOW, NTMM_STATUS_INVALID_HANDLE);
    expect_lock(f, section, 0, 1, NOW, NTMM_STATUS_OBJECT_TYPE_MISMATCH);
    expect_lock(f, executes, 1, UINT64_MAX, NOW, NTMM_STATUS_ACCESS_DENIED);
    expect_lock(f, f->file, 2, UINT64_MAX, NOW, NTMM_STATUS_INVALID_LOCK_RANGE);
    expect_unlock(f, 0, 0, 1, NTMM_STATUS_INVALID_HANDLE);
    expect_unlock(f, section, 0, 1, NTMM_STATUS_OBJECT_TYPE_MISMATCH);
    expect_unlock(f, executes, 0, 1, NTMM_STATUS_ACCESS_DENIED);
    expect_unlock(f, f->file, 2, UINT64_MAX, NTMM_STATUS_INVALID_LOCK_RANGE);
    expect_lock(f, f->file, 1, UINT64_MAX, EXCLUSIVE, NTMM_STATUS_SUCCESS); /* the last byte */
    expect_lock(f, f->other, UINT64_MAX, 1, NOW, NTMM_STATUS_LOCK_NOT_GRANTED);
    expect_lock(f, f->other, 5, 0, EXCLUSIVE, NTMM_STATUS_SUCCESS); /* of no bytes */
    expect_unlock(f, f->other, 5, 0, NTMM_STATUS_SUCCESS);
    close_file(&f->w, executes);
    close_section(&f->w, section);
}

static ntmm_status try_section(struct fixture *f, ntmm_handle file, uint64_t size, uint32_t protect)
{
    ntmm_handle section = 0;
    ntmm_status status = ntmm_create_section(f->w.system, &section, NTMM_SECTION_ALL_ACCESS, NULL,
                                             &size, protect, NTMM_SEC_COMMIT, file);
    check_world(&f->w);
    if (status == NTMM_STATUS_SUCCESS)
        close_section(&f->w, section);
    return status;
}

/* covers 4.2#10 */
static void sections_look_at_locks_and_views_do_not(void **state)
{
    struct fixture *f = *state;
    uint8_t byte = 9;
    struct ntmm_file_information information;
    ntmm_handle section = make_section(&f->w, 0, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, f->other);
    uint64_t view = map(&f->w, section, f->process, NTMM_PAGE_READWRITE);
    expect_lock(f, f->file, 3 * PAGE, 10, EXCLUSIVE, NTMM_STATUS_SUCCESS);
    check_ok(ntmm_emulated_store(f->w.emu, 0, view + 3 * PAGE, &byte, 1, NULL, NULL));
    unmap(&f->w, f->process, view);
    view = map(&f->w, section, f->process, NTMM_PAGE_READWRITE);
    check_ok(ntmm_emulated_load(f->w.emu, 0, view + 3 * PAGE, &byte, 1, NULL, NULL));
    assert_int_equal(byte, 9);
    unmap(&f->w, f->process, view);
    close_section(&f->w, section);
    assert_int_equal(try_section(f, f->other, 0, NTMM_PAGE_READONLY),
                     NTMM_STATUS_FILE_LOCK_CONFLICT);
    assert_int_equal(try_section(f, f->other, 3 * PAGE, NTMM_PAGE_READONLY), NTMM_STATUS_SUCCESS);
    assert_int_equal(try_section(f, f->file, 0, NTMM_PAGE_READWRITE), NTMM_STATUS_SUCCESS);
    expect_unlock(f, f->file, 3 * PAGE, 10, NTMM_STATUS_SUCCESS);
    expect_lock(f, f->file, 0, 1, NOW, NTMM_STATUS_SUCCESS);
    assert_int_equal(try_section(f, f->other, 0, NTMM_PAGE_READONLY), NTMM_STATUS_SUCCESS);
    assert_int_equal(try_section(f, f->other, 0, NTMM_PAGE_WRITECOPY), NTMM_STATUS_SUCCESS);
    assert_int_equal(try_section(f, f->other, 9 * PAGE, NTMM_PAGE_READWRITE),
                     NTMM_STATUS_FILE_LOCK_CONFLICT);
    check_ok(ntmm_query_file(f->w.system, f->file, &information));
    assert_int_equal(information.size_bytes, 4 * PAGE); /* it did not grow for nothing */
}

/* covers 4.2#10<12 */
static void locks_come_before_the_name(void **state)
{
    struct fixture *f = *state;
    static const uint16_t name[] = {'s'};
    const struct ntmm_section_config config = {
        .size = sizeof config,
        .version = NTMM_SECTION_CONFIG_VERSION,
        .name = name,
        .name_units = 1,
    };
    ntmm_handle section, second = 7;
    check_ok(ntmm_create_section(f->w.system, &section, NTMM_SECTION_ALL_ACCESS, &config, NULL,
                                 NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, f->file));
    expect_lock(f, f->file, 0, 1, EXCLUSIVE, NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_create_section(f->w.system, &second, NTMM_SECTION_ALL_ACCESS, &config,
                                         NULL, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, f->other),
                     NTMM_STATUS_FILE_LOCK_CONFLICT);
    expect_unlock(f, f->file, 0, 1, NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_create_section(f->w.system, &second, NTMM_SECTION_ALL_ACCESS, &config,
                                         NULL, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, f->other),
                     NTMM_STATUS_OBJECT_NAME_COLLISION);
    assert_int_equal(second, 7);
    close_section(&f->w, section);
}

static void locks_go_with_their_handle(void **state)
{
    struct fixture *f = *state;
    ntmm_handle third;
    check_ok(ntmm_open_file(f->w.system, f->file, ALL_FILE, &third));
    expect_lock(f, third, 0, 10, EXCLUSIVE, NTMM_STATUS_SUCCESS);
    expect_lock(f, third, 20, 10, NOW, NTMM_STATUS_SUCCESS);
    expect_lock(f, f->file, 40, 10, EXCLUSIVE, NTMM_STATUS_SUCCESS);
    close_file(&f->w, third);
    check_world(&f->w);
    expect_write(f, f->other, 0, 30, NTMM_STATUS_SUCCESS);
    expect_write(f, f->other, 30, 30, NTMM_STATUS_FILE_LOCK_CONFLICT);
}

/* --- waiting --- */

static void wait_for_lock(void *context)
{
    struct fixture *f = context;
    f->status = ntmm_lock_file(f->w.system, f->other, 0, 10, 0, NTMM_LOCK_EXCLUSIVE);
    f->order = f->order * 10 + 2;
}

static void unlock_later(void *context)
{
    struct fixture *f = context;
    const struct ntmm_platform *platform = ntmm_emulated_platform(f->w.emu);
    for (uint32_t i = 0; i < 20; i++) /* the other one waits by then */
        platform->relax(platform->context);
    f->order = f->order * 10 + 1;
    check_ok(ntmm_unlock_file(f->w.system, f->file, 0, 10, 0));
}

static void a_lock_is_waited_for(void **state)
{
    struct fixture *f = *state;
    expect_lock(f, f->file, 0, 10, EXCLUSIVE, NTMM_STATUS_SUCCESS);
    expect_lock(f, f->other, 5, 10, NTMM_LOCK_EXCLUSIVE, NTMM_STATUS_CANT_WAIT); /* for ever */
    check_ok(ntmm_emulated_spawn(f->w.emu, 0, wait_for_lock, f, 0));
    check_ok(ntmm_emulated_spawn(f->w.emu, 1, unlock_later, f, 0));
    check_ok(ntmm_emulated_run(f->w.emu));
    assert_int_equal(f->order, 12);
    check_ok(f->status);
    expect_read(f, f->file, 0, 10, NTMM_STATUS_FILE_LOCK_CONFLICT);
}

/* --- shortage --- */

static void a_lock_needs_room(void **state)
{
    struct fixture *f = *state;
    f->w.system->failures = (struct allocation_failures){.count = UINT64_MAX};
    expect_lock(f, f->file, 0, 10, NOW, NTMM_STATUS_NO_MEMORY);
    f->w.system->failures = (struct allocation_failures){0};
    for (uint64_t size = 4 * MIB; size >= PAGE; size /= 2) {
        uint64_t base = 0;
        while (ntmm_allocate_virtual_memory(f->w.system, f->process, &base, 0, &size,
                                            NTMM_MEM_RESERVE | NTMM_MEM_COMMIT,
                                            NTMM_PAGE_READWRITE) == NTMM_STATUS_SUCCESS)
            base = 0;
    }
    expect_lock(f, f->file, 0, 10, NOW, NTMM_STATUS_COMMITMENT_LIMIT);
    expect_unlock(f, f->file, 0, 10, NTMM_STATUS_RANGE_NOT_LOCKED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(exclusive_locks_meet_no_other),  TEST(shared_locks_meet),
        TEST(reads_and_writes_look_at_locks), TEST(keys_tell_owners_apart),
        TEST(arguments_are_checked),          TEST(sections_look_at_locks_and_views_do_not),
        TEST(locks_come_before_the_name),     TEST(locks_go_with_their_handle),
        TEST(a_lock_is_waited_for),           TEST(a_lock_needs_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
