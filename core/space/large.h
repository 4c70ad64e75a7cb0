/*
 * Large pages: regions of 2 MiB or 1 GiB leaves, and of small pages that stay in memory.
 *
 *   entry of level 1 --leaf--> one frame: small pages that are not paged
 *   entry of level 2 --leaf--> 512 frames, one aligned run
 *   entry of level 3 --leaf--> 262,144 frames, 512 adjacent runs, aligned to 1 GiB
 *
 * All frames are taken and zeroed when the region is made, and charged to commit and to what can be
 * resident; none is pageable, none counts in the working set, and a region goes as a whole. An
 * entry is dirty from the beginning, so that no fault of a legal access ever comes. The tables of
 * leaves hold valid entries and so are never trimmed.
 *
 * A view of a section of large pages has leaves of 2 MiB too. Their frames are the section's: they
 * stay when the leaves go, and as each process may protect its own, that stands in the leaf.
 *
 *   V11 each leaf of a region of large pages is valid and of the region's size, and no other region
 *       has one; the rows of all its frames name the leaf's entry and have its protection, or are
 *       those of the section that it shows
 *
 * Everything here needs (A) and (W).
 * Source: nt_semantics 2.10; layout of entries: processor manuals.
 */
#ifndef NTMM_SPACE_LARGE_H
#define NTMM_SPACE_LARGE_H

#include "space/private.h"

/* Level of a region's leaves: 2; 3 for those of 1 GiB, 1 for small ones. */
static inline uint32_t large_level(const struct vad *vad)
{
    uint32_t flags = get32(&vad->flags);
    return flags & VAD_HUGE_PAGES ? 3 : flags & VAD_SMALL_PAGES ? 1 : 2;
}

static inline uint64_t large_leaf_pages(uint32_t level) { return 1ull << 9 * (level - 1); }

/* Whether a leaf can have a protection: no modifier, and some access. */
static inline bool large_is_protection(uint32_t code)
{
    return (code & PROT_MODIFIER_MASK) == 0 && (code & PROT_ACCESS_MASK) != 0;
}

/*
 * A region of leaves of a level, 1 to 3, in a place that is aligned to them.
 * INSUFFICIENT_RESOURCES: more than what is not promised to stay resident; with WANT_ROWS, no run
 * is free; or, of level 1, WANT_FRAME. NO_MEMORY, COMMITMENT_LIMIT,
 * PAGEFILE_QUOTA_EXCEEDED as private_reserve.
 */
ntmm_status large_reserve(struct call *c, struct process *process, const struct vad_place *place,
                          uint32_t protection, uint32_t win32, uint32_t level);

/* Free a whole region. */
void large_release(struct call *c, struct process *process, struct vad *vad);

/* Commit [start, end) again: INVALID_PAGE_PROTECTION unless its leaves have this protection. */
ntmm_status large_commit(struct call *c, struct process *process, const struct vad *vad,
                         uint64_t start, uint64_t end, uint32_t protection);

/* Protect whole leaves. INVALID_PAGE_PROTECTION; CONFLICTING_ADDRESSES: parts of leaves. */
ntmm_status large_protect(struct call *c, struct process *process, const struct vad *vad,
                          uint64_t start, uint64_t end, uint32_t protection, uint32_t *old);

/* The valid entry of a leaf whose frames begin at `frame`. */
uint64_t large_entry(uint64_t frame, uint32_t level, uint32_t protection);

/* --- frames, with no lock or any above (F) --- */

/* Promise frames to stay for good, out of what is promised to nobody else; false: there are not so
 * many. And the way back. */
bool large_charge_resident(struct call *c, uint64_t pages);
void large_return_resident(struct call *c, uint64_t pages);

/* `count` frames, those of a leaf, aligned to their size, zeroed. False with c->want = WANT_ROWS:
 * there are none unless pages move. False without: they could not be zeroed. */
bool large_take_frames(struct call *c, enum ntmm_frame_use use, uint64_t count, uint64_t *base);

/* If it is rows that are wanted: what took so many pages' gives them all back, and wants all. */
void large_want_all_rows(struct call *c, uint64_t pages);

/* --- leaves of 2 MiB that show a section's frames --- */

/* The valid entry of such a leaf. */
uint64_t large_shared_entry(uint64_t frame, uint32_t protection);

/* Enter the leaf that begins at a page; nothing is there. False with c->want set. */
bool large_enter_shared(struct call *c, struct process *process, uint64_t page, uint64_t frame,
                        uint32_t protection);

/* Empty those leaves of [start, end) that were entered. */
void large_empty_shared(struct call *c, struct process *process, uint64_t start, uint64_t end);

#endif
