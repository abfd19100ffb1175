//! A program that runs while this process does other things.

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};

use anyhow::{Context, Result};

use super::Program;
use super::children::{Children, Place};
use super::tree::{PATIENCE, Tree};

/// A program with the user's terminal.
#[derive(Debug)]
pub struct Started {
    id: u32,
    children: Arc<Children>,
    /// Its other side is gone once the program has ended.
    over: Receiver<()>,
}

impl Program<'_> {
    /// Starts it with the user's terminal. `ended` is told how it ended, from another thread.
    pub fn start(
        &self,
        ended: impl FnOnce(Result<ExitStatus>) + Send + 'static,
    ) -> Result<Started> {
        let own = Stdio::inherit;
        let mut child = self.spawn(Place::Terminal, own(), own(), own())?;
        let (running, over) = mpsc::channel();
        let id = child.id();
        let operation = format!("run `{self}`");
        std::thread::spawn(move || {
            let status = child.wait().context(operation);
            drop(child);
            drop(running);
            ended(status);
        });
        Ok(Started { id, children: Arc::clone(self.env.children()), over })
    }
}

impl Started {
    /// Ends it, with all that it started, and returns once it has ended.
    pub fn stop(self) {
        let is_over = self.over.try_recv() == Err(mpsc::TryRecvError::Disconnected);
        // Where this process was told to end, the program was too, and may have left others behind.
        match self.children.told(self.id) {
            Some(tree) => tree.end(),
            // Another process may have its number by now.
            None if is_over => {}
            None => Tree::of(self.id).end(),
        }
        // Its own end is known at last; one that cannot be killed is left.
        _ = self.over.recv_timeout(PATIENCE);
    }
}
