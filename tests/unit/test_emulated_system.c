/*
 * The emulated machine with a system in it: accesses with the door around them, faults that wait
 * for frames under the scheduler, an arena that moves to another process, two systems side by side,
 * and T1 with every processor holding a translation. Every tear-down must find nothing left.
 */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <ntmm/constants.h>
#include <ntmm/emulated.h>
#include <ntmm/inspect.h>
#include <ntmm/process.h>
#include <ntmm/status.h>
#include <ntmm/virtual.h>

#define MIB (UINT64_C(1) << 20)
#define PAGE UINT64_C(4096)

struct world {
    struct ntmm_emulated *emu;
    struct ntmm_system *system;
};

static void make_world(struct world *w, struct ntmm_emulated_config c, uint64_t extra_commit)
{
    struct ntmm_config config = {
        .size = sizeof config,
        .version = NTMM_CONFIG_VERSION,
        .extra_commit_pages = extra_commit,
    };
    c.size = sizeof c;
    c.version = NTMM_EMULATED_CONFIG_VERSION;
    assert_int_equal(ntmm_emulated_create(&c, &w->emu), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_create_system(w->emu, &config, &w->system),
                     NTMM_STATUS_SUCCESS);
    assert_ptr_equal(ntmm_emulated_system(w->emu), w->system);
}

static void check_world(struct world *w)
{
    struct ntmm_check_report report = {0};
    size_t size = ntmm_check_scratch_size(w->system);
    void *scratch = malloc(size);
    assert_non_null(scratch);
    ntmm_status status = ntmm_check(w->system, scratch, size, &report);
    free(scratch);
    assert_string_equal(report.invariant, "");
    assert_int_equal(status, NTMM_STATUS_SUCCESS);
}

static void end_world(struct world *w)
{
    struct ntmm_teardown teardown;
    struct ntmm_emulated_statistics s;
    check_world(w);
    ntmm_emulated_query(w->emu, &s);
    assert_int_equal(s.violations, 0);
    ntmm_emulated_destroy(w->emu, &teardown);
    assert_int_equal(teardown.lost_pages, 0);
    assert_int_equal(teardown.outstanding_commit, 0);
    assert_int_equal(teardown.live_objects, 0);
    assert_int_equal(teardown.waiters, 0);
}

static ntmm_handle make_process(struct world *w)
{
    ntmm_handle process = 0;
    assert_int_equal(ntmm_create_process(w->system, NULL, &process), NTMM_STATUS_SUCCESS);
    return process;
}

static uint64_t allocate(struct world *w, ntmm_handle process, uint64_t size, uint32_t protect)
{
    uint64_t base = 0;
    assert_int_equal(ntmm_allocate_virtual_memory(w->system, process, &base, 0, &size,
                                                  NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, protect),
                     NTMM_STATUS_SUCCESS);
    return base;
}

static void release(struct world *w, ntmm_handle process, uint64_t base)
{
    uint64_t size = 0;
    assert_int_equal(
        ntmm_free_virtual_memory(w->system, process, &base, &size, NTMM_MEM_RELEASE),
        NTMM_STATUS_SUCCESS);
}

static void protect_page(struct world *w, ntmm_handle process, uint64_t base, uint32_t protect)
{
    uint64_t size = PAGE;
    uint32_t old;
    assert_int_equal(
        ntmm_protect_virtual_memory(w->system, process, &base, &size, protect, &old),
        NTMM_STATUS_SUCCESS);
}

static void attach(struct world *w, uint32_t index, ntmm_handle process)
{
    assert_int_equal(ntmm_emulated_attach(w->emu, index, process), NTMM_STATUS_SUCCESS);
}

static ntmm_status load64(struct world *w, uint32_t index, uint64_t va, uint64_t *value)
{
    return ntmm_emulated_load(w->emu, index, va, value, sizeof *value, NULL, NULL);
}

static ntmm_status store64(struct world *w, uint32_t index, uint64_t va, uint64_t value)
{
    return ntmm_emulated_store(w->emu, index, va, &value, sizeof value, NULL, NULL);
}

/* --- accesses --- */

static void what_is_stored_is_loaded(void **state)
{
    (void)state;
    struct world w;
    make_world(&w,
               (struct ntmm_emulated_config){.ram_bytes = 4 * MIB,
                                             .flags = NTMM_EMULATED_CHECK_LEVEL},
               0);
    ntmm_handle process = make_process(&w);
    uint64_t base = allocate(&w, process, 5 * PAGE, NTMM_PAGE_READWRITE);
    struct ntmm_fault_result result;
    static uint8_t in[3 * 4096 + 77], out[sizeof in];
    for (uint32_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)(i * 31 + i / 251);
    attach(&w, 0, process);
    assert_int_equal(
        ntmm_emulated_store(w.emu, 0, base + 4061, in, sizeof in, NULL, &result),
        NTMM_STATUS_SUCCESS);
    assert_int_equal(result.kind, NTMM_FAULT_KIND_DEMAND_ZERO);
    assert_int_equal(
        ntmm_emulated_load(w.emu, 0, base + 4061, out, sizeof out, NULL, &result),
        NTMM_STATUS_SUCCESS);
    assert_int_equal(result.kind, NTMM_FAULT_KIND_NONE);
    assert_memory_equal(in, out, sizeof in);
    assert_int_equal(ntmm_emulated_load(w.emu, 0, base, out, 4061, NULL, NULL), 0);
    for (uint32_t i = 0; i < 4061; i++)
        assert_int_equal(out[i], 0);
    assert_int_equal(ntmm_emulated_load(w.emu, 0, base, out, 0, NULL, NULL),
                     NTMM_STATUS_INVALID_PARAMETER_5);
    end_world(&w);
}

