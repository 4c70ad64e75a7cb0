/*
 * What the sanitizers must be told when the stack is switched. Without a sanitizer these are
 * nothing.
 *
 *   leaving a stack    fiber_before_switch(from, to, ends)   on the old stack, just before
 *   arriving           fiber_after_switch(self)              on the new stack, first thing
 */
#ifndef NTMM_EMULATED_FIBER_H
#define NTMM_EMULATED_FIBER_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define FIBER_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define FIBER_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define FIBER_TSAN 1
#endif

/* A call of its own would begin on one stack and end on the other. */
#define FIBER_INLINE __attribute__((always_inline)) static inline

/* One stack as the sanitizers know it. */
struct fiber {
    const void *bottom; /* lowest address; of the host thread's own stack learned at a switch */
    size_t size_bytes;
    void *fake_stack; /* AddressSanitizer's, while switched away */
    void *tsan;       /* ThreadSanitizer's */
};

#if defined(FIBER_ASAN)
#include <sanitizer/common_interface_defs.h>

FIBER_INLINE void fiber_asan_leave(struct fiber *from, const struct fiber *to, bool ends)
{
    __sanitizer_start_switch_fiber(ends ? NULL : &from->fake_stack, to->bottom, to->size_bytes);
}

/* came_from: the stack that was left; its extent is learned if it is not known. */
FIBER_INLINE void fiber_asan_arrive(struct fiber *self, struct fiber *came_from)
{
    const void *bottom = NULL;
    size_t size_bytes = 0;
    __sanitizer_finish_switch_fiber(self->fake_stack, &bottom, &size_bytes);
    if (came_from != NULL && came_from->bottom == NULL) {
        came_from->bottom = bottom;
        came_from->size_bytes = size_bytes;
    }
}
#else
FIBER_INLINE void fiber_asan_leave(struct fiber *from, const struct fiber *to, bool ends)
{
    (void)from;
    (void)to;
    (void)ends;
}

FIBER_INLINE void fiber_asan_arrive(struct fiber *self, struct fiber *came_from)
{
    (void)self;
    (void)came_from;
}
#endif

#if defined(FIBER_TSAN)
#include <sanitizer/tsan_interface.h>

FIBER_INLINE void fiber_tsan_create(struct fiber *fiber) { fiber->tsan = __tsan_create_fiber(0); }

FIBER_INLINE void fiber_tsan_destroy(struct fiber *fiber) { __tsan_destroy_fiber(fiber->tsan); }

FIBER_INLINE void fiber_tsan_adopt_thread(struct fiber *fiber)
{
    fiber->tsan = __tsan_get_current_fiber();
}

FIBER_INLINE void fiber_tsan_switch(const struct fiber *to) { __tsan_switch_to_fiber(to->tsan, 0); }
#else
FIBER_INLINE void fiber_tsan_create(struct fiber *fiber) { (void)fiber; }

FIBER_INLINE void fiber_tsan_destroy(struct fiber *fiber) { (void)fiber; }

FIBER_INLINE void fiber_tsan_adopt_thread(struct fiber *fiber) { (void)fiber; }

FIBER_INLINE void fiber_tsan_switch(const struct fiber *to) { (void)to; }
#endif

#endif
