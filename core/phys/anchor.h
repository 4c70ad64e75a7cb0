/*
 * The anchor: the first words of the lowest frame, from which everything that survives is reached.
 *
 *   anchor --> frame ranges --> PFN database, run table of each range
 *          --> partition    --> page lists, commit, node --> zeroed and free lists, whole runs
 *          --> slab classes --> slab frames
 *          --> process directory
 *
 * A partition owns lists, counters and commit, a node its free frames (one of each at first;
 * nothing of theirs stands in the system itself).
 *
 * A1 the anchor fits its frame; every word of it is little-endian; none is a host pointer.
 * A2 the fixed metadata are the first frames of each range (the anchor first of all, then the rows
 *    of the range's own frames and runs); they are active, never listed, never freed.
 * A3 the standby frames repurposed, priority by priority, add up to the counter of all; the low
 *    threshold of available frames is at most the high one.
 */
#ifndef NTMM_PHYS_ANCHOR_H
#define NTMM_PHYS_ANCHOR_H

#include "base/assert.h"
#include "base/instance.h"

#include <ntmm/counters.h>

#define ANCHOR_MAGIC 0x4D4D544E00000005ull /* "NTMM", layout 5 */
#define FRAME_RANGES_MAX 16u
#define FRAME_NONE 0xFFFFFFFFFFull /* the end of a page list: 40 bits of ones */
#define STANDBY_PRIORITIES 8u
#define FRAME_LOCKS 64u /* a power of two */
#define FRAME_CACHES 8u /* a power of two: of processors, by number */
#define FRAME_CACHE_FRAMES 128u

/*
 * Frames handed over, and where their rows are. A range of which no frame was ever there has no
 * rows (hot.h): then frame_count and run_count are 0, and metadata_end is base_frame. Whoever reads
 * one of them with acquire order and finds it is not 0 may read the rest, which is fixed then.
 */
struct frame_range {
    le64 base_frame;  /* fixed after create */
    le64 given_count; /* frames of the range, there or not; fixed after create */
    le64 frame_count; /* rows: 0, or given_count (R) */
    le64 pfn_ref;     /* PFN database of the range */
    le64 run_ref;     /* run table: one row an aligned 2 MiB run that is inside the range */
    le32 run_count;   /* rows (R) */
    le32 node;
    le64 first_run;    /* number (frame >> 9) of the first row */
    le64 metadata_end; /* first frame that is not metadata */
};

/* A page list: a chain of frames through their PFN rows. */
struct frame_list {
    le64 count;    /* frames (L or N) */
    le64 head;     /* first frame or FRAME_NONE (L or N) */
    le64 tail;     /* last frame or FRAME_NONE (L or N) */
    le32 lock;     /* LOCK_LIST; unused for a node's lists, which its own lock covers */
    le32 location; /* enum ntmm_frame_location of its frames; fixed */
};

/* Free frames of a NUMA node. */
struct node {
    le32 lock; /* LOCK_NODE */
    le32 reserved;
    struct frame_list zeroed; /* (N) */
    struct frame_list free;   /* (N) */
    le64 whole_runs;          /* first run with all 512 frames zeroed or free, a reference (N) */
    le64 whole_run_count;     /* such runs (N) */
    le64 user_pages;          /* frames of pages of processes and sections, with the caches' (N) */
    le64 user_peak;           /* (N) */
};

struct partition {
    le64 commit;            /* pages promised, and those that processors keep (C) */
    le64 commit_limit;      /* pages that can be (C) */
    le64 commit_peak;       /* highest charge (C) */
    le64 commit_reserve;    /* overdraft for page tables made by faults; fixed */
    le64 commit_growth;     /* pages that page files may still grow by (R) */
    le64 commit_extra;      /* of the limit, what the configuration adds; fixed */
    le64 total_pages;       /* frames handed over that are there (R) */
    le64 metadata_pages;    /* of these, fixed metadata (R) */
    le64 process_pages;     /* frames of process objects and their directory (D) */
    le64 standby_pages;     /* frames on the standby lists together (R) */
    le64 paging_ref;        /* frame of the page files' descriptors, or 0: there is none (D) */
    le64 paging_pages;      /* frames of descriptors, slot maps and the dummy page (R) */
    le64 transition_pages;  /* frames in transition, on no list (R) */
    le64 read_ahead_credit; /* pages that may be read ahead, at this rate of success (R) */
    le64 dummy_frame;    /* where pages that nobody wants are read to; fixed once there is a file */
    le64 minimum_pages;  /* the working-set minima of all processes together (R) */
    le64 large_pages;    /* frames of large pages, and of small ones that are not paged (R) */
    le64 section_shares; /* entries of processes and calls that name pages of sections (R) */
    le64 section_active; /* pages of sections that have a share (R) */
    le64 area_tables;    /* tables of prototypes, those that are out included (R) */
    le64 area_hand;      /* area at which the next sweep over tables begins, a reference; 0: the
                            first one (O) */
    le64 object_pages;   /* frames of the table of objects (O) */
    le64 image_pages;    /* frames of what images keep (R) */
    le64 mapped_since;   /* no area's modified_since is before it; 0: none has one (R) */
    le32 page_file_count; /* (D) to write, (R) */
    le32 balance_slot;    /* process slot at which the next sweep begins (R) */
    struct frame_list standby[STANDBY_PRIORITIES];
    le64 repurposed[STANDBY_PRIORITIES]; /* standby frames taken for something else (R) */
    struct frame_list modified;          /* to be written to page files */
    struct frame_list modified_mapped;   /* to be written to the files they are pages of */
    struct frame_list modified_no_write;
    struct frame_list bad;
    struct node node;
};

