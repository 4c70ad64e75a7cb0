/*
 * The tree of marks. See watch.h.
 */
#include "space/watch.h"
#include "base/bits.h"
#include "phys/slab.h"

static struct watch_node *node_at(const struct call *c, uint64_t ref)
{
    return core_at(c->bias, ref);
}

static uint32_t index_of(uint64_t page, uint32_t level)
{
    return (uint32_t)(page >> watch_shift(level)) & (WATCH_FANOUT - 1);
}

/* The word of a leaf that holds a page's bits. */
static uint32_t word_of(uint64_t page) { return (uint32_t)(page / 64) & (WATCH_LEAF_WORDS - 1); }

static uint64_t bit_of(uint64_t page) { return 1ull << (page & 63); }

/* The leaf of a page; NULL, and in *level that of the node where it would go on: 0 for none. */
static struct watch_node *find_leaf(const struct call *c, const struct process *process,
                                    uint64_t page, uint32_t *level)
{
    uint64_t ref = get64(&process->watch_root);
    *level = WATCH_LEVELS;
    while (ref && --*level > 0)
        ref = get64(&node_at(c, ref)->word[index_of(page, *level)]);
    return ref ? node_at(c, ref) : NULL;
}

/* The first leaf that holds pages of [*page, end), and in *page the first of these. NULL: none. */
static struct watch_node *leaf_from(const struct call *c, const struct process *process,
                                    uint64_t *page, uint64_t end)
{
    while (*page < end) {
        uint32_t level;
        struct watch_node *leaf = find_leaf(c, process, *page, &level);
        if (leaf)
            return leaf;
        uint64_t span = 1ull << watch_shift(level);
        *page = round_down(*page, span) + span;
    }
    return NULL;
}

static bool is_empty(const struct watch_node *node)
{
    uint64_t any = 0;
    for (uint32_t i = 0; i < WATCH_FANOUT; i++)
        any |= get64(&node->word[i]);
    return any == 0;
}

/* Nodes on the way to a page that hold nothing go, from the lowest up. */
static void prune(struct call *c, struct process *process, uint64_t page)
{
    le64 *link[WATCH_LEVELS];
    uint32_t level = WATCH_LEVELS;
    le64 *next = &process->watch_root;
    while (level > 0 && get64(next)) {
        link[--level] = next;
        next = &node_at(c, get64(next))->word[index_of(page, level)];
    }
    for (; level < WATCH_LEVELS; level++) {
        uint64_t ref = get64(link[level]);
        if (!is_empty(node_at(c, ref)))
            return;
        set64(link[level], 0);
        slab_release(c, ref);
    }
}

void watch_begin(struct process *process, struct vad *vad)
{
    set32(&vad->type, VAD_WRITE_WATCH);
    set32(&process->has_watch, 1);
}

ntmm_status watch_reserve(struct call *c, struct process *process, const struct vad_place *place,
                          uint32_t protection, uint32_t win32, bool is_committed)
{
    ntmm_status status = private_reserve(c, process, place, protection, win32, is_committed);
    if (status == NTMM_STATUS_SUCCESS)
        watch_begin(process, vad_find(c, process, place->start));
    return status;
}

bool watch_has_room(const struct call *c, const struct process *process, uint64_t page)
{
    uint32_t level;
    return find_leaf(c, process, page, &level) != NULL;
}

bool watch_make_room(struct call *c, struct process *process, uint64_t page)
{
    le64 *link = &process->watch_root;
    for (uint32_t level = WATCH_LEVELS; level-- > 0;) {
        if (!get64(link)) {
            uint64_t ref = slab_allocate(c, SLAB_WATCH_NODE, process_index(process));
            if (!ref) {
                prune(c, process, page);
                return false;
            }
            set64(link, ref);
        }
        link = &node_at(c, get64(link))->word[index_of(page, level)];
    }
    return true;
}

void watch_drop_room(struct call *c, struct process *process, uint64_t page)
{
    prune(c, process, page);
    slab_trim_class(c, SLAB_WATCH_NODE);
}

void watch_mark(const struct call *c, const struct process *process, uint64_t page)
{
    uint32_t level;
    struct watch_node *leaf = find_leaf(c, process, page, &level);
    NTMM_ASSERT(leaf);
    le64 *word = &leaf->word[word_of(page)];
    set64(word, get64(word) | bit_of(page));
}

bool watch_is_marked(const struct call *c, const struct process *process, uint64_t page)
{
    uint32_t level;
    const struct watch_node *leaf = find_leaf(c, process, page, &level);
    return leaf && (get64(&leaf->word[word_of(page)]) & bit_of(page));
}

