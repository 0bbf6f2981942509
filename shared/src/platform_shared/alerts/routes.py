"""Where the messages of a location go: its webhook if one is set, else the log."""

import logging
import re

import dagster as dg
import requests

from platform_shared.ledger import Message
from platform_shared.settings import environment

WEBHOOK_VARIABLE = "PLATFORM_ALERT_WEBHOOK"
_TIMEOUT_SECONDS = 10


class AlertRoutes(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Sends messages.

    The webhook of location `batch` is in the environment variable PLATFORM_ALERT_WEBHOOK_BATCH, the one for all others
    in PLATFORM_ALERT_WEBHOOK; both are secrets, read when a message is sent. Without either it goes to the log.
    """

    def send(self, message: Message, log: logging.Logger) -> None:
        """Sends one message. Raises RuntimeError, without the webhook's address, if its receiver does not accept it."""
        own = f"{WEBHOOK_VARIABLE}_{re.sub(r'[^A-Z0-9]', '_', message.route.upper())}"
        variable = own if dg.EnvVar(own).get_value() else WEBHOOK_VARIABLE
        url = dg.EnvVar(variable).get_value()
        if not url:
            log.error(f"[{message.route}] {message.subject}\n{message.body}")
            return
        # `text` is what chat systems show; `key` lets a receiver drop what it has seen.
        payload = {
            "key": message.key,
            "route": message.route,
            "environment": environment(),
            "subject": message.subject,
            "body": message.body,
            "text": f"*{message.subject}*\n{message.body}",
        }
        try:
            response = requests.post(url, json=payload, timeout=_TIMEOUT_SECONDS)
        except requests.RequestException as error:
            raise RuntimeError(f"The webhook of {variable} cannot be reached ({type(error).__name__}).") from None
        if not response.ok:
            raise RuntimeError(f"The webhook of {variable} answered {response.status_code}.")
