/*
 * Translation for a TLB fill, and the invalidation sink, one case at a time. test_translate_tlb.c
 * runs a whole TLB on them.
 */
#include "unit/storage.h"

#include <ntmm/borrow.h>

#define READ NTMM_TRANSLATE_READ
#define WRITE NTMM_TRANSLATE_WRITE
#define EXECUTE NTMM_TRANSLATE_EXECUTE
#define USER NTMM_TRANSLATE_USER
#define MARK NTMM_TRANSLATE_MARK

static ntmm_status try_translate(struct machine *m, uint64_t va, uint32_t access,
                                 struct ntmm_translation *t)
{
    *t = (struct ntmm_translation){.size = sizeof *t};
    return ntmm_translate(m->system, m->process, va, access, t);
}

static struct ntmm_translation must_translate(struct machine *m, uint64_t va, uint32_t access)
{
    struct ntmm_translation t;
    assert_int_equal(try_translate(m, va, access, &t), NTMM_STATUS_SUCCESS);
    return t;
}

static void must_be_denied(struct machine *m, uint64_t va, uint32_t access)
{
    struct ntmm_translation t;
    assert_int_equal(try_translate(m, va, access, &t), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(t.rights, 0);
    assert_int_equal(t.run_bytes, 0);
}

static void arguments_are_checked(void **state)
{
    struct ntmm_translation t = {.size = sizeof t};
    struct machine *m = machine_open(NULL);
    (void)state;
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 1);
    assert_int_equal(ntmm_translate(m->system, m->process, BASE, 0, &t),
                     NTMM_STATUS_INVALID_PARAMETER_4);
    assert_int_equal(ntmm_translate(m->system, m->process, BASE, MARK, &t),
                     NTMM_STATUS_INVALID_PARAMETER_4);
    assert_int_equal(ntmm_translate(m->system, m->process, BASE, READ | USER, NULL),
                     NTMM_STATUS_INVALID_PARAMETER_4);
    assert_int_equal(ntmm_translate(m->system, m->process, BASE, READ, NULL),
                     NTMM_STATUS_INVALID_PARAMETER_5);
    t.size--;
    assert_int_equal(ntmm_translate(m->system, 0, BASE, READ, &t),
                     NTMM_STATUS_INFO_LENGTH_MISMATCH);
    t.size++;
    assert_int_equal(ntmm_translate(m->system, 0, BASE, READ, &t), NTMM_STATUS_INVALID_HANDLE);
    assert_int_equal(ntmm_translate(m->system, m->process ^ 3ull << 56, BASE, READ, &t),
                     NTMM_STATUS_OBJECT_TYPE_MISMATCH);
    assert_int_equal(ntmm_translate(m->system, m->process + (1ull << 32), BASE, READ, &t),
                     NTMM_STATUS_INVALID_HANDLE);
    assert_int_equal(ntmm_translate(m->system, m->process, BASE, READ, &t), NTMM_STATUS_SUCCESS);
    machine_close(m);
}

static void an_ended_process_has_no_translations(void **state)
{
    struct ntmm_translation t = {.size = sizeof t};
    struct machine *m = machine_open(NULL);
    (void)state;
    ntmm_handle other = machine_add_process(m);
    machine_assert_sound(m);
    set32(&machine_object(m)->state, PROCESS_ENDING);
    assert_int_equal(ntmm_translate(m->system, m->process, BASE, READ, &t),
                     NTMM_STATUS_PROCESS_IS_TERMINATING);
    set32(&machine_object(m)->state, PROCESS_LIVE);
    assert_int_equal(ntmm_end_process(m->system, other), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_translate(m->system, other, BASE, READ, &t), NTMM_STATUS_INVALID_HANDLE);
    machine_close(m);
}

/* What is not valid is not translated, whatever the page is; what is valid, as far as its entry
 * goes: a clean writable page is not writable yet. */
