/*
 * What debug builds put where nobody may write (phys/poison.h): a store to a free frame, and one
 * behind the end of an object, are found by who takes the frame or gives the object back, and by
 * the checker. Expectations: P16, S6.
 */
#include "unit/traps.h"

#include "phys/cache.h"
#include "phys/poison.h"
#include "phys/slab.h"

#include <ntmm/borrow.h>
#include <ntmm/frames.h>

#define RW NTMM_PAGE_READWRITE
#define PAGES 8u
#define SECURE_BODY 40u /* bytes of a record of secured ranges, which has 64 */

static uint8_t *bytes_of(struct machine *m, uint64_t frame)
{
    return (uint8_t *)ntmm_emulated_arena(m->emu, NULL) + frame * PAGE;
}

static bool is_filled(struct machine *m, uint64_t frame)
{
    for (uint32_t i = 0; i < PAGE; i++) {
        if (bytes_of(m, frame)[i] != POISON_BYTE)
            return false;
    }
    return true;
}

/* A page of the region comes free; its frame. */
static uint64_t free_one(struct machine *m, uint32_t page)
{
    uint64_t frame = machine_frame(m, BASE + page * PAGE);
    must_decommit(m, BASE + page * PAGE, PAGE);
    return frame;
}

static struct machine *open_filled(void)
{
    struct machine *m = machine_open(NULL);
    must_allocate(m, BASE, PAGES * PAGE, RW);
    must_fill(m, BASE, PAGES * PAGE);
    return m;
}

/* --- who finds it --- */

static void take_one(void *context)
{
    struct machine *m = context;
    struct call c = machine_call(m);
    uint64_t frame;
    (void)frame_allocate(&c, NTMM_USE_FREE, &frame);
}

static void zero_all(void *context)
{
    struct machine *m = context;
    (void)ntmm_zero_free_pages(m->system, UINT64_MAX);
}

static void mark_bad(void *context)
{
    struct machine *m = context;
    struct call c = machine_call(m);
    uint64_t frame = get64(&partition_of(&c)->node.free.head);
    assert_int_equal(ntmm_mark_frame_bad(m->system, frame, 0, NULL), NTMM_STATUS_SUCCESS);
}

static void take_from_cache(void *context)
{
    struct machine *m = context;
    struct call c = machine_call(m);
    bool is_zeroed;
    (void)cache_take(&c, NTMM_USE_FREE, &is_zeroed);
}

static void take_large(void *context)
{
    struct machine *m = context;
    struct call c = machine_call(m);
    uint64_t base;
    while (run_allocate(&c, NTMM_USE_FREE, &base))
        continue;
}

static void expect_found(struct machine *m, uint64_t frame, uint32_t offset,
                         void (*take)(void *context))
{
    assert_false(traps(take, m));
    bytes_of(m, frame)[offset] ^= 1;
    if (POISON_IS_BUILT)
        machine_assert_broken(m, "P16", frame);
    else
        machine_assert_sound(m);
    assert_int_equal(traps(take, m), IS_CHECKED);
    bytes_of(m, frame)[offset] ^= 1;
    assert_false(traps(take, m));
    machine_assert_sound(m);
}

/* --- frames --- */

static void what_comes_free_is_filled(void **state)
{
    (void)state;
    struct machine *m = open_filled();
    uint64_t frame = free_one(m, 3);
    assert_int_equal(is_filled(m, frame), POISON_IS_BUILT);
    assert_int_equal(poison_is_marked(machine_row(m, frame)), POISON_IS_BUILT);
    zero_all(m);
    assert_false(poison_is_marked(machine_row(m, frame)));
    machine_close(m);
}

static void a_store_to_a_free_frame_is_found(void **state)
{
    static void (*const takes[])(void *context) = {take_one, zero_all, mark_bad};
    (void)state;
    struct machine *m = open_filled();
    zero_all(m); /* what its making left: the frame is alone on the list */
    uint64_t frame = free_one(m, 3);
    for (uint32_t i = 0; i < sizeof takes / sizeof *takes; i++) {
        expect_found(m, frame, 0, takes[i]);
        expect_found(m, frame, 2048, takes[i]);
        expect_found(m, frame, PAGE - 1, takes[i]);
    }
    machine_close(m);
}

/* Frames of a cache are taken when the node has few that are zeroed. */
static void in_a_cache_too(void **state)
{
    (void)state;
    struct machine *m = open_filled();
    struct call c = machine_call(m);
    struct frame_chain taken = chain_empty();
    uint64_t frame;
    while (get64(&machine_partition(m)->node.zeroed.count) > 8) {
        assert_true(frame_allocate_zeroed(&c, NTMM_USE_FREE, &frame));
        chain_add(&c, &taken, frame);
    }
    caches_begin(&c);
    frame = free_one(m, 3);
    assert_int_equal(get64(&machine_anchor(m)->caches[0].head), frame);
    assert_int_equal(poison_is_marked(machine_row(m, frame)), POISON_IS_BUILT);
    bytes_of(m, frame)[5] ^= 1;
    assert_int_equal(traps(take_from_cache, m), IS_CHECKED);
    bytes_of(m, frame)[5] ^= 1;
    assert_false(traps(take_from_cache, m));
    assert_true(caches_give_back(&c)); /* it stays filled on its way */
    chain_free(&c, &taken);
    expect_found(m, frame, 5, zero_all);
    machine_close(m);
}

