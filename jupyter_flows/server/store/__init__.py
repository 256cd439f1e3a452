"""The only SQL of the project: SQLAlchemy Core over SQLite or PostgreSQL. Functions take a Transaction."""

from jupyter_flows.server.store.database import Conflict, Database, Transaction

__all__ = ["Conflict", "Database", "Transaction"]
