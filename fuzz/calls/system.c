/*
 * The calls about whole processes and the whole system: making and ending, opening with fewer
 * rights, jobs, working sets, page files, background work; and what goes wrong: disks, contents,
 * frames.
 */
#include "calls/world.h"

#include "paging/page_out.h"

#include <string.h>

static void create_process(struct world *w)
{
    static const uint8_t PROTECTIONS[] = {0, 0, 0, 0x31, 0x61, 0x62, 0x72, 0xFF};
    ntmm_handle handle = 77;
    uint8_t kind = take8(w);
    struct ntmm_process_config config = {
        .size = one_in(w, 32) ? take32(w) : (uint32_t)sizeof(config),
        .version = one_in(w, 32) ? take32(w) : NTMM_PROCESS_CONFIG_VERSION,
        .flags = take_below(w, 128),
        .commit_limit_pages = kind & 1 ? take8(w) : 0,
        .protection = PROTECTIONS[kind >> 1 & 7],
    };

    if (kind & 0x10) {
        config.highest_address = take_address(w) | 0xFFFF;
        config.bottom_up_start = take_any(w);
    }
    if (kind & 0x20) {
        config.working_set_minimum_pages = take8(w);
        config.working_set_maximum_pages = take8(w) * 2u;
    }
    if (kind & 0x80) {
        memset(&config, 0, sizeof(config));
        config.size = (uint32_t)sizeof(config);
        config.version = NTMM_PROCESS_CONFIG_VERSION;
    }
    if (CALL(w, create_process, w->system, kind == 255 ? NULL : &config, &handle)) {
        must(w, handle == 77, "a failed creation wrote the handle");
        return;
    }
    add_process(w, handle);
    add_handle(w, handle);
}

static void end_process(struct world *w) { (void)CALL(w, end_process, w->system, take_handle(w)); }

static void open_process(struct world *w)
{
    ntmm_handle target = take_handle(w);
    ntmm_handle handle = 77;
    struct ntmm_caller caller = {
        .size = one_in(w, 32) ? take32(w) : (uint32_t)sizeof(caller),
        .version = one_in(w, 32) ? take32(w) : NTMM_CALLER_VERSION,
        .process = one_in(w, 2) ? 0 : take_handle(w),
        .privileges = take64(w),
    };
    uint32_t desired = one_in(w, 8) ? take32(w) : take32(w) & NTMM_PROCESS_ALL;
    uint8_t null = take8(w);

    desired = null & 1 ? desired : NTMM_MAXIMUM_ALLOWED;
    if (CALL(w, open_process, w->system, null & 2 ? NULL : &caller, target, desired,
             null >= 252 ? NULL : &handle)) {
        must(w, handle == 77, "a failed opening wrote the handle");
        return;
    }
    add_handle(w, handle);
}

/* Jobs */

static ntmm_handle take_job(struct world *w)
{
    return one_in(w, 16) ? take_handle(w) : w->handles[take8(w) % HANDLE_COUNT];
}

static void create_job(struct world *w)
{
    ntmm_handle job = 77;

    if (CALL(w, create_job, w->system, one_in(w, 32) ? NULL : &job)) {
        must(w, job == 77, "a failed creation wrote the handle");
        return;
    }
    add_handle(w, job);
}

static void close_job(struct world *w) { (void)CALL(w, close_job, w->system, take_job(w)); }

static void set_job_limits(struct world *w)
{
    ntmm_handle job = take_job(w);
    struct ntmm_job_limits limits = {
        .size = one_in(w, 32) ? take32(w) : (uint32_t)sizeof(limits),
        .version = one_in(w, 32) ? take32(w) : NTMM_JOB_LIMITS_VERSION,
        .flags = one_in(w, 16) ? take32(w) : take32(w) & 0x301,
        .working_set_minimum_pages = one_in(w, 16) ? take_any(w) : take8(w),
        .working_set_maximum_pages = one_in(w, 16) ? take_any(w) : take8(w) * 2u,
        .process_memory_pages = one_in(w, 16) ? take_any(w) : take8(w),
        .job_memory_pages = one_in(w, 16) ? take_any(w) : take8(w) * 2u,
    };

    (void)CALL(w, set_job_limits, w->system, job, one_in(w, 64) ? NULL : &limits);
}

static void assign_to_job(struct world *w)
{
    ntmm_handle job = take_job(w);

    (void)CALL(w, assign_process_to_job, w->system, job, take_handle(w));
}

/* Working sets */

static uint64_t take_limit_bytes(struct world *w)
{
    uint64_t part = take8(w) & 0x80;

    return one_in(w, 8) ? take_any(w) : take8(w) * 0x1000ull + part;
}

