//! PostgreSQL: a table with an index on the due instant, and `DELETE … WHERE due <= now` in batches.
//!
//! The server is Debian's. It runs on a socket, with a cluster of its own in the measured folder. `fsync` and
//! `synchronous_commit` are on, as by default. `psql` sends the statements. COPY inserts 1,000 rows per transaction. Two
//! sessions delete 10,000 rows per transaction and skip rows that the other has locked.
//!
//! It does less than the engine: it has no evidence, and deleted rows stay in its files until vacuumed and overwritten.
//! It does more: it is a general database.

use super::{Server, installed};
use crate::{CLASSES, LEAD, REGISTERED, Result, THREADS, Workload, rate};
use sexton_proof::time::whole_ms;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

const BATCH: usize = 10_000;
/// Users to run the server as if this process is root. The server rejects root. The first user that exists is taken.
const USERS: [&str; 2] = ["postgres", "daemon"];

/// Checks that the programs are installed.
///
/// # Errors
/// If one is not. The message says how to install it.
pub fn check_installed() -> std::result::Result<(), String> {
    for program in ["initdb", "postgres", "psql"] {
        program_path(program)?;
    }
    Ok(())
}

fn program_path(program: &str) -> std::result::Result<PathBuf, String> {
    // Debian installs each version into a folder of its own, outside the search path.
    let mut folders: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    folders.sort();
    folders.reverse();
    installed(program, &folders).ok_or_else(|| {
        "postgresql is not installed (make bench-peers installs it with apt-get as root or by sudo)"
            .to_owned()
    })
}

/// User and group that the server runs as. `None` is the user of this process.
#[derive(Clone, Copy)]
struct RunAs(Option<(u32, u32)>);

impl RunAs {
    fn here() -> Result<Self> {
        if fs::metadata("/proc/self")?.uid() != 0 {
            return Ok(RunAs(None));
        }
        let users = fs::read_to_string("/etc/passwd")?;
        let ids = USERS.iter().find_map(|name| ids_of(&users, name));
        Ok(RunAs(Some(ids.ok_or("postgres does not run as root, and there is no user postgres or daemon")?)))
    }

    fn command(self, program: &str) -> Result<Command> {
        let mut command = Command::new(program_path(program)?);
        if let Some((user, group)) = self.0 {
            command.uid(user).gid(group);
        }
        Ok(command)
    }

    fn owns(self, folder: &Path) -> Result<()> {
        if let Some((user, group)) = self.0 {
            chown(folder, Some(user), Some(group))?;
        }
        Ok(())
    }
}

