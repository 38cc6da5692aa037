// A type of exchange: topics, with a least priority for each binding.

#include <stdlib.h>
#include <string.h>

#include "amphora.h"
#include "topic.h"

#define ARGUMENT "x-priority-min"

typedef exports_amphora_plugin_exchange_binding_t declared;

// What is kept of a binding.
typedef struct {
    uint32_t id;
    amphora_bytes pattern;
    bool has_least;
    int64_t least;
} rule;

// The bindings of one exchange.
typedef struct router {
    uint32_t exchange;
    struct router *next;
    rule *rules;
    size_t count;
} router;

static router *routers;
static amphora_needs needs;

static router *find(uint32_t exchange) {
    router *found = routers;
    while (found != NULL && found->exchange != exchange) {
        found = found->next;
    }
    if (found == NULL) {
        abort();
    }
    return found;
}

// The value of a configuration key, which the caller frees; the default if it is not there.
static guest_string_t configured(const char *key, const char *otherwise) {
    guest_string_t name, value;
    guest_string_set(&name, key);
    if (!amphora_plugin_config_get(&name, &value)) {
        guest_string_dup(&value, otherwise);
    }
    return value;
}

static bool is(const guest_string_t *text, const char *word) {
    return text->len == strlen(word) && memcmp(text->ptr, word, text->len) == 0;
}

void exports_amphora_plugin_plugin_describe(exports_amphora_plugin_plugin_description_t *description) {
    guest_string_t pure = configured("pure", "true");
    if (!is(&pure, "true") && !is(&pure, "false")) {
        abort();
    }
    guest_string_t header = configured("priority-header", "priority");
    needs = (amphora_needs){.routing_key = true, .named_headers = header.len > 0 ? 1 : 0};

    guest_string_dup(&description->name, "priority-topic");
    guest_string_dup(&description->version, "1.0.0");
    description->needs.parts = AMPHORA_PLUGIN_TYPES_PARTS_ROUTING_KEY;
    description->needs.pure = is(&pure, "true");
    description->needs.body.tag = AMPHORA_PLUGIN_TYPES_BODY_NEEDS_NONE;
    description->needs.headers.tag = AMPHORA_PLUGIN_TYPES_HEADER_NEEDS_NONE;
    guest_string_free(&pure);
    if (header.len > 0) {
        guest_string_t *names = malloc(sizeof *names);
        names[0] = header;
        description->needs.headers.tag = AMPHORA_PLUGIN_TYPES_HEADER_NEEDS_NAMED;
        description->needs.headers.val.named = (guest_list_string_t){names, 1};
    } else {
        guest_string_free(&header);
    }
}

bool exports_amphora_plugin_exchange_create(uint32_t exchange, guest_string_t *vhost, guest_string_t *name,
                                            exports_amphora_plugin_exchange_table_t *arguments, guest_string_t *refusal) {
    (void)refusal;
    router *made = calloc(1, sizeof *made);
    made->exchange = exchange;
    made->next = routers;
    routers = made;
    guest_string_free(vhost);
    guest_string_free(name);
    exports_amphora_plugin_exchange_table_free(arguments);
    return true;
}

void exports_amphora_plugin_exchange_delete(uint32_t exchange) {
    router *gone = find(exchange);
    router **link = &routers;
    while (*link != gone) {
        link = &(*link)->next;
    }
    *link = gone->next;
    for (size_t i = 0; i < gone->count; i++) {
        free((void *)gone->rules[i].pattern.bytes);
    }
    free(gone->rules);
    free(gone);
}

// What is kept of a binding; false if it is refused.
static bool read_rule(const declared *binding, rule *kept, guest_string_t *refusal) {
    *kept = (rule){.id = binding->id};
    const amphora_plugin_types_value_t *least = amphora_argument(&binding->arguments, ARGUMENT);
    if (least != NULL) {
        if (least->tag == AMPHORA_PLUGIN_TYPES_VALUE_SIGNED) {
            kept->least = least->val.signed_;
        } else if (least->tag == AMPHORA_PLUGIN_TYPES_VALUE_UNSIGNED) {
            kept->least = (int64_t)least->val.unsigned_;
        } else {
            static const char text[] = ARGUMENT " must be an integer, and is ";
            const char *kind = amphora_kind(least);
            refusal->len = sizeof text - 1 + strlen(kind);
            refusal->ptr = malloc(refusal->len);
            memcpy(refusal->ptr, text, sizeof text - 1);
            memcpy(refusal->ptr + sizeof text - 1, kind, strlen(kind));
            return false;
        }
        if (needs.named_headers == 0) {
            guest_string_dup(refusal, ARGUMENT " needs a header to look at, and the plugin's priority-header is empty");
            return false;
        }
        kept->has_least = true;
    }
    uint8_t *pattern = malloc(binding->routing_key.len);
    memcpy(pattern, binding->routing_key.ptr, binding->routing_key.len);
    kept->pattern = (amphora_bytes){pattern, binding->routing_key.len};
    return true;
}

static bool contains(const guest_list_u32_t *numbers, uint32_t number) {
    for (size_t i = 0; i < numbers->len; i++) {
        if (numbers->ptr[i] == number) {
            return true;
        }
    }
    return false;
}

static void replace_rules(router *router, const guest_list_u32_t *remove, const rule *added, size_t count) {
    rule *rules = malloc((router->count + count) * sizeof *rules);
    size_t kept = 0;
    for (size_t i = 0; i < router->count; i++) {
        if (contains(remove, router->rules[i].id)) {
            free((void *)router->rules[i].pattern.bytes);
        } else {
            rules[kept++] = router->rules[i];
        }
    }
    memcpy(rules + kept, added, count * sizeof *rules);
    free(router->rules);
    router->rules = rules;
    router->count = kept + count;
}

bool exports_amphora_plugin_exchange_rebind(uint32_t exchange, exports_amphora_plugin_exchange_list_binding_t *add,
                                            guest_list_u32_t *remove, guest_string_t *refusal) {
    rule *added = malloc(add->len * sizeof *added);
    size_t count = 0;
    while (count < add->len && read_rule(&add->ptr[count], &added[count], refusal)) {
        count++;
    }
    bool accepted = count == add->len;
    if (accepted) {
        replace_rules(find(exchange), remove, added, count);
    } else {
        for (size_t i = 0; i < count; i++) {
            free((void *)added[i].pattern.bytes);
        }
    }
    free(added);
    exports_amphora_plugin_exchange_list_binding_free(add);
    guest_list_u32_free(remove);
    return accepted;
}

void exports_amphora_plugin_exchange_packed_route(uint32_t exchange, guest_list_u8_t *bytes, guest_list_u32_t *numbers) {
    const router *router = find(exchange);
    amphora_batch batch = amphora_read(&needs, bytes->ptr, bytes->len);
    amphora_answer answer = {0};
    amphora_message message;
    while (amphora_next(&batch, &message)) {
        bool has_priority = needs.named_headers > 0 && message.headers[0].type == AMPHORA_INTEGER;
        amphora_answer_message(&answer);
        for (size_t i = 0; i < router->count; i++) {
            const rule *rule = &router->rules[i];
            if (rule->has_least && !(has_priority && message.headers[0].integer >= rule->least)) {
                continue;
            }
            if (topic_matches(rule->pattern, message.routing_key)) {
                amphora_answer_to(&answer, rule->id);
            }
        }
    }
    guest_list_u8_free(bytes);
    *numbers = (guest_list_u32_t){answer.numbers, answer.length};
}
