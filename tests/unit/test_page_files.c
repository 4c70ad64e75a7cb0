/*
 * Page files: the order of the checks, what a file costs and brings, growth, and which file is
 * written to.
 */
#include "unit/storage.h"

#define LEAF_BYTES (32768 * PAGE)

/* --- the checks of ntmm_create_paging_file, in order --- */

static void sizes_and_versions_are_checked_first(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    struct ntmm_paging_file_config config = {.size = sizeof config, .version = 2};
    assert_int_equal(ntmm_create_paging_file(m->system, &config, NULL),
                     NTMM_STATUS_INFO_LENGTH_MISMATCH);
    config.version = NTMM_PAGING_FILE_VERSION;
    config.size--;
    assert_int_equal(ntmm_create_paging_file(m->system, &config, NULL),
                     NTMM_STATUS_INFO_LENGTH_MISMATCH);
    machine_close(m);
}

static void limits_come_before_the_device(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    const uint64_t most = NTMM_PAGING_FILE_MAXIMUM_PAGES * PAGE;
    uint32_t number = 77;
    assert_int_equal(try_create_file(m, 9, MIB - 1, 0, &number), NTMM_STATUS_INVALID_PARAMETER_2);
    assert_int_equal(try_create_file(m, 9, MIB - 1, 1, &number), NTMM_STATUS_INVALID_PARAMETER_2);
    assert_int_equal(try_create_file(m, 9, 2 * MIB, 2 * MIB - 1, &number),
                     NTMM_STATUS_INVALID_PARAMETER_3);
    assert_int_equal(try_create_file(m, 9, MIB, 1, &number), NTMM_STATUS_INVALID_PARAMETER_3);
    assert_int_equal(try_create_file(m, 9, MIB, most + PAGE, &number),
                     NTMM_STATUS_INVALID_PARAMETER_3);
    assert_int_equal(try_create_file(m, 9, most + PAGE, 0, &number),
                     NTMM_STATUS_INVALID_PARAMETER_3);
    assert_int_equal(try_create_file(m, 9, MIB, most, &number), NTMM_STATUS_INVALID_PARAMETER);
    m->system->platform.submit = NULL;
    assert_int_equal(try_create_file(m, 9, MIB, most, &number), NTMM_STATUS_NOT_SUPPORTED);
    assert_int_equal(number, 77);
    machine_close(m);
}

static void a_device_is_one_page_file_at_most(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    uint64_t device;
    assert_int_equal(must_add_file(m, MIB, 0, &device), 0);
    assert_int_equal(try_create_file(m, device, MIB, 0, NULL), NTMM_STATUS_OBJECT_NAME_COLLISION);
    assert_int_equal(try_create_file(m, device, MIB - 1, 0, NULL), NTMM_STATUS_INVALID_PARAMETER_2);
    machine_close(m);
}

/* The device's own answer comes after every check: a 17th file on a used device is a collision. */
static void there_are_16_files_at_most(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    struct ntmm_paging_file_information information;
    uint64_t device = 0, other;
    for (uint32_t i = 0; i < 16; i++)
        assert_int_equal(must_add_file(m, MIB, 0, &device), i);
    other = must_add_disk(m, MIB, 0, 0);
    assert_int_equal(try_create_file(m, other, MIB, 0, NULL), NTMM_STATUS_TOO_MANY_PAGING_FILES);
    assert_int_equal(try_create_file(m, device, MIB, 0, NULL), NTMM_STATUS_OBJECT_NAME_COLLISION);
    m->system->platform.submit = NULL;
    assert_int_equal(try_create_file(m, other, MIB, 0, NULL), NTMM_STATUS_TOO_MANY_PAGING_FILES);
    assert_int_equal(ntmm_query_paging_file(m->system, 16, &information),
                     NTMM_STATUS_INVALID_PARAMETER_2);
    assert_int_equal(must_query_file(m, 15).device, device);
    machine_close(m);
}

