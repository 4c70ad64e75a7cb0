/*
 * Services of files, sections, images and clones in which the 1st, 2nd, 3rd ... frame is refused,
 * once and from there on, for which 0, 1, 2 ... pages of commit are left, with page files that grow
 * and that do not, or whose device does not answer.
 *
 *   one frame refused     pages leave for the page file, and it succeeds
 *   all refused           NO_MEMORY     a page file that does not grow   COMMITMENT_LIMIT
 *   ... that grows        it succeeds   a device that fails              its status
 *
 * What failed has changed nothing and succeeds when it is called again. Expectations: DESIGN
 * principle 16, the contracts of ntmm/file.h, section.h, process.h.
 */
#include "clone_world.h"

#include "base/instance.h"
#include "pe_file.h"
#include "pe_flat.h"

#include <ntmm/call_target.h>

#define FAILURE NTMM_STATUS_DEVICE_DATA_ERROR
#define FROM_THERE_ON UINT64_MAX
#define ROUNDS 400u
#define FILL_AT UINT64_C(0x300000000)
#define DATA_BYTES (9 * PAGE + 100)
#define NONE 77u

struct stage {
    struct clone_world k;
    ntmm_handle filler;
    uint64_t device;
    ntmm_handle file, section, other;
    uint64_t base;
    struct pe_file pe;
};

/* --- what is tried --- */

static void open_data(struct stage *s)
{
    s->device = add_memory_file(&s->k.w, DATA_BYTES, 16 * MIB, 0);
    s->file = open_device(&s->k.w, s->device, DATA_BYTES);
}

static ntmm_status create(struct stage *s, uint64_t bytes, uint32_t protect, uint32_t attributes)
{
    return ntmm_create_section(s->k.w.system, &s->section, NTMM_SECTION_ALL_ACCESS, NULL, &bytes,
                               protect, attributes, s->file);
}

static ntmm_status create_data(struct stage *s)
{
    return create(s, 0, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT);
}

static ntmm_status read_data(struct stage *s)
{
    static uint8_t bytes[DATA_BYTES];
    uint64_t moved = 0;
    ntmm_status status = ntmm_read_file(s->k.w.system, s->file, 50, bytes, DATA_BYTES - 50, &moved);
    for (uint64_t i = 0; i < moved; i++)
        assert_int_equal(bytes[i], pattern(50 + i));
    if (status == NTMM_STATUS_SUCCESS)
        assert_int_equal(moved, DATA_BYTES - 50);
    return status;
}

/* Over the end, so that it grows, and from the middle of a page. */
static ntmm_status write_data(struct stage *s)
{
    static const uint8_t bytes[3 * PAGE];
    uint64_t moved = 0;
    ntmm_status status =
        ntmm_write_file(s->k.w.system, s->file, DATA_BYTES - 300, bytes, sizeof bytes, &moved);
    if (status == NTMM_STATUS_SUCCESS)
        assert_int_equal(moved, sizeof bytes);
    return status;
}

/* An image that moves, names its functions and has a part that is written in place. */
static void make_pe(struct pe_file *pe)
{
    pe_make(pe, true);
    uint32_t header = pe_add_section(pe, 0x40, 0x200, PE_READ);
    uint32_t rva = pe_get32(pe, header + 12), at = pe_get32(pe, header + 20);
    pe_set32(pe, at, 0x1000);
    pe_set32(pe, at + 4, 12);
    pe_set16(pe, at + 8, 10u << 12 | 0x10);
    pe_set16(pe, at + 10, 10u << 12 | 0xFFC);
    pe_set_directory(pe, PE_DIRECTORY_RELOCATION, rva, 12);
    pe_set16(pe, PE_DLL_CHARACTERISTICS, 0x160);
    at = pe_add_guard(pe, 64);
    for (uint32_t i = 0; i < 4; i++)
        pe_set32(pe, at + PE_FUNCTIONS + 4 * i, 0x1000 + 16 * i);
    const struct pe_guard guard = {
        .table = pe_guard_address(pe) + PE_FUNCTIONS, .count = 4, .flags = PE_GUARD_TABLE_PRESENT};
    pe_set_guard(pe, at, &guard);
    pe_add_section(pe, 2 * PAGE, 0x200, PE_READ | PE_WRITE | PE_SHARED);
}

