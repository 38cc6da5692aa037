// Amphora's SDK for plugins in JavaScript: what a plugin needs to see, and packed batches of messages that have just that.
//
// This file belongs into the plugin's folder. It imports nothing, so routers can be tested with an ordinary JavaScript.
//
// Field values are as the contract has them: {tag: "signed", val: 5}; the tags are void, boolean, signed, unsigned, float, decimal, text,
// bytes, timestamp, array and table. A number beyond 2^53 is a BigInt, an array is a list of values, a table a Map of name to value.

/**
 * What a plugin needs to see of a message. Says so to the host, and reads the batches that the host then passes.
 *
 * `headers` are the names of some, or "all"; `body` is the number of bytes from its beginning, or "whole".
 */
export class Packed {
  constructor({
    vhost = false, exchange = false, routingKey = false, user = false, time = false, properties = false,
    headers = [], body = 0, pure = false,
  }) {
    this.parts = {vhost, exchange, routingKey, user, time, properties};
    this.headers = headers;
    this.body = body;
    this.pure = pure;
  }

  /** The answer of `describe`. */
  description(name, version) {
    const headers =
      this.headers === "all" ? {tag: "all"}
      : this.headers.length > 0 ? {tag: "named", val: this.headers}
      : {tag: "none"};
    const body =
      this.body === "whole" ? {tag: "whole"}
      : this.body > 0 ? {tag: "prefix", val: this.body}
      : {tag: "none"};
    return {name, version, needs: {parts: this.parts, headers, body, pure: this.pure}};
  }

  /** The messages of a batch, in their order; what was not asked for is undefined. */
  *messages(batch) {
    const cursor = new Cursor(batch);
    if (cursor.u8() !== 1) {
      throw new Error("the batch has a layout that this SDK does not know");
    }
    for (let left = cursor.u32(true); left > 0; left--) {
      yield this.#message(cursor);
    }
    if (cursor.at !== batch.length) {
      throw new Error("the batch goes on behind its last message");
    }
  }

  #message(cursor) {
    const message = {headers: new Map()};
    for (const part of ["vhost", "exchange", "routingKey", "user"]) {
      if (this.parts[part]) {
        message[part] = text(cursor.take(cursor.u8()));
      }
    }
    if (this.parts.time) {
      message.time = cursor.u64(true);
    }
    if (this.parts.properties) {
      message.properties = cursor.take(cursor.u32(true));
    }
    if (this.headers === "all") {
      message.headers = cursor.table(cursor.u32(true));
    } else {
      for (const name of this.headers) {
        const type = cursor.u8();
        if (type !== 0) {
          message.headers.set(name, cursor.value(type));
        }
      }
    }
    if (this.body === "whole" || this.body > 0) {
      message.bodySize = cursor.u64(true);
      message.body = cursor.take(cursor.u32(true));
    }
    return message;
  }
}

/** The contract's table as a Map of name to value; what lies within arrays and tables is where it belongs. */
export function table({fields, nested}) {
  const plain = ({tag, val}) => {
    if (tag === "array") {
      return {tag, val: run(val).map((entry) => plain(entry.value))};
    }
    if (tag === "table") {
      return {tag, val: new Map(run(val).map((entry) => [entry.name, plain(entry.value)]))};
    }
    return {tag, val};
  };
  const run = ({first, count}) => nested.slice(first, first + count);
  return new Map(fields.map((entry) => [entry.name, plain(entry.value)]));
}

/** What a value is, as error texts call it. */
export function kind(value) {
  return KINDS[value.tag];
}

/** The number in a value that is an integer; undefined if it is something else, or there is no value. */
export function integer(value) {
  return value?.tag === "signed" || value?.tag === "unsigned" ? value.val : undefined;
}

const KINDS = {
  void: "void",
  boolean: "a boolean",
  signed: "an integer",
  unsigned: "an integer",
  float: "a float",
  decimal: "a decimal",
  text: "a text",
  bytes: "bytes",
  timestamp: "a timestamp",
  array: "an array",
  table: "a table",
};

