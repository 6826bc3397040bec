//! Signed exchanges with one name server: queries and updates (RFC 2136), with TSIG (RFC 8945).
//!
//! The messages are hickory's; the exchange is ours because hickory's client neither signs plain
//! queries, nor accepts transfers in which only some messages are signed, nor tells a server's
//! BADKEY from BADSIG.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::model::hint::{Hint, with_hint};
use crate::provider::tsig::{Key, Verifier, sign};

/// Longest wait for a connection to one address.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait for one message; DNSControl waits as long.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Wait for a UDP answer before the message is sent again.
const UDP_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a UDP message is sent.
const UDP_ATTEMPTS: u32 = 3;

/// Largest UDP message that no network fragments (DNS flag day 2020).
const UDP_SIZE: usize = 1232;

/// How many questions are on their way at once.
const PIPELINE: usize = 500;

/// Where a server listens and how messages to it are signed.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) address: Address,
    pub(super) key: Option<Key>,
}

impl Server {
    /// The message's id and bytes, and what checks the answers to it.
    pub(super) fn sign(&self, message: Message) -> Result<((u16, Vec<u8>), Verifier<'_>)> {
        let id = message.metadata.id;
        let (bytes, verifier) = sign(message, self.key.as_ref(), self.address.to_string())?;
        Ok(((id, bytes), verifier))
    }
}

/// Host name or address, and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// Reads `HOST`, `HOST:PORT`, `IPV6` or `[IPV6]:PORT`; the default port is 53.
    pub(super) fn parse(text: &str) -> Result<Self> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self {
                host: address.ip().to_string(),
                port: address.port(),
            });
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self {
                host: address.to_string(),
                port: 53,
            });
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, port.parse().ok()),
            None => (text, Some(53)),
        };
        match port {
            Some(port) if !host.is_empty() && port != 0 => Ok(Self {
                host: host.to_owned(),
                port,
            }),
            _ => bail!("`{text}` is no server: want `HOST` or `HOST:PORT`"),
        }
    }

    async fn resolve(&self) -> Result<Vec<SocketAddr>> {
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host((self.host.as_str(), self.port))
            .await
            .with_context(|| format!("cannot find the address of `{}`", self.host))?
            .collect();
        ensure!(!addresses.is_empty(), "`{}` has no address", self.host);
        Ok(addresses)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A TCP connection to a server.
pub(super) struct Connection<'a> {
    pub(super) server: &'a Server,
    pub(super) stream: TcpStream,
}

impl<'a> Connection<'a> {
    /// Connects to the first address that answers.
    pub(super) async fn open(server: &'a Server) -> Result<Self> {
        let mut failure = None;
        for address in server.address.resolve().await? {
            match timeout(CONNECT_TIMEOUT, connect(address)).await {
                Ok(Ok(stream)) => return Ok(Self { server, stream }),
                Ok(Err(error)) => failure = Some(anyhow!(error)),
                Err(_) => {
                    failure = Some(anyhow!("no answer in {} s", CONNECT_TIMEOUT.as_secs()));
                }
            }
        }
        Err(failure.unwrap_or_else(|| anyhow!("no address")))
            .with_context(|| format!("cannot connect to `{}` by TCP", server.address))
            .hint(|| "the server must run and take TCP; check its address in `creds.json`")
    }

    /// Sends messages together and returns their answers in the same order.
    pub(super) async fn ask(&mut self, messages: Vec<Message>) -> Result<Vec<Message>> {
        let mut answers = Vec::with_capacity(messages.len());
        let mut messages = messages.into_iter().peekable();
        while messages.peek().is_some() {
            let group: Vec<Message> = messages.by_ref().take(PIPELINE).collect();
            answers.extend(self.ask_group(group).await?);
        }
        Ok(answers)
    }

    async fn ask_group(&mut self, messages: Vec<Message>) -> Result<Vec<Message>> {
        let mut waiting = HashMap::new();
        let mut ids = Vec::with_capacity(messages.len());
        let mut frames = Vec::new();
        for mut message in messages {
            while waiting.contains_key(&message.metadata.id) {
                message.metadata.id = message.metadata.id.wrapping_add(1);
            }
            let ((id, bytes), verifier) = self.server.sign(message)?;
            frame(&mut frames, &bytes)?;
            ids.push(id);
            waiting.insert(id, verifier);
        }
        let (mut reader, mut writer) = self.stream.split();
        let server = self.server;
        let mut answers = HashMap::new();
        let receiving = async {
            while !waiting.is_empty() {
                let bytes = receive(&mut reader, server).await?;
                let answer = decode(&bytes, server)?;
                let id = answer.metadata.id;
                let mut verifier = waiting
                    .remove(&id)
                    .ok_or_else(|| anyhow!("`{}` answered what was not asked", server.address))?;
                verifier.check(&bytes, &answer)?;
                answers.insert(id, answer);
            }
            Ok(())
        };
        // A server may stop reading until its first answers are taken.
        tokio::try_join!(send(&mut writer, server, &frames), receiving)?;
        Ok(ids.iter().filter_map(|id| answers.remove(id)).collect())
    }
}

async fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // The end of a long message would wait for the acknowledgement of its begin.
    stream.set_nodelay(true)?;
    Ok(stream)
}

