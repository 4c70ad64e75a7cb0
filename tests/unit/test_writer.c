/*
 * The modified page writer: bytes where the slots say, order, clusters, zeros, and what happens to
 * a page meanwhile.
 */
#include "unit/storage.h"

#include "base/prng.h"

#define PAGES 64u
#define PLENTY 100000u

/* A machine with one page file of `pages` slots, slot 0 among them. */
static struct machine *open_machine(uint64_t pages, const struct machine_setup *setup,
                                    uint64_t *device)
{
    struct machine *m = machine_open(setup);
    must_add_file(m, pages * PAGE, 0, device);
    return m;
}

/* Pages of a region that hold their own addresses, on the modified list. */
static void make_modified(struct machine *m, uint64_t base, uint64_t pages)
{
    must_allocate(m, base, pages * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, base, pages * PAGE);
    must_trim(m, base, pages * PAGE);
}

/* Write until nothing more is begun. */
static void write_all(struct machine *m)
{
    must_finish_transfers(m);
    for (uint32_t i = 0; i < 10000 && must_write_modified(m, PLENTY) != 0; i++)
        must_finish_transfers(m);
}

/* A page is on standby, and its slot of file 0 on the disk holds its address. */
static uint64_t check_written(struct machine *m, uint64_t va, uint64_t device)
{
    uint32_t file = 9;
    const uint8_t *image = ntmm_emulated_disk_image(m->emu, device, NULL);
    uint64_t slot = machine_slot(m, va, &file), value;
    assert_int_equal(machine_location(m, va), NTMM_FRAME_STANDBY);
    assert_int_equal(file, 0);
    assert_int_not_equal(slot, 0);
    memcpy(&value, image + slot * PAGE, sizeof value);
    assert_int_equal(value, va);
    return slot;
}

static void check_all_written(struct machine *m, uint64_t base, uint64_t pages, uint64_t device)
{
    for (uint64_t i = 0; i < pages; i++)
        (void)check_written(m, base + i * PAGE, device);
}

/* --- bytes, order, counts --- */

static void write_64_pages(uint32_t disk_flags)
{
    struct machine *m = machine_open(NULL);
    uint64_t device = must_add_disk(m, MIB, 0, disk_flags);
    assert_int_equal(try_create_file(m, device, MIB, 0, NULL), NTMM_STATUS_SUCCESS);
    make_modified(m, BASE, PAGES);
    assert_int_equal(machine_memory(m).modified_pages, PAGES);
    assert_int_equal(must_write_modified(m, PLENTY), PAGES);
    must_finish_transfers(m);
    for (uint64_t i = 0; i < PAGES; i++)
        assert_int_equal(check_written(m, BASE + i * PAGE, device), 1 + i);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_PAGE_WRITES), 1);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_PAGES_WRITTEN), PAGES);
    struct ntmm_paging_file_information file = must_query_file(m, 0);
    assert_int_equal(file.used_pages, PAGES);
    assert_int_equal(file.writes, 1);
    assert_int_equal(file.pages_written, PAGES);
    assert_int_equal(file.outstanding_writes, 0);
    assert_int_equal(machine_memory(m).modified_pages, 0);
    machine_assert_sound(m);
    must_hold(m, BASE, PAGES * PAGE);
    must_release(m, BASE, 0);
    assert_int_equal(must_query_file(m, 0).used_pages, 0);
    machine_close(m);
}

static void a_written_page_lies_in_its_slot(void **state)
{
    (void)state;
    write_64_pages(0);
    write_64_pages(NTMM_EMULATED_DISK_INLINE);
}

