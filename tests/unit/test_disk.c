/*
 * Simulated disks: each completion runs exactly once, in an order that the seed decides; bytes,
 * bounds, errors, torn writes, power cuts, files.
 */
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <ntmm/emulated.h>
#include <ntmm/status.h>

#define FRAMES 64u
#define DISK_BYTES (1u << 20)
#define TRANSFERS 32u

struct world {
    struct ntmm_emulated *emu;
    const struct ntmm_platform *platform;
    uint8_t *ram;
    uint64_t disk;
};

/* One page-sized transfer and how often it completed. */
struct request {
    struct ntmm_io io;
    struct ntmm_content_span span;
    struct world *w;
    uint32_t completions;
    uint32_t *order; /* next place in the order of completion, or NULL */
    uint32_t place;
    struct request *next; /* submitted by the completion, or NULL */
};

static void make_world(struct world *w, uint64_t seed, struct ntmm_emulated_disk_config disk)
{
    struct ntmm_emulated_config config = {
        .size = sizeof config,
        .version = NTMM_EMULATED_CONFIG_VERSION,
        .ram_bytes = FRAMES * 4096,
        .seed = seed,
    };
    memset(w, 0, sizeof *w);
    disk.size = sizeof disk;
    disk.version = NTMM_EMULATED_DISK_VERSION;
    if (disk.size_bytes == 0)
        disk.size_bytes = DISK_BYTES;
    assert_int_equal(ntmm_emulated_create(&config, &w->emu), NTMM_STATUS_SUCCESS);
    w->platform = ntmm_emulated_platform(w->emu);
    w->ram = ntmm_emulated_arena(w->emu, NULL);
    assert_int_equal(ntmm_emulated_add_disk(w->emu, &disk, &w->disk), NTMM_STATUS_SUCCESS);
}

static void end_world(struct world *w) { ntmm_emulated_destroy(w->emu, NULL); }

static void complete(struct ntmm_io *io)
{
    struct request *r = io->context;
    r->completions++;
    if (r->order != NULL)
        r->place = (*r->order)++;
    if (r->next != NULL)
        assert_int_equal(r->w->platform->submit(r->w->emu, &r->next->io), NTMM_STATUS_SUCCESS);
}

static void prepare(struct world *w, struct request *r, enum ntmm_io_operation operation,
                    uint64_t offset, uint64_t frame)
{
    memset(r, 0, sizeof *r);
    r->w = w;
    r->span = (struct ntmm_content_span){.frame = frame, .size_bytes = 4096};
    r->io = (struct ntmm_io){
        .device = w->disk,
        .offset_bytes = offset,
        .spans = &r->span,
        .span_count = 1,
        .operation = operation,
        .complete = complete,
        .context = r,
    };
}

static void submit(struct request *r)
{
    assert_int_equal(r->w->platform->submit(r->w->emu, &r->io), NTMM_STATUS_SUCCESS);
}

static void pump(struct world *w, uint32_t times)
{
    for (uint32_t i = 0; i < times; i++)
        w->platform->pump(w->emu);
}

/* Submit, pump until done, and give the result. */
static ntmm_status run(struct request *r)
{
    submit(r);
    pump(r->w, 8);
    assert_int_equal(r->completions, 1);
    return r->io.status;
}

static ntmm_status transfer(struct world *w, enum ntmm_io_operation operation, uint64_t offset,
                            uint64_t frame)
{
    struct request r;
    prepare(w, &r, operation, offset, frame);
    return run(&r);
}

/* Write page i of the disk from frame i, all at once; the order of completion into places. */
static void write_many(uint64_t seed, uint32_t flags, uint32_t places[TRANSFERS])
{
    static struct request requests[TRANSFERS];
    struct world w;
    uint32_t order = 0;
    make_world(&w, seed, (struct ntmm_emulated_disk_config){.flags = flags});
    for (uint32_t i = 0; i < TRANSFERS; i++) {
        memset(w.ram + i * 4096, (int)(i + 1), 4096);
        prepare(&w, &requests[i], NTMM_IO_WRITE, i * 4096u, i);
        requests[i].order = &order;
        submit(&requests[i]);
    }
    pump(&w, 8);
    const uint8_t *image = ntmm_emulated_disk_image(w.emu, w.disk, NULL);
    for (uint32_t i = 0; i < TRANSFERS; i++) {
        assert_int_equal(requests[i].completions, 1);
        assert_int_equal(requests[i].io.status, NTMM_STATUS_SUCCESS);
        assert_int_equal(requests[i].io.transferred_bytes, 4096);
        assert_int_equal(image[i * 4096], i + 1);
        assert_int_equal(image[i * 4096 + 4095], i + 1);
        places[i] = requests[i].place;
    }
    pump(&w, 20);
    for (uint32_t i = 0; i < TRANSFERS; i++)
        assert_int_equal(requests[i].completions, 1);
    end_world(&w);
}

