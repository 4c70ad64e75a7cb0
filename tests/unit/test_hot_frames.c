/*
 * Frames that are added and removed while the system runs (frames.h). Expectations: frames.h;
 * docs/paging.md, "Frames that come and go"; P17, C4.
 */
#include "paging/page_out.h"
#include "unit/hot_world.h"
#include "unit/storage.h"

#include "phys/cache.h"

#include <ntmm/memory.h>
#include <ntmm/physical.h>
#include <ntmm/section.h>
#include <ntmm/snapshot.h>
#include <ntmm/statistics.h>

#define RW NTMM_PAGE_READWRITE
#define PAGES 8u

static struct machine *open_hot(void)
{
    return hot_open((struct machine_setup){.core = {.extra_commit_pages = 4096}});
}

/* Pages in both parts of RAM, and some frames left; their tables are in the first frames. */
#define FILLED_PAGES 1600u
#define PAGES_OF_TABLE 512u

static struct machine *open_filled(void)
{
    struct machine *m = open_hot();
    must_add_frames(m, UPPER, UPPER_FRAMES);
    (void)must_add_file(m, 4 * MIB, 4 * MIB, NULL);
    must_allocate(m, BASE, FILLED_PAGES * PAGE, RW);
    for (uint64_t page = 0; page < FILLED_PAGES; page += PAGES_OF_TABLE)
        must_write(m, BASE + page * PAGE, 0);
    must_fill(m, BASE, FILLED_PAGES * PAGE);
    return m;
}

static uint64_t available(struct machine *m)
{
    struct ntmm_memory_information memory = machine_memory(m);
    return memory.zeroed_pages + memory.free_pages;
}

static void must_refuse_to_add(struct machine *m, uint64_t first, uint64_t count, uint32_t flags,
                               ntmm_status expected)
{
    struct ntmm_memory_information before = machine_memory(m);
    assert_int_equal(ntmm_add_frames(m->system, first, count, flags), expected);
    struct ntmm_memory_information after = machine_memory(m);
    assert_memory_equal(&before, &after, sizeof before);
    machine_assert_sound(m);
}

static void must_refuse_to_remove(struct machine *m, uint64_t first, uint64_t count,
                                  ntmm_status expected)
{
    struct ntmm_memory_information before = machine_memory(m);
    assert_int_equal(ntmm_remove_frames(m->system, first, count), expected);
    struct ntmm_memory_information after = machine_memory(m);
    assert_int_equal(before.total_pages, after.total_pages);
    assert_int_equal(before.commit_limit_pages, after.commit_limit_pages);
    assert_int_equal(before.bad_pages, after.bad_pages);
    machine_assert_sound(m);
}

static enum ntmm_frame_use use_of(struct machine *m, uint64_t frame)
{
    struct ntmm_frame_information row;
    assert_int_equal(ntmm_query_frame(m->system, frame, &row), NTMM_STATUS_SUCCESS);
    return (enum ntmm_frame_use)row.use;
}

/* --- adding --- */

static void what_is_absent_costs_nothing(void **state)
{
    (void)state;
    const struct machine_setup setup = {.hardware = {.ram_bytes = LOWER_FRAMES * PAGE},
                                        .core = {.windows_build = 26100}};
    struct machine *m = hot_open((struct machine_setup){0});
    struct machine *plain = machine_open(&setup);
    struct ntmm_memory_information memory = machine_memory(m);
    struct ntmm_memory_information expected = machine_memory(plain);
    assert_memory_equal(&memory, &expected, sizeof memory);
    struct ntmm_frame_information row;
    assert_int_equal(ntmm_query_frame(m->system, UPPER, &row),
                     ntmm_query_frame(plain->system, UPPER, &row));
    assert_int_equal(ntmm_mark_frame_bad(m->system, UPPER, 0, NULL),
                     NTMM_STATUS_INVALID_PARAMETER_2);
    must_refuse_to_remove(m, UPPER, 1, NTMM_STATUS_INVALID_PARAMETER_2);
    machine_close(plain);
    machine_close(m);
}

