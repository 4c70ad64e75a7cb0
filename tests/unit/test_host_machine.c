/*
 * Machines on a host that refuses: each call of the host that making a machine, its system, its
 * coroutines, its devices and its file takes fails in turn, alone and with all that follow. What
 * failed says so with the status of the contract, has changed nothing and kept nothing, and
 * succeeds when it is tried again.
 */
#define _GNU_SOURCE 1
#include "unit/file_world.h"
#include "unit/host_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "test_host_machine.file"
#define RAM_BYTES (256u * WORLD_PAGE)

static struct world w;
static uint64_t hash, device, size;

static void end_machine(void)
{
    ntmm_emulated_destroy(w.emu, NULL);
    w.emu = NULL;
}

/* With a hole, asked to have huge pages, and a page that is not zero on both sides of the hole. */
static ntmm_status create(void)
{
    const struct ntmm_emulated_config config = {
        .size = sizeof config,
        .version = NTMM_EMULATED_CONFIG_VERSION,
        .ram_bytes = RAM_BYTES,
        .base_pa = 16 * WORLD_PAGE,
        .hole_base_pa = 100 * WORLD_PAGE,
        .hole_bytes = 4 * WORLD_PAGE,
        .flags = NTMM_EMULATED_HUGE_PAGES,
        .cpu_count = 2,
    };
    return ntmm_emulated_create(&config, &w.emu);
}

static void prepare_machine(void)
{
    assert_int_equal(create(), NTMM_STATUS_SUCCESS);
    w.platform = ntmm_emulated_platform(w.emu);
    w.ram = ntmm_emulated_arena(w.emu, NULL);
    w.ram[5] = 1;
    w.ram[RAM_BYTES + 3 * WORLD_PAGE] = 2;
    hash = ntmm_emulated_hash(w.emu);
}

/* --- machines and systems --- */

static void check_machine(ntmm_status status)
{
    if (status == NTMM_STATUS_SUCCESS)
        return;
    assert_int_equal(status, NTMM_STATUS_INSUFFICIENT_RESOURCES);
    assert_null(w.emu);
}

static void a_machine_is_made_or_not(void **state)
{
    const struct host_scenario scenario = {
        .act = create, .check = check_machine, .end = end_machine};
    (void)state;
    host_sweep_both(&scenario, HOST_ALL, ENOMEM);
}

static ntmm_status create_system(void)
{
    struct ntmm_system *system;
    return ntmm_emulated_create_system(w.emu, NULL, &system);
}

static void check_system(ntmm_status status)
{
    if (status == NTMM_STATUS_SUCCESS)
        return;
    assert_int_equal(status, NTMM_STATUS_INSUFFICIENT_RESOURCES);
    assert_null(ntmm_emulated_system(w.emu));
    assert_int_equal(create_system(), NTMM_STATUS_SUCCESS);
}

static void a_system_is_made_or_not(void **state)
{
    const struct host_scenario scenario = {.prepare = prepare_machine,
                                           .act = create_system,
                                           .check = check_system,
                                           .end = end_machine};
    (void)state;
    host_sweep_both(&scenario, HOST_ALL, ENOMEM);
}

/* --- coroutines --- */

static uint32_t calls;

static void count_call(void *context)
{
    (void)context;
    calls++;
}

static ntmm_status spawn_and_run(void)
{
    calls = 0;
    ntmm_status status = ntmm_emulated_spawn(w.emu, 0, count_call, NULL, 0);
    return status == NTMM_STATUS_SUCCESS ? ntmm_emulated_run(w.emu) : status;
}

static void check_run(ntmm_status status)
{
    if (status != NTMM_STATUS_SUCCESS) {
        assert_int_equal(status, NTMM_STATUS_INSUFFICIENT_RESOURCES);
        assert_int_equal(calls, 0);
        assert_int_equal(ntmm_emulated_spawn(w.emu, 0, count_call, NULL, 0), NTMM_STATUS_SUCCESS);
        assert_int_equal(ntmm_emulated_run(w.emu), NTMM_STATUS_SUCCESS);
    }
    assert_in_range(calls, 1, 2); /* one that was made runs later */
}

