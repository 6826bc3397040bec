//! The lines by which nginx and Apache find certificate and key.

use std::path::Path;

use anyhow::{Result, anyhow};

use crate::model::certificate::CertificateName;
use crate::model::hint::with_hint;
use crate::repo::export::Options;

/// For a `server` block. <https://nginx.org/en/docs/http/ngx_http_ssl_module.html>
pub(super) fn nginx(name: &CertificateName, options: &Options) -> Result<String> {
    let folder = folder(options)?;
    Ok(format!(
        "ssl_certificate \"{folder}/{name}.crt\";\nssl_certificate_key \"{folder}/{name}.key\";\n"
    ))
}

/// For a `VirtualHost`. <https://httpd.apache.org/docs/2.4/mod/mod_ssl.html>
pub(super) fn apache(name: &CertificateName, options: &Options) -> Result<String> {
    let folder = folder(options)?;
    Ok(format!(
        "SSLCertificateFile \"{folder}/{name}.crt\"\nSSLCertificateKeyFile \"{folder}/{name}.key\"\n"
    ))
}

/// The folder as it is written between quotes.
fn folder(options: &Options) -> Result<&str> {
    let folder = options.installed_in.as_deref().ok_or_else(|| {
        with_hint(
            anyhow!("nothing says where the server will find certificate and key"),
            "name the folder that they are copied to with `--installed-in`",
        )
    })?;
    // What would end the quotes, begin a variable, or escape.
    let is_special = |c: char| c.is_control() || matches!(c, '"' | '\\' | '$');
    let text = folder.to_str().filter(|text| !text.contains(is_special));
    let text = text.filter(|_| folder.is_absolute());
    text.map(|text| text.trim_end_matches('/'))
        .ok_or_else(|| refused(folder))
}

fn refused(folder: &Path) -> anyhow::Error {
    with_hint(
        anyhow!(
            "`{}` cannot be named in a server's configuration",
            folder.display()
        ),
        "it takes an absolute path without quotes, `\\` and `$`: name one with `--installed-in`",
    )
}