static void frames_are_there_once_added(void **state)
{
    (void)state;
    struct machine *m = open_hot();
    struct ntmm_memory_information before = machine_memory(m);
    must_add_frames(m, UPPER, 100);
    struct ntmm_memory_information after = machine_memory(m);
    assert_int_equal(after.total_pages, before.total_pages + 100);
    assert_int_equal(after.metadata_pages, before.metadata_pages + UPPER_ROWS);
    assert_int_equal(after.free_pages, before.free_pages + 100 - UPPER_ROWS);
    assert_int_equal(after.zeroed_pages, before.zeroed_pages);
    assert_int_equal(after.active_pages, before.active_pages);
    assert_int_equal(after.commit_limit_pages, before.commit_limit_pages + 100 - UPPER_ROWS);
    assert_int_equal(after.free_large_runs, before.free_large_runs);
    assert_int_equal(use_of(m, UPPER), NTMM_USE_METADATA);
    assert_int_equal(use_of(m, UPPER + 99), NTMM_USE_FREE);
    assert_int_equal(use_of(m, UPPER + 100), NTMM_USE_ABSENT);
    assert_int_equal(
        ntmm_add_frames(m->system, UPPER + 500, UPPER_FRAMES - 500, NTMM_FRAMES_ZEROED),
        NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
    assert_int_equal(machine_memory(m).zeroed_pages, before.zeroed_pages + UPPER_FRAMES - 500);
    assert_int_equal(machine_memory(m).free_large_runs, before.free_large_runs + 1);
    must_add_frames(m, UPPER + 100, 400);
    assert_int_equal(machine_memory(m).total_pages, LOWER_FRAMES + UPPER_FRAMES);
    machine_close(m);
}

static void all_that_was_added_is_used(void **state)
{
    (void)state;
    struct machine *m = open_hot();
    uint64_t count = available(m) + UPPER_FRAMES - UPPER_ROWS, seen = 0;
    must_add_frames(m, UPPER, UPPER_FRAMES);
    must_allocate(m, BASE, 16 * MIB, RW);
    for (uint64_t va = BASE; available(m) != 0; va += PAGE) {
        must_write(m, va, va);
        seen += machine_frame(m, va) >= UPPER;
    }
    assert_in_range(seen, UPPER_FRAMES - UPPER_ROWS - 8, UPPER_FRAMES - UPPER_ROWS);
    assert_int_equal(machine_memory(m).free_pages, 0);
    assert_true(count > seen);
    machine_close(m);
}

static void what_cannot_be_added_is_refused(void **state)
{
    (void)state;
    struct machine *m = open_hot();
    uint64_t end = UPPER + UPPER_FRAMES;
    must_refuse_to_add(m, LOWER_FRAMES, 1, 0, NTMM_STATUS_INVALID_PARAMETER_2);
    must_refuse_to_add(m, end, 1, 0, NTMM_STATUS_INVALID_PARAMETER_2);
    must_refuse_to_add(m, FRAME_NONE, 1, 0, NTMM_STATUS_INVALID_PARAMETER_2);
    must_refuse_to_add(m, UPPER + 1, 100, 0, NTMM_STATUS_INVALID_PARAMETER_2);
    must_refuse_to_add(m, UPPER, 0, 0, NTMM_STATUS_INVALID_PARAMETER_3);
    must_refuse_to_add(m, UPPER, UPPER_FRAMES + 1, 0, NTMM_STATUS_INVALID_PARAMETER_3);
    must_refuse_to_add(m, UPPER, UINT64_MAX, 0, NTMM_STATUS_INVALID_PARAMETER_3);
    must_refuse_to_add(m, UPPER, 100, 2, NTMM_STATUS_INVALID_PARAMETER_4);
    must_refuse_to_add(m, UPPER, UPPER_ROWS - 1, 0, NTMM_STATUS_INSUFFICIENT_RESOURCES);
    must_refuse_to_add(m, 5, 1, 0, NTMM_STATUS_CONFLICTING_ADDRESSES);
    set32(&m->system->frames_change, 1);
    must_refuse_to_add(m, UPPER, 100, 0, NTMM_STATUS_RETRY);
    must_refuse_to_remove(m, 900, 1, NTMM_STATUS_RETRY);
    set32(&m->system->frames_change, 0);
    must_add_frames(m, UPPER, UPPER_ROWS); /* rows, and nothing else */
    must_refuse_to_add(m, UPPER, UPPER_FRAMES, 0, NTMM_STATUS_CONFLICTING_ADDRESSES);
    must_refuse_to_add(m, UPPER + 12, 2, 0, NTMM_STATUS_CONFLICTING_ADDRESSES);
    must_add_frames(m, end - 1, 1);
    must_refuse_to_add(m, UPPER + UPPER_ROWS, end - UPPER - UPPER_ROWS, 0,
                       NTMM_STATUS_CONFLICTING_ADDRESSES);
    machine_close(m);
}

/* A fault that waits for a frame goes on with one that is added. */
static void who_waits_for_a_frame_gets_it(void **state)
{
    (void)state;
    struct machine *m = open_hot();
    must_allocate(m, BASE, 16 * MIB, RW);
    must_write(m, BASE + 8 * MIB - PAGE, 1); /* the table of the last ones */
    uint64_t va = BASE;
    while (available(m) != 0) {
        must_write(m, va, va);
        va += PAGE;
    }
    struct ntmm_fault_request request = {.process = m->process, .address = va};
    struct ntmm_wait wait = {0};
    assert_int_equal(ntmm_fault_begin(m->system, &request, &wait, &m->fault), NTMM_STATUS_PENDING);
    assert_int_equal(wait.is_woken, 0);
    must_add_frames(m, UPPER, 100);
    assert_int_equal(wait.is_woken, 1);
    assert_int_equal(ntmm_fault_begin(m->system, &request, &wait, &m->fault), NTMM_STATUS_SUCCESS);
    assert_true(machine_frame(m, va) >= UPPER);
    machine_close(m);
}

/* --- removing --- */

static void frames_that_hold_nothing_go(void **state)
{
    (void)state;
    struct machine *m = open_hot();
    must_add_frames(m, UPPER, UPPER_FRAMES);
    struct ntmm_memory_information before = machine_memory(m);
    must_remove_frames(m, UPPER + 512, 512);
    must_remove_frames(m, LOWER_FRAMES - 100, 100); /* any frame, whatever its range */
    struct ntmm_memory_information after = machine_memory(m);
    assert_int_equal(after.total_pages, before.total_pages - 612);
    assert_int_equal(after.metadata_pages, before.metadata_pages);
    assert_int_equal(after.commit_limit_pages, before.commit_limit_pages - 612);
    assert_int_equal(after.commit_pages, before.commit_pages);
    assert_int_equal(after.free_pages, before.free_pages - 512);
    assert_int_equal(after.zeroed_pages, before.zeroed_pages - 100);
    assert_int_equal(after.active_pages, before.active_pages);
    assert_int_equal(after.free_large_runs, before.free_large_runs - 2);
    assert_int_equal(use_of(m, UPPER + 512), NTMM_USE_ABSENT);
    assert_int_equal(use_of(m, UPPER + 511), NTMM_USE_FREE);
    assert_int_equal(ntmm_mark_frame_bad(m->system, UPPER + 512, 0, NULL),
                     NTMM_STATUS_INVALID_PARAMETER_2);
    must_refuse_to_remove(m, UPPER + 511, 2, NTMM_STATUS_INVALID_PARAMETER_2);
    must_add_frames(m, LOWER_FRAMES - 100, 100);
    must_add_frames(m, UPPER + 512, 512);
    after = machine_memory(m);
    assert_int_equal(after.total_pages, before.total_pages);
    assert_int_equal(after.free_large_runs, before.free_large_runs);
    assert_int_equal(after.commit_limit_pages, before.commit_limit_pages);
    machine_close(m);
}

/* Nothing leads to the frames, and nothing is lost. */
static void must_be_gone(struct machine *m, uint64_t first, uint64_t count)
{
    for (uint64_t frame = first; frame < first + count; frame++)
        assert_int_equal(use_of(m, frame), NTMM_USE_ABSENT);
    memset((uint8_t *)ntmm_emulated_arena(m->emu, NULL) + first * PAGE, 0xEE, count * PAGE);
    must_hold(m, BASE, FILLED_PAGES * PAGE);
    machine_assert_sound(m);
}

static void pages_in_use_move(void **state)
{
    (void)state;
    struct machine *m = open_filled();
    uint64_t faults = machine_counter(m, NTMM_COUNTER_PAGE_FAULTS);
    uint64_t set = machine_process(m).working_set_pages;
    must_remove_frames(m, UPPER + 200, 300);
    must_be_gone(m, UPPER + 200, 300);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_PAGE_FAULTS), faults);
    assert_int_equal(machine_process(m).working_set_pages, set);
    must_add_frames(m, UPPER + 200, 300);
    must_remove_frames(m, 300, 300);
    must_be_gone(m, 300, 300);
    machine_close(m);
}

