/*
 * A machine saved to a file and loaded: it goes on as the one that was saved, and a file that is
 * none, or is damaged, is refused or harmless.
 */
#define _GNU_SOURCE 1
#include "unit/storage.h"

#include "base/prng.h"

#include <ntmm/snapshot.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGES 600u /* far more than RAM */
#define FILE_NAME "test_snapshot_file.snapshot"

static uint64_t use(struct ntmm_emulated *emu, uint64_t seed)
{
    struct prng prng;
    uint64_t sum = 0;
    prng_seed(&prng, seed);
    for (uint32_t i = 0; i < 1500; i++) {
        uint64_t va = BASE + prng_below(&prng, PAGES) * PAGE, value = prng_next(&prng);
        ntmm_status status = NTMM_STATUS_SUCCESS;
        if (i % 50 == 0)
            ntmm_balance_set_manager(ntmm_emulated_system(emu));
        else if (i & 1)
            status = ntmm_emulated_store(emu, 0, va, &value, 8, NULL, NULL);
        else
            status = ntmm_emulated_load(emu, 0, va, &value, 8, NULL, NULL);
        sum = (sum ^ value ^ status) * 0x100000001b3u;
    }
    const struct ntmm_platform *platform = ntmm_emulated_platform(emu);
    for (uint32_t i = 0; i < 64; i++)
        platform->pump(platform->context);
    return sum;
}

static struct machine *open_machine(void)
{
    const struct machine_setup setup = {
        .hardware = {.ram_bytes = MIB, .cpu_count = 2, .physical_address_bits = 40, .seed = 3}};
    struct machine *m = machine_open(&setup);
    (void)must_add_file(m, 4 * MIB, 4 * MIB, NULL);
    (void)must_add_disk(m, MIB, MIB, NTMM_EMULATED_DISK_WRITE_CACHE);
    must_allocate(m, BASE, PAGES * PAGE, NTMM_PAGE_READWRITE);
    (void)use(m->emu, 1);
    return m;
}

static ntmm_status try_load(struct ntmm_emulated_config config, struct ntmm_emulated **emu)
{
    config.size = sizeof config;
    config.version = NTMM_EMULATED_CONFIG_VERSION;
    return ntmm_emulated_load_snapshot(&config, FILE_NAME, emu);
}

static void must_save(struct machine *m)
{
    assert_int_equal(ntmm_emulated_save_snapshot(m->emu, FILE_NAME), NTMM_STATUS_SUCCESS);
}

static void close_loaded(struct ntmm_emulated *emu)
{
    struct ntmm_teardown teardown;
    ntmm_emulated_destroy(emu, &teardown);
    assert_int_equal(teardown.processes_ended, 1);
    assert_int_equal(teardown.lost_pages, 0);
    assert_int_equal(teardown.outstanding_commit, 0);
    assert_int_equal(teardown.live_objects, 0);
}

#if defined(_WIN32)
static uint64_t room_of_file(void) { return 0; } /* not asked, nor are holes made */
#else
static uint64_t room_of_file(void)
{
    struct stat file;
    assert_int_equal(stat(FILE_NAME, &file), 0);
    return (uint64_t)file.st_blocks * 512;
}
#endif

static void a_loaded_machine_goes_on(void **state)
{
    struct machine *m = open_machine();
    struct ntmm_emulated *emu;
    struct ntmm_emulated_statistics ours, theirs;
    (void)state;
    must_save(m);
    assert_true(room_of_file() < 6 * MIB); /* of 7 MiB: zeros take none */
    assert_int_equal(try_load((struct ntmm_emulated_config){0}, &emu), NTMM_STATUS_SUCCESS);
    assert_true(ntmm_emulated_hash(emu) == ntmm_emulated_hash(m->emu));
    assert_int_equal(ntmm_emulated_platform(emu)->ranges[0].flags, 0); /* of zeros no more */
    assert_memory_equal(ntmm_emulated_disk_image(emu, 0, NULL),
                        ntmm_emulated_disk_image(m->emu, 0, NULL), 4 * MIB);
    uint64_t first = use(m->emu, 2);
    assert_true(use(emu, 2) == first);
    assert_true(ntmm_emulated_hash(emu) == ntmm_emulated_hash(m->emu));
    ntmm_emulated_query(m->emu, &ours);
    ntmm_emulated_query(emu, &theirs);
    assert_memory_equal(&ours, &theirs, sizeof ours);
    close_loaded(emu);
    machine_close(m);
    (void)unlink(FILE_NAME);
}

