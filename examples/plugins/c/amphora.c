#include "amphora.h"

#include <stdlib.h>
#include <string.h>

// Layouts that this file can read: the first byte of a batch.
#define LAYOUT 1

static amphora_bytes take(amphora_bytes *from, size_t length) {
    if (length > from->length) {
        abort();
    }
    amphora_bytes taken = {from->bytes, length};
    from->bytes += length;
    from->length -= length;
    return taken;
}

static uint64_t little(amphora_bytes *from, size_t size) {
    amphora_bytes bytes = take(from, size);
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++) {
        number |= (uint64_t)bytes.bytes[i] << (8 * i);
    }
    return number;
}

static uint64_t big(amphora_bytes *from, size_t size) {
    amphora_bytes bytes = take(from, size);
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++) {
        number = number << 8 | bytes.bytes[i];
    }
    return number;
}

static amphora_value integer(int64_t number) {
    return (amphora_value){.type = AMPHORA_INTEGER, .integer = number};
}

static amphora_value run(amphora_type type, amphora_bytes *from) {
    size_t length = big(from, 4);
    return (amphora_value){.type = type, .bytes = take(from, length)};
}

static amphora_value real(amphora_bytes *from, bool wide) {
    amphora_value value = {.type = AMPHORA_FLOAT};
    if (wide) {
        uint64_t bits = big(from, 8);
        memcpy(&value.real, &bits, 8);
    } else {
        uint32_t bits = (uint32_t)big(from, 4);
        float number;
        memcpy(&number, &bits, 4);
        value.real = number;
    }
    return value;
}

static amphora_value value_of(uint8_t type, amphora_bytes *from) {
    amphora_value value = {.type = AMPHORA_ABSENT};
    switch (type) {
    case 0:
        return value;
    case 'V':
        value.type = AMPHORA_VOID;
        return value;
    case 't':
        value.type = AMPHORA_BOOLEAN;
        value.boolean = big(from, 1) != 0;
        return value;
    case 'b':
        return integer((int8_t)big(from, 1));
    case 'B':
        return integer((int64_t)big(from, 1));
    case 's':
        return integer((int16_t)big(from, 2));
    case 'u':
        return integer((int64_t)big(from, 2));
    case 'I':
        return integer((int32_t)big(from, 4));
    case 'i':
        return integer((int64_t)big(from, 4));
    case 'l':
    case 'L':
        return integer((int64_t)big(from, 8));
    case 'f':
        return real(from, false);
    case 'd':
        return real(from, true);
    case 'D':
        value.type = AMPHORA_DECIMAL;
        value.decimal.places = (uint8_t)big(from, 1);
        value.decimal.number = (int32_t)big(from, 4);
        return value;
    case 'T':
        value.type = AMPHORA_TIMESTAMP;
        value.timestamp = big(from, 8);
        return value;
    case 'S':
        return run(AMPHORA_TEXT, from);
    case 'x':
        return run(AMPHORA_BYTES, from);
    case 'A':
        return run(AMPHORA_ARRAY, from);
    case 'F':
        return run(AMPHORA_TABLE, from);
    default:
        abort();
    }
}

static void optional(bool needed, amphora_bytes *from, size_t length_size, amphora_bytes *part) {
    if (needed) {
        size_t length = little(from, length_size);
        *part = take(from, length);
    }
}

amphora_batch amphora_read(const amphora_needs *needs, const uint8_t *bytes, size_t length) {
    amphora_batch batch = {.needs = *needs, .rest = {bytes, length}};
    if (little(&batch.rest, 1) != LAYOUT || needs->named_headers > AMPHORA_HEADERS_MAX) {
        abort();
    }
    batch.left = (uint32_t)little(&batch.rest, 4);
    return batch;
}

bool amphora_next(amphora_batch *batch, amphora_message *message) {
    const amphora_needs *needs = &batch->needs;
    amphora_bytes *rest = &batch->rest;
    if (batch->left == 0) {
        if (rest->length != 0) {
            abort();
        }
        return false;
    }
    batch->left--;
    optional(needs->vhost, rest, 1, &message->vhost);
    optional(needs->exchange, rest, 1, &message->exchange);
    optional(needs->routing_key, rest, 1, &message->routing_key);
    optional(needs->user, rest, 1, &message->user);
    if (needs->time) {
        message->time = little(rest, 8);
    }
    optional(needs->properties, rest, 4, &message->properties);
    for (uint32_t i = 0; i < needs->named_headers; i++) {
        uint8_t type = (uint8_t)little(rest, 1);
        message->headers[i] = value_of(type, rest);
    }
    optional(needs->all_headers, rest, 4, &message->all_headers);
    if (needs->body) {
        message->body_size = little(rest, 8);
        optional(true, rest, 4, &message->body);
    }
    return true;
}

bool amphora_field(amphora_bytes *table, amphora_bytes *name, amphora_value *value) {
    if (table->length == 0) {
        return false;
    }
    size_t length = big(table, 1);
    *name = take(table, length);
    return amphora_element(table, value);
}

bool amphora_element(amphora_bytes *array, amphora_value *value) {
    if (array->length == 0) {
        return false;
    }
    uint8_t type = (uint8_t)big(array, 1);
    *value = value_of(type, array);
    return true;
}

bool amphora_equal(amphora_bytes a, amphora_bytes b) {
    return a.length == b.length && memcmp(a.bytes, b.bytes, a.length) == 0;
}

static void push(amphora_answer *answer, uint32_t number) {
    if (answer->length == answer->room) {
        answer->room = answer->room == 0 ? 64 : 2 * answer->room;
        answer->numbers = realloc(answer->numbers, answer->room * sizeof *answer->numbers);
    }
    answer->numbers[answer->length++] = number;
}

void amphora_answer_message(amphora_answer *answer) {
    answer->message = answer->length;
    push(answer, 0);
}

void amphora_answer_to(amphora_answer *answer, uint32_t binding) {
    push(answer, binding);
    answer->numbers[answer->message]++;
}

const amphora_plugin_types_value_t *amphora_argument(const amphora_plugin_types_table_t *table, const char *name) {
    for (size_t i = 0; i < table->fields.len; i++) {
        const amphora_plugin_types_field_t *field = &table->fields.ptr[i];
        if (field->name.len == strlen(name) && memcmp(field->name.ptr, name, field->name.len) == 0) {
            return &field->value;
        }
    }
    return NULL;
}

const char *amphora_kind(const amphora_plugin_types_value_t *value) {
    switch (value->tag) {
    case AMPHORA_PLUGIN_TYPES_VALUE_VOID:
        return "void";
    case AMPHORA_PLUGIN_TYPES_VALUE_BOOLEAN:
        return "a boolean";
    case AMPHORA_PLUGIN_TYPES_VALUE_SIGNED:
    case AMPHORA_PLUGIN_TYPES_VALUE_UNSIGNED:
        return "an integer";
    case AMPHORA_PLUGIN_TYPES_VALUE_FLOAT:
        return "a float";
    case AMPHORA_PLUGIN_TYPES_VALUE_DECIMAL:
        return "a decimal";
    case AMPHORA_PLUGIN_TYPES_VALUE_TEXT:
        return "a text";
    case AMPHORA_PLUGIN_TYPES_VALUE_BYTES:
        return "bytes";
    case AMPHORA_PLUGIN_TYPES_VALUE_TIMESTAMP:
        return "a timestamp";
    case AMPHORA_PLUGIN_TYPES_VALUE_ARRAY:
        return "an array";
    case AMPHORA_PLUGIN_TYPES_VALUE_TABLE:
        return "a table";
    default:
        abort();
    }
}
