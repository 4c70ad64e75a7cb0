/*
 * Host files as files of the machine: what may be opened and how it is refused, and the same bytes
 * as plain read and write see, whatever was done to them.
 */
#define _GNU_SOURCE 1
#include "unit/file_world.h"

#include "base/prng.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME "test_files_host.file"
#define OTHER "test_files_host.other"
#define LONGEST 20000u

static uint8_t contents[LONGEST];

static void write_host(const char *path, const uint8_t *bytes, uint64_t size)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(file >= 0);
    assert_int_equal(write(file, bytes, size), size);
    assert_int_equal(close(file), 0);
}

static void expect_host(const char *path, const uint8_t *bytes, uint64_t size)
{
    static uint8_t found[LONGEST + 1];
    int file = open(path, O_RDONLY);
    assert_true(file >= 0);
    assert_int_equal(read(file, found, sizeof found), size);
    assert_memory_equal(found, bytes, size);
    assert_int_equal(close(file), 0);
}

static ntmm_status try_host(struct world *w, const char *path, uint32_t flags, uint64_t *device)
{
    return try_file(w, (struct ntmm_emulated_file_config){.path = path, .flags = flags}, device,
                    NULL);
}

/* --- opening --- */

/* The same status, whoever asks and whatever for. */
static void expect_refused(const char *path, ntmm_status status)
{
    struct world w;
    uint64_t device = 99, size = 99;
    make_world(&w, 1);
    assert_int_equal(ntmm_emulated_query_host_file(path, &size), status);
    assert_int_equal(ntmm_emulated_query_host_file(path, NULL), status);
    assert_int_equal(try_host(&w, path, NTMM_EMULATED_FILE_READ_ONLY, &device), status);
    assert_int_equal(try_host(&w, path, 0, &device), status);
    assert_int_equal(device, 99);
    assert_int_equal(size, 99);
    end_world(&w);
}

static void what_has_no_name_is_not_found(void **state)
{
    char longest[5000];
    (void)state;
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = 0;
    write_host(NAME, contents, 1);
    expect_refused("test_files_host.missing", NTMM_STATUS_OBJECT_NAME_NOT_FOUND);
    expect_refused("no/such/folder", NTMM_STATUS_OBJECT_NAME_NOT_FOUND);
    expect_refused(NAME "/below", NTMM_STATUS_OBJECT_NAME_NOT_FOUND);
    expect_refused(longest, NTMM_STATUS_OBJECT_NAME_NOT_FOUND);
    expect_refused("", NTMM_STATUS_OBJECT_NAME_NOT_FOUND);
    assert_int_equal(unlink(NAME), 0);
}

static void a_link_to_itself_is_not_found(void **state)
{
    (void)state;
    assert_int_equal(symlink(OTHER, OTHER), 0);
    expect_refused(OTHER, NTMM_STATUS_OBJECT_NAME_NOT_FOUND);
    assert_int_equal(unlink(OTHER), 0);
}

static void what_has_no_pages_is_no_file(void **state)
{
    (void)state;
    expect_refused(".", NTMM_STATUS_INVALID_FILE_FOR_SECTION);
    expect_refused("/", NTMM_STATUS_INVALID_FILE_FOR_SECTION);
    expect_refused("/dev/null", NTMM_STATUS_INVALID_FILE_FOR_SECTION);
}

/* Whoever waits for a reader of it waits on. */
static void a_pipe_is_not_opened(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(OTHER, 0600), 0);
    pid_t writer = fork();
    assert_true(writer >= 0);
    if (writer == 0)
        _exit(open(OTHER, O_WRONLY) < 0);
    (void)usleep(50000); /* until it waits, so that it would go on */
    expect_refused(OTHER, NTMM_STATUS_INVALID_FILE_FOR_SECTION);
    (void)usleep(20000);
    assert_int_equal(waitpid(writer, NULL, WNOHANG), 0);
    assert_int_equal(kill(writer, SIGKILL), 0);
    assert_int_equal(waitpid(writer, NULL, 0), writer);
    assert_int_equal(unlink(OTHER), 0);
}

