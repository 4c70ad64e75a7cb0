/*
 * The slot map of a page file: see slots.h for its shape.
 *
 *   take 4, hint at 6      |0#..#|.h###|....#|     the run is looked for from the hint to the end,
 *                          |0#..#|..###|XXXX#|h    then from the beginning to the hint's leaf
 *
 * A search passes over a leaf by its counts alone when no run in it can be long enough; one that
 * reads all of a leaf in vain writes down what it saw. So a nearly full file is not read over and
 * over. Bits are looked at a word at a time.
 */
#include "phys/slots.h"
#include "base/bits.h"

#define WORDS_PER_LEAF (SLOTS_PER_LEAF / 64u)
#define LEAF_SHIFT 15u
#define TABLE_SHIFT 8u

NTMM_STATIC_ASSERT(SLOTS_PER_LEAF == 1u << LEAF_SHIFT, "a bitmap fills its frame");
NTMM_STATIC_ASSERT(sizeof(struct slot_leaf) * LEAVES_PER_TABLE == NTMM_PAGE_SIZE, "a table too");
NTMM_STATIC_ASSERT((uint64_t)SLOTS_PER_LEAF *LEAVES_PER_TABLE * 512u ==
                       NTMM_PAGING_FILE_MAXIMUM_PAGES,
                   "and the root");

/* --- the map --- */

static uint64_t leaves_of(uint64_t pages) { return (pages + SLOTS_PER_LEAF - 1) >> LEAF_SHIFT; }

/* The reference in the root to the table of a leaf; the root exists. */
static le64 *table_slot(const struct call *c, const struct page_file *file, uint64_t leaf)
{
    return (le64 *)core_at(c->bias, get64(&file->map_ref)) + (leaf >> TABLE_SHIFT);
}

/* The table of a leaf, or NULL. */
static struct slot_leaf *table_of(const struct call *c, const struct page_file *file, uint64_t leaf)
{
    if (get64(&file->map_ref) == 0)
        return NULL;
    uint64_t ref = get64(table_slot(c, file, leaf));
    return ref ? core_at(c->bias, ref) : NULL;
}

/* A leaf whose table exists. */
static struct slot_leaf *leaf_at(const struct call *c, const struct page_file *file, uint64_t leaf)
{
    return table_of(c, file, leaf) + (leaf & (LEAVES_PER_TABLE - 1));
}

struct slot_leaf *slots_leaf(const struct call *c, const struct page_file *file, uint64_t slot)
{
    uint64_t leaf = slot >> LEAF_SHIFT;
    if (table_of(c, file, leaf) == NULL || get64(&leaf_at(c, file, leaf)->ref) == 0)
        return NULL;
    return leaf_at(c, file, leaf);
}

/* From the first leaf without slots on: every leaf before it has its frames. */
uint64_t slots_map_need(const struct call *c, const struct page_file *file, uint64_t size_pages)
{
    uint64_t need = get64(&file->map_ref) == 0;
    uint64_t first = leaves_of(get64(&file->size_pages));
    for (uint64_t leaf = first; leaf < leaves_of(size_pages); leaf++) {
        bool is_tables_first = leaf == first || (leaf & (LEAVES_PER_TABLE - 1)) == 0;
        need += is_tables_first && table_of(c, file, leaf) == NULL;
        need += slots_leaf(c, file, leaf << LEAF_SHIFT) == NULL;
    }
    return need;
}

/* The first frame of a chain, taken off it, as a reference. */
static uint64_t take_frame(struct call *c, struct frame_chain *chain)
{
    uint64_t frame = chain->head;
    struct pfn *pfn = pfn_at(c, frame);
    chain->head = get64(&pfn->flink);
    chain->count--;
    set64(&pfn->flink, FRAME_NONE);
    return frame_ref(c, frame);
}

static void link_leaf(struct call *c, struct page_file *file, uint64_t leaf,
                      struct frame_chain *frames)
{
    if (get64(table_slot(c, file, leaf)) == 0)
        set64(table_slot(c, file, leaf), take_frame(c, frames));
    struct slot_leaf *at = leaf_at(c, file, leaf);
    if (get64(&at->ref) != 0)
        return;
    uint64_t ref = take_frame(c, frames);
    __builtin_memset(core_at(c->bias, ref), 0xFF, NTMM_PAGE_SIZE);
    set64(&at->ref, ref);
}

bool slots_map_room(struct call *c, struct page_file *file, uint64_t size_pages)
{
    struct frame_chain frames = chain_empty();
    uint64_t frame = FRAME_NONE;
    for (uint64_t need = slots_map_need(c, file, size_pages); need != 0; need--) {
        if (!frame_allocate_zeroed(c, NTMM_USE_PAGING, &frame)) {
            chain_free(c, &frames);
            return false;
        }
        chain_add(c, &frames, frame);
    }
    if (frames.count != 0 && get64(&file->map_ref) == 0)
        set64(&file->map_ref, take_frame(c, &frames));
    for (uint64_t leaf = leaves_of(get64(&file->size_pages)); frames.count != 0; leaf++)
        link_leaf(c, file, leaf, &frames);
    return true;
}

