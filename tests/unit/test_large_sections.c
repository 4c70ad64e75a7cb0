/*
 * Sections of large pages and their views (nt_semantics 2.10, 4.2, 4.4, 4.10; where these are
 * silent, docs/fidelity.md).
 *
 *   section of n leaves: frames at once --> views of whole leaves, in any process, the same frames
 */
#include "paging/page_out.h"
#include "space/large.h"
#include "unit/machine.h"

#include <ntmm/borrow.h>
#include <ntmm/memory.h>
#include <ntmm/offer.h>
#include <ntmm/query.h>
#include <ntmm/section.h>
#include <ntmm/snapshot.h>
#include <ntmm/write_watch.h>

#define LARGE (NTMM_SEC_COMMIT | NTMM_SEC_LARGE_PAGES)
#define RW NTMM_PAGE_READWRITE
#define LEAF (2 * MIB)
#define AT (64 * MIB)
#define LEAF_FRAMES 512u

static struct machine *open_of(uint64_t ram_bytes)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = ram_bytes},
                                        .core = {.extra_commit_pages = 10000}};
    return machine_open(&setup);
}

static void ok(ntmm_status status) { assert_int_equal(status, NTMM_STATUS_SUCCESS); }

static ntmm_status try_create(struct machine *m, uint64_t size, uint32_t protect,
                              const struct ntmm_section_config *config, ntmm_handle *section)
{
    return ntmm_create_section(m->system, section, NTMM_SECTION_ALL_ACCESS, config, &size, protect,
                               LARGE, 0);
}

static ntmm_handle must_create(struct machine *m, uint64_t leaves, uint32_t protect)
{
    ntmm_handle section = 0;
    ok(try_create(m, leaves * LEAF, protect, NULL, &section));
    return section;
}

static ntmm_status try_map(struct machine *m, ntmm_handle section, ntmm_handle process,
                           uint64_t base, uint64_t offset, uint64_t size, uint32_t protect)
{
    return ntmm_map_view_of_section(m->system, section, process, &base, 0, 0, &offset, &size,
                                    NTMM_VIEW_SHARE, 0, protect);
}

static void must_map(struct machine *m, ntmm_handle section, uint64_t base, uint32_t protect)
{
    ok(try_map(m, section, m->process, base, 0, 0, protect));
    machine_assert_sound(m);
}

static ntmm_status unmap(struct machine *m, ntmm_handle process, uint64_t base)
{
    return ntmm_unmap_view_of_section(m->system, process, base, 0);
}

static void must_close(struct machine *m, ntmm_handle section)
{
    ok(ntmm_close_section(m->system, section));
}

static uint64_t free_runs(struct machine *m) { return machine_memory(m).free_large_runs; }

static uint64_t commit_of(struct machine *m) { return get64(&machine_partition(m)->commit); }

/* A machine whose process has a view of a section of two leaves, READWRITE, at AT. */
static struct machine *open_with_view(ntmm_handle *section)
{
    struct machine *m = open_of(16 * MIB);
    *section = must_create(m, 2, NTMM_PAGE_EXECUTE_READWRITE);
    must_map(m, *section, AT, RW);
    return m;
}

static void close_with_view(struct machine *m, ntmm_handle section)
{
    machine_assert_sound(m);
    ok(unmap(m, m->process, AT));
    must_close(m, section);
    machine_close(m);
}

/* --- making --- */

/* Frames that were used are zeroed again; commit is charged once, and no view costs any. */
static void all_frames_are_taken_when_it_is_made(void **state)
{
    (void)state;
    struct machine *m = open_of(16 * MIB);
    must_allocate(m, BASE, 3072 * PAGE, RW);
    must_fill(m, BASE, 3072 * PAGE);
    must_release(m, BASE, 3072 * PAGE);
    uint64_t runs = free_runs(m);
    uint64_t commit = commit_of(m);
    uint64_t resident = load64_relaxed(&machine_partition(m)->large_pages);
    ntmm_handle section = must_create(m, 2, RW);
    machine_assert_sound(m);
    assert_true(free_runs(m) <= runs - 2);
    assert_in_range(commit_of(m) - commit, 2 * LEAF_FRAMES, 2 * LEAF_FRAMES + 8);
    assert_int_equal(load64_relaxed(&machine_partition(m)->large_pages) - resident,
                     2 * LEAF_FRAMES);
    uint64_t charged = commit_of(m);
    struct ntmm_process_information before = machine_process(m);
    must_map(m, section, AT, RW);
    struct ntmm_process_information after = machine_process(m);
    assert_int_equal(after.commit_pages, before.commit_pages);
    assert_int_equal(after.working_set_pages, before.working_set_pages);
    assert_int_equal(after.virtual_size_bytes - before.virtual_size_bytes, 2 * LEAF);
    assert_in_range(commit_of(m) - charged, 0, 6); /* tables, a slab */
    for (uint64_t at = AT; at < AT + 2 * LEAF; at += 16 * PAGE)
        assert_int_equal(must_read(m, at), 0);
    ok(unmap(m, m->process, AT));
    must_close(m, section);
    assert_int_equal(load64_relaxed(&machine_partition(m)->large_pages), resident);
    machine_close(m);
}

