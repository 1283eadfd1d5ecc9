//! Host of a command's operations: the service that has the data folder open, or the folder itself.

use super::args::{DataArgs, MutatingArgs};
use super::open;
use super::receipts::Prover;
use crate::output::Failure;
use serde_json::Value;
use sexton::{Engine, Opener, RegistrationId};
use sexton_proof::time::Timestamp;
#[cfg(feature = "serve")]
use sexton_service::api::{Bytes, GetFolder, GetReceipt};
use sexton_service::api::{Context, GetPolicy, GetTime, Operation};
#[cfg(feature = "serve")]
use sexton_service::http::client::{Client, ClientError};
use sexton_service::ownership;
#[cfg(feature = "serve")]
use std::io::ErrorKind;
#[cfg(feature = "serve")]
use std::os::unix::ffi::OsStrExt;
#[cfg(feature = "serve")]
use std::path;
use std::path::{Path, PathBuf};

/// Engine of a data folder: in this process, or behind the socket of a running service.
pub(super) enum Host {
    Folder(Box<Engine>),
    #[cfg(feature = "serve")]
    Service(Client),
}

/// Answer of an operation.
pub(super) struct Reply<O: Operation> {
    value: Value,
    answer: O::Answer,
}

impl Host {
    /// Connects to the service that owns a data folder, or opens the folder if no service owns it.
    pub(super) fn of(args: &DataArgs) -> Result<Host, Failure> {
        let folder = &args.folder;
        match owner(args)? {
            Some(socket) if !args.offline => Host::service(folder, &socket),
            _ => Ok(Host::Folder(Box::new(open::data(folder)?))),
        }
    }

    /// Opens a data folder for the work of its host, which brings the store. Beside a service that is the service's own
    /// work, so it is refused, and `instead` says what the service does by itself.
    pub(super) fn work(args: &MutatingArgs, instead: &str) -> Result<Engine, Failure> {
        match owner(&args.data)? {
            Some(socket) if !args.data.offline => Err(Failure::new(format!(
                "{} belongs to the service at {}, which {instead}; if the service is stopped for good, add --offline",
                args.data.folder.display(),
                socket.display()
            ))),
            _ => open::for_change(args),
        }
    }

    /// Returns the engine, unless a service has it.
    pub(super) fn engine(&self) -> Option<&Engine> {
        match self {
            Host::Folder(engine) => Some(engine),
            #[cfg(feature = "serve")]
            Host::Service(_) => None,
        }
    }

    #[cfg(feature = "serve")]
    fn service(folder: &Path, socket: &Path) -> Result<Host, Failure> {
        use std::os::unix::net::UnixStream;
        let client = client(socket)?;
        match UnixStream::connect(socket) {
            Ok(_) => Ok(Host::Service(client)),
            Err(error) => Err(stopped(folder, socket, &error)),
        }
    }

    #[cfg(not(feature = "serve"))]
    fn service(folder: &Path, socket: &Path) -> Result<Host, Failure> {
        Err(Failure::new(format!(
            "{} belongs to the service at {}, and this build of sexton has no client: install the package, or stop \
             the service and add --offline",
            folder.display(),
            socket.display()
        )))
    }

    /// Returns the time of the engine, which may differ from that of this process.
    pub(super) fn now(&self) -> Result<Timestamp, Failure> {
        Ok(Timestamp::from_unix_ms(self.call(GetTime {})?.answer().now_ms))
    }

    /// Runs an operation.
    pub(super) fn call<O: Operation>(&self, operation: O) -> Result<Reply<O>, Failure> {
        let value = match self {
            Host::Folder(engine) => {
                operation.run(&Context { engine, sources: None, folder: None, peer: None, needs: &[] })?
            }
            #[cfg(feature = "serve")]
            Host::Service(client) => client.call(&operation)?,
        };
        understood(value)
    }
}

/// Returns the control socket of the service that owns a data folder.
///
/// A user who may not read the folder may still use the socket at its usual place. Then the service says if the folder is
/// its own.
fn owner(args: &DataArgs) -> Result<Option<PathBuf>, Failure> {
    let folder = &args.folder;
    let error = match ownership::owner(folder) {
        Ok(owner) => return Ok(owner),
        Err(error) => error,
    };
    let unreadable = |why: &str| Failure::new(format!("{} cannot be read: {error}{why}", folder.display()));
    #[cfg(feature = "serve")]
    if error.kind() == ErrorKind::PermissionDenied && !args.offline {
        let usual = Path::new(ownership::RUNTIME).join(ownership::CONTROL);
        return match check_serves(&usual, folder) {
            Ok(()) => Ok(Some(usual)),
            Err(why) => Err(unreadable(&format!("; {why}"))),
        };
    }
    Err(unreadable(""))
}