static void a_number_is_not_required(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    uint64_t device = must_add_disk(m, MIB, 0, 0);
    assert_int_equal(try_create_file(m, device, MIB, 0, NULL), NTMM_STATUS_SUCCESS);
    assert_int_equal(must_query_file(m, 0).size_pages, 256);
    machine_close(m);
}

/* --- what a file costs and brings --- */

/* The first: descriptors, dummy page, root, table, bitmap. Another: root, table, bitmap. */
static void a_file_brings_its_slots_and_costs_its_map(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    struct ntmm_memory_information before = machine_memory(m);
    must_add_file(m, MIB, 0, NULL);
    struct ntmm_memory_information one = machine_memory(m);
    assert_int_equal(one.commit_limit_pages, before.commit_limit_pages + 255);
    assert_int_equal(one.commit_pages, 5);
    assert_int_equal(one.paging_pages, 5);
    assert_int_equal(one.active_pages, 5);
    uint64_t device = must_add_disk(m, 4 * MIB, 0, 0);
    assert_int_equal(try_create_file(m, device, 2 * MIB + PAGE - 1, 4 * MIB + 1, NULL),
                     NTMM_STATUS_SUCCESS);
    struct ntmm_memory_information two = machine_memory(m);
    assert_int_equal(two.commit_limit_pages, one.commit_limit_pages + 511);
    assert_int_equal(two.commit_pages, 8);
    assert_int_equal(two.paging_pages, 8);
    struct ntmm_paging_file_information file = must_query_file(m, 1);
    assert_int_equal(file.number, 1);
    assert_int_equal(file.size_pages, 512);
    assert_int_equal(file.initial_pages, 512);
    assert_int_equal(file.maximum_pages, 1024);
    assert_int_equal(file.used_pages, 0);
    assert_int_equal(file.is_paused, 0);
    machine_close(m);
}

/* A file may be added when every page of commit is promised: it brings more than it costs. */
static void a_file_can_be_added_when_commit_is_exhausted(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    struct ntmm_memory_information memory = machine_memory(m);
    uint64_t left = memory.commit_limit_pages - memory.commit_pages;
    must_allocate(m, BASE, (left - 3) * PAGE, NTMM_PAGE_READWRITE);
    while (try_allocate(m, 0x70000000, PAGE, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT,
                        NTMM_PAGE_READWRITE) == NTMM_STATUS_SUCCESS)
        must_add_file(m, MIB, 0, NULL);
    must_add_file(m, MIB, 0, NULL);
    memory = machine_memory(m);
    assert_true(memory.commit_pages <= memory.commit_limit_pages);
    machine_close(m);
}

static void the_device_is_extended_to_the_initial_size(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    uint64_t device = must_add_disk(m, 512, 3 * MIB, 0), size;
    assert_int_equal(try_create_file(m, device, 2 * MIB, 64 * MIB, NULL), NTMM_STATUS_SUCCESS);
    (void)ntmm_emulated_disk_image(m->emu, device, &size);
    assert_int_equal(size, 2 * MIB);
    machine_close(m);
}

static void a_larger_device_is_fine(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    uint64_t device = must_add_disk(m, 8 * MIB, 0, 0);
    assert_int_equal(try_create_file(m, device, MIB, 0, NULL), NTMM_STATUS_SUCCESS);
    machine_close(m);
}

static void what_the_device_answers_is_returned_and_nothing_is_left(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    struct ntmm_memory_information before = machine_memory(m), after;
    uint64_t device = must_add_disk(m, MIB, 0, 0);
    assert_int_equal(try_create_file(m, device, 2 * MIB, 0, NULL), NTMM_STATUS_DISK_FULL);
    must_fail_disk(m, device, NTMM_IO_EXTEND, 1, NTMM_STATUS_DEVICE_DATA_ERROR, 0, 0);
    assert_int_equal(try_create_file(m, device, MIB, 0, NULL), NTMM_STATUS_DEVICE_DATA_ERROR);
    after = machine_memory(m);
    assert_memory_equal(&after, &before, sizeof after);
    assert_int_equal(try_create_file(m, device, MIB, 0, NULL), NTMM_STATUS_SUCCESS);
    machine_close(m);
}

