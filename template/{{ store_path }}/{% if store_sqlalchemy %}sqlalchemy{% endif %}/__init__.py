# Extra "sqlalchemy", rendered for the answer store_sqlalchemy. Changing the answer to false
# deletes this file, with your edits.
"""The Store beside SQLAlchemy and Alembic."""
