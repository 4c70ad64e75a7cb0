/*
 * The conformance cases as a program of Windows: runs every case in this process and prints what it
 * finds as `run_cases --print` does, so that the outputs of two systems compare line by line.
 *
 *   cases.exe           one line a step, with what was found
 *   cases.exe --check   only the steps where something else was expected, and a summary
 *
 * A case that a real process cannot show is skipped with the reason.
 */
#include "os.h"
#include "places.h"
#include "regions.h"
#include "section_steps.h"
#include "text.h"
#include "win32_steps.h"

#include "conformance/named.h"

#define STATUS_SUCCESS 0u
#define OLD_UNTOUCHED 0xA5A5A5A5u
#define WATCH_LIMIT 32u
#define COPY_LIMIT 0x40000u
#define SHOWN_BYTES 8u
#define CLASS_WORDS 32u
#define LENGTH_UNTOUCHED 0xA5A5A5A5A5A5A5A5u

struct run {
    bool is_checking;
    enum caller who;
    uint64_t process;
    bool has_other;
    uint32_t steps;
    uint32_t differences;
    uint32_t skipped;
};

static struct text found; /* the result of a step */
static struct named_table names;
static struct text output; /* what is about to be printed */

static void flush(void)
{
    os_print(output.bytes, output.length);
    text_clear(&output);
}

/* An in/out argument: its value before, its value, and the pointer that the call gets. */
struct argument {
    uint64_t before;
    uint64_t value;
    uint64_t *pointer;
};

static void take(const struct step *step, uint32_t at, bool is_address, struct argument *argument)
{
    argument->before = is_address ? place(step->arguments[at]) : step->arguments[at];
    argument->value = argument->before;
    argument->pointer = step->nulls & 1u << at ? 0 : &argument->value;
}

static bool is_success(uint32_t status) { return status < 0x80000000u; }

static void add_arguments(uint32_t status, const struct argument *base, const struct argument *size)
{
    if (is_success(status)) {
        text_number(&found, unplace(base->value));
        text_number(&found, size->value);
    } else if (base->value != base->before || size->value != size->before) {
        text_word(&found, "and the arguments were changed");
    }
}

static void step_allocate(struct run *run, const struct step *step)
{
    struct argument base;
    struct argument size;
    uint32_t status;

    take(step, 0, true, &base);
    take(step, 2, false, &size);
    status = os_allocate(run->process, base.pointer, step->arguments[1], size.pointer,
                         (uint32_t)step->arguments[3], (uint32_t)step->arguments[4]);
    if (status == STATUS_SUCCESS && step->floats_bytes) {
        places_float(step->floats_at, base.value, step->floats_bytes);
    }
    text_status(&found, status);
    add_arguments(status, &base, &size);
}

static void step_allocate_ex(struct run *run, const struct step *step)
{
    struct argument base;
    struct argument size;
    uint32_t status;

    take(step, 0, true, &base);
    take(step, 1, false, &size);
    status = os_allocate_ex(run->process, base.pointer, size.pointer, (uint32_t)step->arguments[2],
                            (uint32_t)step->arguments[3], step->parameters, step->parameter_count);
    if (status == STATUS_SUCCESS && step->floats_bytes) {
        places_float(step->floats_at, base.value, step->floats_bytes);
    }
    text_status(&found, status);
    add_arguments(status, &base, &size);
}

static void step_free(struct run *run, const struct step *step)
{
    struct argument base;
    struct argument size;
    uint32_t status;

    take(step, 0, true, &base);
    take(step, 1, false, &size);
    status = os_free(run->process, base.pointer, size.pointer, (uint32_t)step->arguments[2]);
    text_status(&found, status);
    add_arguments(status, &base, &size);
}

static void step_protect(struct run *run, const struct step *step)
{
    struct argument base;
    struct argument size;
    uint32_t old = OLD_UNTOUCHED;
    uint32_t status;

    take(step, 0, true, &base);
    take(step, 1, false, &size);
    status = os_protect(run->process, base.pointer, size.pointer, (uint32_t)step->arguments[2],
                        step->nulls & 1u << 3 ? 0 : &old);
    text_status(&found, status);
    add_arguments(status, &base, &size);
    if (is_success(status)) {
        text_protect(&found, old);
    } else if (old != OLD_UNTOUCHED) {
        text_word(&found, "and old was written");
    }
}

