//! Models of the hand-over between threads: every order of events, and every value that an atomic may still have.
//!
//! The engine's own files, over the locks and atomics of loom instead of the standard library's. Loom, and not a tool that tries
//! orders at random, because the hand-over rests on what is seen through acquire and release, and because it is small enough to
//! be tried whole, with a bound on how often a thread is interrupted. A deadlock, such as a sleep from which nobody wakes, fails
//! the model, too. What it cannot show: that a wait ends by itself after a time.

// A model that fails has to say so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

/// Not all that the engine uses is in the models.
#[path = "../src/reactor/helm.rs"]
mod helm;
#[allow(dead_code)]
#[path = "../src/reactor/inbox.rs"]
mod inbox;
#[path = "../src/reactor/nap.rs"]
mod nap;
#[allow(dead_code)]
#[path = "../src/reactor/spare.rs"]
mod spare;

/// As the engine's module of that name.
mod sync {
    pub(super) use loom::hint;
    pub(super) use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize};
    pub(super) use loom::sync::{Condvar, Mutex, MutexGuard};
    pub(super) use loom::thread::Thread;
    use std::ops::{Deref, DerefMut};
    use std::sync::atomic::Ordering;
    use std::sync::{TryLockError, TryLockResult};

    /// A lock whose end is an event like any other: for loom's own, an attempt comes before it is taken or after it is given
    /// back, and never in between.
    #[derive(Debug)]
    pub(super) struct TryMutex<T> {
        is_taken: AtomicBool,
        value: Mutex<T>,
    }

    pub(super) struct TryMutexGuard<'a, T> {
        is_taken: &'a AtomicBool,
        value: Option<MutexGuard<'a, T>>,
    }

    impl<T> TryMutex<T> {
        pub(super) fn new(value: T) -> Self {
            Self { is_taken: AtomicBool::new(false), value: Mutex::new(value) }
        }

        pub(super) fn try_lock(&self) -> TryLockResult<TryMutexGuard<'_, T>> {
            let taken = self.is_taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
            taken.map_err(|_| TryLockError::WouldBlock)?;
            Ok(TryMutexGuard { is_taken: &self.is_taken, value: Some(self.value.lock().unwrap()) })
        }
    }

    impl<T> Deref for TryMutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            self.value.as_ref().unwrap()
        }
    }

    impl<T> DerefMut for TryMutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.value.as_mut().unwrap()
        }
    }

    impl<T> Drop for TryMutexGuard<'_, T> {
        fn drop(&mut self) {
            self.value = None;
            self.is_taken.store(false, Ordering::Release);
        }
    }
}

use helm::Helm;
use inbox::{Inbox, Wake};
use loom::sync::atomic::{AtomicBool, AtomicUsize};
use loom::sync::{Condvar, Mutex};
use loom::thread::{self, JoinHandle};
use nap::Nap;
use spare::{Bounds, Done, Given, Need, Seat, Spares, Work};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How often a thread is interrupted where it need not be: more finds no more of the bugs that were planted, and takes minutes.
const PREEMPTIONS: usize = 3;

fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.check(run);
}

// ---- who drives ----

#[derive(Default)]
struct Books {
    calls: u64,
    hand_overs: usize,
    ended: usize,
    /// Connections that were served and are back.
    settled: usize,
}

/// A loop whose driver is in its first call, and the driver's number.
fn in_first_call() -> (Arc<Helm<Books>>, u64) {
    let helm = Arc::new(Helm::new(Books::default()));
    let (mut books, driver) = helm.take_over(0).expect("nobody drives");
    books.calls = 1;
    helm.begin(books, 1);
    (helm, driver)
}

/// A spare thread that was sent for a loop: serves one more connection, and ends the loop.
fn drive(helm: &Helm<Books>, turn: u64) {
    let Some((mut books, driver)) = helm.take_over(turn) else { return };
    assert_eq!(books.calls, turn, "it was sent for this call and has it");
    books.hand_overs += 1;
    books.calls += 1;
    let turn = books.calls;
    helm.begin(books, turn);
    let mut books = helm.go_on(driver).expect("nobody was sent for this call");
    assert_eq!(books.calls, turn, "nobody else drove meanwhile");
    books.settled += 1;
    books.ended += 1;
}

fn send_for(helm: &Arc<Helm<Books>>, turn: u64) -> JoinHandle<()> {
    let helm = Arc::clone(helm);
    thread::spawn(move || drive(&helm, turn))
}

fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    for thread in threads {
        thread.join().unwrap();
    }
}

