/**
 * The two tables of a SQLite catalog file, shared with PyIceberg's SqlCatalog and Java's JdbcCatalog.
 *
 * Java's layout V0 has no column `iceberg_type`; V1 adds it by ALTER TABLE and leaves older rows NULL, which means TABLE.
 * Another engine may do so while the file is open here, so whether the column is there is asked whenever it matters.
 */
import type { DatabaseSync } from 'node:sqlite'

/** As PyIceberg creates them (V1). */
export const createLayoutSql = `
  CREATE TABLE IF NOT EXISTS iceberg_tables (
    catalog_name VARCHAR(255) NOT NULL,
    table_namespace VARCHAR(255) NOT NULL,
    table_name VARCHAR(255) NOT NULL,
    metadata_location VARCHAR(1000),
    previous_metadata_location VARCHAR(1000),
    iceberg_type VARCHAR(5),
    PRIMARY KEY (catalog_name, table_namespace, table_name)
  );
  CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (
    catalog_name VARCHAR(255) NOT NULL,
    namespace VARCHAR(255) NOT NULL,
    property_key VARCHAR(255) NOT NULL,
    property_value VARCHAR(1000) NOT NULL,
    PRIMARY KEY (catalog_name, namespace, property_key)
  );`

export function hasLayout(database: DatabaseSync): boolean {
  const names = database
    .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name IN (?, ?)")
    .all('iceberg_tables', 'iceberg_namespace_properties')
  return names.length === 2
}

/** Whether rows say what they are: `TABLE` or `VIEW`. */
export function hasTypeColumn(database: DatabaseSync): boolean {
  const columns = database.prepare("SELECT name FROM pragma_table_info('iceberg_tables')").all()
  return columns.some((column) => column['name'] === 'iceberg_type')
}
