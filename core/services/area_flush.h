/*
 * Flushing a file through a view of a process. See area_flush.c.
 */
#ifndef NTMM_SERVICES_AREA_FLUSH_H
#define NTMM_SERVICES_AREA_FLUSH_H

#include "section/view.h"

/* Until a write ends, whoever's, or there is another reason to look again; `chances` is what
 * waiters_chances said before the caller looked. False: the platform cannot wait. */
bool wait_for_chance(struct call *c, uint32_t chances);

/* A view whose process's stores are to be written. */
struct flush_view {
    ntmm_handle handle;
    struct process *process; /* its slot */
    const struct vad *vad;   /* once (W) is taken: the view at `page` */
    uint64_t page;           /* a page of it */
    uint64_t area;           /* that it showed, a reference */
};

/* Take (W) of the view's process, if it still shows the area there. */
bool flush_view_lock(struct call *c, const struct flush_view *view);

/* As area_flush, of the pages that a view shows; view->vad shows `start` to `end`. */
ntmm_status area_flush_view(struct call *c, struct control_area *area,
                            const struct flush_view *view, uint64_t start, uint64_t end);

#endif
