//! Questions put straight to one server: over UDP, and over TCP where UDP does not do.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use rustix::io::Errno;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout, timeout_at};

use crate::model::name::DnsName;

/// Questions that one server has to answer at the same time.
///
/// Few enough for the receive buffer of a small server, enough to hide the round trip.
const IN_FLIGHT: usize = 64;

/// Longest silence over UDP. A lost packet costs this much before TCP is tried.
const UDP_PATIENCE: Duration = Duration::from_secs(1);

/// Longest wait for a TCP connection, and longest silence on it.
const TCP_PATIENCE: Duration = Duration::from_secs(2);

/// Largest answer asked for over UDP, so that it is not fragmented (RFC 9715 section 3.2).
const UDP_PAYLOAD: u16 = 1232;

/// Why there is no answer to a question.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub(crate) enum Unanswered {
    #[error("does not answer")]
    Silent,
    #[error("refuses connections")]
    Refused,
    /// An IPv6 address on a machine that has no way to send to it.
    #[error("cannot be reached: this machine has no IPv6 route to it")]
    NoRoute,
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    #[error("answers with something that is no DNS message")]
    Garbled,
    #[error("cuts its answer short over UDP and does not answer over TCP")]
    Truncated,
    /// Of a resolver over HTTPS.
    #[error("answers with HTTP status {0}")]
    Status(u16),
}

impl Unanswered {
    /// What the operating system says about `server`.
    fn from_io(server: SocketAddr, error: &io::Error) -> Self {
        let no_route = [Errno::NETUNREACH, Errno::ADDRNOTAVAIL, Errno::AFNOSUPPORT];
        match Errno::from_io_error(error) {
            Some(errno) if server.is_ipv6() && no_route.contains(&errno) => Self::NoRoute,
            Some(Errno::CONNREFUSED) => Self::Refused,
            _ => Self::Unreachable(error.to_string()),
        }
    }
}

/// A name as hickory wants it, fully qualified.
#[expect(
    clippy::expect_used,
    reason = "a `DnsName` keeps the limits of RFC 1035 section 2.3.4"
)]
pub(super) fn wire_name(name: &DnsName) -> Name {
    let labels = name.as_str().split('.').filter(|label| !label.is_empty());
    Name::from_labels(labels.map(str::as_bytes)).expect("name within the limits")
}

/// Asks `server` for records of type `kind` at each of `names`, without recursion.
///
/// One result a name, in their order. All questions share a UDP socket; what is truncated or lost
/// there is asked again over one TCP connection. Takes about three seconds at a silent server.
pub(super) async fn ask(
    server: SocketAddr,
    kind: RecordType,
    names: &[Name],
) -> Vec<Result<Message, Unanswered>> {
    ask_as(server, kind, names, false).await
}

/// The same, with the signatures of a zone that is signed (RFC 4035 section 3.2.1).
pub(super) async fn ask_with_signatures(
    server: SocketAddr,
    kind: RecordType,
    names: &[Name],
) -> Vec<Result<Message, Unanswered>> {
    ask_as(server, kind, names, true).await
}

async fn ask_as(
    server: SocketAddr,
    kind: RecordType,
    names: &[Name],
    signatures: bool,
) -> Vec<Result<Message, Unanswered>> {
    let mut round = Round {
        server,
        kind,
        signatures,
        questions: names
            .iter()
            .map(|name| (name, Err(Unanswered::Silent)))
            .collect(),
    };
    round.over_udp().await;
    round.over_tcp().await;
    round.questions.into_iter().map(|(_, said)| said).collect()
}

/// Questions to one server with what is known of their answers.
struct Round<'a> {
    server: SocketAddr,
    kind: RecordType,
    /// Whether signatures are wanted too.
    signatures: bool,
    questions: Vec<(&'a Name, Result<Message, Unanswered>)>,
}

