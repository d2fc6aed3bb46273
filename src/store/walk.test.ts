import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { Md5Cache } from './etag.ts'
import { keyProblem, splitPrefix } from './key-path.ts'
import { walk } from './walk.ts'

/** Names chosen to sort on both sides of "/" (0x2f) and of the surrogates. */
const nameOf = fc.array(fc.constantFrom('a', '-', '.', '0', 'é', '😀', '\uff5e', ' '), { minLength: 1, maxLength: 3 })
const keyOf = fc
  .array(
    nameOf.map((letters) => letters.join('')),
    { minLength: 1, maxLength: 3 },
  )
  .map((parts) => parts.join('/'))

test('any tree is walked in key order, whatever the page size and the prefix', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(keyOf, { maxLength: 25 }),
      fc.integer({ min: 1, max: 4 }),
      fc.string({ maxLength: 3, unit: fc.constantFrom('a', '-', '.', '/') }),
      async (wanted, namesPage, prefix) => {
        const root = await mkdtemp(join(tmpdir(), 'tidewater-walk-'))
        try {
          const keys: string[] = []
          for (const key of wanted) {
            const clashes = keys.some((other) => other.startsWith(`${key}/`) || key.startsWith(`${other}/`))
            if (clashes || keyProblem(key) !== null) continue
            keys.push(key)
            await mkdir(dirname(join(root, key)), { recursive: true })
            await writeFile(join(root, key), '')
          }
          const { folder, rest } = splitPrefix(prefix)
          const walked: string[] = []
          for await (const file of walk(root, folder, rest, undefined, namesPage)) walked.push(file.key)
          assert.deepEqual(walked, keys.filter((key) => key.startsWith(prefix)).sort())
        } finally {
          await rm(root, { recursive: true })
        }
      },
    ),
    { numRuns: 60 },
  )
})

test('remembered MD5s are bounded, the least recently used go first', () => {
  const cache = new Md5Cache(3)
  const file = (ino: bigint) => ({ dev: 1n, ino, size: 1n, mtimeNs: 1n, ctimeNs: 1n })
  for (const ino of [1n, 2n, 3n]) cache.remember(file(ino), `md5 of ${ino}`)
  assert.equal(cache.known(file(1n)), 'md5 of 1')
  cache.remember(file(4n), 'md5 of 4')
  assert.deepEqual(
    [1n, 2n, 3n, 4n].map((ino) => cache.known(file(ino))),
    ['md5 of 1', undefined, 'md5 of 3', 'md5 of 4'],
  )
  assert.equal(cache.known({ ...file(1n), ctimeNs: 2n }), undefined)
})
