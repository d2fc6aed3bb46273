import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { storeContract } from '../../test/contract/store.ts'
import { openFileStore } from './file.ts'

for (const etag of ['stat', 'md5'] as const) {
  storeContract(`file store with ${etag} etags`, {
    versions: { no: 'a file store reads versions that others laid down; its own puts make none' },
    anyKey: { no: 'a file store takes the keys that can be files; file.keys.test.ts has the others' },
    open: async () => {
      const root = await mkdtemp(join(tmpdir(), 'tidewater-file-store-'))
      return { store: await openFileStore({ root, etag }), close: () => rm(root, { recursive: true }) }
    },
  })
}
