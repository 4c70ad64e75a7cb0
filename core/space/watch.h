/*
 * Write watch: which pages of watched regions were written since they were last reset.
 *
 *   process --> node --> node --> node --> node --> leaf: 2048 pages, two bits each
 *               64 references each                        written | latched
 *
 * The marks of all watched regions of a process stand in one tree by page number, so that a region
 * can be split, cut or moved from without a thought for them. A leaf and the nodes above it exist
 * while a page of theirs is marked.
 *
 *   written   the page was made dirty: set by the fault that lets a processor write
 *   latched   it was written when its protection was changed; such a mark survives decommit
 *
 * Invariants
 *   M1 a mark is a page's of a watched region, and a latched page is marked; the page of a dirty
 *      entry of a watched region is marked; a process with a watched region says has_watch
 *   M2 no node of the marks is empty
 *
 * A fault makes room for its mark before it enters the page, and marks it when nothing can fail any
 * more. Everything here needs (W). Takes (S), (C), (N), where nodes come or go.
 * Source: nt_semantics 2.8, 3.9; the latched marks as observed there.
 */
#ifndef NTMM_SPACE_WATCH_H
#define NTMM_SPACE_WATCH_H

#include "space/private.h"

#define WATCH_TAG ((uint32_t)'V' | (uint32_t)'a' << 8 | (uint32_t)'d' << 16 | (uint32_t)'W' << 24)

#define WATCH_LEAF_WORDS 32u   /* of written bits, and as many of latched ones */
#define WATCH_LEAF_PAGES 2048u /* 64 a word */
#define WATCH_FANOUT 64u
#define WATCH_LEVELS 5u /* the leaf's is 0 */

struct watch_node {
    le64 word[WATCH_FANOUT]; /* references; in a leaf the written bits, then the latched ones */
};

NTMM_STATIC_ASSERT(sizeof(struct watch_node) == 512, "seven in a slab's frame");
NTMM_STATIC_ASSERT(2 * WATCH_LEAF_WORDS == WATCH_FANOUT, "a leaf is full");

/* log2 of the pages that one reference of a node of a level decides; of a leaf, all its pages. */
static inline uint32_t watch_shift(uint32_t level) { return 11 + 6 * (level ? level - 1 : 0); }

NTMM_STATIC_ASSERT(11 + 6 * (WATCH_LEVELS - 1) >= 47 - NTMM_PAGE_SHIFT, "every user page");

static inline bool vad_is_watched(const struct vad *vad)
{
    return get32(&vad->type) == VAD_WRITE_WATCH;
}

/* A region, as private_reserve makes it, that is watched. */
ntmm_status watch_reserve(struct call *c, struct process *process, const struct vad_place *place,
                          uint32_t protection, uint32_t win32, bool is_committed);

/* A private region whose pages were never touched is watched from now on. */
void watch_begin(struct process *process, struct vad *vad);

/* Whether a page can be marked at once. */
bool watch_has_room(const struct call *c, const struct process *process, uint64_t page);

/* Make room for a page's mark; false with c->want set, nothing taken. At most one frame. */
bool watch_make_room(struct call *c, struct process *process, uint64_t page);

/* The room of a page that will not be marked goes, unless it was there before. */
void watch_drop_room(struct call *c, struct process *process, uint64_t page);

/* There is room. */
void watch_mark(const struct call *c, const struct process *process, uint64_t page);

bool watch_is_marked(const struct call *c, const struct process *process, uint64_t page);

/* The first marked page of [start, end), or end. */
uint64_t watch_next(const struct call *c, const struct process *process, uint64_t start,
                    uint64_t end);

/* The marks of [start, end) survive a decommit from now on. */
void watch_latch(const struct call *c, const struct process *process, uint64_t start, uint64_t end);

/* Which marks go. */
enum watch_marks { WATCH_NOT_LATCHED, WATCH_ALL };

/* Marks of [start, end) go; the pages are not valid any more. */
void watch_clear(struct call *c, struct process *process, uint64_t start, uint64_t end,
                 enum watch_marks which);

/* Marks of [start, end) go, and the pages are made clean, so that their next writes fault. Their
 * frames stay modified. */
void watch_reset(struct call *c, struct process *process, uint64_t start, uint64_t end,
                 struct gather *g);

#endif
