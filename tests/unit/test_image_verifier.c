/*
 * Who is asked before a file becomes an image: when, what of, and what the answers do.
 * Expectations: nt_semantics 5.1, row "code integrity", and ntmm_set_image_verifier's contract.
 */
#include "section_world.h"

#include "pe_file.h"

#include <ntmm/access.h>
#include <ntmm/snapshot.h>

struct fixture {
    struct world w;
    ntmm_handle first, second;
    struct pe_file pe;
    /* the verifier's */
    ntmm_status verdict;
    uint32_t asked;
    struct ntmm_image_file last;
    uint8_t seen[PE_FILE_BYTES];   /* bytes that it read */
    void (*act)(struct fixture *f, /* while it is asked, or NULL */
                const struct ntmm_image_file *image);
};

static ntmm_status verify(void *context, const struct ntmm_image_file *image)
{
    struct fixture *f = context;
    f->asked++;
    f->last = *image;
    if (f->act)
        f->act(f, image);
    return f->verdict;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    make_pair_world(&f->w, &f->first, &f->second);
    ntmm_set_image_verifier(f->w.system, verify, f);
    pe_make(&f->pe, true);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    end_pair_world(&f->w, f->first, f->second);
    free(f);
    return 0;
}

static ntmm_handle open_pe(struct fixture *f)
{
    return open_contents(&f->w, f->pe.bytes, f->pe.size_bytes);
}

static ntmm_status create(struct fixture *f, const struct ntmm_section_config *config,
                          ntmm_handle file, ntmm_handle *section)
{
    return ntmm_create_section(f->w.system, section, NTMM_SECTION_ALL_ACCESS, config, NULL,
                               NTMM_PAGE_EXECUTE, NTMM_SEC_IMAGE, file);
}

/* The file's last handle is closed, so that nothing is known of it, and it is opened anew. */
static void close_again(struct fixture *f, ntmm_handle *file)
{
    struct ntmm_file_information about_file;
    check_ok(ntmm_query_file(f->w.system, *file, &about_file));
    close_file(&f->w, *file);
    *file = open_device(&f->w, about_file.device, f->pe.size_bytes);
}

/* Once an image: not for more sections and views of it, and for as long as the file is open. */
static void asked_once_an_image(void **state)
{
    struct fixture *f = *state;
    ntmm_handle file = open_pe(f), one, other;
    check_ok(create(f, NULL, file, &one));
    assert_int_equal(f->asked, 1);
    check_ok(create(f, NULL, file, &other));
    uint64_t base = map(&f->w, one, f->first, NTMM_PAGE_READONLY);
    close_section(&f->w, one);
    close_section(&f->w, other);
    check_ok(create(f, NULL, file, &one)); /* the view keeps it */
    assert_int_equal(f->asked, 1);
    close_section(&f->w, one);
    unmap(&f->w, f->first, base);
    check_ok(create(f, NULL, file, &one));
    assert_int_equal(f->asked, 1);
    close_section(&f->w, one);
    close_again(f, &file);
    check_ok(create(f, NULL, file, &one));
    assert_int_equal(f->asked, 2);
    close_section(&f->w, one);
    close_file(&f->w, file);
}

static void asked_of_good_images_only(void **state)
{
    struct fixture *f = *state;
    ntmm_handle file = open_pe(f), section = 7;
    f->verdict = NTMM_STATUS_INVALID_IMAGE_HASH;
    close_section(&f->w, make_section(&f->w, 0, NTMM_PAGE_EXECUTE_READ, NTMM_SEC_COMMIT, file));
    close_file(&f->w, file);
    f->pe.bytes[0] = 'X';
    file = open_pe(f);
    assert_int_equal(create(f, NULL, file, &section), NTMM_STATUS_INVALID_IMAGE_NOT_MZ);
    close_file(&f->w, file);
    assert_int_equal(f->asked, 0);
    assert_int_equal(section, 7);
}

