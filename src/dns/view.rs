//! How a zone is seen from this machine: by its name servers, or over HTTPS where port 53 is blocked.

use std::num::NonZeroU32;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use futures_util::future::join_all;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, RecordType};

use crate::dns::doh::Resolver;
use crate::dns::exchange::{Unanswered, wire_name};
use crate::dns::lookup::{Found, Lookup, NameServer};
use crate::dns::not_seen::Problem;
use crate::dns::port53::{Heard, Port53};
use crate::dns::reach;
use crate::dns::rules::{Rules, ZoneRules};
use crate::model::hint::Hint;
use crate::model::name::DnsName;
use crate::model::zone::ZoneRef;

/// Resolvers over HTTPS that have to agree. One alone may answer from a cache of its own making, or
/// see another Internet.
pub(super) const OPERATORS: usize = 2;

/// Shortest and longest time that resolvers are left alone if the user says nothing.
const SETTLE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_mins(2));

/// Who is asked for the challenges of a zone, and how.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// Name servers that are asked directly.
    pub(crate) servers: Vec<NameServer>,
    /// Recursive resolvers that are asked over HTTPS, where port 53 is blocked; otherwise none.
    pub(crate) resolvers: Vec<Resolver>,
    /// How long the resolvers are left alone after the values were written.
    pub(crate) settle: Duration,
    /// Instead of the deadline of the run.
    pub(crate) deadline: Option<Duration>,
    /// How often in a row an address has to show a value.
    pub(crate) confirmations: NonZeroU32,
    /// What the user should know.
    pub(crate) warnings: Vec<String>,
}

impl View {
    /// Who is asked: `ns1.example.com (192.0.2.1, 2001:db8::1), dns.google (over HTTPS)`.
    pub(crate) fn who(&self) -> String {
        let servers = self.servers.iter().map(|server| {
            let addresses: Vec<_> = server
                .addresses
                .iter()
                .map(|address| address.ip().to_string())
                .collect();
            format!("{} ({})", server.name, addresses.join(", "))
        });
        let resolvers = self.resolvers.iter();
        let resolvers = resolvers.map(|resolver| format!("{} (over HTTPS)", resolver.host()));
        servers.chain(resolvers).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
impl View {
    /// These servers, asked once each.
    pub(super) fn of(servers: &[NameServer]) -> Self {
        let found = Found {
            servers: servers.to_vec(),
            warnings: Vec::new(),
        };
        direct_view(found, &ZoneRules::default(), NonZeroU32::MIN)
    }
}

/// Finds out how zones are seen.
pub(crate) struct Lookout<'a> {
    lookup: Lookup,
    rules: &'a Rules,
    port53: Port53,
}

impl<'a> Lookout<'a> {
    pub(crate) fn new(lookup: Lookup, rules: &'a Rules) -> Self {
        Self {
            lookup,
            rules,
            port53: Port53::new(),
        }
    }

    /// Finds the name servers of a zone and looks whether each of them serves it.
    ///
    /// Where after some seconds no name server of the zone, none of its parents and no root server
    /// has answered, resolvers over HTTPS take their place, if at least two know the zone. No
    /// challenge name is asked for.
    pub(crate) async fn view(&self, zone: ZoneRef<'_>) -> Result<View> {
        let (rules, confirmations) = self.rules.of(zone);
        let heard = Heard::default();
        let mut direct = pin!(self.name_servers(zone, &rules, &heard));
        let failed = tokio::select! {
            found = &mut direct => match found {
                Ok(found) => return Ok(direct_view(found, &rules, confirmations)),
                Err(error) => Some(error),
            },
            () = self.port53.silence(&heard) => None,
        };
        let failed = match failed {
            Some(error) if !self.port53.is_blocked(&heard).await => return Err(error),
            failed => failed,
        };
        let why = match self.over_https(zone, &rules, confirmations).await {
            Ok(view) => return Ok(view),
            Err(why) => why,
        };
        // Nobody may have answered in time only.
        let found = match failed {
            Some(error) => Err(error),
            None => direct.await,
        };
        found
            .map(|found| direct_view(found, &rules, confirmations))
            .hint(|| format!("name servers cannot be asked on port 53 here, and {why:#}"))
    }