static bool add_one(void *bytes, uint32_t size, void *context)
{
    (void)size;
    ++*(uint8_t *)bytes;
    ++*(uint32_t *)context;
    return true;
}

static void updates_and_fetches_go_through_the_door(void **state)
{
    (void)state;
    struct world w;
    make_world(&w, (struct ntmm_emulated_config){.ram_bytes = 4 * MIB}, 0);
    ntmm_handle process = make_process(&w);
    uint64_t base = allocate(&w, process, 2 * PAGE, NTMM_PAGE_EXECUTE_READWRITE);
    struct ntmm_fault_result result;
    uint32_t calls = 0;
    uint8_t byte = 0;
    attach(&w, 0, process);
    assert_int_equal(
        ntmm_emulated_update(w.emu, 0, base + 9, 1, add_one, &calls, NULL, &result), 0);
    assert_int_equal(result.kind, NTMM_FAULT_KIND_DEMAND_ZERO);
    assert_int_equal(calls, 1);
    assert_int_equal(ntmm_emulated_fetch(w.emu, 0, base + 9, &byte, 1, NULL, NULL), 0);
    assert_int_equal(byte, 1);
    assert_int_equal(ntmm_emulated_fetch(w.emu, 0, base + PAGE, &byte, 1, NULL, &result), 0);
    assert_int_equal(result.kind, NTMM_FAULT_KIND_DEMAND_ZERO);
    assert_int_equal(byte, 0);
    assert_int_equal(ntmm_emulated_update(w.emu, 0, base, 65, add_one, &calls, NULL, NULL),
                     NTMM_STATUS_INVALID_PARAMETER_4);
    end_world(&w);
}

