/*
 * Clones in which the 1st, 2nd, 3rd ... frame allocation, copy or read fails, or for which commit
 * runs out: a clone that fails leaves no process, no charge, and the parent as it was; the next one
 * succeeds, and shows what the parent does. Expectations: DESIGN principle 16.
 */
#include "clone_world.h"

#include "base/instance.h"

#include <ntmm/job.h>

#define AT UINT64_C(0x10000000)
#define FAR UINT64_C(0x300000000)
#define WATCHED (AT + 8 * MIB)
#define PAGES 40u
#define FAILURE NTMM_STATUS_DEVICE_DATA_ERROR
#define FROM_THERE_ON UINT64_MAX
#define TRIES 400u

enum victim { VICTIM_FRAME, VICTIM_COPY, VICTIM_READ, VICTIM_COUNT };

struct sweep {
    struct clone_world k;
    uint64_t device;
    uint64_t view, copy;
    ntmm_handle job; /* of the parent, and so of its clones */
};

/* What of the machine a failed clone must not change. */
struct outcome {
    uint64_t commit, process_pages, created, ended, members;
    struct ntmm_process_information parent;
};

static struct outcome look(struct sweep *s)
{
    struct ntmm_memory_information memory;
    uint64_t counters[NTMM_COUNTER_COUNT];
    struct outcome seen = {.parent = about(&s->k.w, s->k.parent)};
    ntmm_query_memory(s->k.w.system, &memory);
    ntmm_query_counters(s->k.w.system, counters, NTMM_COUNTER_COUNT);
    struct ntmm_job_information job;
    check_ok(ntmm_query_job(s->k.w.system, s->job, &job));
    seen.members = job.process_count;
    seen.commit = memory.commit_pages;
    seen.process_pages = memory.process_pages;
    seen.created = counters[NTMM_COUNTER_PROCESSES_CREATED];
    seen.ended = counters[NTMM_COUNTER_PROCESSES_ENDED];
    return seen;
}

static void expect_as_before(struct sweep *s, const struct outcome *before)
{
    struct outcome now = look(s);
    check_world(&s->k.w);
    assert_int_equal(now.members, 1);
    assert_int_equal(now.commit, before->commit);
    assert_int_equal(now.process_pages, before->process_pages);
    assert_int_equal(now.created - before->created, now.ended - before->ended);
    assert_int_equal(now.parent.commit_pages, before->parent.commit_pages);
    assert_int_equal(now.parent.region_count, before->parent.region_count);
    assert_int_equal(now.parent.virtual_size_bytes, before->parent.virtual_size_bytes);
    assert_int_equal(now.parent.table_pages, before->parent.table_pages);
}

static uint64_t add_view(struct sweep *s, uint32_t protect)
{
    ntmm_handle section = make_section(&s->k.w, 16 * PAGE, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, 0);
    uint64_t base = map(&s->k.w, section, s->k.parent, protect);
    close_section(&s->k.w, section);
    return base;
}

/* Its pages are not shared. */
static void add_watched(struct sweep *s)
{
    uint64_t base = WATCHED, size = PAGES * PAGE;
    check_ok(ntmm_allocate_virtual_memory(s->k.w.system, s->k.parent, &base, 0, &size,
                                          NTMM_MEM_RESERVE | NTMM_MEM_COMMIT | NTMM_MEM_WRITE_WATCH,
                                          NTMM_PAGE_READWRITE));
    fill_pages(&s->k, s->k.parent, WATCHED, 4);
}

/* Regions far apart, so that tables are many; one of everything that is shared or copied. */
static void begin(struct sweep *s)
{
    static const uint64_t bases[] = {AT, AT + 4 * MIB, FAR};
    struct clone_world *k = &s->k;
    *k = (struct clone_world){.child = 0};
    make_section_world(&k->w, 2 * MIB);
    s->device = add_page_file(&k->w, 4 * MIB);
    k->parent = make_process(&k->w);
    for (size_t i = 0; i < 3; i++) {
        uint64_t base = bases[i], size = PAGES * PAGE;
        check_ok(ntmm_allocate_virtual_memory(k->w.system, k->parent, &base, 0, &size,
                                              NTMM_MEM_RESERVE | NTMM_MEM_COMMIT,
                                              NTMM_PAGE_READWRITE));
        fill_pages(k, k->parent, base, PAGES - 4);
        protect_page(&k->w, k->parent, base, NTMM_PAGE_READONLY);
    }
    add_watched(s);
    s->view = add_view(s, NTMM_PAGE_READWRITE);
    s->copy = add_view(s, NTMM_PAGE_WRITECOPY);
    fill_pages(k, k->parent, s->view, 4);
    fill_pages(k, k->parent, s->copy, 4);
    check_ok(ntmm_create_job(k->w.system, &s->job));
    check_ok(ntmm_assign_process_to_job(k->w.system, s->job, k->parent));
    k->child = clone_of(k, k->parent); /* slots of processes are there from now on */
    end_one(k, &k->child);
}

