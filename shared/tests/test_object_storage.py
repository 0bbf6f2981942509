"""The resource for S3: where it finds the server, and how patient it is."""

import os
from urllib.parse import parse_qs, urlsplit

import dagster as dg
import pytest
from botocore.loaders import JSONFileLoader
from types_boto3_s3 import S3Client

from platform_shared.environ import environment_variables
from platform_shared.object_storage import ENDPOINT_VARIABLE, ObjectStorage
from platform_shared.settings import SettingsError


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings but a test's own; a region, as every machine has one."""
    for name in [ENDPOINT_VARIABLE, "PLATFORM_ENVIRONMENT", *(name for name in os.environ if name.startswith("AWS_"))]:
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-environment")


def access_key(client: S3Client) -> str | None:
    """The key that a client signs with; None if it does not sign."""
    url = client.generate_presigned_url("get_object", Params={"Bucket": "shop", "Key": "k"})
    query = parse_qs(urlsplit(url).query)
    if "X-Amz-Credential" in query:
        return query["X-Amz-Credential"][0].split("/")[0]
    return query.get("AWSAccessKeyId", [None])[0]


def test_the_variable_is_read_when_a_client_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = ObjectStorage()
    for port in (1, 2):
        monkeypatch.setenv(ENDPOINT_VARIABLE, f"http://127.0.0.1:{port}")
        assert storage.get_client().meta.endpoint_url == f"http://127.0.0.1:{port}"


def test_an_endpoint_of_its_own_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENDPOINT_VARIABLE, "http://127.0.0.1:1")
    client = ObjectStorage(endpoint_url="https://storage.example").get_client()
    assert client.meta.endpoint_url == "https://storage.example"


@pytest.mark.parametrize("value", [None, ""])
def test_locally_it_says_on_use_what_is_missing(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if value is not None:
        monkeypatch.setenv(ENDPOINT_VARIABLE, value)
    storage = ObjectStorage()
    with pytest.raises(SettingsError, match=r"start `make dev` .* or set PLATFORM_S3_ENDPOINT_URL"):
        storage.get_client()


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_deployed_without_an_endpoint_it_is_the_real_s3(environment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATFORM_ENVIRONMENT", environment)
    client = ObjectStorage().get_client()
    assert client.meta.endpoint_url == "https://s3.eu-central-1.amazonaws.com"
    assert access_key(client) == "from-environment"


@pytest.mark.parametrize("url", ["127.0.0.1:9000", "ftp://storage.example", "http://"])
def test_an_endpoint_that_is_none_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENDPOINT_VARIABLE, url)
    with pytest.raises(SettingsError, match=ENDPOINT_VARIABLE):
        ObjectStorage().get_client()


def test_credentials_in_the_endpoint_are_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENDPOINT_VARIABLE, "http://me:hunter2@127.0.0.1:9000")
    with pytest.raises(SettingsError, match="AWS_ACCESS_KEY_ID") as raised:
        ObjectStorage().get_client()
    assert "hunter2" not in str(raised.value)


def test_patience_is_applied() -> None:
    storage = ObjectStorage(
        endpoint_url="http://127.0.0.1:1", connect_timeout_seconds=1.5, read_timeout_seconds=7, max_attempts=3
    )
    config = storage.get_client().meta.config
    assert (config.connect_timeout, config.read_timeout) == (1.5, 7)
    assert config.retries == {"mode": "standard", "total_max_attempts": 3}


def test_patience_has_an_end_unless_told() -> None:
    config = ObjectStorage(endpoint_url="http://127.0.0.1:1").get_client().meta.config
    assert config.connect_timeout <= 10
    assert config.read_timeout <= 60
    assert config.retries == {"mode": "standard", "total_max_attempts": 5}


@pytest.mark.parametrize("field", ["connect_timeout_seconds", "read_timeout_seconds", "max_attempts"])
def test_no_patience_at_all_is_a_mistake(field: str) -> None:
    with pytest.raises(ValueError, match=field):
        ObjectStorage(**{field: 0})


def test_checksums_of_bodies_stay_on() -> None:
    config = ObjectStorage(endpoint_url="http://127.0.0.1:1").get_client().meta.config
    assert config.response_checksum_validation == "when_supported"


def test_the_fields_of_the_stock_resource_work() -> None:
    storage = ObjectStorage(
        endpoint_url="https://storage.example",
        region_name="eu-west-1",
        aws_access_key_id="of-the-field",
        aws_secret_access_key="secret",
        aws_session_token="token",
    )
    client = storage.get_client()
    url = client.generate_presigned_url("get_object", Params={"Bucket": "shop", "Key": "k"})
    assert access_key(client) == "of-the-field"
    assert "token" in url
    assert client.meta.region_name == "eu-west-1"
    unsigned = ObjectStorage(endpoint_url="https://storage.example", use_unsigned_session=True)
    assert access_key(unsigned.get_client()) is None
    plain = ObjectStorage(use_ssl=False)
    with environment_variables({"PLATFORM_ENVIRONMENT": "staging"}):
        assert plain.get_client().meta.endpoint_url == "http://s3.eu-central-1.amazonaws.com"


def test_a_profile_that_is_not_there_is_an_error() -> None:
    from botocore.exceptions import ProfileNotFound

    with pytest.raises(ProfileNotFound, match="nowhere"):
        ObjectStorage(endpoint_url="https://storage.example", profile_name="nowhere").get_client()


def test_each_client_looks_its_credentials_up_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = ObjectStorage(endpoint_url="http://127.0.0.1:1")
    assert access_key(storage.get_client()) == "from-environment"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the-next")
    assert access_key(storage.get_client()) == "the-next"


def test_the_description_of_s3_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = ObjectStorage(endpoint_url="http://127.0.0.1:1")
    storage.get_client()
    read: list[str] = []
    load = JSONFileLoader.load_file
    monkeypatch.setattr(JSONFileLoader, "load_file", lambda self, path: read.append(path) or load(self, path))
    storage.get_client()
    assert [path for path in read if "service-2" in path] == []


def test_secrets_are_looked_up_at_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OUR_SECRET", raising=False)
    found = []

    @dg.asset
    def asks(storage: ObjectStorage) -> None:
        found.append((access_key(storage.get_client()), storage.aws_secret_access_key))

    resources = {
        "storage": ObjectStorage(
            endpoint_url="https://storage.example",
            aws_access_key_id="of-the-field",
            aws_secret_access_key=dg.EnvVar("OUR_SECRET"),
        )
    }
    with pytest.raises(Exception, match="OUR_SECRET"):
        dg.materialize([asks], resources=resources)
    monkeypatch.setenv("OUR_SECRET", "known-by-now")
    assert dg.materialize([asks], resources=resources).success
    assert found == [("of-the-field", "known-by-now")]


def test_the_context_has_the_resource_itself_and_makes_no_client() -> None:
    found: list[object] = []

    @dg.asset(required_resource_keys={"storage"})
    def asks(context: dg.AssetExecutionContext) -> None:
        found.append(context.resources.storage)

    @dg.sensor(target=[asks], required_resource_keys={"storage"})
    def looks(context: dg.SensorEvaluationContext) -> None:
        found.append(context.resources.storage)

    # Locally without an endpoint: a client made here would be an error.
    assert dg.materialize([asks], resources={"storage": ObjectStorage()}).success
    with dg.build_sensor_context(resources={"storage": ObjectStorage()}) as context:
        looks.evaluate_tick(context)
    assert [type(each) for each in found] == [ObjectStorage, ObjectStorage]
