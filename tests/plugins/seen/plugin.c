// Routes a message to the bindings whose argument `x-seen` says in words what the SDK makes of it.

#include <stdlib.h>
#include <string.h>

#include "amphora.h"

typedef struct binding {
    uint32_t id;
    amphora_bytes seen;
    struct binding *next;
} binding;

// Words that grow.
typedef struct {
    uint8_t *bytes;
    size_t length;
    size_t room;
} words;

static binding *bindings;
static const amphora_needs needs = {
    .vhost = true, .exchange = true, .routing_key = true, .user = true, .time = true, .properties = true, .all_headers = true, .body = true};

void exports_amphora_plugin_plugin_describe(exports_amphora_plugin_plugin_description_t *description) {
    *description = (exports_amphora_plugin_plugin_description_t){0};
    guest_string_dup(&description->name, "seen");
    guest_string_dup(&description->version, "1");
    description->needs.parts = AMPHORA_PLUGIN_TYPES_PARTS_VHOST | AMPHORA_PLUGIN_TYPES_PARTS_EXCHANGE | AMPHORA_PLUGIN_TYPES_PARTS_ROUTING_KEY |
                               AMPHORA_PLUGIN_TYPES_PARTS_USER | AMPHORA_PLUGIN_TYPES_PARTS_TIME | AMPHORA_PLUGIN_TYPES_PARTS_PROPERTIES;
    description->needs.headers.tag = AMPHORA_PLUGIN_TYPES_HEADER_NEEDS_ALL;
    description->needs.body.tag = AMPHORA_PLUGIN_TYPES_BODY_NEEDS_WHOLE;
}

bool exports_amphora_plugin_exchange_create(uint32_t exchange, guest_string_t *vhost, guest_string_t *name,
                                            exports_amphora_plugin_exchange_table_t *arguments, guest_string_t *refusal) {
    (void)exchange, (void)refusal;
    guest_string_free(vhost);
    guest_string_free(name);
    exports_amphora_plugin_exchange_table_free(arguments);
    return true;
}

void exports_amphora_plugin_exchange_delete(uint32_t exchange) {
    (void)exchange;
}

bool exports_amphora_plugin_exchange_rebind(uint32_t exchange, exports_amphora_plugin_exchange_list_binding_t *add,
                                            guest_list_u32_t *remove, guest_string_t *refusal) {
    (void)exchange, (void)refusal;
    for (size_t i = 0; i < add->len; i++) {
        const amphora_plugin_types_value_t *seen = amphora_argument(&add->ptr[i].arguments, "x-seen");
        if (seen == NULL || seen->tag != AMPHORA_PLUGIN_TYPES_VALUE_TEXT) {
            abort();
        }
        uint8_t *bytes = malloc(seen->val.text.len);
        memcpy(bytes, seen->val.text.ptr, seen->val.text.len);
        binding *added = malloc(sizeof *added);
        *added = (binding){add->ptr[i].id, {bytes, seen->val.text.len}, bindings};
        bindings = added;
    }
    exports_amphora_plugin_exchange_list_binding_free(add);
    guest_list_u32_free(remove);
    return true;
}

static void put(words *words, const void *bytes, size_t length) {
    if (words->length + length > words->room) {
        words->room = 2 * (words->length + length);
        words->bytes = realloc(words->bytes, words->room);
    }
    memcpy(words->bytes + words->length, bytes, length);
    words->length += length;
}

static void say(words *words, const char *text) {
    put(words, text, strlen(text));
}

static void number(words *words, uint64_t value) {
    char digits[20];
    size_t first = sizeof digits;
    do {
        digits[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    put(words, digits + first, sizeof digits - first);
}

static void integer(words *words, int64_t value) {
    if (value < 0) {
        say(words, "-");
    }
    number(words, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

static void hex(words *words, amphora_bytes bytes) {
    for (size_t i = 0; i < bytes.length; i++) {
        put(words, &"0123456789abcdef"[bytes.bytes[i] >> 4], 1);
        put(words, &"0123456789abcdef"[bytes.bytes[i] & 15], 1);
    }
}

static void value(words *words, const amphora_value *seen);

static void table(words *words, amphora_bytes fields) {
    amphora_bytes name;
    amphora_value field;
    say(words, "{");
    for (bool first = true; amphora_field(&fields, &name, &field); first = false) {
        say(words, first ? "" : ",");
        put(words, name.bytes, name.length);
        say(words, ":");
        value(words, &field);
    }
    say(words, "}");
}

static void array(words *words, amphora_bytes elements) {
    amphora_value element;
    say(words, "[");
    for (bool first = true; amphora_element(&elements, &element); first = false) {
        say(words, first ? "" : ",");
        value(words, &element);
    }
    say(words, "]");
}

static void real(words *words, double seen) {
    uint64_t bits;
    memcpy(&bits, &seen, 8);
    uint8_t octets[8];
    for (int i = 0; i < 8; i++) {
        octets[i] = (uint8_t)(bits >> (56 - 8 * i));
    }
    say(words, "f");
    hex(words, (amphora_bytes){octets, 8});
}

static void value(words *words, const amphora_value *seen) {
    switch (seen->type) {
    case AMPHORA_ABSENT:
        abort();
    case AMPHORA_VOID:
        say(words, "void");
        break;
    case AMPHORA_BOOLEAN:
        say(words, seen->boolean ? "true" : "false");
        break;
    case AMPHORA_INTEGER:
        integer(words, seen->integer);
        break;
    case AMPHORA_FLOAT:
        real(words, seen->real);
        break;
    case AMPHORA_DECIMAL:
        say(words, "d");
        number(words, seen->decimal.places);
        say(words, "/");
        integer(words, seen->decimal.number);
        break;
    case AMPHORA_TEXT:
        say(words, "\"");
        put(words, seen->bytes.bytes, seen->bytes.length);
        say(words, "\"");
        break;
    case AMPHORA_BYTES:
        say(words, "x");
        hex(words, seen->bytes);
        break;
    case AMPHORA_TIMESTAMP:
        say(words, "@");
        number(words, seen->timestamp);
        break;
    case AMPHORA_ARRAY:
        array(words, seen->bytes);
        break;
    case AMPHORA_TABLE:
        table(words, seen->bytes);
        break;
    }
}

static void message_words(words *words, const amphora_message *message) {
    const amphora_bytes texts[] = {message->vhost, message->exchange, message->routing_key, message->user};
    for (size_t i = 0; i < 4; i++) {
        put(words, texts[i].bytes, texts[i].length);
        say(words, " ");
    }
    number(words, message->time);
    say(words, " ");
    hex(words, message->properties);
    say(words, " ");
    table(words, message->all_headers);
    say(words, " ");
    number(words, message->body_size);
    say(words, " ");
    hex(words, message->body);
}

void exports_amphora_plugin_exchange_packed_route(uint32_t exchange, guest_list_u8_t *bytes, guest_list_u32_t *numbers) {
    (void)exchange;
    amphora_batch batch = amphora_read(&needs, bytes->ptr, bytes->len);
    amphora_answer answer = {0};
    amphora_message message;
    while (amphora_next(&batch, &message)) {
        words words = {0};
        message_words(&words, &message);
        amphora_answer_message(&answer);
        for (const binding *at = bindings; at != NULL; at = at->next) {
            if (amphora_equal(at->seen, (amphora_bytes){words.bytes, words.length})) {
                amphora_answer_to(&answer, at->id);
            }
        }
        free(words.bytes);
    }
    guest_list_u8_free(bytes);
    *numbers = (guest_list_u32_t){answer.numbers, answer.length};
}
