//! From a batch of TXT values to what an API has to be told, and looking whether it holds.
//!
//! A change is a loop that ends when a look finds nothing left to do:
//!
//! ```text
//! let mut rounds = Rounds::default();
//! loop {
//!     let edits = edits(&self.txt_sets(zone).await?, batch, TXT_TTL);
//!     if edits.is_empty() {
//!         return Ok(());
//!     }
//!     rounds.look_again(self.write(zone, &edits).await).await?;
//! }
//! ```
//!
//! So a value that another writer took away is written again, and a request whose answer was lost
//! is repeated only if it was not carried out.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use reqwest::StatusCode;

use crate::model::change::{Txt, TxtBatch};
use crate::model::hint::with_hint;
use crate::model::name::DnsName;
use crate::model::rdata::canonical;
use crate::net::http::jittered;
use crate::provider::reply::failure;

/// How often a change is written when other writers keep undoing it, or the API keeps failing.
const ATTEMPTS: u32 = 8;

/// First pause after a failure; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Longest pause that an API can ask for with Retry-After.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Limits of the pause before a look whether a write held. Among many tests the other writer may be late.
const SETTLE: (Duration, Duration) = (
    Duration::from_millis(if cfg!(test) { 250 } else { 50 }),
    Duration::from_secs(2),
);

/// What a batch does at one name.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub(super) name: &'a DnsName,
    pub(super) add: Vec<&'a str>,
    pub(super) remove: Vec<&'a str>,
}

/// The names of a batch, in their order.
pub(super) fn by_name(batch: &TxtBatch) -> Vec<Change<'_>> {
    let mut changes: BTreeMap<&DnsName, Change<'_>> = BTreeMap::new();
    let added = batch.add.iter().map(|txt| (txt, true));
    let removed = batch.remove.iter().map(|txt| (txt, false));
    for (txt, is_added) in added.chain(removed) {
        let change = changes.entry(&txt.name).or_insert_with(|| Change {
            name: &txt.name,
            add: Vec::new(),
            remove: Vec::new(),
        });
        let values = if is_added {
            &mut change.add
        } else {
            &mut change.remove
        };
        if !values.contains(&txt.value.as_str()) {
            values.push(&txt.value);
        }
    }
    changes.into_values().collect()
}

impl Change<'_> {
    /// The values of a set after this change: additions, then removals; the others stay in order.
    ///
    /// `text` is a value as the batch has it, `new` makes a value of such a text.
    pub(super) fn apply<V: Clone>(
        &self,
        before: &[V],
        text: impl Fn(&V) -> String,
        new: impl Fn(&str) -> V,
    ) -> Vec<V> {
        let mut after = before.to_vec();
        for value in &self.add {
            if !after.iter().any(|there| text(there) == *value) {
                after.push(new(value));
            }
        }
        after.retain(|there| !self.remove.contains(&text(there).as_str()));
        after
    }
}

/// A TXT set, its values in the API's spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TxtSet {
    pub(super) name: DnsName,
    /// Seconds.
    pub(super) ttl: u32,
    pub(super) values: Vec<String>,
}

/// How an API spells TXT values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// As in zone files: quoted strings of at most 255 octets.
    Quoted,
    /// The text itself.
    #[cfg_attr(not(test), expect(dead_code, reason = "for AZURE_DNS and its like"))]
    Bare,
}

impl Spelling {
    /// The text that the API spells so.
    pub(super) fn text(self, spelt: &str) -> String {
        match self {
            // No field of TXT is a name, so any origin does.
            Self::Quoted => canonical("TXT", spelt, &DnsName::root()),
            Self::Bare => spelt.to_owned(),
        }
    }

    /// `text` as the API spells it.
    pub(super) fn spell(self, text: &str) -> String {
        match self {
            Self::Quoted => crate::model::rdata::quote_txt(text),
            Self::Bare => text.to_owned(),
        }
    }
}

/// One set that has to change. An empty `after` means that the set goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    /// What was read; none for a new set.
    pub(super) before: Option<TxtSet>,
    /// What to write; it keeps the TTL of a set that exists.
    pub(super) after: TxtSet,
}

impl Edit {
    /// Whether the set has to be deleted.
    pub(super) fn deletes(&self) -> bool {
        self.after.values.is_empty()
    }
}

