"""Messages to the teams: who owns what happened, and where their messages go."""

from platform_shared.alerts.failures import RunFailure, run_failure_message
from platform_shared.alerts.routes import AlertRoutes

__all__ = ["AlertRoutes", "RunFailure", "run_failure_message"]
