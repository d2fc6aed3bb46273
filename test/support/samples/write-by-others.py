"""Makes test/golden/written: small files by programs that others use, and in said.json what those programs say of them.

  python3 -m venv VENV && VENV/bin/pip install python-docx==1.2.0 openpyxl==3.1.5 python-pptx==1.0.2 imageio-ffmpeg==0.8.1
  VENV/bin/python test/support/samples/write-by-others.py
"""
import datetime
import json
import pathlib
import re
import subprocess

import docx
import imageio_ffmpeg
import openpyxl
import pptx

folder = pathlib.Path(__file__).resolve().parents[2] / "golden" / "written"
files = folder / "files"
files.mkdir(parents=True, exist_ok=True)
ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
when = datetime.datetime(2024, 5, 6, 7, 8, 9)
said = {}


def described(core):
    core.title = "Tides of the wadden sea"
    core.subject = "Measured in May"
    core.author = "Ada Küster"
    core.last_modified_by = "Bo Deich"
    core.keywords = "tide, wadden, sea"
    core.category = "Report"
    core.language = "en-GB"
    core.revision = 3
    core.created = when
    core.modified = when + datetime.timedelta(days=1)
    return {
        "title": core.title,
        "subject": core.subject,
        "author": core.author,
        "last_modified_by": core.last_modified_by,
        "keywords": core.keywords,
        "category": core.category,
        "language": core.language,
        "revision": core.revision,
        "created": "2024-05-06T07:08:09Z",
        "modified": "2024-05-07T07:08:09Z",
    }


report = docx.Document()
report.add_heading("Tides")
report.add_paragraph("High water came twice.")
said["report.docx"] = {"office": {"format": "docx", **described(report.core_properties)}}
report.save(files / "report.docx")

deck = pptx.Presentation()
for text in ("Low water", "High water", "Storm"):
    deck.slides.add_slide(deck.slide_layouts[5]).shapes.title.text = text
said["deck.pptx"] = {"office": {"format": "pptx", "slides": len(deck.slides), **described(deck.core_properties)}}
deck.save(files / "deck.pptx")

book = openpyxl.Workbook()
book.active.title = "Gauges"
book.active.append(["place", "metres"])
book.create_sheet("Notes & more")
properties = book.properties
properties.title, properties.creator, properties.keywords = "Gauges", "Ada Küster", "tide"
properties.created = when
book.save(files / "book.xlsx")
said["book.xlsx"] = {
    "office": {"format": "xlsx", "title": "Gauges", "author": "Ada Küster", "keywords": "tide", "sheets": 2, "sheet_names": book.sheetnames}
}

tone = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=22050:duration=0.5"]
picture = ["-f", "lavfi", "-i", "testsrc=size=48x32:rate=10:duration=0.6"]
tags = ["-metadata", "title=Ebb", "-metadata", "artist=The Gauges"]
made = {
    "tone.mp3": [*tone, *tags, "-b:a", "32k"],
    "tone.m4a": [*tone, *tags, "-b:a", "24k"],
    "tone.flac": [*tone, *tags, "-t", "0.2"],
    "tone.opus": [*tone, *tags, "-b:a", "16k"],
    "tone.wav": [*tone, "-t", "0.1", "-ac", "2"],
    "clip.mp4": [*picture, *tone, *tags, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-b:a", "24k"],
    "clip.mov": [*picture, "-c:v", "libx264", "-pix_fmt", "yuv420p"],
    "clip.webm": [*picture, *tone, "-c:v", "libvpx-vp9", "-c:a", "libopus", "-b:a", "16k"],
    "clip.mkv": [*picture, *tone, "-c:v", "mpeg4", "-c:a", "libmp3lame", "-b:a", "32k"],
}
for name, arguments in made.items():
    subprocess.run(
        [ffmpeg, "-y", "-v", "error", *arguments, "-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact", str(files / name)],
        check=True,
    )
    text = subprocess.run([ffmpeg, "-i", str(files / name)], capture_output=True, text=True).stderr
    hours, minutes, seconds = re.search(r"Duration: (\d+):(\d+):([\d.]+)", text).groups()
    media = {"duration_s": int(hours) * 3600 + int(minutes) * 60 + float(seconds)}
    video = re.search(r"Stream .*?: Video: (\w+).*?, (\d+)x(\d+)", text)
    audio = re.search(r"Stream .*?: Audio: (\w+).*?, (\d+) Hz, (mono|stereo)", text)
    if video:
        media |= {"video_codec": video[1], "width": int(video[2]), "height": int(video[3])}
    if audio:
        media |= {"audio_codec": audio[1], "sample_rate": int(audio[2]), "channels": {"mono": 1, "stereo": 2}[audio[3]]}
    said[name] = {"media": media}

(folder / "said.json").write_text(json.dumps(said, indent=2, ensure_ascii=False, sort_keys=True) + "\n")
