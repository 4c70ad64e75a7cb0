/*
 * Rights, error codes and CR2 of the emulated processor, against a table worked out by hand from
 * the manuals' rules: modes x page kinds x accesses, keys, reserved bits, canonical addresses,
 * LA57.
 */
#include "test_cpu_machine.h"

enum access { LOAD, STORE, FETCH, LOAD_IMPLICIT, STORE_IMPLICIT };

#define OK (-1)
#define WP NTMM_CR0_WP
#define SMEP NTMM_CR4_SMEP
#define SMAP NTMM_CR4_SMAP
#define PKE NTMM_CR4_PKE
#define PKS NTMM_CR4_PKS

static enum ntmm_cpu_result access_byte(struct machine *m, enum access access, uint64_t va)
{
    uint8_t byte = 0;
    switch (access) {
    case LOAD:
        return ntmm_cpu_load(&m->cpu, va, &byte, 1);
    case STORE:
        return ntmm_cpu_store(&m->cpu, va, &byte, 1);
    case FETCH:
        return ntmm_cpu_fetch(&m->cpu, va, &byte, 1);
    case LOAD_IMPLICIT:
        return ntmm_cpu_load_implicit(&m->cpu, va, &byte, 1);
    case STORE_IMPLICIT:
        return ntmm_cpu_store_implicit(&m->cpu, va, &byte, 1);
    }
    return NTMM_CPU_INVALID_SIZE;
}

struct example {
    enum access access;
    uint32_t cpl;
    bool ac;
    uint64_t cr0; /* WP or 0 */
    uint64_t cr4;
    uint64_t leaf;
    int code; /* of the page fault, or OK */
    uint32_t pkru;
    uint32_t pkrs;
};

#define NXE_OFF (1ull << 40) /* in cr4: not a CR4 bit, means EFER.NXE = 0 */

