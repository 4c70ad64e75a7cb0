/*
 * The calls that only ask: of an address space, a process, a page file, the system, a frame.
 */
#include "calls/world.h"

#include <string.h>

static void query(struct world *w)
{
    struct ntmm_memory_basic_information found;
    ntmm_handle process = take_handle(w);
    uint64_t address = take_address(w);
    ntmm_status status;

    memset(&found, POISON, sizeof(found));
    status =
        CALL(w, query_virtual_memory, w->system, process, address, one_in(w, 64) ? NULL : &found);
    must(w, !is_failure(status) || is_poison(&found, sizeof(found)), "a failed query wrote");
}

/* Single pages: the addresses stand in the buffer, and those answered before a failure stay. */
static void fill_pages(struct world *w, uint8_t *buffer, uint64_t length)
{
    uint64_t address = take_address(w);

    for (uint64_t at = 0; at + 16 <= length; at += 16, address += 0x1000) {
        memcpy(buffer + at, &address, sizeof(address));
    }
}

/* A name that does not fit says how long it is. */
static bool says_length(uint32_t class, ntmm_status status)
{
    return class == NTMM_MEMORY_MAPPED_FILENAME_INFORMATION &&
           (status == NTMM_STATUS_BUFFER_OVERFLOW || status == NTMM_STATUS_INFO_LENGTH_MISMATCH);
}

static void query_class(struct world *w)
{
    static const uint16_t LENGTHS[] = {48, 48, 24, 32, 16, 64, 8, 160, 512, 0};
    ntmm_handle process = take_handle(w);
    uint64_t address = take_address(w);
    uint32_t class = take_below(w, 12);
    uint8_t kind = take8(w);
    uint64_t length = kind < 200 ? LENGTHS[kind % 10] : take32(w) % 8192;
    uint8_t *buffer = take_buffer(w, length);
    uint64_t written = 77;
    bool is_null = one_in(w, 64);
    ntmm_status status;

    if (class == NTMM_MEMORY_WORKING_SET_EX_INFORMATION) {
        fill_pages(w, buffer, length);
    }
    status = CALL(w, query_virtual_memory_class, w->system, process, address, class,
                  is_null ? NULL : buffer, length, one_in(w, 8) ? NULL : &written);
    must(w, !is_failure(status) || written == 77 || says_length(class, status),
         "a failed query wrote the length");
    must(w, is_failure(status) || written == 77 || written <= length, "more than the buffer holds");
    if (is_failure(status) && class != NTMM_MEMORY_WORKING_SET_EX_INFORMATION &&
        class != NTMM_MEMORY_WORKING_SET_INFORMATION) {
        must(w, is_poison(buffer, length), "a failed query wrote the buffer");
    }
    release_buffer(w);
}

#define RECORD_LIMIT 8u

static void scan(struct world *w)
{
    struct ntmm_memory_basic_information records[RECORD_LIMIT];
    ntmm_handle process = take_handle(w);
    uint64_t from = take_address(w);
    uint64_t to = one_in(w, 2) ? NTMM_USER_PROBE_ADDRESS : take_address(w);
    uint32_t flags = take_below(w, 9);
    uint32_t capacity = take8(w) % (RECORD_LIMIT + 1);
    uint32_t count = 77;
    uint64_t next = 77;
    uint8_t null = take8(w);
    ntmm_status status;

    memset(records, POISON, sizeof(records));
    status =
        CALL(w, scan_regions, w->system, process, from, to, flags, null == 253 ? NULL : records,
             capacity, null == 254 ? NULL : &count, null == 255 ? NULL : &next);
    must(w, is_poison(records + capacity, (RECORD_LIMIT - capacity) * sizeof(records[0])),
         "written past the records");
    if (is_failure(status)) {
        must(w, count == 77 && next == 77, "a failed scan wrote");
        return;
    }
    must(w, count <= capacity && next >= (from & ~0xFFFull), "a scan goes backwards");
    for (uint32_t i = 1; i < count; i++) {
        must(w, records[i].base_address >= records[i - 1].base_address + records[i - 1].region_size,
             "records of a scan overlap");
    }
}

