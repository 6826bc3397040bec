//! Evaluates dnsconfig.js in `QuickJS`, within limits on memory, time and stack.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use rquickjs::context::EvalOptions;
use rquickjs::{Context, Ctx, FromJs, Function, Object, Persistent, Runtime, Value};

use crate::dnscontrol::confinement::confine;
use crate::dnscontrol::failure::Failure;
use crate::dnscontrol::files::{Files, Loaded};
use crate::dnscontrol::memory::Memory;
use crate::dnscontrol::natives::{Surroundings, natives};
use crate::dnscontrol::stringify::stringify;

const UNDERSCORE: &str = include_str!("underscore.js");
const HELPERS: &str = include_str!("helpers.js");
const RECORDS: &str = include_str!("records.js");
const BUILDERS: &str = include_str!("builders.js");

/// Native stack beyond what scripts may use: for the natives and for unwinding.
const STACK_MARGIN: usize = 2 << 20;

/// How much longer than the time limit the engine may take to notice it.
///
/// `QuickJS` asks in loops, calls and regular expressions, but not inside every built-in function.
const GRACE: Duration = Duration::from_secs(2);

/// What a script may use: by default 1 GiB, one minute and 8 MiB of stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes.
    pub(crate) memory: usize,
    pub(crate) time: Duration,
    /// Bytes of native stack.
    pub(crate) stack: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 1 << 30,
            time: Duration::from_mins(1),
            stack: 8 << 20,
        }
    }
}

/// A configuration to evaluate.
#[derive(Clone, Debug)]
pub(super) struct Script {
    /// The DNS repository.
    pub(super) root: PathBuf,
    /// Relative to `root`, or absolute.
    pub(super) config: PathBuf,
    /// Become global strings before the script runs.
    pub(super) variables: Vec<(String, String)>,
    /// Records and domains say where they are declared. It takes time: with the square of the length of
    /// a script, because the engine looks for each line from the start.
    pub(super) positions: bool,
    /// `fetch()` and `FETCH()` are there.
    pub(super) allow_fetch: bool,
    pub(super) limits: Limits,
}

/// Runs the script and hands over what it declares, as JSON: first the IR without its domains, then
/// lists of domains.
///
/// Blocks for at most the time limit and a little. The engine has a thread of its own, with a
/// stack that fits the limit; a script that hides in a built-in function is left behind in it.
/// `take` is called here, while the engine goes on. After an error, nothing that was handed over counts.
pub(super) fn evaluate(script: &Script, mut take: impl FnMut(String)) -> Result<()> {
    let largest = script.limits.memory;
    let receiver = start(script, move |kit, teller| tell_result(kit, teller, largest))?;
    let about = || format!("cannot evaluate `{}`", script.config.display());
    let limits = script.limits;
    let started = Instant::now();
    let patience = limits.time.saturating_add(GRACE);
    loop {
        match receiver.recv_timeout(patience.saturating_sub(started.elapsed())) {
            Ok(Told::Part(text)) => take(text),
            Ok(Told::End(outcome)) => return outcome,
            Err(RecvTimeoutError::Timeout) => {
                return Err(Failure::timeout(limits).into_error()).with_context(about);
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(anyhow!("the script engine ended early")).with_context(about);
            }
        }
    }
}

/// Runs the script, drops what it declares, and waits until the engine is gone.
#[cfg(feature = "fuzzing")]
pub(super) fn evaluate_only(script: &Script) -> Result<()> {
    let receiver = start(script, |_, _| Ok(()))?;
    match receiver.iter().last() {
        Some(Told::End(outcome)) => outcome,
        _ => Err(anyhow!("the script engine ended early")),
    }
}

/// Tells the parts of the result, each of at most `largest` bytes.
fn tell_result<'js>(kit: &Object<'js>, teller: &Teller, largest: usize) -> rquickjs::Result<()> {
    let parts = teller.clone();
    let take = Function::new(kit.ctx().clone(), move |value: Value<'js>| {
        parts.tell(Told::Part(stringify(&value, largest)?));
        Ok::<_, rquickjs::Error>(())
    })?;
    kit.get::<_, Function<'_>>("result")?.call((take,))
}

