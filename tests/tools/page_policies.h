/*
 * What LRU and Belady's MIN would do with the page references of programs.
 *
 *   traces --turns--> records -> page numbers 0, 1, 2 ... in order of first use
 *                                   |-> lru:  stack distances, all sizes of memory in one pass
 *                                   `-> kept: the order, without repeats -> min: one pass a size
 *
 * A page is one of one program: (program, address / 4096). A miss is a reference to a page that is
 * not in memory; memory begins empty, and nothing is brought in before it is asked for.
 *
 * Sources: R. L. Mattson, J. Gecsei, D. R. Slutz, I. L. Traiger, "Evaluation techniques for storage
 * hierarchies", IBM Systems Journal 9 (1970), for stack distances; L. A. Belady, "A study of
 * replacement algorithms for a virtual-storage computer", IBM Systems Journal 5 (1966), for MIN.
 */
#ifndef NTMM_TESTS_PAGE_POLICIES_H
#define NTMM_TESTS_PAGE_POLICIES_H

#include "trace_records.h"

#define DISTANCE_NEVER UINT32_MAX /* the first use of a page: a miss in any memory */

/* lru: */
struct lru;

struct lru *lru_create(void);
void lru_destroy(struct lru *lru);

/*
 * Uses a page and returns its stack distance: how many distinct pages were used since its last use,
 * itself included, so that it hits in `frames` frames when distance <= frames. New pages come in
 * rising order: 0, then 1, ...
 */
uint32_t lru_use(struct lru *lru, uint32_t page);

/* Counts of distances, and what misses in a number of frames. */
struct distances {
    uint64_t *count; /* of each distance below size */
    size_t size;
    uint64_t never; /* DISTANCE_NEVER */
};

void distances_add(struct distances *distances, uint32_t distance);
uint64_t distances_misses(const struct distances *distances, uint64_t frames);

/* min: */
/* The uses of pages in order. next[i] is the index of the same page's next use; 0: none. */
struct page_order {
    uint32_t *page;
    uint32_t *next;
    size_t count;
    size_t capacity;
    uint32_t page_count; /* every page is below it */
};

void page_order_add(struct page_order *order, uint32_t page);
void page_order_find_next(struct page_order *order);

/* Misses of Belady's MIN with that many frames, > 0. */
uint64_t min_misses(const struct page_order *order, uint64_t frames);

/* numbers: */
struct page_numbers;

struct page_numbers *page_numbers_create(void);
void page_numbers_destroy(struct page_numbers *numbers);

/* The number of a page: at its first use the next one that is free. */
uint32_t page_number_of(struct page_numbers *numbers, uint32_t program, uint64_t page);
uint32_t page_numbers_count(const struct page_numbers *numbers);

#endif