/* With 0, 1, 2, ... frames left a file cannot be made, and leaves no trace; with 5 it can. */
static void a_file_without_frames_leaves_no_trace(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    struct call c = machine_call(m);
    uint64_t held[2048], count = 0;
    uint64_t device = must_add_disk(m, MIB, 0, 0);
    uint64_t limit = machine_memory(m).commit_limit_pages;
    while (frames_available(&c) != 0)
        assert_true(frame_allocate(&c, NTMM_USE_PAGING, &held[count++]));
    for (uint64_t left = 0; left < 5; left++) {
        assert_int_equal(try_create_file(m, device, MIB, 0, NULL), NTMM_STATUS_NO_MEMORY);
        assert_int_equal(frames_available(&c), left);
        assert_int_equal(get64(&machine_partition(m)->paging_ref), 0);
        assert_int_equal(machine_memory(m).commit_limit_pages, limit);
        assert_int_equal(machine_memory(m).commit_pages, 0);
        frame_free(&c, held[--count]);
    }
    assert_int_equal(try_create_file(m, device, MIB, 0, NULL), NTMM_STATUS_SUCCESS);
    assert_int_equal(frames_available(&c), 0);
    while (count != 0)
        frame_free(&c, held[--count]);
    machine_close(m);
}

/* --- growth --- */

static void growth_is_a_mebibyte_at_least(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    struct call c = machine_call(m);
    uint64_t device, size;
    must_add_file(m, MIB, 8 * MIB, &device);
    uint64_t limit = machine_memory(m).commit_limit_pages;
    assert_true(page_files_extend(&c, 1));
    assert_int_equal(must_query_file(m, 0).size_pages, 512);
    assert_int_equal(machine_memory(m).commit_limit_pages, limit + 256);
    (void)ntmm_emulated_disk_image(m->emu, device, &size);
    assert_int_equal(size, 2 * MIB);
    assert_true(page_files_extend(&c, 700));
    assert_int_equal(must_query_file(m, 0).size_pages, 1212);
    machine_assert_sound(m);
    machine_close(m);
}

static void growth_ends_at_the_maximum(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    struct call c = machine_call(m);
    must_add_file(m, MIB, 2 * MIB + 5 * PAGE, NULL);
    assert_true(page_files_extend(&c, 1));
    assert_true(page_files_extend(&c, 1));
    assert_int_equal(must_query_file(m, 0).size_pages, 517);
    assert_false(page_files_extend(&c, 1));
    assert_int_equal(must_query_file(m, 0).size_pages, 517);
    machine_close(m);
}

static void growth_goes_over_several_files(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    struct call c = machine_call(m);
    must_add_file(m, MIB, MIB + 100 * PAGE, NULL);
    must_add_file(m, MIB, 0, NULL);
    must_add_file(m, MIB, 16 * MIB, NULL);
    uint64_t limit = machine_memory(m).commit_limit_pages;
    assert_true(page_files_extend(&c, 1000));
    assert_int_equal(must_query_file(m, 0).size_pages, 356);
    assert_int_equal(must_query_file(m, 1).size_pages, 256);
    assert_int_equal(must_query_file(m, 2).size_pages, 256 + 900);
    assert_int_equal(machine_memory(m).commit_limit_pages, limit + 1000);
    machine_close(m);
}

