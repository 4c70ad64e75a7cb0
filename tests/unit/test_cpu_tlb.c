/*
 * What the emulated processor caches, when it forgets, accessed and dirty bits, the inline path
 * across changes of mode. Named after M2..M6 of <ntmm/cpu.h> where they apply.
 */
#include "test_cpu_machine.h"

#define PCIDE NTMM_CR4_PCIDE
#define PGE NTMM_CR4_PGE

/* A page that reads `value` at va. */
static void map_value(struct machine *m, uint64_t va, unsigned page, uint64_t bits, uint64_t value)
{
    map(m, va, 1, (DATA + 4096ull * page) | P | W | U | bits);
    set64((le64 *)(void *)at(m, DATA + 4096ull * page), value);
}

static bool is_cached(struct machine *m, uint64_t va)
{
    uint64_t walks = m->cpu.statistics.walks, value;
    bool done = ntmm_cpu_read64(&m->cpu, va, &value) == NTMM_CPU_OK;
    return done && m->cpu.statistics.walks == walks;
}

static void accessed_and_dirty_at_every_level(void **state)
{
    struct machine *m = *state;
    for (unsigned leaf = 1; leaf <= 3; leaf++) {
        uint64_t va = (VA + ((uint64_t)leaf << 39)) & ~0x3FFFFFFFull;
        map(m, va, leaf, (leaf == 3 ? MEMORY_BASE : DATA) | P | W | U | (leaf > 1 ? PS : 0));
        read_ok(m, va);
        for (unsigned level = leaf; level <= 4; level++)
            assert_int_equal(get64(entry_of(m, va, level)) & (A | D), A);
        assert_int_equal(ntmm_cpu_write8(&m->cpu, va + 4095, 1), NTMM_CPU_OK);
        for (unsigned level = leaf + 1; level <= 4; level++)
            assert_int_equal(get64(entry_of(m, va, level)) & (A | D), A);
        assert_int_equal(get64(entry_of(m, va, leaf)) & (A | D), A | D);
    }
}

static void m3_write_through_clean_translation_sets_dirty(void **state)
{
    struct machine *m = *state;
    map_value(m, VA, 0, 0, 1);
    read_ok(m, VA);
    assert_int_equal(get64(entry_of(m, VA, 1)) & D, 0);
    write_ok(m, VA, 2);
    assert_int_equal(get64(entry_of(m, VA, 1)) & D, D);
    assert_int_equal(read_ok(m, VA), 2);
}

static void m3_dirty_is_for_writes_that_happen(void **state)
{
    struct machine *m = *state;
    map(m, VA, 1, DATA | P | U);
    ntmm_cpu_set_privilege(&m->cpu, 3, false);
    assert_page_fault(m, ntmm_cpu_write8(&m->cpu, VA, 1), 7, VA);
    assert_int_equal(get64(entry_of(m, VA, 1)) & D, 0);
    ntmm_cpu_set_privilege(&m->cpu, 0, false); /* WP = 0: a write to a read-only page dirties it */
    assert_int_equal(ntmm_cpu_set_cr0(&m->cpu, NTMM_CR0_PG | NTMM_CR0_PE), NTMM_CPU_OK);
    write_ok(m, VA, 1);
    assert_int_equal(get64(entry_of(m, VA, 1)) & D, D);
}

/* A write through a translation cached clean walks again, and so meets what the tables now say. */
static void m3_dirtying_walk_sees_the_tables(void **state)
{
    struct machine *m = *state;
    map_value(m, VA, 0, 0, 1);
    read_ok(m, VA);
    map(m, VA, 1, 0);
    assert_page_fault(m, ntmm_cpu_write64(&m->cpu, VA, 2), 2, VA);
    uint64_t value;
    assert_page_fault(m, ntmm_cpu_read64(&m->cpu, VA, &value), 0, VA); /* the fault dropped it */
}

