/*
 * Control areas: making, referring, purging, ending. See area.h.
 */
#include "section/area.h"
#include "base/bits.h"
#include "section/image_record.h"
#include "section/large_area.h"
#include "section/prototype.h"

struct subsection *area_subsection(const struct call *c, const struct control_area *area,
                                   uint64_t page)
{
    struct subsection *s = subsection_at(c, get64(&area->subsections));
    while (page - get64(&s->first_page) >= get64(&s->page_count) && get64(&s->next))
        s = subsection_at(c, get64(&s->next));
    return s;
}

uint64_t subsection_value(const struct call *c, const struct control_area *area,
                          const struct subsection *subsection)
{
    uint64_t ref = core_ref(c, subsection);
    uint64_t value = FIELD_MASK(SUBSECTION_PROTOTYPE);
    value = field_set(value, SUBSECTION_PROTECTION, get32(&subsection->protection));
    value = field_set(value, SUBSECTION_ADDRESS, ref);
    return area_is(area, AREA_IMAGE) ? value | ENTRY_OF_IMAGE : value;
}

static uint32_t image_backing(const struct call *c, uint64_t page, uint64_t value,
                              uint64_t *file_offset)
{
    const struct subsection *s = subsection_of(c, value);
    uint64_t index = page - get64(&s->first_page);
    uint64_t bytes = index << NTMM_PAGE_SHIFT;
    if (index >= get32(&s->backed_pages) || bytes >= get64(&s->file_bytes))
        return 0;
    *file_offset = get64(&s->file_offset) + bytes;
    return (uint32_t)min_u64(NTMM_PAGE_SIZE, get64(&s->file_bytes) - bytes);
}

uint32_t area_backing(const struct call *c, const struct control_area *area, uint64_t page,
                      uint64_t value, uint64_t *file_offset)
{
    if (area_is(area, AREA_IMAGE))
        return image_backing(c, page, value, file_offset);
    const struct file *file = file_at(c, get64(&area->file));
    uint64_t end = load64_relaxed(&file->size_bytes);
    uint64_t offset = page << NTMM_PAGE_SHIFT;
    if (!(value & ENTRY_WRITTEN))
        end = min_u64(end, load64_relaxed(&file->valid_bytes));
    *file_offset = offset;
    return offset < end ? (uint32_t)min_u64(NTMM_PAGE_SIZE, end - offset) : 0;
}

/* --- making --- */

static void free_subsections(struct call *c, struct control_area *area)
{
    for (uint64_t ref = get64(&area->subsections), next; ref; ref = next) {
        next = get64(&subsection_at(c, ref)->next);
        slab_release(c, ref);
    }
    set64(&area->subsections, 0);
}

/* So many, in a chain. False with c->want set. */
static bool make_subsections(struct call *c, struct control_area *area, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t ref = slab_allocate(c, SLAB_SUBSECTION, 0);
        if (!ref)
            return false;
        set64(&subsection_at(c, ref)->area, area_ref(c, area));
        set64(&subsection_at(c, ref)->next, get64(&area->subsections));
        set64(&area->subsections, ref);
    }
    set32(&area->subsection_count, count);
    return true;
}

static void link_area(struct call *c, struct control_area *area)
{
    struct anchor *anchor = anchor_of(c);
    uint64_t head = get64(&anchor->areas_head);
    set64(&area->next, head);
    set64(&area->prev, 0);
    if (head)
        set64(&area_at(c, head)->prev, area_ref(c, area));
    store64_relaxed(&anchor->areas_head, area_ref(c, area));
}

static void unlink_area(struct call *c, struct control_area *area)
{
    uint64_t next = get64(&area->next);
    uint64_t prev = get64(&area->prev);
    struct partition *partition = partition_of(c);
    if (get64(&partition->area_hand) == area_ref(c, area))
        set64(&partition->area_hand, next);
    if (prev)
        set64(&area_at(c, prev)->next, next);
    else
        store64_relaxed(&anchor_of(c)->areas_head, next);
    if (next)
        set64(&area_at(c, next)->prev, prev);
}

uint64_t area_create(struct call *c, const struct area_config *config)
{
    uint64_t ref = slab_allocate(c, SLAB_CONTROL_AREA, 0);
    if (!ref)
        return 0;
    struct control_area *area = area_at(c, ref);
    set32(&area->flags, config->flags);
    set32(&area->protection, config->protection);
    set32(&area->section_count, 1);
    set64(&area->file, config->file);
    set64(&area->pages, config->pages);
    set64(&area->root_frame, FRAME_NONE);
    set32(&area->levels, prototype_levels(config->pages));
    if (!make_subsections(c, area, config->subsection_count)) {
        free_subsections(c, area);
        slab_release(c, ref);
        return 0;
    }
    link_area(c, area);
    return ref;
}

/* --- references --- */

