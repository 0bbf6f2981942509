"""The S3 server that tests start, kill and start again."""

import os
import socket
import subprocess
import sys
import time
from urllib.parse import SplitResult, urlsplit

import pytest
from botocore.exceptions import EndpointConnectionError

from platform_shared.testing.s3_server import S3Server, s3_server

STARTER = """
from platform_shared.testing.s3_server import S3Server

server = S3Server()
print(server.endpoint_url, flush=True)
input()
"""


@pytest.mark.parametrize("time", ["first", "second"])
def test_each_test_gets_it_empty(s3_server: S3Server, time: str) -> None:
    assert s3_server.client.list_buckets()["Buckets"] == []
    s3_server.make_bucket("shop")
    s3_server.client.put_object(Bucket="shop", Key="k", Body=time.encode())


def test_the_environment_names_it(s3_server: S3Server) -> None:
    assert os.environ["PLATFORM_S3_ENDPOINT_URL"] == s3_server.endpoint_url
    assert {name: os.environ[name] for name in s3_server.environment} == s3_server.environment


def test_it_keeps_versions_where_the_bucket_does(s3_server: S3Server) -> None:
    s3_server.make_bucket("versioned")
    s3_server.make_bucket("plain", versioned=False)
    for bucket in ("versioned", "plain"):
        for body in (b"old", b"new"):
            s3_server.client.put_object(Bucket=bucket, Key="k", Body=body)
    versions = s3_server.client.list_object_versions(Bucket="versioned")["Versions"]
    assert len({version["VersionId"] for version in versions}) == 2
    (old,) = [version for version in versions if not version["IsLatest"]]
    found = s3_server.client.get_object(Bucket="versioned", Key="k", VersionId=old["VersionId"])
    assert found["Body"].read() == b"old"
    assert len(s3_server.client.list_object_versions(Bucket="plain")["Versions"]) == 1


def test_killed_it_refuses_and_started_again_it_has_forgotten_all() -> None:
    with s3_server() as server:
        server.make_bucket("shop")
        endpoint = server.endpoint_url
        server.kill()
        with pytest.raises(EndpointConnectionError):
            server.client.list_buckets()
        server.start()
        assert server.endpoint_url == endpoint
        assert server.client.list_buckets()["Buckets"] == []


def test_a_server_that_a_test_has_killed_serves_the_next(request: pytest.FixtureRequest) -> None:
    process: S3Server = request.getfixturevalue("s3_process")
    process.kill()
    served: S3Server = request.getfixturevalue("s3_server")
    assert served.client.list_buckets()["Buckets"] == []


def test_it_ends_with_the_process_that_started_it() -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    address = urlsplit(starter.stdout.readline().strip())
    assert serves(address)
    starter.kill()
    starter.communicate()
    deadline = time.monotonic() + 30
    while serves(address) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not serves(address)


def serves(address: SplitResult) -> bool:
    try:
        socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=30).close()
    except ConnectionRefusedError:
        return False
    return True


def test_it_listens_on_the_loopback_interface_only(s3_server: S3Server) -> None:
    assert urlsplit(s3_server.endpoint_url).hostname == "127.0.0.1"
