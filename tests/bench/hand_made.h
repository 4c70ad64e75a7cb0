/*
 * A processor with page tables made by hand, without a memory manager:
 *
 *   memory  [ root | level 3 | level 2 | leaf table 0 | leaf table 1 | ... | the one data page ]
 *
 * Linear page n, from 0 on, is mapped by entry n of the leaf tables; all map the data page.
 */
#ifndef BENCH_HAND_MADE_H
#define BENCH_HAND_MADE_H

#include "bench.h"

struct hand_made {
    struct ntmm_cpu cpu;
    struct ntmm_cpu_memory memory;
};

/* page_count: a multiple of 512, at most 512 * 512. */
struct hand_made *hand_made_open(uint64_t page_count);
void hand_made_close(struct hand_made *made);

#endif