/// The sets that have to change so that the batch is done; none where it is done already.
///
/// `ttl` is that of new sets, seconds.
pub(super) fn edits(sets: &[TxtSet], batch: &TxtBatch, spelling: Spelling, ttl: u32) -> Vec<Edit> {
    let edit = |change: Change<'_>| {
        let before = sets.iter().find(|set| set.name == *change.name).cloned();
        let values = before.as_ref().map_or(&[][..], |set| &set.values);
        let text = |value: &String| spelling.text(value);
        let after = TxtSet {
            name: change.name.clone(),
            ttl: before.as_ref().map_or(ttl, |set| set.ttl),
            values: change.apply(values, text, |value| spelling.spell(value)),
        };
        (after.values != values).then_some(Edit { before, after })
    };
    by_name(batch).into_iter().filter_map(edit).collect()
}

/// A TXT record of an API in which every value has an id.
#[derive(Clone, Debug)]
pub(super) struct TxtRecord<I> {
    pub(super) id: I,
    pub(super) name: DnsName,
    /// Seconds.
    pub(super) ttl: u32,
    /// The text, as a batch has it.
    pub(super) value: String,
}

/// A TXT record that has to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NewTxt {
    pub(super) txt: Txt,
    /// That of the other values at the name, where there are some; seconds.
    pub(super) ttl: u32,
}

/// What has to be done so that a batch is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Todo<I> {
    pub(super) create: Vec<NewTxt>,
    pub(super) delete: Vec<I>,
}

impl<I> Todo<I> {
    pub(super) fn is_empty(&self) -> bool {
        self.create.is_empty() && self.delete.is_empty()
    }
}

/// The records that have to be made and deleted so that the batch is done.
///
/// `listed` needs all TXT records at the names of the batch; `ttl` is that of new sets, seconds.
pub(super) fn todo<I: Clone>(listed: &[TxtRecord<I>], batch: &TxtBatch, ttl: u32) -> Todo<I> {
    let mut todo = Todo {
        create: Vec::new(),
        delete: Vec::new(),
    };
    for change in by_name(batch) {
        let at_name: Vec<_> = listed
            .iter()
            .filter(|record| record.name == *change.name)
            .collect();
        let is_there = |value: &str| at_name.iter().any(|record| record.value == value);
        let ttl = at_name.first().map_or(ttl, |record| record.ttl);
        let missing = change.add.iter().filter(|value| !is_there(value));
        let wanted = missing.filter(|value| !change.remove.contains(value));
        todo.create.extend(wanted.map(|value| NewTxt {
            txt: Txt {
                name: change.name.clone(),
                value: (*value).to_owned(),
            },
            ttl,
        }));
        let gone = at_name
            .iter()
            .filter(|record| change.remove.contains(&record.value.as_str()));
        todo.delete.extend(gone.map(|record| record.id.clone()));
    }
    todo
}

/// Looks and writes until nothing is left to do, for APIs that change single values. New ones get `ttl`, seconds.
///
/// `write` answers whether all was as the look had it.
pub(super) async fn settle<I, L, W>(
    batch: &TxtBatch,
    ttl: u32,
    list: impl Fn() -> L,
    write: impl Fn(Todo<I>) -> W,
) -> Result<()>
where
    I: Clone,
    L: Future<Output = Result<Vec<TxtRecord<I>>>>,
    W: Future<Output = Result<bool>>,
{
    let mut rounds = Rounds::default();
    loop {
        let todo = todo(&list().await?, batch, ttl);
        if todo.is_empty() || rounds.settled(write(todo).await).await? {
            return Ok(());
        }
    }
}

/// Counts the rounds of a change, and pauses between them.
#[derive(Debug)]
pub(super) struct Rounds {
    done: u32,
    pause: Duration,
    /// When this round began.
    began: Instant,
}

impl Default for Rounds {
    fn default() -> Self {
        Self {
            done: 0,
            pause: FIRST_PAUSE,
            began: Instant::now(),
        }
    }
}

impl Rounds {
    /// For APIs that change single values: whether the answer settles it.
    ///
    /// `Ok(true)`, or an error that another try cannot mend, comes back. After `Ok(false)` and
    /// after an error that may pass, it pauses and says `false`: look again.
    pub(super) async fn settled(&mut self, written: Result<bool>) -> Result<bool> {
        match written {
            Ok(true) => Ok(true),
            Ok(false) => self.fail(overtaken(), None).await,
            Err(error) => self.pass(error).await,
        }
    }

    /// For APIs that replace whole sets: pauses until a writer who read the set before us has
    /// written, so that the next look sees whose write held.
    ///
    /// Errors that another try cannot mend come back.
    pub(super) async fn look_again(&mut self, written: Result<()>) -> Result<()> {
        if let Err(error) = written {
            return self.pass(error).await.map(|_| ());
        }
        self.done += 1;
        if self.done > ATTEMPTS {
            return Err(overtaken());
        }
        let (least, most) = SETTLE;
        let pause = (self.began.elapsed() * 2).clamp(least, most);
        tokio::time::sleep(jittered(pause)).await;
        self.began = Instant::now();
        Ok(())
    }