/// What the thread of the engine says.
enum Told {
    Part(String),
    End(Result<()>),
}

/// Where the thread of the engine says it.
#[derive(Clone)]
struct Teller(Sender<Told>);

impl Teller {
    fn tell(&self, told: Told) {
        // The receiver is gone only after the time limit, and then nobody wants the answer.
        drop(self.0.send(told));
    }
}

/// Starts the engine, on a thread of its own. What it says ends with its heap.
fn start(
    script: &Script,
    result: impl FnOnce(&Object<'_>, &Teller) -> rquickjs::Result<()> + Send + 'static,
) -> Result<Receiver<Told>> {
    let (sender, receiver) = mpsc::channel();
    let teller = Teller(sender);
    let script = script.clone();
    thread::Builder::new()
        .name("dnsconfig".to_owned())
        .stack_size(script.limits.stack.saturating_add(STACK_MARGIN))
        .spawn(move || {
            tracing::debug!("{}", confine());
            if let Err(error) = run(&script, &teller, result) {
                teller.tell(Told::End(Err(error)));
            }
        })
        .context("cannot start a thread for the script engine")?;
    Ok(receiver)
}

/// Runs the script, and then `result` with what helpers.js shares. Tells the end, unless it is an error
/// of the preparations, which comes back.
fn run(
    script: &Script,
    teller: &Teller,
    result: impl FnOnce(&Object<'_>, &Teller) -> rquickjs::Result<()>,
) -> Result<()> {
    let limits = script.limits;
    let (files, main) = Files::open(&script.root, &script.config, limits.memory)?;
    let about = || format!("cannot evaluate `{}`", script.config.display());
    let memory = Memory::new(limits.memory);
    let watch = Rc::new(Watch {
        end: Instant::now() + limits.time,
        late: Cell::new(false),
        used_up: memory.used_up(),
    });
    let runtime = Runtime::new_with_alloc(memory).with_context(about)?;
    runtime.set_max_stack_size(limits.stack);
    let interrupting = Rc::clone(&watch);
    runtime.set_interrupt_handler(Some(Box::new(move || interrupting.is_over())));
    let rejections = watch_promises(&runtime, limits);
    let context = Context::full(&runtime).with_context(about)?;
    let files = Rc::new(files);
    let failed = |error: rquickjs::Error| {
        context.with(|ctx| {
            let failure = Failure::describe(&ctx, &error, limits);
            // To describe it may have run the script's code.
            watch
                .over_all(failure, limits)
                .or_in(files.failed())
                .into_error()
        })
    };
    let outcome = context
        .with(|ctx| {
            let kit = evaluate_in(&ctx, script, (&files, &main), &watch)?;
            Ok(Persistent::save(&ctx, kit))
        })
        .and_then(|kit| {
            finish_jobs(&runtime, &context, &kit, &watch)?;
            context.with(|ctx| result(&kit.restore(&ctx)?, teller))?;
            if watch.is_over() {
                return Err(rquickjs::Error::Exception);
            }
            Ok(())
        })
        .map_err(failed);
    let outcome = outcome.and_then(|()| match rejections.take().into_iter().next() {
        Some(failure) => Err(failure.into_error()),
        None => Ok(()),
    });
    // Nobody has to wait until the heap of a large configuration is taken down.
    teller.tell(Told::End(outcome.with_context(about)));
    Ok(())
}

/// Collects what promises were rejected with while nobody handled it.
fn watch_promises(runtime: &Runtime, limits: Limits) -> Rc<RefCell<Vec<Failure>>> {
    let rejections = Rc::new(RefCell::new(Vec::new()));
    let collected = Rc::clone(&rejections);
    runtime.set_host_promise_rejection_tracker(Some(Box::new(
        move |ctx, _promise, reason, handled| {
            let failure = Failure::of(&ctx, &reason, limits);
            let mut collected = collected.borrow_mut();
            // A handler may come after the rejection.
            if handled {
                let found = collected.iter().position(|earlier| *earlier == failure);
                found.map(|index| collected.remove(index));
            } else {
                collected.push(failure);
            }
        },
    )));
    rejections
}

fn evaluate_in<'js>(
    ctx: &Ctx<'js>,
    script: &Script,
    (files, main): (&Rc<Files>, &Loaded),
    watch: &Watch,
) -> rquickjs::Result<Object<'js>> {
    for (name, value) in &script.variables {
        ctx.globals().set(name.as_str(), value.as_str())?;
    }
    let globals = ctx.globals();
    let prelude = |name: &str, source: &str| eval::<Function<'_>>(ctx, name, source);
    prelude("<underscore>", UNDERSCORE)?.call::<_, ()>((globals.clone(),))?;
    let surroundings = Surroundings {
        files: Rc::clone(files),
        positions: script.positions,
        fetch_until: script.allow_fetch.then_some(watch.end),
        largest_answer: script.limits.memory,
    };
    let kit: Object<'_> =
        prelude("<helpers>", HELPERS)?.call((globals.clone(), natives(ctx, &surroundings)?))?;
    prelude("<records>", RECORDS)?.call::<_, ()>((globals.clone(), kit.clone()))?;
    prelude("<builders>", BUILDERS)?.call::<_, ()>((globals, kit.clone()))?;
    run_file::<Value<'_>>(ctx, files, main)?;
    Ok(kit)
}

