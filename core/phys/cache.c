/*
 * Caches of free frames. See cache.h.
 */
#include "phys/cache.h"
#include "base/bits.h"
#include "phys/free.h"
#include "phys/poison.h"

/* A cache takes this part of what the node has, if that is worth it. */
#define FILL_SHIFT 4u
#define FILL_FRAMES_MIN 8u
#define LINE_BYTES 64u
#define FETCH_FRAMES 16u /* that are left when it begins to fetch rows */
#define FETCH_BYTES (FRAME_CACHE_FRAMES * sizeof(struct pfn) / FETCH_FRAMES)

void caches_begin(struct call *c) { store32_release(&anchor_of(c)->has_caches, 1); }

uint64_t caches_count(const struct call *c, bool is_zeroed)
{
    const struct anchor *anchor = anchor_of(c);
    uint64_t frames = 0;
    for (uint32_t i = 0; i < FRAME_CACHES; i++) {
        const struct frame_cache *cache = &anchor->caches[i];
        if ((load32_relaxed(&cache->is_zeroed) != 0) == is_zeroed)
            frames += load32_relaxed(&cache->count);
    }
    return frames;
}

uint64_t caches_user_pages(const struct call *c)
{
    const struct anchor *anchor = anchor_of(c);
    uint64_t pages = 0;
    for (uint32_t i = 0; i < FRAME_CACHES; i++)
        pages += load64_relaxed(&anchor->caches[i].user_pages);
    return pages;
}

/* Zeroed frames are there for a cache that has none. */
static bool has_better(const struct node *node, const struct frame_cache *cache)
{
    return !get32(&cache->is_zeroed) &&
           load64_relaxed(&node->zeroed.count) >> FILL_SHIFT >= FILL_FRAMES_MIN;
}

static uint64_t pop(struct call *c, struct frame_cache *cache)
{
    uint64_t frame = get64(&cache->head);
    set64(&cache->head, get64(&pfn_at(c, frame)->flink));
    store32_relaxed(&cache->count, get32(&cache->count) - 1);
    return frame;
}

/* All of a cache, the first one at the head of its list. (P) and (N) are held. */
static void give_all(struct call *c, struct node *node, struct frame_cache *cache)
{
    struct frame_list *list = get32(&cache->is_zeroed) ? &node->zeroed : &node->free;
    uint64_t previous = FRAME_NONE;
    while (get32(&cache->count) != 0) {
        uint64_t frame = pop(c, cache);
        free_put(c, node, list, previous, frame);
        previous = frame;
    }
}

/* Who has few frames left fetches the rows of those that it takes next, some with each frame: those
 * that follow the first one, as they often do. Then others do not wait for that, nor does it. */
static void fetch_rows(const struct call *c, const struct node *node, uint32_t left)
{
    uint64_t frame = load64_relaxed(&node->zeroed.head);
    if (frame == FRAME_NONE)
        frame = load64_relaxed(&node->free.head);
    if (frame == FRAME_NONE)
        return;
    const char *row = (const char *)pfn_at(c, frame) + (FETCH_FRAMES - 1 - left) * FETCH_BYTES;
    for (uint32_t i = 0; i < FETCH_BYTES; i += LINE_BYTES)
        free_fetch_line(row + i);
}

/* (P) is held. */
static void fill(struct call *c, struct frame_cache *cache)
{
    struct node *node = &partition_of(c)->node;
    lock_acquire(c, &node->lock, LOCK_NODE);
    uint64_t zeroed = get64(&node->zeroed.count);
    uint64_t all = zeroed + get64(&node->free.count);
    uint64_t part = min_u64(all >> FILL_SHIFT, FRAME_CACHE_FRAMES);
    if (part >= FILL_FRAMES_MIN) {
        struct frame_list *list = zeroed ? &node->zeroed : &node->free;
        give_all(c, node, cache);
        set64(&cache->head, free_pop_chain(c, node, list, &part));
        store32_relaxed(&cache->is_zeroed, list == &node->zeroed);
        store32_relaxed(&cache->count, (uint32_t)part);
    }
    lock_release_inner(c, &node->lock, LOCK_NODE);
}

uint64_t cache_take(struct call *c, enum ntmm_frame_use use, bool *is_zeroed)
{
    struct frame_cache *cache = cache_of_processor(c);
    uint64_t frame = FRAME_NONE;
    lock_acquire(c, &cache->lock, LOCK_CACHE);
    if (get32(&cache->count) == 0 || has_better(&partition_of(c)->node, cache))
        fill(c, cache);
    if (get32(&cache->count) != 0) {
        frame = pop(c, cache);
        if (get32(&cache->count) < FETCH_FRAMES)
            fetch_rows(c, &partition_of(c)->node, get32(&cache->count));
        *is_zeroed = get32(&cache->is_zeroed) != 0;
        if (free_is_user(use))
            store64_relaxed(&cache->user_pages, load64_relaxed(&cache->user_pages) + 1);
    }
    lock_release(c, &cache->lock, LOCK_CACHE);
    if (frame != FRAME_NONE) {
        free_make_active(pfn_at(c, frame), use);
        poison_end(c, frame);
        frame_step(c, pfn_at(c, frame), "use");
    }
    return frame;
}

bool cache_put(struct call *c, const struct frame_chain *chain, uint64_t user)
{
    struct frame_cache *cache = cache_of_processor(c);
    lock_acquire(c, &cache->lock, LOCK_CACHE);
    uint32_t count = get32(&cache->count);
    bool has_room =
        chain->count <= FRAME_CACHE_FRAMES - count && (count == 0 || get32(&cache->is_zeroed) == 0);
    if (has_room) {
        for (uint64_t frame = chain->head; frame != FRAME_NONE;
             frame = get64(&pfn_at(c, frame)->flink)) {
            free_make_active(pfn_at(c, frame), NTMM_USE_FREE);
            frame_step(c, pfn_at(c, frame), "put_cached");
        }
        set64(&pfn_at(c, chain->tail)->flink, get64(&cache->head));
        set64(&cache->head, chain->head);
        store32_relaxed(&cache->is_zeroed, 0);
        store32_relaxed(&cache->count, count + (uint32_t)chain->count);
        store64_relaxed(&cache->user_pages, load64_relaxed(&cache->user_pages) - user);
    }
    lock_release(c, &cache->lock, LOCK_CACHE);
    return has_room;
}

bool caches_give_back(struct call *c)
{
    struct anchor *anchor = anchor_of(c);
    struct node *node = &partition_of(c)->node;
    bool had_some = false;
    for (uint32_t i = 0; i < FRAME_CACHES; i++) {
        struct frame_cache *cache = &anchor->caches[i];
        lock_acquire(c, &cache->lock, LOCK_CACHE);
        had_some |= get32(&cache->count) != 0;
        lock_acquire(c, &node->lock, LOCK_NODE);
        give_all(c, node, cache);
        lock_release_inner(c, &node->lock, LOCK_NODE);
        lock_release(c, &cache->lock, LOCK_CACHE);
    }
    return had_some;
}
