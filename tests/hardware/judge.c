/*
 * The two generators of page tables and probes, and the comparison; see judge.h.
 *
 * Product: one table a level, whose first entries are every combination of R/W, U/S and NX, then
 * the terminal ones (not present; reserved bits of each kind; large leaves in every combination).
 * An address chooses one entry at each level, so four tables hold every path there is. Each path is
 * probed in each mode. Tables are made afresh for every mode, so that A and D start clear.
 *
 * Random: tables filled with entries of which most are sane, some malformed, some pointing at
 * tables of the wrong level (so that tables are reached recursively); 1,000 probes for each
 * filling.
 */
#include "judge.h"

#include <inttypes.h>
#include <ntmm/cpu.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define P 1ull
#define W 2ull
#define U 4ull
#define A 0x20ull
#define D 0x40ull
#define PS 0x80ull
#define NX (1ull << 63)
#define ADDRESS 0x000FFFFFFFFFF000ull
#define TABLE_COUNT 256u
#define PROBES_PER_FILLING 1000u
#define NOWHERE UINT64_MAX

struct comparison {
    struct judge *judge;
    struct ntmm_cpu *cpu;
    struct ntmm_cpu_memory memory; /* the emulated processor's copy */
    unsigned long probes;
    unsigned long by_kind[OTHER + 1];
    unsigned long differences;
    uint64_t random;
};

struct path {
    uint64_t entry_pa[6]; /* by level; only from the root down to last_level */
    unsigned last_level;
    uint64_t pa; /* what the address means, rights aside; NOWHERE if nothing */
};

static uint64_t *word(uint8_t *memory, uint64_t pa) { return (uint64_t *)(void *)(memory + pa); }

static uint64_t next_random(struct comparison *c)
{
    c->random ^= c->random << 13;
    c->random ^= c->random >> 7;
    c->random ^= c->random << 17;
    return c->random * 0x2545F4914F6CDD1Dull;
}

static bool chance(struct comparison *c, unsigned percent)
{
    return (next_random(c) >> 32) % 100 < percent;
}

/* Walk without rights or reserved bits: whereto, and through which entries. */
static void find_path(const struct comparison *c, const struct probe *p, struct path *path)
{
    uint64_t table = p->root;
    path->pa = NOWHERE;
    for (unsigned level = c->judge->levels;; level--) {
        unsigned shift = 12 + 9 * (level - 1);
        path->last_level = level;
        path->entry_pa[level] = table + (p->va >> shift & 511) * 8;
        uint64_t entry = *word(c->memory.host, path->entry_pa[level]);
        if (!(entry & P))
            return;
        bool leaf = level == 1 || (level <= 3 && (entry & PS));
        if (leaf) {
            uint64_t inside = (1ull << shift) - 1;
            path->pa = (entry & ADDRESS & ~inside) | (p->va & inside);
            return;
        }
        table = entry & ADDRESS;
        if (table >= MEMORY_SIZE) {
            path->entry_pa[level] = table;
            return;
        }
    }
}

static bool decline(void *bytes, uint32_t size, void *context)
{
    (void)bytes;
    (void)size;
    (void)context;
    return false;
}

static enum ntmm_cpu_result set_mode(struct ntmm_cpu *cpu, const struct probe *p)
{
    uint64_t cr4 = (cpu->cr4 & NTMM_CR4_LA57) | NTMM_CR4_PAE | (p->smep ? NTMM_CR4_SMEP : 0) |
                   (p->smap ? NTMM_CR4_SMAP : 0) | (p->pke ? NTMM_CR4_PKE : 0);
    ntmm_cpu_set_privilege(cpu, p->user ? 3 : 0, p->ac);
    ntmm_cpu_set_keys(cpu, p->pkru, 0);
    if (ntmm_cpu_set_cr0(cpu, NTMM_CR0_PE | NTMM_CR0_PG | (p->wp ? NTMM_CR0_WP : 0)) ||
        ntmm_cpu_set_cr4(cpu, cr4) || ntmm_cpu_set_cr3(cpu, p->root) ||
        ntmm_cpu_set_efer(cpu, NTMM_EFER_LME | NTMM_EFER_LMA | (p->nxe ? NTMM_EFER_NXE : 0)))
        return NTMM_CPU_GENERAL_PROTECTION;
    return ntmm_cpu_invpcid(cpu, 2, 0, 0);
}

