/*
 * See section_scene.h. After each step the checker runs.
 */
#include "unit/section_scene.h"

#include "unit/pe_file.h"

#define RAM_BYTES (4 * MIB)
#define FRAMES (RAM_BYTES / PAGE)
#define FILE_BYTES (15 * PAGE + 100)

static struct section_scene scene;
static struct ntmm_wait reading;

const struct section_scene *section_scene(void) { return &scene; }

static void must(ntmm_status status) { assert_int_equal(status, NTMM_STATUS_SUCCESS); }

static ntmm_handle make_file(struct machine *m, const void *contents, uint64_t bytes,
                             const uint16_t *name, uint32_t name_units)
{
    struct ntmm_emulated_file_config device = {.size = sizeof device,
                                               .version = NTMM_EMULATED_FILE_VERSION,
                                               .contents = contents,
                                               .size_bytes = bytes,
                                               .maximum_bytes = 2 * bytes};
    struct ntmm_file_config config = {.size = sizeof config,
                                      .version = NTMM_FILE_CONFIG_VERSION,
                                      .size_bytes = bytes,
                                      .valid_bytes = bytes,
                                      .name_units = name_units,
                                      .name = name};
    ntmm_handle file = 0;
    must(ntmm_emulated_add_file(m->emu, &device, &config.device, NULL));
    must(ntmm_create_file(m->system, &config,
                          NTMM_FILE_READ_DATA | NTMM_FILE_WRITE_DATA | NTMM_FILE_EXECUTE, &file));
    return file;
}

static ntmm_handle make_section(struct machine *m, uint64_t bytes, uint32_t attributes,
                                ntmm_handle file, const uint16_t *name, uint32_t name_units)
{
    uint32_t protect = attributes & NTMM_SEC_IMAGE ? NTMM_PAGE_EXECUTE_READ : NTMM_PAGE_READWRITE;
    const struct ntmm_section_config config = {.size = sizeof config,
                                               .version = NTMM_SECTION_CONFIG_VERSION,
                                               .name = name,
                                               .name_units = name_units};
    ntmm_handle section = 0;
    must(ntmm_create_section(m->system, &section, NTMM_SECTION_ALL_ACCESS, &config, &bytes, protect,
                             attributes, file));
    return section;
}

static void map(struct machine *m, ntmm_handle section, ntmm_handle process, uint64_t base,
                uint32_t protect)
{
    uint64_t size = 0;
    must(ntmm_map_view_of_section(m->system, section, process, &base, 0, 0, NULL, &size,
                                  NTMM_VIEW_SHARE, 0, protect));
    machine_assert_sound(m);
}

static void make_image(struct machine *m)
{
    struct pe_file *pe = calloc(1, sizeof *pe);
    uint64_t size = 0;
    assert_non_null(pe);
    pe_make(pe, true);
    uint32_t header = pe_add_section(pe, 2 * PAGE, 0x200, PE_READ | PE_WRITE | PE_SHARED);
    scene.shared_page = pe_get32(pe, header + 12) / PAGE;
    pe_add_relocations(pe, 0x160);
    scene.image = make_section(m, 0, NTMM_SEC_IMAGE,
                               make_file(m, pe->bytes, pe->size_bytes, NULL, 0), NULL, 0);
    free(pe);
    machine_assert_sound(m);
    scene.image_base = 0;
    must(ntmm_map_view_of_section(m->system, scene.image, m->process, &scene.image_base, 0, 0, NULL,
                                  &size, NTMM_VIEW_SHARE, 0, NTMM_PAGE_READONLY));
    (void)must_read(m, scene.image_base + PAGE);
    must_write(m, scene.image_base + 3 * PAGE, 1);
    must_write(m, scene.image_base + scene.shared_page * PAGE, 2);
    machine_assert_sound(m);
}

static void make_objects(struct machine *m)
{
    static const uint16_t section_name[] = {'p', 'a', 'g', 'e', 's'};
    static const uint16_t file_name[] = {'f', 'i', 'l', 'e'};
    ntmm_handle second;
    scene.file = make_file(m, NULL, FILE_BYTES, NULL, 0);
    scene.unmapped_file = make_file(m, NULL, FILE_BYTES, file_name, 4);
    scene.data = make_section(m, 0, NTMM_SEC_COMMIT, scene.file, NULL, 0);
    scene.pages = make_section(m, 8 * PAGE, NTMM_SEC_COMMIT, 0, section_name, 5);
    scene.sparse = make_section(m, 600 * PAGE, NTMM_SEC_RESERVE, 0, NULL, 0);
    must(ntmm_duplicate_section(m->system, scene.pages, NTMM_SECTION_MAP_READ, &second));
    scene.other = machine_add_process(m);
    must(ntmm_emulated_attach(m->emu, 1, scene.other));
    machine_assert_sound(m);
}

static void make_views(struct machine *m)
{
    map(m, scene.data, m->process, SCENE_DATA, NTMM_PAGE_READWRITE);
    map(m, scene.data, scene.other, SCENE_DATA, NTMM_PAGE_READONLY);
    map(m, scene.pages, m->process, SCENE_PAGES, NTMM_PAGE_READWRITE);
    map(m, scene.pages, m->process, SCENE_COPY, NTMM_PAGE_WRITECOPY);
    map(m, scene.pages, m->process, SCENE_EMPTY, NTMM_PAGE_READWRITE);
    map(m, scene.sparse, m->process, SCENE_SPARSE, NTMM_PAGE_READWRITE);
    must_commit(m, SCENE_SPARSE + 510 * PAGE, 4 * PAGE, NTMM_PAGE_READWRITE);
    must_allocate(m, SCENE_PRIVATE, 4 * PAGE, NTMM_PAGE_READWRITE);
    machine_assert_sound(m);
}

