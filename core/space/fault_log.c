/*
 * The log of faults. See fault_log.h.
 */
#include "space/fault_log.h"
#include "phys/slab.h"

static struct fault_record *record_at(const struct call *c, const struct process *process,
                                      uint32_t number)
{
    uint64_t ref = get64(&process->fault_log[number / FAULT_LOG_BLOCK_RECORDS]);
    struct fault_log_block *block = core_at(c->bias, ref);
    return &block->records[number % FAULT_LOG_BLOCK_RECORDS];
}

bool fault_log_begin(struct call *c, struct process *process)
{
    bool is_kept = fault_log_is_kept(process);
    for (uint32_t i = 0; i < FAULT_LOG_BLOCKS && !is_kept; i++) {
        uint64_t ref = slab_allocate(c, SLAB_FAULT_LOG, process_index(process));
        if (!ref) {
            fault_log_end(c, process);
            return false;
        }
        set64(&process->fault_log[i], ref);
    }
    fault_log_empty(process);
    return true;
}

void fault_log_end(struct call *c, struct process *process)
{
    struct want want = c->want;
    for (uint32_t i = 0; i < FAULT_LOG_BLOCKS; i++) {
        uint64_t ref = get64(&process->fault_log[i]);
        if (ref)
            slab_release(c, ref);
        set64(&process->fault_log[i], 0);
    }
    slab_trim_class(c, SLAB_FAULT_LOG);
    fault_log_empty(process);
    c->want = want;
}

void fault_log_add(struct call *c, struct process *process, uint64_t pc, uint64_t va,
                   uint64_t thread)
{
    uint32_t count = get32(&process->fault_log_count);
    uint32_t lost = get32(&process->fault_log_lost);
    if (count == FAULT_LOG_RECORDS) {
        set32(&process->fault_log_lost, lost + (lost != UINT32_MAX));
        return;
    }
    struct fault_record *record = record_at(c, process, count);
    set64(&record->pc, pc ? pc : FAULT_PC_UNKNOWN);
    set64(&record->va, va);
    set64(&record->thread, thread);
    set32(&process->fault_log_count, count + 1);
}

const struct fault_record *fault_log_at(const struct call *c, const struct process *process,
                                        uint32_t number)
{
    NTMM_ASSERT(number < get32(&process->fault_log_count));
    return record_at(c, process, number);
}

void fault_log_empty(struct process *process)
{
    set32(&process->fault_log_count, 0);
    set32(&process->fault_log_lost, 0);
}
