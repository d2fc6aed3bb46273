"""firehose_client.py URL STREAM TABLE: everything that a program does with a delivery stream, by boto3; prints what it saw as JSON."""
import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

url, stream, table = sys.argv[1:4]
client = boto3.client("firehose", endpoint_url=url, region_name="eu-central-1", config=Config(retries={"max_attempts": 0}))
role = "arn:aws:iam::123456789012:role/firehose"
seen = {}


def refused(call, **arguments):
    try:
        call(**arguments)
        return "nothing"
    except ClientError as error:
        answer = error.response
        assert answer["ResponseMetadata"]["RequestId"], answer
        return answer["Error"]["Code"]


seen["created"] = client.create_delivery_stream(
    DeliveryStreamName=stream,
    DeliveryStreamType="DirectPut",
    IcebergDestinationConfiguration={
        "RoleARN": role,
        "CatalogConfiguration": {"CatalogARN": "arn:aws:glue:eu-central-1:123456789012:catalog"},
        "DestinationTableConfigurationList": [{"DestinationDatabaseName": "demo", "DestinationTableName": table}],
        "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0},
        "S3Configuration": {"RoleARN": role, "BucketARN": "arn:aws:s3:::errors", "ErrorOutputPrefix": "error/"},
    },
    Tags=[{"Key": "team", "Value": "web"}],
)["DeliveryStreamARN"]
seen["again"] = refused(
    client.create_delivery_stream,
    DeliveryStreamName=stream,
    IcebergDestinationConfiguration={
        "RoleARN": role,
        "CatalogConfiguration": {},
        "DestinationTableConfigurationList": [{"DestinationDatabaseName": "demo", "DestinationTableName": table}],
        "S3Configuration": {"RoleARN": role, "BucketARN": "arn:aws:s3:::errors"},
    },
)
data = lambda number: json.dumps({"id": number, "client": "boto3"}).encode()
seen["one"] = client.put_record(DeliveryStreamName=stream, Record={"Data": data(1)})["RecordId"]
batch = client.put_record_batch(
    DeliveryStreamName=stream, Records=[{"Data": data(n) + b"\n"} for n in range(2, 501)] + [{"Data": b"no json"}]
)
seen["failed"] = batch["FailedPutCount"]
seen["last"] = batch["RequestResponses"][-1]["RecordId"][:12]
seen["large"] = refused(client.put_record, DeliveryStreamName=stream, Record={"Data": b"x" * 1024001})
seen["many"] = refused(client.put_record_batch, DeliveryStreamName=stream, Records=[{"Data": b"{}"}] * 501)
seen["none"] = refused(client.put_record, DeliveryStreamName="none", Record={"Data": b"{}"})

described = client.describe_delivery_stream(DeliveryStreamName=stream)["DeliveryStreamDescription"]
seen["status"] = described["DeliveryStreamStatus"]
destination = described["Destinations"][0]
update = lambda version: dict(
    DeliveryStreamName=stream,
    CurrentDeliveryStreamVersionId=version,
    DestinationId=destination["DestinationId"],
    IcebergDestinationUpdate={"BufferingHints": {"SizeInMBs": 2, "IntervalInSeconds": 1}},
)
client.update_destination(**update(described["VersionId"]))
seen["stale"] = refused(client.update_destination, **update(described["VersionId"]))
described = client.describe_delivery_stream(DeliveryStreamName=stream)["DeliveryStreamDescription"]
seen["hints"] = described["Destinations"][0]["IcebergDestinationDescription"]["BufferingHints"]
seen["bucket"] = described["Destinations"][0]["IcebergDestinationDescription"]["S3DestinationDescription"]["BucketARN"]

client.tag_delivery_stream(DeliveryStreamName=stream, Tags=[{"Key": "cost", "Value": "1"}])
client.untag_delivery_stream(DeliveryStreamName=stream, TagKeys=["team"])
seen["tags"] = client.list_tags_for_delivery_stream(DeliveryStreamName=stream)["Tags"]
client.start_delivery_stream_encryption(DeliveryStreamName=stream)
described = client.describe_delivery_stream(DeliveryStreamName=stream)["DeliveryStreamDescription"]
seen["encryption"] = described["DeliveryStreamEncryptionConfiguration"]["Status"]
client.stop_delivery_stream_encryption(DeliveryStreamName=stream)
seen["listed"] = stream in client.list_delivery_streams(DeliveryStreamType="DirectPut")["DeliveryStreamNames"]
stranger = boto3.client(
    "firehose",
    endpoint_url=url,
    region_name="eu-central-1",
    aws_access_key_id="stranger",
    aws_secret_access_key="secret-of-nobody-here",
)
seen["stranger"] = refused(stranger.list_delivery_streams)
print(json.dumps(seen))
