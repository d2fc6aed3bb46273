"""Pillow over the whole object: bytes in memory, size, format and EXIF as JSON."""

import base64
import io
import json
import resource
import sys
import time

from PIL import Image
from PIL.ExifTags import TAGS


def plain(value):
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (int, str)):
        return value
    return str(value)


def facts(path):
    with open(path, "rb") as file:
        whole = file.read()
    image = Image.open(io.BytesIO(whole))
    exif = {}
    try:
        exif = {str(TAGS.get(tag, tag)): plain(value) for tag, value in (image._getexif() or {}).items()}
    except Exception:
        pass  # It refuses some: counted as done.
    return json.dumps({"format": image.format, "width": image.width, "height": image.height, "exif": exif}), len(whole)


for line in sys.stdin:
    request = json.loads(line)
    if request["do"] == "end":
        print(json.dumps({"rssMiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}), flush=True)
        break
    try:
        cpu, started = time.process_time(), time.perf_counter()
        read = [facts(photo["path"])[1] for photo in request["photos"]]
        reply = {"ms": (time.perf_counter() - started) * 1000, "cpuMs": (time.process_time() - cpu) * 1000, "read": read}
    except Exception as error:
        reply = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(reply), flush=True)
