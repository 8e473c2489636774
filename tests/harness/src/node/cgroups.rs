//! The cgroup below which a node's pods run.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::poll;

const MOUNT: &str = "/sys/fs/cgroup";

/// Deadline for empty cgroups. Processes of a node are gone within 2 s of its PID 1; their cgroups can be removed then.
const EMPTY: Duration = Duration::from_secs(20);

/// One cgroup in each hierarchy, removed with everything below it on drop.
#[derive(Debug)]
pub(super) struct Cgroups {
    root: String,
}

impl Cgroups {
    /// Creates them, after removing those that a killed test process left behind.
    pub(super) fn create(node: &str) -> io::Result<Self> {
        let root = format!("/logstream-{node}-{}", std::process::id());
        remove_stale()?;
        for hierarchy in hierarchies()? {
            let cgroup = hierarchy.join(&root[1..]);
            fs::create_dir_all(&cgroup)?;
            if hierarchy.ends_with("cpuset") {
                for file in ["cpuset.cpus", "cpuset.mems"] {
                    fs::write(cgroup.join(file), fs::read(hierarchy.join(file))?)?;
                }
                fs::write(cgroup.join("cgroup.clone_children"), "1")?;
            }
        }
        Ok(Self { root })
    }

    /// The kubelet's `cgroupRoot`.
    pub(super) fn root(&self) -> &str {
        &self.root
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        let Ok(hierarchies) = hierarchies() else { return };
        let cgroups: Vec<_> = hierarchies.into_iter().map(|hierarchy| hierarchy.join(&self.root[1..])).collect();
        let _ = poll::until("the node's cgroups are removed", EMPTY, || {
            for cgroup in &cgroups {
                remove(cgroup);
            }
            (!cgroups.iter().any(|cgroup| cgroup.exists())).then_some(())
        });
    }
}

/// Checks that cgroups can be created here.
pub(super) fn writable() -> io::Result<()> {
    let problem = |error: io::Error| io::Error::other(format!("no cgroup can be created below {MOUNT}: {error}"));
    let hierarchies = hierarchies().map_err(problem)?;
    let Some(first) = hierarchies.first() else { return Err(problem(io::ErrorKind::NotFound.into())) };
    let probe = first.join(format!("logstream-probe-{}", std::process::id()));
    fs::create_dir_all(&probe).and_then(|()| fs::remove_dir(&probe)).map_err(problem)
}

/// Every v1 hierarchy and the v2 one beside them (runc creates cgroups in both), or v2 alone.
fn hierarchies() -> io::Result<Vec<PathBuf>> {
    if Path::new(MOUNT).join("cgroup.controllers").exists() {
        return Ok(vec![MOUNT.into()]);
    }
    let directories = fs::read_dir(MOUNT)?.filter_map(Result::ok).map(|entry| entry.path());
    Ok(directories.filter(|path| path.is_dir() && !path.is_symlink()).collect())
}

fn remove_stale() -> io::Result<()> {
    for hierarchy in hierarchies()? {
        for entry in fs::read_dir(&hierarchy)?.filter_map(Result::ok) {
            let name = entry.file_name().to_string_lossy().into_owned();
            let owner = name.strip_prefix("logstream-").and_then(|rest| rest.rsplit('-').next());
            if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                remove(&entry.path());
            }
        }
    }
    Ok(())
}

/// Removes a cgroup and those below it, if they are empty.
fn remove(cgroup: &Path) {
    for entry in fs::read_dir(cgroup).into_iter().flatten().filter_map(Result::ok) {
        if entry.path().is_dir() {
            remove(&entry.path());
        }
    }
    let _ = fs::remove_dir(cgroup);
}