static const struct example examples[] = {
    /* user accesses to a user page; WP does not matter to them */
    {LOAD, 3, 0, 0, 0, P | U, OK, 0, 0},
    {STORE, 3, 0, 0, 0, P | U, 7, 0, 0},
    {STORE, 3, 0, WP, 0, P | U, 7, 0, 0},
    {STORE, 3, 0, WP, 0, P | U | W, OK, 0, 0},
    {FETCH, 3, 0, WP, 0, P | U, OK, 0, 0},
    {FETCH, 3, 0, WP, 0, P | U | NX, 0x15, 0, 0},
    {FETCH, 3, 0, WP, SMEP, P | U, OK, 0, 0},
    {LOAD, 3, 0, WP, SMAP | SMEP, P | U, OK, 0, 0},
    /* user accesses to a supervisor page */
    {LOAD, 3, 0, WP, 0, P | W, 5, 0, 0},
    {STORE, 3, 0, WP, 0, P | W, 7, 0, 0},
    {FETCH, 3, 0, WP, 0, P | W, 0x15, 0, 0},
    {FETCH, 3, 0, WP, NXE_OFF, P | W, 5, 0, 0},
    {FETCH, 3, 0, WP, NXE_OFF | SMEP, P | W, 0x15, 0, 0},
    /* supervisor accesses to a supervisor page */
    {LOAD, 0, 0, WP, SMAP | SMEP, P, OK, 0, 0},
    {STORE, 0, 0, WP, 0, P, 3, 0, 0},
    {STORE, 0, 0, 0, 0, P, OK, 0, 0},
    {STORE, 2, 0, WP, SMAP, P | W, OK, 0, 0},
    {FETCH, 0, 0, WP, SMEP, P, OK, 0, 0},
    {FETCH, 0, 0, WP, 0, P | NX, 0x11, 0, 0},
    /* supervisor accesses to a user page: SMEP, SMAP, AC */
    {LOAD, 0, 0, WP, 0, P | U, OK, 0, 0},
    {LOAD, 0, 0, WP, SMAP, P | U, 1, 0, 0},
    {LOAD, 0, 1, WP, SMAP, P | U, OK, 0, 0},
    {STORE, 0, 0, WP, SMAP, P | U | W, 3, 0, 0},
    {STORE, 0, 0, 0, SMAP, P | U, 3, 0, 0},
    {STORE, 0, 1, 0, SMAP, P | U, OK, 0, 0},
    {STORE, 0, 1, WP, SMAP, P | U, 3, 0, 0},
    {FETCH, 0, 0, WP, 0, P | U, OK, 0, 0},
    {FETCH, 0, 0, WP, SMEP, P | U, 0x11, 0, 0},
    {FETCH, 0, 1, WP, SMEP, P | U, 0x11, 0, 0},
    {FETCH, 0, 0, WP, SMEP | NXE_OFF, P | U, 0x11, 0, 0},
    {FETCH, 1, 0, WP, SMAP, P | U, OK, 0, 0},
    /* implicit accesses are a supervisor's at CPL 3 too, and AC does not help them */
    {LOAD_IMPLICIT, 3, 0, WP, 0, P, OK, 0, 0},
    {STORE_IMPLICIT, 3, 0, WP, 0, P, 3, 0, 0},
    {LOAD_IMPLICIT, 3, 1, WP, SMAP, P | U, 1, 0, 0},
    {LOAD_IMPLICIT, 0, 1, WP, SMAP, P | U, 1, 0, 0},
    {STORE_IMPLICIT, 3, 0, 0, 0, P | U, OK, 0, 0},
    /* not present */
    {LOAD, 3, 0, WP, 0, U | W, 4, 0, 0},
    {STORE, 3, 0, WP, 0, U | W, 6, 0, 0},
    {FETCH, 3, 0, WP, 0, U | W, 0x14, 0, 0},
    {FETCH, 3, 0, WP, NXE_OFF, U | W, 4, 0, 0},
    {LOAD, 0, 0, WP, 0, 0, 0, 0, 0},
    {STORE, 0, 0, WP, 0, NX | 0x000F000000000000, 2, 0, 0},
    {STORE_IMPLICIT, 3, 0, WP, 0, 0, 2, 0, 0},
    /* reserved: address bits at or above 46; NX without NXE */
    {LOAD, 3, 0, WP, 0, P | U | W | 1ull << 46, 0xD, 0, 0},
    {STORE, 3, 0, WP, 0, P | U | W | 1ull << 51, 0xF, 0, 0},
    {FETCH, 3, 0, WP, 0, P | U | W | 1ull << 46, 0x1D, 0, 0},
    {FETCH, 0, 0, WP, SMEP, P | U | W | 1ull << 46, 0x19, 0, 0},
    {LOAD, 0, 0, WP, NXE_OFF, P | NX, 9, 0, 0},
    {STORE, 0, 0, WP, NXE_OFF, P | NX, 0xB, 0, 0},
    {LOAD, 3, 0, WP, 0, P | U | 0x07F0000000000E00, OK, 0, 0}, /* ignored bits */
    {LOAD, 3, 0, WP, 0, P | U | KEY(15), OK, ~0u, ~0u},        /* keys off */
    /* keys of user pages: bit 2k denies data, 2k+1 writes */
    {LOAD, 3, 0, WP, PKE, P | U | W | KEY(5), 0x25, 1u << 10, 0},
    {LOAD, 3, 0, WP, PKE, P | U | W | KEY(5), OK, ~(3u << 10), 0},
    {STORE, 3, 0, WP, PKE, P | U | W | KEY(5), 0x27, 1u << 10, 0},
    {STORE, 3, 0, WP, PKE, P | U | KEY(5), 0x27, 1u << 10, 0},
    {STORE, 3, 0, WP, PKE, P | U | KEY(5), 7, 0, 0},
    {LOAD, 3, 0, WP, PKE, P | U | W | KEY(5), OK, 2u << 10, 0},
    {STORE, 3, 0, WP, PKE, P | U | W | KEY(5), 0x27, 2u << 10, 0},
    {STORE, 3, 0, 0, PKE, P | U | W | KEY(5), 0x27, 2u << 10, 0},
    {STORE, 0, 0, 0, PKE, P | U | W | KEY(5), OK, 2u << 10, 0},
    {STORE, 0, 0, WP, PKE, P | U | W | KEY(5), 0x23, 2u << 10, 0},
    {LOAD, 0, 0, 0, PKE, P | U | W | KEY(5), 0x21, 1u << 10, 0},
    {FETCH, 3, 0, WP, PKE, P | U | W | KEY(15), OK, 3u << 30, 0},
    {LOAD, 0, 0, WP, PKE, P | W | KEY(5), OK, ~0u, ~0u},
    {LOAD_IMPLICIT, 3, 0, WP, PKE, P | U | KEY(1), 0x21, 4, 0},
    /* keys of supervisor pages */
    {LOAD, 0, 0, WP, PKS, P | W | KEY(3), 0x21, 0, 1u << 6},
    {STORE, 0, 0, WP, PKS, P | W | KEY(3), 0x23, 0, 2u << 6},
    {STORE, 0, 0, 0, PKS, P | W | KEY(3), OK, 0, 2u << 6},
    {LOAD, 0, 0, WP, PKS, P | W | KEY(3), OK, ~0u, 2u << 6},
    {LOAD, 3, 0, WP, PKS, P | U | W | KEY(3), OK, ~0u, ~0u},
    {FETCH, 0, 0, WP, PKS, P | W | KEY(3), OK, 0, ~0u},
};

