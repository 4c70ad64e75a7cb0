/*
 * The calls that touch memory: accesses of a processor, faults that wait, reading and writing of
 * another process, locks, flush, and what is told of ranges.
 */
#include "calls/world.h"

#include <string.h>

/* A size that a host buffer has, or one that must be refused for its range alone. */
static uint64_t take_transfer_size(struct world *w)
{
    uint64_t size = take_size(w);

    return size <= BUFFER_LIMIT || size > NTMM_USER_PROBE_ADDRESS ? size : size % BUFFER_LIMIT;
}

static void read_memory(struct world *w)
{
    ntmm_handle process = take_handle(w);
    uint64_t address = take_address(w);
    uint64_t size = take_transfer_size(w);
    uint8_t *buffer = take_buffer(w, size <= BUFFER_LIMIT ? size : 0);
    uint64_t copied = 77;
    ntmm_status status;

    status = CALL(w, read_virtual_memory, w->system, process, address,
                  one_in(w, 64) ? NULL : buffer, size, &copied);
    must(w, copied <= size, "more was read than asked for");
    must(w, is_failure(status) || copied == size, "a successful read is not whole");
    release_buffer(w);
}

static void write_memory(struct world *w)
{
    ntmm_handle process = take_handle(w);
    uint64_t address = take_address(w);
    uint64_t size = take_transfer_size(w);
    uint8_t *buffer = take_buffer(w, size <= BUFFER_LIMIT ? size : 0);
    uint64_t copied = 77;
    ntmm_status status;

    status = CALL(w, write_virtual_memory, w->system, process, address,
                  one_in(w, 64) ? NULL : buffer, size, &copied);
    must(w, copied <= size, "more was written than asked for");
    must(w, is_failure(status) || copied == size, "a successful write is not whole");
    release_buffer(w);
}

static void probe(struct world *w)
{
    ntmm_handle process = take_handle(w);
    uint64_t address = take_address(w);
    uint64_t size = take_transfer_size(w);
    uint8_t access = take8(w);

    (void)CALL(w, probe_virtual_memory, w->system, process, address, size,
               one_in(w, 64) ? take32(w) : access & 1u);
}

static void copy_memory(struct world *w)
{
    ntmm_handle from = take_handle(w);
    uint64_t from_address = take_address(w);
    ntmm_handle to = take_handle(w);
    uint64_t to_address = take_address(w);
    uint64_t size = take_size(w);
    uint64_t copied = 77;
    ntmm_status status =
        CALL(w, copy_virtual_memory, w->system, from, from_address, to, to_address, size, &copied);

    must(w, copied <= size, "more was copied than asked for");
    must(w, is_failure(status) || copied == size, "a successful copy is not whole");
}

static void lock(struct world *w)
{
    ntmm_handle process = take_handle(w);
    uint64_t base = take_address(w);
    uint64_t size = take_size(w);
    uint64_t base_before = base;
    uint64_t size_before = size;
    uint32_t type = take_below(w, 4);
    uint8_t null = take8(w);
    ntmm_status status = CALL(w, lock_virtual_memory, w->system, process,
                              null == 254 ? NULL : &base, null == 255 ? NULL : &size, type);

    must(w, !is_failure(status) || (base == base_before && size == size_before),
         "a failed lock wrote base or size");
}

static void unlock(struct world *w)
{
    ntmm_handle process = take_handle(w);
    uint64_t base = take_address(w);
    uint64_t size = take_size(w);
    uint64_t base_before = base;
    uint64_t size_before = size;
    uint32_t type = take_below(w, 4);
    uint8_t null = take8(w);
    ntmm_status status = CALL(w, unlock_virtual_memory, w->system, process,
                              null == 254 ? NULL : &base, null == 255 ? NULL : &size, type);

    must(w, !is_failure(status) || (base == base_before && size == size_before),
         "a failed unlock wrote base or size");
}

