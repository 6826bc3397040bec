//! Incoming webhooks of Slack, and of Mattermost, which took over its form.

use serde_json::json;
use url::Url;

use crate::report::notice::Notice;
use crate::report::notify::Post;

/// Slack cuts longer texts.
const LONGEST: usize = 40_000;

/// Mattermost refuses longer posts.
const LONGEST_POST: usize = 16_383;

/// <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>
///
/// Three characters would begin mentions, links and the like.
pub(super) fn slack(address: &Url, notice: &Notice) -> Post {
    let text = notice.text(LONGEST / 5);
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    Post::of(address, json!({ "text": text }))
}

/// <https://developers.mattermost.com/integrate/webhooks/incoming/>
///
/// As a block of code nobody is mentioned, and nothing is formatted.
pub(super) fn mattermost(address: &Url, notice: &Notice) -> Post {
    let text = notice.text(LONGEST_POST - 10).replace('`', "'");
    Post::of(address, json!({ "text": format!("```\n{text}\n```") }))
}
