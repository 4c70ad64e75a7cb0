/*
 * See paging_world.h.
 */
#include "paging_world.h"

#include "space/wsl.h"

#include <ntmm/paging.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_PAGES 512u

/* The one held read, and whether reads are held: submit gets the machine's context, not ours. */
static struct ntmm_io *held_read;
static bool is_holding;

static void finish(struct ntmm_io *io)
{
    io->status = NTMM_STATUS_SUCCESS;
    io->transferred_bytes = (uint64_t)io->span_count << NTMM_PAGE_SHIFT;
    io->complete(io);
}

static ntmm_status submit_nothing(void *context, struct ntmm_io *io)
{
    (void)context;
    if (is_holding && io->operation == NTMM_IO_READ)
        held_read = io;
    else
        finish(io);
    return NTMM_STATUS_SUCCESS;
}

void paging_world_hold_reads(bool is_held) { is_holding = is_held; }

void paging_world_complete(void)
{
    struct ntmm_io *io = held_read;
    held_read = NULL;
    bench_must(io != NULL, "no read was submitted");
    finish(io);
}

static void create_system(struct paging_world *w)
{
    struct ntmm_platform platform = *ntmm_emulated_platform(w->world.emu);
    const struct ntmm_config config = {
        .size = sizeof config, .version = NTMM_CONFIG_VERSION, .read_cluster_pages = 1};
    platform.submit = submit_nothing;
    platform.wake = NULL;
    w->storage = bench_allocate(1, ntmm_system_size());
    bench_must(ntmm_create_system(w->storage, ntmm_system_size(), &config, &platform,
                                  &w->world.system) == NTMM_STATUS_SUCCESS,
               "no system");
}

void paging_world_open(struct paging_world *w, uint64_t ram_bytes, uint64_t file_bytes)
{
    struct ntmm_emulated_config config = {
        .size = sizeof config,
        .version = NTMM_EMULATED_CONFIG_VERSION,
        .ram_bytes = ram_bytes,
        .flags = NTMM_EMULATED_HUGE_PAGES,
    };
    struct ntmm_paging_file_config file = {
        .size = sizeof file, .version = NTMM_PAGING_FILE_VERSION, .initial_bytes = file_bytes};
    uint64_t arena_bytes;
    *w = (struct paging_world){0};
    bench_must(ntmm_emulated_create(&config, &w->world.emu) == NTMM_STATUS_SUCCESS, "no machine");
    void *arena = ntmm_emulated_arena(w->world.emu, &arena_bytes);
    memset(arena, 0, (size_t)arena_bytes);
    create_system(w);
    bench_must(ntmm_create_paging_file(w->world.system, &file, NULL) == NTMM_STATUS_SUCCESS,
               "no page file");
    bench_must(ntmm_create_process(w->world.system, NULL, &w->world.process) == NTMM_STATUS_SUCCESS,
               "no process");
}

void paging_world_close(struct paging_world *w)
{
    struct ntmm_teardown left;
    ntmm_destroy_system(w->world.system, &left);
    bench_must(left.lost_pages == 0 && left.outstanding_commit == 0 && left.live_objects == 0,
               "a system left something allocated");
    ntmm_emulated_destroy(w->world.emu, NULL);
    free(w->storage);
}

void world_fault(struct world *w, uint64_t address, uint32_t error_code)
{
    struct ntmm_fault_result result;
    const struct ntmm_fault_request request = {
        .process = w->process, .address = address, .error_code = error_code | NTMM_FAULT_USER};
    bench_must(ntmm_page_fault(w->system, &request, &result) == NTMM_STATUS_SUCCESS,
               "a fault was not resolved");
}

void world_empty_working_set(struct world *w)
{
    struct call c = call_begin(w->system);
    struct process *process;
    struct wsl_pass pass = {.examine = PIECE_PAGES, .trim = PIECE_PAGES};
    bench_must(process_lock_working_set(&c, w->process, 0, &process) == NTMM_STATUS_SUCCESS,
               "no process");
    while (get64(&process->working_set_pages) != 0)
        wsl_sweep(&c, process, &pass);
    process_unlock_working_set(&c, process);
}

void world_write_modified(struct world *w)
{
    while (ntmm_write_modified_pages(w->system, UINT64_MAX) != 0) {
    }
}

uint64_t world_counter(struct world *w, enum ntmm_counter counter)
{
    uint64_t values[NTMM_COUNTER_COUNT];
    ntmm_query_counters(w->system, values, NTMM_COUNTER_COUNT);
    return values[counter];
}
