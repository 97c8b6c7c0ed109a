//! One thread's connections, over one epoll.
//!
//! With a schedule to keep the thread does not sleep: a sleeping one wakes up late, and what it measured would be itself.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventFlags as Flags};
use rustix::fd::OwnedFd;

use crate::answer::Expected;
use crate::connection::{Connection, Progress, Question};
use crate::report::Report;

/// After so many errors a thread gives up.
const ERRORS_MAX: u64 = 100;
/// How long after the end the answers to what was due before it are awaited.
const PATIENCE: Duration = Duration::from_secs(2);

/// When the next request goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// When the one before was answered.
    Closed,
    /// The same, on a new connection.
    Reconnecting,
    /// One in each interval, on the connection that has been free for longest: so all of them are used.
    Every(Duration),
}

/// Connections of one thread on which the same is asked.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) question: &'a Question,
    pub(crate) expected: &'a Expected,
    pub(crate) pace: Pace,
    pub(crate) connections: usize,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Time {
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// Which of how many threads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share {
    pub(crate) index: u32,
    pub(crate) of: u32,
}

/// Asks until the time is over, and returns a report for each group.
pub(crate) fn run(groups: &[Group<'_>], time: Time, connected: &Barrier, share: Share) -> Vec<Report> {
    let thread = Thread::connect(groups);
    // Also after an error: the others wait.
    connected.wait();
    match thread.and_then(|thread| thread.run(time, share)) {
        Ok(reports) => reports,
        Err(error) => groups.iter().map(|_| Report::failed(&format!("{error:#}"))).collect(),
    }
}

struct Thread<'a> {
    groups: &'a [Group<'a>],
    epoll: OwnedFd,
    /// With the number of its group.
    connections: Vec<(usize, Connection)>,
    reports: Vec<Report>,
    /// For each group, the connections that nothing is asked on, in the order in which they became free.
    free: Vec<VecDeque<usize>>,
    /// For each group, when the requests were due that wait for a connection.
    due: Vec<VecDeque<Instant>>,
    buffer: Vec<u8>,
    /// What counts is answered, or with a pace due, from then on, and before then.
    measured: (Instant, Instant),
}

