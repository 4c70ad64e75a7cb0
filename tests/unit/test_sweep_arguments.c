/*
 * Every bad argument of creating a system, attaching to one, and creating a process: its status,
 * nothing written, nothing leaked.
 */
#include "unit/machine.h"

static struct ntmm_emulated *open_emulator(void)
{
    struct ntmm_emulated_config hardware = {
        .size = sizeof hardware, .version = NTMM_EMULATED_CONFIG_VERSION, .ram_bytes = MIB};
    struct ntmm_emulated *emu = NULL;
    assert_int_equal(ntmm_emulated_create(&hardware, &emu), NTMM_STATUS_SUCCESS);
    return emu;
}

struct attempt {
    struct ntmm_emulated *emu;
    struct ntmm_platform platform; /* a copy to change */
    struct ntmm_frame_range ranges[17];
    struct ntmm_config config;
    size_t size;
    void *storage;
};

static struct attempt attempt_open(void)
{
    struct attempt a = {.emu = open_emulator(), .size = ntmm_system_size()};
    a.platform = *ntmm_emulated_platform(a.emu);
    a.ranges[0] = a.platform.ranges[0];
    a.config.size = sizeof a.config;
    a.config.version = NTMM_CONFIG_VERSION;
    a.storage = calloc(1, a.size);
    assert_non_null(a.storage);
    return a;
}

static void attempt_close(struct attempt *a)
{
    free(a->storage);
    ntmm_emulated_destroy(a->emu, NULL);
}

/* Create with what `a` holds, ranges included. */
static void expect_create(const struct attempt *a, ntmm_status expected)
{
    struct ntmm_system *none = (struct ntmm_system *)a->storage + 1;
    struct ntmm_system *system = none;
    struct ntmm_platform platform = a->platform;
    if (platform.ranges)
        platform.ranges = a->ranges;
    assert_int_equal(ntmm_create_system(a->storage, a->size, &a->config, &platform, &system),
                     expected);
    if (expected != NTMM_STATUS_SUCCESS) {
        assert_ptr_equal(system, none);
        return;
    }
    struct ntmm_teardown left;
    ntmm_destroy_system(system, &left);
    assert_int_equal(left.lost_pages | left.outstanding_commit | left.live_objects, 0);
}

/* One wrong word at a time in the configuration. */
#define EXPECT_CONFIG(field, value, expected)                                                      \
    do {                                                                                           \
        struct attempt changed = a;                                                                \
        changed.config.field = (value);                                                            \
        expect_create(&changed, (expected));                                                       \
    } while (0)