static void clearing_bits_without_invalidation_is_not_noticed(void **state)
{
    struct machine *m = *state;
    map_value(m, VA, 0, 0, 5);
    write_ok(m, VA, 5);
    le64 *pte = entry_of(m, VA, 1);
    set64(pte, get64(pte) & ~(A | D));
    write_ok(m, VA, 6);
    assert_int_equal(get64(pte) & (A | D), 0);
    set64(pte, get64(pte) & ~(W | U));
    write_ok(m, VA, 7); /* rights cleared: the stale ones hold */
    ntmm_cpu_set_privilege(&m->cpu, 3, false);
    write_ok(m, VA, 8);
    set64(pte, 0);
    assert_int_equal(read_ok(m, VA), 8);
    ntmm_cpu_invlpg(&m->cpu, VA + 0xFFF);
    uint64_t value;
    assert_page_fault(m, ntmm_cpu_read64(&m->cpu, VA, &value), 4, VA);
}

static void m2_not_present_is_not_cached(void **state)
{
    struct machine *m = *state;
    uint64_t value;
    map(m, VA, 1, 0);
    assert_page_fault(m, ntmm_cpu_read64(&m->cpu, VA, &value), 0, VA);
    map(m, VA, 1, DATA | P | 1ull << 50);
    assert_page_fault(m, ntmm_cpu_read64(&m->cpu, VA, &value), 9, VA);
    map_value(m, VA, 0, 0, 3);
    assert_int_equal(read_ok(m, VA), 3);
}

/* Relaxed rights without invalidation: one spurious fault at most. */
static void a_fault_drops_the_stale_translation(void **state)
{
    struct machine *m = *state;
    map(m, VA, 1, DATA | P | G);
    read_ok(m, VA);
    map(m, VA, 1, DATA | P | W | G);
    assert_page_fault(m, ntmm_cpu_write64(&m->cpu, VA, 1), 3, VA);
    write_ok(m, VA, 1);
}

static void invlpg_drops_one_page_and_global_ones(void **state)
{
    struct machine *m = *state;
    map_value(m, VA, 0, G, 1);
    map_value(m, VA + 4096, 1, 0, 2);
    read_ok(m, VA);
    read_ok(m, VA + 4096);
    ntmm_cpu_invlpg(&m->cpu, VA + 5);
    assert_true(is_cached(m, VA + 4096));
    assert_false(is_cached(m, VA));
    read_ok(m, VA);
    ntmm_cpu_invlpg(&m->cpu, VA | 1ull << 60); /* not canonical: nothing */
    assert_true(is_cached(m, VA));
}

static void mov_cr3_without_pcids_keeps_global_ones(void **state)
{
    struct machine *m = *state;
    map_value(m, VA, 0, G, 1);
    map_value(m, VA + 4096, 1, 0, 2);
    read_ok(m, VA);
    read_ok(m, VA + 4096);
    set_cr3(m, MEMORY_BASE);
    assert_true(is_cached(m, VA));
    assert_false(is_cached(m, VA + 4096));
    set_cr4(m, 0); /* PGE changes: everything goes, and G means nothing */
    assert_false(is_cached(m, VA));
    set_cr3(m, MEMORY_BASE);
    assert_false(is_cached(m, VA));
}

static void pcids_keep_translations_apart(void **state)
{
    struct machine *m = *state;
    set_cr4(m, PGE | PCIDE);
    map_value(m, VA, 0, 0, 1);
    map_value(m, VA + 4096, 1, G, 2);
    set_cr3(m, MEMORY_BASE | 1);
    read_ok(m, VA);
    read_ok(m, VA + 4096);
    set_cr3(m, MEMORY_BASE | 2 | NTMM_CR3_NO_FLUSH);
    assert_false(is_cached(m, VA)); /* now in PCID 2, evicting PCID 1's line */
    assert_true(is_cached(m, VA + 4096));
    set_cr3(m, MEMORY_BASE | 1 | NTMM_CR3_NO_FLUSH);
    assert_true(m->cpu.cr3 == (MEMORY_BASE | 1));
    assert_true(is_cached(m, VA + 4096));
    read_ok(m, VA);
    set_cr3(m, MEMORY_BASE | 2); /* flushes 2, not 1 */
    set_cr3(m, MEMORY_BASE | 1 | NTMM_CR3_NO_FLUSH);
    assert_true(is_cached(m, VA));
    set_cr3(m, MEMORY_BASE | 1);
    assert_false(is_cached(m, VA));
    set_cr4(m, PGE); /* PCIDE 1 -> 0: everything */
    assert_false(is_cached(m, VA + 4096));
}

