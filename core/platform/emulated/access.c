/*
 * Processors of the machine: attaching them to processes, accesses with the door around them, and
 * the shootdown.
 *
 *   access on the processor --ok--> done
 *        ^            | #PF, #GP
 *        |            v
 *      enter <- ntmm_page_fault <- leave        (the door runs with the processor outside)
 *
 * A PCID is 1 + process index modulo 4094, so two processes may share one. pcid_owner says whose
 * translations a processor may hold under a PCID; attaching another process flushes it. A handle
 * has a generation, so a new process in an old one's place counts as another.
 *
 * T1 once access_invalidate has returned, no processor uses a translation that it covers. With one
 * host thread no access is in progress during a call, so the translations are dropped on the spot;
 * with threads they are posted, and the processors that are inside acknowledge when they poll.
 */
#include "platform/emulated/machine.h"

#include <ntmm/process.h>

#include <stdlib.h>
#include <string.h>

/* Faults resolved in a row for one access, after which the tables and the door contradict. */
#define ATTEMPT_LIMIT (1u << 20)

NTMM_STATIC_ASSERT(NTMM_INVALIDATION_RANGES >= NTMM_SHOOTDOWN_RANGES, "a round fits a slot");

enum access_kind {
    ACCESS_LOAD,
    ACCESS_STORE,
    ACCESS_FETCH,
    ACCESS_UPDATE,
};

/* One access of up to 64 bytes, and what the door needs to know. */
struct access {
    enum access_kind kind;
    uint32_t size_bytes;
    uint64_t va;
    void *to;         /* load and fetch */
    const void *from; /* store */
    ntmm_cpu_update_function function;
    void *context;
    struct ntmm_thread_stack *stack;
    struct ntmm_fault_result *result;
};

static uint16_t pcid_of(ntmm_handle process)
{
    uint32_t index = (uint32_t)process;
    return (uint16_t)(1u + index % (PCID_COUNT - 2u));
}

static bool init_processor(struct ntmm_emulated *emu, uint32_t index)
{
    struct ntmm_cpu *cpu = &emu->cpus[index];
    struct ntmm_cpu_config config = {
        .max_phys_bits = emu->config.physical_address_bits,
        .has_1gib_pages = true,
        .cr4 = NTMM_CR4_PAE | NTMM_CR4_PGE | NTMM_CR4_PCIDE | NTMM_CR4_SMEP | NTMM_CR4_SMAP,
    };
    emu->processors[index].cpu = cpu;
    if (ntmm_cpu_init(cpu, &emu->memory, &config) != NTMM_CPU_OK)
        return false;
    ntmm_cpu_set_privilege(cpu, 3, false);
    return true;
}

ntmm_status access_create_processors(struct ntmm_emulated *emu)
{
    uint32_t count = emu->config.cpu_count;
    emu->processors = calloc(count, sizeof *emu->processors);
    emu->cpus = calloc(count, sizeof *emu->cpus);
    if (emu->processors == NULL || emu->cpus == NULL)
        return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    for (uint32_t i = 0; i < count; i++) {
        if (!init_processor(emu, i))
            return NTMM_STATUS_INVALID_PARAMETER_1;
    }
    return NTMM_STATUS_SUCCESS;
}

void access_destroy_processors(struct ntmm_emulated *emu)
{
    free(emu->processors);
    free(emu->cpus);
}

/* Another system in the same arena: nothing cached may survive. */
void access_detach_all(struct ntmm_emulated *emu)
{
    const struct ntmm_invalidation everything = {
        .flags = NTMM_INVALIDATE_GLOBAL | NTMM_INVALIDATE_ALL_PCIDS,
    };
    for (uint32_t i = 0; i < emu->config.cpu_count; i++) {
        struct processor *processor = &emu->processors[i];
        processor->process = 0;
        memset(processor->pcid_owner, 0, sizeof processor->pcid_owner);
        ntmm_cpu_invalidate(processor->cpu, &everything);
    }
}

NTMM_API struct ntmm_cpu *ntmm_emulated_cpu(struct ntmm_emulated *emu, uint32_t index)
{
    return index < emu->config.cpu_count ? &emu->cpus[index] : NULL;
}

