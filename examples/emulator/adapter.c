#include "adapter.h"

#include <stdio.h>
#include <stdlib.h>

#define NEVER 0xFFFFFFFFFFFFF000u /* no guest gets there */
#define LOCK_PREFIX 0xF0
#define PAGE_FAULTS_LIMIT 64u

uint64_t guest_register(const struct guest *guest, int id)
{
    uint64_t value = 0;
    uc_reg_read(guest->uc, id, &value);
    return value;
}

void guest_set_register(struct guest *guest, int id, uint64_t value)
{
    uc_reg_write(guest->uc, id, &value);
}

/* --- hooks: they take notes, and stop --- */

static bool on_fault(uc_engine *uc, uc_mem_type type, uint64_t address, int size, int64_t value,
                     void *context)
{
    struct guest *guest = context;
    (void)uc;
    (void)size;
    (void)value;
    if (guest->has_fault) /* a later byte of the same access */
        return false;
    guest->has_fault = true;
    guest->address = address;
    guest->access = NTMM_TRANSLATE_READ;
    if (type == UC_MEM_WRITE_UNMAPPED || type == UC_MEM_WRITE_PROT)
        guest->access = NTMM_TRANSLATE_WRITE;
    if (type == UC_MEM_FETCH_UNMAPPED || type == UC_MEM_FETCH_PROT)
        guest->access = NTMM_TRANSLATE_EXECUTE;
    return false;
}

static void on_interrupt(uc_engine *uc, uint32_t vector, void *context)
{
    struct guest *guest = context;
    guest->vector = (int)vector;
    uc_emu_stop(uc);
}

static void on_system_call(uc_engine *uc, void *context)
{
    struct guest *guest = context;
    guest->has_call = true;
    uc_emu_stop(uc);
}

static void on_store(uc_engine *uc, uc_mem_type type, uint64_t address, int size, int64_t value,
                     void *context)
{
    struct guest *guest = context;
    uint32_t before = NTMM_PAGE_SIZE - (uint32_t)(address % NTMM_PAGE_SIZE);
    (void)type;
    (void)value;
    if ((uint32_t)size <= before || guest->has_fault ||
        uc_mem_read(uc, address, guest->torn, before))
        return;
    guest->torn_at = address;
    guest->torn_bytes = before;
    guest->torn_by = guest_register(guest, UC_X86_REG_RIP);
}

static void on_nothing(uc_engine *uc, uc_mem_type type, uint64_t address, int size, int64_t value,
                       void *context)
{
    (void)uc;
    (void)type;
    (void)address;
    (void)size;
    (void)value;
    (void)context;
}

/* A function as Unicorn takes it. */
#define HOOK(function) ((void *)(uintptr_t)(function))

static bool add_hooks(struct guest *guest)
{
    uc_hook hook;
    uc_engine *uc = guest->uc;
    return !uc_hook_add(uc, &hook, UC_HOOK_MEM_UNMAPPED | UC_HOOK_MEM_PROT, HOOK(on_fault), guest,
                        1, 0) &&
           !uc_hook_add(uc, &hook, UC_HOOK_MEM_READ, HOOK(on_nothing), guest, NEVER, NEVER) &&
           !uc_hook_add(uc, &hook, UC_HOOK_MEM_WRITE, HOOK(on_store), guest, 1, 0) &&
           !uc_hook_add(uc, &hook, UC_HOOK_INTR, HOOK(on_interrupt), guest, 1, 0) &&
           !uc_hook_add(uc, &hook, UC_HOOK_INSN, HOOK(on_system_call), guest, 1, 0,
                        UC_X86_INS_SYSCALL);
}

bool guest_open(struct guest *guest, struct ntmm_system *system, ntmm_handle process, void *arena)
{
    *guest = (struct guest){
        .system = system, .process = process, .arena = arena, .around_pages = GUEST_AROUND_MAXIMUM};
    if (uc_open(UC_ARCH_X86, UC_MODE_64, &guest->uc) || !add_hooks(guest)) {
        fprintf(stderr, "unicorn does not run x86-64 with these hooks\n");
        return false;
    }
    return true;
}

