"""The delivery of the sales report: what is tried again and what is not, and what the sensor makes of events."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import dagster as dg
import pytest

from batch.defs.report_delivery import REPORT, deliver_sales_report, sales_report_delivery_job
from batch.report_delivery import (
    ADDRESS_VARIABLE,
    TOKEN_VARIABLE,
    RefusedError,
    ReportDestination,
    UnavailableError,
    judge,
)
from platform_shared.files import write_atomically
from platform_shared.resources import PlatformFolders

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
KEY = dg.AssetKey(["reports", "sales_report"])
SENSOR = "sales_report_built_sensor"


class Shelf:
    """What was put, by path; it answers with `answers` in order, then with 201."""

    def __init__(self, address: str) -> None:
        self.address, self.answers, self.asked, self.files, self.tokens = address, [], 0, {}, set()


@contextmanager
def serving() -> Iterator[Shelf]:
    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            shelf.asked += 1
            status = shelf.answers.pop(0) if shelf.answers else 201
            if status < 300:
                shelf.files[self.path] = body
                shelf.tokens.add(self.headers.get("Authorization"))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    shelf = Shelf(f"http://127.0.0.1:{server.server_address[1]}/shelf")
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield shelf
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def shelf(monkeypatch, platform_home):
    write_atomically(platform_home.reports / REPORT, "<p>sales</p>")
    with serving() as shelf:
        monkeypatch.setenv(ADDRESS_VARIABLE, shelf.address)
        yield shelf


@pytest.fixture
def no_pauses(monkeypatch):
    """The tries for which the policy was asked for a pause, which nobody waits."""
    asked = []
    monkeypatch.setattr(dg.RetryPolicy, "calculate_delay", lambda policy, attempt: asked.append(attempt) or 0)
    return asked


def test_an_outage_of_a_minute_is_waited_out():
    policy = deliver_sales_report.retry_policy
    longest = [(2**attempt - 1) * policy.delay for attempt in range(1, policy.max_retries + 1)]
    assert longest == [2, 6, 14, 30]
    for attempt, pause in enumerate(longest, 1):
        # Within the jitter.
        assert 0 <= policy.calculate_delay(attempt) <= 2 * pause


def deliver():
    resources = {"destination": ReportDestination(), "folders": PlatformFolders()}
    return sales_report_delivery_job.execute_in_process(resources=resources, raise_on_error=False)


def failure(result):
    (event,) = (event for event in result.all_events if event.is_step_failure)
    return event.step_failure_data.error.message


@pytest.mark.parametrize(
    ("status", "means"),
    [
        *((status, None) for status in (200, 204)),
        *((status, RefusedError) for status in (301, 401, 404, 413)),
        *((status, UnavailableError) for status in (408, 429, 500, 503)),
    ],
)
def test_what_may_pass_and_what_not(status, means):
    assert judge(status) is means


def test_the_newest_report_is_put_with_the_token(shelf, monkeypatch):
    monkeypatch.setenv(TOKEN_VARIABLE, "s3cret")
    assert deliver().success
    assert shelf.files == {f"/shelf/{REPORT}": b"<p>sales</p>"}
    assert shelf.tokens == {"Bearer s3cret"}


def test_what_may_pass_is_tried_again_with_pauses(shelf, no_pauses):
    shelf.answers = [503, 429]
    assert deliver().success
    assert shelf.files
    assert (shelf.asked, no_pauses) == (3, [1, 2])


def test_an_outage_ends_the_tries(shelf, no_pauses):
    shelf.answers = [503] * 100
    assert not deliver().success
    assert shelf.asked == 5


def test_what_cannot_pass_is_not_tried_again_and_names_the_setting_and_no_secret(shelf, no_pauses):
    shelf.answers = [403]
    result = deliver()
    assert (result.success, shelf.asked, no_pauses) == (False, 1, [])
    assert ADDRESS_VARIABLE in failure(result)
    assert shelf.address not in failure(result)


def test_no_report_yet_is_said(shelf, platform_home, no_pauses):
    (platform_home.reports / REPORT).unlink()
    result = deliver()
    assert "build reports/sales_report" in failure(result)
    assert no_pauses == []


@pytest.mark.parametrize("address", ["shelf.example/here", "ftp://shelf.example", "http://"])
def test_a_wrong_address_is_refused(shelf, monkeypatch, no_pauses, address):
    monkeypatch.setenv(ADDRESS_VARIABLE, address)
    result = deliver()
    assert "Set it as http(s)://host/folder" in failure(result)
    assert no_pauses == []


def test_nobody_at_the_address_may_pass(shelf, monkeypatch, no_pauses):
    with serving() as gone:
        monkeypatch.setenv(ADDRESS_VARIABLE, gone.address)
    result = deliver()
    assert not result.success
    assert sum(event.is_step_up_for_retry for event in result.all_events) == 4


@pytest.fixture
def daemon(daemon_harness):
    return daemon_harness({"batch": "batch.definitions"}, NOW)


def look(daemon, **options):
    daemon.advance(timedelta(minutes=16))
    (tick,) = daemon.tick_sensors(SENSOR)
    return tick, daemon.execute_runs(**options)


def test_each_build_is_delivered_once_and_of_several_the_newest(shelf, daemon):
    assert not look(daemon)[1]
    for _ in range(3):
        daemon.report(KEY)
    assert [run.status for run in look(daemon)[1]] == [dg.DagsterRunStatus.SUCCESS]
    assert not look(daemon)[1]
    daemon.report(KEY)
    assert len(look(daemon)[1]) == 1
    assert shelf.asked == 2


def test_without_an_address_nothing_is_asked_for(shelf, daemon, monkeypatch):
    monkeypatch.delenv(ADDRESS_VARIABLE)
    daemon.report(KEY)
    tick, runs = look(daemon)
    assert (tick.skip_reason, runs) == (f"Nobody wants the sales report: {ADDRESS_VARIABLE} is not set.", [])


def test_a_delivery_that_waits_takes_the_next_build_too(shelf, daemon):
    daemon.report(KEY)
    daemon.advance(timedelta(minutes=16))
    daemon.tick_sensors(SENSOR)
    daemon.report(KEY)
    tick, runs = look(daemon)
    assert "a run is waiting already" in tick.skip_reason
    assert len(runs) == 1


def test_a_failed_delivery_is_followed_by_the_one_of_the_next_build(shelf, daemon):
    shelf.answers = [403]
    daemon.report(KEY)
    (run,) = look(daemon, may_fail=True)[1]
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert not daemon.tick_retries()
    assert not look(daemon)[1]
    daemon.report(KEY)
    assert [run.status for run in look(daemon)[1]] == [dg.DagsterRunStatus.SUCCESS]
