/*
 * Files of the emulated platform: sizes exact to the byte, ends inside a page, growing and
 * shrinking, what an extension finds, errors, many files at a time.
 */
#include "unit/file_world.h"

static const uint64_t SIZES[] = {0, 1, 511, 512, 513, 4095, 4096, 4097, 8191, 20000};
#define SIZE_COUNT (sizeof SIZES / sizeof *SIZES)
#define LARGEST 20000u

static uint8_t contents[LARGEST];

/* RAM holds a byte that no pattern was put over. */
static void expect_untouched(const struct world *w, uint64_t from, uint64_t end)
{
    for (uint64_t at = from; at < end; at++)
        assert_int_equal(w->ram[at], 0xEE);
}

static void a_file_has_its_size_and_contents(void **state)
{
    struct world w;
    (void)state;
    make_world(&w, 1);
    fill_pattern(contents, LARGEST, 1);
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        uint64_t device = 99, size = 99, image_size = 99, moved;
        const struct ntmm_emulated_file_config file = {.size_bytes = SIZES[i],
                                                       .contents = contents};
        assert_int_equal(try_file(&w, file, &device, &size), NTMM_STATUS_SUCCESS);
        assert_int_equal(device, i);
        assert_int_equal(size, SIZES[i]);
        assert_int_equal(ntmm_emulated_file_size(w.emu, device), SIZES[i]);
        assert_non_null(ntmm_emulated_disk_image(w.emu, device, &image_size));
        assert_int_equal(image_size, SIZES[i]);
        memset(w.ram, 0xEE, LARGEST + 1);
        assert_int_equal(transfer(&w, device, NTMM_IO_READ, 0, 0, SIZES[i], &moved),
                         NTMM_STATUS_SUCCESS);
        assert_int_equal(moved, SIZES[i]);
        assert_memory_equal(w.ram, contents, SIZES[i]);
        expect_untouched(&w, SIZES[i], LARGEST + 1);
    }
    assert_true(ntmm_emulated_file_size(w.emu, SIZE_COUNT) == UINT64_MAX);
    end_world(&w);
}

/* Whole pages asked for: what is there comes, and the page behind it stays as it was. */
static void a_read_past_the_end_gives_what_is_there(void **state)
{
    static const uint64_t offsets[] = {0, 1, 511, 4000, 4096, 8192};
    struct world w;
    (void)state;
    make_world(&w, 1);
    fill_pattern(contents, LARGEST, 2);
    for (size_t i = 0; i < SIZE_COUNT * 6; i++) {
        uint64_t size = SIZES[i / 6], offset = offsets[i % 6], moved;
        uint64_t there = offset < size ? size - offset : 0, asked = 5 * WORLD_PAGE;
        uint64_t device = add_file(
            &w, (struct ntmm_emulated_file_config){.size_bytes = size, .contents = contents});
        memset(w.ram, 0xEE, asked);
        assert_int_equal(transfer(&w, device, NTMM_IO_READ, offset, 0, asked, &moved),
                         NTMM_STATUS_END_OF_FILE);
        assert_int_equal(moved, there);
        assert_memory_equal(w.ram, contents + offset, there);
        expect_untouched(&w, there, asked);
        assert_int_equal(transfer(&w, device, NTMM_IO_READ, UINT64_MAX - 10, 0, 100, &moved),
                         NTMM_STATUS_END_OF_FILE);
        assert_int_equal(moved, 0);
    }
    end_world(&w);
}

