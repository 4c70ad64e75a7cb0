/*
 * The sequence of a replay. See replay.h.
 */
#include "replay.h"

#include "command_replay.h"
#include "shadow.h"

#include <stdlib.h>
#include <string.h>

static bool check(struct replay *replay, struct shell_error *error)
{
    size_t size = ntmm_check_scratch_size(replay->system);
    void *scratch = malloc(size);
    struct shell_status_name name;
    if (scratch == NULL)
        return shell_set_error(error, "ntmm: no memory for the checker");
    ntmm_status status = ntmm_check_with_storage(
        replay->system, scratch, size, ntmm_emulated_read_disk, replay->emu, &replay->check);
    free(scratch);
    return NTMM_SUCCEEDED(status) || replay->check.invariant[0] != '\0' ||
           shell_set_error(error, "ntmm: the checker: %s", shell_status_name(status, &name));
}

/* Makes processes and, with --verify, the records of what their memory must hold. */
static bool make_programs(struct replay *replay, struct shell_error *error)
{
    for (uint32_t i = 0; i < replay->program_count; i++) {
        struct replay_program *program = &replay->programs[i];
        program->shadow = replay->options.is_verified ? shadow_create() : NULL;
        if (replay->options.is_verified && program->shadow == NULL)
            return shell_set_error(error, "ntmm: no memory for the record that --verify keeps");
        if (!replay_make_process(replay, program, error))
            return false;
    }
    return true;
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
    for (uint32_t i = 0; i < replay->options.page_file_count; i++)
        if (!NTMM_SUCCEEDED(ntmm_query_paging_file(replay->system, i, &replay->page_files[i])))
            return shell_set_error(error, "ntmm: page file %u is gone", i);
    for (uint32_t i = 0; i < replay->options.explain_count; i++)
        if (!replay_explain(replay, &replay->options.explain[i],
                            replay_text_output(&replay->options), error))
            return false;
    return check(replay, error);
}

static bool end_processes(struct replay *replay, struct shell_error *error)
{
    struct shell_status_name name;
    for (uint32_t i = 0; i < replay->program_count; i++) {
        ntmm_status status = ntmm_end_process(replay->system, replay->programs[i].process);
        if (!NTMM_SUCCEEDED(status))
            return shell_set_error(error, "ntmm: cannot end a process: %s",
                                   shell_status_name(status, &name));
    }
    replay_settle(replay); /* reading tables may have taken frames, and so have written pages */
    return replay->check.invariant[0] != '\0' || check(replay, error);
}

static bool is_right(const struct replay *replay)
{
    const struct ntmm_teardown *teardown = &replay->teardown;
    return replay->check.invariant[0] == '\0' &&
           (teardown->lost_pages | teardown->outstanding_commit | teardown->live_objects |
            teardown->processes_ended | teardown->waiters | teardown->transfers) == 0;
}

static int play(struct replay *replay, struct shell_error *error)
{
    if (!replay_choose_ram(replay, error) ||
        !replay_make_machine(replay, replay->ram_bytes, error) || !make_programs(replay, error))
        return SHELL_USAGE;
    int status = replay_run_turns(replay, error);
    if (status != SHELL_OK)
        return status;
    replay_settle(replay);
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

/* Opens a trace for each of its programs. */
static bool open_programs(struct replay *replay, const char *name, struct shell_error *error)
{
    uint32_t copies = replay->options.process_count;
    for (uint32_t copy = 0; copy < copies; copy++) {
        struct replay_program *program = &replay->programs[replay->program_count];
        program->trace = trace_open(name, error);
        program->copy = copies > 1 ? copy + 1 : 0;
        if (program->trace == NULL)
            return false;
        replay->program_count++;
    }
    return true;
}

int replay_traces(const struct replay_options *options, char **names, uint32_t count)
{
    struct replay replay = {.options = *options};
    struct shell_error error = {""};
    int status = SHELL_OK;
    replay.programs = calloc((size_t)count * options->process_count, sizeof *replay.programs);
    if (replay.programs == NULL)
        return shell_refuse("no memory for %u traces", count);
    for (uint32_t i = 0; i < count && status == SHELL_OK; i++)
        status = open_programs(&replay, names[i], &error) ? SHELL_OK : SHELL_USAGE;
    if (status == SHELL_OK)
        status = play(&replay, &error);
    release(&replay);
    if (error.text[0] != '\0')
        shell_report(&error);
    int finished = shell_finish_output();
    return status != SHELL_OK ? status : finished;
}
