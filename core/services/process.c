/*
 * Creating, ending and describing processes.
 */
#include "base/bits.h"
#include "services/access.h"
#include "services/map_view.h"
#include "services/process_end.h"
#include "services/process_make.h"
#include "services/relief.h"
#include "services/space_search.h"
#include "space/call_targets.h"
#include "space/private.h"

#include <ntmm/constants.h>
#include <ntmm/process.h>

#define KNOWN_FLAGS                                                                                \
    (NTMM_PROCESS_RANDOM_LAYOUT | NTMM_PROCESS_HIGH_ENTROPY | NTMM_PROCESS_WOW64 |                 \
     NTMM_PROCESS_LARGE_ADDRESS_AWARE | NTMM_PROCESS_NOT_LARGE_ADDRESS_AWARE |                     \
     NTMM_PROCESS_NO_DYNAMIC_CODE | NTMM_PROCESS_CONTROL_FLOW_GUARD |                              \
     NTMM_PROCESS_FORCE_RELOCATE_IMAGES | NTMM_PROCESS_DISALLOW_STRIPPED_IMAGES)

bool process_capture_config(const struct ntmm_process_config *given,
                            struct ntmm_process_config *config)
{
    size_t size = given->version == 1 ? offsetof(struct ntmm_process_config, flags)
                                      : sizeof(struct ntmm_process_config);
    if (given->size != size || given->version < 1 || given->version > NTMM_PROCESS_CONFIG_VERSION)
        return false;
    *config = (struct ntmm_process_config){0};
    __builtin_memcpy(config, given, size);
    return true;
}

static ntmm_status check_config(const struct ntmm_process_config *config)
{
    uint64_t highest = config->highest_address;
    uint64_t bottom = config->bottom_up_start;
    if (highest > NTMM_HIGHEST_VAD_ADDRESS || (highest && highest <= NTMM_LOWEST_USER_ADDRESS) ||
        (highest + 1) % NTMM_PAGE_SIZE != (highest ? 0 : 1))
        return NTMM_STATUS_INVALID_PARAMETER_2;
    if (bottom && (bottom < NTMM_LOWEST_USER_ADDRESS || bottom > NTMM_HIGHEST_VAD_ADDRESS ||
                   !is_multiple(bottom, NTMM_ALLOCATION_GRANULARITY)))
        return NTMM_STATUS_INVALID_PARAMETER_2;
    if (config->flags & ~KNOWN_FLAGS || !access_is_protection(config->protection))
        return NTMM_STATUS_INVALID_PARAMETER_2;
    return NTMM_STATUS_SUCCESS;
}

