//! Bots of Telegram.

use anyhow::{Result, anyhow};
use serde_json::json;
use url::Url;

use crate::model::hint::Hint;
use crate::report::notice::Notice;
use crate::report::notify::Post;

/// Telegram refuses longer texts.
const LONGEST: usize = 4096;

/// `https://api.telegram.org/botTOKEN/sendMessage?chat_id=CHAT`
///
/// <https://core.telegram.org/bots/api#sendmessage>
pub(super) fn post(address: &Url, notice: &Notice) -> Result<Post> {
    let mut pairs = address.query_pairs();
    let chat = pairs.find(|(name, _)| name == "chat_id");
    let chat = chat
        .map(|(_, chat)| chat.into_owned())
        .ok_or_else(|| anyhow!("the address has no `chat_id`"))
        .hint(|| "it is `https://api.telegram.org/botTOKEN/sendMessage?chat_id=CHAT`")?;
    let mut url = address.clone();
    url.set_query(None);
    let body = json!({
        "chat_id": chat,
        "text": notice.text(LONGEST),
        "link_preview_options": { "is_disabled": true },
    });
    Ok(Post::of(&url, body))
}
