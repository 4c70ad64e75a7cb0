/*
 * Free frames: single ones, and aligned 2 MiB runs.
 *
 * A run counts its zeroed and free frames; when all 512 are, it stands on the node's list of whole
 * runs. So a run is found by looking at the head of that list, and every change costs O(1): no
 * scan, and no merging or splitting when frames come and go at a boundary. Only when none is whole
 * are all rows looked at, for a run whose other frames are on standby.
 */
#include "base/bits.h"
#include "phys/cache.h"
#include "phys/free.h"
#include "phys/poison.h"
#include "phys/rows.h"

/* Frames freed together that go to a processor's cache, if there is room. */
#define CACHED_CHAIN_FRAMES 16u

struct run *run_of(const struct call *c, uint64_t frame)
{
    const struct anchor *anchor = anchor_of(c);
    for (uint32_t i = 0; i < get32(&anchor->range_count); i++) {
        const struct frame_range *range = &anchor->ranges[i];
        if (frame - get64(&range->base_frame) >= load64_acquire(&range->frame_count))
            continue;
        uint64_t index = frame / RUN_FRAMES - get64(&range->first_run);
        if (index >= get32(&range->run_count))
            return NULL;
        return (struct run *)core_at(c->bias, get64(&range->run_ref)) + index;
    }
    return NULL;
}

/* Rows that follow each other are often those of frames that do. */
#define ROWS_AHEAD 12u

static uint64_t run_ref(const struct call *c, const struct run *run) { return core_ref(c, run); }

void run_list_add(struct call *c, struct node *node, struct run *run)
{
    uint64_t head = get64(&node->whole_runs);
    uint64_t ref = run_ref(c, run);
    set64(&run->next, head);
    set64(&run->prev, 0);
    if (head)
        set64(&((struct run *)core_at(c->bias, head))->prev, ref);
    set64(&node->whole_runs, ref);
    set64(&node->whole_run_count, get64(&node->whole_run_count) + 1);
}

static void run_list_remove(struct call *c, struct node *node, struct run *run)
{
    uint64_t next = get64(&run->next);
    uint64_t prev = get64(&run->prev);
    if (prev)
        set64(&((struct run *)core_at(c->bias, prev))->next, next);
    else
        set64(&node->whole_runs, next);
    if (next)
        set64(&((struct run *)core_at(c->bias, next))->prev, prev);
    set64(&run->next, 0);
    set64(&run->prev, 0);
    set64(&node->whole_run_count, get64(&node->whole_run_count) - 1);
}

/* A frame of a run leaves the zeroed or free list, or comes to it. (N) is held. */
static void run_take(struct call *c, struct node *node, uint64_t frame)
{
    struct run *run = run_of(c, frame);
    if (!run)
        return;
    uint32_t count = get32(&run->free_count);
    if (count == RUN_FRAMES)
        run_list_remove(c, node, run);
    set32(&run->free_count, count - 1);
}

static void run_give(struct call *c, struct node *node, uint64_t frame)
{
    struct run *run = run_of(c, frame);
    if (!run)
        return;
    uint32_t count = get32(&run->free_count) + 1;
    set32(&run->free_count, count);
    if (count == RUN_FRAMES)
        run_list_add(c, node, run);
}

static inline uint64_t pop(struct call *c, struct node *node, struct frame_list *list,
                           enum ntmm_frame_use use)
{
    uint64_t frame = get64(&list->head);
    if (frame == FRAME_NONE)
        return FRAME_NONE;
    struct pfn *pfn = pfn_at(c, frame);
    uint64_t next = get64(&pfn->flink);
    if (next != FRAME_NONE)
        __builtin_prefetch(pfn_at(c, next));
    list_remove(c, list, frame);
    run_take(c, node, frame);
    free_make_active(pfn, use);
    frame_step(c, pfn, list == &node->zeroed ? "take_zeroed" : "take_free");
    return frame;
}

uint64_t free_pop(struct call *c, struct node *node, struct frame_list *list,
                  enum ntmm_frame_use use)
{
    return pop(c, node, list, use);
}

/* Frames of one run, or of none, that leave its list together. */
static void run_take_many(struct call *c, struct node *node, struct run *run, uint32_t count)
{
    if (!run)
        return;
    if (get32(&run->free_count) == RUN_FRAMES)
        run_list_remove(c, node, run);
    set32(&run->free_count, get32(&run->free_count) - count);
}