static void grants_what_the_tables_grant(void **state)
{
    struct machine *m = machine_open(NULL);
    (void)state;
    must_be_denied(m, BASE, READ);
    must_reserve(m, BASE, 16 * PAGE, NTMM_PAGE_READWRITE);
    must_be_denied(m, BASE, READ);
    must_commit(m, BASE, 16 * PAGE, NTMM_PAGE_READWRITE);
    must_be_denied(m, BASE, READ); /* never touched */
    (void)must_read(m, BASE);
    struct ntmm_translation t = must_translate(m, BASE + 0x123, READ);
    assert_int_equal(t.rights, READ | USER);
    assert_int_equal(t.physical_address, (machine_frame(m, BASE) << NTMM_PAGE_SHIFT) + 0x123);
    assert_int_equal(t.leaf_bytes, PAGE);
    assert_int_equal(t.run_base, BASE);
    assert_int_equal(t.run_bytes, PAGE);
    assert_int_equal(t.cache, 0);
    must_be_denied(m, BASE, WRITE);
    must_be_denied(m, BASE, READ | WRITE);
    must_be_denied(m, BASE, EXECUTE);
    must_write(m, BASE, 1);
    assert_int_equal(must_translate(m, BASE, READ | WRITE).rights, READ | WRITE | USER);
    (void)must_protect(m, BASE, PAGE, NTMM_PAGE_EXECUTE_READ);
    (void)must_read(m, BASE);
    t = must_translate(m, BASE, EXECUTE);
    assert_int_equal(t.rights, READ | EXECUTE | USER);
    (void)must_protect(m, BASE, PAGE, NTMM_PAGE_NOACCESS);
    must_be_denied(m, BASE, READ);
    (void)must_protect(m, BASE, PAGE, NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD);
    must_be_denied(m, BASE, READ);
    must_allocate(m, BASE + MIB, PAGE, NTMM_PAGE_READONLY | NTMM_PAGE_NOCACHE);
    (void)must_read(m, BASE + MIB);
    assert_int_equal(must_translate(m, BASE + MIB, READ).cache, NTMM_TRANSLATE_CACHE_DISABLE);
    must_be_denied(m, NTMM_SYSTEM_RANGE_START, READ);
    must_be_denied(m, UINT64_C(1) << 63, READ);
    machine_close(m);
}

static void set_entry(struct machine *m, uint64_t va, uint64_t clear, uint64_t set)
{
    le64 *entry = machine_entry(m, va, 1);
    set64(entry, (get64(entry) & ~clear) | set);
}

static uint64_t entry_bits(struct machine *m, uint64_t va, uint32_t level, uint64_t bits)
{
    return get64(machine_entry(m, va, level)) & bits;
}

static void marks_only_when_asked(void **state)
{
    const uint64_t accessed = FIELD_MASK(HW_ACCESSED), dirty = FIELD_MASK(HW_DIRTY);
    struct machine *m = machine_open(NULL);
    (void)state;
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 1);
    set_entry(m, BASE, accessed | dirty, 0);
    le64 *upper = machine_entry(m, BASE, 3);
    set64(upper, get64(upper) & ~accessed);

    assert_int_equal(must_translate(m, BASE, READ | WRITE).rights, READ | USER);
    assert_int_equal(entry_bits(m, BASE, 1, accessed | dirty), 0);
    assert_int_equal(must_translate(m, BASE, READ | MARK).rights, READ | USER);
    assert_int_equal(entry_bits(m, BASE, 1, accessed | dirty), accessed);
    assert_int_equal(entry_bits(m, BASE, 3, accessed), accessed);
    assert_int_equal(must_translate(m, BASE, WRITE | MARK).rights, READ | WRITE | USER);
    assert_int_equal(entry_bits(m, BASE, 1, accessed | dirty), accessed | dirty);

    /* a denied access marks nothing */
    set_entry(m, BASE, accessed, 0);
    must_be_denied(m, BASE, EXECUTE | MARK);
    assert_int_equal(entry_bits(m, BASE, 1, accessed), 0);
    set_entry(m, BASE, 0, accessed);
    machine_close(m);
}

static void supervisors_need_no_user_right(void **state)
{
    struct machine *m = machine_open(NULL);
    (void)state;
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READONLY);
    (void)must_read(m, BASE);
    set_entry(m, BASE, FIELD_MASK(HW_OWNER), 0);
    must_be_denied(m, BASE, READ);
    struct ntmm_translation t = must_translate(m, BASE, READ | NTMM_TRANSLATE_SUPERVISOR);
    assert_int_equal(t.rights, READ);
    must_be_denied(m, BASE, WRITE | NTMM_TRANSLATE_SUPERVISOR);
    set_entry(m, BASE, 0, FIELD_MASK(HW_OWNER));
    machine_close(m);
}

/* Frames one behind the other with the same rights are one run, from the page asked for to the end
 * of the leaf table at most. */
