//! Rooms of Matrix.

use anyhow::{Result, anyhow, ensure};
use reqwest::Method;
use serde_json::json;
use url::Url;

use crate::model::hint::with_hint;
use crate::report::notice::Notice;
use crate::report::notify::{Post, plain};

/// Events have 64 KiB at most.
const LONGEST: usize = 10_000;

/// `https://TOKEN@SERVER/ROOM`: the address of the server, an access token, and a room's id or alias.
///
/// <https://spec.matrix.org/latest/client-server-api/#put_matrixclientv3roomsroomidsendeventtypetxnid>
pub(super) fn post(address: &Url, notice: &Notice, id: &str) -> Result<Post> {
    let form = "it is `https://TOKEN@SERVER/!ROOM:SERVER`";
    let room = address.path().trim_start_matches('/').to_owned();
    let token = plain(address.username());
    if room.is_empty() || token.is_empty() {
        return Err(with_hint(
            anyhow!("the address has no room or no token"),
            form,
        ));
    }
    let mut url = address.clone();
    let path = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/{id}");
    url.set_path(&path);
    url.set_query(None);
    let bare = url.set_username("").and_then(|()| url.set_password(None));
    ensure!(bare.is_ok(), "the address has no server");
    Ok(Post {
        method: Method::PUT,
        url,
        bearer: Some(token),
        body: json!({ "msgtype": "m.notice", "body": notice.text(LONGEST) }),
    })
}
