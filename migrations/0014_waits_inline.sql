-- A batch asks twice whether it is to wait, and once more where it opens accounts; each time the
-- function set its own search path: of the statement of a single payment a thirtieth, mostly to
-- learn that there is nothing to wait for. What its body names is bound now when it is made, so it
-- needs no path, and PostgreSQL puts the body in the place of the call.
CREATE OR REPLACE FUNCTION wait_for_the_batch_before() RETURNS void
LANGUAGE sql
BEGIN ATOMIC
    SELECT pg_advisory_xact_lock_shared(
        nullif(current_setting('pledgebook.behind', true), '')::bigint
    );
END;
