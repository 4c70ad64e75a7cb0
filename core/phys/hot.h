/*
 * Frames that come and go while the system runs.
 *
 *   range  | metadata | . . a p . . a a a |     a absent, . zeroed or free, p a page
 *
 * An absent frame is active, of use ABSENT, with a share and a reference, as metadata are: nothing
 * takes it, nothing names it, and nobody reads or writes it. A range of which no frame was ever
 * there has no rows; it costs nothing. The first frames that are added are its first ones: they
 * hold the rows of the whole range from then on, and never leave again.
 *
 * Who adds or removes has the change (change_begin): one call at a time. So rows become absent, or
 * cease to be, for nobody else. Rows of a range are complete before frame_count says that there
 * are any.
 *
 *   P17 an absent frame is such a frame, of no table; total_pages is the rows that are not absent
 */
#ifndef NTMM_PHYS_HOT_H
#define NTMM_PHYS_HOT_H

#include "phys/pfn.h"

static inline bool pfn_is_absent(const struct pfn *pfn) { return pfn_use(pfn) == NTMM_USE_ABSENT; }

/* Whether a frame was handed over and is there, at this moment. */
bool frame_is_there(const struct call *c, uint64_t frame);

/* The range that all of [base, base + count) is handed over in; NULL: there is none. */
struct frame_range *frames_range(const struct call *c, uint64_t base, uint64_t count);

/* The caller may add or remove frames. False: somebody else does. Takes no lock. */
bool change_begin(struct call *c);
void change_end(struct call *c);

/*
 * Frames of a range are there, zeroed or free; the commit limit rises by those that do not become
 * metadata. The caller has the change. CONFLICTING_ADDRESSES: some are there already.
 * INVALID_PARAMETER_2: of a range without rows, not the first ones. INSUFFICIENT_RESOURCES: they
 * could not hold the rows. Takes (N), (Q).
 */
ntmm_status frames_add(struct call *c, struct frame_range *range, uint64_t base, uint64_t count,
                       bool is_zeroed);

/* Frames that the caller took from whatever was in them are absent; the chain is empty. The caller
 * has the change, and has lowered the limit. Takes no lock. */
void frames_make_absent(struct call *c, struct frame_chain *taken);

/* Take the bad frames of [base, base + count) off their list, to the chain. Takes (F), (L). */
void frames_take_bad(struct call *c, uint64_t base, uint64_t count, struct frame_chain *taken);

#endif
