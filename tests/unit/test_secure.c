/*
 * Secured memory, where the steps of cases do not reach: shortage, kinds of region, many secures,
 * and what remains of them. The rules themselves: tests/conformance/secured.cases.
 */
#include "space/secure.h"
#include "unit/machine.h"

#include <ntmm/secure.h>
#include <ntmm/virtual.h>

static ntmm_status try_secure(struct machine *m, uint64_t base, uint64_t size, uint32_t mode,
                              uint64_t *name)
{
    return ntmm_secure_virtual_memory(m->system, m->process, base, size, mode, name);
}

static uint64_t must_secure(struct machine *m, uint64_t base, uint64_t size, uint32_t mode)
{
    uint64_t name = 0;
    assert_int_equal(try_secure(m, base, size, mode, &name), NTMM_STATUS_SUCCESS);
    assert_int_not_equal(name, 0);
    return name;
}

static void must_unsecure(struct machine *m, uint64_t name)
{
    assert_int_equal(ntmm_unsecure_virtual_memory(m->system, m->process, name),
                     NTMM_STATUS_SUCCESS);
}

static void without_memory_nothing_is_secured(void **state)
{
    struct machine *m = machine_open(NULL);
    struct partition *partition = machine_partition(m);
    uint64_t limit = get64(&partition->commit_limit);
    uint64_t name = 7;
    (void)state;
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    set64(&partition->commit_limit, get64(&partition->commit));
    assert_int_equal(try_secure(m, BASE, PAGE, NTMM_PAGE_READONLY, &name),
                     NTMM_STATUS_COMMITMENT_LIMIT);
    set64(&partition->commit_limit, limit);
    assert_int_equal(name, 7);
    machine_assert_sound(m);
    must_release(m, BASE, PAGE);
    machine_close(m);
}

static void without_a_frame_nothing_is_secured(void **state)
{
    static uint64_t frames[1024];
    const struct machine_setup setup = {.core = {.extra_commit_pages = 4096}};
    struct machine *m = machine_open(&setup);
    uint64_t count = 0;
    uint64_t name = 7;
    (void)state;
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    struct call c = machine_call(m);
    while (count < 1024 && frame_allocate(&c, NTMM_USE_OBJECT, &frames[count]))
        count++;
    assert_int_equal(try_secure(m, BASE, PAGE, NTMM_PAGE_READONLY, &name), NTMM_STATUS_NO_MEMORY);
    assert_int_equal(name, 7);
    c = machine_call(m);
    while (count > 0)
        frame_free(&c, frames[--count]);
    machine_assert_sound(m);
    must_release(m, BASE, PAGE);
    machine_close(m);
}

static void a_hundred_secures_of_one_page_end_one_by_one(void **state)
{
    struct machine *m = machine_open(NULL);
    uint64_t names[100];
    (void)state;
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    for (int i = 0; i < 100; i++) {
        names[i] = must_secure(m, BASE, PAGE, i & 1 ? NTMM_PAGE_READWRITE : NTMM_PAGE_READONLY);
        for (int j = 0; j < i; j++)
            assert_int_not_equal(names[i], names[j]);
    }
    machine_assert_sound(m);
    for (int i = 0; i < 100; i++) {
        int which = i * 37 % 100;
        assert_int_equal(try_free(m, BASE, PAGE, NTMM_MEM_RELEASE),
                         NTMM_STATUS_INVALID_PAGE_PROTECTION);
        must_unsecure(m, names[which]);
        assert_int_equal(ntmm_unsecure_virtual_memory(m->system, m->process, names[which]),
                         NTMM_STATUS_INVALID_PARAMETER_2);
    }
    machine_assert_sound(m);
    must_release(m, BASE, PAGE);
    machine_close(m);
}

