//! INWX: the JSON-RPC interface of INWX's `DomRobot`.

use anyhow::Result;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::model::change::TxtBatch;
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::model::zone::{Record, ZoneRef};
use crate::net::http::Repeat;
use crate::provider::bare::rdata;
use crate::provider::base::Base;
use crate::provider::http::Api;
use crate::provider::inwx_client::{
    AUTHORIZATION_ERROR, Client, OBJECT_DOES_NOT_EXIST, OBJECT_EXISTS, code,
};
use crate::provider::labels::full_owner;
use crate::provider::nameservers;
use crate::provider::port::{Answer, DnsProvider, Quirks, TXT_TTL};
use crate::provider::registry::{Context, Field, Spec};
use crate::provider::rrset::{NewTxt, Todo, TxtRecord, settle};

pub(super) const SPEC: Spec = Spec {
    kind: "INWX",
    name: "INWX",
    api: "https://www.inwx.com/en/help/apidoc/f/ch02s15.html",
    fields: &[
        Field {
            key: "username",
            required: true,
            help: "name of the account",
        },
        Field {
            key: "password",
            required: true,
            help: "password of the account",
        },
        Field {
            key: "totp",
            required: false,
            help: "one-time password, where the account has a second factor; good for one run",
        },
        Field {
            key: "totp-key",
            required: false,
            help: "shared secret of the second factor, to make one-time passwords of",
        },
        Field {
            key: "sandbox",
            required: false,
            help: "`1` for the test system",
        },
    ],
    scope: "they should be of a sub-account without a second factor that may change name server records and nothing else",
    rates: &[],
    notes: &[
        "one call for each value: the API has no batches",
        "new sets get a TTL of 300, the smallest that INWX takes",
        "a one-time password is good for one login: with `totp-key`, a second login within half a minute waits for the next",
        "SOA records and `AUTODNSSEC` are not compared",
        "the name servers of a domain that the account may not read as a registrar are taken to be INWX's own, as DNSControl does",
    ],
    connect,
};

/// What DNSControl declares at the apex of a domain that is not registered here.
const NAMESERVERS: [&str; 3] = ["ns.inwx.de", "ns2.inwx.de", "ns3.inwx.eu"];
const SANDBOX_NAMESERVERS: [&str; 2] = ["ns.ote.inwx.de", "ns2.ote.inwx.de"];

/// Smallest TTL that is taken, seconds.
const MINIMUM_TTL: u32 = 300;

#[derive(Debug)]
struct Inwx {
    client: Client,
    is_sandbox: bool,
}

fn connect(entry: &ProviderEntry, context: &Context) -> Result<Box<dyn DnsProvider>> {
    let is_sandbox = entry.field("sandbox") == Some("1");
    let base = Base::Vendor(if is_sandbox {
        "https://api.ote.domrobot.com/jsonrpc/"
    } else {
        "https://api.domrobot.com/jsonrpc/"
    });
    let api = Api::new(&SPEC, entry, context, base)?
        .credential_in_request("username")
        .credential_in_request("password")
        .shows("sandbox");
    Ok(Box::new(Inwx {
        client: Client::new(api, entry)?,
        is_sandbox,
    }))
}

#[derive(Deserialize)]
struct ZoneAnswer {
    #[serde(default)]
    record: Vec<RecordAnswer>,
}

#[derive(Deserialize)]
struct RecordAnswer {
    /// A number, or text.
    id: Value,
    /// Fully qualified, without a final dot.
    name: String,
    #[serde(rename = "type")]
    rtype: String,
    content: String,
    #[serde(alias = "TTL")]
    ttl: u32,
    prio: Option<u32>,
}

#[derive(Deserialize)]
struct DomainAnswer {
    ns: Vec<String>,
}

impl DnsProvider for Inwx {
    fn records<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<Record>> {
        self.client.api.reading(zone, async move {
            let answers = self.list(zone, None).await?;
            answers.iter().map(RecordAnswer::record).collect()
        })
    }