static void runs_end_where_pages_differ(void **state)
{
    struct machine *m = machine_open(NULL);
    const uint64_t base = BASE + 2 * MIB - 8 * PAGE; /* four leaf entries, then the next table's */
    uint64_t saved[16];
    (void)state;
    must_allocate(m, base, 16 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, base, 16 * PAGE);
    for (uint64_t i = 0; i < 16; i++) { /* the first page's entry, frame after frame */
        le64 *entry = machine_entry(m, base + i * PAGE, 1);
        saved[i] = get64(entry);
        set64(entry, get64(machine_entry(m, base, 1)) + (i << NTMM_PAGE_SHIFT));
    }
    assert_int_equal(must_translate(m, base, READ).run_bytes, 8 * PAGE);
    assert_int_equal(must_translate(m, base + 3 * PAGE + 9, READ).run_bytes, 5 * PAGE);
    assert_int_equal(must_translate(m, base + 8 * PAGE, READ).run_bytes, 8 * PAGE);
    set_entry(m, base + 5 * PAGE, FIELD_MASK(HW_ACCESSED), 0);
    assert_int_equal(must_translate(m, base, READ).run_bytes, 5 * PAGE);
    assert_int_equal(must_translate(m, base + 5 * PAGE, READ).run_bytes, PAGE);
    set_entry(m, base + 4 * PAGE, 0, FIELD_MASK(HW_NO_EXECUTE));
    set_entry(m, base + 3 * PAGE, FIELD_MASK(HW_NO_EXECUTE), 0);
    assert_int_equal(must_translate(m, base, READ).run_bytes, 3 * PAGE);
    set_entry(m, base + 2 * PAGE, FIELD_MASK(HW_DIRTY1) | FIELD_MASK(HW_DIRTY), 0);
    assert_int_equal(must_translate(m, base, READ).run_bytes, 2 * PAGE);
    set64(machine_entry(m, base + PAGE, 1), get64(machine_entry(m, base + PAGE, 1)) + PAGE);
    assert_int_equal(must_translate(m, base, READ).run_bytes, PAGE);
    for (uint64_t i = 0; i < 16; i++)
        set64(machine_entry(m, base + i * PAGE, 1), saved[i]);
    machine_close(m);
}

static void large_leaves_are_one_run(void **state)
{
    struct machine *m = machine_open(NULL);
    (void)state;
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE, 1);
    le64 *upper = machine_entry(m, BASE, 2);
    uint64_t saved = get64(upper);
    uint64_t bits = (saved & ~FIELD_MASK(HW_FRAME)) | FIELD_MASK(HW_LARGE_PAGE);
    set64(upper, bits | UINT64_C(0x40000000));
    struct ntmm_translation t = must_translate(m, BASE + 0x1FF456, READ | WRITE);
    assert_int_equal(t.physical_address, UINT64_C(0x401FF456));
    assert_int_equal(t.leaf_bytes, 2 * MIB);
    assert_int_equal(t.run_base, BASE + 0x1FF000);
    assert_int_equal(t.run_bytes, PAGE);
    assert_int_equal(must_translate(m, BASE, READ).run_bytes, 2 * MIB);
    set64(upper, saved);
    machine_close(m);
}

/* --- the sink --- */

#define CALLS_MAX 16u

struct call_of_sink {
    ntmm_handle process;
    uint64_t base, end;
    enum ntmm_shootdown_reason reason;
};

struct witness {
    struct machine *m;
    uint64_t frame; /* whose row is looked at in each call, or 0 */
    enum ntmm_frame_location location;
    uint32_t count;
    struct call_of_sink calls[CALLS_MAX];
};

static void note(void *context, ntmm_handle process, uint64_t base, uint64_t end,
                 enum ntmm_shootdown_reason reason)
{
    struct witness *w = context;
    struct ntmm_frame_information row;
    assert_true(w->count < CALLS_MAX);
    w->calls[w->count++] = (struct call_of_sink){process, base, end, reason};
    if (w->frame == 0)
        return;
    assert_int_equal(ntmm_query_frame(w->m->system, w->frame, &row), NTMM_STATUS_SUCCESS);
    w->location = row.location;
}

static void must_be_called(struct witness *w, uint64_t base, uint64_t end,
                           enum ntmm_shootdown_reason reason)
{
    assert_int_equal(w->count, 1);
    assert_int_equal(w->calls[0].process, w->m->process);
    assert_int_equal(w->calls[0].base, base);
    assert_int_equal(w->calls[0].end, end);
    assert_int_equal(w->calls[0].reason, reason);
    w->count = 0;
}

