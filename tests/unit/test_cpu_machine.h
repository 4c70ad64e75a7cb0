/*
 * A machine for the tests of the emulated processor: 8 MiB of memory at physical 1 GiB, page tables
 * made by hand in its first MiB, data from its third MiB on.
 *
 *   1 GiB        +1 MiB                +2 MiB                          +8 MiB
 *   | root table table ... (untouched) | DATA: page n at DATA + n * 4096 |
 */
#ifndef TEST_CPU_MACHINE_H
#define TEST_CPU_MACHINE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <ntmm/cpu.h>

#include "base/le.h"

#define MEMORY_BASE 0x40000000ull
#define MEMORY_SIZE 0x800000ull
#define DATA (MEMORY_BASE + 0x200000)

/* Entry bits, by hand. */
#define P 1ull
#define W 2ull
#define U 4ull
#define A 0x20ull
#define D 0x40ull
#define PS 0x80ull
#define G 0x100ull
#define NX 0x8000000000000000ull
#define KEY(k) ((uint64_t)(k) << 59)

#define VA 0x00001234567A1000ull

struct machine {
    struct ntmm_cpu cpu;
    struct ntmm_cpu_memory memory;
    unsigned tables; /* used; the root is the first */
    unsigned levels;
};

static inline uint8_t *at(struct machine *m, uint64_t pa)
{
    return m->memory.host + (pa - MEMORY_BASE);
}

/* The entry of va at a level; tables above it are made as needed, with every right. */
static inline le64 *entry_of(struct machine *m, uint64_t va, unsigned level)
{
    uint64_t table = MEMORY_BASE;
    for (unsigned l = m->levels;; l--) {
        le64 *e = (le64 *)(void *)(at(m, table) + (va >> (12 + 9 * (l - 1)) & 511) * 8);
        if (l == level)
            return e;
        if (!(get64(e) & P))
            set64(e, (MEMORY_BASE + 4096ull * m->tables++) | P | W | U);
        table = get64(e) & 0x000FFFFFFFFFF000;
    }
}

static inline void map(struct machine *m, uint64_t va, unsigned level, uint64_t entry)
{
    set64(entry_of(m, va, level), entry);
}

static inline struct machine *machine_new(const struct ntmm_cpu_config *config)
{
    struct machine *m = calloc(1, sizeof *m);
    m->memory.host = aligned_alloc(4096, MEMORY_SIZE);
    memset(m->memory.host, 0, MEMORY_SIZE);
    m->memory.base_pa = MEMORY_BASE;
    m->memory.size = MEMORY_SIZE;
    m->tables = 1;
    assert_int_equal(ntmm_cpu_init(&m->cpu, &m->memory, config), NTMM_CPU_OK);
    m->levels = config != NULL && (config->cr4 & NTMM_CR4_LA57) ? 5 : 4;
    assert_int_equal(ntmm_cpu_set_cr3(&m->cpu, MEMORY_BASE), NTMM_CPU_OK);
    return m;
}

static inline int machine_setup(void **state)
{
    *state = machine_new(NULL);
    return 0;
}

static inline int machine_teardown(void **state)
{
    struct machine *m = *state;
    free(m->memory.host);
    free(m);
    return 0;
}

/* A second processor on the same memory and tables. */
static inline struct ntmm_cpu *second_cpu(struct machine *m)
{
    struct ntmm_cpu *cpu = malloc(sizeof *cpu);
    assert_int_equal(ntmm_cpu_init(cpu, &m->memory, NULL), NTMM_CPU_OK);
    assert_int_equal(ntmm_cpu_set_cr3(cpu, MEMORY_BASE), NTMM_CPU_OK);
    return cpu;
}

static inline uint64_t read_ok(struct machine *m, uint64_t va)
{
    uint64_t value = 0;
    assert_int_equal(ntmm_cpu_read64(&m->cpu, va, &value), NTMM_CPU_OK);
    return value;
}

static inline void write_ok(struct machine *m, uint64_t va, uint64_t value)
{
    assert_int_equal(ntmm_cpu_write64(&m->cpu, va, value), NTMM_CPU_OK);
}

static inline void set_cr4(struct machine *m, uint64_t bits)
{
    assert_int_equal(ntmm_cpu_set_cr4(&m->cpu, NTMM_CR4_PAE | bits), NTMM_CPU_OK);
}

static inline void set_cr3(struct machine *m, uint64_t value)
{
    assert_int_equal(ntmm_cpu_set_cr3(&m->cpu, value), NTMM_CPU_OK);
}

#define assert_page_fault(m, result, code, va)                                                     \
    do {                                                                                           \
        assert_int_equal(result, NTMM_CPU_FAULT);                                                  \
        assert_int_equal((m)->cpu.fault.vector, 14);                                               \
        assert_int_equal((m)->cpu.fault.error_code, code);                                         \
        assert_true((m)->cpu.fault.address == (va) && (m)->cpu.cr2 == (va));                       \
    } while (0)

#endif