static void order_depends_on_the_seed_alone(void **state)
{
    (void)state;
    uint32_t first[TRANSFERS], again[TRANSFERS], other[TRANSFERS];
    write_many(1, 0, first);
    write_many(1, 0, again);
    write_many(2, 0, other);
    assert_memory_equal(first, again, sizeof first);
    assert_memory_not_equal(first, other, sizeof first);
}

static void inline_transfers_complete_in_order(void **state)
{
    (void)state;
    uint32_t places[TRANSFERS];
    write_many(1, NTMM_EMULATED_DISK_INLINE, places);
    for (uint32_t i = 0; i < TRANSFERS; i++)
        assert_int_equal(places[i], i);
}

static void an_inline_transfer_completes_before_submit_returns(void **state)
{
    (void)state;
    struct world w;
    struct request r;
    make_world(&w, 1, (struct ntmm_emulated_disk_config){.flags = NTMM_EMULATED_DISK_INLINE});
    prepare(&w, &r, NTMM_IO_READ, 0, 0);
    submit(&r);
    assert_int_equal(r.completions, 1);
    end_world(&w);
}

static void latency_is_counted_in_pumps(void **state)
{
    (void)state;
    struct world w;
    struct request r;
    make_world(
        &w, 1,
        (struct ntmm_emulated_disk_config){.minimum_latency_pumps = 3, .maximum_latency_pumps = 3});
    prepare(&w, &r, NTMM_IO_READ, 0, 0);
    submit(&r);
    assert_int_equal(r.completions, 0);
    pump(&w, 2);
    assert_int_equal(r.completions, 0);
    pump(&w, 1);
    assert_int_equal(r.completions, 1);
    end_world(&w);
}

/* All are due at one pump, and still complete in an order that is drawn. */
static void equal_latencies_complete_in_any_order(void **state)
{
    (void)state;
    struct world w;
    struct request requests[8];
    uint32_t order = 0, moved = 0;
    make_world(
        &w, 1,
        (struct ntmm_emulated_disk_config){.minimum_latency_pumps = 2, .maximum_latency_pumps = 2});
    for (uint32_t i = 0; i < 8; i++) {
        prepare(&w, &requests[i], NTMM_IO_READ, 0, i);
        requests[i].order = &order;
        submit(&requests[i]);
    }
    pump(&w, 2);
    assert_int_equal(order, 8);
    for (uint32_t i = 0; i < 8; i++)
        moved += requests[i].place != i;
    assert_int_not_equal(moved, 0);
    end_world(&w);
}

static void spans_are_gathered_and_scattered_in_order(void **state)
{
    (void)state;
    struct world w;
    struct request r;
    const struct ntmm_content_span spans[3] = {{5, 4000, 96}, {2, 0, 4096}, {9, 17, 3}};
    make_world(&w, 1, (struct ntmm_emulated_disk_config){0});
    uint8_t *image = ntmm_emulated_disk_image(w.emu, w.disk, NULL);
    for (uint32_t i = 0; i < 4195; i++)
        image[1000 + i] = (uint8_t)(i * 7 + 1);
    prepare(&w, &r, NTMM_IO_READ, 1000, 0);
    r.io.spans = spans;
    r.io.span_count = 3;
    assert_int_equal(run(&r), NTMM_STATUS_SUCCESS);
    assert_int_equal(r.io.transferred_bytes, 4195);
    assert_memory_equal(w.ram + 5 * 4096 + 4000, image + 1000, 96);
    assert_memory_equal(w.ram + 2 * 4096, image + 1096, 4096);
    assert_memory_equal(w.ram + 9 * 4096 + 17, image + 5192, 3);
    assert_int_equal(w.ram[9 * 4096 + 20], 0);
    prepare(&w, &r, NTMM_IO_WRITE, 100000, 0);
    r.io.spans = spans;
    r.io.span_count = 3;
    assert_int_equal(run(&r), NTMM_STATUS_SUCCESS);
    assert_memory_equal(image + 100000, image + 1000, 4195);
    assert_int_equal(image[104195], 0);
    end_world(&w);
}

