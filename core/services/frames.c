/*
 * The public side of frames that are taken out of use, and of those that come and go.
 */
#include "phys/hot.h"
#include "workingset/remove.h"
#include "workingset/retire.h"

ntmm_status ntmm_mark_frame_bad(struct ntmm_system *system, uint64_t frame, uint32_t flags,
                                uint32_t *outcome)
{
    struct call c = call_begin(system);
    enum ntmm_bad_frame_outcome became;
    if (!frame_is_there(&c, frame))
        return NTMM_STATUS_INVALID_PARAMETER_2;
    if (flags & ~NTMM_BAD_FRAME_READABLE)
        return NTMM_STATUS_INVALID_PARAMETER_3;
    ntmm_status status = retire_frame(&c, frame, flags & NTMM_BAD_FRAME_READABLE, &became);
    if (status == NTMM_STATUS_SUCCESS && outcome)
        *outcome = (uint32_t)became;
    return status;
}

ntmm_status ntmm_mark_frame_good(struct ntmm_system *system, uint64_t frame)
{
    struct call c = call_begin(system);
    if (!pfn_find(&c, frame) || !frame_make_good(&c, frame))
        return NTMM_STATUS_INVALID_PARAMETER_2;
    return NTMM_STATUS_SUCCESS;
}

/* What both calls refuse alike. */
static ntmm_status find_range(const struct call *c, uint64_t first, uint64_t count,
                              struct frame_range **range)
{
    *range = frames_range(c, first, 1);
    if (!*range)
        return NTMM_STATUS_INVALID_PARAMETER_2;
    *range = frames_range(c, first, count);
    return *range && count != 0 ? NTMM_STATUS_SUCCESS : NTMM_STATUS_INVALID_PARAMETER_3;
}

ntmm_status ntmm_add_frames(struct ntmm_system *system, uint64_t first, uint64_t count,
                            uint32_t flags)
{
    struct call c = call_begin(system);
    struct frame_range *range;
    ntmm_status status = find_range(&c, first, count, &range);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (flags & ~NTMM_FRAMES_ZEROED)
        return NTMM_STATUS_INVALID_PARAMETER_4;
    if (!change_begin(&c))
        return NTMM_STATUS_RETRY;
    status = frames_add(&c, range, first, count, (flags & NTMM_FRAMES_ZEROED) != 0);
    change_end(&c);
    return status;
}

ntmm_status ntmm_remove_frames(struct ntmm_system *system, uint64_t first, uint64_t count)
{
    struct call c = call_begin(system);
    struct frame_range *range;
    ntmm_status status = find_range(&c, first, count, &range);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (!change_begin(&c))
        return NTMM_STATUS_RETRY;
    status = load64_acquire(&range->frame_count) == 0 ? NTMM_STATUS_INVALID_PARAMETER_2
                                                      : remove_frames(&c, first, count);
    change_end(&c);
    return status;
}