static struct verdict emulated_answer(struct ntmm_cpu *cpu, const struct probe *p)
{
    struct verdict v = {.kind = OTHER};
    uint64_t bytes = 0x1122334455667788;
    enum ntmm_cpu_result result = set_mode(cpu, p);
    if (result == NTMM_CPU_OK && p->access == LOAD)
        result = ntmm_cpu_load(cpu, p->va, &bytes, 8);
    else if (result == NTMM_CPU_OK && p->access == STORE)
        result = ntmm_cpu_store(cpu, p->va, &bytes, 8);
    else if (result == NTMM_CPU_OK && p->access == FETCH)
        result = ntmm_cpu_fetch(cpu, p->va, &bytes, 1);
    else if (result == NTMM_CPU_OK)
        result = ntmm_cpu_update(cpu, p->va, 8, decline, NULL);
    if (result == NTMM_CPU_OK)
        v.kind = DONE;
    if (p->access == LOAD && v.kind == DONE)
        v.value = bytes;
    if (result == NTMM_CPU_GENERAL_PROTECTION)
        v.kind = GENERAL_PROTECTION;
    if (result == NTMM_CPU_FAULT) {
        v.kind = PAGE_FAULT;
        v.error_code = cpu->fault.error_code;
        v.cr2 = cpu->cr2;
    }
    return v;
}

static void print_verdict(const char *who, const struct verdict *v)
{
    static const char *const kinds[] = {"done", "page fault", "general protection", "other"};
    printf("  %s: %s code %#x cr2 %#" PRIx64 " value %#" PRIx64 "\n", who, kinds[v->kind],
           v->error_code, v->cr2, v->value);
}

static void report(struct comparison *c, const struct probe *p, const struct path *path,
                   const struct verdict *theirs, const struct verdict *ours)
{
    if (c->differences++ >= 20)
        return;
    printf("difference: access %d va %#" PRIx64 " root %#" PRIx64
           " user %d wp %d smep %d smap %d ac %d nxe %d pke %d pkru %#x\n",
           p->access, p->va, p->root, p->user, p->wp, p->smep, p->smap, p->ac, p->nxe, p->pke,
           p->pkru);
    for (unsigned level = c->judge->levels; level >= path->last_level; level--)
        printf("  level %u: theirs %016" PRIx64 " ours %016" PRIx64 "\n", level,
               *word(c->judge->memory, path->entry_pa[level]),
               *word(c->memory.host, path->entry_pa[level]));
    print_verdict(c->judge->name, theirs);
    print_verdict("emulated", ours);
}

/* Data pages hold the same on both sides; tables may differ by accessed bits of faults. */
static bool is_data(const struct comparison *c, const struct probe *p, uint64_t va)
{
    struct probe part = *p;
    struct path path;
    part.va = va;
    find_path(c, &part, &path);
    return path.pa >= DATA_PA && path.pa < MEMORY_SIZE;
}

static bool is_same(const struct comparison *c, const struct probe *p, const struct path *path,
                    const struct verdict *theirs, const struct verdict *ours)
{
    if (theirs->kind != ours->kind || theirs->kind == OTHER)
        return false;
    if (theirs->kind == PAGE_FAULT) {
        bool knows = p->access != FETCH || c->judge->knows_fetch_codes;
        return theirs->cr2 == ours->cr2 && (!knows || theirs->error_code == ours->error_code);
    }
    if (theirs->kind != DONE)
        return true;
    for (unsigned level = c->judge->levels; level >= path->last_level; level--)
        if (*word(c->judge->memory, path->entry_pa[level]) !=
            *word(c->memory.host, path->entry_pa[level]))
            return false;
    bool compares = c->judge->sees_physical && is_data(c, p, p->va) && is_data(c, p, p->va + 7);
    return !compares || theirs->value == ours->value;
}

/* What the judge does to memory in such a probe is its own affair: do not ask. */
static bool is_torn(const struct comparison *c, const struct probe *p, const struct verdict *ours)
{
    bool crosses = (p->va & 0xFFF) > 0xFF8, writes = p->access == STORE || p->access == UPDATE;
    return c->judge->tears_crossings && crosses && writes && ours->kind != DONE;
}

/* False if the probe was not worth asking. */
static bool compare(struct comparison *c, const struct probe *p)
{
    struct path path;
    find_path(c, p, &path);
    struct verdict ours = emulated_answer(c->cpu, p);
    if (is_torn(c, p, &ours))
        return false;
    struct verdict theirs = c->judge->answer(c->judge, p);
    c->probes++;
    c->by_kind[ours.kind]++;
    if (!is_same(c, p, &path, &theirs, &ours))
        report(c, p, &path, &theirs, &ours);
    return true;
}