/* Frames in a row that stay in a row, wherever a chain begins: a half of what it can have, of which
 * it takes more than that. */
#define CHAIN_BLOCK (FRAME_CACHE_FRAMES / 2)

/*
 * Whether a chain of `taken` frames that ends with `frame` had better not go on with `next`, which
 * lies elsewhere. A chain that ended in the middle of frames in a row would leave a break there for
 * ever: what comes free together goes back to the list together, and is cut elsewhere the next
 * time. With time no two rows of the list would follow each other in memory.
 */
static bool is_good_end(uint64_t taken, uint64_t most, uint64_t frame, uint64_t next)
{
    return taken > most / 2 && next / CHAIN_BLOCK != frame / CHAIN_BLOCK;
}

uint64_t free_pop_chain(struct call *c, struct node *node, struct frame_list *list, uint64_t *count)
{
    const struct frame_range *first = &anchor_of(c)->ranges[0];
    uint64_t base = get64(&first->base_frame), row_count = get64(&first->frame_count);
    struct pfn *rows = core_at(c->bias, get64(&first->pfn_ref));
    uint64_t head = get64(&list->head), frame = head, taken = 0;
    uint64_t most = min_u64(*count, get64(&list->count));
    uint32_t of_run = 0;
    for (bool is_end = false; !is_end;) {
        uint64_t index = frame - base;
        struct pfn *pfn = index < row_count ? rows + index : pfn_slow_at(c, frame);
        uint64_t next = get64(&pfn->flink);
        free_fetch_line(pfn + ROWS_AHEAD);
        free_make_active(pfn, NTMM_USE_FREE);
        set64(&pfn->blink, FRAME_NONE);
        frame_step(c, pfn, list == &node->zeroed ? "take_zeroed" : "take_free");
        of_run++;
        taken++;
        is_end = taken == most || is_good_end(taken, most, frame, next);
        if (is_end || next / RUN_FRAMES != frame / RUN_FRAMES) {
            run_take_many(c, node, run_of(c, frame), of_run);
            of_run = 0;
        }
        frame = next;
    }
    list_cut(c, list, frame, taken);
    *count = taken;
    return head;
}

void free_put(struct call *c, struct node *node, struct frame_list *list, uint64_t previous,
              uint64_t frame)
{
    struct pfn *pfn = pfn_at(c, frame);
    set32(&pfn->share_count, 0);
    set16(&pfn->reference_count, 0);
    store16_relaxed(&pfn->state,
                    pfn_state((enum ntmm_frame_location)get32(&list->location), NTMM_USE_FREE, 0));
    list_push_after(c, list, previous, frame);
    frame_step(c, pfn, list == &node->zeroed ? "put_zeroed" : "put_free");
    run_give(c, node, frame);
}

/* Frames that hold pages of processes, now and at most. (N) is held, but no (P): of a page that
 * came through one cache and goes through another only the going may be seen. */
static uint64_t note_peak(const struct call *c, struct node *node)
{
    uint64_t now = get64(&node->user_pages) + caches_user_pages(c);
    if ((int64_t)now < 0)
        now = 0;
    if (now > get64(&node->user_peak))
        set64(&node->user_peak, now);
    return now;
}

/* The caches count without (N): the peak was before, or is afterwards. */
static __attribute__((noinline)) void count_user_with_caches(const struct call *c,
                                                             struct node *node, int64_t difference)
{
    (void)note_peak(c, node);
    set64(&node->user_pages, get64(&node->user_pages) + (uint64_t)difference);
    (void)note_peak(c, node);
}

/* (N) is held. */
static inline void count_user(const struct call *c, struct node *node, int64_t difference)
{
    if (__builtin_expect(caches_are_used(c), 0)) {
        count_user_with_caches(c, node, difference);
        return;
    }
    uint64_t now = get64(&node->user_pages) + (uint64_t)difference;
    set64(&node->user_pages, now);
    if (now > get64(&node->user_peak))
        set64(&node->user_peak, now);
}

uint64_t frames_user_pages(struct call *c, uint64_t *peak)
{
    struct node *node = &partition_of(c)->node;
    lock_acquire(c, &node->lock, LOCK_NODE);
    uint64_t pages = note_peak(c, node);
    *peak = get64(&node->user_peak);
    lock_release(c, &node->lock, LOCK_NODE);
    return pages;
}

