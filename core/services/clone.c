/*
 * Cloning a process. See docs/clones.md.
 *
 *   parent  (A)(W) |facts|        (W) |batch|        |batch| ...
 *   child                |made|charged|      |entered|       |entered| ... |live
 *
 * A batch is taken with the parent locked and given with the child locked, never both. Whoever
 * takes it waits only with an empty batch, so that no frame is kept for it. A page that is shared
 * counts the batch as one that refers to it (space/clone_page.h). A clone that fails gives such
 * pages back to the parent, as far as nobody else refers to them.
 *
 * Source: nt_semantics 24, 4.4, 9.3; what is in doubt: docs/fidelity.md.
 */
#include "section/clone.h"
#include "base/bits.h"
#include "fault/door.h"
#include "paging/transfers.h"
#include "services/process_end.h"
#include "services/process_make.h"
#include "services/relief.h"
#include "services/section_make.h"
#include "space/job.h"

/* Pages, of one leaf table; of these, copies, whose frames others may need. */
#define BATCH_PAGES 32u
#define BATCH_COPIES 8u
/* Tables, or missing ones, looked at while one (W) is held. */
#define PIECE_SPANS 512u

struct batch {
    struct clone_page pages[BATCH_PAGES];
    uint32_t count;
    uint32_t copies;  /* of these, with a frame */
    uint64_t next;    /* the page to be looked at next */
    bool is_sharing;  /* the region's pages are shared */
    bool needs_block; /* there is no room for prototypes */
};

/* A clone that is being made. */
struct clone {
    ntmm_handle parent; /* as given */
    ntmm_handle handle; /* the child's */
    struct process *child;
    struct job *job;  /* kept for the child, or NULL */
    uint64_t block;   /* that it fills, a reference, or 0 */
    struct vad seen;  /* the region that is being copied, as the parent had it */
    uint64_t changed; /* what its entries add to its charge so far, modulo 2^64 */
    uint64_t left;    /* pages that the child is charged and no region has yet */
};

/* --- the parent's pages --- */

/* What a page that is out, or on its way, is waited for. Never with pages in the batch. */
static ntmm_status begin_read(struct call *c, struct process *parent, struct ntmm_wait *wait,
                              const struct table_span *span)
{
    struct inpage_request request = {.table = span->table,
                                     .entry = span->entry,
                                     .use = NTMM_USE_PRIVATE,
                                     .cluster = c->sys->read_cluster};
    uint32_t pages = 0;
    ntmm_status status = door_begin_read(c, wait, &request, &pages);
    process_count(parent, NTMM_COUNTER_PAGES_READ, pages);
    return status;
}

/* A copy of the page's frame. PENDING with nothing to wait for: look at the entry again. */
static ntmm_status take_frame(struct call *c, struct batch *batch, const le64 *entry)
{
    struct clone_page *page = &batch->pages[batch->count];
    ntmm_status status = NTMM_STATUS_PENDING;
    uint64_t source;
    if (!frame_allocate(c, NTMM_USE_PRIVATE, &page->frame))
        return status;
    page->is_shared = false;
    switch (clone_copy_frame(c, entry, page, &source, &status)) {
    case CLONE_COPIED:
        batch->count++;
        batch->copies++;
        return NTMM_STATUS_SUCCESS;
    case CLONE_BEING_READ:
        if (batch->count)
            frame_unlock(c, source);
        else
            status = door_join(c, source);
        break;
    case CLONE_GONE:
    case CLONE_FAILED:
        break;
    }
    frame_free(c, page->frame);
    return status;
}

