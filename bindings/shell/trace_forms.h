/*
 * Between trace_open and the two forms. A form reads decoded bytes from an input and fills in
 * references; see trace.h for what its functions return.
 */
#ifndef NTMM_SHELL_TRACE_FORMS_H
#define NTMM_SHELL_TRACE_FORMS_H

#include "trace.h"

/* Bytes of a file or standard input, decompressed when they are zstd frames. */
struct trace_input;

struct trace_input *trace_input_open(const char *name, struct shell_error *error);

/* Bytes of an open descriptor, which stays the caller's. */
struct trace_input *trace_input_from(int descriptor, const char *name, struct shell_error *error);

/* Up to size bytes; less only at the end; -1 with a line in error. */
ptrdiff_t trace_input_read(struct trace_input *input, void *buffer, size_t size,
                           struct shell_error *error);

/* Up to size bytes, at most 16, that the next read gives again; fewer at the end; -1 on error. */
ptrdiff_t trace_input_peek(struct trace_input *input, void *buffer, size_t size,
                           struct shell_error *error);

/* Bytes read so far, decoded. */
uint64_t trace_input_offset(const struct trace_input *input);
const char *trace_input_name(const struct trace_input *input);
void trace_input_close(struct trace_input *input);

struct lackey_reader;
struct lackey_reader *lackey_open(struct trace_input *input, struct shell_error *error);
ptrdiff_t lackey_read(struct lackey_reader *reader, struct trace_reference *references,
                      size_t capacity, struct shell_error *error);
void lackey_close(struct lackey_reader *reader);

struct binary_reader;
struct binary_reader *binary_open(struct trace_input *input, struct shell_error *error);
ptrdiff_t binary_read(struct binary_reader *reader, struct trace_reference *references,
                      size_t capacity, struct shell_error *error);
const struct trace_summary *binary_summary(const struct binary_reader *reader);
void binary_close(struct binary_reader *reader);

#endif
