-- Operate: what people do to stored tasks, as app.infra.postgres.tasks.operate and the verbs of WorkerTask do it.

CREATE FUNCTION "{schema}"._as_json(
    id uuid, type text, queue text, status text, attempts integer, max_attempts integer, scheduled_at timestamptz,
    finished_at timestamptz
) RETURNS json
LANGUAGE sql IMMUTABLE AS $$
    SELECT json_build_object(
        'id', $1, 'type', $2, 'queue', $3, 'status', $4, 'attempts', $5, 'max_attempts', $6, 'scheduled_at', $7,
        'finished_at', $8
    )
$$;

-- Refuses the verb for a task of this status, which is NULL for none.
CREATE FUNCTION "{schema}"._refuse_transition(verb text, id uuid, status text, allowed text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF id IS NULL THEN
        PERFORM "{schema}"._refuse('id', 'must be a UUID', NULL);
    ELSIF status IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'no_data_found',
            MESSAGE = format('There is no task %s: it was never committed, or it has been cleaned up', id);
    END IF;
    RAISE EXCEPTION USING
        ERRCODE = 'object_not_in_prerequisite_state',
        MESSAGE = format('Cannot %s task %s: it is %s, and must be %s', verb, id, status, allowed);
END $$;

CREATE FUNCTION "{schema}".cancel(id uuid) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    was text;
    moment timestamptz;
    answer json;
BEGIN
    -- Here, then where tasks go when they end, and here again, for one that was on its way back: whoever moves it has
    -- it locked, so that looking waits for the move.
    SELECT task.status INTO was FROM "{schema}".tasks AS task WHERE task.id = $1 FOR UPDATE;
    IF NOT FOUND THEN
        SELECT
            task.status,
            "{schema}"._as_json(
                task.id, task.type, task.queue, task.status, task.attempts, task.max_attempts, task.scheduled_at,
                task.finished_at
            )
        INTO was, answer
        FROM "{schema}".finished AS task WHERE task.id = $1 FOR UPDATE;
        IF NOT FOUND THEN
            SELECT task.status INTO was FROM "{schema}".tasks AS task WHERE task.id = $1 FOR UPDATE;
        ELSIF was = 'cancelled' THEN
            RETURN answer;
        END IF;
    END IF;
    IF was IS NULL OR was NOT IN ('blocked', 'pending') THEN
        PERFORM "{schema}"._refuse_transition('cancel', $1, was, 'blocked or pending');
    END IF;
    moment := clock_timestamp();
    WITH gone AS (
        DELETE FROM "{schema}".tasks AS task WHERE task.id = $1 RETURNING task.*
    ), tallied AS (
        INSERT INTO "{schema}".tallies (day, type, queue, status, number)
        SELECT (moment AT TIME ZONE 'UTC')::date, gone.type, gone.queue, 'cancelled', 1 FROM gone
    ), ended AS (
        INSERT INTO "{schema}".finished (
            {kept}, status, attempts, max_attempts, scheduled_at, worker_id, finished_at
        )
        SELECT
            {gone.kept}, 'cancelled', gone.attempts, gone.max_attempts, gone.scheduled_at, gone.worker_id, moment
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
    'Take a blocked or pending task off its queue; of a cancelled one nothing changes. Unknown: P0002. In any other'
    ' state: 55000.';

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
        SELECT task.status INTO was FROM "{schema}".finished AS task WHERE task.id = $1 FOR UPDATE;
        IF NOT FOUND THEN
            SELECT task.status INTO was FROM "{schema}".tasks AS task WHERE task.id = $1 FOR UPDATE;
        END IF;
    END IF;
    IF was IS NULL OR was NOT IN ('failed', 'cancelled') THEN
        PERFORM "{schema}"._refuse_transition('retry', $1, was, 'failed or cancelled');
    END IF;
    moment := clock_timestamp();
    WITH gone AS (
        DELETE FROM "{schema}".finished AS task WHERE task.id = $1 RETURNING task.*
    ), tallied AS (
        INSERT INTO "{schema}".tallies (day, type, queue, status, number)
        SELECT (gone.finished_at AT TIME ZONE 'UTC')::date, gone.type, gone.queue, gone.status, -1 FROM gone
    ), revived AS (
        INSERT INTO "{schema}".tasks ({kept}, status, attempts, max_attempts, scheduled_at, ready)
        SELECT
            {gone.kept}, 'pending', CASE WHEN $2 THEN 0 ELSE gone.attempts END,
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
