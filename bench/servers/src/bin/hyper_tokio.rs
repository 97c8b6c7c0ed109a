//! `hyper_tokio PORT THREADS`: hyper over one runtime of several threads, as tokio makes it.

use std::io;

use httpling_bench_servers::{arguments, serve_by_hyper};
use tokio::net::TcpListener;
use tokio::runtime::Builder;

fn main() -> io::Result<()> {
    let (address, threads) = arguments()?;
    Builder::new_multi_thread().worker_threads(threads).enable_io().build()?.block_on(async {
        let listener = TcpListener::bind(address).await?;
        // The future given to `block_on` runs on a thread of its own: accepting belongs to the workers.
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await?;
                tokio::spawn(serve_by_hyper(stream));
            }
        })
        .await?
    })
}
