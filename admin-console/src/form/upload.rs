//! Forms with files (`multipart/form-data`, RFC 7578), so that a file goes up where no script runs.

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;

use actix_multipart::Multipart;
use actix_web::dev::Payload;
use actix_web::http::header::HeaderMap;
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::TryStreamExt as _;
use futures_util::stream;
use strongroom_wire::problem::Code;
use zeroize::Zeroizing;

use super::{Fields, TOKEN, arrived, require_token};
use crate::host::Side;
use crate::reader::Frame;
use crate::stop::Stop;

const KIND: &str = "multipart/form-data";
/// In pieces of so many bytes a form is handed to what reads it, which holds no more at once.
const PIECE: usize = 16 * 1024;
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
            let Some((fields, files)) = parts(request.headers(), body).await else {
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

type Parts = (Fields, Vec<(String, File)>);

/// The parts of a body; none where it is no form, or not the whole of one.
async fn parts(headers: &HeaderMap, body: Bytes) -> Option<Parts> {
    let most = body.len();
    let pieces = (0..most).step_by(PIECE);
    let pieces = pieces.map(move |at| Ok(body.slice(at..(at + PIECE).min(most))));
    let mut form = Multipart::new(headers, stream::iter(pieces));
    let (mut fields, mut files) = (Vec::new(), Vec::new());
    for _ in 0..MOST_PARTS {
        let Some(mut part) = form.try_next().await.ok()? else {
            return Some((Fields(fields), files));
        };
        let disposition = part.content_disposition()?;
        let name = unescaped(disposition.get_name()?);
        let file = disposition.get_filename().map(unescaped);
        let media_type = part.content_type().map(ToString::to_string);
        let content = part.bytes(most).await.ok()?.ok()?;
        if let Some(file) = file {
            let file = file.rsplit(['/', '\\']).next().unwrap_or_default();
            files.push((
                name,
                File {
                    name: file.to_owned(),
                    media_type: media_type.unwrap_or_default(),
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

    use actix_web::http::header::CONTENT_TYPE;

    use super::*;

    const BODY: &[u8] = b"preamble\r\n--xyz\r\nContent-Disposition: form-data; name=\"reference\"\r\n\r\nGS 17\r\n\r\n--xyz\r\n\
        content-disposition: form-data; filename=\"C:\\\\war%22rant.pdf\"; name=\"warrant\"\r\nContent-Type: application/pdf\r\n\r\n\x00\r\n--xy\r\n\xff\r\n--xyz--\r\n";

    async fn read(boundary: &str, body: &'static [u8]) -> Option<Parts> {
        let mut headers = HeaderMap::new();
        let kind = format!("multipart/form-data; boundary={boundary}");
        headers.insert(CONTENT_TYPE, kind.parse().unwrap());
        parts(&headers, Bytes::from_static(body)).await
    }

    #[actix_web::test]
    async fn parts_are_read_as_they_were_sent() {
        for boundary in ["xyz", "\"xyz\""] {
            let (fields, files) = read(boundary, BODY).await.unwrap();
            assert_eq!(fields.raw("reference"), "GS 17\r\n");
            let (name, file) = &files[0];
            assert_eq!(
                (name.as_str(), file.name.as_str(), file.media_type.as_str()),
                ("warrant", "war\"rant.pdf", "application/pdf")
            );
            assert_eq!(file.bytes, b"\x00\r\n--xy\r\n\xff");
        }
    }

    /// A form comes in pieces that are smaller than its files.
    #[actix_web::test]
    async fn large_files_are_read_whole() {
        let content: Vec<u8> = (0..3_000_000_u32).map(|at| at.to_le_bytes()[0]).collect();
        let begin =
            b"--xyz\r\nContent-Disposition: form-data; name=\"warrant\"; filename=\"w\"\r\n\r\n";
        let body = [&begin[..], &content, b"\r\n--xyz--\r\n"].concat();
        let (_, files) = read("xyz", body.leak()).await.unwrap();
        assert!(files[0].1.bytes == content);
    }

    #[actix_web::test]
    async fn what_is_no_whole_form_is_refused() {
        for end in 0..BODY.len() - 4 {
            assert!(read("xyz", &BODY[..end]).await.is_none(), "{end}");
        }
        assert!(read("other", BODY).await.is_none());
        assert!(read("xyz", &BODY[10..]).await.is_some());
    }
}