/* Root may read anything, so it becomes somebody else. */
static void what_may_not_be_read_is_denied(void **state)
{
    bool is_root = geteuid() == 0;
    (void)state;
    write_host(NAME, contents, 1);
    assert_int_equal(chmod(NAME, 0), 0);
    if (is_root)
        assert_int_equal(seteuid(65534), 0);
    expect_refused(NAME, NTMM_STATUS_ACCESS_DENIED);
    if (is_root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(unlink(NAME), 0);
}

/* A program that runs may be read and not written, by root neither. */
static void what_may_only_be_read_opens_read_only(void **state)
{
    struct world w;
    uint64_t device = 99, size = 0;
    (void)state;
    make_world(&w, 1);
    assert_int_equal(try_host(&w, "/proc/self/exe", 0, &device), NTMM_STATUS_ACCESS_DENIED);
    assert_int_equal(device, 99);
    assert_int_equal(ntmm_emulated_query_host_file("/proc/self/exe", &size), NTMM_STATUS_SUCCESS);
    assert_int_equal(try_host(&w, "/proc/self/exe", NTMM_EMULATED_FILE_READ_ONLY, &device),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_file_size(w.emu, device), size);
    assert_int_equal(transfer(&w, device, NTMM_IO_READ, 0, 0, 4096, NULL), NTMM_STATUS_SUCCESS);
    assert_memory_equal(w.ram, "\177ELF", 4);
    end_world(&w);
}

static void a_missing_file_is_made_and_another_one_kept(void **state)
{
    struct world w;
    uint64_t device;
    (void)state;
    make_world(&w, 1);
    (void)unlink(NAME);
    assert_int_equal(try_host(&w, NAME, NTMM_EMULATED_FILE_CREATE, &device), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_file_size(w.emu, device), 0);
    expect_host(NAME, contents, 0);
    fill_pattern(contents, 300, 1);
    write_host(NAME, contents, 300);
    assert_int_equal(try_host(&w, NAME, NTMM_EMULATED_FILE_CREATE, &device), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_file_size(w.emu, device), 300);
    expect_host(NAME, contents, 300);
    end_world(&w);
    assert_int_equal(unlink(NAME), 0);
}

/* Opening leaves nothing open when it fails, and removing closes. */
static void no_descriptor_is_left(void **state)
{
    struct world w;
    uint64_t device;
    (void)state;
    make_world(&w, 1);
    write_host(NAME, contents, 1);
    int before = open(NAME, O_RDONLY);
    assert_true(before >= 0);
    assert_int_equal(close(before), 0);
    for (uint32_t i = 0; i < 3000; i++) {
        assert_int_equal(ntmm_emulated_query_host_file(NAME, NULL), NTMM_STATUS_SUCCESS);
        assert_int_equal(try_host(&w, NAME, 0, &device), NTMM_STATUS_SUCCESS);
        assert_int_equal(ntmm_emulated_remove_device(w.emu, device), NTMM_STATUS_SUCCESS);
    }
    assert_int_equal(try_host(&w, NAME, 0, &device), NTMM_STATUS_SUCCESS);
    end_world(&w);
    int after = open(NAME, O_RDONLY);
    assert_int_equal(after, before);
    assert_int_equal(close(after), 0);
    assert_int_equal(unlink(NAME), 0);
}

/* --- bytes --- */

static void sizes_and_bytes_are_the_hosts(void **state)
{
    static const uint64_t sizes[] = {0, 1, 511, 512, 513, 4095, 4096, 4097, LONGEST};
    struct world w;
    (void)state;
    make_world(&w, 1);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint64_t device, size = 99, moved;
        const struct ntmm_emulated_file_config file = {.path = NAME,
                                                       .flags = NTMM_EMULATED_FILE_READ_ONLY};
        fill_pattern(contents, sizes[i], i);
        write_host(NAME, contents, sizes[i]);
        assert_int_equal(try_file(&w, file, &device, &size), NTMM_STATUS_SUCCESS);
        assert_int_equal(size, sizes[i]);
        assert_null(ntmm_emulated_disk_image(w.emu, device, NULL));
        memset(w.ram, 0xEE, LONGEST + 1);
        assert_int_equal(transfer(&w, device, NTMM_IO_READ, 0, 0, size + 1, &moved),
                         NTMM_STATUS_END_OF_FILE);
        assert_int_equal(moved, size);
        assert_memory_equal(w.ram, contents, size);
        assert_int_equal(w.ram[size], 0xEE);
        assert_int_equal(transfer(&w, device, NTMM_IO_WRITE, 0, 0, size, NULL),
                         NTMM_STATUS_ACCESS_DENIED);
        assert_int_equal(resize(&w, device, NTMM_IO_EXTEND, size + 1), NTMM_STATUS_ACCESS_DENIED);
        assert_int_equal(resize(&w, device, NTMM_IO_TRUNCATE, 0), NTMM_STATUS_ACCESS_DENIED);
        expect_host(NAME, contents, size);
    }
    end_world(&w);
    assert_int_equal(unlink(NAME), 0);
}

