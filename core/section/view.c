/*
 * Views: mapping, unmapping, and what their pages are. See view.h; protection stands in
 * view_protect.c.
 */
#include "section/view.h"
#include "base/bits.h"
#include "section/large_area.h"
#include "space/job.h"
#include "space/large.h"
#include "space/protection.h"

uint32_t view_default_protection(const struct call *c, const struct vad *vad, uint64_t page)
{
    if (vad_type(vad) != VAD_IMAGE_MAP)
        return get32(&vad->protection);
    const struct control_area *area = view_area(c, vad);
    uint32_t code = get32(&area_subsection(c, area, view_prototype(vad, page))->protection);
    return get32(&vad->flags) & VAD_NOT_EXECUTABLE ? protection_without_execute(code) : code;
}

/* --- mapping --- */

/* Pages that may be copied on write when nothing is touched yet. */
static uint64_t count_copies(const struct call *c, const struct view_config *config, uint64_t pages)
{
    const struct control_area *area = config->area;
    uint64_t end = config->first_prototype + pages;
    uint64_t copies = 0;
    if (!area_is(area, AREA_IMAGE))
        return protection_is_copy(config->protection) ? pages : 0;
    for (uint64_t ref = get64(&area->subsections); ref;) {
        const struct subsection *s = subsection_at(c, ref);
        uint64_t from = max_u64(get64(&s->first_page), config->first_prototype);
        uint64_t to = min_u64(get64(&s->first_page) + get64(&s->page_count), end);
        if (from < to && protection_is_copy(get32(&s->protection)))
            copies += to - from;
        ref = get64(&s->next);
    }
    return copies;
}

uint64_t view_default_copies(const struct call *c, const struct vad *vad)
{
    const struct view_config config = {.area = view_area(c, vad),
                                       .first_prototype = get64(&vad->first_prototype),
                                       .protection = get32(&vad->protection)};
    return count_copies(c, &config, vad_end(vad) - vad_start(vad));
}

static enum vad_type type_of_view(const struct control_area *area)
{
    if (area_is(area, AREA_LARGE_PAGES))
        return VAD_LARGE_PAGE_SECTION;
    return area_is(area, AREA_IMAGE) ? VAD_IMAGE_MAP : VAD_DATA_MAP;
}

static void fill(struct vad *vad, const struct call *c, const struct view_config *config,
                 uint64_t commit)
{
    bool is_reserve = area_is(config->area, AREA_RESERVE);
    set32(&vad->type, type_of_view(config->area));
    set32(&vad->flags, config->flags | (is_reserve ? 0u : (uint32_t)VAD_MEM_COMMIT));
    set32(&vad->protection, config->protection);
    set32(&vad->win32_protection, config->win32);
    set64(&vad->commit_pages, commit);
    set64(&vad->detail, area_ref(c, config->area));
    set64(&vad->first_prototype, config->first_prototype);
}

ntmm_status view_map(struct call *c, struct process *process, const struct vad_place *place,
                     const struct view_config *config)
{
    uint64_t pages = place->end - place->start;
    uint64_t commit = count_copies(c, config, pages);
    ntmm_status status = charge_private(c, process, commit);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    struct vad *vad = vad_create(c, process, place);
    if (!vad) {
        return_private(c, process, commit);
        return want_status(c);
    }
    fill(vad, c, config, commit);
    process_add_peak(&process->virtual_pages, &process->virtual_peak, pages);
    return NTMM_STATUS_SUCCESS;
}

ntmm_status view_replace(struct call *c, struct process *process, struct vad *vad,
                         const struct view_config *config)
{
    uint64_t commit = count_copies(c, config, vad_end(vad) - vad_start(vad));
    ntmm_status status = charge_private(c, process, commit);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    fill(vad, c, config, commit);
    set32(&vad->flags, get32(&vad->flags) | VAD_REPLACED);
    return NTMM_STATUS_SUCCESS;
}

/* --- unmapping --- */

static void empty_page(struct call *c, struct process *process, const struct vad *vad,
                       struct table_span *span, uint64_t index, uint64_t page, struct gather *g)
{
    le64 *entry = &span->entry[index];
    uint64_t raw = load64_relaxed(entry);
    if (raw == 0)
        return;
    if (view_entry_is_private(c, raw)) {
        (void)private_delete_page(c, process, vad, span, index, page, 0, g);
    } else if (raw & FIELD_MASK(HW_VALID)) {
        entry_withdraw_shared(c, process, span->table, entry, page, 0, g);
        process_count(process, NTMM_COUNTER_PAGES_FREED, 1);
    } else {
        entry_write(c, span->table, entry, 0);
    }
}

/* Empty what the table of a page has of a view; returns where the next one begins. */
static uint64_t empty_span(struct call *c, struct process *process, const struct vad *vad,
                           uint64_t page, struct table_span *span, struct gather *g)
{
    uint64_t stop = min_u64(span->end, vad_end(vad));
    for (uint64_t i = 0; span->entry && i < stop - page; i++)
        empty_page(c, process, vad, span, i, page + i, g);
    if (span->entry && pfn_used(span->table) == 0)
        table_prune(c, process, page, g);
    return stop;
}

void view_discard(struct call *c, struct process *process, struct vad *vad, uint64_t end,
                  enum view_parting parting)
{
    struct gather g;
    gather_begin(&g, process, NTMM_SHOOTDOWN_UNMAP);
    g.is_boosting = parting == VIEW_PAGES_BOOSTED;
    for (uint64_t page = vad_start(vad); page < end;) {
        struct table_span span = table_find(c, process, page);
        page = empty_span(c, process, vad, page, &span, &g);
    }
    gather_finish(c, process, &g);
}