static void pages_on_lists_move_or_are_dropped(void **state)
{
    (void)state;
    struct machine *m = open_filled();
    must_trim(m, BASE, FILLED_PAGES * PAGE);
    for (uint32_t i = 0; i < 12; i++) {
        (void)must_write_modified(m, 64);
        must_finish_transfers(m);
    }
    assert_true(machine_memory(m).standby_pages[5] > 100);
    assert_true(machine_memory(m).modified_pages > 100);
    must_remove_frames(m, UPPER + UPPER_ROWS, 900);
    must_be_gone(m, UPPER + UPPER_ROWS, 900);
    machine_close(m);
}

/* They lowered the limit when they went bad, and do not when they go. */
static void bad_frames_go_too(void **state)
{
    (void)state;
    struct machine *m = open_hot();
    must_add_frames(m, UPPER, UPPER_FRAMES);
    struct ntmm_memory_information before = machine_memory(m);
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(ntmm_mark_frame_bad(m->system, UPPER + 600 + i, 0, NULL),
                         NTMM_STATUS_SUCCESS);
    must_remove_frames(m, UPPER + 512, 512);
    assert_int_equal(machine_memory(m).bad_pages, 0);
    assert_int_equal(machine_memory(m).commit_limit_pages, before.commit_limit_pages - 512);
    must_add_frames(m, UPPER + 512, 512); /* others are in their place */
    assert_int_equal(machine_memory(m).commit_limit_pages, before.commit_limit_pages);
    machine_close(m);
}

