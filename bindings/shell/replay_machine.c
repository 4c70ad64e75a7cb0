/*
 * The machine of a replay: RAM, system, page files, processes.
 *
 *   RAM        in use for good                         for what the programs have
 *   a size     |<---------------------- as it was given ---------------------->|
 *   a part     | metadata, slabs, processes, slot maps | parts / of the footprint |
 *   neither    | all that the programs can commit, their tables, and some to spare |
 *
 * The footprint of a program is the distinct pages that its trace touches and the page tables that
 * lead to them. A part of it means frames for these, so what the core keeps for itself comes on
 * top. How much that is, a rehearsal says: the machine is made with RAM to spare, processes,
 * regions and page files included, looked at and thrown away. The frames' database is as large as
 * RAM asks, so its size is taken from an empty system of the final size.
 */
#include "replay.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* RAM for a text, whose needs are not known beforehand, and beside what is known. */
#define TEXT_PAGES (1u << 18)
#define SPARE_PAGES (1u << 11)
#define UNIT_BYTES (1u << 20)

static uint64_t kib_of(uint64_t bytes) { return bytes >> 10; }

/* --- what does not suffice --- */

/* Pages that all programs may commit, their tables included; 0 when one is not known. */
static uint64_t count_commit(const struct replay *replay)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < replay->program_count; i++) {
        struct shell_error ignored;
        uint64_t need = 0;
        const struct replay_program *program = &replay->programs[i];
        if (!program->has_regions || !replay_count_need(program, &need, &ignored))
            return 0;
        sum += need;
    }
    return sum;
}

bool replay_refuse_shortage(const struct replay *replay, ntmm_status status, const char *what,
                            struct shell_error *error)
{
    uint64_t files_bytes = 0;
    char advice[128] = "add memory";
    for (uint32_t i = 0; i < replay->options.page_file_count; i++)
        files_bytes += replay->options.page_files[i].maximum_bytes;
    uint64_t lacking_bytes = (SPARE_PAGES + count_commit(replay)) * NTMM_PAGE_SIZE;
    if (status == NTMM_STATUS_COMMITMENT_LIMIT && lacking_bytes > replay->ram_bytes + files_bytes) {
        lacking_bytes -= replay->ram_bytes + files_bytes;
        snprintf(advice, sizeof advice, "add memory, or --pagefile PATH:%lluM",
                 (unsigned long long)(lacking_bytes + UNIT_BYTES - 1) / UNIT_BYTES);
    } else if (status == NTMM_STATUS_COMMITMENT_LIMIT) {
        snprintf(advice, sizeof advice, "add memory, or --pagefile PATH:SIZE");
    }
    if (files_bytes == 0)
        return shell_set_error(error, "ntmm: --ram: %llu KiB are too little for %s: %s",
                               (unsigned long long)kib_of(replay->ram_bytes), what, advice);
    return shell_set_error(
        error, "ntmm: --ram: %llu KiB and %llu KiB of page files are too little for %s: %s",
        (unsigned long long)kib_of(replay->ram_bytes), (unsigned long long)kib_of(files_bytes),
        what, advice);
}

/* --- page files --- */

/* Says with the host's words why a file cannot be a page file; also when it is one already. */
static bool is_usable(const struct replay *replay, uint32_t index, struct shell_error *error)
{
    const char *path = replay->options.page_files[index].path;
    struct stat this;
    struct stat other;
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    bool is_good = file >= 0 && fstat(file, &this) == 0;
    if (!is_good)
        shell_set_error(error, "ntmm: --pagefile %s: %s", path, strerror(errno));
    if (file >= 0)
        close(file);
    for (uint32_t i = 0; i < index && is_good; i++) {
        const char *before = replay->options.page_files[i].path;
        bool is_same = before != NULL && stat(before, &other) == 0 && other.st_dev == this.st_dev &&
                       other.st_ino == this.st_ino;
        if (is_same)
            is_good = shell_set_error(error, "ntmm: --pagefile %s: is a page file already", path);
    }
    return is_good;
}

