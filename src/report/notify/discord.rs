//! Webhooks of Discord.

use serde_json::json;
use url::Url;

use crate::report::notice::Notice;
use crate::report::notify::Post;

/// Discord refuses longer contents.
const LONGEST: usize = 2000;

/// <https://docs.discord.com/developers/resources/webhook#execute-webhook>
pub(super) fn post(address: &Url, notice: &Notice) -> Post {
    let body = json!({ "content": notice.text(LONGEST), "allowed_mentions": { "parse": [] } });
    Post::of(address, body)
}
