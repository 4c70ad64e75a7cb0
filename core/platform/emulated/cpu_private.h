/*
 * What the files of the emulated processor share.
 *
 *   cpu.c          registers, modes, init           cpu_walk.c     walk, rights, accessed and dirty
 *   cpu_access.c   loads, stores, locked updates    cpu_tlb.c      look up, fill, forget
 *   cpu_mailbox.c  shootdown
 *
 * Calls go cpu_access -> cpu_tlb -> cpu_walk; everybody may raise. M1..M6 are in <ntmm/cpu.h>.
 */
#ifndef NTMM_PLATFORM_EMULATED_CPU_PRIVATE_H
#define NTMM_PLATFORM_EMULATED_CPU_PRIVATE_H

#include <ntmm/cpu.h>

#include "base/le.h"
#include "x64/formats.h"

/* Of struct ntmm_cpu_translation: all levels combined, but GLOBAL and DIRTY, which are the
 * leaf's. */
enum {
    RIGHT_WRITE = 1 << 0,
    RIGHT_USER = 1 << 1,
    RIGHT_NO_EXECUTE = 1 << 2,
    RIGHT_GLOBAL = 1 << 3,
    RIGHT_DIRTY = 1 << 4,
    RIGHT_OUTSIDE = 1 << 5, /* of a 4 KiB page: in a run beside memory */
};

/* What an access is: one of READ, WRITE, FETCH, and how. */
enum {
    ACCESS_READ = 0,
    ACCESS_WRITE = 1 << 0,
    ACCESS_FETCH = 1 << 1,
    ACCESS_IMPLICIT = 1 << 2, /* of the processor itself: a supervisor at any CPL */
    ACCESS_PROBE = 1 << 3,    /* check only: no dirty bit yet */
};

/* Of struct ntmm_cpu_mode. */
enum {
    MODE_USER = 1 << 0,
    MODE_AC = 1 << 1,
    MODE_WP = 1 << 2,
    MODE_SMEP = 1 << 3,
    MODE_SMAP = 1 << 4,
    MODE_PKE = 1 << 5,
    MODE_PKS = 1 << 6,
    MODE_NXE = 1 << 7,
};

/* What is about runs beside memory stays out of the way of ordinary accesses. */
#define COLD __attribute__((noinline, cold))

enum { VECTOR_GENERAL_PROTECTION = 13, VECTOR_PAGE_FAULT = 14, VECTOR_MACHINE_CHECK = 18 };

/* Translations to forget: those of a PCID or any, with or without global ones, that meet
 * [base, last]. */
struct cpu_filter {
    uint64_t base;
    uint64_t last; /* inclusive, so that the whole space can be said */
    uint16_t pcid;
    bool any_pcid;
    bool globals;
};

/* Bytes of a page whose leaf stands at a level, less one. */
static inline uint64_t cpu_page_mask(unsigned level)
{
    return (1ull << x64_level_shift(level)) - 1;
}

/* cpu_walk.c: whether the page at address is memory, for one that is not below the hole. */
bool cpu_is_memory_above(const struct ntmm_cpu *cpu, uint64_t address);

/* cpu_walk.c: the run beside memory that an address lies in, or NULL. */
COLD const struct ntmm_cpu_run *cpu_run_at(const struct ntmm_cpu *cpu, uint64_t address);

/* Whether the page that begins at address is memory, whose parts begin and end with a page. */
static inline bool cpu_is_memory(const struct ntmm_cpu *cpu, uint64_t address)
{
    if (__builtin_expect(address - cpu->memory->base_pa < cpu->low_size, 1))
        return true;
    return cpu_is_memory_above(cpu, address);
}

static inline void cpu_raise(struct ntmm_cpu *cpu, uint32_t vector, uint32_t error_code,
                             uint64_t address)
{
    cpu->fault.vector = vector;
    cpu->fault.error_code = error_code;
    cpu->fault.address = address;
}

static inline enum ntmm_cpu_result cpu_general_protection(struct ntmm_cpu *cpu, uint64_t address)
{
    cpu_raise(cpu, VECTOR_GENERAL_PROTECTION, 0, address);
    return NTMM_CPU_GENERAL_PROTECTION;
}

static inline enum ntmm_cpu_result cpu_bus_error(struct ntmm_cpu *cpu, uint64_t address)
{
    cpu_raise(cpu, VECTOR_MACHINE_CHECK, 0, address);
    return NTMM_CPU_BUS_ERROR;
}

/* cpu.c: make tags match the registers after one of them changed. */
void cpu_update_mode(struct ntmm_cpu *cpu);

/* cpu_walk.c: whether the current mode denies an access to a translation; *error gets the bits
 * PRESENT and KEY of the error code. */
bool cpu_is_denied(const struct ntmm_cpu *cpu, const struct ntmm_cpu_translation *t,
                   unsigned access, uint32_t *error);

/* cpu_walk.c: page fault; forgets the page. error: PRESENT, RESERVED and KEY; the rest is added. */
enum ntmm_cpu_result cpu_page_fault(struct ntmm_cpu *cpu, uint64_t va, unsigned access,
                                    uint32_t error);

/* cpu_walk.c: translate va by the tables, setting accessed and dirty. On success *t is the whole
 * page; the 4 KiB of va in it are memory. */
enum ntmm_cpu_result cpu_walk(struct ntmm_cpu *cpu, uint64_t va, unsigned access,
                              struct ntmm_cpu_translation *t);

/* cpu_tlb.c: the host address of va for an access that stays in its 4 KiB page; NULL: a device. */
enum ntmm_cpu_result cpu_translate(struct ntmm_cpu *cpu, uint64_t va, unsigned access,
                                   uint8_t **host);

/* cpu_tlb.c: the physical address of va, just translated. */
uint64_t cpu_physical_address(const struct ntmm_cpu *cpu, uint64_t va);

/* cpu_tlb.c: make the inline path ask about everything; translations stay. */
void cpu_empty_tags(struct ntmm_cpu *cpu);

/* cpu_tlb.c */
void cpu_forget(struct ntmm_cpu *cpu, const struct cpu_filter *filter);
void cpu_forget_everything(struct ntmm_cpu *cpu);

/* cpu_tlb.c: forget the page of va, of the current PCID and global. */
void cpu_forget_page(struct ntmm_cpu *cpu, uint64_t va);

#endif