static void bad_configurations_are_refused(void **state)
{
    (void)state;
    struct attempt a = attempt_open();
    expect_create(&a, NTMM_STATUS_SUCCESS);
    EXPECT_CONFIG(size, (uint32_t)sizeof a.config - 1, NTMM_STATUS_INFO_LENGTH_MISMATCH);
    EXPECT_CONFIG(version, NTMM_CONFIG_VERSION + 1, NTMM_STATUS_INFO_LENGTH_MISMATCH);
    EXPECT_CONFIG(physical_address_bits, 31, NTMM_STATUS_INVALID_PARAMETER_3);
    EXPECT_CONFIG(physical_address_bits, 32, NTMM_STATUS_SUCCESS);
    EXPECT_CONFIG(physical_address_bits, 52, NTMM_STATUS_SUCCESS);
    EXPECT_CONFIG(physical_address_bits, 53, NTMM_STATUS_INVALID_PARAMETER_3);
    EXPECT_CONFIG(core_base, 1, NTMM_STATUS_INVALID_PARAMETER_3);
    EXPECT_CONFIG(core_base, PAGE / 2, NTMM_STATUS_INVALID_PARAMETER_3);
    EXPECT_CONFIG(invalid_pte_mask, 1ull << 31, NTMM_STATUS_INVALID_PARAMETER_3);
    EXPECT_CONFIG(invalid_pte_mask, 1ull << 32, NTMM_STATUS_SUCCESS);
    EXPECT_CONFIG(invalid_pte_mask, 1ull << 51, NTMM_STATUS_SUCCESS);
    EXPECT_CONFIG(invalid_pte_mask, 1ull << 52, NTMM_STATUS_INVALID_PARAMETER_3);
    EXPECT_CONFIG(invalid_pte_mask, 3ull << 40, NTMM_STATUS_INVALID_PARAMETER_3);
    EXPECT_CONFIG(self_map_slot, 255, NTMM_STATUS_INVALID_PARAMETER_3);
    EXPECT_CONFIG(self_map_slot, 256, NTMM_STATUS_SUCCESS);
    EXPECT_CONFIG(self_map_slot, 511, NTMM_STATUS_SUCCESS);
    EXPECT_CONFIG(self_map_slot, 512, NTMM_STATUS_INVALID_PARAMETER_3);
    EXPECT_CONFIG(paging_flags, NTMM_PAGING_ZEROS_NEED_NO_SLOT, NTMM_STATUS_SUCCESS);
    EXPECT_CONFIG(paging_flags, 1u << 31, NTMM_STATUS_INVALID_PARAMETER_3);
    EXPECT_CONFIG(read_cluster_pages, 16, NTMM_STATUS_SUCCESS);
    EXPECT_CONFIG(read_cluster_pages, 17, NTMM_STATUS_INVALID_PARAMETER_3);
    EXPECT_CONFIG(write_cluster_pages, 256, NTMM_STATUS_SUCCESS);
    EXPECT_CONFIG(write_cluster_pages, 257, NTMM_STATUS_INVALID_PARAMETER_3);
    EXPECT_CONFIG(commit_reserve_pages, 8, NTMM_STATUS_SUCCESS);
    EXPECT_CONFIG(high_memory_pages, 1, NTMM_STATUS_SUCCESS);
    a.config.low_memory_pages = 2;
    EXPECT_CONFIG(high_memory_pages, 1, NTMM_STATUS_INVALID_PARAMETER_3);
    EXPECT_CONFIG(high_memory_pages, 2, NTMM_STATUS_SUCCESS);
    a.size -= 1;
    expect_create(&a, NTMM_STATUS_BUFFER_TOO_SMALL);
    attempt_close(&a);
}

#define EXPECT_PLATFORM(field, value, expected)                                                    \
    do {                                                                                           \
        struct attempt changed = a;                                                                \
        changed.platform.field = (value);                                                          \
        expect_create(&changed, (expected));                                                       \
    } while (0)

static void bad_platforms_are_refused(void **state)
{
    (void)state;
    struct attempt a = attempt_open();
    EXPECT_PLATFORM(size, 0, NTMM_STATUS_INFO_LENGTH_MISMATCH);
    EXPECT_PLATFORM(version, 2, NTMM_STATUS_INFO_LENGTH_MISMATCH);
    EXPECT_PLATFORM(zero, NULL, NTMM_STATUS_INVALID_PARAMETER_4);
    EXPECT_PLATFORM(copy, NULL, NTMM_STATUS_INVALID_PARAMETER_4);
    EXPECT_PLATFORM(compare, NULL, NTMM_STATUS_INVALID_PARAMETER_4);
    EXPECT_PLATFORM(read, NULL, NTMM_STATUS_INVALID_PARAMETER_4);
    EXPECT_PLATFORM(write, NULL, NTMM_STATUS_INVALID_PARAMETER_4);
    EXPECT_PLATFORM(ranges, NULL, NTMM_STATUS_INVALID_PARAMETER_4);
    EXPECT_PLATFORM(range_count, 0, NTMM_STATUS_INVALID_PARAMETER_4);
    EXPECT_PLATFORM(range_count, 17, NTMM_STATUS_INVALID_PARAMETER_4);
    EXPECT_PLATFORM(invalidate, NULL, NTMM_STATUS_SUCCESS);
    EXPECT_PLATFORM(wait, NULL, NTMM_STATUS_SUCCESS);
    attempt_close(&a);
}

static void expect_ranges(struct attempt a, struct ntmm_frame_range first,
                          struct ntmm_frame_range second, ntmm_status expected)
{
    a.ranges[0] = first;
    a.ranges[1] = second;
    a.platform.range_count = 2;
    expect_create(&a, expected);
}

