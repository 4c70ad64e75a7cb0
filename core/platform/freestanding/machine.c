/*
 * The platform struct, and the interrupt flag as the level at which the core's locks are taken.
 *
 * With interrupts off a processor that spins for a lock is not reached by the shootdown's
 * interrupt, while the lock's owner may wait for just that. So each spin polls: relax serves the
 * round.
 */
#include "platform/freestanding/machine.h"
#include "platform/freestanding/instructions.h"

static void relax(void *context)
{
    pause_briefly();
    ntmm_freestanding_poll(context);
}

static uint32_t raise_level(void *context)
{
    (void)context;
    return interrupts_off();
}

static void lower_level(void *context, uint32_t old_level)
{
    (void)context;
    interrupts_restore(old_level);
}

static uint32_t level(void *context)
{
    (void)context;
    return interrupts_are_on() ? NTMM_PASSIVE_LEVEL : NTMM_DISPATCH_LEVEL;
}

static ntmm_status check_config(const struct ntmm_freestanding_config *config)
{
    if (config->size != sizeof *config || config->version != NTMM_FREESTANDING_VERSION)
        return NTMM_STATUS_INFO_LENGTH_MISMATCH;
    if (config->processor_count == 0 || config->processor_count > NTMM_FREESTANDING_PROCESSORS ||
        !config->processor || !config->root || (config->processor_count > 1 && !config->interrupt))
        return NTMM_STATUS_INVALID_PARAMETER_2;
    return NTMM_STATUS_SUCCESS;
}

NTMM_API ntmm_status ntmm_freestanding_init(struct ntmm_freestanding *machine,
                                            const struct ntmm_freestanding_config *config,
                                            struct ntmm_platform *platform)
{
    ntmm_status status = check_config(config);
    if (status != NTMM_STATUS_SUCCESS)
        return status;
    machine->kernel = config->kernel;
    machine->config = *config;
    *platform = (struct ntmm_platform){
        .size = sizeof *platform,
        .version = NTMM_PLATFORM_VERSION,
        .context = machine,
        .ranges = config->ranges,
        .range_count = config->range_count,
        .direct_map = config->direct_map,
        .zero = direct_zero,
        .copy = direct_copy,
        .compare = direct_compare,
        .read = direct_read,
        .write = direct_write,
        .invalidate = shootdown_invalidate,
        .root_template = config->root + NTMM_ENTRIES_PER_TABLE / 2,
        .relax = relax,
        .raise_level = raise_level,
        .lower_level = lower_level,
        .level = level,
        .processor = config->processor,
    };
    return NTMM_STATUS_SUCCESS;
}

NTMM_API void ntmm_freestanding_query(const struct ntmm_freestanding *machine, uint32_t processor,
                                      struct ntmm_freestanding_statistics *out)
{
    *out = (struct ntmm_freestanding_statistics){0};
    if (processor < machine->config.processor_count)
        *out = machine->processors[processor].statistics;
}
