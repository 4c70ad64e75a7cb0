/*
 * Opens a trace and tells its form by its first bytes. See trace.h.
 */
#include "trace_binary.h"
#include "trace_forms.h"

#include <stdlib.h>
#include <string.h>

struct trace {
    struct trace_input *input;
    struct lackey_reader *lackey; /* one of the two is NULL */
    struct binary_reader *binary;
};

static bool open_form(struct trace *trace, struct shell_error *error)
{
    unsigned char head[TRACE_MAGIC_BYTES];
    ptrdiff_t count = trace_input_peek(trace->input, head, sizeof head, error);
    if (count < 0)
        return false;
    /* Four bytes are enough: a damaged rest then gets the message of the binary form. */
    if (count >= 4 && memcmp(head, trace_magic, 4) == 0)
        trace->binary = binary_open(trace->input, error);
    else
        trace->lackey = lackey_open(trace->input, error);
    return trace->binary != NULL || trace->lackey != NULL;
}

/* Takes over the input; NULL is one that failed. */
static struct trace *open_input(struct trace_input *input, struct shell_error *error)
{
    struct trace *trace = input != NULL ? calloc(1, sizeof *trace) : NULL;
    if (trace == NULL) {
        if (input != NULL)
            shell_set_error(error, "%s: no memory", trace_input_name(input));
        trace_input_close(input);
        return NULL;
    }
    trace->input = input;
    if (open_form(trace, error))
        return trace;
    trace_close(trace);
    return NULL;
}

struct trace *trace_open(const char *name, struct shell_error *error)
{
    return open_input(trace_input_open(name, error), error);
}

struct trace *trace_open_descriptor(int descriptor, const char *name, struct shell_error *error)
{
    return open_input(trace_input_from(descriptor, name, error), error);
}

ptrdiff_t trace_read(struct trace *trace, struct trace_reference *references, size_t capacity,
                     struct shell_error *error)
{
    if (trace->binary != NULL)
        return binary_read(trace->binary, references, capacity, error);
    return lackey_read(trace->lackey, references, capacity, error);
}

const struct trace_summary *trace_summary(const struct trace *trace)
{
    return trace->binary != NULL ? binary_summary(trace->binary) : NULL;
}

const char *trace_name(const struct trace *trace) { return trace_input_name(trace->input); }

void trace_close(struct trace *trace)
{
    if (trace == NULL)
        return;
    lackey_close(trace->lackey);
    binary_close(trace->binary);
    trace_input_close(trace->input);
    free(trace);
}