/// Runs what the script left for later: promises and timers.
///
/// A job that fails is one that had no memory left even to say so, or one that nobody waits for.
fn finish_jobs(
    runtime: &Runtime,
    context: &Context,
    kit: &Persistent<Object<'static>>,
    watch: &Watch,
) -> rquickjs::Result<()> {
    let run_timer = || {
        context.with(|ctx| {
            let kit = kit.clone().restore(&ctx)?;
            kit.get::<_, Function<'_>>("runTimer")?.call::<_, bool>(())
        })
    };
    // A job or a promise swallows its interruption.
    while !watch.is_over() {
        match runtime.execute_pending_job() {
            Ok(true) => {}
            Ok(false) if run_timer()? => {}
            Ok(false) => return Ok(()),
            Err(_) => break,
        }
    }
    Err(rquickjs::Error::Exception)
}

/// Evaluates a script in the global scope, sloppy: `var`s and undeclared variables leak, as
/// configurations expect.
pub(super) fn eval<'js, V: FromJs<'js>>(
    ctx: &Ctx<'js>,
    name: &str,
    source: &str,
) -> rquickjs::Result<V> {
    let mut options = EvalOptions::default();
    options.global = true;
    options.strict = false;
    options.filename = Some(name.to_owned());
    ctx.eval_with_options(source, options)
}

pub(super) fn run_file<'js, V: FromJs<'js>>(
    ctx: &Ctx<'js>,
    files: &Files,
    file: &Loaded,
) -> rquickjs::Result<V> {
    files.enter(file);
    let result = eval(ctx, &file.shown, &file.text);
    files.leave(file, result.is_ok());
    result
}

/// The limits on time and memory. Once one is reached, the script has failed, whatever it makes of it.
struct Watch {
    end: Instant,
    late: Cell<bool>,
    used_up: Rc<Cell<bool>>,
}

impl Watch {
    fn is_over(&self) -> bool {
        let late = self.late.get() || Instant::now() > self.end;
        self.late.set(late);
        late || self.used_up.get()
    }

    /// The place of a failure, with the limit that was reached as its reason where one was.
    fn over_all(&self, failure: Failure, limits: Limits) -> Failure {
        if self.used_up.get() {
            failure.because(Failure::memory(limits))
        } else if self.late.get() {
            failure.because(Failure::timeout(limits))
        } else {
            failure
        }
    }
}
