/*
 * Tables of prototypes that may go.
 *
 *   idle leaf table     . F F . F     F: as an empty entry would be      freed
 *                       . F S . S     S: a slot, or zeros of an image    trimmed
 *   idle table above    . o . o .     o: out                             trimmed
 *
 * Idle: its share count is one, so no entry of it is valid or in transition, and all of them are
 * (X)'s. What an entry of a file's data says beside the file is that the device has bytes behind
 * valid data: it says nothing when valid data reaches as far as its page has bytes. Both are read
 * without (O): they may be those of a call that cuts the file, and be set back; then the file's
 * cuts are not what they were when nobody changed its size. docs/sections.md: which areas.
 */
#include "base/bits.h"
#include "section/prototype.h"

/* Tables looked at, at most, with one hold of (X): some 10 microseconds. */
#define PIECE_TABLES 8u

enum fate {
    FATE_STAYS,
    FATE_FREED,
    FATE_TRIMMED,
};

static struct file *file_of(const struct call *c, const struct control_area *area)
{
    bool is_data = area_is(area, AREA_OF_FILE) && !area_is(area, AREA_IMAGE);
    return is_data ? file_at(c, get64(&area->file)) : NULL;
}

/* Whether the file has, as far as it says itself, what the device has of a page. */
static bool is_page_valid(const struct file *file, uint64_t page)
{
    uint64_t valid = load64_acquire(&file->valid_bytes);
    uint64_t size = load64_acquire(&file->size_bytes);
    return min_u64((page + 1) << NTMM_PAGE_SHIFT, size) <= valid;
}

/* Whether the entry of a page, which names no frame, says what an empty one does. */
static bool says_nothing(const struct call *c, const struct control_area *area, uint64_t page,
                         uint64_t value)
{
    const struct file *file = file_of(c, area);
    if (file && value & ENTRY_WRITTEN) {
        if (!is_page_valid(file, page))
            return false;
        value &= ~ENTRY_WRITTEN;
    }
    return value == prototype_default(c, area, page);
}

/* Of an idle leaf table; `first` is the page of its first entry. */
static bool is_needless(const struct call *c, const struct control_area *area, uint64_t frame,
                        uint64_t first)
{
    const le64 *table = table_at(c, frame);
    for (uint32_t i = 0; i < NTMM_ENTRIES_PER_TABLE; i++) {
        uint64_t raw = load64_relaxed(&table[i]);
        if (raw != 0 && !says_nothing(c, area, first + i, entry_value(c, raw)))
            return false;
    }
    return true;
}

/* A leaf table in which every page of the area has an entry. */
static bool is_full(const struct control_area *area, const struct pfn *table, uint64_t first)
{
    return pfn_used(table) == min_u64(NTMM_ENTRIES_PER_TABLE, get64(&area->pages) - first);
}

/* A table of a level whose `first` page it decides, `less` so many tables below it, 0 or 1. */
static enum fate fate_of(const struct call *c, const struct control_area *area, uint64_t frame,
                         uint32_t level, uint64_t first, uint32_t less)
{
    const struct pfn *table = pfn_at(c, frame);
    bool is_root = get64(&table->entry_address) == 0;
    if (load32_acquire(&table->share_count) != 1 + less)
        return FATE_STAYS;
    if (pfn_used(table) == less || (level == 1 && is_needless(c, area, frame, first)))
        return FATE_FREED;
    if (is_root || file_of(c, area) || load32_acquire(&partition_of(c)->page_file_count) == 0)
        return FATE_STAYS;
    if (area_is(area, AREA_RESERVE) && (level > 1 || !is_full(area, table, first)))
        return FATE_STAYS;
    return FATE_TRIMMED;
}

static uint64_t first_page_of(uint64_t page, uint32_t level)
{
    return round_down(page, 1ull << 9 * level);
}

uint32_t prototype_frames_needed(struct call *c, struct control_area *area, uint64_t page)
{
    struct prototype_path path = prototype_walk(c, area, page);
    uint32_t needed = path.levels - path.count;
    uint32_t freed = 0; /* the table below; one that is trimmed holds those above it */
    for (uint32_t i = path.count; i-- > 0; freed = 1) {
        uint32_t level = path.levels - i;
        enum fate fate = fate_of(c, area, path.frames[i], level, first_page_of(page, level), freed);
        needed += fate != FATE_STAYS;
        if (fate != FATE_FREED)
            break;
    }
    return needed;
}

/* Whether a table may be freed: nobody looks at its entries, and they say nothing, as it seemed. */
static bool may_be_freed(const struct call *c, const struct control_area *area,
                         const struct prototype_sweep *sweep)
{
    const struct file *file = file_of(c, area);
    bool is_alone = load32_acquire(&area->io_count) == 1; /* the sweep */
    return is_alone && (!file || load32_relaxed(&file->cuts) == sweep->cuts);
}

static void empty_table(struct call *c, uint64_t frame)
{
    le64 *table = table_at(c, frame);
    for (uint32_t i = 0; i < NTMM_ENTRIES_PER_TABLE; i++) {
        if (load64_relaxed(&table[i]) != 0)
            entry_write(c, pfn_at(c, frame), &table[i], 0);
    }
}

/* The tables that lead to a page, as far as they may go. */
static void sweep_path(struct call *c, struct control_area *area, const struct prototype_path *path,
                       struct prototype_sweep *sweep)
{
    for (uint32_t i = path->count; i-- > 0 && sweep->go != 0;) {
        uint64_t frame = path->frames[i];
        uint32_t level = path->levels - i;
        enum fate fate = fate_of(c, area, frame, level, first_page_of(sweep->page, level), 0);
        if (fate == FATE_STAYS || (fate == FATE_FREED && !may_be_freed(c, area, sweep)))
            return;
        if (fate == FATE_TRIMMED) {
            prototype_trim_table(c, area, frame);
        } else {
            empty_table(c, frame);
            prototype_free_table(c, area, frame);
        }
        sweep->go--;
        sweep->gone++;
    }
}

bool prototype_sweep(struct call *c, struct control_area *area, struct prototype_sweep *sweep)
{
    uint64_t end = 1ull << 9 * get32(&area->levels);
    for (uint32_t i = 0; i < PIECE_TABLES && sweep->examine != 0 && sweep->go != 0; i++) {
        struct prototype_path path = prototype_walk(c, area, sweep->page);
        if (sweep->page >= end || path.count == 0 || area_is(area, AREA_ENDING))
            return false;
        sweep_path(c, area, &path, sweep);
        sweep->examine--;
        sweep->page = path.end;
    }
    return sweep->page < end;
}
