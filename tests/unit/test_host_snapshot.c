/*
 * Snapshots on a host that refuses: each call of the host fails in turn, alone and with all that
 * follow. The machine is as it was, the snapshot is whole or there is none, the next attempt
 * succeeds, and nothing is kept. What the host cannot tell (which pages were written) costs time,
 * not truth.
 *
 *   generation g of a machine: RAM, a disk with a write cache, a file, all told from g - 1
 */
#define _GNU_SOURCE 1
#include "unit/file_world.h"
#include "unit/host_calls.h"

#include <ntmm/snapshot.h>

#include <errno.h>
#include <unistd.h>

#define NAME "test_host_snapshot.file"
#define RAM_BYTES (32u * WORLD_PAGE)
#define FIRST_PAGE 3u
#define PAGES 6u
#define DISK_BYTES (4u * WORLD_PAGE)
#define CACHED_AT (2u * WORLD_PAGE)
#define FILE_BYTES 5000u

static _Alignas(4096) uint8_t callers_arena[RAM_BYTES];
static void *arena;
static struct world w;
static uint64_t disk, file, added, zeros;

/* --- generations --- */

#define SEEDS 64u

/* Bytes of every pattern, so that rounds are cheap. */
static uint8_t patterns[SEEDS][2 * WORLD_PAGE];

static int make_patterns(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++)
        fill_pattern(patterns[seed], sizeof patterns[seed], seed);
    return 0;
}

static uint8_t *page_of(const struct world *x, uint64_t page) { return x->ram + page * WORLD_PAGE; }

static void write_from(uint64_t device, uint64_t offset, uint64_t page, uint64_t size)
{
    assert_int_equal(transfer(&w, device, NTMM_IO_WRITE, offset, page * WORLD_PAGE, size, NULL),
                     NTMM_STATUS_SUCCESS);
}

/* A page that was not zero becomes zero every second time. */
static void go_to(uint64_t generation)
{
    for (uint64_t i = 0; i < PAGES; i++)
        memcpy(page_of(&w, FIRST_PAGE + i), patterns[generation + 10 * i], WORLD_PAGE);
    memset(page_of(&w, 20), generation % 2 == 0 ? 0 : 0x55, WORLD_PAGE);
    write_from(disk, 0, FIRST_PAGE, 2 * WORLD_PAGE);
    assert_int_equal(transfer(&w, disk, NTMM_IO_FLUSH, 0, 0, 0, NULL), NTMM_STATUS_SUCCESS);
    write_from(disk, CACHED_AT, FIRST_PAGE + 2, WORLD_PAGE);
    if (ntmm_emulated_file_size(w.emu, file) != UINT64_MAX)
        write_from(file, 0, FIRST_PAGE + 3, FILE_BYTES);
}

static void expect_stored(struct ntmm_emulated *emu, uint64_t device, uint64_t offset,
                          uint64_t size, uint64_t seed)
{
    static uint8_t bytes[DISK_BYTES];
    assert_int_equal(ntmm_emulated_read_disk(emu, device, offset, bytes, size),
                     NTMM_STATUS_SUCCESS);
    assert_memory_equal(bytes, patterns[seed], size);
}

static void expect_generation(const struct world *x, uint64_t g)
{
    static uint8_t page[WORLD_PAGE];
    for (uint64_t i = 0; i < PAGES; i++)
        assert_memory_equal(page_of(x, FIRST_PAGE + i), patterns[g + 10 * i], WORLD_PAGE);
    memset(page, g % 2 == 0 ? 0 : 0x55, WORLD_PAGE);
    assert_memory_equal(page_of(x, 20), page, WORLD_PAGE);
    memset(page, 0, WORLD_PAGE);
    for (uint64_t i = 0; i < FIRST_PAGE; i++)
        assert_memory_equal(page_of(x, i), page, WORLD_PAGE);
    expect_stored(x->emu, disk, 0, WORLD_PAGE, g);
    expect_stored(x->emu, disk, WORLD_PAGE, WORLD_PAGE, g + 10);
    expect_stored(x->emu, disk, CACHED_AT, WORLD_PAGE, g + 20);
    expect_stored(x->emu, file, 0, WORLD_PAGE, g + 30);
}