static void transfers_past_the_end_fail(void **state)
{
    (void)state;
    struct world w;
    uint64_t size;
    make_world(&w, 1,
               (struct ntmm_emulated_disk_config){.size_bytes = 8192, .maximum_bytes = 16384});
    assert_int_equal(transfer(&w, NTMM_IO_READ, 4096, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, NTMM_IO_READ, 4608, 0), NTMM_STATUS_END_OF_FILE);
    assert_int_equal(transfer(&w, NTMM_IO_WRITE, 8192, 0), NTMM_STATUS_DISK_FULL);
    assert_int_equal(transfer(&w, NTMM_IO_READ, UINT64_MAX - 4095, 0), NTMM_STATUS_END_OF_FILE);
    assert_int_equal(transfer(&w, NTMM_IO_EXTEND, 16385, 0), NTMM_STATUS_DISK_FULL);
    assert_int_equal(transfer(&w, NTMM_IO_EXTEND, 16384, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, NTMM_IO_WRITE, 12288, 0), NTMM_STATUS_SUCCESS);
    assert_non_null(ntmm_emulated_disk_image(w.emu, w.disk, &size));
    assert_int_equal(size, 16384);
    end_world(&w);
}

/* What is cut is gone: an extension over it finds zeros. */
static void a_truncated_disk_is_smaller(void **state)
{
    (void)state;
    struct world w;
    uint64_t size;
    make_world(&w, 1, (struct ntmm_emulated_disk_config){.size_bytes = 8192});
    memset(w.ram, 0x11, 4096);
    assert_int_equal(transfer(&w, NTMM_IO_WRITE, 4096, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, NTMM_IO_TRUNCATE, 8193, 0), NTMM_STATUS_INVALID_PARAMETER);
    assert_int_equal(transfer(&w, NTMM_IO_TRUNCATE, 8192, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, NTMM_IO_TRUNCATE, 4100, 0), NTMM_STATUS_SUCCESS);
    const uint8_t *image = ntmm_emulated_disk_image(w.emu, w.disk, &size);
    assert_int_equal(size, 4100);
    assert_int_equal(transfer(&w, NTMM_IO_READ, 4096, 1), NTMM_STATUS_END_OF_FILE);
    assert_int_equal(transfer(&w, NTMM_IO_EXTEND, 8192, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(image[4099], 0x11);
    for (uint32_t i = 4100; i < 8192; i++)
        assert_int_equal(image[i], 0);
    end_world(&w);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    struct world w;
    struct request r;
    make_world(&w, 1, (struct ntmm_emulated_disk_config){0});
    prepare(&w, &r, NTMM_IO_READ, 0, FRAMES);
    assert_int_equal(w.platform->submit(w.emu, &r.io), NTMM_STATUS_INVALID_PARAMETER);
    prepare(&w, &r, NTMM_IO_WRITE, 0, 0);
    r.span.offset_bytes = 1;
    assert_int_equal(w.platform->submit(w.emu, &r.io), NTMM_STATUS_INVALID_PARAMETER);
    prepare(&w, &r, (enum ntmm_io_operation)5, 0, 0);
    assert_int_equal(w.platform->submit(w.emu, &r.io), NTMM_STATUS_INVALID_PARAMETER);
    prepare(&w, &r, NTMM_IO_READ, 0, 0);
    r.io.device = w.disk + 1;
    assert_int_equal(w.platform->submit(w.emu, &r.io), NTMM_STATUS_INVALID_PARAMETER);
    pump(&w, 8);
    assert_int_equal(r.completions, 0);
    end_world(&w);
}

static void errors_come_when_asked_for(void **state)
{
    (void)state;
    struct world w;
    struct ntmm_emulated_disk_errors errors = {
        .operations = 1u << NTMM_IO_WRITE,
        .after = 2,
        .count = 1,
        .status = NTMM_STATUS_DEVICE_DATA_ERROR,
    };
    make_world(&w, 1, (struct ntmm_emulated_disk_config){0});
    const uint8_t *image = ntmm_emulated_disk_image(w.emu, w.disk, NULL);
    memset(w.ram, 0x11, 4096);
    assert_int_equal(ntmm_emulated_inject_disk(w.emu, w.disk, &errors), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, NTMM_IO_WRITE, 0, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, NTMM_IO_READ, 0, 1), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, NTMM_IO_WRITE, 4096, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, NTMM_IO_WRITE, 8192, 0), NTMM_STATUS_DEVICE_DATA_ERROR);
    assert_int_equal(image[8192], 0);
    assert_int_equal(transfer(&w, NTMM_IO_WRITE, 8192, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(image[8192], 0x11);
    errors.after = 0;
    errors.count = UINT64_MAX;
    errors.status = NTMM_STATUS_DISK_FULL;
    assert_int_equal(ntmm_emulated_inject_disk(w.emu, w.disk, &errors), NTMM_STATUS_SUCCESS);
    for (int i = 0; i < 3; i++)
        assert_int_equal(transfer(&w, NTMM_IO_WRITE, 0, 0), NTMM_STATUS_DISK_FULL);
    assert_int_equal(ntmm_emulated_inject_disk(w.emu, w.disk, NULL), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, NTMM_IO_WRITE, 0, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_inject_disk(w.emu, 9, NULL), NTMM_STATUS_INVALID_PARAMETER_2);
    end_world(&w);
}

/* Pages 2 and 3 are bad: what touches a byte of them fails, at either edge, and nothing else. */
static void errors_keep_to_their_place(void **state)
{
    (void)state;
    struct world w;
    struct ntmm_emulated_disk_errors errors = {
        .operations = 1u << NTMM_IO_WRITE | 1u << NTMM_IO_FLUSH,
        .count = UINT64_MAX,
        .status = NTMM_STATUS_DEVICE_DATA_ERROR,
        .base_bytes = 8192,
        .end_bytes = 16384,
    };
    make_world(&w, 1, (struct ntmm_emulated_disk_config){0});
    assert_int_equal(ntmm_emulated_inject_disk(w.emu, w.disk, &errors), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, NTMM_IO_WRITE, 4096, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, NTMM_IO_WRITE, 4097, 0), NTMM_STATUS_DEVICE_DATA_ERROR);
    assert_int_equal(transfer(&w, NTMM_IO_WRITE, 12288, 0), NTMM_STATUS_DEVICE_DATA_ERROR);
    assert_int_equal(transfer(&w, NTMM_IO_WRITE, 16383, 0), NTMM_STATUS_DEVICE_DATA_ERROR);
    assert_int_equal(transfer(&w, NTMM_IO_WRITE, 16384, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, NTMM_IO_READ, 8192, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, NTMM_IO_FLUSH, 0, 0), NTMM_STATUS_SUCCESS);
    end_world(&w);
}

/* Transfers elsewhere use up neither `after` nor `count`. */
static void errors_count_only_in_their_place(void **state)
{
    (void)state;
    struct world w;
    struct ntmm_emulated_disk_errors errors = {
        .operations = 1u << NTMM_IO_READ,
        .after = 1,
        .count = 1,
        .status = NTMM_STATUS_DEVICE_DATA_ERROR,
        .base_bytes = 4096,
        .end_bytes = 8192,
    };
    make_world(&w, 1, (struct ntmm_emulated_disk_config){0});
    assert_int_equal(ntmm_emulated_inject_disk(w.emu, w.disk, &errors), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, NTMM_IO_READ, 0, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, NTMM_IO_READ, 4096, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, NTMM_IO_READ, 0, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, NTMM_IO_READ, 4096, 0), NTMM_STATUS_DEVICE_DATA_ERROR);
    assert_int_equal(transfer(&w, NTMM_IO_READ, 4096, 0), NTMM_STATUS_SUCCESS);
    errors.end_bytes = 0;
    errors.after = 0;
    assert_int_equal(ntmm_emulated_inject_disk(w.emu, w.disk, &errors), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, NTMM_IO_READ, 0, 0), NTMM_STATUS_DEVICE_DATA_ERROR);
    end_world(&w);
}