/* The first device is full: the second file grows in its place. */
static void a_device_that_is_full_is_passed_over(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    struct call c = machine_call(m);
    uint64_t full = must_add_disk(m, MIB, 0, 0);
    assert_int_equal(try_create_file(m, full, MIB, 8 * MIB, NULL), NTMM_STATUS_SUCCESS);
    must_add_file(m, MIB, 2 * MIB, NULL);
    assert_true(page_files_extend(&c, 1));
    assert_int_equal(must_query_file(m, 0).size_pages, 256);
    assert_int_equal(must_query_file(m, 1).size_pages, 512);
    assert_false(page_files_extend(&c, 1));
    machine_close(m);
}

static void without_a_page_file_nothing_grows(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    struct call c = machine_call(m);
    assert_false(page_files_extend(&c, 1));
    machine_close(m);
}

/* Past 32,768 slots the map needs another frame, and its charge, when all commit is promised. */
static void growth_past_a_leaf_pays_for_its_map(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    struct call c = machine_call(m);
    must_add_file(m, LEAF_BYTES - 100 * PAGE, LEAF_BYTES + 1024 * PAGE, NULL);
    struct ntmm_memory_information before = machine_memory(m);
    uint64_t left = before.commit_limit_pages - before.commit_pages;
    assert_true(commit_charge(&c, left));
    assert_true(page_files_extend(&c, 300));
    struct ntmm_memory_information after = machine_memory(m);
    assert_int_equal(after.paging_pages, before.paging_pages + 1);
    assert_int_equal(after.commit_pages, before.commit_limit_pages + 1);
    assert_int_equal(after.commit_limit_pages, before.commit_limit_pages + 301);
    assert_true(commit_charge(&c, 300));
    assert_false(commit_charge(&c, 1));
    commit_return(&c, left + 300);
    machine_close(m);
}

/* One slot more would cost a frame of the map: nothing is gained. */
static void growth_that_brings_nothing_is_left_alone(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    struct call c = machine_call(m);
    must_add_file(m, LEAF_BYTES, LEAF_BYTES + PAGE, NULL);
    assert_false(page_files_extend(&c, 1));
    assert_int_equal(must_query_file(m, 0).size_pages, 32768);
    machine_close(m);
}

static void growth_without_a_frame_fails_and_changes_nothing(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    struct call c = machine_call(m);
    uint64_t held[2048], count = 0;
    must_add_file(m, LEAF_BYTES, LEAF_BYTES + 8 * MIB, NULL);
    struct ntmm_memory_information before = machine_memory(m);
    while (frames_available(&c) != 0)
        assert_true(frame_allocate(&c, NTMM_USE_PAGING, &held[count++]));
    assert_false(page_files_extend(&c, 10));
    assert_int_equal(must_query_file(m, 0).size_pages, 32768);
    assert_int_equal(machine_memory(m).commit_limit_pages, before.commit_limit_pages);
    assert_int_equal(machine_memory(m).commit_pages, before.commit_pages);
    while (count != 0)
        frame_free(&c, held[--count]);
    assert_true(page_files_extend(&c, 10));
    machine_close(m);
}

/* A service that runs out of commit has the file grown, and fails when it is at its maximum. */
static void commit_grows_with_the_file(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_add_file(m, MIB, 4 * MIB, NULL);
    struct ntmm_memory_information memory = machine_memory(m);
    uint64_t left = memory.commit_limit_pages - memory.commit_pages;
    must_allocate(m, BASE, (left + 500) * PAGE, NTMM_PAGE_READWRITE);
    assert_true(must_query_file(m, 0).size_pages >= 756);
    assert_int_equal(try_allocate(m, 0x70000000, 2 * MIB, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT,
                                  NTMM_PAGE_READWRITE),
                     NTMM_STATUS_COMMITMENT_LIMIT);
    assert_int_equal(must_query_file(m, 0).size_pages, 1024);
    must_allocate(m, 0x70000000, MIB / 4, NTMM_PAGE_READWRITE);
    machine_close(m);
}

/* --- one at a time --- */

struct creation {
    struct machine *m;
    uint64_t device;
    ntmm_status status;
    uint32_t number;
};

