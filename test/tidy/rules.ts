/** Rules on the text of the project's own files. Each takes one file and gives its problems; the tests beside show both ways. */
import { codeOf } from './code.ts'
import { lineAt, type Problem, type SourceFile } from './tree.ts'

type Rule = (file: SourceFile) => Problem[]

export const linesMax = 600

export const fileLength: Rule = ({ path, text }) => {
  const lines = text.replace(/\n$/, '').split('\n').length
  return lines > linesMax
    ? [`${path}: ${lines} lines, at most ${linesMax} are allowed: split it by what it is about`]
    : []
}

// Put together from parts, so that this file passes its own rules.
const leftovers = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X'.repeat(3)].join('|')})\\b`, 'g')

export const noLeftovers: Rule = (file) =>
  matches(file, file.text, leftovers, (found) => `${found}: do it, or leave it out and say so in the documentation`)

/** `any` as a type. `Promise.any` and `AbortSignal.any` are methods, `any:` is a property, `const any` a name. */
export const noAny: Rule = (file) =>
  matches(
    file,
    codeOf(file.text, 'comments and literals'),
    /(?<![.\w$])(?<!\b(?:const|let|function)\s+)any\b(?!\s*[:(?])/g,
    () => '`any`: name the type, or take `unknown`',
  )

/** The compiler and the linter are not to be silenced without a word why. */
export const noSilencing: Rule = (file) =>
  matches(
    file,
    file.text,
    new RegExp(
      `@ts-(?:ignore|nocheck)\\b.*|@ts-expect-error\\s*$|biome-${'ignore'}(?:-all)? [^:\\n]*(?::\\s*|\\s*)(?:<.*>)?$`,
      'gm',
    ),
    (found) => `${found.trim()}: mend the cause, or use @ts-expect-error or a linter exception with its reason`,
  )

/** Tests that are left out, or that leave the others out. A reason is the string given to `skip` or `todo`. */
export const noSilentSkips: Rule = (file) => {
  const code = codeOf(file.text, 'comments and literals')
  return [
    ...matches(
      file,
      code,
      /\b(?:test|it|describe|suite)\.(?:only|skip|todo)\(|\bonly: *true\b/g,
      (found) => `${found}: give { skip: 'the reason' }`,
    ),
    ...matches(
      file,
      code,
      /\b(?:skip|todo): *true\b|\.(?:skip|todo)\(\s*\)/g,
      (found) => `${found}: give the reason as a string`,
    ),
  ]
}

/** A test's name is a sentence: it begins with a word and has at least three. Names made elsewhere are not seen, and a value inside a name may be words. */
export const sentenceNames: Rule = (file) => {
  const code = codeOf(file.text, 'comments')
  const bare = codeOf(file.text, 'comments and literals')
  const calls = /(?<![.\w$])(?:t\.)?(?:test|it)\(\s*(?<quote>['"`])(?<name>(?:\\.|(?!\k<quote>).)*)\k<quote>/gs
  return [...code.matchAll(calls)]
    .filter((match) => bare.slice(match.index, match.index + 2) === match[0].slice(0, 2))
    .flatMap((match) => {
      const name = (match.groups?.['name'] ?? '').replace(/\$\{[^}]*\}/g, 'a value')
      const words = name.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word))
      if (words.length >= 3 && /^["'“‘-]?[\p{L}\p{N}]/u.test(name)) return []
      return [
        `${file.path}:${lineAt(file.text, match.index)}: a test's name is a sentence of at least three words, got "${name}"`,
      ]
    })
}

/** Package registries: which one is used is the machine's affair. */
const registries = [
  'registry.npmjs' + '.org',
  'registry.yarnpkg' + '.com',
  'pypi' + '.org',
  'pythonhosted' + '.org',
  'repo1?.maven' + '.',
]
const registryHosts = new RegExp(
  `${registries.map((host) => host.replaceAll('.', '\\.')).join('|')}|https?://[^\\s/"'\`]*(?:artifactory|nexus|verdaccio|npm-mirror|devpi)[^\\s"'\`]*`,
  'gi',
)

export const noRegistryHosts: Rule = (file) =>
  matches(
    file,
    file.text,
    registryHosts,
    (found) => `${found}: the address of a package registry belongs to the machine, not to the project`,
  )

/** `node:sqlite` is experimental, or not there: `base/sqlite.ts` says so in words. Its types are gone when anything runs. */
export const oneDoorToSqlite: Rule = (file) =>
  matches(
    file,
    codeOf(file.text, 'comments'),
    /\bimport(?!\s+type\b)[\s\w{},*]*?(?:\bfrom\s*|\(\s*|\s)['"]node:sqlite['"]|\bgetBuiltinModule\(\s*['"]node:sqlite['"]/g,
    () => 'node:sqlite: take it from src/base/sqlite.ts',
  )

const machinePaths = new RegExp(
  `(?<![\\w.\\-/~$}*])/(?:${['wo' + 'rk', 'ro' + 'ot', 'ho' + 'me', 'Us' + 'ers'].join('|')})/[\\w.-]+`,
  'g',
)

export const noMachinePaths: Rule = (file) =>
  matches(
    file,
    file.text,
    machinePaths,
    (found) => `${found}: a path of one machine; make it relative, or take it from the environment`,
  )

const tickets = new RegExp(
  `\\b(?:iss${'ue'}|tick${'et'}|bug|PR|pull requ${'est'}|ta${'sk'})s? *#? *(?<=#) *\\d+|\\b(?:iss${'ues'}|pu${'ll'})/\\d+|DES${'IGN'}\\.md|\\bse${'ed'} 00\\d\\b|\\bsha${'red'}/(?:reference|interop|seeds|hooks)`,
  'gi',
)

export const noTickets: Rule = (file) =>
  matches(
    file,
    file.text,
    tickets,
    (found) => `${found}: say what is meant, so that a reader needs no tracker and no plan`,
  )

function matches(file: SourceFile, text: string, pattern: RegExp, say: (found: string) => string): Problem[] {
  return [...text.matchAll(pattern)].map((match) => `${file.path}:${lineAt(file.text, match.index)}: ${say(match[0])}`)
}
