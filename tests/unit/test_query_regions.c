/*
 * The iterator and the scan: every address exactly once, and what single queries say.
 *
 *   [0 ......................................................... 0x7FFFFFFF0000)
 *   |free|region r w w -|foreign|free|region w|region w|free ......|last 64 KiB|
 *
 * The property is tried after random operations, with foreign ranges and with everything paged out.
 */
#include "base/prng.h"
#include "paging/page_out.h"
#include "unit/storage.h"

#include <ntmm/access.h>
#include <ntmm/query.h>

#define SPACE_END UINT64_C(0x7FFFFFFF0000)
#define SLOTS 40u
#define SLOT_PAGES 32u
#define ROUNDS 400u
#define MOST_RUNS 4096u
#define LACKS_QUERY ((ntmm_handle)NTMM_PROCESS_QUERY_INFORMATION << HANDLE_LACKS_SHIFT)

static struct ntmm_memory_basic_information runs[MOST_RUNS];

static uint64_t run_end(const struct ntmm_memory_basic_information *run)
{
    return run->base_address + run->region_size;
}

/* Two ranges of the embedder; nothing of a test's regions meets them. */
static bool foreign_ranges(void *context, ntmm_handle process, uint64_t va,
                           struct ntmm_foreign_range *range)
{
    static const struct ntmm_foreign_range ranges[] = {
        {0x8000000, 0x8003000},
        {UINT64_C(0x700000000000), UINT64_C(0x700000010000)},
    };
    (void)context;
    (void)process;
    for (uint32_t i = 0; i < 2; i++) {
        if (ranges[i].end > va) {
            *range = ranges[i];
            return true;
        }
    }
    return false;
}

static struct machine *open_with_file(void)
{
    struct machine *m = machine_open(NULL);
    must_add_file(m, 4 * MIB, 0, NULL);
    return m;
}

/* All runs by the iterator. */
static uint32_t iterate(struct machine *m, uint32_t flags)
{
    struct ntmm_region_iterator iterator;
    uint32_t count = 0;
    ntmm_status status;
    ntmm_begin_regions(&iterator, m->process, flags);
    while ((status = ntmm_next_region(m->system, &iterator, &runs[count])) == NTMM_STATUS_SUCCESS) {
        count++;
        assert_true(count < MOST_RUNS);
    }
    assert_int_equal(status, NTMM_STATUS_NO_MORE_ENTRIES);
    assert_int_equal(ntmm_next_region(m->system, &iterator, &runs[count]),
                     NTMM_STATUS_NO_MORE_ENTRIES);
    return count;
}

/* All runs of a range by scans of so many records. */
static uint32_t scan(struct machine *m, uint64_t from, uint64_t to, uint32_t flags,
                     uint32_t capacity)
{
    uint32_t all = 0;
    for (uint64_t next = from; next < to;) {
        uint64_t before = next;
        uint32_t count = 0;
        assert_true(all + capacity <= MOST_RUNS);
        assert_int_equal(ntmm_scan_regions(m->system, m->process, before, to, flags, &runs[all],
                                           capacity, &count, &next),
                         NTMM_STATUS_SUCCESS);
        assert_true(next > before);
        assert_true(count <= capacity);
        all += count;
    }
    return all;
}

static void assert_same(const struct ntmm_memory_basic_information *a,
                        const struct ntmm_memory_basic_information *b)
{
    assert_memory_equal(a, b, sizeof *a);
}

/* The first `count` runs tile [from, to), and each is what a query of it says. */
static void assert_tiles(struct machine *m, uint32_t count, uint64_t from, uint64_t to)
{
    uint64_t at = from;
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(runs[i].base_address, at);
        assert_true(runs[i].region_size > 0);
        struct ntmm_memory_basic_information single = must_query(m, at + 7);
        if (run_end(&runs[i]) == to)
            single.region_size = to - at;
        assert_same(&runs[i], &single);
        at = run_end(&runs[i]);
    }
    assert_int_equal(at, to);
}

static void an_empty_space_is_two_runs(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    assert_int_equal(iterate(m, NTMM_REGIONS_ALL), 2);
    assert_int_equal(runs[0].state, NTMM_MEM_FREE);
    assert_int_equal(runs[0].region_size, 0x7FFFFFFE0000);
    assert_int_equal(runs[1].state, NTMM_MEM_RESERVE);
    assert_int_equal(run_end(&runs[1]), SPACE_END);
    assert_int_equal(iterate(m, NTMM_REGIONS_COMMITTED), 0);
    machine_close(m);
}