static void open_bytes(struct stage *s, const uint8_t *bytes)
{
    const struct ntmm_emulated_file_config config = {.size = sizeof config,
                                                     .version = NTMM_EMULATED_FILE_VERSION,
                                                     .contents = bytes,
                                                     .size_bytes = s->pe.size_bytes};
    check_ok(ntmm_emulated_add_file(s->k.w.emu, &config, &s->device, NULL));
    s->file = open_device(&s->k.w, s->device, s->pe.size_bytes);
}

/* Of which nothing was read yet. */
static void open_image(struct stage *s)
{
    make_pe(&s->pe);
    open_bytes(s, s->pe.bytes);
}

/* Its bytes are in memory, not yet in the file. */
static void open_written_image(struct stage *s)
{
    static const uint8_t none[PE_FILE_BYTES];
    uint64_t moved;
    make_pe(&s->pe);
    open_bytes(s, none);
    check_ok(ntmm_write_file(s->k.w.system, s->file, 0, s->pe.bytes, s->pe.size_bytes, &moved));
}

static ntmm_status create_image(struct stage *s)
{
    return create(s, 0, NTMM_PAGE_EXECUTE_READ, NTMM_SEC_IMAGE);
}

static void expect_image(struct stage *s)
{
    struct image image;
    struct image_source source = pe_source(&s->pe);
    uint8_t directory[64];
    uint64_t base = 0, size = 0;
    check_ok(pe_parse(&s->pe, &image));
    check_ok(
        image_read_rva(&source, &image, image.relocation_rva, directory, image.relocation_bytes));
    check_ok(ntmm_map_view_of_section(s->k.w.system, s->section, s->k.parent, &base, 0, 0, NULL,
                                      &size, NTMM_VIEW_SHARE, 0, NTMM_PAGE_READONLY));
    assert_int_not_equal(base, image.preferred_base);
    uint8_t *flat = calloc(image.image_pages, PAGE);
    assert_non_null(flat);
    check_ok(pe_flat_image(&source, &image, directory, base, flat));
    for (uint32_t page = 0; page < image.image_pages; page++) {
        uint8_t bytes[4096];
        check_ok(ntmm_emulated_load(s->k.w.emu, 0, base + page * PAGE, bytes, PAGE, NULL, NULL));
        assert_memory_equal(bytes, flat + page * PAGE, PAGE);
    }
    free(flat);
    unmap(&s->k.w, s->k.parent, base);
}

static void open_section(struct stage *s)
{
    open_data(s);
    check_ok(create_data(s));
}

static ntmm_status duplicate(struct stage *s)
{
    return ntmm_duplicate_section(s->k.w.system, s->section, NTMM_SECTION_MAP_READ, &s->other);
}

/* Until the slots of handles fill a frame: the next one needs another. */
static void open_many(struct stage *s)
{
    open_section(s);
    for (uint32_t i = 0; i < 600; i++)
        check_ok(duplicate(s));
    s->other = NONE;
}

static void open_named(struct stage *s)
{
    static const uint16_t name[] = {'n'};
    const struct ntmm_section_config config = {.size = sizeof config,
                                               .version = NTMM_SECTION_CONFIG_VERSION,
                                               .name = name,
                                               .name_units = 1};
    uint64_t bytes = PAGE;
    check_ok(ntmm_create_section(s->k.w.system, &s->section, NTMM_SECTION_ALL_ACCESS, &config,
                                 &bytes, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, 0));
    for (uint32_t i = 0; i < 600; i++)
        check_ok(duplicate(s));
    s->other = NONE;
}

static ntmm_status open_by_name(struct stage *s)
{
    static const uint16_t name[] = {'n'};
    return ntmm_open_section(s->k.w.system, &s->other, NTMM_SECTION_MAP_READ, name, 1);
}

static void open_second(struct stage *s)
{
    open_data(s);
    for (uint32_t i = 0; i < 600; i++)
        check_ok(ntmm_open_file(s->k.w.system, s->file, NTMM_FILE_READ_DATA, &s->other));
    s->other = NONE;
}

static ntmm_status open_again(struct stage *s)
{
    return ntmm_open_file(s->k.w.system, s->file, NTMM_FILE_READ_DATA, &s->other);
}

