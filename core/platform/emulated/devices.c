/*
 * The disks and files of a machine, by number: adding and removing, looking, errors to come,
 * power.
 *
 * A number is never given twice, and disks[number] is found in the index at once, however many
 * there are. The index grows by doubling and moves then, so that it is read under (K) only.
 */
#include "platform/emulated/disk.h"
#include "platform/emulated/host_file.h"

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
static bool enter_new(struct ntmm_emulated *emu, struct disk *disk, uint64_t *number)
{
    machine_lock(emu);
    disk->number = emu->disk_count;
    disk->stale_seed = emu->config.seed + disk->number;
    bool is_entered = emu->disk_count < DEVICES_MAXIMUM && device_enter(emu, disk);
    emu->disk_count += is_entered;
    if (is_entered)
        *number = disk->number;
    machine_unlock(emu);
    return is_entered;
}

/* --- adding --- */

/* What a disk's flags are, a file's are too. */
_Static_assert(NTMM_EMULATED_DISK_INLINE == NTMM_EMULATED_FILE_INLINE, "one queue");
_Static_assert(NTMM_EMULATED_DISK_WRITE_CACHE == NTMM_EMULATED_FILE_WRITE_CACHE, "one store");

/* A disk is a file of whole sectors. */
static struct ntmm_emulated_file_config file_like(const struct ntmm_emulated_disk_config *c)
{
    return (struct ntmm_emulated_file_config){
        .path = c->path,
        .size_bytes = c->size_bytes,
        .maximum_bytes = c->maximum_bytes != 0 ? c->maximum_bytes : c->size_bytes,
        .flags = c->flags,
        .minimum_latency_pumps = c->minimum_latency_pumps,
        .maximum_latency_pumps = c->maximum_latency_pumps,
        .reserved = c->reserved,
    };
}

/* What holds for disks and files. */
static bool is_setup_valid(const struct ntmm_emulated_file_config *c)
{
    if ((c->size_bytes | c->maximum_bytes) >> 62)
        return false;
    if (c->maximum_bytes != 0 && c->maximum_bytes < c->size_bytes)
        return false;
    if (c->maximum_latency_pumps != 0 && c->maximum_latency_pumps < c->minimum_latency_pumps)
        return false;
    if (c->path != NULL && (c->flags & NTMM_EMULATED_FILE_WRITE_CACHE))
        return false;
    return c->reserved == 0;
}

static bool is_disk_valid(const struct ntmm_emulated_file_config *c)
{
    const uint32_t known = NTMM_EMULATED_DISK_INLINE | NTMM_EMULATED_DISK_WRITE_CACHE;
    uint64_t sizes = c->size_bytes | c->maximum_bytes;
    return sizes != 0 && sizes % NTMM_EMULATED_SECTOR_SIZE == 0 && (c->flags & ~known) == 0 &&
           is_setup_valid(c);
}

static bool is_file_valid(const struct ntmm_emulated_file_config *c)
{
    const uint32_t in_memory = NTMM_EMULATED_FILE_WRITE_CACHE | NTMM_EMULATED_FILE_STALE;
    const uint32_t of_host = NTMM_EMULATED_FILE_CREATE;
    const uint32_t known =
        in_memory | of_host | NTMM_EMULATED_FILE_INLINE | NTMM_EMULATED_FILE_READ_ONLY;
    const uint32_t both = NTMM_EMULATED_FILE_CREATE | NTMM_EMULATED_FILE_READ_ONLY;
    bool is_of_host = c->path != NULL;
    if (is_of_host && (c->size_bytes != 0 || c->contents != NULL))
        return false;
    if ((c->flags & (is_of_host ? in_memory : of_host)) != 0 || (c->flags & both) == both)
        return false;
    return (c->flags & ~known) == 0 && is_setup_valid(c);
}

static void fill_disk(struct disk *disk, const struct ntmm_emulated_file_config *c)
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

/* Where the bytes of a disk lie: in a host file that is made, and made large enough. */
static ntmm_status open_disk(struct disk *disk, const struct ntmm_emulated_file_config *c)
{
    if (store_open(disk, c->path))
        return NTMM_STATUS_SUCCESS;
    return c->path != NULL ? NTMM_STATUS_OBJECT_NAME_NOT_FOUND : NTMM_STATUS_INSUFFICIENT_RESOURCES;
}