static void a_host_file_grows_up_to_its_maximum(void **state)
{
    struct world w;
    uint64_t free_device, bound, below;
    (void)state;
    make_world(&w, 1);
    memset(contents, 0, sizeof contents);
    write_host(NAME, contents, 100);
    assert_int_equal(try_host(&w, NAME, 0, &free_device), NTMM_STATUS_SUCCESS);
    bound = add_file(&w, (struct ntmm_emulated_file_config){.path = NAME, .maximum_bytes = 200});
    below = add_file(&w, (struct ntmm_emulated_file_config){.path = NAME, .maximum_bytes = 50});
    assert_int_equal(resize(&w, below, NTMM_IO_EXTEND, 100), NTMM_STATUS_SUCCESS);
    assert_int_equal(resize(&w, below, NTMM_IO_EXTEND, 101), NTMM_STATUS_DISK_FULL);
    assert_int_equal(resize(&w, bound, NTMM_IO_EXTEND, 201), NTMM_STATUS_DISK_FULL);
    expect_host(NAME, contents, 100);
    assert_int_equal(resize(&w, bound, NTMM_IO_EXTEND, 200), NTMM_STATUS_SUCCESS);
    expect_host(NAME, contents, 200);
    assert_int_equal(resize(&w, free_device, NTMM_IO_EXTEND, 5001), NTMM_STATUS_SUCCESS);
    expect_host(NAME, contents, 5001);
    assert_int_equal(resize(&w, free_device, NTMM_IO_EXTEND, UINT64_C(1) << 63),
                     NTMM_STATUS_DISK_FULL);
    end_world(&w);
    assert_int_equal(unlink(NAME), 0);
}

/* Somebody else makes it shorter: an error, as of a disk that is gone. */
static void what_the_host_lost_is_an_error(void **state)
{
    struct world w;
    uint64_t device, moved;
    uint8_t byte;
    (void)state;
    make_world(&w, 1);
    write_host(NAME, contents, 5000);
    assert_int_equal(try_host(&w, NAME, 0, &device), NTMM_STATUS_SUCCESS);
    assert_int_equal(truncate(NAME, 10), 0);
    assert_int_equal(transfer(&w, device, NTMM_IO_READ, 4096, 0, 904, &moved),
                     NTMM_STATUS_DEVICE_DATA_ERROR);
    assert_int_equal(moved, 0);
    assert_int_equal(ntmm_emulated_read_disk(w.emu, device, 4096, &byte, 1),
                     NTMM_STATUS_DEVICE_DATA_ERROR);
    assert_int_equal(transfer(&w, device, NTMM_IO_READ, 0, 0, 10, NULL), NTMM_STATUS_SUCCESS);
    end_world(&w);
    assert_int_equal(unlink(NAME), 0);
}

/* --- any history --- */

/* What a file should be: an array and a size. */
struct model {
    uint8_t bytes[LONGEST];
    uint64_t size;
};

static ntmm_status write_model(struct model *m, uint64_t offset, const uint8_t *from, uint64_t size)
{
    if (offset > m->size || size > m->size - offset)
        return NTMM_STATUS_DISK_FULL;
    memcpy(m->bytes + offset, from, size);
    return NTMM_STATUS_SUCCESS;
}

static ntmm_status resize_model(struct model *m, enum ntmm_io_operation operation, uint64_t size)
{
    if (operation == NTMM_IO_EXTEND && size > LONGEST)
        return NTMM_STATUS_DISK_FULL;
    if (operation == NTMM_IO_TRUNCATE && size > m->size)
        return NTMM_STATUS_INVALID_PARAMETER;
    if (operation == NTMM_IO_TRUNCATE)
        memset(m->bytes + size, 0, m->size - size);
    if (operation == NTMM_IO_TRUNCATE || size > m->size)
        m->size = size;
    return NTMM_STATUS_SUCCESS;
}