static uint64_t pop_any(struct call *c, enum ntmm_frame_use use, bool wants_zeroed, bool *is_zeroed)
{
    struct node *node = &partition_of(c)->node;
    struct frame_list *first = wants_zeroed ? &node->zeroed : &node->free;
    struct frame_list *second = wants_zeroed ? &node->free : &node->zeroed;

    if (__builtin_expect(!lock_acquire(c, &node->lock, LOCK_NODE), 0))
        caches_begin(c);
    uint64_t frame = pop(c, node, first, use);
    *is_zeroed = wants_zeroed && frame != FRAME_NONE;
    if (frame == FRAME_NONE)
        frame = pop(c, node, second, use);
    if (free_is_user(use) && frame != FRAME_NONE)
        count_user(c, node, 1);
    lock_release(c, &node->lock, LOCK_NODE);
    if (frame != FRAME_NONE)
        poison_end(c, frame);
    return frame;
}

/* A frame that was taken off its standby list, with (F) held, which is released, is for something
 * else; its page is where its original entry says. Returns its priority. */
static uint32_t reuse(struct call *c, enum ntmm_frame_use use, uint64_t frame)
{
    struct partition *partition = partition_of(c);
    struct pfn *pfn = pfn_at(c, frame);
    int64_t difference = free_is_user(use) - free_is_user(pfn_use(pfn));
    uint32_t priority = pfn_priority(pfn);
    (void)add64(&partition->standby_pages, ~0ull);
    frame_restore_entry(c, pfn);
    set64(&pfn->entry_address, 0);
    store64_relaxed(&pfn->original_pte, 0);
    set64(&pfn->table_frame, 0);
    free_make_active(pfn, use);
    frame_step(c, pfn, "take_standby");
    frame_unlock(c, frame);
    if (difference) {
        lock_acquire(c, &partition->node.lock, LOCK_NODE);
        count_user(c, &partition->node, difference);
        lock_release(c, &partition->node.lock, LOCK_NODE);
    }
    return priority;
}

/* Take the frame of a page that is on standby: lowest priority, then oldest, first. */
static uint64_t take_standby(struct call *c, enum ntmm_frame_use use, uint32_t priorities,
                             uint32_t *priority)
{
    struct partition *partition = partition_of(c);
    uint64_t frame = FRAME_NONE;
    for (uint32_t i = 0; i < priorities && frame == FRAME_NONE; i++) {
        if (load64_relaxed(&partition->standby[i].count) != 0)
            frame = frame_take_oldest(c, &partition->standby[i]);
    }
    if (frame != FRAME_NONE)
        *priority = reuse(c, use, frame);
    return frame;
}

static void count_repurposed(struct call *c, uint32_t priority)
{
    system_count(c, NTMM_COUNTER_PAGES_REPURPOSED, 1);
    (void)add64(&partition_of(c)->repurposed[priority], 1);
}

/* The same for something else, whatever the priority: that is counted. */
static uint64_t repurpose(struct call *c, enum ntmm_frame_use use)
{
    uint32_t priority;
    uint64_t frame = take_standby(c, use, STANDBY_PRIORITIES, &priority);
    if (frame != FRAME_NONE)
        count_repurposed(c, priority);
    return frame;
}

void frames_purge_standby(struct call *c, uint32_t priorities)
{
    uint64_t most = load64_relaxed(&partition_of(c)->standby_pages);
    uint32_t priority;
    for (uint64_t frame; most > 0; most--) {
        frame = take_standby(c, NTMM_USE_FREE, priorities, &priority);
        if (frame == FRAME_NONE)
            return;
        frame_free(c, frame);
    }
}

/* Whether a test wants this allocation to fail. */
static bool is_to_fail(struct call *c)
{
    struct allocation_failures *failures = &c->sys->failures;
    if (__builtin_expect(failures->count == 0, 1))
        return false;
    if (failures->after != 0) {
        failures->after--;
        return false;
    }
    failures->count -= failures->count != UINT64_MAX;
    return true;
}

static bool node_has_frames(const struct call *c)
{
    const struct node *node = &partition_of(c)->node;
    return (load64_relaxed(&node->zeroed.count) | load64_relaxed(&node->free.count)) != 0;
}

