/*
 * The sequence of a replay, and its slices. See replay.h.
 */
#include "replay.h"

#include "command_replay.h"
#include "shadow.h"

#include <stdlib.h>
#include <string.h>

/* A slice has 1 to twice this many records, less one: the seed says. */
#define SLICE_RECORDS 16384u
/* RAM for a text, whose needs are not known beforehand, and beside what is known. */
#define TEXT_PAGES (1u << 18)
#define SPARE_PAGES (1u << 11)
#define RAM_UNIT (1u << 20)

static uint64_t next_random(struct replay *replay)
{
    uint64_t z = replay->random += 0x9E3779B97F4A7C15ull;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    return z ^ z >> 31;
}

static bool choose_ram(struct replay *replay, struct shell_error *error)
{
    uint64_t pages = SPARE_PAGES;
    for (uint32_t i = 0; i < replay->program_count; i++) {
        struct replay_program *program = &replay->programs[i];
        uint64_t need = TEXT_PAGES;
        program->has_regions = trace_summary(program->trace) != NULL;
        if (program->has_regions && !replay_count_need(program, &need, error))
            return false;
        pages += need;
    }
    pages += pages / 32; /* the database of frames and slabs */
    replay->ram_bytes = replay->options.ram_bytes;
    if (replay->ram_bytes == 0)
        replay->ram_bytes = (pages * NTMM_PAGE_SIZE + RAM_UNIT - 1) / RAM_UNIT * RAM_UNIT;
    return true;
}

static bool make_machine(struct replay *replay, struct shell_error *error)
{
    struct ntmm_emulated_config config = {
        .size = sizeof config,
        .version = NTMM_EMULATED_CONFIG_VERSION,
        .ram_bytes = replay->ram_bytes,
        .flags = NTMM_EMULATED_HUGE_PAGES,
        .seed = replay->options.seed,
    };
    struct replay_status_name name;
    ntmm_status status = ntmm_emulated_create(&config, &replay->emu);
    if (NTMM_SUCCEEDED(status)) {
        status = ntmm_emulated_create_system(replay->emu, NULL, &replay->system);
        if (status == NTMM_STATUS_INSUFFICIENT_RESOURCES)
            return shell_set_error(error, "ntmm: --ram: %llu bytes are too little for a system",
                                   (unsigned long long)replay->ram_bytes);
    } else if (status == NTMM_STATUS_INVALID_PARAMETER_1 ||
               status == NTMM_STATUS_INSUFFICIENT_RESOURCES) {
        return shell_set_error(error,
                               "ntmm: --ram: %llu bytes are not a size that this machine "
                               "can give",
                               (unsigned long long)replay->ram_bytes);
    }
    if (!NTMM_SUCCEEDED(status))
        return shell_set_error(error, "ntmm: cannot make a system: %s",
                               replay_status_name(status, &name));
    replay->cpu = ntmm_emulated_cpu(replay->emu, 0);
    return true;
}

static bool make_process(struct replay *replay, struct replay_program *program,
                         struct shell_error *error)
{
    struct replay_status_name name;
    ntmm_status status = ntmm_create_process(replay->system, NULL, &program->process);
    if (status == NTMM_STATUS_COMMITMENT_LIMIT || status == NTMM_STATUS_NO_MEMORY)
        return shell_set_error(error, "ntmm: --ram: %llu bytes are too little for a process",
                               (unsigned long long)replay->ram_bytes);
    if (!NTMM_SUCCEEDED(status))
        return shell_set_error(error, "%s: cannot make a process: %s", trace_name(program->trace),
                               replay_status_name(status, &name));
    program->shadow = replay->options.is_verified ? shadow_create() : NULL;
    if (replay->options.is_verified && program->shadow == NULL)
        return shell_set_error(error, "ntmm: no memory for the record that --verify keeps");
    return !program->has_regions || replay_make_regions(replay, program, error);
}