static bool add_page_file(struct replay *replay, uint32_t index, struct shell_error *error)
{
    const struct replay_page_file *file = &replay->options.page_files[index];
    const char *name = file->path != NULL ? file->path : "memory";
    struct shell_status_name text;
    struct ntmm_emulated_disk_config disk = {
        .size = sizeof disk,
        .version = NTMM_EMULATED_DISK_VERSION,
        .size_bytes = file->initial_bytes,
        .maximum_bytes = file->maximum_bytes,
        .path = file->path,
        .minimum_latency_pumps = replay->options.minimum_latency_pumps,
        .maximum_latency_pumps = replay->options.maximum_latency_pumps,
    };
    struct ntmm_paging_file_config config = {
        .size = sizeof config,
        .version = NTMM_PAGING_FILE_VERSION,
        .initial_bytes = file->initial_bytes,
        .maximum_bytes = file->maximum_bytes,
    };
    if (file->path != NULL && !is_usable(replay, index, error))
        return false;
    ntmm_status status = ntmm_emulated_add_disk(replay->emu, &disk, &config.device);
    if (NTMM_SUCCEEDED(status))
        status = ntmm_create_paging_file(replay->system, &config, NULL);
    if (status == NTMM_STATUS_NO_MEMORY || status == NTMM_STATUS_COMMITMENT_LIMIT)
        return shell_set_error(error, "ntmm: --ram: %llu KiB are too little for the page file %s",
                               (unsigned long long)kib_of(replay->ram_bytes), name);
    return NTMM_SUCCEEDED(status) ||
           shell_set_error(error, "ntmm: --pagefile %s: cannot make %llu KiB of it: %s", name,
                           (unsigned long long)kib_of(file->initial_bytes),
                           shell_status_name(status, &text));
}

void replay_settle(struct replay *replay)
{
    const struct ntmm_platform *platform = ntmm_emulated_platform(replay->emu);
    struct ntmm_emulated_statistics statistics;
    for (;;) {
        ntmm_emulated_query(replay->emu, &statistics);
        if (statistics.transfers == statistics.completions)
            return;
        platform->pump(platform->context);
    }
}

/* --- the machine --- */

static bool make_system(struct replay *replay, struct shell_error *error)
{
    struct ntmm_config config = {
        .size = sizeof config,
        .version = NTMM_CONFIG_VERSION,
        .paging_flags = replay->options.paging_flags,
        .read_cluster_pages = replay->options.read_cluster_pages,
    };
    struct shell_status_name name;
    ntmm_status status = ntmm_emulated_create_system(replay->emu, &config, &replay->system);
    if (status == NTMM_STATUS_INSUFFICIENT_RESOURCES)
        return shell_set_error(error, "ntmm: --ram: %llu bytes are too little for a system",
                               (unsigned long long)replay->ram_bytes);
    return NTMM_SUCCEEDED(status) || shell_set_error(error, "ntmm: cannot make a system: %s",
                                                     shell_status_name(status, &name));
}

bool replay_make_machine(struct replay *replay, uint64_t ram_bytes, struct shell_error *error)
{
    bool is_preempted = replay->options.cpu_count != 0;
    struct ntmm_emulated_config config = {
        .size = sizeof config,
        .version = NTMM_EMULATED_CONFIG_VERSION,
        .ram_bytes = ram_bytes,
        .cpu_count = replay->options.cpu_count,
        .flags = NTMM_EMULATED_HUGE_PAGES |
                 (is_preempted ? NTMM_EMULATED_PREEMPT | NTMM_EMULATED_CHECK_LEVEL : 0),
        .seed = replay->options.seed,
    };
    struct shell_status_name name;
    replay->ram_bytes = ram_bytes;
    ntmm_status status = ntmm_emulated_create(&config, &replay->emu);
    if (status == NTMM_STATUS_INVALID_PARAMETER_1 || status == NTMM_STATUS_INSUFFICIENT_RESOURCES)
        return shell_set_error(error,
                               "ntmm: --ram: %llu bytes are not a size that this machine "
                               "can give",
                               (unsigned long long)ram_bytes);
    if (!NTMM_SUCCEEDED(status))
        return shell_set_error(error, "ntmm: cannot make a machine: %s",
                               shell_status_name(status, &name));
    bool is_made = make_system(replay, error);
    for (uint32_t i = 0; i < replay->options.page_file_count && is_made; i++)
        is_made = add_page_file(replay, i, error);
    return is_made;
}

static void unmake_machine(struct replay *replay)
{
    ntmm_emulated_destroy(replay->emu, NULL);
    replay->emu = NULL;
    replay->system = NULL;
    for (uint32_t i = 0; i < replay->program_count; i++)
        replay->programs[i].process = 0;
}

