/*
 * Stand-ins for the privileged instructions: a processor with a TLB whose entries stay until an
 * instruction drops them.
 */
#ifndef NTMM_TESTS_FREESTANDING_INSTRUCTIONS_H
#define NTMM_TESTS_FREESTANDING_INSTRUCTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct cpuid_result {
    uint32_t eax, ebx, ecx, edx;
};

struct cpuid_result read_cpuid(uint32_t leaf);
uint64_t read_cr0(void);
void write_cr0(uint64_t value);
void write_cr3(uint64_t value);
uint64_t read_cr4(void);
void write_cr4(uint64_t value);
uint64_t read_msr(uint32_t number);
void write_msr(uint32_t number, uint64_t value);
void invalidate_page(uint64_t va);
void invalidate_context(uint64_t kind, uint64_t pcid);
uint32_t interrupts_off(void);
bool interrupts_are_on(void);
void interrupts_restore(uint32_t were_on);
void pause_briefly(void);

#define INVPCID_CONTEXT 1u
#define INVPCID_ALL_AND_GLOBAL 2u

#endif
