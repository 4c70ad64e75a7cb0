/*
 * What the memory manager keeps for itself of a RAM that four processes have filled: PFN database
 * and fixed structures, page tables, slabs, process objects.
 */
#include "world.h"

#define PROCESSES 4u
#define PIECE_PAGES 256u

static bool grow(struct world *w, uint64_t *size_pages)
{
    uint64_t base = 0, size_bytes = PIECE_PAGES * NTMM_PAGE_SIZE;
    ntmm_status status =
        ntmm_allocate_virtual_memory(w->system, w->process, &base, 0, &size_bytes,
                                     NTMM_MEM_RESERVE | NTMM_MEM_COMMIT, NTMM_PAGE_READWRITE);
    if (status != NTMM_STATUS_SUCCESS)
        return false;
    for (uint64_t i = 0; i < PIECE_PAGES; i++) {
        if (ntmm_emulated_store(w->emu, 0, base + i * NTMM_PAGE_SIZE, &i, sizeof i, NULL, NULL) !=
            NTMM_STATUS_SUCCESS)
            return false;
        (*size_pages)++;
    }
    return true;
}

static void fill(struct world *w, uint64_t *user_pages)
{
    ntmm_handle processes[PROCESSES] = {w->process};
    for (unsigned i = 1; i < PROCESSES; i++)
        bench_must(ntmm_create_process(w->system, NULL, &processes[i]) == NTMM_STATUS_SUCCESS,
                   "no process");
    bool is_full = false;
    for (unsigned i = 0; !is_full; i = (i + 1) % PROCESSES) {
        w->process = processes[i];
        bench_must(ntmm_emulated_attach(w->emu, 0, w->process) == NTMM_STATUS_SUCCESS,
                   "no attachment");
        is_full = !grow(w, user_pages);
    }
}

void bench_metadata(struct bench *b)
{
    struct world w;
    struct ntmm_memory_information m;
    uint64_t user_pages = 0;
    world_open(&w, bench_scale(b, 1024, 64) * 1024 * 1024);
    fill(&w, &user_pages);
    ntmm_query_memory(w.system, &m);
    uint64_t kept = m.metadata_pages + m.table_pages + m.slab_pages + m.process_pages;
    struct bench_figure *figure = bench_add(b, "%", "metadata of RAM filled by four processes");
    bench_bar(figure, BAR_AT_MOST, 1.5);
    figure->ours.values[figure->ours.count++] = 100 * (double)kept / (double)m.total_pages;
    bench_note(
        figure, "%u MiB: %.3f %% fixed, %.3f %% tables, %.3f %% slabs; %.2f %% of RAM touched",
        (unsigned)(m.total_pages >> 8), 100 * (double)m.metadata_pages / (double)m.total_pages,
        100 * (double)m.table_pages / (double)m.total_pages,
        100 * (double)m.slab_pages / (double)m.total_pages,
        100 * (double)user_pages / (double)m.total_pages);
    world_close(&w);
}
