//! Mail, by a server that takes it (SMTP submission, RFC 6409).

use std::borrow::Cow;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use lettre::Message;
use lettre::message::Mailbox;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

use crate::model::hint::Hint;
use crate::report::notice::Notice;
use crate::report::notify::limited::{Limited, TOO_MUCH};
use crate::report::notify::{is_here, plain};

/// What the address looks like.
const FORM: &str = "it is `smtps://USER:PASSWORD@SERVER?from=ADDRESS&to=ADDRESS`, with `%40` for a `@` in USER or PASSWORD; `smtp://` \
                    for STARTTLS on port 587";

/// Ports of RFC 8314 and RFC 6409.
const IMPLICIT_TLS: u16 = 465;
const SUBMISSION: u16 = 587;

const NO_TLS: &str = "the server's certificate is not trusted, or it has no TLS";
const NO_SMTP: &str = "the server cannot be reached, or does not speak SMTP";

/// TLS is verified, and done without on this machine alone.
pub(super) async fn send(address: &Url, notice: &Notice) -> Result<()> {
    let message = message(address, notice).hint(|| FORM)?;
    let hello = ClientId::Domain(sender_domain(&message));
    let stream = connect(address).await?;
    // What the server says is no secret, but may repeat who logs in.
    let sent = hand_over(address, stream, (&message, &hello)).await;
    sent.map_err(|error| refused(&error))
}

async fn connect(address: &Url) -> Result<Box<dyn AsyncTokioStream>> {
    let host = address.host_str().unwrap_or_default();
    let is_wrapped = address.scheme() == "smtps";
    let port = if is_wrapped { IMPLICIT_TLS } else { SUBMISSION };
    let stream = TcpStream::connect((host, address.port().unwrap_or(port))).await;
    let stream = stream.map_err(|_| anyhow!(NO_SMTP))?;
    let peer = stream.peer_addr().map_err(|_| anyhow!(NO_SMTP))?;
    if !is_wrapped {
        return Ok(Box::new(Limited::new(stream, peer)));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()
        .context("cannot set up TLS")?
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|_| anyhow!(NO_TLS))?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let stream = stream.await.map_err(|_| anyhow!(NO_TLS))?;
    Ok(Box::new(Limited::new(stream, peer)))
}

async fn hand_over(
    address: &Url,
    stream: Box<dyn AsyncTokioStream>,
    (message, hello): (&Message, &ClientId),
) -> Result<(), Error> {
    let mut connection = AsyncSmtpConnection::connect_with_transport(stream, hello).await?;
    if address.scheme() != "smtps" && !is_here(address) {
        let host = address.host_str().unwrap_or_default().to_owned();
        let parameters = TlsParameters::builder(host).build_rustls()?;
        connection.starttls(parameters, hello).await?;
    }
    if let Some(password) = address.password() {
        let credentials = Credentials::new(plain(address.username()), plain(password));
        connection.auth(DEFAULT_MECHANISMS, &credentials).await?;
    }
    connection
        .send(message.envelope(), &message.formatted())
        .await?;
    connection.abort().await;
    Ok(())
}

fn refused(error: &Error) -> anyhow::Error {
    match error.status() {
        Some(code) => anyhow!("the server refuses it with {code}"),
        None if says(error, TOO_MUCH) => anyhow!(TOO_MUCH),
        // What rustls says of a certificate comes as an error of the connection.
        None if error.is_tls() || says(error, "certificate") => {
            anyhow!(NO_TLS)
        }
        None if says(error, "STARTTLS") => {
            anyhow!("the server offers no TLS, and nothing is sent without")
        }
        None if error.is_timeout() => anyhow!("the server does not answer"),
        None => anyhow!(NO_SMTP),
    }
}

/// Whether a cause has a word in it.
fn says(error: &Error, word: &str) -> bool {
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