/* The list is in the order of trimming; the slots are in the order of addresses. */
static void neighbours_get_neighbouring_slots(void **state)
{
    (void)state;
    uint64_t device;
    struct machine *m = open_machine(256, NULL, &device);
    must_allocate(m, BASE, PAGES * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, PAGES * PAGE);
    for (uint64_t i = 0; i < PAGES; i++)
        must_trim(m, BASE + i * 37 % PAGES * PAGE, PAGE);
    assert_int_equal(must_write_modified(m, PLENTY), PAGES);
    must_finish_transfers(m);
    for (uint64_t i = 0; i < PAGES; i++)
        assert_int_equal(check_written(m, BASE + i * PAGE, device), 1 + i);
    machine_close(m);
}

static void the_budget_holds_and_the_oldest_go_first(void **state)
{
    (void)state;
    uint64_t device;
    struct machine *m = open_machine(256, NULL, &device);
    make_modified(m, BASE + 16 * MIB, 16);
    make_modified(m, BASE, 16);
    assert_int_equal(must_write_modified(m, 0), 0);
    assert_int_equal(must_write_modified(m, 20), 20);
    must_finish_transfers(m);
    check_all_written(m, BASE + 16 * MIB, 16, device);
    check_all_written(m, BASE, 4, device);
    assert_int_equal(machine_memory(m).modified_pages, 12);
    assert_int_equal(machine_location(m, BASE + 4 * PAGE), NTMM_FRAME_MODIFIED);
    machine_close(m);
}

/* Clusters of 16, and eight write blocks: 128 pages are in flight, then the others. */
static void blocks_and_clusters_bound_what_is_in_flight(void **state)
{
    (void)state;
    uint64_t device;
    const struct machine_setup setup = {.core = {.write_cluster_pages = 16}};
    struct machine *m = open_machine(1024, &setup, &device);
    make_modified(m, BASE, 200);
    assert_int_equal(must_write_modified(m, PLENTY), 128);
    assert_int_equal(must_query_file(m, 0).outstanding_writes, 8);
    assert_int_equal(machine_memory(m).modified_pages, 72);
    assert_int_equal(machine_location(m, BASE + 127 * PAGE), NTMM_FRAME_TRANSITION);
    assert_int_equal(machine_location(m, BASE + 128 * PAGE), NTMM_FRAME_MODIFIED);
    machine_assert_sound(m);
    assert_int_equal(must_write_modified(m, PLENTY), 0);
    must_finish_transfers(m);
    assert_int_equal(must_write_modified(m, PLENTY), 72);
    must_finish_transfers(m);
    check_all_written(m, BASE, 200, device);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_PAGE_WRITES), 8 + 5);
    machine_close(m);
}

static void two_files_share_the_pages(void **state)
{
    (void)state;
    const struct machine_setup setup = {.core = {.write_cluster_pages = 16}};
    struct machine *m = open_machine(256, &setup, NULL);
    must_add_file(m, MIB, 0, NULL);
    make_modified(m, BASE, 128);
    assert_int_equal(must_write_modified(m, PLENTY), 128);
    assert_int_equal(must_query_file(m, 0).used_pages, 64);
    assert_int_equal(must_query_file(m, 1).used_pages, 64);
    must_finish_transfers(m);
    machine_close(m);
}

struct sink {
    uint32_t count;
    struct ntmm_event last;
};

static void keep_write(void *context, const struct ntmm_event *event)
{
    struct sink *sink = context;
    sink->count++;
    sink->last = *event;
}

static void a_write_is_an_event(void **state)
{
    (void)state;
    uint64_t device;
    struct sink sink = {0};
    struct machine *m = open_machine(256, NULL, &device);
    make_modified(m, BASE, 5);
    ntmm_emulated_set_event(m->emu, keep_write, &sink);
    ntmm_set_event_mask(m->system, 1u << NTMM_EVENT_PAGE_WRITE);
    assert_int_equal(must_write_modified(m, PLENTY), 5);
    assert_int_equal(sink.count, 0);
    must_finish_transfers(m);
    assert_int_equal(sink.count, 1);
    assert_int_equal(sink.last.a, 4096);
    assert_int_equal(sink.last.b, NTMM_STATUS_SUCCESS);
    assert_int_equal(sink.last.detail, 5);
    machine_close(m);
}

