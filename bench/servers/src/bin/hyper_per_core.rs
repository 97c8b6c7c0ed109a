//! `hyper_per_core PORT THREADS`: hyper over a runtime per thread, each with a listening socket of its own.

use std::net::SocketAddr;
use std::{io, thread};

use httpling_bench_servers::{arguments, serve_by_hyper};
use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;
use tokio::runtime::Builder;

fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    Ok(socket.into())
}

fn serve(listener: std::net::TcpListener) -> io::Result<()> {
    Builder::new_current_thread().enable_io().build()?.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(serve_by_hyper(stream));
        }
    })
}

fn main() -> io::Result<()> {
    let (address, threads) = arguments()?;
    // All, before the first accepts: a connection that came in between would wait at a socket that nobody reads.
    let listeners = (0..threads).map(|_| listen(address)).collect::<io::Result<Vec<_>>>()?;
    let threads: Vec<_> =
        listeners.into_iter().map(|listener| thread::spawn(move || serve(listener))).collect();
    threads.into_iter().try_for_each(|thread| thread.join().unwrap_or(Ok(())))
}
