/*
 * Clones that fail while the parent's tables are out, and cannot be read back: what was shared for
 * the clone stays so, with nobody. Nothing of it is lost: the parent has each page back, without a
 * copy, when it touches it; another clone shares it; it ends with its region, its process, or the
 * system. Expectations: DESIGN principle 16, docs/clones.md (failure).
 *
 *   reads of the clone   0 1 2 ... n-1   n                         n+1 ...
 *                        succeed         the parent goes out; fails   all fail
 */
#include "clone_world.h"

#include "base/instance.h"
#include "phys/anchor.h"

#include <ntmm/physical.h>
#include <ntmm/working_set.h>

#define AT UINT64_C(0x10000000)
#define VIEW UINT64_C(0x20000000)
#define FAR UINT64_C(0x300000000)
#define PAGES 24u
#define LEVELS 4u
#define FAILURE NTMM_STATUS_DEVICE_DATA_ERROR

enum afterwards { PARENT_STORES, PARENT_IS_CLONED, PARENT_ENDS, SYSTEM_ENDS, AFTERWARDS_COUNT };

struct undo {
    struct clone_world k;
    ntmm_handle other; /* that takes frames */
    ntmm_status (*submit)(void *context, struct ntmm_io *io);
    uint64_t reads, fails_at;
    bool is_broken;
};

static struct undo *now;

/* --- the read that fails --- */

/* Of a frame that holds a page, too. */
static void take_all_frames(struct undo *u)
{
    static uint64_t frames[2048];
    uint64_t count = 2048;
    check_ok(ntmm_allocate_user_physical_pages(u->k.w.system, u->other, &count, frames));
    assert_in_range(count, 1, 2047);
    check_ok(ntmm_free_user_physical_pages(u->k.w.system, u->other, &count, frames));
}

/* Tables of a level become idle when those below them are gone. */
static void push_parent_out(struct undo *u)
{
    for (uint32_t level = 0; level < LEVELS; level++) {
        check_ok(ntmm_empty_working_set(u->k.w.system, u->k.parent));
        while (ntmm_write_modified_pages(u->k.w.system, 64) != 0) {
        }
        take_all_frames(u);
    }
}

/* No lock is held here. */
static ntmm_status submit(void *context, struct ntmm_io *io)
{
    struct undo *u = now;
    if (io->operation != NTMM_IO_READ)
        return u->submit(context, io);
    if (!u->is_broken && u->reads++ == u->fails_at) {
        push_parent_out(u);
        u->is_broken = true;
    }
    return u->is_broken ? FAILURE : u->submit(context, io);
}

static void break_reads(struct undo *u, uint64_t fails_at)
{
    struct ntmm_platform *platform = &u->k.w.system->platform;
    u->submit = platform->submit;
    u->fails_at = fails_at;
    now = u;
    platform->submit = submit;
}

/* Everything can be read again. */
static void mend_reads(struct undo *u) { u->k.w.system->platform.submit = u->submit; }

/* --- the parent --- */

/* Plain pages, copies in a view, and last a watched page, which is copied and so read. */
static void begin_undo(struct undo *u)
{
    struct clone_world *k = &u->k;
    *u = (struct undo){.reads = 0};
    begin_clones(k);
    u->other = make_process(&k->w);
    map_to_copy(k, VIEW, PAGES);
    allocate_at(k, AT, PAGES, BOTH, NTMM_PAGE_READWRITE);
    allocate_at(k, FAR, 1, BOTH | NTMM_MEM_WRITE_WATCH, NTMM_PAGE_READWRITE);
    fill_pages(k, k->parent, AT, PAGES);
    fill_pages(k, k->parent, VIEW, PAGES);
    fill_pages(k, k->parent, FAR, 1);
    page_out_everything(k->w.emu);
}

static void expect_all(struct undo *u, ntmm_handle process)
{
    expect_pages(&u->k, process, AT, PAGES);
    expect_pages(&u->k, process, VIEW, PAGES);
    expect_pages(&u->k, process, FAR, 1);
}

