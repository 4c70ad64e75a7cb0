/*
 * Windows and user physical pages. Frames that were got are remembered, whoever has them by now.
 */
#include "calls/world.h"

#include <string.h>

#define FRAMES 12u /* most of one call */

static uint64_t take_frame(struct world *w)
{
    return one_in(w, 12) ? take_any(w) : w->frames[take8(w) % FRAME_COUNT];
}

/* An address of a window, if there is one among the ranges. */
static uint64_t take_page(struct world *w)
{
    uint64_t address = take_address(w);

    return address + (take8(w) % 16u) * 0x1000ull;
}

static void reserve_window(struct world *w)
{
    ntmm_handle process = take_process(w);
    uint64_t base = one_in(w, 4) ? 0 : take_address(w);
    uint64_t size = (take8(w) % 32u + 1) * 0x1000ull;

    if (CALL(w, allocate_virtual_memory, w->system, process, &base, 0, &size,
             NTMM_MEM_RESERVE | NTMM_MEM_PHYSICAL, NTMM_PAGE_READWRITE) == NTMM_STATUS_SUCCESS) {
        add_range(w, base, size);
    }
}

static void get_frames(struct world *w)
{
    ntmm_handle process = one_in(w, 4) ? take_handle(w) : take_process(w);
    uint64_t room = take8(w) % (FRAMES + 1);
    uint64_t count = room;
    uint64_t frames[FRAMES + 1];
    uint8_t null = take8(w);
    ntmm_status status;

    memset(frames, POISON, sizeof(frames));
    status = CALL(w, allocate_user_physical_pages, w->system, process, null == 254 ? NULL : &count,
                  null == 255 ? NULL : frames);
    must(w, is_poison(frames + room, sizeof(frames) - room * 8), "written past the frames");
    must(w, count <= room && (!is_failure(status) || count == room), "a count of frames");
    for (uint64_t i = 0; !is_failure(status) && null < 254 && i < count; i++) {
        w->frames[w->next_frame++ % FRAME_COUNT] = frames[i];
    }
}

static void give_frames_back(struct world *w)
{
    ntmm_handle process = one_in(w, 4) ? take_handle(w) : take_process(w);
    uint64_t asked = take8(w) % (FRAMES + 1);
    uint64_t count = asked;
    uint64_t frames[FRAMES];
    uint8_t null = take8(w);

    for (uint64_t i = 0; i < asked; i++) {
        frames[i] = take_frame(w);
    }
    (void)CALL(w, free_user_physical_pages, w->system, process, null == 254 ? NULL : &count,
               null == 255 ? NULL : frames);
    must(w, count <= asked, "more frames given than there were");
}

static void map_frames(struct world *w)
{
    ntmm_handle process = one_in(w, 4) ? take_handle(w) : take_process(w);
    uint64_t base = take_page(w);
    uint64_t count = take8(w) % (FRAMES + 1);
    uint64_t frames[FRAMES];
    bool is_unmap = one_in(w, 4);

    for (uint64_t i = 0; i < count; i++) {
        frames[i] = take_frame(w);
    }
    if (is_unmap && one_in(w, 4)) {
        count = take_any(w);
    }
    (void)CALL(w, map_user_physical_pages, w->system, process, base, count,
               is_unmap ? NULL : frames);
}

static void scatter_frames(struct world *w)
{
    ntmm_handle process = one_in(w, 4) ? take_handle(w) : take_process(w);
    uint64_t count = take8(w) % (FRAMES + 1);
    uint64_t addresses[FRAMES];
    uint64_t frames[FRAMES];
    uint8_t null = take8(w);

    for (uint64_t i = 0; i < count; i++) {
        addresses[i] = take_page(w);
        frames[i] = take_frame(w);
    }
    (void)CALL(w, map_user_physical_pages_scatter, w->system, process,
               null == 255 ? NULL : addresses, count, null % 4 == 0 ? NULL : frames);
}

const struct verb PHYSICAL_VERBS[] = {
    {"reserve-window", reserve_window}, {"get-frames", get_frames}, {"get-frames", get_frames},
    {"give-frames", give_frames_back},  {"map-frames", map_frames}, {"map-frames", map_frames},
    {"scatter-frames", scatter_frames},
};
const unsigned PHYSICAL_VERB_COUNT = sizeof(PHYSICAL_VERBS) / sizeof(PHYSICAL_VERBS[0]);
