/*
 * Image sections: what the headers of a file say, and the control area that is made of it.
 *
 *   file --data pages, flushed first--> headers --> struct image --> relocation index
 *                                                                --> area, subsections, base
 *
 * Headers and relocations are read through the pages of the file's data, so what a data view wrote
 * is seen; the image's own pages come from the device. All that may wait is done before the area is
 * made under (O); of two calls that make one at the same time the second takes the first's.
 */
#include "base/bits.h"
#include "section/image_functions.h"
#include "services/area_touch.h"
#include "services/relief.h"
#include "services/section_make.h"
#include "space/process.h"

/* An image in the making. */
struct making {
    struct call *c;
    struct file *file;
    const struct image_maker *maker;
    struct control_area *data; /* its data, referred to */
    uint64_t record;           /* a reference, or 0 */
    struct image image;
};

static ntmm_status read_data(void *context, uint64_t offset, void *buffer, uint32_t size)
{
    const struct making *m = context;
    uint64_t moved = 0;
    return area_read(m->c, m->data, offset, buffer, size, &moved);
}

static struct image_source source_of(struct making *m)
{
    return (struct image_source){
        .read = read_data, .context = m, .file_bytes = load64_relaxed(&m->file->size_bytes)};
}

static ntmm_status read_rva(void *context, uint32_t rva, void *buffer, uint32_t size)
{
    struct making *m = context;
    struct image_source source = source_of(m);
    return image_read_rva(&source, &m->image, rva, buffer, size);
}

/* --- the verifier --- */

static ntmm_status read_for_verifier(const struct ntmm_image_file *image, uint64_t offset,
                                     void *buffer, uint32_t bytes)
{
    if (!buffer)
        return NTMM_STATUS_ACCESS_VIOLATION;
    if (offset > image->file_bytes || bytes > image->file_bytes - offset)
        return NTMM_STATUS_END_OF_FILE;
    return read_data(image->reader, offset, buffer, bytes);
}

/* PS_PROTECTION of a process that may be gone. */
static uint32_t protection_of(struct call *c, ntmm_handle handle)
{
    struct process *process;
    if (handle == 0 || process_lock_working_set(c, handle & ~HANDLE_LACKS, 0, &process))
        return 0;
    uint32_t protection = get32(&process->protection);
    process_unlock_working_set(c, process);
    return protection;
}

/* Whether the file may become an image: asked without a lock, before anything is kept of it. */
static ntmm_status verify(struct making *m)
{
    const struct ntmm_system *system = m->c->sys;
    const struct image *image = &m->image;
    if (!system->image_verifier)
        return NTMM_STATUS_SUCCESS;
    const struct ntmm_image_file asked = {
        .size = sizeof asked,
        .version = NTMM_IMAGE_FILE_VERSION,
        .file = m->maker->file,
        .device = get64(&m->file->device),
        .file_bytes = load64_relaxed(&m->file->size_bytes),
        .caller = m->maker->process,
        .protection = protection_of(m->c, m->maker->process),
        .image_bytes = image->image_bytes,
        .header_bytes = image->header_bytes,
        .checksum = image->checksum,
        .machine = image->machine,
        .characteristics = image->characteristics,
        .dll_characteristics = image->dll_characteristics,
        .subsystem = image->subsystem,
        .read = read_for_verifier,
        .reader = m,
    };
    NTMM_ASSERT(m->c->depth == 0);
    ntmm_status verdict = system->image_verifier(system->verifier_context, &asked);
    if (NTMM_SUCCEEDED(verdict))
        return NTMM_STATUS_SUCCESS;
    return verdict == NTMM_STATUS_SYSTEM_IMAGE_BAD_SIGNATURE ? verdict
                                                             : NTMM_STATUS_INVALID_IMAGE_HASH;
}

void ntmm_set_image_verifier(struct ntmm_system *system, ntmm_image_verifier verifier,
                             void *context)
{
    system->image_verifier = verifier;
    system->verifier_context = context;
}

/* --- the record --- */

static ntmm_status make_record(struct making *m)
{
    struct relief relief = relief_begin();
    ntmm_status status;
    do {
        m->record = image_record_create(m->c);
        status = m->record ? NTMM_STATUS_SUCCESS : want_status(m->c);
    } while (relieve(m->c, &relief, NULL, &status));
    return status;
}

static ntmm_status grow_record(struct making *m, uint32_t frames)
{
    struct relief relief = relief_begin();
    uint32_t goal = get32(&image_record_at(m->c, m->record)->frame_count) + frames;
    ntmm_status status;
    do {
        uint32_t count = get32(&image_record_at(m->c, m->record)->frame_count);
        bool is_grown = image_record_grow(m->c, m->record, goal - count);
        status = is_grown ? NTMM_STATUS_SUCCESS : want_status(m->c);
    } while (relieve(m->c, &relief, NULL, &status));
    return status;
}

