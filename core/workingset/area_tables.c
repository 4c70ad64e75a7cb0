/*
 * The sweep over tables of prototypes. See docs/sections.md.
 *
 *   area_hand --> | area, sweep_page | area | area |     one clock over all of them
 *
 * An area counts the sweep as a transfer, so it does not end meanwhile. Areas that cannot have a
 * table that may go are passed over: none was needed, or they are of large pages, ending, or of a
 * file whose size is being changed. One call sweeps at a time, so that an area knows of itself
 * whether anybody else looks at its entries.
 */
#include "workingset/area_tables.h"
#include "base/bits.h"
#include "section/prototype.h"

/* Areas passed over, at most, with one hold of (O). */
#define PIECE_AREAS 64u

struct round {
    struct prototype_sweep sweep;
    uint64_t visits; /* areas that may still be visited */
};

static bool is_worth_it(const struct call *c, const struct control_area *area)
{
    if (load64_relaxed(&area->table_pages) == 0 || area_is(area, AREA_LARGE_PAGES | AREA_ENDING))
        return false;
    return !area_is(area, AREA_OF_FILE) || !get32(&file_at(c, get64(&area->file))->is_resizing);
}

/* The hand moves on to the next area. (O) is held. */
static void leave_area(struct call *c, struct control_area *area)
{
    set64(&partition_of(c)->area_hand, get64(&area->next));
    set64(&area->sweep_page, 0);
}

/* The area at the hand, or the first of a few after it that is worth it. (O) is held. */
static struct control_area *find_area(struct call *c, struct round *round)
{
    for (uint32_t i = 0; i < PIECE_AREAS && round->visits != 0; i++, round->visits--) {
        uint64_t ref = get64(&partition_of(c)->area_hand);
        if (ref == 0)
            ref = get64(&anchor_of(c)->areas_head);
        if (ref == 0)
            round->visits = 1; /* there is none */
        else if (is_worth_it(c, area_at(c, ref)))
            return area_at(c, ref);
        else
            leave_area(c, area_at(c, ref));
    }
    return NULL;
}

/* NULL: none of the next few is worth it. */
static struct control_area *enter_area(struct call *c, struct round *round)
{
    objects_lock(c);
    struct control_area *area = find_area(c, round);
    if (area) {
        (void)add32(&area->io_count, 1);
        set64(&partition_of(c)->area_hand, area_ref(c, area));
        round->sweep.page = get64(&area->sweep_page);
        round->sweep.cuts =
            area_is(area, AREA_OF_FILE) ? get32(&file_at(c, get64(&area->file))->cuts) : 0;
    }
    objects_unlock(c);
    return area;
}

/* The hand is still at the area: it is on the list while it counts the sweep. */
static void end_visit(struct call *c, struct control_area *area, struct round *round, bool is_over)
{
    objects_lock(c);
    set64(&area->sweep_page, round->sweep.page);
    if (is_over)
        leave_area(c, area);
    (void)add32(&area->io_count, ~0u);
    objects_unlock(c);
    round->visits -= min_u64(round->visits, is_over);
}

static void go_round(struct call *c, struct round *round)
{
    while (round->sweep.examine != 0 && round->sweep.go != 0 && round->visits != 0) {
        struct control_area *area = enter_area(c, round);
        bool has_more = true;
        if (!area)
            continue;
        while (has_more && round->sweep.examine != 0 && round->sweep.go != 0) {
            area_lock(c, area);
            has_more = prototype_sweep(c, area, &round->sweep);
            area_unlock(c, area);
        }
        end_visit(c, area, round, !has_more);
    }
}

uint64_t area_tables_sweep(struct call *c, uint64_t examine, uint64_t go)
{
    struct round round = {.sweep = {.examine = examine, .go = go}};
    if (load64_relaxed(&partition_of(c)->area_tables) == 0 ||
        !cas32_acquire(&c->sys->areas_sweep, 0, 1))
        return 0;
    /* the area at which the round begins comes twice */
    round.visits = load64_relaxed(&anchor_of(c)->slabs[SLAB_CONTROL_AREA].used) + 1;
    go_round(c, &round);
    store32_release(&c->sys->areas_sweep, 0);
    area_reap(c); /* what ended meanwhile */
    return round.sweep.gone;
}
