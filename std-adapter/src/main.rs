//! The program `httpling`: does what `python -m http.server` does.

#![forbid(unsafe_code)]

mod cli;
mod manager;
mod signals;
mod sockets;

use cli::Arguments;
use httpling::HttpServer;
use httpling::files::{DotFiles, FileHandler, Links, Listings};
use httpling::metrics::Prometheus;
use manager::Inherited;
use signals::{Signal, Signals};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread;

fn main() -> ExitCode {
    let inherited = Inherited::from_environment();
    match run(&Arguments::from_command_line(), inherited) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("httpling: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments, inherited: Option<Inherited>) -> Result<(), String> {
    let handler = file_handler(arguments)?;
    // Before the first thread, and before the banner: whoever reads the banner may send a signal.
    let mut signals = Signals::new().map_err(|error| format!("cannot receive signals: {error}"))?;
    let server = sockets::listen(arguments, inherited)?;
    let watched = show_metrics(&server, arguments)?;
    say(&server.banner());
    if let Some(address) = watched {
        say(&format!("Metrics at http://{address}/metrics"));
    }

    manager::tell("READY=1");
    keep_alive(&server)?;

    let handle = server.shutdown_handle();
    let ends = move || {
        if signals.next() == Some(Signal::Interrupt) {
            say("\nKeyboard interrupt received, exiting.");
        }
        manager::tell("STOPPING=1");
        handle.shutdown();
        // The second one does not wait for anybody.
        if signals.next().is_some() {
            std::process::exit(0);
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(ends).map_err(|error| error.to_string())?;
    server.serve_forever(move |_peer| handler.clone()).map_err(|error| error.to_string())
}

/// Tells the service manager, where it keeps a watch, for as long as the server is alive.
fn keep_alive(server: &HttpServer) -> Result<(), String> {
    let Some(patience) = manager::watch() else { return Ok(()) };
    let pulse = server.pulse();
    // Up to four times in its time: an answer may take half of it.
    let tells = move || {
        loop {
            if pulse.beats(patience / 2) {
                manager::tell("WATCHDOG=1");
            }
            thread::sleep(patience / 4);
        }
    };
    thread::Builder::new().name("watchdog".to_owned()).spawn(tells).map_err(|error| error.to_string())?;
    Ok(())
}

fn file_handler(arguments: &Arguments) -> Result<FileHandler, String> {
    let directory = &arguments.directory;
    let handler = FileHandler::new(directory)
        .map_err(|error| format!("cannot serve directory '{}': {}", directory.display(), reason(&error)))?
        .links(if arguments.follow_links { Links::FollowAnywhere } else { Links::StayInside })
        .dot_files(if arguments.hide_dotfiles { DotFiles::Hidden } else { DotFiles::Served })
        .listings(if arguments.no_listing { Listings::NotFound } else { Listings::Shown })
        .default_content_type(&arguments.content_type)
        .map_err(|error| format!("--content-type: {error}"))?;
    Ok(arguments.headers.iter().cloned().fold(handler, FileHandler::header))
}

/// Serves the server's numbers on a thread of their own, until the program ends.
fn show_metrics(server: &HttpServer, arguments: &Arguments) -> Result<Option<SocketAddr>, String> {
    let Some(address) = &arguments.metrics else { return Ok(None) };
    let fail = |error: io::Error| format!("cannot show metrics on {address}: {}", reason(&error));
    let page = Prometheus::new(server.metrics());
    // The next instance has its metrics where this one has them.
    let builder = sockets::share_port(HttpServer::builder().threads(1).log(false), arguments);
    let server = builder.bind(address).map_err(fail)?;
    let bound = server.local_addr();
    let serve = move || server.serve_forever(move |_peer| page.clone());
    thread::Builder::new().name("metrics".to_owned()).spawn(serve).map_err(fail)?;
    Ok(bound)
}

/// On stdout, at once, also behind a pipe (spec 17). Nobody may be listening there.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// The system's words, without the number that std puts behind them.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text.get(..end).unwrap_or(&text).to_owned(),
        None => text,
    }
}