bool frames_are_unused(const struct call *c) { return node_has_frames(c) || caches_frames(c) != 0; }

/* The same where there are caches: not of others' unless there is none else. */
static __attribute__((noinline)) uint64_t take_cached(struct call *c, enum ntmm_frame_use use,
                                                      bool wants_zeroed, bool *is_zeroed)
{
    uint64_t frame = wants_zeroed ? cache_take(c, use, is_zeroed) : FRAME_NONE;
    if (frame == FRAME_NONE && node_has_frames(c))
        frame = pop_any(c, use, wants_zeroed, is_zeroed);
    if (frame == FRAME_NONE && caches_drain(c))
        frame = pop_any(c, use, wants_zeroed, is_zeroed);
    return frame;
}

/* A zeroed or free frame. FRAME_NONE: none. */
static inline uint64_t take_unused(struct call *c, enum ntmm_frame_use use, bool wants_zeroed,
                                   bool *is_zeroed)
{
    if (__builtin_expect(caches_are_used(c), 0))
        return take_cached(c, use, wants_zeroed, is_zeroed);
    return node_has_frames(c) ? pop_any(c, use, wants_zeroed, is_zeroed) : FRAME_NONE;
}

/* A zeroed or free frame, else one from standby. FRAME_NONE with c->want set: none is left. */
static uint64_t take_any(struct call *c, enum ntmm_frame_use use, bool wants_zeroed,
                         bool *is_zeroed)
{
    bool is_failed = is_to_fail(c);
    uint64_t frame = FRAME_NONE;
    *is_zeroed = false;
    if (!is_failed)
        frame = take_unused(c, use, wants_zeroed, is_zeroed);
    if (frame == FRAME_NONE && !is_failed)
        frame = repurpose(c, use);
    if (frame == FRAME_NONE)
        c->want = (struct want){.kind = WANT_FRAME, .pages = 1};
    else
        condition_note(c);
    return frame;
}

bool frame_allocate(struct call *c, enum ntmm_frame_use use, uint64_t *frame)
{
    bool is_zeroed;
    uint64_t taken = take_any(c, use, false, &is_zeroed);
    if (taken != FRAME_NONE)
        *frame = taken;
    return taken != FRAME_NONE;
}

/* Frames of a use, or not of it any more. Takes (N). */
static void count_use(struct call *c, enum ntmm_frame_use use, int64_t difference)
{
    struct node *node = &partition_of(c)->node;
    if (!free_is_user(use))
        return;
    lock_acquire(c, &node->lock, LOCK_NODE);
    count_user(c, node, difference);
    lock_release(c, &node->lock, LOCK_NODE);
}

void frame_capture(struct call *c, uint64_t frame)
{
    struct pfn *pfn = pfn_at(c, frame);
    count_use(c, pfn_use(pfn), -1);
    set64(&pfn->entry_address, 0);
    store64_relaxed(&pfn->original_pte, 0);
    set64(&pfn->table_frame, 0);
    free_make_active(pfn, NTMM_USE_FREE);
    frame_step(c, pfn, "capture");
}

void frames_give_use(struct call *c, enum ntmm_frame_use use, uint64_t base, uint64_t count)
{
    for (uint64_t frame = base; frame < base + count; frame++) {
        free_make_active(pfn_at(c, frame), use);
        frame_step(c, pfn_at(c, frame), "use");
    }
    count_use(c, use, (int64_t)count);
}

/* A frame that cannot be zeroed never was what it was taken for. */
static void retire(struct call *c, uint64_t frame, enum ntmm_frame_use use)
{
    count_use(c, use, -1);
    free_make_active(pfn_at(c, frame), NTMM_USE_FREE);
    frame_step(c, pfn_at(c, frame), "use");
    frame_make_bad(c, frame);
}

bool frame_allocate_to_zero(struct call *c, enum ntmm_frame_use use, uint64_t *frame,
                            bool *is_zeroed)
{
    uint64_t taken = take_any(c, use, true, is_zeroed);
    if (taken != FRAME_NONE)
        *frame = taken;
    return taken != FRAME_NONE;
}

bool frame_zero(struct call *c, enum ntmm_frame_use use, uint64_t frame)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    c->zeroed_inline++;
    if (NTMM_SUCCEEDED(platform->zero(platform->context, &frame, 1)))
        return true;
    retire(c, frame, use);
    return false;
}

