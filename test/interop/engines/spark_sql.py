"""Spark SQL over one Iceberg catalog; `spark-sql.sh` says how to call it."""

import glob
import json
import os
import pathlib
import sys
import tempfile
import time

import canonical
from pyspark.sql import SparkSession

NAME = os.environ["TIDEWATER_CATALOG"]


def catalog_properties(where):
    if where.startswith(("http://", "https://")):
        return {"type": "rest", "uri": where}
    path = pathlib.Path(where).resolve()
    warehouse = os.environ.get("SPARK_WAREHOUSE") or (path.parent / "warehouse").as_uri()
    return {
        "type": "jdbc",
        "uri": f"jdbc:sqlite:{path}?busy_timeout=60000",
        "warehouse": warehouse,
        "jdbc.schema-version": "V1",  # the layout with iceberg_type; without it Java makes and expects the older one
        "jdbc.init-catalog-tables": "true",
        "clients": "1",  # one connection: a process that holds two can wait for itself
        **s3_properties(),
    }


def s3_properties():
    given = json.loads(os.environ.get("CATALOG_PROPERTIES") or "{}")
    return {"io-impl": "org.apache.iceberg.aws.s3.S3FileIO", **given} if given else {}


def open_session(where, scratch):
    catalog = f"spark.sql.catalog.{NAME}"
    settings = {
        "spark.master": "local[2]",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": os.environ.get("SPARK_MEMORY", "2g"),
        "spark.driver.extraJavaOptions": "-Duser.timezone=UTC",
        "spark.jars": ",".join(
            jar for folder in os.environ["SPARK_JARS"].split(":") for jar in sorted(glob.glob(folder + "/*.jar"))
        ),
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": scratch,
        "spark.local.dir": scratch,
        "spark.sql.defaultCatalog": NAME,
        catalog: "org.apache.iceberg.spark.SparkCatalog",
        f"{catalog}.cache-enabled": "false",  # every statement sees what another engine has committed
        **{f"{catalog}.{key}": value for key, value in catalog_properties(where).items()},
    }
    builder = SparkSession.builder
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def run(spark, statement):
    frame = spark.sql(statement)
    return canonical.lines(frame.toArrow()) if frame.columns else []


def reply(spark, statement):
    begin = time.monotonic()
    try:
        rows = run(spark, statement)
    except Exception as error:  # Spark's and Java's errors share no narrower class
        return canonical.dump({"error": str(error).split("\n\nJVM stacktrace")[0][:2000]})
    return canonical.answer(rows, ms=int((time.monotonic() - begin) * 1000))


def serve(spark):
    for line in sys.stdin:
        line = line.strip()
        if line:
            print(reply(spark, json.loads(line) if line.startswith('"') else line), flush=True)


def main():
    with tempfile.TemporaryDirectory(prefix="tidewater-spark-", ignore_cleanup_errors=True) as scratch:
        spark = open_session(sys.argv[1], scratch)
        if sys.argv[2:] == ["-"]:
            serve(spark)
        else:
            for statement in sys.argv[2:]:
                print("\n".join(run(spark, statement)), flush=True)
        spark.stop()


if __name__ == "__main__":
    main()