static ntmm_status map_copy(struct stage *s)
{
    uint64_t size = 0;
    return ntmm_map_view_of_section(s->k.w.system, s->section, s->k.parent, &s->base, 0, 0, NULL,
                                    &size, NTMM_VIEW_SHARE, 0, NTMM_PAGE_WRITECOPY);
}

static void open_reserved(struct stage *s)
{
    uint64_t bytes = 40 * PAGE;
    check_ok(ntmm_create_section(s->k.w.system, &s->section, NTMM_SECTION_ALL_ACCESS, NULL, &bytes,
                                 NTMM_PAGE_READWRITE, NTMM_SEC_RESERVE, 0));
    s->base = map(&s->k.w, s->section, s->k.parent, NTMM_PAGE_READWRITE);
}

static ntmm_status commit_reserved(struct stage *s)
{
    uint64_t base = s->base + 3 * PAGE, size = 9 * PAGE;
    return ntmm_allocate_virtual_memory(s->k.w.system, s->k.parent, &base, 0, &size,
                                        NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE);
}

#define CODE_AT UINT64_C(0x20000000)

/* A process whose code may be called, in three pages of its bitmap, and a view that it wrote to. */
static void open_guarded(struct stage *s)
{
    const struct ntmm_process_config config = {.size = sizeof config,
                                               .version = NTMM_PROCESS_CONFIG_VERSION,
                                               .flags = NTMM_PROCESS_CONTROL_FLOW_GUARD};
    check_ok(ntmm_end_process(s->k.w.system, s->k.parent));
    check_ok(ntmm_create_process(s->k.w.system, &config, &s->k.parent));
    attach(&s->k.w, 0, s->k.parent);
    for (uint64_t i = 0; i < 3; i++) {
        uint64_t base = CODE_AT + i * 64 * MIB, size = 2 * PAGE;
        check_ok(ntmm_allocate_virtual_memory(s->k.w.system, s->k.parent, &base, 0, &size,
                                              NTMM_MEM_RESERVE | NTMM_MEM_COMMIT,
                                              NTMM_PAGE_EXECUTE_READWRITE));
        check_ok(store64(&s->k.w, 0, base, 100 + i));
    }
    open_data(s);
    check_ok(create_data(s));
    check_ok(map_copy(s));
    check_ok(store64(&s->k.w, 0, s->base + PAGE, 200));
}

static ntmm_status clone_it(struct stage *s)
{
    return ntmm_clone_process(s->k.w.system, s->k.parent, NULL, &s->other);
}

static void expect_clone(struct stage *s)
{
    struct ntmm_call_target found;
    uint64_t value;
    attach(&s->k.w, 1, s->other);
    for (uint64_t i = 0; i < 3; i++) {
        uint64_t base = CODE_AT + i * 64 * MIB;
        check_ok(load64(&s->k.w, 1, base, &value));
        assert_int_equal(value, 100 + i);
        check_ok(ntmm_query_call_target(s->k.w.system, s->other, base + PAGE, &found));
        assert_int_equal(found.is_valid, 1);
        check_ok(ntmm_query_call_target(s->k.w.system, s->other, base + 2 * PAGE, &found));
        assert_int_equal(found.is_valid, 0);
    }
    check_ok(load64(&s->k.w, 1, s->base + PAGE, &value));
    assert_int_equal(value, 200);
    check_ok(ntmm_end_process(s->k.w.system, s->other));
}

static const struct step {
    const char *name;
    void (*prepare)(struct stage *s);
    ntmm_status (*act)(struct stage *s);
    void (*expect)(struct stage *s); /* or NULL */
} steps[] = {
    {"a section of data", open_data, create_data, NULL},
    {"a file that is read", open_data, read_data, NULL},
    {"a file that is written", open_data, write_data, NULL},
    {"a section of an image", open_image, create_image, expect_image},
    {"an image that was written", open_written_image, create_image, expect_image},
    {"a handle more", open_many, duplicate, NULL},
    {"a section by name", open_named, open_by_name, NULL},
    {"a file again", open_second, open_again, NULL},
    {"a view that is copied", open_section, map_copy, NULL},
    {"pages of a reserved section", open_reserved, commit_reserved, NULL},
    {"a process with call targets", open_guarded, clone_it, expect_clone},
};

