//! Ctrl-C, SIGTERM and SIGHUP. The signal only leaves a mark here: whatever the main thread waits
//! for, it waits in [`pause`], sees the mark and returns through its guards, which stop what was
//! started. A third signal ends the process at once.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::error::Error;

#[derive(Clone, Copy)]
struct Received {
    count: u32,
    first: i32,
}

static RECEIVED: Mutex<Received> = Mutex::new(Received { count: 0, first: 0 });
static CHANGED: Condvar = Condvar::new();

fn received() -> MutexGuard<'static, Received> {
    RECEIVED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts listening. Call once, before anything is started.
pub(crate) fn listen() -> Result<(), Error> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])
        .map_err(|e| Error::Advice(format!("cannot listen for Ctrl-C: {e}")))?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            let mut state = received();
            state.count += 1;
            if state.count == 1 {
                state.first = signal;
            } else if state.count > 2 {
                std::process::exit(128 + signal);
            }
            drop(state);
            CHANGED.notify_all();
        }
    });
    Ok(())
}

/// An error once a signal has come.
pub(crate) fn check() -> Result<(), Error> {
    pause(Duration::ZERO)
}

/// Waits for `time`, less if a signal comes; an error once one has come.
pub(crate) fn pause(time: Duration) -> Result<(), Error> {
    let (state, _) = CHANGED
        .wait_timeout_while(received(), time, |state| state.count == 0)
        .unwrap_or_else(PoisonError::into_inner);
    match state.count {
        0 => Ok(()),
        _ => Err(Error::Interrupted(state.first)),
    }
}

/// Waits for `time`, less if the user presses Ctrl-C a second time; true if he did. For the time
/// after the first one, when things are being stopped.
pub(crate) fn pause_while_stopping(time: Duration) -> bool {
    let (state, _) = CHANGED
        .wait_timeout_while(received(), time, |state| state.count < 2)
        .unwrap_or_else(PoisonError::into_inner);
    state.count >= 2
}
