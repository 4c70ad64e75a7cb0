/*
 * Section and file objects, and their handles.
 *
 *   handle --> slot --> object --> control area, name, file
 *   anchor --> object <--> object        all of a kind
 *
 *   kind 63:56 | generation 55:32 | lacks 31:24 | slot 23:0
 *
 * Each handle has a slot of its own, with a generation, so that a closed one is known from those
 * that are open. An object counts its handles; calls that keep a file count as handles too. A
 * section ends with its last handle; a file stays, found by no handle, while sections, views or
 * modified pages need it.
 *
 *   OB1 a slot is free, on the chain, or names an object in use; an object's handle_count is the
 *       number of slots that name it
 *   OB2 object_pages of the partition is the number of frames of the table
 *   OB3 a file's valid data ends within the file, and no call changes its size
 *   OB4 file_lock.h
 *
 * Everything here needs (O).
 */
#ifndef NTMM_SECTION_OBJECT_H
#define NTMM_SECTION_OBJECT_H

#include "base/lock.h"
#include "phys/slab.h"

#include <ntmm/file.h>
#include <ntmm/section.h>

#define SECTION_TAG SLAB_TAG('S', 'e', 'c', 't')
#define FILE_TAG SLAB_TAG('F', 'i', 'l', 'e')
#define NAME_TAG SLAB_TAG('O', 'b', 'N', 'm')

#define HANDLE_KIND_SECTION 3u
#define HANDLE_KIND_FILE 4u
#define OBJECT_LACKS_SHIFT 24u
#define OBJECT_LACKS (0xFFull << OBJECT_LACKS_SHIFT)
#define OBJECT_SLOTS_PER_FRAME 256u
#define OBJECTS_MAX (NTMM_ENTRIES_PER_TABLE * OBJECT_SLOTS_PER_FRAME)

struct object_slot {
    le64 handle; /* without what it lacks; 0: free */
    le64 object; /* a reference; of a free slot: number of the next one + 1, or 0 */
};

/* What every object begins with. */
struct object {
    le64 next, prev;   /* all of its kind, references */
    le64 name;         /* a reference, or 0 */
    le32 name_units;   /* of its name */
    le32 handle_count; /* handles that are open, and calls that keep it */
};

struct section {
    struct object object;
    le64 area;       /* its control area, a reference; fixed */
    le64 size_bytes; /* exact for a file */
    le64 based_page; /* of SEC_BASED, or 0; fixed */
    le32 protection; /* NTMM_PAGE_*; fixed */
    le32 attributes; /* NTMM_SEC_*; fixed */
};

struct file {
    struct object object;
    le64 device;          /* fixed */
    le64 size_bytes;      /* (R) to read, with (O) to write */
    le64 valid_bytes;     /* (R) to read, with (O) to write */
    le64 data_area;       /* a reference, or 0 */
    le64 image_area;      /* a reference, or 0 */
    le64 locks;           /* first byte-range lock, a reference, or 0 */
    le32 flags;           /* NTMM_FILE_*; fixed */
    le32 is_write_failed; /* (R) */
    le32 is_resizing;     /* a call changes its size: one at a time (O) */
    le32 cuts;            /* times that it became smaller (O) to write, (R) */
};

struct object_name {
    le16 units[NTMM_SECTION_NAME_MAXIMUM + 1];
};

static inline struct section *section_at(const struct call *c, uint64_t ref)
{
    return core_at(c->bias, ref);
}

static inline struct file *file_at(const struct call *c, uint64_t ref)
{
    return core_at(c->bias, ref);
}

static inline void objects_lock(struct call *c)
{
    lock_acquire(c, &anchor_of(c)->objects_lock, LOCK_OBJECTS);
}

static inline void objects_unlock(struct call *c)
{
    lock_release(c, &anchor_of(c)->objects_lock, LOCK_OBJECTS);
}

/* The handle that lacks all rights but `granted`, of those that a bit stands for. */
static inline ntmm_handle handle_with(ntmm_handle handle, uint32_t granted)
{
    return handle | (uint64_t)(~granted & 0xFFu) << OBJECT_LACKS_SHIFT;
}

static inline bool object_handle_holds(ntmm_handle handle, uint32_t rights)
{
    return (handle & (uint64_t)rights << OBJECT_LACKS_SHIFT) == 0;
}

/* A zeroed frame of NTMM_USE_OBJECT, charged: a reference to it. 0 with c->want set. */
uint64_t object_take_frame(struct call *c);

/* A new object with one handle and a copy of the name. 0 with c->want set; INSUFFICIENT_RESOURCES
 * in *status, c->want empty, when there are too many handles. */
uint64_t object_create(struct call *c, uint32_t kind, const uint16_t *name, uint32_t name_units,
                       ntmm_handle *handle, ntmm_status *status);

/* One handle more of an object. Statuses as object_create. */
ntmm_status object_open(struct call *c, uint32_t kind, uint64_t ref, ntmm_handle *handle);

/* The object of a handle: INVALID_HANDLE, OBJECT_TYPE_MISMATCH, ACCESS_DENIED. */
ntmm_status object_find(struct call *c, ntmm_handle handle, uint32_t kind, uint32_t rights,
                        uint64_t *ref);

/* The object of a kind with a name, or 0; it has a handle. */
uint64_t object_by_name(struct call *c, uint32_t kind, const uint16_t *name, uint32_t name_units);

/* A handle is no more; its object still counts it. */
void object_close_slot(struct call *c, ntmm_handle handle);

/* Every handle of every object is no more. */
void object_close_all(struct call *c);

/* An object that nothing counts any more leaves its list, and its name with it. */
void object_unlist(struct call *c, uint32_t kind, struct object *object);

/* Free an object that is on no list. */
void object_free(struct call *c, uint64_t ref);

/* The first object of a kind, a reference, or 0; the others through `next`. */
static inline uint64_t object_first(const struct call *c, uint32_t kind)
{
    return get64(&anchor_of(c)->objects_head[kind - HANDLE_KIND_SECTION]);
}

/* The frames of the table; no object is left. */
void object_table_free(struct call *c);

#endif
