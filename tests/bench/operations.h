/*
 * Operations of NT's virtual-memory services and sections, written once: ntmm-bench runs them on
 * ntmm, and windows/program.c on Windows or Wine. No C library.
 *
 * An operation prepares its region, runs a number of times between two looks at the clock, and puts
 * everything back. The clock is the wall's, so rounds are short: some fit between two switches to
 * other programs.
 */
#ifndef BENCH_OPERATIONS_H
#define BENCH_OPERATIONS_H

#include <stdint.h>

#define OPERATION_COUNT 11u

/* What either side provides. Each must succeed, or ends the program. */

/* NtAllocateVirtualMemory, READWRITE; base 0: anywhere. The base. */
uint64_t nt_allocate(uint64_t base, uint64_t size_bytes, uint32_t type);
/* NtFreeVirtualMemory. */
void nt_free(uint64_t base, uint64_t size_bytes, uint32_t type);
/* NtProtectVirtualMemory. */
void nt_protect(uint64_t base, uint64_t size_bytes, uint32_t protect);
/* NtQueryVirtualMemory, basic: the size of the run. */
uint64_t nt_query(uint64_t address);
/* NtGetWriteWatch with a reset, room for `room` addresses, 64 at most: their number. */
uint64_t nt_take_write_watch(uint64_t base, uint64_t size_bytes, uint64_t room);
/* NtCreateSection of the page file, SEC_COMMIT: its handle. */
uint64_t nt_create_section(uint64_t size_bytes);
/* NtClose, of a section. */
void nt_close_section(uint64_t section);
/* NtMapViewOfSection of all of it, anywhere: the base. */
uint64_t nt_map_view(uint64_t section, uint32_t protect);
/* NtUnmapViewOfSection. */
void nt_unmap_view(uint64_t base);
/* The program stores a word. */
void nt_touch(uint64_t address);
/* Time on the wall. */
uint64_t nt_clock_ns(void);
/* End the program when what must hold does not. */
void nt_must(int is_true);

struct operation {
    const char *name;
    uint32_t calls;                  /* times of a round */
    uint64_t (*run)(uint32_t calls); /* ns of all of them */
};
extern const struct operation operations[OPERATION_COUNT];

#endif
