// Routes a message to the bindings whose argument `x-seen` says in words what the SDK makes of it.

import {Packed, table} from "./amphora.js";

const packed = new Packed({
  vhost: true, exchange: true, routingKey: true, user: true, time: true, properties: true, headers: "all", body: "whole",
});
const bindings = new Map();

export const plugin = {
  describe() {
    return packed.description("seen", "1");
  },
};

export const exchange = {
  create(exchange, vhost, name, args) {},

  delete(exchange) {},

  rebind(exchange, add, remove) {
    for (const {id, arguments: args} of add) {
      const fields = table(args);
      const value = words(fields.get("x-value"));
      if (value !== fields.get("x-value-seen").val) {
        throw value;
      }
      bindings.set(id, fields.get("x-seen").val);
    }
  },
};

export const exchangePacked = {
  route(exchange, batch) {
    const answer = [];
    for (const message of packed.messages(batch)) {
      const ids = [...bindings].filter(([, seen]) => seen === seenOf(message)).map(([id]) => id);
      answer.push(ids.length, ...ids);
    }
    return answer;
  },
};

function seenOf(message) {
  return [
    message.vhost,
    message.exchange,
    message.routingKey,
    message.user,
    message.time,
    hex(message.properties),
    words({tag: "table", val: message.headers}),
    message.bodySize,
    hex(message.body),
  ].join(" ");
}

function words({tag, val}) {
  switch (tag) {
    case "void": return "void";
    case "float": {
      const view = new DataView(new ArrayBuffer(8));
      view.setFloat64(0, val);
      return "f" + hex(new Uint8Array(view.buffer));
    }
    case "decimal": return `d${val[0]}/${val[1]}`;
    case "text": return `"${val}"`;
    case "bytes": return "x" + hex(val);
    case "timestamp": return `@${val}`;
    case "array": return "[" + val.map(words).join(",") + "]";
    case "table": return "{" + [...val].map(([name, value]) => `${name}:${words(value)}`).join(",") + "}";
    default: return String(val);
  }
}

function hex(bytes) {
  return Array.from(bytes, (octet) => octet.toString(16).padStart(2, "0")).join("");
}
