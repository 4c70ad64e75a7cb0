/*
 * The runner of cases, in parts: run_cases.c reads files and judges, line.c knows words, steps_*.c
 * make the calls.
 */
#ifndef CONFORMANCE_RUNNER_H
#define CONFORMANCE_RUNNER_H

#include "conformance/named.h"
#include "conformance/strip.h"

#define LINE_SIZE 512
#define WORD_LIMIT 24
#define PARAMETER_LIMIT 8
#define SHOWN_BYTES 8u
#define SLOT_LIMIT 16
#define SLOT_NAME_SIZE 32

/* What a name of a case stands for; a handle that was closed stays in it. */
struct slot {
    char name[SLOT_NAME_SIZE];
    uint64_t handle;
};

struct sweep;

struct runner {
    const struct subject *subject;
    struct sweep *sweep; /* which runs the cases, or NULL; sweep.h */
    const char *path;
    unsigned line;
    char name[LINE_SIZE];
    char source[LINE_SIZE];
    struct subject_setup setup;
    enum caller who;
    void *self; /* open from the first step of a case to its end */
    struct slot slots[SLOT_LIMIT];
    unsigned slot_count;
    struct named_table names;
    uint32_t needs; /* NEED_* of the case */
    bool is_printing;
    bool has_failed; /* the case */
    bool has_map;
    char map[STRIP_SIZE]; /* expected at the end */
    unsigned cases;
    unsigned failures;
    unsigned skipped[NEED_COUNT]; /* cases that need what the subject lacks */
};

/* A line cut into words, and the expectation after '='. */
struct line {
    char *words[WORD_LIMIT];
    unsigned count;
    char expected[LINE_SIZE];
};

/* A verb, and what calls the subject and appends what it gave back. */
struct step {
    const char *verb;
    void (*run)(struct runner *runner, const struct line *line, char *actual);
};

/* Each ends with a verb NULL. */
extern const struct step memory_steps[];
extern const struct step section_steps[];
extern const struct step win32_steps[];

/* An in/out argument: its value before, its value, and the pointer that the call gets. */
struct argument {
    uint64_t before;
    uint64_t value;
    uint64_t *pointer;
};

/* run_cases.c */
void run_file(struct runner *runner, const char *path);
void run_line(struct runner *runner, const struct line *line, const char *text);
void end_case(struct runner *runner);
/* Whether the subject has the step, and the case is for the subject. */
bool can_run(const struct runner *runner, const struct line *line);
/* Make the call of a step; its name is known. */
void run_call(struct runner *runner, const struct line *line, char *actual);
/* Whether what was found is one of the alternatives. */
bool is_expected(const char *actual, const char *expected);

_Noreturn void bad_line(const struct runner *runner, const char *why);
void cut_line(struct line *line, char *text);

/* Words of a line; what is missing or unknown ends the program. */
uint64_t number_at(const struct runner *runner, const struct line *line, unsigned at);
uint32_t protect_at(const struct runner *runner, const struct line *line, unsigned at);
uint32_t type_at(const struct runner *runner, const struct line *line, unsigned at);
void argument_at(const struct runner *runner, const struct line *line, unsigned at,
                 struct argument *argument);
bool has_null_at(const struct line *line, unsigned at);
/* What a name of a section or file stands for; steps_section.c. */
uint64_t handle_at(struct runner *runner, const struct line *line, unsigned at);
/* Hexadecimal digits, `limit` bytes at most. */
uint32_t parse_bytes(const struct runner *runner, const char *text, uint8_t *bytes, size_t limit);
/* Extended parameters from a word on; *is_missing: they have a count only. */
uint32_t take_parameters(const struct line *line, unsigned at, struct model_parameter *parameters,
                         bool *is_missing);

/* What a step gave back, as words of a text of LINE_SIZE. */
bool is_success(uint32_t status);
void append_word(char *text, const char *word);
void append_number(char *text, uint64_t value);
void append_status(char *text, uint32_t status);
/* In/out values after a call: shown on success, and required to be untouched on failure. */
void append_arguments(char *text, uint32_t status, const struct argument *base,
                      const struct argument *size);
/* The last bytes before `count`, as many as are shown. */
void append_last_bytes(char *actual, const uint8_t *data, uint64_t count);

#endif
