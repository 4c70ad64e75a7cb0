/*
 * Files whose last page was written and those before it never: the gap is written as zeros before
 * valid data reaches the page, with as much memory as there is, and as far as the device goes.
 *
 *   |valid| gap: on the device whatever was there |page written|
 */
#include "section_world.h"

#include <ntmm/system.h>
#include <ntmm/working_set.h>

#define RAM_BYTES MIB
#define FILE_BYTES 100u
#define GAP_END 1999u /* the page that is written */
#define SECOND_100NS 10000000u

struct gap {
    struct world w;
    void *storage;
    ntmm_handle process, file, section;
    uint64_t device, base;
};

/* The system is in storage of its own, so that it can end before its machine. */
static void make_system(struct world *w, void **storage)
{
    const struct ntmm_emulated_config machine = {
        .size = sizeof machine, .version = NTMM_EMULATED_CONFIG_VERSION, .ram_bytes = RAM_BYTES};
    const struct ntmm_config config = {
        .size = sizeof config, .version = NTMM_CONFIG_VERSION, .extra_commit_pages = 4096};
    uint64_t bytes;
    check_ok(ntmm_emulated_create(&machine, &w->emu));
    void *arena = ntmm_emulated_arena(w->emu, &bytes);
    memset(arena, 0, (size_t)bytes);
    *storage = calloc(1, ntmm_system_size());
    assert_non_null(*storage);
    check_ok(ntmm_create_system(*storage, ntmm_system_size(), &config,
                                ntmm_emulated_platform(w->emu), &w->system));
}

static void make_gap(struct gap *g)
{
    make_system(&g->w, &g->storage);
    g->process = make_process(&g->w);
    g->device = add_memory_file(&g->w, FILE_BYTES, 16 * MIB, NTMM_EMULATED_FILE_STALE);
    g->file = open_device(&g->w, g->device, FILE_BYTES);
}

static struct ntmm_memory_information memory(struct gap *g)
{
    struct ntmm_memory_information m;
    ntmm_query_memory(g->w.system, &m);
    return m;
}

static ntmm_status put(struct gap *g, uint64_t address, uint8_t value)
{
    uint64_t written;
    return ntmm_write_virtual_memory(g->w.system, g->process, address, &value, sizeof value,
                                     &written);
}

/* The last page is modified, written and clean; nobody has flushed. */
static void write_last_page(struct gap *g)
{
    g->section =
        make_section(&g->w, (GAP_END + 1) * PAGE, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, g->file);
    g->base = map(&g->w, g->section, g->process, NTMM_PAGE_READWRITE);
    check_ok(put(g, g->base + GAP_END * PAGE, 7));
    check_ok(ntmm_empty_working_set(g->w.system, g->process));
    (void)ntmm_write_mapped_pages(g->w.system, 64);
    const struct ntmm_platform *platform = ntmm_emulated_platform(g->w.emu);
    for (uint32_t i = 0; i < 100 && memory(g).modified_mapped_pages != 0; i++)
        platform->pump(platform->context);
    assert_int_equal(memory(g).modified_mapped_pages, 0);
}

static void fail_writes(struct gap *g)
{
    const struct ntmm_emulated_disk_errors errors = {.operations = 1u << NTMM_IO_WRITE,
                                                     .count = UINT64_MAX,
                                                     .status = NTMM_STATUS_VOLUME_DISMOUNTED};
    check_ok(ntmm_emulated_inject_disk(g->w.emu, g->device, &errors));
}

static uint64_t now_100ns(struct gap *g)
{
    struct ntmm_emulated_statistics s;
    ntmm_emulated_query(g->w.emu, &s);
    return s.now_100ns;
}

static void end_system(struct gap *g)
{
    struct ntmm_teardown left;
    ntmm_destroy_system(g->w.system, &left);
    assert_int_equal(left.lost_pages, 0);
    assert_int_equal(left.outstanding_commit, 0);
    assert_int_equal(left.live_objects, 0);
}

static void end_machine(struct gap *g)
{
    ntmm_emulated_destroy(g->w.emu, NULL);
    free(g->storage);
}

static void assert_gap_is_written(struct gap *g)
{
    const uint8_t *bytes = ntmm_emulated_disk_image(g->w.emu, g->device, NULL);
    assert_non_null(bytes);
    for (uint64_t i = 0; i <= GAP_END * PAGE; i++)
        assert_int_equal(bytes[i], i < FILE_BYTES ? pattern(i) : i == GAP_END * PAGE ? 7 : 0);
}

/* Eight times the memory. */
static void test_gap_larger_than_memory(void **state)
{
    struct gap g;
    struct ntmm_file_information information;
    (void)state;
    make_gap(&g);
    write_last_page(&g);
    check_ok(ntmm_flush_file(g.w.system, g.file, 0, 0));
    check_ok(ntmm_query_file(g.w.system, g.file, &information));
    assert_int_equal(information.valid_bytes, (GAP_END + 1) * PAGE);
    assert_gap_is_written(&g);
    check_world(&g.w);
    end_system(&g);
    end_machine(&g);
}

/* The flush says what the device said, and leaves a few zeros in memory. */
static void test_gap_on_a_device_that_is_gone(void **state)
{
    struct gap g;
    struct ntmm_file_information information;
    (void)state;
    make_gap(&g);
    write_last_page(&g);
    fail_writes(&g);
    uint64_t before = now_100ns(&g);
    assert_int_equal(ntmm_flush_file(g.w.system, g.file, 0, 0), NTMM_STATUS_VOLUME_DISMOUNTED);
    assert_true(now_100ns(&g) - before < SECOND_100NS);
    assert_in_range(memory(&g).modified_pages, 1, 64);
    check_ok(ntmm_query_file(g.w.system, g.file, &information));
    assert_int_equal(information.valid_bytes, FILE_BYTES);
    check_world(&g.w);
    check_ok(ntmm_emulated_inject_disk(g.w.emu, g.device, NULL));
    check_ok(ntmm_flush_file(g.w.system, g.file, 0, 0));
    assert_gap_is_written(&g);
    end_system(&g);
    end_machine(&g);
}

/* A system ends whose memory is full of a section without a file, and whose device is gone: nobody
 * waits for frames that are about to be free. */
static void test_end_with_full_memory(void **state)
{
    struct gap g;
    (void)state;
    make_gap(&g);
    ntmm_handle filler = make_section(&g.w, RAM_BYTES, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, 0);
    write_last_page(&g);
    uint64_t a = map(&g.w, filler, g.process, NTMM_PAGE_READWRITE);
    for (uint64_t i = 0; put(&g, a + i * PAGE, 1) == NTMM_STATUS_SUCCESS; i++) {
        assert_true(i < RAM_BYTES / PAGE);
    }
    fail_writes(&g);
    uint64_t before = now_100ns(&g);
    end_system(&g);
    assert_true(now_100ns(&g) - before < SECOND_100NS);
    end_machine(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gap_larger_than_memory),
        cmocka_unit_test(test_gap_on_a_device_that_is_gone),
        cmocka_unit_test(test_end_with_full_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