static void who_makes_it_needs_the_privilege(void **state)
{
    (void)state;
    struct machine *m = open_of(8 * MIB);
    ntmm_handle section = 0;
    struct ntmm_caller caller = {.size = sizeof caller,
                                 .version = NTMM_CALLER_VERSION,
                                 .privileges = ~NTMM_PRIVILEGE_LOCK_MEMORY};
    const struct ntmm_section_config config = {
        .size = sizeof config, .version = NTMM_SECTION_CONFIG_VERSION, .caller = &caller};
    uint64_t size = LEAF;
    assert_int_equal(try_create(m, LEAF, RW, &config, &section), NTMM_STATUS_PRIVILEGE_NOT_HELD);
    assert_int_equal(try_create(m, LEAF + PAGE, RW, &config, &section),
                     NTMM_STATUS_INVALID_PARAMETER_4);
    assert_int_equal(try_create(m, 1024 * GIB, RW, &config, &section),
                     NTMM_STATUS_PRIVILEGE_NOT_HELD);
    ok(ntmm_create_section(m->system, &section, 0, &config, &size, RW, NTMM_SEC_COMMIT, 0));
    must_close(m, section);
    caller.privileges = NTMM_PRIVILEGE_LOCK_MEMORY;
    ok(try_create(m, LEAF, RW, &config, &section));
    must_close(m, section);
    caller.version++;
    assert_int_equal(try_create(m, LEAF, RW, &config, &section), NTMM_STATUS_INFO_LENGTH_MISMATCH);
    machine_close(m);
}

static void what_does_not_go_with_large_pages(void **state)
{
    static const uint32_t others[] = {NTMM_SEC_NOCACHE, NTMM_SEC_WRITECOMBINE, NTMM_SEC_BASED};
    (void)state;
    struct machine *m = open_of(8 * MIB);
    ntmm_handle section;
    uint64_t size = LEAF;
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(ntmm_create_section(m->system, &section, NTMM_SECTION_ALL_ACCESS, NULL,
                                             &size, RW, LARGE | others[i], 0),
                         NTMM_STATUS_INVALID_PARAMETER_6);
    machine_close(m);
}

static void without_runs_nothing_is_made(void **state)
{
    (void)state;
    struct machine *m = open_of(8 * MIB);
    ntmm_handle section = 0x55;
    uint64_t runs = free_runs(m);
    uint64_t resident = load64_relaxed(&machine_partition(m)->large_pages);
    assert_true(runs >= 2);
    assert_int_equal(try_create(m, (runs + 1) * LEAF, RW, NULL, &section),
                     NTMM_STATUS_INSUFFICIENT_RESOURCES);
    assert_int_equal(try_create(m, 16 * LEAF, RW, NULL, &section), /* more than there is */
                     NTMM_STATUS_INSUFFICIENT_RESOURCES);
    assert_int_equal(try_create(m, 1024 * GIB, RW, NULL, &section), NTMM_STATUS_COMMITMENT_LIMIT);
    assert_int_equal(section, 0x55);
    machine_assert_sound(m);
    assert_int_equal(free_runs(m), runs);
    assert_int_equal(load64_relaxed(&machine_partition(m)->large_pages), resident);
    machine_close(m);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    struct machine *m = open_of(8 * MIB);
    ntmm_handle section = 0;
    ntmm_status status = NTMM_STATUS_NO_MEMORY;
    uint64_t after = 0;
    for (; status == NTMM_STATUS_NO_MEMORY; after++) {
        m->system->failures.after = after;
        m->system->failures.count = UINT64_MAX;
        status = try_create(m, 2 * LEAF, RW, NULL, &section);
        m->system->failures.count = 0;
        machine_assert_sound(m);
    }
    ok(status);
    assert_true(after > 2);
    status = NTMM_STATUS_NO_MEMORY;
    for (after = 0; status == NTMM_STATUS_NO_MEMORY; after++) {
        m->system->failures.after = after;
        m->system->failures.count = UINT64_MAX;
        status = try_map(m, section, m->process, AT, 0, 0, RW);
        m->system->failures.count = 0;
        machine_assert_sound(m);
        assert_int_equal(must_query(m, AT).state,
                         status == NTMM_STATUS_SUCCESS ? NTMM_MEM_COMMIT : NTMM_MEM_FREE);
    }
    ok(status);
    assert_true(after > 2);
    must_close(m, section);
    machine_close(m);
}