/* The parent's page, without a copy. False: it is not shared, or the batch needs a block. */
static bool take_shared(struct call *c, const struct clone *clone, const struct table_span *span,
                        struct batch *batch, struct gather *g)
{
    struct clone_page page = {.frame = FRAME_NONE, .is_shared = true};
    uint64_t raw = load64_relaxed(span->entry);
    if (!batch->is_sharing || raw == 0)
        return false;
    if (clone_page_is(c, raw)) {
        page.value = clone_page_refer(c, raw);
    } else {
        if (!clone_page_may_share(c, raw))
            return false;
        batch->needs_block = !clone_block_has_room(c, clone->block);
        if (batch->needs_block ||
            !clone_page_share(c, clone->block, span, batch->next, g, &page.value))
            return false;
    }
    batch->pages[batch->count++] = page;
    return true;
}

/* The page at the span's entry. SUCCESS: it was taken, or there is nothing to take. PENDING:
 * c->want says what for, unless the batch has pages, or needs a block. */
static ntmm_status take_page(struct call *c, const struct clone *clone, struct process *parent,
                             struct ntmm_wait *wait, const struct table_span *span,
                             struct batch *batch, struct gather *g)
{
    if (take_shared(c, clone, span, batch, g))
        return NTMM_STATUS_SUCCESS;
    if (batch->needs_block || batch->copies == BATCH_COPIES)
        return NTMM_STATUS_PENDING;
    uint64_t raw = load64_relaxed(span->entry);
    while (clone_has_frame(c, raw)) {
        ntmm_status status = take_frame(c, batch, span->entry);
        if (status != NTMM_STATUS_PENDING || batch->count || relief_is_wanted(c))
            return status;
        raw = load64_relaxed(span->entry);
    }
    if (entry_kind(c, raw) == PTE_PAGEFILE && !entry_is_damaged(entry_value(c, raw)))
        return batch->count ? NTMM_STATUS_PENDING : begin_read(c, parent, wait, span);
    uint64_t value = raw ? clone_value(c, &clone->seen, batch->next, raw) : 0;
    if (value != 0)
        batch->pages[batch->count++] = (struct clone_page){.value = value, .frame = FRAME_NONE};
    return NTMM_STATUS_SUCCESS;
}

/* Pages of one table, up to `stop`. */
static ntmm_status take_entries(struct call *c, const struct clone *clone, struct process *parent,
                                struct ntmm_wait *wait, struct table_span span, uint64_t stop,
                                struct batch *batch, struct gather *g)
{
    for (; batch->next < stop && batch->count < BATCH_PAGES; batch->next++, span.entry++) {
        uint32_t index = batch->count;
        ntmm_status status = take_page(c, clone, parent, wait, &span, batch, g);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        batch->pages[index].page = batch->next;
    }
    return NTMM_STATUS_SUCCESS;
}

/* (W) of the parent is held. */
static ntmm_status take_pages(struct call *c, const struct clone *clone, struct process *parent,
                              struct ntmm_wait *wait, uint64_t end, struct batch *batch)
{
    ntmm_status status = NTMM_STATUS_SUCCESS;
    struct gather g;
    gather_begin(&g, parent, NTMM_SHOOTDOWN_PROTECT);
    for (uint32_t i = 0; batch->next < end && batch->count == 0 && i < PIECE_SPANS; i++) {
        struct table_span span = table_find(c, parent, batch->next);
        uint64_t stop = min_u64(span.end, end);
        if (span.is_out)
            status = door_bring_tables(c, parent, batch->next, wait);
        else if (span.entry)
            status = take_entries(c, clone, parent, wait, span, stop, batch, &g);
        else
            batch->next = stop;
        if (status != NTMM_STATUS_SUCCESS)
            break;
    }
    gather_finish(c, parent, &g);
    if (status != NTMM_STATUS_PENDING || (batch->count == 0 && !batch->needs_block))
        return status;
    c->want = (struct want){.kind = WANT_NOTHING};
    return NTMM_STATUS_SUCCESS;
}