static void set_example_mode(struct machine *m, const struct example *e)
{
    uint64_t nxe = e->cr4 & NXE_OFF ? 0 : NTMM_EFER_NXE;
    set_cr4(m, e->cr4 & ~NXE_OFF);
    assert_int_equal(ntmm_cpu_set_cr0(&m->cpu, NTMM_CR0_PG | NTMM_CR0_PE | e->cr0), NTMM_CPU_OK);
    assert_int_equal(ntmm_cpu_set_efer(&m->cpu, NTMM_EFER_LME | NTMM_EFER_LMA | nxe), NTMM_CPU_OK);
    ntmm_cpu_set_privilege(&m->cpu, e->cpl, e->ac);
    ntmm_cpu_set_keys(&m->cpu, e->pkru, e->pkrs);
}

static void expect(struct machine *m, const struct example *e, unsigned number)
{
    enum ntmm_cpu_result result = access_byte(m, e->access, VA + 0x123);
    int code = result == NTMM_CPU_FAULT ? (int)m->cpu.fault.error_code : OK;
    if (code != e->code)
        fail_msg("example %u: %d, not %d", number, code, e->code);
    if (result == NTMM_CPU_FAULT)
        assert_page_fault(m, result, (uint32_t)e->code, VA + 0x123);
    else
        assert_int_equal(result, NTMM_CPU_OK);
}

/* At level 1, again with the translation cached if it can be, and in a 2 MiB page. */
static void rights_examples(void **state)
{
    struct machine *m = *state;
    for (unsigned i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        const struct example *e = &examples[i];
        ntmm_cpu_invlpg(&m->cpu, VA);
        map(m, VA, 1, e->leaf | DATA);
        set_example_mode(m, e);
        expect(m, e, i);
        expect(m, e, i);
    }
}

static void rights_examples_large(void **state)
{
    struct machine *m = *state;
    for (unsigned i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        const struct example *e = &examples[i];
        ntmm_cpu_invlpg(&m->cpu, VA);
        map(m, VA, 2, e->leaf | PS | DATA);
        set_example_mode(m, e);
        expect(m, e, i);
        expect(m, e, i);
    }
}

/* U, W and NX of an upper level count like the leaf's. */
static void rights_combine_over_levels(void **state)
{
    struct machine *m = *state;
    map(m, VA, 1, DATA | P | W | U);
    for (unsigned level = 2; level <= 4; level++) {
        le64 *e = entry_of(m, VA, level);
        uint64_t whole = get64(e);
        ntmm_cpu_set_privilege(&m->cpu, 3, false);
        set64(e, whole & ~U);
        assert_page_fault(m, access_byte(m, LOAD, VA), 5, VA);
        set64(e, whole & ~W);
        assert_page_fault(m, access_byte(m, STORE, VA), 7, VA);
        set64(e, whole | NX);
        assert_page_fault(m, access_byte(m, FETCH, VA), 0x15, VA);
        set64(e, whole);
        assert_int_equal(access_byte(m, STORE, VA), NTMM_CPU_OK);
        ntmm_cpu_invlpg(&m->cpu, VA);
    }
}

