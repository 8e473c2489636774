//! The scenarios: whose workspace, what happens to it, and what its owner must read.

use std::time::Duration;

use clap::ValueEnum;
use logstream_testing::{Scenario, Workspace};

/// How long after its Deployment the evicted pod is evicted, less up to a second: long enough for it to run by then, and
/// for its agent to be valid, so that its lines are seen to come at once.
const EVICTED_AFTER: Duration = Duration::from_secs(5);

/// One workspace's story.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Story {
    /// Everything goes well
    NormalStart,
    /// The template names an image that does not exist
    WrongImage,
    /// The namespace's quota allows no more pods
    QuotaExceeded,
    /// The agent's container ends again and again
    CrashLoop,
    /// The container is killed for its memory, once
    OomKilled,
    /// The node runs out of memory and throws the pod out
    Evicted,
    /// No node has as much memory as the template asks for
    Unschedulable,
}

impl Story {
    /// What is played when nothing is asked for: what a node does, good and bad, and a refusal.
    pub(crate) const USUAL: [Self; 6] =
        [Self::NormalStart, Self::WrongImage, Self::QuotaExceeded, Self::CrashLoop, Self::OomKilled, Self::Evicted];

    /// As people say it.
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

    /// Whose workspace it is. No two are of one owner.
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
    pub(crate) fn whose(self) -> String {
        format!("{}/{}", self.owner(), self.workspace_name())
    }

    /// Texts of which each must stand in a line of its own log. The last of them to come ends the story.
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
                "The image was not found. Check its name and tag in the template.",
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

    /// Whether it needs the simulated node, whose stages play what a kubelet would do.
    pub(crate) const fn needs_simulated_node(self) -> bool {
        !matches!(self, Self::QuotaExceeded | Self::Unschedulable)
    }

    /// Whether it is played in the namespace whose quota is used up.
    pub(crate) const fn needs_quota(self) -> bool {
        matches!(self, Self::QuotaExceeded)
    }

    /// The workspace. Call it when its Deployment is to be made: an eviction has its time from here.
    pub(crate) fn workspace(self, namespace: &str, token: &str) -> Workspace {
        let workspace = Workspace::new(namespace, self.owner(), self.workspace_name(), token);
        match self {
            Self::NormalStart => workspace.scenario(Scenario::Normal).init_container("ghcr.io/example/prepare-home:3"),
            Self::WrongImage => workspace.scenario(Scenario::WrongImage).image("ghcr.io/example/workspace:latset"),
            Self::QuotaExceeded => workspace,
            Self::CrashLoop => workspace.scenario(Scenario::CrashLoop),
            Self::OomKilled => workspace.scenario(Scenario::OomKilled),
            Self::Evicted => workspace.scenario(Scenario::Evicted).evicted_after(EVICTED_AFTER),
            Self::Unschedulable => workspace.memory("900Ti"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_workspaces_name_begins_with_anothers() {
        let names: Vec<String> = Story::value_variants().iter().map(|story| story.whose()).collect();
        for (index, name) in names.iter().enumerate() {
            let others = names.iter().enumerate().filter(|(other, _)| *other != index);
            assert!(others.map(|(_, other)| other).all(|other| !other.starts_with(name.as_str())), "{name}");
        }
    }

    #[test]
    fn every_story_expects_something() {
        assert!(Story::value_variants().iter().all(|story| story.expected().len() >= 3));
    }
}
