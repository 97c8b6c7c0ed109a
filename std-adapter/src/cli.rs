//! The program's command line: Python's, with clap (spec 1–15).

mod promises;

use clap::builder::NonEmptyStringValueParser;
use clap::builder::styling::Styles;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches, Parser};
use httpling::Version;
use httpling::files::Header;
use promises::Promises;
use std::path::PathBuf;

/// Serve the files of a directory over HTTP
#[derive(Debug, Parser)]
#[command(version, infer_long_args = true, styles = Styles::styled())]
#[allow(clippy::struct_excessive_bools)] // Each is an option of its own.
pub(crate) struct Arguments {
    /// Bind to this address (a name, an IP address, or unix:PATH); may be repeated. Sockets that a service
    /// manager hands over are served instead of it [default: all interfaces]
    #[arg(short, long, value_name = "ADDRESS")]
    pub(crate) bind: Vec<String>,

    /// Serve this directory [default: the current directory]
    #[arg(short, long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    pub(crate) directory: PathBuf,

    /// Conform to this HTTP version: HTTP/1.0, or HTTP/1.1 with persistent connections
    #[arg(short, long, value_name = "VERSION", default_value = "HTTP/1.0", value_parser = protocol)]
    pub(crate) protocol: Version,

    /// Send this field with every file and listing; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<Header>,

    /// The media type of files whose name tells none
    #[arg(long, value_name = "TYPE", default_value = "application/octet-stream")]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) content_type: String,

    /// Follow symbolic links out of the directory
    #[arg(long)]
    pub(crate) follow_links: bool,

    /// Neither serve nor list names that begin with a dot
    #[arg(long)]
    pub(crate) hide_dotfiles: bool,

    /// Answer 404 for a directory without an index page
    #[arg(long)]
    pub(crate) no_listing: bool,

    /// Let other instances listen on the same port, for restarts one by one
    #[cfg(unix)]
    #[arg(long)]
    pub(crate) reuse_port: bool,

    /// Expect a PROXY header on each connection: only where nobody but a proxy can connect
    #[arg(long)]
    pub(crate) proxy_protocol: bool,

    /// Tell Prometheus at http://ADDRESS:PORT/metrics what was done so far, in numbers
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) metrics: Option<String>,

    /// Bind to this port; 0 takes a free one
    #[arg(default_value = "8000")]
    port: String,

    #[arg(skip)]
    pub(crate) port_number: u16,

    #[command(flatten)]
    pub(crate) promises: Promises,
}

impl Arguments {
    /// Reads the command line; ends the program with a message where it is wrong (exit 2) or asks for help (exit 0).
    pub(crate) fn from_command_line() -> Self {
        Self::try_from_iter(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    fn try_from_iter<T: Into<std::ffi::OsString> + Clone>(
        arguments: impl IntoIterator<Item = T>,
    ) -> Result<Self, clap::Error> {
        let mut command = Self::command();
        let matches = command
            .try_get_matches_from_mut(arguments)
            .map_err(|error| as_python_says(&mut command, error))?;
        let mut parsed = Self::from_arg_matches(&matches)?;
        // A number that is no port, and something that is no number, are different mistakes (spec 3, 4).
        let invalid = match parsed.port.trim().parse::<i128>().map(u16::try_from) {
            Ok(Ok(number)) => {
                parsed.port_number = number;
                return Ok(parsed);
            }
            Ok(Err(_)) => "must be 0 to 65535",
            Err(_) => "invalid int value",
        };
        let message = format!("argument port: {invalid}: '{}'", parsed.port);
        Err(command.error(ErrorKind::ValueValidation, message))
    }
}

/// Scripts look for Python's words (spec 15).
fn as_python_says(command: &mut clap::Command, error: clap::Error) -> clap::Error {
    match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, Some(ContextValue::String(argument))) => {
            command.error(ErrorKind::UnknownArgument, format!("unrecognized arguments: {argument}"))
        }
        _ => error,
    }
}

fn protocol(text: &str) -> Result<Version, String> {
    match text {
        "HTTP/1.0" => Ok(Version::Http10),
        "HTTP/1.1" => Ok(Version::Http11),
        _ => Err("must be HTTP/1.0 or HTTP/1.1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::try_from_iter(std::iter::once("httpling").chain(line.split_whitespace()))
            .map_err(|error| format!("{} {error}", error.exit_code()))
    }

    #[test]
    fn the_command_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn pythons_command_lines_are_ours() {
        let plain = parse("").expect("no argument is needed");
        assert_eq!((plain.port_number, plain.bind, plain.protocol), (8000, vec![], Version::Http10));
        assert_eq!(plain.directory.as_os_str(), ".");
        for line in [
            "-b ::1 -d /tmp -p HTTP/1.1 0",
            "0 --bind=::1 --directory=/tmp --protocol=HTTP/1.1",
            "-b::1 --dir /tmp --prot HTTP/1.1 0",
        ] {
            let parsed = parse(line).expect(line);
            assert_eq!(
                (parsed.port_number, &*parsed.bind, parsed.protocol),
                (0, &["::1".to_owned()][..], Version::Http11)
            );
            assert_eq!(parsed.directory.as_os_str(), "/tmp");
        }
        assert_eq!(parse("-H A:b -H C:").expect("headers").headers.len(), 2);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, message) in [
            ("abc", "argument port: invalid int value: 'abc'"),
            ("70000", "argument port: must be 0 to 65535: '70000'"),
            ("--nope", "unrecognized arguments: --nope"),
            ("1 2", "unrecognized arguments: 2"),
            ("-p HTTP/2.0", "must be HTTP/1.0 or HTTP/1.1"),
            ("-H nocolon", "no colon between name and value"),
            ("--idle-timeout soon", "must be a number of seconds"),
            ("--idle-timeout=-1", "negative"),
            ("--fields-max 256", "256 is not in 0..=255"),
            ("--requests-max 0", "0 is not in 1..=65535"),
            ("--bytes-per-second-min 0", "0 is not in 1..=4294967295"),
            ("--connections-max 0", "would be zero"),
            ("--threads 0", "would be zero"),
            ("--spare-threads-max 0", "would be zero"),
        ] {
            let said = parse(line).expect_err(line);
            assert!(
                said.starts_with("2 ")
                    && said.contains(message)
                    && said.contains("Usage:") | said.contains("--help"),
                "{line}: {said}"
            );
        }
        assert!(parse("-1").expect_err("no port is negative").starts_with("2 "));
        assert!(parse("--help").expect_err("help").starts_with("0 "));
        assert!(parse("--version").expect_err("version").starts_with("0 "));
    }
}
