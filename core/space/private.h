/*
 * Operations on private memory: validate, reserve, apply.
 *
 * Each begins by looking, then obtains what it may lack (tables, a VAD, commit), and only then
 * changes anything, in steps that cannot fail. A shortage leaves c->want set and the state as the
 * page-array model sees it unchanged. All need (A) and (W), but private_query, which needs (W). A
 * table of the range that is out of memory is a shortage too: WANT_TABLE.
 *
 *   page state      entry
 *   reserved        0 without VAD_MEM_COMMIT; software, PROT_DECOMMITTED with it
 *   committed       0 with VAD_MEM_COMMIT (the VAD's protection); software with a protection (never
 *                   touched); valid; transition (trimmed, or made inaccessible); page file
 */
#ifndef NTMM_SPACE_PRIVATE_H
#define NTMM_SPACE_PRIVATE_H

#include "space/table.h"
#include "space/vad.h"

#include <ntmm/virtual.h>

/* What a page is to its owner. */
struct page_state {
    bool is_committed;
    uint32_t protection; /* PROT_* code when committed */
};

struct page_state page_state_of(const struct call *c, const struct vad *vad, uint64_t entry);

/*
 * A new region in a place that is free and within bounds.
 * protection: code; win32: as given; is_committed: all its pages.
 * NO_MEMORY, COMMITMENT_LIMIT, PAGEFILE_QUOTA_EXCEEDED.
 */
ntmm_status private_reserve(struct call *c, struct process *process, const struct vad_place *place,
                            uint32_t protection, uint32_t win32, bool is_committed);

/* Commit [start, end) of a VAD; pages that are committed take the protection. Statuses as above. */
ntmm_status private_commit(struct call *c, struct process *process, struct vad *vad, uint64_t start,
                           uint64_t end, uint32_t protection);

/* Make [start, end) of a VAD reserved. NO_MEMORY, COMMITMENT_LIMIT: no table for the marks. */
ntmm_status private_decommit(struct call *c, struct process *process, struct vad *vad,
                             uint64_t start, uint64_t end);

/* Free [start, end) of a VAD, shrinking, splitting or deleting it. */
ntmm_status private_release(struct call *c, struct process *process, struct vad *vad,
                            uint64_t start, uint64_t end);

/* Protect [start, end) of a VAD. NOT_COMMITTED; NO_MEMORY, COMMITMENT_LIMIT: no table.
 * *old: code of the first page before. */
ntmm_status private_protect(struct call *c, struct process *process, struct vad *vad,
                            uint64_t start, uint64_t end, uint32_t protection, uint32_t *old);

/* State of a page, and in *end the page after the run of equal pages, at most limit. WANT_TABLE is
 * set in c->want, and the answer means nothing, when a table that matters is out. */
struct page_state private_query(struct call *c, struct process *process, const struct vad *vad,
                                uint64_t page, uint64_t limit, uint64_t *end);

/* Empty the entry of a page, which becomes `value`, of a private page of any region. Returns how
 * many committed pages went: 0 or 1. */
uint64_t private_delete_page(struct call *c, struct process *process, const struct vad *vad,
                             struct table_span *span, uint64_t index, uint64_t page, uint64_t value,
                             struct gather *g);

/* A private page takes a protection. */
void private_protect_page(struct call *c, struct process *process, struct table_span *span,
                          uint64_t index, uint64_t page, uint32_t protection, struct gather *g);

/*
 * Drop what the tables of [start, end) that are in memory name. What the VAD says of its pages and
 * their commit stays true: where it is committed by default they are as never touched, elsewhere
 * they are reserved; what is marked as decommitted stays so. So memory is freed in parts when its
 * tables cannot all be in memory at once. Needs nothing, and leaves c->want.
 */
void private_discard(struct call *c, struct process *process, struct vad *vad, uint64_t start,
                     uint64_t end);

/* The same of all that an ending process has, when it has tables that are out: so that bringing
 * these in finds frames. */
void private_discard_resident(struct call *c, struct process *process);

/* Free everything an ending process has but its root. False with WANT_TABLE: a table is out. */
bool private_run_down(struct call *c, struct process *process);

/* The system ends, and slots with it: a table that cannot be read is forgotten with what it holds.
 * private_run_down gives its charges back with the last region. */
void private_abandon_table(struct call *c, struct process *process, uint64_t page);

#endif