/* --- shortages --- */

static void add_growing_file(struct stage *s, uint64_t most)
{
    struct ntmm_emulated_disk_config disk = {.size = sizeof disk,
                                             .version = NTMM_EMULATED_DISK_VERSION,
                                             .size_bytes = MIB,
                                             .maximum_bytes = most};
    struct ntmm_paging_file_config config = {.size = sizeof config,
                                             .version = NTMM_PAGING_FILE_VERSION,
                                             .initial_bytes = MIB,
                                             .maximum_bytes = most};
    check_ok(ntmm_emulated_add_disk(s->k.w.emu, &disk, &config.device));
    check_ok(ntmm_create_paging_file(s->k.w.system, &config, NULL));
}

static struct stage *begin(const struct step *step, uint64_t file_bytes)
{
    struct stage *s = calloc(1, sizeof *s);
    assert_non_null(s);
    make_section_world(&s->k.w, 2 * MIB);
    add_growing_file(s, file_bytes);
    s->k.parent = make_process(&s->k.w);
    attach(&s->k.w, 0, s->k.parent);
    s->filler = make_process(&s->k.w);
    step->prepare(s);
    if (step->act != duplicate && step->act != map_copy && step->act != commit_reserved &&
        step->act != clone_it && step->act != open_by_name)
        s->section = NONE;
    s->other = NONE;
    return s;
}

/* Handles that are left open go with the system. */
static void end(struct stage *s)
{
    struct ntmm_teardown teardown;
    check_world(&s->k.w);
    check_ok(ntmm_end_process(s->k.w.system, s->filler));
    check_ok(ntmm_end_process(s->k.w.system, s->k.parent));
    check_world(&s->k.w);
    ntmm_emulated_destroy(s->k.w.emu, &teardown);
    assert_int_equal(teardown.lost_pages, 0);
    assert_int_equal(teardown.outstanding_commit, 0);
    free(s);
}

/* What a call may not have changed when it failed. */
static void expect_nothing(struct stage *s, const struct ntmm_process_information *before,
                           ntmm_handle section)
{
    struct ntmm_process_information now = about(&s->k.w, s->k.parent);
    assert_int_equal(s->section, section);
    assert_int_equal(s->other, NONE);
    assert_int_equal(now.commit_pages, before->commit_pages);
    assert_int_equal(now.region_count, before->region_count);
    assert_int_equal(now.virtual_size_bytes, before->virtual_size_bytes);
    check_world(&s->k.w);
}

/* Run a step while something is short; `more` ends that. Its status the first time. */
static ntmm_status run_step(const struct step *step, struct stage *s, void (*more)(struct stage *s))
{
    const struct ntmm_process_information before = about(&s->k.w, s->k.parent);
    ntmm_handle section = s->section;
    ntmm_status status = step->act(s);
    more(s);
    if (status != NTMM_STATUS_SUCCESS) {
        expect_nothing(s, &before, section);
        ntmm_status again = step->act(s);
        if (again != NTMM_STATUS_SUCCESS)
            fail_msg("%s: %x, then %x", step->name, status, again);
    }
    if (step->expect)
        step->expect(s);
    return status;
}

static void end_failures(struct stage *s)
{
    s->k.w.system->failures = (struct allocation_failures){0};
}

static void end_errors(struct stage *s)
{
    if (s->device)
        check_ok(ntmm_emulated_inject_disk(s->k.w.emu, s->device, NULL));
}

static void expect_status(const struct step *step, uint64_t round, ntmm_status status,
                          ntmm_status expected)
{
    if (status != expected)
        fail_msg("%s, round %u: %x instead of %x", step->name, (unsigned)round, status, expected);
}

/* Frames refused: `count` from each place on. */
static void refuse_frames(const struct step *step, uint64_t count, ntmm_status expected)
{
    for (uint64_t after = 0;; after++) {
        assert_in_range(after, 0, ROUNDS);
        struct stage *s = begin(step, 4 * MIB);
        struct allocation_failures *failures = &s->k.w.system->failures;
        *failures = (struct allocation_failures){.after = after, .count = count};
        const struct ntmm_process_information before = about(&s->k.w, s->k.parent);
        ntmm_handle section = s->section;
        ntmm_status status = step->act(s);
        bool is_over = count == 1 ? failures->count != 0 : status == NTMM_STATUS_SUCCESS;
        end_failures(s);
        if (!is_over)
            expect_status(step, after, status, expected);
        if (status != NTMM_STATUS_SUCCESS) {
            expect_nothing(s, &before, section);
            check_ok(step->act(s));
        }
        if (step->expect)
            step->expect(s);
        end(s);
        if (is_over)
            return;
    }
}

