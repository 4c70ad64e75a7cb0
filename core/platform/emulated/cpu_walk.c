/*
 * The emulated processor's table walk and rights.
 *
 *   descend   root -> leaf, reading each entry once; first not-present or reserved entry faults
 *   combine   rights of all levels into one translation
 *   denied?   the mode's verdict on the translation (the same for a cached one, M4)
 *   mark      accessed in every entry used, dirty in the leaf of a write, each by compare-exchange
 *             against the value that descend saw; if one changed, all is done again (M2, M3)
 *
 * A faulting walk writes nothing. Rights never stop the descent: an upper level that denies above
 * an entry that is not present reports "not present". Source: the processor manuals, 4.5 to 4.8.
 */
#include "platform/emulated/cpu_private.h"

#define LEVELS_MAX 5

struct path {
    le64 *slots[LEVELS_MAX + 1];      /* by level */
    uint64_t entries[LEVELS_MAX + 1]; /* as read, by level */
    uint64_t all, any;                /* the entries used, and-ed and or-ed */
    unsigned leaf_level;
    uint32_t error; /* of a fault */
};

bool cpu_is_memory_above(const struct ntmm_cpu *cpu, uint64_t address)
{
    const struct ntmm_cpu_memory *memory = cpu->memory;
    return address - memory->base_pa < memory->size &&
           address - memory->hole_base_pa >= memory->hole_size;
}

COLD const struct ntmm_cpu_run *cpu_run_at(const struct ntmm_cpu *cpu, uint64_t address)
{
    const struct ntmm_cpu_memory *memory = cpu->memory;
    for (uint32_t i = 0; i < memory->run_count; i++) {
        if (address - memory->runs[i].base_pa < memory->runs[i].size)
            return &memory->runs[i];
    }
    return NULL;
}

/* The bits that must be zero in a present entry, beside those of a large page. */
static inline uint64_t reserved_bits(const struct ntmm_cpu *cpu)
{
    uint64_t no_execute = cpu->mode.flags & MODE_NXE ? 0 : FIELD_MASK(HW_NO_EXECUTE);
    return cpu->reserved_address_bits | no_execute;
}

/* The same of an entry at level 2 or above that maps a large page. */
static uint64_t reserved_bits_large(const struct ntmm_cpu *cpu, unsigned level, uint64_t bits)
{
    if (level > 3 || (level == 3 && !cpu->has_1gib_pages))
        return bits | FIELD_MASK(HW_LARGE_PAGE);
    return bits | (cpu_page_mask(level) & ~(FIELD_MASK(HWL_PAT) | 0xFFF));
}

static enum ntmm_cpu_result descend(struct ntmm_cpu *cpu, uint64_t va, struct path *p)
{
    uint64_t table = cpu->cr3 & FIELD_MASK(HW_FRAME);
    uint64_t reserved = reserved_bits(cpu);
    p->all = ~0ull;
    p->any = 0;
    for (unsigned level = cpu->levels;; level--) {
        if (!cpu_is_memory(cpu, table))
            return cpu_bus_error(cpu, table);
        le64 *slots = (le64 *)(void *)(cpu->memory->host + (table - cpu->memory->base_pa));
        p->slots[level] = &slots[x64_index(va, level)];
        uint64_t entry = p->entries[level] = load64_acquire(p->slots[level]);
        p->error = 0;
        if (!(entry & FIELD_MASK(HW_VALID)))
            return NTMM_CPU_FAULT;
        bool is_large = level > 1 && (entry & FIELD_MASK(HW_LARGE_PAGE));
        p->error = PF_PRESENT | PF_RESERVED;
        if (entry & (is_large ? reserved_bits_large(cpu, level, reserved) : reserved))
            return NTMM_CPU_FAULT;
        p->all &= entry;
        p->any |= entry;
        p->leaf_level = level;
        if (level == 1 || is_large)
            return NTMM_CPU_OK;
        table = x64_entry_address(entry);
    }
}

static void combine(const struct ntmm_cpu *cpu, uint64_t va, const struct path *p,
                    struct ntmm_cpu_translation *t)
{
    uint64_t all = p->all, any = p->any, leaf = p->entries[p->leaf_level];
    unsigned rights = (all & FIELD_MASK(HW_DIRTY1) ? RIGHT_WRITE : 0u) |
                      (all & FIELD_MASK(HW_OWNER) ? RIGHT_USER : 0u) |
                      (any & FIELD_MASK(HW_NO_EXECUTE) ? RIGHT_NO_EXECUTE : 0u) |
                      (leaf & FIELD_MASK(HW_DIRTY) ? RIGHT_DIRTY : 0u);
    if ((cpu->cr4 & NTMM_CR4_PGE) && (leaf & FIELD_MASK(HW_GLOBAL)))
        rights |= RIGHT_GLOBAL;
    t->page = (va & ~cpu_page_mask(p->leaf_level)) | 1;
    t->address = leaf & FIELD_MASK(HW_FRAME) & ~cpu_page_mask(p->leaf_level);
    t->pcid = cpu->mode.pcid;
    t->rights = (uint8_t)rights;
    t->key = (uint8_t)(leaf >> 59 & 15);
    t->level = (uint8_t)p->leaf_level;
    t->marks = 0;
}