/* --- room --- */

static void pages_without_a_slot_stay_modified(void **state)
{
    (void)state;
    uint64_t device;
    struct machine *m = open_machine(256, NULL, &device);
    make_modified(m, BASE, 400);
    write_all(m);
    assert_int_equal(machine_memory(m).modified_pages, 400 - 255);
    assert_int_equal(must_query_file(m, 0).used_pages, 255);
    assert_int_equal(must_write_modified(m, PLENTY), 0);
    machine_assert_sound(m);
    must_hold(m, BASE, 400 * PAGE);
    machine_close(m);
}

static void without_a_page_file_nothing_is_written(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    make_modified(m, BASE, 10);
    assert_int_equal(must_write_modified(m, PLENTY), 0);
    assert_int_equal(machine_memory(m).modified_pages, 10);
    machine_close(m);
}

/* Every other slot is free: each page is a transfer, and each has its own block. */
static void a_fragmented_file_takes_a_run_a_transfer(void **state)
{
    (void)state;
    uint64_t device;
    struct machine *m = open_machine(256, NULL, &device);
    make_modified(m, BASE, 255);
    write_all(m);
    for (uint64_t i = 0; i < 255; i += 2)
        must_decommit(m, BASE + i * PAGE, PAGE);
    uint64_t writes = must_query_file(m, 0).writes;
    make_modified(m, BASE + 16 * MIB, 40);
    assert_int_equal(must_write_modified(m, PLENTY), 8);
    write_all(m);
    check_all_written(m, BASE + 16 * MIB, 40, device);
    assert_int_equal(must_query_file(m, 0).writes, writes + 40);
    machine_assert_sound(m);
    machine_close(m);
}

/* --- pages of zeros --- */

/* 64 pages, the odd ones zero. */
static struct machine *open_zeros(uint32_t flags, uint64_t *device)
{
    const struct machine_setup setup = {.core = {.paging_flags = flags}};
    struct machine *m = open_machine(256, &setup, device);
    must_allocate(m, BASE, PAGES * PAGE, NTMM_PAGE_READWRITE);
    for (uint64_t i = 0; i < PAGES; i++)
        must_write(m, BASE + i * PAGE, i % 2 ? 0 : BASE + i * PAGE);
    must_trim(m, BASE, PAGES * PAGE);
    return m;
}

static void zeros_need_no_slot(void **state)
{
    (void)state;
    uint64_t device;
    struct machine *m = open_zeros(NTMM_PAGING_ZEROS_NEED_NO_SLOT, &device);
    assert_int_equal(must_write_modified(m, PLENTY), PAGES);
    must_finish_transfers(m);
    assert_int_equal(must_query_file(m, 0).used_pages, PAGES / 2);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_ZERO_PAGES_NOT_WRITTEN), PAGES / 2);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_PAGES_WRITTEN), PAGES / 2);
    for (uint64_t i = 0; i < PAGES; i += 2)
        (void)check_written(m, BASE + i * PAGE, device);
    for (uint64_t i = 1; i < PAGES; i += 2) {
        assert_int_equal(machine_location(m, BASE + i * PAGE), NTMM_FRAME_STANDBY);
        assert_int_equal(machine_slot(m, BASE + i * PAGE, NULL), 0);
        assert_int_equal(must_read(m, BASE + i * PAGE), 0);
    }
    machine_assert_sound(m);
    machine_close(m);
}

static void zeros_count_into_the_budget(void **state)
{
    (void)state;
    uint64_t device;
    struct machine *m = open_zeros(NTMM_PAGING_ZEROS_NEED_NO_SLOT, &device);
    assert_int_equal(must_write_modified(m, 10), 10);
    assert_int_equal(machine_memory(m).modified_pages, PAGES - 10);
    must_finish_transfers(m);
    machine_close(m);
}

