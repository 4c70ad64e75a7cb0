/*
 * Arguments of the emulated platform at their limits and beyond: what is refused leaves the machine
 * as it was. Expectations: the contracts of ntmm/emulated.h.
 */
#include "file_world.h"

#include <ntmm/process.h>

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    make_world(w, 3);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    end_world(w);
    free(w);
    return 0;
}

/* --- devices --- */

static void impossible_disks_are_refused(void **state)
{
    struct world *w = *state;
    const struct ntmm_emulated_disk_config plain = {
        .size = sizeof plain, .version = NTMM_EMULATED_DISK_VERSION, .size_bytes = 4096};
    struct ntmm_emulated_disk_config wrong[8];
    uint64_t device = 99;
    for (uint32_t i = 0; i < 8; i++)
        wrong[i] = plain;
    wrong[0].size--;
    wrong[1].version++;
    wrong[2].size_bytes = 0;
    wrong[3].size_bytes = 100;     /* no sectors */
    wrong[4].flags = 1u << 31;     /* no such */
    wrong[5].maximum_bytes = 2048; /* less than there is */
    wrong[6].path = "none";        /* a file of the host has no cache of ours */
    wrong[6].flags = NTMM_EMULATED_DISK_WRITE_CACHE;
    wrong[7].minimum_latency_pumps = 5;
    wrong[7].maximum_latency_pumps = 4;
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(ntmm_emulated_add_disk(w->emu, &wrong[i], &device),
                         i < 2 ? NTMM_STATUS_INFO_LENGTH_MISMATCH
                               : NTMM_STATUS_INVALID_PARAMETER_2);
    wrong[0] = plain;
    wrong[0].size_bytes = UINT64_C(1) << 61; /* no host has that */
    assert_int_equal(ntmm_emulated_add_disk(w->emu, &wrong[0], &device),
                     NTMM_STATUS_INSUFFICIENT_RESOURCES);
    assert_int_equal(device, 99);
    assert_int_equal(ntmm_emulated_add_disk(w->emu, &plain, &device), NTMM_STATUS_SUCCESS);
    assert_int_equal(device, 0);
}

/* A least latency alone is the only one. */
static void a_latency_is_kept(void **state)
{
    struct world *w = *state;
    uint64_t device = add_file(
        w, (struct ntmm_emulated_file_config){.size_bytes = 4096, .minimum_latency_pumps = 20});
    struct request r;
    prepare(w, &r, device, NTMM_IO_READ, 0);
    add_spans(&r, 0, 100);
    submit(&r);
    pump(w, 19);
    assert_int_equal(r.completions, 0);
    pump(w, 1);
    assert_int_equal(r.completions, 1);
}

static void bytes_past_a_device_are_not_shown(void **state)
{
    struct world *w = *state;
    uint8_t bytes[32];
    uint64_t device = add_file(w, (struct ntmm_emulated_file_config){.size_bytes = 16});
    assert_int_equal(ntmm_emulated_read_disk(w->emu, device, 0, bytes, 17),
                     NTMM_STATUS_END_OF_FILE);
    assert_int_equal(ntmm_emulated_read_disk(w->emu, device, 1, bytes, 16),
                     NTMM_STATUS_END_OF_FILE);
    assert_int_equal(ntmm_emulated_read_disk(w->emu, device, UINT64_MAX, bytes, 1),
                     NTMM_STATUS_END_OF_FILE);
    assert_int_equal(ntmm_emulated_read_disk(w->emu, device, 0, bytes, 16), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_read_disk(w->emu, device + 1, 0, bytes, 1),
                     NTMM_STATUS_INVALID_PARAMETER_2);
}

/* --- transfers --- */

/* A write of pieces, one of which is empty, to a disk with a cache; and of nothing at all. */
static void empty_pieces_move_nothing(void **state)
{
    struct world *w = *state;
    uint8_t bytes[8];
    uint64_t device =
        add_file(w, (struct ntmm_emulated_file_config){.size_bytes = 2 * 512,
                                                       .flags = NTMM_EMULATED_FILE_WRITE_CACHE});
    struct request r;
    memcpy(w->ram, "abcdefgh", 8);
    prepare(w, &r, device, NTMM_IO_WRITE, 512);
    r.spans[0] = (struct ntmm_content_span){0, 0, 4};
    r.spans[1] = (struct ntmm_content_span){3, 0, 0};
    r.spans[2] = (struct ntmm_content_span){0, 4, 4};
    r.io.span_count = 3;
    assert_int_equal(run(&r), NTMM_STATUS_SUCCESS);
    assert_int_equal(r.io.transferred_bytes, 8);
    assert_int_equal(ntmm_emulated_read_disk(w->emu, device, 512, bytes, 8), NTMM_STATUS_SUCCESS);
    assert_memory_equal(bytes, "abcdefgh", 8);
    prepare(w, &r, device, NTMM_IO_WRITE, 0);
    r.spans[0] = (struct ntmm_content_span){0, 0, 0};
    r.io.span_count = 1;
    assert_int_equal(run(&r), NTMM_STATUS_SUCCESS);
    assert_int_equal(r.io.transferred_bytes, 0);
    assert_int_equal(ntmm_emulated_read_disk(w->emu, device, 0, bytes, 8), NTMM_STATUS_SUCCESS);
    assert_memory_equal(bytes, "\0\0\0\0\0\0\0\0", 8);
}

