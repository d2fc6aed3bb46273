import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { isFault } from '../base/fault.ts'
import { catalogLoss, homeAt, prepareHome, requireHome, requireNoLoss } from './home.ts'

let dir: string
before(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'tidewater-home-'))
})
after(() => rm(dir, { recursive: true, force: true }))

test('a home is named by the option, else by the environment, else it is .tidewater', () => {
  assert.equal(homeAt('/a', { TIDEWATER_HOME: '/b' }).dir, '/a')
  assert.equal(homeAt(undefined, { TIDEWATER_HOME: '/b' }).dir, '/b')
  assert.equal(homeAt(undefined, {}).dir, path.resolve('.tidewater'))
})

test('preparing a home empties its scratch folders and leaves what the user keeps in tmp', async () => {
  const home = homeAt(path.join(dir, 'project'))
  for (const folder of [home.scratchDir, home.spillDir]) {
    await mkdir(folder, { recursive: true })
    await writeFile(path.join(folder, 'left-behind'), '')
  }
  await writeFile(path.join(home.dir, 'tmp', 'notes.txt'), 'mine')
  await prepareHome(home)
  assert.deepEqual((await readdir(path.join(home.dir, 'tmp'))).sort(), ['notes.txt', 'scratch', 'spill'])
  assert.deepEqual([await readdir(home.scratchDir), await readdir(home.spillDir)], [[], []])
})

test('reading asks for a home that is there', async () => {
  await assert.rejects(requireHome(homeAt(path.join(dir, 'none'))), (error) => isFault(error, 'not-found'))
})

test('a home that knows of objects and has no catalog is not taken for a new one', async () => {
  const home = homeAt(path.join(dir, 'lost'))
  await mkdir(path.dirname(home.statePath('objects.db')), { recursive: true })
  assert.equal(await catalogLoss(home), null)
  await writeFile(home.statePath('objects.db'), '')
  assert.match((await catalogLoss(home)) ?? '', /catalog was lost/)
  for (const check of [requireHome, requireNoLoss]) {
    await assert.rejects(check(home), (error) => isFault(error, 'corrupt'))
  }
  await writeFile(home.catalogPath, '')
  assert.equal(await catalogLoss(home), null)
})
