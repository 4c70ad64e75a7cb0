/*
 * Coroutines under a seeded scheduler, and the waiting operations of the platform.
 *
 *            drawn              returns
 *   READY ----------> running ----------> FINISHED, freed
 *     ^                | | wait
 *     |  relax, yield, | v
 *     +-- pump, preempt+ WAITING --woken, or deadline passed--> may be drawn
 *
 * K1 exactly one stack runs: a coroutine's, or the runner's own, which draws the next one.
 * K2 the draw depends on the seed and the states alone, oldest coroutine first: one seed, one run.
 * K3 a coroutine never looks at a wait after it was woken and returned; wake never looks at one at
 *    all, since its owner may have gone on as soon as is_woken was set.
 * K4 when a run ends with all coroutines finished, the completer is between two pumps: no
 *    completion is half done, and no lock is held on a stack that nobody runs.
 *
 * Completions run on a coroutine of their own, so that they may spin on a lock that a coroutine
 * holds. With threads, a runner that finds nobody runnable sleeps until some wake; without, nobody
 * but a coroutine or a transfer could wake one, so the earliest wait is broken and time jumps to
 * its deadline.
 */
#define _GNU_SOURCE 1
#include "platform/emulated/context.h"
#include "platform/emulated/fiber.h"
#include "platform/emulated/host.h"
#include "platform/emulated/machine.h"

#include <stdlib.h>

#define DEFAULT_STACK_BYTES (256u << 10)
#define PROCESSOR_LIMIT 4096u
/* Of a level: a completion is being run. The rest counts how often it was raised. */
#define LEVEL_OF_COMPLETION 0x80000000u
/* With threads, how long to sleep while transfers are in flight, which only a pump completes. */
#define POLL_100NS 1000u
/* An hour: an endless deadline does not fit a timespec. */
#define LONGEST_SLEEP_100NS UINT64_C(36000000000)

enum coroutine_state {
    COROUTINE_READY,
    COROUTINE_WAITING,
    COROUTINE_FINISHED,
};

struct coroutine {
    struct coroutine *next;
    struct ntmm_emulated *emu;
    struct context context;
    struct fiber fiber;
    ntmm_emulated_function function;
    void *argument;
    struct ntmm_wait *wait; /* while WAITING */
    uint64_t deadline_100ns;
    enum coroutine_state state;
    uint32_t index;
    uint32_t processor;
    uint32_t level;     /* interrupt level */
    uint32_t is_broken; /* its wait ended because nothing could wake it */
};

static uintptr_t this_thread(void) { return (uintptr_t)pthread_self(); }

/* The coroutine that makes this call, or NULL. */
static struct coroutine *current_coroutine(struct ntmm_emulated *emu)
{
    uintptr_t runner = atomic_load_explicit(&emu->scheduler.runner, memory_order_relaxed);
    if (runner == 0 || (has_threads(emu) && runner != this_thread()))
        return NULL;
    return emu->scheduler.current;
}

static bool is_woken(const struct ntmm_wait *wait)
{
    return __atomic_load_n(&wait->is_woken, __ATOMIC_ACQUIRE) != 0;
}

static uint64_t host_clock_100ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 10000000u + (uint64_t)t.tv_nsec / 100u;
}

uint64_t scheduler_now(struct ntmm_emulated *emu)
{
    if (emu->config.flags & NTMM_EMULATED_HOST_CLOCK)
        return host_clock_100ns();
    return atomic_load_explicit(&emu->now_100ns, memory_order_relaxed);
}

static void advance_clock_to(struct ntmm_emulated *emu, uint64_t time_100ns)
{
    if (atomic_load(&emu->now_100ns) < time_100ns)
        atomic_store(&emu->now_100ns, time_100ns);
}

void scheduler_init(struct ntmm_emulated *emu, uint64_t seed)
{
    prng_seed(&emu->scheduler.prng, seed);
    emu->scheduler.last = &emu->scheduler.first;
}

/* --- switching --- */

