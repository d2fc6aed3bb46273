"""PyIceberg over one catalog; `pyiceberg.sh` says how to call it."""

import argparse
import json
import os
import pathlib
import sys

import canonical
from pyiceberg.catalog import load_catalog
from pyiceberg.table import StaticTable

NAME = os.environ["TIDEWATER_CATALOG"]


def open_catalog(where):
    if where.startswith(("http://", "https://")):
        return load_catalog(NAME, type="rest", uri=where)
    path = pathlib.Path(where).resolve()
    more = json.loads(os.environ.get("CATALOG_PROPERTIES") or "{}")
    warehouse = os.environ.get("SPARK_WAREHOUSE") or (path.parent / "warehouse").as_uri()
    return load_catalog(NAME, type="sql", uri=f"sqlite:///{path}", warehouse=warehouse, **more)


def read(options):
    table = (
        StaticTable.from_metadata(options.catalog)
        if options.table == "-"
        else open_catalog(options.catalog).load_table(options.table)
    )
    snapshot = table.snapshot_by_name(options.ref).snapshot_id if options.ref else options.snapshot_id
    more = {"row_filter": options.filter} if options.filter else {}
    columns = tuple(options.columns.split(",")) if options.columns else ("*",)
    rows = canonical.lines(table.scan(snapshot_id=snapshot, selected_fields=columns, **more).to_arrow())
    current = table.current_snapshot()
    used = snapshot or (current.snapshot_id if current else None)
    return canonical.answer(rows, snapshot=None if used is None else str(used))


def run(options):
    names = {"catalog": open_catalog(options.catalog)}
    exec(compile(sys.stdin.read(), "<stdin>", "exec"), names)
    return json.dumps({"result": names.get("result")})


def main():
    parser = argparse.ArgumentParser()
    modes = parser.add_subparsers(required=True)
    reading = modes.add_parser("read")
    reading.add_argument("catalog")
    reading.add_argument("table")
    reading.add_argument("--snapshot-id", type=int)
    reading.add_argument("--ref")
    reading.add_argument("--filter")
    reading.add_argument("--columns")
    reading.set_defaults(act=read)
    running = modes.add_parser("run")
    running.add_argument("catalog")
    running.set_defaults(act=run)
    options = parser.parse_args()
    print(options.act(options))


if __name__ == "__main__":
    main()
