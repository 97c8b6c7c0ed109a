//! What tells the program to end: a signal, or what a system without signals has instead.

use std::io;

/// Which word was it?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ctrl-C: somebody at the keyboard.
    Interrupt,
    /// Anything else.
    #[cfg(unix)]
    Terminate,
}

/// The signals of this process, from the moment at which there is one of these.
pub(crate) struct Signals(system::Signals);

impl Signals {
    /// # Errors
    /// The system's.
    pub(crate) fn new() -> io::Result<Self> {
        system::Signals::new().map(Self)
    }

    /// Waits for the next one.
    pub(crate) fn next(&mut self) -> Option<Signal> {
        self.0.next()
    }
}

#[cfg(unix)]
mod system {
    use super::Signal;
    use signal_hook::consts::{SIGINT, SIGTERM};
    use std::io;

    pub(super) struct Signals(signal_hook::iterator::Signals);

    impl Signals {
        pub(super) fn new() -> io::Result<Self> {
            signal_hook::iterator::Signals::new([SIGINT, SIGTERM]).map(Self)
        }

        pub(super) fn next(&mut self) -> Option<Signal> {
            let number = self.0.forever().next()?;
            Some(if number == SIGINT { Signal::Interrupt } else { Signal::Terminate })
        }
    }
}

/// The events of a console. Which one it was is not told: a console has somebody at its keyboard.
#[cfg(not(unix))]
mod system {
    use super::Signal;
    use std::io;
    use std::sync::mpsc::{Receiver, channel};

    pub(super) struct Signals(Receiver<()>);

    impl Signals {
        pub(super) fn new() -> io::Result<Self> {
            let (sender, receiver) = channel();
            // Sending fails when nobody waits for the end any more.
            ctrlc::set_handler(move || _ = sender.send(())).map_err(io::Error::other)?;
            Ok(Self(receiver))
        }

        pub(super) fn next(&mut self) -> Option<Signal> {
            self.0.recv().is_ok().then_some(Signal::Interrupt)
        }
    }
}