static void switch_stack(struct coroutine *from, struct coroutine *to)
{
    bool ends = from->state == COROUTINE_FINISHED;
    fiber_asan_leave(&from->fiber, &to->fiber, ends);
    fiber_tsan_switch(&to->fiber);
    context_switch(&from->context, &to->context);
    fiber_asan_arrive(&from->fiber, &from->emu->scheduler.root->fiber);
}

/* From a coroutine back to the runner. */
static void switch_to_runner(struct coroutine *self)
{
    switch_stack(self, self->emu->scheduler.root);
}

static void begin_coroutine(void *argument)
{
    struct coroutine *self = argument;
    fiber_asan_arrive(&self->fiber, &self->emu->scheduler.root->fiber);
    self->function(self->argument);
    self->state = COROUTINE_FINISHED;
    switch_to_runner(self);
}

/* --- making and freeing --- */

static void free_coroutine(struct coroutine *c)
{
    fiber_tsan_destroy(&c->fiber);
    context_free(&c->context);
    free(c);
}

static struct coroutine *create_coroutine(struct ntmm_emulated *emu,
                                          ntmm_emulated_function function, void *argument,
                                          size_t stack_bytes)
{
    struct coroutine *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->emu = emu;
    c->function = function;
    c->argument = argument;
    if (!context_make(&c->context, stack_bytes, begin_coroutine, c, &c->fiber)) {
        free(c);
        return NULL;
    }
    c->index = emu->scheduler.next_index++;
    fiber_tsan_create(&c->fiber);
    return c;
}

static void append_coroutine(struct scheduler *s, struct coroutine *c)
{
    *s->last = c;
    s->last = &c->next;
}

static void remove_coroutine(struct scheduler *s, struct coroutine *c)
{
    struct coroutine **link = &s->first;
    while (*link != c)
        link = &(*link)->next;
    *link = c->next;
    if (s->last == &c->next)
        s->last = link;
}

void scheduler_destroy(struct ntmm_emulated *emu)
{
    struct scheduler *s = &emu->scheduler;
    while (s->first != NULL) {
        struct coroutine *c = s->first;
        s->first = c->next;
        free_coroutine(c);
    }
}

NTMM_API ntmm_status ntmm_emulated_spawn(struct ntmm_emulated *emu, uint32_t processor,
                                         ntmm_emulated_function function, void *context,
                                         size_t stack_bytes)
{
    if (processor >= PROCESSOR_LIMIT)
        return NTMM_STATUS_INVALID_PARAMETER_2;
    struct coroutine *c = create_coroutine(emu, function, context,
                                           stack_bytes != 0 ? stack_bytes : DEFAULT_STACK_BYTES);
    if (c == NULL)
        return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    c->processor = processor;
    append_coroutine(&emu->scheduler, c);
    emu->scheduler.unfinished++;
    return NTMM_STATUS_SUCCESS;
}

/* --- the runner --- */

static void complete_transfers(void *context)
{
    struct ntmm_emulated *emu = context;
    for (;;) {
        emu->scheduler.is_completing = 1;
        disk_pump(emu);
        emu->scheduler.is_completing = 0;
        switch_to_runner(emu->scheduler.current);
    }
}

static bool is_runnable(struct ntmm_emulated *emu, const struct coroutine *c, uint64_t now_100ns)
{
    if (c == emu->scheduler.completer)
        return emu->scheduler.is_completing != 0 ||
               atomic_load_explicit(&emu->in_flight, memory_order_relaxed) != 0;
    if (c->state == COROUTINE_READY)
        return true;
    return c->is_broken || is_woken(c->wait) || c->deadline_100ns <= now_100ns;
}

/* Draw one of the runnable coroutines; NULL: there is none. */
static struct coroutine *draw_coroutine(struct ntmm_emulated *emu)
{
    uint64_t now_100ns = scheduler_now(emu);
    struct coroutine *drawn = NULL;
    uint64_t count = 0;
    for (struct coroutine *c = emu->scheduler.first; c != NULL; c = c->next)
        count += is_runnable(emu, c, now_100ns);
    if (count == 0)
        return NULL;
    uint64_t skip = prng_below(&emu->scheduler.prng, count);
    for (struct coroutine *c = emu->scheduler.first; c != NULL && drawn == NULL; c = c->next) {
        if (is_runnable(emu, c, now_100ns) && skip-- == 0)
            drawn = c;
    }
    return drawn;
}

