//! Contexts for unit tests.

use crate::{
    config::{Config, Environment},
    doctor::{
        api::Api,
        context::{Context, Vantage},
        proxies::Variables,
    },
    watch::testing::Script,
};

/// The configuration of a program with these flags.
pub(super) fn config(flags: &[&str]) -> Config {
    let arguments = ["coder-logstream-kube", "--coder-url=https://coder.example.com"].into_iter();
    let environment = Environment::of([("POD_NAMESPACE", "coder")]).on_another_machine();
    Config::new(arguments.chain(flags.iter().copied()), &environment).unwrap()
}

/// A context with a scripted API server, for a program with these flags.
pub(super) fn scripted(script: Script, flags: &[&str]) -> Context {
    let config = config(flags);
    let deployment = config.owner.as_ref().map(|owner| owner.deployment.clone());
    let proxies = Variables::default();
    Context::new(Api::new(script.start().client()), config, Vantage::Cluster, proxies, deployment, Vec::new())
}

/// A context with an API server that never answers.
pub(super) fn context() -> Context {
    scripted(Script::new(), &[])
}
