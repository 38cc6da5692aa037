// A type of exchange: topics, with a least priority for each binding.

import config from "amphora:plugin/config@0.1.0";
import {integer, kind, Packed, table} from "./amphora.js";

const ARGUMENT = "x-priority-min";
// Routing keys whose candidates are remembered, at most, and their candidates together.
const KEYS_MAX = 4096;
const CANDIDATES_MAX = 65536;

let packed = new Packed({});
const routers = new Map();

export const plugin = {
  describe() {
    const pure = config.get("pure") ?? "true";
    if (pure !== "true" && pure !== "false") {
      throw new Error(`pure must be true or false, and is ${pure}`);
    }
    const header = config.get("priority-header") ?? "priority";
    packed = new Packed({routingKey: true, headers: header ? [header] : [], pure: pure === "true"});
    return packed.description("priority-topic", "1.0.0");
  },
};

export const exchange = {
  create(exchange, vhost, name, args) {
    routers.set(exchange, new Router());
  },

  delete(exchange) {
    routers.delete(exchange);
  },

  rebind(exchange, add, remove) {
    const rules = add.map((binding) => [binding.id, rule(binding)]);
    routers.get(exchange).rebind(rules, remove);
  },
};

export const exchangePacked = {
  route(exchange, batch) {
    const router = routers.get(exchange);
    const answer = [];
    for (const message of packed.messages(batch)) {
      const ids = router.route(message);
      answer.push(ids.length, ...ids);
    }
    return answer;
  },
};

// The bindings of one exchange: by id, the words of the key and the least priority.
class Router {
  constructor() {
    this.rules = new Map();
    this.forget();
  }

  rebind(add, remove) {
    for (const id of remove) {
      this.rules.delete(id);
    }
    for (const [id, rule] of add) {
      this.rules.set(id, rule);
    }
    this.forget();
  }

  forget() {
    this.remembered = new Map();
    this.rememberedCandidates = 0;
  }

  route(message) {
    const [header] = message.headers.values();
    const priority = integer(header);
    return this.candidates(message.routingKey)
      .filter(({least}) => least === undefined || (priority !== undefined && priority >= least))
      .map(({id}) => id);
  }

  candidates(key) {
    let found = this.remembered.get(key);
    if (found === undefined) {
      if (this.remembered.size >= KEYS_MAX || this.rememberedCandidates >= CANDIDATES_MAX) {
        this.forget();
      }
      const words = split(key);
      found = [];
      for (const [id, {pattern, least}] of this.rules) {
        if (matches(pattern, words)) {
          found.push({id, least});
        }
      }
      this.remembered.set(key, found);
      this.rememberedCandidates += found.length;
    }
    return found;
  }
}

// What is kept of a binding, which may be refused.
function rule(binding) {
  const value = table(binding.arguments).get(ARGUMENT);
  const least = integer(value);
  if (value !== undefined && least === undefined) {
    throw `${ARGUMENT} must be an integer, and is ${kind(value)}`;
  }
  if (least !== undefined && packed.headers.length === 0) {
    throw `${ARGUMENT} needs a header to look at, and the plugin's priority-header is empty`;
  }
  return {pattern: split(binding.routingKey), least};
}

function split(key) {
  return key === "" ? [] : key.split(".");
}

// `*` is one word, `#` any number. After a mismatch, the last `#` takes one word more.
function matches(pattern, words) {
  let at = 0;
  let word = 0;
  let back;
  while (word < words.length) {
    if (pattern[at] === "#") {
      back = {at, word};
      at++;
    } else if (pattern[at] === "*" || pattern[at] === words[word]) {
      at++;
      word++;
    } else if (back !== undefined) {
      back.word++;
      at = back.at + 1;
      word = back.word;
    } else {
      return false;
    }
  }
  return pattern.slice(at).every((rest) => rest === "#");
}
