/*
 * A host file many times as large as memory, mapped by three processes: one writes through a view,
 * one reads another view, one copies on write. What plain reads find in it afterwards is what was
 * written, and nothing else.
 *
 *   page n:  n * 8 ... n * 8 + 7 in its words, if a multiple of 3; else a hole
 *   written: every second page, one word at a place of its own
 *
 * NTMM_MAPPED_MEBIBYTES: of the file; 32 unless set. Memory has a sixteenth of it. Expectations:
 * nt_semantics 4, 9.1.
 */
#define _GNU_SOURCE 1
#include "section_world.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_MEBIBYTES 32u
#define WORDS (PAGE / 8)
#define TAIL_BYTES 1234u /* of the last page */
#define KEPT_COPIES 256u /* pages between one copy and the next are left alone */

struct large {
    struct world w;
    char path[64];
    uint64_t pages; /* the last one is cut */
    ntmm_handle file, section;
    ntmm_handle writer, reader, copier;
    uint64_t writer_base, reader_base, copier_base;
};

static uint64_t bytes_of(const struct large *l) { return (l->pages - 1) * PAGE + TAIL_BYTES; }

static uint64_t word_at_first(uint64_t page, uint64_t word)
{
    return page % 3 == 0 ? page * WORDS + word + 1 : 0;
}

static bool is_written(uint64_t page) { return page % 2 == 0; }

static uint64_t place_in(uint64_t page) { return page * 7 % (TAIL_BYTES / 8); }

static uint64_t written_word(uint64_t page) { return page * UINT64_C(0x9E3779B97F4A7C15) | 1; }

static uint64_t word_at_last(uint64_t page, uint64_t word)
{
    bool is_new = is_written(page) && word == place_in(page);
    return is_new ? written_word(page) : word_at_first(page, word);
}

/* --- the host's side --- */

static void make_host_file(struct large *l)
{
    uint64_t words[WORDS];
    strcpy(l->path, "test_mapped_large.XXXXXX");
    int host = mkstemp(l->path);
    assert_true(host >= 0);
    for (uint64_t page = 0; page < l->pages; page += 3) {
        for (uint64_t i = 0; i < WORDS; i++)
            words[i] = word_at_first(page, i);
        assert_int_equal(pwrite(host, words, PAGE, (off_t)(page * PAGE)), PAGE);
    }
    assert_int_equal(ftruncate(host, (off_t)bytes_of(l)), 0);
    assert_int_equal(close(host), 0);
}

static void check_host_file(struct large *l)
{
    uint64_t words[WORDS];
    struct stat about;
    int host = open(l->path, O_RDONLY);
    assert_true(host >= 0);
    assert_int_equal(fstat(host, &about), 0);
    assert_int_equal(about.st_size, bytes_of(l));
    for (uint64_t page = 0; page < l->pages; page++) {
        uint64_t size = page == l->pages - 1 ? TAIL_BYTES : PAGE;
        assert_int_equal(read(host, words, size), size);
        for (uint64_t i = 0; i < size / 8; i++) {
            if (words[i] != word_at_last(page, i))
                fail_msg("page %llu word %llu", (unsigned long long)page, (unsigned long long)i);
        }
    }
    assert_int_equal(close(host), 0);
}

/* --- ours --- */

static void expect(struct large *l, uint32_t cpu, uint64_t va, uint64_t expected)
{
    uint64_t value = 0;
    check_ok(load64(&l->w, cpu, va, &value));
    if (value != expected)
        fail_msg("0x%llx of processor %u", (unsigned long long)va, (unsigned)cpu);
}