/* The bits of the word of `page` that are of pages from `page` to before `end`. */
static uint64_t bits_between(uint64_t page, uint64_t end)
{
    uint64_t first = page & ~63ull;
    uint64_t bits = ~0ull << (page - first);
    return end - first < 64 ? bits & ~(~0ull << (end - first)) : bits;
}

static uint64_t end_of_word(uint64_t page, uint64_t end)
{
    return min_u64(round_down(page, 64) + 64, end);
}

uint64_t watch_next(const struct call *c, const struct process *process, uint64_t start,
                    uint64_t end)
{
    for (uint64_t page = start; page < end;) {
        const struct watch_node *leaf = leaf_from(c, process, &page, end);
        uint64_t leaf_end = min_u64(round_down(page, WATCH_LEAF_PAGES) + WATCH_LEAF_PAGES, end);
        for (; leaf && page < leaf_end; page = end_of_word(page, leaf_end)) {
            uint64_t bits = get64(&leaf->word[word_of(page)]) & bits_between(page, leaf_end);
            if (bits)
                return round_down(page, 64) + (uint64_t)__builtin_ctzll(bits);
        }
    }
    return end;
}

void watch_latch(const struct call *c, const struct process *process, uint64_t start, uint64_t end)
{
    for (uint64_t page = start; page < end; page = end_of_word(page, end)) {
        struct watch_node *leaf = leaf_from(c, process, &page, end);
        if (!leaf)
            return;
        le64 *latched = &leaf->word[WATCH_LEAF_WORDS + word_of(page)];
        uint64_t written = get64(&leaf->word[word_of(page)]);
        set64(latched, get64(latched) | (written & bits_between(page, end)));
    }
}

/* Marks of one word go; returns which. */
static uint64_t clear_word(struct watch_node *leaf, uint64_t page, uint64_t end,
                           enum watch_marks which)
{
    le64 *written = &leaf->word[word_of(page)];
    le64 *latched = &leaf->word[WATCH_LEAF_WORDS + word_of(page)];
    uint64_t gone = get64(written) & bits_between(page, end);
    if (which == WATCH_NOT_LATCHED)
        gone &= ~get64(latched);
    set64(written, get64(written) & ~gone);
    set64(latched, get64(latched) & ~gone);
    return gone;
}

/* The next write of a page will fault. */
static void make_clean(struct call *c, struct process *process, uint64_t page, struct gather *g)
{
    const uint64_t dirty = FIELD_MASK(HW_DIRTY1) | FIELD_MASK(HW_DIRTY);
    struct table_span span = table_find(c, process, page);
    uint64_t raw = span.entry ? load64_relaxed(span.entry) : 0;
    if (!(raw & FIELD_MASK(HW_VALID)) || !(raw & dirty))
        return;
    while (!cas64(span.entry, &raw, raw & ~dirty)) {
    }
    gather_range(g, page, page + 1);
}

static void clean_word(struct call *c, struct process *process, uint64_t page, uint64_t gone,
                       struct gather *g)
{
    for (uint64_t bits = gone; bits; bits &= bits - 1)
        make_clean(c, process, round_down(page, 64) + (uint64_t)__builtin_ctzll(bits), g);
}

/* Marks of [start, end) go; g: and their pages are made clean. */
static void clear(struct call *c, struct process *process, uint64_t start, uint64_t end,
                  enum watch_marks which, struct gather *g)
{
    for (uint64_t page = start; page < end;) {
        struct watch_node *leaf = leaf_from(c, process, &page, end);
        uint64_t leaf_end = min_u64(round_down(page, WATCH_LEAF_PAGES) + WATCH_LEAF_PAGES, end);
        uint64_t any = 0;
        for (uint64_t at = page; leaf && at < leaf_end; at = end_of_word(at, leaf_end)) {
            uint64_t gone = clear_word(leaf, at, leaf_end, which);
            any |= gone;
            if (g)
                clean_word(c, process, at, gone, g);
        }
        if (any)
            prune(c, process, page);
        page = leaf_end;
    }
}

void watch_clear(struct call *c, struct process *process, uint64_t start, uint64_t end,
                 enum watch_marks which)
{
    clear(c, process, start, end, which, NULL);
}

void watch_reset(struct call *c, struct process *process, uint64_t start, uint64_t end,
                 struct gather *g)
{
    clear(c, process, start, end, WATCH_ALL, g);
}