/* Each INVPCID form, with VA cached in PCID 1 and a global page, seen from PCID 1. */
static void invpcid_forms(void **state)
{
    struct machine *m = *state;
    static const struct {
        uint64_t type, pcid, va;
        bool keeps_page, keeps_other, keeps_global;
    } forms[] = {
        {0, 1, VA, false, true, true}, {0, 1, VA + 8192, true, true, true},
        {0, 2, VA, true, true, true},  {1, 1, 0, false, false, true},
        {1, 2, 0, true, true, true},   {2, 0, 0, false, false, false},
        {3, 0, 0, false, false, true},
    };
    set_cr4(m, PGE | PCIDE);
    set_cr3(m, MEMORY_BASE | 1);
    map_value(m, VA, 0, 0, 1);
    map_value(m, VA + 4096, 1, 0, 2);
    map_value(m, VA + 8192, 2, G, 3);
    for (unsigned i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        read_ok(m, VA);
        read_ok(m, VA + 4096);
        read_ok(m, VA + 8192);
        assert_int_equal(
            ntmm_cpu_invpcid(&m->cpu, forms[i].type, forms[i].pcid, forms[i].va | 0x10),
            NTMM_CPU_OK);
        assert_int_equal(is_cached(m, VA), forms[i].keeps_page);
        assert_int_equal(is_cached(m, VA + 4096), forms[i].keeps_other);
        assert_int_equal(is_cached(m, VA + 8192), forms[i].keeps_global);
    }
}

static void refused_register_values(void **state)
{
    struct machine *m = *state;
    const enum ntmm_cpu_result gp = NTMM_CPU_GENERAL_PROTECTION;
    struct ntmm_cpu *c = &m->cpu;
    assert_int_equal(ntmm_cpu_invpcid(c, 4, 0, 0), gp);
    assert_int_equal(ntmm_cpu_invpcid(c, 1, 0x1000, 0), gp);
    assert_int_equal(ntmm_cpu_invpcid(c, 1, 1, 0), gp); /* PCIDE = 0 */
    assert_int_equal(ntmm_cpu_invpcid(c, 0, 0, 1ull << 47), gp);
    assert_int_equal(ntmm_cpu_invpcid(c, 2, 5, 1ull << 47), NTMM_CPU_OK);
    assert_int_equal(ntmm_cpu_set_cr3(c, 1ull << 46), gp);
    assert_int_equal(ntmm_cpu_set_cr3(c, MEMORY_BASE | NTMM_CR3_NO_FLUSH), gp);
    set_cr3(m, MEMORY_BASE | 0x18);
    assert_int_equal(ntmm_cpu_set_cr4(c, NTMM_CR4_PAE | PCIDE), gp); /* CR3[11:0] */
    assert_int_equal(ntmm_cpu_set_cr4(c, 0), gp);
    assert_int_equal(ntmm_cpu_set_cr4(c, NTMM_CR4_PAE | NTMM_CR4_LA57), gp);
    assert_int_equal(ntmm_cpu_set_cr4(c, NTMM_CR4_PAE | NTMM_CR4_CET), gp);
    assert_int_equal(ntmm_cpu_set_cr0(c, NTMM_CR0_PE), gp);
    assert_int_equal(ntmm_cpu_set_efer(c, NTMM_EFER_NXE), gp);
    assert_true(c->cr3 == (MEMORY_BASE | 0x18) && c->cr4 == (NTMM_CR4_PAE | PGE));
    assert_int_equal(c->fault.vector, 13);
    const struct ntmm_cpu_config bad = {.max_phys_bits = 53};
    struct ntmm_cpu_memory unaligned = {
        .host = m->memory.host, .base_pa = MEMORY_BASE + 1, .size = 4096};
    struct ntmm_cpu *other = malloc(sizeof *other);
    assert_int_equal(ntmm_cpu_init(other, &m->memory, &bad), gp);
    assert_int_equal(ntmm_cpu_init(other, &unaligned, NULL), gp);
    free(other);
}