static void bad_ranges_are_refused(void **state)
{
    (void)state;
    struct attempt a = attempt_open();
    const struct ntmm_frame_range low = {.base_frame = 0, .frame_count = 64};
    const struct ntmm_frame_range high = {.base_frame = 128, .frame_count = 64};
    const struct ntmm_frame_range touching = {.base_frame = 64, .frame_count = 64};
    const struct ntmm_frame_range empty = {.base_frame = 128, .frame_count = 0};
    const struct ntmm_frame_range beyond = {.base_frame = (1ull << 34) - 1, .frame_count = 2};
    const struct ntmm_frame_range wrapping = {.base_frame = 128, .frame_count = UINT64_MAX};
    const struct ntmm_frame_range tiny = {.base_frame = 0, .frame_count = 1};
    /* the number of the last frame of 52 bits means "none" in a list */
    const struct ntmm_frame_range last = {.base_frame = (1ull << 40) - 1, .frame_count = 1};
    expect_ranges(a, low, high, NTMM_STATUS_SUCCESS);
    expect_ranges(a, high, low, NTMM_STATUS_INVALID_PARAMETER_4);
    expect_ranges(a, low, low, NTMM_STATUS_INVALID_PARAMETER_4);
    expect_ranges(a, low, touching, NTMM_STATUS_INVALID_PARAMETER_4);
    expect_ranges(a, low, empty, NTMM_STATUS_INVALID_PARAMETER_4);
    expect_ranges(a, low, beyond, NTMM_STATUS_INVALID_PARAMETER_4);
    expect_ranges(a, low, wrapping, NTMM_STATUS_INVALID_PARAMETER_4);
    expect_ranges(a, tiny, high, NTMM_STATUS_INSUFFICIENT_RESOURCES);
    a.config.physical_address_bits = 52;
    expect_ranges(a, low, last, NTMM_STATUS_INVALID_PARAMETER_4);
    attempt_close(&a);
}

static ntmm_status attach(const struct attempt *a, const struct ntmm_platform *platform)
{
    struct ntmm_system *none = (struct ntmm_system *)a->storage + 1;
    struct ntmm_system *system = none;
    ntmm_status status = ntmm_attach_system(a->storage, a->size, platform, &system);
    assert_true((status == NTMM_STATUS_SUCCESS) == (system != none));
    return status;
}

static void bad_attachments_are_refused(void **state)
{
    (void)state;
    struct attempt a = attempt_open();
    struct ntmm_system *system;
    struct ntmm_platform wrong = a.platform;
    assert_int_equal(attach(&a, &a.platform), NTMM_STATUS_FILE_INVALID);
    assert_int_equal(ntmm_create_system(a.storage, a.size, &a.config, &a.platform, &system),
                     NTMM_STATUS_SUCCESS);
    uint64_t hash = ntmm_emulated_hash(a.emu);

    wrong.version = 2;
    assert_int_equal(attach(&a, &wrong), NTMM_STATUS_INFO_LENGTH_MISMATCH);
    wrong = a.platform;
    wrong.read = NULL;
    assert_int_equal(attach(&a, &wrong), NTMM_STATUS_INVALID_PARAMETER_3);
    wrong = a.platform;
    a.ranges[0].frame_count--;
    wrong.ranges = a.ranges;
    assert_int_equal(attach(&a, &wrong), NTMM_STATUS_INVALID_PARAMETER_3);
    wrong.range_count = 0;
    assert_int_equal(attach(&a, &wrong), NTMM_STATUS_INVALID_PARAMETER_3);
    wrong.range_count = 2;
    assert_int_equal(attach(&a, &wrong), NTMM_STATUS_INVALID_PARAMETER_3);
    a.size--;
    assert_int_equal(attach(&a, &a.platform), NTMM_STATUS_BUFFER_TOO_SMALL);
    a.size++;
    assert_int_equal(attach(&a, &a.platform), NTMM_STATUS_SUCCESS);
    assert_int_equal(ntmm_emulated_hash(a.emu), hash);

    ntmm_destroy_system(a.storage, NULL);
    assert_int_equal(attach(&a, &a.platform), NTMM_STATUS_FILE_INVALID);
    attempt_close(&a);
}

