# Extra "sqlalchemy": store_sqlalchemy=false deletes it, including your edits.
"""The Store beside SQLAlchemy and Alembic."""