static void iterate(struct world *w)
{
    struct ntmm_region_iterator before;
    struct ntmm_memory_basic_information found;
    ntmm_status status;

    if (one_in(w, 8) || !w->iterator.process) {
        ntmm_handle process = take_handle(w);

        ntmm_begin_regions(&w->iterator, process, take_below(w, 9));
    }
    for (unsigned steps = take8(w) % 8; steps; steps--) {
        before = w->iterator;
        memset(&found, POISON, sizeof(found));
        status = CALL(w, next_region, w->system, &w->iterator, &found);
        if (status == NTMM_STATUS_SUCCESS) {
            must(w,
                 found.base_address >= before.next && w->iterator.next > before.next &&
                     found.base_address + found.region_size == w->iterator.next,
                 "an iterator does not go on");
        } else {
            must(w, is_poison(&found, sizeof(found)), "an iterator wrote without a run");
            must(w,
                 status == NTMM_STATUS_NO_MORE_ENTRIES ||
                     !memcmp(&before, &w->iterator, sizeof(before)),
                 "a failed step moved the iterator");
            return;
        }
    }
}

static void query_process(struct world *w)
{
    struct ntmm_process_information found;
    ntmm_status status;

    memset(&found, POISON, sizeof(found));
    status = CALL(w, query_process, w->system, take_handle(w), &found);
    must(w, !is_failure(status) || is_poison(&found, sizeof(found)), "a failed query wrote");
}

static void query_information_process(struct world *w)
{
    static const uint16_t LENGTHS[] = {48, 88, 96, 112, 47, 111, 0, 256};
    ntmm_handle process = take_handle(w);
    static const uint8_t CLASSES[] = {3, 15, 42, 3};
    uint32_t class = one_in(w, 2) ? CLASSES[take8(w) % 4] : take_below(w, 4);
    uint64_t length = one_in(w, 8) ? 505 * 32 : LENGTHS[take8(w) % 8];
    uint8_t *buffer = take_buffer(w, length);
    uint64_t written = 77;
    void *at = one_in(w, 64) ? NULL : buffer;
    ntmm_status status = CALL(w, query_information_process, w->system, process, class, at, length,
                              one_in(w, 8) ? NULL : &written);

    must(w, !is_failure(status) || is_poison(buffer, length), "a failed query wrote");
    must(w, !is_failure(status) || status == NTMM_STATUS_BUFFER_TOO_SMALL || written == 77,
         "a failed query gave a length");
    release_buffer(w);
}

static void query_system_information(struct world *w)
{
    static const uint16_t CLASSES[] = {0, 2, 18, 21, 80, 144, 144, 18};
    static const uint16_t LENGTHS[] = {64, 312, 344, 176, 32, 40, 512, 0};
    uint8_t kind = take8(w);
    uint32_t class = kind < 240 ? CLASSES[kind % 8] : take32(w);
    uint64_t length = one_in(w, 4) ? take8(w) * 2u : LENGTHS[take8(w) % 8];
    uint8_t *buffer = take_buffer(w, length);
    uint64_t written = 77;
    void *at = one_in(w, 64) ? NULL : buffer;
    ntmm_status status = CALL(w, query_system_information, w->system, class, at, length,
                              one_in(w, 8) ? NULL : &written);

    must(w, !is_failure(status) || is_poison(buffer, length), "a failed query wrote");
    must(w, !is_failure(status) || written == 77 || status == NTMM_STATUS_INFO_LENGTH_MISMATCH,
         "a failed query wrote the length");
    release_buffer(w);
}

static void query_condition(struct world *w)
{
    uint32_t condition = take_below(w, 6);
    bool is_signalled = false;

    (void)CALL(w, query_memory_condition, w->system, condition,
               one_in(w, 32) ? NULL : &is_signalled);
}

static void query_quota(struct world *w)
{
    static const uint16_t LENGTHS[] = {48, 88, 0, 47, 89, 96, 256, 48};
    ntmm_handle process = take_handle(w);
    uint32_t length = LENGTHS[take8(w) % 8];
    uint8_t *buffer = take_buffer(w, length);
    ntmm_status status =
        CALL(w, query_quota_limits, w->system, process, one_in(w, 32) ? NULL : buffer, length);

    must(w, !is_failure(status) || is_poison(buffer, length), "a failed query wrote");
    release_buffer(w);
}

