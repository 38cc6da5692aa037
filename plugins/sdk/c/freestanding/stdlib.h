// The part of C's standard library that a plugin without a libc has. See memory.c.
#ifndef AMPHORA_STDLIB_H
#define AMPHORA_STDLIB_H

#include <stddef.h>

void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *memory, size_t size);
void free(void *memory);
_Noreturn void abort(void);

#endif
