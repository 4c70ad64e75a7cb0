/*
 * The end of areas whose tables are out, for the slots that they name.
 *
 *   page --> table in memory: purged and freed --> table out: brought in --> again, to the end
 *
 * So it needs a frame for each level, and no more. Each area is tried once in a call: what cannot
 * be read now may be read later.
 */
#include "fault/door.h"
#include "section/prototype.h"
#include "services/relief.h"
#include "services/section_make.h"

static bool bring(struct call *c, struct control_area *area, uint64_t page)
{
    struct ntmm_wait wait = {0};
    uint64_t deadline = 0;
    ntmm_status status;
    do {
        status = prototype_bring(c, area, page, &wait);
    } while (wait_retry(c, &wait, &deadline, &status));
    wait_end(c, &wait);
    return status == NTMM_STATUS_SUCCESS;
}

/* False: the area is still the caller's. */
static bool finish(struct call *c, struct control_area *area)
{
    for (uint64_t page = 0; !area_empty(c, area, &page);) {
        if (!bring(c, area, page))
            return false;
    }
    (void)area_end(c, area);
    return true;
}

/* One that failed is kept until the next is found, whose place on the list is behind its own. */
static void finish_all(struct call *c)
{
    struct control_area *failed = NULL;
    for (struct control_area *area; (area = area_claim_kept(c, failed)) != NULL;) {
        if (finish(c, area))
            continue;
        if (failed)
            area_keep(c, failed);
        failed = area;
    }
    if (failed)
        area_keep(c, failed);
}

void areas_finish(struct call *c)
{
    struct want want = c->want;
    if (load32_relaxed(&anchor_of(c)->areas_kept) == 0)
        return;
    finish_all(c);
    area_reap(c);
    c->want = want;
}

void areas_finish_with_system(struct call *c)
{
    for (struct control_area *area; (area = area_claim_kept(c, NULL)) != NULL;) {
        area_abandon_tables(c, area);
        (void)area_end(c, area);
    }
    area_reap(c);
}
