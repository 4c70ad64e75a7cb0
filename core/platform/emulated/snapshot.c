/*
 * Taking a snapshot of a machine, going back to it, forking. See snapshot.h.
 *
 *   base         new memory: filled, then mapped       nobody shares it: renewed in place
 *   restore      changed pages dropped, state adopted
 *   fork         a second machine mapped from the base, changed pages copied, state adopted
 */
#include "platform/emulated/snapshot.h"

#include <ntmm/snapshot.h>

#include <stdlib.h>
#include <string.h>

/* --- the snapshot object --- */

static void free_disk_state(struct disk_state *state)
{
    memory_base_free(&state->image);
    memory_base_free(&state->durable);
    free(state->cached);
}

void snapshot_leave(struct snapshot *s)
{
    if (s == NULL || atomic_fetch_sub(&s->users, 1) != 1)
        return;
    for (uint32_t i = 0; i < 2; i++)
        memory_base_free(&s->ram[i]);
    for (uint32_t i = 0; i < s->disk_states; i++)
        free_disk_state(&s->disks[i]);
    free(s->disks);
    state_free(&s->state);
    free(s);
}

static struct snapshot *create_snapshot(void)
{
    struct snapshot *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    atomic_store(&s->users, 1);
    s->is_broken = 1;
    for (uint32_t i = 0; i < 2; i++)
        s->ram[i].file = -1;
    return s;
}

/* s->disks are in the order of their numbers. */
static struct disk_state *find_state(const struct snapshot *s, uint64_t number)
{
    uint32_t low = 0, high = s != NULL ? s->disk_states : 0;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (s->disks[middle].disk.number == number)
            return &s->disks[middle];
        if (s->disks[middle].disk.number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* Entries of disks that were removed go. */
static void drop_disk_states(struct ntmm_emulated *emu, struct snapshot *s)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->disk_states; i++) {
        if (device_at(emu, s->disks[i].disk.number) != NULL)
            s->disks[kept++] = s->disks[i];
        else
            free_disk_state(&s->disks[i]);
    }
    s->disk_states = kept;
}

/* An entry for each disk of the machine; those that are new have no base yet, and the highest
 * numbers. */
static bool add_disk_states(struct ntmm_emulated *emu, struct snapshot *s)
{
    for (const struct disk *disk = device_from(emu, 0); disk != NULL;
         disk = device_from(emu, disk->number + 1)) {
        if (find_state(s, disk->number) != NULL)
            continue;
        struct disk_state *grown = realloc(s->disks, (s->disk_states + 1) * sizeof *grown);
        if (grown == NULL)
            return false;
        s->disks = grown;
        grown[s->disk_states++] = (struct disk_state){
            .disk = {.number = disk->number}, .image = {.file = -1}, .durable = {.file = -1}};
    }
    return true;
}

static bool has_base(const struct memory_base *base) { return base->size_bytes != 0; }

/* A base for a run, new or renewed; `old`: the one it is mapped from, of another snapshot. One that
 * could not be filled is none, so that a later snapshot makes it. */
static bool take_run(struct memory_base *base, const struct memory_run *run,
                     const struct memory_base *old, bool is_ours)
{
    if (has_base(base))
        return memory_base_renew(base, run);
    if (old != NULL && !has_base(old))
        old = NULL;
    if (memory_base_fill(base, run, old, is_ours))
        return true;
    memory_base_free(base);
    *base = (struct memory_base){.file = -1};
    return false;
}

static bool take_disk(struct disk *disk, struct disk_state *state, const struct disk_state *old)
{
    const struct memory_run image = state_image(disk), durable = state_durable(disk);
    state_copy_numbers(&state->disk, disk);
    if (!take_run(&state->image, &image, old != NULL ? &old->image : NULL, true))
        return false;
    if (disk->cached == NULL)
        return true;
    if (state->cached == NULL)
        state->cached = malloc((size_t)state_cached_bytes(disk));
    if (state->cached == NULL)
        return false;
    memcpy(state->cached, disk->cached, (size_t)state_cached_bytes(disk));
    return take_run(&state->durable, &durable, old != NULL ? &old->durable : NULL, true);
}

static bool take_all(struct ntmm_emulated *emu, struct snapshot *s, const struct snapshot *old)
{
    drop_disk_states(emu, s);
    if (!add_disk_states(emu, s))
        return false;
    for (uint32_t i = 0; i < emu->platform.range_count; i++) {
        const struct memory_run run = state_ram(emu, i);
        if (!take_run(&s->ram[i], &run, old != NULL ? &old->ram[i] : NULL, emu->owns_arena != 0))
            return false;
    }
    for (struct disk *disk = device_from(emu, 0); disk != NULL;
         disk = device_from(emu, disk->number + 1)) {
        if (!take_disk(disk, find_state(s, disk->number), find_state(old, disk->number)))
            return false;
    }
    return state_capture(emu, &s->state);
}

