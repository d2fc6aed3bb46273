import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { catalogContract } from '../../../test/contract/catalog.ts'
import { openFileStore } from '../../store/file.ts'
import { storeIo } from '../file/store-io.ts'
import { openSqliteCatalog } from './sqlite.ts'

catalogContract('SQLite catalog', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tidewater-catalog-'))
  const store = await openFileStore({ root: join(folder, 'warehouse'), create: true })
  const warehouse = pathToFileURL(store.root).href
  const io = storeIo(store, { root: warehouse, scratchDir: join(folder, 'scratch') })
  const path = join(folder, 'catalog.db')
  const catalog = await openSqliteCatalog({ path, name: 'test', warehouse, io, metadataGraceMs: 0 })
  return {
    catalog,
    io,
    warehouse,
    close: async () => {
      await catalog.close()
      await rm(folder, { recursive: true })
    },
  }
})
