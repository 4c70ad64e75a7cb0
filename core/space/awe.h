/*
 * User physical pages (AWE): frames that a process owns, and windows of its address space through
 * which it looks at them.
 *
 *   process --> frame <--> frame <--> frame      through the rows' links
 *                 |                     |
 *                 not mapped            row names the one entry, in a window, that maps it
 *
 * A frame is zeroed when it is got, charged to commit until it is freed, and never pageable; what
 * is mapped counts in no working set. Its row's original entry has the protection of its mapping
 * and, above, the index of its process. An entry of a window is empty, or valid and dirty: a page
 * that is not mapped is an access violation, and one without access is valid, for the system alone.
 *
 *   U1 a user physical frame is in the list of exactly one process, which its row names, whose
 *      physical_pages is the list's length; it is mapped by at most one entry, which its row names
 *   U2 an entry of a window is valid, grants what its frame's row says, and names a frame of its
 *      process
 *
 * Everything here needs (A) and (W).
 * Source: nt_semantics 2.9; Microsoft documentation of the functions of Win32.
 */
#ifndef NTMM_SPACE_AWE_H
#define NTMM_SPACE_AWE_H

#include "space/private.h"

/* A window, in a place that is free. Statuses as private_reserve. */
ntmm_status awe_reserve(struct call *c, struct process *process, const struct vad_place *place,
                        uint32_t protection, uint32_t win32);

/* The window goes, and what it maps with it; the frames stay the process's. */
void awe_release(struct call *c, struct process *process, struct vad *vad);

/* Protect pages of a window that all are mapped: NOT_COMMITTED. INVALID_PAGE_PROTECTION unless
 * NOACCESS, READONLY or READWRITE. */
ntmm_status awe_protect(struct call *c, struct process *process, const struct vad *vad,
                        uint64_t start, uint64_t end, uint32_t protection, uint32_t *old);

/* Get at most `count` frames; *got says how many. Not a success only when it is none. */
ntmm_status awe_allocate(struct call *c, struct process *process, uint64_t *frames, uint64_t count,
                         uint64_t *got);

/* Free frames up to the first that is not the process's, unmapping them; *freed says how many.
 * INVALID_PARAMETER_3: not all. */
ntmm_status awe_free(struct call *c, struct process *process, const uint64_t *frames,
                     uint64_t count, uint64_t *freed);

/* Every frame of an ending process, none of them mapped. */
void awe_free_all(struct call *c, struct process *process);

/* Pages in windows, and frames for them. */
struct awe_mapping {
    uint64_t page;             /* first of `count` pages in a row, when there are no addresses */
    const uint64_t *addresses; /* bytes; or NULL */
    const uint64_t *frames;    /* or NULL: pages are unmapped */
    uint64_t count;
};

/*
 * All or nothing. INVALID_PARAMETER_1: a page is in no window; INVALID_PARAMETER_2: the row leaves
 * its window; INVALID_PARAMETER_3: a frame is not the process's, is mapped elsewhere, or named
 * twice. NO_MEMORY, COMMITMENT_LIMIT: no table.
 */
ntmm_status awe_map(struct call *c, struct process *process, const struct awe_mapping *mapping);

/* --- windows of the system --- */

/* The first page of [page, end) of a window that is mapped; `end`: none. */
uint64_t awe_find_mapped(struct call *c, struct process *process, uint64_t page, uint64_t end);

/* A zeroed frame of the process, mapped at a page of a window that is not. Statuses as
 * awe_allocate and awe_map. */
ntmm_status awe_add_page(struct call *c, struct process *process, uint64_t page,
                         uint32_t protection);

/* The frame of a page of a window that is mapped; and it goes, frame and charge. */
uint64_t awe_frame(struct call *c, struct process *process, uint64_t page);
void awe_drop_page(struct call *c, struct process *process, uint64_t page);

/* --- for the checker --- */

/* A frame's process, by its row. */
static inline uint32_t awe_owner(const struct pfn *pfn)
{
    return (uint32_t)(load64_relaxed(&pfn->original_pte) >> 32);
}

/* The valid entry of a frame in a window. */
uint64_t awe_entry(uint64_t frame, uint32_t protection);

#endif
