//! What Route 53 says and is told: the XML of its API.

use anyhow::{Context as _, Result};
use roxmltree::{Document, Node};

use crate::provider::rrset::{Edit, TxtSet};

/// Most values of a request, and most characters in them:
/// <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html>.
const MOST_VALUES: usize = 1000;
const MOST_CHARACTERS: usize = 32_000;

/// A hosted zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostedZone {
    /// Without `/hostedzone/`.
    pub(super) id: String,
    /// As zone files have it, with a final dot.
    pub(super) name: String,
    pub(super) is_private: bool,
    /// How many sets it had when it was read.
    pub(super) sets: usize,
}

/// A resource record set.
#[derive(Debug)]
pub(super) struct Set {
    /// As zone files have it, with a final dot.
    pub(super) name: String,
    pub(super) rtype: String,
    /// Seconds; none for aliases.
    pub(super) ttl: Option<u32>,
    /// In Route 53's own spelling.
    pub(super) values: Vec<String>,
    pub(super) alias: Option<Alias>,
    /// One of several sets of this name and type.
    pub(super) identifier: Option<String>,
    pub(super) weight: Option<String>,
    pub(super) health_check: Option<String>,
    /// It belongs to a traffic policy.
    pub(super) is_of_policy: bool,
}

/// What an alias set points to.
#[derive(Debug)]
pub(super) struct Alias {
    pub(super) zone_id: String,
    pub(super) target: String,
    pub(super) evaluates_health: bool,
}

/// Part of a list, and the parameters of the next part.
#[derive(Debug)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    /// None at the end.
    pub(super) next: Option<Vec<(&'static str, String)>>,
}

/// A change that was accepted.
#[derive(Debug)]
pub(super) struct Change {
    /// Without `/change/`.
    pub(super) id: String,
    /// All name servers have it.
    pub(super) is_in_sync: bool,
}

/// <https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListHostedZonesByName.html>
pub(super) fn hosted_zones(text: &str) -> Result<Page<HostedZone>> {
    let document = Document::parse(text)?;
    let next = [
        ("dnsname", "NextDNSName"),
        ("hostedzoneid", "NextHostedZoneId"),
    ];
    Ok(Page {
        items: all(&document, "HostedZone")
            .map(hosted_zone)
            .collect::<Result<_>>()?,
        next: next_page(&document, &next),
    })
}

/// The zone and its name servers:
/// <https://docs.aws.amazon.com/Route53/latest/APIReference/API_GetHostedZone.html>.
pub(super) fn hosted_zone_with_servers(text: &str) -> Result<(HostedZone, Vec<String>)> {
    let document = Document::parse(text)?;
    let zone = all(&document, "HostedZone").next();
    let zone = hosted_zone(zone.context("there is no `HostedZone`")?)?;
    let servers = all(&document, "NameServer").filter_map(|node| node.text());
    Ok((zone, servers.map(str::to_owned).collect()))
}

/// <https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListResourceRecordSets.html>
pub(super) fn sets(text: &str) -> Result<Page<Set>> {
    let document = Document::parse(text)?;
    let next = [
        ("name", "NextRecordName"),
        ("type", "NextRecordType"),
        ("identifier", "NextRecordIdentifier"),
    ];
    Ok(Page {
        items: all(&document, "ResourceRecordSet")
            .map(set)
            .collect::<Result<_>>()?,
        next: next_page(&document, &next),
    })
}

/// The answer to a change, and to asking after it.
pub(super) fn change(text: &str) -> Result<Change> {
    let document = Document::parse(text)?;
    let info = all(&document, "ChangeInfo").next();
    let info = info.context("there is no `ChangeInfo`")?;
    let id = needed(info, "Id")?;
    Ok(Change {
        id: id.trim_start_matches("/change/").to_owned(),
        is_in_sync: needed(info, "Status")? == "INSYNC",
    })
}

/// The code of an error; none where the body is something else.
pub(super) fn code(text: &str) -> Option<String> {
    let document = Document::parse(text).ok()?;
    let code = all(&document, "Code").next()?.text()?;
    Some(code.to_owned())
}

