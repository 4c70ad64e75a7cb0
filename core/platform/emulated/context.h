/*
 * A stack of its own and what runs on it: ucontext, on Windows a fiber.
 *
 *   page of the host | stack, growing down      to touch the page below is a fault
 *
 * A thread's own stack is a context between context_begin_thread and context_end_thread, on that
 * thread. A context that was made may be switched to by one thread now and by another later.
 */
#ifndef NTMM_EMULATED_CONTEXT_H
#define NTMM_EMULATED_CONTEXT_H

#include "platform/emulated/fiber.h"

#include <stdbool.h>
#include <stddef.h>
#if !defined(_WIN32)
#include <setjmp.h>
#include <ucontext.h>
#endif

/* Does not return: it is switched away from for good. */
typedef void (*context_entry)(void *argument);

struct context {
    context_entry entry;
    void *argument;
#if defined(_WIN32)
    void *fiber;
    bool was_fiber; /* a thread's: before it was begun */
#else
    ucontext_t start; /* where it begins */
    jmp_buf place;    /* where it goes on */
    bool has_place;
    void *mapping; /* the page, then the stack */
    size_t mapping_bytes;
#endif
};

/* A context that begins with entry(argument), and stays where it is in memory. *stack: its extent,
 * where that is known. False: no memory. */
bool context_make(struct context *context, size_t stack_bytes, context_entry entry, void *argument,
                  struct fiber *stack);

/* One that was made, and is not the one that runs. */
void context_free(struct context *context);

/* False: no memory. */
bool context_begin_thread(struct context *context);

/* It runs, and its thread is as it was before. */
void context_end_thread(struct context *context);

/* Go on with `to`; `from`, which runs, goes on when somebody switches to it. Where a sanitizer
 * looks on, it is a part of its caller: see fiber.h. */
#if defined(FIBER_ASAN) || defined(FIBER_TSAN)
FIBER_INLINE void context_switch(struct context *from, struct context *to)
{
    (void)swapcontext(&from->start, &to->start);
}
#else
void context_switch(struct context *from, struct context *to);
#endif

#endif
