"""Makes the reports beside it, in the formats of S3 Inventory: python make.py (needs pyorc and pyarrow). What they hold is in rows.json."""
import csv, datetime, gzip, hashlib, io, json, os, random, urllib.parse
import pyarrow as pa, pyarrow.orc as paorc, pyarrow.parquet as pq, pyorc

here = os.path.dirname(os.path.abspath(__file__))
draw = random.Random(7)
UTC = datetime.timezone.utc
keys = [
    'photos/cat.jpg', 'photos/dog and cat.jpg', 'photos/50%+more.jpg', 'photos/ü/große Datei.txt', 'photos/😀/smile.png',
    'photos/（全角）.txt', 'a//b', 'z"quoted",comma.csv', 'line\nbreak.txt',
] + [f'bulk/{n:05d}.bin' for n in range(150)]
rows = []
for at, key in enumerate(keys):
    when = datetime.datetime(2024, 5, 1, 10, 0, 0, tzinfo=UTC) + datetime.timedelta(seconds=at * 37)
    marker = at % 11 == 3
    rows.append(dict(
        bucket='photos', key=key, version_id=f'v{at:04d}' if at % 5 else None, is_latest=True, is_delete_marker=marker,
        size=None if marker else draw.choice([0, 1, 77, 1 << 20, 5 << 40, draw.randrange(1 << 33)]),
        last_modified_date=when, e_tag=None if marker else hashlib.md5(key.encode()).hexdigest() + ('-3' if at % 7 == 0 else ''),
        storage_class=None if marker else draw.choice(['STANDARD', 'STANDARD', 'GLACIER']),
        is_multipart_uploaded=None if marker else at % 7 == 0,
        encryption_status=draw.choice(['SSE-S3', 'SSE-KMS', 'NOT-SSE']),
        bucket_key_status=draw.choice(['ENABLED', 'DISABLED']), checksum_algorithm=draw.choice([None, 'CRC64NVME'])))
rows.append(dict(rows[0], version_id='v-older', is_latest=False, e_tag='0' * 32, size=12, is_delete_marker=False, storage_class='STANDARD', is_multipart_uploaded=False,
    last_modified_date=datetime.datetime(2014, 3, 2, 1, 0, 0, 123000, tzinfo=UTC)))
draw.shuffle(rows)
millis = lambda when: round(when.timestamp() * 1000)
with open(f'{here}/rows.json', 'w') as out:
    out.write('[\n' + ',\n'.join(json.dumps(dict(r, last_modified_date=millis(r['last_modified_date'])), ensure_ascii=False) for r in rows) + '\n]\n')

ORC = 'struct<bucket:string,key:string,version_id:string,is_latest:boolean,is_delete_marker:boolean,size:bigint,last_modified_date:timestamp,e_tag:string,storage_class:string,is_multipart_uploaded:boolean,encryption_status:string,bucket_key_status:string,checksum_algorithm:string>'
NAMES = list(rows[0])
def orc(name, **options):
    buffer = io.BytesIO()
    with pyorc.Writer(buffer, ORC, **options) as writer:
        for row in rows: writer.write(tuple(row[n] for n in NAMES))
    return name, buffer.getvalue()

CSV = 'Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, StorageClass, IsMultipartUploaded, EncryptionStatus, BucketKeyStatus, ChecksumAlgorithm'
def text(name, value):
    if value is None: return ''
    if name == 'key': return urllib.parse.quote_plus(value, safe='/')
    if isinstance(value, bool): return str(value).lower()
    if isinstance(value, datetime.datetime): return value.strftime('%Y-%m-%dT%H:%M:%S.') + f'{value.microsecond // 1000:03d}Z'
    return str(value)
def csv_bytes():
    out = io.StringIO(newline='')
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator='\n')
    for row in rows: writer.writerow([text(n, row[n]) for n in NAMES])
    return gzip.compress(out.getvalue().encode(), mtime=0)