static void zeros_are_written_unless_asked_for(void **state)
{
    (void)state;
    uint64_t device;
    struct machine *m = open_zeros(0, &device);
    assert_int_equal(must_write_modified(m, PLENTY), PAGES);
    must_finish_transfers(m);
    assert_int_equal(must_query_file(m, 0).used_pages, PAGES);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_ZERO_PAGES_NOT_WRITTEN), 0);
    machine_close(m);
}

/* Only the last byte differs from zero: it is written. */
static void one_byte_makes_a_page_worth_writing(void **state)
{
    (void)state;
    uint64_t device;
    const struct machine_setup setup = {.core = {.paging_flags = NTMM_PAGING_ZEROS_NEED_NO_SLOT}};
    struct machine *m = open_machine(256, &setup, &device);
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE + PAGE - 8, UINT64_C(1) << 63);
    must_trim(m, BASE, PAGE);
    assert_int_equal(must_write_modified(m, PLENTY), 1);
    must_finish_transfers(m);
    assert_int_equal(machine_slot(m, BASE, NULL), 1);
    machine_close(m);
}

static void what_cannot_be_read_is_not_known_to_be_zero(void **state)
{
    (void)state;
    uint64_t device;
    struct machine *m = open_zeros(NTMM_PAGING_ZEROS_NEED_NO_SLOT, &device);
    ntmm_emulated_inject_content(m->emu, NTMM_EMULATED_READ, 0, UINT64_MAX,
                                 NTMM_STATUS_HARDWARE_MEMORY_ERROR);
    assert_int_equal(must_write_modified(m, PLENTY), PAGES);
    ntmm_emulated_inject_content(m->emu, 0, 0, 0, 0);
    must_finish_transfers(m);
    assert_int_equal(must_query_file(m, 0).used_pages, PAGES);
    machine_close(m);
}

/* Zeros are done with although no page file has room; the others stay. */
static void zeros_need_no_page_file(void **state)
{
    (void)state;
    const struct machine_setup setup = {.core = {.paging_flags = NTMM_PAGING_ZEROS_NEED_NO_SLOT}};
    struct machine *m = machine_open(&setup);
    must_allocate(m, BASE, 8 * PAGE, NTMM_PAGE_READWRITE);
    for (uint64_t i = 0; i < 8; i++)
        must_write(m, BASE + i * PAGE, i < 3 ? 0 : 1);
    must_trim(m, BASE, 8 * PAGE);
    assert_int_equal(must_write_modified(m, PLENTY), 3);
    assert_int_equal(must_write_modified(m, PLENTY), 0);
    assert_int_equal(machine_memory(m).modified_pages, 5);
    machine_assert_sound(m);
    machine_close(m);
}

/* --- what happens to a page while it is written --- */

static struct machine *open_in_flight(uint64_t *device)
{
    struct machine *m = open_machine(256, NULL, device);
    make_modified(m, BASE, PAGES);
    assert_int_equal(must_write_modified(m, PLENTY), PAGES);
    assert_int_equal(machine_location(m, BASE), NTMM_FRAME_TRANSITION);
    machine_assert_sound(m);
    return m;
}

static void a_page_deleted_while_it_is_written_leaves_nothing(void **state)
{
    (void)state;
    uint64_t device;
    struct machine *m = open_in_flight(&device);
    must_decommit(m, BASE, 10 * PAGE);
    must_release(m, BASE, 0);
    machine_assert_sound(m);
    assert_int_equal(must_query_file(m, 0).used_pages, PAGES); /* the transfer writes there */
    must_finish_transfers(m);
    assert_int_equal(must_query_file(m, 0).used_pages, 0);
    machine_close(m);
}

