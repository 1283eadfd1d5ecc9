//! PostgreSQL: a table with an index on the due instant, and `DELETE … WHERE due <= now` by batches. Debian's, with a
//! cluster of its own in the measured folder, started here on a socket and stopped here; `fsync` and
//! `synchronous_commit` are on, as by default.
//!
//! It does less: no promise, no evidence, and the rows stay in its files until they are vacuumed and written over. It
//! does more: it is a database. Spoken to with `psql`: rows go in by COPY, 1,000 in a transaction; two sessions delete,
//! each 10,000 in a transaction, passing over what the other has locked.

use super::{Server, installed};
use crate::{CLASSES, LEAD_MS, REGISTERED_MS, Result, THREADS, Workload, rate};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::PoisonError;

const BATCH: usize = 10_000;
/// Whom it runs as where this is root, which it refuses to run as; the first of them that there is.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// Where its programs are, or what to do about it.
///
/// # Errors
/// Where it is not installed.
pub fn is_installed() -> std::result::Result<(), String> {
    for program in ["initdb", "postgres", "psql"] {
        program_path(program)?;
    }
    Ok(())
}

fn program_path(program: &str) -> std::result::Result<PathBuf, String> {
    // Debian keeps each version's programs in a folder of its own, outside the search path.
    let mut folders: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    folders.sort();
    folders.reverse();
    installed(program, &folders)
        .ok_or_else(|| "postgresql is not installed (make bench-peers installs it where it may)".to_owned())
}

/// Who runs it: nobody else, or a user and a group.
#[derive(Clone, Copy)]
struct RunAs(Option<(u32, u32)>);

impl RunAs {
    fn here() -> Result<Self> {
        if fs::metadata("/proc/self")?.uid() != 0 {
            return Ok(RunAs(None));
        }
        let users = fs::read_to_string("/etc/passwd")?;
        let ids = USERS.iter().find_map(|name| ids_of(&users, name));
        Ok(RunAs(Some(
            ids.ok_or("postgres refuses to run as root, and there is no user postgres or nobody")?,
        )))
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

/// A running one.
pub struct Postgres {
    server: Server,
    sockets: tempfile::TempDir,
    run_as: RunAs,
}

impl Postgres {
    /// Makes a cluster in `folder` and starts it.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn start(folder: &Path) -> Result<Self> {
        let run_as = RunAs::here()?;
        let sockets = tempfile::tempdir()?;
        run_as.owns(folder)?;
        run_as.owns(sockets.path())?;
        let data = folder.join("data");
        let mut init = run_as.command("initdb")?;
        init.args(["--auth=trust", "--username=bench", "--encoding=UTF8", "--locale=C", "--no-sync"]);
        finished("initdb", init.arg("--pgdata").arg(&data).current_dir("/"))?;
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

    /// Registers everything, 1,000 objects in a transaction.
    ///
    /// # Errors
    /// What it answers.
    pub fn register(&self, work: &Workload) -> Result<f64> {
        // Written before it is timed, since it is the rows that are measured and not their spelling.
        let scripts: Vec<String> = (0..THREADS).map(|thread| script(work, thread)).collect();
        let rate = rate(work.len(), || self.run_all(&scripts))?;
        self.run("ANALYZE objects;")?;
        Ok(rate)
    }

    /// Deletes everything that is due, which is everything.
    ///
    /// # Errors
    /// What it answers, or where a row is left.
    pub fn enforce(&self, work: &Workload) -> Result<f64> {
        // From where the last batch ended: from the beginning, each would walk over all that was deleted before.
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

    /// Runs scripts side by side, each in a session of its own.
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

    /// Runs a script in a session of its own, and gives what it printed.
    fn run(&self, script: &str) -> Result<String> {
        let mut session = psql(self.run_as, self.sockets.path())?;
        session.args(["-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut session = session.spawn()?;
        if let Some(mut input) = session.stdin.take() {
            input.write_all(script.as_bytes())?;
        }
        let said = session.wait_with_output()?;
        match said.status.success() {
            true => Ok(String::from_utf8(said.stdout)?),
            false => Err(format!("psql: {}", String::from_utf8_lossy(&said.stderr).trim()).into()),
        }
    }

    /// Stops it.
    ///
    /// # Errors
    /// Where it does not end.
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

fn finished(name: &str, command: &mut Command) -> Result<()> {
    let said = command.stdin(Stdio::null()).output()?;
    match said.status.success() {
        true => Ok(()),
        false => Err(format!("{name}: {}", String::from_utf8_lossy(&said.stderr).trim()).into()),
    }
}

/// The calls of one of the sessions, a COPY each.
fn script(work: &Workload, thread: usize) -> String {
    let mut out = String::new();
    for call in (thread..work.calls).step_by(THREADS) {
        let (class, places) = work.call(call);
        debug_assert!(class < CLASSES);
        out.push_str("COPY objects FROM stdin;\n");
        for place in places {
            let (key, rest) = work.key(class, place);
            let due = work.start_ms(place) - REGISTERED_MS + LEAD_MS;
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
        assert_eq!(ids_of(passwd, "nobody"), None);
    }

    #[test]
    fn a_script_has_a_copy_for_each_call() {
        let work = Workload::new(8_000, 10);
        let text = script(&work, 1);
        assert_eq!(text.matches("COPY objects FROM stdin;\n").count(), 4);
        assert_eq!(text.matches("\t\\\\x6275636b65742d").count(), 4_000);
    }
}