static ntmm_status try_take(struct call *c, const struct clone *clone, struct ntmm_wait *wait,
                            struct batch *batch)
{
    struct process *parent;
    ntmm_status status =
        process_lock_working_set(c, clone->parent, NTMM_PROCESS_CREATE_PROCESS, &parent);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    uint64_t end = vad_end(&clone->seen);
    const struct vad *now = vad_find(c, parent, batch->next);
    batch->is_sharing = now && clone_shares_pages(now);
    if (now && clone_is_same_region(&clone->seen, now, batch->next))
        status = take_pages(c, clone, parent, wait, min_u64(vad_end(now), end), batch);
    else
        batch->next = end;
    process_unlock_working_set(c, parent);
    return status;
}

static void drop_batch(struct call *c, struct batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct clone_page *page = &batch->pages[i];
        if (page->frame != FRAME_NONE)
            frame_free(c, page->frame);
        if (page->is_shared)
            clone_page_release(c, field_get_address(page->value, PROTO_ADDRESS));
    }
    batch->count = 0;
}

/* The next pages that say something; none at the end of the region, or when a block is needed. */
static ntmm_status take_batch(struct call *c, const struct clone *clone, struct batch *batch)
{
    struct ntmm_wait wait = {0};
    uint64_t deadline = 0;
    uint64_t frames = 0;
    ntmm_status status;
    batch->count = 0;
    batch->copies = 0;
    batch->needs_block = false;
    do {
        c->want = (struct want){.kind = WANT_NOTHING};
        status = try_take(c, clone, &wait, batch);
        if (c->want.kind == WANT_FRAME) /* what is read for it must not be taken for its copy */
            c->want.pages = max_u64(c->want.pages, ++frames);
    } while (wait_retry(c, &wait, &deadline, &status));
    if (status != NTMM_STATUS_SUCCESS)
        drop_batch(c, batch);
    return status;
}

/* --- the child's --- */

/* (A) and (W) of the child are held. */
static ntmm_status enter_batch(struct call *c, struct clone *clone, const struct batch *batch)
{
    const struct vad *vad = vad_find(c, clone->child, vad_start(&clone->seen));
    struct table_span span = table_make(c, clone->child, batch->pages[0].page, TABLE_FOR_SERVICE);
    if (!span.entry) {
        struct want want = c->want;
        struct gather g;
        gather_begin(&g, clone->child, NTMM_SHOOTDOWN_UNMAP);
        table_prune(c, clone->child, batch->pages[0].page, &g);
        gather_finish(c, clone->child, &g);
        c->want = want;
        return want_status(c);
    }
    for (uint32_t i = 0; i < batch->count; i++)
        clone->changed += (uint64_t)clone_enter_page(c, clone->child, vad, &batch->pages[i]);
    return NTMM_STATUS_SUCCESS;
}

static ntmm_status give_batch(struct call *c, struct clone *clone, struct batch *batch)
{
    struct relief relief = relief_begin();
    ntmm_status status;
    do {
        process_relock_ending(c, clone->child);
        status = enter_batch(c, clone, batch);
        process_unlock_address(c, clone->child);
    } while (relieve(c, &relief, clone->child, &status));
    if (status != NTMM_STATUS_SUCCESS)
        drop_batch(c, batch);
    return status;
}

/* --- regions --- */

/* The one that was filled is left to its pages. */
static ntmm_status make_block(struct call *c, struct clone *clone)
{
    struct relief relief = relief_begin();
    ntmm_status status;
    clone_block_close(c, clone->block);
    do {
        clone->block = clone_block_make(c, clone->handle);
        status = clone->block ? NTMM_STATUS_SUCCESS : want_status(c);
    } while (relieve(c, &relief, NULL, &status));
    return status;
}

static ntmm_status copy_pages(struct call *c, struct clone *clone)
{
    struct batch batch;
    ntmm_status status = NTMM_STATUS_SUCCESS;
    batch.next = vad_start(&clone->seen);
    batch.needs_block = false;
    while (status == NTMM_STATUS_SUCCESS && batch.next < vad_end(&clone->seen)) {
        if (batch.needs_block)
            status = make_block(c, clone);
        if (status == NTMM_STATUS_SUCCESS)
            status = take_batch(c, clone, &batch);
        if (status == NTMM_STATUS_SUCCESS && batch.count)
            status = give_batch(c, clone, &batch);
    }
    return status;
}