static void create_in_coroutine(void *context)
{
    struct creation *creation = context;
    creation->status =
        try_create_file(creation->m, creation->device, MIB, 4 * MIB, &creation->number);
}

/* Two on one device and two on others, in any interleaving: one collides, the numbers are dense. */
static void creations_at_one_time(uint64_t seed)
{
    struct machine_setup setup = {.hardware = {.seed = seed, .flags = NTMM_EMULATED_PREEMPT}};
    struct machine *m = machine_open_bare(&setup);
    struct creation creations[4];
    uint32_t seen = 0, collisions = 0;
    for (uint32_t i = 0; i < 4; i++) {
        creations[i] = (struct creation){.m = m, .number = 31};
        creations[i].device = i == 3 ? creations[0].device : must_add_disk(m, MIB, 4 * MIB, 0);
        assert_int_equal(ntmm_emulated_spawn(m->emu, 0, create_in_coroutine, &creations[i], 0),
                         NTMM_STATUS_SUCCESS);
    }
    assert_int_equal(ntmm_emulated_run(m->emu), NTMM_STATUS_SUCCESS);
    for (uint32_t i = 0; i < 4; i++) {
        collisions += creations[i].status == NTMM_STATUS_OBJECT_NAME_COLLISION;
        seen |= 1u << creations[i].number;
    }
    assert_int_equal(collisions, 1);
    assert_int_equal(seen, 7u | 1u << 31);
    assert_int_equal(machine_memory(m).paging_pages, 2 + 3 * 3);
    machine_close(m);
}

static void creations_at_one_time_do_not_collide(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++)
        creations_at_one_time(seed);
}

static void extend_in_coroutine(void *context)
{
    struct creation *creation = context;
    struct call c = machine_call(creation->m);
    creation->status = page_files_extend(&c, 200) ? NTMM_STATUS_SUCCESS : NTMM_STATUS_DISK_FULL;
}

/* What one grows is there for the other, who waited for it: both say that the limit has risen. */
static void growers_wait_for_each_other(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct machine_setup setup = {.hardware = {.seed = seed, .flags = NTMM_EMULATED_PREEMPT}};
        struct machine *m = machine_open_bare(&setup);
        struct creation growers[3];
        must_add_file(m, MIB, 2 * MIB, NULL);
        for (uint32_t i = 0; i < 3; i++) {
            growers[i] = (struct creation){.m = m};
            assert_int_equal(ntmm_emulated_spawn(m->emu, 0, extend_in_coroutine, &growers[i], 0),
                             NTMM_STATUS_SUCCESS);
        }
        assert_int_equal(ntmm_emulated_run(m->emu), NTMM_STATUS_SUCCESS);
        assert_int_equal(must_query_file(m, 0).size_pages, 512);
        machine_assert_sound(m);
        machine_close(m);
    }
}

/* --- which file --- */

/* What was taken from a fresh file goes back: no frame names it, so the checker would see (G1). */
static void give_back(struct machine *m, uint32_t number)
{
    struct call c = machine_call(m);
    struct page_file *file = page_file_at(&c, number);
    lock_acquire(&c, &file->lock, LOCK_PAGE_FILE);
    slots_give(&c, file, 1, get64(&file->used_pages));
    set32(&file->outstanding_writes, 0);
    lock_release(&c, &file->lock, LOCK_PAGE_FILE);
}

