/*
 * LRU stack distances, exact, O(log pages) a use. The LRU stack lies in two parts:
 *
 *   front[0 .. FRONT)    the most recently used pages in order: most uses end here, after a few
 *                        comparisons
 *   slots                all pages below them, by the time at which they left the front: of two
 *                        pages the one with the higher slot is more recent. A Fenwick tree over
 *                        the slots counts the pages above a slot.
 *
 * Slots are handed out rising; when they are used up, the live ones move together.
 */
#include "page_policies.h"

#include <stdlib.h>
#include <string.h>

#define FRONT 32u
#define FIRST_SLOTS 1024u
#define NO_PAGE UINT32_MAX
#define IN_FRONT UINT32_MAX

struct lru {
    uint32_t front[FRONT];
    uint32_t front_count;
    uint32_t *slot_of; /* of each page below page_count, or IN_FRONT */
    uint32_t page_count;
    uint32_t page_capacity;
    uint32_t *page_at; /* of each slot, or NO_PAGE */
    uint32_t *tree;    /* Fenwick: tree[i] counts the pages in slots [i - lowbit(i), i), 1-based */
    uint32_t slot_capacity;
    uint32_t slot_next;
    uint32_t live; /* pages in slots */
};

static void make_slots(struct lru *lru, uint32_t capacity)
{
    lru->slot_capacity = capacity;
    lru->slot_next = 0;
    lru->tree = allocate((size_t)capacity + 1, sizeof *lru->tree);
    lru->page_at = allocate(capacity, sizeof *lru->page_at);
}

struct lru *lru_create(void)
{
    struct lru *lru = allocate(1, sizeof *lru);
    make_slots(lru, FIRST_SLOTS);
    return lru;
}

void lru_destroy(struct lru *lru)
{
    free(lru->tree);
    free(lru->page_at);
    free(lru->slot_of);
    free(lru);
}

static void tree_add(struct lru *lru, uint32_t slot, uint32_t change)
{
    for (uint32_t i = slot + 1; i <= lru->slot_capacity; i += i & (0u - i))
        lru->tree[i] += change;
}

/* Pages in the slots below one. */
static uint32_t tree_below(const struct lru *lru, uint32_t slot)
{
    uint32_t sum = 0;
    for (uint32_t i = slot; i != 0; i &= i - 1)
        sum += lru->tree[i];
    return sum;
}

static void take_slot(struct lru *lru, uint32_t page)
{
    uint32_t slot = lru->slot_next++;
    lru->page_at[slot] = page;
    lru->slot_of[page] = slot;
    tree_add(lru, slot, 1);
}

/* All slots are used up: those with a page move together, into twice as many if half are live. */
static void gather_slots(struct lru *lru)
{
    uint32_t *old_pages = lru->page_at;
    uint32_t old_capacity = lru->slot_capacity;
    free(lru->tree);
    make_slots(lru, lru->live >= old_capacity / 2 ? old_capacity * 2 : old_capacity);
    for (uint32_t slot = 0; slot < old_capacity; slot++)
        if (old_pages[slot] != NO_PAGE)
            take_slot(lru, old_pages[slot]);
    free(old_pages);
}

/* Puts a page on top of the stack; position is where it is in the front, or front_count. */
static void put_on_top(struct lru *lru, uint32_t page, uint32_t position)
{
    if (position == FRONT) {
        if (lru->slot_next == lru->slot_capacity)
            gather_slots(lru);
        take_slot(lru, lru->front[--position]);
        lru->live++;
    } else if (position == lru->front_count) {
        lru->front_count++;
    }
    memmove(lru->front + 1, lru->front, position * sizeof *lru->front);
    lru->front[0] = page;
    lru->slot_of[page] = IN_FRONT;
}

static void meet_page(struct lru *lru)
{
    if (lru->page_count == lru->page_capacity) {
        lru->page_capacity = lru->page_capacity != 0 ? lru->page_capacity * 2 : FIRST_SLOTS;
        lru->slot_of = realloc(lru->slot_of, lru->page_capacity * sizeof *lru->slot_of);
        if (lru->slot_of == NULL)
            die("no memory");
    }
    lru->slot_of[lru->page_count++] = IN_FRONT;
}

static uint32_t leave_slot(struct lru *lru, uint32_t page)
{
    uint32_t slot = lru->slot_of[page];
    uint32_t distance = FRONT + lru->live - tree_below(lru, slot);
    tree_add(lru, slot, UINT32_MAX); /* minus 1 */
    lru->page_at[slot] = NO_PAGE;
    lru->live--;
    return distance;
}

uint32_t lru_use(struct lru *lru, uint32_t page)
{
    uint32_t position = 0;
    uint32_t distance = DISTANCE_NEVER;
    while (position < lru->front_count && lru->front[position] != page)
        position++;
    if (position < lru->front_count)
        distance = position + 1;
    else if (page < lru->page_count)
        distance = leave_slot(lru, page);
    else
        meet_page(lru);
    put_on_top(lru, page, position);
    return distance;
}

void distances_add(struct distances *distances, uint32_t distance)
{
    if (distance == DISTANCE_NEVER) {
        distances->never++;
        return;
    }
    if (distance >= distances->size) {
        size_t size = (size_t)distance * 2;
        distances->count = realloc(distances->count, size * sizeof *distances->count);
        if (distances->count == NULL)
            die("no memory");
        memset(distances->count + distances->size, 0,
               (size - distances->size) * sizeof *distances->count);
        distances->size = size;
    }
    distances->count[distance]++;
}

uint64_t distances_misses(const struct distances *distances, uint64_t frames)
{
    uint64_t misses = distances->never;
    for (size_t distance = distances->size; distance-- > frames + 1;)
        misses += distances->count[distance];
    return misses;
}
