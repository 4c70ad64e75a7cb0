/*
 * Coroutines of the emulated platform: determinism by seed, waiting and waking, deadlocks, virtual
 * time, levels, and waits of real threads.
 */
#define _GNU_SOURCE 1

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <ntmm/emulated.h>
#include <ntmm/status.h>

#define TRACE_MAX 4096u

struct world {
    struct ntmm_emulated *emu;
    const struct ntmm_platform *platform;
    uint32_t length;
    uint8_t trace[TRACE_MAX];
};

static void make_world(struct world *w, uint64_t seed, uint32_t flags, uint64_t step_limit)
{
    struct ntmm_emulated_config config = {
        .size = sizeof config,
        .version = NTMM_EMULATED_CONFIG_VERSION,
        .ram_bytes = 16 * 4096,
        .flags = flags,
        .seed = seed,
        .step_limit = step_limit,
    };
    memset(w, 0, sizeof *w);
    assert_int_equal(ntmm_emulated_create(&config, &w->emu), NTMM_STATUS_SUCCESS);
    w->platform = ntmm_emulated_platform(w->emu);
}

static void note(struct world *w, uint8_t what)
{
    assert_true(w->length < TRACE_MAX);
    w->trace[w->length++] = what;
}

struct actor {
    struct world *w;
    uint8_t id;
    uint32_t rounds;
};

static void walk_rounds(void *context)
{
    struct actor *a = context;
    for (uint32_t i = 0; i < a->rounds; i++) {
        note(a->w, a->id);
        a->w->platform->relax(a->w->emu);
    }
}

/* The order in which five coroutines of twenty rounds take turns. */
static void trace_of_seed(uint64_t seed, struct world *w, struct ntmm_emulated_statistics *s)
{
    struct actor actors[5];
    make_world(w, seed, 0, 0);
    for (uint8_t i = 0; i < 5; i++) {
        actors[i] = (struct actor){w, i, 20};
        assert_int_equal(ntmm_emulated_spawn(w->emu, i, walk_rounds, &actors[i], 0), 0);
    }
    assert_int_equal(ntmm_emulated_run(w->emu), NTMM_STATUS_SUCCESS);
    ntmm_emulated_query(w->emu, s);
    ntmm_emulated_destroy(w->emu, NULL);
}

static void same_seed_same_interleaving(void **state)
{
    (void)state;
    static struct world first, again, other;
    struct ntmm_emulated_statistics s1, s2, s3;
    trace_of_seed(7, &first, &s1);
    trace_of_seed(7, &again, &s2);
    trace_of_seed(8, &other, &s3);
    assert_int_equal(first.length, 100);
    assert_memory_equal(first.trace, again.trace, 100);
    assert_memory_not_equal(first.trace, other.trace, 100);
    assert_true(s1.schedule_hash == s2.schedule_hash && s1.schedule_hash != s3.schedule_hash);
    assert_true(s1.switches == s2.switches && s1.now_100ns == s2.now_100ns);
    assert_int_equal(s1.switches, 105); /* twenty turns each, and one more to return */
}

static void every_coroutine_gets_its_turns(void **state)
{
    (void)state;
    static struct world w;
    struct ntmm_emulated_statistics s;
    uint32_t turns[5] = {0};
    trace_of_seed(3, &w, &s);
    for (uint32_t i = 0; i < w.length; i++)
        turns[w.trace[i]]++;
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(turns[i], 20);
}

struct waiter {
    struct world *w;
    struct ntmm_wait wait;
    uint64_t deadline;
    ntmm_status status;
    uint64_t ended_at;
    struct waiter *wakes; /* woken afterwards, or NULL */
};

static void wake(struct world *w, struct ntmm_wait *wait)
{
    __atomic_store_n(&wait->is_woken, 1, __ATOMIC_RELEASE);
    w->platform->wake(w->emu, wait);
}

static void wait_once(void *context)
{
    struct waiter *a = context;
    a->status = a->w->platform->wait(a->w->emu, &a->wait, a->deadline);
    a->ended_at = a->w->platform->now(a->w->emu);
    if (a->wakes != NULL)
        wake(a->w, &a->wakes->wait);
}

static void wake_once(void *context)
{
    struct waiter *a = context;
    for (int i = 0; i < 5; i++)
        a->w->platform->relax(a->w->emu);
    wake(a->w, &a->wait);
}

