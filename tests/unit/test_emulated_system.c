/*
 * The emulated machine with a system in it: accesses with the door around them, T1 with every
 * processor holding a translation, and faults that wait for frames under the scheduler.
 */
#include "unit/emulated_world.h"

#include <pthread.h>

/* --- accesses --- */

static void what_is_stored_is_loaded(void **state)
{
    (void)state;
    struct world w;
    make_world(
        &w, (struct ntmm_emulated_config){.ram_bytes = 4 * MIB, .flags = NTMM_EMULATED_CHECK_LEVEL},
        0);
    ntmm_handle process = make_process(&w);
    uint64_t base = allocate(&w, process, 5 * PAGE, NTMM_PAGE_READWRITE);
    struct ntmm_fault_result result;
    static uint8_t in[3 * 4096 + 77], out[sizeof in];
    for (uint32_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)(i * 31 + i / 251);
    attach(&w, 0, process);
    assert_int_equal(ntmm_emulated_store(w.emu, 0, base + 4061, in, sizeof in, NULL, &result),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(result.kind, NTMM_FAULT_KIND_DEMAND_ZERO);
    assert_int_equal(ntmm_emulated_load(w.emu, 0, base + 4061, out, sizeof out, NULL, &result),
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
    assert_int_equal(ntmm_emulated_update(w.emu, 0, base + 9, 1, add_one, &calls, NULL, &result),
                     0);
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
    const uint64_t alike = 0x0102030404030201u; /* in both orders of bytes */
    assert_int_equal(store64(&w, 0, base, alike), 0);
    assert_false(cpu->inside);
    ntmm_cpu_enter(cpu);
    assert_int_equal(store64(&w, 0, base + PAGE, 8), 0);
    assert_true(cpu->inside);
    assert_int_equal(ntmm_cpu_read64(cpu, base, &value), NTMM_CPU_OK);
    assert_int_equal(value, alike);
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
            s->failures[spy->index] +=
                status != NTMM_STATUS_SUCCESS && status != NTMM_STATUS_ACCESS_VIOLATION;
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
        assert_int_equal(ntmm_emulated_spawn(p.w.emu, i + 1, fill_then_free, &workers[i], 0), 0);
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

int main(void)
{
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
        cmocka_unit_test(a_machine_has_one_system),
        cmocka_unit_test(ram_with_a_hole_is_used_on_both_sides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
