/*
 * Files in snapshots: their bytes, sizes and what a power cut would take; files that come and go
 * between a snapshot and the way back; forks and files of machines.
 */
#include "unit/file_world.h"

#include <ntmm/snapshot.h>

#include <unistd.h>

#define FILE_NAME "test_files_snapshot.saved"
#define LONGEST 20000u
#define FILES 5u

static const uint64_t SIZES[FILES] = {0, 1, 513, 4097, 12345};

static uint8_t contents[LONGEST];

/* Five files that may grow, every second with a cache, with stale blocks. */
static void make_files(struct world *w, uint64_t seed)
{
    make_world(w, seed);
    for (uint32_t i = 0; i < FILES; i++) {
        uint32_t flags = i % 2 != 0 ? NTMM_EMULATED_FILE_WRITE_CACHE : 0;
        fill_pattern(contents, SIZES[i], i);
        assert_int_equal(add_file(w,
                                  (struct ntmm_emulated_file_config){
                                      .size_bytes = SIZES[i],
                                      .contents = contents,
                                      .maximum_bytes = LONGEST,
                                      .flags = flags | NTMM_EMULATED_FILE_STALE,
                                  }),
                         i);
    }
}

static void expect_files(struct ntmm_emulated *emu)
{
    for (uint32_t i = 0; i < FILES; i++) {
        uint64_t size = 99;
        const uint8_t *image = ntmm_emulated_disk_image(emu, i, &size);
        assert_non_null(image);
        assert_int_equal(size, SIZES[i]);
        for (uint64_t at = 0; at < size; at++)
            assert_int_equal(image[at], pattern(i, at));
    }
}

/* Write, grow, shrink, remove and add. */
static void change_files(struct world *w)
{
    memset(w->ram, 0xEE, LONGEST);
    for (uint32_t i = 1; i < FILES; i++)
        assert_int_equal(transfer(w, i, NTMM_IO_WRITE, 0, 0, SIZES[i], NULL), NTMM_STATUS_SUCCESS);
    assert_int_equal(resize(w, 0, NTMM_IO_EXTEND, 777), NTMM_STATUS_SUCCESS);
    assert_int_equal(resize(w, 2, NTMM_IO_TRUNCATE, 3), NTMM_STATUS_SUCCESS);
    assert_int_equal(resize(w, 3, NTMM_IO_EXTEND, LONGEST), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_remove_device(w->emu, 1), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_remove_device(w->emu, 4), NTMM_STATUS_SUCCESS);
    assert_int_equal(add_file(w, (struct ntmm_emulated_file_config){.size_bytes = 5}), FILES);
}

static void files_are_what_they_were(void **state)
{
    struct world w;
    struct request r;
    (void)state;
    make_files(&w, 1);
    assert_int_equal(ntmm_emulated_snapshot(w.emu), NTMM_STATUS_SUCCESS);
    for (uint32_t round = 0; round < 3; round++) {
        change_files(&w);
        assert_int_equal(ntmm_emulated_restore_snapshot(w.emu), NTMM_STATUS_SUCCESS);
        expect_files(w.emu);
        assert_true(ntmm_emulated_file_size(w.emu, FILES) == UINT64_MAX);
        prepare(&w, &r, FILES, NTMM_IO_FLUSH, 0);
        assert_int_equal(w.platform->submit(w.emu, &r.io), NTMM_STATUS_INVALID_PARAMETER);
    }
    change_files(&w); /* also those that came back are cut off from the base */
    assert_int_equal(ntmm_emulated_restore_snapshot(w.emu), NTMM_STATUS_SUCCESS);
    expect_files(w.emu);
    end_world(&w);
}

/* What was not durable then is not durable afterwards, and is lost or stays just as then. */
static void the_cache_of_a_file_is_restored(void **state)
{
    struct world w;
    (void)state;
    make_files(&w, 1);
    fill_pattern(w.ram, 4097, 50);
    assert_int_equal(transfer(&w, 3, NTMM_IO_WRITE, 0, 0, 512, NULL), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, 3, NTMM_IO_FLUSH, 0, 0, 0, NULL), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, 3, NTMM_IO_WRITE, 512, 512, 3585, NULL), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_snapshot(w.emu), NTMM_STATUS_SUCCESS);
    for (uint32_t round = 0; round < 2; round++) {
        assert_int_equal(ntmm_emulated_remove_device(w.emu, 3), NTMM_STATUS_SUCCESS);
        assert_int_equal(ntmm_emulated_restore_snapshot(w.emu), NTMM_STATUS_SUCCESS);
        const uint8_t *image = ntmm_emulated_disk_image(w.emu, 3, NULL);
        assert_memory_equal(image, w.ram, 4097);
        assert_int_equal(ntmm_emulated_cut_power(w.emu, 3, 0), NTMM_STATUS_SUCCESS);
        assert_memory_equal(image, w.ram, 512);
        for (uint32_t at = 512; at < 4097; at++)
            assert_int_equal(image[at], pattern(3, at));
    }
    end_world(&w);
}

