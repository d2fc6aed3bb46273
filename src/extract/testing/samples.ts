/** The samples of all kinds of files that are not pictures: see test/golden/samples. */
import { readdirSync, readFileSync } from 'node:fs'
import type { SubjectFields } from '../registry.ts'

const folder = new URL('../../../test/golden/samples/files/', import.meta.url)

export interface Sample {
  name: string
  bytes: Uint8Array
}

export const samples: readonly Sample[] = readdirSync(folder)
  .sort()
  .map((name) => ({ name, bytes: readFileSync(new URL(name, folder)) }))

export function sample(name: string): Uint8Array {
  const found = samples.find((one) => one.name === name)
  if (found === undefined) throw new Error(`there is no sample ${name}`)
  return found.bytes
}

/** As an object whose name says nothing of what it is. */
export function subjectOf(bytes: Uint8Array, key = 'object'): SubjectFields {
  return { bucket: 'b', key, versionId: 'null', sizeBytes: bytes.length }
}
