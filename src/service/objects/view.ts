/**
 * The ready view `s3_metadata_coalesced`: the journal as the current state of the bucket.
 *
 * It gives the journal's columns for every object version that exists, from the record that decides each, and
 * - `is_latest_version`: no newer version or delete marker of the key exists. Decided by when versions were created,
 *   markers included and before anything is filtered: an object under a delete marker is not latest, and tagging an
 *   old version does not make it latest.
 * - `is_current`: what a plain read of the key returns, i.e. latest and not a delete marker.
 *
 * Records that tell of tags or storage class only lend those to the record that created the version. Within a version the
 * creating and deleting records are ordered by the store's sequencer when all of them have one (digits 18 to 81 of
 * `sequence_number`, see change/sequence.ts), else by time.
 */
export const COALESCED_VIEW_NAME = 's3_metadata_coalesced'
