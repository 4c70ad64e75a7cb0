/*
 * The balance set manager: which pages go, when, and that a fault always gets on.
 *
 *   frames   | process 1 | process 2 | standby, modified |     of 1 MiB
 *
 * Expectations are written from docs/paging.md, "When pages go". The tests that compare processes
 * print what was aged and trimmed of each.
 */
#include "unit/storage.h"
#include "workingset/balance.h"

#define RAM_BYTES MIB
#define FILE_BYTES (8 * MIB)
#define LARGE (4 * MIB) /* a region that does not fit */
#define LARGE_PAGES (LARGE / PAGE)

static struct machine *open_small(uint64_t minimum, uint64_t maximum)
{
    const struct machine_setup setup = {
        .hardware = {.ram_bytes = RAM_BYTES, .cpu_count = 2},
        .core = {.read_cluster_pages = 1, .extra_commit_pages = 4 * LARGE_PAGES},
        .process = {.working_set_minimum_pages = minimum, .working_set_maximum_pages = maximum},
    };
    return machine_open(&setup);
}

static struct machine *open_paging(uint64_t minimum, uint64_t maximum)
{
    struct machine *m = open_small(minimum, maximum);
    (void)must_add_file(m, FILE_BYTES, 0, NULL);
    return m;
}

/* A process on processor 1, with a committed region at BASE. */
static ntmm_handle add_process(struct machine *m, uint64_t minimum, uint64_t maximum, uint64_t size)
{
    const struct ntmm_process_config config = {
        .size = sizeof config,
        .version = NTMM_PROCESS_CONFIG_VERSION,
        .working_set_minimum_pages = minimum,
        .working_set_maximum_pages = maximum,
    };
    ntmm_handle process = 0;
    uint64_t base = BASE;
    assert_int_equal(ntmm_create_process(m->system, &config, &process), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_attach(m->emu, 1, process), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_allocate_virtual_memory(m->system, process, &base, 0, &size,
                                                  NTMM_MEM_RESERVE | NTMM_MEM_COMMIT,
                                                  NTMM_PAGE_READWRITE),
                     NTMM_STATUS_SUCCESS);
    return process;
}

static void must_store(struct machine *m, uint32_t cpu, uint64_t va, uint64_t value)
{
    assert_int_equal(ntmm_emulated_store(m->emu, cpu, va, &value, sizeof value, NULL, NULL),
                     NTMM_STATUS_SUCCESS);
}

static uint64_t must_load(struct machine *m, uint32_t cpu, uint64_t va)
{
    uint64_t value = 0;
    assert_int_equal(ntmm_emulated_load(m->emu, cpu, va, &value, sizeof value, NULL, NULL),
                     NTMM_STATUS_SUCCESS);
    return value;
}

static struct ntmm_process_information query(struct machine *m, ntmm_handle process)
{
    struct ntmm_process_information information;
    assert_int_equal(ntmm_query_process(m->system, process, &information), NTMM_STATUS_SUCCESS);
    return information;
}

static void print_sizes(struct machine *m, const char *name, ntmm_handle process)
{
    struct ntmm_process_information i = query(m, process);
    print_message("%s: working set %llu (minimum %llu), aged %llu, trimmed %llu, soft %llu, "
                  "hard %llu\n",
                  name, (unsigned long long)i.working_set_pages,
                  (unsigned long long)i.working_set_minimum_pages,
                  (unsigned long long)i.counters[NTMM_COUNTER_PAGES_AGED],
                  (unsigned long long)i.counters[NTMM_COUNTER_PAGES_TRIMMED],
                  (unsigned long long)i.counters[NTMM_COUNTER_TRANSITION_FAULTS],
                  (unsigned long long)i.counters[NTMM_COUNTER_HARD_FAULTS]);
}

static uint64_t available(struct machine *m)
{
    struct call c = machine_call(m);
    return frames_available(&c);
}

static uint64_t age_of(struct machine *m, uint64_t va)
{
    return field_get(get64(machine_entry(m, va, 1)), HW_AGE);
}

static bool is_accessed(struct machine *m, uint64_t va)
{
    return get64(machine_entry(m, va, 1)) & FIELD_MASK(HW_ACCESSED);
}

static void reclaim(struct machine *m, uint64_t pages)
{
    struct call c = machine_call(m);
    balance_reclaim(&c, pages);
}

static void close_released(struct machine *m)
{
    must_finish_transfers(m);
    machine_assert_sound(m);
    must_release(m, BASE, 0);
    machine_close(m);
}

/* --- a fault that finds no frame --- */

