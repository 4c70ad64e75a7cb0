/*
 * The emulated processor's TLB.
 *
 *   lines[i]         fast tags and the addend, all that the inline path reads
 *   translations[i]  what line i holds: a 4 KiB page, or a slice of a large one (level says which)
 *   translations_2m, translations_1g   large pages whole; slices are cut from them without a walk
 *
 * All are direct mapped by linear page number. A tag is filled in when the slow path has allowed an
 * access of its kind in the current mode (M6), and is page ^ marks of the mode: a change of mode
 * misses every line and comes back to the old ones when the old mode does. The marks are part of
 * the addend too, so the tags of a line are all of one mode. A slice can outlive its large page's
 * entry here, so forgetting compares the large page's bounds, not the slice's.
 */
#include <string.h>

#include "base/assert.h"
#include "platform/emulated/cpu_private.h"

#define ALL_MARKS ((uint64_t)(NTMM_CPU_LINES - 1) << NTMM_PAGE_SHIFT)

NTMM_STATIC_ASSERT(sizeof(struct ntmm_cpu_line) == 1u << NTMM_CPU_LINE_SHIFT, "a power of two");

static unsigned line_index(uint64_t va)
{
    return (unsigned)(va >> NTMM_PAGE_SHIFT) & (NTMM_CPU_LINES - 1);
}

static struct ntmm_cpu_translation *large_slot(struct ntmm_cpu *cpu, uint64_t va, unsigned level)
{
    unsigned number = (unsigned)(va >> x64_level_shift(level));
    if (level == 2)
        return &cpu->translations_2m[number & (NTMM_CPU_LINES_2M - 1)];
    return &cpu->translations_1g[number & (NTMM_CPU_LINES_1G - 1)];
}

static bool is_hit(const struct ntmm_cpu *cpu, const struct ntmm_cpu_translation *t, uint64_t va,
                   unsigned level)
{
    return t->page == ((va & ~cpu_page_mask(level)) | 1) &&
           ((t->rights & RIGHT_GLOBAL) || t->pcid == cpu->mode.pcid);
}

static const struct ntmm_cpu_translation *look_up(struct ntmm_cpu *cpu, uint64_t va)
{
    const struct ntmm_cpu_translation *t = &cpu->translations[line_index(va)];
    if (is_hit(cpu, t, va, 1))
        return t;
    if (!cpu->has_large_lines)
        return NULL;
    for (unsigned level = 2; level <= 3; level++) {
        t = large_slot(cpu, va, level);
        if (is_hit(cpu, t, va, level))
            return t;
    }
    return NULL;
}

/* Every address that chooses line i meets all marks. */
static void empty_line(struct ntmm_cpu *cpu, unsigned i)
{
    struct ntmm_cpu_line *line = &cpu->lines[i];
    uint64_t page = (uint64_t)i << NTMM_PAGE_SHIFT;
    line->read_tag = line->write_tag = line->fetch_tag = page ^ ALL_MARKS;
}

void cpu_empty_tags(struct ntmm_cpu *cpu)
{
    for (unsigned i = 0; i < NTMM_CPU_LINES; i++)
        empty_line(cpu, i);
}

/* Make line i ready for tags of the current mode. */
static void adopt_line(struct ntmm_cpu *cpu, unsigned i)
{
    uint16_t marks = cpu->mode.marks;
    const struct ntmm_cpu_memory *memory = cpu->memory;
    uint64_t offset = cpu->translations[i].address - memory->base_pa;
    empty_line(cpu, i);
    cpu->lines[i].addend =
        (uint64_t)(uintptr_t)memory->host + offset - ((uint64_t)marks << NTMM_PAGE_SHIFT);
    cpu->translations[i].marks = marks;
}

