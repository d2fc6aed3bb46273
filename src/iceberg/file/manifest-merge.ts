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
  /** Live files in it: the work of writing them again. */
  files: number
}

export interface MergeLimits {
  /** Manifests of one content and spec that may be smaller than full. */
  mergeCount: number
  /** The size that counts as full. */
  manifestBytesTarget: number
}

/** Manifests of about the same number of files: within this factor. As many of them as this are worth merging. */
const TIER = 4

/** Units in groups: each group becomes one manifest; a group of one existing manifest is carried over as it is. */
export function planMerge<T extends ManifestUnit>(
  units: readonly T[],
  { mergeCount, manifestBytesTarget }: MergeLimits,
): T[][] {
  const groups: T[][] = []
  for (const kin of Map.groupBy(units, (unit) => `${unit.content} ${unit.specId}`).values()) {
    const small = kin.filter((unit) => unit.sizeBytes < manifestBytesTarget)
    const merged = new Set(small.length > mergeCount ? oneTier(small) : [])
    groups.push(...kin.filter((unit) => !merged.has(unit)).map((unit) => [unit]))
    groups.push(...bins([...merged], manifestBytesTarget))
  }
  return groups
}

/**
 * The manifests of the lowest tier that has enough of them. A merge lifts its files by a tier at least, so that a file is
 * written anew at most log4(files of a full manifest) times, however many commits there are.
 */
function oneTier<T extends ManifestUnit>(small: readonly T[]): T[] {
  const tiers = Map.groupBy(small, (unit) => Math.floor(Math.log(Math.max(1, unit.files)) / Math.log(TIER)))
  const lowestFirst = [...tiers].sort(([a], [b]) => a - b).map(([, tier]) => tier)
  return lowestFirst.find((tier) => tier.length >= TIER) ?? [...small]
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
