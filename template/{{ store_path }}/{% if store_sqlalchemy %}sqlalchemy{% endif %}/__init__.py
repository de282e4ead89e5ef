# Extra "sqlalchemy": store_sqlalchemy=false deletes it, including your edits.
"""The Store in projects with SQLAlchemy and Alembic."""
