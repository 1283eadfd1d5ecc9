//! Faults of a real server: one of two gateways to the same buckets is killed.

use crate::bucket::{Bucket, With, delete};
use crate::server::Server;
use sexton::store::Answer;
use sexton_s3::{Options, S3Store};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// Second radosgw of a cluster.
struct Gateway {
    child: Child,
    port: u16,
}

impl Gateway {
    fn start(server: &Server, port: u16) -> Gateway {
        let frontends = format!("--rgw-frontends=beast endpoint=127.0.0.1:{port}");
        let file = |name: &str| server.folder.join(name).display().to_string();
        let child = Command::new("radosgw")
            .args(["-f", "-n", "client.rgw", "-c", &file("ceph.conf"), &frontends])
            .arg(format!("--pid-file={}", file("pid/second.pid")))
            .arg(format!("--admin-socket={}", file("second.asok")))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let gateway = Gateway { child, port };
        let answers = (0..600).any(|_| {
            thread::sleep(Duration::from_millis(100));
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        assert!(answers, "the second gateway does not answer");
        gateway
    }

    fn options(&self, bucket: &Bucket) -> Options {
        let mut options = bucket.options();
        options.endpoint = Some(format!("http://127.0.0.1:{}", self.port));
        options.retry_for = Duration::from_secs(1);
        options
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // SIGKILL.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The gateway dies while it deletes. What it was seen to delete is gone, what it did not is left, and a repeated deletion does
/// the rest.
pub(crate) fn killed_gateway_comes_back_to_a_repeated_deletion(server: &'static Server) {
    let bucket = Bucket::new(server, With::Versioning);
    let objects = bucket.put_all((0..1_000).map(|number| format!("{number:04}")));
    let kept = bucket.put_all(["kept".to_owned()]);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let gateway = Gateway::start(server, port);
    let mut options = gateway.options(&bucket);
    options.requests_in_flight = 2;
    let store = S3Store::open(&options).unwrap();
    let answers = thread::scope(|scope| {
        let deleting = scope.spawn(|| delete(&store, &objects));
        // Once some are gone, and long before all are.
        while bucket.everything().len() > 950 {}
        drop(gateway);
        deleting.join().unwrap()
    });
    let left = bucket.everything();
    let is_left = |index: usize| left.iter().any(|object| object.key == objects[index].0);
    for (index, answer) in answers.iter().enumerate() {
        match answer {
            Answer::Requested => assert!(!is_left(index), "{} is called deleted", objects[index].0),
            Answer::Failed(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(answers.iter().any(|answer| matches!(answer, Answer::Failed(_))), "the gateway died too late");
    let _again = Gateway::start(server, port);
    assert!(delete(&store, &objects).iter().all(|answer| *answer == Answer::Requested));
    let left: Vec<_> = bucket.everything().into_iter().map(|object| (object.key, object.version)).collect();
    assert_eq!(left, kept);
}
