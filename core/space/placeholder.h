/*
 * Placeholders: address space held for something that takes its place exactly.
 *
 *      reserve            replace                  release
 *   free ----> placeholder ----> private, replaced ----> free
 *                 |  ^  <---------- revert
 *           split |  | coalesce
 *                 v  |
 *            [ 1 ][ 2 ][ 3 ]     each a region of its own
 *
 * A placeholder is a private region without committed pages; no service commits in it. All need (A)
 * and (W). Source: nt_semantics 2.12.
 */
#ifndef NTMM_SPACE_PLACEHOLDER_H
#define NTMM_SPACE_PLACEHOLDER_H

#include "space/private.h"

static inline bool vad_is_placeholder(const struct vad *vad)
{
    return (get32(&vad->flags) & VAD_PLACEHOLDER) != 0;
}

/* A placeholder in a place that is free. NO_MEMORY, COMMITMENT_LIMIT. */
ntmm_status placeholder_create(struct call *c, struct process *process,
                               const struct vad_place *place);

/* The placeholder that is exactly [start, end), or NULL. */
struct vad *placeholder_find(struct call *c, struct process *process, uint64_t start, uint64_t end);

/* A placeholder becomes a private region of a protection, perhaps with all its pages committed.
 * COMMITMENT_LIMIT, PAGEFILE_QUOTA_EXCEEDED. */
ntmm_status placeholder_replace(struct call *c, struct process *process, struct vad *vad,
                                uint32_t protection, uint32_t win32, bool is_committed);

/*
 * [start, end) inside one region: cut a placeholder there, so that it is a region by itself; or
 * make a region that replaced a placeholder one again, whose contents are lost.
 * CONFLICTING_ADDRESSES: it is neither, or the range is not a part (the whole) of it.
 */
ntmm_status placeholder_preserve(struct call *c, struct process *process, struct vad *vad,
                                 uint64_t start, uint64_t end);

/* Two or more placeholders that tile [start, end) become one; the first is `vad`.
 * CONFLICTING_ADDRESSES. */
ntmm_status placeholder_coalesce(struct call *c, struct process *process, struct vad *vad,
                                 uint64_t start, uint64_t end);

#endif