/// Refuses a folder that the service at `socket` does not have open.
#[cfg(feature = "serve")]
fn check_serves(socket: &Path, folder: &Path) -> Result<(), Failure> {
    let open = Host::Service(client(socket)?).call(GetFolder {})?.into_parts().1;
    // The folders above may be private as well. Then only its plain path is recognised.
    let named = folder.canonicalize().or_else(|_| path::absolute(folder)).unwrap_or_default();
    if hex::encode(named.as_os_str().as_bytes()) == open.folder_hex {
        return Ok(());
    }
    let socket = socket.display();
    Err(Failure::new(format!("the service at {socket} has another data folder open, {}", open.folder)))
}

impl Prover for Host {
    fn receipt(&self, id: RegistrationId, opener: Opener<'_>) -> Result<Result<String, String>, Failure> {
        match self {
            Host::Folder(engine) => Prover::receipt(&**engine, id, opener),
            #[cfg(feature = "serve")]
            Host::Service(client) => match client.call(&receipt_of(id, opener)?) {
                Ok(value) => Ok(Ok(understood::<GetReceipt>(value)?.answer.receipt)),
                // Errors of the server concern the whole folder, as do `corrupt` and `internal`.
                Err(ClientError::Refused(problem)) if !["corrupt", "internal"].contains(&&*problem.kind) => {
                    Ok(Err(problem.detail))
                }
                Err(error) => Err(error.into()),
            },
        }
    }

    fn policy(&self) -> Result<String, Failure> {
        Ok(self.call(GetPolicy {})?.answer.policy)
    }
}

/// Returns the request for a receipt.
#[cfg(feature = "serve")]
fn receipt_of(id: RegistrationId, opener: Opener<'_>) -> Result<GetReceipt, Failure> {
    let request = GetReceipt { id: Some(id.to_string()), ..GetReceipt::default() };
    match opener {
        Opener::Key(key) => Ok(GetReceipt { key_base64: Some(Bytes(key.to_vec())), ..request }),
        Opener::Ticket(ticket) => Ok(GetReceipt { ticket_base64: Some(Bytes(ticket.to_vec())), ..request }),
        _ => Err(Failure::new("this form of a receipt is not known")),
    }
}

/// Returns an answer with its type.
fn understood<O: Operation>(value: Value) -> Result<Reply<O>, Failure> {
    let answer = serde_json::from_value(value.clone())
        .map_err(|e| Failure::new(format!("the answer of {} is not understood: {e}", O::NAME)))?;
    Ok(Reply { value, answer })
}

impl<O: Operation> Reply<O> {
    /// Returns the answer.
    pub(super) fn answer(&self) -> &O::Answer {
        &self.answer
    }

    /// Returns the answer as JSON, and as the type of the operation.
    pub(super) fn into_parts(self) -> (Value, O::Answer) {
        (self.value, self.answer)
    }

    /// Returns the answer as JSON.
    pub(super) fn into_json(self) -> Value {
        self.value
    }
}

#[cfg(feature = "serve")]
fn client(socket: &Path) -> Result<Client, Failure> {
    Client::new(socket).map_err(|e| Failure::new(format!("the client cannot start: {e}")))
}

#[cfg(feature = "serve")]
fn stopped(folder: &Path, socket: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!(
        "{} belongs to the service at {}, which cannot be reached ({error}): start it, or stop it and add --offline",
        folder.display(),
        socket.display()
    ))
}

#[cfg(feature = "serve")]
impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Unknown(_) => Failure::unknown(error.to_string()),
            _ => Failure::new(error.to_string()),
        }
    }
}

#[cfg(all(test, feature = "serve"))]
mod tests {
    use super::*;
    use sexton::Options;
    use sexton_service::http::Server;
    use sexton_service::{ServeOptions, Serving};
    use std::os::unix::fs::symlink;
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn service_answers_for_its_own_data_folder_only() {
        let temp = tempfile::tempdir().unwrap();
        let path = |name: &str| temp.path().join(name);
        let (data, socket) = (path("data"), path("control.sock"));
        let error = |folder: &str| check_serves(&socket, &path(folder)).err().map(|why| why.to_string());
        assert!(error("data").unwrap().contains("the service cannot be reached"));

        let engine = Arc::new(Engine::open(&data, &Options::new("example.com/private")).unwrap());
        let options = ServeOptions::default().control(&socket, 0o600);
        let serving = Serving::start(Server::new(engine), &data, &options).unwrap();
        symlink(&data, path("link")).unwrap();
        std::fs::create_dir(path("other")).unwrap();
        assert_eq!((error("data"), error("link")), (None, None));
        for folder in ["other", "gone"] {
            let error = error(folder).unwrap();
            assert!(error.contains("has another data folder open") && error.contains("/data"), "{error}");
        }
        serving.stop(Duration::from_secs(10));
    }
}
