/*
 * ntmm, the command: finds the command named first on the line and runs it.
 */
#include "shell.h"

#include <string.h>

struct command {
    const char *name;
    const char *purpose;
    int (*run)(int argc, char **argv);
    void (*help)(FILE *out);
};

static const struct command commands[] = {
    {"replay", "run memory traces of programs through the memory manager", command_replay,
     help_for_replay},
    {"record", "record the memory trace of a program with valgrind", command_record,
     help_for_record},
    {"trace", "convert and describe traces", command_trace, help_for_trace},
    {"map", "map a file as data and as an image, and show its pages", command_map, help_for_map},
    {"run-image", "lay out a program and its DLLs in a process, and show the address space",
     command_run_image, help_for_run_image},
};

#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int refuse_unknown(const char *name)
{
    return shell_refuse("%s: no such command; see `ntmm help`", name);
}

static void help(FILE *out)
{
    fputs("usage: ntmm COMMAND [ARGUMENT...]\n\n", out);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].purpose);
    fputs("\n`ntmm help COMMAND` tells more; `ntmm --version` prints the version.\n"
          "Exit status: 0 done; 1 the memory manager was caught at an error; 2 wrong input.\n",
          out);
}

static int command_help(int argc, char **argv)
{
    const struct command *command = argc > 1 ? find(argv[1]) : NULL;
    if (argc > 1 && command == NULL)
        return refuse_unknown(argv[1]);
    if (command != NULL)
        command->help(stdout);
    else
        help(stdout);
    return shell_finish_output();
}

static bool is_one_of(const char *text, const char *first, const char *second)
{
    return strcmp(text, first) == 0 || strcmp(text, second) == 0;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        help(stderr);
        return SHELL_USAGE;
    }
    if (is_one_of(argv[1], "help", "--help") || strcmp(argv[1], "-h") == 0)
        return command_help(argc - 1, argv + 1);
    if (is_one_of(argv[1], "--version", "version")) {
        puts("ntmm " NTMM_VERSION);
        return shell_finish_output();
    }
    const struct command *command = find(argv[1]);
    return command != NULL ? command->run(argc - 1, argv + 1) : refuse_unknown(argv[1]);
}
