/*
 * Clones of processes. Expectations: nt_semantics 24 (what is inherited, commit charged again), 4.4
 * (inherit disposition), 6.3 (a guard is of its process), 9.3; decisions: docs/fidelity.md.
 */
#include "clone_world.h"

#include "pe_file.h"

#include <ntmm/access.h>
#include <ntmm/borrow.h>
#include <ntmm/job.h>
#include <ntmm/offer.h>
#include <ntmm/physical.h>
#include <ntmm/working_set.h>
#include <ntmm/write_watch.h>

#define AT UINT64_C(0x10000000)

/* --- contents --- */

static void both_go_their_own_way(void **state)
{
    struct clone_world k;
    (void)state;
    begin_clones(&k);
    allocate_at(&k, AT, 40, BOTH, NTMM_PAGE_READWRITE);
    fill_pages(&k, k.parent, AT, 20);
    make_clone(&k);
    expect_same_regions(&k, k.parent, k.child);
    expect_pages(&k, k.child, AT, 20);
    for (uint64_t i = 20; i < 40; i++)
        assert_int_equal(peek(&k, k.child, AT + i * PAGE), 0);
    poke(&k, k.child, AT, 1);
    poke(&k, k.parent, AT + PAGE, 2);
    poke(&k, k.child, AT + 30 * PAGE, 3);
    assert_int_equal(peek(&k, k.parent, AT), 0);
    assert_int_equal(peek(&k, k.child, AT + PAGE), 0);
    assert_int_equal(peek(&k, k.parent, AT + 30 * PAGE), 0);
    assert_int_equal(store64(&k.w, 1, AT + 2 * PAGE, 4), NTMM_STATUS_SUCCESS);
    assert_int_equal(peek(&k, k.child, AT + 2 * PAGE), 4);
    assert_int_equal(peek(&k, k.parent, AT + 2 * PAGE), 0);
    end_clones(&k);
}

/* The child has a table of its own for each of the parent's, however far apart. */
static void regions_far_apart_are_cloned(void **state)
{
    static const uint64_t bases[] = {AT, AT + 2 * MIB - 0x10000, UINT64_C(0x200000000),
                                     UINT64_C(0x7FF000000000)};
    struct clone_world k;
    (void)state;
    begin_clones(&k);
    for (size_t i = 0; i < 4; i++) {
        allocate_at(&k, bases[i], 32, BOTH, NTMM_PAGE_READWRITE);
        fill_pages(&k, k.parent, bases[i], 32);
        if (i == 0)
            free_at(&k, k.parent, AT, 32, NTMM_MEM_DECOMMIT);
    }
    make_clone(&k);
    expect_same_regions(&k, k.parent, k.child);
    for (size_t i = 1; i < 4; i++)
        expect_pages(&k, k.child, bases[i], 32);
    end_clones(&k);
}

static void pages_that_are_out_are_cloned(void **state)
{
    struct clone_world k;
    (void)state;
    begin_clones(&k);
    allocate_at(&k, AT, 100, BOTH, NTMM_PAGE_READWRITE);
    allocate_at(&k, AT + 64 * MIB, 3, BOTH, NTMM_PAGE_READWRITE);
    fill_pages(&k, k.parent, AT, 100);
    fill_pages(&k, k.parent, AT + 64 * MIB, 3);
    page_out_everything(k.w.emu);
    assert_int_equal(about(&k.w, k.parent).working_set_pages, 0);
    make_clone(&k);
    assert_int_equal(about(&k.w, k.parent).working_set_pages, 0); /* read, but not for the parent */
    page_out_everything(k.w.emu);
    check_world(&k.w);
    expect_pages(&k, k.child, AT, 100);
    poke(&k, k.child, AT, 1);
    page_out_everything(k.w.emu);
    expect_pages(&k, k.parent, AT, 100);
    expect_pages(&k, k.parent, AT + 64 * MIB, 3);
    expect_pages(&k, k.child, AT + 64 * MIB, 3);
    assert_int_equal(peek(&k, k.parent, AT), 0);
    end_clones(&k);
}

/* On modified, on standby, being written. */
static void pages_on_lists_are_cloned(void **state)
{
    struct clone_world k;
    (void)state;
    begin_clones(&k);
    allocate_at(&k, AT, 64, BOTH, NTMM_PAGE_READWRITE);
    fill_pages(&k, k.parent, AT, 64);
    check_ok(ntmm_empty_working_set(k.w.system, k.parent));
    (void)ntmm_write_modified_pages(k.w.system, 20);
    make_clone(&k);
    expect_pages(&k, k.child, AT, 64);
    expect_pages(&k, k.parent, AT, 64);
    end_clones(&k);
}