static void frames_in_caches_go_too(void **state)
{
    (void)state;
    struct machine *m = open_hot();
    struct call c = machine_call(m);
    must_add_frames(m, UPPER, UPPER_FRAMES);
    caches_begin(&c);
    must_allocate(m, BASE, PAGES * PAGE, RW);
    must_fill(m, BASE, PAGES * PAGE);
    uint64_t frame = get64(&machine_anchor(m)->caches[0].head);
    assert_true(get32(&machine_anchor(m)->caches[0].count) > 0);
    must_remove_frames(m, frame, 1);
    assert_int_equal(use_of(m, frame), NTMM_USE_ABSENT);
    must_hold(m, BASE, PAGES * PAGE);
    machine_close(m);
}

/* It is trimmed from its view, and moves then. */
static void pages_of_sections_move(void **state)
{
    (void)state;
    struct machine *m = open_filled();
    ntmm_handle section;
    uint64_t base = BASE + GIB, size = PAGES * PAGE, view = 0;
    assert_int_equal(ntmm_create_section(m->system, &section, NTMM_SECTION_ALL_ACCESS, NULL, &size,
                                         RW, NTMM_SEC_COMMIT, 0),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_map_view_of_section(m->system, section, m->process, &base, 0, 0, NULL,
                                              &view, NTMM_VIEW_SHARE, 0, RW),
                     NTMM_STATUS_SUCCESS);
    must_fill(m, base, PAGES * PAGE);
    uint64_t frame = machine_frame(m, base + 3 * PAGE);
    must_remove_frames(m, frame, 1);
    must_be_gone(m, frame, 1);
    must_hold(m, base, PAGES * PAGE);
    assert_true(machine_frame(m, base + 3 * PAGE) != frame);
    machine_close(m);
}