    /// What finds name servers.
    pub(crate) fn lookup(&self) -> &Lookup {
        &self.lookup
    }

    /// The name servers of a zone, whether they serve it or not.
    pub(crate) async fn servers(&self, zone: ZoneRef<'_>) -> Result<Vec<NameServer>> {
        let (rules, _) = self.rules.of(zone);
        let heard = Heard::default();
        let found = self.lookup.name_servers(zone.name, &rules, &heard).await?;
        Ok(found.servers)
    }

    /// The name servers of a zone, all of which serve it.
    async fn name_servers(
        &self,
        zone: ZoneRef<'_>,
        rules: &ZoneRules,
        heard: &Heard,
    ) -> Result<Found> {
        let found = self.lookup.name_servers(zone.name, rules, heard).await?;
        reach::every_server(zone, &found.servers, heard).await?;
        Ok(found)
    }

    /// Which resolvers over HTTPS know the zone. Servers that the user adds are still asked
    /// directly: they may stand on this side of the firewall.
    async fn over_https(
        &self,
        zone: ZoneRef<'_>,
        rules: &ZoneRules,
        confirmations: NonZeroU32,
    ) -> Result<View> {
        if self.rules.doh.is_empty() {
            bail!("DNS over HTTPS is off");
        }
        let apex = wire_name(zone.name);
        let apex = &apex;
        let asked = self.rules.doh.iter().map(|resolver| async move {
            let answer = resolver.ask(RecordType::SOA, apex).await;
            (resolver, negative_ttl(answer, zone.name))
        });
        let mut resolvers = Vec::new();
        let mut problems = Vec::new();
        let mut longest = Duration::ZERO;
        for (resolver, answer) in join_all(asked).await {
            match answer {
                Ok(ttl) => {
                    longest = longest.max(ttl);
                    resolvers.push(resolver.clone());
                }
                Err(problem) => problems.push(format!("`{}` {problem}", resolver.host())),
            }
        }
        let problems = problems.join(", ");
        ensure!(
            resolvers.len() >= OPERATORS,
            "fewer than two resolvers over HTTPS know the zone: {problems}"
        );
        let servers = self.lookup.extra(rules).await?;
        reach::every_server(zone, &servers, &Heard::default()).await?;
        let settle = self.rules.doh_settle.unwrap_or_else(|| settle(longest));
        Ok(View {
            servers,
            warnings: vec![blocked(&resolvers, settle, &problems)],
            resolvers,
            settle,
            deadline: rules.deadline,
            confirmations,
        })
    }
}

fn direct_view(found: Found, rules: &ZoneRules, confirmations: NonZeroU32) -> View {
    View {
        servers: found.servers,
        warnings: found.warnings,
        resolvers: Vec::new(),
        settle: Duration::ZERO,
        deadline: rules.deadline,
        confirmations,
    }
}

/// How long a resolver may keep it to itself that a name is not there (RFC 2308 section 5), or what
/// is wrong with it.
fn negative_ttl(answer: Result<Message, Unanswered>, zone: &DnsName) -> Result<Duration, Problem> {
    let message = answer.map_err(Problem::Unanswered)?;
    let apex = wire_name(zone);
    let at_apex = message.answers.iter().filter(|record| record.name == apex);
    let mut soa = at_apex.filter_map(|record| match &record.data {
        RData::SOA(soa) => Some(soa.minimum),
        _ => None,
    });
    match (soa.next(), message.metadata.response_code) {
        (Some(seconds), _) => Ok(Duration::from_secs(seconds.into())),
        (None, ResponseCode::NXDomain | ResponseCode::NoError) => Err(Problem::NoName),
        (None, code) => Err(Problem::Code(code)),
    }
}

/// How long resolvers are left alone after a value was written.
///
/// A resolver that is asked before every name server has the value keeps its absence for the
/// zone's negative TTL. The more that costs, the longer it is worth to wait: a tenth of it, but at
/// least 30 seconds, in which most providers are done, and at most 2 minutes.
pub(super) fn settle(negative_ttl: Duration) -> Duration {
    let (shortest, longest) = SETTLE;
    (negative_ttl / 10).clamp(shortest, longest)
}

fn blocked(resolvers: &[Resolver], settle: Duration, problems: &str) -> String {
    let hosts: Vec<_> = resolvers
        .iter()
        .map(|resolver| format!("`{}`", resolver.host()))
        .collect();
    let without = match problems {
        "" => String::new(),
        problems => format!(" ({problems})"),
    };
    format!(
        "port 53 is blocked here: challenges are looked up over HTTPS at {}, from {} s after they are written on{without}",
        hosts.join(", "),
        settle.as_secs()
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::SocketAddr;

    use tokio::time::Instant;

    use crate::dns::testing::{Lab, name};
    use crate::model::hint::{Explained, explain};

    use super::*;

    /// Where the zone says that its name server is.
    const NAMED: &str = "127.0.0.5";

    /// `lone`, whose name servers hear nobody, with the same contents at a server that no NS record
    /// names; and who can be asked.
    struct Blocked {
        lab: Lab,
        lookup: Lookup,
        /// BIND and Unbound.
        doh: Vec<Resolver>,
    }

    impl Blocked {
        async fn start() -> Self {
            let mut lab = Lab::new();
            let top = "@ NS a.root.\na.root. A 127.0.0.77\n";
            let zone = "@ NS ns1\nns1 A 127.0.0.5";
            let with_authority = lab.bind_over_https(&[(".", top), ("lone", zone)]).await;
            let root = lab.address("127.0.0.1");
            let child = lab.knot("127.0.0.3", &[("lone.", zone)]).await;
            let zones = [(".", root), ("lone", child)];
            let with_cache = lab.resolver_over_https("127.0.0.11", &zones).await;
            let resolver = lab.resolver("127.0.0.10", &zones).await;
            Self {
                lookup: Lookup::at(&[resolver]).unwrap().on_port(lab.port),
                doh: vec![with_authority, with_cache],
                lab,
            }
        }

        fn rules(&self, zone: ZoneRules) -> Rules {
            Rules {
                confirmations: NonZeroU32::MIN,
                doh: self.doh.clone(),
                doh_settle: None,
                zones: BTreeMap::from([("lone".to_owned(), zone)]),
            }
        }
    }

    async fn view(lookup: Lookup, rules: &Rules, roots: Vec<SocketAddr>) -> Result<View> {
        let mut lookout = Lookout::new(lookup, rules);
        lookout.port53 = Port53::with_roots(roots);
        let zone = name("lone");
        lookout.view(ZoneRef::from(&zone)).await
    }

    fn hosts(view: &View) -> Vec<&str> {
        let resolvers = view.resolvers.iter();
        resolvers.map(|resolver| resolver.host().as_str()).collect()
    }

    #[tokio::test]
    async fn resolvers_over_https_where_nobody_answers() {
        let mut blocked = Blocked::start().await;
        blocked.lab.knot(NAMED, &[("other.", "@ NS ns1")]).await;
        blocked.lab.freeze(NAMED);
        let rules = blocked.rules(ZoneRules::default());
        let nobody = blocked.lab.address("127.0.0.66");
        let started = Instant::now();
        let view = view(blocked.lookup, &rules, vec![nobody]).await.unwrap();
        // The servers are given up after 4 s, before the patience with each of them ends, after 9 s.
        assert!(started.elapsed() < Duration::from_secs(8), "{started:?}");
        assert_eq!(hosts(&view), ["127.0.0.1", "127.0.0.11"]);
        assert_eq!(view.servers, []);
        assert_eq!(view.settle, Duration::from_secs(30));
        assert_eq!(
            view.warnings,
            [
                "port 53 is blocked here: challenges are looked up over HTTPS at `127.0.0.1`, `127.0.0.11`, from 30 s after they are written on"
            ]
        );
    }

    #[tokio::test]
    async fn a_resolver_that_fails_is_left_out_and_a_server_on_this_side_is_asked() {
        let mut blocked = Blocked::start().await;
        let dead = blocked.lab.over_https("127.0.0.12", 1, "/dns-query");
        blocked.doh.push(dead);
        let rules = Rules {
            doh_settle: Some(Duration::from_secs(7)),
            ..blocked.rules(ZoneRules {
                extra: vec!["127.0.0.3".parse().unwrap()],
                deadline: Some(Duration::from_secs(99)),
                confirmations: NonZeroU32::new(3),
                ..ZoneRules::default()
            })
        };
        let view = view(blocked.lookup, &rules, Vec::new()).await.unwrap();
        assert_eq!(hosts(&view), ["127.0.0.1", "127.0.0.11"]);
        assert_eq!(
            view.servers,
            [blocked.lab.extra("127.0.0.3", &["127.0.0.3"])]
        );
        assert_eq!(view.settle, Duration::from_secs(7));
        assert_eq!(view.deadline, Some(Duration::from_secs(99)));
        assert_eq!(view.confirmations.get(), 3);
        assert_eq!(
            view.warnings,
            [
                "port 53 is blocked here: challenges are looked up over HTTPS at `127.0.0.1`, `127.0.0.11`, from 7 s after they are written on (`127.0.0.12` cannot be reached: no connection over HTTPS)"
            ]
        );
    }

    #[tokio::test]
    async fn a_root_server_that_answers_says_that_the_zone_is_at_fault() {
        let blocked = Blocked::start().await;
        let rules = blocked.rules(ZoneRules::default());
        let root = blocked.lab.address("127.0.0.1");
        let port = blocked.lab.port;
        let error = view(blocked.lookup, &rules, vec![root]).await.unwrap_err();
        let Explained { what, hints, .. } = explain(&error);
        assert_eq!(
            what,
            format!(
                "not every name server of zone `lone` serves it: ns1.lone (127.0.0.5:{port}) refuses connections"
            )
        );
        assert_eq!(
            hints,
            [
                "the CA may ask any of them: repair the server, or take it out of the zone's NS records at the parent and in dnsconfig.js",
                "a server that the CA need not ask can be named in `ignore-servers` of `[zones.\"lone\"]` in `git-certs.toml`"
            ]
        );
    }

    #[tokio::test]
    async fn two_resolvers_are_needed() {
        let mut blocked = Blocked::start().await;
        let top = blocked
            .lab
            .knot("127.0.0.6", &[(".", "@ NS a.root.")])
            .await;
        let zones = [(".", top)];
        let knows_nothing = blocked.lab.resolver_over_https("127.0.0.12", &zones).await;
        let misses_its_path = blocked.doh[0].clone().at("/elsewhere");
        let knows_the_zone = blocked.doh[1].clone();
        blocked.doh = vec![misses_its_path, knows_the_zone, knows_nothing];
        let rules = blocked.rules(ZoneRules::default());
        let off = Rules {
            doh: Vec::new(),
            ..rules.clone()
        };
        let error = view(blocked.lookup, &rules, Vec::new()).await.unwrap_err();
        let why = "fewer than two resolvers over HTTPS know the zone: `127.0.0.1` answers with HTTP status 404, `127.0.0.12` does not know the name (NXDOMAIN)";
        let hint = |why| format!("name servers cannot be asked on port 53 here, and {why}");
        assert_eq!(explain(&error).hints[0], hint(why));

        let resolver = blocked.lab.address("127.0.0.10");
        let lookup = Lookup::at(&[resolver]).unwrap().on_port(blocked.lab.port);
        let error = view(lookup, &off, Vec::new()).await.unwrap_err();
        assert_eq!(explain(&error).hints[0], hint("DNS over HTTPS is off"));
    }

    #[test]
    fn the_dearer_a_question_that_is_early_the_later_it_is_put() {
        let settled = |seconds| settle(Duration::from_secs(seconds)).as_secs();
        assert_eq!([0, 60, 900, 86_400].map(settled), [30, 30, 90, 120]);
    }
}
