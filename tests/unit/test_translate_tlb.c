/*
 * An embedder's TLB, filled only by ntmm_translate and emptied only by the invalidation sink, under
 * random operations while memory pages: it never serves a stale translation or a wrong byte.
 *
 *   access --hit--> bytes of the arena
 *     | miss                                    sink --> forgets the range in every TLB
 *     v
 *   ntmm_translate --denied--> ntmm_page_fault, again
 *
 * With one thread each access is made by the emulated processor too, and both must agree with it
 * and with what was last written, or raise the same exception. With threads, each worker's lock is
 * the "inside" of the contract: the sink waits for it.
 */
#include "paging/page_out.h"
#include "unit/storage.h"

#include "base/prng.h"

#include <ntmm/borrow.h>

#include <pthread.h>

#define LINES 64u
#define PAGES 96u
#define WORKERS 3u
#define ATTEMPTS 1000u
#define SPAN (2 * MIB)

struct line {
    uint64_t page; /* va | 1; 0: empty */
    uint8_t *host;
    uint32_t rights;
};

/* A processor of the embedder's, and what it did. */
struct tlb {
    struct machine *m;
    ntmm_handle process;
    pthread_mutex_t inside;
    struct line lines[LINES];
    uint64_t hits, fills, forgotten;
};

struct scene {
    struct machine *m;
    struct tlb tlbs[WORKERS];
    uint32_t count;
};

static uint64_t page_va(uint64_t page) { return BASE + page / 24 * SPAN + page % 24 * PAGE; }

static void enter(struct tlb *tlb) { (void)pthread_mutex_lock(&tlb->inside); }
static void leave(struct tlb *tlb) { (void)pthread_mutex_unlock(&tlb->inside); }

static void forget(void *context, ntmm_handle process, uint64_t base, uint64_t end,
                   enum ntmm_shootdown_reason reason)
{
    struct scene *s = context;
    (void)reason;
    for (uint32_t i = 0; i < s->count; i++) {
        struct tlb *tlb = &s->tlbs[i];
        if (tlb->process != process)
            continue;
        enter(tlb);
        for (uint32_t n = 0; n < LINES; n++) {
            uint64_t page = tlb->lines[n].page;
            if (page == 0 || page < base || page >= end)
                continue;
            tlb->lines[n].page = 0;
            tlb->forgotten++;
        }
        leave(tlb);
    }
}

static uint8_t *host_of(struct machine *m, uint64_t pa)
{
    return (uint8_t *)ntmm_emulated_arena(m->emu, NULL) + pa;
}

/* Every page of the run that was found, so that runs are tested too. */
static void fill(struct tlb *tlb, const struct ntmm_translation *t)
{
    uint8_t *host = host_of(tlb->m, t->physical_address & ~(PAGE - 1));
    tlb->fills++;
    for (uint64_t at = 0; at < t->run_bytes && at < 8 * PAGE; at += PAGE) {
        uint64_t va = t->run_base + at;
        tlb->lines[(va >> 12) % LINES] = (struct line){va | 1, host + at, t->rights};
    }
}

static ntmm_status find(struct tlb *tlb, uint64_t va, uint32_t access, uint8_t **host)
{
    struct line *line = &tlb->lines[(va >> 12) % LINES];
    if (line->page != ((va & ~(PAGE - 1)) | 1) || (access & ~line->rights)) {
        struct ntmm_translation t = {.size = sizeof t};
        ntmm_status status =
            ntmm_translate(tlb->m->system, tlb->process, va, access | NTMM_TRANSLATE_MARK, &t);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        fill(tlb, &t);
    } else {
        tlb->hits++;
    }
    *host = line->host + (va & (PAGE - 1));
    return NTMM_STATUS_SUCCESS;
}

static ntmm_status knock(struct tlb *tlb, uint64_t va, uint32_t access)
{
    struct ntmm_fault_result result;
    const struct ntmm_fault_request request = {
        .process = tlb->process,
        .address = va,
        .error_code = NTMM_FAULT_USER | (access & NTMM_TRANSLATE_WRITE ? NTMM_FAULT_WRITE : 0u),
    };
    return ntmm_page_fault(tlb->m->system, &request, &result);
}

/* One aligned word, read or written. */
static ntmm_status access_word(struct tlb *tlb, uint64_t va, uint32_t access, uint64_t *value)
{
    for (uint32_t attempt = 0; attempt < ATTEMPTS; attempt++) {
        uint8_t *host;
        enter(tlb);
        ntmm_status status = find(tlb, va, access, &host);
        if (status == NTMM_STATUS_SUCCESS && (access & NTMM_TRANSLATE_WRITE))
            __atomic_store_n((uint64_t *)(void *)host, *value, __ATOMIC_RELAXED);
        else if (status == NTMM_STATUS_SUCCESS)
            *value = __atomic_load_n((uint64_t *)(void *)host, __ATOMIC_RELAXED);
        leave(tlb);
        if (status == NTMM_STATUS_SUCCESS)
            return status;
        status = knock(tlb, va, access);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
    }
    return NTMM_STATUS_INTERNAL_ERROR;
}

