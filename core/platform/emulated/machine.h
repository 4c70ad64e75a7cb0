/*
 * The emulated machine, private.
 *
 *   machine.c    create, destroy, the system, sinks, statistics; fills in struct ntmm_platform
 *   arena.c      RAM: mapping, frame ranges, hash, save and restore
 *   snapshot*.c  a point to go back to, forks, files; snapshot.h
 *   content.c    zero, copy, compare, read, write
 *   lend.c       buffers of the embedder's and devices as physical addresses
 *   access.c     processors: attach, accesses with the door around them, shootdown
 *   scheduler.c  coroutines; relax, wait, wake, yield
 *   context.c    stacks that can be switched, which coroutines run on
 *   host.h       what is called of the host; windows/ has it where the host is no POSIX
 *   devices.c    disks and files by number: adding, looking, errors to come, power
 *   disk.c       their transfers: queue, latencies, errors; submit and pump
 *   disk_store.c where a disk's bytes lie
 *   host_file.c  opening host files
 *
 * Threads. Without NTMM_EMULATED_THREADS one host thread at a time is in here. With it, `lock`
 * protects disks, transfers and entropy (K), waits sleep on `woken` under it, counters are atomic
 * (R), and what the scheduler owns belongs to the thread in ntmm_emulated_run (S). Fields without a
 * letter are written before other threads come.
 */
#ifndef NTMM_EMULATED_MACHINE_H
#define NTMM_EMULATED_MACHINE_H

#include "base/assert.h"
#include "base/prng.h"
#include "platform/emulated/host.h"

#include <ntmm/emulated.h>
#include <ntmm/status.h>

#include <stdatomic.h>
#include <stdint.h>

#define PCID_COUNT 4096u
/* Virtual time of one switch and of one pump. */
#define LENT_RUNS NTMM_EMULATED_MAXIMUM_LENT
#define SWITCH_100NS 10u
#define PUMP_100NS 100u

struct coroutine;
struct disk;
struct snapshot;
struct transfer;

/* A processor and what runs on it; the owner's. */
struct processor {
    struct ntmm_cpu *cpu;
    ntmm_handle process;                /* attached, or 0 */
    ntmm_handle pcid_owner[PCID_COUNT]; /* whose translations the TLB may hold under a PCID */
};

/* Errors to come of one kind of operation. */
struct injection {
    uint32_t operations; /* bits of what is counted; 0: none */
    ntmm_status status;
    uint64_t after; /* operations that still succeed */
    uint64_t count; /* operations that then fail */
};

struct statistics {
    _Atomic(uint64_t) shootdowns;
    _Atomic(uint64_t) flushes;
    _Atomic(uint64_t) attach_flushes;
    _Atomic(uint64_t) pumps;
    _Atomic(uint64_t) transfers;
    _Atomic(uint64_t) completions;
    _Atomic(uint64_t) broken_waits;
    _Atomic(uint64_t) violations;
    _Atomic(uint64_t) injected_errors;
};

struct scheduler {
    _Atomic(uintptr_t) runner;   /* (R) host thread in ntmm_emulated_run, or 0 */
    struct coroutine *first;     /* (S) all, oldest first */
    struct coroutine **last;     /* (S) */
    struct coroutine *current;   /* (S) running, or NULL: the scheduler itself */
    struct coroutine *completer; /* (S) runs completions, or NULL */
    struct coroutine *root;      /* (S) stands for the runner's own stack */
    struct prng prng;            /* (S) */
    uint64_t unfinished;         /* (S) the completer left out */
    uint64_t switches;           /* (S) */
    uint64_t hash;               /* (S) of the order */
    uint32_t next_index;         /* (S) */
    uint32_t is_completing;      /* (S) the completer is in a pump: a completion may be half done */
    uint32_t level;              /* interrupt level outside coroutines */
};

struct ntmm_emulated {
    struct ntmm_platform platform;
    struct ntmm_emulated_config config; /* defaults filled in */
    struct ntmm_frame_range ranges[2];
    struct ntmm_cpu_memory memory;
    struct ntmm_cpu_run runs[LENT_RUNS]; /* memory.run_count of them are in use */
    uint8_t *arena;
    size_t arena_bytes; /* RAM and hole */
    uint32_t owns_arena;
    uint32_t disk_count;  /* (K) numbers given so far */
    uint32_t device_room; /* (K) */
    void *mapping;        /* what is unmapped in the end, when owns_arena */
    size_t mapping_bytes;
    struct processor *processors; /* config.cpu_count of them */
    struct ntmm_cpu *cpus;

    struct ntmm_system *system; /* or NULL */
    void *system_storage;
    struct snapshot *snapshot; /* or NULL */
    ntmm_emulated_log_sink log;
    void *log_context;
    ntmm_emulated_event_sink event;
    void *event_context;

    pthread_mutex_t lock;
    pthread_cond_t woken;
    pthread_key_t processor_key; /* of a host thread: its number */
    _Atomic(uint64_t) now_100ns; /* (R) virtual time */
    _Atomic(uint64_t) in_flight; /* (R) transfers accepted whose completion has not returned */
    struct prng entropy;         /* (K) */
    struct prng io_prng;         /* (K) */
    struct disk **devices;       /* (K) by number, device_room of them; NULL: none of that number */
    struct transfer *transfers;  /* (K) list of those in flight, in order of submission */
    struct injection content_errors;
    struct scheduler scheduler;
    struct statistics statistics;
};