NTMM_API ntmm_status ntmm_emulated_attach(struct ntmm_emulated *emu, uint32_t index,
                                          ntmm_handle process)
{
    struct ntmm_process_information information;
    if (emu->system == NULL)
        return NTMM_STATUS_INVALID_PARAMETER_1;
    if (index >= emu->config.cpu_count)
        return NTMM_STATUS_INVALID_PARAMETER_2;
    ntmm_status status = ntmm_query_process(emu->system, process, &information);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    struct processor *processor = &emu->processors[index];
    uint16_t pcid = pcid_of(process);
    uint64_t cr3 = information.root_frame << NTMM_PAGE_SHIFT | pcid;
    ntmm_handle owner = processor->pcid_owner[pcid];
    if (owner == process)
        cr3 |= NTMM_CR3_NO_FLUSH;
    else if (owner != 0)
        count_one(&emu->statistics.attach_flushes);
    if (ntmm_cpu_set_cr3(processor->cpu, cr3) != NTMM_CPU_OK)
        return NTMM_STATUS_INTERNAL_ERROR;
    processor->pcid_owner[pcid] = process;
    processor->process = process;
    return NTMM_STATUS_SUCCESS;
}

/* In place, and only as many ranges as there are. */
static void translate(const struct ntmm_shootdown *shootdown, struct ntmm_invalidation *what)
{
    what->flags = 0;
    what->pcid = pcid_of(shootdown->process);
    what->range_count = (uint16_t)shootdown->range_count;
    for (uint32_t i = 0; i < shootdown->range_count; i++) {
        what->ranges[i].base = shootdown->ranges[i].base;
        what->ranges[i].end = shootdown->ranges[i].end;
        if (what->ranges[i].base >> 63) /* system addresses are every process's */
            what->flags = NTMM_INVALIDATE_GLOBAL | NTMM_INVALIDATE_ALL_PCIDS;
    }
}

static void post_to_all(struct ntmm_emulated *emu, const struct ntmm_invalidation *what)
{
    uint32_t tickets[NTMM_EMULATED_MAXIMUM_CPUS];
    for (uint32_t i = 0; i < emu->config.cpu_count; i++)
        tickets[i] = ntmm_cpu_post_invalidation(&emu->cpus[i], what);
    for (uint32_t i = 0; i < emu->config.cpu_count; i++) {
        while (!ntmm_cpu_acknowledged(&emu->cpus[i], tickets[i]))
            scheduler_relax(emu);
    }
}

void access_invalidate(void *context, const struct ntmm_shootdown *shootdown)
{
    struct ntmm_emulated *emu = context;
    struct ntmm_invalidation what;
    translate(shootdown, &what);
    count_one(&emu->statistics.shootdowns);
    if (shootdown->range_count == 0)
        count_one(&emu->statistics.flushes);
    scheduler_preempt(emu);
    if (has_threads(emu)) {
        post_to_all(emu, &what);
        return;
    }
    for (uint32_t i = 0; i < emu->config.cpu_count; i++)
        ntmm_cpu_invalidate(&emu->cpus[i], &what);
}

static enum ntmm_cpu_result run_access(struct ntmm_cpu *cpu, const struct access *a)
{
    switch (a->kind) {
    case ACCESS_LOAD:
        return ntmm_cpu_load(cpu, a->va, a->to, a->size_bytes);
    case ACCESS_STORE:
        return ntmm_cpu_store(cpu, a->va, a->from, a->size_bytes);
    case ACCESS_FETCH:
        return ntmm_cpu_fetch(cpu, a->va, a->to, a->size_bytes);
    case ACCESS_UPDATE:
        return ntmm_cpu_update(cpu, a->va, a->size_bytes, a->function, a->context);
    }
    return NTMM_CPU_INVALID_SIZE;
}

/* The error code that a page fault of this access would have, for one that has none. */
static uint32_t error_code_of(const struct access *a)
{
    uint32_t code = NTMM_FAULT_USER;
    if (a->kind == ACCESS_STORE || a->kind == ACCESS_UPDATE)
        code |= NTMM_FAULT_WRITE;
    if (a->kind == ACCESS_FETCH)
        code |= NTMM_FAULT_EXECUTE;
    return code;
}

/* The door; the processor is outside. */
static ntmm_status knock(struct ntmm_emulated *emu, struct processor *processor,
                         const struct access *a, enum ntmm_cpu_result why)
{
    const struct ntmm_cpu *cpu = processor->cpu;
    struct ntmm_fault_request request = {
        .process = processor->process,
        .address = why == NTMM_CPU_FAULT ? cpu->cr2 : cpu->fault.address,
        .error_code = why == NTMM_CPU_FAULT ? cpu->fault.error_code : error_code_of(a),
        .stack = a->stack,
    };
    return ntmm_page_fault(emu->system, &request, a->result);
}

/* With one host thread nobody posts: invalidations are applied on the spot, and being inside has no
 * meaning to anybody. The fence of entering would wait for the store before it to reach the
 * cache. */
static void step_inside(const struct ntmm_emulated *emu, struct ntmm_cpu *cpu)
{
    if (has_threads(emu))
        ntmm_cpu_enter(cpu);
}