static void clear_memory(struct comparison *c)
{
    uint8_t *memory = c->judge->memory;
    memset(memory + TABLES_PA, 0, DATA_PA - TABLES_PA);
    memset(memory, 0xF4, 4096); /* what the product's 1 GiB pages show */
    memset(memory + DATA_PA, 0xF4, MEMORY_SIZE - DATA_PA);
    for (uint64_t pa = DATA_PA; pa < MEMORY_SIZE; pa += 4096)
        *word(memory, pa + 0x10) = pa;
}

/* The tables are made: both sides start from the same memory. */
static void start_batch(struct comparison *c)
{
    memcpy(c->memory.host, c->judge->memory, MEMORY_SIZE);
    c->judge->memory_changed(c->judge);
}

/* Stores went to the same places, and no table has a dirty bit too many. */
static void finish_batch(struct comparison *c)
{
    bool same =
        !c->judge->sees_physical ||
        memcmp(c->judge->memory + DATA_PA, c->memory.host + DATA_PA, MEMORY_SIZE - DATA_PA) == 0;
    for (uint64_t pa = TABLES_PA; pa < DATA_PA; pa += 8)
        same &= (*word(c->judge->memory, pa) | A) == (*word(c->memory.host, pa) | A);
    if (!same && c->differences++ < 20)
        printf("difference: memory after a batch\n");
}

/* The product's entries of a level. The first 8 continue (or are the 4 KiB leaves). */
struct choices {
    uint64_t entries[32];
    unsigned count;
};

static void add_choice(struct choices *s, uint64_t entry) { s->entries[s->count++] = entry; }

static uint64_t rights(unsigned i) { return (i & 1 ? W : 0) | (i & 2 ? U : 0) | (i & 4 ? NX : 0); }

/* Leaves above level 1. Bits 13 to last_reserved are reserved; 12, PAT, is not. */
static void add_leaf_choices(struct choices *s, uint64_t pa, unsigned last_reserved)
{
    for (unsigned i = 0; i < 8; i++)
        add_choice(s, pa | P | PS | rights(i));
    add_choice(s, pa | P | W | U | PS | 1ull << 12);
    add_choice(s, pa | P | W | U | PS | 1ull << 13);
    add_choice(s, pa | P | PS | 1ull << last_reserved);
}

static void list_choices(const struct judge *j, unsigned level, uint64_t next, struct choices *s)
{
    s->count = 0;
    for (unsigned i = 0; i < 8; i++)
        add_choice(s, next | P | rights(i));
    add_choice(s, next | W | U);
    add_choice(s, 0xFFFFFFFFFFFFFFFEull);
    if (j->max_phys_bits < 52) {
        add_choice(s, next | P | W | U | 1ull << 51);
        add_choice(s, next | P | 1ull << j->max_phys_bits);
    }
    if (level >= 4)
        add_choice(s, next | P | W | U | PS);
    if (level == 3 && !j->has_1gib_pages)
        add_choice(s, P | W | U | PS);
    if (level == 2)
        add_leaf_choices(s, DATA_PA, 20);
    if (level == 3 && j->has_1gib_pages)
        add_leaf_choices(s, 0, 29);
}

/* The root's entries start at 64, so that no address is as small as a physical one. */
static unsigned first_index(const struct judge *j, unsigned level)
{
    return level == j->levels ? 64 : 0;
}

static void make_product_tables(struct comparison *c, struct choices lists[6])
{
    struct judge *j = c->judge;
    clear_memory(c);
    for (unsigned level = 1; level <= j->levels; level++) {
        uint64_t table = TABLES_PA + level * 4096, next = table - 4096;
        if (level == 1)
            next = DATA_PA + 0x1000;
        list_choices(j, level, next, &lists[level]);
        for (unsigned i = 0; i < lists[level].count; i++)
            *word(j->memory, table + (first_index(j, level) + i) * 8) = lists[level].entries[i];
    }
    *word(j->memory, TABLES_PA + j->levels * 4096 + STUB_SLOT * 8) = j->stub_entry;
}

static uint64_t offset_of(enum access access)
{
    static const uint64_t offsets[ACCESS_COUNT] = {0x10, 0x20, 0x30, 0x40};
    return offsets[access];
}

static void probe_paths(struct comparison *c, const struct choices lists[6], unsigned level,
                        uint64_t va, struct probe *p)
{
    for (unsigned i = 0; i < lists[level].count; i++) {
        uint64_t index = first_index(c->judge, level) + i;
        uint64_t at = va | index << (12 + 9 * (level - 1));
        if (level > 1 && i < 8) {
            probe_paths(c, lists, level - 1, at, p);
            continue;
        }
        p->va = at | offset_of(p->access);
        compare(c, p);
    }
}

