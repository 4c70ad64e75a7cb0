/*
 * Pages that a process shares with its clones until one stores to them. Expectations: nt_semantics
 * 24 (shared through prototypes, copied on write, charged to each), 6.5 (what a copy is), 3.3 (what
 * a query says of a page); docs/clones.md says what blocks cost, and who is the last.
 */
#include "clone_world.h"

#include "base/instance.h"

#include <ntmm/frames.h>
#include <ntmm/inspect.h>
#include <ntmm/memory.h>
#include <ntmm/offer.h>
#include <ntmm/query.h>
#include <ntmm/working_set.h>

#define AT UINT64_C(0x10000000)
#define PAGES 24u
#define MANY 1000u

/* A parent whose pages hold their addresses. */
static void begin_pages(struct clone_world *k, uint64_t pages)
{
    begin_clones(k);
    allocate_at(k, AT, pages, BOTH, NTMM_PAGE_READWRITE);
    fill_pages(k, k->parent, AT, pages);
}

static void begin_pair(struct clone_world *k)
{
    begin_pages(k, PAGES);
    make_clone(k);
}

/* --- cost --- */

static void a_clone_takes_no_frame_for_a_page(void **state)
{
    struct clone_world k;
    (void)state;
    begin_pages(&k, MANY);
    struct ntmm_memory_information before = memory(&k);
    uint64_t frames = unused(&k);
    make_clone(&k);
    struct ntmm_memory_information after = memory(&k);
    uint64_t objects =
        after.slab_pages - before.slab_pages + after.process_pages - before.process_pages;
    uint64_t tables = about(&k.w, k.child).table_pages;
    assert_int_equal(frames - unused(&k), 2 * BLOCK_FRAMES + objects + tables);
    assert_int_equal(after.commit_pages - before.commit_pages,
                     MANY + 2 * BLOCK_FRAMES + objects + tables);
    expect_pages(&k, k.child, AT, MANY);
    expect_pages(&k, k.parent, AT, MANY);
    assert_int_equal(frames - unused(&k), 2 * BLOCK_FRAMES + objects + tables);
    end_clones(&k);
}

/* Another clone, or a clone's own, needs no more prototypes. */
static void later_clones_share_the_same(void **state)
{
    struct clone_world k;
    ntmm_handle more[3];
    (void)state;
    begin_pages(&k, 300);
    make_clone(&k);
    for (size_t i = 0; i < 3; i++) {
        struct ntmm_memory_information before = memory(&k);
        more[i] = clone_of(&k, i == 1 ? k.child : i == 2 ? more[1] : k.parent);
        struct ntmm_memory_information after = memory(&k);
        assert_int_equal(after.commit_pages - before.commit_pages,
                         300 + about(&k.w, more[i]).table_pages + after.slab_pages -
                             before.slab_pages + after.process_pages - before.process_pages);
    }
    for (size_t i = 0; i < 3; i++)
        expect_pages(&k, more[i], AT, 300);
    poke(&k, more[1], AT, 1);
    end_one(&k, &k.child);
    expect_pages(&k, more[2], AT, 300);
    assert_int_equal(peek(&k, more[1], AT), 1);
    end_one(&k, &more[2]);
    end_one(&k, &k.parent);
    expect_pages(&k, more[0], AT, 300);
    end_one(&k, &more[1]);
    end_one(&k, &more[0]);
    end_clones(&k);
}

/* --- stores --- */

static void the_first_store_of_either_copies(void **state)
{
    struct clone_world k;
    (void)state;
    begin_pair(&k);
    uint64_t frames = unused(&k);
    check_ok(store64(&k.w, 0, AT, 1));
    check_ok(store64(&k.w, 0, AT, 2));
    assert_int_equal(copies(&k, k.parent), 1);
    check_ok(store64(&k.w, 1, AT + PAGE, 3));
    assert_int_equal(copies(&k, k.child), 1);
    assert_int_equal(frames - unused(&k), 2);
    check_world(&k.w);
    assert_int_equal(peek(&k, k.child, AT), 0);
    assert_int_equal(peek(&k, k.parent, AT + PAGE), 0);
    assert_int_equal(peek(&k, k.parent, AT), 2);
    assert_int_equal(peek(&k, k.child, AT + PAGE), 3);
    expect_pages(&k, k.parent, AT, PAGES);
    expect_pages(&k, k.child, AT, PAGES);
    end_clones(&k);
}