static void free_table(struct call *c, uint64_t table_ref, struct frame_chain *frames)
{
    const struct slot_leaf *table = core_at(c->bias, table_ref);
    for (uint32_t i = 0; i < LEAVES_PER_TABLE; i++) {
        if (get64(&table[i].ref) != 0)
            chain_add(c, frames, ref_frame(c, get64(&table[i].ref)));
    }
    chain_add(c, frames, ref_frame(c, table_ref));
}

uint64_t slots_map_free(struct call *c, struct page_file *file)
{
    struct frame_chain frames = chain_empty();
    uint64_t root_ref = get64(&file->map_ref);
    if (root_ref == 0)
        return 0;
    const le64 *root = core_at(c->bias, root_ref);
    for (uint32_t i = 0; i < NTMM_PAGE_SIZE / sizeof *root; i++) {
        if (get64(&root[i]) != 0)
            free_table(c, get64(&root[i]), &frames);
    }
    chain_add(c, &frames, ref_frame(c, root_ref));
    set64(&file->map_ref, 0);
    uint64_t count = frames.count;
    chain_free(c, &frames);
    return count;
}

/* --- bits --- */

static le64 *words_of(const struct call *c, const struct slot_leaf *leaf)
{
    return core_at(c->bias, get64(&leaf->ref));
}

/* The first bit at or after `from` that is one when xored with flip's, or SLOTS_PER_LEAF. */
static uint32_t next_bit(const le64 *words, uint32_t from, uint64_t flip)
{
    uint32_t i = from / 64;
    if (from >= SLOTS_PER_LEAF)
        return SLOTS_PER_LEAF;
    uint64_t word = (get64(&words[i]) ^ flip) & ~0ull << from % 64;
    while (word == 0) {
        if (++i == WORDS_PER_LEAF)
            return SLOTS_PER_LEAF;
        word = get64(&words[i]) ^ flip;
    }
    return i * 64 + floor_log2(word & (0 - word));
}

/* The first run of n clear bits at or after `from`, or SLOTS_PER_LEAF. *longest: of those seen. */
static uint32_t find_run(const le64 *words, uint32_t from, uint32_t n, uint32_t *longest)
{
    *longest = 0;
    uint32_t first = next_bit(words, from, ~0ull);
    while (first < SLOTS_PER_LEAF) {
        uint32_t end = next_bit(words, first, 0);
        if (end - first >= n)
            return first;
        if (end - first > *longest)
            *longest = end - first;
        first = next_bit(words, end, ~0ull);
    }
    return SLOTS_PER_LEAF;
}

/* Flip n bits of a leaf. All of them are alike. */
static void flip_bits(le64 *words, uint32_t first, uint32_t n)
{
    for (uint32_t done = 0; done < n;) {
        uint32_t bit = (first + done) % 64;
        uint32_t part = (uint32_t)min_u64(64 - bit, n - done);
        le64 *word = &words[(first + done) / 64];
        uint64_t mask = ~0ull >> (64 - part) << bit;
        NTMM_ASSERT((get64(word) & mask) == 0 || (get64(word) & mask) == mask);
        set64(word, get64(word) ^ mask);
        done += part;
    }
}

/* --- slots --- */

/* Clear the bits of a range; the leaves' counts follow. */
static void clear_range(struct call *c, struct page_file *file, uint64_t first, uint64_t end)
{
    while (first < end) {
        struct slot_leaf *leaf = leaf_at(c, file, first >> LEAF_SHIFT);
        uint32_t in_leaf = (uint32_t)first & (SLOTS_PER_LEAF - 1);
        uint32_t part = (uint32_t)min_u64(SLOTS_PER_LEAF - in_leaf, end - first);
        flip_bits(words_of(c, leaf), in_leaf, part);
        set32(&leaf->free, get32(&leaf->free) + part);
        set32(&leaf->longest, get32(&leaf->free));
        first += part;
    }
}

void slots_resize(struct call *c, struct page_file *file, uint64_t size_pages)
{
    NTMM_ASSERT(size_pages >= get64(&file->size_pages));
    clear_range(c, file, max_u64(get64(&file->size_pages), 1), size_pages);
    set64(&file->size_pages, size_pages);
}

/* A run of n slots in a leaf, from a slot of it on; 0: there is none. Slot 0 is in no run. */
static uint64_t search_leaf(struct call *c, struct page_file *file, uint64_t from, uint32_t n)
{
    struct slot_leaf *leaf = leaf_at(c, file, from >> LEAF_SHIFT);
    uint32_t in_leaf = (uint32_t)from & (SLOTS_PER_LEAF - 1);
    uint32_t longest;
    if (get32(&leaf->longest) < n)
        return 0;
    uint32_t found = find_run(words_of(c, leaf), in_leaf, n, &longest);
    if (found < SLOTS_PER_LEAF)
        return from - in_leaf + found;
    if (in_leaf == 0)
        set32(&leaf->longest, longest);
    return 0;
}

