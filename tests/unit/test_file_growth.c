/*
 * Files that grow while their pages are on the way, and while somebody else makes them grow: what
 * lies between the old end and the new one is zeros, whatever the device held there, and what was
 * written there stays.
 *
 *   old end           v
 *   last page   [data |  zeros          ]   in memory: right
 *   on the device[data | bytes of others ]   written up to the old end only
 */
#include "section_world.h"

#include "paging/page_out.h"

#define OLD_END (2 * PAGE + 0x130)
#define NEW_END (5 * PAGE)
#define SEEDS 24u
/* A file that ends so near the end of a page grows fast: one may overtake another that began. */
#define NEAR_END (3 * PAGE - 12)
#define NEAR_SEEDS 1500u

struct growth {
    struct world w;
    ntmm_handle file;
    uint64_t old_end;
    ntmm_status status[2];
    bool is_done;
};

static void make_growth(struct growth *g, uint64_t seed, uint64_t old_end)
{
    *g = (struct growth){0};
    make_world(
        &g->w,
        (struct ntmm_emulated_config){
            .ram_bytes = 2 * MIB, .cpu_count = 1, .seed = seed, .flags = NTMM_EMULATED_PREEMPT},
        0);
    g->file =
        open_device(&g->w, add_memory_file(&g->w, old_end, MIB, NTMM_EMULATED_FILE_STALE), old_end);
    g->old_end = old_end;
}

static void end_growth(struct growth *g)
{
    check_world(&g->w);
    close_file(&g->w, g->file);
    end_world(&g->w);
}

static void grow(void *context)
{
    struct growth *g = context;
    g->status[0] = ntmm_set_file_size(g->w.system, g->file, NEW_END);
    g->is_done = true;
}

static void write_pages(void *context)
{
    struct growth *g = context;
    while (!g->is_done) {
        (void)ntmm_write_mapped_pages(g->w.system, 8);
        ntmm_emulated_yield(g->w.emu);
    }
}

static void flush_pages(void *context)
{
    struct growth *g = context;
    while (!g->is_done && g->status[1] == NTMM_STATUS_SUCCESS)
        g->status[1] = ntmm_flush_file(g->w.system, g->file, 0, 0);
}

static void write_behind_end(void *context)
{
    struct growth *g = context;
    uint64_t moved;
    g->status[1] = ntmm_write_file(g->w.system, g->file, g->old_end + 5, "kept", 4, &moved);
}

static void run_both(struct growth *g, ntmm_emulated_function other)
{
    check_ok(ntmm_emulated_spawn(g->w.emu, 0, grow, g, 0));
    check_ok(ntmm_emulated_spawn(g->w.emu, 1, other, g, 0));
    check_ok(ntmm_emulated_run(g->w.emu));
    check_ok(g->status[0]);
    check_ok(g->status[1]);
}

static void expect_tail(struct growth *g, const uint8_t *kept)
{
    uint8_t found[NEW_END - OLD_END], expected[NEW_END - OLD_END] = {0};
    uint64_t size = NEW_END - g->old_end;
    uint64_t moved;
    if (kept)
        memcpy(expected + 5, kept, 4);
    check_ok(ntmm_read_file(g->w.system, g->file, g->old_end, found, size, &moved));
    assert_memory_equal(found, expected, size);
}

/* Somebody writes the last page while the device is being made larger; then every page is written
 * and leaves memory. */
static void grow_beside(ntmm_emulated_function other)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct growth g;
        make_growth(&g, seed, OLD_END);
        run_both(&g, other);
        expect_tail(&g, NULL);
        page_out_everything(g.w.emu);
        expect_tail(&g, NULL);
        end_growth(&g);
    }
}

static void test_growth_beside_the_writer(void **state)
{
    (void)state;
    grow_beside(write_pages);
}

static void test_growth_beside_flushes(void **state)
{
    (void)state;
    grow_beside(flush_pages);
}

static void test_two_that_grow_keep_what_was_written(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= NEAR_SEEDS; seed++) {
        struct growth g;
        make_growth(&g, seed, NEAR_END);
        run_both(&g, write_behind_end);
        expect_tail(&g, (const uint8_t *)"kept");
        end_growth(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growth_beside_the_writer),
        cmocka_unit_test(test_growth_beside_flushes),
        cmocka_unit_test(test_two_that_grow_keep_what_was_written),
    };
    return cmocka_run_group_tests_name("file_growth", tests, NULL, NULL);
}