/* The same for a page of a run beside memory; false: of a device, which gets no tags. */
static COLD bool adopt_line_outside(struct ntmm_cpu *cpu, unsigned i)
{
    uint16_t marks = cpu->mode.marks;
    uint64_t address = cpu->translations[i].address;
    const struct ntmm_cpu_run *run = cpu_run_at(cpu, address);
    empty_line(cpu, i);
    if (run->host == NULL)
        return false;
    cpu->lines[i].addend = (uint64_t)(uintptr_t)run->host + (address - run->base_pa) -
                           ((uint64_t)marks << NTMM_PAGE_SHIFT);
    cpu->translations[i].marks = marks;
    return true;
}

/* A slice of a large page that is not memory: of a run beside it, or nothing. */
static COLD enum ntmm_cpu_result fill_line_outside(struct ntmm_cpu *cpu, uint64_t va,
                                                   const struct ntmm_cpu_translation *t,
                                                   uint64_t address)
{
    if (cpu_run_at(cpu, address) == NULL)
        return cpu_bus_error(cpu, address + (va & 0xFFF));
    cpu->translations[line_index(va)] = (struct ntmm_cpu_translation){
        .page = (va & ~0xFFFull) | 1,
        .address = address,
        .pcid = t->pcid,
        .rights = t->rights | RIGHT_OUTSIDE,
        .key = t->key,
        .level = t->level,
    };
    return NTMM_CPU_OK;
}

/* Make va's line the slice of t that va lies in, but for the tags: they are of no mode and have to
 * be emptied. The page of a leaf at level 1 is known to be there. */
static enum ntmm_cpu_result fill_line(struct ntmm_cpu *cpu, uint64_t va,
                                      const struct ntmm_cpu_translation *t)
{
    unsigned i = line_index(va);
    uint64_t page = va & ~0xFFFull;
    uint64_t address = t->address + (page & cpu_page_mask(t->level));
    if (t->level > 1 && !cpu_is_memory(cpu, address))
        return fill_line_outside(cpu, va, t, address);
    cpu->translations[i] = (struct ntmm_cpu_translation){
        .page = page | 1,
        .address = address,
        .pcid = t->pcid,
        .rights = t->rights,
        .key = t->key,
        .level = t->level,
    };
    return NTMM_CPU_OK;
}

/* Whether data that may be read may be written: but for keys, a page that is writable at every
 * level denies a write only where it denies a read. */
static bool is_writable_too(const struct ntmm_cpu *cpu, const struct ntmm_cpu_translation *t)
{
    uint32_t error;
    if ((t->rights & RIGHT_WRITE) && !(cpu->mode.flags & (MODE_PKE | MODE_PKS)))
        return true;
    return !cpu_is_denied(cpu, t, ACCESS_WRITE, &error);
}

uint64_t cpu_physical_address(const struct ntmm_cpu *cpu, uint64_t va)
{
    return cpu->translations[line_index(va)].address | (va & 0xFFF);
}

/* The access was allowed: let the inline path serve its like, and what else is allowed for sure.
 * Returns where va lies; NULL: in a device, whose line has no tags. */
static uint8_t *set_tags(struct ntmm_cpu *cpu, uint64_t va, unsigned access)
{
    unsigned i = line_index(va);
    struct ntmm_cpu_line *line = &cpu->lines[i];
    uint64_t tag = (va & ~0xFFFull) ^ (uint64_t)cpu->mode.marks << NTMM_PAGE_SHIFT;
    if (cpu->translations[i].marks != cpu->mode.marks) {
        if (__builtin_expect(!(cpu->translations[i].rights & RIGHT_OUTSIDE), 1))
            adopt_line(cpu, i);
        else if (!adopt_line_outside(cpu, i))
            return NULL;
    }
    uint8_t *host = (uint8_t *)(uintptr_t)(line->addend + (va ^ tag));
    if (access & (ACCESS_IMPLICIT | ACCESS_PROBE))
        return host;
    if (access & ACCESS_FETCH) {
        line->fetch_tag = tag;
        return host;
    }
    line->read_tag = tag; /* what may be written may be read */
    const struct ntmm_cpu_translation *t = &cpu->translations[i];
    if ((t->rights & RIGHT_DIRTY) && is_writable_too(cpu, t))
        line->write_tag = tag;
    return host;
}

