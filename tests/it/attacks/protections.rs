//! What would take the protections themselves away.

use super::{Attack, Books, Denied, Privilege, Protection, StaysWritten, attack};

pub fn attacks(b: &Books) -> Vec<Attack> {
    let owns = |table: &str| {
        [Privilege(format!(
            "ALTER TABLE {table} OWNER TO pledgebook_app"
        ))]
    };
    let grant = |what: &str| [Privilege(format!("GRANT {what} TO pledgebook_app"))];
    let one = |name: &str, statement: &str, words, protections: &[Protection]| {
        attack(name, [statement.to_owned()], Denied(words), protections)
    };
    vec![
        one(
            "a trigger that is disabled",
            "ALTER TABLE line DISABLE TRIGGER post_lines",
            "must be owner of table line",
            &owns("line"),
        ),
        one(
            "a trigger that is dropped",
            "DROP TRIGGER stays_written ON journal_entry",
            "must be owner of relation journal_entry",
            &owns("journal_entry"),
        ),
        one(
            "a constraint that is dropped",
            "ALTER TABLE balance DROP CONSTRAINT balance_keeps_its_floor",
            "must be owner of table balance",
            &owns("balance"),
        ),
        one(
            "a column that is added",
            "ALTER TABLE line ADD COLUMN note text",
            "must be owner of table line",
            &owns("line"),
        ),
        one(
            "a table that is dropped",
            "DROP TABLE effect",
            "must be owner of table effect",
            &owns("effect"),
        ),
        one(
            "a rule in the place of an insert",
            "CREATE RULE nothing AS ON INSERT TO change DO INSTEAD NOTHING",
            "must be owner of table change",
            &owns("change"),
        ),
        one(
            "a trigger of its own",
            "CREATE TRIGGER again AFTER INSERT ON line
             REFERENCING NEW TABLE AS posted FOR EACH STATEMENT EXECUTE FUNCTION post_lines()",
            "permission denied for table line",
            &[
                Protection::privilege("GRANT TRIGGER ON line TO pledgebook_app"),
                Protection::privilege("GRANT EXECUTE ON FUNCTION post_lines() TO pledgebook_app"),
            ],
        ),
        one(
            "a session without triggers",
            "SET session_replication_role = replica",
            "permission denied to set parameter \"session_replication_role\"",
            &grant("SET ON PARAMETER session_replication_role"),
        ),
        one(
            "another function in the place of the trigger's",
            "CREATE OR REPLACE FUNCTION post_lines() RETURNS trigger
             LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
            "permission denied for schema public",
            &[
                Protection::privilege("GRANT CREATE ON SCHEMA public TO pledgebook_app"),
                Protection::privilege("ALTER FUNCTION post_lines() OWNER TO pledgebook_app"),
            ],
        ),
        one(
            "a function without its search path",
            "ALTER FUNCTION post_lines() RESET search_path",
            "must be owner of function post_lines",
            &[Protection::privilege(
                "ALTER FUNCTION post_lines() OWNER TO pledgebook_app",
            )],
        ),
        one(
            "a table in the schema that every function looks in",
            "CREATE TABLE public.opened (code smallint)",
            "permission denied for schema public",
            &grant("CREATE ON SCHEMA public"),
        ),
        one(
            "a function in the schema that every function looks in",
            "CREATE FUNCTION public.greatest_of(bigint, bigint) RETURNS bigint
             LANGUAGE sql AS 'SELECT 0::bigint'",
            "permission denied for schema public",
            &grant("CREATE ON SCHEMA public"),
        ),
        one(
            "a schema of its own",
            "CREATE SCHEMA books",
            "permission denied for database",
            &[Protection::privilege(
                "DO $$ BEGIN EXECUTE format(
                    'GRANT CREATE ON DATABASE %I TO pledgebook_app', current_database()
                ); END $$",
            )],
        ),
        attack(
            "a privilege that it grants itself",
            [
                "GRANT UPDATE ON line TO pledgebook_app".to_owned(),
                format!(
                    "UPDATE line SET amount = amount WHERE campaign_id = '{}'",
                    b.id
                ),
            ],
            Denied("permission denied for table line"),
            &[
                Protection::privilege("GRANT UPDATE ON line TO pledgebook_app WITH GRANT OPTION"),
                StaysWritten("line"),
            ],
        ),
        one(
            "the owner's role",
            "SET ROLE pledgebook_owner",
            "permission denied to set role \"pledgebook_owner\"",
            &grant("pledgebook_owner"),
        ),
        one(
            "a membership in the owner's role",
            "GRANT pledgebook_owner TO pledgebook_app",
            "must have admin option on role \"pledgebook_owner\"",
            &[],
        ),
        one(
            "a rank above all",
            "ALTER ROLE pledgebook_app SUPERUSER",
            "must be superuser to alter superuser",
            &[],
        ),
        one(
            "a program that the server runs",
            "COPY line FROM PROGRAM 'true'",
            "external program",
            &grant("pg_execute_server_program"),
        ),
        one(
            "a file that the server reads",
            "COPY line FROM '/dev/null'",
            "COPY from a file",
            &grant("pg_read_server_files"),
        ),
        one(
            "a lock that stops the books",
            "LOCK TABLE line IN ACCESS EXCLUSIVE MODE",
            "permission denied for table line",
            &grant("DELETE ON line"),
        ),
        one(
            "a row of an account made by the owner's trigger function",
            "CREATE TEMP TABLE forged (LIKE public.account);
             CREATE TRIGGER open AFTER INSERT ON forged REFERENCING NEW TABLE AS opened
             FOR EACH STATEMENT EXECUTE FUNCTION open_accounts()",
            "permission denied for function open_accounts",
            &grant("EXECUTE ON FUNCTION open_accounts()"),
        ),
    ]
}
