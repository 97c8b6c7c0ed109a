//! What is not served: what lies elsewhere, what is hidden, and what is no file.

use super::site::{Site, ask, fetch, write};
use httpling::files::{DotFiles, FileHandler, Links};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;
use std::sync::mpsc::channel;
use std::time::Duration;

#[test]
fn no_spelling_leads_out() {
    let site = Site::new();
    let ups = [
        "..",
        "%2e%2e",
        ".%2e",
        "%2E.",
        "%252e%252e",
        "..%00",
        "..;",
        "...",
        "%c0%ae%c0%ae",
        "%ED%B2%AE%ED%B2%AE",
        "..%5c",
        "..\\",
        "%2e%2e%2f..",
        "./..",
        "sub/../..",
        "sub%2f..%2f..",
    ];
    let slashes = ["/", "//", "%2f", "%2F", "/./", "%5c", "\\", "%252f"];
    for up in ups {
        for slash in slashes {
            for depth in 1..4 {
                let climb = format!("{up}{slash}").repeat(depth);
                for lead in ["/", "//", "http://a/", "/sub/", "/sub%2f", "/links/outdir/"] {
                    let target = format!("{lead}{climb}secret.txt");
                    let answer = fetch(&site.files(), &target);
                    assert!(matches!(answer.status, 404), "{target}: {}", answer.head);
                    assert!(!answer.text().contains("secret</"), "{target}");
                }
            }
        }
    }
    for target in [
        "/../../../../../../../../etc/passwd",
        "/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
    ] {
        assert_eq!(fetch(&site.files(), target).status, 404, "{target}");
    }
}

#[test]
fn links_that_stay_inside_are_followed() {
    let site = Site::new();
    fetch(&site.files(), "/links/in").is(200, "0123456789");
    fetch(&site.files(), "/links/absolute").is(200, "0123456789");
    fetch(&site.files(), "/links/dir/b.txt").is(200, "b");
    assert_eq!(fetch(&site.files(), "/links/dir").header("Location"), Some("/links/dir/"));
}

#[test]
fn links_that_lead_out_are_not_there_unless_asked_for() {
    let site = Site::new();
    for target in
        ["/links/out", "/links/outdir", "/links/outdir/", "/links/outdir/secret.txt", "/links/broken"]
    {
        assert_eq!(fetch(&site.files(), target).status, 404, "{target}");
    }
    let follows = site.files().links(Links::FollowAnywhere);
    fetch(&follows, "/links/out").is(200, "secret");
    fetch(&follows, "/links/outdir/secret.txt").is(200, "secret");
    assert_eq!(fetch(&follows, "/links/outdir/../../secret.txt").status, 404);
    assert_eq!(fetch(&follows, "/links/broken").status, 404);
}

#[test]
fn an_index_page_that_leads_out_does_not_turn_into_a_listing() {
    let site = Site::new();
    symlink("../../secret.txt", site.root().join("sub/index.html")).unwrap();
    assert_eq!(fetch(&site.files(), "/sub/").status, 404);
    fetch(&site.files().links(Links::FollowAnywhere), "/sub/").is(200, "secret");
}

#[test]
fn the_directory_is_the_one_that_is_there_now() {
    let site = Site::new();
    let current = site.directory.path().join("current");
    symlink("root", &current).unwrap();
    let files = FileHandler::new(&current).unwrap();
    fetch(&files, "/a.txt").is(200, "0123456789");
    fs::create_dir(site.directory.path().join("next")).unwrap();
    write(site.directory.path().join("next/a.txt"), "next");
    fs::remove_file(&current).unwrap();
    assert_eq!(fetch(&files, "/a.txt").status, 404);
    symlink("next", &current).unwrap();
    fetch(&files, "/a.txt").is(200, "next");
}

#[test]
fn only_a_directory_is_served() {
    let site = Site::new();
    assert_eq!(
        FileHandler::new(site.root().join("missing")).unwrap_err().kind(),
        std::io::ErrorKind::NotFound
    );
    assert_eq!(
        FileHandler::new(site.root().join("a.txt")).unwrap_err().kind(),
        std::io::ErrorKind::NotADirectory
    );
}

#[test]
fn dot_files_are_there_unless_hidden() {
    let site = Site::new();
    fetch(&site.files(), "/.env").is(200, "password");
    assert!(fetch(&site.files(), "/").text().contains(".env"));
    let hides = site.files().dot_files(DotFiles::Hidden);
    for target in ["/.env", "/%2eenv", "/sub/../.env", "/.git", "/.git/", "/.git/config"] {
        assert_eq!(fetch(&hides, target).status, 404, "{target}");
    }
    fetch(&hides, "/.well-known/w.txt").is(200, "well known");
    let listing = fetch(&hides, "/");
    assert!(
        !listing.text().contains(".env") && listing.text().contains(".well-known/"),
        "{}",
        listing.text()
    );
}

// ---- what is no file ----

/// Opening it for reading would wait for a writer: so that is tried where nobody waits for it.
#[test]
fn a_fifo_is_not_there_and_nobody_waits() {
    let site = Site::new();
    let made =
        Command::new("mkfifo").arg(site.root().join("fifo")).arg(site.root().join("sub/index.html")).status();
    assert!(made.unwrap().success());
    let files = site.files();
    let (sender, answers) = channel();
    std::thread::spawn(move || {
        let answers = [fetch(&files, "/fifo"), ask(&files, "HEAD", "/fifo", &[]), fetch(&files, "/sub/")];
        sender.send(answers).ok()
    });
    let [get, head, listing] = answers.recv_timeout(Duration::from_secs(20)).expect("nobody waits");
    assert_eq!((get.status, head.status), (404, 404));
    assert_eq!(listing.status, 200, "as an index page it is passed over");
    assert!(listing.text().contains("<a href=\"index.html\">"));
}

#[test]
fn devices_and_sockets_are_not_there() {
    let site = Site::new();
    symlink("/dev/zero", site.root().join("zero")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(site.root().join("socket")).unwrap();
    for files in [site.files(), site.files().links(Links::FollowAnywhere)] {
        assert_eq!(fetch(&files, "/zero").status, 404);
        assert_eq!(fetch(&files, "/socket").status, 404);
    }
}

#[test]
fn what_we_may_not_read_is_not_there() {
    let site = Site::new();
    let forbid = |path: &str, mode| {
        fs::set_permissions(site.root().join(path), Permissions::from_mode(mode)).unwrap();
    };
    forbid("a.txt", 0);
    forbid("sub", 0o111);
    forbid("site", 0o111);
    if File::open(site.root().join("a.txt")).is_ok() {
        println!("skipped: this user may read everything");
        return;
    }
    assert_eq!(fetch(&site.files(), "/a.txt").status, 404);
    let listing = fetch(&site.files(), "/sub/");
    assert_eq!(listing.status, 404);
    assert!(listing.text().contains("No permission to list directory"), "{}", listing.text());
    assert_eq!(fetch(&site.files(), "/sub").header("Location"), Some("/sub/"));
    fetch(&site.files(), "/sub/b.txt").is(200, "b");
    fetch(&site.files(), "/site/").is(200, "index");
    forbid("sub", 0o755);
    forbid("site", 0o755);
}