/* Of a file: in memory with its first contents, or in a host file as it is. */
static ntmm_status open_file(struct disk *disk, const struct ntmm_emulated_file_config *c)
{
    if (c->path == NULL && !store_open(disk, NULL))
        return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    if (c->path == NULL) {
        store_fill(disk, c->contents);
        return NTMM_STATUS_SUCCESS;
    }
    ntmm_status status = host_file_open(c->path, c->flags, &disk->file, &disk->size_bytes);
    disk->maximum_bytes = c->maximum_bytes != 0 ? c->maximum_bytes : UINT64_C(1) << 62;
    if (disk->maximum_bytes < disk->size_bytes)
        disk->maximum_bytes = disk->size_bytes;
    return status;
}

typedef ntmm_status (*opener)(struct disk *disk, const struct ntmm_emulated_file_config *c);

/* A device of a valid configuration. */
static ntmm_status add_device(struct ntmm_emulated *emu, const struct ntmm_emulated_file_config *c,
                              opener open_bytes, uint64_t *device, uint64_t *size_bytes)
{
    struct disk *disk = calloc(1, sizeof *disk);
    if (disk == NULL)
        return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    fill_disk(disk, c);
    ntmm_status status = open_bytes(disk, c);
    uint64_t opened_bytes = disk->size_bytes; /* once it is entered others may change it */
    if (status == NTMM_STATUS_SUCCESS && !enter_new(emu, disk, device))
        status = NTMM_STATUS_INSUFFICIENT_RESOURCES;
    if (status != NTMM_STATUS_SUCCESS)
        close_disk(disk);
    else if (size_bytes != NULL)
        *size_bytes = opened_bytes;
    return status;
}

NTMM_API ntmm_status ntmm_emulated_add_disk(struct ntmm_emulated *emu,
                                            const struct ntmm_emulated_disk_config *config,
                                            uint64_t *device)
{
    if (config->size != sizeof *config || config->version != NTMM_EMULATED_DISK_VERSION)
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    const struct ntmm_emulated_file_config like = file_like(config);
    if (!is_disk_valid(&like))
        return NTMM_STATUS_INVALID_PARAMETER_2;
    return add_device(emu, &like, open_disk, device, NULL);
}

NTMM_API ntmm_status ntmm_emulated_add_file(struct ntmm_emulated *emu,
                                            const struct ntmm_emulated_file_config *config,
                                            uint64_t *device, uint64_t *size_bytes)
{
    if (config->size != sizeof *config || config->version != NTMM_EMULATED_FILE_VERSION)
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    if (!is_file_valid(config))
        return NTMM_STATUS_INVALID_PARAMETER_2;
    return add_device(emu, config, open_file, device, size_bytes);
}

/* --- removing --- */

NTMM_API ntmm_status ntmm_emulated_remove_device(struct ntmm_emulated *emu, uint64_t device)
{
    machine_lock(emu);
    struct disk *disk = device_at(emu, device);
    ntmm_status status = NTMM_STATUS_SUCCESS;
    if (disk == NULL)
        status = NTMM_STATUS_INVALID_PARAMETER_2;
    else if (disk->in_flight != 0)
        status = NTMM_STATUS_CANT_WAIT;
    else
        device_end(emu, disk);
    machine_unlock(emu);
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

NTMM_API uint64_t ntmm_emulated_file_size(struct ntmm_emulated *emu, uint64_t device)
{
    machine_lock(emu);
    const struct disk *disk = device_at(emu, device);
    uint64_t size_bytes = disk != NULL ? disk->size_bytes : UINT64_MAX;
    machine_unlock(emu);
    return size_bytes;
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
    disk->error_flags = (errors->is_refused ? DISK_ERRORS_REFUSE : 0) |
                        (errors->is_torn && !errors->is_refused ? DISK_ERRORS_TEAR : 0);
    if ((disk->error_flags & DISK_ERRORS_TEAR) && errors->status == NTMM_STATUS_SUCCESS)
        disk->errors.status = NTMM_STATUS_PENDING;
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
