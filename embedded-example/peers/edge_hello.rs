//! What edge-http answers on both scales: `GET /` says hello, other targets are 404.

use core::fmt::{Debug, Display};

use edge_http::io::Error;
use edge_http::io::server::{Connection, Handler};
use edge_nal::TcpSplit;
use embedded_io_async::{Read, Write};

/// The handler.
pub(crate) struct Hello;

impl Handler for Hello {
    type Error<E: Debug> = Error<E>;

    async fn handle<T, const N: usize>(
        &self,
        _: impl Display + Copy,
        connection: &mut Connection<'_, T, N>,
    ) -> Result<(), Error<T::Error>>
    where
        T: Read + Write + TcpSplit,
    {
        if connection.headers()?.path == "/" {
            connection.initiate_response(200, Some("OK"), &[("Content-Length", "11")]).await?;
            connection.write_all(b"Hello there").await
        } else {
            connection.initiate_response(404, Some("Not Found"), &[("Content-Length", "0")]).await
        }
    }
}
