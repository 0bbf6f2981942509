"""Delivers a file over HTTP, and says of a failure whether it may pass."""

import dagster as dg

ADDRESS_VARIABLE = "PLATFORM_REPORTS_URL"
TOKEN_VARIABLE = "PLATFORM_REPORTS_TOKEN"
_MAY_PASS = frozenset({408, 425, 429})


class RefusedError(Exception):
    """The destination will not take it, however often it is asked."""


class UnavailableError(Exception):
    """The destination did not take it this time."""


def judge(status: int) -> type[Exception] | None:
    """What an HTTP status says of a PUT: None if it is done. Pure.

    Timeouts, too many requests and errors of the server may pass (RFC 9110, RFC 6585); a redirect is a wrong address.
    """
    if 200 <= status < 300:
        return None
    return UnavailableError if status in _MAY_PASS or status >= 500 else RefusedError


class ReportDestination(dg.ConfigurableResource):  # type: ignore[type-arg]
    """A folder that takes files by HTTP PUT, such as WebDAV or a bucket behind a gateway.

    Its address is in the environment variable PLATFORM_REPORTS_URL, a bearer token, if it wants one, in
    PLATFORM_REPORTS_TOKEN; both are secrets, read when they are used. Without an address nothing is delivered.
    """

    timeout_seconds: float = 30

    def is_named(self) -> bool:
        return bool(dg.EnvVar(ADDRESS_VARIABLE).get_value())

    def put(self, name: str, content: bytes, content_type: str) -> None:
        """Puts a file under this name, over what was there. Raises RefusedError and UnavailableError, without the
        address."""
        import requests

        address = (dg.EnvVar(ADDRESS_VARIABLE).get_value() or "").rstrip("/")
        token = dg.EnvVar(TOKEN_VARIABLE).get_value()
        headers = {"Content-Type": content_type, **({"Authorization": f"Bearer {token}"} if token else {})}
        try:
            answer = requests.put(
                f"{address}/{name}", content, headers=headers, timeout=self.timeout_seconds, allow_redirects=False
            )
        except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema, requests.exceptions.InvalidSchema):
            raise RefusedError(f"{ADDRESS_VARIABLE} is no http address. Set it as http(s)://host/folder.") from None
        except requests.RequestException as error:
            raise UnavailableError(
                f"The address in {ADDRESS_VARIABLE} gives no answer: {type(error).__name__}."
            ) from None
        wrong = judge(answer.status_code)
        if wrong is not None:
            raise wrong(f"The address in {ADDRESS_VARIABLE} answered {answer.status_code} to {name}.")
