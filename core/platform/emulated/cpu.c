/*
 * The emulated processor's registers and invalidation instructions.
 *
 * Rights are applied at access time (M4), yet the inline path looks at one tag. So a tag carries
 * the identity of the mode in which it was filled in: every combination of registers that rights
 * depend on gets a set of marks, unique since the tags were last emptied. The last eight
 * combinations keep theirs, so that going to the kernel and back finds the old tags alive; when the
 * sets run out all tags are emptied (the translations stay). The PCID is part of the mode.
 *
 * A set is five of ten marks, in bits 21:12 of a tag. No set of five is part of another: a tag has
 * none of the marks that the current mode lacks only if it is of the current mode.
 * Source: the processor manuals, MOV to control registers, INVLPG, INVPCID.
 */
#include <string.h>

#include "platform/emulated/cpu_private.h"

#define FIRST_MARKS 0x01Fu
#define LAST_MARKS 0x3E0u
#define RECENT_MODES (sizeof((struct ntmm_cpu *)0)->recent_modes / sizeof(struct ntmm_cpu_mode))

static uint32_t mode_flags(const struct ntmm_cpu *cpu)
{
    return (cpu->cpl == 3 ? MODE_USER : 0u) | (cpu->ac ? MODE_AC : 0u) |
           (cpu->cr0 & NTMM_CR0_WP ? MODE_WP : 0u) | (cpu->cr4 & NTMM_CR4_SMEP ? MODE_SMEP : 0u) |
           (cpu->cr4 & NTMM_CR4_SMAP ? MODE_SMAP : 0u) | (cpu->cr4 & NTMM_CR4_PKE ? MODE_PKE : 0u) |
           (cpu->cr4 & NTMM_CR4_PKS ? MODE_PKS : 0u) | (cpu->efer & NTMM_EFER_NXE ? MODE_NXE : 0u);
}

static bool is_same_mode(const struct ntmm_cpu_mode *a, const struct ntmm_cpu_mode *b)
{
    return a->flags == b->flags && a->pkru == b->pkru && a->pkrs == b->pkrs && a->pcid == b->pcid;
}

/* The next larger set of as many marks: the lowest run loses its last mark but one upwards, the
 * rest of it falls to the bottom. */
static uint32_t next_marks(uint32_t marks)
{
    uint32_t lowest = marks & (~marks + 1), moved = marks + lowest;
    return moved | ((marks ^ moved) >> 2 >> __builtin_ctz(lowest));
}

static uint16_t new_marks(struct ntmm_cpu *cpu)
{
    uint32_t marks = cpu->marks_next;
    if (marks > LAST_MARKS) {
        cpu_empty_tags(cpu);
        memset(cpu->recent_modes, 0, sizeof cpu->recent_modes);
        marks = FIRST_MARKS;
    }
    cpu->marks_next = next_marks(marks);
    return (uint16_t)marks;
}

static void set_miss_bits(struct ntmm_cpu *cpu)
{
    uint64_t present = (uint64_t)cpu->mode.marks << NTMM_PAGE_SHIFT;
    for (unsigned i = 0; i < 4; i++)
        cpu->miss_bits[i] = (~0xFFFull & ~present) | ((1ull << i) - 1);
}

void cpu_update_mode(struct ntmm_cpu *cpu)
{
    struct ntmm_cpu_mode *mode = &cpu->mode;
    mode->flags = mode_flags(cpu);
    mode->pcid = cpu->cr4 & NTMM_CR4_PCIDE ? (uint16_t)(cpu->cr3 & 0xFFF) : 0;
    mode->marks = 0;
    for (unsigned i = 0; i < RECENT_MODES && mode->marks == 0; i++)
        if (cpu->recent_modes[i].marks != 0 && is_same_mode(&cpu->recent_modes[i], mode))
            mode->marks = cpu->recent_modes[i].marks;
    if (mode->marks == 0) {
        mode->marks = new_marks(cpu);
        cpu->recent_modes[cpu->recent_mode_next] = *mode;
        cpu->recent_mode_next = (cpu->recent_mode_next + 1) % RECENT_MODES;
    }
    set_miss_bits(cpu);
}

