/*
 * The door: what a page fault does.
 *
 *   walk --> kind of the entry it stopped at --> may the access be? --> guard? --> one resolver
 *
 *   zero, VAD committed   demand zero         valid, W write     make dirty
 *   software              demand zero         valid otherwise    spurious
 *   transition            back from its list  page file          read it in (PENDING)
 *   being read            join the read       anything else      access violation
 *
 * Tables first: each level at which the walk meets a table that is out is resolved by the same
 * three (back from its list, join, read), and the walk begins anew.
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
    struct ntmm_wait *wait; /* what the fault waited for, if it is begun again */
    struct process *process;
    uint64_t page;
    struct table_span
        span; /* where the walk stopped, or the page's entry once its tables are made */
    uint32_t frames_needed; /* by the resolver, tables included */
    bool has_mark;          /* a write of a watched region: there is room for its mark */
    enum { DOOR_READ, DOOR_WRITE, DOOR_EXECUTE } access;
};

/* In ntmm_wait.flags. */
enum {
    WAIT_FOR_FRAME = 1u << 0, /* queued for a frame */
    WAIT_FOR_BLOCK = 1u << 1, /* queued for a free block */
    WAIT_IS_HARD = 1u << 2,   /* the fault began to read its page */
};

/*
 * Resolve a fault of a process whose (W) is held. Success, an exception to raise, COMMITMENT_LIMIT,
 * or PENDING with c->want = WANT_FRAME, WANT_BLOCK or WANT_READ: nothing is queued, the caller
 * waits and comes again with the same wait.
 */
ntmm_status door_resolve(struct call *c, struct process *process,
                         const struct ntmm_fault_request *request, struct ntmm_wait *wait,
                         struct ntmm_fault_result *result);

/*
 * Bring the tables that lead to a page into memory, for a service. SUCCESS: they are. PENDING:
 * c->want says what to wait for. Otherwise the status of the read that `wait` waited for. (W) is
 * held.
 */
ntmm_status door_bring_tables(struct call *c, struct process *process, uint64_t page,
                              struct ntmm_wait *wait);

/* --- hard.c: what is not in memory --- */

/* A table above the page's entry is out. On SUCCESS d->span is where the walk stops now, nothing
 * out. */
ntmm_status door_resolve_tables(struct call *c, struct door *d);

/* The page's entry names a slot. */
ntmm_status door_resolve_page_file(struct call *c, struct door *d);

/* The exception of a read that failed. */
ntmm_status door_raise_in_page_error(struct call *c, struct door *d, ntmm_status io_status);

/* The frame of the page is being read; (F) is held, and released. */
ntmm_status door_join_read(struct call *c, struct door *d, uint64_t frame);

/* Record the exception of the fault and return its status. */
ntmm_status door_raise(struct call *c, struct door *d, ntmm_status status);

/* Shortage: the empty tables made on the way go again (F1), and c->want is waited for. */
ntmm_status door_give_up(struct call *c, struct door *d);

/* The tables that growing the stack may change are in memory: SUCCESS; otherwise as
 * door_bring_tables, an I/O status raised. */
ntmm_status door_bring_stack(struct call *c, struct door *d, const struct vad *vad);

/* The guard of the page was consumed inside the thread's stack: grow it (stack.c). */
ntmm_status door_grow_stack(struct call *c, struct door *d, struct vad *vad);

#endif