static void in_a_large_page_too(void **state)
{
    (void)state;
    struct machine *m = open_filled();
    struct call c = machine_call(m);
    uint64_t base;
    struct frame_chain chain = chain_empty();
    assert_true(run_allocate(&c, NTMM_USE_FREE, &base));
    for (uint32_t i = 0; i < RUN_FRAMES; i++)
        chain_add(&c, &chain, base + i);
    chain_free(&c, &chain);
    expect_found(m, base + 77, 100, take_large);
    machine_close(m);
}

/* A store that a processor makes with a translation that was not withdrawn. */
static void a_store_through_a_stale_translation_is_found(void **state)
{
    (void)state;
    struct machine *m = open_filled();
    struct ntmm_platform *platform = &m->system->platform;
    void (*invalidate)(void *, const struct ntmm_shootdown *) = platform->invalidate;
    must_write(m, BASE + 3 * PAGE, 1);
    platform->invalidate = NULL;
    uint64_t frame = free_one(m, 3);
    platform->invalidate = invalidate;
    assert_int_equal(is_filled(m, frame), POISON_IS_BUILT);
    assert_int_equal(try_write(m, BASE + 3 * PAGE, 2), NTMM_STATUS_SUCCESS);
    if (POISON_IS_BUILT)
        machine_assert_broken(m, "P16", frame);
    assert_int_equal(traps(zero_all, m), IS_CHECKED);
    memset(bytes_of(m, frame), POISON_BYTE, PAGE);
    machine_close(m);
}

/* Lent frames are in no range: what is unmapped keeps what its owner put there. */
static void frames_of_others_are_not_filled(void **state)
{
    static uint64_t words[KIB64 / 8] __attribute__((aligned(4096)));
    (void)state;
    struct machine *m = open_filled();
    uint64_t frame = 0, base = BASE + MIB, size = KIB64;
    words[700] = 0x1234;
    assert_int_equal(ntmm_emulated_lend(m->emu, words, sizeof words, &frame), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_map_borrowed(m->system, m->process, &base, &size, RW, frame),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_unmap_borrowed(m->system, m->process, base), NTMM_STATUS_SUCCESS);
    assert_int_equal(words[700], 0x1234);
    assert_int_equal(words[0], 0);
    machine_close(m);
}

/* --- objects --- */

struct object {
    struct machine *machine;
    uint64_t ref;
};

static void give(void *context)
{
    const struct object *o = context;
    struct call c = machine_call(o->machine);
    slab_release(&c, o->ref);
}

static void a_store_behind_an_object_is_found(void **state)
{
    (void)state;
    struct machine *m = machine_open_bare(NULL);
    struct call c = machine_call(m);
    struct object o = {m, slab_allocate(&c, SLAB_SECURE, 1)};
    assert_true(o.ref != 0);
    uint8_t *bytes = core_at(c.bias, o.ref);
    for (uint32_t i = 0; i < 64; i++)
        assert_int_equal(bytes[i], i < SECURE_BODY || !POISON_IS_BUILT ? 0 : POISON_BYTE);
    assert_false(traps(give, &o));
    memset(bytes, 0xFF, SECURE_BODY);
    assert_false(traps(give, &o));
    for (uint32_t i = SECURE_BODY; i < 64; i++) {
        bytes[i] ^= 1;
        assert_int_equal(traps(give, &o), IS_CHECKED);
        if (POISON_IS_BUILT)
            machine_assert_broken(m, "S6", o.ref);
        bytes[i] ^= 1;
    }
    give(&o);
    for (uint32_t i = 8; i < 64; i++)
        assert_int_equal(bytes[i], 0);
    machine_close(m);
}

/* --- builds --- */

/* Who does not guard says so when it attaches; whose arena is not guarded never begins to. */
static void only_guarded_arenas_are_checked(void **state)
{
    (void)state;
    struct machine *m = open_filled();
    assert_int_equal(get32(&machine_anchor(m)->is_guarded), POISON_IS_BUILT);
    zero_all(m);
    set32(&machine_anchor(m)->is_guarded, 0);
    uint64_t frame = free_one(m, 3);
    assert_false(is_filled(m, frame));
    bytes_of(m, frame)[9] ^= 1;
    machine_assert_sound(m);
    assert_false(traps(zero_all, m));
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_free_is_filled),
        cmocka_unit_test(a_store_to_a_free_frame_is_found),
        cmocka_unit_test(in_a_cache_too),
        cmocka_unit_test(in_a_large_page_too),
        cmocka_unit_test(a_store_through_a_stale_translation_is_found),
        cmocka_unit_test(frames_of_others_are_not_filled),
        cmocka_unit_test(a_store_behind_an_object_is_found),
        cmocka_unit_test(only_guarded_arenas_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