/* --- mapping --- */

static void views_are_whole_leaves(void **state)
{
    (void)state;
    struct machine *m = open_of(16 * MIB);
    ntmm_handle section = must_create(m, 2, RW);
    ntmm_handle p = m->process;
    uint64_t base = 0, size = 0;
    assert_int_equal(try_map(m, section, p, AT + KIB64, 0, 0, RW), NTMM_STATUS_MAPPED_ALIGNMENT);
    assert_int_equal(try_map(m, section, p, AT, KIB64, 0, RW), NTMM_STATUS_MAPPED_ALIGNMENT);
    assert_int_equal(try_map(m, section, p, AT, 0, KIB64, RW), NTMM_STATUS_INVALID_VIEW_SIZE);
    assert_int_equal(try_map(m, section, p, AT, 0, LEAF + 1, RW), NTMM_STATUS_INVALID_VIEW_SIZE);
    assert_int_equal(try_map(m, section, p, AT, 0, 3 * LEAF, RW), NTMM_STATUS_INVALID_VIEW_SIZE);
    assert_int_equal(try_map(m, section, p, AT, 2 * LEAF, 0, RW), NTMM_STATUS_INVALID_VIEW_SIZE);
    must_reserve(m, NTMM_LOWEST_USER_ADDRESS, PAGE, RW);
    ok(ntmm_map_view_of_section(m->system, section, p, &base, 0, 0, NULL, &size, NTMM_VIEW_SHARE,
                                NTMM_MEM_LARGE_PAGES, RW));
    assert_int_equal(base, LEAF);
    assert_int_equal(size, 2 * LEAF);
    assert_int_equal(try_map(m, section, p, 2 * LEAF, 0, 0, RW), NTMM_STATUS_CONFLICTING_ADDRESSES);
    ok(try_map(m, section, p, AT, LEAF, LEAF, RW));
    machine_assert_sound(m);
    must_write(m, LEAF + LEAF + 8, 5); /* the second leaf, in both views */
    assert_int_equal(must_read(m, AT + 8), 5);
    base = 0;
    size = LEAF;
    ok(ntmm_map_view_of_section(m->system, section, p, &base, 0, 0, NULL, &size, NTMM_VIEW_SHARE,
                                NTMM_MEM_TOP_DOWN, RW));
    assert_int_equal(base % LEAF, 0);
    must_close(m, section);
    machine_close(m); /* views end with the process */
}

