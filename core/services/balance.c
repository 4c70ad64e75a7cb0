/*
 * The public side of the balance set manager.
 */
#include "workingset/balance.h"

#include <ntmm/paging.h>

void ntmm_balance_set_manager(struct ntmm_system *system)
{
    struct call c = call_begin_to_wait(system);
    balance_tick(&c);
}
