"""Asks Dagster's webserver, whose GraphQL knows the definitions of all locations."""

import json
from collections.abc import Mapping
from typing import Any

WEBSERVER_VARIABLE = "PLATFORM_WEBSERVER_URL"
"""Where the webserver is, its path prefix included; `make dev` sets it for what it starts."""


class WebserverError(RuntimeError):
    """There was no answer, or it was an error; the message says which, without the address."""


def ask(url: str, query: str, variables: Mapping[str, Any], *, seconds: float = 10.0) -> dict[str, Any]:
    """The `data` of the answer to a GraphQL query. Raises WebserverError."""
    import requests

    try:
        response = requests.post(
            f"{url.rstrip('/')}/graphql", json={"query": query, "variables": dict(variables)}, timeout=seconds
        )
        answer = response.json()
    except requests.RequestException as error:
        raise WebserverError(
            f"The webserver of {WEBSERVER_VARIABLE} gave no answer ({type(error).__name__})."
        ) from None
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), dict):
        errors = answer.get("errors") if isinstance(answer, dict) else None
        told = errors[0].get("message") if errors else json.dumps(answer)[:500]
        raise WebserverError(f"The webserver answered: {told}")
    return dict(answer["data"])
