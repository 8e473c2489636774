//! Accounting is right, whatever Coder answers and in whatever order.

use proptest::prelude::*;

use super::{
    context::{LATENCY, TestContext, agent, millis, secs},
    fake::{FakeCoder, Scripted},
};
use crate::{coder::Failure, deliver::Settings};

#[derive(Debug, Clone)]
enum Step {
    Line(u32, bool),
    Burst(u32),
    Permit(u64),
    Answers(Vec<Option<Answer>>),
    Valid(u32, bool),
    Ended(u32),
    Open(u32),
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Unauthorized,
    TooLarge,
    BadRequest,
    Limited,
    Server,
    Timeout,
    StoredThenCut,
    NotCoder,
    Slow,
}

fn scripted(answer: Answer) -> Scripted {
    match answer {
        Answer::Unauthorized => Scripted::Failure(Failure::Unauthorized),
        Answer::TooLarge => Scripted::Failure(Failure::TooLarge),
        Answer::BadRequest => Scripted::Failure(Failure::BadRequest { message: "no".into() }),
        Answer::Limited => Scripted::Failure(Failure::Limited { retry_after: Some(secs(3)) }),
        Answer::Server => Scripted::Failure(Failure::Server { status: 500 }),
        Answer::Timeout => Scripted::Failure(Failure::Timeout),
        Answer::StoredThenCut => Scripted::StoredThen(Failure::Network { reason: "cut".into(), connected: true }),
        Answer::NotCoder => Scripted::Failure(Failure::NotCoder { reason: "a web page".into() }),
        Answer::Slow => Scripted::After(secs(5)),
    }
}

const AGENTS: u32 = 4;

fn answer() -> impl Strategy<Value = Option<Answer>> {
    prop_oneof![
        6 => Just(None),
        1 => Just(Some(Answer::Unauthorized)),
        1 => prop_oneof![9 => Just(None), 1 => Just(Some(Answer::TooLarge))],
        1 => Just(Some(Answer::BadRequest)),
        1 => Just(Some(Answer::Limited)),
        1 => Just(Some(Answer::Server)),
        1 => Just(Some(Answer::Timeout)),
        1 => Just(Some(Answer::StoredThenCut)),
        1 => Just(Some(Answer::NotCoder)),
        1 => Just(Some(Answer::Slow)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..AGENTS, any::<bool>()).prop_map(|(agent, repeat)| Step::Line(agent, repeat)),
        1 => (0..AGENTS).prop_map(Step::Burst),
        4 => (0_u64..3_000).prop_map(Step::Permit),
        1 => (20_000_u64..400_000).prop_map(Step::Permit),
        4 => prop::collection::vec(answer(), 1..6).prop_map(Step::Answers),
        3 => (0..AGENTS, prop::bool::weighted(0.7)).prop_map(|(agent, valid)| Step::Valid(agent, valid)),
        1 => (0..AGENTS).prop_map(Step::Ended),
        2 => (0..AGENTS).prop_map(Step::Open),
    ]
}

/// Numbers of this program's lines in the order in which the reader sees them. A lost answer may double some.
fn numbers(context: &TestContext, number: u32) -> Vec<u64> {
    let own = |text: &String| text.rsplit(' ').next()?.strip_prefix('#')?.parse().ok();
    context.log(number).iter().filter_map(own).collect()
}

async fn play(steps: Vec<Step>) {
    let settings =
        Settings { max_lines: 400, hold: secs(300), hold_ended: secs(60), linger: secs(10), ..Settings::default() };
    let mut context = TestContext::with(FakeCoder::new(LATENCY), settings);
    let answers = std::sync::Arc::new(std::sync::Mutex::new(std::collections::VecDeque::<Option<Answer>>::new()));
    let queue = answers.clone();
    context.coder.state().script = Box::new(move |_| queue.lock().unwrap().pop_front().flatten().map(scripted));
    let mut sent = 0_u64;
    for step in steps {
        match step {
            Step::Line(number, repeat) => {
                sent += 1;
                context.send_line(number, logstream_core::line::Level::Debug, repeat, format!("#{sent}")).await;
            }
            Step::Burst(number) => {
                for _ in 0..150 {
                    sent += 1;
                    context.line(number, format!("#{sent}")).await;
                }
            }
            Step::Permit(time) => context.permit(millis(time)).await,
            Step::Answers(more) => answers.lock().unwrap().extend(more),
            Step::Valid(number, true) => context.valid(number),
            Step::Valid(number, false) => context.invalid(number),
            Step::Ended(number) => context.ended(number).await,
            Step::Open(number) => context.open(number).await,
        }
    }
    answers.lock().unwrap().clear();
    for number in 0..AGENTS {
        context.valid(number);
    }
    // Everything ends within the time that lines are held, plus a margin.
    context.permit(secs(400)).await;
    let reasons = ["overflow", "budget", "full", "refused", "never_valid", "revoked", "expired", "too_many_agents"];
    let dropped: f64 =
        reasons.map(|reason| context.metric(&format!("lines_dropped_total{{reason=\"{reason}\"}}"))).iter().sum();
    let delivered = context.metric("lines_delivered_total");
    let sent_lines = sent as f64;
    assert_eq!(delivered + dropped, sent_lines, "each line is delivered or dropped");
    assert_eq!(context.metric("lines_waiting"), 0.0);
    assert_eq!(context.metric("coder_requests_in_flight"), 0.0);
    let acks = context.acks.all();
    assert_eq!(acks.len() as u64, sent, "each fact_id is settled");
    assert!(acks.values().all(|times| *times == 1));
    for number in 0..AGENTS {
        let seen = numbers(&context, number);
        let mut first_seen = Vec::new();
        let mut known = std::collections::HashSet::new();
        for line in seen {
            if known.insert(line) {
                first_seen.push(line);
            }
        }
        assert!(first_seen.is_sorted(), "agent {:?} in order: {first_seen:?}", agent(number));
    }
    let report = context.stop().await;
    assert_eq!(report.undelivered.total(), 0);
    assert_eq!((context.metric("lines_accepted_total"), context.metric("lines_handed_back_total")), (sent_lines, 0.0));
    // A source that is always refused is no reason to hold lines back.
    context.coder.state().without_source = 0;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_mark_is_settled_once_and_order_is_kept(steps in prop::collection::vec(step(), 1..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(play(steps));
    }
}