static void expect_violation(ntmm_status status, const struct ntmm_fault_result *result,
                             uint64_t access, uint64_t address)
{
    assert_int_equal(status, NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(result->parameter_count, 2);
    assert_int_equal(result->parameters[0], access);
    assert_true(result->parameters[1] == address);
}

static void violations_name_access_and_address(void **state)
{
    (void)state;
    struct world w;
    struct ntmm_fault_result r;
    uint8_t bytes[8] = {0};
    make_world(&w, (struct ntmm_emulated_config){.ram_bytes = 4 * MIB}, 0);
    ntmm_handle process = make_process(&w);
    uint64_t base = allocate(&w, process, 16 * PAGE, NTMM_PAGE_READONLY);
    attach(&w, 0, process);
    expect_violation(ntmm_emulated_store(w.emu, 0, base + 5, bytes, 1, NULL, &r), &r, 1, base + 5);
    expect_violation(ntmm_emulated_fetch(w.emu, 0, base + 6, bytes, 1, NULL, &r), &r, 8, base + 6);
    assert_int_equal(ntmm_emulated_load(w.emu, 0, base + 7, bytes, 1, NULL, &r), 0);
    expect_violation(ntmm_emulated_store(w.emu, 0, base + 5, bytes, 1, NULL, &r), &r, 1, base + 5);
    /* an access that crosses into free space fails at the first byte of the second page */
    uint64_t end = base + 16 * PAGE;
    expect_violation(ntmm_emulated_load(w.emu, 0, end - 3, bytes, 8, NULL, &r), &r, 0, end);
    expect_violation(ntmm_emulated_load(w.emu, 0, 0, bytes, 1, NULL, &r), &r, 0, 0);
    expect_violation(ntmm_emulated_load(w.emu, 0, UINT64_C(1) << 60, bytes, 1, NULL, &r), &r, 0,
                     UINT64_MAX);
    end_world(&w);
}

static void a_guard_page_raises_once(void **state)
{
    (void)state;
    struct world w;
    struct ntmm_fault_result r;
    uint8_t byte = 1;
    make_world(&w, (struct ntmm_emulated_config){.ram_bytes = 4 * MIB}, 0);
    ntmm_handle process = make_process(&w);
    uint64_t base = allocate(&w, process, PAGE, NTMM_PAGE_READWRITE | NTMM_PAGE_GUARD);
    attach(&w, 0, process);
    assert_int_equal(ntmm_emulated_load(w.emu, 0, base + 3, &byte, 1, NULL, &r),
                     NTMM_STATUS_GUARD_PAGE_VIOLATION);
    assert_int_equal(r.parameter_count, 2);
    assert_int_equal(r.parameters[0], 0);
    assert_true(r.parameters[1] == base + 3);
    assert_int_equal(ntmm_emulated_load(w.emu, 0, base + 3, &byte, 1, NULL, &r), 0);
    assert_int_equal(byte, 0);
    end_world(&w);
}

static void an_access_leaves_the_processor_as_it_was(void **state)
{
    (void)state;
    struct world w;
    make_world(&w, (struct ntmm_emulated_config){.ram_bytes = 4 * MIB}, 0);
    ntmm_handle process = make_process(&w);
    uint64_t base = allocate(&w, process, 4 * PAGE, NTMM_PAGE_READWRITE), value = 0;
    struct ntmm_cpu *cpu = ntmm_emulated_cpu(w.emu, 0);
    attach(&w, 0, process);
    assert_int_equal(store64(&w, 0, base, 7), 0);
    assert_false(cpu->inside);
    ntmm_cpu_enter(cpu);
    assert_int_equal(store64(&w, 0, base + PAGE, 8), 0);
    assert_true(cpu->inside);
    assert_int_equal(ntmm_cpu_read64(cpu, base, &value), NTMM_CPU_OK);
    assert_int_equal(value, 7);
    ntmm_cpu_leave(cpu);
    end_world(&w);
}

/* --- T1 --- */

#define CPUS 4u

static void t1_no_processor_keeps_what_services_withdrew(void **state)
{
    (void)state;
    for (uint32_t flags = 0; flags <= NTMM_EMULATED_THREADS; flags++) {
        struct world w;
        uint64_t value = 0;
        make_world(
            &w,
            (struct ntmm_emulated_config){.ram_bytes = 4 * MIB, .cpu_count = CPUS, .flags = flags},
            0);
        ntmm_handle process = make_process(&w);
        uint64_t base = allocate(&w, process, 16 * PAGE, NTMM_PAGE_READWRITE);
        for (uint32_t i = 0; i < CPUS; i++) {
            attach(&w, i, process);
            assert_int_equal(store64(&w, i, base + PAGE, i + 1), 0);
        }
        protect_page(&w, process, base + PAGE, NTMM_PAGE_READONLY);
        for (uint32_t i = 0; i < CPUS; i++) {
            assert_int_equal(store64(&w, i, base + PAGE, 99), NTMM_STATUS_ACCESS_VIOLATION);
            assert_int_equal(load64(&w, i, base + PAGE, &value), 0);
            assert_int_equal(value, CPUS);
        }
        protect_page(&w, process, base + PAGE, NTMM_PAGE_NOACCESS);
        for (uint32_t i = 0; i < CPUS; i++)
            assert_int_equal(load64(&w, i, base + PAGE, &value), NTMM_STATUS_ACCESS_VIOLATION);
        protect_page(&w, process, base + PAGE, NTMM_PAGE_READWRITE);
        for (uint32_t i = 0; i < CPUS; i++)
            assert_int_equal(store64(&w, i, base + PAGE, i), 0);
        release(&w, process, base);
        for (uint32_t i = 0; i < CPUS; i++) {
            ntmm_cpu_enter(ntmm_emulated_cpu(w.emu, i));
            assert_int_equal(ntmm_cpu_read64(ntmm_emulated_cpu(w.emu, i), base + PAGE, &value),
                             NTMM_CPU_FAULT);
            ntmm_cpu_leave(ntmm_emulated_cpu(w.emu, i));
            assert_int_equal(load64(&w, i, base + PAGE, &value), NTMM_STATUS_ACCESS_VIOLATION);
        }
        end_world(&w);
    }
}

#define SECRET UINT64_C(0x5ec4e75ec4e75ec4)

struct spying {
    struct world w;
    ntmm_handle process;
    uint64_t base;
    uint32_t stop;
    uint32_t started;
    uint32_t leaks[2];
    uint32_t failures[2];
};

struct spy {
    struct spying *s;
    uint32_t index; /* 0 or 1; on processor index + 1 */
};

/* Read one page without end, inside, by the inline path; the door when it faults. */
static void *spy_on_page(void *context)
{
    struct spy *spy = context;
    struct spying *s = spy->s;
    uint32_t index = spy->index + 1;
    struct ntmm_cpu *cpu = ntmm_emulated_cpu(s->w.emu, index);
    ntmm_cpu_enter(cpu);
    __atomic_fetch_add(&s->started, 1, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE)) {
        uint64_t value = 0;
        if (ntmm_cpu_read64(cpu, s->base, &value) != NTMM_CPU_OK) {
            ntmm_status status = load64(&s->w, index, s->base, &value);
            s->failures[spy->index] += status != NTMM_STATUS_SUCCESS &&
                                       status != NTMM_STATUS_ACCESS_VIOLATION;
        }
        s->leaks[spy->index] += value != 0;
        ntmm_cpu_poll(cpu);
    }
    ntmm_cpu_leave(cpu);
    return NULL;
}

