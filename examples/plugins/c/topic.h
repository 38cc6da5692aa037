// Binding keys with wildcards: `*` is one word, `#` any number of words.
#ifndef TOPIC_H
#define TOPIC_H

#include "amphora.h"

bool topic_matches(amphora_bytes pattern, amphora_bytes key);

#endif
