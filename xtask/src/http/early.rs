//! Responses that arrive before the whole request was sent. A server that rejects a large
//! body answers and closes the connection. Sending more then fails, but the response can
//! still be read.

use std::io::ErrorKind;

use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, NextTimeout, RustlsConnector,
    SocksConnector, TcpConnector, Transport,
};

/// ureq's default connector, with [`Answering`] below TLS. A send that fails is only reported
/// if no response follows; TLS must not see it, because it would corrupt the TLS state.
pub fn connector() -> impl Connector {
    let proxied = ().chain(SocksConnector::default()).chain(ConnectProxyConnector::default());
    proxied.chain(TcpConnector::default()).chain(Answering).chain(RustlsConnector::default())
}

#[derive(Debug)]
struct Answering;

impl<In: Transport> Connector<In> for Answering {
    type Out = Answered<In>;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Answered<In>>, Error> {
        Ok(chained.map(|inner| Answered { inner, unsent: None }))
    }
}

/// A connection whose peer may have stopped reading.
#[derive(Debug)]
struct Answered<T> {
    inner: T,
    /// The error of the send that failed. Nothing more is sent after it.
    unsent: Option<std::io::Error>,
}

impl<T: Transport> Transport for Answered<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if self.unsent.is_some() {
            return Ok(());
        }
        match self.inner.transmit_output(amount, timeout) {
            Err(Error::Io(error)) if is_closed(&error) => {
                self.unsent = Some(error);
                Ok(())
            }
            sent => sent,
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        match (self.inner.await_input(timeout), self.unsent.take()) {
            (Ok(true), unsent) => {
                self.unsent = unsent;
                Ok(true)
            }
            (_, Some(error)) => Err(Error::Io(error)),
            (input, None) => input,
        }
    }

    fn is_open(&mut self) -> bool {
        self.unsent.is_none() && self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

fn is_closed(error: &std::io::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionReset | ConnectionAborted)
}