/* Loads of the other's processor before and after the store. */
static void a_translation_of_before_does_not_store(void **state)
{
    struct clone_world k;
    uint64_t value = 0;
    (void)state;
    begin_pages(&k, PAGES);
    check_ok(store64(&k.w, 0, AT, 7)); /* the processor may store without a fault */
    make_clone(&k);
    check_ok(store64(&k.w, 0, AT, 8));
    check_ok(load64(&k.w, 1, AT, &value));
    assert_int_equal(value, 7);
    check_ok(store64(&k.w, 1, AT, 9));
    check_ok(load64(&k.w, 0, AT, &value));
    assert_int_equal(value, 8);
    end_clones(&k);
}

/* Who is left has the page for itself: there is nobody to copy for. */
static void the_last_one_stores_without_a_copy(void **state)
{
    struct clone_world k;
    (void)state;
    for (int is_child_left = 0; is_child_left < 2; is_child_left++) {
        begin_pair(&k);
        ntmm_handle *left = is_child_left ? &k.child : &k.parent;
        expect_pages(&k, *left, AT, PAGES);
        end_one(&k, is_child_left ? &k.parent : &k.child);
        uint64_t frames = unused(&k);
        for (uint64_t i = 0; i < PAGES; i++)
            check_ok(store64(&k.w, is_child_left ? 1 : 0, AT + i * PAGE, i));
        assert_int_equal(copies(&k, *left), 0);
        assert_int_equal(unused(&k), frames + BLOCK_FRAMES);
        check_world(&k.w);
        expect_pages(&k, *left, AT, PAGES);
        assert_int_equal(state_of(&k, *left, AT) & NTMM_PAGE_STATE_SHARED, 0);
        end_clones(&k);
    }
}

/* Both have stored to every page: nothing is shared any more. */
static void what_nobody_shares_is_free(void **state)
{
    struct clone_world k;
    (void)state;
    begin_pages(&k, PAGES);
    uint64_t frames = unused(&k);
    struct ntmm_memory_information before = memory(&k);
    make_clone(&k);
    for (uint64_t i = 0; i < PAGES; i++) {
        check_ok(store64(&k.w, 0, AT + i * PAGE, i));
        check_ok(store64(&k.w, 1, AT + i * PAGE, i));
    }
    struct ntmm_memory_information after = memory(&k);
    uint64_t objects =
        after.slab_pages - before.slab_pages + after.process_pages - before.process_pages;
    assert_int_equal(copies(&k, k.parent) + copies(&k, k.child), PAGES);
    assert_int_equal(frames - unused(&k), PAGES + objects + about(&k.w, k.child).table_pages);
    end_clones(&k);
}

/* --- page files --- */

static void a_slot_is_shared_and_freed_once(void **state)
{
    struct clone_world k;
    (void)state;
    for (int is_out_before = 0; is_out_before < 2; is_out_before++) {
        begin_pages(&k, PAGES);
        if (is_out_before)
            page_out_everything(k.w.emu);
        make_clone(&k);
        page_out_everything(k.w.emu);
        uint64_t tables = slots(&k) - PAGES;
        assert_in_range(tables, 0, 16); /* not two for a page */
        expect_pages(&k, k.child, AT, PAGES);
        page_out_everything(k.w.emu);
        check_ok(store64(&k.w, 1, AT, 1)); /* what is out is read, and copied */
        check_ok(store64(&k.w, 0, AT + PAGE, 2));
        assert_int_equal(copies(&k, k.child), 1);
        assert_int_equal(copies(&k, k.parent), 1);
        page_out_everything(k.w.emu);
        check_world(&k.w);
        expect_pages(&k, k.parent, AT, PAGES);
        expect_pages(&k, k.child, AT, PAGES);
        assert_int_equal(peek(&k, k.parent, AT), 0);
        assert_int_equal(peek(&k, k.child, AT + PAGE), 0);
        page_out_everything(k.w.emu);
        end_one(&k, &k.parent);
        expect_pages(&k, k.child, AT, PAGES);
        page_out_everything(k.w.emu);
        end_one(&k, &k.child);
        assert_int_equal(slots(&k), 0);
        end_clones(&k);
    }
}