/* A base that is renewed knows what is there now, and only that. */
static void a_renewed_base_forgets_what_was_removed(void **state)
{
    struct world w;
    (void)state;
    make_files(&w, 1);
    assert_int_equal(ntmm_emulated_snapshot(w.emu), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_remove_device(w.emu, 2), NTMM_STATUS_SUCCESS);
    fill_pattern(contents, 600, 60);
    uint64_t added =
        add_file(&w, (struct ntmm_emulated_file_config){.size_bytes = 600, .contents = contents});
    assert_int_equal(ntmm_emulated_snapshot(w.emu), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_remove_device(w.emu, added), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_restore_snapshot(w.emu), NTMM_STATUS_SUCCESS);
    assert_true(ntmm_emulated_file_size(w.emu, 2) == UINT64_MAX);
    assert_int_equal(ntmm_emulated_file_size(w.emu, added), 600);
    assert_memory_equal(ntmm_emulated_disk_image(w.emu, added, NULL), contents, 600);
    end_world(&w);
}

static void a_fork_has_files_of_its_own(void **state)
{
    struct world w, fork;
    (void)state;
    make_files(&w, 1);
    assert_int_equal(ntmm_emulated_fork(w.emu, &fork.emu), NTMM_STATUS_SUCCESS);
    fork.platform = ntmm_emulated_platform(fork.emu);
    fork.ram = ntmm_emulated_arena(fork.emu, NULL);
    change_files(&w);
    expect_files(fork.emu);
    change_files(&fork);
    assert_memory_equal(ntmm_emulated_disk_image(w.emu, 0, NULL),
                        ntmm_emulated_disk_image(fork.emu, 0, NULL), 777); /* stale alike */
    assert_int_equal(ntmm_emulated_restore_snapshot(fork.emu), NTMM_STATUS_SUCCESS);
    expect_files(fork.emu);
    end_world(&w);
    expect_files(fork.emu);
    end_world(&fork);
}

/* Many numbers were given before, few are in use. */
static void a_loaded_machine_has_its_files(void **state)
{
    struct ntmm_emulated_config config = {.size = sizeof config,
                                          .version = NTMM_EMULATED_CONFIG_VERSION};
    struct world w, loaded;
    uint64_t last = 0;
    (void)state;
    make_files(&w, 9);
    for (uint32_t i = FILES; i < 5000; i++) {
        last = add_file(&w, (struct ntmm_emulated_file_config){.size_bytes = 3});
        if (i != 4999)
            assert_int_equal(ntmm_emulated_remove_device(w.emu, last), NTMM_STATUS_SUCCESS);
    }
    assert_int_equal(ntmm_emulated_save_snapshot(w.emu, FILE_NAME), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_load_snapshot(&config, FILE_NAME, &loaded.emu),
                     NTMM_STATUS_SUCCESS);
    loaded.platform = ntmm_emulated_platform(loaded.emu);
    loaded.ram = ntmm_emulated_arena(loaded.emu, NULL);
    expect_files(loaded.emu);
    assert_int_equal(last, 4999);
    assert_int_equal(ntmm_emulated_file_size(loaded.emu, last), 3);
    assert_int_equal(add_file(&loaded, (struct ntmm_emulated_file_config){0}), last + 1);
    assert_int_equal(resize(&w, 3, NTMM_IO_EXTEND, LONGEST), NTMM_STATUS_SUCCESS);
    assert_int_equal(resize(&loaded, 3, NTMM_IO_EXTEND, LONGEST), NTMM_STATUS_SUCCESS);
    const uint8_t *image = ntmm_emulated_disk_image(loaded.emu, 3, NULL);
    assert_memory_equal(ntmm_emulated_disk_image(w.emu, 3, NULL), image, LONGEST);
    assert_int_not_equal(image[LONGEST - 1], 0);
    end_world(&w);
    end_world(&loaded);
    (void)unlink(FILE_NAME);
}

static void host_files_are_not_part_of_it(void **state)
{
    struct world w;
    struct ntmm_emulated *fork = NULL;
    (void)state;
    make_files(&w, 1);
    uint64_t device = add_file(&w, (struct ntmm_emulated_file_config){
                                       .path = FILE_NAME, .flags = NTMM_EMULATED_FILE_CREATE});
    assert_int_equal(ntmm_emulated_snapshot(w.emu), NTMM_STATUS_NOT_SUPPORTED);
    assert_int_equal(ntmm_emulated_fork(w.emu, &fork), NTMM_STATUS_NOT_SUPPORTED);
    assert_int_equal(ntmm_emulated_save_snapshot(w.emu, "test_files_snapshot.none"),
                     NTMM_STATUS_NOT_SUPPORTED);
    assert_int_equal(ntmm_emulated_remove_device(w.emu, device), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_snapshot(w.emu), NTMM_STATUS_SUCCESS);
    assert_null(fork);
    end_world(&w);
    assert_int_equal(unlink(FILE_NAME), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_what_they_were),
        cmocka_unit_test(the_cache_of_a_file_is_restored),
        cmocka_unit_test(a_renewed_base_forgets_what_was_removed),
        cmocka_unit_test(a_fork_has_files_of_its_own),
        cmocka_unit_test(a_loaded_machine_has_its_files),
        cmocka_unit_test(host_files_are_not_part_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
