/*
 * Transfers of many spans: in memory and in a file the same bytes go to the same places, however
 * many pieces of memory they are in.
 */
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <ntmm/emulated.h>
#include <ntmm/status.h>

#define HALF_FRAMES 32u
#define HALF_BYTES (HALF_FRAMES * 4096u)
#define DISK_BYTES (1u << 20)
#define PAIRS 200u
#define BEGIN 777u /* on the disk */

struct world {
    struct ntmm_emulated *emu;
    uint8_t *ram;
    uint64_t disk;
};

static void make_world(struct world *w, const char *path)
{
    const struct ntmm_emulated_config config = {
        .size = sizeof config,
        .version = NTMM_EMULATED_CONFIG_VERSION,
        .ram_bytes = 2 * HALF_BYTES,
    };
    const struct ntmm_emulated_disk_config disk = {
        .size = sizeof disk,
        .version = NTMM_EMULATED_DISK_VERSION,
        .size_bytes = DISK_BYTES,
        .path = path,
        .flags = NTMM_EMULATED_DISK_INLINE,
    };
    assert_int_equal(ntmm_emulated_create(&config, &w->emu), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_add_disk(w->emu, &disk, &w->disk), NTMM_STATUS_SUCCESS);
    w->ram = ntmm_emulated_arena(w->emu, NULL);
    for (uint32_t i = 0; i < HALF_BYTES; i++)
        w->ram[i] = (uint8_t)(i * 31 + i / 256);
}

static void complete(struct ntmm_io *io) { (void)io; }

static void transfer(struct world *w, enum ntmm_io_operation operation,
                     const struct ntmm_content_span *spans, uint32_t count)
{
    struct ntmm_io io = {
        .device = w->disk,
        .offset_bytes = BEGIN,
        .spans = spans,
        .span_count = count,
        .operation = operation,
        .complete = complete,
    };
    assert_int_equal(ntmm_emulated_platform(w->emu)->submit(w->emu, &io), NTMM_STATUS_SUCCESS);
    assert_int_equal(io.status, NTMM_STATUS_SUCCESS);
    assert_int_equal(io.transferred_bytes, PAIRS * 300 + PAIRS * (PAIRS - 1) / 2);
}

/* Pairs of spans side by side in memory, the pairs apart; every fifth has an empty one between. */
static uint32_t scatter(struct ntmm_content_span *spans)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < PAIRS; i++) {
        uint64_t frame = i * 7 % HALF_FRAMES;
        uint32_t offset = i / HALF_FRAMES * 512;
        spans[count++] = (struct ntmm_content_span){frame, offset, 200};
        if (i % 5 == 0)
            spans[count++] = (struct ntmm_content_span){frame, 9, 0};
        spans[count++] = (struct ntmm_content_span){frame, offset + 200, 100 + i};
    }
    return count;
}

static const uint8_t *bytes_of(const struct world *w, const struct ntmm_content_span *span)
{
    return w->ram + span->frame * 4096 + span->offset_bytes;
}

static void check_disk(struct world *w, const struct ntmm_content_span *spans, uint32_t count)
{
    uint8_t bytes[512];
    uint64_t offset = BEGIN;
    for (uint32_t i = 0; i < count; offset += spans[i++].size_bytes) {
        assert_int_equal(
            ntmm_emulated_read_disk(w->emu, w->disk, offset, bytes, spans[i].size_bytes),
            NTMM_STATUS_SUCCESS);
        assert_memory_equal(bytes, bytes_of(w, &spans[i]), spans[i].size_bytes);
    }
}

/* Out of one half of memory, and into the other. */
static void move_out_and_in(const char *path)
{
    struct world w;
    struct ntmm_content_span spans[3 * PAIRS];
    make_world(&w, path);
    uint32_t count = scatter(spans);
    transfer(&w, NTMM_IO_WRITE, spans, count);
    check_disk(&w, spans, count);
    for (uint32_t i = 0; i < count; i++)
        spans[i].frame += HALF_FRAMES;
    transfer(&w, NTMM_IO_READ, spans, count);
    for (uint32_t i = 0; i < count; i++)
        assert_memory_equal(bytes_of(&w, &spans[i]), bytes_of(&w, &spans[i]) - HALF_BYTES,
                            spans[i].size_bytes);
    ntmm_emulated_destroy(w.emu, NULL);
}

static void many_spans_move_through_memory(void **state)
{
    (void)state;
    move_out_and_in(NULL);
}

static void many_spans_move_through_a_file(void **state)
{
    (void)state;
    char path[] = "test_disk_spans_XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    move_out_and_in(path);
    assert_int_equal(close(file), 0);
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_spans_move_through_memory),
        cmocka_unit_test(many_spans_move_through_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
