/*
 * Caches of free frames (phys/cache.h): what is in them is free for everybody, and nothing is lost.
 * Expectations: cache.h; docs/paging.md.
 */
#include "unit/machine.h"

#include "phys/cache.h"
#include "phys/rows.h"

#include <ntmm/physical.h>

static uint32_t processor_number; /* of the platform of these tests */
static le32 *held;                /* the lock that relaxing gives back */

static uint32_t processor(void *context)
{
    (void)context;
    return processor_number;
}

static void give_lock_back(void *context)
{
    (void)context;
    store32_release(held, 0);
}

static struct machine *open_with_caches(uint64_t ram_bytes)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = ram_bytes},
                                        .core = {.extra_commit_pages = 4096}};
    struct machine *m = machine_open(&setup);
    struct call c = machine_call(m);
    m->system->platform.processor = processor;
    processor_number = 0;
    caches_begin(&c);
    return m;
}

static uint64_t cached(struct machine *m)
{
    struct call c = machine_call(m);
    return caches_count(&c, true) + caches_count(&c, false);
}

/* A page of the region on each processor, so that all caches have frames. */
static void fill_caches(struct machine *m)
{
    for (processor_number = 0; processor_number < FRAME_CACHES; processor_number++)
        must_write(m, BASE + processor_number * PAGE, 1);
    processor_number = 0;
}

static uint64_t unused(struct machine *m)
{
    struct ntmm_memory_information memory = machine_memory(m);
    return memory.zeroed_pages + memory.free_pages;
}

static void frames_in_caches_count_as_what_they_are(void **state)
{
    (void)state;
    struct machine *m = open_with_caches(8 * MIB);
    struct call c = machine_call(m);
    must_allocate(m, BASE, 64 * PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 1); /* its tables */
    uint64_t before = unused(m);
    uint64_t large = machine_memory(m).free_large_runs;
    assert_int_equal(machine_memory(m).user_pages, 1);
    must_fill(m, BASE, 64 * PAGE);
    assert_in_range(cached(m), 1, FRAME_CACHE_FRAMES);
    machine_assert_sound(m);
    assert_int_equal(frames_available(&c), before - 63);
    assert_int_equal(unused(m), before - 63);
    assert_int_equal(machine_memory(m).user_pages, 64);
    assert_int_equal(machine_memory(m).user_peak_pages, 64);
    must_hold(m, BASE, 64 * PAGE);
    must_release(m, BASE, 0);
    assert_int_equal(machine_memory(m).user_pages, 0);
    assert_int_equal(machine_memory(m).user_peak_pages, 64);
    assert_true(machine_memory(m).free_large_runs >= large);
    machine_close(m);
}

/* Few frames that come free are taken again, the last one first. */
static void what_was_freed_is_taken_again(void **state)
{
    (void)state;
    struct machine *m = open_with_caches(8 * MIB);
    must_allocate(m, BASE, 64 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, 8 * PAGE);
    uint64_t frame = machine_frame(m, BASE + 3 * PAGE);
    while (cached(m) != 0) { /* zeroed ones: what is freed goes to the node */
        struct call c = machine_call(m);
        (void)caches_give_back(&c);
    }
    must_decommit(m, BASE + 3 * PAGE, PAGE);
    assert_int_equal(cached(m), 1);
    machine_assert_sound(m);
    must_commit(m, BASE + 3 * PAGE, PAGE, NTMM_PAGE_READWRITE);
    struct anchor *anchor = machine_anchor(m);
    assert_int_equal(get64(&anchor->caches[0].head), frame);
    assert_int_equal(must_read(m, BASE + 3 * PAGE), 0);
    machine_close(m);
}

