/*
 * Images: small PE files with a few fields of their own and a few bytes changed, sections and views
 * of them, and processes with policies about where they lie.
 */
#include "calls/world.h"

#include "unit/pe_write.h"

#include <ntmm/file.h>
#include <ntmm/section.h>

#include <stdlib.h>

#define DYNAMIC_BASE 0x40u /* DllCharacteristics */
#define STRIPPED 0x1u      /* Characteristics */
#define DLL 0x2000u
#define MOST_CHANGES 8u
#define FILE_RIGHTS (NTMM_FILE_READ_DATA | NTMM_FILE_WRITE_DATA | NTMM_FILE_EXECUTE)

/* Bits of the byte that chooses an image. */
enum {
    KIND_DYNAMIC_BASE = 0x01,
    KIND_STRIPPED = 0x02,
    KIND_LIBRARY = 0x04,
    KIND_LOW = 0x08, /* it prefers a base where searches from the bottom come by */
    KIND_CHANGED = 0x10,
    KIND_FUNCTIONS = 0x20, /* with KIND_DYNAMIC_BASE or without: made for control flow guard */
    KIND_32 = 0x40,
    KIND_NO_EXECUTE = 0x80,
};

/* Three functions, of which no two are one. */
static void add_functions(struct pe_file *pe)
{
    uint32_t place = pe_add_guard(pe, 12);
    const struct pe_guard guard = {
        .table = pe_guard_address(pe) + PE_FUNCTIONS, .count = 3, .flags = PE_GUARD_TABLE_PRESENT};

    pe_set_guard(pe, place, &guard);
    for (uint32_t i = 0; i < 3; i++) {
        pe_set32(pe, place + PE_FUNCTIONS + 4 * i, 0x1000 + 0x18 * i);
    }
}

static void change(struct world *w, struct pe_file *pe)
{
    for (uint32_t left = 1 + take8(w) % MOST_CHANGES; left > 0; left--) {
        uint32_t place = take32(w) % (uint32_t)(pe->size_bytes - 3);

        pe_set32(pe, place, take32(w));
    }
}

/* What it would like to be, as far as it was not changed. */
static void make_file(struct world *w, uint8_t kind, struct pe_file *pe)
{
    uint32_t low = kind & KIND_LOW ? (1u + take8(w) % 16u) << 16 : 0;

    w->image = (struct known_image){.preferred_base = low ? low : 0x140000000ull,
                                    .is_kept = !(kind & (KIND_DYNAMIC_BASE | KIND_CHANGED)),
                                    .is_stripped = (kind & KIND_STRIPPED) != 0};
    pe_make(pe, !(kind & KIND_32));
    if (kind & KIND_32) {
        w->image.preferred_base = low ? low : 0x400000;
        pe_set32(pe, PE_BASE_32, (uint32_t)w->image.preferred_base);
    } else if (low) {
        pe_set32(pe, PE_BASE_64, low);
        pe_set32(pe, PE_BASE_64 + 4, 0);
    }
    if (!(kind & KIND_32)) {
        pe_add_relocations(pe, 0);
    }
    pe_set16(pe, PE_CHARACTERISTICS,
             2u | (kind & KIND_STRIPPED ? STRIPPED : 0) | (kind & KIND_LIBRARY ? DLL : 0));
    pe_set16(pe, PE_DLL_CHARACTERISTICS, kind & KIND_DYNAMIC_BASE ? DYNAMIC_BASE : 0);
    if (kind & KIND_FUNCTIONS) {
        add_functions(pe);
    }
    w->image.size = pe->next_rva;
    if (kind & KIND_CHANGED) {
        change(w, pe);
    }
}

/* 0: there is no room for a device more, or the file could not be made. */
static ntmm_handle open_image(struct world *w, const struct pe_file *pe)
{
    const struct ntmm_emulated_file_config device = {
        .size = sizeof(device),
        .version = NTMM_EMULATED_FILE_VERSION,
        .contents = pe->bytes,
        .size_bytes = pe->size_bytes,
        .flags = NTMM_EMULATED_FILE_INLINE,
    };
    struct ntmm_file_config config = {
        .size = sizeof(config),
        .version = NTMM_FILE_CONFIG_VERSION,
        .size_bytes = pe->size_bytes,
        .valid_bytes = pe->size_bytes,
    };
    ntmm_handle file = 0;

    if (w->device_count == DEVICE_COUNT ||
        CALL(w, emulated_add_file, w->emu, &device, &config.device, NULL)) {
        return 0;
    }
    w->devices[w->device_count++] = config.device;
    if (CALL(w, create_file, w->system, &config, FILE_RIGHTS, &file)) {
        return 0;
    }
    add_file_object(w, file);
    return file;
}

