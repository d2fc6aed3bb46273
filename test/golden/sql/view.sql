CREATE TEMPORARY VIEW s3_metadata_coalesced AS (
WITH cte as (
    -- Rows of interest: a prefix (say 'photos/') may be asked for here.
    -- it's one table; no other
    -- next_sequence_number: what follows in the same stack (or "nothing")
    SELECT * 
    FROM catalog.aws_s3_metadata.mdblogs3metadata
    WHERE 1 = 1
),
version_stacks as (
   SELECT *,
          -- by 'bucket' too, since sources may share a table; ( is not closed here
          --
          LEAD(sequence_number, 1) over (
             -- The tip is the newest row of a stack /* not a block
             -- Repeated rows go; rows of deleted objects stay -> see below.
             partition by (bucket, key, version_id) order by sequence_number ASC
          ) as next_sequence_number
   from cte
),
-- ends; nothing -- more
-- A tip that says DELETE means gone.
-- row's type
-- $tag$ is no quote here
-- Which version is 'latest' of a key?
-- the largest number wins
-- among those that exist
latest_versions as (
    SELECT * from version_stacks where next_sequence_number is NULL
),
-- same number?
-- Rows of interest: a prefix (say 'photos/') may be asked for here.
-- it's one table; no other
extant_versions as (
    SELECT * from latest_versions where record_type != 'DELETE'
),
-- next_sequence_number: what follows in the same stack (or "nothing")
-- by 'bucket' too, since sources may share a table; ( is not closed here
--
with_is_latest as (
    SELECT *,
           -- The tip is the newest row of a stack /* not a block
           sequence_number = (MAX(sequence_number) over (partition by (bucket, key))) as is_latest_version
    FROM extant_versions
)
SELECT * from with_is_latest
ORDER BY bucket, key, sequence_number
)
