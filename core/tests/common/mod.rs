//! What the tests share: a client on tape, a demo handler, and every way to drive a session.

// Each test binary uses its own part of this.
#![allow(dead_code, unreachable_pub)]

pub mod catalogue;
pub mod demo;
pub mod judge;
pub mod laws;
pub mod tape;

use demo::Demo;
use embedded_io::ErrorKind;
use httpling_core::{CloseReason, Config, Connection, Progress, Session};
use tape::{End, Tape};

/// The sizes of a session's buffers, and its configuration.
#[derive(Clone, Debug)]
pub struct Setting {
    pub input: usize,
    pub output: usize,
    pub config: Config<'static>,
}

impl Default for Setting {
    fn default() -> Self {
        Self { input: 128 * 1024, output: 1024, config: Config::DEFAULT }
    }
}

/// What a connection came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// All bytes out.
    pub written: Vec<u8>,
    /// How many of them there were when each further turn of the client's was begun.
    pub marks: Vec<usize>,
    /// Why it is closed; `None` if it is not.
    pub reason: Option<CloseReason>,
    /// What the log hooks were told.
    pub log: Vec<String>,
}

/// Serves the client on `tape` with `handle`.
pub fn handle(tape: &mut Tape, setting: &Setting) -> Outcome {
    let (mut input, mut output) = (vec![0xaa; setting.input], vec![0xaa; setting.output]);
    let mut session = Session::new(&mut input, &mut output, &setting.config);
    let mut demo = Demo::default();
    let reason = session.handle(tape, &mut demo);
    assert_eq!(demo.finished, 1, "finish() is called once");
    assert_eq!(session.connection().close_reason(), Some(reason));
    outcome(tape, demo, Some(reason))
}

/// Serves it with `handle_one_request`, again and again.
pub fn handle_one_by_one(tape: &mut Tape, setting: &Setting) -> Outcome {
    use httpling_core::Persistence;
    let (mut input, mut output) = (vec![0xaa; setting.input], vec![0xaa; setting.output]);
    let mut session = Session::new(&mut input, &mut output, &setting.config);
    let mut demo = Demo::default();
    loop {
        if let Persistence::Close(reason) = session.handle_one_request(tape, &mut demo) {
            return outcome(tape, demo, Some(reason));
        }
    }
}

/// What becomes of the buffers between two calls of `advance`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Between {
    /// They stay.
    Kept,
    /// The connection is taken apart, and put together again with other buffers.
    Lent,
}

/// Serves it with `advance`. With [`End::Never`] the connection may be left open.
pub fn advance(tape: &mut Tape, setting: &Setting, between: Between) -> Outcome {
    let (mut input, mut output) = (vec![0xaa; setting.input], vec![0xaa; setting.output]);
    let mut demo = Demo::default();
    let mut connection = Connection::new();
    let mut pending = Vec::new();
    loop {
        input[..pending.len()].copy_from_slice(&pending);
        let mut session =
            Session::resume(connection, (&mut input, pending.len()), &mut output, &setting.config);
        loop {
            let progress = session.advance(tape, &mut demo);
            tape.assert_flushed();
            match progress {
                Progress::Close(reason) => return outcome(tape, demo, Some(reason)),
                Progress::NeedRoom => tape.make_room(),
                Progress::NeedBytes => {
                    if tape.is_at_end() && tape.end == End::Never {
                        return outcome(tape, demo, None);
                    }
                    let free = session.free_input();
                    assert!(!free.is_empty(), "there is room for what is needed");
                    match httpling_core::Wire::read(tape, free) {
                        Ok(count @ 1..) => session.received(count),
                        Err(ErrorKind::Interrupted) => {}
                        // After these two `advance` sends what there is to say.
                        Ok(0) => {
                            session.end_of_stream(tape, &mut demo);
                            continue;
                        }
                        Err(ErrorKind::TimedOut) => {
                            session.timed_out(tape, &mut demo);
                            continue;
                        }
                        Err(kind) => return outcome(tape, demo, Some(CloseReason::Transport(kind))),
                    }
                }
            }
            if between == Between::Lent {
                break;
            }
        }
        connection = session.connection();
        pending = session.pending().to_vec();
        // Nothing may depend on what is left in them.
        input.fill(0x55);
        output.fill(0x55);
    }
}

/// Do two ways to drive a session tell the log the same? Of a line that is refused, the log has as much as had arrived.
pub fn is_same_log(one: &[String], other: &[String]) -> bool {
    let same = |(one, other): (&String, &String)| one.starts_with(&**other) || other.starts_with(&**one);
    one.len() == other.len() && one.iter().zip(other).all(same)
}

fn outcome(tape: &mut Tape, demo: Demo, reason: Option<CloseReason>) -> Outcome {
    tape.assert_flushed();
    Outcome {
        written: std::mem::take(&mut tape.written),
        marks: std::mem::take(&mut tape.marks),
        reason,
        log: demo.log,
    }
}
