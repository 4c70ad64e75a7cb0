/*
 * Which page file is written to, and what its failures lead to.
 *
 *   a cluster fails      the hint goes back to it; as many writes as it had pages take one each
 *   a page fails         its slot is bad; the hint goes 1, 2, 4, ... slots on, from failure to
 *                        failure in a row, so that a bad range is left after a few
 *   64 pages in a row    nothing works: the file is paused for a second. Then what the row made bad
 *                        is good after all, or a disk that was away would have lost its slots
 *   a page succeeds      the row ends; what it made bad stays bad
 *
 * A row remembers its first 16 bad slots, and makes no more: the hint is far away by then. What
 * says nothing about a slot (the disk is gone or full, the host has no memory) makes none. After a
 * pause writes go page by page until one succeeds; one that fails pauses the file again. Without a
 * clock there is no pause. Source: nt_semantics 9.1, 9.2 (another slot, bad ones marked, spread);
 * the measures are ours.
 */
#include "base/bits.h"
#include "paging/transfers.h"

#define FAILURES_TO_PAUSE 64u
#define PAUSE_100NS 10000000u

static void file_lock(struct call *c, struct page_file *file)
{
    lock_acquire(c, &file->lock, LOCK_PAGE_FILE);
}

static void file_unlock(struct call *c, struct page_file *file)
{
    lock_release(c, &file->lock, LOCK_PAGE_FILE);
}

static uint64_t now(const struct call *c)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    return platform->now ? platform->now(platform->context) : UINT64_MAX;
}

/* --- choosing --- */

struct choice {
    struct page_file *file; /* or NULL */
    uint64_t free;          /* slots */
    uint64_t share;         /* writes among which they would be shared */
    bool is_single;         /* takes one page */
};

static void consider(struct call *c, struct choice *best, struct page_file *file, uint64_t time)
{
    struct choice other = {.file = file};
    file_lock(c, file);
    other.free = slots_free(file);
    other.share = (uint64_t)get32(&file->outstanding_writes) + 1;
    other.is_single = get32(&file->singles) != 0 || get32(&file->failures) != 0;
    bool is_paused = get64(&file->paused_until_100ns) > time;
    bool is_probed = get32(&file->failures) != 0 && get32(&file->outstanding_writes) != 0;
    file_unlock(c, file);
    if (is_paused || is_probed || other.free == 0)
        return;
    if (best->file == NULL || other.free * best->share > best->free * other.share)
        *best = other;
}

/* The file with the most free slots for each write in flight, those of `passed` left out. */
static struct choice choose(struct call *c, uint32_t passed)
{
    struct choice best = {0};
    uint32_t count = load32_acquire(&partition_of(c)->page_file_count);
    uint64_t time = now(c);
    for (uint32_t i = 0; i < count; i++) {
        if (!(passed >> i & 1u))
            consider(c, &best, page_file_at(c, i), time);
    }
    return best;
}

uint32_t page_files_next_run(struct call *c, uint32_t most)
{
    struct choice best = choose(c, 0);
    if (best.file == NULL)
        return 0;
    return best.is_single ? 1 : most;
}

/* 0: it was filled in the meantime. */
static uint32_t take_run(struct call *c, const struct choice *choice, uint32_t most,
                         uint64_t *first)
{
    struct page_file *file = choice->file;
    file_lock(c, file);
    uint32_t singles = get32(&file->singles);
    if (choice->is_single || singles != 0)
        most = 1;
    uint32_t count = slots_take(c, file, most, first);
    if (count != 0) {
        set32(&file->outstanding_writes, get32(&file->outstanding_writes) + 1);
        set32(&file->singles, singles ? singles - 1 : 0);
    }
    file_unlock(c, file);
    return count;
}

uint32_t page_files_take_run(struct call *c, uint32_t most, uint32_t *file, uint64_t *first)
{
    for (uint32_t passed = 0;;) {
        struct choice best = choose(c, passed);
        if (best.file == NULL)
            return 0;
        *file = get32(&best.file->number);
        uint32_t count = take_run(c, &best, most, first);
        if (count != 0)
            return count;
        passed |= 1u << *file;
    }
}