static void a_refused_transfer_never_completes(void **state)
{
    (void)state;
    struct world w;
    struct request r;
    struct ntmm_emulated_disk_errors errors = {
        .operations = 1u << NTMM_IO_READ,
        .is_refused = 1,
        .count = 1,
        .status = NTMM_STATUS_INSUFFICIENT_RESOURCES,
    };
    make_world(&w, 1, (struct ntmm_emulated_disk_config){0});
    assert_int_equal(ntmm_emulated_inject_disk(w.emu, w.disk, &errors), NTMM_STATUS_SUCCESS);
    prepare(&w, &r, NTMM_IO_READ, 0, 0);
    assert_int_equal(w.platform->submit(w.emu, &r.io), NTMM_STATUS_INSUFFICIENT_RESOURCES);
    pump(&w, 8);
    assert_int_equal(r.completions, 0);
    assert_int_equal(run(&r), NTMM_STATUS_SUCCESS);
    end_world(&w);
}

static void only_flushed_writes_survive_a_power_cut(void **state)
{
    (void)state;
    struct world w;
    make_world(&w, 1, (struct ntmm_emulated_disk_config){.flags = NTMM_EMULATED_DISK_WRITE_CACHE});
    const uint8_t *image = ntmm_emulated_disk_image(w.emu, w.disk, NULL);
    memset(w.ram, 0x11, 4096);
    memset(w.ram + 4096, 0x22, 4096);
    assert_int_equal(transfer(&w, NTMM_IO_WRITE, 0, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, NTMM_IO_FLUSH, 0, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, NTMM_IO_WRITE, 0, 1), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, NTMM_IO_WRITE, 4096, 1), NTMM_STATUS_SUCCESS);
    assert_int_equal(image[0], 0x22);
    assert_int_equal(ntmm_emulated_cut_power(w.emu, w.disk, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_restore_power(w.emu, w.disk), NTMM_STATUS_SUCCESS);
    for (uint32_t i = 0; i < 4096; i++) {
        assert_int_equal(image[i], 0x11);
        assert_int_equal(image[4096 + i], 0);
    }
    end_world(&w);
}

