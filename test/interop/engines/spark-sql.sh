#!/usr/bin/env bash
# spark-sql.sh CATALOG "SQL"…   runs the statements and prints their rows as canonical text (canonical.py)
# spark-sql.sh CATALOG -        keeps one warm Spark: reads a statement per line (plain, or as a JSON string if it has line
#                               breaks) and answers each with one line, {"rows":[…],"sha256":…,"ms":…} or {"error":…}
#
# CATALOG is a SQLite file (Iceberg's JDBC catalog) or http://… (REST); tables are named namespace.table.
# CATALOG_PROPERTIES is a JSON object of further properties of the catalog; with `s3.…` among them its files are on S3.
# SPARK_WAREHOUSE is a URI (default: the folder `warehouse` beside the SQLite file), SPARK_MEMORY the heap (default 2g).
. "$(dirname "$0")/environment.sh"
install_python
install_jars
export SPARK_JARS=$cache/jars
if [ "${CATALOG_PROPERTIES:-{\}}" != '{}' ]; then
  install_aws_jars
  export SPARK_JARS=$SPARK_JARS:$cache/aws-jars
fi
export SPARK_LOCAL_IP=127.0.0.1
exec "$cache/python/bin/python" "$here/spark_sql.py" "$@"
