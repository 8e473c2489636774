//! A name server on loopback, and programs that use it as their only one.

use std::fs::{self, Permissions};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::scratch::Scratch;
use crate::tools::installed;

/// The only port that glibc supports.
const PORT: u16 = 53;
/// Length of a message's header.
const HEADER: usize = 12;
/// The type of a question for an IPv4 address.
const A: [u8; 2] = [0, 1];

/// Replaces the machine's resolver for a program alone: the arguments are a directory with its files, and the program
/// with its own arguments.
const ISOLATE: &str = r#"files=$1
shift
for file in hosts nsswitch.conf resolv.conf; do
    mount --bind "$files/$file" "/etc/$file" || exit
done
exec "$@"
"#;

/// The answer to all questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameAnswer {
    /// This address.
    Address(Ipv4Addr),
    /// SERVFAIL: the server cannot resolve the name.
    ServerFailure,
    /// NXDOMAIN: there is no such name.
    NoSuchName,
    /// No answer.
    Silence,
}

/// A name server for one test. Stops when dropped.
#[derive(Debug)]
pub struct NameServer {
    answer: watch::Sender<NameAnswer>,
    questions: Arc<AtomicUsize>,
    files: Scratch,
    _task: JoinSet<()>,
}

impl NameServer {
    /// Listens on port 53 of a loopback address that nothing else uses.
    pub async fn start(answer: NameAnswer) -> Result<Self> {
        let (socket, address) = bind().await.context("port 53 of a loopback address")?;
        let files = Scratch::create("names")?;
        // One attempt of a second: pods wait up to 10 s for each of their search domains.
        let resolver = format!("nameserver {address}\noptions timeout:1 attempts:1\n");
        for (name, content) in [
            ("hosts", "127.0.0.1 localhost\n"),
            ("nsswitch.conf", "hosts: files dns\n"),
            ("resolv.conf", &resolver),
            ("isolate.sh", ISOLATE),
        ] {
            fs::write(files.path().join(name), content)?;
        }
        let answer = watch::Sender::new(answer);
        let questions = Arc::new(AtomicUsize::new(0));
        let mut task = JoinSet::new();
        task.spawn(serve(socket, answer.subscribe(), Arc::clone(&questions)));
        Ok(Self { answer, questions, files, _task: task })
    }

    /// Answers all further questions with this.
    pub fn set(&self, answer: NameAnswer) {
        self.answer.send_replace(answer);
    }

    /// Number of questions so far.
    pub fn questions(&self) -> usize {
        self.questions.load(Ordering::Relaxed)
    }

    /// True if this process may listen on port 53 and give programs a resolver of their own.
    pub fn is_possible() -> bool {
        rustix::process::geteuid().is_root() && installed("unshare").is_some()
    }

    /// Creates a program that runs `program` with this resolver, in its own mount namespace.
    pub fn resolving(&self, program: impl AsRef<Path>) -> Result<PathBuf> {
        let program = fs::canonicalize(program)?;
        let unshare = installed("unshare").context("unshare is not installed")?;
        let (files, wrapper) = (self.files.path(), self.files.path().join("program"));
        let isolated = format!(
            "#!/bin/sh\nexec '{}' --mount --propagation private /bin/sh '{}' '{}' '{}' \"$@\"\n",
            unshare.display(),
            files.join("isolate.sh").display(),
            files.display(),
            program.display(),
        );
        fs::write(&wrapper, isolated)?;
        fs::set_permissions(&wrapper, Permissions::from_mode(0o755))?;
        Ok(wrapper)
    }
}

/// Binds port 53 of the first free address. The addresses depend on the process, so they rarely collide.
async fn bind() -> io::Result<(UdpSocket, Ipv4Addr)> {
    let [.., high, low] = process::id().to_be_bytes();
    let mut taken = None;
    for last in 54..=127 {
        let address = Ipv4Addr::new(127, last, high, low.max(1));
        match UdpSocket::bind(SocketAddr::from((address, PORT))).await {
            Ok(socket) => return Ok((socket, address)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => taken = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(taken.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
}

async fn serve(socket: UdpSocket, answer: watch::Receiver<NameAnswer>, questions: Arc<AtomicUsize>) {
    let mut message = [0; 512];
    while let Ok((length, client)) = socket.recv_from(&mut message).await {
        let Some(question) = question(&message[..length]) else { continue };
        questions.fetch_add(1, Ordering::Relaxed);
        let answer = *answer.borrow();
        if let Some(response) = respond(&message, question, answer) {
            let _ = socket.send_to(&response, client).await;
        }
    }
}

/// The first question of a message: name, type and class.
fn question(message: &[u8]) -> Option<&[u8]> {
    let rest = message.get(HEADER..)?;
    let mut at = 0;
    while let length @ 1.. = *rest.get(at)? {
        at += 1 + usize::from(length);
    }
    rest.get(..at + 5)
}

fn respond(message: &[u8], question: &[u8], answer: NameAnswer) -> Option<Vec<u8>> {
    let address = match answer {
        NameAnswer::Address(address) if question[question.len() - 4..].starts_with(&A) => Some(address),
        _ => None,
    };
    let code = match answer {
        NameAnswer::Address(_) => 0,
        NameAnswer::ServerFailure => 2,
        NameAnswer::NoSuchName => 3,
        NameAnswer::Silence => return None,
    };
    let mut response = message[..2].to_vec();
    // A response to a recursive query, which this server supports, with one question and this number of answers.
    response.extend([0x81, 0x80 | code, 0, 1, 0, u8::from(address.is_some()), 0, 0, 0, 0]);
    response.extend(question);
    if let Some(address) = address {
        // The question's name, type A, class IN, lifetime 0.
        response.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        response.extend(address.octets());
    }
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A query for `ab.c` of this type.
    fn query(kind: u8) -> Vec<u8> {
        let mut query = vec![7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        query.extend(b"\x02ab\x01c\0");
        query.extend([0, kind, 0, 1]);
        query
    }

    #[test]
    fn an_address_answers_a_question_for_ipv4_alone() {
        let (ipv4, ipv6) = (query(1), query(28));
        let address = NameAnswer::Address(Ipv4Addr::new(127, 0, 0, 2));
        let answered = respond(&ipv4, question(&ipv4).unwrap(), address).unwrap();
        assert_eq!(answered[..HEADER], [7, 9, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        assert!(answered.ends_with(&[0, 4, 127, 0, 0, 2]), "{answered:?}");
        let empty = respond(&ipv6, question(&ipv6).unwrap(), address).unwrap();
        assert_eq!(empty[HEADER..], ipv6[HEADER..]);
    }

    #[test]
    fn failures_have_their_codes_and_truncated_queries_no_question() {
        let query = query(1);
        let code = |answer| respond(&query, question(&query).unwrap(), answer).map(|response| response[3] & 0xf);
        assert_eq!(code(NameAnswer::ServerFailure), Some(2));
        assert_eq!(code(NameAnswer::NoSuchName), Some(3));
        assert_eq!(code(NameAnswer::Silence), None);
        for length in 0..query.len() {
            assert_eq!(question(&query[..length]), None, "{length}");
        }
    }
}
