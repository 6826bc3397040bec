//! Mail, by a server that takes it (SMTP submission, RFC 6409).

use std::borrow::Cow;

use anyhow::{Context, Result, anyhow};
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use url::Url;

use crate::model::hint::Hint;
use crate::report::notice::Notice;
use crate::report::notify::{is_here, plain};

/// What the address looks like.
const FORM: &str = "it is `smtps://USER:PASSWORD@SERVER?from=ADDRESS&to=ADDRESS`, with `%40` for a `@` in USER or PASSWORD; `smtp://` \
                    for STARTTLS on port 587";

/// Ports of RFC 8314 and RFC 6409.
const IMPLICIT_TLS: u16 = 465;
const SUBMISSION: u16 = 587;

/// TLS is verified, and done without on this machine alone.
pub(super) async fn send(address: &Url, notice: &Notice) -> Result<()> {
    let message = message(address, notice).hint(|| FORM)?;
    let host = address.host_str().unwrap_or_default();
    let parameters = || {
        TlsParameters::builder(host.to_owned())
            .build_rustls()
            .context("cannot set up TLS")
    };
    let (tls, port) = match address.scheme() {
        "smtps" => (Tls::Wrapper(parameters()?), IMPLICIT_TLS),
        _ if is_here(address) => (Tls::None, SUBMISSION),
        _ => (Tls::Required(parameters()?), SUBMISSION),
    };
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
        .port(address.port().unwrap_or(port))
        .tls(tls)
        .hello_name(ClientId::Domain(sender_domain(&message)));
    if let Some(password) = address.password() {
        let credentials = Credentials::new(plain(address.username()), plain(password));
        transport = transport.credentials(credentials);
    }
    // What the server says is no secret, but may repeat who logs in.
    let sent = transport.build().send(message).await;
    sent.map(|_| ()).map_err(|error| refused(&error))
}

fn refused(error: &lettre::transport::smtp::Error) -> anyhow::Error {
    match error.status() {
        Some(code) => anyhow!("the server refuses it with {code}"),
        // What rustls says of a certificate comes as an error of the connection.
        None if error.is_tls() || says(error, "certificate") => {
            anyhow!("the server's certificate is not trusted, or it has no TLS")
        }
        None if says(error, "STARTTLS") => {
            anyhow!("the server offers no TLS, and nothing is sent without")
        }
        None if error.is_timeout() => anyhow!("the server does not answer"),
        None => anyhow!("the server cannot be reached, or does not speak SMTP"),
    }
}

/// Whether a cause has a word in it.
fn says(error: &lettre::transport::smtp::Error, word: &str) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if current.to_string().contains(word) {
            return true;
        }
        cause = current.source();
    }
    false
}

fn message(address: &Url, notice: &Notice) -> Result<Message> {
    let all = |wanted: &str| -> Vec<String> {
        let pairs = address.query_pairs().filter(|(name, _)| name == wanted);
        let values = pairs.map(|(_, value): (_, Cow<'_, str>)| value.into_owned());
        let values: Vec<_> = values.collect();
        let each = values.iter().flat_map(|value| value.split(','));
        each.map(|value| value.trim().to_owned()).collect()
    };
    let mailbox = |text: &String| {
        let parsed = text.parse::<Mailbox>();
        parsed.map_err(|_| anyhow!("`{text}` is no address of mail"))
    };
    let from = all("from");
    let from = from
        .first()
        .ok_or_else(|| anyhow!("the address has no `from`"))?;
    let mut message = Message::builder()
        .from(mailbox(from)?)
        .subject(notice.title.clone());
    let to = all("to");
    if to.is_empty() {
        return Err(anyhow!("the address has no `to`"));
    }
    for one in &to {
        message = message.to(mailbox(one)?);
    }
    message
        .body(format!("{}\n", notice.body()))
        .context("cannot write the mail")
}

fn sender_domain(message: &Message) -> String {
    let from = message.envelope().from();
    from.map_or_else(String::new, |from| from.domain().to_owned())
}
