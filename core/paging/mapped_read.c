/*
 * Reads from files of sections: the cluster, its frames, and the completion.
 *
 *   prototype entries of one table   . F F R     F: of the file, R: resident
 *   file                               5 6       one transfer, in the order of the file
 *
 * Only pages in a row that are not in memory are read together: a file is not laid out by us, so
 * nothing is gained by reading what is there already. A page at the end of what the file has is
 * short: the completion fills the rest with zeros. Source: nt_semantics 6.7; the budget of
 * read-ahead is that of page files.
 */
#include "base/bits.h"
#include "paging/transfers.h"
#include "section/image_record.h"
#include "section/prototype.h"

#define ZERO_PIECE_BYTES 256u

static uint64_t value_of(struct call *c, const struct control_area *area, const le64 *entry,
                         uint64_t page)
{
    uint64_t value = entry_value(c, load64_relaxed(entry));
    return value ? value : prototype_default(c, area, page);
}

/* Bytes of a page that is to be read; 0: it is in memory, or the file has none. */
static uint32_t readable_bytes(struct call *c, const struct control_area *area, const le64 *entry,
                               uint64_t page, uint64_t *offset)
{
    enum pte_kind kind = entry_kind(c, load64_acquire(entry));
    if (kind != PTE_ZERO && kind != PTE_PROTOTYPE)
        return 0;
    uint64_t value = value_of(c, area, entry, page);
    return entry_is_of_file(value) ? area_backing(c, area, page, value, offset) : 0;
}

/* Pages from `page` on, in steps of +1 or -1, that follow it in the file too, at most `most`. */
static uint32_t count_neighbours(struct call *c, const struct mapped_request *request,
                                 uint64_t offset, int32_t step, uint32_t most)
{
    for (uint32_t i = 1; i <= most; i++) {
        int64_t distance = step * (int64_t)i;
        uint64_t found;
        uint32_t bytes = readable_bytes(c, request->area, request->entry + distance,
                                        request->page + (uint64_t)distance, &found);
        if (bytes == 0 || found != offset + (uint64_t)(distance * NTMM_PAGE_SIZE) ||
            (step < 0 && bytes != NTMM_PAGE_SIZE))
            return i - 1;
        if (bytes != NTMM_PAGE_SIZE)
            return i;
    }
    return most;
}

/* The rest of a page that the file has only the first bytes of. */
static ntmm_status zero_tail(struct call *c, const struct ntmm_content_span *span)
{
    static const uint8_t zeros[ZERO_PIECE_BYTES];
    const struct ntmm_platform *platform = &c->sys->platform;
    for (uint32_t at = span->size_bytes; at < NTMM_PAGE_SIZE;) {
        struct ntmm_content_span piece = {.frame = span->frame, .offset_bytes = at};
        piece.size_bytes = (uint32_t)min_u64(ZERO_PIECE_BYTES, NTMM_PAGE_SIZE - at);
        ntmm_status status = platform->write(platform->context, &piece, 1, zeros);
        if (!NTMM_SUCCEEDED(status))
            return status;
        at += piece.size_bytes;
    }
    return NTMM_STATUS_SUCCESS;
}

static uint64_t bytes_of(const struct ntmm_io *io)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < io->span_count; i++)
        bytes += io->spans[i].size_bytes;
    return bytes;
}

/* Pages of an image become what they are at its base. One that was given up meanwhile is nobody's.
 * The frames are being read, so their entries stay what they are but for that. */
static ntmm_status relocate_spans(struct call *c, const struct control_area *area,
                                  const struct ntmm_io *io)
{
    ntmm_status status = NTMM_STATUS_SUCCESS;
    for (uint32_t i = 0; i < io->span_count && NTMM_SUCCEEDED(status); i++) {
        uint64_t frame = io->spans[i].frame;
        frame_lock(c, frame);
        uint64_t address = get64(&pfn_at(c, frame)->entry_address);
        uint64_t page = address ? prototype_page(c, address) : 0;
        frame_unlock(c, frame);
        if (address)
            status = image_relocate(c, get64(&area->image), page, frame);
    }
    return status;
}

static void complete(struct ntmm_io *io)
{
    struct transfer_block *block = io->context;
    struct call c = call_begin(block->sys);
    struct control_area *image = block->area ? area_at(&c, block->area) : NULL;

    if (NTMM_SUCCEEDED(io->status) && io->transferred_bytes != bytes_of(io))
        io->status = NTMM_STATUS_END_OF_FILE;
    if (NTMM_SUCCEEDED(io->status))
        io->status = zero_tail(&c, &io->spans[io->span_count - 1]);
    if (NTMM_SUCCEEDED(io->status) && image)
        io->status = relocate_spans(&c, image, io);
    bool is_read = NTMM_SUCCEEDED(io->status);
    for (uint32_t i = 0; i < io->span_count; i++)
        frame_end_read(&c, block->spans[i].frame, is_read, i == block->target);
    if (is_read)
        system_count(&c, NTMM_COUNTER_PAGE_READS, 1);
    event_note(&c, NTMM_EVENT_PAGE_READ, 0, io->offset_bytes, io->status, io->span_count);
    if (image)
        (void)add32(&image->io_count, ~0u);
    block_finish(&c, block);
}