static void a_power_cut_may_keep_some_cached_sectors(void **state)
{
    (void)state;
    struct world w;
    uint32_t kept = 0;
    make_world(&w, 1, (struct ntmm_emulated_disk_config){.flags = NTMM_EMULATED_DISK_WRITE_CACHE});
    const uint8_t *image = ntmm_emulated_disk_image(w.emu, w.disk, NULL);
    for (uint32_t page = 0; page < 8; page++) {
        memset(w.ram, 0x33, 4096);
        assert_int_equal(transfer(&w, NTMM_IO_WRITE, page * 4096u, 0), NTMM_STATUS_SUCCESS);
    }
    assert_int_equal(ntmm_emulated_cut_power(w.emu, w.disk, NTMM_EMULATED_CUT_KEEPS_SOME),
                     NTMM_STATUS_SUCCESS);
    for (uint32_t sector = 0; sector < 64; sector++) {
        for (uint32_t i = 1; i < 512; i++)
            assert_int_equal(image[sector * 512 + i], image[sector * 512]);
        kept += image[sector * 512] == 0x33;
    }
    assert_in_range(kept, 1, 63);
    end_world(&w);
}

/* Of a write of eight sectors, how many a power cut during it leaves; they must be a prefix. */
static uint32_t tear(uint64_t seed, uint32_t disk_flags)
{
    struct world w;
    struct request r;
    uint32_t written = 0;
    make_world(&w, seed, (struct ntmm_emulated_disk_config){.flags = disk_flags});
    const uint8_t *image = ntmm_emulated_disk_image(w.emu, w.disk, NULL);
    memset(w.ram, 0x44, 4096);
    prepare(&w, &r, NTMM_IO_WRITE, 0, 0);
    submit(&r);
    assert_int_equal(ntmm_emulated_cut_power(w.emu, w.disk, NTMM_EMULATED_CUT_TEARS),
                     NTMM_STATUS_SUCCESS);
    while (written < 8 && image[written * 512] == 0x44)
        written++;
    for (uint32_t i = 0; i < 4096; i++)
        assert_int_equal(image[i], i < written * 512 ? 0x44 : 0);
    pump(&w, 1);
    assert_int_equal(r.completions, 1);
    assert_int_equal(r.io.status, NTMM_STATUS_VOLUME_DISMOUNTED);
    end_world(&w);
    return written;
}

static void a_torn_write_leaves_a_prefix_of_sectors(void **state)
{
    (void)state;
    uint32_t seen[9] = {0};
    for (uint64_t seed = 0; seed < 100; seed++) {
        uint32_t written = tear(seed, 0);
        assert_int_equal(written, tear(seed, NTMM_EMULATED_DISK_WRITE_CACHE));
        seen[written]++;
    }
    for (uint32_t i = 0; i < 9; i++)
        assert_int_not_equal(seen[i], 0);
}

