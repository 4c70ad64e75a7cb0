/*
 * Copies of a machine whose processes share pages with their clones: a fork, one from a file, and
 * the machine itself gone back. In each the stores of either side are its own, whoever is the last
 * has the page without a copy, and nothing is left at the end. What happened in one copy is not
 * seen in another. Expectations: docs/clones.md; what a copy is: ntmm/snapshot.h.
 *
 *   page       0 ... 7          8 ... 15        16 ... 23
 *              valid in both    on a list       in the page file, if there is one
 *
 * Private pages from AT on, copies on write of a view from VIEW on.
 */
#include "clone_world.h"

#include <ntmm/snapshot.h>
#include <ntmm/working_set.h>

#include <unistd.h>

#define AT UINT64_C(0x10000000)
#define VIEW UINT64_C(0x20000000)
#define PAGES 24u
#define FILE_NAME "test_clone_snapshot.saved"

struct family {
    struct clone_world k;
    ntmm_handle third; /* the child's child */
};

static void read_pages(struct family *f, uint64_t first, uint64_t count)
{
    expect_pages(&f->k, f->k.parent, AT + first * PAGE, count);
    expect_pages(&f->k, f->k.parent, VIEW + first * PAGE, count);
    expect_pages(&f->k, f->k.child, AT + first * PAGE, count);
    expect_pages(&f->k, f->k.child, VIEW + first * PAGE, count);
}

static void make_pages(struct family *f)
{
    struct clone_world *k = &f->k;
    map_to_copy(k, VIEW, PAGES);
    allocate_at(k, AT, PAGES, BOTH, NTMM_PAGE_READWRITE);
    fill_pages(k, k->parent, AT, PAGES);
    fill_pages(k, k->parent, VIEW, PAGES);
}

static void begin_family(struct family *f, bool has_page_file)
{
    struct clone_world *k = &f->k;
    if (has_page_file) {
        begin_clones(k);
    } else {
        make_section_world(&k->w, 8 * MIB);
        k->parent = make_process(&k->w);
        attach(&k->w, 0, k->parent);
    }
    make_pages(f);
    make_clone(k);
    f->third = clone_of(k, k->child);
    attach(&k->w, 2, f->third);
    if (has_page_file)
        page_out_everything(k->w.emu);
    read_pages(f, 8, 8);
    check_ok(ntmm_empty_working_set(k->w.system, k->parent));
    check_ok(ntmm_empty_working_set(k->w.system, k->child));
    read_pages(f, 0, 8);
    check_world(&k->w);
}

static bool is_stored(uint32_t who, uint64_t page) { return page % 4 == who; }

/* Each of the three stores to every fourth page, and to every fourth copy in its view. */
static void store_everywhere(struct family *f)
{
    for (uint64_t page = 0; page < PAGES; page++) {
        for (uint32_t who = 0; who < 3; who++) {
            if (!is_stored(who, page))
                continue;
            check_ok(store64(&f->k.w, who, AT + page * PAGE, who + 1));
            check_ok(store64(&f->k.w, who, VIEW + page * PAGE, who + 1));
        }
    }
    check_world(&f->k.w);
}

static void expect_stores(struct family *f, uint32_t who, ntmm_handle process)
{
    for (uint64_t page = 0; page < PAGES; page++) {
        uint64_t expected = is_stored(who, page) ? who + 1 : 0;
        assert_int_equal(peek(&f->k, process, AT + page * PAGE), expected);
        assert_int_equal(peek(&f->k, process, VIEW + page * PAGE), expected);
    }
    expect_pages(&f->k, process, AT, PAGES);
    expect_pages(&f->k, process, VIEW, PAGES);
}

/* Who is left stores to what it had not stored to: nobody is there to copy for. */
static void be_the_last(struct family *f)
{
    struct clone_world *k = &f->k;
    end_one(k, &k->parent);
    end_one(k, &f->third);
    uint64_t before = copies(k, k->child);
    for (uint64_t page = 0; page < PAGES; page++)
        check_ok(store64(&k->w, 1, AT + page * PAGE, 9));
    assert_int_equal(copies(k, k->child), before);
    check_world(&k->w);
}

