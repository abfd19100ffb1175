//! Answers that come before all of a request was sent. A server that refuses a large body
//! says so and closes the connection; what then fails is to send more, and the answer lies
//! there to be read.

use std::io::ErrorKind;

use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, NextTimeout, RustlsConnector,
    TcpConnector, Transport,
};

/// How connections are made: as the library does, but below TLS, whose own state a failure to
/// send would confuse, nothing is known of such failures before there is no answer either.
pub fn connector() -> impl Connector {
    let proxied = ().chain(ConnectProxyConnector::default());
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

/// A connection whose other side may have closed it for what is sent.
#[derive(Debug)]
struct Answered<T> {
    inner: T,
    /// Why nothing more can be sent.
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
