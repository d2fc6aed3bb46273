/**
 * The ready view `s3_metadata_coalesced`: the state of every object version that exists now.
 *
 * It gives the journal's columns, from the inventory (what is there) and from the journal record that was last applied to each
 * version (who did it and when), and
 * - `is_latest_version`: no newer version and no newer delete marker of the key exists. Decided by when versions were created
 *   and before anything is filtered: an object under a delete marker is not latest, and tagging an old version does not
 *   make it latest.
 * - `is_current`: what a plain read of the key returns: the latest version, if that is an object and no marker.
 * Delete markers themselves are left out, as what is no object.
 */
import { formatIdent } from '../../iceberg/catalog/catalog.ts'
import { inventoryTable, journalTable } from './tables.ts'

export const COALESCED_VIEW = 's3_metadata_coalesced'

const VERSION = '"bucket", "key", "version_id"'

export const coalescedViewSql = `
WITH records AS (
  SELECT DISTINCT ON (${VERSION}, sequence_number, record_type) * FROM ${formatIdent(journalTable.ident)}
),
created AS (
  SELECT ${VERSION}, max(sequence_number) AS created_number
  FROM records WHERE record_type = 'CREATE' OR is_delete_marker
  GROUP BY ${VERSION}
),
ranked AS (
  SELECT i.*, row_number() OVER (
    PARTITION BY i."bucket", i."key" ORDER BY i.last_modified_date DESC, c.created_number DESC NULLS LAST, i.version_id
  ) = 1 AS is_latest_version
  FROM ${formatIdent(inventoryTable.ident)} i
  LEFT JOIN created c ON c."bucket" = i."bucket" AND c."key" = i."key" AND c.version_id = i.version_id
)
SELECT v."bucket", v."key", v.sequence_number, r.record_type, r.record_timestamp, v.version_id, v.is_delete_marker, v.size,
  v.last_modified_date, v.e_tag, v.storage_class, v.is_multipart, v.encryption_status, v.is_bucket_key_enabled,
  v.kms_key_arn, v.checksum_algorithm, v.object_tags, v.user_metadata, r.requester, r.source_ip_address, r.request_id,
  v.is_latest_version, v.is_latest_version AND NOT v.is_delete_marker AS is_current
FROM ranked v
LEFT JOIN records r ON r."bucket" = v."bucket" AND r."key" = v."key" AND r.version_id = v.version_id AND r.sequence_number = v.sequence_number
WHERE NOT v.is_delete_marker
ORDER BY v."bucket", v."key", v.sequence_number
`
