-- Enqueue: one task. What is called from outside runs with the rights of its owner, in a search_path of its own.

-- As many UUIDs of version 7 as are asked for, rising: the milliseconds, 12 bits of their fraction, 30 bits that start
-- at random and count upwards, and 32 random bits. From one call to the next it is the clock that makes them rise.
CREATE FUNCTION "{schema}"._new_ids(count integer) RETURNS uuid[]
LANGUAGE plpgsql AS $$
DECLARE
    microseconds CONSTANT bigint := floor(extract(epoch FROM clock_timestamp()) * 1000000);
    start CONSTANT bigint := ('x' || left(gen_random_uuid()::text, 8))::bit(32)::bigint & 536870911;
    head CONSTANT text := lpad(to_hex(microseconds / 1000), 12, '0')
        || to_hex(28672 + microseconds % 1000 * 4096 / 1000);
BEGIN
    RETURN ARRAY(
        SELECT (
            head || to_hex(32768 + (number >> 16)) || lpad(to_hex(number & 65535), 4, '0')
            || right(gen_random_uuid()::text, 8)
        )::uuid
        FROM generate_series(start, start + count - 1) AS number
        ORDER BY number
    );
END $$;

-- Stores tasks that have been checked, as app.infra.postgres.tasks.add does, and has workers told once for each queue.
CREATE FUNCTION "{schema}"._add(
    types text[], payloads json[], queues text[], priorities numeric[], max_attempts numeric[], delays interval[],
    scheduled_at timestamptz[], timeouts double precision[], correlation_ids text[], tags json[], versions numeric[]
) RETURNS uuid[]
LANGUAGE plpgsql AS $$
DECLARE
    ids CONSTANT uuid[] := "{schema}"._new_ids(cardinality(types));
    moment CONSTANT timestamptz := statement_timestamp();
BEGIN
    INSERT INTO "{schema}".tasks (
        id, type, queue, status, priority, max_attempts, scheduled_at, created_at, timeout, correlation_id, tags,
        version, payload, ready
    )
    SELECT
        new.id, new.type, new.queue, 'pending', new.priority, new.max_attempts, new.due, moment, new.timeout,
        new.correlation_id, new.tags, NULLIF(new.version, 1), new.payload, new.due <= moment
    FROM (
        SELECT
            given.id, given.type, given.queue, given.priority, given.timeout, given.correlation_id, given.tags,
            given.version, given.payload,
            coalesce(given.max_attempts, "{schema}".default_max_attempts()) AS max_attempts,
            -- In UTC, where no day has 23 hours: the clocks of the session are not asked.
            coalesce(given.scheduled_at, (moment AT TIME ZONE 'UTC' + given.delay) AT TIME ZONE 'UTC', moment) AS due
        FROM unnest(ids, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS given (
            id, type, payload, queue, priority, max_attempts, delay, scheduled_at, timeout, correlation_id, tags,
            version
        )
    ) AS new;
    PERFORM pg_notify('{schema}_tasks', told.queue)
    FROM (SELECT DISTINCT queue FROM unnest(queues) AS queue) AS told;
    RETURN ids;
END $$;

CREATE FUNCTION "{schema}".enqueue(
    type text,
    payload json DEFAULT '{}',
    queue text DEFAULT 'default',
    priority numeric DEFAULT 0,
    max_attempts numeric DEFAULT NULL,
    delay interval DEFAULT NULL,
    scheduled_at timestamptz DEFAULT NULL,
    timeout double precision DEFAULT NULL,
    correlation_id text DEFAULT NULL,
    tags text[] DEFAULT NULL,
    version numeric DEFAULT NULL
) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- None of Python's is null in JSON.
    content CONSTANT json := coalesce($2, 'null');
BEGIN
    PERFORM "{schema}"._check_new('', $1, content, $3, $4, $5, $6, $7, $8, $9, $10, $11);
    RETURN ("{schema}"._add(
        ARRAY[$1], ARRAY[content], ARRAY[$3], ARRAY[$4], ARRAY[$5], ARRAY[$6], ARRAY[$7], ARRAY[$8], ARRAY[$9],
        ARRAY[CASE WHEN cardinality($10) > 0 THEN to_json($10) END], ARRAY[$11]
    ))[1];
END $$;
COMMENT ON FUNCTION "{schema}".enqueue IS
    'Put a task on its queue, in the transaction of the caller; returns its id. Bad input: 22023, naming the field.';