/// Bodies of requests that replace what was read, as few as the limits allow.
///
/// Deleting exactly what was read and creating what is to be, in one step that is done wholly or
/// not at all, fails where another writer was faster; `UPSERT` would take that writer's values away.
/// <https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html>
pub(super) fn change_batches(edits: &[Edit]) -> Vec<String> {
    let mut batches: Vec<String> = Vec::new();
    let (mut values, mut characters) = (0, 0);
    for edit in edits {
        let before = edit.before.iter().map(|set| ("DELETE", set));
        let after = (!edit.deletes()).then_some(("CREATE", &edit.after));
        let changes: Vec<_> = before.chain(after).collect();
        let texts = changes.iter().flat_map(|(_, set)| &set.values);
        let (count, length) = texts.fold((0, 0), |(count, length), text| {
            (count + 1, length + text.chars().count())
        });
        let fits = values + count <= MOST_VALUES && characters + length <= MOST_CHARACTERS;
        if !fits || batches.is_empty() {
            batches.push(String::new());
            (values, characters) = (0, 0);
        }
        (values, characters) = (values + count, characters + length);
        if let Some(batch) = batches.last_mut() {
            batch.extend(changes.iter().map(|(action, set)| element(action, set)));
        }
    }
    let whole = |changes: String| {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ChangeResourceRecordSetsRequest \
             xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><ChangeBatch><Comment>git-certs</Comment>\
             <Changes>{changes}</Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"
        )
    };
    batches.into_iter().map(whole).collect()
}

