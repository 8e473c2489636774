//! The ordinary start of a workspace.

use logstream_core::line::Level;

use super::context::{LATENCY, TestContext, agent, millis, secs};
use crate::{
    deliver::{Command, rate::priority::Endpoint},
    leader::Role,
};

#[tokio::test(start_paused = true)]
async fn the_first_line_goes_at_once() {
    let mut context = TestContext::new();
    context.valid(1);
    context.open(1).await;
    context.line(1, "Created pod").await;
    let took = context.until_lines(1, 1, secs(1)).await;
    assert!(took <= 2 * LATENCY, "one round trip for the source and one for the line: {took:?}");
    assert_eq!(context.log(1), ["Created pod"]);
    context.permit(LATENCY).await;
    assert_eq!(context.acked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_first_line_after_a_claim_takes_one_round_trip() {
    let mut context = TestContext::new();
    context.valid(1);
    assert!(context.outlet.prepare(agent(1)));
    context.permit(millis(100)).await;
    context.open(1).await;
    context.line(1, "Created pod").await;
    let took = context.until_lines(1, 1, secs(1)).await;
    assert!(took <= LATENCY, "{took:?}");
    let state = context.coder.state();
    assert_eq!(state.agents[&agent(1)].sources_posted, 1);
    assert_eq!(state.requests.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_claim_alone_sends_no_line_and_a_refused_one_is_forgotten() {
    let context = TestContext::new();
    context.outlet.prepare(agent(1));
    context.permit(secs(3600)).await;
    assert_eq!(context.coder.state().requests.len(), 1, "one try, no more");
    assert_eq!(context.metric("agents{state=\"expected\"}"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn an_unconfirmed_registration_is_forgotten() {
    let context = TestContext::new();
    context.valid(1);
    context.outlet.prepare(agent(1));
    context.permit(secs(1)).await;
    assert_eq!(context.metric("agents{state=\"expected\"}"), 1.0);
    context.permit(secs(3600)).await;
    assert_eq!(context.metric("agents{state=\"expected\"}"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn lines_during_a_request_go_together_into_the_next() {
    let mut context = TestContext::new();
    context.valid(1);
    context.outlet.prepare(agent(1));
    context.permit(secs(1)).await;
    context.open(1).await;
    context.line(1, "one").await;
    context.permit(millis(1)).await;
    context.line(1, "two").await;
    context.permit(millis(1)).await;
    context.line(1, "three").await;
    let took = context.until_lines(1, 3, secs(1)).await;
    assert!(took <= 2 * LATENCY, "{took:?}");
    assert_eq!(context.log(1), ["one", "two", "three"]);
    let lines: Vec<_> = context.coder.state().requests.iter().map(|request| request.lines.clone()).collect();
    assert_eq!(lines, [vec![], vec!["one".to_owned()], vec!["two".to_owned(), "three".to_owned()]]);
}

#[tokio::test(start_paused = true)]
async fn order_is_kept_over_many_batches() {
    let mut context = TestContext::new();
    context.valid(1);
    context.open(1).await;
    let mut expected = Vec::new();
    for burst in 0..30 {
        for line in 0..20 {
            let text = format!("{burst} {line}");
            context.line(1, text.clone()).await;
            expected.push(text);
        }
        context.permit(millis(burst)).await;
    }
    context.until_lines(1, 600, secs(10)).await;
    assert_eq!(context.log(1), expected);
    assert!(context.coder.state().requests.iter().all(|request| request.lines.len() <= 64));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_agents_are_served_in_parallel() {
    let mut context = TestContext::new();
    for number in 0..1_000 {
        context.valid(number);
        context.open(number).await;
        for line in 0..11 {
            context.line(number, format!("{line}")).await;
        }
    }
    context.until(secs(2), "every line", |state| state.agents.values().all(|agent| agent.log.len() == 11)).await;
    let expected: Vec<_> = (0..11).map(|line| line.to_string()).collect();
    for number in 0..1_000 {
        assert_eq!(context.log(number), expected);
        assert_eq!(context.coder.state().agents[&agent(number)].sources_posted, 1);
    }
    assert!(context.coder.state().most_under_way <= 240);
}

#[tokio::test(start_paused = true)]
async fn a_late_line_carries_its_time() {
    let mut context = TestContext::new();
    context.open(1).await;
    context.send_line(1, Level::Debug, false, "Scheduled").await;
    context.permit(secs(40)).await;
    context.send_line(1, Level::Debug, false, "Pulled").await;
    context.valid(1);
    context.until_lines(1, 2, secs(2)).await;
    assert_eq!(context.log(1), ["[12:00:00Z] Scheduled", "Pulled"]);
}

#[tokio::test(start_paused = true)]
async fn an_ended_agent_is_forgotten_and_a_last_line_still_arrives() {
    let mut context = TestContext::new();
    context.valid(1);
    context.open(1).await;
    context.line(1, "Created pod").await;
    context.until_lines(1, 1, secs(1)).await;
    context.ended(1).await;
    context.permit(secs(5)).await;
    context.line(1, "Deleted pod").await;
    context.until_lines(1, 2, secs(1)).await;
    context.permit(secs(70)).await;
    assert_eq!(context.metric("agents{state=\"ended\"}"), 0.0);
    context.line(1, "Deleted ReplicaSet").await;
    context.until_lines(1, 3, secs(1)).await;
    context.permit(secs(70)).await;
    assert_eq!(context.metric("agents{state=\"ended\"}"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_without_permission() {
    let (mut context, grantor) = TestContext::elected();
    context.valid(1);
    context.open(1).await;
    context.line(1, "Created pod").await;
    context.permit(secs(60)).await;
    assert!(context.coder.state().requests.is_empty());
    grantor.set(Role::Leader(1), context.start.elapsed() + secs(10));
    let took = context.until_lines(1, 1, secs(1)).await;
    assert!(took <= 2 * LATENCY, "{took:?}");
    assert!(context.coder.state().requests.iter().any(|request| request.endpoint == Endpoint::LogSource));
}

#[tokio::test(start_paused = true)]
async fn permission_that_has_run_out_stops_sending_without_a_message() {
    let (mut context, grantor) = TestContext::elected();
    context.valid(1);
    grantor.set(Role::Leader(1), secs(10));
    context.open(1).await;
    context.line(1, "Created pod").await;
    context.until_lines(1, 1, secs(1)).await;
    // As in a process that was stopped for this time without any notice.
    tokio::time::advance(secs(20)).await;
    let before = context.coder.state().requests.len();
    context.line(1, "Pulled").await;
    context.permit(secs(5)).await;
    assert_eq!(context.coder.state().requests.len(), before);
    grantor.set(Role::Leader(1), context.start.elapsed() + secs(10));
    context.until_lines(1, 2, secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn more_agents_than_there_is_room_for_are_refused_and_counted() {
    let settings = crate::deliver::Settings { max_agents: 2, ..Default::default() };
    let mut context = TestContext::with(super::fake::FakeCoder::new(LATENCY), settings);
    for number in 1..=3 {
        context.valid(number);
        context.open(number).await;
        context.line(number, "Created pod").await;
    }
    context.until_lines(2, 1, secs(1)).await;
    context.permit(LATENCY).await;
    assert!(context.log(3).is_empty());
    assert_eq!(context.metric("lines_dropped_total{reason=\"too_many_agents\"}"), 1.0);
    context.ended(1).await;
    context.send(Command::Open { agent: agent(3), workspace: None }).await;
    context.line(3, "Pulled").await;
    context.until_lines(3, 1, secs(1)).await;
    assert_eq!(context.log(3), ["Pulled"], "an ended one made room");
}
