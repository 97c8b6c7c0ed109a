//! Without a free descriptor. In a process of its own, because it has them all.
#![cfg(unix)]
// A test that panics has failed: that is what it is for.
#![allow(clippy::unwrap_used)]

use httpling::files::{FileHandler, Links};
use httpling::testing::ScriptedStream;
use httpling::{Config, Session};
use std::fs::{self, File};

fn fetch(files: &FileHandler, target: &str) -> String {
    let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    let pieces = [request.as_bytes()];
    let mut stream = ScriptedStream::<2048>::new(&pieces);
    let (mut input, mut output) = ([0; 1024], [0; 1024]);
    Session::new(&mut input, &mut output, &Config::DEFAULT).handle(&mut stream, &mut files.clone());
    String::from_utf8(stream.written().to_vec()).unwrap()
}

#[test]
fn a_file_that_cannot_be_opened_now_is_not_said_to_be_missing() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a.txt"), "a").unwrap();
    for links in [Links::StayInside, Links::FollowAnywhere] {
        let files = FileHandler::new(directory.path()).unwrap().links(links);
        assert!(fetch(&files, "/a.txt").starts_with("HTTP/1.1 200 OK\r\n"));
        // The usual limit is 1024; somebody may have set it to more than is worth filling.
        let taken: Vec<File> = (0..100_000).map_while(|_| File::open("/dev/null").ok()).collect();
        if taken.len() == 100_000 {
            println!("skipped: there are too many descriptors");
            return;
        }
        for target in ["/a.txt", "/"] {
            let answer = fetch(&files, target);
            assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n"), "{answer}");
        }
        // One is enough to find out that a file is there, and not enough to open it.
        let mut taken = taken;
        taken.pop();
        let status = fetch(&files, "/a.txt");
        assert!(!status.starts_with("HTTP/1.1 404"), "{status}");
        drop(taken);
        assert!(fetch(&files, "/a.txt").starts_with("HTTP/1.1 200 OK\r\n"));
    }
}
