/*
 * A machine and its files, for the tests of files: transfers of one run of bytes, cut into spans at
 * the pages of RAM, and what is seen of a file.
 */
#ifndef NTMM_TEST_FILE_WORLD_H
#define NTMM_TEST_FILE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ntmm/emulated.h>
#include <ntmm/status.h>

#define WORLD_PAGES 64u
#define WORLD_PAGE 4096u
#define WORLD_SPANS 32u

struct world {
    struct ntmm_emulated *emu;
    const struct ntmm_platform *platform;
    uint8_t *ram;
};

/* A transfer between a file and RAM from `ram_offset` on. */
struct request {
    struct ntmm_io io;
    struct ntmm_content_span spans[WORLD_SPANS];
    struct world *w;
    uint32_t completions;
};

static inline void make_world(struct world *w, uint64_t seed)
{
    const struct ntmm_emulated_config config = {
        .size = sizeof config,
        .version = NTMM_EMULATED_CONFIG_VERSION,
        .ram_bytes = WORLD_PAGES * WORLD_PAGE,
        .seed = seed,
    };
    memset(w, 0, sizeof *w);
    assert_int_equal(ntmm_emulated_create(&config, &w->emu), NTMM_STATUS_SUCCESS);
    w->platform = ntmm_emulated_platform(w->emu);
    w->ram = ntmm_emulated_arena(w->emu, NULL);
}

static inline void end_world(struct world *w) { ntmm_emulated_destroy(w->emu, NULL); }

static inline ntmm_status try_file(struct world *w, struct ntmm_emulated_file_config file,
                                   uint64_t *device, uint64_t *size)
{
    file.size = sizeof file;
    file.version = NTMM_EMULATED_FILE_VERSION;
    return ntmm_emulated_add_file(w->emu, &file, device, size);
}

static inline uint64_t add_file(struct world *w, struct ntmm_emulated_file_config file)
{
    uint64_t device;
    assert_int_equal(try_file(w, file, &device, NULL), NTMM_STATUS_SUCCESS);
    return device;
}

static inline void count_completion(struct ntmm_io *io)
{
    struct request *r = io->context;
    r->completions++;
}

static inline void prepare(struct world *w, struct request *r, uint64_t device,
                           enum ntmm_io_operation operation, uint64_t offset)
{
    memset(r, 0, sizeof *r);
    r->w = w;
    r->io = (struct ntmm_io){
        .device = device,
        .offset_bytes = offset,
        .spans = r->spans,
        .operation = operation,
        .complete = count_completion,
        .context = r,
    };
}

/* Spans of the bytes of RAM; the first and the last may be a part of a page. */
static inline void add_spans(struct request *r, uint64_t ram_offset, uint64_t size)
{
    while (size != 0) {
        uint32_t offset = (uint32_t)(ram_offset % WORLD_PAGE), left = WORLD_PAGE - offset;
        uint32_t part = size < left ? (uint32_t)size : left;
        assert_true(r->io.span_count < WORLD_SPANS);
        r->spans[r->io.span_count++] =
            (struct ntmm_content_span){ram_offset / WORLD_PAGE, offset, part};
        ram_offset += part;
        size -= part;
    }
}

static inline void submit(struct request *r)
{
    assert_int_equal(r->w->platform->submit(r->w->emu, &r->io), NTMM_STATUS_SUCCESS);
}

static inline void pump(struct world *w, uint32_t times)
{
    for (uint32_t i = 0; i < times; i++)
        w->platform->pump(w->emu);
}

static inline ntmm_status run(struct request *r)
{
    submit(r);
    pump(r->w, 8);
    assert_int_equal(r->completions, 1);
    return r->io.status;
}

/* One operation; moved: bytes that the transfer says it moved. */
static inline ntmm_status transfer(struct world *w, uint64_t device,
                                   enum ntmm_io_operation operation, uint64_t offset,
                                   uint64_t ram_offset, uint64_t size, uint64_t *moved)
{
    struct request r;
    prepare(w, &r, device, operation, offset);
    add_spans(&r, ram_offset, size);
    ntmm_status status = run(&r);
    if (moved != NULL)
        *moved = r.io.transferred_bytes;
    return status;
}

static inline ntmm_status resize(struct world *w, uint64_t device, enum ntmm_io_operation operation,
                                 uint64_t size)
{
    return transfer(w, device, operation, size, 0, 0, NULL);
}

/* A byte that depends on its place in each way that a mistake could shift it. */
static inline uint8_t pattern(uint64_t seed, uint64_t at)
{
    return (uint8_t)(seed * 131 + at * 7 + at / 251 * 3 + at / 4096 + 1);
}

static inline void fill_pattern(uint8_t *bytes, uint64_t size, uint64_t seed)
{
    for (uint64_t i = 0; i < size; i++)
        bytes[i] = pattern(seed, i);
}

#endif
