//! What kind of content is in a file? Its name tells (spec 132–137).
//!
//! The table is that of Python 3.14, and nothing but it: the machine's own `mime.types` are not read, so a site has the
//! same types everywhere (135 H). Three departures:
//!
//! - text is said to be UTF-8 (137 H), but for `text/xml`: XML has its own declaration, which a `charset` would overrule
//!   (RFC 7303 §3.2);
//! - `.svgz` and `.br` are announced as what they are, a picture or a page *in a content coding*, so that browsers
//!   decode them; Python leaves out the coding, and they show garbage (134 H);
//! - `.tgz`, `.taz`, `.tz`, `.tbz2` and `.txz` have the type of the archive as a whole, as `.tar.gz` has, because they
//!   are there to be kept, not to be decoded on the way (134 H).

/// The value of `Content-Type`, and that of `Content-Encoding` if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MediaType {
    pub(super) value: &'static str,
    pub(super) coding: Option<&'static str>,
}

/// Guesses the type of a file from its name; `None` if the name does not tell.
#[doc(alias = "guess_type")]
pub(super) fn guess(file_name: &[u8]) -> Option<MediaType> {
    let (stem, extension) = split_extension(file_name)?;
    let (extension, coding) = if extension.eq_ignore_ascii_case(b"svgz") {
        (&b"svg"[..], Some("gzip"))
    } else if extension == b"br" {
        // Python takes off this one as it is spelled, in small letters.
        (split_extension(stem)?.1, Some("br"))
    } else {
        (extension, None)
    };
    look_up(extension).map(|value| MediaType { value, coding })
}

/// What is before and behind the last dot. Dots at the beginning begin no extension.
fn split_extension(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let dot = name.iter().rposition(|&octet| octet == b'.')?;
    let (stem, extension) = (name.get(..dot)?, name.get(dot + 1..)?);
    stem.iter().any(|&octet| octet != b'.').then_some((stem, extension))
}

fn look_up(extension: &[u8]) -> Option<&'static str> {
    let mut lower = [0; LONGEST];
    let lower = lower.get_mut(..extension.len())?;
    lower.copy_from_slice(extension);
    lower.make_ascii_lowercase();
    let row = TABLE.binary_search_by(|(extension, _)| extension.as_bytes().cmp(lower)).ok()?;
    TABLE.get(row).map(|(_, value)| *value)
}

/// Octets of the longest extension.
const LONGEST: usize = 11;