/* One page of the cluster: its frame is in transition, being read into. */
static bool begin_page(struct call *c, const struct mapped_request *request, int32_t distance,
                       struct transfer_block *block, struct ntmm_content_span *span)
{
    le64 *entry = request->entry + distance;
    uint64_t page = request->page + (uint64_t)(int64_t)distance;
    uint64_t frame, offset;
    if (!frame_allocate(c, NTMM_USE_SECTION, &frame))
        return false;
    uint64_t value = value_of(c, request->area, entry, page);
    uint32_t bytes = area_backing(c, request->area, page, value, &offset);
    frame_begin_read(c, frame, core_ref(c, entry), value, block_number(c, block));
    if (distance != 0 && !request->is_prefetch)
        pfn_change_state(pfn_at(c, frame), 0, PFN_READ_AHEAD);
    entry_write(c, request->table, entry,
                entry_transition((uint32_t)field_get(value, SW_PROTECTION), frame));
    frame_step(c, pfn_at(c, frame), "name");
    *span = (struct ntmm_content_span){.frame = frame, .size_bytes = bytes};
    return true;
}

/* Frames for the pages beside the one asked for: the spans are in the order of the file. */
static void fill(struct call *c, const struct mapped_request *request, uint32_t backward,
                 uint32_t forward, struct transfer_block *block)
{
    struct ntmm_content_span target = block->spans[0];
    uint32_t first = 0;
    while (first < backward && begin_page(c, request, -(int32_t)(first + 1), block,
                                          &block->spans[backward - 1 - first]))
        first++;
    /* what got no frame is left out, and the others move down */
    for (uint32_t i = 0; i < first; i++)
        block->spans[i] = block->spans[backward - first + i];
    block->spans[first] = target;
    block->target = first;
    uint32_t count = first + 1;
    for (uint32_t i = 1; i <= forward; i++, count++) {
        if (!begin_page(c, request, (int32_t)i, block, &block->spans[count]))
            break;
    }
    block->io.span_count = count;
    c->want = (struct want){.kind = WANT_NOTHING};
}

static void choose(struct call *c, const struct mapped_request *request, uint64_t offset,
                   uint32_t bytes, uint32_t *backward, uint32_t *forward)
{
    uint32_t index =
        (uint32_t)((uintptr_t)request->entry / sizeof(le64)) & (NTMM_ENTRIES_PER_TABLE - 1);
    uint32_t most = 0;
    *backward = *forward = 0;
    if (request->cluster > 1)
        most = read_ahead_allowed(c, request->cluster - 1, request->is_prefetch);
    if (most == 0)
        return;
    uint32_t above = (uint32_t)min_u64(most, NTMM_ENTRIES_PER_TABLE - 1 - index);
    if (bytes == NTMM_PAGE_SIZE)
        *forward = count_neighbours(c, request, offset, 1, above);
    uint32_t below = (uint32_t)min_u64(most - *forward, index);
    if (!request->is_prefetch)
        *backward = count_neighbours(c, request, offset, -1, below);
}

struct transfer_block *mapped_read_begin(struct call *c, const struct mapped_request *request,
                                         uint32_t *pages)
{
    struct control_area *area = request->area;
    const struct file *file = file_at(c, get64(&area->file));
    uint64_t offset;
    uint32_t backward, forward;
    struct transfer_block *block = block_take_read_of(c, 2, request->cluster);
    if (!block)
        return NULL;
    uint32_t bytes = readable_bytes(c, area, request->entry, request->page, &offset);
    NTMM_ASSERT(bytes != 0);
    choose(c, request, offset, bytes, &backward, &forward);
    if (!begin_page(c, request, 0, block, &block->spans[0])) {
        struct want want = c->want;
        block->io.operation = NTMM_IO_READ;
        block_leave(c, block);
        block_leave(c, block);
        c->want = want;
        return NULL;
    }
    fill(c, request, backward, forward, block);
    *pages = block->io.span_count;
    if (!request->is_prefetch)
        read_ahead_spend(c, *pages - 1);
    bool is_image = area_is(area, AREA_IMAGE); /* its completion relocates what was read */
    if (is_image)
        (void)add32(&area->io_count, 1);
    block->file = TRANSFER_OF_FILE;
    block->area = is_image ? area_ref(c, area) : 0; /* an area of data may end before the read */
    block->target_frame = block->spans[block->target].frame;
    block->target_entry = core_ref(c, request->entry);
    block->io.device = get64(&file->device);
    block->io.offset_bytes = offset - ((uint64_t)block->target << NTMM_PAGE_SHIFT);
    block->io.operation = NTMM_IO_READ;
    block->io.complete = complete;
    return block;
}
