"""Where Alembic starts: the migration runs inside the transaction its caller opened, so it is all or nothing."""

from __future__ import annotations

from alembic import context

from apportion.store.catalogue import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
