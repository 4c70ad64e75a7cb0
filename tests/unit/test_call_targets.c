/*
 * Call targets of a process with control flow guard: which addresses are, what its own code reads
 * of them, what they cost, and what nobody may do to their bitmap.
 */
#include "unit/machine.h"
#include "unit/storage.h"

#include <ntmm/borrow.h>
#include <ntmm/call_target.h>
#include <ntmm/memory.h>
#include <ntmm/physical.h>
#include <ntmm/section.h>

#define SPAN (64 * PAGE) /* of code, for a page of the bitmap */
#define COMMIT_CODE (NTMM_MEM_RESERVE | NTMM_MEM_COMMIT)

static struct machine *open_guarded(void)
{
    const struct machine_setup setup = {.process = {.flags = NTMM_PROCESS_CONTROL_FLOW_GUARD}};
    return machine_open(&setup);
}

static struct ntmm_call_target query(struct machine *m, uint64_t va)
{
    struct ntmm_call_target found;
    assert_int_equal(ntmm_query_call_target(m->system, m->process, va, &found),
                     NTMM_STATUS_SUCCESS);
    return found;
}

static bool is_target(struct machine *m, uint64_t va) { return query(m, va).is_valid != 0; }

/* The 8 bytes that code in the process reads before it calls an address. */
static uint64_t word_of(struct machine *m, uint64_t va)
{
    return machine_word(must_read(m, query(m, va).bitmap_base + (va >> 9) * 8));
}

