import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as rules from './rules.ts'
import { isGolden, type Problem, readFiles, type SourceFile } from './tree.ts'

const texts = readFiles(
  (path) => /\.(ts|tsx|mjs|js|py|sh|md|json|jsonc|ya?ml|toml|xml|css|html)$|^\.ci\//.test(path) && !isGolden(path),
)
const code = texts.filter((file) => /\.(ts|tsx|mjs|js|py|sh)$/.test(file.path))
const typescript = code.filter((file) => /\.tsx?$/.test(file.path))
const tests = typescript.filter((file) => /\.test\.tsx?$/.test(file.path))
const withoutLock = texts.filter((file) => !file.path.endsWith('package-lock.json'))

/** A rule, the files it holds for, and texts that it must find or must let through. */
interface Case {
  readonly name: string
  readonly rule: (file: SourceFile) => Problem[]
  readonly files: readonly SourceFile[]
  readonly bad: readonly string[]
  readonly good: readonly string[]
}

const line = 'x\n'
const cases: readonly Case[] = [
  {
    name: `no file of code is longer than ${rules.linesMax} lines`,
    rule: rules.fileLength,
    files: code,
    bad: [line.repeat(rules.linesMax + 1)],
    good: [line.repeat(rules.linesMax)],
  },
  {
    name: 'nothing is left to be done later',
    rule: rules.noLeftovers,
    files: withoutLock,
    bad: [`// ${'TO' + 'DO'}: later`, `# ${'FIX' + 'ME'}`, `/* ${'X'.repeat(3)} */`],
    good: ['// todo lists are documents', 'mastodon'],
  },
  {
    name: 'no type is given up with any',
    rule: rules.noAny,
    files: typescript,
    bad: [
      'let a: any',
      'const b = c as any',
      'type D = Record<string, any>',
      'function f(g: any[]) {}',
      'type H = any\n',
    ],
    good: [
      "// any comment\nconst a = 'any'",
      'await Promise.any(all)',
      'const o = { any: 1 }',
      'AbortSignal.any([a, b])',
    ],
  },
  {
    name: 'the compiler and the linter are not silenced without a reason',
    rule: rules.noSilencing,
    files: code,
    bad: [
      `// @ts-${'ignore'} because`,
      `// @ts-${'nocheck'}`,
      `// @ts-${'expect-error'}\n`,
      `// biome-${'ignore'} lint/x/y:`,
      `// biome-${'ignore'} lint/x/y: <explanation>`,
    ],
    good: [`// @ts-${'expect-error'} the wrong type is the point`, `// biome-${'ignore'} lint/x/y: the spec wants it`],
  },
  {
    name: 'no test is left out without a reason',
    rule: rules.noSilentSkips,
    files: tests,
    bad: [
      "test.only('a b c')",
      "describe.skip('a')",
      "it.todo('a b c')",
      't.skip()',
      "test('a b c', { skip: true })",
      "test('a', { only: true })",
    ],
    good: [
      "test('a b c', { skip: 'needs Linux' })",
      "t.skip('no network')",
      '// test.only( is refused',
      'cursor.skip(3)',
    ],
  },
  {
    name: 'every test has a sentence for its name',
    rule: rules.sentenceNames,
    files: tests,
    bad: [
      "test('works', () => {})",
      "it('log append', f)",
      'test(`${a}`, f)',
      "await t.test('- a b c', f)",
      'test(\n  "one two",\n  f)',
    ],
    good: [
      "test('a log opens empty', f)",
      'test(`v${version} tables open`, f)',
      "/re/.test('x')",
      'test(name, f)',
      "`it('a')`",
    ],
  },
  {
    name: 'no address of a package registry is written down',
    rule: rules.noRegistryHosts,
    files: texts,
    bad: [
      `"resolved": "https://${'registry.npmjs' + '.org'}/x"`,
      `https://${'pypi' + '.org'}/simple`,
      `http://${'nexus'}.corp/x`,
    ],
    good: ['http://maven.apache.org/POM/4.0.0', 'a schema registry'],
  },
  {
    name: 'SQLite is loaded in one place',
    rule: rules.oneDoorToSqlite,
    files: typescript.filter(({ path }) => path !== 'src/base/sqlite.ts' && path !== 'test/tidy/rules.test.ts'),
    bad: [
      "import { DatabaseSync } from 'node:sqlite'",
      "import type { A } from './a.ts'\nimport sqlite from 'node:sqlite'",
      'import {\n  DatabaseSync,\n  type StatementSync,\n} from "node:sqlite"',
      "import 'node:sqlite'",
      "const { DatabaseSync } = await import('node:sqlite')",
      "process.getBuiltinModule('node:sqlite')",
    ],
    good: [
      "import type { DatabaseSync } from 'node:sqlite'",
      "import type { A } from 'node:sqlite'\nimport { b } from './b.ts'",
      "let a: typeof import('./a.ts')",
      "// import { DatabaseSync } from 'node:sqlite'",
      "import { DatabaseSync } from '../base/sqlite.ts'",
    ],
  },
  {
    name: 'no path of one machine is written down',
    rule: rules.noMachinePaths,
    files: withoutLock,
    bad: [`cd ${'/wo' + 'rk'}/main`, `"${'/ho' + 'me'}/me/x"`, `open('${'/Us' + 'ers'}/me')`],
    good: ['$HOME/.cache', 's3://bucket/home/x.jpg', 'a/work/b', 'https://example.com/home/x'],
  },
  {
    name: 'nothing points to a ticket or a plan',
    rule: rules.noTickets,
    files: withoutLock,
    bad: [
      `see iss${'ue'} #12`,
      `PR ${'#'}7`,
      `https://example.com/iss${'ues'}/3`,
      `as DES${'IGN'}.md says`,
      `like se${'ed'} 001`,
    ],
    good: ['an issue of trust', 'seed: 7719', 'colour #336699', 'the task of 3 workers'],
  },
]

for (const { name, rule, files, bad, good } of cases) {
  test(name, () => {
    assert.ok(files.length > 0, 'the rule looks at no file')
    assert.deepEqual(files.flatMap(rule), [])
  })

  test(`the check that ${name} finds what it is for, and only that`, () => {
    for (const text of bad)
      assert.equal(rule({ path: 'sample.test.ts', text }).length, 1, `not found in: ${text.slice(0, 80)}`)
    for (const text of good)
      assert.deepEqual(rule({ path: 'sample.test.ts', text }), [], `found in: ${text.slice(0, 80)}`)
  })
}
