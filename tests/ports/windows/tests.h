/*
 * What the unit tests use of POSIX beyond the emulated platform, for mingw-w64; included before all
 * of their sources. What cannot be there fails, and skips.txt leaves out who needs it.
 */
#ifndef NTMM_PORTS_WINDOWS_TESTS_H
#define NTMM_PORTS_WINDOWS_TESTS_H

#define _FILE_OFFSET_BITS 64
#include "platform/emulated/host.h"

#include <stdlib.h>

#define SIGKILL 9
#define SIGTRAP 5
#define SIGXFSZ 25

#define aligned_alloc ported_aligned_alloc
#define free ported_free
#define mkdtemp ported_mkdtemp
#define mkstemp ported_mkstemp
#define readlink ported_readlink
#define fork ported_fork

#define mkfifo(path, mode) ((void)(path), -1)
#define symlink(target, path) ((void)(path), -1)
#define geteuid() 1
#define seteuid(user) ((void)(user), -1)
#define kill(process, number) ((void)(process), -1)

/* Few blocks at a time are aligned ones: free knows them. */
void *aligned_alloc(size_t alignment, size_t size);
void free(void *block);
char *mkdtemp(char *name);
int mkstemp(char *name); /* the file may be opened again, as with POSIX */
ssize_t readlink(const char *path, char *name, size_t size);
pid_t fork(void);

#endif
