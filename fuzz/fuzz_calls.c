/*
 * Calls of every public service, with any argument, on a machine under pressure.
 *
 * An input is a header byte, a byte of RAM size, and then calls: a byte for the call, and the
 * bytes that its arguments take. There is no model here: judged are the statuses, which must be
 * documented, what a failed call leaves alone, the invariants every few calls, and what is left at
 * the end. What the calls do, fuzz_services compares with a model.
 *
 * With NTMM_FUZZ_TRACE in the environment every call is printed with its status.
 */
#include "calls/world.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CALL_LIMIT 600u
#define CHECK_EVERY 16u

/* The verbs of a group have the bytes from `first` on, again and again up to the next group. So a
 * verb that is added behind others leaves seeds their meaning that use the first byte of each. */
struct group {
    uint8_t first;
    const struct verb *verbs;
    const unsigned *count;
};

/* Half of the calls change or touch memory. */
static const struct group GROUPS[] = {
    {241, FILE_VERBS, &FILE_VERB_COUNT},     {210, SYSTEM_VERBS, &SYSTEM_VERB_COUNT},
    {186, QUERY_VERBS, &QUERY_VERB_COUNT},   {182, SNAPSHOT_VERBS, &SNAPSHOT_VERB_COUNT},
    {168, MAPPED_VERBS, &MAPPED_VERB_COUNT}, {154, PHYSICAL_VERBS, &PHYSICAL_VERB_COUNT},
    {151, IMAGE_VERBS, &IMAGE_VERB_COUNT},   {130, SECTION_VERBS, &SECTION_VERB_COUNT},
    {96, MEMORY_VERBS, &MEMORY_VERB_COUNT},  {0, VIRTUAL_VERBS, &VIRTUAL_VERB_COUNT},
};

/* A verb without a byte would never be called. */
static void check_groups(const struct world *w)
{
    unsigned end = 256;

    for (unsigned i = 0; i < sizeof(GROUPS) / sizeof(GROUPS[0]); i++) {
        must(w, GROUPS[i].first + *GROUPS[i].count <= end, "a group has more verbs than bytes");
        end = GROUPS[i].first;
    }
}

static const struct verb *take_verb(struct world *w)
{
    const struct group *group = GROUPS;
    uint8_t byte = take8(w);
    unsigned place;

    while (byte < group->first) {
        group++;
    }
    place = (unsigned)(byte - group->first) % *group->count;
    if (w->is_traced) {
        printf("# %zu %s, byte %u\n", w->at, group->verbs[place].name, group->first + place);
    }
    return &group->verbs[place];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world *w = calloc(1, sizeof(*w));

    if (!w) {
        abort();
    }
    w->data = data;
    w->size = size;
    w->is_traced = getenv("NTMM_FUZZ_TRACE") != NULL;
    check_groups(w);
    world_begin(w);
    for (unsigned calls = 1; calls <= CALL_LIMIT && has_input(w); calls++) {
        take_verb(w)->run(w);
        if (w->hog_calls && --w->hog_calls == 0) {
            give_frames(w);
        }
        if (calls % CHECK_EVERY == 0) {
            world_check(w);
        }
    }
    world_end(w);
    free(w);
    return 0;
}
