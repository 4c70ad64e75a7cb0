/*
 * The event stream: what is off says nothing, and what is on says each thing once, with its
 * operands.
 *
 * Expectations are written from the kinds' descriptions in <ntmm/event.h>.
 */
#include "unit/storage.h"

#include <ntmm/borrow.h>

#define RECORDS 256

struct recorder {
    struct ntmm_event records[RECORDS];
    uint32_t count;
};

static void record(void *context, const struct ntmm_event *event)
{
    struct recorder *r = context;
    assert_true(r->count < RECORDS);
    r->records[r->count++] = *event;
}

static struct machine *open_recorded(struct recorder *r, uint32_t mask)
{
    struct machine *m = machine_open(NULL);
    ntmm_emulated_set_event(m->emu, record, r);
    ntmm_set_event_mask(m->system, mask);
    r->count = 0; /* of conditions of memory that held already */
    return m;
}

static const struct ntmm_event *only(const struct recorder *r, enum ntmm_event_kind kind)
{
    const struct ntmm_event *found = NULL;
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->records[i].kind != kind)
            continue;
        assert_null(found);
        found = &r->records[i];
    }
    assert_non_null(found);
    return found;
}

static uint32_t count_of(const struct recorder *r, enum ntmm_event_kind kind)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < r->count; i++)
        count += r->records[i].kind == kind;
    return count;
}

static void expect(const struct ntmm_event *event, struct machine *m, uint64_t a, uint64_t b)
{
    assert_int_equal(event->process, (uint32_t)m->process);
    assert_int_equal(event->a, a);
    assert_int_equal(event->b, b);
}

static void a_record_is_32_bytes(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct ntmm_event), 32);
}

static void off_by_default(void **state)
{
    (void)state;
    struct recorder r = {.count = 0};
    struct machine *m = machine_open(NULL);
    r.count = 0;
    ntmm_emulated_set_event(m->emu, record, &r);
    must_allocate(m, BASE, KIB64, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 1);
    must_release(m, BASE, KIB64);
    assert_int_equal(r.count, 0);
    machine_close(m);
}

static void services_tell_rounded_ranges(void **state)
{
    (void)state;
    struct recorder r = {.count = 0};
    struct machine *m = open_recorded(&r, ~0u);
    must_reserve(m, BASE, 0x8000, NTMM_PAGE_READWRITE);
    expect(only(&r, NTMM_EVENT_RESERVE), m, BASE, 0x8000);
    assert_int_equal(count_of(&r, NTMM_EVENT_COMMIT), 0);
    must_commit(m, BASE + 0x1800, 0x1000, NTMM_PAGE_READWRITE);
    expect(only(&r, NTMM_EVENT_COMMIT), m, BASE + 0x1000, 0x2000);
    must_protect(m, BASE + 0x1000, 1, NTMM_PAGE_READONLY);
    expect(only(&r, NTMM_EVENT_PROTECT), m, BASE + 0x1000, 0x1000);
    assert_int_equal(only(&r, NTMM_EVENT_PROTECT)->detail, NTMM_PAGE_READONLY);
    must_decommit(m, BASE + 0x1000, 1);
    expect(only(&r, NTMM_EVENT_DECOMMIT), m, BASE + 0x1000, 0x1000);
    must_release(m, BASE, 0);
    expect(only(&r, NTMM_EVENT_RELEASE), m, BASE, 0x8000);
    machine_close(m);
}

/* As a region of memory is, and what fails not at all. */
static void borrowed_frames_tell_their_range(void **state)
{
    (void)state;
    struct recorder r = {.count = 0};
    struct machine *m = open_recorded(&r, ~0u);
    void *buffer = aligned_alloc(PAGE, 4 * PAGE);
    uint64_t first = 0, base = BASE, size = 4 * PAGE;
    assert_non_null(buffer);
    assert_int_equal(ntmm_emulated_lend(m->emu, buffer, 4 * PAGE, &first), NTMM_STATUS_SUCCESS);
    assert_int_equal(
        ntmm_map_borrowed(m->system, m->process, &base, &size, NTMM_PAGE_READWRITE, first),
        NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_unmap_borrowed(m->system, m->process, BASE + MIB),
                     NTMM_STATUS_NOT_MAPPED_VIEW);
    assert_int_equal(count_of(&r, NTMM_EVENT_RELEASE), 0);
    assert_int_equal(ntmm_unmap_borrowed(m->system, m->process, BASE + PAGE), NTMM_STATUS_SUCCESS);
    expect(only(&r, NTMM_EVENT_RELEASE), m, BASE, 4 * PAGE);
    machine_close(m);
    free(buffer);
}

