//! What an uninstalled release leaves behind: nothing.

use anyhow::{Result, ensure};
use logstream_testing::poll;

use crate::world::{PATIENCE, World};

impl World {
    /// Uninstalls the release while its program runs, and looks for anything of its name in these namespaces and among
    /// what is cluster-wide.
    pub(crate) async fn uninstall_leaves_nothing(&self, namespaces: &[&str]) -> Result<()> {
        let before = self.of_this_release(namespaces)?;
        for kind in ["deployment", "configmap", "rolebinding"] {
            ensure!(before.iter().any(|object| object.contains(kind)), "no {kind} in {before:?}");
        }
        self.release.uninstall().await?;
        poll::eventually("nothing is left of the release", PATIENCE, || async {
            let left = self.of_this_release(namespaces).map_err(|error| vec![error.to_string()])?;
            if left.is_empty() { Ok(()) } else { Err(left) }
        })
        .await
    }

    /// Everything whose name has the release's, but Events, which tell of the past.
    fn of_this_release(&self, namespaces: &[&str]) -> Result<Vec<String>> {
        let kinds = |namespaced: &str| {
            let kinds = self.cluster.kubectl(&["api-resources", "--verbs=list", "-o", "name", namespaced])?;
            let kinds = kinds.lines().filter(|kind| !kind.starts_with("events"));
            Ok::<_, anyhow::Error>(kinds.collect::<Vec<_>>().join(","))
        };
        let (inside, outside) = (kinds("--namespaced=true")?, kinds("--namespaced=false")?);
        let mut found = Vec::new();
        for namespace in [&[self.release.namespace()], namespaces].concat() {
            let objects =
                self.cluster.kubectl(&["get", &inside, "-n", namespace, "-o", "name", "--ignore-not-found"])?;
            // A release of the same name elsewhere has its own namespace in the names of what lies here.
            let name =
                if namespace == self.release.namespace() { self.release.name() } else { &self.release.cluster_name() };
            found.extend(objects.lines().filter(|object| object.contains(name)).map(str::to_owned));
        }
        let objects = self.cluster.kubectl(&["get", &outside, "-o", "name", "--ignore-not-found"])?;
        found.extend(objects.lines().filter(|object| object.contains(&self.release.cluster_name())).map(str::to_owned));
        Ok(found)
    }
}