static void coroutines_run_or_are_not_made(void **state)
{
    const struct host_scenario scenario = {
        .prepare = prepare_machine, .act = spawn_and_run, .check = check_run, .end = end_machine};
    (void)state;
    host_sweep_both(&scenario, HOST_ALL, ENOMEM);
    prepare_machine();
    assert_int_equal(ntmm_emulated_spawn(w.emu, 0, count_call, NULL, SIZE_MAX),
                     NTMM_STATUS_INSUFFICIENT_RESOURCES);
    end_machine();
}

/* --- devices --- */

static struct ntmm_emulated_file_config file;

/* As many as there is room for at first, so that the next one needs more. */
static void prepare_devices(void)
{
    prepare_machine();
    for (uint32_t i = 0; i < 8; i++)
        (void)add_file(&w, (struct ntmm_emulated_file_config){.size_bytes = 512});
    device = size = 99;
}

static ntmm_status add_one(void) { return try_file(&w, file, &device, &size); }

static void check_device(ntmm_status status)
{
    if (status != NTMM_STATUS_SUCCESS) {
        assert_int_equal(status, NTMM_STATUS_INSUFFICIENT_RESOURCES);
        assert_int_equal(device, 99);
        assert_int_equal(size, 99);
        assert_int_equal(ntmm_emulated_file_size(w.emu, 8), UINT64_MAX);
        assert_int_equal(add_one(), NTMM_STATUS_SUCCESS);
    }
    assert_int_equal(device, 8);
    assert_int_equal(ntmm_emulated_file_size(w.emu, 8), size);
}

static void a_device_is_added_or_not(void **state)
{
    static const uint8_t contents[700] = {7};
    const struct ntmm_emulated_file_config files[] = {
        {.size_bytes = 700, .contents = contents},
        {.size_bytes = 700, .flags = NTMM_EMULATED_FILE_WRITE_CACHE},
        {.path = NAME, .flags = NTMM_EMULATED_FILE_CREATE},
    };
    const struct host_scenario scenario = {
        .prepare = prepare_devices, .act = add_one, .check = check_device, .end = end_machine};
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        file = files[i];
        host_sweep_both(&scenario, HOST_ALL, EMFILE);
    }
    assert_int_equal(unlink(NAME), 0);
}

static ntmm_status add_disk(void)
{
    const struct ntmm_emulated_disk_config disk = {.size = sizeof disk,
                                                   .version = NTMM_EMULATED_DISK_VERSION,
                                                   .size_bytes = 3 * WORLD_PAGE,
                                                   .path = NAME};
    (void)unlink(NAME);
    return ntmm_emulated_add_disk(w.emu, &disk, &device);
}

/* A disk's file is sized too. */
static void check_disk(ntmm_status status)
{
    struct stat information;
    if (status != NTMM_STATUS_SUCCESS) {
        assert_true(status == NTMM_STATUS_INSUFFICIENT_RESOURCES ||
                    status == NTMM_STATUS_OBJECT_NAME_NOT_FOUND);
        assert_int_equal(device, 99);
        assert_int_equal(add_disk(), NTMM_STATUS_SUCCESS);
    }
    assert_int_equal(device, 8);
    assert_int_equal(stat(NAME, &information), 0);
    assert_int_equal(information.st_size, 3 * WORLD_PAGE);
}

static void a_disk_in_a_file_is_added_or_not(void **state)
{
    const struct host_scenario scenario = {
        .prepare = prepare_devices, .act = add_disk, .check = check_disk, .end = end_machine};
    (void)state;
    host_sweep_both(&scenario, HOST_ALL, ENOSPC);
    assert_int_equal(unlink(NAME), 0);
}