/* Loaded, made a base, forked, gone back: everything there is does with it as with any machine. */
static void a_loaded_machine_has_snapshots(void **state)
{
    struct machine *m = open_machine();
    struct ntmm_emulated *emu, *fork;
    (void)state;
    must_save(m);
    assert_int_equal(try_load((struct ntmm_emulated_config){0}, &emu), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_restore_snapshot(emu), NTMM_STATUS_INVALID_PARAMETER_1);
    assert_int_equal(ntmm_emulated_fork(emu, &fork), NTMM_STATUS_SUCCESS);
    uint64_t first = use(m->emu, 2);
    assert_true(use(fork, 2) == first);
    (void)use(emu, 9);
    assert_int_equal(ntmm_emulated_restore_snapshot(emu), NTMM_STATUS_SUCCESS);
    assert_true(use(emu, 2) == first);
    close_loaded(emu);
    close_loaded(fork);
    machine_close(m);
    (void)unlink(FILE_NAME);
}

static void what_the_caller_says_must_agree(void **state)
{
    const struct ntmm_emulated_config agrees = {
        .ram_bytes = MIB, .cpu_count = 2, .physical_address_bits = 40};
    struct ntmm_emulated_config wrong = {.size = 4};
    struct machine *m = open_machine();
    struct ntmm_emulated *emu = NULL;
    (void)state;
    assert_int_equal(try_load(agrees, &emu), NTMM_STATUS_OBJECT_NAME_NOT_FOUND);
    must_save(m);
    assert_int_equal(ntmm_emulated_load_snapshot(&wrong, FILE_NAME, &emu),
                     NTMM_STATUS_INFO_LENGTH_MISMATCH);
    wrong = (struct ntmm_emulated_config){.size = sizeof wrong, .version = 99};
    assert_int_equal(ntmm_emulated_load_snapshot(&wrong, FILE_NAME, &emu),
                     NTMM_STATUS_INFO_LENGTH_MISMATCH);
    assert_int_equal(try_load((struct ntmm_emulated_config){.ram_bytes = 2 * MIB}, &emu),
                     NTMM_STATUS_INVALID_PARAMETER_1);
    assert_int_equal(try_load((struct ntmm_emulated_config){.cpu_count = 3}, &emu),
                     NTMM_STATUS_INVALID_PARAMETER_1);
    assert_int_equal(try_load((struct ntmm_emulated_config){.physical_address_bits = 46}, &emu),
                     NTMM_STATUS_INVALID_PARAMETER_1);
    assert_int_equal(try_load((struct ntmm_emulated_config){.base_pa = PAGE}, &emu),
                     NTMM_STATUS_INVALID_PARAMETER_1);
    assert_int_equal(try_load((struct ntmm_emulated_config){.hole_base_pa = PAGE}, &emu),
                     NTMM_STATUS_INVALID_PARAMETER_1);
    assert_int_equal(try_load((struct ntmm_emulated_config){.hole_bytes = PAGE}, &emu),
                     NTMM_STATUS_INVALID_PARAMETER_1);
    assert_null(emu);
    assert_int_equal(try_load(agrees, &emu), NTMM_STATUS_SUCCESS);
    close_loaded(emu);
    assert_int_equal(ntmm_emulated_save_snapshot(m->emu, "no/such/folder"),
                     NTMM_STATUS_UNSUCCESSFUL);
    machine_close(m);
    (void)unlink(FILE_NAME);
}

/* What the file says of a size is believed only where the arena is not the caller's. */
static void an_arena_of_the_caller_has_the_size_that_it_says(void **state)
{
    struct machine *m = open_machine();
    struct ntmm_emulated *emu = NULL;
    struct ntmm_emulated_config config = {.arena = aligned_alloc(PAGE, MIB)};
    (void)state;
    assert_non_null(config.arena);
    must_save(m);
    assert_int_equal(try_load(config, &emu), NTMM_STATUS_INVALID_PARAMETER_1);
    config.ram_bytes = MIB / 2;
    assert_int_equal(try_load(config, &emu), NTMM_STATUS_INVALID_PARAMETER_1);
    config.ram_bytes = MIB;
    config.hole_bytes = PAGE;
    assert_int_equal(try_load(config, &emu), NTMM_STATUS_INVALID_PARAMETER_1);
    assert_null(emu);
    config.hole_bytes = 0;
    assert_int_equal(try_load(config, &emu), NTMM_STATUS_SUCCESS);
    assert_ptr_equal(ntmm_emulated_arena(emu, NULL), config.arena);
    assert_true(ntmm_emulated_hash(emu) == ntmm_emulated_hash(m->emu));
    close_loaded(emu);
    free(config.arena);
    machine_close(m);
    (void)unlink(FILE_NAME);
}