fn ids_of(passwd: &str, name: &str) -> Option<(u32, u32)> {
    let mut users = passwd.lines().map(|line| line.split(':'));
    let mut fields = users.find(|fields| fields.clone().next() == Some(name))?.skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// Running server.
pub struct Postgres {
    server: Server,
    sockets: tempfile::TempDir,
    run_as: RunAs,
}

impl Postgres {
    /// Creates a cluster in `folder`, starts it and creates the table.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(folder: &Path) -> Result<Self> {
        let run_as = RunAs::here()?;
        let sockets = tempfile::tempdir()?;
        run_as.owns(folder)?;
        run_as.owns(sockets.path())?;
        let data = folder.join("data");
        let mut init = run_as.command("initdb")?;
        init.args(["--auth=trust", "--username=bench", "--encoding=UTF8", "--locale=C", "--no-sync"]);
        let init = init.arg("--pgdata").arg(&data).current_dir("/").stdin(Stdio::null());
        succeeded("initdb", &init.output()?)?;
        let mut command = run_as.command("postgres")?;
        command.arg("-D").arg(&data).arg("-k").arg(sockets.path()).current_dir("/");
        for setting in ["listen_addresses=", "fsync=on", "synchronous_commit=on", "max_wal_size=4GB"] {
            command.args(["-c", setting]);
        }
        let socket = sockets.path().join(".s.PGSQL.5432");
        let is_ready = || {
            socket.exists()
                && psql(run_as, sockets.path()).is_ok_and(|mut psql| {
                    psql.args(["-c", "select 1"]).stderr(Stdio::null()).stdout(Stdio::null());
                    psql.status().is_ok_and(|status| status.success())
                })
        };
        let server = Server::start("postgres", command, &folder.join("postgres.said"), is_ready)?;
        let postgres = Postgres { server, sockets, run_as };
        postgres.run(
            "CREATE TABLE objects (class smallint NOT NULL, due bigint NOT NULL, key bytea NOT NULL, \
             rest bytea NOT NULL); CREATE INDEX objects_due ON objects (due);",
        )?;
        Ok(postgres)
    }

    /// Registers the workload, 1,000 objects per transaction, and returns the objects per second.
    ///
    /// # Errors
    /// Errors of the server.
    pub fn register(&self, work: &Workload) -> Result<f64> {
        // The scripts are formatted before the measurement: inserting is measured, not formatting.
        let scripts: Vec<String> = (0..THREADS).map(|thread| script(work, thread)).collect();
        let rate = rate(work.len(), || self.run_all(&scripts))?;
        self.run("ANALYZE objects;")?;
        Ok(rate)
    }

    /// Deletes all rows, all of which are due, and returns the rows per second.
    ///
    /// # Errors
    /// Errors of the server, or if a row is left.
    pub fn enforce(&self, work: &Workload) -> Result<f64> {
        // A batch begins where the last one ended. From the start of the index it would walk over all deleted rows.
        let delete = format!(
            "DO $$ DECLARE n bigint; last bigint := 0; upto bigint; BEGIN LOOP \
             WITH gone AS (DELETE FROM objects WHERE ctid = ANY (ARRAY(SELECT ctid FROM objects \
             WHERE due >= last AND due <= {} ORDER BY due LIMIT {BATCH} FOR UPDATE SKIP LOCKED)) RETURNING due) \
             SELECT count(*), max(due) INTO n, upto FROM gone; \
             COMMIT; EXIT WHEN n = 0; last := upto; END LOOP; END $$;",
            i64::MAX
        );
        let sessions = vec![delete; THREADS];
        let rate = rate(work.len(), || self.run_all(&sessions))?;
        match self.run("SELECT count(*) FROM objects;")?.trim() {
            "0" => Ok(rate),
            left => Err(format!("postgres left {left} rows").into()),
        }
    }

    /// Runs scripts in parallel, each in a session of its own.
    fn run_all(&self, scripts: &[String]) -> Result<()> {
        let failed = Mutex::new(None);
        std::thread::scope(|scope| {
            for script in scripts {
                scope.spawn(|| {
                    if let Err(error) = self.run(script) {
                        *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    }
                });
            }
        });
        match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Runs a script in a session of its own, and returns its output.
    fn run(&self, script: &str) -> Result<String> {
        let mut session = psql(self.run_as, self.sockets.path())?;
        session.args(["-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut session = session.spawn()?;
        if let Some(mut input) = session.stdin.take() {
            input.write_all(script.as_bytes())?;
        }
        let output = session.wait_with_output()?;
        succeeded("psql", &output)?;
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Stops the server.
    ///
    /// # Errors
    /// If it does not exit.
    pub fn stop(mut self) -> Result<()> {
        self.server.interrupt()?;
        self.server.wait()
    }
}

fn psql(run_as: RunAs, sockets: &Path) -> Result<Command> {
    let mut psql = run_as.command("psql")?;
    psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "bench", "-d", "postgres", "-h"]);
    psql.arg(sockets).current_dir("/");
    Ok(psql)
}

fn succeeded(name: &str, output: &Output) -> Result<()> {
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim()).into()),
    }
}

/// Script of one session: a COPY for each of its calls.
fn script(work: &Workload, thread: usize) -> String {
    let mut out = String::new();
    for call in (thread..work.calls).step_by(THREADS) {
        let (class, indexes) = work.call(call);
        debug_assert!(class < CLASSES);
        out.push_str("COPY objects FROM stdin;\n");
        for index in indexes {
            let (key, rest) = work.key(class, index);
            let due = whole_ms(work.start(index).since(REGISTERED) + LEAD);
            let _ = write!(out, "{class}\t{due}\t\\\\x");
            hex(&mut out, key);
            out.push_str("\t\\\\x");
            hex(&mut out, rest);
            out.push('\n');
        }
        out.push_str("\\.\n");
    }
    out
}

fn hex(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\npostgres:x:101:104:,,,:/var/lib:/bin/bash\n";
        assert_eq!(ids_of(passwd, "postgres"), Some((101, 104)));
        assert_eq!(ids_of(passwd, "daemon"), None);
    }

    #[test]
    fn script_has_a_copy_for_each_call() {
        let work = Workload::new(8_000, 10);
        let text = script(&work, 1);
        assert_eq!(text.matches("COPY objects FROM stdin;\n").count(), 4);
        assert_eq!(text.matches("\t\\\\x6275636b65742d").count(), 4_000);
    }
}
