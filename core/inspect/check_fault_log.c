/*
 * The checker's view of the logs of faults. Each reference is looked at before it is followed.
 */
#include "inspect/checker.h"
#include "space/fault_log.h"

bool check_fault_log(struct checker *k, const struct process *process)
{
    uint32_t count = get32(&process->fault_log_count);
    uint32_t lost = get32(&process->fault_log_lost);
    uint32_t blocks = 0;
    for (uint32_t i = 0; i < FAULT_LOG_BLOCKS; i++) {
        uint64_t ref = get64(&process->fault_log[i]);
        uint32_t owner;
        if (!ref)
            continue;
        if (!check_is_object(k, SLAB_FAULT_LOG, ref, &owner))
            return check_fail(k, "W4", ref, 1, 0);
        if (!check_equal(k, "S4", ref, process_index(process), owner))
            return false;
        blocks++;
    }
    k->fault_logs += blocks;
    if (blocks != 0 && blocks != FAULT_LOG_BLOCKS)
        return check_fail(k, "W4", 0, FAULT_LOG_BLOCKS, blocks);
    uint64_t most = blocks ? FAULT_LOG_RECORDS : 0;
    return check_between(k, "W4", 1, 0, most, count) &&
           (lost == 0 || (blocks && count == most) || check_fail(k, "W4", 2, 0, lost));
}