static void set_limits(struct world *w)
{
    ntmm_handle process = take_handle(w);
    uint64_t minimum = take_limit_bytes(w);
    uint64_t maximum = take_limit_bytes(w);

    (void)CALL(w, set_working_set_limits, w->system, process, minimum, maximum,
               one_in(w, 16) ? take32(w) : take8(w) % 16);
}

static void set_quota(struct world *w)
{
    static const uint32_t LENGTHS[] = {48, 88, 88, 48, 0, 47, 89, 96};
    ntmm_handle process = take_handle(w);
    uint32_t length = LENGTHS[take8(w) % 8];
    struct ntmm_quota_limits_ex limits;
    uint8_t *buffer = take_buffer(w, length);

    memset(&limits, 0, sizeof(limits));
    limits.limits.minimum_working_set_size = take_limit_bytes(w);
    limits.limits.maximum_working_set_size = take_limit_bytes(w);
    limits.flags = one_in(w, 16) ? take32(w) : take8(w) % 32;
    memcpy(buffer, &limits, length < sizeof(limits) ? length : sizeof(limits));
    (void)CALL(w, set_quota_limits, w->system, process, one_in(w, 32) ? NULL : buffer, length);
    release_buffer(w);
}

static void set_process(struct world *w)
{
    static const uint32_t CLASSES[] = {1, 15, 42, 15, 3, 0};
    ntmm_handle process = take_handle(w);
    uint32_t class = one_in(w, 16) ? take32(w) : CLASSES[take8(w) % 6];
    uint64_t length = class == 1 || one_in(w, 16) ? 48 : 0;
    uint8_t *buffer = take_buffer(w, length);

    (void)CALL(w, set_information_process, w->system, process, class, buffer, length);
    release_buffer(w);
}

static void empty(struct world *w) { (void)CALL(w, empty_working_set, w->system, take_handle(w)); }

static void list_command(struct world *w)
{
    ntmm_handle caller = take_handle(w);

    (void)CALL(w, memory_list_command, w->system, caller, take_below(w, 6));
}

/* Page files and background work */

static void create_file(struct world *w)
{
    uint8_t kind = take8(w);
    struct ntmm_paging_file_config config = {
        .size = one_in(w, 32) ? take32(w) : (uint32_t)sizeof(config),
        .version = one_in(w, 32) ? take32(w) : NTMM_PAGING_FILE_VERSION,
        .initial_bytes = one_in(w, 8) ? take_any(w) : 0x100000,
        .maximum_bytes = one_in(w, 8) ? take_any(w) : 0x100000ull << kind % 4,
    };
    uint32_t number = 77;

    if (kind & 0x80) {
        add_disk(w);
    }
    config.device = one_in(w, 16) ? take_any(w) : w->disks[kind % DISK_COUNT];
    if (!CALL(w, create_paging_file, w->system, &config, one_in(w, 8) ? NULL : &number)) {
        w->has_file = true;
    } else {
        must(w, number == 77, "a failed creation wrote the number");
    }
}

static void write_modified(struct world *w)
{
    (void)ntmm_write_modified_pages(w->system, take8(w));
}

static void balance(struct world *w) { ntmm_balance_set_manager(w->system); }

static void zero_pages(struct world *w) { (void)ntmm_zero_free_pages(w->system, take8(w)); }

static void pump(struct world *w)
{
    const struct ntmm_platform *platform = ntmm_emulated_platform(w->emu);

    for (unsigned i = take8(w) % 16; i; i--) {
        platform->pump(platform->context);
    }
}

/* Everything leaves memory; only where that is sure to end. */
static void page_out(struct world *w)
{
    struct ntmm_memory_information memory;

    ntmm_query_memory(w->system, &memory);
    if (w->has_file && !w->is_injecting && !is_waiting(w) && !w->hog.count) {
        page_out_everything(w->emu);
    }
}

static void set_events(struct world *w) { ntmm_set_event_mask(w->system, take32(w)); }

static void count_ranges(void *context, ntmm_handle process, uint64_t base, uint64_t end,
                         enum ntmm_shootdown_reason reason)
{
    (void)process;
    (void)reason;
    must(context, base < end, "an empty range was withdrawn");
}

static void set_sink(struct world *w)
{
    ntmm_set_invalidation_sink(w->system, one_in(w, 2) ? NULL : count_ranges, w);
}

/* What goes wrong */

static void fail_disk(struct world *w)
{
    struct ntmm_emulated_disk_errors errors = {
        .operations = take8(w) % 16u,
        .is_refused = one_in(w, 2),
        .after = take8(w) % 8,
        .count = take8(w) % 8,
        .status = NTMM_STATUS_DEVICE_DATA_ERROR,
    };

    errors.is_torn = errors.after & 1;
    if (w->disk_count) {
        w->is_injecting = true;
        (void)CALL(w, emulated_inject_disk, w->emu, w->disks[take8(w) % w->disk_count], &errors);
    }
}

