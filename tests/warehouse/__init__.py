"""The dbt package `dbt/`, on a real PostgreSQL."""
