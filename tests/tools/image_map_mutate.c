/*
 * Spoiled PE files: each gives a documented status or maps, and breaks nothing.
 */
#include "image_map.h"

#include "base/prng.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX 0x400000u
#define HEADER_BYTES 0x600u
#define PAGES_TOUCHED 2048u
#define SEEN_MAX 64u

struct spoiled {
    struct prng prng;
    uint8_t *bytes;
    uint64_t size_bytes;
};

struct seen {
    ntmm_status status[SEEN_MAX];
    uint32_t count[SEEN_MAX];
    uint32_t kinds;
};

static void note(struct seen *seen, ntmm_status status)
{
    uint32_t i = 0;
    while (i < seen->kinds && seen->status[i] != status)
        i++;
    must(i < SEEN_MAX, "too many kinds of status");
    if (i == seen->kinds)
        seen->status[seen->kinds++] = status;
    seen->count[i]++;
}

/* What nt_semantics 5.1 and ntmm_create_section say. */
static bool is_documented(ntmm_status status)
{
    static const ntmm_status documented[] = {
        NTMM_STATUS_SUCCESS,
        NTMM_STATUS_INVALID_IMAGE_FORMAT,
        NTMM_STATUS_INVALID_IMAGE_NOT_MZ,
        NTMM_STATUS_INVALID_IMAGE_NE_FORMAT,
        NTMM_STATUS_INVALID_IMAGE_LE_FORMAT,
        NTMM_STATUS_INVALID_IMAGE_PROTECT,
        NTMM_STATUS_INVALID_IMAGE_WIN_16,
        NTMM_STATUS_INVALID_FILE_FOR_SECTION,
        NTMM_STATUS_COMMITMENT_LIMIT,
    };
    for (size_t i = 0; i < sizeof documented / sizeof *documented; i++) {
        if (status == documented[i])
            return true;
    }
    return false;
}

static bool is_documented_of_view(ntmm_status status)
{
    return status == NTMM_STATUS_SUCCESS || status == NTMM_STATUS_IMAGE_NOT_AT_BASE ||
           status == NTMM_STATUS_IMAGE_MACHINE_TYPE_MISMATCH ||
           status == NTMM_STATUS_CONFLICTING_ADDRESSES || status == NTMM_STATUS_NO_MEMORY ||
           status == NTMM_STATUS_COMMITMENT_LIMIT;
}

static void load_file(struct spoiled *s, const char *path)
{
    FILE *file = fopen(path, "rb");
    must(file != NULL, path);
    s->size_bytes = fread(s->bytes, 1, FILE_BYTES_MAX, file);
    fclose(file);
}

static uint64_t below(struct spoiled *s, uint64_t bound) { return prng_below(&s->prng, bound); }

/* Values that checks stumble over: none, all, one bit, small, a page more or less. */
static uint32_t odd_value(struct spoiled *s, uint32_t old)
{
    switch (below(s, 6)) {
    case 0:
        return 0;
    case 1:
        return UINT32_MAX;
    case 2:
        return old ^ 1u << below(s, 32);
    case 3:
        return (uint32_t)below(s, 64);
    case 4:
        return old + NTMM_PAGE_SIZE;
    default:
        return (uint32_t)prng_next(&s->prng);
    }
}

static void spoil_word(struct spoiled *s, uint64_t end)
{
    uint32_t value, width = 1u << below(s, 3);
    uint64_t at = below(s, end - 3);
    memcpy(&value, s->bytes + at, 4);
    value = odd_value(s, value);
    memcpy(s->bytes + at, &value, width);
}

/* Fields of the headers, anything else, or the end of the file. */
static void spoil(struct spoiled *s)
{
    uint64_t headers = s->size_bytes < HEADER_BYTES ? s->size_bytes : HEADER_BYTES;
    for (uint64_t words = 1 + below(s, 4); words > 0; words--)
        spoil_word(s, below(s, 4) ? headers : s->size_bytes);
    if (below(s, 8) == 0)
        s->size_bytes = 1 + below(s, s->size_bytes);
}

/* Load and store each page, of a large image some of them. Accesses may be refused. */
static uint64_t touch(struct machine *m, const struct view *view)
{
    uint64_t pages = view->size_bytes / NTMM_PAGE_SIZE, touched = 0;
    uint64_t step = pages / PAGES_TOUCHED + 1;
    for (uint64_t i = 0; i < pages; i += step) {
        uint64_t value, va = view->base + i * NTMM_PAGE_SIZE;
        ntmm_status status = ntmm_emulated_load(m->emu, 0, va, &value, sizeof value, NULL, NULL);
        must(status == NTMM_STATUS_SUCCESS || status == NTMM_STATUS_ACCESS_VIOLATION, "a load");
        if (status == NTMM_STATUS_SUCCESS && i % 3 == 0)
            status = ntmm_emulated_store(m->emu, 0, va, &value, sizeof value, NULL, NULL);
        must(status == NTMM_STATUS_SUCCESS || status == NTMM_STATUS_ACCESS_VIOLATION ||
                 status == NTMM_STATUS_NO_MEMORY,
             "a store");
        touched += status == NTMM_STATUS_SUCCESS;
    }
    return touched;
}

static uint64_t map_spoiled(struct spoiled *s, uint64_t ram_bytes, struct seen *sections,
                            struct seen *views)
{
    const struct ntmm_emulated_file_config config = {.size = sizeof config,
                                                     .version = NTMM_EMULATED_FILE_VERSION,
                                                     .contents = s->bytes,
                                                     .size_bytes = s->size_bytes};
    struct machine m;
    struct view view;
    uint64_t touched = 0;
    machine_open(&m, ram_bytes);
    note(sections, machine_map(&m, &config, &view));
    must(is_documented(view.status), "a section's status");
    if (NTMM_SUCCEEDED(view.status)) {
        note(views, view.map_status);
        must(is_documented_of_view(view.map_status), "a view's status");
    }
    if (NTMM_SUCCEEDED(view.map_status))
        touched = touch(&m, &view);
    machine_check(&m);
    machine_unmap(&m, &view);
    machine_close(&m);
    return touched;
}

static void print_seen(const char *name, const struct seen *seen)
{
    printf("\"%s\": {", name);
    for (uint32_t i = 0; i < seen->kinds; i++)
        printf("%s\"0x%08" PRIX32 "\": %" PRIu32, i ? ", " : "", seen->status[i], seen->count[i]);
    printf("}");
}

void mutate_files(char **paths, uint32_t path_count, uint32_t count, uint64_t seed,
                  uint64_t ram_bytes)
{
    struct spoiled s = {.bytes = malloc(FILE_BYTES_MAX)};
    struct seen sections = {.kinds = 0}, views = {.kinds = 0};
    uint64_t touched = 0;
    must(s.bytes != NULL, "out of memory");
    for (uint32_t i = 0; i < count; i++) {
        prng_seed(&s.prng, seed + i);
        const char *path = paths[below(&s, path_count)];
        load_file(&s, path);
        must(s.size_bytes >= 4, path);
        spoil(&s);
        fprintf(stderr, "seed %" PRIu64 " of %s\n", seed + i, path);
        touched += map_spoiled(&s, ram_bytes, &sections, &views);
    }
    free(s.bytes);
    printf("{\"touched\": %" PRIu64 ", ", touched);
    print_seen("sections", &sections);
    printf(", ");
    print_seen("views", &views);
    printf("}\n");
}
