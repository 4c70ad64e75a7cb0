/*
 * The page-array model itself: what a sequence of calls leaves in its arrays and charges. The
 * rules of the single services are in tests/conformance, which runs against the model too.
 */
#include "model/model.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct world {
    struct model_system system;
    struct model_process process;
};

static void begin(struct world *world, uint64_t system_limit, uint64_t process_limit)
{
    world->system.commit_pages = 0;
    world->system.commit_limit_pages = system_limit;
    world->system.windows_build = 22631;
    model_process_begin(&world->process, &world->system);
    world->process.commit_limit_pages = process_limit;
}

static void end(struct world *world)
{
    assert_true(model_is_valid(&world->process));
    model_process_end(&world->process);
    assert_int_equal(world->system.commit_pages, 0);
}

static uint32_t allocate(struct world *world, uint64_t base, uint64_t size, uint32_t type,
                         uint32_t protect)
{
    return model_allocate(&world->process, &base, 0, &size, type, protect);
}

static uint32_t release(struct world *world, uint64_t base, uint64_t size)
{
    return model_free(&world->process, &base, &size, MEM_RELEASE);
}

static void a_reservation_holds_no_page(void **state)
{
    struct world world;

    (void)state;
    begin(&world, 0, 0);
    assert_int_equal(allocate(&world, 0x10000, 1ull << 40, MEM_RESERVE, PAGE_READWRITE),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(world.process.region_count, 1);
    assert_int_equal(world.process.regions[0].page_count, 0);
    assert_int_equal(world.process.commit_pages, 0);
    end(&world);
}

static void the_charge_is_the_committed_pages(void **state)
{
    struct world world;
    uint64_t base = 0x11000;
    uint64_t size = 0x2000;

    (void)state;
    begin(&world, 100, 100);
    assert_int_equal(allocate(&world, 0x10000, 0x10000, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(world.system.commit_pages, 16);
    assert_int_equal(model_free(&world.process, &base, &size, MEM_DECOMMIT), NTMM_STATUS_SUCCESS);
    assert_int_equal(world.process.commit_pages, 14);
    assert_int_equal(allocate(&world, 0x10000, 0x4000, MEM_COMMIT, PAGE_READWRITE),
                     NTMM_STATUS_SUCCESS);
    assert_int_equal(world.process.commit_pages, 16);
    assert_int_equal(release(&world, 0x18000, 0x1000), NTMM_STATUS_SUCCESS);
    assert_int_equal(world.system.commit_pages, 15);
    assert_int_equal(world.process.region_count, 2);
    end(&world);
}

static void the_process_limit_comes_before_the_system_limit(void **state)
{
    struct world world;

    (void)state;
    begin(&world, 4, 3);
    assert_int_equal(allocate(&world, 0, 0x5000, MEM_COMMIT, PAGE_READWRITE),
                     NTMM_STATUS_PAGEFILE_QUOTA_EXCEEDED);
    world.process.commit_limit_pages = MODEL_NO_LIMIT;
    assert_int_equal(allocate(&world, 0, 0x5000, MEM_COMMIT, PAGE_READWRITE),
                     NTMM_STATUS_COMMITMENT_LIMIT);
    assert_int_equal(world.process.region_count, 0);
    assert_int_equal(allocate(&world, 0, 0x4000, MEM_COMMIT, PAGE_READWRITE), NTMM_STATUS_SUCCESS);
    assert_int_equal(allocate(&world, 0, 1, MEM_COMMIT, PAGE_READWRITE),
                     NTMM_STATUS_COMMITMENT_LIMIT);
    end(&world);
}

static void a_split_keeps_contents_on_both_sides(void **state)
{
    struct world world;
    struct model_fault fault;
    uint8_t low = 0x11;
    uint8_t high = 0x22;

    (void)state;
    begin(&world, 100, 100);
    assert_int_equal(
        allocate(&world, 0x10000, 0x5000, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE | PAGE_NOCACHE),
        NTMM_STATUS_SUCCESS);
    assert_int_equal(model_access(&world.process, 0x10000, 1, MODEL_WRITE, &low, &fault), 0);
    assert_int_equal(model_access(&world.process, 0x14FFF, 1, MODEL_WRITE, &high, &fault), 0);
    assert_int_equal(release(&world, 0x11000, 0x3000), NTMM_STATUS_SUCCESS);
    assert_int_equal(world.process.regions[1].protect, PAGE_READWRITE | PAGE_NOCACHE);
    assert_int_equal(model_access(&world.process, 0x10000, 1, MODEL_READ, &high, &fault), 0);
    assert_int_equal(high, 0x11);
    assert_int_equal(model_access(&world.process, 0x14FFF, 1, MODEL_READ, &low, &fault), 0);
    assert_int_equal(low, 0x22);
    end(&world);
}

static void a_search_stays_inside_the_process_bounds(void **state)
{
    struct world world;

    (void)state;
    begin(&world, 0, 0);
    world.process.bottom_up_start = 0x100000;
    world.process.highest_address = 0x12FFFF;
    assert_int_equal(allocate(&world, 0, 0x20000, MEM_RESERVE, PAGE_READWRITE), 0);
    assert_int_equal(world.process.regions[0].base, 0x100000);
    assert_int_equal(allocate(&world, 0, 0x100000, MEM_RESERVE, PAGE_READWRITE),
                     NTMM_STATUS_NO_MEMORY);
    assert_int_equal(allocate(&world, 0, 0x10000, MEM_RESERVE | MEM_TOP_DOWN, PAGE_READWRITE), 0);
    assert_int_equal(world.process.regions[1].base, 0x120000);
    assert_int_equal(allocate(&world, 0, 0x10000, MEM_RESERVE, PAGE_READWRITE), 0);
    assert_int_equal(world.process.regions[0].base, 0x10000);
    assert_int_equal(allocate(&world, 0x130000, 1, MEM_RESERVE, PAGE_READWRITE),
                     NTMM_STATUS_INVALID_PARAMETER_2);
    end(&world);
}

static void the_validity_check_sees_a_wrong_charge_and_a_stray_page(void **state)
{
    struct world world;

    (void)state;
    begin(&world, 100, 100);
    assert_int_equal(allocate(&world, 0x10000, 0x2000, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE),
                     0);
    assert_true(model_is_valid(&world.process));
    world.process.commit_pages++;
    assert_false(model_is_valid(&world.process));
    world.process.commit_pages--;
    world.process.regions[0].pages[1].number++;
    assert_false(model_is_valid(&world.process));
    world.process.regions[0].pages[1].number--;
    world.process.regions[0].end += 1;
    assert_false(model_is_valid(&world.process));
    world.process.regions[0].end -= 1;
    end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reservation_holds_no_page),
        cmocka_unit_test(the_charge_is_the_committed_pages),
        cmocka_unit_test(the_process_limit_comes_before_the_system_limit),
        cmocka_unit_test(a_split_keeps_contents_on_both_sides),
        cmocka_unit_test(a_search_stays_inside_the_process_bounds),
        cmocka_unit_test(the_validity_check_sees_a_wrong_charge_and_a_stray_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
