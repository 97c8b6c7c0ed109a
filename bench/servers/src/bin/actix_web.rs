//! `actix_web PORT THREADS`.

use std::io;
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use httpling_bench_servers::arguments;

/// More than is posted.
const CONTENT_BYTES_MAX: usize = 16 << 20;

async fn hello() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(("Server", "actix-web"))
        .insert_header(("Content-Type", "text/html"))
        .body("Hello there")
}

async fn echo(content: web::Bytes) -> HttpResponse {
    HttpResponse::Ok().insert_header(("Server", "actix-web")).body(content)
}

fn main() -> io::Result<()> {
    let (address, threads) = arguments()?;
    let server = HttpServer::new(|| {
        App::new()
            .app_data(web::PayloadConfig::new(CONTENT_BYTES_MAX))
            .route("/", web::get().to(hello))
            .route("/", web::post().to(echo))
    });
    let server = server
        // Idle connections are measured longer than the five seconds that it gives them.
        .keep_alive(Duration::from_secs(75))
        // A signal ends it at once.
        .disable_signals()
        .workers(threads)
        .bind(address)?;
    actix_web::rt::System::new().block_on(server.run())
}
