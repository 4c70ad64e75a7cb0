/*
 * The age of modified pages: what was modified long ago is written, though nobody wants its frame.
 *
 *   file's data   since = 0  --first page modified-->  since = t  --t + life-->  a pass
 *   a pass        since = 0, then all pages in the order of the file: what is modified is written
 *
 * One time for all data of a file: of its first page modified since the last pass began. So a page
 * is written at the latest when it is as old as the life of modified pages, as soon as the passes
 * that are due have had budget enough; and no file is written before one of its pages is that old.
 * A page that a view or a call maps is written as it is, and stays modified: who maps it may write
 * to it unseen. It is written again after another life, until it is mapped no more.
 *
 * An area counts the run that goes over it as a transfer, so it does not end meanwhile. Nothing
 * here waits. Source: nt_semantics 9.1; how time is kept is ours.
 */
#include "base/bits.h"
#include "paging/transfers.h"
#include "section/prototype.h"

/* A pass that a run ended without its end is due whatever the time. */
#define LONG_AGO 1u

struct pass {
    struct control_area *area;
    uint64_t next;   /* page to be looked at */
    uint64_t end;    /* of the area */
    uint64_t budget; /* pages that may still be written */
    bool is_kept;    /* a page stays modified */
    bool is_blocked; /* there was no block */
    bool has_batch;
    struct mapped_batch batch;
};

static uint32_t taken(const struct pass *p) { return p->has_batch ? p->batch.block->target : 0; }

/* Take a modified page into the batch. True: the batch is over, with the page or before it. (X) is
 * held. */
static bool take_page(struct call *c, struct pass *p, const le64 *entry)
{
    uint64_t frame = prototype_lock_frame(c, entry);
    if (frame == FRAME_NONE)
        return p->has_batch;
    const struct pfn *pfn = pfn_at(c, frame);
    bool is_wanted = pfn_is_modified(pfn) && !pfn_is_being_written(pfn);
    p->is_kept |= pfn_is_modified(pfn) && !is_wanted;
    if (is_wanted && !p->has_batch) {
        p->has_batch = mapped_batch_begin(c, p->area, p->next, &p->batch);
        p->is_blocked = !p->has_batch;
    }
    bool is_taken = is_wanted && p->has_batch && frame_begin_flush(c, frame, 0);
    p->is_kept |= is_taken && pfn_is_modified(pfn);
    frame_unlock(c, frame);
    if (!is_taken)
        return p->has_batch || p->is_blocked;
    return mapped_batch_add(c, &p->batch, frame) || taken(p) >= p->budget;
}

/* Fill a batch, going on from p->next. (X) is held. */
static void find_batch(struct call *c, struct pass *p)
{
    bool is_over = false;
    p->has_batch = false;
    while (p->next < p->end && !is_over) {
        struct prototype_span span = prototype_find(c, p->area, p->next);
        uint64_t stop = min_u64(span.end, p->end);
        is_over = !span.entry && p->has_batch;
        for (const le64 *entry = span.entry; entry && p->next < stop && !is_over; entry++) {
            uint32_t before = taken(p);
            is_over = take_page(c, p, entry);
            p->next += !is_over || taken(p) != before;
        }
        if (!span.entry && !is_over)
            p->next = stop;
    }
}

/* Go on with a pass; whether it is at its end. */
static bool go_on(struct call *c, struct pass *p)
{
    while (p->budget != 0) {
        area_lock(c, p->area);
        p->end = get64(&p->area->pages);
        find_batch(c, p);
        area_unlock(c, p->area);
        if (!p->has_batch)
            return !p->is_blocked;
        p->budget -= taken(p);
        (void)mapped_batch_submit(c, &p->batch, NULL);
    }
    return p->next >= p->end;
}

static bool is_old(const struct call *c, uint64_t since, uint64_t now)
{
    return since != 0 && now - since >= get64(&anchor_of(c)->modified_page_life_100ns);
}

/* Whether the area has a pass to begin or to go on with. (O) is held. */
static bool is_due(const struct call *c, const struct control_area *area, uint64_t now)
{
    if (area_is(area, AREA_ENDING))
        return false;
    return get64(&area->age_next) != 0 || is_old(c, load64_relaxed(&area->age.since), now);
}

/* (O) is held, and given up in between. The area stays on its list. */
static void run_area(struct call *c, struct pass *p)
{
    struct control_area *area = p->area;
    (void)add32(&area->io_count, 1);
    p->next = get64(&area->age_next);
    if (p->next == 0)
        (void)exchange64(&area->age.since, 0); /* then the marks of pages */
    else
        p->next--;
    objects_unlock(c);
    bool is_at_end = go_on(c, p);
    if (p->is_kept)
        modified_age_note(c, &area->age);
    objects_lock(c);
    set64(&area->age_next, is_at_end ? 0 : p->next + 1);
    (void)add32(&area->io_count, ~0u);
}

/* What is due, as far as the budget goes; the earliest time that is left is the partition's. */
static uint64_t run_all(struct call *c, uint64_t budget_pages, uint64_t now)
{
    struct pass p = {.budget = budget_pages};
    (void)exchange64(&partition_of(c)->mapped_since, 0); /* then the times of areas */
    objects_lock(c);
    for (uint64_t ref = get64(&anchor_of(c)->areas_head); ref; ref = get64(&p.area->next)) {
        p.area = area_at(c, ref);
        p.is_kept = false;
        if (p.budget != 0 && !p.is_blocked && is_due(c, p.area, now))
            run_area(c, &p);
        bool is_left = get64(&p.area->age_next) != 0 && !area_is(p.area, AREA_ENDING);
        uint64_t since = is_left ? LONG_AGO : load64_relaxed(&p.area->age.since);
        if (since != 0)
            mapped_since_lower(c, since);
    }
    objects_unlock(c);
    return budget_pages - p.budget;
}

uint64_t mapped_age_run(struct call *c, uint64_t budget_pages)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    if (!platform->now || budget_pages == 0)
        return 0;
    uint64_t now = platform->now(platform->context);
    if (!is_old(c, load64_relaxed(&partition_of(c)->mapped_since), now))
        return 0;
    return run_all(c, budget_pages, now);
}
