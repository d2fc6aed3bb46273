/** Metadata of photos: by the pool, in this thread, or by exifreader over the whole object. */
import { readFile } from 'node:fs/promises'
import ExifReader from 'exifreader'
import { openFile } from '../../src/extract/local-file.ts'
import { openExtractPool } from '../../src/extract/pool.ts'
import { extractFacts } from '../../src/extract/registry.ts'
import { BoundedSource } from '../../src/extract/source.ts'
import type { Photo } from '../photos.ts'
import { serve, timed } from './worker.ts'

const IN_FLIGHT = 64
const pool = await openExtractPool()

function subject({ path, sizeBytes }: Photo) {
  return { bucket: 'photos', key: path, versionId: 'null', sizeBytes }
}

await serve(
  {
    pool: async ({ photos }) => {
      const all = photos as Photo[]
      const read: number[] = []
      const { ms, cpuMs } = await timed(async () => {
        let next = 0
        const lane = async () => {
          while (next < all.length) {
            const photo = all[next++]!
            const { bytesRead, metadata } = await pool.extract({ ...subject(photo), file: { path: photo.path } })
            JSON.stringify(metadata)
            read.push(bytesRead)
          }
        }
        await Promise.all(Array.from({ length: IN_FLIGHT }, lane))
      })
      return { ms, cpuMs, read }
    },
    inline: async ({ photos }) => {
      const read: number[] = []
      const { ms, cpuMs } = await timed(async () => {
        for (const photo of photos as Photo[]) {
          const file = openFile({ path: photo.path }, photo.sizeBytes)
          const source = new BoundedSource(photo.sizeBytes, file.read)
          const { metadata, bytesRead } = await extractFacts(subject(photo), source)
          file.close()
          JSON.stringify(metadata)
          read.push(bytesRead)
        }
      })
      return { ms, cpuMs, read }
    },
    exifreader: async ({ photos }) => {
      const { ms, cpuMs } = await timed(async () => {
        for (const photo of photos as Photo[]) {
          try {
            JSON.stringify(Object.keys(ExifReader.load(await readFile(photo.path))))
          } catch {
            // It refuses some: counted as done.
          }
        }
      })
      return { ms, cpuMs, read: (photos as Photo[]).map((photo) => photo.sizeBytes) }
    },
  },
  () => pool.close(),
)
