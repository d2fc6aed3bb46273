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
  const catalog = await openSqliteCatalog({ path: join(folder, 'catalog.db'), name: 'test', warehouse, io })
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
