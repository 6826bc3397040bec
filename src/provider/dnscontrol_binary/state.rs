//! What the TXT values of a zone should be, and whether a list of changes leads there. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::change::{Txt, TxtBatch};
use crate::model::zone::Zone;
use crate::provider::dnscontrol_binary::report::{Existing, Line};
use crate::provider::dnscontrol_binary::wrapper::Extension;

/// TTL of values at names that have none yet, seconds: DNSControl's default, which each of its
/// providers takes. Some refuse less.
const TTL: u32 = 300;

/// A zone, and what this run has done to its TXT values.
#[derive(Debug)]
pub(super) struct ZoneState {
    zone: Zone,
    ours: BTreeSet<Txt>,
    removed: BTreeSet<Txt>,
    /// Values of others at challenge names: declared as well, since DNSControl removes what is not.
    kept: BTreeMap<Txt, u32>,
}

/// What becomes of a zone with a list of changes.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Verdict {
    /// Lines that are not of our making.
    pub(super) foreign: Vec<String>,
    /// Something of ours would change.
    pub(super) changes: bool,
    /// A value of others has come or gone: look again.
    pub(super) has_moved: bool,
}

impl ZoneState {
    /// A zone that nothing was done to.
    pub(super) fn new(zone: &Zone) -> Self {
        let mut zone = zone.clone();
        // Only these matter here.
        zone.records.retain(|record| record.rtype == "TXT");
        Self {
            zone,
            ours: BTreeSet::new(),
            removed: BTreeSet::new(),
            kept: BTreeMap::new(),
        }
    }

    pub(super) fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Notes what a batch wants.
    pub(super) fn take(&mut self, batch: &TxtBatch) {
        for txt in &batch.add {
            self.removed.remove(txt);
            if !self.kept.contains_key(txt) && !self.declares(txt) {
                self.ours.insert(txt.clone());
            }
        }
        for txt in &batch.remove {
            self.ours.remove(txt);
            self.kept.remove(txt);
            self.removed.insert(txt.clone());
        }
    }

    /// A second record of the same value is an error to DNSControl.
    fn declares(&self, txt: &Txt) -> bool {
        let mut records = self.zone.records.iter();
        records.any(|record| record.name == txt.name && record.data == txt.value)
    }