static void step_query(struct run *run, const struct step *step)
{
    static struct os_memory memory;
    bool is_null = step->nulls & 1u;
    uint32_t status =
        os_query(run->process, is_null ? 0 : place(step->arguments[0]), is_null ? 0 : &memory);

    text_status(&found, status);
    if (status == STATUS_SUCCESS) {
        text_number(&found, unplace(memory.base));
        text_number(&found, unplace(memory.allocation_base));
        text_protect(&found, memory.allocation_protect);
        text_number(&found, memory.size);
        text_type(&found, memory.state);
        text_protect(&found, memory.protect);
        text_kind(&found, memory.type);
    }
}

/* What a buffer holds after a call that failed: all ones but for the address in its first word. */
static bool is_untouched(const uint64_t *words, uint64_t address)
{
    for (uint32_t i = 0; i < CLASS_WORDS; i++) {
        if (words[i] != (i ? UINT64_MAX : address)) {
            return false;
        }
    }
    return true;
}

/* A pointer behind the string that it belongs to by name. */
static void add_words(const uint64_t *words, uint64_t count)
{
    for (uint64_t i = 0; i < count && i < CLASS_WORDS; i++) {
        if (words[i] == (uint64_t)(uintptr_t)&words[2]) {
            text_word(&found, "buffer+16");
        } else {
            text_number(&found, unplace(words[i]));
        }
    }
}

static void step_query_class(struct run *run, const struct step *step)
{
    static uint64_t words[CLASS_WORDS];
    uint64_t address = place(step->arguments[1]);
    uint64_t returned = LENGTH_UNTOUCHED;
    uint32_t status;

    for (uint32_t i = 0; i < CLASS_WORDS; i++) {
        words[i] = i ? UINT64_MAX : address;
    }
    status = os_query_class(run->process, address, (uint32_t)step->arguments[0],
                            step->nulls & 1u << 3 ? 0 : words, step->arguments[2], &returned);
    text_status(&found, status);
    if (status == STATUS_SUCCESS || returned != LENGTH_UNTOUCHED) {
        text_number(&found, returned);
    }
    if (status == STATUS_SUCCESS) {
        add_words(words, returned / sizeof(words[0]));
    } else if (!is_untouched(words, address)) {
        text_word(&found, "and the buffer was changed to");
        text_number(&found, unplace(words[0]));
    }
}

static void step_access(const struct step *step, enum os_access access)
{
    static uint8_t bytes[STEP_BYTES_LIMIT];
    static struct os_fault fault;

    for (uint32_t i = 0; i < step->size; i++) {
        bytes[i] = step->bytes[i];
    }
    os_access(place(step->arguments[0]), access, bytes, step->size, &fault);
    text_status(&found, fault.status);
    for (uint32_t i = 0; i < fault.parameter_count && i < 2; i++) {
        text_number(&found, i ? unplace(fault.parameters[i]) : fault.parameters[i]);
    }
    if (fault.status == STATUS_SUCCESS && access != OS_WRITE) {
        text_bytes(&found, bytes, step->size);
    }
}

/* 8 bytes as a number. */
static void step_read_number(const struct step *step)
{
    static uint8_t bytes[8];
    static struct os_fault fault;
    uint64_t value = 0;

    os_access(place(step->arguments[0]), OS_READ, bytes, sizeof(bytes), &fault);
    text_status(&found, fault.status);
    for (uint32_t i = 0; i < sizeof(bytes); i++) {
        value |= (uint64_t)bytes[i] << 8 * i;
    }
    if (fault.status == STATUS_SUCCESS) {
        text_number(&found, unplace(value));
    }
}

/* The fault of an access: here the access is made, too, but changes nothing. */
static void step_fault(const struct step *step)
{
    static const enum os_access kinds[] = {OS_READ, OS_TOUCH, OS_EXECUTE};
    static struct os_fault fault;
    static uint8_t byte;

    os_access(place(step->arguments[0]), kinds[step->arguments[1]], &byte, 1, &fault);
    text_status(&found, fault.status);
    for (uint32_t i = 0; i < fault.parameter_count && i < 2; i++) {
        text_number(&found, i ? unplace(fault.parameters[i]) : fault.parameters[i]);
    }
}

