//! The error to tell of those of several threads.

use anyhow::Result;

use crate::http::HttpError;

/// The values, or the error that made the others give up.
pub fn all<T>(ended: Vec<Result<T>>) -> Result<Vec<T>> {
    let mut values = Vec::new();
    let mut errors: Vec<anyhow::Error> = Vec::new();
    for end in ended {
        match end {
            Ok(value) => values.push(value),
            Err(error) => errors.push(error),
        }
    }
    let given_up = |error: &anyhow::Error| {
        error.downcast_ref::<HttpError>().is_some_and(HttpError::was_given_up)
    };
    let cause = errors.iter().position(|error| !given_up(error)).unwrap_or(0);
    if errors.is_empty() { Ok(values) } else { Err(errors.swap_remove(cause)) }
}