/* On modified, being written, on standby: the clone changes nothing about it. */
static void pages_on_their_way_are_shared(void **state)
{
    struct clone_world k;
    (void)state;
    for (uint32_t written = 0; written <= PAGES; written += PAGES / 2) {
        begin_pages(&k, PAGES);
        check_ok(ntmm_empty_working_set(k.w.system, k.parent));
        (void)ntmm_write_modified_pages(k.w.system, written);
        uint64_t reads = counted(&k, k.parent, NTMM_COUNTER_PAGES_READ);
        make_clone(&k);
        expect_pages(&k, k.child, AT, PAGES);
        expect_pages(&k, k.parent, AT, PAGES);
        assert_int_equal(counted(&k, k.parent, NTMM_COUNTER_PAGES_READ), reads);
        poke(&k, k.child, AT, 5);
        assert_int_equal(peek(&k, k.parent, AT), 0);
        end_clones(&k);
    }
}

/* One reads what is in a page file, the other waits for the same. */
static void a_page_is_read_once_for_both(void **state)
{
    struct clone_world k;
    (void)state;
    begin_pair(&k);
    page_out_everything(k.w.emu);
    uint64_t reads = 0;
    (void)peek(&k, k.parent, AT + 5 * PAGE);
    reads = counted(&k, k.parent, NTMM_COUNTER_PAGES_READ);
    assert_true(reads > 0);
    (void)peek(&k, k.child, AT + 5 * PAGE);
    assert_int_equal(counted(&k, k.child, NTMM_COUNTER_HARD_FAULTS), 0);
    assert_int_equal(shares_of(&k, k.parent, AT + 5 * PAGE), 2);
    end_clones(&k);
}

/* What one process asks for is there for the other too. */
static void prefetch_reads_for_both(void **state)
{
    struct clone_world k;
    (void)state;
    begin_pair(&k);
    page_out_everything(k.w.emu);
    prefetch_pages(&k, k.child, AT, PAGES);
    check_world(&k.w);
    assert_int_equal(about(&k.w, k.child).working_set_pages, 0);
    expect_pages(&k, k.parent, AT, PAGES);
    expect_pages(&k, k.child, AT, PAGES);
    assert_int_equal(counted(&k, k.parent, NTMM_COUNTER_HARD_FAULTS) +
                         counted(&k, k.child, NTMM_COUNTER_HARD_FAULTS),
                     0);
    end_clones(&k);
}

/* --- what services say and do --- */

static void a_query_says_private_and_shared(void **state)
{
    struct clone_world k;
    (void)state;
    begin_pair(&k);
    assert_int_equal(query(&k.w, k.child, AT).type, NTMM_MEM_PRIVATE);
    assert_int_equal(query(&k.w, k.parent, AT).region_size, PAGES * PAGE);
    uint64_t absent = state_of(&k, k.child, AT);
    assert_int_equal(absent & NTMM_PAGE_STATE_VALID, 0);
    assert_int_equal(absent & NTMM_PAGE_STATE_SHARED, NTMM_PAGE_STATE_SHARED);
    assert_int_equal(shares_of(&k, k.parent, AT), 1);
    (void)peek(&k, k.child, AT);
    uint64_t valid = state_of(&k, k.child, AT);
    assert_int_equal(valid & NTMM_PAGE_STATE_VALID, NTMM_PAGE_STATE_VALID);
    assert_int_equal(valid & NTMM_PAGE_STATE_SHARED, NTMM_PAGE_STATE_SHARED);
    assert_int_equal(shares_of(&k, k.parent, AT), 2);
    assert_int_equal(valid >> NTMM_PAGE_STATE_PROTECTION_SHIFT & 0x7FF, NTMM_PAGE_READWRITE);
    assert_int_equal(query(&k.w, k.child, AT).protect, NTMM_PAGE_READWRITE);
    assert_int_equal(query(&k.w, k.child, AT).region_size, PAGES * PAGE);
    poke(&k, k.child, AT, 1);
    assert_int_equal(state_of(&k, k.child, AT) & NTMM_PAGE_STATE_SHARED, 0);
    assert_int_equal(query(&k.w, k.child, AT).region_size, PAGES * PAGE);
    end_clones(&k);
}

