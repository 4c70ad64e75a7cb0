/*
 * The emulated shootdown (M5): what a posted invalidation covers, when it is acknowledged, and a
 * processor on a second thread that must never read through a translation after its end was
 * acknowledged.
 */
#include <pthread.h>
#include <sched.h>

#include "test_cpu_machine.h"

static const struct ntmm_invalidation everything = {.flags = NTMM_INVALIDATE_GLOBAL |
                                                             NTMM_INVALIDATE_ALL_PCIDS};

static bool is_cached(struct machine *m, uint64_t va)
{
    uint64_t walks = m->cpu.statistics.walks;
    read_ok(m, va);
    return m->cpu.statistics.walks == walks;
}

static void map_three(struct machine *m)
{
    for (uint64_t page = 0; page < 3; page++)
        map(m, VA + page * 4096, 1, (DATA + page * 4096) | P | W | (page == 2 ? G : 0));
}

static void read_three(struct machine *m)
{
    for (uint64_t page = 0; page < 3; page++)
        read_ok(m, VA + page * 4096);
}

static void outside_is_acknowledged_and_entering_drains(void **state)
{
    struct machine *m = *state;
    map_three(m);
    read_three(m);
    uint32_t ticket = ntmm_cpu_post_invalidation(&m->cpu, &everything);
    assert_true(ntmm_cpu_acknowledged(&m->cpu, ticket));
    ntmm_cpu_enter(&m->cpu);
    assert_true(ntmm_cpu_acknowledged(&m->cpu, ticket));
    for (uint64_t page = 0; page < 3; page++)
        assert_false(is_cached(m, VA + page * 4096));
    ntmm_cpu_leave(&m->cpu);
}

static void inside_is_acknowledged_by_poll_or_leave(void **state)
{
    struct machine *m = *state;
    map_three(m);
    ntmm_cpu_enter(&m->cpu);
    read_three(m);
    uint32_t first = ntmm_cpu_post_invalidation(&m->cpu, &everything);
    assert_false(ntmm_cpu_acknowledged(&m->cpu, first));
    assert_true(is_cached(m, VA)); /* not yet */
    ntmm_cpu_poll(&m->cpu);
    assert_true(ntmm_cpu_acknowledged(&m->cpu, first));
    assert_false(is_cached(m, VA));
    uint32_t second = ntmm_cpu_post_invalidation(&m->cpu, &everything);
    assert_true(ntmm_cpu_acknowledged(&m->cpu, first));
    assert_false(ntmm_cpu_acknowledged(&m->cpu, second));
    ntmm_cpu_leave(&m->cpu);
    assert_true(ntmm_cpu_acknowledged(&m->cpu, second));
    ntmm_cpu_enter(&m->cpu);
    assert_false(is_cached(m, VA));
}

/* Flags, PCID and ranges: which of two plain pages and a global one go. */
static void what_an_invalidation_covers(void **state)
{
    struct machine *m = *state;
    static const struct {
        struct ntmm_invalidation what;
        bool goes[3];
    } cases[] = {
        {{.pcid = 1}, {true, true, false}},
        {{.pcid = 2}, {false, false, false}},
        {{.flags = NTMM_INVALIDATE_ALL_PCIDS}, {true, true, false}},
        {{.flags = NTMM_INVALIDATE_GLOBAL, .pcid = 2}, {false, false, true}},
        {{.flags = NTMM_INVALIDATE_GLOBAL, .pcid = 1}, {true, true, true}},
        {{.pcid = 1, .range_count = 1, .ranges = {{VA, VA + 4096}}}, {true, false, false}},
        {{.pcid = 1, .range_count = 1, .ranges = {{VA + 4095, VA + 4097}}}, {true, true, false}},
        {{.pcid = 1, .range_count = 1, .ranges = {{VA + 4096, VA + 12288}}}, {false, true, false}},
        {{.flags = NTMM_INVALIDATE_GLOBAL,
          .pcid = 1,
          .range_count = 2,
          .ranges = {{VA, VA + 1}, {VA + 8192, VA + 12288}}},
         {true, false, true}},
        {{.pcid = 1, .range_count = 1, .ranges = {{VA + 4096, 0}}}, {false, true, false}},
        {{.pcid = 1, .range_count = 1, .ranges = {{0, VA + 1}}}, {true, false, false}},
        {{.pcid = 1, .range_count = 1, .ranges = {{VA + 12288, VA + 16384}}},
         {false, false, false}},
    };
    set_cr4(m, NTMM_CR4_PGE | NTMM_CR4_PCIDE);
    set_cr3(m, MEMORY_BASE | 1);
    map_three(m);
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        read_three(m);
        ntmm_cpu_post_invalidation(&m->cpu, &cases[i].what);
        ntmm_cpu_drain(&m->cpu);
        for (uint64_t page = 0; page < 3; page++)
            if (is_cached(m, VA + page * 4096) == cases[i].goes[page])
                fail_msg("case %u, page %u", i, (unsigned)page);
    }
}