static void a_woken_wait_succeeds(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        static struct world w;
        make_world(&w, seed, 0, 0);
        struct waiter a = {.w = &w, .deadline = UINT64_MAX, .status = 1};
        assert_int_equal(ntmm_emulated_spawn(w.emu, 0, wait_once, &a, 0), 0);
        assert_int_equal(ntmm_emulated_spawn(w.emu, 0, wake_once, &a, 0), 0);
        assert_int_equal(ntmm_emulated_run(w.emu), NTMM_STATUS_SUCCESS);
        assert_int_equal(a.status, NTMM_STATUS_SUCCESS);
        ntmm_emulated_destroy(w.emu, NULL);
    }
}

static void a_deadlock_is_reported_and_broken(void **state)
{
    (void)state;
    static struct world w;
    struct ntmm_emulated_statistics s;
    make_world(&w, 1, 0, 0);
    struct waiter endless = {.w = &w, .deadline = UINT64_MAX};
    struct waiter timed = {.w = &w, .deadline = 500000};
    assert_int_equal(ntmm_emulated_spawn(w.emu, 0, wait_once, &endless, 0), 0);
    assert_int_equal(ntmm_emulated_spawn(w.emu, 0, wait_once, &timed, 0), 0);
    assert_int_equal(ntmm_emulated_run(w.emu), NTMM_STATUS_TIMEOUT);
    assert_int_equal(endless.status, NTMM_STATUS_TIMEOUT);
    assert_int_equal(timed.status, NTMM_STATUS_TIMEOUT);
    assert_true(timed.ended_at >= 500000);
    assert_true(timed.ended_at < endless.ended_at);
    ntmm_emulated_query(w.emu, &s);
    assert_int_equal(s.broken_waits, 2);
    ntmm_emulated_destroy(w.emu, NULL);
}

static void only_the_earliest_wait_is_broken(void **state)
{
    (void)state;
    static struct world w;
    struct ntmm_emulated_statistics s;
    make_world(&w, 1, 0, 0);
    struct waiter late = {.w = &w, .deadline = 900000};
    struct waiter early = {.w = &w, .deadline = 400000, .wakes = &late};
    assert_int_equal(ntmm_emulated_spawn(w.emu, 0, wait_once, &late, 0), 0);
    assert_int_equal(ntmm_emulated_spawn(w.emu, 0, wait_once, &early, 0), 0);
    assert_int_equal(ntmm_emulated_run(w.emu), NTMM_STATUS_TIMEOUT);
    assert_int_equal(early.status, NTMM_STATUS_TIMEOUT);
    assert_int_equal(late.status, NTMM_STATUS_SUCCESS);
    assert_true(late.ended_at < 900000);
    ntmm_emulated_query(w.emu, &s);
    assert_int_equal(s.broken_waits, 1);
    ntmm_emulated_destroy(w.emu, NULL);
}

static void a_deadline_passes_while_others_run(void **state)
{
    (void)state;
    static struct world w;
    make_world(&w, 1, 0, 0);
    struct waiter a = {.w = &w, .deadline = 200};
    struct actor busy = {&w, 1, 1000};
    assert_int_equal(ntmm_emulated_spawn(w.emu, 0, wait_once, &a, 0), 0);
    assert_int_equal(ntmm_emulated_spawn(w.emu, 0, walk_rounds, &busy, 0), 0);
    assert_int_equal(ntmm_emulated_run(w.emu), NTMM_STATUS_SUCCESS);
    assert_int_equal(a.status, NTMM_STATUS_TIMEOUT);
    assert_true(a.ended_at >= 200);
    ntmm_emulated_destroy(w.emu, NULL);
}

static void a_lone_wait_does_not_hang(void **state)
{
    (void)state;
    static struct world w;
    struct ntmm_wait wait = {0};
    make_world(&w, 1, 0, 0);
    assert_int_equal(w.platform->wait(w.emu, &wait, UINT64_MAX), NTMM_STATUS_TIMEOUT);
    assert_int_equal(w.platform->wait(w.emu, &wait, 12345678), NTMM_STATUS_TIMEOUT);
    assert_true(w.platform->now(w.emu) >= 12345678);
    wait.is_woken = 1;
    assert_int_equal(w.platform->wait(w.emu, &wait, 1), NTMM_STATUS_SUCCESS);
    ntmm_emulated_destroy(w.emu, NULL);
}

