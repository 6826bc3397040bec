//! A server of the user's own: JSON with everything that the notice has.

use url::Url;

use crate::report::notice::Notice;
use crate::report::notify::Post;

pub(super) fn post(address: &Url, notice: &Notice) -> Post {
    Post::of(address, notice.json())
}
