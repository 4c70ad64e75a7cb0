/*
 * Call targets: the bitmap of control flow guard, in the address space of a process that has it.
 *
 *   byte of the bitmap   (address >> 9) * 8       64 bytes a page, a page for 256 KiB
 *   bits of 16 bytes     (address >> 3) & 62      00 no target
 *                                                 01 its first address
 *                                                 11 each of its addresses
 *
 * The bitmap is a window (awe.h) that services refuse to change, reserved for all of the address
 * space. A page of it is there, READONLY, charged to the process and never paged, when a bit of it
 * was set: targets_prepare gets what targets_set needs, targets_prune gives back what holds no bit.
 *
 *   TG1 a process has a bitmap when it was made with control flow guard; where it says that the
 *       bitmap begins, a window of its size begins that services refuse to change
 *
 * Everything here needs (A) and (W). A content operation that fails leaves bits as they were.
 * Source of the format: published descriptions of the check that compilers call before a call; of
 * the sizes: nt_semantics 14.1. That pages are never paged, and go when they are empty: ours.
 */
#ifndef NTMM_SPACE_CALL_TARGETS_H
#define NTMM_SPACE_CALL_TARGETS_H

#include "space/vad.h"

#define TARGETS_PIECE_BYTES 512u
#define TARGETS_PAGE_BYTES 64u /* bits of a page */
#define TARGETS_PER_PAGE 64u   /* pages of code that a page of the bitmap is about */

static inline bool targets_are_kept(const struct process *process)
{
    return get64(&process->targets_page) != 0;
}

/* Pages of a bitmap for addresses below page `highest`, whole granules. */
uint64_t targets_pages(uint64_t highest);

/* The bitmap of a process begins, in a place that is free. Statuses as private_reserve. */
ntmm_status targets_begin(struct call *c, struct process *process, const struct vad_place *place);

/* Pages of the bitmap for pages [start, end), so that their bits can be set. Statuses as of a
 * charge; NO_MEMORY. Nothing was got on failure. */
ntmm_status targets_prepare(struct call *c, struct process *process, uint64_t start, uint64_t end);

/* Give back what holds no bit. Leaves c->want. */
void targets_prune(struct call *c, struct process *process, uint64_t start, uint64_t end);

/* Every address of [start, end) is a target, or none, where the bitmap is there. */
void targets_set(struct call *c, struct process *process, uint64_t start, uint64_t end,
                 bool is_valid);

/* In the bits of a page an address becomes a target; each of its 16, if it is no multiple of 16. */
static inline void targets_add(uint8_t bits[TARGETS_PAGE_BYTES], uint32_t offset)
{
    bits[offset >> 6] |= (uint8_t)((offset % 16 ? 3u : 1u) << (offset >> 3 & 6));
}

/* The bits of a page, where the bitmap is there. */
void targets_set_page(struct call *c, struct process *process, uint64_t page,
                      const uint8_t bits[TARGETS_PAGE_BYTES]);

/* None is, and what then holds no bit is given back. */
static inline void targets_clear(struct call *c, struct process *process, uint64_t start,
                                 uint64_t end)
{
    if (__builtin_expect(!targets_are_kept(process), 1))
        return;
    targets_set(c, process, start, end, false);
    targets_prune(c, process, start, end);
}

/* An address, a multiple of 16, is a target or not; its 15 successors are not. */
void targets_set_one(struct call *c, struct process *process, uint64_t address, bool is_valid);

/* For who copies a bitmap. Its next page that is there, from the `index`th on; UINT64_MAX: none. */
uint64_t targets_next(struct call *c, struct process *process, uint64_t index);
/* TARGETS_PIECE_BYTES of a page; zeros, if the page is not there or cannot be read. */
void targets_read(struct call *c, struct process *process, uint64_t index, uint32_t offset,
                  void *bits);
/* The same into a page that is there. */
void targets_write(struct call *c, struct process *process, uint64_t index, uint32_t offset,
                   const void *bits);

/* Whether an address is one. */
bool targets_has(struct call *c, struct process *process, uint64_t address);

#endif
