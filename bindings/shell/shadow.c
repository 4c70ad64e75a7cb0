/*
 * The record of what a program's memory must hold. See shadow.h.
 */
#include "shadow.h"

#include <stdbool.h>
#include <stdlib.h>

#define FIRST_CAPACITY 1024u

struct shadow *shadow_create(void) { return calloc(1, sizeof(struct shadow)); }

void shadow_destroy(struct shadow *shadow)
{
    if (shadow == NULL)
        return;
    for (size_t i = 0; i < shadow->capacity; i++)
        free(shadow->slots[i].bytes);
    free(shadow->slots);
    free(shadow);
}

static struct shadow_line *slot_of(struct shadow_line *slots, size_t capacity, uint64_t tag)
{
    size_t i = (size_t)(tag * 0x9E3779B97F4A7C15ull >> 24) & (capacity - 1);
    while (slots[i].tag != 0 && slots[i].tag != tag)
        i = (i + 1) & (capacity - 1);
    return &slots[i];
}

static bool grow(struct shadow *shadow)
{
    size_t capacity = shadow->capacity != 0 ? 2 * shadow->capacity : FIRST_CAPACITY;
    struct shadow_line *slots = calloc(capacity, sizeof *slots);
    if (slots == NULL)
        return false;
    for (size_t i = 0; i < shadow->capacity; i++)
        if (shadow->slots[i].tag != 0)
            *slot_of(slots, capacity, shadow->slots[i].tag) = shadow->slots[i];
    free(shadow->slots);
    shadow->slots = slots;
    shadow->capacity = capacity;
    return true;
}

unsigned char *shadow_find(struct shadow *shadow, uint64_t page)
{
    if (2 * shadow->count >= shadow->capacity && !grow(shadow))
        return NULL;
    struct shadow_line *slot = slot_of(shadow->slots, shadow->capacity, page + 1);
    if (slot->tag == 0) {
        slot->bytes = calloc(1, SHADOW_PAGE_BYTES + SHADOW_SLACK_BYTES);
        if (slot->bytes == NULL)
            return NULL;
        slot->tag = page + 1;
        shadow->count++;
    }
    shadow->lines[page % SHADOW_LINES] = *slot;
    return slot->bytes;
}
