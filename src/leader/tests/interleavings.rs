//! Replicas with clocks of different speed, arbitrary pauses, slow and lost requests and crashes: two may never send.

use std::time::Duration;

use proptest::prelude::*;

use crate::leader::{
    Timing,
    candidate::{Candidate, Step},
    lease::Lease,
};

/// One tick of the simulation.
const TICK: Duration = Duration::from_millis(50);
/// Number of ticks with disturbances, followed by as many without.
const TICKS: u64 = 1_600;
/// Number of ticks after which a request without an answer is given up.
const GIVE_UP: u64 = 60;

struct Replica {
    candidate: Candidate,
    identity: String,
    /// Speed of its clock, in percent of true time.
    speed: u32,
    paused_until: u64,
    request: Option<Request>,
}

struct Request {
    step: Step,
    /// By the replica's clock.
    sent: Duration,
    sent_at: u64,
    arrives_at: u64,
    /// Tick at which the answer returns; `None` if it is lost.
    returns_at: Option<u64>,
    answer: Option<Answer>,
}

enum Answer {
    Lease(Option<Lease>),
    Taken(Lease),
    Conflict,
}

/// The Lease in the cluster, and its past versions.
#[derive(Default)]
struct Server {
    lease: Option<Lease>,
    version: u64,
    past: Vec<Lease>,
}

impl Server {
    fn write(&mut self, holder: Option<&str>) -> Lease {
        self.version += 1;
        let holder = holder.map(Into::into);
        let duration = Timing::default().lease;
        let lease = Lease { uid: "1".into(), version: self.version, holder, duration, transitions: 0 };
        self.past.push(lease.clone());
        self.lease = Some(lease.clone());
        lease
    }

    fn answer(&mut self, step: &Step, identity: &str) -> Answer {
        match step {
            Step::Read | Step::Wait(_) => Answer::Lease(self.lease.clone()),
            Step::Create => match &self.lease {
                Some(lease) => Answer::Lease(Some(lease.clone())),
                None => Answer::Lease(Some(self.write(None))),
            },
            Step::Take { from, .. } if self.lease.as_ref() == Some(from) => Answer::Taken(self.write(Some(identity))),
            Step::Take { .. } => Answer::Conflict,
        }
    }
}

struct Simulation {
    server: Server,
    replicas: Vec<Replica>,
    random: fastrand::Rng,
    now: u64,
    started: u32,
    /// Ticks in which a replica might send.
    led: u64,
}

impl Simulation {
    fn new(seed: u64, timing: Timing, speeds: &[u32]) -> Self {
        let mut simulation = Self {
            server: Server::default(),
            replicas: Vec::new(),
            random: fastrand::Rng::with_seed(seed),
            now: 0,
            started: 0,
            led: 0,
        };
        for speed in speeds {
            let replica = simulation.start(timing, *speed);
            simulation.replicas.push(replica);
        }
        simulation
    }

    fn start(&mut self, timing: Timing, speed: u32) -> Replica {
        self.started += 1;
        let identity = format!("replica-{}", self.started);
        let candidate = Candidate::new(identity.clone(), timing);
        Replica { candidate, identity, speed, paused_until: 0, request: None }
    }

    fn clock(&self, replica: &Replica) -> Duration {
        TICK * u32::try_from(self.now).unwrap() * replica.speed / 100
    }

    fn tick(&mut self, timing: Timing, disturbed: bool) {
        self.now += 1;
        for index in 0..self.replicas.len() {
            if disturbed {
                self.disturb(index, timing);
            }
            self.serve(index);
            if self.replicas[index].paused_until <= self.now {
                self.act(index, disturbed);
            }
        }
    }

    fn disturb(&mut self, index: usize, timing: Timing) {
        match self.random.u32(..2_000) {
            0..4 => self.replicas[index].paused_until = self.now + self.random.u64(..900),
            4 => {
                let speed = self.replicas[index].speed;
                self.replicas[index] = self.start(timing, speed);
            }
            5 => {
                // Releases the Lease and stays a candidate. The request is answered at once.
                let replica = &mut self.replicas[index];
                if replica.candidate.own().is_some() && replica.candidate.own() == self.server.lease.as_ref() {
                    replica.candidate.resign();
                    replica.candidate.doubt();
                    self.server.write(None);
                }
            }
            _ => {}
        }
    }

