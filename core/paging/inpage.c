/*
 * Reads from page files: the cluster, its frames, and the completion.
 *
 *   entries of one table   . P P R P .      P: page file, slots in a row; R: resident, of that row
 *   slots                    5 6 7 8        one transfer of slots 5..8
 *   frames                   a b d c        d: the dummy page, whose contents nobody wants
 *
 * The page that was asked for comes first to frames; what is read ahead takes only what is left in
 * plenty, and ends a cluster where frames do. A page asked for earns the credit to read one ahead,
 * one that was read ahead and then asked for earns two; so pages read are never twice what they
 * would be without read-ahead, however it fares. Source: nt_semantics 6.7; which neighbours and how
 * many, ours.
 */
#include "base/bits.h"
#include "paging/transfers.h"
#include "space/table.h"

/* Of what is available read-ahead takes one in so many at most. */
#define AVAILABLE_PART 4u
/* Most credit that a page asked for adds to. */
#define CREDIT_LIMIT 256u

/* Pages around the one asked for, in slot order. */
struct cluster {
    le64 *first;    /* entry of the first page */
    uint32_t count; /* pages, dummies included */
    uint32_t target;
    uint64_t first_slot;
    uint32_t file;
};

/* Whether a page in memory has this slot. (W) is held. */
static bool is_resident_copy(struct call *c, const le64 *entry, uint64_t raw, uint64_t wanted)
{
    uint64_t frame = FRAME_NONE;
    if (raw & FIELD_MASK(HW_VALID)) {
        frame = field_get(raw, HW_FRAME);
        frame_lock(c, frame);
    } else {
        frame = entry_lock_transition(c, entry);
    }
    if (frame == FRAME_NONE)
        return false;
    uint64_t original = load64_relaxed(&pfn_at(c, frame)->original_pte);
    frame_unlock(c, frame);
    return slot_of(original) == slot_of(wanted) && slot_file(original) == slot_file(wanted);
}

enum neighbour { NEIGHBOUR_NONE, NEIGHBOUR_OUT, NEIGHBOUR_RESIDENT };

/* What the entry of a neighbour is, if `wanted` names the slot that it would have. */
static enum neighbour look_at(struct call *c, const le64 *entry, uint64_t wanted)
{
    uint64_t raw = load64_relaxed(entry);
    if (entry_kind(c, raw) == PTE_PAGEFILE) {
        uint64_t value = entry_value(c, raw);
        bool is_next = slot_of(value) == slot_of(wanted) && slot_file(value) == slot_file(wanted);
        return is_next ? NEIGHBOUR_OUT : NEIGHBOUR_NONE;
    }
    return is_resident_copy(c, entry, raw, wanted) ? NEIGHBOUR_RESIDENT : NEIGHBOUR_NONE;
}

/* Pages in a row from `entry` on, in steps of +1 or -1, at most `most`; the last one is out. */
static uint32_t count_neighbours(struct call *c, const le64 *entry, uint64_t value, int32_t step,
                                 uint32_t most)
{
    uint32_t count = 0;
    for (uint32_t i = 1; i <= most; i++) {
        int64_t offset = step * (int64_t)i;
        uint64_t wanted = slot_set(value, slot_file(value), slot_of(value) + (uint64_t)offset);
        enum neighbour neighbour = look_at(c, entry + offset, wanted);
        if (neighbour == NEIGHBOUR_NONE)
            break;
        if (neighbour == NEIGHBOUR_OUT)
            count = i;
    }
    return count;
}

uint32_t read_ahead_allowed(struct call *c, uint32_t most, bool is_prefetch)
{
    uint64_t credit = load64_relaxed(&partition_of(c)->read_ahead_credit);
    uint64_t spare = frames_available(c) / AVAILABLE_PART;
    uint64_t wanted = is_prefetch ? most : min_u64(most, credit);
    return (uint32_t)min_u64(spare, wanted);
}

/* Two faults may spend the same credit. */
void read_ahead_spend(struct call *c, uint32_t ahead)
{
    le64 *credit = &partition_of(c)->read_ahead_credit;
    uint64_t seen = load64_relaxed(credit);
    uint64_t left;
    do {
        uint64_t earned = seen < CREDIT_LIMIT ? seen + 1 : seen;
        left = earned - min_u64(earned, ahead);
    } while (!cas64(credit, &seen, left));
    system_count(c, NTMM_COUNTER_READ_AHEAD_PAGES, ahead);
}

static struct cluster choose_cluster(struct call *c, const struct inpage_request *request,
                                     uint64_t value)
{
    struct cluster cluster = {.first = request->entry,
                              .count = 1,
                              .first_slot = slot_of(value),
                              .file = slot_file(value)};
    uint32_t index = (uint32_t)((uintptr_t)request->entry >> 3) & (NTMM_ENTRIES_PER_TABLE - 1);
    uint32_t most = request->cluster > 1
                        ? read_ahead_allowed(c, request->cluster - 1, request->is_prefetch)
                        : 0;
    if (most == 0)
        return cluster;
    uint32_t above = NTMM_ENTRIES_PER_TABLE - 1 - index;
    uint32_t forward =
        count_neighbours(c, request->entry, value, 1, (uint32_t)min_u64(most, above));
    uint64_t below = min_u64(min_u64(most - forward, index), slot_of(value) - 1);
    if (request->is_prefetch)
        below = 0;
    uint32_t backward = count_neighbours(c, request->entry, value, -1, (uint32_t)below);
    cluster.first -= backward;
    cluster.first_slot -= backward;
    cluster.target = backward;
    cluster.count += forward + backward;
    return cluster;
}

