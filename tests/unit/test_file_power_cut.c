/*
 * The power of a file's disk is cut between any two transfers of a scenario of stores, writes,
 * extensions and flushes. The disk has a write cache, and blocks that a file gets hold garbage.
 *
 *   stored   1 2 3 4 5      versions of a page, rising
 *   flushed      3          by the last flush that succeeded
 *   disk         3 or 4, 5  never 1, 2, or what nobody stored
 *
 * A page below the valid data that was told after a flush and that nobody stored is zero.
 */
#include "section_world.h"

#define FIRST_PAGES 6u
#define MOST_PAGES 40u
#define FROM_THERE_ON UINT64_MAX

struct power {
    struct world w;
    uint64_t device;
    ntmm_handle process, file, section;
    uint64_t base;
    uint64_t version;
    uint64_t stored[MOST_PAGES];
    uint64_t flushed[MOST_PAGES];
    uint64_t valid_bytes; /* as told after the last flush that succeeded */
    bool is_cut;
};

static void serve(struct power *p, ntmm_status status)
{
    p->is_cut |= status != NTMM_STATUS_SUCCESS;
}

/* The first and the last word of a page. */
static void store(struct power *p, uint64_t page)
{
    uint64_t va = p->base + page * PAGE;
    if (p->is_cut)
        return;
    p->stored[page] = ++p->version;
    serve(p, store64(&p->w, 0, va, p->version));
    if (!p->is_cut)
        serve(p, store64(&p->w, 0, va + PAGE - 8, p->version));
}

static void write_beside(struct power *p, uint64_t page)
{
    uint64_t words[512] = {0}, moved;
    if (p->is_cut)
        return;
    p->stored[page] = words[0] = words[511] = ++p->version;
    serve(p, ntmm_write_file(p->w.system, p->file, page * PAGE, words, sizeof words, &moved));
}

static void note_flush(struct power *p, uint64_t first, uint64_t end)
{
    struct ntmm_file_information information;
    if (p->is_cut)
        return;
    check_ok(ntmm_query_file(p->w.system, p->file, &information));
    p->valid_bytes = information.valid_bytes;
    for (uint64_t page = first; page < end; page++)
        p->flushed[page] = p->stored[page];
}

static void flush_view(struct power *p)
{
    uint64_t base = p->base, size = 0;
    struct ntmm_io_status io;
    if (p->is_cut)
        return;
    serve(p, ntmm_flush_virtual_memory(p->w.system, p->process, &base, &size, &io));
    note_flush(p, 0, FIRST_PAGES);
}

static void flush_file(struct power *p, uint64_t first, uint64_t end)
{
    if (p->is_cut)
        return;
    serve(p, ntmm_flush_file(p->w.system, p->file, first * PAGE, (end - first) * PAGE));
    note_flush(p, first, end);
}

static void open_power(struct power *p, uint64_t seed)
{
    uint8_t zeros[FIRST_PAGES * PAGE] = {0};
    const struct ntmm_emulated_file_config disk = {.size = sizeof disk,
                                                   .version = NTMM_EMULATED_FILE_VERSION,
                                                   .contents = zeros,
                                                   .size_bytes = sizeof zeros,
                                                   .maximum_bytes = MIB,
                                                   .flags = NTMM_EMULATED_FILE_WRITE_CACHE |
                                                            NTMM_EMULATED_FILE_STALE};
    memset(p, 0, sizeof *p);
    make_world(&p->w, (struct ntmm_emulated_config){.ram_bytes = MIB, .cpu_count = 1, .seed = seed},
               0);
    check_ok(ntmm_emulated_add_file(p->w.emu, &disk, &p->device, NULL));
    p->process = make_process(&p->w);
    attach(&p->w, 0, p->process);
    p->file = open_device(&p->w, p->device, sizeof zeros);
    p->section = make_section(&p->w, 0, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, p->file);
    p->base = map(&p->w, p->section, p->process, NTMM_PAGE_READWRITE);
    p->valid_bytes = sizeof zeros;
}

static void run_scenario(struct power *p)
{
    for (uint64_t page = 0; page < FIRST_PAGES; page++)
        store(p, page);
    flush_view(p);
    store(p, 1);
    store(p, 4);
    flush_file(p, 0, 2);
    write_beside(p, 9); /* behind a gap: 6, 7, 8 are zero */
    store(p, 5);
    flush_file(p, 0, 10);
    write_beside(p, 20);
    if (!p->is_cut)
        (void)ntmm_write_mapped_pages(p->w.system, 8);
    write_beside(p, 13);
    flush_file(p, 0, 14); /* 20 is behind what is flushed */
    store(p, 0);
    flush_view(p);
    write_beside(p, 30);
    flush_file(p, 0, 31);
    store(p, 2);
    flush_view(p);
}

