//! Measurement of the intake. Ignored, because it takes minutes and its figures are for people:
//!
//! ```text
//! FILES=1000000 cargo test --release -p sexton-service --lib measure -- --ignored --nocapture
//! ```

use super::*;
use std::time::Instant;

/// Files that are written in a second, and seconds.
const PER_SECOND: usize = 2_000;
const SECONDS: usize = 60;
const FOLDERS: usize = 1_000;

fn write(sandbox: &Sandbox, folder: &str, number: usize) {
    let path = sandbox.path("files").join(folder).join(format!("{:03}", number % FOLDERS));
    fs::write(path.join(format!("{number:08}")), b"twenty bytes of text").unwrap();
}

fn make_folders(sandbox: &Sandbox, folder: &str) {
    for number in 0..FOLDERS {
        fs::create_dir_all(sandbox.path("files").join(folder).join(format!("{number:03}"))).unwrap();
    }
}

fn wait_for(sandbox: &Sandbox, what: impl Fn(&SourceReport) -> bool) {
    while !what(&sandbox.report("up")) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn print(what: &str, files: usize, time: Duration) {
    println!("{what}: {:.1} s, {:.0} files a second", time.as_secs_f64(), files as f64 / time.as_secs_f64());
}

#[test]
#[ignore = "takes minutes"]
fn measure_intake() {
    let files: usize = std::env::var("FILES").map_or(200_000, |files| files.parse().unwrap());
    let mut sandbox = Sandbox::new();
    make_folders(&sandbox, "old");
    let began = Instant::now();
    (0..files).for_each(|number| write(&sandbox, "old", number));
    print("writing them", files, began.elapsed());

    sandbox.start_with(&[sandbox.up()], SourcesOptions::default());
    let began = Instant::now();
    sandbox.sources().enable("up", OtherRoot::Refuse, &decision(), false).unwrap();
    print("enabling, which counts them", files, began.elapsed());
    let began = Instant::now();
    wait_for(&sandbox, |report| report.last_scan_ms.is_some());
    print("first full scan, which registers them", files, began.elapsed());
    assert_eq!(sandbox.report("up").registered, files as u64);

    for _ in 0..3 {
        let before = sandbox.report("up").last_scan_ms;
        let began = Instant::now();
        sandbox.sources().rescan("up").unwrap();
        wait_for(&sandbox, |report| report.last_scan_ms > before);
        print("full scan of known files", files, began.elapsed());
    }

    make_folders(&sandbox, "new");
    wait_for(&sandbox, |report| report.watched_folders >= 2 * FOLDERS as u64);
    // A full scan goes on meanwhile, which is the worst case.
    sandbox.sources().rescan("up").unwrap();
    let (mut delays, mut lag) = (Vec::new(), 0);
    let (began, all) = (Instant::now(), PER_SECOND * SECONDS);
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let began = Instant::now();
            for number in 0..all {
                let due = Duration::from_secs(1) * u32::try_from(number).unwrap()
                    / u32::try_from(PER_SECOND).unwrap();
                while began.elapsed() < due {
                    std::thread::sleep(Duration::from_millis(1));
                }
                write(&sandbox, "new", number);
            }
            began.elapsed()
        });
        for probe in 0.. {
            let key = format!("up/new/000/probe{probe}");
            fs::write(sandbox.path("files").join(&key[3..]), b"x").unwrap();
            let written = Instant::now();
            while !sandbox.live(&key) {
                std::thread::sleep(Duration::from_millis(1));
            }
            delays.push(written.elapsed());
            lag = lag.max(sandbox.report("up").intake_lag_ms);
            if writing.is_finished() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        print("writing new files", all, writing.join().unwrap());
    });
    let total = (files + all + delays.len()) as u64;
    wait_for(&sandbox, |report| report.registered == total);
    print("until all of them are registered", all, began.elapsed());
    delays.sort();
    println!(
        "from writing to registration, {} probes: median {:?}, 99 % {:?}, longest {:?}; longest lag seen {lag} ms",
        delays.len(),
        delays[delays.len() / 2],
        delays[delays.len() * 99 / 100],
        delays[delays.len() - 1]
    );
    let status = fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap());
}