/* Rows of a range that has none are not looked for when pages move for a large one. */
static void large_pages_beside_what_is_absent(void **state)
{
    (void)state;
    struct machine *m = open_hot();
    must_allocate(m, BASE, 600 * PAGE, RW);
    must_write(m, BASE + PAGES_OF_TABLE * PAGE, 0); /* its table is in the first frames */
    must_fill(m, BASE, 600 * PAGE);
    must_decommit(m, BASE, 500 * PAGE);
    assert_int_equal(machine_memory(m).free_large_runs, 0);
    assert_int_equal(try_allocate(m, BASE + GIB, 2 * MIB,
                                  NTMM_MEM_RESERVE | NTMM_MEM_COMMIT | NTMM_MEM_LARGE_PAGES, RW),
                     NTMM_STATUS_SUCCESS);
    must_hold(m, BASE + 500 * PAGE, 100 * PAGE);
    machine_assert_sound(m);
    machine_close(m);
}

/* --- refusals --- */

static void what_does_not_leave_is_refused(void **state)
{
    (void)state;
    struct machine *m = open_filled();
    must_refuse_to_remove(m, LOWER_FRAMES, 1, NTMM_STATUS_INVALID_PARAMETER_2);
    must_refuse_to_remove(m, UPPER + 5, 0, NTMM_STATUS_INVALID_PARAMETER_3);
    must_refuse_to_remove(m, UPPER + 5, UPPER_FRAMES, NTMM_STATUS_INVALID_PARAMETER_3);
    must_refuse_to_remove(m, UPPER + 5, UINT64_MAX, NTMM_STATUS_INVALID_PARAMETER_3);
    must_refuse_to_remove(m, 0, LOWER_FRAMES, NTMM_STATUS_NOT_SUPPORTED);     /* the anchor */
    must_refuse_to_remove(m, UPPER, UPPER_FRAMES, NTMM_STATUS_NOT_SUPPORTED); /* rows */
    for (uint32_t level = 1; level <= 4; level++)
        must_refuse_to_remove(m, machine_table_frame(m, BASE, level), 1, NTMM_STATUS_NOT_SUPPORTED);
    uint64_t slab = get64(&machine_anchor(m)->slabs[SLAB_VAD].partial) / PAGE;
    must_refuse_to_remove(m, slab, 1, NTMM_STATUS_NOT_SUPPORTED);
    uint64_t count = 1, frame = 0, base = BASE + 1500 * PAGE, size = PAGE;
    assert_int_equal(ntmm_allocate_user_physical_pages(m->system, m->process, &count, &frame),
                     NTMM_STATUS_SUCCESS);
    must_refuse_to_remove(m, frame, 1, NTMM_STATUS_NOT_SUPPORTED);
    assert_int_equal(
        ntmm_lock_virtual_memory(m->system, m->process, &base, &size, NTMM_MAP_PROCESS),
        NTMM_STATUS_SUCCESS);
    frame = machine_frame(m, BASE + 1500 * PAGE);
    uint64_t before = available(m);
    must_refuse_to_remove(m, frame - 20, 30, NTMM_STATUS_NOT_SUPPORTED);
    assert_int_equal(available(m), before);
    must_hold(m, BASE, FILLED_PAGES * PAGE);
    assert_int_equal(
        ntmm_unlock_virtual_memory(m->system, m->process, &base, &size, NTMM_MAP_PROCESS),
        NTMM_STATUS_SUCCESS);
    must_remove_frames(m, frame - 20, 30);
    must_be_gone(m, frame - 20, 30);
    machine_close(m);
}

