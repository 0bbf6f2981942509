"""A folder of a bucket as a source of objects."""

import os
import re
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from botocore.awsrequest import AWSResponse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from urllib3 import HTTPHeaderDict
from urllib3.exceptions import SSLError

from platform_shared.ingestion.bucket import Bucket
from platform_shared.ingestion.objects import (
    ObjectSource,
    Refused,
    SourceError,
    SourceMissingError,
    SourceObject,
    VersionGoneError,
)
from platform_shared.object_storage import ObjectStorage
from platform_shared.testing.faulty_proxy import CutBody, Delay, FaultyProxy, Reset, SlowDown
from platform_shared.testing.s3_server import S3Server

SECRET = "hunter2-is-not-told"
NOON = int(datetime(2026, 3, 4, 12, tzinfo=UTC).timestamp())
GOOD = ("2026-03-04T12:00:00.000Z", "abc", 1)
GOES_ON = "<IsTruncated>true</IsTruncated><NextContinuationToken>more</NextContinuationToken>"
ODD = (
    "a b.csv",
    "ä€😀.csv",
    "combining e\u0301",
    "100%.csv",
    "%41%2F",
    "..",
    "../up.csv",
    "./x.csv",
    "/double.csv",
    "//triple.csv",
    "q'\"uote.csv",
    "a+b.csv",
    "\x01control",
    "tab\there",
    "#?&=;.csv",
    "<tag>&amp;",
    "back\\slash",
    "trailing ",
    "customer_data/again.csv",
    "x" * 1000,
)


@pytest.fixture
def shop(s3_server: S3Server) -> Bucket:
    """The bucket `shop`, without versions, its folder `customer_data`."""
    s3_server.make_bucket("shop", versioned=False)
    return bucket()


def bucket(name: str = "shop", prefix: str = "customer_data/", attempts: int = 1, **options: Any) -> Bucket:
    """As a location opens one: by the environment's endpoint."""
    storage = ObjectStorage(max_attempts=attempts, read_timeout_seconds=options.pop("read_timeout", 30))
    return Bucket(storage.get_client(), name, prefix, **options)


def put(source: Bucket, object_id: str, body: bytes = b"1") -> SourceObject:
    """Writes an object; as it is then."""
    key = source.prefix + object_id
    source.client.put_object(Bucket=source.name, Key=key, Body=body)
    found = source.current(object_id)
    assert found is not None
    return found


def in_a_later_second(source: Bucket) -> None:
    """Waits until what is written gets another LastModified."""
    first = put(source, ".clock").changed_ns
    while put(source, ".clock").changed_ns == first:
        time.sleep(0.02)


def objects(source: ObjectSource, after: str | None = None) -> list[SourceObject]:
    found = list(source.walk(after))
    assert [each for each in found if isinstance(each, Refused)] == []
    return [each for each in found if isinstance(each, SourceObject)]


def ids(source: ObjectSource, after: str | None = None) -> list[str]:
    return [each.object_id for each in objects(source, after)]