static bool map_run(struct memory_base *base, struct memory_run run)
{
    return base->is_mapped || !has_base(base) || memory_base_map(base, &run);
}

/* What is not mapped from its base yet. False: some are not; renewing does it. */
static bool map_all(struct ntmm_emulated *emu, struct snapshot *s)
{
    bool is_mapped = true;
    for (uint32_t i = 0; i < emu->platform.range_count; i++)
        is_mapped = map_run(&s->ram[i], state_ram(emu, i)) && is_mapped;
    for (struct disk *disk = device_from(emu, 0); disk != NULL;
         disk = device_from(emu, disk->number + 1)) {
        struct disk_state *state = find_state(s, disk->number);
        is_mapped = map_run(&state->image, state_image(disk)) && is_mapped;
        if (disk->durable != NULL)
            is_mapped = map_run(&state->durable, state_durable(disk)) && is_mapped;
    }
    return is_mapped;
}

/* Nobody shares the machine's snapshot: it is brought up to date. */
static ntmm_status renew_snapshot(struct ntmm_emulated *emu)
{
    struct snapshot *s = emu->snapshot;
    s->is_broken = 1;
    if (!take_all(emu, s, NULL) || !map_all(emu, s))
        return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    s->is_broken = 0;
    return NTMM_STATUS_SUCCESS;
}

static ntmm_status replace_snapshot(struct ntmm_emulated *emu)
{
    struct snapshot *s = create_snapshot();
    if (s == NULL || !take_all(emu, s, emu->snapshot)) {
        snapshot_leave(s);
        return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    }
    struct snapshot *old = emu->snapshot;
    emu->snapshot = s;
    bool is_mapped = map_all(emu, s);
    snapshot_leave(old); /* what is still mapped from it keeps its files alive */
    if (!is_mapped)
        return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    s->is_broken = 0;
    return NTMM_STATUS_SUCCESS;
}

static ntmm_status check_machine(struct ntmm_emulated *emu)
{
    if (!state_is_quiet(emu))
        return NTMM_STATUS_CANT_WAIT;
    return state_has_files(emu) ? NTMM_STATUS_NOT_SUPPORTED : NTMM_STATUS_SUCCESS;
}

NTMM_API ntmm_status ntmm_emulated_snapshot(struct ntmm_emulated *emu)
{
    ntmm_status status = check_machine(emu);
    if (status == NTMM_STATUS_SUCCESS)
        status = state_normalise(emu);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    bool is_alone = emu->snapshot != NULL && atomic_load(&emu->snapshot->users) == 1;
    return is_alone ? renew_snapshot(emu) : replace_snapshot(emu);
}

/* --- going back --- */

/* Disks that the snapshot does not know go. */
static void remove_new_disks(struct ntmm_emulated *emu, const struct snapshot *s)
{
    for (uint32_t number = 0; number < emu->device_room; number++) {
        struct disk *disk = device_at(emu, number);
        if (disk != NULL && find_state(s, number) == NULL)
            device_end(emu, disk);
    }
}

static bool bring_back_disk(struct ntmm_emulated *emu, const struct disk_state *state)
{
    struct disk *disk = state_add_disk(emu, &state->disk);
    if (disk == NULL)
        return false;
    const struct memory_run image = state_image(disk), durable = state_durable(disk);
    if (memory_adopt(&state->image, &image) &&
        (disk->durable == NULL || memory_adopt(&state->durable, &durable)))
        return true;
    device_end(emu, disk);
    return false;
}

/* Those that were removed since come back. */
static bool bring_back_disks(struct ntmm_emulated *emu, const struct snapshot *s)
{
    for (uint32_t i = 0; i < s->disk_states; i++) {
        if (device_at(emu, s->disks[i].disk.number) == NULL && !bring_back_disk(emu, &s->disks[i]))
            return false;
    }
    return true;
}

static bool restore_disk(struct disk *disk, const struct disk_state *state)
{
    const struct memory_run image = state_image(disk), durable = state_durable(disk);
    state_copy_numbers(disk, &state->disk);
    if (disk->cached != NULL) {
        memcpy(disk->cached, state->cached, (size_t)state_cached_bytes(disk));
        if (!memory_restore(&state->durable, &durable))
            return false;
    }
    return memory_restore(&state->image, &image);
}