static void open_scene(struct scene *s, uint64_t ram_bytes, uint32_t count, uint32_t flags,
                       uint64_t seed)
{
    const struct machine_setup setup = {
        .hardware = {.ram_bytes = ram_bytes, .cpu_count = WORKERS, .flags = flags, .seed = seed}};
    *s = (struct scene){.m = machine_open(&setup), .count = count};
    (void)must_add_file(s->m, 4 * MIB, 4 * MIB, NULL);
    for (uint32_t i = 0; i < count; i++) {
        struct tlb *tlb = &s->tlbs[i];
        tlb->m = s->m;
        tlb->process = i == 0 ? s->m->process : machine_add_process(s->m);
        assert_int_equal(pthread_mutex_init(&tlb->inside, NULL), 0);
        assert_int_equal(ntmm_emulated_attach(s->m->emu, i, tlb->process), NTMM_STATUS_SUCCESS);
        for (uint64_t at = 0; at < PAGES; at += 24) {
            uint64_t base = page_va(at), size = 24 * PAGE;
            assert_int_equal(ntmm_allocate_virtual_memory(s->m->system, tlb->process, &base, 0,
                                                          &size, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT,
                                                          NTMM_PAGE_READWRITE),
                             NTMM_STATUS_SUCCESS);
        }
    }
    ntmm_set_invalidation_sink(s->m->system, forget, s);
}

static void close_scene(struct scene *s)
{
    uint64_t hits = 0, fills = 0, forgotten = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        hits += s->tlbs[i].hits;
        fills += s->tlbs[i].fills;
        forgotten += s->tlbs[i].forgotten;
        (void)pthread_mutex_destroy(&s->tlbs[i].inside);
    }
    print_message("%u hits, %u fills, %u lines forgotten\n", (unsigned)hits, (unsigned)fills,
                  (unsigned)forgotten);
    assert_true(hits > fills / 8 && fills > 100 && forgotten > 100);
    must_finish_transfers(s->m);
    ntmm_set_invalidation_sink(s->m->system, NULL, NULL);
    assert_true(machine_counter(s->m, NTMM_COUNTER_HARD_FAULTS) > 0);
    machine_close(s->m);
}

/* --- one thread --- */

/* What a page holds, and what was last done to it. */
struct shadow {
    uint64_t value;
    bool is_committed;
    uint32_t protect;
};

static ntmm_status expected_of(const struct shadow *page, bool is_write)
{
    if (!page->is_committed || page->protect == NTMM_PAGE_NOACCESS)
        return NTMM_STATUS_ACCESS_VIOLATION;
    bool may = page->protect == NTMM_PAGE_READWRITE || !is_write;
    return may ? NTMM_STATUS_SUCCESS : NTMM_STATUS_ACCESS_VIOLATION;
}

static void compare_access(struct scene *s, uint32_t who, struct shadow *page, uint64_t va,
                           struct prng *prng)
{
    bool is_write = prng_below(prng, 2) == 0;
    bool is_ours_first = prng_below(prng, 2) == 0;
    uint64_t value = prng_next(prng), found = 0, theirs = 0;
    ntmm_status status, other;
    struct tlb *tlb = &s->tlbs[who];
    if (is_write && is_ours_first) {
        status = access_word(tlb, va, NTMM_TRANSLATE_WRITE, &value);
        other = ntmm_emulated_load(s->m->emu, who, va, &found, 8, NULL, NULL);
        assert_true(other == NTMM_STATUS_SUCCESS || status != NTMM_STATUS_SUCCESS);
    } else if (is_write) {
        status = ntmm_emulated_store(s->m->emu, who, va, &value, 8, NULL, NULL);
        other = access_word(tlb, va, NTMM_TRANSLATE_READ, &found);
        assert_true(other == NTMM_STATUS_SUCCESS || status != NTMM_STATUS_SUCCESS);
    } else {
        status = access_word(tlb, va, NTMM_TRANSLATE_READ, &found);
        other = ntmm_emulated_load(s->m->emu, who, va, &theirs, 8, NULL, NULL);
        assert_int_equal(other, status);
        assert_int_equal(theirs, found);
    }
    assert_int_equal(status, expected_of(page, is_write));
    if (is_write && status == NTMM_STATUS_SUCCESS)
        page->value = value;
    if (other == NTMM_STATUS_SUCCESS)
        assert_int_equal(found, page->value);
}

