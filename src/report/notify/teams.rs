//! Workflows of Teams that begin with a webhook request.

use serde_json::json;
use url::Url;

use crate::report::notice::Notice;
use crate::report::notify::Post;

/// Teams refuses messages of more than 28 KB.
const LONGEST: usize = 5000;

/// A message with one Adaptive Card.
///
/// <https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using>
pub(super) fn post(address: &Url, notice: &Notice) -> Post {
    let block = |text: &str, weight: &str| json!({ "type": "TextBlock", "text": text, "weight": weight, "wrap": true });
    let lines = notice.lines.iter();
    let mut length = 0;
    let lines = lines.take_while(|line| {
        length += line.len();
        length <= LONGEST
    });
    let title = [block(&notice.title, "Bolder")];
    let body: Vec<_> = title
        .into_iter()
        .chain(lines.map(|line| block(line, "Default")))
        .collect();
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "body": body,
    });
    let attachment = json!({
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": null,
        "content": card,
    });
    Post::of(
        address,
        json!({ "type": "message", "attachments": [attachment] }),
    )
}
