-- Enqueue many: an array of objects, whose names are the parameters of enqueue. Times are as in Python: seconds and
-- ISO 8601 with a time zone.

CREATE FUNCTION "{schema}"._text_of(field text, value json) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    IF json_typeof(value) NOT IN ('string', 'null') THEN
        PERFORM "{schema}"._refuse(field, 'must be text', value::text);
    END IF;
    RETURN value #>> '{}';
END $$;

CREATE FUNCTION "{schema}"._tags_of(field text, value json) RETURNS text[]
LANGUAGE plpgsql AS $$
BEGIN
    IF json_typeof(value) = 'null' THEN
        RETURN NULL;
    ELSIF json_typeof(value) <> 'array' THEN
        PERFORM "{schema}"._refuse(field, 'must be a list of text', value::text);
    END IF;
    RETURN ARRAY(
        SELECT "{schema}"._text_of(format('%s[%s]', field, number - 1), tag)
        FROM json_array_elements(value) WITH ORDINALITY AS tags (tag, number)
        ORDER BY number
    );
END $$;

CREATE FUNCTION "{schema}"._whole_of(field text, value json) RETURNS numeric
LANGUAGE plpgsql AS $$
BEGIN
    IF json_typeof(value) = 'null' THEN
        RETURN NULL;
    ELSIF json_typeof(value) <> 'number' OR value::text ~ '[.eE]' THEN
        PERFORM "{schema}"._refuse(field, 'must be a whole number', value::text);
    END IF;
    -- Whatever is cut off, it stays out of every range.
    RETURN left(value #>> '{}', 100)::numeric;
END $$;

CREATE FUNCTION "{schema}"._seconds_of(field text, value json, positive boolean) RETURNS double precision
LANGUAGE plpgsql AS $$
DECLARE
    seconds double precision;
BEGIN
    IF json_typeof(value) = 'null' THEN
        RETURN NULL;
    ELSIF json_typeof(value) <> 'number' THEN
        PERFORM "{schema}"._refuse(field, 'must be a number of seconds', value::text);
    END IF;
    BEGIN
        seconds := value #>> '{}';
    EXCEPTION WHEN numeric_value_out_of_range THEN
        -- Python reads infinity here, or zero.
        seconds := CASE WHEN value::text ~ '[eE]-' THEN '0' ELSE 'Infinity' END;
    END;
    PERFORM "{schema}"._check_seconds(field, seconds, positive, value::text);
    RETURN seconds;
END $$;

CREATE FUNCTION "{schema}"._moment_of(field text, value json) RETURNS timestamptz
LANGUAGE plpgsql AS $$
DECLARE
    given CONSTANT text := "{schema}"._text_of(field, value);
    moment timestamptz;
    rule CONSTANT text := 'must be a moment as in 2030-01-31T09:00:00+01:00, with its time zone';
BEGIN
    -- No other form: how PostgreSQL reads those depends on the session.
    IF given !~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?(Z|[-+][0-9]{2}(:?[0-9]{2})?)$'
    THEN
        PERFORM "{schema}"._refuse(field, rule, value::text);
    END IF;
    moment := given;
    RETURN moment;
EXCEPTION WHEN datetime_field_overflow OR invalid_datetime_format OR invalid_time_zone_displacement_value THEN
    PERFORM "{schema}"._refuse(field, rule, value::text);
END $$;

-- One object, checked. place says which it is.
CREATE FUNCTION "{schema}"._read_new(
    place text, element json,
    OUT type text, OUT payload json, OUT queue text, OUT priority numeric, OUT max_attempts numeric, OUT delay interval,
    OUT scheduled_at timestamptz, OUT timeout double precision, OUT correlation_id text, OUT tags text[],
    OUT version numeric
)
LANGUAGE plpgsql AS $$
DECLARE
    unstorable CONSTANT text := "{schema}"._unstorable(element::text);
    field text;
    name text;
    value json;
BEGIN
    IF json_typeof(element) <> 'object' THEN
        PERFORM "{schema}"._refuse(place, 'must be an object', element::text);
    END IF;
    IF unstorable IS NOT NULL THEN
        -- PostgreSQL would not look into it as it is. With a control character in the place of each wrong one, a name
        -- is still wrong; if none is, it is the payload.
        element := regexp_replace(
            "{schema}"._defused(element::text), E'\\\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', E'\\\\u001f', 'g'
        );
    END IF;
    payload := '{}';
    queue := 'default';
    priority := 0;
    FOR name, value IN SELECT each.key, each.value FROM json_each(element) AS each LOOP
        field := format('%s.%s', place, name);
        CASE name
            WHEN 'type' THEN type := "{schema}"._text_of(field, value);
            WHEN 'payload' THEN payload := value;
            WHEN 'queue' THEN queue := "{schema}"._text_of(field, value);
            WHEN 'priority' THEN priority := "{schema}"._whole_of(field, value);
            WHEN 'max_attempts' THEN max_attempts := "{schema}"._whole_of(field, value);
            WHEN 'delay' THEN delay := make_interval(secs => "{schema}"._seconds_of(field, value, false));
            WHEN 'scheduled_at' THEN scheduled_at := "{schema}"._moment_of(field, value);
            WHEN 'timeout' THEN timeout := "{schema}"._seconds_of(field, value, true);
            WHEN 'correlation_id' THEN correlation_id := "{schema}"._text_of(field, value);
            WHEN 'tags' THEN tags := "{schema}"._tags_of(field, value);
            WHEN 'version' THEN version := "{schema}"._whole_of(field, value);
            ELSE
                PERFORM "{schema}"._refuse(
                    place,
                    'must have no other names than type, payload, queue, priority, max_attempts, delay, scheduled_at,'
                    ' timeout, correlation_id, tags, version',
                    to_json(name)::text
                );
        END CASE;
    END LOOP;
    PERFORM "{schema}"._check_new(
        place || '.', type, payload, queue, priority, max_attempts, delay, scheduled_at, timeout, correlation_id, tags,
        version
    );
    IF unstorable IS NOT NULL THEN
        PERFORM "{schema}"._refuse(place || '.payload', unstorable, payload::text);
    END IF;
END $$;

CREATE FUNCTION "{schema}".enqueue_many(tasks json) RETURNS SETOF uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ids uuid[];
BEGIN
    -- What json_agg makes of no rows.
    IF $1 IS NULL THEN
        RETURN;
    ELSIF json_typeof($1) <> 'array' THEN
        PERFORM "{schema}"._refuse('tasks', 'must be an array of objects', $1::text);
    END IF;
    SELECT "{schema}"._add(
        array_agg(new.type ORDER BY number), array_agg(new.payload ORDER BY number),
        array_agg(new.queue ORDER BY number), array_agg(new.priority ORDER BY number),
        array_agg(new.max_attempts ORDER BY number), array_agg(new.delay ORDER BY number),
        array_agg(new.scheduled_at ORDER BY number), array_agg(new.timeout ORDER BY number),
        array_agg(new.correlation_id ORDER BY number),
        array_agg(CASE WHEN cardinality(new.tags) > 0 THEN to_json(new.tags) END ORDER BY number),
        array_agg(new.version ORDER BY number)
    )
    INTO ids
    FROM json_array_elements($1) WITH ORDINALITY AS given (element, number),
        LATERAL "{schema}"._read_new(format('tasks[%s]', number - 1), element) AS new
    HAVING count(*) > 0;
    RETURN QUERY SELECT id FROM unnest(ids) WITH ORDINALITY AS added (id, number) ORDER BY number;
END $$;
COMMENT ON FUNCTION "{schema}".enqueue_many IS
    'Put tasks on their queues, all or none: an array of objects with the names of the parameters of enqueue; returns'
    ' their ids in the order given. Delays and timeouts are seconds, moments ISO 8601.';
