/*
 * Memory from the host, as the emulated platform has it.
 */
#include "platform/emulated/host.h"
