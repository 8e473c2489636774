//! NOTES.txt: its texts and commands.

use anyhow::{Context, Result, ensure};
use logstream_testing::poll;
use tokio::process::Command;
use tokio::time::timeout;

use crate::context::{PATIENCE, TestContext};

impl TestContext {
    /// Asserts that the notes contain these texts and that their commands work.
    pub(crate) async fn notes_are_true(&self, texts: &[&str]) -> Result<()> {
        let notes = self.release.notes().await?;
        for text in texts {
            ensure!(notes.contains(text), "{text:?} is not in\n{notes}");
        }
        let commands = commands(&notes);
        ensure!(commands.len() == 2, "two commands are wanted:\n{notes}");
        self.run(&commands[0]).await?;
        if commands[1].contains("--dry-run=server") {
            // The API server acts on a new configuration within about a second.
            poll::eventually(&commands[1], PATIENCE, || async {
                let shown = self.run(&commands[1]).await.map_err(|error| error.to_string())?;
                if shown.contains("logstream.coder.com/registration") { Ok(()) } else { Err(shown) }
            })
            .await?;
        }
        Ok(())
    }

    /// Runs a command in a shell.
    async fn run(&self, command: &str) -> Result<String> {
        let kubectl = self.cluster.tool(logstream_testing::Tool::Kubectl);
        let directory = kubectl.parent().context("kubectl has a directory")?;
        let output = Command::new("/bin/sh")
            .args(["-c", command])
            .env_clear()
            .env("PATH", directory)
            .env("KUBECONFIG", self.cluster.admin_kubeconfig())
            .env("HOME", self.cluster.directory())
            .kill_on_drop(true)
            .output();
        let output = timeout(PATIENCE, output).await.with_context(|| format!("{command} does not end"))??;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{command}: {error}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// The indented lines, joined at trailing backslashes.
fn commands(notes: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut continued = false;
    for line in notes.lines().filter(|line| line.starts_with("    ")) {
        match commands.last_mut() {
            Some(command) if continued => {
                command.push('\n');
                command.push_str(line);
            }
            _ => commands.push(line.trim().to_owned()),
        }
        continued = line.ends_with('\\');
    }
    commands
}
