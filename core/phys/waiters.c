/*
 * Faults that wait for a frame.
 *
 * The waits are the callers' own structs, linked in a circle outside managed memory. Freeing a
 * frame wakes all of them: each begins its fault anew, and those that find nothing wait again.
 *
 * I2 a wait is in the list exactly while is_queued is set; waiter_count is the length of the list.
 */
#include "base/lock.h"
#include "phys/pfn.h"

static void unlink_wait(struct ntmm_system *sys, struct ntmm_wait *wait)
{
    if (wait->next == wait) {
        sys->waiters = NULL;
    } else {
        wait->next->prev = wait->prev;
        wait->prev->next = wait->next;
        if (sys->waiters == wait)
            sys->waiters = wait->next;
    }
    wait->next = NULL;
    wait->prev = NULL;
    wait->is_queued = 0;
    store32_release(&sys->waiter_count, load32_relaxed(&sys->waiter_count) - 1);
}

void waiters_add(struct call *c, struct ntmm_wait *wait)
{
    struct ntmm_system *sys = c->sys;
    lock_acquire(c, &sys->waiters_lock, LOCK_WAITERS);
    wait->is_queued = 1;
    wait->is_woken = 0;
    if (sys->waiters) {
        wait->next = sys->waiters;
        wait->prev = sys->waiters->prev;
        wait->prev->next = wait;
        wait->next->prev = wait;
    } else {
        wait->next = wait;
        wait->prev = wait;
        sys->waiters = wait;
    }
    store32_release(&sys->waiter_count, load32_relaxed(&sys->waiter_count) + 1);
    lock_release(c, &sys->waiters_lock, LOCK_WAITERS);
}

void waiters_cancel(struct call *c, struct ntmm_wait *wait)
{
    struct ntmm_system *sys = c->sys;
    lock_acquire(c, &sys->waiters_lock, LOCK_WAITERS);
    if (wait->is_queued)
        unlink_wait(sys, wait);
    lock_release(c, &sys->waiters_lock, LOCK_WAITERS);
}

/*
 * Waking happens under the lock: once is_woken is seen the owner may free the wait, so the platform
 * must be done with it before the owner can get past waiters_cancel.
 */
void waiters_wake_all(struct call *c)
{
    struct ntmm_system *sys = c->sys;
    if (__builtin_expect(load32_acquire(&sys->waiter_count) == 0, 1))
        return;
    lock_acquire(c, &sys->waiters_lock, LOCK_WAITERS);
    while (sys->waiters) {
        struct ntmm_wait *wait = sys->waiters;
        unlink_wait(sys, wait);
        __atomic_store_n(&wait->is_woken, 1, __ATOMIC_RELEASE);
        if (sys->platform.wake)
            sys->platform.wake(sys->platform.context, wait);
    }
    lock_release(c, &sys->waiters_lock, LOCK_WAITERS);
}
