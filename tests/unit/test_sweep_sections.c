/*
 * A scenario of sections in which the 1st, 2nd, 3rd ... frame allocation, content operation, read,
 * write, flush or extension fails, once and from there on: a call that fails changes no process,
 * pages hold what was last stored, and what was flushed is in the file.
 *
 *   file      |f f f f f f f f f|g g g      g: after the section was extended
 *   SHARED     s   s   s   s   s            stored through one view, seen by others and the file
 *   COPY         c     c     c              copied on write: seen by one view alone
 *   PRIVATE   p p p p p p p p p             a section of page files, committed at once
 *   RESERVED  r r r                         one that is committed page by page
 *
 * More is touched than there are frames, so that all of it goes out and comes back.
 */
#include "unit/storage.h"

#include <ntmm/file.h>
#include <ntmm/memory.h>
#include <ntmm/section.h>

#define RAM_BYTES (448 * 1024)
#define FILE_PAGES 40u
#define GROWN_PAGES 48u
#define FILE_BYTES (FILE_PAGES * PAGE - 100)
#define GROWN_BYTES (GROWN_PAGES * PAGE - 50)
#define PRIVATE_PAGES 70u
#define RESERVED_PAGES 12u
#define FAILURE NTMM_STATUS_DEVICE_DATA_ERROR
#define FROM_THERE_ON UINT64_MAX
#define FAULT_WAIT_100NS 5000000u
#define TRIES 2u
#define ROW_LIMIT 4u

enum victim {
    VICTIM_FRAME,
    VICTIM_CONTENT,
    VICTIM_READ,
    VICTIM_WRITE,
    VICTIM_WRITE_REFUSED,
    VICTIM_FLUSH,
    VICTIM_EXTEND,
    VICTIM_COUNT,
};

enum part { SHARED, COPY, PRIVATE, RESERVED, PART_COUNT };

static const uint32_t PART_PAGES[PART_COUNT] = {GROWN_PAGES, FILE_PAGES, PRIVATE_PAGES,
                                                RESERVED_PAGES};

struct sweep {
    struct machine *m;
    enum victim victim;
    uint64_t device, swap;
    ntmm_handle file;
    ntmm_handle section[PART_COUNT]; /* COPY's is SHARED's */
    uint64_t base[PART_COUNT];
    uint64_t values[PART_COUNT][PRIVATE_PAGES]; /* what the first bytes of a page hold */
    bool is_copied[FILE_PAGES];
    bool is_readable[RESERVED_PAGES];
    uint32_t pages; /* of the file now */
    uint32_t valid; /* of these, up to the last that was stored to: behind it is no valid data */
    uint32_t row;   /* accesses that failed, in a row */
    uint64_t asked; /* failures asked for; 0: they are over */
    bool was_given; /* some were given */
};

/* --- failures --- */

static void inject_disks(struct sweep *s, uint64_t after, uint64_t count)
{
    static const enum ntmm_io_operation operations[VICTIM_COUNT] = {
        [VICTIM_READ] = NTMM_IO_READ,           [VICTIM_WRITE] = NTMM_IO_WRITE,
        [VICTIM_WRITE_REFUSED] = NTMM_IO_WRITE, [VICTIM_FLUSH] = NTMM_IO_FLUSH,
        [VICTIM_EXTEND] = NTMM_IO_EXTEND,
    };
    const struct ntmm_emulated_disk_errors errors = {
        .operations = 1u << operations[s->victim],
        .is_refused = s->victim == VICTIM_WRITE_REFUSED,
        .after = after,
        .count = count,
        .status = FAILURE,
    };
    const struct ntmm_emulated_disk_errors *given = count ? &errors : NULL;
    assert_int_equal(ntmm_emulated_inject_disk(s->m->emu, s->device, given), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_inject_disk(s->m->emu, s->swap, given), NTMM_STATUS_SUCCESS);
}

static uint64_t errors_given(struct sweep *s)
{
    const struct allocation_failures *left = &s->m->system->failures;
    struct ntmm_emulated_statistics statistics;
    ntmm_emulated_query(s->m->emu, &statistics);
    bool is_frame_refused =
        left->count != s->asked || (left->count == FROM_THERE_ON && left->after == 0);
    return s->victim == VICTIM_FRAME ? is_frame_refused : statistics.injected_errors;
}

/* A frame that cannot be zeroed is lost: with all of them none would be left. */
static uint32_t content_kinds(uint64_t count)
{
    uint32_t others = NTMM_EMULATED_COPY | NTMM_EMULATED_READ | NTMM_EMULATED_WRITE;
    return count == 1 ? others | NTMM_EMULATED_ZERO : others;
}