static void large_pages_are_cached_and_dropped_whole(void **state)
{
    struct machine *m = *state;
    for (unsigned level = 2; level <= 3; level++) {
        uint64_t va = (VA & ~0x3FFFFFFFull) + ((uint64_t)level << 39);
        uint64_t pa = level == 2 ? DATA : MEMORY_BASE, other = level == 2 ? 0x1FF000 : 0x3FF000;
        map(m, va, level, pa | P | W | U | PS);
        *at(m, pa + other) = (uint8_t)(0x40 + level);
        read_ok(m, va);
        assert_true(is_cached(m, va + other)); /* one walk for the whole page */
        assert_int_equal(read_ok(m, va + other) & 0xFF, 0x40 + level);
        ntmm_cpu_invlpg(&m->cpu, va + 0x5000); /* neither of the two slices */
        map(m, va, level, 0);
        uint64_t value;
        assert_page_fault(m, ntmm_cpu_read64(&m->cpu, va, &value), 0, va);
        assert_page_fault(m, ntmm_cpu_read64(&m->cpu, va + other, &value), 0, va + other);
    }
}

/* Large pages in a row, as many as there are lines for their size, each with a line of its own. */
static void as_many_large_pages_are_cached_as_there_are_lines(void **state)
{
    struct machine *m = *state;
    const unsigned lines[] = {NTMM_CPU_LINES_2M, NTMM_CPU_LINES_1G};
    for (unsigned level = 2; level <= 3; level++) {
        uint64_t va = (VA & ~0x3FFFFFFFull) + ((uint64_t)level << 39);
        uint64_t size = 1ull << (12 + 9 * (level - 1)), pa = level == 2 ? DATA : MEMORY_BASE;
        for (unsigned i = 0; i < lines[level - 2]; i++) {
            map(m, va + i * size, level, pa | P | W | U | PS);
            read_ok(m, va + i * size);
        }
        for (unsigned i = 0; i < lines[level - 2]; i++)
            assert_true(is_cached(m, va + i * size + 0x1000)); /* another slice: no 4 KiB line */
    }
}

static void large_page_partly_outside_memory(void **state)
{
    struct machine *m = *state;
    uint64_t va = VA & ~0x3FFFFFFFull, value;
    map(m, va, 3, MEMORY_BASE | P | W | PS);
    read_ok(m, va + MEMORY_SIZE - 8);
    assert_int_equal(ntmm_cpu_read64(&m->cpu, va + MEMORY_SIZE, &value), NTMM_CPU_BUS_ERROR);
    assert_true(m->cpu.fault.address == MEMORY_BASE + MEMORY_SIZE);
}

/* The same line, tags and all, under every mode: SMEP, SMAP, AC, WP, CPL, keys. */
static void m4_rights_follow_the_mode_without_flush(void **state)
{
    struct machine *m = *state;
    struct ntmm_cpu *c = &m->cpu;
    uint8_t byte;
    map(m, VA, 1, DATA | P | U | KEY(1));
    set_cr4(m, PGE | NTMM_CR4_SMAP | NTMM_CR4_PKE);
    for (unsigned round = 0; round < 3; round++) {
        ntmm_cpu_set_privilege(c, 3, false);
        assert_int_equal(ntmm_cpu_read8(c, VA, &byte), NTMM_CPU_OK);
        assert_int_equal(ntmm_cpu_fetch8(c, VA, &byte), NTMM_CPU_OK);
        assert_int_equal(ntmm_cpu_write8(c, VA, 1), NTMM_CPU_FAULT);
        assert_int_equal(ntmm_cpu_read8(c, VA, &byte), NTMM_CPU_OK);
        ntmm_cpu_set_privilege(c, 0, false);
        assert_page_fault(m, ntmm_cpu_read8(c, VA, &byte), 1, VA);
        ntmm_cpu_set_privilege(c, 0, true);
        assert_int_equal(ntmm_cpu_read8(c, VA, &byte), NTMM_CPU_OK);
        assert_page_fault(m, ntmm_cpu_write8(c, VA, 1), 3, VA);
        assert_int_equal(ntmm_cpu_set_cr0(c, NTMM_CR0_PE | NTMM_CR0_PG), NTMM_CPU_OK);
        assert_int_equal(ntmm_cpu_write8(c, VA, 1), NTMM_CPU_OK);
        assert_int_equal(ntmm_cpu_write8(c, VA, 2), NTMM_CPU_OK);
        assert_int_equal(ntmm_cpu_set_cr0(c, NTMM_CR0_PE | NTMM_CR0_PG | NTMM_CR0_WP), NTMM_CPU_OK);
        assert_page_fault(m, ntmm_cpu_write8(c, VA, 3), 3, VA);
        assert_int_equal(ntmm_cpu_read8(c, VA, &byte), NTMM_CPU_OK);
        ntmm_cpu_set_keys(c, 1u << 2, 0);
        assert_page_fault(m, ntmm_cpu_read8(c, VA, &byte), 0x21, VA);
        ntmm_cpu_set_keys(c, 0, 0);
        assert_int_equal(ntmm_cpu_read8(c, VA, &byte), NTMM_CPU_OK);
    }
}