static void note_processor(void *context)
{
    struct world *w = context;
    for (int i = 0; i < 3; i++) {
        note(w, (uint8_t)w->platform->processor(w->emu));
        w->platform->relax(w->emu);
    }
}

static void a_coroutine_has_its_processor(void **state)
{
    (void)state;
    static struct world w;
    make_world(&w, 5, 0, 0);
    assert_int_equal(w.platform->processor(w.emu), 0);
    assert_int_equal(ntmm_emulated_spawn(w.emu, 3, note_processor, &w, 0), 0);
    assert_int_equal(ntmm_emulated_spawn(w.emu, 9, note_processor, &w, 0), 0);
    assert_int_equal(ntmm_emulated_spawn(w.emu, 4096, note_processor, &w, 0),
                     NTMM_STATUS_INVALID_PARAMETER_2);
    assert_int_equal(ntmm_emulated_run(w.emu), NTMM_STATUS_SUCCESS);
    uint32_t sum = 0;
    for (uint32_t i = 0; i < w.length; i++) {
        assert_true(w.trace[i] == 3 || w.trace[i] == 9);
        sum += w.trace[i];
    }
    assert_int_equal(sum, 36);
    assert_int_equal(w.platform->processor(w.emu), 0);
    ntmm_emulated_destroy(w.emu, NULL);
}

static void spin_forever(void *context)
{
    struct world *w = context;
    while (w->length == 0)
        w->platform->relax(w->emu);
}

static void the_step_limit_stops_a_livelock(void **state)
{
    (void)state;
    static struct world w;
    struct ntmm_emulated_statistics s;
    make_world(&w, 5, 0, 50);
    assert_int_equal(ntmm_emulated_spawn(w.emu, 0, spin_forever, &w, 0), 0);
    assert_int_equal(ntmm_emulated_spawn(w.emu, 0, spin_forever, &w, 0), 0);
    assert_int_equal(ntmm_emulated_run(w.emu), NTMM_STATUS_CANT_WAIT);
    ntmm_emulated_query(w.emu, &s);
    assert_int_equal(s.switches, 50);
    note(&w, 1);
    assert_int_equal(ntmm_emulated_run(w.emu), NTMM_STATUS_SUCCESS);
    ntmm_emulated_destroy(w.emu, NULL);
}

static void unfinished_coroutines_are_destroyed(void **state)
{
    (void)state;
    static struct world w;
    make_world(&w, 5, 0, 20);
    assert_int_equal(ntmm_emulated_spawn(w.emu, 0, spin_forever, &w, 0), 0);
    assert_int_equal(ntmm_emulated_run(w.emu), NTMM_STATUS_CANT_WAIT);
    assert_int_equal(ntmm_emulated_spawn(w.emu, 0, spin_forever, &w, 0), 0);
    ntmm_emulated_destroy(w.emu, NULL);
}

static void spawn_more(void *context)
{
    struct actor *child = context;
    struct world *w = child->w;
    assert_int_equal(ntmm_emulated_run(w->emu), NTMM_STATUS_INVALID_PARAMETER_1);
    assert_int_equal(ntmm_emulated_spawn(w->emu, 0, walk_rounds, child, 0), 0);
    while (w->length < 3)
        ntmm_emulated_yield(w->emu);
}

static void a_coroutine_may_spawn(void **state)
{
    (void)state;
    static struct world w;
    make_world(&w, 2, 0, 0);
    struct actor child = {&w, 42, 3};
    assert_int_equal(ntmm_emulated_spawn(w.emu, 0, spawn_more, &child, 0), 0);
    assert_int_equal(ntmm_emulated_run(w.emu), NTMM_STATUS_SUCCESS);
    assert_int_equal(w.length, 3);
    ntmm_emulated_destroy(w.emu, NULL);
}

static uint32_t use_stack(uint32_t depth)
{
    volatile uint8_t frame[1024];
    memset((void *)(uintptr_t)frame, (int)(depth & 0xff), sizeof frame);
    return depth == 0 ? frame[0] : use_stack(depth - 1) + (frame[1023] == (depth & 0xff));
}

