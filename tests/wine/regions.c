#include "regions.h"

#include "os_sections.h"
#include "places.h"

#define REMEMBERED_LIMIT 4096u
#define RUN_LIMIT 256u
#define HIGHEST_REGION 0x7FFFFFFDFFFFu
#define STATE_FREE 0x10000u
#define STATE_RESERVE 0x2000u
#define RELEASE 0x8000u
#define TYPE_MAPPED 0x40000u
#define TYPE_IMAGE 0x1000000u
#define GUARD 0x100u
#define NOCACHE 0x200u
#define WRITECOMBINE 0x400u
#define PAGE_SIZE 0x1000u

static uint64_t remembered[REGION_SIDES][REMEMBERED_LIMIT]; /* allocation bases */
static uint32_t remembered_count[REGION_SIDES];
static struct os_memory runs[RUN_LIMIT]; /* of new regions */
static uint32_t run_count;

static bool is_remembered(uint32_t side, uint64_t base)
{
    for (uint32_t i = 0; i < remembered_count[side]; i++) {
        if (remembered[side][i] == base) {
            return true;
        }
    }
    return false;
}

/* The next run that is not free, at or after *at, which moves past it. False at the end. */
static bool next_run(uint64_t process, uint64_t *at, struct os_memory *run)
{
    while (*at <= HIGHEST_REGION && os_query(process, *at, run) == 0 && run->size) {
        *at = run->base + run->size;
        if (run->state != STATE_FREE) {
            return true;
        }
    }
    return false;
}

void regions_remember(uint32_t side, uint64_t process)
{
    static struct os_memory run;
    uint64_t at = 0;

    remembered_count[side] = 0;
    while (next_run(process, &at, &run)) {
        if (!is_remembered(side, run.allocation_base) &&
            remembered_count[side] < REMEMBERED_LIMIT) {
            remembered[side][remembered_count[side]++] = run.allocation_base;
        }
    }
}

static void find_new_runs(uint32_t side, uint64_t process)
{
    static struct os_memory run;
    uint64_t at = 0;

    run_count = 0;
    while (run_count < RUN_LIMIT && next_run(process, &at, &run)) {
        if (!is_remembered(side, run.allocation_base)) {
            runs[run_count++] = run;
        }
    }
}

static const char *letter_of(const struct os_memory *run)
{
    static const struct name letters[] = {{0x01, "n"}, {0x02, "r"}, {0x04, "w"},
                                          {0x08, "c"}, {0x10, "x"}, {0x20, "e"},
                                          {0x40, "f"}, {0x80, "k"}, {0, 0}};

    if (run->state == STATE_RESERVE) {
        return run->protect ? "?" : "-";
    }
    for (const struct name *letter = letters; letter->text; letter++) {
        if (letter->value == (run->protect & 0xFFu)) {
            return letter->text;
        }
    }
    return "?";
}

static void draw_run(struct text *text, const struct os_memory *run)
{
    uint64_t pages = run->size / PAGE_SIZE;

    text_add(text, " ");
    text_add(text, letter_of(run));
    text_add(text, run->protect & GUARD ? "!" : "");
    text_add(text, run->protect & NOCACHE ? "~" : "");
    text_add(text, run->protect & WRITECOMBINE ? "+" : "");
    text_add(text, "*");
    if (pages < 0x10000) {
        text_decimal(text, pages);
    } else {
        text_add(text, "0x");
        text_hexadecimal(text, pages);
    }
}

/* Index of the new run whose region comes next by the file's addresses; run_count: none. */
static uint32_t next_region(uint64_t drawn, bool has_drawn)
{
    uint32_t found = run_count;

    for (uint32_t i = 0; i < run_count; i++) {
        uint64_t base = unplace(runs[i].allocation_base);

        if ((!has_drawn || base > drawn) &&
            (found == run_count || base < unplace(runs[found].allocation_base))) {
            found = i;
        }
    }
    return found;
}

void regions_draw(uint32_t side, uint64_t process, struct text *text)
{
    uint64_t drawn = 0;
    bool has_drawn = false;
    uint32_t first;

    find_new_runs(side, process);
    while ((first = next_region(drawn, has_drawn)) < run_count) {
        uint64_t region = runs[first].allocation_base;

        drawn = unplace(region);
        has_drawn = true;
        text_add(text, "map");
        text_number(text, drawn);
        text_protect(text, runs[first].allocation_protect);
        text_add(text, runs[first].type == TYPE_MAPPED ? " mapped" : "");
        text_add(text, runs[first].type == TYPE_IMAGE ? " image" : "");
        for (uint32_t i = first; i < run_count; i++) {
            if (runs[i].allocation_base == region) {
                draw_run(text, &runs[i]);
            }
        }
        text_add(text, "\n");
    }
    text_add(text, has_drawn ? "" : "map none\n");
}

void regions_release(uint32_t side, uint64_t process)
{
    find_new_runs(side, process);
    for (uint32_t i = 0; i < run_count; i++) {
        uint64_t base = runs[i].allocation_base;
        uint64_t size = 0;

        if (runs[i].type == TYPE_MAPPED || runs[i].type == TYPE_IMAGE) {
            os_unmap_view(process, base, 0);
        } else {
            os_free(process, &base, &size, RELEASE);
        }
    }
}
