/*
 * `ntmm record`: runs a program under valgrind's tool lackey and converts what it prints on the
 * fly.
 *
 *   PROGRAM under valgrind --log-fd=N --pipe--> lackey text -> trace_convert -> FILE.ntt
 *
 * The program keeps standard input, output and error. Only its own process is recorded: what it
 * starts runs, unrecorded. When the limit is reached the program is killed: nobody reads on.
 */
#include "trace_convert.h"
#include "trace_forms.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define VALGRIND_ARGUMENTS 6

void help_for_record(FILE *out)
{
    fputs("usage: ntmm record [-o FILE] [--fold] [--limit N] [--] PROGRAM [ARGUMENT...]\n"
          "\n"
          "Runs PROGRAM under valgrind and writes its memory trace, for `ntmm replay`.\n"
          "  -o FILE    where to; default: PROGRAM's name with .ntt, in this folder\n"
          "  --fold     keep only the references that can fault and count the others with them\n"
          "  --limit N  end the program after N references\n",
          out);
}

struct recording {
    const char *path;
    struct trace_conversion how;
    char **program;
};

static int parse(int argc, char **argv, struct recording *recording)
{
    static const struct option options[] = {
        {"output", required_argument, NULL, 'o'},
        {"fold", no_argument, NULL, 'f'},
        {"limit", required_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "+o:", options, NULL)) != -1) {
        if (option == 'o')
            recording->path = optarg;
        if (option == 'f')
            recording->how.form = TRACE_FORM_FOLDED;
        if (option == 'l' && !shell_parse_number(optarg, &recording->how.limit))
            return shell_refuse("--limit %s: not a number of references", optarg);
        if (option == 'h') {
            help_for_record(stdout);
            exit(shell_finish_output());
        }
        if (option == '?')
            return SHELL_USAGE;
    }
    recording->program = argv + optind;
    return argc > optind ? SHELL_OK
                         : shell_refuse("record needs a PROGRAM; see `ntmm help record`");
}

/* "." and the last part of the program's name. */
static const char *default_path(const char *program, char *buffer, size_t size)
{
    const char *slash = strrchr(program, '/');
    snprintf(buffer, size, "%s.ntt", slash != NULL ? slash + 1 : program);
    return buffer;
}

/* In the child: becomes valgrind. What goes wrong is told through the pipe as a line for us. */
static void become_valgrind(char **program, int log)
{
    char log_option[32];
    size_t count = 0;
    while (program[count] != NULL)
        count++;
    char **arguments = calloc(count + VALGRIND_ARGUMENTS + 1, sizeof *arguments);
    if (arguments == NULL)
        _exit(127);
    snprintf(log_option, sizeof log_option, "--log-fd=%d", log);
    arguments[0] = (char *)"valgrind";
    arguments[1] = (char *)"--tool=lackey";
    arguments[2] = (char *)"--trace-mem=yes";
    arguments[3] = (char *)"--child-silent-after-fork=yes";
    /* Otherwise the translator runs both sides of some `a && b`, and lackey prints the fetches of
     * instructions that the program jumped over. */
    arguments[4] = (char *)"--vex-guest-chase=no";
    arguments[5] = log_option;
    memcpy(arguments + VALGRIND_ARGUMENTS, program, count * sizeof *program);
    execvp("valgrind", arguments);
    _exit(127);
}

static bool is_in_path(const char *name)
{
    const char *path = getenv("PATH");
    char candidate[4096];
    while (path != NULL && *path != '\0') {
        size_t length = strcspn(path, ":");
        snprintf(candidate, sizeof candidate, "%.*s/%s", (int)length, path, name);
        if (access(candidate, X_OK) == 0)
            return true;
        path += length + (path[length] == ':');
    }
    return false;
}

static int start(const struct recording *recording, pid_t *child, int *log)
{
    int ends[2];
    if (!is_in_path("valgrind"))
        return shell_refuse("recording needs valgrind, which is not in PATH; on Debian: "
                            "apt-get install valgrind");
    if (strchr(recording->program[0], '/') != NULL ? access(recording->program[0], X_OK) != 0
                                                   : !is_in_path(recording->program[0]))
        return shell_refuse("%s: no such program", recording->program[0]);
    if (pipe(ends) != 0)
        return shell_refuse("cannot make a pipe: %s", strerror(errno));
    fflush(NULL);
    *child = fork();
    if (*child == 0) {
        close(ends[0]);
        become_valgrind(recording->program, ends[1]);
    }
    close(ends[1]);
    *log = ends[0];
    if (*child < 0) {
        close(ends[0]);
        return shell_refuse("cannot start valgrind: %s", strerror(errno));
    }
    return SHELL_OK;
}

static bool convert(const struct recording *recording, int log, struct trace_summary *summary,
                    struct shell_error *error)
{
    struct trace *trace = trace_open_descriptor(log, "valgrind", error);
    bool is_done =
        trace != NULL && trace_convert(trace, recording->path, &recording->how, summary, error);
    trace_close(trace);
    return is_done;
}

static int end(pid_t child, bool is_wanted, const char *program)
{
    int state = 0;
    if (!is_wanted)
        kill(child, SIGKILL);
    while (waitpid(child, &state, 0) < 0 && errno == EINTR)
        continue;
    if (is_wanted && WIFSIGNALED(state))
        fprintf(stderr, "%s: ended by signal %d\n", program, WTERMSIG(state));
    else if (is_wanted && WEXITSTATUS(state) != 0)
        fprintf(stderr, "%s: exit status %d\n", program, WEXITSTATUS(state));
    return SHELL_OK;
}

int command_record(int argc, char **argv)
{
    struct recording recording = {NULL, {TRACE_FORM_EXACT, UINT64_MAX}, NULL};
    struct trace_summary summary = {0};
    struct shell_error error;
    struct shell_digits references;
    struct shell_digits pages;
    char path[4096];
    pid_t child = 0;
    int log = -1;
    int status = parse(argc, argv, &recording);
    if (status != SHELL_OK)
        return status;
    if (recording.path == NULL)
        recording.path = default_path(recording.program[0], path, sizeof path);
    status = start(&recording, &child, &log);
    if (status != SHELL_OK)
        return status;
    bool is_done = convert(&recording, log, &summary, &error);
    close(log);
    end(child, is_done && summary.reference_count < recording.how.limit, recording.program[0]);
    if (!is_done)
        return shell_report(&error);
    fprintf(stderr, "%s: %s references, %s pages\n", recording.path,
            shell_group_digits(summary.reference_count, &references),
            shell_group_digits(summary.page_count, &pages));
    free(summary.runs);
    return SHELL_OK;
}