static void dive(void *context)
{
    struct world *w = context;
    w->length = use_stack(500);
}

static void a_large_stack_is_all_usable(void **state)
{
    (void)state;
    static struct world w;
    make_world(&w, 2, 0, 0);
    assert_int_equal(ntmm_emulated_spawn(w.emu, 0, dive, &w, 4u << 20), 0);
    assert_int_equal(ntmm_emulated_run(w.emu), NTMM_STATUS_SUCCESS);
    assert_int_equal(w.length, 500);
    ntmm_emulated_destroy(w.emu, NULL);
}

static void wait_at_raised_level(void *context)
{
    struct world *w = context;
    struct ntmm_wait wait = {.is_woken = 1};
    uint32_t outer = w->platform->raise_level(w->emu);
    assert_int_equal(outer, 0);
    w->platform->relax(w->emu); /* a spin may yield at raised level */
    assert_int_equal(w->platform->wait(w->emu, &wait, UINT64_MAX), NTMM_STATUS_SUCCESS);
    w->platform->lower_level(w->emu, outer);
    assert_int_equal(w->platform->wait(w->emu, &wait, UINT64_MAX), NTMM_STATUS_SUCCESS);
}

static void blocking_at_raised_level_is_counted(void **state)
{
    (void)state;
    static struct world w;
    struct ntmm_emulated_statistics s;
    make_world(&w, 2, NTMM_EMULATED_CHECK_LEVEL, 0);
    assert_int_equal(ntmm_emulated_spawn(w.emu, 0, wait_at_raised_level, &w, 0), 0);
    assert_int_equal(ntmm_emulated_spawn(w.emu, 0, wait_at_raised_level, &w, 0), 0);
    assert_int_equal(ntmm_emulated_run(w.emu), NTMM_STATUS_SUCCESS);
    ntmm_emulated_query(w.emu, &s);
    assert_int_equal(s.violations, 2);
    ntmm_emulated_destroy(w.emu, NULL);
    make_world(&w, 2, 0, 0);
    assert_null(w.platform->raise_level);
    ntmm_emulated_destroy(w.emu, NULL);
}

static void zero_and_unlock(void *context)
{
    struct actor *a = context;
    const struct ntmm_platform *p = a->w->platform;
    const uint64_t frame = a->id;
    for (uint32_t i = 0; i < a->rounds; i++) {
        uint32_t outer = p->raise_level != NULL ? p->raise_level(a->w->emu) : 0;
        note(a->w, a->id);
        assert_int_equal(p->zero(a->w->emu, &frame, 1), NTMM_STATUS_SUCCESS);
        if (p->lower_level != NULL)
            p->lower_level(a->w->emu, outer);
    }
}

static uint64_t switches_of_two(uint32_t flags)
{
    static struct world w;
    struct ntmm_emulated_statistics s;
    make_world(&w, 6, flags, 0);
    struct actor actors[2] = {{&w, 1, 10}, {&w, 2, 10}};
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(ntmm_emulated_spawn(w.emu, i, zero_and_unlock, &actors[i], 0), 0);
    assert_int_equal(ntmm_emulated_run(w.emu), NTMM_STATUS_SUCCESS);
    ntmm_emulated_query(w.emu, &s);
    ntmm_emulated_destroy(w.emu, NULL);
    return s.switches;
}

static void preemption_adds_scheduling_points(void **state)
{
    (void)state;
    assert_int_equal(switches_of_two(0), 2);
    assert_int_equal(switches_of_two(NTMM_EMULATED_PREEMPT), 42); /* 2 * (10 * 2 + 1) */
}

/* A transfer whose completion may be interrupted three times. */
struct transfer_scene {
    struct world *w;
    struct ntmm_io io;
    uint32_t has_begun;
    uint32_t has_ended;
};

static void complete_slowly(struct ntmm_io *io)
{
    struct transfer_scene *a = io->context;
    const uint64_t frame = 1;
    a->has_begun++;
    for (int i = 0; i < 3; i++)
        assert_int_equal(a->w->platform->zero(a->w->emu, &frame, 1), NTMM_STATUS_SUCCESS);
    a->has_ended++;
}

