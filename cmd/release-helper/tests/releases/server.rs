//! The server as a program: kept state, kills, misuse, pages; and large or many assets.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use release_helper::domain::releases::{self, Client};
use release_helper::domain::server::{self, Options, Plan};
use serde_json::json;

use crate::common::{Place, REPOSITORY, TAG, directory, shown, token};

/// A server in a process of its own.
struct Process {
    child: Child,
    url: String,
}

impl Process {
    fn start(directory: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_release-helper"))
            .args(["serve-releases", "--tag", &format!("{TAG}=Notes"), "--repo", REPOSITORY, "--directory"])
            .arg(directory)
            .env("GITHUB_TOKEN", token())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Self { child, url: url.trim().to_owned() }
    }

    /// The most memory the process ever held, in kB.
    fn peak(&self) -> u64 {
        peak(self.child.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn peak(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_kill_at_any_moment_loses_no_acknowledged_write() {
    let place = Place::new();
    let kept = place.directory.path().join("server");
    for round in 0..12_u64 {
        let mut process = Process::start(&kept);
        let client = Client::new(&process.url, REPOSITORY, Some(&token())).unwrap();
        let id = releases::draft(&client, TAG, &releases::Notes::default()).unwrap().id;
        let names = place.names();
        let acknowledged = std::sync::Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0_u64.. {
                    let name = format!("asset-{round}-{number}");
                    let path = place.file(&name);
                    std::fs::write(&path, name.repeat(2000)).unwrap();
                    let rules = releases::Rules { names: vec![name.clone()], check: Box::new(|_, _| Ok(())) };
                    // After the kill there is no server to try again with.
                    let client = Client::new(&process.url, REPOSITORY, Some(&token())).unwrap();
                    let client = client.stopping_after(2, false).with_clock(place.clock.clone());
                    if releases::upload(&client, id, &[path], &rules).is_err() {
                        break;
                    }
                    acknowledged.lock().unwrap().push(name);
                }
            });
            // Whatever the moment is, it must be safe: in the middle of some later upload, however fast this machine is.
            while acknowledged.lock().unwrap().len() < round as usize {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            let mut killer = Command::new("kill");
            killer.args(["-KILL", &process.child.id().to_string()]).status().unwrap();
        });
        process.child.wait().unwrap();
        let acknowledged = acknowledged.into_inner().unwrap();
        assert!(acknowledged.len() >= round as usize);
        let again = Process::start(&kept);
        let client = Client::new(&again.url, REPOSITORY, Some(&token())).unwrap();
        assert_eq!(
            releases::draft(&client, TAG, &releases::Notes::default()).unwrap().id,
            id,
            "the same draft as before the kill"
        );
        let assets = client.assets(id).unwrap();
        for name in acknowledged {
            let asset = assets.iter().find(|asset| asset.name == name);
            assert!(asset.is_some_and(|asset| asset.is_uploaded()), "{name} was acknowledged and is lost");
        }
        drop(names);
        drop(again);
    }
}

#[test]
fn real_clients_killed_at_any_moment_are_continued_by_the_same_commands() {
    let place = Place::new();
    let server = place.server(Plan::default());
    let run = |arguments: &[String], kill_after: Option<u64>| -> Option<String> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_release-helper"))
            .args(arguments)
            .args(["--repo", REPOSITORY])
            .env("GITHUB_API_URL", server.url())
            .env("GITHUB_TOKEN", token())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        if let Some(milliseconds) = kill_after {
            std::thread::sleep(std::time::Duration::from_millis(milliseconds));
            let _ = child.kill();
        }
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        place.said.lock().unwrap().extend([text.clone(), said.clone()]);
        assert!(kill_after.is_some() || output.status.success(), "{arguments:?}: {said}");
        output.status.success().then_some(text)
    };
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    for milliseconds in 1..12 {
        run(&words(&format!("draft {TAG}")), Some(milliseconds));
    }
    let id = run(&words(&format!("draft {TAG}")), None).unwrap();
    // Artifacts that hold to the contract take a build: the library puts them there.
    let id: u64 = id.trim().parse().unwrap();
    releases::upload(&place.client(&server), id, &place.files(), &place.rules()).unwrap();
    for milliseconds in (1..30).step_by(2) {
        run(&words(&format!("finalize --release-id {id}")), Some(milliseconds));
    }
    run(&words(&format!("finalize --release-id {id}")), None);
    drop(server);
    assert_eq!(place.problems(), Vec::<String>::new());
    assert_eq!(place.leaks(), Vec::<String>::new());
}

#[test]
fn two_servers_do_not_share_a_directory_and_a_taken_port_is_an_error_with_advice() {
    let place = directory();
    let first = server::start(Options::new(place.path())).unwrap();
    let text = shown(&server::start(Options::new(place.path())).map(drop).unwrap_err());
    assert!(text.contains("in use by another release server"), "{text}");
    drop(first);
    drop(server::start(Options::new(place.path())).unwrap());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let text = shown(&server::start(Options { address, ..Options::new(place.path()) }).map(drop).unwrap_err());
    assert!(text.contains("cannot listen on 127.0.0.1:") && text.contains("port 0 takes any free port"), "{text}");
}