static void a_process_that_ends_while_its_pages_are_written_leaves_nothing(void **state)
{
    (void)state;
    uint64_t device;
    struct machine *m = open_in_flight(&device);
    assert_int_equal(ntmm_end_process(m->system, m->process), NTMM_STATUS_SUCCESS);
    m->process = 0;
    must_finish_transfers(m);
    assert_int_equal(must_query_file(m, 0).used_pages, 0);
    machine_close(m);
}

static void a_page_taken_back_while_it_is_written_keeps_its_slot(void **state)
{
    (void)state;
    uint64_t device;
    struct machine *m = open_in_flight(&device);
    must_hold(m, BASE, 10 * PAGE);
    must_finish_transfers(m);
    machine_assert_sound(m);
    assert_int_equal(machine_location(m, BASE), NTMM_FRAME_ACTIVE);
    assert_int_equal(machine_slot(m, BASE, NULL), 1);
    must_trim(m, BASE, 10 * PAGE);
    check_all_written(m, BASE, PAGES, device); /* clean: it goes to standby by itself */
    machine_close(m);
}

static void a_page_changed_while_it_is_written_is_written_again(void **state)
{
    (void)state;
    uint64_t device, value;
    struct machine *m = open_in_flight(&device);
    const uint8_t *image = ntmm_emulated_disk_image(m->emu, device, NULL);
    must_write(m, BASE, 4711);
    must_write(m, BASE + PAGE, 4712);
    must_trim(m, BASE + PAGE, PAGE);
    must_finish_transfers(m);
    machine_assert_sound(m);
    assert_int_equal(machine_slot(m, BASE, NULL), 0);
    assert_int_equal(machine_location(m, BASE + PAGE), NTMM_FRAME_MODIFIED);
    assert_int_equal(must_query_file(m, 0).used_pages, PAGES - 2);
    must_trim(m, BASE, PAGE);
    assert_int_equal(must_write_modified(m, PLENTY), 2);
    must_finish_transfers(m);
    for (uint64_t i = 0; i < 2; i++) {
        memcpy(&value, image + machine_slot(m, BASE + i * PAGE, NULL) * PAGE, sizeof value);
        assert_int_equal(value, 4711 + i);
    }
    machine_close(m);
}

static void a_clean_page_keeps_its_slot_until_it_is_changed(void **state)
{
    (void)state;
    uint64_t device;
    struct machine *m = open_in_flight(&device);
    must_finish_transfers(m);
    (void)must_read(m, BASE);
    must_write(m, BASE + PAGE, 1);
    assert_int_equal(machine_slot(m, BASE, NULL), 1);
    assert_int_equal(machine_slot(m, BASE + PAGE, NULL), 0);
    assert_int_equal(must_query_file(m, 0).used_pages, PAGES - 1);
    machine_close(m);
}

/* --- everything at once --- */

struct story {
    struct machine *m;
    struct prng prng;
    uint64_t device;
    uint64_t values[200]; /* 0: not committed */
};

static void write_some_pages(struct story *s, uint64_t page)
{
    uint64_t value = prng_next(&s->prng) | 1;
    if (s->values[page] == 0)
        must_commit(s->m, BASE + page * PAGE, PAGE, NTMM_PAGE_READWRITE);
    must_write(s->m, BASE + page * PAGE, value);
    s->values[page] = value;
}

static void step(struct story *s)
{
    const struct ntmm_platform *platform = ntmm_emulated_platform(s->m->emu);
    uint64_t page = prng_below(&s->prng, 200), end = page + 1 + prng_below(&s->prng, 20);
    switch (prng_below(&s->prng, 6)) {
    case 0:
        must_fail_disk(s->m, s->device, NTMM_IO_WRITE, prng_below(&s->prng, 3),
                       NTMM_STATUS_DEVICE_DATA_ERROR, 0, 0);
        break;
    case 1:
        platform->pump(platform->context);
        break;
    case 2:
        (void)must_write_modified(s->m, prng_below(&s->prng, 100));
        break;
    case 3:
        for (; page < end && page < 200; page++)
            write_some_pages(s, page);
        break;
    case 4:
        for (; page < end && page < 200; page++) {
            if (s->values[page] != 0)
                must_trim(s->m, BASE + page * PAGE, PAGE);
        }
        break;
    default:
        if (s->values[page] != 0 && prng_below(&s->prng, 4) == 0) {
            must_decommit(s->m, BASE + page * PAGE, PAGE);
            s->values[page] = 0;
        } else if (s->values[page] != 0) {
            assert_int_equal(must_read(s->m, BASE + page * PAGE), s->values[page]);
        }
    }
}

