/*
 * Blocks: taking, submitting, completing and leaving them. See base/transfer.h for what they are
 * and docs/paging.md for what they do.
 *
 *   blocks.c      the pools, users, waits, submission
 *   inpage.c      reads from page files
 *   writer.c      the modified page writer
 *   page_file.c   making, growing and describing page files
 *   file_writes.c which page file is written to, and what its failures lead to
 *   mapped_read.c  reads from files of sections
 *   mapped_write.c writes to them: the mapped page writer, and flushes
 *   mapped_age.c  which of them are due because of their age
 *
 * I1 a frame being read is a span of exactly one read block, which its row names
 * I3 a frame being written is a span of exactly one write block
 */
#ifndef NTMM_PAGING_TRANSFERS_H
#define NTMM_PAGING_TRANSFERS_H

#include "phys/slots.h"

/* --- blocks.c --- */

/* Make the blocks of a fresh system; its storage is zeroed. */
void transfers_init(struct ntmm_system *sys);

/* Blocks in use: transfers in flight, and reads that a fault has yet to look at. Takes (Q). */
uint32_t transfers_in_use(struct call *c);

/* Whether a write is in flight: it ends without help, and wakes who waits for frames. Takes (Q). */
bool transfers_are_writing(struct call *c);

/* A free block with `users` users (a write: 1, the transfer), its io empty but for its spans and
 * itself as the context, or NULL (c->want = WANT_BLOCK for a read). A read has room for
 * NTMM_READ_CLUSTER_MAXIMUM pages, or for `pages`, at most LARGE_READ_PAGES. Takes (Q). */
struct transfer_block *block_take_read(struct call *c, uint32_t users);
struct transfer_block *block_take_read_of(struct call *c, uint32_t users, uint32_t pages);
struct transfer_block *block_take_write(struct call *c);

/* Queue a wait for a free read block, such as c->want says. False, and not queued: there is one.
 * Takes (Q). */
bool block_wait_for_read(struct call *c, struct ntmm_wait *wait);

/* The number of a read block, as in a frame's row, and back. */
uint32_t block_number(const struct call *c, const struct transfer_block *block);
struct transfer_block *block_at(const struct call *c, uint32_t number);

/* Hand the block's io to the platform; no lock is held. When the platform refuses, the completion
 * runs here with its status. The block may be free again when it returns. */
void block_submit(struct call *c, struct transfer_block *block);

/* In a completion: the transfer is over; wake who waits for it and leave it. Takes what block_leave
 * takes. */
void block_finish(struct call *c, struct transfer_block *block);

/* One more user, or one less; the last one frees the block, and of a read that succeeded the
 * target's reference. Takes (Q), then what frame_end_reference takes. */
void block_join(struct call *c, struct transfer_block *block);
void block_leave(struct call *c, struct transfer_block *block);

/*
 * Block until the wait is woken; no lock is held. The platform waits, or else pumps. False: it can
 * do neither, or says that nothing can wake it; the caller takes the wait out of its queue.
 */
bool wait_until_woken(struct call *c, struct ntmm_wait *wait);

/*
 * Submit a transfer that no fault waits for (NTMM_IO_EXTEND, NTMM_IO_FLUSH) and block until it is
 * complete. No lock is held. The transfer's status; CANT_WAIT when it is not known, because the
 * platform cannot wait: then it may still be in flight, in a block of its own.
 */
ntmm_status transfer_and_wait(struct call *c, uint64_t device, enum ntmm_io_operation operation,
                              uint64_t offset_bytes);

/* --- inpage.c --- */

/* What a hard fault asks for. */
struct inpage_request {
    struct pfn *table;       /* row of the table that holds the entry */
    le64 *entry;             /* of kind PTE_PAGEFILE */
    enum ntmm_frame_use use; /* PRIVATE, SECTION, or of a table: then alone */
    uint32_t cluster;        /* most pages of the transfer, 1: the page alone; LARGE_READ_PAGES */
    bool is_prefetch;        /* the pages behind it are asked for, too, and no others */
};

/*
 * Prepare the read of a page: a block with two users (the transfer and the caller's fault), frames,
 * transition entries. (W) is held. NULL with c->want set on shortage, nothing changed. *pages: real
 * pages of the transfer. The caller submits the block when it holds no lock.
 */
