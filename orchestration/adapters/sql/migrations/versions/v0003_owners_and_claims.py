"""Who carries a run out, and how often it changed hands; a run of before belongs to nobody."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table and the columns."""
    op.create_table(
        "owners",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("process", sa.Integer(), nullable=False),
        sa.Column("gone", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.add_column("executions", sa.Column("owner", sa.Text()))
    op.add_column("executions", sa.Column("claim", sa.Integer(), server_default="1", nullable=False))
