/*
 * ProcessWorkingSetWatch: which faults brought pages into a working set.
 *
 *   take   class --> pointer --> handle, right --> is it watched? --> does all fit? --> copied, and
 *          the log is empty; what follows the last record has no PC, and for VA what was lost
 *
 * Source: GetWsChanges, GetWsChangesEx, InitializeProcessForWsWatch, Microsoft documentation.
 */
#include "services/working_set_watch.h"
#include "services/relief.h"
#include "space/fault_log.h"

#include <ntmm/statistics.h>

NTMM_STATIC_ASSERT(sizeof(struct ntmm_working_set_watch) == 16, "PSAPI_WS_WATCH_INFORMATION");
NTMM_STATIC_ASSERT(sizeof(struct ntmm_working_set_watch_ex) == 32, "PSAPI_WS_WATCH_INFORMATION_EX");

ntmm_status working_set_watch_begin(struct ntmm_system *system, ntmm_handle handle, uint64_t length)
{
    struct call c = call_begin(system);
    struct relief relief = relief_begin();
    struct process *process;
    ntmm_status status;
    if (length != 0)
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    do {
        status = process_lock_working_set(&c, handle, NTMM_PROCESS_QUERY_INFORMATION, &process);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
        if (!fault_log_begin(&c, process))
            status = want_status(&c);
        process_unlock_working_set(&c, process);
    } while (relieve(&c, &relief, process, &status));
    return status;
}

static void put(char *buffer, uint64_t number, uint64_t size,
                const struct ntmm_working_set_watch_ex *record)
{
    __builtin_memcpy(buffer + number * size, record, (size_t)size);
}

/* (W) is held. */
static ntmm_status take(const struct call *c, struct process *process, uint64_t record_size,
                        char *buffer, uint64_t length, uint64_t *size)
{
    uint32_t count = get32(&process->fault_log_count);
    if (!fault_log_is_kept(process))
        return NTMM_STATUS_UNSUCCESSFUL;
    *size = (count + 1ull) * record_size;
    if (length < *size)
        return NTMM_STATUS_BUFFER_TOO_SMALL;
    for (uint32_t i = 0; i < count; i++) {
        const struct fault_record *record = fault_log_at(c, process, i);
        const struct ntmm_working_set_watch_ex values = {
            .basic = {.faulting_pc = get64(&record->pc), .faulting_va = get64(&record->va)},
            .faulting_thread_id = get64(&record->thread),
        };
        put(buffer, i, record_size, &values);
    }
    const struct ntmm_working_set_watch_ex last = {
        .basic = {.faulting_va = get32(&process->fault_log_lost)},
    };
    put(buffer, count, record_size, &last);
    fault_log_empty(process);
    return NTMM_STATUS_SUCCESS;
}

ntmm_status working_set_watch_take(struct ntmm_system *system, ntmm_handle handle, bool is_ex,
                                   void *buffer, uint64_t length, uint64_t *size)
{
    struct call c = call_begin(system);
    struct process *process;
    uint64_t record_size =
        is_ex ? sizeof(struct ntmm_working_set_watch_ex) : sizeof(struct ntmm_working_set_watch);
    if (!buffer)
        return NTMM_STATUS_ACCESS_VIOLATION;
    ntmm_status status =
        process_lock_working_set(&c, handle, NTMM_PROCESS_QUERY_INFORMATION, &process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    status = take(&c, process, record_size, buffer, length, size);
    process_unlock_working_set(&c, process);
    return status;
}