static void runs_go_to_the_file_with_most_room_for_each_write(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    struct call c = machine_call(m);
    uint32_t file = 9;
    uint64_t first;
    must_add_file(m, MIB, 0, NULL);     /* 255 slots */
    must_add_file(m, 2 * MIB, 0, NULL); /* 511 slots */
    assert_int_equal(page_files_take_run(&c, 64, &file, &first), 64);
    assert_int_equal(file, 1); /* 511 against 255 */
    assert_int_equal(page_files_take_run(&c, 64, &file, &first), 64);
    assert_int_equal(file, 0); /* 255 against 447 / 2 */
    assert_int_equal(page_files_take_run(&c, 64, &file, &first), 64);
    assert_int_equal(file, 1); /* 191 / 2 against 447 / 2 */
    assert_int_equal(must_query_file(m, 1).outstanding_writes, 2);
    page_file_note_write(&c, 1, 1, 64, NTMM_STATUS_SUCCESS);
    page_file_note_write(&c, 1, 65, 64, NTMM_STATUS_SUCCESS);
    page_file_note_write(&c, 0, 1, 64, NTMM_STATUS_SUCCESS);
    assert_int_equal(must_query_file(m, 1).outstanding_writes, 0);
    assert_int_equal(must_query_file(m, 1).writes, 2);
    assert_int_equal(must_query_file(m, 1).pages_written, 128);
    assert_int_equal(must_query_file(m, 1).used_pages, 128);
    give_back(m, 0);
    give_back(m, 1);
    machine_close(m);
}

static void a_full_file_is_passed_over(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    struct call c = machine_call(m);
    uint32_t file, taken[2] = {0};
    uint64_t first;
    must_add_file(m, MIB, 0, NULL);
    must_add_file(m, MIB, 0, NULL);
    for (uint32_t run; (run = page_files_take_run(&c, 16, &file, &first)) != 0;)
        taken[file] += run;
    assert_int_equal(taken[0], 255);
    assert_int_equal(taken[1], 255);
    assert_int_equal(page_files_next_run(&c, 16), 0);
    give_back(m, 0);
    give_back(m, 1);
    machine_close(m);
}

static void reads_are_counted(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    struct call c = machine_call(m);
    must_add_file(m, MIB, 0, NULL);
    page_file_note_read(&c, 0, 7, NTMM_STATUS_SUCCESS);
    page_file_note_read(&c, 0, 3, NTMM_STATUS_SUCCESS);
    page_file_note_read(&c, 0, 5, NTMM_STATUS_DEVICE_DATA_ERROR);
    struct ntmm_paging_file_information file = must_query_file(m, 0);
    assert_int_equal(file.reads, 2);
    assert_int_equal(file.pages_read, 10);
    assert_int_equal(file.failed_reads, 1);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_and_versions_are_checked_first),
        cmocka_unit_test(limits_come_before_the_device),
        cmocka_unit_test(a_device_is_one_page_file_at_most),
        cmocka_unit_test(there_are_16_files_at_most),
        cmocka_unit_test(a_number_is_not_required),
        cmocka_unit_test(a_file_brings_its_slots_and_costs_its_map),
        cmocka_unit_test(a_file_can_be_added_when_commit_is_exhausted),
        cmocka_unit_test(the_device_is_extended_to_the_initial_size),
        cmocka_unit_test(a_larger_device_is_fine),
        cmocka_unit_test(what_the_device_answers_is_returned_and_nothing_is_left),
        cmocka_unit_test(a_file_without_frames_leaves_no_trace),
        cmocka_unit_test(growth_is_a_mebibyte_at_least),
        cmocka_unit_test(growth_ends_at_the_maximum),
        cmocka_unit_test(growth_goes_over_several_files),
        cmocka_unit_test(a_device_that_is_full_is_passed_over),
        cmocka_unit_test(without_a_page_file_nothing_grows),
        cmocka_unit_test(growth_past_a_leaf_pays_for_its_map),
        cmocka_unit_test(growth_that_brings_nothing_is_left_alone),
        cmocka_unit_test(growth_without_a_frame_fails_and_changes_nothing),
        cmocka_unit_test(commit_grows_with_the_file),
        cmocka_unit_test(creations_at_one_time_do_not_collide),
        cmocka_unit_test(growers_wait_for_each_other),
        cmocka_unit_test(runs_go_to_the_file_with_most_room_for_each_write),
        cmocka_unit_test(a_full_file_is_passed_over),
        cmocka_unit_test(reads_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
