/*
 * Touching: a service brings a page of a process in for an access, as the process's own fault
 * would.
 *
 *   look at the entry --valid, grants--> (W) held, frame known
 *        ^        \--not--> the door --resolved--> the same
 *        +-- relieve, wait --PENDING--/   \--exception--> its status
 *
 * A system access follows the rules of a user's: a guard is consumed (GUARD_PAGE_VIOLATION), a page
 * that cannot be read raises IN_PAGE_ERROR, a write makes the page dirty and is seen by a write
 * watch. No thread's stack grows: the guard of a stack is consumed like any other.
 *
 * The page stays valid until (W) is released; whoever needs its frame for longer takes a reference
 * (frame_hold).
 */
#ifndef NTMM_SERVICES_TOUCH_H
#define NTMM_SERVICES_TOUCH_H

#include "space/process.h"

enum touch_access { TOUCH_READ, TOUCH_WRITE };

/* An access that is to be made. */
struct touch {
    ntmm_handle handle;
    uint32_t rights; /* NTMM_PROCESS_*, of the handle */
    enum touch_access access;
    uint64_t address; /* below NTMM_USER_PROBE_ADDRESS */
};

/*
 * SUCCESS: the page is valid and grants the access, *frame is its frame, and (W) of *process is
 * held. Otherwise no lock is held: the status of the handle, the exception that the access raises,
 * COMMITMENT_LIMIT, or NO_MEMORY when no frame came free in time. Waits; no lock is held.
 */
ntmm_status touch_page(struct call *c, const struct touch *touch, struct process **process,
                       uint64_t *frame);

/* What one NT chunk has, 64 KiB: (W) is held for no more at a time. */
#define TOUCH_RUN_PAGES 16u

/* The bytes of pages in a row that are valid at the same time. */
struct touch_run {
    struct process *process; /* (W) is held */
    uint32_t count;          /* spans */
    uint64_t size_bytes;     /* of all spans together, > 0 */
    struct ntmm_content_span spans[TOUCH_RUN_PAGES];
};

/* As touch_page, and of `size` > 0 bytes at the address as many pages behind the first as happen to
 * be ready for the access. */
ntmm_status touch_run(struct call *c, const struct touch *touch, uint64_t size,
                      struct touch_run *run);

/* Touch every page of `size` > 0 bytes at the address, a run at a time; no lock is held afterwards,
 * and the first ones may have gone again. The status of the first page that could not be. */
ntmm_status touch_range(struct call *c, const struct touch *touch, uint64_t size);

#endif
