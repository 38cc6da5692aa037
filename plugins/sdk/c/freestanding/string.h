// The part of C's standard library that a plugin without a libc has. See memory.c.
#ifndef AMPHORA_STRING_H
#define AMPHORA_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int octet, size_t size);
int memcmp(const void *a, const void *b, size_t size);
void *memchr(const void *memory, int octet, size_t size);
size_t strlen(const char *text);
int strcmp(const char *a, const char *b);

#endif
