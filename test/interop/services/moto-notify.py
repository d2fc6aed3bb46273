"""moto-notify.py URL: a bucket for each way from S3 into a queue, objects put, tagged and removed in it.

Prints one JSON object: for each way the bucket, the queue, the keys that are there at the end and those that are gone.
"""
import json, sys, time
import boto3
from botocore.config import Config

KEYS = ["plain.txt", "a/b c.txt", "two  spaces .txt", "plus+sign.txt", "100% a+b c%2Bd.txt", "a%2Fb.txt", "ünïcode/日本語 📷.jpg",
        "quote\"'&<>.txt", "hash#question?.txt", "tab\there.txt", "folder/"]
at = dict(endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
s3 = boto3.client("s3", **at, config=Config(s3={"addressing_style": "path"}))
sqs, sns, events = (boto3.client(name, **at) for name in ("sqs", "sns", "events"))
EVENTS = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*"]
told = []
for way in ("sqs", "sns", "sns-raw", "eventbridge"):
    bucket = f"by-{way}"
    url = sqs.create_queue(QueueName=f"queue-{way}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    s3.create_bucket(Bucket=bucket)
    if way == "sqs":
        configuration = {"QueueConfigurations": [{"QueueArn": arn, "Events": EVENTS}]}
    elif way == "eventbridge":
        events.put_rule(Name=way, EventPattern=json.dumps({"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket]}}}))
        events.put_targets(Rule=way, Targets=[{"Id": "queue", "Arn": arn}])
        configuration = {"EventBridgeConfiguration": {}}
    else:
        topic = sns.create_topic(Name=way)["TopicArn"]
        raw = {"RawMessageDelivery": "true"} if way == "sns-raw" else {}
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=raw)
        configuration = {"TopicConfigurations": [{"TopicArn": topic, "Events": EVENTS}]}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration)
    for key in KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    s3.put_object_tagging(Bucket=bucket, Key=KEYS[0], Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    # moto's times are of a second by some ways, and it gives no order beside them.
    time.sleep(1.1)
    for key in KEYS[:3]:
        s3.delete_object(Bucket=bucket, Key=key)
    told.append({"way": way, "bucket": bucket, "queue": url, "there": KEYS[3:], "gone": KEYS[:3]})
json.dump(told, sys.stdout)
