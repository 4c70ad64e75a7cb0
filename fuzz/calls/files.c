/*
 * Files in memory, and the calls about them: made, opened, read, written, sized, flushed, purged,
 * closed.
 */
#include "calls/world.h"

#include <ntmm/file.h>

#include <string.h>

#define FILE_RIGHTS (NTMM_FILE_READ_DATA | NTMM_FILE_WRITE_DATA | NTMM_FILE_EXECUTE)
#define MOST_BYTES 0x80000u
#define MOST_SIZE 0x800000000000ull

static uint32_t take_access(struct world *w)
{
    return one_in(w, 16) ? take32(w) : one_in(w, 4) ? take8(w) & FILE_RIGHTS : FILE_RIGHTS;
}

/* A place in a file: in its first pages, most likely. */
uint64_t take_file_offset(struct world *w)
{
    uint8_t kind = take8(w);

    if (kind < 128) {
        return (kind % 32u) * 0x1000ull;
    }
    return kind < 248 ? take32(w) % MOST_BYTES : take_any(w);
}

static ntmm_handle take_file(struct world *w)
{
    return take_of(w, w->files, w->next_file, FILE_COUNT);
}

/* A device in memory, with what is configured badly about devices in its turn. */
static bool add_device(struct world *w, uint64_t *device, uint64_t *size)
{
    static const uint32_t FLAGS[] = {
        0,
        NTMM_EMULATED_FILE_INLINE,
        NTMM_EMULATED_FILE_WRITE_CACHE,
        NTMM_EMULATED_FILE_STALE,
        NTMM_EMULATED_FILE_INLINE | NTMM_EMULATED_FILE_STALE,
        NTMM_EMULATED_FILE_WRITE_CACHE | NTMM_EMULATED_FILE_STALE,
        0,
        NTMM_EMULATED_FILE_READ_ONLY,
    };
    struct ntmm_emulated_file_config file = {
        .size = sizeof(file),
        .version = NTMM_EMULATED_FILE_VERSION,
        .size_bytes = take_file_offset(w) % MOST_BYTES,
        .maximum_bytes = MOST_BYTES,
        .flags = FLAGS[take8(w) % 8],
    };

    if (w->device_count == DEVICE_COUNT ||
        CALL(w, emulated_add_file, w->emu, &file, device, size)) {
        return false;
    }
    w->devices[w->device_count++] = *device;
    return true;
}

void add_file_object(struct world *w, ntmm_handle handle)
{
    w->files[w->next_file++ % FILE_COUNT] = handle;
    add_handle(w, handle);
}

void create_file_object(struct world *w)
{
    static const uint16_t NAME[] = {'\\', 'a', '.', 'b'};
    uint64_t device = w->devices[take8(w) % DEVICE_COUNT];
    uint64_t size = take_file_offset(w) % MOST_BYTES;
    uint8_t kind = take8(w);
    ntmm_handle handle = 77;
    struct ntmm_file_config config = {
        .size = one_in(w, 32) ? take32(w) : (uint32_t)sizeof(config),
        .version = one_in(w, 32) ? take32(w) : NTMM_FILE_CONFIG_VERSION,
        .flags = one_in(w, 16) ? take8(w) : 0,
        .name = NAME,
        .name_units = kind & 1 ? 4 : 0,
    };

    if (kind & 6) {
        (void)add_device(w, &device, &size);
    }
    config.device = device;
    config.size_bytes = kind == 255 ? take_any(w) : size;
    config.valid_bytes = kind & 8 ? size - (size ? take32(w) % size : 0) : size;
    config.valid_bytes = kind == 254 ? take_any(w) : config.valid_bytes;
    if (!device) {
        return;
    }
    if (CALL(w, create_file, w->system, &config, take_access(w), &handle)) {
        must(w, handle == 77, "a failed creation wrote the handle");
        return;
    }
    add_file_object(w, handle);
}

static void open_file(struct world *w)
{
    ntmm_handle file = take_file(w);
    ntmm_handle handle = 77;

    if (CALL(w, open_file, w->system, file, take_access(w), &handle)) {
        must(w, handle == 77, "a failed opening wrote the handle");
        return;
    }
    w->files[w->next_file++ % FILE_COUNT] = handle;
}

static void close_file(struct world *w) { (void)CALL(w, close_file, w->system, take_file(w)); }

static void query_file(struct world *w)
{
    struct ntmm_file_information information;

    memset(&information, POISON, sizeof(information));
    if (CALL(w, query_file, w->system, take_file(w), &information)) {
        must(w, is_poison(&information, sizeof(information)), "a failed query wrote");
        return;
    }
    must(w, information.valid_bytes <= information.size_bytes, "valid data past the end");
    must(w, information.handle_count != 0, "a file that is open without a handle");
}

static void set_size(struct world *w)
{
    ntmm_handle file = take_file(w);

    (void)CALL(w, set_file_size, w->system, file, take_file_offset(w));
}

