/*
 * Replaying traces: the command, as a user runs it, on each binary trace of the repository. A
 * trace is replayed several times; the figure is what the command itself reports, in references a
 * second.
 */
#include "bench.h"

#include <glob.h>
#include <jansson.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct replay_run {
    const char *command;
    char *trace;
    bool is_verified;
};

/* Runs the command and returns its JSON; NULL when it failed. */
static json_t *run_command(const struct replay_run *run, char *json_path)
{
    char *arguments[8];
    size_t count = 0;
    pid_t child;
    int status = 1;
    arguments[count++] = (char *)(uintptr_t)run->command;
    arguments[count++] = (char *)(uintptr_t)"replay";
    if (run->is_verified)
        arguments[count++] = (char *)(uintptr_t)"--verify";
    arguments[count++] = (char *)(uintptr_t)"--json";
    arguments[count++] = json_path;
    arguments[count++] = run->trace;
    arguments[count] = NULL;

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", 1, 0);
    bool is_done = posix_spawn(&child, run->command, &actions, NULL, arguments, environ) == 0 &&
                   waitpid(child, &status, 0) == child && status == 0;
    posix_spawn_file_actions_destroy(&actions);
    return is_done ? json_load_file(json_path, 0, NULL) : NULL;
}

static double ours_replay(void *context)
{
    char path[] = "ntmm-bench-XXXXXX.json";
    int file = mkstemps(path, 5);
    bench_must(file >= 0, "no temporary file in the current folder");
    close(file);
    json_t *report = run_command(context, path);
    unlink(path);
    bench_must(report != NULL, "a replay failed");
    double speed = json_number_value(json_object_get(report, "references_per_second"));
    json_decref(report);
    return speed / 1e6;
}

static void measure_trace(struct bench *b, char *trace)
{
    const char *slash = strrchr(trace, '/');
    const char *name = slash ? slash + 1 : trace;
    for (unsigned pass = 0; pass < 2; pass++) {
        struct replay_run run = {.command = b->ntmm_path, .trace = trace, .is_verified = pass != 0};
        struct bench_figure *figure =
            bench_add(b, "M/s", "replay %s%s", name, run.is_verified ? ", verified" : "");
        bench_bar(figure, BAR_AT_LEAST, run.is_verified ? 15 : 40);
        bench_run(b, figure, ours_replay, NULL, NULL, &run);
    }
}

void bench_replay(struct bench *b)
{
    char pattern[4096];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/*.ntt", b->trace_path);
    if (access(b->ntmm_path, X_OK) != 0) {
        bench_note(bench_add(b, "M/s", "replay"), "no command at %s", b->ntmm_path);
        return;
    }
    if (glob(pattern, 0, NULL, &found) != 0) {
        bench_note(bench_add(b, "M/s", "replay"), "no trace %s", "*.ntt in the trace folder");
        return;
    }
    for (size_t i = 0; i < bench_scale(b, found.gl_pathc, 1); i++)
        measure_trace(b, found.gl_pathv[i]);
    globfree(&found);
}