@dataclass
class Answers:
    """A server that answers what it is told, one after another, and then 500."""

    url: str = ""
    left: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    conditions: list[str | None] = field(default_factory=list)

    def add(self, status: int, body: bytes | str = b"", **headers: str) -> None:
        content = body.encode() if isinstance(body, str) else body
        self.left.append((status, {name.replace("_", "-"): value for name, value in headers.items()}, content))

    def list(self, *entries: tuple[str, str, str, int], more: str = "<IsTruncated>false</IsTruncated>") -> None:
        """A page of (key, LastModified, etag, size)."""
        contents = "".join(
            f"<Contents><Key>{quote(key)}</Key><LastModified>{modified}</LastModified>"
            f"<ETag>&quot;{etag}&quot;</ETag><Size>{size}</Size></Contents>"
            for key, modified, etag, size in entries
        )
        self.add(
            200,
            f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><EncodingType>url</EncodingType>'
            f"{more}{contents}</ListBucketResult>",
        )

    def error(self, status: int, code: str) -> None:
        self.add(status, f"<Error><Code>{code}</Code><Message>as told</Message></Error>")


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    """A server that speaks as it is told, instead of a real one."""
    told = Answers()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            told.asked.append(self.path)
            told.conditions.append(self.headers["If-Match"])
            status, headers, body = told.left.pop(0) if told.left else (500, {}, b"")
            self.send_response(status)
            for name, value in ({"Content-Length": f"{len(body)}"} | headers).items():
                if value:
                    self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        told.url = f"http://127.0.0.1:{server.server_port}"
        serving = threading.Thread(target=server.serve_forever, args=(0.02,))
        serving.start()
        monkeypatch.setenv("PLATFORM_S3_ENDPOINT_URL", told.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield told
        server.shutdown()
        serving.join()


@contextmanager
def explained(*words: str, error: type[Exception] = SourceError) -> Iterator[None]:
    """An error that names bucket, prefix and all these words, and no secret, in it and in what it came from."""
    with pytest.raises(error) as raised:
        yield
    for word in ("shop", "customer_data/", *words):
        assert word in str(raised.value)
    link: BaseException | None = raised.value
    while link is not None:
        assert SECRET not in f"{link} {link.args}"
        link = link.__cause__ or link.__context__


# Listing


def test_it_is_a_source_of_objects(shop: Bucket) -> None:
    source: ObjectSource = shop
    assert objects(source) == []


def test_an_object_as_the_listing_shows_it(shop: Bucket) -> None:
    before = int(time.time())
    put(shop, "2026/orders.csv", b"12345")
    (found,) = objects(shop)
    assert (found.object_id, found.size_bytes) == ("2026/orders.csv", 5)
    assert found.changed_ns % 10**9 == 0
    assert before <= found.changed_ns // 10**9 <= int(time.time())


def test_more_objects_than_a_page_holds(shop: Bucket) -> None:
    names = [f"{number}.csv" for number in range(1001)]
    for name in names:
        shop.client.put_object(Bucket="shop", Key=f"customer_data/{name}", Body=b"")
    assert ids(shop) == sorted(names)


@pytest.mark.parametrize("page_size", [1, 2, 3, 1000])
def test_pages_of_any_size_make_the_same_listing(shop: Bucket, page_size: int) -> None:
    for name in "abcdefg":
        put(shop, name)
    assert ids(replace(shop, page_size=page_size)) == list("abcdefg")


def test_pages_are_asked_for_when_they_are_needed(s3_proxy: FaultyProxy, shop: Bucket) -> None:
    for name in "abcd":
        put(shop, name)
    asked = s3_proxy.passed("GET", "list-type=2")
    walking = bucket(page_size=2).walk()
    next(walking)
    assert s3_proxy.passed("GET", "list-type=2") == asked + 1
    assert len(list(walking)) == 3
    assert s3_proxy.passed("GET", "list-type=2") == asked + 2


def test_only_what_is_below_the_folder(shop: Bucket) -> None:
    for key in ("customer_data", "customer_data_old/a", "customer_dat/a", "Customer_data/a", "customer_data/in"):
        shop.client.put_object(Bucket="shop", Key=key, Body=b"")
    for prefix in ("customer_data/", "customer_data"):
        source = bucket(prefix=prefix)
        assert ids(source) == ["in"]
        assert source.current("in") is not None


def test_without_a_prefix_it_is_the_whole_bucket(shop: Bucket) -> None:
    put(shop, "a")
    shop.client.put_object(Bucket="shop", Key="b", Body=b"")
    whole = bucket(prefix="")
    assert ids(whole) == ["b", "customer_data/a"]
    assert ids(whole, after="b") == ["customer_data/a"]


def test_what_is_never_an_object(shop: Bucket) -> None:
    for name in ("", "folder/", ".hidden", "folder/.hidden", "a.tmp", "folder/b.tmp", "a.tmp.csv", "a.hidden", "tmp"):
        shop.client.put_object(Bucket="shop", Key=f"customer_data/{name}", Body=b"")
    assert ids(shop) == ["a.hidden", "a.tmp.csv", "tmp"]
    assert ids(shop, after="a.hidden") == ["a.tmp.csv", "tmp"]


@pytest.mark.parametrize("page_size", [1, 1000])
def test_any_name_is_listed_asked_for_and_fetched(shop: Bucket, tmp_path: Path, page_size: int) -> None:
    source = replace(shop, page_size=page_size)
    for name in ODD:
        shop.client.put_object(Bucket="shop", Key=f"customer_data/{name}", Body=name.encode())
    found = objects(source)
    assert [each.object_id for each in found] == sorted(set(ODD) - {".."})  # a dot file by its name
    for each in found:
        assert source.current(each.object_id) == each
        assert source.fetch(each.object_id, each.version, tmp_path).read_bytes() == each.object_id.encode()
    assert len(os.listdir(tmp_path)) == len(found)
    for number, each in enumerate(found):
        if "\x01" not in each.object_id:  # moto repeats it unencoded in its answer, which is no XML then
            assert objects(source, after=each.object_id) == found[number + 1 :]


def test_a_name_with_a_line_break(answers: Answers) -> None:
    answers.list(("customer_data/new\nline\r.csv", "2026-03-04T12:00:00.000Z", "abc", 1))
    answers.add(200, ETag='"abc"', Last_Modified="Wed, 04 Mar 2026 12:00:00 GMT", Content_Length="1")
    source = bucket()
    (found,) = objects(source)
    assert found.object_id == "new\nline\r.csv"
    assert source.current(found.object_id) == found
    assert answers.asked[-1] == "/shop/customer_data/new%0Aline%0D.csv"


def test_names_that_no_ledger_can_hold_are_refused(answers: Answers) -> None:
    answers.list(("customer_data/a", *GOOD), ("customer_data/nul\0.csv", *GOOD), ("customer_data/\ufffd.csv", *GOOD))
    first, *refused = bucket().walk()
    assert isinstance(first, SourceObject)
    assert [each.name for each in refused if isinstance(each, Refused)] == [
        r"nul\x00.csv",
        r"\ufffd.csv",
    ]
    assert all("another name" in each.reason for each in refused if isinstance(each, Refused))


# No newline: moto cannot take one.
_NAMES = st.text(st.sampled_from("ab./-+% é😀_~'\"&"), min_size=1, max_size=6)
_NUMBERS = count()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(_NAMES, max_size=6), _NAMES, st.integers(1, 4))
def test_a_resumed_listing_is_the_tail_of_the_whole(
    s3_server: S3Server, names: set[str], elsewhere: str, page_size: int
) -> None:
    name = f"property-{next(_NUMBERS)}"
    s3_server.make_bucket(name, versioned=False)
    for each in names:
        s3_server.client.put_object(Bucket=name, Key=f"customer_data/{each}", Body=b"")
    source = Bucket(s3_server.client, name, "customer_data/", page_size)
    whole = ids(source)
    assert whole == sorted(each for each in names if _is_object(each))
    for after in {*whole, elsewhere}:
        assert ids(source, after) == [each for each in whole if each > after]


