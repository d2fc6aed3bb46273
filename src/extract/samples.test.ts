/** Every sample of test/golden/samples against what must come out of it, whatever its name, and against the schemas. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { canonicalFacts, type Facts } from './canonical.ts'
import { compileFacts, type FactCheck, misfits } from './fact-check.ts'
import { builtinExtractors, extractFacts, runExtractor, sniffSubject } from './registry.ts'
import { sniff } from './sniff.ts'
import { memorySource } from './source.ts'
import { samples, subjectOf } from './testing/samples.ts'

const expected = JSON.parse(
  readFileSync(new URL('../../test/golden/samples/expected.json', import.meta.url), 'utf8'),
) as Record<string, { sniffed: string | null; metadata: Facts }>

test('each sample has its expectation, and there is none without its sample', () => {
  assert.deepEqual(Object.keys(expected).sort(), samples.map(({ name }) => name).sort())
})

for (const { name, bytes } of samples) {
  test(`${name}: facts as expected, from no more than its bytes`, async () => {
    const source = memorySource(bytes)
    const { metadata, faults, bytesRead } = await extractFacts(subjectOf(bytes), source)
    assert.deepEqual(faults, [])
    assert.deepEqual({ sniffed: await sniff(bytes), metadata: JSON.parse(JSON.stringify(metadata)) }, expected[name])
    assert.ok(bytesRead <= bytes.length && source.reads <= 4, `${bytesRead} bytes in ${source.reads} reads`)
  })
}

const images = new URL('../../test/golden/images/files/', import.meta.url)
const pictures = readdirSync(images).map((name) => ({ name, bytes: readFileSync(new URL(name, images)) }))

test('what each built-in extractor gives for every sample and every picture fits its schema', async () => {
  const checks = new Map<string, FactCheck>()
  for (const { name, schema } of builtinExtractors) {
    assert.ok(schema !== undefined, `${name} has no schema`)
    checks.set(name, await compileFacts(schema, name))
  }
  const given = new Set<string>()
  for (const { name, bytes } of [...samples, ...pictures]) {
    const source = memorySource(bytes)
    const subject = await sniffSubject(subjectOf(bytes, name), source)
    for (const extractor of builtinExtractors) {
      const outcome = await runExtractor(extractor, subject, source)
      if (outcome === null || outcome.faults.length > 0) continue
      if (Object.keys(outcome.facts).length > 0) given.add(extractor.name)
      assert.deepEqual(misfits(checks.get(extractor.name)!, outcome.facts), [], `${extractor.name} of ${name}`)
    }
  }
  assert.deepEqual([...given].sort(), builtinExtractors.map(({ name }) => name).sort(), 'each has given facts')
})

test('a schema takes neither another type, nor a member that it does not name, nor a missing one', async () => {
  const { pdf } = expected['plain.pdf']!.metadata as { pdf: Facts }
  const check = await compileFacts(builtinExtractors.find(({ name }) => name === 'pdf')!.schema!, 'pdf')
  const { text: _text, text_pages: _pages, ...facts } = pdf
  assert.deepEqual(misfits(check, { pdf: facts }), [])
  const wrong: [Facts, string][] = [
    [{ ...facts, pages: '2' }, 'pdf.pages'],
    [{ ...facts, mood: 'calm' }, 'pdf.mood'],
    [{ pages: 2 }, 'pdf'],
  ]
  for (const [changed, path] of wrong) assert.equal(misfits(check, canonicalFacts({ pdf: changed }))[0]?.path, path)
})