static void open_large(struct large *l, uint64_t mebibytes)
{
    struct ntmm_emulated_file_config config = {.size = sizeof config,
                                               .version = NTMM_EMULATED_FILE_VERSION};
    uint64_t device, size;
    l->pages = mebibytes * MIB / PAGE;
    make_host_file(l);
    make_section_world(&l->w, mebibytes / 16 * MIB);
    add_page_file(&l->w, 16 * MIB);
    config.path = l->path;
    check_ok(ntmm_emulated_add_file(l->w.emu, &config, &device, &size));
    assert_int_equal(size, bytes_of(l));
    l->file = open_device(&l->w, device, size);
    l->section = make_section(&l->w, 0, NTMM_PAGE_READWRITE, NTMM_SEC_COMMIT, l->file);
    l->writer = make_process(&l->w);
    l->reader = make_process(&l->w);
    l->copier = make_process(&l->w);
    attach(&l->w, 0, l->writer);
    attach(&l->w, 1, l->reader);
    attach(&l->w, 2, l->copier);
    l->writer_base = map(&l->w, l->section, l->writer, NTMM_PAGE_READWRITE);
    l->reader_base = map(&l->w, l->section, l->reader, NTMM_PAGE_READONLY);
}

/* A copy on write is charged as a whole: a view of a part, that moves through the file. */
static void map_copies(struct large *l, uint64_t first_page)
{
    uint64_t offset = first_page * PAGE, size = KEPT_COPIES * PAGE;
    if (size > bytes_of(l) - offset)
        size = 0;
    if (l->copier_base)
        unmap(&l->w, l->copier, l->copier_base);
    l->copier_base = 0;
    check_ok(ntmm_map_view_of_section(l->w.system, l->section, l->copier, &l->copier_base, 0, 0,
                                      &offset, &size, NTMM_VIEW_SHARE, 0, NTMM_PAGE_WRITECOPY));
}

/* Each page: copied and changed there, written here, read by the third. */
static void work(struct large *l)
{
    for (uint64_t page = 0; page < l->pages; page++) {
        uint64_t at = page * PAGE + place_in(page) * 8;
        if (page % KEPT_COPIES == 0)
            map_copies(l, page);
        uint64_t copy = l->copier_base + page % KEPT_COPIES * PAGE;
        check_ok(store64(&l->w, 2, copy + 8, 3));
        if (is_written(page))
            check_ok(store64(&l->w, 0, l->writer_base + at, written_word(page)));
        expect(l, 1, l->reader_base + at, word_at_last(page, place_in(page)));
        if (place_in(page) != 1)
            expect(l, 2, copy + place_in(page) * 8, word_at_first(page, place_in(page)));
        expect(l, 2, copy + 8, 3);
        if (page % 16384 == 5000)
            check_world(&l->w);
    }
}

/* From the end, when most of it has left memory long ago. */
static void read_back(struct large *l)
{
    for (uint64_t page = l->pages; page-- > 0;) {
        uint64_t word = place_in(page);
        expect(l, 1, l->reader_base + page * PAGE + word * 8, word_at_last(page, word));
        expect(l, 1, l->reader_base + page * PAGE, word_at_last(page, 0));
    }
    expect(l, 1, l->reader_base + (l->pages - 1) * PAGE + PAGE - 8, 0); /* behind the end */
}

static void close_large(struct large *l)
{
    unmap(&l->w, l->copier, l->copier_base);
    close_section(&l->w, l->section);
    check_ok(ntmm_end_process(l->w.system, l->writer));
    check_ok(ntmm_end_process(l->w.system, l->reader));
    check_ok(ntmm_end_process(l->w.system, l->copier));
    close_file(&l->w, l->file);
    end_world(&l->w);
    assert_int_equal(unlink(l->path), 0);
}

static void test_larger_than_memory(void **state)
{
    struct large l = {.copier_base = 0};
    const char *wanted = getenv("NTMM_MAPPED_MEBIBYTES");
    (void)state;
    open_large(&l, wanted ? strtoull(wanted, NULL, 0) : DEFAULT_MEBIBYTES);
    work(&l);
    read_back(&l);
    check_ok(ntmm_flush_file(l.w.system, l.file, 0, 0));
    check_host_file(&l);
    check_world(&l.w);
    close_large(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_larger_than_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