static void range_meets_large_page(void **state)
{
    struct machine *m = *state;
    const uint64_t va = VA & ~0x1FFFFFull;
    const struct ntmm_invalidation what = {.range_count = 1, .ranges = {{va + 4096, va + 8192}}};
    map(m, va, 2, DATA | P | W | PS);
    read_ok(m, va);
    ntmm_cpu_post_invalidation(&m->cpu, &what);
    ntmm_cpu_drain(&m->cpu);
    assert_false(is_cached(m, va));
}

static void overflow_means_everything(void **state)
{
    struct machine *m = *state;
    const struct ntmm_invalidation elsewhere = {.range_count = 1, .ranges = {{0, 4096}}};
    map_three(m);
    read_three(m);
    for (unsigned i = 0; i < NTMM_CPU_MAILBOX_SLOTS; i++)
        ntmm_cpu_post_invalidation(&m->cpu, &elsewhere);
    ntmm_cpu_drain(&m->cpu);
    assert_true(is_cached(m, VA));
    uint32_t ticket = 0;
    for (unsigned i = 0; i < NTMM_CPU_MAILBOX_SLOTS + 5; i++)
        ticket = ntmm_cpu_post_invalidation(&m->cpu, &elsewhere);
    ntmm_cpu_enter(&m->cpu);
    assert_true(ntmm_cpu_acknowledged(&m->cpu, ticket));
    for (uint64_t page = 0; page < 3; page++)
        assert_false(is_cached(m, VA + page * 4096));
    ntmm_cpu_leave(&m->cpu);
}

static void tickets_wrap(void **state)
{
    struct machine *m = *state;
    m->cpu.posted = m->cpu.drained = UINT32_MAX - 1;
    ntmm_cpu_enter(&m->cpu);
    uint32_t before = ntmm_cpu_post_invalidation(&m->cpu, &everything);
    ntmm_cpu_poll(&m->cpu);
    uint32_t after = ntmm_cpu_post_invalidation(&m->cpu, &everything);
    assert_int_equal(before, UINT32_MAX);
    assert_int_equal(after, 0);
    assert_true(ntmm_cpu_acknowledged(&m->cpu, before));
    assert_false(ntmm_cpu_acknowledged(&m->cpu, after));
    ntmm_cpu_poll(&m->cpu);
    assert_true(ntmm_cpu_acknowledged(&m->cpu, after));
}

/*
 * The reader reads VA over and over, entering, leaving and polling at odd times. The poster moves
 * VA from one frame to another, has that acknowledged, then writes POISON into the old frame. A
 * reader that sees POISON used a translation after its end.
 */
#define MOVES 20000u
#define POISON 0xDEADu

struct reader {
    struct machine *m;
    uint32_t stop;
    uint32_t saw_poison;
};

static void *read_until_stopped(void *argument)
{
    struct reader *r = argument;
    uint64_t value = 0;
    for (uint32_t i = 0; !__atomic_load_n(&r->stop, __ATOMIC_RELAXED); i++) {
        ntmm_cpu_enter(&r->m->cpu);
        for (uint32_t k = 0; k < (i & 15); k++) {
            if (ntmm_cpu_read64(&r->m->cpu, VA, &value) != NTMM_CPU_OK || value == POISON)
                r->saw_poison++;
            if ((k & 7) == 7)
                ntmm_cpu_poll(&r->m->cpu);
        }
        ntmm_cpu_leave(&r->m->cpu);
    }
    return NULL;
}

static void m5_no_access_after_acknowledgement(void **state)
{
    struct machine *m = *state;
    struct reader reader = {m, 0, 0};
    const struct ntmm_invalidation page = {.range_count = 1, .ranges = {{VA, VA + 4096}}};
    pthread_t thread;
    le64 *pte = entry_of(m, VA, 1);
    le64 *frames[2] = {(le64 *)(void *)at(m, DATA), (le64 *)(void *)at(m, DATA + 4096)};
    set64(pte, DATA | P | W | A);
    assert_int_equal(pthread_create(&thread, NULL, read_until_stopped, &reader), 0);
    for (uint32_t i = 0; i < MOVES; i++) {
        unsigned to = ~i & 1;
        store64_relaxed(frames[to], 1);
        exchange64(pte, (DATA + 4096ull * to) | P | W | A);
        uint32_t ticket = ntmm_cpu_post_invalidation(&m->cpu, &page);
        while (!ntmm_cpu_acknowledged(&m->cpu, ticket))
            sched_yield();
        store64_relaxed(frames[1 - to], POISON);
    }
    __atomic_store_n(&reader.stop, 1, __ATOMIC_RELAXED);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(reader.saw_poison, 0);
}

#define machine_test(f) cmocka_unit_test_setup_teardown(f, machine_setup, machine_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        machine_test(outside_is_acknowledged_and_entering_drains),
        machine_test(inside_is_acknowledged_by_poll_or_leave),
        machine_test(what_an_invalidation_covers),
        machine_test(range_meets_large_page),
        machine_test(overflow_means_everything),
        machine_test(tickets_wrap),
        machine_test(m5_no_access_after_acknowledgement),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