/* What the host says of a file is told in NT's words. */
static void errors_of_the_host_have_a_status(void **state)
{
    static const struct {
        int error;
        ntmm_status status;
    } cases[] = {
        {ENOENT, NTMM_STATUS_OBJECT_NAME_NOT_FOUND},
        {ELOOP, NTMM_STATUS_OBJECT_NAME_NOT_FOUND},
        {EACCES, NTMM_STATUS_ACCESS_DENIED},
        {EPERM, NTMM_STATUS_ACCESS_DENIED},
        {EROFS, NTMM_STATUS_ACCESS_DENIED},
        {ETXTBSY, NTMM_STATUS_ACCESS_DENIED},
        {EISDIR, NTMM_STATUS_INVALID_FILE_FOR_SECTION},
        {ENXIO, NTMM_STATUS_INVALID_FILE_FOR_SECTION},
        {EMFILE, NTMM_STATUS_INSUFFICIENT_RESOURCES},
        {EIO, NTMM_STATUS_INSUFFICIENT_RESOURCES},
    };
    (void)state;
    prepare_devices();
    file = (struct ntmm_emulated_file_config){.path = "/proc/self/exe",
                                              .flags = NTMM_EMULATED_FILE_READ_ONLY};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (uint64_t after = 1; after <= 2; after++) { /* open, fstat */
            host_fail(HOST_OPEN, after, 1, cases[i].error);
            assert_int_equal(add_one(), cases[i].status);
            assert_int_equal(host_end_failures(), 1);
            assert_int_equal(device, 99);
        }
    }
    end_machine();
}

/* What takes a file's place after it was looked at is seen when it is open. */
static void what_becomes_a_device_is_refused(void **state)
{
    const struct host_holdings before = host_held();
    uint64_t bytes = 99;
    (void)state;
    host_fail(HOST_OPEN, 0, 1, ENOENT);
    assert_int_equal(ntmm_emulated_query_host_file("/dev/null", &bytes),
                     NTMM_STATUS_INVALID_FILE_FOR_SECTION);
    assert_int_equal(host_end_failures(), 1);
    assert_int_equal(bytes, 99);
    assert_int_equal(host_held().files, before.files);
}

/* --- transfers --- */

#define FILE_BYTES (70u * WORLD_PAGE)

static const struct operation {
    enum ntmm_io_operation operation;
    uint64_t offset, length;
    ntmm_status failed;
} operations[] = {
    {NTMM_IO_READ, 100, 5000, NTMM_STATUS_DEVICE_DATA_ERROR},
    {NTMM_IO_WRITE, 100, 5000, NTMM_STATUS_DEVICE_DATA_ERROR},
    {NTMM_IO_FLUSH, 0, 0, NTMM_STATUS_DEVICE_DATA_ERROR},
    {NTMM_IO_EXTEND, FILE_BYTES + 5, 0, NTMM_STATUS_DISK_FULL},
    {NTMM_IO_TRUNCATE, FILE_BYTES - 5, 0, NTMM_STATUS_DEVICE_DATA_ERROR},
};
static const struct operation *operation;
static uint32_t machine_flags;

static void prepare_file(void)
{
    const struct ntmm_emulated_config config = {.size = sizeof config,
                                                .version = NTMM_EMULATED_CONFIG_VERSION,
                                                .ram_bytes = RAM_BYTES,
                                                .flags = machine_flags};
    assert_int_equal(ntmm_emulated_create(&config, &w.emu), NTMM_STATUS_SUCCESS);
    w.platform = ntmm_emulated_platform(w.emu);
    w.ram = ntmm_emulated_arena(w.emu, NULL);
    (void)unlink(NAME);
    device = add_file(
        &w, (struct ntmm_emulated_file_config){.path = NAME, .flags = NTMM_EMULATED_FILE_CREATE});
    assert_int_equal(resize(&w, device, NTMM_IO_EXTEND, FILE_BYTES), NTMM_STATUS_SUCCESS);
    fill_pattern(w.ram, 16 * WORLD_PAGE, 3);
    assert_int_equal(transfer(&w, device, NTMM_IO_WRITE, 0, 0, 8 * WORLD_PAGE, NULL),
                     NTMM_STATUS_SUCCESS);
}

/* SUCCESS of the transfer, or what submit or the completion says. */
static ntmm_status do_transfer(void)
{
    struct request r;
    prepare(&w, &r, device, operation->operation, operation->offset);
    add_spans(&r, 9 * WORLD_PAGE, operation->length);
    ntmm_status status = w.platform->submit(w.emu, &r.io);
    pump(&w, 8);
    assert_int_equal(r.completions, status == NTMM_STATUS_SUCCESS);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (r.io.status != NTMM_STATUS_SUCCESS)
        assert_int_equal(r.io.transferred_bytes, 0);
    return r.io.status;
}

