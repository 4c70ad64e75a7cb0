/*
 * An owner of memory that is never paged: a large page, a section of one, and physical pages with a
 * window.
 *
 *   large    512 small pages' worth; a word of each, 0 until it is stored
 *   section  the same; its words stay while no view shows them, and whichever handle it has
 *   frames   f0 f1 f2 ..   each with a word that stays while the frame is not mapped anywhere
 *   window   [f2][  ][f0]..   what is mapped shows the frame's word, what is not faults
 *
 * Frames and runs may be lacking: then nothing was changed, and it goes on without.
 */
#include "sim/sim.h"

#include <ntmm/physical.h>
#include <ntmm/section.h>
#include <ntmm/virtual.h>

#include <stdlib.h>

#define PAGE UINT64_C(0x1000)
#define LARGE_BYTES UINT64_C(0x200000)
#define LARGE_PAGES (LARGE_BYTES / PAGE)
#define WINDOW_PAGES 16u
#define FRAMES 8u
#define NOBODY UINT32_MAX

struct resident {
    struct owner owner;
    uint64_t last_value;
    uint64_t large; /* its base, or 0 */
    uint64_t words[LARGE_PAGES];
    ntmm_handle section; /* of a large page, or 0 */
    uint64_t view;       /* of the section, or 0 */
    uint64_t section_words[LARGE_PAGES];
    uint64_t window; /* its base, or 0 */
    uint32_t frame_count;
    uint64_t frames[FRAMES];
    uint64_t contents[FRAMES];
    uint32_t mapped_at[FRAMES]; /* page of the window, or NOBODY */
};

static uint64_t new_value(struct resident *r) { return ++r->last_value << 8 | 0x5A; }

static void expect(struct resident *r, uint64_t va, uint64_t value)
{
    if (owner_load(&r->owner, va) != value)
        sim_fail(r->owner.sim, "memory that stays has lost a store");
}

/* One try: want is an answer. */
static bool is_given(struct resident *r, ntmm_status status, enum service service)
{
    struct sim *sim = r->owner.sim;
    sim->owner_steps++;
    if (status != NTMM_STATUS_SUCCESS && !compared_is_for_want(status))
        sim_fail(sim, "memory that stays is refused for no want");
    sim->services[service] += status == NTMM_STATUS_SUCCESS;
    return status == NTMM_STATUS_SUCCESS;
}

static void expect_violation(struct resident *r, uint64_t va)
{
    uint64_t value = 0;
    uint32_t tries = 0;
    ntmm_status status;
    do {
        status = ntmm_emulated_store(r->owner.sim->emu, r->owner.cpu, va, &value, sizeof value,
                                     NULL, NULL);
        r->owner.sim->owner_steps++;
    } while (compared_is_for_want(status) && tries++ < 1000);
    if (status != NTMM_STATUS_ACCESS_VIOLATION)
        sim_fail(r->owner.sim, "a store succeeds where none may");
}

/* --- large pages --- */

static void allocate_large(struct resident *r)
{
    uint64_t base = 0, size = LARGE_BYTES;
    if (!is_given(
            r,
            ntmm_allocate_virtual_memory(r->owner.sim->system, r->owner.process, &base, 0, &size,
                                         NTMM_MEM_RESERVE | NTMM_MEM_COMMIT | NTMM_MEM_LARGE_PAGES,
                                         NTMM_PAGE_READWRITE),
            SERVICE_LARGE))
        return;
    r->large = base;
    for (uint64_t i = 0; i < LARGE_PAGES; i++)
        r->words[i] = 0;
}

static void free_large(struct resident *r)
{
    uint64_t base = r->large, size = 0;
    uint32_t tries = 0;
    while (owner_repeats(&r->owner,
                         ntmm_free_virtual_memory(r->owner.sim->system, r->owner.process, &base,
                                                  &size, NTMM_MEM_RELEASE),
                         &tries)) {
    }
    r->large = 0;
}

static void protect_large(struct resident *r, uint32_t protection)
{
    uint32_t tries = 0, old;
    ntmm_status status;
    do {
        uint64_t base = r->large, size = LARGE_BYTES;
        status = ntmm_protect_virtual_memory(r->owner.sim->system, r->owner.process, &base, &size,
                                             protection, &old);
    } while (owner_repeats(&r->owner, status, &tries));
}

