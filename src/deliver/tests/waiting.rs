//! Agents that are not valid yet, were claimed, or never come to be.

use logstream_core::line::Level;

use super::world::{LATENCY, World, agent, millis, secs};
use crate::deliver::lanes::Endpoint;

#[tokio::test(start_paused = true)]
async fn the_first_line_follows_within_a_second_of_validity() {
    for wait in [1, 10, 30, 600, 3_000] {
        let mut world = World::new();
        world.open(1).await;
        for line in 0..3 {
            world.line(1, format!("{line}")).await;
        }
        world.pass(secs(wait)).await;
        assert!(world.log(1).is_empty());
        world.valid(1);
        let took = world.until_lines(1, 3, secs(2)).await;
        assert!(took <= secs(1), "{wait} s: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_waiting_agents_are_each_tried_every_second() {
    let mut world = World::new();
    for number in 0..100 {
        world.open(number).await;
        world.line(number, "Created pod").await;
    }
    world.pass(secs(30)).await;
    for number in [0, 50, 99] {
        world.valid(number);
        let took = world.until_lines(number, 1, secs(2)).await;
        assert!(took <= secs(1), "{number}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_waiting_agents_are_tried_at_a_bounded_rate() {
    let mut world = World::new();
    for number in 0..2_000 {
        world.open(number).await;
        world.line(number, "Created pod").await;
    }
    world.pass(secs(20)).await;
    let before = world.coder.state().requests.len();
    world.pass(secs(20)).await;
    let rate = (world.coder.state().requests.len() - before) / 20;
    assert!((100..=130).contains(&rate), "{rate} a second");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_agents_valid_after_ten_seconds_get_every_line_in_order() {
    let mut world = World::new();
    for number in 0..1_000 {
        world.valid_at(number, world.start + secs(10));
        world.open(number).await;
        for line in 0..11 {
            world.line(number, format!("{line}")).await;
        }
    }
    world.pass(secs(10)).await;
    let took =
        world.until(secs(10), "every line", |state| state.agents.values().all(|agent| agent.log.len() >= 11)).await;
    assert!(took < secs(3), "{took:?}");
    let expected: Vec<_> = (0..11).map(|line| line.to_string()).collect();
    for number in 0..1_000 {
        assert_eq!(world.log(number), expected);
    }
    world.pass(LATENCY).await;
    assert_eq!(world.acked(), 11_000);
}

#[tokio::test(start_paused = true)]
async fn lines_of_an_agent_that_is_never_valid_are_given_up_after_an_hour_and_counted() {
    let mut world = World::new();
    world.open(1).await;
    world.line(1, "Created pod").await;
    world.pass(secs(3_599)).await;
    assert_eq!(world.acked(), 0);
    world.pass(secs(10)).await;
    assert_eq!(world.metric("lines_dropped_total{reason=\"never_valid\"}"), 1.0);
    assert_eq!(world.acked(), 1);
    let before = world.coder.state().requests.len();
    world.pass(secs(600)).await;
    assert_eq!(world.coder.state().requests.len(), before, "it is left alone");
    world.valid(1);
    world.line(1, "Started").await;
    world.until_lines(1, 2, secs(1)).await;
    assert_eq!(world.log(1), ["(1 line from Kubernetes is missing here)", "Started"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_failed_start_left_is_said_in_one_line_at_the_next() {
    for under_way in [false, true] {
        let mut world = World::new();
        world.open_of(1, "dev").await;
        for line in 0..5 {
            world.line(1, format!("routine {line}")).await;
        }
        world.tell(1, Level::Error, false, "exceeded quota: cpu").await;
        world.tell(1, Level::Warn, false, "back-off").await;
        world.pass(secs(30)).await;
        world.ended(1).await;
        world.pass(secs(30)).await;
        let tries = world.coder.state().requests.len();
        world.until(secs(2), "a try", |state| state.requests.len() > tries).await;
        // The next start begins while a try of the earlier one is under way, or when it is over.
        world.pass(if under_way { LATENCY / 4 } else { LATENCY * 2 }).await;
        world.valid(2);
        world.open_of(2, "dev").await;
        world.line(2, "Created pod").await;
        world.until_lines(2, 2, secs(1)).await;
        let told =
            "An earlier start of this workspace failed before its log could be shown (7 lines): exceeded quota: cpu";
        assert_eq!(world.log(2), [told, "Created pod"]);
        assert_eq!(world.metric("lines_dropped_total{reason=\"never_valid\"}"), 7.0);
        world.valid(3);
        world.open_of(3, "dev").await;
        world.line(3, "Created pod").await;
        world.until_lines(3, 1, secs(1)).await;
        world.pass(secs(1)).await;
        assert_eq!(world.log(3), ["Created pod"], "said once");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_start_is_remembered_for_its_own_workspace_and_a_day() {
    let mut world = World::new();
    for (number, name) in [(1, "dev"), (2, "web")] {
        world.open_of(number, name).await;
        world.tell(number, Level::Error, false, format!("{name} failed")).await;
        world.ended(number).await;
    }
    world.pass(secs(400)).await;
    assert_eq!(world.metric("lines_dropped_total{reason=\"never_valid\"}"), 2.0);
    for number in 3..=5 {
        world.valid(number);
    }
    world.open_of(3, "other").await;
    world.line(3, "Created pod").await;
    world.open_of(4, "dev").await;
    world.until_lines(4, 1, secs(1)).await;
    assert!(world.log(4)[0].ends_with("(1 line): dev failed"), "{:?}", world.log(4));
    assert_eq!(world.log(3), ["Created pod"]);
    world.pass(secs(25 * 3600)).await;
    world.open_of(5, "web").await;
    world.line(5, "Created pod").await;
    world.until_lines(5, 1, secs(1)).await;
    assert_eq!(world.log(5), ["Created pod"], "too old");
}

#[tokio::test(start_paused = true)]
async fn a_claimed_agent_has_its_source_posted_again() {
    let mut world = World::new();
    world.valid(1);
    world.open(1).await;
    world.line(1, "Created pod").await;
    world.until_lines(1, 1, secs(1)).await;
    world.pass(secs(100)).await;
    // The same token becomes another agent, a moment later.
    world.invalid(1);
    world.coder.state().agents.get_mut(&agent(1)).unwrap().source = false;
    world.line(1, "Pulled").await;
    world.pass(secs(5)).await;
    world.valid(1);
    let took = world.until_lines(1, 2, secs(2)).await;
    assert!(took <= secs(1), "{took:?}");
    assert_eq!(world.log(1), ["Created pod", "Pulled"]);
    assert_eq!(world.coder.state().agents[&agent(1)].sources_posted, 2);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_worked_and_ended_is_over_at_the_first_401() {
    let mut world = World::new();
    world.valid(1);
    world.open(1).await;
    world.line(1, "Created pod").await;
    world.until_lines(1, 1, secs(1)).await;
    world.pass(LATENCY).await;
    world.ended(1).await;
    world.invalid(1);
    world.line(1, "Deleted pod").await;
    world.pass(secs(1)).await;
    world.line(1, "Deleted ReplicaSet").await;
    world.pass(secs(1)).await;
    assert_eq!(world.metric("lines_dropped_total{reason=\"over\"}"), 2.0);
    let tries = world.coder.state().requests.iter().filter(|request| request.endpoint == Endpoint::Logs).count();
    assert_eq!(tries, 2, "one that worked, one that was refused");
    world.pass(secs(70)).await;
    assert_eq!(world.metric("agents{state=\"ended\"}"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_works_for_the_source_and_not_for_lines_is_tried_with_growing_waits() {
    let mut world = World::new();
    world.valid(1);
    world.coder.state().script = Box::new(|request| {
        use super::fake::Scripted;
        (request.endpoint == Endpoint::Logs).then_some(Scripted::Failure(crate::coder::Failure::Unauthorized))
    });
    world.open(1).await;
    world.line(1, "Created pod").await;
    world.pass(secs(600)).await;
    let tries = world.coder.state().requests.len();
    assert!((20..400).contains(&tries), "{tries}");
    world.coder.state().script = Box::new(|_| None);
    world.until_lines(1, 1, secs(31)).await;
    world.pass(millis(100)).await;
    assert_eq!(world.acked(), 1);
}
