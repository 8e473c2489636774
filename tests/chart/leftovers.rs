//! Checks that an uninstalled release leaves no objects.

use anyhow::{Context, Result, ensure};
use logstream_testing::poll;

use crate::context::{PATIENCE, TestContext};

impl TestContext {
    /// Uninstalls the release while its program runs, and asserts that none of its objects are left in these namespaces
    /// or cluster-wide.
    pub(crate) async fn uninstall_leaves_nothing(&self, namespaces: &[&str]) -> Result<()> {
        let before = self.of_this_release(namespaces)?;
        for kind in ["Deployment", "ConfigMap", "ServiceAccount", "Role", "RoleBinding"] {
            ensure!(before.iter().any(|object| object.starts_with(&format!("{kind}/"))), "no {kind} in {before:?}");
        }
        self.release.uninstall().await?;
        self.left_are(namespaces, &[]).await
    }

    /// Uninstalls a release with a certificate of cert-manager, which by default keeps the Secrets of deleted
    /// Certificates. Asserts that nothing else is left, and that the documented command deletes them.
    pub(crate) async fn uninstall_leaves_issued_secrets(&self, secrets: &[String]) -> Result<()> {
        self.release.uninstall().await?;
        self.left_are(&[], secrets).await?;
        let selector = format!("app.kubernetes.io/instance={}", self.release.name());
        self.cluster.kubectl(&["delete", "secrets", "-n", self.release.namespace(), "-l", &selector])?;
        self.left_are(&[], &[]).await
    }

    /// Waits until exactly these objects of the release are left.
    pub(crate) async fn left_are(&self, namespaces: &[&str], expected: &[String]) -> Result<()> {
        poll::eventually("the release is gone", PATIENCE, || async {
            let left = self.of_this_release(namespaces).map_err(|error| vec![error.to_string()])?;
            if left == expected { Ok(()) } else { Err(left) }
        })
        .await
    }

    /// The release's Secret of cert-manager, and that of its CA.
    pub(crate) fn issued_secrets(&self) -> [String; 2] {
        let secret = format!("Secret/{}-cert-manager", self.release.full_name());
        [secret.clone(), format!("{secret}-ca")]
    }

    /// All objects of the release, by their name or by labels and annotations of helm and the chart. Excludes Events.
    pub(crate) fn of_this_release(&self, namespaces: &[&str]) -> Result<Vec<String>> {
        let kinds = |namespaced: &str| {
            let kinds = self.cluster.kubectl(&["api-resources", "--verbs=list", "-o", "name", namespaced])?;
            let kinds = kinds.lines().filter(|kind| !kind.starts_with("events"));
            Ok::<_, anyhow::Error>(kinds.collect::<Vec<_>>().join(","))
        };
        let (inside, outside) = (kinds("--namespaced=true")?, kinds("--namespaced=false")?);
        let mut found = Vec::new();
        for namespace in [&[self.release.namespace()], namespaces].concat() {
            let objects = self.listed(&[&inside, "-n", namespace])?;
            let home = namespace == self.release.namespace();
            found.extend(objects.into_iter().filter(|object| self.is_of_this_release(object, home)));
        }
        let objects = self.listed(&[&outside])?;
        found.extend(objects.into_iter().filter(|object| self.is_of_this_release(object, false)));
        Ok(found.into_iter().map(|Listed { kind, name, .. }| format!("{kind}/{name}")).collect())
    }

    /// Cluster-wide objects of a release of the same name in another namespace have that namespace in their names and
    /// annotations.
    fn is_of_this_release(&self, object: &Listed, home: bool) -> bool {
        let (release, namespace) = (self.release.name(), self.release.namespace());
        let name = if home { self.release.full_name() } else { self.release.cluster_name() };
        object.name.contains(&name)
            || object.release == release && object.release_namespace == namespace
            || home && object.instance == release
    }

    fn listed(&self, what: &[&str]) -> Result<Vec<Listed>> {
        let columns = concat!(
            "-o=custom-columns=KIND:.kind,NAME:.metadata.name,",
            r"INSTANCE:.metadata.labels.app\.kubernetes\.io/instance,",
            r"RELEASE:.metadata.annotations.meta\.helm\.sh/release-name,",
            r"HOME:.metadata.annotations.meta\.helm\.sh/release-namespace",
        );
        let objects =
            self.cluster.kubectl(&[&["get", columns, "--no-headers", "--ignore-not-found"], what].concat())?;
        objects.lines().map(|line| Listed::read(line).with_context(|| line.to_owned())).collect()
    }
}

/// The fields of an object that show its release.
#[derive(Debug)]
struct Listed {
    kind: String,
    name: String,
    instance: String,
    release: String,
    release_namespace: String,
}

impl Listed {
    fn read(line: &str) -> Option<Self> {
        let mut columns = line.split_whitespace().map(str::to_owned);
        Some(Self {
            kind: columns.next()?,
            name: columns.next()?,
            instance: columns.next()?,
            release: columns.next()?,
            release_namespace: columns.next()?,
        })
    }
}
