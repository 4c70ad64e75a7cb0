/*
 * Threads: one queue of those that are ready, for all processors; an idle thread for each.
 *
 * The lock is held across a switch: who is switched to releases it. A thread is preempted in user
 * mode only; kernel code gives way where it waits.
 */
#include "machine.h"

#define PATTERN 0x5A5A5A5A5A5A5A5Aull

uint8_t stacks[THREADS][STACK_BYTES] __attribute__((aligned(STACK_BYTES)));
static struct spin lock;
static struct thread *first, **last = &first;
static bool is_idle[PROCESSORS];

void switch_stacks(uint64_t *save, uint64_t load);

static struct thread *thread_at(uint32_t index) { return (struct thread *)(void *)stacks[index]; }

/* The first threads are the processors' idle ones; the first of them runs from boot.S on. */
uint64_t idle_stack(uint32_t processor)
{
    thread_at(processor)->processor = processor;
    return (uint64_t)(uintptr_t)stacks[processor] + STACK_BYTES - 64;
}

void spin_lock(struct spin *s)
{
    bool were_on = interrupts_are_on();
    interrupts_off();
    while (__atomic_exchange_n(&s->held, 1, __ATOMIC_ACQUIRE) != 0) {
        __asm__ volatile("pause");
        poll_in_spin();
    }
    s->were_on = were_on;
}

void spin_unlock(struct spin *s)
{
    bool were_on = s->were_on;
    __atomic_store_n(&s->held, 0, __ATOMIC_RELEASE);
    if (were_on)
        interrupts_on();
}

static void make_ready(struct thread *thread)
{
    thread->state = THREAD_READY;
    thread->next = NULL;
    *last = thread;
    last = &thread->next;
    for (uint32_t i = 0; i < PROCESSORS; i++) {
        if (is_idle[i] && i != current_thread()->processor) {
            is_idle[i] = false;
            send_interrupt(i, VECTOR_TICK);
            return;
        }
    }
}

/* The next to run here; the lock is held. */
static struct thread *take_next(struct thread *self)
{
    struct thread *next = first;
    if (next == NULL)
        return self->state == THREAD_RUNNING ? self : thread_at(self->processor);
    first = next->next;
    if (first == NULL)
        last = &first;
    return next;
}

static void switch_away(struct thread *self)
{
    uint32_t processor = self->processor;
    struct thread *next = take_next(self);
    next->state = THREAD_RUNNING;
    if (next == self)
        return;
    next->processor = processor;
    is_idle[processor] = next == thread_at(processor);
    set_kernel_stack(processor, (uint64_t)(uintptr_t)next + STACK_BYTES);
    enter_address_space(next->process);
    self->switched_out = time_stamp();
    uint32_t were_on = lock.were_on; /* of the one who gives way */
    switch_stacks(&self->stack_pointer, next->stack_pointer);
    lock.were_on = were_on;
    self = current_thread();
    self->away += time_stamp() - self->switched_out;
}

static void begin_thread(void)
{
    struct thread *self = current_thread();
    lock.were_on = true;
    spin_unlock(&lock);
    self->function(self->argument);
    thread_exit();
}

struct thread *thread_create(void (*function)(void *), void *argument, struct process *process,
                             void *user)
{
    struct thread *thread = NULL;
    spin_lock(&lock);
    for (uint32_t i = PROCESSORS; i < THREADS && thread == NULL; i++) {
        if (thread_at(i)->state == THREAD_FREE || thread_at(i)->state == THREAD_DEAD)
            thread = thread_at(i);
    }
    if (thread != NULL) {
        uint64_t *words = (uint64_t *)(void *)(thread + 1);
        uint64_t *top = (uint64_t *)(void *)((uint8_t *)thread + STACK_BYTES);
        while (words < top)
            *words++ = PATTERN;
        top[-2] = (uint64_t)(uintptr_t)begin_thread;
        *thread = (struct thread){.stack_pointer = (uint64_t)(uintptr_t)&top[-8],
                                  .function = function,
                                  .argument = argument,
                                  .process = process,
                                  .user = user};
        make_ready(thread);
    }
    spin_unlock(&lock);
    return thread;
}

void thread_exit(void)
{
    spin_lock(&lock);
    current_thread()->state = THREAD_DEAD;
    switch_away(current_thread());
    panic("a dead thread runs", 0, 0);
}

void thread_yield(void)
{
    spin_lock(&lock);
    if (first != NULL) {
        make_ready(current_thread());
        switch_away(current_thread());
    }
    spin_unlock(&lock);
}

static bool is_over(const struct thread *thread)
{
    return (thread->woken && __atomic_load_n(thread->woken, __ATOMIC_ACQUIRE)) ||
           now_100ns() >= thread->deadline;
}

bool thread_wait(const uint32_t *woken, uint64_t deadline)
{
    struct thread *self = current_thread();
    spin_lock(&lock);
    self->woken = woken;
    self->deadline = deadline;
    while (!is_over(self)) {
        self->state = THREAD_WAITING;
        switch_away(self);
    }
    bool is_woken = woken && __atomic_load_n(woken, __ATOMIC_ACQUIRE);
    spin_unlock(&lock);
    return is_woken;
}

void threads_wake(void)
{
    spin_lock(&lock);
    for (uint32_t i = PROCESSORS; i < THREADS; i++) {
        if (thread_at(i)->state == THREAD_WAITING && is_over(thread_at(i)))
            make_ready(thread_at(i));
    }
    spin_unlock(&lock);
}

void threads_tick(void) { threads_wake(); }

uint64_t deepest_stack(void)
{
    uint64_t deepest = 0;
    for (uint32_t i = PROCESSORS; i < THREADS; i++) {
        const uint64_t *word = (const uint64_t *)(const void *)(thread_at(i) + 1);
        const uint8_t *top = stacks[i] + STACK_BYTES;
        while ((const uint8_t *)word < top && *word == PATTERN)
            word++;
        uint64_t used = (uint64_t)(top - (const uint8_t *)word);
        if (thread_at(i)->state != THREAD_FREE && used > deepest)
            deepest = used;
    }
    return deepest;
}

void threads_start(uint32_t processor)
{
    struct thread *self = thread_at(processor);
    self->state = THREAD_RUNNING;
    for (;;) {
        spin_lock(&lock);
        lock.were_on = false;
        switch_away(self);
        is_idle[processor] = true;
        spin_unlock(&lock);
        __asm__ volatile("sti; hlt; cli" ::: "memory");
    }
}
