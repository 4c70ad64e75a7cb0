/*
 * The invariants' checker: recounts from entries and lists alone.
 *
 * One mark a frame, in the caller's scratch memory, remembers how the frame was met: on a list, or
 * by how many entries. Every function returns false at the first broken invariant, with the report
 * filled.
 *
 * Order: what a part trusts, an earlier part has proved. Lists prove the rows' locations, slabs
 * prove that references in the nodes of trees name nodes and VADs, so that the walk over processes
 * never follows a wild one.
 */
#ifndef NTMM_INSPECT_CHECKER_H
#define NTMM_INSPECT_CHECKER_H

#include "phys/slab.h"
#include "space/private.h"

#include <ntmm/inspect.h>

#define MARK_LISTED 0x80000000u /* met on a list */
#define MARK_SHARES 0x00FFFFFFu /* entries that were met */

/* Slabs of one class, as met. */
struct slab_totals {
    uint64_t frames;
    uint64_t used;      /* objects */
    uint64_t with_room; /* slabs */
};

struct checker {
    struct call *c;
    uint32_t *marks; /* one a frame, ranges in order */
    struct ntmm_check_report *report;
    ntmm_handle process;     /* being checked, or 0 */
    uint64_t commit;         /* charges met so far */
    uint64_t vads;           /* VADs met so far */
    uint64_t vad_nodes;      /* nodes of their trees met so far */
    uint64_t process_frames; /* frames of process objects met */
    struct slab_totals slabs[SLAB_KIND_COUNT];
};

/* Fill the report; always false. */
bool check_fail(struct checker *k, const char *invariant, uint64_t object, uint64_t expected,
                uint64_t found);

/* Fail unless equal. */
static inline bool check_equal(struct checker *k, const char *invariant, uint64_t object,
                               uint64_t expected, uint64_t found)
{
    return expected == found || check_fail(k, invariant, object, expected, found);
}

/* The mark of a frame that exists; NULL otherwise. */
uint32_t *check_mark(struct checker *k, uint64_t frame);

/* Whether a reference names an object in use of that kind; *owner: index of its process. */
bool check_is_object(struct checker *k, enum slab_kind kind, uint64_t ref, uint32_t *owner);

bool check_lists(struct checker *k);       /* P1 to P6, P8 */
bool check_slabs(struct checker *k);       /* S1 to S3, V1 */
bool check_processes(struct checker *k);   /* V1 to V8, W1, PR1 to PR4, P4 P7 P9 S4 L1 */
bool check_slab_owners(struct checker *k); /* S4, after the processes */
bool check_frames(struct checker *k);      /* P1 P7 P9 A2, after all others */

#endif
