/**
 * Which manifests of a snapshot are written together, so that their number stays bounded and a commit's work does not
 * grow with the number of commits before it: pure planning.
 */

/** A manifest that exists, or one yet to be written. */
export interface ManifestUnit {
  specId: number
  content: 'data' | 'deletes'
  /** Of the file, or an estimate. */
  sizeBytes: number
}

export interface MergeLimits {
  /** Manifests of one content and spec that may be smaller than full. */
  mergeCount: number
  /** The size that counts as full. */
  manifestBytesTarget: number
}

/** Units in groups: each group becomes one manifest; a group of one existing manifest is carried over as it is. */
export function planMerge<T extends ManifestUnit>(
  units: readonly T[],
  { mergeCount, manifestBytesTarget }: MergeLimits,
): T[][] {
  const groups: T[][] = []
  for (const kin of Map.groupBy(units, (unit) => `${unit.content} ${unit.specId}`).values()) {
    const small = kin.filter((unit) => unit.sizeBytes < manifestBytesTarget)
    if (small.length <= mergeCount) {
      groups.push(...kin.map((unit) => [unit]))
      continue
    }
    // The smallest first, and only half of them: an entry is then rewritten a logarithmic number of times, not once per merge.
    const merged = new Set(
      small.toSorted((a, b) => a.sizeBytes - b.sizeBytes).slice(0, Math.floor(small.length / 2) + 1),
    )
    groups.push(...kin.filter((unit) => !merged.has(unit)).map((unit) => [unit]))
    groups.push(...bins([...merged], manifestBytesTarget))
  }
  return groups
}

/** Units in order, a new bin whenever the next would pass the target. */
function bins<T extends ManifestUnit>(units: readonly T[], target: number): T[][] {
  const all: T[][] = []
  let size = Infinity
  for (const unit of units) {
    if (size + unit.sizeBytes > target) {
      all.push([])
      size = 0
    }
    all.at(-1)!.push(unit)
    size += unit.sizeBytes
  }
  return all
}
