/*
 * Each step of the scenario with none, one, two ... of the frames, or pages of commit, that it
 * takes: it fails with NT's status exactly as often as it lacks one, and each time has changed
 * nothing. (A limit below RAM cannot be configured; the sweep of commit sets the partition's word.)
 */
#include "unit/scenario.h"

#define RAM_BYTES (2 * MIB)

/* Frames that the test holds, so that nobody else can. */
struct hoard {
    uint64_t frames[RAM_BYTES / 4096];
    uint32_t count;
};

static void hoard_all(struct machine *m, struct hoard *hoard)
{
    struct call c = machine_call(m);
    while (frame_allocate_zeroed(&c, NTMM_USE_FREE, &hoard->frames[hoard->count]))
        hoard->count++;
}

static void give_one(struct machine *m, struct hoard *hoard)
{
    struct call c = machine_call(m);
    assert_true(hoard->count > 0);
    frame_free(&c, hoard->frames[--hoard->count]);
}

/* Run a step that must fail: nothing may change. */
static void expect_shortage(struct machine *m, const struct step *step, ntmm_status expected)
{
    struct view before = scenario_view(m);
    ntmm_status status = step->run(m);
    struct view after = scenario_view(m);
    if (status != expected)
        fail_msg("%x instead of %x: %s", status, expected, step->what);
    scenario_assert_same(step, &before, &after);
    machine_assert_sound(m);
}

static void expect_done(struct machine *m, const struct step *step)
{
    ntmm_status status = step->run(m);
    if (status != step->expected)
        fail_msg("%x instead of %x: %s", status, step->expected, step->what);
    machine_assert_sound(m);
}

static void frames_run_out_everywhere(void **state)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = RAM_BYTES},
                                        .core = {.extra_commit_pages = 10000}};
    struct hoard hoard = {.count = 0};
    (void)state;
    struct machine *m = machine_open_bare(&setup);
    for (uint32_t i = 0; i < scenario_steps; i++) {
        hoard_all(m, &hoard);
        for (uint32_t given = 0; given < scenario[i].frames; given++) {
            expect_shortage(m, &scenario[i], NTMM_STATUS_NO_MEMORY);
            give_one(m, &hoard);
        }
        expect_done(m, &scenario[i]);
    }
    while (hoard.count > 0)
        give_one(m, &hoard);
    machine_close(m);
}

static void commit_runs_out_everywhere(void **state)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = RAM_BYTES}};
    (void)state;
    struct machine *m = machine_open_bare(&setup);
    set64(&machine_partition(m)->commit_reserve, 0);
    for (uint32_t i = 0; i < scenario_steps; i++) {
        uint64_t charge = get64(&machine_partition(m)->commit);
        for (uint32_t room = 0; room < scenario[i].commit; room++) {
            machine_set_commit_limit(m, charge + room);
            expect_shortage(m, &scenario[i], NTMM_STATUS_COMMITMENT_LIMIT);
        }
        machine_set_commit_limit(m, charge + scenario[i].commit);
        expect_done(m, &scenario[i]);
    }
    machine_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_run_out_everywhere),
        cmocka_unit_test(commit_runs_out_everywhere),
    };
    return cmocka_run_group_tests_name("sweep_steps", tests, NULL, NULL);
}