static void expect_zeros(void)
{
    static const uint8_t none[FILE_BYTES];
    static uint8_t bytes[FILE_BYTES];
    assert_int_equal(ntmm_emulated_read_disk(w.emu, zeros, 0, bytes, FILE_BYTES),
                     NTMM_STATUS_SUCCESS);
    assert_memory_equal(bytes, none, FILE_BYTES);
}

/* What a power cut leaves is of the generation before; the machine is spoilt. */
static void expect_durable(const struct world *x, uint64_t g)
{
    assert_int_equal(ntmm_emulated_cut_power(x->emu, disk, 0), NTMM_STATUS_SUCCESS);
    expect_stored(x->emu, disk, WORLD_PAGE, WORLD_PAGE, g + 10);
    expect_stored(x->emu, disk, CACHED_AT, WORLD_PAGE, g - 1 + 20);
}

/* Two files: with contents, and all zero, of which a base has nothing to write. */
static void add_files(void)
{
    added = add_file(&w, (struct ntmm_emulated_file_config){
                             .size_bytes = FILE_BYTES, .flags = NTMM_EMULATED_FILE_WRITE_CACHE});
    write_from(added, 0, FIRST_PAGE, FILE_BYTES);
    zeros = add_file(&w, (struct ntmm_emulated_file_config){.size_bytes = FILE_BYTES});
}

/* --- stages --- */

static struct world world_of(struct ntmm_emulated *emu)
{
    return (struct world){
        .emu = emu, .platform = ntmm_emulated_platform(emu), .ram = ntmm_emulated_arena(emu, NULL)};
}

/* Generation 2, no base. */
static void make_machine(struct ntmm_emulated_config config)
{
    struct ntmm_emulated *emu;
    config.size = sizeof config;
    config.version = NTMM_EMULATED_CONFIG_VERSION;
    config.ram_bytes = RAM_BYTES;
    assert_int_equal(ntmm_emulated_create(&config, &emu), NTMM_STATUS_SUCCESS);
    w = world_of(emu);
    disk = add_file(&w, (struct ntmm_emulated_file_config){
                            .size_bytes = DISK_BYTES, .flags = NTMM_EMULATED_FILE_WRITE_CACHE});
    file = add_file(&w, (struct ntmm_emulated_file_config){.size_bytes = FILE_BYTES});
    go_to(1);
    go_to(2);
}

static void prepare_machine(void)
{
    memset(callers_arena, 0, sizeof callers_arena);
    make_machine((struct ntmm_emulated_config){.arena = arena});
}

/* Generation 3 over a base of generation 2, and two files more. */
static void prepare_changed(void)
{
    prepare_machine();
    assert_int_equal(ntmm_emulated_snapshot(w.emu), NTMM_STATUS_SUCCESS);
    add_files();
    go_to(3);
}

static struct ntmm_emulated *fork_of_it;

/* The same, and a fork that shares the base. */
static void prepare_shared(void)
{
    prepare_changed();
    assert_int_equal(ntmm_emulated_fork(w.emu, &fork_of_it), NTMM_STATUS_SUCCESS);
}

static void end_machines(void)
{
    ntmm_emulated_destroy(fork_of_it, NULL);
    ntmm_emulated_destroy(w.emu, NULL);
    fork_of_it = NULL;
    w.emu = NULL;
}

static uint64_t generation; /* of the machine when the snapshot is taken */

static void expect_whole_fork(void)
{
    const struct world fork = world_of(fork_of_it);
    expect_generation(&fork, generation);
    expect_durable(&fork, generation);
}

/* --- taking a snapshot --- */

static ntmm_status snapshot(void) { return ntmm_emulated_snapshot(w.emu); }

static struct ntmm_snapshot_information query(void)
{
    struct ntmm_snapshot_information information = {.size = sizeof information};
    assert_int_equal(ntmm_emulated_query_snapshot(w.emu, &information), NTMM_STATUS_SUCCESS);
    return information;
}

