"""A folder of an S3 bucket as a source of objects: the keys below a prefix."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from errno import EACCES
from pathlib import Path
from typing import TYPE_CHECKING

from platform_shared.ingestion.objects import (
    Refused,
    SourceError,
    SourceMissingError,
    SourceObject,
    VersionGoneError,
)

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import ListObjectsV2RequestPaginateTypeDef, ObjectTypeDef

_CHUNK_BYTES = 1024**2
_GONE = {"NoSuchKey", "PreconditionFailed"}
_BAD_CREDENTIALS = {"ExpiredToken", "InvalidToken", "InvalidAccessKeyId", "SignatureDoesNotMatch"}
_OTHER_REGION = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}

_CHECK_ACCESS = (
    "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the role: it needs s3:ListBucket on the bucket and "
    "s3:GetObject below the prefix."
)
_CHECK_NAME = "Create the bucket, or correct its name or the endpoint."
_CHECK_REGION = "The bucket is in another region: set AWS_DEFAULT_REGION, or the resource's region."
_CHECK_SERVER = "It will be tried again; if this lasts, check that the endpoint is up and can be reached from here."


@dataclass(frozen=True)
class Bucket:
    """The objects of the bucket `name` below the folder `prefix` (all, if it is empty), in the order of their keys.

    A version is size, LastModified and etag, as a listing shows them, whether or not the bucket keeps versions: a
    listing does not tell version ids, and the listing of all versions grows with the history. Its limits:
    - What comes and goes between two listings is never seen: the current version wins.
    - LastModified has whole seconds. Writes of one second differ by size or etag, or have the same bytes.
    - Where the newest version is removed for good, the one before is current again, as the version that it was.
    - Otherwise an etag says nothing about the bytes (uploads in parts, encryption), and the LastModified of an upload
      in parts is the time of its start.

    Not for directory buckets (S3 Express): they do not list in order. Safe under several threads, as the client is.
    """

    client: "S3Client"
    name: str
    prefix: str = ""
    page_size: int = 1000
    """Keys a request; S3 gives at most 1,000."""
    download_tries: int = 3
    """For a body that breaks off; the client's own retries end where a body begins."""

    def walk(self, after: str | None = None) -> Iterator[SourceObject | Refused]:
        """All objects behind `after`; raises SourceError, SourceMissingError if there is no such bucket."""
        folder = self._folder
        last = "" if after is None else folder + after
        for page in self._pages(after):
            for entry in page:
                key = entry["Key"]
                if key <= last:
                    raise SourceError(
                        f"{self._where} does not list in the order of keys: {key!r} came behind {last!r}. Such a "
                        "listing (S3 Express has them) cannot be resumed without losing objects."
                    )
                last = key
                object_id = key[len(folder) :]
                base = object_id[object_id.rfind("/") + 1 :]
                if not base or base.startswith(".") or base.endswith(".tmp"):
                    continue
                if "\0" in object_id or "\ufffd" in object_id:
                    yield Refused(
                        object_id.encode("unicode_escape").decode(),
                        "its name holds NUL, or what is no UTF-8; deliver it under another name",
                    )
                else:
                    yield _object(object_id, entry["Size"], entry["LastModified"], entry["ETag"])

    def current(self, object_id: str) -> SourceObject | None:
        """The object as it is now, or None if it is gone; one request (two if it is gone). Raises as `walk`."""
        from botocore.exceptions import ClientError

        with self._explained(f"asked for {object_id!r}"):
            try:
                head = self.client.head_object(Bucket=self.name, Key=self._folder + object_id)
            except ClientError as error:
                if _status(error) != 404:
                    raise
                # An answer to HEAD has no body that says what is missing: it may be the bucket.
                self.client.head_bucket(Bucket=self.name)
                return None
        return _object(object_id, head["ContentLength"], head["LastModified"], head["ETag"])

    def fetch(self, object_id: str, version: str, folder: Path) -> Path:
        """A copy of this version in `folder`, whole, under a name that is a hash.

        Raises VersionGoneError, PermissionError if the object is in an archive, SourceError (SourceMissingError) if S3
        cannot be read, OSError if the copy cannot be written.
        """
        target = folder / hashlib.sha256(f"{object_id}\0{version}".encode()).hexdigest()
        partial = folder / f".{target.name}.tmp"
        try:
            for left in reversed(range(self.download_tries)):
                try:
                    self._download(object_id, version, partial)
                    break
                except _BrokenBodyError as error:
                    if not left:
                        raise SourceError(
                            f"{self._where}: reading {object_id!r} broke off {self.download_tries} times; the last "
                            f"time: {error}. {_CHECK_SERVER}"
                        ) from error
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        return target

    def _pages(self, after: str | None) -> "Iterator[Sequence[ObjectTypeDef]]":
        request: ListObjectsV2RequestPaginateTypeDef = {
            "Bucket": self.name,
            "Prefix": self._folder,
            "PaginationConfig": {"PageSize": self.page_size},
        }
        if after is not None:
            request["StartAfter"] = self._folder + after
        complete = False
        with self._explained("listed"):
            for page in self.client.get_paginator("list_objects_v2").paginate(**request):
                # An empty answer, or a page of some proxy, reads as a listing without anything.
                complete = page.get("IsTruncated") is False
                yield page.get("Contents", [])
        if not complete:
            raise SourceError(f"{self._where}: the listing broke off before its end. {_CHECK_SERVER}")

    def _download(self, object_id: str, version: str, path: Path) -> None:
        """One answer of S3 is of one version, so what its head says holds for its body."""
        from botocore.exceptions import BotoCoreError, ClientError
        from urllib3.exceptions import HTTPError

        size, etag = _size_and_etag(object_id, version)
        with self._explained(f"read ({object_id!r})"):
            try:
                answer = self.client.get_object(Bucket=self.name, Key=self._folder + object_id, IfMatch=f'"{etag}"')
            except ClientError as error:
                if error.response["Error"]["Code"] in _GONE:
                    raise _gone(object_id, version) from error
                if error.response["Error"]["Code"] == "InvalidObjectState":
                    raise PermissionError(EACCES, "it is in an archive; restore it first", object_id) from error
                raise
        with closing(answer["Body"]) as body:
            if _version(size, answer["LastModified"], answer["ETag"]) != version:
                raise _gone(object_id, version)
            received = 0
            try:
                with path.open("wb") as file:
                    while True:
                        try:
                            chunk = body.read(_CHUNK_BYTES)
                        except (BotoCoreError, HTTPError) as error:
                            raise _BrokenBodyError(f"{type(error).__name__}: {error}") from error
                        if not chunk:
                            break
                        received += file.write(chunk)
            except OSError as error:
                # Without its number: Python would make it a PermissionError or FileNotFoundError, as if of the object.
                raise OSError(f"The copy of {object_id!r} ({size:,} bytes) cannot be written: {error}") from error
        if received != size:
            raise _BrokenBodyError(f"{received:,} bytes came of {size:,}")

    @property
    def _folder(self) -> str:
        """What keys begin with; with the `/`, or `orders_old/` would be below `orders`."""
        return self.prefix if self.prefix.endswith("/") or not self.prefix else f"{self.prefix}/"

    @property
    def _where(self) -> str:
        return f"The bucket {self.name!r} (prefix {self._folder!r}, at {self.client.meta.endpoint_url})"

    @contextmanager
    def _explained(self, done: str) -> Iterator[None]:
        """Errors of boto3 become SourceErrors that say where, what and what to do."""
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            CredentialRetrievalError,
            NoCredentialsError,
            PartialCredentialsError,
        )

        try:
            yield
        except ClientError as error:
            code, status = error.response["Error"]["Code"], _status(error)
            # For a HEAD the code is only the status.
            if code == "NoSuchBucket" or (error.operation_name == "HeadBucket" and status == 404):
                raise SourceMissingError(f"{self._where} does not exist. {_CHECK_NAME}") from error
            if status in (401, 403) or code in _BAD_CREDENTIALS:
                advice = _CHECK_ACCESS
            elif status == 301 or code in _OTHER_REGION:
                advice = _CHECK_REGION
            else:
                advice = _CHECK_SERVER
            raise SourceError(f"{self._where} cannot be {done}: {error}. {advice}") from error
        except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError) as error:
            raise SourceError(f"{self._where} cannot be {done}: {error}. {_CHECK_ACCESS}") from error
        except BotoCoreError as error:
            raise SourceError(f"{self._where} cannot be {done}: {error}. {_CHECK_SERVER}") from error


class _BrokenBodyError(Exception):
    """A body did not come whole, or not as it was sent."""


def _object(object_id: str, size: int, modified: datetime, etag: str) -> SourceObject:
    return SourceObject(object_id, _version(size, modified, etag), size, int(modified.timestamp()) * 10**9)


def _version(size: int, modified: datetime, etag: str) -> str:
    """Some servers list fractions of a second; a HEAD never has them."""
    unquoted = etag.strip('"')
    return f"{size}-{int(modified.timestamp())}-{unquoted}"


def _size_and_etag(object_id: str, version: str) -> tuple[int, str]:
    """A version of another form was never of this source."""
    try:
        size, _, etag = version.split("-", 2)
        return int(size), etag
    except ValueError:
        raise _gone(object_id, version) from None


def _gone(object_id: str, version: str) -> VersionGoneError:
    return VersionGoneError(f"{object_id!r} is not there any more as {version}: overwritten or deleted")


def _status(error: "ClientError") -> int:
    return error.response["ResponseMetadata"]["HTTPStatusCode"]
