/*
 * What the files of the ntmm command share: exit statuses, how it speaks, the commands.
 *
 * Exit status 0: done. 1: the memory manager is wrong (a byte differs, an invariant is broken,
 * something leaked). 2: the input, the command line or the machine is at fault, in one line on
 * standard error that names the place.
 */
#ifndef NTMM_SHELL_H
#define NTMM_SHELL_H

#include <ntmm/status.h>
#include <ntmm/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum shell_status {
    SHELL_OK = 0,
    SHELL_WRONG = 1,
    SHELL_USAGE = 2,
};

/* A line about what went wrong, without newline, written by whoever found it. */
struct shell_error {
    char text[1024];
};

/* Writes the line; returns false, so that a caller can return what this returns. */
__attribute__((format(printf, 2, 3))) bool shell_set_error(struct shell_error *error,
                                                           const char *format, ...);

/* Prints the line on standard error and returns SHELL_USAGE. */
int shell_report(const struct shell_error *error);

/* Prints "ntmm: " and the text on standard error and returns SHELL_USAGE. */
__attribute__((format(printf, 1, 2))) int shell_refuse(const char *format, ...);

/* Flushes standard output; SHELL_OK, or SHELL_USAGE with a line when it could not be written. */
int shell_finish_output(void);

/* Bytes from text such as "64M", "1G", "0x200000": K, M, G and T are powers of 1024. */
bool shell_parse_size(const char *text, uint64_t *bytes);

/* A whole number, decimal or 0x. */
bool shell_parse_number(const char *text, uint64_t *number);

/* A number with a comma between groups of three digits, in a buffer of the caller's. */
struct shell_digits {
    char text[32];
};
const char *shell_group_digits(uint64_t number, struct shell_digits *digits);

/* How a status is called, such as "STATUS_NO_MEMORY", or its number. */
struct shell_status_name {
    char text[40];
};
const char *shell_status_name(ntmm_status status, struct shell_status_name *name);

/* The commands: argv[0] is the command's own name. They return an exit status. */
int command_replay(int argc, char **argv);
int command_record(int argc, char **argv);
int command_trace(int argc, char **argv);
int command_map(int argc, char **argv);
int command_run_image(int argc, char **argv);

/* Prints how a command is used, for `ntmm help` and --help. */
void help_for_replay(FILE *out);
void help_for_record(FILE *out);
void help_for_trace(FILE *out);
void help_for_map(FILE *out);
void help_for_run_image(FILE *out);

#endif