bool frame_allocate_zeroed(struct call *c, enum ntmm_frame_use use, uint64_t *frame)
{
    for (;;) {
        bool is_zeroed;
        uint64_t taken = take_any(c, use, true, &is_zeroed);
        if (taken == FRAME_NONE)
            return false;
        *frame = taken;
        if (is_zeroed || frame_zero(c, use, taken))
            return true;
    }
}

void chain_add(struct call *c, struct frame_chain *chain, uint64_t frame)
{
    struct pfn *pfn = pfn_at(c, frame);
    set64(&pfn->flink, FRAME_NONE);
    if (chain->head == FRAME_NONE)
        chain->head = frame;
    else
        set64(&pfn_at(c, chain->tail)->flink, frame);
    chain->tail = frame;
    chain->count++;
}

/* Frames put back while (N) is held once. */
#define FREE_PIECE 64u

static void forget_page(struct pfn *pfn)
{
    set64(&pfn->entry_address, 0);
    store64_relaxed(&pfn->original_pte, 0);
    set64(&pfn->table_frame, 0);
}

/* Put a frame behind `previous` on the free list. (N) is held. */
static void give_back(struct call *c, struct node *node, uint64_t previous, uint64_t frame)
{
    struct pfn *pfn = pfn_at(c, frame);
    if (free_is_user(pfn_use(pfn)))
        count_user(c, node, -1);
    forget_page(pfn);
    poison_mark(c, pfn);
    set32(&pfn->share_count, 0);
    set16(&pfn->reference_count, 0);
    store16_relaxed(&pfn->state, pfn_state(NTMM_FRAME_FREE, NTMM_USE_FREE, 0));
    list_push_after(c, &node->free, previous, frame);
    frame_step(c, pfn, "put_free");
    run_give(c, node, frame);
}

/* Few frames, to the processor's cache. False: they do not fit in. */
static __attribute__((noinline)) bool free_to_cache(struct call *c, struct frame_chain *chain)
{
    uint64_t user = 0;
    if (chain->count > CACHED_CHAIN_FRAMES)
        return false;
    for (uint64_t frame = chain->head; frame != FRAME_NONE; frame = get64(&pfn_at(c, frame)->flink))
        user += free_is_user(pfn_use(pfn_at(c, frame)));
    for (uint64_t frame = chain->head; frame != FRAME_NONE;
         frame = get64(&pfn_at(c, frame)->flink)) {
        forget_page(pfn_at(c, frame));
        poison_mark(c, pfn_at(c, frame));
    }
    return cache_put(c, chain, user);
}

/* In order, so that what was freed together is handed out again in the order of its addresses; in
 * pieces, so that other processors do not wait for all of it. What was put back last may be taken
 * between two pieces: then the next one goes to the head. */
static void free_to_node(struct call *c, const struct frame_chain *chain)
{
    struct node *node = &partition_of(c)->node;
    uint64_t frame = chain->head, previous = FRAME_NONE;
    do {
        lock_acquire(c, &node->lock, LOCK_NODE);
        if (previous != FRAME_NONE && pfn_location(pfn_at(c, previous)) != NTMM_FRAME_FREE)
            previous = FRAME_NONE;
        for (uint32_t left = FREE_PIECE; left > 0 && frame != FRAME_NONE; left--) {
            uint64_t next = get64(&pfn_at(c, frame)->flink);
            give_back(c, node, previous, frame);
            previous = frame;
            frame = next;
        }
        lock_release(c, &node->lock, LOCK_NODE);
    } while (frame != FRAME_NONE);
}

void chain_free(struct call *c, struct frame_chain *chain)
{
    if (chain->count == 0)
        return;
    poison_fill_chain(c, chain);
    if (__builtin_expect(caches_are_used(c), 0) && free_to_cache(c, chain))
        atomic_thread_fence(memory_order_seq_cst); /* against frames_available, as frame_enlist */
    else
        free_to_node(c, chain);
    *chain = chain_empty();
    waiters_wake_all(c, &c->sys->for_frame);
    condition_note(c);
}

void frame_free(struct call *c, uint64_t frame)
{
    struct frame_chain chain = chain_empty();
    chain_add(c, &chain, frame);
    chain_free(c, &chain);
}