static le32 *count_of(struct control_area *area, enum area_user user)
{
    switch (user) {
    case AREA_SECTION:
        return &area->section_count;
    case AREA_VIEW:
    case AREA_WRITING_VIEW:
        return &area->view_count;
    case AREA_CALL:
        break;
    }
    return &area->user_count;
}

static void count(struct control_area *area, enum area_user user, uint32_t by)
{
    le32 *counted = count_of(area, user);
    set32(counted, get32(counted) + by);
    if (user == AREA_WRITING_VIEW)
        set32(&area->writable_views, get32(&area->writable_views) + by);
}

void area_refer(struct control_area *area, enum area_user user) { count(area, user, 1); }

bool area_is_idle(const struct control_area *area)
{
    return (get32(&area->section_count) | get32(&area->view_count) | get32(&area->user_count)) == 0;
}

void area_hide(struct call *c, struct control_area *area)
{
    set32(&area->flags, get32(&area->flags) | AREA_ENDING);
    set32(&area->user_count, 1); /* who ends it */
    if (!get64(&area->file))
        return;
    struct file *file = file_at(c, get64(&area->file));
    set64(area_is(area, AREA_IMAGE) ? &file->image_area : &file->data_area, 0);
}

void area_release(struct call *c, struct control_area *area, enum area_user user)
{
    objects_lock(c);
    count(area, user, ~0u);
    /* a file's stays with what it has in memory, until the file is closed or memory is short */
    bool is_over = area_is_idle(area) && !area_is(area, AREA_OF_FILE);
    if (is_over)
        area_hide(c, area);
    objects_unlock(c);
    if (is_over)
        area_end(c, area);
}

/* --- purging --- */

struct purge {
    struct control_area *area;
    struct frame_chain freed;
    bool is_refused; /* a page is mapped, or a transfer uses it */
    bool is_forced;  /* transfers do not matter: their completions free the frames */
    bool is_zeroing; /* what is mapped becomes zero instead */
    bool has_zeroed; /* and there was such a page */
    bool stops;      /* at the first page whose table is out */
};

/* A page that a call still uses is zero from now on, whatever its file holds. */
static void zero_mapped(struct call *c, uint64_t frame)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    struct pfn *pfn = pfn_at(c, frame);
    frame_lock(c, frame);
    store64_relaxed(&pfn->original_pte, load64_relaxed(&pfn->original_pte) & ~ENTRY_WRITTEN);
    frame_unlock(c, frame);
    /* a host that cannot does not know the page's contents either */
    (void)platform->zero(platform->context, &frame, 1);
}

/* A prototype entry loses what it names. */
static void purge_entry(struct call *c, struct purge *p, struct pfn *table, le64 *entry)
{
    uint64_t frame = entry_lock_transition(c, entry);
    uint64_t raw = load64_relaxed(entry);
    if (frame == FRAME_NONE) {
        p->has_zeroed |= p->is_zeroing && raw & FIELD_MASK(HW_VALID);
        if (raw & FIELD_MASK(HW_VALID) && p->is_zeroing)
            zero_mapped(c, field_get(raw, HW_FRAME));
        else if (raw & FIELD_MASK(HW_VALID))
            p->is_refused = true;
        else if (entry_kind(c, raw) == PTE_PAGEFILE)
            slot_release(c, entry_value(c, raw));
        if (raw && !(raw & FIELD_MASK(HW_VALID)))
            entry_write(c, table, entry, 0);
        return;
    }
    if (get16(&pfn_at(c, frame)->reference_count) != 0 && !p->is_forced) {
        p->is_refused = true;
        frame_unlock(c, frame);
        return;
    }
    entry_write(c, table, entry, 0);
    bool is_ours = frame_detach(c, frame);
    frame_unlock(c, frame);
    if (is_ours)
        chain_add(c, &p->freed, frame);
}

static void free_chain(struct call *c, struct frame_chain *chain)
{
    struct frame_chain unused = chain_empty();
    for (uint64_t frame = chain->head, next; frame != FRAME_NONE; frame = next) {
        next = get64(&pfn_at(c, frame)->flink);
        frame_delete(c, frame, &unused);
    }
    *chain = chain_empty();
    chain_free(c, &unused);
}

/* Tables that are empty now are freed, unless a transfer may look at their entries: it began under
 * the (F) of a page of theirs, which has been taken since. */
static void prune_purged(struct call *c, struct purge *p, const struct pfn *table, uint64_t page)
{
    if (pfn_used(table) == 0 && load32_acquire(&p->area->io_count) == 0)
        prototype_prune(c, p->area, page);
}

