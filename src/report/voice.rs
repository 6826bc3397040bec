//! In which form lines go to stderr: for people, for a CI system that shows errors and warnings by themselves, or for
//! programs.

use std::fmt;
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;
use time::OffsetDateTime;

use crate::model::diagnostic::Place;
use crate::report::json::moment;
use crate::report::tame::{tame, tame_json_line};

/// GitHub's runner shows so many annotations of a kind and step, and drops the rest without a word.
const MOST: usize = 10;

/// One stderr, one manner.
static MANNER: OnceLock<Manner> = OnceLock::new();

/// How many annotations of each level were made.
static MADE: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

/// Whether a section is open.
static IS_OPEN: AtomicBool = AtomicBool::new(false);

/// How to speak.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manner {
    pub(crate) form: Form,
    pub(crate) sections: Sections,
    /// Nothing but warnings and errors.
    pub(crate) quiet: bool,
}

/// What a line looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    #[default]
    Plain,
    /// Errors and warnings are annotations, which GitHub's runner (and those of Forgejo and Gitea) shows beside the run.
    ///
    /// <https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands>
    Annotations,
    /// A JSON object a line.
    Json,
}

/// How lines that belong together are folded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sections {
    #[default]
    None,
    GitHub,
    /// <https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections>
    GitLab,
}

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Error,
    Warning,
    Info,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        })
    }
}

/// From now on, until the program ends.
pub(crate) fn set(manner: Manner) {
    // Only `main` calls it.
    let _ = MANNER.set(manner);
}

/// Whether something that moves may be shown to a person.
pub(crate) fn may_move() -> bool {
    let manner = manner();
    !manner.quiet && manner.form != Form::Json
}

fn manner() -> Manner {
    MANNER.get().copied().unwrap_or_default()
}

/// Text of one or more lines, as it goes to stderr.
pub(crate) fn line(level: Level, text: &str) -> String {
    line_at(level, &Place::default(), text)
}

/// The same about a place in a file, at which CI systems show it.
pub(crate) fn line_at(level: Level, place: &Place, text: &str) -> String {
    let Manner { form, quiet, .. } = manner();
    match (form, level) {
        (_, Level::Info) if quiet => String::new(),
        (Form::Json, _) => object(level, &placed(place, text), OffsetDateTime::now_utc()),
        (Form::Annotations, Level::Error | Level::Warning) => {
            let made = MADE.get(level as usize);
            let before = made.map_or(0, |made| made.fetch_add(1, Ordering::Relaxed));
            annotation(level, place, text, before)
        }
        _ => plain(level, &placed(place, text)),
    }
}

fn placed(place: &Place, text: &str) -> String {
    match place.to_string() {
        place if place.is_empty() => text.to_owned(),
        place => format!("{place}: {text}"),
    }
}

fn plain(level: Level, text: &str) -> String {
    match level {
        Level::Info => format!("{}\n", tame(text)),
        _ => format!("{level}: {}\n", tame(text)),
    }
}

fn object(level: Level, text: &str, now: OffsetDateTime) -> String {
    // As the log library spells them.
    let level = match level {
        Level::Error => "ERROR",
        Level::Warning => "WARN",
        Level::Info => "INFO",
    };
    let object = json!({"timestamp": moment(now), "level": level, "message": text});
    tame_json_line(&object)
}

/// The last one that the runner would show says that there are more; those stand in the log alone.
fn annotation(level: Level, place: &Place, text: &str, before: usize) -> String {
    let in_log = plain(level, &placed(place, text));
    match before + 1 {
        ..MOST => command(level, place, text),
        MOST => {
            let more = format!("there are more {level}s: see the log");
            command(level, &Place::default(), &more) + &in_log
        }
        _ => in_log,
    }
}

fn command(level: Level, place: &Place, text: &str) -> String {
    let escape = |text: &str| {
        let text = tame(text).replace('%', "%25");
        text.replace('\r', "%0D").replace('\n', "%0A")
    };
    let property = |text: &str| escape(text).replace(':', "%3A").replace(',', "%2C");
    let file = place.path.iter();
    let file = file.map(|path| format!("file={},", property(path)));
    let spot = place.spot.into_iter();
    let spot = spot.map(|spot| {
        let column = spot.column.map(|column| format!("col={column},"));
        format!("line={},{}", spot.line, column.unwrap_or_default())
    });
    let place: String = file.chain(spot).collect();
    format!("::{level} {place}title=git-certs::{}\n", escape(text))
}

/// From here on lines are folded under `title`, where the CI system can.
pub(crate) fn open_section(title: &str) {
    let begin = match manner().sections {
        _ if !may_move() => return,
        Sections::None => return,
        Sections::GitHub => format!("::group::{title}\n"),
        Sections::GitLab => {
            let now = OffsetDateTime::now_utc().unix_timestamp();
            format!("\x1b[0Ksection_start:{now}:git_certs[collapsed=true]\r\x1b[0K{title}\n")
        }
    };
    IS_OPEN.store(true, Ordering::Relaxed);
    write(&begin);
}

/// Ends what was folded: what comes now is what people look for.
pub(crate) fn close_section() {
    if !IS_OPEN.swap(false, Ordering::Relaxed) {
        return;
    }
    write(&match manner().sections {
        Sections::None => String::new(),
        Sections::GitHub => "::endgroup::\n".to_owned(),
        Sections::GitLab => {
            let now = OffsetDateTime::now_utc().unix_timestamp();
            format!("\x1b[0Ksection_end:{now}:git_certs\r\x1b[0K\n")
        }
    });
}

/// Writes to stderr. Nobody is left to tell when it is closed.
pub(crate) fn write(lines: &str) {
    let _ = std::io::stderr().write_all(lines.as_bytes());
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use time::macros::datetime;

    use super::*;
    use crate::model::diagnostic::Spot;

    #[test]
    fn a_text_cannot_become_another_command() {
        assert_eq!(
            command(
                Level::Error,
                &Place::default(),
                "100 % bad\n::set-output name=a::b\u{1b}[31m"
            ),
            "::error title=git-certs::100 %25 bad%0A\\::set-output name=a::b\\u{1b}[31m\n"
        );
    }

    #[test]
    fn an_annotation_stands_at_its_place() {
        let spot = Spot {
            line: 3,
            column: Some(5),
        };
        let place = Place::at("a,b:c\n.json", Some(spot));
        assert_eq!(
            command(Level::Warning, &place, "old"),
            "::warning file=a%2Cb%3Ac%0A.json,line=3,col=5,title=git-certs::old\n"
        );
        assert_eq!(
            command(Level::Error, &Place::at("x", Some(Spot::line(2))), "old"),
            "::error file=x,line=2,title=git-certs::old\n"
        );
    }

    #[test]
    fn only_as_many_annotations_as_are_shown_are_made() {
        let made = |before| annotation(Level::Warning, &Place::default(), "old", before);
        assert_eq!(made(8), "::warning title=git-certs::old\n");
        assert_eq!(
            made(9),
            "::warning title=git-certs::there are more warnings: see the log\nwarning: old\n"
        );
        assert_eq!(made(10), "warning: old\n");
    }

    #[test]
    fn an_object_is_one_line() {
        assert_eq!(
            object(
                Level::Info,
                "a\n\"b\" ##[error]",
                datetime!(2026-11-26 10:00:00 UTC)
            ),
            "{\"timestamp\":\"2026-11-26T10:00:00Z\",\"level\":\"INFO\",\"message\":\"a\\n\\\"b\\\" ##\\u005berror]\"}\n"
        );
    }
}
