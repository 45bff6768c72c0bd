"""When a day counts as volatile."""

from dataclasses import dataclass

HIGH_VOLATILITY = 0.40
"""The annualised volatility (0.40 is 40 %) over which a day is `high_volatility`, unless the desk says otherwise."""

NOT_JUDGED = "high_volatility was not judged: too few prices are known up to the session before"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """``high`` is ``None`` when it could not be judged; ``reason`` says what it was judged by."""

    high: bool | None
    reason: str


def judge(realised: float | None, threshold: float = HIGH_VOLATILITY) -> Verdict:
    """Judge a realised volatility of the last 20 days, annualised, up to the session before; ``None``: no prices."""
    if realised is None:
        return Verdict(high=None, reason=NOT_JUDGED)
    relation = "over" if realised > threshold else "not over"
    return Verdict(
        high=realised > threshold,
        reason=f"20-day realised volatility of {realised:.1%} is {relation} {threshold:.1%}",
    )