static void run_coroutine(struct ntmm_emulated *emu, struct coroutine *c)
{
    struct scheduler *s = &emu->scheduler;
    s->switches++;
    s->hash = (s->hash ^ (c->index + 1u)) * UINT64_C(0x100000001b3);
    atomic_fetch_add_explicit(&emu->now_100ns, SWITCH_100NS, memory_order_relaxed);
    s->current = c;
    switch_stack(s->root, c);
    s->current = NULL;
    if (c->state != COROUTINE_FINISHED)
        return;
    remove_coroutine(s, c);
    free_coroutine(c);
    s->unfinished--;
}

/* End the wait with the earliest deadline; the oldest coroutine of equals. */
static void break_wait(struct ntmm_emulated *emu)
{
    struct coroutine *earliest = NULL;
    for (struct coroutine *c = emu->scheduler.first; c != NULL; c = c->next) {
        if (c->state == COROUTINE_WAITING &&
            (earliest == NULL || c->deadline_100ns < earliest->deadline_100ns))
            earliest = c;
    }
    NTMM_ASSERT(earliest != NULL); /* unfinished and not runnable: it waits */
    earliest->is_broken = 1;
    if (earliest->deadline_100ns != UINT64_MAX)
        advance_clock_to(emu, earliest->deadline_100ns);
    count_one(&emu->statistics.broken_waits);
}

/* Until `woken` is signalled, or for as long as nothing else can happen. The lock is held. */
static void sleep_locked(struct ntmm_emulated *emu, uint64_t deadline_100ns)
{
    uint64_t now_100ns = host_clock_100ns();
    bool has_transfers = atomic_load(&emu->in_flight) != 0;
    uint64_t until = has_transfers ? now_100ns + POLL_100NS : deadline_100ns;
    if (until > deadline_100ns)
        until = deadline_100ns;
    if (until > now_100ns && until - now_100ns > LONGEST_SLEEP_100NS)
        until = now_100ns + LONGEST_SLEEP_100NS;
    struct timespec t = {
        .tv_sec = (time_t)(until / 10000000u),
        .tv_nsec = (long)(until % 10000000u * 100u),
    };
    (void)pthread_cond_timedwait(&emu->woken, &emu->lock, &t);
}

/* With threads: sleep until a coroutine becomes runnable. */
static void sleep_runner(struct ntmm_emulated *emu)
{
    uint64_t deadline_100ns = UINT64_MAX;
    bool has_runnable = false;
    machine_lock(emu);
    uint64_t now_100ns = scheduler_now(emu);
    for (struct coroutine *c = emu->scheduler.first; c != NULL; c = c->next) {
        has_runnable = has_runnable || is_runnable(emu, c, now_100ns);
        if (c->state == COROUTINE_WAITING && c->deadline_100ns < deadline_100ns)
            deadline_100ns = c->deadline_100ns;
    }
    if (!has_runnable)
        sleep_locked(emu, deadline_100ns);
    machine_unlock(emu);
}

static ntmm_status run_all(struct ntmm_emulated *emu)
{
    struct scheduler *s = &emu->scheduler;
    uint64_t broken_before = emu->statistics.broken_waits;
    uint64_t first_switch = s->switches;
    while (s->unfinished != 0 || s->is_completing != 0) {
        if (emu->config.step_limit != 0 && s->switches - first_switch >= emu->config.step_limit)
            return NTMM_STATUS_CANT_WAIT;
        struct coroutine *c = draw_coroutine(emu);
        if (c != NULL)
            run_coroutine(emu, c);
        else if (has_threads(emu))
            sleep_runner(emu);
        else
            break_wait(emu);
    }
    return emu->statistics.broken_waits != broken_before ? NTMM_STATUS_TIMEOUT
                                                         : NTMM_STATUS_SUCCESS;
}