static void step_outside(const struct ntmm_emulated *emu, struct ntmm_cpu *cpu)
{
    if (has_threads(emu))
        ntmm_cpu_leave(cpu);
}

/* Run an access until it is done or an exception is raised; the processor is inside. */
static ntmm_status complete_access(struct ntmm_emulated *emu, struct processor *processor,
                                   const struct access *a)
{
    for (uint32_t attempt = 0; attempt < ATTEMPT_LIMIT; attempt++) {
        enum ntmm_cpu_result why = run_access(processor->cpu, a);
        if (why == NTMM_CPU_OK)
            return NTMM_STATUS_SUCCESS;
        if (why != NTMM_CPU_FAULT && why != NTMM_CPU_GENERAL_PROTECTION)
            return NTMM_STATUS_INTERNAL_ERROR;
        step_outside(emu, processor->cpu);
        ntmm_status status = knock(emu, processor, a, why);
        step_inside(emu, processor->cpu);
        if (status != NTMM_STATUS_SUCCESS)
            return status;
    }
    return NTMM_STATUS_INTERNAL_ERROR;
}

/* All of `size` bytes, in pieces of at most 64. */
static ntmm_status access_all(struct ntmm_emulated *emu, uint32_t index, struct access a,
                              size_t size)
{
    struct ntmm_fault_result unwanted;
    if (a.result == NULL)
        a.result = &unwanted;
    *a.result = (struct ntmm_fault_result){.kind = NTMM_FAULT_KIND_NONE};
    if (index >= emu->config.cpu_count || emu->processors[index].process == 0)
        return NTMM_STATUS_INVALID_PARAMETER_2;
    if (size == 0)
        return NTMM_STATUS_INVALID_PARAMETER_5;
    struct processor *processor = &emu->processors[index];
    ntmm_status status = NTMM_STATUS_SUCCESS;
    bool was_inside = processor->cpu->inside != 0;
    if (!was_inside)
        step_inside(emu, processor->cpu);
    for (size_t done = 0; done < size && status == NTMM_STATUS_SUCCESS;) {
        size_t left = size - done;
        struct access piece = a;
        piece.size_bytes = left < NTMM_CPU_ACCESS_MAX ? (uint32_t)left : NTMM_CPU_ACCESS_MAX;
        piece.va = a.va + done;
        piece.to = a.to != NULL ? (uint8_t *)a.to + done : NULL;
        piece.from = a.from != NULL ? (const uint8_t *)a.from + done : NULL;
        status = complete_access(emu, processor, &piece);
        done += piece.size_bytes;
    }
    if (!was_inside)
        step_outside(emu, processor->cpu);
    return status;
}

NTMM_API ntmm_status ntmm_emulated_load(struct ntmm_emulated *emu, uint32_t index, uint64_t va,
                                        void *buffer, size_t size, struct ntmm_thread_stack *stack,
                                        struct ntmm_fault_result *result)
{
    struct access a = {
        .kind = ACCESS_LOAD, .va = va, .to = buffer, .stack = stack, .result = result};
    return access_all(emu, index, a, size);
}

NTMM_API ntmm_status ntmm_emulated_store(struct ntmm_emulated *emu, uint32_t index, uint64_t va,
                                         const void *buffer, size_t size,
                                         struct ntmm_thread_stack *stack,
                                         struct ntmm_fault_result *result)
{
    struct access a = {
        .kind = ACCESS_STORE, .va = va, .from = buffer, .stack = stack, .result = result};
    return access_all(emu, index, a, size);
}

NTMM_API ntmm_status ntmm_emulated_fetch(struct ntmm_emulated *emu, uint32_t index, uint64_t va,
                                         void *buffer, size_t size, struct ntmm_thread_stack *stack,
                                         struct ntmm_fault_result *result)
{
    struct access a = {
        .kind = ACCESS_FETCH, .va = va, .to = buffer, .stack = stack, .result = result};
    return access_all(emu, index, a, size);
}

NTMM_API ntmm_status ntmm_emulated_update(struct ntmm_emulated *emu, uint32_t index, uint64_t va,
                                          uint32_t size, ntmm_cpu_update_function function,
                                          void *context, struct ntmm_thread_stack *stack,
                                          struct ntmm_fault_result *result)
{
    struct access a = {.kind = ACCESS_UPDATE,
                       .va = va,
                       .function = function,
                       .context = context,
                       .stack = stack,
                       .result = result};
    if (size > NTMM_CPU_ACCESS_MAX)
        return NTMM_STATUS_INVALID_PARAMETER_4;
    return access_all(emu, index, a, size);
}
