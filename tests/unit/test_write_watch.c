/*
 * Write watch: what marks a page, what keeps the mark, and what takes it (nt_semantics 2.8, 3.9).
 */
#include "paging/page_out.h"
#include "space/watch.h"
#include "unit/machine.h"

#include "base/prng.h"

#include <ntmm/write_watch.h>

#define WATCHED (NTMM_MEM_RESERVE | NTMM_MEM_COMMIT | NTMM_MEM_WRITE_WATCH)
#define RESET NTMM_WRITE_WATCH_FLAG_RESET

static void must_watch(struct machine *m, uint64_t base, uint64_t size, uint32_t type,
                       uint32_t protect)
{
    assert_int_equal(try_allocate(m, base, size, type, protect), NTMM_STATUS_SUCCESS);
}

static struct machine *open_watched(uint64_t pages)
{
    struct machine *m = machine_open(NULL);
    must_watch(m, BASE, pages * PAGE, WATCHED, NTMM_PAGE_READWRITE);
    return m;
}

/* Marked pages of at most 64 from an address, lowest bit first. */
static uint64_t marks_of(struct machine *m, ntmm_handle process, uint64_t base, uint64_t pages,
                         uint32_t flags)
{
    uint64_t bitmap = ~0ull;
    uint64_t count = 99;
    assert_int_equal(ntmm_get_write_watch_bitmap(m->system, process, flags, base, pages * PAGE,
                                                 &bitmap, 1, &count),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(count, __builtin_popcountll(bitmap));
    return bitmap;
}

static uint64_t marks(struct machine *m, uint64_t pages)
{
    return marks_of(m, m->process, BASE, pages, 0);
}

static void must_reset(struct machine *m, uint64_t base, uint64_t size)
{
    assert_int_equal(ntmm_reset_write_watch(m->system, m->process, base, size),
                     NTMM_STATUS_SUCCESS);
}

static void writes_mark_and_reads_do_not(void **state)
{
    (void)state;
    struct machine *m = open_watched(8);
    must_read(m, BASE);
    must_read(m, BASE + PAGE);
    assert_int_equal(marks(m, 8), 0);
    must_write(m, BASE + PAGE, 1); /* clean and valid */
    must_write(m, BASE + 5 * PAGE, 1);
    must_write(m, BASE + 5 * PAGE + 8, 1);
    assert_int_equal(marks(m, 8), 1u << 1 | 1u << 5);
    assert_int_equal(marks(m, 8), 1u << 1 | 1u << 5);
    machine_assert_sound(m);
    machine_close(m);
}

static void addresses_rise_and_only_those_returned_are_reset(void **state)
{
    (void)state;
    uint64_t addresses[4] = {1, 1, 1, 1};
    uint64_t count = 2;
    uint32_t granularity = 0;
    struct machine *m = open_watched(64);
    must_write(m, BASE + 60 * PAGE, 1);
    must_write(m, BASE + 3 * PAGE, 1);
    must_write(m, BASE + 2 * PAGE, 1);
    assert_int_equal(ntmm_get_write_watch(m->system, m->process, RESET, BASE + 5, 61 * PAGE,
                                          addresses, &count, &granularity),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(count, 2);
    assert_int_equal(granularity, 4096);
    assert_int_equal(addresses[0], BASE + 2 * PAGE);
    assert_int_equal(addresses[1], BASE + 3 * PAGE);
    assert_int_equal(addresses[2], 1);
    assert_int_equal(marks(m, 64), 1ull << 60);
    count = 4;
    assert_int_equal(ntmm_get_write_watch(m->system, m->process, 0, BASE, 64 * PAGE, addresses,
                                          &count, &granularity),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(count, 1);
    assert_int_equal(addresses[0], BASE + 60 * PAGE);
    machine_assert_sound(m);
    machine_close(m);
}

/* The processor holds a translation that lets it write; the reset takes it away. */
static void a_reset_page_is_marked_by_its_next_write(void **state)
{
    (void)state;
    struct machine *m = open_watched(4);
    must_write(m, BASE, 0x11);
    must_write(m, BASE + PAGE, 0x22);
    must_reset(m, BASE + 1, 1); /* rounded to the page */
    machine_assert_sound(m);
    assert_int_equal(marks(m, 4), 1u << 1);
    assert_int_equal(must_read(m, BASE), 0x11);
    assert_int_equal(marks(m, 4), 1u << 1);
    uint64_t faults = machine_counter(m, NTMM_COUNTER_MAKE_DIRTY_FAULTS);
    must_write(m, BASE, 0x33);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_MAKE_DIRTY_FAULTS), faults + 1);
    assert_int_equal(marks(m, 4), 1u << 0 | 1u << 1);
    assert_int_equal(marks_of(m, m->process, BASE, 4, RESET), 3);
    assert_int_equal(marks(m, 4), 0);
    assert_int_equal(must_read(m, BASE), 0x33);
    machine_close(m);
}

static void protection_keeps_marks(void **state)
{
    (void)state;
    struct machine *m = open_watched(4);
    must_write(m, BASE, 1);
    must_protect(m, BASE, 4 * PAGE, NTMM_PAGE_NOACCESS);
    assert_int_equal(marks(m, 4), 1);
    must_protect(m, BASE, 4 * PAGE, NTMM_PAGE_READONLY);
    assert_int_equal(try_write(m, BASE + PAGE, 1), NTMM_STATUS_ACCESS_VIOLATION);
    must_protect(m, BASE, 4 * PAGE, NTMM_PAGE_READWRITE);
    assert_int_equal(marks(m, 4), 1);
    must_reset(m, BASE, 4 * PAGE);
    assert_int_equal(marks(m, 4), 0);
    machine_assert_sound(m);
    machine_close(m);
}

static void a_guard_marks_nothing(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    uint64_t value;
    must_watch(m, BASE, 2 * PAGE, WATCHED, NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD);
    assert_int_equal(try_read(m, BASE, &value), NTMM_STATUS_GUARD_PAGE_VIOLATION);
    assert_int_equal(try_write(m, BASE + PAGE, 1), NTMM_STATUS_GUARD_PAGE_VIOLATION);
    assert_int_equal(marks(m, 2), 0);
    must_write(m, BASE + PAGE, 1);
    assert_int_equal(marks(m, 2), 2);
    machine_assert_sound(m);
    machine_close(m);
}

static void decommit_clears_but_not_what_was_protected(void **state)
{
    (void)state;
    struct machine *m = open_watched(4);
    must_write(m, BASE, 1);
    must_write(m, BASE + PAGE, 1);
    must_write(m, BASE + 2 * PAGE, 1);
    must_protect(m, BASE + PAGE, PAGE, NTMM_PAGE_READONLY);
    must_decommit(m, BASE, 3 * PAGE);
    machine_assert_sound(m);
    assert_int_equal(marks(m, 4), 1u << 1);
    must_commit(m, BASE, 3 * PAGE, NTMM_PAGE_READWRITE);
    assert_int_equal(marks(m, 4), 1u << 1);
    assert_int_equal(must_read(m, BASE + PAGE), 0);
    must_reset(m, BASE, 4 * PAGE);
    assert_int_equal(marks(m, 4), 0);
    must_write(m, BASE + PAGE, 1); /* and is as any other again */
    must_decommit(m, BASE, 4 * PAGE);
    assert_int_equal(marks(m, 4), 0);
    must_reset(m, BASE, 4 * PAGE); /* none is committed */
    machine_close(m);
}

static void a_split_region_keeps_its_marks(void **state)
{
    (void)state;
    uint64_t bitmap;
    struct machine *m = open_watched(32);
    must_fill(m, BASE, 32 * PAGE);
    must_reset(m, BASE + PAGE, PAGE);
    must_release(m, BASE + 16 * PAGE, 4 * PAGE);
    machine_assert_sound(m);
    assert_int_equal(marks(m, 16), 0xFFFD);
    assert_int_equal(marks_of(m, m->process, BASE + 20 * PAGE, 12, 0), 0xFFF);
    assert_int_equal(ntmm_get_write_watch_bitmap(m->system, m->process, 0, BASE + 16 * PAGE, PAGE,
                                                 &bitmap, 1, NULL),
                     NTMM_STATUS_INVALID_PARAMETER_1);
    assert_int_equal(
        ntmm_get_write_watch_bitmap(m->system, m->process, 0, BASE, 17 * PAGE, &bitmap, 1, NULL),
        NTMM_STATUS_INVALID_PARAMETER_3);
    must_release(m, BASE, 8 * PAGE);
    assert_int_equal(marks_of(m, m->process, BASE + 8 * PAGE, 8, 0), 0xFF);
    must_release(m, BASE + 8 * PAGE, 8 * PAGE);
    must_watch(m, BASE, 4 * PAGE, WATCHED, NTMM_PAGE_READWRITE);
    assert_int_equal(marks(m, 4), 0);
    machine_close(m);
}

static void marks_outlive_paging(void **state)
{
    (void)state;
    struct machine *m = open_watched(8);
    assert_int_equal(page_out_add_file(m->emu), NTMM_STATUS_SUCCESS);
    must_write(m, BASE, 0x10);
    must_write(m, BASE + PAGE, 0x11);
    page_out_everything(m->emu);
    machine_assert_sound(m);
    assert_int_equal(marks(m, 8), 3);
    assert_int_equal(must_read(m, BASE), 0x10);
    page_out_everything(m->emu);
    must_reset(m, BASE, 8 * PAGE); /* while it is out */
    assert_int_equal(marks(m, 8), 0);
    assert_int_equal(must_read(m, BASE + PAGE), 0x11);
    assert_int_equal(marks(m, 8), 0);
    must_write(m, BASE + PAGE, 0x12);
    page_out_everything(m->emu);
    must_write(m, BASE, 0x13); /* read in, then written */
    assert_int_equal(marks(m, 8), 3);
    must_decommit(m, BASE, PAGE);
    assert_int_equal(marks(m, 8), 2);
    machine_close(m);
}

static void processes_are_watched_apart(void **state)
{
    (void)state;
    struct machine *m = open_watched(4);
    ntmm_handle other = machine_add_process(m);
    uint64_t base = BASE;
    uint64_t size = 4 * PAGE;
    assert_int_equal(ntmm_allocate_virtual_memory(m->system, other, &base, 0, &size, WATCHED,
                                                  NTMM_PAGE_READWRITE),
                     NTMM_STATUS_SUCCESS);
    must_write(m, BASE, 1);
    assert_int_equal(ntmm_emulated_attach(m->emu, 0, other), NTMM_STATUS_SUCCESS);
    must_write(m, BASE + 2 * PAGE, 1);
    machine_assert_sound(m);
    assert_int_equal(marks(m, 4), 1);
    assert_int_equal(marks_of(m, other, BASE, 4, RESET), 4);
    assert_int_equal(marks(m, 4), 1);
    assert_int_equal(ntmm_end_process(m->system, other), NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
    machine_close(m);
}

/* Five nodes make the way to a first mark; a second one far away shares the root alone. */
static void cost_follows_use(void **state)
{
    (void)state;
    const uint64_t far = 1ull << 41;
    struct machine *m = machine_open(NULL);
    struct slab_class *class = &machine_anchor(m)->slabs[SLAB_WATCH_NODE];
    must_watch(m, BASE, far + MIB, NTMM_MEM_RESERVE | NTMM_MEM_WRITE_WATCH, NTMM_PAGE_READWRITE);
    must_commit(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    must_commit(m, BASE + far, PAGE, NTMM_PAGE_READWRITE);
    must_read(m, BASE);
    assert_int_equal(get64(&class->used), 0);
    must_write(m, BASE, 1);
    assert_int_equal(get64(&class->used), 5);
    must_write(m, BASE + far, 1);
    assert_int_equal(get64(&class->used), 9);
    uint64_t addresses[3];
    uint64_t count = 3;
    uint32_t granularity;
    assert_int_equal(ntmm_get_write_watch(m->system, m->process, 0, BASE, far + MIB, addresses,
                                          &count, &granularity),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(count, 2);
    assert_int_equal(addresses[1], BASE + far);
    must_reset(m, BASE, far + MIB);
    assert_int_equal(get64(&class->used), 0);
    machine_close(m);
}

static ntmm_status begin_write(struct machine *m, uint64_t va)
{
    struct ntmm_wait wait = {0};
    struct ntmm_fault_request request = {
        .process = m->process, .address = va, .error_code = NTMM_FAULT_USER | NTMM_FAULT_WRITE};
    ntmm_status status = ntmm_fault_begin(m->system, &request, &wait, &m->fault);
    if (status == NTMM_STATUS_PENDING)
        ntmm_fault_cancel(m->system, &wait);
    return status;
}

/* F1: with no frame for the mark the fault waits, and nothing has changed. */
static void without_a_frame_for_the_mark_the_fault_waits(void **state)
{
    static uint64_t hoard[1024];
    uint32_t count = 0;
    (void)state;
    struct machine *m = open_watched(4);
    struct call c = machine_call(m);
    must_read(m, BASE);
    while (frame_allocate_zeroed(&c, NTMM_USE_FREE, &hoard[count]))
        count++;
    uint64_t commit = get64(&machine_partition(m)->commit);
    assert_int_equal(begin_write(m, BASE), NTMM_STATUS_PENDING); /* its page is there, and clean */
    assert_int_equal(begin_write(m, BASE + PAGE), NTMM_STATUS_PENDING);
    frame_free(&c, hoard[--count]);
    assert_int_equal(begin_write(m, BASE + PAGE), NTMM_STATUS_PENDING); /* one is not enough */
    machine_assert_sound(m);
    assert_int_equal(get64(&machine_partition(m)->commit), commit);
    assert_int_equal(marks(m, 4), 0);
    assert_int_equal(begin_write(m, BASE), NTMM_STATUS_SUCCESS);
    assert_int_equal(begin_write(m, BASE + PAGE), NTMM_STATUS_PENDING);
    frame_free(&c, hoard[--count]);
    assert_int_equal(begin_write(m, BASE + PAGE), NTMM_STATUS_SUCCESS);
    assert_int_equal(marks(m, 4), 3);
    while (count > 0)
        frame_free(&c, hoard[--count]);
    machine_close(m);
}

static void each_allocation_of_a_first_write_may_fail(void **state)
{
    (void)state;
    for (uint64_t after = 0; after < 5; after++) {
        struct machine *m = open_watched(4); /* three tables, a node's frame, the page */
        uint64_t commit = get64(&machine_partition(m)->commit);
        m->system->failures.after = after;
        m->system->failures.count = UINT64_MAX;
        assert_int_equal(begin_write(m, BASE), NTMM_STATUS_PENDING);
        m->system->failures.count = 0;
        machine_assert_sound(m);
        assert_int_equal(marks(m, 4), 0);
        assert_int_equal(get64(&machine_partition(m)->commit), commit);
        must_write(m, BASE, 1);
        assert_int_equal(marks(m, 4), 1);
        machine_close(m);
    }
}

static void without_commit_for_the_mark_the_write_fails(void **state)
{
    (void)state;
    struct machine *m = open_watched(4);
    must_read(m, BASE);
    const le64 *limit = &machine_partition(m)->commit_limit;
    uint64_t enough = get64(limit);
    machine_set_commit_limit(m, get64(&machine_partition(m)->commit));
    assert_int_equal(try_write(m, BASE, 1), NTMM_STATUS_COMMITMENT_LIMIT);
    assert_int_equal(try_write(m, BASE + PAGE, 1), NTMM_STATUS_COMMITMENT_LIMIT);
    machine_assert_sound(m);
    assert_int_equal(marks(m, 4), 0);
    assert_int_equal(get64(limit), get64(&machine_partition(m)->commit));
    machine_set_commit_limit(m, enough);
    must_write(m, BASE, 1);
    machine_close(m);
}

/* --- statuses, in order --- */

static ntmm_status try_get(struct machine *m, uint32_t flags, uint64_t base, uint64_t size,
                           uint64_t count)
{
    uint64_t address = 7;
    uint64_t found = count;
    uint32_t granularity = 7;
    ntmm_status status = ntmm_get_write_watch(m->system, m->process, flags, base, size, &address,
                                              &found, &granularity);
    if (status != NTMM_STATUS_SUCCESS) {
        assert_int_equal(address, 7);
        assert_int_equal(found, count);
        assert_int_equal(granularity, 7);
    }
    return status;
}

static void wrong_arguments_have_their_status(void **state)
{
    (void)state;
    struct machine *m = open_watched(4);
    const uint64_t above = NTMM_HIGHEST_USER_ADDRESS + 1;
    uint64_t word;
    uint32_t granularity;
    must_allocate(m, BASE + MIB, PAGE, NTMM_PAGE_READWRITE);
    assert_int_equal(try_get(m, 2, above, 0, 0), NTMM_STATUS_INVALID_PARAMETER_2);
    assert_int_equal(try_get(m, 0, above, 0, 0), NTMM_STATUS_INVALID_PARAMETER_1);
    assert_int_equal(try_get(m, 0, BASE, 0, 0), NTMM_STATUS_INVALID_PARAMETER_3);
    assert_int_equal(try_get(m, 0, BASE, UINT64_MAX, 0), NTMM_STATUS_INVALID_PARAMETER_3);
    assert_int_equal(try_get(m, 0, BASE + MIB, PAGE, 0), NTMM_STATUS_INVALID_PARAMETER_5);
    assert_int_equal(try_get(m, 0, BASE + MIB, PAGE, 1), NTMM_STATUS_INVALID_PARAMETER_1);
    assert_int_equal(try_get(m, 0, BASE + 2 * MIB, PAGE, 1), NTMM_STATUS_INVALID_PARAMETER_1);
    assert_int_equal(try_get(m, 0, BASE, 5 * PAGE, 1), NTMM_STATUS_INVALID_PARAMETER_3);
    assert_int_equal(try_get(m, RESET, BASE, 4 * PAGE, 1), NTMM_STATUS_SUCCESS);
    word = 0;
    assert_int_equal(ntmm_get_write_watch(m->system, 0, 0, BASE, PAGE, NULL, &word, &granularity),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(ntmm_get_write_watch(m->system, 0, 0, BASE, PAGE, &word, NULL, &granularity),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(ntmm_get_write_watch(m->system, 0, 0, BASE, PAGE, &word, &word, NULL),
                     NTMM_STATUS_ACCESS_VIOLATION);
    word = 1;
    assert_int_equal(ntmm_get_write_watch(m->system, 0, 0, BASE, PAGE, &word, &word, &granularity),
                     NTMM_STATUS_INVALID_HANDLE);
    machine_close(m);
}

/* Bit i of the whole is page i of the range, in words of 64. */
static void a_bitmap_has_words(void **state)
{
    (void)state;
    struct machine *m = open_watched(130);
    static const uint64_t written[] = {1, 63, 64, 65, 129};
    uint64_t bitmap[3] = {5, 5, 5}, count;
    for (uint32_t i = 0; i < 5; i++)
        must_write(m, BASE + written[i] * PAGE, 1);
    assert_int_equal(
        ntmm_get_write_watch_bitmap(m->system, m->process, 0, BASE, 130 * PAGE, bitmap, 3, &count),
        NTMM_STATUS_SUCCESS);
    assert_int_equal(count, 5);
    assert_true(bitmap[0] == (1ull << 63 | 2) && bitmap[1] == 3 && bitmap[2] == 2);
    machine_close(m);
}

static void wrong_arguments_of_the_others(void **state)
{
    (void)state;
    struct machine *m = open_watched(65);
    ntmm_handle poor = m->process | (uint64_t)NTMM_PROCESS_VM_OPERATION << HANDLE_LACKS_SHIFT;
    uint64_t bitmap[2] = {5, 5};
    assert_int_equal(
        ntmm_get_write_watch_bitmap(m->system, m->process, 0, BASE, 65 * PAGE, bitmap, 1, NULL),
        NTMM_STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(
        ntmm_get_write_watch_bitmap(m->system, m->process, 0, BASE, 65 * PAGE, NULL, 2, NULL),
        NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(
        ntmm_get_write_watch_bitmap(m->system, poor, 0, BASE, 65 * PAGE, bitmap, 2, NULL),
        NTMM_STATUS_ACCESS_DENIED);
    assert_int_equal(bitmap[0] + bitmap[1], 10);
    must_write(m, BASE + 64 * PAGE, 1);
    assert_int_equal(
        ntmm_get_write_watch_bitmap(m->system, m->process, 0, BASE, 65 * PAGE, bitmap, 2, NULL),
        NTMM_STATUS_SUCCESS);
    assert_int_equal(bitmap[0], 0);
    assert_int_equal(bitmap[1], 1);
    assert_int_equal(ntmm_reset_write_watch(m->system, 0, UINT64_MAX, 0),
                     NTMM_STATUS_INVALID_PARAMETER_1);
    assert_int_equal(ntmm_reset_write_watch(m->system, 0, BASE, 0),
                     NTMM_STATUS_INVALID_PARAMETER_3);
    assert_int_equal(ntmm_reset_write_watch(m->system, poor, BASE + MIB, PAGE),
                     NTMM_STATUS_ACCESS_DENIED);
    assert_int_equal(ntmm_reset_write_watch(m->system, m->process, BASE + MIB, PAGE),
                     NTMM_STATUS_INVALID_PARAMETER_1);
    assert_int_equal(ntmm_reset_write_watch(m->system, m->process, BASE, 66 * PAGE),
                     NTMM_STATUS_INVALID_PARAMETER_3);
    machine_close(m);
}

/* --- against an array --- */

#define MANY 5000u /* pages: three leaves */

struct naive {
    bool written[MANY];
    bool latched[MANY];
    bool committed[MANY];
};

static void expect_marks(struct machine *m, const struct naive *naive)
{
    static uint64_t addresses[MANY];
    uint64_t count = MANY;
    uint32_t granularity;
    uint64_t at = 0;
    assert_int_equal(ntmm_get_write_watch(m->system, m->process, 0, BASE, MANY * PAGE, addresses,
                                          &count, &granularity),
                     NTMM_STATUS_SUCCESS);
    for (uint64_t i = 0; i < MANY; i++) {
        if (naive->written[i]) {
            assert_true(at < count);
            assert_int_equal(addresses[at++], BASE + i * PAGE);
        }
    }
    assert_int_equal(at, count);
}

static void step(struct machine *m, struct naive *naive, struct prng *random)
{
    uint64_t what = prng_below(random, 16);
    uint64_t first = prng_below(random, MANY);
    uint64_t pages = 1 + prng_below(random, what < 10 ? 3 : 200);
    uint64_t end = first + pages < MANY ? first + pages : MANY;
    uint64_t base = BASE + first * PAGE;
    uint64_t size = (end - first) * PAGE;
    bool is_all = true;
    for (uint64_t i = first; i < end; i++)
        is_all = is_all && naive->committed[i];
    if (what < 10 && is_all)
        must_fill(m, base, size);
    if (what == 10)
        must_decommit(m, base, size);
    if (what == 11)
        must_reset(m, base, size);
    if (what == 12 && is_all)
        must_protect(m, base, size, NTMM_PAGE_EXECUTE_READWRITE);
    if (what >= 13)
        must_commit(m, base, size, NTMM_PAGE_READWRITE);
    for (uint64_t i = first; i < end; i++) {
        naive->written[i] = what < 10    ? naive->written[i] || is_all
                            : what == 10 ? naive->written[i] && naive->latched[i]
                            : what == 11 ? false
                                         : naive->written[i];
        naive->latched[i] = what == 11             ? false
                            : what == 12 && is_all ? naive->latched[i] || naive->written[i]
                                                   : naive->latched[i];
        naive->committed[i] = what == 10 ? false : what >= 13 ? true : naive->committed[i];
    }
}

static void marks_are_those_of_an_array(void **state)
{
    static struct naive naive;
    const struct machine_setup setup = {.hardware = {.ram_bytes = 16 * MIB}};
    (void)state;
    struct machine *m = machine_open(&setup);
    struct prng random;
    prng_seed(&random, 0x57A7);
    assert_int_equal(page_out_add_file(m->emu), NTMM_STATUS_SUCCESS);
    must_watch(m, BASE, MANY * PAGE, NTMM_MEM_RESERVE | NTMM_MEM_WRITE_WATCH, NTMM_PAGE_READWRITE);
    for (uint32_t i = 0; i < 3000; i++) {
        step(m, &naive, &random);
        if (i % 16 == 0)
            expect_marks(m, &naive);
        if (i % 256 == 0)
            machine_assert_sound(m);
        if (i % 512 == 100)
            page_out_everything(m->emu);
    }
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_mark_and_reads_do_not),
        cmocka_unit_test(addresses_rise_and_only_those_returned_are_reset),
        cmocka_unit_test(a_reset_page_is_marked_by_its_next_write),
        cmocka_unit_test(protection_keeps_marks),
        cmocka_unit_test(a_guard_marks_nothing),
        cmocka_unit_test(decommit_clears_but_not_what_was_protected),
        cmocka_unit_test(a_split_region_keeps_its_marks),
        cmocka_unit_test(marks_outlive_paging),
        cmocka_unit_test(processes_are_watched_apart),
        cmocka_unit_test(cost_follows_use),
        cmocka_unit_test(without_a_frame_for_the_mark_the_fault_waits),
        cmocka_unit_test(each_allocation_of_a_first_write_may_fail),
        cmocka_unit_test(without_commit_for_the_mark_the_write_fails),
        cmocka_unit_test(wrong_arguments_have_their_status),
        cmocka_unit_test(a_bitmap_has_words),
        cmocka_unit_test(wrong_arguments_of_the_others),
        cmocka_unit_test(marks_are_those_of_an_array),
    };
    return cmocka_run_group_tests_name("write_watch", tests, NULL, NULL);
}
