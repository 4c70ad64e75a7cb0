/*
 * Frames of the embedder: buffers that are lent to the machine, devices, the shared data page.
 */
#include "calls/world.h"

#include <stdlib.h>
#include <string.h>

#define LENT_BYTES 0x4000u

static uint64_t read_device(void *context, uint64_t address, uint32_t size)
{
    (void)context;
    return address ^ size;
}

static void write_device(void *context, uint64_t address, uint32_t size, uint64_t value)
{
    (void)context;
    (void)address;
    (void)size;
    (void)value;
}

static void lend(struct world *w)
{
    struct ntmm_emulated_device device = {
        .size = sizeof(device), .read = read_device, .write = write_device};
    uint64_t first = one_in(w, 8) ? take_any(w) : 0;
    bool is_device = one_in(w, 2);
    ntmm_status status;

    if (!w->lent) {
        w->lent = aligned_alloc(NTMM_PAGE_SIZE, LENT_BYTES);
        must(w, w->lent, "no memory");
        memset(w->lent, 0, LENT_BYTES);
    }
    status = is_device ? CALL(w, emulated_map_io, w->emu, &device, LENT_BYTES, &first)
                       : CALL(w, emulated_lend, w->emu, w->lent, LENT_BYTES, &first);
    if (!is_failure(status)) {
        w->lent_frame = first;
        w->is_lending = true;
    }
}

static void take_back(struct world *w)
{
    (void)CALL(w, emulated_take_back, w->emu, one_in(w, 8) ? take_any(w) : w->lent_frame);
}

static void map_borrowed(struct world *w)
{
    ntmm_handle process = take_handle(w);
    uint64_t base = one_in(w, 2) ? 0 : take_address(w);
    uint64_t size = take_size(w);
    uint64_t base_before = base;
    uint64_t size_before = size;
    uint64_t frame = one_in(w, 8) ? take_any(w) : w->lent_frame + take8(w) % 4;
    uint8_t null = take8(w);
    ntmm_status status = CALL(w, map_borrowed, w->system, process, null == 254 ? NULL : &base,
                              null == 255 ? NULL : &size, take_protect(w), frame);

    if (is_failure(status)) {
        must(w, base == base_before && size == size_before, "a failed call wrote base or size");
    } else {
        add_range(w, base, size);
        w->is_lending = true;
    }
}

static void unmap_borrowed(struct world *w)
{
    ntmm_handle process = take_handle(w);

    (void)CALL(w, unmap_borrowed, w->system, process, take_address(w));
}

static void map_shared_user_data(struct world *w)
{
    ntmm_handle process = take_handle(w);

    (void)CALL(w, map_shared_user_data, w->system, process,
               one_in(w, 8) ? take_any(w) : w->lent_frame);
}

const struct verb MAPPED_VERBS[] = {
    {"lend", lend},
    {"take-back", take_back},
    {"map-borrowed", map_borrowed},
    {"map-borrowed", map_borrowed},
    {"unmap-borrowed", unmap_borrowed},
    {"map-shared-user-data", map_shared_user_data},
};
const unsigned MAPPED_VERB_COUNT = sizeof(MAPPED_VERBS) / sizeof(MAPPED_VERBS[0]);