/* All that can be said of a family's life; returns how many copies were made. */
static uint64_t live(struct family *f)
{
    store_everywhere(f);
    expect_stores(f, 0, f->k.parent);
    expect_stores(f, 1, f->k.child);
    expect_stores(f, 2, f->third);
    uint64_t made =
        copies(&f->k, f->k.parent) + copies(&f->k, f->k.child) + copies(&f->k, f->third);
    be_the_last(f);
    return made;
}

static void end_family(struct family *f)
{
    if (f->third)
        end_one(&f->k, &f->third);
    end_clones(&f->k);
}

static struct family in_machine(const struct family *f, struct ntmm_emulated *emu)
{
    struct family other = *f;
    other.k.w = (struct world){.emu = emu, .system = ntmm_emulated_system(emu)};
    return other;
}

static void a_fork_goes_its_own_way(void **state)
{
    struct family f, fork;
    struct ntmm_emulated *emu = NULL;
    (void)state;
    for (int is_fork_first = 0; is_fork_first < 2; is_fork_first++) {
        begin_family(&f, true);
        check_ok(ntmm_emulated_fork(f.k.w.emu, &emu));
        fork = in_machine(&f, emu);
        check_world(&fork.k.w);
        uint64_t made = live(is_fork_first ? &fork : &f);
        read_pages(is_fork_first ? &f : &fork, 0, PAGES);
        assert_int_equal(live(is_fork_first ? &f : &fork), made);
        end_family(&fork);
        end_family(&f);
    }
}

static void a_machine_goes_back(void **state)
{
    struct family f, then;
    (void)state;
    begin_family(&f, true);
    check_ok(ntmm_emulated_snapshot(f.k.w.emu));
    then = f;
    uint64_t made = live(&f);
    for (int i = 0; i < 2; i++) {
        check_ok(ntmm_emulated_restore_snapshot(then.k.w.emu));
        f = then;
        check_world(&f.k.w);
        read_pages(&f, 0, PAGES);
        assert_int_equal(live(&f), made);
    }
    end_family(&f);
}

/* Saved with its disks, or its memory alone, it is loaded elsewhere; the first one lives on. */
static void load_beside(bool has_disks)
{
    const struct ntmm_emulated_config config = {
        .size = sizeof config, .version = NTMM_EMULATED_CONFIG_VERSION, .cpu_count = 4};
    struct family f, loaded;
    struct ntmm_emulated *emu = NULL;
    begin_family(&f, has_disks);
    if (has_disks)
        check_ok(ntmm_emulated_save_snapshot(f.k.w.emu, FILE_NAME));
    else
        check_ok(ntmm_emulated_save(f.k.w.emu, FILE_NAME));
    struct family then = f;
    uint64_t made = live(&f);
    if (has_disks) {
        check_ok(ntmm_emulated_load_snapshot(&config, FILE_NAME, &emu));
    } else {
        check_ok(ntmm_emulated_restore(&config, FILE_NAME, &emu));
        check_ok(ntmm_emulated_attach_system(emu, &loaded.k.w.system));
    }
    loaded = in_machine(&then, emu);
    (void)unlink(FILE_NAME);
    check_world(&loaded.k.w);
    for (uint32_t i = 0; i < 3; i++)
        attach(&loaded.k.w, i, i == 0 ? then.k.parent : i == 1 ? then.k.child : then.third);
    read_pages(&loaded, 0, PAGES);
    assert_int_equal(live(&loaded), made);
    end_family(&loaded);
    end_family(&f);
}

static void a_machine_from_a_file_has_them(void **state)
{
    (void)state;
    load_beside(true);
}

static void memory_alone_is_enough(void **state)
{
    (void)state;
    load_beside(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fork_goes_its_own_way),
        cmocka_unit_test(a_machine_goes_back),
        cmocka_unit_test(a_machine_from_a_file_has_them),
        cmocka_unit_test(memory_alone_is_enough),
    };
    return cmocka_run_group_tests_name("clone_snapshot", tests, NULL, NULL);
}