    /// What the configuration has to say.
    pub(super) fn extension(&self) -> Extension<'_> {
        let ours = self.ours.iter().map(|txt| (txt, self.ttl(txt)));
        let kept = self.kept.iter().map(|(txt, ttl)| (txt, *ttl));
        let removed: BTreeSet<_> = self.removed.iter().map(|txt| &txt.name).collect();
        Extension {
            zone: &self.zone,
            values: ours.chain(kept).collect(),
            removed: removed.into_iter().collect(),
        }
    }

    /// A set has one TTL, so that of the values that are there is taken.
    fn ttl(&self, txt: &Txt) -> u32 {
        let mut kept = self.kept.iter();
        let mut declared = self.zone.records.iter();
        let kept = kept.find(|(other, _)| other.name == txt.name);
        let declared = declared.find(|record| record.name == txt.name);
        kept.map(|(_, ttl)| *ttl)
            .or_else(|| declared.map(|record| record.ttl))
            .unwrap_or(TTL)
    }

    /// Judges what a run would do, or did, line by line.
    ///
    /// Values of others at challenge names are noted, to be kept from now on.
    pub(super) fn judge(&mut self, lines: &[String]) -> Verdict {
        let mut verdict = Verdict::default();
        let mut headings = Vec::new();
        for line in lines {
            let is_explained = match Line::parse(line) {
                Line::Create(txt) => self.creates(&txt, &mut verdict),
                Line::Delete(existing) => self.deletes(existing, &mut verdict),
                Line::Replace { from, to } => {
                    let created = self.creates(&to, &mut verdict);
                    created && self.deletes(from, &mut verdict)
                }
                // The provider has another idea of the TTL.
                Line::Retime(txt) => self.ours.contains(&txt),
                Line::Heading => {
                    headings.push(line.clone());
                    true
                }
                Line::Other => false,
            };
            if !is_explained {
                verdict.foreign.push(line.clone());
            }
        }
        // A heading is as good as what stands below it.
        let is_alone = headings.len() == lines.len();
        if is_alone || !verdict.foreign.is_empty() {
            verdict.foreign.splice(0..0, headings);
        }
        verdict
    }

    fn creates(&mut self, txt: &Txt, verdict: &mut Verdict) -> bool {
        // Its owner took it away meanwhile: it must not come back.
        if self.kept.remove(txt).is_some() {
            verdict.has_moved = true;
            return true;
        }
        let is_ours = self.ours.contains(txt);
        verdict.changes |= is_ours;
        is_ours
    }

    fn deletes(&mut self, Existing { txt, ttl }: Existing, verdict: &mut Verdict) -> bool {
        if self.removed.contains(&txt) {
            verdict.changes = true;
            return true;
        }
        // Values are also written where the CNAME of a challenge name leads to.
        let is_challenge =
            txt.name.is_challenge() || self.ours.iter().any(|our| our.name == txt.name);
        if is_challenge {
            verdict.has_moved = true;
            self.kept.insert(txt, ttl);
        }
        is_challenge
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::model::zone::Record;
    use crate::provider::servers;

    fn txt(label: &str, value: &str) -> Txt {
        Txt {
            name: format!("{label}.a.test").parse().unwrap(),
            value: value.to_owned(),
        }
    }

    fn ours(value: &str) -> Txt {
        txt("_acme-challenge", value)
    }

    /// A zone that declares a TXT record at a challenge name.
    fn state() -> ZoneState {
        let declared = ours("declared");
        let record = Record::new(declared.name, "TXT", 900, declared.value);
        ZoneState::new(&Zone {
            records: vec![
                Record::new("a.test".parse().unwrap(), "A", 60, "192.0.2.1".to_owned()),
                record,
            ],
            ..servers::zone("a.test")
        })
    }

    /// What the configuration would declare.
    fn shown(state: &ZoneState) -> Vec<String> {
        let extension = state.extension();
        let values = extension.values.iter();
        let mut all: Vec<_> = values.map(|(txt, ttl)| format!("{txt} {ttl}")).collect();
        all.extend(extension.removed.iter().map(|name| format!("no {name}")));
        all
    }

    fn judge(state: &mut ZoneState, lines: &[&str]) -> Verdict {
        let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
        state.judge(&lines)
    }

    fn foreign(lines: &[&str]) -> Verdict {
        Verdict {
            foreign: lines.iter().map(|line| (*line).to_owned()).collect(),
            ..Verdict::default()
        }
    }

    const CHANGES: Verdict = Verdict {
        foreign: Vec::new(),
        changes: true,
        has_moved: false,
    };

    const MOVED: Verdict = Verdict {
        foreign: Vec::new(),
        changes: false,
        has_moved: true,
    };

    #[test]
    fn batches_add_up_and_declared_values_stay_as_they_are() {
        let mut state = state();
        state.take(&TxtBatch::adding(vec![
            ours("one"),
            ours("declared"),
            txt("_acme-challenge.www", "two"),
        ]));
        state.take(&TxtBatch::adding(vec![ours("three")]));
        assert_eq!(
            shown(&state),
            [
                "_acme-challenge.a.test TXT \"one\" 900",
                "_acme-challenge.a.test TXT \"three\" 900",
                "_acme-challenge.www.a.test TXT \"two\" 300",
            ]
        );
        state.take(&TxtBatch::removing(vec![ours("one"), ours("unknown")]));
        state.take(&TxtBatch {
            add: vec![ours("both")],
            remove: vec![ours("both"), ours("three")],
        });
        assert_eq!(
            shown(&state),
            [
                "_acme-challenge.www.a.test TXT \"two\" 300",
                "no _acme-challenge.a.test",
            ]
        );
        state.take(&TxtBatch::adding(vec![ours("one")]));
        assert!(shown(&state).contains(&"_acme-challenge.a.test TXT \"one\" 900".to_owned()));
    }

    #[test]
    fn our_own_changes_are_no_surprise() {
        let mut state = state();
        state.take(&TxtBatch {
            add: vec![ours("new")],
            remove: vec![ours("old")],
        });
        for line in [
            r#"+ CREATE _acme-challenge.a.test TXT "new" ttl=300"#,
            r#"- DELETE TXT _acme-challenge.a.test "old" ttl=300"#,
            r#"± MODIFY _acme-challenge.a.test TXT ("old" ttl=60) -> ("new" ttl=300)"#,
        ] {
            assert_eq!(judge(&mut state, &[line]), CHANGES, "{line}");
            assert_eq!(judge(&mut state, &["REFRESH zone a.test", line]), CHANGES);
        }
        let line = r#"± MODIFY-TTL _acme-challenge.a.test TXT ttl=(60->300) "new""#;
        assert_eq!(judge(&mut state, &[line]), Verdict::default());
        assert_eq!(judge(&mut state, &[]), Verdict::default());
    }

    #[test]
    fn everything_else_is_foreign() {
        let mut state = state();
        state.take(&TxtBatch {
            add: vec![ours("new")],
            remove: vec![ours("old")],
        });
        let create = r#"+ CREATE _acme-challenge.a.test TXT "new" ttl=300"#;
        for line in [
            r#"+ CREATE _acme-challenge.a.test TXT "other" ttl=300"#,
            r#"+ CREATE www.a.test TXT "new" ttl=300"#,
            r#"- DELETE www.a.test TXT "old" ttl=300"#,
            r#"± MODIFY _acme-challenge.a.test TXT ("old" ttl=60) -> ("other" ttl=300)"#,
            r#"± MODIFY-TTL _acme-challenge.a.test TXT ttl=(60->300) "old""#,
            "- DELETE _acme-challenge.a.test CNAME x. ttl=300",
            "Enable DNSSEC",
        ] {
            assert_eq!(judge(&mut state, &[line]), foreign(&[line]), "{line}");
            let both = judge(&mut state, &["Zone update for a.test", create, line]);
            assert_eq!(both.foreign, ["Zone update for a.test", line]);
        }
        let line = "REFRESH zone a.test";
        assert_eq!(judge(&mut state, &[line]), foreign(&[line]));
    }

    #[test]
    fn values_of_others_at_challenge_names_are_kept() {
        let mut state = state();
        let target = txt("delegated", "ours");
        state.take(&TxtBatch::adding(vec![target]));
        for line in [
            r#"- DELETE _acme-challenge.x.a.test TXT "a" ttl=60"#,
            r#"- DELETE delegated.a.test TXT "b" ttl=120"#,
        ] {
            assert_eq!(judge(&mut state, &[line]), MOVED, "{line}");
        }
        assert_eq!(
            shown(&state),
            [
                "delegated.a.test TXT \"ours\" 120",
                "_acme-challenge.x.a.test TXT \"a\" 60",
                "delegated.a.test TXT \"b\" 120",
            ]
        );
        // Its owner removes it: it must not come back.
        let line = r#"+ CREATE _acme-challenge.x.a.test TXT "a" ttl=60"#;
        assert_eq!(judge(&mut state, &[line]), MOVED);
        // To add it is to have it; to remove it is to remove it.
        let b = txt("delegated", "b");
        state.take(&TxtBatch::adding(vec![b.clone()]));
        assert_eq!(shown(&state).len(), 2);
        state.take(&TxtBatch::removing(vec![b]));
        assert_eq!(
            shown(&state),
            ["delegated.a.test TXT \"ours\" 300", "no delegated.a.test"]
        );
        let line = r#"- DELETE delegated.a.test TXT "b" ttl=120"#;
        assert_eq!(judge(&mut state, &[line]), CHANGES);
    }
}