static void more_than_memory_is_written_and_read_back(void **state)
{
    (void)state;
    struct machine *m = open_paging(0, 0);
    must_allocate(m, BASE, LARGE, NTMM_PAGE_READWRITE);
    for (uint32_t round = 0; round < 3; round++) {
        must_fill(m, BASE, LARGE);
        must_hold(m, BASE, LARGE);
    }
    print_sizes(m, "4 MiB in 1 MiB", m->process);
    assert_true(machine_counter(m, NTMM_COUNTER_HARD_FAULTS) >= 2 * LARGE_PAGES);
    close_released(m);
}

/* All of memory is modified, so nothing can be had without a write: it is started, not waited for.
 * */
static void when_all_is_modified_writing_starts(void **state)
{
    (void)state;
    struct machine *m = open_paging(0, 0);
    must_allocate(m, BASE, LARGE, NTMM_PAGE_READWRITE);
    for (uint64_t va = BASE; available(m) > 0; va += PAGE)
        must_write(m, va, va);
    struct call c = machine_call(m);
    reclaim(m, 1);
    assert_true(transfers_in_use(&c) > 0);
    assert_int_equal(available(m), 0);
    machine_assert_sound(m);
    must_finish_transfers(m);
    assert_true(available(m) > 0);
    close_released(m);
}

/* The reserve is filled, not more: an eighth of the frames that hold pages, and what is asked for.
 * */
static void the_reserve_is_filled_and_no_more(void **state)
{
    (void)state;
    struct machine *m = open_paging(0, 0);
    must_allocate(m, BASE, LARGE, NTMM_PAGE_READWRITE);
    for (uint64_t va = BASE; available(m) > 0; va += PAGE)
        must_write(m, va, va);
    uint64_t user = machine_memory(m).user_pages;
    for (uint32_t i = 0; i < 3; i++) {
        reclaim(m, 2);
        assert_int_equal(machine_process(m).working_set_pages, user - (user / 8 + 2));
    }
    close_released(m);
}

/* One page is used between each two of the others, ten times around the region. The first time that
 * memory is full everything has been used, so the hot page may go once; after that the clock
 * knows. */
static void a_hot_page_survives(void **state)
{
    (void)state;
    struct machine *m = open_paging(0, 0);
    uint32_t lost = 0;
    must_allocate(m, BASE, LARGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 1);
    for (uint32_t round = 0; round < 10; round++) {
        for (uint64_t va = BASE + PAGE; va < BASE + LARGE; va += PAGE) {
            must_write(m, va, va);
            assert_int_equal(must_read(m, BASE), 1);
            lost += m->fault.kind == NTMM_FAULT_KIND_HARD;
        }
    }
    print_sizes(m, "one hot page", m->process);
    assert_true(lost <= 1);
    close_released(m);
}

static void the_page_used_since_the_last_round_stays(void **state)
{
    (void)state;
    struct machine *m = open_paging(0, 0);
    uint64_t size = 128 * PAGE;
    must_allocate(m, BASE, LARGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, size);
    ntmm_balance_set_manager(m->system); /* ample memory: every accessed bit is cleared */
    uint64_t hot = BASE + 17 * PAGE;
    (void)must_read(m, hot);
    for (uint64_t va = BASE + size; available(m) > 0; va += PAGE)
        must_write(m, va, va);
    reclaim(m, 32);
    assert_true(get64(machine_entry(m, hot, 1)) & FIELD_MASK(HW_VALID));
    assert_false(get64(machine_entry(m, hot - PAGE, 1)) & FIELD_MASK(HW_VALID));
    assert_false(get64(machine_entry(m, hot + PAGE, 1)) & FIELD_MASK(HW_VALID));
    close_released(m);
}

/* --- processes --- */

/* Both go round a region that does not fit, in step. */
static void use_equally(struct machine *m, uint64_t pages, uint32_t rounds)
{
    for (uint32_t round = 0; round < rounds; round++) {
        for (uint64_t va = BASE; va < BASE + pages * PAGE; va += PAGE) {
            must_store(m, 0, va, va + round);
            must_store(m, 1, va, ~va - round);
        }
    }
    for (uint64_t va = BASE; va < BASE + pages * PAGE; va += PAGE) {
        assert_int_equal(must_load(m, 0, va), va + rounds - 1);
        assert_int_equal(must_load(m, 1, va), ~va - (rounds - 1));
    }
}