static void the_sink_is_told_of_each_range(void **state)
{
    struct witness w = {.m = machine_open(NULL)};
    struct machine *m = w.m;
    (void)state;
    ntmm_set_invalidation_sink(m->system, note, &w);
    must_allocate(m, BASE, 64 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, 8 * PAGE);
    assert_int_equal(w.count, 0); /* rights that grow are not announced */

    (void)must_protect(m, BASE + PAGE, 2 * PAGE, NTMM_PAGE_READONLY);
    must_be_called(&w, BASE + PAGE, BASE + 3 * PAGE, NTMM_SHOOTDOWN_PROTECT);
    (void)must_protect(m, BASE + PAGE, 2 * PAGE, NTMM_PAGE_READWRITE);
    assert_int_equal(w.count, 0);
    must_decommit(m, BASE + 4 * PAGE, 2 * PAGE);
    must_be_called(&w, BASE + 4 * PAGE, BASE + 6 * PAGE, NTMM_SHOOTDOWN_UNMAP);
    must_decommit(m, BASE + 40 * PAGE, PAGE); /* never touched */
    assert_int_equal(w.count, 0);
    ntmm_balance_set_manager(m->system); /* ages: BASE..+4, +6, +7 */
    assert_int_equal(w.count, 2);
    assert_int_equal(w.calls[0].base, BASE);
    assert_int_equal(w.calls[0].end, BASE + 4 * PAGE);
    assert_int_equal(w.calls[0].reason, NTMM_SHOOTDOWN_ACCESSED);
    assert_int_equal(w.calls[1].base, BASE + 6 * PAGE);
    assert_int_equal(w.calls[1].end, BASE + 8 * PAGE);
    w.count = 0;

    ntmm_set_invalidation_sink(m->system, NULL, NULL);
    (void)must_protect(m, BASE, PAGE, NTMM_PAGE_READONLY);
    assert_int_equal(w.count, 0);
    machine_close(m);
}

static void many_ranges_are_the_whole_space(void **state)
{
    struct witness w = {.m = machine_open(NULL)};
    struct machine *m = w.m;
    (void)state;
    must_allocate(m, BASE, 64 * PAGE, NTMM_PAGE_READWRITE);
    for (uint64_t i = 0; i <= NTMM_SHOOTDOWN_RANGES; i++)
        must_write(m, BASE + 2 * i * PAGE, i);
    ntmm_set_invalidation_sink(m->system, note, &w);
    must_decommit(m, BASE, 64 * PAGE);
    must_be_called(&w, 0, UINT64_MAX, NTMM_SHOOTDOWN_UNMAP);
    assert_int_equal(ntmm_end_process(m->system, m->process), NTMM_STATUS_SUCCESS);
    assert_true(w.count >= 1);
    assert_int_equal(w.calls[w.count - 1].base, 0);
    assert_int_equal(w.calls[w.count - 1].end, UINT64_MAX);
    assert_int_equal(w.calls[w.count - 1].reason, NTMM_SHOOTDOWN_PROCESS);
    m->process = 0;
    machine_close(m);
}

/* When the sink is called the frame is still the page's: not on any list. */
static void frames_wait_for_the_sink(void **state)
{
    struct witness w = {.m = machine_open(NULL)};
    struct machine *m = w.m;
    (void)state;
    must_allocate(m, BASE, 4 * PAGE, NTMM_PAGE_READWRITE);
    must_fill(m, BASE, 4 * PAGE);
    w.frame = machine_frame(m, BASE);
    w.location = NTMM_FRAME_FREE;
    ntmm_set_invalidation_sink(m->system, note, &w);
    must_decommit(m, BASE, PAGE);
    must_be_called(&w, BASE, BASE + PAGE, NTMM_SHOOTDOWN_UNMAP);
    assert_int_equal(w.location, NTMM_FRAME_ACTIVE);
    struct ntmm_frame_information row;
    assert_int_equal(ntmm_query_frame(m->system, w.frame, &row), NTMM_STATUS_SUCCESS);
    assert_int_equal(row.location, NTMM_FRAME_FREE);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_are_checked),
        cmocka_unit_test(an_ended_process_has_no_translations),
        cmocka_unit_test(grants_what_the_tables_grant),
        cmocka_unit_test(marks_only_when_asked),
        cmocka_unit_test(supervisors_need_no_user_right),
        cmocka_unit_test(runs_end_where_pages_differ),
        cmocka_unit_test(large_leaves_are_one_run),
        cmocka_unit_test(the_sink_is_told_of_each_range),
        cmocka_unit_test(many_ranges_are_the_whole_space),
        cmocka_unit_test(frames_wait_for_the_sink),
    };
    return cmocka_run_group_tests_name("translate", tests, NULL, NULL);
}
