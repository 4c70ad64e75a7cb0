/*
 * Counters in NT's layouts. What they are made of comes from ntmm_query_memory,
 * ntmm_query_counters, the process and its page files; here it is only put in its place.
 *
 *   class --> length --> pointer (--> handle, right) --> values
 *
 * Source: public SDK and phnt headers for layouts and numbers; observed lengths.
 */
#include "base/bits.h"
#include "paging/transfers.h"
#include "services/working_set_watch.h"
#include "space/process.h"

#include <ntmm/constants.h>
#include <ntmm/statistics.h>

#define VM_COUNTERS_BYTES 88u
#define VM_COUNTERS_EX_BYTES 96u
#define PAGE_FILE_ENTRY_BYTES 32u

NTMM_STATIC_ASSERT(sizeof(struct ntmm_vm_counters) == 112, "VM_COUNTERS_EX2");
NTMM_STATIC_ASSERT(offsetof(struct ntmm_vm_counters, private_usage) == VM_COUNTERS_BYTES, "NT's");
NTMM_STATIC_ASSERT(sizeof(struct ntmm_system_basic_information) == 64, "NT's layout");
NTMM_STATIC_ASSERT(sizeof(struct ntmm_system_performance_information) == 344, "NT's layout");
NTMM_STATIC_ASSERT(offsetof(struct ntmm_system_performance_information, cache_manager_counts) ==
                       176,
                   "NT's layout");
NTMM_STATIC_ASSERT(offsetof(struct ntmm_system_performance_information, cache_total_dirty_pages) ==
                       NTMM_SYSTEM_PERFORMANCE_MINIMUM,
                   "NT's layout before Windows 10");
NTMM_STATIC_ASSERT(sizeof(struct ntmm_system_file_cache_information) == 64, "NT's layout");
NTMM_STATIC_ASSERT(sizeof(struct ntmm_system_memory_lists) == 176, "NT's layout");
NTMM_STATIC_ASSERT(sizeof(struct ntmm_page_file_entry) == 40, "SYSTEM_PAGEFILE_INFORMATION_EX");
NTMM_STATIC_ASSERT(offsetof(struct ntmm_page_file_entry, minimum_size) == PAGE_FILE_ENTRY_BYTES,
                   "SYSTEM_PAGEFILE_INFORMATION");

static uint32_t to_long(uint64_t value) { return (uint32_t)min_u64(value, UINT32_MAX); }

static uint64_t to_bytes(uint64_t pages) { return pages << NTMM_PAGE_SHIFT; }

/* --- of a process --- */

static void fill_vm_counters(const struct process *process, struct ntmm_vm_counters *v)
{
    *v = (struct ntmm_vm_counters){
        .peak_virtual_size = to_bytes(get64(&process->virtual_peak)),
        .virtual_size = to_bytes(get64(&process->virtual_pages)),
        .page_fault_count = (uint32_t)get64(&process->counters[NTMM_COUNTER_PAGE_FAULTS]),
        .peak_working_set_size = to_bytes(get64(&process->working_set_peak)),
        .working_set_size = to_bytes(get64(&process->working_set_pages)),
        .pagefile_usage = to_bytes(get64(&process->commit_pages)),
        .peak_pagefile_usage = to_bytes(get64(&process->commit_peak)),
        .private_usage = to_bytes(get64(&process->commit_pages)),
        .private_working_set_size = to_bytes(get64(&process->working_set_pages)),
    };
}

/* Either right will do: whoever may query everything may query a little. */
static uint32_t right_of(ntmm_handle handle)
{
    bool may_query_all = handle_holds(handle, NTMM_PROCESS_QUERY_INFORMATION);
    return may_query_all ? 0 : NTMM_PROCESS_QUERY_LIMITED_INFORMATION;
}