static void read_both(struct world *w, uint64_t device, const struct model *m, uint64_t offset,
                      uint64_t ram, uint64_t size)
{
    uint64_t there = offset < m->size ? m->size - offset : 0, moved;
    bool is_short = there < size;
    there = is_short ? there : size;
    memset(w->ram + ram, 0xEE, size + 1);
    assert_int_equal(transfer(w, device, NTMM_IO_READ, offset, ram, size, &moved),
                     is_short ? NTMM_STATUS_END_OF_FILE : NTMM_STATUS_SUCCESS);
    assert_int_equal(moved, there);
    assert_memory_equal(w->ram + ram, m->bytes + offset, there);
    assert_int_equal(w->ram[ram + there], 0xEE);
}

static void do_both(struct world *w, struct prng *prng, uint64_t device, struct model *m)
{
    uint64_t offset = prng_below(prng, LONGEST), ram = prng_below(prng, 5000);
    uint64_t size = prng_below(prng, 2) ? prng_below(prng, 9000) : prng_below(prng, 600);
    enum ntmm_io_operation operation = (enum ntmm_io_operation)prng_below(prng, 5);
    if (prng_below(prng, 4) == 0) /* up to the very end, or one byte too far */
        size = (m->size > offset ? m->size - offset : 0) + prng_below(prng, 2);
    if (operation == NTMM_IO_READ) {
        read_both(w, device, m, offset, ram, size);
    } else if (operation == NTMM_IO_WRITE) {
        fill_pattern(w->ram + ram, size, prng_next(prng));
        ntmm_status expected = write_model(m, offset, w->ram + ram, size);
        assert_int_equal(transfer(w, device, NTMM_IO_WRITE, offset, ram, size, NULL), expected);
    } else if (operation == NTMM_IO_FLUSH) {
        assert_int_equal(resize(w, device, NTMM_IO_FLUSH, 0), NTMM_STATUS_SUCCESS);
    } else {
        uint64_t to = operation == NTMM_IO_EXTEND ? offset + 200 : offset;
        assert_int_equal(resize(w, device, operation, to), resize_model(m, operation, to));
    }
    assert_int_equal(ntmm_emulated_file_size(w->emu, device), m->size);
}

/* The file after `count` random operations, which is what the model is. */
static void live(struct ntmm_emulated_file_config file, uint64_t seed, struct model *m)
{
    static uint8_t found[LONGEST];
    struct world w;
    struct prng prng;
    prng_seed(&prng, seed);
    make_world(&w, seed);
    memset(m, 0, sizeof *m);
    file.maximum_bytes = LONGEST;
    uint64_t device = add_file(&w, file);
    for (uint32_t i = 0; i < 400; i++)
        do_both(&w, &prng, device, m);
    assert_int_equal(ntmm_emulated_read_disk(w.emu, device, 0, found, m->size),
                     NTMM_STATUS_SUCCESS);
    assert_memory_equal(found, m->bytes, m->size);
    assert_int_equal(ntmm_emulated_read_disk(w.emu, device, 1, found, m->size),
                     NTMM_STATUS_END_OF_FILE);
    end_world(&w);
}

static void any_history_leaves_what_it_should(void **state)
{
    static struct model m;
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        live((struct ntmm_emulated_file_config){0}, seed, &m);
        live((struct ntmm_emulated_file_config){.flags = NTMM_EMULATED_FILE_WRITE_CACHE}, seed, &m);
        (void)unlink(NAME);
        live((struct ntmm_emulated_file_config){.path = NAME, .flags = NTMM_EMULATED_FILE_CREATE},
             seed, &m);
        expect_host(NAME, m.bytes, m.size);
    }
    assert_int_equal(unlink(NAME), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_no_name_is_not_found),
        cmocka_unit_test(a_link_to_itself_is_not_found),
        cmocka_unit_test(what_has_no_pages_is_no_file),
        cmocka_unit_test(a_pipe_is_not_opened),
        cmocka_unit_test(what_may_not_be_read_is_denied),
        cmocka_unit_test(what_may_only_be_read_opens_read_only),
        cmocka_unit_test(a_missing_file_is_made_and_another_one_kept),
        cmocka_unit_test(no_descriptor_is_left),
        cmocka_unit_test(sizes_and_bytes_are_the_hosts),
        cmocka_unit_test(a_host_file_grows_up_to_its_maximum),
        cmocka_unit_test(what_the_host_lost_is_an_error),
        cmocka_unit_test(any_history_leaves_what_it_should),
    };
    (void)unlink(NAME); /* of a run that failed */
    (void)unlink(OTHER);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
