"""PyIceberg as a peer: upserts and appends rows of Parquet files into a table of its own catalog."""

import json
import pathlib
import resource
import shutil
import sys
import tempfile
import time

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.schema import Schema
from pyiceberg.types import DoubleType, LongType, NestedField, StringType, TimestampType

folder = pathlib.Path(tempfile.mkdtemp(prefix="tidewater-bench-pyiceberg-"))
catalog = SqlCatalog("bench", uri=f"sqlite:///{folder}/catalog.db", warehouse=folder.as_uri())
catalog.create_namespace("bench")
table = catalog.create_table(
    "bench.rows",
    Schema(
        NestedField(1, "id", LongType(), required=True),
        NestedField(2, "name", StringType()),
        NestedField(3, "amount", DoubleType()),
        NestedField(4, "ts", TimestampType()),
        NestedField(5, "note", StringType()),
        identifier_field_ids=[1],
    ),
    properties={"write.parquet.compression-codec": "zstd"},
)
wanted = table.schema().as_arrow()


def read(path):
    return pq.read_table(path).cast(pa.schema([f.with_type(pa.string()) if pa.types.is_large_string(f.type) else f for f in wanted]))


def timed(work):
    cpu, started = time.process_time(), time.perf_counter()
    work()
    return {"ms": (time.perf_counter() - started) * 1000, "cpuMs": (time.process_time() - cpu) * 1000}


for line in sys.stdin:
    request = json.loads(line)
    try:
        match request["do"]:
            case "end":
                shutil.rmtree(folder, ignore_errors=True)
                reply = {"rssMiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
            case "append":
                rows = read(request["file"])
                reply = timed(lambda: table.append(rows))
            case "upsert":
                rows = read(request["file"])
                reply = timed(lambda: table.upsert(rows))
            case other:
                reply = {"error": f"no such work: {other}"}
    except Exception as error:
        reply = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(reply), flush=True)
    if request["do"] == "end":
        break
