/*
 * The slow half of the locks: contention and the interrupt level.
 */
#include "base/lock.h"

void lock_wait(struct call *c, le32 *lock)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    do {
        while (load32_relaxed(lock) != 0) {
            schedule_point(POINT_RELAX);
            if (platform->relax)
                platform->relax(platform->context);
        }
    } while (!cas32_acquire(lock, 0, 1));
}

void lock_raise_level(struct call *c)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    c->old_level = platform->raise_level(platform->context);
}

void lock_lower_level(struct call *c)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    platform->lower_level(platform->context, c->old_level);
}
