/*
 * The scenario on machines of one, two, three ... frames: it gets ever further, the step that fails
 * has NT's status and changed nothing, and every machine is torn down to nothing.
 */
#include "unit/scenario.h"

#define MOST_FRAMES 256u

struct attempt {
    ntmm_status created; /* of the system */
    uint32_t steps;      /* done before one failed */
    ntmm_status failed;  /* with */
};

static struct attempt run_steps(struct machine *m)
{
    struct attempt attempt = {.created = NTMM_STATUS_SUCCESS};
    for (; attempt.steps < scenario_steps; attempt.steps++) {
        const struct step *step = &scenario[attempt.steps];
        struct view before = scenario_view(m);
        attempt.failed = step->run(m);
        machine_assert_sound(m);
        if (attempt.failed != step->expected) {
            /* The fillers before the one that failed stay. */
            struct view after = scenario_view(m);
            if (step->frames != 0 || step->commit != 0)
                scenario_assert_same(step, &before, &after);
            return attempt;
        }
    }
    return attempt;
}

static struct attempt run_on(uint64_t frames, uint64_t extra_commit)
{
    struct ntmm_emulated_config hardware = {.size = sizeof hardware,
                                            .version = NTMM_EMULATED_CONFIG_VERSION,
                                            .ram_bytes = frames * PAGE};
    struct ntmm_config core = {
        .size = sizeof core, .version = NTMM_CONFIG_VERSION, .extra_commit_pages = extra_commit};
    struct machine_setup setup = {.hardware = hardware, .core = core};
    struct ntmm_emulated *emu;
    struct ntmm_system *system = NULL;

    assert_int_equal(ntmm_emulated_create(&hardware, &emu), NTMM_STATUS_SUCCESS);
    ntmm_status status = ntmm_emulated_create_system(emu, &core, &system);
    ntmm_emulated_destroy(emu, NULL);
    if (status != NTMM_STATUS_SUCCESS) {
        assert_null(system);
        return (struct attempt){.created = status};
    }
    struct machine *m = machine_open_bare(&setup);
    struct attempt attempt = run_steps(m);
    machine_close(m);
    return attempt;
}

/*
 * Returns the least number of frames with which the scenario passes. With fewer than `ample` frames
 * it is these that run out, from there on it is commit.
 */
static uint64_t sweep(uint64_t extra_commit, uint64_t ample)
{
    uint32_t steps = 0;
    for (uint64_t frames = 1; frames < MOST_FRAMES; frames++) {
        struct attempt attempt = run_on(frames, extra_commit);
        if (attempt.created != NTMM_STATUS_SUCCESS) {
            assert_int_equal(attempt.created, NTMM_STATUS_INSUFFICIENT_RESOURCES);
            assert_int_equal(frames, 1); /* two hold the anchor and the rows of both */
            continue;
        }
        assert_true(attempt.steps >= steps);
        steps = attempt.steps;
        if (steps == scenario_steps)
            return frames;
        assert_int_equal(attempt.failed,
                         frames < ample ? NTMM_STATUS_NO_MEMORY : NTMM_STATUS_COMMITMENT_LIMIT);
    }
    return 0;
}

static void frames_run_out(void **state)
{
    (void)state;
    /* Two of metadata; three for the process, three slabs of VADs, two of nodes; tables: 5, 1, 3,
     * 4, 3, 3; pages: 1, 2, 1. The second process's root has gone before the later slabs come. */
    assert_int_equal(sweep(100000, MOST_FRAMES), 2 + 3 + 5 + 19 + 4);
}

static void commit_runs_out(void **state)
{
    (void)state;
    /* Seven frames are enough to get to the commit of 514 pages and 5 tables. The charge is
     * highest, 623, at the last reservation: 3 + 2 + 519 + 16 + 1 + 16 + 3 + 32 + 4 + 1 + 3 + 16 +
     * 3, a slab, less the 7 pages released, a slab of nodes, 8 pages and a slab. It is promised out
     * of 500 and the frames that are not metadata, of which 126 have 3. */
    assert_int_equal(sweep(500, 7), 619 + 1 - 7 + 1 + 9 - 500 + 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_run_out),
        cmocka_unit_test(commit_runs_out),
    };
    return cmocka_run_group_tests_name("sweep_ram", tests, NULL, NULL);
}
