/*
 * The checker's view of page files: their frames, their maps, and who names their slots.
 *
 *   partition --> descriptors --> root --> tables --> bitmaps       each a frame met once (G5)
 *
 *   bit in the map   named by an entry or a frame
 *        1                  once                       used
 *        1                  never                      bad, or of slot 0
 *        0                  never                      free
 *
 * A reference is followed only when it names a frame that is used for page files. Slots that are
 * named in tables which cannot be read are not met: then G1 is an inequality.
 */
#include "inspect/checker.h"

#define WORDS_PER_LEAF (SLOTS_PER_LEAF / 64u)

/* --- frames --- */

/* The row of the frame that a reference names exactly; NULL: it names none. */
static const struct pfn *row_at(const struct call *c, uint64_t ref)
{
    uint64_t frame = ref_frame(c, ref);
    return frame_ref(c, frame) == ref ? pfn_find(c, frame) : NULL;
}

uint32_t check_file_count(const struct call *c)
{
    const struct partition *partition = partition_of(c);
    uint32_t count = load32_relaxed(&partition->page_file_count);
    bool is_sane = count <= NTMM_PAGING_FILES_MAXIMUM && row_at(c, get64(&partition->paging_ref));
    return is_sane ? count : 0;
}

uint64_t check_file_slots(const struct call *c, uint32_t number)
{
    const struct page_file *file = page_file_at(c, number);
    uint64_t maximum = get64(&file->maximum_pages);
    uint64_t size = get64(&file->size_pages);
    return size <= maximum && maximum <= NTMM_PAGING_FILE_MAXIMUM_PAGES ? size : 0;
}

/* G5: a reference names a frame of page files, and nothing else named it. */
static bool meet_frame(struct checker *k, uint64_t ref)
{
    const struct pfn *pfn = row_at(k->c, ref);
    if (!pfn)
        return check_fail(k, "G5", ref, 1, 0);
    uint32_t *mark = check_mark(k, ref_frame(k->c, ref));
    if (*mark & MARK_PAGING)
        return check_fail(k, "G5", ref, 1, 2);
    *mark |= MARK_PAGING;
    k->paging_frames++;
    return check_equal(k, "G5", ref, NTMM_USE_PAGING, (uint64_t)pfn_use(pfn));
}

/* --- maps --- */

/* What the bits of a leaf say. */
struct leaf_bits {
    uint32_t free;    /* clear */
    uint32_t run;     /* clear ones just before */
    uint32_t longest; /* run of clear ones */
    uint32_t used;    /* set, of slots below the file's size */
    bool is_past_set; /* every bit past the size is set */
};

/* 64 bits, of which so many, the lowest, belong to slots. */
static void count_word(struct leaf_bits *bits, uint64_t word, uint32_t slots)
{
    for (uint32_t i = 0; i < 64; i++) {
        bool is_set = word >> i & 1u;
        bits->run = is_set ? 0 : bits->run + 1;
        bits->longest = (uint32_t)max_u64(bits->longest, bits->run);
        bits->free += !is_set;
        bits->used += is_set && i < slots;
        bits->is_past_set = bits->is_past_set && (is_set || i < slots);
    }
}

/* slots: bits of the leaf that belong to the file. Most words are all ones or all zeros. */
static struct leaf_bits count_bits(const le64 *words, uint64_t slots)
{
    struct leaf_bits bits = {.is_past_set = true};
    for (uint32_t i = 0; i < WORDS_PER_LEAF; i++) {
        uint64_t word = get64(&words[i]);
        uint32_t in_word = (uint32_t)min_u64(slots > i * 64u ? slots - i * 64u : 0, 64);
        if (word == ~0ull) {
            bits.used += in_word;
            bits.run = 0;
        } else if (word == 0 && in_word == 64) {
            bits.free += 64;
            bits.run += 64;
            bits.longest = (uint32_t)max_u64(bits.longest, bits.run);
        } else {
            count_word(&bits, word, in_word);
        }
    }
    return bits;
}

/* G2, G4: a leaf's counts are those of its bits. *used: slots of the file with a set bit so far. */
static bool check_bits(struct checker *k, uint32_t number, const struct slot_leaf *leaf,
                       uint64_t first, uint64_t *used)
{
    uint64_t object = check_slot_object(number, first);
    uint64_t size = k->files[number].slots;
    uint64_t slots = size > first ? min_u64(size - first, SLOTS_PER_LEAF) : 0;
    struct leaf_bits bits = count_bits(core_at(k->c->bias, get64(&leaf->ref)), slots);
    *used += bits.used;
    if (!check_equal(k, "G2", object, 1, bits.is_past_set) ||
        !check_equal(k, "G2", object, bits.free, get32(&leaf->free)))
        return false;
    return check_between(k, "G4", object, bits.longest, SLOTS_PER_LEAF, get32(&leaf->longest));
}

/* The leaves of one table of a map; `slot` is the first one that it decides. */
static bool check_leaves(struct checker *k, uint32_t number, const struct slot_leaf *table,
                         uint64_t slot, uint64_t *used)
{
    for (uint32_t i = 0; i < LEAVES_PER_TABLE; i++, slot += SLOTS_PER_LEAF) {
        uint64_t ref = get64(&table[i].ref);
        if (ref == 0 && slot < k->files[number].slots)
            return check_fail(k, "G2", check_slot_object(number, slot), 1, 0);
        if (ref != 0 && (!meet_frame(k, ref) || !check_bits(k, number, &table[i], slot, used)))
            return false;
    }
    return true;
}

