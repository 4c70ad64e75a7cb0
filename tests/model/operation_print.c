/*
 * Operations as steps of a case.
 */
#include "model/section_operation.h"
#include "model/words.h"

#include <stdio.h>

static bool is_copy(const struct operation *operation)
{
    return operation->verb == VERB_READ_MEMORY || operation->verb == VERB_WRITE_MEMORY;
}

static bool is_lock(const struct operation *operation)
{
    return operation->verb == VERB_LOCK || operation->verb == VERB_UNLOCK;
}

static const char *number(char text[WORD_SIZE], uint64_t value, bool is_null)
{
    return is_null ? "NULL" : words_of_number(text, value);
}

static void print_bytes(const char *before, const struct operation *operation,
                        const struct outcome *outcome, uint64_t zeros)
{
    printf("%s", before);
    for (uint64_t i = 0; i < operation->size; i++) {
        printf("%02X", zeros >> i & 1 ? 0u : outcome->bytes[i]);
    }
}

/* The count, and of a read the last 8 bytes. */
static void print_copy(const struct operation *operation, const struct outcome *outcome)
{
    char text[WORD_SIZE];
    uint64_t first = outcome->size > 8 ? outcome->size - 8 : 0;

    printf(" %s", words_of_number(text, outcome->size));
    for (uint64_t i = first; operation->verb == VERB_READ_MEMORY && i < outcome->size; i++) {
        printf("%s%02X", i == first ? " " : "", outcome->bytes[i]);
    }
}

void operation_print_outcome(const struct operation *operation, const struct outcome *outcome)
{
    char text[WORD_SIZE];
    bool is_success = outcome->status < 0x80000000u;
    bool is_read = operation->verb == VERB_READ || operation->verb == VERB_EXECUTE;

    printf("%s", words_of_status(text, outcome->status));
    if (section_operation_is(operation)) {
        section_operation_print_outcome(operation, outcome);
        return;
    }
    if (is_copy(operation)) {
        print_copy(operation, outcome);
    }
    if (is_lock(operation) && is_success) {
        printf(" %s", words_of_number(text, outcome->base));
        printf(" %s", words_of_number(text, outcome->size));
    }
    if (operation->verb <= VERB_PROTECT && is_success) {
        printf(" %s", words_of_number(text, outcome->base));
        printf(" %s", words_of_number(text, outcome->size));
    }
    if (operation->verb == VERB_PROTECT && is_success) {
        printf(" %s", words_of_protect(text, outcome->old));
    }
    if (operation->verb == VERB_QUERY && is_success) {
        printf(" %s", words_of_number(text, outcome->memory.base));
        printf(" %s", words_of_number(text, outcome->memory.allocation_base));
        printf(" %s", words_of_protect(text, outcome->memory.allocation_protect));
        printf(" %s", words_of_number(text, outcome->memory.size_bytes));
        printf(" %s", words_of_type(text, outcome->memory.state));
        printf(" %s", words_of_protect(text, outcome->memory.protect));
        printf(" %s", words_of_kind(text, outcome->memory.type));
    }
    for (uint32_t i = 0; i < outcome->fault.parameter_count && i < 2; i++) {
        printf(" %s", words_of_number(text, outcome->fault.parameters[i]));
    }
    if (is_success && is_read) {
        print_bytes(" ", operation, outcome, 0);
    }
    if (outcome->or_status) {
        printf(" or %s", words_of_status(text, outcome->or_status));
    }
    if (is_read && outcome->or_zero) {
        print_bytes(" or SUCCESS ", operation, outcome, outcome->or_zero);
    }
    printf("\n");
}

static void print_extended(const struct operation *operation, const char *base, const char *size)
{
    char text[2][WORD_SIZE];

    printf("  allocate-ex %s %s %s", base, size, words_of_type(text[0], operation->type));
    printf(" %s", words_of_protect(text[1], operation->protect));
    if (operation->parameter_count) {
        printf(" requirements:0x%llX:0x%llX:0x%llX", (unsigned long long)operation->parameter.value,
               (unsigned long long)operation->parameter.highest,
               (unsigned long long)operation->parameter.alignment);
    }
    printf(" = ");
}

/* Of verbs that name a range and nothing else. */
static const char *plain_name(enum verb verb)
{
    return verb == VERB_RECLAIM ? "reclaim" : verb == VERB_DISCARD ? "discard" : "read-memory";
}

static void print_write(const struct operation *operation, const char *base)
{
    printf("  write %s ", base);
    for (uint64_t i = 0; i < operation->size; i++) {
        printf("%02X", operation->bytes[i]);
    }
    printf(" = ");
}

static void print_call(const struct operation *operation)
{
    static const char *const ACCESSES[] = {"read", "write", "", "", "", "", "", "", "execute"};
    char text[4][WORD_SIZE];
    const char *base = number(text[0], operation->base, operation->is_base_null);
    const char *size = number(text[1], operation->size, operation->is_size_null);

    switch (operation->verb) {
    case VERB_ALLOCATE:
        printf("  allocate %s 0x%llX %s %s", base, (unsigned long long)operation->zero_bits, size,
               words_of_type(text[2], operation->type));
        printf(" %s = ", words_of_protect(text[3], operation->protect));
        break;
    case VERB_ALLOCATE_EX:
        print_extended(operation, base, size);
        break;
    case VERB_OFFER:
        printf("  offer %s %s %u = ", base, size, operation->priority);
        break;
    case VERB_RECLAIM:
    case VERB_DISCARD:
    case VERB_READ_MEMORY:
        printf("  %s %s %s = ", plain_name(operation->verb), base, size);
        break;
    case VERB_FREE:
        printf("  free %s %s %s = ", base, size, words_of_type(text[2], operation->type));
        break;
    case VERB_PROTECT:
        printf("  protect %s %s %s%s = ", base, size, words_of_protect(text[2], operation->protect),
               operation->is_old_null ? " NULL" : "");
        break;
    case VERB_QUERY:
        printf("  query %s = ", base);
        break;
    case VERB_WRITE_MEMORY:
        printf("  write-memory %s %s 0x%X = ", base, size, operation->bytes[0]);
        break;
    case VERB_LOCK:
    case VERB_UNLOCK:
        printf("  %s %s %s ", operation->verb == VERB_LOCK ? "lock" : "unlock", base, size);
        printf("%s = ", words_of_number(text[2], operation->type));
        break;
    case VERB_READ:
    case VERB_EXECUTE:
        printf("  %s %s %s = ", ACCESSES[operation->access], base, size);
        break;
    case VERB_WRITE:
        print_write(operation, base);
        break;
    case VERB_DOOR:
        printf("  fault %s %s = ", base, ACCESSES[operation->access]);
        break;
    default:
        puts(operation->verb == VERB_RESTART ? "  restart" : "  # free frames are zeroed");
        break;
    }
}

void operation_print(const struct operation *operation, const struct outcome *outcome,
                     enum who *who)
{
    static const char *const NAMES[] = {"live", "other", "null", "stale", "wrong-kind"};

    if (operation->who != *who) {
        *who = operation->who;
        printf("  as %s\n", NAMES[*who]);
    }
    if (section_operation_is(operation)) {
        section_operation_print(operation);
    } else {
        print_call(operation);
    }
    if (operation->verb < VERB_RESTART) {
        operation_print_outcome(operation, outcome);
    }
}
