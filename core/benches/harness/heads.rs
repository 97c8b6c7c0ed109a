//! What clients send.

/// The least that RFC 9112 asks for.
#[allow(dead_code)] // Not every bench needs it.
pub(crate) const MINIMAL: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost:8000\r\n\r\n";

/// A browser's: 14 fields.
pub(crate) const BROWSER: &[u8] = b"GET /notes/2017/thermometer.html?unit=celsius HTTP/1.1\r\n\
    Host: thermometer.example:8000\r\n\
    Connection: keep-alive\r\n\
    Cache-Control: max-age=0\r\n\
    sec-ch-ua: \"Chromium\";v=\"126\", \"Google Chrome\";v=\"126\", \"Not-A.Brand\";v=\"8\"\r\n\
    sec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/126.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Referer: http://thermometer.example:8000/notes/\r\n\
    Accept-Encoding: gzip, deflate\r\n\
    Accept-Language: de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7\r\n\
    \r\n";
