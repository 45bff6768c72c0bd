"""Run the migrations on the connection that `orchestration.adapters.sql.migration` hands over."""

from alembic import context

from orchestration.adapters.sql.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()  # inside the caller's transaction: all of them or none
