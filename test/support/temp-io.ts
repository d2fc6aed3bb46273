/** A `FileIO` over a file store in a fresh temporary folder, for tests. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FileIO } from '../../src/iceberg/file/file.ts'
import { storeIo } from '../../src/iceberg/file/store-io.ts'
import { openFileStore } from '../../src/store/file.ts'

export async function tempIo(root: string): Promise<{ io: FileIO; folder: string; close: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'tidewater-io-'))
  const store = await openFileStore({ root: join(folder, 'store'), create: true })
  const io = storeIo(store, { root, scratchDir: join(folder, 'scratch') })
  return { io, folder: join(folder, 'store'), close: () => rm(folder, { recursive: true, force: true }) }
}