static void forget_pcid(struct ntmm_cpu *cpu, uint16_t pcid, bool globals)
{
    const struct cpu_filter f = {.last = UINT64_MAX, .pcid = pcid, .globals = globals};
    cpu->statistics.flushes++;
    cpu_forget(cpu, &f);
}

static void forget_all_but_global(struct ntmm_cpu *cpu)
{
    const struct cpu_filter f = {.last = UINT64_MAX, .any_pcid = true};
    cpu->statistics.flushes++;
    cpu_forget(cpu, &f);
}

static void flush_everything(struct ntmm_cpu *cpu)
{
    cpu->statistics.flushes++;
    cpu_forget_everything(cpu);
}

/* Bits that no CR4 of this processor may have. */
static bool is_bad_cr4(uint64_t value)
{
    return value >> 32 != 0 || (value & NTMM_CR4_CET) || !(value & NTMM_CR4_PAE);
}

static bool is_bad_memory(const struct ntmm_cpu_memory *memory)
{
    uint64_t unaligned = (uintptr_t)memory->host | memory->base_pa | memory->size;
    uint64_t before = memory->hole_base_pa - memory->base_pa;
    if (((unaligned | memory->hole_size) & 0xFFF) != 0)
        return true;
    return memory->hole_size != 0 && ((before & 0xFFF) != 0 || before > memory->size ||
                                      memory->hole_size > memory->size - before);
}

enum ntmm_cpu_result ntmm_cpu_init(struct ntmm_cpu *cpu, struct ntmm_cpu_memory *memory,
                                   const struct ntmm_cpu_config *config)
{
    const struct ntmm_cpu_config ordinary = {46, true, NTMM_CR4_PGE};
    if (config == NULL)
        config = &ordinary;
    uint64_t cr4 = config->cr4 | NTMM_CR4_PAE;
    if (config->max_phys_bits < 32 || config->max_phys_bits > 52 || is_bad_cr4(cr4) ||
        is_bad_memory(memory))
        return NTMM_CPU_GENERAL_PROTECTION;
    memset(cpu, 0, sizeof *cpu);
    cpu->memory = memory;
    cpu->low_size = memory->size;
    if (memory->hole_size != 0)
        cpu->low_size = memory->hole_base_pa - memory->base_pa;
    cpu->cr0 = NTMM_CR0_PE | NTMM_CR0_WP | NTMM_CR0_PG;
    cpu->cr4 = cr4;
    cpu->efer = NTMM_EFER_LME | NTMM_EFER_LMA | NTMM_EFER_NXE;
    cpu->max_phys_bits = config->max_phys_bits;
    cpu->reserved_address_bits = x64_reserved_address_bits(config->max_phys_bits);
    cpu->has_1gib_pages = config->has_1gib_pages;
    cpu->levels = cr4 & NTMM_CR4_LA57 ? 5 : 4;
    cpu->marks_next = FIRST_MARKS;
    cpu_empty_tags(cpu);
    cpu_update_mode(cpu);
    return NTMM_CPU_OK;
}

enum ntmm_cpu_result ntmm_cpu_set_cr0(struct ntmm_cpu *cpu, uint64_t value)
{
    const uint64_t fixed = NTMM_CR0_PE | NTMM_CR0_PG;
    if ((value & fixed) != fixed || value >> 32 != 0)
        return cpu_general_protection(cpu, 0);
    cpu->cr0 = value;
    cpu_update_mode(cpu);
    return NTMM_CPU_OK;
}

enum ntmm_cpu_result ntmm_cpu_set_cr3(struct ntmm_cpu *cpu, uint64_t value)
{
    bool has_pcids = (cpu->cr4 & NTMM_CR4_PCIDE) != 0;
    bool flushes = !(has_pcids && (value & NTMM_CR3_NO_FLUSH));
    if (has_pcids)
        value &= ~NTMM_CR3_NO_FLUSH;
    if (value >> cpu->max_phys_bits != 0)
        return cpu_general_protection(cpu, 0);
    cpu->cr3 = value;
    cpu_update_mode(cpu);
    if (flushes)
        forget_pcid(cpu, cpu->mode.pcid, false);
    return NTMM_CPU_OK;
}