fn element(action: &str, set: &TxtSet) -> String {
    let values: String = set
        .values
        .iter()
        .map(|value| {
            format!(
                "<ResourceRecord><Value>{}</Value></ResourceRecord>",
                escaped(value)
            )
        })
        .collect();
    format!(
        "<Change><Action>{action}</Action><ResourceRecordSet><Name>{}</Name><Type>TXT</Type><TTL>{}</TTL>\
         <ResourceRecords>{values}</ResourceRecords></ResourceRecordSet></Change>",
        escaped(&set.name.fqdn()),
        set.ttl
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn hosted_zone(node: Node<'_, '_>) -> Result<HostedZone> {
    let config = child(node, "Config");
    let is_private = config.and_then(|config| text(config, "PrivateZone"));
    let sets = text(node, "ResourceRecordSetCount").unwrap_or("0");
    Ok(HostedZone {
        id: bare_id(needed(node, "Id")?).to_owned(),
        name: zone_file(needed(node, "Name")?),
        is_private: is_private == Some("true"),
        sets: sets.parse().context("bad `ResourceRecordSetCount`")?,
    })
}

/// An id without what the API writes before it.
pub(super) fn bare_id(id: &str) -> &str {
    id.trim_start_matches("/hostedzone/")
}

fn set(node: Node<'_, '_>) -> Result<Set> {
    let own = |name: &str| text(node, name).map(str::to_owned);
    let ttl = text(node, "TTL").map(str::parse).transpose();
    let records = child(node, "ResourceRecords");
    let values = records.into_iter().flat_map(|records| records.children());
    let alias = child(node, "AliasTarget").map(|alias| {
        anyhow::Ok(Alias {
            zone_id: needed(alias, "HostedZoneId")?.to_owned(),
            target: zone_file(needed(alias, "DNSName")?),
            evaluates_health: text(alias, "EvaluateTargetHealth") == Some("true"),
        })
    });
    Ok(Set {
        name: zone_file(needed(node, "Name")?),
        rtype: needed(node, "Type")?.to_owned(),
        ttl: ttl.context("bad `TTL`")?,
        values: values
            .filter_map(|value| text(value, "Value"))
            .map(str::to_owned)
            .collect(),
        alias: alias.transpose()?,
        identifier: own("SetIdentifier"),
        weight: own("Weight"),
        health_check: own("HealthCheckId"),
        is_of_policy: own("TrafficPolicyInstanceId").is_some(),
    })
}

fn next_page(
    document: &Document<'_>,
    parameters: &[(&'static str, &str)],
) -> Option<Vec<(&'static str, String)>> {
    let root = document.root_element();
    let found = parameters
        .iter()
        .filter_map(|(parameter, name)| Some((*parameter, text(root, name)?.to_owned())));
    (text(root, "IsTruncated") == Some("true")).then(|| found.collect())
}

fn all<'a, 'i>(document: &'a Document<'i>, name: &'a str) -> impl Iterator<Item = Node<'a, 'i>> {
    let nodes = document.descendants();
    nodes.filter(move |node| node.tag_name().name() == name)
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children()
        .find(|child| child.tag_name().name() == name)
}

fn text<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    child(node, name)?.text()
}

fn needed<'a>(node: Node<'a, '_>, name: &str) -> Result<&'a str> {
    let of = node.tag_name().name();
    text(node, name).with_context(|| format!("a `{of}` has no `{name}`"))
}

/// A name or value as zone files have it: Route 53 escapes in octal (`\052` is `*`), they in decimal.
///
/// <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DomainNameFormat.html>
pub(super) fn zone_file(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        written.push_str(before);
        let digits = after.get(..3).unwrap_or_default();
        let is_octal = digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
        match u8::from_str_radix(digits, 8) {
            Ok(byte) if is_octal => {
                let is_plain = byte.is_ascii_graphic() && !b"\\\".();".contains(&byte);
                if is_plain {
                    written.push(char::from(byte));
                } else {
                    written.push_str(&format!("\\{byte:03}"));
                }
                rest = after.get(3..).unwrap_or_default();
            }
            _ => {
                // The character behind the backslash stands for itself.
                let mut characters = after.chars();
                written.push('\\');
                written.extend(characters.next());
                rest = characters.as_str();
            }
        }
    }
    written.push_str(rest);
    written
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn octal_becomes_decimal() {
        for (written, expected) in [
            (r"\052.example.test.", "*.example.test."),
            (r"0\05725.example.test.", "0/25.example.test."),
            (r"a\056b\344.example.test.", r"a\046b\228.example.test."),
            (r#""a\040b\\052\"\303\266""#, r#""a\032b\\052\"\195\182""#),
            (r"end\", r"end\"),
            (r"\08", r"\08"),
        ] {
            assert_eq!(zone_file(written), expected, "{written}");
        }
    }

    fn txt_set(name: &str, values: &[String]) -> TxtSet {
        TxtSet {
            name: name.parse().unwrap(),
            ttl: 60,
            values: values.to_vec(),
        }
    }

    #[test]
    fn what_is_replaced_is_said_exactly() {
        let before = txt_set("_acme-challenge.a.test", &[r#""a&\"<b>""#.to_owned()]);
        let after = txt_set("_acme-challenge.a.test", &["\"new\"".to_owned()]);
        let edit = Edit {
            before: Some(before.clone()),
            after,
        };
        let [batch] = &change_batches(&[edit])[..] else {
            panic!("one request is enough");
        };
        let document = Document::parse(batch).unwrap();
        let said = |name: &str| -> Vec<String> {
            let nodes = all(&document, name).filter_map(|node| node.text());
            nodes.map(str::to_owned).collect()
        };
        assert_eq!(said("Action"), ["DELETE", "CREATE"]);
        assert_eq!(said("Name"), ["_acme-challenge.a.test."; 2]);
        assert_eq!(said("Value"), [&before.values[0], "\"new\""]);
        let gone = Edit {
            before: Some(before),
            after: txt_set("_acme-challenge.a.test", &[]),
        };
        let batches = change_batches(&[gone]);
        assert!(batches[0].contains("DELETE") && !batches[0].contains("CREATE"));
    }

    #[test]
    fn requests_keep_the_limits() {
        let edits = |count: usize, value: &str| -> Vec<Edit> {
            let edit = |number| {
                let name = format!("n{number}.a.test");
                let values = [value.to_owned(), format!("{value}2")];
                Edit {
                    before: Some(txt_set(&name, &values[..1])),
                    after: txt_set(&name, &values),
                }
            };
            (0..count).map(edit).collect()
        };
        let sizes = |edits: &[Edit]| -> Vec<usize> {
            let batches = change_batches(edits);
            let count = |batch: &String| batch.matches("<Action>DELETE</Action>").count();
            batches.iter().map(count).collect()
        };
        // Three values a name.
        assert_eq!(sizes(&edits(333, "x")), [333]);
        assert_eq!(sizes(&edits(700, "x")), [333, 333, 34]);
        // 301 characters a name.
        assert_eq!(sizes(&edits(107, &"x".repeat(100))), [106, 1]);
        assert!(change_batches(&[]).is_empty());
    }

    #[test]
    fn sets_of_every_kind_are_read() {
        let page = sets(
            r#"<?xml version="1.0"?>
<ListResourceRecordSetsResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ResourceRecordSets>
<ResourceRecordSet><Name>\052.a.test.</Name><Type>TXT</Type><TTL>60</TTL><ResourceRecords>
  <ResourceRecord><Value>"one"</Value></ResourceRecord><ResourceRecord><Value>"two"</Value></ResourceRecord>
</ResourceRecords></ResourceRecordSet>
<ResourceRecordSet><Name>w.a.test.</Name><Type>A</Type><SetIdentifier>blue</SetIdentifier><Weight>0</Weight><TTL>5</TTL>
  <ResourceRecords><ResourceRecord><Value>192.0.2.1</Value></ResourceRecord></ResourceRecords>
  <HealthCheckId>h</HealthCheckId></ResourceRecordSet>
<ResourceRecordSet><Name>a.test.</Name><Type>AAAA</Type><AliasTarget><HostedZoneId>Z2</HostedZoneId>
  <DNSName>\052.elb.test.</DNSName><EvaluateTargetHealth>true</EvaluateTargetHealth></AliasTarget></ResourceRecordSet>
<ResourceRecordSet><Name>p.a.test.</Name><Type>A</Type><TTL>60</TTL><TrafficPolicyInstanceId>i</TrafficPolicyInstanceId>
</ResourceRecordSet></ResourceRecordSets>
<IsTruncated>true</IsTruncated><NextRecordName>\052.b.test.</NextRecordName><NextRecordType>A</NextRecordType>
<NextRecordIdentifier>two words</NextRecordIdentifier></ListResourceRecordSetsResponse>"#,
        )
        .unwrap();
        let [plain, weighted, alias, policy] = &page.items[..] else {
            panic!("{page:?}");
        };
        assert_eq!((plain.name.as_str(), plain.ttl), ("*.a.test.", Some(60)));
        assert_eq!(plain.values, ["\"one\"", "\"two\""]);
        assert_eq!(weighted.identifier.as_deref(), Some("blue"));
        assert_eq!(weighted.weight.as_deref(), Some("0"));
        assert_eq!(weighted.health_check.as_deref(), Some("h"));
        let target = alias.alias.as_ref().unwrap();
        assert_eq!(
            (target.zone_id.as_str(), target.target.as_str()),
            ("Z2", "*.elb.test.")
        );
        assert!(target.evaluates_health && alias.ttl.is_none());
        assert!(policy.is_of_policy && !plain.is_of_policy);
        // The list goes on with names as they came.
        let next = [
            ("name", r"\052.b.test.".to_owned()),
            ("type", "A".to_owned()),
            ("identifier", "two words".to_owned()),
        ];
        assert_eq!(page.next, Some(next.to_vec()));
    }

    #[test]
    fn what_is_no_answer_says_so() {
        assert!(sets("").is_err());
        assert_eq!(code("<html>"), None);
        let error = "<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>";
        assert_eq!(code(error).as_deref(), Some("Throttling"));
        assert_eq!(
            change("<X><ChangeInfo><Id>/change/C1</Id></ChangeInfo></X>")
                .unwrap_err()
                .to_string(),
            "a `ChangeInfo` has no `Status`"
        );
    }
}
