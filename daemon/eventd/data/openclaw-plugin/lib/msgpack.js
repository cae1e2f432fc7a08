/** The part of msgpack that the socket's protocol needs: all that JSON has, binary data, and 64-bit integers. */

const MAX_DEPTH = 128; // levels of arrays and maps

/** Bytes that are msgpack already; they are written as they are. */
export class Raw {
  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.bytes = bytes;
  }
}

/**
 * Return a value in the shortest form that msgpack has for it.
 *
 * @param {unknown} value Numbers without a fraction become integers; what is `undefined` in a map is left out.
 * @returns {Buffer}
 * @throws {TypeError} It holds something that has no form.
 */
export function encode(value) {
  const parts = [];
  write(value, parts, 0);
  return Buffer.concat(parts);
}

/**
 * Return the value that some bytes hold.
 *
 * @param {Buffer} bytes
 * @returns {unknown} Integers beyond 2^53 are BigInt.
 * @throws {RangeError} They hold no value, or more than one, or an extension.
 */
export function decode(bytes) {
  const reader = new Reader(bytes);
  const value = reader.read(0);
  if (reader.at !== bytes.length) throw new RangeError('there is something behind the value');
  return value;
}

function write(value, parts, depth) {
  if (depth > MAX_DEPTH) throw new TypeError('too many levels');
  if (value === null || value === undefined) parts.push(Buffer.of(0xc0));
  else if (typeof value === 'boolean') parts.push(Buffer.of(value ? 0xc3 : 0xc2));
  else if (typeof value === 'number') parts.push(Number.isSafeInteger(value) ? integer(value) : float(value));
  else if (typeof value === 'bigint') parts.push(long(value));
  else if (typeof value === 'string') writeText(value, parts);
  else if (value instanceof Raw) parts.push(value.bytes);
  else if (value instanceof Uint8Array) parts.push(head(value.length, [0xc4, 0xc5, 0xc6]), value);
  else if (Array.isArray(value)) {
    parts.push(value.length < 16 ? Buffer.of(0x90 + value.length) : head(value.length, [0, 0xdc, 0xdd]));
    for (const item of value) write(item, parts, depth + 1);
  } else if (typeof value === 'object') {
    const entries = Object.entries(value).filter(([, held]) => held !== undefined);
    parts.push(entries.length < 16 ? Buffer.of(0x80 + entries.length) : head(entries.length, [0, 0xde, 0xdf]));
    for (const [key, held] of entries) {
      writeText(key, parts);
      write(held, parts, depth + 1);
    }
  } else throw new TypeError(`a ${typeof value} has no form in msgpack`);
}

function writeText(text, parts) {
  const bytes = Buffer.from(text); // half of a surrogate pair becomes U+FFFD
  parts.push(bytes.length < 32 ? Buffer.of(0xa0 + bytes.length) : head(bytes.length, [0xd9, 0xda, 0xdb]), bytes);
}

/** Return a lead byte and a length; 0 stands for a form that does not exist. */
function head(length, [short, middle, long_]) {
  if (short && length < 0x100) return Buffer.of(short, length);
  const bytes = Buffer.alloc(length < 0x10000 ? 3 : 5);
  bytes[0] = length < 0x10000 ? middle : long_;
  bytes.writeUIntBE(length, 1, bytes.length - 1);
  return bytes;
}

function integer(value) {
  if (value >= -0x20 && value < 0x80) return Buffer.of(value & 0xff);
  for (const [lead, size] of value < 0 ? [[0xd0, 1], [0xd1, 2], [0xd2, 4]] : [[0xcc, 1], [0xcd, 2], [0xce, 4]]) {
    const limit = 2 ** (8 * size - (value < 0 ? 1 : 0));
    if (value < 0 ? value < -limit : value >= limit) continue;
    const bytes = Buffer.alloc(1 + size, lead);
    if (value < 0) bytes.writeIntBE(value, 1, size);
    else bytes.writeUIntBE(value, 1, size);
    return bytes;
  }
  return long(BigInt(value));
}

function long(value) {
  const bytes = Buffer.alloc(9);
  bytes[0] = value < 0n ? 0xd3 : 0xcf;
  if (value < 0n) bytes.writeBigInt64BE(value, 1);
  else bytes.writeBigUInt64BE(value, 1);
  return bytes;
}

function float(value) {
  const bytes = Buffer.alloc(9, 0xcb);
  bytes.writeDoubleBE(value, 1);
  return bytes;
}

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  read(depth) {
    if (depth > MAX_DEPTH) throw new RangeError('too many levels');
    const lead = this.uint(1);
    if (lead < 0x80) return lead;
    if (lead < 0x90) return this.map(lead - 0x80, depth);
    if (lead < 0xa0) return this.array(lead - 0x90, depth);
    if (lead < 0xc0) return this.text(lead - 0xa0);
    if (lead >= 0xe0) return lead - 0x100;
    switch (lead) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: case 0xc5: case 0xc6: return Buffer.from(this.take(this.uint(2 ** (lead - 0xc4))));
      case 0xca: return this.take(4).readFloatBE();
      case 0xcb: return this.take(8).readDoubleBE();
      case 0xcc: case 0xcd: case 0xce: return this.uint(2 ** (lead - 0xcc));
      case 0xcf: return plain(this.take(8).readBigUInt64BE());
      case 0xd0: return this.take(1).readInt8();
      case 0xd1: return this.take(2).readInt16BE();
      case 0xd2: return this.take(4).readInt32BE();
      case 0xd3: return plain(this.take(8).readBigInt64BE());
      case 0xd9: case 0xda: case 0xdb: return this.text(this.uint(2 ** (lead - 0xd9)));
      case 0xdc: case 0xdd: return this.array(this.uint(2 ** (lead - 0xdb)), depth);
      case 0xde: case 0xdf: return this.map(this.uint(2 ** (lead - 0xdd)), depth);
      default: throw new RangeError(`0x${lead.toString(16)} begins no value that JSON could hold`);
    }
  }

  take(length) {
    const end = this.at + length;
    if (end > this.bytes.length) throw new RangeError('the bytes end within a value');
    const taken = this.bytes.subarray(this.at, end);
    this.at = end;
    return taken;
  }

  uint(size) {
    return this.take(size).readUIntBE(0, size);
  }

  text(length) {
    return this.take(length).toString('utf8');
  }

  array(length, depth) {
    const items = [];
    for (let n = 0; n < length; n += 1) items.push(this.read(depth + 1));
    return items;
  }

  map(length, depth) {
    const entries = [];
    for (let n = 0; n < length; n += 1) {
      const key = this.read(depth + 1);
      if (typeof key !== 'string') throw new RangeError('a key of a map is no text');
      entries.push([key, this.read(depth + 1)]);
    }
    return Object.fromEntries(entries); // also where a key is "__proto__"
  }
}

function plain(number) {
  const value = Number(number);
  return Number.isSafeInteger(value) ? value : number;
}