/*
 * Frames that a processor took together, to hand them out one by one without (N); see cache.h. 128
 * bytes: two lines, since processors fetch them in pairs.
 */
struct frame_cache {
    le32 lock;      /* LOCK_CACHE */
    le32 count;     /* frames in it (P) */
    le32 is_zeroed; /* whether they are (P) */
    le32 reserved;
    le64 user_pages; /* what it adds to the node's, modulo 2^64 (P to write, R) */
    le64 head;       /* first frame; through flink, as long as count says (P) */
    le64 commit;     /* pages of the partition's that nobody was promised, see commit.c (C) */
    le64 alone[11];
};

/* Objects of one size and tag. */
struct slab_class {
    le32 lock;        /* LOCK_SLAB */
    le32 tag;         /* four characters, first in the low byte; fixed */
    le16 object_size; /* bytes from one to the next, a multiple of 64; fixed */
    le16 body_size;   /* bytes of it that are used; fixed */
    le32 capacity;    /* objects a frame */
    le64 partial;     /* first slab frame with room, a reference (S) */
    le64 frame_count; /* slab frames (S) */
    le64 used;        /* objects in use (S); read relaxed by sweeps */
};

enum slab_kind {
    SLAB_VAD,
    SLAB_VAD_NODE,
    SLAB_WATCH_NODE,
    SLAB_FAULT_LOG,
    SLAB_SECURE,
    SLAB_SECTION,
    SLAB_FILE,
    SLAB_NAME,
    SLAB_CONTROL_AREA,
    SLAB_SUBSECTION,
    SLAB_FILE_LOCK,
    SLAB_KIND_COUNT
};

struct anchor {
    le64 magic;
    le64 core_base;
    le64 invalid_mask;
    le64 seed;
    le64 fault_wait_100ns;
    le64 modified_page_life_100ns;
    le64 low_memory_pages;  /* available frames: low condition; fixed */
    le64 high_memory_pages; /* available frames: high condition; fixed */
    le32 windows_build;
    le32 physical_address_bits;
    le32 self_map_slot;
    le32 range_count;
    struct frame_range ranges[FRAME_RANGES_MAX];
    struct partition partition;
    struct slab_class slabs[SLAB_KIND_COUNT];

    le32 directory_lock;    /* LOCK_DIRECTORY */
    le32 next_generation;   /* of the next handle, 1..0xFFFFFF (D) */
    le64 job_frames;        /* first frame of jobs, a reference, or 0 (D) */
    le64 directory_ref;     /* frame of references to frames of process objects (D) */
    le32 free_slot;         /* first free process slot + 1, or 0 (D) */
    le32 slot_count;        /* slots that exist (D) */
    le32 live_count;        /* live processes (D) */
    le32 is_guarded;        /* free frames and objects are, see poison.h; fixed but by attach */
    le32 paging_flags;      /* NTMM_PAGING_*; fixed */
    le32 read_cluster;      /* pages; fixed */
    le32 write_cluster;     /* pages; fixed */
    le32 areas_kept;        /* control areas that end when their transfers are over (O) */
    le32 objects_lock;      /* LOCK_OBJECTS */
    le32 object_slots;      /* that exist (O) */
    le32 free_object;       /* first free slot + 1, or 0 (O) */
    le32 object_generation; /* of the next object, 1..0xFFFFFF (O) */
    le64 objects_head[2];   /* first section and first file, references, or 0 (O) */
    le64 objects_ref;       /* frame of references to frames of slots, or 0 (O) */
    le64 areas_head;        /* first control area, a reference, or 0 (O) to write, (R) */
    le64 based_page;        /* below which the next SEC_BASED section goes; 0: none was made (O) */
    le64 clone_blocks;      /* first block of pages that clones share, a reference, or 0 (O) */
    le64 image_next[3];     /* pages: where the next image of each kind goes, 0: not begun (O) */
    le32 frame_locks[FRAME_LOCKS];     /* LOCK_FRAME */
    le64 counters[NTMM_COUNTER_COUNT]; /* of the system, and of processes that have ended (R) */
    le32 has_caches;                   /* whether processors keep frames apart (R) */
    le32 alone[15]; /* 0: what is read by all stands in no line that is written */
    struct frame_cache caches[FRAME_CACHES];
};

NTMM_STATIC_ASSERT(sizeof(struct anchor) <= NTMM_PAGE_SIZE, "A1");
NTMM_STATIC_ASSERT(offsetof(struct anchor, caches) % 128 == 0, "a cache shares no line");

static inline struct anchor *anchor_of(const struct call *c)
{
    return core_at(c->bias, c->sys->anchor_ref);
}

/* A counter that the system owns. */
static inline void system_count(const struct call *c, enum ntmm_counter counter, uint64_t by)
{
    add64(&anchor_of(c)->counters[counter], by);
}

/* A number from the platform's entropy; where it has none, one that seed and salt give. */
uint64_t system_random(const struct call *c, uint64_t salt);

static inline struct partition *partition_of(const struct call *c)
{
    return &anchor_of(c)->partition;
}

#endif
