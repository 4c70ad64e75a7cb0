/* See sweep_picture.h. */
#include "conformance/sweep_picture.h"

#include "phys/anchor.h"
#include "phys/pfn.h"
#include "section/area.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const NAMES[] = {
    "commit without tables", "empty tables",    "regions (live)", "commit (live)", "bytes (live)",
    "tables (live)",         "regions (other)", "commit (other)", "bytes (other)", "tables (other)",
};
#define EMPTY_TABLES 1u /* a root is one until it has an entry */
#define FIRST_OF_PROCESSES 2u
#define NUMBERS_OF_PROCESS 4u
#define TABLES_OF_PROCESS 3u
#define FIRST_OF_SLABS (sizeof(NAMES) / sizeof(NAMES[0]))

static const char *const SLABS[] = {
    [SLAB_VAD] = NULL, /* but regions are counted */
    [SLAB_VAD_NODE] = "nodes of VADs",
    [SLAB_WATCH_NODE] = "nodes of marks",
    [SLAB_FAULT_LOG] = "logs of faults",
    [SLAB_SECURE] = "secured ranges",
    [SLAB_SECTION] = "sections",
    [SLAB_FILE] = "files",
    [SLAB_NAME] = "names",
    [SLAB_CONTROL_AREA] = NULL,
    [SLAB_SUBSECTION] = NULL,
    [SLAB_FILE_LOCK] = "locks of files",
};
_Static_assert(sizeof(SLABS) / sizeof(SLABS[0]) == SLAB_KIND_COUNT, "every slab has a name");

/* Page tables in memory that name nothing. */
static uint64_t count_empty_tables(struct call *c)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < c->sys->platform.range_count; i++) {
        const struct ntmm_frame_range *range = &c->sys->platform.ranges[i];

        for (uint64_t frame = range->base_frame; frame < range->base_frame + range->frame_count;
             frame++) {
            const struct pfn *pfn = pfn_at(c, frame);

            count += pfn_use(pfn) == NTMM_USE_TABLE && pfn_used(pfn) == 0;
        }
    }
    return count;
}

/* What pages of images that are written in place are charged: it stays with the image's area. */
static uint64_t commit_of_images(struct call *c)
{
    uint64_t pages = 0;

    for (uint64_t ref = get64(&anchor_of(c)->areas_head); ref;) {
        const struct control_area *area = area_at(c, ref);

        if (area_is(area, AREA_IMAGE)) {
            pages += get64(&area->commit_pages) - get64(&area->table_pages);
        }
        ref = get64(&area->next);
    }
    return pages;
}

static void take_process(struct core_self *core, enum caller who, uint64_t *numbers)
{
    struct ntmm_process_information found;

    if (ntmm_query_process(core->system, core->handles[who], &found) != NTMM_STATUS_SUCCESS) {
        abort();
    }
    numbers[0] = found.region_count;
    numbers[1] = found.commit_pages;
    numbers[2] = found.virtual_size_bytes;
    numbers[TABLES_OF_PROCESS] = found.table_pages;
}

/*
 * Not what the core keeps for the next that needs it: slabs, a VAD of a process, tables of handles
 * and of processes, tables of prototypes, and the control area of a file with what was found in its
 * headers (docs/sections.md). That each is in its place is the checker's matter.
 */
static void take_numbers(struct core_self *core, uint64_t *numbers)
{
    struct call c = call_begin(core->system);
    const struct anchor *anchor = anchor_of(&c);
    const struct partition *partition = &anchor->partition;

    _Static_assert(FIRST_OF_SLABS + SLAB_KIND_COUNT <= PICTURE_NUMBERS, "room for all");
    numbers[0] = get64(&partition->commit) - get64(&partition->object_pages) -
                 get64(&partition->process_pages) - get64(&partition->area_tables) -
                 get64(&partition->image_pages) - commit_of_images(&c);
    numbers[EMPTY_TABLES] = count_empty_tables(&c);
    for (unsigned i = 0; i < 2; i++) {
        numbers[0] -= numbers[FIRST_OF_PROCESSES + i * NUMBERS_OF_PROCESS + TABLES_OF_PROCESS];
    }
    for (unsigned i = 0; i < SLAB_KIND_COUNT; i++) {
        numbers[0] -= get64(&anchor->slabs[i].frame_count);
        numbers[FIRST_OF_SLABS + i] = SLABS[i] ? get64(&anchor->slabs[i].used) : 0;
    }
}

void sweep_picture_take(const struct subject *subject, struct core_self *core,
                        struct sweep_picture *picture)
{
    bool is_paged = core->is_paged;

    memset(picture, 0, sizeof(*picture));
    core->is_paged = false; /* queries page nothing out */
    for (unsigned i = 0; i < 2; i++) {
        enum caller who = i ? CALLER_OTHER : CALLER_LIVE;

        strip_draw(subject, core, who, picture->regions[i]);
        take_process(core, who, &picture->numbers[FIRST_OF_PROCESSES + i * NUMBERS_OF_PROCESS]);
    }
    core->is_paged = is_paged;
    take_numbers(core, picture->numbers);
}

/* Whether a number may be another after pages were touched. */
static bool may_follow_touches(unsigned number)
{
    return number == FIRST_OF_PROCESSES + TABLES_OF_PROCESS ||
           number == FIRST_OF_PROCESSES + NUMBERS_OF_PROCESS + TABLES_OF_PROCESS ||
           number == FIRST_OF_SLABS + SLAB_WATCH_NODE;
}

const char *sweep_picture_difference(const struct sweep_picture *before,
                                     const struct sweep_picture *after, bool were_touched)
{
    static char text[2 * STRIP_SIZE + 64];
    size_t length = 0;

    for (unsigned i = 0; i < 2; i++) {
        if (strcmp(before->regions[i], after->regions[i])) {
            snprintf(text, sizeof(text), "regions (%s):\n%s\n  became\n%s", i ? "other" : "live",
                     before->regions[i], after->regions[i]);
            return text;
        }
    }
    for (unsigned i = 0; i < PICTURE_NUMBERS; i++) {
        bool is_allowed = i == EMPTY_TABLES ? after->numbers[i] < before->numbers[i]
                                            : were_touched && may_follow_touches(i);

        if (before->numbers[i] != after->numbers[i] && !is_allowed) {
            length += (size_t)snprintf(text + length, sizeof(text) - length,
                                       "%s%s from %" PRIu64 " to %" PRIu64, length ? ", " : "",
                                       i < FIRST_OF_SLABS ? NAMES[i] : SLABS[i - FIRST_OF_SLABS],
                                       before->numbers[i], after->numbers[i]);
        }
    }
    return length ? text : NULL;
}