/* An image and views of it in all processes. */
static void make_image(struct world *w)
{
    uint8_t kind = take8(w);
    struct pe_file *pe = malloc(sizeof(*pe));
    ntmm_handle section = 0;

    must(w, pe, "no memory");
    make_file(w, kind, pe);
    ntmm_handle file = open_image(w, pe);
    free(pe);
    if (!file || is_failure(CALL(
                     w, create_section, w->system, &section, NTMM_SECTION_ALL_ACCESS, NULL, NULL,
                     NTMM_PAGE_EXECUTE_READ,
                     kind & KIND_NO_EXECUTE ? NTMM_SEC_IMAGE_NO_EXECUTE : NTMM_SEC_IMAGE, file))) {
        w->image = (struct known_image){.section = 0};
        return;
    }
    w->image.section = section;
    add_section(w, section);
    for (unsigned i = 0; i < PROCESS_COUNT; i++) {
        map_view_in(w, section, w->processes[i]);
    }
}

/* Where the system put the last image, or that it did not, in a process with policies. */
static void judge_place(struct world *w, uint32_t flags, ntmm_status status, uint64_t base)
{
    const struct known_image *image = &w->image;
    bool is_forced = image->is_kept && (flags & NTMM_PROCESS_FORCE_RELOCATE_IMAGES);
    bool is_strict = is_forced && (flags & NTMM_PROCESS_DISALLOW_STRIPPED_IMAGES);

    if (is_failure(status)) {
        return;
    }
    must(w, !is_strict || !image->is_stripped, "a stripped image was mapped");
    if (image->is_kept && image->is_stripped) {
        must(w, base == image->preferred_base, "a stripped image lies elsewhere");
    } else if (is_forced) {
        must(w,
             base + image->size <= image->preferred_base ||
                 image->preferred_base + image->size <= base,
             "an image lies where it prefers to be");
        must(w, status != NTMM_STATUS_SUCCESS, "nobody was told that it lies elsewhere");
    }
}

/* A process with policies, and a view of the last image in it, or of a new one. */
static void make_strict_process(struct world *w)
{
    static const uint32_t FLAGS[] = {
        NTMM_PROCESS_FORCE_RELOCATE_IMAGES,
        NTMM_PROCESS_DISALLOW_STRIPPED_IMAGES,
        NTMM_PROCESS_RANDOM_LAYOUT,
        NTMM_PROCESS_HIGH_ENTROPY,
        NTMM_PROCESS_WOW64,
        NTMM_PROCESS_NO_DYNAMIC_CODE,
        NTMM_PROCESS_CONTROL_FLOW_GUARD,
        0x200,
    };
    struct ntmm_process_config config = {.size = sizeof(config),
                                         .version = NTMM_PROCESS_CONFIG_VERSION};
    uint8_t kind = take8(w);
    uint32_t type = one_in(w, 4) ? NTMM_MEM_TOP_DOWN : 0;
    uint64_t base = 0;
    uint64_t size = 0;
    ntmm_handle handle = 77;

    for (unsigned i = 0; i < 8; i++) {
        config.flags |= kind >> i & 1 && (i < 7 || kind == 255) ? FLAGS[i] : 0;
    }
    if (CALL(w, create_process, w->system, &config, &handle)) {
        must(w, handle == 77, "a failed creation wrote the handle");
        return;
    }
    add_process(w, handle);
    add_handle(w, handle);
    if (!w->image.section) {
        make_image(w);
    }
    ntmm_status status = CALL(w, map_view_of_section, w->system, w->image.section, handle, &base, 0,
                              0, NULL, &size, 1, type, NTMM_PAGE_READONLY);

    judge_place(w, config.flags, status, base);
    if (!is_failure(status)) {
        add_range(w, base, size);
        w->view_process = handle;
        w->view_base = base;
    }
}

const struct verb IMAGE_VERBS[] = {
    {"make-image", make_image},
    {"make-strict-process", make_strict_process},
};
const unsigned IMAGE_VERB_COUNT = sizeof(IMAGE_VERBS) / sizeof(IMAGE_VERBS[0]);