static void files_cut_short_are_refused(void **state)
{
    struct machine *m = open_machine();
    struct ntmm_emulated *emu = NULL;
    struct stat file;
    (void)state;
    must_save(m);
    assert_int_equal(stat(FILE_NAME, &file), 0);
    const off_t sizes[] = {file.st_size - 1, file.st_size / 2, 9000, 8192, 4100, 4096, 16, 15, 0};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_int_equal(truncate(FILE_NAME, sizes[i]), 0);
        assert_int_equal(try_load((struct ntmm_emulated_config){0}, &emu),
                         NTMM_STATUS_FILE_INVALID);
        assert_null(emu);
    }
    machine_close(m);
    (void)unlink(FILE_NAME);
}

/* Words of the file of open_machine, by what they say. */
enum {
    LAYOUT_RAM_BYTES = 0,
    LAYOUT_BASE_PA = 1,
    LAYOUT_CPU_COUNT = 4,
    STATE_DISK_COUNT = 7,
    STATE_HAS_SYSTEM = 8,
    CPU_FIRST = 38,
    CPU_CR3 = 3,
    CPU_CPL = 14,
    CPU_WORDS = 18,
    DISKS = CPU_FIRST + 2 * CPU_WORDS,
    DISK_NUMBER = DISKS + 1, /* of the first; the second has a cache */
    DISK_SIZE,
    DISK_MAXIMUM,
    DISK_FLAGS,
    DISK_LEAST_LATENCY,
    DISK_MOST_LATENCY,
    DISK_WORDS = 15,
};

#define WORD_AT(word) (4096 + 8 * (off_t)(word))

static void expect_spoiled(int file, off_t at, uint64_t value, ntmm_status expected)
{
    struct ntmm_emulated *emu = NULL;
    uint64_t saved, word = machine_word(value);
    assert_int_equal(pread(file, &saved, 8, at), 8);
    assert_int_equal(pwrite(file, &word, 8, at), 8);
    ntmm_status status = try_load((struct ntmm_emulated_config){0}, &emu);
    if (status != expected)
        fail_msg("%x instead of %x: %llx at %lld", status, expected, (unsigned long long)value,
                 (long long)at);
    assert_int_equal(emu != NULL, status == NTMM_STATUS_SUCCESS);
    ntmm_emulated_destroy(emu, NULL);
    assert_int_equal(pwrite(file, &saved, 8, at), 8);
}

