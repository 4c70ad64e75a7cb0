/*
 * Faults that wait for a frame: PENDING, woken by a free, cancelled, timed out (F1, F3).
 */
#include "unit/machine.h"

#define WAIT_100NS 1000u

/* Every frame but `left` is taken by pages of a region. */
static void fill_ram(struct machine *m, uint64_t left)
{
    struct ntmm_memory_information memory = machine_memory(m);
    uint64_t base = BASE + GIB;
    uint64_t tables = 2; /* the first touch of the region makes them */
    uint64_t pages = memory.zeroed_pages + memory.free_pages - tables - left;
    assert_true(pages < 512);
    must_reserve(m, base, 2 * MIB, NTMM_PAGE_READWRITE);
    must_commit(m, base, pages * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, base, (pages - 1) * PAGE);
    must_write(m, base + (pages - 1) * PAGE, 1);
    memory = machine_memory(m);
    assert_int_equal(memory.zeroed_pages + memory.free_pages, left);
}

static struct machine *open_full(uint64_t left)
{
    const struct machine_setup setup = {
        .hardware = {.ram_bytes = MIB},
        .core = {.extra_commit_pages = 1000, .fault_wait_100ns = WAIT_100NS}};
    struct machine *m = machine_open(&setup);
    must_allocate(m, BASE, 16 * PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 1);
    fill_ram(m, left);
    return m;
}

static ntmm_status begin(struct machine *m, uint64_t va, struct ntmm_wait *wait)
{
    struct ntmm_fault_request request = {
        .process = m->process, .address = va, .error_code = NTMM_FAULT_USER | NTMM_FAULT_WRITE};
    return ntmm_fault_begin(m->system, &request, wait, &m->fault);
}

static void a_wait_is_woken_by_a_free(void **state)
{
    struct ntmm_wait wait = {0};
    (void)state;
    struct machine *m = open_full(0);
    uint64_t tables = machine_process(m).table_pages;
    assert_int_equal(begin(m, BASE + PAGE, &wait), NTMM_STATUS_PENDING);
    assert_int_equal(wait.is_queued, 1);
    assert_int_equal(wait.is_woken, 0);
    assert_int_equal(m->fault.kind, NTMM_FAULT_KIND_NONE);
    assert_int_equal(machine_process(m).table_pages, tables);
    machine_assert_sound(m);
    must_decommit(m, BASE, PAGE);
    assert_int_equal(wait.is_queued, 0);
    assert_int_equal(wait.is_woken, 1);
    assert_int_equal(begin(m, BASE + PAGE, &wait), NTMM_STATUS_SUCCESS);
    assert_int_equal(m->fault.kind, NTMM_FAULT_KIND_DEMAND_ZERO);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_FAULT_WAITS), 1);
    machine_close(m);
}

static void all_waits_are_woken_and_one_waits_again(void **state)
{
    struct ntmm_wait waits[3] = {{0}};
    (void)state;
    struct machine *m = open_full(0);
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(begin(m, BASE + (i + 1) * PAGE, &waits[i]), NTMM_STATUS_PENDING);
    machine_assert_sound(m);
    ntmm_fault_cancel(m->system, &waits[1]);
    assert_int_equal(waits[1].is_queued, 0);
    must_decommit(m, BASE, PAGE);
    assert_int_equal(waits[0].is_woken, 1);
    assert_int_equal(waits[1].is_woken, 0);
    assert_int_equal(waits[2].is_woken, 1);
    assert_int_equal(begin(m, BASE + PAGE, &waits[0]), NTMM_STATUS_SUCCESS);
    assert_int_equal(begin(m, BASE + 3 * PAGE, &waits[2]), NTMM_STATUS_PENDING);
    ntmm_fault_cancel(m->system, &waits[2]);
    ntmm_fault_cancel(m->system, &waits[2]);
    machine_close(m);
}

/* One frame is free and the fault needs two: it must neither spin nor keep the one. */
static void a_fault_that_lacks_one_of_two_frames_waits(void **state)
{
    const uint64_t va = BASE + 4 * MIB;
    struct ntmm_wait wait = {0};
    (void)state;
    struct machine *m = open_full(1);
    must_allocate(m, va, PAGE, NTMM_PAGE_READWRITE);
    assert_int_equal(begin(m, va, &wait), NTMM_STATUS_PENDING);
    assert_int_equal(wait.is_queued, 1);
    assert_int_equal(machine_memory(m).zeroed_pages + machine_memory(m).free_pages, 1);
    must_decommit(m, BASE, PAGE);
    assert_int_equal(wait.is_woken, 1);
    assert_int_equal(begin(m, va, &wait), NTMM_STATUS_SUCCESS);
    machine_close(m);
}

