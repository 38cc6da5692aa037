// Writes the publishing user into a header, and rejects messages without a body.

#include <stdlib.h>
#include <string.h>

#include "amphora.h"

void exports_amphora_plugin_plugin_describe(exports_amphora_plugin_plugin_description_t *description) {
    *description = (exports_amphora_plugin_plugin_description_t){0};
    guest_string_dup(&description->name, "{{name}}");
    guest_string_dup(&description->version, "0.1.0");
    description->needs.parts = AMPHORA_PLUGIN_TYPES_PARTS_USER;
    description->needs.headers.tag = AMPHORA_PLUGIN_TYPES_HEADER_NEEDS_NONE;
    // A prefix of one byte is enough to be told the whole length.
    description->needs.body.tag = AMPHORA_PLUGIN_TYPES_BODY_NEEDS_PREFIX;
    description->needs.body.val.prefix = 1;
}

void exports_amphora_plugin_transform_apply(exports_amphora_plugin_transform_message_t *message, guest_string_t *queue,
                                            exports_amphora_plugin_transform_verdict_t *verdict) {
    if (message->body_size == 0) {
        verdict->tag = EXPORTS_AMPHORA_PLUGIN_TRANSFORM_VERDICT_REJECT;
        guest_string_dup(&verdict->val.reject, "the message has no body");
    } else {
        exports_amphora_plugin_transform_replacement_t *replacement = calloc(1, sizeof *replacement);
        amphora_plugin_types_field_t *header = calloc(1, sizeof *header);
        guest_string_dup(&header->name, "published-by");
        header->value.tag = AMPHORA_PLUGIN_TYPES_VALUE_TEXT;
        header->value.val.text = message->user;
        message->user = (guest_string_t){0};
        replacement->set_headers.fields.ptr = header;
        replacement->set_headers.fields.len = 1;
        verdict->tag = EXPORTS_AMPHORA_PLUGIN_TRANSFORM_VERDICT_REPLACE;
        verdict->val.replace.ptr = replacement;
        verdict->val.replace.len = 1;
    }
    exports_amphora_plugin_transform_message_free(message);
    if (queue != NULL) {
        guest_string_free(queue);
    }
}