/* Names lead to a page: after the region went and came again, an old one names nothing. */
static void an_old_name_is_nobody_s(void **state)
{
    struct machine *m = machine_open(NULL);
    (void)state;
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    uint64_t old = must_secure(m, BASE, PAGE, NTMM_PAGE_READONLY);
    must_unsecure(m, old);
    must_release(m, BASE, PAGE);
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    uint64_t name = must_secure(m, BASE, PAGE, NTMM_PAGE_READONLY);
    assert_int_equal(ntmm_unsecure_virtual_memory(m->system, m->process, old),
                     NTMM_STATUS_INVALID_PARAMETER_2);
    must_unsecure(m, name);
    machine_close(m);
}

/* | secured | free | secured |: both remains keep theirs, and are whole regions. */
static void a_hole_divides_the_secures(void **state)
{
    struct machine *m = machine_open(NULL);
    (void)state;
    must_allocate(m, BASE, 8 * PAGE, NTMM_PAGE_READWRITE);
    uint64_t low = must_secure(m, BASE, 2 * PAGE, NTMM_PAGE_READWRITE);
    uint64_t high = must_secure(m, BASE + 6 * PAGE, 2 * PAGE, NTMM_PAGE_READWRITE);
    must_release(m, BASE + 3 * PAGE, 2 * PAGE);
    machine_assert_sound(m);
    assert_true(vad_is_secured(machine_vad(m, BASE)));
    assert_true(vad_is_secured(machine_vad(m, BASE + 6 * PAGE)));
    must_unsecure(m, high);
    assert_true(vad_is_secured(machine_vad(m, BASE)));
    assert_false(vad_is_secured(machine_vad(m, BASE + 6 * PAGE)));
    must_release(m, BASE + 5 * PAGE, 3 * PAGE);
    must_unsecure(m, low);
    must_release(m, BASE, 3 * PAGE);
    machine_close(m);
}

static void large_pages_can_be_secured(void **state)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = 16 * MIB}};
    struct machine *m = machine_open(&setup);
    (void)state;
    assert_int_equal(try_allocate(m, BASE, 2 * MIB,
                                  NTMM_MEM_RESERVE | NTMM_MEM_COMMIT | NTMM_MEM_LARGE_PAGES,
                                  NTMM_PAGE_READWRITE),
                     NTMM_STATUS_SUCCESS);
    uint64_t name = must_secure(m, BASE + MIB, PAGE, NTMM_PAGE_READWRITE);
    assert_int_equal(try_free(m, BASE, 0, NTMM_MEM_RELEASE), NTMM_STATUS_INVALID_PAGE_PROTECTION);
    assert_int_equal(try_protect(m, BASE, 2 * MIB, NTMM_PAGE_READONLY),
                     NTMM_STATUS_INVALID_PAGE_PROTECTION);
    must_unsecure(m, name);
    assert_int_equal(try_free(m, BASE, 0, NTMM_MEM_RELEASE), NTMM_STATUS_SUCCESS);
    machine_close(m);
}

static void a_process_ends_with_secured_memory(void **state)
{
    struct machine *m = machine_open(NULL);
    (void)state;
    must_allocate(m, BASE, 600 * PAGE, NTMM_PAGE_READWRITE);
    must_write(m, BASE + PAGE, 1);
    (void)must_secure(m, BASE, 600 * PAGE, NTMM_PAGE_READWRITE);
    (void)must_secure(m, BASE + 599 * PAGE, PAGE, NTMM_PAGE_READWRITE);
    assert_int_equal(ntmm_end_process(m->system, m->process), NTMM_STATUS_SUCCESS);
    m->process = 0;
    machine_assert_sound(m);
    assert_int_equal(get64(&machine_anchor(m)->slabs[SLAB_SECURE].used), 0);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory_nothing_is_secured),
        cmocka_unit_test(without_a_frame_nothing_is_secured),
        cmocka_unit_test(a_hundred_secures_of_one_page_end_one_by_one),
        cmocka_unit_test(an_old_name_is_nobody_s),
        cmocka_unit_test(a_hole_divides_the_secures),
        cmocka_unit_test(large_pages_can_be_secured),
        cmocka_unit_test(a_process_ends_with_secured_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
