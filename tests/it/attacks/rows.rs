//! Rows that are written by nobody's hand but a trigger's, or by nobody again.

use super::{Attack, Books, DIGEST, Denied, Privilege, Protection, StaysWritten, attack};

pub fn attacks(b: &Books) -> Vec<Attack> {
    let mut attacks = Vec::new();
    let mut denied = |what: &str, statement: String, words, protections: &[Protection]| {
        attacks.push(attack(what, [statement], Denied(words), protections));
    };
    for (table, column, words) in [
        ("line", "amount", "permission denied for table line"),
        (
            "journal_entry",
            "digest",
            "permission denied for table journal_entry",
        ),
        ("change", "refusal", "permission denied for table change"),
        ("account", "owner", "permission denied for table account"),
        (
            "chart_account",
            "guard",
            "permission denied for table chart_account",
        ),
        ("effect", "amount", "permission denied for table effect"),
        ("terms", "maximum", "permission denied for table terms"),
        (
            "money_account",
            "livemode",
            "permission denied for table money_account",
        ),
    ] {
        denied(
            &format!("UPDATE of {table}"),
            format!("UPDATE {table} SET {column} = {column}"),
            words,
            &[
                Privilege(format!("GRANT UPDATE ON {table} TO pledgebook_app")),
                StaysWritten(table),
            ],
        );
    }
    for (table, words) in [
        ("line", "permission denied for table line"),
        ("journal_entry", "permission denied for table journal_entry"),
        ("change", "permission denied for table change"),
        ("account", "permission denied for table account"),
        ("chart_account", "permission denied for table chart_account"),
        ("effect", "permission denied for table effect"),
        ("terms", "permission denied for table terms"),
        ("balance", "permission denied for table balance"),
        ("account_day", "permission denied for table account_day"),
    ] {
        denied(
            &format!("DELETE of {table}"),
            format!("DELETE FROM {table}"),
            words,
            &[
                Privilege(format!("GRANT DELETE ON {table} TO pledgebook_app")),
                StaysWritten(table),
            ],
        );
    }
    for (table, words) in [
        ("line", "permission denied for table line"),
        ("journal_entry", "permission denied for table journal_entry"),
        ("change", "permission denied for table change"),
        ("effect", "permission denied for table effect"),
        ("terms", "permission denied for table terms"),
        ("balance", "permission denied for table balance"),
        ("account_day", "permission denied for table account_day"),
    ] {
        denied(
            &format!("TRUNCATE of {table}"),
            format!("TRUNCATE {table}"),
            words,
            &[
                Privilege(format!("GRANT TRUNCATE ON {table} TO pledgebook_app")),
                StaysWritten(table),
            ],
        );
    }
    let balance = "permission denied for table balance";
    let head = "permission denied for table campaign_head";
    let day = "permission denied for table account_day";
    let grant = |what: &str| [Privilege(format!("GRANT {what} TO pledgebook_app"))];
    denied(
        "UPDATE of a balance",
        format!(
            "UPDATE balance SET balance = balance * 2 WHERE campaign_id = '{}'",
            b.id
        ),
        balance,
        &grant("UPDATE ON balance"),
    );
    denied(
        "INSERT of a balance",
        format!(
            "INSERT INTO balance VALUES ('{}', {}, 7, 7, 0, 'FEUR')",
            b.id, b.bare
        ),
        balance,
        &grant("INSERT ON balance"),
    );
    denied(
        "UPDATE of an account's day",
        "UPDATE account_day SET credits = credits + 1".to_owned(),
        day,
        &grant("UPDATE ON account_day"),
    );
    denied(
        "INSERT of an account's day",
        format!(
            "INSERT INTO account_day VALUES ('{}', 1, '2001-01-01', 5, 5)",
            b.id
        ),
        day,
        &grant("INSERT ON account_day"),
    );
    denied(
        "a change number of its own choice",
        format!(
            "UPDATE campaign_head SET change_no = change_no + 1 WHERE campaign_id = '{}'",
            b.id
        ),
        head,
        &grant("UPDATE ON campaign_head"),
    );
    denied(
        "a digest of its own choice",
        format!(
            "UPDATE campaign_head SET digest = {DIGEST} WHERE campaign_id = '{}'",
            b.id
        ),
        head,
        &grant("UPDATE ON campaign_head"),
    );
    denied(
        "a tally of its own choice",
        format!(
            "UPDATE campaign_head SET tally.held = 7 WHERE campaign_id = '{}'",
            b.id
        ),
        head,
        &grant("UPDATE ON campaign_head"),
    );
    denied(
        "a head that begins with numbers of its own choice",
        "INSERT INTO campaign_head (campaign_id, change_no) VALUES (gen_random_uuid(), 7)"
            .to_owned(),
        head,
        &grant("INSERT ON campaign_head"),
    );
    denied(
        "an upsert over an old outcome",
        format!(
            "INSERT INTO change SELECT * FROM change WHERE campaign_id = '{}' AND change_no = 1
             ON CONFLICT (campaign_id, change_no) DO UPDATE SET method = 'Other'",
            b.id
        ),
        "permission denied for table change",
        &[
            Protection::privilege("GRANT UPDATE ON change TO pledgebook_app"),
            StaysWritten("change"),
        ],
    );
    denied(
        "a key that becomes an administrator's",
        "UPDATE api_key SET role = 'admin'".to_owned(),
        "permission denied for table api_key",
        &grant("UPDATE ON api_key"),
    );
    denied(
        "a migration that was never run",
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'forged', true, '', 0)"
            .to_owned(),
        "permission denied for table _sqlx_migrations",
        &grant("INSERT ON _sqlx_migrations"),
    );
    attacks
}