/* The page comes and goes, and its frame goes to a process that writes a secret into it. */
static void t1_a_freed_frame_shows_nothing_to_its_last_owner(void **state)
{
    (void)state;
    struct spying s = {0};
    struct spy spies[2] = {{&s, 0}, {&s, 1}};
    pthread_t threads[2];
    make_world(&s.w,
               (struct ntmm_emulated_config){
                   .ram_bytes = MIB, .cpu_count = 3, .flags = NTMM_EMULATED_THREADS},
               0);
    ntmm_handle other = make_process(&s.w);
    s.process = make_process(&s.w);
    s.base = allocate(&s.w, s.process, PAGE, NTMM_PAGE_READWRITE);
    attach(&s.w, 0, other);
    for (uint32_t i = 0; i < 2; i++) {
        attach(&s.w, i + 1, s.process);
        assert_int_equal(pthread_create(&threads[i], NULL, spy_on_page, &spies[i]), 0);
    }
    while (__atomic_load_n(&s.started, __ATOMIC_ACQUIRE) != 2)
        ntmm_emulated_yield(s.w.emu);
    for (uint32_t round = 0; round < 100; round++) {
        uint64_t base = s.base, size = PAGE;
        assert_int_equal(
            ntmm_free_virtual_memory(s.w.system, s.process, &base, &size, NTMM_MEM_DECOMMIT), 0);
        uint64_t secret = allocate(&s.w, other, 8 * PAGE, NTMM_PAGE_READWRITE);
        for (uint64_t i = 0; i < 8; i++)
            assert_int_equal(store64(&s.w, 0, secret + i * PAGE, SECRET), 0);
        release(&s.w, other, secret);
        base = s.base;
        size = PAGE;
        assert_int_equal(ntmm_allocate_virtual_memory(s.w.system, s.process, &base, 0, &size,
                                                      NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE),
                         0);
    }
    __atomic_store_n(&s.stop, 1, __ATOMIC_RELEASE);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(s.leaks[i], 0);
        assert_int_equal(s.failures[i], 0);
    }
    end_world(&s.w);
}

static void processes_on_one_processor_do_not_mix(void **state)
{
    (void)state;
    struct world w;
    struct ntmm_emulated_statistics s;
    uint64_t value = 0;
    make_world(&w, (struct ntmm_emulated_config){.ram_bytes = 4 * MIB}, 0);
    ntmm_handle a = make_process(&w), b = make_process(&w);
    uint64_t base_a = allocate(&w, a, PAGE, NTMM_PAGE_READWRITE);
    uint64_t base_b = allocate(&w, b, PAGE, NTMM_PAGE_READWRITE);
    assert_true(base_a == base_b);
    for (int round = 0; round < 3; round++) {
        attach(&w, 0, a);
        assert_int_equal(store64(&w, 0, base_a, 0xa), 0);
        attach(&w, 0, b);
        assert_int_equal(store64(&w, 0, base_b, 0xb), 0);
        attach(&w, 0, a);
        assert_int_equal(load64(&w, 0, base_a, &value), 0);
        assert_int_equal(value, 0xa);
    }
    /* a new process in the place of an old one: its PCID may be the old one's, its pages are not */
    assert_int_equal(ntmm_end_process(w.system, a), 0);
    assert_int_equal(ntmm_emulated_attach(w.emu, 0, a), NTMM_STATUS_INVALID_HANDLE);
    ntmm_handle c = make_process(&w);
    uint64_t base_c = allocate(&w, c, PAGE, NTMM_PAGE_READWRITE);
    attach(&w, 0, c);
    assert_int_equal(load64(&w, 0, base_c, &value), 0);
    assert_int_equal(value, 0);
    ntmm_emulated_query(w.emu, &s);
    assert_int_equal(s.attach_flushes, (uint32_t)c == (uint32_t)a ? 1 : 0);
    end_world(&w);
}

/* --- faults that wait for frames --- */

#define WORKERS 2u

struct pressure {
    struct world w;
    ntmm_handle hog;
    uint64_t hog_base;
    uint64_t hog_pages;
    uint64_t worker_pages;
    uint32_t waits;
    uint32_t finished;
};

struct worker {
    struct pressure *p;
    uint32_t index; /* on processor index + 1 */
    ntmm_handle process;
    uint64_t base;
};

static void count_waits(void *context, const struct ntmm_event *event)
{
    if (event->kind == NTMM_EVENT_FAULT_WAIT)
        ++*(uint32_t *)context;
}

static void fill(struct world *w, uint32_t index, uint64_t base, uint64_t pages, uint64_t mark)
{
    for (uint64_t i = 0; i < pages; i++)
        assert_int_equal(store64(w, index, base + i * PAGE + 8 * i, mark + i), 0);
}

static void verify(struct world *w, uint32_t index, uint64_t base, uint64_t pages, uint64_t mark)
{
    for (uint64_t i = 0; i < pages; i++) {
        uint64_t value = 0;
        assert_int_equal(load64(w, index, base + i * PAGE + 8 * i, &value), 0);
        assert_true(value == mark + i);
    }
}

