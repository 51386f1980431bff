//! Hostile servers: whatever they answer, it ends, it is told, and it is not called `reproduced`.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use release_helper::domain::contract::Contract;
use release_helper::domain::releases::clock::{Clock, Jumping};
use release_helper::domain::releases::{self, Client, Limits};
use release_helper::jobs::verify::{Answer, Published};
use serde_json::{Value, json};

use crate::common::*;
use crate::hostile::{REPOSITORY, Site, answer, asset};

fn never_reproduced(published: &Published) -> String {
    let report = judge(published);
    assert_eq!(report.holds(), Some(false), "{:?}", report.faults);
    let reasons = report.platforms.iter().flat_map(|row| row.reasons.clone());
    report.faults.iter().cloned().chain(reasons).collect::<Vec<_>>().join("\n")
}

#[test]
fn an_honest_release_of_the_same_server_is_reproduced() {
    let report = judge(&Site::honest().serve().fetch().unwrap());
    assert_eq!(report.holds(), Some(true), "{:?}", report.faults);
}

#[test]
fn finding_10_a_list_with_a_next_page_for_ever_ends() {
    for items in [0, 1, 100] {
        let pages = Arc::new(AtomicUsize::new(0));
        let counter = pages.clone();
        let server = Site::answering(move |path, url, stream| {
            if !path.contains("/assets?") && !path.contains("/assets&") && !path.contains("/assets/more") {
                return false;
            }
            counter.fetch_add(1, Ordering::SeqCst);
            let list: Vec<Value> = (0..items).map(|number| asset(number, &format!("a{number}"), b"x").0).collect();
            let next = format!("link: <{url}/repos/{REPOSITORY}/releases/1/assets/more>; rel=\"next\"\r\n");
            answer(stream, "200 OK", &next, Value::Array(list).to_string().as_bytes());
            true
        })
        .serve();
        assert!(server.refusal().contains("the list goes on after 1000 items"), "{}", server.refusal());
        assert!(pages.load(Ordering::SeqCst) <= 22, "{items}: {pages:?}");
    }
}

#[test]
fn a_next_page_on_another_host_is_not_asked_for() {
    let other = Site::honest().serve();
    let next = format!("link: <{}/repos/{REPOSITORY}/releases/1/assets?page=2>; rel=\"next\"\r\n", other.url);
    let server = Site::answering(move |path, _, stream| {
        let is_list = path.contains("/releases/1/assets");
        if is_list {
            answer(stream, "200 OK", &next, b"[]");
        }
        is_list
    })
    .serve();
    let clock = Arc::new(Jumping::new());
    let refusal = Published::fetch(&server.client().with_clock(clock), TAG).err().unwrap();
    assert!(format!("{refusal:#}").contains("the next page is on another host"), "{refusal:#}");
    assert!(other.requests.lock().unwrap().is_empty());
}