static void without_power_nothing_is_accepted(void **state)
{
    (void)state;
    struct world w;
    struct request r, late;
    make_world(&w, 1, (struct ntmm_emulated_disk_config){.minimum_latency_pumps = 8});
    memset(w.ram, 0x55, 4096);
    prepare(&w, &r, NTMM_IO_WRITE, 0, 0);
    submit(&r);
    assert_int_equal(ntmm_emulated_cut_power(w.emu, w.disk, 0), NTMM_STATUS_SUCCESS);
    prepare(&w, &late, NTMM_IO_WRITE, 0, 0);
    assert_int_equal(w.platform->submit(w.emu, &late.io), NTMM_STATUS_VOLUME_DISMOUNTED);
    pump(&w, 1);
    assert_int_equal(r.completions, 1);
    assert_int_equal(r.io.status, NTMM_STATUS_VOLUME_DISMOUNTED);
    assert_int_equal(*(uint8_t *)ntmm_emulated_disk_image(w.emu, w.disk, NULL), 0);
    assert_int_equal(ntmm_emulated_restore_power(w.emu, w.disk), NTMM_STATUS_SUCCESS);
    assert_int_equal(run(&late), NTMM_STATUS_SUCCESS);
    pump(&w, 8);
    assert_int_equal(r.completions, 1);
    end_world(&w);
}

static void a_completion_may_submit(void **state)
{
    (void)state;
    struct world w;
    struct request first, second;
    for (uint32_t flags = 0; flags <= NTMM_EMULATED_DISK_INLINE; flags++) {
        make_world(&w, 1, (struct ntmm_emulated_disk_config){.flags = flags});
        prepare(&w, &first, NTMM_IO_WRITE, 0, 0);
        prepare(&w, &second, NTMM_IO_READ, 0, 1);
        first.next = &second;
        memset(w.ram, 0x66, 4096);
        submit(&first);
        pump(&w, 16);
        assert_int_equal(first.completions, 1);
        assert_int_equal(second.completions, 1);
        assert_int_equal(w.ram[4096 + 4095], 0x66);
        end_world(&w);
    }
}

static void destroying_completes_what_is_in_flight(void **state)
{
    (void)state;
    struct world w;
    struct request r;
    make_world(&w, 1, (struct ntmm_emulated_disk_config){0});
    prepare(&w, &r, NTMM_IO_READ, 0, 0);
    submit(&r);
    end_world(&w);
    assert_int_equal(r.completions, 1);
    assert_int_equal(r.io.status, NTMM_STATUS_VOLUME_DISMOUNTED);
}

static void two_disks_are_two(void **state)
{
    (void)state;
    struct world w;
    uint64_t other;
    const struct ntmm_emulated_disk_config config = {
        .size = sizeof config,
        .version = NTMM_EMULATED_DISK_VERSION,
        .size_bytes = DISK_BYTES,
    };
    make_world(&w, 1, (struct ntmm_emulated_disk_config){0});
    assert_int_equal(ntmm_emulated_add_disk(w.emu, &config, &other), NTMM_STATUS_SUCCESS);
    assert_int_equal(other, w.disk + 1);
    memset(w.ram, 0x77, 4096);
    assert_int_equal(transfer(&w, NTMM_IO_WRITE, 0, 0), NTMM_STATUS_SUCCESS);
    const uint8_t *image = ntmm_emulated_disk_image(w.emu, other, NULL);
    assert_int_equal(image[0], 0);
    assert_int_equal(ntmm_emulated_cut_power(w.emu, other, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, NTMM_IO_READ, 0, 1), NTMM_STATUS_SUCCESS);
    assert_int_equal(w.ram[4096], 0x77);
    end_world(&w);
}

static void a_bad_configuration_is_refused(void **state)
{
    (void)state;
    struct world w;
    uint64_t device = 99;
    struct ntmm_emulated_disk_config config = {
        .size = sizeof config,
        .version = NTMM_EMULATED_DISK_VERSION,
        .size_bytes = 513,
    };
    make_world(&w, 1, (struct ntmm_emulated_disk_config){0});
    assert_int_equal(ntmm_emulated_add_disk(w.emu, &config, &device),
                     NTMM_STATUS_INVALID_PARAMETER_2);
    config.size_bytes = 1024;
    config.maximum_bytes = 512;
    assert_int_equal(ntmm_emulated_add_disk(w.emu, &config, &device),
                     NTMM_STATUS_INVALID_PARAMETER_2);
    config.maximum_bytes = 0;
    config.path = "/nonexistent-directory/disk";
    assert_int_equal(ntmm_emulated_add_disk(w.emu, &config, &device),
                     NTMM_STATUS_OBJECT_NAME_NOT_FOUND);
    config.version = 0;
    assert_int_equal(ntmm_emulated_add_disk(w.emu, &config, &device),
                     NTMM_STATUS_INFO_LENGTH_MISMATCH);
    assert_int_equal(device, 99);
    end_world(&w);
}

