# What host_calls.c stands before, as options of the linker: host_calls.
set(host_calls malloc calloc realloc free mmap mmap64 munmap madvise memfd_create open64 close
  stat64 fstat64 ftruncate64 lseek64 pread64 pwrite64 preadv64 pwritev64 fdatasync
  pthread_mutex_init pthread_condattr_init pthread_condattr_setclock pthread_cond_init
  pthread_key_create getcontext ioctl sysconf)
list(TRANSFORM host_calls PREPEND "LINKER:--wrap=")
