/*
 * Slot maps: which slots are given out, in what order, and what the map costs.
 *
 * A model of one byte a slot searches as slots.h says, slot by slot; the map must do the same. The
 * page file here is a bare descriptor that no system knows of.
 */
#include "unit/machine.h"

#include "base/prng.h"
#include "phys/slots.h"

#define LEAF UINT64_C(32768)
#define TABLE (LEAF * 256)

struct map {
    struct machine *m;
    struct call c;
    struct page_file file;
};

static void open_map(struct map *map, uint64_t size)
{
    memset(map, 0, sizeof *map);
    map->m = machine_open_bare(NULL);
    map->c = machine_call(map->m);
    assert_true(slots_map_room(&map->c, &map->file, size));
    slots_resize(&map->c, &map->file, size);
}

static void close_map(struct map *map)
{
    (void)slots_map_free(&map->c, &map->file);
    machine_close(map->m);
}

static bool is_used(struct map *map, uint64_t slot)
{
    return slot_is_used(&map->c, &map->file, slot);
}

static uint64_t take(struct map *map, uint32_t most, uint32_t expected)
{
    uint64_t first = 0;
    assert_int_equal(slots_take(&map->c, &map->file, most, &first), expected);
    return first;
}

static void give(struct map *map, uint64_t first, uint64_t count)
{
    slots_give(&map->c, &map->file, first, count);
}

/* Everything in use but slot 0; the hint is back at the beginning. */
static void take_all(struct map *map)
{
    uint64_t first;
    while (slots_take(&map->c, &map->file, (uint32_t)LEAF, &first) != 0) {
    }
    set64(&map->file.hint, 0);
}

