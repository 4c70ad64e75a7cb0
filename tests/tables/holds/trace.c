/*
 * How many instructions of the core pass between taking a lock and releasing it.
 *
 * The core is compiled so that r15 belongs to nobody, and each basic block of it begins with an
 * addition of its length to r15 (tests/tables/locks.py); everything else of the program is compiled
 * so that it leaves r15 alone. So the difference of r15 between two moments is what the core has
 * executed, to within the block in which each moment lies. A coroutine has a count of its own.
 *
 * For each kind of lock and each label that the program sets the longest hold is kept, with the
 * places of the two calls of the hooks.
 */
#include "trace.h"

#include "base/lock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPEN_HOLDS 64
#define LABELS 256
#define KINDS (LOCK_WAITERS + 1)
#define BYTES_OF_INSTRUCTION 8u /* of memset and its like: what one instruction of theirs moves */

register uint64_t the_count __asm__("r15");

struct hold {
    const void *lock;
    const void *acquired;
    uint64_t since;
};

struct longest {
    uint64_t instructions;
    uint64_t holds;
    const void *acquired;
    const void *released;
};

static struct hold open_holds[OPEN_HOLDS];
static struct longest longest[LABELS][KINDS];
static const char *labels[LABELS];
static unsigned label_count, label;

void trace_label(const char *name)
{
    for (label = 0; label < label_count; label++) {
        if (strcmp(labels[label], name) == 0)
            return;
    }
    if (label_count == LABELS)
        abort();
    labels[label_count++] = name;
}

void ntmm_lock_acquired(const le32 *lock, enum lock_level level)
{
    (void)level;
    for (unsigned i = 0; i < OPEN_HOLDS; i++) {
        if (open_holds[i].lock == NULL) {
            open_holds[i] = (struct hold){lock, __builtin_return_address(0), the_count};
            return;
        }
    }
    abort();
}

void ntmm_lock_released(const le32 *lock, enum lock_level level)
{
    for (unsigned i = 0; i < OPEN_HOLDS; i++) {
        struct hold *hold = &open_holds[i];
        struct longest *most = &longest[label][level];
        if (hold->lock != lock)
            continue;
        most->holds++;
        if (the_count - hold->since >= most->instructions) {
            most->instructions = the_count - hold->since;
            most->acquired = hold->acquired;
            most->released = __builtin_return_address(0);
        }
        hold->lock = NULL;
        return;
    }
    abort();
}

void trace_print(void)
{
    for (unsigned i = 0; i < label_count; i++) {
        for (unsigned kind = 0; kind < KINDS; kind++) {
            const struct longest *most = &longest[i][kind];
            if (most->holds > 0)
                printf("hold %u %" PRIu64 " %" PRIu64 " %p %p %s\n", kind, most->instructions,
                       most->holds, most->acquired, most->released, labels[i]);
        }
    }
}

uint64_t trace_count(void) { return the_count; }

/* What the core calls instead of the four functions. */

void *counted_memcpy(void *to, const void *from, size_t size)
{
    the_count += size / BYTES_OF_INSTRUCTION;
    return memcpy(to, from, size);
}

void *counted_memmove(void *to, const void *from, size_t size)
{
    the_count += size / BYTES_OF_INSTRUCTION;
    return memmove(to, from, size);
}

void *counted_memset(void *to, int value, size_t size)
{
    the_count += size / BYTES_OF_INSTRUCTION;
    return memset(to, value, size);
}

int counted_memcmp(const void *a, const void *b, size_t size)
{
    the_count += size / BYTES_OF_INSTRUCTION;
    return memcmp(a, b, size);
}
