/*
 * Writing the modified pages of a file and waiting for them. See area_touch.h.
 *
 *   look for a run of modified pages --> batch --> submit --> wait --> next run
 *        (X), and (W) of the process whose view is flushed
 *   pages that somebody else is writing: wait for an end of a write, look again
 *
 * With a view the dirty bits of its process are cleared first, under the (W) under which the pages
 * are taken: so a store that comes later makes its page modified again. Who else maps a page keeps
 * it modified. At the end what the file lacks below the pages written is written as zeros, a run
 * of pages at a time, and valid data reaches up to them: whatever comes, the file is right as far
 * as it says.
 */
#include "services/area_flush.h"
#include "base/bits.h"
#include "paging/transfers.h"
#include "section/view.h"
#include "services/area_touch.h"

/* Pages of a view whose dirty bits are cleared under one hold of (W). */
#define VIEW_RUN_PAGES 256u

/* Pages that the file lacks, brought in before they are written: what a gap takes of memory, and
 * how far it goes for a device that is gone. */
#define GAP_RUN_PAGES 64u

struct flush {
    struct control_area *area;
    const struct flush_view *view; /* or NULL */
    uint64_t next;                 /* page to be looked at */
    uint64_t stop;                 /* of this run */
    uint64_t end;
    bool has_batch;
    bool is_busy;       /* a page is being written by somebody else */
    bool is_blocked;    /* there was no block */
    ntmm_status status; /* first failure */
    struct mapped_batch batch;
};

/* --- waiting --- */

bool wait_for_chance(struct call *c, uint32_t chances)
{
    struct ntmm_wait wait = {0};
    waiters_add(c, &c->sys->for_frame, &wait);
    bool is_over = waiters_chances(c) != chances || wait_until_woken(c, &wait);
    waiters_cancel(c, &c->sys->for_frame, &wait);
    return is_over;
}

/* Submit a batch and wait for its end; its status. */
static ntmm_status write_batch(struct call *c, struct mapped_batch *batch)
{
    struct ntmm_wait wait = {0};
    struct transfer_block *block = batch->block;
    if (!mapped_batch_submit(c, batch, &wait))
        return NTMM_STATUS_SUCCESS;
    bool is_over = wait_until_woken(c, &wait);
    waiters_cancel(c, &block->waits, &wait);
    ntmm_status status = is_over ? block->io.status : NTMM_STATUS_CANT_WAIT;
    block_leave(c, block);
    return status;
}

/* --- finding --- */

/* Shares of the view's process among those of a page. (W) is held if there is a view. */
static uint32_t own_shares(struct call *c, const struct flush *f, uint64_t page)
{
    if (!f->view)
        return 0;
    uint64_t own = vad_start(f->view->vad) + (page - get64(&f->view->vad->first_prototype));
    if (own < vad_start(f->view->vad) || own >= vad_end(f->view->vad))
        return 0;
    struct table_span span = table_find(c, f->view->process, own);
    uint64_t raw = span.entry ? load64_relaxed(span.entry) : 0;
    return (raw & FIELD_MASK(HW_VALID)) && !view_entry_is_private(c, raw);
}

/* Take a modified page into the batch. True: the batch is to be written. */
static bool take_page(struct call *c, struct flush *f, const le64 *entry, uint64_t page)
{
    uint32_t own = own_shares(c, f, page);
    uint64_t frame = prototype_lock_frame(c, entry);
    if (frame == FRAME_NONE)
        return f->has_batch;
    const struct pfn *pfn = pfn_at(c, frame);
    bool is_busy = pfn_is_being_written(pfn);
    bool is_wanted = pfn_is_modified(pfn) && !is_busy;
    f->is_busy |= is_busy;
    if (is_wanted && !f->has_batch) {
        f->has_batch = mapped_batch_begin(c, f->area, page, &f->batch);
        f->is_blocked = !f->has_batch;
    }
    bool is_taken = is_wanted && f->has_batch && frame_begin_flush(c, frame, own);
    frame_unlock(c, frame);
    if (!is_taken)
        return f->has_batch || f->is_blocked;
    return mapped_batch_add(c, &f->batch, frame);
}

