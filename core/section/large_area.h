/*
 * Sections of large pages, and their views.
 *
 *   area: prototype entries, all valid --> frames, 512 to an aligned run <-- leaves of 2 MiB
 *
 * Every frame is taken and zeroed when the section is made, charged to commit once, and promised to
 * stay. So each prototype is valid from then on, and the section itself has the one share of each
 * frame: views have none, they keep the area, and the frames go when it ends. Nothing is ever
 * trimmed, written or copied, so a view has neither a guard nor copy-on-write nor a cache modifier,
 * and its leaves are entered when it is mapped.
 *
 *   PT3 the prototypes of an area of large pages are all valid, those of each 2 MiB name an aligned
 *       run in order, and the one share of each frame is the section's
 *
 * Source: nt_semantics 2.10, 4.10.
 */
#ifndef NTMM_SECTION_LARGE_AREA_H
#define NTMM_SECTION_LARGE_AREA_H

#include "section/view.h"

/* Give a new area its frames: INSUFFICIENT_RESOURCES, with WANT_ROWS if pages could move;
 * NO_MEMORY, COMMITMENT_LIMIT with c->want. What it has got by then goes with the area. Takes (X).
 */
ntmm_status large_area_fill(struct call *c, struct control_area *area);

/* The frames of an area that is ending. (X) is held. */
void large_area_empty(struct call *c, struct control_area *area);

/* Whether a view can have a protection: what large private pages can. */
bool large_view_is_protection(uint32_t code);

/* Enter the leaves of a view; false with c->want set, and none is entered. (A) and (W) are held,
 * also below. */
bool large_view_enter(struct call *c, struct process *process, const struct vad *vad);

/* As view_protect: whole leaves. CONFLICTING_ADDRESSES: parts of leaves. */
ntmm_status large_view_protect(struct call *c, struct process *process, const struct vad *vad,
                               uint64_t start, uint64_t end, uint32_t protection, uint32_t *old);

#endif
