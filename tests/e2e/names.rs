//! Name resolution of Coder: a resolver that fails, and one that answers with another address while the program runs.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Result, ensure};
use logstream_testing::{
    CoderOptions, CoderStandIn, FaultProxy, Installation, NameAnswer, NameServer, Plan, Workspace,
    coder::{Fault, Line, Valid},
    poll, ports,
};

use crate::{
    facts::{Facts, assert_once_in_order, have_come},
    metrics::{metric_count, wait_for_count},
    support::{PATIENCE, PROGRAM, TestContext, only},
};

const NAME: &str = "coder.test";

/// Returns true and prints a note if programs cannot be given their own resolver here.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn skipped(what: &str) -> bool {
    let skipped = !NameServer::is_possible();
    if skipped {
        eprintln!("skipped: {what}, which needs root and unshare");
    }
    skipped
}

/// Waits until every line has been answered, so that cutting a connection repeats none.
async fn all_answered(installation: &Installation) -> Result<()> {
    wait_for_count(installation, "lines_waiting", |lines| lines == 0).await.map(drop)
}

/// Number of requests without a connection.
async fn failed_requests(installation: &Installation) -> Result<usize> {
    let of = async |endpoint| {
        let name = format!("coder_requests_total{{endpoint=\"{endpoint}\",outcome=\"network\"}}");
        metric_count(installation, &name).await
    };
    Ok(of("log_source").await? + of("logs").await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_wait_while_the_name_of_coder_does_not_resolve() -> Result<()> {
    if skipped("a resolver that fails") {
        return Ok(());
    }
    let context = TestContext::new("unresolved").await?;
    let names = NameServer::start(NameAnswer::NoSuchName).await?;
    let url = format!("http://{NAME}:{}", context.coder.address().port());
    let plan = Plan::new(names.resolving(PROGRAM)?, &url, context.namespace.name());
    // The name does not exist when the program starts.
    let mut installation = plan.install(context.cluster).await?;
    let agent = context.agent();
    let workspace = Workspace::new(context.namespace.name(), "alice", "dev", &agent);
    let facts = Facts::of(&context.client, &workspace).await?;
    let failures = [NameAnswer::NoSuchName, NameAnswer::ServerFailure, NameAnswer::Silence];
    for (n, failure) in failures.into_iter().enumerate() {
        names.set(failure);
        // Open connections need no name resolution.
        context.coder.cut();
        let before = failed_requests(&installation).await?;
        facts.all_happen(2 * n..2 * n + 2).await?;
        poll::eventually("a request fails", PATIENCE, || async {
            let failed = failed_requests(&installation).await.map_err(|error| error.to_string())?;
            if failed > before { Ok(()) } else { Err(failed.to_string()) }
        })
        .await?;
        assert!(!have_come(&context.coder.lines(&agent), 2 * n..2 * n + 1), "{failure:?}");
        assert!(metric_count(&installation, "lines_waiting").await? >= 2, "{failure:?}");

        names.set(NameAnswer::Address(Ipv4Addr::LOCALHOST));
        context.coder.wait_for_lines(&agent, PATIENCE, |lines| have_come(lines, 0..2 * n + 2)).await?;
        all_answered(&installation).await?;
    }
    let lines = context.coder.lines(&agent);
    assert_once_in_order(&lines, 0..2 * failures.len());
    only(&lines, "Created pod");
    let log = installation.product.output();
    ensure!(log.contains("Coder unavailable, holding lines") && log.contains("dns error"), "{log}");
    ensure!(metric_count(&installation, "lines_dropped_total").await? == 0 && names.questions() > 0);
    ensure!(installation.product.ended().is_none() && context.coder.violations().is_empty());
    Ok(())
}

/// Coder at an address of its own.
struct Place {
    coder: CoderStandIn,
    address: Ipv4Addr,
    proxy: FaultProxy,
}

impl Place {
    /// A Coder that knows this agent, at 127.0.0.`last`.
    fn start(last: u8, port: u16, agent: &str) -> Result<Self> {
        let coder = CoderStandIn::start(CoderOptions::new())?;
        coder.add_agent(agent, Valid::Now);
        let address = Ipv4Addr::new(127, 0, 0, last);
        let proxy = FaultProxy::start_at(SocketAddr::from((address, port)), coder.address())?;
        Ok(Self { coder, address, proxy })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_follow_the_name_of_coder_to_another_address() -> Result<()> {
    /// State of the old address.
    type Old = (&'static str, fn(&Place));
    const OLD: [Old; 4] = [
        ("nothing", |old| {
            old.proxy.refuse(true);
            old.proxy.cut();
        }),
        // Connections stay open and are reused as long as they answer.
        ("a proxy without Coder", |old| old.coder.fault(Fault::Status(503))),
        ("a web page", |old| old.coder.fault(Fault::Html(404))),
        ("silence", |old| old.proxy.stall(true)),
    ];
    if skipped("a name that moves") {
        return Ok(());
    }
    let context = TestContext::new("moved").await?;
    let (agent, port) = (context.agent(), ports::free().port());
    let mut places = vec![Place::start(2, port, &agent)?];
    let names = NameServer::start(NameAnswer::Address(places[0].address)).await?;
    let plan = Plan::new(names.resolving(PROGRAM)?, &format!("http://{NAME}:{port}"), context.namespace.name());
    let installation = plan.install(context.cluster).await?;
    let workspace = Workspace::new(context.namespace.name(), "alice", "dev", &agent);
    let facts = Facts::of(&context.client, &workspace).await?;
    facts.happen(0).await?;
    places[0].coder.wait_for_lines(&agent, PATIENCE, |lines| have_come(lines, 0..1)).await?;

    for (n, (what, remains)) in OLD.into_iter().enumerate() {
        all_answered(&installation).await?;
        let new = Place::start(u8::try_from(n + 3)?, port, &agent)?;
        names.set(NameAnswer::Address(new.address));
        remains(&places[n]);
        facts.happen(n + 1).await?;
        let arrived = new.coder.wait_for_lines(&agent, PATIENCE, |lines| have_come(lines, n + 1..n + 2)).await;
        ensure!(arrived.is_ok(), "with {what} at the old address: {arrived:?}\n{}", installation.product.output());
        places.push(new);
    }
    let lines: Vec<Line> = places.iter().flat_map(|place| place.coder.lines(&agent)).collect();
    assert_once_in_order(&lines, 0..OLD.len() + 1);
    only(&lines, "Created pod");
    Ok(())
}
