"""The system of record: the catalogue database and the immutable folders it points to. No other room opens either."""

from apportion.store.project import Store, open_store

__all__ = ["Store", "open_store"]
