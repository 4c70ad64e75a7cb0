/*
 * The platform that the core sees is a copy of the machine's with some operations replaced; their
 * context is the machine, so that they find the events in a variable.
 */
#include "conformance/sweep_events.h"

#include "phys/anchor.h"
#include "phys/pfn.h"

#include <stdlib.h>

#define PLENTY (UINT64_MAX / 2)

static struct sweep_events *current;

/* An event of a kind; whether it fails. */
static bool is_to_fail(enum sweep_kind kind, bool is_zeroing)
{
    bool is_failed;

    if (!current->is_on || current->kind != kind) {
        return false;
    }
    current->seen++;
    is_failed = current->at && (current->seen == current->at ||
                                (current->is_onward && current->seen > current->at && !is_zeroing));
    current->given += is_failed;
    return is_failed;
}

static ntmm_status zero(void *context, const uint64_t *frames, uint32_t count)
{
    return is_to_fail(SWEEP_PLATFORM, true) ? SWEEP_FAILURE
                                            : current->platform.zero(context, frames, count);
}

static ntmm_status copy(void *context, const uint64_t *to, const uint64_t *from, uint32_t count)
{
    return is_to_fail(SWEEP_PLATFORM, false) ? SWEEP_FAILURE
                                             : current->platform.copy(context, to, from, count);
}

static ntmm_status compare(void *context, const uint64_t *a, const uint64_t *b, uint32_t count,
                           uint64_t *equal)
{
    return is_to_fail(SWEEP_PLATFORM, false)
               ? SWEEP_FAILURE
               : current->platform.compare(context, a, b, count, equal);
}

static ntmm_status read(void *context, const struct ntmm_content_span *spans, uint32_t count,
                        void *buffer)
{
    return is_to_fail(SWEEP_PLATFORM, false)
               ? SWEEP_FAILURE
               : current->platform.read(context, spans, count, buffer);
}

static ntmm_status write(void *context, const struct ntmm_content_span *spans, uint32_t count,
                         const void *buffer)
{
    return is_to_fail(SWEEP_PLATFORM, false)
               ? SWEEP_FAILURE
               : current->platform.write(context, spans, count, buffer);
}

static ntmm_status submit_and_fail(void *context, struct ntmm_io *io)
{
    const struct ntmm_emulated_disk_errors errors = {
        .operations = 1u << io->operation,
        .count = 1,
        .status = SWEEP_FAILURE,
    };
    uint64_t device = io->device;
    ntmm_status status;

    if (ntmm_emulated_inject_disk(current->core->emu, device, &errors)) {
        abort();
    }
    status = current->platform.submit(context, io);
    if (ntmm_emulated_inject_disk(current->core->emu, device, NULL)) {
        abort();
    }
    return status;
}

static ntmm_status submit(void *context, struct ntmm_io *io)
{
    if (is_to_fail(SWEEP_PLATFORM, false)) {
        return SWEEP_FAILURE;
    }
    return is_to_fail(SWEEP_IO, false) ? submit_and_fail(context, io)
                                       : current->platform.submit(context, io);
}

static struct partition *partition_in(struct core_self *core)
{
    struct call c = call_begin(core->system);

    return partition_of(&c);
}

/* Take every frame and give it back, so that each is to be zeroed before it is used. */
static void soil_frames(struct core_self *core)
{
    struct call c = call_begin(core->system);
    struct frame_chain chain = chain_empty();
    uint64_t frame;

    while (frame_allocate(&c, NTMM_USE_FREE, &frame)) {
        chain_add(&c, &chain, frame);
    }
    chain_free(&c, &chain);
}

void sweep_events_begin(struct sweep_events *events, struct core_self *core)
{
    struct ntmm_platform *platform = &core->system->platform;

    events->core = core;
    events->seen = 0;
    events->given = 0;
    events->room = SWEEP_ROOM_AMPLE;
    events->is_on = false;
    events->platform = *platform;
    core->events = events;
    current = events;
    platform->zero = zero;
    platform->copy = copy;
    platform->compare = compare;
    platform->read = read;
    platform->write = write;
    platform->submit = submit;
    soil_frames(core);
}

/* Allocations that fail are the core's own matter: it is told how many succeed before. */
static void switch_allocations(struct sweep_events *events, bool is_on)
{
    struct allocation_failures *failures = &events->core->system->failures;
    bool is_over = events->at == 0 || (events->given && !events->is_onward);

    if (is_on) {
        events->left = is_over                      ? PLENTY
                       : events->seen >= events->at ? 0
                                                    : events->at - 1 - events->seen;
        failures->after = events->left;
        failures->count = events->is_onward && !is_over ? UINT64_MAX : 1;
        return;
    }
    events->seen += events->left - failures->after;
    if (failures->count == 0) {
        events->seen++;
        events->given = 1;
    } else if (failures->count == UINT64_MAX && failures->after == 0) {
        events->given = 1; /* or the next one is the first */
    }
    *failures = (struct allocation_failures){.count = 0};
}

static void switch_commit(struct sweep_events *events, bool is_on)
{
    struct partition *partition = partition_in(events->core);

    if (events->room == SWEEP_ROOM_AMPLE) {
        return;
    }
    if (is_on) {
        events->commit_limit = get64(&partition->commit_limit);
        events->commit_reserve = get64(&partition->commit_reserve);
        set64(&partition->commit_limit, get64(&partition->commit) + events->room);
        set64(&partition->commit_reserve, 0);
        events->given++;
    } else {
        set64(&partition->commit_limit, events->commit_limit);
        set64(&partition->commit_reserve, events->commit_reserve);
    }
}

bool sweep_events_switch(struct sweep_events *events, bool is_on)
{
    bool was_on = events && events->is_on;

    if (!events || was_on == is_on) {
        return was_on;
    }
    if (events->kind == SWEEP_ALLOCATION) {
        switch_allocations(events, is_on);
    } else if (events->kind == SWEEP_COMMIT) {
        switch_commit(events, is_on);
    }
    events->is_on = is_on;
    return was_on;
}