    fn change<'a>(&'a self, zone: ZoneRef<'a>, batch: &'a TxtBatch) -> Answer<'a, ()> {
        self.client.api.changing(zone, async move {
            let list = || self.txt_records(zone);
            let write = async |todo| self.write(zone, &todo).await;
            settle(batch, TXT_TTL.max(MINIMUM_TTL), list, write).await
        })
    }

    fn nameservers<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<DnsName>> {
        self.client.api.reading(zone, async move {
            let parameters = json!({ "domain": zone.name.as_str() });
            let names = match self
                .client
                .call("domain.info", parameters, Repeat::Safe)
                .await
            {
                Ok(DomainAnswer { mut ns }) => {
                    ns.sort();
                    ns
                }
                Err(error)
                    if [AUTHORIZATION_ERROR, OBJECT_DOES_NOT_EXIST].contains(&code(&error)) =>
                {
                    self.own_nameservers()
                }
                Err(error) => return Err(error),
            };
            nameservers::parsed(names)
        })
    }

    fn quirks(&self, _: ZoneRef<'_>) -> Quirks {
        Quirks {
            ignored_types: &["SOA"],
            ..Quirks::default()
        }
    }
}

impl Inwx {
    fn own_nameservers(&self) -> Vec<String> {
        let names = if self.is_sandbox {
            &SANDBOX_NAMESERVERS[..]
        } else {
            &NAMESERVERS[..]
        };
        names.iter().map(ToString::to_string).collect()
    }

    async fn list(&self, zone: ZoneRef<'_>, rtype: Option<&str>) -> Result<Vec<RecordAnswer>> {
        let mut parameters = json!({ "domain": zone.name.as_str() });
        if let (Some(rtype), Some(parameters)) = (rtype, parameters.as_object_mut()) {
            parameters.insert("type".to_owned(), rtype.into());
        }
        let answer = self
            .client
            .call("nameserver.info", parameters, Repeat::Safe)
            .await;
        answer.map(|ZoneAnswer { record }| record)
    }

    async fn txt_records(&self, zone: ZoneRef<'_>) -> Result<Vec<TxtRecord<Value>>> {
        let answers = self.list(zone, Some("TXT")).await?;
        let record = |answer: RecordAnswer| {
            Ok(TxtRecord {
                name: full_owner(&answer.name)?,
                id: answer.id,
                ttl: answer.ttl,
                value: answer.content,
            })
        };
        answers.into_iter().map(record).collect()
    }

    /// Says whether that was all of it.
    async fn write(&self, zone: ZoneRef<'_>, todo: &Todo<Value>) -> Result<bool> {
        for new in &todo.create {
            match self.create(zone, new).await {
                Err(error) if code(&error) == OBJECT_EXISTS => return Ok(false),
                created => created?,
            }
        }
        for id in &todo.delete {
            let parameters = json!({ "id": id });
            let deleted = self
                .client
                .call("nameserver.deleteRecord", parameters, Repeat::Safe);
            match deleted.await {
                Err(error) if code(&error) == OBJECT_DOES_NOT_EXIST => {}
                deleted => deleted.map(|_: Value| ())?,
            }
        }
        Ok(true)
    }

    async fn create(&self, zone: ZoneRef<'_>, new: &NewTxt) -> Result<()> {
        let parameters = json!({
            "domain": zone.name.as_str(),
            // Fully qualified: a short name that holds the zone's is taken for one.
            "name": new.txt.name.as_str(),
            "type": "TXT",
            "content": new.txt.value,
            "ttl": new.ttl,
        });
        let created = self
            .client
            .call("nameserver.createRecord", parameters, Repeat::WhenRefused);
        created.await.map(|_: Value| ())
    }
}

impl RecordAnswer {
    fn record(&self) -> Result<Record> {
        let data = rdata(&self.rtype, self.prio.unwrap_or(0), &self.content);
        let owner = full_owner(&self.name)?;
        Ok(Record::new(owner, &self.rtype, self.ttl, data))
    }
}