impl<'a> Thread<'a> {
    fn connect(groups: &'a [Group<'a>]) -> Result<Self> {
        let now = Instant::now();
        let mut thread = Self {
            groups,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            connections: Vec::new(),
            reports: groups.iter().map(|_| Report::default()).collect(),
            free: groups.iter().map(|_| VecDeque::new()).collect(),
            due: groups.iter().map(|_| VecDeque::new()).collect(),
            buffer: vec![0; 64 * 1024],
            measured: (now, now),
        };
        for (number, group) in groups.iter().enumerate() {
            for _ in 0..group.connections {
                let index = thread.connections.len();
                let connection = Connection::open(group.address)?;
                thread.watch(&connection, index)?;
                thread.connections.push((number, connection));
                thread.free[number].push_back(index);
            }
        }
        Ok(thread)
    }

    fn watch(&self, connection: &Connection, index: usize) -> Result<()> {
        // Edges: one call for the connection's whole life.
        let flags = Flags::IN | Flags::OUT | Flags::RDHUP | Flags::ET;
        Ok(epoll::add(&self.epoll, &connection.stream, epoll::EventData::new_u64(index as u64), flags)?)
    }

    fn run(mut self, time: Time, share: Share) -> Result<Vec<Report>> {
        let start = Instant::now();
        let end = start + time.warm_up + time.measured;
        self.measured = (start + time.warm_up, end);
        let mut schedules = Vec::new();
        for (number, group) in self.groups.iter().enumerate() {
            if let Pace::Every(interval) = group.pace {
                // The threads' schedules lie between each other.
                schedules.push((number, interval, start + interval * share.index / share.of));
            } else {
                while let Some(index) = self.free[number].pop_front() {
                    self.ask(index, start);
                }
            }
        }
        let tv_nsec = if schedules.is_empty() { 10_000_000 } else { 0 };
        let timeout = Timespec { tv_sec: 0, tv_nsec };
        let mut events = Vec::with_capacity(256);
        loop {
            let now = Instant::now();
            if now >= end && (!self.owes_answers() || now >= end + PATIENCE) {
                break;
            }
            for (number, interval, next) in &mut schedules {
                while *next <= now && *next < end {
                    self.due[*number].push_back(*next);
                    *next += *interval;
                }
                self.ask_what_is_due(*number);
            }
            events.clear();
            epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout))?;
            for event in &events {
                // (Copied: the kernel's record is packed.)
                let (flags, data) = (event.flags, event.data);
                let ended = flags.intersects(Flags::RDHUP | Flags::HUP | Flags::ERR);
                self.go_on(usize::try_from(data.u64())?, ended);
            }
            ensure!(self.reports.iter().all(|report| report.errors < ERRORS_MAX), "{}", self.first_error());
        }
        for (number, ..) in schedules {
            let unanswered = self.groups[number].connections - self.free[number].len();
            for _ in 0..self.due[number].len() + unanswered {
                self.reports[number].fail("not answered in time");
            }
        }
        Ok(self.reports)
    }

    fn first_error(&self) -> String {
        self.reports.iter().find_map(|report| report.error.clone()).unwrap_or_default()
    }

    /// Are there requests with a schedule that were not answered?
    fn owes_answers(&self) -> bool {
        self.groups.iter().enumerate().any(|(number, group)| {
            matches!(group.pace, Pace::Every(_))
                && (!self.due[number].is_empty() || self.free[number].len() < group.connections)
        })
    }

    fn ask_what_is_due(&mut self, number: usize) {
        while !self.due[number].is_empty()
            && let Some(index) = self.free[number].pop_front()
            && let Some(due) = self.due[number].pop_front()
        {
            self.ask(index, due);
        }
    }

    fn ask(&mut self, index: usize, since: Instant) {
        let (number, connection) = &mut self.connections[index];
        if let Err(error) = connection.ask(self.groups[*number].question, since) {
            self.replace(index, Some(&error.into()));
        }
    }

    /// Something has changed on a connection.
    fn go_on(&mut self, index: usize, ended: bool) {
        let (number, connection) = &mut self.connections[index];
        let group = &self.groups[*number];
        let progress = connection
            .send_rest(group.question)
            .map_err(Into::into)
            .and_then(|()| connection.receive(group.question, group.expected, &mut self.buffer, ended));
        match progress {
            Ok(Progress::Waiting) => {}
            Ok(Progress::Answered) => {
                self.count(index, group.question.batch_count());
                if group.pace == Pace::Reconnecting {
                    // This server leaves it to the client to close.
                    self.replace(index, None);
                } else {
                    self.give_back(index);
                }
            }
            Ok(Progress::Closed { answered }) => {
                self.count(index, answered);
                self.replace(index, None);
            }
            Err(error) => self.replace(index, Some(&error)),
        }
    }

    /// Counts so many answers, and how long they took.
    fn count(&mut self, index: usize, answers: usize) {
        let (number, connection) = &self.connections[index];
        let report = &mut self.reports[*number];
        report.answered += answers as u64;
        let (from, until) = self.measured;
        let now = Instant::now();
        // By when it was due, if it was: an answer that comes after the end is late, and not to be forgotten.
        let counts = match self.groups[*number].pace {
            Pace::Every(_) => connection.since >= from,
            Pace::Closed | Pace::Reconnecting => now >= from && now < until,
        };
        if counts && answers > 0 {
            report.measured += answers as u64;
            report.latencies.push(now - connection.since);
        }
    }

    /// A connection has nothing to do.
    fn give_back(&mut self, index: usize) {
        let number = self.connections[index].0;
        match self.groups[number].pace {
            Pace::Closed | Pace::Reconnecting => self.ask(index, Instant::now()),
            Pace::Every(_) => {
                self.free[number].push_back(index);
                self.ask_what_is_due(number);
            }
        }
    }

    /// Opens a connection in the place of one that is closed.
    fn replace(&mut self, index: usize, error: Option<&anyhow::Error>) {
        let (number, connection) = &self.connections[index];
        let number = *number;
        if let Some(error) = error {
            self.reports[number].fail(&format!("{error:#}"));
        }
        let since = Instant::now();
        let was_free = !connection.asked;
        let opened = Connection::open(self.groups[number].address).map_err(Into::into);
        match opened.and_then(|connection| self.watch(&connection, index).map(|()| connection)) {
            Ok(connection) => self.connections[index].1 = connection,
            Err(error) => return self.reports[number].fail(&format!("{error:#}")),
        }
        match self.groups[number].pace {
            // The time to connect is part of it.
            Pace::Closed | Pace::Reconnecting => self.ask(index, since),
            Pace::Every(_) if was_free => {}
            Pace::Every(_) => self.give_back(index),
        }
    }
}
