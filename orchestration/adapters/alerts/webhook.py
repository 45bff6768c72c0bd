"""Alerts as Slack-shaped JSON, posted to a webhook."""

import logging
from datetime import timedelta
from typing import Any

import httpx
import orjson
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, wait_exponential

from orchestration.domain.errors import DefinitionError, FinalError, TransientError
from orchestration.ports.alerts import Alert
from orchestration.ports.clock import Clock

ATTEMPTS = 5
ATTEMPT_LIMIT_S = 10.0
LONGEST_WAIT_S = 60.0
LONGEST_TEXT = 2900
"""Slack takes 3,000 characters a section; the longest stacks are cut in the middle."""

_WORTH_A_RETRY = frozenset({408, 425, 429})
_backoff = wait_exponential(multiplier=1, max=LONGEST_WAIT_S)


class _NotTakenError(TransientError):
    """One attempt that may go better next time; the other side may ask to be left alone for ``wait_s`` seconds."""

    def __init__(self, why: str, wait_s: float = 0.0) -> None:
        self.wait_s = wait_s
        super().__init__(f"the alert webhook {why}")


class WebhookAlerts:
    """An `Alerts` over HTTP. Use it as an async context manager: it holds the connection.

    The address is a credential: it is in no log line and in no error. ``mode`` (paper or live) stands in every
    message. An attempt may take 10 s; after 1, 2, 4 and 8 s, or what a ``Retry-After`` asks for, comes the next one.
    Redirects are not followed. Raises `DefinitionError` for an address that is none.
    """

    def __init__(self, url: str, *, clock: Clock, mode: str) -> None:
        self._url = _checked(url)
        self._clock = clock
        self._mode = mode
        self._silence = _WithoutAddress(self._url)
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> "WebhookAlerts":
        logging.getLogger("httpx").addFilter(self._silence)
        self._client = httpx.AsyncClient(timeout=None)  # noqa: S113 (the clock limits the whole attempt, not its steps)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._client is not None:
            await self._client.aclose()
        self._client = None
        logging.getLogger("httpx").removeFilter(self._silence)

    async def send(self, alert: Alert) -> None:
        """Post ``alert``, at most `ATTEMPTS` times. Raises what `Alerts.send` says."""
        body = orjson.dumps(slack_message(alert, self._mode))
        attempts = AsyncRetrying(
            sleep=self._sleep,
            stop=stop_after_attempt(ATTEMPTS),
            wait=_wait,
            retry=retry_if_exception_type(TransientError),
            reraise=True,
        )
        await attempts(self._post, body)

    async def _post(self, body: bytes) -> None:
        if self._client is None:
            raise RuntimeError("use WebhookAlerts as an async context manager")
        headers = {"Content-Type": "application/json"}
        try:
            async with (
                self._clock.timeout(ATTEMPT_LIMIT_S),
                self._client.stream("POST", self._url, content=body, headers=headers) as answer,
            ):
                _judge(answer)  # the body is never read: whatever it is, it could be endless
        except TimeoutError:
            raise _NotTakenError(f"did not answer within {ATTEMPT_LIMIT_S:g} s") from None
        except httpx.TransportError as error:  # its text may hold the address
            raise _NotTakenError(f"could not be reached ({type(error).__name__})") from None

    async def _sleep(self, seconds: float) -> None:
        await self._clock.sleep_until(self._clock.now() + timedelta(seconds=seconds))


def slack_message(alert: Alert, mode: str) -> dict[str, Any]:
    """Return what Slack, and whatever takes the same, shows: a line for the notification, and blocks for the page."""
    first, _, rest = alert.message.partition("\n")
    times = f" ({alert.count} times)" if alert.count > 1 else ""
    section = f"*{_escaped(alert.source)}*: {_escaped(first)}"
    if rest.strip():
        section += f"\n```\n{_escaped(rest.strip(chr(10)))}\n```"
    facts = [f"mode {mode}", alert.at.isoformat(timespec="seconds").replace("+00:00", "Z")]
    if alert.count > 1:
        facts.append(f"{alert.count} times since the last message")
    if alert.execution_id is not None:
        facts.append(f"execution {_escaped(alert.execution_id)}")
    return {
        "text": _shortened(f"Belltower ({mode}) {_escaped(alert.source)}: {_escaped(first)}{times}"),
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": _shortened(section)}},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": " · ".join(facts)}]},
        ],
    }


class _WithoutAddress(logging.Filter):
    """Keeps back the lines of httpx that tell where a request went, for one address."""

    def __init__(self, url: httpx.URL) -> None:
        super().__init__()
        self._url = str(url)

    def filter(self, record: logging.LogRecord) -> bool:
        return self._url not in record.getMessage()


def _checked(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text.strip())
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in {"http", "https"} or not url.host:
        raise DefinitionError("ALERT_WEBHOOK_URL is no http or https address; write one like https://host/path")
    return url


def _judge(answer: httpx.Response) -> None:
    status = answer.status_code
    if answer.is_success:
        return
    if status >= 500 or status in _WORTH_A_RETRY:
        raise _NotTakenError(f"answered {status}", _retry_after(answer.headers.get("Retry-After", "")))
    raise FinalError(f"the alert webhook answered {status}: see whether ALERT_WEBHOOK_URL is still right")


def _retry_after(text: str) -> float:
    """The seconds that the other side asks for; the form with a date is not used by webhooks and counts as none."""
    return min(float(text), LONGEST_WAIT_S) if text.isascii() and text.isdigit() else 0.0


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.wait_s if isinstance(error, _NotTakenError) else 0.0
    return max(_backoff(state), asked)


def _escaped(text: str) -> str:
    """Slack's three: else ``<!channel>`` in a message would call everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _shortened(text: str) -> str:
    if len(text) <= LONGEST_TEXT:
        return text
    half = LONGEST_TEXT // 2
    return f"{text[: half - 2]} … {text[-half + 1 :]}"
