//! Runs work on several threads.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ScopedJoinHandle};

use anyhow::{Context, Result, anyhow};

/// The number of processors.
pub fn processors() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// Does the work for every item on up to `threads` threads, and returns the results in the items'
/// order. After a failure no new work begins. The first failure is returned, because it may have
/// caused the others.
pub fn map<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    map_until(items, threads, || {}, work)
}

/// The same, with `stop` called at the first failure, to end the work of other threads.
pub fn map_until<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    stop: impl Fn() + Sync,
    work: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<R>>> = Mutex::new(items.iter().map(|_| None).collect());
    let failed: Mutex<Option<anyhow::Error>> = Mutex::new(None);
    let one = || -> Result<()> {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { return Ok(()) };
            match work(item) {
                Ok(result) => results.lock().map_err(|_| panicked())?[at] = Some(result),
                Err(error) => {
                    next.store(items.len(), Ordering::Relaxed);
                    failed.lock().map_err(|_| panicked())?.get_or_insert(error);
                    stop();
                    return Ok(());
                }
            }
        }
    };
    let ended: Vec<Result<()>> = thread::scope(|scope| {
        let threads: Vec<_> =
            (0..threads.clamp(1, items.len().max(1))).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(join).collect()
    });
    ended.into_iter().collect::<Result<()>>()?;
    if let Some(error) = failed.into_inner().map_err(|_| panicked())? {
        return Err(error);
    }
    let results = results.into_inner().map_err(|_| panicked())?;
    results.into_iter().map(|result| result.with_context(panicked)).collect()
}

/// Does two things at once. `stop` is called at the first failure, to end the other; that failure
/// is returned.
pub fn both<A: Send, B>(
    stop: impl Fn() + Sync,
    one: impl FnOnce() -> Result<A> + Send,
    other: impl FnOnce() -> Result<B>,
) -> Result<(A, B)> {
    let failed = Mutex::new(None);
    let fail = |error| {
        locked(&failed).get_or_insert(error);
        stop();
    };
    let (one, other) = thread::scope(|scope| {
        let one = scope.spawn(|| one().map_err(&fail));
        let other = other().map_err(&fail);
        (one.join(), other)
    });
    match (one, other) {
        (Ok(Ok(one)), Ok(other)) => Ok((one, other)),
        (Err(_), _) => Err(panicked()),
        _ => Err(failed.into_inner().ok().flatten().unwrap_or_else(panicked)),
    }
}

/// What came of the work of a thread.
pub fn join<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| Err(panicked()))
}

/// What the mutex holds. A thread that panicked with it does not matter: its panic is told.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn panicked() -> anyhow::Error {
    anyhow!("a thread panicked")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u64> = (0..50).collect();
        for threads in [0, 1, 3, 99] {
            let squares = map(&items, threads, |n| Ok(n * n)).unwrap();
            assert_eq!(squares, items.iter().map(|n| n * n).collect::<Vec<_>>());
        }
        let none: Vec<u64> = map(&[], 2, |n: &u64| Ok(*n)).unwrap();
        assert_eq!(none.len(), 0);
    }

    #[test]
    fn the_first_failure_is_told_and_not_what_it_led_to() {
        let stopped = std::sync::atomic::AtomicBool::new(false);
        let stop = || stopped.store(true, Ordering::Release);
        let failed = map_until(&[0, 1], 2, stop, |n| -> Result<()> {
            anyhow::ensure!(*n == 0, "the cause");
            while !stopped.load(Ordering::Acquire) {
                thread::yield_now();
            }
            anyhow::bail!("it was given up");
        });
        assert_eq!(failed.unwrap_err().to_string(), "the cause");
    }

    #[test]
    fn of_two_things_the_first_failure_is_told() {
        assert_eq!(both(|| {}, || Ok(1), || Ok("two")).unwrap(), (1, "two"));
        for first in [true, false] {
            let stopped = std::sync::atomic::AtomicBool::new(false);
            let stop = || stopped.store(true, Ordering::Release);
            let part = |fails: bool| -> Result<()> {
                anyhow::ensure!(!fails, "the cause");
                while !stopped.load(Ordering::Acquire) {
                    thread::yield_now();
                }
                anyhow::bail!("it was given up");
            };
            let failed = both(stop, || part(first), || part(!first));
            assert_eq!(failed.unwrap_err().to_string(), "the cause");
        }
    }

    #[test]
    fn a_failure_is_told_and_begins_nothing_new() {
        let begun = AtomicUsize::new(0);
        let items: Vec<usize> = (0..1000).collect();
        let failed = map(&items, 2, |n| {
            begun.fetch_add(1, Ordering::Relaxed);
            anyhow::ensure!(*n != 3, "number three");
            // The failure has a second to be heard of.
            thread::sleep(std::time::Duration::from_millis(1));
            Ok(())
        });
        assert_eq!(failed.unwrap_err().to_string(), "number three");
        assert!(begun.into_inner() < 1000);
    }
}