/* A run of n slots, from the hint to the end, then from the beginning; 0: there is none. */
static uint64_t search(struct call *c, struct page_file *file, uint32_t n)
{
    uint64_t size = get64(&file->size_pages);
    uint64_t hint = get64(&file->hint) < size ? get64(&file->hint) : 0;
    uint64_t found = search_leaf(c, file, hint, n);
    for (uint64_t leaf = (hint >> LEAF_SHIFT) + 1; !found && leaf < leaves_of(size); leaf++)
        found = search_leaf(c, file, leaf << LEAF_SHIFT, n);
    for (uint64_t leaf = 0; !found && leaf <= hint >> LEAF_SHIFT; leaf++)
        found = search_leaf(c, file, leaf << LEAF_SHIFT, n);
    return found;
}

/* A run that search found is in use. */
static void take_run(struct call *c, struct page_file *file, uint64_t first, uint32_t n)
{
    struct slot_leaf *leaf = leaf_at(c, file, first >> LEAF_SHIFT);
    flip_bits(words_of(c, leaf), (uint32_t)first & (SLOTS_PER_LEAF - 1), n);
    set32(&leaf->free, get32(&leaf->free) - n);
    set32(&leaf->longest, (uint32_t)min_u64(get32(&leaf->longest), get32(&leaf->free)));
    set64(&file->used_pages, get64(&file->used_pages) + n);
    set64(&file->peak_pages, max_u64(get64(&file->peak_pages), get64(&file->used_pages)));
    set64(&file->hint, first + n);
}

uint32_t slots_take(struct call *c, struct page_file *file, uint32_t most, uint64_t *first)
{
    uint64_t room = min_u64(slots_free(file), SLOTS_PER_LEAF);
    uint32_t n = most;
    while (n > room)
        n >>= 1;
    uint64_t found = 0;
    for (; n != 0; n >>= 1) {
        found = search(c, file, n);
        if (found != 0)
            break;
    }
    if (n == 0)
        return 0;
    take_run(c, file, found, n);
    *first = found;
    return n;
}

void slots_give(struct call *c, struct page_file *file, uint64_t first, uint64_t count)
{
    NTMM_ASSERT(first != 0 && first + count <= get64(&file->size_pages));
    clear_range(c, file, first, first + count);
    set64(&file->used_pages, get64(&file->used_pages) - count);
}

void slot_mark_bad(struct page_file *file)
{
    set64(&file->used_pages, get64(&file->used_pages) - 1);
    set64(&file->bad_pages, get64(&file->bad_pages) + 1);
}

void slot_unmark_bad(struct call *c, struct page_file *file, uint64_t slot)
{
    clear_range(c, file, slot, slot + 1);
    set64(&file->bad_pages, get64(&file->bad_pages) - 1);
}

bool slot_is_used(struct call *c, struct page_file *file, uint64_t slot)
{
    if (slot >= get64(&file->size_pages))
        return true;
    uint32_t in_leaf = (uint32_t)slot & (SLOTS_PER_LEAF - 1);
    const le64 *words = words_of(c, leaf_at(c, file, slot >> LEAF_SHIFT));
    return get64(&words[in_leaf / 64]) >> in_leaf % 64 & 1u;
}

void slot_release(struct call *c, uint64_t value)
{
    uint64_t slot = slot_of(value);
    if (slot == 0)
        return;
    struct page_file *file = page_file_at(c, slot_file(value));
    lock_acquire(c, &file->lock, LOCK_PAGE_FILE);
    bool was_full = slots_free(file) == 0;
    slots_give(c, file, slot, 1);
    lock_release(c, &file->lock, LOCK_PAGE_FILE);
    if (was_full)
        waiters_note_chance(c);
}

void slots_free_all(struct call *c)
{
    struct partition *partition = partition_of(c);
    struct frame_chain frames = chain_empty();
    uint64_t table_ref = get64(&partition->paging_ref);
    if (table_ref == 0)
        return;
    for (uint32_t i = 0; i < load32_acquire(&partition->page_file_count); i++)
        (void)slots_map_free(c, page_file_at(c, i));
    chain_add(c, &frames, get64(&partition->dummy_frame));
    chain_add(c, &frames, ref_frame(c, table_ref));
    store32_release(&partition->page_file_count, 0);
    set64(&partition->paging_ref, 0);
    set64(&partition->dummy_frame, 0);
    chain_free(c, &frames);
    commit_return(c, load64_relaxed(&partition->paging_pages));
    store64_relaxed(&partition->paging_pages, 0);
}