/* Reads references when the batch is used up. */
static bool fill_batch(struct replay_program *program, struct shell_error *error)
{
    if (program->batch_next != program->batch_count)
        return true;
    ptrdiff_t got = trace_read(program->trace, program->batch, REPLAY_BATCH, error);
    if (got < 0)
        return false;
    program->batch_next = 0;
    program->batch_count = (size_t)got;
    program->is_finished = got == 0;
    if (!program->has_regions)
        for (ptrdiff_t i = 0; i < got; i++)
            program->kind_count[program->batch[i].kind]++;
    return true;
}

static int run_records(struct replay *replay, struct replay_program *program, size_t count,
                       struct shell_error *error)
{
    const struct trace_reference *next = &program->batch[program->batch_next];
    size_t allowed = replay_until_corruption(replay, next, count);
    if (allowed == 0) {
        replay_corrupt(replay, program, next);
        allowed = 1;
    }
    int status = replay->options.is_verified
                     ? replay_run_verified(replay, program, next, allowed, error)
                     : replay_run_plain(replay, program, next, allowed, error);
    uint64_t references = allowed;
    for (size_t i = 0; i < allowed; i++)
        references += next[i].folded;
    program->batch_next += allowed;
    program->record_count += allowed;
    program->reference_count += references;
    replay->reference_count += references;
    return status;
}

static int run_slice(struct replay *replay, struct replay_program *program, size_t records,
                     struct shell_error *error)
{
    struct replay_status_name name;
    ntmm_status attached = ntmm_emulated_attach(replay->emu, 0, program->process);
    if (!NTMM_SUCCEEDED(attached)) {
        shell_set_error(error, "ntmm: cannot attach: %s", replay_status_name(attached, &name));
        return SHELL_WRONG;
    }
    int status = SHELL_OK;
    ntmm_cpu_enter(replay->cpu);
    while (records != 0 && status == SHELL_OK && !program->is_finished) {
        if (!fill_batch(program, error)) {
            status = SHELL_USAGE;
            break;
        }
        size_t before = program->batch_next;
        size_t count = program->batch_count - before;
        if (count > records)
            count = records;
        if (count != 0)
            status = run_records(replay, program, count, error);
        records -= program->batch_next - before;
    }
    ntmm_cpu_leave(replay->cpu);
    return status;
}

/* The n-th program that is not finished. */
static struct replay_program *pick(struct replay *replay, uint64_t n)
{
    struct replay_program *program = replay->programs;
    for (;; program++) {
        if (!program->is_finished && n-- == 0)
            return program;
    }
}

static int run_all(struct replay *replay, struct shell_error *error)
{
    struct replay_progress progress;
    uint32_t alive = replay->program_count;
    int status = SHELL_OK;
    uint64_t processor_ns = replay_processor_ns();
    replay_progress_begin(&progress);
    replay->random = replay->options.seed;
    while (alive != 0 && status == SHELL_OK) {
        struct replay_program *program = pick(replay, next_random(replay) % alive);
        size_t records = 1 + (size_t)(next_random(replay) % (2 * SLICE_RECORDS - 1));
        status = run_slice(replay, program, records, error);
        alive -= program->is_finished;
        replay_progress_draw(&progress, replay);
    }
    replay->elapsed_ns = replay_now_ns() - progress.begun_ns;
    replay->processor_ns = replay_processor_ns() - processor_ns;
    replay_progress_end(&progress);
    if (status == SHELL_OK && replay->options.corrupt_reference != UINT64_MAX &&
        !replay->is_corrupted) {
        shell_set_error(error, "ntmm: --corrupt-reference: nothing in RAM is read after it");
        status = SHELL_USAGE;
    }
    return status;
}

static bool check(struct replay *replay, struct shell_error *error)
{
    size_t size = ntmm_check_scratch_size(replay->system);
    void *scratch = malloc(size);
    struct replay_status_name name;
    if (scratch == NULL)
        return shell_set_error(error, "ntmm: no memory for the checker");
    ntmm_status status = ntmm_check(replay->system, scratch, size, &replay->check);
    free(scratch);
    return NTMM_SUCCEEDED(status) || replay->check.invariant[0] != '\0' ||
           shell_set_error(error, "ntmm: the checker: %s", replay_status_name(status, &name));
}

