/*
 * The emulated machine as a whole: making and unmaking it, its system, its platform struct.
 *
 * Order of making: configuration, RAM, processors, platform; of unmaking: disks go off (their
 * transfers complete), the system ends, coroutines, processors and RAM go. Random numbers come in
 * three streams (interleaving, I/O, entropy), so that one draw more in one does not shift the
 * others.
 */
#define _GNU_SOURCE 1
#include "platform/emulated/machine.h"
#include "platform/emulated/host.h"
#include "platform/emulated/snapshot.h"

#include <stdlib.h>
#include <string.h>

static void send_log(void *context, uint32_t level, const char *text)
{
    struct ntmm_emulated *emu = context;
    if (emu->log != NULL)
        emu->log(emu->log_context, level, text);
}

static void send_event(void *context, const struct ntmm_event *event)
{
    struct ntmm_emulated *emu = context;
    if (emu->event != NULL)
        emu->event(emu->event_context, event);
}

static uint64_t read_clock(void *context) { return scheduler_now(context); }

static void draw_entropy(void *context, void *buffer, size_t size_bytes)
{
    struct ntmm_emulated *emu = context;
    uint8_t *out = buffer;
    machine_lock(emu);
    for (size_t done = 0; done < size_bytes; done++) {
        if (done % 8 == 0) {
            le64 word;
            set64(&word, prng_next(&emu->entropy));
            size_t part = size_bytes - done < 8 ? size_bytes - done : 8;
            memcpy(out + done, &word, part);
        }
    }
    machine_unlock(emu);
}

static void fill_platform(struct ntmm_emulated *emu)
{
    struct ntmm_platform *p = &emu->platform;
    p->size = sizeof *p;
    p->version = NTMM_PLATFORM_VERSION;
    p->context = emu;
    p->ranges = emu->ranges;
    p->direct_map = (uintptr_t)emu->arena - (uintptr_t)emu->config.base_pa;
    p->zero = content_zero;
    p->copy = content_copy;
    p->compare = content_compare;
    p->read = content_read;
    p->write = content_write;
    p->invalidate = access_invalidate;
    p->relax = scheduler_relax;
    if (emu->config.flags & (NTMM_EMULATED_CHECK_LEVEL | NTMM_EMULATED_PREEMPT)) {
        p->raise_level = scheduler_raise_level;
        p->lower_level = scheduler_lower_level;
        p->level = scheduler_level;
    }
    p->wait = scheduler_wait;
    p->wake = scheduler_wake;
    p->pump = scheduler_pump;
    p->processor = scheduler_processor;
    p->now = read_clock;
    p->entropy = draw_entropy;
    p->submit = disk_submit;
    p->log = send_log;
    p->event = send_event;
}

/* A condition whose deadlines are on the monotonic clock. */
static bool create_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return false;
    bool made = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
                pthread_cond_init(condition, &attributes) == 0;
    (void)pthread_condattr_destroy(&attributes);
    return made;
}

static ntmm_status create_locks(struct ntmm_emulated *emu)
{
    if (pthread_mutex_init(&emu->lock, NULL) != 0)
        return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    bool has_condition = create_condition(&emu->woken);
    if (has_condition && pthread_key_create(&emu->processor_key, NULL) == 0)
        return NTMM_STATUS_SUCCESS;
    if (has_condition)
        (void)pthread_cond_destroy(&emu->woken);
    (void)pthread_mutex_destroy(&emu->lock);
    return NTMM_STATUS_INSUFFICIENT_RESOURCES;
}

static void destroy_locks(struct ntmm_emulated *emu)
{
    (void)pthread_mutex_destroy(&emu->lock);
    (void)pthread_cond_destroy(&emu->woken);
    (void)pthread_key_delete(emu->processor_key);
}

static void seed_streams(struct ntmm_emulated *emu)
{
    uint64_t seed = emu->config.seed;
    scheduler_init(emu, splitmix64(&seed));
    prng_seed(&emu->io_prng, splitmix64(&seed));
    prng_seed(&emu->entropy, splitmix64(&seed));
}

NTMM_API ntmm_status ntmm_emulated_create(const struct ntmm_emulated_config *config,
                                          struct ntmm_emulated **out)
{
    if (config->size != sizeof *config || config->version != NTMM_EMULATED_CONFIG_VERSION)
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    struct ntmm_emulated *emu = calloc(1, sizeof *emu);
    if (emu == NULL)
        return NTMM_STATUS_INSUFFICIENT_RESOURCES;
    emu->config = *config;
    ntmm_status status = arena_check_config(&emu->config);
    if (status == NTMM_STATUS_SUCCESS)
        status = create_locks(emu);
    if (status != NTMM_STATUS_SUCCESS) {
        free(emu);
        return status;
    }
    seed_streams(emu);
    status = arena_create(emu);
    if (status == NTMM_STATUS_SUCCESS)
        status = access_create_processors(emu);
    if (status != NTMM_STATUS_SUCCESS) {
        ntmm_emulated_destroy(emu, NULL);
        return status;
    }
    fill_platform(emu);
    *out = emu;
    return NTMM_STATUS_SUCCESS;
}

