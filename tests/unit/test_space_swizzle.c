/*
 * The same scenario whatever the configuration of addresses: a swizzle mask (X2), a core base, RAM
 * that begins elsewhere, RAM with a hole, a self map. Each gives the same view after each step.
 */
#include "unit/scenario.h"

#include "x64/formats.h"

#define MOST_STEPS 64u

struct trace {
    struct view views[MOST_STEPS];
};

/* X2: every stored entry that is not valid carries the mask, or the bit that says it needs none. */
static void assert_swizzled(struct machine *m, uint64_t frame, uint32_t level)
{
    struct call c = machine_call(m);
    const le64 *table = table_at(&c, frame);
    uint64_t mask = m->system->invalid_mask;
    for (uint32_t i = 0; i < (level == 4 ? 256 : 512); i++) {
        uint64_t raw = get64(&table[i]);
        if (raw & FIELD_MASK(HW_VALID)) {
            if (level > 1)
                assert_swizzled(m, field_get(raw, HW_FRAME), level - 1);
        } else if (raw != 0 && mask != 0) {
            assert_true((raw & mask) != 0);
        }
    }
}

static void run_trace(struct machine_setup setup, struct trace *trace)
{
    assert_true(scenario_steps <= MOST_STEPS);
    setup.hardware.ram_bytes = 4 * MIB;
    struct machine *m = machine_open_bare(&setup);
    for (uint32_t i = 0; i < scenario_steps; i++) {
        assert_int_equal(scenario[i].run(m), scenario[i].expected);
        machine_assert_sound(m);
        if (m->process)
            assert_swizzled(m, get64(&machine_object(m)->root_frame), 4);
        trace->views[i] = scenario_view(m);
    }
    machine_close(m);
}

static void expect_same_trace(struct machine_setup setup)
{
    static struct trace plain, other;
    run_trace((struct machine_setup){0}, &plain);
    run_trace(setup, &other);
    for (uint32_t i = 0; i < scenario_steps; i++) {
        /* Two ranges hold as many frames, but pay for two sets of metadata. */
        plain.views[i].free_frames = 0;
        other.views[i].free_frames = 0;
        scenario_assert_same(&scenario[i], &plain.views[i], &other.views[i]);
    }
}

static void a_swizzle_mask_changes_nothing(void **state)
{
    (void)state;
    expect_same_trace((struct machine_setup){.core = {.invalid_pte_mask = 1ull << 45}});
    expect_same_trace((struct machine_setup){.core = {.invalid_pte_mask = 1ull << 51}});
}

static void a_core_base_changes_nothing(void **state)
{
    (void)state;
    expect_same_trace((struct machine_setup){.core = {.core_base = 0xFFFFF58000000000ull}});
}

static void ram_may_begin_elsewhere(void **state)
{
    (void)state;
    expect_same_trace((struct machine_setup){.hardware = {.base_pa = 4 * GIB + 3 * PAGE}});
    expect_same_trace((struct machine_setup){.hardware = {.base_pa = GIB},
                                             .core = {.core_base = 0xFFFFF58000000000ull}});
}

static void ram_may_have_a_hole(void **state)
{
    (void)state;
    expect_same_trace((struct machine_setup){
        .hardware = {.hole_base_pa = MIB + 5 * PAGE, .hole_bytes = 16 * MIB}});
}

/* An entry seen through the self map is the entry that the walk finds. */
static void the_self_map_shows_each_entry(void **state)
{
    const uint32_t slots[] = {0x1ED, 0x100};
    (void)state;
    for (uint32_t s = 0; s < 2; s++) {
        expect_same_trace((struct machine_setup){.core = {.self_map_slot = slots[s]}});
        const struct machine_setup setup = {.core = {.self_map_slot = slots[s]}};
        struct machine *m = machine_open(&setup);
        struct call c = machine_call(m);
        must_allocate(m, BASE, 4 * PAGE, NTMM_PAGE_READWRITE);
        must_write(m, BASE + PAGE, 1);
        for (uint32_t level = 1; level <= 4; level++) {
            uint64_t va = selfmap_entry_address(slots[s], 4, level, BASE + PAGE);
            assert_true(va >= NTMM_SYSTEM_RANGE_START);
            uint64_t frame = field_get(get64(machine_entry(m, va, 1)), HW_FRAME);
            const le64 *seen = (const le64 *)table_at(&c, frame) + (va % PAGE) / 8;
            assert_ptr_equal(seen, machine_entry(m, BASE + PAGE, level));
        }
        uint64_t value;
        uint64_t va = selfmap_entry_address(slots[s], 4, 1, BASE + PAGE);
        assert_int_equal(try_read(m, va, &value), NTMM_STATUS_ACCESS_VIOLATION);
        uint64_t root = get64(&machine_object(m)->root_frame);
        le64 *own = (le64 *)table_at(&c, root) + slots[s];
        uint64_t was = get64(own);
        set64(own, 0);
        machine_assert_broken(m, "V6", root);
        set64(own, was);
        machine_close(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_swizzle_mask_changes_nothing),
        cmocka_unit_test(a_core_base_changes_nothing),
        cmocka_unit_test(ram_may_begin_elsewhere),
        cmocka_unit_test(ram_may_have_a_hole),
        cmocka_unit_test(the_self_map_shows_each_entry),
    };
    return cmocka_run_group_tests_name("space_swizzle", tests, NULL, NULL);
}
