//! A stateful HTTP server that stands in for vendors whose real one cannot run here.
//!
//! Each vendor's file says what its API does with a request, as strictly as its documentation, and
//! ends with the conformance test of the provider. What they share is here: HTTP/1.1, a store of
//! zones, and faults on demand.

mod aws;
mod azure_dns;
mod bunny_dns;
mod cloudflare;
mod cloudns;
mod desec;
mod digitalocean;
mod dnsimple;
mod gandi_v5;
mod gcloud;
mod hetzner;
mod hetzner_v2;
mod inwx;
mod linode;
mod moto;
mod namecheap;
mod namedotcom;
mod netcup;
mod ns1;
mod ovh;
mod porkbun;
mod route53;
mod tokens;
mod transip;
mod vultr;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use crate::model::name::DnsName;
use crate::model::zone::Record;
use crate::provider::servers::{BIG, ZONE};
use crate::provider::zonefile;

/// What a client asks.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    /// Path and query, as sent.
    pub(super) target: String,
    /// Segments of the path, decoded.
    pub(super) path: Vec<String>,
    /// Parameters of the query, decoded.
    pub(super) query: Vec<(String, String)>,
    /// By lower-case name.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters(name).first().copied()
    }

    /// The values of a parameter that can be given several times.
    pub(super) fn parameters(&self, name: &str) -> Vec<&str> {
        let named = self.query.iter().filter(|(key, _)| key == name);
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// A parameter that is a number; 0 where it is none.
    pub(super) fn number(&self, name: &str, default: usize) -> usize {
        let given = self.parameter(name);
        given.map_or(default, |text| text.parse().unwrap_or(0))
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// Method and path segments, for `match`.
    pub(super) fn route(&self) -> (&str, Vec<&str>) {
        let path = self.path.iter().map(String::as_str).collect();
        (&self.method, path)
    }
}

/// What the server says.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            headers: vec![("content-type", "application/json".to_owned())],
            body: body.to_string(),
        }
    }

    pub(super) fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: String::new(),
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// A record as the fake keeps it: TXT without quotes, other types as [`Record`] has them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) id: u64,
    pub(super) record: Record,
}

/// The zones of an account.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) zones: BTreeMap<String, Vec<Row>>,
    last_id: u64,
}

impl Store {
    /// What the real servers of the other tests have in `example.test` and `big.test`, without
    /// SOA records. No TTL is below `minimum_ttl`.
    pub(super) fn seeded(minimum_ttl: u32) -> Self {
        let mut store = Self::default();
        let text = |zone: &str, text: &str| {
            zonefile::records(text, &zone.parse::<DnsName>().unwrap()).unwrap()
        };
        let mut big = "$TTL 300\n@ NS ns1.example.test.\n".to_owned();
        for host in 0..BIG {
            big.push_str(&format!("host-number-{host} TXT \"{}\"\n", "x".repeat(100)));
        }
        for (zone, records) in [
            ("example.test", text("example.test", ZONE)),
            ("big.test", text("big.test", &big)),
        ] {
            store.zones.insert(zone.to_owned(), Vec::new());
            for mut record in records.into_iter().filter(|record| record.rtype != "SOA") {
                record.ttl = record.ttl.max(minimum_ttl);
                store.add(zone, record);
            }
        }
        store
    }

    pub(super) fn add(&mut self, zone: &str, record: Record) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        self.zones.get_mut(zone).unwrap().push(Row { id, record });
        id
    }

    /// Whether it was there.
    pub(super) fn delete(&mut self, zone: &str, id: u64) -> bool {
        let rows = self.zones.get_mut(zone).unwrap();
        let before = rows.len();
        rows.retain(|row| row.id != id);
        rows.len() < before
    }
}

/// One page of a list, by a page number from 1; and how many pages there are.
pub(super) fn page_of<T: Clone>(all: &[T], page: usize, per_page: usize) -> (Vec<T>, usize) {
    let chunk = all.chunks(per_page).nth(page - 1).unwrap_or_default();
    (chunk.to_vec(), all.len().div_ceil(per_page))
}

/// How a vendor's server behaves.
pub(super) struct Vendor {
    /// Answers a request and does what it asks for.
    pub(super) answer: Box<dyn FnMut(&Request) -> Reply + Send>,
    /// Whether a request changes something.
    pub(super) is_write: fn(&Request) -> bool,
    /// The answer to a request over the limit.
    pub(super) too_many: Reply,
}