/* It touches no byte where errors were asked for. */
static void an_empty_transfer_meets_no_errors(void **state)
{
    struct world *w = *state;
    const struct ntmm_emulated_disk_errors errors = {.operations = 1u << NTMM_IO_READ,
                                                     .count = UINT64_MAX,
                                                     .status = NTMM_STATUS_DEVICE_DATA_ERROR,
                                                     .base_bytes = 0,
                                                     .end_bytes = 512};
    uint64_t device = add_file(w, (struct ntmm_emulated_file_config){.size_bytes = 512});
    assert_int_equal(ntmm_emulated_inject_disk(w->emu, device, &errors), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(w, device, NTMM_IO_READ, 0, 0, 0, NULL), NTMM_STATUS_SUCCESS);
    assert_int_equal(transfer(w, device, NTMM_IO_READ, 0, 0, 1, NULL),
                     NTMM_STATUS_DEVICE_DATA_ERROR);
}

static void transfers_that_nobody_hears_of_are_refused(void **state)
{
    struct world *w = *state;
    uint64_t device = add_file(w, (struct ntmm_emulated_file_config){.size_bytes = 512});
    struct request r;
    prepare(w, &r, device, NTMM_IO_FLUSH, 0);
    r.io.complete = NULL;
    assert_int_equal(w->platform->submit(w->emu, &r.io), NTMM_STATUS_INVALID_PARAMETER);
    prepare(w, &r, device, (enum ntmm_io_operation)(NTMM_IO_TRUNCATE + 1), 0);
    assert_int_equal(w->platform->submit(w->emu, &r.io), NTMM_STATUS_INVALID_PARAMETER);
    prepare(w, &r, device, NTMM_IO_READ, 0);
    add_spans(&r, 0, 4);
    r.spans[0].size_bytes = 4097; /* no page is that long */
    assert_int_equal(w->platform->submit(w->emu, &r.io), NTMM_STATUS_INVALID_PARAMETER);
    pump(w, 10);
    assert_int_equal(r.completions, 0);
}

/* A write that is to fail anyway is not torn when the power goes: nothing of it was on the way. */
static void a_failed_write_is_not_torn(void **state)
{
    struct world *w = *state;
    const struct ntmm_emulated_disk_errors errors = {.operations = 1u << NTMM_IO_WRITE,
                                                     .count = UINT64_MAX,
                                                     .status = NTMM_STATUS_DEVICE_DATA_ERROR};
    static const uint8_t none[4096];
    static uint8_t bytes[4096];
    uint64_t device = add_file(w, (struct ntmm_emulated_file_config){.size_bytes = 4096});
    assert_int_equal(ntmm_emulated_inject_disk(w->emu, device, &errors), NTMM_STATUS_SUCCESS);
    memset(w->ram, 0x5A, 4096);
    for (uint32_t i = 0; i < 8; i++) {
        struct request r;
        prepare(w, &r, device, NTMM_IO_WRITE, 0);
        add_spans(&r, 0, 4096);
        submit(&r);
        assert_int_equal(ntmm_emulated_cut_power(w->emu, device, NTMM_EMULATED_CUT_TEARS),
                         NTMM_STATUS_SUCCESS);
        pump(w, 10);
        assert_int_equal(r.io.status, NTMM_STATUS_VOLUME_DISMOUNTED);
        assert_int_equal(ntmm_emulated_restore_power(w->emu, device), NTMM_STATUS_SUCCESS);
        assert_int_equal(ntmm_emulated_read_disk(w->emu, device, 0, bytes, 4096),
                         NTMM_STATUS_SUCCESS);
        assert_memory_equal(bytes, none, 4096);
    }
}

/* --- what is lent --- */

static uint64_t read_nothing(void *context, uint64_t offset, uint32_t size)
{
    (void)context;
    return offset + size;
}

static void write_nothing(void *context, uint64_t offset, uint32_t size, uint64_t value)
{
    (void)context;
    (void)offset;
    (void)size;
    (void)value;
}