    async fn pass(&mut self, error: anyhow::Error) -> Result<bool> {
        let Some(failure) = failure(&error) else {
            return Err(error);
        };
        let may_pass = failure.status.is_none_or(|status| {
            status.is_server_error()
                || [
                    StatusCode::TOO_MANY_REQUESTS,
                    StatusCode::CONFLICT,
                    StatusCode::LOCKED,
                    StatusCode::PRECONDITION_FAILED,
                ]
                .contains(&status)
        });
        let asked = failure.retry_after;
        if !may_pass || asked.is_some_and(|asked| asked > LONGEST_PAUSE) {
            return Err(error);
        }
        self.fail(error, asked).await
    }

    async fn fail(&mut self, error: anyhow::Error, asked: Option<Duration>) -> Result<bool> {
        self.done += 1;
        if self.done > ATTEMPTS {
            return Err(error);
        }
        tokio::time::sleep(jittered(asked.unwrap_or(self.pause))).await;
        self.pause *= 2;
        self.began = Instant::now();
        Ok(false)
    }
}

fn overtaken() -> anyhow::Error {
    with_hint(
        anyhow!("another writer undid the change {ATTEMPTS} times"),
        "look for another program that writes TXT records at the same names",
    )
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn txt(name: &str, value: &str) -> Txt {
        Txt {
            name: name.parse().unwrap(),
            value: value.to_owned(),
        }
    }

    fn set(name: &str, values: &[&str]) -> TxtSet {
        TxtSet {
            name: name.parse().unwrap(),
            ttl: 3600,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        }
    }

    fn record(id: u32, name: &str, value: &str) -> TxtRecord<u32> {
        TxtRecord {
            id,
            name: name.parse().unwrap(),
            ttl: 3600,
            value: value.to_owned(),
        }
    }

    #[test]
    fn values_ttl_and_order_of_a_set_stay() {
        let sets = [set("a.test", &["\"x\"", "\"y\" \"z\""])];
        let batch = TxtBatch {
            add: vec![
                txt("a.test", "new"),
                txt("a.test", "yz"),
                txt("a.test", "new"),
            ],
            remove: vec![txt("a.test", "x"), txt("a.test", "absent")],
        };
        assert_eq!(
            edits(&sets, &batch, Spelling::Quoted, 60),
            [Edit {
                before: Some(sets[0].clone()),
                after: set("a.test", &["\"y\" \"z\"", "\"new\""]),
            }]
        );
    }

    #[test]
    fn sets_come_and_go() {
        let sets = [set("a.test", &["x"]), set("c.test", &["x"])];
        let batch = TxtBatch {
            add: vec![txt("b.test", "x"), txt("c.test", "x")],
            remove: vec![txt("a.test", "x"), txt("d.test", "x")],
        };
        let edits = edits(&sets, &batch, Spelling::Bare, 60);
        let [gone, new] = &edits[..] else {
            panic!("{edits:?}");
        };
        assert_eq!(
            (gone.deletes(), &gone.before),
            (true, &Some(sets[0].clone()))
        );
        assert_eq!((new.deletes(), &new.before), (false, &None));
        assert_eq!(
            (new.after.ttl, &new.after.values[..]),
            (60, &["x".to_owned()][..])
        );
    }

    #[test]
    fn records_are_made_and_deleted_by_value() {
        let listed = [
            record(1, "a.test", "x"),
            record(2, "a.test", "y"),
            record(3, "a.test", "x"),
            record(4, "b.test", "x"),
        ];
        let batch = TxtBatch {
            add: vec![
                txt("a.test", "y"),
                txt("a.test", "new"),
                txt("a.test", "both"),
                txt("c.test", "new"),
            ],
            remove: vec![txt("a.test", "x"), txt("a.test", "both")],
        };
        let new = |name, ttl| NewTxt {
            txt: txt(name, "new"),
            ttl,
        };
        let expected = Todo {
            create: vec![new("a.test", 3600), new("c.test", 60)],
            delete: vec![1, 3],
        };
        assert_eq!(todo(&listed, &batch, 60), expected);
        assert!(todo(&listed, &TxtBatch::default(), 60).is_empty());
    }

    #[tokio::test]
    async fn rounds_end() {
        let mut rounds = Rounds::default();
        let mut count = 0;
        while rounds.look_again(Ok(())).await.is_ok() {
            count += 1;
        }
        assert_eq!(count, ATTEMPTS);
        let error = rounds.look_again(Err(anyhow!("broken"))).await.unwrap_err();
        assert_eq!(error.to_string(), "broken");
        assert!(Rounds::default().settled(Ok(true)).await.unwrap());
    }
}