/* mode: user, wp, smep, smap, ac, nxe from bit 0 on; 6 keys; 7 deny writes, not all data. */
static void run_product_mode(struct comparison *c, unsigned mode, enum access access)
{
    struct choices lists[6];
    struct probe p = {.root = TABLES_PA + c->judge->levels * 4096,
                      .access = access,
                      .user = mode & 1,
                      .wp = mode & 2,
                      .smep = mode & 4,
                      .smap = mode & 8,
                      .ac = mode & 16,
                      .nxe = mode & 32,
                      .pke = mode >> 6 & 1,
                      .pkru = mode >> 7 ? 2 : 1}; /* of key 0 */
    make_product_tables(c, lists);
    start_batch(c);
    probe_paths(c, lists, c->judge->levels, 0, &p);
    finish_batch(c);
}

/* Keys concern data accesses only, whatever SMEP and NXE are; compare-exchange is the random
 * part's. */
static bool is_in_product(const struct judge *j, unsigned mode, enum access access)
{
    bool pke = mode >> 6 & 1, write_key = mode >> 7 & 1, smep = mode & 4, nxe = mode & 32;
    if (access == UPDATE || (write_key && !pke))
        return false;
    return !pke || (j->has_keys && access != FETCH && !smep && nxe);
}

/* Of five levels, and when quick, a sample of the modes. */
static void run_product(struct comparison *c, bool quick)
{
    bool samples = quick || c->judge->levels == 5;
    unsigned modulus = c->judge->levels == 4 ? 23 : quick ? 241 : 61;
    for (unsigned mode = 0; mode < 256; mode++)
        for (enum access access = LOAD; access < ACCESS_COUNT; access++)
            if (is_in_product(c->judge, mode, access) &&
                (!samples || (mode * 5 + access) % modulus == 0))
                run_product_mode(c, mode, access);
}

/* Frames of each level in the random tables, from the root down. */
static uint64_t random_table(struct comparison *c, unsigned level)
{
    static const unsigned first[7] = {0, 96, 40, 16, 6, 0, 0}, last[7] = {0, 256, 96, 40, 16, 6, 0};
    unsigned n =
        chance(c, 15)
            ? (unsigned)(next_random(c) % TABLE_COUNT)
            : first[level] + (unsigned)((next_random(c) >> 8) % (last[level] - first[level]));
    return TABLES_PA + n * 4096;
}

static uint64_t random_data(struct comparison *c, unsigned level)
{
    if (level == 3)
        return 0;
    if (level == 2)
        return DATA_PA * (1 + next_random(c) % 3);
    return DATA_PA + (next_random(c) >> 9) % ((MEMORY_SIZE - DATA_PA) / 4096) * 4096;
}

static uint64_t random_entry(struct comparison *c, unsigned level)
{
    uint64_t noise = next_random(c);
    if (chance(c, 10))
        return noise & ~P;
    uint64_t entry = P | (noise & (A | D | 0x7FF0000000000F00ull));
    entry |= (chance(c, 80) ? W : 0) | (chance(c, 75) ? U : 0) | (chance(c, 10) ? NX : 0);
    bool large = (level == 2 || level == 3) && chance(c, 12);
    if (large)
        entry |= PS | random_data(c, level) | (chance(c, 20) ? 1ull << 12 : 0);
    else if (level == 1)
        entry |= chance(c, 3) ? random_table(c, 1) : random_data(c, 1);
    else
        entry |= random_table(c, level - 1);
    if (large && chance(c, 15))
        entry |= 1ull << (13 + noise % (level == 2 ? 8 : 17));
    if (c->judge->max_phys_bits < 52 && chance(c, 3))
        entry |= 1ull << (c->judge->max_phys_bits + noise % (52 - c->judge->max_phys_bits));
    if (level >= 4 && chance(c, 3))
        entry |= PS;
    if (level >= 3 && !large && c->judge->reserves_bit_8)
        entry &= ~BIT_8;
    return entry;
}

static void make_random_tables(struct comparison *c)
{
    static const unsigned first[7] = {256, 96, 40, 16, 6, 0, 0};
    clear_memory(c);
    for (unsigned level = 1; level <= 5; level++)
        for (uint64_t at = first[level] * 512ull; at < first[level - 1] * 512ull; at++)
            *word(c->judge->memory, TABLES_PA + at * 8) = random_entry(c, level);
    for (unsigned i = 0; i < first[c->judge->levels - 1]; i++)
        *word(c->judge->memory, TABLES_PA + i * 4096ull + STUB_SLOT * 8) = c->judge->stub_entry;
}