/* Of the last view, or of anything. */
static void flush(struct world *w)
{
    bool is_view = one_in(w, 2);
    ntmm_handle process = is_view ? w->view_process : take_handle(w);
    uint64_t base = is_view ? w->view_base : take_address(w);
    uint64_t size = take_size(w);
    struct ntmm_io_status io;
    uint8_t null = take8(w);

    memset(&io, POISON, sizeof(io));
    if (is_view && null & 1) {
        size = 0;
    }
    (void)CALL(w, flush_virtual_memory, w->system, process, null == 253 ? NULL : &base,
               null == 254 ? NULL : &size, null == 255 ? NULL : &io);
}

#define ENTRY_LIMIT 4u

static void take_entries(struct world *w, struct ntmm_memory_range_entry *entries)
{
    for (unsigned i = 0; i < ENTRY_LIMIT; i++) {
        entries[i].virtual_address = take_address(w);
        entries[i].number_of_bytes = take_size(w);
    }
}

static void set_information(struct world *w)
{
    static const uint32_t CLASSES[] = {0, 1, 7, 0};
    struct ntmm_memory_range_entry entries[ENTRY_LIMIT];
    ntmm_handle process = take_handle(w);
    uint32_t class = one_in(w, 16) ? take_below(w, 10) : CLASSES[take8(w) % 4];
    uint64_t count = take8(w) % (ENTRY_LIMIT + 1);
    uint32_t value = take_below(w, 7);
    uint32_t length = one_in(w, 16) ? take8(w) % 64 : 4;
    uint8_t null = take8(w);

    if (class == NTMM_VM_CFG_CALL_TARGET_INFORMATION) {
        return;
    }
    take_entries(w, entries);
    (void)CALL(w, set_information_virtual_memory, w->system, process, class, count,
               null == 254 ? NULL : entries, null == 255 ? NULL : &value, length);
}

static void set_call_targets(struct world *w)
{
    struct ntmm_memory_range_entry entries[ENTRY_LIMIT];
    struct ntmm_cfg_call_target targets[ENTRY_LIMIT];
    struct ntmm_cfg_call_target before[ENTRY_LIMIT];
    uint32_t processed = 77;
    ntmm_handle process = take_handle(w);
    uint8_t null = take8(w);
    struct ntmm_cfg_call_target_list list = {
        .count = take8(w) % (ENTRY_LIMIT + 1),
        .processed = null == 252 ? NULL : &processed,
        .targets = null == 253 ? NULL : targets,
    };
    uint64_t count = one_in(w, 16) ? take8(w) % (ENTRY_LIMIT + 1) : 1;
    ntmm_status status;

    take_entries(w, entries);
    for (unsigned i = 0; i < ENTRY_LIMIT; i++) {
        targets[i].offset = one_in(w, 8) ? take_any(w) : take8(w) * 16u;
        targets[i].flags = take_below(w, 4);
    }
    memcpy(before, targets, sizeof(before));
    status = CALL(w, set_information_virtual_memory, w->system, process,
                  NTMM_VM_CFG_CALL_TARGET_INFORMATION, count, entries, &list, sizeof(list));
    must(w, !is_failure(status) || !memcmp(before, targets, sizeof(before)),
         "refused call targets were changed");
}

/* Accesses of processors */

static bool add_one(void *bytes, uint32_t size, void *context)
{
    (void)context;
    ++((uint8_t *)bytes)[size - 1];
    return true;
}