static void set_target(struct machine *m, uint64_t va, uint64_t flags)
{
    struct ntmm_memory_range_entry range = {va & ~(PAGE - 1), PAGE};
    struct ntmm_cfg_call_target target = {va & (PAGE - 1), flags};
    uint32_t processed = 0;
    struct ntmm_cfg_call_target_list list = {
        .count = 1, .processed = &processed, .targets = &target};
    assert_int_equal(ntmm_set_information_virtual_memory(m->system, m->process,
                                                         NTMM_VM_CFG_CALL_TARGET_INFORMATION, 1,
                                                         &range, &list, sizeof list),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(processed, 1);
}

static void without_the_flag_everything_is_a_target(void **state)
{
    struct machine *m = machine_open(NULL);
    (void)state;
    assert_int_equal(query(m, BASE).is_valid, 1);
    assert_int_equal(query(m, BASE).bitmap_base, 0);
    assert_int_equal(query(m, BASE).bitmap_size_bytes, 0);
    must_allocate(m, BASE, PAGE, NTMM_PAGE_EXECUTE_READ | NTMM_PAGE_TARGETS_INVALID);
    assert_int_equal(must_query(m, BASE).protect, NTMM_PAGE_EXECUTE_READ);
    assert_int_equal(query(m, BASE).is_valid, 1);
    must_release(m, BASE, PAGE);
    machine_close(m);
}

/* nt_semantics 14.1: 2 bits for 16 bytes of 128 TiB. */
static void the_bitmap_is_2_tib_of_reserved_space(void **state)
{
    struct machine *m = open_guarded();
    (void)state;
    struct ntmm_call_target found = query(m, BASE);
    assert_int_equal(found.bitmap_base, 0x7DF400000000);
    assert_int_equal(found.bitmap_size_bytes, UINT64_C(1) << 41);
    struct ntmm_memory_basic_information region = must_query(m, found.bitmap_base);
    assert_int_equal(region.state, NTMM_MEM_RESERVE);
    assert_int_equal(region.region_size, UINT64_C(1) << 41);
    assert_int_equal(machine_process(m).commit_pages, 0);
    assert_false(is_target(m, BASE));
    machine_close(m);
}

static void a_small_address_space_has_a_small_bitmap(void **state)
{
    const struct machine_setup setup = {
        .process = {.flags = NTMM_PROCESS_CONTROL_FLOW_GUARD | NTMM_PROCESS_WOW64}};
    struct machine *m = machine_open(&setup);
    (void)state;
    assert_int_equal(query(m, BASE).bitmap_size_bytes, 32 * MIB);
    must_allocate(m, BASE, PAGE, NTMM_PAGE_EXECUTE_READ);
    assert_true(is_target(m, BASE));
    machine_close(m);
}

static void pages_that_are_executable_hold_targets(void **state)
{
    struct machine *m = open_guarded();
    (void)state;
    must_allocate(m, BASE, 2 * PAGE, NTMM_PAGE_EXECUTE_READ);
    assert_true(is_target(m, BASE));
    assert_true(is_target(m, BASE + 1));
    assert_true(is_target(m, BASE + 2 * PAGE - 1));
    assert_false(is_target(m, BASE + 2 * PAGE));
    assert_false(is_target(m, BASE - 1));
    assert_true(word_of(m, BASE) == ~UINT64_C(0));
    assert_true(word_of(m, BASE + 2 * PAGE) == 0);
    assert_int_equal(machine_process(m).commit_pages, 3);
    must_allocate(m, BASE + MIB, PAGE, NTMM_PAGE_READWRITE);
    assert_false(is_target(m, BASE + MIB));
    machine_assert_sound(m);
    machine_close(m);
}

static void targets_invalid_leaves_none(void **state)
{
    struct machine *m = open_guarded();
    (void)state;
    must_allocate(m, BASE, PAGE, NTMM_PAGE_EXECUTE_READ | NTMM_PAGE_TARGETS_INVALID);
    assert_int_equal(must_query(m, BASE).protect, NTMM_PAGE_EXECUTE_READ);
    assert_int_equal(must_query(m, BASE).allocation_protect, NTMM_PAGE_EXECUTE_READ);
    assert_false(is_target(m, BASE));
    must_commit(m, BASE, PAGE, NTMM_PAGE_EXECUTE_READ);
    assert_true(is_target(m, BASE));
    must_commit(m, BASE, PAGE, NTMM_PAGE_EXECUTE_READ | NTMM_PAGE_TARGETS_INVALID);
    assert_false(is_target(m, BASE));
    assert_int_equal(machine_process(m).commit_pages, 1);
    machine_close(m);
}

/* 1.2: the flag means something with an executable protection only. */
static void the_flag_needs_an_executable_protection(void **state)
{
    struct machine *m = open_guarded();
    (void)state;
    assert_int_equal(
        try_allocate(m, BASE, PAGE, COMMIT_CODE, NTMM_PAGE_READWRITE | NTMM_PAGE_TARGETS_INVALID),
        NTMM_STATUS_INVALID_PAGE_PROTECTION);
    must_allocate(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    assert_int_equal(try_protect(m, BASE, PAGE, NTMM_PAGE_READONLY | NTMM_PAGE_TARGETS_NO_UPDATE),
                     NTMM_STATUS_INVALID_PAGE_PROTECTION);
    machine_close(m);
}

static void a_protection_marks_unless_it_is_told_not_to(void **state)
{
    struct machine *m = open_guarded();
    (void)state;
    must_allocate(m, BASE, 2 * PAGE, NTMM_PAGE_READWRITE);
    must_protect(m, BASE, PAGE, NTMM_PAGE_EXECUTE_READ | NTMM_PAGE_TARGETS_NO_UPDATE);
    assert_false(is_target(m, BASE));
    must_protect(m, BASE, 2 * PAGE, NTMM_PAGE_EXECUTE_READ);
    assert_true(is_target(m, BASE + PAGE));
    set_target(m, BASE, 0);
    must_protect(m, BASE, PAGE, NTMM_PAGE_READWRITE);
    must_protect(m, BASE, PAGE, NTMM_PAGE_EXECUTE_READ | NTMM_PAGE_TARGETS_NO_UPDATE);
    assert_false(is_target(m, BASE));
    assert_true(is_target(m, BASE + 16));
    must_protect(m, BASE, PAGE, NTMM_PAGE_EXECUTE_READ);
    assert_true(is_target(m, BASE));
    machine_close(m);
}

static void single_targets_are_set_and_cleared(void **state)
{
    struct machine *m = open_guarded();
    (void)state;
    must_allocate(m, BASE, PAGE, NTMM_PAGE_EXECUTE_READ | NTMM_PAGE_TARGETS_INVALID);
    set_target(m, BASE + 0x30, NTMM_CFG_CALL_TARGET_VALID);
    set_target(m, BASE + 0x1F0, NTMM_CFG_CALL_TARGET_VALID);
    assert_true(is_target(m, BASE + 0x30));
    assert_false(is_target(m, BASE + 0x31));
    assert_false(is_target(m, BASE + 0x20));
    assert_true(word_of(m, BASE) == (UINT64_C(1) << 6 | UINT64_C(1) << 62));
    set_target(m, BASE + 0x30, 0);
    assert_true(word_of(m, BASE) == UINT64_C(1) << 62);
    assert_int_equal(machine_process(m).commit_pages, 2);
    set_target(m, BASE + 0x1F0, 0);
    assert_int_equal(machine_process(m).commit_pages, 1);
    machine_close(m);
}

static void what_is_freed_holds_no_target(void **state)
{
    struct machine *m = open_guarded();
    (void)state;
    must_allocate(m, BASE, 3 * PAGE, NTMM_PAGE_EXECUTE_READ);
    must_decommit(m, BASE, PAGE);
    assert_false(is_target(m, BASE));
    assert_true(is_target(m, BASE + PAGE));
    must_release(m, BASE + PAGE, PAGE);
    assert_false(is_target(m, BASE + PAGE));
    assert_true(is_target(m, BASE + 2 * PAGE));
    must_release(m, BASE + 2 * PAGE, PAGE);
    assert_int_equal(machine_process(m).commit_pages, 0);
    machine_assert_sound(m);
    machine_close(m);
}

static void a_view_holds_targets_while_it_is_mapped(void **state)
{
    struct machine *m = open_guarded();
    ntmm_handle section = 0;
    uint64_t size = 2 * PAGE;
    (void)state;
    assert_int_equal(ntmm_create_section(m->system, &section, NTMM_SECTION_ALL_ACCESS, NULL, &size,
                                         NTMM_PAGE_EXECUTE_READWRITE, NTMM_SEC_COMMIT, 0),
                     NTMM_STATUS_SUCCESS);
    for (int i = 0; i < 2; i++) {
        uint32_t flag = i ? NTMM_PAGE_TARGETS_INVALID : 0;
        uint64_t base = BASE;
        uint64_t view_size = 0;
        assert_int_equal(ntmm_map_view_of_section(m->system, section, m->process, &base, 0, 0, NULL,
                                                  &view_size, NTMM_VIEW_UNMAP, 0,
                                                  NTMM_PAGE_EXECUTE_READ | flag),
                         NTMM_STATUS_SUCCESS);
        assert_int_equal(is_target(m, BASE + PAGE), i == 0);
        set_target(m, BASE + 16, NTMM_CFG_CALL_TARGET_VALID);
        assert_true(is_target(m, BASE + 16));
        assert_int_equal(ntmm_unmap_view_of_section(m->system, m->process, BASE, 0),
                         NTMM_STATUS_SUCCESS);
        assert_false(is_target(m, BASE + 16));
    }
    assert_int_equal(machine_process(m).commit_pages, 0);
    assert_int_equal(ntmm_close_section(m->system, section), NTMM_STATUS_SUCCESS);
    machine_close(m);
}

static void borrowed_frames_can_be_code(void **state)
{
    struct machine *m = open_guarded();
    uint64_t base = BASE;
    uint64_t size = PAGE;
    (void)state;
    assert_int_equal(
        ntmm_map_borrowed(m->system, m->process, &base, &size, NTMM_PAGE_EXECUTE_READ, 0x100000),
        NTMM_STATUS_SUCCESS);
    assert_true(is_target(m, BASE));
    assert_int_equal(ntmm_unmap_borrowed(m->system, m->process, BASE), NTMM_STATUS_SUCCESS);
    assert_false(is_target(m, BASE));
    machine_close(m);
}

/* With room for 0, 1, 2 ... pages of commit: as before, or done. */
static void a_shortage_changes_nothing(void **state)
{
    (void)state;
    for (uint64_t room = 0;; room++) {
        struct machine *m = open_guarded();
        struct partition *partition = machine_partition(m);
        must_allocate(m, BASE, PAGE, NTMM_PAGE_EXECUTE_READ);
        uint64_t limit = get64(&partition->commit_limit);
        uint64_t commit = get64(&partition->commit);
        struct ntmm_process_information before = machine_process(m);
        set64(&partition->commit_limit, commit + room);
        ntmm_status status =
            try_allocate(m, BASE + 16 * MIB, 3 * SPAN, COMMIT_CODE, NTMM_PAGE_EXECUTE_READ);
        set64(&partition->commit_limit, limit);
        machine_assert_sound(m);
        if (status == NTMM_STATUS_SUCCESS) {
            assert_true(is_target(m, BASE + 16 * MIB + 3 * SPAN - 1));
            machine_close(m);
            assert_true(room >= 3 * 64 + 3);
            return;
        }
        struct ntmm_process_information after = machine_process(m);
        assert_int_equal(status, NTMM_STATUS_COMMITMENT_LIMIT);
        assert_int_equal(get64(&partition->commit), commit);
        assert_int_equal(after.commit_pages, before.commit_pages);
        assert_int_equal(after.table_pages, before.table_pages);
        assert_int_equal(after.region_count, before.region_count);
        assert_false(is_target(m, BASE + 16 * MIB));
        assert_true(is_target(m, BASE));
        machine_close(m);
    }
}

static void without_commit_no_target_is_set(void **state)
{
    struct machine *m = open_guarded();
    struct partition *partition = machine_partition(m);
    struct ntmm_memory_range_entry range = {BASE, PAGE};
    struct ntmm_cfg_call_target target = {0, NTMM_CFG_CALL_TARGET_VALID};
    uint32_t processed = 7;
    struct ntmm_cfg_call_target_list list = {
        .count = 1, .processed = &processed, .targets = &target};
    (void)state;
    must_allocate(m, BASE, PAGE, NTMM_PAGE_EXECUTE_READ | NTMM_PAGE_TARGETS_INVALID);
    uint64_t limit = get64(&partition->commit_limit);
    set64(&partition->commit_limit, get64(&partition->commit));
    assert_int_equal(ntmm_set_information_virtual_memory(m->system, m->process,
                                                         NTMM_VM_CFG_CALL_TARGET_INFORMATION, 1,
                                                         &range, &list, sizeof list),
                     NTMM_STATUS_COMMITMENT_LIMIT);
    set64(&partition->commit_limit, limit);
    assert_int_equal(processed, 7);
    assert_int_equal(target.flags, NTMM_CFG_CALL_TARGET_VALID);
    assert_false(is_target(m, BASE));
    machine_close(m);
}

/* A process that may have one page of its own has none left for the bitmap. */
static void the_limit_of_the_process_counts_the_bitmap(void **state)
{
    const struct machine_setup setup = {
        .process = {.flags = NTMM_PROCESS_CONTROL_FLOW_GUARD, .commit_limit_pages = 1}};
    struct machine *m = machine_open(&setup);
    struct ntmm_memory_range_entry range = {BASE, PAGE};
    struct ntmm_cfg_call_target target = {0, NTMM_CFG_CALL_TARGET_VALID};
    uint32_t processed = 0;
    struct ntmm_cfg_call_target_list list = {
        .count = 1, .processed = &processed, .targets = &target};
    uint64_t base = BASE + MIB;
    uint64_t size = PAGE;
    (void)state;
    must_allocate(m, BASE, PAGE, NTMM_PAGE_EXECUTE_READ | NTMM_PAGE_TARGETS_INVALID);
    assert_int_equal(ntmm_set_information_virtual_memory(m->system, m->process,
                                                         NTMM_VM_CFG_CALL_TARGET_INFORMATION, 1,
                                                         &range, &list, sizeof list),
                     NTMM_STATUS_PAGEFILE_QUOTA_EXCEEDED);
    assert_int_equal(try_protect(m, BASE, PAGE, NTMM_PAGE_EXECUTE),
                     NTMM_STATUS_PAGEFILE_QUOTA_EXCEEDED);
    assert_int_equal(must_query(m, BASE).protect, NTMM_PAGE_EXECUTE_READ);
    assert_int_equal(
        ntmm_map_borrowed(m->system, m->process, &base, &size, NTMM_PAGE_EXECUTE_READ, 0x100000),
        NTMM_STATUS_PAGEFILE_QUOTA_EXCEEDED);
    assert_int_equal(machine_process(m).commit_pages, 1);
    machine_assert_sound(m);
    machine_close(m);
}

static void nobody_changes_the_bitmap(void **state)
{
    struct machine *m = open_guarded();
    uint64_t count = 1;
    (void)state;
    must_allocate(m, BASE, PAGE, NTMM_PAGE_EXECUTE_READ);
    uint64_t at = (query(m, BASE).bitmap_base + (BASE >> 9) * 8) & ~(PAGE - 1);
    uint64_t frame = machine_frame(m, at);
    assert_int_equal(must_query(m, at).protect, NTMM_PAGE_READONLY);
    assert_int_equal(try_write(m, at, 0), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(try_protect(m, at, PAGE, NTMM_PAGE_READWRITE),
                     NTMM_STATUS_INVALID_PAGE_PROTECTION);
    assert_int_equal(try_free(m, at, PAGE, NTMM_MEM_DECOMMIT), NTMM_STATUS_INVALID_PAGE_PROTECTION);
    assert_int_equal(try_free(m, query(m, BASE).bitmap_base, 0, NTMM_MEM_RELEASE),
                     NTMM_STATUS_INVALID_PAGE_PROTECTION);
    assert_int_equal(try_allocate(m, at, PAGE, NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE),
                     NTMM_STATUS_INVALID_PAGE_PROTECTION);
    assert_int_equal(ntmm_map_user_physical_pages(m->system, m->process, at, 1, NULL),
                     NTMM_STATUS_INVALID_PARAMETER_1);
    assert_int_equal(ntmm_free_user_physical_pages(m->system, m->process, &count, &frame),
                     NTMM_STATUS_INVALID_PARAMETER_3);
    assert_int_equal(count, 0);
    assert_true(is_target(m, BASE));
    machine_close(m);
}

static void a_process_that_cannot_have_its_bitmap_is_not_made(void **state)
{
    struct machine *m = open_guarded();
    struct ntmm_process_config config = {.size = sizeof config,
                                         .version = NTMM_PROCESS_CONFIG_VERSION,
                                         .flags = NTMM_PROCESS_CONTROL_FLOW_GUARD};
    struct partition *partition = machine_partition(m);
    uint64_t limit = get64(&partition->commit_limit);
    ntmm_handle process = 7;
    (void)state;
    set64(&partition->commit_limit, get64(&partition->commit));
    assert_int_equal(ntmm_create_process(m->system, &config, &process),
                     NTMM_STATUS_COMMITMENT_LIMIT);
    set64(&partition->commit_limit, limit);
    assert_int_equal(process, 7);
    config.highest_address = 0x1FFFF; /* one granule, and the bitmap takes it all */
    assert_int_equal(ntmm_create_process(m->system, &config, &process), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_end_process(m->system, process), NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
    machine_close(m);
}

static void arguments_of_the_query(void **state)
{
    struct machine *m = open_guarded();
    struct ntmm_call_target found = {.is_valid = 7};
    (void)state;
    assert_int_equal(ntmm_query_call_target(m->system, m->process, BASE, NULL),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(ntmm_query_call_target(m->system, m->process, NTMM_USER_PROBE_ADDRESS, &found),
                     NTMM_STATUS_INVALID_PARAMETER_2);
    assert_int_equal(found.is_valid, 7);
    assert_false(is_target(m, NTMM_HIGHEST_USER_ADDRESS));
    machine_close(m);
}

/* A clone has a bitmap of its own, with what the parent's had. */
static void a_clone_has_the_targets_of_its_parent(void **state)
{
    struct machine *m = open_guarded();
    ntmm_handle child = 0, parent = m->process;
    (void)state;
    must_allocate(m, BASE, PAGE, NTMM_PAGE_EXECUTE_READ);
    must_allocate(m, BASE + SPAN, PAGE, NTMM_PAGE_EXECUTE_READ | NTMM_PAGE_TARGETS_INVALID);
    set_target(m, BASE + SPAN + 0x130, NTMM_CFG_CALL_TARGET_VALID);
    struct ntmm_call_target before = query(m, BASE);
    uint64_t commit_pages = machine_process(m).commit_pages;
    assert_int_equal(ntmm_clone_process(m->system, parent, NULL, &child), NTMM_STATUS_SUCCESS);
    must_release(m, BASE, PAGE);
    m->process = child;
    assert_int_equal(ntmm_emulated_attach(m->emu, 0, child), NTMM_STATUS_SUCCESS);
    struct ntmm_call_target after = query(m, BASE);
    assert_memory_equal(&before, &after, sizeof before);
    assert_true(is_target(m, BASE + 5));
    assert_true(is_target(m, BASE + SPAN + 0x130));
    assert_false(is_target(m, BASE + SPAN + 0x140));
    assert_true(word_of(m, BASE) == ~UINT64_C(0));
    assert_int_equal(machine_process(m).commit_pages, commit_pages);
    machine_assert_sound(m);
    assert_int_equal(ntmm_end_process(m->system, child), NTMM_STATUS_SUCCESS);
    m->process = parent;
    assert_int_equal(ntmm_emulated_attach(m->emu, 0, parent), NTMM_STATUS_SUCCESS);
    assert_false(is_target(m, BASE));
    assert_true(is_target(m, BASE + SPAN + 0x130));
    machine_close(m);
}

/* A view that clones do not get leaves them no targets, nor a page of the bitmap. */
static void a_clone_has_none_of_what_it_does_not_get(void **state)
{
    struct machine *m = open_guarded();
    ntmm_handle child = 0, parent = m->process, section = 0;
    uint64_t size = 2 * PAGE, base = BASE + SPAN, view = 0;
    (void)state;
    must_allocate(m, BASE, PAGE, NTMM_PAGE_EXECUTE_READ);
    uint64_t commit_pages = machine_process(m).commit_pages;
    assert_int_equal(ntmm_create_section(m->system, &section, NTMM_SECTION_ALL_ACCESS, NULL, &size,
                                         NTMM_PAGE_EXECUTE_READWRITE, NTMM_SEC_COMMIT, 0),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_map_view_of_section(m->system, section, parent, &base, 0, 0, NULL, &view,
                                              NTMM_VIEW_UNMAP, 0, NTMM_PAGE_EXECUTE_READ),
                     NTMM_STATUS_SUCCESS);
    assert_true(is_target(m, base));
    assert_int_equal(machine_process(m).commit_pages, commit_pages + 1);
    assert_int_equal(ntmm_clone_process(m->system, parent, NULL, &child), NTMM_STATUS_SUCCESS);
    m->process = child;
    assert_int_equal(must_query(m, base).state, NTMM_MEM_FREE);
    assert_true(is_target(m, BASE));
    assert_false(is_target(m, base));
    assert_false(is_target(m, base + 2 * PAGE - 1));
    assert_int_equal(machine_process(m).commit_pages, commit_pages);
    machine_assert_sound(m);
    assert_int_equal(ntmm_end_process(m->system, child), NTMM_STATUS_SUCCESS);
    m->process = parent;
    assert_true(is_target(m, base));
    assert_int_equal(ntmm_close_section(m->system, section), NTMM_STATUS_SUCCESS);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clone_has_the_targets_of_its_parent),
        cmocka_unit_test(a_clone_has_none_of_what_it_does_not_get),
        cmocka_unit_test(without_the_flag_everything_is_a_target),
        cmocka_unit_test(the_bitmap_is_2_tib_of_reserved_space),
        cmocka_unit_test(a_small_address_space_has_a_small_bitmap),
        cmocka_unit_test(pages_that_are_executable_hold_targets),
        cmocka_unit_test(targets_invalid_leaves_none),
        cmocka_unit_test(the_flag_needs_an_executable_protection),
        cmocka_unit_test(a_protection_marks_unless_it_is_told_not_to),
        cmocka_unit_test(single_targets_are_set_and_cleared),
        cmocka_unit_test(what_is_freed_holds_no_target),
        cmocka_unit_test(a_view_holds_targets_while_it_is_mapped),
        cmocka_unit_test(borrowed_frames_can_be_code),
        cmocka_unit_test(a_shortage_changes_nothing),
        cmocka_unit_test(without_commit_no_target_is_set),
        cmocka_unit_test(the_limit_of_the_process_counts_the_bitmap),
        cmocka_unit_test(nobody_changes_the_bitmap),
        cmocka_unit_test(a_process_that_cannot_have_its_bitmap_is_not_made),
        cmocka_unit_test(arguments_of_the_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
