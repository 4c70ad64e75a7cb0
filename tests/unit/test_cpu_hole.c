/*
 * A hole in RAM: table entries are whatever somebody wrote, so a frame that they name may lie in
 * the hole, whose bytes are inaccessible to the host. A machine of 4 MiB with its second MiB
 * missing, and page tables made by hand.
 *
 *   BASE                +1 MiB = HOLE       +2 MiB = BEHIND                        +5 MiB
 *   | root 3 2 1 DATA.. | (inaccessible)    | RAM again                            |
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <ntmm/emulated.h>
#include <ntmm/status.h>

#include "base/le.h"

#define MIB (UINT64_C(1) << 20)
#define BASE 0x40000000ull
#define HOLE (BASE + MIB)
#define BEHIND (HOLE + MIB)
#define END (BASE + 5 * MIB)
#define DATA (BASE + 0x8000)

/* Entry bits, by hand: present, writable, user; accessed, dirty; large page. */
#define PWU 7ull
#define A 0x20ull
#define D 0x40ull
#define PS 0x80ull

#define VA 0x1000ull /* entry 1 of the leaf table, entry 0 of all above it */

struct hollow {
    struct ntmm_emulated *emu;
    struct ntmm_cpu *cpu;
    uint8_t *arena;
};

static le64 *word_at(const struct hollow *h, uint64_t pa)
{
    return (le64 *)(void *)(h->arena + (pa - BASE));
}

/* The entry at a level that VA and its neighbours use; the next page's at level 1 follows it. */
static le64 *entry(const struct hollow *h, unsigned level)
{
    return word_at(h, BASE + (4 - level) * 0x1000) + (level == 1 ? 1 : 0);
}

static void map_ordinarily(const struct hollow *h)
{
    for (unsigned level = 4; level > 1; level--)
        set64(entry(h, level), (BASE + (5 - level) * 0x1000) | PWU);
    set64(&entry(h, 1)[0], DATA | PWU);
    set64(&entry(h, 1)[1], (DATA + 0x1000) | PWU);
    assert_int_equal(ntmm_cpu_set_cr3(h->cpu, BASE), NTMM_CPU_OK);
    assert_int_equal(ntmm_cpu_invpcid(h->cpu, 2, 0, 0), NTMM_CPU_OK);
}

static int make_hollow(void **state)
{
    const struct ntmm_emulated_config config = {
        .size = sizeof config,
        .version = NTMM_EMULATED_CONFIG_VERSION,
        .ram_bytes = 4 * MIB,
        .base_pa = BASE,
        .hole_base_pa = HOLE,
        .hole_bytes = MIB,
    };
    struct hollow *h = calloc(1, sizeof *h);
    assert_int_equal(ntmm_emulated_create(&config, &h->emu), NTMM_STATUS_SUCCESS);
    h->cpu = ntmm_emulated_cpu(h->emu, 0);
    h->arena = ntmm_emulated_arena(h->emu, NULL);
    map_ordinarily(h);
    *state = h;
    return 0;
}

static int end_hollow(void **state)
{
    struct hollow *h = *state;
    ntmm_emulated_destroy(h->emu, NULL);
    free(h);
    return 0;
}

static bool increment(void *bytes, uint32_t size, void *context)
{
    (void)size;
    (void)context;
    ++*(uint8_t *)bytes;
    return true;
}

enum kind { LOAD, STORE, FETCH, UPDATE, KINDS };

static enum ntmm_cpu_result access_word(const struct hollow *h, enum kind kind, uint64_t va)
{
    uint64_t word = 0;
    switch (kind) {
    case LOAD:
        return ntmm_cpu_read64(h->cpu, va, &word);
    case STORE:
        return ntmm_cpu_write64(h->cpu, va, word);
    case FETCH:
        return ntmm_cpu_fetch64(h->cpu, va, &word);
    case UPDATE:
        return ntmm_cpu_update(h->cpu, va, 8, increment, NULL);
    case KINDS:
        break;
    }
    return NTMM_CPU_INVALID_SIZE;
}

