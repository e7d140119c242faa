-- The rules of app.domain for what a caller hands in, in the same words.
--
-- Functions whose names begin with an underscore are called by the others alone, and nobody else may call them. They
-- run with the search_path of whoever is called from outside, which is pinned, and nothing here depends on a setting
-- of the caller's session: texts with a backslash are written as E'...'.

CREATE FUNCTION "{schema}".max_payload() RETURNS integer
LANGUAGE sql IMMUTABLE AS 'SELECT 1048576';
COMMENT ON FUNCTION "{schema}".max_payload() IS
    'Bytes of JSON that a payload may have. To say otherwise, as WORKER_MAX_PAYLOAD does for Python: replace it.';

CREATE FUNCTION "{schema}".default_max_attempts() RETURNS integer
LANGUAGE sql IMMUTABLE AS 'SELECT 3';
COMMENT ON FUNCTION "{schema}".default_max_attempts() IS
    'Attempts of a task whose caller states none. To say otherwise, as WORKER_MAX_ATTEMPTS does: replace it.';

-- Bad input: 22023, with the field also as the error's column, for programs.
CREATE FUNCTION "{schema}"._refuse(field text, rule text, given text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    shown CONSTANT integer := 120;
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'invalid_parameter_value',
        MESSAGE = format(
            '%s: %s (given: %s)', field, rule,
            CASE WHEN length(given) > shown THEN left(given, shown) || '...' ELSE coalesce(given, 'NULL') END
        ),
        COLUMN = field;
END $$;

CREATE FUNCTION "{schema}"._check_name(field text, value text, wildcard boolean) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF value IS NULL THEN
        PERFORM "{schema}"._refuse(field, 'must be text', value);
    ELSIF value = '' THEN
        PERFORM "{schema}"._refuse(field, 'must not be empty', to_json(value)::text);
    ELSIF length(value) > 200 THEN
        PERFORM "{schema}"._refuse(
            field, format('must have at most 200 characters, not %s', length(value)), to_json(value)::text
        );
    ELSIF NOT wildcard AND strpos(value, '*') > 0 THEN
        PERFORM "{schema}"._refuse(field, 'must not contain *, which is kept for patterns', to_json(value)::text);
    ELSIF value ~ E'[\\u0001-\\u001f\\u007f-\\u009f]' THEN
        PERFORM "{schema}"._refuse(
            field, 'must not contain control characters or lone surrogates', to_json(value)::text
        );
    END IF;
END $$;

-- numeric, so that a number too large for the column, or a fraction, is refused here and not as an unknown function.
CREATE FUNCTION "{schema}"._check_whole(
    field text, value numeric, low numeric DEFAULT -2147483648, high numeric DEFAULT 2147483647
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF value IS NULL OR value <> trunc(value) THEN
        PERFORM "{schema}"._refuse(field, 'must be a whole number', value::text);
    ELSIF NOT value BETWEEN low AND high THEN
        PERFORM "{schema}"._refuse(field, format('must lie between %s and %s', low, high), value::text);
    END IF;
END $$;

-- Up to a hundred years of 365 days. NaN is more than that here.
CREATE FUNCTION "{schema}"._check_seconds(field text, value double precision, positive boolean, given text)
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF value < 0 OR value > 3153600000 OR (positive AND value = 0) THEN
        PERFORM "{schema}"._refuse(
            field,
            format(
                'must be %s seconds and at most a hundred years',
                CASE WHEN positive THEN 'more than 0' ELSE '0 or more' END
            ),
            given
        );
    END IF;
END $$;

-- Everything about one new task, in the order in which Python looks. place is put before the names of fields.
CREATE FUNCTION "{schema}"._check_new(
    place text, type text, payload json, queue text, priority numeric, max_attempts numeric, delay interval,
    scheduled_at timestamptz, timeout double precision, correlation_id text, tags text[], version numeric
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    tag text;
    number integer := 0;
BEGIN
    PERFORM "{schema}"._check_name(place || 'type', $2, false);
    PERFORM "{schema}"._check_name(place || 'queue', $4, false);
    PERFORM "{schema}"._check_whole(place || 'priority', $5);
    IF $6 IS NOT NULL THEN
        PERFORM "{schema}"._check_whole(place || 'max_attempts', $6, 1);
    END IF;
    IF $8 IS NOT NULL THEN
        IF NOT ($8 >= '1900-01-01 00:00:00+00' AND $8 < '9991-01-01 00:00:00+00') THEN
            PERFORM "{schema}"._refuse(place || 'scheduled_at', 'must lie in the years 1900 to 9990', $8::text);
        END IF;
        IF $7 IS NOT NULL THEN
            PERFORM "{schema}"._refuse(place || 'delay', 'must not be given together with scheduled_at', $7::text);
        END IF;
    END IF;
    IF $10 IS NOT NULL THEN
        PERFORM "{schema}"._check_name(place || 'correlation_id', $10, true);
    END IF;
    IF $9 IS NOT NULL THEN
        PERFORM "{schema}"._check_seconds(place || 'timeout', $9, true, $9::text);
    END IF;
    IF $12 IS NOT NULL THEN
        PERFORM "{schema}"._check_whole(place || 'version', $12, 1, 32767);
    END IF;
    IF $7 IS NOT NULL THEN
        PERFORM "{schema}"._check_seconds(place || 'delay', extract(epoch FROM $7)::double precision, false, $7::text);
    END IF;
    IF array_ndims($11) > 1 THEN
        PERFORM "{schema}"._refuse(place || 'tags', 'must be a list of text', $11::text);
    END IF;
    IF $11 IS NOT NULL THEN
        FOREACH tag IN ARRAY $11 LOOP
            PERFORM "{schema}"._check_name(format('%stags[%s]', place, number), tag, true);
            number := number + 1;
        END LOOP;
        IF number > 50 THEN
            PERFORM "{schema}"._refuse(place || 'tags', format('must be at most 50, not %s', number), $11::text);
        END IF;
    END IF;
    PERFORM "{schema}"._check_payload(place || 'payload', $3);
END $$;
