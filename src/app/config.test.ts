import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { isFault } from '../base/fault.ts'
import { type ConfigInput, defineConfig, loadConfig, parseConfig } from './config.ts'
import { objectTables } from './object-tables.ts'
import { s3Connection, s3Notes } from './s3-connections.ts'

/** The lines of the fault that a configuration is refused with. */
function problemsOf(input: unknown): string[] {
  try {
    parseConfig(input, 'the file')
  } catch (error) {
    assert.ok(isFault(error, 'invalid'), String(error))
    const [head, ...lines] = error.message.split('\n')
    assert.match(
      head!,
      lines.length === 1 ? /^the file has a problem:$/ : new RegExp(`^the file has ${lines.length} problems:$`),
    )
    return lines.map((line) => line.trim())
  }
  return []
}

describe('a configuration', () => {
  it('needs nothing: everything has a default', () => {
    const config = parseConfig({}, 'the file')
    assert.deepEqual(parseConfig(undefined, 'the file'), config)
    assert.deepEqual(
      objectTables(config).mapping.columns.map((column) => column.name),
      ['labels', 'image_width', 'image_height'],
    )
    assert.equal(config.objects.content.includeRawMetadata, true)
  })

  it('gives columns in typed form or flat, with the same result', () => {
    const typed = defineConfig({
      objects: {
        content: {
          includeRawMetadata: false,
          columns: {
            labels: { type: 'ARRAY<STRING>', jpath: '$.labels[*].Name' },
            wide: { type: 'BOOLEAN', jpath: '$.wide' },
          },
        },
      },
    })
    const flat: ConfigInput = {
      objects: {
        schema: {
          include_raw_metadata: 'false',
          custom_metadata_fields: 'labels, wide',
          'field.labels.type': 'ARRAY<STRING>',
          'field.labels.jpath': '$.labels[*].Name',
          'field.wide.type': 'BOOLEAN',
          'field.wide.jpath': '$.wide',
        },
      },
    }
    assert.deepEqual(objectTables(parseConfig(flat, 'flat')), objectTables(parseConfig(typed, 'typed')))
  })

  it('says which built-in extractors run by a list or one by one, and names those that there are', () => {
    for (const extract of [['image', 'table'], [], { pdf: false, phash: true }, {}]) {
      assert.deepEqual(parseConfig({ objects: { extract } }, 'the file').objects.extract, extract)
    }
    for (const extract of [['imag'], { pfd: false }, { pdf: 'no' }, 'image']) {
      const problems = problemsOf({ objects: { extract } })
      assert.match(problems.join('; '), /^objects\.extract\b.*expected a list of image, exif, pdf, /s)
    }
  })

  it('may have no columns of its own at all', () => {
    for (const objects of [{ content: { columns: {} } }, { schema: { custom_metadata_fields: '' } }]) {
      assert.deepEqual(objectTables(parseConfig({ objects }, 'the file')).mapping.columns, [])
    }
  })

  it('that is wrong in many places is refused with all of them', () => {
    assert.deepEqual(
      problemsOf({
        object: {},
        limits: { memoryMiB: 1, threads: 'two' },
        objects: { workers: 0, extractors: ['x.ts'] },
      }).length,
      5,
    )
    const columns = {
      bucket: { type: 'STRING', jpath: '$.a' },
      Key: { type: 'STRING', jpath: '$.a' },
      make: { type: 'STRIN', jpath: 'exif.Make' },
      MAKE: { type: 'STRING', jpath: '$.a' },
      bytes: { type: 'BINARY', jpath: '$.a' },
      numbered: { type: 'MAP<INTEGER, STRING>', jpath: '$.a' },
      strict: { type: 'ARRAY<STRUCT<a: STRING NOT NULL>>', jpath: '$.a' },
      twice: { type: 'STRUCT<a: STRING, A: STRING>', jpath: '$.a' },
      fine: { type: 'STRING', jpath: '$.a' },
    }
    const tables = {
      journal: { partitioning: ['day(recorded)', 'bucket(16, key)'] },
      content: { sortOrder: ['key upwards'], properties: { 'write.parquet.compression-codec': 'zip' } },
      inventory: { partitioning: ['day(key)'], properties: { 'format-version': '3' } },
    }
    const problems = problemsOf({ objects: { content: { columns }, tables } })
    assert.deepEqual(
      problems.map((problem) => problem.split(': ')[0]),
      [
        'objects.content.columns.bucket',
        'objects.content.columns.Key',
        'objects.content.columns.make.type',
        'objects.content.columns.make.jpath',
        'objects.content.columns.MAKE',
        'objects.content.columns.bytes.type',
        'objects.content.columns.numbered.type',
        'objects.content.columns.strict.type',
        'objects.content.columns.twice.type',
        'objects.tables.content.sortOrder',
        'objects.tables.content.properties',
        'objects.tables.journal.partitioning',
        'objects.tables.inventory.partitioning',
        'objects.tables.inventory.properties',
      ],
    )
    assert.match(problems.join('\n'), /recorded/)
    assert.match(problems.join('\n'), /one of zstd, snappy, gzip, uncompressed, none, got "zip"/)
  })

  it('is refused with what is wrong in form and what is wrong in meaning at once', () => {
    const objects = {
      workers: 0,
      content: {
        columns: {
          'a b': { type: 'STRING', jpath: '$.a' },
          c: { type: 'STRIN', jpath: '$.\u{1f600} x' },
          d: { type: 5, jpath: '$.d' },
          e: { type: 'STRING', jpath: "$['a" },
        },
      },
      tables: { journal: { partitioning: ['day(recorded)'], sort: [] } },
    }
    const streams = { web: { table: 'demo.web', columns: { at: 'MOMENT' } }, 'a b': { table: 'demo.a' } }
    const problems = problemsOf({ objects, streams, stream: {} })
    assert.deepEqual(problems.map((problem) => problem.split(': ')[0]).toSorted(), [
      '(top)',
      'objects.content.columns.a b',
      'objects.content.columns.c.jpath',
      'objects.content.columns.c.type',
      'objects.content.columns.d.type',
      'objects.content.columns.e.jpath',
      'objects.tables.journal',
      'objects.tables.journal.partitioning',
      'objects.workers',
      'streams.a b',
      'streams.web',
    ])
    const text = problems.join('\n')
    assert.match(text, /columns\.a b: expected a column name of letters, digits and _ that .*, got "a b"$/m)
    assert.match(
      text,
      /c\.jpath: expected a JSONPath such as \$\.image\.image_width, got "\$\.😀 x": "x" is not expected as character 5$/m,
    )
    assert.match(text, /e\.jpath: .*: it ends too early$/m)
    assert.ok(text.isWellFormed())
    const schema = {
      custom_metadata_fields: 'a, b',
      'field.a.type': 5,
      'field.a.jpath': '$.a',
      'field.b.type': 'STRIN',
    }
    assert.deepEqual(
      problemsOf({ objects: { schema } }).map((problem) => problem.split(': ')[0]),
      ['objects.schema.field.a.type', 'objects.schema.field.b.jpath'],
    )
  })

  it('in the flat form is refused with all that is wrong, by the names of its keys', () => {
    const schema = {
      include_raw_metadata: 'yes',
      custom_metadata_fields: 'a, b, c d, e',
      'field.a.type': 'STRING',
      'field.b.jpath': '$.b',
      'field.c d.type': 'STRING',
      'field.c d.jpath': '$.c',
      'field.e.type': 'MAP',
      'field.e.jpath': '$.e',
      'field.f.type': 'STRING',
      'field.a.path': '$.a',
      columns: 'a',
    }
    assert.deepEqual(
      problemsOf({ objects: { schema } }).map((problem) => problem.split(': ')[0]),
      [
        'objects.schema.include_raw_metadata',
        'objects.schema.field.a.jpath',
        'objects.schema.field.b.type',
        'objects.schema.custom_metadata_fields',
        'objects.schema.field.f.type',
        'objects.schema.field.a.path',
        'objects.schema.columns',
        'objects.schema.field.e.type',
      ],
    )
    const both = { schema: {}, content: { columns: {} } }
    assert.match(problemsOf({ objects: both }).join(), /^objects\.schema: give either/)
  })
})

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