/* Rights do not stop the walk: not present below wins. */
static void not_present_below_denied_reports_not_present(void **state)
{
    struct machine *m = *state;
    map(m, VA, 1, 0);
    le64 *pde = entry_of(m, VA, 2);
    set64(pde, get64(pde) & ~(U | W));
    ntmm_cpu_set_privilege(&m->cpu, 3, false);
    assert_page_fault(m, access_byte(m, LOAD, VA), 4, VA);
    assert_page_fault(m, access_byte(m, STORE, VA), 6, VA);
    assert_page_fault(m, access_byte(m, FETCH, VA), 0x14, VA);
    set64(pde, get64(pde) | 1ull << 46); /* but a reserved bit above does stop it */
    assert_page_fault(m, access_byte(m, LOAD, VA), 0xD, VA);
}

static void reserved_bits_by_level(void **state)
{
    struct machine *m = *state;
    map(m, VA, 2, DATA | P | W | U | PS | 1ull << 12); /* PAT is not reserved */
    assert_int_equal(access_byte(m, LOAD, VA), NTMM_CPU_OK);
    for (unsigned bit = 13; bit <= 20; bit++) {
        ntmm_cpu_invlpg(&m->cpu, VA);
        map(m, VA, 2, DATA | P | W | U | PS | 1ull << bit);
        assert_page_fault(m, access_byte(m, LOAD, VA), 9, VA);
    }
    for (unsigned bit = 13; bit <= 29; bit++) {
        map(m, VA, 3, MEMORY_BASE | P | W | U | PS | 1ull << bit);
        assert_page_fault(m, access_byte(m, STORE, VA), 0xB, VA);
    }
    uint64_t low_va = VA & ~0x3FFFFFFFull; /* its first page is memory's first */
    map(m, low_va, 3, MEMORY_BASE | P | W | U | PS | 1ull << 12);
    assert_int_equal(access_byte(m, LOAD, low_va), NTMM_CPU_OK);
    ntmm_cpu_invlpg(&m->cpu, low_va);
    le64 *pxe = entry_of(m, VA, 4);
    uint64_t whole = get64(pxe);
    set64(pxe, whole | PS);
    assert_page_fault(m, access_byte(m, LOAD, VA), 9, VA);
    set64(pxe, P | W | U | PS); /* PS itself is reserved at level 4, whatever the address */
    assert_page_fault(m, access_byte(m, LOAD, VA), 9, VA);
    set64(pxe, whole);
    set64(pxe, (get64(pxe) & ~PS) | G); /* Intel ignores bit 8 of a table entry */
    assert_int_equal(access_byte(m, LOAD, low_va), NTMM_CPU_OK);
}

static void gib_pages_are_reserved_where_absent(void **state)
{
    (void)state;
    const struct ntmm_cpu_config config = {.max_phys_bits = 40, .has_1gib_pages = false};
    struct machine *m = machine_new(&config);
    uint64_t va = VA & ~0x3FFFFFFFull;
    map(m, va, 3, MEMORY_BASE | P | W | U | PS);
    assert_page_fault(m, access_byte(m, LOAD, va), 9, va);
    map(m, va, 3, 0);
    map(m, va, 1, DATA | P | 1ull << 39);
    assert_int_equal(access_byte(m, LOAD, va), NTMM_CPU_BUS_ERROR);
    map(m, va, 1, DATA | P | 1ull << 40); /* MAXPHYADDR 40 */
    assert_page_fault(m, access_byte(m, LOAD, va), 9, va);
    machine_teardown((void *[]){m});
}

