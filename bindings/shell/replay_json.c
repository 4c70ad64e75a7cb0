/*
 * The report of a replay, as JSON: counters under the names that ntmm_describe_counter gives them.
 *
 *   { version, seed, verified, processors, ram_bytes, footprint_pages, seconds, processor_seconds,
 *     references, references_per_second, references_per_processor_second,
 *     counters: {name: value}, memory: {...}, paging: {...}, page_files: [ {...} ],
 *     working_set_interval, check: {...}, teardown: {...},
 *     traces: [ {name, references, records, fetches, loads, stores, modifies,
 *                pages, peak_pages, minimum_pages, maximum_pages, tables, commit_pages,
 *                peak_commit_pages, regions, working_set: [pages], counters: {...}} ] }
 *
 * working_set has the pages after each working_set_interval references of the whole replay.
 */
#include "replay.h"
#include "shell_json.h"

static json_t *counters_of(const uint64_t *values, bool is_system)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < NTMM_COUNTER_COUNT; i++) {
        const struct ntmm_counter_description *row = ntmm_describe_counter(i);
        if (is_system || row->owner == NTMM_OWNER_PROCESS)
            shell_json_put(object, row->name, values[i]);
    }
    return object;
}

static json_t *samples_of(const struct replay *replay, const struct replay_program *program)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < replay->chart.count; i++)
        json_array_append_new(array, json_integer((json_int_t)program->samples[i]));
    return array;
}

static json_t *program_of(const struct replay *replay, const struct replay_program *program)
{
    const struct ntmm_process_information *end = &program->end;
    json_t *object = json_object();
    json_object_set_new(object, "name", shell_json_string(trace_name(program->trace)));
    shell_json_put(object, "references", program->reference_count);
    shell_json_put(object, "records", program->record_count);
    shell_json_put(object, "fetches", program->kind_count[TRACE_FETCH]);
    shell_json_put(object, "loads", program->kind_count[TRACE_LOAD]);
    shell_json_put(object, "stores", program->kind_count[TRACE_STORE]);
    shell_json_put(object, "modifies", program->kind_count[TRACE_MODIFY]);
    shell_json_put(object, "pages", end->working_set_pages);
    shell_json_put(object, "peak_pages", end->peak_working_set_pages);
    shell_json_put(object, "minimum_pages", end->working_set_minimum_pages);
    shell_json_put(object, "maximum_pages", end->working_set_maximum_pages);
    shell_json_put(object, "tables", end->table_pages);
    shell_json_put(object, "commit_pages", end->commit_pages);
    shell_json_put(object, "peak_commit_pages", end->peak_commit_pages);
    shell_json_put(object, "regions", end->region_count);
    json_object_set_new(object, "working_set", samples_of(replay, program));
    json_object_set_new(object, "counters", counters_of(end->counters, false));
    return object;
}

static json_t *memory_of(const struct ntmm_memory_information *memory)
{
    uint64_t standby = 0;
    json_t *object = json_object();
    for (unsigned i = 0; i < sizeof memory->standby_pages / sizeof memory->standby_pages[0]; i++)
        standby += memory->standby_pages[i];
    shell_json_put(object, "total_pages", memory->total_pages);
    shell_json_put(object, "metadata_pages", memory->metadata_pages);
    shell_json_put(object, "active_pages", memory->active_pages);
    shell_json_put(object, "table_pages", memory->table_pages);
    shell_json_put(object, "slab_pages", memory->slab_pages);
    shell_json_put(object, "process_pages", memory->process_pages);
    shell_json_put(object, "paging_pages", memory->paging_pages);
    shell_json_put(object, "user_pages", memory->user_pages);
    shell_json_put(object, "user_peak_pages", memory->user_peak_pages);
    shell_json_put(object, "standby_pages", standby);
    shell_json_put(object, "modified_pages", memory->modified_pages);
    shell_json_put(object, "transition_pages", memory->transition_pages);
    shell_json_put(object, "zeroed_pages", memory->zeroed_pages);
    shell_json_put(object, "free_pages", memory->free_pages);
    shell_json_put(object, "commit_pages", memory->commit_pages);
    shell_json_put(object, "commit_peak_pages", memory->commit_peak_pages);
    shell_json_put(object, "commit_limit_pages", memory->commit_limit_pages);
    json_object_set_new(
        object, "metadata_percent",
        json_real(100 * (double)memory->metadata_pages / (double)memory->total_pages));
    return object;
}