static void query_file(struct world *w)
{
    struct ntmm_paging_file_information found;
    ntmm_status status;

    memset(&found, POISON, sizeof(found));
    status = CALL(w, query_paging_file, w->system, take_below(w, 4), &found);
    must(w, !is_failure(status) || is_poison(&found, sizeof(found)), "a failed query wrote");
}

static void query_job(struct world *w)
{
    struct ntmm_job_information found;
    ntmm_handle job = one_in(w, 8) ? take_handle(w) : w->handles[take8(w) % HANDLE_COUNT];
    ntmm_status status;

    memset(&found, POISON, sizeof(found));
    status = CALL(w, query_job, w->system, job, one_in(w, 32) ? NULL : &found);
    must(w, !is_failure(status) || is_poison(&found, sizeof(found)), "a failed query wrote");
}

static void query_frame(struct world *w)
{
    struct ntmm_frame_information found;
    ntmm_status status;

    memset(&found, POISON, sizeof(found));
    status = CALL(w, query_frame, w->system, one_in(w, 8) ? take_any(w) : take32(w) % 1024, &found);
    must(w, !is_failure(status) || is_poison(&found, sizeof(found)), "a failed query wrote");
}

static void explain(struct world *w)
{
    struct ntmm_explanation found;
    char text[256];
    ntmm_handle process = take_handle(w);
    uint64_t address = take_address(w);
    ntmm_status status;

    memset(&found, POISON, sizeof(found));
    status = CALL(w, explain, w->system, process, address, &found);
    if (is_failure(status)) {
        must(w, is_poison(&found, sizeof(found)), "a failed explanation wrote");
        return;
    }
    for (uint32_t level = found.stopped_level; level <= found.levels; level++) {
        (void)ntmm_format_entry(found.entry[level - 1], level, text, sizeof(text));
    }
}

static void format_entry(struct world *w)
{
    uint64_t entry = take64(w);
    uint64_t size = take8(w);
    uint8_t *buffer = take_buffer(w, size);

    (void)ntmm_format_entry(entry, take8(w) % 5 + 1, (char *)buffer, size);
    release_buffer(w);
}

static void query_counts(struct world *w)
{
    struct ntmm_memory_information memory;
    uint64_t values[NTMM_COUNTER_COUNT + 4];
    uint32_t count = take8(w) % (NTMM_COUNTER_COUNT + 4);

    ntmm_query_memory(w->system, &memory);
    must(w, memory.commit_pages <= memory.commit_peak_pages, "commit above its peak");
    ntmm_query_counters(w->system, values, count);
    (void)ntmm_describe_counter(take_below(w, 64));
}

static void rights(struct world *w)
{
    ntmm_handle handle = take_handle(w);

    must(w, !(ntmm_granted_access(handle) & ~NTMM_PROCESS_ALL), "rights that there are not");
    (void)ntmm_held_privileges(handle);
}

static void translate(struct world *w)
{
    struct ntmm_translation found;
    struct ntmm_translation before;
    ntmm_handle process = take_handle(w);
    uint64_t address = take_address(w);
    uint32_t flags = take8(w) & 0x30u;
    uint32_t access = one_in(w, 16) ? take32(w) : 1u + take8(w) % 7 + flags;
    ntmm_status status;

    memset(&found, POISON, sizeof(found));
    found.size = one_in(w, 32) ? take32(w) : (uint32_t)sizeof(found);
    before = found;
    status = CALL(w, translate, w->system, process, address, access, one_in(w, 64) ? NULL : &found);
    must(w, !is_failure(status) || !memcmp(&before, &found, sizeof(found)),
         "a denied translation wrote");
}

const struct verb QUERY_VERBS[] = {
    {"query", query},
    {"query-class", query_class},
    {"query-class", query_class},
    {"query-class", query_class},
    {"scan", scan},
    {"iterate", iterate},
    {"query-process", query_process},
    {"query-information-process", query_information_process},
    {"query-system-information", query_system_information},
    {"query-condition", query_condition},
    {"query-quota", query_quota},
    {"query-file", query_file},
    {"query-job", query_job},
    {"query-frame", query_frame},
    {"explain", explain},
    {"format-entry", format_entry},
    {"query-counts", query_counts},
    {"rights", rights},
    {"translate", translate},
};
const unsigned QUERY_VERB_COUNT = sizeof(QUERY_VERBS) / sizeof(QUERY_VERBS[0]);
