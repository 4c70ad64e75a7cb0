/*
 * Calls on single pages beside the host's calls of the same kind. The page is touched, and lies in
 * the middle of a region of 256 pages.
 */
#include "world.h"

#include <sys/mman.h>

#define REGION_PAGES 256u
#define MIDDLE (128u * NTMM_PAGE_SIZE)

struct single {
    struct world world;
    uint64_t page; /* ours */
    uint8_t *host_page;
    size_t calls;
};

static void protect(struct single *s, uint32_t protection)
{
    uint64_t base = s->page, size_bytes = NTMM_PAGE_SIZE;
    uint32_t old;
    bench_must(ntmm_protect_virtual_memory(s->world.system, s->world.process, &base, &size_bytes,
                                           protection, &old) == NTMM_STATUS_SUCCESS,
               "a change of protection failed");
}

static double ours_protect(void *context)
{
    struct single *s = context;
    uint64_t begin = bench_now_ns();
    for (size_t i = 0; i < s->calls; i++)
        protect(s, i & 1 ? NTMM_PAGE_READWRITE : NTMM_PAGE_READONLY);
    return (double)(bench_now_ns() - begin) / (double)s->calls;
}

static double host_protect(void *context)
{
    struct single *s = context;
    uint64_t begin = bench_now_ns();
    for (size_t i = 0; i < s->calls; i++) {
        int protection = i & 1 ? PROT_READ | PROT_WRITE : PROT_READ;
        bench_must(mprotect(s->host_page, NTMM_PAGE_SIZE, protection) == 0, "mprotect failed");
    }
    return (double)(bench_now_ns() - begin) / (double)s->calls;
}

static void decommit(struct single *s)
{
    uint64_t base = s->page, size_bytes = NTMM_PAGE_SIZE;
    bench_must(ntmm_free_virtual_memory(s->world.system, s->world.process, &base, &size_bytes,
                                        NTMM_MEM_DECOMMIT) == NTMM_STATUS_SUCCESS,
               "a decommit failed");
}

static double ours_decommit(void *context)
{
    struct single *s = context;
    uint64_t begin = bench_now_ns();
    for (size_t i = 0; i < s->calls; i++) {
        decommit(s);
        world_allocate(&s->world, s->page, NTMM_PAGE_SIZE, NTMM_MEM_COMMIT);
        world_touch(&s->world, s->page, 1);
    }
    return (double)(bench_now_ns() - begin) / (double)s->calls;
}

static double host_discard(void *context)
{
    struct single *s = context;
    uint64_t begin = bench_now_ns();
    for (size_t i = 0; i < s->calls; i++) {
        bench_must(madvise(s->host_page, NTMM_PAGE_SIZE, MADV_DONTNEED) == 0, "madvise failed");
        *(volatile uint64_t *)(void *)s->host_page = i;
    }
    return (double)(bench_now_ns() - begin) / (double)s->calls;
}

void bench_single_pages(struct bench *b)
{
    struct single s = {.calls = bench_scale(b, 20000, 100)};
    size_t bytes = REGION_PAGES * NTMM_PAGE_SIZE;
    uint8_t *host = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bench_must(host != MAP_FAILED && madvise(host, bytes, MADV_NOHUGEPAGE) == 0, "mmap failed");
    for (size_t i = 0; i < bytes; i += NTMM_PAGE_SIZE)
        *(volatile uint64_t *)(void *)(host + i) = i;
    s.host_page = host + MIDDLE;

    world_open(&s.world, 32u * 1024 * 1024);
    uint64_t base = world_allocate(&s.world, 0, bytes, NTMM_MEM_RESERVE | NTMM_MEM_COMMIT);
    world_touch(&s.world, base, REGION_PAGES);
    s.page = base + MIDDLE;
    bench_run(b, bench_add(b, "ns", "change protection of a page"), ours_protect, "mprotect",
              host_protect, &s);
    bench_run(b, bench_add(b, "ns", "decommit, commit and touch a page"), ours_decommit,
              "DONTNEED, touch", host_discard, &s);
    world_close(&s.world);
    munmap(host, bytes);
}
