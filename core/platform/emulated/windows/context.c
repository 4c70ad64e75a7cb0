/*
 * Contexts of Windows: fibers. See context.h.
 */
#include "platform/emulated/context.h"

#if defined(_WIN32)
#include <windows.h>

static void CALLBACK begin(void *argument)
{
    const struct context *c = argument;
    c->entry(c->argument);
}

bool context_make(struct context *c, size_t stack_bytes, context_entry entry, void *argument,
                  struct fiber *stack)
{
    (void)stack; /* its extent is not known */
    c->entry = entry;
    c->argument = argument;
    c->fiber = CreateFiberEx(0, stack_bytes, FIBER_FLAG_FLOAT_SWITCH, begin, c);
    return c->fiber != NULL;
}

void context_free(struct context *c) { DeleteFiber(c->fiber); }

bool context_begin_thread(struct context *c)
{
    c->was_fiber = IsThreadAFiber();
    c->fiber =
        c->was_fiber ? GetCurrentFiber() : ConvertThreadToFiberEx(NULL, FIBER_FLAG_FLOAT_SWITCH);
    return c->fiber != NULL;
}

void context_end_thread(struct context *c)
{
    if (!c->was_fiber)
        (void)ConvertFiberToThread();
}

void context_switch(struct context *from, struct context *to)
{
    (void)from; /* the running fiber keeps its own place */
    SwitchToFiber(to->fiber);
}
#endif