def _is_object(object_id: str) -> bool:
    base = object_id.rsplit("/", 1)[-1]
    return base != "" and not base.startswith(".") and not base.endswith(".tmp")


# Listings that cannot be trusted


def test_a_bucket_that_is_not_there(s3_server: S3Server, tmp_path: Path) -> None:
    source = bucket()
    with explained("does not exist", "endpoint", error=SourceMissingError):
        list(source.walk())
    with explained("does not exist", error=SourceMissingError):
        source.current("a")
    with explained("does not exist", error=SourceMissingError):
        source.fetch("a", "1-1-abc", tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_server_that_is_not_there(s3_proxy: FaultyProxy, shop: Bucket, tmp_path: Path) -> None:
    source = bucket()
    with s3_proxy.refusing():
        with explained(s3_proxy.url, "endpoint is up"):
            list(source.walk())
        with explained(s3_proxy.url, "endpoint is up"):
            source.current("a")
        with explained(s3_proxy.url, "endpoint is up"):
            source.fetch("a", "1-1-abc", tmp_path)
    assert ids(source) == []


@pytest.mark.parametrize("fault", [Delay(60), Reset(), SlowDown()])
def test_a_listing_that_fails_in_the_middle(
    s3_proxy: FaultyProxy, shop: Bucket, fault: Delay | Reset | SlowDown
) -> None:
    for name in "abc":
        put(shop, name)
    happens = s3_proxy.misbehave(fault, times=99, path="continuation-token")
    found = []
    with explained("listed", "endpoint is up"):
        for each in bucket(page_size=2, read_timeout=0.3).walk():
            found.append(each)
    assert (len(found), happens.happened) == (2, 1)


@pytest.mark.parametrize("attempts", [1, 2])
def test_a_busy_server_is_asked_again_but_not_for_ever(s3_proxy: FaultyProxy, shop: Bucket, attempts: int) -> None:
    put(shop, "a")
    enough = s3_proxy.misbehave(SlowDown(), times=attempts - 1)
    assert ids(bucket(attempts=attempts)) == ["a"]
    always = s3_proxy.misbehave(SlowDown(), times=99)
    with explained("SlowDown"):
        list(bucket(attempts=attempts).walk())
    assert (enough.happened, always.happened) == (attempts - 1, attempts)


@pytest.mark.parametrize(
    ("status", "code", "advice"),
    [
        (403, "AccessDenied", "s3:ListBucket"),
        (403, "SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"),
        (400, "ExpiredToken", "AWS_ACCESS_KEY_ID"),
        (301, "PermanentRedirect", "AWS_DEFAULT_REGION"),
        (400, "AuthorizationHeaderMalformed", "AWS_DEFAULT_REGION"),
        (500, "InternalError", "tried again"),
        (404, "Odd", "tried again"),
    ],
)
def test_an_answer_that_is_an_error(answers: Answers, tmp_path: Path, status: int, code: str, advice: str) -> None:
    answers.error(status, code)
    with explained(code, advice):
        list(bucket().walk())
    answers.error(status, code)
    with explained(code, advice, "'a.csv'"):
        bucket().fetch("a.csv", "1-1-abc", tmp_path)


def test_no_credentials(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    with explained("credentials", "AWS_ACCESS_KEY_ID"):
        list(bucket().walk())


@pytest.mark.parametrize("body", ["<ListBucketResult><Contents>", "I am a login page", "<html></html>", ""])
def test_a_page_that_is_no_listing(answers: Answers, body: str) -> None:
    answers.list(("customer_data/a", *GOOD), more=GOES_ON)
    for _ in range(2):
        answers.add(200, body)
    walking = bucket().walk()
    next(walking)
    with explained("list", "endpoint is up"):
        next(walking)
    with explained("list", "endpoint is up"):
        list(bucket().walk())


def test_a_listing_that_stops_without_an_end(answers: Answers) -> None:
    answers.list(("customer_data/a", *GOOD), more="<IsTruncated>true</IsTruncated>")
    walking = bucket().walk()
    next(walking)
    with explained("broke off"):
        next(walking)


def test_a_listing_that_turns_in_a_circle(answers: Answers) -> None:
    for name in ("a", "b", "c"):
        answers.list((f"customer_data/{name}", *GOOD), more=GOES_ON)
    with explained("listed"):
        list(bucket().walk())


@pytest.mark.parametrize("order", ["ba", "aa", "abca"])
def test_a_listing_without_order_is_not_trusted(answers: Answers, order: str) -> None:
    answers.list(*((f"customer_data/{name}", *GOOD) for name in order))
    with explained("order of keys"):
        list(bucket().walk())


def test_a_server_that_does_not_resume_is_not_trusted(answers: Answers) -> None:
    answers.list(("customer_data/", *GOOD), ("customer_data/a", *GOOD), ("customer_data/b", *GOOD))
    with explained("order of keys"):
        list(bucket().walk(after="a"))


# Versions


def test_every_write_in_another_second_is_another_version(shop: Bucket) -> None:
    versions = [put(shop, "a", b"A").version]
    for body in (b"B", b"A"):
        in_a_later_second(shop)
        versions.append(put(shop, "a", body).version)
    assert len(set(versions)) == 3
    assert objects(shop)[0].version == versions[-1]


def test_deleted_and_made_again_it_is_another_version(shop: Bucket) -> None:
    first = put(shop, "a")
    in_a_later_second(shop)
    shop.client.delete_object(Bucket="shop", Key="customer_data/a")
    assert ids(shop) == []
    assert shop.current("a") is None
    again = put(shop, "a")
    assert again.version != first.version
    assert again.changed_ns > first.changed_ns


def version_of(answers: Answers, modified: str, etag: str, size: int) -> str:
    answers.list(("customer_data/a", modified, etag, size))
    return objects(bucket())[0].version


def test_what_makes_a_version(answers: Answers) -> None:
    first = version_of(answers, "2026-03-04T12:00:00.000Z", "abc-2", 7)
    assert version_of(answers, "2026-03-04T12:00:00.000Z", "abc-2", 7) == first
    others = {
        version_of(answers, "2026-03-04T12:00:01.000Z", "abc-2", 7),
        version_of(answers, "2026-03-04T12:00:00.000Z", "abc-3", 7),
        version_of(answers, "2026-03-04T12:00:00.000Z", "abc-2", 8),
    }
    assert len(others | {first}) == 4


def test_listing_and_asking_agree_where_a_server_lists_fractions_of_a_second(answers: Answers) -> None:
    answers.list(("customer_data/a", "2026-03-04T12:00:00.987Z", "abc", 7))
    answers.add(200, ETag='"abc"', Last_Modified="Wed, 04 Mar 2026 12:00:00 GMT", Content_Length="7")
    source = bucket()
    assert objects(source) == [source.current("a")]
    answers.list(("customer_data/a", "2026-03-04T12:00:00.987Z", "abc", 7))
    assert objects(source)[0].changed_ns == NOON * 10**9


@pytest.mark.parametrize("versioned", [True, False])
def test_listing_and_asking_agree_and_versions_of_the_bucket_change_nothing(
    s3_server: S3Server, versioned: bool
) -> None:
    s3_server.make_bucket("shop", versioned=versioned)
    source = bucket()
    for body in (b"old", b"older", b"new"):
        put(source, "a", body)
    put(source, "gone")
    source.client.delete_object(Bucket="shop", Key="customer_data/gone")
    assert source.current("gone") is None
    assert objects(source) == [source.current("a")]
    source.client.put_bucket_versioning(Bucket="shop", VersioningConfiguration={"Status": "Enabled"})
    (before,) = objects(source)
    assert before == source.current("a")
    assert before.size_bytes == 3


def test_an_upload_in_parts(shop: Bucket, tmp_path: Path) -> None:
    key = "customer_data/big"
    upload = shop.client.create_multipart_upload(Bucket="shop", Key=key)["UploadId"]
    bodies = [b"1" * 5 * 1024**2, b"2"]
    parts = [
        shop.client.upload_part(Bucket="shop", Key=key, UploadId=upload, PartNumber=number, Body=body)["ETag"]
        for number, body in enumerate(bodies, 1)
    ]
    assert ids(shop) == []
    shop.client.complete_multipart_upload(
        Bucket="shop",
        Key=key,
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(parts, 1)]},
    )
    (found,) = objects(shop)
    assert found.version.endswith("-2")
    assert shop.current("big") == found
    assert shop.fetch("big", found.version, tmp_path).read_bytes() == b"".join(bodies)