/* Goes as soon as the completion runs. */
static void submit_and_leave(void *context)
{
    struct transfer_scene *a = context;
    assert_int_equal(a->w->platform->submit(a->w->emu, &a->io), NTMM_STATUS_SUCCESS);
    while (a->has_begun == 0)
        ntmm_emulated_yield(a->w->emu);
}

static void a_run_ends_behind_completions(void **state)
{
    (void)state;
    static struct world w;
    struct ntmm_emulated_disk_config disk = {
        .size = sizeof disk, .version = NTMM_EMULATED_DISK_VERSION, .size_bytes = 4096};
    for (uint64_t seed = 0; seed < 20; seed++) {
        make_world(&w, seed, NTMM_EMULATED_PREEMPT, 0);
        struct transfer_scene a = {.w = &w,
                                   .io = {.operation = NTMM_IO_FLUSH, .complete = complete_slowly}};
        a.io.context = &a;
        assert_int_equal(ntmm_emulated_add_disk(w.emu, &disk, &a.io.device), NTMM_STATUS_SUCCESS);
        assert_int_equal(ntmm_emulated_spawn(w.emu, 0, submit_and_leave, &a, 0), 0);
        assert_int_equal(ntmm_emulated_run(w.emu), NTMM_STATUS_SUCCESS);
        assert_int_equal(a.has_begun, 1);
        assert_int_equal(a.has_ended, 1);
        ntmm_emulated_destroy(w.emu, NULL);
    }
}

static void leave_in_flight(void *context)
{
    struct transfer_scene *a = context;
    assert_int_equal(a->w->platform->submit(a->w->emu, &a->io), NTMM_STATUS_SUCCESS);
}

/* What no pump has completed yet is not waited for. */
static void a_run_leaves_transfers_in_flight(void **state)
{
    (void)state;
    static struct world w;
    struct ntmm_emulated_disk_config disk = {.size = sizeof disk,
                                             .version = NTMM_EMULATED_DISK_VERSION,
                                             .size_bytes = 4096,
                                             .minimum_latency_pumps = 100,
                                             .maximum_latency_pumps = 100};
    make_world(&w, 1, NTMM_EMULATED_PREEMPT, 0);
    struct transfer_scene a = {.w = &w,
                               .io = {.operation = NTMM_IO_FLUSH, .complete = complete_slowly}};
    a.io.context = &a;
    assert_int_equal(ntmm_emulated_add_disk(w.emu, &disk, &a.io.device), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_spawn(w.emu, 0, leave_in_flight, &a, 0), 0);
    assert_int_equal(ntmm_emulated_run(w.emu), NTMM_STATUS_SUCCESS);
    assert_int_equal(a.has_begun, 0);
    for (int pump = 0; pump < 100; pump++)
        w.platform->pump(w.emu);
    assert_int_equal(a.has_ended, 1);
    ntmm_emulated_destroy(w.emu, NULL);
}

static void *wake_from_thread(void *context)
{
    struct waiter *a = context;
    for (int i = 0; i < 1000; i++)
        a->w->platform->relax(a->w->emu);
    wake(a->w, &a->wait);
    return NULL;
}

static void a_thread_wakes_a_thread(void **state)
{
    (void)state;
    static struct world w;
    make_world(&w, 1, NTMM_EMULATED_THREADS, 0);
    for (int i = 0; i < 50; i++) {
        struct waiter a = {.w = &w, .deadline = UINT64_MAX};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, wake_from_thread, &a), 0);
        wait_once(&a);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(a.status, NTMM_STATUS_SUCCESS);
    }
    ntmm_emulated_destroy(w.emu, NULL);
}

static void a_thread_wakes_a_coroutine(void **state)
{
    (void)state;
    static struct world w;
    make_world(&w, 1, NTMM_EMULATED_THREADS, 0);
    struct waiter a = {.w = &w, .deadline = UINT64_MAX};
    pthread_t thread;
    assert_int_equal(ntmm_emulated_spawn(w.emu, 0, wait_once, &a, 0), 0);
    assert_int_equal(pthread_create(&thread, NULL, wake_from_thread, &a), 0);
    assert_int_equal(ntmm_emulated_run(w.emu), NTMM_STATUS_SUCCESS);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(a.status, NTMM_STATUS_SUCCESS);
    ntmm_emulated_destroy(w.emu, NULL);
}

