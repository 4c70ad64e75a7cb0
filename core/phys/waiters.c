/*
 * Faults that wait: for a frame, for a block, for a transfer.
 *
 * The waits are the callers' own structs, linked in circles outside managed memory. What they wait
 * for wakes all of a queue: each begins its fault anew, and those that find nothing wait again.
 *
 *   frames come        list them, look for waiters  |  queue, look for frames
 *   a chance to write  count it, look for waiters   |  read the count, look for a chance, queue,
 *                                                      compare the count
 *
 * So one of the two sees the other, and nobody sleeps on what is over.
 *
 * I2 a wait is in a queue exactly while is_queued is set; a queue's count is its length.
 */
#include "base/lock.h"
#include "phys/pfn.h"

static void unlink_wait(struct wait_queue *queue, struct ntmm_wait *wait)
{
    if (wait->next == wait) {
        queue->first = NULL;
    } else {
        wait->next->prev = wait->prev;
        wait->prev->next = wait->next;
        if (queue->first == wait)
            queue->first = wait->next;
    }
    wait->next = NULL;
    wait->prev = NULL;
    wait->is_queued = 0;
    store32_release(&queue->count, load32_relaxed(&queue->count) - 1);
}

void waiters_add_locked(struct wait_queue *queue, struct ntmm_wait *wait)
{
    wait->is_queued = 1;
    wait->is_woken = 0;
    if (queue->first) {
        wait->next = queue->first;
        wait->prev = queue->first->prev;
        wait->prev->next = wait;
        wait->next->prev = wait;
    } else {
        wait->next = wait;
        wait->prev = wait;
        queue->first = wait;
    }
    store32_release(&queue->count, load32_relaxed(&queue->count) + 1);
}

/*
 * Waking happens under the lock: once is_woken is seen the owner may free the wait, so the platform
 * must be done with it before the owner can get past waiters_cancel.
 */
void waiters_wake_locked(struct call *c, struct wait_queue *queue)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    while (queue->first) {
        struct ntmm_wait *wait = queue->first;
        unlink_wait(queue, wait);
        __atomic_store_n(&wait->is_woken, 1, __ATOMIC_RELEASE);
        if (platform->wake)
            platform->wake(platform->context, wait);
    }
}

void waiters_add(struct call *c, struct wait_queue *queue, struct ntmm_wait *wait)
{
    lock_acquire(c, &c->sys->waiters_lock, LOCK_WAITERS);
    waiters_add_locked(queue, wait);
    queue_step(c, queue, "queue");
    lock_release(c, &c->sys->waiters_lock, LOCK_WAITERS);
}

void waiters_cancel(struct call *c, struct wait_queue *queue, struct ntmm_wait *wait)
{
    lock_acquire(c, &c->sys->waiters_lock, LOCK_WAITERS);
    if (wait->is_queued) {
        unlink_wait(queue, wait);
        queue_step(c, queue, "cancel");
    }
    lock_release(c, &c->sys->waiters_lock, LOCK_WAITERS);
}

void waiters_wake_all(struct call *c, struct wait_queue *queue)
{
    if (__builtin_expect(load32_acquire(&queue->count) == 0, 1))
        return;
    lock_acquire(c, &c->sys->waiters_lock, LOCK_WAITERS);
    waiters_wake_locked(c, queue);
    lock_release(c, &c->sys->waiters_lock, LOCK_WAITERS);
}

void waiters_note_chance(struct call *c)
{
    (void)add32(&c->sys->chances, 1);
    atomic_thread_fence(memory_order_seq_cst); /* against begin_for_frame: queue, then compare */
    waiters_wake_all(c, &c->sys->for_frame);
}

uint32_t waiters_chances(const struct call *c) { return load32_acquire(&c->sys->chances); }