ntmm_status view_empty(struct call *c, struct process *process, struct vad *vad,
                       enum view_parting parting)
{
    uint64_t end = vad_end(vad);
    if (vad_type(vad) == VAD_LARGE_PAGE_SECTION) {
        large_empty_shared(c, process, vad_start(vad), end);
        return NTMM_STATUS_SUCCESS;
    }
    if (!tables_are_present(c, process, vad_start(vad), end))
        return want_status(c);
    view_discard(c, process, vad, end, parting);
    return NTMM_STATUS_SUCCESS;
}

bool view_run_down(struct call *c, struct process *process, struct vad *vad, uint64_t *reached)
{
    struct gather g;
    if (vad_type(vad) == VAD_LARGE_PAGE_SECTION) {
        large_empty_shared(c, process, vad_start(vad), vad_end(vad));
        return true;
    }
    uint64_t page = max_u64(vad_start(vad), *reached);
    gather_begin(&g, process, NTMM_SHOOTDOWN_UNMAP);
    while (page < vad_end(vad)) {
        struct table_span span = table_find(c, process, page);
        if (span.is_out) {
            c->want = (struct want){.kind = WANT_TABLE, .page = page};
            break;
        }
        page = empty_span(c, process, vad, page, &span, &g);
    }
    gather_finish(c, process, &g);
    *reached = page;
    return page >= vad_end(vad);
}

void view_remove(struct call *c, struct process *process, struct vad *vad, bool is_placeholder)
{
    uint64_t commit = get64(&vad->commit_pages);
    set64(&vad->commit_pages, 0);
    return_private(c, process, commit);
    if (is_placeholder) {
        set32(&vad->type, VAD_PRIVATE);
        set32(&vad->flags, VAD_PLACEHOLDER);
        set32(&vad->protection, PROT_NOACCESS);
        set32(&vad->win32_protection, NTMM_PAGE_NOACCESS);
        set64(&vad->detail, 0);
        set64(&vad->first_prototype, 0);
        return;
    }
    process_subtract(&process->virtual_pages, vad_end(vad) - vad_start(vad));
    vad_delete(c, process, vad);
}

/* --- what a page is --- */

/* Whether the section's page is committed, when that is said page by page. */
static bool is_section_page_committed(struct call *c, struct control_area *area, uint64_t prototype)
{
    area_lock(c, area);
    struct prototype_span span = prototype_find(c, area, prototype);
    /* of a reserved section a table goes out only when all its pages are committed */
    bool is_committed = span.entry ? load64_relaxed(span.entry) != 0 : prototype_is_out(&span);
    area_unlock(c, area);
    return is_committed;
}

/* The page of a view from which on its section has none: a reserved view may be larger. */
static uint64_t end_of_section(struct call *c, const struct vad *vad)
{
    struct control_area *area = view_area(c, vad);
    area_lock(c, area);
    uint64_t pages = get64(&area->pages);
    area_unlock(c, area);
    uint64_t first = get64(&vad->first_prototype);
    return vad_start(vad) + (pages > first ? pages - first : 0);
}

struct page_state view_state_of(struct call *c, const struct vad *vad, uint64_t page, uint64_t raw)
{
    struct page_state state;
    if (raw != 0)
        state = page_state_of(c, vad, raw);
    else
        state = (struct page_state){true, view_default_protection(c, vad, page)};
    bool is_sure = vad_is_committed_by_default(vad) || raw & FIELD_MASK(HW_VALID) ||
                   view_entry_is_private(c, raw);
    if (!is_sure)
        state.is_committed =
            is_section_page_committed(c, view_area(c, vad), view_prototype(vad, page));
    else if (raw == 0 && page >= end_of_section(c, vad))
        state.is_committed = false;
    return state;
}

/* The page up to which all pages are like `page` while their entries are empty. */
static uint64_t default_run_end(struct call *c, const struct vad *vad, uint64_t page)
{
    struct control_area *area = view_area(c, vad);
    if (vad_type(vad) == VAD_IMAGE_MAP) {
        const struct subsection *s = area_subsection(c, area, view_prototype(vad, page));
        uint64_t end = get64(&s->first_page) + get64(&s->page_count);
        return vad_start(vad) + (end - get64(&vad->first_prototype));
    }
    if (vad_is_committed_by_default(vad)) {
        uint64_t end = end_of_section(c, vad);
        return page < end && end < vad_end(vad) ? end : vad_end(vad);
    }
    area_lock(c, area);
    uint64_t prototype = view_prototype(vad, page);
    struct prototype_span span = prototype_find(c, area, prototype);
    area_unlock(c, area);
    return span.entry ? page + 1 : page + (span.end - prototype);
}

static bool is_same_state(struct page_state a, struct page_state b)
{
    return a.is_committed == b.is_committed && (!a.is_committed || a.protection == b.protection);
}

struct page_state view_query(struct call *c, struct process *process, const struct vad *vad,
                             uint64_t page, uint64_t limit, uint64_t *end)
{
    struct page_state first = {0};
    uint64_t stop = min_u64(limit, vad_end(vad));
    uint64_t begin = page;

    while (page < stop) {
        struct table_span span = table_find(c, process, page);
        if (span.is_out) {
            c->want = (struct want){.kind = WANT_TABLE, .page = page};
            break;
        }
        const le64 *leaf = span_leaf(&span);
        uint64_t raw = leaf ? load64_relaxed(leaf) : 0;
        struct page_state state = view_state_of(c, vad, page, raw);
        if (page == begin)
            first = state;
        if (!is_same_state(first, state))
            break;
        uint64_t next = page + 1;
        if (!span.entry)
            next = min_u64(span.end, default_run_end(c, vad, page));
        page = min_u64(next, stop);
    }
    *end = page;
    return first;
}