/* Figures of the moment after the last reference, before anything is torn down. */
static bool look(struct replay *replay, struct shell_error *error)
{
    for (uint32_t i = 0; i < replay->program_count; i++) {
        struct replay_program *program = &replay->programs[i];
        const struct trace_summary *summary = trace_summary(program->trace);
        if (summary != NULL)
            memcpy(program->kind_count, summary->kind_count, sizeof program->kind_count);
        if (!NTMM_SUCCEEDED(ntmm_query_process(replay->system, program->process, &program->end)))
            return shell_set_error(error, "%s: its process is gone", trace_name(program->trace));
    }
    ntmm_query_counters(replay->system, replay->counters, NTMM_COUNTER_COUNT);
    ntmm_query_memory(replay->system, &replay->memory);
    for (uint32_t i = 0; i < replay->options.explain_count; i++)
        if (!replay_explain(replay, &replay->options.explain[i],
                            replay_text_output(&replay->options), error))
            return false;
    return check(replay, error);
}

static bool end_processes(struct replay *replay, struct shell_error *error)
{
    struct replay_status_name name;
    for (uint32_t i = 0; i < replay->program_count; i++) {
        ntmm_status status = ntmm_end_process(replay->system, replay->programs[i].process);
        if (!NTMM_SUCCEEDED(status))
            return shell_set_error(error, "ntmm: cannot end a process: %s",
                                   replay_status_name(status, &name));
    }
    return replay->check.invariant[0] != '\0' || check(replay, error);
}

static bool is_right(const struct replay *replay)
{
    const struct ntmm_teardown *teardown = &replay->teardown;
    return replay->check.invariant[0] == '\0' &&
           (teardown->lost_pages | teardown->outstanding_commit | teardown->live_objects |
            teardown->processes_ended | teardown->waiters) == 0;
}

static int play(struct replay *replay, struct shell_error *error)
{
    if (!choose_ram(replay, error) || !make_machine(replay, error))
        return SHELL_USAGE;
    for (uint32_t i = 0; i < replay->program_count; i++)
        if (!make_process(replay, &replay->programs[i], error))
            return SHELL_USAGE;
    int status = run_all(replay, error);
    if (status != SHELL_OK)
        return status;
    if (!look(replay, error) || !end_processes(replay, error))
        return SHELL_WRONG;
    ntmm_emulated_destroy(replay->emu, &replay->teardown);
    replay->emu = NULL;
    replay_print_report(replay, replay_text_output(&replay->options));
    if (!replay_write_json(replay, error))
        return SHELL_USAGE;
    return is_right(replay) ? SHELL_OK : SHELL_WRONG;
}

static void release(struct replay *replay)
{
    ntmm_emulated_destroy(replay->emu, NULL);
    for (uint32_t i = 0; i < replay->program_count; i++) {
        trace_close(replay->programs[i].trace);
        shadow_destroy(replay->programs[i].shadow);
    }
    free(replay->programs);
}

int replay_traces(const struct replay_options *options, char **names, uint32_t count)
{
    struct replay replay = {.options = *options};
    struct shell_error error = {""};
    int status = SHELL_OK;
    replay.programs = calloc(count, sizeof *replay.programs);
    if (replay.programs == NULL)
        return shell_refuse("no memory for %u traces", count);
    for (; replay.program_count < count && status == SHELL_OK; replay.program_count++) {
        struct replay_program *program = &replay.programs[replay.program_count];
        program->trace = trace_open(names[replay.program_count], &error);
        status = program->trace != NULL ? SHELL_OK : SHELL_USAGE;
    }
    if (status == SHELL_OK)
        status = play(&replay, &error);
    release(&replay);
    if (error.text[0] != '\0')
        shell_report(&error);
    int finished = shell_finish_output();
    return status != SHELL_OK ? status : finished;
}