/* The directory, byte for byte, behind the index. */
static ntmm_status copy_directory(struct making *m)
{
    struct image_record *record = image_record_at(m->c, m->record);
    uint32_t bytes = m->image.relocation_bytes;
    ntmm_status status = NTMM_STATUS_SUCCESS;
    for (uint32_t done = 0; done < bytes && NTMM_SUCCEEDED(status); done += NTMM_PAGE_SIZE) {
        uint32_t n = get32(&record->chunk_count) + done / NTMM_PAGE_SIZE;
        uint32_t piece = (uint32_t)min_u64(bytes - done, NTMM_PAGE_SIZE);
        status =
            read_rva(m, m->image.relocation_rva + done, image_record_frame(m->c, record, n), piece);
    }
    return status;
}

/* What relocation needs, when the image can move. One with bad relocations cannot, and stays. */
static ntmm_status prepare_relocation(struct making *m)
{
    struct image_chunks chunks = {.c = m->c};
    struct relocation relocation = {
        .read = read_rva, .read_context = m, .chunk = image_record_chunk, .chunk_context = &chunks};
    ntmm_status status = relocate_measure(&relocation, &m->image);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    uint32_t count = relocate_chunks(&relocation);
    uint32_t pages = (uint32_t)pages_of_bytes(m->image.relocation_bytes);
    if (count + pages > IMAGE_FRAMES_MAX)
        return NTMM_STATUS_INVALID_IMAGE_FORMAT;
    status = grow_record(m, count + pages);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    struct image_record *record = image_record_at(m->c, m->record);
    chunks.record = record;
    set32(&record->chunk_count, count);
    status = relocate_build(&relocation, &m->image);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    set32(&record->block_count, relocation.block_count);
    set32(&record->straddle_count, relocation.straddle_count);
    set32(&record->relocation_rva, m->image.relocation_rva);
    set32(&record->relocation_bytes, m->image.relocation_bytes);
    set32(&record->can_move, 1);
    return copy_directory(m);
}

/* The functions from the first on: counted when the record has no room for them yet, else kept. */
static ntmm_status pass_functions(struct making *m, bool is_kept, uint32_t *count)
{
    struct image_record *record = image_record_at(m->c, m->record);
    uint32_t most = *count;
    struct image_functions functions;
    uint32_t rva;
    bool is_there;
    image_functions_begin(&functions, &m->image, read_rva, m);
    for (*count = 0;; ++*count) {
        ntmm_status status = image_functions_next(&functions, &rva, &is_there);
        if (status != NTMM_STATUS_SUCCESS || !is_there)
            return status;
        if (is_kept && *count == most)
            return NTMM_STATUS_INVALID_IMAGE_FORMAT; /* not the table that was counted */
        if (is_kept)
            set32(image_function_slot(m->c, record, *count), rva);
    }
}

/* Which functions are call targets, when the image says so in a good table. */
static ntmm_status keep_functions(struct making *m)
{
    struct image_record *record = image_record_at(m->c, m->record);
    uint32_t first = get32(&record->frame_count);
    uint32_t count = 0;
    ntmm_status status = pass_functions(m, false, &count);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    uint32_t frames = (count + FUNCTIONS_PER_FRAME - 1) / FUNCTIONS_PER_FRAME;
    if (first + frames > IMAGE_FRAMES_MAX)
        return NTMM_STATUS_INVALID_IMAGE_FORMAT;
    status = grow_record(m, frames);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    set32(&record->function_frame, first);
    status = pass_functions(m, true, &count);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    set32(&record->function_count, count);
    set32(&record->has_functions, 1);
    return status;
}

/* What the image's tables say. One with a bad table is as if without: it stays where it wants to
 * be, all its code may be called. */
static ntmm_status keep_tables(struct making *m)
{
    ntmm_status status = m->image.has_relocations ? prepare_relocation(m) : NTMM_STATUS_SUCCESS;
    if (status == NTMM_STATUS_INVALID_IMAGE_FORMAT)
        status = NTMM_STATUS_SUCCESS;
    if (NTMM_SUCCEEDED(status) && m->image.has_functions)
        status = keep_functions(m);
    return status == NTMM_STATUS_INVALID_IMAGE_FORMAT ? NTMM_STATUS_SUCCESS : status;
}

static void fill_record(struct making *m, uint64_t base)
{
    struct image_record *record = image_record_at(m->c, m->record);
    const struct image *image = &m->image;
    set32(&record->machine, image->machine);
    set64(&record->preferred_base, image->preferred_base);
    set64(&record->base, base);
    set32(&record->image_pages, image->image_pages);
    set32(&record->base_rva, image->base_rva);
    set32(&record->is_64, image->is_64);
    set32(&record->is_stripped, (image->characteristics & IMAGE_RELOCS_STRIPPED) != 0);
    image_information(image, base, load64_relaxed(&m->file->size_bytes), record->information);
}

/* --- the area --- */

/* Subsections, one for the pages of each part that are no section's. */
static uint32_t count_subsections(const struct image *image)
{
    uint32_t count = image->subsection_count;
    for (uint32_t i = 0; i < image->subsection_count; i++)
        count += image->subsections[i].section_pages < image->subsections[i].page_count;
    return count;
}

