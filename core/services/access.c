/*
 * NtOpenProcess: what a caller may have of a process, decided once and carried by the handle.
 *
 * Source of the rule and the numbers: nt_semantics 15; where it doubts, docs/fidelity.md.
 */
#include "services/access.h"
#include "space/process.h"

#include <ntmm/access.h>

/* What a signer dominates, a bit a signer, and what it denies to whoever does not dominate it. */
struct signer {
    uint32_t dominates;
    uint32_t denied;
};

#define BUT_TERMINATE 0x000FC7FEu
#define EVERYTHING 0x000FC7FFu

static const struct signer signers[] = {
    [NTMM_SIGNER_NONE] = {0, 0},
    [NTMM_SIGNER_AUTHENTICODE] = {1u << NTMM_SIGNER_AUTHENTICODE, BUT_TERMINATE},
    [NTMM_SIGNER_CODEGEN] = {1u << NTMM_SIGNER_CODEGEN, BUT_TERMINATE},
    [NTMM_SIGNER_ANTIMALWARE] = {1u << NTMM_SIGNER_ANTIMALWARE, EVERYTHING},
    [NTMM_SIGNER_LSA] = {1u << NTMM_SIGNER_LSA, EVERYTHING},
    [NTMM_SIGNER_WINDOWS] = {0x3E, BUT_TERMINATE},
    [NTMM_SIGNER_WINTCB] = {0x7E, EVERYTHING},
    [NTMM_SIGNER_WINSYSTEM] = {0xFE, EVERYTHING},
    [NTMM_SIGNER_APP] = {1u << NTMM_SIGNER_APP, BUT_TERMINATE},
};

#define SIGNER_COUNT (sizeof signers / sizeof *signers)

/* Rights and privileges in one word, as handles lack them; NT's number of each privilege. */
static const struct {
    uint32_t held;
    uint32_t number;
} privileges[] = {
    {HELD_LOCK_MEMORY, 4},
    {HELD_INCREASE_QUOTA, 5},
    {HELD_PROFILE, 13},
    {HELD_INCREASE_WORKING_SET, 33},
};

#define PRIVILEGE_COUNT (sizeof privileges / sizeof *privileges)

static uint32_t type_of(uint32_t protection) { return protection & 7u; }
static uint32_t signer_of(uint32_t protection) { return protection >> 4 & 15u; }

bool access_is_protection(uint32_t protection)
{
    bool is_known = type_of(protection) <= NTMM_PROTECTION_FULL &&
                    signer_of(protection) < SIGNER_COUNT && protection < 0x100;
    return is_known && (type_of(protection) != NTMM_PROTECTION_NONE || signer_of(protection) == 0);
}

/* Rights that the target's protection denies to a caller with a protection of its own. */
static uint32_t denied_to(uint32_t caller, uint32_t target)
{
    const struct signer *signer = &signers[signer_of(target)];
    bool dominates = (signers[signer_of(caller)].dominates >> signer_of(target) & 1u) != 0;
    if (type_of(target) == NTMM_PROTECTION_NONE)
        return 0;
    return type_of(caller) >= type_of(target) && dominates ? 0 : signer->denied;
}

static ntmm_status protection_of(struct call *c, ntmm_handle handle, uint32_t *protection,
                                 ntmm_handle *own)
{
    struct process *process;
    ntmm_status status = process_lock_working_set(c, handle & ~HANDLE_LACKS, 0, &process);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    *protection = get32(&process->protection);
    *own = get64(&process->handle);
    process_unlock_working_set(c, process);
    return NTMM_STATUS_SUCCESS;
}

/* The bits of a handle whose holder has some rights and privileges, of all there are. */
static uint64_t lacks(uint32_t rights, uint64_t held)
{
    uint32_t missing = NTMM_PROCESS_ALL & ~rights;
    for (uint32_t i = 0; i < PRIVILEGE_COUNT; i++)
        missing |= held >> privileges[i].number & 1u ? 0 : privileges[i].held;
    return (uint64_t)missing << HANDLE_LACKS_SHIFT;
}

static ntmm_status denied_rights(struct call *c, const struct ntmm_caller *caller, uint32_t target,
                                 uint32_t *denied)
{
    uint32_t protection;
    ntmm_handle own;
    *denied = 0;
    if (!caller || caller->process == 0)
        return NTMM_STATUS_SUCCESS;
    if (protection_of(c, caller->process, &protection, &own) != NTMM_STATUS_SUCCESS)
        return NTMM_STATUS_INVALID_PARAMETER_2;
    *denied = denied_to(protection, target);
    return NTMM_STATUS_SUCCESS;
}

ntmm_status ntmm_open_process(struct ntmm_system *system, const struct ntmm_caller *caller,
                              ntmm_handle target, uint32_t desired, ntmm_handle *handle)
{
    struct call c = call_begin(system);
    uint32_t protection, denied;
    ntmm_handle own;

    if (!handle)
        return NTMM_STATUS_ACCESS_VIOLATION;
    if (caller && (caller->size != sizeof *caller || caller->version != NTMM_CALLER_VERSION))
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    ntmm_status status = protection_of(&c, target, &protection, &own);
    if (status == NTMM_STATUS_SUCCESS)
        status = denied_rights(&c, caller, protection, &denied);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    if (desired & NTMM_MAXIMUM_ALLOWED)
        desired = NTMM_PROCESS_ALL & ~denied;
    if (desired & denied)
        return NTMM_STATUS_ACCESS_DENIED;
    *handle = own | lacks(desired, caller ? caller->privileges : UINT64_MAX);
    return NTMM_STATUS_SUCCESS;
}

uint32_t ntmm_granted_access(ntmm_handle handle)
{
    if (!handle_is_process(handle))
        return 0;
    return NTMM_PROCESS_ALL & ~(uint32_t)(handle >> HANDLE_LACKS_SHIFT);
}

uint64_t ntmm_held_privileges(ntmm_handle handle)
{
    uint64_t held = 0;
    for (uint32_t i = 0; handle_is_process(handle) && i < PRIVILEGE_COUNT; i++)
        held |= handle_holds(handle, privileges[i].held) ? 1ull << privileges[i].number : 0;
    return held;
}
