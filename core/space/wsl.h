/*
 * Working-set lists: the valid pages of a process, walked with a hand, aged and trimmed.
 *
 * There is no list: a working set is the valid leaf entries of a process's tables, a count of them,
 * and a hand. An entry's age (HW_AGE, 0..7) counts the aging passes that found its accessed bit
 * clear. A pass either ages or trims.
 *
 *   aging      accessed          accessed cleared, age 0 (its translations are withdrawn at the
 *   end)
 *              not               age + 1, at most 7
 *   trimming   accessed          stays, but for trim_age 0
 *              age >= trim_age   transition; the frame to Modified or Standby after the shootdown
 *              younger           stays as it is
 *
 * A locked page (ENTRY_LOCKED) is passed over by both. A table met by a pass that trims, in which
 * nothing is valid or in transition, goes too (space/table.h).
 *
 * W1 working_set_pages is the number of valid leaf entries
 * Source: nt_semantics 8; where ages live, symbol-derived layouts; the hand is ours.
 */
#ifndef NTMM_SPACE_WSL_H
#define NTMM_SPACE_WSL_H

#include "space/process.h"

#define WSL_AGE_MAX 7u
#define WSL_AGE_NONE 8u

#define WSL_SPANS 512u

/* One pass over part of a working set. */
struct wsl_pass {
    uint64_t examine;               /* in: valid entries to look at, at most */
    uint64_t trim;                  /* in: pages to trim, at most */
    uint32_t trim_age;              /* in: age from which pages go, 0: all; WSL_AGE_NONE: it ages */
    uint32_t wrapped;               /* out: 1 when the hand passed the end of the address space */
    uint64_t examined;              /* out: valid entries looked at */
    uint64_t accessed;              /* out: of these, accessed or locked, and kept */
    uint64_t trimmed;               /* out: pages trimmed */
    uint64_t tables;                /* out: tables trimmed */
    uint64_t ages[WSL_AGE_MAX + 1]; /* out, aging: pages by their new age */
};

/*
 * Sweep on from the process's hand to the end of the address space at most, where the hand goes
 * back to the beginning. (W) is held. It looks at no more than `examine` valid entries and as many
 * spans, so that the time under (W) has a bound, and stops behind the last page that it may trim.
 * One shootdown, if a processor may hold something that changed; frames are listed after it.
 */
void wsl_sweep(struct call *c, struct process *process, struct wsl_pass *pass);

/*
 * Trim the pages of [*page, end) that have the age, 0: all, the hand left where it is; a piece of
 * the range with the bound of wsl_sweep. True: there is more, from *page on. (W) is held.
 */
bool wsl_trim_range(struct call *c, struct process *process, uint64_t *page, uint64_t end,
                    uint32_t trim_age);

#endif