/* A direct map of 32-bit pointers holds no frame 4 GiB above another. */
static void ranges_out_of_reach_are_refused(void **state)
{
    const struct ntmm_frame_range low = {.base_frame = 0, .frame_count = 64};
    const struct ntmm_frame_range high = {.base_frame = 128, .frame_count = 64};
    const struct ntmm_frame_range far = {.base_frame = 0xFFFC0, .frame_count = 64};
    (void)state;
    if (sizeof(void *) > sizeof(uint32_t))
        skip();
    struct attempt a = attempt_open();
    struct ntmm_platform wide = a.platform;
    struct ntmm_system *system;
    expect_ranges(a, low, far, NTMM_STATUS_INVALID_PARAMETER_4);
    a.ranges[0] = low;
    a.ranges[1] = high;
    wide.ranges = a.ranges;
    wide.range_count = 2;
    assert_int_equal(ntmm_create_system(a.storage, a.size, &a.config, &wide, &system),
                     NTMM_STATUS_SUCCESS);
    struct call c = call_begin(system);
    set64(&anchor_of(&c)->ranges[1].base_frame, far.base_frame);
    a.ranges[1] = far;
    assert_int_equal(attach(&a, &wide), NTMM_STATUS_INVALID_PARAMETER_3);
    attempt_close(&a);
}

static void expect_process(struct machine *m, struct ntmm_process_config config,
                           ntmm_status expected)
{
    ntmm_handle process = 77;
    uint64_t commit = machine_memory(m).commit_pages;
    assert_int_equal(ntmm_create_process(m->system, &config, &process), expected);
    if (expected == NTMM_STATUS_SUCCESS) {
        assert_int_equal(ntmm_end_process(m->system, process), NTMM_STATUS_SUCCESS);
    } else {
        assert_int_equal(process, 77);
    }
    assert_int_equal(machine_memory(m).commit_pages, commit);
    machine_assert_sound(m);
}

static void bad_processes_are_refused(void **state)
{
    (void)state;
    struct machine *m = machine_open(NULL);
    const struct ntmm_process_config good = {.size = sizeof good,
                                             .version = NTMM_PROCESS_CONFIG_VERSION};
    struct ntmm_process_config c = good;
    expect_process(m, c, NTMM_STATUS_SUCCESS);
    c.size = 0;
    expect_process(m, c, NTMM_STATUS_INFO_LENGTH_MISMATCH);
    c = good;
    c.version = 0;
    expect_process(m, c, NTMM_STATUS_INFO_LENGTH_MISMATCH);
    c = good;
    c.highest_address = NTMM_HIGHEST_VAD_ADDRESS + PAGE;
    expect_process(m, c, NTMM_STATUS_INVALID_PARAMETER_2);
    c.highest_address = NTMM_HIGHEST_VAD_ADDRESS - 1;
    expect_process(m, c, NTMM_STATUS_INVALID_PARAMETER_2);
    c.highest_address = NTMM_LOWEST_USER_ADDRESS - 1;
    expect_process(m, c, NTMM_STATUS_INVALID_PARAMETER_2);
    c.highest_address = 2 * GIB - 1;
    expect_process(m, c, NTMM_STATUS_SUCCESS);
    c = good;
    c.bottom_up_start = PAGE;
    expect_process(m, c, NTMM_STATUS_INVALID_PARAMETER_2);
    c.bottom_up_start = NTMM_LOWEST_USER_ADDRESS + PAGE;
    expect_process(m, c, NTMM_STATUS_INVALID_PARAMETER_2);
    c.bottom_up_start = NTMM_USER_PROBE_ADDRESS;
    expect_process(m, c, NTMM_STATUS_INVALID_PARAMETER_2);
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_configurations_are_refused),
        cmocka_unit_test(bad_platforms_are_refused),
        cmocka_unit_test(bad_ranges_are_refused),
        cmocka_unit_test(bad_attachments_are_refused),
        cmocka_unit_test(ranges_out_of_reach_are_refused),
        cmocka_unit_test(bad_processes_are_refused),
    };
    return cmocka_run_group_tests_name("sweep_arguments", tests, NULL, NULL);
}