static ntmm_status query_vm_counters(struct ntmm_system *system, ntmm_handle handle, void *buffer,
                                     uint64_t length)
{
    struct call c = call_begin(system);
    struct process *process;
    struct ntmm_vm_counters values;
    if (length != VM_COUNTERS_BYTES && length != VM_COUNTERS_EX_BYTES && length != sizeof values)
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    if (!buffer)
        return NTMM_STATUS_ACCESS_VIOLATION;
    ntmm_status status = process_lock_working_set(&c, handle, right_of(handle), &process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    fill_vm_counters(process, &values);
    process_unlock_working_set(&c, process);
    __builtin_memcpy(buffer, &values, (size_t)length);
    return NTMM_STATUS_SUCCESS;
}

static ntmm_status query_process(struct ntmm_system *system, ntmm_handle process,
                                 uint32_t information_class, void *buffer, uint64_t length,
                                 uint64_t *size)
{
    *size = length;
    switch (information_class) {
    case NTMM_PROCESS_QUOTA_LIMITS:
        return ntmm_query_quota_limits(system, process, buffer,
                                       (uint32_t)min_u64(length, UINT32_MAX));
    case NTMM_PROCESS_VM_COUNTERS:
        return query_vm_counters(system, process, buffer, length);
    case NTMM_PROCESS_WORKING_SET_WATCH:
        return working_set_watch_take(system, process, false, buffer, length, size);
    case NTMM_PROCESS_WORKING_SET_WATCH_EX:
        return working_set_watch_take(system, process, true, buffer, length, size);
    }
    return NTMM_STATUS_INVALID_INFO_CLASS;
}

ntmm_status ntmm_query_information_process(struct ntmm_system *system, ntmm_handle process,
                                           uint32_t information_class, void *buffer,
                                           uint64_t length, uint64_t *return_length)
{
    uint64_t size;
    ntmm_status status = query_process(system, process, information_class, buffer, length, &size);
    bool is_told = status == NTMM_STATUS_SUCCESS || status == NTMM_STATUS_BUFFER_TOO_SMALL;
    if (is_told && return_length)
        *return_length = size;
    return status;
}

ntmm_status ntmm_set_information_process(struct ntmm_system *system, ntmm_handle process,
                                         uint32_t information_class, const void *buffer,
                                         uint64_t length)
{
    NTMM_ASSERT(call_may_wait(system));
    switch (information_class) {
    case NTMM_PROCESS_QUOTA_LIMITS:
        return ntmm_set_quota_limits(system, process, buffer,
                                     (uint32_t)min_u64(length, UINT32_MAX));
    case NTMM_PROCESS_WORKING_SET_WATCH:
    case NTMM_PROCESS_WORKING_SET_WATCH_EX:
        return working_set_watch_begin(system, process, length);
    }
    return NTMM_STATUS_INVALID_INFO_CLASS;
}

/* --- of the system --- */

struct reply {
    char *buffer;
    uint64_t length;
    uint64_t size; /* out: bytes written, or needed */
};

/* Whether `least` bytes of a struct fit; at most `most` are to be written. */
static ntmm_status check_reply(struct reply *r, uint64_t least, uint64_t most)
{
    r->size = r->length >= most ? most : least;
    if (r->length < least)
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    return r->buffer ? NTMM_STATUS_SUCCESS : NTMM_STATUS_ACCESS_VIOLATION;
}

static void give(const struct reply *r, const void *values)
{
    __builtin_memcpy(r->buffer, values, (size_t)r->size);
}

/* Of the ranges of which frames are there, or were. */
static uint64_t highest_frame(const struct anchor *anchor)
{
    uint64_t highest = 0;
    for (uint32_t i = 0; i < get32(&anchor->range_count); i++) {
        uint64_t frames = load64_acquire(&anchor->ranges[i].frame_count);
        if (frames != 0)
            highest = get64(&anchor->ranges[i].base_frame) + frames - 1;
    }
    return highest;
}

static ntmm_status give_basic(struct call *c, struct reply *r)
{
    const struct anchor *anchor = anchor_of(c);
    ntmm_status status = check_reply(r, sizeof(struct ntmm_system_basic_information),
                                     sizeof(struct ntmm_system_basic_information));
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    const struct ntmm_system_basic_information values = {
        .page_size = NTMM_PAGE_SIZE,
        .number_of_physical_pages = to_long(load64_relaxed(&anchor->partition.total_pages)),
        .lowest_physical_page_number = to_long(get64(&anchor->ranges[0].base_frame)),
        .highest_physical_page_number = to_long(highest_frame(anchor)),
        .allocation_granularity = NTMM_ALLOCATION_GRANULARITY,
        .minimum_user_mode_address = NTMM_LOWEST_USER_ADDRESS,
        .maximum_user_mode_address = NTMM_HIGHEST_USER_ADDRESS,
    };
    give(r, &values);
    return NTMM_STATUS_SUCCESS;
}

static uint64_t standby_of(const struct ntmm_memory_information *m)
{
    uint64_t pages = 0;
    for (uint32_t i = 0; i < STANDBY_PRIORITIES; i++)
        pages += m->standby_pages[i];
    return pages;
}

/* User physical pages of all processes. */
static uint64_t user_physical_pages(struct call *c)
{
    uint64_t pages = 0;
    uint32_t slots = load32_acquire(&anchor_of(c)->slot_count);
    for (uint32_t slot = 0; slot < slots; slot++) {
        struct process *process = process_in_slot(c, slot);
        working_set_acquire(c, process);
        if (load64_acquire(&process->handle))
            pages += get64(&process->physical_pages);
        process_unlock_working_set(c, process);
    }
    return pages;
}

/* Frames less those that stay for good or were promised; 0 when more was promised than there is. */
static uint64_t resident_available(struct call *c, const struct ntmm_memory_information *m)
{
    uint64_t kept = m->metadata_pages + m->slab_pages + m->process_pages + m->paging_pages +
                    m->bad_pages + user_physical_pages(c) +
                    load64_relaxed(&partition_of(c)->minimum_pages) +
                    load64_relaxed(&partition_of(c)->large_pages);
    return m->total_pages > kept ? m->total_pages - kept : 0;
}

static void fill_performance(struct call *c, struct ntmm_system_performance_information *p)
{
    struct ntmm_memory_information m;
    uint64_t n[NTMM_COUNTER_COUNT];
    ntmm_query_memory(c->sys, &m);
    ntmm_query_counters(c->sys, n, NTMM_COUNTER_COUNT);
    *p = (struct ntmm_system_performance_information){
        .available_pages = to_long(m.zeroed_pages + m.free_pages + standby_of(&m)),
        .committed_pages = to_long(m.commit_pages),
        .commit_limit = to_long(m.commit_limit_pages),
        .peak_commitment = to_long(m.commit_peak_pages),
        .page_fault_count = to_long(n[NTMM_COUNTER_PAGE_FAULTS]),
        .transition_count = to_long(n[NTMM_COUNTER_TRANSITION_FAULTS]),
        .demand_zero_count = to_long(n[NTMM_COUNTER_DEMAND_ZERO_FAULTS]),
        .page_read_count = to_long(n[NTMM_COUNTER_PAGES_READ]),
        .page_read_io_count = to_long(n[NTMM_COUNTER_PAGE_READS]),
        .dirty_pages_write_count = to_long(n[NTMM_COUNTER_PAGES_WRITTEN]),
        .dirty_write_io_count = to_long(n[NTMM_COUNTER_PAGE_WRITES]),
        .nonpaged_pool_pages = to_long(m.slab_pages + m.process_pages + m.paging_pages),
        .resident_available_pages = resident_available(c, &m),
    };
}

static ntmm_status give_performance(struct call *c, struct reply *r)
{
    struct ntmm_system_performance_information values;
    ntmm_status status = check_reply(r, NTMM_SYSTEM_PERFORMANCE_MINIMUM, sizeof values);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    fill_performance(c, &values);
    give(r, &values);
    return NTMM_STATUS_SUCCESS;
}

static ntmm_status give_file_cache(struct call *c, struct reply *r)
{
    struct ntmm_system_file_cache_information values = {0};
    ntmm_status status = check_reply(r, sizeof values, sizeof values);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    uint64_t repurposed = load64_relaxed(&anchor_of(c)->counters[NTMM_COUNTER_PAGES_REPURPOSED]);
    values.transition_repurpose_count = to_long(repurposed);
    give(r, &values);
    return NTMM_STATUS_SUCCESS;
}

static ntmm_status give_memory_lists(struct call *c, struct reply *r)
{
    struct ntmm_memory_information m;
    struct ntmm_system_memory_lists values;
    ntmm_status status = check_reply(r, sizeof values, sizeof values);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    ntmm_query_memory(c->sys, &m);
    values = (struct ntmm_system_memory_lists){
        .zero_page_count = m.zeroed_pages,
        .free_page_count = m.free_pages,
        .modified_page_count = m.modified_pages,
        .modified_no_write_page_count = m.modified_no_write_pages,
        .bad_page_count = m.bad_pages,
        .modified_page_count_page_file = m.modified_pages - m.modified_mapped_pages,
    };
    for (uint32_t i = 0; i < STANDBY_PRIORITIES; i++) {
        values.page_count_by_priority[i] = m.standby_pages[i];
        values.repurposed_pages_by_priority[i] = load64_relaxed(&partition_of(c)->repurposed[i]);
    }
    give(r, &values);
    return NTMM_STATUS_SUCCESS;
}

/* --- page files --- */

#define NAME_CHARACTERS_MAX 20u

/* "\Device\PageFile" and a number below 16, with its end. Returns the characters without it. */
static uint32_t name_of_file(uint32_t number, uint16_t name[NAME_CHARACTERS_MAX])
{
    static const char stem[] = "\\Device\\PageFile";
    uint32_t count = 0;
    for (; stem[count] != 0; count++)
        name[count] = (uint16_t)stem[count];
    if (number >= 10)
        name[count++] = '1';
    name[count++] = (uint16_t)('0' + (number >= 10 ? number - 10 : number));
    name[count] = 0;
    return count;
}

static uint64_t entry_size(uint32_t number, uint64_t fields_size)
{
    uint16_t name[NAME_CHARACTERS_MAX];
    return round_up(fields_size + ((uint64_t)name_of_file(number, name) + 1) * 2, 8);
}

/* An entry at r->size, which moves behind it. */
static void give_entry(struct reply *r, const struct ntmm_paging_file_information *file,
                       uint64_t fields_size, bool is_last)
{
    uint16_t name[NAME_CHARACTERS_MAX];
    uint32_t characters = name_of_file(file->number, name);
    uint64_t size = entry_size(file->number, fields_size);
    char *place = r->buffer + r->size;
    const struct ntmm_page_file_entry entry = {
        .next_entry_offset = is_last ? 0 : (uint32_t)size,
        .total_size = to_long(file->size_pages),
        .total_in_use = to_long(file->used_pages),
        .peak_usage = to_long(file->peak_pages),
        .name_length = (uint16_t)(characters * 2),
        .name_maximum_length = (uint16_t)(characters * 2 + 2),
        .name_address = (uintptr_t)(place + fields_size),
        .minimum_size = to_long(file->initial_pages),
        .maximum_size = to_long(file->maximum_pages),
    };
    __builtin_memset(place, 0, (size_t)size);
    __builtin_memcpy(place, &entry, (size_t)fields_size);
    __builtin_memcpy(place + fields_size, name, ((size_t)characters + 1) * 2);
    r->size += size;
}

static ntmm_status give_page_files(struct call *c, struct reply *r, uint64_t fields_size)
{
    struct ntmm_paging_file_information file;
    uint32_t count = load32_acquire(&partition_of(c)->page_file_count);
    uint64_t needed = 0;
    for (uint32_t i = 0; i < count; i++)
        needed += entry_size(i, fields_size);
    uint64_t least = max_u64(needed, fields_size);
    ntmm_status status = check_reply(r, least, least);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    r->size = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (page_file_query(c, i, &file) == NTMM_STATUS_SUCCESS)
            give_entry(r, &file, fields_size, i + 1 == count);
    }
    return NTMM_STATUS_SUCCESS;
}

