//! The value of `--load`.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, Error};

use crate::sink::{Engine, Remote};

/// Takes the name of an engine on this machine, or the address of one on another.
#[derive(Clone)]
pub struct Engines;

/// The names of the engines on this machine.
fn local() -> impl Iterator<Item = PossibleValue> {
    let value = |(name, help, _): &(&'static str, &'static str, Engine)| {
        let value = PossibleValue::new(*name);
        if help.is_empty() { value } else { value.help(*help) }
    };
    Engine::LOCAL.iter().map(value)
}

impl TypedValueParser for Engines {
    type Value = Engine;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Engine, Error> {
        let text = value.to_string_lossy();
        if !text.starts_with(Remote::SCHEME) {
            let name = PossibleValuesParser::new(local()).parse_ref(command, arg, value)?;
            let named = Engine::LOCAL.into_iter().find(|(of, ..)| *of == name);
            let found = named.map(|(_, _, engine)| engine);
            return found.ok_or_else(|| Error::new(ErrorKind::InvalidValue).with_cmd(command));
        }
        // The address may hold a password, so it is not quoted.
        Remote::parse(&text).map(Engine::Remote).map_err(|error| {
            let mut refused = Error::new(ErrorKind::ValueValidation).with_cmd(command);
            let arg = arg.map_or_else(|| "--load".to_owned(), ToString::to_string);
            refused.insert(ContextKind::InvalidArg, ContextValue::String(arg));
            let said = format!("ssh://…: {error:#}");
            refused.insert(ContextKind::InvalidValue, ContextValue::String(said));
            refused
        })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(local()))
    }
}
