//! `add-checkpoint` of C2SP `tlog-witness`: the request's body and the answers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use strongroom_audit::Hash;

/// The longest body that is read, in bytes: 63 hashes and a checkpoint of a hundred signatures take less.
pub const LONGEST_BODY: usize = 64 * 1024;
/// The most hashes of a consistency proof.
const MOST_HASHES: usize = 63;

/// A submission.
#[derive(Debug, Clone, PartialEq)]
pub struct Request<'a> {
    /// The size of the tree that the proof begins from.
    pub old: u64,
    /// The consistency proof from that tree to the checkpoint's.
    pub proof: Vec<Hash>,
    /// The checkpoint: a signed note.
    pub checkpoint: &'a str,
}

/// The body is no submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body is not an old size, a consistency proof, an empty line and a checkpoint")]
pub struct Malformed;

impl<'a> Request<'a> {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// When it is spelled in any other way than the specification's.
    pub fn parse(body: &'a str) -> Result<Self, Malformed> {
        let (head, checkpoint) = body.split_once("\n\n").ok_or(Malformed)?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old "));
        let old = old.and_then(decimal).ok_or(Malformed)?;
        let proof = lines
            .map(|line| {
                let bytes = STANDARD.decode(line).ok()?;
                Some(Hash(bytes.try_into().ok()?))
            })
            .collect::<Option<Vec<_>>>()
            .ok_or(Malformed)?;
        if proof.len() > MOST_HASHES {
            return Err(Malformed);
        }
        Ok(Self {
            old,
            proof,
            checkpoint,
        })
    }

    /// The body of a submission.
    #[must_use]
    pub fn to_body(&self) -> String {
        let mut body = format!("old {}\n", self.old);
        for hash in &self.proof {
            body.push_str(&STANDARD.encode(hash.0));
            body.push('\n');
        }
        body + "\n" + self.checkpoint
    }
}

/// A number in decimal without leading zeros.
fn decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// What a submission is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// 200: the witness's signature line, with its line feed.
    Cosigned(String),
    /// 400: no submission, or one whose old size is above the checkpoint's.
    BadRequest,
    /// 403: signed by none of the keys that the witness trusts for this log.
    Forbidden,
    /// 404: a log that the witness does not know.
    UnknownLog,
    /// 409: the proof begins at another size than the tree that the witness saw last, which is of this one; or that tree has another root.
    Conflict(u64),
    /// 422: the proof does not lead from the tree that the witness saw last to the checkpoint's.
    Unproved,
    /// 500: the witness could not keep the new tree, and so signed nothing.
    NotKept,
}

impl Answer {
    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Cosigned(_) => 200,
            Self::BadRequest => 400,
            Self::Forbidden => 403,
            Self::UnknownLog => 404,
            Self::Conflict(_) => 409,
            Self::Unproved => 422,
            Self::NotKept => 500,
        }
    }

    /// The media type of the body.
    #[must_use]
    pub const fn media_type(&self) -> &'static str {
        match self {
            Self::Conflict(_) => "text/x.tlog.size",
            _ => "text/plain; charset=utf-8",
        }
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> String {
        match self {
            Self::Cosigned(line) => line.clone(),
            Self::Conflict(size) => format!("{size}\n"),
            Self::BadRequest => "bad request: see https://c2sp.org/tlog-witness\n".to_owned(),
            Self::Forbidden => {
                "the checkpoint is signed by no key that is trusted here\n".to_owned()
            }
            Self::UnknownLog => "this log is not known here\n".to_owned(),
            Self::Unproved => "the consistency proof does not hold\n".to_owned(),
            Self::NotKept => "the witness cannot keep the tree now\n".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_documented_example_is_read() {
        let body = "old 20852014\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\njrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n\nexample.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";
        let request = Request::parse(body).unwrap();
        assert_eq!((request.old, request.proof.len()), (20_852_014, 2));
        assert!(
            request
                .checkpoint
                .starts_with("example.com/behind-the-sofa\n")
        );
        assert_eq!(request.to_body(), body);
    }

    #[test]
    fn other_spellings_are_refused() {
        let hash = STANDARD.encode([1; 32]);
        let many = format!("old 1\n{}\nx", format!("{hash}\n").repeat(64));
        for body in [
            "",
            "old 1",
            "old 01\n\nx",
            "old -1\n\nx",
            "old +1\n\nx",
            "old 99999999999999999999\n\nx",
            "new 1\n\nx",
            "old 1 \n\nx",
            "old  1\n\nx",
            "old 1\r\n\r\nx",
            "old 1\nAAAA\n\nx",
            "old 1\nnot base64\n\nx",
            &many,
        ] {
            assert_eq!(Request::parse(body), Err(Malformed), "{body:?}");
        }
        let most = many.replacen(&format!("{hash}\n"), "", 1);
        assert_eq!(Request::parse(&most).unwrap().proof.len(), 63);
    }

    #[test]
    fn a_conflict_says_the_size() {
        let answer = Answer::Conflict(20_852_014);
        assert_eq!(answer.status(), 409);
        assert_eq!(answer.media_type(), "text/x.tlog.size");
        assert_eq!(answer.body(), "20852014\n");
    }
}
