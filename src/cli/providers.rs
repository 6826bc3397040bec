//! `providers`: the registry for readers, as text and as docs/providers.md.

use anyhow::{Result, anyhow};

use crate::model::hint::with_hint;
use crate::provider::dnscontrol_binary::NOTES;
use crate::provider::registry::{Field, PROVIDERS, Spec};

/// What stands after the list.
const OTHERS: &str = "every other provider of DNSControl";

/// A heading, the kind and the name of each provider, then its fields and notes.
pub(super) fn text() -> String {
    let mut all: Vec<String> = PROVIDERS.iter().map(|spec| text_of(spec)).collect();
    let notes: String = NOTES.iter().map(|note| format!("  - {note}\n")).collect();
    all.push(format!("{OTHERS}: through `dnscontrol`\n{notes}"));
    all.join("\n")
}

/// The provider of a TYPE, in whatever case.
pub(super) fn find(kind: &str) -> Result<&'static Spec> {
    let mut all = PROVIDERS.iter();
    let found = all.find(|spec| spec.kind.eq_ignore_ascii_case(kind));
    found.copied().ok_or_else(|| {
        let kinds: Vec<_> = PROVIDERS.iter().map(|spec| spec.kind).collect();
        with_hint(
            anyhow!("git-certs does not speak to DNS provider `{kind}` by itself"),
            format!(
                "it speaks to {}; to others through `dnscontrol`",
                kinds.join(", ")
            ),
        )
    })
}

/// One provider: what it is called, its fields, the least rights, notes.
pub(super) fn text_of(spec: &Spec) -> String {
    let width = spec.fields.iter().map(|field| field.key.len()).max();
    let width = width.unwrap_or_default();
    let mut text = format!("{}: {}\n  {}\n", spec.kind, spec.name, spec.api);
    for field in spec.fields {
        let Field { key, help, .. } = field;
        text += &format!("  {key:<width$}  {}{help}\n", mark(field));
    }
    text += &format!("  - {}\n", rights(spec));
    for note in spec.notes {
        text += &format!("  - {note}\n");
    }
    text
}

/// What the credentials must be allowed to do, and no more.
fn rights(spec: &Spec) -> String {
    format!("least rights: {}", spec.scope)
}

fn mark(field: &Field) -> &'static str {
    if field.required { "(required) " } else { "" }
}

const INTRODUCTION: &str = "# DNS providers

What git-certs speaks to, by the `TYPE` of an entry in `creds.json`. The fields are DNSControl's, and a value
that starts with `$` is taken from the environment, as there. `_base_url` in an entry sends its requests to another address, for a proxy or a
test. `git certs providers` prints this as text.
";

/// The whole of docs/providers.md.
pub(super) fn markdown() -> String {
    let mut text = INTRODUCTION.to_owned();
    for spec in PROVIDERS {
        text += &markdown_of(spec);
    }
    let notes: String = NOTES.iter().map(|note| format!("- {note}\n")).collect();
    text + &format!(
        "\n## Others\n\n{OTHERS}, through `dnscontrol`: <https://docs.dnscontrol.org/commands/preview-push>\n\n{notes}"
    )
}

/// The same as Markdown.
pub(super) fn markdown_of(spec: &Spec) -> String {
    let Spec {
        kind, name, api, ..
    } = spec;
    let mut text = format!("\n## {kind}\n\n{name}: <{api}>\n");
    if !spec.fields.is_empty() {
        text += "\n| field | needed | meaning |\n| --- | --- | --- |\n";
    }
    for Field {
        key,
        required,
        help,
    } in spec.fields
    {
        let needed = if *required { "yes" } else { "" };
        let help = help.replace('|', "\\|");
        text += &format!("| `{key}` | {needed} | {help} |\n");
    }
    text += &format!("\n- {}\n", rights(spec));
    for note in spec.notes {
        text += &format!("- {note}\n");
    }
    text
}