    /// The API server handles a request even while its sender is paused.
    fn serve(&mut self, index: usize) {
        let replica = &mut self.replicas[index];
        let Some(request) = &mut replica.request else { return };
        if request.arrives_at <= self.now && request.answer.is_none() {
            request.answer = Some(self.server.answer(&request.step, &replica.identity));
        }
    }

    fn act(&mut self, index: usize, disturbed: bool) {
        let clock = self.clock(&self.replicas[index]);
        let replica = &mut self.replicas[index];
        if let Some(request) = &mut replica.request {
            if request.returns_at.is_some_and(|at| at <= self.now)
                && let Some(answer) = request.answer.take()
            {
                match answer {
                    Answer::Lease(lease) => replica.candidate.saw(lease, clock),
                    Answer::Taken(lease) => replica.candidate.took(lease, request.sent),
                    Answer::Conflict => replica.candidate.doubt(),
                }
                replica.request = None;
            } else if request.sent_at + GIVE_UP <= self.now {
                // The request may still arrive: it is served once more below.
                if request.answer.is_none() {
                    let _ = self.server.answer(&request.step, &replica.identity);
                }
                replica.candidate.doubt();
                replica.request = None;
            }
            return;
        }
        let step = replica.candidate.step(clock);
        if matches!(step, Step::Wait(_)) {
            // A watch shows any version, also an old one, at any time.
            let past = &self.server.past;
            if self.random.u32(..4) == 0 && !past.is_empty() {
                let shown = past[past.len() - 1 - self.random.usize(..past.len().min(3))].clone();
                replica.candidate.saw(Some(shown), clock);
            }
            return;
        }
        let (slow, lost) = if disturbed { (30, self.random.u32(..5) == 0) } else { (2, false) };
        let arrives_at = self.now + self.random.u64(..slow);
        let returns_at = (!lost).then(|| arrives_at + self.random.u64(..slow));
        replica.request = Some(Request { step, sent: clock, sent_at: self.now, arrives_at, returns_at, answer: None });
    }

    /// Identities of those that may send now by their own clocks, paused or not.
    fn senders(&self) -> Vec<&str> {
        let may_send = |replica: &&Replica| self.clock(replica) < replica.candidate.until();
        self.replicas.iter().filter(may_send).map(|replica| &*replica.identity).collect()
    }

    /// Runs to the end, or until two may send.
    fn run(&mut self, timing: Timing) -> Result<(), String> {
        for tick in 0..2 * TICKS {
            self.tick(timing, tick < TICKS);
            let senders = self.senders();
            if senders.len() > 1 {
                return Err(format!("{senders:?} after {:?}", TICK * u32::try_from(self.now).unwrap()));
            }
            let leads = !senders.is_empty();
            self.led += u64::from(leads);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn never_may_two_replicas_send(seed: u64, speeds in prop::collection::vec(85_u32..=115, 2..=3)) {
        let timing = Timing::default();
        let mut simulation = Simulation::new(seed, timing, &speeds);
        prop_assert_eq!(simulation.run(timing), Ok(()));
        // Without disturbances a replica leads within a Lease's duration, and goes on.
        prop_assert_eq!(simulation.senders().len(), 1);
        prop_assert!(simulation.led > TICKS / 2, "{} of {}", simulation.led, 2 * TICKS);
    }
}

#[test]
fn the_simulation_finds_a_deadline_that_is_too_late() {
    let late = Timing { renew_deadline: Duration::from_secs(20), ..Timing::default() };
    let found = (0..50).any(|seed| Simulation::new(seed, late, &[100, 100]).run(late).is_err());
    assert!(found, "two replicas may send when the deadline lies beyond the Lease");
}
