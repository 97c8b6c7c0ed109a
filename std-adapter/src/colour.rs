//! Colour on terminals, by Python's rules (spec 22).

use std::env;
use std::io::IsTerminal;

/// The colours of Python 3.15's `http.server`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    Plain,
    Green,
    BrightCyan,
    Grey,
    Yellow,
    Red,
}

impl Colour {
    pub(crate) fn of_status(code: u16) -> Self {
        match code {
            200..=299 => Self::Green,
            300..=399 => Self::BrightCyan,
            400..=499 => Self::Yellow,
            500..=599 => Self::Red,
            _ => Self::Plain,
        }
    }
}

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Palette {
    coloured: bool,
}

/// What to write before and after coloured text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    pub(crate) start: &'static str,
    pub(crate) end: &'static str,
}

impl Palette {
    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Self { coloured: false }
    }

    pub(crate) fn for_stream(stream: &impl IsTerminal) -> Self {
        Self { coloured: coloured(|name| env::var(name).ok(), stream.is_terminal()) }
    }

    pub(crate) fn paint(self, colour: Colour) -> Paint {
        let start = match colour {
            _ if !self.coloured => "",
            Colour::Plain => "",
            Colour::Green => "\x1b[32m",
            Colour::BrightCyan => "\x1b[96m",
            Colour::Grey => "\x1b[90m",
            Colour::Yellow => "\x1b[33m",
            Colour::Red => "\x1b[31m",
        };
        Paint { start, end: if start.is_empty() { "" } else { "\x1b[0m" } }
    }
}

/// `PYTHON_COLORS`, then `NO_COLOR`, then `FORCE_COLOR`, then `TERM`, in that order; else the terminal decides.
fn coloured(variable: impl Fn(&str) -> Option<String>, terminal: bool) -> bool {
    let is_set = |name| variable(name).is_some_and(|value| !value.is_empty());
    match variable("PYTHON_COLORS").as_deref() {
        Some("0") => false,
        Some("1") => true,
        _ if is_set("NO_COLOR") => false,
        _ if is_set("FORCE_COLOR") => true,
        _ if variable("TERM").as_deref() == Some("dumb") => false,
        _ => terminal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variable_decides() {
        let decide = |variables: &[(&str, &str)], terminal| {
            let variable = |name: &str| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            };
            coloured(variable, terminal)
        };
        assert!(decide(&[], true));
        assert!(!decide(&[], false));
        assert!(!decide(&[("TERM", "dumb")], true));
        assert!(decide(&[("TERM", "dumb"), ("FORCE_COLOR", "1")], false));
        assert!(!decide(&[("FORCE_COLOR", "1"), ("NO_COLOR", "1")], true));
        assert!(decide(&[("PYTHON_COLORS", "1"), ("NO_COLOR", "1")], false));
        assert!(!decide(&[("PYTHON_COLORS", "0"), ("FORCE_COLOR", "1")], true));
        assert!(decide(&[("NO_COLOR", "")], true));
    }

    /// Those of Python 3.15 (spec 22).
    #[test]
    fn each_class_of_status_has_its_colour() {
        let paint = |coloured, code| {
            let Paint { start, end } = Palette { coloured }.paint(Colour::of_status(code));
            (start, end)
        };
        for (codes, start) in [
            ([0, 100, 199], ""),
            ([200, 206, 299], "\x1b[32m"),
            ([300, 304, 399], "\x1b[96m"),
            ([400, 404, 499], "\x1b[33m"),
            ([500, 503, 599], "\x1b[31m"),
            ([600, 999, 999], ""),
        ] {
            for code in codes {
                let end = if start.is_empty() { "" } else { "\x1b[0m" };
                assert_eq!(paint(true, code), (start, end), "{code}");
                assert_eq!(paint(false, code), ("", ""), "{code}");
            }
        }
    }
}
