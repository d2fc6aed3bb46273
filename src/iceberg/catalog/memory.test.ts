import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { catalogContract } from '../../../test/contract/catalog.ts'
import { openMemoryStore } from '../../store/memory.ts'
import { storeIo } from '../file/store-io.ts'
import { openMemoryCatalog } from './memory.ts'

catalogContract('memory catalog', async () => {
  const scratchDir = await mkdtemp(join(tmpdir(), 'tidewater-catalog-'))
  const warehouse = 'file:///warehouse'
  const io = storeIo(openMemoryStore(), { root: warehouse, scratchDir })
  const catalog = openMemoryCatalog({ io, warehouse, metadataGraceMs: 0 })
  return {
    catalog,
    io,
    warehouse,
    close: async () => {
      await catalog.close()
      await rm(scratchDir, { recursive: true })
    },
  }
})
