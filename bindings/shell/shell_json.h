/*
 * Reports as JSON: what the commands that write one share.
 */
#ifndef NTMM_SHELL_JSON_H
#define NTMM_SHELL_JSON_H

#include "shell.h"

#include <jansson.h>

/* A number as a member of an object. */
void shell_json_put(json_t *object, const char *name, uint64_t value);

/* A file name need not be UTF-8, a JSON string must: what is not ASCII becomes a question mark. */
json_t *shell_json_string(const char *text);

/* Writes the report to a file, or to standard output for "-", and gives it up. */
bool shell_write_json(json_t *report, const char *path, struct shell_error *error);

#endif