static void states_are_chosen(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_reserve(m, BASE, 8 * PAGE, NTMM_PAGE_READWRITE);
    must_commit(m, BASE + 2 * PAGE, 2 * PAGE, NTMM_PAGE_READONLY);
    must_protect(m, BASE + 3 * PAGE, PAGE, NTMM_PAGE_READWRITE);
    assert_int_equal(iterate(m, NTMM_REGIONS_COMMITTED), 2);
    assert_int_equal(runs[0].base_address, BASE + 2 * PAGE);
    assert_int_equal(runs[0].protect, NTMM_PAGE_READONLY);
    assert_int_equal(runs[1].base_address, BASE + 3 * PAGE);
    assert_int_equal(runs[1].region_size, PAGE);
    assert_int_equal(iterate(m, NTMM_REGIONS_RESERVED), 3);
    assert_int_equal(runs[1].base_address, BASE + 4 * PAGE);
    assert_int_equal(iterate(m, NTMM_REGIONS_FREE), 2);
    assert_int_equal(runs[1].base_address, BASE + 8 * PAGE);
    assert_int_equal(iterate(m, NTMM_REGIONS_ALL), 2 + 4 + 1);
    machine_close(m);
}

static void a_scan_ends_where_it_is_told(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    must_allocate(m, BASE, 8 * PAGE, NTMM_PAGE_READWRITE);
    uint32_t count = scan(m, BASE + PAGE + 5, BASE + 3 * PAGE + 1, NTMM_REGIONS_ALL, 8);
    assert_int_equal(count, 1);
    assert_int_equal(runs[0].base_address, BASE + PAGE);
    assert_int_equal(runs[0].region_size, 3 * PAGE);
    count = scan(m, BASE - 2 * PAGE, BASE - PAGE, NTMM_REGIONS_ALL, 8);
    assert_int_equal(count, 1);
    assert_int_equal(runs[0].region_size, PAGE);
    machine_close(m);
}