static void expect_bus_error(const struct hollow *h, enum kind kind, uint64_t va, uint64_t pa)
{
    for (unsigned again = 0; again < 2; again++) {
        assert_int_equal(access_word(h, kind, va), NTMM_CPU_BUS_ERROR);
        assert_int_equal(h->cpu->fault.vector, 18);
        assert_true(h->cpu->fault.address == pa);
    }
}

static void a_page_in_the_hole_is_a_bus_error(void **state)
{
    const struct hollow *h = *state;
    for (enum kind kind = LOAD; kind < KINDS; kind++) {
        set64(entry(h, 1), HOLE | PWU);
        expect_bus_error(h, kind, VA + 8, HOLE + 8);
        set64(entry(h, 1), (BEHIND - 0x1000) | PWU);
        expect_bus_error(h, kind, VA + 0xFF8, BEHIND - 8);
        assert_int_equal(get64(entry(h, 1)) & (A | D), 0);
        assert_int_equal(get64(entry(h, 4)) & A, 0);
    }
}

static void the_pages_beside_the_hole_are_memory(void **state)
{
    const struct hollow *h = *state;
    const uint64_t pages[] = {BASE + 0x5000, HOLE - 0x1000, BEHIND, END - 0x1000};
    for (unsigned i = 0; i < sizeof pages / sizeof *pages; i++) {
        uint64_t value = 0;
        set64(entry(h, 1), pages[i] | PWU);
        ntmm_cpu_invlpg(h->cpu, VA);
        assert_int_equal(ntmm_cpu_write64(h->cpu, VA + 0xFF8, i + 7), NTMM_CPU_OK);
        assert_int_equal(get64(word_at(h, pages[i] + 0xFF8)), i + 7);
        assert_int_equal(ntmm_cpu_read64(h->cpu, VA + 0xFF8, &value), NTMM_CPU_OK);
        assert_int_equal(value, i + 7);
        assert_int_equal(get64(entry(h, 1)) & (A | D), A | D);
    }
    set64(entry(h, 1), END | PWU);
    ntmm_cpu_invlpg(h->cpu, VA);
    expect_bus_error(h, LOAD, VA, END);
    set64(entry(h, 1), (BASE - 0x1000) | PWU);
    expect_bus_error(h, LOAD, VA, BASE - 0x1000);
}

/* The error tells the table's address; nothing in memory was marked. */
static void a_table_in_the_hole_is_a_bus_error(void **state)
{
    const struct hollow *h = *state;
    for (enum kind kind = LOAD; kind < KINDS; kind++) {
        for (unsigned level = 2; level <= 4; level++) {
            map_ordinarily(h);
            set64(entry(h, level), (HOLE + 0x3000) | PWU);
            expect_bus_error(h, kind, VA, HOLE + 0x3000);
            for (unsigned above = level; above <= 4; above++)
                assert_int_equal(get64(entry(h, above)) & A, 0);
        }
    }
    map_ordinarily(h);
    assert_int_equal(ntmm_cpu_set_cr3(h->cpu, HOLE), NTMM_CPU_OK);
    expect_bus_error(h, STORE, VA, HOLE);
}

static void a_table_behind_the_hole_is_walked_and_marked(void **state)
{
    const struct hollow *h = *state;
    uint64_t value = 0;
    set64(entry(h, 2), BEHIND | PWU);
    set64(word_at(h, BEHIND + 8), DATA | PWU);
    set64(word_at(h, DATA), 11);
    assert_int_equal(ntmm_cpu_read64(h->cpu, VA, &value), NTMM_CPU_OK);
    assert_int_equal(value, 11);
    assert_int_equal(get64(word_at(h, BEHIND + 8)) & (A | D), A);
    assert_int_equal(ntmm_cpu_write64(h->cpu, VA, 12), NTMM_CPU_OK);
    assert_int_equal(get64(word_at(h, BEHIND + 8)) & (A | D), A | D);
}

