/*
 * Physical addresses beside RAM: the embedder's buffers, and devices.
 *
 *   0        RAM, hole, RAM        |  1 GiB aligned  | buffer |    | device |
 *
 * Each is a run of struct ntmm_cpu_memory; runs are apart from RAM, from its hole and from each
 * other. Processors cache where a run lies, so they forget everything whenever one comes or goes.
 * Not part of a snapshot: a fork has the same runs, over the same bytes; a machine that is restored
 * keeps those that it has.
 */
#include "platform/emulated/machine.h"

#include <string.h>

#define GIB (UINT64_C(1) << 30)

uint8_t *lent_frame(const struct ntmm_emulated *emu, uint64_t frame)
{
    uint64_t address = frame << NTMM_PAGE_SHIFT;
    for (uint32_t i = 0; i < emu->memory.run_count; i++) {
        const struct ntmm_cpu_run *run = &emu->runs[i];
        if (run->host != NULL && address - run->base_pa < run->size)
            return run->host + (address - run->base_pa);
    }
    return NULL;
}

static bool is_anybody_inside(const struct ntmm_emulated *emu)
{
    for (uint32_t i = 0; i < emu->config.cpu_count; i++) {
        if (emu->cpus[i].inside != 0)
            return true;
    }
    return false;
}

static void forget_everything(struct ntmm_emulated *emu)
{
    const struct ntmm_invalidation everything = {
        .flags = NTMM_INVALIDATE_GLOBAL | NTMM_INVALIDATE_ALL_PCIDS,
    };
    for (uint32_t i = 0; i < emu->config.cpu_count; i++)
        ntmm_cpu_invalidate(&emu->cpus[i], &everything);
}

static uint64_t end_of_ram(const struct ntmm_emulated *emu)
{
    return emu->config.base_pa + emu->arena_bytes;
}

/* Above RAM and every run. */
static uint64_t choose_address(const struct ntmm_emulated *emu)
{
    uint64_t end = end_of_ram(emu);
    for (uint32_t i = 0; i < emu->memory.run_count; i++) {
        uint64_t run_end = emu->runs[i].base_pa + emu->runs[i].size;
        end = run_end > end ? run_end : end;
    }
    return (end + GIB - 1) & ~(GIB - 1);
}

static bool is_apart(uint64_t base, uint64_t size, uint64_t other_base, uint64_t other_size)
{
    return base >= other_base + other_size || other_base >= base + size;
}

static bool is_free(const struct ntmm_emulated *emu, uint64_t base, uint64_t size)
{
    uint64_t limit = UINT64_C(1) << emu->config.physical_address_bits;
    if (base > limit || size > limit - base ||
        !is_apart(base, size, emu->config.base_pa, emu->arena_bytes))
        return false;
    for (uint32_t i = 0; i < emu->memory.run_count; i++) {
        if (!is_apart(base, size, emu->runs[i].base_pa, emu->runs[i].size))
            return false;
    }
    return true;
}

static ntmm_status add_run(struct ntmm_emulated *emu, struct ntmm_cpu_run run,
                           uint64_t *first_frame)
{
    if (run.size == 0 || run.size % NTMM_PAGE_SIZE != 0)
        return NTMM_STATUS_INVALID_PARAMETER_3;
    if (*first_frame >> (64 - NTMM_PAGE_SHIFT) != 0)
        return NTMM_STATUS_INVALID_PARAMETER_4;
    run.base_pa = *first_frame != 0 ? *first_frame << NTMM_PAGE_SHIFT : choose_address(emu);
    if (!is_free(emu, run.base_pa, run.size))
        return NTMM_STATUS_INVALID_PARAMETER_4;
    if (emu->memory.run_count == LENT_RUNS)
        return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    if (is_anybody_inside(emu))
        return NTMM_STATUS_CANT_WAIT;
    emu->runs[emu->memory.run_count++] = run;
    forget_everything(emu);
    *first_frame = run.base_pa >> NTMM_PAGE_SHIFT;
    return NTMM_STATUS_SUCCESS;
}

NTMM_API ntmm_status ntmm_emulated_lend(struct ntmm_emulated *emu, void *buffer,
                                        uint64_t size_bytes, uint64_t *first_frame)
{
    const struct ntmm_cpu_run run = {.size = size_bytes, .host = buffer};
    if (buffer == NULL || (uintptr_t)buffer % NTMM_PAGE_SIZE != 0)
        return NTMM_STATUS_INVALID_PARAMETER_2;
    return add_run(emu, run, first_frame);
}

NTMM_API ntmm_status ntmm_emulated_map_io(struct ntmm_emulated *emu,
                                          const struct ntmm_emulated_device *device,
                                          uint64_t size_bytes, uint64_t *first_frame)
{
    if (device->size != sizeof *device)
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    if (device->read == NULL || device->write == NULL)
        return NTMM_STATUS_INVALID_PARAMETER_2;
    const struct ntmm_cpu_run run = {
        .size = size_bytes,
        .read = device->read,
        .write = device->write,
        .context = device->context,
    };
    return add_run(emu, run, first_frame);
}

NTMM_API ntmm_status ntmm_emulated_take_back(struct ntmm_emulated *emu, uint64_t first_frame)
{
    uint32_t count = emu->memory.run_count;
    for (uint32_t i = 0; i < count; i++) {
        if (emu->runs[i].base_pa >> NTMM_PAGE_SHIFT != first_frame)
            continue;
        if (is_anybody_inside(emu))
            return NTMM_STATUS_CANT_WAIT;
        memmove(&emu->runs[i], &emu->runs[i + 1], (count - i - 1) * sizeof emu->runs[0]);
        emu->memory.run_count--;
        forget_everything(emu);
        return NTMM_STATUS_SUCCESS;
    }
    return NTMM_STATUS_INVALID_PARAMETER_2;
}
