/*
 * Transfers that an error tears: a prefix of the sectors that they touch moves, never all.
 *
 *   sectors  |aaaa|aaaa|aaaa|aaaa|
 *   torn     |bbbb|bbbb|aaaa|aaaa|   0..3 of four, transferred_bytes says how many bytes
 *   status     the one that was asked for; SUCCESS: the transfer is short
 */
#include "file_world.h"

#define SECTOR NTMM_EMULATED_SECTOR_SIZE
#define SECTORS 8u
#define SIZE (SECTORS * SECTOR)
#define SKIPPED 100u /* bytes of the first sector that a transfer leaves out */
#define OLD 0x11
#define NEW 0x44

static void tear(struct world *w, uint64_t device, enum ntmm_io_operation operation,
                 ntmm_status status)
{
    const struct ntmm_emulated_disk_errors errors = {
        .operations = 1u << operation, .count = 1, .status = status, .is_torn = 1};
    assert_int_equal(ntmm_emulated_inject_disk(w->emu, device, &errors), NTMM_STATUS_SUCCESS);
}

/* One torn transfer of the file from its byte SKIPPED on; how many sectors moved. */
static uint32_t transfer_torn(uint64_t seed, enum ntmm_io_operation operation, ntmm_status status,
                              uint32_t flags)
{
    struct world w;
    uint64_t said, moved = 0, size = SIZE - SKIPPED;
    make_world(&w, seed);
    uint64_t device =
        add_file(&w, (struct ntmm_emulated_file_config){.size_bytes = SIZE, .flags = flags});
    uint8_t *image = (uint8_t *)ntmm_emulated_disk_image(w.emu, device, NULL) + SKIPPED;
    uint8_t *to = operation == NTMM_IO_WRITE ? image : w.ram;
    memset(operation == NTMM_IO_WRITE ? w.ram : image, NEW, (size_t)size);
    memset(to, OLD, (size_t)size);
    tear(&w, device, operation, status);
    assert_int_equal(transfer(&w, device, operation, SKIPPED, 0, size, &said), status);
    while (moved < size && to[moved] == NEW)
        moved++;
    for (uint64_t i = moved; i < size; i++)
        assert_int_equal(to[i], OLD);
    assert_int_equal(said, moved);
    assert_true(moved == 0 || (moved + SKIPPED) % SECTOR == 0);
    assert_int_equal(transfer(&w, device, operation, SKIPPED, 0, size, NULL), NTMM_STATUS_SUCCESS);
    assert_memory_equal(w.ram, image, (size_t)size);
    end_world(&w);
    return (uint32_t)((moved + SECTOR - 1) / SECTOR);
}

static void a_torn_transfer_moves_a_prefix_of_sectors(void **state)
{
    (void)state;
    for (uint32_t kind = 0; kind < 8; kind++) {
        uint32_t seen[SECTORS + 1] = {0};
        for (uint64_t seed = 0; seed < 100; seed++)
            seen[transfer_torn(seed, kind & 1 ? NTMM_IO_WRITE : NTMM_IO_READ,
                               kind & 2 ? NTMM_STATUS_SUCCESS : NTMM_STATUS_DEVICE_DATA_ERROR,
                               kind & 4 ? NTMM_EMULATED_FILE_INLINE : 0)]++;
        for (uint32_t i = 0; i < SECTORS; i++)
            assert_int_not_equal(seen[i], 0);
        assert_int_equal(seen[SECTORS], 0);
    }
}

static void a_torn_write_past_the_end_and_of_nothing_moves_nothing(void **state)
{
    (void)state;
    struct world w;
    uint64_t said;
    make_world(&w, 1);
    uint64_t device = add_file(&w, (struct ntmm_emulated_file_config){.size_bytes = SECTOR});
    tear(&w, device, NTMM_IO_WRITE, NTMM_STATUS_DEVICE_DATA_ERROR);
    assert_int_equal(transfer(&w, device, NTMM_IO_WRITE, 0, 0, SIZE, &said),
                     NTMM_STATUS_DEVICE_DATA_ERROR);
    assert_int_equal(said, 0);
    tear(&w, device, NTMM_IO_WRITE, NTMM_STATUS_DEVICE_DATA_ERROR);
    assert_int_equal(transfer(&w, device, NTMM_IO_WRITE, 0, 0, 0, &said),
                     NTMM_STATUS_DEVICE_DATA_ERROR);
    assert_int_equal(said, 0);
    end_world(&w);
}

static void a_flush_is_never_torn(void **state)
{
    (void)state;
    struct world w;
    make_world(&w, 1);
    uint64_t device =
        add_file(&w, (struct ntmm_emulated_file_config){.size_bytes = SIZE,
                                                        .flags = NTMM_EMULATED_FILE_WRITE_CACHE});
    const uint8_t *image = ntmm_emulated_disk_image(w.emu, device, NULL);
    memset(w.ram, NEW, SIZE);
    assert_int_equal(transfer(&w, device, NTMM_IO_WRITE, 0, 0, SIZE, NULL), NTMM_STATUS_SUCCESS);
    tear(&w, device, NTMM_IO_FLUSH, NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, device, NTMM_IO_FLUSH, 0, 0, 0, NULL), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_cut_power(w.emu, device, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(image[SIZE - 1], NEW);
    end_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_torn_transfer_moves_a_prefix_of_sectors),
        cmocka_unit_test(a_torn_write_past_the_end_and_of_nothing_moves_nothing),
        cmocka_unit_test(a_flush_is_never_torn),
    };
    return cmocka_run_group_tests_name("disk_torn", tests, NULL, NULL);
}
