//! Octets that are judged twice: by the core, and by [h11](https://h11.readthedocs.io), which reads strictly as well.
//!
//! Two readers who see different requests in the same octets are how requests are smuggled. So what both take must be the same for
//! both, to the last octet; what only the core takes must be on the list of what the RFCs want to be taken. It may refuse more.

mod contents;
mod heads;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::mutation::Random;
use crate::tools::{self, root};

/// So many are on their way at once: neither pipe is full then.
const AT_ONCE: usize = 32;

/// Not the first Python of the path: the module comes from Debian, as Debian's Python does.
const PYTHON: &str = "/usr/bin/python3";

/// How often each verdict was met.
type Verdicts = BTreeMap<String, usize>;

pub(crate) fn run() -> Result<()> {
    let need = || {
        tools::need("python3", "python3")?;
        tools::need_module(PYTHON, "h11", "python3-h11")
    };
    let judge = || {
        heads::judge_twice()?;
        contents::judge_twice()
    };
    tools::where_possible("h11", need, judge)
}

/// Compares with what h11 says of the same octets, in so many rounds. In each run, the octets are the same.
fn judged(
    kind: &str,
    rounds: usize,
    mut next: impl FnMut(&mut Random) -> Vec<u8>,
    compare: impl Fn(&[u8], &str) -> Result<String>,
) -> Result<Verdicts> {
    let mut h11 = Command::new(PYTHON)
        .arg(root().join("xtask/src/judge/judge.py"))
        .arg(kind)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start Python")?;
    let mut asking = h11.stdin.take().context("it has an input")?;
    let mut answers = BufReader::new(h11.stdout.take().context("it has an output")?).lines();
    let mut random = Random::new();
    let mut verdicts = Verdicts::new();
    for _ in 0..rounds / AT_ONCE {
        let asked: Vec<Vec<u8>> = (0..AT_ONCE).map(|_| next(&mut random)).collect();
        for octets in &asked {
            asking.write_all(&u32::try_from(octets.len())?.to_le_bytes())?;
            asking.write_all(octets)?;
        }
        asking.flush()?;
        for octets in &asked {
            let theirs = answers.next().context("h11 has ended")??;
            let verdict = compare(octets, &theirs).with_context(|| {
                format!("{:?}, of which h11 says: {theirs}", octets.escape_ascii().to_string())
            })?;
            *verdicts.entry(verdict).or_default() += 1;
        }
    }
    drop(asking);
    ensure!(h11.wait()?.success(), "h11 failed");
    for (verdict, count) in &verdicts {
        println!("{count:7} {kind}: {verdict}");
    }
    Ok(verdicts)
}

/// Octets as `judge.py` writes them.
fn digits(octets: &[u8]) -> impl Iterator<Item = char> {
    let halves = octets.iter().flat_map(|octet| [octet >> 4, octet & 15]);
    halves.filter_map(|half| char::from_digit(half.into(), 16))
}
