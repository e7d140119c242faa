"""The PostgreSQL adapter: SQLAlchemy Core tables, one visible translation per entity, one statement per verb."""
