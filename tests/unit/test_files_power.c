/*
 * Power cuts of files: at each transfer of a scenario, with and without torn writes and kept
 * sectors, what is left is what was flushed, and of the rest each sector is old or new.
 *
 *   durable  |AAAA|BBBB|CCC      what was flushed; the last sector is a part of one
 *   image    |AAAA|bbbb|ccc      finished writes: lost, or each sector kept or lost
 *   tearing  |    |bNNN|NNN      of the write in flight a prefix of the sectors it touches
 */
#include "unit/file_world.h"

#define LONGEST 16384u
#define SECTOR NTMM_EMULATED_SECTOR_SIZE
#define SECTORS (LONGEST / SECTOR)
#define SEEDS 40u

struct step {
    enum ntmm_io_operation operation;
    uint64_t offset; /* or the size to be */
    uint64_t size;
};

/* Ends inside sectors and pages, writes over writes, sizes that change with and without a flush. */
static const struct step STEPS[] = {
    {NTMM_IO_WRITE, 0, 5000},        {NTMM_IO_FLUSH, 0, 0},      {NTMM_IO_WRITE, 4096, 904},
    {NTMM_IO_WRITE, 700, 2000},      {NTMM_IO_EXTEND, 9001, 0},  {NTMM_IO_WRITE, 4999, 4002},
    {NTMM_IO_TRUNCATE, 6100, 0},     {NTMM_IO_WRITE, 6000, 100}, {NTMM_IO_FLUSH, 0, 0},
    {NTMM_IO_WRITE, 6099, 1},        {NTMM_IO_TRUNCATE, 513, 0}, {NTMM_IO_EXTEND, LONGEST - 1, 0},
    {NTMM_IO_WRITE, 1, LONGEST - 2}, {NTMM_IO_WRITE, 0, 512},
};
#define STEP_COUNT (sizeof STEPS / sizeof *STEPS)

struct model {
    uint8_t image[LONGEST];
    uint8_t durable[LONGEST];
    uint64_t size;
    bool is_cached; /* whether writes wait for a flush */
};

static uint8_t byte_of(size_t step, uint64_t at) { return pattern(step + 1, at) | 1; }

static void apply(struct model *m, size_t number)
{
    const struct step *step = &STEPS[number];
    switch (step->operation) {
    case NTMM_IO_READ:
        break;
    case NTMM_IO_WRITE:
        for (uint64_t i = 0; i < step->size; i++)
            m->image[step->offset + i] = byte_of(number, i);
        if (!m->is_cached)
            memcpy(m->durable, m->image, LONGEST);
        break;
    case NTMM_IO_FLUSH:
        memcpy(m->durable, m->image, LONGEST);
        break;
    case NTMM_IO_TRUNCATE:
        memset(m->image + step->offset, 0, m->size - step->offset);
        memset(m->durable + step->offset, 0, m->size - step->offset);
        m->size = step->offset;
        break;
    case NTMM_IO_EXTEND:
        m->size = step->offset;
        break;
    }
}

/* The request of a step; its bytes are put into RAM. */
static void prepare_step(struct world *w, struct request *r, size_t number)
{
    const struct step *step = &STEPS[number];
    prepare(w, r, 0, step->operation, step->offset);
    for (uint64_t i = 0; i < step->size; i++)
        w->ram[i] = byte_of(number, i);
    add_spans(r, 0, step->size);
}

/* Whether a sector is what `base` says, the bytes of the torn write laid over it if it is torn. */
static bool is_sector(const uint8_t *found, const uint8_t *base, uint64_t sector, uint64_t end,
                      const struct step *torn, size_t number)
{
    for (uint64_t at = sector * SECTOR; at < (sector + 1) * SECTOR && at < end; at++) {
        bool is_new = torn != NULL && at >= torn->offset && at < torn->offset + torn->size;
        if (found[at] != (is_new ? byte_of(number, at - torn->offset) : base[at]))
            return false;
    }
    return true;
}