/* A transfer that failed may be tried again, and then the file is what it should be. */
static void check_transfer(ntmm_status status)
{
    if (status != NTMM_STATUS_SUCCESS) {
        assert_true(status == operation->failed || status == NTMM_STATUS_INSUFFICIENT_RESOURCES);
        assert_int_equal(ntmm_emulated_file_size(w.emu, device), FILE_BYTES);
        assert_int_equal(do_transfer(), NTMM_STATUS_SUCCESS);
    }
    if (operation->operation == NTMM_IO_READ)
        assert_memory_equal(w.ram + 9 * WORLD_PAGE, w.ram + 100, operation->length);
    if (operation->operation == NTMM_IO_WRITE) {
        static uint8_t bytes[5000];
        assert_int_equal(ntmm_emulated_read_disk(w.emu, device, 100, bytes, sizeof bytes),
                         NTMM_STATUS_SUCCESS);
        assert_memory_equal(bytes, w.ram + 9 * WORLD_PAGE, sizeof bytes);
    }
    if (operation->operation == NTMM_IO_EXTEND || operation->operation == NTMM_IO_TRUNCATE)
        assert_int_equal(ntmm_emulated_file_size(w.emu, device), operation->offset);
}

static const struct host_scenario transfers = {
    .prepare = prepare_file, .act = do_transfer, .check = check_transfer, .end = end_machine};

static void for_each_operation(void (*sweep)(void))
{
    for (machine_flags = 0; machine_flags <= NTMM_EMULATED_THREADS; machine_flags++) {
        for (uint32_t i = 0; i < sizeof operations / sizeof *operations; i++) {
            operation = &operations[i];
            sweep();
        }
    }
    machine_flags = 0;
    assert_int_equal(unlink(NAME), 0);
}

static void sweep_errors(void) { host_sweep_both(&transfers, HOST_ALL, EIO); }

static void a_transfer_is_whole_or_fails(void **state)
{
    (void)state;
    for_each_operation(sweep_errors);
}

static ntmm_status must_transfer(void)
{
    assert_int_equal(do_transfer(), NTMM_STATUS_SUCCESS);
    return NTMM_STATUS_SUCCESS;
}

/* A signal, and a file system that moves less than it was asked to, are no errors. */
static void sweep_interruptions(void)
{
    struct host_scenario interrupted = transfers;
    interrupted.act = must_transfer;
    if (operation->length != 0)
        assert_true(host_sweep(&interrupted, HOST_READ | HOST_WRITE, 3, EINTR) != 0);
    host_limit_transfers(700);
    (void)host_sweep(&interrupted, 0, 1, 0);
    host_limit_transfers(0);
}

static void an_interrupted_transfer_goes_on(void **state)
{
    (void)state;
    for_each_operation(sweep_interruptions);
}

/* 70 runs of memory with a gap behind each: they go in two parts, and the first or the second
 * fails. */
static void a_part_of_a_transfer_fails(void **state)
{
    struct ntmm_content_span spans[70];
    (void)state;
    prepare_file();
    for (uint32_t i = 0; i < 70; i++)
        spans[i] = (struct ntmm_content_span){2 * i, 0, 16};
    for (uint64_t after = 0; after < 3; after++) {
        struct request r;
        prepare(&w, &r, device, NTMM_IO_READ, 0);
        r.io.spans = spans;
        r.io.span_count = 70;
        submit(&r);
        host_fail(HOST_READ, after, 1, EIO);
        pump(&w, 8);
        assert_int_equal(host_end_failures(), after < 2);
        assert_int_equal(r.io.status,
                         after < 2 ? NTMM_STATUS_DEVICE_DATA_ERROR : NTMM_STATUS_SUCCESS);
        assert_int_equal(r.io.transferred_bytes, after < 2 ? 0 : 70 * 16);
    }
    host_fail(HOST_READ, 0, 1, EIO);
    assert_int_equal(ntmm_emulated_read_disk(w.emu, device, 0, w.ram, 10),
                     NTMM_STATUS_DEVICE_DATA_ERROR);
    (void)host_end_failures();
    end_machine();
    assert_int_equal(unlink(NAME), 0);
}

