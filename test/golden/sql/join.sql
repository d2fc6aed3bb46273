   SELECT om.key, size, storage_class, object_tags, labels
     FROM s3_metadata_coalesced as om
LEFT JOIN catalog.default.s3_content_metadata as cm
       ON om.bucket = cm.bucket
      AND om.key = cm.key
      AND om.e_tag = cm.etag
