import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { isFault } from '../base/fault.ts'
import { loadConfig } from './config-file.ts'
import { objectTables } from './object-tables.ts'

describe('the configurations that the pages show', () => {
  const pages = ['README.md', 'docs/configuration.md', 'docs/extractors.md']

  it('are taken as they stand', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'tidewater-config-'))
    try {
      for (const page of pages) {
        const text = await readFile(new URL(`../../${page}`, import.meta.url), 'utf8')
        const blocks = [...text.matchAll(/^```(ts|yaml)\n([\s\S]*?)^```/gm)]
        const shown = blocks.filter(([, , block = '']) => /^export default \{|^objects:/m.test(block))
        assert.ok(shown.length > 0, `${page} shows no configuration`)
        for (const [at, [, language, block = '']] of shown.entries()) {
          const file = join(dir, `${page.replaceAll('/', '-')}-${at}.${language}`)
          await writeFile(file, block)
          const { config } = await loadConfig(file, dir)
          assert.ok(objectTables(config).mapping.columns.length > 0)
        }
      }
    } finally {
      await rm(dir, { recursive: true, force: true })
    }
  })
})

describe('a configuration file', () => {
  let dir: string
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'tidewater-config-'))
  })
  after(() => rm(dir, { recursive: true, force: true }))

  it('is TypeScript or YAML, with the same result', async () => {
    await writeFile(
      join(dir, 'typed.config.ts'),
      "const type: string = 'STRING'\nexport default { objects: { content: { columns: { make: { type, jpath: '$.exif.Make' } } } }, limits: { threads: 1 } }\n",
    )
    await writeFile(
      join(dir, 'flat.yaml'),
      'objects:\n  schema:\n    include_raw_metadata: true\n    custom_metadata_fields: make\n    field.make.type: STRING\n    field.make.jpath: $.exif.Make\nlimits: {threads: 1}\n',
    )
    const typed = await loadConfig('typed.config.ts', dir)
    const flat = await loadConfig('flat.yaml', dir)
    assert.deepEqual(objectTables(flat.config), objectTables(typed.config))
    assert.deepEqual([typed.config.limits.threads, flat.config.limits.threads], [1, 1])
    assert.equal(typed.file, join(dir, 'typed.config.ts'))
  })

  it('is found by its name in the folder, the TypeScript one first; none means defaults', async () => {
    const folder = await mkdtemp(join(dir, 'found-'))
    assert.deepEqual((await loadConfig(undefined, folder)).file, null)
    await writeFile(join(folder, 'tidewater.config.yaml'), '')
    assert.equal((await loadConfig(undefined, folder)).file, join(folder, 'tidewater.config.yaml'))
    await writeFile(join(folder, 'tidewater.config.ts'), 'export default {}')
    assert.equal((await loadConfig(undefined, folder)).file, join(folder, 'tidewater.config.ts'))
  })

  it('that is not there, cannot be read, or exports nothing is told by name', async () => {
    await writeFile(join(dir, 'broken.yaml'), 'objects: [')
    await writeFile(join(dir, 'throws.mjs'), "throw new Error('no luck')")
    await writeFile(join(dir, 'forgotten.ts'), 'export const config = { objects: {} }')
    await writeFile(join(dir, 'wrong.yaml'), 'objects: {workers: many}')
    const told = [
      ['absent.ts', 'not-found', /absent\.ts/],
      ['broken.yaml', 'invalid', /broken\.yaml cannot be read as configuration/],
      ['throws.mjs', 'invalid', /throws\.mjs cannot be read as configuration: no luck/],
      ['forgotten.ts', 'invalid', /forgotten\.ts has no default export/],
      ['wrong.yaml', 'invalid', /wrong\.yaml has a problem:\n {2}objects\.workers: /],
    ] as const
    for (const [file, kind, message] of told) {
      await assert.rejects(loadConfig(file, dir), (error) => isFault(error, kind) && message.test(error.message), file)
    }
  })
})
