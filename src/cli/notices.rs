//! `--notify`: who is told of a run, and when.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};

use crate::cli::config;
use crate::cli::environment;
use crate::cli::settings::Settings;
use crate::dnscontrol::{self, Source};
use crate::model::hint::{Hint, with_hint};
use crate::model::outcome::Outcome;
use crate::model::secret::Secret;
use crate::net::http::Http;
use crate::nightly::job::Job;
use crate::nightly::workspaces::blocking;
use crate::report::notice::Notice;
use crate::report::notify::{self, Kind, Service};
use crate::report::{masks, terminal};

/// Each service has a variable with its address.
const VARIABLES: [(&str, Kind); 8] = [
    (environment::NOTIFY_SLACK, Kind::Slack),
    (environment::NOTIFY_MATTERMOST, Kind::Mattermost),
    (environment::NOTIFY_DISCORD, Kind::Discord),
    (environment::NOTIFY_TEAMS, Kind::Teams),
    (environment::NOTIFY_TELEGRAM, Kind::Telegram),
    (environment::NOTIFY_MATRIX, Kind::Matrix),
    (environment::NOTIFY_WEBHOOK, Kind::Webhook),
    (environment::NOTIFY_MAIL, Kind::Mail),
];

/// Tells people, if that is wanted. What goes wrong is a warning.
pub(super) struct Notices {
    /// None where nobody is to be told.
    http: Option<Http>,
    /// Where creds.json is, once that is known.
    dns: Option<Source>,
}

impl Notices {
    /// Before the repositories are open: only flags and environment can have said it.
    pub(super) fn early(settings: &Settings, is_dry: bool) -> Self {
        let is_wanted = settings.notify == Some(true) && !is_dry;
        Self {
            http: is_wanted.then(|| config::http(settings).ok()).flatten(),
            dns: None,
        }
    }

    pub(super) fn of(job: &Job) -> Self {
        Self {
            http: job.notify.then(|| job.http.clone()),
            dns: Some(job.dns.clone()),
        }
    }

    /// Tells that there was no run, if it is so.
    pub(super) async fn or_tell<T>(&self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result {
            self.send(&Notice::could_not_run(error, &by())).await;
        }
        result
    }

    /// Tells what came of the run, if it matters.
    pub(super) async fn tell(&self, outcome: &Outcome) {
        if let Some(notice) = Notice::of(outcome, &by()) {
            self.send(&notice).await;
        }
    }

    async fn send(&self, notice: &Notice) {
        let Some(http) = &self.http else {
            return;
        };
        let (services, mut failed) = self.services().await;
        if services.is_empty() && failed.is_empty() {
            failed.push(with_hint(
                anyhow!("`--notify` has nobody to tell"),
                "set GIT_CERTS_NOTIFY_SLACK or another variable of docs/notify.md, or `notifications` in creds.json",
            ));
        }
        // Another one for each run.
        let id = environment::this_run().id;
        failed.extend(notify::send(http, &services, notice, &id).await);
        failed.iter().for_each(terminal::print_error_as_warning);
    }

    /// Those of the variables, then those of creds.json.
    async fn services(&self) -> (Vec<Service>, Vec<anyhow::Error>) {
        let variables = VARIABLES.into_iter().filter_map(|(name, kind)| {
            let address = environment::secret(name)?;
            Some(Service::new(kind, name, &address))
        });
        let mut all: Vec<_> = variables.collect();
        if let Some(source) = self.dns.clone() {
            match blocking(move || dnscontrol::notifications(&source)).await {
                Ok(fields) => all.extend(of_get_certs(&fields)),
                Err(error) => all.push(Err(error.context("cannot read whom to notify"))),
            }
        }
        let mut services = Vec::new();
        let mut failed = Vec::new();
        for service in all {
            match service {
                Ok(service) => services.push(service),
                Err(error) => failed.push(error),
            }
        }
        (services, failed)
    }
}

/// Where the run runs.
fn by() -> String {
    environment::this_run().by
}

/// The entry `notifications`, as get-certs read it.
fn of_get_certs(fields: &BTreeMap<String, String>) -> Vec<Result<Service>> {
    let mut all = Vec::new();
    let field = |name: &str| fields.get(name).map(String::as_str);
    let mut add = |kind: Kind, name: &str, address: String| {
        masks::mask(address.as_bytes());
        all.push(Service::new(kind, name, &Secret::from(address)));
    };
    for (name, kind) in [("slack_url", Kind::Slack), ("teams_url", Kind::Teams)] {
        if let Some(url) = field(name) {
            add(kind, name, url.to_owned());
        }
    }
    if let (Some(token), Some(chat)) = (field("telegram_bot_token"), field("telegram_chat_id")) {
        masks::mask(token.as_bytes());
        let chat: String = url::form_urlencoded::byte_serialize(chat.as_bytes()).collect();
        let address = format!("https://api.telegram.org/bot{token}/sendMessage?chat_id={chat}");
        add(Kind::Telegram, "telegram_bot_token", address);
    }
    for name in ["bonfire_url", "shoutrrr_url"] {
        if fields.contains_key(name) {
            let unknown = Err(anyhow!(
                "`{name}` in `notifications` of creds.json is not supported"
            ));
            all.push(unknown.hint(|| {
                "set the variable of the service, such as GIT_CERTS_NOTIFY_DISCORD: docs/notify.md lists them"
            }));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn the_entry_of_get_certs_names_services() {
        let fields = [
            ("slack_url", "https://hooks.slack.test/x"),
            ("teams_url", "not a URL"),
            ("telegram_bot_token", "1:hidden"),
            ("telegram_chat_id", "@my channel"),
            ("shoutrrr_url", "discord://hidden@1"),
            ("notify_on_push", "true"),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let said: Vec<_> = of_get_certs(&fields.into())
            .into_iter()
            .map(|service| match service {
                Ok(service) => format!("{service:?}"),
                Err(error) => error.to_string(),
            })
            .collect();
        assert_eq!(
            said,
            [
                "Service(Slack, slack_url)",
                "`teams_url` is not a URL",
                "Service(Telegram, telegram_bot_token)",
                "`shoutrrr_url` in `notifications` of creds.json is not supported",
            ]
        );
        assert_eq!(of_get_certs(&BTreeMap::new()).len(), 0);
    }
}