/* The region takes over what is charged for it; more is charged if the parent's has grown. */
static ntmm_status settle_charge(struct call *c, struct clone *clone)
{
    struct relief relief = relief_begin();
    ntmm_status status;
    do {
        process_relock_ending(c, clone->child);
        struct vad *vad = vad_find(c, clone->child, vad_start(&clone->seen));
        uint64_t charge = clone_default_charge(c, vad) + clone->changed;
        uint64_t more = charge - min_u64(charge, clone->left);
        status = charge_private(c, clone->child, more);
        if (status == NTMM_STATUS_SUCCESS) {
            set64(&vad->commit_pages, charge);
            clone->left -= charge - more;
        }
        process_unlock_address(c, clone->child);
    } while (relieve(c, &relief, clone->child, &status));
    return status;
}

static ntmm_status make_region(struct call *c, struct clone *clone)
{
    struct relief relief = relief_begin();
    ntmm_status status;
    do {
        process_relock_ending(c, clone->child);
        bool is_made = clone_make_region(c, clone->child, &clone->seen) != NULL;
        status = is_made ? NTMM_STATUS_SUCCESS : want_status(c);
        process_unlock_address(c, clone->child);
    } while (relieve(c, &relief, clone->child, &status));
    return status;
}

/* The reference of the view belongs to the region once that is made. */
static ntmm_status copy_region(struct call *c, struct clone *clone)
{
    clone->changed = 0;
    ntmm_status status = make_region(c, clone);
    if (status != NTMM_STATUS_SUCCESS) {
        if (vad_is_view(&clone->seen))
            area_give_up(c, view_area(c, &clone->seen), view_user(&clone->seen));
        return status;
    }
    status = copy_pages(c, clone);
    return status == NTMM_STATUS_SUCCESS ? settle_charge(c, clone) : status;
}

/* The next region of the parent's that a clone has, from *page on, which becomes its end; that of a
 * view with a reference to its area. False: there is none. (A) and (W) of the parent are held. */
static bool find_region(struct call *c, const struct process *parent, uint64_t *page,
                        struct vad *seen)
{
    struct gap_range range;
    while (gap_tree_find_at_or_after(c->bias, &parent->vads, *page, &range)) {
        *seen = *vad_at(c, range.ref);
        *page = range.end;
        if (!clone_has_region(seen))
            continue;
        if (vad_is_view(seen)) {
            objects_lock(c);
            area_refer(view_area(c, seen), view_user(seen));
            objects_unlock(c);
        }
        return true;
    }
    return false;
}

static ntmm_status copy_regions(struct call *c, struct clone *clone)
{
    struct process *parent;
    uint64_t page = 0;
    for (;;) {
        ntmm_status status =
            process_lock_address(c, clone->parent, NTMM_PROCESS_CREATE_PROCESS, &parent);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        bool is_found = find_region(c, parent, &page, &clone->seen);
        process_unlock_address(c, parent);
        status = is_found ? copy_region(c, clone) : NTMM_STATUS_SUCCESS;
        if (!is_found || status != NTMM_STATUS_SUCCESS)
            return status;
    }
}

/* --- the child --- */

/* Private commit of the regions that a clone has. (A) and (W) are held. */
static uint64_t charge_of(struct call *c, const struct process *parent)
{
    struct gap_range range;
    uint64_t charge = 0;
    for (uint64_t page = 0; gap_tree_find_at_or_after(c->bias, &parent->vads, page, &range);
         page = range.end) {
        const struct vad *vad = vad_at(c, range.ref);
        charge += clone_has_region(vad) ? get64(&vad->commit_pages) : 0;
    }
    return charge;
}