/* A leaf is always valid, nothing of it is copied, and its caching is the processor's own. */
static void views_grant_some_access_and_nothing_else(void **state)
{
    static const uint32_t refused[] = {NTMM_PAGE_NOACCESS,          NTMM_PAGE_WRITECOPY,
                                       NTMM_PAGE_EXECUTE_WRITECOPY, RW | NTMM_PAGE_GUARD,
                                       RW | NTMM_PAGE_NOCACHE,      RW | NTMM_PAGE_WRITECOMBINE};
    (void)state;
    struct machine *m = open_of(16 * MIB);
    ntmm_handle section = must_create(m, 1, NTMM_PAGE_EXECUTE_READWRITE);
    ntmm_handle plain = must_create(m, 1, NTMM_PAGE_READONLY);
    for (uint32_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_int_equal(try_map(m, section, m->process, AT, 0, 0, refused[i]),
                         NTMM_STATUS_INVALID_PAGE_PROTECTION);
    assert_int_equal(try_map(m, section, m->process, AT + 1, 0, 0, NTMM_PAGE_WRITECOPY),
                     NTMM_STATUS_INVALID_PAGE_PROTECTION);
    assert_int_equal(try_map(m, plain, m->process, AT, 0, 0, RW), NTMM_STATUS_SECTION_PROTECTION);
    must_map(m, plain, AT, NTMM_PAGE_READONLY);
    assert_int_equal(must_read(m, AT), 0);
    assert_int_equal(try_write(m, AT, 1), NTMM_STATUS_ACCESS_VIOLATION);
    must_map(m, section, AT + LEAF, NTMM_PAGE_EXECUTE_READ);
    ok(try_execute(m, AT + LEAF));
    assert_int_equal(try_execute(m, AT), NTMM_STATUS_ACCESS_VIOLATION);
    must_close(m, section);
    must_close(m, plain);
    machine_close(m);
}

static void a_view_replaces_a_placeholder(void **state)
{
    (void)state;
    ntmm_handle section;
    struct machine *m = open_of(16 * MIB);
    uint64_t base = AT, size = LEAF + PAGE, offset = 0;
    section = must_create(m, 1, RW);
    ok(ntmm_allocate_virtual_memory_ex(m->system, m->process, &base, &size,
                                       NTMM_MEM_RESERVE | NTMM_MEM_RESERVE_PLACEHOLDER,
                                       NTMM_PAGE_NOACCESS, NULL, 0));
    size = LEAF;
    ok(ntmm_free_virtual_memory(m->system, m->process, &base, &size,
                                NTMM_MEM_RELEASE | NTMM_MEM_PRESERVE_PLACEHOLDER));
    ok(ntmm_map_view_of_section_ex(m->system, section, m->process, &base, &offset, &size,
                                   NTMM_MEM_REPLACE_PLACEHOLDER, RW, NULL, 0));
    machine_assert_sound(m);
    must_write(m, AT + PAGE, 9);
    ok(ntmm_unmap_view_of_section(m->system, m->process, AT, NTMM_MEM_PRESERVE_PLACEHOLDER));
    machine_assert_sound(m);
    assert_int_equal(must_query(m, AT).state, NTMM_MEM_RESERVE);
    must_close(m, section);
    machine_close(m);
}

static void all_processes_see_the_same_frames(void **state)
{
    (void)state;
    ntmm_handle section;
    uint64_t word = 0, done = 0;
    struct machine *m = open_with_view(&section);
    ntmm_handle other = machine_add_process(m);
    ok(try_map(m, section, other, 2 * AT, 0, 0, RW));
    must_fill(m, AT, 2 * LEAF);
    ok(ntmm_read_virtual_memory(m->system, other, 2 * AT + 700 * PAGE, &word, 8, &done));
    assert_int_equal(word, AT + 700 * PAGE);
    word = 42;
    ok(ntmm_write_virtual_memory(m->system, other, 2 * AT + LEAF - 8, &word, 8, &done));
    assert_int_equal(must_read(m, AT + LEAF - 8), 42);
    must_allocate(m, BASE, 3 * PAGE, RW);
    ok(ntmm_copy_virtual_memory(m->system, other, 2 * AT + 3 * PAGE, m->process, BASE, 2 * PAGE,
                                &done));
    assert_int_equal(must_read(m, BASE + PAGE), AT + 4 * PAGE);
    ok(ntmm_end_process(m->system, other));
    machine_assert_sound(m);
    assert_int_equal(must_read(m, AT + 5 * PAGE), AT + 5 * PAGE);
    close_with_view(m, section);
}

/* The last of handle and views gives the frames back. */
static void frames_go_with_the_last_reference(void **state)
{
    (void)state;
    ntmm_handle section;
    struct machine *m = open_with_view(&section);
    must_fill(m, AT, 2 * LEAF);
    uint64_t runs = free_runs(m);
    must_close(m, section);
    machine_assert_sound(m);
    assert_int_equal(free_runs(m), runs);
    must_hold(m, AT, 2 * LEAF);
    ok(unmap(m, m->process, AT + LEAF + 5));
    machine_assert_sound(m);
    assert_int_equal(free_runs(m), runs + 2);
    assert_int_equal(must_query(m, AT).state, NTMM_MEM_FREE);
    uint64_t value;
    assert_int_equal(try_read(m, AT, &value), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(machine_process(m).table_pages, 1); /* the root */
    machine_close(m);
}

/* --- services --- */

static void no_access_faults_and_nothing_leaves_memory(void **state)
{
    (void)state;
    ntmm_handle section;
    struct machine *m = open_with_view(&section);
    ok(page_out_add_file(m->emu));
    must_fill(m, AT, 2 * LEAF);
    page_out_everything(m->emu);
    machine_assert_sound(m);
    uint64_t faults = machine_counter(m, NTMM_COUNTER_PAGE_FAULTS);
    must_hold(m, AT, 2 * LEAF);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_PAGE_FAULTS), faults);
    struct ntmm_fault_request request = {
        .process = m->process, .address = AT + 5, .error_code = NTMM_FAULT_USER | NTMM_FAULT_WRITE};
    ok(ntmm_page_fault(m->system, &request, &m->fault));
    assert_int_equal(m->fault.kind, NTMM_FAULT_KIND_SPURIOUS);
    close_with_view(m, section);
}