static void different_minima_keep_different_sizes(void **state)
{
    (void)state;
    struct machine *m = open_paging(20, 40);
    must_allocate(m, BASE, LARGE, NTMM_PAGE_READWRITE);
    ntmm_handle other = add_process(m, 140, 150, LARGE);
    use_equally(m, 400, 3);
    print_sizes(m, "minimum 20", m->process);
    print_sizes(m, "minimum 140", other);
    assert_true(query(m, other).working_set_pages >= 140);
    assert_true(machine_process(m).working_set_pages < 100);
    assert_true(machine_process(m).counters[NTMM_COUNTER_PAGES_TRIMMED] > 0);
    close_released(m);
}

static void equal_minima_keep_like_sizes(void **state)
{
    (void)state;
    struct machine *m = open_paging(20, 40);
    must_allocate(m, BASE, LARGE, NTMM_PAGE_READWRITE);
    ntmm_handle other = add_process(m, 20, 40, LARGE);
    use_equally(m, 400, 3);
    print_sizes(m, "first", m->process);
    print_sizes(m, "second", other);
    uint64_t a = machine_process(m).counters[NTMM_COUNTER_PAGES_TRIMMED];
    uint64_t b = query(m, other).counters[NTMM_COUNTER_PAGES_TRIMMED];
    assert_true(a < b + b / 4 && b < a + a / 4);
    close_released(m);
}

/* Two that are idle alike, one of them above its maximum: that one goes first. */
static void above_the_maximum_goes_first(void **state)
{
    (void)state;
    struct machine *m = open_paging(10, 1000);
    ntmm_handle others[2];
    must_allocate(m, BASE, LARGE, NTMM_PAGE_READWRITE);
    for (uint32_t i = 0; i < 2; i++) {
        others[i] = add_process(m, 10, i == 0 ? 100 : 20, 64 * PAGE);
        for (uint64_t va = BASE; va < BASE + 64 * PAGE; va += PAGE)
            must_store(m, 1, va, va);
    }
    ntmm_balance_set_manager(m->system);
    ntmm_balance_set_manager(m->system);
    for (uint64_t va = BASE; available(m) > 0; va += PAGE)
        must_write(m, va, va);
    reclaim(m, 1);
    print_sizes(m, "used", m->process);
    print_sizes(m, "within", others[0]);
    print_sizes(m, "above", others[1]);
    assert_int_equal(machine_process(m).counters[NTMM_COUNTER_PAGES_TRIMMED], 0);
    assert_int_equal(query(m, others[0]).counters[NTMM_COUNTER_PAGES_TRIMMED], 0);
    assert_true(query(m, others[1]).counters[NTMM_COUNTER_PAGES_TRIMMED] > 0);
    close_released(m);
}

/* To a tick idle pages of others go, though they are too few: what is in use stays, above the
 * maximum too. */
static void above_the_maximum_what_is_used_stays(void **state)
{
    (void)state;
    struct machine *m = open_paging(10, 20);
    must_allocate(m, BASE, LARGE, NTMM_PAGE_READWRITE);
    ntmm_handle idle = add_process(m, 10, 1000, 18 * PAGE);
    for (uint64_t va = BASE; va < BASE + 18 * PAGE; va += PAGE)
        must_store(m, 1, va, va);
    ntmm_balance_set_manager(m->system);
    ntmm_balance_set_manager(m->system);
    for (uint64_t va = BASE; available(m) > 0; va += PAGE)
        must_write(m, va, va);
    assert_int_equal(machine_process(m).counters[NTMM_COUNTER_PAGES_TRIMMED], 0);
    ntmm_balance_set_manager(m->system);
    print_sizes(m, "used, above", m->process);
    print_sizes(m, "idle, within", idle);
    assert_int_equal(machine_process(m).counters[NTMM_COUNTER_PAGES_TRIMMED], 0);
    assert_int_equal(query(m, idle).counters[NTMM_COUNTER_PAGES_TRIMMED], 8);
    close_released(m);
}

/* The minima together are more than memory: they are a wish, not a promise. */
static void below_the_minimum_when_nothing_else_is_left(void **state)
{
    (void)state;
    struct machine *m = open_paging(1000, 1000);
    must_allocate(m, BASE, LARGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, LARGE);
    must_hold(m, BASE, LARGE);
    assert_true(machine_process(m).working_set_pages < 1000);
    close_released(m);
}

/* One whose end failed keeps what it has until it is ended again; others may need it. */
static void a_process_that_ends_is_trimmed(void **state)
{
    (void)state;
    struct machine *m = open_paging(0, 0);
    must_allocate(m, BASE, 64 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, 64 * PAGE);
    struct process *process = machine_object(m);
    set32(&process->state, PROCESS_END_FAILED);
    reclaim(m, available(m) + 20);
    set32(&process->state, PROCESS_LIVE);
    assert_true(machine_process(m).working_set_pages < 64);
    must_hold(m, BASE, 64 * PAGE);
    close_released(m);
}