describe('connections to S3 in a configuration', () => {
  it('are refused with every problem at its path, and found by name', () => {
    const s3 = { default: { 's3.endpoint': 'nowhere', 's3.acces-key-id': 'x' }, other: { 's3.session-token': 5 } }
    const problems = problemsOf({ s3, limits: { memoryMiB: 1 } })
    for (const path of ['s3.default["s3.endpoint"]', 's3.default["s3.acces-key-id"]', 's3.other.s3.session-token']) {
      assert.ok(
        problems.some((problem) => problem.startsWith(path)),
        `${path} in ${problems.join('\n')}`,
      )
    }
    assert.ok(problems.some((problem) => problem.startsWith('limits.memoryMiB')))
  })

  it('are AWS where nothing is said, and one object for each name', () => {
    const config = parseConfig({ s3: { minio: { 's3.endpoint': 'http://127.0.0.1:9000' } } }, 'the file')
    assert.equal(s3Connection(config).endpoint, undefined)
    assert.equal(s3Connection(config, 'minio').endpoint, 'http://127.0.0.1:9000')
    assert.equal(s3Connection(config, 'minio'), s3Connection(config, 'minio'))
    assert.throws(
      () => s3Connection(config, 'mino'),
      (error) => isFault(error, 'invalid') && /"mino"; there are: minio/.test(error.message),
    )
  })

  it('with a secret in the file are noted', () => {
    const secret = { 's3.access-key-id': 'a', 's3.secret-access-key': 'b' }
    assert.match(s3Notes({ default: secret, aws: {} }).join(), /^s3\.default: the secret stands in the file/)
  })
})

describe('sources of one Kafka group', () => {
  const source = (topics: string[], more: object = {}) => ({
    stream: 'web',
    kafka: { brokers: ['kafka:9092', 'other:9092'], topics, ...more },
  })
  const parse = (sources: object) => parseConfig({ streams: { web: { table: 'demo.web' } }, sources }, 'the file')

  it('are refused where each would get a part of the messages, with the path', () => {
    assert.throws(
      () => parse({ one: source(['a', 'b'], { group: 'g' }), two: source(['b', 'c'], { group: 'g' }) }),
      /sources\.two\.kafka\.group: expected a group of its own, got "g", by which sources\.one reads b too/,
    )
    // The group that a source has by its name is one too.
    assert.throws(
      () => parse({ one: source(['a']), two: source(['a'], { group: 'tidewater-one' }) }),
      /sources\.two\.kafka\.group/,
    )
    const { kafka } = source(['a'])
    assert.throws(
      () =>
        parseConfig(
          { objects: { sources: { one: { type: 'kafka', ...kafka } } }, sources: { one: source(['a']) } },
          'the file',
        ),
      /objects\.sources\.one\.group: .*by which sources\.one reads a too/,
    )
  })
  it('are taken where they read other topics, other groups or another cluster', () => {
    parse({
      one: source(['a'], { group: 'g' }),
      two: source(['b'], { group: 'g' }),
      three: source(['a']),
      four: source(['a'], { group: 'g', brokers: ['elsewhere:9092'] }),
    })
  })
})
