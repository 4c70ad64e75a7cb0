/*
 * A system whose page file lies on a device that moves nothing, so that what is measured is the
 * memory manager's own; and a working set that is emptied at will.
 *
 *   inline    a transfer is complete before its submission returns
 *   held      a read waits until paging_world_complete; a write does not
 *
 * The pages' bytes do not survive, and nobody looks at them.
 */
#ifndef BENCH_PAGING_WORLD_H
#define BENCH_PAGING_WORLD_H

#include "world.h"

struct paging_world {
    struct world world; /* without a processor */
    void *storage;
};

/* file_bytes: of the page file. Read-ahead is off. */
void paging_world_open(struct paging_world *w, uint64_t ram_bytes, uint64_t file_bytes);
void paging_world_close(struct paging_world *w);

/* Reads are held from now on, or no more. */
void paging_world_hold_reads(bool is_held);
void paging_world_complete(void);

/* A fault at an address, with the error code's bits. */
void world_fault(struct world *w, uint64_t address, uint32_t error_code);

/* Every valid page leaves the working set. */
void world_empty_working_set(struct world *w);

/* Write until the modified list is empty; every transfer must be complete when submit returns. */
void world_write_modified(struct world *w);

uint64_t world_counter(struct world *w, enum ntmm_counter counter);

#endif