/* As NT's paging writes: they never make a file larger, and one that would does nothing. */
static void a_write_never_extends(void **state)
{
    struct world w;
    (void)state;
    make_world(&w, 1);
    fill_pattern(w.ram, LARGEST, 3);
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        uint64_t size = SIZES[i], moved;
        uint64_t device = add_file(
            &w, (struct ntmm_emulated_file_config){.size_bytes = size, .maximum_bytes = 1 << 20});
        const uint8_t *image = ntmm_emulated_disk_image(w.emu, device, NULL);
        assert_int_equal(transfer(&w, device, NTMM_IO_WRITE, 0, 0, size + 1, &moved),
                         NTMM_STATUS_DISK_FULL);
        assert_int_equal(moved, 0);
        assert_int_equal(transfer(&w, device, NTMM_IO_WRITE, size, 0, 1, NULL),
                         NTMM_STATUS_DISK_FULL);
        for (uint64_t at = 0; at < size + 2; at++)
            assert_int_equal(image[at], 0);
        assert_int_equal(transfer(&w, device, NTMM_IO_WRITE, 0, 0, size, &moved),
                         NTMM_STATUS_SUCCESS);
        assert_int_equal(moved, size);
        assert_memory_equal(image, w.ram, size);
        assert_int_equal(image[size], 0);
        assert_int_equal(ntmm_emulated_file_size(w.emu, device), size);
    }
    end_world(&w);
}

/* Any offset in the file, any in memory, ends that are not whole pages. */
static void unaligned_transfers_are_exact(void **state)
{
    static const uint64_t places[] = {0, 1, 7, 511, 513, 4095, 4097};
    struct world w;
    uint64_t device;
    (void)state;
    make_world(&w, 1);
    device = add_file(&w, (struct ntmm_emulated_file_config){.size_bytes = LARGEST});
    uint8_t *image = ntmm_emulated_disk_image(w.emu, device, NULL);
    for (size_t i = 0; i < 7 * 7; i++) {
        uint64_t offset = places[i / 7], ram = places[i % 7], moved;
        uint64_t size = LARGEST - offset - i;
        fill_pattern(w.ram, 2 * LARGEST, i);
        memset(image, 0, LARGEST);
        assert_int_equal(transfer(&w, device, NTMM_IO_WRITE, offset, ram, size, &moved),
                         NTMM_STATUS_SUCCESS);
        assert_int_equal(moved, size);
        assert_memory_equal(image + offset, w.ram + ram, size);
        assert_int_equal(image[offset + size], 0);
        memset(w.ram, 0xEE, 2 * LARGEST);
        assert_int_equal(transfer(&w, device, NTMM_IO_READ, offset, ram, size, &moved),
                         NTMM_STATUS_SUCCESS);
        assert_memory_equal(w.ram + ram, image + offset, size);
        expect_untouched(&w, 0, ram);
        expect_untouched(&w, ram + size, ram + size + 100);
    }
    end_world(&w);
}

/* --- size --- */

static void an_extension_finds_zeros(void **state)
{
    struct world w;
    (void)state;
    make_world(&w, 1);
    fill_pattern(contents, LARGEST, 4);
    for (size_t i = 0; i + 1 < SIZE_COUNT; i++) {
        uint64_t device = add_file(
            &w, (struct ntmm_emulated_file_config){
                    .size_bytes = SIZES[i], .contents = contents, .maximum_bytes = SIZES[i + 1]});
        const uint8_t *image = ntmm_emulated_disk_image(w.emu, device, NULL);
        assert_int_equal(resize(&w, device, NTMM_IO_EXTEND, SIZES[i + 1] + 1),
                         NTMM_STATUS_DISK_FULL);
        assert_int_equal(ntmm_emulated_file_size(w.emu, device), SIZES[i]);
        assert_int_equal(resize(&w, device, NTMM_IO_EXTEND, SIZES[i + 1]), NTMM_STATUS_SUCCESS);
        assert_int_equal(ntmm_emulated_file_size(w.emu, device), SIZES[i + 1]);
        assert_int_equal(resize(&w, device, NTMM_IO_EXTEND, SIZES[i]), NTMM_STATUS_SUCCESS);
        assert_int_equal(ntmm_emulated_file_size(w.emu, device), SIZES[i + 1]);
        assert_memory_equal(image, contents, SIZES[i]);
        for (uint64_t at = SIZES[i]; at < SIZES[i + 1]; at++)
            assert_int_equal(image[at], 0);
    }
    end_world(&w);
}

