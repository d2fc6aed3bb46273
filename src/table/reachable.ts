/** Every file that snapshots reach: manifest lists, manifests, data and delete files. */
import type { FileIO } from '../iceberg/file/file.ts'
import { readManifest } from '../iceberg/file/manifest-file.ts'
import { readManifestList } from '../iceberg/file/manifest-list.ts'
import type { Snapshot, TableMetadata } from '../iceberg/spec/table-metadata.ts'

/** @throws Fault `not-found`, `corrupt` when a file cannot be read: then nothing is known, and nothing may be removed */
export async function reachableFiles(
  io: FileIO,
  metadata: TableMetadata,
  snapshots: readonly Snapshot[],
): Promise<Set<string>> {
  const files = new Set<string>()
  const manifests = new Set<string>()
  for (const snapshot of snapshots) {
    files.add(snapshot['manifest-list'])
    for (const manifest of await readManifestList(io, snapshot['manifest-list'])) {
      if (manifests.has(manifest.manifestPath)) continue
      manifests.add(manifest.manifestPath)
      files.add(manifest.manifestPath)
      for await (const entries of readManifest(io, manifest, metadata, { stats: 'none', liveOnly: true })) {
        for (const entry of entries) files.add(entry.file.filePath)
      }
    }
  }
  return files
}

/** The files of statistics that the metadata names: they go with the last snapshot that they are about. */
export function statisticsFiles(metadata: TableMetadata): Set<string> {
  const files = new Set<string>()
  for (const entry of [...(metadata.statistics ?? []), ...(metadata['partition-statistics'] ?? [])]) {
    if (entry !== null && typeof entry === 'object' && 'statistics-path' in entry)
      files.add(String(entry['statistics-path']))
  }
  return files
}