static void check_snapshot(ntmm_status status)
{
    expect_generation(&w, generation);
    if (status != NTMM_STATUS_SUCCESS) {
        assert_int_equal(status, NTMM_STATUS_INSUFFICIENT_RESOURCES);
        assert_int_equal(snapshot(), NTMM_STATUS_SUCCESS);
        expect_generation(&w, generation);
    }
    assert_int_equal(query().has_base, 1);
    for (uint32_t round = 0; round < 2; round++) {
        go_to(generation + 1 + round);
        if (generation == 3)
            write_from(zeros, 0, FIRST_PAGE, FILE_BYTES);
        assert_int_equal(ntmm_emulated_restore_snapshot(w.emu), NTMM_STATUS_SUCCESS);
        expect_generation(&w, generation);
    }
    if (generation == 3) {
        expect_stored(w.emu, added, 0, WORLD_PAGE, 2);
        expect_zeros();
    }
    if (fork_of_it != NULL)
        expect_whole_fork();
    expect_durable(&w, generation);
}

static ntmm_status must_snapshot(void)
{
    assert_int_equal(snapshot(), NTMM_STATUS_SUCCESS);
    return NTMM_STATUS_SUCCESS;
}

/* What finds pages may fail and is no failure: pages are compared. */
#define HOST_FINDS (HOST_SCAN | HOST_OPEN | HOST_READ | HOST_PAGE)

static void sweep_snapshot(void (*from)(void), uint64_t of_generation)
{
    struct host_scenario scenario = {
        .prepare = from, .act = snapshot, .check = check_snapshot, .end = end_machines};
    generation = of_generation;
    host_sweep_both(&scenario, HOST_ALL, ENOMEM);
    scenario.act = must_snapshot;
    (void)host_sweep(&scenario, HOST_FINDS, 1, EIO);
    (void)host_sweep(&scenario, HOST_FINDS, UINT64_MAX, EIO);
    (void)host_sweep(&scenario, HOST_SCAN, UINT64_MAX, ENOTTY);
}

static void a_first_snapshot_is_whole_or_none(void **state)
{
    (void)state;
    sweep_snapshot(prepare_machine, 2);
}

static void a_renewed_snapshot_is_whole_or_none(void **state)
{
    (void)state;
    sweep_snapshot(prepare_changed, 3);
}

static void a_snapshot_beside_a_shared_one_is_whole_or_none(void **state)
{
    (void)state;
    sweep_snapshot(prepare_shared, 3);
}

/* --- forks --- */

static ntmm_status fork_it(void) { return ntmm_emulated_fork(w.emu, &fork_of_it); }

static void check_fork(ntmm_status status)
{
    expect_generation(&w, generation);
    if (status != NTMM_STATUS_SUCCESS) {
        assert_int_equal(status, NTMM_STATUS_INSUFFICIENT_RESOURCES);
        assert_null(fork_of_it);
        assert_int_equal(fork_it(), NTMM_STATUS_SUCCESS);
    }
    go_to(generation + 1);
    if (generation == 3)
        expect_stored(fork_of_it, added, 0, WORLD_PAGE, 2);
    expect_whole_fork();
}

static void a_fork_is_whole_or_none(void **state)
{
    struct host_scenario scenario = {.act = fork_it, .check = check_fork, .end = end_machines};
    (void)state;
    generation = 2;
    scenario.prepare = prepare_machine;
    host_sweep_both(&scenario, HOST_ALL, ENOMEM);
    generation = 3;
    scenario.prepare = prepare_changed;
    host_sweep_both(&scenario, HOST_ALL, ENOMEM);
}

/* --- going back --- */

/* One device that the base has is gone, and one is there that it has not. */
static void prepare_going_back(void)
{
    prepare_changed();
    assert_int_equal(ntmm_emulated_remove_device(w.emu, file), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_remove_device(w.emu, disk), NTMM_STATUS_SUCCESS);
}

static ntmm_status go_back(void) { return ntmm_emulated_restore_snapshot(w.emu); }

static void check_gone_back(ntmm_status status)
{
    if (status != NTMM_STATUS_SUCCESS) {
        assert_int_equal(status, NTMM_STATUS_INSUFFICIENT_RESOURCES);
        assert_int_equal(go_back(), NTMM_STATUS_SUCCESS);
    }
    assert_int_equal(ntmm_emulated_file_size(w.emu, added), UINT64_MAX);
    expect_generation(&w, 2);
    expect_durable(&w, 2);
}