/* Going to the kernel and back costs no walk and no slow path. */
static void m6_tags_survive_a_change_of_mode(void **state)
{
    struct machine *m = *state;
    map_value(m, VA, 0, 0, 1);
    map_value(m, VA + 4096, 1, 0, 2);
    ntmm_cpu_set_privilege(&m->cpu, 3, false);
    read_ok(m, VA);
    ntmm_cpu_set_privilege(&m->cpu, 0, false);
    read_ok(m, VA + 4096);
    uint64_t slow = m->cpu.statistics.slow_hits;
    for (unsigned i = 0; i < 10; i++) {
        ntmm_cpu_set_privilege(&m->cpu, 3, false);
        read_ok(m, VA);
        ntmm_cpu_set_privilege(&m->cpu, 0, false);
        read_ok(m, VA + 4096);
    }
    assert_int_equal(m->cpu.statistics.slow_hits, slow);
    assert_int_equal(m->cpu.statistics.misses, 2);
}

/* More modes than tags: 2,000 values of PKRU, then back to ones used before. */
static void m6_mode_tags_run_out_safely(void **state)
{
    struct machine *m = *state;
    uint64_t value;
    map_value(m, VA, 0, 0, 1);
    set_cr4(m, PGE | NTMM_CR4_PKE);
    for (unsigned round = 0; round < 2; round++)
        for (uint32_t pkru = 0; pkru < 2000; pkru++) {
            ntmm_cpu_set_keys(&m->cpu, pkru, 0);
            enum ntmm_cpu_result result = ntmm_cpu_read64(&m->cpu, VA, &value);
            assert_int_equal(result, pkru & 1 ? NTMM_CPU_FAULT : NTMM_CPU_OK);
        }
}

/* Sets of marks are used again after 252: a tag must not come alive in another mode. */
static void m6_reused_mode_tags_allow_nothing(void **state)
{
    struct machine *m = *state;
    uint64_t value;
    map_value(m, VA, 0, KEY(1), 1);
    set_cr4(m, PGE | NTMM_CR4_PKE);
    for (uint32_t others = 236; others < 270; others++) {
        ntmm_cpu_set_keys(&m->cpu, others << 16, 0);
        read_ok(m, VA);
        for (uint32_t i = 0; i < others; i++)
            ntmm_cpu_set_keys(&m->cpu, i << 4 | 1u << 2, 0); /* key 1 denied */
        assert_page_fault(m, ntmm_cpu_read64(&m->cpu, VA, &value), 0x21, VA);
    }
}

/* No mode takes an empty tag for a page: the first page of every line, in more modes than there are
 * sets of marks, with nothing mapped. */
static void m6_empty_tags_allow_nothing(void **state)
{
    struct machine *m = *state;
    set_cr4(m, PGE | NTMM_CR4_PKE);
    for (uint32_t mode = 0; mode < 300; mode++) {
        ntmm_cpu_set_keys(&m->cpu, mode << 4, 0);
        for (uint64_t va = 0; va < 4096ull * NTMM_CPU_LINES; va += 4096) {
            uint8_t byte;
            assert_int_equal(ntmm_cpu_read8(&m->cpu, va, &byte), NTMM_CPU_FAULT);
            assert_true(m->cpu.cr2 == va);
        }
    }
}