static void truncation_cuts_and_extension_does_not_bring_back(void **state)
{
    struct world w;
    (void)state;
    make_world(&w, 1);
    fill_pattern(contents, LARGEST, 5);
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        uint64_t moved;
        uint64_t device = add_file(
            &w, (struct ntmm_emulated_file_config){.size_bytes = LARGEST, .contents = contents});
        const uint8_t *image = ntmm_emulated_disk_image(w.emu, device, NULL);
        assert_int_equal(resize(&w, device, NTMM_IO_TRUNCATE, LARGEST + 1),
                         NTMM_STATUS_INVALID_PARAMETER);
        assert_int_equal(resize(&w, device, NTMM_IO_TRUNCATE, SIZES[i]), NTMM_STATUS_SUCCESS);
        assert_int_equal(ntmm_emulated_file_size(w.emu, device), SIZES[i]);
        if (SIZES[i] < LARGEST)
            assert_int_equal(transfer(&w, device, NTMM_IO_READ, 0, 0, LARGEST, &moved),
                             NTMM_STATUS_END_OF_FILE);
        assert_int_equal(resize(&w, device, NTMM_IO_EXTEND, LARGEST), NTMM_STATUS_SUCCESS);
        assert_memory_equal(image, contents, SIZES[i]);
        for (uint64_t at = SIZES[i]; at < LARGEST; at++)
            assert_int_equal(image[at], 0);
    }
    end_world(&w);
}

#define STALE_FROM 513u
#define STALE_END 9001u

/* What an extension finds in a file whose blocks were used before. */
static void find_stale(uint64_t seed, uint32_t flags, uint8_t *found)
{
    struct world w;
    make_world(&w, seed);
    fill_pattern(contents, STALE_FROM, 6);
    uint64_t device =
        add_file(&w, (struct ntmm_emulated_file_config){.size_bytes = STALE_FROM,
                                                        .contents = contents,
                                                        .maximum_bytes = STALE_END,
                                                        .flags = NTMM_EMULATED_FILE_STALE | flags});
    assert_int_equal(resize(&w, device, NTMM_IO_EXTEND, 2000), NTMM_STATUS_SUCCESS);
    assert_int_equal(resize(&w, device, NTMM_IO_EXTEND, STALE_END), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, device, NTMM_IO_READ, 0, 0, STALE_END, NULL),
                     NTMM_STATUS_SUCCESS);
    assert_memory_equal(w.ram, contents, STALE_FROM);
    memcpy(found, w.ram + STALE_FROM, STALE_END - STALE_FROM);
    end_world(&w);
}

static void stale_bytes_come_from_the_seed_and_are_never_zero(void **state)
{
    static uint8_t first[STALE_END - STALE_FROM], again[sizeof first], other[sizeof first];
    uint32_t equal = 0;
    (void)state;
    find_stale(1, 0, first);
    find_stale(1, NTMM_EMULATED_FILE_WRITE_CACHE, again);
    find_stale(2, 0, other);
    assert_memory_equal(first, again, sizeof first);
    for (size_t i = 0; i < sizeof first; i++) {
        assert_int_not_equal(first[i], 0);
        equal += first[i] == other[i];
    }
    assert_true(equal < sizeof first / 32);
}

/* Also after a truncation: the zeros of memory are not what the blocks hold. */
static void stale_bytes_come_back_after_a_truncation(void **state)
{
    struct world w;
    (void)state;
    make_world(&w, 1);
    uint64_t device = add_file(&w, (struct ntmm_emulated_file_config){
                                       .size_bytes = 5000, .flags = NTMM_EMULATED_FILE_STALE});
    const uint8_t *image = ntmm_emulated_disk_image(w.emu, device, NULL);
    for (uint32_t at = 0; at < 5000; at++)
        assert_int_equal(image[at], 0); /* the first size is all valid */
    assert_int_equal(resize(&w, device, NTMM_IO_TRUNCATE, 100), NTMM_STATUS_SUCCESS);
    assert_int_equal(resize(&w, device, NTMM_IO_EXTEND, 5000), NTMM_STATUS_SUCCESS);
    for (uint32_t at = 0; at < 5000; at++)
        assert_int_equal(image[at] != 0, at >= 100);
    end_world(&w);
}