/* By whole leaves, in one view alone, and no more than it was mapped with. */
static void protection_is_by_whole_leaves(void **state)
{
    (void)state;
    ntmm_handle section;
    struct machine *m = open_with_view(&section);
    must_map(m, section, 2 * AT, NTMM_PAGE_READONLY);
    assert_int_equal(try_protect(m, AT, PAGE, NTMM_PAGE_READONLY),
                     NTMM_STATUS_CONFLICTING_ADDRESSES);
    assert_int_equal(try_protect(m, AT + PAGE, LEAF, NTMM_PAGE_READONLY),
                     NTMM_STATUS_CONFLICTING_ADDRESSES);
    assert_int_equal(try_protect(m, AT, LEAF, RW | NTMM_PAGE_GUARD),
                     NTMM_STATUS_INVALID_PAGE_PROTECTION);
    assert_int_equal(try_protect(m, AT, LEAF, NTMM_PAGE_NOACCESS),
                     NTMM_STATUS_INVALID_PAGE_PROTECTION);
    assert_int_equal(try_protect(m, AT, LEAF, NTMM_PAGE_WRITECOPY),
                     NTMM_STATUS_INVALID_PAGE_PROTECTION);
    assert_int_equal(try_protect(m, AT, LEAF, RW | NTMM_PAGE_REVERT_TO_FILE_MAP),
                     NTMM_STATUS_INVALID_PAGE_PROTECTION);
    assert_int_equal(try_protect(m, 2 * AT, LEAF, RW), NTMM_STATUS_SECTION_PROTECTION);
    assert_int_equal(must_protect(m, AT, LEAF, NTMM_PAGE_READONLY), RW);
    machine_assert_sound(m);
    assert_int_equal(try_write(m, AT + LEAF - 8, 1), NTMM_STATUS_ACCESS_VIOLATION);
    must_write(m, AT + LEAF, 1);
    struct ntmm_memory_basic_information found = must_query(m, AT + PAGE);
    assert_int_equal(found.region_size, LEAF - PAGE);
    assert_int_equal(found.protect, NTMM_PAGE_READONLY);
    assert_int_equal(found.allocation_protect, RW);
    assert_int_equal(must_query(m, AT + LEAF).protect, RW);
    assert_int_equal(must_protect(m, AT, LEAF, RW), NTMM_PAGE_READONLY);
    must_write(m, AT, 3);
    ok(unmap(m, m->process, 2 * AT));
    close_with_view(m, section);
}

static void a_view_may_be_fixed(void **state)
{
    (void)state;
    struct machine *m = open_of(8 * MIB);
    ntmm_handle section = must_create(m, 1, RW);
    uint64_t base = AT, size = 0;
    ok(ntmm_map_view_of_section(m->system, section, m->process, &base, 0, 0, NULL, &size,
                                NTMM_VIEW_SHARE, NTMM_SEC_NO_CHANGE, RW));
    assert_int_equal(try_protect(m, AT, LEAF, NTMM_PAGE_READONLY),
                     NTMM_STATUS_INVALID_PAGE_PROTECTION);
    close_with_view(m, section);
}

