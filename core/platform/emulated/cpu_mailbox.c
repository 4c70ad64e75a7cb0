/*
 * The emulated shootdown: posting to a processor and acknowledging.
 *
 *   owner, enter                       poster
 *   (a) inside := 1    seq_cst         (c) write the slot; posted := ticket   seq_cst
 *   (b) read posted    seq_cst         (d) read inside                        seq_cst
 *       drain if it differs                0: acknowledged; 1: wait for drained to reach the ticket
 *
 * Claim: if (d) reads 0, no later access of the processor uses what was posted. (a) to (d) lie in
 * the single total order S of sequentially consistent operations. Take any stint of the owner that
 * has not ended before (d). If its (a) preceded (d) in S, (d) would read that 1 or something newer:
 * the 0 of an earlier leave happens before (a) and is excluded by C11 7.17.3 p6. So (d) precedes
 * (a) in S, hence (c) < (d) < (a) < (b), and (b) sees the ticket and drains before the first
 * access. Stints that ended before: their accesses happen before leave's release store, which (d)
 * acquires. If the wait ends by drained >= ticket instead, drained's release store follows the
 * forgetting, and the owner's accesses that used the old translation are sequenced before it.
 *
 * The ring is guarded by mailbox_lock; more than its slots means "everything". Tickets wrap: they
 * are compared by signed difference, and at most 2^31 may be outstanding.
 */

#include "platform/emulated/cpu_private.h"
#include "platform/emulated/host.h"

static void lock_mailbox(struct ntmm_cpu *cpu)
{
    while (__atomic_exchange_n(&cpu->mailbox_lock, 1, __ATOMIC_ACQUIRE) != 0)
        while (__atomic_load_n(&cpu->mailbox_lock, __ATOMIC_RELAXED) != 0)
            sched_yield();
}

static void unlock_mailbox(struct ntmm_cpu *cpu)
{
    __atomic_store_n(&cpu->mailbox_lock, 0, __ATOMIC_RELEASE);
}

void ntmm_cpu_drain(struct ntmm_cpu *cpu)
{
    lock_mailbox(cpu);
    uint32_t ticket = __atomic_load_n(&cpu->posted, __ATOMIC_RELAXED);
    if (cpu->mailbox_count > NTMM_CPU_MAILBOX_SLOTS)
        cpu_forget_everything(cpu);
    else
        for (uint32_t i = 0; i < cpu->mailbox_count; i++)
            ntmm_cpu_invalidate(cpu, &cpu->mailbox[i]);
    cpu->mailbox_count = 0;
    unlock_mailbox(cpu);
    __atomic_store_n(&cpu->drained, ticket, __ATOMIC_RELEASE);
}

void ntmm_cpu_enter(struct ntmm_cpu *cpu)
{
    __atomic_store_n(&cpu->inside, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&cpu->posted, __ATOMIC_SEQ_CST) != cpu->drained)
        ntmm_cpu_drain(cpu);
}

void ntmm_cpu_leave(struct ntmm_cpu *cpu) { __atomic_store_n(&cpu->inside, 0, __ATOMIC_RELEASE); }

uint32_t ntmm_cpu_post_invalidation(struct ntmm_cpu *cpu, const struct ntmm_invalidation *what)
{
    lock_mailbox(cpu);
    if (cpu->mailbox_count < NTMM_CPU_MAILBOX_SLOTS)
        cpu->mailbox[cpu->mailbox_count] = *what;
    if (cpu->mailbox_count <= NTMM_CPU_MAILBOX_SLOTS)
        cpu->mailbox_count++;
    uint32_t ticket = __atomic_add_fetch(&cpu->posted, 1, __ATOMIC_SEQ_CST);
    unlock_mailbox(cpu);
    return ticket;
}

bool ntmm_cpu_acknowledged(struct ntmm_cpu *cpu, uint32_t ticket)
{
    if ((int32_t)(__atomic_load_n(&cpu->drained, __ATOMIC_ACQUIRE) - ticket) >= 0)
        return true;
    return __atomic_load_n(&cpu->inside, __ATOMIC_SEQ_CST) == 0;
}