static void access_memory(struct world *w)
{
    uint8_t bytes[128];
    struct ntmm_fault_result result;
    uint8_t kind = take8(w);
    uint32_t cpu = kind >> 4 & 1;
    ntmm_handle process = take_process(w);
    uint64_t address = take_address(w);
    size_t size = one_in(w, 4) ? take8(w) % sizeof(bytes) : 1;
    struct ntmm_thread_stack *stack = kind & 0x20 ? &w->stack : NULL;

    if (CALL(w, emulated_attach, w->emu, cpu, process)) {
        return;
    }
    memset(bytes, kind, sizeof(bytes));
    switch (kind % 8) {
    case 0:
    case 1:
        (void)CALL(w, emulated_load, w->emu, cpu, address, bytes, size, stack, &result);
        break;
    case 2:
        (void)CALL(w, emulated_fetch, w->emu, cpu, address, bytes, size, stack, &result);
        break;
    case 3:
        (void)CALL(w, emulated_update, w->emu, cpu, address, (uint32_t)size, add_one, NULL, stack,
                   &result);
        break;
    default:
        (void)CALL(w, emulated_store, w->emu, cpu, address, bytes, size, stack, &result);
        break;
    }
}

/* Stores to many pages in a row, so that memory becomes scarce. */
static void touch_range(struct world *w)
{
    uint8_t byte = take8(w);
    const struct range *range = &w->ranges[byte % RANGE_COUNT];
    ntmm_handle process = take_process(w);
    uint64_t pages = take8(w) % 64;

    if (CALL(w, emulated_attach, w->emu, 0, process)) {
        return;
    }
    for (uint64_t i = 0; i < pages && i < range->size / NTMM_PAGE_SIZE; i++) {
        if (CALL(w, emulated_store, w->emu, 0, range->base + i * NTMM_PAGE_SIZE + byte, &byte, 1,
                 NULL, NULL)) {
            return;
        }
    }
}

static void take_request(struct world *w, struct ntmm_fault_request *request)
{
    static const uint32_t CODES[] = {
        NTMM_FAULT_USER,
        NTMM_FAULT_USER | NTMM_FAULT_WRITE,
        NTMM_FAULT_USER | NTMM_FAULT_EXECUTE,
        NTMM_FAULT_USER | NTMM_FAULT_WRITE | NTMM_FAULT_PRESENT,
        0,
        NTMM_FAULT_WRITE,
    };

    memset(request, 0, sizeof(*request));
    request->process = take_handle(w);
    request->address = take_address(w);
    request->error_code = one_in(w, 16) ? take32(w) : CODES[take8(w) % 6];
    request->stack = one_in(w, 4) ? &w->stack : NULL;
    request->instruction = request->address ^ request->error_code;
}

static void page_fault(struct world *w)
{
    struct ntmm_fault_request request;
    struct ntmm_fault_result result;

    take_request(w, &request);
    (void)CALL(w, page_fault, w->system, &request, &result);
}

/* Begins a fault, or goes on with one that waits, or gives it up. */
static void fault_begin(struct world *w)
{
    struct pending *pending = &w->pending[take8(w) % WAIT_COUNT];
    struct ntmm_fault_result result;

    if (!pending->is_pending) {
        memset(pending, 0, sizeof(*pending));
        take_request(w, &pending->request);
    } else if (one_in(w, 3)) {
        ntmm_fault_cancel(w->system, &pending->wait);
        pending->is_pending = false;
        return;
    }
    pending->is_pending = CALL(w, fault_begin, w->system, &pending->request, &pending->wait,
                               &result) == NTMM_STATUS_PENDING;
}

const struct verb MEMORY_VERBS[] = {
    {"read", read_memory},
    {"write", write_memory},
    {"write", write_memory},
    {"copy", copy_memory},
    {"lock", lock},
    {"unlock", unlock},
    {"flush", flush},
    {"set-information", set_information},
    {"set-call-targets", set_call_targets},
    {"access", access_memory},
    {"access", access_memory},
    {"access", access_memory},
    {"access", access_memory},
    {"touch-range", touch_range},
    {"touch-range", touch_range},
    {"page-fault", page_fault},
    {"fault-begin", fault_begin},
    {"fault-begin", fault_begin},
    {"probe", probe},
};
const unsigned MEMORY_VERB_COUNT = sizeof(MEMORY_VERBS) / sizeof(MEMORY_VERBS[0]);