static void hold_then_free(void *context)
{
    struct pressure *p = context;
    for (int i = 0; i < 300; i++)
        ntmm_emulated_yield(p->w.emu);
    verify(&p->w, 0, p->hog_base, p->hog_pages, 0x1000);
    release(&p->w, p->hog, p->hog_base);
    p->finished++;
}

static void fill_then_free(void *context)
{
    struct worker *k = context;
    struct pressure *p = k->p;
    uint64_t mark = 0x2000u + 0x1000u * k->index;
    for (uint64_t i = 0; i < p->worker_pages; i++) {
        assert_int_equal(store64(&p->w, k->index + 1, k->base + i * PAGE + 8 * i, mark + i), 0);
        ntmm_emulated_yield(p->w.emu);
    }
    verify(&p->w, k->index + 1, k->base, p->worker_pages, mark);
    release(&p->w, k->process, k->base);
    p->finished++;
}

/* The hog holds most frames; two workers need more than is left, and wait until it frees. */
static void run_pressure(uint64_t seed, uint32_t flags, uint64_t *hash, uint64_t *schedule_hash)
{
    struct pressure p = {.hog_pages = 60, .worker_pages = 40};
    struct worker workers[WORKERS];
    struct ntmm_emulated_statistics s;
    struct ntmm_memory_information m;
    make_world(&p.w,
               (struct ntmm_emulated_config){.ram_bytes = 160 * PAGE,
                                             .cpu_count = WORKERS + 1,
                                             .flags = NTMM_EMULATED_CHECK_LEVEL | flags,
                                             .seed = seed},
               1000);
    ntmm_emulated_set_event(p.w.emu, count_waits, &p.waits);
    ntmm_set_event_mask(p.w.system, 1u << NTMM_EVENT_FAULT_WAIT);
    p.hog = make_process(&p.w);
    for (uint32_t i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.p = &p, .index = i, .process = make_process(&p.w)};
        workers[i].base =
            allocate(&p.w, workers[i].process, p.worker_pages * PAGE, NTMM_PAGE_READWRITE);
        attach(&p.w, i + 1, workers[i].process);
        assert_int_equal(
            ntmm_emulated_spawn(p.w.emu, i + 1, fill_then_free, &workers[i], 0), 0);
    }
    ntmm_query_memory(p.w.system, &m);
    p.hog_pages = m.zeroed_pages + m.free_pages - p.worker_pages - 20;
    p.hog_base = allocate(&p.w, p.hog, p.hog_pages * PAGE, NTMM_PAGE_READWRITE);
    attach(&p.w, 0, p.hog);
    fill(&p.w, 0, p.hog_base, p.hog_pages, 0x1000);
    assert_int_equal(ntmm_emulated_spawn(p.w.emu, 0, hold_then_free, &p, 0), 0);
    assert_int_equal(p.waits, 0);
    assert_int_equal(ntmm_emulated_run(p.w.emu), NTMM_STATUS_SUCCESS);
    assert_int_equal(p.finished, WORKERS + 1);
    assert_int_not_equal(p.waits, 0);
    ntmm_emulated_query(p.w.emu, &s);
    assert_int_equal(s.broken_waits, 0);
    *hash = ntmm_emulated_hash(p.w.emu);
    *schedule_hash = s.schedule_hash;
    end_world(&p.w);
}

static void faults_wait_until_frames_are_freed(void **state)
{
    (void)state;
    uint64_t hash[3], schedule_hash[3];
    for (uint32_t flags = 0; flags <= NTMM_EMULATED_PREEMPT; flags += NTMM_EMULATED_PREEMPT) {
        run_pressure(1, flags, &hash[0], &schedule_hash[0]);
        run_pressure(1, flags, &hash[1], &schedule_hash[1]);
        assert_true(hash[0] == hash[1] && schedule_hash[0] == schedule_hash[1]);
        for (uint64_t seed = 2; seed < 12; seed++) {
            run_pressure(seed, flags, &hash[2], &schedule_hash[2]);
            assert_true(schedule_hash[0] != schedule_hash[2]);
        }
    }
}

struct glutton {
    struct world w;
    uint64_t base;
    uint64_t pages;
    ntmm_status status;
};

static void fill_until_failure(void *context)
{
    struct glutton *g = context;
    for (uint64_t i = 0; i < g->pages && g->status == NTMM_STATUS_SUCCESS; i++)
        g->status = store64(&g->w, 0, g->base + i * PAGE, i);
}