/* Every line, every mode: an address that differs in one bit is another page's. */
static void m6_every_bit_of_the_page_counts(void **state)
{
    struct machine *m = *state;
    uint64_t value;
    set_cr4(m, PGE | NTMM_CR4_PKE);
    for (uint32_t mode = 0; mode < 300; mode++) {
        uint64_t va = VA + 4096ull * (mode & 7);
        map_value(m, va, mode & 7, 0, mode);
        ntmm_cpu_set_keys(&m->cpu, mode << 4, 0);
        assert_int_equal(read_ok(m, va), mode);
        assert_int_equal(read_ok(m, va), mode);
        for (unsigned bit = 15; bit < 64; bit++) {
            enum ntmm_cpu_result result = ntmm_cpu_read64(&m->cpu, va ^ 1ull << bit, &value);
            assert_int_equal(result, bit < 47 ? NTMM_CPU_FAULT : NTMM_CPU_GENERAL_PROTECTION);
        }
    }
}

/* One line read in one mode and written in another: each mode finds the same bytes, and only what
 * it may do is done inline. */
static void m6_a_line_changes_modes(void **state)
{
    struct machine *m = *state;
    uint64_t value = 0;
    map_value(m, VA, 0, A | D, 1);
    for (uint64_t i = 1; i < 20; i++) {
        ntmm_cpu_set_privilege(&m->cpu, 3, false);
        assert_int_equal(read_ok(m, VA), i);
        assert_int_equal(ntmm_cpu_fetch64(&m->cpu, VA, &value), NTMM_CPU_OK);
        assert_int_equal(value, i);
        ntmm_cpu_set_privilege(&m->cpu, 0, i & 1);
        write_ok(m, VA, i + 1);
        assert_int_equal(get64((le64 *)(void *)at(m, DATA)), i + 1);
    }
    map(m, VA, 1, DATA | P | U | A | D);
    ntmm_cpu_invlpg(&m->cpu, VA);
    assert_int_equal(ntmm_cpu_set_cr0(&m->cpu, NTMM_CR0_PG | NTMM_CR0_PE), NTMM_CPU_OK);
    write_ok(m, VA, 30); /* WP = 0 */
    ntmm_cpu_set_privilege(&m->cpu, 3, false);
    assert_int_equal(read_ok(m, VA), 30);
    assert_page_fault(m, ntmm_cpu_write64(&m->cpu, VA, 31), 7, VA);
}

/* A probe answers for what the inline path would do, any size within the page, and does nothing. */
static void m6_probes_tell_what_hits(void **state)
{
    struct machine *m = *state;
    const struct ntmm_cpu *c = &m->cpu;
    const uint8_t *from = NULL;
    uint8_t *to = NULL;
    map_value(m, VA, 0, 0, 1);
    map_value(m, VA + 4096, 1, 0, 2);
    assert_false(ntmm_cpu_probe_read(c, VA, 1, &from));
    read_ok(m, VA);
    read_ok(m, VA + 4096);
    struct ntmm_cpu_statistics before = c->statistics;
    assert_true(ntmm_cpu_probe_read(c, VA + 3, 16, &from));
    assert_ptr_equal(from, at(m, DATA + 3));
    assert_true(ntmm_cpu_probe_read(c, VA, 4096, &from));
    assert_ptr_equal(from, at(m, DATA));
    assert_true(ntmm_cpu_probe_read(c, VA + 4080, 16, &from));
    assert_ptr_equal(from, at(m, DATA + 4080));
    assert_false(ntmm_cpu_probe_read(c, VA + 4081, 16, &from)); /* though the next page hits too */
    assert_ptr_equal(from, at(m, DATA + 4080));
    assert_false(ntmm_cpu_probe_write(c, VA, 1, &to)); /* clean */
    assert_false(ntmm_cpu_probe_fetch(c, VA, 1, &from));
    assert_null(to);
    assert_memory_equal(&before, &c->statistics, sizeof before);
    write_ok(m, VA, 5);
    uint64_t value;
    assert_int_equal(ntmm_cpu_fetch64(&m->cpu, VA, &value), NTMM_CPU_OK);
    assert_true(ntmm_cpu_probe_write(c, VA + 1, 2, &to));
    assert_ptr_equal(to, at(m, DATA + 1));
    assert_true(ntmm_cpu_probe_fetch(c, VA + 4095, 1, &from));
    assert_ptr_equal(from, at(m, DATA + 4095));
    ntmm_cpu_set_privilege(&m->cpu, 3, false);
    assert_false(ntmm_cpu_probe_read(c, VA, 1, &from));
    ntmm_cpu_set_privilege(&m->cpu, 0, false);
    assert_true(ntmm_cpu_probe_read(c, VA, 1, &from));
    ntmm_cpu_invlpg(&m->cpu, VA);
    assert_false(ntmm_cpu_probe_read(c, VA, 1, &from));
}

