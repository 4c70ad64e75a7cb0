/*
 * Contexts by ucontext. See context.h; Windows has windows/context.c.
 */
#define _GNU_SOURCE 1
#undef _FORTIFY_SOURCE /* it takes a jump to another stack for a mistake */
#include "platform/emulated/context.h"
#include "platform/emulated/host.h"
#include "platform/emulated/machine.h"

#if !defined(_WIN32)
static bool map_stack(struct context *c, size_t stack_bytes, struct fiber *stack)
{
    size_t page = host_page_bytes();
    size_t size = (stack_bytes + page - 1) & ~(page - 1);
    c->mapping_bytes = size + page;
    c->mapping = mmap(NULL, c->mapping_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (c->mapping == MAP_FAILED)
        return false;
    (void)mprotect(c->mapping, page, PROT_NONE);
    stack->bottom = (uint8_t *)c->mapping + page;
    stack->size_bytes = size;
    return true;
}

/* makecontext passes ints: the pointer comes in halves. */
static void begin(unsigned high, unsigned low)
{
    const struct context *c = (struct context *)(uintptr_t)((uint64_t)high << 32 | low);
    c->entry(c->argument);
}

bool context_make(struct context *c, size_t stack_bytes, context_entry entry, void *argument,
                  struct fiber *stack)
{
    uint64_t self = (uint64_t)(uintptr_t)c;
    if (stack_bytes > SIZE_MAX / 2 || !map_stack(c, stack_bytes, stack))
        return false;
    if (getcontext(&c->start) != 0) {
        context_free(c);
        return false;
    }
    c->entry = entry;
    c->argument = argument;
    c->start.uc_stack.ss_sp = (uint8_t *)c->mapping + (c->mapping_bytes - stack->size_bytes);
    c->start.uc_stack.ss_size = stack->size_bytes;
    c->start.uc_link = NULL;
    makecontext(&c->start, (void (*)(void))begin, 2, (unsigned)(self >> 32), (unsigned)self);
    return true;
}

void context_free(struct context *c) { (void)munmap(c->mapping, c->mapping_bytes); }

/* Its place is learned at the first switch. */
bool context_begin_thread(struct context *c)
{
    (void)c;
    return true;
}

void context_end_thread(struct context *c) { (void)c; }

/* swapcontext asks the kernel for the signal mask each time, which is the same on all stacks: only
 * the first arrival on a stack is left to such a call. Sanitizers know stacks by it alone. */
#if !defined(FIBER_ASAN) && !defined(FIBER_TSAN)
void context_switch(struct context *from, struct context *to)
{
    if (_setjmp(from->place) != 0)
        return;
    from->has_place = true;
    if (to->has_place)
        _longjmp(to->place, 1);
    (void)setcontext(&to->start);
}
#endif
#endif