impl Round<'_> {
    async fn over_udp(&mut self) {
        let open = self.indices(Result::is_err);
        self.udp_socket(&open, true).await;
        // A server from before EDNS (RFC 6891 section 7).
        let plain = self.indices(|said| {
            said.as_ref().is_ok_and(|message| {
                let code = message.metadata.response_code;
                matches!(code, ResponseCode::FormErr | ResponseCode::NotImp)
            })
        });
        if !plain.is_empty() {
            self.udp_socket(&plain, false).await;
        }
    }

    async fn udp_socket(&mut self, open: &[usize], edns: bool) {
        let asked = match connect_udp(self.server).await {
            Ok(socket) => self.exchange(Transport::Udp(socket), open, edns).await,
            Err(error) => Err(error),
        };
        if let Err(error) = asked {
            self.fail(&Unanswered::from_io(self.server, &error));
        }
    }

    /// Asks what is still open, with a new connection for as long as a server that closes after
    /// some answers gets further. What was found over UDP stays where TCP brings nothing.
    async fn over_tcp(&mut self) {
        let mut open = self.indices(|said| !matches!(said, Ok(_) | Err(Unanswered::NoRoute)));
        while !open.is_empty() {
            let connected = timeout(TCP_PATIENCE, connect_tcp(self.server)).await;
            let failed = match connected {
                Ok(Ok(stream)) => {
                    let edns = self.signatures;
                    self.exchange(Transport::Tcp(stream), &open, edns).await
                }
                Ok(Err(error)) => Err(error),
                Err(elapsed) => Err(elapsed.into()),
            };
            if let Err(error) = failed {
                tracing::debug!(server = %self.server, %error, "no answer over TCP");
            }
            let left = self.indices(Result::is_err);
            if left.len() == open.len() {
                return;
            }
            open = left;
        }
    }

    /// Sends the questions, a window at a time, and takes answers until all are in or the server
    /// falls silent.
    async fn exchange(
        &mut self,
        mut transport: Transport,
        open: &[usize],
        edns: bool,
    ) -> io::Result<()> {
        let mut to_send = open.iter().copied();
        let mut waiting = HashMap::with_capacity(IN_FLIGHT);
        let mut packet = Vec::with_capacity(usize::from(UDP_PAYLOAD));
        let mut patience = Instant::now() + transport.patience();
        loop {
            while waiting.len() < IN_FLIGHT {
                let Some(index) = to_send.next() else { break };
                let Some((name, _)) = self.questions.get(index) else {
                    break;
                };
                let edns = edns.then(|| options(self.signatures));
                let (id, bytes) = question(name, self.kind, edns, &waiting)?;
                waiting.insert(id, index);
                transport.send(&bytes).await?;
            }
            if waiting.is_empty() {
                return Ok(());
            }
            match timeout_at(patience, transport.receive(&mut packet)).await {
                Ok(received) => received?,
                Err(_) => return Ok(()),
            }
            if self.take(&packet, &mut waiting) {
                patience = Instant::now() + transport.patience();
            }
        }
    }

    /// Puts an answer to its question. False for what answers none of `waiting`.
    fn take(&mut self, packet: &[u8], waiting: &mut HashMap<u16, usize>) -> bool {
        let Some(id) = packet.first_chunk().copied().map(u16::from_be_bytes) else {
            return false;
        };
        let Some((name, said)) = waiting
            .get(&id)
            .and_then(|index| self.questions.get_mut(*index))
        else {
            return false;
        };
        *said = match Message::from_vec(packet) {
            Ok(message) if !answers(&message, name, self.kind) => return false,
            Ok(message) if message.metadata.truncation => Err(Unanswered::Truncated),
            Ok(message) => Ok(message),
            Err(_) => Err(Unanswered::Garbled),
        };
        waiting.remove(&id);
        true
    }

    fn indices(&self, wanted: impl Fn(&Result<Message, Unanswered>) -> bool) -> Vec<usize> {
        let said = self.questions.iter().enumerate();
        said.filter(|(_, (_, said))| wanted(said))
            .map(|(index, _)| index)
            .collect()
    }

    fn fail(&mut self, why: &Unanswered) {
        for (_, said) in &mut self.questions {
            if matches!(said, Err(Unanswered::Silent)) {
                *said = Err(why.clone());
            }
        }
    }
}

fn options(signatures: bool) -> Edns {
    let mut options = Edns::new();
    options.set_max_payload(UDP_PAYLOAD);
    options.set_dnssec_ok(signatures);
    options
}

/// An id that is not in use, and the question under it.
fn question(
    name: &Name,
    kind: RecordType,
    edns: Option<Edns>,
    waiting: &HashMap<u16, usize>,
) -> io::Result<(u16, Vec<u8>)> {
    let mut message = Message::query();
    while waiting.contains_key(&message.metadata.id) {
        message = Message::query();
    }
    message.metadata.recursion_desired = false;
    message.add_query(Query::query(name.clone(), kind));
    if let Some(edns) = edns {
        message.set_edns(edns);
    }
    let bytes = message.to_vec().map_err(io::Error::other)?;
    Ok((message.metadata.id, bytes))
}