/* What the parent is, where the configuration does not say otherwise. */
static void inherit(const struct process *parent, struct ntmm_process_config *config,
                    struct layout *layout)
{
    *layout = (struct layout){.highest = get64(&parent->highest_page),
                              .bottom = get64(&parent->bottom_page),
                              .top = get64(&parent->top_page)};
    config->flags = get32(&parent->flags);
    config->protection = get32(&parent->protection);
    if (config->commit_limit_pages == 0)
        config->commit_limit_pages = get64(&parent->commit_limit);
    if (config->working_set_minimum_pages == 0)
        config->working_set_minimum_pages = get64(&parent->working_set_minimum);
    if (config->working_set_maximum_pages == 0)
        config->working_set_maximum_pages = get64(&parent->working_set_maximum);
}

/* Look at the parent: SUCCESS, and its job is kept. */
static ntmm_status look_at_parent(struct call *c, struct clone *clone,
                                  struct ntmm_process_config *config, struct layout *layout)
{
    le32 *directory_lock = &anchor_of(c)->directory_lock;
    struct process *parent;
    ntmm_status status =
        process_lock_address(c, clone->parent, NTMM_PROCESS_CREATE_PROCESS, &parent);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    inherit(parent, config, layout);
    clone->left = charge_of(c, parent);
    lock_acquire(c, directory_lock, LOCK_DIRECTORY);
    clone->job = job_of(c, parent);
    if (clone->job)
        job_keep(clone->job);
    lock_release(c, directory_lock, LOCK_DIRECTORY);
    process_unlock_address(c, parent);
    return status;
}

/* The job that was kept gets the child, or nobody. */
static void join_job(struct call *c, struct clone *clone)
{
    le32 *directory_lock = &anchor_of(c)->directory_lock;
    struct process *child = clone->child;
    if (!clone->job)
        return;
    if (child)
        process_relock_ending(c, child);
    lock_acquire(c, directory_lock, LOCK_DIRECTORY);
    job_end_keep(clone->job);
    if (child)
        job_join(c, child, clone->job);
    lock_release(c, directory_lock, LOCK_DIRECTORY);
    if (child)
        process_unlock_address(c, child);
}

static ntmm_status make_child(struct call *c, struct clone *clone,
                              const struct ntmm_process_config *config, const struct layout *layout)
{
    struct relief relief = relief_begin();
    ntmm_status status;
    do {
        status = process_create(c, config, layout, PROCESS_MAKING, &clone->handle);
    } while (relieve(c, &relief, NULL, &status));
    clone->child = status == NTMM_STATUS_SUCCESS ? process_find(c, clone->handle) : NULL;
    join_job(c, clone);
    return status;
}

/* Everything at once. */
static ntmm_status charge_child(struct call *c, struct clone *clone)
{
    struct relief relief = relief_begin();
    ntmm_status status;
    do {
        process_relock_ending(c, clone->child);
        status = charge_private(c, clone->child, clone->left);
        process_unlock_address(c, clone->child);
    } while (relieve(c, &relief, clone->child, &status));
    if (status != NTMM_STATUS_SUCCESS)
        clone->left = 0;
    return status;
}

/* One table's. */
static void take_back_entries(struct call *c, const struct clone *clone,
                              const struct table_span *span, uint64_t pages)
{
    for (uint64_t i = 0; span->entry && i < pages; i++) {
        if (clone_page_is_of(c, load64_relaxed(&span->entry[i]), clone->handle))
            (void)clone_page_take_back(c, span->table, &span->entry[i]);
    }
}

/* Pages of one region of the parent's, from *page on; so many tables at most. False: there is no
 * region left. (A) and (W) are held. */
