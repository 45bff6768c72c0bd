"""No way to tell people: what stands in where no webhook is set."""

from orchestration.ports.alerts import Alert


class NullAlerts:
    """An `Alerts` that takes everything and tells nobody."""

    async def send(self, alert: Alert) -> None:
        """Do nothing; the log and the events have the alert all the same."""