static void devices_read_and_write(void **state)
{
    struct world *w = *state;
    struct ntmm_emulated_device device = {.size = sizeof device};
    uint64_t frame = 0;
    device.write = write_nothing;
    assert_int_equal(ntmm_emulated_map_io(w->emu, &device, 4096, &frame),
                     NTMM_STATUS_INVALID_PARAMETER_2);
    device.read = read_nothing;
    device.write = NULL;
    assert_int_equal(ntmm_emulated_map_io(w->emu, &device, 4096, &frame),
                     NTMM_STATUS_INVALID_PARAMETER_2);
    device.write = write_nothing;
    ntmm_cpu_enter(ntmm_emulated_cpu(w->emu, 0)); /* it may hold a translation of what was */
    assert_int_equal(ntmm_emulated_map_io(w->emu, &device, 4096, &frame), NTMM_STATUS_CANT_WAIT);
    assert_int_equal(frame, 0);
    ntmm_cpu_leave(ntmm_emulated_cpu(w->emu, 0));
    assert_int_equal(ntmm_emulated_map_io(w->emu, &device, 4096, &frame), NTMM_STATUS_SUCCESS);
    assert_int_not_equal(frame, 0);
    ntmm_cpu_enter(ntmm_emulated_cpu(w->emu, 0));
    assert_int_equal(ntmm_emulated_take_back(w->emu, frame), NTMM_STATUS_CANT_WAIT);
    ntmm_cpu_leave(ntmm_emulated_cpu(w->emu, 0));
    assert_int_equal(ntmm_emulated_take_back(w->emu, frame), NTMM_STATUS_SUCCESS);
}

/* --- contents --- */

static void copies_and_comparisons_need_both_sides(void **state)
{
    struct world *w = *state;
    const uint64_t inside[] = {1, 2}, outside[] = {3, WORLD_PAGES + 5};
    uint64_t equal = 7;
    memset(w->ram + 4096, 1, 2 * 4096);
    assert_int_not_equal(w->platform->copy(w->emu, inside, outside, 2), NTMM_STATUS_SUCCESS);
    assert_int_not_equal(w->platform->copy(w->emu, outside, inside, 2), NTMM_STATUS_SUCCESS);
    assert_int_not_equal(w->platform->compare(w->emu, inside, outside, 2, &equal),
                         NTMM_STATUS_SUCCESS);
    assert_int_not_equal(w->platform->compare(w->emu, outside, inside, 2, &equal),
                         NTMM_STATUS_SUCCESS);
    assert_int_equal(w->ram[3 * 4096], 0);
    assert_int_equal(w->ram[4096], 1);
}

/* --- systems --- */

/* What was refused leaves no system; a later one is made where it would have been. */
static void a_system_has_its_own_seed_and_width(void **state)
{
    struct world *w = *state;
    struct ntmm_config config = {.size = 4};
    struct ntmm_system *system = NULL;
    assert_int_equal(ntmm_emulated_attach_system(w->emu, &system), NTMM_STATUS_FILE_INVALID);
    assert_int_equal(ntmm_emulated_create_system(w->emu, &config, &system),
                     NTMM_STATUS_INFO_LENGTH_MISMATCH);
    assert_null(system);
    assert_int_equal(ntmm_emulated_attach(w->emu, 0, 4), NTMM_STATUS_INVALID_PARAMETER_1);
    config = (struct ntmm_config){.size = sizeof config,
                                  .version = NTMM_CONFIG_VERSION,
                                  .physical_address_bits = 40,
                                  .seed = 5};
    assert_int_equal(ntmm_emulated_create_system(w->emu, &config, &system), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_create_system(w->emu, &config, &system),
                     NTMM_STATUS_OBJECT_NAME_COLLISION);
    ntmm_handle process;
    assert_int_equal(ntmm_create_process(system, NULL, &process), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_attach(w->emu, 1, process), NTMM_STATUS_INVALID_PARAMETER_2);
    assert_int_equal(ntmm_emulated_attach(w->emu, 0, process + 4), NTMM_STATUS_INVALID_HANDLE);
    assert_int_equal(ntmm_emulated_attach(w->emu, 0, process), NTMM_STATUS_SUCCESS);
    assert_null(ntmm_emulated_cpu(w->emu, 1));
}

/* --- coroutines --- */

struct sleeper {
    struct world *w;
    struct ntmm_wait wait;
    uint64_t deadline;
    uint32_t order;
};

static uint32_t ended;

static void sleep_once(void *context)
{
    struct sleeper *s = context;
    assert_int_equal(s->w->platform->wait(s->w->emu, &s->wait, s->deadline), NTMM_STATUS_TIMEOUT);
    s->order = ++ended;
}

