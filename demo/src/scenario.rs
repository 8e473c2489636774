//! The scenarios: the workspace, what happens to it, and the lines its owner must get.

use std::time::Duration;

use clap::ValueEnum;
use logstream_testing::{Scenario as NodeScenario, Workspace};

/// Time from the Deployment to the eviction, less up to a second. By then the pod runs and its agent's token is valid,
/// so that its lines arrive at once.
const EVICTED_AFTER: Duration = Duration::from_secs(5);

/// The scenario of one workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Everything goes well
    NormalStart,
    /// The template names an image that does not exist
    WrongImage,
    /// The namespace's quota allows no more pods
    QuotaExceeded,
    /// The agent's container keeps crashing
    CrashLoop,
    /// The container is killed once for exceeding its memory limit
    OomKilled,
    /// The node runs out of memory and evicts the pod
    Evicted,
    /// No node has as much memory as the template asks for
    Unschedulable,
}

impl Scenario {
    /// Scenarios played by default: those of the simulated node, and a rejected pod.
    pub(crate) const USUAL: [Self; 6] =
        [Self::NormalStart, Self::WrongImage, Self::QuotaExceeded, Self::CrashLoop, Self::OomKilled, Self::Evicted];

    /// Name as printed.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::NormalStart => "normal start",
            Self::WrongImage => "wrong image",
            Self::QuotaExceeded => "quota exceeded",
            Self::CrashLoop => "crash loop",
            Self::OomKilled => "OOMKilled",
            Self::Evicted => "evicted",
            Self::Unschedulable => "unschedulable",
        }
    }

    /// The workspace's owner, unique among the scenarios.
    pub(crate) const fn owner(self) -> &'static str {
        match self {
            Self::NormalStart => "alice",
            Self::WrongImage => "bob",
            Self::QuotaExceeded => "carol",
            Self::CrashLoop => "dave",
            Self::OomKilled => "erin",
            Self::Evicted => "frank",
            Self::Unschedulable => "grace",
        }
    }

    /// The workspace's name.
    pub(crate) const fn workspace_name(self) -> &'static str {
        match self {
            Self::NormalStart => "dev",
            Self::WrongImage => "api",
            Self::QuotaExceeded => "web",
            Self::CrashLoop => "worker",
            Self::OomKilled => "notebook",
            Self::Evicted => "train",
            Self::Unschedulable => "model",
        }
    }

    /// `alice/dev`
    pub(crate) fn full_name(self) -> String {
        format!("{}/{}", self.owner(), self.workspace_name())
    }

    /// Texts that the workspace's log must contain. The scenario is complete when all have arrived.
    pub(crate) const fn expected(self) -> &'static [&'static str] {
        match self {
            Self::NormalStart => &[
                "Queued pod from ReplicaSet: coder-alice-dev-",
                "Created pod: coder-alice-dev-",
                "Successfully assigned",
                "Pulling image",
                "Successfully pulled image",
                "Container started",
            ],
            Self::WrongImage => &[
                "Created pod: coder-bob-api-",
                "Failed to pull image",
                "The image was not found in the registry. The template's author must check its name and tag.",
            ],
            Self::QuotaExceeded => &[
                "Queued pod from ReplicaSet: coder-carol-web-",
                "exceeded quota: no-pods",
                "The namespace's quota \"no-pods\" is used up",
                " over ",
            ],
            Self::CrashLoop => &[
                "Created pod: coder-dave-worker-",
                "Container dev ended with exit code 1",
                "Container dev keeps crashing (CrashLoopBackOff)",
            ],
            Self::OomKilled => &[
                "Created pod: coder-erin-notebook-",
                "Container dev was killed: out of memory (OOMKilled, exit code 137)",
                "It used more memory than its limit of 512Mi",
                "already present on machine",
            ],
            Self::Evicted => &[
                "Created pod: coder-frank-train-",
                "The node was low on resource: memory",
                "The node ran out of memory and ended the workspace's pod",
            ],
            Self::Unschedulable => &["Created pod: coder-grace-model-", "nodes are available", "No node can take"],
        }
    }

    /// Returns true if it needs the simulated node, whose kwok stages do what a kubelet would do.
    pub(crate) const fn needs_simulated_node(self) -> bool {
        !matches!(self, Self::QuotaExceeded | Self::Unschedulable)
    }

    /// Returns true if it is played in the namespace with the exhausted quota.
    pub(crate) const fn needs_quota(self) -> bool {
        matches!(self, Self::QuotaExceeded)
    }

    /// Builds the workspace. Call it right before creating its Deployment: the time of an eviction counts from here.
    pub(crate) fn workspace(self, namespace: &str, token: &str) -> Workspace {
        let workspace = Workspace::new(namespace, self.owner(), self.workspace_name(), token);
        match self {
            Self::NormalStart => {
                workspace.scenario(NodeScenario::Normal).init_container("ghcr.io/example/prepare-home:3")
            }
            Self::WrongImage => workspace.scenario(NodeScenario::WrongImage).image("ghcr.io/example/workspace:latset"),
            Self::QuotaExceeded => workspace,
            Self::CrashLoop => workspace.scenario(NodeScenario::CrashLoop),
            Self::OomKilled => workspace.scenario(NodeScenario::OomKilled),
            Self::Evicted => workspace.scenario(NodeScenario::Evicted).evicted_after(EVICTED_AFTER),
            Self::Unschedulable => workspace.memory("900Ti"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_workspace_name_is_a_prefix_of_another() {
        let names: Vec<String> = Scenario::value_variants().iter().map(|scenario| scenario.full_name()).collect();
        for (index, name) in names.iter().enumerate() {
            let others = names.iter().enumerate().filter(|(other, _)| *other != index);
            assert!(others.map(|(_, other)| other).all(|other| !other.starts_with(name.as_str())), "{name}");
        }
    }

    #[test]
    fn every_scenario_expects_something() {
        assert!(Scenario::value_variants().iter().all(|scenario| scenario.expected().len() >= 3));
    }
}
