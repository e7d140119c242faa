"""Dead rows of a table, beside the number of them from which autovacuum comes."""

from sqlalchemy import DateTime, bindparam, text

# The threshold is PostgreSQL's own sum, from the table's settings or else the server's.
DEAD_ROWS = text("""
SELECT known.n_dead_tup,
       known.n_live_tup,
       coalesce(own.threshold, CAST(current_setting('autovacuum_vacuum_threshold') AS float8))
           + coalesce(own.factor, CAST(current_setting('autovacuum_vacuum_scale_factor') AS float8))
           * greatest(kept.reltuples, 0),
       date_part('epoch', coalesce(:now, statement_timestamp()) - greatest(known.last_vacuum, known.last_autovacuum))
FROM pg_catalog.pg_stat_all_tables AS known
JOIN pg_catalog.pg_class AS kept ON kept.oid = known.relid
CROSS JOIN LATERAL (
    SELECT max(CAST(option_value AS float8)) FILTER (WHERE option_name = 'autovacuum_vacuum_threshold') AS threshold,
           max(CAST(option_value AS float8)) FILTER (WHERE option_name = 'autovacuum_vacuum_scale_factor') AS factor
    FROM pg_options_to_table(kept.reloptions)
    WHERE option_name IN ('autovacuum_vacuum_threshold', 'autovacuum_vacuum_scale_factor')
) AS own
WHERE known.schemaname = :schema AND known.relname = :name
""").bindparams(bindparam("now", type_=DateTime(timezone=True)))
