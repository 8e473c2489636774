//! A proxy in front of Coder that blocks requests by their content.

use anyhow::Result;
use logstream_testing::{
    Workspace,
    coder::{Endpoint, Fault},
};

use crate::{
    facts::{Facts, fact},
    metrics::wait_for_count,
    support::{TestContext, count, only},
};

#[tokio::test]
async fn a_line_blocked_by_a_proxy_does_not_block_others() -> Result<()> {
    let context = TestContext::new("blocked").await?;
    let installation = context.install().await?;
    let faults = [
        Fault::Html(403),
        Fault::Html(200),
        Fault::Html(413),
        Fault::Status(403),
        Fault::Status(413),
        Fault::Status(422),
        Fault::Status(501),
        Fault::Text(400),
        Fault::Text(401),
        Fault::Text(406),
        Fault::Empty(302),
        Fault::Empty(404),
        Fault::Empty(405),
        Fault::Empty(411),
        Fault::Empty(415),
        Fault::Empty(418),
        Fault::Empty(451),
        Fault::CutBefore,
    ];
    let mut workspaces = Vec::new();
    for (n, fault) in faults.into_iter().enumerate() {
        let agent = context.agent();
        let workspace = Workspace::new(context.namespace.name(), "alice", &format!("dev-{n}"), &agent);
        let facts = Facts::of(&context.client, &workspace).await?;
        context.wait_for(&agent, &["Created pod"]).await?;
        context.coder.fault(fault.clone().at(Endpoint::Logs).to(&agent).containing(&fact(1)));
        workspaces.push((fault, agent, facts));
    }
    for (_, _, facts) in &workspaces {
        facts.all_happen(0..4).await?;
    }
    for (fault, agent, _) in &workspaces {
        let lines = context.wait_for(agent, &[&fact(0), "missing here", &fact(2), &fact(3)]).await?;
        assert_eq!(count(&lines, &fact(1)), 0, "{fault:?}");
        only(&lines, "1 line from Kubernetes is missing here");
    }
    wait_for_count(&installation, "lines_dropped_total{reason=\"refused\"}", |lines| lines == workspaces.len()).await?;
    assert_eq!(context.coder.violations(), []);
    Ok(())
}