static void going_back_is_whole_or_tried_again(void **state)
{
    struct host_scenario scenario = {.act = go_back, .check = check_gone_back, .end = end_machines};
    (void)state;
    scenario.prepare = prepare_changed;
    host_sweep_both(&scenario, HOST_ALL, ENOMEM);
    scenario.prepare = prepare_going_back;
    host_sweep_both(&scenario, HOST_ALL, ENOMEM);
}

/* An arena that is not ours, or a host whose pages have another size: everything is compared. */
static void an_arena_of_the_caller_is_whole_too(void **state)
{
    arena = callers_arena;
    a_first_snapshot_is_whole_or_none(state);
    a_renewed_snapshot_is_whole_or_none(state);
    a_fork_is_whole_or_none(state);
    going_back_is_whole_or_tried_again(state);
    arena = NULL;
}

/* --- files --- */

static ntmm_status save(void) { return ntmm_emulated_save_snapshot(w.emu, NAME); }

static ntmm_status load(void)
{
    const struct ntmm_emulated_config config = {.size = sizeof config,
                                                .version = NTMM_EMULATED_CONFIG_VERSION};
    return ntmm_emulated_load_snapshot(&config, NAME, &fork_of_it);
}

static void check_saved(ntmm_status status)
{
    expect_generation(&w, generation);
    if (status != NTMM_STATUS_SUCCESS) {
        assert_true(status == NTMM_STATUS_UNSUCCESSFUL ||
                    status == NTMM_STATUS_INSUFFICIENT_RESOURCES);
        assert_int_equal(save(), NTMM_STATUS_SUCCESS);
    }
    assert_int_equal(load(), NTMM_STATUS_SUCCESS);
    expect_whole_fork();
}

static void prepare_many_processors(void)
{
    make_machine((struct ntmm_emulated_config){.cpu_count = 40});
}

/* The second has more words than a first allocation holds. */
static void a_machine_is_saved_or_not(void **state)
{
    struct host_scenario scenario = {
        .prepare = prepare_machine, .act = save, .check = check_saved, .end = end_machines};
    (void)state;
    generation = 2;
    host_sweep_both(&scenario, HOST_ALL, ENOSPC);
    scenario.prepare = prepare_many_processors;
    host_sweep_both(&scenario, HOST_HEAP | HOST_CLOSE, ENOMEM);
    assert_int_equal(unlink(NAME), 0);
}

static void check_loaded(ntmm_status status)
{
    if (status != NTMM_STATUS_SUCCESS) {
        assert_true(status == NTMM_STATUS_INSUFFICIENT_RESOURCES ||
                    status == NTMM_STATUS_FILE_INVALID ||
                    status == NTMM_STATUS_OBJECT_NAME_NOT_FOUND);
        assert_null(fork_of_it);
        assert_int_equal(load(), NTMM_STATUS_SUCCESS);
    }
    expect_whole_fork();
}

static void a_machine_is_loaded_or_not(void **state)
{
    const struct host_scenario scenario = {.act = load, .check = check_loaded, .end = end_machines};
    (void)state;
    generation = 2;
    prepare_machine();
    assert_int_equal(save(), NTMM_STATUS_SUCCESS);
    end_machines();
    host_sweep_both(&scenario, HOST_ALL, EIO);
    assert_int_equal(unlink(NAME), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_first_snapshot_is_whole_or_none),
        cmocka_unit_test(a_renewed_snapshot_is_whole_or_none),
        cmocka_unit_test(a_snapshot_beside_a_shared_one_is_whole_or_none),
        cmocka_unit_test(a_fork_is_whole_or_none),
        cmocka_unit_test(going_back_is_whole_or_tried_again),
        cmocka_unit_test(an_arena_of_the_caller_is_whole_too),
        cmocka_unit_test(a_machine_is_saved_or_not),
        cmocka_unit_test(a_machine_is_loaded_or_not),
    };
    return cmocka_run_group_tests_name("host_snapshot", tests, make_patterns, NULL);
}
