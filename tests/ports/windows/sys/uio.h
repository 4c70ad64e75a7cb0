/*
 * Pieces of memory, as the emulated platform has them.
 */
#include "platform/emulated/host.h"
