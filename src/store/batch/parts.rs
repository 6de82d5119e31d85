//! How a batch's statement is put together, part by part and column by column.
//!
//! A part that has no rows is left out, since PostgreSQL would open its table and fire its
//! triggers for nothing, and so is a column that nobody has a value for; what rows mostly have in
//! common is sent once when they do. Arrays are unnested side by side in the select list: in FROM
//! each would be kept as a table of its own first, which takes twice as long.

use sqlx::{
    Arguments, AssertSqlSafe, Encode, PgConnection, Postgres, SqlSafeStr, SqlStr, Type,
    postgres::PgArguments,
};

use crate::{id::CampaignId, store::StoreError};

/// A statement with its rows, which needs the world no more.
#[derive(Clone)]
pub(crate) struct Statement {
    sql: SqlStr,
    rows: PgArguments,
}

impl Statement {
    /// Its text, for tests.
    #[cfg(test)]
    pub(super) fn text(&self) -> &str {
        self.sql.as_str()
    }

    /// Carries it out, in the connection's database transaction or as one of its own.
    pub(crate) async fn execute(self, connection: &mut PgConnection) -> Result<(), StoreError> {
        sqlx::query_with(self.sql, self.rows)
            .execute(connection)
            .await?;
        Ok(())
    }
}

/// A statement in the making.
pub(super) struct Parts {
    texts: Vec<String>,
    arguments: PgArguments,
}

impl Parts {
    /// None yet; the campaign is the first argument.
    pub(super) fn of(campaign: CampaignId) -> Result<Self, StoreError> {
        let mut parts = Self {
            texts: Vec::new(),
            arguments: PgArguments::default(),
        };
        parts.bind(campaign.0)?;
        Ok(parts)
    }

    /// Adds an argument; gives what the text calls it.
    pub(super) fn bind<'t>(
        &mut self,
        value: impl Encode<'t, Postgres> + Type<Postgres>,
    ) -> Result<String, StoreError> {
        let bound = self.arguments.add(value);
        bound.map_err(|error| StoreError::Fault(sqlx::Error::Encode(error)))?;
        Ok(format!("${}", self.arguments.len()))
    }

    /// Begins the part of these rows.
    pub(super) fn rows<'p, Row>(
        &'p mut self,
        table: &'static str,
        rows: &'p [Row],
    ) -> Part<'p, Row> {
        // Room for those of a payment, the longest ones, so that they do not move as they grow.
        let text = |begins: &str| {
            let mut text = String::with_capacity(512);
            text.push_str(begins);
            text
        };
        Part {
            parts: self,
            table,
            rows,
            is_left_out: rows.is_empty(),
            columns: text("campaign_id"),
            values: text("$1"),
        }
    }

    /// The main query, which takes the locks.
    pub(super) fn end(
        mut self,
        campaign: i64,
        own: i64,
        behind: &str,
    ) -> Result<Statement, StoreError> {
        let (campaign, own) = (self.bind(campaign)?, self.bind(own)?);
        let behind = self.bind(behind)?;
        let parts = self.texts.join(", ");
        let text = format!(
            "WITH {parts} SELECT pg_advisory_xact_lock_shared({campaign}), \
             pg_advisory_xact_lock({own}), set_config('pledgebook.behind', {behind}, true)"
        );
        Ok(Statement {
            sql: AssertSqlSafe(text).into_sql_str(),
            rows: self.arguments,
        })
    }
}

/// The rows of one table in the making, column by column.
pub(super) struct Part<'p, Row> {
    parts: &'p mut Parts,
    table: &'static str,
    rows: &'p [Row],
    is_left_out: bool,
    columns: String,
    values: String,
}