/// A handler returns just when a thread is sent for its loop: one of the two goes on, and the connection comes back once.
#[test]
fn one_thread_drives() {
    model(|| {
        let (helm, driver) = in_first_call();
        let spare = send_for(&helm, 1);
        let has_lost_it = if let Some(mut books) = helm.go_on(driver) {
            assert_eq!((books.calls, books.hand_overs), (1, 0));
            books.settled += 1;
            books.ended += 1;
            false
        } else {
            true
        };
        join([spare]);
        let (books, _) = helm.take_over(0).expect("the loop has ended");
        assert_eq!((books.ended, books.settled, books.hand_overs), (1, 1, usize::from(has_lost_it)));
    });
}

/// The handler waits until another thread drives: two are sent for its loop, and one of them has it. (Three threads that spin
/// are more than loom can order.)
#[test]
fn a_call_that_lasts_loses_its_loop() {
    model(|| {
        let (helm, driver) = in_first_call();
        let spares = [1, 1].map(|turn| send_for(&helm, turn));
        join(spares);
        assert!(helm.go_on(driver).is_none(), "it has lost its loop");
        let (books, _) = helm.take_over(0).expect("the loop has ended");
        assert_eq!((books.ended, books.settled, books.hand_overs), (1, 1, 1));
    });
}

/// A thread that was sent for an earlier call comes too late, and looks at the lock just when the one comes that was sent for
/// this call: that one has the loop all the same.
#[test]
fn who_comes_too_late_is_in_nobodys_way() {
    model(|| {
        let (helm, driver) = in_first_call();
        let late = send_for(&helm, 1);
        let Some(mut books) = helm.go_on(driver) else {
            return join([late]);
        };
        books.calls = 2;
        helm.begin(books, 2);
        join([late, send_for(&helm, 2)]);
        assert!(helm.go_on(driver).is_none(), "it has lost its loop");
    });
}

// ---- messages ----

/// What ends a wait for sockets: it stays rung until somebody has waited.
#[derive(Clone, Default)]
struct Bell(Arc<(Mutex<bool>, Condvar)>);

impl Wake for Bell {
    fn wake(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_one();
    }
}

impl Bell {
    fn wait(&self) {
        let mut rung = self.0.0.lock().unwrap();
        while !*rung {
            rung = self.0.1.wait(rung).unwrap();
        }
        *rung = false;
    }
}

/// Two threads write, and a loop sleeps whenever there is nothing: it has both messages in the end.
#[test]
fn no_message_is_slept_through() {
    model(|| {
        let bell = Bell::default();
        let inbox = Arc::new(Inbox::new(bell.clone()));
        let writers: Vec<_> = (0..2)
            .map(|message| {
                let inbox = Arc::clone(&inbox);
                thread::spawn(move || inbox.send(message))
            })
            .collect();
        let mut messages = Vec::new();
        while messages.len() < 2 {
            messages.extend(inbox.take());
            if messages.len() < 2 && inbox.sleep() {
                bell.wait();
            }
            inbox.wake_up();
        }
        messages.sort_unstable();
        assert_eq!(messages, [0, 1]);
        join(writers);
    });
}

/// The server stops: each loop notices, whether it sleeps, is about to, or is awake; and the messages stay whole.
#[test]
fn a_stop_wakes_all_loops() {
    model(|| {
        let stopping = Arc::new(AtomicBool::new(false));
        let loops: Vec<_> = (0..2)
            .map(|_| {
                let bell = Bell::default();
                let (inbox, stopping) = (Arc::new(Inbox::<(), _>::new(bell.clone())), Arc::clone(&stopping));
                let inbox_too = Arc::clone(&inbox);
                let life = thread::spawn(move || {
                    while !stopping.load(Ordering::Relaxed) {
                        if inbox.sleep() {
                            bell.wait();
                        }
                        inbox.wake_up();
                    }
                });
                (inbox_too, life)
            })
            .collect();
        stopping.store(true, Ordering::SeqCst);
        for (inbox, _) in &loops {
            inbox.call();
        }
        join(loops.into_iter().map(|(_, life)| life));
    });
}