/* --- what is refused --- */

static void a_read_only_file_stays_as_it_is(void **state)
{
    struct world w;
    uint64_t moved;
    (void)state;
    make_world(&w, 1);
    fill_pattern(contents, 700, 7);
    uint64_t device =
        add_file(&w, (struct ntmm_emulated_file_config){.size_bytes = 700,
                                                        .contents = contents,
                                                        .maximum_bytes = 4096,
                                                        .flags = NTMM_EMULATED_FILE_READ_ONLY});
    memset(w.ram, 0xEE, 700);
    assert_int_equal(transfer(&w, device, NTMM_IO_WRITE, 0, 0, 700, &moved),
                     NTMM_STATUS_ACCESS_DENIED);
    assert_int_equal(moved, 0);
    assert_int_equal(resize(&w, device, NTMM_IO_EXTEND, 800), NTMM_STATUS_ACCESS_DENIED);
    assert_int_equal(resize(&w, device, NTMM_IO_TRUNCATE, 10), NTMM_STATUS_ACCESS_DENIED);
    assert_int_equal(resize(&w, device, NTMM_IO_FLUSH, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_file_size(w.emu, device), 700);
    assert_int_equal(transfer(&w, device, NTMM_IO_READ, 0, 0, 700, NULL), NTMM_STATUS_SUCCESS);
    assert_memory_equal(w.ram, contents, 700);
    end_world(&w);
}

static void a_bad_configuration_is_refused(void **state)
{
    static const struct ntmm_emulated_file_config bad[] = {
        {.size_bytes = UINT64_C(1) << 62},
        {.maximum_bytes = UINT64_C(1) << 63},
        {.size_bytes = 2, .maximum_bytes = 1},
        {.minimum_latency_pumps = 3, .maximum_latency_pumps = 2},
        {.reserved = 1},
        {.flags = 0x20},
        {.flags = NTMM_EMULATED_FILE_CREATE},
        {.path = ".", .size_bytes = 1},
        {.path = ".", .contents = contents},
        {.path = ".", .flags = NTMM_EMULATED_FILE_WRITE_CACHE},
        {.path = ".", .flags = NTMM_EMULATED_FILE_STALE},
        {.path = "new", .flags = NTMM_EMULATED_FILE_READ_ONLY | NTMM_EMULATED_FILE_CREATE},
    };
    struct world w;
    uint64_t device = 99, size = 99;
    struct ntmm_emulated_file_config wrong = {.size = sizeof wrong};
    (void)state;
    make_world(&w, 1);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(try_file(&w, bad[i], &device, &size), NTMM_STATUS_INVALID_PARAMETER_2);
    assert_int_equal(ntmm_emulated_add_file(w.emu, &wrong, &device, &size),
                     NTMM_STATUS_INFO_LENGTH_MISMATCH);
    wrong = (struct ntmm_emulated_file_config){.size = 8, .version = NTMM_EMULATED_FILE_VERSION};
    assert_int_equal(ntmm_emulated_add_file(w.emu, &wrong, &device, &size),
                     NTMM_STATUS_INFO_LENGTH_MISMATCH);
    wrong = (struct ntmm_emulated_file_config){.size_bytes = UINT64_C(1) << 61};
    assert_int_equal(try_file(&w, wrong, &device, &size), NTMM_STATUS_INSUFFICIENT_RESOURCES);
    assert_int_equal(device, 99);
    assert_int_equal(size, 99);
    assert_int_equal(add_file(&w, (struct ntmm_emulated_file_config){0}), 0);
    end_world(&w);
}

/* What is asked of disks is asked of files: each kind of transfer, and one place in the file. */
static void errors_come_when_asked_for(void **state)
{
    struct world w;
    uint64_t moved;
    (void)state;
    make_world(&w, 1);
    uint64_t device =
        add_file(&w, (struct ntmm_emulated_file_config){.size_bytes = 5000, .maximum_bytes = 6000});
    for (uint32_t operation = NTMM_IO_READ; operation <= NTMM_IO_TRUNCATE; operation++) {
        const struct ntmm_emulated_disk_errors errors = {
            .operations = 1u << operation, .count = 1, .status = NTMM_STATUS_DEVICE_DATA_ERROR};
        bool moves = operation == NTMM_IO_READ || operation == NTMM_IO_WRITE;
        assert_int_equal(ntmm_emulated_inject_disk(w.emu, device, &errors), NTMM_STATUS_SUCCESS);
        for (uint32_t i = 0; i < 2; i++)
            assert_int_equal(transfer(&w, device, (enum ntmm_io_operation)operation,
                                      moves ? 4096 : 5000, 0, moves ? 904 : 0, &moved),
                             i == 0 ? NTMM_STATUS_DEVICE_DATA_ERROR : NTMM_STATUS_SUCCESS);
    }
    const struct ntmm_emulated_disk_errors last_byte = {.operations = 1u << NTMM_IO_READ,
                                                        .count = UINT64_MAX,
                                                        .status = NTMM_STATUS_DEVICE_DATA_ERROR,
                                                        .base_bytes = 4999,
                                                        .end_bytes = 5000};
    assert_int_equal(ntmm_emulated_inject_disk(w.emu, device, &last_byte), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, device, NTMM_IO_READ, 4096, 0, 903, NULL), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, device, NTMM_IO_READ, 4096, 0, 904, &moved),
                     NTMM_STATUS_DEVICE_DATA_ERROR);
    assert_int_equal(moved, 0);
    end_world(&w);
}