/* --- outcomes --- */

static void add_to(le64 *field, uint64_t by) { set64(field, get64(field) + by); }

void page_file_note_read(struct call *c, uint32_t number, uint32_t pages, ntmm_status status)
{
    struct page_file *file = page_file_at(c, number);
    bool is_read = NTMM_SUCCEEDED(status);
    file_lock(c, file);
    add_to(is_read ? &file->reads : &file->failed_reads, 1);
    add_to(&file->pages_read, is_read ? pages : 0);
    file_unlock(c, file);
}

/* Whether a failure can be the slot's own. */
static bool can_be_the_slot(ntmm_status status)
{
    return status != NTMM_STATUS_VOLUME_DISMOUNTED && status != NTMM_STATUS_DISK_FULL &&
           status != NTMM_STATUS_INSUFFICIENT_RESOURCES && status != NTMM_STATUS_NO_MEMORY;
}

/* (G) is held, as in all that follow. */
static enum write_outcome blame(struct page_file *file, uint64_t slot, ntmm_status status)
{
    uint32_t count = get32(&file->suspect_count);
    if (count == PAGE_FILE_SUSPECTS || !can_be_the_slot(status))
        return WRITE_FAILED;
    set32(&file->suspects[count], (uint32_t)slot);
    set32(&file->suspect_count, count + 1);
    slot_mark_bad(file);
    return WRITE_BAD_SLOT;
}

static void begin_pause(struct call *c, struct page_file *file)
{
    if (c->sys->platform.now)
        set64(&file->paused_until_100ns, now(c) + PAUSE_100NS);
    for (uint32_t i = 0; i < get32(&file->suspect_count); i++)
        slot_unmark_bad(c, file, get32(&file->suspects[i]));
    set32(&file->suspect_count, 0);
}

/* The hint goes on from a slot, by less than the file's size, and round its end. */
static void stride(struct page_file *file, uint64_t slot, uint32_t failures)
{
    uint64_t size = get64(&file->size_pages);
    uint64_t hint = slot + (1ull << (failures - 1) % floor_log2(size));
    set64(&file->hint, hint < size ? hint : hint - size);
}

static enum write_outcome note_failed_page(struct call *c, struct page_file *file, uint64_t slot,
                                           ntmm_status status)
{
    uint32_t failures = (uint32_t)min_u64(get32(&file->failures) + 1, FAILURES_TO_PAUSE);
    set32(&file->failures, failures);
    stride(file, slot, failures);
    if (failures < FAILURES_TO_PAUSE)
        return blame(file, slot, status);
    begin_pause(c, file);
    return WRITE_FAILED;
}

static enum write_outcome note_failed_cluster(struct page_file *file, uint64_t first,
                                              uint32_t pages)
{
    set32(&file->singles, pages);
    set64(&file->hint, first);
    return WRITE_FAILED;
}

static void note_success(struct page_file *file, uint32_t pages)
{
    add_to(&file->writes, 1);
    add_to(&file->pages_written, pages);
    set32(&file->failures, 0);
    set32(&file->suspect_count, 0);
}

enum write_outcome page_file_note_write(struct call *c, uint32_t number, uint64_t first,
                                        uint32_t pages, ntmm_status status)
{
    struct page_file *file = page_file_at(c, number);
    enum write_outcome outcome = WRITE_DONE;
    file_lock(c, file);
    set32(&file->outstanding_writes, get32(&file->outstanding_writes) - 1);
    if (NTMM_SUCCEEDED(status))
        note_success(file, pages);
    else
        add_to(&file->failed_writes, 1);
    if (!NTMM_SUCCEEDED(status) && pages == 1)
        outcome = note_failed_page(c, file, first, status);
    else if (!NTMM_SUCCEEDED(status))
        outcome = note_failed_cluster(file, first, pages);
    file_unlock(c, file);
    return outcome;
}
