/*
 * The disks of a machine, by number: adding one, looking at it, errors to come, power.
 *
 * A number is never given twice, and disks[number] is found in the index at once, however many
 * there are. The index grows by doubling and moves then, so that it is read under (K) only.
 */
#include "platform/emulated/disk.h"

#include <stdlib.h>
#include <string.h>

/* --- the index --- */

struct disk *device_at(const struct ntmm_emulated *emu, uint64_t number)
{
    return number < emu->device_room ? emu->devices[number] : NULL;
}

struct disk *device_from(const struct ntmm_emulated *emu, uint64_t number)
{
    while (number < emu->device_room && emu->devices[number] == NULL)
        number++;
    return device_at(emu, number);
}

static bool make_room(struct ntmm_emulated *emu, uint64_t number)
{
    uint32_t room = emu->device_room != 0 ? emu->device_room : 8;
    while (room <= number)
        room *= 2;
    if (room == emu->device_room)
        return true;
    struct disk **grown = realloc(emu->devices, room * sizeof *grown);
    if (grown == NULL)
        return false;
    memset(grown + emu->device_room, 0, (room - emu->device_room) * sizeof *grown);
    emu->devices = grown;
    emu->device_room = room;
    return true;
}

bool device_enter(struct ntmm_emulated *emu, struct disk *disk)
{
    if (!make_room(emu, disk->number))
        return false;
    emu->devices[disk->number] = disk;
    return true;
}

static void close_disk(struct disk *disk)
{
    store_close(disk);
    free(disk);
}

void device_end(struct ntmm_emulated *emu, struct disk *disk)
{
    if (device_at(emu, disk->number) == disk)
        emu->devices[disk->number] = NULL;
    close_disk(disk);
}

/* A number of its own. False: no memory, or no numbers left. */
static bool enter_new(struct ntmm_emulated *emu, struct disk *disk)
{
    machine_lock(emu);
    disk->number = emu->disk_count;
    bool is_entered = emu->disk_count < DEVICES_MAXIMUM && device_enter(emu, disk);
    emu->disk_count += is_entered;
    machine_unlock(emu);
    return is_entered;
}

/* --- adding --- */

static bool is_config_valid(const struct ntmm_emulated_disk_config *c)
{
    const uint32_t known = NTMM_EMULATED_DISK_INLINE | NTMM_EMULATED_DISK_WRITE_CACHE;
    uint64_t sizes = c->size_bytes | c->maximum_bytes;
    if (sizes % NTMM_EMULATED_SECTOR_SIZE != 0 || sizes == 0 || sizes >> 62)
        return false;
    if (c->maximum_bytes != 0 && c->maximum_bytes < c->size_bytes)
        return false;
    if (c->maximum_latency_pumps != 0 && c->maximum_latency_pumps < c->minimum_latency_pumps)
        return false;
    if (c->path != NULL && (c->flags & NTMM_EMULATED_DISK_WRITE_CACHE))
        return false;
    return (c->flags & ~known) == 0 && c->reserved == 0;
}

static void fill_disk(struct disk *disk, const struct ntmm_emulated_disk_config *c)
{
    disk->size_bytes = c->size_bytes;
    disk->maximum_bytes = c->maximum_bytes != 0 ? c->maximum_bytes : c->size_bytes;
    disk->flags = c->flags;
    disk->minimum_latency_pumps = c->minimum_latency_pumps != 0 ? c->minimum_latency_pumps : 1;
    disk->maximum_latency_pumps = c->maximum_latency_pumps != 0 ? c->maximum_latency_pumps : 8;
    if (disk->maximum_latency_pumps < disk->minimum_latency_pumps)
        disk->maximum_latency_pumps = disk->minimum_latency_pumps;
    disk->is_on = 1;
}

NTMM_API ntmm_status ntmm_emulated_add_disk(struct ntmm_emulated *emu,
                                            const struct ntmm_emulated_disk_config *config,
                                            uint64_t *device)
{
    if (config->size != sizeof *config || config->version != NTMM_EMULATED_DISK_VERSION)
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    if (!is_config_valid(config))
        return NTMM_STATUS_INVALID_PARAMETER_2;
    struct disk *disk = calloc(1, sizeof *disk);
    if (disk == NULL)
        return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    fill_disk(disk, config);
    ntmm_status status = NTMM_STATUS_INSUFFICIENT_RESOURCES;
    if (!store_open(disk, config->path))
        status = config->path != NULL ? NTMM_STATUS_OBJECT_NAME_NOT_FOUND : status;
    else if (enter_new(emu, disk))
        status = NTMM_STATUS_SUCCESS;
    if (status == NTMM_STATUS_SUCCESS)
        *device = disk->number;
    else
        close_disk(disk);
    return status;
}