/* The map: a leaf for every slot. */
static bool check_map(struct checker *k, uint32_t number, uint64_t *used)
{
    const uint64_t slots_per_table = (uint64_t)SLOTS_PER_LEAF * LEAVES_PER_TABLE;
    uint64_t root_ref = get64(&page_file_at(k->c, number)->map_ref);
    if (!meet_frame(k, root_ref))
        return false;
    const le64 *root = core_at(k->c->bias, root_ref);
    for (uint32_t i = 0; i < NTMM_ENTRIES_PER_TABLE; i++) {
        uint64_t slot = i * slots_per_table;
        uint64_t ref = get64(&root[i]);
        if (ref == 0 && slot < k->files[number].slots)
            return check_fail(k, "G2", check_slot_object(number, slot), 1, 0);
        if (ref != 0 &&
            (!meet_frame(k, ref) || !check_leaves(k, number, core_at(k->c->bias, ref), slot, used)))
            return false;
    }
    return true;
}

/* --- files --- */

/* L1, G2, G3, G5: one page file. */
static bool check_file(struct checker *k, uint32_t number)
{
    const struct page_file *file = page_file_at(k->c, number);
    uint64_t object = check_slot_object(number, 0);
    uint64_t size = get64(&file->size_pages);
    uint64_t in_use = 0;

    if (!check_equal(k, "L1", LOCK_PAGE_FILE, 0, load32_relaxed(&file->lock)) ||
        !check_equal(k, "G5", number, number, get32(&file->number)) ||
        !check_between(k, "G2", object, 1, size, k->files[number].slots) ||
        !check_between(k, "G2", object, get64(&file->initial_pages), size, size) ||
        !check_map(k, number, &in_use))
        return false;
    uint64_t used = get64(&file->used_pages);
    uint64_t bad = get64(&file->bad_pages);
    const le64 *first = core_at(k->c->bias, get64(&slots_leaf(k->c, file, 0)->ref));
    return check_equal(k, "G2", object, 1, get64(&first[0]) & 1u) &&
           check_equal(k, "G2", object, in_use, used + bad + 1) &&
           check_between(k, "G2", object, 0, min_u64(bad, PAGE_FILE_SUSPECTS),
                         get32(&file->suspect_count)) &&
           check_between(k, "G3", object, used, UINT64_MAX, get64(&file->peak_pages));
}

/* Pages that a file may still grow by; its size is at most its maximum (G2). */
static uint64_t room_of(const struct page_file *file)
{
    return get64(&file->maximum_pages) - get64(&file->size_pages);
}

bool check_page_files(struct checker *k)
{
    const struct partition *partition = partition_of(k->c);
    uint64_t ref = get64(&partition->paging_ref);
    k->process = 0;
    if (!check_equal(k, "G5", 0, k->file_count, load32_relaxed(&partition->page_file_count)))
        return false;
    if (ref != 0 &&
        (!meet_frame(k, ref) || !meet_frame(k, frame_ref(k->c, get64(&partition->dummy_frame)))))
        return false;
    uint64_t growth = 0;
    for (uint32_t i = 0; i < k->file_count; i++) {
        if (!check_file(k, i))
            return false;
        growth += room_of(page_file_at(k->c, i));
    }
    return check_equal(k, "G5", 0, k->paging_frames, load64_relaxed(&partition->paging_pages)) &&
           check_equal(k, "G7", 0, growth, load64_relaxed(&partition->commit_growth));
}

/* --- names --- */

static bool is_in_use(struct checker *k, uint32_t number, uint64_t slot)
{
    const struct slot_leaf *leaf = slots_leaf(k->c, page_file_at(k->c, number), slot);
    const le64 *words = core_at(k->c->bias, get64(&leaf->ref));
    uint32_t bit = (uint32_t)slot & (SLOTS_PER_LEAF - 1);
    return get64(&words[bit / 64]) >> bit % 64 & 1u;
}

/* A name of a slot. */
static bool name_slot(struct checker *k, uint32_t number, uint64_t slot)
{
    uint64_t object = check_slot_object(number, slot);
    bool is_slot = number < k->file_count && slot != 0 && slot < k->files[number].slots;
    if (!is_slot || !is_in_use(k, number, slot))
        return check_fail(k, "G1", object, 1, 0);
    uint8_t *byte = &k->files[number].bits[slot >> 3];
    uint8_t bit = (uint8_t)(1u << (slot & 7u));
    if (*byte & bit)
        return check_fail(k, "G1", object, 1, 2);
    *byte |= bit;
    return true;
}

bool check_name(struct checker *k, uint64_t value)
{
    if (slot_of(value) == 0)
        return true;
    if (!name_slot(k, slot_file(value), slot_of(value)))
        return false;
    k->files[slot_file(value)].count++;
    return true;
}

/* G1: what is used is named; in tables that could not be read there may be more names. */
static bool check_used(struct checker *k, uint32_t number)
{
    uint64_t named = k->files[number].count;
    uint64_t most = k->unknown.is_above ? UINT64_MAX : named + k->unknown.entries;
    uint64_t used = get64(&page_file_at(k->c, number)->used_pages);
    return check_between(k, "G1", check_slot_object(number, 0), named, most, used);
}

/* G1: a slot that is known to be bad is in use, and nobody names it. */
static bool check_suspects(struct checker *k, uint32_t number)
{
    const struct page_file *file = page_file_at(k->c, number);
    for (uint32_t i = 0; i < get32(&file->suspect_count); i++) {
        if (!name_slot(k, number, get32(&file->suspects[i])))
            return false;
    }
    return true;
}

bool check_names(struct checker *k)
{
    k->process = 0;
    for (uint32_t i = 0; i < k->file_count; i++) {
        if (!check_suspects(k, i) || !check_used(k, i))
            return false;
    }
    return true;
}