#[test]
fn an_answer_without_end_is_cut_off() {
    for (what, path) in [("JSON", "/releases/tags/"), ("a list", "/releases/1/assets"), ("a tag", "/git/ref/tags/")] {
        let server = Site::answering(move |asked, _, stream| {
            if !asked.contains(path) {
                return false;
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n[\"");
            // The client goes away when it has had enough.
            while stream.write_all(&[b'a'; 65536]).is_ok() {}
            true
        })
        .serve();
        assert!(server.refusal().contains("the answer has more than 32 MB"), "{what}: {}", server.refusal());
    }
}

#[test]
fn a_body_that_drips_ends_with_the_time_that_a_reader_has() {
    for path in ["/releases/tags/", "/releases/assets/0"] {
        let server = Site::answering(move |asked, _, stream| {
            if !asked.contains(path) {
                return false;
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n");
            while stream.write_all(b" ").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
            true
        })
        .serve();
        let limits = Limits { time: Duration::from_secs(2), ..Limits::READER };
        let failure = Published::fetch(&server.client().with_limits(limits), TAG).err().unwrap();
        let told = format!("{failure:#}");
        assert!(told.contains("timeout") || told.contains("altogether"), "{told}");
    }
}

#[test]
fn a_server_that_asks_to_wait_for_ten_minutes_is_left_to_a_person() {
    for (status, wait, header) in [("429 Too Many Requests", 599, "retry-after"), ("503 Busy", 599, "retry-after")] {
        let server = Site::answering(move |_, _, stream| {
            answer(stream, status, &format!("{header}: {wait}\r\n"), b"{}");
            true
        })
        .serve();
        let clock = Arc::new(Jumping::new());
        let before = clock.now();
        let refusal = Published::fetch(&server.client().with_clock(clock.clone()), TAG).err().unwrap();
        assert_eq!(clock.now(), before, "{refusal:#}");
        assert_eq!(server.requests.lock().unwrap().len(), 1);
    }
}

#[test]
fn waits_that_are_short_but_never_end_end() {
    let server = Site::answering(|path, _, stream| {
        // Each asset fails some times, after a wait that would be granted once.
        let is_asset = path.contains("/releases/assets/");
        if is_asset {
            answer(stream, "503 Busy", "retry-after: 80\r\n", b"{}");
        }
        is_asset
    })
    .serve();
    let clock = Arc::new(Jumping::new());
    let before = clock.now();
    let refusal = Published::fetch(&server.client().with_clock(clock.clone()), TAG).err().unwrap();
    let waited = clock.now().duration_since(before).unwrap();
    assert!(waited <= Limits::READER.time, "{waited:?}: {refusal:#}");
}

#[test]
fn a_thousand_assets_are_not_held_in_memory() {
    let mut site = Site::honest();
    let few = site.assets.len();
    for number in few..1000 {
        site.assets.push(asset(number, &format!("asset-{number}"), b"x"));
    }
    let server = site.serve();
    let published = server.fetch().unwrap();
    assert!(published.files.len() <= 100);
    assert!(never_reproduced(&published).contains("it has more than 100 assets"));
    assert!(server.requests.lock().unwrap().len() < 110);
}

#[test]
fn an_asset_that_says_it_is_huge_is_not_downloaded() {
    let mut site = Site::honest();
    site.about(LINUX)["size"] = json!(20 << 20);
    let server = site.serve();
    let published = server.fetch().unwrap();
    assert!(!published.files.contains_key(LINUX));
    assert!(never_reproduced(&published).contains("too large to be what it should be"));
}

#[test]
fn many_large_assets_stop_at_what_fits_into_memory() {
    let (mut site, large) = (Site::honest(), vec![7; 15 << 20]);
    for number in 0..6 {
        site.assets.push(asset(site.assets.len(), &format!("large-{number}"), &large));
    }
    let published = site.serve().fetch().unwrap();
    let held: usize = published.files.values().map(Vec::len).sum();
    assert!(held <= 64 << 20, "{held}");
    assert!(never_reproduced(&published).contains("large-5: it has 15728640 bytes: too large"));
}

#[test]
fn an_asset_longer_than_the_api_says_is_cut_and_differs() {
    let mut site = Site::honest();
    let true_size = site.about(LINUX)["size"].as_u64().unwrap();
    site.about(LINUX)["size"] = json!(true_size - 100);
    let published = site.serve().fetch().unwrap();
    assert_eq!(published.files[LINUX].len() as u64, true_size - 99);
    assert!(never_reproduced(&published).contains(&format!("the API says it has {} bytes", true_size - 100)));
}

#[test]
fn an_asset_shorter_than_the_api_says_is_a_fault_though_its_bytes_rebuild() {
    let mut site = Site::honest();
    let true_size = site.about(LINUX)["size"].as_u64().unwrap();
    site.about(LINUX)["size"] = json!(true_size + 1);
    let published = site.serve().fetch().unwrap();
    assert_eq!(published.files[LINUX], release().files[LINUX]);
    let reason = refusal(&published, "linux-amd64");
    assert!(reason.contains(&format!("the API says it has {} bytes, the download has {true_size}", true_size + 1)));
}

#[test]
fn an_asset_without_a_digest_in_the_api_is_a_fault() {
    for digest in [Value::Null, json!("md5:00"), json!("")] {
        let mut site = Site::honest();
        site.about(LINUX)["digest"] = digest;
        assert!(refusal(&site.serve().fetch().unwrap(), "linux-amd64").contains("the API gives no digest for it"));
    }
}

#[test]
fn an_asset_with_another_digest_in_the_api_is_a_fault() {
    let mut site = Site::honest();
    site.about(LINUX)["digest"] = json!(format!("sha256:{}", "0".repeat(64)));
    assert!(refusal(&site.serve().fetch().unwrap(), "linux-amd64").contains("the API says its sha256 is 000"));
}

#[test]
fn an_asset_that_is_listed_twice_is_a_fault_whatever_its_bytes() {
    for bytes in [release().files[LINUX].clone(), b"other".to_vec()] {
        let server = Site::with_asset(LINUX, &bytes).serve();
        assert!(refusal(&server.fetch().unwrap(), "linux-amd64").contains("the release has it twice"));
    }
}

#[test]
fn an_asset_that_is_not_uploaded_is_a_fault() {
    let mut site = Site::honest();
    site.about(LINUX)["state"] = json!("starter");
    assert!(refusal(&site.serve().fetch().unwrap(), "linux-amd64").contains("the API says its state is starter"));
}

#[test]
fn a_redirect_leads_to_no_other_scheme_and_not_round_in_circles() {
    let places = ["file:///etc/passwd", "ftp://127.0.0.1/", "http://169.254.169.254/latest", "http://[::2]/", "/here"];
    for place in places.iter().map(|place| (*place).to_owned()).chain([String::new()]) {
        let clock = Arc::new(Jumping::new());
        let server = Site::answering(move |path, url, stream| {
            let is_asset = path.contains("/releases/assets/");
            if is_asset {
                let place = if place.is_empty() { format!("{url}{path}") } else { place.clone() };
                answer(stream, "302 Found", &format!("location: {place}\r\n"), b"");
            }
            is_asset
        })
        .serve();
        let refusal = format!("{:#}", Published::fetch(&server.client().with_clock(clock), TAG).err().unwrap());
        assert!(refusal.contains("a redirect to no address") || refusal.contains("unexpected status 302"), "{refusal}");
        assert!(server.requests.lock().unwrap().len() < 40);
    }
}

#[test]
fn finding_9_a_name_with_a_line_end_forges_no_verdict() {
    let name = "x\nlinux-amd64       reproduced        22008 bytes, sha256 00\n\u{1b}[1A\u{1b}[2K\u{202e}";
    let server = Site::with_asset(name, b"x").serve();
    let [html, markdown] = ["report.html", "report.md"].map(server_path);
    let output = server.verify(&["--report", html.1.to_str().unwrap(), "--report", markdown.1.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let told = [output.stdout, output.stderr].concat();
    for text in [told, std::fs::read(&html.1).unwrap(), std::fs::read(&markdown.1).unwrap()] {
        let text = String::from_utf8(text).unwrap();
        let forged =
            |line: &str| line.starts_with("linux-amd64") && line.split_whitespace().nth(1) == Some("reproduced");
        assert!(!text.lines().any(forged), "{text}");
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{9b}']), "{text:?}");
        assert!(text.contains("does not belong to the release"), "{text}");
    }
    let json = server.verify(&["--json"]);
    let report: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!(report["faults"].to_string().contains("does not belong") && !report.to_string().contains("\\u001b"));
}

fn server_path(name: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    (directory, path)
}

#[test]
fn an_address_with_a_comment_hides_no_fault_of_a_summary() {
    for address in ["http://h/\n<!--", "<!--", "\\|<!--", "`<!--", "</div>\n\n## v1.2.3 reproduced\n"] {
        let mut site = Site::with_asset("foreign\\|<!--", b"x");
        site.release["html_url"] = json!(address);
        let markdown = judge(&site.serve().fetch().unwrap()).markdown();
        assert!(!markdown.contains("<!--") && !markdown.contains("</div>"), "{markdown}");
        assert!(markdown.contains("does not belong to the release"), "{markdown}");
        assert_eq!(markdown.lines().filter(|line| line.starts_with("## ")).count(), 1, "{markdown}");
        // Every row has its five cells: a bar of somebody else's is escaped, and so is the backslash before it.
        for row in markdown.lines().filter(|line| line.starts_with("| linux")) {
            let bars = row.replace("\\\\", "").replace("\\|", "").matches('|').count();
            assert_eq!(bars, 6, "{row}");
        }
    }
}

#[test]
fn a_name_of_a_megabyte_is_cut() {
    let server = Site::with_asset(&"n".repeat(1 << 20), b"x").serve();
    let report = judge(&server.fetch().unwrap());
    assert!(report.faults.iter().all(|fault| fault.len() < 2000));
    assert_eq!(report.holds(), Some(false));
}

#[test]
fn a_name_that_only_looks_like_the_assets_is_not_it() {
    for name in
        ["tsuku-dltest-linux-amd64\u{200b}", "\u{feff}tsuku-dltest-linux-amd64", "tsuku-dltest-linux-\u{ad}amd64"]
    {
        let mut site = Site::honest();
        site.about(LINUX)["name"] = json!(name);
        let published = site.serve().fetch().unwrap();
        assert!(!published.files.contains_key(LINUX), "{name:?}");
        never_reproduced(&published);
    }
}

#[test]
fn a_message_of_an_error_cannot_act_on_the_terminal() {
    let message = "gone\u{1b}]0;title\u{7}\u{1b}[2J\nlinux-amd64  reproduced\u{202e}";
    let server = Site::answering(move |_, _, stream| {
        answer(
            stream,
            "404 Not Found",
            "x-github-request-id: linux-amd64  reproduced\r\n",
            json!({"message": message}).to_string().as_bytes(),
        );
        true
    })
    .serve();
    let output = server.verify(&[]);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("gone") && !told.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{told:?}");
    assert!(!told.lines().any(|line| line.starts_with("linux-amd64")) && !told.contains("[request"), "{told}");
}

#[test]
fn finding_12_a_token_for_github_goes_to_no_other_server() {
    let server = Site::honest().serve();
    let token = "ghs_a-real-token-of-somebody";
    let output = server.command(&[]).env("GITHUB_TOKEN", token).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("GITHUB_TOKEN stays here: it is for api.github.com"), "{told}");
    let requests = server.requests.lock().unwrap().join("\n");
    assert!(!requests.is_empty() && !requests.to_lowercase().contains("authorization") && !requests.contains(token));
}

#[test]
fn a_token_goes_to_the_server_that_the_runner_names_with_it() {
    let server = Site::honest().serve();
    let output = server.command(&[]).env("GITHUB_TOKEN", "ghs_x").env("GITHUB_API_URL", &server.url).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(server.requests.lock().unwrap().iter().all(|head| head.to_lowercase().contains("bearer ghs_x")));
}

#[test]
fn a_server_that_refuses_the_token_is_told_with_the_tokens_name() {
    let server = Site::answering(|_, _, stream| {
        answer(stream, "401 Unauthorized", "", b"{\"message\":\"Bad credentials\"}");
        true
    })
    .serve();
    let output = server.command(&[]).env("GITHUB_TOKEN", "ghs_x").env("GITHUB_API_URL", &server.url).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("hint: GITHUB_TOKEN is missing, wrong or expired"), "{told}");
}

#[test]
fn a_token_that_the_server_repeats_in_any_form_is_not_shown() {
    use base64::Engine;
    let token = "ghs_16C7e42F292c6912E7710c838347Ae178B4a";
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("x-access-token:{token}"));
    let escaped: String = token.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
    for (form, shown) in [(token.to_owned(), token), (basic.clone(), &basic[24..60]), (escaped, token)] {
        let body = format!("{{\"message\":\"bad: {form}\"}}");
        let server = Site::answering(move |_, _, stream| {
            answer(stream, "403 Forbidden", "", body.as_bytes());
            true
        })
        .serve();
        let output =
            server.command(&[]).env("GITHUB_TOKEN", token).env("GITHUB_API_URL", &server.url).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains("bad: ") && told.contains("***") && !told.contains(shown), "{told}");
    }
}

