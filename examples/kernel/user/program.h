/*
 * What the programs share: calls as functions, and failing.
 */
#ifndef KERNEL_USER_PROGRAM_H
#define KERNEL_USER_PROGRAM_H

#include "calls.h"

#include <ntmm/constants.h>
#include <ntmm/fault.h>
#include <ntmm/status.h>

#define PAGE 4096u

uint64_t system_call_2(uint64_t number, const uint64_t arguments[5], uint64_t *value);
uint32_t probe_read(uint64_t address, uint64_t *value);
uint32_t probe_write(uint64_t address, uint64_t value);
uint64_t timed_write(uint64_t address, uint64_t value);
uint64_t timed_read(uint64_t address);
extern const char probe_begin[], probe_end[], probe_handler[];

static inline uint32_t call(enum call number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                            uint64_t *value)
{
    const uint64_t arguments[5] = {a, b, c, d, 0};
    uint64_t unwanted;
    return (uint32_t)system_call_2(number, arguments, value ? value : &unwanted);
}

static inline void leave(uint32_t status)
{
    for (;;)
        (void)call(CALL_EXIT, status, 0, 0, 0, 0);
}

/* The line is the program's exit status, which the kernel prints. */
#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            leave(__LINE__);                                                                       \
    } while (0)

static inline volatile uint64_t *word_at(uint64_t address)
{
    return (volatile uint64_t *)(uintptr_t)address;
}

static inline uint64_t allocate(uint64_t bytes, uint32_t type, uint32_t protect)
{
    uint64_t base = 0;
    EXPECT(call(CALL_ALLOCATE, 0, bytes, type, protect, &base) == NTMM_STATUS_SUCCESS);
    return base;
}

static inline uint64_t allocate_pages(uint64_t pages)
{
    return allocate(pages * PAGE, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE);
}

void run_basics(void);
void run_race(void);
void run_measure(void);

#endif
