/*
 * Memory in pieces: no aligned run of frames is free, and none is without a page in use, but frames
 * enough are free.
 *
 *   run   |p . . p . . p . .|. p . . p . . p|     p a page of the process, . free
 */
#ifndef NTMM_TEST_FRAGMENTS_H
#define NTMM_TEST_FRAGMENTS_H

#include "base/bits.h"
#include "space/large.h"
#include "unit/storage.h"

#define FRAGMENTS_STRIDE 3u /* one frame in so many keeps its page */
#define FRAGMENT_PAGES_MAX 4096u
#define LARGE (NTMM_MEM_RESERVE | NTMM_MEM_COMMIT | NTMM_MEM_LARGE_PAGES)
#define RW NTMM_PAGE_READWRITE
#define LEAF (2 * MIB)
#define LEAF_FRAMES 512u
#define CHEAP_RUN 2u  /* neither the first, of metadata, nor the last, of tables */
#define AT (64 * MIB) /* where tests put large pages: below BASE */

/* A page that was kept, and all that is known of it. */
struct fragment {
    uint64_t va, frame;
    uint64_t entry;    /* raw */
    uint64_t original; /* of its row, and so its slot */
    uint32_t priority;
    bool is_modified;
};

struct fragments {
    uint32_t count;
    struct fragment pages[FRAGMENT_PAGES_MAX];
};

/* Zeroed and free. */
uint64_t fragments_free_pages(struct machine *m);

/* Fill memory but for a few frames with pages of the process from BASE on, each holding its
 * address. Returns their bytes. */
uint64_t fragments_fill_memory(struct machine *m);

/* Fill memory with pages of the process from BASE on, each holding its address, and give back all
 * but each third frame. */
void fragments_make(struct machine *m, struct fragments *f);

/* Look at them anew. */
void fragments_look(struct machine *m, struct fragments *f);

/* Each valid page is as it was but for its frame, each other still in memory on its list, with the
 * same row; all hold their addresses, without a hard fault. Returns how many moved. */
uint32_t fragments_expect_same(struct machine *m, const struct fragments *f);

/* The pages that were kept in a run go: it is the cheapest one to empty, and the next frames that
 * are taken are of it. */
void fragments_make_cheap(struct machine *m, struct fragments *f, uint64_t run);

/* The run that a large page at AT is. */
uint64_t fragments_large_run(struct machine *m);

#endif
