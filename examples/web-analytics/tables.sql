CREATE DATABASE IF NOT EXISTS demo_iceberg_db;

CREATE TABLE demo_iceberg_db.demo_iceberg (
  `user_id` string,
  `session_id` string,
  `event` string,
  `referrer` string,
  `user_agent` string,
  `ip` string,
  `hostname` string,
  `os` string,
  `timestamp` timestamp,
  `uri` string
)
PARTITIONED BY (event)
LOCATION 's3://your-bucket/demo_iceberg_db/demo_iceberg'
TBLPROPERTIES (
  'table_type'='iceberg',
  'format'='parquet',
  'write_compression'='snappy',
  'optimize_rewrite_delete_file_threshold'='10'
);
