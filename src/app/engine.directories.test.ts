import assert from 'node:assert/strict'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { inTempDir } from '../../test/support/cli.ts'
import { parseConfig } from './config.ts'
import { type Engine, openEngine } from './engine.ts'
import { homeAt } from './home.ts'
import { attachDirectory, ingestDirectory } from './ingest.ts'
import { openSql } from './sql.ts'

const PHOTOS = path.join(import.meta.dirname, '../../examples/photos/2023/norway')

async function withEngine<T>(home: string, work: (engine: Engine) => Promise<T>): Promise<T> {
  const engine = await openEngine({ home: homeAt(home), config: parseConfig({}, 'test'), configDir: home })
  try {
    return await work(engine)
  } finally {
    await engine.close()
  }
}

test('objects of a directory that an interrupted run had only heard of are read by the next run, whatever that is about', async () => {
  await inTempDir(async (dir) => {
    const [photos, other, home] = ['photos', 'other', 'home'].map((name) => path.join(dir, name)) as [
      string,
      string,
      string,
    ]
    await cp(PHOTOS, photos, { recursive: true })
    await mkdir(other)
    await writeFile(path.join(other, 'note.txt'), 'a note')
    // Told and durable, then the end: nothing was read yet.
    await withEngine(home, async (engine) => (await attachDirectory(engine, photos, 'photos')).sync())
    await withEngine(home, async (engine) => {
      await ingestDirectory(engine, { root: other, bucket: 'other' })
      const session = await openSql(engine)
      const { rows } = await session.run(
        "SELECT count(*), count(image_width), count(*) FILTER (metadata LIKE '%faults%') FROM default.s3_content_metadata WHERE bucket = 'photos'",
      )
      assert.deepEqual(rows, [[3n, 3n, 0n]])
      await session.close()
    })
  })
})

test('a list of directories that is damaged is told with what to do', async () => {
  await inTempDir(async (dir) => {
    const home = homeAt(dir)
    await mkdir(home.stateDir)
    await writeFile(home.statePath('directories.json'), '[1]')
    await assert.rejects(openEngine({ home, config: parseConfig({}, 'test'), configDir: dir }), {
      name: 'Fault',
      kind: 'corrupt',
      message: /directories\.json should map bucket names/,
    })
  })
})