/* --- a machine's file --- */

static ntmm_status save(void) { return ntmm_emulated_save(w.emu, NAME); }

static ntmm_status restore_from(const char *path, struct ntmm_emulated **emu)
{
    const struct ntmm_emulated_config config = {.size = sizeof config,
                                                .version = NTMM_EMULATED_CONFIG_VERSION};
    return ntmm_emulated_restore(&config, path, emu);
}

static void must_restore(const char *path)
{
    struct ntmm_emulated *emu = NULL;
    assert_int_equal(restore_from(path, &emu), NTMM_STATUS_SUCCESS);
    assert_true(ntmm_emulated_hash(emu) == hash);
    ntmm_emulated_destroy(emu, NULL);
}

static void check_saved(ntmm_status status)
{
    assert_true(ntmm_emulated_hash(w.emu) == hash);
    if (status != NTMM_STATUS_SUCCESS) {
        assert_int_equal(status, NTMM_STATUS_UNSUCCESSFUL);
        assert_int_equal(save(), NTMM_STATUS_SUCCESS);
    }
    must_restore(NAME);
}

static ntmm_status must_save(void)
{
    assert_int_equal(save(), NTMM_STATUS_SUCCESS);
    return NTMM_STATUS_SUCCESS;
}

static void a_machine_is_saved_or_not(void **state)
{
    struct host_scenario scenario = {
        .prepare = prepare_machine, .act = save, .check = check_saved, .end = end_machine};
    (void)state;
    host_sweep_both(&scenario, HOST_ALL, ENOSPC);
    scenario.act = must_save;
    assert_true(host_sweep(&scenario, HOST_WRITE, 2, EINTR) != 0);
    host_limit_transfers(1000);
    (void)host_sweep(&scenario, 0, 1, 0);
    host_limit_transfers(0);
    assert_int_equal(unlink(NAME), 0);
}

static struct ntmm_emulated *restored;

static ntmm_status restore(void) { return restore_from(NAME, &restored); }

static void check_restored(ntmm_status status)
{
    if (status == NTMM_STATUS_SUCCESS) {
        assert_true(ntmm_emulated_hash(restored) == hash);
        ntmm_emulated_destroy(restored, NULL);
        restored = NULL;
        return;
    }
    assert_true(status == NTMM_STATUS_INSUFFICIENT_RESOURCES ||
                status == NTMM_STATUS_FILE_INVALID || status == NTMM_STATUS_OBJECT_NAME_NOT_FOUND);
    assert_null(restored);
}

static ntmm_status must_restore_again(void)
{
    assert_int_equal(restore(), NTMM_STATUS_SUCCESS);
    return NTMM_STATUS_SUCCESS;
}

static void a_machine_is_restored_or_not(void **state)
{
    struct host_scenario scenario = {.act = restore, .check = check_restored};
    (void)state;
    prepare_machine();
    assert_int_equal(save(), NTMM_STATUS_SUCCESS);
    end_machine();
    host_sweep_both(&scenario, HOST_ALL, EIO);
    scenario.act = must_restore_again;
    assert_true(host_sweep(&scenario, HOST_READ, 2, EINTR) != 0);
    host_limit_transfers(1000);
    (void)host_sweep(&scenario, 0, 1, 0);
    host_limit_transfers(0);
    assert_int_equal(unlink(NAME), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_is_made_or_not),
        cmocka_unit_test(a_system_is_made_or_not),
        cmocka_unit_test(coroutines_run_or_are_not_made),
        cmocka_unit_test(a_device_is_added_or_not),
        cmocka_unit_test(a_disk_in_a_file_is_added_or_not),
        cmocka_unit_test(errors_of_the_host_have_a_status),
        cmocka_unit_test(what_becomes_a_device_is_refused),
        cmocka_unit_test(a_transfer_is_whole_or_fails),
        cmocka_unit_test(an_interrupted_transfer_goes_on),
        cmocka_unit_test(a_part_of_a_transfer_fails),
        cmocka_unit_test(a_machine_is_saved_or_not),
        cmocka_unit_test(a_machine_is_restored_or_not),
    };
    return cmocka_run_group_tests_name("host_machine", tests, NULL, NULL);
}