/* Waits that nobody ends are ended one by one, the earliest first; the oldest of equals. */
static void waits_end_in_the_order_of_their_deadlines(void **state)
{
    struct world *w = *state;
    struct sleeper sleepers[] = {
        {.w = w, .deadline = 500000}, {.w = w, .deadline = 900000}, {.w = w, .deadline = 500000}};
    ended = 0;
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(ntmm_emulated_spawn(w->emu, 0, sleep_once, &sleepers[i], 0),
                         NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_run(w->emu), NTMM_STATUS_TIMEOUT);
    assert_int_equal(sleepers[1].order, 3);
    assert_true(w->platform->now(w->emu) >= 900000);
}

static void pump_once(void *context)
{
    struct request *r = context;
    submit(r);
    for (uint32_t i = 0; i < 40 && r->completions == 0; i++)
        r->w->platform->pump(r->w->emu);
    assert_int_equal(r->completions, 1);
}

/* A coroutine's pump lets others run too. */
static void a_coroutine_pumps(void **state)
{
    struct world *w = *state;
    uint64_t device = add_file(w, (struct ntmm_emulated_file_config){.size_bytes = 512});
    struct request r;
    prepare(w, &r, device, NTMM_IO_FLUSH, 0);
    assert_int_equal(ntmm_emulated_spawn(w->emu, 0, pump_once, &r, 0), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_run(w->emu), NTMM_STATUS_SUCCESS);
    assert_int_equal(r.io.status, NTMM_STATUS_SUCCESS);
}

/* A level inside a level: only the last one to be lowered lets others in. */
static void levels_nest(void **state)
{
    const struct ntmm_emulated_config config = {.size = sizeof config,
                                                .version = NTMM_EMULATED_CONFIG_VERSION,
                                                .ram_bytes = 16 * 4096,
                                                .flags = NTMM_EMULATED_CHECK_LEVEL};
    struct ntmm_wait wait = {.is_woken = 1};
    struct ntmm_emulated_statistics s;
    struct ntmm_emulated *emu;
    (void)state;
    assert_int_equal(ntmm_emulated_create(&config, &emu), NTMM_STATUS_SUCCESS);
    const struct ntmm_platform *p = ntmm_emulated_platform(emu);
    uint32_t outer = p->raise_level(emu), inner = p->raise_level(emu);
    assert_int_equal(outer, 0);
    assert_int_equal(inner, 1);
    p->lower_level(emu, inner);
    assert_int_equal(p->wait(emu, &wait, UINT64_MAX), NTMM_STATUS_SUCCESS); /* still raised */
    p->lower_level(emu, outer);
    assert_int_equal(p->wait(emu, &wait, UINT64_MAX), NTMM_STATUS_SUCCESS);
    ntmm_emulated_query(emu, &s);
    assert_int_equal(s.violations, 1);
    ntmm_emulated_destroy(emu, NULL);
}

static void a_processor_that_cannot_be_is_not_bound(void **state)
{
    const struct ntmm_emulated_config config = {.size = sizeof config,
                                                .version = NTMM_EMULATED_CONFIG_VERSION,
                                                .ram_bytes = 16 * 4096,
                                                .flags = NTMM_EMULATED_THREADS};
    struct ntmm_emulated *emu;
    (void)state;
    assert_int_equal(ntmm_emulated_create(&config, &emu), NTMM_STATUS_SUCCESS);
    const struct ntmm_platform *p = ntmm_emulated_platform(emu);
    ntmm_emulated_bind_thread(emu, 7);
    ntmm_emulated_bind_thread(emu, UINT32_MAX);
    assert_int_equal(p->processor(emu), 7);
    assert_int_equal(ntmm_emulated_spawn(emu, 4096, sleep_once, NULL, 0),
                     NTMM_STATUS_INVALID_PARAMETER_2);
    ntmm_emulated_destroy(emu, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(impossible_disks_are_refused),
        TEST(a_latency_is_kept),
        TEST(bytes_past_a_device_are_not_shown),
        TEST(empty_pieces_move_nothing),
        TEST(an_empty_transfer_meets_no_errors),
        TEST(transfers_that_nobody_hears_of_are_refused),
        TEST(a_failed_write_is_not_torn),
        TEST(devices_read_and_write),
        TEST(copies_and_comparisons_need_both_sides),
        TEST(a_system_has_its_own_seed_and_width),
        TEST(waits_end_in_the_order_of_their_deadlines),
        TEST(a_coroutine_pumps),
        cmocka_unit_test(levels_nest),
        cmocka_unit_test(a_processor_that_cannot_be_is_not_bound),
    };
    return cmocka_run_group_tests_name("emulated_arguments", tests, NULL, NULL);
}
