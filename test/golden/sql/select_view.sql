SELECT bucket, key, size, storage_class, object_tags
  FROM s3_metadata_coalesced