static void expect_on_disk(struct power *p)
{
    uint64_t size;
    const uint8_t *bytes = ntmm_emulated_disk_image(p->w.emu, p->device, &size);
    assert_true(size >= p->valid_bytes);
    for (uint64_t page = 0; page * PAGE < p->valid_bytes; page++) {
        for (uint64_t at = 0; at < PAGE; at += 8) {
            uint64_t word, most = at == 0 || at == PAGE - 8 ? p->stored[page] : 0;
            memcpy(&word, bytes + page * PAGE + at, sizeof word);
            if (most == 0)
                assert_int_equal(word, 0);
            else
                assert_in_range(word, p->flushed[page], most);
        }
    }
}

/* The disk takes `after` transfers, and then no more. Returns whether it was cut. */
static bool run_with(uint64_t seed, uint64_t after, uint32_t flags)
{
    struct power p;
    const struct ntmm_emulated_disk_errors errors = {.operations = 0x1F,
                                                     .is_refused = 1,
                                                     .after = after,
                                                     .count = FROM_THERE_ON,
                                                     .status = NTMM_STATUS_VOLUME_DISMOUNTED};
    open_power(&p, seed);
    check_ok(ntmm_emulated_inject_disk(p.w.emu, p.device, &errors));
    run_scenario(&p);
    check_ok(ntmm_emulated_cut_power(p.w.emu, p.device, flags));
    expect_on_disk(&p);
    check_world(&p.w);
    check_ok(ntmm_emulated_inject_disk(p.w.emu, p.device, NULL));
    check_ok(ntmm_emulated_restore_power(p.w.emu, p.device));
    check_ok(ntmm_end_process(p.w.system, p.process));
    close_section(&p.w, p.section);
    close_file(&p.w, p.file);
    end_world(&p.w);
    return p.is_cut;
}

static void sweep(uint32_t flags)
{
    uint64_t cuts = 0;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        for (uint64_t after = 0; run_with(seed, after, flags); after++)
            cuts++;
    }
    assert_true(cuts > 20);
    print_message("%u cuts\n", (unsigned)cuts);
}

static void test_cache_is_lost(void **state)
{
    (void)state;
    sweep(0);
}

static void test_some_of_the_cache_is_kept(void **state)
{
    (void)state;
    sweep(NTMM_EMULATED_CUT_KEEPS_SOME | NTMM_EMULATED_CUT_TEARS);
}

/* What a flush could not make durable is not told as valid: the machine after a power cut would
 * take what the disk holds there for the file's. */
static void fail_a_flush(bool is_flushed_again)
{
    struct power p;
    const struct ntmm_emulated_disk_errors errors = {
        .operations = 1u << NTMM_IO_FLUSH, .count = 1, .status = NTMM_STATUS_DEVICE_DATA_ERROR};
    struct ntmm_file_information information;
    open_power(&p, 1);
    write_beside(&p, 9);
    check_ok(ntmm_emulated_inject_disk(p.w.emu, p.device, &errors));
    assert_int_equal(ntmm_flush_file(p.w.system, p.file, 0, 0), NTMM_STATUS_DEVICE_DATA_ERROR);
    check_ok(ntmm_query_file(p.w.system, p.file, &information));
    assert_int_equal(information.valid_bytes, FIRST_PAGES * PAGE);
    if (is_flushed_again) {
        flush_file(&p, 0, 10);
        assert_int_equal(p.valid_bytes, 10 * PAGE);
    }
    check_ok(ntmm_emulated_cut_power(p.w.emu, p.device, 0));
    expect_on_disk(&p);
    check_world(&p.w);
    check_ok(ntmm_emulated_restore_power(p.w.emu, p.device));
    check_ok(ntmm_end_process(p.w.system, p.process));
    close_section(&p.w, p.section);
    close_file(&p.w, p.file);
    end_world(&p.w);
}

static void test_valid_data_waits_for_the_device(void **state)
{
    (void)state;
    fail_a_flush(false);
    fail_a_flush(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cache_is_lost),
        cmocka_unit_test(test_some_of_the_cache_is_kept),
        cmocka_unit_test(test_valid_data_waits_for_the_device),
    };
    return cmocka_run_group_tests_name("file_power_cut", tests, NULL, NULL);
}
