#!/usr/bin/env bash
# pyiceberg.sh read CATALOG TABLE [--snapshot-id N | --ref NAME] [--filter EXPRESSION] [--columns a,b]
#     prints {"rows":[…],"sha256":…,"snapshot":…}, the rows as canonical text (canonical.py)
# pyiceberg.sh run CATALOG <CODE
#     runs Python that finds the open catalog as `catalog`, and prints {"result":…} with what it left in `result`
#
# CATALOG is a SQLite file, http://… (REST) or, for `read` with TABLE "-", a metadata file.
. "$(dirname "$0")/environment.sh"
install_python
exec "$cache/python/bin/python" "$here/pyiceberg_engine.py" "$@"