static void a_fault_that_nobody_wakes_times_out(void **state)
{
    (void)state;
    struct machine *m = open_full(0);
    uint64_t commit = machine_memory(m).commit_pages;
    assert_int_equal(try_write(m, BASE + PAGE, 1), NTMM_STATUS_NO_MEMORY);
    assert_null(m->system->for_frame.first);
    assert_int_equal(machine_memory(m).commit_pages, commit);
    must_decommit(m, BASE, PAGE);
    must_write(m, BASE + PAGE, 1);
    machine_close(m);
}

static void a_waiting_fault_sees_its_process_end(void **state)
{
    struct ntmm_wait wait = {0};
    (void)state;
    struct machine *m = open_full(0);
    assert_int_equal(begin(m, BASE + PAGE, &wait), NTMM_STATUS_PENDING);
    assert_int_equal(ntmm_end_process(m->system, m->process), NTMM_STATUS_SUCCESS);
    assert_int_equal(wait.is_woken, 1);
    assert_int_equal(begin(m, BASE + PAGE, &wait), NTMM_STATUS_INVALID_HANDLE);
    machine_close(m);
}

/* Several coroutines want more pages than there are frames; one gives its own back, all end. */
struct worker {
    struct machine *m;
    uint64_t base;
    uint32_t processor;
    uint32_t rounds_done;
};

#define WORKERS 4u
#define WORKER_PAGES 12u
#define ROUNDS 20u

static void touch_and_give_back(void *context)
{
    struct worker *w = context;
    for (; w->rounds_done < ROUNDS; w->rounds_done++) {
        uint64_t size = WORKER_PAGES * PAGE;
        for (uint64_t i = 0; i < WORKER_PAGES; i++) {
            uint64_t va = w->base + i * PAGE;
            if (ntmm_emulated_store(w->m->emu, w->processor, va, &va, sizeof va, NULL, NULL) !=
                NTMM_STATUS_SUCCESS)
                return;
            ntmm_emulated_yield(w->m->emu);
            /* Give back at once, lest everybody holds some and waits for more. */
            if (i % 3 == 2 && try_free(w->m, w->base, 3 * PAGE * (i / 3 + 1), NTMM_MEM_DECOMMIT) !=
                                  NTMM_STATUS_SUCCESS)
                return;
        }
        if (try_free(w->m, w->base, size, NTMM_MEM_DECOMMIT) != NTMM_STATUS_SUCCESS ||
            try_allocate(w->m, w->base, size, NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE) !=
                NTMM_STATUS_SUCCESS)
            return;
    }
}

static void coroutines_wait_for_each_other(void **state)
{
    const struct machine_setup setup = {
        .hardware = {.ram_bytes = MIB, .cpu_count = WORKERS, .seed = 7, .step_limit = 1000000},
        .core = {.extra_commit_pages = 1000}};
    struct worker workers[WORKERS];
    (void)state;
    struct machine *m = machine_open(&setup);
    for (uint32_t i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.m = m, .base = BASE + i * KIB64, .processor = i};
        must_reserve(m, workers[i].base, KIB64, NTMM_PAGE_READWRITE);
        must_commit(m, workers[i].base, WORKER_PAGES * PAGE, NTMM_PAGE_READWRITE);
        assert_int_equal(ntmm_emulated_attach(m->emu, i, m->process), NTMM_STATUS_SUCCESS);
    }
    must_write(m, BASE, 0);
    fill_ram(m, 2 * WORKERS + 1); /* each waits with at most two in hand: one can go on */
    for (uint32_t i = 0; i < WORKERS; i++)
        assert_int_equal(ntmm_emulated_spawn(m->emu, i, touch_and_give_back, &workers[i], 0),
                         NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_run(m->emu), NTMM_STATUS_SUCCESS);
    for (uint32_t i = 0; i < WORKERS; i++)
        assert_int_equal(workers[i].rounds_done, ROUNDS);
    assert_true(machine_counter(m, NTMM_COUNTER_FAULT_WAITS) > 0);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wait_is_woken_by_a_free),
        cmocka_unit_test(all_waits_are_woken_and_one_waits_again),
        cmocka_unit_test(a_fault_that_lacks_one_of_two_frames_waits),
        cmocka_unit_test(a_fault_that_nobody_wakes_times_out),
        cmocka_unit_test(a_waiting_fault_sees_its_process_end),
        cmocka_unit_test(coroutines_wait_for_each_other),
    };
    return cmocka_run_group_tests_name("door_wait", tests, NULL, NULL);
}