static void what_is_promised_stays(void **state)
{
    (void)state;
    struct machine *m = hot_open((struct machine_setup){0});
    must_add_frames(m, UPPER, UPPER_FRAMES);
    struct ntmm_memory_information memory = machine_memory(m);
    uint64_t left = memory.commit_limit_pages - memory.commit_pages;
    must_allocate(m, BASE, (left - 300) * PAGE, RW);
    memory = machine_memory(m);
    left = memory.commit_limit_pages - memory.commit_pages;
    must_refuse_to_remove(m, UPPER + 400, left + 1, NTMM_STATUS_COMMITMENT_LIMIT);
    must_remove_frames(m, UPPER + 400, left);
    memory = machine_memory(m);
    assert_int_equal(memory.commit_limit_pages, memory.commit_pages);
    assert_int_equal(try_allocate(m, BASE + GIB, PAGE, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, RW),
                     NTMM_STATUS_COMMITMENT_LIMIT);
    machine_set_commit_limit(m, memory.commit_pages);
    must_refuse_to_remove(m, UPPER + UPPER_ROWS, 300, NTMM_STATUS_COMMITMENT_LIMIT);
    must_release(m, BASE, 0);
    machine_set_commit_limit(m, 200); /* fewer than frames are to go */
    must_refuse_to_remove(m, UPPER + UPPER_ROWS, 300, NTMM_STATUS_COMMITMENT_LIMIT);
    machine_close(m);
}

static void a_frame_in_a_transfer_is_pending(void **state)
{
    (void)state;
    struct machine *m = open_filled();
    must_trim(m, BASE + 1500 * PAGE, PAGE);
    uint64_t frame = machine_frame(m, BASE + 1500 * PAGE);
    assert_int_equal(must_write_modified(m, 1), 1);
    must_refuse_to_remove(m, frame - 2, 5, NTMM_STATUS_RETRY);
    must_finish_transfers(m);
    must_remove_frames(m, frame - 2, 5);
    must_be_gone(m, frame - 2, 5);
    machine_close(m);
}

/* More pages than there are frames to move to: none is lost, all frames stay. */
static void pages_without_room_stay(void **state)
{
    (void)state;
    struct machine *m = open_filled();
    must_allocate(m, BASE + GIB, 400 * PAGE, RW);
    for (uint64_t va = BASE + GIB; available(m) > 50; va += PAGE)
        must_write(m, va, 1);
    uint64_t before = available(m);
    must_refuse_to_remove(m, UPPER + 200, 300, NTMM_STATUS_NO_MEMORY);
    assert_int_equal(available(m), before);
    must_hold(m, BASE, FILLED_PAGES * PAGE);
    must_remove_frames(m, UPPER + 200, 40);
    must_be_gone(m, UPPER + 200, 40);
    machine_close(m);
}

/* Each allocation and each copy fails once: all frames stay. Pages that moved before are out of the
 * way, so that the next one comes further. */
static void every_failure_leaves_all_frames(void **state)
{
    (void)state;
    struct machine *m = open_filled();
    uint32_t refused[2] = {0};
    for (uint32_t kind = 0; kind < 2; kind++) {
        uint64_t first = UPPER + 200 + kind * 200;
        ntmm_status status = NTMM_STATUS_NO_MEMORY;
        for (uint64_t after = 0; status != NTMM_STATUS_SUCCESS; after++) {
            uint64_t total = machine_memory(m).total_pages;
            if (kind == 0)
                m->system->failures = (struct allocation_failures){after, 1};
            else
                ntmm_emulated_inject_content(m->emu, NTMM_EMULATED_COPY, after, 1,
                                             NTMM_STATUS_DEVICE_DATA_ERROR);
            status = ntmm_remove_frames(m->system, first, 100);
            m->system->failures = (struct allocation_failures){0, 0};
            ntmm_emulated_inject_content(m->emu, 0, 0, 0, 0);
            machine_assert_sound(m);
            if (status == NTMM_STATUS_SUCCESS)
                break;
            assert_int_equal(status, NTMM_STATUS_NO_MEMORY);
            assert_int_equal(machine_memory(m).total_pages, total);
            refused[kind]++;
            must_hold(m, BASE, FILLED_PAGES * PAGE);
        }
        must_be_gone(m, first, 100);
        must_add_frames(m, first, 100);
    }
    assert_true(refused[0] > 10 && refused[1] > 1);
    machine_close(m);
}

/* --- what happens meanwhile --- */

