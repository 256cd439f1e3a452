"""How Alembic runs here: on the connection it is given, in that transaction."""

from alembic import context

from jupyter_flows.server.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=False)
context.run_migrations()
