//! One session with the database: the statements, and what is believed of their answers.
//!
//! | table | row |
//! | --- | --- |
//! | `warren_registrar` | one: the version of the format, the writer's epoch, the number of the last write |
//! | `warren_records` | one for each record of [`crate::records`] |
//!
//! A session holds an advisory lock, so that a second registrar is refused while the first is at
//! work. It is no more than politeness: locks end with a session, a machine that was thought dead
//! comes back. What keeps two from writing is the epoch, which each opening raises and each write
//! checks in its own transaction.

use net::postgres::{FromSql, PostgresConnection, PostgresError, Row, ToSql, Type};

use super::PostgresTarget;
use super::fault::{StoreFault, StoreOpenError};
use crate::limits::{POSTGRES_DEADLINE, POSTGRES_PAGE_RECORDS, POSTGRES_RECORD_BYTES_MAX};
use crate::store::Batch;

/// The version of the tables that this program makes.
const VERSION: i32 = 1;

/// Of the advisory lock: "warren" as a number.
const LOCK: i64 = 0x7761_7272_656e;

/// What a session needs: one that is silent or in the way must not keep others out for long.
const SETTINGS: &str = "
    SET idle_session_timeout = '15s';
    SET idle_in_transaction_session_timeout = '15s';
    SET lock_timeout = '5s';
    SET statement_timeout = 0;
    SET client_min_messages = 'warning';
    SET default_transaction_isolation = 'read committed'";

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS warren_registrar (
        only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
        version integer NOT NULL,
        writer_epoch bigint NOT NULL,
        written bigint NOT NULL,
        sessions bigint NOT NULL
    );
    CREATE TABLE IF NOT EXISTS warren_records (
        key bytea PRIMARY KEY CHECK (octet_length(key) <= 1024),
        value bytea NOT NULL CHECK (octet_length(value) <= 65536)
    );
    INSERT INTO warren_registrar (version, writer_epoch, written, sessions)
        VALUES (1, 0, 0, 0) ON CONFLICT DO NOTHING";

/// No such table.
const UNDEFINED_TABLE: &str = "42P01";

pub struct Session {
    connection: PostgresConnection,
}

/// A place among the writes of all registrars that ever had this store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Who writes.
    pub epoch: i64,
    /// The number of the last write.
    pub written: i64,
}

type Values<'a> = [(&'a (dyn ToSql + Sync), Type)];