/* The bitmap of a new process: at its own place, or the highest that is free. */
static ntmm_status make_bitmap(struct call *c, ntmm_handle handle, const struct layout *layout)
{
    uint64_t pages = targets_pages(layout->highest);
    struct vad_place place = {.start = layout->targets, .end = layout->targets + pages};
    struct process *process;
    ntmm_status status = process_lock_address(c, handle, 0, &process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (place.start < NTMM_LOWEST_USER_ADDRESS >> NTMM_PAGE_SHIFT ||
        !space_is_free(c, process, &place)) {
        struct space_bounds bounds = space_bounds_none();
        bounds.is_top_down = true;
        status = search_space(c, process, pages, &bounds, &place);
    }
    if (status == NTMM_STATUS_SUCCESS)
        status = targets_begin(c, process, &place);
    process_unlock_address(c, process);
    return status;
}

static ntmm_status create(struct call *c, const struct ntmm_process_config *config,
                          const struct layout *layout, ntmm_handle *handle)
{
    ntmm_status status = process_create(c, config, layout, PROCESS_LIVE, handle);
    if (status != NTMM_STATUS_SUCCESS || !(config->flags & NTMM_PROCESS_CONTROL_FLOW_GUARD))
        return status;
    status = make_bitmap(c, *handle, layout);
    if (status != NTMM_STATUS_SUCCESS) {
        struct want want = c->want;
        process_end_with_system(c, *handle);
        c->want = want;
    }
    return status;
}

ntmm_status ntmm_create_process(struct ntmm_system *system, const struct ntmm_process_config *given,
                                ntmm_handle *process)
{
    struct call c = call_begin_to_wait(system);
    struct relief relief = relief_begin();
    struct ntmm_process_config config = {.size = 0};
    ntmm_handle handle = 0;
    if (given && !process_capture_config(given, &config))
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    ntmm_status status = check_config(&config);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    struct layout layout = layout_choose(&c, &config, get32(&anchor_of(&c)->next_generation));
    do {
        status = create(&c, &config, &layout, &handle);
    } while (relieve(&c, &relief, NULL, &status));
    if (status == NTMM_STATUS_SUCCESS)
        *process = handle;
    return status;
}

/* The address space is empty; (A) and (W) are held, and released. */
static void retire(struct call *c, struct process *process)
{
    struct gather g;
    gather_begin(&g, process, NTMM_SHOOTDOWN_PROCESS);
    g.is_needed = true;
    gather_finish(c, process, &g);
    process_retire(c, process);
    process_unlock_address(c, process);
}

ntmm_status process_run_down(struct call *c, struct process *process)
{
    struct relief relief = relief_begin();
    ntmm_status status = NTMM_STATUS_SUCCESS;
    uint64_t reached = 0;
    private_discard_resident(c, process);
    while (!views_run_down(c, process, &reached) || !private_run_down(c, process)) {
        process_unlock_address(c, process);
        relief.tables = 0; /* each brought in is done with: there is no limit to their number */
        bool is_relieved = relieve(c, &relief, process, &status);
        process_relock_ending(c, process);
        if (!is_relieved) {
            store32_release(&process->state, PROCESS_END_FAILED);
            process_unlock_address(c, process);
            return status;
        }
    }
    retire(c, process);
    return NTMM_STATUS_SUCCESS;
}

ntmm_status ntmm_end_process(struct ntmm_system *system, ntmm_handle handle)
{
    struct call c = call_begin_to_wait(system);
    struct process *process;
    ntmm_status status = process_lock_ending(&c, handle, NTMM_PROCESS_TERMINATE, &process);
    return status == NTMM_STATUS_SUCCESS ? process_run_down(&c, process) : status;
}

void process_end_with_system(struct call *c, ntmm_handle handle)
{
    struct process *process;
    if (process_lock_ending(c, handle, 0, &process) != NTMM_STATUS_SUCCESS)
        return;
    uint64_t reached = 0;
    while (!views_run_down(c, process, &reached) || !private_run_down(c, process))
        private_abandon_table(c, process, c->want.page);
    retire(c, process);
}

ntmm_status ntmm_query_process(struct ntmm_system *system, ntmm_handle handle,
                               struct ntmm_process_information *information)
{
    struct call c = call_begin(system);
    struct process *process;
    ntmm_status status =
        process_lock_working_set(&c, handle, NTMM_PROCESS_QUERY_LIMITED_INFORMATION, &process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    *information = (struct ntmm_process_information){
        .process = handle,
        .root_frame = get64(&process->root_frame),
        .virtual_size_bytes = get64(&process->virtual_pages) << NTMM_PAGE_SHIFT,
        .peak_virtual_size_bytes = get64(&process->virtual_peak) << NTMM_PAGE_SHIFT,
        .region_count = get64(&process->vads.count),
        .commit_pages = get64(&process->commit_pages),
        .peak_commit_pages = get64(&process->commit_peak),
        .working_set_pages = get64(&process->working_set_pages),
        .peak_working_set_pages = get64(&process->working_set_peak),
        .table_pages = get64(&process->table_pages),
        .working_set_minimum_pages = get64(&process->working_set_minimum),
        .working_set_maximum_pages = get64(&process->working_set_maximum),
    };
    for (uint32_t i = 0; i < NTMM_COUNTER_COUNT; i++)
        information->counters[i] = get64(&process->counters[i]);
    process_unlock_working_set(&c, process);
    return NTMM_STATUS_SUCCESS;
}