/* Whoever finds the node empty gets what others' caches have: all frames can be had. */
static void every_frame_can_be_had(void **state)
{
    static uint64_t frames[2048];
    (void)state;
    struct machine *m = open_with_caches(8 * MIB);
    must_allocate(m, BASE, 64 * PAGE, NTMM_PAGE_READWRITE);
    fill_caches(m);
    assert_true(cached(m) > FRAME_CACHES * 8);
    struct call c = machine_call(m);
    uint64_t count = frames_available(&c);
    assert_int_equal(ntmm_allocate_user_physical_pages(m->system, m->process, &count, frames),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(frames_available(&c), 0);
    assert_int_equal(cached(m), 0);
    machine_assert_sound(m);
    uint64_t all = count;
    assert_int_equal(ntmm_free_user_physical_pages(m->system, m->process, &count, frames),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(count, all);
    machine_close(m);
}

/* Runs are whole again for who wants one. */
static void runs_are_had_from_caches(void **state)
{
    (void)state;
    struct machine *m = open_with_caches(8 * MIB);
    struct call c = machine_call(m);
    uint64_t runs = machine_memory(m).free_large_runs, base[4];
    assert_in_range(runs, 2, 4);
    must_allocate(m, BASE, 64 * PAGE, NTMM_PAGE_READWRITE);
    fill_caches(m);
    must_release(m, BASE, 0);
    assert_true(cached(m) > 0);
    for (uint64_t i = 0; i < runs; i++)
        assert_true(run_allocate(&c, NTMM_USE_PRIVATE, &base[i]));
    for (uint64_t i = 0; i < runs; i++) {
        for (uint64_t j = 0; j < RUN_FRAMES; j++)
            frame_free(&c, base[i] + j);
    }
    assert_int_equal(machine_memory(m).free_large_runs, runs);
    machine_close(m);
}

/* A cache of free frames is given back when there are zeroed ones. */
static void zeroed_frames_come_first(void **state)
{
    (void)state;
    const struct machine_setup setup = {
        .hardware = {.ram_bytes = 8 * MIB, .flags = NTMM_EMULATED_ARENA_ZEROED}};
    struct machine *m = machine_open(&setup);
    struct call c = machine_call(m);
    caches_begin(&c);
    must_allocate(m, BASE, 64 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, 4 * PAGE);
    while (ntmm_zero_free_pages(m->system, 1000) != 0) {
    }
    (void)caches_give_back(&c);
    must_decommit(m, BASE, PAGE);
    assert_int_equal(caches_count(&c, false), 1);
    uint64_t inline_before = machine_counter(m, NTMM_COUNTER_FRAMES_ZEROED_INLINE);
    must_write(m, BASE + 10 * PAGE, 1);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_FRAMES_ZEROED_INLINE), inline_before);
    machine_close(m);
}

/* A page came through one cache and went through another; only the going was seen yet. */
static void a_sum_below_nothing_is_no_peak(void **state)
{
    (void)state;
    struct machine *m = open_with_caches(8 * MIB);
    struct call c = machine_call(m);
    uint64_t peak;
    set64(&machine_anchor(m)->caches[5].user_pages, ~0ull);
    assert_int_equal(frames_user_pages(&c, &peak), 0);
    assert_int_equal(peak, 0);
    set64(&machine_anchor(m)->caches[5].user_pages, 0);
    machine_close(m);
}

/* Small systems have none: what one takes together the others would lack. */
static void few_frames_fill_no_cache(void **state)
{
    (void)state;
    const struct machine_setup setup = {.hardware = {.ram_bytes = 256 * PAGE}};
    struct machine *m = machine_open(&setup);
    struct call c = machine_call(m);
    caches_begin(&c);
    must_allocate(m, BASE, 180 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, 180 * PAGE);
    must_write(m, BASE, 1);
    assert_int_equal(cached(m), 0);
    machine_close(m);
}

/* Nobody has caches until somebody has waited for the node. */
static void waiting_for_the_node_begins_them(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    struct call c = machine_call(m);
    void (*relax)(void *) = m->system->platform.relax;
    must_allocate(m, BASE, 4 * PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 1);
    assert_false(caches_are_used(&c));
    held = &machine_partition(m)->node.lock;
    store32_release(held, 1);
    m->system->platform.relax = give_lock_back;
    must_write(m, BASE + PAGE, 1);
    m->system->platform.relax = relax;
    assert_true(caches_are_used(&c));
    machine_close(m);
}

/* What is taken together ends where frames in a row end, so that they stay in a row. */
static void frames_in_a_row_stay_in_a_row(void **state)
{
    (void)state;
    struct machine *m = open_with_caches(32 * MIB);
    const struct node *node = &machine_partition(m)->node;
    const le64 *head = get64(&node->zeroed.count) ? &node->zeroed.head : &node->free.head;
    must_allocate(m, BASE, 1024 * PAGE, NTMM_PAGE_READWRITE);
    uint64_t before = get64(head), fills = 0;
    for (uint64_t i = 0; i < 1024; i++) {
        must_write(m, BASE + i * PAGE, 1);
        if (get64(head) == before)
            continue;
        assert_int_equal(get64(head) % (FRAME_CACHE_FRAMES / 2), 0);
        assert_in_range(cached(m), FRAME_CACHE_FRAMES / 2, FRAME_CACHE_FRAMES);
        before = get64(head);
        fills++;
    }
    assert_in_range(fills, 8, 9);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_in_caches_count_as_what_they_are),
        cmocka_unit_test(what_was_freed_is_taken_again),
        cmocka_unit_test(every_frame_can_be_had),
        cmocka_unit_test(runs_are_had_from_caches),
        cmocka_unit_test(zeroed_frames_come_first),
        cmocka_unit_test(a_sum_below_nothing_is_no_peak),
        cmocka_unit_test(few_frames_fill_no_cache),
        cmocka_unit_test(waiting_for_the_node_begins_them),
        cmocka_unit_test(frames_in_a_row_stay_in_a_row),
    };
    return cmocka_run_group_tests_name("frame_cache", tests, NULL, NULL);
}
