//! The end of the process.

use logstream_core::line::Level;
use tokio::time::Instant;

use super::{
    fake::Scripted,
    world::{LATENCY, World, secs},
};
use crate::{coder::Failure, deliver::Undelivered};

#[tokio::test(start_paused = true)]
async fn sigterm_in_a_burst_delivers_all_that_was_handed_over() {
    let mut world = World::new();
    for number in 0..300 {
        world.valid(number);
        world.open(number).await;
        for line in 0..11 {
            world.line(number, format!("{line}")).await;
        }
    }
    let before = Instant::now();
    let report = world.stop().await;
    assert_eq!(report.undelivered, Undelivered::default());
    assert!(before.elapsed() < secs(1));
    let expected: Vec<_> = (0..11).map(|line| line.to_string()).collect();
    for number in 0..300 {
        assert_eq!(world.log(number), expected);
    }
    assert_eq!(world.acked(), 3_300);
}

#[tokio::test(start_paused = true)]
async fn agents_that_are_not_valid_get_one_more_try_and_are_not_settled() {
    let mut world = World::new();
    for number in 0..3 {
        world.open(number).await;
        world.line(number, "Created pod").await;
    }
    world.pass(secs(10)).await;
    world.valid(2);
    let before = Instant::now();
    let report = world.stop().await;
    assert!(before.elapsed() <= 3 * LATENCY);
    assert_eq!((report.delivered, report.undelivered), (1, Undelivered { not_yet: 2, ..Undelivered::default() }));
    assert_eq!(world.log(2), ["Created pod"]);
    assert_eq!(world.acked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_coder_that_is_away_is_tried_until_the_grace_period_is_over() {
    let mut world = World::new();
    world.valid(1);
    world.coder.state().script = Box::new(|_| Some(Scripted::Failure(Failure::Server { status: 503 })));
    world.open(1).await;
    world.line(1, "Created pod").await;
    world.pass(secs(100)).await;
    let tries = world.coder.state().requests.len();
    let before = Instant::now();
    let report = world.stop().await;
    assert_eq!(before.elapsed(), secs(10));
    assert_eq!(report.undelivered, Undelivered { unreachable: 1, ..Undelivered::default() });
    assert!(world.coder.state().requests.len() > tries + 8);
    assert_eq!(world.acked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_coder_that_comes_back_within_the_grace_period_gets_the_lines() {
    let mut world = World::new();
    world.valid(1);
    let back = world.start + secs(105);
    world.coder.state().script =
        Box::new(move |request| (request.at < back).then_some(Scripted::Failure(Failure::Server { status: 503 })));
    world.open(1).await;
    world.line(1, "Created pod").await;
    world.tell(1, Level::Error, false, "Failed").await;
    world.pass(secs(100)).await;
    let report = world.stop().await;
    assert_eq!((report.delivered, report.undelivered), (2, Undelivered::default()));
    assert_eq!(world.acked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_hangs_is_left_behind_at_the_end_of_grace() {
    let mut world = World::new();
    world.valid(1);
    world.open(1).await;
    world.line(1, "Created pod").await;
    world.until_lines(1, 1, secs(1)).await;
    world.pass(LATENCY).await;
    world.coder.state().script = Box::new(|_| Some(Scripted::After(secs(1_000))));
    world.line(1, "Pulled").await;
    world.line(1, "Started").await;
    world.pass(secs(1)).await;
    let before = Instant::now();
    let report = world.stop().await;
    assert_eq!(before.elapsed(), secs(10));
    assert_eq!(report.undelivered, Undelivered { time: 2, ..Undelivered::default() });
    assert_eq!(world.acked(), 1);
}