static void choose_probe(struct comparison *c, struct probe *p)
{
    unsigned levels = c->judge->levels, bits = 12 + 9 * levels;
    uint64_t r = next_random(c), va = next_random(c);
    unsigned roots_first = levels == 5 ? 0 : 6, roots = levels == 5 ? 6 : 10;
    p->root = TABLES_PA + (roots_first + (r >> 40) % roots) * 4096ull;
    p->access = (enum access)(r & 3);
    if (p->access == UPDATE && !c->judge->has_updates)
        p->access = STORE;
    p->user = r >> 2 & 1, p->wp = r >> 3 & 1, p->smep = r >> 4 & 1, p->smap = r >> 5 & 1;
    p->ac = r >> 6 & 1, p->nxe = (r >> 7 & 7) != 0;
    p->pke = c->judge->has_keys && (r >> 10 & 1);
    p->pkru = (uint32_t)(next_random(c) & next_random(c));
    if (chance(c, 30))
        va &= ~0x3F800000ull;                 /* within memory if a 1 GiB page is met */
    bool checks_alignment = p->user && p->ac; /* a shadowing KVM leaves the host's CR0.AM set */
    if (p->access != FETCH && !checks_alignment && chance(c, 10))
        va = (va & ~0xFFFull) | 0xFF9; /* crosses into the next page */
    else
        va = (va & ~0xFFFull) | (va & 0xF00) | offset_of(p->access);
    bool canonical = p->access == FETCH || !chance(c, 2);
    if (canonical)
        va = (uint64_t)((int64_t)(va << (64 - bits)) >> (64 - bits));
    p->va = va;
}

/* Stores and fetches may only meet data pages: tables must stay as they are, code must be code. */
static bool is_harmless(const struct comparison *c, const struct probe *p, uint64_t va)
{
    struct probe part = *p;
    struct path path;
    part.va = va;
    find_path(c, &part, &path);
    unsigned slot = (unsigned)(va >> (12 + 9 * (c->judge->levels - 1))) & 511;
    if (va < MEMORY_SIZE) /* linear addresses that a judge may take for physical ones */
        return false;
    if (slot == STUB_SLOT || (p->user && c->judge->is_taken[slot]))
        return false;
    for (unsigned level = c->judge->levels; level >= path.last_level; level--)
        if (path.entry_pa[level] >= DATA_PA) /* stores would change such a table */
            return false;
    if (path.pa == NOWHERE)
        return true;
    return path.pa < MEMORY_SIZE - 8 && (p->access == LOAD || path.pa >= DATA_PA);
}

static void run_random(struct comparison *c, unsigned long count)
{
    struct probe p;
    for (unsigned long done = 0; done < count;) {
        make_random_tables(c);
        start_batch(c);
        for (unsigned tries = 0; tries < PROBES_PER_FILLING * 4; tries++) {
            choose_probe(c, &p);
            if (!is_harmless(c, &p, p.va) || !is_harmless(c, &p, p.va + 7))
                continue;
            if (compare(c, &p) && ++done % PROBES_PER_FILLING == 0)
                break;
        }
        finish_batch(c);
    }
}

static void print_counts(const char *part, struct comparison *c)
{
    printf("%s, %s: %lu compared (%lu done, %lu page faults, %lu general protection), "
           "%lu differences\n",
           c->judge->name, part, c->probes, c->by_kind[DONE], c->by_kind[PAGE_FAULT],
           c->by_kind[GENERAL_PROTECTION], c->differences);
    fflush(stdout);
}

unsigned long judge_compare(struct judge *judge, bool quick)
{
    struct comparison c = {.judge = judge, .random = 0x9E3779B97F4A7C15ull};
    const struct ntmm_cpu_config config = {judge->max_phys_bits, judge->has_1gib_pages,
                                           judge->levels == 5 ? NTMM_CR4_LA57 : 0};
    unsigned long differences = 1;
    c.memory.host = aligned_alloc(4096, MEMORY_SIZE);
    c.memory.size = MEMORY_SIZE;
    c.cpu = malloc(sizeof *c.cpu);
    if (c.memory.host == NULL || c.cpu == NULL ||
        ntmm_cpu_init(c.cpu, &c.memory, &config) != NTMM_CPU_OK) {
        printf("%s: cannot make the emulated processor\n", judge->name);
        goto out;
    }
    run_product(&c, quick);
    print_counts("product", &c);
    differences = c.differences;
    c.probes = c.differences = 0;
    memset(c.by_kind, 0, sizeof c.by_kind);
    run_random(&c, quick ? 5000 : 100000);
    print_counts("random", &c);
    differences += c.differences;
out:
    free(c.memory.host);
    free(c.cpu);
    return differences;
}