/// Whether `message` answers this question. Servers leave the question out of some refusals.
pub(super) fn answers(message: &Message, name: &Name, kind: RecordType) -> bool {
    message.metadata.message_type == MessageType::Response
        && match message.queries.first() {
            Some(query) => query.name == *name && query.query_type == kind,
            None => message.metadata.response_code != ResponseCode::NoError,
        }
}

enum Transport {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Transport {
    fn patience(&self) -> Duration {
        match self {
            Self::Udp(_) => UDP_PATIENCE,
            Self::Tcp(_) => TCP_PATIENCE,
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.send(bytes).await.map(|_| ()),
            Self::Tcp(stream) => {
                let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
                let framed = [&length.to_be_bytes(), bytes].concat();
                match timeout(TCP_PATIENCE, stream.write_all(&framed)).await {
                    Ok(written) => written,
                    Err(elapsed) => Err(elapsed.into()),
                }
            }
        }
    }

    /// Replaces `packet` by the next message. A receive that is given up on loses its place in a
    /// TCP stream.
    async fn receive(&mut self, packet: &mut Vec<u8>) -> io::Result<()> {
        packet.clear();
        match self {
            Self::Udp(socket) => socket.recv_buf(packet).await.map(|_| ()),
            Self::Tcp(stream) => {
                let length = stream.read_u16().await?;
                packet.resize(usize::from(length), 0);
                stream.read_exact(packet).await.map(|_| ())
            }
        }
    }
}

/// A socket that takes packets from `server` only, and hears of ports that nobody listens on.
async fn connect_udp(server: SocketAddr) -> io::Result<UdpSocket> {
    let local: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((local, 0)).await?;
    socket.connect(server).await?;
    Ok(socket)
}

async fn connect_tcp(server: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ipv6_can_be_without_a_route() {
        let v4 = "192.0.2.1:53".parse().unwrap();
        let v6 = "[2001:db8::1]:53".parse().unwrap();
        for errno in [Errno::NETUNREACH, Errno::ADDRNOTAVAIL, Errno::AFNOSUPPORT] {
            let error = io::Error::from(errno);
            assert_eq!(Unanswered::from_io(v6, &error), Unanswered::NoRoute);
            assert_eq!(
                Unanswered::from_io(v4, &error),
                Unanswered::Unreachable(error.to_string())
            );
        }
        let refused = io::Error::from(Errno::CONNREFUSED);
        assert_eq!(Unanswered::from_io(v6, &refused), Unanswered::Refused);
    }

    #[test]
    fn questions_ask_for_no_recursion() {
        let name = Name::from_ascii("x.test.").unwrap();
        let read = |edns| {
            let (id, bytes) = question(&name, RecordType::TXT, edns, &HashMap::new()).unwrap();
            let message = Message::from_vec(&bytes).unwrap();
            assert_eq!(message.metadata.id, id);
            assert!(!message.metadata.recursion_desired);
            message.edns.map(|options| options.max_payload())
        };
        assert_eq!(read(Some(options(false))), Some(UDP_PAYLOAD));
        assert_eq!(read(None), None);
    }

    /// No server that is packaged today is without EDNS; this one follows RFC 6891 section 7.
    #[tokio::test]
    async fn a_server_without_edns_is_asked_without() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let server = socket.local_addr().unwrap();
        let old_server = async {
            let mut packet = [0; 512];
            loop {
                let (length, from) = socket.recv_from(&mut packet).await.unwrap();
                let mut message = Message::from_vec(&packet[..length]).unwrap();
                message.metadata.message_type = MessageType::Response;
                if message.edns.take().is_some() {
                    message.metadata.response_code = ResponseCode::FormErr;
                    message.queries.clear();
                }
                socket
                    .send_to(&message.to_vec().unwrap(), from)
                    .await
                    .unwrap();
            }
        };
        let names = [Name::from_ascii("x.test.").unwrap()];
        let answers = tokio::select! {
            answers = ask(server, RecordType::TXT, &names) => answers,
            () = old_server => unreachable!(),
        };
        let code = answers[0].as_ref().unwrap().metadata.response_code;
        assert_eq!(code, ResponseCode::NoError);
    }

    #[test]
    fn names_keep_their_labels() {
        let wire = |text: &str| wire_name(&text.parse().unwrap());
        assert!(wire(".").is_root());
        assert_eq!(wire("0/25.2.0.192.in-addr.arpa").num_labels(), 6);
        assert_eq!(
            wire("_acme-challenge.x.test").to_ascii(),
            "_acme-challenge.x.test."
        );
    }
}