/* Everything is written, and whoever wants all frames gets those on standby. */
static void evict(struct machine *m)
{
    struct call c = machine_call(m);
    struct frame_chain chain = chain_empty();
    uint64_t frame;
    (void)must_write_modified(m, FRAMES);
    (void)ntmm_write_mapped_pages(m->system, FRAMES);
    must_finish_transfers(m);
    machine_assert_sound(m);
    while (frame_allocate(&c, NTMM_USE_FREE, &frame))
        chain_add(&c, &chain, frame);
    chain_free(&c, &chain);
    machine_assert_sound(m);
}

static void write_and_trim(struct machine *m, uint64_t va)
{
    must_write(m, va, va);
    must_trim(m, va, PAGE);
    machine_assert_sound(m);
}

static void make_pages(struct machine *m)
{
    (void)must_read(m, SCENE_DATA + 7 * PAGE);
    must_trim(m, SCENE_DATA + 7 * PAGE, PAGE);
    write_and_trim(m, SCENE_PAGES + 3 * PAGE);
    evict(m);
    write_and_trim(m, SCENE_PAGES + 2 * PAGE);
    (void)must_write_modified(m, FRAMES);
    must_finish_transfers(m);
    must_write(m, SCENE_PAGES, 1);
    write_and_trim(m, SCENE_PAGES + PAGE);
    (void)must_read(m, SCENE_COPY);
    must_write(m, SCENE_COPY + 4 * PAGE, 2);
    (void)must_protect(m, SCENE_COPY + 5 * PAGE, PAGE, NTMM_PAGE_READONLY);
    must_write(m, SCENE_COPY + 6 * PAGE, 3);
    (void)must_protect(m, SCENE_COPY + 6 * PAGE, PAGE, NTMM_PAGE_NOACCESS);
    (void)must_protect(m, SCENE_COPY + 6 * PAGE, PAGE, NTMM_PAGE_WRITECOPY);
    must_fill(m, SCENE_SPARSE + 511 * PAGE, 2 * PAGE);
    must_fill(m, SCENE_PRIVATE, PAGE);
    machine_assert_sound(m);
}

static void make_data(struct machine *m)
{
    uint64_t value;
    must_write(m, SCENE_DATA, 1);
    must_write(m, SCENE_DATA + PAGE, 2);
    (void)must_read(m, SCENE_DATA + 2 * PAGE);
    must(ntmm_emulated_load(m->emu, 1, SCENE_DATA + 2 * PAGE, &value, 8, NULL, NULL));
    (void)must_read(m, SCENE_DATA + 4 * PAGE);
    must_trim(m, SCENE_DATA + 4 * PAGE, PAGE);
    write_and_trim(m, SCENE_DATA + 5 * PAGE);
    write_and_trim(m, SCENE_DATA + 3 * PAGE);
    must(ntmm_write_file(m->system, scene.file, 8 * PAGE, &value, 8, &(uint64_t){0}));
    assert_int_equal(ntmm_write_mapped_pages(m->system, 1), 1);
    assert_int_equal(get32(&scene_area(m, scene.data)->io_count), 1);
    machine_assert_sound(m);
}

static void begin_read(struct machine *m, uint64_t va)
{
    struct ntmm_fault_request request = {
        .process = m->process, .address = va, .error_code = NTMM_FAULT_USER};
    reading = (struct ntmm_wait){0};
    assert_int_equal(ntmm_fault_begin(m->system, &request, &reading, &m->fault),
                     NTMM_STATUS_PENDING);
    machine_assert_sound(m);
}

struct machine *section_scene_open(void)
{
    const struct machine_setup setup = {.hardware = {.ram_bytes = RAM_BYTES, .cpu_count = 2}};
    struct machine *m = machine_open(&setup);
    must_add_file(m, 4 * MIB, 0, NULL);
    m->system->read_cluster = 1;
    set32(&machine_anchor(m)->read_cluster, 1);
    make_objects(m);
    make_views(m);
    make_image(m);
    make_pages(m);
    make_data(m);
    begin_read(m, SCENE_DATA + 6 * PAGE);
    return m;
}

void section_scene_close(struct machine *m)
{
    ntmm_fault_cancel(m->system, &reading);
    machine_assert_sound(m);
    must_finish_transfers(m);
    machine_close(m);
}

uint64_t scene_object(struct machine *m, ntmm_handle handle)
{
    struct call c = machine_call(m);
    uint64_t ref = 0;
    objects_lock(&c);
    ntmm_status status = object_find(&c, handle, (uint32_t)(handle >> 56), 0, &ref);
    objects_unlock(&c);
    must(status);
    return ref;
}

struct control_area *scene_area(struct machine *m, ntmm_handle section)
{
    struct call c = machine_call(m);
    return area_at(&c, get64(&section_at(&c, scene_object(m, section))->area));
}

le64 *scene_prototype(struct machine *m, ntmm_handle section, uint64_t page)
{
    struct call c = machine_call(m);
    struct prototype_span span = prototype_find(&c, scene_area(m, section), page);
    assert_non_null(span.entry);
    return span.entry;
}

uint64_t scene_ref(struct machine *m, const void *object)
{
    struct call c = machine_call(m);
    return (uint64_t)((uintptr_t)object - c.bias);
}

uint64_t scene_free_frame(struct machine *m)
{
    return get64(&machine_partition(m)->node.free.head);
}

void scene_set_use(struct machine *m, uint64_t frame, enum ntmm_frame_use use)
{
    pfn_change_state(machine_row(m, frame), PFN_USE, (uint32_t)use << PFN_USE_SHIFT);
}
