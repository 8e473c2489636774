//! The end of the process.

use std::time::Duration;

use logstream_core::line::Level;
use tokio::time::Instant;

use super::{
    context::{LATENCY, TestContext, secs},
    fake::Scripted,
};
use crate::{coder::Failure, deliver::Undelivered, leader::Role};

/// A line for agent 1, and a Coder that is away for this long.
async fn away_until(back: Duration) -> TestContext {
    let mut context = TestContext::new();
    context.valid(1);
    let back = context.start + back;
    context.coder.state().script =
        Box::new(move |request| (request.at < back).then_some(Scripted::Failure(Failure::Server { status: 503 })));
    context.open(1).await;
    context.line(1, "Created pod").await;
    context
}

#[tokio::test(start_paused = true)]
async fn sigterm_in_a_burst_delivers_all_that_was_handed_over() {
    let mut context = TestContext::new();
    for number in 0..300 {
        context.valid(number);
        context.open(number).await;
        for line in 0..11 {
            context.line(number, format!("{line}")).await;
        }
    }
    let before = Instant::now();
    let report = context.stop().await;
    assert_eq!(report.undelivered, Undelivered::default());
    assert!(before.elapsed() < secs(1));
    let expected: Vec<_> = (0..11).map(|line| line.to_string()).collect();
    for number in 0..300 {
        assert_eq!(context.log(number), expected);
    }
    assert_eq!(context.acked(), 3_300);
}

#[tokio::test(start_paused = true)]
async fn invariant_5_lines_of_a_lost_term_are_counted_as_handed_back() {
    let mut context = TestContext::new();
    context.open(1).await;
    for line in 0..3 {
        context.line(1, format!("{line}")).await;
    }
    context.permit(secs(5)).await;
    // The engine has not seen this one.
    context.line(1, "3").await;
    context.abort().await;
    assert_eq!((context.metric("lines_accepted_total"), context.metric("lines_handed_back_total")), (4.0, 4.0));
    assert_eq!((context.metric("lines_waiting"), context.acked()), (0.0, 0));
}

#[tokio::test(start_paused = true)]
async fn agents_that_are_not_valid_get_one_more_try_and_are_not_settled() {
    let mut context = TestContext::new();
    for number in 0..3 {
        context.open(number).await;
        context.line(number, "Created pod").await;
    }
    context.permit(secs(10)).await;
    context.valid(2);
    let before = Instant::now();
    let report = context.stop().await;
    assert!(before.elapsed() <= 3 * LATENCY);
    assert_eq!((report.delivered, report.undelivered), (1, Undelivered { not_yet: 2, ..Undelivered::default() }));
    assert_eq!(context.log(2), ["Created pod"]);
    assert_eq!(context.acked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_coder_that_is_away_is_tried_until_the_grace_period_is_over() {
    let mut context = TestContext::new();
    context.valid(1);
    context.coder.state().script = Box::new(|_| Some(Scripted::Failure(Failure::Server { status: 503 })));
    context.open(1).await;
    context.line(1, "Created pod").await;
    context.permit(secs(100)).await;
    let tries = context.coder.state().requests.len();
    let before = Instant::now();
    let report = context.stop().await;
    // The last second is for answers, and the next try may be due in it.
    assert!((secs(7)..=secs(9)).contains(&before.elapsed()), "{:?}", before.elapsed());
    assert_eq!(report.undelivered, Undelivered { unreachable: 1, ..Undelivered::default() });
    assert!(context.coder.state().requests.len() > tries + 7);
    assert_eq!(context.acked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_coder_that_comes_back_within_the_grace_period_gets_the_lines() {
    let mut context = away_until(secs(105)).await;
    context.send_line(1, Level::Error, false, "Failed").await;
    context.permit(secs(100)).await;
    let report = context.stop().await;
    assert_eq!((report.delivered, report.undelivered), (2, Undelivered::default()));
    assert_eq!(context.acked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_hangs_is_left_behind_at_the_end_of_grace() {
    let mut context = TestContext::new();
    context.valid(1);
    context.open(1).await;
    context.line(1, "Created pod").await;
    context.until_lines(1, 1, secs(1)).await;
    context.permit(LATENCY).await;
    context.coder.state().script = Box::new(|_| Some(Scripted::After(secs(1_000))));
    context.line(1, "Pulled").await;
    context.line(1, "Started").await;
    context.permit(secs(1)).await;
    let before = Instant::now();
    let report = context.stop().await;
    assert_eq!(before.elapsed(), secs(10));
    assert_eq!(report.undelivered, Undelivered { time: 2, ..Undelivered::default() });
    assert_eq!(context.acked(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_after_the_permission_ran_out_is_counted() {
    let (mut context, grantor) = TestContext::elected();
    grantor.set(Role::Leader(1), secs(2));
    context.valid(1);
    context.open(1).await;
    context.line(1, "Created pod").await;
    context.until_lines(1, 1, secs(1)).await;
    context.permit(LATENCY).await;
    context.coder.state().script = Box::new(|_| Some(Scripted::After(secs(5))));
    context.line(1, "Pulled").await;
    let report = context.stop().await;
    assert_eq!((report.delivered, report.undelivered), (1, Undelivered::default()));
    assert_eq!((context.log(1).len(), context.acked()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn no_request_begins_in_the_last_second() {
    let mut context = away_until(secs(109)).await;
    context.permit(secs(100)).await;
    let report = context.stop().await;
    assert_eq!((report.delivered, context.log(1).len(), context.acked()), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_allows_no_request_in_time_ends_the_drain() {
    let mut context = TestContext::new();
    context.valid(1);
    context.coder.state().script =
        Box::new(|_| Some(Scripted::Failure(Failure::Limited { retry_after: Some(secs(60)) })));
    context.open(1).await;
    context.line(1, "Created pod").await;
    context.permit(secs(1)).await;
    let before = Instant::now();
    let report = context.stop().await;
    assert!(before.elapsed() < secs(1), "{:?}", before.elapsed());
    assert_eq!(report.undelivered, Undelivered { limited: 1, ..Undelivered::default() });
    assert_eq!(context.acked(), 0);
}