/* count 0: no more. */
static void inject(struct sweep *s, uint64_t after, uint64_t count)
{
    if (count == 0 && s->asked != 0)
        s->was_given = errors_given(s) != 0;
    s->asked = count;
    if (s->victim == VICTIM_FRAME)
        s->m->system->failures = (struct allocation_failures){.after = after, .count = count};
    else if (s->victim == VICTIM_CONTENT)
        ntmm_emulated_inject_content(s->m->emu, count ? content_kinds(count) : 0, after, count,
                                     FAILURE);
    else
        inject_disks(s, after, count);
}

static void expect_kind(struct sweep *s, ntmm_status status)
{
    if (status == NTMM_STATUS_IN_PAGE_ERROR || status == FAILURE)
        assert_int_not_equal(s->victim, VICTIM_FRAME);
    else if (status != NTMM_STATUS_NO_MEMORY)
        fail_msg("victim %u: status %x", s->victim, status);
}

/* A failed call leaves the process as it was. */
static bool serve(struct sweep *s, ntmm_status status, const struct ntmm_process_information *was)
{
    struct ntmm_process_information now = machine_process(s->m);
    if (NTMM_SUCCEEDED(status))
        return true;
    expect_kind(s, status);
    assert_int_equal(now.region_count, was->region_count);
    assert_int_equal(now.virtual_size_bytes, was->virtual_size_bytes);
    assert_int_equal(now.commit_pages, was->commit_pages);
    return false;
}

/* Run a call until it succeeds, at last without failures. */
#define INSIST(s, call)                                                                            \
    for (uint32_t tries = 0; tries <= TRIES; tries++) {                                            \
        const struct ntmm_process_information was = machine_process((s)->m);                       \
        if (tries == TRIES)                                                                        \
            inject((s), 0, 0);                                                                     \
        if (serve((s), (call), &was))                                                              \
            break;                                                                                 \
        assert_true(tries < TRIES);                                                                \
    }

/* --- pages --- */

static uint64_t first_value(enum part part, uint32_t page)
{
    return part == SHARED || part == COPY ? 0x0101010101010101u * (page % 200 + 1) : 0;
}

static void store(struct sweep *s, enum part part, uint32_t page, uint64_t value)
{
    ntmm_status status = try_write(s->m, s->base[part] + page * PAGE, value);
    if (status != NTMM_STATUS_SUCCESS) {
        expect_kind(s, status);
        s->row++;
        return;
    }
    s->row = 0;
    s->values[part][page] = value;
    if (part == COPY)
        s->is_copied[page] = true;
    if (part == SHARED && page >= s->valid)
        s->valid = page + 1;
}

static uint64_t expected(const struct sweep *s, enum part part, uint32_t page)
{
    return part == COPY && !s->is_copied[page] ? s->values[SHARED][page] : s->values[part][page];
}

static void load(struct sweep *s, enum part part, uint32_t page)
{
    uint64_t value = 0;
    ntmm_status status = try_read(s->m, s->base[part] + page * PAGE, &value);
    if (status != NTMM_STATUS_SUCCESS) {
        expect_kind(s, status);
        s->row++;
        return;
    }
    s->row = 0;
    assert_int_equal(value, expected(s, part, page));
}

/* After a row of failures nothing changes any more: few pages are asked then. */
static uint32_t stride(const struct sweep *s) { return s->row < ROW_LIMIT ? 1 : 16; }

static bool is_there(const struct sweep *s, enum part part, uint32_t page)
{
    if (part == SHARED)
        return page < s->pages;
    return part != RESERVED || s->is_readable[page];
}

static void store_all(struct sweep *s, enum part part, uint32_t step, uint64_t value)
{
    for (uint32_t page = 0; page < PART_PAGES[part]; page += step * stride(s)) {
        if (is_there(s, part, page))
            store(s, part, page, value + page);
    }
}

static void load_all(struct sweep *s, uint32_t step)
{
    for (enum part part = SHARED; part < PART_COUNT; part++) {
        for (uint32_t page = 0; page < PART_PAGES[part]; page += step * stride(s)) {
            if (is_there(s, part, page))
                load(s, part, page);
        }
    }
}

/* --- the scenario --- */

