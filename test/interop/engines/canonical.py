"""The canonical text of a row: one JSON object, the same from every engine, so that rows compare as text.

Keys stand in column order. Values:
  null, boolean          null, true, false
  int, long              plain digits, also beyond 2^53
  float, double          the shortest text that reads back as the same number, laid out as ECMAScript does (2, 0.1, 1e-7, 1e+21);
                         "NaN", "Infinity", "-Infinity" and "-0" are strings
  decimal                a string with its scale
  date, time             "2024-02-29", "01:02:03.000004"
  timestamp              "2024-02-29T01:02:03.000004", nine digits for nanoseconds; with a zone: in UTC, with "Z"
  string, uuid           a string; uuids in lower case with dashes
  binary, fixed          lower-case hex
  list, struct           array, object in field order
  map                    an array of [key, value], sorted by the key's text
The digest of a result is the SHA-256 of its lines sorted by their text, each ended by a newline.
"""

import datetime
import decimal
import hashlib
import json
import math
import uuid

import numpy
import pyarrow as pa

PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


class Verbatim(str):
    """Text that goes into the JSON as it is, without quotes."""


def timestamp_text(count, unit, zone):
    seconds, part = divmod(count, PER_SECOND[unit])
    whole = (datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)).isoformat()
    fraction = f"{part:09d}" if unit == "ns" else f"{part * 10**6 // PER_SECOND[unit]:06d}"
    return f"{whole}.{fraction}" + ("Z" if zone else "")


def number_text(value, kind):
    """A float as ECMAScript's Number::toString prints it; a 32-bit float by its own shortest digits."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else Verbatim("0")
    shortest = numpy.format_float_scientific(numpy.float32(value)) if pa.types.is_float32(kind) else repr(value)
    negative, digit_tuple, exponent = decimal.Decimal(shortest).normalize().as_tuple()
    digits = "".join(map(str, digit_tuple))
    point = len(digits) + exponent
    if len(digits) <= point <= 21:
        text = digits.ljust(point, "0")
    elif 0 < point <= 21:
        text = f"{digits[:point]}.{digits[point:]}"
    elif -6 < point <= 0:
        text = "0." + "0" * -point + digits
    else:
        mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
        text = f"{mantissa}e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return Verbatim(("-" if negative else "") + text)


def plain(scalar):
    """One Arrow scalar as what `dump` prints."""
    kind = scalar.type
    if not scalar.is_valid:
        return None
    if isinstance(kind, pa.BaseExtensionType):
        return str(uuid.UUID(bytes=scalar.value.as_py())) if "uuid" in str(kind) else plain(scalar.value)
    if pa.types.is_struct(kind):
        return {field.name: plain(scalar[i]) for i, field in enumerate(kind)}
    if pa.types.is_map(kind):
        return sorted(([plain(pair[0]), plain(pair[1])] for pair in scalar.values), key=lambda pair: dump(pair[0]))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return [plain(item) for item in scalar.values]
    if pa.types.is_timestamp(kind):
        return timestamp_text(scalar.value, kind.unit, kind.tz)
    value = scalar.as_py()
    if isinstance(value, float):
        return number_text(value, kind)
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, datetime.time):
        return value.isoformat("microseconds")
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return value


def dump(value):
    if isinstance(value, Verbatim):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{dump(key)}:{dump(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(dump, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def lines(table):
    """The rows of an Arrow table as canonical text, in the table's order."""
    names = table.column_names
    columns = table.combine_chunks().columns
    return [dump({name: plain(column[i]) for name, column in zip(names, columns)}) for i in range(table.num_rows)]


def digest(rows):
    return hashlib.sha256("".join(f"{row}\n" for row in sorted(rows)).encode()).hexdigest()


def answer(rows, **more):
    """What an engine says about one result: a JSON line that holds the rows as strings of canonical text."""
    return dump({"rows": rows, "sha256": digest(rows), **more})