static ntmm_status give_system(struct call *c, struct reply *r, uint32_t information_class)
{
    switch (information_class) {
    case NTMM_SYSTEM_BASIC_INFORMATION:
        return give_basic(c, r);
    case NTMM_SYSTEM_PERFORMANCE_INFORMATION:
        return give_performance(c, r);
    case NTMM_SYSTEM_PAGE_FILE_INFORMATION:
        return give_page_files(c, r, PAGE_FILE_ENTRY_BYTES);
    case NTMM_SYSTEM_FILE_CACHE_INFORMATION:
        return give_file_cache(c, r);
    case NTMM_SYSTEM_MEMORY_LIST_INFORMATION:
        return give_memory_lists(c, r);
    case NTMM_SYSTEM_PAGE_FILE_INFORMATION_EX:
        return give_page_files(c, r, sizeof(struct ntmm_page_file_entry));
    }
    return NTMM_STATUS_INVALID_INFO_CLASS;
}

ntmm_status ntmm_query_system_information(struct ntmm_system *system, uint32_t information_class,
                                          void *buffer, uint64_t length, uint64_t *return_length)
{
    struct call c = call_begin(system);
    struct reply reply = {.buffer = buffer, .length = length};
    ntmm_status status = give_system(&c, &reply, information_class);
    bool is_size_known =
        status == NTMM_STATUS_SUCCESS || status == NTMM_STATUS_INFO_LENGTH_MISMATCH;
    if (is_size_known && return_length)
        *return_length = reply.size;
    return status;
}