/* --- removal --- */

static void a_removed_file_is_gone_for_good(void **state)
{
    struct world w;
    struct request r;
    uint8_t byte;
    (void)state;
    make_world(&w, 1);
    uint64_t device = add_file(&w, (struct ntmm_emulated_file_config){.size_bytes = 10});
    uint64_t other = add_file(&w, (struct ntmm_emulated_file_config){.size_bytes = 20});
    assert_int_equal(ntmm_emulated_remove_device(w.emu, other + 1),
                     NTMM_STATUS_INVALID_PARAMETER_2);
    assert_int_equal(ntmm_emulated_remove_device(w.emu, device), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_remove_device(w.emu, device), NTMM_STATUS_INVALID_PARAMETER_2);
    for (uint32_t operation = NTMM_IO_READ; operation <= NTMM_IO_TRUNCATE; operation++) {
        prepare(&w, &r, device, (enum ntmm_io_operation)operation, 0);
        assert_int_equal(w.platform->submit(w.emu, &r.io), NTMM_STATUS_VOLUME_DISMOUNTED);
        r.io.device = other + 1; /* never was one */
        assert_int_equal(w.platform->submit(w.emu, &r.io), NTMM_STATUS_INVALID_PARAMETER);
    }
    pump(&w, 8);
    assert_int_equal(r.completions, 0);
    assert_null(ntmm_emulated_disk_image(w.emu, device, NULL));
    assert_true(ntmm_emulated_file_size(w.emu, device) == UINT64_MAX);
    assert_int_equal(ntmm_emulated_read_disk(w.emu, device, 0, &byte, 1),
                     NTMM_STATUS_INVALID_PARAMETER_2);
    assert_int_equal(ntmm_emulated_inject_disk(w.emu, device, NULL),
                     NTMM_STATUS_INVALID_PARAMETER_2);
    assert_int_equal(ntmm_emulated_cut_power(w.emu, device, 0), NTMM_STATUS_INVALID_PARAMETER_2);
    assert_int_equal(ntmm_emulated_restore_power(w.emu, device), NTMM_STATUS_INVALID_PARAMETER_2);
    assert_int_equal(ntmm_emulated_file_size(w.emu, other), 20);
    assert_int_equal(add_file(&w, (struct ntmm_emulated_file_config){.size_bytes = 1}), other + 1);
    end_world(&w);
}