static void change_page(struct scene *s, uint32_t who, struct shadow *page, uint64_t va,
                        struct prng *prng)
{
    static const uint32_t protections[] = {NTMM_PAGE_READWRITE, NTMM_PAGE_READONLY,
                                           NTMM_PAGE_NOACCESS};
    struct ntmm_system *system = s->m->system;
    ntmm_handle process = s->tlbs[who].process;
    uint64_t base = va, size = PAGE;
    uint32_t old;
    if (!page->is_committed) {
        assert_int_equal(ntmm_allocate_virtual_memory(system, process, &base, 0, &size,
                                                      NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE),
                         NTMM_STATUS_SUCCESS);
        *page = (struct shadow){.is_committed = true, .protect = NTMM_PAGE_READWRITE};
    } else if (prng_below(prng, 4) == 0) {
        assert_int_equal(ntmm_free_virtual_memory(system, process, &base, &size, NTMM_MEM_DECOMMIT),
                         NTMM_STATUS_SUCCESS);
        *page = (struct shadow){.value = 0};
    } else {
        page->protect = protections[prng_below(prng, 3)];
        assert_int_equal(
            ntmm_protect_virtual_memory(system, process, &base, &size, page->protect, &old),
            NTMM_STATUS_SUCCESS);
    }
}

static void agrees_with_the_processor(void **state)
{
    static struct shadow shadows[2][PAGES];
    struct scene s;
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct prng prng;
        prng_seed(&prng, seed);
        open_scene(&s, 640 * 1024, 2, 0, seed);
        for (uint32_t i = 0; i < 2 * PAGES; i++)
            shadows[i / PAGES][i % PAGES] =
                (struct shadow){.is_committed = true, .protect = NTMM_PAGE_READWRITE};
        for (uint32_t step = 0; step < 20000; step++) {
            uint32_t who = (uint32_t)prng_below(&prng, 2);
            uint64_t n = prng_below(&prng, prng_below(&prng, 4) ? 16 : PAGES);
            uint64_t kind = prng_below(&prng, 100);
            uint64_t va = page_va(n);
            if (kind == 0)
                ntmm_balance_set_manager(s.m->system);
            else if (kind == 1 && step % 8 == 0)
                page_out_everything(s.m->emu);
            else if (kind < 8)
                change_page(&s, who, &shadows[who][n], va, &prng);
            else
                compare_access(&s, who, &shadows[who][n], va, &prng);
        }
        must_finish_transfers(s.m);
        machine_assert_sound(s.m);
        close_scene(&s);
    }
}

/* --- threads --- */

struct worker {
    struct scene *scene;
    pthread_t thread;
    uint32_t index;
    uint32_t losses;
    ntmm_status status; /* the first that was no success */
    uint64_t values[PAGES];
};

static void expect(struct worker *w, ntmm_status status)
{
    if (w->status == NTMM_STATUS_SUCCESS)
        w->status = status;
}

static void protect(struct worker *w, uint64_t va, uint32_t to)
{
    uint64_t size = PAGE;
    uint32_t old;
    expect(w, ntmm_protect_virtual_memory(w->scene->m->system, w->scene->tlbs[w->index].process,
                                          &va, &size, to, &old));
}

static void *work(void *context)
{
    struct worker *w = context;
    struct tlb *tlb = &w->scene->tlbs[w->index];
    struct prng prng;
    prng_seed(&prng, w->index);
    ntmm_emulated_bind_thread(w->scene->m->emu, w->index);
    for (uint32_t step = 0; step < 4000 && w->status == NTMM_STATUS_SUCCESS; step++) {
        uint64_t n = prng_below(&prng, prng_below(&prng, 4) ? 16 : PAGES);
        uint64_t va = page_va(n), value = prng_next(&prng);
        uint64_t kind = prng_below(&prng, 64);
        if (kind == 0) {
            ntmm_balance_set_manager(w->scene->m->system);
        } else if (kind == 1) {
            protect(w, va, NTMM_PAGE_READONLY);
            protect(w, va, NTMM_PAGE_READWRITE);
        } else if (kind & 1) {
            expect(w, access_word(tlb, va, NTMM_TRANSLATE_WRITE, &value));
            w->values[n] = value;
        } else {
            expect(w, access_word(tlb, va, NTMM_TRANSLATE_READ, &value));
            w->losses += value != w->values[n];
        }
    }
    return NULL;
}

static void threads_see_no_stale_translation(void **state)
{
    static struct worker workers[WORKERS];
    struct scene s;
    (void)state;
    open_scene(&s, 768 * 1024, WORKERS, NTMM_EMULATED_THREADS, 5);
    for (uint32_t i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.scene = &s, .index = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_int_equal(workers[i].status, NTMM_STATUS_SUCCESS);
        assert_int_equal(workers[i].losses, 0);
    }
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_processor),
        cmocka_unit_test(threads_see_no_stale_translation),
    };
    return cmocka_run_group_tests_name("translate_tlb", tests, NULL, NULL);
}