static void slots_of_ended_processes_are_passed(void **state)
{
    (void)state;
    struct machine *m = open_paging(0, 0);
    must_allocate(m, BASE, LARGE, NTMM_PAGE_READWRITE);
    for (uint32_t i = 0; i < 16; i++) {
        ntmm_handle other = add_process(m, 0, 0, 64 * PAGE);
        for (uint64_t va = BASE; va < BASE + 64 * PAGE; va += PAGE)
            must_store(m, 1, va, va);
        must_finish_transfers(m);
        assert_int_equal(ntmm_end_process(m->system, other), NTMM_STATUS_SUCCESS);
        must_fill(m, BASE + i * 64 * PAGE, 64 * PAGE);
        ntmm_balance_set_manager(m->system);
    }
    must_hold(m, BASE, 16 * 64 * PAGE);
    close_released(m);
}

/* --- what cannot be done --- */

static void without_a_page_file_nothing_is_trimmed_and_the_fault_gives_up(void **state)
{
    (void)state;
    struct machine *m = open_small(0, 0);
    must_allocate(m, BASE, LARGE, NTMM_PAGE_READWRITE);
    uint64_t va = BASE;
    while (try_write(m, va, va) == NTMM_STATUS_SUCCESS)
        va += PAGE;
    assert_int_equal(try_write(m, va, va), NTMM_STATUS_NO_MEMORY);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_PAGES_TRIMMED), 0);
    ntmm_balance_set_manager(m->system);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_PAGES_TRIMMED), 0);
    must_hold(m, BASE, va - BASE);
    close_released(m);
}

static void with_a_full_page_file_nothing_is_lost(void **state)
{
    (void)state;
    struct machine *m = open_small(0, 0);
    (void)must_add_file(m, MIB, 0, NULL);
    must_allocate(m, BASE, LARGE, NTMM_PAGE_READWRITE);
    uint64_t va = BASE;
    while (try_write(m, va, va) == NTMM_STATUS_SUCCESS)
        va += PAGE;
    assert_int_equal(try_write(m, va, va), NTMM_STATUS_NO_MEMORY);
    assert_true(va - BASE > RAM_BYTES);
    must_decommit(m, BASE, 64 * PAGE);
    must_hold(m, BASE + 64 * PAGE, va - BASE - 64 * PAGE);
    close_released(m);
}

/* A file that fails every write is as good as none, until it recovers. */
static void writes_that_fail_lose_nothing(void **state)
{
    (void)state;
    uint64_t device;
    struct machine *m = open_small(0, 0);
    (void)must_add_file(m, FILE_BYTES, 0, &device);
    must_fail_disk(m, device, NTMM_IO_WRITE, 3, NTMM_STATUS_DEVICE_DATA_ERROR, 0, 0);
    must_allocate(m, BASE, LARGE, NTMM_PAGE_READWRITE);
    for (uint64_t va = BASE; va < BASE + LARGE; va += PAGE)
        must_write(m, va, va);
    must_hold(m, BASE, LARGE);
    close_released(m);
}

/* --- the tick --- */

static void a_tick_ages_while_memory_is_ample(void **state)
{
    (void)state;
    struct machine *m = open_paging(0, 0);
    must_allocate(m, BASE, 16 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, 16 * PAGE);
    ntmm_handle other = add_process(m, 0, 0, 16 * PAGE);
    must_store(m, 1, BASE, 1);
    ntmm_balance_set_manager(m->system);
    assert_false(is_accessed(m, BASE));
    assert_int_equal(age_of(m, BASE), 0);
    for (uint32_t i = 0; i < 3; i++) {
        (void)must_read(m, BASE + 5 * PAGE);
        ntmm_balance_set_manager(m->system);
    }
    assert_int_equal(age_of(m, BASE), 3);
    assert_int_equal(age_of(m, BASE + 5 * PAGE), 0);
    assert_int_equal(machine_process(m).counters[NTMM_COUNTER_PAGES_AGED], 3 * 15);
    assert_int_equal(query(m, other).counters[NTMM_COUNTER_PAGES_AGED], 3);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_PAGES_TRIMMED), 0);
    close_released(m);
}

/* A tick ages each page once, wherever a sweep left the hand. */
static void a_tick_goes_once_around_from_the_hand(void **state)
{
    (void)state;
    struct machine *m = open_paging(0, 0);
    must_allocate(m, BASE, 16 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, 16 * PAGE);
    ntmm_balance_set_manager(m->system);
    set64(&machine_object(m)->hand, (BASE >> NTMM_PAGE_SHIFT) + 7);
    ntmm_balance_set_manager(m->system);
    for (uint32_t page = 0; page < 16; page++)
        assert_int_equal(age_of(m, BASE + page * PAGE), 1);
    assert_int_equal(get64(&machine_object(m)->hand), (BASE >> NTMM_PAGE_SHIFT) + 7);
    close_released(m);
}