/* More than there is memory for: pages of the child go out while it is made. */
static void more_than_memory_is_cloned(void **state)
{
    struct clone_world k;
    (void)state;
    begin_clones(&k);
    allocate_at(&k, AT, 1500, BOTH, NTMM_PAGE_READWRITE);
    fill_pages(&k, k.parent, AT, 1500);
    make_clone(&k);
    expect_pages(&k, k.child, AT, 1500);
    expect_pages(&k, k.parent, AT, 1500);
    end_clones(&k);
}

/* All frames but so many are physical pages of the process. */
static void leave_frames(struct clone_world *k, ntmm_handle process, uint64_t left)
{
    static uint64_t frames[2048];
    struct ntmm_memory_information memory;
    ntmm_query_memory(k->w.system, &memory);
    uint64_t count = memory.zeroed_pages + memory.free_pages - left;
    for (uint32_t i = 0; i < 8; i++)
        count += memory.standby_pages[i];
    assert_in_range(count, 1, 2048);
    check_ok(ntmm_allocate_user_physical_pages(k->w.system, process, &count, frames));
}

/* However few frames there are: a page that is read for its copy is not taken for it, for ever. */
static void cloning_ends_with_few_frames(void **state)
{
    struct clone_world k;
    uint32_t succeeded = 0;
    (void)state;
    for (uint64_t left = 0; left < 48; left++) {
        begin_clones(&k);
        ntmm_handle other = make_process(&k.w);
        allocate_at(&k, AT, 20, BOTH, NTMM_PAGE_READWRITE);
        allocate_at(&k, AT + 64 * MIB, 3, BOTH, NTMM_PAGE_READWRITE);
        fill_pages(&k, k.parent, AT, 20);
        fill_pages(&k, k.parent, AT + 64 * MIB, 3);
        page_out_everything(k.w.emu);
        leave_frames(&k, other, left);
        ntmm_status status = ntmm_clone_process(k.w.system, k.parent, NULL, &k.child);
        check_world(&k.w);
        end_one(&k, &other);
        if (status == NTMM_STATUS_SUCCESS) {
            succeeded++;
            expect_pages(&k, k.child, AT, 20);
            expect_pages(&k, k.child, AT + 64 * MIB, 3);
        } else {
            assert_int_equal(status, NTMM_STATUS_NO_MEMORY);
            assert_int_equal(k.child, 0);
        }
        expect_pages(&k, k.parent, AT, 20);
        end_clones(&k);
    }
    assert_in_range(succeeded, 1, 47);
}

/* --- states of pages --- */