static void a_file_holds_what_was_written(void **state)
{
    (void)state;
    struct world w;
    uint8_t sector[512];
    char path[] = "test_disk_XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    const struct ntmm_emulated_disk_config config = {
        .path = path,
        .size_bytes = 8192,
        .maximum_bytes = 12288,
    };
    make_world(&w, 1, config);
    assert_null(ntmm_emulated_disk_image(w.emu, w.disk, NULL));
    memset(w.ram, 0x21, 4096);
    assert_int_equal(transfer(&w, NTMM_IO_EXTEND, 12288, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, NTMM_IO_WRITE, 8192, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, NTMM_IO_FLUSH, 0, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, NTMM_IO_READ, 4096, 1), NTMM_STATUS_SUCCESS);
    end_world(&w);
    assert_int_equal(pread(file, sector, 512, 12288 - 512), 512);
    assert_int_equal(sector[511], 0x21);
    make_world(&w, 1, config);
    assert_int_equal(transfer(&w, NTMM_IO_EXTEND, 12288, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(&w, NTMM_IO_READ, 8192, 3), NTMM_STATUS_SUCCESS);
    assert_int_equal(w.ram[3 * 4096 + 5], 0x21);
    end_world(&w);
    assert_int_equal(close(file), 0);
    assert_int_equal(unlink(path), 0);
}

/* --- together with coroutines --- */

struct reader {
    struct world *w;
    struct request request;
    struct ntmm_wait wait;
    ntmm_status status;
};

static void wake_reader(struct ntmm_io *io)
{
    struct reader *r = io->context;
    __atomic_store_n(&r->wait.is_woken, 1, __ATOMIC_RELEASE);
    r->w->platform->wake(r->w->emu, &r->wait);
}

static void read_and_wait(void *context)
{
    struct reader *r = context;
    r->request.io.complete = wake_reader;
    r->request.io.context = r;
    submit(&r->request);
    r->status = r->w->platform->wait(r->w->emu, &r->wait, UINT64_MAX);
}

static void a_coroutine_is_woken_by_its_transfer(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct world w;
        struct reader readers[4];
        make_world(&w, seed, (struct ntmm_emulated_disk_config){0});
        uint8_t *image = ntmm_emulated_disk_image(w.emu, w.disk, NULL);
        memset(readers, 0, sizeof readers);
        for (uint32_t i = 0; i < 4; i++) {
            image[i * 4096] = (uint8_t)(i + 1);
            readers[i].w = &w;
            prepare(&w, &readers[i].request, NTMM_IO_READ, i * 4096u, i);
            assert_int_equal(ntmm_emulated_spawn(w.emu, 0, read_and_wait, &readers[i], 0), 0);
        }
        assert_int_equal(ntmm_emulated_run(w.emu), NTMM_STATUS_SUCCESS);
        for (uint32_t i = 0; i < 4; i++) {
            assert_int_equal(readers[i].status, NTMM_STATUS_SUCCESS);
            assert_int_equal(w.ram[i * 4096], i + 1);
        }
        end_world(&w);
    }
}

static void a_lone_wait_pumps_until_its_transfer_is_done(void **state)
{
    (void)state;
    struct world w;
    struct reader r = {.w = &w};
    make_world(&w, 4, (struct ntmm_emulated_disk_config){0});
    prepare(&w, &r.request, NTMM_IO_READ, 0, 0);
    read_and_wait(&r);
    assert_int_equal(r.status, NTMM_STATUS_SUCCESS);
    end_world(&w);
}

/* A completion spins on a lock whose holder is switched away: the spin must let the holder run. */
struct contention {
    struct world *w;
    struct request request;
    uint32_t lock;
    uint32_t completions;
};

