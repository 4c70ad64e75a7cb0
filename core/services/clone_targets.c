/*
 * The bitmap of call targets of a clone. See clone.c, and docs/clones.md.
 *
 * As with other pages the parent and the child are never locked together: a page of the bitmap is
 * carried over in pieces, each as it is at that moment.
 */
#include "services/process_end.h"
#include "services/process_make.h"
#include "services/relief.h"
#include "services/space_search.h"
#include "space/call_targets.h"

/* Where the parent's bitmap lies; none: place->end is 0. */
static ntmm_status find_bitmap(struct call *c, ntmm_handle handle, struct vad_place *place)
{
    struct process *parent;
    ntmm_status status = process_lock_address(c, handle, NTMM_PROCESS_CREATE_PROCESS, &parent);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    *place = (struct vad_place){.start = get64(&parent->targets_page)};
    if (targets_are_kept(parent))
        place->end = vad_end(vad_find(c, parent, place->start));
    process_unlock_address(c, parent);
    return status;
}

static ntmm_status begin_bitmap(struct call *c, struct process *child, struct vad_place *place)
{
    struct relief relief = relief_begin();
    ntmm_status status;
    do {
        process_relock_ending(c, child);
        status = space_is_free(c, child, place) ? targets_begin(c, child, place)
                                                : NTMM_STATUS_CONFLICTING_ADDRESSES;
        process_unlock_address(c, child);
    } while (relieve(c, &relief, child, &status));
    return status;
}

/* The parent's next page, or one piece of it. */
static ntmm_status look_at_bitmap(struct call *c, ntmm_handle handle, uint64_t *index,
                                  uint32_t offset, void *bits)
{
    struct process *parent;
    ntmm_status status = process_lock_address(c, handle, NTMM_PROCESS_CREATE_PROCESS, &parent);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (bits)
        targets_read(c, parent, *index, offset, bits);
    else
        *index = targets_next(c, parent, *index);
    process_unlock_address(c, parent);
    return status;
}

static ntmm_status make_page(struct call *c, struct process *child, uint64_t index)
{
    struct relief relief = relief_begin();
    uint64_t first = index * TARGETS_PER_PAGE;
    ntmm_status status;
    do {
        process_relock_ending(c, child);
        status = targets_prepare(c, child, first, first + 1);
        process_unlock_address(c, child);
    } while (relieve(c, &relief, child, &status));
    return status;
}

static ntmm_status copy_page(struct call *c, ntmm_handle parent, struct process *child,
                             uint64_t index)
{
    uint8_t bits[TARGETS_PIECE_BYTES];
    ntmm_status status = make_page(c, child, index);
    for (uint32_t at = 0; at < NTMM_PAGE_SIZE && status == NTMM_STATUS_SUCCESS; at += sizeof bits) {
        status = look_at_bitmap(c, parent, &index, at, bits);
        process_relock_ending(c, child);
        if (status == NTMM_STATUS_SUCCESS)
            targets_write(c, child, index, at, bits);
        process_unlock_address(c, child);
    }
    return status;
}

ntmm_status clone_targets(struct call *c, ntmm_handle parent, struct process *child)
{
    struct vad_place place;
    ntmm_status status = find_bitmap(c, parent, &place);
    if (status != NTMM_STATUS_SUCCESS || place.end == 0)
        return status;
    status = begin_bitmap(c, child, &place);
    for (uint64_t index = 0; status == NTMM_STATUS_SUCCESS; index++) {
        status = look_at_bitmap(c, parent, &index, 0, NULL);
        if (status != NTMM_STATUS_SUCCESS || index == UINT64_MAX)
            break;
        status = copy_page(c, parent, child, index);
    }
    return status;
}

void clone_targets_end(struct call *c, struct process *child)
{
    struct gap_range range = {.end = 0};
    uint64_t highest = get64(&child->highest_page);
    if (!targets_are_kept(child))
        return;
    process_relock_ending(c, child);
    for (uint64_t page = 0; page < highest; page = range.end) {
        if (!gap_tree_find_at_or_after(c->bias, &child->vads, page, &range))
            range = (struct gap_range){.start = highest, .end = highest};
        targets_set(c, child, page, range.start, false);
    }
    targets_prune(c, child, 0, highest); /* also what the parent has given back meanwhile */
    process_unlock_address(c, child);
}