/* Of 256 frames: below 64 available no tick ages, below 16 it fills the reserve. */
static void a_tick_ages_nothing_when_memory_is_not_ample(void **state)
{
    (void)state;
    struct machine *m = open_paging(0, 0);
    must_allocate(m, BASE, LARGE, NTMM_PAGE_READWRITE);
    for (uint64_t va = BASE; available(m) >= 40; va += PAGE)
        must_write(m, va, va);
    ntmm_balance_set_manager(m->system);
    assert_true(is_accessed(m, BASE));
    assert_int_equal(machine_counter(m, NTMM_COUNTER_PAGES_TRIMMED), 0);
    close_released(m);
}

static void ticks_fill_the_reserve_when_memory_is_scarce(void **state)
{
    (void)state;
    struct machine *m = open_paging(0, 0);
    must_allocate(m, BASE, LARGE, NTMM_PAGE_READWRITE);
    for (uint64_t va = BASE; available(m) >= 10; va += PAGE)
        must_write(m, va, va);
    for (uint32_t i = 0; i < 3; i++) { /* accessed; idle for a round; for two */
        ntmm_balance_set_manager(m->system);
        must_finish_transfers(m);
    }
    uint64_t user = machine_memory(m).user_pages;
    assert_int_equal(machine_process(m).working_set_pages, user - user / 8);
    assert_true(available(m) >= user / 8);
    uint64_t trimmed = machine_counter(m, NTMM_COUNTER_PAGES_TRIMMED);
    ntmm_balance_set_manager(m->system); /* it is full */
    assert_int_equal(machine_counter(m, NTMM_COUNTER_PAGES_TRIMMED), trimmed);
    close_released(m);
}

/* NT's condition, of 256 frames: fewer than 16 unused, and more modified than available/16. */
static void a_tick_writes_when_many_pages_are_modified(void **state)
{
    (void)state;
    struct machine *m = open_paging(0, 0);
    must_allocate(m, BASE, LARGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, 40 * PAGE);
    must_trim(m, BASE, 40 * PAGE);
    ntmm_balance_set_manager(m->system); /* many frames are unused */
    assert_int_equal(machine_memory(m).modified_pages, 40);
    assert_int_equal(must_write_modified(m, 40), 40);
    must_finish_transfers(m); /* 40 on standby */
    uint64_t va = BASE + 40 * PAGE;
    for (; available(m) > 40 + 12; va += PAGE)
        must_write(m, va, va);
    must_trim(m, BASE + 40 * PAGE, PAGE);
    ntmm_balance_set_manager(m->system);
    assert_int_equal(machine_memory(m).modified_pages, 1); /* too few */
    must_trim(m, BASE + 41 * PAGE, 9 * PAGE);
    ntmm_balance_set_manager(m->system);
    assert_int_equal(machine_memory(m).modified_pages, 0);
    close_released(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_than_memory_is_written_and_read_back),
        cmocka_unit_test(when_all_is_modified_writing_starts),
        cmocka_unit_test(the_reserve_is_filled_and_no_more),
        cmocka_unit_test(a_hot_page_survives),
        cmocka_unit_test(the_page_used_since_the_last_round_stays),
        cmocka_unit_test(different_minima_keep_different_sizes),
        cmocka_unit_test(equal_minima_keep_like_sizes),
        cmocka_unit_test(above_the_maximum_goes_first),
        cmocka_unit_test(above_the_maximum_what_is_used_stays),
        cmocka_unit_test(below_the_minimum_when_nothing_else_is_left),
        cmocka_unit_test(a_process_that_ends_is_trimmed),
        cmocka_unit_test(slots_of_ended_processes_are_passed),
        cmocka_unit_test(without_a_page_file_nothing_is_trimmed_and_the_fault_gives_up),
        cmocka_unit_test(with_a_full_page_file_nothing_is_lost),
        cmocka_unit_test(writes_that_fail_lose_nothing),
        cmocka_unit_test(a_tick_ages_while_memory_is_ample),
        cmocka_unit_test(a_tick_goes_once_around_from_the_hand),
        cmocka_unit_test(a_tick_ages_nothing_when_memory_is_not_ample),
        cmocka_unit_test(ticks_fill_the_reserve_when_memory_is_scarce),
        cmocka_unit_test(a_tick_writes_when_many_pages_are_modified),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