static bool has_blocks(struct undo *u)
{
    struct call c = call_begin(u->k.w.system);
    return get64(&anchor_of(&c)->clone_blocks) != 0;
}

static void store_everywhere(struct undo *u)
{
    uint64_t before = copies(&u->k, u->k.parent);
    for (uint64_t i = 0; i < PAGES; i++) {
        check_ok(store64(&u->k.w, 0, AT + i * PAGE, 1));
        check_ok(store64(&u->k.w, 0, VIEW + i * PAGE, 1));
    }
    assert_int_equal(copies(&u->k, u->k.parent), before);
    assert_false(has_blocks(u));
    check_world(&u->k.w);
    expect_all(u, u->k.parent);
}

/* With processes in it, and tables that nobody can read. */
static void end_system(struct undo *u)
{
    struct ntmm_teardown teardown;
    ntmm_emulated_destroy(u->k.w.emu, &teardown);
    assert_int_equal(teardown.lost_pages, 0);
    assert_int_equal(teardown.outstanding_commit, 0);
}

static void go_on(struct undo *u, enum afterwards afterwards)
{
    struct clone_world *k = &u->k;
    switch (afterwards) {
    case PARENT_STORES:
        store_everywhere(u);
        break;
    case PARENT_IS_CLONED:
        make_clone(k);
        expect_all(u, k->child);
        check_ok(store64(&k->w, 1, AT, 5));
        assert_int_equal(peek(k, k->parent, AT), 0);
        end_one(k, &k->child);
        store_everywhere(u);
        break;
    case PARENT_ENDS:
        end_one(k, &k->parent);
        assert_false(has_blocks(u));
        break;
    case SYSTEM_ENDS:
    case AFTERWARDS_COUNT:
        break;
    }
    end_one(k, &u->other);
    end_clones(k);
}

/* Whether the clone failed; and whether pages stayed shared. */
static bool fail_at(uint64_t read, enum afterwards afterwards, uint32_t *kept)
{
    struct undo u;
    begin_undo(&u);
    uint64_t commit = about(&u.k.w, u.k.parent).commit_pages;
    break_reads(&u, read);
    ntmm_status status = ntmm_clone_process(u.k.w.system, u.k.parent, NULL, &u.k.child);
    if (status != NTMM_STATUS_SUCCESS) {
        assert_int_equal(status, FAILURE);
        assert_int_equal(u.k.child, 0);
    }
    check_world(&u.k.w);
    assert_int_equal(about(&u.k.w, u.k.parent).commit_pages, commit);
    *kept += status != NTMM_STATUS_SUCCESS && has_blocks(&u);
    if (afterwards == SYSTEM_ENDS) {
        end_system(&u);
        return status != NTMM_STATUS_SUCCESS;
    }
    mend_reads(&u);
    if (u.k.child)
        end_one(&u.k, &u.k.child);
    go_on(&u, afterwards);
    return status != NTMM_STATUS_SUCCESS;
}

static void nothing_is_lost(void **state)
{
    const enum afterwards *afterwards = *state;
    uint32_t kept = 0;
    uint64_t read = 0;
    while (fail_at(read, *afterwards, &kept))
        read++;
    assert_true(read > 3);
    assert_true(kept > 0); /* else nothing was tested */
}

int main(void)
{
    static enum afterwards ways[] = {PARENT_STORES, PARENT_IS_CLONED, PARENT_ENDS, SYSTEM_ENDS};
    const struct CMUnitTest tests[] = {
        {"the parent stores", nothing_is_lost, NULL, NULL, &ways[0]},
        {"the parent is cloned", nothing_is_lost, NULL, NULL, &ways[1]},
        {"the parent ends", nothing_is_lost, NULL, NULL, &ways[2]},
        {"the system ends", nothing_is_lost, NULL, NULL, &ways[3]},
    };
    return cmocka_run_group_tests_name("clone_undo", tests, NULL, NULL);
}
