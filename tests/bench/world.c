/*
 * See world.h.
 */
#include "world.h"

#include <string.h>

static void open_with(struct world *w, uint64_t ram_bytes, uint32_t flags)
{
    struct ntmm_emulated_config config = {
        .size = sizeof config,
        .version = NTMM_EMULATED_CONFIG_VERSION,
        .ram_bytes = ram_bytes,
        .flags = flags,
    };
    uint64_t arena_bytes;
    bench_must(ntmm_emulated_create(&config, &w->emu) == NTMM_STATUS_SUCCESS, "no machine");
    void *arena = ntmm_emulated_arena(w->emu, &arena_bytes);
    memset(arena, 0, (size_t)arena_bytes);
    bench_must(ntmm_emulated_create_system(w->emu, NULL, &w->system) == NTMM_STATUS_SUCCESS,
               "no system");
    bench_must(ntmm_create_process(w->system, NULL, &w->process) == NTMM_STATUS_SUCCESS,
               "no process");
    bench_must(ntmm_emulated_attach(w->emu, 0, w->process) == NTMM_STATUS_SUCCESS, "no attachment");
    w->cpu = ntmm_emulated_cpu(w->emu, 0);
}

void world_open(struct world *w, uint64_t ram_bytes)
{
    open_with(w, ram_bytes, NTMM_EMULATED_HUGE_PAGES);
}

void world_open_small_pages(struct world *w, uint64_t ram_bytes) { open_with(w, ram_bytes, 0); }

void world_open_threads(struct world *w, uint64_t ram_bytes)
{
    open_with(w, ram_bytes, NTMM_EMULATED_HUGE_PAGES | NTMM_EMULATED_THREADS);
}

void world_close(struct world *w)
{
    struct ntmm_teardown left;
    ntmm_emulated_destroy(w->emu, &left);
    bench_must(left.lost_pages == 0 && left.outstanding_commit == 0 && left.live_objects == 0,
               "a system left something allocated");
}

uint64_t world_allocate(struct world *w, uint64_t base, uint64_t size_bytes, uint32_t type)
{
    ntmm_status status = ntmm_allocate_virtual_memory(w->system, w->process, &base, 0, &size_bytes,
                                                      type, NTMM_PAGE_READWRITE);
    bench_must(status == NTMM_STATUS_SUCCESS, "an allocation failed");
    return base;
}

void world_release(struct world *w, uint64_t base)
{
    uint64_t size_bytes = 0;
    bench_must(ntmm_free_virtual_memory(w->system, w->process, &base, &size_bytes,
                                        NTMM_MEM_RELEASE) == NTMM_STATUS_SUCCESS,
               "a release failed");
}

void world_touch(struct world *w, uint64_t base, uint64_t page_count)
{
    for (uint64_t i = 0; i < page_count; i++) {
        ntmm_status status =
            ntmm_emulated_store(w->emu, 0, base + i * NTMM_PAGE_SIZE, &i, sizeof i, NULL, NULL);
        bench_must(status == NTMM_STATUS_SUCCESS, "a store failed");
    }
}

void world_fault_pages(struct world *w, ntmm_handle process, uint64_t base, uint64_t page_count)
{
    struct ntmm_fault_result result;
    struct ntmm_fault_request request = {
        .process = process,
        .error_code = NTMM_FAULT_WRITE | NTMM_FAULT_USER,
    };
    for (uint64_t i = 0; i < page_count; i++) {
        request.address = base + i * NTMM_PAGE_SIZE;
        ntmm_status status = ntmm_page_fault(w->system, &request, &result);
        bench_must(status == NTMM_STATUS_SUCCESS, "a fault was not resolved");
    }
}

void world_zero_frames(struct world *w)
{
    while (ntmm_zero_free_pages(w->system, 1u << 20) != 0) {
    }
}
