SELECT COUNT(*)
FROM demo_iceberg_db.demo_iceberg;
