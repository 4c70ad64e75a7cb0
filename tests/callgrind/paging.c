/*
 * Paging, one operation at a time. The device moves nothing and completes inside its submission;
 * read-ahead is off. So what is counted of a hard fault is everything but the device.
 *
 *   soft_fault_*  from a list, valid again      trim_*          from valid to a list
 *   hard_fault_*  from the page file            write_modified  from Modified to Standby
 *   make_dirty_*  valid, clean, with a slot
 */
#include "scenarios.h"

#include <stdlib.h>

#include "space/wsl.h"

#include <ntmm/paging.h>

#define RAM_BYTES (40 * MEBIBYTE)
#define TABLE_FRAMES 64u /* more than the tables of the region take */
#define PIECE_PAGES 512u

static ntmm_status submit_nothing(void *context, struct ntmm_io *io)
{
    (void)context;
    io->status = NTMM_STATUS_SUCCESS;
    io->transferred_bytes = (uint64_t)io->span_count * NTMM_PAGE_SIZE;
    io->complete(io);
    return NTMM_STATUS_SUCCESS;
}

void paging_open(struct machine *m, uint64_t file_bytes, uint32_t cluster_pages)
{
    const struct ntmm_config config = {
        .size = sizeof config, .version = NTMM_CONFIG_VERSION, .read_cluster_pages = cluster_pages};
    const struct ntmm_paging_file_config file = {
        .size = sizeof file, .version = NTMM_PAGING_FILE_VERSION, .initial_bytes = file_bytes};
    struct ntmm_platform platform = *ntmm_emulated_platform(m->emu);
    platform.submit = submit_nothing;
    platform.wake = NULL;
    m->storage = calloc(1, ntmm_system_size());
    must(m->storage != NULL, "out of memory");
    must_be(ntmm_create_system(m->storage, ntmm_system_size(), &config, &platform, &m->system),
            NTMM_STATUS_SUCCESS);
    must_be(ntmm_create_paging_file(m->system, &file, NULL), NTMM_STATUS_SUCCESS);
    must_be(ntmm_create_process(m->system, NULL, &m->process), NTMM_STATUS_SUCCESS);
}

void paging_close(struct machine *m)
{
    struct ntmm_teardown left;
    ntmm_destroy_system(m->system, &left);
    must(left.lost_pages == 0 && left.outstanding_commit == 0, "something was lost");
    free(m->storage);
}

/* --- steps --- */

static void touch(struct machine *m, uint64_t first, uint64_t pages, uint32_t error_code)
{
    for (uint64_t i = first; i < first + pages; i++)
        must_be(knock(m, BASE + i * NTMM_PAGE_SIZE, error_code), NTMM_STATUS_SUCCESS);
}

static void trim(struct machine *m)
{
    struct call c = call_begin(m->system);
    struct process *process;
    struct wsl_pass pass = {.examine = PIECE_PAGES, .trim = PIECE_PAGES};
    must_be(process_lock_working_set(&c, m->process, 0, &process), NTMM_STATUS_SUCCESS);
    while (get64(&process->working_set_pages) != 0)
        wsl_sweep(&c, process, &pass);
    process_unlock_working_set(&c, process);
}

static void write_modified(struct machine *m)
{
    while (ntmm_write_modified_pages(m->system, UINT64_MAX) != 0) {
    }
}

/* Another process takes frames until only so many are free. */
static ntmm_handle leave_free_frames(struct machine *m, uint64_t left)
{
    struct ntmm_memory_information memory;
    ntmm_handle process = m->process, other;
    must_be(ntmm_create_process(m->system, NULL, &other), NTMM_STATUS_SUCCESS);
    m->process = other;
    allocate(m, BASE, RAM_BYTES, RESERVE_COMMIT, NTMM_PAGE_READWRITE);
    for (uint64_t i = 0;; i++) {
        ntmm_query_memory(m->system, &memory);
        if (memory.free_pages + memory.zeroed_pages <= left)
            break;
        touch(m, i, 1, NTMM_FAULT_WRITE);
    }
    m->process = process;
    return other;
}

/* --- states in which a scenario begins --- */

static void prepare_valid(struct machine *m, uint64_t pages)
{
    allocate(m, BASE, pages * NTMM_PAGE_SIZE, RESERVE_COMMIT, NTMM_PAGE_READWRITE);
    touch(m, 0, pages, NTMM_FAULT_WRITE);
}

static void prepare_modified(struct machine *m, uint64_t pages)
{
    prepare_valid(m, pages);
    trim(m);
}

static void prepare_standby(struct machine *m, uint64_t pages)
{
    prepare_modified(m, pages);
    write_modified(m);
}

/* Valid, clean, with a slot. */
static void prepare_clean(struct machine *m, uint64_t pages)
{
    prepare_standby(m, pages);
    touch(m, 0, pages, 0);
}

/* A region three times as large as memory: its first third is out, its last on Standby. */
static void prepare_out(struct machine *m, uint64_t pages)
{
    allocate(m, BASE, 3 * pages * NTMM_PAGE_SIZE, RESERVE_COMMIT, NTMM_PAGE_READWRITE);
    for (uint64_t i = 0; i < 3 * pages; i += PIECE_PAGES) {
        touch(m, i, PIECE_PAGES, NTMM_FAULT_WRITE);
        trim(m);
        write_modified(m);
    }
}

static void prepare_out_none_free(struct machine *m, uint64_t pages)
{
    (void)leave_free_frames(m, pages + TABLE_FRAMES);
    prepare_out(m, pages);
}

static void prepare_out_some_free(struct machine *m, uint64_t pages)
{
    ntmm_handle other = leave_free_frames(m, pages + TABLE_FRAMES);
    prepare_out(m, pages);
    must_be(ntmm_end_process(m->system, other), NTMM_STATUS_SUCCESS);
}

/* --- what is counted --- */

static void run_reads(struct machine *m) { touch(m, 0, PAGES, 0); }

static void run_writes(struct machine *m) { touch(m, 0, PAGES, NTMM_FAULT_WRITE); }

static void run_writes_of_present(struct machine *m)
{
    touch(m, 0, PAGES, NTMM_FAULT_WRITE | NTMM_FAULT_PRESENT);
}

const struct scenario paging_scenarios[] = {
    {"soft_fault_modified", RAM_BYTES, PAGES, PAGES, prepare_modified, run_writes, false},
    {"soft_fault_standby", RAM_BYTES, PAGES, PAGES, prepare_standby, run_reads, false},
    {"soft_fault_standby_write", RAM_BYTES, PAGES, PAGES, prepare_standby, run_writes, false},
    {"make_dirty_with_slot", RAM_BYTES, PAGES, PAGES, prepare_clean, run_writes_of_present, false},
    {"hard_fault_standby", RAM_BYTES, PAGES, PAGES, prepare_out_none_free, run_reads, false},
    {"hard_fault_free", RAM_BYTES, PAGES, PAGES, prepare_out_some_free, run_reads, false},
    {"trim_modified", RAM_BYTES, PAGES, PAGES, prepare_valid, trim, false},
    {"trim_clean", RAM_BYTES, PAGES, PAGES, prepare_clean, trim, false},
    {"write_modified", RAM_BYTES, PAGES, PAGES, prepare_modified, write_modified, false},
};
const uint32_t paging_scenario_count = sizeof paging_scenarios / sizeof *paging_scenarios;
