import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { cycles, importsOf, parseRooms, roomProblems } from './rooms.ts'
import { projectFolder, readFiles } from './tree.ts'

const page = readFileSync(join(projectFolder, 'ARCHITECTURE.md'), 'utf8')
const source = readFiles((path) => path.startsWith('src/') && path.endsWith('.ts'))

test('every import under src follows the table of rooms in ARCHITECTURE.md', () => {
  assert.ok(source.length > 0)
  assert.deepEqual(roomProblems(parseRooms(page), source), [])
})

test('no files import one another in a circle at run time', () => {
  assert.deepEqual(cycles(source), [])
})

/** Nobody imports these: a process begins in them. */
const entrances = ['cli']

test('every room of the table that has files has its door', () => {
  const folders = parseRooms(page).filter((room) => !room.open && !entrances.includes(room.folder))
  for (const { folder } of folders) {
    const inside = source.filter((file) => new RegExp(`^src/${folder.replace('*', '[^/]+')}/`).test(file.path))
    for (const name of new Set(
      inside.map((file) =>
        file.path
          .split('/')
          .slice(0, folder.split('/').length + 1)
          .join('/'),
      ),
    )) {
      const door = `${name}/${name.split('/').at(-1)}.ts`
      assert.ok(
        inside.some((file) => file.path === door),
        `${name}/ has files but no door: expected ${door}`,
      )
    }
  }
})

const sample = `
| room | sentence | may import |
|---|---|---|
| \`base/\` | ground | nothing |
| \`log/\` | log | base |
| \`ice/spec/\` | types | base |
| \`ice/file/\` | files | base, \`ice/spec\` |
| \`table/\` | tables | base, ice doors |
| \`service/*\` | jobs | all above |
| \`app/\` | wiring | all above |

| other table | | |
|---|---|---|
| \`logs/\` | is no room | what comes |

Open rooms: \`base/\`, \`ice/spec/\`.
Further doors: \`table/loop.ts\`.
`

test('the table of rooms is read with its groups and its open rooms', () => {
  const rooms = parseRooms(sample)
  const of = (folder: string) => rooms.find((room) => room.folder === folder)
  assert.deepEqual(of('base'), { folder: 'base', open: true, furtherDoors: [], mayImport: [] })
  assert.deepEqual(of('table')?.mayImport, ['base', 'ice/spec', 'ice/file'])
  assert.deepEqual(of('service/*')?.mayImport, ['base', 'log', 'ice/spec', 'ice/file', 'table'])
})

test('a table that names an unknown room is refused', () => {
  assert.throws(() => parseRooms(sample.replace('| log | base |', '| log | bass |')), /"bass", which is no room/)
  assert.throws(() => parseRooms(sample.replace('Open rooms: ', 'Open rooms: `attic/`, ')), /attic, which is no room/)
  assert.throws(() => parseRooms('# No table'), /no table of rooms/)
})

const refused: readonly (readonly [string, string, string, RegExp])[] = [
  [
    'an import against the direction',
    'src/base/a.ts',
    "import { x } from '../log/log.ts'",
    /base\/ may import only: nothing/,
  ],
  [
    'a type import against the direction',
    'src/log/a.ts',
    "import type { X } from '../table/table.ts'",
    /log\/ may import only: base/,
  ],
  [
    'an import past the door',
    'src/table/a.ts',
    "import {\n  x,\n} from '../ice/file/other.ts'",
    /only its door is importable: src\/ice\/file\/file.ts/,
  ],
  ['a re-export past the door', 'src/service/a/a.ts', "export * from '../../log/segments.ts'", /only its door/],
  [
    'a lazy import past the door',
    'src/service/a/a.ts',
    "const x = await import('../../log/segments.ts')",
    /only its door/,
  ],
  [
    'a worker of another room',
    'src/log/a.ts',
    "new URL('../table/table.ts', import.meta.url)",
    /log\/ may import only/,
  ],
  [
    'one service importing another',
    'src/service/a/a.ts',
    "import { b } from '../b/b.ts'",
    /service\/a\/ may import only/,
  ],
  ['a file in no room', 'src/loose.ts', '', /stands in no room/],
  ['an import of a test', 'src/log/a.ts', "import { x } from './log.test.ts'", /which is a test/],
  ['an import from outside src', 'src/log/a.ts', "import { x } from '../../test/x.ts'", /outside src/],
]

for (const [what, path, text, expected] of refused) {
  test(`the check of rooms finds ${what}`, () => {
    const problems = roomProblems(parseRooms(sample), [{ path, text }])
    assert.equal(problems.length, 1)
    assert.match(problems[0] ?? '', expected)
  })
}

test('what the table allows is let through', () => {
  const files = [
    { path: 'src/ice/file/a.ts', text: "import type { A } from '../spec/deep.ts'\nimport { b } from './b.ts'" },
    { path: 'src/table/a.ts', text: "import { f } from '../ice/file/file.ts'\nimport { readFile } from 'node:fs'" },
    { path: 'src/service/a/a.ts', text: "import { loop } from '../../table/loop.ts'" },
    { path: 'src/app/a.ts', text: "import { s } from '../log/segments.ts'" },
    { path: 'src/log/log.test.ts', text: "import { s } from '../app/app.ts'" },
  ]
  assert.deepEqual(roomProblems(parseRooms(sample), files), [])
})

test('imports inside comments and templates are none', () => {
  const text = "// import { a } from './a.ts'\nconst b = `\nimport { c } from './c.ts'\n`\nimport { d } from './d.ts'\n"
  assert.deepEqual(importsOf(text), [{ specifier: './d.ts', runtime: true, line: 5 }])
})

test('the check of circles finds one of three files and leaves type imports alone', () => {
  const a = { path: 'src/a/a.ts', text: "import { b } from '../b/b.ts'" }
  const b = { path: 'src/b/b.ts', text: "export { c } from './c.ts'" }
  const c = { path: 'src/b/c.ts', text: "import { a } from '../a/a.ts'" }
  assert.deepEqual(cycles([a, b, c]), [['src/a/a.ts', 'src/b/b.ts', 'src/b/c.ts', 'src/a/a.ts']])
  assert.deepEqual(cycles([a, b, { path: c.path, text: "import type { A } from '../a/a.ts'" }]), [])
})