void guest_close(struct guest *guest) { uc_close(guest->uc); }

/* --- runs --- */

static void must(uc_err error)
{
    if (error) {
        fprintf(stderr, "unicorn: %s\n", uc_strerror(error));
        abort();
    }
}

static void drop_run(struct guest *guest, uint32_t at)
{
    const struct guest_run *run = &guest->runs[at];
    if (run->rights & NTMM_TRANSLATE_EXECUTE)
        guest_bytes_changed(guest, run->base, run->end);
    must(uc_mem_unmap(guest->uc, run->base, run->end - run->base));
    guest->runs[at] = guest->runs[--guest->run_count];
}

static uint64_t block_bytes(const struct guest *guest)
{
    return guest->around_pages * (uint64_t)NTMM_PAGE_SIZE;
}

/* What happened in [base, end) is history. */
static void forget_blocks(struct guest *guest, uint64_t base, uint64_t end)
{
    for (uint32_t i = 0; i < GUEST_BLOCKS; i++)
        if (guest->blocks[i].base < end && guest->blocks[i].base + block_bytes(guest) > base)
            guest->blocks[i].state = GUEST_BLOCK_NEW;
}

static void drop_runs(struct guest *guest, uint64_t base, uint64_t end)
{
    for (uint32_t i = guest->run_count; i-- > 0;)
        if (guest->runs[i].base < end && guest->runs[i].end > base)
            drop_run(guest, i);
}

void guest_forget(struct guest *guest, uint64_t base, uint64_t end)
{
    drop_runs(guest, base, end);
    forget_blocks(guest, base, end);
}

void guest_bytes_changed(struct guest *guest, uint64_t base, uint64_t end)
{
    for (uint32_t i = 0; i < guest->run_count; i++)
        if (guest->runs[i].base < end && guest->runs[i].end > base &&
            (guest->runs[i].rights & NTMM_TRANSLATE_EXECUTE)) {
            must(uc_ctl_remove_cache(guest->uc, guest->runs[i].base, guest->runs[i].end));
        }
}

static void drop_oldest(struct guest *guest)
{
    uint32_t oldest = 0;
    for (uint32_t i = 1; i < guest->run_count; i++)
        if (guest->runs[i].age < guest->runs[oldest].age)
            oldest = i;
    drop_run(guest, oldest);
}

/* Where a run that begins at base may end: before the next one. */
static uint64_t end_before_next(const struct guest *guest, uint64_t base, uint64_t end)
{
    for (uint32_t i = 0; i < guest->run_count; i++)
        if (guest->runs[i].base > base && guest->runs[i].base < end)
            end = guest->runs[i].base;
    return end;
}

static uint32_t unicorn_rights(uint32_t rights)
{
    return (rights & NTMM_TRANSLATE_READ ? UC_PROT_READ : 0u) |
           (rights & NTMM_TRANSLATE_WRITE ? UC_PROT_WRITE : 0u) |
           (rights & NTMM_TRANSLATE_EXECUTE ? UC_PROT_EXEC : 0u);
}

static void map_run(struct guest *guest, const struct ntmm_translation *t)
{
    struct guest_run run = {.base = t->run_base, .rights = t->rights, .age = guest->maps++};
    drop_runs(guest, run.base, run.base + NTMM_PAGE_SIZE); /* rights grow */
    if (guest->run_count == GUEST_RUNS)
        drop_oldest(guest);
    run.end = end_before_next(guest, run.base, run.base + t->run_bytes);
    uint64_t first = t->physical_address & ~(NTMM_PAGE_SIZE - 1ull);
    must(uc_mem_map_ptr(guest->uc, run.base, run.end - run.base, unicorn_rights(run.rights),
                        guest->arena + first));
    guest->runs[guest->run_count++] = run;
}

/* --- faults --- */

/* Unicorn lets a locked instruction load first; a processor faults as for its store. */
static bool is_locked_instruction(const struct guest *guest)
{
    uint8_t byte = 0;
    return !uc_mem_read(guest->uc, guest_register(guest, UC_X86_REG_RIP), &byte, 1) &&
           byte == LOCK_PREFIX;
}

