/*
 * The door: what a page fault does.
 *
 *   walk --> kind of the entry it stopped at --> may the access be? --> guard? --> one resolver
 *
 *   zero, VAD committed   demand zero         valid, W write     make dirty
 *   software              demand zero         valid otherwise    spurious
 *   transition            back from its list  anything else      access violation
 *
 * Invariants
 *   F1 a fault that fails for want of a frame or of commit leaves entries, tables and charges as
 *      they were
 *   F2 an access that would be refused without the guard leaves the guard
 *   F3 a fault keeps nothing across a wait
 *
 * Source: public descriptions of NT's fault handling; which exception, docs/fidelity.md.
 */
#ifndef NTMM_FAULT_DOOR_H
#define NTMM_FAULT_DOOR_H

#include "space/private.h"

#include <ntmm/fault.h>

/* A fault in progress. */
struct door {
    const struct ntmm_fault_request *request;
    struct ntmm_fault_result *result;
    struct process *process;
    uint64_t page;
    struct table_span
        span; /* where the walk stopped, or the page's entry once its tables are made */
    uint32_t frames_needed; /* by the resolver, tables included */
    enum { DOOR_READ, DOOR_WRITE, DOOR_EXECUTE } access;
};

/*
 * Resolve a fault of a process whose (W) is held. Success, an exception to raise, COMMITMENT_LIMIT,
 * or PENDING with c->want = WANT_FRAME: nothing is queued, the caller waits and comes again.
 */
ntmm_status door_resolve(struct call *c, struct process *process,
                         const struct ntmm_fault_request *request,
                         struct ntmm_fault_result *result);

/* Record the exception of the fault and return its status. */
ntmm_status door_raise(struct call *c, struct door *d, ntmm_status status);

/* The guard of the page was consumed inside the thread's stack: grow it (stack.c). */
ntmm_status door_grow_stack(struct call *c, struct door *d, struct vad *vad);

#endif
