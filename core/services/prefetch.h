/*
 * Which pages of a process a prefetch reads, and brings into the working set: prefetch_pages.c, for
 * prefetch.c.
 */
#ifndef NTMM_SERVICES_PREFETCH_H
#define NTMM_SERVICES_PREFETCH_H

#include "space/process.h"

/* Tables, or missing ones, looked at while one (W) is held. */
#define PREFETCH_SPANS 512u

/* The first page from *page on that can be read, as a transfer to be submitted; *page is behind it,
 * or where c->want says what is lacking. NULL: there is none in this piece. (W) is held; takes (X).
 */
struct transfer_block *prefetch_begin_read(struct call *c, struct process *process, uint64_t *page,
                                           uint64_t end);

/* The next page from *page on that is not valid, but has contents and grants something; *page is
 * behind it. False: there is none in this piece. (W) is held; takes (X). */
bool prefetch_find_waiting(struct call *c, struct process *process, uint64_t *page, uint64_t end);

#endif
