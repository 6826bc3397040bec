//! Whether port 53 is open: whether anybody answers who is asked directly.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::pending;
use futures_util::stream::FuturesUnordered;
use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RecordType};
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep_until};

use crate::dns::exchange::{Unanswered, ask};
use crate::dns::lookup::DNS_PORT;

/// After this long without an answer the root servers are asked too.
const HEAD_START: Duration = Duration::from_secs(1);

/// Before this port 53 does not count as blocked: a question over UDP and again over TCP takes
/// three seconds in vain.
const PATIENCE: Duration = Duration::from_secs(4);

/// Addresses of a, f and k.root-servers.net (<https://www.iana.org/domains/root/servers>): three
/// operators, for machines with one protocol or the other.
const ROOTS: [IpAddr; 6] = [
    IpAddr::V4(Ipv4Addr::new(198, 41, 0, 4)),
    IpAddr::V4(Ipv4Addr::new(192, 5, 5, 241)),
    IpAddr::V4(Ipv4Addr::new(193, 0, 14, 129)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0x503, 0xba3e, 0, 0, 0, 2, 0x30)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0x500, 0x2f, 0, 0, 0, 0, 0xf)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0x7fd, 0, 0, 0, 0, 0, 1)),
];

/// Whether a name server of a zone or of its parents has answered.
#[derive(Debug, Default)]
pub(super) struct Heard(AtomicBool);

impl Heard {
    pub(super) fn note(&self, answer: &Result<Message, Unanswered>) {
        if is_from_name_server(answer) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    fn anybody(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Firewalls that do not drop questions may hand them to a resolver of their own: its answers offer
/// recursion and have no authority.
fn is_from_name_server(answer: &Result<Message, Unanswered>) -> bool {
    answer.as_ref().is_ok_and(|message| {
        message.metadata.authoritative || !message.metadata.recursion_available
    })
}

/// Finds out whether port 53 is blocked. The root servers are asked once a run, and only if need be.
#[derive(Debug)]
pub(super) struct Port53 {
    roots: Vec<SocketAddr>,
    roots_answer: OnceCell<bool>,
}

impl Port53 {
    pub(super) fn new() -> Self {
        Self::with_roots(ROOTS.map(|root| SocketAddr::new(root, DNS_PORT)).to_vec())
    }

    pub(super) fn with_roots(roots: Vec<SocketAddr>) -> Self {
        Self {
            roots,
            roots_answer: OnceCell::new(),
        }
    }

    /// Ends, after some seconds, if neither a server of the zone nor a root server is heard; goes on
    /// for ever otherwise.
    pub(super) async fn silence(&self, heard: &Heard) {
        let started = Instant::now();
        sleep_until(started + HEAD_START).await;
        if self.is_blocked(heard).await {
            sleep_until(started + PATIENCE).await;
            if !heard.anybody() {
                return;
            }
        }
        pending::<()>().await;
    }

    /// Whether neither a server of the zone nor a root server is heard.
    pub(super) async fn is_blocked(&self, heard: &Heard) -> bool {
        !heard.anybody() && !*self.roots_answer.get_or_init(|| self.ask_roots()).await
    }

    async fn ask_roots(&self) -> bool {
        let question = [Name::root()];
        let mut answers: FuturesUnordered<_> = self
            .roots
            .iter()
            .map(|&root| ask(root, RecordType::SOA, &question))
            .collect();
        while let Some(answers) = answers.next().await {
            if answers.iter().any(is_from_name_server) {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::MessageType;

    use crate::dns::testing::Lab;

    use super::*;

    #[test]
    fn an_answer_from_between_does_not_count() {
        let heard = |authoritative, recursion_available| {
            let mut message = Message::query();
            message.metadata.message_type = MessageType::Response;
            message.metadata.authoritative = authoritative;
            message.metadata.recursion_available = recursion_available;
            let heard = Heard::default();
            heard.note(&Ok(message));
            heard.anybody()
        };
        assert!(heard(true, false) && heard(true, true) && heard(false, false));
        assert!(!heard(false, true));
        let silent = Heard::default();
        silent.note(&Err(Unanswered::Silent));
        assert!(!silent.anybody());
    }

    #[tokio::test]
    async fn one_root_server_is_enough() {
        let mut lab = Lab::new();
        let root = lab.knot("127.0.0.9", &[(".", "@ NS a.root.")]).await;
        let nobody = lab.address("127.0.0.66");
        let open = Port53::with_roots(vec![nobody, root]);
        assert!(!open.is_blocked(&Heard::default()).await);
        let blocked = Port53::with_roots(vec![nobody]);
        assert!(blocked.is_blocked(&Heard::default()).await);
        let started = Instant::now();
        blocked.silence(&Heard::default()).await;
        assert!(started.elapsed() >= PATIENCE);
    }
}