void frame_free_zeroed(struct call *c, enum ntmm_frame_use use, uint64_t frame)
{
    struct node *node = &partition_of(c)->node;
    lock_acquire(c, &node->lock, LOCK_NODE);
    if (free_is_user(use))
        count_user(c, node, -1);
    forget_page(pfn_at(c, frame));
    free_put(c, node, &node->zeroed, FRAME_NONE, frame);
    lock_release(c, &node->lock, LOCK_NODE);
    waiters_wake_all(c, &c->sys->for_frame);
    condition_note(c);
}

/* A zeroed or free frame, off its list. (N) is held. */
static inline void take_listed(struct call *c, uint64_t frame, enum ntmm_frame_use use)
{
    struct pfn *pfn = pfn_at(c, frame);
    struct frame_list *list = list_for(c, pfn_location(pfn), 0);
    list_remove(c, list, frame);
    free_make_active(pfn, use);
    frame_step(c, pfn, list == &partition_of(c)->node.zeroed ? "take_zeroed" : "take_free");
    poison_end(c, frame);
}

/* Every frame of a whole run. (N) is held. */
static void take_run(struct call *c, struct node *node, struct run *run, enum ntmm_frame_use use)
{
    uint64_t base = get64(&run->base_frame);
    run_list_remove(c, node, run);
    set32(&run->free_count, 0);
    for (uint64_t frame = base; frame < base + RUN_FRAMES; frame++) {
        take_listed(c, frame, use);
    }
    if (free_is_user(use))
        count_user(c, node, RUN_FRAMES);
}

/* Whether a run is the first of `count` whole ones, aligned to their size. (N) is held. */
static bool begins_row(const struct call *c, const struct run *run, uint64_t count)
{
    uint64_t base = get64(&run->base_frame);
    if (base & (count * RUN_FRAMES - 1))
        return false;
    for (uint64_t i = 1; i < count; i++) {
        const struct run *next = run_of(c, base + i * RUN_FRAMES);
        if (!next || get32(&next->free_count) != RUN_FRAMES)
            return false;
    }
    return true;
}

/* The first run of a row, or NULL. (N) is held. */
static struct run *find_row(const struct call *c, const struct node *node, uint64_t count)
{
    for (uint64_t ref = get64(&node->whole_runs), next; ref; ref = next) {
        struct run *run = core_at(c->bias, ref);
        next = get64(&run->next);
        if (begins_row(c, run, count))
            return run;
    }
    return NULL;
}

/* --- runs that are not whole --- */

#define ROW_ATTEMPTS 4u /* others may take a frame of the row that was chosen */

/* Frames on standby in a row, the others being zeroed or free (row_cost). */
static uint64_t count_standby(const struct call *c, uint64_t base, uint64_t count, uint64_t most)
{
    uint64_t found = 0;
    for (uint64_t frame = base; frame < base + count && found < most; frame++) {
        enum ntmm_frame_location location = pfn_location(pfn_at(c, frame));
        if (location > NTMM_FRAME_STANDBY)
            return UINT64_MAX;
        found += location == NTMM_FRAME_STANDBY;
    }
    return found;
}

void row_take_free(struct call *c, enum ntmm_frame_use use, uint64_t base, uint64_t count,
                   struct frame_chain *taken)
{
    struct node *node = &partition_of(c)->node;
    uint64_t before = taken->count;
    lock_acquire(c, &node->lock, LOCK_NODE);
    for (uint64_t frame = base; frame < base + count; frame++) {
        if (pfn_location(pfn_at(c, frame)) > NTMM_FRAME_FREE)
            continue;
        take_listed(c, frame, use);
        run_take(c, node, frame);
        chain_add(c, taken, frame);
    }
    if (free_is_user(use))
        count_user(c, node, (int64_t)(taken->count - before));
    lock_release(c, &node->lock, LOCK_NODE);
}

bool frame_repurpose(struct call *c, enum ntmm_frame_use use, uint64_t frame)
{
    if (!frame_take_from_standby(c, frame))
        return false;
    count_repurposed(c, reuse(c, use, frame));
    return true;
}

/* Frames of a row that are on standby, to the chain. */
static void take_standby_of_row(struct call *c, enum ntmm_frame_use use, uint64_t base,
                                uint64_t count, struct frame_chain *taken)
{
    for (uint64_t frame = base; frame < base + count && taken->count < count; frame++) {
        if (pfn_location(pfn_at(c, frame)) == NTMM_FRAME_STANDBY && frame_repurpose(c, use, frame))
            chain_add(c, taken, frame);
    }
}

