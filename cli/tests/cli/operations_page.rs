//! The commands of `docs/operations.md`, run in their order beside a real service.

use crate::run::{command, sexton, spawn, write};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

const PAGE: &str = include_str!("../../../docs/operations.md");
/// Sections whose commands are run. The commands that install need a machine of their own.
const SECTIONS: [&str; 3] = ["## The service", "## Backups", "## Restoring"];

/// Machine of the page, in a folder: `/var/lib/sexton`, `/etc/sexton` and `/srv` lie in it.
struct Machine {
    folder: tempfile::TempDir,
    service: Option<Child>,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["var", "etc", "run", "uploads"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let machine = Machine { folder, service: None };
        machine.configure("example.com/uploads");
        machine
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn configure(&self, origin: &str) {
        let text = format!(
            "data = {:?}\norigin = {origin:?}\nruntime = {:?}\n[[directory]]\nname = \"uploads\"\npath = {:?}\n\
             class = \"uploads\"\n",
            self.path("var/data"),
            self.path("run"),
            self.path("uploads")
        );
        write(Path::new(&self.path("etc/sexton.toml")), text);
    }

    /// Starts the service, and waits until it answers.
    fn start(&mut self) {
        let mut serve = command();
        serve.args(["serve", "--config", &self.path("etc/sexton.toml")]).stdin(Stdio::null());
        let log = File::create(self.path("log")).unwrap();
        self.service = Some(spawn(serve.stdout(Stdio::null()).stderr(log)));
        for _ in 0..600 {
            // Before the service has noted that the folder is its own, a command would open the folder itself.
            let is_owned = Path::new(&self.path("var/data/service")).exists();
            if is_owned && sexton(["policy", &self.path("var/data")]).code == 0 {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        panic!("the service does not answer: {}", fs::read_to_string(self.path("log")).unwrap());
    }

    fn stop(&mut self) {
        let Some(mut service) = self.service.take() else { return };
        let told = spawn(Command::new("kill").arg(service.id().to_string())).wait().unwrap();
        assert!(told.success());
        assert!(service.wait().unwrap().success());
    }

    /// Runs a line of the page. Steps of the machine are done in its folder.
    fn run(&mut self, line: &str) {
        let line = line.split(" # ").next().unwrap().trim().trim_start_matches("sudo -u sexton ");
        match line {
            "systemctl stop sexton" => self.stop(),
            "systemctl start sexton" | "systemctl daemon-reload && systemctl enable --now sexton" => {
                self.start();
            }
            "editor /etc/sexton/sexton.toml" if self.folder.path().join("var/lost").exists() => {
                self.configure("example.com/uploads-2");
            }
            line if line.starts_with("sexton ") || line.starts_with("mv ") => self.shell(line),
            line if ["make ", "dpkg ", "systemd-sysusers", "editor "].iter().any(|w| line.starts_with(w)) => {
            }
            other => panic!("a step that the test does not know: {other}"),
        }
    }

    fn shell(&self, line: &str) {
        let line = line.replace("/var/lib/sexton/", &self.path("var/")).replace(
            "sexton serve --check",
            &format!("sexton serve --check --config {}", self.path("etc/sexton.toml")),
        );
        let mut path = vec![Path::new(env!("CARGO_BIN_EXE_sexton")).parent().unwrap().to_owned()];
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
        let mut shell = Command::new("sh");
        shell.args(["-e", "-c", &line]).current_dir(self.folder.path()).stdin(Stdio::null());
        shell.env("PATH", std::env::join_paths(path).unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let ran = spawn(&mut shell).wait_with_output().unwrap();
        // `status` exits with 1 while something needs an operator.
        let is_fine =
            ran.status.success() || line.starts_with("sexton status") && ran.status.code() == Some(1);
        assert!(
            is_fine,
            "{line}: {}{}",
            String::from_utf8_lossy(&ran.stdout),
            String::from_utf8_lossy(&ran.stderr)
        );
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(mut service) = self.service.take() {
            let _ = service.kill();
            let _ = service.wait();
        }
    }
}

/// Returns the blocks of a section in this language.
fn blocks<'a>(section: &str, language: &str) -> Vec<&'a str> {
    let text = PAGE.split(section).nth(1).unwrap_or_else(|| panic!("the page has no section {section:?}"));
    let text = text.split("\n## ").next().unwrap();
    let fence = format!("```{language}\n");
    text.split(&*fence).skip(1).map(|block| block.split("```").next().unwrap()).collect()
}

#[test]
fn commands_of_the_page_run_in_their_order() {
    let mut machine = Machine::new();
    write(&machine.folder.path().join("classes.toml"), blocks(SECTIONS[0], "toml")[0]);
    write(&machine.folder.path().join("uploads/a.jpg"), "a");
    let mut steps = 0;
    for section in SECTIONS {
        for block in blocks(section, "sh") {
            for line in block.replace("\\\n", " ").lines() {
                machine.run(line);
                steps += 1;
            }
        }
    }
    assert!(steps > 20, "{steps}");
    let status = sexton(["status", &machine.path("var/data"), "--json"]).json();
    let expected = (&"running".into(), &"example.com/uploads-2".into());
    assert_eq!((&status["state"], &status["origin"]), expected, "{status:#}");
    assert!(machine.folder.path().join("uploads/a.jpg").exists());
    machine.stop();
    assert_eq!(sexton(["check", &machine.path("var/data"), "--offline"]).code, 0);
}