static void complete_under_lock(struct ntmm_io *io)
{
    struct contention *c = io->context;
    while (c->lock != 0)
        c->w->platform->relax(c->w->emu);
    c->completions++;
}

static void hold_lock_during_transfer(void *context)
{
    struct contention *c = context;
    c->lock = 1;
    submit(&c->request);
    for (int i = 0; i < 100; i++)
        c->w->platform->relax(c->w->emu);
    c->lock = 0;
    while (c->completions == 0)
        c->w->platform->relax(c->w->emu);
}

static void a_completion_may_spin_on_a_coroutines_lock(void **state)
{
    (void)state;
    struct world w;
    struct contention c = {.w = &w};
    make_world(&w, 4, (struct ntmm_emulated_disk_config){0});
    prepare(&w, &c.request, NTMM_IO_READ, 0, 0);
    c.request.io.complete = complete_under_lock;
    c.request.io.context = &c;
    assert_int_equal(ntmm_emulated_spawn(w.emu, 0, hold_lock_during_transfer, &c, 0), 0);
    assert_int_equal(ntmm_emulated_run(w.emu), NTMM_STATUS_SUCCESS);
    assert_int_equal(c.completions, 1);
    end_world(&w);
}

/* Errors, a power cut and the queue are for transfers; a look sees what is on the disk. */
static void a_look_needs_no_transfer(void **state)
{
    const struct ntmm_emulated_disk_errors errors = {.operations = 1u << NTMM_IO_READ,
                                                     .count = UINT64_MAX,
                                                     .status = NTMM_STATUS_DEVICE_DATA_ERROR};
    struct world w;
    uint8_t bytes[4];
    (void)state;
    make_world(&w, 1, (struct ntmm_emulated_disk_config){0});
    uint8_t *image = ntmm_emulated_disk_image(w.emu, w.disk, NULL);
    memcpy(image + DISK_BYTES - 4, "last", 4);
    assert_int_equal(ntmm_emulated_inject_disk(w.emu, w.disk, &errors), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_cut_power(w.emu, w.disk, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_read_disk(w.emu, w.disk, DISK_BYTES - 4, bytes, 4),
                     NTMM_STATUS_SUCCESS);
    assert_memory_equal(bytes, "last", 4);
    assert_int_equal(ntmm_emulated_read_disk(w.emu, w.disk, DISK_BYTES - 3, bytes, 4),
                     NTMM_STATUS_END_OF_FILE);
    assert_int_equal(ntmm_emulated_read_disk(w.emu, w.disk, UINT64_MAX, bytes, 4),
                     NTMM_STATUS_END_OF_FILE);
    assert_int_equal(ntmm_emulated_read_disk(w.emu, w.disk + 1, 0, bytes, 4),
                     NTMM_STATUS_INVALID_PARAMETER_2);
    end_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_depends_on_the_seed_alone),
        cmocka_unit_test(inline_transfers_complete_in_order),
        cmocka_unit_test(an_inline_transfer_completes_before_submit_returns),
        cmocka_unit_test(latency_is_counted_in_pumps),
        cmocka_unit_test(equal_latencies_complete_in_any_order),
        cmocka_unit_test(spans_are_gathered_and_scattered_in_order),
        cmocka_unit_test(transfers_past_the_end_fail),
        cmocka_unit_test(a_truncated_disk_is_smaller),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(errors_come_when_asked_for),
        cmocka_unit_test(errors_keep_to_their_place),
        cmocka_unit_test(errors_count_only_in_their_place),
        cmocka_unit_test(a_refused_transfer_never_completes),
        cmocka_unit_test(only_flushed_writes_survive_a_power_cut),
        cmocka_unit_test(a_power_cut_may_keep_some_cached_sectors),
        cmocka_unit_test(a_torn_write_leaves_a_prefix_of_sectors),
        cmocka_unit_test(without_power_nothing_is_accepted),
        cmocka_unit_test(a_completion_may_submit),
        cmocka_unit_test(destroying_completes_what_is_in_flight),
        cmocka_unit_test(two_disks_are_two),
        cmocka_unit_test(a_bad_configuration_is_refused),
        cmocka_unit_test(a_file_holds_what_was_written),
        cmocka_unit_test(a_coroutine_is_woken_by_its_transfer),
        cmocka_unit_test(a_look_needs_no_transfer),
        cmocka_unit_test(a_lone_wait_pumps_until_its_transfer_is_done),
        cmocka_unit_test(a_completion_may_spin_on_a_coroutines_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
