//! A store that can read nothing: objects over plain HTTP, in ranges (RFC 9110 section 14).

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

/// The store. It serves until the test ends.
pub struct Storage {
    address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    objects: BTreeMap<String, Vec<u8>>,
    /// Where to look for what was not put here.
    folder: Option<PathBuf>,
    /// How many bytes of content went out.
    sent: u64,
}

impl Storage {
    /// An empty store.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let this = Self {
            address: listener.local_addr().unwrap(),
            inner: Arc::default(),
        };
        let inner = Arc::clone(&this.inner);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client may hang up whenever it likes.
                let _ = serve(stream, &inner);
            }
        });
        this
    }

    /// A store of the files in a folder, whenever they come there.
    pub fn of(folder: &Path) -> Self {
        let this = Self::start();
        this.inner.lock().unwrap().folder = Some(folder.to_owned());
        this
    }

    /// At which address an object of this name is.
    pub fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }

    /// Stores an object, and says at which address it is.
    pub fn put(&self, name: &str, bytes: Vec<u8>) -> String {
        let mut inner = self.inner.lock().unwrap();
        inner.objects.insert(name.to_owned(), bytes);
        drop(inner);
        self.url(name)
    }

    /// How many bytes of content went out so far.
    pub fn sent(&self) -> u64 {
        self.inner.lock().unwrap().sent
    }
}

fn serve(mut stream: TcpStream, inner: &Mutex<Inner>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    while reader.read_line(&mut head)? > 2 {}
    let path = head.split(' ').nth(1).unwrap_or_default();
    let range = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("range: bytes=")
            .map(str::to_owned)
    });
    let mut inner = inner.lock().unwrap();
    let name = path.trim_start_matches('/');
    let in_folder = || fs::read(inner.folder.as_ref()?.join(name)).ok();
    let object = inner.objects.get(name).cloned().or_else(in_folder);
    let answer = object.and_then(|object| {
        let (first, last) = range.as_deref()?.split_once('-')?;
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        let total = object.len();
        Some((object.get(first..=last)?.to_vec(), first, last, total))
    });
    let Some((body, first, last, total)) = answer else {
        return stream
            .write_all(b"HTTP/1.1 416 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    inner.sent += body.len() as u64;
    drop(inner);
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {first}-{last}/{total}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)
}
