// Amphora's SDK for plugins in C: packed batches of messages, and the answers to them.
//
// This file and amphora.c belong into the plugin's folder. guest.h is generated from the contract when the plugin is built.
//
// Whatever points into a batch is valid until the batch is freed. A batch that is not what the plugin asked for is the host's mistake:
// reading it traps.
#ifndef AMPHORA_H
#define AMPHORA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest.h"

// As many headers can be named.
#define AMPHORA_HEADERS_MAX 64

typedef struct {
    const uint8_t *bytes;
    size_t length;
} amphora_bytes;

typedef enum {
    AMPHORA_ABSENT, // the message has no such header
    AMPHORA_VOID,
    AMPHORA_BOOLEAN,
    AMPHORA_INTEGER, // of any width
    AMPHORA_FLOAT,
    AMPHORA_DECIMAL,
    AMPHORA_TEXT, // whether it is UTF-8 is not looked at
    AMPHORA_BYTES,
    AMPHORA_TIMESTAMP,
    AMPHORA_ARRAY,
    AMPHORA_TABLE,
} amphora_type;

// A field value on the wire.
typedef struct {
    amphora_type type;
    union {
        bool boolean;
        int64_t integer;
        double real;
        struct {
            uint8_t places;
            int32_t number; // without its point
        } decimal;
        uint64_t timestamp; // seconds since 1970
        amphora_bytes bytes; // of text and bytes; of arrays and tables, what amphora_element and amphora_field take
    };
} amphora_value;

// What a batch has of each message: the same as describe asked for.
typedef struct {
    bool vhost;
    bool exchange;
    bool routing_key;
    bool user;
    bool time;
    bool properties;
    bool all_headers;
    uint32_t named_headers; // how many
    bool body;
} amphora_needs;

// A message as the plugin asked to see it; the rest is empty.
typedef struct {
    amphora_bytes vhost;
    amphora_bytes exchange;
    amphora_bytes routing_key;
    amphora_bytes user;
    uint64_t time; // milliseconds since 1970
    amphora_bytes properties; // flags and list of the content header, as on the wire
    amphora_value headers[AMPHORA_HEADERS_MAX]; // the named ones, in their order
    amphora_bytes all_headers; // for amphora_field
    uint64_t body_size; // of the whole body
    amphora_bytes body;
} amphora_message;

typedef struct {
    amphora_needs needs;
    amphora_bytes rest;
    uint32_t left;
} amphora_batch;

amphora_batch amphora_read(const amphora_needs *needs, const uint8_t *bytes, size_t length);

// The next message; false if there is none.
bool amphora_next(amphora_batch *batch, amphora_message *message);

// Takes the next field from a table, or the next element from an array; false if there is none.
bool amphora_field(amphora_bytes *table, amphora_bytes *name, amphora_value *value);
bool amphora_element(amphora_bytes *array, amphora_value *value);

bool amphora_equal(amphora_bytes a, amphora_bytes b);

// Numbers that grow to the answer of route.
typedef struct {
    uint32_t *numbers;
    size_t length;
    size_t room;
    size_t message; // where the number of this message's bindings stands
} amphora_answer;

// The next message's answer begins: it goes nowhere.
void amphora_answer_message(amphora_answer *answer);

// It goes where this binding leads.
void amphora_answer_to(amphora_answer *answer, uint32_t binding);

// The value of an argument of a declaration or a binding; NULL if it is not there.
const amphora_plugin_types_value_t *amphora_argument(const amphora_plugin_types_table_t *table, const char *name);

// What the value of an argument is, as error texts call it.
const char *amphora_kind(const amphora_plugin_types_value_t *value);

#endif
