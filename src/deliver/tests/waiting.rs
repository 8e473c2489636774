//! Agents that are not valid yet, were claimed, or never become valid.

use logstream_core::line::Level;

use super::context::{LATENCY, TestContext, agent, millis, secs};
use crate::deliver::rate::priority::Endpoint;

#[tokio::test(start_paused = true)]
async fn the_first_line_follows_within_a_second_of_validity() {
    for wait in [1, 10, 30, 600, 3_000] {
        let mut context = TestContext::new();
        context.open(1).await;
        for line in 0..3 {
            context.line(1, format!("{line}")).await;
        }
        context.permit(secs(wait)).await;
        assert!(context.log(1).is_empty());
        context.valid(1);
        let took = context.until_lines(1, 3, secs(2)).await;
        assert!(took <= secs(1), "{wait} s: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_waiting_agents_are_each_tried_every_second() {
    let mut context = TestContext::new();
    for number in 0..100 {
        context.open(number).await;
        context.line(number, "Created pod").await;
    }
    context.permit(secs(30)).await;
    for number in [0, 50, 99] {
        context.valid(number);
        let took = context.until_lines(number, 1, secs(2)).await;
        assert!(took <= secs(1), "{number}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_waiting_agents_are_tried_at_a_bounded_rate() {
    let mut context = TestContext::new();
    for number in 0..2_000 {
        context.open(number).await;
        context.line(number, "Created pod").await;
    }
    context.permit(secs(20)).await;
    let before = context.coder.state().requests.len();
    context.permit(secs(20)).await;
    let rate = (context.coder.state().requests.len() - before) / 20;
    assert!((100..=130).contains(&rate), "{rate} a second");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_agents_valid_after_ten_seconds_get_every_line_in_order() {
    let mut context = TestContext::new();
    for number in 0..1_000 {
        context.valid_at(number, context.start + secs(10));
        context.open(number).await;
        for line in 0..11 {
            context.line(number, format!("{line}")).await;
        }
    }
    context.permit(secs(10)).await;
    let took =
        context.until(secs(10), "every line", |state| state.agents.values().all(|agent| agent.log.len() >= 11)).await;
    assert!(took < secs(3), "{took:?}");
    let expected: Vec<_> = (0..11).map(|line| line.to_string()).collect();
    for number in 0..1_000 {
        assert_eq!(context.log(number), expected);
    }
    context.permit(LATENCY).await;
    assert_eq!(context.acked(), 11_000);
}

#[tokio::test(start_paused = true)]
async fn lines_of_an_agent_that_is_never_valid_are_given_up_after_an_hour_and_counted() {
    let mut context = TestContext::new();
    context.open(1).await;
    context.line(1, "Created pod").await;
    context.permit(secs(3_599)).await;
    assert_eq!(context.acked(), 0);
    context.permit(secs(10)).await;
    assert_eq!(context.metric("lines_dropped_total{reason=\"never_valid\"}"), 1.0);
    assert_eq!(context.acked(), 1);
    let before = context.coder.state().requests.len();
    context.permit(secs(600)).await;
    assert_eq!(context.coder.state().requests.len(), before, "it is left alone");
    context.valid(1);
    context.line(1, "Started").await;
    context.until_lines(1, 2, secs(1)).await;
    assert_eq!(
        context.log(1),
        ["(1 line from Kubernetes is missing here: Coder accepted no lines in time)", "Started"]
    );
}

#[tokio::test(start_paused = true)]
async fn lines_of_a_failed_start_are_one_line_at_the_next() {
    for under_way in [false, true] {
        let mut context = TestContext::new();
        context.open_of(1, "dev").await;
        for line in 0..5 {
            context.line(1, format!("routine {line}")).await;
        }
        context.send_line(1, Level::Error, false, "exceeded quota: cpu").await;
        context.send_line(1, Level::Warn, false, "back-off").await;
        context.permit(secs(30)).await;
        context.ended(1).await;
        context.permit(secs(30)).await;
        let tries = context.coder.state().requests.len();
        context.until(secs(2), "a try", |state| state.requests.len() > tries).await;
        // The next start begins while a try of the earlier one is in flight, or after it.
        context.permit(if under_way { LATENCY / 4 } else { LATENCY * 2 }).await;
        context.valid(2);
        context.open_of(2, "dev").await;
        context.line(2, "Created pod").await;
        context.until_lines(2, 2, secs(1)).await;
        let note =
            "An earlier start of this workspace failed before its log could be shown (7 lines): exceeded quota: cpu";
        assert_eq!(context.log(2), [note, "Created pod"]);
        assert_eq!(context.metric("lines_dropped_total{reason=\"never_valid\"}"), 7.0);
        context.valid(3);
        context.open_of(3, "dev").await;
        context.line(3, "Created pod").await;
        context.until_lines(3, 1, secs(1)).await;
        context.permit(secs(1)).await;
        assert_eq!(context.log(3), ["Created pod"], "said once");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_start_is_remembered_for_its_own_workspace_and_a_day() {
    let mut context = TestContext::new();
    for (number, name) in [(1, "dev"), (2, "web")] {
        context.open_of(number, name).await;
        context.send_line(number, Level::Error, false, format!("{name} failed")).await;
        context.ended(number).await;
    }
    context.permit(secs(400)).await;
    assert_eq!(context.metric("lines_dropped_total{reason=\"never_valid\"}"), 2.0);
    for number in 3..=5 {
        context.valid(number);
    }
    context.open_of(3, "other").await;
    context.line(3, "Created pod").await;
    context.open_of(4, "dev").await;
    context.until_lines(4, 1, secs(1)).await;
    assert!(context.log(4)[0].ends_with("(1 line): dev failed"), "{:?}", context.log(4));
    assert_eq!(context.log(3), ["Created pod"]);
    context.permit(secs(25 * 3600)).await;
    context.open_of(5, "web").await;
    context.line(5, "Created pod").await;
    context.until_lines(5, 1, secs(1)).await;
    assert_eq!(context.log(5), ["Created pod"], "too old");
}

#[tokio::test(start_paused = true)]
async fn a_claimed_agent_has_its_source_posted_again() {
    let mut context = TestContext::new();
    context.valid(1);
    context.open(1).await;
    context.line(1, "Created pod").await;
    context.until_lines(1, 1, secs(1)).await;
    context.permit(secs(100)).await;
    // The same token belongs to another agent a moment later.
    context.invalid(1);
    context.coder.state().agents.get_mut(&agent(1)).unwrap().source = false;
    context.line(1, "Pulled").await;
    context.permit(secs(5)).await;
    context.valid(1);
    let took = context.until_lines(1, 2, secs(2)).await;
    assert!(took <= secs(1), "{took:?}");
    assert_eq!(context.log(1), ["Created pod", "Pulled"]);
    assert_eq!(context.coder.state().agents[&agent(1)].sources_posted, 2);
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_refused_no_request_posts_the_source_again() {
    let mut context = TestContext::new();
    context.valid(1);
    context.open(1).await;
    context.line(1, "Created pod").await;
    context.until_lines(1, 1, secs(1)).await;
    // Between two lines the token becomes that of another agent; its pod's labels name the new owner.
    context.coder.state().agents.get_mut(&agent(1)).unwrap().source = false;
    context.claimed(1).await;
    context.permit(secs(1)).await;
    assert_eq!(context.coder.state().agents[&agent(1)].sources_posted, 1, "not before there is a line");
    context.line(1, "Pulled").await;
    context.until_lines(1, 2, secs(1)).await;
    assert_eq!(context.coder.state().agents[&agent(1)].sources_posted, 2);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_worked_and_ended_is_revoked_at_the_first_401() {
    let mut context = TestContext::new();
    context.valid(1);
    context.open(1).await;
    context.line(1, "Created pod").await;
    context.until_lines(1, 1, secs(1)).await;
    context.permit(LATENCY).await;
    context.ended(1).await;
    context.invalid(1);
    context.line(1, "Deleted pod").await;
    context.permit(secs(1)).await;
    context.line(1, "Deleted ReplicaSet").await;
    context.permit(secs(1)).await;
    assert_eq!(context.metric("lines_dropped_total{reason=\"revoked\"}"), 2.0);
    let tries = context.coder.state().requests.iter().filter(|request| request.endpoint == Endpoint::Logs).count();
    assert_eq!(tries, 2, "one that accepted, one that was refused");
    context.permit(secs(70)).await;
    assert_eq!(context.metric("agents{state=\"ended\"}"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_works_for_the_source_and_not_for_lines_is_tried_with_growing_waits() {
    let mut context = TestContext::new();
    context.valid(1);
    context.coder.state().script = Box::new(|request| {
        use super::fake::Scripted;
        (request.endpoint == Endpoint::Logs).then_some(Scripted::Failure(crate::coder::Failure::Unauthorized))
    });
    context.open(1).await;
    context.line(1, "Created pod").await;
    context.permit(secs(600)).await;
    let tries = context.coder.state().requests.len();
    assert!((20..400).contains(&tries), "{tries}");
    context.coder.state().script = Box::new(|_| None);
    context.until_lines(1, 1, secs(31)).await;
    context.permit(millis(100)).await;
    assert_eq!(context.acked(), 1);
}