enum ntmm_cpu_result ntmm_cpu_set_cr4(struct ntmm_cpu *cpu, uint64_t value)
{
    uint64_t changed = cpu->cr4 ^ value;
    if (is_bad_cr4(value) || (changed & NTMM_CR4_LA57) ||
        ((changed & value & NTMM_CR4_PCIDE) && (cpu->cr3 & 0xFFF) != 0))
        return cpu_general_protection(cpu, 0);
    uint16_t pcid = cpu->mode.pcid;
    cpu->cr4 = value;
    if ((changed & NTMM_CR4_PGE) || (changed & ~value & NTMM_CR4_PCIDE))
        flush_everything(cpu);
    else if (changed & value & NTMM_CR4_SMEP)
        forget_pcid(cpu, pcid, true);
    cpu_update_mode(cpu);
    return NTMM_CPU_OK;
}

enum ntmm_cpu_result ntmm_cpu_set_efer(struct ntmm_cpu *cpu, uint64_t value)
{
    const uint64_t fixed = NTMM_EFER_LME | NTMM_EFER_LMA;
    if ((value & fixed) != fixed)
        return cpu_general_protection(cpu, 0);
    cpu->efer = value;
    cpu_update_mode(cpu);
    return NTMM_CPU_OK;
}

void ntmm_cpu_set_privilege(struct ntmm_cpu *cpu, uint32_t cpl, bool ac)
{
    cpu->cpl = (uint8_t)(cpl & 3);
    cpu->ac = ac;
    cpu_update_mode(cpu);
}

void ntmm_cpu_set_keys(struct ntmm_cpu *cpu, uint32_t pkru, uint32_t pkrs)
{
    cpu->mode.pkru = pkru;
    cpu->mode.pkrs = pkrs;
    cpu_update_mode(cpu);
}

/* An address that is not canonical meets no translation. */
void ntmm_cpu_invlpg(struct ntmm_cpu *cpu, uint64_t va) { cpu_forget_page(cpu, va); }

enum ntmm_cpu_result ntmm_cpu_invpcid(struct ntmm_cpu *cpu, uint64_t type, uint64_t descriptor,
                                      uint64_t va)
{
    bool has_pcids = (cpu->cr4 & NTMM_CR4_PCIDE) != 0;
    if (type > 3 || descriptor > 0xFFF || (type < 2 && descriptor != 0 && !has_pcids) ||
        (type == 0 && !x64_is_canonical(va, cpu->levels)))
        return cpu_general_protection(cpu, 0);
    if (type == 0) {
        const struct cpu_filter f = {.base = va, .last = va, .pcid = (uint16_t)descriptor};
        cpu_forget(cpu, &f);
    } else if (type == 1) {
        forget_pcid(cpu, (uint16_t)descriptor, false);
    } else if (type == 2) {
        flush_everything(cpu);
    } else {
        forget_all_but_global(cpu);
    }
    return NTMM_CPU_OK;
}

void ntmm_cpu_invalidate(struct ntmm_cpu *cpu, const struct ntmm_invalidation *what)
{
    struct cpu_filter f = {.last = UINT64_MAX,
                           .pcid = what->pcid,
                           .any_pcid = (what->flags & NTMM_INVALIDATE_ALL_PCIDS) != 0,
                           .globals = (what->flags & NTMM_INVALIDATE_GLOBAL) != 0};
    if (what->range_count == 0) {
        cpu->statistics.flushes++;
        if (f.any_pcid && f.globals)
            cpu_forget_everything(cpu);
        else
            cpu_forget(cpu, &f);
        return;
    }
    for (unsigned i = 0; i < what->range_count && i < NTMM_INVALIDATION_RANGES; i++) {
        f.base = what->ranges[i].base;
        f.last = what->ranges[i].end - 1;
        if (f.base <= f.last)
            cpu_forget(cpu, &f);
    }
}