/* What it is told: the headers, the file, and the process that makes the section. */
static void told_what_it_is(void **state)
{
    struct fixture *f = *state;
    struct ntmm_process_config config = {
        .size = sizeof config, .version = NTMM_PROCESS_CONFIG_VERSION, .protection = 0x51};
    ntmm_handle process, section;
    check_ok(ntmm_create_process(f->w.system, &config, &process));
    struct ntmm_caller caller = {
        .size = sizeof caller, .version = NTMM_CALLER_VERSION, .process = process};
    struct ntmm_section_config with = {
        .size = sizeof with, .version = NTMM_SECTION_CONFIG_VERSION, .caller = &caller};
    pe_set32(&f->pe, PE_CHECKSUM, 0xABCD1234);
    pe_set16(&f->pe, PE_DLL_CHARACTERISTICS, 0x8160);
    ntmm_handle file = open_pe(f);
    check_ok(create(f, &with, file, &section));
    assert_int_equal(f->last.size, sizeof f->last);
    assert_int_equal(f->last.version, NTMM_IMAGE_FILE_VERSION);
    assert_int_equal(f->last.file, file);
    struct ntmm_file_information about_file;
    check_ok(ntmm_query_file(f->w.system, file, &about_file));
    assert_int_equal(f->last.device, about_file.device);
    assert_int_equal(f->last.file_bytes, f->pe.size_bytes);
    assert_int_equal(f->last.caller, process);
    assert_int_equal(f->last.protection, 0x51);
    assert_int_equal(f->last.image_bytes, pe_get32(&f->pe, PE_IMAGE_BYTES));
    assert_int_equal(f->last.header_bytes, PE_HEADERS);
    assert_int_equal(f->last.checksum, 0xABCD1234);
    assert_int_equal(f->last.machine, 0x8664);
    assert_int_equal(f->last.characteristics, pe_get32(&f->pe, PE_CHARACTERISTICS) & 0xFFFF);
    assert_int_equal(f->last.dll_characteristics, 0x8160);
    assert_int_equal(f->last.subsystem, pe_get32(&f->pe, PE_SUBSYSTEM) & 0xFFFF);
    close_section(&f->w, section);
    check_ok(ntmm_end_process(f->w.system, process)); /* no more, and so without a protection */
    close_again(f, &file);
    check_ok(create(f, &with, file, &section));
    assert_int_equal(f->last.caller, process);
    assert_int_equal(f->last.protection, 0);
    close_section(&f->w, section);
    close_again(f, &file);
    check_ok(create(f, NULL, file, &section)); /* kernel mode */
    assert_int_equal(f->last.caller, 0);
    assert_int_equal(f->last.protection, 0);
    close_section(&f->w, section);
    close_file(&f->w, file);
}

/* covers 5.1#integrity */
static void a_refusal_is_the_status(void **state)
{
    static const struct {
        ntmm_status verdict, status;
    } answers[] = {
        {NTMM_STATUS_INVALID_IMAGE_HASH, NTMM_STATUS_INVALID_IMAGE_HASH},
        {NTMM_STATUS_SYSTEM_IMAGE_BAD_SIGNATURE, NTMM_STATUS_SYSTEM_IMAGE_BAD_SIGNATURE},
        {NTMM_STATUS_ACCESS_DENIED, NTMM_STATUS_INVALID_IMAGE_HASH},
        {NTMM_STATUS_NO_MEMORY, NTMM_STATUS_INVALID_IMAGE_HASH},
        {NTMM_STATUS_BUFFER_OVERFLOW, NTMM_STATUS_INVALID_IMAGE_HASH},
        {NTMM_STATUS_SUCCESS, NTMM_STATUS_SUCCESS},
        {NTMM_STATUS_PENDING, NTMM_STATUS_SUCCESS},
        {NTMM_STATUS_IMAGE_NOT_AT_BASE, NTMM_STATUS_SUCCESS},
    };
    struct fixture *f = *state;
    ntmm_handle file = open_pe(f);
    for (uint32_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        ntmm_handle section = 7;
        f->verdict = answers[i].verdict;
        assert_int_equal(create(f, NULL, file, &section), answers[i].status);
        assert_int_equal(f->asked, i + 1);
        if (answers[i].status == NTMM_STATUS_SUCCESS)
            close_section(&f->w, section);
        else
            assert_int_equal(section, 7);
        close_again(f, &file);
    }
    close_file(&f->w, file);
}

/* Frames, commit and objects are as before, and the file is nobody's image. */
static void a_refusal_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct ntmm_memory_information before, after;
    ntmm_handle file = open_pe(f), section = 7;
    f->verdict = NTMM_STATUS_INVALID_IMAGE_HASH;
    assert_int_equal(create(f, NULL, file, &section), NTMM_STATUS_INVALID_IMAGE_HASH);
    ntmm_query_memory(f->w.system, &before);
    assert_int_equal(create(f, NULL, file, &section), NTMM_STATUS_INVALID_IMAGE_HASH);
    ntmm_query_memory(f->w.system, &after);
    assert_int_equal(after.commit_pages, before.commit_pages);
    assert_int_equal(after.active_pages, before.active_pages);
    assert_int_equal(after.slab_pages, before.slab_pages);
    check_world(&f->w);
    check_ok(ntmm_can_delete_file(f->w.system, file));
    check_ok(ntmm_set_file_size(f->w.system, file, PAGE)); /* an image would refuse it */
    close_file(&f->w, file);
}