# Fetching


def test_a_copy_has_a_hash_for_its_name(shop: Bucket, tmp_path: Path) -> None:
    first, other = put(shop, "../../etc/passwd", b"A"), put(shop, "b/c", b"B")
    copies = [shop.fetch(each.object_id, each.version, tmp_path) for each in (first, other, first)]
    assert copies[0] == copies[2]
    assert sorted(os.listdir(tmp_path)) == sorted(copy.name for copy in copies[:2])
    assert all(re.fullmatch("[0-9a-f]{64}", copy.name) for copy in copies)


def test_an_empty_object(shop: Bucket, tmp_path: Path) -> None:
    found = put(shop, "empty", b"")
    assert shop.fetch("empty", found.version, tmp_path).read_bytes() == b""


def test_each_version_gets_a_copy_of_its_own(shop: Bucket, tmp_path: Path) -> None:
    paths = []
    for body in (b"A", b"BB"):
        found = put(shop, "a", body)
        paths.append(shop.fetch("a", found.version, tmp_path))
    assert [path.read_bytes() for path in paths] == [b"A", b"BB"]


Change = Callable[[Bucket], object]


@pytest.mark.parametrize("versioned", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        lambda source: put(source, "a", b"other"),
        lambda source: (in_a_later_second(source), put(source, "a", b"first")),
        lambda source: source.client.delete_object(Bucket="shop", Key="customer_data/a"),
    ],
    ids=["overwritten", "written again with the same bytes", "deleted"],
)
def test_a_version_that_is_gone(s3_server: S3Server, tmp_path: Path, versioned: bool, change: Change) -> None:
    s3_server.make_bucket("shop", versioned=versioned)
    source = bucket()
    found = put(source, "a", b"first")
    change(source)
    with pytest.raises(VersionGoneError, match="'a'"):
        source.fetch("a", found.version, tmp_path)
    assert os.listdir(tmp_path) == []
    now = source.current("a")
    if now is not None:
        source.fetch("a", now.version, tmp_path)