static struct subsection *fill_subsection(const struct call *c, struct subsection *s,
                                          const struct image_subsection *part)
{
    set64(&s->first_page, part->first_page);
    set64(&s->page_count, part->section_pages);
    set64(&s->file_offset, part->file_offset);
    set64(&s->file_bytes, part->file_bytes);
    set32(&s->backed_pages, part->backed_pages);
    set32(&s->protection, part->protection);
    set32(&s->is_shared, part->is_shared);
    return get64(&s->next) ? subsection_at(c, get64(&s->next)) : NULL;
}

static void fill_subsections(const struct call *c, struct control_area *area,
                             const struct image *image)
{
    struct subsection *s = subsection_at(c, get64(&area->subsections));
    for (uint32_t i = 0; i < image->subsection_count; i++) {
        const struct image_subsection *part = &image->subsections[i];
        s = fill_subsection(c, s, part);
        if (part->section_pages == part->page_count)
            continue;
        const struct image_subsection gap = {
            .first_page = part->first_page + part->section_pages,
            .section_pages = part->page_count - part->section_pages,
            .protection = PROT_NOACCESS,
        };
        s = fill_subsection(c, s, &gap);
    }
}

/* Pages that are written in place: the section's own, charged once. */
static uint64_t count_shared(const struct image *image)
{
    uint64_t pages = 0;
    for (uint32_t i = 0; i < image->subsection_count; i++)
        pages += image->subsections[i].is_shared ? image->subsections[i].section_pages : 0;
    return pages;
}

/* (O) is held. 0 with c->want set. */
static struct control_area *make_area(struct making *m)
{
    struct call *c = m->c;
    const struct area_config config = {
        .file = core_ref(c, m->file),
        .pages = m->image.image_pages,
        .flags = AREA_OF_FILE | AREA_IMAGE,
        .protection = PROT_READWRITE,
        .subsection_count = count_subsections(&m->image),
    };
    uint64_t shared = count_shared(&m->image);
    if (shared && !commit_charge(c, shared))
        return NULL;
    uint64_t ref = area_create(c, &config);
    if (!ref) {
        if (shared)
            commit_return(c, shared);
        return NULL;
    }
    struct control_area *area = area_at(c, ref);
    bool can_move = get32(&image_record_at(c, m->record)->can_move) && m->image.can_move;
    set64(&area->commit_pages, shared);
    fill_subsections(c, area, &m->image);
    uint64_t base = can_move ? image_choose_base(c, &m->image) : m->image.preferred_base;
    set64(&area->base_page, base >> NTMM_PAGE_SHIFT);
    fill_record(m, base);
    set64(&area->image, m->record);
    set64(&m->file->image_area, ref);
    m->record = 0;
    return area;
}

/* The area that there is, or the one that is made now. (O) is held. */
static struct control_area *take_area(struct making *m)
{
    uint64_t ref = get64(&m->file->image_area);
    if (!ref)
        return make_area(m);
    area_refer(area_at(m->c, ref), AREA_SECTION);
    return area_at(m->c, ref);
}

static ntmm_status make_image(struct making *m, struct control_area **area)
{
    struct relief relief = relief_begin();
    struct image_source source = source_of(m);
    uint32_t build = get32(&anchor_of(m->c)->windows_build);
    ntmm_status status = area_flush(m->c, m->data, 0, get64(&m->data->pages));
    if (NTMM_SUCCEEDED(status))
        status = image_parse(&source, build, &m->image);
    if (NTMM_SUCCEEDED(status))
        status = verify(m);
    if (NTMM_SUCCEEDED(status))
        status = make_record(m);
    if (NTMM_SUCCEEDED(status))
        status = keep_tables(m);
    if (!NTMM_SUCCEEDED(status))
        return status;
    do {
        objects_lock(m->c);
        *area = take_area(m);
        objects_unlock(m->c);
        status = *area ? NTMM_STATUS_SUCCESS : want_status(m->c);
    } while (relieve(m->c, &relief, NULL, &status));
    return status;
}

/* The file's data area, referred to by this call. */
static ntmm_status use_data(struct call *c, struct file *file, struct control_area **data)
{
    struct relief relief = relief_begin();
    ntmm_status status;
    do {
        objects_lock(c);
        *data = file_data_area(c, file, AREA_CALL);
        objects_unlock(c);
        status = *data ? NTMM_STATUS_SUCCESS : want_status(c);
    } while (relieve(c, &relief, NULL, &status));
    return status;
}

ntmm_status file_image_area(struct call *c, struct file *file, const struct image_maker *maker,
                            struct control_area **area)
{
    struct making m = {.c = c, .file = file, .maker = maker};
    objects_lock(c);
    uint64_t ref = get64(&file->image_area);
    if (ref) {
        *area = area_at(c, ref);
        area_refer(*area, AREA_SECTION);
    }
    objects_unlock(c);
    if (ref)
        return NTMM_STATUS_SUCCESS;
    ntmm_status status = use_data(c, file, &m.data);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    status = make_image(&m, area);
    image_record_free(c, m.record);
    area_release(c, m.data, AREA_CALL);
    return status;
}
