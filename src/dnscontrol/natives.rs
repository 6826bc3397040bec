//! What helpers.js gets from this program.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use aws_lc_rs::digest;
use rquickjs::function::Rest;
use rquickjs::{Coerced, Ctx, Function, Object, Value};

use crate::dnscontrol::engine::{eval, run_file};
use crate::dnscontrol::failure::{places, throw};
use crate::dnscontrol::fetch::{self, Question};
use crate::dnscontrol::files::{Files, Loaded};
use crate::dnscontrol::reverse::{self, Mode};

/// What a script can reach.
pub(super) struct Surroundings {
    pub(super) files: Rc<Files>,
    /// Records get the place of their declaration.
    pub(super) positions: bool,
    /// The network is there until then; none if it is not allowed.
    pub(super) fetch_until: Option<Instant>,
    /// Bytes.
    pub(super) largest_answer: usize,
}

/// The functions that helpers.js is written with.
pub(super) fn natives<'js>(
    ctx: &Ctx<'js>,
    surroundings: &Surroundings,
) -> rquickjs::Result<Object<'js>> {
    let natives = Object::new(ctx.clone())?;
    set_files(&natives, ctx, &surroundings.files)?;
    set_reverse(&natives, ctx)?;
    natives.set("positions", surroundings.positions)?;
    natives.set("position", Function::new(ctx.clone(), position)?)?;
    natives.set("hash", Function::new(ctx.clone(), hash)?)?;
    natives.set("log", Function::new(ctx.clone(), log)?)?;
    if let Some(until) = surroundings.fetch_until {
        let largest = surroundings.largest_answer;
        natives.set(
            "fetch",
            Function::new(
                ctx.clone(),
                move |ctx: Ctx<'js>, url, method, headers, body| {
                    let question = Question {
                        url,
                        method,
                        headers,
                        body,
                    };
                    fetch(&ctx, question, until, largest)
                },
            )?,
        )?;
    }
    Ok(natives)
}

fn set_files<'js>(
    natives: &Object<'js>,
    ctx: &Ctx<'js>,
    files: &Rc<Files>,
) -> rquickjs::Result<()> {
    let requiring = Rc::clone(files);
    natives.set(
        "require",
        Function::new(ctx.clone(), move |ctx: Ctx<'js>, path: String| {
            require(&ctx, &requiring, &path)
        })?,
    )?;
    let globbing = Rc::clone(files);
    natives.set(
        "glob",
        Function::new(
            ctx.clone(),
            move |ctx: Ctx<'js>, folder: String, recursive: bool, extension: String| {
                globbing
                    .glob(&folder, recursive, &extension)
                    .map_err(|error| throw(&ctx, &format!("{error:#}")))
            },
        )?,
    )
}

fn set_reverse<'js>(natives: &Object<'js>, ctx: &Ctx<'js>) -> rquickjs::Result<()> {
    // None until `REVCOMPAT()` says something.
    let mode: Rc<Cell<Option<Mode>>> = Rc::default();
    let chosen = Rc::clone(&mode);
    natives.set(
        "reverse",
        Function::new(ctx.clone(), move |ctx: Ctx<'js>, network: String| {
            reverse::zone(&network, chosen.get().unwrap_or_default())
                .map_err(|error| throw(&ctx, &format!("REV: {error:#}")))
        })?,
    )?;
    natives.set(
        "reverseMode",
        Function::new(ctx.clone(), move |ctx: Ctx<'js>, name: String| {
            if mode.get().is_some() {
                return Err(throw(&ctx, "REVCOMPAT can be called only once"));
            }
            let named = Mode::named(&name)
                .map_err(|error| throw(&ctx, &format!("REVCOMPAT: {error:#}")))?;
            mode.set(Some(named));
            Ok(())
        })?,
    )
}

/// Where the user's scripts stand: the innermost place, and on a second line the outermost.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the engine passes arguments by value"
)]
fn position(stack: String) -> String {
    let mut places = places(&stack);
    let innermost = places.next().unwrap_or_default();
    match places.last() {
        Some(outermost) if outermost != innermost => format!("{innermost}\n{outermost}"),
        _ => innermost.to_owned(),
    }
}

fn fetch<'js>(
    ctx: &Ctx<'js>,
    question: Question,
    until: Instant,
    largest: usize,
) -> rquickjs::Result<Object<'js>> {
    let url = question.url.clone();
    let answer = fetch::fetch(question, until, largest)
        .map_err(|error| throw(ctx, &format!("cannot fetch `{url}`: {error:#}")))?;
    let object = Object::new(ctx.clone())?;
    object.set("url", answer.url)?;
    object.set("status", answer.status)?;
    object.set("statusText", answer.reason)?;
    object.set("headers", answer.headers)?;
    object.set("body", answer.body)?;
    Ok(object)
}

fn require<'js>(ctx: &Ctx<'js>, files: &Files, path: &str) -> rquickjs::Result<Value<'js>> {
    let file = files
        .require(path)
        .map_err(|error| throw(ctx, &format!("{error:#}")))?;
    let extension = Path::new(&file.shown).extension().unwrap_or_default();
    let extension = extension.to_string_lossy().to_lowercase();
    if extension.ends_with("json") || extension.ends_with("json5") {
        return json(ctx, &file);
    }
    run_file::<Value<'js>>(ctx, files, &file)?;
    Ok(Value::new_bool(ctx.clone(), true))
}

/// The value of a JSON file. Comments, trailing commas and the rest of JSON5 are allowed: what is
/// not plain JSON is evaluated as an expression.
fn json<'js>(ctx: &Ctx<'js>, file: &Loaded) -> rquickjs::Result<Value<'js>> {
    if serde_json::from_str::<serde::de::IgnoredAny>(&file.text).is_ok() {
        return ctx.json_parse(file.text.as_str());
    }
    let expression = format!("JSON.parse(JSON.stringify({}\n))", file.text);
    eval(ctx, &file.shown, &expression)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the engine passes arguments by value"
)]
fn hash(ctx: Ctx<'_>, algorithm: String, text: String) -> rquickjs::Result<String> {
    let chosen = match algorithm.as_str() {
        "SHA1" | "sha1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        "SHA256" | "sha256" => &digest::SHA256,
        "SHA512" | "sha512" => &digest::SHA512,
        _ => {
            return Err(throw(
                &ctx,
                &format!("HASH: `{algorithm}` is none of SHA1, SHA256 and SHA512"),
            ));
        }
    };
    let bytes = digest::digest(chosen, text.as_bytes());
    let hexadecimal = |byte: &u8| format!("{byte:02x}");
    Ok(bytes
        .as_ref()
        .iter()
        .map(hexadecimal)
        .collect::<Vec<_>>()
        .concat())
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the engine passes arguments by value"
)]
fn log(level: String, words: Rest<Coerced<String>>) {
    let words: Vec<&str> = words.iter().map(|word| word.0.as_str()).collect();
    let message = words.join(" ");
    match level.as_str() {
        "error" => tracing::error!(target: "dnsconfig", "{message}"),
        "warn" => tracing::warn!(target: "dnsconfig", "{message}"),
        "debug" => tracing::debug!(target: "dnsconfig", "{message}"),
        _ => tracing::info!(target: "dnsconfig", "{message}"),
    }
}