static void parts_go_on_either_side(void **state)
{
    struct clone_world k;
    (void)state;
    for (int is_child = 0; is_child < 2; is_child++) {
        begin_pages(&k, 48);
        make_clone(&k);
        ntmm_handle one = is_child ? k.child : k.parent;
        ntmm_handle other = is_child ? k.parent : k.child;
        expect_pages(&k, one, AT, 20); /* some valid, some not */
        free_at(&k, one, AT + 16 * PAGE, 16, NTMM_MEM_RELEASE);
        free_at(&k, one, AT + 2 * PAGE, 3, NTMM_MEM_DECOMMIT);
        check_world(&k.w);
        assert_int_equal(about(&k.w, one).commit_pages, 29);
        expect_pages(&k, other, AT, 48);
        expect_pages(&k, one, AT, 2);
        expect_pages(&k, one, AT + 32 * PAGE, 16);
        uint64_t base = AT + 2 * PAGE, size = 3 * PAGE;
        check_ok(ntmm_allocate_virtual_memory(k.w.system, one, &base, 0, &size, NTMM_MEM_COMMIT,
                                              NTMM_PAGE_READWRITE));
        assert_int_equal(peek(&k, one, AT + 2 * PAGE + 8), 0);
        expect_pages(&k, other, AT, 48);
        free_at(&k, other, AT, 16, NTMM_MEM_RELEASE);
        expect_pages(&k, one, AT, 2);
        end_clones(&k);
    }
}

/* Valid and not valid here; the other's protection stays. */
static void protections_are_of_one_side(void **state)
{
    static const uint32_t protections[] = {NTMM_PAGE_READONLY, NTMM_PAGE_NOACCESS,
                                           NTMM_PAGE_EXECUTE_READ, NTMM_PAGE_EXECUTE_READWRITE};
    struct clone_world k;
    uint64_t value;
    (void)state;
    begin_pair(&k);
    expect_pages(&k, k.child, AT, 4);
    for (uint64_t i = 0; i < 8; i++) {
        uint64_t va = AT + i * PAGE;
        protect_page(&k.w, k.child, va, protections[i % 4]);
        assert_int_equal(query(&k.w, k.child, va).protect, protections[i % 4]);
        assert_int_equal(query(&k.w, k.parent, va).protect, NTMM_PAGE_READWRITE);
        bool is_written = i % 4 == 3;
        bool is_read = i % 4 != 1;
        assert_int_equal(load64(&k.w, 1, va, &value),
                         is_read ? NTMM_STATUS_SUCCESS : NTMM_STATUS_ACCESS_VIOLATION);
        assert_int_equal(store64(&k.w, 1, va, i + 1),
                         is_written ? NTMM_STATUS_SUCCESS : NTMM_STATUS_ACCESS_VIOLATION);
        check_world(&k.w);
    }
    assert_int_equal(copies(&k, k.child), 2);
    for (uint64_t i = 0; i < 8; i++)
        protect_page(&k.w, k.child, AT + i * PAGE, NTMM_PAGE_READWRITE);
    expect_pages(&k, k.child, AT, PAGES);
    expect_pages(&k, k.parent, AT, PAGES);
    assert_int_equal(peek(&k, k.parent, AT + 3 * PAGE), 0);
    check_ok(store64(&k.w, 1, AT, 1));
    assert_int_equal(peek(&k, k.parent, AT), 0);
    end_clones(&k);
}

/* A processor that fetched from a page forgets what it knew when the page is no code any more. */
static void a_translation_of_before_does_not_execute(void **state)
{
    struct clone_world k;
    uint8_t byte;
    (void)state;
    begin_clones(&k);
    allocate_at(&k, AT, PAGES, BOTH, NTMM_PAGE_EXECUTE_READWRITE);
    fill_pages(&k, k.parent, AT, PAGES);
    make_clone(&k);
    check_ok(ntmm_emulated_fetch(k.w.emu, 1, AT + PAGE, &byte, 1, NULL, NULL));
    protect_page(&k.w, k.child, AT + PAGE, NTMM_PAGE_READWRITE);
    assert_int_equal(ntmm_emulated_fetch(k.w.emu, 1, AT + PAGE, &byte, 1, NULL, NULL),
                     NTMM_STATUS_ACCESS_VIOLATION);
    expect_pages(&k, k.child, AT, PAGES);
    check_ok(ntmm_emulated_fetch(k.w.emu, 0, AT + PAGE, &byte, 1, NULL, NULL));
    end_clones(&k);
}

static void a_guard_is_of_one_side(void **state)
{
    struct clone_world k;
    (void)state;
    begin_pair(&k);
    (void)peek(&k, k.child, AT);
    protect_page(&k.w, k.child, AT, NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD);
    protect_page(&k.w, k.child, AT + PAGE, NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD);
    check_world(&k.w);
    check_ok(store64(&k.w, 0, AT, 1));
    for (uint64_t i = 0; i < 2; i++) {
        assert_int_equal(store64(&k.w, 1, AT + i * PAGE, 2), NTMM_STATUS_GUARD_PAGE_VIOLATION);
        check_ok(store64(&k.w, 1, AT + i * PAGE, 2));
        assert_int_equal(peek(&k, k.child, AT + i * PAGE), 2);
    }
    assert_int_equal(peek(&k, k.parent, AT), 1);
    assert_int_equal(peek(&k, k.parent, AT + PAGE), 0);
    end_clones(&k);
}

