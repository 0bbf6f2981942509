"""The proxy that misbehaves when told, in front of a real S3 server."""

from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from threading import Event, Thread
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    IncompleteReadError,
    ReadTimeoutError,
)
from botocore.response import StreamingBody
from types_boto3_s3 import S3Client
from urllib3.exceptions import ProtocolError

from platform_shared.testing.faulty_proxy import CutBody, Delay, FaultyProxy, Reset, SlowDown
from platform_shared.testing.s3_server import S3Server

BODY = bytes(range(256)) * 4096
Connect = Callable[..., S3Client]


@pytest.fixture
def connect(s3_proxy: FaultyProxy, s3_server: S3Server) -> Iterator[Connect]:
    """Makes clients of the proxy; the bucket `shop` has the object `folder/big object`, one MiB."""
    s3_server.make_bucket("shop")
    s3_server.client.put_object(Bucket="shop", Key="folder/big object", Body=BODY)
    clients = []

    def client(attempts: int = 1, read_timeout: float = 30) -> S3Client:
        config = Config(read_timeout=read_timeout, retries={"total_max_attempts": attempts, "mode": "standard"})
        clients.append(boto3.client("s3", endpoint_url=s3_proxy.url, config=config))
        return clients[-1]

    yield client
    for each in clients:
        each.close()


def body(client: S3Client) -> bytes:
    return client.get_object(Bucket="shop", Key="folder/big object")["Body"].read()


def until_it_breaks(stream: StreamingBody) -> bytes:
    """What comes before the error; none is a failure."""
    received = b""
    try:
        while chunk := stream.read(50):
            received += chunk
    except (IncompleteReadError, ProtocolError):
        return received
    pytest.fail(f"{len(received)} bytes and no error")


def test_it_passes_on_what_it_is_not_told_to_spoil(
    connect: Connect, s3_proxy: FaultyProxy, s3_server: S3Server
) -> None:
    client = connect()
    assert body(client) == BODY
    client.put_object(Bucket="shop", Key="é+ =&", Body=BODY, Metadata={"who": "me"})
    assert s3_server.client.get_object(Bucket="shop", Key="é+ =&")["Body"].read() == BODY
    head = client.head_object(Bucket="shop", Key="é+ =&")
    assert (head["ContentLength"], head["Metadata"]) == (len(BODY), {"who": "me"})
    part = client.get_object(Bucket="shop", Key="é+ =&", Range="bytes=10-19")
    assert part["Body"].read() == BODY[10:20]
    names = [each["Key"] for each in client.list_objects_v2(Bucket="shop")["Contents"]]
    assert names == ["folder/big object", "é+ =&"]
    client.delete_object(Bucket="shop", Key="é+ =&")
    with pytest.raises(ClientError, match="404"):
        client.head_object(Bucket="shop", Key="nothing")
    assert [seen.method for seen in s3_proxy.seen] == ["GET", "PUT", "HEAD", "GET", "GET", "DELETE", "HEAD"]
    assert s3_proxy.passed() == 7
    assert s3_proxy.passed("GET", "list-type=2") == 1


def test_slow_down_is_answered_as_often_as_told(connect: Connect, s3_proxy: FaultyProxy) -> None:
    told = s3_proxy.misbehave(SlowDown(), times=2)
    client = connect()
    for _ in range(2):
        with pytest.raises(ClientError, match="SlowDown"):
            body(client)
    assert body(client) == BODY
    assert (told.happened, s3_proxy.passed()) == (2, 1)


def test_a_client_that_tries_again_gets_what_it_wants(connect: Connect, s3_proxy: FaultyProxy) -> None:
    told = [s3_proxy.misbehave(SlowDown()), s3_proxy.misbehave(Reset())]
    assert body(connect(attempts=3)) == BODY
    assert [each.happened for each in told] == [1, 1]
    assert [seen.fault for seen in s3_proxy.seen] == [SlowDown(), Reset(), None]