static void run_large(struct resident *r, uint64_t draw)
{
    uint64_t page = (draw >> 8) % LARGE_PAGES, va = r->large + page * PAGE;
    switch (draw >> 32 & 15) {
    case 0:
        free_large(r);
        return;
    case 1:
        protect_large(r, NTMM_PAGE_READONLY);
        expect(r, va, r->words[page]);
        expect_violation(r, va);
        protect_large(r, NTMM_PAGE_READWRITE);
        return;
    default:
        expect(r, va, r->words[page]);
        r->words[page] = new_value(r);
        owner_store(&r->owner, va, r->words[page]);
        return;
    }
}

/* --- a section of a large page --- */

static void make_section(struct resident *r)
{
    uint64_t size = LARGE_BYTES;
    ntmm_handle section = 0;
    if (!is_given(r,
                  ntmm_create_section(r->owner.sim->system, &section, NTMM_SECTION_ALL_ACCESS, NULL,
                                      &size, NTMM_PAGE_READWRITE,
                                      NTMM_SEC_COMMIT | NTMM_SEC_LARGE_PAGES, 0),
                  SERVICE_LARGE_SECTION))
        return;
    r->section = section;
    for (uint64_t i = 0; i < LARGE_PAGES; i++)
        r->section_words[i] = 0;
}

static void close_section(struct resident *r, ntmm_handle section)
{
    uint32_t tries = 0;
    while (owner_repeats(&r->owner, ntmm_close_section(r->owner.sim->system, section), &tries)) {
    }
}

static void map_section(struct resident *r)
{
    uint64_t base = 0, size = 0;
    if (is_given(r,
                 ntmm_map_view_of_section(r->owner.sim->system, r->section, r->owner.process, &base,
                                          0, 0, NULL, &size, NTMM_VIEW_SHARE, 0,
                                          NTMM_PAGE_READWRITE),
                 SERVICE_LARGE_VIEW))
        r->view = base;
}

static void unmap_section(struct resident *r)
{
    uint32_t tries = 0;
    while (owner_repeats(
        &r->owner, ntmm_unmap_view_of_section(r->owner.sim->system, r->owner.process, r->view, 0),
        &tries)) {
    }
    r->view = 0;
}

/* Another handle in place of the one that there is. */
static void change_handle(struct resident *r)
{
    ntmm_handle duplicate = 0;
    uint32_t tries = 0;
    while (owner_repeats(&r->owner,
                         ntmm_duplicate_section(r->owner.sim->system, r->section,
                                                NTMM_SECTION_ALL_ACCESS, &duplicate),
                         &tries)) {
    }
    close_section(r, r->section);
    r->section = duplicate;
}

static void run_section(struct resident *r, uint64_t draw)
{
    uint64_t page = (draw >> 8) % LARGE_PAGES, va = r->view + page * PAGE;
    uint64_t kind = draw >> 32 & 15;
    if (kind == 0) {
        change_handle(r);
    } else if (r->view == 0 && kind == 1) {
        close_section(r, r->section);
        r->section = 0;
    } else if (r->view == 0) {
        map_section(r);
    } else if (kind < 3) {
        unmap_section(r);
    } else {
        expect(r, va, r->section_words[page]);
        r->section_words[page] = new_value(r);
        owner_store(&r->owner, va, r->section_words[page]);
    }
}

/* --- physical pages --- */

static void make_window(struct resident *r)
{
    uint64_t base = 0, size = WINDOW_PAGES * PAGE;
    if (is_given(r,
                 ntmm_allocate_virtual_memory(r->owner.sim->system, r->owner.process, &base, 0,
                                              &size, NTMM_MEM_RESERVE | NTMM_MEM_PHYSICAL,
                                              NTMM_PAGE_READWRITE),
                 SERVICE_PHYSICAL))
        r->window = base;
}

static void get_frames(struct resident *r, uint64_t draw)
{
    uint64_t count = 1 + (draw >> 8 & 3);
    if (count > FRAMES - r->frame_count)
        count = FRAMES - r->frame_count;
    if (count == 0 ||
        !is_given(r,
                  ntmm_allocate_user_physical_pages(r->owner.sim->system, r->owner.process, &count,
                                                    &r->frames[r->frame_count]),
                  SERVICE_PHYSICAL))
        return;
    for (uint64_t i = 0; i < count; i++) {
        r->contents[r->frame_count] = 0;
        r->mapped_at[r->frame_count++] = NOBODY;
    }
}

static void free_frame(struct resident *r, uint32_t i)
{
    uint32_t tries = 0;
    ntmm_status status;
    do {
        uint64_t count = 1;
        status = ntmm_free_user_physical_pages(r->owner.sim->system, r->owner.process, &count,
                                               &r->frames[i]);
    } while (owner_repeats(&r->owner, status, &tries));
    r->frame_count--;
    r->frames[i] = r->frames[r->frame_count];
    r->contents[i] = r->contents[r->frame_count];
    r->mapped_at[i] = r->mapped_at[r->frame_count];
}

