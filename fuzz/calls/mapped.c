/*
 * Frames that a process maps itself: user physical pages in windows, frames of the embedder.
 */
#include "calls/world.h"

#include <stdlib.h>
#include <string.h>

#define LENT_BYTES 0x4000u
#define ROOM 16u

static void reserve_window(struct world *w)
{
    uint64_t base = 0;
    uint64_t size = (take8(w) % 16 + 1) * 0x1000ull;

    if (!CALL(w, allocate_virtual_memory, w->system, take_process(w), &base, 0, &size,
              NTMM_MEM_RESERVE | NTMM_MEM_PHYSICAL, NTMM_PAGE_READWRITE)) {
        add_range(w, base, size);
    }
}

static void allocate_pages(struct world *w)
{
    uint64_t frames[ROOM];
    uint64_t wanted = take8(w) % (ROOM + 1);
    uint64_t count = wanted;
    ntmm_handle process = take_handle(w);
    uint8_t null = take8(w);

    if (is_failure(CALL(w, allocate_user_physical_pages, w->system, process,
                        null == 254 ? NULL : &count, null == 255 ? NULL : frames))) {
        must(w, count == wanted, "a failed call wrote the count");
        return;
    }
    must(w, count <= wanted, "more frames than wanted");
    for (uint64_t i = 0; i < count; i++) {
        w->frames[w->next_frame++ % FRAME_COUNT] = frames[i];
    }
}

/* Of the process, of another one, or of none. */
static void take_frame_numbers(struct world *w, uint64_t frames[ROOM])
{
    uint8_t first = take8(w);

    for (uint8_t i = 0; i < ROOM; i++) {
        frames[i] = w->frames[(uint8_t)(first + i) % FRAME_COUNT];
    }
    if (one_in(w, 8)) {
        frames[take8(w) % ROOM] = one_in(w, 2) ? take_any(w) : take8(w);
    }
}

static void free_pages(struct world *w)
{
    uint64_t frames[ROOM];
    uint64_t wanted = take8(w) % (ROOM + 1);
    uint64_t count = wanted;
    ntmm_handle process = take_handle(w);
    uint8_t null = take8(w);

    take_frame_numbers(w, frames);
    (void)CALL(w, free_user_physical_pages, w->system, process, null == 254 ? NULL : &count,
               null == 255 ? NULL : frames);
    must(w, count <= wanted, "more frames went than were named");
}

static void map_pages(struct world *w)
{
    uint64_t frames[ROOM];
    ntmm_handle process = take_handle(w);
    uint64_t base = take_address(w);
    uint64_t count = take8(w) % (ROOM + 1);
    bool is_null = one_in(w, 4);

    take_frame_numbers(w, frames);
    count = is_null && one_in(w, 4) ? take_any(w) : count;
    (void)CALL(w, map_user_physical_pages, w->system, process, base, count,
               is_null ? NULL : frames);
}

static void scatter_pages(struct world *w)
{
    uint64_t frames[ROOM];
    uint64_t addresses[ROOM];
    ntmm_handle process = take_handle(w);
    uint64_t count = take8(w) % (ROOM + 1);
    bool is_null = one_in(w, 4);

    for (unsigned i = 0; i < ROOM; i++) {
        addresses[i] = i && !one_in(w, 4) ? addresses[i - 1] + 0x1000 : take_address(w);
    }
    take_frame_numbers(w, frames);
    (void)CALL(w, map_user_physical_pages_scatter, w->system, process,
               one_in(w, 32) ? NULL : addresses, count, is_null ? NULL : frames);
}

/* The embedder's frames */

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

const struct verb MAPPED_VERBS[] = {
    {"reserve-window", reserve_window},
    {"allocate-pages", allocate_pages},
    {"free-pages", free_pages},
    {"map-pages", map_pages},
    {"map-pages", map_pages},
    {"scatter-pages", scatter_pages},
    {"lend", lend},
    {"take-back", take_back},
    {"map-borrowed", map_borrowed},
    {"map-borrowed", map_borrowed},
    {"unmap-borrowed", unmap_borrowed},
};
const unsigned MAPPED_VERB_COUNT = sizeof(MAPPED_VERBS) / sizeof(MAPPED_VERBS[0]);
