/*
 * Slabs: the core's own objects, out of frames, with NT's four-character tags and an owner each.
 *
 *   frame: [header][owner of each object, le32][pad][object][object]...   objects are 64-byte
 *   aligned
 *
 * S1 an object is free exactly when its owner is SLAB_FREE; a slab's used count is its objects in
 *    use
 * S2 a class's partial list holds exactly its slabs with a free object; its counts sum over its
 *    slabs
 * S3 a slab frame's row has use SLAB and the tag as its original entry; its header agrees with its
 *    class
 * S4 the VADs, tree nodes and nodes of marks in use are those of the trees, the blocks of logs of
 *    faults those of the processes, the records of secured ranges those of the VADs, each owned by
 *    its process
 * S5 a free object is zero but for the link of the free chain: nobody writes to what was released
 * S6 what objects in use do not use of their places holds the pattern of poison.h, if objects are
 *    guarded; what is no object's of the frame is zero: nobody writes behind an object's end
 *
 * A slab frame is charged to commit. The last empty slab of a class is kept until slab_trim.
 */
#ifndef NTMM_PHYS_SLAB_H
#define NTMM_PHYS_SLAB_H

#include "phys/pfn.h"

#define SLAB_FREE 0xFFFFFFFFu
#define SLAB_TAG(a, b, c, d)                                                                       \
    ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

struct slab {
    le32 tag;
    le32 kind;        /* enum slab_kind */
    le32 object_size; /* bytes, a multiple of 64 */
    le32 first;       /* offset of the first object, bytes */
    le32 capacity;    /* objects */
    le32 used;        /* objects in use (S) */
    le64 next;        /* partial list, references (S) */
    le64 prev;        /* (S) */
    le64 free;        /* first free object, a reference; chained through its first word (S) */
    le32 owners[];    /* index of the owning process, or SLAB_FREE (S) */
};

void slab_class_init(struct slab_class *class, uint32_t tag, uint32_t object_size);

/* A zeroed object; 0 with c->want set on shortage of frames or commit. Takes (S), (C), (N). */
uint64_t slab_allocate(struct call *c, enum slab_kind kind, uint32_t owner);

/* Takes (S), perhaps (C), (N), (Q). */
void slab_release(struct call *c, uint64_t ref);

/* Whether nobody wrote behind the end of an object in use; true where objects have no guards. */
bool slab_guard_is_whole(const struct call *c, const struct slab_class *class, uint64_t ref);

/* Whether the next object needs no frame. Takes (S). */
bool slab_has_room(struct call *c, enum slab_kind kind);

/* Give the empty slabs of a class, or of every class, back. */
void slab_trim_class(struct call *c, enum slab_kind kind);
void slab_trim(struct call *c);

#endif
