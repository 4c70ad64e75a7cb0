/*
 * Rows of frames for large pages. See rows.h.
 *
 *   survey: all working sets, areas of large pages --> runs in which something cannot move
 *   choose: all rows of the frames                 --> the one with the fewest pages
 *   empty:  what is free, what is on a list; all working sets; what they gave up
 *
 * Each survey and each emptying looks at all valid entries once, as one aging of all working sets.
 * What others do meanwhile may keep a row from being emptied; then another is chosen.
 */
#include "workingset/rows.h"
#include "phys/rows.h"
#include "section/prototype.h"
#include "space/move.h"

#define ROWS_TRIED 4u   /* which others kept from being emptied */
#define TURNS_OF_ROW 3u /* a page of a section is trimmed in one, moved in the next */

/* Survey one process, or move its pages. */
static void visit_process(struct call *c, uint32_t slot, struct move *move)
{
    uint64_t page = 0;
    for (bool has_more = true; has_more;) {
        struct process *process = process_lock_slot(c, slot);
        if (!process)
            return;
        has_more = move ? move_pages(c, process, move, &page) : move_survey(c, process, &page);
        process_unlock_working_set(c, process);
    }
}

void rows_visit(struct call *c, struct move *move)
{
    for (uint32_t slot = 0; slot < load32_acquire(&anchor_of(c)->slot_count); slot++)
        visit_process(c, slot, move);
}

/* An area of large pages, mapped or not. (O) is held. */
static void survey_area(struct call *c, struct control_area *area)
{
    area_lock(c, area);
    for (uint64_t page = 0; page < get64(&area->pages); page += RUN_FRAMES) {
        struct prototype_span span = prototype_find(c, area, page);
        uint64_t raw = span.entry ? load64_relaxed(span.entry) : 0;
        if (raw & FIELD_MASK(HW_VALID))
            row_mark_stuck(c, field_get(raw, HW_FRAME));
    }
    area_unlock(c, area);
}

static void survey(struct call *c)
{
    rows_forget_stuck(c);
    rows_visit(c, NULL);
    objects_lock(c);
    for (uint64_t ref = get64(&anchor_of(c)->areas_head); ref;
         ref = get64(&area_at(c, ref)->next)) {
        if (area_is(area_at(c, ref), AREA_LARGE_PAGES))
            survey_area(c, area_at(c, ref));
    }
    objects_unlock(c);
}

/* Whether all frames of a row are the caller's. Those that were, and are not all, are free. */
static bool empty_row(struct call *c, uint64_t base, uint64_t count, bool *is_failed)
{
    struct move move = {.base = base, .end = base + count, .taken = chain_empty()};
    for (uint32_t turn = 0; turn < TURNS_OF_ROW && !move.is_failed; turn++) {
        move_listed(c, &move);
        if (move.taken.count == count)
            return true;
        if (!move.is_failed)
            rows_visit(c, &move);
        if (move.taken.count == count)
            return true;
    }
    *is_failed = move.is_failed;
    chain_free(c, &move.taken);
    return false;
}

/* A row that can be emptied. FRAME_NONE: there is none. */
static uint64_t make_row(struct call *c, uint64_t count)
{
    bool is_failed = false;
    survey(c);
    for (uint32_t i = 0; i < ROWS_TRIED && !is_failed; i++) {
        uint64_t base = row_choose(c, count);
        if (base == FRAME_NONE)
            return FRAME_NONE;
        if (empty_row(c, base, count, &is_failed))
            return base;
        row_mark_stuck(c, base);
    }
    return FRAME_NONE;
}

bool rows_make(struct call *c, uint64_t count, uint32_t rows)
{
    rows_give_back(c);
    bool is_there = frames_available(c) >= rows * count;
    for (uint32_t i = 0; i < rows && is_there; i++) {
        uint64_t base = row_take(c, NTMM_USE_FREE, count);
        if (base == FRAME_NONE)
            base = make_row(c, count);
        is_there = base != FRAME_NONE;
        if (is_there)
            rows_hold(c, base, count);
    }
    if (!is_there)
        rows_give_back(c);
    c->want = (struct want){.kind = WANT_NOTHING};
    return is_there;
}