PARQUET = 'message s3.inventory { required binary bucket (UTF8); required binary key (UTF8); optional binary version_id (UTF8); optional boolean is_latest; optional boolean is_delete_marker; optional int64 size; optional int64 last_modified_date (TIMESTAMP_MILLIS); optional binary e_tag (UTF8); optional binary storage_class (UTF8); optional boolean is_multipart_uploaded; optional binary encryption_status (UTF8); optional binary bucket_key_status (UTF8); optional binary checksum_algorithm (UTF8); }'
def table_of_rows():
    return pa.Table.from_pylist(rows).set_column(6, 'last_modified_date', pa.array([r['last_modified_date'] for r in rows], pa.timestamp('ms')))

def parquet_bytes():
    buffer = io.BytesIO()
    pq.write_table(table_of_rows(), buffer, version='1.0', compression='snappy')
    return buffer.getvalue()

def report(folder, format, schema, files):
    os.makedirs(f'{here}/{folder}/data', exist_ok=True)
    listed = []
    for name, content in files:
        open(f'{here}/{folder}/data/{name}', 'wb').write(content)
        listed.append(dict(key=f'reports/photos/{folder}/data/{name}', size=len(content), MD5checksum=hashlib.md5(content).hexdigest()))
    os.makedirs(f'{here}/{folder}/2024-06-01T01-00Z', exist_ok=True)
    manifest = json.dumps(dict(sourceBucket='photos', destinationBucket='arn:aws:s3:::reports', version='2016-11-30',
        creationTimestamp='1717203600000', fileFormat=format, fileSchema=schema, files=listed), indent=2).encode()
    open(f'{here}/{folder}/2024-06-01T01-00Z/manifest.json', 'wb').write(manifest)
    open(f'{here}/{folder}/2024-06-01T01-00Z/manifest.checksum', 'w').write(hashlib.md5(manifest).hexdigest())

report('csv', 'CSV', CSV, [('rows.csv.gz', csv_bytes())])
report('parquet', 'Parquet', PARQUET, [('rows.parquet', parquet_bytes())])
K = pyorc.CompressionKind
report('orc', 'ORC', ORC, [orc('zlib.orc', compression=K.ZLIB)])
for name, options in dict(snappy=dict(compression=K.SNAPPY, dict_key_size_threshold=1.0), none=dict(compression=K.NONE, dict_key_size_threshold=0.0),
        zstd=dict(compression=K.ZSTD, dict_key_size_threshold=1.0)).items():
    with open(f'{here}/orc/{name}.orc', 'wb') as out: out.write(orc(name, **options)[1])
paorc.write_table(table_of_rows(), f'{here}/orc/runs-v1.orc', file_version='0.11', compression='zlib', dictionary_key_size_threshold=1.0)

# Numbers of every form of run, at all widths.
numbers = []
for shift in range(53):
    numbers += [draw.randrange(1 << shift) for _ in range(40)] + [-draw.randrange(1 << shift) for _ in range(40)]
for step in (0, 1, -1, 3, 1 << 20): numbers += [1000 + step * n for n in range(300)]
total = 0
for n in range(700):
    total += draw.randrange(9); numbers.append(total)
for n in range(1400): numbers.append(draw.randrange(100) if n % 17 else draw.randrange(1 << 40))
for n in range(600): numbers.append(-5000 + draw.randrange(200) if n % 41 else draw.randrange(1 << 30))
for version in ('0.11', '0.12'):
    columns = dict(n=pa.array(numbers, pa.int64()), b=pa.array([None if at % 9 == 0 else n % 3 == 0 for at, n in enumerate(numbers)]), m=pa.array(range(len(numbers)), pa.int32()))
    paorc.write_table(pa.table(columns), f'{here}/orc/numbers-{version}.orc', file_version=version, compression='snappy')
json.dump(numbers, open(f'{here}/orc/numbers.json', 'w'))