static void a_file_in_use_is_not_removed(void **state)
{
    struct world w;
    struct request r, idle;
    (void)state;
    make_world(&w, 1);
    uint64_t device = add_file(
        &w, (struct ntmm_emulated_file_config){.size_bytes = 10, .minimum_latency_pumps = 3});
    uint64_t other = add_file(&w, (struct ntmm_emulated_file_config){.size_bytes = 10});
    prepare(&w, &r, device, NTMM_IO_READ, 0);
    add_spans(&r, 0, 10);
    submit(&r);
    pump(&w, 2);
    assert_int_equal(ntmm_emulated_remove_device(w.emu, device), NTMM_STATUS_CANT_WAIT);
    assert_int_equal(ntmm_emulated_remove_device(w.emu, other), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_cut_power(w.emu, device, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_remove_device(w.emu, device), NTMM_STATUS_CANT_WAIT);
    pump(&w, 1);
    assert_int_equal(r.completions, 1);
    assert_int_equal(r.io.status, NTMM_STATUS_VOLUME_DISMOUNTED);
    prepare(&w, &idle, device, NTMM_IO_FLUSH, 0); /* refused: not in flight */
    assert_int_equal(w.platform->submit(w.emu, &idle.io), NTMM_STATUS_VOLUME_DISMOUNTED);
    assert_int_equal(ntmm_emulated_remove_device(w.emu, device), NTMM_STATUS_SUCCESS);
    end_world(&w);
}

static void remove_own_device(struct ntmm_io *io)
{
    struct request *r = io->context;
    r->completions++;
    assert_int_equal(ntmm_emulated_remove_device(r->w->emu, io->device), NTMM_STATUS_SUCCESS);
}

static void a_completion_may_remove_its_file(void **state)
{
    struct world w;
    (void)state;
    make_world(&w, 1);
    for (uint32_t flags = 0; flags <= NTMM_EMULATED_FILE_INLINE; flags++) {
        struct request r;
        uint64_t device =
            add_file(&w, (struct ntmm_emulated_file_config){.size_bytes = 10, .flags = flags});
        prepare(&w, &r, device, NTMM_IO_READ, 0);
        add_spans(&r, 0, 10);
        r.io.complete = remove_own_device;
        assert_int_equal(run(&r), NTMM_STATUS_SUCCESS);
        assert_int_equal(ntmm_emulated_remove_device(w.emu, device),
                         NTMM_STATUS_INVALID_PARAMETER_2);
    }
    end_world(&w);
}

/* --- many --- */

static void two_files_and_a_disk_at_once(void **state)
{
    const struct ntmm_emulated_disk_config disk = {
        .size = sizeof disk, .version = NTMM_EMULATED_DISK_VERSION, .size_bytes = 8192};
    static const uint64_t sizes[3] = {4999, 8192, 3};
    struct world w;
    uint64_t devices[3];
    struct request requests[6];
    (void)state;
    make_world(&w, 7);
    devices[0] = add_file(&w, (struct ntmm_emulated_file_config){.size_bytes = sizes[0]});
    assert_int_equal(ntmm_emulated_add_disk(w.emu, &disk, &devices[1]), NTMM_STATUS_SUCCESS);
    devices[2] = add_file(&w, (struct ntmm_emulated_file_config){.size_bytes = sizes[2]});
    for (uint32_t i = 0; i < 3; i++) {
        fill_pattern(w.ram + i * 8192, sizes[i], i);
        fill_pattern(ntmm_emulated_disk_image(w.emu, devices[i], NULL), sizes[i], i + 10);
        memset(w.ram + (i + 3) * 8192, 0xEE, 8192);
        prepare(&w, &requests[i], devices[i], NTMM_IO_READ, 0);
        add_spans(&requests[i], (i + 3) * 8192, sizes[i]);
        submit(&requests[i]);
    }
    pump(&w, 8);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(requests[i].io.transferred_bytes, sizes[i]);
        for (uint64_t at = 0; at < 8192; at++)
            assert_int_equal(w.ram[(i + 3) * 8192 + at],
                             at < sizes[i] ? pattern(i + 10, at) : 0xEE);
        prepare(&w, &requests[i], devices[i], NTMM_IO_WRITE, 0);
        add_spans(&requests[i], i * 8192, sizes[i]);
        submit(&requests[i]);
    }
    pump(&w, 8);
    for (uint32_t i = 0; i < 3; i++)
        assert_memory_equal(ntmm_emulated_disk_image(w.emu, devices[i], NULL), w.ram + i * 8192,
                            sizes[i]);
    end_world(&w);
}