/* Two pages in frames that follow each other: the first on modified, which is copied when its frame
 * is to be empty, the second on standby. The first one's frame. */
static uint64_t trim_two(struct machine *m)
{
    uint64_t va = BASE + 1500 * PAGE;
    uint64_t frame = machine_frame(m, va);
    assert_int_equal(machine_frame(m, va + PAGE), frame + 1);
    must_trim(m, va + PAGE, PAGE);
    assert_int_equal(must_write_modified(m, 1), 1);
    must_finish_transfers(m);
    must_trim(m, va, PAGE);
    assert_int_equal(machine_location(m, va), NTMM_FRAME_MODIFIED);
    assert_int_equal(machine_location(m, va + PAGE), NTMM_FRAME_STANDBY);
    return frame;
}

static struct machine *racing;
static void (*race)(struct machine *m);
static uint64_t raced_frame;
static ntmm_status (*copy)(void *context, const uint64_t *to, const uint64_t *from, uint32_t count);

/* While a page is copied, another processor does something. */
static ntmm_status copy_and_race(void *context, const uint64_t *to, const uint64_t *from,
                                 uint32_t count)
{
    struct machine *m = racing;
    racing = NULL;
    if (m)
        race(m);
    return copy(context, to, from, count);
}

static void begin_race(struct machine *m, void (*other)(struct machine *m), uint64_t frame)
{
    copy = m->system->platform.copy;
    m->system->platform.copy = copy_and_race;
    race = other;
    raced_frame = frame;
    racing = m;
}

static void end_race(struct machine *m)
{
    assert_null(racing); /* it took place */
    m->system->platform.copy = copy;
    machine_assert_sound(m);
}

static void mark_bad(struct machine *m)
{
    assert_int_equal(ntmm_mark_frame_bad(m->system, raced_frame, 0, NULL), NTMM_STATUS_SUCCESS);
}

static void mark_good(struct machine *m)
{
    assert_int_equal(ntmm_mark_frame_good(m->system, raced_frame), NTMM_STATUS_SUCCESS);
}

/* Two frames go, and the limit goes down by them once, whatever is said of the second meanwhile. */
static void remove_in_a_race(bool is_bad_before, void (*other)(struct machine *m))
{
    struct machine *m = open_filled();
    uint64_t frame = trim_two(m);
    struct ntmm_memory_information before = machine_memory(m);
    if (is_bad_before)
        assert_int_equal(ntmm_mark_frame_bad(m->system, frame + 1, 0, NULL), NTMM_STATUS_SUCCESS);
    begin_race(m, other, frame + 1);
    assert_int_equal(ntmm_remove_frames(m->system, frame, 2), NTMM_STATUS_SUCCESS);
    end_race(m);
    assert_int_equal(machine_memory(m).bad_pages, 0);
    assert_int_equal(machine_memory(m).commit_limit_pages, before.commit_limit_pages - 2);
    must_be_gone(m, frame, 2);
    machine_close(m);
}

/* It lowered the limit when it went bad, and so does not when it goes. */
static void a_frame_goes_bad_meanwhile(void **state)
{
    (void)state;
    remove_in_a_race(false, mark_bad);
}

/* The other way round. */
static void a_frame_gets_good_meanwhile(void **state)
{
    (void)state;
    remove_in_a_race(true, mark_good);
}

/* What is left would be just enough, and then another frame fails. */
static void what_is_promised_needs_them_meanwhile(void **state)
{
    (void)state;
    struct machine *m = open_filled();
    uint64_t frame = trim_two(m);
    machine_set_commit_limit(m, machine_memory(m).commit_pages + 2);
    struct ntmm_memory_information before = machine_memory(m);
    begin_race(m, mark_bad, get64(&machine_partition(m)->node.free.tail));
    assert_int_equal(ntmm_remove_frames(m->system, frame, 2), NTMM_STATUS_COMMITMENT_LIMIT);
    end_race(m);
    assert_int_equal(machine_memory(m).bad_pages, 1);
    assert_int_equal(machine_memory(m).total_pages, before.total_pages);
    assert_int_equal(machine_memory(m).commit_limit_pages, before.commit_limit_pages - 1);
    must_hold(m, BASE, FILLED_PAGES * PAGE);
    machine_close(m);
}

