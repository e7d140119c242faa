-- Operate, again: cancel reaches what runs, and both know the shelves of what has ended.

CREATE FUNCTION "{schema}".cancel(id uuid) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    was text;
    moment timestamptz;
    answer json;
BEGIN
    -- Here, then where tasks go when they end, and again, for one that was on its way back, or to another shelf:
    -- whoever moves it has it locked, so that looking waits for the move.
    SELECT task.status INTO was FROM "{schema}".tasks AS task WHERE task.id = $1 FOR UPDATE;
    IF NOT FOUND THEN
        FOR look IN 1..2 LOOP
            SELECT
                task.status,
                "{schema}"._as_json(
                    task.id, task.type, task.queue, task.status, task.attempts, task.max_attempts, task.scheduled_at,
                    task.finished_at
                )
            INTO was, answer
            FROM "{schema}".finished AS task WHERE task.id = $1 FOR UPDATE;
            EXIT WHEN FOUND;
            SELECT task.status INTO was FROM "{schema}".tasks AS task WHERE task.id = $1 FOR UPDATE;
            EXIT WHEN FOUND;
        END LOOP;
        IF was = 'cancelled' THEN
            RETURN answer;
        END IF;
    END IF;
    IF was IS NULL OR was NOT IN ('blocked', 'pending', 'running') THEN
        PERFORM "{schema}"._refuse_transition('cancel', $1, was, 'blocked or pending or running');
    END IF;
    IF was = 'running' THEN
        -- It stays running until its attempt has ended; whoever runs it is told now, or finds out.
        UPDATE "{schema}".tasks AS task SET cancel_requested_at = clock_timestamp()
        WHERE task.id = $1 AND task.cancel_requested_at IS NULL;
        IF FOUND THEN
            PERFORM pg_notify('{schema}_tasks', E'\x01cancel ' || replace($1::text, '-', ''));
        END IF;
        SELECT "{schema}"._as_json(
            task.id, task.type, task.queue, task.status, task.attempts, task.max_attempts, task.scheduled_at, NULL
        )
        INTO STRICT answer FROM "{schema}".tasks AS task WHERE task.id = $1;
        RETURN answer;
    END IF;
    moment := clock_timestamp();
    WITH gone AS (
        DELETE FROM "{schema}".tasks AS task WHERE task.id = $1 RETURNING task.*
    ), tallied AS (
        INSERT INTO "{schema}".tallies (day, type, queue, status, number)
        SELECT (moment AT TIME ZONE 'UTC')::date, gone.type, gone.queue, 'cancelled', 1 FROM gone
    ), ended AS (
        INSERT INTO "{schema}".finished (
            {kept}, status, attempts, max_attempts, scheduled_at, worker_id, error, expires_at, finished_at
        )
        SELECT
            {gone.kept}, 'cancelled', gone.attempts, gone.max_attempts, gone.scheduled_at, gone.worker_id, gone.error,
            gone.expires_at, moment
        FROM gone
        RETURNING *
    )
    SELECT "{schema}"._as_json(
        ended.id, ended.type, ended.queue, ended.status, ended.attempts, ended.max_attempts, ended.scheduled_at,
        ended.finished_at
    )
    INTO STRICT answer FROM ended;
    RETURN answer;
END $$;
COMMENT ON FUNCTION "{schema}".cancel IS
    'Take a blocked or pending task off its queue, or have the attempt of a running one stopped; of a cancelled one'
    ' nothing changes. Unknown: P0002. In any other state: 55000.';

CREATE FUNCTION "{schema}".retry(id uuid, reset_attempts boolean DEFAULT false) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    was text;
    moment timestamptz;
    answer json;
BEGIN
    IF $2 IS NULL THEN
        PERFORM "{schema}"._refuse('reset_attempts', 'must be true or false', NULL);
    END IF;
    SELECT task.status INTO was FROM "{schema}".tasks AS task WHERE task.id = $1 FOR UPDATE;
    IF NOT FOUND THEN
        FOR look IN 1..2 LOOP
            SELECT task.status INTO was FROM "{schema}".finished AS task WHERE task.id = $1 FOR UPDATE;
            EXIT WHEN FOUND;
            SELECT task.status INTO was FROM "{schema}".tasks AS task WHERE task.id = $1 FOR UPDATE;
            EXIT WHEN FOUND;
        END LOOP;
    END IF;
    IF was IS NULL OR was NOT IN ('failed', 'cancelled') THEN
        PERFORM "{schema}"._refuse_transition('retry', $1, was, 'failed or cancelled');
    END IF;
    moment := clock_timestamp();
    WITH gone AS (
        DELETE FROM "{schema}".finished AS task WHERE task.id = $1 RETURNING task.*
    ), tallied AS (
        INSERT INTO "{schema}".tallies (day, type, queue, status, number, shelf)
        SELECT (gone.finished_at AT TIME ZONE 'UTC')::date, gone.type, gone.queue, gone.status, -1, gone.shelf FROM gone
    ), revived AS (
        INSERT INTO "{schema}".tasks ({kept}, error, status, attempts, max_attempts, scheduled_at, ready)
        SELECT
            {gone.kept}, gone.error, 'pending', CASE WHEN $2 THEN 0 ELSE gone.attempts END,
            CASE WHEN $2 THEN gone.max_attempts ELSE greatest(gone.max_attempts, gone.attempts + 1) END, moment, true
        FROM gone
        RETURNING *
    ), told AS (
        SELECT pg_notify('{schema}_tasks', revived.queue) FROM revived
    )
    SELECT "{schema}"._as_json(
        revived.id, revived.type, revived.queue, revived.status, revived.attempts, revived.max_attempts,
        revived.scheduled_at, NULL
    )
    INTO STRICT answer FROM revived, told;
    RETURN answer;
END $$;
COMMENT ON FUNCTION "{schema}".retry IS
    'Make a failed or cancelled task due now, with one more attempt where its budget is spent, or with its whole'
    ' budget. Unknown: P0002. In any other state: 55000.';
