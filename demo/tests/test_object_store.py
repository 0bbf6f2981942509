import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from types_boto3_s3 import S3Client

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts the command; what still runs at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def popen(*options: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "demo_world.object_store", *options]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield popen
    for process in started:
        process.kill()
        process.communicate()


def endpoint(store: "subprocess.Popen[str]") -> str:
    """Where it serves, as it says."""
    assert store.stdout is not None
    return store.stdout.readline().split()[-1]


def connect(endpoint_url: str) -> S3Client:
    return boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="demo",
        aws_secret_access_key="demo",
        config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_says_one_line_and_ends_when_asked(start: Start, number: signal.Signals) -> None:
    store = start()
    client = connect(endpoint(store))
    client.create_bucket(Bucket="shop")
    client.put_object(Bucket="shop", Key="k", Body=b"body")
    assert client.get_object(Bucket="shop", Key="k")["Body"].read() == b"body"
    store.send_signal(number)
    assert store.communicate(timeout=30) == ("", "")
    assert store.returncode == 0


def test_its_bucket_keeps_all_versions(start: Start) -> None:
    client = connect(endpoint(start()))
    assert [bucket["Name"] for bucket in client.list_buckets()["Buckets"]] == ["retailer"]
    assert client.get_bucket_versioning(Bucket="retailer")["Status"] == "Enabled"


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"Origin": "null"}])
def test_what_a_web_page_sends_is_refused(start: Start, headers: dict[str, str]) -> None:
    where = endpoint(start())
    connect(where).put_object(Bucket="retailer", Key="k", Body=b"body")
    for method, path in [("PUT", "/retailer/k"), ("POST", "/moto-api/reset"), ("OPTIONS", "/retailer/k"), ("GET", "/")]:
        connection = HTTPConnection(urlsplit(where).netloc, timeout=30)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (403, None)
        connection.close()
    assert connect(where).get_object(Bucket="retailer", Key="k")["Body"].read() == b"body"


def test_started_again_on_its_port_it_has_forgotten_all(start: Start) -> None:
    store = start()
    where = endpoint(store)
    connect(where).put_object(Bucket="retailer", Key="k", Body=b"body")
    store.kill()
    store.wait()
    again = start("--port", str(urlsplit(where).port))
    assert endpoint(again) == where
    assert connect(where).list_objects_v2(Bucket="retailer")["KeyCount"] == 0


def test_a_taken_port_is_said_without_a_traceback(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        store = start("--port", str(port))
        output, errors = store.communicate(timeout=30)
    assert (store.returncode, output) == (1, "")
    assert f"Port {port} is in use" in errors
    assert "Traceback" not in errors


def test_it_listens_on_the_loopback_interface_only(start: Start) -> None:
    assert urlsplit(endpoint(start())).hostname == "127.0.0.1"
