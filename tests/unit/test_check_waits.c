/*
 * The checker finds a broken list of waits (I2), survives any flipped bit, and refuses small
 * scratch.
 */
#include "unit/corruption.h"

#include "base/prng.h"

static void waits_are_counted_and_linked(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    struct call c = machine_call(m);
    struct ntmm_wait a = {0}, b = {0};
    waiters_add(&c, &m->system->for_frame, &a);
    waiters_add(&c, &m->system->for_frame, &b);
    machine_assert_sound(m);

    set32(&m->system->for_frame.count, 3);
    machine_assert_broken(m, "I2", 0);
    set32(&m->system->for_frame.count, 2);
    b.is_queued = 0;
    machine_assert_broken(m, "I2", 0);
    b.is_queued = 1;
    b.prev = &b;
    machine_assert_broken(m, "I2", 0);
    b.prev = &a;
    machine_assert_sound(m);

    waiters_cancel(&c, &m->system->for_frame, &a);
    waiters_cancel(&c, &m->system->for_frame, &a);
    machine_assert_sound(m);
    assert_int_equal(get32(&m->system->for_frame.count), 1);
    waiters_cancel(&c, &m->system->for_frame, &b);
    assert_null(m->system->for_frame.first);
    set32(&m->system->waiters_lock, 1);
    machine_assert_broken(m, "L1", LOCK_WAITERS);
    set32(&m->system->waiters_lock, 0);
    machine_close(m);
}

/* The queues that no scene has waits in: `object` is 3, and 3 + 1 + block of a block. */
static void empty_queues_are_counted(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    set32(&m->system->for_file_lock.count, 1);
    machine_assert_broken(m, "I2", 3);
    set32(&m->system->for_file_lock.count, 0);
    set32(&m->system->transfers.writes[1].waits.count, 1);
    machine_assert_broken(m, "I2", 4 + READ_BLOCKS + 1);
    set32(&m->system->transfers.writes[1].waits.count, 0);
    machine_assert_sound(m);
    machine_close(m);
}

static void small_scratch_is_refused(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    size_t size = ntmm_check_scratch_size(m->system);
    struct ntmm_check_report report = {.object = 77};
    assert_int_equal(ntmm_check(m->system, m->scratch, size - 1, &report),
                     NTMM_STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(report.object, 77);
    machine_close(m);
}

/* Frames that the checker reads as structures, but for the anchor: its layout of RAM is trusted. */
static uint64_t pick_structure(struct machine *m, struct prng *prng)
{
    uint64_t total = get64(&machine_partition(m)->total_pages);
    for (;;) {
        uint64_t frame = prng_between(prng, 1, total - 1);
        const struct pfn *row = machine_row(m, frame);
        enum ntmm_frame_use use = pfn_use(row);
        if (use != NTMM_USE_FREE && use != NTMM_USE_PRIVATE)
            return frame;
    }
}

static void make_busy(struct machine *m)
{
    must_allocate(m, BASE, 64 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, 8 * PAGE);
    must_protect(m, BASE + 2 * PAGE, 2 * PAGE, NTMM_PAGE_NOACCESS);
    must_reserve(m, BASE + 16 * MIB, 4 * MIB, NTMM_PAGE_READWRITE);
    must_commit(m, BASE + 17 * MIB, 2 * MIB, NTMM_PAGE_READWRITE);
    for (uint64_t i = 0; i < 40; i++)
        must_reserve(m, BASE + 64 * MIB + i * MIB, KIB64, NTMM_PAGE_READWRITE);
}

static void any_flipped_bit_is_survived(void **state)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = MIB / 2},
                                        .core = {.extra_commit_pages = 4096}};
    const unsigned flips = 5000;
    unsigned found = 0;
    struct prng prng;
    (void)state;
    struct machine *m = machine_open(&setup);
    make_busy(m);
    prng_seed(&prng, 1);
    uint8_t *ram = ntmm_emulated_arena(m->emu, NULL);
    for (unsigned i = 0; i < flips; i++) {
        uint8_t *byte = ram + pick_structure(m, &prng) * PAGE + prng_below(&prng, PAGE);
        uint8_t bit = (uint8_t)(1u << prng_below(&prng, 8));
        *byte ^= bit;
        found += machine_check(m) == NTMM_STATUS_INTERNAL_ERROR;
        *byte ^= bit;
    }
    machine_assert_sound(m);
    print_message("%u of %u flipped bits are found; the others stand in words without a meaning\n",
                  found, flips);
    assert_true(found > flips / 2);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_are_counted_and_linked),
        cmocka_unit_test(empty_queues_are_counted),
        cmocka_unit_test(small_scratch_is_refused),
        cmocka_unit_test(any_flipped_bit_is_survived),
    };
    return cmocka_run_group_tests_name("check_waits", tests, NULL, NULL);
}