pub(super) async fn send(
    stream: &mut (impl AsyncWrite + Unpin),
    server: &Server,
    bytes: &[u8],
) -> Result<()> {
    match timeout(ANSWER_TIMEOUT, stream.write_all(bytes)).await {
        Ok(sent) => sent.with_context(|| format!("cannot send to `{}`", server.address)),
        Err(_) => Err(silent(server)),
    }
}

pub(super) async fn receive(
    stream: &mut (impl AsyncRead + Unpin),
    server: &Server,
) -> Result<Vec<u8>> {
    let message = async {
        let length = stream.read_u16().await?;
        let mut bytes = vec![0; length.into()];
        stream.read_exact(&mut bytes).await?;
        Ok::<_, std::io::Error>(bytes)
    };
    match timeout(ANSWER_TIMEOUT, message).await {
        Ok(bytes) => bytes.with_context(|| format!("`{}` closed the connection", server.address)),
        Err(_) => Err(silent(server)),
    }
}

/// Sends one message by UDP; none where it is too long or the answer was truncated.
pub(super) async fn ask_by_udp(server: &Server, message: Message) -> Result<Option<Message>> {
    let ((id, bytes), mut verifier) = server.sign(message)?;
    let Some(address) = server.address.resolve().await?.into_iter().next() else {
        return Ok(None);
    };
    if bytes.len() > UDP_SIZE {
        return Ok(None);
    }
    let local: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let unreachable = || format!("cannot reach `{}` by UDP", server.address);
    let socket = UdpSocket::bind((local, 0))
        .await
        .with_context(unreachable)?;
    socket.connect(address).await.with_context(unreachable)?;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    for _ in 0..UDP_ATTEMPTS {
        socket.send(&bytes).await.with_context(unreachable)?;
        let Ok(length) = timeout(UDP_TIMEOUT, socket.recv(&mut buffer)).await else {
            continue;
        };
        let received = buffer
            .get(..length.with_context(unreachable)?)
            .unwrap_or_default();
        let answer = decode(received, server)?;
        if answer.metadata.id != id {
            continue;
        }
        verifier.check(received, &answer)?;
        return Ok((!answer.metadata.truncation).then_some(answer));
    }
    Err(silent(server))
}

/// A question for the authoritative server itself.
pub(super) fn question(name: &Name, rtype: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = false;
    message.add_query(Query::query(name.clone(), rtype));
    message
}

/// Checks the response code; `action` completes "refuses to".
pub(super) fn accepted(answer: &Message, server: &Server, action: &str) -> Result<()> {
    let code = answer.metadata.response_code;
    if code == ResponseCode::NoError {
        return Ok(());
    }
    let log = "see the server's log".to_owned();
    let (mnemonic, hint) = match code {
        ResponseCode::Refused => (
            "REFUSED",
            "the server must have the zone, and allow this for the key or address".to_owned(),
        ),
        // PowerDNS says so, and no more, of a key that it does not accept.
        ResponseCode::NotAuth => (
            "NOTAUTH",
            match &server.key {
                None => "the server must be primary for the zone".to_owned(),
                Some(key) => format!(
                    "the server must be primary for the zone and know the TSIG key: check {}",
                    key.origin()
                ),
            },
        ),
        ResponseCode::NotZone => ("NOTZONE", "the name must be in the zone".to_owned()),
        ResponseCode::NXDomain => ("NXDOMAIN", "the server must have the zone".to_owned()),
        ResponseCode::NotImp => ("NOTIMP", "turn dynamic updates on".to_owned()),
        ResponseCode::ServFail => ("SERVFAIL", log),
        ResponseCode::FormErr => ("FORMERR", log),
        _ => (code.to_str(), log),
    };
    Err(with_hint(
        anyhow!("`{}` refuses to {action} ({mnemonic})", server.address),
        hint,
    ))
}

fn silent(server: &Server) -> anyhow::Error {
    anyhow!(
        "no answer from `{}` in {} s",
        server.address,
        ANSWER_TIMEOUT.as_secs()
    )
}

pub(super) fn frame(frames: &mut Vec<u8>, bytes: &[u8]) -> Result<()> {
    let length = u16::try_from(bytes.len()).context("a DNS message is too long")?;
    frames.extend(length.to_be_bytes());
    frames.extend(bytes);
    Ok(())
}

pub(super) fn decode(bytes: &[u8], server: &Server) -> Result<Message> {
    let answer = Message::from_vec(bytes)
        .with_context(|| format!("cannot read the answer of `{}`", server.address))?;
    ensure!(
        answer.metadata.message_type == MessageType::Response,
        "`{}` answered with a question",
        server.address
    );
    Ok(answer)
}

/// An empty update of a zone (RFC 2136 section 2).
pub(super) fn update(zone: &Name) -> Message {
    let mut message = question(zone, RecordType::SOA);
    message.metadata.op_code = OpCode::Update;
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, expected) in [
            ("127.0.0.1", "127.0.0.1:53"),
            ("127.0.0.1:5353", "127.0.0.1:5353"),
            ("::1", "[::1]:53"),
            ("[::1]:5353", "[::1]:5353"),
            ("ns1.example.com", "ns1.example.com:53"),
            ("ns1.example.com:54", "ns1.example.com:54"),
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), expected);
        }
        for text in ["", ":53", "ns1:", "ns1:0", "ns1:dns", "a:1:2"] {
            assert_eq!(
                Address::parse(text).unwrap_err().to_string(),
                format!("`{text}` is no server: want `HOST` or `HOST:PORT`")
            );
        }
    }
}
