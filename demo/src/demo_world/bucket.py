"""The retailer's S3 bucket, as those who send to it see it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import CreateBucketConfigurationTypeDef

BUCKET = "retailer"

# Short: a server that hangs must not hold up the end of the demo world for long.
_CONFIG = Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 2, "mode": "standard"})
_REGION = "us-east-1"


@dataclass(frozen=True)
class BucketObject:
    """An object to send: its key in the bucket, its bytes, and how many rows they hold."""

    key: str
    content: bytes
    rows: int


class Bucket:
    """The bucket at an endpoint. Every method raises botocore's BotoCoreError or ClientError if S3 does not do it."""

    def __init__(self, client: "S3Client") -> None:
        self._client = client

    def make(self) -> None:
        """Make the bucket, which keeps all versions of its objects."""
        region = self._client.meta.region_name
        if region == _REGION:  # which S3 does not want to be named
            self._client.create_bucket(Bucket=BUCKET)
        else:
            where: CreateBucketConfigurationTypeDef = {"LocationConstraint": region}  # type: ignore[typeddict-item]
            self._client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
        self._client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})

    def keys(self) -> set[str]:
        """The keys of all objects; makes the bucket if it is not there."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        try:
            return {entry["Key"] for page in pages for entry in page.get("Contents", [])}
        except self._client.exceptions.NoSuchBucket:
            self.make()
            return set()

    def put(self, thing: BucketObject) -> None:
        """Send an object: a new version of it, if it is there."""
        self._client.put_object(Bucket=BUCKET, Key=thing.key, Body=thing.content)


def bucket_at(endpoint_url: str) -> Bucket:
    """The bucket at this endpoint; credentials and region are those of the environment, as for any client of S3."""
    session = boto3.Session()
    region = session.region_name or _REGION
    return Bucket(session.client("s3", endpoint_url=endpoint_url, region_name=region, config=_CONFIG))


def bucket_without_credentials(endpoint_url: str) -> Bucket:
    """The bucket at an endpoint that believes everyone."""
    return Bucket(
        boto3.client(
            "s3",
            endpoint_url=endpoint_url,
            region_name=_REGION,
            aws_access_key_id="demo",
            aws_secret_access_key="demo",
            config=_CONFIG,
        )
    )