/* Fill a batch, going on from f->next; which stays at a page that the batch did not take. */
static void find_run(struct call *c, struct flush *f)
{
    f->has_batch = f->is_blocked = false;
    area_lock(c, f->area);
    while (f->next < f->stop) {
        struct prototype_span span = prototype_find(c, f->area, f->next);
        uint64_t stop = min_u64(span.end, f->stop);
        bool is_over = !span.entry && f->has_batch;
        for (le64 *entry = span.entry; entry && f->next < stop && !is_over; entry++) {
            uint32_t before = f->has_batch ? f->batch.block->target : 0;
            is_over = take_page(c, f, entry, f->next);
            uint32_t after = f->has_batch ? f->batch.block->target : 0;
            if (!is_over || after != before)
                f->next++;
        }
        if (is_over)
            break;
        f->next = stop;
    }
    area_unlock(c, f->area);
}

/* --- views --- */

/* The pages that the next batch may take are not dirty in the view's process any more. (W) held. */
static void clean_view(struct call *c, const struct flush *f)
{
    const uint64_t dirty = FIELD_MASK(HW_DIRTY1) | FIELD_MASK(HW_DIRTY);
    const struct vad *vad = f->view->vad;
    struct process *process = f->view->process;
    struct gather g;
    gather_begin(&g, process, NTMM_SHOOTDOWN_ACCESSED);
    uint64_t first = vad_start(vad) + (f->next - get64(&vad->first_prototype));
    uint64_t end = min_u64(first + (f->stop - f->next), vad_end(vad));
    for (uint64_t page = first; page < end;) {
        struct table_span span = table_find(c, process, page);
        uint64_t stop = min_u64(span.end, end);
        for (le64 *entry = span.entry; entry && page < stop; page++, entry++) {
            uint64_t raw = load64_relaxed(entry);
            if (!(raw & FIELD_MASK(HW_VALID)) || view_entry_is_private(c, raw) || !(raw & dirty))
                continue;
            frame_make_modified(c, field_get(raw, HW_FRAME));
            while (!cas64(entry, &raw, raw & ~dirty)) {
            }
            gather_range(&g, page, page + 1);
        }
        page = stop;
    }
    gather_finish(c, process, &g);
}

/* --- the file's valid data --- */

/* Whether the file has a page, or will have when what is modified is written. (X) is held. */
static bool is_page_written(struct call *c, struct control_area *area, uint64_t page)
{
    struct prototype_span span = prototype_find(c, area, page);
    if (!span.entry)
        return false;
    uint64_t frame = prototype_lock_frame(c, span.entry);
    uint64_t value = frame == FRAME_NONE ? entry_value(c, load64_relaxed(span.entry))
                                         : load64_relaxed(&pfn_at(c, frame)->original_pte);
    if (frame != FRAME_NONE)
        frame_unlock(c, frame);
    return entry_is_of_file(value) && (value & ENTRY_WRITTEN);
}

/* The page behind the last one from `page` on that the file has. */
static uint64_t end_of_written(struct call *c, struct control_area *area, uint64_t page,
                               uint64_t end)
{
    uint64_t last = page;
    area_lock(c, area);
    while (page < end) {
        struct prototype_span span = prototype_find(c, area, page);
        uint64_t stop = min_u64(span.end, end);
        for (; span.entry && page < stop; page++) {
            if (is_page_written(c, area, page))
                last = page + 1;
        }
        page = stop;
    }
    area_unlock(c, area);
    return last;
}

/* Write a page that nobody ever wrote: it is brought in as zeros, and goes like any other. */
static ntmm_status fill_gap(struct call *c, struct control_area *area, uint64_t page)
{
    uint64_t frame;
    area_lock(c, area);
    bool is_written = is_page_written(c, area, page);
    area_unlock(c, area);
    if (is_written)
        return NTMM_STATUS_SUCCESS;
    ntmm_status status = area_touch(c, area, page, &frame);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    frame_make_modified(c, frame);
    frame_end_share(c, frame);
    return status;
}

/* How far valid data is to reach when the device has been flushed. */
struct reach {
    uint64_t bytes; /* 0: where it is */
    uint32_t cuts;  /* of the file, before its pages were looked at */
};

/* The size and the number of cuts that a file has before its pages are written: what it grows by
 * meanwhile is not on the device. */
static uint64_t look_at_size(struct call *c, const struct file *file, struct reach *reach)
{
    objects_lock(c); /* who made it this large has marked the page at the old end (file_io.c) */
    uint64_t size_bytes = get64(&file->size_bytes);
    *reach = (struct reach){.cuts = get32(&file->cuts)};
    objects_unlock(c);
    return size_bytes;
}