static void can_delete(struct world *w) { (void)CALL(w, can_delete_file, w->system, take_file(w)); }

/* A size that the buffer has, or one that must be refused. */
static uint64_t take_bytes(struct world *w)
{
    uint8_t kind = take8(w);

    if (kind < 200) {
        return take32(w) % 0x4000;
    }
    return kind < 252 ? take32(w) % BUFFER_LIMIT : MOST_SIZE + take_any(w) / 2;
}

static void read_file(struct world *w)
{
    ntmm_handle file = take_file(w);
    uint64_t offset = take_file_offset(w);
    uint64_t size = take_bytes(w);
    bool is_null = size > BUFFER_LIMIT || one_in(w, 64);
    uint8_t *buffer = take_buffer(w, size <= BUFFER_LIMIT ? size : 0);
    bool counts = size % 61 != 60;
    uint64_t moved = counts ? 77 : 0;
    ntmm_status status = CALL(w, read_file, w->system, file, offset, is_null ? NULL : buffer, size,
                              counts ? &moved : NULL);

    must(w, counts || status, "a read without its count succeeds");
    must(w, moved <= size, "more was read than asked for");
    must(w, status || moved != 0 || size == 0, "a successful read is empty");
    release_buffer(w);
}

static void write_file(struct world *w)
{
    ntmm_handle file = take_file(w);
    uint64_t offset = take_file_offset(w);
    uint64_t size = take_bytes(w);
    bool is_null = size <= BUFFER_LIMIT && one_in(w, 64);
    uint8_t *buffer = take_buffer(w, size <= BUFFER_LIMIT ? size : 0);
    bool counts = size % 61 != 60;
    uint64_t moved = counts ? 77 : 0;
    ntmm_status status = CALL(w, write_file, w->system, file, offset, is_null ? NULL : buffer, size,
                              counts ? &moved : NULL);

    must(w, counts || status, "a write without its count succeeds");
    must(w, moved <= size, "more was written than asked for");
    must(w, status || moved == size, "a successful write is not whole");
    release_buffer(w);
}

static void flush_file(struct world *w)
{
    ntmm_handle file = take_file(w);
    uint64_t offset = take_file_offset(w);

    (void)CALL(w, flush_file, w->system, file, offset,
               one_in(w, 2)   ? 0
               : one_in(w, 8) ? take_any(w)
                              : take_bytes(w));
}

/* At once, since nobody would wake a call that waits; and perhaps for a moment only. */
void lock_file(struct world *w)
{
    ntmm_handle file = take_file(w);
    uint64_t offset = take_file_offset(w);
    uint64_t length = one_in(w, 8) ? take_any(w) : take_bytes(w);
    uint32_t flags = one_in(w, 16) ? take8(w) | 1u : (take8(w) & 2u) | 1u;
    uint32_t key = take8(w) % 2u;

    if (!CALL(w, lock_file, w->system, file, offset, length, key, flags) && one_in(w, 2)) {
        (void)CALL(w, unlock_file, w->system, file, offset, length, key);
    }
}

void unlock_file(struct world *w)
{
    ntmm_handle file = take_file(w);
    uint64_t offset = take_file_offset(w);

    (void)CALL(w, unlock_file, w->system, file, offset, one_in(w, 8) ? take_any(w) : take_bytes(w),
               take8(w) % 2u);
}

static void purge_file(struct world *w) { (void)CALL(w, purge_file, w->system, take_file(w)); }

static void write_mapped(struct world *w) { (void)ntmm_write_mapped_pages(w->system, take8(w)); }

static void fail_device(struct world *w)
{
    struct ntmm_emulated_disk_errors errors = {
        .operations = take8(w) % 32u,
        .is_refused = one_in(w, 2),
        .after = take8(w) % 8,
        .count = take8(w) % 8,
        .status = NTMM_STATUS_DEVICE_DATA_ERROR,
    };

    errors.is_torn = errors.after & 1;
    if (w->device_count) {
        w->is_injecting = true;
        (void)CALL(w, emulated_inject_disk, w->emu, w->devices[take8(w) % w->device_count],
                   &errors);
    }
}

static void cut_device(struct world *w)
{
    if (w->device_count) {
        uint64_t device = w->devices[take8(w) % w->device_count];

        w->is_injecting = true;
        (void)CALL(w, emulated_cut_power, w->emu, device, take8(w) % 4);
    }
}

const struct verb FILE_VERBS[] = {
    {"create-file-object", create_file_object},
    {"open-file", open_file},
    {"close-file", close_file},
    {"query-file", query_file},
    {"set-file-size", set_size},
    {"can-delete-file", can_delete},
    {"read-file", read_file},
    {"write-file", write_file},
    {"flush-file", flush_file},
    {"purge-file", purge_file},
    {"write-mapped", write_mapped},
    {"fail-device", fail_device},
    {"cut-device", cut_device},
};
const unsigned FILE_VERB_COUNT = sizeof(FILE_VERBS) / sizeof(FILE_VERBS[0]);