/* --- looking --- */

NTMM_API void *ntmm_emulated_disk_image(struct ntmm_emulated *emu, uint64_t device,
                                        uint64_t *size_bytes)
{
    machine_lock(emu);
    struct disk *disk = device_at(emu, device);
    uint8_t *image = disk != NULL ? disk->image : NULL;
    if (image != NULL && size_bytes != NULL)
        *size_bytes = disk->size_bytes;
    machine_unlock(emu);
    return image;
}

/* (K) */
static ntmm_status look(struct disk *disk, uint64_t offset_bytes, void *buffer, size_t size_bytes)
{
    struct iovec piece = {.iov_base = buffer, .iov_len = size_bytes};
    if (size_bytes > disk->size_bytes || offset_bytes > disk->size_bytes - size_bytes)
        return NTMM_STATUS_END_OF_FILE;
    return store_read(disk, offset_bytes, &piece, 1) ? NTMM_STATUS_SUCCESS
                                                     : NTMM_STATUS_DEVICE_DATA_ERROR;
}

NTMM_API ntmm_status ntmm_emulated_read_disk(void *emulated, uint64_t device, uint64_t offset_bytes,
                                             void *buffer, size_t size_bytes)
{
    struct ntmm_emulated *emu = emulated;
    machine_lock(emu);
    struct disk *disk = device_at(emu, device);
    ntmm_status status = disk != NULL ? look(disk, offset_bytes, buffer, size_bytes)
                                      : NTMM_STATUS_INVALID_PARAMETER_2;
    machine_unlock(emu);
    return status;
}

/* --- errors and power --- */

/* (K) */
static void set_errors(struct disk *disk, const struct ntmm_emulated_disk_errors *errors)
{
    disk->errors = (struct injection){0};
    if (errors == NULL)
        return;
    disk->errors =
        (struct injection){errors->operations, errors->status, errors->after, errors->count};
    disk->refuses_errors = errors->is_refused;
    disk->errors_base = errors->base_bytes;
    disk->errors_end = errors->end_bytes;
}

NTMM_API ntmm_status ntmm_emulated_inject_disk(struct ntmm_emulated *emu, uint64_t device,
                                               const struct ntmm_emulated_disk_errors *errors)
{
    machine_lock(emu);
    struct disk *disk = device_at(emu, device);
    if (disk != NULL)
        set_errors(disk, errors);
    machine_unlock(emu);
    return disk != NULL ? NTMM_STATUS_SUCCESS : NTMM_STATUS_INVALID_PARAMETER_2;
}

NTMM_API ntmm_status ntmm_emulated_cut_power(struct ntmm_emulated *emu, uint64_t device,
                                             uint32_t flags)
{
    machine_lock(emu);
    struct disk *disk = device_at(emu, device);
    if (disk != NULL) {
        store_lose_cache(disk, flags & NTMM_EMULATED_CUT_KEEPS_SOME ? &emu->io_prng : NULL);
        disk_abandon_transfers(emu, disk, (flags & NTMM_EMULATED_CUT_TEARS) != 0);
        (void)store_flush(disk); /* what was torn is durable */
    }
    machine_unlock(emu);
    return disk != NULL ? NTMM_STATUS_SUCCESS : NTMM_STATUS_INVALID_PARAMETER_2;
}

NTMM_API ntmm_status ntmm_emulated_restore_power(struct ntmm_emulated *emu, uint64_t device)
{
    machine_lock(emu);
    struct disk *disk = device_at(emu, device);
    if (disk != NULL)
        disk->is_on = 1;
    machine_unlock(emu);
    return disk != NULL ? NTMM_STATUS_SUCCESS : NTMM_STATUS_INVALID_PARAMETER_2;
}

/* --- the end --- */

/* Every disk goes off, and every transfer completes. */
void devices_dismount(struct ntmm_emulated *emu)
{
    machine_lock(emu);
    for (struct disk *disk = device_from(emu, 0); disk != NULL;
         disk = device_from(emu, disk->number + 1))
        disk_abandon_transfers(emu, disk, false);
    machine_unlock(emu);
    while (emu->transfers != NULL)
        disk_pump(emu);
}

void devices_destroy(struct ntmm_emulated *emu)
{
    for (uint32_t number = 0; number < emu->device_room; number++) {
        if (emu->devices[number] != NULL)
            close_disk(emu->devices[number]);
    }
    free(emu->devices);
}
