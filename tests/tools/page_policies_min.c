/*
 * Belady's MIN: when memory is full, the page whose next use is farthest leaves. Two passes over
 * the kept order: backwards, which finds every use's next one; forwards, once for each size of
 * memory.
 *
 * The frames are the leaves of a tournament: a node holds the later of its children's next uses, so
 * that the root's is the farthest of all and a walk from the root finds its frame. A hit moves a
 * frame from the nearest next use of all (now) to a later one: no node above can fall, and the walk
 * up ends at the first that stays. So a hit costs O(log frames) at most, and far less as a rule.
 */
#include "page_policies.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_USES (1u << 16)
#define NOT_IN_MEMORY UINT32_MAX
#define KEY_EMPTY 0u         /* a frame without a page; index 0 is nothing's next use */
#define KEY_NEVER UINT32_MAX /* no next use */

void page_order_add(struct page_order *order, uint32_t page)
{
    if (order->count == order->capacity) {
        order->capacity = order->capacity != 0 ? order->capacity * 2 : FIRST_USES;
        order->page = realloc(order->page, order->capacity * sizeof *order->page);
        if (order->page == NULL)
            die("no memory");
    }
    if (order->count == KEY_NEVER)
        die("too many references");
    order->page[order->count++] = page;
    if (page >= order->page_count)
        order->page_count = page + 1;
}

void page_order_find_next(struct page_order *order)
{
    uint32_t *later = allocate(order->page_count, sizeof *later);
    free(order->next);
    order->next = allocate(order->count, sizeof *order->next);
    for (size_t i = order->count; i-- != 0;) {
        order->next[i] = later[order->page[i]];
        later[order->page[i]] = (uint32_t)i;
    }
    free(later);
}

struct memory {
    uint32_t *key;     /* nodes 1 .. 2 * leaves - 1 of the tournament; the leaves are the last */
    uint32_t *page_in; /* of each frame in use */
    uint32_t *frame_of;
    size_t leaves;
    uint64_t frames;
    uint64_t used;
};

static void make_memory(struct memory *memory, uint64_t frames, uint32_t page_count)
{
    *memory = (struct memory){.leaves = 1, .frames = frames < page_count ? frames : page_count};
    while (memory->leaves < memory->frames)
        memory->leaves *= 2;
    memory->key = allocate(memory->leaves * 2, sizeof *memory->key);
    memory->page_in = allocate(memory->leaves, sizeof *memory->page_in);
    memory->frame_of = allocate(page_count, sizeof *memory->frame_of);
    memset(memory->frame_of, 0xff, page_count * sizeof *memory->frame_of);
}

static void free_memory(struct memory *memory)
{
    free(memory->key);
    free(memory->page_in);
    free(memory->frame_of);
}

static void raise_key(struct memory *memory, size_t frame, uint32_t key)
{
    for (size_t node = memory->leaves + frame; node != 0 && memory->key[node] < key; node /= 2)
        memory->key[node] = key;
}

/* The frame whose page is used last of all, made empty. */
static size_t evict(struct memory *memory)
{
    size_t node = 1;
    while (node < memory->leaves) {
        node *= 2;
        node += memory->key[node] != memory->key[node / 2];
    }
    size_t frame = node - memory->leaves;
    memory->frame_of[memory->page_in[frame]] = NOT_IN_MEMORY;
    memory->key[node] = KEY_EMPTY;
    while ((node /= 2) != 0) {
        const uint32_t *child = &memory->key[2 * node];
        memory->key[node] = child[0] > child[1] ? child[0] : child[1];
    }
    return frame;
}

uint64_t min_misses(const struct page_order *order, uint64_t frames)
{
    struct memory memory;
    uint64_t misses = 0;
    make_memory(&memory, frames, order->page_count);
    for (size_t i = 0; i < order->count; i++) {
        uint32_t page = order->page[i];
        size_t frame = memory.frame_of[page];
        if (frame == NOT_IN_MEMORY) {
            misses++;
            frame = memory.used < memory.frames ? memory.used++ : evict(&memory);
            memory.page_in[frame] = page;
            memory.frame_of[page] = (uint32_t)frame;
        }
        raise_key(&memory, frame, order->next[i] != 0 ? order->next[i] : KEY_NEVER);
    }
    free_memory(&memory);
    return misses;
}
