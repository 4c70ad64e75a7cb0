/*
 * Call targets: setting single ones, for NtSetInformationVirtualMemory, and asking for one.
 *
 * Order of setting: the process, the range, which is executable all over, then each target; what is
 * needed is got, and then nothing can fail. A process without a bitmap has its targets checked and
 * marked as processed, no more. Source: nt_semantics 3.7.
 */
#include "services/call_targets.h"
#include "services/query.h"
#include "services/relief.h"
#include "space/call_targets.h"
#include "space/protection.h"

#include <ntmm/call_target.h>
#include <ntmm/memory.h>

#define ALIGNMENT 16u
#define KNOWN_FLAGS ((uint64_t)(NTMM_CFG_CALL_TARGET_VALID | NTMM_CFG_CALL_TARGET_PROCESSED))

/* Whether every page is committed and executable, as far as tables are in memory (WANT_TABLE). */
static bool is_executable(struct call *c, struct process *process, struct page_range range)
{
    for (uint64_t page = range.start; page < range.end;) {
        struct ntmm_memory_basic_information found;
        uint32_t code;
        query_describe_until(c, process, page, range.end, &found);
        if (c->want.kind != WANT_NOTHING)
            return false;
        if (found.state != NTMM_MEM_COMMIT || !protection_of_view(found.protect, &code) ||
            !protection_can_execute(code))
            return false;
        page += found.region_size >> NTMM_PAGE_SHIFT;
    }
    return range.start < range.end;
}

static bool are_legal(const struct ntmm_memory_range_entry *range,
                      const struct ntmm_cfg_call_target_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const struct ntmm_cfg_call_target *target = &list->targets[i];
        if (target->offset % ALIGNMENT || target->offset >= range->number_of_bytes ||
            target->flags & ~KNOWN_FLAGS)
            return false;
    }
    return true;
}

/* (A) and (W) are held. */
static ntmm_status set_targets(struct call *c, struct process *process, struct page_range pages,
                               const struct ntmm_memory_range_entry *range,
                               const struct ntmm_cfg_call_target_list *list)
{
    bool is_code = is_executable(c, process, pages);
    if (c->want.kind != WANT_NOTHING)
        return want_status(c);
    if (!is_code || !are_legal(range, list))
        return NTMM_STATUS_INVALID_PARAMETER;
    if (!targets_are_kept(process))
        return NTMM_STATUS_SUCCESS;
    ntmm_status status = targets_prepare(c, process, pages.start, pages.end);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct ntmm_cfg_call_target *target = &list->targets[i];
        uint64_t address = (range->virtual_address + target->offset) & ~(uint64_t)(ALIGNMENT - 1);
        targets_set_one(c, process, address, (target->flags & NTMM_CFG_CALL_TARGET_VALID) != 0);
    }
    targets_prune(c, process, pages.start, pages.end);
    return NTMM_STATUS_SUCCESS;
}

ntmm_status call_targets_set(struct call *c, ntmm_handle handle, struct page_range pages,
                             const struct ntmm_memory_range_entry *range,
                             struct ntmm_cfg_call_target_list *list)
{
    struct relief relief = relief_begin();
    struct process *process;
    ntmm_status status;
    do {
        status = process_lock_address(c, handle, NTMM_PROCESS_SET_INFORMATION, &process);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        status = set_targets(c, process, pages, range, list);
        process_unlock_address(c, process);
    } while (relieve(c, &relief, process, &status));
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    for (uint32_t i = 0; i < list->count; i++)
        list->targets[i].flags |= NTMM_CFG_CALL_TARGET_PROCESSED;
    *list->processed = list->count;
    return status;
}

ntmm_status ntmm_query_call_target(struct ntmm_system *system, ntmm_handle handle, uint64_t address,
                                   struct ntmm_call_target *target)
{
    struct call c = call_begin(system);
    struct process *process;
    if (!target)
        return NTMM_STATUS_ACCESS_VIOLATION;
    if (address > NTMM_HIGHEST_USER_ADDRESS)
        return NTMM_STATUS_INVALID_PARAMETER_2;
    ntmm_status status = process_lock_address(&c, handle, NTMM_PROCESS_QUERY_INFORMATION, &process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    *target = (struct ntmm_call_target){.is_valid = 1};
    if (targets_are_kept(process)) {
        target->bitmap_base = get64(&process->targets_page) << NTMM_PAGE_SHIFT;
        target->bitmap_size_bytes = targets_pages(get64(&process->highest_page)) << NTMM_PAGE_SHIFT;
        target->is_valid = targets_has(&c, process, address);
    }
    process_unlock_address(&c, process);
    return status;
}