#[test]
fn a_thousand_assets_page_correctly_and_one_more_is_refused() {
    let place = Place::new();
    let server = place.server(Plan::default());
    let client = place.client(&server);
    let id = releases::draft(&client, TAG, &releases::Notes::default()).unwrap().id;
    drop(server);
    // Put into the server's file: uploading them one by one takes a minute and shows nothing else.
    let file = place.directory.path().join(format!("server/releases/{id}.json"));
    let mut release: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let asset = |number: u64| {
        json!({
            "id": 10_000 + number, "name": format!("asset-{number}"), "label": null, "content_type": "a/b", "size": 1,
            "digest": null, "state": "uploaded", "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z", "downloads": 0,
        })
    };
    release["assets"] = (0..1000).map(asset).collect();
    std::fs::write(&file, release.to_string()).unwrap();
    let server = place.server(Plan::default());
    let client = place.client(&server);
    let assets = client.assets(id).unwrap();
    assert_eq!(client.requests(), 10);
    let ids: Vec<u64> = assets.iter().map(|asset| asset.id).collect();
    assert_eq!(ids, (10_000..11_000).collect::<Vec<u64>>());
    let text = shown(&releases::upload(&client, id, &place.files()[..1], &place.rules()).unwrap_err());
    assert!(text.contains("file_count"), "{text}");
}

#[test]
fn the_page_shows_drafts_digests_states_and_requests_and_escapes_what_it_shows() {
    let place = Place::new();
    let server = place.server(Plan::default());
    let client = place.client(&server);
    let notes = releases::Notes { given: Some("<script>alert(1)</script>"), addition: "" };
    let id = releases::draft(&client, TAG, &notes).unwrap().id;
    releases::upload(&client, id, &place.files(), &place.rules()).unwrap();
    let mut page = String::new();
    let mut answer = ureq::get(server.page()).call().unwrap();
    answer.body_mut().as_reader().read_to_string(&mut page).unwrap();
    assert!(!page.contains("<script>") && page.contains("&lt;script&gt;"));
    for (name, sha256) in place.records().iter() {
        assert!(page.contains(name) && page.contains(sha256));
    }
    assert!(page.contains("Draft") && page.contains("uploaded") && page.contains("/releases?per_page=100"));
}

#[test]
fn a_file_of_1900_megabytes_streams_through_client_and_server_in_less_than_32_megabytes_of_memory() {
    // Sparse: only the two copies take space, and none of it counts as memory of the processes.
    let place = directory();
    let size = 1_900_000_000;
    let name = "tsuku-dltest-linux-amd64";
    let large = place.path().join(name);
    std::fs::File::create(&large).unwrap().set_len(size).unwrap();
    let process = Process::start(&place.path().join("server"));
    let client = Client::new(&process.url, REPOSITORY, Some(&token())).unwrap();
    let id = releases::draft(&client, TAG, &releases::Notes::default()).unwrap().id;
    // In a process of its own, whose memory nobody else uses.
    let upload = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "server::uploads_a_file_for_another_test", "--nocapture"])
        .env("UPLOAD", format!("{} {id} {}", process.url, large.display()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&upload.stdout).into_owned();
    let uploader: u64 =
        said.split("peak=").nth(1).and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap();
    assert_eq!(client.assets(id).unwrap()[0].size, size);
    let mut download = Command::new(env!("CARGO_BIN_EXE_release-helper"))
        .args(["download", "--repo", REPOSITORY, "--release-id", &id.to_string(), "--directory"])
        .arg(place.path().join("download"))
        .env("GITHUB_API_URL", &process.url)
        .env("GITHUB_TOKEN", token())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut largest = 0;
    while download.try_wait().unwrap().is_none() {
        // A process that just ended has no such line any more.
        let status = std::fs::read_to_string(format!("/proc/{}/status", download.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
        largest = largest.max(line.unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(download.wait().unwrap().success());
    assert_eq!(place.path().join("download").join(name).metadata().unwrap().len(), size);
    println!(
        "peak memory: server {} kB, uploading client {uploader} kB, downloading client {largest} kB",
        process.peak()
    );
    assert!(uploader < 32_768, "uploading client: {uploader} kB");
    assert!(process.peak() < 32_768, "server: {} kB", process.peak());
    assert!(largest > 0 && largest < 32_768, "client: {largest} kB");
}

#[test]
#[ignore = "one half of another test, run by that in a process of its own"]
fn uploads_a_file_for_another_test() {
    let Ok(upload) = std::env::var("UPLOAD") else { return };
    let [url, id, path] = upload.split(' ').collect::<Vec<_>>()[..] else { panic!("{upload}") };
    let name = Path::new(path).file_name().unwrap().to_str().unwrap().to_owned();
    let client = Client::new(url, REPOSITORY, Some(&token())).unwrap();
    let rules = releases::Rules { names: vec![name], check: Box::new(|_, _| Ok(())) };
    releases::upload(&client, id.parse().unwrap(), &[path.into()], &rules).unwrap();
    println!("peak={}", peak(std::process::id()));
}