/* Each word that something depends on, with a value that cannot be. */
static void words_that_cannot_be_are_refused(void **state)
{
    static const struct {
        off_t at;
        uint64_t value;
        ntmm_status status;
    } cases[] = {
        {0, 1, NTMM_STATUS_FILE_INVALID}, /* no such file */
        {8, 0, NTMM_STATUS_FILE_INVALID}, /* how many words there are */
        {8, (1u << 20) + 1, NTMM_STATUS_FILE_INVALID},
        {8, 3, NTMM_STATUS_FILE_INVALID},
        {8, CPU_FIRST, NTMM_STATUS_FILE_INVALID},
        {8, DISKS, NTMM_STATUS_FILE_INVALID},
        {8, DISK_FLAGS, NTMM_STATUS_FILE_INVALID},
        {8, DISK_NUMBER + 2 * DISK_WORDS, NTMM_STATUS_FILE_INVALID}, /* without the cache's */
        {WORD_AT(LAYOUT_RAM_BYTES), 0, NTMM_STATUS_INVALID_PARAMETER_1},
        {WORD_AT(LAYOUT_BASE_PA), 1, NTMM_STATUS_INVALID_PARAMETER_1},
        {WORD_AT(LAYOUT_CPU_COUNT), 257, NTMM_STATUS_INVALID_PARAMETER_1},
        {WORD_AT(STATE_DISK_COUNT), 1, NTMM_STATUS_FILE_INVALID},
        {WORD_AT(STATE_DISK_COUNT), (1u << 24) + 1, NTMM_STATUS_FILE_INVALID},
        {WORD_AT(STATE_HAS_SYSTEM), 0, NTMM_STATUS_SUCCESS}, /* bytes of RAM like any */
        {WORD_AT(CPU_FIRST + CPU_CR3), UINT64_C(1) << 40, NTMM_STATUS_FILE_INVALID},
        {WORD_AT(CPU_FIRST + CPU_WORDS + CPU_CPL), 4, NTMM_STATUS_FILE_INVALID},
        {WORD_AT(DISKS), 3, NTMM_STATUS_FILE_INVALID},
        {WORD_AT(DISKS), 1, NTMM_STATUS_FILE_INVALID}, /* bytes are left */
        {WORD_AT(DISK_NUMBER), 2, NTMM_STATUS_FILE_INVALID},
        {WORD_AT(DISK_NUMBER + DISK_WORDS), 0, NTMM_STATUS_FILE_INVALID}, /* the first one's */
        {WORD_AT(DISK_SIZE), 4 * MIB + 512, NTMM_STATUS_FILE_INVALID},
        {WORD_AT(DISK_MAXIMUM), UINT64_C(1) << 46, NTMM_STATUS_FILE_INVALID},
        {WORD_AT(DISK_MAXIMUM + DISK_WORDS), UINT64_C(1) << 45, NTMM_STATUS_FILE_INVALID},
        {WORD_AT(DISK_LEAST_LATENCY), 0, NTMM_STATUS_FILE_INVALID},
        {WORD_AT(DISK_MOST_LATENCY), 0, NTMM_STATUS_FILE_INVALID},
    };
    struct machine *m = open_machine();
    (void)state;
    must_save(m);
    int file = open(FILE_NAME, O_RDWR);
    assert_true(file >= 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_spoiled(file, cases[i].at, cases[i].value, cases[i].status);
    (void)close(file);
    machine_close(m);
    (void)unlink(FILE_NAME);
}

/* The frames say nothing of a system, or say it wrongly. */
static void a_system_that_is_none_is_refused(void **state)
{
    struct machine *m = open_machine();
    uint64_t words;
    (void)state;
    must_save(m);
    int file = open(FILE_NAME, O_RDWR);
    assert_true(file >= 0);
    assert_int_equal(pread(file, &words, 8, 8), 8);
    const off_t ram = (WORD_AT(machine_word(words)) + 4095) & ~(off_t)4095;
    expect_spoiled(file, ram, 0, NTMM_STATUS_FILE_INVALID); /* the anchor */
    (void)close(file);
    machine_close(m);
    (void)unlink(FILE_NAME);
}

/* Any word of the header may say anything: refused, or a machine that can be destroyed. */
static void damaged_words_are_harmless(void **state)
{
    struct machine *m = open_machine();
    struct prng prng;
    uint32_t refused = 0;
    (void)state;
    prng_seed(&prng, 1);
    must_save(m);
    int file = open(FILE_NAME, O_RDWR);
    assert_true(file >= 0);
    for (uint32_t i = 0; i < 160; i++) {
        struct ntmm_emulated *emu;
        uint64_t saved, damaged;
        off_t at = i < 2 ? (off_t)i * 8 : 4096 + (off_t)(i - 2) * 8;
        assert_int_equal(pread(file, &saved, 8, at), 8);
        damaged =
            i & 1 ? prng_next(&prng) : machine_word(saved) ^ UINT64_C(1) << prng_below(&prng, 48);
        damaged = machine_word(damaged);
        assert_int_equal(pwrite(file, &damaged, 8, at), 8);
        ntmm_status status = try_load((struct ntmm_emulated_config){0}, &emu);
        if (status == NTMM_STATUS_SUCCESS)
            ntmm_emulated_destroy(emu, NULL);
        refused += status != NTMM_STATUS_SUCCESS;
        assert_int_equal(pwrite(file, &saved, 8, at), 8);
    }
    assert_true(refused > 10);
    (void)close(file);
    machine_close(m);
    (void)unlink(FILE_NAME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loaded_machine_goes_on),
        cmocka_unit_test(a_loaded_machine_has_snapshots),
        cmocka_unit_test(what_the_caller_says_must_agree),
        cmocka_unit_test(an_arena_of_the_caller_has_the_size_that_it_says),
        cmocka_unit_test(files_cut_short_are_refused),
        cmocka_unit_test(words_that_cannot_be_are_refused),
        cmocka_unit_test(a_system_that_is_none_is_refused),
        cmocka_unit_test(damaged_words_are_harmless),
    };
    return cmocka_run_group_tests_name("snapshot_file", tests, NULL, NULL);
}
