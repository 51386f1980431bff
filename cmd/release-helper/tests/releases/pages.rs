//! The page of a release in a real browser.

use release_helper::domain::server::Plan;

use crate::browser::{Browser, Look};
use crate::common::{Place, REPOSITORY, TAG};
use crate::guard::answer;
use crate::skipped::skipped;

#[test]
fn the_page_is_readable_on_a_phone_on_paper_and_in_the_dark_and_shows_hostile_names_as_text() {
    let Some(mut browser) = Browser::start() else { return skipped("there is no Chromium") };
    let place = Place::new();
    let server = place.server(Plan::default());
    place.release(&place.client(&server)).unwrap();
    browser.look(
        &server.page(),
        &Look { shown: &[TAG, "Latest", "SHA256SUMS"], not_printed: ".requests", picture: "release.png" },
    );

    let notes = "<img src=x onerror='pwned=1'><svg onload=pwned=2><a href=javascript:pwned=3>go</a></pre><script>pwned=4</script>";
    let name = "</h2><script src=https://evil.example/x.js></script>\u{202e}evil & <b>bold</b> \"'`";
    let tag = "v1.0.0-<script>pwned=5</script>";
    let body = serde_json::json!({ "tag_name": tag, "name": name, "body": notes });
    let made = place.raw(&server, "POST", "/releases", &body.to_string());
    assert_eq!(made["tag_name"], tag);
    let request = "GET /<script>pwned=6</script>?x=\"><img+src=x+onerror=pwned=7> HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert!(answer(&server, request).starts_with("HTTP/1.1 404 "));
    let shown = [
        notes,
        "</h2><script src=https://evil.example/x.js></script>",
        "<b>bold</b> \"'`",
        tag,
        "/<script>pwned=6</script>?x=\"><img src=x onerror=pwned=7>",
    ];
    let look = |shown| Look { shown, not_printed: ".requests", picture: "release.png" };
    let url = format!("{}/{REPOSITORY}/releases", server.url());
    // Seen before the page is printed and pictured: what paper has no use for is not looked for there.
    browser.look_at_screen(&url, &look(&shown));
}