/// Faults to come.
#[derive(Debug, Default)]
struct Faults {
    /// Requests to be answered before the ones to be refused.
    good: usize,
    refused: usize,
    /// What to refuse with, where it is another thing each time.
    refusal: Option<fn() -> Reply>,
    /// The next write is carried out, and its answer is lost.
    loses_answer: bool,
}

struct State {
    vendor: Vendor,
    faults: Faults,
    log: Vec<String>,
}

/// A running server; it stops answering when it is dropped.
pub(super) struct Fake {
    pub(super) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Fake {
    pub(super) fn start(vendor: Vendor) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            vendor,
            faults: Faults::default(),
            log: Vec::new(),
        }));
        let shared = Arc::downgrade(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), Some(state)) = (stream, shared.upgrade()) else {
                    return;
                };
                thread::spawn(move || serve(stream, &state));
            }
        });
        Self { address, state }
    }

    /// Refuses requests over the limit with what the function says at the time.
    pub(super) fn refusing_with(self, refusal: fn() -> Reply) -> Self {
        self.state.lock().unwrap().faults.refusal = Some(refusal);
        self
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// After `good` more requests, the following `refused` ones are over the limit.
    pub(super) fn refuse_after(&self, good: usize, refused: usize) {
        let mut state = self.state.lock().unwrap();
        (state.faults.good, state.faults.refused) = (good, refused);
    }

    /// The next write is carried out, but its answer never arrives.
    pub(super) fn lose_answer(&self) {
        self.state.lock().unwrap().faults.loses_answer = true;
    }

    /// Whether all faults have happened.
    pub(super) fn is_through(&self) -> bool {
        let faults = &self.state.lock().unwrap().faults;
        faults.refused == 0 && !faults.loses_answer
    }

    /// Whether it says with Retry-After how long a request over the limit has to wait.
    pub(super) fn says_when(&self) -> bool {
        let headers = &self.state.lock().unwrap().vendor.too_many.headers;
        headers.iter().any(|(name, _)| *name == "retry-after")
    }

    /// Requests since the last call, such as `GET /zones`.
    pub(super) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().log)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        // Wakes the listener, which finds its state gone.
        self.state = Arc::new(Mutex::new(State {
            vendor: Vendor {
                answer: Box::new(|_| Reply::empty(500)),
                is_write: |_| false,
                too_many: Reply::empty(429),
            },
            faults: Faults::default(),
            log: Vec::new(),
        }));
        let _ = TcpStream::connect(self.address);
    }
}

/// One request a connection.
fn serve(mut stream: TcpStream, state: &Mutex<State>) {
    let Some(request) = read(&stream) else {
        return;
    };
    let reply = {
        let mut state = state.lock().unwrap();
        let line = format!("{} /{}", request.method, request.path.join("/"));
        state.log.push(line);
        answer(&mut state, &request)
    };
    let Some(Reply {
        status,
        headers,
        body,
    }) = reply
    else {
        return;
    };
    let mut text = format!("HTTP/1.1 {status} \r\nconnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    let _ = stream.write_all(text.as_bytes());
}

fn answer(state: &mut State, request: &Request) -> Option<Reply> {
    let faults = &mut state.faults;
    if faults.refused > 0 {
        if faults.good == 0 {
            faults.refused -= 1;
            let refusal = faults.refusal.map(|refusal| refusal());
            return refusal.or_else(|| Some(state.vendor.too_many.clone()));
        }
        faults.good -= 1;
    }
    let reply = (state.vendor.answer)(request);
    let is_lost = state.faults.loses_answer && (state.vendor.is_write)(request);
    state.faults.loses_answer &= !is_lost;
    (!is_lost).then_some(reply)
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let method = words.next()?.to_owned();
    let target = words.next()?.to_owned();
    let url = url::Url::parse(&format!("http://fake{target}")).ok()?;
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |text| text.parse().unwrap_or(0));
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let decoded = |segment: &str| {
        let pair = format!("x={}", segment.replace('+', "%2B"));
        let (_, value) = url::form_urlencoded::parse(pair.as_bytes()).next()?;
        Some(value.into_owned())
    };
    Some(Request {
        method,
        target,
        path: url.path_segments()?.filter_map(decoded).collect(),
        query: url.query_pairs().into_owned().collect(),
        headers,
        body: String::from_utf8(body).ok()?,
    })
}