/* On modified: as in the working set. */
static void a_listed_page_that_cannot_be_copied_stays(void **state)
{
    (void)state;
    struct machine *m = open_filled();
    uint64_t frame = trim_two(m);
    ntmm_emulated_inject_content(m->emu, NTMM_EMULATED_COPY, 0, UINT64_MAX,
                                 NTMM_STATUS_DEVICE_DATA_ERROR);
    must_refuse_to_remove(m, frame, 2, NTMM_STATUS_NO_MEMORY);
    ntmm_emulated_inject_content(m->emu, 0, 0, 0, 0);
    must_hold(m, BASE, FILLED_PAGES * PAGE);
    must_remove_frames(m, frame, 2);
    must_be_gone(m, frame, 2);
    machine_close(m);
}

/* --- what remembers --- */

static void a_snapshot_has_the_frames_of_its_time(void **state)
{
    (void)state;
    struct machine *m = open_hot();
    struct ntmm_memory_information before = machine_memory(m);
    assert_int_equal(ntmm_emulated_snapshot(m->emu), NTMM_STATUS_SUCCESS);
    must_add_frames(m, UPPER, UPPER_FRAMES);
    must_remove_frames(m, 700, 200);
    assert_int_equal(ntmm_emulated_restore_snapshot(m->emu), NTMM_STATUS_SUCCESS);
    struct ntmm_memory_information after = machine_memory(m);
    assert_memory_equal(&before, &after, sizeof before);
    machine_assert_sound(m);
    must_add_frames(m, UPPER, UPPER_FRAMES);
    must_remove_frames(m, 700, 200);
    machine_close(m);
}

static void the_highest_frame_follows(void **state)
{
    (void)state;
    struct machine *m = open_hot();
    struct ntmm_system_basic_information basic;
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(ntmm_query_system_information(m->system, NTMM_SYSTEM_BASIC_INFORMATION,
                                                       &basic, sizeof basic, NULL),
                         NTMM_STATUS_SUCCESS);
        assert_int_equal(basic.highest_physical_page_number,
                         i == 0 ? LOWER_FRAMES - 1 : UPPER + UPPER_FRAMES - 1);
        assert_int_equal(basic.number_of_physical_pages, LOWER_FRAMES + i * 100);
        if (i == 0)
            must_add_frames(m, UPPER, 100);
    }
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_absent_costs_nothing),
        cmocka_unit_test(frames_are_there_once_added),
        cmocka_unit_test(all_that_was_added_is_used),
        cmocka_unit_test(what_cannot_be_added_is_refused),
        cmocka_unit_test(who_waits_for_a_frame_gets_it),
        cmocka_unit_test(frames_that_hold_nothing_go),
        cmocka_unit_test(pages_in_use_move),
        cmocka_unit_test(pages_on_lists_move_or_are_dropped),
        cmocka_unit_test(bad_frames_go_too),
        cmocka_unit_test(frames_in_caches_go_too),
        cmocka_unit_test(pages_of_sections_move),
        cmocka_unit_test(large_pages_beside_what_is_absent),
        cmocka_unit_test(what_does_not_leave_is_refused),
        cmocka_unit_test(what_is_promised_stays),
        cmocka_unit_test(a_frame_in_a_transfer_is_pending),
        cmocka_unit_test(pages_without_room_stay),
        cmocka_unit_test(every_failure_leaves_all_frames),
        cmocka_unit_test(a_frame_goes_bad_meanwhile),
        cmocka_unit_test(a_frame_gets_good_meanwhile),
        cmocka_unit_test(what_is_promised_needs_them_meanwhile),
        cmocka_unit_test(a_listed_page_that_cannot_be_copied_stays),
        cmocka_unit_test(a_snapshot_has_the_frames_of_its_time),
        cmocka_unit_test(the_highest_frame_follows),
    };
    return cmocka_run_group_tests_name("hot_frames", tests, NULL, NULL);
}