static json_t *paging_of(const struct replay *replay)
{
    struct ntmm_paging_file_information sum = replay_sum_files(replay);
    json_t *object = json_object();
    shell_json_put(object, "reads", sum.reads);
    shell_json_put(object, "pages_read", sum.pages_read);
    shell_json_put(object, "writes", sum.writes);
    shell_json_put(object, "pages_written", sum.pages_written);
    json_object_set_new(object, "mean_read_pages",
                        json_real(replay_mean(sum.pages_read, sum.reads)));
    json_object_set_new(object, "mean_write_pages",
                        json_real(replay_mean(sum.pages_written, sum.writes)));
    return object;
}

static json_t *page_file_of(const struct replay *replay, uint32_t index)
{
    const struct ntmm_paging_file_information *file = &replay->page_files[index];
    const char *path = replay->options.page_files[index].path;
    json_t *object = json_object();
    json_object_set_new(object, "path", path != NULL ? shell_json_string(path) : json_null());
    shell_json_put(object, "size_pages", file->size_pages);
    shell_json_put(object, "initial_pages", file->initial_pages);
    shell_json_put(object, "maximum_pages", file->maximum_pages);
    shell_json_put(object, "used_pages", file->used_pages);
    shell_json_put(object, "peak_pages", file->peak_pages);
    shell_json_put(object, "bad_pages", file->bad_pages);
    shell_json_put(object, "reads", file->reads);
    shell_json_put(object, "pages_read", file->pages_read);
    shell_json_put(object, "writes", file->writes);
    shell_json_put(object, "pages_written", file->pages_written);
    shell_json_put(object, "failed_reads", file->failed_reads);
    shell_json_put(object, "failed_writes", file->failed_writes);
    return object;
}

static json_t *page_files_of(const struct replay *replay)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < replay->options.page_file_count; i++)
        json_array_append_new(array, page_file_of(replay, i));
    return array;
}

static json_t *check_of(const struct ntmm_check_report *check)
{
    json_t *object = json_object();
    json_object_set_new(object, "broken",
                        check->invariant[0] != '\0' ? json_string(check->invariant) : json_null());
    return object;
}

static json_t *teardown_of(const struct ntmm_teardown *teardown)
{
    json_t *object = json_object();
    shell_json_put(object, "lost_pages", teardown->lost_pages);
    shell_json_put(object, "outstanding_commit", teardown->outstanding_commit);
    shell_json_put(object, "live_objects", teardown->live_objects);
    shell_json_put(object, "processes_ended", teardown->processes_ended);
    shell_json_put(object, "waiters", teardown->waiters);
    shell_json_put(object, "transfers", teardown->transfers);
    return object;
}

static json_t *report_of(const struct replay *replay)
{
    double count = (double)replay->reference_count;
    double seconds = (double)replay->elapsed_ns / 1e9;
    double processor = (double)replay->processor_ns / 1e9;
    json_t *traces = json_array();
    json_t *report = json_object();
    json_object_set_new(report, "version", json_string(NTMM_VERSION));
    shell_json_put(report, "seed", replay->options.seed);
    json_object_set_new(report, "verified", json_boolean(replay->options.is_verified));
    shell_json_put(report, "processors",
                   replay->options.cpu_count != 0 ? replay->options.cpu_count : 1);
    shell_json_put(report, "ram_bytes", replay->ram_bytes);
    json_object_set_new(report, "footprint_pages",
                        replay->footprint_pages != 0
                            ? json_integer((json_int_t)replay->footprint_pages)
                            : json_null());
    json_object_set_new(report, "seconds", json_real(seconds));
    shell_json_put(report, "references", replay->reference_count);
    json_object_set_new(report, "processor_seconds", json_real(processor));
    json_object_set_new(report, "references_per_second",
                        json_real(seconds > 0 ? count / seconds : 0));
    json_object_set_new(report, "references_per_processor_second",
                        json_real(processor > 0 ? count / processor : 0));
    json_object_set_new(report, "counters", counters_of(replay->counters, true));
    json_object_set_new(report, "memory", memory_of(&replay->memory));
    json_object_set_new(report, "paging", paging_of(replay));
    json_object_set_new(report, "page_files", page_files_of(replay));
    shell_json_put(report, "working_set_interval", replay->chart.interval);
    json_object_set_new(report, "check", check_of(&replay->check));
    json_object_set_new(report, "teardown", teardown_of(&replay->teardown));
    for (uint32_t i = 0; i < replay->program_count; i++)
        json_array_append_new(traces, program_of(replay, &replay->programs[i]));
    json_object_set_new(report, "traces", traces);
    return report;
}

bool replay_write_json(const struct replay *replay, struct shell_error *error)
{
    const char *path = replay->options.json_path;
    return path == NULL || shell_write_json(report_of(replay), path, error);
}
