"""The history of the catalogue's schema, applied by Alembic."""