/* What was written is durable. Of a file that became smaller meanwhile, and perhaps larger again,
 * nobody knows which pages those are: whoever cut it has raised its valid data. */
static void raise_valid(struct call *c, struct file *file, const struct reach *reach)
{
    objects_lock(c);
    uint64_t bytes = min_u64(reach->bytes, get64(&file->size_bytes));
    if (reach->cuts == get32(&file->cuts) && bytes > get64(&file->valid_bytes))
        store64_relaxed(&file->valid_bytes, bytes);
    objects_unlock(c);
}

/* --- the flush --- */

/* Write one run; false: nothing more is to be done. Locks of a view are taken in here. */
static bool write_run(struct call *c, struct flush *f)
{
    uint32_t chances = waiters_chances(c);
    f->stop = f->view ? min_u64(f->next + VIEW_RUN_PAGES, f->end) : f->end;
    if (f->view && !flush_view_lock(c, f->view))
        return false;
    if (f->view)
        clean_view(c, f);
    find_run(c, f);
    if (f->view)
        process_unlock_working_set(c, f->view->process);
    if (f->has_batch) {
        ntmm_status status = write_batch(c, &f->batch);
        if (NTMM_SUCCEEDED(f->status))
            f->status = status;
        return status != NTMM_STATUS_CANT_WAIT;
    }
    if (!f->is_blocked)
        return f->next < f->end;
    if (wait_for_chance(c, chances))
        return true;
    f->status = NTMM_STATUS_CANT_WAIT;
    return false;
}

static ntmm_status write_modified(struct call *c, struct control_area *area,
                                  const struct flush_view *view, uint64_t start, uint64_t end)
{
    struct flush f = {.area = area, .view = view, .status = NTMM_STATUS_SUCCESS};
    do {
        uint32_t chances = waiters_chances(c);
        f.next = start;
        f.end = end;
        f.is_busy = false;
        while (write_run(c, &f)) {
        }
        if (f.is_busy && NTMM_SUCCEEDED(f.status) && !wait_for_chance(c, chances))
            f.status = NTMM_STATUS_CANT_WAIT;
    } while (f.is_busy && NTMM_SUCCEEDED(f.status));
    return f.status;
}

/* Write what the file lacks, and what is modified between, run by run. */
static ntmm_status fill_gaps(struct call *c, struct control_area *area, uint64_t first,
                             uint64_t last)
{
    ntmm_status status = NTMM_STATUS_SUCCESS;
    for (uint64_t page = first; page < last && NTMM_SUCCEEDED(status); first = page) {
        uint64_t stop = min_u64(page + GAP_RUN_PAGES, last);
        for (; page < stop && NTMM_SUCCEEDED(status); page++)
            status = fill_gap(c, area, page);
        if (NTMM_SUCCEEDED(status))
            status = write_modified(c, area, NULL, first, stop);
    }
    return status;
}

/* Valid data is to reach as far as pages were written. */
static ntmm_status extend_valid(struct call *c, struct control_area *area, uint64_t end,
                                struct reach *reach)
{
    const struct file *file = file_at(c, get64(&area->file));
    uint64_t size_bytes = look_at_size(c, file, reach);
    uint64_t first = load64_relaxed(&file->valid_bytes) >> NTMM_PAGE_SHIFT;
    ntmm_status status = NTMM_STATUS_SUCCESS;
    uint64_t last = end_of_written(c, area, first, end);
    if (last == first)
        return status;
    status = fill_gaps(c, area, first, last);
    reach->bytes = min_u64(last << NTMM_PAGE_SHIFT, size_bytes);
    return status;
}

ntmm_status area_flush_view(struct call *c, struct control_area *area,
                            const struct flush_view *view, uint64_t start, uint64_t end)
{
    struct file *file = file_at(c, get64(&area->file));
    struct reach reach = {0};
    ntmm_status status = write_modified(c, area, view, start, end);
    if (NTMM_SUCCEEDED(status))
        status = extend_valid(c, area, end, &reach);
    if (NTMM_SUCCEEDED(status))
        status = transfer_and_wait(c, get64(&file->device), NTMM_IO_FLUSH, 0);
    if (NTMM_SUCCEEDED(status) && reach.bytes != 0)
        raise_valid(c, file, &reach);
    return status;
}

ntmm_status area_flush(struct call *c, struct control_area *area, uint64_t start, uint64_t end)
{
    return area_flush_view(c, area, NULL, start, end);
}