static ntmm_status create_completer(struct ntmm_emulated *emu)
{
    struct scheduler *s = &emu->scheduler;
    if (s->completer != NULL)
        return NTMM_STATUS_SUCCESS;
    s->completer = create_coroutine(emu, complete_transfers, emu, DEFAULT_STACK_BYTES);
    if (s->completer == NULL)
        return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    append_coroutine(s, s->completer);
    return NTMM_STATUS_SUCCESS;
}

/* No run is in progress, and no completion is half done: the next run makes another one. */
void scheduler_drop_completer(struct ntmm_emulated *emu)
{
    struct scheduler *s = &emu->scheduler;
    if (s->completer == NULL)
        return;
    NTMM_ASSERT(s->is_completing == 0);
    remove_coroutine(s, s->completer);
    free_coroutine(s->completer);
    s->completer = NULL;
}

NTMM_API ntmm_status ntmm_emulated_run(struct ntmm_emulated *emu)
{
    struct scheduler *s = &emu->scheduler;
    struct coroutine root = {.emu = emu};
    if (atomic_load(&s->runner) != 0)
        return NTMM_STATUS_INVALID_PARAMETER_1;
    ntmm_status status = create_completer(emu);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (!context_begin_thread(&root.context))
        return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    fiber_tsan_adopt_thread(&root.fiber);
    s->root = &root;
    atomic_store(&s->runner, this_thread());
    status = run_all(emu);
    atomic_store(&s->runner, 0);
    s->root = NULL;
    context_end_thread(&root.context);
    return status;
}

/* --- the platform's operations --- */

#if defined(__x86_64__) || defined(__i386__)
#define PAUSE() __builtin_ia32_pause()
#else
#define PAUSE() atomic_signal_fence(memory_order_seq_cst)
#endif

/* A lock is held for about as long as it takes to call the host, so that is called only for every
 * so many looks, since the holder may not be running. Between looks there is some time: who has a
 * lock and soon takes it again has all that it protects in its own caches, and is better not
 * disturbed. */
#define LOOKS_BEFORE_YIELD 16u
#define PAUSES_BETWEEN_LOOKS 64u

static void pause_some(void)
{
    static _Thread_local uint32_t looks;
    if (++looks % LOOKS_BEFORE_YIELD == 0)
        (void)sched_yield();
    for (uint32_t i = 0; i < PAUSES_BETWEEN_LOOKS; i++)
        PAUSE();
}

void scheduler_relax(void *context)
{
    struct ntmm_emulated *emu = context;
    struct coroutine *self = current_coroutine(emu);
    if (self != NULL)
        switch_to_runner(self);
    else if (has_threads(emu))
        pause_some();
    else
        (void)sched_yield();
}

NTMM_API void ntmm_emulated_yield(struct ntmm_emulated *emu) { scheduler_relax(emu); }

/* A place where a processor might be interrupted, or another one be faster; locks may be held. */
void scheduler_preempt(struct ntmm_emulated *emu)
{
    if (__builtin_expect(!(emu->config.flags & NTMM_EMULATED_PREEMPT), 1))
        return;
    struct coroutine *self = current_coroutine(emu);
    if (self != NULL)
        switch_to_runner(self);
}

static uint32_t *current_level(struct ntmm_emulated *emu)
{
    struct coroutine *self = current_coroutine(emu);
    return self != NULL ? &self->level : &emu->scheduler.level;
}

uint32_t scheduler_raise_level(void *context) { return (*current_level(context))++; }

void scheduler_lower_level(void *context, uint32_t old_level)
{
    *current_level(context) = old_level;
    if ((old_level & ~LEVEL_OF_COMPLETION) == 0)
        scheduler_preempt(context);
}

uint32_t scheduler_level(void *context)
{
    return *current_level(context) != 0 ? NTMM_DISPATCH_LEVEL : NTMM_PASSIVE_LEVEL;
}

/* A completion runs as in an interrupt; another processor may be faster there, too. */
uint32_t scheduler_begin_completion(struct ntmm_emulated *emu)
{
    if (!emu->platform.raise_level)
        return 0;
    uint32_t *level = current_level(emu), old_level = *level;
    *level |= LEVEL_OF_COMPLETION;
    return old_level;
}

