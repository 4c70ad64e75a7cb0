/*
 * What the emulated platform calls of its host beyond the C library: POSIX, and a few calls of
 * Linux, which may fail. Windows has it from windows/posix.h. Sources that name files or memory
 * define _GNU_SOURCE and _FILE_OFFSET_BITS before it.
 */
#ifndef NTMM_EMULATED_HOST_H
#define NTMM_EMULATED_HOST_H

#if !defined(_WIN32)
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#endif
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "platform/emulated/windows/posix.h"

#endif
