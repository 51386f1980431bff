//! Who may use the server and its directory: attacks of web pages, of other servers, and of the user's own mistakes.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use release_helper::domain::releases;
use release_helper::domain::server::{self, Operation, Options, Plan, Running};

use crate::common::{Place, REPOSITORY, TAG, directory, shown, token};

/// The answer to a request by hand, whole.
pub fn answer(server: &Running, request: &str) -> String {
    let mut stream = TcpStream::connect(server.url().strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // A server that has heard enough may reset the connection after its answer.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_name_that_somebody_elses_dns_points_here_can_neither_read_nor_write() {
    let place = Place::new();
    let server = place.server(Plan::default());
    let body = format!("{{\"tag_name\":\"{TAG}\"}}");
    let head = |host: &str| {
        let (token, length) = (token(), body.len());
        format!(
            "POST /repos/{REPOSITORY}/releases HTTP/1.1\r\n{host}Authorization: Bearer {token}\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{body}"
        )
    };
    for host in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "192.0.2.1", "[2001:db8::1]", ""] {
        let text = answer(&server, &head(&format!("Host: {host}\r\n")));
        assert!(text.starts_with("HTTP/1.1 421 "), "{host}: {text}");
    }
    for unclear in ["", "Host: 127.0.0.1\r\nHost: evil.example\r\n"] {
        assert!(answer(&server, &head(unclear)).starts_with("HTTP/1.1 400 "), "{unclear:?}");
    }
    let page = format!("GET /{REPOSITORY}/releases HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert!(!answer(&server, &page).contains("Releases"));
    let proxied = format!("GET http://evil.example/{REPOSITORY}/releases HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    assert!(answer(&server, &proxied).starts_with("HTTP/1.1 421 "));
    assert!(place.client(&server).releases().unwrap().is_empty());
    for own in ["127.0.0.1", "localhost:1", "[::1]"] {
        let page = format!("GET / HTTP/1.1\r\nHost: {own}\r\nConnection: close\r\n\r\n");
        assert!(answer(&server, &page).starts_with("HTTP/1.1 200 "), "{own}");
    }
}

#[test]
fn a_form_of_another_page_writes_nothing() {
    let place = Place::new();
    let server = place.server(Plan::default());
    // What a browser sends without asking first: no Authorization, and text.
    let body = format!("{{\"tag_name\":\"{TAG}\"}}");
    let text = answer(
        &server,
        &format!(
            "POST /repos/{REPOSITORY}/releases HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: https://evil.example\r\n\
             Content-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ),
    );
    assert!(text.starts_with("HTTP/1.1 404 ") && !text.to_lowercase().contains("access-control-allow"), "{text}");
    assert!(place.client(&server).releases().unwrap().is_empty());
}

#[test]
fn every_answer_tells_browsers_to_run_and_to_guess_nothing() {
    let place = Place::new();
    let server = place.server(Plan::default());
    for path in ["/", "/style.css", &format!("/repos/{REPOSITORY}/releases"), "/nothing", "/%"] {
        let text = answer(&server, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
        let text = text.to_lowercase();
        assert!(text.contains("\r\ncontent-security-policy: default-src 'none'"), "{path}: {text}");
        assert!(text.contains("\r\nx-content-type-options: nosniff\r\n"), "{path}: {text}");
        assert!(!text.contains("unsafe-inline"), "{path}: {text}");
    }
}

#[test]
fn heads_that_make_no_sense_are_answered_and_end_the_connection() {
    let place = Place::new();
    let server = place.server(Plan::default());
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(80_000));
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: x\r\n".repeat(200));
    for request in ["NONSENSE\r\n\r\n", "GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", &long, &many] {
        let text = answer(&server, request);
        assert!(text.starts_with("HTTP/1.1 400 "), "{}: {text}", &request[..9]);
    }
    // A body in chunks, then another request: the server does not take the one for the other.
    let chunked = format!(
        "POST /repos/{REPOSITORY}/releases HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Transfer-Encoding: chunked\r\n\r\n9\r\n{{\"tag_nam\r\n0b;x=y\r\ne\":\"v1.2.3\"\r\n1\r\n}}\r\n0\r\nTrailer: x\r\n\r\n\
         GET /rate_limit HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        token()
    );
    let text = answer(&server, &chunked);
    assert!(text.starts_with("HTTP/1.1 201 ") && text.contains("HTTP/1.1 200 OK"), "{text}");
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_stored_name_or_type_adds_no_header_to_an_answer() {
    let place = Place::new();
    let server = server::start(Options { direct_downloads: true, ..place.options(Plan::default()) }).unwrap();
    let client = place.client(&server);
    let id = releases::draft(&client, TAG, &releases::Notes::default()).unwrap().id;
    let upload = format!(
        "POST /uploads/repos/{REPOSITORY}/releases/{id}/assets?name=a%0d%0aX-Evil:%20b HTTP/1.1\r\nHost: localhost\r\n\
         Authorization: Bearer {}\r\nContent-Type: text/html\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
        token()
    );
    assert!(answer(&server, &upload).starts_with("HTTP/1.1 201 "));
    let asset = client.assets(id).unwrap()[0].id;
    let download = format!(
        "GET /repos/{REPOSITORY}/releases/assets/{asset} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Accept: application/octet-stream\r\nConnection: close\r\n\r\n",
        token()
    );
    let text = answer(&server, &download).to_lowercase();
    assert!(!text.contains("\r\nx-evil") && text.contains("content-disposition: attachment"), "{text}");
}

#[test]
fn a_folder_that_no_server_made_is_refused_and_stays_as_it_is() {
    let cases: [&[(&str, &str)]; 6] = [
        &[("assets/logo.png", "png"), ("index.html", "html")],
        // Named as a server would name them.
        &[("assets/1", "one"), ("assets/2", "two")],
        &[("releases/1.json", "{}")],
        &[("notes.txt", "mine")],
        &[("lock", "yarn"), ("package.json", "{}")],
        &[("ledger.json", "{\"accounts\":[]}"), ("assets/1", "one")],
    ];
    for files in cases {
        let place = directory();
        for (name, content) in files {
            let path = place.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let text = shown(&server::start(Options::new(place.path())).map(drop).unwrap_err());
        assert!(text.contains("release server") && text.contains("--directory"), "{text}");
        for (name, content) in files {
            assert_eq!(fs::read_to_string(place.path().join(name)).unwrap(), *content, "{name}");
        }
    }
}

#[test]
fn links_in_a_folder_of_ours_are_not_followed() {
    let (place, other) = (directory(), directory());
    drop(server::start(Options::new(place.path())).unwrap());
    fs::write(other.path().join("7"), "a photo").unwrap();
    fs::remove_dir(place.path().join("assets")).unwrap();
    std::os::unix::fs::symlink(other.path(), place.path().join("assets")).unwrap();
    let text = shown(&server::start(Options::new(place.path())).map(drop).unwrap_err());
    assert!(text.contains("assets"), "{text}");
    assert_eq!(fs::read_to_string(other.path().join("7")).unwrap(), "a photo");
}

#[test]
fn only_interrupted_writes_are_swept_from_a_folder_of_ours() {
    let place = Place::new();
    let server = place.server(Plan::default());
    let id = releases::draft(&place.client(&server), TAG, &releases::Notes::default()).unwrap().id;
    releases::upload(&place.client(&server), id, &place.files()[..1], &place.rules()).unwrap();
    drop(server);
    let folder = place.directory.path().join("server");
    for name in ["assets/999", "assets/.tmp-x", "assets/notes", "assets/007", "releases/.tmp-y", "releases/README"] {
        fs::write(folder.join(name), "x").unwrap();
    }
    let server = place.server(Plan::default());
    assert_eq!(place.client(&server).assets(id).unwrap().len(), 1);
    for (name, is_kept) in [
        ("assets/999", false),
        ("assets/.tmp-x", false),
        ("releases/.tmp-y", false),
        ("assets/notes", true),
        ("assets/007", true),
        ("releases/README", true),
    ] {
        assert_eq!(folder.join(name).exists(), is_kept, "{name}");
    }
}

#[test]
fn a_token_is_needed_to_write_also_where_none_was_given() {
    let place = Place::new();
    let server = place.server(Plan::default());
    let with = |authorization: &str| {
        answer(
            &server,
            &format!(
                "GET /user HTTP/1.1\r\nHost: localhost\r\nAuthorization: {authorization}\r\nConnection: close\r\n\r\n"
            ),
        )
    };
    for right in [format!("Bearer {}", token()), format!("token {}", token()), format!("TOKEN  {}", token())] {
        assert!(with(&right).starts_with("HTTP/1.1 200 "), "{right}");
    }
    for wrong in ["", "Bearer", "Bearer x", "Basic !!!", "Basic eDp5", &token(), &format!("Digest {}", token())] {
        assert!(with(wrong).starts_with("HTTP/1.1 401 "), "{wrong}");
    }
    assert!(server.requests().iter().all(|(operation, _)| *operation == Operation::GetUser));
}
