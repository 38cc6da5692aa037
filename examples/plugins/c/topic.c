#include "topic.h"

// What is left of a key. The empty key has no word.
typedef struct {
    const uint8_t *at;
    const uint8_t *end;
    bool more;
} words;

static words words_of(amphora_bytes key) {
    return (words){key.bytes, key.bytes + key.length, key.length > 0};
}

static amphora_bytes next(words *words) {
    const uint8_t *start = words->at;
    while (words->at < words->end && *words->at != '.') {
        words->at++;
    }
    amphora_bytes word = {start, (size_t)(words->at - start)};
    words->more = words->at < words->end;
    if (words->more) {
        words->at++;
    }
    return word;
}

static bool is(amphora_bytes word, uint8_t octet) {
    return word.length == 1 && word.bytes[0] == octet;
}

bool topic_matches(amphora_bytes pattern_text, amphora_bytes key_text) {
    words pattern = words_of(pattern_text), key = words_of(key_text);
    // After a mismatch, the last `#` takes one word more: where the pattern and the key go on then.
    words pattern_back = pattern, key_back = key;
    bool back = false;
    while (key.more) {
        words pattern_rest = pattern, key_rest = key;
        amphora_bytes word = next(&key_rest);
        amphora_bytes wanted = {0};
        if (pattern.more) {
            wanted = next(&pattern_rest);
        }
        if (pattern.more && is(wanted, '#')) {
            back = true;
            pattern_back = pattern_rest;
            key_back = key;
            pattern = pattern_rest;
        } else if (pattern.more && (is(wanted, '*') || amphora_equal(wanted, word))) {
            pattern = pattern_rest;
            key = key_rest;
        } else if (back) {
            next(&key_back);
            key = key_back;
            pattern = pattern_back;
        } else {
            return false;
        }
    }
    while (pattern.more) {
        if (!is(next(&pattern), '#')) {
            return false;
        }
    }
    return true;
}
