/*
 * The modified page writer.
 *
 *   modified list   d b . a c      taken from the head, oldest first; a page of zeros (.) needs no
 *   block           a b c d        slot; the rest in the order of their entries' addresses
 *   slots           7 8 | 12 13    as many runs as it takes, each one a transfer of its own block
 *
 * So neighbours in an address space become neighbours in the file, and one read brings them back.
 * While a page is written a fault may take it back, a program may change it, or its region may go:
 * frame_end_write sorts that out. Nothing here waits. What finds no slot or no block goes back to
 * the tail of the list. Source: nt_semantics 9.1; the order and the zeros are ours.
 */
#include "base/bits.h"
#include "paging/transfers.h"

/* Bytes of a page that are looked at together; most pages that are not zero differ in the first. */
#define ZERO_PIECE_BYTES 256u

/* --- pages of zeros --- */

static bool is_piece_zero(struct call *c, uint64_t frame, uint32_t offset_bytes)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    struct ntmm_content_span span = {
        .frame = frame, .offset_bytes = offset_bytes, .size_bytes = ZERO_PIECE_BYTES};
    uint64_t words[ZERO_PIECE_BYTES / sizeof(uint64_t)];
    uint64_t bits = 0;
    if (!NTMM_SUCCEEDED(platform->read(platform->context, &span, 1, words)))
        return false;
    for (uint32_t i = 0; i < ZERO_PIECE_BYTES / sizeof(uint64_t); i++)
        bits |= words[i];
    return bits == 0;
}

static bool is_page(struct call *c, uint64_t frame)
{
    frame_lock(c, frame);
    enum ntmm_frame_use use = pfn_use(pfn_at(c, frame));
    frame_unlock(c, frame);
    return use == NTMM_USE_PRIVATE || use == NTMM_USE_SECTION;
}

/* Nobody writes to the page unseen: its first write makes it modified again. */
static bool needs_no_slot(struct call *c, uint64_t frame)
{
    if (!(c->sys->paging_flags & NTMM_PAGING_ZEROS_NEED_NO_SLOT) || !is_page(c, frame))
        return false;
    for (uint32_t offset = 0; offset < NTMM_PAGE_SIZE; offset += ZERO_PIECE_BYTES) {
        if (!is_piece_zero(c, frame, offset))
            return false;
    }
    return true;
}

/* --- a batch: the spans of a block that is not submitted yet --- */

/* Take up to `most` frames of the modified list into the block's spans. Pages of zeros are done
 * with, and counted in *zeros; so fewer than `most` frames: the list is empty. */
static uint32_t collect(struct call *c, struct transfer_block *block, uint32_t most,
                        uint32_t *zeros)
{
    uint32_t count = 0;
    while (count + *zeros < most) {
        uint64_t frame = frame_begin_write(c, &partition_of(c)->modified);
        if (frame == FRAME_NONE)
            break;
        frame_unlock(c, frame);
        if (needs_no_slot(c, frame)) {
            frame_end_write(c, frame, WRITE_DONE);
            ++*zeros;
        } else {
            block->spans[count++] =
                (struct ntmm_content_span){.frame = frame, .size_bytes = NTMM_PAGE_SIZE};
        }
    }
    system_count(c, NTMM_COUNTER_ZERO_PAGES_NOT_WRITTEN, *zeros);
    return count;
}

static uint64_t entry_address_of(struct call *c, uint64_t frame)
{
    frame_lock(c, frame);
    uint64_t address = get64(&pfn_at(c, frame)->entry_address);
    frame_unlock(c, frame);
    return address;
}

/* Sort by keys with steps that shrink (Ciura's): in place, and quick on what is nearly in order. */
static void sort_spans(struct ntmm_content_span *spans, uint64_t *keys, uint32_t count)
{
    static const uint32_t gaps[] = {57, 23, 10, 4, 1};
    for (uint32_t g = 0; g < sizeof gaps / sizeof gaps[0]; g++) {
        for (uint32_t i = gaps[g]; i < count; i++) {
            struct ntmm_content_span span = spans[i];
            uint64_t key = keys[i];
            uint32_t j = i;
            for (; j >= gaps[g] && keys[j - gaps[g]] > key; j -= gaps[g]) {
                spans[j] = spans[j - gaps[g]];
                keys[j] = keys[j - gaps[g]];
            }
            spans[j] = span;
            keys[j] = key;
        }
    }
}