/* (X) is held. Returns the page behind the last one looked at, or the one whose table is out. */
static uint64_t purge_range(struct call *c, struct purge *p, uint64_t first)
{
    uint64_t pages = 1ull << 9 * get32(&p->area->levels);
    uint64_t page = first;
    while (page < pages && !(p->is_refused && !p->is_forced)) {
        uint64_t begin = page;
        struct prototype_span span = prototype_find(c, p->area, page);
        if (p->stops && prototype_is_out(&span))
            return page;
        for (le64 *entry = span.entry; entry && page < span.end; page++, entry++)
            purge_entry(c, p, span.table, entry);
        page = span.end;
        free_chain(c, &p->freed);
        if (span.entry)
            prune_purged(c, p, span.table, begin);
    }
    return page;
}

ntmm_status area_purge(struct call *c, struct control_area *area, uint64_t first)
{
    struct purge p = {.area = area, .freed = chain_empty()};
    area_lock(c, area);
    (void)purge_range(c, &p, first);
    area_unlock(c, area);
    return p.is_refused ? NTMM_STATUS_PURGE_FAILED : NTMM_STATUS_SUCCESS;
}

void area_cut(struct call *c, struct control_area *area, uint64_t first)
{
    struct purge p = {.area = area, .freed = chain_empty(), .is_forced = true, .is_zeroing = true};
    area_lock(c, area);
    (void)purge_range(c, &p, first);
    if (!p.has_zeroed && first < get64(&area->pages)) {
        /* so that a reserved view has nothing behind the end */
        set64(&area->pages, first);
        set64(&subsection_at(c, get64(&area->subsections))->page_count, first);
    }
    area_unlock(c, area);
}

/* --- ending --- */

/* What its pages and tables were charged; the tables gave theirs back. */
static void return_commit(struct call *c, struct control_area *area)
{
    uint64_t pages = get64(&area->commit_pages);
    set64(&area->commit_pages, 0);
    if (pages)
        commit_return(c, pages);
}

/* Later: a transfer looks at the area when it ends, or a table of it is out. */
void area_keep(struct call *c, struct control_area *area)
{
    le32 *kept = &anchor_of(c)->areas_kept;
    objects_lock(c);
    set32(&area->user_count, 0);
    store32_release(kept, get32(kept) + 1);
    objects_unlock(c);
}

bool area_empty(struct call *c, struct control_area *area, uint64_t *page)
{
    struct purge p = {.area = area, .freed = chain_empty(), .is_forced = true, .stops = true};
    area_lock(c, area);
    *page = purge_range(c, &p, *page);
    bool is_over = *page >= 1ull << 9 * get32(&area->levels);
    area_unlock(c, area);
    return is_over;
}

void area_abandon_tables(struct call *c, struct control_area *area)
{
    area_lock(c, area);
    prototype_abandon_tables(c, area);
    area_unlock(c, area);
}

bool area_end(struct call *c, struct control_area *area)
{
    struct purge p = {.area = area, .freed = chain_empty(), .is_forced = true};
    area_lock(c, area);
    if (area_is(area, AREA_LARGE_PAGES))
        large_area_empty(c, area);
    else
        (void)purge_range(c, &p, 0);
    bool is_out = get32(&area->tables_out) != 0;
    area_unlock(c, area);
    NTMM_ASSERT(!p.is_refused);
    if (load32_acquire(&area->io_count) != 0 || is_out) {
        area_keep(c, area);
        return false;
    }
    area_lock(c, area);
    prototype_free_tables(c, area);
    area_unlock(c, area);
    return_commit(c, area);
    image_record_free(c, get64(&area->image));
    objects_lock(c);
    unlink_area(c, area);
    objects_unlock(c);
    free_subsections(c, area);
    slab_release(c, area_ref(c, area));
    return true;
}

/* An area that is ending and was kept, whose transfers are over; none sweeps over it any more, and
 * its tables_out stays as it is. (O) is held. */
static struct control_area *claim(struct call *c, uint64_t first, bool has_tables_out)
{
    for (uint64_t ref = first; ref; ref = get64(&area_at(c, ref)->next)) {
        struct control_area *area = area_at(c, ref);
        if (area_is(area, AREA_ENDING) && load32_acquire(&area->io_count) == 0 &&
            area_is_idle(area) && (load32_relaxed(&area->tables_out) != 0) == has_tables_out) {
            le32 *kept = &anchor_of(c)->areas_kept;
            set32(&area->user_count, 1); /* ours alone from here on */
            store32_release(kept, get32(kept) - 1);
            return area;
        }
    }
    return NULL;
}

struct control_area *area_claim_kept(struct call *c, const struct control_area *after)
{
    objects_lock(c);
    uint64_t first = after ? get64(&after->next) : get64(&anchor_of(c)->areas_head);
    struct control_area *area = claim(c, first, true);
    objects_unlock(c);
    return area;
}

void area_reap(struct call *c)
{
    while (load32_relaxed(&anchor_of(c)->areas_kept) != 0) {
        objects_lock(c);
        struct control_area *area = claim(c, get64(&anchor_of(c)->areas_head), false);
        objects_unlock(c);
        if (!area || !area_end(c, area))
            return;
    }
}