static void commit_free_and_reset(void **state)
{
    (void)state;
    ntmm_handle section;
    struct machine *m = open_with_view(&section);
    must_fill(m, AT, 2 * LEAF);
    ok(try_allocate(m, AT + PAGE, PAGE, NTMM_MEM_COMMIT, RW));
    assert_int_equal(try_allocate(m, AT, PAGE, NTMM_MEM_COMMIT, NTMM_PAGE_READONLY),
                     NTMM_STATUS_INVALID_PAGE_PROTECTION);
    assert_int_equal(try_free(m, AT, PAGE, NTMM_MEM_DECOMMIT),
                     NTMM_STATUS_UNABLE_TO_DELETE_SECTION);
    assert_int_equal(try_free(m, AT, 0, NTMM_MEM_RELEASE), NTMM_STATUS_UNABLE_TO_DELETE_SECTION);
    ok(try_allocate(m, AT, LEAF, NTMM_MEM_RESET, RW)); /* others may see it: nothing goes */
    ok(try_allocate(m, AT, LEAF, NTMM_MEM_RESET_UNDO, RW));
    assert_int_equal(try_allocate(m, AT, PAGE, NTMM_MEM_RESERVE, RW),
                     NTMM_STATUS_CONFLICTING_ADDRESSES);
    must_hold(m, AT, 2 * LEAF);
    close_with_view(m, section);
}

static void what_is_of_private_pages_is_refused(void **state)
{
    (void)state;
    ntmm_handle section;
    uint64_t addresses[4], count = 4;
    uint32_t granularity;
    struct machine *m = open_with_view(&section);
    assert_int_equal(
        ntmm_offer_virtual_memory(m->system, m->process, AT, LEAF, NTMM_OFFER_VERY_LOW),
        NTMM_STATUS_CONFLICTING_ADDRESSES);
    assert_int_equal(
        ntmm_get_write_watch(m->system, m->process, 0, AT, LEAF, addresses, &count, &granularity),
        NTMM_STATUS_INVALID_PARAMETER_1);
    close_with_view(m, section);
}

static ntmm_status set_information(struct machine *m, uint32_t class, uint32_t value)
{
    const struct ntmm_memory_range_entry range = {.virtual_address = AT, .number_of_bytes = LEAF};
    return ntmm_set_information_virtual_memory(m->system, m->process, class, 1, &range, &value,
                                               sizeof value);
}

static void hints_change_nothing(void **state)
{
    (void)state;
    ntmm_handle section;
    struct machine *m = open_with_view(&section);
    must_fill(m, AT, 2 * LEAF);
    ok(set_information(m, NTMM_VM_PREFETCH_INFORMATION, 0));
    ok(set_information(m, NTMM_VM_PAGE_PRIORITY_INFORMATION, 1));
    (void)set_information(m, NTMM_VM_REMOVE_FROM_WORKING_SET_INFORMATION, NTMM_REMOVE_FORCE_TRIM);
    machine_assert_sound(m);
    uint64_t faults = machine_counter(m, NTMM_COUNTER_PAGE_FAULTS);
    must_hold(m, AT, 2 * LEAF);
    assert_int_equal(machine_counter(m, NTMM_COUNTER_PAGE_FAULTS), faults);
    close_with_view(m, section);
}

static void it_is_locked_and_flushed_already(void **state)
{
    (void)state;
    ntmm_handle section;
    struct machine *m = open_with_view(&section);
    uint64_t base = AT + 3 * PAGE, size = 2 * PAGE;
    struct ntmm_io_status io;
    assert_int_equal(
        ntmm_lock_virtual_memory(m->system, m->process, &base, &size, NTMM_MAP_PROCESS),
        NTMM_STATUS_WAS_LOCKED);
    ok(ntmm_unlock_virtual_memory(m->system, m->process, &base, &size, NTMM_MAP_PROCESS));
    must_fill(m, AT, LEAF);
    base = AT;
    size = LEAF;
    ok(ntmm_flush_virtual_memory(m->system, m->process, &base, &size, &io));
    assert_int_equal(io.information, 0);
    must_hold(m, AT, LEAF);
    close_with_view(m, section);
}

/* --- queries --- */

static uint64_t attributes_at(struct machine *m, uint64_t address)
{
    struct ntmm_memory_page_information page = {.virtual_address = address};
    uint64_t returned;
    ok(ntmm_query_virtual_memory_class(m->system, m->process, 0,
                                       NTMM_MEMORY_WORKING_SET_EX_INFORMATION, &page, sizeof page,
                                       &returned));
    return page.attributes;
}

