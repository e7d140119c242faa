-- What JSON may be: the type json takes more than Python can read, and more than Python would have stored.

-- The same JSON with each escaped backslash as an escaped slash and each pair of surrogates as one letter. What is left
-- of backslashes begins an escape, and what is left of surrogates is alone.
CREATE FUNCTION "{schema}"._defused(text_of_json text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT regexp_replace(
        replace(text_of_json, E'\\\\', E'\\/') COLLATE "C",
        E'\\\\u[dD][89abAB][0-9a-fA-F]{2}\\\\u[dD][c-fC-F][0-9a-fA-F]{2}',
        'x',
        'g'
    )
$$;

-- The rule that an escape in it breaks, or NULL.
CREATE FUNCTION "{schema}"._unstorable(text_of_json text) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    defused text;
BEGIN
    IF strpos(text_of_json, E'\\u') = 0 THEN
        RETURN NULL;
    END IF;
    defused := "{schema}"._defused(text_of_json);
    IF strpos(defused, E'\\u0000') > 0 THEN
        RETURN 'must not contain NUL characters, which PostgreSQL cannot hold';
    ELSIF defused COLLATE "C" ~ E'\\\\u[dD][89a-fA-F]' THEN
        RETURN 'must not contain lone surrogates, which UTF-8 cannot hold';
    END IF;
    RETURN NULL;
END $$;

-- How deep it nests. bare is without what stands in quotes. Looks no deeper than one more than may be.
CREATE FUNCTION "{schema}"._depth(bare text) RETURNS integer
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    brackets text := translate(regexp_replace(bare COLLATE "C", '[^][{}]+', '', 'g'), '{}', '[]');
    depth integer := 0;
BEGIN
    -- Each round takes away what holds nothing, and so one level.
    WHILE brackets <> '' AND depth <= 128 LOOP
        brackets := replace(brackets, '[]', '');
        depth := depth + 1;
    END LOOP;
    RETURN depth;
END $$;

-- Numbers that Python cannot read, or reads as infinity: a worker would meet them when it claims the task. bare is
-- without what stands in quotes. Beyond a length that no program writes, fractions are not looked into.
CREATE FUNCTION "{schema}"._has_wrong_numbers(bare text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT EXISTS (
        SELECT
        FROM regexp_matches(bare COLLATE "C", '[0-9][-+.0-9eE]*', 'g') AS found,
        LATERAL (
            SELECT found[1] AS number, substring(found[1] FROM '[eE][+]?(-?)') AS sign,
                substring(found[1] FROM '[eE][-+]?0*([0-9]*)$') AS exponent
        ) AS part
        WHERE CASE
            WHEN number !~ '[.eE]' THEN length(number) > 4300
            WHEN length(number) > 1000 THEN true
            WHEN length(exponent) > 4 THEN sign = '' AND number ~ '^[0.]*[1-9]'
            ELSE number::numeric > 1.7976931348623158e308
        END
    )
$$;

CREATE FUNCTION "{schema}"._check_payload(field text, payload json) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    given CONSTANT text := payload;
    size CONSTANT integer := octet_length(given);
    containers CONSTANT integer := length(given) - length(translate(given, '[{', ''));
    rule text;
    bare text;
BEGIN
    IF size > "{schema}".max_payload() THEN
        rule := format('must be at most %s bytes as JSON, not %s', "{schema}".max_payload(), size);
        PERFORM "{schema}"._refuse(field, rule, given);
    END IF;
    rule := "{schema}"._unstorable(given);
    IF rule IS NOT NULL THEN
        PERFORM "{schema}"._refuse(field, rule, given);
    END IF;
    -- Most payloads are done with here: no exponents, no endless numbers, not many lists.
    IF containers > 128 OR given COLLATE "C" ~ '[0-9][eE]'
        OR strpos(translate(given, '123456789', '000000000'), repeat('0', 300)) > 0
    THEN
        bare := regexp_replace(replace(replace(given, E'\\\\', ''), E'\\"', '') COLLATE "C", '"[^"]*"', '""', 'g');
        IF containers > 128 AND "{schema}"._depth(bare) > 128 THEN
            PERFORM "{schema}"._refuse(field, 'must not nest deeper than 128, or hold itself', given);
        ELSIF length(bare) - length(translate(bare, '[{', '')) > 1000000 THEN
            PERFORM "{schema}"._refuse(field, 'must not hold more than 1000000 lists and dicts', given);
        ELSIF "{schema}"._has_wrong_numbers(bare) THEN
            rule := 'must hold finite numbers, and no whole one of more than 4300 digits';
            PERFORM "{schema}"._refuse(field, rule, given);
        END IF;
    END IF;
END $$;