struct transfer_block *inpage_begin(struct call *c, const struct inpage_request *request,
                                    uint32_t *pages);

/* Of `most` pages, how many may be read beside the one asked for: out of credit, or, of a prefetch,
 * as far as frames are plenty. */
uint32_t read_ahead_allowed(struct call *c, uint32_t most, bool is_prefetch);

/* A page was asked for, and so many more are read with it. */
void read_ahead_spend(struct call *c, uint32_t ahead);

/* --- mapped_read.c --- */

/* A page of a file's section that is asked for. */
struct mapped_request {
    struct control_area *area;
    struct pfn *table; /* row of the table of its prototype entry */
    le64 *entry;       /* which is empty or of the file */
    uint64_t page;     /* of the area; the file has bytes of it */
    uint32_t cluster;  /* most pages of the transfer, 1: the page alone */
    bool is_prefetch;  /* the pages behind it are asked for, too, and no others */
};

/* As inpage_begin, with (X) of the area held. */
struct transfer_block *mapped_read_begin(struct call *c, const struct mapped_request *request,
                                         uint32_t *pages);

/* --- mapped_write.c --- */

/* As ntmm_write_mapped_pages. */
uint64_t mapped_writer_run(struct call *c, uint64_t budget_pages);

/* --- mapped_age.c --- */

/* Begin to write pages of files that have been modified for the life of modified pages, mapped or
 * not, at most so many; returns how many. Takes (O), (X), (F), (L). */
uint64_t mapped_age_run(struct call *c, uint64_t budget_pages);

/* --- batches of mapped_write.c --- */

/* Pages in a row of a file that are written in one transfer. */
struct mapped_batch {
    struct transfer_block *block;
    struct control_area *area;
    uint64_t page; /* first one */
};

/* An empty batch that begins at a page. False: there is no block. The area counts it as a transfer
 * until it is over; the caller refers to the area, or holds (F) of a frame of it. */
bool mapped_batch_begin(struct call *c, struct control_area *area, uint64_t page,
                        struct mapped_batch *batch);

/* The next page joins, whose frame was made ready for it (frame_begin_write, frame_begin_flush).
 * True: the batch is full. */
bool mapped_batch_add(struct call *c, struct mapped_batch *batch, uint64_t frame);

/* Write it, or give it up when it is empty; it is over. `wait`, if not NULL, is queued for the end,
 * in the block, which then has a user more: the waiter's. False: there is nothing to wait for. No
 * lock is held. */
bool mapped_batch_submit(struct call *c, struct mapped_batch *batch, struct ntmm_wait *wait);

/* --- page_file.c --- */

/* As ntmm_create_paging_file. */
ntmm_status page_file_create(struct call *c, const struct ntmm_paging_file_config *config,
                             uint32_t *number);

/* As ntmm_query_paging_file. */
ntmm_status page_file_query(struct call *c, uint32_t number,
                            struct ntmm_paging_file_information *information);

/*
 * Grow page files until the commit limit has risen by `pages`, or as far as they go; each step is
 * at least 1 MiB where the file's maximum allows it. What is promised while it waits for another
 * call's growth counts. Blocks; no lock is held. False: the limit has not risen.
 */
bool page_files_extend(struct call *c, uint64_t pages);

/* --- file_writes.c --- */

/* Pages that the next run may have, at most `most`: 1 while writes go page by page, 0 when no file
 * has room. A moment's truth. Takes (G). */
uint32_t page_files_next_run(struct call *c, uint32_t most);

/* Take a run of up to `most` slots of the best file: free space against outstanding writes; a file
 * that is paused or full is passed over. Counts the write as outstanding. 0: there is none. Takes
 * (G). */
uint32_t page_files_take_run(struct call *c, uint32_t most, uint32_t *file, uint64_t *first);

/* A read of a file is over: counts. Takes (G). */
void page_file_note_read(struct call *c, uint32_t file, uint32_t pages, ntmm_status status);

/*
 * A write of a run is over, and its slots are still in use: counts, bad slots, pauses. Says what
 * frame_end_write is to be told of each of its frames. Takes (G).
 */
enum write_outcome page_file_note_write(struct call *c, uint32_t file, uint64_t first,
                                        uint32_t pages, ntmm_status status);

/* --- writer.c --- */

/* As ntmm_write_modified_pages. */
uint64_t writer_run(struct call *c, uint64_t budget_pages);

#endif