impl Session {
    /// A session with the first server that takes writes and makes them durable. After each failure
    /// another one is the first: one that answers need not do what it is asked.
    pub async fn open(target: &PostgresTarget, failures: u32) -> Result<Self, StoreOpenError> {
        let mut last = StoreOpenError::ReadOnly;
        let servers = target.place.servers();
        let first = usize::try_from(failures).unwrap_or(0) % servers.len().max(1);
        for server in servers.iter().cycle().skip(first).take(servers.len()) {
            let opened = PostgresConnection::open(&target.place, server, target.tls.as_ref()).await;
            let outcome = match opened {
                Ok(connection) => Self { connection }.prepared().await,
                Err(error) => Err(error.into()),
            };
            match outcome {
                Ok(session) => return Ok(session),
                Err(error @ StoreOpenError::Fault(_)) => return Err(error),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn prepared(self) -> Result<Self, StoreOpenError> {
        self.tell(SETTINGS).await?;
        let row = self
            .one(
                "SELECT current_setting('synchronous_commit'), current_setting('fsync'),
                        pg_is_in_recovery()",
                &[],
            )
            .await?;
        if get::<bool>(&row, 2)? {
            return Err(StoreOpenError::ReadOnly);
        }
        for (column, setting, is_good) in
            [(0, "synchronous_commit", &["on", "remote_apply"][..]), (1, "fsync", &["on"])]
        {
            let found: String = get(&row, column)?;
            if !is_good.contains(&found.as_str()) {
                return Err(StoreFault::NotDurable { setting, found }.into());
            }
        }
        Ok(self)
    }

    /// Makes this session the only one of its kind, as long as it lasts.
    pub async fn lock(&self) -> Result<(), StoreOpenError> {
        let row = self.one("SELECT pg_try_advisory_lock($1)", &[(&LOCK, Type::INT8)]).await?;
        if get(&row, 0)? { Ok(()) } else { Err(StoreOpenError::Held) }
    }

    /// Makes the tables if there are none, and raises the epoch: nobody who opened the store before
    /// writes from here on.
    pub async fn take_over(&self) -> Result<Position, StoreOpenError> {
        self.tell("BEGIN").await?;
        self.tell(TABLES).await?;
        let row = self.one("SELECT version FROM warren_registrar", &[]).await?;
        let found: i32 = get(&row, 0)?;
        if found != VERSION {
            return Err(StoreFault::Version { found, known: VERSION }.into());
        }
        let row = self
            .one(
                "UPDATE warren_registrar SET writer_epoch = writer_epoch + 1
                 RETURNING writer_epoch, written",
                &[],
            )
            .await?;
        self.commit().await?;
        Ok(Position { epoch: get(&row, 0)?, written: get(&row, 1)? })
    }

    /// The number of the last write, as long as the epoch is this one; otherwise what there is
    /// instead.
    ///
    /// It is itself a write, and the answer counts once that is durable: then all is that it saw,
    /// even what a connection that broke did not wait for. It waits for a write that is still under
    /// way on such a connection.
    pub async fn settle(&self, epoch: i64) -> Result<Result<i64, Option<Position>>, PostgresError> {
        let settled = self
            .transaction(
                "UPDATE warren_registrar SET sessions = sessions + 1 WHERE writer_epoch = $1
                 RETURNING written",
                &[(&epoch, Type::INT8)],
            )
            .await;
        match settled {
            Ok(rows) => match rows.first() {
                Some(row) => Ok(Ok(get(row, 0)?)),
                None => Ok(Err(self.position().await?)),
            },
            Err(error) if error.is_refusal(UNDEFINED_TABLE) => Ok(Err(None)),
            Err(error) => Err(error),
        }
    }

    /// Where the store stands, if there is one.
    pub async fn position(&self) -> Result<Option<Position>, PostgresError> {
        let statement = "SELECT writer_epoch, written FROM warren_registrar";
        match self.ask(statement, &[], 0).await {
            Ok(rows) => {
                let position = |row| Ok(Position { epoch: get(row, 0)?, written: get(row, 1)? });
                rows.first().map(position).transpose()
            }
            Err(error) if error.is_refusal(UNDEFINED_TABLE) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes a batch as number `next.written`, if `next.epoch` is who may write and the write
    /// before it is there. One transaction; durable when this says so.
    pub async fn write(&self, next: Position, batch: &Batch) -> Result<bool, PostgresError> {
        let (mut keys, mut values, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        for (key, value) in batch.iter() {
            match value {
                Some(value) => {
                    keys.push(key);
                    values.push(value);
                }
                None => gone.push(key),
            }
        }
        let turn: &Values<'_> = &[(&next.epoch, Type::INT8), (&next.written, Type::INT8)];
        let put: &Values<'_> = &[(&keys, Type::BYTEA_ARRAY), (&values, Type::BYTEA_ARRAY)];
        let delete: &Values<'_> = &[(&gone, Type::BYTEA_ARRAY)];
        // In one go, in this order; what comes of it is looked at before anything is committed.
        let (begun, turn, put, deleted) = tokio::join!(
            biased;
            self.tell("BEGIN"),
            self.ask(
                "UPDATE warren_registrar SET written = $2
                 WHERE writer_epoch = $1 AND written = $2 - 1 RETURNING written",
                turn,
                0,
            ),
            self.ask(
                "INSERT INTO warren_records (key, value)
                 SELECT * FROM unnest($1::bytea[], $2::bytea[])
                 ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                put,
                0,
            ),
            self.ask("DELETE FROM warren_records WHERE key = ANY ($1::bytea[])", delete, 0),
        );
        begun?;
        let is_ours = turn?.len() == 1;
        put?;
        deleted?;
        if is_ours {
            self.commit().await?;
        } else {
            self.tell("ROLLBACK").await?;
        }
        Ok(is_ours)
    }

    /// The records under these keys, in no order.
    pub async fn get(&self, keys: &[Vec<u8>]) -> Result<Vec<(Vec<u8>, Vec<u8>)>, PostgresError> {
        let statement = "SELECT key, value FROM warren_records WHERE key = ANY ($1)";
        let bytes_max = keys.len().saturating_mul(POSTGRES_RECORD_BYTES_MAX);
        let rows = self.ask(statement, &[(&keys, Type::BYTEA_ARRAY)], bytes_max).await?;
        rows.iter().map(record).collect()
    }

    /// The first records whose keys begin with `prefix` and come after `after`, in order.
    pub async fn page(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, PostgresError> {
        let limit = i64::try_from(POSTGRES_PAGE_RECORDS).map_err(|_| PostgresError::Malformed)?;
        let end = end_of(prefix);
        let statement = match after {
            None => {
                "SELECT key, value FROM warren_records
                 WHERE key >= $1 AND key < $2 ORDER BY key LIMIT $3"
            }
            Some(_) => {
                "SELECT key, value FROM warren_records
                 WHERE key > $1 AND key < $2 ORDER BY key LIMIT $3"
            }
        };
        let after = after.unwrap_or(prefix);
        let values: &Values<'_> =
            &[(&after, Type::BYTEA), (&end, Type::BYTEA), (&limit, Type::INT8)];
        let bytes_max = POSTGRES_PAGE_RECORDS.saturating_mul(POSTGRES_RECORD_BYTES_MAX);
        self.ask(statement, values, bytes_max).await?.iter().map(record).collect()
    }

    /// A statement in a transaction of its own, whose rows count once it is committed.
    async fn transaction(
        &self,
        statement: &str,
        values: &Values<'_>,
    ) -> Result<Vec<Row>, PostgresError> {
        self.tell("BEGIN").await?;
        let rows = self.ask(statement, values, 0).await?;
        self.commit().await?;
        Ok(rows)
    }

    /// By a warning the server says that it did not wait for the machines that should have the write
    /// too: then it is as unknown as after a connection that broke.
    async fn commit(&self) -> Result<(), PostgresError> {
        self.connection.take_warning();
        self.tell("COMMIT").await?;
        if self.connection.take_warning() { Err(PostgresError::Warned) } else { Ok(()) }
    }

    async fn one(&self, statement: &str, values: &Values<'_>) -> Result<Row, PostgresError> {
        self.ask(statement, values, 0).await?.pop().ok_or(PostgresError::Malformed)
    }

    async fn ask(
        &self,
        statement: &str,
        values: &Values<'_>,
        bytes_max: usize,
    ) -> Result<Vec<Row>, PostgresError> {
        self.connection.ask(statement, values, bytes_max, POSTGRES_DEADLINE).await
    }

    async fn tell(&self, statements: &str) -> Result<(), PostgresError> {
        self.connection.tell(statements, POSTGRES_DEADLINE).await
    }
}

fn record(row: &Row) -> Result<(Vec<u8>, Vec<u8>), PostgresError> {
    Ok((get(row, 0)?, get(row, 1)?))
}

fn get<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Result<T, PostgresError> {
    row.try_get(column).map_err(|_| PostgresError::Malformed)
}

/// The first key behind all that begin with `prefix`.
fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return end;
        }
    }
    // No key of a record begins so.
    vec![u8::MAX; 1024]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_comes_behind_all_that_begin_with_it() {
        assert_eq!(end_of(b"name/"), b"name0");
        assert_eq!(end_of(b"a\xff"), b"b");
        assert!(end_of(b"\xff") > b"\xff\xfe".to_vec());
    }
}
