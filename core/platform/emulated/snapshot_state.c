/*
 * What a machine is besides its memory: taken out of it and put back. See snapshot.h.
 *
 * The running side of the system (struct ntmm_system) is not copied: when the machine is quiet it
 * holds nothing that the frames do not say, but what the embedder set, which is kept. It is
 * attached anew instead, in a machine that is copied as in its copy, so that neither remembers more
 * than the other.
 */
#include "platform/emulated/snapshot.h"

#include "base/instance.h"
#include "platform/emulated/cpu_private.h"

#include <stdlib.h>
#include <string.h>

bool state_is_quiet(struct ntmm_emulated *emu)
{
    if (emu->scheduler.unfinished != 0 || emu->scheduler.is_completing != 0 ||
        atomic_load(&emu->in_flight) != 0 || emu->transfers != NULL)
        return false;
    for (uint32_t i = 0; i < emu->config.cpu_count; i++) {
        if (emu->cpus[i].inside != 0)
            return false;
    }
    return emu->system == NULL || (load32_relaxed(&emu->system->for_frame.count) == 0 &&
                                   emu->system->transfers.in_flight == 0);
}

/* The system of the frames, under the same pointer, with what the embedder set. */
static ntmm_status attach_again(struct ntmm_emulated *emu)
{
    struct ntmm_system *system = emu->system_storage;
    uint32_t mask = system->event_mask;
    ntmm_invalidation_sink sink = system->invalidation_sink;
    void *context = system->invalidation_context;
    ntmm_image_verifier verifier = system->image_verifier;
    void *verifier_context = system->verifier_context;
    ntmm_status status =
        ntmm_attach_system(system, ntmm_system_size(), &emu->platform, &emu->system);
    system->event_mask = mask;
    system->invalidation_sink = sink;
    system->invalidation_context = context;
    system->image_verifier = verifier;
    system->verifier_context = verifier_context;
    return status;
}

static void forget_translations(struct ntmm_emulated *emu)
{
    for (uint32_t i = 0; i < emu->config.cpu_count; i++) {
        struct processor *processor = &emu->processors[i];
        ntmm_cpu_drain(processor->cpu);
        cpu_forget_everything(processor->cpu);
        memset(processor->pcid_owner, 0, sizeof processor->pcid_owner);
    }
}

ntmm_status state_normalise(struct ntmm_emulated *emu)
{
    forget_translations(emu);
    scheduler_drop_completer(emu);
    return emu->system != NULL ? attach_again(emu) : NTMM_STATUS_SUCCESS;
}

static struct processor_state capture_processor(const struct processor *processor)
{
    const struct ntmm_cpu *cpu = processor->cpu;
    return (struct processor_state){
        .process = processor->process,
        .cr0 = cpu->cr0,
        .cr2 = cpu->cr2,
        .cr3 = cpu->cr3,
        .cr4 = cpu->cr4,
        .efer = cpu->efer,
        .pkru = cpu->mode.pkru,
        .pkrs = cpu->mode.pkrs,
        .cpl = cpu->cpl,
        .ac = cpu->ac,
        .fault = cpu->fault,
        .statistics = cpu->statistics,
    };
}

static void adopt_processor(struct processor *processor, const struct processor_state *state)
{
    struct ntmm_cpu *cpu = processor->cpu;
    processor->process = state->process;
    cpu->cr0 = state->cr0;
    cpu->cr2 = state->cr2;
    cpu->cr3 = state->cr3;
    cpu->cr4 = state->cr4;
    cpu->efer = state->efer;
    cpu->mode.pkru = state->pkru;
    cpu->mode.pkrs = state->pkrs;
    cpu->cpl = (uint8_t)state->cpl;
    cpu->ac = state->ac != 0;
    cpu->fault = state->fault;
    cpu->statistics = state->statistics;
    cpu_update_mode(cpu);
}