/* How many sectors of the write in flight are there, if that explains all; otherwise fails. */
static uint64_t explain(const struct model *m, const uint8_t *found, size_t number, uint32_t flags)
{
    const struct step *step = &STEPS[number];
    bool tears = (flags & NTMM_EMULATED_CUT_TEARS) && step->operation == NTMM_IO_WRITE;
    uint64_t first = step->offset / SECTOR;
    uint64_t most = tears ? (step->offset + step->size - 1) / SECTOR - first + 1 : 0;
    for (uint64_t prefix = 0; prefix <= most; prefix++) {
        bool is_right = true;
        for (uint64_t sector = 0; sector < SECTORS && is_right; sector++) {
            const struct step *torn = sector >= first && sector - first < prefix ? step : NULL;
            is_right = is_sector(found, m->durable, sector, m->size, torn, number) ||
                       ((flags & NTMM_EMULATED_CUT_KEEPS_SOME) &&
                        is_sector(found, m->image, sector, m->size, torn, number));
        }
        if (is_right)
            return prefix;
    }
    fail_msg("nothing explains what a cut in step %zu left", number);
    return 0;
}

/* All steps before `number` are done; the power goes during that one. */
static uint64_t cut(struct world *w, struct model *m, size_t number, uint32_t flags)
{
    static uint8_t found[LONGEST];
    struct request r;
    prepare_step(w, &r, number);
    submit(&r);
    assert_int_equal(ntmm_emulated_cut_power(w->emu, 0, flags), NTMM_STATUS_SUCCESS);
    prepare_step(w, &r, number); /* without power */
    assert_int_equal(w->platform->submit(w->emu, &r.io), NTMM_STATUS_VOLUME_DISMOUNTED);
    pump(w, 1);
    assert_int_equal(ntmm_emulated_restore_power(w->emu, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_file_size(w->emu, 0), m->size);
    assert_int_equal(transfer(w, 0, NTMM_IO_READ, 0, 0, m->size, NULL), NTMM_STATUS_SUCCESS);
    memcpy(found, w->ram, m->size);
    uint64_t prefix = explain(m, found, number, flags);
    assert_int_equal(ntmm_emulated_cut_power(w->emu, 0, 0),
                     NTMM_STATUS_SUCCESS); /* it is durable */
    assert_memory_equal(ntmm_emulated_disk_image(w->emu, 0, NULL), found, m->size);
    return prefix;
}

/* seen[n]: a prefix of n sectors was left of the last write. */
static void cut_at_each_step(uint32_t file_flags, uint32_t cut_flags, uint32_t *seen)
{
    for (uint64_t i = 0; i < STEP_COUNT * SEEDS; i++) {
        static struct model m;
        struct world w;
        struct request r;
        size_t last = (size_t)(i % STEP_COUNT);
        make_world(&w, i);
        memset(&m, 0, sizeof m);
        m.size = 5000;
        m.is_cached = (file_flags & NTMM_EMULATED_FILE_WRITE_CACHE) != 0;
        assert_int_equal(add_file(&w, (struct ntmm_emulated_file_config){.size_bytes = m.size,
                                                                         .maximum_bytes = LONGEST,
                                                                         .flags = file_flags}),
                         0);
        for (size_t number = 0; number < last; number++) {
            prepare_step(&w, &r, number);
            assert_int_equal(run(&r), NTMM_STATUS_SUCCESS);
            apply(&m, number);
        }
        seen[cut(&w, &m, last, cut_flags)]++;
        end_world(&w);
    }
}

static void a_cut_loses_what_was_not_flushed(void **state)
{
    uint32_t seen[SECTORS + 1] = {0};
    (void)state;
    cut_at_each_step(0, 0, seen);
    cut_at_each_step(NTMM_EMULATED_FILE_WRITE_CACHE, 0, seen);
    assert_int_equal(seen[0], 2 * STEP_COUNT * SEEDS);
}

static void a_cut_may_keep_some_sectors(void **state)
{
    uint32_t seen[SECTORS + 1] = {0};
    (void)state;
    cut_at_each_step(NTMM_EMULATED_FILE_WRITE_CACHE, NTMM_EMULATED_CUT_KEEPS_SOME, seen);
    assert_int_equal(seen[0], STEP_COUNT * SEEDS);
}

static void a_torn_write_leaves_a_prefix_of_the_files_sectors(void **state)
{
    uint32_t seen[SECTORS + 1] = {0}, different = 0;
    (void)state;
    cut_at_each_step(0, NTMM_EMULATED_CUT_TEARS, seen);
    cut_at_each_step(NTMM_EMULATED_FILE_WRITE_CACHE, NTMM_EMULATED_CUT_TEARS, seen);
    cut_at_each_step(NTMM_EMULATED_FILE_WRITE_CACHE,
                     NTMM_EMULATED_CUT_TEARS | NTMM_EMULATED_CUT_KEEPS_SOME, seen);
    for (uint32_t i = 0; i <= SECTORS; i++)
        different += seen[i] != 0;
    assert_int_not_equal(seen[1], 0);
    assert_int_not_equal(seen[SECTORS], 0); /* all of the longest, its part of a sector too */
    assert_true(different > SECTORS / 2);
}

/* What extension finds is on the disk, and no cut takes it. */
static void stale_bytes_survive_a_cut(void **state)
{
    static uint8_t before[LONGEST];
    struct world w;
    (void)state;
    make_world(&w, 1);
    assert_int_equal(
        add_file(&w, (struct ntmm_emulated_file_config){.size_bytes = 700,
                                                        .maximum_bytes = LONGEST,
                                                        .flags = NTMM_EMULATED_FILE_STALE |
                                                                 NTMM_EMULATED_FILE_WRITE_CACHE}),
        0);
    const uint8_t *image = ntmm_emulated_disk_image(w.emu, 0, NULL);
    memset(w.ram, 0xEE, 700);
    assert_int_equal(transfer(&w, 0, NTMM_IO_WRITE, 0, 0, 700, NULL), NTMM_STATUS_SUCCESS);
    assert_int_equal(resize(&w, 0, NTMM_IO_EXTEND, LONGEST), NTMM_STATUS_SUCCESS);
    memcpy(before, image, LONGEST);
    assert_int_equal(ntmm_emulated_cut_power(w.emu, 0, 0), NTMM_STATUS_SUCCESS);
    for (uint32_t at = 0; at < 700; at++)
        assert_int_equal(image[at], 0);
    assert_memory_equal(image + 700, before + 700, LONGEST - 700);
    end_world(&w);
}

/* The first contents are on the disk. */
static void first_contents_survive_a_cut(void **state)
{
    static uint8_t contents[5001];
    struct world w;
    (void)state;
    make_world(&w, 1);
    fill_pattern(contents, sizeof contents, 1);
    assert_int_equal(
        add_file(&w, (struct ntmm_emulated_file_config){.size_bytes = sizeof contents,
                                                        .contents = contents,
                                                        .flags = NTMM_EMULATED_FILE_WRITE_CACHE}),
        0);
    memset(w.ram, 0xEE, sizeof contents);
    assert_int_equal(transfer(&w, 0, NTMM_IO_WRITE, 0, 0, sizeof contents, NULL),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_cut_power(w.emu, 0, 0), NTMM_STATUS_SUCCESS);
    assert_memory_equal(ntmm_emulated_disk_image(w.emu, 0, NULL), contents, sizeof contents);
    end_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_loses_what_was_not_flushed),
        cmocka_unit_test(a_cut_may_keep_some_sectors),
        cmocka_unit_test(a_torn_write_leaves_a_prefix_of_the_files_sectors),
        cmocka_unit_test(stale_bytes_survive_a_cut),
        cmocka_unit_test(first_contents_survive_a_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
