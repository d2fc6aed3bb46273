/** One object of a store in memory, and what keys it may have. */
import { Fault } from '../base/fault.ts'
import { clampRange } from './range.ts'
import type { GetOptions, ObjectInfo } from './store.ts'

export interface MemoryObject {
  info: ObjectInfo
  bytes: Uint8Array
}

/** A copy of the bytes, or of a range of them. @throws Fault `superseded` when the object has not the etag that is wanted */
export function bytesOf(store: string, { info, bytes }: MemoryObject, { ifMatch, range }: GetOptions): Uint8Array {
  const { key, etag } = info
  if (ifMatch !== undefined && ifMatch !== etag) {
    throw new Fault('superseded', `expected object "${key}" of ${store} with etag ${ifMatch}, but it has ${etag}`, {
      key,
      expected: ifMatch,
      got: etag,
    })
  }
  const { start, end } = clampRange(range, bytes.length)
  return bytes.slice(start, end)
}

/** @throws Fault `invalid` */
export function requireKey(key: string): void {
  if (key === '') throw new Fault('invalid', 'expected a key, got an empty one')
}