impl<'p, Row> Part<'p, Row> {
    /// A column of all rows.
    pub(super) fn column<T>(
        self,
        name: &str,
        of: impl FnMut(&'p Row) -> T,
    ) -> Result<Self, StoreError>
    where
        Vec<T>: Encode<'p, Postgres> + Type<Postgres>,
    {
        self.column_as(name, "", of)
    }

    /// A column that is sent as another type than the one that it has.
    pub(super) fn column_as<T>(
        self,
        name: &str,
        cast: &str,
        of: impl FnMut(&'p Row) -> T,
    ) -> Result<Self, StoreError>
    where
        Vec<T>: Encode<'p, Postgres> + Type<Postgres>,
    {
        let values: Vec<T> = self.rows.iter().map(of).collect();
        self.unnested(name, cast, values)
    }

    /// A column of which the rows mostly have the same value: it is sent once when they all do. Each
    /// way is a text of its own to be planned, of a realistic load 26 where there were 22. One column
    /// of a part has to be another kind, since its arrays say how many rows there are.
    pub(super) fn alike<T>(
        self,
        name: &str,
        mut of: impl FnMut(&'p Row) -> T,
    ) -> Result<Self, StoreError>
    where
        T: Encode<'p, Postgres> + Type<Postgres> + PartialEq,
        Vec<T>: Encode<'p, Postgres> + Type<Postgres>,
    {
        let mut rows = self.rows.iter();
        let Some(value) = rows.next().map(&mut of) else {
            return Ok(self);
        };
        if !rows.all(|row| of(row) == value) {
            return self.column(name, of);
        }
        let value = self.parts.bind(value)?;
        Ok(self.value(name, &value))
    }

    /// A column that is left out when no row has a value.
    pub(super) fn nullable<T>(
        self,
        name: &str,
        of: impl FnMut(&'p Row) -> Option<T>,
    ) -> Result<Self, StoreError>
    where
        Vec<Option<T>>: Encode<'p, Postgres> + Type<Postgres>,
    {
        self.nullable_as(name, "", of)
    }

    /// As [`Part::nullable`] and [`Part::column_as`].
    pub(super) fn nullable_as<T>(
        self,
        name: &str,
        cast: &str,
        of: impl FnMut(&'p Row) -> Option<T>,
    ) -> Result<Self, StoreError>
    where
        Vec<Option<T>>: Encode<'p, Postgres> + Type<Postgres>,
    {
        let values: Vec<Option<T>> = self.rows.iter().map(of).collect();
        if values.iter().all(Option::is_none) {
            return Ok(self);
        }
        self.unnested(name, cast, values)
    }

    fn unnested<T>(self, name: &str, cast: &str, values: Vec<T>) -> Result<Self, StoreError>
    where
        Vec<T>: Encode<'p, Postgres> + Type<Postgres>,
    {
        if self.is_left_out {
            return Ok(self);
        }
        let values = self.parts.bind(values)?;
        Ok(self.value(name, &format!("unnest({values}){cast}")))
    }

    /// A column by its expression.
    pub(super) fn value(mut self, name: &str, expression: &str) -> Self {
        self.columns.extend([", ", name]);
        self.values.extend([", ", expression]);
        self
    }

    /// A column of arrays that are all so long, sent place by place.
    pub(super) fn arrays<T>(
        self,
        name: &str,
        length: usize,
        of: impl Fn(&'p Row, usize) -> T,
    ) -> Result<Self, StoreError>
    where
        Vec<T>: Encode<'p, Postgres> + Type<Postgres>,
    {
        if self.is_left_out {
            return Ok(self);
        }
        let mut places = Vec::with_capacity(length);
        for place in 0..length {
            let values: Vec<T> = self.rows.iter().map(|row| of(row, place)).collect();
            places.push(format!("unnest({})", self.parts.bind(values)?));
        }
        let places = places.join(", ");
        Ok(self.value(name, &format!("ARRAY[{places}]")))
    }

    /// Without rows it is a part as well, if so.
    pub(super) fn even_without_rows(mut self, yes: bool) -> Self {
        self.is_left_out &= !yes;
        self
    }

    /// Rows that are new.
    pub(super) fn insert(self) {
        self.part("");
    }

    /// Rows of which some may have been there before, and what may have changed of those.
    pub(super) fn upsert(self, key: &str, changes: &[&str]) {
        let changes = changes.iter();
        let changes: Vec<_> = changes.map(|of| format!("{of} = excluded.{of}")).collect();
        let changes = changes.join(", ");
        self.part(&format!(
            " ON CONFLICT (campaign_id, {key}) DO UPDATE SET {changes}"
        ));
    }

    /// The part, with what comes behind its values.
    pub(super) fn part(self, rest: &str) {
        let (table, columns, values) = (self.table, &self.columns, &self.values);
        debug_assert!(
            self.rows.len() < 2 || values.contains("unnest($"),
            "rows of {table} that are alike in every column would be one"
        );
        if !self.is_left_out {
            self.parts.texts.push(format!(
                "{table}s AS (INSERT INTO {table} ({columns}) SELECT {values}{rest})"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_column_without_values_is_left_out_and_so_is_a_part_without_rows() {
        let part = |rows: &[(i64, Option<i64>)]| {
            let mut parts = Parts::of(CampaignId(Uuid::nil())).unwrap();
            let rows = parts.rows("lot", rows);
            let rows = rows.column("units", |(units, _)| *units).unwrap();
            rows.nullable("entry_no", |(_, entry)| *entry)
                .unwrap()
                .upsert("certificate", &["units", "entry_no"]);
            (parts.texts.join(""), parts.arguments.len())
        };
        let changes = "ON CONFLICT (campaign_id, certificate) DO UPDATE \
            SET units = excluded.units, entry_no = excluded.entry_no)";
        let text = |columns, values| {
            format!(
                "lots AS (INSERT INTO lot (campaign_id, {columns}) SELECT $1, {values} {changes}"
            )
        };
        let both = text("units, entry_no", "unnest($2), unnest($3)");
        assert_eq!(part(&[(1, None), (2, Some(7))]), (both, 3));
        let one = text("units", "unnest($2)");
        assert_eq!(part(&[(1, None), (2, None)]), (one, 2));
        assert_eq!(part(&[]), (String::new(), 1));
    }

    #[test]
    fn what_rows_have_in_common_is_sent_once() {
        let part = |rows: &[(i64, &str)]| {
            let mut parts = Parts::of(CampaignId(Uuid::nil())).unwrap();
            let rows = parts.rows("lot", rows);
            let rows = rows.column("units", |(units, _)| *units).unwrap();
            rows.alike("state", |(_, state)| *state).unwrap().insert();
            parts.texts.join("")
        };
        let text = |state| {
            format!(
                "lots AS (INSERT INTO lot (campaign_id, units, state) SELECT $1, unnest($2), {state})"
            )
        };
        assert_eq!(part(&[(1, "held"), (2, "held")]), text("$3"));
        assert_eq!(part(&[(1, "held"), (2, "sold")]), text("unnest($3)"));
        assert_eq!(part(&[(1, "held")]), text("$3"));
    }

    #[test]
    fn arrays_of_one_length_are_sent_place_by_place() {
        let mut parts = Parts::of(CampaignId(Uuid::nil())).unwrap();
        let rows = [[1, 2], [3, 4]];
        let rows = parts.rows("lot", &rows);
        let rows = rows.arrays("numbers", 2, |row: &[i32; 2], n| row.get(n).copied());
        rows.unwrap().insert();
        assert_eq!(
            parts.texts.join(""),
            "lots AS (INSERT INTO lot (campaign_id, numbers) \
             SELECT $1, ARRAY[unnest($2), unnest($3)])"
        );
    }
}
