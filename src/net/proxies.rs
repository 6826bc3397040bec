//! Which proxies requests go through: those of the environment, and none to this machine.

use anyhow::{Context, Result};
use reqwest::{ClientBuilder, NoProxy, Proxy};

/// This machine. What is sent to it in the clear is meant for nobody else.
const HERE: &str = "localhost,127.0.0.0/8,::1";

/// A variable's name, written large, and what it is for.
type Kind = (&'static str, fn(String) -> reqwest::Result<Proxy>);

/// Those for one scheme come before the one for all.
const KINDS: [Kind; 3] = [
    ("HTTPS_PROXY", |url| Proxy::https(url)),
    ("HTTP_PROXY", |url| Proxy::http(url)),
    ("ALL_PROXY", |url| Proxy::all(url)),
];

/// The proxies of the environment, but for what `NO_PROXY` lists. Names in small letters come first.
pub(super) fn proxies(variable: &dyn Fn(&str) -> Option<String>) -> Result<Vec<Proxy>> {
    let set = |name: &str| {
        let value = variable(&name.to_lowercase()).or_else(|| variable(name));
        value.filter(|value| !value.is_empty())
    };
    let none = set("NO_PROXY").unwrap_or_default();
    let none = NoProxy::from_string(&format!("{none},{HERE}"));
    let mut all = Vec::new();
    for (name, proxy) in KINDS {
        // Where a web server started this process, whoever asks it can set that variable.
        let is_foreign = name == "HTTP_PROXY" && variable("REQUEST_METHOD").is_some();
        if let Some(url) = set(name).filter(|_| !is_foreign) {
            let proxy = proxy(url).with_context(|| format!("`{name}` is no URL of a proxy"))?;
            all.push(proxy.no_proxy(none.clone()));
        }
    }
    Ok(all)
}

/// Uses these and no others.
pub(super) fn through(builder: ClientBuilder, proxies: &[Proxy]) -> ClientBuilder {
    let builder = builder.no_proxy();
    proxies.iter().cloned().fold(builder, ClientBuilder::proxy)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use reqwest::Client;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A client whose proxy never answers.
    fn client(no_proxy: &str) -> Client {
        let proxies = proxies(&|name| match name {
            "HTTP_PROXY" | "ALL_PROXY" => Some("http://127.0.0.1:9".to_owned()),
            "NO_PROXY" => Some(no_proxy.to_owned()),
            _ => None,
        });
        let builder = through(Client::builder(), &proxies.unwrap());
        builder.build().unwrap()
    }

    #[tokio::test]
    async fn what_is_for_this_machine_goes_through_no_proxy() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = server.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = server.accept().await {
                let mut request = [0; 1024];
                assert!(stream.read(&mut request).await.unwrap() > 0);
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                stream.write_all(answer).await.unwrap();
            }
        });
        for no_proxy in ["", "example.test"] {
            for host in ["127.0.0.1", "localhost"] {
                let url = format!("http://{host}:{port}/");
                let answer = client(no_proxy).get(url).send().await.unwrap();
                assert_eq!(answer.status(), 200);
            }
        }
        // All else does: nobody answers there.
        let elsewhere = client("").get("http://ca.test/").send().await.unwrap_err();
        assert!(elsewhere.is_connect(), "{elsewhere:?}");
    }

    #[test]
    fn what_is_no_proxy_is_told_without_its_login() {
        let error =
            proxies(&|name| (name == "https_proxy").then(|| "http://me:hunter2@[proxy".to_owned()));
        let error = format!("{:#}", error.unwrap_err());
        assert!(
            error.starts_with("`HTTPS_PROXY` is no URL of a proxy: ") && !error.contains("hunter2"),
            "{error}"
        );
    }
}