static void a_fault_that_nobody_can_help_fails(void **state)
{
    (void)state;
    struct glutton g = {.pages = 400};
    make_world(&g.w, (struct ntmm_emulated_config){.ram_bytes = 160 * PAGE}, 1000);
    ntmm_handle process = make_process(&g.w);
    g.base = allocate(&g.w, process, g.pages * PAGE, NTMM_PAGE_READWRITE);
    attach(&g.w, 0, process);
    assert_int_equal(ntmm_emulated_spawn(g.w.emu, 0, fill_until_failure, &g, 0), 0);
    assert_int_equal(ntmm_emulated_run(g.w.emu), NTMM_STATUS_TIMEOUT);
    assert_int_equal(g.status, NTMM_STATUS_NO_MEMORY);
    check_world(&g.w);
    assert_int_equal(store64(&g.w, 0, g.base + 399 * PAGE, 1), NTMM_STATUS_NO_MEMORY);
    release(&g.w, process, g.base);
    end_world(&g.w);
}

static void *free_later(void *context)
{
    struct pressure *p = context;
    for (int i = 0; i < 2000; i++)
        ntmm_emulated_yield(p->w.emu);
    release(&p->w, p->hog, p->hog_base);
    return NULL;
}

static void a_thread_waits_for_another_threads_frames(void **state)
{
    (void)state;
    struct pressure p = {.worker_pages = 40};
    struct ntmm_memory_information m;
    pthread_t thread;
    make_world(&p.w,
               (struct ntmm_emulated_config){
                   .ram_bytes = 160 * PAGE, .cpu_count = 2, .flags = NTMM_EMULATED_THREADS},
               1000);
    p.hog = make_process(&p.w);
    ntmm_handle process = make_process(&p.w);
    uint64_t base = allocate(&p.w, process, p.worker_pages * PAGE, NTMM_PAGE_READWRITE);
    ntmm_query_memory(p.w.system, &m);
    p.hog_pages = m.zeroed_pages + m.free_pages - 20;
    p.hog_base = allocate(&p.w, p.hog, p.hog_pages * PAGE, NTMM_PAGE_READWRITE);
    attach(&p.w, 0, p.hog);
    attach(&p.w, 1, process);
    fill(&p.w, 0, p.hog_base, p.hog_pages, 0x1000);
    assert_int_equal(pthread_create(&thread, NULL, free_later, &p), 0);
    fill(&p.w, 1, base, p.worker_pages, 0x2000);
    assert_int_equal(pthread_join(thread, NULL), 0);
    verify(&p.w, 1, base, p.worker_pages, 0x2000);
    end_world(&p.w);
}

/* --- the same run elsewhere --- */

#define REGIONS 16u
#define PROCESSES 3u

/* A random run; holds no pointer, so that it can move with its arena. */
struct story {
    uint64_t random;
    uint64_t first_cpu;
    uint64_t cpu_count;
    ntmm_handle process[PROCESSES];
    uint64_t base[REGIONS];
    uint64_t pages[REGIONS];
};

static uint64_t draw(struct story *y, uint64_t bound)
{
    y->random = y->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (y->random >> 33) % bound;
}

static void begin_story(struct world *w, struct story *y, uint64_t seed)
{
    memset(y, 0, sizeof *y);
    y->random = seed;
    y->cpu_count = 2;
    make_world(w,
               (struct ntmm_emulated_config){
                   .ram_bytes = 2 * MIB, .base_pa = MIB, .cpu_count = 2, .seed = seed},
               0);
    for (uint32_t i = 0; i < PROCESSES; i++)
        y->process[i] = make_process(w);
}

static void step_story(struct world *w, struct story *y)
{
    uint64_t slot = draw(y, REGIONS), cpu = y->first_cpu + draw(y, y->cpu_count);
    ntmm_handle process = y->process[slot % PROCESSES];
    if (y->base[slot] == 0) {
        y->pages[slot] = 1 + draw(y, 12);
        y->base[slot] = allocate(w, process, y->pages[slot] * PAGE, NTMM_PAGE_READWRITE);
        return;
    }
    uint64_t va = y->base[slot] + draw(y, y->pages[slot]) * PAGE;
    switch (draw(y, 12)) {
    case 0:
        release(w, process, y->base[slot]);
        y->base[slot] = 0;
        break;
    case 1:
        protect_page(w, process, va, NTMM_PAGE_READONLY);
        break;
    case 2:
        protect_page(w, process, va, NTMM_PAGE_READWRITE);
        break;
    case 3:
        (void)ntmm_zero_free_pages(w->system, draw(y, 8));
        break;
    default:
        attach(w, (uint32_t)cpu, process);
        (void)!store64(w, (uint32_t)cpu, va + 8 * draw(y, 512), y->random);
        break;
    }
}

static void run_story(struct world *w, struct story *y, uint32_t steps)
{
    for (uint32_t i = 0; i < steps; i++)
        step_story(w, y);
}

static uint64_t hash_of_story_alone(uint64_t seed, uint32_t steps)
{
    struct world w;
    struct story y;
    begin_story(&w, &y, seed);
    run_story(&w, &y, steps);
    uint64_t hash = ntmm_emulated_hash(w.emu);
    end_world(&w);
    return hash;
}

