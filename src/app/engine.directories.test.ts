import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cp, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
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

test('what is no object is counted and named with its reason, and the rest is taken', async () => {
  await inTempDir(async (dir) => {
    const root = path.join(dir, 'files')
    await mkdir(path.join(root, 'sub'), { recursive: true })
    for (const file of ['a.txt', 'sub/b.txt', '.hidden']) await writeFile(path.join(root, file), file)
    await symlink('a.txt', path.join(root, 'inside'))
    await symlink(PHOTOS, path.join(root, 'outside'))
    await symlink('nowhere', path.join(root, 'dangling'))
    execFileSync('mkfifo', [path.join(root, 'sub', 'pipe')])
    await writeFile(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0x66, 0xfc, 0x72])]), 'x').catch(
      () => undefined,
    )
    const isLatinKept = (await readdir(root, { encoding: 'buffer' })).some((name) => name.includes(0xfc))
    // The state inside the directory is neither taken nor told.
    await withEngine(path.join(root, 'state'), async (engine) => {
      await symlink('nowhere', path.join(root, 'state', 'dangling'))
      const told: string[] = []
      const onSkip = (file: string, reason: string) => void told.push(`${file}: ${reason}`)
      const counts = await ingestDirectory(engine, { root, bucket: 'files', onSkip })
      assert.deepEqual([counts.added, counts.skipped], [4, isLatinKept ? 4 : 3])
      const [dangling, ...more] = told.sort()
      assert.equal(dangling, 'dangling: it is a link to a folder, or to nothing; links are not followed')
      if (isLatinKept) assert.equal(more.shift(), 'für: its name is not UTF-8 (shown as Latin-1)')
      assert.match(more[0]!, /^outside: it is a link that leads out of the folder, to .+norway$/)
      assert.match(more[1]!, /^sub\/pipe: it is neither a file nor a folder/)
      // A second comparison finds the same, and nothing new.
      assert.equal((await ingestDirectory(engine, { root, bucket: 'files' })).skipped, counts.skipped)
    })
  })
})
