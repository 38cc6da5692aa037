// Writes the publishing user into a header, and rejects messages without a body.

import {Packed} from "./amphora.js";

// A prefix of one byte is enough to be told the whole length.
const needs = new Packed({user: true, body: 1});

export const plugin = {
  describe() {
    return needs.description("{{name}}", "0.1.0");
  },
};

export const transform = {
  apply(message, queue) {
    if (message.bodySize === 0) {
      return {tag: "reject", val: "the message has no body"};
    }
    const header = {name: "published-by", value: {tag: "text", val: message.user}};
    const replacement = {
      routingKey: null,
      properties: null,
      setHeaders: {fields: [header], nested: []},
      removeHeaders: [],
      body: null,
      delay: 0,
    };
    return {tag: "replace", val: [replacement]};
  },
};