@pytest.mark.parametrize("version", ["", "1", "1-2", "one-2-abc", "abc"])
def test_a_version_of_another_form_was_never_here(shop: Bucket, tmp_path: Path, version: str) -> None:
    put(shop, "a")
    with pytest.raises(VersionGoneError):
        shop.fetch("a", version, tmp_path)


@pytest.mark.parametrize("after_bytes", [0, 100, 3 * 1024**2])
def test_a_body_that_breaks_off_is_read_again(
    s3_proxy: FaultyProxy, shop: Bucket, tmp_path: Path, after_bytes: int
) -> None:
    body = os.urandom(3 * 1024**2 + 5)
    found = put(shop, "a", body)
    breaks = s3_proxy.misbehave(CutBody(after_bytes), times=2, method="GET", path="/a")
    source = bucket(download_tries=3)
    assert source.fetch("a", found.version, tmp_path).read_bytes() == body
    assert breaks.happened == 2
    assert len(os.listdir(tmp_path)) == 1


def test_a_body_that_always_breaks_off(s3_proxy: FaultyProxy, shop: Bucket, tmp_path: Path) -> None:
    found = put(shop, "a", b"12345")
    breaks = s3_proxy.misbehave(CutBody(2), times=99, method="GET", path="/a")
    with explained("'a'", "broke off 3 times"):
        bucket(download_tries=3).fetch("a", found.version, tmp_path)
    assert breaks.happened == 3
    assert os.listdir(tmp_path) == []


