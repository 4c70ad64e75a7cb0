/**
 * @file
 * The platform seam: everything the core asks of its surroundings, in porting order.
 *
 * Fields 1 to 3 are enough for a first example on one processor: frames, the content operations and
 * an invalidation. Every operation gets `context` first. Unless a line says otherwise an operation
 * may be NULL, may be called with core spin locks held, at DISPATCH, must then not block and must
 * not call the core.
 *
 * Storage. A device is a disk or a file, by the port's number. Page files move in whole pages; of
 * other files the last span may be shorter than a page, since the core never passes the end that it
 * knows of. A read past the device's end fails with NTMM_STATUS_END_OF_FILE and has moved what is
 * before it, a write past it with NTMM_STATUS_DISK_FULL and has moved nothing: only NTMM_IO_EXTEND
 * makes a device larger, as NT's paging writes never extend a file.
 *
 * Glossary. Frame: a page of physical memory, by number. Core address: physical address plus
 * ntmm_config.core_base. Table frame: one that holds the core's own objects; it never moves and is
 * read through the direct map. User frame: one that holds a program's bytes; the core touches it
 * only through the content operations.
 */
#ifndef NTMM_PLATFORM_H
#define NTMM_PLATFORM_H

#include <ntmm/event.h>
#include <ntmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** ntmm_platform.version of this header. */
#define NTMM_PLATFORM_VERSION 1u

/** Frames are all zero already. */
#define NTMM_FRAMES_ZEROED 1u
/** Of a range: none of its frames is there yet; not of the first range. They need not exist, nor be
 * in the direct map, until ntmm_add_frames. Costs nothing until then. */
#define NTMM_FRAMES_ABSENT 2u

/**
 * Interrupt levels by NT's names and numbers, as far as the core knows them.
 *
 * A port has a level to which raise_level raises; the core's spin locks are taken there, and
 * whoever is there is not made to wait. The core calls it DISPATCH, whatever the port raises to:
 * interrupts off will do. Each public call names the highest level at which it may be made:
 *
 *   Level: APC.       It may wait: in `wait` and `pump`, and for what `submit` does. Debug builds
 *                     trap when it is made at DISPATCH or above, if the port has `level`.
 *   Level: DISPATCH.  It never waits: it spins for locks whose owners are at DISPATCH, and for
 *                     the shootdowns that they, or it, began.
 *   Level: any.       It takes no lock.
 *   Level: HIGH.      It is made with interrupts off (ntmm/freestanding.h).
 *
 * Completions of transfers may be run up to DISPATCH. Neither a completion nor an interrupt makes
 * a call of level APC: it wakes a thread that does. docs/levels.md is the table of all calls.
 */
enum ntmm_level {
    NTMM_PASSIVE_LEVEL = 0,  /**< A thread that may wait. */
    NTMM_APC_LEVEL = 1,      /**< The same, not to be interrupted by an APC. */
    NTMM_DISPATCH_LEVEL = 2, /**< Spin locks are taken here; nobody waits. */
};

/** A run of frames handed over. Ranges are given in rising order and do not touch. The first is
 * there; of another with NTMM_FRAMES_ABSENT none is until ntmm_add_frames (frames.h). */
struct ntmm_frame_range {
    uint64_t base_frame;  /**< First frame number. */
    uint64_t frame_count; /**< Frames in the range. */
    uint32_t node;        /**< NUMA node; 0. */
    uint32_t flags;       /**< NTMM_FRAMES_ZEROED, NTMM_FRAMES_ABSENT or 0. */
};

/** A part of one frame's contents. */
struct ntmm_content_span {
    uint64_t frame;        /**< Frame number. */
    uint32_t offset_bytes; /**< First byte within the frame. */
    uint32_t size_bytes;   /**< Bytes; offset + size <= 4096. */
};

/** Most ranges of one shootdown; a wider operation asks for the whole address space. */
#define NTMM_SHOOTDOWN_RANGES 8u

/** A half-open range of addresses, bytes. */
struct ntmm_address_range {
    uint64_t base; /**< First byte. */
    uint64_t end;  /**< Byte after the last. */
};

/** Why translations are withdrawn. */
enum ntmm_shootdown_reason {
    NTMM_SHOOTDOWN_PROTECT,  /**< Rights were taken. */
    NTMM_SHOOTDOWN_UNMAP,    /**< Pages or tables are about to be freed. */
    NTMM_SHOOTDOWN_TRIM,     /**< Pages leave a working set, or move to other frames. */
    NTMM_SHOOTDOWN_ACCESSED, /**< Accessed or dirty bits were cleared. */
    NTMM_SHOOTDOWN_PROCESS,  /**< The address space ends. */
};

/** One round of invalidation. */
struct ntmm_shootdown {
    uint64_t root_frame;               /**< Frame of the root table. */
    ntmm_handle process;               /**< Whose address space. */
    enum ntmm_shootdown_reason reason; /**< Why. */
    uint32_t range_count;              /**< Ranges used; 0 means the whole address space. */
    struct ntmm_address_range
        ranges[NTMM_SHOOTDOWN_RANGES]; /**< What is withdrawn, tables above it included. */
};

/**
 * A wait, owned by the caller of ntmm_fault_begin: zeroed before the first begin of a fault, handed
 * in unchanged each time the fault is begun again, and done with when begin returns anything but
 * PENDING, or when it is cancelled. The core links it into a list; the platform may use
 * `platform_word` as it likes.
 */
struct ntmm_wait {
    struct ntmm_wait *next; /**< The core's list. */
    struct ntmm_wait *prev; /**< The core's list. */
    void *block;            /**< The core's: the transfer that the fault waits for, or NULL. */
    uint32_t flags;         /**< The core's: what the fault did so far. */
    uint32_t reserved;      /**< 0. */
    uint64_t platform_word; /**< The platform's. */
    uint32_t is_queued;     /**< The core's: linked and not yet woken. */
    uint32_t is_woken;      /**< Set, with release order, before the platform's wake is called. */
};