static void open_machine(struct sweep *s)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = RAM_BYTES},
                                        .core = {.fault_wait_100ns = FAULT_WAIT_100NS}};
    static uint8_t contents[FILE_BYTES];
    struct ntmm_emulated_file_config file = {.size = sizeof file,
                                             .version = NTMM_EMULATED_FILE_VERSION,
                                             .contents = contents,
                                             .size_bytes = FILE_BYTES,
                                             .maximum_bytes = MIB,
                                             .flags = NTMM_EMULATED_FILE_STALE};
    s->m = machine_open(&setup);
    s->pages = s->valid = FILE_PAGES;
    for (uint32_t page = 0; page < FILE_PAGES; page++) {
        s->values[SHARED][page] = first_value(SHARED, page);
        memset(contents + page * PAGE, (int)(page % 200 + 1),
               page + 1 < FILE_PAGES ? PAGE : PAGE - 100);
    }
    assert_int_equal(ntmm_emulated_add_file(s->m->emu, &file, &s->device, NULL),
                     NTMM_STATUS_SUCCESS);
    (void)must_add_file(s->m, 2 * MIB, 2 * MIB, &s->swap);
}

static ntmm_status create(struct sweep *s, enum part part, uint64_t bytes, uint32_t attributes)
{
    return ntmm_create_section(s->m->system, &s->section[part], NTMM_SECTION_ALL_ACCESS, NULL,
                               &bytes, NTMM_PAGE_READWRITE, attributes,
                               part == SHARED ? s->file : 0);
}

static ntmm_status map(struct sweep *s, enum part part, uint32_t protect)
{
    uint64_t base = 0, size = 0;
    ntmm_status status =
        ntmm_map_view_of_section(s->m->system, s->section[part], s->m->process, &base, 0, 0, NULL,
                                 &size, NTMM_VIEW_SHARE, 0, protect);
    if (NTMM_SUCCEEDED(status))
        s->base[part] = base;
    return status;
}

static ntmm_status protect(struct sweep *s, enum part part, uint32_t pages, uint32_t to)
{
    uint64_t base = s->base[part], size = pages * PAGE;
    uint32_t old;
    return ntmm_protect_virtual_memory(s->m->system, s->m->process, &base, &size, to, &old);
}

static ntmm_status commit(struct sweep *s, uint32_t page, uint32_t pages)
{
    uint64_t base = s->base[RESERVED] + page * PAGE, size = pages * PAGE;
    return ntmm_allocate_virtual_memory(s->m->system, s->m->process, &base, 0, &size,
                                        NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE);
}

static ntmm_status flush_view(struct sweep *s)
{
    uint64_t base = s->base[SHARED], size = 0;
    struct ntmm_io_status io;
    return ntmm_flush_virtual_memory(s->m->system, s->m->process, &base, &size, &io);
}

static ntmm_status extend(struct sweep *s)
{
    uint64_t size = GROWN_BYTES;
    return ntmm_extend_section(s->m->system, s->section[SHARED], &size);
}

static ntmm_status unmap(struct sweep *s, enum part part)
{
    return ntmm_unmap_view_of_section(s->m->system, s->m->process, s->base[part], 0);
}

static ntmm_status open_file(struct sweep *s, uint64_t bytes)
{
    const struct ntmm_file_config config = {.size = sizeof config,
                                            .version = NTMM_FILE_CONFIG_VERSION,
                                            .device = s->device,
                                            .size_bytes = bytes,
                                            .valid_bytes = bytes};
    return ntmm_create_file(s->m->system, &config, NTMM_FILE_READ_DATA | NTMM_FILE_WRITE_DATA,
                            &s->file);
}

static void make_parts(struct sweep *s)
{
    INSIST(s, open_file(s, FILE_BYTES))
    INSIST(s, create(s, SHARED, 0, NTMM_SEC_COMMIT))
    INSIST(s, create(s, PRIVATE, PRIVATE_PAGES * PAGE, NTMM_SEC_COMMIT))
    INSIST(s, create(s, RESERVED, RESERVED_PAGES * PAGE, NTMM_SEC_RESERVE))
    s->section[COPY] = s->section[SHARED];
    INSIST(s, map(s, SHARED, NTMM_PAGE_READWRITE))
    INSIST(s, map(s, COPY, NTMM_PAGE_WRITECOPY))
    INSIST(s, map(s, PRIVATE, NTMM_PAGE_READWRITE))
    INSIST(s, map(s, RESERVED, NTMM_PAGE_READWRITE))
}

/* What a flush that succeeded left in the file: each page as it was stored last. */
static void expect_in_file(struct sweep *s)
{
    const uint8_t *bytes = ntmm_emulated_disk_image(s->m->emu, s->device, NULL);
    for (uint32_t page = 0; page < s->valid; page++) {
        uint64_t value;
        memcpy(&value, bytes + page * PAGE, sizeof value);
        assert_int_equal(value, s->values[SHARED][page]);
    }
}

static void try_flush(struct sweep *s)
{
    const struct ntmm_process_information was = machine_process(s->m);
    ntmm_status status = flush_view(s);
    if (serve(s, status, &was))
        expect_in_file(s);
}