/* What one gives up the other has: reset, offer, discard. */
static void what_one_gives_up_the_other_has(void **state)
{
    struct clone_world k;
    uint64_t base = AT, size = 4 * PAGE;
    (void)state;
    begin_pair(&k);
    expect_pages(&k, k.child, AT, 10);
    check_ok(ntmm_allocate_virtual_memory(k.w.system, k.child, &base, 0, &size, NTMM_MEM_RESET,
                                          NTMM_PAGE_READWRITE));
    check_ok(ntmm_offer_virtual_memory(k.w.system, k.child, AT + 4 * PAGE, 4 * PAGE,
                                       NTMM_OFFER_VERY_LOW));
    check_ok(ntmm_discard_virtual_memory(k.w.system, k.child, AT + 8 * PAGE, 4 * PAGE));
    assert_int_equal(state_of(&k, k.child, AT + 4 * PAGE) & NTMM_PAGE_STATE_VALID, 0);
    check_world(&k.w);
    page_out_everything(k.w.emu);
    expect_pages(&k, k.parent, AT, PAGES);
    check_ok(ntmm_reclaim_virtual_memory(k.w.system, k.child, AT + 4 * PAGE, 4 * PAGE));
    expect_pages(&k, k.child, AT + 4 * PAGE, 4); /* reclaimed, so all there */
    assert_int_equal(peek(&k, k.child, AT + 8 * PAGE + 8), 0);
    poke(&k, k.child, AT + 8 * PAGE, 3);
    end_clones(&k);
}

static void a_locked_page_is_copied_and_stays_locked(void **state)
{
    struct clone_world k;
    uint64_t base = AT, size = 4 * PAGE;
    (void)state;
    begin_pair(&k);
    check_ok(ntmm_lock_virtual_memory(k.w.system, k.child, &base, &size, NTMM_MAP_PROCESS));
    poke(&k, k.child, AT, 1);
    page_out_everything(k.w.emu);
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(state_of(&k, k.child, AT + i * PAGE) &
                             (NTMM_PAGE_STATE_VALID | NTMM_PAGE_STATE_LOCKED),
                         NTMM_PAGE_STATE_VALID | NTMM_PAGE_STATE_LOCKED);
    check_ok(ntmm_discard_virtual_memory(k.w.system, k.child, AT, 4 * PAGE));
    expect_pages(&k, k.parent, AT, PAGES);
    end_one(&k, &k.parent);
    poke(&k, k.child, AT + PAGE, 1);
    check_ok(ntmm_unlock_virtual_memory(k.w.system, k.child, &base, &size, NTMM_MAP_PROCESS));
    end_clones(&k);
}

static void a_bad_frame_is_left_by_both(void **state)
{
    struct clone_world k;
    uint32_t outcome;
    (void)state;
    begin_pair(&k);
    (void)peek(&k, k.child, AT);
    uint64_t frame = frame_of(&k, k.parent, AT);
    assert_int_equal(frame_of(&k, k.child, AT), frame);
    check_ok(ntmm_mark_frame_bad(k.w.system, frame, NTMM_BAD_FRAME_READABLE, &outcome));
    check_world(&k.w);
    expect_pages(&k, k.child, AT, PAGES);
    expect_pages(&k, k.parent, AT, PAGES);
    assert_int_equal(frame_of(&k, k.child, AT), frame_of(&k, k.parent, AT));
    assert_int_not_equal(frame_of(&k, k.child, AT), frame);
    check_ok(ntmm_mark_frame_good(k.w.system, frame));
    end_clones(&k);
}