/* The first frame of a row that is made of what is available. FRAME_NONE: there is none. */
static uint64_t take_row(struct call *c, enum ntmm_frame_use use, uint64_t count)
{
    for (uint32_t i = 0; i < ROW_ATTEMPTS; i++) {
        struct frame_chain taken = chain_empty();
        uint64_t base = row_cheapest(c, count, count_standby);
        if (base == FRAME_NONE)
            return FRAME_NONE;
        row_take_free(c, use, base, count, &taken);
        take_standby_of_row(c, use, base, count, &taken);
        if (taken.count == count)
            return base;
        chain_free(c, &taken);
    }
    return FRAME_NONE;
}

static uint64_t take_whole_row(struct call *c, enum ntmm_frame_use use, uint64_t count)
{
    struct node *node = &partition_of(c)->node;
    lock_acquire(c, &node->lock, LOCK_NODE);
    const struct run *first = find_row(c, node, count);
    uint64_t base = first ? get64(&first->base_frame) : FRAME_NONE;
    for (uint64_t i = 0; first && i < count; i++)
        take_run(c, node, run_of(c, base + i * RUN_FRAMES), use);
    lock_release(c, &node->lock, LOCK_NODE);
    return base;
}

uint64_t row_take(struct call *c, enum ntmm_frame_use use, uint64_t count)
{
    uint64_t base = take_whole_row(c, use, count / RUN_FRAMES);
    if (base == FRAME_NONE && caches_drain(c))
        base = take_whole_row(c, use, count / RUN_FRAMES);
    if (base == FRAME_NONE && frames_available(c) >= count)
        base = take_row(c, use, count);
    return base;
}

bool runs_allocate(struct call *c, enum ntmm_frame_use use, uint64_t count, uint64_t *base_frame)
{
    uint64_t frames = count * RUN_FRAMES;
    uint64_t base = rows_take_held(c, use, frames);
    if (base == FRAME_NONE)
        base = row_take(c, use, frames);
    if (base == FRAME_NONE) {
        c->want = (struct want){.kind = WANT_FRAME, .pages = frames};
        return false;
    }
    *base_frame = base;
    condition_note(c);
    return true;
}

bool run_allocate(struct call *c, enum ntmm_frame_use use, uint64_t *base_frame)
{
    return runs_allocate(c, use, 1, base_frame);
}

/* Frames of the free list taken for zeroing in one go. */
#define ZERO_BATCH 16u

static uint32_t take_free_batch(struct call *c, uint64_t *frames, uint32_t most)
{
    struct node *node = &partition_of(c)->node;
    uint32_t count = 0;
    lock_acquire(c, &node->lock, LOCK_NODE);
    while (count < most) {
        uint64_t frame = free_pop(c, node, &node->free, NTMM_USE_FREE);
        if (frame == FRAME_NONE)
            break;
        frames[count++] = frame;
    }
    lock_release(c, &node->lock, LOCK_NODE);
    for (uint32_t i = 0; i < count; i++)
        poison_end(c, frames[i]);
    return count;
}

static void put_batch(struct call *c, const uint64_t *frames, uint32_t count,
                      struct frame_list *list)
{
    struct node *node = &partition_of(c)->node;
    lock_acquire(c, &node->lock, LOCK_NODE);
    for (uint32_t i = 0; i < count; i++)
        free_put(c, node, list, get64(&list->tail), frames[i]);
    lock_release(c, &node->lock, LOCK_NODE);
    waiters_wake_all(c, &c->sys->for_frame);
}

uint64_t frames_zero_some(struct call *c, uint64_t budget)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    struct node *node = &partition_of(c)->node;
    uint64_t frames[ZERO_BATCH];
    uint64_t done = 0;

    while (done < budget) {
        uint64_t left = budget - done;
        uint32_t count =
            take_free_batch(c, frames, left < ZERO_BATCH ? (uint32_t)left : ZERO_BATCH);
        if (count == 0)
            break;
        bool is_zeroed = NTMM_SUCCEEDED(platform->zero(platform->context, frames, count));
        put_batch(c, frames, count, is_zeroed ? &node->zeroed : &node->free);
        if (!is_zeroed)
            break;
        done += count;
    }
    return done;
}