static void step_copy(struct run *run, const struct step *step, bool is_read)
{
    static uint8_t data[COPY_LIMIT];
    uint64_t address = place(step->arguments[0]);
    uint64_t size = step->arguments[1];
    uint8_t *buffer = step->nulls & 1u << (is_read ? 2 : 3) ? 0 : data;
    uint64_t copied = OLD_UNTOUCHED;
    uint64_t first;

    for (uint32_t i = 0; i < COPY_LIMIT; i++) {
        data[i] = is_read ? 0 : (uint8_t)step->arguments[2];
    }
    text_status(&found, is_read ? os_read_memory(run->process, address, buffer, size, &copied)
                                : os_write_memory(run->process, address, buffer, size, &copied));
    text_number(&found, copied);
    if (is_read && copied && copied <= COPY_LIMIT) {
        first = copied > SHOWN_BYTES ? copied - SHOWN_BYTES : 0;
        text_bytes(&found, data + first, (uint32_t)(copied - first));
    }
}

static void step_lock(struct run *run, const struct step *step, bool is_lock)
{
    struct argument base;
    struct argument size;
    uint32_t status;

    take(step, 0, true, &base);
    take(step, 1, false, &size);
    status = (is_lock ? os_lock : os_unlock)(run->process, base.pointer, size.pointer,
                                             (uint32_t)step->arguments[2]);
    text_status(&found, status);
    add_arguments(status, &base, &size);
}

static void step_get_watch(struct run *run, const struct step *step)
{
    static uint64_t addresses[WATCH_LIMIT];
    uint64_t count = step->arguments[3];
    uint32_t status =
        os_get_watch(run->process, (uint32_t)step->arguments[2], place(step->arguments[0]),
                     step->arguments[1], step->nulls & 1u << 4 ? 0 : addresses, &count);

    text_status(&found, status);
    for (uint64_t i = 0; status == STATUS_SUCCESS && i < count && i < WATCH_LIMIT; i++) {
        text_number(&found, unplace(addresses[i]));
    }
}

static void step_reset_watch(struct run *run, const struct step *step)
{
    text_status(&found,
                os_reset_watch(run->process, place(step->arguments[0]), step->arguments[1]));
}

static void step_as(struct run *run, const struct step *step)
{
    run->who = (enum caller)step->arguments[0];
    run->process = os_handle(run->who);
    if (run->who == CALLER_OTHER && !run->has_other) {
        regions_remember(1, run->process);
        run->has_other = true;
    }
}

static void run_verb(struct run *run, const struct step *step)
{
    switch (step->verb) {
    case VERB_AS:
        step_as(run, step);
        break;
    case VERB_ALLOCATE:
        step_allocate(run, step);
        break;
    case VERB_ALLOCATE_EX:
        step_allocate_ex(run, step);
        break;
    case VERB_FREE:
        step_free(run, step);
        break;
    case VERB_PROTECT:
        step_protect(run, step);
        break;
    case VERB_QUERY:
        step_query(run, step);
        break;
    case VERB_QUERY_CLASS:
        step_query_class(run, step);
        break;
    case VERB_READ:
        step_access(step, OS_READ);
        break;
    case VERB_READ_NUMBER:
        step_read_number(step);
        break;
    case VERB_WRITE:
        step_access(step, OS_WRITE);
        break;
    case VERB_EXECUTE:
        step_access(step, OS_EXECUTE);
        break;
    case VERB_FAULT:
        step_fault(step);
        break;
    case VERB_READ_MEMORY:
    case VERB_WRITE_MEMORY:
        step_copy(run, step, step->verb == VERB_READ_MEMORY);
        break;
    case VERB_LOCK:
    case VERB_UNLOCK:
        step_lock(run, step, step->verb == VERB_LOCK);
        break;
    case VERB_GET_WATCH:
        step_get_watch(run, step);
        break;
    case VERB_RESET_WATCH:
        step_reset_watch(run, step);
        break;
    default:
        break;
    }
}

static void run_any(struct run *run, const struct step *step)
{
    if (!section_steps_run(step, run->process, &found) &&
        !win32_steps_run(step, run->process, &found)) {
        run_verb(run, step);
    }
}

/* Memory that the system should have placed, but did not: its address is somebody else's. */
static bool is_out_of_reach(const struct step *step)
{
    return step->verb != VERB_AS && !step->floats_bytes && step->floats_at &&
           !places_has_float(step->floats_at);
}

