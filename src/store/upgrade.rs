//! From older versions of Fail2Ban's schema to the present one.
//!
//! | version | what it has not yet |
//! |---|---|
//! | 1 | `logs`: one row for each path and first line |
//! | 2 | `bans`: how long, and how often |
//! | 3 | `bips`: the last ban of each address |
//!
//! What was not written down is what Fail2Ban makes of it: a ban of unknown length (-2) lasts as long as the jail's do.

use rusqlite::{Connection, params};

use super::schema::{FAIL2BAN, VERSION};

/// The column `bantime` of a ban from before there was one.
pub(super) const UNKNOWN: i64 = -2;

/// Ban data that is larger is not carried over.
const LARGEST_DATA: i64 = 16 << 20;

/// Brings the tables to the present version; the caller has begun a transaction.
pub(super) fn upgrade(sqlite: &Connection, version: i64) -> rusqlite::Result<()> {
    if version < 2 && has(sqlite, "logs", "path")? {
        sqlite.execute_batch("DROP INDEX IF EXISTS logs_path; DROP INDEX IF EXISTS logs_jail_path")?;
        rebuild(
            sqlite,
            "logs",
            "jail, path, firstlinemd5, lastfilepos",
            "jail, path, firstlinemd5, lastfilepos",
        )?;
    }
    if version < 3 && has(sqlite, "bans", "ip")? {
        sqlite.execute_batch(
            "DROP INDEX IF EXISTS bans_jail_timeofban_ip; DROP INDEX IF EXISTS bans_jail_ip; DROP INDEX IF EXISTS bans_ip",
        )?;
        adopt_jails(sqlite, "bans")?;
        let or = |column: &str, unknown: i64| {
            has(sqlite, "bans", column)
                .map(|there| if there { column.to_owned() } else { unknown.to_string() })
        };
        let values = format!(
            "jail, ip, timeofban, {}, {}, CASE WHEN octet_length(data) <= {LARGEST_DATA} THEN data END",
            or("bantime", UNKNOWN)?,
            or("bancount", 1)?
        );
        rebuild(sqlite, "bans", "jail, ip, timeofban, bantime, bancount, data", &values)?;
    }
    sqlite.execute_batch(FAIL2BAN)?;
    if version < VERSION || is_empty(sqlite, "bips")? {
        // Also where a Fail2Ban was interrupted between making the table and filling it.
        adopt_jails(sqlite, "bans")?;
        sqlite.execute_batch(
            "INSERT INTO bips(ip, jail, timeofban, bantime, bancount, data)
               SELECT ip, jail, timeofban, bantime, bancount, data FROM bans WHERE ip IS NOT NULL
             ON CONFLICT(ip, jail) DO UPDATE SET timeofban = excluded.timeofban, bantime = excluded.bantime,
               bancount = excluded.bancount, data = excluded.data WHERE excluded.timeofban >= timeofban",
        )?;
    }
    sqlite.execute("UPDATE fail2banDb SET version = ?1", [VERSION]).map(drop)
}

/// Makes a table anew in its present shape, with its rows.
fn rebuild(sqlite: &Connection, table: &str, columns: &str, values: &str) -> rusqlite::Result<()> {
    sqlite.execute_batch(&format!(
        "DROP TABLE IF EXISTS stockade_old; ALTER TABLE {table} RENAME TO stockade_old"
    ))?;
    sqlite.execute_batch(FAIL2BAN)?;
    sqlite.execute_batch(&format!(
        "INSERT OR IGNORE INTO {table}({columns}) SELECT {values} FROM stockade_old; DROP TABLE stockade_old"
    ))
}

/// A row whose jail is not listed would be refused.
fn adopt_jails(sqlite: &Connection, table: &str) -> rusqlite::Result<()> {
    sqlite.execute_batch(&format!(
        "INSERT OR IGNORE INTO jails(name, enabled) SELECT DISTINCT jail, 0 FROM {table} WHERE jail IS NOT NULL"
    ))
}

fn has(sqlite: &Connection, table: &str, column: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) FROM pragma_table_info(?1) WHERE name = ?2";
    sqlite.query_row(sql, params![table, column], |row| row.get::<_, i64>(0)).map(|count| count > 0)
}

fn is_empty(sqlite: &Connection, table: &str) -> rusqlite::Result<bool> {
    sqlite.query_row(&format!("SELECT NOT EXISTS (SELECT 1 FROM {table})"), [], |row| row.get(0))
}