/// Sorted by extension.
#[rustfmt::skip]
static TABLE: &[(&str, &str)] = &[
    ("3g2", "audio/3gpp2"),
    ("3gp", "audio/3gpp"),
    ("3gpp", "audio/3gpp"),
    ("3gpp2", "audio/3gpp2"),
    ("7z", "application/x-7z-compressed"),
    ("a", "application/octet-stream"),
    ("aac", "audio/aac"),
    ("adts", "audio/aac"),
    ("ai", "application/postscript"),
    ("aif", "audio/x-aiff"),
    ("aifc", "audio/x-aiff"),
    ("aiff", "audio/x-aiff"),
    ("ass", "audio/aac"),
    ("au", "audio/basic"),
    ("avi", "video/vnd.avi"),
    ("avif", "image/avif"),
    ("bat", "text/plain; charset=utf-8"),
    ("bcpio", "application/x-bcpio"),
    ("bin", "application/octet-stream"),
    ("bmp", "image/bmp"),
    ("bz2", "application/x-bzip2"),
    ("c", "text/plain; charset=utf-8"),
    ("cdf", "application/x-netcdf"),
    ("cpio", "application/x-cpio"),
    ("csh", "application/x-csh"),
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("deb", "application/x-debian-package"),
    ("dll", "application/octet-stream"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("dot", "application/msword"),
    ("dvi", "application/x-dvi"),
    ("emf", "image/emf"),
    ("eml", "message/rfc822"),
    ("eot", "application/vnd.ms-fontobject"),
    ("eps", "application/postscript"),
    ("epub", "application/epub+zip"),
    ("etx", "text/x-setext; charset=utf-8"),
    ("exe", "application/octet-stream"),
    ("fits", "image/fits"),
    ("flac", "audio/flac"),
    ("g3", "image/g3fax"),
    ("gif", "image/gif"),
    ("glb", "model/gltf-binary"),
    ("gltf", "model/gltf+json"),
    ("gtar", "application/x-gtar"),
    ("gz", "application/gzip"),
    ("h", "text/plain; charset=utf-8"),
    ("h5", "application/x-hdf5"),
    ("hdf", "application/x-hdf"),
    ("heic", "image/heic"),
    ("heif", "image/heif"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/vnd.microsoft.icon"),
    ("ief", "image/ief"),
    ("jp2", "image/jp2"),
    ("jpe", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("jpm", "image/jpm"),
    ("jpx", "image/jpx"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("ksh", "text/plain; charset=utf-8"),
    ("latex", "application/x-latex"),
    ("loas", "audio/aac"),
    ("m1v", "video/mpeg"),
    ("m3u", "application/vnd.apple.mpegurl"),
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("m4a", "audio/mp4"),
    ("m4v", "video/x-m4v"),
    ("man", "application/x-troff-man"),
    ("markdown", "text/markdown; charset=utf-8"),
    ("md", "text/markdown; charset=utf-8"),
    ("me", "application/x-troff-me"),
    ("mht", "message/rfc822"),
    ("mhtml", "message/rfc822"),
    ("mif", "application/x-mif"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("mk3d", "video/matroska-3d"),
    ("mka", "audio/matroska"),
    ("mkv", "video/matroska"),
    ("mov", "video/quicktime"),
    ("movie", "video/x-sgi-movie"),
    ("mp2", "audio/mpeg"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("mpa", "video/mpeg"),
    ("mpe", "video/mpeg"),
    ("mpeg", "video/mpeg"),
    ("mpg", "video/mpeg"),
    ("ms", "application/x-troff-ms"),
    ("n3", "text/n3; charset=utf-8"),
    ("nc", "application/x-netcdf"),
    ("nq", "application/n-quads"),
    ("nt", "application/n-triples"),
    ("nws", "message/rfc822"),
    ("o", "application/octet-stream"),
    ("obj", "application/octet-stream"),
    ("oda", "application/oda"),
    ("odg", "application/vnd.oasis.opendocument.graphics"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("ogg", "audio/ogg"),
    ("ogv", "video/ogg"),
    ("ogx", "application/ogg"),
    ("opus", "audio/opus"),
    ("otf", "font/otf"),
    ("p12", "application/x-pkcs12"),
    ("p7c", "application/pkcs7-mime"),
    ("pbm", "image/x-portable-bitmap"),
    ("pdf", "application/pdf"),
    ("pfx", "application/x-pkcs12"),
    ("pgm", "image/x-portable-graymap"),
    ("php", "application/x-httpd-php"),
    ("pl", "text/plain; charset=utf-8"),
    ("png", "image/png"),
    ("pnm", "image/x-portable-anymap"),
    ("pot", "application/vnd.ms-powerpoint"),
    ("ppa", "application/vnd.ms-powerpoint"),
    ("ppm", "image/x-portable-pixmap"),
    ("pps", "application/vnd.ms-powerpoint"),
    ("ppt", "application/vnd.ms-powerpoint"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("ps", "application/postscript"),
    ("pwz", "application/vnd.ms-powerpoint"),
    ("py", "text/x-python; charset=utf-8"),
    ("pyc", "application/x-python-code"),
    ("pyo", "application/x-python-code"),
    ("qt", "video/quicktime"),
    ("ra", "audio/x-pn-realaudio"),
    ("ram", "application/x-pn-realaudio"),
    ("rar", "application/vnd.rar"),
    ("ras", "image/x-cmu-raster"),
    ("rdf", "application/xml"),
    ("rgb", "image/x-rgb"),
    ("roff", "application/x-troff"),
    ("rpm", "application/x-rpm"),
    ("rst", "text/x-rst; charset=utf-8"),
    ("rtf", "text/rtf; charset=utf-8"),
    ("rtx", "text/richtext; charset=utf-8"),
    ("sgm", "text/x-sgml; charset=utf-8"),
    ("sgml", "text/x-sgml; charset=utf-8"),
    ("sh", "application/x-sh"),
    ("shar", "application/x-shar"),
    ("snd", "audio/basic"),
    ("so", "application/octet-stream"),
    ("src", "application/x-wais-source"),
    ("srt", "text/plain; charset=utf-8"),
    ("stl", "model/stl"),
    ("sv4cpio", "application/x-sv4cpio"),
    ("sv4crc", "application/x-sv4crc"),
    ("svg", "image/svg+xml"),
    ("swf", "application/x-shockwave-flash"),
    ("t", "application/x-troff"),
    ("t38", "image/t38"),
    ("tar", "application/x-tar"),
    ("taz", "application/gzip"),
    ("tbz2", "application/x-bzip2"),
    ("tcl", "application/x-tcl"),
    ("tex", "application/x-tex"),
    ("texi", "application/x-texinfo"),
    ("texinfo", "application/x-texinfo"),
    ("tfx", "image/tiff-fx"),
    ("tgz", "application/gzip"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("tr", "application/x-troff"),
    ("trig", "application/trig"),
    ("tsv", "text/tab-separated-values; charset=utf-8"),
    ("ttf", "font/ttf"),
    ("txt", "text/plain; charset=utf-8"),
    ("txz", "application/x-xz"),
    ("tz", "application/gzip"),
    ("ustar", "application/x-ustar"),
    ("vcf", "text/x-vcard; charset=utf-8"),
    ("vtt", "text/vtt; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("wav", "audio/vnd.wave"),
    ("weba", "audio/webm"),
    ("webm", "video/webm"),
    ("webmanifest", "application/manifest+json"),
    ("webp", "image/webp"),
    ("wiz", "application/msword"),
    ("wmf", "image/wmf"),
    ("wmv", "video/x-ms-wmv"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("wsdl", "application/xml"),
    ("xbm", "image/x-xbitmap"),
    ("xlb", "application/vnd.ms-excel"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("xml", "text/xml"),
    ("xpdl", "application/xml"),
    ("xpm", "image/x-xpixmap"),
    ("xsl", "application/xml"),
    ("xwd", "image/x-xwindowdump"),
    ("xz", "application/x-xz"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("z", "application/octet-stream"),
    ("zip", "application/zip"),
];

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! case {
        ($name:ident, $file:expr, $value:expr, $coding:expr) => {
            #[test]
            fn $name() {
                let (value, coding): (Option<&str>, Option<&str>) = ($value, $coding);
                let guessed = guess($file.as_ref());
                assert_eq!(guessed.map(|guessed| guessed.value), value);
                assert_eq!(guessed.and_then(|guessed| guessed.coding), coding);
            }
        };
    }

    case! { pages_are_utf_8, "a.html", Some("text/html; charset=utf-8"), None }
    case! { scripts_are_utf_8, "a.b.mjs", Some("text/javascript; charset=utf-8"), None }
    case! { xml_says_itself, "a.xml", Some("text/xml"), None }
    case! { json_is_always_utf_8, "a.json", Some("application/json"), None }
    case! { pictures_have_no_charset, "a.png", Some("image/png"), None }
    case! { extensions_have_no_case, "A.HtML", Some("text/html; charset=utf-8"), None }
    case! { the_longest_extension, "a.webmanifest", Some("application/manifest+json"), None }
    case! { longer_than_the_longest, "a.webmanifests", None, None }
    case! { unknown, "a.unknown", None, None }
    case! { no_extension, "html", None, None }
    case! { empty_extension, "a.", None, None }
    case! { a_leading_dot_is_no_extension, ".html", None, None }
    case! { leading_dots_are_no_extension, "..html", None, None }
    case! { nothing, "", None, None }
    case! { octets_that_are_no_utf_8, b"a.\xff", None, None }
    case! { archives_stay_packed, "a.tar.gz", Some("application/gzip"), None }
    case! { short_archives_too, "a.tgz", Some("application/gzip"), None }
    case! { short_archives_in_capitals, "a.TXZ", Some("application/x-xz"), None }
    case! { packed_by_others, "a.Z", Some("application/octet-stream"), None }
    case! { packed_pictures_are_pictures, "a.svgz", Some("image/svg+xml"), Some("gzip") }
    case! { packed_pictures_in_capitals, "a.SVGZ", Some("image/svg+xml"), Some("gzip") }
    case! { brotli_is_a_coding, "a.js.br", Some("text/javascript; charset=utf-8"), Some("br") }
    case! { brotli_of_nothing_known, "a.br", None, None }
    case! { brotli_of_a_hidden_name, ".html.br", None, None }
    case! { brotli_in_capitals_is_unknown, "a.js.BR", None, None }

    #[test]
    fn the_table_is_sorted_and_fits() {
        assert!(TABLE.is_sorted_by(|(left, _), (right, _)| left < right));
        assert_eq!(TABLE.iter().map(|(extension, _)| extension.len()).max(), Some(LONGEST));
        for (extension, value) in TABLE {
            assert!(!extension.bytes().any(|octet| octet.is_ascii_uppercase()), "{extension}");
            assert_eq!(guess(format!("a.{extension}").as_bytes()).map(|guessed| guessed.value), Some(*value));
        }
    }
}