#[test]
fn a_password_in_the_address_is_not_repeated() {
    let server = Site::honest().serve();
    let url = server.url.replace("http://", "http://me:hunter2@");
    let output = server.command(&["--api-url", &url]).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && !told.contains("hunter2"), "{told}");
    let help = server.command(&["--help"]).env("GITHUB_API_URL", &url).output().unwrap();
    assert!(!String::from_utf8_lossy(&help.stdout).contains("hunter2"));
}

#[test]
fn a_client_without_limits_of_its_own_still_has_some() {
    let server = Site::honest().serve();
    let client = Client::new(&server.url, REPOSITORY, None).unwrap();
    let limits = Limits { bytes: 1000, ..Limits::JOB };
    assert!(Published::fetch(&client, TAG).is_ok());
    let failure = Published::fetch(&server.client().with_limits(limits), TAG).err().unwrap();
    assert!(format!("{failure:#}").contains("more than 0 MB"), "{failure:#}");
}

#[test]
fn an_honest_answer_says_reproduced_for_the_platform_that_was_asked_for() {
    let output = Site::honest().serve().verify(&["--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["platforms"][0]["verdict"], serde_json::to_value(Answer::Reproduced).unwrap());
}

#[test]
fn an_asset_whose_name_leads_out_of_the_folder_is_not_downloaded() {
    for name in ["../outside", "/tmp/outside", "a/../../outside", "..", "."] {
        let mut site = Site::honest();
        site.assets = vec![asset(0, name, b"x")];
        let server = site.serve();
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("folder");
        let refusal = releases::download(&server.client(), 1, &folder, &[]).unwrap_err();
        assert!(format!("{refusal:#}").contains("which is no file name"), "{refusal:#}");
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    }
}

#[test]
fn an_artifact_that_breaks_one_clause_is_not_let_into_a_release() {
    let contract = Contract::embedded().unwrap();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join(LINUX);
    std::fs::write(&path, &release().files[LINUX]).unwrap();
    let check = releases::Rules::of(&contract).check;
    check(&path, TAG).unwrap();
    let refusal = check(&path, "v1.2.4").unwrap_err();
    assert!(format!("{refusal:#}").contains("breaks the contract: version"), "{refusal:#}");
    let other = place.path().join("tsuku-dltest-linux-amd64-musl");
    std::fs::rename(&path, &other).unwrap();
    assert!(format!("{:#}", check(&other, TAG).unwrap_err()).contains("breaks the contract"));
}

#[test]
fn json_that_is_meant_to_break_its_reader_is_refused() {
    let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    let id = |number: &str| {
        format!("{{\"id\":{number},\"tag_name\":\"{TAG}\",\"draft\":false,\"upload_url\":\"\",\"html_url\":\"\"}}")
    };
    let bodies = [
        deep,
        id("18446744073709551616"),
        id("-1"),
        id("1e999"),
        id("1.5"),
        id("\"1\""),
        id("null"),
        "\u{feff}{}".into(),
    ];
    for body in bodies {
        let text = body.clone();
        let server = Site::answering(move |path, _, stream| {
            let is_release = path.contains("/releases/tags/");
            if is_release {
                answer(stream, "200 OK", "", text.as_bytes());
            }
            is_release
        })
        .serve();
        let refusal = Published::fetch(&server.client().with_clock(Arc::new(Jumping::default())), TAG).err();
        let refusal = format!("{:#}", refusal.expect("it was read"));
        assert!(refusal.contains("not the expected JSON"), "{}: {refusal}", &body[..body.len().min(60)]);
    }
}

#[test]
fn an_asset_that_is_described_twice_in_one_object_is_judged_by_its_bytes() {
    let server = Site::answering(|path, _, stream| {
        let is_list = path.contains("/releases/1/assets");
        if is_list {
            let name = "\"name\":\"SHA256SUMS\"";
            let body = format!(
                "[{{\"id\":0,{name},\"size\":1,{name},\"size\":2,\"state\":\"starter\",\"state\":\"uploaded\"}}]"
            );
            answer(stream, "200 OK", "", body.as_bytes());
        }
        is_list
    })
    .serve();
    assert!(never_reproduced(&server.fetch().unwrap()).contains("the API says it has 2 bytes"));
}

#[test]
fn an_answer_that_says_it_is_packed_is_not_unpacked() {
    // gzip of 10 MB of zeros would be 10 kB; the reader asks for no encoding, and undoes none.
    for encoding in ["gzip", "deflate", "br"] {
        let headers = format!("content-encoding: {encoding}\r\n");
        let mut site = Site::honest();
        let bytes = site.assets.iter().find(|(about, _)| about["name"] == LINUX).unwrap().1.clone();
        site.answerer = Box::new(move |path, _, stream| {
            let is_asset = path.contains("/releases/assets/");
            if is_asset {
                answer(stream, "200 OK", &headers, &[b"\x1f\x8b\x08", &bytes[..]].concat());
            }
            is_asset
        });
        assert!(never_reproduced(&site.serve().fetch().unwrap()).contains("the download has"), "{encoding}");
    }
}

#[test]
fn what_asks_for_no_encoding_says_so() {
    let server = Site::honest().serve();
    server.fetch().unwrap();
    assert!(server.requests.lock().unwrap().iter().all(|head| !head.to_lowercase().contains("accept-encoding: gzip")));
}
