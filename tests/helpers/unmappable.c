// Preloaded into a process, it lets no file be mapped into memory that lies in the folder that UNMAPPABLE names.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef void *(*mapper)(void *, size_t, int, int, int, off_t);

static void *map(const char *name, void *at, size_t size, int protection, int flags, int file, off_t offset) {
  const char *folder = getenv("UNMAPPABLE");
  char link[64], path[4096] = "";
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  if (folder && !(flags & MAP_ANONYMOUS) && readlink(link, path, sizeof path - 1) > 0
      && !strncmp(path, folder, strlen(folder))) {
    errno = ENODEV;
    return MAP_FAILED;
  }
  return ((mapper)dlsym(RTLD_NEXT, name))(at, size, protection, flags, file, offset);
}

void *mmap(void *at, size_t size, int protection, int flags, int file, off_t offset) {
  return map("mmap", at, size, protection, flags, file, offset);
}

void *mmap64(void *at, size_t size, int protection, int flags, int file, off_t offset) {
  return map("mmap64", at, size, protection, flags, file, offset);
}