static void run_scenario(struct sweep *s)
{
    make_parts(s);
    INSIST(s, commit(s, 2, 6))
    for (uint32_t page = 2; page < 8; page++)
        s->is_readable[page] = true;
    store_all(s, SHARED, 2, 0x1000);
    store_all(s, PRIVATE, 1, 0x2000);
    store_all(s, COPY, 3, 0x3000);
    store_all(s, RESERVED, 1, 0x4000);
    load_all(s, 1);
    try_flush(s);
    INSIST(s, protect(s, SHARED, 20, NTMM_PAGE_READONLY))
    INSIST(s, protect(s, COPY, 20, NTMM_PAGE_READONLY))
    load_all(s, 3);
    INSIST(s, protect(s, SHARED, 20, NTMM_PAGE_READWRITE))
    INSIST(s, protect(s, COPY, 20, NTMM_PAGE_WRITECOPY))
    INSIST(s, extend(s))
    INSIST(s, unmap(s, SHARED))
    INSIST(s, map(s, SHARED, NTMM_PAGE_READWRITE))
    s->pages = GROWN_PAGES;
    store_all(s, SHARED, 5, 0x5000);
    (void)ntmm_write_mapped_pages(s->m->system, 8);
    (void)ntmm_write_modified_pages(s->m->system, 8);
    load_all(s, 2);
    try_flush(s);
}

/* Closed while failures go on; what could not be written is when the file is opened again. */
static void end_parts(struct sweep *s)
{
    for (enum part part = SHARED; part < PART_COUNT; part++)
        INSIST(s, unmap(s, part))
    for (enum part part = SHARED; part < PART_COUNT; part++) {
        if (part != COPY)
            assert_int_equal(ntmm_close_section(s->m->system, s->section[part]),
                             NTMM_STATUS_SUCCESS);
    }
    ntmm_status status = ntmm_close_file(s->m->system, s->file);
    if (status != NTMM_STATUS_SUCCESS)
        expect_kind(s, status);
    inject(s, 0, 0);
    must_finish_transfers(s->m);
    if (status != NTMM_STATUS_SUCCESS) {
        assert_int_equal(open_file(s, GROWN_BYTES), NTMM_STATUS_SUCCESS);
        assert_int_equal(ntmm_close_file(s->m->system, s->file), NTMM_STATUS_SUCCESS);
    }
    assert_int_equal(ntmm_emulated_file_size(s->m->emu, s->device), GROWN_BYTES);
    expect_in_file(s);
}

static bool run_with(enum victim victim, uint64_t after, uint64_t count)
{
    struct sweep s = {.victim = victim};

    open_machine(&s);
    inject(&s, after, count);
    run_scenario(&s);
    machine_assert_sound(s.m);
    if (count == 1) /* the others go on into the end */
        load_all(&s, 1);
    end_parts(&s);
    machine_assert_sound(s.m);
    machine_close(s.m);
    return s.was_given;
}

static uint64_t next_place(uint64_t after) { return after + 1 + after / 4; }

static void sweep(enum victim victim)
{
    uint64_t runs = 0;
    for (uint64_t after = 0; run_with(victim, after, 1); after = next_place(after))
        runs++;
    assert_true(runs > 0);
    if (victim == VICTIM_FRAME || victim == VICTIM_WRITE_REFUSED)
        return; /* without any frame each access waits in vain: too slow */
    for (uint64_t after = 0; run_with(victim, after, FROM_THERE_ON); after = 4 * after + 4)
        runs++;
    print_message("%u runs\n", (unsigned)runs);
}

static void sweep_victim(void **state) { sweep(*(const enum victim *)*state); }

#define SWEEP(name) {#name, sweep_victim, NULL, NULL, (void *)(uintptr_t)&victims[name]}

int main(void)
{
    static const enum victim victims[VICTIM_COUNT] = {
        VICTIM_FRAME,         VICTIM_CONTENT, VICTIM_READ,   VICTIM_WRITE,
        VICTIM_WRITE_REFUSED, VICTIM_FLUSH,   VICTIM_EXTEND,
    };
    const struct CMUnitTest tests[] = {
        SWEEP(VICTIM_CONTENT),       SWEEP(VICTIM_READ),  SWEEP(VICTIM_WRITE),
        SWEEP(VICTIM_WRITE_REFUSED), SWEEP(VICTIM_FLUSH), SWEEP(VICTIM_EXTEND),
        SWEEP(VICTIM_FRAME),
    };
    return cmocka_run_group_tests_name("sweep_sections", tests, NULL, NULL);
}