static void a_thread_waits_until_its_deadline(void **state)
{
    (void)state;
    static struct world w;
    struct ntmm_wait wait = {0};
    make_world(&w, 1, NTMM_EMULATED_THREADS, 0);
    uint64_t begin = w.platform->now(w.emu);
    uint64_t deadline = begin + 100000; /* 10 ms */
    assert_int_equal(w.platform->wait(w.emu, &wait, deadline), NTMM_STATUS_TIMEOUT);
    assert_true(w.platform->now(w.emu) >= deadline);
    assert_int_equal(w.platform->wait(w.emu, &wait, begin), NTMM_STATUS_TIMEOUT);
    ntmm_emulated_destroy(w.emu, NULL);
}

static uint64_t monotonic_100ns(void)
{
    struct timespec t;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &t), 0);
    return (uint64_t)t.tv_sec * 10000000u + (uint64_t)t.tv_nsec / 100u;
}

static void the_hosts_clock_is_its_own(void **state)
{
    (void)state;
    static struct world w;
    make_world(&w, 1, NTMM_EMULATED_HOST_CLOCK, 0);
    uint64_t before = monotonic_100ns();
    uint64_t now = w.platform->now(w.emu);
    assert_in_range(now, before, monotonic_100ns());
    ntmm_emulated_destroy(w.emu, NULL);
}

static void *bind_and_ask(void *context)
{
    struct world *w = context;
    assert_int_equal(w->platform->processor(w->emu), 0);
    ntmm_emulated_bind_thread(w->emu, 17);
    return (void *)(uintptr_t)w->platform->processor(w->emu);
}

static void a_thread_has_the_processor_it_was_bound_to(void **state)
{
    (void)state;
    static struct world w;
    pthread_t thread;
    void *processor;
    make_world(&w, 1, NTMM_EMULATED_THREADS, 0);
    assert_int_equal(pthread_create(&thread, NULL, bind_and_ask, &w), 0);
    assert_int_equal(pthread_join(thread, &processor), 0);
    assert_int_equal((uintptr_t)processor, 17);
    assert_int_equal(w.platform->processor(w.emu), 0);
    ntmm_emulated_destroy(w.emu, NULL);
}

static void entropy_comes_from_the_seed(void **state)
{
    (void)state;
    static struct world w;
    uint8_t first[21], again[21], other[21];
    memset(first, 0, sizeof first);
    make_world(&w, 11, 0, 0);
    w.platform->entropy(w.emu, first, sizeof first);
    ntmm_emulated_destroy(w.emu, NULL);
    make_world(&w, 11, 0, 0);
    w.platform->entropy(w.emu, again, sizeof again);
    w.platform->entropy(w.emu, other, sizeof other);
    ntmm_emulated_destroy(w.emu, NULL);
    assert_memory_equal(first, again, sizeof first);
    assert_memory_not_equal(again, other, sizeof other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_seed_same_interleaving),
        cmocka_unit_test(every_coroutine_gets_its_turns),
        cmocka_unit_test(a_woken_wait_succeeds),
        cmocka_unit_test(a_deadlock_is_reported_and_broken),
        cmocka_unit_test(only_the_earliest_wait_is_broken),
        cmocka_unit_test(a_deadline_passes_while_others_run),
        cmocka_unit_test(a_lone_wait_does_not_hang),
        cmocka_unit_test(a_coroutine_has_its_processor),
        cmocka_unit_test(the_step_limit_stops_a_livelock),
        cmocka_unit_test(unfinished_coroutines_are_destroyed),
        cmocka_unit_test(a_coroutine_may_spawn),
        cmocka_unit_test(a_large_stack_is_all_usable),
        cmocka_unit_test(blocking_at_raised_level_is_counted),
        cmocka_unit_test(preemption_adds_scheduling_points),
        cmocka_unit_test(a_run_ends_behind_completions),
        cmocka_unit_test(a_run_leaves_transfers_in_flight),
        cmocka_unit_test(a_thread_wakes_a_thread),
        cmocka_unit_test(a_thread_wakes_a_coroutine),
        cmocka_unit_test(a_thread_waits_until_its_deadline),
        cmocka_unit_test(the_hosts_clock_is_its_own),
        cmocka_unit_test(a_thread_has_the_processor_it_was_bound_to),
        cmocka_unit_test(entropy_comes_from_the_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
