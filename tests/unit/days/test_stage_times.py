"""Stages hang on the session; the desk's hours only narrow it."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.days.stage_times import StageLengths, StageName, narrow, stage_at, stage_times, whole
from orchestration.domain.errors import DefinitionError
from orchestration.domain.session import Interval, Session

NEW_YORK = ZoneInfo("America/New_York")
TOKYO = ZoneInfo("Asia/Tokyo")
OPEN = datetime(2012, 12, 12, 14, 30, tzinfo=UTC)


def session(
    length: timedelta = timedelta(hours=6, minutes=30),
    opens_at: datetime = OPEN,
    zone: ZoneInfo = NEW_YORK,
    breaks: tuple[Interval, ...] = (),
    early_close: bool = False,
) -> Session:
    return Session(
        calendar="XNYS",
        date=date(2012, 12, 12),
        opens_at=opens_at,
        closes_at=opens_at + length,
        timezone=zone,
        breaks=breaks,
        early_close=early_close,
    )


def local(moment: datetime) -> str:
    return f"{moment.astimezone(NEW_YORK):%H:%M}"


def test_a_full_new_york_day_has_the_stages_of_document_003() -> None:
    stages = {s.name.value: (local(s.span.starts_at), local(s.span.ends_at)) for s in stage_times(session())}
    assert stages == {
        "pre_market": ("06:00", "09:30"),
        "market_open": ("09:30", "10:30"),
        "intraday": ("10:30", "15:00"),
        "close": ("15:00", "16:00"),
        "post_market": ("16:00", "18:00"),
    }


@given(minutes=st.integers(1, 24 * 60))
def test_stages_follow_each_other_without_gaps_and_cover_the_session(minutes: int) -> None:
    stages = stage_times(session(timedelta(minutes=minutes)))
    assert [s.name for s in stages] == [n for n in StageName if n in {s.name for s in stages}]
    assert all(a.span.ends_at == b.span.starts_at for a, b in pairwise(stages))
    spans = {s.name: s.span for s in stages}
    assert spans[StageName.MARKET_OPEN].starts_at == OPEN
    assert spans[StageName.CLOSE].ends_at == OPEN + timedelta(minutes=minutes)
    expected = timedelta(hours=1) if minutes >= 120 else timedelta(minutes=minutes) / 4
    assert spans[StageName.MARKET_OPEN].length == spans[StageName.CLOSE].length == expected


def test_a_session_of_two_hours_leaves_nothing_for_intraday() -> None:
    assert StageName.INTRADAY not in {s.name for s in stage_times(session(timedelta(hours=2)))}


def test_lengths_that_do_not_fit_give_way_to_quarters() -> None:
    lengths = StageLengths(market_open=timedelta(hours=4), close=timedelta(hours=4))
    spans = {s.name: s.span for s in stage_times(session(timedelta(hours=6)), lengths)}
    assert spans[StageName.INTRADAY].length == timedelta(hours=3)


def test_a_stage_without_length_is_missing() -> None:
    stages = stage_times(session(), StageLengths(pre_market=timedelta()))
    assert stages[0].name is StageName.MARKET_OPEN
    assert whole(stages).starts_at == OPEN


def test_a_moment_belongs_to_the_stage_that_it_starts() -> None:
    stages = stage_times(session())
    found = stage_at(stages, OPEN)
    assert found
    assert found.name is StageName.MARKET_OPEN
    assert stage_at(stages, OPEN - timedelta(hours=5)) is None


def narrowed(given: Session, opens: time | None, closes: time | None, zone: ZoneInfo = NEW_YORK) -> tuple[str, str]:
    found = narrow(given, opens, closes, zone)
    return f"{found.opens_at:%d %H:%M}", f"{found.closes_at:%d %H:%M}"


def test_without_hours_of_its_own_the_desk_has_the_exchange_s() -> None:
    assert narrow(session(), None, None, NEW_YORK) == session()


@pytest.mark.parametrize(
    ("opens", "closes", "expected"),
    [
        (time(10), time(15), ("12 15:00", "12 20:00")),
        (time(10), None, ("12 15:00", "12 21:00")),
        (None, time(15), ("12 14:30", "12 20:00")),
        (time(4), time(20), ("12 14:30", "12 21:00")),
    ],
)
def test_hours_narrow_and_never_widen(opens: time | None, closes: time | None, expected: tuple[str, str]) -> None:
    assert narrowed(session(), opens, closes) == expected


def test_where_the_exchange_closes_earlier_the_exchange_wins() -> None:
    early = session(timedelta(hours=3, minutes=30), early_close=True)
    found = narrow(early, time(9, 30), time(16), NEW_YORK)
    assert found.closes_at == early.closes_at
    assert found.early_close


def test_a_desk_may_give_tokyo_s_hours_in_new_york_time() -> None:
    tokyo = session(timedelta(hours=6), datetime(2012, 12, 12, tzinfo=UTC), TOKYO)
    assert narrowed(tokyo, time(20), time(0, 30)) == ("12 01:00", "12 05:30")
    assert narrowed(tokyo, time(20), None) == ("12 01:00", "12 06:00")


def test_office_hours_cut_a_day_that_never_closes() -> None:
    always = session(timedelta(hours=24), datetime(2012, 12, 12, tzinfo=UTC), ZoneInfo("UTC"))
    assert narrowed(always, time(9, 30), time(16)) == ("12 14:30", "12 21:00")
    assert narrowed(always, time(9, 30), None) == ("12 14:30", "13 00:00")


def test_hours_overnight_belong_to_the_session_that_they_share_most_with() -> None:
    futures = session(timedelta(hours=23), datetime(2012, 12, 11, 23, tzinfo=UTC))
    assert narrowed(futures, time(18), time(17)) == ("11 23:00", "12 22:00")


def test_breaks_are_cut_to_the_desk_s_hours() -> None:
    start = datetime(2012, 12, 12, tzinfo=UTC)
    lunch = Interval(starts_at=start + timedelta(hours=2, minutes=30), ends_at=start + timedelta(hours=3, minutes=30))
    tokyo = session(timedelta(hours=6), start, TOKYO, (lunch,))
    (found,) = narrow(tokyo, time(12), time(14), TOKYO).breaks
    assert (found.starts_at, found.ends_at) == (start + timedelta(hours=3), lunch.ends_at)
    assert narrow(tokyo, time(13), None, TOKYO).breaks == ()


def test_hours_that_leave_nothing_are_refused_with_the_settings_to_change() -> None:
    with pytest.raises(
        DefinitionError, match=r"17:00:00 to 18:00:00 .* leave nothing .* 09:30 to 16:00; change MARKET"
    ):
        narrow(session(), time(17), time(18), NEW_YORK)
    with pytest.raises(DefinitionError, match="17:00:00 to the close"):
        narrow(session(), time(17), None, NEW_YORK)
