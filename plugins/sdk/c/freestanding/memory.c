// Memory and strings for plugins that are built without a libc.
//
// An instance lives as long as the broker, so what is freed must be found again: each size has a list of free blocks, and sizes are
// powers of two. A block never changes its size, and the memory of an instance never shrinks.

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 65536u
#define HEAD 16u // before each block, so that blocks are aligned for every type
#define SMALLEST 5u // 32 bytes, of which 16 are the head
#define SIZES 31u

struct block {
    uint32_t size; // the exponent of two
    struct block *next; // while it is free
};

extern unsigned char __heap_base;
static struct block *unused[SIZES];
static uintptr_t fresh; // from here on nothing was ever handed out

static uint32_t size_for(size_t wanted) {
    if (wanted > (1u << 30) - HEAD) {
        abort();
    }
    uint32_t size = SMALLEST;
    while ((1u << size) - HEAD < wanted) {
        size++;
    }
    return size;
}

static struct block *carve(uint32_t size) {
    if (fresh == 0) {
        fresh = ((uintptr_t)&__heap_base + HEAD - 1) & ~(uintptr_t)(HEAD - 1);
    }
    uint64_t end = (uint64_t)fresh + (1u << size);
    uint64_t have = (uint64_t)__builtin_wasm_memory_size(0) * PAGE;
    if (end > have) {
        uint64_t pages = (end - have + PAGE - 1) / PAGE;
        if (__builtin_wasm_memory_grow(0, (size_t)pages) == SIZE_MAX) {
            abort();
        }
    }
    struct block *block = (struct block *)fresh;
    fresh = (uintptr_t)end;
    return block;
}

void *malloc(size_t wanted) {
    uint32_t size = size_for(wanted);
    struct block *block = unused[size];
    if (block != NULL) {
        unused[size] = block->next;
    } else {
        block = carve(size);
    }
    block->size = size;
    return (unsigned char *)block + HEAD;
}

void free(void *memory) {
    if (memory == NULL) {
        return;
    }
    struct block *block = (struct block *)((unsigned char *)memory - HEAD);
    block->next = unused[block->size];
    unused[block->size] = block;
}

void *calloc(size_t count, size_t size) {
    if (size != 0 && count > SIZE_MAX / size) {
        abort();
    }
    return memset(malloc(count * size), 0, count * size);
}

void *realloc(void *memory, size_t wanted) {
    if (memory == NULL) {
        return malloc(wanted);
    }
    struct block *block = (struct block *)((unsigned char *)memory - HEAD);
    size_t room = (1u << block->size) - HEAD;
    if (wanted <= room) {
        return memory;
    }
    void *larger = malloc(wanted);
    memcpy(larger, memory, room);
    free(memory);
    return larger;
}

_Noreturn void abort(void) {
    __builtin_trap();
}

// With the feature bulk-memory, these three builtins are one instruction each, and not calls of the functions that they stand in.
void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    return __builtin_memcpy(to, from, size);
}

void *memmove(void *to, const void *from, size_t size) {
    return __builtin_memmove(to, from, size);
}

void *memset(void *to, int octet, size_t size) {
    return __builtin_memset(to, octet, size);
}

int memcmp(const void *a, const void *b, size_t size) {
    const unsigned char *left = a, *right = b;
    for (size_t i = 0; i < size; i++) {
        if (left[i] != right[i]) {
            return left[i] < right[i] ? -1 : 1;
        }
    }
    return 0;
}

void *memchr(const void *memory, int octet, size_t size) {
    const unsigned char *at = memory;
    for (size_t i = 0; i < size; i++) {
        if (at[i] == (unsigned char)octet) {
            return (void *)(at + i);
        }
    }
    return NULL;
}

size_t strlen(const char *text) {
    size_t length = 0;
    while (text[length] != 0) {
        length++;
    }
    return length;
}

int strcmp(const char *a, const char *b) {
    while (*a != 0 && *a == *b) {
        a++;
        b++;
    }
    return (int)(unsigned char)*a - (int)(unsigned char)*b;
}
