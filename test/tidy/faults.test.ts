import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Fault, type FaultKind } from '../../src/base/fault.ts'
import { projectFolder } from './tree.ts'

const read = (path: string): string => readFileSync(join(projectFolder, path), 'utf8')

/** The members of the union `FaultKind`, from its text. */
function declaredKinds(text: string): string[] {
  const union = /export type FaultKind =\n((?:\s+(?:\/\*\*.*\*\/|\| '[a-z-]+')\n)+)/.exec(text)?.[1] ?? ''
  return [...union.matchAll(/\| '([a-z-]+)'/g)].map(([, kind = '']) => kind)
}

/** The sections of docs/faults.md: kind to what the page says of trying again. */
function documentedKinds(text: string): Map<string, string> {
  const sections = [...text.matchAll(/^## `([a-z-]+)`\n([\s\S]*?)(?=^## |$(?![\s\S]))/gm)]
  return new Map(
    sections.map(([, kind = '', body = '']) => [
      kind,
      /^Try again: (never|safe|after-check)\b/m.exec(body)?.[1] ?? 'not said',
    ]),
  )
}

/** What one side has and the other lacks, or says otherwise. */
function faultProblems(
  declared: readonly string[],
  documented: ReadonlyMap<string, string>,
  retryOf: (kind: string) => string,
): string[] {
  return [
    ...declared.filter((kind) => !documented.has(kind)).map((kind) => `docs/faults.md does not tell of ${kind}`),
    ...[...documented.keys()]
      .filter((kind) => !declared.includes(kind))
      .map((kind) => `docs/faults.md tells of ${kind}, which does not exist`),
    ...[...documented]
      .filter(([kind, retry]) => declared.includes(kind) && retry !== retryOf(kind))
      .map(([kind, retry]) => `docs/faults.md says of ${kind} "Try again: ${retry}", the code says ${retryOf(kind)}`),
  ]
}

const retryOf = (kind: string): string => new Fault(kind as FaultKind, 'any').retry

test('every kind of fault is explained in docs/faults.md, and no other', () => {
  const declared = declaredKinds(read('src/base/fault.ts'))
  assert.ok(declared.length >= 10)
  assert.deepEqual(faultProblems(declared, documentedKinds(read('docs/faults.md')), retryOf), [])
})

test('the check of faults finds one missing, one too many and one told wrongly', () => {
  const declared = declaredKinds(
    "export type FaultKind =\n  /** Bad. */\n  | 'invalid'\n  | 'corrupt'\n  | 'conflict'\n",
  )
  const documented = documentedKinds(
    '# F\n\n## `invalid`\nx\nTry again: never.\n\n## `gone`\n\n## `conflict`\nTry again: never\n',
  )
  assert.deepEqual(faultProblems(declared, documented, retryOf), [
    'docs/faults.md does not tell of corrupt',
    'docs/faults.md tells of gone, which does not exist',
    'docs/faults.md says of conflict "Try again: never", the code says safe',
  ])
})
