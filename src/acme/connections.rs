//! The CAs of a run: each has one client, whoever asks it for what.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::acme::client::Client;
use crate::acme::presets::Directory;
use crate::net::http::Http;

/// Connections to CAs, by their directories. Cloning shares them.
///
/// With one client a CA the directory is fetched once a run, nonces are used by whoever comes next,
/// and every request counts for the CA's rates and in the report.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    http: Http,
    clients: Arc<Mutex<BTreeMap<String, Client>>>,
}

impl Connections {
    /// None yet: they are made when somebody asks.
    pub(crate) fn new(http: Http) -> Self {
        Self {
            http,
            clients: Arc::default(),
        }
    }

    /// The client of a CA.
    pub(super) fn to(&self, directory: &Directory) -> Client {
        let mut clients = self.clients();
        let client = clients.entry(directory.url().to_owned());
        client
            .or_insert_with(|| Client::new(self.http.clone()))
            .clone()
    }

    /// How many requests the CAs got so far, by the name of the resource.
    pub(crate) fn requests(&self) -> BTreeMap<String, u32> {
        let mut names = BTreeMap::new();
        for client in self.clients().values() {
            for (endpoint, count) in client.requests().by_endpoint {
                *names.entry(endpoint.to_string()).or_default() += count;
            }
        }
        names
    }

    fn clients(&self) -> MutexGuard<'_, BTreeMap<String, Client>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
