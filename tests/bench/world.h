/*
 * A machine with one processor, a system and a process. Its arena lies on huge pages where the host
 * gives them, as the host kernel's own memory does, and is touched before anything is measured.
 */
#ifndef BENCH_WORLD_H
#define BENCH_WORLD_H

#include "bench.h"

struct world {
    struct ntmm_emulated *emu;
    struct ntmm_system *system;
    struct ntmm_cpu *cpu;
    ntmm_handle process;
};

void world_open(struct world *w, uint64_t ram_bytes);
/* Without huge pages under the arena. */
void world_open_small_pages(struct world *w, uint64_t ram_bytes);
/* For real threads. */
void world_open_threads(struct world *w, uint64_t ram_bytes);
/* Also sees that nothing was lost. */
void world_close(struct world *w);

/* A region of bytes, RESERVE and perhaps COMMIT, read and write; base 0: anywhere. Its base. */
uint64_t world_allocate(struct world *w, uint64_t base, uint64_t size_bytes, uint32_t type);
void world_release(struct world *w, uint64_t base);

/* Store a word into each page of a range, in order. */
void world_touch(struct world *w, uint64_t base, uint64_t page_count);

/* A write fault of each page of a range of a process, in order, at the door alone. */
void world_fault_pages(struct world *w, ntmm_handle process, uint64_t base, uint64_t page_count);

/* Every free frame onto the zeroed list. */
void world_zero_frames(struct world *w);

#endif
