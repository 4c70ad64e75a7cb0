/*
 * See page_out.h. Tables of a level become idle when those below them are gone, so it goes round
 * once for each level.
 */
#include "paging/page_out.h"

#include "paging/transfers.h"
#include "space/wsl.h"
#include "workingset/area_tables.h"

#define LEVELS 4u

ntmm_status page_out_add_file(struct ntmm_emulated *emu)
{
    const struct ntmm_emulated_disk_config disk = {
        .size = sizeof disk,
        .version = NTMM_EMULATED_DISK_VERSION,
        .size_bytes = PAGE_OUT_FILE_BYTES,
        .flags = NTMM_EMULATED_DISK_INLINE,
    };
    struct ntmm_paging_file_config file = {
        .size = sizeof file,
        .version = NTMM_PAGING_FILE_VERSION,
        .initial_bytes = PAGE_OUT_FILE_BYTES,
    };
    ntmm_status status = ntmm_emulated_add_disk(emu, &disk, &file.device);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    return ntmm_create_paging_file(ntmm_emulated_system(emu), &file, NULL);
}

/* Sweep a working set from the beginning to the end, whatever its pages' age. */
static void empty_working_set(struct call *c, struct process *process)
{
    struct wsl_pass pass;
    set64(&process->hand, 0);
    do {
        pass = (struct wsl_pass){.examine = UINT64_MAX, .trim = UINT64_MAX, .trim_age = 0};
        wsl_sweep(c, process, &pass);
    } while (!pass.wrapped);
}

static void empty_all(struct call *c)
{
    uint32_t slots = load32_acquire(&anchor_of(c)->slot_count);
    for (uint32_t slot = 0; slot < slots; slot++) {
        struct process *process = process_in_slot(c, slot);
        working_set_acquire(c, process);
        if (get64(&process->handle) != 0)
            empty_working_set(c, process);
        process_unlock_working_set(c, process);
    }
}

static void write_all(struct call *c)
{
    const struct ntmm_platform *platform = &c->sys->platform;
    while (writer_run(c, UINT64_MAX) != 0 || transfers_in_use(c) != 0)
        platform->pump(platform->context);
}

/* Take every frame that can be had, and give them back, if any of them holds a page. False: none
 * does. */
static bool take_all(struct call *c)
{
    struct frame_chain chain = chain_empty();
    uint64_t frame;
    if (load64_relaxed(&partition_of(c)->standby_pages) == 0)
        return false;
    while (frame_allocate(c, NTMM_USE_FREE, &frame))
        chain_add(c, &chain, frame);
    chain_free(c, &chain);
    return true;
}

void page_out_everything(struct ntmm_emulated *emu)
{
    struct call c = call_begin(ntmm_emulated_system(emu));
    bool is_done = false;
    for (uint32_t level = 0; level < LEVELS && !is_done; level++) {
        empty_all(&c);
        (void)area_tables_sweep(&c, UINT64_MAX, UINT64_MAX);
        write_all(&c);
        is_done = !take_all(&c);
    }
}
