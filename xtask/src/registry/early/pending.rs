//! An answer that comes later. Several may look at it before one takes it.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::parallel::locked;

/// Gives the answer. Dropped without one, it says that none will come.
pub struct Promise<T>(Arc<Shared<T>>);

/// Gets the answer.
#[derive(Debug)]
pub struct Pending<T>(Arc<Shared<T>>);

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    ended: Condvar,
}

#[derive(Debug)]
enum State<T> {
    Open,
    /// `None` where no answer came, or where it was taken.
    Ended(Option<T>),
}

impl<T> Clone for Pending<T> {
    fn clone(&self) -> Pending<T> {
        Pending(Arc::clone(&self.0))
    }
}

/// Both ends of an answer.
pub fn promise<T>() -> (Promise<T>, Pending<T>) {
    let shared = Arc::new(Shared { state: Mutex::new(State::Open), ended: Condvar::new() });
    (Promise(Arc::clone(&shared)), Pending(shared))
}

impl<T> Promise<T> {
    pub fn keep(self, answer: T) {
        *locked(&self.0.state) = State::Ended(Some(answer));
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        let mut state = locked(&self.0.state);
        if matches!(*state, State::Open) {
            *state = State::Ended(None);
        }
        self.0.ended.notify_all();
    }
}

impl<T> Pending<T> {
    /// Waits for the answer, and takes it from all others.
    pub fn take(&self) -> Option<T> {
        self.wait(Option::take)
    }

    /// Waits for the answer, and leaves it to others.
    pub fn look<R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        self.wait(|answer| answer.as_ref().map(look))
    }

    /// Looks at the answer, if it has come.
    pub fn peek<R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        match &*locked(&self.0.state) {
            State::Ended(Some(answer)) => Some(look(answer)),
            State::Ended(None) | State::Open => None,
        }
    }

    fn wait<R>(&self, then: impl FnOnce(&mut Option<T>) -> R) -> R {
        let mut state = locked(&self.0.state);
        loop {
            if let State::Ended(answer) = &mut *state {
                return then(answer);
            }
            state = self.0.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn an_answer_is_looked_at_by_several_and_taken_by_one() {
        let (promise, pending) = promise();
        assert_eq!(pending.peek(|it: &u8| *it), None);
        thread::scope(|scope| {
            let looks = [(); 3].map(|()| scope.spawn(|| pending.look(|it| *it)));
            promise.keep(7);
            assert_eq!(looks.map(|it| it.join().unwrap()), [Some(7); 3]);
        });
        assert_eq!((pending.peek(|it| *it), pending.clone().take()), (Some(7), Some(7)));
        assert_eq!((pending.take(), pending.look(|it| *it)), (None, None));
    }

    #[test]
    fn nobody_waits_for_an_answer_that_will_not_come() {
        let (promise, pending) = promise::<u8>();
        thread::scope(|scope| {
            let waits = scope.spawn(|| pending.take());
            drop(promise);
            assert_eq!(waits.join().unwrap(), None);
        });
    }
}
