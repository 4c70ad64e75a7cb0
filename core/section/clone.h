/*
 * What a region and its pages are in a clone of their process. docs/clones.md has the whole.
 *
 *   entry of the parent                      in the child
 *   empty, or of no region that is inherited empty
 *   software, without slot                   the same
 *   prototype, or valid and of a section     prototype, or empty if it says nothing of its own
 *   private: valid, in transition, page      refers to the same prototype (space/clone_page.h); in
 *   file; perhaps a view's copy on write     the parent too
 *     of a watched region, locked, or reset  in transition: a copy of the frame; what is in a page
 *                                            file is read first
 *   of a borrowed frame                      the same frame, with the same protection
 *
 * No function locks a process; each says which (W) it needs.
 */
#ifndef NTMM_SECTION_CLONE_H
#define NTMM_SECTION_CLONE_H

#include "section/view.h"
#include "space/clone_page.h"

/* A page on its way from the parent to the child. */
struct clone_page {
    uint64_t page;
    uint64_t value; /* of its entry; with a frame the frame's original entry, without slot */
    uint64_t frame; /* a copy that nobody else knows, or FRAME_NONE */
    bool is_shared; /* the value refers to a page of the parent's, which counts it */
};

/* Whether a clone has a region. */
bool clone_has_region(const struct vad *vad);

/* Whether private pages of a region are shared with a clone; those of others are copied. */
static inline bool clone_shares_pages(const struct vad *vad)
{
    return vad_type(vad) == VAD_PRIVATE || vad_is_view(vad);
}

/* Whether a page of the parent's is still what it was in a region that was looked at before. */
bool clone_is_same_region(const struct vad *seen, const struct vad *now, uint64_t page);

/* The region in the child, with all entries empty and nothing committed yet; NULL with c->want set.
 * (A) and (W) of the child. */
struct vad *clone_make_region(struct call *c, struct process *child, const struct vad *seen);

/* Pages of a region that are charged while all entries are empty. */
uint64_t clone_default_charge(const struct call *c, const struct vad *vad);

/* Whether an entry has contents of its own, which are in memory. */
bool clone_has_frame(const struct call *c, uint64_t raw);

/* The value of an entry that has none. 0: the child's is empty. (W) of the parent. */
uint64_t clone_value(const struct call *c, const struct vad *vad, uint64_t page, uint64_t raw);

enum clone_copy { CLONE_COPIED, CLONE_BEING_READ, CLONE_GONE, CLONE_FAILED };

/*
 * Copy the frame of an entry that had one to page->frame, and set the value. BEING_READ: (F) of
 * *source is held. GONE: the frame was taken meanwhile. FAILED: *status is the platform's. (W) of
 * the parent.
 */
enum clone_copy clone_copy_frame(struct call *c, const le64 *entry, struct clone_page *page,
                                 uint64_t *source, ntmm_status *status);

/* A page of the child, whose entry is empty and whose table is there, becomes this. Returns by how
 * much its charge differs from the default: -1, 0, 1. (A) and (W) of the child. */
int64_t clone_enter_page(struct call *c, struct process *child, const struct vad *vad,
                         const struct clone_page *page);

#endif
