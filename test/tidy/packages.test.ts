import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { importProblems, type Lock, lockProblems, type Manifest, unusedProblems, versionProblems } from './packages.ts'
import { projectFolder, readFiles } from './tree.ts'

const read = <T>(path: string): T => JSON.parse(readFileSync(join(projectFolder, path), 'utf8'))
const manifest: Manifest = read('package.json')
const source = readFiles((path) => path.startsWith('src/') && path.endsWith('.ts'))

test('every package.json gives exact versions', () => {
  const manifests = readFiles((path) => /(?:^|\/)package\.json$/.test(path))
  assert.ok(manifests.length > 0)
  assert.deepEqual(
    manifests.flatMap((file) => versionProblems(file.path, JSON.parse(file.text))),
    [],
  )
})

test('the lock fits package.json on every platform', () => {
  assert.deepEqual(lockProblems(manifest, read<Lock>('package-lock.json')), [])
})

test('shipped code imports only what it may', () => {
  assert.deepEqual(importProblems(manifest, source), [])
})

test('no dependency is left that nothing imports', () => {
  assert.deepEqual(unusedProblems(manifest, source), [])
})

test('Python requirements and Maven versions are exact', () => {
  const files = readFiles((path) => /(?:^|\/)(?:requirements\.txt|pom\.xml)$/.test(path))
  assert.ok(files.length >= 2)
  for (const { path, text } of files) {
    const lines = path.endsWith('.txt')
      ? text.trim().split('\n')
      : [...text.matchAll(/<version>(.*?)<\/version>/g)].map(([, version = '']) => `x==${version}`)
    for (const line of lines)
      assert.match(line, /^[\w.-]+(?:\[[\w,-]+\])?==\d+(?:\.\d+)*$/, `${path}: "${line}" is no exact version`)
  }
})

test('the check of versions finds a range, a tag and an address', () => {
  const found = versionProblems('package.json', {
    dependencies: { a: '^1.2.3', b: 'latest', c: '1.2.3-r.1' },
    devDependencies: { d: 'git+ssh://x' },
  })
  assert.deepEqual(
    found.map((problem) => problem.split(' ')[1]),
    ['a', 'b', 'd'],
  )
})

test('the check of the lock finds drift, addresses, holes and install scripts', () => {
  const lock: Lock = {
    packages: {
      '': {},
      'node_modules/a': { version: '1.0.1', optionalDependencies: { 'a-linux-x64': '1.0.1' } },
      'node_modules/b': { version: '1.0.0', resolved: 'https://example.com/b.tgz' },
      'node_modules/c': { version: '1.0.0', hasInstallScript: true },
      'node_modules/web': { resolved: 'web', link: true },
    },
  }
  const found = lockProblems({ dependencies: { a: '1.0.0', b: '1.0.0', c: '1.0.0' } }, lock)
  assert.match(
    found.join('\n'),
    /a is 1\.0\.1.*\n.*a-linux-x64.*missing.*\n.*node_modules\/b names an address.*\n.*c runs a script/,
  )
  assert.equal(found.length, 4)
})

test('the check of imports finds an undeclared package and a package outside its room', () => {
  const text =
    "import { a } from 'a'\nimport { b } from '@x/b/c'\nimport { d } from '@duckdb/node-api'\nimport { f } from 'node:fs'"
  const found = importProblems({ dependencies: { a: '1', '@duckdb/node-api': '1' } }, [
    { path: 'src/log/log.ts', text },
  ])
  assert.match(
    found.join('\n'),
    /:2: imports @x\/b, which is not among.*\n.*:3: imports @duckdb\/node-api, which only src\/duck\//,
  )
  assert.equal(found.length, 2)
})

test('the check of unused dependencies finds one that is only mentioned in a comment', () => {
  const files = [{ path: 'src/a/a.ts', text: "// like 'b'\nimport { x } from 'a/deep'" }]
  assert.deepEqual(unusedProblems({ dependencies: { a: '1', b: '1', node: '24' } }, files), [
    'package.json: nothing imports b; remove it',
  ])
})
