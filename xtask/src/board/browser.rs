//! The demo's page in a browser that nobody sees, driven by the `WebDriver` protocol.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::client::{Client, request};
use crate::tools;

/// Opens the page, switches the LED by clicking, asks `is_led` each time, and keeps a picture.
pub(crate) fn click_led(
    board: SocketAddr,
    picture: &Path,
    is_led: impl Fn(&str) -> Result<()>,
) -> Result<()> {
    tools::need("chromium", "chromium")?;
    tools::need("chromedriver", "chromium-driver")?;
    tools::need("pkill", "procps")?;
    let browser = Browser::start()?;
    browser.command("POST", "/url", &json!({ "url": format!("http://{board}/") }))?;
    let button = browser.command("POST", "/element", &json!({ "using": "css selector", "value": "#led" }))?;
    let button = button.as_object().and_then(|object| object.values().next()).and_then(Value::as_str);
    let button = button.context("the page has no button")?.to_owned();

    let shown = browser.shown("led", |text| !text.is_empty())?;
    let other = if shown == "on" { "off" } else { "on" };
    for expected in [other, shown.as_str(), "on"] {
        if browser.shown("led", |text| !text.is_empty())? != expected {
            browser.command("POST", &format!("/element/{button}/click"), &json!({}))?;
        }
        browser.shown("led", |text| text == expected)?;
        is_led(expected)?;
    }
    // It refreshes itself.
    let requests = browser.shown("requests_total", |text| !text.is_empty())?;
    browser.shown("requests_total", |text| text != requests)?;

    let image = browser.command("GET", "/screenshot", &Value::Null)?;
    let image = STANDARD.decode(image.as_str().context("no picture")?)?;
    ensure!(image.starts_with(b"\x89PNG"), "the picture is none");
    // One is enough: a new one each time would be a change of the repository. Remove it to have it taken again.
    if picture.exists() {
        return Ok(());
    }
    if let Some(folder) = picture.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(picture, image).with_context(|| format!("cannot write {}", picture.display()))
}

/// A browser and its driver. Both end when this is dropped.
struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    profile: std::path::PathBuf,
}

impl Browser {
    fn start() -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let profile = env::temp_dir().join(format!("httpling-browser-{}", process::id()));
        let driver = Command::new("chromedriver")
            .arg(format!("--port={}", address.port()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start chromedriver")?;
        let mut browser = Self { driver, address, session: String::new(), profile };
        let started = Instant::now();
        while Client::connect(address).is_err() {
            ensure!(started.elapsed() < Duration::from_secs(20), "chromedriver does not answer");
            thread::sleep(Duration::from_millis(20));
        }
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=420,520",
            &format!("--user-data-dir={}", browser.profile.display()),
        ];
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": arguments },
        } } });
        let value = browser.command("POST", "", &capabilities)?;
        let session = value.get("sessionId").and_then(Value::as_str).context("no session")?;
        browser.session = format!("/{session}");
        Ok(browser)
    }

    /// One command of the `WebDriver` protocol; gives its value.
    fn command(&self, method: &str, path: &str, content: &Value) -> Result<Value> {
        let content = if method == "POST" { content.to_string() } else { String::new() };
        let target = format!("/session{}{path}", self.session);
        let host = format!("Content-Type: application/json\r\nHost: {}\r\n", self.address);
        let bytes = request(method, &target, &host, content.as_bytes());
        // The field in its place is `board`, which the driver would refuse as a stranger.
        let bytes = String::from_utf8(bytes)?.replacen("Host: board\r\n", "", 1);
        let mut driver = Client::connect(self.address)?;
        driver.send(bytes.as_bytes())?;
        let answer = driver.answer(method)?;
        ensure!(answer.status() == 200, "{target}: {}", answer.text());
        let mut answer: Value = serde_json::from_slice(&answer.content)?;
        Ok(answer.get_mut("value").map(Value::take).unwrap_or_default())
    }

    /// Waits until the page shows what is expected in the element with this name.
    fn shown(&self, id: &str, is_expected: impl Fn(&str) -> bool) -> Result<String> {
        let script = format!("return document.getElementById('{id}').textContent");
        let started = Instant::now();
        loop {
            let text = self.command("POST", "/execute/sync", &json!({ "script": script, "args": [] }))?;
            let text = text.as_str().unwrap_or_default();
            if is_expected(text) {
                return Ok(text.to_owned());
            }
            ensure!(started.elapsed() < Duration::from_secs(20), "the page shows `{text}` for {id}");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let _ = self.command("DELETE", "", &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        // A driver that failed leaves its browser behind, whose processes have the profile's name among their arguments.
        let _ = Command::new("pkill")
            .args(["-KILL", "-f", "--"])
            .arg(format!("{}( |$)", self.profile.display()))
            .status();
        let _ = fs::remove_dir_all(&self.profile);
    }
}