static void complete(struct ntmm_io *io)
{
    struct transfer_block *block = io->context;
    struct call c = call_begin(block->sys);
    uint64_t dummy = get64(&partition_of(&c)->dummy_frame);
    uint32_t pages = 0;

    if (NTMM_SUCCEEDED(io->status) && io->transferred_bytes != (uint64_t)io->span_count
                                                                   << NTMM_PAGE_SHIFT)
        io->status = NTMM_STATUS_END_OF_FILE;
    bool is_read = NTMM_SUCCEEDED(io->status);
    for (uint32_t i = 0; i < io->span_count; i++) {
        uint64_t frame = block->spans[i].frame;
        if (frame == dummy)
            continue;
        frame_end_read(&c, frame, is_read, i == block->target);
        pages++;
    }
    if (is_read) {
        system_count(&c, NTMM_COUNTER_PAGE_READS, 1);
        system_count(&c, NTMM_COUNTER_DUMMY_PAGES_READ, io->span_count - pages);
    }
    page_file_note_read(&c, block->file, pages, io->status);
    event_note(&c, NTMM_EVENT_PAGE_READ, 0, io->offset_bytes, io->status, pages);
    block_finish(&c, block);
}

/* One page of the cluster: its frame is in transition, being read into. */
static void begin_page(struct call *c, const struct inpage_request *request, le64 *entry,
                       uint64_t frame, uint32_t block)
{
    uint64_t value = entry_value(c, load64_relaxed(entry));
    uint32_t protection = (uint32_t)field_get(value, SW_PROTECTION);
    frame_begin_read(c, frame, core_ref(c, entry), value, block);
    if (use_is_of_table(request->use))
        pfn_add_used(pfn_at(c, frame), (int32_t)field_get(value, SW_USED));
    entry_write(c, request->table, entry, entry_transition(protection, frame));
    frame_step(c, pfn_at(c, frame), "name");
}

/* Frames for one side of the page asked for; returns how many pages of it got one. */
static uint32_t fill_side(struct call *c, const struct inpage_request *request,
                          const struct cluster *cluster, struct transfer_block *block, int32_t step,
                          uint32_t most, uint32_t *pages)
{
    uint64_t dummy = get64(&partition_of(c)->dummy_frame);
    uint32_t last = 0;
    for (uint32_t i = 1; i <= most; i++) {
        uint32_t index = (uint32_t)((int32_t)cluster->target + step * (int32_t)i);
        le64 *entry = &cluster->first[index];
        uint64_t frame = dummy;
        if (entry_kind(c, load64_relaxed(entry)) == PTE_PAGEFILE) {
            if (!frame_allocate(c, request->use, &frame))
                break;
            begin_page(c, request, entry, frame, block_number(c, block));
            if (!request->is_prefetch)
                pfn_change_state(pfn_at(c, frame), 0, PFN_READ_AHEAD);
            ++*pages;
            last = i;
        }
        block->spans[index].frame = frame;
    }
    return last;
}

static void fill_spans(struct transfer_block *block, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        block->spans[i] = (struct ntmm_content_span){.frame = block->spans[first + i].frame,
                                                     .size_bytes = NTMM_PAGE_SIZE};
    }
}

struct transfer_block *inpage_begin(struct call *c, const struct inpage_request *request,
                                    uint32_t *pages)
{
    uint64_t value = entry_value(c, load64_relaxed(request->entry));
    uint64_t frame;
    if (!frame_allocate(c, request->use, &frame))
        return NULL;
    struct transfer_block *block = block_take_read_of(c, 2, request->cluster);
    if (!block) {
        frame_free(c, frame);
        return NULL;
    }
    struct cluster cluster = choose_cluster(c, request, value);
    *pages = 1;
    begin_page(c, request, request->entry, frame, block_number(c, block));
    block->spans[cluster.target].frame = frame;
    uint32_t above = cluster.count - 1 - cluster.target;
    uint32_t backward = 0, forward = 0;
    if (cluster.target != 0)
        backward = fill_side(c, request, &cluster, block, -1, cluster.target, pages);
    if (above != 0)
        forward = fill_side(c, request, &cluster, block, 1, above, pages);
    fill_spans(block, cluster.target - backward, backward + 1 + forward);
    if (!use_is_of_table(request->use) && !request->is_prefetch)
        read_ahead_spend(c, *pages - 1);
    block->file = cluster.file;
    block->first_slot = slot_of(value) - backward;
    block->target = backward;
    block->target_frame = frame;
    block->target_entry = core_ref(c, request->entry);
    block->io.device = get64(&page_file_at(c, cluster.file)->device);
    block->io.offset_bytes = block->first_slot << NTMM_PAGE_SHIFT;
    block->io.span_count = backward + 1 + forward;
    block->io.operation = NTMM_IO_READ;
    block->io.complete = complete;
    return block;
}