def test_only_matching_requests_meet_it(connect: Connect, s3_proxy: FaultyProxy) -> None:
    told = s3_proxy.misbehave(SlowDown(), method="HEAD", path="big")
    client = connect()
    assert body(client) == BODY
    with pytest.raises(ClientError, match="404"):
        client.head_object(Bucket="shop", Key="small")
    assert told.happened == 0
    with pytest.raises(ClientError, match="503"):
        client.head_object(Bucket="shop", Key="folder/big object")
    assert told.happened == 1


@pytest.mark.parametrize(("after_bytes", "arrive"), [(0, 0), (100, 100), (10 * len(BODY), len(BODY) - 1)])
def test_a_cut_body_promises_all_of_it(connect: Connect, s3_proxy: FaultyProxy, after_bytes: int, arrive: int) -> None:
    told = s3_proxy.misbehave(CutBody(after_bytes), path="big")
    answer = connect().get_object(Bucket="shop", Key="folder/big object")
    assert answer["ContentLength"] == len(BODY)
    received = until_it_breaks(answer["Body"])
    assert len(received) <= arrive
    assert BODY.startswith(received)
    assert told.happened == 1
    assert body(connect()) == BODY


def test_a_reset_connection_is_no_answer(connect: Connect, s3_proxy: FaultyProxy, s3_server: S3Server) -> None:
    told = s3_proxy.misbehave(Reset(), method="PUT")
    client = connect()
    with pytest.raises(ConnectionClosedError):
        client.put_object(Bucket="shop", Key="k", Body=b"body")
    assert told.happened == 1
    assert [each["Key"] for each in s3_server.client.list_objects_v2(Bucket="shop")["Contents"]] == [
        "folder/big object"
    ]
    client.put_object(Bucket="shop", Key="k", Body=b"body")


def test_a_reset_is_no_orderly_end(s3_proxy: FaultyProxy) -> None:
    s3_proxy.misbehave(Reset())
    connection = HTTPConnection(urlsplit(s3_proxy.url).netloc, timeout=30)
    connection.request("GET", "/")
    with pytest.raises(ConnectionResetError) as raised:
        connection.getresponse()
    connection.close()
    assert raised.type is ConnectionResetError  # and not http.client's name for a connection that just ends


def test_a_late_answer_is_too_late_for_who_waits_less(connect: Connect, s3_proxy: FaultyProxy) -> None:
    told = s3_proxy.misbehave(Delay(3600))
    with pytest.raises(ReadTimeoutError):
        body(connect(read_timeout=0.2))
    assert told.happened == 1
    assert body(connect()) == BODY


def test_a_late_answer_is_whole(connect: Connect, s3_proxy: FaultyProxy) -> None:
    s3_proxy.misbehave(Delay(0.1))
    assert body(connect()) == BODY


def test_refused_connections_are_served_later(connect: Connect, s3_proxy: FaultyProxy) -> None:
    client = connect()
    assert body(client) == BODY
    with s3_proxy.refusing(), pytest.raises((EndpointConnectionError, ConnectionClosedError)):
        body(client)
    assert body(connect()) == BODY
    assert s3_proxy.passed() == 2


def test_a_killed_server_behind_it_is_a_connection_that_ends(
    connect: Connect, s3_proxy: FaultyProxy, s3_server: S3Server
) -> None:
    s3_server.kill()
    with pytest.raises(ConnectionClosedError):
        body(connect())
    assert s3_proxy.passed() == 1


def test_many_clients_at_once_share_the_faults(connect: Connect, s3_proxy: FaultyProxy) -> None:
    told = s3_proxy.misbehave(SlowDown(), times=5)
    start, failed, right = Event(), [], []

    def get(client: S3Client) -> None:
        start.wait()
        try:
            right.append(body(client) == BODY)
        except ClientError:
            failed.append(client)

    threads = [Thread(target=get, args=(connect(),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    start.set()
    for thread in threads:
        thread.join()
    assert (len(failed), right, told.happened) == (5, [True] * 3, 5)
