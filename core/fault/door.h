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
 *   shared with clones    its prototype is resolved likewise, mapped or copied; the last one that
 *                         refers to it gets it back first, as a private page
 *   page of a view        its prototype is resolved likewise (prototype.c), then mapped (view.c); a
 *                         write of a page that is copied on write copies it
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

static inline uint32_t door_access(const struct ntmm_fault_request *request)
{
    return request->error_code & NTMM_FAULT_EXECUTE ? DOOR_EXECUTE
           : request->error_code & NTMM_FAULT_WRITE ? DOOR_WRITE
                                                    : DOOR_READ;
}

/* In ntmm_wait.flags. */
enum {
    WAIT_FOR_FRAME = 1u << 0, /* queued for a frame */
    WAIT_FOR_BLOCK = 1u << 1, /* queued for a free block */
    WAIT_IS_HARD = 1u << 2,   /* the fault began to read its page */
    WAIT_CHANCE = 1u << 8,    /* from here up: chances of a frame that were taken */
};

/* Chances that are taken at most. What fails, and forever, gives one each time. */
#define WAIT_CHANCES_LIMIT (64u * WAIT_CHANCE)

/*
 * Resolve a fault of a process whose (W) is held. Success, an exception to raise, COMMITMENT_LIMIT,
 * or PENDING with c->want = WANT_FRAME, WANT_BLOCK or WANT_READ: nothing is queued, the caller
 * waits and comes again with the same wait.
 */
ntmm_status door_resolve(struct call *c, struct process *process,
                         const struct ntmm_fault_request *request, struct ntmm_wait *wait,
                         struct ntmm_fault_result *result);

/* --- soft.c --- */

/*
 * Resolve a fault of a process whose (W) is shared, and leave it. False, with nothing changed: the
 * fault is not as simple as that, and is for door_resolve; or *zeroed is a frame, which is for it
 * when it is tried again. Before that it is FRAME_NONE. Takes (F), (L), (P), (N), (G), (Q).
 */
bool door_resolve_soft(struct call *c, struct process *process,
                       const struct ntmm_fault_request *request, const struct ntmm_wait *wait,
                       uint64_t *zeroed, struct ntmm_fault_result *result);

/*
 * Bring the tables that lead to a page into memory, for a service. SUCCESS: they are. PENDING:
 * c->want says what to wait for. Otherwise the status of the read that `wait` waited for. (W) is
 * held.
 */
ntmm_status door_bring_tables(struct call *c, struct process *process, uint64_t page,
                              struct ntmm_wait *wait);

/* The same as a part of a fault. */
ntmm_status door_bring_tables_back(struct call *c, struct process *process, uint64_t page,
                                   struct ntmm_wait *wait);

/*
 * Frames that are wanted for a page, PENDING, are wanted beside its tables: one that has nothing in
 * memory may be trimmed to make room, and counts as available then, until it is brought back. Who
 * asked for no more would do both for ever. (W) is held.
 */
void door_want_beside_tables(struct call *c, struct process *process, uint64_t page);

/* --- prototype.c: pages of sections --- */

struct control_area;

/*
 * A share of a page of a section, which is in memory: SUCCESS, *frame is its frame, and the share
 * is the caller's, to be given back by frame_end_share. PENDING: c->want says for what. Otherwise
 * ACCESS_VIOLATION (no such page, or not committed), COMMITMENT_LIMIT, or the status of the read
 * that `wait` waited for. *kind: how it was resolved. Takes (X), (F).
 *
 * area: NULL for a page that clones share, to which the caller has a reference; `page` is the
 * address of its prototype then.
 */
ntmm_status prototype_acquire(struct call *c, struct control_area *area, uint64_t page,
                              struct ntmm_wait *wait, uint64_t *frame, enum ntmm_fault_kind *kind);

/* Bring the tables that lead to the prototype of a page into memory: as door_bring_tables, with no
 * lock held but (W). Takes (X), (F). */
ntmm_status prototype_bring(struct call *c, struct control_area *area, uint64_t page,
                            struct ntmm_wait *wait);

/* --- view.c: pages of views, and pages that clones share --- */

/* A page of a view that is not valid and not private: its entry is empty, or says that the
 * prototype has it. */
ntmm_status door_resolve_view(struct call *c, struct door *d, struct vad *vad, uint64_t raw);

/* The same of a page whose entry leads to a prototype, a view's or one of clones. */
ntmm_status door_resolve_prototype(struct call *c, struct door *d, uint64_t raw);

/* Whether the entry was the last one that refers to a page of clones: then the page is an ordinary
 * private one now, to be looked at anew. */
bool door_take_back(struct call *c, struct door *d, uint64_t raw);

/* A write to a valid page that is copied on write. */
ntmm_status door_copy_on_write(struct call *c, struct door *d, le64 *entry, uint64_t raw);

/* Whether the fault's access is allowed by a protection. */
bool door_is_allowed(const struct door *d, uint32_t protection);

/* Make the page's tables if there are frames for them and `pages` more; false on shortage. */
bool door_make_tables(struct call *c, struct door *d, uint32_t pages);

/* The fault is resolved. */
ntmm_status door_resolved(struct door *d, enum ntmm_fault_kind kind, enum ntmm_counter counter);

/* The first access to a guard page: the guard goes, for good, and the access is not made. */
ntmm_status door_consume_guard(struct call *c, struct door *d, struct vad *vad,
                               uint32_t protection);

/* --- hard.c: what is not in memory --- */

/* Read what an entry names, in a table whose lock is held. PENDING, or the status of an earlier
 * read of the same. *pages: of the transfer. */
struct inpage_request;
ntmm_status door_begin_read(struct call *c, const struct ntmm_wait *wait,
                            struct inpage_request *request, uint32_t *pages);

/* How the read that the wait waited for ended, when it was for this entry; otherwise SUCCESS. */
ntmm_status door_earlier_read(struct call *c, const struct ntmm_wait *wait, const le64 *entry,
                              uint32_t *span_count);

/* The table that an entry above it names, and that is not on a list, is read, or its read joined:
 * PENDING, or the status of an earlier read of it. SUCCESS: look again. The lock of the table above
 * is held. */
ntmm_status door_read_table(struct call *c, const struct ntmm_wait *wait, le64 *upper,
                            enum ntmm_frame_use use);

/* (F) of a frame that is being read is held, and released: PENDING. */
ntmm_status door_join(struct call *c, uint64_t frame);

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
