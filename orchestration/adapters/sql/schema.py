"""The tables of the store, and which version of them this code reads and writes."""

from datetime import UTC, datetime

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

from orchestration.domain.errors import DefinitionError

SCHEMA_VERSION = "0005"
"""The newest migration under ``migrations/versions``; versions are counted, so that newer and older can be told."""


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC, to the microsecond; SQLite itself would forget the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an aware moment into UTC; a naive one could be anywhere and is refused."""
        if value is not None and value.tzinfo is None:
            raise DefinitionError(f"the moment {value.isoformat()} has no zone; give an aware one, in UTC")
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        return value and (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC))


metadata = MetaData()

executions = Table(
    "executions",
    metadata,
    Column("id", Text, primary_key=True, nullable=False),
    Column("name", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("completed_at", UtcDateTime),
    Column("owner", Text),
    Column("claim", Integer, nullable=False, server_default="1"),
    Index("executions_by_creation", "created_at", "id"),
    Index("executions_by_status", "status", "created_at"),
)

owners = Table(
    "owners",
    metadata,
    Column("id", Text, primary_key=True, nullable=False),
    Column("process", Integer, nullable=False),
    Column("gone", Boolean, nullable=False),
)
"""Every store that was opened to carry out runs; ``gone``: its runs were taken over, and it may not append."""

execution_events = Table(
    "execution_events",
    metadata,
    Column("execution_id", Text, ForeignKey("executions.id"), primary_key=True, nullable=False),
    Column("sequence", Integer, primary_key=True, nullable=False, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("stage", Text),
    Column("task", Text),
    Column("data", Text, nullable=False),
    sqlite_with_rowid=False,
)

ledger_entries = Table(
    "ledger_entries",
    metadata,
    Column("account", Text, primary_key=True, nullable=False),
    Column("sequence", Integer, primary_key=True, nullable=False, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Column("kind", Text, nullable=False),
    Column("data", Text, nullable=False),
    sqlite_with_rowid=False,
)

halts = Table(
    "halts",
    metadata,
    Column("id", Integer, primary_key=True, nullable=False, autoincrement=False),
    Column("level", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("by", Text, nullable=False),
    CheckConstraint("id = 1", name="one_halt"),
)
"""The halt that holds: no row or one."""

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", Integer, primary_key=True, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("by", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("level", Text),
    Column("reason", Text, nullable=False),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("sha256", Text, primary_key=True, nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

order_log = Table(
    "order_log",
    metadata,
    Column("id", Integer, primary_key=True, nullable=False),
    Column("account", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("data", Text, nullable=False),
    UniqueConstraint("account", "kind", "key", name="order_log_once"),
)

result_cache = Table(
    "result_cache",
    metadata,
    Column("key", Text, primary_key=True, nullable=False),
    Column("data", Text, nullable=False),
    Column("until", UtcDateTime, nullable=False),
    Index("result_cache_by_end", "until"),
)
