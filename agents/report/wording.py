"""How the page writes names, moments, money and numbers."""

from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from zoneinfo import ZoneInfo

_KEPT = {"fomc": "FOMC", "vix": "VIX", "id": "ID", "pnl": "P&L", "us": "US"}
_MINUS = "\u2212"


def spoken(name: str) -> str:
    """Return ``pre_market`` as ``Pre market``, ``fomc_preview`` as ``FOMC preview``."""
    words = [_KEPT.get(word, word) for word in name.replace("_", " ").split()]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def local_time(moment: datetime, zone: ZoneInfo) -> str:
    """Return the exchange's wall-clock time, with seconds where it has them."""
    local = moment.astimezone(zone)
    return f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"


def utc_time(moment: datetime) -> str:
    """Return the time in UTC with a Z."""
    utc = moment.astimezone(UTC)
    return f"{utc:%H:%M:%SZ}" if utc.second else f"{utc:%H:%MZ}"


def instant(moment: datetime) -> str:
    """Return ISO 8601 in UTC, for machines and tooltips."""
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}{f'.{utc.microsecond:06d}' if utc.microsecond else ''}Z"


def long_date(day: date) -> str:
    """Return ``Wednesday, 12 December 2012``."""
    return f"{day:%A}, {day.day} {day:%B %Y}"


def short_date(day: date) -> str:
    """Return ``Wed 12 Dec 2012``."""
    return f"{day:%a} {day.day} {day:%b %Y}"


def money(amount: Decimal) -> str:
    """Return ``1,234.50``; a real minus sign before a debt."""
    return _signed(f"{_cents(amount):,.2f}")


def change(amount: Decimal) -> str:
    """Return money with its sign always shown, but for nothing."""
    text = money(amount)
    return f"+{text}" if _cents(amount) > 0 else text


def percent(share: Decimal | float, digits: int = 2) -> str:
    """Return a share as per cent: 0.25 is ``25.00 %``."""
    return _signed(f"{float(share) * 100 + 0.0:,.{digits}f}") + "\u202f%"


def percent_change(share: Decimal | float, digits: int = 2) -> str:
    """Return a share as per cent with its sign always shown, but for nothing."""
    text = percent(share, digits)
    return f"+{text}" if round(float(share), digits + 2) > 0 else text


def quantity(amount: Decimal) -> str:
    """Return a number of units with thousands separators and no idle zeros."""
    text = f"{amount:,f}"
    return _signed(text.rstrip("0").rstrip(".") if "." in text else text)


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), rounding=ROUND_HALF_EVEN) + 0


def _signed(text: str) -> str:
    """Return a number with a real minus sign, and none before a zero."""
    if not text.startswith("-"):
        return text
    return _MINUS + text[1:] if text.strip("-0.,") else text[1:]
