//! Forms with files (`multipart/form-data`, RFC 7578), so that a file goes up where no script runs.

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{FromRequest, HttpRequest, web};
use strongroom_wire::problem::Code;
use zeroize::Zeroizing;

use super::{Fields, TOKEN, arrived, require_token};
use crate::host::Side;
use crate::reader::Frame;
use crate::stop::Stop;

const KIND: &str = "multipart/form-data";
/// The most parts of a form.
const MOST_PARTS: usize = 2000;

/// A file as it went up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    /// Its name on the reader's device, without folders.
    pub(crate) name: String,
    /// The media type that the browser says.
    pub(crate) media_type: String,
    pub(crate) bytes: Vec<u8>,
}

/// What a form with files said, its origin and token checked.
pub(crate) struct Uploaded<const LARGEST: usize> {
    fields: Fields,
    files: Vec<(String, File)>,
}

impl<const LARGEST: usize> Uploaded<LARGEST> {
    /// The file of a field, where one was chosen.
    pub(crate) fn file(&self, name: &str) -> Option<&File> {
        let mut files = self.files.iter();
        files
            .find(|(field, file)| field == name && !file.bytes.is_empty())
            .map(|(_, file)| file)
    }
}

impl<const LARGEST: usize> Deref for Uploaded<LARGEST> {
    type Target = Fields;

    fn deref(&self) -> &Fields {
        &self.fields
    }
}

impl<const LARGEST: usize> FromRequest for Uploaded<LARGEST> {
    type Error = Stop;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Stop>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = web::Payload::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            let frame = Frame::outside(Side::of(&request));
            let body = arrived(&request, &frame, body, KIND, LARGEST).await?;
            let kind = request.headers().get(CONTENT_TYPE);
            let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
            let parts = boundary(kind).and_then(|boundary| parse(&boundary, &body));
            let Some((fields, files)) = parts else {
                return Err(Stop::new(
                    &frame,
                    Code::Malformed,
                    "The form and its files cannot be read.",
                ));
            };
            require_token(&request, &frame, fields.raw(TOKEN))?;
            Ok(Self { fields, files })
        })
    }
}

/// What stands between the parts.
fn boundary(kind: &str) -> Option<String> {
    let boundary = parameter(kind, "boundary")?;
    (1..=70).contains(&boundary.len()).then_some(boundary)
}

/// A parameter of a header, such as `name` of `form-data; name="file"`.
fn parameter(header: &str, wanted: &str) -> Option<String> {
    let mut rest = header.split_once(';')?.1;
    loop {
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(';').unwrap_or(after.len())),
        };
        if name
            .trim_matches([' ', ';', '\t'])
            .eq_ignore_ascii_case(wanted)
        {
            return Some(value.trim().to_owned());
        }
        rest = next;
    }
}

/// Where this stands in that.
fn find(whole: &[u8], part: &[u8]) -> Option<usize> {
    whole.windows(part.len()).position(|window| window == part)
}

type Parts = (Fields, Vec<(String, File)>);

/// The parts of a body.
fn parse(boundary: &str, body: &[u8]) -> Option<Parts> {
    let first = format!("--{boundary}");
    let between = format!("\r\n--{boundary}");
    let (mut fields, mut files) = (Vec::new(), Vec::new());
    let mut rest = &body[find(body, first.as_bytes())? + first.len()..];
    for _ in 0..MOST_PARTS {
        if rest.starts_with(b"--") {
            return Some((Fields(fields), files));
        }
        let part = rest.strip_prefix(b"\r\n")?;
        let end = find(part, between.as_bytes())?;
        rest = &part[end + between.len()..];
        let part = &part[..end];
        let heading = find(part, b"\r\n\r\n")?;
        let content = &part[heading + 4..];
        let heading = std::str::from_utf8(&part[..heading]).ok()?;
        let header = |wanted: &str| {
            heading.split("\r\n").find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.trim()
                    .eq_ignore_ascii_case(wanted)
                    .then(|| value.trim().to_owned())
            })
        };
        let disposition = header("content-disposition")?;
        let name = unescaped(&parameter(&disposition, "name")?);
        if let Some(file) = parameter(&disposition, "filename") {
            let file = unescaped(&file);
            let file = file.rsplit(['/', '\\']).next().unwrap_or_default();
            files.push((
                name,
                File {
                    name: file.to_owned(),
                    media_type: header("content-type").unwrap_or_default(),
                    bytes: content.to_vec(),
                },
            ));
        } else {
            let text = String::from_utf8(content.to_vec()).ok()?;
            fields.push((name, Zeroizing::new(text)));
        }
    }
    None
}

/// A name as it was before the browser wrote it into a header (HTML, "multipart/form-data encoding algorithm").
fn unescaped(name: &str) -> String {
    name.replace("%22", "\"")
        .replace("%0D", "\r")
        .replace("%0A", "\n")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const BODY: &[u8] = b"preamble\r\n--xyz\r\nContent-Disposition: form-data; name=\"reference\"\r\n\r\nGS 17\r\n\r\n--xyz\r\n\
        content-disposition: form-data; filename=\"C:\\war%22rant.pdf\"; name=\"warrant\"\r\nContent-Type: application/pdf\r\n\r\n\x00\r\n--xy\r\n\xff\r\n--xyz--\r\n";

    #[test]
    fn parts_are_read_as_they_were_sent() {
        let (fields, files) = parse("xyz", BODY).unwrap();
        assert_eq!(fields.raw("reference"), "GS 17\r\n");
        let (name, file) = &files[0];
        assert_eq!(
            (name.as_str(), file.name.as_str(), file.media_type.as_str()),
            ("warrant", "war\"rant.pdf", "application/pdf")
        );
        assert_eq!(file.bytes, b"\x00\r\n--xy\r\n\xff");
    }

    #[test]
    fn what_is_no_whole_form_is_refused() {
        for end in 0..BODY.len() - 4 {
            assert!(parse("xyz", &BODY[..end]).is_none(), "{end}");
        }
        assert!(parse("other", BODY).is_none());
        assert!(parse("xyz", &BODY[10..]).is_some());
    }

    #[test]
    fn boundaries_are_read_quoted_or_not() {
        let kind = "multipart/form-data; charset=utf-8; boundary=";
        assert_eq!(boundary(&format!("{kind}ab1")), Some("ab1".to_owned()));
        assert_eq!(
            boundary(&format!("{kind}\"a b;c\"")),
            Some("a b;c".to_owned())
        );
        assert_eq!(boundary("multipart/form-data"), None);
        assert_eq!(boundary(&format!("{kind}{}", "x".repeat(71))), None);
    }
}
