/**
 * @file
 * The event stream: fixed 32-byte records handed to the platform's event sink as things happen. Off
 * by default; one bit of the mask a kind.
 */
#ifndef NTMM_EVENT_H
#define NTMM_EVENT_H

#include <ntmm/types.h>

/** Kinds of event; bit (1 << kind) of the mask enables one. */
enum ntmm_event_kind {
    NTMM_EVENT_FAULT,           /**< a: va, b: fault kind, detail: hardware error code. */
    NTMM_EVENT_FAULT_WAIT,      /**< a: va. A fault waits for a frame. */
    NTMM_EVENT_FRAME_STATE,     /**< a: frame, b: entry address, detail: new location. */
    NTMM_EVENT_TABLE_CREATED,   /**< a: va, b: frame, detail: level of its entries. */
    NTMM_EVENT_TABLE_FREED,     /**< a: va, b: frame, detail: level of its entries. */
    NTMM_EVENT_RESERVE,         /**< a: base, b: size in bytes. */
    NTMM_EVENT_COMMIT,          /**< a: base, b: size in bytes. */
    NTMM_EVENT_DECOMMIT,        /**< a: base, b: size in bytes. */
    NTMM_EVENT_RELEASE,         /**< a: base, b: size in bytes. */
    NTMM_EVENT_PROTECT,         /**< a: base, b: size in bytes, detail: new protection. */
    NTMM_EVENT_SHOOTDOWN,       /**< a: first byte, b: end, detail: number of ranges. */
    NTMM_EVENT_PROCESS_CREATED, /**< a: handle, b: root frame. */
    NTMM_EVENT_PROCESS_ENDED,   /**< a: handle. */
    NTMM_EVENT_PAGE_READ,       /**< a: device offset, b: status, detail: pages. Complete. */
    NTMM_EVENT_PAGE_WRITE,      /**< a: device offset, b: status, detail: pages. Complete. */
    NTMM_EVENT_TRIM,            /**< a: pages trimmed, b: pages left. Of one working set. */
    NTMM_EVENT_PAGE_FILE,       /**< a: size in pages, b: device, detail: number. Made or grown. */
    /** a: conditions that hold, bit (1 << enum ntmm_memory_condition) each, b: held before,
     *  detail: those that changed. */
    NTMM_EVENT_MEMORY_CONDITION,
    NTMM_EVENT_JOB_LIMIT, /**< a: job, or 0: closed, b: pages, detail: NTMM_JOB_MESSAGE_*. */
    NTMM_EVENT_MAP,       /**< a: base, b: size in bytes, detail: protection asked for. */
    NTMM_EVENT_UNMAP,     /**< a: base, b: size in bytes. */
};

/** One record. 32 bytes on every host; fields in the host's byte order. */
struct ntmm_event {
    uint64_t time_100ns; /**< The platform's clock; 0 without one. */
    uint64_t a;          /**< First operand, see the kind. */
    uint64_t b;          /**< Second operand, see the kind. */
    uint32_t process;    /**< Index of the process (bits 31:0 of its handle). */
    uint16_t kind;       /**< enum ntmm_event_kind. */
    uint16_t detail;     /**< Third operand, see the kind. */
};

#endif