static void one_frame_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        refuse_frames(&steps[i], 1, NTMM_STATUS_SUCCESS);
}

static void all_frames_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        refuse_frames(&steps[i], FROM_THERE_ON, NTMM_STATUS_NO_MEMORY);
}

/* --- commit --- */

static uint64_t commit_left(struct stage *s)
{
    struct ntmm_memory_information memory;
    ntmm_query_memory(s->k.w.system, &memory);
    return memory.commit_limit_pages - memory.commit_pages;
}

/* The filler takes all but so much; a table and a region are its own first. */
static void leave_commit(struct stage *s, uint64_t left)
{
    uint64_t base = FILL_AT, size = 8192 * PAGE;
    check_ok(ntmm_allocate_virtual_memory(s->k.w.system, s->filler, &base, 0, &size,
                                          NTMM_MEM_RESERVE, NTMM_PAGE_READWRITE));
    size = PAGE;
    check_ok(ntmm_allocate_virtual_memory(s->k.w.system, s->filler, &base, 0, &size,
                                          NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE));
    assert_true(commit_left(s) > left + 8);
    for (base += PAGE; commit_left(s) > left; base += size) {
        uint64_t room = commit_left(s) - left, step = room > 300 ? 200 : 1;
        size = step * PAGE;
        check_ok(ntmm_allocate_virtual_memory(s->k.w.system, s->filler, &base, 0, &size,
                                              NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE));
    }
}

static void give_commit(struct stage *s)
{
    uint64_t base = FILL_AT, size = 0;
    check_ok(ntmm_free_virtual_memory(s->k.w.system, s->filler, &base, &size, NTMM_MEM_RELEASE));
}

/* So many rounds failed. */
static uint64_t run_out_of_commit(const struct step *step, uint64_t file_bytes,
                                  ntmm_status expected)
{
    for (uint64_t left = 0;; left++) {
        assert_in_range(left, 0, ROUNDS);
        struct stage *s = begin(step, file_bytes);
        leave_commit(s, left);
        ntmm_status status = run_step(step, s, give_commit);
        end(s);
        if (status == NTMM_STATUS_SUCCESS)
            return left;
        expect_status(step, left, status, expected);
    }
}

static void commit_runs_out(void **state)
{
    uint64_t failed = 0;
    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        failed += run_out_of_commit(&steps[i], MIB, NTMM_STATUS_COMMITMENT_LIMIT);
    assert_true(failed > 20);
}

/* A page file that grows gives what is missing. */
static void a_page_file_grows_for_commit(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        assert_int_equal(run_out_of_commit(&steps[i], 64 * MIB, NTMM_STATUS_SUCCESS), 0);
}

/* --- devices --- */

static void a_device_fails(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        for (uint64_t after = 0; after < 6; after++) {
            struct stage *s = begin(&steps[i], 4 * MIB);
            const struct ntmm_emulated_disk_errors errors = {
                .operations = 1u << NTMM_IO_READ | 1u << NTMM_IO_WRITE | 1u << NTMM_IO_EXTEND,
                .after = after,
                .count = FROM_THERE_ON,
                .status = FAILURE};
            if (s->device)
                check_ok(ntmm_emulated_inject_disk(s->k.w.emu, s->device, &errors));
            ntmm_status status = run_step(&steps[i], s, end_errors);
            if (status != NTMM_STATUS_SUCCESS)
                expect_status(&steps[i], after, status, FAILURE);
            end(s);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_frame_is_refused), cmocka_unit_test(all_frames_are_refused),
        cmocka_unit_test(commit_runs_out),      cmocka_unit_test(a_page_file_grows_for_commit),
        cmocka_unit_test(a_device_fails),
    };
    return cmocka_run_group_tests_name("sweep_services", tests, NULL, NULL);
}