/* Every page that is on standby with a slot is on the disk as it is in memory. */
static void check_story(struct story *s)
{
    const uint8_t *image = ntmm_emulated_disk_image(s->m->emu, s->device, NULL);
    uint64_t used = 0;
    for (uint64_t page = 0; page < 200; page++) {
        uint64_t va = BASE + page * PAGE, value;
        if (s->values[page] == 0)
            continue;
        uint64_t slot = machine_slot(s->m, va, NULL);
        memcpy(&value, image + slot * PAGE, sizeof value);
        used += slot != 0;
        if (slot != 0)
            assert_int_equal(value, s->values[page]);
        assert_int_equal(machine_location(s->m, va) == NTMM_FRAME_MODIFIED,
                         machine_location(s->m, va) != NTMM_FRAME_ACTIVE && slot == 0);
        assert_int_equal(must_read(s->m, va), s->values[page]);
    }
    assert_int_equal(must_query_file(s->m, 0).used_pages, used);
}

static void tell_story(uint64_t seed)
{
    struct story s = {0};
    const struct machine_setup setup = {.hardware = {.seed = seed},
                                        .core = {.write_cluster_pages = 8}};
    prng_seed(&s.prng, seed);
    s.m = open_machine(4096, &setup, &s.device);
    must_reserve(s.m, BASE, 200 * PAGE, NTMM_PAGE_READWRITE);
    for (uint32_t i = 0; i < 1500; i++) {
        step(&s);
        if (i % 300 == 299)
            machine_assert_sound(s.m);
    }
    must_finish_transfers(s.m);
    check_story(&s);
    must_release(s.m, BASE, 0);
    assert_int_equal(must_query_file(s.m, 0).used_pages, 0);
    machine_close(s.m);
}

static void no_byte_is_lost_in_any_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++)
        tell_story(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_written_page_lies_in_its_slot),
        cmocka_unit_test(neighbours_get_neighbouring_slots),
        cmocka_unit_test(the_budget_holds_and_the_oldest_go_first),
        cmocka_unit_test(blocks_and_clusters_bound_what_is_in_flight),
        cmocka_unit_test(two_files_share_the_pages),
        cmocka_unit_test(a_write_is_an_event),
        cmocka_unit_test(pages_without_a_slot_stay_modified),
        cmocka_unit_test(without_a_page_file_nothing_is_written),
        cmocka_unit_test(a_fragmented_file_takes_a_run_a_transfer),
        cmocka_unit_test(zeros_need_no_slot),
        cmocka_unit_test(zeros_count_into_the_budget),
        cmocka_unit_test(zeros_are_written_unless_asked_for),
        cmocka_unit_test(one_byte_makes_a_page_worth_writing),
        cmocka_unit_test(what_cannot_be_read_is_not_known_to_be_zero),
        cmocka_unit_test(zeros_need_no_page_file),
        cmocka_unit_test(a_page_deleted_while_it_is_written_leaves_nothing),
        cmocka_unit_test(a_process_that_ends_while_its_pages_are_written_leaves_nothing),
        cmocka_unit_test(a_page_taken_back_while_it_is_written_keeps_its_slot),
        cmocka_unit_test(a_page_changed_while_it_is_written_is_written_again),
        cmocka_unit_test(a_clean_page_keeps_its_slot_until_it_is_changed),
        cmocka_unit_test(no_byte_is_lost_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