def test_a_version_that_is_overwritten_between_two_tries_is_gone(answers: Answers, tmp_path: Path) -> None:
    version = told_object(answers, b"123", Content_Length="5", Connection="close")
    answers.error(412, "PreconditionFailed")
    with pytest.raises(VersionGoneError):
        bucket().fetch("a", version, tmp_path)
    assert answers.conditions == ['"abc"', '"abc"']
    assert os.listdir(tmp_path) == []


def test_a_line_that_breaks_off_below_the_protocol(answers: Answers, tmp_path: Path) -> None:
    """A TLS connection that is cut is an error of urllib3's, which botocore passes on as it is."""
    source = bucket(download_tries=2)
    tries: list[int] = []
    closed: list[object] = []

    class Cut:
        def read(self, amount: int) -> bytes:
            tries.append(amount)
            raise SSLError("unexpected end")

        def close(self) -> None:
            closed.append(self)

    headers = {"ETag": '"abc"', "Last-Modified": "Wed, 04 Mar 2026 12:00:00 GMT", "Content-Length": "5"}
    source.client.meta.events.register(
        "before-send.s3.GetObject", lambda **_: AWSResponse(answers.url, 200, HTTPHeaderDict(headers), Cut())
    )
    with explained("broke off 2 times", "unexpected end"):
        source.fetch("a", f"5-{NOON}-abc", tmp_path)
    assert (len(tries), len(closed)) == (2, 2)