/// A loop wakes up when the thread that watches it is about to sleep, and then serves for ever: it is watched. What wakes it is
/// a message, or a socket.
#[test]
fn a_loop_that_wakes_up_wakes_its_watch() {
    for is_message in [true, false] {
        model(move || {
            let bell = Bell::default();
            let inbox = Arc::new(Inbox::new(bell.clone()));
            let nap = Arc::new(Nap::default());
            assert!(inbox.sleep());
            let (watched, watch_nap) = (Arc::clone(&inbox), Arc::clone(&nap));
            let watch = thread::spawn(move || {
                watch_nap.belongs_to(thread::current());
                watch_nap.rest(|| !watched.is_asleep(), thread::park);
            });
            let writer = is_message.then(|| {
                let inbox = Arc::clone(&inbox);
                thread::spawn(move || inbox.send(()))
            });
            if is_message {
                bell.wait();
            }
            inbox.wake_up();
            nap.wake();
            assert_eq!(inbox.take().len(), usize::from(is_message));
            join(writer.into_iter().chain([watch]));
        });
    }
}

/// The watch sleeps, and is ended.
#[test]
fn the_watch_can_be_ended() {
    model(|| {
        let nap = Arc::new(Nap::default());
        nap.belongs_to(thread::current());
        let ender = Arc::clone(&nap);
        let ender = thread::spawn(move || ender.end());
        nap.rest(|| false, thread::park);
        ender.join().unwrap();
    });
}

// ---- threads ----

/// A server's threads: each piece of work is a number, and is counted when it is run.
struct Pool {
    spares: Spares<usize>,
    ran: Vec<AtomicUsize>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    bounds: Bounds,
}

impl Pool {
    fn new(bounds: Bounds) -> Arc<Self> {
        let ran = (0..4).map(|_| AtomicUsize::new(0)).collect();
        Arc::new(Self { spares: Spares::new(bounds), ran, threads: Mutex::new(Vec::new()), bounds })
    }

    /// As the engine's threads live.
    fn live(&self, seat: &Arc<Seat<usize>>) {
        let mut next = seat.take();
        while let Some(work) = next {
            let (number, done) = match work {
                Work::Drive { index, .. } => (index, Done::Drove),
                Work::Serve(number) => (number, Done::Served),
            };
            self.ran[number].fetch_add(1, Ordering::Relaxed);
            next = self.spares.next(seat, done);
        }
    }

    /// How many were turned away.
    fn is_given(self: &Arc<Self>, given: Given<usize>) -> usize {
        assert!(self.spares.queued() <= self.bounds.queue, "the queue has its bound");
        match given {
            Given::Taken => 0,
            Given::Spawn(work) => {
                let (pool, seat) = (Arc::clone(self), Seat::new(work));
                let thread = thread::spawn(move || pool.live(&seat));
                self.threads.lock().unwrap().push(thread);
                0
            }
            Given::Refused(_) => 1,
        }
    }

    /// Ends it. How often each piece of work was run.
    fn end(&self) -> Vec<usize> {
        self.spares.end();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap());
        assert!(threads.len() <= 2 * self.bounds.loops + self.bounds.spares);
        join(threads);
        self.ran.iter().map(|ran| ran.load(Ordering::Relaxed)).collect()
    }
}

/// Work is given to a thread that has just nothing more to do, and is going to sleep: it is run, once.
#[test]
fn whoever_is_given_work_runs_it() {
    model(|| {
        let pool = Pool::new(Bounds { loops: 1, spares: 1, queue: 1 });
        for index in 0..3 {
            let given = pool.spares.give(Work::Drive { index, turn: 0 }, Need::Handler);
            assert_eq!(pool.is_given(given), 0, "there are threads enough");
        }
        assert_eq!(pool.end(), [1, 1, 1, 0]);
    });
}

/// Requests come while threads come and go: each is run once, or turned away, or still in the queue at the end; and the reserve
/// is kept for the loop.
#[test]
fn no_request_is_lost_in_the_queue() {
    model(|| {
        let pool = Pool::new(Bounds { loops: 1, spares: 1, queue: 1 });
        // A loop has its driver for as long as the model lasts.
        assert!(matches!(
            pool.spares.give(Work::Drive { index: 0, turn: 0 }, Need::Handler),
            Given::Spawn(_)
        ));
        let mut refused = 0;
        for number in 1..4 {
            let given = pool.spares.serve(number);
            refused += pool.is_given(given);
            assert!(!pool.spares.are_scarce(), "a request has taken the reserve");
        }
        // One is in the queue only as long as somebody is going to take it from there.
        while pool.spares.queued() > 0 {
            thread::yield_now();
        }
        let ran = pool.end();
        assert!(ran.iter().all(|ran| *ran <= 1), "{ran:?}");
        assert_eq!(ran.iter().sum::<usize>() + refused, 3);
    });
}