static void a_scan_checks_what_it_is_given(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    uint32_t count = 77;
    uint64_t next = 88;
#define SCAN(process, from, to, flags, records, capacity, pcount, pnext)                           \
    ntmm_scan_regions(m->system, process, from, to, flags, records, capacity, pcount, pnext)
    assert_int_equal(SCAN(m->process, 0, SPACE_END, 7, NULL, 1, &count, &next),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(SCAN(m->process, 0, SPACE_END, 7, runs, 1, NULL, &next),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(SCAN(m->process, 0, SPACE_END, 7, runs, 1, &count, NULL),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(SCAN(0, 2, 1, 7, runs, 1, &count, &next), NTMM_STATUS_INVALID_PARAMETER);
    assert_int_equal(SCAN(0, 0, SPACE_END + 1, 7, runs, 1, &count, &next),
                     NTMM_STATUS_INVALID_PARAMETER);
    assert_int_equal(SCAN(0, 0, SPACE_END, 0, runs, 1, &count, &next),
                     NTMM_STATUS_INVALID_PARAMETER);
    assert_int_equal(SCAN(0, 0, SPACE_END, 8, runs, 1, &count, &next),
                     NTMM_STATUS_INVALID_PARAMETER);
    assert_int_equal(SCAN(0, 0, SPACE_END, 7, runs, 0, &count, &next),
                     NTMM_STATUS_INVALID_PARAMETER);
    assert_int_equal(SCAN(0, 0, SPACE_END, 7, runs, 1, &count, &next), NTMM_STATUS_INVALID_HANDLE);
    assert_int_equal(SCAN(m->process | LACKS_QUERY, 0, SPACE_END, 7, runs, 1, &count, &next),
                     NTMM_STATUS_ACCESS_DENIED);
    assert_int_equal(count, 77);
    assert_int_equal(next, 88);
    assert_int_equal(SCAN(m->process, 0, 0, 7, runs, 1, &count, &next), NTMM_STATUS_SUCCESS);
    assert_int_equal(count, 0);
    assert_int_equal(next, 0);
#undef SCAN
    struct ntmm_region_iterator iterator;
    ntmm_begin_regions(&iterator, m->process, 7);
    assert_int_equal(ntmm_next_region(m->system, &iterator, NULL), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(iterator.next, 0);
    machine_close(m);
}

static uint32_t some_protection(struct prng *prng)
{
    static const uint32_t protections[] = {
        NTMM_PAGE_NOACCESS,
        NTMM_PAGE_READONLY,
        NTMM_PAGE_READWRITE,
        NTMM_PAGE_EXECUTE_READ,
        NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD,
    };
    return protections[prng_below(prng, 5)];
}

/* One operation in one of the places; some fail, and that is all right. */
static void some_operation(struct machine *m, struct prng *prng)
{
    uint64_t place = BASE + prng_below(prng, SLOTS) * (prng_below(prng, 2) ? GIB : 2 * KIB64);
    uint64_t base = place + prng_below(prng, SLOT_PAGES) * PAGE;
    uint64_t size = (1 + prng_below(prng, SLOT_PAGES)) * PAGE;
    uint32_t protect = some_protection(prng);
    ntmm_status status = NTMM_STATUS_SUCCESS;
    switch (prng_below(prng, 7)) {
    case 0:
    case 1:
        status = try_allocate(m, place, size, NTMM_MEM_RESERVE, protect);
        break;
    case 2:
        status = try_allocate(m, base, size, NTMM_MEM_COMMIT, protect);
        break;
    case 3:
        status = try_allocate(m, place, size, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, protect);
        break;
    case 4:
        status =
            try_free(m, base, size, prng_below(prng, 3) ? NTMM_MEM_DECOMMIT : NTMM_MEM_RELEASE);
        break;
    case 5:
        status = try_protect(m, base, size, protect);
        break;
    case 6:
        status = try_write(m, base, 1);
        break;
    }
    (void)status;
}

static void try_random_spaces(struct machine *m, uint64_t seed, bool is_paged)
{
    struct prng prng;
    prng_seed(&prng, seed);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        some_operation(m, &prng);
        if (round % 8)
            continue;
        if (is_paged)
            page_out_everything(m->emu);
        assert_tiles(m, iterate(m, NTMM_REGIONS_ALL), 0, SPACE_END);
        if (is_paged)
            page_out_everything(m->emu);
        uint32_t capacity = 1 + (uint32_t)prng_below(&prng, 100);
        assert_tiles(m, scan(m, 0, SPACE_END, NTMM_REGIONS_ALL, capacity), 0, SPACE_END);
        uint64_t from = prng_below(&prng, 1u << 20) * PAGE;
        uint64_t to = from + (1 + prng_below(&prng, 1u << 20)) * PAGE;
        assert_tiles(m, scan(m, from, to, NTMM_REGIONS_ALL, capacity), from, to);
    }
}

static void random_spaces_are_covered_exactly_once(void **state)
{
    (void)state;
    struct machine *m = open_with_file();
    try_random_spaces(m, 1, false);
    machine_close(m);
}

static void with_foreign_ranges_too(void **state)
{
    (void)state;
    struct machine *m = open_with_file();
    m->system->platform.foreign_range = foreign_ranges;
    assert_int_equal(iterate(m, NTMM_REGIONS_ALL), 6);
    assert_int_equal(runs[1].base_address, 0x8000000);
    assert_int_equal(runs[1].region_size, 0x3000);
    assert_int_equal(runs[1].state, NTMM_MEM_RESERVE);
    try_random_spaces(m, 2, false);
    machine_close(m);
}

static void with_every_table_paged_out_too(void **state)
{
    (void)state;
    struct machine *m = open_with_file();
    try_random_spaces(m, 3, true);
    machine_close(m);
}

/* Whatever happens between two steps, what was passed is not seen again and the walk ends. */
static void a_walk_survives_changes(void **state)
{
    struct prng prng;
    (void)state;
    struct machine *m = open_with_file();
    prng_seed(&prng, 4);
    for (uint32_t walk = 0; walk < 8; walk++) {
        struct ntmm_region_iterator iterator;
        uint64_t at = 0;
        ntmm_begin_regions(&iterator, m->process, NTMM_REGIONS_ALL);
        while (ntmm_next_region(m->system, &iterator, &runs[0]) == NTMM_STATUS_SUCCESS) {
            assert_int_equal(runs[0].base_address, at);
            at = run_end(&runs[0]);
            some_operation(m, &prng);
            some_operation(m, &prng);
        }
        assert_int_equal(at, SPACE_END);
    }
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_space_is_two_runs),
        cmocka_unit_test(states_are_chosen),
        cmocka_unit_test(a_scan_ends_where_it_is_told),
        cmocka_unit_test(a_scan_checks_what_it_is_given),
        cmocka_unit_test(random_spaces_are_covered_exactly_once),
        cmocka_unit_test(with_foreign_ranges_too),
        cmocka_unit_test(with_every_table_paged_out_too),
        cmocka_unit_test(a_walk_survives_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
