// A message goes to each binding whose key its routing key begins with.

import {Packed} from "./amphora.js";

// The same routing key always has the same answer, so the broker may keep it: `pure`.
const packed = new Packed({routingKey: true, pure: true});

// For each exchange, the bindings' keys by their ids.
const exchanges = new Map();

export const plugin = {
  describe() {
    return packed.description("{{name}}", "0.1.0");
  },
};

export const exchange = {
  create(exchange, vhost, name, args) {
    exchanges.set(exchange, new Map());
  },

  delete(exchange) {
    exchanges.delete(exchange);
  },

  rebind(exchange, add, remove) {
    // To refuse a binding: throw "text for the client", before anything is changed.
    const bindings = exchanges.get(exchange);
    for (const id of remove) {
      bindings.delete(id);
    }
    for (const {id, routingKey} of add) {
      bindings.set(id, routingKey);
    }
  },
};

export const exchangePacked = {
  route(exchange, batch) {
    const answer = [];
    for (const message of packed.messages(batch)) {
      const ids = [];
      for (const [id, prefix] of exchanges.get(exchange)) {
        if (message.routingKey.startsWith(prefix)) {
          ids.push(id);
        }
      }
      answer.push(ids.length, ...ids);
    }
    return answer;
  },
};
