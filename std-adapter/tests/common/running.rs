//! Servers on threads of the test's own process.

use super::{Client, PATIENCE};
use httpling::metrics::Metrics;
use httpling::{Builder, HttpServer, RequestHandler, ShutdownHandle};
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

/// A server on a thread of this process. It is ended with its test.
pub(crate) struct Running {
    /// Its first one.
    pub(crate) address: SocketAddr,
    pub(crate) handle: ShutdownHandle,
    pub(crate) metrics: Metrics,
    ended: Receiver<io::Result<()>>,
}

impl Running {
    /// Each connection has a copy of this handler.
    pub(crate) fn with<H: RequestHandler + Clone + Send + Sync + 'static>(
        builder: Builder,
        handler: &H,
    ) -> Self {
        let handler = handler.clone();
        Self::start(builder, move |_| handler.clone())
    }

    pub(crate) fn start<H: RequestHandler + Send + 'static, F>(builder: Builder, factory: F) -> Self
    where
        F: Fn(Option<SocketAddr>) -> H + Send + Sync + 'static,
    {
        Self::serve(builder.bind("127.0.0.1:0").expect("a free port"), factory)
    }

    pub(crate) fn serve<H: RequestHandler + Send + 'static, F>(server: HttpServer, factory: F) -> Self
    where
        F: Fn(Option<SocketAddr>) -> H + Send + Sync + 'static,
    {
        let unix_alone = SocketAddr::from(([0, 0, 0, 0], 0));
        let (address, handle) = (server.local_addr().unwrap_or(unix_alone), server.shutdown_handle());
        let metrics = server.metrics();
        let (sender, ended) = channel();
        std::thread::spawn(move || {
            let result = server.serve_forever(factory);
            drop(server);
            // Nobody waits any more when the test has failed.
            _ = sender.send(result);
        });
        Self { address, handle, metrics, ended }
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// Waits until `serve_forever` returns.
    pub(crate) fn join(&self) {
        self.ended.recv_timeout(2 * PATIENCE).expect("the server ends").expect("without an error");
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(self.ended.try_recv(), Err(std::sync::mpsc::TryRecvError::Empty))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.shutdown();
        // It may have been waited for already: then the other end is gone.
        let end = self.ended.recv_timeout(2 * PATIENCE);
        assert!(
            !matches!(end, Err(RecvTimeoutError::Timeout)) || std::thread::panicking(),
            "the server does not end"
        );
    }
}