/* 2 MiB of which the upper half is the hole, cached whole by its lower half. */
static void a_large_page_may_hold_the_hole(void **state)
{
    const struct hollow *h = *state;
    uint64_t value = 0;
    set64(entry(h, 2), BASE | PWU | PS);
    set64(word_at(h, DATA), 21);
    assert_int_equal(ntmm_cpu_read64(h->cpu, DATA - BASE, &value), NTMM_CPU_OK);
    assert_int_equal(value, 21);
    for (enum kind kind = LOAD; kind < KINDS; kind++) {
        expect_bus_error(h, kind, HOLE - BASE, HOLE);
        expect_bus_error(h, kind, BEHIND - BASE - 8, BEHIND - 8);
    }
    assert_int_equal(ntmm_cpu_invpcid(h->cpu, 2, 0, 0), NTMM_CPU_OK);
    for (enum kind kind = LOAD; kind < KINDS; kind++)
        expect_bus_error(h, kind, HOLE - BASE, HOLE);
    assert_int_equal(ntmm_cpu_read64(h->cpu, HOLE - BASE - 8, &value), NTMM_CPU_OK);
}

/* A store over two pages, one of them in the hole, writes neither. */
static void a_crossing_store_writes_all_or_nothing(void **state)
{
    const struct hollow *h = *state;
    const uint64_t ones = ~0ull;
    const uint64_t crossing = VA + 0x1000 - 4;
    for (unsigned missing = 0; missing < 2; missing++) {
        map_ordinarily(h);
        set64(&entry(h, 1)[missing], HOLE | PWU);
        assert_int_equal(ntmm_cpu_store(h->cpu, crossing, &ones, 8), NTMM_CPU_BUS_ERROR);
        assert_true(h->cpu->fault.address == (missing ? HOLE : HOLE + 0xFFC));
        assert_int_equal(get64(word_at(h, DATA + 0xFF8)) | get64(word_at(h, DATA + 0x1000)), 0);
        assert_int_equal((get64(&entry(h, 1)[0]) | get64(&entry(h, 1)[1])) & D, 0);
    }
}

static void the_hole_must_lie_within_memory(void **state)
{
    (void)state;
    static struct ntmm_cpu cpu;
    uint8_t *host = aligned_alloc(4096, 16 * 4096);
    const struct ntmm_cpu_memory sound = {.host = host, .base_pa = BASE, .size = 16 * 4096};
    const struct {
        uint64_t base, size;
        enum ntmm_cpu_result result;
    } holes[] = {
        {BASE + 4096, 4096, NTMM_CPU_OK},
        {BASE, 16 * 4096, NTMM_CPU_OK},
        {BASE + 15 * 4096, 4096, NTMM_CPU_OK},
        {1, 0, NTMM_CPU_OK}, /* none */
        {BASE + 15 * 4096, 2 * 4096, NTMM_CPU_GENERAL_PROTECTION},
        {BASE + 17 * 4096, 4096, NTMM_CPU_GENERAL_PROTECTION},
        {BASE - 4096, 2 * 4096, NTMM_CPU_GENERAL_PROTECTION},
        {BASE + 4096, ~0xFFFull, NTMM_CPU_GENERAL_PROTECTION},
        {BASE + 1, 4096, NTMM_CPU_GENERAL_PROTECTION},
        {BASE + 4096, 1, NTMM_CPU_GENERAL_PROTECTION},
    };
    for (unsigned i = 0; i < sizeof holes / sizeof *holes; i++) {
        struct ntmm_cpu_memory memory = sound;
        memory.hole_base_pa = holes[i].base;
        memory.hole_size = holes[i].size;
        assert_int_equal(ntmm_cpu_init(&cpu, &memory, NULL), holes[i].result);
    }
    free(host);
}

#define hollow_test(f) cmocka_unit_test_setup_teardown(f, make_hollow, end_hollow)

int main(void)
{
    const struct CMUnitTest tests[] = {
        hollow_test(a_page_in_the_hole_is_a_bus_error),
        hollow_test(the_pages_beside_the_hole_are_memory),
        hollow_test(a_table_in_the_hole_is_a_bus_error),
        hollow_test(a_table_behind_the_hole_is_walked_and_marked),
        hollow_test(a_large_page_may_hold_the_hole),
        hollow_test(a_crossing_store_writes_all_or_nothing),
        cmocka_unit_test(the_hole_must_lie_within_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
