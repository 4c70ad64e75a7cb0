/*
 * A machine with pages and tables in every state that paging knows, at rest: transfers are in
 * flight, but nobody pumps.
 *
 *   PAGES      64 pages, written    0..3  in the page file
 *                                   4 5   on standby with slots
 *                                   6     on modified
 *                                   8..11 being read, in one transfer; two faults wait for page 8
 *                                   12..15 being written
 *                                   16    decommitted while it was written: an orphan
 *                                   20    read; the fault that asked has not looked again
 *                                   30    valid and dirty; the rest too
 *   LEAF_OUT   4 pages in the page file, as is their leaf table
 *   ABOVE_OUT  2 pages in two leaf tables, all out, and the table above these too
 *   TRIMMED    4 pages in the page file, their leaf table on standby
 *   TABLE_READ 4 pages in the page file; a fault waits for their leaf table
 *
 * Every region is committed by default, READWRITE. The first of two page files is the larger one,
 * and takes everything.
 */
#ifndef NTMM_TEST_PAGING_SCENE_H
#define NTMM_TEST_PAGING_SCENE_H

#include "unit/storage.h"

#define SCENE_PAGES BASE
#define SCENE_LEAF_OUT (BASE + GIB)
#define SCENE_ABOVE_OUT (BASE + 600 * GIB + 2 * MIB - PAGE) /* on both sides of a leaf's end */
#define SCENE_TRIMMED (BASE + 2 * GIB)
#define SCENE_TABLE_READ (BASE + 3 * GIB)

/* Of the first page file. */
#define SCENE_SLOTS 4096u

struct machine *paging_scene_open(void);

/* The faults give up, the transfers end. */
void paging_scene_close(struct machine *m);

/* The value of the entry of an address at a level, where that is in memory. */
uint64_t scene_value(struct machine *m, uint64_t va, uint32_t level);

/* The same entry's new value, which is not valid. */
void scene_set_value(struct machine *m, uint64_t va, uint32_t level, uint64_t value);

/* The entries of the table that the page file entry of an address at a level names, on the disk. */
le64 *scene_stored_table(struct machine *m, uint64_t va, uint32_t level);

/* The frame of page 16, and that of page 20. */
uint64_t scene_orphan(void);

#endif
