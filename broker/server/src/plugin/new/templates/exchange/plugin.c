// A message goes to each binding whose key its routing key begins with.

#include <stdlib.h>
#include <string.h>

#include "amphora.h"

typedef struct binding {
    uint32_t exchange;
    uint32_t id;
    amphora_bytes prefix;
    struct binding *next;
} binding;

static binding *bindings; // of all exchanges
static const amphora_needs needs = {.routing_key = true};

void exports_amphora_plugin_plugin_describe(exports_amphora_plugin_plugin_description_t *description) {
    *description = (exports_amphora_plugin_plugin_description_t){0};
    guest_string_dup(&description->name, "{{name}}");
    guest_string_dup(&description->version, "0.1.0");
    // The same as in `needs`.
    description->needs.parts = AMPHORA_PLUGIN_TYPES_PARTS_ROUTING_KEY;
    description->needs.headers.tag = AMPHORA_PLUGIN_TYPES_HEADER_NEEDS_NONE;
    description->needs.body.tag = AMPHORA_PLUGIN_TYPES_BODY_NEEDS_NONE;
    // The same routing key always has the same answer, so the broker may keep it.
    description->needs.pure = true;
}

bool exports_amphora_plugin_exchange_create(uint32_t exchange, guest_string_t *vhost, guest_string_t *name,
                                            exports_amphora_plugin_exchange_table_t *arguments, guest_string_t *refusal) {
    (void)exchange, (void)refusal;
    guest_string_free(vhost);
    guest_string_free(name);
    exports_amphora_plugin_exchange_table_free(arguments);
    return true;
}

// Removes a binding, or all of an exchange.
static void remove_bindings(uint32_t exchange, const uint32_t *id) {
    binding **link = &bindings;
    while (*link != NULL) {
        binding *found = *link;
        if (found->exchange == exchange && (id == NULL || found->id == *id)) {
            *link = found->next;
            free((void *)found->prefix.bytes);
            free(found);
        } else {
            link = &found->next;
        }
    }
}

void exports_amphora_plugin_exchange_delete(uint32_t exchange) {
    remove_bindings(exchange, NULL);
}

bool exports_amphora_plugin_exchange_rebind(uint32_t exchange, exports_amphora_plugin_exchange_list_binding_t *add,
                                            guest_list_u32_t *remove, guest_string_t *refusal) {
    // To refuse a binding: guest_string_dup(refusal, "text for the client") and return false, before anything is changed.
    (void)refusal;
    for (size_t i = 0; i < remove->len; i++) {
        remove_bindings(exchange, &remove->ptr[i]);
    }
    for (size_t i = 0; i < add->len; i++) {
        const guest_string_t *key = &add->ptr[i].routing_key;
        uint8_t *prefix = malloc(key->len);
        memcpy(prefix, key->ptr, key->len);
        binding *added = malloc(sizeof *added);
        *added = (binding){exchange, add->ptr[i].id, {prefix, key->len}, bindings};
        bindings = added;
    }
    exports_amphora_plugin_exchange_list_binding_free(add);
    guest_list_u32_free(remove);
    return true;
}

static bool begins_with(amphora_bytes text, amphora_bytes prefix) {
    return text.length >= prefix.length && memcmp(text.bytes, prefix.bytes, prefix.length) == 0;
}

void exports_amphora_plugin_exchange_packed_route(uint32_t exchange, guest_list_u8_t *bytes, guest_list_u32_t *numbers) {
    amphora_batch batch = amphora_read(&needs, bytes->ptr, bytes->len);
    amphora_answer answer = {0};
    amphora_message message;
    while (amphora_next(&batch, &message)) {
        amphora_answer_message(&answer);
        for (const binding *at = bindings; at != NULL; at = at->next) {
            if (at->exchange == exchange && begins_with(message.routing_key, at->prefix)) {
                amphora_answer_to(&answer, at->id);
            }
        }
    }
    guest_list_u8_free(bytes);
    *numbers = (guest_list_u32_t){answer.numbers, answer.length};
}