static bool restore_memory(struct ntmm_emulated *emu, const struct snapshot *s)
{
    for (uint32_t i = 0; i < emu->platform.range_count; i++) {
        const struct memory_run run = state_ram(emu, i);
        if (!memory_restore(&s->ram[i], &run))
            return false;
    }
    remove_new_disks(emu, s);
    if (!bring_back_disks(emu, s))
        return false;
    for (struct disk *disk = device_from(emu, 0); disk != NULL;
         disk = device_from(emu, disk->number + 1)) {
        if (!restore_disk(disk, find_state(s, disk->number)))
            return false;
    }
    return true;
}

NTMM_API ntmm_status ntmm_emulated_restore_snapshot(struct ntmm_emulated *emu)
{
    const struct snapshot *s = emu->snapshot;
    if (s == NULL || s->is_broken)
        return NTMM_STATUS_INVALID_PARAMETER_1;
    if (!state_is_quiet(emu))
        return NTMM_STATUS_CANT_WAIT;
    if (!restore_memory(emu, s))
        return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    return state_adopt(emu, &s->state);
}

/* --- forking --- */

static bool fork_disk(struct ntmm_emulated *child, const struct disk *disk,
                      const struct disk_state *state)
{
    struct disk *copy = state_add_disk(child, disk);
    if (copy == NULL)
        return false;
    const struct memory_run from[2] = {state_image(disk), state_durable(disk)};
    const struct memory_run to[2] = {state_image(copy), state_durable(copy)};
    if (!memory_fork(state != NULL ? &state->image : NULL, &from[0], &to[0]))
        return false;
    if (disk->cached == NULL)
        return true;
    memcpy(copy->cached, disk->cached, (size_t)state_cached_bytes(disk));
    return memory_fork(state != NULL ? &state->durable : NULL, &from[1], &to[1]);
}

static ntmm_status fork_into(struct ntmm_emulated *emu, struct ntmm_emulated *child)
{
    struct machine_state state = {.processors = NULL};
    for (uint32_t i = 0; i < emu->platform.range_count; i++) {
        const struct memory_run from = state_ram(emu, i), to = state_ram(child, i);
        if (!memory_fork(&emu->snapshot->ram[i], &from, &to))
            return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    }
    for (const struct disk *disk = device_from(emu, 0); disk != NULL;
         disk = device_from(emu, disk->number + 1)) {
        if (!fork_disk(child, disk, find_state(emu->snapshot, disk->number)))
            return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    }
    memcpy(child->runs, emu->runs, sizeof child->runs); /* lent buffers are shared */
    child->memory.run_count = emu->memory.run_count;
    atomic_fetch_add(&emu->snapshot->users, 1);
    child->snapshot = emu->snapshot;
    if (!state_capture(emu, &state))
        return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    ntmm_status status = state_adopt(child, &state);
    state_free(&state);
    return status;
}

NTMM_API ntmm_status ntmm_emulated_fork(struct ntmm_emulated *emu, struct ntmm_emulated **fork)
{
    struct ntmm_emulated_config config = emu->config;
    struct ntmm_emulated *child;
    ntmm_status status;
    if (emu->snapshot == NULL || emu->snapshot->is_broken)
        status = ntmm_emulated_snapshot(emu);
    else if ((status = check_machine(emu)) == NTMM_STATUS_SUCCESS)
        status = state_normalise(emu);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    config.arena = NULL;
    status = ntmm_emulated_create(&config, &child);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    status = fork_into(emu, child);
    if (status != NTMM_STATUS_SUCCESS) {
        ntmm_emulated_destroy(child, NULL);
        return status;
    }
    *fork = child;
    return NTMM_STATUS_SUCCESS;
}

NTMM_API ntmm_status ntmm_emulated_query_snapshot(struct ntmm_emulated *emu,
                                                  struct ntmm_snapshot_information *information)
{
    const struct snapshot *s = emu->snapshot;
    if (information->size != sizeof *information)
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    *information = (struct ntmm_snapshot_information){.size = sizeof *information};
    if (s == NULL || s->is_broken)
        return NTMM_STATUS_SUCCESS;
    information->has_base = 1;
    information->sharers = atomic_load(&s->users);
    for (uint32_t i = 0; i < emu->platform.range_count; i++) {
        const struct memory_run run = state_ram(emu, i);
        information->is_compared |= s->ram[i].method == SCAN_COMPARE;
        information->changed_pages += memory_changed_pages(&s->ram[i], &run);
    }
    return NTMM_STATUS_SUCCESS;
}
