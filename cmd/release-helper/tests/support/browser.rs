//! Pages in a real browser: Chromium without a window, spoken to in its DevTools protocol
//! (<https://chromedevtools.github.io/devtools-protocol/>) over pipes, so that no port is open.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// The browsers that will do, by the names of their programs.
const PROGRAMS: [&str; 4] = ["chromium-headless-shell", "chromium", "google-chrome", "chromium-browser"];

/// What a page must show, and where a picture of it is kept.
pub struct Look<'a> {
    /// Text that must be visible, letter for letter, however hostile.
    pub shown: &'a [&'a str],
    /// What paper has no use for (a selector).
    pub not_printed: &'a str,
    /// The picture in docs/images, made anew if `UPDATE_SCREENSHOTS` is set.
    pub picture: &'a str,
}

/// A browser with one empty page.
pub struct Browser {
    child: Child,
    commands: Option<ChildStdin>,
    messages: BufReader<ChildStdout>,
    session: String,
    number: u64,
    events: VecDeque<Value>,
    /// The browser's profile.
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts a browser; none if this machine has none.
    pub fn start() -> Option<Self> {
        let is_there = |program: &&&str| Command::new(program).arg("--version").output().is_ok();
        let program = PROGRAMS.iter().find(is_there)?;
        let profile = tempfile::tempdir().unwrap();
        // The protocol's pipes are descriptors 3 and 4.
        let mut child = Command::new("bash")
            .args(["-c", "exec 3<&0 4>&1 </dev/null >/dev/null 2>&1; exec \"$@\"", "bash", program])
            .args([
                "--headless",
                "--remote-debugging-pipe",
                "--no-first-run",
                "--disable-gpu",
                "--disable-dev-shm-usage",
            ])
            // The sandbox needs what containers and root do not have; the pages are our own.
            .args(["--no-sandbox", "--hide-scrollbars", "--disable-background-networking"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .env("HOME", profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (commands, messages) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let (session, events) = (String::new(), VecDeque::new());
        let mut browser = Self { child, commands, messages, session, number: 0, events, _profile: profile };
        let page = browser.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": page["targetId"], "flatten": true });
        browser.session = browser.call("Target.attachToTarget", &attach)["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Network", "Runtime", "Log", "Debugger"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        Some(browser)
    }

    fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.number += 1;
        let mut message = json!({ "id": self.number, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = self.session.as_str().into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.commands.as_mut().unwrap().write_all(&bytes).unwrap();
        loop {
            let message = self.message();
            if message["id"] == self.number {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.events.push_back(message);
        }
    }

    fn message(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.messages.read_until(0, &mut bytes).unwrap();
        assert_eq!(bytes.pop(), Some(0), "the browser has ended");
        serde_json::from_slice(&bytes).unwrap()
    }

    /// Loads `url`; gives back all that happened on the way.
    fn open(&mut self, url: &str) -> Vec<Value> {
        self.events.clear();
        self.call("Page.navigate", &json!({ "url": url }));
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.message();
            self.events.push_back(event);
        }
        // What the page would do next, it has done when this is answered.
        self.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)))");
        self.events.drain(..).collect()
    }

    fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let result = self.call("Runtime.evaluate", &parameters);
        assert!(result["exceptionDetails"].is_null(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    fn screen(&mut self, width: u64, height: u64, is_phone: bool, media: &str, scheme: &str) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone });
        self.call("Emulation.setDeviceMetricsOverride", &metrics);
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", &json!({ "media": media, "features": features }));
    }

    /// Looks at the page at `url` as a desktop, a phone, paper and a dark screen show it.
    pub fn look(&mut self, url: &str, look: &Look<'_>) {
        self.look_at_screen(url, look);
        self.look_as(url, look, 700, "print", "dark");
        let paper = self.call("Page.printToPDF", &json!({}));
        let paper = BASE64_STANDARD.decode(paper["data"].as_str().unwrap()).unwrap();
        assert!(paper.starts_with(b"%PDF-") && paper.len() > 5000);
        self.picture(url, look.picture);
    }

    /// The same on screens alone.
    pub fn look_at_screen(&mut self, url: &str, look: &Look<'_>) {
        for (width, scheme) in [(1100, "light"), (360, "light"), (360, "dark"), (1100, "dark")] {
            self.look_as(url, look, width, "screen", scheme);
        }
    }

    fn look_as(&mut self, url: &str, look: &Look<'_>, width: u64, media: &str, scheme: &str) {
        let place = format!("{width} pixels, {media}, {scheme}");
        self.screen(width, 800, width < 500, media, scheme);
        let happened = self.open(url);
        assert_harmless(&happened, url);
        assert_eq!(
            self.evaluate("document.scripts.length + document.querySelectorAll('iframe,object,embed,form').length"),
            0
        );
        assert_eq!(self.evaluate(HANDLERS), json!([]), "{place}: handlers in attributes");
        assert_eq!(self.evaluate("'pwned' in window"), false);
        let text = self.evaluate("document.body.innerText");
        for shown in look.shown {
            assert!(text.as_str().unwrap().contains(shown), "{place}: {shown:?} is not in {text}");
        }
        assert_eq!(self.evaluate(OVERFLOW), json!([]), "{place}: wider than the screen");
        assert_eq!(self.evaluate(FAINT), json!([]), "{place}: text that is hard to read");
        let printed =
            format!("[...document.querySelectorAll('{}')].every(one => one.offsetHeight == 0)", look.not_printed);
        assert_eq!(self.evaluate(&printed), media == "print", "{place}: {}", look.not_printed);
    }

    /// Keeps what the page looks like, if that is asked for.
    fn picture(&mut self, url: &str, name: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/images").join(name);
        if std::env::var_os("UPDATE_SCREENSHOTS").is_some() {
            self.screen(1000, 700, false, "screen", "light");
            self.open(url);
            let picture = self.call("Page.captureScreenshot", &json!({ "format": "png" }));
            let picture = BASE64_STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, picture).unwrap();
        }
        assert!(std::fs::read(&path).unwrap().starts_with(b"\x89PNG"), "{}", path.display());
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends when nobody is at the other end of its pipes.
        drop(self.commands.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Attributes that would run something.
const HANDLERS: &str = "[...document.querySelectorAll('*')].flatMap(one => [...one.attributes])
    .filter(one => one.name.startsWith('on') || /^\\s*javascript:/i.test(one.value)).map(one => one.name)";

/// Elements that reach beyond the right edge.
const OVERFLOW: &str = "[...document.querySelectorAll('body, body *')]
    .filter(one => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
    .map(one => one.tagName + ' ' + one.textContent.slice(0, 40))";

/// Text whose contrast with what is behind it is below 4.5 (WCAG 2.2, 1.4.3).
const FAINT: &str = r"
    (() => {
        const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
        const parts = color => {
            canvas.clearRect(0, 0, 1, 1);
            canvas.fillStyle = color;
            canvas.fillRect(0, 0, 1, 1);
            return [...canvas.getImageData(0, 0, 1, 1).data];
        };
        const light = ([r, g, b]) => [r, g, b].map(part => part / 255)
            .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
            .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
        const canvasColor = parts(matchMedia('(prefers-color-scheme: dark)').matches && !matchMedia('print').matches
            ? '#121212' : '#fff');
        const behind = one => {
            for (; one; one = one.parentElement) {
                const color = parts(getComputedStyle(one).backgroundColor);
                if (color[3] > 250) return color;
            }
            return canvasColor;
        };
        const ownText = one => [...one.childNodes].some(node => node.nodeType == 3 && node.data.trim());
        return [...document.querySelectorAll('body *')].filter(one => one.offsetHeight > 0 && ownText(one)).filter(one => {
            const [a, b] = [light(parts(getComputedStyle(one).color)), light(behind(one))];
            return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
        }).map(one => one.tagName + ' ' + getComputedStyle(one).color + ' ' + one.textContent.slice(0, 30));
    })()";

/// Nothing ran, nothing was asked of anybody else, and the page's own rules were not broken.
fn assert_harmless(events: &[Value], url: &str) {
    let origin: String = url.split('/').take(3).collect::<Vec<_>>().join("/");
    for event in events {
        let parameters = &event["params"];
        match event["method"].as_str().unwrap_or_default() {
            "Network.requestWillBeSent" => {
                let asked = parameters["request"]["url"].as_str().unwrap();
                let is_own = asked == url || (origin.starts_with("http") && asked.starts_with(&format!("{origin}/")));
                assert!(is_own, "the page asks for {asked}");
            }
            "Debugger.scriptParsed" => {
                assert_eq!(parameters["url"], "", "the page runs {parameters}");
            }
            "Page.javascriptDialogOpening" | "Runtime.exceptionThrown" => panic!("the page does something: {event}"),
            // A browser asks every site for its icon; that there is none is no fault of the page.
            "Log.entryAdded"
                if !parameters["entry"]["url"].as_str().is_some_and(|url| url.ends_with("/favicon.ico")) =>
            {
                panic!("the browser complains: {event}")
            }
            _ => {}
        }
    }
}
