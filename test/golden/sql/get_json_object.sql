SELECT   key
       , labels
       , get_json_object(metadata, '$.exif.Model') as Model
       , get_json_object(metadata, '$.exif.Make') as Make
  FROM catalog.default.s3_content_metadata
