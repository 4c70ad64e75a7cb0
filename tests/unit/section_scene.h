/*
 * A machine with sections in every state that the checker looks at, at rest: transfers are in
 * flight, but nobody pumps.
 *
 *   DATA     a view, READWRITE, of a file of 15 pages and 100 bytes, whose handles are open
 *              0 1  written            4  on standby        7  read, taken for something else
 *              2    read, by the other 5  being written     8  mapped by nobody, on modified
 *                   process too         6  being read       9.. never touched
 *              3    on modified
 *   PAGES    a view, READWRITE, of a section of page files, 8 pages, with a name and two handles
 *              0    written            2  on standby        4  see COPY
 *              1    on modified        3  in the page file  5.. never touched
 *   COPY     another view of that, WRITECOPY
 *              0    read               5  made READONLY, never touched
 *              4    copied             6  copied, on modified
 *   SPARSE   a view of a section of 600 pages, 510 to 513 committed, 511 and 512 written
 *   EMPTY    a view of the section of PAGES that nobody touched
 *   image    a view of a PE file that is relocated: .text read, .data copied, and a page of a
 *            section that is written in place
 *   PRIVATE  private memory, written
 *
 * A second file with a name was never mapped.
 */
#ifndef NTMM_TEST_SECTION_SCENE_H
#define NTMM_TEST_SECTION_SCENE_H

#include "section/view.h"
#include "unit/storage.h"

#include <ntmm/file.h>
#include <ntmm/section.h>

#define SCENE_DATA BASE
#define SCENE_PAGES (BASE + 16 * MIB)
#define SCENE_COPY (BASE + 32 * MIB)
#define SCENE_SPARSE (BASE + 48 * MIB)
#define SCENE_EMPTY (BASE + 64 * MIB)
#define SCENE_PRIVATE (BASE + 80 * MIB)

struct section_scene {
    ntmm_handle file, unmapped_file;
    ntmm_handle data, pages, sparse, image; /* sections */
    ntmm_handle other;                      /* process */
    uint64_t image_base;
    uint64_t shared_page; /* of the image, that is written in place */
};

struct machine *section_scene_open(void);
void section_scene_close(struct machine *m);
const struct section_scene *section_scene(void);

/* Of handles of the scene: references, and the area of a section. */
uint64_t scene_object(struct machine *m, ntmm_handle handle);
struct control_area *scene_area(struct machine *m, ntmm_handle section);

/* The reference of what lies in RAM. */
uint64_t scene_ref(struct machine *m, const void *object);

/* The prototype entry of a page, in a table that is there. */
le64 *scene_prototype(struct machine *m, ntmm_handle section, uint64_t page);

/* The first frame of the free list, and a frame's use, which becomes another. */
uint64_t scene_free_frame(struct machine *m);
void scene_set_use(struct machine *m, uint64_t frame, enum ntmm_frame_use use);

#endif