/** UTF-8 as a string. QuickJS has no TextDecoder. */
export function text(bytes) {
  const decoded = utf8(bytes);
  if (decoded === undefined) {
    throw new Error("a text is not UTF-8");
  }
  return decoded;
}

function utf8(bytes) {
  let result = "";
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at++];
    if (first < 0x80) {
      result += String.fromCharCode(first);
      continue;
    }
    const more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    let point = first & (0x3f >> more);
    if (first < 0xc2 || first > 0xf4 || at + more > bytes.length) {
      return undefined;
    }
    for (let octet = 0; octet < more; octet++) {
      const next = bytes[at++];
      if ((next & 0xc0) !== 0x80) {
        return undefined;
      }
      point = (point << 6) | (next & 0x3f);
    }
    const least = [0x80, 0x800, 0x10000][more - 1];
    if (point < least || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) {
      return undefined;
    }
    result += String.fromCodePoint(point);
  }
  return result;
}

// Reads what is packed (little-endian) and, within it, what is on the wire (big-endian).
class Cursor {
  constructor(bytes) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = 0;
  }

  #step(length) {
    const at = this.at;
    if (at + length > this.bytes.length) {
      throw new Error("the batch ends within a message");
    }
    this.at = at + length;
    return at;
  }

  take(length) {
    const at = this.#step(length);
    return this.bytes.subarray(at, at + length);
  }

  u8() {
    return this.bytes[this.#step(1)];
  }

  u32(little) {
    return this.view.getUint32(this.#step(4), little);
  }

  u64(little) {
    return narrow(this.view.getBigUint64(this.#step(8), little));
  }

  value(type) {
    switch (String.fromCharCode(type)) {
      case "S": {
        const bytes = this.take(this.u32());
        const val = utf8(bytes);
        return val === undefined ? {tag: "bytes", val: bytes} : {tag: "text", val};
      }
      case "b": return {tag: "signed", val: this.view.getInt8(this.#step(1))};
      case "s": return {tag: "signed", val: this.view.getInt16(this.#step(2))};
      case "I": return {tag: "signed", val: this.view.getInt32(this.#step(4))};
      case "l":
      case "L": return {tag: "signed", val: narrow(this.view.getBigInt64(this.#step(8)))};
      case "B": return {tag: "unsigned", val: this.u8()};
      case "u": return {tag: "unsigned", val: this.view.getUint16(this.#step(2))};
      case "i": return {tag: "unsigned", val: this.u32()};
      case "t": return {tag: "boolean", val: this.u8() !== 0};
      case "f": return {tag: "float", val: this.view.getFloat32(this.#step(4))};
      case "d": return {tag: "float", val: this.view.getFloat64(this.#step(8))};
      case "D": return {tag: "decimal", val: [this.u8(), this.view.getInt32(this.#step(4))]};
      case "T": return {tag: "timestamp", val: this.u64()};
      case "x": return {tag: "bytes", val: this.take(this.u32())};
      case "F": return {tag: "table", val: this.table(this.u32())};
      case "A": {
        const end = this.#end(this.u32());
        const val = [];
        while (this.at < end) {
          val.push(this.value(this.u8()));
        }
        return {tag: "array", val};
      }
      case "V": return {tag: "void"};
      default: throw new Error(`there is no field value of type ${type}`);
    }
  }

  // The first of several fields of the same name counts.
  table(length) {
    const end = this.#end(length);
    const fields = new Map();
    while (this.at < end) {
      const name = utf8(this.take(this.u8())) ?? "\ufffd";
      const value = this.value(this.u8());
      if (!fields.has(name)) {
        fields.set(name, value);
      }
    }
    return fields;
  }

  #end(length) {
    const end = this.at + length;
    if (end > this.bytes.length) {
      throw new Error("the batch ends within a table");
    }
    return end;
  }
}

function narrow(number) {
  const small = Number(number);
  return Number.isSafeInteger(small) ? small : number;
}