static void sort_by_entry(struct call *c, struct transfer_block *block, uint32_t count)
{
    uint64_t keys[NTMM_WRITE_CLUSTER_MAXIMUM];
    for (uint32_t i = 0; i < count; i++)
        keys[i] = entry_address_of(c, block->spans[i].frame);
    sort_spans(block->spans, keys, count);
}

/* The first frames of a batch stay where they are, the others move to another block's spans. */
static void split(const struct transfer_block *block, uint32_t kept, struct transfer_block *rest,
                  uint32_t count)
{
    for (uint32_t i = kept; i < count; i++)
        rest->spans[i - kept] = block->spans[i];
}

static void give_back(struct call *c, const struct transfer_block *block, uint32_t first,
                      uint32_t end)
{
    for (uint32_t i = first; i < end; i++)
        frame_end_write(c, block->spans[i].frame, WRITE_FAILED);
}

/* --- transfers --- */

static void complete(struct ntmm_io *io)
{
    struct transfer_block *block = io->context;
    struct call c = call_begin(block->sys);
    uint32_t pages = io->span_count;
    if (NTMM_SUCCEEDED(io->status) && io->transferred_bytes != (uint64_t)pages << NTMM_PAGE_SHIFT)
        io->status = NTMM_STATUS_DISK_FULL;
    if (NTMM_SUCCEEDED(io->status)) {
        system_count(&c, NTMM_COUNTER_PAGE_WRITES, 1);
        system_count(&c, NTMM_COUNTER_PAGES_WRITTEN, pages);
    }
    enum write_outcome outcome =
        page_file_note_write(&c, block->file, block->first_slot, pages, io->status);
    for (uint32_t i = 0; i < pages; i++)
        frame_end_write(&c, block->spans[i].frame, outcome);
    event_note(&c, NTMM_EVENT_PAGE_WRITE, 0, io->offset_bytes, io->status, pages);
    block_finish(&c, block);
    waiters_note_chance(&c); /* no frame came of a failure: write again */
}

/* Write the first `count` spans of a block to its run of slots. */
static void submit(struct call *c, struct transfer_block *block, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        frame_set_slot(c, block->spans[i].frame, block->file, block->first_slot + i);
    block->io.device = get64(&page_file_at(c, block->file)->device);
    block->io.offset_bytes = block->first_slot << NTMM_PAGE_SHIFT;
    block->io.span_count = count;
    block->io.operation = NTMM_IO_WRITE;
    block->io.complete = complete;
    block_submit(c, block);
}

/* Write a batch, run by run; returns the pages whose write was started. The block goes with it. */
static uint32_t write_batch(struct call *c, struct transfer_block *block, uint32_t count)
{
    uint32_t started = 0;
    while (count != 0) {
        uint32_t run = page_files_take_run(c, count, &block->file, &block->first_slot);
        if (run == 0)
            break;
        struct transfer_block *rest = run < count ? block_take_write(c) : NULL;
        if (rest != NULL)
            split(block, run, rest, count);
        else
            give_back(c, block, run, count);
        submit(c, block, run);
        started += run;
        count = rest != NULL ? count - run : 0;
        block = rest;
    }
    if (block != NULL) {
        give_back(c, block, 0, count);
        block_leave(c, block);
    }
    return started;
}

/* One batch. *has_more: another one makes sense. */
static uint32_t write_some(struct call *c, uint32_t most, bool *has_more)
{
    uint32_t zeros = 0;
    uint32_t run = page_files_next_run(c, most);
    *has_more = false;
    if (run == 0 && !(c->sys->paging_flags & NTMM_PAGING_ZEROS_NEED_NO_SLOT))
        return 0;
    struct transfer_block *block = block_take_write(c);
    if (block == NULL)
        return 0;
    uint32_t count = collect(c, block, run != 0 ? run : most, &zeros);
    sort_by_entry(c, block, count);
    uint32_t started = write_batch(c, block, count);
    *has_more = started + zeros != 0 && started == count;
    return started + zeros;
}

/* Each page once at most: what fails at once is modified again at once. */
uint64_t writer_run(struct call *c, uint64_t budget_pages)
{
    uint64_t done = 0;
    bool has_more = true;
    budget_pages = min_u64(budget_pages, load64_relaxed(&partition_of(c)->modified.count));
    while (has_more && done < budget_pages) {
        uint64_t most = min_u64(c->sys->write_cluster, budget_pages - done);
        done += write_some(c, (uint32_t)most, &has_more);
    }
    return done;
}
