/**
 * Avro's binary encoding → a record (specification 1.12, "Binary Encoding", "Single-object encoding"). Pure.
 *
 * Bytes are not trusted, so they are read here and not by the library: its decoder reads on behind the end of the bytes, and
 * believes any count of items. Here every read is within the bytes, every item of a list costs a byte of them at least, nesting
 * is bounded, and all bytes must be used. Bytes and fixed become base64, numbers keep their digits, logical types become text.
 */
import { limits } from '../../../base/limits.ts'
import { NumberText, type RecordObject, type RecordValue } from '../record.ts'
import { type AvroSchema, type AvroType, avroName } from './avro-schema.ts'
import { decimalText, timeText } from './avro-value.ts'

/** The bytes are not what the schema says; the message tells where. */
export class AvroMismatch extends Error {}

const MARKER = 0x01c3

/**
 * @param framed the bytes begin with C3 01 and the schema's fingerprint
 * @throws AvroMismatch
 */
export function decodeAvro(bytes: Uint8Array, schema: AvroSchema, framed: boolean): RecordObject {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const decoder = new Decoder(buffer)
  if (framed) {
    const head = decoder.take(10, '')
    if (head.readUInt16LE(0) !== MARKER)
      throw new AvroMismatch('expected single-object encoding, which begins with C3 01')
    if (!head.subarray(2).equals(schema.fingerprint)) {
      throw new AvroMismatch(
        `expected the schema's fingerprint ${schema.fingerprint.toString('hex')}, got ${head.toString('hex', 2)}: the record was written with another schema`,
      )
    }
  }
  const value = decoder.value(schema.type, '', 1)
  if (decoder.left > 0) throw new AvroMismatch(`expected the end of the record, got ${decoder.left} more bytes`)
  return value as RecordObject
}

class Decoder {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  take(length: number, path: string): Buffer {
    if (length > this.left) throw new AvroMismatch(`${where(path)}expected ${length} bytes, got the end of the record`)
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  value(type: AvroType, path: string, depth: number): RecordValue {
    if (depth > limits.streamDepthMax)
      throw new AvroMismatch(`${where(path)}expected values nested at most ${limits.streamDepthMax} deep`)
    switch (type.kind) {
      case 'null':
        return null
      case 'boolean':
        return this.#boolean(path)
      case 'int':
      case 'long':
        return new NumberText(String(this.#whole(type.kind, path)))
      case 'float':
        return this.#number(this.take(4, path).readFloatLE(0), path)
      case 'double':
        return this.#number(this.take(8, path).readDoubleLE(0), path)
      case 'bytes':
        return this.#sized(path).toString('base64')
      case 'fixed':
        return this.take(type.size, path).toString('base64')
      case 'string':
        return this.#text(path)
      case 'uuid':
        return type.size === 0 ? this.#text(path) : uuidText(this.take(type.size, path))
      case 'enum':
        return this.#choice(type.symbols, path)
      case 'time': {
        const text = timeText(this.#whole(type.base, path), type)
        if (text === null) throw new AvroMismatch(`${where(path)}expected a ${type.of} between the years 1 and 9999`)
        return text
      }
      case 'decimal':
        return this.#decimal(type, path)
      case 'union': {
        const { type: branch } = this.#choice(type.branches, path)
        return this.value(branch, path, depth)
      }
      case 'array':
        return this.#blocks(path, (at) => this.#item(type.items, `${path}[${at}]`, depth + 1))
      case 'map':
        return Object.fromEntries(
          this.#blocks(path, () => {
            const key = this.#text(path)
            return [key, this.value(type.values, `${path}.${key}`, depth + 1)]
          }),
        )
      case 'record':
        return Object.fromEntries(
          type.fields.map((field) => [
            field.name,
            this.value(field.type, path === '' ? field.name : `${path}.${field.name}`, depth + 1),
          ]),
        )
    }
  }

  #item(type: AvroType, path: string, depth: number): RecordValue {
    const before = this.#at
    const value = this.value(type, path, depth)
    // Else a few bytes could stand for any number of items.
    if (this.#at === before)
      throw new AvroMismatch(`${where(path)}expected items of a byte at least, got ${avroName(type)}`)
    return value
  }

  /** Blocks of items, the last one empty. A negative count is followed by the block's size. */
  #blocks<T>(path: string, item: (at: number) => T): T[] {
    const items: T[] = []
    for (;;) {
      let count = this.#whole('long', path)
      if (count === 0n) return items
      if (count < 0n) {
        this.#whole('long', path)
        count = -count
      }
      if (count > BigInt(this.left))
        throw new AvroMismatch(`${where(path)}expected at most ${this.left} items, got ${count}`)
      for (let left = Number(count); left > 0; left--) items.push(item(items.length))
    }
  }

  #boolean(path: string): boolean {
    const byte = this.take(1, path)[0]!
    if (byte > 1) throw new AvroMismatch(`${where(path)}expected true or false, got the byte ${byte}`)
    return byte === 1
  }

  /** Variable-length zig-zag. */
  #whole(kind: 'int' | 'long', path: string): bigint {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.take(1, path)[0]!
      value |= BigInt(byte & 0x7f) << shift
      if (byte >= 0x80) continue
      const signed = (value >> 1n) ^ -(value & 1n)
      if (BigInt.asIntN(kind === 'int' ? 32 : 64, signed) === signed && value < 1n << 64n) return signed
      break
    }
    throw new AvroMismatch(`${where(path)}expected a number that fits ${kind}`)
  }

  #number(value: number, path: string): NumberText {
    if (!Number.isFinite(value)) throw new AvroMismatch(`${where(path)}expected a finite number, got ${value}`)
    return new NumberText(Object.is(value, -0) ? '-0.0' : String(value))
  }

  #sized(path: string): Buffer {
    const length = this.#whole('long', path)
    if (length < 0n || length > BigInt(this.left))
      throw new AvroMismatch(`${where(path)}expected at most ${this.left} bytes, got a length of ${length}`)
    return this.take(Number(length), path)
  }

  #text(path: string): string {
    const bytes = this.#sized(path)
    try {
      return utf8.decode(bytes)
    } catch {
      throw new AvroMismatch(`${where(path)}expected text in UTF-8`)
    }
  }

  #choice<T>(all: readonly T[], path: string): T {
    const at = this.#whole('int', path)
    const chosen = at >= 0n && at < BigInt(all.length) ? all[Number(at)] : undefined
    if (chosen === undefined) throw new AvroMismatch(`${where(path)}expected a number below ${all.length}, got ${at}`)
    return chosen
  }

  #decimal({ size, scale, precision }: Extract<AvroType, { kind: 'decimal' }>, path: string): string {
    const bytes = size === 0 ? this.#sized(path) : this.take(size, path)
    // No decimal that a column holds has more.
    if (bytes.length > 64) throw new AvroMismatch(`${where(path)}expected a decimal of ${precision} digits`)
    const unscaled = bytes.length === 0 ? 0n : BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString('hex')}`))
    if (String(unscaled).replace('-', '').length > precision)
      throw new AvroMismatch(`${where(path)}expected a decimal of ${precision} digits, got ${unscaled}`)
    return decimalText(unscaled, scale)
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function uuidText(bytes: Buffer): string {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

function where(path: string): string {
  return path === '' ? '' : `${path}: `
}