static void not_canonical_is_general_protection(void **state)
{
    struct machine *m = *state;
    static const uint64_t bad[] = {0x0000800000000000, 0xFFFF7FFFFFFFFFFF, 0x8000000000001000};
    uint8_t bytes[8];
    m->cpu.cr2 = 0x77;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(ntmm_cpu_load(&m->cpu, bad[i], bytes, 1), NTMM_CPU_GENERAL_PROTECTION);
        assert_int_equal(m->cpu.fault.vector, 13);
        assert_int_equal(m->cpu.fault.error_code, 0);
    }
    /* the first byte canonical, the last not: #GP, not the page fault of the first */
    assert_int_equal(ntmm_cpu_store(&m->cpu, 0x00007FFFFFFFFFFC, bytes, 8),
                     NTMM_CPU_GENERAL_PROTECTION);
    assert_int_equal(m->cpu.cr2, 0x77);
    assert_int_equal(m->cpu.statistics.walks, 0);
}

static void five_levels(void **state)
{
    (void)state;
    const struct ntmm_cpu_config config = {46, true, NTMM_CR4_LA57};
    struct machine *m = machine_new(&config);
    const uint64_t va = 0x00A5123456789000;
    uint8_t byte = 0;
    map(m, va, 1, DATA | P | W | U);
    assert_int_equal(access_byte(m, STORE, va), NTMM_CPU_OK);
    assert_int_equal(get64(entry_of(m, va, 5)) & (A | D), A);
    map(m, 0xFF23456789ABC000, 1, (DATA + 4096) | P | W);
    assert_int_equal(access_byte(m, STORE, 0xFF23456789ABC000), NTMM_CPU_OK);
    assert_int_equal(ntmm_cpu_load(&m->cpu, 0x0100000000000000, &byte, 1),
                     NTMM_CPU_GENERAL_PROTECTION);
    le64 *top = entry_of(m, va, 5);
    ntmm_cpu_invlpg(&m->cpu, va);
    set64(top, get64(top) | PS); /* reserved at level 5 */
    assert_page_fault(m, access_byte(m, LOAD, va), 9, va);
    set64(top, get64(top) & ~(PS | U));
    ntmm_cpu_set_privilege(&m->cpu, 3, false);
    assert_page_fault(m, access_byte(m, LOAD, va), 5, va);
    assert_int_equal(ntmm_cpu_set_cr4(&m->cpu, NTMM_CR4_PAE), NTMM_CPU_GENERAL_PROTECTION);
    machine_teardown((void *[]){m});
}

static void outside_memory_is_a_bus_error(void **state)
{
    struct machine *m = *state;
    uint64_t byte = 0;
    m->cpu.cr2 = 0x77;
    map(m, VA, 1, 0x7000000000 | P | W | U);
    assert_int_equal(ntmm_cpu_write64(&m->cpu, VA + 8, byte), NTMM_CPU_BUS_ERROR);
    assert_int_equal(m->cpu.fault.vector, 18);
    assert_true(m->cpu.fault.address == 0x7000000008 && m->cpu.cr2 == 0x77);
    assert_int_equal(get64(entry_of(m, VA, 1)) & (A | D), 0);
    assert_int_equal(get64(entry_of(m, VA, 4)) & A, 0);
    map(m, VA, 1, 0x7000000000 | P | W); /* rights come first */
    ntmm_cpu_set_privilege(&m->cpu, 3, false);
    assert_page_fault(m, access_byte(m, LOAD, VA), 5, VA);
    map(m, VA, 2, 0x1000 | P | W | U);
    assert_int_equal(ntmm_cpu_read64(&m->cpu, VA, &byte), NTMM_CPU_BUS_ERROR);
    assert_int_equal(m->cpu.fault.address, 0x1000);
}

#define machine_test(f) cmocka_unit_test_setup_teardown(f, machine_setup, machine_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        machine_test(rights_examples),
        machine_test(rights_examples_large),
        machine_test(rights_combine_over_levels),
        machine_test(not_present_below_denied_reports_not_present),
        machine_test(reserved_bits_by_level),
        cmocka_unit_test(gib_pages_are_reserved_where_absent),
        machine_test(not_canonical_is_general_protection),
        cmocka_unit_test(five_levels),
        machine_test(outside_memory_is_a_bus_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
