/*
 * Bases of host memory: each way to find changed pages finds every one, going back equals a copy,
 * and what is copied is what changed.
 */
#define _GNU_SOURCE 1
#include "platform/emulated/snapshot_memory.h"

#include "base/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/mman.h>

#define PAGE ((size_t)4096)
#define PAGES 1500u
#define BYTES (PAGES * PAGE)

static struct memory_run map_run(void)
{
    void *bytes = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(bytes != MAP_FAILED);
    return (struct memory_run){.bytes = bytes, .size_bytes = BYTES};
}

static void unmap_run(const struct memory_run *run) { (void)munmap(run->bytes, BYTES); }

static void scribble(struct memory_run *run, struct prng *prng, uint32_t pages)
{
    for (uint32_t i = 0; i < pages; i++)
        run->bytes[prng_below(prng, BYTES)] = (uint8_t)prng_next(prng);
    memset(run->bytes + 700 * PAGE, (int)prng_below(prng, 2) - 1, 40 * PAGE); /* some are zero */
}

/* Pages visited. */
struct found {
    uint8_t is_changed[PAGES];
    size_t last_end;
    uint32_t count;
    uint32_t stop_at;
};

static bool mark(void *context, size_t start, size_t end)
{
    struct found *f = context;
    assert_true(start >= f->last_end && end > start && end <= BYTES);
    assert_true(start % PAGE == 0 && end % PAGE == 0);
    f->last_end = end;
    for (size_t at = start; at < end; at += PAGE, f->count++)
        f->is_changed[at / PAGE] = 1;
    return f->count < f->stop_at;
}

static void must_find(const struct memory_base *base, const struct memory_run *run,
                      const uint8_t *copy)
{
    struct found f = {.stop_at = UINT32_MAX};
    assert_true(memory_visit_changed(base, run, mark, &f));
    for (uint32_t page = 0; page < PAGES; page++) {
        if (memcmp(run->bytes + page * PAGE, copy + page * PAGE, PAGE) != 0)
            assert_int_equal(f.is_changed[page], 1);
    }
    assert_true(f.count < PAGES);
    assert_int_equal(memory_changed_pages(base, run), f.count);
}

static void go_and_come_back(enum scan_method method, bool is_ours)
{
    struct memory_run run = map_run(), fork = map_run();
    struct memory_base base;
    struct prng prng;
    uint8_t *copy = malloc(BYTES);
    assert_non_null(copy);
    prng_seed(&prng, method);
    scribble(&run, &prng, 300);
    memcpy(copy, run.bytes, BYTES);
    assert_true(memory_base_fill(&base, &run, NULL, is_ours));
    assert_true(memory_base_map(&base, &run));
    base.method = method;
    assert_memory_equal(run.bytes, copy, BYTES);
    for (uint32_t round = 0; round < 4; round++) {
        scribble(&run, &prng, 5 + 80 * round);
        must_find(&base, &run, copy);
        assert_true(memory_restore(&base, &run));
        assert_memory_equal(run.bytes, copy, BYTES);
        assert_true(memory_changed_pages(&base, &run) == 0);
    }
    scribble(&run, &prng, 100);
    assert_true(memory_fork(&base, &run, &fork));
    assert_memory_equal(fork.bytes, run.bytes, BYTES);
    assert_true(memory_restore(&base, &run));
    assert_memory_equal(run.bytes, copy, BYTES);

    scribble(&run, &prng, 100);
    memcpy(copy, run.bytes, BYTES);
    assert_true(memory_base_renew(&base, &run));
    assert_true(memory_changed_pages(&base, &run) == 0);
    scribble(&run, &prng, 100);
    assert_true(memory_restore(&base, &run));
    assert_memory_equal(run.bytes, copy, BYTES);
    memory_base_free(&base);
    assert_memory_equal(run.bytes, copy, BYTES); /* a run outlives the base's handle */
    unmap_run(&run);
    unmap_run(&fork);
    free(copy);
}

static void ranges_find_every_page(void **state)
{
    (void)state;
    go_and_come_back(SCAN_RANGES, true);
}

static void words_find_every_page(void **state)
{
    (void)state;
    go_and_come_back(SCAN_WORDS, true);
}

static void comparing_finds_every_page(void **state)
{
    (void)state;
    go_and_come_back(SCAN_COMPARE, true);
    go_and_come_back(SCAN_COMPARE, false);
}

/* A base beside the one that the run is mapped from: what it inherits and what changed since. */
static void a_second_base_has_everything(void **state)
{
    struct memory_run run = map_run();
    struct memory_base first, second;
    struct prng prng;
    uint8_t *copy = malloc(BYTES);
    (void)state;
    assert_non_null(copy);
    prng_seed(&prng, 5);
    scribble(&run, &prng, 300);
    assert_true(memory_base_fill(&first, &run, NULL, true));
    assert_true(memory_base_map(&first, &run));
    scribble(&run, &prng, 60);
    memset(run.bytes + 700 * PAGE, 0, 3 * PAGE); /* zeros over what is inherited */
    memcpy(copy, run.bytes, BYTES);
    assert_true(memory_base_fill(&second, &run, &first, true));
    assert_memory_equal(run.bytes, copy, BYTES);
    assert_true(memory_base_map(&second, &run));
    memory_base_free(&first);
    assert_memory_equal(run.bytes, copy, BYTES);
    scribble(&run, &prng, 60);
    assert_true(memory_restore(&second, &run));
    assert_memory_equal(run.bytes, copy, BYTES);
    memory_base_free(&second);
    unmap_run(&run);
    free(copy);
}

static void a_visitor_can_stop(void **state)
{
    struct memory_run run = map_run();
    struct found f = {.stop_at = 1};
    (void)state;
    run.bytes[3 * PAGE] = 1;
    run.bytes[9 * PAGE] = 1;
    assert_false(memory_visit_changed(NULL, &run, mark, &f));
    assert_int_equal(f.count, 1);
    assert_int_equal(f.is_changed[3], 1);
    unmap_run(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_find_every_page),
        cmocka_unit_test(words_find_every_page),
        cmocka_unit_test(comparing_finds_every_page),
        cmocka_unit_test(a_second_base_has_everything),
        cmocka_unit_test(a_visitor_can_stop),
    };
    return cmocka_run_group_tests_name("snapshot_memory", tests, NULL, NULL);
}
