//! The report of `verify` in a real browser.

use crate::browser::{Browser, Look};
use crate::common::*;
use crate::skipped::skipped;

#[test]
fn the_report_is_readable_on_a_phone_on_paper_and_in_the_dark_and_shows_hostile_names_as_text() {
    let Some(mut browser) = Browser::start() else { return skipped("there is no Chromium") };
    let directory = tempfile::tempdir().unwrap();
    let page = |html: &str| {
        let path = directory.path().join("report.html");
        std::fs::write(&path, html).unwrap();
        format!("file://{}", path.display())
    };
    let mut published = release();
    published.files.get_mut(LINUX).unwrap()[4000] ^= 1;
    sum(&mut published);
    let shown = ["linux-arm64-musl", "reproduced", "differs"];
    let look = Look { shown: &shown, not_printed: "details", picture: "report.png" };
    browser.look(&page(&judge(&published).html()), &look);

    let hostile = "</style><script src=https://evil.example/x.js></script><img src=x onerror=pwned=1>";
    published.files.insert(hostile.into(), vec![1]);
    published.origin = "https://evil.example/<script>pwned=2</script>\"'&lt;".into();
    let report = judge(&published);
    assert!(report.html().contains("Content-Security-Policy"));
    let shown = ["<script src=https://evil.example/x.js>", "<script>pwned=2</script>\"'&lt;"];
    browser.look_at_screen(&page(&report.html()), &Look { shown: &shown, ..look });
}
