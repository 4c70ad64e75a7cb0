/*
 * Where address spaces end and where searches begin: nt_semantics 1.1 (limits of 32-bit processes
 * and of images without the large-address-aware mark), 5.6 and 5.7 (entropy), 23 (searching).
 */
#include "emulated_world.h"

#define GRANULE UINT64_C(0x10000)

static ntmm_handle make_with(struct world *w, uint32_t flags)
{
    const struct ntmm_process_config config = {
        .size = sizeof config, .version = NTMM_PROCESS_CONFIG_VERSION, .flags = flags};
    ntmm_handle process;
    assert_int_equal(ntmm_create_process(w->system, &config, &process), NTMM_STATUS_SUCCESS);
    return process;
}

static ntmm_status reserve_at(struct world *w, ntmm_handle process, uint64_t *base, uint32_t type)
{
    uint64_t size = GRANULE;
    return ntmm_allocate_virtual_memory(w->system, process, base, 0, &size, NTMM_MEM_RESERVE | type,
                                        NTMM_PAGE_READWRITE);
}

static uint64_t place_of(struct world *w, ntmm_handle process, uint32_t type)
{
    uint64_t base = 0;
    assert_int_equal(reserve_at(w, process, &base, type), NTMM_STATUS_SUCCESS);
    return base;
}

static void the_end_follows_the_image(void **state)
{
    static const struct {
        uint32_t flags;
        uint64_t last; /* of the highest reservation */
    } rows[] = {
        {0, 0x7FFFFFFDFFFF},
        {NTMM_PROCESS_WOW64, 0x7FFDFFFF},
        {NTMM_PROCESS_WOW64 | NTMM_PROCESS_LARGE_ADDRESS_AWARE, 0xFFFDFFFF},
        {NTMM_PROCESS_NOT_LARGE_ADDRESS_AWARE, 0x7FFDFFFF},
    };
    struct world w;
    (void)state;
    make_world(&w, (struct ntmm_emulated_config){.ram_bytes = 16 * MIB}, 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ntmm_handle process = make_with(&w, rows[i].flags);
        uint64_t base = rows[i].last + 1 - GRANULE;
        uint64_t above = rows[i].last + 1;
        assert_int_equal(place_of(&w, process, NTMM_MEM_TOP_DOWN), base);
        assert_int_equal(reserve_at(&w, process, &above, 0), NTMM_STATUS_INVALID_PARAMETER_2);
    }
    end_world(&w);
}

/* Draws of many processes: all inside the bounds, and every bit of the entropy takes both values.
 * */
static void check_draws(uint32_t flags, uint32_t type, uint64_t from, unsigned bits)
{
    struct world w;
    uint64_t ones = 0, zeros = 0;
    make_world(&w, (struct ntmm_emulated_config){.ram_bytes = 64 * MIB, .seed = 5}, 0);
    for (unsigned i = 0; i < 100; i++) {
        ntmm_handle process = make_with(&w, flags);
        uint64_t base = place_of(&w, process, type);
        uint64_t distance = type & NTMM_MEM_TOP_DOWN ? from - base : base - from;
        assert_int_equal(distance % GRANULE, 0);
        /* 8 bits and 24 bits are added, which may carry into one more */
        assert_in_range(distance / GRANULE, 0,
                        bits > 8 && !type ? (1ull << bits) + 255 : (1ull << bits) - 1);
        ones |= distance / GRANULE;
        zeros |= ~(distance / GRANULE);
        assert_int_equal(ntmm_end_process(w.system, process), NTMM_STATUS_SUCCESS);
    }
    assert_int_equal(ones & ((1ull << bits) - 1), (1ull << bits) - 1);
    assert_int_equal(zeros & ((1ull << bits) - 1), (1ull << bits) - 1);
    end_world(&w);
}

static void entropy_is_that_of_nt(void **state)
{
    const uint32_t random = NTMM_PROCESS_RANDOM_LAYOUT;
    const uint64_t top = 0x7FFFFFFD0000;
    (void)state;
    check_draws(random, 0, 0x10000, 8);
    check_draws(random | NTMM_PROCESS_HIGH_ENTROPY, 0, 0x10000, 24);
    check_draws(random, NTMM_MEM_TOP_DOWN, top, 17);
    check_draws(random | NTMM_PROCESS_WOW64, NTMM_MEM_TOP_DOWN, 0x7FFD0000, 8);
    /* there is no room for high entropy below 4 GiB */
    check_draws(random | NTMM_PROCESS_HIGH_ENTROPY | NTMM_PROCESS_WOW64, 0, 0x10000, 8);
}

static void without_the_flag_nothing_is_random(void **state)
{
    struct world w;
    (void)state;
    make_world(&w, (struct ntmm_emulated_config){.ram_bytes = 16 * MIB}, 0);
    ntmm_handle process = make_with(&w, NTMM_PROCESS_HIGH_ENTROPY);
    assert_int_equal(place_of(&w, process, 0), 0x10000);
    assert_int_equal(place_of(&w, process, NTMM_MEM_TOP_DOWN), 0x7FFFFFFD0000);
    end_world(&w);
}

/* What lies below the bottom or above the top is used when nothing else is left. */
static void the_rest_is_used_at_last(void **state)
{
    struct world w;
    (void)state;
    make_world(&w, (struct ntmm_emulated_config){.ram_bytes = 16 * MIB, .seed = 9}, 0);
    ntmm_handle process =
        make_with(&w, NTMM_PROCESS_RANDOM_LAYOUT | NTMM_PROCESS_NOT_LARGE_ADDRESS_AWARE);
    uint64_t bottom = place_of(&w, process, 0);
    uint64_t base = bottom + GRANULE, size = 0x7FFE0000 - base;
    assert_int_not_equal(bottom, 0x10000);
    assert_int_equal(ntmm_allocate_virtual_memory(w.system, process, &base, 0, &size,
                                                  NTMM_MEM_RESERVE, NTMM_PAGE_READWRITE),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(place_of(&w, process, 0), 0x10000);
    assert_int_equal(place_of(&w, process, NTMM_MEM_TOP_DOWN), bottom - GRANULE);
    end_world(&w);
}

static void an_older_configuration_is_taken(void **state)
{
    struct world w;
    ntmm_handle process = 0;
    struct ntmm_process_config config = {.size = sizeof config, .version = 1, .flags = 0xFFFF};
    (void)state;
    make_world(&w, (struct ntmm_emulated_config){.ram_bytes = 16 * MIB}, 0);
    assert_int_equal(ntmm_create_process(w.system, &config, &process),
                     NTMM_STATUS_INFO_LENGTH_MISMATCH);
    config.size = offsetof(struct ntmm_process_config, flags);
    assert_int_equal(ntmm_create_process(w.system, &config, &process), NTMM_STATUS_SUCCESS);
    config.version = NTMM_PROCESS_CONFIG_VERSION;
    assert_int_equal(ntmm_create_process(w.system, &config, &process),
                     NTMM_STATUS_INFO_LENGTH_MISMATCH);
    config.size = sizeof config;
    assert_int_equal(ntmm_create_process(w.system, &config, &process),
                     NTMM_STATUS_INVALID_PARAMETER_2);
    end_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_end_follows_the_image),
        cmocka_unit_test(entropy_is_that_of_nt),
        cmocka_unit_test(without_the_flag_nothing_is_random),
        cmocka_unit_test(the_rest_is_used_at_last),
        cmocka_unit_test(an_older_configuration_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
