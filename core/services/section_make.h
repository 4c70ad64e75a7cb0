/*
 * What making and mapping sections shares with files.
 */
#ifndef NTMM_SERVICES_SECTION_MAKE_H
#define NTMM_SERVICES_SECTION_MAKE_H

#include "section/area.h"

#define SECTION_BYTES_MAX (1ull << 47)

static inline uint64_t pages_of_bytes(uint64_t bytes)
{
    return (bytes + (NTMM_PAGE_SIZE - 1)) >> NTMM_PAGE_SHIFT;
}

/* The data area of a file, with one reference more; made if there is none. (O) is held. 0 with
 * c->want set. */
struct control_area *file_data_area(struct call *c, struct file *file, enum area_user user);

/* The file gets a size of at least `bytes`: what the device answers, NO_MEMORY, COMMITMENT_LIMIT.
 * No lock is held; the caller keeps the file. */
ntmm_status file_extend(struct call *c, struct file *file, uint64_t bytes);

/* One handle of a file less, as ntmm_close_file. No lock is held. */
ntmm_status file_release(struct call *c, struct file *file);

/* A handle of a file more, so that it stays. (O) is held. */
static inline void file_keep(struct file *file)
{
    set32(&file->object.handle_count, get32(&file->object.handle_count) + 1);
}

/* Who makes an image of a file, and by which handle: what its verifier is told. */
struct image_maker {
    ntmm_handle file;
    ntmm_handle process; /* 0: kernel mode */
};

/* The image area of a file, with one reference more as a section; made if there is none and the
 * verifier says nothing against it. No lock is held; the caller keeps the file. */
ntmm_status file_image_area(struct call *c, struct file *file, const struct image_maker *maker,
                            struct control_area **area);

/* One reference of an area less. With the last one of a file whose handles are closed, its modified
 * pages are written, and it goes. No lock is held; waits for I/O. */
void area_give_up(struct call *c, struct control_area *area, enum area_user user);

/* --- area_finish.c --- */

/* End what was kept, tables that are out brought in; what cannot be is kept again. No lock is held,
 * and it may wait; c->want stays. */
void areas_finish(struct call *c);

/* The same with the system: tables that are out are given up, unread. */
void areas_finish_with_system(struct call *c);

/* Whether a device is a file of sections. No lock is held. */
bool device_is_file(struct call *c, uint64_t device);

/* Every section and file object goes with the system: what is modified is written if it can be. */
void objects_end_with_system(struct call *c);

#endif