/* Two pages of one line: tags of the one do not outlive its eviction. */
static void m6_eviction_takes_all_tags(void **state)
{
    struct machine *m = *state;
    const uint64_t other = VA + 4096ull * NTMM_CPU_LINES;
    map_value(m, VA, 0, 0, 1);
    map_value(m, other, 1, 0, 2);
    uint64_t value;
    assert_int_equal(ntmm_cpu_fetch64(&m->cpu, VA, &value), NTMM_CPU_OK);
    write_ok(m, VA, 1);
    read_ok(m, other);
    write_ok(m, VA, 3);
    assert_int_equal(read_ok(m, other), 2);
    assert_int_equal(ntmm_cpu_fetch64(&m->cpu, VA, &value), NTMM_CPU_OK);
    read_ok(m, other);
    assert_int_equal(ntmm_cpu_fetch64(&m->cpu, VA, &value), NTMM_CPU_OK);
    assert_int_equal(value, 3);
}

static void m6_implicit_accesses_open_nothing(void **state)
{
    struct machine *m = *state;
    uint64_t value = 0;
    map(m, VA, 1, DATA | P | W | A | D);
    ntmm_cpu_set_privilege(&m->cpu, 3, false);
    assert_int_equal(ntmm_cpu_store_implicit(&m->cpu, VA, &value, 8), NTMM_CPU_OK);
    assert_page_fault(m, ntmm_cpu_write64(&m->cpu, VA, 1), 7, VA);
    assert_int_equal(ntmm_cpu_load_implicit(&m->cpu, VA, &value, 8), NTMM_CPU_OK);
    assert_page_fault(m, ntmm_cpu_read64(&m->cpu, VA, &value), 5, VA);
}

static void setting_smep_flushes_the_current_pcid(void **state)
{
    struct machine *m = *state;
    map_value(m, VA, 0, 0, 1);
    map_value(m, VA + 4096, 1, G, 2);
    read_ok(m, VA);
    read_ok(m, VA + 4096);
    set_cr4(m, PGE | NTMM_CR4_SMAP);
    ntmm_cpu_set_privilege(&m->cpu, 0, true);
    assert_true(is_cached(m, VA));
    set_cr4(m, PGE | NTMM_CR4_SMEP);
    assert_false(is_cached(m, VA));
    assert_false(is_cached(m, VA + 4096));
    set_cr4(m, PGE);
    assert_true(is_cached(m, VA));
}

static void inline_path_needs_no_slow_path(void **state)
{
    struct machine *m = *state;
    map_value(m, VA, 0, 0, 0x1122334455667788);
    uint8_t b = 0;
    uint16_t h = 0;
    uint32_t w = 0;
    uint64_t q = 0;
    write_ok(m, VA, 0x1122334455667788);
    assert_int_equal(ntmm_cpu_fetch64(&m->cpu, VA, &q), NTMM_CPU_OK);
    struct ntmm_cpu_statistics before = m->cpu.statistics;
    assert_int_equal(ntmm_cpu_read8(&m->cpu, VA + 7, &b) | ntmm_cpu_read16(&m->cpu, VA + 6, &h) |
                         ntmm_cpu_read32(&m->cpu, VA + 4, &w) | ntmm_cpu_read64(&m->cpu, VA, &q),
                     NTMM_CPU_OK);
    assert_true(b == 0x11 && h == 0x1122 && w == 0x11223344 && q == 0x1122334455667788);
    assert_int_equal(ntmm_cpu_fetch8(&m->cpu, VA + 1, &b) | ntmm_cpu_fetch16(&m->cpu, VA + 2, &h) |
                         ntmm_cpu_fetch32(&m->cpu, VA, &w),
                     NTMM_CPU_OK);
    assert_true(b == 0x77 && h == 0x5566 && w == 0x55667788);
    assert_int_equal(ntmm_cpu_write8(&m->cpu, VA + 8, 1) | ntmm_cpu_write16(&m->cpu, VA + 10, 2) |
                         ntmm_cpu_write32(&m->cpu, VA + 12, 3),
                     NTMM_CPU_OK);
    assert_memory_equal(at(m, DATA), "\x88\x77\x66\x55\x44\x33\x22\x11\x01\0\x02\0\x03\0\0\0", 16);
    assert_memory_equal(&before, &m->cpu.statistics, sizeof before);
}

