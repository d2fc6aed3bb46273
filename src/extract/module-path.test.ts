import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { isFault } from '../base/fault.ts'
import { findModule } from './module-path.ts'

let root: string
let dir: string

function install(at: string, name: string, manifest: object, ...files: string[]): string {
  const folder = join(at, 'node_modules', name)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, version: '1.0.0', ...manifest }))
  for (const file of files) {
    mkdirSync(join(folder, file, '..'), { recursive: true })
    writeFileSync(join(folder, file), 'export const x = 1\n')
  }
  return folder
}

before(() => {
  root = mkdtempSync(join(tmpdir(), 'tidewater-modules-'))
  dir = join(root, 'project')
  mkdirSync(dir)
  writeFileSync(join(dir, 'mine.mjs'), '')
  writeFileSync(join(dir, 'palette'), '')
})
after(() => rmSync(root, { recursive: true, force: true }))

test('a path is a file from the configuration, whether it is there or not; so is a name that a file has', () => {
  assert.deepEqual(findModule('./mine.mjs', dir), { file: join(dir, 'mine.mjs') })
  assert.deepEqual(findModule('mine.mjs', dir), { file: join(dir, 'mine.mjs') })
  assert.deepEqual(findModule('palette', dir), { file: join(dir, 'palette') })
  assert.deepEqual(findModule('../gone/x.mjs', dir), { file: join(root, 'gone', 'x.mjs') })
  assert.deepEqual(findModule('gone.mjs', dir), { file: join(dir, 'gone.mjs') })
  assert.deepEqual(findModule('/x/y.mjs', dir), { file: '/x/y.mjs' })
})

test('a package is found beside the configuration or above it, by what it gives to import', () => {
  const old = install(dir, 'old-style', { main: 'lib/main.js' }, 'lib/main.js')
  const bare = install(root, 'without-main', {}, 'index.js')
  const only = install(
    root,
    'only-import',
    { type: 'module', exports: { '.': { types: './t.d.ts', import: './m.js' } } },
    'm.js',
  )
  const node = install(
    dir,
    '@acme/scoped',
    { exports: { node: { import: './n.mjs', require: './n.cjs' }, default: './d.js' } },
    'n.mjs',
    'n.cjs',
  )
  const inside = install(
    dir,
    'many',
    { exports: { './a': './src/a.js', './b': { default: './src/b.js' } } },
    'src/a.js',
    'src/b.js',
  )
  assert.deepEqual(findModule('old-style', dir), { file: join(old, 'lib/main.js'), package: 'old-style' })
  assert.deepEqual(findModule('without-main', dir), { file: join(bare, 'index.js'), package: 'without-main' })
  assert.deepEqual(findModule('only-import', dir), { file: join(only, 'm.js'), package: 'only-import' })
  assert.deepEqual(findModule('@acme/scoped', dir), { file: join(node, 'n.mjs'), package: '@acme/scoped' })
  assert.deepEqual(findModule('many/b', dir), { file: join(inside, 'src/b.js'), package: 'many' })
  assert.throws(
    () => findModule('many', dir),
    (error) => isFault(error, 'invalid') && /many in .* has no module "\."/.test(error.message),
  )
  assert.throws(() => findModule('many/c', dir), /has no module "\.\/c"/)
})

test('what is neither says where both were looked for', () => {
  assert.throws(
    () => findModule('no-such-package', dir),
    (error) =>
      isFault(error, 'invalid') &&
      error.message.includes(join(dir, 'no-such-package')) &&
      /npm install no-such-package/.test(error.message),
  )
})
