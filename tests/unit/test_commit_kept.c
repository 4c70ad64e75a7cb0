/*
 * Commit that processors keep apart (phys/commit.c): it is promised to nobody, charged first by who
 * keeps it, and taken back from everybody before a limit is passed. Expectations: C1 to C3 of
 * docs/INVARIANTS.md, the comment of commit.c.
 */
#include "unit/machine.h"

#include "phys/cache.h"

#include <ntmm/statistics.h>

#define KEPT_MAX COMMIT_KEPT_MAX

static uint32_t processor_number; /* of the platform of these tests */

static uint32_t processor(void *context)
{
    (void)context;
    return processor_number;
}

/* With a region that has its tables, whose pages are committed and decommitted. */
static struct machine *open_with_region(void)
{
    struct machine *m = machine_open(NULL);
    struct call c = machine_call(m);
    m->system->platform.processor = processor;
    processor_number = 0;
    must_allocate(m, BASE, 256 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, PAGE);
    must_decommit(m, BASE + PAGE, 255 * PAGE);
    caches_begin(&c);
    return m;
}

static void on(uint32_t number) { processor_number = number; }

static uint64_t kept_by(struct machine *m, uint32_t number)
{
    return get64(&machine_anchor(m)->caches[number].commit);
}

static uint64_t word(struct machine *m) { return get64(&machine_partition(m)->commit); }

static uint64_t charged(struct machine *m) { return machine_memory(m).commit_pages; }

/* The processor keeps so many pages, which nobody is promised. */
static void keep(struct machine *m, uint32_t number, uint64_t pages)
{
    on(number);
    must_commit(m, BASE + PAGE, pages * PAGE, NTMM_PAGE_READWRITE);
    must_decommit(m, BASE + PAGE, pages * PAGE);
    assert_int_equal(kept_by(m, number), pages);
    on(0);
}

/* All that is kept can be charged at once. */
static void charge_all_kept(struct machine *m, uint64_t before)
{
    uint64_t kept = kept_by(m, 0);
    must_commit(m, BASE + PAGE, kept * PAGE, NTMM_PAGE_READWRITE);
    assert_int_equal(kept_by(m, 0), 0);
    assert_int_equal(word(m), before + kept);
    must_decommit(m, BASE + PAGE, kept * PAGE);
    assert_int_equal(kept_by(m, 0), kept);
}

static void what_is_kept_is_not_charged(void **state)
{
    (void)state;
    struct machine *m = open_with_region();
    uint64_t before = charged(m);
    keep(m, 0, 8);
    assert_int_equal(charged(m), before);
    assert_int_equal(word(m), before + 8);
    machine_assert_sound(m);
    charge_all_kept(m, before);
    must_commit(m, BASE + 20 * PAGE, 5 * PAGE, NTMM_PAGE_READWRITE); /* of the eight */
    assert_int_equal(charged(m), before + 5);
    assert_int_equal(word(m), before + 8);
    assert_int_equal(kept_by(m, 0), 3);
    must_commit(m, BASE + 30 * PAGE, 4 * PAGE, NTMM_PAGE_READWRITE); /* more than are kept */
    assert_int_equal(charged(m), before + 9);
    assert_int_equal(word(m), before + 12);
    machine_assert_sound(m);
    machine_close(m);
}

static void little_is_kept(void **state)
{
    (void)state;
    struct machine *m = open_with_region();
    uint64_t before = charged(m);
    must_commit(m, BASE + PAGE, (KEPT_MAX + 1) * PAGE, NTMM_PAGE_READWRITE);
    must_decommit(m, BASE + PAGE, (KEPT_MAX + 1) * PAGE);
    assert_int_equal(kept_by(m, 0), 0);
    assert_int_equal(word(m), before);
    keep(m, 0, KEPT_MAX - 10);
    must_commit(m, BASE + PAGE, KEPT_MAX * PAGE, NTMM_PAGE_READWRITE); /* of the word */
    must_decommit(m, BASE + PAGE, 11 * PAGE);
    assert_int_equal(kept_by(m, 0), KEPT_MAX - 10);
    must_decommit(m, BASE + 12 * PAGE, 10 * PAGE);
    assert_int_equal(kept_by(m, 0), KEPT_MAX);
    machine_assert_sound(m);
    machine_close(m);
}

/* The limit is exact whoever keeps what: all of it can be had, and not a page more. */
static void the_limit_is_reached(void **state)
{
    (void)state;
    struct machine *m = open_with_region();
    keep(m, 1, 8);
    keep(m, 5, 9);
    machine_set_commit_limit(m, word(m));
    must_commit(m, BASE + PAGE, 17 * PAGE, NTMM_PAGE_READWRITE);
    assert_int_equal(charged(m), word(m));
    assert_int_equal(kept_by(m, 1) + kept_by(m, 5), 0);
    assert_int_equal(try_allocate(m, BASE + 30 * PAGE, PAGE, NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE),
                     NTMM_STATUS_COMMITMENT_LIMIT);
    machine_assert_sound(m);
    machine_close(m);
}

/* The reserve is not touched while somebody keeps some. */
static void a_fault_overdraws_last(void **state)
{
    (void)state;
    struct machine *m = open_with_region();
    must_allocate(m, BASE + 1024 * MIB, PAGE, NTMM_PAGE_READWRITE);
    must_allocate(m, BASE + 2048 * MIB, PAGE, NTMM_PAGE_READWRITE);
    keep(m, 3, 2);
    machine_set_commit_limit(m, word(m));
    must_write(m, BASE + 1024 * MIB, 1); /* two tables */
    assert_int_equal(machine_counter(m, NTMM_COUNTER_COMMIT_OVERDRAFTS), 0);
    assert_int_equal(kept_by(m, 3), 0);
    must_write(m, BASE + 2048 * MIB, 1);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_COMMIT_OVERDRAFTS), 2);
    machine_assert_sound(m);
    machine_close(m);
}

static void a_lower_limit_takes_it_back(void **state)
{
    (void)state;
    struct machine *m = open_with_region();
    struct call c = machine_call(m);
    keep(m, 2, 12);
    machine_set_commit_limit(m, word(m) + 3);
    assert_false(commit_lower_within(&c, 16));
    assert_true(commit_lower_within(&c, 15));
    assert_int_equal(get64(&machine_partition(m)->commit_limit), charged(m));
    commit_extend(&c, 15, 0);
    machine_close(m);
}

/* NTMM_*_COMMIT_CONDITION are of what is charged. */
static void conditions_are_of_what_is_charged(void **state)
{
    (void)state;
    struct machine *m = open_with_region();
    struct call c = machine_call(m);
    keep(m, 4, 40);
    uint64_t limit = charged(m) * 4 / 3 + 4; /* with what is kept it would be above 3/4 */
    machine_set_commit_limit(m, limit);
    assert_true(word(m) * 4 > limit * 3 && charged(m) * 4 <= limit * 3);
    assert_true(conditions_now(&c) & 1u << NTMM_LOW_COMMIT_CONDITION);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept_is_not_charged),
        cmocka_unit_test(little_is_kept),
        cmocka_unit_test(the_limit_is_reached),
        cmocka_unit_test(a_fault_overdraws_last),
        cmocka_unit_test(a_lower_limit_takes_it_back),
        cmocka_unit_test(conditions_are_of_what_is_charged),
    };
    return cmocka_run_group_tests_name("commit_kept", tests, NULL, NULL);
}