/** Storage operations. */
enum ntmm_io_operation {
    NTMM_IO_READ,   /**< Device to frames. */
    NTMM_IO_WRITE,  /**< Frames to device. */
    NTMM_IO_FLUSH,  /**< Make finished writes durable. */
    NTMM_IO_EXTEND, /**< Grow the device to offset_bytes. */
    /** Shrink the device to offset_bytes. Optional: a port that cannot refuses it with
     * NTMM_STATUS_NOT_SUPPORTED. */
    NTMM_IO_TRUNCATE,
};

/** One asynchronous vectored transfer, owned by the submitter until its completion has run. */
struct ntmm_io {
    uint64_t device;                       /**< Which device, the platform's number. */
    uint64_t offset_bytes;                 /**< First byte on the device. */
    const struct ntmm_content_span *spans; /**< Where in memory, in device order. */
    uint32_t span_count;                   /**< Spans. */
    enum ntmm_io_operation operation;      /**< What to do. */
    ntmm_status status;                    /**< Out: result, valid in the completion. */
    uint64_t transferred_bytes;            /**< Out: bytes moved. */
    void (*complete)(struct ntmm_io *io);  /**< Run once, up to DISPATCH, no lock held. */
    void *context;                         /**< The submitter's. */
};

/** A range of user addresses that belongs to the embedder. */
struct ntmm_foreign_range {
    uint64_t base; /**< First byte. */
    uint64_t end;  /**< Byte after the last. */
};

/** The seam. Set `size` and `version`, zero the rest, fill in what the port has. */
struct ntmm_platform {
    uint32_t size;    /**< sizeof(struct ntmm_platform). */
    uint32_t version; /**< NTMM_PLATFORM_VERSION. */
    void *context;    /**< First argument of every operation. */

    /** 1. Frames handed over; read during create and attach only. */
    const struct ntmm_frame_range *ranges;
    uint32_t range_count; /**< Ranges, 1..16. */
    uint32_t reserved;    /**< 0. */
    /** Host address that physical address 0 has in the direct map, modulo the size of a pointer. */
    uintptr_t direct_map;

    /** 2. Content operations on user frames. Required. May fail: the status goes to the caller. */
    ntmm_status (*zero)(void *context, const uint64_t *frames, uint32_t count);
    /** Copy frame from[i] to frame to[i]. */
    ntmm_status (*copy)(void *context, const uint64_t *to, const uint64_t *from, uint32_t count);
    /** Set bit i of *equal when a[i] and b[i] hold the same bytes; count <= 64. */
    ntmm_status (*compare)(void *context, const uint64_t *a, const uint64_t *b, uint32_t count,
                           uint64_t *equal);
    /** Gather the spans into buffer. */
    ntmm_status (*read)(void *context, const struct ntmm_content_span *spans, uint32_t count,
                        void *buffer);
    /** Scatter buffer into the spans. */
    ntmm_status (*write)(void *context, const struct ntmm_content_span *spans, uint32_t count,
                         const void *buffer);

    /**
     * 3. Withdraw translations. Returns when no processor uses one of them; called with the
     *    working-set
     * lock held, which no processor that is inside waits for. NULL: no processor caches anything.
     */
    void (*invalidate)(void *context, const struct ntmm_shootdown *shootdown);

    /** 4. 256 entries copied into the upper half of each new root; NULL: zeros. */
    const uint64_t *root_template;

    /** 5. Called in every spin; yields a coroutine. */
    void (*relax)(void *context);
    /** Raise to the level at which the core's spin locks are taken; returns the old level. */
    uint32_t (*raise_level)(void *context);
    /** Back to the level that raise_level returned. */
    void (*lower_level)(void *context, uint32_t old_level);
    /** The current level, enum ntmm_level or above. NULL: the level of callers is not checked. */
    uint32_t (*level)(void *context);

    /**
     * 6. Block until the wait is woken or the deadline passes; no lock is held. NTMM_STATUS_SUCCESS
     *    when
     * woken, NTMM_STATUS_TIMEOUT when the deadline passed or nothing can ever wake it.
     */
    ntmm_status (*wait)(void *context, struct ntmm_wait *wait, uint64_t deadline_100ns);
    /** Make the waiter runnable; from any context, spin locks may be held. */
    void (*wake)(void *context, struct ntmm_wait *wait);
    /** 7. Run completions that are due; no lock is held. */
    void (*pump)(void *context);

    /** 8. Number of the current processor, below 4096. What few others use at the same time is kept
     *     apart by it; a wrong or changing number costs time, nothing else. NULL: 0. */
    uint32_t (*processor)(void *context);
    /** Monotonic time, 100 ns. */
    uint64_t (*now)(void *context);
    /** Fill buffer with random bytes. The same bytes are the same choices on every host. */
    void (*entropy)(void *context, void *buffer, size_t size_bytes);

    /** 9. Start a transfer; no lock is held. Not a success: the completion will not run. */
    ntmm_status (*submit)(void *context, struct ntmm_io *io);

    /** 10. The lowest foreign range that ends above va; false: none. */
    bool (*foreign_range)(void *context, ntmm_handle process, uint64_t va,
                          struct ntmm_foreign_range *range);

    /** 11. Sinks: a line of text without newline; an event. */
    void (*log)(void *context, uint32_t level, const char *text);
    /** One event record, valid during the call. */
    void (*event)(void *context, const struct ntmm_event *event);
};

#ifdef __cplusplus
}
#endif

#endif