static void cut_power(struct world *w)
{
    if (w->disk_count) {
        uint64_t disk = w->disks[take8(w) % w->disk_count];

        w->is_injecting = true;
        (void)CALL(w, emulated_cut_power, w->emu, disk, take8(w) % 4);
    }
}

/* A file of any size, which nothing uses, comes and goes. */
static void add_file(struct world *w)
{
    struct ntmm_emulated_file_config file = {
        .size = one_in(w, 32) ? take32(w) : (uint32_t)sizeof(file),
        .version = NTMM_EMULATED_FILE_VERSION,
        .size_bytes = take32(w) >> take8(w) % 32,
        .maximum_bytes = one_in(w, 2) ? 0 : take32(w),
        .flags = take8(w) % 64,
    };
    uint64_t device = 77;
    uint64_t size = 77;

    if (CALL(w, emulated_add_file, w->emu, &file, &device, &size)) {
        must(w, device == 77 && size == 77, "a failed call wrote the device or its size");
        return;
    }
    must(w, size == file.size_bytes, "a file of another size");
    must(w, !CALL(w, emulated_remove_device, w->emu, device), "a file that is not used stays");
    must(w, CALL(w, emulated_remove_device, w->emu, device), "a file was removed twice");
}

static void mend(struct world *w)
{
    ntmm_emulated_inject_content(w->emu, 0, 0, 0, 0);
    mend_devices(w);
    w->is_injecting = false;
}

static void fail_content(struct world *w)
{
    uint32_t operations = take8(w) % 32u;
    uint64_t after = take8(w) % 8;

    w->is_injecting = true;
    ntmm_emulated_inject_content(w->emu, operations, after, take8(w) % 4,
                                 NTMM_STATUS_HARDWARE_MEMORY_ERROR);
}

static void hog(struct world *w)
{
    uint64_t left = take8(w) % 12;

    take_frames(w, left, 1u + take8(w) % 6);
}

/* A frame of RAM, which begins at 0, or any number. */
static uint64_t take_frame_number(struct world *w)
{
    uint64_t frame = take8(w) * 3ull;

    return one_in(w, 16) ? take_any(w) : frame;
}

static void mark_bad(struct world *w)
{
    uint64_t frame = take_frame_number(w);
    uint32_t flags = take_below(w, 2);
    uint32_t outcome = 77;
    ntmm_status status =
        CALL(w, mark_frame_bad, w->system, frame, flags, one_in(w, 16) ? NULL : &outcome);

    must(w, outcome <= NTMM_BAD_FRAME_LOST || outcome == 77, "an unknown outcome");
    must(w, !is_failure(status) || outcome == 77, "a refusal wrote the outcome");
    (void)CALL(w, mark_frame_good, w->system, one_in(w, 4) ? take_frame_number(w) : frame);
}

/* A frame of RAM that is not there at first, or any. */
static uint64_t take_upper_frame(struct world *w)
{
    if (one_in(w, 4))
        return take_frame_number(w);
    return w->upper_frame + (one_in(w, 2) ? 0 : take_below(w, UPPER_FRAMES + 1));
}

/* They are not said to be zero: what was removed is not. */
static void change_frames(struct world *w)
{
    uint64_t first = take_upper_frame(w);
    uint64_t count = one_in(w, 16) ? take_any(w) : take_below(w, UPPER_FRAMES + 1);
    uint32_t flags = one_in(w, 16) ? NTMM_FRAMES_ABSENT : 0;

    (void)CALL(w, add_frames, w->system, first, count, flags);
    first = take_upper_frame(w);
    count = one_in(w, 16) ? take_any(w) : take_below(w, 12);
    (void)CALL(w, remove_frames, w->system, first, count);
}

const struct verb SYSTEM_VERBS[] = {
    {"create-process", create_process},
    {"end-process", end_process},
    {"open-process", open_process},
    {"create-job", create_job},
    {"close-job", close_job},
    {"set-job-limits", set_job_limits},
    {"assign-to-job", assign_to_job},
    {"set-limits", set_limits},
    {"set-quota", set_quota},
    {"set-process", set_process},
    {"empty", empty},
    {"list-command", list_command},
    {"create-file", create_file},
    {"write-modified", write_modified},
    {"balance", balance},
    {"zero-pages", zero_pages},
    {"pump", pump},
    {"page-out", page_out},
    {"page-out", page_out},
    {"set-events", set_events},
    {"set-sink", set_sink},
    {"fail-disk", fail_disk},
    {"cut-power", cut_power},
    {"add-file", add_file},
    {"mend", mend},
    {"mend", mend},
    {"fail-content", fail_content},
    {"hog", hog},
    {"mark-bad", mark_bad},
    {"change-frames", change_frames},
};
const unsigned SYSTEM_VERB_COUNT = sizeof(SYSTEM_VERBS) / sizeof(SYSTEM_VERBS[0]);