static void failed_services_tell_nothing(void **state)
{
    (void)state;
    struct recorder r = {.count = 0};
    struct machine *m = open_recorded(&r, ~0u);
    r.count = 0; /* conditions of memory that hold are told when they are asked for */
    assert_int_equal(try_protect(m, BASE, PAGE, NTMM_PAGE_READONLY),
                     NTMM_STATUS_CONFLICTING_ADDRESSES);
    assert_int_equal(try_free(m, BASE, PAGE, NTMM_MEM_RELEASE), NTMM_STATUS_MEMORY_NOT_ALLOCATED);
    assert_int_equal(r.count, 0);
    machine_close(m);
}

static void a_fault_tells_tables_and_itself(void **state)
{
    (void)state;
    struct recorder r = {.count = 0};
    struct machine *m =
        open_recorded(&r, 1u << NTMM_EVENT_FAULT | 1u << NTMM_EVENT_TABLE_CREATED |
                              1u << NTMM_EVENT_TABLE_FREED | 1u << NTMM_EVENT_SHOOTDOWN);
    must_allocate(m, BASE, KIB64, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 1);
    const struct ntmm_event *fault = only(&r, NTMM_EVENT_FAULT);
    expect(fault, m, BASE, NTMM_FAULT_KIND_DEMAND_ZERO);
    assert_int_equal(fault->detail, NTMM_FAULT_WRITE | NTMM_FAULT_USER);
    assert_int_equal(count_of(&r, NTMM_EVENT_TABLE_CREATED), 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(r.records[i].detail, 3 - i);
        assert_int_equal(r.records[i].b, machine_table_frame(m, BASE, 3 - i));
    }
    must_release(m, BASE, 0);
    assert_int_equal(count_of(&r, NTMM_EVENT_TABLE_FREED), 3);
    assert_int_equal(count_of(&r, NTMM_EVENT_SHOOTDOWN), 1);
    machine_close(m);
}

static void a_frame_tells_its_lists(void **state)
{
    (void)state;
    struct recorder r = {.count = 0};
    struct machine *m = open_recorded(&r, 1u << NTMM_EVENT_FRAME_STATE);
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 1);
    uint64_t frame = machine_frame(m, BASE);
    must_protect(m, BASE, PAGE, NTMM_PAGE_NOACCESS);
    must_protect(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    assert_int_equal(must_read(m, BASE), 1);
    assert_int_equal(r.count, 2);
    assert_int_equal(r.records[0].a, frame);
    assert_int_equal(r.records[0].detail, NTMM_FRAME_MODIFIED);
    assert_int_equal(r.records[1].a, frame);
    assert_int_equal(r.records[1].detail, NTMM_FRAME_ACTIVE);
    machine_close(m);
}

/* To the modified list, into a write, and behind it to standby. */
static void a_frame_tells_that_it_is_written(void **state)
{
    static const uint16_t locations[] = {NTMM_FRAME_MODIFIED, NTMM_FRAME_TRANSITION,
                                         NTMM_FRAME_STANDBY};
    struct recorder r = {.count = 0};
    (void)state;
    struct machine *m = open_recorded(&r, 1u << NTMM_EVENT_FRAME_STATE);
    must_add_file(m, MIB, 0, NULL);
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 1);
    uint64_t frame = machine_frame(m, BASE);
    must_trim(m, BASE, PAGE);
    assert_int_equal(must_write_modified(m, 1), 1);
    must_finish_transfers(m);
    assert_int_equal(r.count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(r.records[i].a, frame);
        assert_int_equal(r.records[i].detail, locations[i]);
    }
    machine_close(m);
}

static void processes_tell_their_life(void **state)
{
    (void)state;
    struct recorder r = {.count = 0};
    struct machine *m =
        open_recorded(&r, 1u << NTMM_EVENT_PROCESS_CREATED | 1u << NTMM_EVENT_PROCESS_ENDED);
    ntmm_handle other = machine_add_process(m);
    assert_int_equal(only(&r, NTMM_EVENT_PROCESS_CREATED)->a, other);
    assert_int_equal(ntmm_end_process(m->system, other), NTMM_STATUS_SUCCESS);
    assert_int_equal(only(&r, NTMM_EVENT_PROCESS_ENDED)->a, other);
    ntmm_set_event_mask(m->system, 0);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_32_bytes),
        cmocka_unit_test(off_by_default),
        cmocka_unit_test(services_tell_rounded_ranges),
        cmocka_unit_test(borrowed_frames_tell_their_range),
        cmocka_unit_test(failed_services_tell_nothing),
        cmocka_unit_test(a_fault_tells_tables_and_itself),
        cmocka_unit_test(a_frame_tells_its_lists),
        cmocka_unit_test(a_frame_tells_that_it_is_written),
        cmocka_unit_test(processes_tell_their_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
