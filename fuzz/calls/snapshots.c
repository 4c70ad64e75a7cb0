/*
 * Snapshots of the machine: taken, gone back to, forked. All need it quiet.
 */
#include "calls/world.h"

#include <ntmm/snapshot.h>

static void take_snapshot(struct world *w)
{
    if (!is_waiting(w) && !w->hog.count) {
        (void)CALL(w, emulated_snapshot, w->emu);
    }
}

/* What the machine has afterwards is what it had then; disks that were added are gone. */
static void restore_snapshot(struct world *w)
{
    struct ntmm_snapshot_information information = {.size = sizeof(information)};

    must(w, !CALL(w, emulated_query_snapshot, w->emu, &information), "query a snapshot");
    if (information.has_base && !is_waiting(w) && !w->hog.count) {
        (void)CALL(w, emulated_restore_snapshot, w->emu);
        w->image.section = 0; /* its handle may become another section's */
    }
}

static void fork_machine(struct world *w)
{
    struct ntmm_emulated *other = NULL;
    struct ntmm_teardown left;

    if (is_waiting(w) || w->hog.count) {
        return;
    }
    if (CALL(w, emulated_fork, w->emu, &other)) {
        must(w, !other, "a failed fork wrote the machine");
        return;
    }
    must(w, ntmm_emulated_hash(w->emu) == ntmm_emulated_hash(other), "a fork differs");
    ntmm_emulated_destroy(other, &left);
    must(w, !left.lost_pages && !left.outstanding_commit && !left.live_objects && !left.transfers,
         "something was left of a fork");
}

const struct verb SNAPSHOT_VERBS[] = {
    {"snapshot", take_snapshot},
    {"restore-snapshot", restore_snapshot},
    {"fork", fork_machine},
};
const unsigned SNAPSHOT_VERB_COUNT = sizeof(SNAPSHOT_VERBS) / sizeof(SNAPSHOT_VERBS[0]);