NTMM_API void ntmm_emulated_destroy(struct ntmm_emulated *emu, struct ntmm_teardown *teardown)
{
    if (teardown != NULL)
        *teardown = (struct ntmm_teardown){0};
    if (emu == NULL)
        return;
    devices_dismount(emu);
    if (emu->system != NULL)
        ntmm_destroy_system(emu->system, teardown);
    free(emu->system_storage);
    scheduler_destroy(emu);
    devices_destroy(emu);
    access_destroy_processors(emu);
    arena_destroy(emu);
    snapshot_leave(emu->snapshot);
    destroy_locks(emu);
    free(emu);
}

NTMM_API const struct ntmm_platform *ntmm_emulated_platform(struct ntmm_emulated *emu)
{
    return &emu->platform;
}

/* Storage for a system, unless there is one. */
static ntmm_status obtain_storage(struct ntmm_emulated *emu)
{
    if (emu->system != NULL)
        return NTMM_STATUS_OBJECT_NAME_COLLISION;
    if (emu->system_storage == NULL)
        emu->system_storage = calloc(1, ntmm_system_size());
    return emu->system_storage ? NTMM_STATUS_SUCCESS : NTMM_STATUS_INSUFFICIENT_RESOURCES;
}

NTMM_API ntmm_status ntmm_emulated_create_system(struct ntmm_emulated *emu,
                                                 const struct ntmm_config *config,
                                                 struct ntmm_system **system)
{
    struct ntmm_config own = {.size = sizeof own, .version = NTMM_CONFIG_VERSION};
    if (config != NULL)
        own = *config;
    if (own.physical_address_bits == 0)
        own.physical_address_bits = emu->config.physical_address_bits;
    if (own.seed == 0)
        own.seed = emu->config.seed;
    ntmm_status status = obtain_storage(emu);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    status = ntmm_create_system(emu->system_storage, ntmm_system_size(), &own, &emu->platform,
                                &emu->system);
    if (status == NTMM_STATUS_SUCCESS)
        *system = emu->system;
    return status;
}

NTMM_API ntmm_status ntmm_emulated_attach_system(struct ntmm_emulated *emu,
                                                 struct ntmm_system **system)
{
    ntmm_status status = obtain_storage(emu);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    status =
        ntmm_attach_system(emu->system_storage, ntmm_system_size(), &emu->platform, &emu->system);
    if (status == NTMM_STATUS_SUCCESS) {
        access_detach_all(emu);
        *system = emu->system;
    }
    return status;
}

NTMM_API struct ntmm_system *ntmm_emulated_system(struct ntmm_emulated *emu) { return emu->system; }

NTMM_API void *ntmm_emulated_arena(struct ntmm_emulated *emu, uint64_t *size_bytes)
{
    if (size_bytes != NULL)
        *size_bytes = emu->arena_bytes;
    return emu->arena;
}

NTMM_API void ntmm_emulated_set_log(struct ntmm_emulated *emu, ntmm_emulated_log_sink sink,
                                    void *context)
{
    emu->log = sink;
    emu->log_context = context;
}

NTMM_API void ntmm_emulated_set_event(struct ntmm_emulated *emu, ntmm_emulated_event_sink sink,
                                      void *context)
{
    emu->event = sink;
    emu->event_context = context;
}

NTMM_API void ntmm_emulated_query(struct ntmm_emulated *emu, struct ntmm_emulated_statistics *out)
{
    struct statistics *s = &emu->statistics;
    *out = (struct ntmm_emulated_statistics){
        .now_100ns = scheduler_now(emu),
        .shootdowns = s->shootdowns,
        .flushes = s->flushes,
        .attach_flushes = s->attach_flushes,
        .pumps = s->pumps,
        .transfers = s->transfers,
        .completions = s->completions,
        .switches = emu->scheduler.switches,
        .schedule_hash = emu->scheduler.hash,
        .broken_waits = s->broken_waits,
        .violations = s->violations,
        .injected_errors = s->injected_errors,
    };
}

NTMM_API void ntmm_emulated_inject_content(struct ntmm_emulated *emu, uint32_t operations,
                                           uint64_t after, uint64_t count, ntmm_status status)
{
    emu->content_errors = (struct injection){operations, status, after, count};
}