/* A random run on few pages, with random edits of the tables each followed by INVLPG, equals a
 * second processor that forgets everything before every access. */
static void m6_cached_equals_uncached(void **state)
{
    struct machine *m = *state;
    struct ntmm_cpu *cold = second_cpu(m);
    uint64_t x = 88172645463325252ull;
    for (unsigned i = 0; i < 200000; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        uint64_t va = VA + (x >> 8 & 7) * 4096 + (x >> 16 & 0xFFF);
        if ((x & 15) == 0) {
            map(m, va, 1, (DATA + (x >> 30 & 7) * 4096) | (x >> 40 & 7) | (x >> 43 & 1) << 63);
            ntmm_cpu_invlpg(&m->cpu, va);
        }
        if ((x & 0x1F0) == 0) {
            ntmm_cpu_set_privilege(&m->cpu, (uint32_t)(x >> 50) & 3, x >> 52 & 1);
            ntmm_cpu_set_privilege(cold, (uint32_t)(x >> 50) & 3, x >> 52 & 1);
        }
        assert_int_equal(ntmm_cpu_invpcid(cold, 2, 0, 0), NTMM_CPU_OK);
        uint64_t hot_value = x, cold_value = x;
        enum ntmm_cpu_result hot_result, cold_result;
        if (x >> 60 & 1) {
            hot_result = ntmm_cpu_write64(&m->cpu, va, x);
            cold_result = ntmm_cpu_store(cold, va, &x, 8);
        } else {
            hot_result = ntmm_cpu_read64(&m->cpu, va, &hot_value);
            cold_result = ntmm_cpu_read64(cold, va, &cold_value);
        }
        assert_int_equal(hot_result, cold_result);
        assert_true(hot_value == cold_value);
        if (hot_result == NTMM_CPU_FAULT)
            assert_memory_equal(&m->cpu.fault, &cold->fault, sizeof cold->fault);
    }
    free(cold);
}

#define machine_test(f) cmocka_unit_test_setup_teardown(f, machine_setup, machine_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        machine_test(accessed_and_dirty_at_every_level),
        machine_test(m3_write_through_clean_translation_sets_dirty),
        machine_test(m3_dirty_is_for_writes_that_happen),
        machine_test(m3_dirtying_walk_sees_the_tables),
        machine_test(clearing_bits_without_invalidation_is_not_noticed),
        machine_test(m2_not_present_is_not_cached),
        machine_test(a_fault_drops_the_stale_translation),
        machine_test(invlpg_drops_one_page_and_global_ones),
        machine_test(mov_cr3_without_pcids_keeps_global_ones),
        machine_test(pcids_keep_translations_apart),
        machine_test(invpcid_forms),
        machine_test(refused_register_values),
        machine_test(large_pages_are_cached_and_dropped_whole),
        machine_test(as_many_large_pages_are_cached_as_there_are_lines),
        machine_test(large_page_partly_outside_memory),
        machine_test(m4_rights_follow_the_mode_without_flush),
        machine_test(m6_tags_survive_a_change_of_mode),
        machine_test(m6_mode_tags_run_out_safely),
        machine_test(m6_reused_mode_tags_allow_nothing),
        machine_test(m6_empty_tags_allow_nothing),
        machine_test(m6_every_bit_of_the_page_counts),
        machine_test(m6_a_line_changes_modes),
        machine_test(m6_probes_tell_what_hits),
        machine_test(m6_eviction_takes_all_tags),
        machine_test(m6_implicit_accesses_open_nothing),
        machine_test(setting_smep_flushes_the_current_pcid),
        machine_test(inline_path_needs_no_slow_path),
        machine_test(m6_cached_equals_uncached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
