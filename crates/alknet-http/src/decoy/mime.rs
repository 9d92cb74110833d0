//! Content types by extension, as Debian's `mime.types` has them.

/// What a file is whose extension says nothing.
pub(crate) const UNKNOWN: &str = "application/octet-stream";

const LONGEST: usize = 7;

/// The type of a file with this extension, in whatever case.
pub(crate) fn of_extension(extension: &[u8]) -> &'static str {
    let mut lower = [0; LONGEST];
    let Some(lower) = lower.get_mut(..extension.len()) else { return UNKNOWN };
    lower.copy_from_slice(extension);
    lower.make_ascii_lowercase();
    match &*lower {
        b"html" | b"htm" | b"shtml" => "text/html",
        b"css" => "text/css",
        b"xml" => "text/xml",
        b"gif" => "image/gif",
        b"jpeg" | b"jpg" => "image/jpeg",
        b"js" => "application/javascript",
        b"atom" => "application/atom+xml",
        b"rss" => "application/rss+xml",
        b"mml" => "text/mathml",
        b"txt" => "text/plain",
        b"jad" => "text/vnd.sun.j2me.app-descriptor",
        b"wml" => "text/vnd.wap.wml",
        b"htc" => "text/x-component",
        b"avif" => "image/avif",
        b"png" => "image/png",
        b"svg" | b"svgz" => "image/svg+xml",
        b"tif" | b"tiff" => "image/tiff",
        b"wbmp" => "image/vnd.wap.wbmp",
        b"webp" => "image/webp",
        b"ico" => "image/x-icon",
        b"jng" => "image/x-jng",
        b"bmp" => "image/x-ms-bmp",
        b"woff" => "font/woff",
        b"woff2" => "font/woff2",
        b"jar" | b"war" | b"ear" => "application/java-archive",
        b"json" => "application/json",
        b"hqx" => "application/mac-binhex40",
        b"doc" => "application/msword",
        b"pdf" => "application/pdf",
        b"ps" | b"eps" | b"ai" => "application/postscript",
        b"rtf" => "application/rtf",
        b"m3u8" => "application/vnd.apple.mpegurl",
        b"kml" => "application/vnd.google-earth.kml+xml",
        b"kmz" => "application/vnd.google-earth.kmz",
        b"xls" => "application/vnd.ms-excel",
        b"eot" => "application/vnd.ms-fontobject",
        b"ppt" => "application/vnd.ms-powerpoint",
        b"odg" => "application/vnd.oasis.opendocument.graphics",
        b"odp" => "application/vnd.oasis.opendocument.presentation",
        b"ods" => "application/vnd.oasis.opendocument.spreadsheet",
        b"odt" => "application/vnd.oasis.opendocument.text",
        b"pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        b"xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        b"docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        b"wmlc" => "application/vnd.wap.wmlc",
        b"wasm" => "application/wasm",
        b"7z" => "application/x-7z-compressed",
        b"cco" => "application/x-cocoa",
        b"jardiff" => "application/x-java-archive-diff",
        b"jnlp" => "application/x-java-jnlp-file",
        b"run" => "application/x-makeself",
        b"pl" | b"pm" => "application/x-perl",
        b"prc" | b"pdb" => "application/x-pilot",
        b"rar" => "application/x-rar-compressed",
        b"rpm" => "application/x-redhat-package-manager",
        b"sea" => "application/x-sea",
        b"swf" => "application/x-shockwave-flash",
        b"sit" => "application/x-stuffit",
        b"tcl" | b"tk" => "application/x-tcl",
        b"der" | b"pem" | b"crt" => "application/x-x509-ca-cert",
        b"xpi" => "application/x-xpinstall",
        b"xhtml" => "application/xhtml+xml",
        b"xspf" => "application/xspf+xml",
        b"zip" => "application/zip",
        b"mid" | b"midi" | b"kar" => "audio/midi",
        b"mp3" => "audio/mpeg",
        b"ogg" => "audio/ogg",
        b"m4a" => "audio/x-m4a",
        b"ra" => "audio/x-realaudio",
        b"3gpp" | b"3gp" => "video/3gpp",
        b"ts" => "video/mp2t",
        b"mp4" => "video/mp4",
        b"mpeg" | b"mpg" => "video/mpeg",
        b"mov" => "video/quicktime",
        b"webm" => "video/webm",
        b"flv" => "video/x-flv",
        b"m4v" => "video/x-m4v",
        b"mng" => "video/x-mng",
        b"asx" | b"asf" => "video/x-ms-asf",
        b"wmv" => "video/x-ms-wmv",
        b"avi" => "video/x-msvideo",
        _ => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_case_of_an_extension_does_not_matter() {
        assert_eq!(of_extension(b"HtMl"), "text/html");
        assert_eq!(of_extension(b"jardiff"), "application/x-java-archive-diff");
        for unknown in ["", "html5", "bin", "extension"] {
            assert_eq!(of_extension(unknown.as_bytes()), UNKNOWN);
        }
    }
}