bool replay_make_process(struct replay *replay, struct replay_program *program,
                         struct shell_error *error)
{
    struct shell_status_name name;
    struct ntmm_process_config config = {
        .size = sizeof config,
        .version = NTMM_PROCESS_CONFIG_VERSION,
        .working_set_minimum_pages = replay->options.working_set_minimum_pages,
        .working_set_maximum_pages = replay->options.working_set_maximum_pages,
    };
    ntmm_status status = ntmm_create_process(replay->system, &config, &program->process);
    if (status == NTMM_STATUS_COMMITMENT_LIMIT || status == NTMM_STATUS_NO_MEMORY)
        return replay_refuse_shortage(replay, status, "a process", error);
    if (!NTMM_SUCCEEDED(status))
        return shell_set_error(error, "%s: cannot make a process: %s", trace_name(program->trace),
                               shell_status_name(status, &name));
    program->cpu = ntmm_emulated_cpu(replay->emu, 0);
    return !program->has_regions || replay_make_regions(replay, program, error);
}

/* --- the size of RAM --- */

static bool count_needs(struct replay *replay, uint64_t *pages, struct shell_error *error)
{
    *pages = SPARE_PAGES;
    replay->footprint_pages = 0;
    bool is_known = true;
    for (uint32_t i = 0; i < replay->program_count; i++) {
        struct replay_program *program = &replay->programs[i];
        uint64_t need = TEXT_PAGES;
        program->has_regions = trace_summary(program->trace) != NULL;
        if (program->has_regions && !replay_count_need(program, &need, error))
            return false;
        if (program->has_regions)
            replay->footprint_pages += replay_count_footprint(program);
        is_known = is_known && program->has_regions;
        *pages += need;
    }
    if (!is_known)
        replay->footprint_pages = 0;
    *pages += *pages / 32; /* the database of frames and slabs */
    return true;
}

/* Metadata of an empty system. */
static bool measure_metadata(const struct replay *replay, uint64_t ram_pages, uint64_t *pages,
                             struct shell_error *error)
{
    struct replay empty = {.options = replay->options};
    struct ntmm_memory_information memory;
    empty.options.page_file_count = 0;
    bool is_made = replay_make_machine(&empty, ram_pages * NTMM_PAGE_SIZE, error);
    if (is_made) {
        ntmm_query_memory(empty.system, &memory);
        *pages = memory.metadata_pages;
    }
    unmake_machine(&empty);
    return is_made;
}

/* Frames beside metadata that the core has for itself when everything is made and nothing run. */
static bool rehearse(struct replay *replay, uint64_t ram_bytes, uint64_t *pages,
                     struct shell_error *error)
{
    struct ntmm_memory_information memory;
    bool is_made = replay_make_machine(replay, ram_bytes, error);
    for (uint32_t i = 0; i < replay->program_count && is_made; i++)
        is_made = replay_make_process(replay, &replay->programs[i], error);
    if (is_made) {
        ntmm_query_memory(replay->system, &memory);
        *pages = memory.slab_pages + memory.process_pages + memory.paging_pages;
    }
    unmake_machine(replay);
    return is_made;
}

static bool choose_part(struct replay *replay, uint64_t ample_bytes, struct shell_error *error)
{
    const struct replay_ram *ram = &replay->options.ram;
    uint64_t own_pages = 0;
    uint64_t metadata_pages = 0;
    if (replay->footprint_pages == 0)
        return shell_set_error(error,
                               "ntmm: --ram %llu/%llu: a text does not say beforehand what it "
                               "touches; see `ntmm trace convert`",
                               (unsigned long long)ram->parts, (unsigned long long)ram->of_parts);
    if (!rehearse(replay, ample_bytes, &own_pages, error))
        return false;
    uint64_t share = (replay->footprint_pages * ram->parts + ram->of_parts - 1) / ram->of_parts;
    uint64_t ram_pages = ample_bytes / NTMM_PAGE_SIZE;
    for (int i = 0; i < 3; i++) {
        if (!measure_metadata(replay, ram_pages, &metadata_pages, error))
            return false;
        ram_pages = share + own_pages + metadata_pages;
    }
    replay->ram_bytes = ram_pages * NTMM_PAGE_SIZE;
    return true;
}

bool replay_choose_ram(struct replay *replay, struct shell_error *error)
{
    uint64_t pages;
    if (!count_needs(replay, &pages, error))
        return false;
    uint64_t ample_bytes = (pages * NTMM_PAGE_SIZE + UNIT_BYTES - 1) / UNIT_BYTES * UNIT_BYTES;
    if (replay->options.ram.of_parts != 0)
        return choose_part(replay, ample_bytes, error);
    replay->ram_bytes = replay->options.ram.bytes != 0 ? replay->options.ram.bytes : ample_bytes;
    return true;
}