static void queries_tell_what_it_is(void **state)
{
    (void)state;
    ntmm_handle section;
    uint64_t returned, word[64];
    struct ntmm_memory_region_information region;
    struct ntmm_section_basic_information basic;
    struct machine *m = open_with_view(&section);
    struct ntmm_memory_basic_information found = must_query(m, AT + PAGE);
    assert_int_equal(found.allocation_base, AT);
    assert_int_equal(found.state, NTMM_MEM_COMMIT);
    assert_int_equal(found.protect, RW);
    assert_int_equal(found.type, NTMM_MEM_MAPPED);
    assert_int_equal(found.region_size, 2 * LEAF - PAGE);
    ok(ntmm_query_virtual_memory_class(m->system, m->process, AT + LEAF,
                                       NTMM_MEMORY_REGION_INFORMATION, &region, 32, &returned));
    assert_int_equal(region.region_type, NTMM_REGION_PAGE_SIZE_LARGE);
    ok(ntmm_query_virtual_memory_class(m->system, m->process, AT + LEAF,
                                       NTMM_MEMORY_REGION_INFORMATION_EX, &region, sizeof region,
                                       &returned));
    assert_int_equal(region.region_type,
                     NTMM_REGION_PAGE_SIZE_LARGE | NTMM_REGION_MAPPED_PAGE_FILE);
    assert_int_equal(region.region_size, 2 * LEAF);
    /* valid 0, share count 3:1, protection 14:4, shared 15, locked 22, large page 23, priority */
    assert_int_equal(attributes_at(m, AT + 700 * PAGE),
                     1 | 1 << 1 | 4 << 4 | 1 << 15 | 1 << 22 | 1 << 23 | 5ull << 24);
    must_map(m, section, 2 * AT, NTMM_PAGE_READONLY);
    assert_int_equal(attributes_at(m, 2 * AT),
                     1 | 2 << 1 | 2 << 4 | 1 << 15 | 1 << 22 | 1 << 23 | 5ull << 24);
    uint64_t in_set = machine_process(m).working_set_pages;
    ok(ntmm_query_virtual_memory_class(m->system, m->process, 0,
                                       NTMM_MEMORY_WORKING_SET_INFORMATION, word, sizeof word,
                                       &returned));
    assert_int_equal(word[0], in_set); /* and none of the views */
    ok(ntmm_query_section(m->system, section, NTMM_SECTION_BASIC_INFORMATION, &basic, sizeof basic,
                          &returned));
    assert_int_equal(basic.allocation_attributes, LARGE);
    assert_int_equal(basic.maximum_size, 2 * LEAF);
    ok(unmap(m, m->process, 2 * AT));
    close_with_view(m, section);
}

static void explanations_and_translations_stop_at_the_leaf(void **state)
{
    (void)state;
    ntmm_handle section;
    struct ntmm_explanation x;
    struct ntmm_subsection_information part;
    uint32_t parts = 0;
    struct ntmm_translation t = {.size = sizeof t};
    struct machine *m = open_with_view(&section);
    ok(ntmm_explain(m->system, m->process, AT + 7 * PAGE, &x));
    assert_int_equal(x.stopped_level, 2);
    assert_int_equal(x.missing_level, 0);
    assert_int_equal(x.has_frame, 1);
    assert_int_equal(x.frame.frame % LEAF_FRAMES, 7);
    assert_int_equal(x.memory.state, NTMM_MEM_COMMIT);
    ok(ntmm_translate(m->system, m->process, AT + 7 * PAGE + 3,
                      NTMM_TRANSLATE_READ | NTMM_TRANSLATE_WRITE | NTMM_TRANSLATE_MARK, &t));
    assert_int_equal(t.leaf_bytes, LEAF);
    assert_int_equal(t.physical_address, x.frame.frame * PAGE + 3);
    assert_int_equal(t.run_bytes, LEAF - 7 * PAGE);
    ok(ntmm_query_subsections(m->system, section, &part, 1, &parts));
    assert_int_equal(parts, 1);
    assert_int_equal(part.page_count, 2 * LEAF_FRAMES);
    close_with_view(m, section);
}

