/*
 * What a program and the kernel agree on: system calls, and what the host looks for on the disk.
 *
 * int 0x80; RAX the number, RDI RSI RDX R10 R8 the arguments; RAX is an NTSTATUS, RDX a value.
 */
#ifndef KERNEL_USER_CALLS_H
#define KERNEL_USER_CALLS_H

#include <stdint.h>

#define PROGRAM_BASE 0x10000000ull
#define FILLERS 4u
#define FAULT_KINDS 16u

enum call {
    CALL_EXIT,       /* status */
    CALL_ALLOCATE,   /* base, size, type, protect: base */
    CALL_FREE,       /* base, size, type */
    CALL_PROTECT,    /* base, size, protect: old */
    CALL_SECTION,    /* letter, size; 0 opens: handle */
    CALL_MAP,        /* handle, protect: base */
    CALL_HANDLE,     /* first, end, handler: of exceptions in [first, end) */
    CALL_YIELD,      /* */
    CALL_THREAD,     /* function, argument */
    CALL_LAST_FAULT, /* faults of the thread * FAULT_KINDS + kind of the last; time stamps it
                       * was switched out */
    CALL_TRIM,       /* 0: to the lists, 1: to the page file */
    CALL_REPORT,     /* the memory report */
    CALL_MEASURED,   /* kind, least, mean, greatest */
    CALL_COUNT
};

/* Program number and its share of pages, in RDI and RSI at the start. */
enum program { PROGRAM_RACE = FILLERS, PROGRAM_MEASURE };

/* Word k of page i of filler f in its generation g is first * (2k + 1). */
static inline uint64_t first_word(uint64_t filler, uint64_t generation, uint64_t page)
{
    return 0x6E746D6D00000001ull | filler << 28 | generation << 24 | page << 4;
}

#endif