void scheduler_end_completion(struct ntmm_emulated *emu, uint32_t old_level)
{
    if (emu->platform.raise_level)
        *current_level(emu) = old_level;
}

/* Called by what may block. Without NTMM_EMULATED_CHECK_LEVEL the level is always 0. */
void scheduler_check_level(struct ntmm_emulated *emu)
{
    if (!has_threads(emu) && *current_level(emu) != 0)
        count_one(&emu->statistics.violations);
}

static ntmm_status wait_as_coroutine(struct coroutine *self, struct ntmm_wait *wait,
                                     uint64_t deadline_100ns)
{
    self->wait = wait;
    self->deadline_100ns = deadline_100ns;
    self->is_broken = 0;
    self->state = COROUTINE_WAITING;
    switch_to_runner(self);
    self->state = COROUTINE_READY;
    self->wait = NULL;
    return is_woken(wait) ? NTMM_STATUS_SUCCESS : NTMM_STATUS_TIMEOUT;
}

/* The only host thread: a transfer may wake it, and nothing else. */
static ntmm_status wait_alone(struct ntmm_emulated *emu, const struct ntmm_wait *wait,
                              uint64_t deadline_100ns)
{
    while (!is_woken(wait) && scheduler_now(emu) < deadline_100ns) {
        if (atomic_load(&emu->in_flight) != 0) {
            disk_pump(emu);
            continue;
        }
        count_one(&emu->statistics.broken_waits);
        if (deadline_100ns != UINT64_MAX)
            advance_clock_to(emu, deadline_100ns);
        return NTMM_STATUS_TIMEOUT;
    }
    return is_woken(wait) ? NTMM_STATUS_SUCCESS : NTMM_STATUS_TIMEOUT;
}

static ntmm_status wait_among_threads(struct ntmm_emulated *emu, const struct ntmm_wait *wait,
                                      uint64_t deadline_100ns)
{
    machine_lock(emu);
    while (!is_woken(wait) && host_clock_100ns() < deadline_100ns) {
        sleep_locked(emu, deadline_100ns);
        if (is_woken(wait) || atomic_load(&emu->in_flight) == 0)
            continue;
        machine_unlock(emu);
        disk_pump(emu);
        machine_lock(emu);
    }
    machine_unlock(emu);
    return is_woken(wait) ? NTMM_STATUS_SUCCESS : NTMM_STATUS_TIMEOUT;
}

ntmm_status scheduler_wait(void *context, struct ntmm_wait *wait, uint64_t deadline_100ns)
{
    struct ntmm_emulated *emu = context;
    struct coroutine *self = current_coroutine(emu);
    scheduler_check_level(emu);
    if (self != NULL)
        return wait_as_coroutine(self, wait, deadline_100ns);
    if (has_threads(emu))
        return wait_among_threads(emu, wait, deadline_100ns);
    return wait_alone(emu, wait, deadline_100ns);
}

void scheduler_wake(void *context, struct ntmm_wait *wait)
{
    struct ntmm_emulated *emu = context;
    (void)wait;
    if (!has_threads(emu))
        return;
    machine_lock(emu);
    (void)pthread_cond_broadcast(&emu->woken);
    machine_unlock(emu);
}

void scheduler_pump(void *context)
{
    struct ntmm_emulated *emu = context;
    struct coroutine *self = current_coroutine(emu);
    scheduler_check_level(emu);
    if (self != NULL)
        switch_to_runner(self);
    disk_pump(emu);
}

uint32_t scheduler_processor(void *context)
{
    struct ntmm_emulated *emu = context;
    struct coroutine *self = current_coroutine(emu);
    if (self != NULL)
        return self->processor;
    if (!has_threads(emu))
        return 0;
    return (uint32_t)(uintptr_t)pthread_getspecific(emu->processor_key);
}

NTMM_API void ntmm_emulated_bind_thread(struct ntmm_emulated *emu, uint32_t index)
{
    if (index < PROCESSOR_LIMIT)
        (void)pthread_setspecific(emu->processor_key, (void *)(uintptr_t)index);
}