static uint32_t error_code(uint32_t access)
{
    return NTMM_FAULT_USER | (access & NTMM_TRANSLATE_WRITE ? NTMM_FAULT_WRITE : 0u) |
           (access & NTMM_TRANSLATE_EXECUTE ? NTMM_FAULT_EXECUTE : 0u);
}

/* A store that did not come to its end has stored nothing. */
static void untear(struct guest *guest)
{
    if (guest->torn_bytes && guest->torn_by == guest_register(guest, UC_X86_REG_RIP))
        must(uc_mem_write(guest->uc, guest->torn_at, guest->torn, guest->torn_bytes));
    guest->torn_bytes = 0;
}

/* --- the rest of a block --- */

static struct guest_block *block_of(struct guest *guest, uint64_t va)
{
    return &guest->blocks[va / block_bytes(guest) % GUEST_BLOCKS];
}

/* A page of zeros came: the first of its block comes alone. */
static void note_block(struct guest *guest)
{
    struct guest_block *block = block_of(guest, guest->address);
    uint64_t base = guest->address & ~(block_bytes(guest) - 1);
    if (block->base != base || block->state == GUEST_BLOCK_NEW)
        *block = (struct guest_block){.base = base, .state = GUEST_BLOCK_TOUCHED};
}

/* Plain private memory at va, committed, readable and writable: *end is where that ends. */
static bool is_plain(const struct guest *guest, uint64_t va, uint64_t *end)
{
    struct ntmm_memory_basic_information found;
    if (ntmm_query_virtual_memory(guest->system, guest->process, va, &found) ||
        found.state != NTMM_MEM_COMMIT || found.type != NTMM_MEM_PRIVATE ||
        found.protect != NTMM_PAGE_READWRITE)
        return false;
    *end = found.base_address + found.region_size;
    return true;
}

/* What is alike around the fault, in its block: [*base, *end). */
static bool find_alike(const struct guest *guest, uint64_t *base, uint64_t *end)
{
    struct ntmm_memory_region_information region;
    uint64_t first = guest->address & ~(block_bytes(guest) - 1), reach;
    if (ntmm_query_virtual_memory_class(guest->system, guest->process, guest->address,
                                        NTMM_MEMORY_REGION_INFORMATION, &region, 32, NULL) ||
        (region.region_type & NTMM_REGION_WRITE_WATCH) || !is_plain(guest, guest->address, end))
        return false;
    *base = region.allocation_base > first ? region.allocation_base : first;
    if (!is_plain(guest, *base, &reach) || reach < *end)
        *base = guest->address & ~(NTMM_PAGE_SIZE - 1ull);
    if (*end > first + block_bytes(guest))
        *end = first + block_bytes(guest);
    return true;
}

/* Nobody's pages are to go for pages that nobody asked for. */
static bool has_frames_to_spare(const struct guest *guest)
{
    struct ntmm_memory_information memory;
    ntmm_query_memory(guest->system, &memory);
    return memory.free_pages + memory.zeroed_pages >= 4ull * guest->around_pages;
}

/* Brings a page that nobody touched, dirty. False: it was another kind of page, or it fails. */
static bool bring_untouched(const struct guest *guest, uint64_t va)
{
    struct ntmm_translation t = {.size = sizeof t};
    struct ntmm_fault_result result;
    struct ntmm_fault_request request = {
        .process = guest->process, .address = va, .error_code = NTMM_FAULT_USER | NTMM_FAULT_WRITE};
    /* a run is of accessed pages */
    return !ntmm_page_fault(guest->system, &request, &result) &&
           result.kind == NTMM_FAULT_KIND_DEMAND_ZERO &&
           !ntmm_translate(guest->system, guest->process, va,
                           NTMM_TRANSLATE_WRITE | NTMM_TRANSLATE_MARK, &t);
}

