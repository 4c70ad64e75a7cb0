/*
 * The privileged instructions, one function each.
 *
 * NTMM_FREESTANDING_INSTRUCTIONS names a header that stands in for this one: tests run the code
 * above it in user mode.
 */
#ifndef NTMM_PLATFORM_FREESTANDING_INSTRUCTIONS_H
#define NTMM_PLATFORM_FREESTANDING_INSTRUCTIONS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef NTMM_FREESTANDING_INSTRUCTIONS
#include NTMM_FREESTANDING_INSTRUCTIONS
#else

struct cpuid_result {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid_result read_cpuid(uint32_t leaf)
{
    struct cpuid_result r;
    __asm__ volatile("cpuid"
                     : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                     : "a"(leaf), "c"(0));
    return r;
}

static inline uint64_t read_cr0(void)
{
    uint64_t value;
    __asm__ volatile("mov %%cr0, %0" : "=r"(value));
    return value;
}

static inline void write_cr0(uint64_t value) { __asm__ volatile("mov %0, %%cr0" ::"r"(value)); }

/* The barrier: what was written to tables before is seen by walks after it. */
static inline void write_cr3(uint64_t value)
{
    __asm__ volatile("mov %0, %%cr3" ::"r"(value) : "memory");
}

static inline uint64_t read_cr4(void)
{
    uint64_t value;
    __asm__ volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}

static inline void write_cr4(uint64_t value)
{
    __asm__ volatile("mov %0, %%cr4" ::"r"(value) : "memory");
}

static inline uint64_t read_msr(uint32_t number)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
    return (uint64_t)high << 32 | low;
}

static inline void write_msr(uint32_t number, uint64_t value)
{
    __asm__ volatile("wrmsr" ::"c"(number), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static inline void invalidate_page(uint64_t va)
{
    __asm__ volatile("invlpg (%0)" ::"r"(va) : "memory");
}

/* Kinds of INVPCID. */
#define INVPCID_CONTEXT 1u
#define INVPCID_ALL_AND_GLOBAL 2u

static inline void invalidate_context(uint64_t kind, uint64_t pcid)
{
    const uint64_t descriptor[2] = {pcid, 0};
    __asm__ volatile("invpcid %0, %1" ::"m"(descriptor), "r"(kind) : "memory");
}

/* The interrupt flag before it is cleared: 0 or not. */
static inline uint32_t interrupts_off(void)
{
    uint64_t flags;
    __asm__ volatile("pushfq; popq %0; cli" : "=r"(flags)::"memory");
    return (uint32_t)flags & 0x200u;
}

static inline bool interrupts_are_on(void)
{
    uint64_t flags;
    __asm__ volatile("pushfq; popq %0" : "=r"(flags)::"memory");
    return flags & 0x200u;
}

static inline void interrupts_restore(uint32_t were_on)
{
    if (were_on)
        __asm__ volatile("sti" ::: "memory");
}

static inline void pause_briefly(void) { __asm__ volatile("pause" ::: "memory"); }

#endif

#endif