static void two_systems_interleaved_are_two_systems(void **state)
{
    (void)state;
    struct world w1, w2;
    struct story y1, y2;
    uint64_t alone1 = hash_of_story_alone(1, 2000), alone2 = hash_of_story_alone(2, 2000);
    assert_true(alone1 != alone2);
    begin_story(&w1, &y1, 1);
    begin_story(&w2, &y2, 2);
    for (uint32_t i = 0; i < 2000; i++) {
        step_story(&w1, &y1);
        step_story(&w2, &y2);
    }
    assert_true(ntmm_emulated_hash(w1.emu) == alone1);
    assert_true(ntmm_emulated_hash(w2.emu) == alone2);
    end_world(&w1);
    end_world(&w2);
}

struct telling {
    struct world w;
    struct story y;
};

static void *tell_story(void *context)
{
    struct telling *t = context;
    run_story(&t->w, &t->y, 2000);
    return NULL;
}

static void two_systems_in_two_threads_are_two_systems(void **state)
{
    (void)state;
    struct telling told[2];
    pthread_t threads[2];
    for (uint32_t i = 0; i < 2; i++) {
        begin_story(&told[i].w, &told[i].y, i + 1);
        assert_int_equal(pthread_create(&threads[i], NULL, tell_story, &told[i]), 0);
    }
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(ntmm_emulated_hash(told[i].w.emu) == hash_of_story_alone(i + 1, 2000));
        end_world(&told[i].w);
    }
}

/* --- several processors in the same processes --- */

#define HAMMERS 4u

struct hammer {
    struct world *w;
    struct story y;
};

static void hammer_on(void *context)
{
    struct hammer *h = context;
    run_story(h->w, &h->y, 200);
}

static void *hammer_in_thread(void *context)
{
    struct hammer *h = context;
    ntmm_emulated_bind_thread(h->w->emu, (uint32_t)h->y.first_cpu);
    run_story(h->w, &h->y, 2000);
    return NULL;
}

/* Each has regions of its own, in processes that all share. */
static void make_hammers(struct world *w, struct hammer hammers[HAMMERS], uint64_t seed,
                         uint32_t flags)
{
    struct story shared = {0};
    make_world(w,
               (struct ntmm_emulated_config){
                   .ram_bytes = 8 * MIB, .cpu_count = HAMMERS, .flags = flags, .seed = seed},
               0);
    for (uint32_t i = 0; i < PROCESSES; i++)
        shared.process[i] = make_process(w);
    for (uint32_t i = 0; i < HAMMERS; i++) {
        hammers[i] = (struct hammer){.w = w, .y = shared};
        hammers[i].y.random = seed * HAMMERS + i;
        hammers[i].y.first_cpu = i;
        hammers[i].y.cpu_count = 1;
    }
}

static void coroutines_hammer_shared_processes(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        uint64_t hash[2];
        for (uint32_t again = 0; again < 2; again++) {
            struct world w;
            struct hammer hammers[HAMMERS];
            make_hammers(&w, hammers, seed, NTMM_EMULATED_PREEMPT | NTMM_EMULATED_CHECK_LEVEL);
            for (uint32_t i = 0; i < HAMMERS; i++)
                assert_int_equal(ntmm_emulated_spawn(w.emu, i, hammer_on, &hammers[i], 0), 0);
            assert_int_equal(ntmm_emulated_run(w.emu), NTMM_STATUS_SUCCESS);
            hash[again] = ntmm_emulated_hash(w.emu);
            end_world(&w);
        }
        assert_true(hash[0] == hash[1]);
    }
}

static void threads_hammer_shared_processes(void **state)
{
    (void)state;
    struct world w;
    struct hammer hammers[HAMMERS];
    pthread_t threads[HAMMERS];
    make_hammers(&w, hammers, 1, NTMM_EMULATED_THREADS);
    for (uint32_t i = 0; i < HAMMERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer_in_thread, &hammers[i]), 0);
    for (uint32_t i = 0; i < HAMMERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    end_world(&w);
}

static void write_story(const char *path, const struct story *y)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(y, sizeof *y, 1, file), 1);
    assert_int_equal(fclose(file), 0);
}

/* The other process: continue the story in directory `where` and print the hash. */
static int continue_elsewhere(const char *where)
{
    struct ntmm_emulated_config c = {
        .size = sizeof c, .version = NTMM_EMULATED_CONFIG_VERSION, .cpu_count = 2};
    struct world w;
    struct story y;
    if (chdir(where) != 0)
        return 1;
    FILE *file = fopen("story", "rb");
    if (file == NULL || fread(&y, sizeof y, 1, file) != 1 || fclose(file) != 0)
        return 1;
    if (ntmm_emulated_restore(&c, "arena", &w.emu) != NTMM_STATUS_SUCCESS ||
        ntmm_emulated_attach_system(w.emu, &w.system) != NTMM_STATUS_SUCCESS)
        return 1;
    run_story(&w, &y, 1000);
    printf("%p %llu\n", ntmm_emulated_arena(w.emu, NULL),
           (unsigned long long)ntmm_emulated_hash(w.emu));
    ntmm_emulated_destroy(w.emu, NULL);
    return 0;
}