/* G2, G3 and G4 of the leaf of a slot, counted bit by bit. */
static uint64_t check_leaf(struct map *map, uint64_t base)
{
    const struct slot_leaf *leaf = slots_leaf(&map->c, &map->file, base);
    uint32_t free = 0, run = 0, longest = 0;
    assert_non_null(leaf);
    for (uint64_t slot = base; slot < base + LEAF; slot++) {
        bool is_free = !is_used(map, slot);
        free += is_free;
        run = is_free ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    assert_int_equal(get32(&leaf->free), free);
    assert_true(get32(&leaf->longest) >= longest);
    return free;
}

static void check_map(struct map *map)
{
    uint64_t size = get64(&map->file.size_pages), free = 0;
    for (uint64_t base = 0; base < size; base += LEAF)
        free += check_leaf(map, base);
    assert_int_equal(free, slots_free(&map->file));
    assert_int_equal(size - free, get64(&map->file.used_pages) + get64(&map->file.bad_pages) + 1);
    assert_true(get64(&map->file.peak_pages) >= get64(&map->file.used_pages));
}

/* --- frames of the map --- */

/* Root, tables of 256 leaves, leaves of 32,768 slots. */
static void need_by_hand(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    struct call c = machine_call(m);
    struct page_file file = {0};
    assert_int_equal(slots_map_need(&c, &file, 1), 3);
    assert_int_equal(slots_map_need(&c, &file, LEAF), 3);
    assert_int_equal(slots_map_need(&c, &file, LEAF + 1), 4);
    assert_int_equal(slots_map_need(&c, &file, TABLE), 1 + 1 + 256);
    assert_int_equal(slots_map_need(&c, &file, TABLE + 1), 1 + 2 + 257);
    assert_int_equal(slots_map_need(&c, &file, UINT64_C(1) << 32), 1 + 512 + 131072);
    machine_close(m);
}

static void room_takes_what_is_needed_and_free_gives_it_back(void **state)
{
    (void)state;
    struct map map;
    open_map(&map, 300);
    uint64_t active = machine_memory(map.m).active_pages;
    assert_int_equal(active, 3);
    assert_int_equal(slots_map_need(&map.c, &map.file, LEAF), 0);
    assert_int_equal(slots_map_need(&map.c, &map.file, 3 * LEAF), 2);
    assert_true(slots_map_room(&map.c, &map.file, 3 * LEAF));
    assert_int_equal(machine_memory(map.m).active_pages, 5);
    assert_int_equal(get64(&map.file.size_pages), 300);
    assert_int_equal(slots_map_need(&map.c, &map.file, 3 * LEAF), 0);
    assert_int_equal(slots_map_free(&map.c, &map.file), 5);
    assert_int_equal(slots_map_free(&map.c, &map.file), 0);
    assert_int_equal(machine_memory(map.m).active_pages, 0);
    close_map(&map);
}

/* With k frames left of the n that are needed: nothing happens for k < n. */
static void room_fails_at_each_frame_and_changes_nothing(void **state)
{
    (void)state;
    const uint64_t size = 4 * LEAF;
    const uint64_t need = 6;
    struct machine *m = machine_open_bare(NULL);
    struct call c = machine_call(m);
    struct page_file file = {0};
    uint64_t held[2048], count = 0;
    while (frames_available(&c) > 0)
        assert_true(frame_allocate(&c, NTMM_USE_PAGING, &held[count++]));
    for (uint64_t left = 0; left < need; left++) {
        c.want = (struct want){.kind = WANT_NOTHING};
        assert_false(slots_map_room(&c, &file, size));
        assert_int_equal(c.want.kind, WANT_FRAME);
        assert_int_equal(get64(&file.map_ref), 0);
        assert_int_equal(frames_available(&c), left);
        frame_free(&c, held[--count]);
    }
    assert_true(slots_map_room(&c, &file, size));
    assert_int_equal(frames_available(&c), 0);
    assert_int_equal(slots_map_free(&c, &file), need);
    while (count != 0)
        frame_free(&c, held[--count]);
    machine_close(m);
}

/* A file that has slots keeps them when there is no frame to grow with. */
static void growth_that_fails_keeps_the_slots(void **state)
{
    (void)state;
    struct map map;
    uint64_t held[2048], count = 0;
    open_map(&map, 300);
    uint64_t first = take(&map, 10, 10);
    while (frames_available(&map.c) > 1)
        assert_true(frame_allocate(&map.c, NTMM_USE_PAGING, &held[count++]));
    assert_false(slots_map_room(&map.c, &map.file, 3 * LEAF));
    assert_int_equal(frames_available(&map.c), 1);
    assert_int_equal(get64(&map.file.size_pages), 300);
    assert_true(is_used(&map, first) && is_used(&map, first + 9) && !is_used(&map, first + 10));
    check_map(&map);
    while (count != 0)
        frame_free(&map.c, held[--count]);
    close_map(&map);
}

/* --- what is given out --- */

static void slot_0_and_slots_past_the_size_are_never_given(void **state)
{
    (void)state;
    struct map map;
    uint8_t seen[512] = {0};
    uint64_t first;
    open_map(&map, 256);
    assert_true(is_used(&map, 0) && !is_used(&map, 1) && !is_used(&map, 255));
    assert_true(is_used(&map, 256) && is_used(&map, UINT64_C(1) << 31));
    for (uint32_t i = 1; i < 256; i++) {
        assert_int_equal(slots_take(&map.c, &map.file, 1, &first), 1);
        assert_in_range(first, 1, 255);
        assert_int_equal(seen[first]++, 0);
    }
    assert_int_equal(slots_take(&map.c, &map.file, 1, &first), 0);
    assert_int_equal(get64(&map.file.used_pages), 255);
    assert_int_equal(get64(&map.file.peak_pages), 255);
    check_map(&map);
    close_map(&map);
}

static void runs_follow_each_other_and_begin_again_at_the_end(void **state)
{
    (void)state;
    struct map map;
    open_map(&map, 256);
    assert_int_equal(take(&map, 64, 64), 1);
    assert_int_equal(take(&map, 64, 64), 65);
    assert_int_equal(take(&map, 64, 64), 129);
    give(&map, 1, 64); /* behind the hint: 63 slots are left before the end, so it comes round */
    assert_int_equal(take(&map, 64, 64), 1);
    assert_int_equal(take(&map, 63, 63), 193);
    assert_int_equal(take(&map, 1, 0), 0);
    close_map(&map);
}

/* Free: 100..104 and 200..202. Of 64, 32, 16, 8 and 4 the last is found; then of 2 and 1. */
static void the_length_is_halved_until_there_is_a_run(void **state)
{
    (void)state;
    struct map map;
    open_map(&map, 1024);
    take_all(&map);
    give(&map, 100, 5);
    give(&map, 200, 3);
    assert_int_equal(take(&map, 64, 4), 100);
    assert_int_equal(take(&map, 64, 2), 200); /* 4 free in all: 4 is tried first, in vain */
    assert_int_equal(take(&map, 64, 1), 202);
    assert_int_equal(take(&map, 64, 1), 104);
    assert_int_equal(take(&map, 64, 0), 0);
    close_map(&map);
}

static void a_run_that_is_long_enough_may_be_any_length(void **state)
{
    (void)state;
    struct map map;
    open_map(&map, 1024);
    take_all(&map);
    give(&map, 300, 37);
    assert_int_equal(take(&map, 37, 37), 300);
    give(&map, 300, 37);
    assert_int_equal(take(&map, 38, 19), 300); /* half of 38 */
    close_map(&map);
}

/* 10 slots before the boundary and 10 behind it are no run of 20. */
static void a_run_lies_in_one_leaf(void **state)
{
    (void)state;
    struct map map;
    open_map(&map, 3 * LEAF);
    take_all(&map);
    give(&map, LEAF - 10, 20);
    assert_int_equal(take(&map, 20, 10), LEAF - 10);
    assert_int_equal(take(&map, 20, 10), LEAF);
    give(&map, LEAF - 1, 2);
    assert_int_equal(take(&map, 2, 1), LEAF - 1);
    assert_int_equal(take(&map, 2, 1), LEAF);
    give(&map, LEAF, LEAF);
    assert_int_equal(take(&map, UINT32_MAX, (uint32_t)LEAF - 1), LEAF + 1); /* from the hint on */
    check_map(&map);
    close_map(&map);
}

static void a_whole_leaf_is_a_run(void **state)
{
    (void)state;
    struct map map;
    open_map(&map, 2 * LEAF);
    assert_int_equal(take(&map, (uint32_t)LEAF, (uint32_t)LEAF), LEAF);
    assert_int_equal(take(&map, (uint32_t)LEAF, (uint32_t)LEAF / 2), 1);
    check_map(&map);
    close_map(&map);
}

static void growing_keeps_what_is_used(void **state)
{
    (void)state;
    struct map map;
    open_map(&map, LEAF - 7);
    take_all(&map);
    for (uint64_t size = LEAF - 6; size < 2 * LEAF + 200; size += 1 + size % 4099) {
        assert_true(slots_map_room(&map.c, &map.file, size));
        uint64_t before = get64(&map.file.size_pages);
        slots_resize(&map.c, &map.file, size);
        assert_int_equal(slots_free(&map.file), size - before);
        assert_true(is_used(&map, before - 1) && !is_used(&map, before));
        assert_true(!is_used(&map, size - 1) && is_used(&map, size));
        check_map(&map);
        take_all(&map);
    }
    close_map(&map);
}

static void a_bad_slot_is_given_to_nobody(void **state)
{
    (void)state;
    struct map map;
    open_map(&map, 256);
    assert_int_equal(take(&map, 1, 1), 1);
    slot_mark_bad(&map.file);
    assert_int_equal(get64(&map.file.used_pages), 0);
    assert_int_equal(get64(&map.file.bad_pages), 1);
    assert_int_equal(slots_free(&map.file), 254);
    take_all(&map);
    assert_int_equal(get64(&map.file.used_pages), 254);
    check_map(&map);
    slot_unmark_bad(&map.c, &map.file, 1);
    assert_int_equal(get64(&map.file.bad_pages), 0);
    assert_int_equal(take(&map, 1, 1), 1);
    check_map(&map);
    close_map(&map);
}

/* --- a file of 64 GiB --- */

static void a_large_sparse_file(void **state)
{
    (void)state;
    const uint64_t size = 2 * TABLE;
    struct map map;
    open_map(&map, size);
    take_all(&map);
    assert_int_equal(get64(&map.file.used_pages), size - 1);
    give(&map, TABLE - 3, 6); /* across leaves and tables */
    give(&map, size - 1, 1);
    give(&map, TABLE + 5 * LEAF + 63, 66);
    assert_int_equal(take(&map, 64, 64), TABLE + 5 * LEAF + 63);
    assert_int_equal(take(&map, 1, 1), TABLE + 5 * LEAF + 63 + 64);
    assert_int_equal(take(&map, 1, 1), TABLE + 5 * LEAF + 63 + 65);
    assert_int_equal(take(&map, 3, 3), TABLE - 3);
    assert_int_equal(take(&map, 3, 3), TABLE);
    assert_int_equal(take(&map, 3, 1), size - 1);
    assert_int_equal(take(&map, 3, 0), 0);
    check_leaf(&map, TABLE - LEAF);
    check_leaf(&map, TABLE);
    check_leaf(&map, TABLE + 5 * LEAF);
    close_map(&map);
}

/* --- against the model --- */

#define MODEL_MAXIMUM (4 * LEAF)

struct model {
    uint8_t used[MODEL_MAXIMUM]; /* 1 used, 2 bad */
    uint64_t size;
    uint64_t hint;
};

static struct model model;

static bool model_has_run(uint64_t first, uint64_t n)
{
    if (first / LEAF != (first + n - 1) / LEAF || first + n > model.size)
        return false;
    const uint8_t *used = &model.used[first];
    return *used == 0 && memcmp(used, used + 1, n - 1) == 0;
}

/* The first run from the hint, else from the beginning; a run across the hint counts there. */
static uint64_t model_search(uint64_t n)
{
    uint64_t hint = model.hint < model.size ? model.hint : 0;
    for (uint64_t slot = hint; slot < model.size; slot++) {
        if (!model.used[slot] && model_has_run(slot, n))
            return slot;
    }
    for (uint64_t slot = 1; slot < model.size; slot++) {
        if (!model.used[slot] && model_has_run(slot, n))
            return slot;
    }
    return 0;
}

static uint32_t model_take(uint32_t most, uint64_t *first)
{
    for (uint32_t n = most; n != 0; n /= 2) {
        *first = model_search(n);
        if (*first == 0)
            continue;
        memset(&model.used[*first], 1, n);
        model.hint = *first + n;
        return n;
    }
    return 0;
}

static void random_take(struct map *map, struct prng *prng)
{
    static const uint32_t lengths[] = {1, 1, 3, 8, 16, 64, 100, 256, 5000};
    uint32_t most = lengths[prng_below(prng, 9)];
    uint64_t first = 0, expected_first = 0;
    uint32_t expected = model_take(most, &expected_first);
    uint32_t count = slots_take(&map->c, &map->file, most, &first);
    assert_int_equal(count, expected);
    if (count != 0)
        assert_int_equal(first, expected_first);
    if (count == 1 && prng_below(prng, 16) == 0) {
        slot_mark_bad(&map->file);
        model.used[first] = 2;
    }
}

/* Give back the used slots of a stretch, run by run. */
static void random_give(struct map *map, struct prng *prng)
{
    uint64_t slot = 1 + prng_below(prng, model.size - 1);
    uint64_t end = slot + 1 + prng_below(prng, prng_below(prng, 8) == 0 ? 20000 : 200);
    while (slot < end && slot < model.size) {
        uint64_t n = 0;
        while (slot + n < end && slot + n < model.size && model.used[slot + n] == 1)
            n++;
        if (n != 0)
            give(map, slot, n);
        memset(&model.used[slot], 0, n);
        slot += n + 1;
    }
}

static void random_resize(struct map *map, struct prng *prng)
{
    uint64_t size = model.size + prng_below(prng, 2000);
    if (size > MODEL_MAXIMUM)
        return;
    assert_true(slots_map_room(&map->c, &map->file, size));
    slots_resize(&map->c, &map->file, size);
    model.size = size;
}

static void compare_with_model(struct map *map)
{
    for (uint64_t slot = 0; slot < model.size; slot++) {
        if (is_used(map, slot) != (model.used[slot] != 0))
            fail_msg("slot %llu", (unsigned long long)slot);
    }
    check_map(map);
}

static void run_against_model(uint64_t seed, uint64_t size, uint32_t gives)
{
    struct map map;
    struct prng prng;
    prng_seed(&prng, seed);
    open_map(&map, size);
    memset(&model, 0, sizeof model);
    model.size = size;
    model.used[0] = 2;
    for (uint32_t step = 0; step < 3000; step++) {
        uint64_t what = prng_below(&prng, 100);
        if (what < 2)
            random_resize(&map, &prng);
        else if (what < gives)
            random_give(&map, &prng);
        else
            random_take(&map, &prng);
        if (step % 500 == 499)
            compare_with_model(&map);
    }
    close_map(&map);
}

static void random_runs_agree_with_the_model(void **state)
{
    (void)state;
    run_against_model(1, 256, 45);
    run_against_model(2, LEAF + 100, 45);
    run_against_model(3, 3 * LEAF, 50);
    run_against_model(4, 5000, 30); /* mostly full */
    run_against_model(5, 2 * LEAF - 1, 70);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(need_by_hand),
        cmocka_unit_test(room_takes_what_is_needed_and_free_gives_it_back),
        cmocka_unit_test(room_fails_at_each_frame_and_changes_nothing),
        cmocka_unit_test(growth_that_fails_keeps_the_slots),
        cmocka_unit_test(slot_0_and_slots_past_the_size_are_never_given),
        cmocka_unit_test(runs_follow_each_other_and_begin_again_at_the_end),
        cmocka_unit_test(the_length_is_halved_until_there_is_a_run),
        cmocka_unit_test(a_run_that_is_long_enough_may_be_any_length),
        cmocka_unit_test(a_run_lies_in_one_leaf),
        cmocka_unit_test(a_whole_leaf_is_a_run),
        cmocka_unit_test(growing_keeps_what_is_used),
        cmocka_unit_test(a_bad_slot_is_given_to_nobody),
        cmocka_unit_test(a_large_sparse_file),
        cmocka_unit_test(random_runs_agree_with_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