bool state_capture(struct ntmm_emulated *emu, struct machine_state *state)
{
    struct processor_state *processors = state->processors;
    if (processors == NULL)
        processors = calloc(emu->config.cpu_count, sizeof *processors);
    if (processors == NULL)
        return false;
    for (uint32_t i = 0; i < emu->config.cpu_count; i++)
        processors[i] = capture_processor(&emu->processors[i]);
    *state = (struct machine_state){
        .now_100ns = atomic_load(&emu->now_100ns),
        .disk_count = emu->disk_count,
        .has_system = emu->system != NULL,
        .entropy = emu->entropy,
        .io_prng = emu->io_prng,
        .scheduler_prng = emu->scheduler.prng,
        .switches = emu->scheduler.switches,
        .schedule_hash = emu->scheduler.hash,
        .next_index = emu->scheduler.next_index,
        .level = emu->scheduler.level,
        .content_errors = emu->content_errors,
        .statistics = emu->statistics,
        .processors = processors,
    };
    return true;
}

static ntmm_status adopt_system(struct ntmm_emulated *emu, bool has_system)
{
    struct ntmm_system *attached;
    if (!has_system) {
        emu->system = NULL;
        return NTMM_STATUS_SUCCESS;
    }
    if (emu->system != NULL)
        return attach_again(emu);
    return ntmm_emulated_attach_system(emu, &attached);
}

ntmm_status state_adopt(struct ntmm_emulated *emu, const struct machine_state *state)
{
    ntmm_status status = adopt_system(emu, state->has_system != 0);
    forget_translations(emu);
    scheduler_drop_completer(emu);
    for (uint32_t i = 0; i < emu->config.cpu_count; i++)
        adopt_processor(&emu->processors[i], &state->processors[i]);
    atomic_store(&emu->now_100ns, state->now_100ns);
    emu->disk_count = state->disk_count;
    emu->entropy = state->entropy;
    emu->io_prng = state->io_prng;
    emu->scheduler.prng = state->scheduler_prng;
    emu->scheduler.switches = state->switches;
    emu->scheduler.hash = state->schedule_hash;
    emu->scheduler.next_index = state->next_index;
    emu->scheduler.level = state->level;
    emu->content_errors = state->content_errors;
    emu->statistics = state->statistics;
    return status;
}

void state_free(struct machine_state *state)
{
    free(state->processors);
    state->processors = NULL;
}

/* --- memory and disks --- */

struct memory_run state_ram(const struct ntmm_emulated *emu, uint32_t range)
{
    const struct ntmm_frame_range *r = &emu->ranges[range];
    return (struct memory_run){
        .bytes = frame_at(emu, r->base_frame),
        .size_bytes = (size_t)(r->frame_count << NTMM_PAGE_SHIFT),
    };
}

struct memory_run state_image(const struct disk *disk)
{
    return (struct memory_run){.bytes = disk->image,
                               .size_bytes = (size_t)store_mapped_bytes(disk)};
}

struct memory_run state_durable(const struct disk *disk)
{
    return (struct memory_run){.bytes = disk->durable,
                               .size_bytes = (size_t)store_mapped_bytes(disk)};
}

uint64_t state_cached_bytes(const struct disk *disk)
{
    return (store_sectors(disk->maximum_bytes) / 64 + 1) * sizeof *disk->cached;
}

bool state_has_files(const struct ntmm_emulated *emu)
{
    for (const struct disk *disk = device_from(emu, 0); disk != NULL;
         disk = device_from(emu, disk->number + 1)) {
        if (disk->image == NULL)
            return true;
    }
    return false;
}

void state_copy_numbers(struct disk *to, const struct disk *from)
{
    struct disk numbers = *from;
    numbers.file = to->file;
    numbers.image = to->image;
    numbers.durable = to->durable;
    numbers.cached = to->cached;
    *to = numbers;
}

struct disk *state_add_disk(struct ntmm_emulated *emu, const struct disk *like)
{
    struct disk *disk = calloc(1, sizeof *disk);
    if (disk == NULL)
        return NULL;
    state_copy_numbers(disk, like);
    if (store_open(disk, NULL) && device_enter(emu, disk))
        return disk;
    device_end(emu, disk);
    return NULL;
}