static bool take_back_some(struct call *c, const struct clone *clone, struct process *parent,
                           struct ntmm_wait *wait, uint64_t *page, ntmm_status *status)
{
    struct gap_range range;
    if (!gap_tree_find_at_or_after(c->bias, &parent->vads, *page, &range))
        return false;
    *page = max_u64(*page, range.start);
    if (!clone_shares_pages(vad_at(c, range.ref)))
        *page = range.end;
    for (uint32_t i = 0; *page < range.end && i < PIECE_SPANS; i++) {
        struct table_span span = table_find(c, parent, *page);
        if (span.is_out)
            *status = door_bring_tables(c, parent, *page, wait);
        if (*status != NTMM_STATUS_SUCCESS)
            break;
        span = table_find(c, parent, *page);
        uint64_t stop = min_u64(span.end, range.end);
        take_back_entries(c, clone, &span, stop - *page);
        *page = stop;
    }
    return true;
}

/* The parent's pages that were to be shared, and are not, so that it is charged as before. What a
 * table that cannot be read refers to stays as it is. */
static void take_back(struct call *c, const struct clone *clone)
{
    struct ntmm_wait wait = {0};
    uint64_t page = 0, deadline = 0, frames = 0;
    bool has_more = true;
    while (has_more) {
        struct process *parent;
        c->want = (struct want){.kind = WANT_NOTHING};
        ntmm_status status =
            process_lock_address(c, clone->parent, NTMM_PROCESS_CREATE_PROCESS, &parent);
        if (status != NTMM_STATUS_SUCCESS)
            break;
        has_more = take_back_some(c, clone, parent, &wait, &page, &status);
        process_unlock_address(c, parent);
        if (c->want.kind == WANT_FRAME) /* as in take_batch */
            c->want.pages = max_u64(c->want.pages, ++frames);
        if (wait_retry(c, &wait, &deadline, &status))
            continue;
        if (status != NTMM_STATUS_SUCCESS)
            page = (page | (PAGES_PER_TABLE - 1)) + 1;
    }
}

/* The child is whole, or it goes. */
static void end_making(struct call *c, struct clone *clone, bool is_whole)
{
    process_relock_ending(c, clone->child);
    return_private(c, clone->child, clone->left);
    if (!is_whole) {
        (void)process_run_down(c, clone->child);
        return;
    }
    store32_release(&clone->child->state, PROCESS_LIVE);
    process_unlock_address(c, clone->child);
}

static bool is_address_space_given(const struct ntmm_process_config *config)
{
    return config->highest_address || config->bottom_up_start || config->flags ||
           config->protection;
}

ntmm_status ntmm_clone_process(struct ntmm_system *system, ntmm_handle parent,
                               const struct ntmm_process_config *given, ntmm_handle *process)
{
    struct call c = call_begin_to_wait(system);
    struct clone clone = {.parent = parent};
    struct ntmm_process_config config = {.size = 0};
    struct layout layout;
    if (!process)
        return NTMM_STATUS_ACCESS_VIOLATION;
    if (given && !process_capture_config(given, &config))
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    if (is_address_space_given(&config))
        return NTMM_STATUS_INVALID_PARAMETER_3;
    ntmm_status status = look_at_parent(&c, &clone, &config, &layout);
    if (status == NTMM_STATUS_SUCCESS)
        status = make_child(&c, &clone, &config, &layout);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    status = charge_child(&c, &clone);
    if (status == NTMM_STATUS_SUCCESS)
        status = clone_targets(&c, parent, clone.child);
    if (status == NTMM_STATUS_SUCCESS)
        status = copy_regions(&c, &clone);
    if (status == NTMM_STATUS_SUCCESS)
        clone_targets_end(&c, clone.child);
    clone_block_close(&c, clone.block);
    end_making(&c, &clone, status == NTMM_STATUS_SUCCESS);
    if (status != NTMM_STATUS_SUCCESS)
        take_back(&c, &clone);
    if (status == NTMM_STATUS_SUCCESS)
        *process = clone.handle;
    return status;
}