static inline bool has_threads(const struct ntmm_emulated *emu)
{
    return (emu->config.flags & NTMM_EMULATED_THREADS) != 0;
}

static inline void count_one(_Atomic(uint64_t) *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* The locks, which nothing does without threads. */
static inline void machine_lock(struct ntmm_emulated *emu)
{
    if (has_threads(emu))
        (void)pthread_mutex_lock(&emu->lock);
}

static inline void machine_unlock(struct ntmm_emulated *emu)
{
    if (has_threads(emu))
        (void)pthread_mutex_unlock(&emu->lock);
}

/* One operation of a kind: the status it is to fail with, or SUCCESS. (K) where threads are. */
static inline ntmm_status take_injection(struct ntmm_emulated *emu, struct injection *injection,
                                         uint32_t operation)
{
    if (__builtin_expect(!(injection->operations & operation), 1))
        return NTMM_STATUS_SUCCESS;
    if (injection->after != 0) {
        injection->after--;
        return NTMM_STATUS_SUCCESS;
    }
    if (injection->count == 0)
        return NTMM_STATUS_SUCCESS;
    if (injection->count != UINT64_MAX)
        injection->count--;
    count_one(&emu->statistics.injected_errors);
    return injection->status;
}

/* arena.c */
ntmm_status arena_check_config(struct ntmm_emulated_config *config);
/* Whether an arena of the caller's, if any, is said to be as large as a stored machine. */
bool arena_has_size(const struct ntmm_emulated_config *config, uint64_t ram_bytes,
                    uint64_t hole_bytes);
ntmm_status arena_create(struct ntmm_emulated *emu);
void arena_destroy(struct ntmm_emulated *emu);
uint64_t arena_frame_base(const struct ntmm_emulated *emu);
/* Bytes of a page of the host, by which it protects memory; not NTMM_PAGE_SIZE. */
size_t host_page_bytes(void);

/* lend.c */
uint8_t *lent_frame(const struct ntmm_emulated *emu, uint64_t frame);

/* Host address of a frame, or NULL when it is neither RAM nor a lent buffer. */
static inline uint8_t *frame_at(const struct ntmm_emulated *emu, uint64_t frame)
{
    for (uint32_t i = 0; i < emu->platform.range_count; i++) {
        if (frame - emu->ranges[i].base_frame < emu->ranges[i].frame_count)
            return emu->arena + ((frame << NTMM_PAGE_SHIFT) - emu->config.base_pa);
    }
    return emu->memory.run_count != 0 ? lent_frame(emu, frame) : NULL;
}

/* Host address of a span, or NULL when it is not within one frame of RAM. */
static inline uint8_t *span_at(const struct ntmm_emulated *emu,
                               const struct ntmm_content_span *span)
{
    uint8_t *page = frame_at(emu, span->frame);
    if (page == NULL || span->size_bytes > NTMM_PAGE_SIZE ||
        span->offset_bytes > NTMM_PAGE_SIZE - span->size_bytes)
        return NULL;
    return page + span->offset_bytes;
}

/* content.c */
void content_load_shared(uint8_t *to, uint8_t *from, size_t size);
ntmm_status content_zero(void *context, const uint64_t *frames, uint32_t count);
ntmm_status content_copy(void *context, const uint64_t *to, const uint64_t *from, uint32_t count);
ntmm_status content_compare(void *context, const uint64_t *a, const uint64_t *b, uint32_t count,
                            uint64_t *equal);
ntmm_status content_read(void *context, const struct ntmm_content_span *spans, uint32_t count,
                         void *buffer);
ntmm_status content_write(void *context, const struct ntmm_content_span *spans, uint32_t count,
                          const void *buffer);

/* access.c */
ntmm_status access_create_processors(struct ntmm_emulated *emu);
void access_destroy_processors(struct ntmm_emulated *emu);
void access_detach_all(struct ntmm_emulated *emu);
void access_invalidate(void *context, const struct ntmm_shootdown *shootdown);

/* scheduler.c */
void scheduler_init(struct ntmm_emulated *emu, uint64_t seed);
void scheduler_destroy(struct ntmm_emulated *emu);
void scheduler_drop_completer(struct ntmm_emulated *emu);
uint64_t scheduler_now(struct ntmm_emulated *emu);
void scheduler_check_level(struct ntmm_emulated *emu);
void scheduler_preempt(struct ntmm_emulated *emu);
void scheduler_relax(void *context);
uint32_t scheduler_raise_level(void *context);
void scheduler_lower_level(void *context, uint32_t old_level);
uint32_t scheduler_level(void *context);
uint32_t scheduler_begin_completion(struct ntmm_emulated *emu);
void scheduler_end_completion(struct ntmm_emulated *emu, uint32_t old_level);
ntmm_status scheduler_wait(void *context, struct ntmm_wait *wait, uint64_t deadline_100ns);
void scheduler_wake(void *context, struct ntmm_wait *wait);
void scheduler_pump(void *context);
uint32_t scheduler_processor(void *context);

/* devices.c */
void devices_destroy(struct ntmm_emulated *emu);
void devices_dismount(struct ntmm_emulated *emu);

/* disk.c */
void disk_pump(struct ntmm_emulated *emu);
ntmm_status disk_submit(void *context, struct ntmm_io *io);

#endif
