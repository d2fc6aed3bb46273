/** stub */
export const METADATA_TABLES = [
  'snapshots',
  'history',
  'refs',
  'files',
  'data_files',
  'delete_files',
  'manifests',
  'partitions',
  'entries',
  'properties',
  'metadata_log_entries',
] as const
export type MetadataTable = (typeof METADATA_TABLES)[number]