/* Names: found again, and not made twice. */
static void it_has_a_name(void **state)
{
    static const uint16_t name[] = {'L', 'P'};
    (void)state;
    struct machine *m = open_of(16 * MIB);
    struct ntmm_section_config config = {.size = sizeof config,
                                         .version = NTMM_SECTION_CONFIG_VERSION,
                                         .name = name,
                                         .name_units = 2};
    ntmm_handle first = 0, second = 0;
    ok(try_create(m, LEAF, RW, &config, &first));
    uint64_t runs = free_runs(m);
    assert_int_equal(try_create(m, LEAF, RW, &config, &second), NTMM_STATUS_OBJECT_NAME_COLLISION);
    config.open_if = 1;
    assert_int_equal(try_create(m, LEAF, RW, &config, &second), NTMM_STATUS_OBJECT_NAME_EXISTS);
    assert_int_equal(free_runs(m), runs);
    uint64_t size = 2 * LEAF;
    assert_int_equal(ntmm_extend_section(m->system, first, &size),
                     NTMM_STATUS_SECTION_NOT_EXTENDED);
    must_close(m, first);
    must_close(m, second);
    machine_close(m);
}

/* --- copies of the machine --- */

static void snapshots_and_forks_have_their_own(void **state)
{
    (void)state;
    ntmm_handle section;
    struct ntmm_emulated *fork;
    uint64_t word = 1, done;
    struct machine *m = open_with_view(&section);
    must_fill(m, AT, 2 * LEAF);
    ok(ntmm_emulated_snapshot(m->emu));
    ok(ntmm_emulated_fork(m->emu, &fork));
    must_write(m, AT + 8 * PAGE, 1);
    ok(ntmm_read_virtual_memory(ntmm_emulated_system(fork), m->process, AT + 8 * PAGE, &word, 8,
                                &done));
    assert_int_equal(word, AT + 8 * PAGE);
    ok(ntmm_unmap_view_of_section(ntmm_emulated_system(fork), m->process, AT, 0));
    ntmm_emulated_destroy(fork, NULL);
    assert_int_equal(must_read(m, AT + 8 * PAGE), 1);
    ok(unmap(m, m->process, AT));
    ok(ntmm_emulated_restore_snapshot(m->emu));
    must_hold(m, AT, 2 * LEAF);
    close_with_view(m, section);
}

/* As private large pages: docs/clones.md. */
static void a_clone_has_no_such_view(void **state)
{
    (void)state;
    ntmm_handle section, child = 0;
    uint64_t word, done;
    struct machine *m = open_with_view(&section);
    must_fill(m, AT, LEAF);
    struct ntmm_process_config config = {.size = sizeof config,
                                         .version = NTMM_PROCESS_CONFIG_VERSION};
    ok(ntmm_clone_process(m->system, m->process, &config, &child));
    machine_assert_sound(m);
    assert_int_equal(ntmm_read_virtual_memory(m->system, child, AT, &word, 8, &done),
                     NTMM_STATUS_PARTIAL_COPY);
    ok(ntmm_end_process(m->system, child));
    must_hold(m, AT, LEAF);
    close_with_view(m, section);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_frames_are_taken_when_it_is_made),
        cmocka_unit_test(who_makes_it_needs_the_privilege),
        cmocka_unit_test(what_does_not_go_with_large_pages),
        cmocka_unit_test(without_runs_nothing_is_made),
        cmocka_unit_test(each_allocation_may_fail),
        cmocka_unit_test(views_are_whole_leaves),
        cmocka_unit_test(views_grant_some_access_and_nothing_else),
        cmocka_unit_test(a_view_replaces_a_placeholder),
        cmocka_unit_test(all_processes_see_the_same_frames),
        cmocka_unit_test(frames_go_with_the_last_reference),
        cmocka_unit_test(no_access_faults_and_nothing_leaves_memory),
        cmocka_unit_test(protection_is_by_whole_leaves),
        cmocka_unit_test(a_view_may_be_fixed),
        cmocka_unit_test(commit_free_and_reset),
        cmocka_unit_test(what_is_of_private_pages_is_refused),
        cmocka_unit_test(hints_change_nothing),
        cmocka_unit_test(it_is_locked_and_flushed_already),
        cmocka_unit_test(queries_tell_what_it_is),
        cmocka_unit_test(explanations_and_translations_stop_at_the_leaf),
        cmocka_unit_test(it_has_a_name),
        cmocka_unit_test(snapshots_and_forks_have_their_own),
        cmocka_unit_test(a_clone_has_no_such_view),
    };
    return cmocka_run_group_tests_name("large_sections", tests, NULL, NULL);
}
