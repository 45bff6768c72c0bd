"""Which day holds a statement, and the windows around it."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from orchestration.days import fomc
from orchestration.days.fomc import FomcMeeting, FomcSchedule, FomcSurprise, FomcWindows
from orchestration.domain.session import Interval

STATEMENT = datetime(2012, 12, 12, 17, 30, tzinfo=UTC)
CONFERENCE = datetime(2012, 12, 12, 19, 15, tzinfo=UTC)
DAY = Interval(starts_at=datetime(2012, 12, 12, 11, tzinfo=UTC), ends_at=datetime(2012, 12, 12, 23, tzinfo=UTC))


def meeting(*, cancelled: bool = False, statement: datetime = STATEMENT) -> FomcMeeting:
    return FomcMeeting(
        decision=date(2012, 12, 12), statement=statement, press_conference=CONFERENCE, cancelled=cancelled
    )


def schedule(*meetings: FomcMeeting, surprises: tuple[FomcSurprise, ...] = ()) -> FomcSchedule:
    return FomcSchedule(
        first=date(2006, 1, 1), last=date(2028, 1, 31), file="fomc.json", meetings=meetings, surprises=surprises
    )


def test_a_statement_at_the_end_of_a_day_is_no_longer_in_it() -> None:
    assert fomc.meetings_in(schedule(meeting()), DAY) == (meeting(),)
    assert fomc.meetings_in(schedule(meeting(statement=DAY.starts_at)), DAY)
    assert not fomc.meetings_in(schedule(meeting(statement=DAY.ends_at)), DAY)


def test_a_cancelled_meeting_does_not_count() -> None:
    cancelled = schedule(meeting(cancelled=True))
    assert fomc.meetings_in(cancelled, DAY) == ()
    assert fomc.restrictions_in(cancelled, FomcWindows(), DAY) == ()


@given(before=st.integers(1, 90), after=st.integers(1, 90), conference=st.integers(1, 120))
def test_windows_are_half_open_and_as_long_as_asked(before: int, after: int, conference: int) -> None:
    windows = FomcWindows(
        before_statement=timedelta(minutes=before),
        after_statement=timedelta(minutes=after),
        press_conference=timedelta(minutes=conference),
    )
    said, asked = fomc.restrictions(meeting(), windows)
    moment = timedelta(microseconds=1)
    assert not said.holds(STATEMENT - before * timedelta(minutes=1) - moment)
    assert said.holds(STATEMENT - before * timedelta(minutes=1))
    assert said.holds(STATEMENT + after * timedelta(minutes=1) - moment)
    assert not said.holds(STATEMENT + after * timedelta(minutes=1))
    assert not asked.holds(CONFERENCE - moment)
    assert asked.holds(CONFERENCE)
    assert not asked.holds(CONFERENCE + conference * timedelta(minutes=1))


def test_without_a_press_conference_there_is_one_window() -> None:
    quiet = FomcMeeting(decision=date(2012, 10, 24), statement=STATEMENT)
    assert len(fomc.restrictions(quiet, FomcWindows())) == 1


def test_a_window_that_reaches_into_the_day_counts_without_its_statement() -> None:
    late = Interval(starts_at=STATEMENT + timedelta(minutes=14), ends_at=STATEMENT + timedelta(hours=1))
    assert fomc.meetings_in(schedule(meeting()), late) == ()
    assert [r.reason for r in fomc.restrictions_in(schedule(meeting()), FomcWindows(), late)] == ["FOMC statement"]


def test_a_surprise_counts_when_its_moment_is_known() -> None:
    known = FomcSurprise(date=date(2012, 12, 12), statement=STATEMENT, what="emergency cut")
    unknown = FomcSurprise(date=date(2012, 12, 12), statement=None, what="call")
    assert fomc.surprises_in([known, unknown], DAY) == (known,)


def test_a_date_outside_the_file_is_never_a_quiet_no() -> None:
    assert schedule().warning(date(2006, 1, 1)) is None
    assert schedule().warning(date(2028, 1, 31)) is None
    expected = "fomc.json covers 2006-01-01 to 2028-01-31: whether 2028-02-01 is an FOMC day is not known"
    assert schedule().warning(date(2028, 2, 1)) == expected
    assert schedule().warning(date(2005, 12, 31))