/* Refused before the size, a lock of bytes and the name are looked at. */
static void asked_before_size_and_locks(void **state)
{
    struct fixture *f = *state;
    ntmm_handle file = open_pe(f), other, section = 7;
    uint64_t too_large = 0x100000;
    check_ok(ntmm_open_file(f->w.system, file, ALL_FILE, &other));
    check_ok(ntmm_lock_file(f->w.system, other, 0, 1, 0,
                            NTMM_LOCK_EXCLUSIVE | NTMM_LOCK_FAIL_IMMEDIATELY));
    f->verdict = NTMM_STATUS_INVALID_IMAGE_HASH;
    assert_int_equal(ntmm_create_section(f->w.system, &section, NTMM_SECTION_ALL_ACCESS, NULL,
                                         &too_large, NTMM_PAGE_READONLY, NTMM_SEC_IMAGE, file),
                     NTMM_STATUS_INVALID_IMAGE_HASH);
    f->verdict = NTMM_STATUS_SUCCESS;
    assert_int_equal(ntmm_create_section(f->w.system, &section, NTMM_SECTION_ALL_ACCESS, NULL,
                                         &too_large, NTMM_PAGE_READONLY, NTMM_SEC_IMAGE, file),
                     NTMM_STATUS_SECTION_TOO_BIG);
    check_ok(ntmm_unlock_file(f->w.system, other, 0, 1, 0));
    close_file(&f->w, other);
    close_file(&f->w, file);
}

static void read_all(struct fixture *f, const struct ntmm_image_file *image)
{
    uint64_t end = image->file_bytes;
    check_ok(image->read(image, 0, f->seen, (uint32_t)end));
    check_ok(image->read(image, end, f->seen, 0));
    assert_int_equal(image->read(image, 0, NULL, 1), NTMM_STATUS_ACCESS_VIOLATION);
    assert_int_equal(image->read(image, end - 1, f->seen, 2), NTMM_STATUS_END_OF_FILE);
    assert_int_equal(image->read(image, UINT64_MAX, f->seen, 2), NTMM_STATUS_END_OF_FILE);
}

/* The bytes that it reads are those of the image: what a view wrote, by a handle that may not
 * read. */
static void reads_what_the_image_will_be(void **state)
{
    struct fixture *f = *state;
    ntmm_handle file = open_pe(f), execute, section;
    ntmm_handle data = make_section(&f->w, 0, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, file);
    uint64_t view = map(&f->w, data, f->first, NTMM_PAGE_READWRITE);
    uint32_t at = PE_HEADERS + 5;
    uint8_t stored = (uint8_t)~f->pe.bytes[at];
    check_ok(ntmm_emulated_store(f->w.emu, 0, view + at, &stored, 1, NULL, NULL));
    f->pe.bytes[at] = stored;
    check_ok(ntmm_open_file(f->w.system, file, NTMM_FILE_EXECUTE, &execute));
    f->act = read_all;
    check_ok(create(f, NULL, execute, &section));
    assert_int_equal(f->asked, 1);
    assert_memory_equal(f->seen, f->pe.bytes, f->pe.size_bytes);
    close_section(&f->w, section);
    unmap(&f->w, f->first, view);
    close_section(&f->w, data);
    close_file(&f->w, execute);
    close_file(&f->w, file);
}

/* A file that holds what the verifier looks up becomes a section; the same file another image. */
static void call_the_system(struct fixture *f, const struct ntmm_image_file *image)
{
    ntmm_handle section, opened;
    uint64_t base;
    f->act = NULL;
    check_ok(ntmm_open_file(f->w.system, image->file, NTMM_FILE_EXECUTE, &opened));
    check_ok(create(f, NULL, opened, &section));
    base = map(&f->w, section, f->second, NTMM_PAGE_READONLY);
    close_section(&f->w, section);
    unmap(&f->w, f->second, base);
    section = make_section(&f->w, 3 * PAGE, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, 0);
    close_section(&f->w, section);
    close_file(&f->w, opened);
}

/* No lock is held: it may call. */
static void may_call_the_system(void **state)
{
    struct fixture *f = *state;
    ntmm_handle file = open_pe(f), section;
    f->act = call_the_system;
    check_ok(create(f, NULL, file, &section));
    assert_int_equal(f->asked, 2);
    close_section(&f->w, section);
    close_file(&f->w, file);
}

/* It stays when the machine is saved, and goes when it is told to. */
static void stays_until_replaced(void **state)
{
    struct fixture *f = *state;
    ntmm_handle file = open_pe(f), section;
    check_ok(ntmm_emulated_snapshot(f->w.emu));
    check_ok(ntmm_emulated_restore_snapshot(f->w.emu));
    f->verdict = NTMM_STATUS_INVALID_IMAGE_HASH;
    assert_int_equal(create(f, NULL, file, &section), NTMM_STATUS_INVALID_IMAGE_HASH);
    ntmm_set_image_verifier(f->w.system, NULL, NULL);
    check_ok(create(f, NULL, file, &section));
    assert_int_equal(f->asked, 1);
    close_section(&f->w, section);
    close_file(&f->w, file);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(asked_once_an_image),
        TEST(asked_of_good_images_only),
        TEST(told_what_it_is),
        TEST(a_refusal_is_the_status),
        TEST(a_refusal_leaves_nothing),
        TEST(asked_before_size_and_locks),
        TEST(reads_what_the_image_will_be),
        TEST(may_call_the_system),
        TEST(stays_until_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
