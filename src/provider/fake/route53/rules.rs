//! What Route 53 accepts in a change, and how it orders and spells what it lists.

use std::collections::{BTreeMap, BTreeSet};

use roxmltree::{Document, Node};

pub(super) const XMLNS: &str = "https://route53.amazonaws.com/doc/2013-04-01/";

/// A set's name, type and identifier, in the order of lists: "sorts results first by DNS name with
/// the labels reversed", the final dot included, then by type.
/// <https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListResourceRecordSets.html>
pub(super) type Key = (String, String, String);

/// TTL and values of the sets of a zone; none for aliases.
pub(super) type Sets = BTreeMap<Key, Option<(String, Vec<String>)>>;

pub(super) fn sets_of(document: &Document<'_>) -> Sets {
    let all = all(document, "ResourceRecordSet");
    all.map(|node| {
        let is_alias = node
            .descendants()
            .any(|one| one.has_tag_name((XMLNS, "AliasTarget")));
        (
            key(node),
            (!is_alias).then(|| (text(node, "TTL"), values(node))),
        )
    })
    .collect()
}

/// Why a change is refused; otherwise it is made.
pub(super) fn problem(sets: &mut Sets, change: Node<'_, '_>, apex: &str) -> Option<String> {
    let set = change
        .children()
        .find(|node| node.has_tag_name((XMLNS, "ResourceRecordSet")))?;
    // "The XML elements in your request must appear in the order listed in the syntax."
    let order: Vec<&str> = set.children().map(|node| node.tag_name().name()).collect();
    if order != ["Name", "Type", "TTL", "ResourceRecords"] {
        return Some("Invalid XML".to_owned());
    }
    let (name, rtype) = (absolute(&text(set, "Name")), text(set, "Type"));
    let about = format!("resource record set [name='{name}', type='{rtype}']");
    if name != apex && !name.ends_with(&format!(".{apex}")) {
        return Some(format!(
            "RRSet with DNS name {name} is not permitted in zone {apex}"
        ));
    }
    let (ttl, values) = (text(set, "TTL"), values(set));
    let key = key(set);
    let same_name = |(one, ..): &&Key| *one == key.0;
    match text(change, "Action").as_str() {
        // "To delete a resource record set, you must specify all the same values"
        "DELETE" => match sets.get(&key) {
            None => Some(format!("Tried to delete {about} but it was not found")),
            Some(Some((old_ttl, old))) if *old_ttl == ttl && sorted(old) == sorted(&values) => {
                sets.remove(&key);
                None
            }
            Some(_) => Some(format!(
                "Tried to delete {about} but the values provided do not match the current values"
            )),
        },
        "CREATE"
            if sets
                .keys()
                .filter(same_name)
                .any(|(_, other, _)| *other == rtype) =>
        {
            Some(format!("Tried to create {about} but it already exists"))
        }
        "CREATE" | "UPSERT" => {
            let mut others = sets
                .keys()
                .filter(same_name)
                .filter(|(_, other, _)| *other != rtype);
            if others.any(|(_, other, _)| other == "CNAME" || rtype == "CNAME") {
                return Some(format!(
                    "RRSet of type {rtype} with DNS name {name} is not permitted because a conflicting RRSet of type CNAME \
                     with the same DNS name already exists in zone {apex}"
                ));
            }
            let bad = bad_values(&rtype, &ttl, &values);
            if bad.is_none() {
                sets.insert(key, Some((ttl, values)));
            }
            bad
        }
        action => Some(format!("Value '{action}' is not facet-valid")),
    }
}

/// <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/ResourceRecordTypes.html#TXTFormat>
fn bad_values(rtype: &str, ttl: &str, values: &[String]) -> Option<String> {
    if !ttl
        .parse()
        .is_ok_and(|ttl: u32| ttl <= i32::MAX.unsigned_abs())
    {
        return Some(format!("Invalid TTL '{ttl}'"));
    }
    if values.is_empty() {
        return Some("Expected at least one ResourceRecord".to_owned());
    }
    let unique: BTreeSet<&String> = values.iter().collect();
    if unique.len() < values.len() {
        return Some("Duplicate Resource Record".to_owned());
    }
    if rtype != "TXT" {
        return None;
    }
    values.iter().find_map(|value| {
        let is_quoted = value.len() > 1 && value.starts_with('"') && value.ends_with('"');
        let fatal = |what: &str| {
            Some(format!(
                "Invalid Resource Record: FATAL problem: {what} encountered with '{value}'"
            ))
        };
        // "A single string can include up to 255 characters"
        match is_quoted {
            false => fatal("InvalidCharacterString (Value should be enclosed in quotation marks)"),
            true if value
                .split("\" \"")
                .any(|string| string.trim_matches('"').len() > 255) =>
            {
                fatal("CharacterStringTooLong (Value is too long)")
            }
            true => None,
        }
    })
}

/// <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html>: what is in an `UPSERT` counts twice.
pub(super) fn over_limit(document: &Document<'_>) -> Option<String> {
    let (mut records, mut characters) = (0, 0);
    for change in all(document, "Change") {
        let times = if text(change, "Action") == "UPSERT" {
            2
        } else {
            1
        };
        let values = change
            .descendants()
            .filter(|node| node.has_tag_name((XMLNS, "Value")));
        for value in values {
            records += times;
            characters += times * value.text().unwrap_or_default().chars().count();
        }
    }
    (records > 1000 || characters > 32_000)
        .then(|| "Number of records limit of 1000 exceeded".to_owned())
}

pub(super) fn key(node: Node<'_, '_>) -> Key {
    let name = reversed(&escaped(&absolute(&text(node, "Name"))));
    (name, text(node, "Type"), text(node, "SetIdentifier"))
}

fn values(node: Node<'_, '_>) -> Vec<String> {
    let values = node
        .descendants()
        .filter(|node| node.has_tag_name((XMLNS, "Value")));
    values
        .map(|node| node.text().unwrap_or_default().to_owned())
        .collect()
}

fn sorted(values: &[String]) -> BTreeSet<&String> {
    values.iter().collect()
}

pub(super) fn absolute(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.'))
}

/// `www.example.com.` is `com.example.www.`, and back.
pub(super) fn reversed(name: &str) -> String {
    let labels: Vec<&str> = name.trim_end_matches('.').rsplit('.').collect();
    absolute(&labels.join("."))
}

/// Everything but letters, digits, `-`, `_` and the dots between labels as `\ooo`, if it is not yet.
pub(super) fn escaped(name: &str) -> String {
    let mut written = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'\\' => {
                written.push(char::from(byte));
            }
            _ => written.push_str(&format!("\\{byte:03o}")),
        }
    }
    written
}

pub(super) fn all<'a, 'i>(
    document: &'a Document<'i>,
    name: &'a str,
) -> impl Iterator<Item = Node<'a, 'i>> {
    let nodes = document.descendants();
    nodes.filter(move |node| node.tag_name().name() == name)
}

pub(super) fn text(node: Node<'_, '_>, name: &str) -> String {
    let mut children = node.children();
    let child = children.find(|child| child.tag_name().name() == name);
    child
        .and_then(|child| child.text())
        .unwrap_or_default()
        .to_owned()
}