/* Maps the runs of dirty pages that are worth a map. */
static void map_long_runs(struct guest *guest, uint64_t base, uint64_t end)
{
    struct ntmm_translation t = {.size = sizeof t};
    for (uint64_t va = base; va < end;) {
        uint32_t access = NTMM_TRANSLATE_WRITE;
        t.run_bytes = 0;
        if (!ntmm_translate(guest->system, guest->process, va, access, &t) &&
            t.run_bytes >= GUEST_LONG_RUN * NTMM_PAGE_SIZE &&
            !ntmm_translate(guest->system, guest->process, va, access | NTMM_TRANSLATE_MARK, &t))
            map_run(guest, &t);
        va += t.run_bytes ? t.run_bytes : NTMM_PAGE_SIZE;
    }
}

/* Brings the pages of the block that nobody touched, in the order of their addresses, so that their
 * frames make runs. Returns false when it met a page of another kind. */
static bool bring_rest(struct guest *guest)
{
    struct ntmm_translation t = {.size = sizeof t};
    uint64_t base, end, va;
    if (!find_alike(guest, &base, &end))
        return false;
    for (va = base; va < end; va += NTMM_PAGE_SIZE)
        if (ntmm_translate(guest->system, guest->process, va, NTMM_TRANSLATE_READ, &t) &&
            !bring_untouched(guest, va))
            break;
    map_long_runs(guest, base, va);
    return va == end;
}

static bool is_mapped(const struct guest *guest)
{
    for (uint32_t i = 0; i < guest->run_count; i++)
        if (guest->runs[i].base <= guest->address && guest->runs[i].end > guest->address)
            return (guest->access & ~guest->runs[i].rights) == 0;
    return false;
}

/* Whether the rest of the block came, and the access is served with it. */
static bool is_served_with_block(struct guest *guest)
{
    struct ntmm_translation t = {.size = sizeof t};
    struct guest_block *block = block_of(guest, guest->address);
    if (block->base != (guest->address & ~(block_bytes(guest) - 1)) ||
        block->state != GUEST_BLOCK_TOUCHED || !has_frames_to_spare(guest) ||
        !ntmm_translate(guest->system, guest->process, guest->address, NTMM_TRANSLATE_READ, &t))
        return false;
    if (!bring_rest(guest))
        block->state = GUEST_BLOCK_CLOSED;
    return is_mapped(guest);
}

/* Maps what the access needs. False: it is an exception of the program. */
static bool resolve(struct guest *guest)
{
    struct ntmm_translation t = {.size = sizeof t};
    if (guest->access == NTMM_TRANSLATE_READ && is_locked_instruction(guest))
        guest->access = NTMM_TRANSLATE_WRITE;
    struct ntmm_fault_request request = {.process = guest->process,
                                         .address = guest->address,
                                         .error_code = error_code(guest->access),
                                         .instruction = guest_register(guest, UC_X86_REG_RIP)};
    if (guest->around_pages && is_served_with_block(guest))
        return true;
    for (uint32_t i = 0; i < PAGE_FAULTS_LIMIT; i++) {
        guest->status = ntmm_translate(guest->system, guest->process, guest->address,
                                       guest->access | NTMM_TRANSLATE_MARK, &t);
        if (guest->status == NTMM_STATUS_SUCCESS) {
            map_run(guest, &t);
            return true;
        }
        guest->status = ntmm_page_fault(guest->system, &request, &guest->fault);
        if (guest->status != NTMM_STATUS_SUCCESS)
            return false;
        if (guest->around_pages && guest->fault.kind == NTMM_FAULT_KIND_DEMAND_ZERO)
            note_block(guest);
    }
    guest->status = NTMM_STATUS_INTERNAL_ERROR;
    return false;
}

enum guest_stop guest_run(struct guest *guest)
{
    for (;;) {
        guest->has_fault = false;
        guest->has_call = false;
        guest->torn_bytes = 0;
        guest->vector = -1;
        uc_err error = uc_emu_start(guest->uc, guest_register(guest, UC_X86_REG_RIP), NEVER, 0, 0);
        if (guest->has_fault) {
            untear(guest);
            if (!resolve(guest))
                return GUEST_EXCEPTION;
        } else if (guest->has_call) {
            return GUEST_SYSTEM_CALL;
        } else if (guest->vector >= 0) {
            return GUEST_TRAP;
        } else if (error) {
            return GUEST_ILLEGAL;
        }
    }
}
