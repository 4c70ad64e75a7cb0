/*
 * Blocks of transfers, and queues of waits: what paging keeps outside the frames.
 *
 *   free --take--> filling --submit--> in flight --complete--> done --last user leaves--> free
 *
 * A block carries host pointers (struct ntmm_io, the waits), so it lies in the system's own
 * storage, in arrays of fixed size: freeing memory never needs memory. Its users are the transfer
 * and, for a read, each fault that waits or has yet to look again; the last one to leave frees it.
 *
 * B1 a block is free exactly when it has no user
 */
#ifndef NTMM_BASE_TRANSFER_H
#define NTMM_BASE_TRANSFER_H

#include "base/le.h"

#include <ntmm/platform.h>
#include <ntmm/system.h>

#define READ_BLOCKS 32u
#define WRITE_BLOCKS 8u
/* The last of the read blocks, of which a transfer can be larger than a fault's: prefetch. */
#define LARGE_READ_BLOCKS 4u
#define LARGE_READ_PAGES 256u
#define TRANSFER_OF_FILE 0xFFFFFFFFu

/* Waits, in a circle. */
struct wait_queue {
    struct ntmm_wait *first; /* or NULL (Q) */
    le32 count;              /* (Q) to write, anybody to read */
};

struct transfer_block {
    struct ntmm_io io; /* the submitter's, then the platform's, then the completion's */
    struct ntmm_system *sys;
    struct wait_queue waits; /* faults that wait for it */
    uint32_t users;          /* (Q) */
    uint32_t is_done;        /* (Q) */
    uint32_t file;           /* page file number, or TRANSFER_OF_FILE; fixed while in use */
    uint64_t area;   /* control area of a TRANSFER_OF_FILE that counts it, or 0; fixed in use */
    uint32_t target; /* read: index of the span that the fault asked for; fixed in use */
    uint64_t target_entry; /* read: core address of its entry; fixed in use */
    uint64_t target_frame; /* read: its frame, referenced by the block until its last user leaves */
    uint64_t first_slot;   /* fixed while in use */
    struct ntmm_content_span *spans; /* of this block; fixed */
};

struct transfers {
    struct transfer_block reads[READ_BLOCKS];
    struct transfer_block writes[WRITE_BLOCKS];
    struct ntmm_content_span read_spans[READ_BLOCKS - LARGE_READ_BLOCKS][NTMM_READ_CLUSTER_MAXIMUM];
    struct ntmm_content_span large_read_spans[LARGE_READ_BLOCKS][LARGE_READ_PAGES];
    struct ntmm_content_span write_spans[WRITE_BLOCKS][NTMM_WRITE_CLUSTER_MAXIMUM];
    struct wait_queue for_block;  /* faults that wait for a free read block */
    struct wait_queue for_growth; /* whoever waits until no page file is being made or grown */
    uint32_t in_flight;           /* blocks in use (Q) */
    uint32_t is_growing;          /* a page file is being made or grown (Q) */
};

#endif