static bool is_denied_data(uint32_t mode, unsigned rights, unsigned access)
{
    bool supervisor = (access & ACCESS_IMPLICIT) || !(mode & MODE_USER);
    bool write = (access & ACCESS_WRITE) != 0;
    if (!supervisor)
        return !(rights & RIGHT_USER) || (write && !(rights & RIGHT_WRITE));
    bool allows_user = !(mode & MODE_SMAP) || (!(access & ACCESS_IMPLICIT) && (mode & MODE_AC));
    if ((rights & RIGHT_USER) && !allows_user)
        return true;
    return write && (mode & MODE_WP) && !(rights & RIGHT_WRITE);
}

static bool is_denied_fetch(uint32_t mode, unsigned rights)
{
    if ((rights & RIGHT_NO_EXECUTE) && (mode & MODE_NXE))
        return true;
    if (mode & MODE_USER)
        return !(rights & RIGHT_USER);
    return (rights & RIGHT_USER) && (mode & MODE_SMEP);
}

/* The key of a page speaks by the page's own kind, whoever accesses it. */
static bool is_denied_key(const struct ntmm_cpu_mode *mode, const struct ntmm_cpu_translation *t,
                          unsigned access)
{
    bool user_page = (t->rights & RIGHT_USER) != 0;
    if (!(mode->flags & (user_page ? MODE_PKE : MODE_PKS)))
        return false;
    uint32_t denies = (user_page ? mode->pkru : mode->pkrs) >> (2 * t->key);
    if (denies & 1)
        return true;
    bool supervisor = (access & ACCESS_IMPLICIT) || !(mode->flags & MODE_USER);
    bool write_counts = (mode->flags & MODE_WP) || !supervisor;
    return (denies & 2) && (access & ACCESS_WRITE) && write_counts;
}

bool cpu_is_denied(const struct ntmm_cpu *cpu, const struct ntmm_cpu_translation *t,
                   unsigned access, uint32_t *error)
{
    *error = PF_PRESENT;
    if (access & ACCESS_FETCH)
        return is_denied_fetch(cpu->mode.flags, t->rights);
    bool key = is_denied_key(&cpu->mode, t, access);
    if (key)
        *error |= PF_KEY;
    return is_denied_data(cpu->mode.flags, t->rights, access) || key;
}

enum ntmm_cpu_result cpu_page_fault(struct ntmm_cpu *cpu, uint64_t va, unsigned access,
                                    uint32_t error)
{
    if (access & ACCESS_WRITE)
        error |= PF_WRITE;
    if ((cpu->mode.flags & MODE_USER) && !(access & ACCESS_IMPLICIT))
        error |= PF_USER;
    if ((access & ACCESS_FETCH) && (cpu->mode.flags & (MODE_NXE | MODE_SMEP)))
        error |= PF_FETCH;
    cpu_raise(cpu, VECTOR_PAGE_FAULT, error, va);
    cpu->cr2 = va;
    cpu->statistics.faults++;
    cpu_forget_page(cpu, va);
    return NTMM_CPU_FAULT;
}

/* False if an entry changed since it was read. A table that maps itself is one slot at several
 * levels; the second pass then finds its bit set. */
static bool mark_used(const struct ntmm_cpu *cpu, const struct path *p, unsigned access)
{
    bool is_dirtied = (access & ACCESS_WRITE) && !(access & ACCESS_PROBE);
    if ((p->all & FIELD_MASK(HW_ACCESSED)) &&
        (!is_dirtied || (p->entries[p->leaf_level] & FIELD_MASK(HW_DIRTY))))
        return true;
    for (unsigned level = cpu->levels; level >= p->leaf_level; level--) {
        uint64_t entry = p->entries[level], marked = entry | FIELD_MASK(HW_ACCESSED);
        if (level == p->leaf_level && is_dirtied)
            marked |= FIELD_MASK(HW_DIRTY);
        if (marked != entry && !cas64(p->slots[level], &entry, marked))
            return false;
    }
    return true;
}

/* A leaf may name a page of a run beside memory; of a large page each 4 KiB is asked for itself. */
static COLD bool accept_outside(const struct ntmm_cpu *cpu, uint64_t address,
                                struct ntmm_cpu_translation *t)
{
    if (cpu_run_at(cpu, address) == NULL)
        return false;
    if (t->level == 1)
        t->rights |= RIGHT_OUTSIDE;
    return true;
}

enum ntmm_cpu_result cpu_walk(struct ntmm_cpu *cpu, uint64_t va, unsigned access,
                              struct ntmm_cpu_translation *t)
{
    struct path path;
    do {
        cpu->statistics.walks++;
        enum ntmm_cpu_result result = descend(cpu, va, &path);
        if (result == NTMM_CPU_FAULT)
            return cpu_page_fault(cpu, va, access, path.error);
        if (result != NTMM_CPU_OK)
            return result;
        combine(cpu, va, &path, t);
        uint32_t error;
        if (cpu_is_denied(cpu, t, access, &error))
            return cpu_page_fault(cpu, va, access, error);
        uint64_t address = t->address + (va & cpu_page_mask(t->level) & ~0xFFFull);
        if (!cpu_is_memory(cpu, address) && !accept_outside(cpu, address, t))
            return cpu_bus_error(cpu, address + (va & 0xFFF));
    } while (!mark_used(cpu, &path, access));
    if ((access & ACCESS_WRITE) && !(access & ACCESS_PROBE))
        t->rights |= RIGHT_DIRTY;
    return NTMM_CPU_OK;
}