#define MANY 700u

/* What stays keeps its number while numbers without a file grow. */
static void thousands_of_files_come_and_go(void **state)
{
    struct world w;
    (void)state;
    make_world(&w, 4);
    uint64_t stays = add_file(&w, (struct ntmm_emulated_file_config){.size_bytes = 77});
    for (uint32_t i = 1; i < 10000; i++) {
        uint64_t device = add_file(&w, (struct ntmm_emulated_file_config){.size_bytes = i});
        assert_int_equal(device, i);
        assert_int_equal(ntmm_emulated_remove_device(w.emu, device), NTMM_STATUS_SUCCESS);
    }
    assert_int_equal(transfer(&w, stays, NTMM_IO_READ, 0, 0, 77, NULL), NTMM_STATUS_SUCCESS);
    end_world(&w);
}

static void hundreds_of_files_have_their_own_bytes(void **state)
{
    struct world w;
    (void)state;
    make_world(&w, 3);
    for (uint32_t i = 0; i < MANY; i++) {
        fill_pattern(contents, i, i);
        assert_int_equal(
            add_file(&w, (struct ntmm_emulated_file_config){.size_bytes = i, .contents = contents}),
            i);
    }
    for (uint32_t i = 0; i < MANY; i++) {
        uint64_t moved;
        memset(w.ram, 0xEE, MANY);
        assert_int_equal(transfer(&w, i, NTMM_IO_READ, 0, 0, MANY, &moved),
                         NTMM_STATUS_END_OF_FILE);
        assert_int_equal(moved, i);
        for (uint32_t at = 0; at < MANY; at++)
            assert_int_equal(w.ram[at], at < i ? pattern(i, at) : 0xEE);
    }
    end_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_has_its_size_and_contents),
        cmocka_unit_test(a_read_past_the_end_gives_what_is_there),
        cmocka_unit_test(a_write_never_extends),
        cmocka_unit_test(unaligned_transfers_are_exact),
        cmocka_unit_test(an_extension_finds_zeros),
        cmocka_unit_test(truncation_cuts_and_extension_does_not_bring_back),
        cmocka_unit_test(stale_bytes_come_from_the_seed_and_are_never_zero),
        cmocka_unit_test(stale_bytes_come_back_after_a_truncation),
        cmocka_unit_test(a_read_only_file_stays_as_it_is),
        cmocka_unit_test(a_bad_configuration_is_refused),
        cmocka_unit_test(errors_come_when_asked_for),
        cmocka_unit_test(a_removed_file_is_gone_for_good),
        cmocka_unit_test(a_file_in_use_is_not_removed),
        cmocka_unit_test(a_completion_may_remove_its_file),
        cmocka_unit_test(two_files_and_a_disk_at_once),
        cmocka_unit_test(hundreds_of_files_have_their_own_bytes),
        cmocka_unit_test(thousands_of_files_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