/* Contents that are lost are lost to all that share them, and to a clone made afterwards. */
static void a_lost_page_is_lost_to_all(void **state)
{
    struct clone_world k;
    uint64_t value;
    uint32_t outcome;
    (void)state;
    begin_pair(&k);
    (void)peek(&k, k.child, AT);
    check_ok(ntmm_mark_frame_bad(k.w.system, frame_of(&k, k.parent, AT), 0, &outcome));
    assert_int_equal(outcome, NTMM_BAD_FRAME_LOST);
    ntmm_handle third = clone_of(&k, k.child);
    attach(&k.w, 2, third);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(load64(&k.w, i, AT, &value), NTMM_STATUS_IN_PAGE_ERROR);
    free_at(&k, k.child, AT, 1, NTMM_MEM_DECOMMIT);
    end_one(&k, &third);
    assert_int_equal(load64(&k.w, 0, AT, &value), NTMM_STATUS_IN_PAGE_ERROR);
    end_one(&k, &k.child);
    assert_int_equal(load64(&k.w, 0, AT, &value), NTMM_STATUS_IN_PAGE_ERROR);
    end_clones(&k);
}

/* --- failure --- */

static void a_copy_that_fails_changes_nothing(void **state)
{
    struct clone_world k;
    (void)state;
    begin_pair(&k);
    (void)peek(&k, k.child, AT);
    for (uint64_t i = 0; i < 2; i++) { /* valid, and not */
        ntmm_emulated_inject_content(k.w.emu, NTMM_EMULATED_COPY, 0, 1,
                                     NTMM_STATUS_DEVICE_DATA_ERROR);
        assert_int_equal(store64(&k.w, 1, AT + i * PAGE, 1), NTMM_STATUS_IN_PAGE_ERROR);
        check_world(&k.w);
    }
    expect_pages(&k, k.child, AT, PAGES);
    check_ok(store64(&k.w, 1, AT, 1));
    assert_int_equal(peek(&k, k.parent, AT), 0);
    end_clones(&k);
}

/* Without a frame a store waits, and fails; what is shared stays so. */
static void a_store_without_a_frame_changes_nothing(void **state)
{
    struct clone_world k;
    (void)state;
    begin_pair(&k);
    (void)peek(&k, k.child, AT);
    for (uint64_t i = 0; i < 2; i++) {
        k.w.system->failures.count = UINT64_MAX;
        assert_int_not_equal(store64(&k.w, 1, AT + i * PAGE, 1), NTMM_STATUS_SUCCESS);
        k.w.system->failures.count = 0;
        check_world(&k.w);
    }
    expect_pages(&k, k.parent, AT, PAGES);
    expect_pages(&k, k.child, AT, PAGES);
    end_clones(&k);
}

/* A page that is locked, watched or reset is not shared: both have their own. */
static void some_pages_are_copied(void **state)
{
    struct clone_world k;
    uint64_t base = AT, size = 2 * PAGE;
    (void)state;
    begin_pages(&k, PAGES);
    check_ok(ntmm_lock_virtual_memory(k.w.system, k.parent, &base, &size, NTMM_MAP_PROCESS));
    make_clone(&k);
    (void)peek(&k, k.child, AT);
    assert_int_not_equal(frame_of(&k, k.child, AT), frame_of(&k, k.parent, AT));
    check_ok(store64(&k.w, 0, AT, 1));
    assert_int_equal(copies(&k, k.parent), 0);
    assert_int_equal(peek(&k, k.child, AT), 0);
    end_clones(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clone_takes_no_frame_for_a_page),
        cmocka_unit_test(later_clones_share_the_same),
        cmocka_unit_test(the_first_store_of_either_copies),
        cmocka_unit_test(a_translation_of_before_does_not_store),
        cmocka_unit_test(the_last_one_stores_without_a_copy),
        cmocka_unit_test(what_nobody_shares_is_free),
        cmocka_unit_test(a_slot_is_shared_and_freed_once),
        cmocka_unit_test(pages_on_their_way_are_shared),
        cmocka_unit_test(a_page_is_read_once_for_both),
        cmocka_unit_test(prefetch_reads_for_both),
        cmocka_unit_test(a_query_says_private_and_shared),
        cmocka_unit_test(parts_go_on_either_side),
        cmocka_unit_test(protections_are_of_one_side),
        cmocka_unit_test(a_translation_of_before_does_not_execute),
        cmocka_unit_test(a_guard_is_of_one_side),
        cmocka_unit_test(what_one_gives_up_the_other_has),
        cmocka_unit_test(a_locked_page_is_copied_and_stays_locked),
        cmocka_unit_test(a_bad_frame_is_left_by_both),
        cmocka_unit_test(a_lost_page_is_lost_to_all),
        cmocka_unit_test(a_copy_that_fails_changes_nothing),
        cmocka_unit_test(a_store_without_a_frame_changes_nothing),
        cmocka_unit_test(some_pages_are_copied),
    };
    return cmocka_run_group_tests_name("clone_pages", tests, NULL, NULL);
}