def told_object(answers: Answers, body: bytes, **headers: str) -> str:
    """The next answer is this object; its version, of five bytes."""
    answers.add(200, body, ETag='"abc"', Last_Modified="Wed, 04 Mar 2026 12:00:00 GMT", **headers)
    return f"5-{NOON}-abc"


@pytest.mark.parametrize("body", [b"1234", b"123456"])
def test_a_body_of_another_length_is_not_taken(answers: Answers, tmp_path: Path, body: bytes) -> None:
    """Whatever the head of the answer says of it."""
    version = told_object(answers, body)
    with explained(f"{len(body)} bytes came of 5"):
        bucket(download_tries=1).fetch("a", version, tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("checksum", "good"), [("y/U6HA==", True), ("AAAAAA==", False)])
def test_the_checksum_that_s3_sends_is_compared(answers: Answers, tmp_path: Path, checksum: str, good: bool) -> None:
    version = told_object(answers, b"12345", x_amz_checksum_crc32=checksum)
    source = bucket(download_tries=1)
    if good:
        assert source.fetch("a", version, tmp_path).read_bytes() == b"12345"
        return
    with explained("checksum"):
        source.fetch("a", version, tmp_path)
    assert os.listdir(tmp_path) == []


def test_an_object_in_an_archive_is_like_a_file_that_may_not_be_read(answers: Answers, tmp_path: Path) -> None:
    answers.error(403, "InvalidObjectState")
    with pytest.raises(PermissionError) as raised:
        bucket().fetch("a", "5-1-abc", tmp_path)
    assert raised.value.strerror == "it is in an archive; restore it first"


def test_a_full_disk_is_told_and_leaves_nothing(shop: Bucket, tmp_path: Path) -> None:
    found = put(shop, "a", b"12345")
    copy = shop.fetch("a", found.version, tmp_path)
    copy.unlink()
    (tmp_path / f".{copy.name}.tmp").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"The copy of 'a' \(5 bytes\) cannot be written: .*No space left"):
        shop.fetch("a", found.version, tmp_path)
    assert os.listdir(tmp_path) == []


def test_no_folder_for_copies_is_not_a_missing_object(shop: Bucket, tmp_path: Path) -> None:
    found = put(shop, "a")
    with pytest.raises(OSError, match="cannot be written") as raised:
        shop.fetch("a", found.version, tmp_path / "missing")
    assert type(raised.value) is OSError


def test_a_large_object_takes_little_memory(shop: Bucket, tmp_path: Path) -> None:
    size = 48 * 1024**2
    found = put(shop, "large", bytes(size))
    tracemalloc.start()
    try:
        path = shop.fetch("large", found.version, tmp_path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert path.stat().st_size == size
    assert peak < size / 6


def test_current_asks_once_for_what_is_there(s3_proxy: FaultyProxy, shop: Bucket) -> None:
    put(shop, "a")
    source = bucket()
    asked = len(s3_proxy.seen)
    source.current("a")
    assert [seen.method for seen in s3_proxy.seen[asked:]] == ["HEAD"]


def test_current_that_may_not_be_asked_is_not_gone(answers: Answers) -> None:
    answers.add(403)
    with explained("'a'", "s3:GetObject"):
        bucket().current("a")


def test_a_bucket_of_another_region_is_not_gone(answers: Answers) -> None:
    answers.add(301)
    with explained("'a'", "AWS_DEFAULT_REGION"):
        bucket().current("a")


def test_boto3_is_not_imported_before_it_is_used() -> None:
    code = (
        "import sys, platform_shared.ingestion.bucket; "
        "print([name for name in ('boto3', 'botocore', 'dagster') if name in sys.modules])"
    )
    assert _python(["-c", code]) == "[]"


def _python(arguments: Sequence[str]) -> str:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True).stdout.strip()
