import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type ManifestUnit, planMerge } from './manifest-merge.ts'

const limits = { mergeCount: 32, manifestBytesTarget: 4_000_000 }

test('ten thousand commits keep the manifests few and rewrite each entry a few times only', () => {
  let units: ManifestUnit[] = []
  const work: number[] = []
  for (let commit = 0; commit < 10_000; commit++) {
    const groups = planMerge([{ specId: 0, content: 'data' as const, sizeBytes: 5_100, files: 1 }, ...units], limits)
    work.push(filesOf(groups.filter((group) => group.length > 1).flat()))
    units = groups.map((group) => {
      const files = filesOf(group)
      return { ...group[0]!, files, sizeBytes: 5_000 + 100 * files }
    })
    assert.ok(units.length <= limits.mergeCount)
  }
  const sum = (costs: number[]) => costs.reduce((total, cost) => total + cost, 0)
  assert.equal(filesOf(units), 10_000)
  assert.ok(sum(work) < 4 * 10_000, `${sum(work)} entries written anew`)
  assert.ok(sum(work.slice(-3_000)) < 5 * 3_000, 'late commits cost no more than early ones')
})

function filesOf(units: readonly ManifestUnit[]): number {
  return units.reduce((total, unit) => total + unit.files, 0)
}

test('every unit is in one group, groups hold one kind and no more than the target', () => {
  const unit = fc.record({
    specId: fc.integer({ min: 0, max: 2 }),
    content: fc.constantFrom('data' as const, 'deletes' as const),
    sizeBytes: fc.integer({ min: 1, max: 5_000 }),
    files: fc.nat({ max: 500 }),
  })
  const bounds = fc.record({
    mergeCount: fc.integer({ min: 1, max: 8 }),
    manifestBytesTarget: fc.integer({ min: 1, max: 6_000 }),
  })
  fc.assert(
    fc.property(fc.array(unit, { maxLength: 60 }), bounds, (units, bound) => {
      const groups = planMerge(units, bound)
      assert.deepEqual(new Set(groups.flat()), new Set(units))
      assert.equal(groups.flat().length, units.length)
      for (const group of groups) {
        assert.equal(new Set(group.map((each) => `${each.content} ${each.specId}`)).size, 1)
        const size = group.reduce((sum, each) => sum + each.sizeBytes, 0)
        assert.ok(group.length === 1 || size <= bound.manifestBytesTarget)
      }
    }),
  )
})
