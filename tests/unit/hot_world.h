/*
 * A machine whose upper RAM is not there at first.
 *
 *   frames   0 .. 1024    | hole of 512 |  1536 .. 2560
 *            there                         absent: UPPER, 13 frames of rows when it comes
 */
#ifndef NTMM_TEST_HOT_WORLD_H
#define NTMM_TEST_HOT_WORLD_H

#include "unit/machine.h"

#include <ntmm/frames.h>

#define LOWER_FRAMES 1024u
#define UPPER 1536u
#define UPPER_FRAMES 1024u
#define UPPER_ROWS 13u /* (1024 rows of 48 bytes + 2 runs of 32) / 4096, rounded up */

static inline struct machine *hot_open(struct machine_setup setup)
{
    setup.hardware.ram_bytes = (LOWER_FRAMES + UPPER_FRAMES) * PAGE;
    setup.hardware.hole_base_pa = LOWER_FRAMES * PAGE;
    setup.hardware.hole_bytes = (UPPER - LOWER_FRAMES) * PAGE;
    setup.hardware.flags |= NTMM_EMULATED_UPPER_ABSENT;
    setup.core.windows_build = 26100;
    return machine_open(&setup);
}

static inline void must_add_frames(struct machine *m, uint64_t first, uint64_t count)
{
    assert_int_equal(ntmm_add_frames(m->system, first, count, 0), NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
}

static inline void must_remove_frames(struct machine *m, uint64_t first, uint64_t count)
{
    assert_int_equal(ntmm_remove_frames(m->system, first, count), NTMM_STATUS_SUCCESS);
    machine_assert_sound(m);
}

#endif