static void every_page_keeps_its_state(void **state)
{
    struct clone_world k;
    (void)state;
    begin_clones(&k);
    allocate_at(&k, AT, 64, BOTH, NTMM_PAGE_READWRITE);
    fill_pages(&k, k.parent, AT, 32);
    protect_page(&k.w, k.parent, AT, NTMM_PAGE_READONLY);
    protect_page(&k.w, k.parent, AT + PAGE, NTMM_PAGE_NOACCESS);
    protect_page(&k.w, k.parent, AT + 2 * PAGE, NTMM_PAGE_EXECUTE_READWRITE);
    protect_page(&k.w, k.parent, AT + 40 * PAGE, NTMM_PAGE_READONLY);
    protect_page(&k.w, k.parent, AT + 41 * PAGE, NTMM_PAGE_NOACCESS);
    free_at(&k, k.parent, AT + 5 * PAGE, 2, NTMM_MEM_DECOMMIT);
    free_at(&k, k.parent, AT + 45 * PAGE, 2, NTMM_MEM_DECOMMIT);
    allocate_at(&k, AT + MIB, 16, NTMM_MEM_RESERVE, NTMM_PAGE_READWRITE);
    allocate_at(&k, AT + MIB + 3 * PAGE, 2, NTMM_MEM_COMMIT, NTMM_PAGE_READONLY);
    make_clone(&k);
    expect_same_regions(&k, k.parent, k.child);
    assert_int_equal(store64(&k.w, 1, AT, 1), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(store64(&k.w, 1, AT + 5 * PAGE, 1), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(store64(&k.w, 1, AT + MIB, 1), NTMM_STATUS_ACCESS_VIOLATION);
    protect_page(&k.w, k.child, AT + PAGE, NTMM_PAGE_READWRITE);
    expect_pages(&k, k.child, AT, 5);
    assert_int_equal(query(&k.w, k.parent, AT + PAGE).protect, NTMM_PAGE_NOACCESS);
    end_clones(&k);
}

static void a_guard_is_met_in_both(void **state)
{
    struct clone_world k;
    uint64_t value;
    (void)state;
    begin_clones(&k);
    allocate_at(&k, AT, 4, BOTH, NTMM_PAGE_READWRITE);
    fill_pages(&k, k.parent, AT, 2);
    protect_page(&k.w, k.parent, AT + PAGE, NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD);
    protect_page(&k.w, k.parent, AT + 2 * PAGE, NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD);
    make_clone(&k);
    for (uint32_t cpu = 0; cpu < 2; cpu++) {
        for (uint64_t page = 1; page < 3; page++) {
            assert_int_equal(load64(&k.w, cpu, AT + page * PAGE + 8, &value),
                             NTMM_STATUS_GUARD_PAGE_VIOLATION);
            assert_int_equal(load64(&k.w, cpu, AT + page * PAGE + 8, &value), NTMM_STATUS_SUCCESS);
            assert_int_equal(value, page == 1 ? AT + PAGE : 0);
        }
    }
    end_clones(&k);
}

static void services_work_on_the_child(void **state)
{
    struct clone_world k;
    (void)state;
    begin_clones(&k);
    allocate_at(&k, AT, 48, BOTH, NTMM_PAGE_READWRITE);
    fill_pages(&k, k.parent, AT, 48);
    make_clone(&k);
    free_at(&k, k.child, AT + 16 * PAGE, 16, NTMM_MEM_RELEASE);
    free_at(&k, k.child, AT, 2, NTMM_MEM_DECOMMIT);
    protect_page(&k.w, k.child, AT + 2 * PAGE, NTMM_PAGE_READONLY);
    check_world(&k.w);
    assert_int_equal(about(&k.w, k.child).commit_pages, 30);
    assert_int_equal(about(&k.w, k.parent).commit_pages, 48);
    expect_pages(&k, k.child, AT + 2 * PAGE, 14);
    expect_pages(&k, k.child, AT + 32 * PAGE, 16);
    expect_pages(&k, k.parent, AT, 48);
    assert_int_equal(query(&k.w, k.child, AT + 32 * PAGE).type, NTMM_MEM_PRIVATE);
    assert_int_equal(query(&k.w, k.child, AT + 2 * PAGE).protect, NTMM_PAGE_READONLY);
    end_clones(&k);
}

static void locks_are_not_inherited(void **state)
{
    struct clone_world k;
    uint64_t base = AT, size = 4 * PAGE;
    (void)state;
    begin_clones(&k);
    allocate_at(&k, AT, 4, BOTH, NTMM_PAGE_READWRITE);
    fill_pages(&k, k.parent, AT, 4);
    check_ok(ntmm_lock_virtual_memory(k.w.system, k.parent, &base, &size, NTMM_MAP_PROCESS));
    make_clone(&k);
    expect_pages(&k, k.child, AT, 4);
    assert_int_equal(
        ntmm_unlock_virtual_memory(k.w.system, k.child, &base, &size, NTMM_MAP_PROCESS),
        NTMM_STATUS_NOT_LOCKED);
    check_ok(ntmm_unlock_virtual_memory(k.w.system, k.parent, &base, &size, NTMM_MAP_PROCESS));
    end_clones(&k);
}

/* What a reset page held may have gone, and undo tells both, each once. */
static void lost_contents_are_told_to_both(void **state)
{
    struct clone_world k;
    uint64_t base = AT, size = 8 * PAGE;
    (void)state;
    begin_clones(&k);
    allocate_at(&k, AT, 8, BOTH, NTMM_PAGE_READWRITE);
    fill_pages(&k, k.parent, AT, 8);
    check_ok(ntmm_allocate_virtual_memory(k.w.system, k.parent, &base, 0, &size, NTMM_MEM_RESET,
                                          NTMM_PAGE_READWRITE));
    page_out_everything(k.w.emu);
    make_clone(&k);
    assert_int_equal(ntmm_reclaim_virtual_memory(k.w.system, k.child, base, size),
                     ntmm_reclaim_virtual_memory(k.w.system, k.parent, base, size));
    assert_int_equal(peek(&k, k.child, AT + 8), peek(&k, k.parent, AT + 8));
    end_clones(&k);
}

/* --- regions --- */

static void placeholders_are_kept(void **state)
{
    struct clone_world k;
    uint64_t base = AT, size = 16 * PAGE;
    (void)state;
    begin_clones(&k);
    check_ok(ntmm_allocate_virtual_memory_ex(k.w.system, k.parent, &base, &size,
                                             NTMM_MEM_RESERVE | NTMM_MEM_RESERVE_PLACEHOLDER,
                                             NTMM_PAGE_NOACCESS, NULL, 0));
    make_clone(&k);
    expect_same_regions(&k, k.parent, k.child);
    check_ok(ntmm_allocate_virtual_memory_ex(k.w.system, k.child, &base, &size,
                                             BOTH | NTMM_MEM_REPLACE_PLACEHOLDER,
                                             NTMM_PAGE_READWRITE, NULL, 0));
    check_world(&k.w);
    assert_int_equal(query(&k.w, k.parent, AT).state, NTMM_MEM_RESERVE);
    free_at(&k, k.child, AT, 16, NTMM_MEM_RELEASE | NTMM_MEM_PRESERVE_PLACEHOLDER);
    end_clones(&k);
}

static void what_is_watched_is_plain_in_the_child(void **state)
{
    struct clone_world k;
    uint64_t addresses[4], count = 4;
    uint32_t granularity;
    (void)state;
    begin_clones(&k);
    allocate_at(&k, AT, 16, BOTH | NTMM_MEM_WRITE_WATCH, NTMM_PAGE_READWRITE);
    fill_pages(&k, k.parent, AT, 3);
    make_clone(&k);
    expect_same_regions(&k, k.parent, k.child);
    expect_pages(&k, k.child, AT, 3);
    assert_int_equal(ntmm_get_write_watch(k.w.system, k.child, 0, AT, 16 * PAGE, addresses, &count,
                                          &granularity),
                     NTMM_STATUS_INVALID_PARAMETER_1);
    count = 4;
    check_ok(ntmm_get_write_watch(k.w.system, k.parent, 0, AT, 16 * PAGE, addresses, &count,
                                  &granularity));
    assert_int_equal(count, 3);
    end_clones(&k);
}

static void physical_and_large_pages_are_not_inherited(void **state)
{
    struct clone_world k;
    uint64_t count = 2, frames[2];
    (void)state;
    begin_clones(&k);
    allocate_at(&k, AT, 16, NTMM_MEM_RESERVE | NTMM_MEM_PHYSICAL, NTMM_PAGE_READWRITE);
    allocate_at(&k, AT + 4 * MIB, 512, BOTH | NTMM_MEM_LARGE_PAGES, NTMM_PAGE_READWRITE);
    allocate_at(&k, AT + 8 * MIB, 3, BOTH, NTMM_PAGE_READWRITE);
    check_ok(ntmm_allocate_user_physical_pages(k.w.system, k.parent, &count, frames));
    check_ok(ntmm_map_user_physical_pages(k.w.system, k.parent, AT, 2, frames));
    poke(&k, k.parent, AT, 5);
    poke(&k, k.parent, AT + 4 * MIB, 5);
    make_clone(&k);
    assert_int_equal(query(&k.w, k.child, AT).state, NTMM_MEM_FREE);
    assert_int_equal(query(&k.w, k.child, AT + 4 * MIB).state, NTMM_MEM_FREE);
    assert_int_equal(query(&k.w, k.child, AT + 8 * MIB).state, NTMM_MEM_COMMIT);
    assert_int_equal(about(&k.w, k.child).commit_pages, 3);
    assert_int_equal(about(&k.w, k.child).region_count, 1);
    assert_int_equal(peek(&k, k.parent, AT), 5);
    end_clones(&k);
}

static void borrowed_frames_are_shared(void **state)
{
    static uint64_t words[8 * 512] __attribute__((aligned(4096)));
    struct clone_world k;
    uint64_t frame = 0, base = AT, size = 8 * PAGE;
    (void)state;
    begin_clones(&k);
    check_ok(ntmm_emulated_lend(k.w.emu, words, sizeof words, &frame));
    check_ok(ntmm_map_borrowed(k.w.system, k.parent, &base, &size, NTMM_PAGE_READWRITE, frame));
    check_ok(ntmm_map_shared_user_data(k.w.system, k.parent, frame));
    protect_page(&k.w, k.parent, AT + PAGE, NTMM_PAGE_READONLY);
    protect_page(&k.w, k.parent, AT + 2 * PAGE, NTMM_PAGE_NOACCESS);
    make_clone(&k);
    expect_same_regions(&k, k.parent, k.child);
    poke(&k, k.child, AT, 0x1234);
    assert_int_equal(peek(&k, k.parent, AT), 0x1234);
    assert_int_equal(peek(&k, k.child, NTMM_SHARED_USER_DATA_ADDRESS), 0x1234);
    assert_int_equal(store64(&k.w, 1, AT + PAGE, 1), NTMM_STATUS_ACCESS_VIOLATION);
    base = NTMM_SHARED_USER_DATA_ADDRESS;
    size = 0;
    assert_int_not_equal(
        ntmm_free_virtual_memory(k.w.system, k.child, &base, &size, NTMM_MEM_RELEASE),
        NTMM_STATUS_SUCCESS);
    end_clones(&k);
}

/* --- views --- */

static uint64_t map_as(struct clone_world *k, ntmm_handle section, uint32_t inherit,
                       uint32_t protect)
{
    uint64_t base = 0, size = 0;
    check_ok(ntmm_map_view_of_section(k->w.system, section, k->parent, &base, 0, 0, NULL, &size,
                                      inherit, 0, protect));
    return base;
}

static void views_are_shared_or_not(void **state)
{
    struct clone_world k;
    (void)state;
    begin_clones(&k);
    ntmm_handle section = make_section(&k.w, 16 * PAGE, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, 0);
    uint64_t shared = map_as(&k, section, NTMM_VIEW_SHARE, NTMM_PAGE_READWRITE);
    uint64_t unmapped = map_as(&k, section, NTMM_VIEW_UNMAP, NTMM_PAGE_READWRITE);
    poke(&k, k.parent, shared, 1);
    protect_page(&k.w, k.parent, shared + PAGE, NTMM_PAGE_READONLY);
    close_section(&k.w, section);
    make_clone(&k);
    assert_int_equal(query(&k.w, k.child, unmapped).state, NTMM_MEM_FREE);
    assert_int_equal(query(&k.w, k.child, shared).type, NTMM_MEM_MAPPED);
    assert_int_equal(query(&k.w, k.child, shared + PAGE).protect, NTMM_PAGE_READONLY);
    assert_int_equal(peek(&k, k.child, shared), 1);
    poke(&k, k.child, shared + 2 * PAGE, 2);
    assert_int_equal(peek(&k, k.parent, unmapped + 2 * PAGE), 2);
    end_one(&k, &k.parent); /* the child's view keeps the pages */
    assert_int_equal(peek(&k, k.child, shared), 1);
    end_clones(&k);
}

static void a_file_is_shared_and_copies_are_not(void **state)
{
    struct clone_world k;
    uint64_t first;
    (void)state;
    begin_clones(&k);
    ntmm_handle file = make_file(&k.w, 16 * PAGE);
    ntmm_handle section = make_section(&k.w, 16 * PAGE, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, file);
    uint64_t shared = map_as(&k, section, NTMM_VIEW_SHARE, NTMM_PAGE_READWRITE);
    uint64_t copy = map_as(&k, section, NTMM_VIEW_SHARE, NTMM_PAGE_WRITECOPY);
    first = peek(&k, k.parent, copy + 3 * PAGE);
    poke(&k, k.parent, copy, 7);
    poke(&k, k.parent, copy + 5 * PAGE, 8);
    protect_page(&k.w, k.parent, copy + 4 * PAGE, NTMM_PAGE_READONLY);
    page_out_everything(k.w.emu);
    assert_int_equal(about(&k.w, k.parent).commit_pages, 15);
    make_clone(&k);
    expect_same_regions(&k, k.parent, k.child);
    assert_int_equal(about(&k.w, k.child).commit_pages, 15);
    assert_int_equal(peek(&k, k.child, copy), 7);
    poke(&k, k.child, copy, 9);
    poke(&k, k.child, copy + 3 * PAGE, 10);
    poke(&k, k.child, shared + 6 * PAGE, 11);
    assert_int_equal(peek(&k, k.parent, copy), 7);
    assert_int_equal(peek(&k, k.parent, copy + 3 * PAGE), first);
    assert_int_equal(peek(&k, k.parent, shared + 6 * PAGE), 11);
    assert_int_equal(peek(&k, k.parent, shared + 3 * PAGE), first);
    assert_int_equal(peek(&k, k.child, copy + 5 * PAGE), 8);
    close_section(&k.w, section);
    close_file(&k.w, file);
    end_one(&k, &k.child);
    assert_int_equal(peek(&k, k.parent, copy), 7);
    end_clones(&k);
}

static void reserved_sections_are_committed_for_both(void **state)
{
    struct clone_world k;
    (void)state;
    begin_clones(&k);
    ntmm_handle section = make_section(&k.w, 16 * PAGE, NTMM_PAGE_READWRITE, NTMM_SEC_RESERVE, 0);
    uint64_t view = map_as(&k, section, NTMM_VIEW_SHARE, NTMM_PAGE_READWRITE);
    allocate_at(&k, view + PAGE, 1, NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE);
    poke(&k, k.parent, view + PAGE, 3);
    make_clone(&k);
    expect_same_regions(&k, k.parent, k.child);
    allocate_at(&k, view + 5 * PAGE, 1, NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE);
    poke(&k, k.parent, view + 5 * PAGE, 4);
    assert_int_equal(peek(&k, k.child, view + 5 * PAGE), 4);
    close_section(&k.w, section);
    end_clones(&k);
}

static void images_are_shared_and_their_data_is_not(void **state)
{
    static struct pe_file pe;
    struct clone_world k;
    uint64_t base = 0, size = 0;
    (void)state;
    begin_clones(&k);
    pe_make(&pe, true);
    ntmm_handle file = open_contents(&k.w, pe.bytes, pe.size_bytes);
    ntmm_handle section = make_section(&k.w, 0, NTMM_PAGE_EXECUTE_READ, NTMM_SEC_IMAGE, file);
    assert_true(
        NTMM_SUCCEEDED(ntmm_map_view_of_section(k.w.system, section, k.parent, &base, 0, 0, NULL,
                                                &size, NTMM_VIEW_SHARE, 0, NTMM_PAGE_READONLY)));
    uint64_t data = peek(&k, k.parent, base + 4 * PAGE);
    poke(&k, k.parent, base + 3 * PAGE, 0x77);
    protect_page(&k.w, k.parent, base + PAGE, NTMM_PAGE_EXECUTE_READWRITE);
    make_clone(&k);
    expect_same_regions(&k, k.parent, k.child);
    assert_int_equal(about(&k.w, k.child).commit_pages, about(&k.w, k.parent).commit_pages);
    assert_int_equal(peek(&k, k.child, base + 3 * PAGE), 0x77);
    poke(&k, k.child, base + 4 * PAGE, data + 1);
    poke(&k, k.child, base + PAGE, data + 2);
    assert_int_equal(peek(&k, k.parent, base + 4 * PAGE), data);
    check_world(&k.w);
    close_section(&k.w, section);
    close_file(&k.w, file);
    end_one(&k, &k.parent);
    assert_int_equal(peek(&k, k.child, base + 4 * PAGE), data + 1);
    end_clones(&k);
}

/* --- charges --- */

/* Ten pages were touched, and five of these decommitted: one block. */
static void commit_is_charged_again(void **state)
{
    struct clone_world k;
    (void)state;
    begin_clones(&k);
    allocate_at(&k, AT, 100, BOTH, NTMM_PAGE_READWRITE);
    fill_pages(&k, k.parent, AT, 10);
    free_at(&k, k.parent, AT + 5 * PAGE, 10, NTMM_MEM_DECOMMIT);
    allocate_at(&k, AT + MIB, 100, NTMM_MEM_RESERVE, NTMM_PAGE_READWRITE);
    allocate_at(&k, AT + MIB + PAGE, 7, NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE);
    struct ntmm_memory_information before = memory(&k);
    make_clone(&k);
    struct ntmm_memory_information after = memory(&k);
    struct ntmm_process_information parent = about(&k.w, k.parent), child = about(&k.w, k.child);
    assert_int_equal(child.commit_pages, 97);
    assert_int_equal(parent.commit_pages, 97);
    assert_int_equal(child.virtual_size_bytes, 200 * PAGE);
    assert_int_equal(child.working_set_pages, 0);
    assert_int_equal(child.table_pages, parent.table_pages);
    assert_int_equal(after.commit_pages - before.commit_pages,
                     97 + BLOCK_FRAMES + child.table_pages +
                         (after.slab_pages - before.slab_pages) +
                         (after.process_pages - before.process_pages));
    uint64_t commit = memory(&k).commit_pages - after.slab_pages - after.process_pages;
    end_one(&k, &k.child);
    after = memory(&k);
    assert_int_equal(commit - (after.commit_pages - after.slab_pages - after.process_pages),
                     97 + child.table_pages);
    for (uint64_t i = 0; i < 5; i++) /* nobody is left to share with */
        poke(&k, k.parent, AT + i * PAGE, i);
    after = memory(&k);
    assert_int_equal(commit - (after.commit_pages - after.slab_pages - after.process_pages),
                     97 + BLOCK_FRAMES + child.table_pages);
    end_clones(&k);
}

static void a_limit_of_the_child_holds(void **state)
{
    struct clone_world k;
    struct ntmm_process_config config = {.size = sizeof config,
                                         .version = NTMM_PROCESS_CONFIG_VERSION,
                                         .commit_limit_pages = 49,
                                         .working_set_minimum_pages = 30,
                                         .working_set_maximum_pages = 60};
    (void)state;
    begin_clones(&k);
    allocate_at(&k, AT, 50, BOTH, NTMM_PAGE_READWRITE);
    uint64_t processes = memory(&k).process_pages;
    k.child = 77;
    assert_int_equal(ntmm_clone_process(k.w.system, k.parent, &config, &k.child),
                     NTMM_STATUS_PAGEFILE_QUOTA_EXCEEDED);
    assert_int_equal(k.child, 77);
    check_world(&k.w);
    config.commit_limit_pages = 50;
    check_ok(ntmm_clone_process(k.w.system, k.parent, &config, &k.child));
    assert_int_equal(about(&k.w, k.child).working_set_minimum_pages, 30);
    assert_int_equal(about(&k.w, k.child).working_set_maximum_pages, 60);
    assert_int_equal(memory(&k).process_pages, processes);
    end_clones(&k);
}

static void the_system_s_limit_holds(void **state)
{
    struct clone_world k;
    (void)state;
    begin_clones(&k);
    uint64_t pages = memory(&k).commit_limit_pages * 2 / 3;
    allocate_at(&k, AT, pages, BOTH, NTMM_PAGE_READWRITE);
    uint64_t before = memory(&k).commit_pages;
    assert_int_equal(ntmm_clone_process(k.w.system, k.parent, NULL, &k.child),
                     NTMM_STATUS_COMMITMENT_LIMIT);
    assert_int_equal(memory(&k).commit_pages, before);
    assert_int_equal(k.child, 0);
    end_clones(&k);
}

static void the_child_is_in_the_job(void **state)
{
    struct clone_world k;
    struct ntmm_job_limits limits = {.size = sizeof limits,
                                     .version = NTMM_JOB_LIMITS_VERSION,
                                     .flags = NTMM_JOB_LIMIT_JOB_MEMORY,
                                     .job_memory_pages = 100};
    struct ntmm_job_information about_job;
    ntmm_handle job;
    (void)state;
    begin_clones(&k);
    check_ok(ntmm_create_job(k.w.system, &job));
    check_ok(ntmm_assign_process_to_job(k.w.system, job, k.parent));
    check_ok(ntmm_set_job_limits(k.w.system, job, &limits));
    allocate_at(&k, AT, 50, BOTH, NTMM_PAGE_READWRITE);
    make_clone(&k);
    check_ok(ntmm_query_job(k.w.system, job, &about_job));
    assert_int_equal(about_job.process_count, 2);
    assert_int_equal(about_job.commit_pages, 100);
    end_one(&k, &k.child);
    allocate_at(&k, AT + MIB, 1, BOTH, NTMM_PAGE_READWRITE);
    assert_int_equal(ntmm_clone_process(k.w.system, k.parent, NULL, &k.child),
                     NTMM_STATUS_COMMITMENT_LIMIT);
    check_ok(ntmm_query_job(k.w.system, job, &about_job));
    assert_int_equal(about_job.process_count, 1);
    assert_int_equal(about_job.commit_pages, 51);
    check_ok(ntmm_close_job(k.w.system, job));
    end_clones(&k);
}

/* --- lives --- */

static void either_may_end_first(void **state)
{
    (void)state;
    for (int is_parent_first = 0; is_parent_first < 2; is_parent_first++) {
        struct clone_world k;
        begin_clones(&k);
        allocate_at(&k, AT, 30, BOTH, NTMM_PAGE_READWRITE);
        fill_pages(&k, k.parent, AT, 30);
        make_clone(&k);
        end_one(&k, is_parent_first ? &k.parent : &k.child);
        page_out_everything(k.w.emu);
        expect_pages(&k, is_parent_first ? k.child : k.parent, AT, 30);
        end_clones(&k);
    }
}

static void clones_are_cloned(void **state)
{
    struct clone_world k;
    (void)state;
    begin_clones(&k);
    allocate_at(&k, AT, 16, BOTH, NTMM_PAGE_READWRITE);
    fill_pages(&k, k.parent, AT, 16);
    make_clone(&k);
    poke(&k, k.child, AT + 8, 1);
    ntmm_handle third = clone_of(&k, k.child);
    poke(&k, third, AT + PAGE + 8, 2);
    ntmm_handle fourth = clone_of(&k, k.parent);
    assert_int_equal(peek(&k, third, AT + 8), 1);
    end_one(&k, &k.child);
    expect_pages(&k, k.parent, AT, 16);
    expect_pages(&k, fourth, AT, 16);
    assert_int_equal(peek(&k, third, AT + 8), 1);
    assert_int_equal(peek(&k, third, AT + PAGE + 8), 2);
    expect_pages(&k, third, AT + 2 * PAGE, 14);
    end_one(&k, &third);
    end_one(&k, &fourth);
    end_clones(&k);
}

static void the_layout_is_the_parent_s(void **state)
{
    struct clone_world k;
    struct ntmm_process_config config = {.size = sizeof config,
                                         .version = NTMM_PROCESS_CONFIG_VERSION,
                                         .flags = NTMM_PROCESS_RANDOM_LAYOUT | NTMM_PROCESS_WOW64 |
                                                  NTMM_PROCESS_NO_DYNAMIC_CODE};
    uint64_t above = UINT64_C(0x80000000), base = 0, size = PAGE;
    (void)state;
    begin_clones(&k);
    end_one(&k, &k.parent);
    check_ok(ntmm_create_process(k.w.system, &config, &k.parent));
    make_clone(&k);
    uint64_t one = allocate(&k.w, k.parent, PAGE, NTMM_PAGE_READWRITE);
    assert_int_equal(one, allocate(&k.w, k.child, PAGE, NTMM_PAGE_READWRITE));
    assert_int_not_equal(ntmm_allocate_virtual_memory(k.w.system, k.child, &above, 0, &size,
                                                      NTMM_MEM_RESERVE, NTMM_PAGE_READWRITE),
                         NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_allocate_virtual_memory(k.w.system, k.child, &base, 0, &size, BOTH,
                                                  NTMM_PAGE_EXECUTE_READWRITE),
                     NTMM_STATUS_DYNAMIC_CODE_BLOCKED);
    end_clones(&k);
}

/* --- arguments --- */

static void arguments_are_checked(void **state)
{
    struct clone_world k;
    struct ntmm_process_config config = {.size = 8, .version = NTMM_PROCESS_CONFIG_VERSION};
    ntmm_handle weak, job, gone;
    (void)state;
    begin_clones(&k);
    struct ntmm_system *system = k.w.system;
    assert_int_equal(ntmm_clone_process(system, k.parent, NULL, NULL),
                     NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(ntmm_clone_process(system, k.parent, &config, &k.child),
                     NTMM_STATUS_INFO_LENGTH_MISMATCH);
    config.size = sizeof config;
    config.flags = NTMM_PROCESS_WOW64;
    assert_int_equal(ntmm_clone_process(system, k.parent, &config, &k.child),
                     NTMM_STATUS_INVALID_PARAMETER_3);
    assert_int_equal(ntmm_clone_process(system, 0, NULL, &k.child), NTMM_STATUS_INVALID_HANDLE);
    check_ok(ntmm_create_job(system, &job));
    assert_int_equal(ntmm_clone_process(system, job, NULL, &k.child),
                     NTMM_STATUS_OBJECT_TYPE_MISMATCH);
    check_ok(ntmm_close_job(system, job));
    check_ok(ntmm_open_process(system, NULL, k.parent,
                               NTMM_PROCESS_ALL & ~NTMM_PROCESS_CREATE_PROCESS, &weak));
    assert_int_equal(ntmm_clone_process(system, weak, NULL, &k.child), NTMM_STATUS_ACCESS_DENIED);
    check_ok(ntmm_open_process(system, NULL, k.parent, NTMM_PROCESS_CREATE_PROCESS, &weak));
    check_ok(ntmm_clone_process(system, weak, NULL, &k.child));
    assert_int_equal(ntmm_granted_access(k.child), NTMM_PROCESS_ALL);
    gone = k.child;
    end_one(&k, &k.child);
    assert_int_equal(ntmm_clone_process(system, gone, NULL, &k.child), NTMM_STATUS_INVALID_HANDLE);
    end_clones(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_go_their_own_way),
        cmocka_unit_test(regions_far_apart_are_cloned),
        cmocka_unit_test(pages_that_are_out_are_cloned),
        cmocka_unit_test(pages_on_lists_are_cloned),
        cmocka_unit_test(more_than_memory_is_cloned),
        cmocka_unit_test(cloning_ends_with_few_frames),
        cmocka_unit_test(every_page_keeps_its_state),
        cmocka_unit_test(a_guard_is_met_in_both),
        cmocka_unit_test(services_work_on_the_child),
        cmocka_unit_test(locks_are_not_inherited),
        cmocka_unit_test(lost_contents_are_told_to_both),
        cmocka_unit_test(placeholders_are_kept),
        cmocka_unit_test(what_is_watched_is_plain_in_the_child),
        cmocka_unit_test(physical_and_large_pages_are_not_inherited),
        cmocka_unit_test(borrowed_frames_are_shared),
        cmocka_unit_test(views_are_shared_or_not),
        cmocka_unit_test(a_file_is_shared_and_copies_are_not),
        cmocka_unit_test(reserved_sections_are_committed_for_both),
        cmocka_unit_test(images_are_shared_and_their_data_is_not),
        cmocka_unit_test(commit_is_charged_again),
        cmocka_unit_test(a_limit_of_the_child_holds),
        cmocka_unit_test(the_system_s_limit_holds),
        cmocka_unit_test(the_child_is_in_the_job),
        cmocka_unit_test(either_may_end_first),
        cmocka_unit_test(clones_are_cloned),
        cmocka_unit_test(the_layout_is_the_parent_s),
        cmocka_unit_test(arguments_are_checked),
    };
    return cmocka_run_group_tests_name("clone", tests, NULL, NULL);
}