/* By either call: every other page of the window by the one for pages here and there. */
static ntmm_status map_at(struct resident *r, uint32_t page, const uint64_t *frame)
{
    struct sim *sim = r->owner.sim;
    uint64_t address = r->window + page * PAGE;
    if ((page & 1) == 0)
        return ntmm_map_user_physical_pages(sim->system, r->owner.process, address, 1, frame);
    ntmm_status status =
        ntmm_map_user_physical_pages_scatter(sim->system, r->owner.process, &address, 1, frame);
    sim->services[SERVICE_PHYSICAL_SCATTER] += status == NTMM_STATUS_SUCCESS;
    return status;
}

/* frame: its address, or NULL to map nothing */
static void map_page(struct resident *r, uint32_t page, const uint64_t *frame)
{
    uint32_t tries = 0;
    while (owner_repeats(&r->owner, map_at(r, page, frame), &tries)) {
    }
    for (uint32_t i = 0; i < r->frame_count; i++) {
        if (r->mapped_at[i] == page)
            r->mapped_at[i] = NOBODY;
    }
}

static void map_frame(struct resident *r, uint32_t i, uint32_t page)
{
    if (r->mapped_at[i] != NOBODY)
        map_page(r, r->mapped_at[i], NULL);
    map_page(r, page, &r->frames[i]);
    r->mapped_at[i] = page;
    r->owner.sim->services[SERVICE_PHYSICAL_MAP]++;
}

static void use_frame(struct resident *r, uint32_t i)
{
    if (r->mapped_at[i] == NOBODY)
        return;
    uint64_t va = r->window + r->mapped_at[i] * PAGE;
    expect(r, va, r->contents[i]);
    r->contents[i] = new_value(r);
    owner_store(&r->owner, va, r->contents[i]);
}

static bool is_window_page_free(const struct resident *r, uint32_t page)
{
    for (uint32_t i = 0; i < r->frame_count; i++) {
        if (r->mapped_at[i] == page)
            return false;
    }
    return true;
}

static void run_frames(struct resident *r, uint64_t draw)
{
    uint32_t page = (uint32_t)(draw >> 8) % WINDOW_PAGES;
    if (r->frame_count == 0 || (draw >> 32 & 7) == 0) {
        get_frames(r, draw);
        return;
    }
    uint32_t frame = (uint32_t)(draw >> 16) % r->frame_count;
    switch (draw >> 32 & 7) {
    case 1:
        free_frame(r, frame);
        break;
    case 2:
    case 3:
        map_frame(r, frame, page);
        break;
    case 4:
        if (is_window_page_free(r, page))
            expect_violation(r, r->window + page * PAGE);
        else
            map_page(r, page, NULL);
        break;
    default:
        use_frame(r, frame);
        break;
    }
}

/* --- the owner --- */

static void run_record(struct owner *owner, uint64_t *state)
{
    struct resident *r = (struct resident *)owner;
    uint64_t draw = splitmix64(state);
    if ((draw & 3) == 3)
        r->section != 0 ? run_section(r, draw) : make_section(r);
    else if (draw & 1)
        r->large != 0 ? run_large(r, draw) : allocate_large(r);
    else
        r->window != 0 ? run_frames(r, draw) : make_window(r);
}

static void check(struct owner *owner)
{
    struct resident *r = (struct resident *)owner;
    for (uint64_t i = 0; r->large != 0 && i < LARGE_PAGES; i++)
        expect(r, r->large + i * PAGE, r->words[i]);
    for (uint64_t i = 0; r->view != 0 && i < LARGE_PAGES; i++)
        expect(r, r->view + i * PAGE, r->section_words[i]);
    for (uint32_t i = 0; i < r->frame_count; i++) {
        if (r->mapped_at[i] != NOBODY)
            expect(r, r->window + r->mapped_at[i] * PAGE, r->contents[i]);
    }
}

static void end(struct owner *owner)
{
    struct resident *r = (struct resident *)owner;
    if (r->section != 0)
        close_section(r, r->section);
}

struct owner *resident_make(void)
{
    struct resident *r = calloc(1, sizeof *r);
    if (r == NULL)
        abort();
    r->owner.run_record = run_record;
    r->owner.check = check;
    r->owner.end = end;
    return &r->owner;
}
