"""The platform's S3. Importing this module imports boto3: only locations that read or write objects do."""

import os
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.loaders import Loader
from dagster_aws.s3 import S3Resource
from pydantic import Field

from platform_shared.settings import Environment, NotSetUpError, SettingsError, environment

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

ENDPOINT_VARIABLE = "PLATFORM_S3_ENDPOINT_URL"


class ObjectStorage(S3Resource):
    """S3 with timeouts and bounded retries. `ObjectStorage()` is the platform's: PLATFORM_S3_ENDPOINT_URL names the
    server; without it the real S3 is meant, except in the environment `local`, where that is an error on use.

    Credentials come from where AWS looks for them (AWS_ACCESS_KEY_ID, a role, …), or from fields given as `dg.EnvVar`.
    """

    connect_timeout_seconds: float = Field(default=5, gt=0, description="Wait for a connection, for each try.")
    read_timeout_seconds: float = Field(default=30, gt=0, description="Wait for the next bytes, for each try.")
    max_attempts: int = Field(default=5, gt=0, description="Tries of one request in all, with growing pauses.")

    def get_client(self) -> "S3Client":
        """A new client; it may be shared by threads. Raises SettingsError where the settings cannot be right."""
        session = boto3.session.Session(profile_name=self.profile_name, botocore_session=_session())
        config = Config(
            connect_timeout=self.connect_timeout_seconds,
            read_timeout=self.read_timeout_seconds,
            # Not `max_attempts`: botocore adds the first try to that.
            retries={"total_max_attempts": self.max_attempts, "mode": "standard"},
            signature_version=UNSIGNED if self.use_unsigned_session else None,
        )
        return session.client(
            "s3",
            region_name=self.region_name,
            use_ssl=self.use_ssl,
            verify=self.verify,
            endpoint_url=self._endpoint(),
            aws_access_key_id=self.aws_access_key_id,
            aws_secret_access_key=self.aws_secret_access_key,
            aws_session_token=self.aws_session_token,
            config=config,
        )

    def get_object_to_set_on_execution_context(self) -> "ObjectStorage":
        """`context.resources` has the resource itself, as a typed parameter does: no client before one is used."""
        return self

    def _endpoint(self) -> str | None:
        url = self.endpoint_url or os.environ.get(ENDPOINT_VARIABLE)
        if not url:
            if environment() is Environment.LOCAL:
                raise NotSetUpError(
                    f"No S3 to use: start `make dev` (its demo world serves S3) or set {ENDPOINT_VARIABLE}."
                )
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(f"The S3 endpoint must be http://host or https://host; look at {ENDPOINT_VARIABLE}.")
        if parts.username or parts.password:
            # Error messages name the endpoint, and logs keep them.
            raise SettingsError(
                f"The S3 endpoint (look at {ENDPOINT_VARIABLE}) must not hold credentials: set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY."
            )
        return url


def _session() -> botocore.session.Session:
    """A session of its own, so that credentials are looked up anew. The description of S3 is read from disk once a
    process: that is 50 ms of the 60 that a client takes, and a sensor needs one at every tick."""
    session = botocore.session.get_session()
    session.register_component("data_loader", _loader())
    return session


@cache
def _loader() -> Loader:
    loader: Loader = botocore.session.get_session().get_component("data_loader")
    return loader
