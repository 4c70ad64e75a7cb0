/*
 * Bytes of a trace: a file, standard input or a descriptor, decompressed when they begin with the
 * magic of a zstd frame. Frames may follow each other, as `cat` of two compressed files gives them.
 *
 *   descriptor -> packed[] -> zstd -> the caller, or through `ahead` when somebody peeked
 *
 * An offset is one of decoded bytes; an error of the compression names the packed offset instead.
 */
#include "trace_forms.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#define PACKED_BYTES (256u << 10)

struct trace_input {
    const char *name;
    int descriptor;
    bool owns_descriptor;
    bool is_at_end;         /* the descriptor gave its last byte */
    bool is_inside_frame;   /* zstd wants more */
    ZSTD_DStream *zstd;     /* NULL: bytes are taken as they are */
    uint64_t packed_offset; /* bytes taken from the descriptor */
    uint64_t offset;        /* bytes given to callers */
    size_t packed_begin;    /* unread bytes are packed[begin, end) */
    size_t packed_end;
    unsigned char ahead[16]; /* peeked, decoded */
    size_t ahead_begin;
    size_t ahead_end;
    unsigned char packed[PACKED_BYTES];
};

/* Fills packed when it is empty. */
static bool refill(struct trace_input *input, struct shell_error *error)
{
    if (input->packed_begin != input->packed_end || input->is_at_end)
        return true;
    ssize_t got;
    do {
        got = read(input->descriptor, input->packed, sizeof input->packed);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return shell_set_error(error, "%s: cannot read: %s", input->name, strerror(errno));
    input->is_at_end = got == 0;
    input->packed_begin = 0;
    input->packed_end = (size_t)got;
    input->packed_offset += (uint64_t)got;
    return true;
}

static size_t take_plain(struct trace_input *input, unsigned char *buffer, size_t size)
{
    size_t count = input->packed_end - input->packed_begin;
    if (count > size)
        count = size;
    memcpy(buffer, input->packed + input->packed_begin, count);
    input->packed_begin += count;
    return count;
}

static bool take_unpacked(struct trace_input *input, unsigned char *buffer, size_t size,
                          size_t *count, struct shell_error *error)
{
    ZSTD_outBuffer out = {buffer, size, 0};
    ZSTD_inBuffer in = {input->packed, input->packed_end, input->packed_begin};
    size_t result = ZSTD_decompressStream(input->zstd, &out, &in);
    if (ZSTD_isError(result))
        return shell_set_error(error, "%s: offset %llu: damaged zstd data: %s", input->name,
                               (unsigned long long)(input->packed_offset - in.size + in.pos),
                               ZSTD_getErrorName(result));
    if (input->is_at_end && out.pos == 0 && input->is_inside_frame)
        return shell_set_error(error, "%s: offset %llu: zstd data ends inside a frame", input->name,
                               (unsigned long long)input->packed_offset);
    if (in.pos != input->packed_begin || out.pos != 0)
        input->is_inside_frame = result != 0;
    input->packed_begin = in.pos;
    *count = out.pos;
    return true;
}

/* One step of decoding, past `ahead`. 0 in count means the end. */
static bool decode(struct trace_input *input, unsigned char *buffer, size_t size, size_t *count,
                   struct shell_error *error)
{
    *count = 0;
    do {
        if (!refill(input, error))
            return false;
        if (input->zstd == NULL)
            *count = take_plain(input, buffer, size);
        else if (!take_unpacked(input, buffer, size, count, error))
            return false;
    } while (*count == 0 && !input->is_at_end);
    return true;
}

static bool decode_whole(struct trace_input *input, unsigned char *buffer, size_t size,
                         size_t *total, struct shell_error *error)
{
    size_t count;
    for (*total = 0; *total < size; *total += count) {
        if (!decode(input, buffer + *total, size - *total, &count, error))
            return false;
        if (count == 0)
            break;
    }
    return true;
}

ptrdiff_t trace_input_read(struct trace_input *input, void *buffer, size_t size,
                           struct shell_error *error)
{
    unsigned char *out = buffer;
    size_t ahead = input->ahead_end - input->ahead_begin;
    size_t decoded;
    if (ahead > size)
        ahead = size;
    memcpy(out, input->ahead + input->ahead_begin, ahead);
    if (!decode_whole(input, out + ahead, size - ahead, &decoded, error))
        return -1;
    input->ahead_begin += ahead;
    input->offset += ahead + decoded;
    return (ptrdiff_t)(ahead + decoded);
}

ptrdiff_t trace_input_peek(struct trace_input *input, void *buffer, size_t size,
                           struct shell_error *error)
{
    if (input->ahead_end == 0 &&
        !decode_whole(input, input->ahead, sizeof input->ahead, &input->ahead_end, error))
        return -1;
    size_t count = input->ahead_end - input->ahead_begin;
    if (count > size)
        count = size;
    memcpy(buffer, input->ahead + input->ahead_begin, count);
    return (ptrdiff_t)count;
}

/* A pipe may give its first bytes one by one. */
static bool is_zstd(struct trace_input *input, struct shell_error *error, bool *answer)
{
    static const unsigned char magic[4] = {0x28, 0xb5, 0x2f, 0xfd};
    while (input->packed_end < sizeof magic && !input->is_at_end) {
        ssize_t got = read(input->descriptor, input->packed + input->packed_end,
                           sizeof input->packed - input->packed_end);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return shell_set_error(error, "%s: cannot read: %s", input->name, strerror(errno));
        input->is_at_end = got == 0;
        input->packed_end += (size_t)got;
        input->packed_offset += (uint64_t)got;
    }
    *answer = input->packed_end >= sizeof magic && memcmp(input->packed, magic, sizeof magic) == 0;
    return true;
}

static bool begin(struct trace_input *input, struct shell_error *error)
{
    bool is_packed = false;
    if (!is_zstd(input, error, &is_packed))
        return false;
    if (!is_packed)
        return true;
    input->zstd = ZSTD_createDStream();
    if (input->zstd == NULL)
        return shell_set_error(error, "%s: no memory for decompression", input->name);
    return true;
}

struct trace_input *trace_input_from(int descriptor, const char *name, struct shell_error *error)
{
    struct trace_input *input = calloc(1, sizeof *input);
    if (input == NULL) {
        shell_set_error(error, "%s: no memory", name);
        return NULL;
    }
    input->name = name;
    input->descriptor = descriptor;
    if (begin(input, error))
        return input;
    trace_input_close(input);
    return NULL;
}

struct trace_input *trace_input_open(const char *name, struct shell_error *error)
{
    if (strcmp(name, "-") == 0)
        return trace_input_from(STDIN_FILENO, name, error);
    int descriptor = open(name, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        shell_set_error(error, "%s: %s", name, strerror(errno));
        return NULL;
    }
    struct trace_input *input = trace_input_from(descriptor, name, error);
    if (input == NULL)
        close(descriptor);
    else
        input->owns_descriptor = true;
    return input;
}

uint64_t trace_input_offset(const struct trace_input *input) { return input->offset; }

const char *trace_input_name(const struct trace_input *input) { return input->name; }

void trace_input_close(struct trace_input *input)
{
    if (input == NULL)
        return;
    ZSTD_freeDStream(input->zstd);
    if (input->owns_descriptor)
        close(input->descriptor);
    free(input);
}
