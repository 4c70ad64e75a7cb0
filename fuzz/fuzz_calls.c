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

/* Half of the calls change or touch memory. */
static const struct verb *take_verb(struct world *w)
{
    uint8_t group = take8(w);

    if (group < 96) {
        return &VIRTUAL_VERBS[group % VIRTUAL_VERB_COUNT];
    }
    if (group < 154) {
        return &MEMORY_VERBS[group % MEMORY_VERB_COUNT];
    }
    if (group < 168) {
        return &PHYSICAL_VERBS[group % PHYSICAL_VERB_COUNT];
    }
    if (group < 184) {
        return &MAPPED_VERBS[group % MAPPED_VERB_COUNT];
    }
    if (group < 188) {
        return &SNAPSHOT_VERBS[group % SNAPSHOT_VERB_COUNT];
    }
    if (group < 216) {
        return &QUERY_VERBS[group % QUERY_VERB_COUNT];
    }
    return &SYSTEM_VERBS[group % SYSTEM_VERB_COUNT];
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
    world_begin(w);
    for (unsigned calls = 1; calls <= CALL_LIMIT && has_input(w); calls++) {
        const struct verb *verb = take_verb(w);

        if (w->is_traced) {
            printf("# %zu %s\n", w->at, verb->name);
        }
        verb->run(w);
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
