//! What threads agree by. The models of the hand-over (`tests/hand_over.rs`) have other ones, which try every order of events.

pub(super) use std::hint;
pub(super) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize};
pub(super) use std::sync::{Condvar, Mutex, MutexGuard};
/// A lock that nobody waits for. (Loom's own does not try what happens to others while it is held.)
pub(super) use std::sync::{Mutex as TryMutex, MutexGuard as TryMutexGuard};
pub(super) use std::thread::Thread;