static void report_difference(struct run *run, const struct case_data *data,
                              const struct step *step)
{
    run->differences++;
    text_add(&output, data->name);
    text_add(&output, "\n  ");
    text_add(&output, step->text);
    text_add(&output, "\n    expected: ");
    text_add(&output, step->expected);
    text_add(&output, "\n    found:    ");
    text_add(&output, found.bytes);
    text_add(&output, "\n");
}

static void print_step(const struct step *step)
{
    text_add(&output, "  ");
    text_add(&output, step->text);
    text_add(&output, found.length ? " = " : "");
    text_add(&output, found.bytes);
    text_add(&output, "\n");
}

/* A step whose arguments are numbers, of names too. False when a name has no value. */
static bool take_names(const struct step *step, struct step *taken)
{
    const char *word = step->text;

    *taken = *step;
    for (uint32_t i = 0; i < ARGUMENT_LIMIT; i++) {
        while (*word && *word != ' ') {
            word++;
        }
        word += *word == ' ';
        if (step->names & 1u << i && !named_value(&names, word, &taken->arguments[i])) {
            return false;
        }
    }
    return true;
}

static void run_step(struct run *run, const struct case_data *data, const struct step *step)
{
    static struct step taken;

    text_clear(&found);
    if (is_out_of_reach(step) || !take_names(step, &taken)) {
        text_add(&found, "not run");
    } else {
        run_any(run, &taken);
    }
    named_take(&names, step->expected, found.bytes, TEXT_SIZE);
    text_measure(&found);
    run->steps++;
    if (!run->is_checking) {
        print_step(step);
    } else if (!text_is_one_of(&found, step->expected)) {
        report_difference(run, data, step);
    }
    flush();
}

static void end_case(struct run *run, const struct case_data *data)
{
    uint64_t self = os_handle(CALLER_LIVE);

    text_clear(&found);
    if (data->map) {
        regions_draw(0, self, &found);
        named_replace(&names, found.bytes, TEXT_SIZE);
        text_measure(&found);
    }
    if (!run->is_checking) {
        text_add(&output, found.bytes);
    } else if (data->map && !text_is(&found, data->map)) {
        run->differences++;
        text_add(&output, data->name);
        text_add(&output, "\nexpected:\n");
        text_add(&output, data->map);
        text_add(&output, "found:\n");
        text_add(&output, found.bytes);
    }
    regions_release(0, self);
    if (run->has_other) {
        regions_release(1, os_handle(CALLER_OTHER));
    }
    section_steps_end();
    flush();
}

static void run_case(struct run *run, const struct case_data *data)
{
    if (!run->is_checking) {
        text_add(&output, "case ");
        text_add(&output, data->name);
        text_add(&output, "\n");
    }
    if (data->skip) {
        run->skipped++;
        text_add(&output, run->is_checking ? "" : "  skipped: ");
        text_add(&output, run->is_checking ? "" : data->skip);
        text_add(&output, run->is_checking ? "" : "\n");
        flush();
        return;
    }
    places_clear();
    names.count = 0;
    regions_remember(0, os_handle(CALLER_LIVE));
    run->who = CALLER_LIVE;
    run->process = os_handle(CALLER_LIVE);
    run->has_other = false;
    for (uint32_t i = 0; i < data->step_count; i++) {
        run_step(run, data, &data->steps[i]);
    }
    end_case(run, data);
}

static void print_summary(const struct run *run)
{
    text_decimal(&output, case_count - run->skipped);
    text_add(&output, " cases run, ");
    text_decimal(&output, run->skipped);
    text_add(&output, " skipped, ");
    text_decimal(&output, run->steps);
    text_add(&output, " steps, ");
    text_decimal(&output, run->differences);
    text_add(&output, " differences\n");
    flush();
}

_Noreturn void program(void);

_Noreturn void program(void)
{
    static struct run run;

    if (!os_begin()) {
        os_end(0);
    }
    run.is_checking = os_has_word("--check");
    if (!places_begin(os_handle(CALLER_LIVE))) {
        text_add(&output, "no room for the addresses of the cases\n");
        flush();
        os_end(2);
    }
    for (uint32_t i = 0; i < case_count; i++) {
        run_case(&run, &case_table[i]);
    }
    if (run.is_checking) {
        print_summary(&run);
    }
    os_end(run.differences ? 1 : 0);
}