enum ntmm_cpu_result cpu_translate(struct ntmm_cpu *cpu, uint64_t va, unsigned access,
                                   uint8_t **host)
{
    const struct ntmm_cpu_translation *t = look_up(cpu, va);
    struct ntmm_cpu_translation walked;
    enum ntmm_cpu_result result;
    uint32_t error;
    if (t != NULL && cpu_is_denied(cpu, t, access, &error))
        return cpu_page_fault(cpu, va, access, error);
    bool sets_dirty = (access & ACCESS_WRITE) && !(access & ACCESS_PROBE);
    if (t == NULL || (sets_dirty && !(t->rights & RIGHT_DIRTY))) {
        cpu->statistics.misses += t == NULL;
        result = cpu_walk(cpu, va, access, &walked);
        if (result != NTMM_CPU_OK)
            return result;
        t = &walked;
        if (walked.level > 1) {
            *large_slot(cpu, va, walked.level) = walked;
            cpu->has_large_lines = true;
        }
    } else {
        cpu->statistics.slow_hits++;
    }
    if (t != &cpu->translations[line_index(va)]) {
        result = fill_line(cpu, va, t);
        if (result != NTMM_CPU_OK)
            return result;
    }
    *host = set_tags(cpu, va, access);
    return NTMM_CPU_OK;
}

/* Whether a translation is among those to forget. */
static bool is_covered(const struct ntmm_cpu_translation *t, const struct cpu_filter *f)
{
    if (t->page == 0)
        return false;
    uint64_t mask = cpu_page_mask(t->level), first = t->page & ~mask;
    if (first > f->last || (first | mask) < f->base)
        return false;
    return t->rights & RIGHT_GLOBAL ? f->globals : f->any_pcid || t->pcid == f->pcid;
}

static void forget_line(struct ntmm_cpu *cpu, unsigned i, const struct cpu_filter *f)
{
    if (!is_covered(&cpu->translations[i], f))
        return;
    cpu->translations[i].page = 0;
    empty_line(cpu, i);
}

static void forget_large(struct ntmm_cpu *cpu, const struct cpu_filter *f)
{
    for (unsigned i = 0; i < NTMM_CPU_LINES_2M; i++)
        if (is_covered(&cpu->translations_2m[i], f))
            cpu->translations_2m[i].page = 0;
    for (unsigned i = 0; i < NTMM_CPU_LINES_1G; i++)
        if (is_covered(&cpu->translations_1g[i], f))
            cpu->translations_1g[i].page = 0;
}

void cpu_forget(struct ntmm_cpu *cpu, const struct cpu_filter *f)
{
    uint64_t pages = (f->last >> 12) - (f->base >> 12);
    if (!cpu->has_large_lines && pages < NTMM_CPU_LINES / 4) {
        for (uint64_t n = 0; n <= pages; n++)
            forget_line(cpu, line_index(f->base + (n << 12)), f);
        return;
    }
    for (unsigned i = 0; i < NTMM_CPU_LINES; i++)
        forget_line(cpu, i, f);
    if (cpu->has_large_lines)
        forget_large(cpu, f);
}

void cpu_forget_everything(struct ntmm_cpu *cpu)
{
    cpu_empty_tags(cpu);
    memset(cpu->translations, 0, sizeof cpu->translations);
    memset(cpu->translations_2m, 0, sizeof cpu->translations_2m);
    memset(cpu->translations_1g, 0, sizeof cpu->translations_1g);
    cpu->has_large_lines = false;
}

void cpu_forget_page(struct ntmm_cpu *cpu, uint64_t va)
{
    const struct cpu_filter f = {.base = va, .last = va, .pcid = cpu->mode.pcid, .globals = true};
    cpu_forget(cpu, &f);
}