static void inject(struct sweep *s, enum victim victim, uint64_t after, uint64_t count)
{
    struct ntmm_emulated_disk_errors errors = {
        .operations = 1u << NTMM_IO_READ, .after = after, .count = count, .status = FAILURE};
    if (victim == VICTIM_FRAME)
        s->k.w.system->failures = (struct allocation_failures){.after = after, .count = count};
    else if (victim == VICTIM_COPY)
        ntmm_emulated_inject_content(s->k.w.emu, count ? NTMM_EMULATED_COPY : 0, after, count,
                                     FAILURE);
    else
        check_ok(ntmm_emulated_inject_disk(s->k.w.emu, s->device, count ? &errors : NULL));
}

static void expect_clone(struct sweep *s)
{
    struct clone_world *k = &s->k;
    expect_same_regions(k, k->parent, k->child);
    expect_pages(k, k->child, AT, PAGES - 4);
    expect_pages(k, k->child, AT + 4 * MIB, PAGES - 4);
    expect_pages(k, k->child, FAR, PAGES - 4);
    expect_pages(k, k->child, WATCHED, 4);
    expect_pages(k, k->child, s->copy, 4);
    expect_pages(k, k->child, s->view, 4);
    end_one(k, &k->child);
}

/* Whether it succeeded. */
static bool try_once(struct sweep *s, enum victim victim, uint64_t after, uint64_t count)
{
    struct clone_world *k = &s->k;
    if (victim == VICTIM_READ)
        page_out_everything(k->w.emu);
    struct outcome before = look(s);
    inject(s, victim, after, count);
    ntmm_status status = ntmm_clone_process(k->w.system, k->parent, NULL, &k->child);
    inject(s, victim, 0, 0);
    if (status == NTMM_STATUS_SUCCESS)
        return true;
    assert_int_equal(k->child, 0);
    assert_int_equal(status, victim == VICTIM_FRAME ? NTMM_STATUS_NO_MEMORY : FAILURE);
    expect_as_before(s, &before);
    return false;
}

static void sweep(enum victim victim, uint64_t count)
{
    struct sweep s;
    uint32_t failed = 0;
    begin(&s);
    for (uint64_t after = 0;; after++) {
        assert_in_range(after, 0, TRIES);
        bool is_whole = try_once(&s, victim, after, count);
        failed += !is_whole;
        if (is_whole)
            expect_clone(&s);
        if (is_whole && (victim != VICTIM_READ || count == FROM_THERE_ON || after > 20))
            break;
    }
    assert_true(failed > 0 || (victim == VICTIM_READ && count == 1));
    check_ok(ntmm_close_job(s.k.w.system, s.job));
    end_clones(&s.k);
}

static void copies_fail(void **state)
{
    (void)state;
    sweep(VICTIM_COPY, 1);
}

static void frames_fail_from_there_on(void **state)
{
    (void)state;
    sweep(VICTIM_FRAME, FROM_THERE_ON);
}

/* One frame that is refused is asked for again. */
static void a_frame_fails(void **state)
{
    struct sweep s;
    (void)state;
    begin(&s);
    for (uint64_t after = 0; after < 200; after += 3) {
        if (try_once(&s, VICTIM_FRAME, after, 1))
            expect_clone(&s);
    }
    check_ok(ntmm_close_job(s.k.w.system, s.job));
    end_clones(&s.k);
}

static void reads_fail_from_there_on(void **state)
{
    (void)state;
    sweep(VICTIM_READ, FROM_THERE_ON);
}

/* A cluster that fails is read again page by page. */
static void a_read_fails(void **state)
{
    (void)state;
    sweep(VICTIM_READ, 1);
}

/* With 0, 1, 2 ... pages of commit left. */
static void commit_runs_out(void **state)
{
    struct sweep s;
    uint64_t left = 0;
    (void)state;
    begin(&s);
    ntmm_handle other = make_process(&s.k.w);
    struct ntmm_memory_information memory;
    ntmm_query_memory(s.k.w.system, &memory);
    uint64_t base = AT, size = (memory.commit_limit_pages - memory.commit_pages - 1) * PAGE;
    check_ok(ntmm_allocate_virtual_memory(s.k.w.system, other, &base, 0, &size,
                                          NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE));
    for (;; left++) {
        struct outcome before = look(&s);
        ntmm_status status = ntmm_clone_process(s.k.w.system, s.k.parent, NULL, &s.k.child);
        if (status == NTMM_STATUS_SUCCESS)
            break;
        assert_int_equal(status, NTMM_STATUS_COMMITMENT_LIMIT);
        expect_as_before(&s, &before);
        base = AT + left * PAGE;
        size = PAGE;
        check_ok(ntmm_free_virtual_memory(s.k.w.system, other, &base, &size, NTMM_MEM_RELEASE));
    }
    assert_true(left > 3 * PAGES + 16);
    check_ok(ntmm_end_process(s.k.w.system, other));
    expect_clone(&s);
    check_ok(ntmm_close_job(s.k.w.system, s.job));
    end_clones(&s.k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_fails),
        cmocka_unit_test(frames_fail_from_there_on),
        cmocka_unit_test(copies_fail),
        cmocka_unit_test(a_read_fails),
        cmocka_unit_test(reads_fail_from_there_on),
        cmocka_unit_test(commit_runs_out),
    };
    return cmocka_run_group_tests_name("sweep_clone", tests, NULL, NULL);
}