static uint64_t hash_from_another_process(const char *where, const void *not_here)
{
    char command[4200], program[4096];
    unsigned long long hash = 0;
    void *arena = NULL;
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    assert_true(length > 0);
    program[length] = 0;
    assert_true(snprintf(command, sizeof command, "'%s' continue %s", program, where) > 0);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_int_equal(fscanf(pipe, "%p %llu", &arena, &hash), 2);
    assert_int_equal(pclose(pipe), 0);
    assert_ptr_not_equal(arena, not_here);
    return hash;
}

static void a_saved_system_continues_elsewhere_to_the_same_hash(void **state)
{
    (void)state;
    struct ntmm_emulated_config c = {
        .size = sizeof c, .version = NTMM_EMULATED_CONFIG_VERSION, .cpu_count = 2};
    char where[] = "test_system_XXXXXX", path[64];
    struct world w, here;
    struct story y, copy;
    assert_non_null(mkdtemp(where));
    begin_story(&w, &y, 3);
    run_story(&w, &y, 1000);
    assert_true(snprintf(path, sizeof path, "%s/arena", where) > 0);
    assert_int_equal(ntmm_emulated_save(w.emu, path), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_restore(&c, path, &here.emu), NTMM_STATUS_SUCCESS);
    assert_true(snprintf(path, sizeof path, "%s/story", where) > 0);
    write_story(path, &y);
    copy = y;
    run_story(&w, &y, 1000);
    uint64_t expected = ntmm_emulated_hash(w.emu);
    /* at another address of this process */
    assert_int_equal(ntmm_emulated_attach_system(here.emu, &here.system), NTMM_STATUS_SUCCESS);
    assert_ptr_not_equal(ntmm_emulated_arena(w.emu, NULL), ntmm_emulated_arena(here.emu, NULL));
    run_story(&here, &copy, 1000);
    assert_true(ntmm_emulated_hash(here.emu) == expected);
    /* in another process */
    assert_true(hash_from_another_process(where, ntmm_emulated_arena(w.emu, NULL)) == expected);
    end_world(&here);
    end_world(&w);
    assert_int_equal(unlink(path), 0);
    assert_true(snprintf(path, sizeof path, "%s/arena", where) > 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(where), 0);
}

static void a_machine_has_one_system(void **state)
{
    (void)state;
    struct world w;
    struct ntmm_system *second = NULL;
    make_world(&w, (struct ntmm_emulated_config){.ram_bytes = 4 * MIB}, 0);
    assert_int_equal(ntmm_emulated_create_system(w.emu, NULL, &second),
                     NTMM_STATUS_OBJECT_NAME_COLLISION);
    assert_int_equal(ntmm_emulated_attach_system(w.emu, &second),
                     NTMM_STATUS_OBJECT_NAME_COLLISION);
    assert_null(second);
    end_world(&w);
}

static void ram_with_a_hole_is_used_on_both_sides(void **state)
{
    (void)state;
    struct world w;
    make_world(&w,
               (struct ntmm_emulated_config){.ram_bytes = 2 * MIB,
                                             .base_pa = 16 * MIB,
                                             .hole_base_pa = 17 * MIB,
                                             .hole_bytes = 512 * MIB},
               0);
    ntmm_handle process = make_process(&w);
    uint64_t base = allocate(&w, process, 300 * PAGE, NTMM_PAGE_READWRITE);
    attach(&w, 0, process);
    fill(&w, 0, base, 300, 0x1000);
    verify(&w, 0, base, 300, 0x1000);
    end_world(&w);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "continue") == 0)
        return continue_elsewhere(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_stored_is_loaded),
        cmocka_unit_test(updates_and_fetches_go_through_the_door),
        cmocka_unit_test(violations_name_access_and_address),
        cmocka_unit_test(a_guard_page_raises_once),
        cmocka_unit_test(an_access_leaves_the_processor_as_it_was),
        cmocka_unit_test(t1_no_processor_keeps_what_services_withdrew),
        cmocka_unit_test(t1_a_freed_frame_shows_nothing_to_its_last_owner),
        cmocka_unit_test(processes_on_one_processor_do_not_mix),
        cmocka_unit_test(faults_wait_until_frames_are_freed),
        cmocka_unit_test(a_fault_that_nobody_can_help_fails),
        cmocka_unit_test(a_thread_waits_for_another_threads_frames),
        cmocka_unit_test(two_systems_interleaved_are_two_systems),
        cmocka_unit_test(two_systems_in_two_threads_are_two_systems),
        cmocka_unit_test(coroutines_hammer_shared_processes),
        cmocka_unit_test(threads_hammer_shared_processes),
        cmocka_unit_test(a_saved_system_continues_elsewhere_to_the_same_hash),
        cmocka_unit_test(a_machine_has_one_system),
        cmocka_unit_test(ram_with_a_hole_is_used_on_both_sides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
